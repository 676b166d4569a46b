# SPDX-License-Identifier: BSD-3-Clause
# lab.sh - the lab with no hardware (sourced by ./run and by the tests).
#
#   tag-client --veth eth0/lan0-- tag-gw (tagd)  ==software HCA==  tag-server1 .. N (taghostd, tag0)
#
# Client LAN 10.77.0.0/24 and fd77::/64: client .2, gateway .1, servers .11, .12, ...
# What it runs and writes is under $LAB; everything is gone after lab_down.
#
# Tunables (environment): LAB_ACCELERATE=first-send|accept|off|min-bytes, LAB_MIN_BYTES=N, LAB_MAX=N
# (connections the gateway may accelerate), LAB_HOST_TIMEOUT=SECONDS, LAB_WORKERS=N, LAB_QUEUES=N (of the port; the
# workers share one otherwise),
# LAB_UD_LOSS=PERCENT, LAB_CC=CONGESTION-CONTROL of the kernels (the machine's default otherwise), LAB_TX_RING, LAB_RX_RING, LAB_SLOTS, LAB_FABRIC_MTU=BYTES,
# LAB_ROUTED=1 (the client's machine is the router to other networks),
# LAB_SHARED="ADDRESS ..." (addresses that all servers carry, beside their own), LAB_SERVERn="KEY = VALUE; ..."
# (more keys of the gateway's [server "sn"]), LAB_MORE=TEXT (more sections and keys of tagd.conf; they come
# before the service "everything"), LAB_GATEWAY="KEY = VALUE; ..." and LAB_PORT (the same of [gateway], [port]),
# TAG_DAEMONS=build dir of the daemons.
LAB=/run/tag/lab
LAB_SOFTHCA=/run/tag/softhca

# Programs of a build directory (this build's, or the daemons': those may carry sanitizers, which
# the library that is preloaded into other people's programs must not).
lab_path() {
	local d=${1:-$BUILD}
	echo "$d/gateway:$d/host:$d/ibside/softhca"
}

lab_ns() { # client|gw|serverN -> namespace
	case $1 in
	client | gw | server[0-9]*) echo "tag-$1" ;;
	*) die "no such place in the lab: $1 (client, gw, server1, ...)" ;;
	esac
}

# "a = 1; b = 2" as lines.
lab_keys() { tr ';' '\n' <<<"${1:-}" | sed 's/^ *//'; }

# Addresses that all servers carry: [with the prefix length of the LAN]
lab_shared() {
	local a
	for a in ${LAB_SHARED:-}; do
		case ${1:-}$a in
		len*:*) printf ', %s/64' "$a" ;;
		len*) printf ', %s/24' "$a" ;;
		*) printf ', %s' "$a" ;;
		esac
	done
}

lab_gateway_conf() {
	local n=$1 i key
	cat <<-EOF
		[gateway]
		name = gw1
		metrics = /run/tag/metrics.sock
		workers = ${LAB_WORKERS:-1}
		max-accelerated = ${LAB_MAX:-4096}
		host-timeout = ${LAB_HOST_TIMEOUT:-10}
		$(lab_keys "${LAB_GATEWAY:-}")

		[port "lan0"]
		device = net_af_packet0,iface=lan0,qdisc_bypass=1,framecnt=4096${LAB_QUEUES:+,qpairs=$LAB_QUEUES}
		address = 10.77.0.1/24, fd77::1/64
		${LAB_ROUTED:+next-hop4 = 10.77.0.2}
		${LAB_ROUTED:+next-hop6 = fd77::2}
		$(lab_keys "${LAB_PORT:-}")

		[fabric]
		device = soft0
		listen = /run/tag/fabric.sock
	EOF
	for ((i = 1; i <= n; i++)); do
		key=LAB_SERVER$i
		cat <<-EOF

			[server "s$i"]
			key = lab-key-$i
			address = 10.77.0.$((10 + i)), fd77::$((10 + i))$(lab_shared)
			$(lab_keys "${!key:-}")
		EOF
	done
	printf '\n%s\n' "${LAB_MORE:-}"
	cat <<-EOF

		[service "everything"]
		address = any
		port = any
		accelerate = ${LAB_ACCELERATE:-first-send}
	EOF
	if [ "${LAB_ACCELERATE:-}" = min-bytes ]; then echo "min-bytes = ${LAB_MIN_BYTES:-65536}"; fi
}

lab_host_conf() {
	local i=$1
	cat <<-EOF
		[host]
		name = s$i
		key = lab-key-$i
		tap = tag0
		address = 10.77.0.$((10 + i))/24, fd77::$((10 + i))/64$(lab_shared len)
		socket = $LAB/s$i/taghostd.sock
		${LAB_ROUTED:+route = 10.77.0.2, fd77::2}

		[fabric]
		device = soft0

		[arena]
		slots = ${LAB_SLOTS:-256}
		tx-ring = ${LAB_TX_RING:-1M}
		rx-ring = ${LAB_RX_RING:-512K}

		[gateway "gw1"]
		connect = unix:/run/tag/fabric.sock
	EOF
}

# lab_start NAME NAMESPACE COMMAND...: starts a daemon, its pid in $LAB/NAME.pid, its log beside it.
lab_start() {
	local name=$1 ns=$2
	shift 2
	setsid ip netns exec "$ns" env PATH="$(lab_path "${TAG_DAEMONS:-$BUILD}"):$PATH" SOFTHCA_DIR=$LAB_SOFTHCA \
		SOFTHCA_UD_LOSS="${LAB_UD_LOSS:-0}" SOFTHCA_MTU="${LAB_FABRIC_MTU:-4096}" \
		ASAN_OPTIONS="${ASAN_OPTIONS:-}:log_path=$LAB/$name.asan:abort_on_error=0:detect_odr_violation=0" \
		UBSAN_OPTIONS="print_stacktrace=1:log_path=$LAB/$name.ubsan" \
		LSAN_OPTIONS="${LSAN_OPTIONS:-}" \
		"$@" >>"$LAB/$name.log" 2>&1 </dev/null &
	echo $! >"$LAB/$name.pid"
}

