/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_emit.c - the one way out: a segment or a run goes to the owner, is
 * counted in the terms of RFC 4898 and recorded.
 */
#include "tcpstack/tcp_priv.h"

static uint16_t saturated(uint32_t n)
{
	return (uint16_t)tcp_min(n, UINT16_MAX);
}

/* RFC 4898: SegsOut, DataSegsOut, SegsRetrans, OctetsRetrans, DupAcksOut, ZeroRwinSent, ECESent. */
static void count(struct tcp_conn *c, const struct tcp_emit *e)
{
	uint32_t segs = e->len ? (e->len + e->mss - 1) / e->mss : 1;

	tcp_count(c, TCP_N_OUT, segs);
	if (e->len)
		tcp_count(c, TCP_N_DATA_OUT, segs);
	if (e->retx) {
		c->stats.retx_segs += segs;
		c->stats.retx_bytes += e->len;
	}
	if (!e->len && e->ack == c->rcv_acked && c->n_ooo_placed)
		c->stats.dup_acks_out++;
	if (e->flags & (TCP_RST | TCP_SYN))
		return; /* no window, and no echo of congestion, whatever the fields say */
	if (!e->wnd && !c->zero_out)
		c->stats.zero_wnd_out++;
	c->zero_out = !e->wnd;
	if (e->flags & TCP_ECE)
		c->stats.ece_out += segs;
}

int tcp_put(struct tcp_conn *c, const struct tcp_emit *e)
{
	int err = c->cfg->ops->emit(c, e);

	if (err) {
		tcp_trace(c, TCP_TR_NO_EMIT, e->flags, (uint16_t)err, e->seq, e->len);
		return err;
	}
	count(c, e);
	tcp_trace(c, e->retx ? TCP_TR_RETX : TCP_TR_OUT, e->flags, saturated(e->len), e->seq,
		  e->ack);
	return 0;
}
