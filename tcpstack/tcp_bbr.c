/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_bbr.c - congestion control by a model of the path: BBR, version 3
 * (draft-ietf-ccwg-bbr).
 *
 * The path has a bandwidth and a round-trip time; their product is what fits
 * into it without a queue. BBR measures both, paces at that rate, and limits what is in
 * flight to a small multiple of that product. Losses do not shrink a
 * window: they bound the model when they come in numbers (tcp_bbr_probe.c),
 * or for the time until the next probe (tcp_bbr_model.c).
 *
 *	STARTUP -----> DRAIN -----> DOWN, CRUISE, REFILL, UP (tcp_bbr_probe.c)
 *	  ^  | pipe full                ^   | no new smallest RTT for 5 s
 *	  |  `------> PROBE_RTT <-------|---'
 *	  `------------- 200 ms --------'
 *
 * Here are these states but for the cycle, and what follows from the model:
 * pacing rate and cwnd. A client's ECE counts as too much loss. Of a
 * connection at rest (tcp_park.h) bandwidth, smallest RTT and inflight_long stay, if the
 * pipe was full once: it goes on in CRUISE; else the pacing rate of STARTUP.
 */
#include <string.h>

#include "tcpstack/tcp_bbr_int.h"

#define MARGIN	       99  /* percent of bw that is paced at, 100 - BBR.PacingMarginPercent */
#define STARTUP_LOSSES 6   /* ranges lost in a round that end STARTUP */
#define DRAIN_ROUNDS   3   /* at most */
#define RTT_HOLD_MS    200 /* BBR.ProbeRTTDuration */
#define QUANTUM_MAX    65536u

static const struct {
	uint16_t pacing; /* hundredths */
	uint16_t cwnd;	 /* hundredths */
} gain[TCP_BBR_COUNT] = {
#define _(sym, name, pacing, cwnd) [TCP_BBR_##sym] = {pacing, cwnd},
	TCP_FOREACH_BBR(_)
#undef _
};

const char *tcp_bbr_name(enum tcp_bbr_mode m)
{
	static const char *const names[] = {
#define _(sym, name, pacing, cwnd) [TCP_BBR_##sym] = name,
		TCP_FOREACH_BBR(_)
#undef _
	};

	return (unsigned int)m < TCP_BBR_COUNT ? names[m] : "invalid";
}

void tcp_bbr_set(struct tcp_conn *c, enum tcp_bbr_mode mode)
{
	c->bbr.mode = (uint8_t)mode;
}

void tcp_bbr_round(struct tcp_conn *c)
{
	c->bbr.next_round = tcp_rate_pos(c);
}

static void rest(struct tcp_conn *c)
{
	memset(&c->bbr, 0, sizeof(c->bbr));
	memset(&c->rate, 0, sizeof(c->rate));
	c->bbr_bw = c->bbr_in_flight = 0;
}

/* Section 5.2.1; goes on where a connection rested. */
static void begin(struct tcp_conn *c, uint64_t now)
{
	struct tcp_bbr *b = &c->bbr;

	b->now_ms = tcp_ms(now);
	if (b->mode != TCP_BBR_NONE)
		return;
	b->inflight_long = b->undo_inflight_long = TCP_RATE_MAX;
	tcp_bbr_reset_short(b);
	tcp_bbr_save(c);
	b->min_rtt_us = b->rtt_min_us = c->min_rtt_us;
	b->min_rtt_ms = b->rtt_min_ms = b->now_ms;
	b->extra_us = (uint32_t)now;
	b->loss_round = tcp_rate_pos(c);
	tcp_bbr_round(c);
	if (!c->bbr_in_flight) {
		b->pacing = c->bbr_bw;
		tcp_bbr_set(c, TCP_BBR_STARTUP);
		return;
	}
	b->full_reached = true;
	b->max_bw[0] = c->bbr_bw;
	b->inflight_long = c->bbr_in_flight;
	tcp_bbr_down(c);
	tcp_bbr_set(c, TCP_BBR_CRUISE);
}

