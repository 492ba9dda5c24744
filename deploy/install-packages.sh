#!/usr/bin/env bash
# Installs the Debian packages named as arguments, those that are missing: as root, or through sudo where
# that asks for no password. Otherwise it says which one command an administrator should run, and fails.
set -euo pipefail

missing=()
for name in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
    [[ $state == installed ]] || missing+=("$name")
done
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
    echo "This system has no apt-get: please install the equivalent of ${missing[*]} yourself, then run this again." >&2
    exit 1
fi

as_root=()
if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
        echo "Missing: ${missing[*]}. Please ask an administrator to run: apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi

# Never removes a package to make room for another: that is a decision for a person.
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends --no-remove "${missing[@]}" >&2
}

echo "Installing ${missing[*]}" >&2
# A fresh machine has no package lists and an old one has stale ones; both are cured by one update.
if ! install 2>/dev/null; then
    "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=120 update >&2
    install || {
        echo "apt-get could not install ${missing[*]}; its own words are above." >&2
        exit 1
    }
fi
