/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel.c - acceleration in one worker: its life and its turn.
 *
 * Theory of operation
 *
 * A connection (gw_conn.h) joins the payload-free TCP core with the server's memory. Everything
 * here belongs to one worker: no lock, no heap on the data path.
 *
 *   gw_take.c    REQ, COMMIT and CANCEL of a takeover
 *   gw_place.c   client to server: payload WRITEs from the received mbuf, in the core's order
 *   gw_lines.c   the gateway line (WRITE), the host line (READ), cursors and arming
 *   gw_fetch.c   server to client: READs into chunks, a small cache per connection
 *   gw_emit.c    runs of segments: header mbuf and slices of chunks
 *   gw_back.c    hand-back, close, reset
 *   gw_accel_icmp.c  ICMP errors that quote a connection
 *   gw_accel_rx.c, _msg.c, _link.c, _rows.c   where the rest of the gateway comes in
 *   gw_accel_pool.c, _timer.c                 chunks and lines; when something is due
 *   gw_live.c    the core's state while a connection is at work, and its rest
 *
 * Events (a frame, a completion, a message, a timer) only note what they change in the connection
 * and its core, and make it dirty. Once per turn gw_accel_run() lets each dirty connection
 * do what is due, in this order: timers of the core, tcp_output() (which WANTs payload and EMITs
 * segments), hand-back, the gateway line with the messages behind it. So a burst of frames of
 * one connection costs one line, one message entry and one ACK.
 *
 * The order on the wire carries the promises: on queue pair `ctl`, payload WRITEs, then the line
 * that names them, then the message that points at it; a client's byte is acknowledged when the
 * line's completion is back (tcp_placed()). READs of payload use `rd`, so that they never delay
 * an acknowledgement.
 *
 * A connection that finds no chunk, no line buffer or no free work request is starved: each
 * completion lets a few of them try again, first come first served. Chunks that only serve as
 * a cache for retransmissions are taken back first, then look-ahead of whoever waited longest.
 */
#include <errno.h>
#include <rte_random.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_accel.h"
#include "tcpstack/tcp_open.h"

#define FEED		 4    /* starved connections that one completion wakes */
#define CHALLENGES_PER_S 1000 /* challenge ACKs of one worker, in the mean */

void gw_accel_dirty(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);

	if (c->queued == GW_Q_DIRTY || c->state == GW_C_GONE || c->state == GW_C_FREE)
		return;
	if (c->queued == GW_Q_STARVED)
		TAILQ_REMOVE(&a->starved, c, work);
	TAILQ_INSERT_TAIL(&a->dirty, c, work);
	c->queued = GW_Q_DIRTY;
}

void gw_accel_starve(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);

	if (c->queued != GW_Q_NONE || c->state == GW_C_GONE)
		return;
	TAILQ_INSERT_TAIL(&a->starved, c, work);
	c->queued = GW_Q_STARVED;
}

void gw_accel_feed(struct gw_accel *a)
{
	struct gw_conn *c;

	for (int i = 0; i < FEED && (c = TAILQ_FIRST(&a->starved)) != NULL; i++)
		gw_accel_dirty(c);
}

void gw_accel_send(struct gw_link *l, uint8_t mid, const void *entry)
{
	struct gw_alink *al = l->accel;
	struct gw_accel *a = l->worker->accel;

	if (ib_set_msg(&l->set, mid, entry))
		return; /* the set is dead or dying: ops->dead() tells */
	l->worker->stats.messages_out++;
	if (al && !al->flush) {
		al->flush = true;
		a->flush[a->n_flush++] = al;
	}
}

void gw_accel_send_flow(struct gw_link *l, uint8_t mid, const struct net_flow *f)
{
	struct ib_reoffer m = {.rport = f->rport, .lport = f->lport};

	memcpy(m.remote, f->remote.b, 16);
	memcpy(m.local, f->local.b, 16);
	gw_accel_send(l, mid, &m);
}

void gw_accel_fail(struct gw_link *l)
{
	gw_alink_of(l)->failed = true;
	l->worker->accel->failed = true;
}

/* Gives up the links that refused a work request. */
static void fail_links(struct gw_accel *a)
{
	a->failed = false;
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++) {
		struct gw_link *l = &a->w->gw->host[i].link[a->w->index];

		if (l->accel && gw_alink_of(l)->failed) {
			gw_alink_of(l)->failed = false;
			ib_set_fence(&l->set);
			gw_alink_dead(l);
		}
	}
}

