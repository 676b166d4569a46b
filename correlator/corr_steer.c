/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_steer.c - where a packet goes; see corr_steer.h.
 *
 * A packet of a known flow costs one lookup. What begins a flow passes rules, limits and the
 * choice of a server; the cheapest refusals come first, so that a flood meets them.
 */
#include "correlator/corr_steer.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#define AGE_STEPS 512u
#define RULE_BIT  0x10000u /* ids of rules in the table of clients */

/** Key of an affinity. */
struct affinity_key {
	uint32_t service;   /* id */
	uint8_t prefix[16]; /* the client's */
};
static_assert(sizeof(struct affinity_key) == 20, "keys are hashed as bytes");

#define SERVER_BITS 16 /* of the word of an affinity; the rest is when it ends, in ms */

/** A decision in the making. */
struct work {
	struct corr_steer *s;
	const struct corr_policy *p;
	const struct corr_ask *a;
	struct corr_verdict *v;
	struct corr_track set; /* the flow to be */
	uint64_t now_us;
	uint64_t now_ms;
};

static const char *const why_names[] = {
#define _(sym, name) name,
	CORR_FOREACH_WHY(_)
#undef _
};

const char *corr_why_name(enum corr_why w)
{
	return why_names[w];
}

void corr_policy_free(struct corr_policy *p)
{
	if (!p)
		return;
	corr_rules_free(p->rules);
	corr_services_free(p->services);
	free(p);
}

bool corr_policy_concerns(const struct corr_policy *p, const uint8_t local[16])
{
	return corr_rules_count(p->rules) || corr_rules_otherwise(p->rules) != CORR_ALLOW ||
	       corr_services_has(p->services, local);
}

struct corr_steer *corr_steer_new(uint32_t flows, struct corr_live *live)
{
	struct corr_steer *s = rte_zmalloc("corr_steer", sizeof(*s), 64);

	if (!s)
		return NULL;
	if (corr_tracks_open(&s->tracks, flows, live)) {
		corr_steer_free(s);
		return NULL;
	}
	return s;
}

void corr_steer_free(struct corr_steer *s)
{
	if (!s)
		return;
	corr_tracks_close(&s->tracks);
	rte_free(s);
}

void corr_steer_age(struct corr_steer *s, uint64_t now_ms)
{
	corr_tracks_age(&s->tracks, AGE_STEPS, now_ms);
}

void corr_steer_head(const struct corr_ask *a, struct corr_head *h)
{
	const struct corr_flow *f = &a->pkt.key.flow;
	const bool out = a->pkt.from_server;

	memcpy(h->src, out ? f->local : f->remote, 16);
	memcpy(h->dst, out ? f->remote : f->local, 16);
	h->sport = ntohs(out ? f->lport : f->rport);
	h->dport = ntohs(out ? f->rport : f->lport);
	h->proto = a->pkt.key.proto;
	h->iface = a->iface;
}

/* Ends with a refusal. */
static bool refuse(struct work *w, enum corr_action action, enum corr_why why)
{
	w->v->action = action;
	w->v->why = why;
	return false;
}

/* Asks a rate of the gateway, and counts unless only asked. */
static bool rate(const struct work *w, const struct corr_rate *r, _Atomic uint64_t *state)
{
	return w->a->dry ? corr_rate_peek(r, *state, w->now_us)
			 : corr_rate_take_shared(r, state, w->now_us);
}

/* Limits of the flow's client; *c is where it counts afterwards. */
static bool client_ok(struct work *w, uint32_t id, const struct corr_client_limit *l,
		      struct corr_mark **c)
{
	*c = NULL;
	if (!corr_client_limited(l))
		return true;
	*c = corr_client_get(&w->s->tracks.live->clients, id, l, w->a->pkt.key.flow.remote,
			     w->now_ms, !w->a->dry);
	if (!*c)
		return true;
	if (l->max_conns &&
	    atomic_load_explicit(&(*c)->count, memory_order_relaxed) >= l->max_conns)
		return false;
	return rate(w, &l->rate, &(*c)->word);
}

