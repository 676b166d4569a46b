/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_place.c - client to server: payload is WRITTEN from the received mbuf straight to its place
 * in the server's ring, out-of-order payload as well (DESIGN principle 2).
 *
 * What the core has accepted must be placed, so the work requests and the line that will announce
 * it are secured before the core sees the segment; when there are none, the segment is
 * dropped and the client sends it again. The mbuf lives until the line's WRITE, which
 * comes behind on the same queue pair, has completed.
 */
#include "gateway/gw_accel.h"

#define PLACE_WRS 2 /* work requests of one segment: the ring may wrap */

bool gw_place_room(const struct gw_conn *c, uint32_t n)
{
	return ib_qp_room(&c->link->set.ctl) >= IB_SET_BUFS + gw_alink_of(c->link)->places + n;
}

/* WRITEs [data, data + len) to ring offset of cursor. 0 or errno. */
static int write_ring(struct gw_conn *c, const uint8_t *data, uint32_t len, uint64_t cursor)
{
	const struct ib_arena *ar = gw_conn_arena(c);
	struct ib_qp *qp = &c->link->set.ctl;
	uint64_t base = ar->rx_base + (uint64_t)c->slot * ar->rx_size;
	uint32_t off = cursor & (ar->rx_size - 1), first = ar->rx_size - off;
	struct ibv_sge sge = {.addr = (uintptr_t)data,
			      .length = len < first ? len : first,
			      .lkey = gw_mbuf_lkey(c->link->worker, data)};
	int rc;

	ib_tap_mark(qp, c->token);
	rc = ib_qp_write(qp, &sge, 1, base + off, ar->rx_rkey, NULL);
	if (rc || len <= first)
		return rc;
	sge.addr += first;
	sge.length = len - first;
	ib_tap_mark(qp, c->token);
	return ib_qp_write(qp, &sge, 1, base, ar->rx_rkey, NULL);
}

/* Places what the core accepted of m, and keeps m with the line. */
static void place(struct gw_conn *c, struct rte_mbuf *m, const struct net_pkt *p,
		  const struct tcp_rx *rx)
{
	struct gw_worker *w = c->link->worker;
	const uint8_t *data = rte_pktmbuf_mtod_offset(m, uint8_t *, p->payload_off + rx->skip);
	uint64_t cursor = gw_rx_cursor(c, rx->seq), cons = gw_rx_cons(c);
	struct gw_place *line = gw_conn_place(c);

	line->m[line->n++] = m;
	c->line_due = true;
	if (cursor < cons || cursor + rx->len > cons + gw_conn_arena(c)->rx_size) {
		/* The window never promises more than the ring has; should it, nothing is lost. */
		gw_accel_fail(c->link);
		return;
	}
	if (write_ring(c, data, rx->len, cursor)) {
		gw_accel_fail(c->link);
		return;
	}
	w->stats.rdma_writes++;
	w->stats.rdma_write_bytes += rx->len;
	w->stats.tcp_bytes_in += rx->len;
	c->write_bytes += rx->len;
}

/* Secures what a segment with payload or FIN may need. */
static bool secure(struct gw_conn *c)
{
	if (c->place && gw_conn_place(c)->n == GW_BURST)
		gw_lines_post(c);
	if (!c->place && gw_lines_open(c))
		return false;
	return gw_conn_place(c)->n < GW_BURST && gw_place_room(c, PLACE_WRS);
}

void gw_place_input(struct gw_conn *c, struct rte_mbuf *m, const struct net_pkt *p,
		    const struct tcp_seg *seg)
{
	struct gw_worker *w = c->link->worker;
	struct tcp_rx rx;

	if (p->payload_off + p->payload_len > rte_pktmbuf_data_len(m)) {
		gw_accel_drop(w, m, GW_DROP_OVERSIZED); /* a chain: our pools hold any frame */
		return;
	}
	if ((seg->len || seg->flags & TCP_FIN) && !secure(c)) {
		gw_accel_drop(w, m, GW_DROP_FABRIC_FULL);
		return;
	}
	tcp_input(c->tcp, seg, w->now_us, &rx);
	if (rx.verdict != TCP_V_OK)
		w->stats.verdict[rx.verdict]++;
	if (rx.len)
		place(c, m, p, &rx);
	else
		rte_pktmbuf_free(m);
}
