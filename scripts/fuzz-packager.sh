#!/usr/bin/env bash
# Feeds the packager what a fuzzer makes of small films: scripts/fuzz-packager.sh [SECONDS], 60 where nothing is said. What leads somewhere new
# is kept in fuzz/corpus/packager; what breaks something is left in fuzz/artifacts. Needs a C++ compiler, and no nightly Rust: the packager
# has no unsafe code that a sanitizer would watch.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

# What cargo-fuzz sets, without its sanitizer: which branches were taken, and what was compared with what.
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
coverage+=' -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg=fuzzing'
target=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="$coverage" cargo build --release --locked --target "$target" --bin packager
mkdir -p artifacts found
trap 'rm -rf found' EXIT
"${CARGO_TARGET_DIR:-target}/$target/release/packager" found corpus/packager -max_total_time="${1:-60}" -max_len=65536 -timeout=10 \
  -rss_limit_mb=1024 -artifact_prefix=artifacts/
# Only what brings something that the corpus has not is added to it.
"${CARGO_TARGET_DIR:-target}/$target/release/packager" -merge=1 corpus/packager found
