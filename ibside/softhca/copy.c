/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moving payload between a local list and a list in a peer's memory: once, by memcpy where the
 * peer's side is mapped here, else by one process_vm_* call for the whole message.
 */
#include <sys/uio.h>

#include "soft.h"

/* Whether all of @v can be addressed here. */
bool soft_vec_mapped(const struct soft_vec *v)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (!v->seg[i].here)
			return false;
	return true;
}

/* Copies @src to @dst; both addressable; at most the shorter of the two. */
static void copy_here(struct soft_vec *dst, struct soft_vec *src)
{
	uint32_t di = 0, si = 0, doff = 0, soff = 0;

	while (di < dst->n && si < src->n) {
		struct soft_seg *d = &dst->seg[di], *s = &src->seg[si];
		uint32_t n = d->len - doff;

		if (s->len - soff < n)
			n = s->len - soff;
		memmove(d->here + doff, s->here + soff, n);
		doff += n;
		soff += n;
		if (doff == d->len) {
			di++;
			doff = 0;
		}
		if (soff == s->len) {
			si++;
			soff = 0;
		}
	}
}

static int vec_iov(const struct soft_vec *v, struct iovec *iov, uint64_t len, bool here)
{
	int n = 0;

	for (uint32_t i = 0; i < v->n && len; i++) {
		uint64_t l = v->seg[i].len < len ? v->seg[i].len : len;

		if (!l)
			continue;
		iov[n].iov_base = here ? (void *)v->seg[i].here : (void *)(uintptr_t)v->seg[i].va;
		iov[n++].iov_len = l;
		len -= l;
	}
	return n;
}

static int copy_syscall(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src,
			bool out)
{
	struct iovec l[SOFT_MAX_SGE + 2], r[SOFT_MAX_SGE + 2];
	uint64_t len = dst->len < src->len ? dst->len : src->len;
	int nl = vec_iov(out ? src : dst, l, len, true);
	int nr = vec_iov(out ? dst : src, r, len, false);
	ssize_t n;

	if (!soft_peer_alive(peer))
		return ESRCH;
	soft_count(peer->port->shm, bytes_syscall, len);
	n = out ? process_vm_writev(peer->pid, l, nl, r, nr, 0)
		: process_vm_readv(peer->pid, l, nl, r, nr, 0);
	if (n == (ssize_t)len)
		return 0;
	return n < 0 ? errno : EFAULT;
}

static int copy_mapped(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src)
{
	if (atomic_load_explicit(&peer->guard, memory_order_relaxed))
		return soft_guarded(copy_here, dst, src);
	copy_here(dst, src);
	return 0;
}

static int copy(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src, bool out)
{
	uint64_t len = dst->len < src->len ? dst->len : src->len, t;
	int rc;

	if (!len)
		return 0;
	t = soft_stats_begin();
	if (soft_vec_mapped(out ? dst : src)) {
		soft_count(peer->port->shm, bytes_mapped, len);
		rc = copy_mapped(peer, dst, src);
	} else {
		rc = copy_syscall(peer, dst, src, out);
	}
	soft_stats_end(peer->port->shm, t);
	return rc;
}

/* Copies local @src to @dst in @peer.  Returns 0, EFAULT if memory is gone, EPERM, ESRCH. */
int soft_copy_out(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src)
{
	return copy(peer, dst, src, true);
}

/* Copies @src in @peer to local @dst.  Returns as soft_copy_out(). */
int soft_copy_in(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src)
{
	return copy(peer, dst, src, false);
}
