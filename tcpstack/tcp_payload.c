/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_payload.c - which payload is wanted, and which is ready to be emitted.
 *
 * The server's memory is the send buffer, so before a byte can be emitted the
 * owner must fetch it. New payload is wanted up to the end of the usable
 * window plus a bounded look-ahead, in chunks; several may be on their way and
 * arrive in any order. A retransmission wants one range at a time, which
 * overtakes the look-ahead.
 *
 * What is ready without a gap ends at ready_nxt; what is ready beyond gaps is remembered in
 * a few ranges. When more would be needed the highest is forgotten and asked
 * for again later: the owner then answers "here already". Nothing depends on
 * the number of ranges but efficiency.
 */
#include <errno.h>

#include "tcpstack/tcp_priv.h"

#define LOOKAHEAD_MIN 16384u /* look-ahead with a closed or very small window */

uint32_t tcp_payload_ready(const struct tcp_conn *c)
{
	return c->ready_nxt - c->snd_nxt;
}

/* Nothing is wanted for a retransmission any more. */
static void retx_clear(struct tcp_conn *c)
{
	c->rx_start = c->rx_end;
	c->n_rx = 0;
	c->rx_wanted = false;
}

void tcp_payload_fail(struct tcp_conn *c)
{
	if (c->failed)
		return;
	c->failed = true;
	c->ready_nxt = c->snd_nxt;
	c->n_ready = 0;
	retx_clear(c);
	if (c->timer != TCP_T_TIME_WAIT)
		tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	tcp_tell(c, TCP_E_PAYLOAD);
}

/* What is ready without a gap ends at `end`, or behind what lies beyond and is reached so. */
static void ready_reach(struct tcp_conn *c, uint32_t end)
{
	if (tcp_lt(c->ready_nxt, end))
		c->ready_nxt = end;
	while (c->n_ready && tcp_leq(c->ready[0].start, c->ready_nxt)) {
		if (tcp_lt(c->ready_nxt, c->ready[0].end))
			c->ready_nxt = c->ready[0].end;
		tcp_range_drop(c->ready, &c->n_ready, 0);
	}
}

/*
 * Remembers that [start, end) is ready. When there are too many ranges the
 * highest is forgotten, with all that was wanted behind it.
 */
static void ready_add(struct tcp_conn *c, uint32_t start, uint32_t end)
{
	if (tcp_leq(start, c->ready_nxt)) {
		ready_reach(c, end);
		return;
	}
	while (!tcp_range_add(c->ready, &c->n_ready, TCP_READY_MAX, start, end)) {
		if (!tcp_lt(start, c->ready[c->n_ready - 1].start)) {
			c->want_nxt = start;
			return;
		}
		c->n_ready--;
		c->want_nxt = c->ready[c->n_ready].start;
	}
}

/* Asks the owner for payload. 0 or errno as it says. */
static int ask(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	int err = c->cfg->ops->want(c, seq, len, retx);

	tcp_trace(c, TCP_TR_WANT, retx, (uint16_t)err, seq, len);
	return err;
}

/* Asks for new payload [want_nxt, want_nxt + len). Returns false when to stop asking for now. */
static bool want_new(struct tcp_conn *c, uint32_t len)
{
	uint32_t start = c->want_nxt;
	int err = ask(c, start, len, false);

	if (!err || err == EINPROGRESS) {
		c->want_nxt = start + len;
		if (!err)
			ready_add(c, start, start + len);
		return c->want_nxt == start + len;
	}
	if (err != ENOBUFS)
		tcp_payload_fail(c);
	return false;
}

void tcp_payload_want(struct tcp_conn *c)
{
	uint32_t win = tcp_min(c->cwnd, c->snd_wnd);
	uint32_t ahead = tcp_min(c->cfg->lookahead, tcp_max(win, LOOKAHEAD_MIN));
	uint32_t now_end = c->snd_una + win, target;

	if (c->failed || c->quiesced || c->fin_sent)
		return;
	if (tcp_lt(now_end, c->snd_nxt))
		now_end = c->snd_nxt;
	target = now_end + tcp_max(ahead, c->mss);
	if (tcp_lt(c->snd_avail, target))
		target = c->snd_avail;
	while (tcp_lt(c->want_nxt, target)) {
		uint32_t len = tcp_min(target - c->want_nxt, c->cfg->max_want);

		/* What may be sent now is wanted already: let small steps add up. */
		if (c->want_nxt + len != c->snd_avail && len < ahead / 2 &&
		    len < c->cfg->max_want && tcp_lt(now_end, c->want_nxt))
			return;
		if (c->n_ready == TCP_READY_MAX && c->ready[c->n_ready - 1].end != c->want_nxt)
			return;
		if (!want_new(c, len))
			return;
	}
}

