/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_timer.c - the two timers of a connection.
 *
 * One timer delays ACKs. The other serves the sender, which never waits for
 * two things at once: for an answer (RTO, or a tail loss probe or the
 * reordering window before it), for the window to open, or for TIME-WAIT to
 * end.
 */
#include "tcpstack/tcp_priv.h"

#define REO_MIN_US 1000u /* smallest reordering window */

void tcp_timer_set(struct tcp_conn *c, enum tcp_timer_kind kind, uint64_t at)
{
	c->timer = kind;
	c->t_snd = at;
}

/* RFC 8985 section 6.2 step 4, with the smoothed RTT for the smallest. */
static uint32_t reo_window(const struct tcp_conn *c)
{
	uint32_t wnd = tcp_max(c->srtt_us / 4, REO_MIN_US) * c->reo_mult;

	return tcp_min(wnd, tcp_max(c->srtt_us, REO_MIN_US));
}

void tcp_timer_rearm(struct tcp_conn *c, uint64_t now)
{
	uint32_t pto;

	if (c->timer == TCP_T_TIME_WAIT)
		return;
	if (c->failed || !tcp_may_send(c)) {
		tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	} else if (!tcp_flight(c)) {
		if (!tcp_persist_needed(c)) {
			tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
			return;
		}
		if (c->timer != TCP_T_PERSIST)
			c->alive_ms = tcp_ms(now); /* nothing was asked of the client before */
		tcp_timer_set(c, TCP_T_PERSIST, now + tcp_rto(c));
	} else if (c->recovery == TCP_R_OPEN && c->n_sacked) {
		if (c->timer != TCP_T_REO)
			tcp_timer_set(c, TCP_T_REO, now + reo_window(c));
	} else {
		pto = tcp_tlp_pto(c);
		if (pto)
			tcp_timer_set(c, TCP_T_TLP, now + pto);
		else
			tcp_timer_set(c, TCP_T_RTO, now + tcp_rto(c));
	}
}

void tcp_timer_missing(struct tcp_conn *c, uint64_t now)
{
	if (c->timer == TCP_T_NONE || (c->timer == TCP_T_PERSIST && tcp_flight(c)))
		tcp_timer_rearm(c, now);
}

void tcp_timer_grown(struct tcp_conn *c, uint64_t now)
{
	uint32_t pto;

	tcp_timer_missing(c, now);
	if (c->timer != TCP_T_RTO || c->tlp_due)
		return;
	pto = tcp_tlp_pto(c);
	if (pto && now + pto < c->t_snd)
		tcp_timer_set(c, TCP_T_TLP, now + pto);
}

void tcp_sent(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now)
{
	if (c->state == TCP_S_CLOSED)
		return;
	if (c->rtt_timing && tcp_lt(seq, c->rtt_seq) && tcp_leq(c->rtt_seq, seq + len))
		c->rtt_us = (uint32_t)now;
	if (seq == c->snd_una && (c->timer == TCP_T_RTO || c->timer == TCP_T_TLP))
		tcp_timer_rearm(c, now);
}

void tcp_timer(struct tcp_conn *c, uint64_t now)
{
	enum tcp_timer_kind kind = c->timer;

	if (c->t_ack <= now) {
		c->t_ack = TCP_NEVER;
		c->ack_now = true;
	}
	if (c->t_snd > now)
		return;
	tcp_trace_now(c, now);
	tcp_trace(c, TCP_TR_TIMER, kind, c->backoff, c->snd_una, c->snd_nxt);
	tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	switch (kind) {
	case TCP_T_COUNT:
	case TCP_T_NONE:
		break;
	case TCP_T_RTO:
		tcp_rto_fire(c, now);
		break;
	case TCP_T_TLP:
		tcp_tlp_fire(c, now);
		break;
	case TCP_T_REO:
		tcp_recovery_reo(c, now);
		tcp_timer_set(c, TCP_T_RTO, now + tcp_rto(c));
		break;
	case TCP_T_PERSIST:
		tcp_persist_fire(c, now);
		break;
	case TCP_T_TIME_WAIT:
		tcp_give_up(c, TCP_E_CLOSED);
		break;
	case TCP_T_KEEPALIVE:
		tcp_keep_fire(c, now);
		break;
	case TCP_T_SYN:
		tcp_open_fire(c, now);
		break;
	}
}

uint64_t tcp_deadline(const struct tcp_conn *c)
{
	return c->t_ack < c->t_snd ? c->t_ack : c->t_snd;
}
