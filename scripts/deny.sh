#!/usr/bin/env bash
# Licences, banned crates and sources of everything that is built, by deny.toml and the lock file: needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo deny --offline --locked check --hide-inclusion-graph licenses bans sources
