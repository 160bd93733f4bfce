#!/usr/bin/env bash
# Runs a command beside a PostgreSQL of its own: scripts/with-postgres.sh cargo test -p server --test it
# It lives in a temporary folder, listens on a random port of the loopback interface, and goes with the command, also when interrupted.
# The command finds it by TEST_POSTGRES_URL (a superuser's, without TLS) and TEST_POSTGRES_CA (the authority behind its certificate, which
# is made out to `localhost` alone; TEST_POSTGRES_OTHER_CA is one that has nothing to do with it).
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: $0 COMMAND…" >&2; exit 2; }

# The newest installed version, unless PATH names one.
for bin in "$(dirname "$(command -v initdb || echo /nowhere/initdb)")" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && break
    bin=
done
[ -n "$bin" ] || { echo "PostgreSQL's programs initdb and postgres are missing: install postgresql, or put them into PATH." >&2; exit 1; }

export PATH="$bin:$PATH"
folder=$(mktemp -d "${TMPDIR:-/tmp}/millrace-postgres.XXXXXX")
server= command=
finish() {
    trap - EXIT INT TERM HUP
    [ -z "$command" ] || kill -- "-$command" 2>/dev/null || true
    # SIGQUIT: at once. Nothing of it is kept.
    [ -z "$server" ] || { kill -QUIT "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'finish; exit 130' INT
trap 'finish; exit 143' TERM HUP

# PostgreSQL refuses to run as root.
as_server=()
if [ "$(id -u)" = 0 ]; then
    as_server=(setpriv --reuid=postgres --regid=postgres --init-groups --)
    chown postgres: "$folder"
fi

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
mkdir "$folder/tls"
authority() { # NAME: a key and a certificate that signs others
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2 -subj "/CN=$1" \
        -keyout "$folder/tls/$1.key" -out "$folder/tls/$1.pem" 2>/dev/null
}
authority authority
authority stranger
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj /CN=localhost -keyout "$folder/tls/server.key" 2>/dev/null |
    openssl x509 -req -days 2 -CA "$folder/tls/authority.pem" -CAkey "$folder/tls/authority.key" -CAcreateserial \
        -extfile <(printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n') -out "$folder/tls/server.pem" 2>/dev/null
[ -s "$folder/tls/server.pem" ] || { echo "openssl could not make a certificate." >&2; exit 1; }
chmod 600 "$folder"/tls/*.key
chmod 755 "$folder" "$folder/tls"
[ ${#as_server[@]} = 0 ] || chown postgres: "$folder/tls/server.key"

printf '%s' "$password" >"$folder/password"
chmod 644 "$folder/password"
"${as_server[@]}" "$bin/initdb" --pgdata="$folder/data" --username=postgres --auth=scram-sha-256 --pwfile="$folder/password" \
    --encoding=UTF8 --locale=C --no-sync >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 1; }
rm "$folder/password"

# Somebody else may take the port between choosing and using it: then another one is chosen.
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    : >"$folder/server.log"
    "${as_server[@]}" "$bin/postgres" -D "$folder/data" -p "$port" -c listen_addresses=localhost -c unix_socket_directories= \
        -c max_connections=400 -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=128MB -c autovacuum=off \
        -c ssl=on -c ssl_cert_file="$folder/tls/server.pem" -c ssl_key_file="$folder/tls/server.key" >"$folder/server.log" 2>&1 &
    server=$!
    while kill -0 "$server" 2>/dev/null; do
        ! grep -q 'ready to accept connections' "$folder/server.log" || break 2
        sleep 0.1
    done
    server=
done
[ -n "$server" ] || { cat "$folder/server.log" >&2; exit 1; }

export TEST_POSTGRES_URL="postgres://postgres:$password@127.0.0.1:$port/postgres?sslmode=disable"
export TEST_POSTGRES_CA="$folder/tls/authority.pem" TEST_POSTGRES_OTHER_CA="$folder/tls/stranger.pem"
# In the background, so that a signal reaches the trap while it runs, and in a process group of its own, so that all of it can be ended.
set -m
"$@" <&0 &
command=$!
set +m
status=0
wait "$command" || status=$?
command=
exit "$status"
