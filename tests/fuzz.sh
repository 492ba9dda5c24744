#!/usr/bin/env bash
# Tries the parsers of everything that comes from outside for so many minutes (10 if not said), with more
# cases each round. A case that breaks a promise ends the run; tests/FUZZING.md says how it is kept.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
minutes=${1:-10}
if ! [[ $minutes =~ ^[0-9]+$ ]]; then
    echo "usage: tests/fuzz.sh [MINUTES]" >&2
    exit 2
fi

# As the other tests are built: with every check for overflows and broken assumptions.
packages=(-p contact -p connector -p connector-phone -p connector-email -p connector-chat -p intake -p api -p frontdesk)
targets=(--lib --bins --tests --locked)
cargo test "${packages[@]}" "${targets[@]}" --no-run

rounds=0 cases=${PROPTEST_CASES:-256} began=$SECONDS
while ((rounds == 0 || SECONDS - began < minutes * 60)); do
    printf '\n== round %d: %d cases\n' $((rounds + 1)) "$cases"
    started=$SECONDS
    # Beside a parser stand its properties under names of their own; elsewhere the names say it.
    PROPTEST_CASES=$cases cargo test --quiet "${packages[@]}" --lib --locked
    PROPTEST_CASES=$cases cargo test --quiet "${packages[@]}" --bins --tests --locked -- fuzz hostile
    rounds=$((rounds + 1)) took=$((SECONDS - started))
    # Twice as many, as long as that fits into what is left.
    if ((SECONDS - began + 2 * took < minutes * 60)); then cases=$((cases * 2)); fi
done
printf '\n== %d rounds, nothing found\n' "$rounds"
