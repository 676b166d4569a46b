/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_reload_forecast.c - what a reload would mean: for established connections, and for new ones of
 * each service.
 *
 * Connections are counted where they are: in the tables of workers, a piece per call, so that no
 * worker stands still. For new flows, clients drawn by a fixed rule are given to the services of
 * before and after, as if every server served: 16,384 of them tell the share that goes elsewhere
 * to a few tenths of a percent.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_reload.h"

#define CLIENTS 16384u /* drawn for each service */
#define PIECE	1024u  /* places of a table looked at in one call */

/** A piece of a worker's connections. */
struct count_call {
	uint32_t it; /* where to go on */
	uint32_t *n; /* by server index */
	bool more;   /* there are further pieces */
};

static void on_count(struct gw_worker *w, void *arg)
{
	struct count_call *c = arg;

	c->more = gw_flows_established(w, &c->it, PIECE, c->n);
}

void gw_reload_count(struct gw *gw, uint32_t n[GW_MAX_HOSTS])
{
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++)
		n[i] = atomic_load(&gw->host[i].accelerated);
	for (uint32_t i = 0; i < gw->n_worker; i++) {
		struct count_call c = {.n = n};

		do
			gw_call(gw->worker[i], on_count, &c);
		while (c.more);
	}
}

/* Established connections: all, those that would have another server, those of servers that
 * leave. */
static json_t *connections(struct gw *gw, const struct gw_cfg *next)
{
	const struct gw_cfg *now = gw->cfg;
	uint32_t n[GW_MAX_HOSTS], all = 0, moved = 0, leaving = 0;

	gw_reload_count(gw, n);
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++) {
		all += n[i];
		if (strcmp(next->server[i].name, now->server[i].name))
			moved += n[i];
		else if (next->server[i].leaving)
			leaving += n[i];
	}
	return json_pack("{s:I, s:I, s:I}", "established", (json_int_t)all, "moved",
			 (json_int_t)moved, "on_leaving_servers", (json_int_t)leaving);
}

/* Client i of those that are drawn. */
static void draw(struct corr_flow *f, uint32_t i)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint32_t a = i * 2654435761u; /* Knuth's multiplicative hash: spreads, and repeats */

	memcpy(f->remote, mapped, sizeof(mapped));
	memcpy(f->remote + 12, &a, sizeof(a));
	f->rport = (uint16_t)(a >> 16 ^ i);
}

/* Server that a flow would get if every server served, or CORR_NONE. */
static uint16_t home(const struct corr_policy *p, const struct corr_service *v,
		     const struct corr_flow *f, uint8_t proto)
{
	const int m = corr_service_home(v, corr_service_hash(p->services, v, f, proto));

	return m < 0 ? CORR_NONE : v->member[m].server;
}

/* The only server that has an address, or CORR_NONE. */
static uint16_t owner(const struct gw *gw, const uint8_t addr[16])
{
	struct net_addr a;
	uint32_t i;

	memcpy(a.b, addr, sizeof(a.b));
	i = gw_server_of(gw, &a);
	return i == UINT32_MAX ? CORR_NONE : (uint16_t)i;
}

/* Flows of a service, of CLIENTS, that would go to another server than now. */
static uint32_t moved(struct gw *gw, const struct corr_policy *next, const struct corr_service *v)
{
	const uint8_t proto = v->cfg.proto ? v->cfg.proto : CORR_TCP;
	const struct corr_service *old = NULL;
	struct corr_flow f = {.lport = htobe16(v->cfg.port)};
	uint32_t n = 0;

	memcpy(f.local, v->cfg.addr, sizeof(f.local));
	if (gw->policy)
		old = corr_services_find(gw->policy->services, f.local, v->cfg.port, proto);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		draw(&f, i);
		n += home(next, v, &f, proto) !=
		     (old && old->n ? home(gw->policy, old, &f, proto) : owner(gw, f.local));
	}
	return n;
}

/* True when all servers of a service leave: nobody takes its new flows. */
static bool deserted(const struct gw_cfg *next, const struct corr_service *v)
{
	return v->n && next->server[v->member[0].server].leaving;
}

/* Services, address by address, of which new flows go elsewhere, with the share of them. */
static json_t *services(struct gw *gw, const struct gw_cfg *next, const struct corr_policy *policy)
{
	json_t *list = json_array();
	const struct corr_service *v;
	char addr[NET_ADDRSTR];

	for (uint32_t k = 0; (v = corr_services_at(policy->services, k)); k++) {
		const bool refused = deserted(next, v);
		uint32_t n = 0;

		if (v->cfg.balance != CORR_LEAST_CONN && v->n && !refused)
			n = moved(gw, policy, v);
		if (!n && !refused)
			continue;
		net_addr_str((const struct net_addr *)v->cfg.addr, addr);
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:f}", "service", v->cfg.name,
						"address", addr, "refused", refused,
						"moved_percent", 100. * (double)n / CLIENTS));
	}
	return list;
}

json_t *gw_reload_forecast(struct gw *gw, const struct gw_cfg *next)
{
	struct gw_served *served = gw_served_new(next);
	struct corr_policy *policy = NULL;
	json_t *o = NULL;

	if (served && gw_policy_make(next, served, true, &policy) == 0)
		o = json_pack("{s:o, s:o}", "connections", connections(gw, next), "services",
			      services(gw, next, policy));
	corr_policy_free(policy);
	free(served);
	return o;
}
