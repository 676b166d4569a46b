/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_policy.c - from the configuration to the correlator's policy: rules, and a service for every
 * address that several servers share or that has limits (control thread).
 *
 * A [service] with an address makes one; one with `address = any` makes one per such address. An
 * address that is shared is a service in any case: what no [service] fits goes by its hash. When
 * nothing is shared, limited or forbidden there is no policy, and frames are not asked about.
 */
#define GW_LOG_MODULE GW_LM_POLICY

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_policy.h"

/** A policy in the making. */
struct build {
	const struct gw_cfg *cfg;		     /* that it is made of */
	const struct gw_served *served;		     /* its addresses */
	struct corr_services *services;		     /* NULL: only counting */
	uint32_t n;				     /* services */
	struct corr_member member[CORR_MAX_SERVERS]; /* of the address at hand */
	uint32_t n_member;			     /* entries of member[] */
};

bool gw_names_has(const char *list, const char *name)
{
	const size_t len = strlen(name);

	while (*(list += strspn(list, ", \t"))) {
		const size_t n = strcspn(list, ", \t");

		if (n == len && memcmp(list, name, n) == 0)
			return true;
		list += n;
	}
	return false;
}

uint32_t gw_server_named(const struct gw_cfg *g, const char *name)
{
	uint32_t leaving = UINT32_MAX;

	for (uint32_t i = 0; *name && i < g->n_server; i++) {
		if (strcmp(g->server[i].name, name))
			continue;
		if (!g->server[i].leaving)
			return i;
		leaving = i;
	}
	return leaving;
}

bool gw_server_cfg_has(const struct gw_server_cfg *s, const struct net_addr *a)
{
	for (uint32_t i = 0; i < s->n_addr; i++)
		if (net_addr_eq(&s->addr[i], a))
			return true;
	return false;
}

/* Limits of each client. */
static struct corr_client_limit client_limit(uint32_t conns, uint32_t rate, uint8_t prefix4,
					     uint8_t prefix6)
{
	return (struct corr_client_limit){
		.max_conns = conns,
		.rate = corr_rate_of(rate, 0),
		.prefix4 = prefix4,
		.prefix6 = prefix6,
	};
}

static bool limited(const struct gw_service_cfg *v)
{
	return v->max_conns || v->max_client_conns || v->syn_rate || v->client_rate;
}

/* Collects the servers that have an address, of those that a service names; or that leave. */
static void collect(struct build *b, const struct net_addr *a, const char *names, bool leaving)
{
	const struct gw_cfg *g = b->cfg;

	b->n_member = 0;
	for (uint32_t i = 0; i < g->n_server; i++) {
		const struct gw_server_cfg *s = &g->server[i];

		if (s->leaving != leaving || !gw_server_cfg_has(s, a) ||
		    (*names && !gw_names_has(names, s->name)))
			continue;
		b->member[b->n_member++] = (struct corr_member){.name = s->name,
								.server = (uint16_t)i,
								.weight = s->weight,
								.max_conns = s->max_conns,
								.backup = s->backup};
	}
}

/* The same; when all that have the address leave, them: who takes nothing new refuses it. */
static void members(struct build *b, const struct net_addr *a, const char *names)
{
	collect(b, a, "", false);
	if (!b->n_member)
		collect(b, a, "", true);
	else if (*names)
		collect(b, a, names, false);
}

/* Adds a service of an address, or counts it. */
static int add(struct build *b, const struct net_addr *a, const struct gw_service_cfg *v)
{
	struct corr_service_cfg c = {
		.id = v ? v->id : CORR_NONE, .reject = true, .client.prefix4 = 32};

	b->n++;
	if (!b->services)
		return 0;
	memcpy(c.addr, a->b, sizeof(c.addr));
	if (!v) {
		net_addr_str(a, c.name);
		members(b, a, "");
		return corr_services_add(b->services, &c, b->member, b->n_member);
	}
	memcpy(c.name, v->name, sizeof(c.name));
	c.port = v->port;
	c.proto = v->proto;
	c.reject = v->no_server;
	c.balance = (enum corr_balance)v->balance;
	c.table_size = v->table_size;
	c.affinity_ms = v->affinity_ms;
	c.max_conns = v->max_conns;
	c.syn = corr_rate_of(v->syn_rate, v->syn_burst);
	c.client = client_limit(v->max_client_conns, v->client_rate, v->prefix4, v->prefix6);
	members(b, a, v->servers);
	return corr_services_add(b->services, &c, b->member, b->n_member);
}

/* All services of an address. */
static int add_address(struct build *b, const struct net_addr *a, bool shared)
{
	static const struct net_addr any;
	const struct gw_cfg *g = b->cfg;
	bool rest = true; /* some flows fit no [service] */
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < g->n_service; i++) {
		const struct gw_service_cfg *v = &g->service[i];

		if (!net_addr_eq(&v->addr, &any) && !net_addr_eq(&v->addr, a))
			continue;
		if (!shared && !limited(v) && !*v->servers)
			continue;
		rc = add(b, a, v);
		rest &= v->port || v->proto;
	}
	return rc == 0 && shared && rest ? add(b, a, NULL) : rc;
}

