/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_port.c - client LAN ports: opens each configured DPDK device with one receive and one
 * transmit queue per worker, or as many as it has, and learns what it can do by itself. Who has
 * which queue is in gw_port_rss.c, sending in gw_port_tx.c.
 */
#define GW_LOG_MODULE GW_LM_PORT

#include <errno.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "gateway/gw_int.h"

#define RX_DESC	  512
#define TX_DESC	  512
#define CSUM_CAPS (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM)

/* True when the first `bits` bits of a and b are equal. */
static bool prefix_eq(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	uint32_t bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes))
		return false;
	return rest == 0 || ((a[bytes] ^ b[bytes]) & (0xff00 >> rest) & 0xff) == 0;
}

bool gw_port_cfg_covers(const struct gw_port_cfg *p, const struct net_addr *a)
{
	bool v4 = net_addr_is_v4(a);

	for (uint32_t i = 0; i < p->n_addr; i++) {
		if (net_addr_is_v4(&p->addr[i]) != v4)
			continue;
		if (prefix_eq(p->addr[i].b, a->b, p->plen[i] + (v4 ? 96 : 0)))
			return true;
	}
	return false;
}

bool gw_port_owns(const struct gw_port *p, const struct net_addr *a)
{
	for (uint32_t i = 0; i < p->cfg->n_addr; i++)
		if (net_addr_eq(&p->cfg->addr[i], a))
			return true;
	return false;
}

const struct net_addr *gw_port_self(const struct gw_port *p, const struct net_addr *dst)
{
	const struct net_addr *any = NULL;
	bool v4 = net_addr_is_v4(dst);

	for (uint32_t i = 0; i < p->cfg->n_addr; i++) {
		const struct net_addr *a = &p->cfg->addr[i];

		if (net_addr_is_v4(a) != v4)
			continue;
		if (prefix_eq(a->b, dst->b, p->cfg->plen[i] + (v4 ? 96 : 0)))
			return a;
		any = a;
	}
	return any;
}

struct gw_port *gw_port_of(struct gw *gw, const struct net_addr *a)
{
	for (uint32_t i = 0; i < gw->n_port; i++)
		if (gw_port_cfg_covers(gw->port[i].cfg, a))
			return &gw->port[i];
	return NULL;
}

/* Makes EAL probe the device; its DPDK port number in *id. */
static int probe(const struct gw_port_cfg *cfg, uint16_t *id)
{
	const char *args = cfg->devargs;
	char name[64];
	size_t n = strcspn(args, ",");
	int rc;

	if (n >= sizeof(name))
		return ENAMETOOLONG;
	memcpy(name, args, n);
	name[n] = '\0';
	if (rte_eth_dev_get_port_by_name(name, id) == 0)
		return EEXIST;
	rc = rte_dev_probe(args);
	if (rc && rc != -EEXIST)
		return -rc;
	return rte_eth_dev_get_port_by_name(name, id) ? ENODEV : 0;
}

/* Largest IP MTU that the device admits to; EAL refuses to configure more. */
static uint32_t max_mtu(const struct rte_eth_dev_info *info)
{
	uint32_t overhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	if (info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu)
		overhead = info->max_rx_pktlen - info->max_mtu;
	return RTE_MIN((uint32_t)info->max_mtu, info->max_rx_pktlen - overhead);
}

/* What of the wanted offloads the device has, into *conf. */
static void choose_offloads(struct gw_port *p, uint32_t mtu, const struct rte_eth_dev_info *info,
			    struct rte_eth_conf *conf)
{
	uint64_t tx = info->tx_offload_capa, rx = info->rx_offload_capa;

