/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_open_in.c - arrival of a segment in SYN-SENT (RFC 9293 section 3.10.7.3)
 * and in SYN-RECEIVED (section 3.10.7.4, with RFC 5961).
 *
 * Two things go beyond the text, both as other TCPs do. A repeated SYN of the
 * client in SYN-RECEIVED is answered by the SYN-ACK it lacks, not by an ACK it
 * could not use. And in a simultaneous open, the peer's SYN-ACK, whose SYN we
 * have already, is taken for the ACK it carries (figure 8 of section 3.5).
 */
#include "tcpstack/tcp_priv.h"

/* Owes a RST with the sequence number a wrong ACK asked for (section 3.5.2, group 2). */
static enum tcp_verdict wrong_ack(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (!(seg->flags & TCP_RST)) {
		c->syn_rst = seg->ack;
		c->syn_rst_due = true;
	}
	return TCP_V_ACK_FUTURE;
}

/* Sixth to eighth step for what the SYN-ACK carries behind its SYN. */
static enum tcp_verdict behind_syn(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
				   struct tcp_rx *rx)
{
	struct tcp_seg rest = *seg;

	rest.seq++;
	rest.flags &= (uint8_t)~TCP_SYN;
	if (rest.flags & TCP_URG)
		tcp_urgent_in(c, &rest);
	return tcp_accept(c, &rest, now, rx);
}

enum tcp_verdict tcp_syn_sent_in(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
				 struct tcp_rx *rx)
{
	bool ack = seg->flags & TCP_ACK;

	if (ack && seg->ack != c->snd_nxt) /* our SYN is all there is to acknowledge */
		return wrong_ack(c, seg);
	if (seg->flags & TCP_RST) {
		if (!ack)
			return TCP_V_NO_ACK; /* proves nothing */
		tcp_give_up(c, TCP_E_REFUSED);
		return TCP_V_RST;
	}
	if (!(seg->flags & TCP_SYN))
		return TCP_V_NO_SYN;
	tcp_open_learn(c, seg, now);
	if (ack) {
		tcp_open_done(c, seg, now);
		return behind_syn(c, seg, now, rx);
	}
	tcp_set_state(c, TCP_S_SYN_RCVD); /* simultaneous open */
	c->syn_due = true;
	return TCP_V_OK;
}

/* The SYN that brought us here, once more. */
static bool same_syn(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	return (seg->flags & (TCP_SYN | TCP_RST)) == TCP_SYN && seg->seq + 1 == c->rcv_nxt;
}

/* Returns true when the segment, a repetition of the client's SYN, needs no further steps. */
static bool repeated_syn(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	if (!same_syn(c, seg))
		return false;
	if (seg->flags & TCP_ACK && seg->ack == c->snd_nxt && !c->listener) {
		if (!tcp_paws_old(c, seg, now))
			tcp_ts_update(c, seg, now);
		tcp_open_done(c, seg, now);
	} else {
		/* The client has given up asking for ECN: its answer may find it deaf. */
		if (!(seg->flags & TCP_ACK) && !tcp_syn_ecn(seg))
			c->ecn_ok = false;
		if (tcp_challenge_may(c, now))
			c->syn_due = true;
	}
	return true;
}

/* Second and fourth step: what a RST, or a SYN in the window, does to a half-open connection. */
static enum tcp_verdict end_half_open(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	bool rst = seg->flags & TCP_RST;

	if (!tcp_seq_inside(c, seg->seq)) { /* neither is in the window, but what follows it */
		if (!rst)
			tcp_challenge(c, now);
		return tcp_lt(seg->seq, c->rcv_nxt) ? TCP_V_OLD : TCP_V_WINDOW;
	}
	if (rst ? seg->seq == c->rcv_nxt : c->listener != NULL) {
		tcp_give_up(c, c->listener ? TCP_E_RESET : TCP_E_REFUSED);
		return rst ? TCP_V_RST : TCP_V_SYN;
	}
	tcp_challenge(c, now);
	return rst ? TCP_V_RST_CHALLENGED : TCP_V_SYN;
}

enum tcp_verdict tcp_syn_rcvd_in(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
				 struct tcp_rx *rx)
{
	if (repeated_syn(c, seg, now))
		return c->state == TCP_S_ESTABLISHED ? TCP_V_OK : TCP_V_OLD;
	if (tcp_paws_old(c, seg, now)) {
		tcp_challenge(c, now);
		return TCP_V_PAWS;
	}
	if (!tcp_seq_acceptable(c, seg)) {
		if (!(seg->flags & TCP_RST))
			tcp_challenge(c, now);
		return tcp_lt(seg->seq, c->rcv_nxt) ? TCP_V_OLD : TCP_V_WINDOW;
	}
	if (seg->flags & (TCP_RST | TCP_SYN))
		return end_half_open(c, seg, now);
	if (!(seg->flags & TCP_ACK))
		return TCP_V_NO_ACK;
	if (seg->ack != c->snd_nxt)
		return wrong_ack(c, seg);
	tcp_open_done(c, seg, now);
	return tcp_segment_arrives(c, seg, now, rx);
}
