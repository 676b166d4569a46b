/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_input.c - arrival of a segment in a synchronised state (RFC 9293 section
 * 3.10.7.4, with RFC 5961 and RFC 7323 section 5).
 *
 * The order of the checks is that of the standard: PAWS and sequence number,
 * RST, SYN, ACK, then payload and FIN. Deliberate widenings: a segment
 * without payload is acceptable down to the last ACK sent and up to the right
 * edge itself, since a full or lossy window makes honest clients use both; an
 * RST is exact at the accepted position and at the acknowledged one, since a
 * client whose program died answers our ACK number.
 */
#include "tcpstack/tcp_priv.h"

#define OLD_MAX (1u << 30) /* farther back than this is not old but elsewhere */

/* RFC 9293 section 3.4 table 6, with the widening above. */
bool tcp_seq_acceptable(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t end = seg->seq + seg->len + !!(seg->flags & TCP_FIN);
	uint32_t edge = tcp_lt(c->rcv_edge, c->rcv_nxt) ? c->rcv_nxt : c->rcv_edge;

	return tcp_leq(c->rcv_acked, end) && tcp_leq(seg->seq, edge);
}

bool tcp_seq_inside(const struct tcp_conn *c, uint32_t seq)
{
	return tcp_leq(c->rcv_acked, seq) && (tcp_lt(seq, c->rcv_edge) || tcp_leq(seq, c->rcv_nxt));
}

/* First check failed: the segment lies outside the window or is older than the last ACK. */
static enum tcp_verdict not_acceptable(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
				       struct tcp_rx *rx)
{
	bool old = c->rcv_nxt - seg->seq - 1 < OLD_MAX;

	if (seg->flags & TCP_RST)
		return old ? TCP_V_OLD : TCP_V_WINDOW;
	if (!seg->len && !(seg->flags & TCP_FIN)) {
		tcp_challenge(c, now); /* keepalives and probes get here */
		return old ? TCP_V_OLD : TCP_V_WINDOW;
	}
	if (old)
		return tcp_accept(c, seg, now, rx);
	c->ack_now = true;
	return TCP_V_WINDOW;
}

/* Second check, RFC 5961 section 3.2: it is the sequence number itself that must be right. */
static enum tcp_verdict check_rst(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	if (!tcp_seq_inside(c, seg->seq))
		return tcp_lt(seg->seq, c->rcv_nxt) ? TCP_V_OLD : TCP_V_WINDOW;
	if (tcp_time_wait_stays(c))
		return TCP_V_OLD;
	if (seg->seq == c->rcv_nxt || seg->seq == c->rcv_acked) {
		tcp_rst_in(c);
		return TCP_V_RST;
	}
	tcp_challenge(c, now);
	return TCP_V_RST_CHALLENGED;
}

/* Fourth check, RFC 5961 section 4.2; a new SYN may end TIME-WAIT, RFC 9293 section 3.10.7.4. */
static enum tcp_verdict check_syn(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	if (tcp_time_wait_reopens(c, seg)) {
		tcp_give_up(c, TCP_E_CLOSED);
		return TCP_V_CLOSED;
	}
	tcp_challenge(c, now);
	return TCP_V_SYN;
}

/* Fifth check, RFC 5961 section 5.2. Returns TCP_V_OK when the ACK may be used. */
static enum tcp_verdict check_ack(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	if (tcp_lt(c->snd_nxt, seg->ack)) {
		tcp_challenge(c, now);
		return TCP_V_ACK_FUTURE;
	}
	if (tcp_lt(seg->ack, c->snd_una) &&
	    tcp_lt(seg->ack, c->snd_una - tcp_min(c->max_wnd, 1u << 30))) {
		tcp_challenge(c, now);
		return TCP_V_ACK_OLD;
	}
	return TCP_V_OK;
}

/* RFC 3168 section 6.1.3: CE is echoed until the client has answered with CWR. */
static void note_ecn(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (!c->ecn_ok)
		return;
	if (seg->flags & TCP_CWR)
		c->ecn_echo = false;
	if (seg->ce && seg->len)
		c->ecn_echo = c->ack_on_place = true;
}

enum tcp_verdict tcp_segment_arrives(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
				     struct tcp_rx *rx)
{
	enum tcp_verdict v;

	if ((seg->flags & (TCP_SYN | TCP_RST)) == TCP_SYN)
		return check_syn(c, seg, now);
	if (tcp_paws_old(c, seg, now)) {
		if (seg->len || (seg->flags & TCP_FIN))
			c->ack_now = true;
		else
			tcp_challenge(c, now);
		return TCP_V_PAWS;
	}
	if (!tcp_seq_acceptable(c, seg))
		return not_acceptable(c, seg, now, rx);
	if (seg->flags & TCP_RST)
		return check_rst(c, seg, now);
	if (!(seg->flags & TCP_ACK))
		return TCP_V_NO_ACK;
	v = check_ack(c, seg, now);
	if (v != TCP_V_OK)
		return v;
	tcp_ts_update(c, seg, now);
	if (seg->len)
		tcp_ack_idle(c, now);
	tcp_keep_heard(c, now);
	note_ecn(c, seg);
	tcp_acked(c, seg, now);
	if (c->state == TCP_S_CLOSED)
		return TCP_V_OK;
	if (c->urg_in || seg->flags & TCP_URG)
		tcp_urgent_in(c, seg);
	return tcp_accept(c, seg, now, rx);
}

/* Counts and records what came; RFC 4898: SegsIn, DataSegsIn, SACKsRcvd, CERcvd, ZeroRwinRcvd. */
static void note_segment(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	tcp_count(c, TCP_N_IN, 1);
	if (seg->len)
		tcp_count(c, TCP_N_DATA_IN, 1);
	if (seg->n_sack)
		c->stats.sacks_in++;
	if (seg->ce)
		c->stats.ce_in++;
	if (!seg->wnd && c->snd_wnd && (seg->flags & TCP_ACK))
		c->stats.zero_wnd_in++;
	tcp_trace_now(c, now);
	tcp_trace(c, TCP_TR_IN, seg->flags, (uint16_t)tcp_min(seg->len, UINT16_MAX), seg->seq,
		  seg->ack);
	if (seg->n_sack)
		tcp_trace(c, TCP_TR_SACK, 0, seg->n_sack, seg->sack[0].start, seg->sack[0].end);
}

void tcp_input(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now, struct tcp_rx *rx)
{
	*rx = (struct tcp_rx){.seq = c->rcv_nxt};
	note_segment(c, seg, now);
	if (c->state == TCP_S_CLOSED)
		rx->verdict = TCP_V_CLOSED;
	else if (c->state == TCP_S_SYN_SENT)
		rx->verdict = tcp_syn_sent_in(c, seg, now, rx);
	else if (c->state == TCP_S_SYN_RCVD)
		rx->verdict = tcp_syn_rcvd_in(c, seg, now, rx);
	else
		rx->verdict = tcp_segment_arrives(c, seg, now, rx);
	if (rx->verdict != TCP_V_OK)
		tcp_trace(c, TCP_TR_REFUSED, rx->verdict, 0, seg->seq, seg->ack);
}
