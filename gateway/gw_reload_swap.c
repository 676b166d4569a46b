/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_reload_swap.c - exchanges the configuration under running workers: what is made of it is made
 * first, then all pointers change, then each worker shows that it has let go of the old ones. See
 * gw_reload.h.
 */
#include <errno.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_reload.h"

/** Everything that belongs to a configuration. */
struct kit {
	struct gw_cfg *cfg;			  /* itself */
	struct gw_served *served;		  /* its addresses */
	struct corr_policy *policy;		  /* NULL: none is needed, and none was ever */
	struct gw_announce *announce;		  /* of worker 0 */
	struct corr_steer *steer[GW_MAX_WORKERS]; /* for workers that have none yet */
};

static void kit_free(struct kit *k)
{
	for (uint32_t i = 0; i < GW_MAX_WORKERS; i++)
		corr_steer_free(k->steer[i]);
	gw_announce_free(k->announce);
	corr_policy_free(k->policy);
	free(k->served);
	free(k->cfg);
}

/* Makes all but cfg. 0 or ENOMEM. */
static int kit_make(struct gw *gw, struct kit *k)
{
	k->served = gw_served_new(k->cfg);
	k->announce = k->served ? gw_announce_new(k->served) : NULL;
	/* Whoever had a policy keeps one, so that what it remembers is asked for and ages. */
	if (!k->announce || gw_policy_make(k->cfg, k->served, gw->policy != NULL, &k->policy))
		return ENOMEM;
	for (uint32_t i = 0; k->policy && i < gw->n_worker; i++) {
		if (gw->worker[i]->steer)
			continue;
		k->steer[i] = corr_steer_new(k->cfg->flows, gw->live);
		if (!k->steer[i])
			return ENOMEM;
	}
	return 0;
}

/* Index of the entry with an id in a configuration's rules, or n_rule. */
static uint32_t rule_of_id(const struct gw_cfg *cfg, uint16_t id)
{
	uint32_t i = 0;

	while (i < cfg->n_rule && cfg->rule[i].id != id)
		i++;
	return i;
}

static uint32_t service_of_id(const struct gw_cfg *cfg, uint16_t id)
{
	uint32_t i = 0;

	while (i < cfg->n_service && cfg->service[i].id != id)
		i++;
	return i;
}

/* A place that has another server than before begins anew. */
static void clear_server(struct gw *gw, uint32_t i)
{
	struct gw_host *h = &gw->host[i];

	memset(&gw->health[i], 0, sizeof(gw->health[i]));
	gw->health[i].seen_good = atomic_load(&h->checks_good);
	gw->health[i].seen_bad = atomic_load(&h->checks_bad);
	atomic_store(&gw->live->server[i].picked, 0);
	atomic_store(&gw->live->server[i].share, 0);
	h->n_addr = 0;
}

/* Counts of numbers that have another owner from now on begin at zero. */
static void clear_counts(struct gw *gw, const struct gw_cfg *now, const struct gw_cfg *next)
{
	for (uint32_t i = 0; i < next->n_server; i++)
		if (strcmp(now->server[i].name, next->server[i].name))
			clear_server(gw, i);
	for (uint32_t i = 0; i < next->n_rule; i++) {
		const uint16_t id = next->rule[i].id;
		const uint32_t old = rule_of_id(now, id);

		if (old == now->n_rule || strcmp(now->rule[old].name, next->rule[i].name))
			atomic_store(&gw->live->rule_hits[id], 0);
	}
	for (uint32_t i = 0; i < next->n_service; i++) {
		const uint16_t id = next->service[i].id;
		const uint32_t old = service_of_id(now, id);

		if (old == now->n_service || strcmp(now->service[old].name, next->service[i].name))
			atomic_store(&gw->live->service_flows[id], 0);
	}
}

/* Tables for a worker that is going to get its first policy. */
static void on_steer(struct gw_worker *w, void *arg)
{
	struct kit *k = arg;

	if (!k->steer[w->index])
		return;
	gw_steer_attach(w, k->steer[w->index]);
	k->steer[w->index] = NULL;
}

/* The worker's own pointers; that it ran proves that it looks at nothing older. */
static void on_swap(struct gw_worker *w, void *arg)
{
	struct kit *k = arg;
	struct gw_announce *old = w->announce;

	if (!old)
		return;
	gw_announce_take(k->announce, old);
	w->announce = k->announce;
	k->announce = old;
}

/* Puts the pointers of k into force; k has the old ones after. */
static void exchange(struct gw *gw, struct kit *k)
{
	struct kit old = {.cfg = gw->cfg, .served = gw->served, .policy = gw->policy};

	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_steer, k);
	clear_counts(gw, old.cfg, k->cfg);
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++)
		gw->host[i].cfg = &k->cfg->server[i];
	for (uint32_t i = 0; i < gw->n_port; i++)
		gw->port[i].cfg = &k->cfg->port[i];
	gw->cfg = k->cfg;
	gw->served = k->served;
	gw->policy = k->policy;
	for (uint32_t i = 0; i < gw->n_worker; i++)
		atomic_store_explicit(&gw->worker[i]->policy, k->policy, memory_order_release);
	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_swap, k);
	old.announce = k->announce;
	*k = old;
}

/* True when an address of a host has another MAC on the LAN than before. */
static bool moved(const struct gw *gw, const struct kit *old, const struct gw_host *h)
{
	for (uint32_t i = 0; i < h->n_addr; i++)
		for (uint32_t p = 0; p < gw->n_port; p++) {
			const struct gw_port *port = &gw->port[p];

			if (!rte_is_same_ether_addr(
				    gw_lan_mac(gw, &h->addr[i], port),
				    gw_lan_mac_in(old->cfg, old->served, &h->addr[i], port)))
				return true;
		}
	return false;
}

int gw_reload_swap(struct gw *gw, struct gw_cfg *next)
{
	struct kit k = {.cfg = next};
	int rc = kit_make(gw, &k);

	if (rc) {
		k.cfg = NULL; /* the caller's */
		kit_free(&k);
		return rc;
	}
	exchange(gw, &k);
	gw_ports_macs(gw);
	gw_health_tick(gw);
	gw_publish(gw);
	for (uint32_t i = 0; i < next->n_server; i++)
		if (gw->host[i].state == GW_HOST_UP && moved(gw, &k, &gw->host[i]))
			gw_announce_host(gw, &gw->host[i]);
	if (gw->ctl)
		gw_boot_services(gw->ctl);
	kit_free(&k);
	return 0;
}
