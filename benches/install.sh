#!/usr/bin/env bash
# Installs what a measurement's peers need and this machine lacks: benches/install.sh PROGRAM:PACKAGE...
set -euo pipefail
PATH=$PATH:/usr/sbin
missing=()
for program in "$@"; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0
become=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || { echo "Install these first, as root: ${missing[*]}" >&2; exit 1; }
    become=(sudo)
fi
command -v apt-get >/dev/null || { echo "Install these first: ${missing[*]}" >&2; exit 1; }
echo "==> Installing: ${missing[*]}"
"${become[@]}" apt-get update -q
"${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
