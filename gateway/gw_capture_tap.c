/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture_tap.c - where a worker meets its capture: frames of ports, operations of queue pairs.
 */
#include <string.h>

#include "gateway/gw_capture.h"

#define SEGS 16 /* mbufs of one frame */

/* The data of a chain of mbufs; entries, 0: too many. */
static int vector(const struct rte_mbuf *m, struct iovec v[SEGS])
{
	int n = 0;

	for (; m; m = m->next) {
		if (n == SEGS)
			return 0;
		v[n++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	}
	return n;
}

/* Interface of a port: that of the one that opened the device. */
static uint8_t iface_of(const struct gw_capture *cap, const struct gw_port *port)
{
	return cap->port_iface[port->index];
}

/* A frame that is wanted, kept back; else NULL. */
static struct gw_cap_piece *keep(struct gw_cap_ring *r, const struct gw_port *port,
				 const struct rte_mbuf *m, bool in)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct gw_cap_piece like = {.side = GW_CAP_LAN, .iface = iface_of(r->cap, port), .in = in};
	struct iovec v[SEGS];
	int n = vector(m, v);

	if (!n || m->pkt_len > GW_CAP_FRAME)
		return NULL;
	if (in || m->nb_segs == 1 || m->l2_len) /* a chain of ours has its headers in front */
		gw_cap_flow_of_frame(r->w, frame, m->pkt_len, &like);
	if (!gw_cap_wants_frame(r->cap, &like, frame, m->data_len, m->pkt_len))
		return NULL;
	if (!in && (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM)
		like.l4_off = (uint16_t)(m->l2_len + m->l3_len);
	return gw_cap_copy(r, &like, v, n);
}

void gw_cap_rx(struct gw_cap_ring *r, const struct gw_port *port, const struct rte_mbuf *m)
{
	struct gw_cap_piece *p;

	if (!(r->cap->want.sides & 1u << GW_CAP_LAN))
		return;
	p = keep(r, port, m, true);
	if (p)
		gw_cap_open(r, p);
}

void gw_cap_tx(struct gw_cap_ring *r, const struct gw_port *port, struct rte_mbuf **m, uint16_t n)
{
	memset(r->sent, 0, sizeof(r->sent));
	if (r->cap->want.sides & 1u << GW_CAP_LAN)
		for (uint16_t i = 0; i < n; i++)
			r->sent[i] = keep(r, port, m[i], false);
}

void gw_cap_sent(struct gw_cap_ring *r, uint16_t done, uint16_t n)
{
	for (uint16_t i = done; i < n; i++)
		if (r->sent[i])
			r->sent[i]->why = GW_DROP_LAN_FULL + 1;
	gw_cap_pass(r);
}

void gw_cap_on_op(struct ib_tap *t, const struct pkt_op *op, const struct iovec *v, int n)
{
	struct gw_cap_ring *r = (struct gw_cap_ring *)t;
	struct gw_cap_piece *p, like = {
					.side = GW_CAP_FABRIC,
					.iface = (uint8_t)(r->cap->n_iface - 1),
					.in = op->in,
					.token = op->mark,
					.op = *op,
				};
	uint32_t len;

	gw_cap_flow_of_op(r->w, r->cap, v, n, &like);
	if (!gw_cap_wants_op(r->cap, &like, v, n))
		return;
	p = gw_cap_copy(r, &like, v, n);
	if (p && op->in && gw_cap_inner(op, v, n, &len))
		gw_cap_open(r, p);
	else
		gw_cap_pass(r);
}

bool gw_cap_on_path(struct ib_tap *t, const struct ibv_ah *ah, struct ib_addr *to)
{
	const struct gw_worker *w = ((struct gw_cap_ring *)t)->w;

	for (uint32_t i = 0; i < w->gw->cfg->n_server; i++) {
		if (w->gw->host[i].link[w->index].ah != ah)
			continue;
		*to = w->gw->host[i].native;
		return true;
	}
	return false;
}
