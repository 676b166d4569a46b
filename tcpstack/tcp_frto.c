/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_frto.c - was the timeout spurious? (RFC 5682 section 3.1, the SACK
 * variant of appendix A in one.)
 *
 * After the first timeout only the oldest segment is sent again. The ACK that
 * answers decides: when it advances, new payload is sent instead of the rest of
 * what is deemed lost, and the next ACK is awaited. An ACK, cumulative or
 * selective, for something that was sent before the timeout and never again
 * means that it was on its way all the time: the reduction is taken back. A
 * duplicate ACK, or no new payload to send, means ordinary recovery.
 */
#include "tcpstack/tcp_priv.h"

void tcp_frto_begin(struct tcp_conn *c)
{
	c->frto = c->recovery == TCP_R_OPEN && !c->backoff ? TCP_FRTO_FIRST : TCP_FRTO_OFF;
}

/* New payload may be sent in place of a retransmission. */
static bool may_send_new(const struct tcp_conn *c)
{
	return !c->quiesced && !c->fin_sent && c->snd_nxt != c->snd_avail &&
	       tcp_window_usable(c) >= tcp_min(tcp_eff_mss(c), c->snd_avail - c->snd_nxt);
}

bool tcp_frto_ack(struct tcp_conn *c, const struct tcp_ack *a)
{
	if (c->frto == TCP_FRTO_OFF)
		return false;
	if (a->orig && c->undo_ok && (a->sacked || c->frto == TCP_FRTO_SECOND)) {
		c->frto = TCP_FRTO_OFF;
		tcp_undo(c);
		return true;
	}
	if (c->frto == TCP_FRTO_FIRST && a->acked && tcp_lt(c->snd_una, c->recover) &&
	    may_send_new(c))
		c->frto = TCP_FRTO_SECOND;
	else if (a->acked || a->dup)
		c->frto = TCP_FRTO_OFF;
	return false;
}
