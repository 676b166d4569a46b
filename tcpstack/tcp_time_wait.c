/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_time_wait.c - TIME-WAIT: how long, and what ends it early (RFC 9293
 * sections 3.6.1 and 3.10.7.4, RFC 6191, RFC 1337).
 *
 * It lasts time_wait_us (2 MSL) since the client's FIN was seen last. A SYN
 * of a new connection ends it when timestamps or, without them, sequence
 * numbers prove it newer than everything seen before (RFC 6191 section 2);
 * another SYN is answered by a challenge ACK. A RST ends it, as the
 * standard says, unless rfc1337 is set: old duplicates could otherwise make
 * the client's TCP reset away the protection against them.
 */
#include "tcpstack/tcp_priv.h"

void tcp_time_wait(struct tcp_conn *c, uint64_t now)
{
	if (c->state != TCP_S_TIME_WAIT)
		tcp_set_state(c, TCP_S_TIME_WAIT);
	tcp_timer_set(c, TCP_T_TIME_WAIT, now + c->cfg->time_wait_us);
}

void tcp_time_wait_old(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	bool same_fin = (seg->flags & TCP_FIN) && seg->seq + seg->len == c->fin_seq;

	if (c->state == TCP_S_TIME_WAIT && same_fin)
		tcp_time_wait(c, now);
}

bool tcp_time_wait_reopens(const struct tcp_conn *c, const struct tcp_seg *syn)
{
	bool newer = tcp_lt(c->rcv_nxt, syn->seq);

	if (c->state != TCP_S_TIME_WAIT || (syn->flags & TCP_ACK))
		return false;
	if (!syn->has_ts)
		return newer;
	if (!c->ts_ok || !c->ts_recent_valid)
		return true; /* timestamps tell the two apart from now on */
	return tcp_lt(c->ts_recent, syn->tsval) || (c->ts_recent == syn->tsval && newer);
}

bool tcp_time_wait_stays(const struct tcp_conn *c)
{
	return c->state == TCP_S_TIME_WAIT && c->cfg->rfc1337;
}
