/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_take.c - takeover: REQ, COMMIT, CANCEL (DESIGN 4.2, docs/protocol.md).
 *
 * The gateway's authority is the host's ownership of the local address, checked against what the
 * host attached with. What it cannot know (what is on the wire) it only tests for plausibility.
 * Everything is decided at the REQ; until COMMIT nothing changes but that a token, a slot and a
 * place within the limits are kept.
 *
 * The worker asked is the one whose native queue pair carried the client's last frame to the host:
 * the one that has the flow (gw_spread.c). A host that has not seen such a frame, since the gateway
 * was restarted, say, may ask another one, and is told whom to ask.
 */
#include <errno.h>
#include <string.h>

#include "gateway/gw_accel.h"
#include "gateway/gw_log.h"
#include "gateway/gw_spread.h"

#define LATE_US 10000u /* within this, frames that went natively have come back bounced */

/* A request in host byte order, with what it refers to. */
struct take {
	struct gw_link *link;
	const struct ib_req *m; /* as received */
	struct net_flow flow;
	const struct ib_arena *arena; /* NULL until found */
	uint16_t arena_index;
	uint16_t slot;
	const struct gw_service_cfg *service; /* that it is a connection of */
	uint64_t tx_prod, rx_prod, rx_cons;
	struct tcp_state_io st;
};

static void deny(struct take *t, enum ib_reason r)
{
	struct gw_worker *w = t->link->worker;
	struct ib_ctl out = {.req_id = t->m->req_id, .reason = htobe16(r)};

	w->stats.accel_denies++;
	w->stats.deny[r]++;
	gw_accel_send(t->link, IB_MID_DENY, &out);
	if (r == IB_R_BAD_STATE || r == IB_R_BAD_SLOT)
		gw_event(w, GW_EV_BAD_REQUEST, "server %s: request to accelerate refused: %s",
			 t->link->host->cfg->name, ib_reason_name(r));
	if (r != IB_R_NOT_OWNER && r != IB_R_EXISTS)
		gw_flows_reason(w, &t->flow, t->link->host->id, r);
}

static bool owned(const struct gw_host *h, const struct net_addr *a)
{
	for (uint32_t i = 0; i < h->n_addr; i++) {
		if (net_addr_eq(&h->addr[i], a))
			return true;
	}
	return false;
}

const struct gw_service_cfg *gw_take_service(const struct gw_cfg *cfg, const struct net_flow *f)
{
	static const struct net_addr any;

	for (uint32_t i = 0; i < cfg->n_service; i++) {
		const struct gw_service_cfg *s = &cfg->service[i];

		if (!net_addr_eq(&s->addr, &any) && !net_addr_eq(&s->addr, &f->local))
			continue;
		if (!s->port || s->port == be16toh(f->lport))
			return s->accelerate == GW_ACCEL_OFF ? NULL : s;
	}
	return NULL;
}

/* Finds the service of the local address and port. */
static enum ib_reason check_policy(struct take *t)
{
	const struct gw_cfg *cfg = t->link->worker->gw->cfg;

	t->service = gw_take_service(cfg, &t->flow);
	return t->service ? IB_R_NONE : IB_R_POLICY;
}

/* Arena and slot. */
static enum ib_reason check_slot(struct take *t)
{
	const struct gw_host *h = t->link->host;
	const struct gw_alink *al = gw_alink_of(t->link);
	uint32_t n = atomic_load_explicit(&h->n_arena, memory_order_acquire);
	uint16_t id = be16toh(t->m->arena);

	t->slot = be16toh(t->m->slot);
	for (uint32_t i = 0; i < n; i++) {
		if (h->arena[i].id != id)
			continue;
		if (t->slot >= h->arena[i].slots || t->slot >= GW_MAX_SLOTS)
			return IB_R_BAD_SLOT;
		if (al->slots[i][t->slot / 64] >> t->slot % 64 & 1)
			return IB_R_BAD_SLOT;
		t->arena = &h->arena[i];
		t->arena_index = (uint16_t)i;
		return IB_R_NONE;
	}
	return IB_R_BAD_SLOT;
}

/* Options, in the form the core takes them. */
static void read_options(struct take *t)
{
	const struct ib_req *m = t->m;
	struct tcp_state_io *st = &t->st;

	st->version = TCP_STATE_VERSION;
	st->state = m->flags & IB_REQ_FIN_SEEN ? TCP_S_CLOSE_WAIT : TCP_S_ESTABLISHED;
	st->mss = (uint16_t)be32toh(m->mss);
	st->wscale_ok = m->flags & IB_REQ_WSCALE;
	st->snd_wscale = m->snd_wscale;
	st->rcv_wscale = m->rcv_wscale;
	st->sack_ok = m->flags & IB_REQ_SACK;
	st->ts_ok = m->flags & IB_REQ_TS;
	st->ecn_ok = m->flags & IB_REQ_ECN;
	st->ts_recent_valid = m->flags & IB_REQ_TS_RECENT;
	st->ts_val = be32toh(m->ts_val);
	st->ts_recent = be32toh(m->ts_recent);
	st->srtt_us = be32toh(m->srtt_us);
	st->rttvar_us = be32toh(m->rttvar_us);
}