/* What the rule that fits allows. */
static bool rule_limits(struct work *w, const struct corr_rule *r)
{
	struct corr_live *live = w->s->tracks.live;
	const uint16_t i = r->id;

	if (r->max_conns &&
	    atomic_load_explicit(&live->rule_conns[i], memory_order_relaxed) >= r->max_conns)
		return refuse(w, CORR_DENY, CORR_WHY_RULE_CONNS);
	if (!client_ok(w, RULE_BIT | i, &r->client, &w->set.client[1]))
		return refuse(w, CORR_DENY, CORR_WHY_RULE_CLIENT);
	if (!rate(w, &r->rate, &live->rule_rate[i]))
		return refuse(w, CORR_DENY, CORR_WHY_RULE_RATE);
	return true;
}

/* The rules. False: refused. */
static bool rules(struct work *w)
{
	const struct corr_rules *list = w->p->rules;
	enum corr_action action = corr_rules_otherwise(list);
	const struct corr_rule *r;
	struct corr_head h;
	uint16_t i;

	corr_steer_head(w->a, &h);
	i = corr_rules_match(list, &h);
	if (i == CORR_NONE) {
		if (action == CORR_ALLOW)
			return true;
		return refuse(w, action,
			      action == CORR_DENY ? CORR_WHY_DEFAULT_DENY
						  : CORR_WHY_DEFAULT_REJECT);
	}
	r = corr_rules_at(list, i);
	w->v->rule = r->id;
	w->v->fields = corr_rules_fields(list, i);
	if (!w->a->dry)
		atomic_fetch_add_explicit(&w->s->tracks.live->rule_hits[r->id], 1,
					  memory_order_relaxed);
	if (r->action == CORR_DENY || r->action == CORR_REJECT)
		return refuse(w, r->action,
			      r->action == CORR_DENY ? CORR_WHY_RULE_DENY : CORR_WHY_RULE_REJECT);
	w->set.rule = r->id;
	w->set.via = r->via;
	w->set.no_accel = r->action == CORR_VIA && !r->accelerate;
	return rule_limits(w, r);
}

/* Limits of a service on a new flow. */
static bool service_limits(struct work *w, const struct corr_service_cfg *c)
{
	struct corr_live *live = w->s->tracks.live;

	if (c->id == CORR_NONE)
		return true;
	if (c->max_conns &&
	    atomic_load_explicit(&live->service_conns[c->id], memory_order_relaxed) >= c->max_conns)
		return refuse(w, CORR_DENY, CORR_WHY_SERVICE_CONNS);
	if (!client_ok(w, c->id, &c->client, &w->set.client[0]))
		return refuse(w, CORR_DENY, CORR_WHY_CLIENT_LIMIT);
	if (w->a->pkt.key.proto == CORR_TCP && !rate(w, &c->syn, &live->service_rate[c->id]))
		return refuse(w, CORR_DENY, CORR_WHY_SYN_RATE);
	return true;
}

/* Remembers, or refreshes, whom a client has. */
static void keep(struct work *w, const struct corr_service *v, const struct affinity_key *k,
		 uint16_t server)
{
	struct corr_mark *m;

	if (w->a->dry)
		return;
	m = corr_marks_get(&w->s->tracks.live->affinity, k, sizeof(*k), w->now_ms, true);
	if (m) /* else it is full: the hash alone decides next time */
		atomic_store_explicit(&m->word,
				      (w->now_ms + v->cfg.affinity_ms) << SERVER_BITS | server,
				      memory_order_relaxed);
}

/* Index of the member that a client has had and that takes new flows still, or -1. */
static int kept(const struct work *w, const struct corr_service *v, const struct affinity_key *k)
{
	struct corr_live *live = w->s->tracks.live;
	const struct corr_mark *f =
		corr_marks_get(&live->affinity, k, sizeof(*k), w->now_ms, false);
	const uint64_t word = f ? atomic_load_explicit(&f->word, memory_order_relaxed) : 0;
	int m;

	if (word >> SERVER_BITS <= w->now_ms)
		return -1;
	m = corr_service_member(v, (uint16_t)word);
	return m >= 0 && corr_member_takes(&v->member[m], live) ? m : -1;
}

/* True for a TCP segment from the middle of a connection. */
static bool midway(const struct corr_pkt *p)
{
	return p->key.proto == CORR_TCP && !(p->flags & CORR_TCP_SYN);
}

