/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel_timer.c - when a connection is due: a binary heap, lazily kept.
 *
 * A deadline moves with nearly every segment, mostly to a later time. The heap's entry then stays
 * where it is: when it comes up, the connection finds nothing due and is entered again at
 * its real deadline. Only an earlier deadline moves an entry at once.
 */
#include "gateway/gw_accel.h"

/* Puts an entry at index i. */
static void put(struct gw_accel *a, uint32_t i, struct gw_timer t)
{
	a->heap[i] = t;
	t.conn->heap = i;
}

static void up(struct gw_accel *a, uint32_t i)
{
	struct gw_timer t = a->heap[i];

	for (; i > 1 && t.due < a->heap[i / 2].due; i /= 2)
		put(a, i, a->heap[i / 2]);
	put(a, i, t);
}

static void down(struct gw_accel *a, uint32_t i)
{
	struct gw_timer t = a->heap[i];

	for (uint32_t kid; (kid = 2 * i) <= a->n_heap; i = kid) {
		if (kid < a->n_heap && a->heap[kid + 1].due < a->heap[kid].due)
			kid++;
		if (t.due <= a->heap[kid].due)
			break;
		put(a, i, a->heap[kid]);
	}
	put(a, i, t);
}

void gw_timer_del(struct gw_accel *a, struct gw_conn *c)
{
	uint32_t i = c->heap;

	if (!i)
		return;
	c->heap = 0;
	if (i == a->n_heap--)
		return;
	put(a, i, a->heap[a->n_heap + 1]);
	up(a, i);
	down(a, a->heap[i].conn->heap);
}

void gw_timer_set(struct gw_accel *a, struct gw_conn *c, uint64_t due)
{
	if (due == TCP_NEVER)
		return; /* an entry that is there finds nothing due and goes */
	if (!c->heap) {
		a->n_heap++;
		a->heap[a->n_heap] = (struct gw_timer){.due = due, .conn = c};
		up(a, a->n_heap);
	} else if (due < a->heap[c->heap].due) {
		a->heap[c->heap].due = due;
		up(a, c->heap);
	}
}

void gw_timer_run(struct gw_accel *a, uint64_t now)
{
	while (a->n_heap && a->heap[1].due <= now) {
		struct gw_conn *c = a->heap[1].conn;

		gw_timer_del(a, c);
		gw_accel_dirty(c);
	}
}