/* Positions of both directions; ib_req_check() found that they agree. */
static void read_positions(struct take *t)
{
	const struct ib_req *m = t->m;
	struct tcp_state_io *st = &t->st;

	t->tx_prod = be64toh(m->tx_prod);
	t->rx_prod = be64toh(m->rx_prod);
	t->rx_cons = be64toh(m->rx_cons);
	st->snd_una = be32toh(m->snd_una);
	st->snd_nxt = be32toh(m->snd_nxt);
	st->snd_avail = st->snd_una + (uint32_t)t->tx_prod;
	st->snd_wnd = be32toh(m->snd_wnd);
	st->snd_wl1 = be32toh(m->snd_wl1);
	st->snd_wl2 = st->snd_una;
	st->max_wnd = be32toh(m->max_wnd);
	st->rcv_nxt = be32toh(m->rcv_nxt);
	st->rcv_edge = be32toh(m->rcv_edge);
	st->rcv_room = st->rcv_nxt + t->arena->rx_size - (uint32_t)(t->rx_prod - t->rx_cons);
}

/* Takes a place within each limit, or none. */
static enum ib_reason take_limits(struct take *t)
{
	struct gw_host *h = t->link->host;
	struct gw *gw = t->link->worker->gw;
	_Atomic uint32_t *const n[] = {&gw->accelerated, &h->accelerated,
				       &gw->service_accelerated[t->service->id]};
	const uint32_t max[] = {gw->cfg->max_accelerated, h->cfg->max_accelerated,
				t->service->max_accelerated};
	static const enum ib_reason why[] = {IB_R_GW_LIMIT, IB_R_HOST_LIMIT, IB_R_GW_LIMIT};

	for (int i = 0; i < 3; i++) {
		if (atomic_fetch_add_explicit(n[i], 1, memory_order_relaxed) < max[i])
			continue;
		for (int j = i; j >= 0; j--)
			atomic_fetch_sub_explicit(n[j], 1, memory_order_relaxed);
		return why[i];
	}
	return IB_R_NONE;
}

static void drop_limits(struct take *t)
{
	struct gw *gw = t->link->worker->gw;

	atomic_fetch_sub_explicit(&gw->accelerated, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&t->link->host->accelerated, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&gw->service_accelerated[t->service->id], 1,
				  memory_order_relaxed);
}

/* Checks everything that needs no resource. */
static enum ib_reason check(struct take *t)
{
	struct gw_worker *w = t->link->worker;
	struct gw_host *h = t->link->host;
	struct corr_flow key;
	enum ib_reason r;
	char a[NET_ADDRSTR];

	if (!owned(h, &t->flow.local)) {
		gw_event(w, GW_EV_NOT_OWNER, "server %s asked to accelerate for %s", h->cfg->name,
			 net_addr_str(&t->flow.local, a));
		return IB_R_NOT_OWNER;
	}
	if (!h->link[w->index].up)
		return IB_R_SHUTDOWN;
	r = gw_steer_native(w, &t->flow) ? IB_R_POLICY : check_policy(t);
	memcpy(&key, &t->flow, sizeof(key));
	/* First, so that a request that comes twice is not taken for one that lies about slots. */
	if (!r && corr_accel_by_flow(w->accel->map, &key))
		r = IB_R_EXISTS;
	if (!r)
		r = check_slot(t);
	if (!r && (be32toh(t->m->mss) < GW_MSS_MIN ||
		   net_addr_is_v4(&t->flow.remote) != net_addr_is_v4(&t->flow.local)))
		r = IB_R_BAD_STATE;
	if (!r)
		r = ib_req_check(t->m, t->arena);
	if (r)
		return r;
	read_options(t);
	read_positions(t);
	return IB_R_NONE;
}

/* Fills in a new connection. */
static enum ib_reason prepare(struct take *t, struct gw_conn *c)
{
	struct gw_worker *w = t->link->worker;
	struct corr_flow key;
	uint16_t mss_max;

