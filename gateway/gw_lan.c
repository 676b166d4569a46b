/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_lan.c - frames from the client LAN: parsed and checked, then to neighbour discovery, to the
 * gateway's own ping, to acceleration, or natively to a host. Every frame that goes nowhere is
 * counted under the reason.
 */
#include <rte_prefetch.h>
#include <string.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_policy.h"
#include "gateway/gw_spread.h"
#include "gateway/gw_way.h"
#include "tcpstack/net_wire.h"

#define FLOW_FLAGS (TCP_SYN | TCP_FIN | TCP_RST)

/* What the device has not verified already. */
static unsigned int checks(const struct rte_mbuf *m)
{
	unsigned int f = 0;

	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		f |= NET_F_CSUM_L4;
	if ((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) != RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		f |= NET_F_CSUM_IP;
	return f;
}

/*
 * True when the TCP checksum field holds nothing but the pseudo-header's sum: the sender's kernel
 * left the rest to a device that is not there (veth with transmit checksum offload).
 */
static bool partial_csum(const uint8_t *frame, const struct net_pkt *p)
{
	uint32_t len = p->frame_len - p->l4_off;

	if (p->proto != NET_PROTO_TCP || !p->l4_off || p->fragment)
		return false;
	return net_raw16(frame + p->l4_off + NET_TCP_CSUM) ==
	       net_csum_fold(net_csum_pseudo(&p->src, &p->dst, NET_PROTO_TCP, len));
}

/* A frame the parser refused: once in a while the log says so. */
static void complain(struct gw_worker *w, const struct gw_port *port, const uint8_t *frame,
		     const struct net_pkt *p, enum net_perr e)
{
	char src[NET_ADDRSTR];

	if (e == NET_PERR_TCP_CSUM && partial_csum(frame, p))
		gw_event(w, GW_EV_PARTIAL_CSUM,
			 "port %s: %s sends TCP checksums for a device to finish; run \"ethtool -K "
			 "DEV tx off\" at its end of the link",
			 port->cfg->name, net_addr_str(&p->src, src));
	else if (e != NET_PERR_ETHERTYPE)
		gw_event(w, GW_EV_BAD_FRAME, "port %s: %s", port->cfg->name, net_perr_name(e));
}

/* Counts and frees what was judged so. */
static void drop(struct gw_worker *w, const struct gw_port *port, struct rte_mbuf *m,
		 const struct net_pkt *p, const struct gw_way *way)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	if (way->perr)
		complain(w, port, frame, p, (enum net_perr)way->perr);
	else if (way->why == GW_DROP_OVERSIZED)
		gw_event(w, GW_EV_OVERSIZED, "port %s: %u bytes", port->cfg->name, m->pkt_len);
	else if (way->why == GW_DROP_SPOOFED_SOURCE)
		gw_event(w, GW_EV_SPOOFED_LAN, "port %s: MAC " RTE_ETHER_ADDR_PRT_FMT,
			 port->cfg->name, frame[6], frame[7], frame[8], frame[9], frame[10],
			 frame[11]);
	gw_drop_way(w, way, m);
}

/* A frame the parser refused, seen by somebody else than gw_lan_judge(). */
static void refused(struct gw_worker *w, const struct gw_port *port, struct rte_mbuf *m,
		    const struct net_pkt *p, enum net_perr e)
{
	struct gw_way way = {0};

	gw_way_refuse(&way, e);
	drop(w, port, m, p, &way);
}

/* Answers a ping to one of the port's addresses. Takes m. */
static void echo(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		 const struct net_pkt *p)
{
	struct rte_mbuf *reply = gw_icmp_reply(w, m, p, &port->mac);

	if (reply) {
		w->stats.icmp_echo_replies++;
		gw_port_tx(w, port, reply);
	}
	rte_pktmbuf_free(m);
}

/* Why the options of a native segment are not sound; OK: they are. */
static enum net_perr options(const uint8_t *frame, const struct net_pkt *p)
{
	struct tcp_seg seg;

