/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_bbr_model.c - BBR's model of the path (draft-ietf-ccwg-bbr section 5.5).
 *
 * Long-term: max_bw, the fastest rate of this cycle of probing and of the one
 * before; min_rtt, of ten seconds; inflight_long, what the path takes without
 * too much loss (tcp_bbr_probe.c). Short-term: after a round with a loss that
 * was not looked for, bounds near what was delivered lately, until the next
 * probe. And extra[], how much more than expected ACKs deliver at times:
 * networks and stacks that collect before they pass on want so much more in
 * flight. The windows of max_bw and extra[] are two slots each, of which the older one goes.
 */
#include "tcpstack/tcp_bbr_int.h"

#define MIN_RTT_MS   10000u /* BBR.MinRTTFilterLen */
#define PROBE_RTT_MS 5000u  /* BBR.ProbeRTTInterval */
#define EXTRA_ROUNDS 5	    /* half of BBR.ExtraAckedFilterLen */
#define FULL_ROUNDS  3	    /* without growth: the pipe is full */
#define US_PER_S     1000000u

uint32_t tcp_bbr_max_bw(const struct tcp_bbr *b)
{
	return tcp_max(b->max_bw[0], b->max_bw[1]);
}

uint32_t tcp_bbr_bw(const struct tcp_bbr *b)
{
	return tcp_min(tcp_bbr_max_bw(b), b->bw_short);
}

uint32_t tcp_bbr_min_cwnd(const struct tcp_conn *c)
{
	return TCP_BBR_MIN_SEGS * (uint32_t)c->mss;
}

uint32_t tcp_bbr_bdp(const struct tcp_conn *c, uint32_t bw, uint32_t gain)
{
	uint64_t bdp;

	if (!c->bbr.min_rtt_us)
		return tcp_cc_initial(c);
	bdp = tcp_bbr_bytes(bw) * c->bbr.min_rtt_us / US_PER_S * gain / 100;
	return bdp < TCP_CWND_MAX ? (uint32_t)bdp : TCP_CWND_MAX;
}

void tcp_bbr_reset_full(struct tcp_bbr *b, uint32_t bw)
{
	b->full_bw = bw;
	b->full_count = 0;
	b->full_now = false;
}

void tcp_bbr_reset_signals(struct tcp_bbr *b)
{
	b->loss_in_round = false;
	b->bw_latest = 0;
	b->inflight_latest = 0;
}

void tcp_bbr_reset_short(struct tcp_bbr *b)
{
	b->bw_short = TCP_RATE_MAX;
	b->inflight_short = TCP_RATE_MAX;
}

void tcp_bbr_save(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;

	b->undo_mode = TCP_BBR_NONE;
	b->undo_bw_short = b->bw_short;
	b->undo_inflight_short = b->inflight_short;
	b->undo_inflight_long = b->inflight_long;
}

/* Sections 5.5.1 and 5.5.10.3: does this ACK begin a round, and one of loss counting? */
static void rounds(struct tcp_conn *c, const struct tcp_sample *s)
{
	struct tcp_bbr *b = &c->bbr;

	b->round_start = s->any && !tcp_lt(s->prior, b->next_round);
	if (b->round_start) {
		tcp_bbr_round(c);
		b->probe_rounds += b->probe_rounds < UINT8_MAX;
		b->drain_rounds += b->drain_rounds < UINT8_MAX;
	}
	b->bw_latest = tcp_max(b->bw_latest, s->rate);
	b->inflight_latest = tcp_max(b->inflight_latest, s->delivered);
	b->loss_round_start = s->any && !tcp_lt(s->prior, b->loss_round);
	if (b->loss_round_start)
		b->loss_round = tcp_rate_pos(c);
}

/* Once per round in which something was lost: near to what is delivered now. */
static void lower_bounds(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;

	if (b->mode == TCP_BBR_STARTUP || b->mode == TCP_BBR_REFILL || b->mode == TCP_BBR_UP)
		return; /* probing: that is where losses are looked for */
	if (b->bw_short == TCP_RATE_MAX)
		b->bw_short = tcp_bbr_max_bw(b);
	if (b->inflight_short == TCP_RATE_MAX)
		b->inflight_short = tcp_max(c->cwnd, b->prior_cwnd);
	b->bw_short = tcp_max(b->bw_latest, tcp_bbr_beta(b->bw_short));
	b->inflight_short = tcp_max(b->inflight_latest, tcp_bbr_beta(b->inflight_short));
}

/* Section 5.5.9. */
static void aggregation(struct tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_bbr *b = &c->bbr;
	uint64_t expected =
		tcp_bbr_bytes(tcp_bbr_bw(b)) * ((uint32_t)a->now - b->extra_us) / US_PER_S;
	uint32_t extra;

	if (b->extra_acked <= expected) {
		b->extra_acked = 0;
		b->extra_us = (uint32_t)a->now;
		expected = 0;
	}
	b->extra_acked += a->sample->fresh;
	extra = tcp_min(b->extra_acked - (uint32_t)expected, c->cwnd);
	if (b->round_start && ++b->extra_rounds >= (b->full_reached ? EXTRA_ROUNDS : 1)) {
		b->extra_rounds = 0;
		b->extra[0] = b->extra[1];
		b->extra[1] = 0;
	}
	b->extra[1] = tcp_max(b->extra[1], extra);
}

/* Section 5.3.1.2: three rounds in which the rate rises by less than a quarter. */
static void full_pipe(struct tcp_bbr *b, const struct tcp_sample *s)
{
	if (b->full_now || !b->round_start || s->limited || !s->rate)
		return;
	if (s->rate >= b->full_bw + (uint64_t)b->full_bw / 4) {
		tcp_bbr_reset_full(b, s->rate);
		return;
	}
	b->full_now = ++b->full_count >= FULL_ROUNDS;
	b->full_reached |= b->full_now;
}

void tcp_bbr_learn(struct tcp_conn *c, const struct tcp_ack *a)
{
	const struct tcp_sample *s = a->sample;
	struct tcp_bbr *b = &c->bbr;

	rounds(c, s);
	if (s->rate && (s->rate >= tcp_bbr_max_bw(b) || !s->limited))
		b->max_bw[1] = tcp_max(b->max_bw[1], s->rate);
	if (b->loss_round_start) {
		if (b->loss_in_round)
			lower_bounds(c);
		b->loss_in_round = false;
	}
	aggregation(c, a);
	full_pipe(b, s);
}

void tcp_bbr_forget_latest(struct tcp_bbr *b, const struct tcp_sample *s)
{
	if (!b->loss_round_start)
		return;
	b->bw_latest = s->rate;
	b->inflight_latest = s->delivered;
	b->loss_ranges = 0;
}

void tcp_bbr_min_rtt(struct tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_bbr *b = &c->bbr;
	uint32_t us = a->rtt_min_us, ms = tcp_ms(a->now);

	b->rtt_due = ms - b->rtt_min_ms > PROBE_RTT_MS;
	if (us != TCP_NO_RTT && (!b->rtt_min_us || us < b->rtt_min_us || b->rtt_due)) {
		b->rtt_min_us = tcp_max(us, 1);
		b->rtt_min_ms = ms;
	}
	if (b->rtt_min_us &&
	    (!b->min_rtt_us || b->rtt_min_us < b->min_rtt_us || ms - b->min_rtt_ms > MIN_RTT_MS)) {
		b->min_rtt_us = b->rtt_min_us;
		b->min_rtt_ms = b->rtt_min_ms;
	}
}
