#!/usr/bin/env bash
# The emulators' own tests, and those of deploy/terraform as it is applied to them. Arguments go to Python's unittest.
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh
if [ $# -eq 0 ]; then set -- discover -s tests -t .; fi
exec ./stack.py run -- .venv/bin/python -m unittest "$@"