/* Before the first rate is measured: the window in a round trip. */
static uint32_t first_rate(const struct tcp_conn *c)
{
	uint64_t rate = (uint64_t)tcp_max(c->cwnd, tcp_cc_initial(c)) * (1000000 / TCP_RATE_UNIT) /
			c->srtt_us * gain[TCP_BBR_STARTUP].pacing / 100;

	return rate < TCP_RATE_MAX ? (uint32_t)rate : TCP_RATE_MAX - 1;
}

static uint64_t rate(const struct tcp_conn *c)
{
	uint32_t r = c->bbr.pacing ? c->bbr.pacing : c->bbr_bw;

	return tcp_bbr_bytes(tcp_max(r ? r : first_rate(c), 1));
}

static void set_pacing(struct tcp_conn *c, uint32_t hundredths)
{
	struct tcp_bbr *b = &c->bbr;
	uint64_t r = (uint64_t)tcp_bbr_bw(b) * hundredths / 100 * MARGIN / 100;

	if (!b->pacing && c->srtt_us)
		b->pacing = first_rate(c);
	if (r && (b->full_reached || r > b->pacing))
		b->pacing = r < TCP_RATE_MAX ? (uint32_t)r : TCP_RATE_MAX - 1;
}

/* Section 5.6.3, and the floors of 5.6.4.2: stacks that collect need some quanta in flight. */
static uint32_t quantized(const struct tcp_conn *c, uint32_t in_flight)
{
	uint32_t quantum = c->srtt_us ? tcp_min(tcp_pacing_quantum(c), QUANTUM_MAX) : 0;

	in_flight = tcp_max(in_flight, 3 * quantum);
	in_flight = tcp_max(in_flight, tcp_bbr_min_cwnd(c));
	return in_flight + (c->bbr.mode == TCP_BBR_UP ? 2u * c->mss : 0);
}

uint32_t tcp_bbr_inflight(const struct tcp_conn *c, uint32_t hundredths)
{
	return quantized(c, tcp_bbr_bdp(c, tcp_bbr_bw(&c->bbr), hundredths));
}

static uint32_t probe_rtt_cwnd(const struct tcp_conn *c)
{
	uint32_t bdp = tcp_bbr_bdp(c, tcp_bbr_bw(&c->bbr), gain[TCP_BBR_PROBE_RTT].cwnd);

	return tcp_max(bdp, tcp_bbr_min_cwnd(c));
}

/* Section 5.6.4.7, and the volume column of section 5.6.1. */
static uint32_t bound(const struct tcp_conn *c)
{
	const struct tcp_bbr *b = &c->bbr;
	uint32_t cap = TCP_CWND_MAX;

	if (b->mode == TCP_BBR_CRUISE || b->mode == TCP_BBR_PROBE_RTT)
		cap = tcp_bbr_headroom(c);
	else if (tcp_bbr_cycling(b))
		cap = b->inflight_long;
	cap = tcp_max(tcp_min(cap, b->inflight_short), tcp_bbr_min_cwnd(c));
	return b->mode == TCP_BBR_PROBE_RTT ? tcp_min(cap, probe_rtt_cwnd(c)) : cap;
}

/* Section 5.6.4.6. */
static void set_cwnd(struct tcp_conn *c, uint32_t delivered)
{
	const struct tcp_bbr *b = &c->bbr;
	uint32_t bdp = tcp_bbr_bdp(c, tcp_bbr_bw(b), gain[b->mode].cwnd);
	uint32_t max = quantized(c, bdp + tcp_max(b->extra[0], b->extra[1]));
	bool young = tcp_bytes_out(c) < (uint64_t)tcp_cc_initial(c) + tcp_flight(c);

	if (b->full_reached)
		c->cwnd = tcp_min(c->cwnd + delivered, max);
	else if (c->cwnd < max || young)
		c->cwnd += delivered;
	c->cwnd = tcp_max(c->cwnd, tcp_bbr_min_cwnd(c));
	c->cwnd = tcp_min(c->cwnd, bound(c));
}

