/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_served.c - which configured server an address belongs to, attached or not: a sorted array,
 * made for a configuration and only read after; and which MAC it has on the LAN. The native maps
 * know attached servers only.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_int.h"

/** One address. */
struct owner {
	struct net_addr addr; /* key, compared as bytes */
	uint32_t server;      /* index into gw_cfg.server[] */
};

struct gw_served {
	uint32_t n;	  /* entries */
	struct owner a[]; /* sorted */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct net_addr));
}

struct gw_served *gw_served_new(const struct gw_cfg *cfg)
{
	struct gw_served *s;
	uint32_t n = 0;

	for (uint32_t i = 0; i < cfg->n_server; i++)
		n += cfg->server[i].n_addr;
	s = malloc(sizeof(*s) + n * sizeof(s->a[0]));
	if (!s)
		return NULL;
	s->n = 0;
	for (uint32_t i = 0; i < cfg->n_server; i++)
		for (uint32_t j = 0; j < cfg->server[i].n_addr; j++)
			s->a[s->n++] = (struct owner){.addr = cfg->server[i].addr[j], .server = i};
	qsort(s->a, s->n, sizeof(s->a[0]), compare);
	return s;
}

uint32_t gw_served_count(const struct gw_served *s)
{
	return s->n;
}

const struct net_addr *gw_served_at(const struct gw_served *s, uint32_t i)
{
	return &s->a[i].addr;
}

int gw_served_find(const struct gw_served *s, const struct net_addr *a)
{
	const struct owner *o = bsearch(a, s->a, s->n, sizeof(s->a[0]), compare);

	while (o && o > s->a && compare(o - 1, o) == 0)
		o--;
	return o ? (int)(o - s->a) : -1;
}

const struct rte_ether_addr *gw_lan_mac_in(const struct gw_cfg *cfg, const struct gw_served *s,
					   const struct net_addr *a, const struct gw_port *port)
{
	const int i = gw_served_find(s, a);

	if (i < 0 || ((uint32_t)i + 1 < s->n && compare(&s->a[i], &s->a[i + 1]) == 0))
		return &port->mac;
	return gw_server_mac(&cfg->server[s->a[i].server], a, port);
}

const struct rte_ether_addr *gw_lan_mac(const struct gw *gw, const struct net_addr *a,
					const struct gw_port *port)
{
	return gw_lan_mac_in(gw->cfg, gw->served, a, port);
}

bool gw_mac_served(const struct gw *gw, const uint8_t mac[6])
{
	const struct gw_cfg *cfg = gw->cfg;

	for (uint32_t i = 0; i < cfg->n_server; i++)
		for (uint32_t j = 0; j < cfg->server[i].n_mac; j++)
			if (memcmp(&cfg->server[i].mac[j], mac, 6) == 0)
				return true;
	return false;
}

uint32_t gw_server_of(const struct gw *gw, const struct net_addr *a)
{
	const struct gw_served *s = gw->served;
	const struct owner *o = bsearch(a, s->a, s->n, sizeof(s->a[0]), compare);

	return o ? o->server : UINT32_MAX;
}
