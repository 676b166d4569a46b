/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cc.c - the part of congestion control that does not depend on the
 * controller: initial window (RFC 6928), slow start (RFC 5681 section 3.1),
 * restart after idling (section 4.1), and when the window may grow (RFC 7661).
 *
 * A window that is not used says nothing about the path. In congestion
 * avoidance it grows only while it is what keeps the sender back; in slow
 * start, where it doubles, also when more than half of it was in flight at some time in
 * this round trip.
 */
#include "tcpstack/tcp_priv.h"

const struct tcp_cc *const tcp_cc_table[TCP_CC_COUNT] = {
#define _(sym, ops, name) [TCP_CC_##sym] = &tcp_cc_##ops,
	TCP_FOREACH_CC(_)
#undef _
};

const char *tcp_cc_name(enum tcp_cc_kind k)
{
	static const char *const names[] = {
#define _(sym, ops, name) [TCP_CC_##sym] = name,
		TCP_FOREACH_CC(_)
#undef _
	};

	return (unsigned int)k < TCP_CC_COUNT ? names[k] : "invalid";
}

uint32_t tcp_cc_initial(const struct tcp_conn *c)
{
	uint32_t segs = c->cfg->init_cwnd_segs ? c->cfg->init_cwnd_segs : 1;
	uint32_t bound = tcp_max(2u * c->mss, segs * 1460u);

	return tcp_min(segs * c->mss, bound);
}

bool tcp_cc_may_grow(const struct tcp_conn *c)
{
	return c->cwnd_limited || (c->cwnd < c->ssthresh && c->used_max > c->cwnd / 2);
}

void tcp_cc_acked(struct tcp_conn *c, uint32_t acked, uint64_t now)
{
	if (c->modelled)
		return;
	if (c->cwnd < c->ssthresh) {
		uint32_t may = tcp_cc_of(c)->slow_start(c, acked);
		uint32_t step = tcp_min(may, c->ssthresh - c->cwnd);

		c->cwnd += tcp_hystart_growth(c, step);
		acked = step < may ? acked - step : 0;
	}
	if (acked)
		tcp_cc_of(c)->avoid(c, tcp_min(acked, c->cwnd), tcp_ms(now));
	c->cwnd = tcp_min(c->cwnd, TCP_CWND_MAX);
}

void tcp_cc_reduce(struct tcp_conn *c)
{
	tcp_stats_cwnd(c);
	c->stats.pre_cong_cwnd += c->cwnd;
	c->ssthresh = tcp_max(tcp_cc_of(c)->reduce(c), 2u * c->mss);
}

void tcp_cc_signal(struct tcp_conn *c)
{
	tcp_cc_reduce(c);
	if (c->modelled)
		tcp_cc_of(c)->path->signal(c);
	else
		c->cwnd = c->ssthresh;
	c->undo_ok = false;
}

void tcp_cc_use(struct tcp_conn *c, enum tcp_cc_kind k)
{
	c->cc = k;
	c->modelled = tcp_cc_table[k]->path != NULL;
}

void tcp_cc_select(struct tcp_conn *c)
{
	if (c->cc == c->cfg->cc)
		return;
	tcp_cc_of(c)->rest(c);
	tcp_cc_use(c, c->cfg->cc);
	c->w_max = c->cwnd_prior = 0;
	c->cwnd_unused = false;
	tcp_cc_of(c)->rest(c);
}

void tcp_cc_idle(struct tcp_conn *c)
{
	if (c->modelled)
		return; /* it restarts by pacing */
	c->cwnd = tcp_min(c->cwnd, tcp_cc_initial(c));
	tcp_cc_of(c)->rest(c);
}

void tcp_cc_undo(struct tcp_conn *c)
{
	c->cwnd = tcp_max(c->cwnd, c->undo_cwnd);
	c->ssthresh = tcp_max(c->ssthresh, c->undo_ssthresh);
	tcp_cc_of(c)->undo(c);
}
