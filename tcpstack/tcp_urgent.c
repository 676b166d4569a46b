/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_urgent.c - urgent data (RFC 9293 section 3.8.5, RFC 6093).
 *
 * Urgent bytes are bytes of the stream like all others; only where they end is
 * known besides. The pointer names the byte after the last urgent one, as RFC
 * 6093 section 3.1 says all TCPs treat it.
 *
 * What comes in: TCP_E_URGENT when a pointer appears or moves forward, and
 * tcp_urgent_end() for how far it reaches. What goes out: while bytes before
 * the pointer are not sent, every segment before it carries it, one segment
 * per run, since each has another offset.
 */
#include "tcpstack/tcp_priv.h"

#define FORGET (1u << 30) /* a pointer this far behind is none any more */

void tcp_urgent_in(struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t up = seg->seq + seg->urp;

	if (c->urg_in && tcp_lt(c->rcv_up, c->rcv_nxt - FORGET))
		c->urg_in = false;
	if (!(seg->flags & TCP_URG) || !tcp_may_receive(c) || !tcp_lt(c->rcv_nxt, up))
		return;
	if (c->urg_in && tcp_leq(up, c->rcv_up))
		return;
	c->urg_in = true;
	c->rcv_up = up;
	c->cfg->ops->event(c, TCP_E_URGENT);
}

bool tcp_urgent_end(const struct tcp_conn *c, uint32_t *end)
{
	*end = c->rcv_up;
	return c->urg_in;
}

void tcp_urgent(struct tcp_conn *c)
{
	if (c->state == TCP_S_CLOSED || c->snd_avail == c->snd_una + tcp_opening(c))
		return;
	c->urg_out = true;
	c->snd_up = c->snd_avail;
	if (!tcp_opening(c))
		c->ack_now = true; /* tells of it even when the window is closed */
}

void tcp_urgent_mark(struct tcp_conn *c, struct tcp_emit *e)
{
	if (!tcp_lt(c->snd_una, c->snd_up)) {
		c->urg_out = false;
		return;
	}
	if (!tcp_lt(e->seq, c->snd_up))
		return;
	e->flags |= TCP_URG;
	e->urp = (uint16_t)tcp_min(c->snd_up - e->seq, UINT16_MAX);
}
