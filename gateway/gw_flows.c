/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_flows.c - the native TCP connections that a worker sees pass, for `conn list`: who, how much,
 * for how long, and why they are not accelerated. Nothing depends on this table: it is
 * bounded, and under pressure the flow that was quiet longest among a few is forgotten.
 */
#include <errno.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <stdio.h>
#include <string.h>

#include "gateway/gw_policy.h"
#include "tcpstack/net_wire.h"

#define ENTRIES	    16384
#define SCAN	    256	    /* entries aged in one pass */
#define SYN_MS	    30000   /* a connection that did not come about */
#define IDLE_MS	    7200000 /* an established one without a frame */
#define CLOSED_MS   500	    /* both ends are done: time for the last ACK */
#define HALF_MS	    30000   /* one end is done; a frame lists it again */
#define EVICT_TRIES 16

/** What has been seen of a connection. */
enum flow_state {
	FLOW_FREE,
	FLOW_OPENING, /* a SYN */
	FLOW_OPEN,    /* a segment without SYN */
	FLOW_CLOSING, /* a FIN from one end */
	FLOW_CLOSED,  /* a FIN from both, or a RST */
};

static const char *const state_names[] = {
	[FLOW_FREE] = "free",	    [FLOW_OPENING] = "opening", [FLOW_OPEN] = "open",
	[FLOW_CLOSING] = "closing", [FLOW_CLOSED] = "closed",
};

/** A native connection. */
struct flow {
	struct net_flow key; /* as the server sees it */
	uint8_t state;	     /* enum flow_state */
	uint8_t reason;	     /* enum ib_reason: why it is native */
	uint8_t dirs;	     /* frames seen, 1: from the client, 2: from the server */
	uint8_t fins;	     /* 1: from the client, 2: from the server */
	uint32_t host;	     /* server id */
	uint64_t first_ms;   /* first frame */
	uint64_t last_ms;    /* last frame */
	uint64_t tx_bytes;   /* TCP payload towards the client */
	uint64_t rx_bytes;   /* TCP payload from the client */
};

struct gw_flows {
	struct rte_hash *hash; /* net_flow -> position in e[] */
	struct flow *e;	       /* ENTRIES and spare */
	uint32_t scan;	       /* where ageing goes on */
};

/* The one place where a flow changes its state. */
static void set_state(struct flow *f, enum flow_state s)
{
	f->state = (uint8_t)s;
}

static void forget(struct gw_flows *t, struct flow *f)
{
	set_state(f, FLOW_FREE);
	rte_hash_del_key(t->hash, &f->key);
}

/* Forgets the quietest of a few. */
static void evict(struct gw_flows *t)
{
	struct flow *victim = NULL;

	for (int i = 0; i < EVICT_TRIES; i++) {
		struct flow *f = &t->e[rte_rand_max(ENTRIES)];

		if (f->state != FLOW_FREE && (!victim || f->last_ms < victim->last_ms))
			victim = f;
	}
	if (victim)
		forget(t, victim);
}

/* Entry of a connection, made when it is new. NULL: no room. */
static struct flow *get(struct gw_worker *w, const struct net_flow *key, uint32_t host)
{
	struct gw_flows *t = w->flows;
	int32_t pos = rte_hash_lookup(t->hash, key);
	struct flow *f;

	if (pos >= 0)
		return &t->e[pos];
	pos = rte_hash_add_key(t->hash, key);
	if (pos < 0) {
		evict(t);
		pos = rte_hash_add_key(t->hash, key);
		if (pos < 0)
			return NULL;
	}
	f = &t->e[pos];
	memset(f, 0, sizeof(*f));
	f->key = *key;
	f->host = host;
	f->reason = IB_R_NOT_TRIED;
	f->first_ms = w->now_ms;
	f->last_ms = w->now_ms;
	set_state(f, FLOW_OPEN);
	return f;
}

/* Key of a parsed frame. */
static void flow_key(struct net_flow *key, const struct net_pkt *p, bool from_client)
{
	key->remote = from_client ? p->src : p->dst;
	key->local = from_client ? p->dst : p->src;
	key->rport = from_client ? p->sport : p->dport;
	key->lport = from_client ? p->dport : p->sport;
}

/* What the flags of a segment say about the connection. */
static void note_flags(struct gw_worker *w, struct flow *f, uint8_t flags, bool from_client)
{
	if (flags & TCP_SYN) {
		if (from_client && !(flags & TCP_ACK) && f->state >= FLOW_CLOSING) {
			f->tx_bytes = f->rx_bytes = 0;
			f->reason = IB_R_NOT_TRIED;
			f->fins = 0;
			f->first_ms = w->now_ms;
		}
		set_state(f, FLOW_OPENING);
		return;
	}
	if (flags & TCP_RST) {
		set_state(f, FLOW_CLOSED);
		return;
	}
	if (flags & TCP_FIN) {
		f->fins |= from_client ? 1 : 2;
		set_state(f, f->fins == 3 ? FLOW_CLOSED : FLOW_CLOSING);
	} else if (f->state == FLOW_OPENING) {
		set_state(f, FLOW_OPEN);
	}
}

void gw_flows_seen(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p,
		   uint32_t host, bool from_client)
{
	uint8_t flags = frame[p->l4_off + NET_TCP_FLAGS];
	struct net_flow key;
	struct flow *f;

	flow_key(&key, p, from_client);
	if ((flags & TCP_RST) && rte_hash_lookup(w->flows->hash, &key) < 0)
		return;
	f = get(w, &key, host);
	if (!f)
		return;
	f->last_ms = w->now_ms;
	f->dirs |= from_client ? 1 : 2;
	if (from_client)
		f->rx_bytes += p->payload_len;
	else
		f->tx_bytes += p->payload_len;
	note_flags(w, f, flags, from_client);
}

