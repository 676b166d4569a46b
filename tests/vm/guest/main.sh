# SPDX-License-Identifier: BSD-3-Clause
# main.sh - in the guest: the main job on kernel RDMA devices. curl on Ethernet downloads from and
# uploads to nginx under tagrun on the fabric; all accelerated, with equal SHA-256.
#
#   main.sh TOP BUILD MTU GID LOSS MEGABYTES
#
# Prints what was measured as "name value" lines; the caller judges. Exit status 0: it ran.
set -euo pipefail
TOP=$1 BUILD=$2 VM_MTU=$3 VM_GID=$4 LOSS=$5 SIZE=$(($6 << 20))
. "$TOP/tests/vm/guest/lab.sh"

D=/run/main
mkdir -p $D/www $D/up $D/tmp
chmod 777 $D/up $D/tmp
head -c "$SIZE" /dev/urandom >$D/www/file
chmod 644 $D/www/file

nginx_conf() {
	cat <<-EOC
		daemon off; worker_processes 1; pid $D/nginx.pid; error_log $D/error.log info;
		events { worker_connections 256; }
		http {
		  access_log off; sendfile on; client_max_body_size 0;
		  client_body_temp_path $D/tmp; proxy_temp_path $D/tmp; fastcgi_temp_path $D/tmp;
		  uwsgi_temp_path $D/tmp; scgi_temp_path $D/tmp;
		  server { listen 80; root $D/www;
		    location /up/ { alias $D/up/; dav_methods PUT; } }
		}
	EOC
}

# stat NAME: a counter of the gateway.
stat() { at gw timeout 10 tagctl --json stats | jq ".$1"; }

# moved NAME FROM: by how much a counter grew.
moved() { echo "$1_$2 $(($(stat "$2") - $3))"; }

fail() {
	say "main.sh: $*"
	tail -n 20 $LAB/*.log $D/error.log >&2 || true
	exit 1
}

lab_up 1 || fail "the lab does not come up"
fabric_loss tag-gw tag-server1 "$LOSS"
nginx_conf >$D/nginx.conf
at server1 tagrun nginx -c $D/nginx.conf -e $D/error.log &
for ((i = 0; i < 50; i++)); do
	at client curl -s -m 5 -o /dev/null http://10.77.0.11/ && break
	sleep 0.2
done
echo "path_mtu $(at gw ibv_devinfo -d rxe_a | awk '/active_mtu/ { print $2 }')"

reads=$(stat rdma_read_bytes) native=$(stat native_bytes_to_lan)
time=$(date +%s%N)
at client curl -sS --fail -m 120 -o $D/copy http://10.77.0.11/file || fail "the download failed"
echo "download_ms $((($(date +%s%N) - time) / 1000000))"
moved download rdma_read_bytes "$reads"
moved download native_bytes_to_lan "$native"
cmp $D/www/file $D/copy && echo "download_equal 1"
sha256sum $D/www/file $D/copy | awk '{ print "download_sha256", $1 }'

writes=$(stat rdma_write_bytes) native=$(stat native_bytes_to_fabric)
time=$(date +%s%N)
at client curl -sS --fail -m 120 -T $D/www/file http://10.77.0.11/up/copy || fail "the upload failed"
echo "upload_ms $((($(date +%s%N) - time) / 1000000))"
moved upload rdma_write_bytes "$writes"
moved upload native_bytes_to_fabric "$native"
cmp $D/www/file $D/up/copy && echo "upload_equal 1"
sha256sum $D/up/copy | awk '{ print "upload_sha256", $1 }'

at gw timeout 10 tagctl --json drops | jq -r '.drops | to_entries[] | "drop \(.key) \(.value)"'
echo "tcp_retransmits $(stat tcp_retransmits)"
tail -n 20 $LAB/*.log | sed 's/^/log /'
