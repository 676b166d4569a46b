/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel_rows.c - what the control socket shows of, and does to, accelerated connections.
 */
#include <errno.h>
#include <string.h>

#include "gateway/gw_accel.h"

bool gw_accel_has(struct gw_worker *w, const struct corr_flow *f)
{
	return w->accel && corr_accel_by_flow(w->accel->map, f);
}

uint32_t gw_accel_token(struct gw_worker *w, const struct net_flow *f)
{
	const struct gw_conn *c =
		w->accel ? corr_accel_by_flow(w->accel->map, (const struct corr_flow *)f) : NULL;

	return c ? c->token : 0;
}

bool gw_accel_flow(struct gw_worker *w, uint32_t token, struct net_flow *f)
{
	const struct gw_conn *c = w->accel ? corr_accel_by_token(w->accel->map, token) : NULL;

	if (!c)
		return false;
	*f = c->flow;
	return true;
}

/* State for people: the core's while it is at work, else the connection's. */
static const char *state_text(const struct gw_conn *c, const struct tcp_conn *t)
{
	if (c->state == GW_C_ACTIVE)
		return tcp_state_name(t->state);
	return gw_conn_state_name(c->state);
}

bool gw_accel_next(struct gw_worker *w, uint32_t *it, struct gw_conn_row *row)
{
	struct gw_conn *c = w->accel ? corr_accel_next(w->accel->map, it) : NULL;
	const struct ib_addr *peer;
	const struct tcp_conn *t;
	struct tcp_conn room;

	if (!c)
		return false;
	peer = &c->link->peer;
	t = gw_live_look(c, &room);
	*row = (struct gw_conn_row){
		.flow = c->flow,
		.host = c->link->host->id,
		.accelerated = true,
		.reason = c->state == GW_C_ACTIVE ? IB_R_NONE : c->reason,
		.state = state_text(c, t),
		.token = c->token,
		.qpn = peer->qpn,
		.dlid = peer->lid,
		.tx_bytes = tcp_bytes_out(t),
		.rx_bytes = tcp_bytes_in(t),
		.retransmits = t->stats.retx_segs,
		.srtt_us = t->srtt_us,
		.cwnd = t->cwnd,
		.rdma_read_bytes = c->read_bytes,
		.rdma_write_bytes = c->write_bytes,
		.age_us = w->now_us - c->born_ds * 100000ull,
		.worker = w->index,
	};
	memcpy(row->dgid, peer->gid, sizeof(row->dgid));
	return true;
}

const char *gw_accel_state_name(uint8_t what)
{
	return gw_conn_state_name(what);
}

int gw_accel_detail(struct gw_worker *w, uint32_t token, struct gw_conn_detail *d)
{
	const struct gw_conn *c = w->accel ? corr_accel_by_token(w->accel->map, token) : NULL;

	const struct tcp_conn *t;
	struct tcp_conn room;

	if (!c)
		return ENOENT;
	t = gw_live_look(c, &room);
	d->now = w->now_us;
	d->at_work = c->tcp != NULL;
	d->recovery = t->recovery;
	d->timer = t->timer;
	d->soft_error = t->soft_error;
	tcp_estats_get(t, w->now_us, &d->estats);
	d->count = tcp_box_count(t);
	d->n_ev = tcp_box_read(t, d->ev, GW_EVENTS_MAX);
	return 0;
}

int gw_accel_handback(struct gw_worker *w, uint32_t token, enum ib_reason r)
{
	struct gw_conn *c = w->accel ? corr_accel_by_token(w->accel->map, token) : NULL;

	if (!c || c->state != GW_C_ACTIVE)
		return ENOENT;
	gw_back_start(c, r);
	return 0;
}

int gw_accel_kill(struct gw_worker *w, uint32_t token)
{
	struct gw_conn *c = w->accel ? corr_accel_by_token(w->accel->map, token) : NULL;

	if (!c || !gw_conn_running(c))
		return ENOENT;
	if (!gw_live_wake(c))
		return EAGAIN;
	gw_back_kill(c, IB_R_COMMAND);
	return 0;
}

int gw_accel_ask(struct gw_worker *w, uint32_t host, const struct net_flow *f)
{
	struct gw_link *l = &w->gw->host[host].link[w->index];

	if (!w->accel || !l->up || !l->accel)
		return ENOTCONN;
	gw_accel_send_flow(l, IB_MID_ASK, f);
	w->stats.accel_asks++;
	return 0;
}

void gw_accel_mem(const struct gw_worker *w, struct gw_accel_mem *mem)
{
	const struct gw_accel *a = w->accel;

	memset(mem, 0, sizeof(*mem));
	mem->conn_bytes = sizeof(struct gw_conn);
	if (!a)
		return;
	mem->conns = a->n_conns;
	mem->chunks = a->n_chunks;
	mem->chunks_used = a->chunks_used;
	mem->recs = a->recs.n_total;
	mem->recs_used = a->recs.n_total - a->recs.n_free;
	mem->recs_peak = a->recs.n_total - a->recs.min_free;
	mem->recs_short = a->recs.coalesced + a->recs.blurred + a->recs.waits;
	mem->held = a->held + a->n_stray;
	mem->live = a->n_live;
	mem->live_used = a->live_used;
	mem->live_bytes = sizeof(struct gw_live);
	mem->boxes = a->boxes.n;
	mem->boxes_used = a->boxes.used;
	mem->box_bytes = tcp_boxes_size(a->boxes.n, a->boxes.entries);
	mem->boxes_taken = a->boxes.taken;
	mem->boxes_refused = a->boxes.refused;
}
