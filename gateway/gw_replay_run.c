/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_run.c - one case: the gateway is made as the daemon makes it, then time goes from event
 * to event, and at each of them worker and servers take turns until nothing is left to do.
 */
#include <errno.h>
#include <rte_eal.h>
#include <rte_random.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/gw_config.h"
#include "gateway/gw_policy.h"
#include "gateway/gw_replay.h"

#define TICK_US	   100000u
#define STEP_US	   10u	     /* least time between two turns that find nothing to do */
#define TURNS_MAX  1000000u  /* at one time: more means that it never comes to rest */
#define AFTER_US   1000000u  /* that a case goes on after its last event */
#define MBUFS	   2048u     /* frame buffers at most */
#define FLOWS	   4096u     /* flows that are remembered at most */
#define MEMORY_MB  "64"	     /* of DPDK, touched as it is used */
#define EPOCH_S	   10000000u /* captures with later times begin when their first packet does */
#define TAG_SCRIPT "host.script"

void gw_rep_fail(struct gw_rep *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", r->dir);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	r->failed++;
}

void gw_rep_fail_at(struct gw_rep *r, const struct gw_rep_script *s, const struct gw_rep_line *l,
		    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s:%u: ", s->path, l->number);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	r->failed++;
}

/* EAL without anything that needs privileges. */
static int eal_open(void)
{
	static char *argv[] = {"tagd", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
			       "-m",   MEMORY_MB,   "--lcores",	   "0",	       "--log-level=error"};
	char lcores[32];
	int cpu = sched_getcpu();

	snprintf(lcores, sizeof(lcores), "0@%d", cpu < 0 ? 0 : cpu);
	argv[8] = lcores;
	return rte_eal_init((int)RTE_DIM(argv), argv) < 0 ? EIO : 0;
}

/* The configuration, within what a replay needs. */
static struct gw_cfg *load_cfg(struct gw_rep *r)
{
	char path[GW_REP_PATH + 16];
	struct gw_cfg *cfg = calloc(1, sizeof(*cfg));

	snprintf(path, sizeof(path), "%s/tagd.conf", r->dir);
	if (!cfg || gw_config_load(path, cfg, stderr)) {
		free(cfg);
		return NULL;
	}
	cfg->workers = 1;
	cfg->mbufs = RTE_MIN(cfg->mbufs, MBUFS);
	cfg->flows = RTE_MIN(cfg->flows, FLOWS);
	cfg->live = RTE_MIN(cfg->live, 256u);
	cfg->boxes = RTE_MIN(cfg->boxes, 64u);
	cfg->max_accelerated = RTE_MIN(cfg->max_accelerated, 1024u);
	snprintf(cfg->device, sizeof(cfg->device), "soft0");
	cfg->dev_port = 1;
	cfg->gid_index = 0;
	return cfg;
}

/* --- time -------------------------------------------------------------------------------- */

static void set_time(struct gw_rep *r, uint64_t us)
{
	struct gw_worker *w = r->gw->worker[0];

	r->us = us;
	gw_now_set(GW_REP_T0 + us);
	w->now_us = GW_REP_T0 + us;
	w->now_ms = w->now_us / 1000;
}

/* Captures made at a time of day begin with the first of their packets. */
static void shift_times(struct gw_rep *r)
{
	struct gw_rep_list *list[GW_MAX_PORTS + GW_MAX_HOSTS];
	uint64_t first = UINT64_MAX;
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->cfg->n_port; i++)
		list[n++] = &r->port[i].in;
	for (uint32_t i = 0; i < r->n_host; i++)
		list[n++] = &r->host[i].in;
	for (uint32_t i = 0; i < n; i++)
		if (list[i]->n)
			first = RTE_MIN(first, list[i]->v[0].us);
	if (first == UINT64_MAX || first < (uint64_t)EPOCH_S * 1000000)
		return;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < list[i]->n; k++)
			list[i]->v[k].us -= RTE_MIN(first, list[i]->v[k].us);
}

void gw_rep_settle(struct gw_rep *r)
{
	struct gw_worker *w = r->gw->worker[0];
	uint32_t turns = 0, work;

	do {
		bool more = gw_rep_lan_feed(r);

		work = gw_worker_turn(w) + gw_rep_hosts_poll(r) + gw_rep_lan_drain(r) + more;
		if (++turns > TURNS_MAX) {
			gw_rep_fail(r, "at %.6f s the gateway does not come to rest",
				    (double)r->us / 1e6);
			return;
		}
	} while (work);
}

/* When something happens next. */
static uint64_t next_event(const struct gw_rep *r)
{
	uint64_t due = gw_worker_due(r->gw->worker[0]) - GW_REP_T0;

	if (due <= r->us || due > UINT64_MAX / 2)
		due = r->us + STEP_US;
	due = RTE_MIN(due, gw_rep_lan_due(r));
	due = RTE_MIN(due, gw_rep_hosts_due(r));
	due = RTE_MIN(due, r->tick_us);
	if (r->script.next < r->script.n)
		due = RTE_MIN(due, r->script.line[r->script.next].us);
	return due;
}

