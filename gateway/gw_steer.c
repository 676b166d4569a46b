/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_steer.c - native frames where the policy has a say (correlator/corr_steer.h): asked once per
 * frame, after acceleration and before the native maps.
 *
 * A shared address is carried by the TAP of each of its servers (direct return): a frame goes to
 * one of them unchanged, and what it answers goes to the client unchanged. An ICMP error goes to
 * the server whose segment it quotes. A firewall or IP-security server gets frames before their
 * server does, and the server's answers before the client; what it passes on comes back to us.
 */
#include <errno.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_way.h"
#include "tcpstack/net_wire.h"

/* What a worker that has the flow in its accelerated map answers. */
static bool accelerated(void *ctx, const struct corr_flow *f)
{
	return gw_accel_has(ctx, f);
}

/* Server that a native connection had before it was asked about. */
static uint16_t prior(void *ctx, const struct corr_flow *f)
{
	struct net_flow key;

	memcpy(&key, f, sizeof(key));
	return gw_flows_server(ctx, &key);
}

void gw_steer_attach(struct gw_worker *w, struct corr_steer *s)
{
	s->tracks.in_use = accelerated;
	s->tracks.ctx = w;
	s->prior = prior;
	s->ctx = w;
	w->steer = s;
}

int gw_steer_open(struct gw_worker *w)
{
	struct gw *gw = w->gw;
	struct corr_steer *s;

	atomic_store(&w->policy, gw->policy);
	if (!gw->policy)
		return 0;
	s = corr_steer_new(gw->cfg->flows, gw->live);
	if (!s)
		return ENOMEM;
	gw_steer_attach(w, s);
	return 0;
}

void gw_steer_close(struct gw_worker *w)
{
	corr_steer_free(w->steer);
	w->steer = NULL;
}

void gw_steer_run(struct gw_worker *w)
{
	if (w->steer)
		corr_steer_age(w->steer, w->now_ms);
}

const struct corr_policy *gw_steer_policy(struct gw_worker *w, const struct net_addr *local)
{
	const struct corr_policy *p = atomic_load_explicit(&w->policy, memory_order_acquire);

	if (!w->steer || !p || !corr_policy_concerns(p, local->b))
		return NULL;
	return gw_server_of(w->gw, local) != UINT32_MAX ? p : NULL;
}

/* The key of a flow. */
static void flow_key(struct corr_track_key *k, const struct net_flow *f, uint8_t proto)
{
	memset(k, 0, sizeof(*k));
	memcpy(&k->flow, f, sizeof(k->flow));
	k->proto = proto;
}

void gw_steer_ask(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p, bool out,
		  struct corr_ask *a)
{
	const uint8_t *l4 = frame + p->l4_off;
	const struct net_flow f = {.remote = out ? p->dst : p->src,
				   .local = out ? p->src : p->dst,
				   .rport = out ? p->dport : p->sport,
				   .lport = out ? p->sport : p->dport};

	memset(a, 0, sizeof(*a));
	flow_key(&a->pkt.key, &f, p->proto);
	a->pkt.from_server = out;
	a->host = CORR_NONE;
	a->owner = CORR_NONE;
	a->fragment = p->fragment;
	if (p->proto != NET_PROTO_TCP || !p->l4_off)
		return;
	a->pkt.flags = l4[NET_TCP_FLAGS];
	a->pkt.seq = net_get32(l4 + NET_TCP_SEQ);
	a->pkt.ack = net_get32(l4 + NET_TCP_ACK);
}

/* Server that an ICMP error concerns by what it quotes, or CORR_NONE. */
static uint16_t quoted(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p)
{
	struct tcp_icmp_err err;
	struct corr_track_key k;
	const struct corr_track *e;
	struct net_flow f;

	if (!gw_is_icmp(p) || net_icmp_error(frame, p, &f, &err))
		return CORR_NONE;
	flow_key(&k, &f, NET_PROTO_TCP);
	e = corr_track_find(&w->steer->tracks, &k);
	return e ? e->server : CORR_NONE;
}

/* The only server of an address, or CORR_NONE. */
static uint16_t owner(struct gw_worker *w, const struct net_addr *a)
{
	const struct corr_native *map = atomic_load_explicit(&w->native, memory_order_acquire);
	const struct corr_server *s = map ? corr_native_by_addr(map, a->b) : NULL;

	return s ? (uint16_t)s->id : CORR_NONE;
}

/* Counts and drops what was refused; a rejected one's sender is told. */
static void refused(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		    const struct net_pkt *p, const struct corr_verdict *v)
{
	w->stats.policy[v->why]++;
	if (v->action == CORR_REJECT && port)
		gw_refuse(w, port, m, p);
	rte_pktmbuf_free(m);
}

