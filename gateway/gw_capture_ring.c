/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture_ring.c - from a worker to the writer of a capture: copies, and never waits.
 *
 * Pieces leave in the order in which things happened: what a received frame causes while it is
 * handled stands behind it, and both are passed on when it is known what became of the frame.
 */
#include <errno.h>
#include <rte_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_int.h"

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

/* Passes on all that is kept back: what became of it is not said any more. */
static void pass_all(struct gw_cap_ring *r)
{
	for (uint32_t i = 0; i < r->n_batch; i++)
		rte_ring_sp_enqueue(r->full, r->batch[i]);
	r->n_batch = 0;
	r->open = NULL;
	memset(r->sent, 0, sizeof(r->sent));
}

struct gw_cap_piece *gw_cap_copy(struct gw_cap_ring *r, const struct gw_cap_piece *like,
				 const struct iovec *v, int n)
{
	struct cursor c = {.v = v, .n = n};
	uint32_t need = pieces(v, n);
	struct gw_cap_piece *first = NULL;
	struct timespec ts;

	if (rte_ring_count(r->free) < need) {
		r->missing[like->side]++;
		atomic_store_explicit(&r->lost[like->side], r->lost[like->side] + 1,
				      memory_order_relaxed);
		return NULL;
	}
	if (r->n_batch + need > GW_CAP_BATCH)
		pass_all(r);
	clock_gettime(CLOCK_REALTIME, &ts);
	for (uint32_t i = 0; i < need; i++) {
		struct gw_cap_piece *p;
		void *obj = NULL;

		rte_ring_sc_dequeue(r->free, &obj);
		p = obj;
		memcpy(p, like, offsetof(struct gw_cap_piece, data));
		p->op.off = i * GW_CAP_DATA;
		p->ts = ts;
		p->queue = (uint8_t)r->w->index;
		p->more = i + 1 < need;
		p->lost = r->missing[like->side];
		p->n = take(&c, p->data, GW_CAP_DATA);
		r->missing[like->side] = 0;
		r->batch[r->n_batch++] = p;
		first = first ? first : p;
	}
	return first;
}

void gw_cap_pass(struct gw_cap_ring *r)
{
	if (!r->open)
		pass_all(r);
}

void gw_cap_open(struct gw_cap_ring *r, struct gw_cap_piece *p)
{
	r->open = p;
	memcpy(r->before, gw_whys(&r->w->stats), sizeof(r->before));
}

/* The reason that was counted since then, as a number from 1; 0: none. */
static uint32_t counted(const struct gw_cap_ring *r)
{
	const uint64_t *now = gw_whys(&r->w->stats);
	char text[GW_WHY_LEN];

	if (memcmp(now, r->before, sizeof(r->before)) == 0)
		return 0;
	for (uint32_t i = 0; i < GW_WHYS; i++) /* a full port is another frame's trouble */
		if (now[i] != r->before[i] && i != GW_DROP_LAN_FULL && gw_why_name(i, text))
			return i + 1;
	return 0;
}

void gw_cap_settle(struct gw_cap_ring *r)
{
	if (r->open)
		r->open->why = counted(r);
	pass_all(r);
}

int gw_cap_ring_open(struct gw_cap_ring *r, const struct gw_capture *cap, struct gw_worker *w)
{
	const unsigned int flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
	char name[RTE_RING_NAMESIZE];
	void *mem;

	r->tap = (struct ib_tap){.op = gw_cap_on_op, .path = gw_cap_on_path};
	r->w = w;
	r->cap = cap;
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
