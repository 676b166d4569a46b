/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_estats.c - the statistics of a connection by their names in RFC 4898
 * (tcp_estats.h).
 */
#include "tcpstack/tcp_estats.h"
#include "tcpstack/tcp_priv.h"

/* Time spent limited by l, what has not ended yet included. */
static uint64_t limit_us(const struct tcp_conn *c, enum tcp_limit l, uint64_t now)
{
	uint32_t ms = c->stats.limit_ms[l];

	if (c->limit == l)
		ms += tcp_ms(now) - c->stats.limit_since_ms;
	return ms * 1000ull;
}

static bool in_ss(const struct tcp_conn *c)
{
	return c->cwnd < c->ssthresh;
}

/* Bytes accepted beyond a hole. */
static uint32_t ooo_bytes(const struct tcp_conn *c)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < c->n_ooo; i++)
		n += c->ooo[i].end - c->ooo[i].start;
	return n;
}

void tcp_stats_cwnd(struct tcp_conn *c)
{
	uint32_t *max = in_ss(c) ? &c->stats.max_ss_cwnd : &c->stats.max_ca_cwnd;

	*max = tcp_max(*max, c->cwnd);
}

void tcp_stats_rtt(struct tcp_conn *c, uint32_t us)
{
	/* The smoothed one lies below the largest: most samples tell nothing new. */
	if (us > c->srtt_us)
		c->stats.max_rtt_us = tcp_max(c->stats.max_rtt_us, us);
}

void tcp_estats_get(const struct tcp_conn *c, uint64_t now, struct tcp_estats *e)
{
#define _(group, name, value) e->v[TCP_ES_##name] = (value);
	TCP_FOREACH_ESTAT(_)
#undef _
}

const char *tcp_estat_name(unsigned int i)
{
	static const char *const names[] = {
#define _(group, name, value) #name,
		TCP_FOREACH_ESTAT(_)
#undef _
	};

	return i < TCP_ES_COUNT ? names[i] : NULL;
}

const char *tcp_estat_group(unsigned int i)
{
	static const char *const groups[] = {
#define _(group, name, value) #group,
		TCP_FOREACH_ESTAT(_)
#undef _
	};

	return i < TCP_ES_COUNT ? groups[i] : NULL;
}
