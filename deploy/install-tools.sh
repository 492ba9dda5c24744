#!/usr/bin/env bash
# Makes sure of all that building and running need: a C compiler, Rust, nats-server. With --lint, rustfmt and clippy too.
# Prints the folders to be put first on PATH on stdout; what is missing is said in one go, not one by one.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ready=true

command -v cc >/dev/null || "$here/install-packages.sh" gcc libc6-dev || ready=false
rust=$("$here/install-rust.sh" "$@") || ready=false
"$here/install-nats.sh" || ready=false
$ready || exit 1

# nats-server's folder is named because the binary may be built outside this checkout, and would not find it.
echo "$rust:$(realpath -m "$here/../.tools/bin")"
