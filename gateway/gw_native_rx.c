/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_native_rx.c - the native path from hosts: datagrams with whole Ethernet frames, received into
 * mbufs that go on to the LAN or to another host without a copy.
 *
 * A receive buffer begins IB_GRH_LEN + 4 bytes before the place where an mbuf's data usually
 * starts, so that the frame begins there. The source queue pair names the host (IBA-to-TCP native
 * map); what the frame says of itself must agree with it.
 *
 * A host's kernel sends bursts of a whole congestion window, and nothing tells a sender of
 * datagrams that its receiver has no buffer left. So there are many, and running out is counted.
 */
#include <errno.h>
#include <string.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_policy.h"
#include "gateway/gw_spread.h"
#include "gateway/gw_way.h"
#include "tcpstack/net_wire.h"

/* The host that a datagram came from, or NULL. */
static struct gw_host *source_host(struct gw_worker *w, const struct rte_mbuf *m,
				   const struct ibv_wc *wc)
{
	const struct corr_native *map = atomic_load_explicit(&w->native, memory_order_acquire);
	const uint8_t *grh = (const uint8_t *)m->buf_addr + GW_RX_OFF;
	const uint8_t *gid = NULL;
	const struct corr_server *s;
	uint8_t mapped[16];

	if (!map)
		return NULL;
	if (w->gw->dev.roce)
		gid = ib_grh_source(grh, mapped);
	s = corr_native_by_source(map, wc->slid, gid, wc->src_qp);
	return s ? &w->gw->host[s->id] : NULL;
}

/* An IP frame to the gateway itself, at one of port's addresses: an answer to a check is worker
 * 0's.
 */
static void for_gateway(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
			const struct net_pkt *p, struct gw_port *port)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_mbuf *reply;

	reply = gw_is_echo(frame, p) ? gw_icmp_reply(w, m, p, &port->mac) : NULL;
	if (reply) {
		w->stats.icmp_echo_replies++;
		gw_native_send(w, h, reply);
		rte_pktmbuf_free(m);
	} else if (w->index) {
		gw_hand(w, 0, m, GW_HAND_HOST, h->id);
	} else if (gw_check_rx(w, h, m, p)) {
		rte_pktmbuf_free(m);
	} else {
		gw_drop(w, GW_DROP_NO_SERVER, m);
	}
}

/* An IP frame of a host to somebody else. */
static void through(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		    const struct net_pkt *p)
{
	if (!gw_steer_host(w, h, m, p))
		gw_native_route(w, h, m, p);
}

void gw_host_judge(struct gw_worker *w, const struct gw_host *h, const uint8_t *frame, uint32_t len,
		   bool bounced, struct net_pkt *p, struct gw_way *way)
{
	const struct corr_native *map = atomic_load_explicit(&w->native, memory_order_acquire);
	const struct gw_port *port;
	enum net_perr e;

	*way = (struct gw_way){.kind = GW_WAY_IP};
	e = net_parse(frame, len, NET_F_CSUM_IP | (bounced ? NET_F_CSUM_L4 : 0), p);
	if (e != NET_PERR_OK) {
		gw_way_refuse(way, e);
	} else if (bounced) {
		way->kind = GW_WAY_BOUNCED;
		if (p->ethertype == NET_ETHERTYPE_ARP || !corr_native_owns(map, h->id, p->dst.b))
			gw_way_drop(way, GW_DROP_SPOOFED_SOURCE);
	} else if (p->ethertype == NET_ETHERTYPE_ARP || gw_is_nd(frame, p)) {
		way->kind = GW_WAY_NEIGHBOUR;
	} else if (p->eth_mcast || net_addr_is_mcast(&p->dst)) {
		gw_way_drop(way, GW_DROP_BROADCAST);
	} else if (p->vlan) {
		gw_way_drop(way, GW_DROP_VLAN);
	} else if (!h->cfg->forward && !corr_native_owns(map, h->id, p->src.b)) {
		gw_way_drop(way, GW_DROP_SPOOFED_SOURCE);
	} else {
		port = gw_port_of(w->gw, &p->dst);
		if (port && gw_port_owns(port, &p->dst))
			way->kind = GW_WAY_SELF;
	}
}

/* Counts and frees what was judged so; once in a while the log says who does it. */
static void drop(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		 const struct net_pkt *p, const struct gw_way *way, bool bounced)
{
	char text[NET_ADDRSTR];

	if (way->perr)
		gw_event(w, GW_EV_BAD_HOST_FRAME, "server %s: %s", h->cfg->name,
			 net_perr_name((enum net_perr)way->perr));
	else if (way->why == GW_DROP_SPOOFED_SOURCE && bounced)
		gw_event(w, GW_EV_SPOOFED_HOST, "server %s bounced a frame for %s", h->cfg->name,
			 net_addr_str(&p->dst, text));
	else if (way->why == GW_DROP_SPOOFED_SOURCE)
		gw_event(w, GW_EV_SPOOFED_HOST, "server %s sent from %s", h->cfg->name,
			 net_addr_str(&p->src, text));
	gw_drop_way(w, way, m);
}

