/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_served.c - which configured server an address belongs to, attached or not: a sorted array,
 * made once at start and only read after; and which MAC it has on the LAN. The native maps know
 * attached servers only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_int.h"

/** One address. */
struct gw_served {
	struct net_addr addr; /* key, compared as bytes */
	uint32_t server;      /* index into gw.cfg->server[] */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct net_addr));
}

int gw_served_open(struct gw *gw)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < gw->cfg->n_server; i++)
		n += gw->cfg->server[i].n_addr;
	gw->served = calloc(n + 1, sizeof(*gw->served));
	if (!gw->served)
		return ENOMEM;
	for (uint32_t i = 0; i < gw->cfg->n_server; i++)
		for (uint32_t j = 0; j < gw->cfg->server[i].n_addr; j++) {
			gw->served[gw->n_served].addr = gw->cfg->server[i].addr[j];
			gw->served[gw->n_served++].server = i;
		}
	qsort(gw->served, gw->n_served, sizeof(*gw->served), compare);
	return 0;
}

void gw_served_close(struct gw *gw)
{
	free(gw->served);
	gw->served = NULL;
	gw->n_served = 0;
}

const struct rte_ether_addr *gw_lan_mac(const struct gw *gw, const struct net_addr *a,
					const struct gw_port *port)
{
	const struct gw_served *s =
		bsearch(a, gw->served, gw->n_served, sizeof(*gw->served), compare);

	if (!s || (s > gw->served && compare(s - 1, s) == 0) ||
	    (s + 1 < gw->served + gw->n_served && compare(s + 1, s) == 0))
		return &port->mac;
	return gw_server_mac(&gw->cfg->server[s->server], a, port);
}

bool gw_mac_served(const struct gw *gw, const uint8_t mac[6])
{
	for (uint32_t i = 0; i < gw->cfg->n_server; i++)
		for (uint32_t j = 0; j < gw->cfg->server[i].n_mac; j++)
			if (memcmp(&gw->cfg->server[i].mac[j], mac, 6) == 0)
				return true;
	return false;
}

const struct net_addr *gw_served_at(const struct gw *gw, uint32_t i)
{
	return &gw->served[i].addr;
}

uint32_t gw_server_of(const struct gw *gw, const struct net_addr *a)
{
	const struct gw_served *s =
		bsearch(a, gw->served, gw->n_served, sizeof(*gw->served), compare);

	return s ? s->server : UINT32_MAX;
}
