# SPDX-License-Identifier: BSD-3-Clause
# fabric.sh - the RDMA fabric of the guest (sourced by setup.sh and by scripts that run there).
#
# A fabric joins two namespaces: an interface fab0 in each, the ends of a veth pair, with 10.88.0.1 and
# .2, fd88::1 and ::2, and a soft-RoCE device on each, rxe_a and rxe_b. All namespaces see both
# devices (`rdma system`: shared), but a device's packets come and go in its interface's namespace.

# fabric_end NAMESPACE DEVICE NUMBER: what one end of the fabric has beside its interface.
fabric_end() {
	local ns=$1 dev=$2 n=$3
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.fab0.accept_dad=0
	ip -n "$ns" addr add "10.88.0.$n/24" dev fab0
	ip -n "$ns" addr add "fd88::$n/64" dev fab0 nodad
	ip -n "$ns" link set lo up
	ip -n "$ns" link set fab0 up
	ip netns exec "$ns" rdma link add "$dev" type rxe netdev fab0
}

# fabric A B MTU: joins two namespaces that there are.
fabric() {
	ip link add fab0 mtu "$3" netns "$1" type veth peer name fab0 mtu "$3" netns "$2"
	fabric_end "$1" rxe_a 1
	fabric_end "$2" rxe_b 2
}

# fabric_loss A B PERCENT: packets that the fabric loses, in each direction.
fabric_loss() {
	local ns
	for ns in "$1" "$2"; do
		if [ "$3" = 0 ]; then
			ip netns exec "$ns" tc qdisc del dev fab0 root 2>/dev/null || true
		else
			ip netns exec "$ns" tc qdisc replace dev fab0 root netem loss "$3%"
		fi
	done
}
