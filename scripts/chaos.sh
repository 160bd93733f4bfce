#!/usr/bin/env bash
# The whole storm: on each of SETS a run with KILLS kills, then what else can break there (PostgreSQL's stops, AWS's bad days).
# scripts/chaos.sh TARGET/debug/millrace; KILLS (1000), SETS ("sqlite postgres aws"), SEED (1) and PACE (0.5) say how. Goes on after a set with faults, and
# ends with 1 then.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "$1")
kills=${KILLS:-1000} sets=${SETS:-sqlite postgres aws} seed=${SEED:-1} pace=${PACE:-0.5}
export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}

# What is built meanwhile is not what is tested: the storm takes hours, and has a copy with its site beside it.
folder=$(mktemp -d "${TMPDIR:-/tmp}/millrace-storm.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cp "$binary" "$folder/millrace"
cp -R "${binary%/*/*}/site" Leptos.toml "$folder/"
browser=--browser
[ -n "$CHROMIUM" ] || { echo "Without Chromium, nobody uploads by the dashboard."; browser=; }

status=0
storm() { # SET ARGUMENTS…
    local run=(end2end/chaos/chaos.py)
    if [ "$1" = aws ]; then
        run=(end2end/aws/.venv/bin/python end2end/aws/stack.py run -- end2end/aws/.venv/bin/python end2end/chaos/chaos.py)
    fi
    # shellcheck disable=SC2086
    "${run[@]}" "$folder/millrace" --set "$@" --seed "$seed" --pace "$pace" $browser || status=1
}
for set in $sets; do
    storm "$set" --kills "$kills"
    [ "$set" != postgres ] || storm postgres --database-faults 20
    [ "$set" != aws ] || storm aws --aws-faults 2
done
exit "$status"
