#!/usr/bin/env bash
# Builds for development, starts, and rebuilds and reloads on change. In a target folder of its own: development builds are compiled
# with other flags, and sharing one would make each build undo the other's work.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/dev
site=$CARGO_TARGET_DIR/site
export LEPTOS_SITE_ROOT=$site

node scripts/bundle-hls.mjs
rm -rf "$site"
cargo leptos watch --split &
watch=$!
trap 'kill "$watch" 2>/dev/null || true; wait "$watch" 2>/dev/null || true' EXIT

# cargo-leptos knows one entry a project, and empties the site when it starts: the embed page's entry is added once the dashboard's is there.
# It is not rebuilt on change; start `make dev` anew after work on the player, or look at it on the video page.
until [ -e "$site/pkg/millrace.wasm" ]; do
    kill -0 "$watch" 2>/dev/null || exit 1
    sleep 1
done
scripts/build-embed.sh dev "$site"
wait "$watch"
