#!/usr/bin/env bash
# Uploads into the release binary, beside @tus/server, @uploadx/core and nginx. See run.py.
# usage: benches/ingest/run.sh target/release/millrace [--short] [--rounds N] [--json FILE]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

PATH=$PATH:/usr/sbin
"$here/../install.sh" nginx:nginx
if ! cmp -s "$here/package-lock.json" "$here/node_modules/.installed"; then
    (cd "$here" && npm ci --no-fund --no-audit --loglevel=error)
    cp "$here/package-lock.json" "$here/node_modules/.installed"
fi
target=${CARGO_TARGET_DIR:-$root/target}/bench-ingest
cargo build --quiet --release --locked --manifest-path "$here/client/Cargo.toml" --target-dir "$target"
exec python3 "$here/run.py" "$1" "$target/release/ingest-client" "${@:2}"
