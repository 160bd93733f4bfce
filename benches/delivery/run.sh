#!/usr/bin/env bash
# Delivery of segments by the release binary, beside nginx and Varnish. See run.py.
# usage: benches/delivery/run.sh target/release/millrace [--short] [--rounds N] [--json FILE]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

PATH=$PATH:/usr/sbin
"$here/../install.sh" nginx:nginx varnishd:varnish wrk:wrk
target=${CARGO_TARGET_DIR:-$root/target}/bench-delivery
cargo build --quiet --release --locked --manifest-path "$here/client/Cargo.toml" --target-dir "$target"
exec python3 "$here/run.py" "$1" "$target/release/delivery-client" "${@:2}"
