#!/usr/bin/env bash
# Uploads into the release binary, beside @tus/server, @uploadx/core and nginx. See run.py.
# usage: benches/ingest/run.sh target/release/millrace [--short] [--rounds N] [--json FILE]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

PATH=$PATH:/usr/sbin
if ! command -v nginx >/dev/null; then
    become=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || { echo "Install nginx first, as root." >&2; exit 1; }
        become=(sudo)
    fi
    command -v apt-get >/dev/null || { echo "Install nginx first." >&2; exit 1; }
    echo "==> Installing: nginx"
    "${become[@]}" apt-get update -q
    "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx
fi
if ! cmp -s "$here/package-lock.json" "$here/node_modules/.installed"; then
    (cd "$here" && npm ci --no-fund --no-audit --loglevel=error)
    cp "$here/package-lock.json" "$here/node_modules/.installed"
fi
target=${CARGO_TARGET_DIR:-$root/target}/bench-ingest
cargo build --quiet --release --locked --manifest-path "$here/client/Cargo.toml" --target-dir "$target"
exec python3 "$here/run.py" "$1" "$target/release/ingest-client" "${@:2}"
