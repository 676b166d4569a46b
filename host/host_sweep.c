/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_sweep.c - what happens to all connections at once: a gateway is lost (DESIGN 4.5), time
 * passes, taghostd stops.
 */
#include "host/host_daemon.h"

#define ORPHAN_TIME 120.0 /* seconds an orphan may stand still before it is reset */

void host_conn_gateway_lost(struct host *h, struct host_gw *g)
{
	struct host_conn *c, *next;

	for (c = LIST_FIRST(&h->conns.list); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->gw != g || !c->worker)
			continue;
		c->worker = NULL;
		if (c->state == HOST_S_FROZEN || c->state == HOST_S_CANCEL)
			host_takeover_thaw(c, IB_R_QP_ERROR, true);
		else if (c->state == HOST_S_ACCEL)
			host_back_start(c, IB_R_QP_ERROR, true);
		else /* its token means nothing to the next attachment */
			host_conn_unlink(c);
	}
}

void host_conn_age(struct host *h)
{
	struct host_conn *c, *next;
	double now = host_now(h);

	for (c = LIST_FIRST(&h->conns.list); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->state == HOST_S_DEAD || (c->marked && !c->p_gone)) {
			host_wake_event(c);
		} else if (c->state == HOST_S_PUMP && c->p_gone &&
			   now > c->progress + ORPHAN_TIME) {
			host_pump_end(c, true);
		}
	}
}

void host_conn_stop(struct host *h)
{
	struct host_conn *c, *next;

	for (c = LIST_FIRST(&h->conns.list); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->state == HOST_S_FROZEN || c->state == HOST_S_CANCEL) {
			host_conn_ctl(c, IB_MID_CANCEL, IB_R_SHUTDOWN);
			host_takeover_thaw(c, IB_R_SHUTDOWN, false);
		} else if (c->state == HOST_S_ACCEL) {
			host_conn_ctl(c, IB_MID_REVOKE, IB_R_SHUTDOWN);
		} else if (c->state == HOST_S_DEAD) {
			host_conn_free(c);
		}
	}
}

void host_conn_kill_all(struct host *h)
{
	struct host_conn *c;

	for (unsigned int i = 0; i < h->n_gw; i++)
		for (unsigned int k = 0; k < h->gw[i].n_workers; k++)
			if (h->gw[i].worker[k].open)
				ib_set_fence(&h->gw[i].worker[k].set);
	while ((c = LIST_FIRST(&h->conns.list))) {
		if (c->state == HOST_S_ACCEL) {
			c->worker = NULL;
			c->aborting = true;
			host_back_start(c, IB_R_SHUTDOWN, true);
		} else if (c->state == HOST_S_PUMP) {
			host_pump_end(c, true);
		} else {
			host_conn_free(c);
		}
	}
	if (h->tap.fd >= 0 && h->native.qp.qp) /* the resets are on their way out */
		host_steer_drain(h, 4096);
}