/* SaveCwnd() */
static void save_cwnd(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;
	bool ours = c->recovery == TCP_R_OPEN && b->mode != TCP_BBR_PROBE_RTT;

	b->prior_cwnd = ours ? c->cwnd : tcp_max(b->prior_cwnd, c->cwnd);
}

static void restore_cwnd(struct tcp_conn *c)
{
	c->cwnd = tcp_max(c->cwnd, c->bbr.prior_cwnd);
}

/* Startup is over because of congestion: what was delivered lately is safe. */
static void startup_full(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;

	b->full_reached = true;
	b->inflight_long = tcp_max(tcp_bbr_bdp(c, tcp_bbr_max_bw(b), 100), b->inflight_latest);
	b->inflight_long = tcp_max(b->inflight_long, tcp_bbr_min_cwnd(c));
	b->undo_mode = TCP_BBR_STARTUP;
}

/* Sections 5.3.1.1, 5.3.1.3 and 5.3.2. */
static void check_startup(struct tcp_conn *c, const struct tcp_sample *s)
{
	struct tcp_bbr *b = &c->bbr;
	uint32_t ranges = c->sack_ok ? STARTUP_LOSSES : 1;

	if (!b->full_reached && b->loss_round_start && c->recovery == TCP_R_RECOVERY &&
	    b->loss_ranges >= ranges && tcp_bbr_too_high(c, s))
		startup_full(c);
	if (b->mode == TCP_BBR_STARTUP && b->full_reached) {
		tcp_bbr_set(c, TCP_BBR_DRAIN);
		b->drain_rounds = 0;
	}
	if (b->mode == TCP_BBR_DRAIN &&
	    (tcp_sack_pipe(c) <= tcp_bbr_inflight(c, 100) || b->drain_rounds > DRAIN_ROUNDS))
		tcp_bbr_down(c);
}

static void exit_probe_rtt(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;

	b->rtt_min_ms = b->now_ms;
	restore_cwnd(c);
	tcp_bbr_reset_short(b);
	if (b->full_reached)
		tcp_bbr_down(c);
	tcp_bbr_set(c, b->full_reached ? TCP_BBR_CRUISE : TCP_BBR_STARTUP);
}

static bool probe_rtt_over(const struct tcp_bbr *b)
{
	return b->rtt_reached && (int32_t)(b->now_ms - b->rtt_done_ms) > 0;
}

/* Section 5.3.4.3. */
static void check_probe_rtt(struct tcp_conn *c, const struct tcp_sample *s)
{
	struct tcp_bbr *b = &c->bbr;

	if (b->mode != TCP_BBR_PROBE_RTT && b->rtt_due && !b->idle_restart) {
		save_cwnd(c);
		tcp_bbr_set(c, TCP_BBR_PROBE_RTT);
		b->rtt_reached = false;
		b->acks = TCP_BBR_ACKS_STOPPING;
		tcp_bbr_round(c);
	}
	if (s->delivered)
		b->idle_restart = false;
	if (b->mode != TCP_BBR_PROBE_RTT)
		return;
	tcp_rate_limit(c); /* these rates are low on purpose */
	if (!b->rtt_reached && tcp_sack_pipe(c) <= probe_rtt_cwnd(c)) {
		b->rtt_reached = true;
		b->rtt_done_ms = b->now_ms + RTT_HOLD_MS;
		b->rtt_round_done = false;
		tcp_bbr_round(c);
	} else if (b->rtt_reached) {
		b->rtt_round_done |= b->round_start;
		if (b->rtt_round_done && probe_rtt_over(b))
			exit_probe_rtt(c);
	}
}

