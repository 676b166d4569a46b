# SPDX-License-Identifier: BSD-3-Clause
# verbs.sh - in the guest: unit tests of ibside/ on kernel RDMA devices, through the software HCA's
# library, which passes these devices on to libibverbs.
#
#   verbs.sh BUILD CASE...
#
# A CASE is TEST/ENDS/GID/LOSS: test program, `one` device or `two` (ends in two namespaces, so that
# all crosses the link), GID index, and percentage of packets that the link loses each way.
# After a case's output stands a line "case CASE: STATUS".
. /run/guest/fabric.sh
BUILD=$1
shift

for case in "$@"; do
	IFS=/ read -r test ends gid percent <<<"$case"
	set -- TAG_IB_DEVICE=rxe_a TAG_IB_GID_INDEX="$gid"
	[ "$ends" = one ] || set -- "$@" TAG_IB_DEVICE_B=rxe_b
	fabric_loss fab-a fab-b "$percent"
	ip netns exec fab-a env "$@" timeout 60 "$BUILD/tests/unit/ibside/test_ib_$test" 2>&1
	echo "case $case: $?"
done