void gw_flows_end(struct gw_worker *w, const struct net_flow *key)
{
	int32_t pos = rte_hash_lookup(w->flows->hash, key);

	gw_steer_end(w, key);
	if (pos >= 0) {
		w->flows->e[pos].last_ms = w->now_ms;
		set_state(&w->flows->e[pos], FLOW_CLOSED);
	}
}

void gw_flows_flags(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p)
{
	struct net_flow key;
	int32_t pos;

	flow_key(&key, p, true);
	pos = rte_hash_lookup(w->flows->hash, &key);
	if (pos >= 0)
		note_flags(w, &w->flows->e[pos], frame[p->l4_off + NET_TCP_FLAGS], true);
}

void gw_flows_reason(struct gw_worker *w, const struct net_flow *key, uint32_t host,
		     enum ib_reason r)
{
	int32_t pos = rte_hash_lookup(w->flows->hash, key);

	if (pos >= 0)
		w->flows->e[pos].reason = (uint8_t)r;
}

void gw_flows_carried(struct gw_worker *w, const struct net_flow *key, uint64_t tx_bytes,
		      uint64_t rx_bytes, uint64_t born_us)
{
	int32_t pos = rte_hash_lookup(w->flows->hash, key);
	struct flow *f;

	if (pos < 0)
		return;
	f = &w->flows->e[pos];
	f->tx_bytes += tx_bytes;
	f->rx_bytes += rx_bytes;
	f->last_ms = w->now_ms;
	f->first_ms = RTE_MIN(f->first_ms, born_us / 1000);
}

void gw_flows_ended(struct gw_worker *w, const struct net_flow *key)
{
	int32_t pos = rte_hash_lookup(w->flows->hash, key);

	gw_steer_end(w, key);
	if (pos < 0)
		return;
	w->flows->e[pos].last_ms = w->now_ms;
	set_state(&w->flows->e[pos], FLOW_CLOSED);
}

uint16_t gw_flows_server(struct gw_worker *w, const struct net_flow *key)
{
	int32_t pos = rte_hash_lookup(w->flows->hash, key);
	const struct flow *f = pos < 0 ? NULL : &w->flows->e[pos];

	if (!f || f->dirs != 3 || (f->state != FLOW_OPEN && f->state != FLOW_CLOSING))
		return CORR_NONE;
	return (uint16_t)f->host;
}

/* True for a connection that both ends use and no worker accelerates. */
static bool established(struct gw_worker *w, const struct flow *f)
{
	struct corr_flow key;

	if (f->dirs != 3 || (f->state != FLOW_OPEN && f->state != FLOW_CLOSING))
		return false;
	memcpy(&key, &f->key, sizeof(key));
	return !gw_accel_has(w, &key);
}

bool gw_flows_established(struct gw_worker *w, uint32_t *it, uint32_t places,
			  uint32_t n[GW_MAX_HOSTS])
{
	for (; places && *it < ENTRIES; places--, (*it)++) {
		const struct flow *f = &w->flows->e[*it];

		n[f->host] += established(w, f);
	}
	return *it < ENTRIES;
}

/* Milliseconds that a quiet flow is kept. */
static uint64_t keep_ms(const struct flow *f)
{
	switch (f->state) {
	case FLOW_OPENING:
		return SYN_MS;
	case FLOW_CLOSING:
		return HALF_MS;
	case FLOW_CLOSED:
		return CLOSED_MS;
	default:
		return f->dirs == 3 ? IDLE_MS : SYN_MS; /* another worker has the other half */
	}
}

void gw_flows_run(struct gw_worker *w)
{
	struct gw_flows *t = w->flows;

	for (int i = 0; i < SCAN; i++) {
		struct flow *f = &t->e[t->scan++ % ENTRIES];

		if (f->state != FLOW_FREE && w->now_ms - f->last_ms > keep_ms(f))
			forget(t, f);
	}
}

uint32_t gw_flows_count(const struct gw_worker *w)
{
	return (uint32_t)rte_hash_count(w->flows->hash);
}

bool gw_flows_next(struct gw_worker *w, uint32_t *it, struct gw_conn_row *row)
{
	while (*it < ENTRIES) {
		const struct flow *f = &w->flows->e[(*it)++];

		if (f->state == FLOW_FREE)
			continue;
		memset(row, 0, sizeof(*row));
		row->flow = f->key;
		row->host = f->host;
		row->reason = f->reason;
		row->state = state_names[f->state];
		row->tx_bytes = f->tx_bytes;
		row->rx_bytes = f->rx_bytes;
		row->age_us = (w->now_ms - f->first_ms) * 1000;
		row->worker = w->index;
		return true;
	}
	return false;
}

int gw_flows_open(struct gw_worker *w)
{
	w->flows = rte_zmalloc("flows", sizeof(*w->flows), 0);
	if (!w->flows)
		return ENOMEM;
	w->flows->hash = gw_hash_new(w, "flows", ENTRIES, sizeof(struct net_flow));
	w->flows->e = rte_zmalloc("flow entries", (ENTRIES + 64) * sizeof(struct flow), 0);
	return w->flows->hash && w->flows->e ? 0 : ENOMEM;
}

void gw_flows_close(struct gw_worker *w)
{
	if (!w->flows)
		return;
	rte_hash_free(w->flows->hash);
	rte_free(w->flows->e);
	rte_free(w->flows);
	w->flows = NULL;
}
