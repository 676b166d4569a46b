/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_output.c - what to put on the wire now (RFC 9293 sections 3.8.6.2.1 and
 * 3.10.2, RFC 6675 section 5).
 *
 * Order: a due RST; a due ACK that has SACK blocks to carry, since payload
 * runs carry none; retransmissions; new payload with the FIN; probes; a due
 * ACK that no payload took along. While a retransmission waits, for its
 * payload, for cwnd or for its turn (tcp_pacing.c), nothing new overtakes it.
 *
 * New payload leaves in whole segments, or when it is all there is, or when it
 * fills at least half of the largest window the client ever offered; see
 * tcp_nagle.c for what else a short segment may wait for.
 */
#include <errno.h>

#include "tcpstack/tcp_priv.h"

/* Bytes congestion control lets out now. */
static uint32_t cwnd_room(const struct tcp_conn *c)
{
	uint32_t pipe = tcp_sack_pipe(c);

	return c->cwnd > pipe ? c->cwnd - pipe : 0;
}

/* len cut to a burst, and to whole segments if it was cut. */
static uint32_t burst(const struct tcp_conn *c, uint32_t len)
{
	uint32_t mss = tcp_eff_mss(c), max = c->urg_out ? mss : c->cfg->max_burst;

	max = tcp_min(max, tcp_pacing_quantum(c));
	if (len <= max)
		return len;
	return max < mss ? mss : max - max % mss;
}

/* Follows the emission of new payload [seq, seq + len). */
static void sent_new(struct tcp_conn *c, uint32_t seq, uint32_t len, bool fin, uint64_t now)
{
	if (!tcp_flight(c))
		c->alive_known = false; /* the timer begins now */
	tcp_snd_to(c, seq + len + fin);
	c->used_max = tcp_max(c->used_max, tcp_flight(c));
	c->sent_ms = tcp_ms(now);
	if (c->recovery == TCP_R_RECOVERY)
		c->prr_out += len;
	tcp_nagle_sent(c, seq, len);
	tcp_rec_sent(c, seq, seq + len + fin, now);
	tcp_payload_trim(c);
	tcp_pmtu_sent(c, seq, len);
	if (fin)
		tcp_fin_out(c);
	tcp_timer_grown(c, now);
}

int tcp_emit_run(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags, bool retx,
		 uint64_t now)
{
	struct tcp_emit e = {.seq = seq, .len = len, .flags = TCP_ACK | flags, .retx = retx};
	bool fin = flags & TCP_FIN;
	int err;

	if (!retx && !tcp_rec_room(c, now))
		return ENOBUFS;
	if (c->ecn_echo)
		e.flags |= TCP_ECE;
	e.ack = c->rcv_placed;
	e.optlen = tcp_options_build(c, false, now, e.opt);
	e.mss = c->mss - e.optlen;
	e.wnd = tcp_window_field(c);
	if (c->urg_out)
		tcp_urgent_mark(c, &e);
	e.df_off = c->df_off;
	tcp_ecn_mark(c, &e);
	err = tcp_put(c, &e);
	if (err == ENODATA)
		tcp_payload_lost(c, retx);
	if (err)
		return err;
	tcp_ack_note(c, false);
	tcp_ecn_sent(c, &e);
	tcp_pacing_sent(c, len, now);
	if (retx)
		tcp_recovery_retx(c, seq, seq + len + fin, now);
	else
		sent_new(c, seq, len, fin, now);
	return 0;
}

/*
 * The client's window allows one segment at a time of what lies beyond it, the oldest; a closed
 * one nothing but what a timeout asks for. The client would take a part of more, and the rest
 * would count as sent.
 */
static uint32_t cut_to_window(const struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	if (!tcp_lt(c->snd_una + c->snd_wnd, seq + len))
		return len;
	if (seq != c->snd_una)
		return 0;
	if (c->snd_wnd)
		return tcp_min(len, tcp_min(c->snd_wnd, tcp_eff_mss(c)));
	return c->recovery == TCP_R_LOSS && c->cwnd <= c->mss ? tcp_min(len, tcp_eff_mss(c)) : 0;
}

