#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# vm.sh - runs a command as root in a throw-away guest that has kernel RDMA devices (soft-RoCE).
#
#   vm.sh [OPTIONS] -- COMMAND...
#	--mtu BYTES	a fabric between namespaces fab-a and fab-b, see guest/fabric.sh, with this Ethernet
#			MTU (4200: path MTU 4096; 1500: path MTU 1024); 0: none
#	--memory MIB	of the guest (768)
#	--timeout S	for everything (120)
#	--out DIR	gets what the command leaves in /run/guest/out
#	-v		shows console and kernel messages even when all is well
#
# The guest is a Debian kernel (kernel.sh) under qemu on this machine's own root file system, shared
# read-only with a tmpfs over it: what is installed or built here runs there under the same path,
# and what it writes is gone at the end. Output and exit status are the command's; 125: the guest
# gave none, 77: there is no guest to be had on this machine (the reason is printed).
#
# The processor is emulated: on a machine where /dev/kvm really works, TAG_VM_ACCEL=kvm is faster.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
MTU=4200 MEMORY=768 TIMEOUT=120 OUT= VERBOSE=

die() { printf 'vm.sh: %s\n' "$2" >&2; exit "$1"; }

while [ $# -gt 0 ]; do
	case $1 in
	--mtu) MTU=$2; shift ;;
	--memory) MEMORY=$2; shift ;;
	--timeout) TIMEOUT=$2; shift ;;
	--out) OUT=$2; shift ;;
	-v) VERBOSE=1 ;;
	--) shift; break ;;
	*) die 2 "what is $1? (options end with --)" ;;
	esac
	shift
done
[ $# -gt 0 ] || die 2 "no command"
for tool in qemu-system-x86_64 busybox cpio; do
	command -v $tool >/dev/null || die 77 "$tool is not installed"
done
KERNEL=$("$HERE/kernel.sh") || die 77 "there is no kernel for the guest"

RUN=$(mktemp -d "${TMPDIR:-/tmp}/tagd-vm.XXXXXX")
trap 'rm -rf "$RUN"' EXIT
EXCHANGE=$RUN/exchange # /run/guest in the guest

# The initial RAM disk: busybox, the modules, guest/init.
initrd() {
	local top=$RUN/initrd
	mkdir -p "$top"/{bin,dev,proc,lower,upper,root}
	cp "$(command -v busybox)" "$top/bin/busybox"
	cp "$HERE/guest/init" "$top/init"
	chmod 755 "$top/init"
	cp -r "$KERNEL/modules" "$top/modules"
	(cd "$top" && find . | cpio -o -H newc --quiet) >"$RUN/initrd.cpio"
	rm -rf "$top"
}

# What the guest reads of its task.
exchange() {
	mkdir "$EXCHANGE" "$EXCHANGE/out"
	cp "$HERE/guest/setup.sh" "$HERE/guest/fabric.sh" "$EXCHANGE/"
	printf 'MTU=%q\n' "$MTU" >"$EXCHANGE/parameters"
	{
		printf 'cd %q || exit 125\nexec' "$PWD"
		printf ' %q' "$@"
		echo
	} >"$EXCHANGE/command.sh"
}

# The guest's processor waits for a pipe nobody reads: output goes to a file.
guest() {
	local accel=${TAG_VM_ACCEL:-tcg,thread=multi} cpu=max,la57=off
	case $accel in kvm*) cpu=host ;; esac
	timeout --foreground -k 5 "$TIMEOUT" qemu-system-x86_64 -name tagd-vm \
		-nodefaults -no-user-config -display none -no-reboot \
		-machine q35,smm=off,hpet=off -accel "$accel" -cpu "$cpu" -smp 2 -m "$MEMORY" \
		-kernel "$KERNEL/vmlinuz" -initrd "$RUN/initrd.cpio" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off audit=0 apparmor=0 no_timer_check" \
		-serial file:"$RUN/console" \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev local,id=exchange,path="$EXCHANGE",security_model=none \
		-device virtio-9p-pci,fsdev=exchange,mount_tag=exchange \
		-device virtio-serial-pci -chardev file,id=output,path="$RUN/output" \
		-device virtserialport,chardev=output,name=output \
		-device virtio-rng-pci </dev/null >"$RUN/qemu" 2>&1
}

# The kernel died before its first process spoke: without KVM, patching code that another processor
# runs goes wrong now and then. That says nothing about the command.
stillborn() {
	! grep -q '^guest at ' "$RUN/console" && grep -q 'Kernel panic' "$RUN/console"
}

initrd
exchange "$@"
for _ in 1 2 3; do
	: >"$RUN/output"
	ended=0
	guest || ended=$?
	stillborn || break
	echo "vm.sh: the guest's kernel died while booting" >&2
done
cat "$RUN/output"
[ -z "$OUT" ] || cp -r "$EXCHANGE/out/." "$OUT/"
status=$(cat "$EXCHANGE/status" 2>/dev/null) || status=
if [ -n "$VERBOSE" ] || [ -z "$status" ]; then
	{
		cat "$RUN/qemu"
		tr -d '\r' <"$RUN/console" | tail -n 60
		grep -iE 'rxe|warn|bug:|oops|error|segfault' "$EXCHANGE/dmesg" 2>/dev/null | tail -n 40
	} >&2 || true
fi
[ -n "$status" ] || die 125 "the guest gave no exit status (qemu ended with $ended; 124: after $TIMEOUT s)"
exit "$status"