/* True when a server that is not configured any more still has connections at an address. */
static bool leaves(const struct gw_cfg *g, const struct net_addr *a)
{
	for (uint32_t i = 0; i < g->n_server; i++)
		if (g->server[i].leaving && gw_server_cfg_has(&g->server[i], a))
			return true;
	return false;
}

/* Every address once. */
static int add_services(struct build *b)
{
	const struct gw_served *s = b->served;
	const uint32_t n = gw_served_count(s);
	int rc = 0;

	b->n = 0;
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const struct net_addr *a = gw_served_at(s, i);
		const bool shared = i + 1 < n && net_addr_eq(a, gw_served_at(s, i + 1));

		if (i == 0 || !net_addr_eq(a, gw_served_at(s, i - 1)))
			rc = add_address(b, a, shared || leaves(b->cfg, a));
	}
	return rc;
}

/* Index of a port by name, the fabric or any. */
static uint8_t interface(const struct gw_cfg *g, const char *name)
{
	for (uint32_t i = 0; i < g->n_port; i++)
		if (strcmp(g->port[i].name, name) == 0)
			return (uint8_t)i;
	return strcmp(name, "fabric") == 0 ? CORR_IFACE_FABRIC : CORR_IFACE_ANY;
}

static uint16_t server_index(const struct gw_cfg *g, const char *name)
{
	const uint32_t i = gw_server_named(g, name);

	return i < g->n_server ? (uint16_t)i : CORR_NONE;
}

/* A rule in the correlator's form. */
static struct corr_rule rule_of(const struct gw_cfg *g, const struct gw_rule_cfg *c)
{
	struct corr_rule r = {
		.id = c->id,
		.action = (enum corr_action)c->action,
		.src = c->src,
		.dst = c->dst,
		.sport = {c->sport[0], c->sport[1]},
		.dport = {c->dport[0], c->dport[1]},
		.proto = c->proto,
		.iface = interface(g, c->iface),
		.via = c->action == CORR_VIA ? server_index(g, c->via) : CORR_NONE,
		.accelerate = c->accelerate,
		.max_conns = c->max_conns,
		.rate = corr_rate_of(c->rate, c->burst),
		.client = client_limit(c->max_client_conns, c->client_rate, c->prefix4, c->prefix6),
	};

	memcpy(r.name, c->name, sizeof(r.name));
	return r;
}

static int add_rules(const struct gw_cfg *g, struct corr_rules *list)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < g->n_rule; i++) {
		const struct corr_rule r = rule_of(g, &g->rule[i]);

		rc = corr_rules_add(list, &r);
	}
	return rc;
}

/* Builds the snapshot; NULL: out of memory, or a configuration that was not checked. */
static struct corr_policy *build(struct build *b)
{
	const struct gw_cfg *g = b->cfg;
	const struct corr_sip_key key = corr_sip_key_of(g->policy_key);
	struct corr_policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->rules = corr_rules_new(g->n_rule, (enum corr_action)g->otherwise);
	p->services = corr_services_new(&key, b->n);
	b->services = p->services;
	if (!p->rules || !p->services || add_rules(g, p->rules) || add_services(b) ||
	    corr_services_done(p->services)) {
		corr_policy_free(p);
		return NULL;
	}
	return p;
}

int gw_policy_make(const struct gw_cfg *cfg, const struct gw_served *served, bool always,
		   struct corr_policy **policy)
{
	struct build *b = calloc(1, sizeof(*b));

	*policy = NULL;
	if (!b)
		return ENOMEM;
	b->cfg = cfg;
	b->served = served;
	add_services(b); /* counts */
	if (b->n || cfg->n_rule || cfg->otherwise != CORR_ALLOW || always) {
		*policy = build(b);
		always = true;
	}
	free(b);
	return always && !*policy ? ENOMEM : 0;
}

int gw_policy_open(struct gw *gw)
{
	int rc = ENOMEM;

	gw->live = calloc(1, sizeof(*gw->live));
	gw->health = calloc(GW_MAX_HOSTS, sizeof(*gw->health));
	if (gw->live && gw->health)
		rc = corr_live_open(gw->live, gw->cfg->flows / 4 * gw->cfg->workers);
	if (rc == 0)
		rc = gw_policy_make(gw->cfg, gw->served, false, &gw->policy);
	if (rc)
		gw_log(GW_LOG_ERROR, "policy of services and %u rules cannot be made",
		       gw->cfg->n_rule);
	return rc;
}

void gw_policy_close(struct gw *gw)
{
	corr_policy_free(gw->policy);
	gw->policy = NULL;
	if (gw->live)
		corr_live_close(gw->live);
	free(gw->live);
	gw->live = NULL;
	free(gw->health);
	gw->health = NULL;
}
