/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_trace.c - judges a frame as the data path would, on the worker that has its flow; see
 * gw_trace.h.
 */
#include "gateway/gw_trace.h"

#include <errno.h>

#include "gateway/gw_accel.h"
#include "gateway/gw_spread.h"
#include "tcpstack/net_wire.h"

/* What is clamped of a SYN. */
static void clamp(struct gw_trace *t)
{
	uint16_t mss;
	uint32_t at = t->hop.clamp ? gw_mss_over(t->frame, &t->p, t->hop.clamp, &mss) : 0;

	if (!at)
		return;
	t->mss_old = net_get16(t->frame + at + 2);
	t->mss_new = mss;
}

/* Natively to a host. */
static void to_host(struct gw_trace *t, struct gw_worker *w, struct gw_host *h)
{
	const struct gw_link *l = &h->link[w->index];

	t->to = h;
	gw_hop_host(w, h, &t->p, &t->hop);
	clamp(t);
	t->qp = gw_native_qp(l, t->len + (uint32_t)sizeof(struct ib_encap));
	t->sqpn = t->qp == GW_QP_RC ? l->rc.qp->qp_num : w->ud.qp ? w->ud.qp->qp_num : 0;
	t->dqpn = t->qp == GW_QP_RC ? l->rc.peer.qpn : h->native.qpn;
}

/* To the LAN. */
static void to_lan(struct gw_trace *t, struct gw_worker *w)
{
	t->to_lan = true;
	t->neigh = gw_neigh_peek(w, &t->p.dst, &t->nh);
	if (t->neigh)
		return;
	gw_hop_lan(t->host, &t->p, &t->nh, &t->hop);
	clamp(t);
}

/* Where the policy sends a packet towards a server, if it lets it pass. */
static void steered(struct gw_trace *t, struct gw_worker *w, const struct gw_steered *s)
{
	if (s->quoted == CORR_NONE && s->v.flow)
		t->flow_state = corr_flow_state_name((enum corr_flow_state)s->v.flow->state);
	if (s->quoted != CORR_NONE)
		to_host(t, w, &w->gw->host[s->quoted]);
	else if (s->v.action == CORR_ALLOW)
		to_host(t, w, &w->gw->host[s->v.to]);
}

static void from_port(struct gw_trace *t, struct gw_worker *w)
{
	gw_lan_judge_ip(w, t->port, t->frame, &t->p, &t->way);
	if (t->way.kind == GW_WAY_TCP) {
		const struct gw_conn *c = t->way.conn;

		t->conn_there = true;
		t->token = c->token;
		t->conn_state = gw_conn_state_name(c->state);
		t->conn_host = c->link->host;
		t->peer = c->link->peer;
	} else if (t->way.kind == GW_WAY_POLICY) {
		t->through.asked_in = true;
		gw_steer_in(w, t->way.policy, t->port, NULL, t->frame, &t->p, true, &t->through.in);
		steered(t, w, &t->through.in);
	} else if (t->way.kind == GW_WAY_HOST) {
		to_host(t, w, t->way.host);
	}
}

static void from_host(struct gw_trace *t, struct gw_worker *w)
{
	const struct corr_native *map = atomic_load(&w->native);
	const struct corr_server *s;

	if (w->steer)
		gw_steer_through(w, t->host, t->frame, &t->p, true, &t->through);
	if (t->through.asked_out && t->through.out.v.flow)
		t->flow_state =
			corr_flow_state_name((enum corr_flow_state)t->through.out.v.flow->state);
	if (t->through.asked_in) {
		steered(t, w, &t->through.in);
		return;
	}
	if (t->through.asked_out && t->through.out.v.action != CORR_ALLOW)
		return;
	if (t->through.asked_out && t->through.out.v.to != CORR_NONE) {
		to_host(t, w, &w->gw->host[t->through.out.v.to]);
		return;
	}
	s = map ? corr_native_by_addr(map, t->p.dst.b) : NULL;
	if (s)
		to_host(t, w, &w->gw->host[s->id]);
	else
		to_lan(t, w);
}

static void on_trace(struct gw_worker *w, void *arg)
{
	struct gw_trace *t = arg;

	if (t->port)
		gw_lan_judge(w, t->port, t->frame, t->len, NET_F_CSUM_IP | NET_F_CSUM_L4, &t->p,
			     &t->first);
	else
		gw_host_judge(w, t->host, t->frame, t->len, t->bounced, &t->p, &t->first);
	if (t->first.kind != GW_WAY_IP)
		return;
	if (t->port)
		from_port(t, w);
	else
		from_host(t, w);
}

void gw_trace_run(struct gw_trace *t)
{
	struct net_pkt p;

	if (!t->port && !t->host) { /* no port has that VLAN */
		gw_way_drop(&t->first, GW_DROP_VLAN);
		return;
	}
	if (t->gw->n_worker > 1 && net_parse(t->frame, t->len, 0, &p) == NET_PERR_OK &&
	    p.ethertype != NET_ETHERTYPE_ARP)
		t->worker = gw_spread_packet(t->gw, t->frame, &p);
	gw_call(t->gw->worker[t->worker], on_trace, t);
}
