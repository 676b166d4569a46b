/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_listen.c - arrival of a segment in LISTEN (RFC 9293 section 3.10.7.2),
 * the backlog, and when to answer with a cookie instead (RFC 4987 section 3.6).
 */
#include "tcpstack/tcp_priv.h"

/* Room for one more half-open connection, or NULL. */
static struct tcp_conn *take(struct tcp_listener *l, const struct net_flow *f)
{
	if (l->cookies == TCP_COOKIE_ALWAYS || l->n_half >= l->backlog)
		return NULL;
	return l->lop->take(l, f);
}

/* The sequence number to begin with; beyond those of an earlier connection of the flow. */
static uint32_t choose_iss(const struct tcp_listener *l, const struct net_flow *f,
			   const uint32_t *after, uint64_t now)
{
	uint32_t iss = tcp_isn(l->cfg->keys, f, now);

	if (after && tcp_leq(iss, *after + UINT16_MAX))
		iss = *after + UINT16_MAX + 1;
	return iss;
}

static enum tcp_listen_verdict on_syn(struct tcp_listener *l, const struct net_flow *f,
				      const struct tcp_seg *seg, const uint32_t *after,
				      uint64_t now, struct tcp_listen_res *res)
{
	struct tcp_conn *c = take(l, f);

	if (!c && l->cookies != TCP_COOKIE_NEVER) {
		tcp_cookie_reply(l, f, seg, now, &res->reply);
		res->has_reply = true;
		return TCP_L_COOKIE;
	}
	if (!c)
		return l->n_half >= l->backlog ? TCP_L_FULL : TCP_L_NO_MEMORY;
	tcp_init(c, l->cfg);
	tcp_set_state(c, TCP_S_SYN_RCVD);
	c->listener = l;
	l->n_half++;
	tcp_open_begin(c, &l->offer, f, choose_iss(l, f, after, now), now);
	tcp_open_learn(c, seg, now);
	tcp_count(c, TCP_N_IN, 1);
	res->conn = c;
	return TCP_L_HALF_OPEN;
}

static enum tcp_listen_verdict on_ack(struct tcp_listener *l, const struct net_flow *f,
				      const struct tcp_seg *seg, uint64_t now,
				      struct tcp_listen_res *res)
{
	struct tcp_cookie k;
	struct tcp_conn *c;

	if (seg->flags & TCP_SYN || !tcp_cookie_expected(l, now)) {
		res->has_reply = tcp_reset_for(seg, &res->reply);
		return TCP_L_NO_CONN;
	}
	if (!tcp_cookie_check(l, f, seg, now, &k)) {
		res->has_reply = tcp_reset_for(seg, &res->reply);
		return TCP_L_BAD_COOKIE;
	}
	c = l->lop->take(l, f);
	if (!c)
		return TCP_L_NO_MEMORY;
	tcp_init(c, l->cfg);
	tcp_cookie_open(c, l, f, seg, &k, now);
	tcp_input(c, seg, now, &res->rx);
	res->conn = c;
	return TCP_L_ESTABLISHED;
}

void tcp_listen_input(struct tcp_listener *l, const struct net_flow *f, const struct tcp_seg *seg,
		      const uint32_t *after, uint64_t now, struct tcp_listen_res *res)
{
	*res = (struct tcp_listen_res){.conn = NULL};
	if (seg->flags & TCP_RST)
		res->verdict = TCP_L_RST;
	else if (seg->flags & TCP_ACK)
		res->verdict = on_ack(l, f, seg, now, res);
	else if (seg->flags & TCP_SYN)
		res->verdict = on_syn(l, f, seg, after, now, res);
	else
		res->verdict = TCP_L_NO_SYN;
	l->verdict[res->verdict]++;
}

const char *tcp_listen_name(enum tcp_listen_verdict v)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_L_##sym] = name,
		TCP_FOREACH_LISTEN(_)
#undef _
	};

	return (unsigned int)v < TCP_L_COUNT ? names[v] : "invalid";
}
