/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_native.c - the native path towards hosts: whole Ethernet frames as datagrams (RFC 4391
 * encapsulation with type 0x6558), sent from the mbuf they came in. The other direction is in
 * gw_native_rx.c; frames larger than a datagram take the queue pair of gw_native_rc.c.
 *
 * The 4-byte header goes into the mbuf's headroom; the SEND's op lives in its private area; the
 * completion frees it. A full send queue drops, as a wire would.
 */
#include <errno.h>
#include <string.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_way.h"
#include "tcpstack/net_wire.h"

#define SGE_MAX 8

/* A SEND completed or was flushed. */
static void sent(struct ib_op *op, enum ibv_wc_status status)
{
	(void)status; /* a lost datagram is a lost frame */
	rte_pktmbuf_free(gw_mbuf_of_op(op));
}

/* True for TCP segments whose header is there. */
static bool whole_tcp(const struct net_pkt *p)
{
	return p->proto == NET_PROTO_TCP && p->l4_off && !p->fragment;
}

enum gw_native_qp gw_native_qp(const struct gw_link *l, uint32_t len)
{
	if (!l->ah)
		return GW_QP_ABSENT;
	if (len <= l->ud_max)
		return GW_QP_UD;
	return l->rc_up ? GW_QP_RC : GW_QP_NONE;
}

void gw_native_send(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m)
{
	struct gw_link *l = &h->link[w->index];
	uint32_t len = m->pkt_len, n = 0;
	struct ibv_sge sge[SGE_MAX];
	const enum gw_native_qp qp = gw_native_qp(l, len);
	struct ib_encap *encap;
	int rc;

	if (qp == GW_QP_ABSENT) {
		gw_drop(w, GW_DROP_NOT_ATTACHED, m);
		return;
	}
	encap = (struct ib_encap *)rte_pktmbuf_prepend(m, sizeof(*encap));
	if (!encap || m->nb_segs > SGE_MAX) {
		gw_drop(w, GW_DROP_OVERSIZED, m);
		return;
	}
	encap->type = htobe16(IB_ENCAP_ETH);
	encap->flags = 0;
	for (struct rte_mbuf *s = m; s; s = s->next, n++) {
		sge[n].addr = (uintptr_t)rte_pktmbuf_mtod(s, void *);
		sge[n].length = s->data_len;
		sge[n].lkey = gw_mbuf_lkey(w, (const void *)(uintptr_t)sge[n].addr);
	}
	gw_mbuf_priv(m)->op.done = sent;
	if (qp == GW_QP_UD)
		rc = ib_qp_send_ud(&w->ud, l->ah, h->native.qpn, sge, (int)n, &gw_mbuf_priv(m)->op);
	else
		rc = qp == GW_QP_RC ? ib_qp_send(&l->rc, sge, (int)n, &gw_mbuf_priv(m)->op)
				    : EMSGSIZE;
	if (rc) {
		gw_drop(w, rc == EMSGSIZE ? GW_DROP_OVERSIZED : GW_DROP_FABRIC_FULL, m);
		return;
	}
	w->stats.native_frames_to_fabric++;
	w->stats.native_bytes_to_fabric += len;
}

void gw_hop_host(const struct gw_worker *w, const struct gw_host *h, const struct net_pkt *p,
		 struct gw_hop *hop)
{
	const struct gw_port *port = gw_port_of(w->gw, &p->dst);

	hop->dst = h->mac;
	hop->src = port ? port->mac : w->gw->port[0].mac;
	hop->mtu = h->mtu;
	hop->too_big = p->frame_len - p->l3_off > h->mtu;
	hop->clamp = whole_tcp(p) && port && port->cfg->mtu != h->mtu
			     ? RTE_MIN(port->cfg->mtu, h->mtu)
			     : 0;
}

void gw_hop_lan(const struct gw_host *h, const struct net_pkt *p, const struct gw_next_hop *nh,
		struct gw_hop *hop)
{
	hop->dst = nh->mac;
	hop->src = *gw_server_mac(h->cfg, &p->src, nh->port);
	hop->mtu = nh->port->cfg->mtu;
	hop->too_big = p->frame_len - p->l3_off > hop->mtu;
	hop->clamp = whole_tcp(p) && hop->mtu != h->mtu ? RTE_MIN(hop->mtu, h->mtu) : 0;
}

void gw_native_to_host(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		       const struct net_pkt *p)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct gw_hop hop;

	gw_hop_host(w, h, p, &hop);
	if (hop.too_big) {
		gw_event(w, GW_EV_OVERSIZED, "%u bytes of IP for server %s with MTU %u",
			 p->frame_len - p->l3_off, h->cfg->name, h->mtu);
		if (gw_port_of(w->gw, &p->src))
			gw_too_big(w, gw_port_of(w->gw, &p->src), NULL, m, p, h->mtu);
		gw_drop(w, GW_DROP_OVERSIZED, m);
		return;
	}
	if (whole_tcp(p))
		gw_flows_seen(w, (const uint8_t *)eth, p, h->id, true);
	if (hop.clamp)
		gw_mss_clamp(w, m, p, hop.clamp);
	eth->dst_addr = hop.dst;
	eth->src_addr = hop.src;
	gw_native_send(w, h, m);
}

/* From one host to another, without touching the LAN. */
static void hairpin(struct gw_worker *w, const struct corr_server *to, struct rte_mbuf *m,
		    const struct net_pkt *p)
{
	w->stats.native_hairpins++;
	gw_native_to_host(w, &w->gw->host[to->id], m, p);
}

void gw_native_route(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		     const struct net_pkt *p)
{
	const struct corr_native *map = atomic_load_explicit(&w->native, memory_order_acquire);
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	const struct corr_server *to = corr_native_by_addr(map, p->dst.b);
	static const struct gw_port unknown; /* its MAC is zero */
	struct gw_next_hop nh;
	struct gw_hop hop;

	if (to) {
		hairpin(w, to, m, p);
		return;
	}
	if (whole_tcp(p))
		gw_flows_seen(w, (const uint8_t *)eth, p, h->id, false);
	switch (gw_neigh_lookup(w, &p->dst, &nh)) {
	case 0:
		gw_hop_lan(h, p, &nh, &hop);
		if (hop.too_big) {
			gw_too_big(w, nh.port, h, m, p, hop.mtu);
			gw_drop(w, GW_DROP_OVERSIZED, m);
			return;
		}
		if (hop.clamp)
			gw_mss_clamp(w, m, p, hop.clamp);
		eth->dst_addr = hop.dst;
		eth->src_addr = hop.src;
		w->stats.native_frames_to_lan++;
		w->stats.native_bytes_to_lan += m->pkt_len;
		gw_port_tx(w, nh.port, m);
		return;
	case EAGAIN:
		/* The port is known when it answers. */
		eth->src_addr = *gw_server_mac(h->cfg, &p->src, &unknown);
		w->stats.native_frames_to_lan++;
		w->stats.native_bytes_to_lan += m->pkt_len;
		gw_neigh_wait(w, &p->dst, m);
		return;
	default:
		gw_drop(w, GW_DROP_NO_NEIGHBOUR, m);
	}
}
