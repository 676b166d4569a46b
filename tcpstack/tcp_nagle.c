/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_nagle.c - when a short segment waits for more (RFC 9293 section 3.7.4,
 * RFC 896, draft-minshall-nagle; the cork of BSD and Linux).
 *
 * Nagle is Minshall's: a short segment waits while another short one is
 * unacknowledged, so that the last piece of a long write does not. A corked
 * connection sends no short segment at all, but what is left when nothing is
 * in flight goes out after an RTO, by the timer of the sender's SWS override.
 * A FIN or urgent data ends every wait.
 *
 * Off unless the configuration or the program says otherwise: the programs of
 * accelerated connections write into a ring that batches for them, and a
 * delay here would add to that of the fabric (MUST-17 allows both).
 */
#include "tcpstack/tcp_priv.h"

bool tcp_nagle_holds(const struct tcp_conn *c, uint32_t len)
{
	if (len % tcp_eff_mss(c) == 0 || c->fin_wanted || c->urg_out)
		return false;
	return c->cork || (c->nagle && tcp_lt(c->snd_una, c->snd_sml));
}

bool tcp_nagle_corked(const struct tcp_conn *c)
{
	uint32_t left = c->snd_avail - c->snd_nxt;

	return c->cork && left && left < tcp_eff_mss(c) && tcp_nagle_holds(c, left);
}

void tcp_nagle_sent(struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	if (!c->nagle)
		return;
	if (len % tcp_eff_mss(c))
		c->snd_sml = seq + len;
	else if (!tcp_lt(c->snd_una, c->snd_sml))
		c->snd_sml = c->snd_una; /* keeps it near for the comparison */
}

void tcp_set_nodelay(struct tcp_conn *c, bool on)
{
	c->nagle = !on;
	c->snd_sml = c->snd_una; /* what left before counts as whole */
}

void tcp_set_cork(struct tcp_conn *c, bool on)
{
	c->cork = on;
}
