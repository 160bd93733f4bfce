#!/usr/bin/env bash
# Builds what the browser loads into TARGET/site: the hls.js bundle, the dashboard's WASM and CSS, the embed page's WASM, and a
# Brotli twin of each. Skipped while nothing it is made of has changed (by content, so that a fresh checkout of the same files counts as the same).
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:-target}
site=$target/site
stamp=$target/site.inputs

inputs() {
    find domain app frontend style public .cargo -type f -not -path 'public/vendor/*' -print0 | sort -z | xargs -0 sha256sum
    sha256sum Cargo.toml Cargo.lock package-lock.json scripts/bundle-hls.mjs scripts/build-embed.sh scripts/build-site.sh scripts/precompress.mjs scripts/trim-wasm.mjs scripts/version-site.mjs
    rustc --version
}

wanted=$(inputs)
if [ -e "$site/pkg/embed_bg.wasm" ] && [ "$wanted" = "$(cat "$stamp" 2>/dev/null)" ]; then
    exit 0
fi

began=$SECONDS
printf '\033[1m==>\033[0m Building what the browser loads\n'
rm -f "$stamp"
node scripts/bundle-hls.mjs
# cargo-leptos empties the site first and copies public/ into it; so the embed entry comes after it.
# All of it happens in another folder: a server that is running, or a build that fails, keeps the site there was.
building=$target/site.building
# Cut and bound only (wasm-opt is asked for its version and no more): it leaves out the names that the trimming goes by, so it comes after that.
LEPTOS_WASM_OPT_FEATURES=--version LEPTOS_SITE_ROOT=$building cargo leptos build --release --frontend-only --split
node scripts/trim-wasm.mjs "$building/pkg"
# Whoever asked for a part says what it means that it could not be had; a page that is left in the middle of it is none of that.
sed -i 's/console\.error(e);//' "$building"/pkg/__wasm_split*.js
printf '%s\0' "$building"/pkg/*.wasm | xargs -0 -P 2 -I FILE node_modules/.bin/wasm-opt -Oz --enable-bulk-memory --enable-bulk-memory-opt \
    --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals --enable-reference-types --enable-multivalue FILE -o FILE
rm -f "$building"/pkg/*.d.ts
node scripts/version-site.mjs "$building"
scripts/build-embed.sh release "$building"
node scripts/precompress.mjs "$building"
rm -rf "$site"
mv "$building" "$site"
printf '%s\n' "$wanted" >"$stamp"
printf '\033[1m==>\033[0m Built %s in %s s\n' "$site" $((SECONDS - began))
