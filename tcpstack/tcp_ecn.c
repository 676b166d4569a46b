/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_ecn.c - the sender's part of explicit congestion notification (RFC 3168
 * section 6.1.2).
 *
 * New payload leaves as ECN-capable; pure ACKs, probes and retransmissions do
 * not (sections 6.1.4 to 6.1.6). The client's ECE reduces the window as a loss
 * would, once per round trip, with nothing to send again; the first new segment
 * after a reduction, for whatever reason, carries CWR. The receiver's part is
 * in tcp_input.c.
 */
#include "tcpstack/tcp_priv.h"

void tcp_ecn_reduced(struct tcp_conn *c)
{
	if (!c->ecn_ok)
		return;
	c->cwr_due = true;
	c->ecn_seq = c->snd_nxt;
}

void tcp_ecn_ack(struct tcp_conn *c, const struct tcp_ack *a)
{
	if (!c->ecn_ok || !(a->seg->flags & TCP_ECE) || tcp_leq(c->snd_una, c->ecn_seq))
		return;
	/* The reduction of a recovery under way answers this signal as well. */
	if (c->recovery == TCP_R_OPEN) {
		tcp_cc_signal(c);
		c->stats.ecn_signals++;
	}
	tcp_ecn_reduced(c);
}

void tcp_ecn_mark(struct tcp_conn *c, struct tcp_emit *e)
{
	if (!c->ecn_ok || c->ecn_mute || e->retx || !e->len)
		return;
	e->ect = true;
	if (c->cwr_due)
		e->flags |= TCP_CWR;
}

void tcp_ecn_sent(struct tcp_conn *c, const struct tcp_emit *e)
{
	if (e->flags & TCP_CWR)
		c->cwr_due = false;
}
