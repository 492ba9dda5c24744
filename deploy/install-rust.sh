#!/usr/bin/env bash
# Finds a Rust toolchain that can build this checkout, else installs one with rustup or Debian's packages.
# Prints the folder of its cargo on stdout, to be put first on PATH. With --lint, rustfmt and clippy come too.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
least=$(sed -n 's/^rust-version *= *"\(.*\)".*/\1/p' "$here/../Cargo.toml")
lint=false
[[ ${1:-} == --lint ]] && lint=true

at_least() { [[ $1 ]] && printf '%s\n%s\n' "$least" "$1" | sort -C -V; }

# Both are asked: an old rustc beside a new cargo builds nothing.
good() {
    [[ -x $1/cargo && -x $1/rustc ]] || return 1
    at_least "$("$1/rustc" --version 2>/dev/null | cut -d' ' -f2)" || return 1
    at_least "$("$1/cargo" --version 2>/dev/null | cut -d' ' -f2)" || return 1
    ! $lint || { "$1/cargo-fmt" --version && "$1/cargo-clippy" --version; } >/dev/null 2>&1
}
use() {
    echo "$1"
    exit 0
}

homes=("${CARGO_HOME:-${HOME:-/root}/.cargo}/bin")
if cargo=$(command -v cargo); then homes=("$(dirname "$cargo")" "${homes[@]}"); fi
for home in "${homes[@]}" /usr/bin; do
    if good "$home"; then use "$home"; fi
done

for rustup in "$(command -v rustup || true)" "${homes[-1]}/rustup"; do
    [[ -x $rustup ]] || continue
    echo "Installing Rust with rustup: the stable toolchain ($least or newer is needed)" >&2
    "$rustup" toolchain install stable --profile minimal --component rustfmt --component clippy >&2
    home=$(dirname "$("$rustup" which --toolchain stable cargo)")
    if good "$home"; then use "$home"; fi
done

# Debian 12's own rustc is too old for ever, but the one it keeps for building browsers follows upstream.
packages=(rustc-web cargo-web ca-certificates)
$lint && packages+=(rustfmt-web rust-web-clippy)
candidate() { apt-cache policy rustc-web 2>/dev/null | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p'; }
if command -v apt-get >/dev/null; then
    # Only the package lists tell whether there is one, and a fresh machine has none.
    if ((EUID == 0)) && ! at_least "$(candidate)"; then apt-get -qq update >&2 || true; fi
    if at_least "$(candidate)" && "$here/install-packages.sh" "${packages[@]}" && good /usr/bin; then use /usr/bin; fi
fi

echo "Rust $least or newer is needed$($lint && echo ', with rustfmt and clippy'), and none was found: install it with rustup (rustup.rs), then run this again." >&2
if ((EUID != 0)) && command -v apt-get >/dev/null && [[ ! $(candidate) ]]; then
    echo "Or, on Debian 12, ask an administrator to run: apt-get update && apt-get install --no-install-recommends ${packages[*]}" >&2
fi
exit 1
