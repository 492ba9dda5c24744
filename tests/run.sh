#!/usr/bin/env bash
# Runs every check of this checkout: format, lints, build, all tests; installs the servers they need first.
# Arguments are names of tests to run instead of all, e.g. `tests/run.sh journal`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
if [[ ${CI:-} ]]; then
    export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never NO_COLOR=1 TERM=dumb
    # What is built once needs no notes for building it again; they are most of the disk space.
    export CARGO_INCREMENTAL=0
fi

# step NAME COMMAND...: runs the command and says how long it took; the first failure ends the run.
step() {
    doing=$1 began=$SECONDS
    shift
    printf '\n== %s\n' "$doing"
    "$@"
    printf '== %s: ok, %d s\n' "$doing" $((SECONDS - began))
}
trap '(($? == 0)) || printf "== %s: FAILED after %d s\n" "$doing" $((SECONDS - began))' EXIT

# The tests start servers of their own, throwaway ones; only the programs have to be here.
programs() {
    local missing=() ready=true
    has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
    has strace || missing+=(strace)
    has ps || missing+=(procps)
    # Mail servers to talk to, and a browser to chat in.
    [[ -x /usr/sbin/dovecot ]] || missing+=(dovecot-imapd)
    [[ -x /usr/sbin/postfix ]] || missing+=(postfix)
    has chromium || missing+=(chromium)
    has npm || missing+=(nodejs npm)
    [[ $(fc-list 2>/dev/null) ]] || missing+=(fontconfig fonts-dejavu-core)
    # Whoever may not install hears of everything at once.
    deploy/install-packages.sh "${missing[@]}" || ready=false
    tools=$(deploy/install-tools.sh --lint) || ready=false
    $ready || exit 1
    if [[ ! tests/browser/node_modules/.package-lock.json -nt tests/browser/package-lock.json ]]; then
        npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --silent
    fi
}
has() { command -v "$1" >/dev/null; }
step "programs" programs
export PATH="$tools:$PATH"

step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
step "build" cargo build --workspace --all-targets --locked
step "examples in the documentation" cargo test --doc --workspace --locked

# Last and in place of this script, so that the runner's summary is the closing line.
printf '\n== tests\n'
if cargo nextest --version >/dev/null 2>&1; then
    exec cargo nextest run --workspace --locked --no-fail-fast "$@"
fi
echo "cargo-nextest is not installed (cargo install cargo-nextest --locked); using the slower cargo test."
exec cargo test --workspace --all-targets --locked --no-fail-fast -- "$@"
