/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_window.c - both windows (RFC 9293 sections 3.8.6 and 3.10.7.4, RFC 7323
 * section 2).
 *
 * The window we advertise is the free room in the server's ring beyond the
 * placed position. The promised right edge never retreats. The window field
 * counts in units of 2^rcv_wscale, so that the edge a field expresses can lie
 * below the promised one by less than one unit when the placed position is not
 * a multiple of it and no more room is left (RFC 7323 section 2.4): segments
 * are still accepted up to the promised edge.
 */
#include "tcpstack/tcp_priv.h"

/* The smallest step of the right edge worth telling, RFC 9293 section 3.8.6.2.2. */
static uint32_t sws_step(const struct tcp_conn *c)
{
	return tcp_max(tcp_min(c->rcv_max / 2, c->mss), 1);
}

uint16_t tcp_window_field(struct tcp_conn *c)
{
	uint8_t shift = c->rcv_wscale;
	uint32_t edge = c->rcv_edge, width, field;

	if (tcp_lt(edge, c->rcv_room) && c->rcv_room - edge >= sws_step(c))
		edge = c->rcv_room;
	if (tcp_lt(edge, c->rcv_placed))
		return 0;
	width = edge - c->rcv_placed;
	field = width >> shift;
	/* Round up to keep a promise, if there is room for it. */
	if (tcp_lt(c->rcv_placed + (field << shift), c->rcv_edge) &&
	    tcp_leq(c->rcv_placed + ((field + 1) << shift), c->rcv_room))
		field++;
	field = tcp_min(field, UINT16_MAX);
	if (tcp_lt(c->rcv_edge, c->rcv_placed + (field << shift)))
		c->rcv_edge = c->rcv_placed + (field << shift);
	return (uint16_t)field;
}

bool tcp_window_opened(const struct tcp_conn *c)
{
	uint32_t most = UINT16_MAX << c->rcv_wscale;
	uint32_t edge = c->rcv_room, whole = tcp_min(c->rcv_max, most), step, left;

	/* Room that the field cannot express is no news: it would be a duplicate ACK. */
	if (tcp_lt(c->rcv_placed + most, edge))
		edge = c->rcv_placed + most;
	if (!tcp_lt(c->rcv_edge, edge))
		return false;
	step = edge - c->rcv_edge;
	if (step < tcp_max(tcp_min(2u * c->mss, whole / 2), 1u << c->rcv_wscale))
		return false;
	/* A client with plenty of window left needs no update for each small read. */
	left = tcp_lt(c->rcv_nxt, c->rcv_edge) ? c->rcv_edge - c->rcv_nxt : 0;
	return left < whole / 2 || step >= whole / 4;
}

void tcp_window_in(struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t wnd = (uint32_t)seg->wnd << c->snd_wscale;

	/*
	 * An ACK that advances is newer than any before, also on a retransmission
	 * with an old sequence number: not to take its window would move the edge.
	 * SND.WL2 is never beyond snd_una, so that no acceptable ACK is before it.
	 */
	if (!tcp_lt(c->snd_una, seg->ack) && tcp_lt(seg->seq, c->snd_wl1))
		return;
	c->snd_wl1 = seg->seq;
	if (c->snd_wnd == wnd)
		return;
	c->snd_wnd = wnd;
	c->max_wnd = tcp_max(c->max_wnd, wnd);
}

uint32_t tcp_window_usable(const struct tcp_conn *c)
{
	uint32_t flight = tcp_flight(c);

	return c->snd_wnd > flight ? c->snd_wnd - flight : 0;
}

uint32_t tcp_window_seq(const struct tcp_conn *c)
{
	if (tcp_leq(c->snd_nxt, c->snd_una + c->snd_wnd) || tcp_opening(c))
		return c->snd_nxt; /* while opening the client's window is not known */
	/*
	 * What was sent lay within a window: beyond the largest one there ever was lies only a
	 * successor's snd_nxt. The present window says less, since a segment that was overtaken
	 * may have made it too small. But when timeouts repeat it is what the client says again
	 * and again, and the largest one may never have been true.
	 */
	if (c->backoff < 2 && tcp_leq(c->snd_nxt, c->snd_una + c->max_wnd + 1))
		return c->snd_nxt;
	return c->snd_una + c->snd_wnd;
}
