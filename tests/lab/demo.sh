# SPDX-License-Identifier: BSD-3-Clause
# demo.sh - ./run demo: nginx under tagrun on the fabric serves curl on Ethernet; the proof.

demo_fail() { say "demo: $*"; tail -n 5 $LAB/*.log >&2 2>/dev/null; exit 1; }

# lab_exec ends in exec: a subshell keeps the demo alive.
at() { local where=$1; shift; (lab_exec "$where" -- "$@"); }

demo_nginx_conf() {
	cat <<-EOF
		daemon off; worker_processes 2; pid $1/nginx.pid; error_log $1/error.log;
		events { worker_connections 1024; }
		http {
		  access_log off; sendfile on;
		  client_body_temp_path $1/tmp; proxy_temp_path $1/tmp; fastcgi_temp_path $1/tmp;
		  uwsgi_temp_path $1/tmp; scgi_temp_path $1/tmp;
		  server { listen 80; root $1/www; }
		}
	EOF
}

demo() {
	local size_mb=${1:-256} d i sum got before after curl_pid
	[ ! -e $LAB ] || die "a lab is up already: ./run lab down"
	d=$(mktemp -d /tmp/tagd-demo.XXXXXX)
	chmod 755 "$d"
	mkdir "$d/www" "$d/tmp"
	chmod 777 "$d/tmp"
	trap 'lab_down 2>/dev/null; rm -rf "'"$d"'"' EXIT
	lab_up 1
	head -c "$((size_mb << 20))" /dev/urandom >"$d/www/file"
	chmod 644 "$d/www/file"
	sum=$(sha256sum <"$d/www/file")
	demo_nginx_conf "$d" >"$d/nginx.conf"

	say "== tag-server1: tagrun nginx (unmodified, 2 workers)"
	at server1 tagrun nginx -c "$d/nginx.conf" -e "$d/error.log" &
	for ((i = 0; i < 50; i++)); do
		at client curl -s -m 2 -o /dev/null http://10.77.0.11/ 2>/dev/null && break
		sleep 0.1
	done
	before=$(at gw tagctl --json stats)

	say "== tag-client: curl http://10.77.0.11/file ($size_mb MB)"
	at client curl -sS --fail -o "$d/copy" -w '%{speed_download}\n' http://10.77.0.11/file >"$d/speed" &
	curl_pid=$!
	for ((i = 0; i < 200; i++)); do
		at gw tagctl conn list >"$d/conns"
		! grep -q accelerated "$d/conns" || break
		sleep 0.02
	done
	say "== while it runs: tagctl conn list"
	cat "$d/conns"
	say "== the server's kernel on that socket (ss -tin): its byte counters stand still"
	at server1 ss -tinH state established '( sport = :80 )' | tr -s ' \t' ' ' | tee "$d/ss"
	wait $curl_pid || demo_fail "curl failed"
	after=$(at gw tagctl --json stats)
	got=$(sha256sum <"$d/copy")

	say "== proof"
	demo_proof "$before" "$after" "$((size_mb << 20))" "$d/ss"
	[ "$sum" = "$got" ] || demo_fail "SHA-256 differs: sent $sum received $got"
	echo "sha256 equal            ${sum%% *}"
	awk '{printf "throughput              %.0f MB/s\n", $1 / 1e6}' "$d/speed"
	for ((i = 0; i < 100; i++)); do
		[ "$(at gw tagctl --json conn list | jq '[.connections[] | select(.mode == "accelerated")] | length')" != 0 ] || break
		sleep 0.1
	done
	say "== afterwards: tagctl map show accelerated"
	at gw tagctl map show accelerated
	say "demo: ok"
}

# demo_proof BEFORE AFTER SIZE SSFILE: the counters that show who moved the file.
demo_proof() {
	local reads native sent
	reads=$(jq -n --argjson a "$2" --argjson b "$1" '$a.rdma_read_bytes - $b.rdma_read_bytes')
	native=$(jq -n --argjson a "$2" --argjson b "$1" '$a.native_bytes_to_lan - $b.native_bytes_to_lan')
	sent=$(grep -o 'bytes_sent:[0-9]*' "$4" | head -n 1 | cut -d: -f2) || true
	echo "file size               $3"
	echo "rdma_read_bytes         $reads"
	echo "native bytes to the LAN $native (handshake and close, headers included)"
	echo "kernel's bytes_sent     ${sent:-0} on that socket"
	[ "$reads" -ge "$3" ] || demo_fail "less was READ than the file has"
	[ "$native" -le 65536 ] || demo_fail "file bytes went natively"
	[ "${sent:-0}" -le 4096 ] || demo_fail "the server's kernel sent file bytes"
}
