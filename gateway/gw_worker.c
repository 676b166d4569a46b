/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_worker.c - a worker: what an lcore owns, and its loop (see the head comment of gw.h).
 *
 * Everything is created by the control thread before the lcore starts and destroyed after it
 * stopped; in between only the lcore touches it, except through gw_call().
 */
#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_spread.h"

#define CQ_BUDGET 64	/* completions taken in a turn */
#define HOUSE_US  10000 /* between ageing passes */

/* Completions that may be outstanding when every server is attached that there is room for, or what
 * the device has. */
static int cq_depth(const struct gw *gw)
{
	uint32_t n = IB_QP_CQES(GW_UD_SQ, GW_UD_RQ);

	n += (gw->room_servers + 1) * (IB_SET_CQES(gw_set_sq(gw)) + IB_QP_CQES(GW_RC_SQ, GW_RC_RQ));
	return RTE_MIN((int)n, gw->dev.attr.max_cqe);
}

int gw_worker_open(struct gw *gw, uint32_t i)
{
	struct gw_worker *w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);
	char err[IB_ERRLEN];
	int rc;

	if (!w)
		return ENOMEM;
	w->index = i;
	w->lcore = i + 1;
	w->gw = gw;
	w->now_us = gw_now_us();
	w->now_ms = w->now_us / 1000;
	gw->worker[i] = w;
	gw->n_worker = i + 1;
	rc = gw_mem_open(w);
	if (rc == 0)
		rc = gw_calls_open(w);
	if (rc == 0)
		rc = gw_events_open(w);
	if (rc == 0)
		rc = ib_cq_open(&w->cq, &gw->dev, cq_depth(gw), false);
	if (rc == 0)
		rc = gw_native_open(w);
	if (rc == 0)
		rc = gw_neigh_open(w);
	if (rc == 0)
		rc = gw_flows_open(w);
	if (rc == 0)
		rc = gw_steer_open(w);
	if (rc == 0)
		rc = gw_frag_open(w);
	if (rc == 0)
		rc = gw_announce_open(w);
	if (rc == 0)
		rc = gw_check_open(w);
	if (rc == 0) {
		rc = gw_accel_open(w);
		w->accel_open = rc == 0;
	}
	if (rc) {
		ib_explain(rc, "cannot be set up", err);
		gw_log(GW_LOG_ERROR, "worker %u: %s", i, err);
	}
	return rc;
}

void gw_worker_free(struct gw_worker *w)
{
	gw_mem_close(w);
	w->gw->worker[w->index] = NULL;
	rte_free(w);
}

void gw_worker_close(struct gw_worker *w)
{
	if (w->accel_open)
		gw_accel_close(w);
	gw_check_close(w);
	gw_announce_close(w);
	gw_steer_close(w);
	gw_frag_close(w);
	gw_flows_close(w);
	gw_neigh_close(w);
	gw_native_close(w);
	if (w->cq.cq)
		ib_cq_close(&w->cq);
	gw_events_close(w);
	gw_calls_close(w);
}

/* One burst from each port. Returns frames. */
static uint32_t poll_ports(struct gw_worker *w)
{
	struct rte_mbuf *m[GW_BURST];
	uint32_t total = 0;

	for (uint32_t i = 0; i < w->gw->n_port; i++) {
		struct gw_port *p = &w->gw->port[i];
		const int q = p->opened ? p->queue[w->index] : -1;
		uint16_t n = q < 0 ? 0 : rte_eth_rx_burst(p->id, (uint16_t)q, m, GW_BURST);

		if (n)
			gw_lan_rx(w, p, m, n);
		total += n;
	}
	return total;
}

/* Sends what the turn has made. Returns frames. */
static uint32_t flush(struct gw_worker *w)
{
	uint32_t n = gw_port_flush(w);

	gw_hand_flush(w); /* behind the ports: frames for another worker's queue */
	return n;
}

/* What is done once in a while. */
static void house(struct gw_worker *w)
{
	w->house_us = w->now_us + HOUSE_US;
	w->neigh_us = gw_neigh_run(w);
	gw_flows_run(w);
	gw_steer_run(w);
	gw_frag_run(w);
	gw_announce_run(w);
	gw_check_run(w);
	flush(w);
}

uint32_t gw_worker_turn(struct gw_worker *w)
{
	uint32_t work = gw_calls_run(w);

	work += gw_hand_run(w);
	work += poll_ports(w);
	work += (uint32_t)ib_cq_poll(&w->cq, CQ_BUDGET);
	gw_native_refill(w);
	work += gw_accel_run(w);
	work += flush(w);
	w->stats.polls++;
	if (w->now_us >= w->house_us || w->now_us >= w->neigh_us)
		house(w);
	return work;
}

uint64_t gw_worker_due(const struct gw_worker *w)
{
	return RTE_MIN(RTE_MIN(w->neigh_us, w->house_us), gw_accel_deadline(w));
}

int gw_worker_main(void *arg)
{
	struct gw_worker *w = arg;
	struct gw_idle idle = {0};
	uint32_t work = 0;

	prctl(PR_SET_TIMERSLACK, 1UL); /* else a sleep of 5 us takes 55 */
	atomic_store(&w->running, true);
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		const uint64_t now = gw_now_us();

		w->stats.busy_us += work ? now - w->now_us : 0;
		w->now_us = now;
		w->now_ms = w->now_us / 1000;
		work = gw_worker_turn(w);
		w->stats.sleeps += gw_idle_turn(&idle, work, w->now_us, gw_worker_due(w));
	}
	atomic_store(&w->running, false);
	gw_calls_run(w); /* whoever asked while we were leaving */
	return 0;
}
