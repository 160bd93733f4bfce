#!/usr/bin/env bash
# Upload to S3 through Millrace's presigned parts, beside boto3's upload_file. See upload.py.
# usage: benches/s3-upload/run.sh target/release/millrace [--mebibytes N] [--rounds N]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

venv=$root/target/bench-s3-upload
wanted=$(cat "$root/end2end/aws/requirements.txt" "$here/requirements.txt" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$venv/requirements.sha256" 2>/dev/null)" != "$wanted" ]; then
    echo "==> Making $venv: MiniStack and boto3"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement "$root/end2end/aws/requirements.txt" --requirement "$here/requirements.txt"
    echo "$wanted" > "$venv/requirements.sha256"
fi
exec "$venv/bin/python" "$here/upload.py" "$@"
