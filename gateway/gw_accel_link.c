/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel_link.c - links that come and go (DESIGN 4.4 "Failure", 4.5).
 *
 * When a set fails its connections stand still at once: nothing is acknowledged, neither FIN nor
 * RST is sent (LOST). If the host is alive it carries them on natively from its control blocks;
 * the gateway then just forgets them, and their frames go natively. If the host is gone, their
 * frames are dropped until it is back or its time is over; then the clients are reset.
 */
#include <stdlib.h>

#include "gateway/gw_accel.h"

/* Stands still, for so many microseconds; 0: until somebody says more. */
static void lose(struct gw_conn *c, uint32_t us)
{
	struct gw_accel *a = gw_accel_of(c);
	struct rte_mbuf *m;

	if (gw_conn_running(c) || c->state == GW_C_FINAL || c->state == GW_C_LOST) {
		gw_conn_set_state(c, GW_C_LOST);
		if (us)
			gw_conn_wait(c, us);
		c->reason = IB_R_QP_ERROR;
		while ((m = gw_conn_unhold(c)) != NULL)
			gw_accel_drop(a->w, m, GW_DROP_HELD_LOST);
		gw_fetch_drop(c);
		gw_timer_set(a, c, gw_conn_due(c));
	} else {
		gw_conn_forget(c);
	}
}

void gw_alink_dead(struct gw_link *l)
{
	struct gw_conn *c;
	uint32_t it = 0;

	while ((c = gw_conn_next(l->worker->accel, l, &it)) != NULL) {
		if (c->state != GW_C_LOST)
			lose(c, GW_LOST_US);
	}
}

void gw_accel_link_up(struct gw_link *l)
{
	struct gw_alink *al = l->accel;

	if (!l->worker->accel)
		return;
	if (!al) {
		al = calloc(1, sizeof(*al));
		if (!al)
			return; /* native only: every request is refused as malformed */
		al->link = l;
		l->accel = al;
	}
	al->failed = false;
}

void gw_accel_link_down(struct gw_link *l, bool host_lost)
{
	struct gw_conn *c;
	uint32_t it = 0;

	if (!l->accel)
		return;
	while ((c = gw_conn_next(l->worker->accel, l, &it)) != NULL) {
		if (host_lost)
			lose(c, 0);
		else
			gw_conn_forget(c);
	}
}

void gw_accel_host_gone(struct gw_worker *w, struct gw_host *h)
{
	struct gw_conn *c;
	uint32_t it = 0;

	if (!h->link[w->index].accel)
		return;
	while ((c = gw_conn_next(w->accel, &h->link[w->index], &it)) != NULL) {
		if (c->state == GW_C_LOST) {
			w->accel->n_run = 0;
			if (gw_live_wake(c))
				tcp_abort(c->tcp, w->now_us);
			gw_flows_end(w, &c->flow);
		}
		gw_conn_forget(c);
	}
}

void gw_alink_free(struct gw_link *l)
{
	free(l->accel);
	l->accel = NULL;
}
