#!/usr/bin/env bash
# What the database is asked, at a million videos: pages of the library, searches by title, and how soon a job starts.
#
#   benches/data/run.sh [--short] [--json FILE]
#
# Fills a SQLite file and a PostgreSQL of its own (started for it): one account with 1,000,000 videos among 100 others with 10,000 each;
# --short: 100,000 among 10 with 2,000. Then it asks the product's own services, in turns with the plain way of doing the same: OFFSET, LIKE,
# looking for jobs every second. Prints medians and 99th percentiles in milliseconds, how many times as long the plain way takes (of the
# medians; the spread is that of the quartiles), what the process's own threads worked for it, and the machine's cores, kernel and load. That the search finds what LIKE finds is checked.
# PostgreSQL runs with fsync=off here: what waits for its disk is not in these numbers. SQLite's commits are on disk.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build -q --release -p server --example data
exec scripts/with-postgres.sh "${CARGO_TARGET_DIR:-target}/release/examples/data" "$@"
