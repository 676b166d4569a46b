/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_limit.c - what keeps the sender from sending more: the client's window,
 * congestion control, or we ourselves (RFC 4898 section 3.3, SndLim*).
 */
#include "tcpstack/tcp_priv.h"

/* We ourselves: nothing more was produced, or its payload is not here yet. */
static enum tcp_limit limit_now(const struct tcp_conn *c)
{
	uint32_t left = c->snd_avail - c->snd_nxt;

	if (!tcp_may_send(c) || c->fin_sent || !left)
		return TCP_LIM_SENDER;
	if (tcp_window_usable(c) < tcp_min(left, tcp_eff_mss(c)))
		return TCP_LIM_RWIN;
	return c->cwnd_limited || c->pace_wait ? TCP_LIM_CWND : TCP_LIM_SENDER;
}

void tcp_limit_note(struct tcp_conn *c, uint64_t now)
{
	enum tcp_limit l = limit_now(c);

	if (l == c->limit)
		return;
	c->stats.limit_ms[c->limit] += tcp_ms(now) - c->stats.limit_since_ms;
	c->stats.limit_since_ms = tcp_ms(now);
	c->stats.limit_in[l]++;
	c->limit = l;
}
