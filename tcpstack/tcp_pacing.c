/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_pacing.c - payload spread over the round trip instead of sent in bursts
 * (RFC 9002 section 7.7 says why and how; optional, struct tcp_cfg.pacing).
 *
 * The rate is 2.0 windows per round trip in slow start, 1.2 afterwards (as in
 * Linux): above what ACKs bring, so that pacing delays and never limits. What
 * leaves at once is a millisecond of that rate, two segments at least. Each
 * run moves the time from which the next one may leave; a run that left late
 * by no more than half of its own time does not delay the next, so that slow
 * timers do not lower the rate. New payload and retransmissions wait for that time;
 * ACKs and probes do not. Before the first RTT is known nothing waits.
 */
#include "tcpstack/tcp_priv.h"

#define GAIN_SLOW_START 20 /* tenths */
#define GAIN_AVOIDANCE	12
#define BURST_PART	1000 /* of a second: what leaves at once */
#define NS_PER_S	1000000000ull

static bool active(const struct tcp_conn *c)
{
	return (c->cfg->pacing || c->modelled) && c->srtt_us;
}

/* Bytes per second. During recovery cwnd may be small while much is SACKed: the flight counts. */
static uint64_t rate(const struct tcp_conn *c)
{
	uint64_t window = tcp_max(c->cwnd, tcp_flight(c)), r;
	uint32_t gain = GAIN_AVOIDANCE;

	if (c->modelled)
		return tcp_cc_of(c)->path->rate(c);
	if (c->cwnd < c->ssthresh && c->recovery != TCP_R_RECOVERY)
		gain = GAIN_SLOW_START;
	r = window * gain * 100000 / c->srtt_us;
	return r ? r : 1;
}

uint32_t tcp_pacing_quantum(const struct tcp_conn *c)
{
	uint64_t part;

	if (!active(c))
		return UINT32_MAX;
	part = rate(c) / BURST_PART;
	return tcp_max(2 * tcp_eff_mss(c), part < UINT32_MAX ? (uint32_t)part : UINT32_MAX);
}

uint64_t tcp_pacing_due(const struct tcp_conn *c)
{
	return c->pace_wait ? (c->pace_ns + 999) / 1000 : TCP_NEVER;
}

bool tcp_pacing_early(const struct tcp_conn *c, uint64_t now)
{
	return active(c) && now * 1000 < c->pace_ns;
}

bool tcp_pacing_holds(struct tcp_conn *c, uint64_t now)
{
	c->pace_wait = tcp_pacing_early(c, now);
	return c->pace_wait;
}

void tcp_pacing_sent(struct tcp_conn *c, uint32_t len, uint64_t now)
{
	uint64_t cost, late;

	if (!active(c))
		return;
	cost = len * NS_PER_S / rate(c);
	if (now * 1000 > c->pace_ns) {
		late = now * 1000 - c->pace_ns;
		c->pace_ns = now * 1000 - (late < cost / 2 ? late : cost / 2);
	}
	c->pace_ns += cost;
}
