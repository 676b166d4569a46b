/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_bbr_probe.c - BBR's steady state, a cycle that asks now and then for
 * more bandwidth (draft-ietf-ccwg-bbr section 5.3.3).
 *
 *	DOWN -----> CRUISE -----> REFILL -----> UP
 *	  ^  headroom   time is up    a round     | full, or too much lost
 *	  `---------------------------------------'
 *
 * Every two to three seconds, or as many round trips as segments are in
 * flight, at most 63, the pipe is filled and then more is sent. Too much is
 * what loses more than 2 %: then inflight_long becomes what was in flight when it was sent.
 * After such a probe the next one only touches that bound, and when
 * nothing is lost there a second one follows at once that may exceed it.
 */
#include "tcpstack/tcp_bbr_int.h"

#define LOSS_PART    50 /* of what was in flight: BBR.LossThresh, 2 % */
#define MAX_ROUNDS   63 /* between probes, BBR's coexistence with Reno */
#define WAIT_MS	     2000
#define WAIT_MORE_MS 1000 /* random part */
#define UP_ROUNDS    30

bool tcp_bbr_too_high(const struct tcp_conn *c, const struct tcp_sample *s)
{
	if (!c->sack_ok)
		return s->lost > 0;
	return (uint64_t)s->lost * LOSS_PART > s->in_flight;
}

bool tcp_bbr_cycling(const struct tcp_bbr *b)
{
	return b->mode >= TCP_BBR_DOWN && b->mode <= TCP_BBR_UP;
}

uint32_t tcp_bbr_headroom(const struct tcp_conn *c)
{
	uint32_t in_flight = c->bbr.inflight_long, room;

	if (in_flight == TCP_RATE_MAX)
		return in_flight;
	room = tcp_max(c->mss, (uint32_t)((uint64_t)in_flight * 15 / 100));
	room = in_flight > room ? in_flight - room : 0;
	return tcp_max(room, tcp_bbr_min_cwnd(c));
}

/* What there should be in flight: a path's worth, unless congestion has cut cwnd. */
static uint32_t target(const struct tcp_conn *c)
{
	return tcp_min(tcp_bbr_bdp(c, tcp_bbr_bw(&c->bbr), 100), c->cwnd);
}

/* A number that others cannot tell and runs repeat: how long to wait, section 5.3.3.5. */
static void pick_wait(struct tcp_conn *c)
{
	uint32_t x = (c->snd_una ^ c->ts_off) * 0x9e3779b1u ^ c->bbr.now_ms * 0x85ebca6bu;

	x ^= x >> 15;
	x *= 0x2c1b3c6du;
	x ^= x >> 12;
	c->bbr.probe_rounds = x & 1;
	c->bbr.wait_ms = (uint16_t)(WAIT_MS + (x >> 1) % (WAIT_MORE_MS + 1));
}

void tcp_bbr_down(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;

	tcp_bbr_reset_signals(b);
	b->up_per_mss = TCP_RATE_MAX;
	pick_wait(c);
	b->cycle_ms = b->now_ms;
	b->acks = TCP_BBR_ACKS_STOPPING;
	tcp_bbr_round(c);
	tcp_bbr_set(c, TCP_BBR_DOWN);
}

void tcp_bbr_refill(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;

	tcp_bbr_reset_short(b);
	b->up_rounds = 0;
	b->up_acked = 0;
	b->probe_brief = false;
	b->acks = TCP_BBR_ACKS_REFILL;
	tcp_bbr_round(c);
	tcp_bbr_set(c, TCP_BBR_REFILL);
}

/* inflight_long grows by 1, 2, 4, ... segments per round. */
static void steeper(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;

	b->up_per_mss = tcp_max(c->cwnd >> b->up_rounds, c->mss);
	b->up_rounds += b->up_rounds < UP_ROUNDS;
}

static void up(struct tcp_conn *c, const struct tcp_sample *s)
{
	struct tcp_bbr *b = &c->bbr;

	b->acks = TCP_BBR_ACKS_STARTING;
	tcp_bbr_round(c);
	tcp_bbr_reset_full(b, s->rate);
	tcp_bbr_set(c, TCP_BBR_UP);
	steeper(c);
}

void tcp_bbr_over(struct tcp_conn *c, uint32_t in_flight, bool limited)
{
	struct tcp_bbr *b = &c->bbr;

	b->probe_high = true;
	b->probe_sample = false; /* one answer to each probe */
	if (!limited)
		b->inflight_long = tcp_max(in_flight, tcp_bbr_beta(target(c)));
	if (b->mode == TCP_BBR_UP) {
		tcp_bbr_down(c);
		b->undo_mode = TCP_BBR_UP;
	}
}

uint32_t tcp_bbr_in_flight_at_loss(const struct tcp_txrec *r, const struct tcp_sample *s)
{
	uint32_t size = r->end - r->start;
	uint32_t before = s->in_flight > size ? s->in_flight - size : 0;
	uint64_t lost = s->lost > size ? (uint64_t)(s->lost - size) * LOSS_PART : 0;

	return before + (before > lost ? (uint32_t)((before - lost) / (LOSS_PART - 1)) : 0);
}

/* inflight_long follows while it is what limits. */
static void raise_long(struct tcp_conn *c, uint32_t delivered)
{
	struct tcp_bbr *b = &c->bbr;
	uint32_t n;

	if (!c->cwnd_limited || c->cwnd < b->inflight_long)
		return;
	b->up_acked += delivered;
	if (b->up_acked >= b->up_per_mss) {
		n = b->up_acked / b->up_per_mss;
		b->up_acked -= n * b->up_per_mss;
		b->inflight_long = tcp_min(b->inflight_long + n * c->mss, TCP_CWND_MAX);
	}
	if (b->round_start)
		steeper(c);
}

/* What ACKs of a probe say. Returns true when it moved the cycle on. */
static bool adapt(struct tcp_conn *c, const struct tcp_ack *a)
{
	const struct tcp_sample *s = a->sample;
	struct tcp_bbr *b = &c->bbr;

	if (b->acks == TCP_BBR_ACKS_STARTING && b->round_start)
		b->acks = TCP_BBR_ACKS_FEEDBACK;
	if (b->acks == TCP_BBR_ACKS_STOPPING && b->round_start) {
		b->probe_sample = false;
		b->acks = TCP_BBR_ACKS_INIT;
		if (tcp_bbr_cycling(b) && !s->limited && b->max_bw[1]) {
			b->max_bw[0] = b->max_bw[1];
			b->max_bw[1] = 0;
		}
		if (tcp_bbr_cycling(b) && b->probe_brief && !b->probe_high) {
			tcp_bbr_refill(c);
			return true;
		}
	}
	if (b->inflight_long == TCP_RATE_MAX || tcp_bbr_too_high(c, s))
		return false;
	b->inflight_long = tcp_max(b->inflight_long, s->in_flight);
	if (b->mode == TCP_BBR_UP)
		raise_long(c, s->fresh);
	return false;
}

/* Two to three seconds, or the time in which Reno would have lost once. */
static bool time_to_probe(const struct tcp_conn *c)
{
	const struct tcp_bbr *b = &c->bbr;

	return b->now_ms - b->cycle_ms > b->wait_ms ||
	       b->probe_rounds >= tcp_min(target(c) / c->mss, MAX_ROUNDS);
}

static bool time_to_go_down(struct tcp_conn *c, const struct tcp_sample *s)
{
	struct tcp_bbr *b = &c->bbr;

	if (b->probe_high && tcp_sack_pipe(c) >= b->inflight_long) {
		b->probe_brief = true;
		return true;
	}
	if (c->cwnd_limited && c->cwnd >= b->inflight_long) {
		tcp_bbr_reset_full(b, s->rate); /* the bound limits, not the path */
		return false;
	}
	return b->full_now;
}

void tcp_bbr_cycle(struct tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_bbr *b = &c->bbr;
	uint32_t pipe = tcp_sack_pipe(c);

	if (!b->full_reached || adapt(c, a))
		return;
	switch ((enum tcp_bbr_mode)b->mode) {
	case TCP_BBR_DOWN:
		if (time_to_probe(c))
			tcp_bbr_refill(c);
		else if (pipe <= tcp_bbr_headroom(c) && pipe <= tcp_bbr_inflight(c, 100))
			tcp_bbr_set(c, TCP_BBR_CRUISE);
		break;
	case TCP_BBR_CRUISE:
		if (time_to_probe(c))
			tcp_bbr_refill(c);
		break;
	case TCP_BBR_REFILL:
		if (b->round_start) {
			b->probe_sample = true;
			up(c, a->sample);
		}
		break;
	case TCP_BBR_UP:
		if (time_to_go_down(c, a->sample)) {
			b->probe_high = false;
			tcp_bbr_down(c);
		}
		break;
	default:
		break;
	}
}
