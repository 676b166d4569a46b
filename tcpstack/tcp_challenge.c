/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_challenge.c - challenge ACKs (RFC 5961) and their limit (section 7).
 *
 * The limit counts per connection, so that a connection's counter tells
 * nothing about another's, and covers every answer to a segment that carried
 * no new payload and was not acceptable.
 */
#include "tcpstack/tcp_priv.h"

#define CHALLENGE_MAX	      10
#define CHALLENGE_INTERVAL_MS 5000u

bool tcp_challenge_may(struct tcp_conn *c, uint64_t now)
{
	uint32_t ms = tcp_ms(now);

	if (!c->n_challenge || ms - c->challenge_ms >= CHALLENGE_INTERVAL_MS) {
		c->challenge_ms = ms;
		c->n_challenge = 0;
	}
	if (c->n_challenge >= CHALLENGE_MAX)
		return false;
	c->n_challenge++;
	return true;
}

void tcp_challenge(struct tcp_conn *c, uint64_t now)
{
	if (!tcp_challenge_may(c, now))
		return;
	c->stats.challenge_acks++;
	c->ack_now = true;
}
