#!/usr/bin/env bash
# Builds Frontdesk from this checkout and runs it: installs what is missing, then starts `frontdesk up`.
# Works as root and as an ordinary user; arguments go to `frontdesk up`; Ctrl-C stops it cleanly.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
binary=${CARGO_TARGET_DIR:-target}/release/frontdesk

tools=$(deploy/install-tools.sh)
export PATH="$tools:$PATH"

if [[ -x $binary ]]; then
    echo "Checking that the build is up to date." >&2
else
    echo "Building Frontdesk. The first time this takes about ten minutes on two cores; later starts are immediate." >&2
fi
cargo build --release --workspace --locked

# Data, and with them every command that talks to the instance, are found from the folder they are run in.
echo "Starting Frontdesk. Its data is in $PWD/data unless configured otherwise; Ctrl-C stops it." >&2
echo "Before you paste commands into another terminal: cd $(printf %q "$PWD")" >&2
exec "$binary" up "$@"