/*
 * The server that a connection has which began before our time (the gateway was restarted): the one
 * of its hash, even if it is not attached yet, as any other would reset it. -1: not known.
 */
static int home(const struct work *w, const struct corr_service *v)
{
	const struct corr_live *live = w->s->tracks.live;
	const int m = corr_service_home(
		v, corr_service_hash(w->p->services, v, &w->a->pkt.key.flow, CORR_TCP));

	if (m < 0 || atomic_load_explicit(&live->server[v->member[m].server].leave,
					  memory_order_relaxed) == CORR_LEAVE_ALL)
		return -1;
	return m;
}

/* A server by policy; -1: nobody. */
static int pick(struct work *w, const struct corr_service *v)
{
	const struct corr_flow *flow = &w->a->pkt.key.flow;
	const struct corr_live *live = w->s->tracks.live;
	const bool sticky =
		v->cfg.balance == CORR_SOURCE && v->cfg.affinity_ms && v->cfg.id != CORR_NONE;
	struct affinity_key k = {.service = v->cfg.id};
	int m = -1;

	if (sticky) {
		corr_client_prefix(&v->cfg.client, flow->remote, k.prefix);
		m = kept(w, v, &k);
	}
	if (m < 0)
		m = corr_service_pick(
			v, live, corr_service_hash(w->p->services, v, flow, w->a->pkt.key.proto));
	if (sticky && m >= 0)
		keep(w, v, &k, v->member[m].server);
	return m;
}

/* The server of a new flow from a client. False: refused. */
static bool choose(struct work *w)
{
	const struct corr_track_key *k = &w->a->pkt.key;
	const struct corr_service *v =
		corr_services_find(w->p->services, k->flow.local, ntohs(k->flow.lport), k->proto);
	int m;

	w->v->service = v;
	if (!v || !v->n) {
		w->set.server = w->a->owner;
		w->v->why = CORR_WHY_OWNER;
		if (v && !service_limits(w, &v->cfg))
			return false;
		w->set.service = v ? v->cfg.id : CORR_NONE;
		return w->a->owner != CORR_NONE || refuse(w, CORR_DENY, CORR_WHY_NO_SERVER_UP);
	}
	if (w->a->fragment)
		return refuse(w, CORR_DENY, CORR_WHY_SHARED_FRAGMENT);
	if (!service_limits(w, &v->cfg))
		return false;
	m = midway(&w->a->pkt) ? home(w, v) : -1;
	if (m < 0)
		m = pick(w, v);
	if (m < 0)
		return refuse(w, v->cfg.reject && !midway(&w->a->pkt) ? CORR_REJECT : CORR_DENY,
			      CORR_WHY_NO_SERVER_UP);
	w->set.server = v->member[m].server;
	w->set.service = v->cfg.id;
	w->v->why = CORR_WHY_PICKED;
	return true;
}

/* Where a packet of a flow goes now. */
static void route(const struct corr_ask *a, uint16_t server, uint16_t via, struct corr_verdict *v)
{
	v->server = server;
	v->via = via;
	if (via != CORR_NONE && via != a->host && via != server)
		v->to = via;
	else
		v->to = a->pkt.from_server ? CORR_NONE : server;
}

/* Remembers a flow that was let pass. */
static void remember(struct work *w)
{
	struct corr_live *live = w->s->tracks.live;

	if (w->a->dry)
		return;
	w->set.state = (uint8_t)(w->v->why == CORR_WHY_PRIOR ? CORR_FLOW_OPEN
							     : corr_track_first(&w->a->pkt));
	w->set.seen_ms = w->set.born_ms = w->now_ms;
	w->v->flow = corr_track_add(&w->s->tracks, &w->a->pkt.key, &w->set);
	if (!w->v->flow) {
		refuse(w, CORR_DENY, CORR_WHY_TABLE_FULL);
		return;
	}
	if (w->v->why == CORR_WHY_PICKED) {
		atomic_fetch_add_explicit(&live->server[w->set.server].picked, 1,
					  memory_order_relaxed);
		if (w->set.service != CORR_NONE)
			atomic_fetch_add_explicit(&live->service_flows[w->set.service], 1,
						  memory_order_relaxed);
	}
}

