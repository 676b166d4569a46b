/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_rack.c - loss detection by time (RFC 8985 section 6).
 *
 * Whatever was sent well before something that has been delivered since is
 * lost. "Well before" is the reordering window: nothing while the path is not
 * known to reorder and three segments were SACKed or recovery is under way, else a
 * quarter of the smallest RTT, and more of it for each round in which the
 * client reported duplicates. Retransmissions are judged like anything else, so
 * that one that is lost again is noticed a round trip later.
 *
 * The smallest RTT is that of the last five minutes, renewed by the next
 * sample when it gets older.
 */
#include "tcpstack/tcp_priv.h"

#define MIN_RTT_AGE   286 /* life of the smallest RTT: five minutes, in 2^20 us */
#define DSACK_PERSIST 16  /* recoveries without a duplicate that end the wider window */

static uint16_t rtt_age(uint64_t now)
{
	return (uint16_t)(now >> 20);
}

void tcp_rack_min_rtt(struct tcp_conn *c, uint32_t us, uint64_t now)
{
	us = tcp_max(us, 1);
	if (c->min_rtt_us && us > c->min_rtt_us &&
	    (uint16_t)(rtt_age(now) - c->min_rtt_at) < MIN_RTT_AGE)
		return;
	if (us != c->min_rtt_us && (!c->stats.min_rtt_us || us < c->stats.min_rtt_us))
		c->stats.min_rtt_us = us; /* of all times */
	c->min_rtt_us = us;
	c->min_rtt_at = rtt_age(now);
}

/* RACK_sent_after() of section 6.2: when times are equal the order of sequence numbers counts. */
static bool sent_after(uint32_t t1, uint32_t end1, uint32_t t2, uint32_t end2)
{
	return t1 == t2 ? tcp_lt(end2, end1) : tcp_lt(t2, t1);
}

/* Section 6.2 step 2: it cannot be told which transmission the client has. */
static bool ambiguous(const struct tcp_conn *c, const struct tcp_txrec *r, uint32_t rtt,
		      const struct tcp_ack *a)
{
	if (!(r->flags & TCP_REC_RETX))
		return false;
	if (c->ts_ok && a->seg->has_ts && tcp_lt(a->seg->tsecr, tcp_tsval(c, a->now - rtt)))
		return true;
	return rtt < c->min_rtt_us;
}

/*
 * True when the delivery of r tells nothing that the next SACK would not: all is in order, and r
 * left before whatever can be SACKed behind it. So a connection without loss does not come here.
 */
static bool in_order(const struct tcp_conn *c, const struct tcp_txrec *r, uint32_t end,
		     const struct tcp_ack *a)
{
	if (c->marked || c->recovery != TCP_R_OPEN || (r->flags & TCP_REC_RETX) ||
	    tcp_lt(a->seg->ack, end))
		return false;
	return !c->rack_valid || sent_after(r->xmit_us, end, c->rack_us, c->rack_end);
}

void tcp_rack_delivered(struct tcp_conn *c, const struct tcp_txrec *r, uint32_t end,
			struct tcp_ack *a)
{
	uint32_t rtt = (uint32_t)a->now - r->xmit_us;

	if (in_order(c, r, end, a)) {
		c->rack_valid = c->fack_valid = false;
		return;
	}
	/* Step 3. */
	if (!c->fack_valid)
		c->rack_fack = c->snd_una;
	c->fack_valid = true;
	if (tcp_lt(c->rack_fack, end))
		c->rack_fack = end;
	else if (tcp_lt(end, c->rack_fack) && !(r->flags & TCP_REC_RETX))
		c->reordering = true;
	if (ambiguous(c, r, rtt, a))
		return;
	if (!a->racked || rtt < c->rack_rtt_us)
		c->rack_rtt_us = rtt;
	a->racked = true;
	if (c->rack_valid && !sent_after(r->xmit_us, end, c->rack_us, c->rack_end))
		return;
	c->rack_valid = true;
	c->rack_us = r->xmit_us;
	c->rack_end = end;
}

/* RACK_update_reo_wnd() of section 6.2 step 4, without the part that follows DSACKs. */
static uint32_t reo_window(const struct tcp_conn *c)
{
	if (!c->reordering) {
		if (c->recovery != TCP_R_OPEN || c->n_sacked >= TCP_DUP_THRESH ||
		    c->sacked > (TCP_DUP_THRESH - 1) * tcp_eff_mss(c))
			return 0;
	}
	return tcp_min(c->reo_mult * (c->min_rtt_us / 4), c->srtt_us);
}

void tcp_rack_dsack(struct tcp_conn *c)
{
	if (c->dsack_round_valid && !tcp_lt(c->snd_una, c->dsack_round))
		c->dsack_round_valid = false;
	if (c->dsack_round_valid)
		return;
	c->dsack_round = c->snd_nxt;
	c->dsack_round_valid = true;
	if (c->reo_mult < TCP_REO_MULT_MAX)
		c->reo_mult++;
	c->reo_persist = DSACK_PERSIST;
}

void tcp_rack_recovered(struct tcp_conn *c)
{
	if (c->reo_persist && --c->reo_persist == 0)
		c->reo_mult = 1;
}

void tcp_rack_detect(struct tcp_conn *c, uint64_t now)
{
	uint32_t wnd, wait = 0;
	struct tcp_txrec *r;

	c->reo_wait = false;
	if (!c->rack_valid || (c->recovery == TCP_R_OPEN && !tcp_n_sacked(c)))
		return; /* nothing was delivered out of order */
	wnd = reo_window(c);
	TCP_FOREACH_REC(r, c)
	{
		uint32_t sent = tcp_rec_last(c, r);
		int32_t left = (int32_t)(sent + c->rack_rtt_us + wnd - (uint32_t)now);

		if (r->flags & (TCP_REC_SACKED | TCP_REC_LOST))
			continue;
		if (!sent_after(c->rack_us, c->rack_end, sent, r->end))
			continue;
		if (left <= 0)
			tcp_rec_set(c, r, TCP_REC_LOST);
		else
			wait = tcp_max(wait, (uint32_t)left);
	}
	if (c->lost)
		tcp_rec_tidy(c);
	if (!wait)
		return;
	c->reo_wait = true;
	c->reo_us = (uint32_t)now + wait;
}
