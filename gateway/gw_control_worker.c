/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_worker.c - what each worker does, for the control socket: how busy it is, which queues
 * it has, what it gets from other workers and how far behind it is.
 */
#include <rte_lcore.h>
#include <stdio.h>

#include "gateway/gw_int.h"
#include "gateway/gw_spread.h"

#define LOAD_US 1000000 /* a load is that of so long */

void gw_load_tick(struct gw *gw)
{
	const uint64_t now = gw_now_us();

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		struct gw_load *l = &gw->load[i];
		const uint64_t busy = gw->worker[i]->stats.busy_us;

		if (now - l->at_us < LOAD_US)
			continue;
		if (l->at_us)
			l->percent = (uint32_t)RTE_MIN((busy - l->busy_us) * 100 / (now - l->at_us),
						       UINT64_C(100));
		l->at_us = now;
		l->busy_us = busy;
	}
}

/* Ports of which the worker has a queue. */
static json_t *queues(const struct gw *gw, uint32_t worker)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < gw->n_port; i++)
		if (gw->port[i].opened && gw->port[i].queue[worker] >= 0)
			json_array_append_new(list, json_string(gw->port[i].cfg->name));
	return list;
}

/* CPUs it may run on, "2" or "0,1". */
static json_t *cpus(const struct gw_worker *w)
{
	const rte_cpuset_t set = rte_lcore_cpuset(w->lcore);
	char text[256] = "";
	size_t n = 0;

	for (int i = 0; i < CPU_SETSIZE && n + 8 < sizeof(text); i++)
		if (CPU_ISSET(i, &set))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d", n ? "," : "", i);
	return json_string(text);
}

/** What a worker is asked for. */
struct count_call {
	uint32_t accelerated; /* connections */
	uint32_t native;      /* connections */
};

static void on_count(struct gw_worker *w, void *arg)
{
	struct count_call *c = arg;
	struct gw_accel_mem mem;

	gw_accel_mem(w, &mem);
	c->accelerated = mem.conns;
	c->native = gw_flows_count(w);
}

static json_t *row(struct gw *gw, uint32_t i)
{
	struct gw_worker *w = gw->worker[i];
	const struct gw_stats *s = &w->stats;
	struct count_call c = {0};

	gw_call(w, on_count, &c);
	return json_pack(
		"{s:I, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"worker", (json_int_t)i, "cpus", cpus(w), "load_percent",
		(json_int_t)gw->load[i].percent, "queues", queues(gw, i), "lan_rx_frames",
		(json_int_t)s->lan_rx_frames, "lan_tx_frames", (json_int_t)s->lan_tx_frames,
		"handed_frames", (json_int_t)s->handed_frames, "taken_frames",
		(json_int_t)s->taken_frames, "waiting", (json_int_t)gw_hand_waiting(w),
		"waiting_peak", (json_int_t)w->hand_peak, "handing_drops",
		(json_int_t)s->drop[GW_DROP_WORKER_FULL], "accelerated", (json_int_t)c.accelerated,
		"native", (json_int_t)c.native, "busy_us", (json_int_t)s->busy_us, "sleeps",
		(json_int_t)s->sleeps);
}

json_t *gw_cmd_worker_list(struct gw *gw, const json_t *req)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < gw->n_worker; i++)
		json_array_append_new(list, row(gw, i));
	return json_pack("{s:o}", "workers", list);
}
