# SPDX-License-Identifier: BSD-3-Clause
# bench.sh - ./run bench [NAME...]: figures, medians of several runs, side by side in one go.
#
#   transfer   bulk download: one and 16 connections; CPU seconds per GB of the server, the
#              gateway and the whole machine; accelerated, native through the gateway, plain kernel
#   fabric     the software HCA alone: RDMA READ by perftest against the raw copy
#   workers    bulk downloads through one, two and four workers
#   replay     frames per second of processor time from a large capture, by tagd --replay
#   tcp        the TCP core alone: instructions and cycles per operation, sizes, goodput over lossy
#              links beside the kernel's CUBIC
BENCHES="transfer workers fabric replay tcp"

bench() {
	local list=${*:-$BENCHES} b
	[ ! -e $LAB ] || die "a lab is up: ./run lab down"
	for b in $list; do
		[[ " $BENCHES " == *" $b "* ]] || die "no such bench: $b (there are: $BENCHES)"
		TAG_TOP=$TOP TAG_BUILD=$BUILD PYTHONPATH=$TOP/tests/lab /usr/bin/python3 "$TOP/tests/bench/$b.py"
	done
}
