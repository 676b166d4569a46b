/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_check.h - what must be true of a connection between any two calls.
 *
 * Used by the simulated link and the fuzzer. CHECK_FAIL(text) is called for
 * the first rule that is broken.
 */
#ifndef TESTS_TCP_CHECK_H
#define TESTS_TCP_CHECK_H

#include "tcpstack/tcp_priv.h"

/* Ascending, disjoint, not touching, within [lo, hi]. */
static inline bool tcp_check_set(const struct tcp_range *r, unsigned int n, uint32_t lo,
				 uint32_t hi)
{
	for (unsigned int i = 0; i < n; i++) {
		if (!tcp_lt(r[i].start, r[i].end) || tcp_lt(r[i].start, lo) || tcp_lt(hi, r[i].end))
			return false;
		if (i && !tcp_lt(r[i - 1].end, r[i].start))
			return false;
	}
	return true;
}

/* Intervals of the receiver: in any order, disjoint, beyond `from`. */
static inline bool tcp_check_ooo(const struct tcp_range *r, unsigned int n, uint32_t from)
{
	if (n > TCP_MAX_SACK)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		if (!tcp_lt(r[i].start, r[i].end) || !tcp_lt(from, r[i].start))
			return false;
		for (unsigned int k = 0; k < i; k++)
			if (tcp_leq(r[i].start, r[k].end) && tcp_leq(r[k].start, r[i].end))
				return false;
	}
	return true;
}

/* The records cover the flight without a gap, and the counts are theirs. */
static inline bool tcp_check_records(const struct tcp_conn *c)
{
	uint32_t at = c->snd_una, sacked = 0, lost = 0, n = 0, n_sacked = 0;
	const struct tcp_txrec *r, *last = NULL;

	TCP_FOREACH_REC(r, c)
	{
		bool both = (r->flags & TCP_REC_SACKED) && (r->flags & TCP_REC_LOST);

		if (r->start != at || !tcp_lt(r->start, r->end) || both)
			return false;
		at = r->end;
		n++;
		sacked += r->flags & TCP_REC_SACKED ? r->end - r->start : 0;
		n_sacked += r->flags & TCP_REC_SACKED ? 1 : 0;
		lost += r->flags & TCP_REC_LOST ? r->end - r->start : 0;
		last = r;
	}
	return at == c->snd_nxt && last == c->rec_tail && n == c->n_rec && sacked == c->sacked &&
	       lost == c->lost && n_sacked == c->n_sacked && !tcp_sack_reneged(c);
}

/* Returns the text of the first broken rule, NULL when all hold. */
static inline const char *tcp_check(const struct tcp_conn *c)
{
#define RULE(x)                    \
	do {                       \
		if (!(x))          \
			return #x; \
	} while (0)
	RULE(c->state < TCP_S_COUNT && c->state != TCP_S_LISTEN);
	if (c->state == TCP_S_CLOSED) {
		RULE(!c->listener && !c->rec && !c->n_rec);
		RULE(tcp_deadline(c, 0) == TCP_NEVER);
		return NULL;
	}
	RULE((c->timer == TCP_T_TIME_WAIT) == (c->state == TCP_S_TIME_WAIT));
	RULE((c->timer == TCP_T_SYN) == tcp_opening(c));
	RULE(c->timer != TCP_T_KEEPALIVE || (c->keepalive && !tcp_flight(c)));
	RULE(!c->listener || c->state == TCP_S_SYN_RCVD);
	if (tcp_opening(c)) {
		RULE(c->snd_nxt == c->snd_una + 1 && c->want_nxt == c->snd_nxt);
		RULE(tcp_leq(c->snd_nxt, c->snd_avail));
		RULE(c->rcv_placed == c->rcv_nxt && !c->n_ooo && !c->fin_known);
		return NULL;
	}
	/* Sender */
	RULE(tcp_leq(c->snd_una, c->snd_nxt));
	RULE(tcp_leq(c->snd_nxt, c->snd_avail + c->fin_sent));
	RULE(tcp_leq(c->snd_nxt, c->ready_nxt) && tcp_leq(c->ready_nxt, c->want_nxt));
	RULE(c->fin_sent || tcp_leq(c->want_nxt, c->snd_avail));
	RULE(c->fin_sent || tcp_check_set(c->ready, c->n_ready, c->ready_nxt + 1, c->want_nxt));
	RULE(c->n_ready <= TCP_READY_MAX && c->n_rx <= TCP_RX_MAX);
	RULE(tcp_leq(c->rx_start, c->rx_end) && c->rx_wanted == (c->rx_start != c->rx_end));
	RULE(tcp_check_set(c->rx, c->n_rx, c->rx_start, c->rx_end));
	RULE(tcp_check_records(c));
	RULE(c->marked || (!c->sacked && !c->lost && !c->n_sacked && !c->dup_acks));
	RULE(c->pm_low == (c->mss < c->mss_max));
	RULE(c->frto == TCP_FRTO_OFF || c->recovery == TCP_R_LOSS);
	RULE(c->recovery < TCP_R_COUNT);
	RULE(c->recovery == TCP_R_OPEN || tcp_lt(c->snd_una, c->recover));
	RULE(tcp_sack_pipe(c) <= tcp_flight(c));
	RULE(c->cwnd >= c->mss && c->cwnd <= TCP_CWND_MAX + (1u << 31));
	RULE(c->ssthresh >= 2u * c->mss);
	RULE(c->reo_mult >= 1 && c->reo_mult <= TCP_REO_MULT_MAX);
	/* Something in flight is always waited for, unless its payload is gone. */
	RULE(!tcp_flight(c) || c->failed || c->timer != TCP_T_NONE);
	/* Receiver */
	RULE(tcp_leq(c->rcv_acked, c->rcv_placed) && tcp_leq(c->rcv_placed, c->rcv_nxt));
	RULE(tcp_leq(c->rcv_nxt, c->rcv_room + 1));
	RULE(tcp_check_ooo(c->ooo, c->n_ooo, c->rcv_nxt));
	RULE(tcp_check_ooo(c->ooo_placed, c->n_ooo_placed, c->rcv_placed));
	RULE(!c->fin_rcvd || (c->n_ooo == 0 && c->rcv_nxt == c->fin_seq + 1));
#undef RULE
	return NULL;
}

#endif
