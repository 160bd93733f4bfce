#!/usr/bin/env bash
# A thousand jobs through SQS, each with one to three messages, shuffled and partly late, and four workers: how long until all are done, each
# once; and how long it takes from MediaConvert's event in the queue to `done`. Runs the tests that prove it and shows their numbers.
#
#   end2end/aws/stack.py run -- benches/queue/run.sh                               on SQLite
#   scripts/with-postgres.sh end2end/aws/stack.py run -- benches/queue/run.sh      on PostgreSQL
#
# The work itself takes no time there, so this measures queue, leases and rows and nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
for test in a_thousand_jobs doubled_late_and_foreign_events; do
    # One after the other: they would share the processor.
    cargo test -q -p server --test it -- --ignored "aws_queue::$test" --nocapture
done
