# SPDX-License-Identifier: BSD-3-Clause
# main.sh - in the guest: the main job on kernel RDMA devices. curl on Ethernet downloads from and
# uploads to nginx under tagrun on the fabric; all accelerated, with equal SHA-256.
#
#   main.sh TOP BUILD MTU GID LOSS MEGABYTES HUGE-PAGES
#
# The same natively, from an nginx without tagrun. Prints what was measured as "name value" lines; the
# caller judges. Exit status 0: it ran.
set -euo pipefail
TOP=$1 BUILD=$2 VM_MTU=$3 VM_GID=$4 LOSS=$5 SIZE=$(($6 << 20)) HUGE=$7
. "$TOP/tests/vm/guest/lab.sh"

D=/run/main
mkdir -p $D/www $D/up $D/tmp
chmod 777 $D/up $D/tmp
head -c "$SIZE" /dev/urandom >$D/www/file
chmod 644 $D/www/file

# nginx_conf PORT: its folder is $D/PORT.
nginx_conf() {
	cat <<-EOC
		daemon off; worker_processes 1; pid $D/$1/nginx.pid; error_log $D/$1/error.log info;
		events { worker_connections 256; }
		http {
		  access_log off; sendfile on; client_max_body_size 0;
		  client_body_temp_path $D/tmp; proxy_temp_path $D/tmp; fastcgi_temp_path $D/tmp;
		  uwsgi_temp_path $D/tmp; scgi_temp_path $D/tmp;
		  server { listen $1; root $D/www;
		    location /up/ { alias $D/up/; dav_methods PUT; } }
		}
	EOC
}

# start_nginx PORT [tagrun]
start_nginx() {
	local i
	mkdir -p "$D/$1"
	nginx_conf "$1" >"$D/$1/nginx.conf"
	at server1 ${2:-} nginx -c "$D/$1/nginx.conf" -e "$D/$1/error.log" &
	for ((i = 0; i < 50; i++)); do
		at client curl -s -m 5 -o /dev/null "http://10.77.0.11:$1/" && return 0
		sleep 0.2
	done
	fail "nginx at port $1 does not answer"
}

# stat NAME...: counters of the gateway, on one line.
stat() {
	at gw timeout 10 tagctl --json stats |
		jq -r --args '. as $s | [$ARGS.positional[] | $s[.]] | join(" ")' "$@"
}

fail() {
	say "main.sh: $*"
	at gw timeout 10 tagctl --json drops >&2 || true
	tail -n 20 $LAB/*.log $D/*/error.log >&2 || true
	exit 1
}

COUNTERS="rdma_read_bytes rdma_write_bytes native_bytes_to_lan native_bytes_to_fabric"

# transfer NAME CURL-ARGUMENTS...: prints its time and what the gateway moved meanwhile.
transfer() {
	local name=$1 before after t i=0 c
	shift
	read -ra before <<<"$(stat $COUNTERS)"
	t=$(date +%s%N)
	at client curl -sS --fail -m 120 "$@" || fail "$name failed"
	echo "${name}_ms $((($(date +%s%N) - t) / 1000000))"
	read -ra after <<<"$(stat $COUNTERS)"
	for c in $COUNTERS; do
		echo "${name}_$c $((after[i] - before[i]))"
		i=$((i + 1))
	done
}

# both NAME PORT: the file down and up again, and their sums.
both() {
	transfer "$1_down" -o $D/down "http://10.77.0.11:$2/file"
	transfer "$1_up" -T $D/www/file "http://10.77.0.11:$2/up/file"
	sha256sum $D/www/file $D/down $D/up/file | awk -v name="$1" '
		NR == 1 { sum = $1 }
		$1 != sum { bad = 1 }
		END { print name "_equal", bad ? 0 : 1; print name "_sha256", sum }'
	rm $D/down $D/up/file
}

# huge_pages FIELD: how many there are (Total) or are left (Free).
huge_pages() { awk -v name="HugePages_$1:" '$1 == name { print $2 }' /proc/meminfo; }

echo "$HUGE" >/proc/sys/vm/nr_hugepages
lab_up 1 || fail "the lab does not come up"
echo "huge_pages_used $(($(huge_pages Total) - $(huge_pages Free)))"
fabric_loss tag-gw tag-server1 "$LOSS"
echo "path_mtu $(at gw ibv_devinfo -d rxe_a | awk '/active_mtu/ { print $2 }')"
start_nginx 80 tagrun
start_nginx 81
both accelerated 80
both native 81
# whole Ethernet frames, either way, that no datagram of the path takes
if [ "$LOSS" = 0 ]; then
	at client ping -q -c 3 -i 0.2 -W 5 -M do -s 1472 10.77.0.11 | awk '/received/ { print "pings", $4 }'
	at server1 ping -q -c 3 -i 0.2 -W 5 -M do -s 1472 10.77.0.2 | awk '/received/ { print "pings_back", $4 }'
fi
# what the gateway says of the fabric, beside what is seen on its wire
if [ "$LOSS" = 0 ]; then
	ip netns exec tag-gw tcpdump -i fab0 -U -w $D/wire.pcap udp port 4791 2>$D/tcpdump.log &
	dump=$!
	for ((i = 0; i < 50; i++)); do grep -q listening $D/tcpdump.log && break; sleep 0.1; done
	at gw timeout 10 tagctl capture start $D/gateway.pcap seconds=200 >/dev/null
	head -c 200000 $D/www/file >$D/www/part
	at client curl -sS --fail -m 60 -o $D/down "http://10.77.0.11:80/part"
	at client curl -sS --fail -m 60 -T $D/www/part "http://10.77.0.11:80/up/part"
	at gw timeout 10 tagctl --json capture stop | jq -r '"capture_missing \(.missing_operations)"'
	sleep 1
	kill $dump
	wait $dump || true
	cp $D/gateway.pcap $D/wire.pcap $D/www/part /run/guest/out/
fi
at gw timeout 10 tagctl --json drops | jq -r '.drops | to_entries[] | "drop \(.key) \(.value)"'
echo "tcp_retransmits $(stat tcp_retransmits)"
tail -n 20 $LAB/*.log | sed 's/^/log /'
# a daemon that may not lock memory says so, and what to do
if [ "$LOSS" = 0 ] && [ "$HUGE" = 0 ]; then
	lab_stop tagd
	status=0
	at gw prlimit --memlock=65536 setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock \
		timeout 60 tagd -c $LAB/tagd.conf >$D/memlock 2>&1 || status=$?
	sed 's/^/memlock /' $D/memlock
	echo "memlock status $status"
fi
