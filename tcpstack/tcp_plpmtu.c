/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_plpmtu.c - the size of segments follows the path up: probing (RFC 4821,
 * with the search and the timer of RFC 8899 section 5).
 *
 * A probe is one larger segment of new payload with smaller ones behind it, so
 * that the client's SACKs tell quickly whether it arrived. Its loss, if nothing
 * else is lost, is no sign of congestion (RFC 4821 section 7.6.2). The first
 * size tried is the largest, since most often nothing but a link that was down
 * was mistaken for a black hole; then the distance is halved.
 *
 * On a path that loses much, timeouts look like a black hole while the window
 * is too small for segments behind a probe: after a black hole a probe may
 * leave alone, and costs a timeout if it is lost.
 *
 * A search begins when a black hole was left, and ten minutes after the last
 * one ended, since paths change (PMTU_RAISE_TIMER; RFC 8201 section 4).
 */
#include "tcpstack/tcp_priv.h"

#define RAISE_MS   600000u /* PMTU_RAISE_TIMER */
#define PROBES_MAX 3	   /* MAX_PROBES: losses that make a size fail */
#define STEP	   16u	   /* nearer than this a search ends */
#define BEHIND	   3	   /* segments that must follow a probe: DupThresh */

/* Sets the size to try next, between what is known to pass and what is known to fail. */
static void next_size(struct tcp_conn *c, uint64_t now)
{
	c->pm_tries = 0;
	if (c->pm_fail > c->mss_max)
		c->pm_next = c->mss < c->mss_max ? c->mss_max : 0;
	else if (c->pm_fail - c->mss <= STEP)
		c->pm_next = 0;
	else
		c->pm_next = (uint16_t)((c->mss + c->pm_fail) / 2);
	if (!c->pm_next)
		c->pm_ms = tcp_ms(now);
}

void tcp_plpmtu_rest(struct tcp_conn *c, uint64_t now)
{
	c->pm_out = false;
	c->pm_next = 0;
	c->pm_tries = 0;
	c->pm_ms = tcp_ms(now);
}

void tcp_plpmtu_search(struct tcp_conn *c)
{
	c->pm_out = false;
	c->pm_tries = 0;
	c->pm_fail = c->mss_max + 1u;
	c->pm_next = c->mss < c->mss_max ? c->mss_max : 0;
}

/* The probe, of size pm_next, did not arrive. */
static void probe_failed(struct tcp_conn *c, uint64_t now)
{
	c->pm_out = false;
	if (c->pm_bad || ++c->pm_tries < PROBES_MAX)
		return;
	c->pm_fail = c->pm_next;
	next_size(c, now);
}

bool tcp_plpmtu_too_big(struct tcp_conn *c, uint32_t seq, uint32_t mss, uint64_t now)
{
	if (!c->pm_out || c->pm_bad || seq != c->pm_seq || mss < c->mss || mss >= c->pm_next)
		return false;
	c->pm_bad = true; /* its loss is still to be repaired, and is no congestion */
	c->pm_tries = 0;
	c->pm_fail = mss + 1;
	c->pm_next = mss > c->mss ? (uint16_t)mss : 0;
	if (!c->pm_next)
		c->pm_ms = tcp_ms(now);
	return true;
}

void tcp_plpmtu_acked(struct tcp_conn *c, uint64_t now)
{
	if (!c->pm_out || tcp_lt(c->snd_una, c->pm_probe_end))
		return;
	c->pm_out = false;
	if (c->pm_bad)
		return;
	tcp_pmtu_set(c, c->pm_next);
	c->pm_sent = c->pm_proven = true;
	c->df_off = false;
	c->stats.mtu_rises++;
	next_size(c, now);
}

bool tcp_plpmtu_lost(struct tcp_conn *c, bool timeout, uint64_t now)
{
	bool alone = !timeout && c->snd_una == c->pm_seq && c->lost <= c->pm_probe_end - c->pm_seq;

	if (!c->pm_out)
		return false;
	if (c->snd_una == c->pm_seq)
		probe_failed(c, now);
	else
		c->pm_out = false; /* something before it was lost: no verdict */
	return alone;
}

/* True when a probe of `size` payload bytes may leave now. */
static bool may_probe(const struct tcp_conn *c, uint32_t size)
{
	uint32_t need = size + (c->pm_hole ? 0 : BEHIND * tcp_eff_mss(c));

	return c->sack_ok && c->recovery == TCP_R_OPEN && !c->fin_sent && !c->quiesced &&
	       c->snd_avail - c->snd_nxt >= need && tcp_window_usable(c) >= need &&
	       c->cwnd >= tcp_flight(c) + need && tcp_payload_ready(c) >= size;
}

void tcp_plpmtu_output(struct tcp_conn *c, uint64_t now)
{
	uint16_t mss = c->mss;
	uint32_t size, seq = c->snd_nxt;
	int err;

	if (c->pm_out || !c->pm_low)
		return;
	if (!c->pm_next && tcp_ms(now) - c->pm_ms >= RAISE_MS)
		tcp_plpmtu_search(c);
	if (!c->pm_next)
		return;
	size = c->pm_next - (mss - tcp_eff_mss(c));
	if (!may_probe(c, size))
		return;
	c->pm_out = true;
	c->pm_bad = false;
	c->mss = c->pm_next; /* this one segment is larger */
	err = tcp_emit_run(c, seq, size, 0, false, now);
	c->mss = mss;
	if (err) {
		c->pm_out = false;
		return;
	}
	c->pm_seq = seq;
	c->pm_probe_end = seq + size;
	c->stats.mtu_probes++;
}
