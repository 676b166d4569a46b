/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_timer.c - the two timers of a connection.
 *
 * One timer delays ACKs. The other serves the sender, which never waits for
 * two things at once: for an answer (RTO, or a tail loss probe or the
 * reordering window before it), for the window to open, for a transmission
 * record, or for TIME-WAIT to end. RTO and probe count from rto_us, which moves
 * with every ACK that advances and when the oldest segment leaves.
 *
 * Of both times the low 32 bits are kept: none is farther away than half of them can say, 35
 * minutes, but for keepalives, whose time is in milliseconds.
 *
 * Beside them pacing (tcp_pacing.c) has a time of its own, for which
 * tcp_output() has something to send.
 */
#include "tcpstack/tcp_priv.h"

#define RECORD_WAIT_US 2000u /* until a connection that got no record asks again */

void tcp_timer_set(struct tcp_conn *c, enum tcp_timer_kind kind, uint64_t at)
{
	c->timer = kind;
	c->t_snd = kind == TCP_T_KEEPALIVE ? tcp_ms(at) : (uint32_t)at;
}

void tcp_timer_ack(struct tcp_conn *c, uint64_t at)
{
	c->ack_later = true;
	c->t_ack = (uint32_t)at;
}

/* The 64-bit time nearest to now whose low 32 bits are us. */
static uint64_t near(uint32_t us, uint64_t now)
{
	return now + (uint64_t)(int64_t)(int32_t)(us - (uint32_t)now);
}

uint64_t tcp_timer_due(const struct tcp_conn *c, uint64_t now)
{
	if (c->timer == TCP_T_NONE)
		return TCP_NEVER;
	if (c->timer == TCP_T_KEEPALIVE)
		return (now / 1000 + (uint64_t)(int64_t)(int32_t)(c->t_snd - tcp_ms(now))) * 1000;
	return near(c->t_snd, now);
}

static uint64_t ack_due(const struct tcp_conn *c, uint64_t now)
{
	return c->ack_later ? near(c->t_ack, now) : TCP_NEVER;
}

/* The 64-bit time of one whose low 32 bits are us; if it is over, at once. */
static uint64_t from_low(uint32_t us, uint64_t now)
{
	int32_t left = (int32_t)(us - (uint32_t)now);

	return now + (left > 0 ? (uint32_t)left : 1);
}

/* Nothing is in flight. */
static void rearm_idle(struct tcp_conn *c, uint64_t now)
{
	if (c->rec_wait) {
		tcp_timer_set(c, TCP_T_RECORD, now + RECORD_WAIT_US);
	} else if (!tcp_persist_needed(c)) {
		tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	} else {
		if (c->timer != TCP_T_PERSIST)
			tcp_alive(c, now); /* nothing was asked of the client before */
		tcp_timer_set(c, TCP_T_PERSIST, now + tcp_rto(c));
	}
}

void tcp_timer_rearm(struct tcp_conn *c, uint64_t now)
{
	uint32_t pto;

	if (c->timer == TCP_T_TIME_WAIT)
		return;
	if (c->failed || !tcp_may_send(c)) {
		tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	} else if (!tcp_flight(c)) {
		rearm_idle(c, now);
	} else if (c->reo_wait) {
		tcp_timer_set(c, TCP_T_REO, from_low(c->reo_us, now));
	} else {
		pto = tcp_tlp_pto(c);
		if (pto)
			tcp_timer_set(c, TCP_T_TLP, from_low(c->rto_us + pto, now));
		else
			tcp_timer_set(c, TCP_T_RTO, from_low(c->rto_us + tcp_rto(c), now));
	}
}

void tcp_timer_restart(struct tcp_conn *c, uint64_t now)
{
	if (tcp_flight(c))
		c->rto_us = (uint32_t)now;
	tcp_timer_rearm(c, now);
}

void tcp_timer_missing(struct tcp_conn *c, uint64_t now)
{
	if (c->timer == TCP_T_NONE)
		tcp_timer_restart(c, now);
	else if ((c->timer == TCP_T_PERSIST || c->timer == TCP_T_RECORD) && tcp_flight(c))
		tcp_timer_restart(c, now);
}

void tcp_timer_grown(struct tcp_conn *c, uint64_t now)
{
	uint32_t pto;

	tcp_timer_missing(c, now);
	if (c->timer != TCP_T_RTO || c->tlp_due)
		return;
	pto = tcp_tlp_pto(c);
	if (pto && now + pto < near(c->t_snd, now))
		tcp_timer_set(c, TCP_T_TLP, now + pto);
}

void tcp_sent(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now)
{
	if (c->state == TCP_S_CLOSED)
		return;
	tcp_rec_wire(c, seq, seq + len, now);
	if (seq == c->snd_una && (c->timer == TCP_T_RTO || c->timer == TCP_T_TLP))
		tcp_timer_restart(c, now);
}

void tcp_timer(struct tcp_conn *c, uint64_t now)
{
	enum tcp_timer_kind kind = c->timer;

	if (ack_due(c, now) <= now) {
		c->ack_later = false;
		c->ack_now = true;
	}
	if (tcp_pacing_due(c) <= now)
		c->pace_wait = false;
	if (tcp_timer_due(c, now) > now)
		return;
	tcp_trace_now(c, now);
	tcp_trace(c, TCP_TR_TIMER, kind, c->backoff, c->snd_una, c->snd_nxt);
	tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	if (c->modelled)
		tcp_rate_dry(c, now);
	switch (kind) {
	case TCP_T_COUNT:
	case TCP_T_NONE:
	case TCP_T_RECORD: /* tcp_output() asks for a record */
		break;
	case TCP_T_RTO:
		tcp_rto_fire(c, now);
		break;
	case TCP_T_TLP:
		tcp_tlp_fire(c, now);
		break;
	case TCP_T_REO:
		tcp_recovery_reo(c, now);
		tcp_timer_rearm(c, now);
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

uint64_t tcp_deadline(const struct tcp_conn *c, uint64_t now)
{
	uint64_t ack = ack_due(c, now), snd = tcp_timer_due(c, now), pace = tcp_pacing_due(c);
	uint64_t at = ack < snd ? ack : snd;

	return pace < at ? pace : at;
}