	p->hw_csum = (tx & CSUM_CAPS) == CSUM_CAPS;
	p->multi_seg = (tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
	conf->txmode.offloads = tx & (CSUM_CAPS | RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	if (!p->hw_csum)
		conf->txmode.offloads &= ~CSUM_CAPS;
	conf->rxmode.offloads = rx & RTE_ETH_RX_OFFLOAD_CHECKSUM;
	conf->rxmode.mtu = RTE_MIN(mtu, max_mtu(info));
	if (conf->rxmode.mtu < mtu)
		gw_log(GW_LOG_WARNING,
		       "[port \"%s\"] mtu: the device names %u as its limit; larger frames pass only if "
		       "it does not mean it (af_packet: see its framesz)",
		       p->cfg->name, (unsigned int)conf->rxmode.mtu);
}

/* Receive and transmit queues, with the frame buffers of the worker that has them. */
static int setup_queues(struct gw *gw, struct gw_port *p)
{
	uint16_t rx = RX_DESC, tx = TX_DESC;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx);

	for (uint32_t i = 0; rc == 0 && i < gw->n_worker; i++) {
		const int q = p->queue[i];

		if (q < 0)
			continue;
		rc = rte_eth_rx_queue_setup(p->id, (uint16_t)q, rx, SOCKET_ID_ANY, NULL,
					    gw->worker[i]->pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(p->id, (uint16_t)q, tx, SOCKET_ID_ANY, NULL);
	}
	return -rc;
}

/* Makes the device take frames to MACs of servers. */
static void open_macs(struct gw *gw, struct gw_port *p)
{
	for (uint32_t i = 0; i < gw->cfg->n_server; i++) {
		struct gw_server_cfg *s = &gw->cfg->server[i];

		for (uint32_t j = 0; j < s->n_mac; j++)
			if (rte_eth_dev_mac_addr_add(p->id, &s->mac[j], 0)) {
				rte_eth_promiscuous_enable(p->id);
				return;
			}
	}
}

/* A port on a device that another one has opened. */
static void port_join(struct gw_port *p, const struct gw_port *trunk)
{
	p->id = trunk->id;
	p->mac = trunk->mac;
	p->hw_csum = trunk->hw_csum;
	p->multi_seg = trunk->multi_seg;
	p->n_queue = trunk->n_queue;
	p->hw_spread = trunk->hw_spread;
	memcpy(p->queue, trunk->queue, sizeof(p->queue));
	memcpy(p->sender, trunk->sender, sizeof(p->sender));
}

/* Says why a device was not opened. The rings of a packet socket are locked memory. */
static void explain(const struct gw_port_cfg *cfg, int rc)
{
	bool packet = strstr(cfg->devargs, "af_packet") != NULL;
	char limit[160] = "check that it exists here and that no other port or program uses it";
	struct rlimit rl;

	if (packet && getrlimit(RLIMIT_MEMLOCK, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY)
		snprintf(limit, sizeof(limit),
			 "its rings are locked memory, and the limit of that is %llu KiB; raise it "
			 "(ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit)",
			 (unsigned long long)rl.rlim_cur / 1024);
	gw_log(GW_LOG_ERROR, "[port \"%s\"] device \"%s\" cannot be opened: %s; %s", cfg->name,
	       cfg->devargs, strerror(rc), limit);
}

int gw_port_open(struct gw *gw, struct gw_port *p)
{
	uint8_t key[GW_RSS_KEY_MAX];
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int rc = gw->probe ? gw->probe(gw, p->cfg, &p->id) : probe(p->cfg, &p->id);

	if (rc) {
		explain(p->cfg, rc);
		return rc;
	}
	p->opened = true;
	rc = -rte_eth_dev_info_get(p->id, &info);
	if (rc)
		return rc;
	gw_port_share(gw, p, RTE_MIN(info.max_rx_queues, info.max_tx_queues));
	choose_offloads(p, gw_vlan_mtu(gw->cfg, p->cfg->devargs), &info, &conf);
	gw_port_rss(p, &info, &conf, key);
	rc = -rte_eth_dev_configure(p->id, p->n_queue, p->n_queue, &conf);
	if (rc == 0)
		rc = setup_queues(gw, p);
	if (rc == 0)
		rc = -rte_eth_macaddr_get(p->id, &p->mac);
	if (rc == 0)
		rc = -rte_eth_dev_start(p->id);
	if (rc) {
		gw_log(GW_LOG_ERROR, "[port \"%s\"] device \"%s\" does not start: %s", p->cfg->name,
		       p->cfg->devargs, strerror(rc));
		return rc;
	}
	gw_port_told(gw, p, &info, &conf);
	open_macs(gw, p);
	/* Neighbour solicitations come to group addresses; a virtual port may see others' too. */
	if (rte_eth_allmulticast_enable(p->id))
		rte_eth_promiscuous_enable(p->id);
	return 0;
}

void gw_ports_macs(struct gw *gw)
{
	for (uint32_t i = 0; i < gw->n_port; i++)
		if (gw->port[i].opened)
			open_macs(gw, &gw->port[i]);
}

int gw_ports_open(struct gw *gw)
{
	for (uint32_t i = 0; i < gw->cfg->n_port; i++) {
		struct gw_port *p = &gw->port[i];
		int rc;

		p->index = (uint16_t)i;
		p->cfg = &gw->cfg->port[i];
		gw->n_port = i + 1;
		rc = 0;
		if (gw_vlan_trunk(gw, p))
			port_join(p, gw_vlan_trunk(gw, p));
		else
			rc = gw_port_open(gw, p);
		if (rc)
			return rc;
		gw_log(GW_LOG_INFO,
		       "port %s: %s, MAC " RTE_ETHER_ADDR_PRT_FMT
		       ", checksums in %s, %u queue%s for %u worker%s%s",
		       p->cfg->name, p->cfg->devargs, RTE_ETHER_ADDR_BYTES(&p->mac),
		       p->hw_csum ? "hardware" : "software", p->n_queue, p->n_queue == 1 ? "" : "s",
		       gw->n_worker, gw->n_worker == 1 ? "" : "s",
		       gw->n_worker == 1 ? ""
		       : p->hw_spread	 ? ", spread by the device"
					 : ", spread in software");
	}
	return 0;
}

void gw_ports_close(struct gw *gw)
{
	for (uint32_t i = 0; i < gw->n_port; i++) {
		struct gw_port *p = &gw->port[i];

		if (!p->opened)
			continue;
		rte_eth_dev_stop(p->id);
		rte_eth_dev_close(p->id);
		p->opened = false;
	}
	gw->n_port = 0;
}
