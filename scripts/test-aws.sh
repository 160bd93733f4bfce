#!/usr/bin/env bash
# Runs inside the emulators' environment (end2end/aws/stack.py run): the contract suites of the AWS adapters, then every set-up in Chromium.
# scripts/test-aws.sh TARGET [ARGUMENTS OF PLAYWRIGHT...]
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
shift

if [ $# -eq 0 ]; then
    # A renamed test must not leave a run of none behind.
    for suite in "-p server --test it" "--test doctor"; do
        # shellcheck disable=SC2086
        found=$(cargo test $suite -- --ignored aws_ --list)
        [[ $found == *": test"* ]] || { echo "there is no AWS test in $suite" >&2; exit 1; }
        # shellcheck disable=SC2086
        cargo test $suite -- --ignored aws_
    done
fi
export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
E2E_BINARY=$(realpath "$target/debug/millrace")
export E2E_BINARY
playwright test -c end2end/aws "$@"
