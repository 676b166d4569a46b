/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_challenge.c - challenge ACKs (RFC 5961) and their limit (section 7).
 *
 * The limit counts per connection, so that a connection's counter tells
 * nothing about another's, and covers every answer to a segment that carried
 * no new payload and was not acceptable. A second limit may be shared by all
 * connections of a worker. An attacker who exhausts it and counts what he
 * gets on a connection of his own must not learn from it whether another
 * one answered (CVE-2016-5696): each second allows another, random number.
 */
#include "tcpstack/tcp_priv.h"

#define CHALLENGE_MAX	      10
#define CHALLENGE_INTERVAL_MS 5000u

/* Takes one from the shared limit. */
static bool shared_may(struct tcp_challenges *s, uint64_t now)
{
	uint64_t second = now / 1000000;

	if (!s)
		return true;
	if (second != s->second) {
		s->second = second;
		s->left = s->per_s / 2 +
			  (uint32_t)(tcp_siphash(s->key, &second, sizeof(second)) % (s->per_s + 1));
	}
	if (!s->left) {
		s->refused++;
		return false;
	}
	s->left--;
	return true;
}

bool tcp_challenge_may(struct tcp_conn *c, uint64_t now)
{
	uint32_t ms = tcp_ms(now);

	if (!c->n_challenge || ms - c->challenge_ms >= CHALLENGE_INTERVAL_MS) {
		c->challenge_ms = ms;
		c->n_challenge = 0;
	}
	if (c->n_challenge >= CHALLENGE_MAX || !shared_may(c->cfg->challenges, now))
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
