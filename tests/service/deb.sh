#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# deb.sh OUT [SOURCE] - builds the Debian packages of the tree from a copy of it; OUT gets *.deb.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
src=$(cd "${2:-$(dirname "${BASH_SOURCE[0]}")/../..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tagd"
tar -C "$src" --exclude=./.git --exclude='./build*' --exclude=__pycache__ -cf - . | tar -C "$work/tagd" -xf -
cd "$work/tagd"
export DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$(nproc)"
dpkg-buildpackage -b -uc -us >"$out/dpkg-buildpackage.log" 2>&1 ||
	{ tail -n 40 "$out/dpkg-buildpackage.log" >&2; exit 1; }
rm -f "$out"/*.deb
mv "$work"/*.deb "$out/"
