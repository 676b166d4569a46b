/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_close.c - FIN and RST (RFC 9293 sections 3.6, 3.10.4, 3.10.5).
 *
 * The state after our FIN changes when the FIN is emitted, which waits for all
 * payload before it. The client's FIN changes the state when it is accepted in
 * order; it is acknowledged when it is placed. LAST-ACK therefore ends only
 * when our FIN is acknowledged and the client's FIN has been.
 */
#include "tcpstack/tcp_priv.h"

void tcp_give_up(struct tcp_conn *c, enum tcp_event ev)
{
	tcp_set_state(c, TCP_S_CLOSED);
	tcp_tell(c, ev);
}

void tcp_fin_in(struct tcp_conn *c, uint64_t now)
{
	switch (c->state) {
	case TCP_S_ESTABLISHED:
		tcp_set_state(c, TCP_S_CLOSE_WAIT);
		break;
	case TCP_S_FIN_WAIT_1: /* our FIN is not acknowledged, else this were FIN-WAIT-2 */
		tcp_set_state(c, TCP_S_CLOSING);
		break;
	case TCP_S_FIN_WAIT_2:
		tcp_time_wait(c, now);
		break;
	default:
		return;
	}
	tcp_tell(c, TCP_E_FIN);
}

void tcp_fin_out(struct tcp_conn *c)
{
	c->fin_sent = true;
	if (c->state == TCP_S_ESTABLISHED)
		tcp_set_state(c, TCP_S_FIN_WAIT_1);
	else if (c->state == TCP_S_CLOSE_WAIT)
		tcp_set_state(c, TCP_S_LAST_ACK);
}

void tcp_fin_acked(struct tcp_conn *c, uint64_t now)
{
	if (c->state == TCP_S_FIN_WAIT_1)
		tcp_set_state(c, TCP_S_FIN_WAIT_2);
	else if (c->state == TCP_S_CLOSING)
		tcp_time_wait(c, now);
	else if (c->state == TCP_S_LAST_ACK)
		tcp_close_check(c);
}

void tcp_close_check(struct tcp_conn *c)
{
	bool all_acked = c->snd_una == c->snd_nxt;

	if (c->state == TCP_S_LAST_ACK && all_acked && c->rcv_acked == c->rcv_nxt) {
		tcp_give_up(c, TCP_E_CLOSED);
		return;
	}
	if (c->quiesced && !c->drained && all_acked && c->state != TCP_S_CLOSED) {
		c->drained = true;
		tcp_tell(c, TCP_E_DRAINED);
	}
}

void tcp_rst_in(struct tcp_conn *c)
{
	tcp_give_up(c, c->state == TCP_S_TIME_WAIT ? TCP_E_CLOSED : TCP_E_RESET);
}

void tcp_rst_out(struct tcp_conn *c, uint64_t now)
{
	struct tcp_emit e = {.seq = tcp_window_seq(c), .flags = TCP_RST | TCP_ACK, .mss = c->mss};

	e.ack = c->rcv_placed;
	e.optlen = tcp_options_build(c, false, now, e.opt);
	tcp_trace_now(c, now);
	c->rst_due = tcp_put(c, &e) != 0;
}

void tcp_shutdown(struct tcp_conn *c, uint64_t now)
{
	if (c->state == TCP_S_SYN_SENT)
		tcp_give_up(c, TCP_E_CLOSED);
	else if (c->state == TCP_S_ESTABLISHED || c->state == TCP_S_CLOSE_WAIT ||
		 c->state == TCP_S_SYN_RCVD)
		c->fin_wanted = true;
}

void tcp_abort(struct tcp_conn *c, uint64_t now)
{
	bool rst = c->state == TCP_S_ESTABLISHED || c->state == TCP_S_CLOSE_WAIT ||
		   c->state == TCP_S_FIN_WAIT_1 || c->state == TCP_S_FIN_WAIT_2 ||
		   c->state == TCP_S_SYN_RCVD;

	tcp_set_state(c, TCP_S_CLOSED);
	if (rst)
		tcp_rst_out(c, now);
}

void tcp_detach(struct tcp_conn *c)
{
	tcp_set_state(c, TCP_S_CLOSED);
	c->rst_due = false;
}

void tcp_quiesce(struct tcp_conn *c, uint64_t now)
{
	if (c->state != TCP_S_CLOSED)
		c->quiesced = true;
}
