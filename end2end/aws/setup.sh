#!/usr/bin/env bash
# Makes .venv beside this file with the packages of requirements.txt, checked by hash. Looks first: a second run takes no time.
set -euo pipefail
cd "$(dirname "$0")"

stamp=.venv/requirements.sha256
wanted=$(sha256sum requirements.txt | cut -d' ' -f1)
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "The AWS tests want Python 3.11 or newer with its venv module. On Debian and Ubuntu: apt-get install python3 python3-venv" >&2
    exit 1
}
echo "==> Making end2end/aws/.venv: MiniStack (the emulated AWS) and boto3"
rm -rf .venv
python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement requirements.txt
echo "$wanted" > "$stamp"
