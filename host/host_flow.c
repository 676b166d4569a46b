/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_flow.c - the table of TCP flows seen natively: bounded, hashed with a random seed, the
 * longest unused native flow gives way.
 */
#include "host/host_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tcpstack/net_wire.h"

#define FLOW_IDLE   600.0 /* seconds after which a native flow is forgotten */
#define FLOW_OVER   5.0	  /* the same after a reset or the client's FIN */
#define FLOW_LINGER 65.0  /* a mapped flow that ended both ways: TIME-WAIT (RFC 9293 3.6.1) */
#define FLOW_RESET  1.0	  /* a mapped flow after a RST */
#define FLOW_STALE  180.0 /* a mapped flow without connection that stays silent */

int host_flows_open(struct host_flows *t, uint32_t max)
{
	uint32_t buckets = 1;

	memset(t, 0, sizeof(*t));
	while (buckets < max)
		buckets <<= 1;
	t->pool = calloc(max, sizeof(*t->pool));
	t->bucket = calloc(buckets, sizeof(*t->bucket));
	if (!t->pool || !t->bucket || getrandom(t->seed, sizeof(t->seed), 0) < 0) {
		host_flows_close(t);
		return ENOMEM;
	}
	t->mask = buckets - 1;
	t->max = max;
	TAILQ_INIT(&t->lru);
	return 0;
}

void host_flows_close(struct host_flows *t)
{
	free(t->pool);
	free(t->bucket);
	memset(t, 0, sizeof(*t));
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 r = (unsigned __int128)a * b;

	return (uint64_t)r ^ (uint64_t)(r >> 64);
}

static uint32_t flow_hash(const struct host_flows *t, const struct net_flow *key)
{
	uint64_t w[5] = {0}, v = t->seed[0];

	memcpy(w, key, sizeof(*key));
	for (int i = 0; i < 5; i++)
		v = mix(v ^ w[i], t->seed[1] | 1) + (uint64_t)i;
	return (uint32_t)(v ^ v >> 32) & t->mask;
}

struct host_flow *host_flow_find(struct host_flows *t, const struct net_flow *key)
{
	struct host_flow *f = t->bucket[flow_hash(t, key)];

	while (f && memcmp(&f->key, key, sizeof(*key)) != 0)
		f = f->chain;
	return f;
}

void host_flow_drop(struct host_flows *t, struct host_flow *f)
{
	struct host_flow **pp = &t->bucket[flow_hash(t, &f->key)];

	while (*pp != f)
		pp = &(*pp)->chain;
	*pp = f->chain;
	TAILQ_REMOVE(&t->lru, f, lru);
	f->chain = t->free;
	t->free = f;
	t->n--;
}

/* An unused entry, by eviction if need be. */
static struct host_flow *flow_take(struct host_flows *t, bool *evicted)
{
	struct host_flow *f;

	if (!t->free && t->fresh < t->max)
		return &t->pool[t->fresh++];
	if (!t->free) {
		TAILQ_FOREACH (f, &t->lru, lru)
			if (f->state == HOST_F_NATIVE && !f->conn)
				break;
		if (!f)
			return NULL;
		host_flow_drop(t, f);
		*evicted = true;
	}
	f = t->free;
	t->free = f->chain;
	return f;
}

struct host_flow *host_flow_get(struct host_flows *t, const struct net_flow *key, double now,
				bool *evicted)
{
	struct host_flow *f = host_flow_find(t, key);
	uint32_t b;

	if (f) {
		host_flow_touch(t, f, now);
		return f;
	}
	f = flow_take(t, evicted);
	if (!f)
		return NULL;
	memset(f, 0, sizeof(*f));
	f->key = *key;
	f->state = HOST_F_NATIVE;
	f->last = now;
	b = flow_hash(t, key);
	f->chain = t->bucket[b];
	t->bucket[b] = f;
	TAILQ_INSERT_TAIL(&t->lru, f, lru);
	t->n++;
	return f;
}

void host_flow_touch(struct host_flows *t, struct host_flow *f, double now)
{
	f->last = now;
	if (TAILQ_NEXT(f, lru)) {
		TAILQ_REMOVE(&t->lru, f, lru);
		TAILQ_INSERT_TAIL(&t->lru, f, lru);
	}
}

void host_flow_set_state(struct host_flow *f, enum host_fstate s)
{
	f->state = s;
}

const char *host_fstate_name(enum host_fstate s)
{
	static const char *const names[] = {
#define _(sym, name) [HOST_F_##sym] = name,
		HOST_FOREACH_FSTATE(_)
#undef _
	};

	return names[s];
}

