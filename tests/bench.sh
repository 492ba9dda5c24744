#!/usr/bin/env bash
# Measures this checkout: Frontdesk beside a hand-made pipeline with no features, in one run of about eight minutes,
# for SQLite and then PostgreSQL. Installs what is missing, builds release, prints a table of ratios and their targets.
# Arguments go to the benchmark: --json for JSON lines, --quick to see that it works, --store, --only, --help.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v initdb >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    deploy/install-packages.sh postgresql >&2
fi
[[ -x /usr/sbin/dovecot ]] || deploy/install-packages.sh dovecot-imapd >&2
tools=$(deploy/install-tools.sh)
export PATH="$tools:$PATH"

cargo build --release --workspace --locked
exec "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
