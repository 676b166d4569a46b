#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# boot.sh DEBS RESULTS [PYTEST ARGS...] - boots systemd in a container whose root is an overlay of
# this machine's (nothing of it stays), runs guest/test_guest.py in there as root with the packages
# of DEBS at hand, and leaves its output and JUnit file in RESULTS.
#
# Exit status: 0 all passed, 1 some failed or it did not boot, 77 containers cannot be had here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${TAG_BOOT_INSIDE:-}" ]; then
	TAG_BOOT_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi
debs=$(cd "$1" && pwd)
results=$(mkdir -p "$2" && cd "$2" && pwd)
shift 2
TIME_LIMIT=${TAG_BOOT_SECONDS:-240}

cannot() { echo "service: $*" >&2; exit 77; }
command -v systemd-nspawn >/dev/null || cannot "systemd-nspawn is not installed (package systemd-container)"

base=$(mktemp -d)
trap 'umount -R "$base" 2>/dev/null; rmdir "$base"' EXIT
mount -t tmpfs -o mode=0755 tag-service "$base"
mkdir "$base/up" "$base/work" "$base/root"
mount -t overlay tag-service -o "lowerdir=/,upperdir=$base/up,workdir=$base/work" "$base/root" 2>/dev/null ||
	cannot "no overlay file system"
root=$base/root

# A root of its own: no other services, an empty journal, our test as the only thing to reach.
rm -rf "$root/etc/machine-id" "$root/var/log/journal" "$root/etc/tag" "$root/usr/sbin/policy-rc.d"
: >"$root/etc/machine-id"
mkdir -p "$root/tag-test"
cp -r "$here/guest" "$debs"/*.deb "$root/tag-test/"
cat >"$root/etc/systemd/system/tag-test.target" <<-END
	[Unit]
	Requires=dbus.socket systemd-journald.service tag-test.service
	After=dbus.socket systemd-journald.service
	AllowIsolate=yes
END
cat >"$root/etc/systemd/system/tag-test.service" <<-END
	[Unit]
	After=dbus.socket systemd-journald.service
	SuccessAction=exit-force
	FailureAction=exit-force
	[Service]
	Type=oneshot
	Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
	ExecStart=/usr/bin/python3 -m pytest -q -x -p no:cacheprovider --basetemp=/tmp/pytest-guest --junitxml=/tag-results/guest.xml $* /tag-test/guest
	StandardOutput=file:/tag-results/guest.log
	StandardError=inherit
	TimeoutStartSec=$TIME_LIMIT
END
rm -f "$results/guest.xml" "$results/guest.log"
# The container manager hides /sys/module, which DPDK looks at.
binds=(--bind-ro=/sys/module)
[ ! -e /dev/net/tun ] || binds+=(--bind=/dev/net/tun)
timeout -k 5 $((TIME_LIMIT + 30)) systemd-nspawn --quiet --register=no --keep-unit --directory="$root" \
	--private-network --capability=all --system-call-filter="@debug @ipc" --bind="$results:/tag-results" "${binds[@]}" --console=pipe \
	--boot -- --unit=tag-test.target </dev/null >"$results/console.log" 2>&1 || true
if [ ! -s "$results/guest.xml" ]; then
	[ -s "$results/guest.log" ] || cannot "systemd does not boot in a container here: $(tail -n 1 "$results/console.log")"
	exit 1
fi
! grep -Eq '<(failure|error)' "$results/guest.xml"