# lab_stop NAME [SIGNAL]: ends a daemon by its pid and waits for it.
lab_stop() {
	local f=$LAB/$1.pid pid i
	[ -f "$f" ] || return 0
	pid=$(cat "$f")
	rm -f "$f"
	kill "-${2:-TERM}" "$pid" 2>/dev/null || return 0
	for ((i = 0; i < 100; i++)); do
		kill -0 "$pid" 2>/dev/null || return 0
		sleep 0.05
	done
	say "lab: $1 (pid $pid) did not end in 5 s, killing it"
	kill -KILL "$pid" 2>/dev/null || true
}

lab_start_gateway() { lab_start tagd tag-gw tagd -c $LAB/tagd.conf; }
lab_start_host() { lab_start "taghostd$1" "tag-server$1" taghostd -c "$LAB/s$1/taghostd.conf"; }

# Waits until every server is attached, or fails with the logs.
lab_wait() {
	local n=$1 i up
	for ((i = 0; i < 200; i++)); do
		up=$(PATH="$(lab_path):$PATH" tagctl --json server list 2>/dev/null |
			jq '[.servers[] | select(.state == "up")] | length' 2>/dev/null) || up=0
		[ "${up:-0}" = "$n" ] && return 0
		sleep 0.05
	done
	say "lab: only ${up:-0} of $n servers came up in 10 s; last lines of the logs:"
	tail -n 8 $LAB/*.log >&2 || true
	return 1
}

lab_namespaces() {
	local n=$1 i ns
	for ns in tag-client tag-gw $(seq -f 'tag-server%.0f' 1 "$n"); do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
		[ -z "${LAB_CC:-}" ] || ip netns exec "$ns" sysctl -qw "net.ipv4.tcp_congestion_control=$LAB_CC"
	done
	ip link add eth0 netns tag-client type veth peer name lan0 netns tag-gw
	ip netns exec tag-gw sysctl -qw net.ipv6.conf.lan0.disable_ipv6=1
	# A PMD sees what the kernel hands over: whole checksums and real segments, please.
	ip netns exec tag-client ethtool -K eth0 tx off tso off gso off gro off >/dev/null
	ip netns exec tag-gw ethtool -K lan0 tx off tso off gso off gro off >/dev/null
	ip -n tag-client link set eth0 up
	ip -n tag-gw link set lan0 up
	ip -n tag-client addr add 10.77.0.2/24 dev eth0
	ip -n tag-client addr add fd77::2/64 dev eth0 nodad
}

lab_up() {
	local n=${1:-1} i
	[[ $n =~ ^[1-9][0-9]?$ ]] || die "lab up: the number of servers is 1 to 99, not '$n'"
	[ "$(id -u)" = 0 ] || die "the lab makes network namespaces: only root can"
	[ ! -e $LAB ] || die "a lab is up already (or was left): ./run lab down"
	mkdir -p $LAB $LAB_SOFTHCA
	echo "$n" >$LAB/servers
	lab_namespaces "$n"
	lab_gateway_conf "$n" >$LAB/tagd.conf
	lab_start_gateway
	for ((i = 1; i <= n; i++)); do
		mkdir -p "$LAB/s$i"
		lab_host_conf "$i" >"$LAB/s$i/taghostd.conf"
		lab_start_host "$i"
	done
	lab_wait "$n"
	say "lab: up, $n server(s); try: ./run lab exec client -- ping -c1 10.77.0.11"
}

lab_down() {
	local i n ns
	n=$(cat $LAB/servers 2>/dev/null || echo 0)
	for ((i = 1; i <= n; i++)); do lab_stop "taghostd$i"; done
	lab_stop tagd
	for ns in tag-client tag-gw $(seq -f 'tag-server%.0f' 1 "$n"); do
		ip netns pids "$ns" 2>/dev/null | xargs -r kill 2>/dev/null || true
		ip netns del "$ns" 2>/dev/null || true
	done
	rm -rf $LAB $LAB_SOFTHCA
	rmdir /run/tag 2>/dev/null || true
	say "lab: down"
}

lab_status() {
	[ -e $LAB ] || { say "lab: down"; return 1; }
	local f pid
	for f in "$LAB"/*.pid; do
		pid=$(cat "$f")
		if kill -0 "$pid" 2>/dev/null; then echo "$(basename "$f" .pid): running, pid $pid"; else echo "$(basename "$f" .pid): dead"; fi
	done
	PATH="$(lab_path):$PATH" tagctl server list
}

lab_exec() {
	[ $# -ge 3 ] && [ "$2" = -- ] || die "lab exec client|gw|serverN -- COMMAND..."
	[ -e $LAB ] || die "no lab is up: ./run lab up"
	local where=$1 ns sock=
	ns=$(lab_ns "$where")
	shift 2
	case $where in server*) sock=$LAB/s${where#server}/taghostd.sock ;; esac
	exec ip netns exec "$ns" env PATH="$(lab_path):$PATH" SOFTHCA_DIR=$LAB_SOFTHCA \
		${sock:+TAG_HOST_SOCKET="$sock"} "$@"
}
