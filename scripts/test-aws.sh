#!/usr/bin/env bash
# Runs inside the emulators' environment (end2end/aws/stack.py run): the contract suites of the AWS adapters, then every set-up in Chromium.
# scripts/test-aws.sh TARGET [ARGUMENTS OF PLAYWRIGHT...]
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
shift

if [ $# -eq 0 ]; then
    cargo test -p server --test it -- --ignored aws_
    cargo test --test doctor -- --ignored aws_
fi
export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
E2E_BINARY=$(realpath "$target/debug/millrace")
export E2E_BINARY
playwright test -c end2end/aws "$@"
