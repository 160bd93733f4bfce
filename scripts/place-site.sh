#!/usr/bin/env bash
# Puts the site and Leptos.toml beside the binary, where it looks first: that folder can then be moved or packed as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

beside=$1
site=$(dirname "$beside")/site
if ! diff -rq "$site" "$beside/site" >/dev/null 2>&1; then
    rm -rf "$beside/site"
    cp -R "$site" "$beside/site"
fi
cmp -s Leptos.toml "$beside/Leptos.toml" || cp Leptos.toml "$beside/Leptos.toml"
