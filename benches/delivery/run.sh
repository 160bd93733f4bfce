#!/usr/bin/env bash
# Delivery of segments by the release binary, beside nginx and Varnish. See run.py.
# usage: benches/delivery/run.sh target/release/millrace [--short] [--rounds N] [--json FILE]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

PATH=$PATH:/usr/sbin
missing=()
for program in nginx:nginx varnishd:varnish wrk:wrk; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    become=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || { echo "Install these first, as root: ${missing[*]}" >&2; exit 1; }
        become=(sudo)
    fi
    command -v apt-get >/dev/null || { echo "Install these first: ${missing[*]}" >&2; exit 1; }
    echo "==> Installing: ${missing[*]}"
    "${become[@]}" apt-get update -q
    "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
fi
target=${CARGO_TARGET_DIR:-$root/target}/bench-delivery
cargo build --quiet --release --locked --manifest-path "$here/client/Cargo.toml" --target-dir "$target"
exec python3 "$here/run.py" "$1" "$target/release/delivery-client" "${@:2}"
