#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# kernel.sh - a Debian kernel for the guest, from the mirror that this machine's apt already uses.
#
#   kernel.sh                prints the folder of the cached kernel; fetches it first if there is none
#   kernel.sh --fetch        fetches the newest one even if there is a cached one
#
# The folder has vmlinuz, version, and modules/*.ko (uncompressed) with the list modules/order: what
# loads in this order always works. About 20 MB; nothing else of the packages is kept.
#
# soft-RoCE (rdma_rxe) of older kernels works in the initial network namespace alone, so the suite
# must be one that has 7.0 or later. apt's own configuration, lists and cache are not touched.
#
# Environment: TAG_VM_SUITE (trixie-backports), XDG_CACHE_HOME (/var/cache).
set -euo pipefail
SUITE=${TAG_VM_SUITE:-trixie-backports}
CACHE=${XDG_CACHE_HOME:-/var/cache}/tagd-vm/$SUITE

# What the guest loads at start, and what tests may want.
MODULES="virtio_pci virtio_console virtio_rng 9pnet_virtio 9p overlay veth tun af_packet
	ib_uverbs rdma_rxe sch_netem sch_tbf"

die() { printf 'kernel.sh: %s\n' "$*" >&2; exit 1; }

# apt-get and apt-cache with lists and packages of our own below $1.
private_apt() {
	local home=$1 tool=$2
	shift 2
	"$tool" -o Dir::Etc::sourcelist="$home/sources.list" -o Dir::Etc::sourceparts=/nonexistent \
		-o Dir::State::lists="$home/lists" -o Dir::Cache="$home/cache" \
		-o APT::Sandbox::User=root -qq "$@"
}

# The packages that hold kernel image and modules, which the meta package names: one, or two of which
# the unsigned image is as good.
packages_of() {
	local home=$1 image version
	image=$(private_apt "$home" apt-cache depends linux-image-amd64 |
		awk '/Depends: linux-image-/ { print $2; exit }')
	version=${image#linux-image-}
	[ -n "$version" ] || return 1
	if private_apt "$home" apt-cache show "linux-modules-$version" >/dev/null 2>&1; then
		echo "linux-modules-$version linux-binary-unsigned-$version"
	else
		echo "$image"
	fi
}

# Copies image, modules and their load order from unpacked packages $1 to $2.
pick() {
	local from=$1 to=$2 tree version image m file
	tree=$(find "$from" -type d -path '*/lib/modules/*/kernel' -printf '%h\n' | head -n1)
	image=$(find "$from" -type f -name 'vmlinuz*' | head -n1)
	[ -n "$tree" ] && [ -n "$image" ] || die "no kernel in the packages of $SUITE"
	version=$(basename "$tree")
	mkdir -p "$to/modules" "$from/root/lib/modules" # modprobe wants them below lib/
	cp "$image" "$to/vmlinuz"
	echo "$version" >"$to/version"
	mv "$tree" "$from/root/lib/modules/"
	depmod -b "$from/root" "$version" 2>/dev/null
	for m in $MODULES; do
		# one that is built in is no file and has nothing to load
		modprobe -d "$from/root" -S "$version" --show-depends "$m" 2>/dev/null |
			awk '$1 == "insmod" { print $2 }' || true
	done | awk '!seen[$0]++' | while read -r file; do
		m=$(basename "$file")
		m=${m%%.ko*}.ko
		case $file in
		*.xz) xz -dc "$file" >"$to/modules/$m" ;;
		*.zst) zstd -qdc "$file" >"$to/modules/$m" ;;
		*) cp "$file" "$to/modules/$m" ;;
		esac
		echo "$m" >>"$to/modules/order"
	done
	[ -s "$to/modules/rdma_rxe.ko" ] || die "the kernel of $SUITE has no rdma_rxe"
}

fetch() {
	local work mirror packages deb
	mirror=$(apt-get indextargets --format '$(CREATED_BY) $(ORIGIN)/$(LABEL) $(SITE)' |
		awk '$1 == "Packages" && $2 == "Debian/Debian" { print $3; exit }')
	[ -n "$mirror" ] || die "apt has no list of a Debian mirror: apt-get update"
	mkdir -p "$(dirname "$CACHE")"
	work=$(mktemp -d "$CACHE.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$work'" EXIT
	mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/deb" "$work/tree"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main" \
		>"$work/apt/sources.list"
	private_apt "$work/apt" apt-get update || die "the mirror has no $SUITE"
	packages=$(packages_of "$work/apt") || die "no kernel in $SUITE"
	# shellcheck disable=SC2086
	(cd "$work/deb" && private_apt "$work/apt" apt-get download $packages) >&2 ||
		die "cannot download $packages"
	for deb in "$work"/deb/*.deb; do dpkg -x "$deb" "$work/tree"; done
	mkdir "$work/new"
	pick "$work/tree" "$work/new"
	rm -rf "$CACHE"
	mv -T "$work/new" "$CACHE"
}

case ${1:-} in
'') [ -s "$CACHE/version" ] || fetch ;;
--fetch) fetch ;;
*) die "usage: kernel.sh [--fetch]" ;;
esac
echo "$CACHE"