/* Time of the last event of the inputs. */
static uint64_t last_event(const struct gw_rep *r)
{
	uint64_t last = r->script.n ? r->script.line[r->script.n - 1].us : 0;

	for (uint32_t i = 0; i < r->cfg->n_port; i++)
		if (r->port[i].in.n)
			last = RTE_MAX(last, r->port[i].in.v[r->port[i].in.n - 1].us);
	for (uint32_t i = 0; i < r->n_host; i++)
		if (r->host[i].in.n)
			last = RTE_MAX(last, r->host[i].in.v[r->host[i].in.n - 1].us);
	return last;
}

/* What the control thread does now and then. */
static void tick(struct gw_rep *r)
{
	gw_events_drain(r->gw);
	gw_rep_hosts_tick(r);
	gw_health_tick(r->gw);
	r->tick_us = r->us + TICK_US;
}

static void loop(struct gw_rep *r)
{
	uint64_t end = last_event(r) + AFTER_US;

	gw_rep_settle(r);
	while (!r->failed) {
		uint64_t us = next_event(r);

		if (us > RTE_MIN(end, r->end_us))
			break;
		set_time(r, us);
		while (r->script.next < r->script.n && r->script.line[r->script.next].us <= us) {
			gw_rep_exec(r, &r->script.line[r->script.next++]);
			gw_rep_settle(r);
		}
		gw_rep_hosts_feed(r);
		gw_rep_settle(r);
		if (us >= r->tick_us)
			tick(r);
	}
}

/* --- one case ---------------------------------------------------------------------------- */

/* MACs of ports, which no device has. */
static void set_macs(struct gw_rep *r)
{
	for (uint32_t i = 0; i < r->gw->n_port; i++) {
		const struct gw_port *trunk = gw_vlan_trunk(r->gw, &r->gw->port[i]);

		r->gw->port[i].mac = (struct rte_ether_addr){
			{2, 0, 0, 0, 1, (uint8_t)((trunk ? trunk->index : i) + 1)}};
	}
}

/* This thread's processor time, for figures. */
static uint64_t cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Everything before time goes on. */
static int open_all(struct gw_rep *r)
{
	struct gw *gw = r->gw;
	int rc;

	rte_srand(1);
	gw->epoch = 1;
	gw->first_psn = (1 << 20) + 1;
	r->host = calloc(GW_MAX_HOSTS, sizeof(*r->host));
	r->conn = calloc(GW_REP_CONNS, sizeof(*r->conn));
	r->answers = json_array();
	rc = r->host && r->conn && r->answers ? 0 : ENOMEM;
	gw->served = gw_served_new(r->cfg);
	if (rc == 0)
		rc = gw->served ? gw_policy_open(gw) : ENOMEM;
	if (rc == 0)
		rc = gw_rep_lan_open(r);
	if (rc == 0)
		rc = gw_data_open(gw);
	if (rc)
		return rc;
	set_macs(r);
	set_time(r, 0);
	gw_rep_fabric_open(r);
	rc = gw_rep_hosts_open(r);
	if (rc == 0)
		shift_times(r);
	return rc;
}

static void close_all(struct gw_rep *r)
{
	if (r->gw->worker[0])
		r->gw->worker[0]->cq.tap = NULL;
	gw_now_set(0); /* whoever waits for an end waits for the machine's clock */
	gw_rep_hosts_close(r);
	gw_data_close(r->gw);
	gw_rep_lan_close(r);
	gw_rep_fabric_close(r);
	gw_policy_close(r->gw);
	free(r->gw->served);
	for (uint32_t i = 0; r->conn && i < r->n_conn; i++)
		free(r->conn[i].got);
	free(r->conn);
	json_decref(r->answers);
}

bool gw_rep_run(struct gw_rep *r)
{
	char path[GW_REP_PATH + 32];
	uint64_t t0;
	int rc;

	r->end_us = UINT64_MAX;
	r->cfg = load_cfg(r);
	snprintf(path, sizeof(path), "%s/" TAG_SCRIPT, r->dir);
	rc = gw_rep_script_read(&r->script, path, true);
	if (!r->cfg || (rc && rc != ENOENT)) {
		r->failed++;
		goto out;
	}
	gw_log_configure(r->cfg);
	gw_now_set(GW_REP_T0);
	r->gw = gw_new(r->cfg);
	if (!r->gw || eal_open()) {
		gw_rep_fail(r, "DPDK does not start without huge pages");
		goto out;
	}
	rc = open_all(r);
	t0 = cpu_us();
	if (rc)
		gw_rep_fail(r, "the gateway cannot be made: %s", strerror(rc));
	else
		loop(r);
	r->cpu_us = cpu_us() - t0;
	if (rc == 0 && !r->failed) {
		gw_rep_expect(r);
		if (!r->figure)
			gw_rep_compare(r);
	}
	close_all(r);
	rte_eal_cleanup();
out:
	gw_rep_script_free(&r->script);
	free(r->cfg);
	free(r->gw);
	return r->failed == 0;
}
