#!/usr/bin/env bash
# Known vulnerabilities of what is built, as the world knows them today: needs a network, so it is not part of `make test`. Asks all of it,
# then says whether something was found.
set -uo pipefail
cd "$(dirname "$0")/.."

found=0
echo "==> Rust: advisories of RustSec, and yanked versions"
cargo deny --locked check --hide-inclusion-graph advisories || found=1
echo "==> JavaScript: what the player is bundled from, and what tests and builds use"
npm audit --package-lock-only || found=1
[ $found -eq 0 ] || echo "Something was found, or could not be asked for. An advisory that does not concern us gets an entry in deny.toml with reason and date." >&2
exit $found
