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
    sha256sum Cargo.toml Cargo.lock package-lock.json scripts/bundle-hls.mjs scripts/build-embed.sh scripts/build-site.sh scripts/precompress.mjs
    rustc --version
}

wanted=$(inputs)
if [ -e "$site/pkg/millrace.wasm" ] && [ "$wanted" = "$(cat "$stamp" 2>/dev/null)" ]; then
    exit 0
fi

began=$SECONDS
printf '\033[1m==>\033[0m Building what the browser loads\n'
rm -f "$stamp"
node scripts/bundle-hls.mjs
# cargo-leptos empties the site first and copies public/ into it; so the embed entry comes after it.
# All of it happens in another folder: a server that is running, or a build that fails, keeps the site there was.
building=$target/site.building
LEPTOS_SITE_ROOT=$building cargo leptos build --release --frontend-only
scripts/build-embed.sh release "$building"
rm -f "$building"/pkg/*.d.ts
node scripts/precompress.mjs "$building"
rm -rf "$site"
mv "$building" "$site"
printf '%s\n' "$wanted" >"$stamp"
printf '\033[1m==>\033[0m Built %s in %s s\n' "$site" $((SECONDS - began))
