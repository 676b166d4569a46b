/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_emit.c - runs of segments, cut and put on the wire (RFC 9293 section 3.7).
 *
 * A segment is a header mbuf followed by slices of the chunks that hold its payload: one, or two
 * when it straddles chunks. Payload is not copied. All mbufs of a run are taken at once, so
 * a run leaves whole or not at all. The checksum is the device's or the port layer's business.
 */
#include <errno.h>
#include <rte_jhash.h>
#include <string.h>

#include "gateway/gw_accel.h"

int gw_emit_route(struct gw_conn *c)
{
	struct gw_worker *w = c->link->worker;
	struct gw_next_hop nh;
	int rc = gw_neigh_lookup(w, &c->flow.remote, &nh);

	c->nh_ms = (uint32_t)(w->now_us / 1000);
	if (rc)
		return rc;
	c->port = (uint8_t)nh.port->index;
	memcpy(c->mac, nh.mac.addr_bytes, sizeof(c->mac));
	return 0;
}

/* Chunks that hold [seq, seq + len), as a count; 0: not all of it is here. */
static uint32_t covered(const struct gw_conn *c, uint32_t seq, uint32_t len)
{
	uint32_t n = 0;

	while (len) {
		const struct gw_chunk *ch = gw_fetch_find(c, seq);
		uint32_t have;

		if (!ch || ch->state == GW_CH_READING)
			return 0;
		have = ch->seq + ch->len - seq;
		if (have > len)
			have = len;
		seq += have;
		len -= have;
		n++;
	}
	return n;
}

/* Mbufs for all segments of a run: headers and slices. */
static uint32_t count(const struct gw_conn *c, const struct tcp_emit *e, uint32_t *n)
{
	uint32_t chunks;

	*n = 1;
	if (!e->len)
		return 0;
	chunks = covered(c, e->seq, e->len);
	if (!chunks)
		return ENODATA;
	*n = 2 * ((e->len + e->mss - 1) / e->mss) + chunks - 1;
	return *n > GW_BULK ? EMSGSIZE : 0;
}

/* Appends slices for [seq, seq + len) to head, from the mbufs at *next. */
static void add_slices(struct gw_conn *c, struct rte_mbuf *head, uint32_t seq, uint32_t len,
		       struct rte_mbuf ***next)
{
	struct rte_mbuf *tail = head;

	while (len) {
		struct gw_chunk *ch = gw_fetch_find(c, seq);
		struct rte_mbuf *s = *(*next)++;
		uint32_t off = seq - ch->seq, n = ch->len - off;

		if (n > len)
			n = len;
		rte_mbuf_ext_refcnt_update(&ch->sh, 1);
		rte_pktmbuf_attach_extbuf(s, ch->addr + off, ch->iova + off, (uint16_t)n, &ch->sh);
		s->data_len = (uint16_t)n;
		tail->next = s;
		tail = s;
		head->nb_segs++;
		head->pkt_len += n;
		seq += n;
		len -= n;
	}
}

/*
 * RFC 6437: the same label in all segments of a connection, another one in others', and nothing
 * that says how many there are.
 */
static uint32_t flow_label(const struct gw_conn *c)
{
	uint32_t key[sizeof(c->flow) / 4], label; /* aligned, as the flow need not be */

	memcpy(key, &c->flow, sizeof(key));
	label = rte_jhash_32b(key, RTE_DIM(key), gw_accel_of(c)->label_key) & 0xfffff;

	return label ? label : 1; /* 0: not labelled */
}

/* One segment. Headers always fit into the room of a slice mbuf. */
static void send_segment(struct gw_conn *c, const struct tcp_emit *e, uint32_t off, uint32_t len,
			 struct rte_mbuf ***next)
{
	struct gw_worker *w = c->link->worker;
	struct rte_mbuf *m = *(*next)++;
	bool v4 = net_addr_is_v4(&c->flow.local);
	struct net_l2 l2 = {0};
	uint16_t l4;
	size_t n;

	memcpy(l2.dst, c->mac, 6);
	l2.label = v4 ? 0 : flow_label(c);
	l2.ttl = w->gw->cfg->ttl ? (uint8_t)w->gw->cfg->ttl : c->ttl;
	l2.tos = c->tos;
	memcpy(l2.src, gw_server_mac(c->link->host->cfg, &c->flow.local, gw_conn_port(c)), 6);
	n = net_build_tcp(rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m), &l2, &c->flow, e,
			  e->seq + off, tcp_emit_flags(e, off, len), len, c->ip_id++, &l4);
	m->data_len = (uint16_t)n;
	m->pkt_len = (uint32_t)n;
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->l3_len = l4 - RTE_ETHER_HDR_LEN;
	m->l4_len = n - l4;
	m->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM | (v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
	add_slices(c, m, e->seq + off, len, next);
	w->stats.tcp_segments_out++;
	w->stats.tcp_bytes_out += e->retx ? 0 : len;
	w->stats.tcp_retransmits += e->retx;
	gw_port_tx(w, gw_conn_port(c), m);
}

int gw_emit(struct tcp_conn *t, const struct tcp_emit *e)
{
	struct gw_conn *c = gw_conn_of(t);
	struct gw_accel *a = gw_accel_of(c);
	struct rte_mbuf **next = a->bulk;
	uint32_t n, off = 0;
	int rc;

	if (a->n_run == GW_SENT_MAX)
		return ENOBUFS;
	rc = count(c, e, &n);
	if (rc == ENODATA)
		gw_accel_dirty(c); /* the core wants it again, in its next turn */
	if (rc)
		return rc;
	if ((uint32_t)(a->w->now_us / 1000) - c->nh_ms > GW_NEXT_HOP_MS)
		gw_emit_route(c); /* keeps the old one when there is no answer now */
	if (rte_pktmbuf_alloc_bulk(a->slices, a->bulk, n)) {
		a->w->stats.drop[GW_DROP_NO_MBUF]++;
		c->emit_blocked = true;
		return ENOBUFS;
	}
	do {
		uint32_t len = e->len - off < e->mss ? e->len - off : e->mss;

		send_segment(c, e, off, len, &next);
		off += len;
	} while (off < e->len);
	while (next < a->bulk + n) /* no segment straddled a chunk */
		rte_pktmbuf_free(*next++);
	if (e->len)
		a->run[a->n_run++] = (struct gw_run){.seq = e->seq, .len = e->len};
	if (e->flags & TCP_RST)
		gw_flows_ended(a->w, &c->flow);
	return 0;
}

void gw_emit_sent(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);

	for (uint32_t i = 0; i < a->n_run; i++) {
		uint32_t end = a->run[i].seq + a->run[i].len;

		tcp_sent(c->tcp, a->run[i].seq, a->run[i].len, a->w->now_us);
		for (int k = 0; k < GW_CONN_CHUNKS; k++) {
			struct gw_chunk *ch = gw_conn_chunk(c, k);

			if (!ch || ch->state == GW_CH_READING)
				continue;
			if (tcp_leq(ch->seq + ch->len, end) &&
			    tcp_lt(a->run[i].seq, ch->seq + ch->len))
				gw_chunk_set_state(ch, GW_CH_SENT);
		}
	}
	a->n_run = 0;
}
