/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_rto.c - the retransmission timeout (RFC 6298 section 5, RFC 9293 section
 * 3.8.3).
 *
 * A timeout while a retransmission waits for its payload says nothing about
 * the network: it does not back off and takes no further window, but asks for
 * the payload again.
 */
#include "tcpstack/tcp_priv.h"

void tcp_alive(struct tcp_conn *c, uint64_t now)
{
	c->alive_ms = tcp_ms(now);
	c->alive_known = true;
}

void tcp_alive_keep(struct tcp_conn *c, uint64_t now)
{
	int32_t ago = (int32_t)((uint32_t)now - c->rto_us);

	if (!c->alive_known)
		tcp_alive(c, now - (ago > 0 ? (uint32_t)ago : 0));
}

bool tcp_user_timeout(struct tcp_conn *c, uint64_t now)
{
	tcp_alive_keep(c, now);
	return tcp_ms(now) - c->alive_ms >= c->cfg->user_timeout_us / 1000;
}

void tcp_rto_fire(struct tcp_conn *c, uint64_t now)
{
	if (!tcp_flight(c))
		return;
	if (tcp_user_timeout(c, now)) {
		tcp_give_up(c, TCP_E_TIMEOUT);
		return;
	}
	if (c->retx_wait) {
		tcp_payload_lost(c, true);
	} else {
		c->stats.rto_count++;
		c->stats.rto_again += c->backoff != 0;
		tcp_recovery_loss(c, now);
		if (c->backoff < UINT8_MAX)
			c->backoff++;
		tcp_pmtu_rto(c, now);
	}
	c->rto_us = (uint32_t)now;
	tcp_timer_set(c, TCP_T_RTO, now + tcp_rto(c));
}