/* Bytes of the retransmission's payload that are ready from seq on. */
static uint32_t retx_ready(const struct tcp_conn *c, uint32_t seq)
{
	for (unsigned int i = 0; i < c->n_rx; i++) {
		if (tcp_leq(c->rx[i].start, seq) && tcp_lt(seq, c->rx[i].end))
			return c->rx[i].end - seq;
	}
	return 0;
}

/* Remembers that [start, end) is ready; when there are too many ranges, wants less. */
static void retx_add(struct tcp_conn *c, uint32_t start, uint32_t end)
{
	while (!tcp_range_add(c->rx, &c->n_rx, TCP_RX_MAX, start, end)) {
		if (!tcp_lt(start, c->rx[c->n_rx - 1].start)) {
			c->rx_end = start;
			return;
		}
		c->n_rx--;
		c->rx_end = c->rx[c->n_rx].start;
	}
}

uint32_t tcp_payload_retx(struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	uint32_t need = tcp_min(len, tcp_eff_mss(c)), ready;
	int err;

	if (c->failed || !len)
		return 0;
	if (!c->rx_wanted || !tcp_leq(c->rx_start, seq) || !tcp_lt(seq, c->rx_end) ||
	    c->rx_end - seq < need) {
		c->rx_start = seq;
		c->rx_end = seq + tcp_min(len, c->cfg->max_want);
		c->n_rx = 0;
		c->rx_wanted = true;
		err = ask(c, seq, c->rx_end - seq, true);
		if (!err)
			retx_add(c, seq, c->rx_end);
		else if (err != EINPROGRESS)
			retx_clear(c);
		if (err && err != EINPROGRESS && err != ENOBUFS)
			tcp_payload_fail(c);
	}
	ready = tcp_min(retx_ready(c, seq), len);
	c->retx_wait = ready < need;
	return c->retx_wait ? 0 : ready;
}

void tcp_payload_used(struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	if (!c->rx_wanted || !tcp_leq(c->rx_start, seq + len) || !tcp_leq(seq + len, c->rx_end))
		return;
	c->rx_start = seq + len;
	tcp_range_trim(c->rx, &c->n_rx, c->rx_start);
	if (c->rx_start == c->rx_end)
		retx_clear(c);
}

void tcp_payload_lost(struct tcp_conn *c, bool retx)
{
	if (retx) {
		retx_clear(c);
	} else {
		c->n_ready = 0;
		c->ready_nxt = c->want_nxt = c->snd_nxt;
	}
}

void tcp_payload_trim(struct tcp_conn *c)
{
	ready_reach(c, c->snd_nxt);
	if (tcp_lt(c->want_nxt, c->snd_nxt))
		c->want_nxt = c->snd_nxt;
	if (!c->rx_wanted || !tcp_lt(c->rx_start, c->snd_una))
		return;
	if (tcp_leq(c->rx_end, c->snd_una))
		retx_clear(c);
	else
		tcp_payload_used(c, c->snd_una, 0);
}

/* Cuts [*start, *end) to [lo, hi). Returns false when nothing is left. */
static bool clip(uint32_t *start, uint32_t *end, uint32_t lo, uint32_t hi)
{
	if (tcp_lt(*start, lo))
		*start = lo;
	if (tcp_lt(hi, *end))
		*end = hi;
	return tcp_lt(*start, *end);
}

void tcp_ready(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now)
{
	uint32_t start = seq, end = seq + len;

	if (c->state == TCP_S_CLOSED || c->failed)
		return;
	tcp_trace_now(c, now);
	tcp_trace(c, TCP_TR_READY, 0, 0, seq, len);
	if (c->modelled)
		tcp_rate_dry(c, now);
	if (clip(&start, &end, c->snd_nxt, c->want_nxt))
		ready_add(c, start, end);
	start = seq;
	end = seq + len;
	if (c->rx_wanted && clip(&start, &end, c->rx_start, c->rx_end))
		retx_add(c, start, end);
}

void tcp_failed(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now)
{
	uint32_t start = seq, end = seq + len;

	if (c->state == TCP_S_CLOSED)
		return;
	tcp_trace_now(c, now);
	tcp_trace(c, TCP_TR_FAILED, 0, 0, seq, len);
	if (clip(&start, &end, c->snd_nxt, c->want_nxt)) {
		tcp_payload_fail(c);
		return;
	}
	start = seq;
	end = seq + len;
	if (c->rx_wanted && clip(&start, &end, c->rx_start, c->rx_end))
		tcp_payload_fail(c);
}