	if (frame[p->l4_off + NET_TCP_DOFF] >> 4 == NET_TCP_HLEN / 4)
		return NET_PERR_OK;
	return net_parse_tcp(frame, p, &seg);
}

/* The destination is no attached server's. */
static void judge_no_server(const struct gw_worker *w, const struct gw_port *port,
			    const uint8_t *frame, const struct net_pkt *p, struct gw_way *way)
{
	if (gw_port_owns(port, &p->dst) && gw_is_echo(frame, p))
		way->kind = GW_WAY_ECHO;
	else
		gw_way_drop(way, gw_server_of(w->gw, &p->dst) == UINT32_MAX ? GW_DROP_NO_SERVER
									    : GW_DROP_NOT_ATTACHED);
}

/* True for TCP segments whose header is there. */
static bool whole_tcp(const struct net_pkt *p)
{
	return p->proto == NET_PROTO_TCP && p->l4_off && !p->fragment;
}

void gw_lan_judge_ip(struct gw_worker *w, const struct gw_port *port, const uint8_t *frame,
		     const struct net_pkt *p, struct gw_way *way)
{
	const struct corr_native *map = atomic_load_explicit(&w->native, memory_order_acquire);
	const struct corr_server *s;
	enum net_perr e;

	*way = (struct gw_way){0};
	if ((map && corr_native_by_addr(map, p->src.b)) || gw_port_owns(port, &p->src)) {
		gw_way_drop(way, GW_DROP_SPOOFED_SOURCE);
		return;
	}
	if (whole_tcp(p)) {
		way->conn = gw_accel_find(w, p);
		if (way->conn) {
			way->kind = GW_WAY_TCP;
			return;
		}
		e = options(frame, p);
		if (e != NET_PERR_OK) {
			gw_way_refuse(way, e);
			return;
		}
	}
	s = map ? corr_native_by_addr(map, p->dst.b) : NULL;
	if (s && gw_is_icmp(p) && gw_accel_icmp_ours(w, frame, p)) {
		way->kind = GW_WAY_ICMP;
		return;
	}
	way->policy = gw_steer_policy(w, &p->dst);
	way->host = s ? &w->gw->host[s->id] : NULL;
	if (way->policy)
		way->kind = GW_WAY_POLICY;
	else if (s)
		way->kind = GW_WAY_HOST;
	else
		judge_no_server(w, port, frame, p, way);
}

/* What an error about an accelerated connection is when the connection cannot hear it now. */
static void native_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		      const struct net_pkt *p)
{
	const struct corr_policy *policy = gw_steer_policy(w, &p->dst);
	const struct corr_native *map = atomic_load_explicit(&w->native, memory_order_acquire);

	if (policy)
		gw_steer_lan(w, policy, port, m, p);
	else
		gw_native_to_host(w, &w->gw->host[corr_native_by_addr(map, p->dst.b)->id], m, p);
}

/* A sound IP frame for us. */
static void ip_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		  const struct net_pkt *p)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct gw_way way;

	gw_lan_judge_ip(w, port, frame, p, &way);
	if (way.kind == GW_WAY_DROP && way.why == GW_DROP_SPOOFED_SOURCE) {
		drop(w, port, m, p, &way);
		return;
	}
	gw_neigh_learn(w, port, &p->src, (const struct rte_ether_addr *)(frame + 6));
	if (whole_tcp(p) && frame[p->l4_off + NET_TCP_FLAGS] & FLOW_FLAGS) {
		gw_flows_flags(w, frame, p);
		gw_steer_flags(w, frame, p);
	}
	switch (way.kind) {
	case GW_WAY_TCP:
		gw_conn_input(way.conn, m, p);
		return;
	case GW_WAY_ICMP:
		if (gw_accel_icmp(w, m, p))
			rte_pktmbuf_free(m);
		else
			native_rx(w, port, m, p);
		return;
	case GW_WAY_POLICY:
		gw_steer_lan(w, way.policy, port, m, p);
		return;
	case GW_WAY_HOST:
		gw_native_to_host(w, way.host, m, p);
		return;
	case GW_WAY_ECHO:
		echo(w, port, m, p);
		return;
	default:
		drop(w, port, m, p, &way);
	}
}

