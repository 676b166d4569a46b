/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_ack.c - when and what to acknowledge (RFC 9293 section 3.8.6.3, RFC 5681
 * section 4.2, RFC 2018 section 4).
 *
 * Accepting a segment only notes what kind of ACK it deserves. The ACK for
 * data becomes due in tcp_placed(), since an ACK or a SACK may name only what
 * is in the server's memory: at once for every second full segment, for
 * anything out of order, at the start (the client is in slow start) and for a
 * FIN; otherwise when the delayed-ACK timer runs out or data takes it along.
 */
#include "tcpstack/tcp_priv.h"

/* True when everything accepted has been placed, so that the next ACK tells it all. */
static bool caught_up(const struct tcp_conn *c)
{
	if (c->rcv_placed != c->rcv_nxt || c->n_ooo != c->n_ooo_placed)
		return false;
	for (unsigned int i = 0; i < c->n_ooo; i++) {
		if (c->ooo[i].start != c->ooo_placed[i].start ||
		    c->ooo[i].end != c->ooo_placed[i].end)
			return false;
	}
	return true;
}

void tcp_rx_get(const struct tcp_conn *c, struct tcp_rx_pos *pos)
{
	pos->rcv_nxt = c->rcv_nxt;
	pos->fin = c->fin_rcvd;
	pos->n_ooo = c->n_ooo;
	for (unsigned int i = 0; i < TCP_MAX_SACK; i++)
		pos->ooo[i] = i < c->n_ooo ? c->ooo[i] : (struct tcp_range){0, 0};
}

/* Takes over the intervals of *pos that lie beyond the placed position. */
static void placed_ooo(struct tcp_conn *c, const struct tcp_rx_pos *pos)
{
	c->n_ooo_placed = 0;
	for (unsigned int i = 0; i < pos->n_ooo && i < TCP_MAX_SACK; i++) {
		if (tcp_lt(c->rcv_placed, pos->ooo[i].start))
			c->ooo_placed[c->n_ooo_placed++] = pos->ooo[i];
	}
}

void tcp_expect_late(struct tcp_conn *c, uint64_t until)
{
	c->t_late = until;
	/* ACKs of what was in flight may come late as well. */
	if (c->timer == TCP_T_RTO || c->timer == TCP_T_TLP) {
		c->rto_us = (uint32_t)until;
		tcp_timer_set(c, TCP_T_RTO, until + tcp_rto(c));
	}
}

void tcp_placed(struct tcp_conn *c, const struct tcp_rx_pos *pos, uint64_t now)
{
	uint32_t advance = pos->rcv_nxt - c->rcv_placed;

	if (c->state == TCP_S_CLOSED || tcp_lt(pos->rcv_nxt, c->rcv_placed) ||
	    tcp_lt(c->rcv_nxt, pos->rcv_nxt))
		return;
	tcp_trace_now(c, now);
	if (advance || pos->n_ooo)
		tcp_trace(c, TCP_TR_PLACED, pos->n_ooo, 0, pos->rcv_nxt, advance);
	c->rcv_placed = pos->rcv_nxt;
	placed_ooo(c, pos);
	if (c->ack_on_place) {
		c->ack_now = true;
		c->ack_on_place = !caught_up(c);
	}
	if (!advance)
		return;
	if (pos->fin && !c->fin_placed) {
		c->fin_placed = true;
		c->ack_now = true;
	}
	if (c->quick || c->rcv_placed - c->rcv_acked >= 2u * c->rcv_mss)
		c->ack_now = true;
	else if (!c->ack_later)
		tcp_timer_ack(c, now + c->cfg->delack_us);
}

void tcp_ack_soon(struct tcp_conn *c)
{
	if (c->state != TCP_S_CLOSED && c->rcv_acked != c->rcv_placed)
		c->ack_now = true;
}

void tcp_quickack(struct tcp_conn *c, bool on)
{
	c->quick = on ? TCP_QUICK_ACKS : 0;
	if (on)
		tcp_ack_soon(c);
}

void tcp_ack_idle(struct tcp_conn *c, uint64_t now)
{
	uint32_t quiet = tcp_ms(now) - c->heard_ms;

	if (quiet > c->cfg->rto_min_us / 1000 && quiet > tcp_rto(c) / 1000)
		c->quick = TCP_QUICK_ACKS;
}

void tcp_room(struct tcp_conn *c, uint32_t edge, uint64_t now)
{
	if (c->state == TCP_S_CLOSED || !tcp_lt(c->rcv_room, edge))
		return;
	c->rcv_room = edge;
	if (tcp_lt(c->rcv_placed, edge))
		c->rcv_max = tcp_max(c->rcv_max, edge - c->rcv_placed);
	if (tcp_may_receive(c) && !c->fin_known && tcp_window_opened(c))
		c->ack_now = true;
}

bool tcp_ack_has_sack(const struct tcp_conn *c)
{
	return c->sack_ok && (c->n_ooo_placed || c->dsack_due);
}

void tcp_ack_note(struct tcp_conn *c, bool with_sack)
{
	if (c->quick && c->rcv_acked != c->rcv_placed)
		c->quick--;
	c->rcv_acked = c->rcv_placed;
	c->ack_later = false;
	if (tcp_ack_has_sack(c) && !with_sack)
		return;
	c->ack_now = false;
	c->dsack_due = false;
}

int tcp_ack_emit(struct tcp_conn *c, uint32_t seq, uint64_t now)
{
	struct tcp_emit e = {.seq = seq, .flags = TCP_ACK, .mss = tcp_eff_mss(c)};
	int err;

	if (c->ecn_echo)
		e.flags |= TCP_ECE;
	e.ack = c->rcv_placed;
	e.optlen = tcp_options_build(c, true, now, e.opt);
	e.wnd = tcp_window_field(c);
	if (c->urg_out)
		tcp_urgent_mark(c, &e);
	err = tcp_put(c, &e);
	if (err)
		return err;
	tcp_ack_note(c, true);
	return 0;
}

/* Holds back the ACK of a hole that is expected to close by itself, whatever made it due. */
static bool hole_closes(struct tcp_conn *c, uint64_t now)
{
	if (!c->n_ooo_placed || now >= c->t_late)
		return false;
	if (!c->ack_later || tcp_lt((uint32_t)c->t_late, c->t_ack))
		tcp_timer_ack(c, c->t_late);
	return true;
}

void tcp_ack_output(struct tcp_conn *c, uint64_t now)
{
	if (!c->ack_now || hole_closes(c, now))
		return;
	do {
		if (tcp_ack_emit(c, tcp_window_seq(c), now)) {
			c->ack_now = true;
			return;
		}
	} while (!c->sack_ok && c->dup_due && c->dup_due--);
}