/* Section 5.2.3. */
static void ack(struct tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_bbr *b = &c->bbr;

	begin(c, a->now);
	tcp_bbr_learn(c, a);
	check_startup(c, a->sample);
	tcp_bbr_cycle(c, a);
	tcp_bbr_min_rtt(c, a);
	check_probe_rtt(c, a->sample);
	tcp_bbr_forget_latest(b, a->sample);
	set_pacing(c, gain[b->mode].pacing);
	set_cwnd(c, a->sample->fresh);
	c->bbr_bw = b->full_reached ? tcp_bbr_max_bw(b) : b->pacing;
	c->bbr_in_flight = b->full_reached ? b->inflight_long : 0;
}

/* Section 5.4.1. */
static void wake(struct tcp_conn *c, uint64_t now)
{
	struct tcp_bbr *b = &c->bbr;

	begin(c, now);
	if (!c->rate.limited)
		return;
	b->idle_restart = true;
	b->extra_us = (uint32_t)now;
	b->extra_acked = 0;
	if (tcp_bbr_cycling(b))
		set_pacing(c, 100);
	else if (b->mode == TCP_BBR_PROBE_RTT && probe_rtt_over(b))
		exit_probe_rtt(c);
}

/* Section 5.5.10.2. */
static void lost(struct tcp_conn *c, const struct tcp_txrec *r, const struct tcp_sample *s)
{
	struct tcp_bbr *b = &c->bbr;

	if (b->mode == TCP_BBR_NONE)
		return; /* of what was in flight when BBR took over */
	if (!b->loss_in_round) {
		b->loss_round = tcp_rate_pos(c);
		tcp_bbr_save(c);
	}
	if (!b->loss_in_round || b->lost_end != r->start)
		b->loss_ranges += b->loss_ranges < UINT8_MAX;
	b->lost_end = r->end;
	b->loss_in_round = true;
	if (b->probe_sample && s->in_flight && tcp_bbr_too_high(c, s))
		tcp_bbr_over(c, tcp_bbr_in_flight_at_loss(r, s), s->limited);
}

static void signal(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;

	if (b->mode == TCP_BBR_STARTUP)
		startup_full(c);
	else if (b->probe_sample)
		tcp_bbr_over(c, tcp_sack_pipe(c), false);
	else
		b->loss_in_round = true;
	b->undo_mode = TCP_BBR_NONE;
}

static uint32_t reduce(struct tcp_conn *c)
{
	save_cwnd(c);
	return c->bbr.prior_cwnd; /* for a controller that may follow */
}

/* Section 5.5.11.2. */
static void undo(struct tcp_conn *c)
{
	struct tcp_bbr *b = &c->bbr;
	uint8_t mode = b->undo_mode;

	restore_cwnd(c);
	b->loss_in_round = false;
	b->undo_mode = TCP_BBR_NONE;
	tcp_bbr_reset_full(b, 0);
	b->bw_short = tcp_max(b->bw_short, b->undo_bw_short);
	b->inflight_short = tcp_max(b->inflight_short, b->undo_inflight_short);
	b->inflight_long = tcp_max(b->inflight_long, b->undo_inflight_long);
	if (mode == TCP_BBR_STARTUP && b->mode != TCP_BBR_STARTUP) {
		b->full_reached = false;
		if (b->mode != TCP_BBR_PROBE_RTT)
			tcp_bbr_set(c, TCP_BBR_STARTUP);
	} else if (mode == TCP_BBR_UP && b->mode != TCP_BBR_UP && b->mode != TCP_BBR_PROBE_RTT) {
		tcp_bbr_refill(c);
	}
}

static const struct tcp_cc_path path = {.wake = wake,
					.ack = ack,
					.lost = lost,
					.signal = signal,
					.recovered = restore_cwnd,
					.rate = rate};

const struct tcp_cc tcp_cc_bbr = {.rest = rest, .reduce = reduce, .undo = undo, .path = &path};
