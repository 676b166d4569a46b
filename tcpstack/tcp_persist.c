/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_persist.c - zero-window probes (RFC 9293 section 3.8.6.1) and the
 * override timeout of the sender's SWS avoidance (section 3.8.6.2.1).
 *
 * A probe of a closed window is an ACK with the sequence number before the
 * oldest unacknowledged byte: it needs no payload, and any TCP answers it with
 * its window. A window that is open but too small for a segment is filled.
 */
#include "tcpstack/tcp_priv.h"

bool tcp_persist_needed(const struct tcp_conn *c)
{
	uint32_t left = c->snd_avail - c->snd_nxt, wnd = tcp_window_usable(c);

	if (c->fin_sent || !left || c->quiesced || c->failed || tcp_flight(c) || !tcp_may_send(c))
		return false;
	if (tcp_nagle_corked(c))
		return true;
	return wnd < left && wnd < tcp_eff_mss(c) && (!wnd || wnd < c->max_wnd / 2);
}

void tcp_persist_fire(struct tcp_conn *c, uint64_t now)
{
	if (!tcp_persist_needed(c)) {
		c->backoff = 0;
		return;
	}
	if (tcp_user_timeout(c, now)) {
		tcp_give_up(c, TCP_E_TIMEOUT);
		return;
	}
	c->probe_due = true;
	if (c->backoff < UINT8_MAX && !tcp_nagle_corked(c))
		c->backoff++;
	tcp_timer_set(c, TCP_T_PERSIST, now + tcp_rto(c));
}

void tcp_persist_output(struct tcp_conn *c, uint64_t now)
{
	uint32_t len;

	if (!c->probe_due)
		return;
	if (!tcp_persist_needed(c)) {
		c->probe_due = false;
		return;
	}
	if (c->snd_wnd) {
		len = tcp_min(tcp_window_usable(c), tcp_payload_ready(c));
		if (!len || tcp_emit_run(c, c->snd_nxt, len, TCP_PSH, false, now))
			return;
	} else if (tcp_ack_emit(c, c->snd_una - 1, now)) {
		return;
	}
	c->probe_due = false;
	c->stats.probes++;
}
