#!/bin/sh
# Installs Lighthouse beside the measurement, once, and measures: benches/page/run.sh BINARY [--short] [--rounds N] [--json FILE]
set -eu
cd "$(dirname "$0")/../.."
[ benches/page/node_modules/.package-lock.json -nt benches/page/package-lock.json ] || npm ci --prefix benches/page --no-audit --no-fund --ignore-scripts >&2
exec node benches/page/run.mjs "$@"
