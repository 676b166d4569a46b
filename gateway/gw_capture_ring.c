/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture_ring.c - from a worker to the writer of a capture: copies, and never waits.
 */
#include <errno.h>
#include <rte_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "gateway/gw_capture.h"

#define RING_SIZE (2 * GW_CAP_PIECES) /* a power of two above the number of pieces */

/* Where the payload of the next piece starts. */
struct cursor {
	const struct iovec *v; /* the payload */
	int n;		       /* entries */
	size_t off;	       /* in the first of them */
};

/* Copies up to `room` bytes; returns how many there were. */
static uint32_t take(struct cursor *c, uint8_t *to, uint32_t room)
{
	uint32_t sum = 0;

	while (c->n && sum < room) {
		uint32_t k = RTE_MIN((uint32_t)(c->v->iov_len - c->off), room - sum);

		memcpy(to + sum, (const uint8_t *)c->v->iov_base + c->off, k);
		sum += k;
		c->off += k;
		if (c->off == c->v->iov_len) {
			c->v++;
			c->n--;
			c->off = 0;
		}
	}
	return sum;
}

static uint32_t pieces(const struct iovec *v, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += v[i].iov_len;
	return pkt_count(sum, GW_CAP_DATA);
}

/* An operation of the worker: all of it, or nothing. */
static void on_op(struct ib_tap *t, const struct pkt_op *op, const struct iovec *v, int n)
{
	struct gw_cap_ring *r = (struct gw_cap_ring *)t;
	struct cursor c = {.v = v, .n = n};
	uint32_t need = pieces(v, n);
	struct timespec ts;

	if (rte_ring_count(r->free) < need) {
		r->missing++;
		atomic_store_explicit(&r->lost, r->lost + 1, memory_order_relaxed);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	for (uint32_t i = 0; i < need; i++) {
		struct gw_cap_piece *p;
		void *obj = NULL;

		rte_ring_sc_dequeue(r->free, &obj);
		p = obj;
		p->op = *op;
		p->op.off = i * GW_CAP_DATA;
		p->ts = ts;
		p->lost = r->missing;
		p->n = take(&c, p->data, GW_CAP_DATA);
		r->missing = 0;
		rte_ring_sp_enqueue(r->full, p);
	}
}

/* Which host an address handle leads to. */
static bool on_path(struct ib_tap *t, const struct ibv_ah *ah, struct ib_addr *to)
{
	const struct gw_worker *w = ((struct gw_cap_ring *)t)->w;

	for (uint32_t i = 0; i < w->gw->cfg->n_server; i++) {
		if (w->gw->host[i].link[w->index].ah != ah)
			continue;
		*to = w->gw->host[i].native;
		return true;
	}
	return false;
}

int gw_cap_ring_open(struct gw_cap_ring *r, struct gw_worker *w)
{
	const unsigned int flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
	char name[RTE_RING_NAMESIZE];
	void *mem;

	r->tap = (struct ib_tap){.op = on_op, .path = on_path};
	r->w = w;
	snprintf(name, sizeof(name), "capfull%u", w->index);
	r->full = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, flags);
	snprintf(name, sizeof(name), "capfree%u", w->index);
	r->free = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, flags);
	mem = mmap(NULL, GW_CAP_PIECES * sizeof(*r->pieces), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (mem != MAP_FAILED)
		r->pieces = mem;
	if (!r->full || !r->free || !r->pieces)
		return ENOMEM;
	for (uint32_t i = 0; i < GW_CAP_PIECES; i++)
		rte_ring_sp_enqueue(r->free, &r->pieces[i]);
	return 0;
}

void gw_cap_ring_close(struct gw_cap_ring *r)
{
	rte_ring_free(r->full);
	rte_ring_free(r->free);
	if (r->pieces)
		munmap(r->pieces, GW_CAP_PIECES * sizeof(*r->pieces));
	r->full = r->free = NULL;
	r->pieces = NULL;
}
