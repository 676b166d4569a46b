/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cubic.c - the congestion window of CUBIC (RFC 9438).
 *
 * Windows are bytes, times milliseconds; C = 0.4, beta = 0.7 and alpha are
 * ratios of small integers, so that no floating point is needed:
 *
 *	W_cubic(t) = C (t - K)^3 + W_max	[segments, seconds]
 *	           = mss (t - K)^3 * 4 / 10^10 + W_max	[bytes, milliseconds]
 */
#include "tcpstack/tcp_priv.h"

#define BETA_NUM   7
#define BETA_DEN   10
#define T_MAX_MS   100000 /* keeps (t - K)^3 * mss within 63 bits */
#define CUBE_SCALE 10000000000ll

uint32_t tcp_cbrt(uint64_t x)
{
	uint64_t y = 0, b;

	for (int s = 63; s >= 0; s -= 3) {
		y <<= 1;
		b = 3 * y * (y + 1) + 1;
		if ((x >> s) >= b) {
			x -= b << s;
			y++;
		}
	}
	return (uint32_t)y;
}

static void rest(struct tcp_conn *c)
{
	c->epoch_valid = false;
}

static uint32_t reduce(struct tcp_conn *c)
{
	uint64_t cwnd = tcp_cwv_window(c);

	/* Fast convergence, section 4.7. */
	if (cwnd < c->w_max)
		c->w_max = (uint32_t)(cwnd * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN));
	else
		c->w_max = (uint32_t)cwnd;
	c->cwnd_prior = (uint32_t)cwnd;
	c->epoch_valid = false;
	return (uint32_t)(cwnd * BETA_NUM / BETA_DEN);
}

static void undo(struct tcp_conn *c)
{
	c->w_max = tcp_max(c->w_max, c->undo_cwnd);
	c->epoch_valid = false;
}

/* Section 4.2: the epoch begins with the first ACK in congestion avoidance. */
static void begin_epoch(struct tcp_conn *c, uint32_t ms)
{
	c->epoch_valid = true;
	c->epoch_ms = ms;
	c->w_est = c->cwnd;
	c->w_est_acked = 0;
	if (c->w_max > c->cwnd) {
		c->k_ms = tcp_cbrt((uint64_t)(c->w_max - c->cwnd) * 2500000000ull / c->mss);
	} else {
		c->k_ms = 0;
		c->w_max = c->cwnd;
	}
}

/* Figure 1 of RFC 9438; t in milliseconds since the epoch began. */
static uint32_t w_cubic(const struct tcp_conn *c, uint32_t t)
{
	int64_t d = (int64_t)t - c->k_ms, w;

	if (d > T_MAX_MS)
		d = T_MAX_MS;
	if (d < -T_MAX_MS)
		d = -T_MAX_MS;
	w = d * d * d / 1000 * c->mss * 4 / (CUBE_SCALE / 1000) + c->w_max;
	if (w < 0)
		return 0;
	return w < TCP_CWND_MAX ? (uint32_t)w : TCP_CWND_MAX;
}

/*
 * Section 4.3: what Reno with the same average would have. One segment is
 * added per cwnd / alpha acknowledged bytes; alpha is 9/17, and 1 once the
 * window of the last reduction is reached.
 */
static void grow_w_est(struct tcp_conn *c, uint32_t acked)
{
	uint64_t per_mss = c->w_est >= c->cwnd_prior ? c->cwnd : (uint64_t)c->cwnd * 17 / 9;

	c->w_est_acked += acked;
	if (c->w_est_acked < per_mss)
		return;
	c->w_est = tcp_min(c->w_est + c->mss * (uint32_t)(c->w_est_acked / per_mss), TCP_CWND_MAX);
	c->w_est_acked %= per_mss;
}

/* Time in which the window was not what limited does not count, section 4.2. */
static void avoid(struct tcp_conn *c, uint32_t acked, uint32_t ms)
{
	uint32_t t, target;

	if (!c->epoch_valid)
		begin_epoch(c, ms);
	else if (ms - c->avoid_ms > tcp_rto(c) / 1000)
		c->epoch_ms += ms - c->avoid_ms;
	c->avoid_ms = ms;
	t = ms - c->epoch_ms;
	grow_w_est(c, acked);
	if (w_cubic(c, t) < c->w_est) {
		c->cwnd = tcp_max(c->cwnd, c->w_est);
		return;
	}
	target = w_cubic(c, t + c->srtt_us / 1000);
	target = tcp_min(target, c->cwnd + c->cwnd / 2);
	if (target > c->cwnd)
		c->cwnd += (uint32_t)((uint64_t)(target - c->cwnd) * acked / c->cwnd);
}

static uint32_t slow_start(const struct tcp_conn *c, uint32_t acked)
{
	return acked;
}

const struct tcp_cc tcp_cc_cubic = {
	.rest = rest, .avoid = avoid, .slow_start = slow_start, .reduce = reduce, .undo = undo};
