# SPDX-License-Identifier: BSD-3-Clause
# setup.sh - process 1 of the guest on the host's root: the fabric, then the command, then off.
#
# ENDS="A B" and MTU come from vm.sh, in /run/guest/parameters. Makes namespaces A and B, the veth
# pair fab0 (in A) and fab0 (in B) with this MTU, 10.88.0.1 and .2, fd88::1 and ::2, and a soft-RoCE
# device on each: rxe_a and rxe_b. All namespaces see both devices (`rdma system`: shared), but a
# device's packets come and go in the namespace of its interface.
. /run/guest/parameters
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

say() {
	local up _
	read -r up _ </proc/uptime
	echo "guest at $up s: $*"
}

# end NAMESPACE DEVICE NUMBER: what one end of the fabric has beside its interface.
end() {
	local ns=$1 dev=$2 n=$3
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.fab0.accept_dad=0
	ip -n "$ns" addr add "10.88.0.$n/24" dev fab0
	ip -n "$ns" addr add "fd88::$n/64" dev fab0 nodad
	ip -n "$ns" link set lo up
	ip -n "$ns" link set fab0 up
	ip netns exec "$ns" rdma link add "$dev" type rxe netdev fab0
}

fabric() {
	local a b
	read -r a b <<<"$ENDS"
	ip netns add "$a"
	ip netns add "$b"
	ip link add fab0 mtu "$MTU" netns "$a" type veth peer name fab0 mtu "$MTU" netns "$b"
	end "$a" rxe_a 1
	end "$b" rxe_b 2
}

say "kernel $(</proc/sys/kernel/osrelease)"
echo guest >/proc/sys/kernel/hostname
ulimit -l unlimited
ulimit -c 0
ip link set lo up
fabric
say "fabric is up, the command starts"
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
