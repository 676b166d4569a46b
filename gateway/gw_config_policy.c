/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_policy.c - checks of services and rules: names of servers and ports, what keys mean
 * together.
 */
#include <string.h>

#include "gateway/gw_config.h"
#include "gateway/gw_policy.h"

static const struct gw_server_cfg *server_named(const struct gw_cfg *g, const char *name,
						size_t len)
{
	for (uint32_t i = 0; i < g->n_server; i++)
		if (strlen(g->server[i].name) == len && memcmp(g->server[i].name, name, len) == 0)
			return &g->server[i];
	return NULL;
}

/* Names of a service: they exist and have its address. */
static void check_names(struct gw_config_ctx *c, uint32_t i)
{
	static const struct net_addr any;
	const struct gw_service_cfg *v = &c->cfg->service[i];
	const char *list = v->servers;

	while (*(list += strspn(list, ", \t"))) {
		const int n = (int)strcspn(list, ", \t");
		const struct gw_server_cfg *s = server_named(c->cfg, list, (size_t)n);

		if (!s)
			gw_config_error(c, c->service_line[i],
					"[service \"%s\"] servers: found %.*s; allowed: names of "
					"[server] sections",
					v->name, n, list);
		else if (!net_addr_eq(&v->addr, &any) && !gw_server_cfg_has(s, &v->addr))
			gw_config_error(c, c->service_line[i],
					"[service \"%s\"] servers: found %s, which has another "
					"address; allowed: servers with the address of the service",
					v->name, s->name);
		list += n;
	}
}

static bool port_named(const struct gw_cfg *g, const char *name)
{
	for (uint32_t i = 0; i < g->n_port; i++)
		if (strcmp(g->port[i].name, name) == 0)
			return true;
	return false;
}

/* One rule. */
static void check_rule(struct gw_config_ctx *c, uint32_t i)
{
	const struct gw_rule_cfg *r = &c->cfg->rule[i];
	const unsigned int line = c->rule_line[i];
	const struct gw_server_cfg *via = server_named(c->cfg, r->via, strlen(r->via));

	if (strcmp(r->iface, "any") && strcmp(r->iface, "fabric") && !port_named(c->cfg, r->iface))
		gw_config_error(c, line,
				"[rule \"%s\"] interface: found %s; allowed: any, fabric, or the "
				"name of a [port]",
				r->name, r->iface);
	if (r->action == CORR_VIA && !via)
		gw_config_error(c, line,
				"[rule \"%s\"] via: found \"%s\"; allowed: the name of a [server], "
				"with action = via",
				r->name, r->via);
	else if (r->action == CORR_VIA && !via->forward)
		gw_config_error(c, line,
				"[rule \"%s\"] via: found %s; allowed: a [server] with "
				"forward = yes",
				r->name, r->via);
	if (r->action != CORR_VIA && *r->via)
		gw_config_error(c, line,
				"[rule \"%s\"] via: found %s; allowed: only with action = via",
				r->name, r->via);
	if ((r->action == CORR_DENY || r->action == CORR_REJECT) &&
	    (r->rate || r->max_conns || r->client_rate || r->max_client_conns))
		gw_config_error(c, line,
				"[rule \"%s\"]: found a limit of flows that do not pass; allowed: "
				"with action = allow or via",
				r->name);
}

void gw_config_check_policy(struct gw_config_ctx *c)
{
	for (uint32_t i = 0; i < c->cfg->n_service; i++) {
		const struct gw_service_cfg *v = &c->cfg->service[i];

		check_names(c, i);
		if (!corr_maglev_size_ok(v->table_size))
			gw_config_error(
				c, c->service_line[i],
				"[service \"%s\"] table-size: found %u; allowed: primes, as "
				"251, 4093, 65537",
				v->name, v->table_size);
	}
	for (uint32_t i = 0; i < c->cfg->n_rule; i++)
		check_rule(c, i);
}
