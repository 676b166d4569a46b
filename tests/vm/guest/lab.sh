# SPDX-License-Identifier: BSD-3-Clause
# lab.sh - in the guest: the lab of tests/lab with a fabric of kernel RDMA devices instead of the
# software HCA (sourced; TOP and BUILD are set). One server.
#
# Tunables beside the lab's: VM_MTU (of the fabric's Ethernet), VM_GID (GID index).
. /run/guest/fabric.sh
. "$TOP/tests/lab/lab.sh"
LAB_SLOTS=${LAB_SLOTS:-16} # all of it is locked memory, once for each connection the host may have

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# original NAME: keeps function NAME of the lab as lab_NAME, so that NAME can be put on top of it.
original() { eval "soft_$(declare -f "$1")"; }

original lab_namespaces
lab_namespaces() {
	soft_lab_namespaces "$@"
	fabric tag-gw tag-server1 "${VM_MTU:-4200}"
}

original lab_gateway_conf
lab_gateway_conf() {
	soft_lab_gateway_conf "$@" |
		sed "s/^device = soft0\$/device = rxe_a\ngid-index = ${VM_GID:-1}/"
}

original lab_host_conf
lab_host_conf() {
	soft_lab_host_conf "$@" |
		sed "s/^device = soft0\$/device = rxe_b\ngid-index = ${VM_GID:-1}/"
}

# at WHERE COMMAND...: runs it in a place of the lab.
at() {
	local where=$1
	shift
	(lab_exec "$where" -- "$@")
}
