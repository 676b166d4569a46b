/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_pmtu.c - the size of segments follows the path down (RFC 1191, RFC 8201,
 * RFC 4821 section 7.7, RFC 2923).
 *
 * c->mss is what the path is believed to take, mss_max what both ends would.
 * It falls when an ICMP error says so (tcp_icmp.c), and without one when large
 * segments time out again and again: the path is a black hole for them. It
 * rises by probes only (tcp_plpmtu.c).
 *
 * All that is in flight was cut to a size that does not fit and is sent again
 * in smaller segments. That is no sign of congestion: ssthresh stays, and slow
 * start leads back to the window there was (RFC 8201 section 5.4).
 *
 * An IPv4 router may have an MTU below the smallest sensible segment size; then
 * segments of that size go without DF and are fragmented (RFC 1191 section 3).
 */
#include "tcpstack/tcp_priv.h"

#define FLOOR_4	     576u  /* no smaller MTU is followed, RFC 1122 section 3.3.3 */
#define BASE_4	     1200u /* fits nearly everywhere, BASE_PLPMTU of RFC 8899 section 5.1.2 */
#define FLOOR_6	     1280u /* RFC 8201 section 4 */
#define TRIES	     3	   /* timeouts in a row that make a black hole of a new size */
#define TRIES_PROVEN 4	   /* the same of one that was acknowledged before */
#define TRIES_SMALL  6	   /* the same of one that nearly every path takes */

uint32_t tcp_pmtu_hdr(const struct tcp_conn *c)
{
	return c->is_v6 ? 60 : 40;
}

/* The smallest size in use: never more than both ends agreed to. */
static uint32_t floor_mss(const struct tcp_conn *c)
{
	return tcp_min(c->mss_max, (c->is_v6 ? FLOOR_6 : FLOOR_4) - tcp_pmtu_hdr(c));
}

/* The size that is tried first in a black hole. */
static uint32_t base_mss(const struct tcp_conn *c)
{
	return c->is_v6 ? floor_mss(c) : tcp_min(c->mss_max, BASE_4 - tcp_pmtu_hdr(c));
}

/* Timeouts in a row that the present size may have. */
static uint8_t tries(const struct tcp_conn *c)
{
	if (c->mss <= base_mss(c))
		return TRIES_SMALL;
	return c->pm_proven ? TRIES_PROVEN : TRIES;
}

void tcp_pmtu_init(struct tcp_conn *c, const struct tcp_state_io *st, uint64_t now)
{
	c->is_v6 = st->is_v6;
	c->mss = st->mss;
	c->mss_max = (uint16_t)tcp_max(st->mss, st->mss_max);
	c->pm_low = c->mss < c->mss_max;
	c->pm_fail = c->mss_max + 1u;
	c->pm_ms = tcp_ms(now);
}

void tcp_pmtu_set(struct tcp_conn *c, uint32_t mss)
{
	c->mss = (uint16_t)mss;
	c->pm_low = mss < c->mss_max;
	c->pm_sent = c->pm_proven = false;
	c->pm_rtos = 0;
	c->ptb_pending = false;
	c->cwnd = tcp_max(c->cwnd, mss);
	c->ssthresh = tcp_max(c->ssthresh, 2 * mss);
}

bool tcp_pmtu_lower(struct tcp_conn *c, uint32_t mss, uint64_t now)
{
	uint32_t least = floor_mss(c), size = tcp_max(mss, least);

	bool fragment = mss < least && !c->is_v6 && !c->df_off;

	if (size >= c->mss && !fragment)
		return false;
	c->df_off |= fragment;
	tcp_pmtu_set(c, size);
	tcp_plpmtu_rest(c, now);
	c->pm_hole = false;
	c->stats.mtu_falls++;
	tcp_recovery_resize(c, now);
	return true;
}

void tcp_pmtu_sent(struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	if (c->pm_sent || c->pm_out || len < tcp_eff_mss(c))
		return;
	c->pm_sent = true;
	c->pm_end = seq + tcp_eff_mss(c);
}

void tcp_pmtu_acked(struct tcp_conn *c, uint64_t now)
{
	if (c->pm_sent && !c->pm_proven && tcp_leq(c->pm_end, c->snd_una))
		c->pm_proven = true;
	c->pm_rtos = 0;
	if (c->ptb_pending && tcp_lt(c->ptb_seq, c->snd_una))
		c->ptb_pending = false;
	tcp_plpmtu_acked(c, now);
}

/*
 * A timeout. An error that waited for it is followed; else the size is suspected when segments
 * larger than the next size got no answer so often.
 */
void tcp_pmtu_rto(struct tcp_conn *c, uint64_t now)
{
	uint32_t size;

	if (c->ptb_pending) {
		c->ptb_pending = false;
		tcp_pmtu_lower(c, c->ptb_mss, now);
		return;
	}
	size = c->mss > base_mss(c) ? base_mss(c) : floor_mss(c);
	/* What fits into one smaller segment is not lost for its size. */
	c->pm_rtos += c->pm_rtos < TRIES_SMALL;
	if (c->pm_rtos < tries(c) || tcp_flight(c) <= size - (c->mss - tcp_eff_mss(c)) ||
	    c->mss <= floor_mss(c))
		return;
	tcp_pmtu_set(c, size);
	c->cwnd = c->mss;
	tcp_plpmtu_search(c);
	c->pm_hole = true;
	c->stats.black_holes++;
}