void gw_steer_in(struct gw_worker *w, const struct corr_policy *policy, const struct gw_port *port,
		 const struct gw_host *host, const uint8_t *frame, const struct net_pkt *p,
		 bool dry, struct gw_steered *s)
{
	s->quoted = quoted(w, frame, p);
	if (s->quoted != CORR_NONE)
		return;
	gw_steer_ask(w, frame, p, false, &s->ask);
	s->ask.host = host ? (uint16_t)host->id : CORR_NONE;
	s->ask.iface = host ? CORR_IFACE_FABRIC : (uint8_t)port->index;
	s->ask.owner = owner(w, &p->dst);
	s->ask.dry = dry;
	corr_steer(w->steer, policy, &s->ask, w->now_us, &s->v);
}

void gw_steer_out(struct gw_worker *w, const struct corr_policy *policy, const struct gw_host *h,
		  const uint8_t *frame, const struct net_pkt *p, bool dry, struct gw_steered *s)
{
	s->quoted = CORR_NONE;
	gw_steer_ask(w, frame, p, true, &s->ask);
	s->ask.host = (uint16_t)h->id;
	s->ask.iface = CORR_IFACE_FABRIC;
	s->ask.transit = !gw_server_cfg_has(h->cfg, &p->src);
	s->ask.dry = dry;
	corr_steer(w->steer, policy, &s->ask, w->now_us, &s->v);
}

/* Does what was said of a frame towards a server. */
static void towards(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		    const struct net_pkt *p, const struct gw_steered *s)
{
	if (s->quoted != CORR_NONE) {
		w->stats.icmp_relayed++;
		gw_native_to_host(w, &w->gw->host[s->quoted], m, p);
	} else if (s->v.action == CORR_ALLOW) {
		gw_native_to_host(w, &w->gw->host[s->v.to], m, p);
	} else {
		refused(w, port, m, p, &s->v);
	}
}

void gw_steer_lan(struct gw_worker *w, const struct corr_policy *policy, struct gw_port *port,
		  struct rte_mbuf *m, const struct net_pkt *p)
{
	struct gw_steered s;

	gw_steer_in(w, policy, port, NULL, rte_pktmbuf_mtod(m, uint8_t *), p, false, &s);
	towards(w, port, m, p, &s);
}

void gw_steer_through(struct gw_worker *w, const struct gw_host *h, const uint8_t *frame,
		      const struct net_pkt *p, bool dry, struct gw_through *t)
{
	const struct corr_policy *policy = gw_steer_policy(w, &p->src);

	t->asked_out = policy != NULL;
	t->asked_in = false;
	if (policy) {
		gw_steer_out(w, policy, h, frame, p, dry, &t->out);
		if (t->out.v.action != CORR_ALLOW || t->out.v.to != CORR_NONE)
			return;
	}
	policy = gw_steer_policy(w, &p->dst);
	t->asked_in = policy != NULL;
	if (policy)
		gw_steer_in(w, policy, NULL, h, frame, p, dry, &t->in);
}

bool gw_steer_host(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		   const struct net_pkt *p)
{
	struct gw_through t;

	if (!w->steer)
		return false;
	gw_steer_through(w, h, rte_pktmbuf_mtod(m, uint8_t *), p, false, &t);
	if (t.asked_in)
		towards(w, NULL, m, p, &t.in);
	else if (t.asked_out && t.out.v.action != CORR_ALLOW)
		refused(w, NULL, m, p, &t.out.v);
	else if (t.asked_out && t.out.v.to != CORR_NONE)
		gw_native_to_host(w, &w->gw->host[t.out.v.to], m, p);
	else
		return false; /* to the LAN, or another server */
	return true;
}

/* Entry of a TCP flow, or NULL. */
static struct corr_track *entry(struct gw_worker *w, const struct net_flow *f)
{
	struct corr_track_key k;

	if (!w->steer)
		return NULL;
	flow_key(&k, f, NET_PROTO_TCP);
	return corr_track_find(&w->steer->tracks, &k);
}

void gw_steer_flags(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p)
{
	struct corr_track *e;
	struct corr_ask a;

	if (!w->steer)
		return;
	gw_steer_ask(w, frame, p, false, &a);
	e = corr_track_find(&w->steer->tracks, &a.pkt.key);
	if (e)
		corr_track_packet(&w->steer->tracks, e, &a.pkt, w->now_ms);
}

void gw_steer_end(struct gw_worker *w, const struct net_flow *f)
{
	struct corr_track *e = entry(w, f);
	struct corr_pkt rst = {.key.proto = NET_PROTO_TCP, .flags = TCP_RST, .from_server = true};

	if (e)
		corr_track_packet(&w->steer->tracks, e, &rst, w->now_ms);
}

bool gw_steer_native(struct gw_worker *w, const struct net_flow *f)
{
	const struct corr_track *e = entry(w, f);

	return e && e->no_accel;
}
