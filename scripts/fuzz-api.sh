#!/usr/bin/env bash
# Sends the REST interface what its own description allows and what it does not (schemathesis), to the real binary with a data folder of its
# own: by somebody who may do everything, by a key that may only read, and by nobody. Fails on an answer of 500 or more, on one that the
# description does not have, on one of another shape, on a refusal that says something of the server's inside, and where no request of the owner's
# was ever granted at some address. There is a video that plays, with links and grants, and there are unfinished uploads.
#
# scripts/fuzz-api.sh BINARY [REQUESTS]: about so many requests, and the boundaries of each field; without the number about 2,000 in all.
# The seed is fixed; FUZZ_SEED sets another.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=$(realpath "${1:?the binary to test}")
requests=${2:-600}
seed=${FUZZ_SEED:-20261122}
tools=${BUILD_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/tools}
venv=$tools/schemathesis
# Operations that are tested, and principals that send: what a number of requests is shared among.
operations=27
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

# ---- The tool, pinned with hashes --------------------------------------------------------------------------------------------------
wanted=$(sha256sum scripts/fuzz-requirements.txt | cut -d' ' -f1)
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$wanted" ]; then
    say "Making $venv: schemathesis, which tests the REST interface by its description"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement scripts/fuzz-requirements.txt
    echo "$wanted" > "$venv/.stamp"
fi

# ---- A server of its own -----------------------------------------------------------------------------------------------------------
folder=$(mktemp -d)
server=
clean_up() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap clean_up EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
# Without limits on how often: they would answer instead of what is tested. Files are small, and many are begun.
export MILLRACE_DATA_DIR=$folder/data MILLRACE_BIND=127.0.0.1:$port MILLRACE_LOG=warn \
    MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS=0 MILLRACE_HTTP_REQUESTS_PER_MINUTE_ACCOUNT=0 \
    MILLRACE_UPLOAD_MAX_SIZE_BYTES=10000000 MILLRACE_UPLOAD_QUOTA_BYTES=2000000000 MILLRACE_UPLOAD_MAX_UNFINISHED=100000
for name in ada bob; do echo "a good password" | "$binary" user add "$name@example.com" 2>>"$folder/users.log"; done
ada=$("$binary" key add ada@example.com --name fuzz)
bob=$("$binary" key add bob@example.com --name fuzz --scope read)
# The owner's key opens the numbers too, so that somebody is let in.
export MILLRACE_METRICS_TOKEN=$ada
"$binary" 2>"$folder/server.log" &
server=$!
answers() { python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10)' "$url/healthz" 2>/dev/null; }
until answers; do
    kill -0 "$server" 2>/dev/null || { cat "$folder/server.log" >&2; exit 1; }
    sleep 0.1
done

# ---- Things that are there: ids in two of three requests (scripts/fuzz_hooks.py) ------------------------------------------------------
FUZZ_KNOWN=$(python3 scripts/fuzz-known.py "$url" "$ada" src/doctor/clip.mp4)
export FUZZ_KNOWN FUZZ_FOLDER=$folder SCHEMATHESIS_HOOKS=fuzz_hooks PYTHONPATH=$PWD/scripts PYTHONDONTWRITEBYTECODE=1
schemathesis() { (cd "$folder" && exec "$venv/bin/schemathesis" "$@"); }

# ---- The fuzzing -------------------------------------------------------------------------------------------------------------------
# The event stream never ends, which the tool cannot read; server/tests/it/openapi.rs looks at it.
# Whether data that the description forbids is refused is not asked: what is not known is read past, so that clients may be newer than we.
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
checks=$checks,ignored_auth,use_after_free,ensure_resource_availability,says_nothing_of_the_inside
sent=0
# What went wrong, said once more at the end: a long log is often shown by its end alone.
wrong=()
fuzz() { # fuzz WHO SHARE HEADER...
    local who=$1 examples=$((requests * $2 / 100 / operations + 1)) report=$folder/$1.log tally
    shift 2
    local header=()
    for text in "$@"; do header+=(--header "$text"); done
    say "As $who: up to $examples requests for each of $operations operations, and the boundaries of each field"
    FUZZ_TALLY=$folder/$who.json schemathesis run "$url/api/openapi.json" --checks "$checks" --max-examples "$examples" --seed "$seed" --workers 2 \
        --generation-database none --suppress-health-check all --request-timeout 120 --no-color --warnings off --exclude-path /api/v1/events \
        "${header[@]}" >"$report" 2>&1 || wrong+=("as $who: what schemathesis found")
    grep -E '^ +(Test cases|.*generated)|✅|❌|⏭' "$report" | sed 's/^/    /' || true
    tally=$(python3 scripts/fuzz-tally.py "$who" "$folder/$who.json") || wrong+=("as $who:$(tail -n +2 <<<"$tally")")
    echo "$tally"
    sent=$((sent + $(python3 -c 'import json, sys; print(sum(json.load(open(sys.argv[1])).values()))' "$folder/$who.json")))
    if [ ${#wrong[@]} -ne 0 ]; then sed -n '/= \(FAILURES\|ERRORS\) =/,$p' "$report" | head -n 300; fi
}
began=$SECONDS
fuzz ada 60 "Authorization: Bearer $ada"
fuzz reader 20 "Authorization: Bearer $bob"
fuzz nobody 20

# ---- The verdict -------------------------------------------------------------------------------------------------------------------
kill -0 "$server" 2>/dev/null || wrong+=("the server ended")
if grep -E 'ERROR|panicked' "$folder/server.log" | head -n 20; then
    wrong+=("the server's log has errors")
fi
say "$sent requests in $((SECONDS - began)) s, seed $seed"
[ ${#wrong[@]} -eq 0 ] || { printf 'Wrong, see above: %s\n' "${wrong[@]}" >&2; exit 1; }
