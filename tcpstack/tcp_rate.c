/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_rate.c - how fast does the path deliver? (draft-ietf-ccwg-bbr section
 * 4.1, delivery-rate samples.)
 *
 * Each run remembers, when it leaves, how much had been delivered by then and
 * when that was known. Its ACK so gives a rate: what has been delivered since,
 * by the longer of two times, that in which it was sent and that in which
 * its ACKs came. Neither a burst of ours nor a burst of ACKs can make it too high.
 *
 * What has been delivered is the position snd_una plus what is SACKed: no counter
 * is needed, and none can drift. With SACK marks taken back it moves back, and
 * such samples count for nothing.
 *
 * A sample is limited when at some time in it the sender had neither
 * payload at hand nor a full window: it says nothing about the path. That
 * payload is still being READ from the server is such a case, that the client's
 * window is closed is none.
 *
 * All of this happens for controllers that go by a model of the path only. Times
 * in records are floating numbers of 16 bits, right to a thousandth.
 */
#include "tcpstack/tcp_priv.h"

#define MANTISSA  11 /* bits */
#define LOST_UNIT 6  /* shift: losses in records count 64 bytes */
#define LOST_MASK 0xffffffu

static uint16_t pack(uint32_t us)
{
	uint32_t e = us >> MANTISSA ? (32 - MANTISSA) - (uint32_t)__builtin_clz(us) : 0;

	return (uint16_t)(e << MANTISSA | us >> e);
}

static uint32_t unpack(uint16_t t)
{
	return (t & ((1u << MANTISSA) - 1)) << (t >> MANTISSA);
}

void tcp_rate_sent(struct tcp_conn *c, struct tcp_txrec *r, uint64_t now)
{
	struct tcp_rate *rate = &c->rate;

	if (c->state == TCP_S_CLOSED)
		return; /* imported: when it left is not known */
	if (tcp_sack_pipe(c) <= r->end - r->start)
		rate->first_us = rate->delivered_us = (uint32_t)now;
	if (!rate->top_known && tcp_flight(c) <= r->end - r->start) {
		rate->top = c->snd_una;
		rate->top_known = true;
	}
	r->delivered = tcp_rate_pos(c);
	r->lost = rate->lost >> LOST_UNIT & LOST_MASK;
	r->send_time = pack((uint32_t)now - rate->first_us);
	r->ack_time = pack((uint32_t)now - rate->delivered_us);
	r->flags &= ~(uint32_t)TCP_REC_LIMITED;
	r->flags |= TCP_REC_RATED | (rate->limited ? TCP_REC_LIMITED : 0);
}

void tcp_rate_wire(struct tcp_txrec *r, uint32_t later)
{
	r->send_time = pack(unpack(r->send_time) + later);
	r->ack_time = pack(unpack(r->ack_time) + later);
}

/* What was in flight when r left, its first bytes up to `end` included; 0: not known. */
static uint32_t in_flight_then(const struct tcp_txrec *r, uint32_t end)
{
	if ((r->flags & TCP_REC_RETX) || tcp_leq(end, r->delivered))
		return 0;
	return end - r->delivered;
}

static uint32_t lost_since(const struct tcp_conn *c, uint32_t lost)
{
	return (((c->rate.lost >> LOST_UNIT) - lost) & LOST_MASK) << LOST_UNIT;
}

void tcp_rate_delivered(struct tcp_conn *c, const struct tcp_txrec *r, uint32_t end,
			struct tcp_ack *a)
{
	struct tcp_sample *s = a->sample;

	if (!(r->flags & TCP_REC_RATED))
		return;
	if (s->any &&
	    (tcp_lt(r->xmit_us, s->xmit_us) || (r->xmit_us == s->xmit_us && tcp_lt(end, s->end))))
		return; /* the newest run counts */
	s->any = true;
	s->xmit_us = r->xmit_us;
	s->end = end;
	s->prior = r->delivered;
	s->limited = r->flags & TCP_REC_LIMITED;
	s->interval_us =
		tcp_max(unpack(r->send_time), (uint32_t)a->now - r->xmit_us + unpack(r->ack_time));
	s->in_flight = in_flight_then(r, end);
	s->lost = r->lost;
	c->rate.first_us = r->xmit_us;
}

void tcp_rate_lost(struct tcp_conn *c, const struct tcp_txrec *r)
{
	struct tcp_sample s = {.limited = r->flags & TCP_REC_LIMITED};

	c->rate.lost += r->end - r->start;
	if (r->flags & TCP_REC_RATED) {
		s.in_flight = in_flight_then(r, r->end);
		s.lost = lost_since(c, r->lost);
	}
	tcp_cc_of(c)->path->lost(c, r, &s);
}

/* Delivered bytes per interval as a rate. */
static uint32_t rate_of(uint32_t bytes, uint32_t us)
{
	uint64_t rate = (uint64_t)bytes * (1000000 / TCP_RATE_UNIT) / us;

	return rate < TCP_RATE_MAX ? (uint32_t)rate : TCP_RATE_MAX - 1;
}

/*
 * Bytes that no ACK before told of: duplicate ACKs and cleared SACK marks are told of again, and
 * of what was in flight when the connection came here nobody knows what had been SACKed.
 */
static uint32_t newly(struct tcp_rate *rate, uint32_t pos)
{
	uint32_t top = rate->top;

	if (rate->top_known && tcp_leq(pos, top))
		return 0;
	rate->top = pos;
	if (rate->top_known)
		return pos - top;
	rate->top_known = true;
	return 0;
}

void tcp_rate_ack(struct tcp_conn *c, struct tcp_ack *a)
{
	struct tcp_rate *rate = &c->rate;
	struct tcp_sample *s = a->sample;
	uint32_t pos = tcp_rate_pos(c);

	if (a->delivered)
		rate->delivered_us = (uint32_t)a->now;
	if (rate->limited && tcp_lt(rate->limit_end, pos))
		rate->limited = false;
	s->fresh = newly(rate, pos);
	s->any = s->any && tcp_lt(s->prior, pos);
	if (s->any) {
		s->delivered = pos - s->prior;
		s->lost = lost_since(c, s->lost);
		/* Shorter than any round trip: the ACK was for another transmission. */
		if (s->interval_us && s->interval_us >= c->min_rtt_us)
			s->rate = rate_of(s->delivered, s->interval_us);
	}
	tcp_cc_of(c)->path->ack(c, a);
}

void tcp_rate_limit(struct tcp_conn *c)
{
	c->rate.limited = true;
	c->rate.limit_end = tcp_rate_pos(c) + tcp_sack_pipe(c);
}

/* Nothing is here to be sent, though the client's window is open. */
static bool dry(const struct tcp_conn *c)
{
	uint32_t left = c->snd_avail - c->snd_nxt, mss = tcp_eff_mss(c);

	if (c->fin_sent || !left)
		return true;
	return tcp_payload_ready(c) < tcp_min(left, mss) &&
	       tcp_window_usable(c) >= tcp_min(left, mss);
}

void tcp_rate_dry(struct tcp_conn *c, uint64_t now)
{
	if (!c->lost && tcp_sack_pipe(c) < c->cwnd && dry(c) && !tcp_pacing_early(c, now))
		tcp_rate_limit(c);
}