/* A frame without its encapsulation. */
static void frame_from_host(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
			    bool bounced)
{
	struct gw_way way;
	struct net_pkt p;

	gw_host_judge(w, h, rte_pktmbuf_mtod(m, uint8_t *), m->data_len, bounced, &p, &way);
	switch (way.kind) {
	case GW_WAY_DROP:
		drop(w, h, m, &p, &way, bounced);
		return;
	case GW_WAY_BOUNCED:
		if (!gw_hand_away(w, m, &p, GW_HAND_BOUNCED, h->id))
			gw_accel_bounced(w, h, m, &p);
		return;
	case GW_WAY_NEIGHBOUR:
		gw_neigh_rx_host(w, h, m, &p);
		return;
	case GW_WAY_SELF:
		for_gateway(w, h, m, &p, gw_port_of(w->gw, &p.dst));
		return;
	default:
		if (!gw_hand_away(w, m, &p, GW_HAND_HOST, h->id))
			through(w, h, m, &p);
	}
}

void gw_native_taken(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m, bool bounced)
{
	struct net_pkt p;
	enum net_perr e = net_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, 0, &p);
	struct gw_port *port = e == NET_PERR_OK ? gw_port_of(w->gw, &p.dst) : NULL;

	if (e != NET_PERR_OK) {
		w->stats.perr[e]++;
		rte_pktmbuf_free(m);
	} else if (bounced) {
		gw_accel_bounced(w, h, m, &p);
	} else if (port && gw_port_owns(port, &p.dst)) {
		for_gateway(w, h, m, &p, port);
	} else {
		through(w, h, m, &p);
	}
}

void gw_native_unwrap(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m, uint32_t len)
{
	const uint8_t *encap =
		(const uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM - sizeof(struct ib_encap);
	uint16_t type = net_get16(encap), flags = net_get16(encap + 2);

	if (len <= sizeof(struct ib_encap) || type != IB_ENCAP_ETH || flags & ~IB_ENCAP_BOUNCED) {
		gw_event(w, GW_EV_BAD_ENCAP, "server %s: %u bytes, type 0x%04x, flags 0x%04x",
			 h->cfg->name, len, type, flags);
		gw_drop(w, GW_DROP_BAD_ENCAP, m);
		return;
	}
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->data_len = (uint16_t)(len - sizeof(struct ib_encap));
	m->pkt_len = m->data_len;
	frame_from_host(w, h, m, flags & IB_ENCAP_BOUNCED);
}

/* A datagram: who sent it. */
static void datagram(struct gw_worker *w, struct rte_mbuf *m, const struct ibv_wc *wc)
{
	struct gw_host *h = source_host(w, m, wc);

	if (!h) {
		gw_event(w, GW_EV_UNKNOWN_QP, "LID %u, QPN %u", wc->slid, wc->src_qp);
		gw_drop(w, GW_DROP_UNKNOWN_QP, m);
		return;
	}
	gw_native_unwrap(w, h, m, wc->byte_len > IB_GRH_LEN ? wc->byte_len - IB_GRH_LEN : 0);
}

/* A receive buffer came back. */
static void received(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
	struct rte_mbuf *m = cookie;
	struct gw_worker *w = qp->owner;

	if (wc->status != IBV_WC_SUCCESS) {
		rte_pktmbuf_free(m);
		return;
	}
	datagram(w, m, wc);
	if (w->capture)
		gw_cap_settle(w->capture);
}

/* The native queue pair failed: the control thread notices and starts everything anew. */
static void died(struct ib_qp *qp, enum ibv_wc_status status)
{
	struct gw_worker *w = qp->owner;

	gw_event(w, GW_EV_QP_DEAD, "native queue pair %u of worker %u: %s", qp->qp->qp_num,
		 w->index, ibv_wc_status_str(status));
}

const struct ib_qp_ops gw_native_qp_ops = {.recv = received, .dead = died};

void gw_native_refill(struct gw_worker *w)
{
	uint32_t len = rte_pktmbuf_data_room_size(w->pool) - GW_RX_OFF;

	/* Datagrams that found no buffer are lost without a trace: this is the only hint. */
	if (w->ud.rq_head == w->ud.rq_tail && w->ud.rq_head && !w->ud.dead)
		w->stats.native_rx_exhausted++;
	if (w->rc_hungry)
		gw_native_rc_feed(w);
	while (w->ud.rq_head - w->ud.rq_tail < w->ud.rq_depth && !w->ud.dead) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);
		uint8_t *at;

		if (!m)
			return;
		at = (uint8_t *)m->buf_addr + GW_RX_OFF;
		if (ib_qp_recv(&w->ud, at, len, gw_mbuf_lkey(w, at), m)) {
			rte_pktmbuf_free(m);
			return;
		}
	}
}

int gw_native_open(struct gw_worker *w)
{
	uint32_t max = (uint32_t)w->gw->dev.attr.max_qp_wr - 1;
	uint32_t bufs = RTE_MIN(GW_UD_RQ, w->gw->cfg->mbufs / 2);
	int rc = ib_qp_open(&w->ud, &w->gw->dev, &w->cq, IBV_QPT_UD, RTE_MIN(GW_UD_SQ, max),
			    RTE_MIN(bufs, max), &gw_native_qp_ops, w);

	if (rc == 0)
		gw_native_refill(w);
	return rc;
}

void gw_native_close(struct gw_worker *w)
{
	uint64_t end = gw_now_us() + 200000;

	if (!w->ud.qp)
		return;
	ib_qp_fence(&w->ud);
	while (!ib_qp_drained(&w->ud) && gw_now_us() < end)
		ib_cq_poll(&w->cq, 64);
	ib_qp_close(&w->ud);
}
