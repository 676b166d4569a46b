# SPDX-License-Identifier: BSD-3-Clause
# setup.sh - process 1 of the guest on the host's root: the fabric if wanted, the command, then off.
#
# MTU comes from vm.sh, in /run/guest/parameters; 0: the command makes its fabric itself.
. /run/guest/parameters
. /run/guest/fabric.sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

say() {
	local up _
	read -r up _ </proc/uptime
	echo "guest at $up s: $*"
}

say "kernel $(</proc/sys/kernel/osrelease)"
echo guest >/proc/sys/kernel/hostname
ulimit -l unlimited
ulimit -c 0
ip link set lo up
if [ "$MTU" != 0 ]; then
	ip netns add fab-a
	ip netns add fab-b
	fabric fab-a fab-b "$MTU"
fi
say "set up, the command starts"
for port in /sys/class/virtio-ports/*; do
	[ "$(<"$port/name")" = output ] && break
done
bash /run/guest/command.sh </dev/null >"/dev/${port##*/}" 2>&1
status=$?
say "the command ended with $status"
dmesg >/run/guest/dmesg
echo $status >/run/guest/status
echo o >/proc/sysrq-trigger
while :; do read -rt 10 _ </dev/console; done # process 1 must not end
