/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_conn.c - life of a connection's structure, its state, and its turn.
 */
#include <string.h>

#include "gateway/gw_accel.h"

const char *gw_conn_state_name(enum gw_conn_state s)
{
	static const char *const names[] = {
#define _(sym, name) [GW_C_##sym] = name,
		GW_FOREACH_CONN_STATE(_)
#undef _
	};

	return s < GW_C_COUNT ? names[s] : "?";
}

void gw_conn_set_state(struct gw_conn *c, enum gw_conn_state s)
{
	c->state = s;
	c->timed = false;
	if (c->tcp)
		tcp_trace_owner(c->tcp, s, 0, 0, 0, c->link->worker->now_us);
}

void gw_conn_wait(struct gw_conn *c, uint32_t us)
{
	c->due = (uint32_t)c->link->worker->now_us + us;
	c->timed = true;
}

uint64_t gw_conn_due(const struct gw_conn *c)
{
	uint64_t now = c->link->worker->now_us;

	return c->timed ? now + (uint64_t)(int64_t)(int32_t)(c->due - (uint32_t)now) : TCP_NEVER;
}

struct gw_conn *gw_conn_new(struct gw_accel *a, struct gw_link *l, uint32_t req_id)
{
	struct gw_conn *c = TAILQ_FIRST(&a->idle);

	if (c)
		TAILQ_REMOVE(&a->idle, c, work);
	else if (a->fresh_conns < a->max_conns)
		c = &a->conns[a->fresh_conns++];
	else
		return NULL;
	memset(c, 0, sizeof(*c));
	c->link = l;
	if (!gw_live_new(a, c)) {
		TAILQ_INSERT_HEAD(&a->idle, c, work);
		return NULL;
	}
	c->arm_tx = c->arm_rx = IB_ARM_NEVER;
	c->born_ds = (uint32_t)(a->w->now_us / 100000);
	a->req_id[c - a->conns] = req_id;
	a->n_conns++;
	return c;
}

/* True for a connection that somebody may still talk about. */
static bool of_link(const struct gw_conn *c, const struct gw_link *l)
{
	return c->link == l && c->state != GW_C_FREE && c->state != GW_C_GONE;
}

struct gw_conn *gw_conn_next(struct gw_accel *a, const struct gw_link *l, uint32_t *it)
{
	while (*it < a->fresh_conns) {
		struct gw_conn *c = &a->conns[(*it)++];

		if (of_link(c, l))
			return c;
	}
	return NULL;
}

struct gw_conn *gw_conn_by_req(struct gw_accel *a, const struct gw_link *l, uint32_t req_id)
{
	for (uint32_t i = 0; i < a->fresh_conns; i++) {
		if (a->req_id[i] == req_id && of_link(&a->conns[i], l))
			return &a->conns[i];
	}
	return NULL;
}

/* Back to the pool. */
static void conn_free(struct gw_accel *a, struct gw_conn *c)
{
	gw_conn_set_state(c, GW_C_FREE);
	a->n_conns--;
	TAILQ_INSERT_HEAD(&a->idle, c, work);
}

/* Gives back its part of the limits, and its slot. */
static void uncount(struct gw_conn *c)
{
	struct gw_host *h = c->link->host;
	struct gw *gw = c->link->worker->gw;

	if (!c->counted)
		return;
	c->counted = false;
	atomic_fetch_sub_explicit(&gw->accelerated, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&h->accelerated, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&gw->service_accelerated[c->service], 1, memory_order_relaxed);
	gw_alink_of(c->link)->slots[c->arena][c->slot / 64] &= ~(1ull << c->slot % 64);
}

void gw_conn_forget(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);
	struct gw_alink *al = gw_alink_of(c->link);
	const struct tcp_conn *t;
	struct tcp_conn room;
	struct rte_mbuf *m;

	if (c->token)
		corr_accel_del(a->map, c->token);
	if (c->queued == GW_Q_DIRTY)
		TAILQ_REMOVE(&a->dirty, c, work);
	else if (c->queued == GW_Q_STARVED)
		TAILQ_REMOVE(&a->starved, c, work);
	c->queued = GW_Q_NONE;
	gw_timer_del(a, c);
	while ((m = gw_conn_unhold(c)) != NULL)
		gw_accel_drop(a->w, m, GW_DROP_HELD_LOST);
	if (c->place) {
		gw_place_put(a, gw_conn_place(c));
		gw_conn_set_place(c, NULL);
		al->places--;
	}
	gw_fetch_drop(c);
	uncount(c);
	t = gw_live_look(c, &room);
	gw_flows_carried(a->w, &c->flow, tcp_bytes_out(t), tcp_bytes_in(t), c->born_ds * 100000ull);
	gw_live_release(c);
	gw_conn_set_state(c, GW_C_GONE);
	if (!c->ops_out)
		conn_free(a, c);
}

