/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_vlan.c - several [port] sections on one device, told apart by their 802.1Q tags (IEEE 802.1Q
 * section 9). Tags end here: what a port gets has none, and what it sends gets its own. Priority
 * tags (VID 0) belong to the port without a VLAN.
 */
#include <rte_ether.h>
#include <string.h>

#include "gateway/gw_int.h"
#include "tcpstack/net_wire.h"

#define VID_MASK 0x0fff

/* Port of a VLAN on the device of `trunk`, or NULL. */
static struct gw_port *port_of_vlan(struct gw *gw, const struct gw_port *trunk, uint16_t vid)
{
	for (uint32_t i = 0; i < gw->n_port; i++)
		if (gw->port[i].id == trunk->id && gw->port[i].cfg->vlan == vid)
			return &gw->port[i];
	return NULL;
}

struct gw_port *gw_vlan_port(struct gw *gw, const struct gw_port *trunk, const uint8_t *frame,
			     uint32_t len, bool *tagged)
{
	*tagged = len >= NET_ETH_HLEN + NET_VLAN_HLEN &&
		  net_get16(frame + 2 * RTE_ETHER_ADDR_LEN) == NET_ETHERTYPE_VLAN;
	return port_of_vlan(gw, trunk, *tagged ? net_get16(frame + NET_ETH_HLEN) & VID_MASK : 0);
}

struct gw_port *gw_vlan_rx(struct gw_worker *w, struct gw_port *trunk, struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint8_t macs[2 * RTE_ETHER_ADDR_LEN];
	bool tagged;
	struct gw_port *port = gw_vlan_port(w->gw, trunk, frame, m->data_len, &tagged);

	if (tagged) {
		memcpy(macs, frame, sizeof(macs));
		memcpy(rte_pktmbuf_adj(m, NET_VLAN_HLEN), macs, sizeof(macs));
	}
	return port;
}

int gw_vlan_tx(const struct gw_port *port, struct rte_mbuf **m)
{
	if (!port->cfg->vlan)
		return 0;
	(*m)->vlan_tci = port->cfg->vlan;
	return -rte_vlan_insert(m);
}

struct gw_port *gw_vlan_trunk(struct gw *gw, const struct gw_port *port)
{
	for (uint32_t i = 0; i < port->index; i++)
		if (strcmp(gw->port[i].cfg->devargs, port->cfg->devargs) == 0)
			return &gw->port[i];
	return NULL;
}

uint16_t gw_vlan_mtu(const struct gw_cfg *cfg, const char *devargs)
{
	uint16_t mtu = 0;

	for (uint32_t i = 0; i < cfg->n_port; i++)
		if (strcmp(cfg->port[i].devargs, devargs) == 0 && cfg->port[i].mtu > mtu)
			mtu = cfg->port[i].mtu;
	return mtu;
}
