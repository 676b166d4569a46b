/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_port_tx.c - sending to the client LAN: frames are queued per port and given to the device in
 * bursts. Where the device has no checksum offload or takes no segment chains, both are done here.
 * A worker without a queue of the device gives its frames to one that has (gw_hand.c).
 *
 * A frame that wants its TCP checksum carries RTE_MBUF_F_TX_TCP_CKSUM, l2_len and l3_len, and the
 * sum of the pseudo-header in the checksum field (what hardware wants, too).
 */
#include <rte_ethdev.h>
#include <string.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_int.h"
#include "gateway/gw_spread.h"
#include "tcpstack/net_wire.h"

#define TX_TRIES 3 /* before frames that the device refuses are dropped */

void gw_csum_finish(struct rte_mbuf *m)
{
	uint32_t off = m->l2_len + m->l3_len, sum = 0;
	struct rte_mbuf *s = m;
	uint8_t *field;
	bool odd = false;

	if (off + NET_TCP_HLEN > m->data_len)
		return; /* no frame of ours: headers are contiguous */
	field = rte_pktmbuf_mtod_offset(m, uint8_t *, off + NET_TCP_CSUM);
	for (; s; s = s->next) {
		uint32_t len = s->data_len - off;

		sum = net_csum_add(sum, rte_pktmbuf_mtod_offset(s, uint8_t *, off), len, odd);
		odd ^= len & 1;
		off = 0;
	}
	net_put_raw16(field, (uint16_t)~net_csum_fold(sum));
	m->ol_flags &= ~(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM);
}

/* A contiguous copy of a chain, which is freed; NULL: no mbuf. */
static struct rte_mbuf *linearize(struct gw_worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);

	rte_pktmbuf_free(m);
	if (copy && copy->nb_segs > 1) {
		rte_pktmbuf_free(copy);
		copy = NULL;
	}
	return copy;
}

/* Sends what is queued on one port. */
static uint32_t flush_port(struct gw_worker *w, struct gw_port *p)
{
	uint16_t n = w->n_tx[p->index], done = 0;
	struct rte_mbuf **q = w->tx[p->index];
	const int queue = p->queue[w->index];
	uint64_t bytes = 0;

	w->n_tx[p->index] = 0;
	if (queue < 0) {
		for (uint16_t i = 0; i < n; i++)
			gw_hand(w, p->sender[w->index], q[i], GW_HAND_SEND, p->index);
		return n;
	}
	for (uint16_t i = 0; i < n; i++)
		bytes += q[i]->pkt_len;
	if (w->capture)
		gw_cap_tx(w->capture, p, q, n);
	for (int i = 0; i < TX_TRIES && done < n; i++)
		done += rte_eth_tx_burst(p->id, (uint16_t)queue, q + done, n - done);
	if (w->capture)
		gw_cap_sent(w->capture, done, n);
	w->stats.lan_tx_frames += done;
	for (uint16_t i = done; i < n; i++) {
		bytes -= q[i]->pkt_len;
		gw_drop(w, GW_DROP_LAN_FULL, q[i]);
	}
	w->stats.lan_tx_bytes += bytes;
	return done;
}

void gw_port_send(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m)
{
	w->tx[port->index][w->n_tx[port->index]++] = m;
	if (w->n_tx[port->index] == RTE_DIM(w->tx[0]))
		flush_port(w, port);
}

void gw_port_tx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m)
{
	if (!port->hw_csum && (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM)
		gw_csum_finish(m);
	/* Slices of chunks are counted by their worker alone: another one gets a copy. */
	if (m->nb_segs > 1 && (!port->multi_seg || port->queue[w->index] < 0)) {
		m = linearize(w, m);
		if (!m) {
			w->stats.drop[GW_DROP_NO_MBUF]++;
			return;
		}
	}
	if (gw_vlan_tx(port, &m)) {
		gw_drop(w, GW_DROP_NO_MBUF, m);
		return;
	}
	gw_port_send(w, port, m);
}

uint32_t gw_port_flush(struct gw_worker *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->gw->n_port; i++)
		if (w->n_tx[i])
			n += flush_port(w, &w->gw->port[i]);
	return n;
}
