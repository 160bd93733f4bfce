#!/usr/bin/env bash
# The whole corpus of hostile media, then mutants of good films: scripts/fuzz-media.sh [MUTANTS], 10000 where nothing is said. FIRST_MUTANT is
# the number of the first one, to go on or to look at one again.
set -euo pipefail
cd "$(dirname "$0")/.."

it() { cargo test -p server --test it -- --ignored --nocapture --exact "$1"; }

it hostile_media::the_whole_corpus_is_boring
MUTANTS=${1:-10000} it hostile_media::mutants_are_boring
