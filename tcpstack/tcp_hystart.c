/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_hystart.c - leaving the first slow start before it overflows the path's
 * queue (RFC 9406, HyStart++).
 *
 * A rise of the smallest RTT of a round over that of the round before means a
 * queue is building. Growth then continues at a quarter for five rounds
 * (conservative slow start); if the RTT falls again it was a false alarm, else
 * slow start ends. RTTs are milliseconds, which suffices for thresholds of 4
 * ms and more.
 */
#include "tcpstack/tcp_priv.h"

#define N_SAMPLES     8	 /* N_RTT_SAMPLE */
#define MIN_THRESH_MS 4	 /* MIN_RTT_THRESH */
#define MAX_THRESH_MS 16 /* MAX_RTT_THRESH */
#define RTT_DIVISOR   8	 /* MIN_RTT_DIVISOR */
#define CSS_DIVISOR   4	 /* CSS_GROWTH_DIVISOR */
#define CSS_ROUNDS    5
#define RTT_NONE      UINT16_MAX

/* Slow start after a loss knows where to stop. */
static bool active(const struct tcp_conn *c)
{
	return c->ssthresh == UINT32_MAX;
}

/* A round ends when what was sent before it began is acknowledged. */
static void round_check(struct tcp_conn *c)
{
	if (c->hs_end_valid && tcp_lt(c->snd_una, c->hs_end))
		return;
	c->hs_last_ms = c->hs_end_valid ? c->hs_cur_ms : RTT_NONE;
	c->hs_cur_ms = RTT_NONE;
	c->hs_count = 0;
	c->hs_end = c->snd_nxt;
	c->hs_end_valid = true;
	if (c->hs_css && ++c->hs_css > CSS_ROUNDS)
		c->ssthresh = c->cwnd;
}

void tcp_hystart_rtt(struct tcp_conn *c, uint32_t ms)
{
	uint32_t thresh;

	if (!active(c) || c->recovery != TCP_R_OPEN)
		return;
	round_check(c);
	if (ms < c->hs_cur_ms)
		c->hs_cur_ms = (uint16_t)ms;
	c->hs_count += c->hs_count < UINT8_MAX;
	if (c->hs_count < N_SAMPLES)
		return;
	if (c->hs_css) {
		if (c->hs_cur_ms < c->hs_base_ms)
			c->hs_css = 0;
		return;
	}
	if (c->hs_last_ms == RTT_NONE)
		return;
	thresh = tcp_max(MIN_THRESH_MS, tcp_min(c->hs_last_ms / RTT_DIVISOR, MAX_THRESH_MS));
	if (c->hs_cur_ms >= c->hs_last_ms + thresh) {
		c->hs_base_ms = c->hs_cur_ms;
		c->hs_css = 1;
	}
}

uint32_t tcp_hystart_growth(const struct tcp_conn *c, uint32_t acked)
{
	return active(c) && c->hs_css ? (acked + CSS_DIVISOR - 1) / CSS_DIVISOR : acked;
}