	c->flow = t->flow;
	c->arena = (uint8_t)t->arena_index;
	c->slot = t->slot;
	c->service = (uint8_t)t->service->id;
	c->tx_ahead = (uint32_t)t->tx_prod;
	c->rx_prod = t->rx_prod;
	c->rx_unread = (uint32_t)(t->rx_prod - t->rx_cons);
	gw_lines_ip(c, be32toh(t->m->ip));
	c->tx_seq0 = t->st.snd_una;
	c->rx_fin = t->st.state == TCP_S_CLOSE_WAIT; /* its FIN lies behind the last byte */
	c->rx_seq0 = t->st.rcv_nxt - c->rx_fin - (uint32_t)t->rx_prod;
	if (gw_emit_route(c))
		return IB_R_NO_ROUTE;
	t->st.is_v6 = !net_addr_is_v4(&c->flow.local);
	mss_max = gw_conn_port(c)->cfg->mtu - (net_addr_is_v4(&c->flow.local) ? 40 : 60);
	if (t->st.mss > mss_max)
		t->st.mss = mss_max;
	if (tcp_import(c->tcp, &w->accel->tcp, &t->st, w->now_us))
		return IB_R_BAD_STATE;
	memcpy(&key, &t->flow, sizeof(key));
	if (corr_accel_add(w->accel->map, &key, c, &c->token))
		return IB_R_GW_LIMIT;
	return IB_R_NONE;
}

/* True when the flow is another worker's: the host is told. */
static bool redirect(const struct take *t)
{
	struct gw_worker *w = t->link->worker;
	const uint32_t to = gw_spread_flow(w->gw, &t->flow);
	struct ib_ctl out = {.req_id = t->m->req_id, .worker = htobe16((uint16_t)to)};

	if (to == w->index)
		return false;
	w->stats.accel_redirects++;
	gw_accel_send(t->link, IB_MID_REDIRECT, &out);
	return true;
}

void gw_take_req(struct gw_link *l, const struct ib_req *req)
{
	struct gw_worker *w = l->worker;
	struct take t = {.link = l, .m = req};
	struct ib_grant out = {.req_id = req->req_id, .epoch = htobe32(w->gw->epoch)};
	enum ib_reason r;
	struct gw_conn *c;

	w->stats.accel_requests++;
	memcpy(t.flow.remote.b, req->remote, 16);
	memcpy(t.flow.local.b, req->local, 16);
	t.flow.rport = req->rport; /* network byte order both */
	t.flow.lport = req->lport;
	if (redirect(&t))
		return;
	r = check(&t);
	if (!r)
		r = take_limits(&t);
	if (r) {
		deny(&t, r);
		return;
	}
	c = gw_conn_new(w->accel, l, req->req_id);
	r = c ? prepare(&t, c) : IB_R_GW_LIMIT;
	if (r) {
		drop_limits(&t);
		if (c)
			gw_conn_forget(c);
		deny(&t, r);
		return;
	}
	c->counted = true;
	gw_alink_of(l)->slots[c->arena][c->slot / 64] |= 1ull << c->slot % 64;
	gw_conn_set_state(c, GW_C_PREPARED);
	gw_conn_wait(c, GW_GRANT_US);
	gw_timer_set(w->accel, c, gw_conn_due(c));
	w->stats.accel_grants++;
	out.token = htobe32(c->token);
	gw_accel_send(l, IB_MID_GRANT, &out);
}

void gw_take_commit(struct gw_link *l, const struct ib_ctl *m)
{
	struct gw_worker *w = l->worker;
	struct gw_conn *c = corr_accel_by_token(w->accel->map, be32toh(m->token));
	struct ib_ctl out = {.token = m->token, .reason = htobe16(IB_R_TIMEOUT)};
	struct rte_mbuf *f;
	struct net_pkt p;

	if (!c || c->link != l || c->state != GW_C_PREPARED) {
		/* The grant is over: the host takes the connection back. */
		w->stats.drop[GW_DROP_STALE_TOKEN]++;
		if (!c)
			gw_accel_send(l, IB_MID_DISCONN, &out);
		return;
	}
	w->stats.accel_commits++;
	gw_conn_set_state(c, GW_C_ACTIVE);
	tcp_expect_late(c->tcp, w->now_us + LATE_US);
	c->line_due = true;
	gw_accel_dirty(c);
	/* Frames that overtook this message; none is held while the connection runs. */
	for (uint32_t n = c->held; n > 0 && (f = gw_conn_unhold(c)) != NULL; n--) {
		if (net_parse(rte_pktmbuf_mtod(f, uint8_t *), rte_pktmbuf_data_len(f), 0, &p))
			gw_accel_drop(w, f, GW_DROP_BAD_ENCAP);
		else
			gw_conn_input(c, f, &p);
	}
}

void gw_take_cancel(struct gw_link *l, const struct ib_ctl *m)
{
	struct gw_conn *c = gw_conn_by_req(l->worker->accel, l, m->req_id);
	struct ib_ctl out = {.token = m->token, .req_id = m->req_id};

	l->worker->stats.accel_cancels++;
	if (c && c->state != GW_C_PREPARED) {
		/* After COMMIT only a hand-back leads back. */
		l->worker->stats.drop[GW_DROP_BAD_MESSAGE]++;
		return;
	}
	if (c) {
		out.token = htobe32(c->token);
		gw_conn_forget(c);
	}
	gw_accel_send(l, IB_MID_CANCEL_ACK, &out);
}