/* Options that bind a connection to its end points: MD5 (RFC 2385), AO (RFC 5925), MPTCP. */
static bool flow_exotic(const uint8_t *o, uint32_t n)
{
	while (n && *o != NET_OPT_EOL) {
		uint32_t len = *o == NET_OPT_NOP ? 1 : n > 1 ? o[1] : 0;

		if (*o == 19 || *o == 29 || *o == 30)
			return true;
		if (!len || len > n)
			break;
		o += len;
		n -= len;
	}
	return false;
}

/*
 * True for a SYN-ACK by which a server that speaks Accurate ECN agrees to it (RFC 9768 table 2): it
 * says how the SYN's IP header arrived. An end that knows classic ECN answers with ECE alone; one
 * that sends all flags back agrees to nothing.
 */
static bool agrees_accecn(const struct tcp_seg *s)
{
	const unsigned int code = s->ae << 2 | !!(s->flags & TCP_CWR) << 1 | !!(s->flags & TCP_ECE);

	return (s->flags & TCP_ACK) && (code == 2 || code == 3 || code == 4 || code == 6);
}

void host_flow_client(struct host_flow *f, const struct tcp_seg *s, const uint8_t *opts,
		      uint32_t optlen)
{
	uint32_t end = s->seq + s->len + !!(s->flags & TCP_FIN) + !!(s->flags & TCP_SYN);

	if (s->flags & TCP_SYN) {
		f->hi_ok = f->ts_ok = f->fin = f->urg = f->reset = f->exotic = false;
		f->accecn = agrees_accecn(s);
	}
	if (!f->hi_ok || host_seq_lt(f->hi_end, end))
		f->hi_end = end;
	f->hi_ok = true;
	if (s->has_ts && (!f->ts_ok || host_seq_lt(f->ts_recent, s->tsval))) {
		f->ts_recent = s->tsval;
		f->ts_ok = true;
	}
	f->fin |= !!(s->flags & TCP_FIN);
	f->urg |= !!(s->flags & TCP_URG);
	f->reset |= !!(s->flags & TCP_RST);
	f->exotic |= flow_exotic(opts, optlen);
}

/*
 * The AE bit of a segment without SYN is part of the counter of Accurate ECN, and reserved
 * otherwise; what the kernel itself sends is proof, whatever became of the SYNs.
 */
void host_flow_kernel(struct host_flow *f, const struct tcp_seg *s)
{
	if (s->flags & TCP_RST)
		f->reset = true;
	else if (s->flags & TCP_SYN)
		f->accecn |= agrees_accecn(s);
	else
		f->accecn |= s->ae;
	if (s->has_ts) {
		f->ts_sent = s->tsval;
		f->ts_sent_ok = true;
	}
}

/* True when nothing more is to be expected of the flow. */
static bool flow_done(const struct host_flow *f, double now)
{
	if (f->conn)
		return false;
	if (f->state == HOST_F_MAPPED)
		return (f->end.reset && now > f->last + FLOW_RESET) ||
		       (f->end.at > 0 && now > f->end.at + FLOW_LINGER) ||
		       now > f->last + FLOW_STALE;
	return now > f->last + (f->fin || f->reset ? FLOW_OVER : FLOW_IDLE);
}

void host_flows_age(struct host_flows *t, double now)
{
	struct host_flow *f, *next;

	for (f = TAILQ_FIRST(&t->lru); f; f = next) {
		next = TAILQ_NEXT(f, lru);
		if (flow_done(f, now))
			host_flow_drop(t, f);
	}
}

void host_flows_forget_worker(struct host_flows *t, const struct host_worker *w)
{
	struct host_flow *f;

	TAILQ_FOREACH (f, &t->lru, lru)
		if (f->worker == w)
			f->worker = NULL;
}

static void flow_end_check(struct host_flow *f, double now)
{
	const struct host_flow_end *e = &f->end;

	if (!e->at && e->out_acked && e->in_seen && e->in_acked)
		f->end.at = now;
}

void host_flow_end_out(struct host_flow *f, const struct tcp_seg *s, double now)
{
	struct host_flow_end *e = &f->end;

	if (s->flags & TCP_RST)
		e->reset = true;
	if (s->flags & TCP_FIN) {
		e->out_seen = true;
		e->out_fin = s->seq + s->len + 1;
	}
	if (e->in_seen && (s->flags & TCP_ACK) && host_seq_le(e->in_fin, s->ack))
		e->in_acked = true;
	flow_end_check(f, now);
}

void host_flow_end_in(struct host_flow *f, const struct tcp_seg *s, double now)
{
	struct host_flow_end *e = &f->end;

	if (s->flags & TCP_RST)
		e->reset = true;
	if ((s->flags & TCP_FIN) && !e->in_seen) {
		e->in_seen = true;
		e->in_fin = s->seq + s->len + 1;
	}
	if ((s->flags & TCP_ACK) && e->out_seen && host_seq_le(e->out_fin, s->ack))
		e->out_acked = true;
	flow_end_check(f, now);
}