/* A fragment: the frame is looked at again when it is whole. */
static void fragment_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
			const struct net_pkt *p)
{
	struct rte_mbuf *whole = gw_frag_rx(w, port, m, p);
	struct net_pkt q;
	enum net_perr e;

	if (!whole)
		return;
	e = net_parse(rte_pktmbuf_mtod(whole, uint8_t *), whole->data_len, checks(whole), &q);
	if (e != NET_PERR_OK)
		refused(w, port, whole, &q, e);
	else if (!gw_hand_away(w, whole, &q, GW_HAND_LAN, port->index))
		ip_rx(w, port, whole, &q);
}

/* A sound IP frame to one of us, whose flow is this worker's. */
static void unicast_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		       const struct net_pkt *p)
{
	if (gw_frag_wants(w, m, p))
		fragment_rx(w, port, m, p);
	else
		ip_rx(w, port, m, p);
}

void gw_lan_judge(const struct gw_worker *w, const struct gw_port *port, const uint8_t *frame,
		  uint32_t len, unsigned int checks, struct net_pkt *p, struct gw_way *way)
{
	enum net_perr e;

	*way = (struct gw_way){.kind = GW_WAY_IP};
	if (len > GW_FRAME_MAX(port->cfg->mtu)) {
		gw_way_drop(way, GW_DROP_OVERSIZED);
		return;
	}
	if (len >= 12 && !(frame[0] & 1) && memcmp(frame, &port->mac, 6) &&
	    !gw_mac_served(w->gw, frame)) {
		gw_way_drop(way, GW_DROP_FOREIGN_MAC);
		return;
	}
	e = net_parse(frame, len, checks, p);
	if (e != NET_PERR_OK)
		gw_way_refuse(way, e);
	else if (p->vlan)
		gw_way_drop(way, GW_DROP_VLAN);
	else if (p->ethertype == NET_ETHERTYPE_ARP || gw_is_nd(frame, p))
		way->kind = GW_WAY_NEIGHBOUR;
	else if (p->eth_mcast || net_addr_is_mcast(&p->dst))
		gw_way_drop(way, GW_DROP_BROADCAST);
}

/* One frame. */
static void frame_rx(struct gw_worker *w, struct gw_port *trunk, struct rte_mbuf *m)
{
	struct gw_port *port = gw_vlan_rx(w, trunk, m);
	struct gw_way way;
	struct net_pkt p;

	w->stats.lan_rx_bytes += m->pkt_len;
	if (!port) {
		gw_drop(w, GW_DROP_VLAN, m);
		return;
	}
	/* A chain of mbufs is longer than any frame that our pools hold. */
	gw_lan_judge(w, port, rte_pktmbuf_mtod(m, uint8_t *),
		     m->nb_segs > 1 ? UINT32_MAX : m->data_len, checks(m), &p, &way);
	if (way.kind == GW_WAY_DROP)
		drop(w, port, m, &p, &way);
	else if (way.kind == GW_WAY_NEIGHBOUR)
		gw_neigh_rx(w, port, m, &p);
	else if (!gw_hand_away(w, m, &p, GW_HAND_LAN, port->index))
		unicast_rx(w, port, m, &p);
}

void gw_lan_taken(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m)
{
	struct net_pkt p;
	enum net_perr e = net_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, 0, &p);

	if (e != NET_PERR_OK)
		refused(w, port, m, &p, e);
	else
		unicast_rx(w, port, m, &p);
}

void gw_lan_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf **m, uint16_t n)
{
	w->stats.lan_rx_frames += n;
	for (uint16_t i = 0; i < n; i++) {
		if (i + 1 < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + 1], void *));
		if (w->capture)
			gw_cap_rx(w->capture, port, m[i]);
		frame_rx(w, port, m[i]);
		if (w->capture)
			gw_cap_settle(w->capture);
	}
}