void gw_conn_op_done(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);

	c->ops_out--;
	a->ops_out--;
	if (c->state == GW_C_GONE && !c->ops_out)
		conn_free(a, c);
	gw_accel_feed(a);
}

/* The core's event(): noted only; gw_conn_run() acts. */
static void on_event(struct tcp_conn *t, enum tcp_event ev)
{
	struct gw_conn *c = gw_conn_of(t);

	switch (ev) {
	case TCP_E_FIN:
		c->line_due = true;
		break;
	case TCP_E_DRAINED:
		c->drained = true;
		break;
	case TCP_E_RESET:
		c->link->worker->stats.client_resets++;
		/* fallthrough */
	case TCP_E_TIMEOUT:
	case TCP_E_PAYLOAD:
	case TCP_E_CLOSED:
		if (!c->ended)
			c->ended = (uint8_t)(ev + 1);
		break;
	default:
		break;
	}
}

const struct tcp_ops gw_conn_tcp_ops = {
	.want = gw_fetch_want,
	.emit = gw_emit,
	.acked = gw_fetch_acked,
	.event = on_event,
};

/* The core's turn. */
static void run_tcp(struct gw_conn *c, uint64_t now)
{
	struct gw_accel *a = gw_accel_of(c);

	c->want_blocked = false;
	if (tcp_deadline(c->tcp, now) <= now)
		tcp_timer(c->tcp, now);
	a->n_run = 0;
	tcp_output(c->tcp, now);
	if (a->n_run) {
		/* What was sent may make room for payload that was refused. */
		if (c->want_blocked || a->n_run == GW_SENT_MAX)
			gw_accel_dirty(c);
		gw_emit_sent(c);
	}
	if (c->emit_blocked) {
		c->emit_blocked = false;
		gw_accel_dirty(c); /* the port gives mbufs back in this turn */
	}
	if (c->gap)
		gw_fetch_fill(c);
	if (c->ready_due)
		gw_fetch_tell(c);
}

/* Enters the connection's next deadline into the heap. */
static void run_timer(struct gw_conn *c)
{
	uint64_t due = gw_conn_due(c);

	if (gw_conn_running(c) && gw_live_deadline(c) < due)
		due = gw_live_deadline(c);
	gw_timer_set(gw_accel_of(c), c, due);
}

/* Brings it to work if there is something to do. False: it goes on resting. */
static bool run_wake(struct gw_conn *c, uint64_t now)
{
	if (c->tcp)
		return true;
	if (!c->line_due && !c->peek_due && !c->back_due && gw_live_deadline(c) > now)
		return false;
	if (!gw_live_wake(c)) {
		gw_live_retry(c);
		return false;
	}
	if (c->back_due)
		gw_back_start(c, c->reason);
	return true;
}

void gw_conn_run(struct gw_conn *c)
{
	uint64_t now = c->link->worker->now_us;

	switch ((enum gw_conn_state)c->state) {
	case GW_C_ACTIVE:
	case GW_C_DRAINING:
		if (!run_wake(c, now))
			break;
		run_tcp(c, now);
		gw_lines_run(c);
		gw_back_run(c);
		if (c->want_blocked || c->gap || c->line_due || (c->peek_due && !c->peeking))
			gw_accel_starve(c);
		break;
	case GW_C_PREPARED:
	case GW_C_LOST:
		if (gw_conn_due(c) > now)
			break;
		gw_conn_forget(c);
		return;
	case GW_C_BACK:
		if (gw_conn_due(c) > now)
			break;
		gw_back_ack(c);
		return;
	default:
		break;
	}
	run_timer(c);
	if (c->tcp)
		gw_live_rest(c);
}
