/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_live.c - connections at work and at rest.
 *
 * The TCP state that a connection works with (struct tcp_conn, in a struct gw_live) comes from a
 * pool of the worker. When nothing has happened for a while, and nothing is under way, what has
 * to survive is kept in the connection itself (tcp_park.h) and the live state goes back. So the
 * memory of many connections is that of their rest, and the pool is as large as the number of those
 * that work at the same time.
 *
 * When the pool is empty, one that rests without having been parked yet is looked for among a few.
 * When there is none either, a frame is dropped under a name (the client sends it again), and a
 * connection that has something to do waits and tries again: nothing is lost.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/gw_accel.h"

#define LOOK_AT	 32u	 /* live states looked at to find one that rests */
#define RETRY_US 1000u	 /* who found no live state tries again after this */
#define REST_US	 100000u /* silent for so long: parked */

int gw_live_open(struct gw_accel *a, uint32_t n)
{
	a->live_mem = calloc(n + 1, sizeof(*a->live)); /* zero without being touched */
	if (!a->live_mem)
		return ENOMEM;
	a->live = RTE_PTR_ALIGN_CEIL(a->live_mem, GW_LINE);
	a->n_live = n;
	SLIST_INIT(&a->live_free);
	return 0;
}

void gw_live_close(struct gw_accel *a)
{
	free(a->live_mem);
}

/* True while nothing but its timers can make the connection do something. */
static bool quiet(const struct gw_conn *c)
{
	if (c->queued != GW_Q_NONE || c->ops_out || c->place || c->held_last || c->line_due ||
	    c->peek_due || c->back_due || c->ended)
		return false;
	for (int i = 0; i < GW_CONN_CHUNKS; i++) {
		if (c->chunk[i])
			return false;
	}
	return c->state == GW_C_ACTIVE || c->state == GW_C_LOST || c->state == GW_C_BACK;
}

/* Gives the live state back. */
static void put(struct gw_accel *a, struct gw_conn *c)
{
	struct gw_live *l = (struct gw_live *)c->tcp;

	l->conn = NULL;
	SLIST_INSERT_HEAD(&a->live_free, l, free);
	a->live_used--;
	c->tcp = NULL;
}

bool gw_live_park(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);

	if (!c->tcp || !quiet(c) || tcp_park(c->tcp, &c->parked, a->w->now_us))
		return false;
	put(a, c);
	a->w->stats.conn_parks++;
	return true;
}

/* Parks somebody who rests, if there is one among a few. */
static bool reclaim(struct gw_accel *a)
{
	for (uint32_t i = 0; i < LOOK_AT && i < a->n_live; i++) {
		struct gw_conn *c = a->live[a->live_hand++ % a->n_live].conn;

		if (c && gw_live_park(c))
			return true;
	}
	return false;
}

/* A live state for c, content undefined. False: none can be had. */
static bool get(struct gw_accel *a, struct gw_conn *c)
{
	struct gw_live *l = NULL;

	if (SLIST_EMPTY(&a->live_free) && a->live_fresh < a->n_live)
		l = &a->live[a->live_fresh++];
	else if (!SLIST_EMPTY(&a->live_free) || reclaim(a))
		l = SLIST_FIRST(&a->live_free);
	if (!l) {
		a->w->stats.conn_wakes_refused++;
		return false;
	}
	if (l == SLIST_FIRST(&a->live_free))
		SLIST_REMOVE_HEAD(&a->live_free, free);
	a->live_used++;
	l->conn = c;
	l->used_us = a->w->now_us;
	c->tcp = &l->tcp;
	return true;
}

bool gw_live_new(struct gw_accel *a, struct gw_conn *c)
{
	if (!get(a, c))
		return false;
	*c->tcp = (struct tcp_conn){.box = 0};
	return true;
}

bool gw_live_wake(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);

	if (c->tcp) {
		((struct gw_live *)c->tcp)->used_us = a->w->now_us;
		return true;
	}
	if (!get(a, c))
		return false;
	tcp_unpark(c->tcp, &c->parked, &a->tcp);
	a->w->stats.conn_wakes++;
	return true;
}

void gw_live_retry(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);

	gw_timer_set(a, c, a->w->now_us + RETRY_US);
}

void gw_live_rest(struct gw_conn *c)
{
	uint64_t now = gw_accel_of(c)->w->now_us;
	const struct gw_live *l = (const struct gw_live *)c->tcp;

	if (!quiet(c))
		return;
	if (now - l->used_us < REST_US)
		gw_timer_set(gw_accel_of(c), c, l->used_us + REST_US);
	else
		gw_live_park(c);
}

void gw_live_release(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);
	struct tcp_conn rest;

	if (c->tcp) {
		tcp_release(c->tcp);
		put(a, c);
	} else {
		tcp_unpark(&rest, &c->parked, &a->tcp);
		tcp_release(&rest);
	}
	c->parked = (struct tcp_parked){.box = 0};
}

const struct tcp_conn *gw_live_look(const struct gw_conn *c, struct tcp_conn *room)
{
	if (c->tcp)
		return c->tcp;
	tcp_unpark(room, &c->parked, &gw_accel_of(c)->tcp);
	return room;
}

uint64_t gw_live_deadline(const struct gw_conn *c)
{
	return c->tcp ? tcp_deadline(c->tcp, gw_accel_of(c)->w->now_us)
		      : tcp_parked_deadline(&c->parked);
}
