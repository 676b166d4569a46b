/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_arp.c - ARP (RFC 826) and neighbour discovery (RFC 4861) as the gateway speaks them.
 *
 * On the LAN it answers for its own addresses and for those of all configured servers. Towards a
 * host it answers for every address of the client LAN but the host's own (proxy, RFC 1027), so a
 * host sees one neighbour, the gateway, and needs no other configuration than its address.
 */
#include "gateway/gw_policy.h"
#include "tcpstack/net_wire.h"

#define ND_FIRST 133 /* router solicitation */
#define ND_LAST	 137 /* redirect */

bool gw_is_nd(const uint8_t *frame, const struct net_pkt *p)
{
	return p->is_v6 && p->proto == NET_PROTO_ICMP6 && p->l4_off && !p->fragment &&
	       frame[p->l4_off] >= ND_FIRST && frame[p->l4_off] <= ND_LAST;
}

/* True for messages that net_neigh_read() understands when they are sound. */
static bool is_neighbour(const uint8_t *frame, const struct net_pkt *p)
{
	return p->ethertype == NET_ETHERTYPE_ARP || frame[p->l4_off] == NET_ICMP6_NS ||
	       frame[p->l4_off] == NET_ICMP6_NA;
}

/* The answer that p->target is at mac; NULL: none. */
static struct rte_mbuf *answer(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p,
			       const struct rte_ether_addr *mac)
{
	bool arp = p->ethertype == NET_ETHERTYPE_ARP;
	struct rte_mbuf *m;
	uint8_t *buf;
	size_t room, n;

	m = gw_frame_new(w, &buf, &room);
	if (!m)
		return NULL;
	n = arp ? net_build_arp_reply(buf, room, frame, p, mac->addr_bytes)
		: net_build_na(buf, room, frame, p, mac->addr_bytes);
	m = gw_frame_end(m, n);
	if (m && arp)
		w->stats.arp_replies++;
	else if (m)
		w->stats.nd_replies++;
	return m;
}

/* Reads the message; false: it was dropped. */
static bool read_message(struct gw_worker *w, struct rte_mbuf *m, const struct net_pkt *p,
			 struct net_neigh_info *info)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	if (!is_neighbour(frame, p)) {
		gw_drop(w, GW_DROP_BROADCAST, m); /* routers are none of our business */
		return false;
	}
	if (net_neigh_read(frame, p, info)) {
		gw_drop(w, GW_DROP_BAD_ND, m);
		return false;
	}
	return true;
}

void gw_neigh_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		 const struct net_pkt *p)
{
	struct net_neigh_info info;
	struct rte_mbuf *reply;

	if (!read_message(w, m, p, &info))
		return;
	if (info.has_sender) {
		const struct rte_ether_addr *mac = (const void *)info.sender_mac;

		if (gw_server_of(w->gw, &info.sender) != UINT32_MAX) {
			gw_event(w, GW_EV_SPOOFED_LAN,
				 "port %s: MAC " RTE_ETHER_ADDR_PRT_FMT
				 " claims a server's address",
				 port->cfg->name, RTE_ETHER_ADDR_BYTES(mac));
			gw_drop(w, GW_DROP_SPOOFED_SOURCE, m);
			return;
		}
		if (info.is_request)
			gw_neigh_learn(w, port, &info.sender, mac);
		else
			gw_neigh_confirm(w, port, &info.sender, mac);
	}
	if (info.is_request &&
	    (gw_port_owns(port, &info.target) || gw_server_of(w->gw, &info.target) != UINT32_MAX)) {
		reply = answer(w, rte_pktmbuf_mtod(m, uint8_t *), p,
			       gw_lan_mac(w->gw, &info.target, port));
		if (reply)
			gw_port_tx(w, port, reply);
	}
	rte_pktmbuf_free(m);
}

void gw_neigh_rx_host(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		      const struct net_pkt *p)
{
	struct net_neigh_info info;
	struct rte_mbuf *reply;
	struct gw_port *port;

	if (!read_message(w, m, p, &info))
		return;
	port = gw_port_of(w->gw, &info.target);
	if (info.is_request && port && !gw_server_cfg_has(h->cfg, &info.target)) {
		reply = answer(w, rte_pktmbuf_mtod(m, uint8_t *), p, &port->mac);
		if (reply)
			gw_native_send(w, h, reply);
	}
	rte_pktmbuf_free(m);
}

bool gw_neigh_ask(struct gw_worker *w, struct gw_port *port, const struct net_addr *target,
		  const struct rte_ether_addr *mac)
{
	const struct net_addr *self = gw_port_self(port, target);
	const uint8_t *dst = mac ? mac->addr_bytes : NULL;
	struct rte_mbuf *m;
	uint8_t *buf;
	size_t room, n;

	if (!self)
		return false;
	m = gw_frame_new(w, &buf, &room);
	if (!m)
		return false;
	if (net_addr_is_v4(target))
		n = net_build_arp_request(buf, room, port->mac.addr_bytes, self, target, dst, 0);
	else
		n = net_build_ns(buf, room, port->mac.addr_bytes, self, target, dst, 0);
	m = gw_frame_end(m, n);
	if (m)
		gw_port_tx(w, port, m);
	return m != NULL;
}
