#!/usr/bin/env bash
# Installs what building and running Millrace need; with --test, what testing needs too, and with --test --firefox also a Firefox. Looks
# before each step and does only what is missing, so a second run takes no time. Packages of the system come first: whoever cannot install
# them learns it at once.
set -euo pipefail
cd "$(dirname "$0")/.."

with_tests=no
[ "${1:-}" = --test ] && with_tests=yes
with_firefox=no
[ "${2:-}" = --firefox ] && with_firefox=yes

rust_minimum=1.95
node_minimum=18
[ $with_tests = yes ] && node_minimum=20
cargo_leptos=0.3.10
wasm_bindgen=0.2.130
cargo_deny=0.20.2
tools=${BUILD_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/tools}
PATH="$tools/bin:$HOME/.cargo/bin:$PATH"

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
stop() { printf '\n%s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; } # at_least VERSION MINIMUM
node_version() { node -p process.versions.node 2>/dev/null || echo 0; }
browser() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        if [ -n "$name" ] && have "$name"; then return 0; fi
    done
    return 1
}

# ---- Programs of the system ----------------------------------------------------------------------------------------------------
missing=()  # what it is, for people
packages=() # what it is called in Debian and Ubuntu
need() { # need PROGRAM "WHAT FOR" PACKAGE...
    have "$1" && return
    missing+=("$1: $2")
    packages+=("${@:3}")
}

system_programs() {
    need cc "links Rust programs and compiles SQLite" build-essential
    need ffmpeg "encodes the videos" ffmpeg
    need ffprobe "looks into uploaded files" ffmpeg
    need bwrap "keeps ffmpeg away from everything but the one file it works on" bubblewrap
    need node "bundles the player's JavaScript and makes the WASM small" nodejs
    need npm "fetches the JavaScript packages" npm
    if [ $with_tests = yes ] && ! browser; then
        missing+=("chromium: the browser that the end-to-end tests drive")
        packages+=(chromium fonts-liberation)
    fi
    [ $with_firefox = no ] || need "${FIREFOX:-firefox-esr}" "the other browser that is driven (FIREFOX names one that is called otherwise)" firefox-esr
    if [ $with_tests = yes ] && ! have initdb && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
        missing+=("postgres: the second database that the integration tests run on")
        packages+=(postgresql)
    fi
    if [ $with_tests = yes ] && ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        missing+=("python3 with its venv module: runs the emulators of AWS")
        packages+=(python3 python3-venv)
    fi
    if [ $with_tests = yes ]; then
        need strace "shows that what was acknowledged had been brought to the disk before" strace
        need faketime "gives one of two workers a wrong clock" faketime
    fi
    [ $with_tests = no ] || need openssl "makes the certificate of that database for its tests" openssl
    [ ${#missing[@]} -eq 0 ] && return

    say "Programs that are missing:"
    printf '      %s\n' "${missing[@]}"
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
    local install="apt-get install -y --no-install-recommends ${packages[*]}"
    have apt-get || stop "Install them with your system's package manager, then run this again."
    local become=()
    if [ "$(id -u)" -ne 0 ]; then
        if have sudo && sudo -n true 2>/dev/null; then
            become=(sudo)
        else
            stop "Installing them takes root. Run this, then try again:"$'\n\n'"    sudo sh -c 'apt-get update && $install'"
        fi
    fi
    say "Installing: ${packages[*]}"
    "${become[@]}" apt-get update -q
    # shellcheck disable=SC2086
    "${become[@]}" env DEBIAN_FRONTEND=noninteractive $install
    if [ $with_tests = yes ] && ! browser; then
        stop "Chromium was installed but is not on the path. Set CHROMIUM to a Chromium or Chrome that plays H.264 and try again."
    fi
}

# Debian 12 has Node.js 18, and Playwright wants 20: then npm brings a newer one, into our tools' folder only.
newer_node() {
    at_least "$(node_version)" $node_minimum && return
    say "Fetching Node.js 22: this machine has $(node_version), and $node_minimum or newer is needed"
    npm install --prefix "$tools/node" --no-fund --no-audit --loglevel=error node@22
    mkdir -p "$tools/bin"
    ln -sf "$tools/node/node_modules/node/bin/node" "$tools/bin/node"
    at_least "$(node_version)" $node_minimum || stop "That did not work. Install Node.js $node_minimum or newer (nodejs.org), then try again."
}

# ---- Rust ----------------------------------------------------------------------------------------------------------------------
check_rust() {
    have cargo || stop "Rust is missing. Install it as https://rustup.rs says (one command, no root), open a new shell, try again."
    local version
    version=$(rustc --version | cut -d' ' -f2)
    at_least "$version" $rust_minimum || stop "Rust $version is too old: $rust_minimum or newer is needed. Run: rustup update stable"
}

wasm_target() {
    [ -d "$(rustc --print target-libdir --target wasm32-unknown-unknown)" ] && return
    have rustup || stop "Rust's WASM target is missing, and so is rustup, which would install it. See https://rustup.rs"
    say "Adding Rust's target wasm32-unknown-unknown: the dashboard and the player are Rust, compiled for the browser"
    rustup target add wasm32-unknown-unknown
}

# A prebuilt one where the user has cargo-binstall; else compiled, unoptimised, since it runs for seconds and compiles for minutes.
# The compile's own folder survives an interrupted run, so the next one goes on where it stopped.
rust_tool() { # rust_tool CRATE VERSION MINUTES CARGO-FLAGS...
    local crate=$1 version=$2 minutes=$3 began=$SECONDS
    shift 3
    if have cargo-binstall; then
        say "Fetching $crate $version"
        cargo binstall --no-confirm --disable-strategies compile --root "$tools" "$crate@$version" && return
        say "There is no prebuilt one for this machine"
    fi
    say "Compiling $crate $version: about $minutes minutes on 2 cores, this once"
    env CARGO_TARGET_DIR="$tools/build" CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo install --root "$tools" "$crate@$version" "$@"
    say "Compiled $crate in $((SECONDS - began)) s"
}

rust_tools() {
    if [ "$(cargo leptos --version 2>/dev/null | cut -d' ' -f2)" != $cargo_leptos ]; then
        rust_tool cargo-leptos $cargo_leptos 6 --locked
    fi
    if [ "$(wasm-bindgen --version 2>/dev/null | cut -d' ' -f2)" != $wasm_bindgen ]; then
        rust_tool wasm-bindgen-cli $wasm_bindgen 1
    fi
    if [ $with_tests = yes ] && [ "$(cargo deny --version 2>/dev/null | cut -d' ' -f2)" != $cargo_deny ]; then
        rust_tool cargo-deny $cargo_deny 2 --locked
    fi
    rm -rf "$tools/build"
}

# ---- JavaScript ----------------------------------------------------------------------------------------------------------------
npm_packages() {
    local stamp=node_modules/.millrace-lock
    cmp -s package-lock.json $stamp && return
    say "Installing the JavaScript packages named in package-lock.json"
    npm ci --no-fund --no-audit
    cp package-lock.json $stamp
}

check_rust
system_programs
newer_node
wasm_target
rust_tools
npm_packages
