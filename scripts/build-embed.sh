#!/bin/sh
# Builds the watch and embed pages' own entry (frontend/embed) into SITE/pkg: embed.js, embed_bg.wasm and player.css.
# cargo-leptos builds the dashboard only, and empties its site folder first, so this runs after it.
#
#   scripts/build-embed.sh [release|dev] [SITE]        default: release target/site
#
# Does nothing when up to date: cargo decides about the Rust part, and the rest is skipped unless its result is newer.
set -eu
cd "$(dirname "$0")/.."

mode=${1:-release}
site=${2:-target/site}
case $mode in
    release) profile=wasm-release folder=wasm-release ;;
    dev) profile=dev folder=debug ;;
    *) echo "build-embed: the mode is release or dev, not $mode" >&2; exit 2 ;;
esac

cargo build --quiet --package embed --target wasm32-unknown-unknown --profile "$profile" --target-dir target/front
wasm=target/front/wasm32-unknown-unknown/$folder/embed.wasm
# One folder a mode: a release must not be taken for up to date because of a later dev build.
built=target/front/embed-$mode
mkdir -p "$built" "$site/pkg"

trim=scripts/trim-wasm.mjs
if [ ! -e "$built/done" ] || [ "$wasm" -nt "$built/done" ] || [ "$0" -nt "$built/done" ] || [ "$trim" -nt "$built/done" ]; then
    rm -f "$built"/*
    wasm-bindgen --target web --no-typescript --no-demangle --out-name embed --out-dir "$built" "$wasm"
    # The page has one module script and no inline code, so the module starts itself.
    echo '__wbg_init();' >> "$built/embed.js"
    if [ "$mode" = release ]; then
        # None of its views is hydrated by a future.
        node "$trim" "$built" panics places
        node_modules/.bin/wasm-opt -Oz --converge --strip-producers --strip-target-features --enable-bulk-memory --enable-bulk-memory-opt --enable-nontrapping-float-to-int --enable-sign-ext \
            --enable-mutable-globals --enable-reference-types --enable-multivalue "$built/embed_bg.wasm" -o "$built/embed_bg.wasm"
        node_modules/.bin/esbuild "$built/embed.js" --minify --format=esm --target=es2022 --allow-overwrite --log-level=warning --outfile="$built/embed.js"
    fi
    touch "$built/done"
fi

for file in "$built/embed.js" "$built/embed_bg.wasm" style/player.css; do
    cmp -s "$file" "$site/pkg/${file##*/}" || cp "$file" "$site/pkg/"
done
