/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_check.c - checks of the configuration that concern several keys or sections.
 */
#include <string.h>

#include "gateway/gw_config.h"
#include "gateway/gw_int.h"

/* True when addr is one of a port's own addresses. */
static const struct gw_port_cfg *port_with(const struct gw_cfg *g, const struct net_addr *a)
{
	for (uint32_t i = 0; i < g->n_port; i++)
		for (uint32_t j = 0; j < g->port[i].n_addr; j++)
			if (net_addr_eq(&g->port[i].addr[j], a))
				return &g->port[i];
	return NULL;
}

/* The server among the first n that has addr, or NULL. */
static const struct gw_server_cfg *server_with(const struct gw_cfg *g, uint32_t n,
					       const struct net_addr *a)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < g->server[i].n_addr; j++)
			if (net_addr_eq(&g->server[i].addr[j], a))
				return &g->server[i];
	return NULL;
}

/* True when addr lies in a subnet of some port. */
static bool on_some_port(const struct gw_cfg *g, const struct net_addr *a)
{
	for (uint32_t i = 0; i < g->n_port; i++)
		if (gw_port_cfg_covers(&g->port[i], a))
			return true;
	return false;
}

/* An address a machine can have. */
static bool unicast(const struct net_addr *a)
{
	static const struct net_addr zero;

	if (net_addr_is_v4(a))
		return a->b[12] != 0 && a->b[12] != 127 && a->b[12] < 224;
	return a->b[0] != 0xff && !net_addr_eq(a, &zero);
}

/* Configured neighbours of a port: in its subnets, each once, none of our own. */
static void check_neighs(struct gw_config_ctx *c, uint32_t i)
{
	const struct gw_port_cfg *p = &c->cfg->port[i];
	char t[NET_ADDRSTR];

	for (uint32_t j = 0; j < p->n_neigh; j++) {
		const struct net_addr *a = &p->neigh[j].addr;
		bool twice = port_with(c->cfg, a) != NULL;

		for (uint32_t k = 0; k < j; k++)
			twice |= net_addr_eq(a, &p->neigh[k].addr);
		if (twice || !unicast(a) || !gw_port_cfg_covers(p, a))
			gw_config_error(
				c, c->port_line[i],
				"[port \"%s\"] neighbour: found %s; allowed: unicast addresses "
				"of others in its subnets, each once",
				p->name, net_addr_str(a, t));
	}
}

static void check_ports(struct gw_config_ctx *c)
{
	const struct gw_cfg *g = c->cfg;
	char t[NET_ADDRSTR];

	for (uint32_t i = 0; i < g->n_port; i++) {
		const struct gw_port_cfg *p = &g->port[i];

		check_neighs(c, i);
		for (uint32_t j = 0; j < p->n_addr; j++) {
			const struct gw_port_cfg *first = port_with(g, &p->addr[j]);

			net_addr_str(&p->addr[j], t);
			if (!unicast(&p->addr[j]))
				gw_config_error(c, c->port_line[i],
						"[port \"%s\"] address: found %s; allowed: unicast "
						"addresses",
						p->name, t);
			if (first != p)
				gw_config_error(
					c, c->port_line[i],
					"[port \"%s\"] address: found %s, which [port \"%s\"] "
					"has already; allowed: each address once",
					p->name, t, first->name);
		}
	}
	for (uint32_t i = 0; i < g->n_port; i++)
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(g->port[i].devargs, g->port[j].devargs) == 0 &&
			    g->port[i].vlan == g->port[j].vlan)
				gw_config_error(c, c->port_line[i],
						"[port \"%s\"]: found the device and vlan of [port "
						"\"%s\"]; allowed: each pair once",
						g->port[i].name, g->port[j].name);
	if (g->n_port == 0)
		gw_config_error(c, c->line, "[port \"NAME\"]: not found; allowed: 1 to %u of them",
				GW_MAX_PORTS);
}

/* True when address j of a server is one of those before it. */
static bool given_before(const struct gw_server_cfg *s, uint32_t j)
{
	for (uint32_t i = 0; i < j; i++)
		if (net_addr_eq(&s->addr[i], &s->addr[j]))
			return true;
	return false;
}

static void check_servers(struct gw_config_ctx *c)
{
	const struct gw_cfg *g = c->cfg;
	char t[NET_ADDRSTR];

	for (uint32_t i = 0; i < g->n_server; i++) {
		const struct gw_server_cfg *s = &g->server[i];

		for (uint32_t j = 0; j < s->n_addr; j++) {
			unsigned int line = c->server_line[i];

			net_addr_str(&s->addr[j], t);
			if (given_before(s, j))
				gw_config_error(c, line,
						"[server \"%s\"] address: found %s a second time; "
						"allowed: each address once",
						s->name, t);
			else if (port_with(g, &s->addr[j]))
				gw_config_error(c, line,
						"[server \"%s\"] address: found %s, which is the "
						"gateway's own; allowed: another address",
						s->name, t);
			else if (!unicast(&s->addr[j]))
				gw_config_error(c, line,
						"[server \"%s\"] address: found %s; allowed: "
						"unicast addresses",
						s->name, t);
			else if (g->n_port && !on_some_port(g, &s->addr[j]))
				gw_config_error(c, line,
						"[server \"%s\"] address: found %s; allowed: "
						"addresses inside the subnet of a port",
						s->name, t);
		}
	}
}

static void check_services(struct gw_config_ctx *c)
{
	static const struct net_addr zero;
	const struct gw_cfg *g = c->cfg;
	char t[NET_ADDRSTR];

	for (uint32_t i = 0; i < g->n_service; i++) {
		const struct gw_service_cfg *s = &g->service[i];

		if (!net_addr_eq(&s->addr, &zero) && !server_with(g, g->n_server, &s->addr))
			gw_config_error(c, c->service_line[i],
					"[service \"%s\"] address: found %s, which is no server's; "
					"allowed: any, or an address of a [server]",
					s->name, net_addr_str(&s->addr, t));
		for (uint32_t j = 0; j < i; j++)
			if (net_addr_eq(&g->service[j].addr, &s->addr) &&
			    g->service[j].port == s->port && g->service[j].proto == s->proto)
				gw_config_error(c, c->service_line[i],
						"[service \"%s\"]: found the address and port of "
						"[service \"%s\"]; allowed: each pair once",
						s->name, g->service[j].name);
	}
}

void gw_config_check(struct gw_config_ctx *c)
{
	check_ports(c);
	check_servers(c);
	check_services(c);
	gw_config_check_policy(c);
}
