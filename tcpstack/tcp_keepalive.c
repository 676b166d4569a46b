/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_keepalive.c - is a silent client still there? (RFC 9293 section 3.8.4)
 *
 * Off unless asked for. When nothing is in flight and nothing was heard for
 * keep_idle_ms, a probe like that of a closed window goes out, and again every
 * keep_intvl_ms; keep_count probes without any answer end the connection with
 * a RST. The sender's one timer serves, since it has nothing else to wait for
 * then: tcp_output() takes it away before and gives it back after its work.
 */
#include "tcpstack/tcp_priv.h"

/* Milliseconds of silence after which the next thing happens. */
static uint64_t patience(const struct tcp_conn *c)
{
	return c->cfg->keep_idle_ms + (uint64_t)c->keep_sent * c->cfg->keep_intvl_ms;
}

static uint32_t silence(const struct tcp_conn *c, uint64_t now)
{
	return tcp_ms(now) - c->heard_ms;
}

void tcp_keep_pause(struct tcp_conn *c)
{
	if (c->timer == TCP_T_KEEPALIVE)
		tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
}

/* Takes the timer, if nobody needs it. A probe that could not leave is tried again by then, too. */
static void arm(struct tcp_conn *c, uint64_t now)
{
	uint64_t wait = c->keep_due ? c->cfg->keep_intvl_ms : patience(c);
	uint32_t quiet = c->keep_due ? 0 : silence(c, now);

	if (c->timer != TCP_T_NONE || tcp_flight(c) || c->quiesced)
		return;
	if (c->state != TCP_S_ESTABLISHED && c->state != TCP_S_CLOSE_WAIT &&
	    c->state != TCP_S_FIN_WAIT_2)
		return;
	wait = quiet < wait ? wait - quiet : 1;
	tcp_timer_set(c, TCP_T_KEEPALIVE, now + wait * 1000);
}

void tcp_keep_fire(struct tcp_conn *c, uint64_t now)
{
	if (silence(c, now) < patience(c))
		return;
	if (c->keep_sent >= c->cfg->keep_count) {
		c->rst_due = true;
		tcp_give_up(c, TCP_E_TIMEOUT);
		return;
	}
	c->keep_due = true;
}

/* The probe that is due. */
static void emit_probe(struct tcp_conn *c, uint64_t now)
{
	if (!tcp_flight(c)) {
		if (tcp_ack_emit(c, c->snd_una - 1, now))
			return;
		c->keep_sent++;
		c->stats.probes++;
	}
	c->keep_due = false;
}

void tcp_keep_output(struct tcp_conn *c, uint64_t now)
{
	if (c->keep_due)
		emit_probe(c, now);
	arm(c, now);
}

void tcp_keep_heard(struct tcp_conn *c, uint64_t now)
{
	c->heard_ms = tcp_ms(now);
	if (!c->keepalive)
		return;
	c->keep_sent = 0;
	c->keep_due = false;
}

void tcp_set_keepalive(struct tcp_conn *c, bool on)
{
	c->keepalive = on;
	c->keep_sent = 0;
	c->keep_due = false;
	tcp_keep_pause(c);
}