/*
 * True for a packet of a connection that was established before the policy concerned its address:
 * it stays where it is, whatever rules say of new ones.
 */
static bool prior(struct work *w)
{
	const struct corr_ask *a = w->a;
	const struct corr_live *live = w->s->tracks.live;
	uint16_t server;

	if (!w->s->prior || !midway(&a->pkt) || a->pkt.flags & CORR_TCP_RST || a->fragment)
		return false;
	server = w->s->prior(w->s->ctx, &a->pkt.key.flow);
	if (server == CORR_NONE || (a->pkt.from_server && a->host != server) ||
	    atomic_load_explicit(&live->server[server].leave, memory_order_relaxed) ==
		    CORR_LEAVE_ALL)
		return false;
	w->set.server = server;
	w->v->why = CORR_WHY_PRIOR;
	return true;
}

/* A packet of no known flow. */
static void first(struct work *w)
{
	struct corr_verdict *v = w->v;

	if (w->a->transit) {
		refuse(w, CORR_DENY, CORR_WHY_WRONG_SERVER);
		return;
	}
	if (prior(w)) {
		route(w->a, w->set.server, CORR_NONE, v);
		remember(w);
		return;
	}
	if (!rules(w))
		return;
	if (w->a->pkt.from_server) {
		w->set.server = w->a->host;
		w->set.outbound = true;
		v->why = CORR_WHY_OUTBOUND;
	} else if (!choose(w)) {
		return;
	}
	route(w->a, w->set.server, w->set.via, v);
	remember(w);
}

/* True when a known flow is over for this packet, which begins it anew. */
static bool over(const struct work *w, const struct corr_track *e)
{
	const struct corr_pkt *p = &w->a->pkt;
	const uint32_t leave = atomic_load_explicit(&w->s->tracks.live->server[e->server].leave,
						    memory_order_relaxed);

	if (p->key.proto == CORR_TCP && e->state == CORR_FLOW_CLOSED &&
	    (p->flags & (CORR_TCP_SYN | CORR_TCP_ACK)) == CORR_TCP_SYN)
		return true;
	if (p->from_server || e->outbound)
		return false;
	return leave == CORR_LEAVE_ALL ||
	       (leave == CORR_LEAVE_DATAGRAMS && p->key.proto != CORR_TCP);
}

/* A packet of a known flow. */
static void known(struct work *w, struct corr_track *e)
{
	const struct corr_ask *a = w->a;
	struct corr_verdict *v = w->v;

	v->why = CORR_WHY_KNOWN;
	v->rule = e->rule;
	v->flow = e;
	if (a->pkt.from_server && a->host != e->server && a->host != e->via) {
		/* A flow seen in its middle: who speaks has it. */
		if (e->state != CORR_FLOW_GUESSED || a->pkt.flags & CORR_TCP_RST) {
			refuse(w, CORR_DENY, CORR_WHY_WRONG_SERVER);
			return;
		}
		if (!a->dry)
			corr_track_move(&w->s->tracks, e, a->host);
	}
	if (!a->dry)
		corr_track_packet(&w->s->tracks, e, &a->pkt, w->now_ms);
	route(a, e->server, e->via, v);
}

void corr_steer(struct corr_steer *s, const struct corr_policy *p, const struct corr_ask *a,
		uint64_t now_us, struct corr_verdict *v)
{
	struct work w = {.s = s, .p = p, .a = a, .v = v, .now_us = now_us, .now_ms = now_us / 1000};
	struct corr_track *e = corr_track_find(&s->tracks, &a->pkt.key);

	*v = (struct corr_verdict){
		.to = CORR_NONE, .server = CORR_NONE, .via = CORR_NONE, .rule = CORR_NONE};
	if (e && over(&w, e)) {
		if (!a->dry)
			corr_track_del(&s->tracks, e);
		e = NULL;
	}
	if (e) {
		known(&w, e);
		return;
	}
	w.set = (struct corr_track){
		.server = CORR_NONE, .via = CORR_NONE, .service = CORR_NONE, .rule = CORR_NONE};
	first(&w);
}
