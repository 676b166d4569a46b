/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_health.c - the health of servers, from the fabric and from checks, as the share of new flows
 * that each takes (control thread).
 *
 * The fabric's signs are certain: an agent whose bootstrap or heartbeat ends, or whose queue pair
 * dies, is not attached, and its server takes nothing new at once. Its flows stay with it until the
 * host timeout has passed: agents come back, and kernels keep connections. Signs of checks are
 * counted with hysteresis (corr_health.h). The load is how long the server's memory takes to
 * answer RDMA READs, compared with its peers.
 */
#define GW_LOG_MODULE GW_LM_POLICY

#include <stdlib.h>

#include "gateway/gw_policy.h"

/* How much longer READs take than usual: an average over workers that read, in us; 0: unknown. */
static uint32_t read_us(const struct gw *gw, uint32_t server)
{
	uint64_t sum = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		const uint32_t us = atomic_load_explicit(&gw->host[server].link[i].read_us,
							 memory_order_relaxed);

		sum += us;
		n += us > 0;
	}
	return n ? (uint32_t)(sum / n) : 0;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Median of all servers that are read from; 0: none. The lower one of two. */
static uint32_t median_us(const struct gw *gw)
{
	uint32_t us[GW_MAX_HOSTS], n = 0;

	for (uint32_t i = 0; i < gw->cfg->n_server; i++) {
		us[n] = read_us(gw, i);
		n += us[n] > 0;
	}
	qsort(us, n, sizeof(us[0]), by_value);
	return n ? us[(n - 1) / 2] : 0;
}

/* Results of checks since the last time. */
static bool take_checks(struct gw *gw, uint32_t i, uint64_t now_ms)
{
	const struct gw_server_cfg *cfg = &gw->cfg->server[i];
	struct gw_health *h = &gw->health[i];
	const uint64_t good = atomic_load_explicit(&gw->host[i].checks_good, memory_order_relaxed);
	const uint64_t bad = atomic_load_explicit(&gw->host[i].checks_bad, memory_order_relaxed);
	bool changed = false;

	if (good != h->seen_good || bad != h->seen_bad)
		gw_log(GW_LOG_DEBUG, "server %s: check %s: %s", cfg->name,
		       bad != h->seen_bad ? "failed" : "passed", h->health.up ? "up" : "down");
	for (; h->seen_good < good; h->seen_good++)
		changed |= corr_health_sign(&h->health, &cfg->health, true, now_ms);
	for (; h->seen_bad < bad; h->seen_bad++)
		changed |= corr_health_sign(&h->health, &cfg->health, false, now_ms);
	return changed;
}

/* Signs of one server; true when it went up or down. */
static bool signs(struct gw *gw, uint32_t i, uint64_t now_ms)
{
	struct corr_health_cfg once = gw->cfg->server[i].health;
	struct gw_health *h = &gw->health[i];

	if (gw->host[i].state != GW_HOST_UP)
		return corr_health_lost(&h->health, now_ms);
	h->up_ms = now_ms;
	if (gw->cfg->server[i].check != GW_CHECK_NONE)
		return take_checks(gw, i, now_ms);
	once.rise = 1;
	return corr_health_sign(&h->health, &once, true, now_ms);
}

/* What happens to the flows that a server has. */
static enum corr_leave leave(const struct gw *gw, uint32_t i, uint64_t now_ms)
{
	const struct gw_health *h = &gw->health[i];

	if (gw->host[i].state == GW_HOST_UP)
		return h->health.up && !gw->cfg->server[i].leaving ? CORR_STAY
								   : CORR_LEAVE_DATAGRAMS;
	if (now_ms - gw->start_us / 1000 < gw->cfg->host_timeout_ms)
		return CORR_STAY; /* we are new, not the server */
	return h->up_ms && now_ms - h->up_ms < gw->cfg->host_timeout_ms ? CORR_STAY
									: CORR_LEAVE_ALL;
}

void gw_health_tick(struct gw *gw)
{
	const uint64_t now_ms = gw_now_us() / 1000;
	const uint32_t median = median_us(gw);

	for (uint32_t i = 0; i < gw->cfg->n_server; i++) {
		const struct gw_server_cfg *cfg = &gw->cfg->server[i];
		struct gw_health *h = &gw->health[i];
		uint32_t share, load;

		if (!*cfg->name)
			continue;
		h->left &= cfg->leaving;
		if (signs(gw, i, now_ms) && gw->policy)
			gw_log(h->health.up ? GW_LOG_NOTICE : GW_LOG_WARNING, "server %s: %s",
			       cfg->name, h->health.up ? "takes new flows" : "takes no new flows");
		share = corr_health_share(&h->health, &cfg->health, now_ms);
		load = corr_load_share(read_us(gw, i), median);
		share = h->drained || cfg->leaving
				? 0
				: RTE_MIN(share, RTE_MAX(share * load / CORR_SHARE_FULL, 1u));
		atomic_store_explicit(&gw->live->server[i].share, share, memory_order_relaxed);
		atomic_store_explicit(&gw->live->server[i].leave, (uint32_t)leave(gw, i, now_ms),
				      memory_order_relaxed);
	}
}

void gw_health_drain(struct gw *gw, uint32_t server, bool drained)
{
	if (gw->health[server].drained != drained)
		gw_log(GW_LOG_NOTICE, "server %s: %s", gw->cfg->server[server].name,
		       drained ? "drains: it keeps its flows and gets no new ones" : "ready");
	gw->health[server].drained = drained;
	gw_health_tick(gw);
}

const char *gw_health_name(const struct gw *gw, uint32_t server)
{
	const struct gw_health *h = &gw->health[server];
	const uint32_t share = atomic_load(&gw->live->server[server].share);

	if (gw->cfg->server[server].leaving)
		return "leaving";
	if (gw->host[server].state != GW_HOST_UP)
		return "absent";
	if (!h->health.up)
		return "down";
	if (h->drained)
		return "draining";
	return share < CORR_SHARE_FULL ? "reduced" : "up";
}
