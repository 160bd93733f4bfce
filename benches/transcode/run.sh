#!/usr/bin/env bash
# What a ladder costs and how it looks, beside a run of ffmpeg for each rung. See run.py.
# usage: benches/transcode/run.sh [CLIP...] [--short] [--rounds N] [--json FILE]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

venv=$root/target/bench-transcode/vmaf
wanted=$(sha256sum < "$here/requirements.txt" | cut -d' ' -f1)
if [ "$(cat "$venv/requirements.sha256" 2>/dev/null)" != "$wanted" ]; then
    echo "==> Making $venv: an ffmpeg that measures VMAF"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement "$here/requirements.txt"
    echo "$wanted" > "$venv/requirements.sha256"
fi
(cd "$root" && cargo build --quiet --release -p server --example transcode)
exec "$venv/bin/python" "$here/run.py" "${CARGO_TARGET_DIR:-$root/target}/release/examples/transcode" "$root/target/bench-transcode" "$@"