/* Sends the messages of this turn. */
static void flush_links(struct gw_accel *a)
{
	for (uint32_t i = 0; i < a->n_flush; i++) {
		a->flush[i]->flush = false;
		ib_set_flush(&a->flush[i]->link->set);
	}
	a->n_flush = 0;
}

uint32_t gw_accel_run(struct gw_worker *w)
{
	struct gw_accel *a = w->accel;
	struct gw_conn *c, *last;
	uint32_t n = 0;

	if (!a)
		return 0;
	gw_timer_run(a, w->now_us);
	if (a->n_stray)
		gw_stray_run(a);
	/* What becomes dirty meanwhile waits for the next turn. */
	last = TAILQ_LAST(&a->dirty, gw_conn_list);
	while (last && (c = TAILQ_FIRST(&a->dirty)) != NULL) {
		TAILQ_REMOVE(&a->dirty, c, work);
		c->queued = GW_Q_NONE;
		n++;
		gw_conn_run(c);
		if (c == last)
			break;
	}
	if (a->failed)
		fail_links(a);
	flush_links(a);
	w->stats.challenges_refused = a->challenges.refused;
	return n;
}

uint64_t gw_accel_deadline(const struct gw_worker *w)
{
	const struct gw_accel *a = w->accel;
	uint64_t due;

	if (!a)
		return TCP_NEVER;
	if (!TAILQ_EMPTY(&a->dirty) || a->ops_out)
		return w->now_us;
	due = a->n_heap ? a->heap[1].due : TCP_NEVER;
	for (uint32_t i = 0; i < GW_STRAYS && a->n_stray; i++) {
		if (a->stray[i].m && a->stray[i].until < due)
			due = a->stray[i].until;
	}
	return due;
}

int gw_accel_open(struct gw_worker *w)
{
	struct gw_accel *a = calloc(1, sizeof(*a));
	uint32_t max = w->gw->cfg->max_accelerated;
	int rc;

	if (!a)
		return ENOMEM;
	rc = gw_random(a->challenges.key, TCP_KEY_LEN);
	if (rc) {
		free(a);
		return rc;
	}
	a->w = w;
	a->tcp = w->gw->tcp;
	a->tcp.ops = &gw_conn_tcp_ops;
	a->tcp.challenges = &a->challenges;
	a->challenges.per_s = CHALLENGES_PER_S;
	a->max_conns = max < 1 ? 1 : max > GW_MAX_CONNS ? GW_MAX_CONNS : max;
	TAILQ_INIT(&a->dirty);
	TAILQ_INIT(&a->starved);
	TAILQ_INIT(&a->idle);
	TAILQ_INIT(&a->chunk_free);
	TAILQ_INIT(&a->chunk_ready);
	TAILQ_INIT(&a->chunk_sent);
	a->label_key = (uint32_t)rte_rand();
	w->accel = a;
	/* A connection that has been forgotten may still wait for work requests: some more. */
	a->max_conns += a->max_conns / 4 + 16;
	a->conns = calloc(a->max_conns, sizeof(*a->conns));
	a->req_id = calloc(a->max_conns, sizeof(*a->req_id));
	a->heap = calloc(a->max_conns + 1, sizeof(*a->heap));
	a->map = corr_accel_new(a->max_conns, w->index);
	rc = a->conns && a->req_id && a->heap && a->map ? 0 : ENOMEM;
	if (!rc)
		rc = gw_live_open(a, RTE_MIN(a->max_conns, w->gw->cfg->live));
	if (!rc)
		rc = gw_accel_pool_open(a);
	if (rc)
		gw_accel_close(w);
	return rc;
}

void gw_accel_close(struct gw_worker *w)
{
	struct gw_accel *a = w->accel;

	if (!a)
		return;
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++) {
		struct gw_link *l = &w->gw->host[i].link[w->index];

		if (l->accel)
			gw_accel_link_down(l, false);
		gw_alink_free(l);
	}
	for (uint32_t i = 0; i < GW_STRAYS; i++)
		rte_pktmbuf_free(a->stray[i].m);
	gw_accel_pool_close(a);
	corr_accel_free(a->map);
	free(a->heap);
	gw_live_close(a);
	free(a->req_id);
	free(a->conns);
	free(a);
	w->accel = NULL;
}