/* Emits from a lost run what cwnd, window and payload allow. Returns false: nothing. */
static bool retransmit_run(struct tcp_conn *c, const struct tcp_range *hole, uint64_t now)
{
	uint32_t mss = tcp_eff_mss(c), room = cwnd_room(c), end = tcp_data_nxt(c);
	uint32_t len = hole->end - hole->start, ready;
	bool fin = c->fin_sent && hole->end == c->snd_nxt;

	len -= fin;
	if (room < tcp_min(mss, len))
		return false;
	if (len > tcp_max(room, mss))
		len = tcp_max(room, mss) / mss * mss;
	if (len) {
		len = cut_to_window(c, hole->start, burst(c, len));
		if (!len)
			return false;
		ready = tcp_payload_retx(c, hole->start, len);
		if (!ready)
			return false;
		if (ready < len)
			len = ready / mss * mss;
	}
	fin = fin && hole->start + len == end;
	if (tcp_emit_run(c, hole->start, len, fin ? TCP_FIN : 0, true, now))
		return false;
	tcp_payload_used(c, hole->start, len);
	return true;
}

/* Returns true when nothing that is deemed lost is left to be retransmitted. */
static bool retransmit(struct tcp_conn *c, uint64_t now)
{
	const struct tcp_txrec *r;

	c->retx_wait = false;
	if (c->frto == TCP_FRTO_SECOND)
		return true; /* RFC 5682 section 3.1 step 2b */
	while ((r = tcp_rec_lost(c)) != NULL) {
		struct tcp_range run = {r->start, r->end};

		if (tcp_pacing_holds(c, now))
			return false;
		if (!retransmit_run(c, &run, now)) {
			c->cwnd_limited = true;
			return false;
		}
		if (run.start == c->snd_una) {
			tcp_alive_keep(c, now);
			tcp_timer_restart(c, now);
		}
	}
	return true;
}

/* Bytes of new payload for one run, 0: none may leave now. */
static uint32_t new_len(struct tcp_conn *c)
{
	uint32_t mss = tcp_eff_mss(c), left = c->snd_avail - c->snd_nxt;
	uint32_t wnd = tcp_window_usable(c), cw = cwnd_room(c), ready = tcp_payload_ready(c);
	uint32_t may = tcp_min(wnd, cw);

	c->cwnd_limited = cw < tcp_min(left, wnd) && cw < mss;
	if (left <= may && ready >= left && !tcp_nagle_holds(c, left))
		return burst(c, left);
	may = tcp_min(may, ready);
	if (may >= mss)
		return burst(c, may / mss * mss);
	if (wnd && wnd <= may && wnd >= c->max_wnd / 2 && !tcp_nagle_holds(c, wnd))
		return wnd;
	return 0;
}

static void send_new(struct tcp_conn *c, uint64_t now)
{
	/*
	 * A FIN in answer to the client's waits until that one is placed, so that
	 * it acknowledges it: LAST-ACK can end without another ACK.
	 */
	bool fin = c->fin_wanted && c->fin_rcvd == c->fin_placed;
	uint32_t len;
	uint8_t flags;

	if (c->fin_sent || c->quiesced)
		return;
	if (!tcp_flight(c) && (tcp_ms(now) - c->sent_ms) > tcp_rto(c) / 1000)
		tcp_cc_idle(c);
	if (c->modelled && !tcp_flight(c) && c->snd_nxt != c->snd_avail)
		tcp_cc_of(c)->path->wake(c, now);
	if (!tcp_pacing_early(c, now))
		tcp_plpmtu_output(c, now);
	while (c->snd_nxt != c->snd_avail) {
		len = new_len(c);
		if (!len || tcp_pacing_holds(c, now))
			return;
		flags = 0;
		if (c->snd_nxt + len == c->snd_avail)
			flags = fin ? TCP_PSH | TCP_FIN : TCP_PSH;
		if (tcp_emit_run(c, c->snd_nxt, len, flags, false, now) || c->fin_sent)
			return;
	}
	if (fin)
		tcp_emit_run(c, c->snd_nxt, 0, TCP_FIN, false, now);
	else if (tcp_flight(c) < c->cwnd)
		c->cwnd_limited = false;
}

void tcp_output(struct tcp_conn *c, uint64_t now)
{
	tcp_trace_now(c, now);
	if (c->rst_due)
		tcp_rst_out(c, now);
	if (c->state == TCP_S_CLOSED)
		return;
	if (tcp_opening(c)) {
		tcp_open_output(c, now);
		return;
	}
	c->pace_wait = false;
	if (c->keepalive)
		tcp_keep_pause(c);
	if (tcp_ack_has_sack(c))
		tcp_ack_output(c, now);
	if (tcp_may_send(c) && !c->failed) {
		bool clear = retransmit(c, now);

		tcp_payload_want(c);
		if (clear && !c->failed) {
			send_new(c, now);
			tcp_tlp_output(c, now);
			tcp_persist_output(c, now);
		}
		tcp_timer_missing(c, now);
	}
	tcp_ack_output(c, now);
	if (c->keepalive)
		tcp_keep_output(c, now);
	tcp_limit_note(c, now);
	tcp_close_check(c);
}
