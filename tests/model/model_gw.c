/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model_gw.c - the gateway's transitions. Each function names the one of gateway/ that it mirrors.
 */
#include <string.h>

#include "tests/model/model.h"

/* gw_conn_forget() */
static void forget(struct m_state *n, int k)
{
	memset(&n->c[k], 0, sizeof(n->c[k]));
}

/* gw_take_req(): grants, refuses, or sends the host to the other worker. */
static void take_req(struct m_walk *w, struct m_state *n, int k, struct m_msg m)
{
	const struct m_state s = *n;

	m_to_host(w, n, k, IB_MID_DENY, m.req, 0);
	m_step(w, n, "gateway: REQ, DENY", true);
	if (s.c[k].state != GW_C_FREE) /* the slot and the flow are in use */
		return;
	*n = s;
	m_to_host(w, n, k, IB_MID_REDIRECT, m.req, 0);
	m_step(w, n, "gateway: REQ, REDIRECT", true);
	if (s.tokens == M_TOKENS)
		return;
	*n = s;
	n->tokens++;
	n->c[k] = (struct m_gconn){.state = GW_C_PREPARED, .req = m.req, .tok = n->tokens};
	m_to_host(w, n, k, IB_MID_GRANT, m.req, n->tokens);
	m_step(w, n, "gateway: REQ, GRANT", true);
}

/* gw_take_commit() */
static void take_commit(struct m_walk *w, struct m_state *n, int k, struct m_msg m)
{
	struct m_gconn *c = &n->c[k];
	bool held = c->state != GW_C_FREE && c->tok == m.tok;

	if (held && c->state == GW_C_PREPARED)
		c->state = GW_C_ACTIVE;
	else if (c->state == GW_C_FREE && !m_guard(w, M_G_COMMIT_HELD))
		*c = (struct m_gconn){.state = GW_C_ACTIVE, .req = m.req, .tok = m.tok};
	else if (!held && m_guard(w, M_G_COMMIT_ANSWER))
		m_to_host(w, n, k, IB_MID_DISCONN, 0, m.tok);
}

/* gw_take_cancel() */
static void take_cancel(struct m_walk *w, struct m_state *n, int k, struct m_msg m)
{
	struct m_gconn *c = &n->c[k];

	if (c->state != GW_C_FREE && c->req == m.req) {
		if (c->state != GW_C_PREPARED && m_guard(w, M_G_CANCEL_STATE))
			return;
		forget(n, k);
	}
	m_to_host(w, n, k, IB_MID_CANCEL_ACK, m.req, 0);
}

/* gw_back_ack(). The host must be able to take the client's frames now. */
static void back_ack(struct m_walk *w, struct m_state *n, int k, struct m_msg m)
{
	struct m_gconn *c = &n->c[k];
	bool back = c->state == GW_C_BACK || (c->state == GW_C_FINAL && !m_guard(w, M_G_SILENT));

	if (!back || c->tok != m.tok)
		return;
	forget(n, k);
	if (n->flow == HOST_F_COMMITTED && n->gw == HOST_G_UP)
		w->misstep = M_F_NEITHER;
}

/* on_entry() of gw_accel_msg.c */
void m_gw_msg(struct m_walk *w, struct m_state *n, int k, struct m_msg m)
{
	struct m_gconn *c = &n->c[k];

	switch (m.mid) {
	case IB_MID_REQ:
		take_req(w, n, k, m);
		return;
	case IB_MID_COMMIT:
		take_commit(w, n, k, m);
		m_step(w, n, "gateway: COMMIT", true);
		return;
	case IB_MID_CANCEL:
		take_cancel(w, n, k, m);
		m_step(w, n, "gateway: CANCEL", true);
		return;
	case IB_MID_BACK_ACK:
		back_ack(w, n, k, m);
		m_step(w, n, "gateway: BACK_ACK", true);
		return;
	default: /* gw_back_start(), gw_back_now() */
		if (c->state == GW_C_ACTIVE && c->tok == m.tok) {
			c->state = GW_C_DRAINING;
			c->mid = IB_MID_DISCONN;
		}
		m_step(w, n, m.mid == IB_MID_ABORT ? "gateway: ABORT" : "gateway: REVOKE", true);
	}
}

/* gw_alink_dead() and gw_accel_link_down(host_lost): what runs stands still. */
static void lose(struct m_state *n, int k)
{
	if (m_running(&n->c[k]) || n->c[k].state == GW_C_LOST)
		n->c[k].state = GW_C_LOST;
	else
		forget(n, k);
}

/* session_end(): host_alive says whether the host has been told to come back. */
static void session_end(struct m_walk *w, const struct m_state *s, bool host_alive)
{
	struct m_state n = *s;

	for (int k = 0; k < M_WORKERS; k++) {
		if (host_alive)
			forget(&n, k);
		else
			lose(&n, k);
	}
	n.host = host_alive ? GW_HOST_ABSENT : GW_HOST_LOST;
	memset(n.to_gw, 0, sizeof(n.to_gw));
	memset(n.to_host, 0, sizeof(n.to_host));
	m_step(w, &n, host_alive ? "gateway: attach again" : "gateway: host lost", true);
}

/* gw_host_gone(): host_timeout_ms is over, the clients are reset. */
static void host_gone(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	for (int k = 0; k < M_WORKERS; k++) {
		n.reset |= n.c[k].state == GW_C_LOST;
		forget(&n, k);
	}
	n.host = GW_HOST_ABSENT;
	m_step(w, &n, "gateway: host timeout", true);
}

/* A queue pair's failure is noticed: on_dead() of gw_accel_msg.c. */
static void set_dead(struct m_walk *w, const struct m_state *s, int k)
{
	struct m_state n = *s;

	n.dead[k] |= M_DEAD_WIRE | M_DEAD_GW;
	lose(&n, k);
	memset(&n.to_gw[k], 0, sizeof(n.to_gw[k]));
	memset(&n.to_host[k], 0, sizeof(n.to_host[k]));
	m_step(w, &n, "gateway: set dead", true);
}

/* gw_back_run(), gw_back_final_done() */
static void back_run(struct m_walk *w, const struct m_state *s, int k)
{
	struct m_state n = *s;
	struct m_gconn *c = &n.c[k];

	if (c->state == GW_C_DRAINING) {
		c->state = GW_C_FINAL;
		m_step(w, &n, "gateway: drained", true);
		return;
	}
	if (!m_guard(w, M_G_SILENT) && !c->mid)
		return;
	m_to_host(w, &n, k, c->mid, 0, c->tok);
	if (m_guard(w, M_G_SILENT))
		c->state = GW_C_BACK;
	c->mid = 0;
	m_step(w, &n, "gateway: last line done", true);
}

/* gw_conn_run(): timers, and what somebody wants. */
static void conn_run(struct m_walk *w, const struct m_state *s, int k)
{
	const struct m_gconn *c = &s->c[k];
	bool live = s->host == GW_HOST_UP && s->gw == HOST_G_UP && !s->dead[k];
	struct m_state n = *s;

	if ((c->state == GW_C_DRAINING || c->state == GW_C_FINAL) && live)
		back_run(w, s, k);
	forget(&n, k);
	if (c->state == GW_C_PREPARED && m_guard(w, M_G_GRANT_TIME))
		m_step(w, &n, "gateway: grant too old", true);
	if (c->state == GW_C_BACK)
		m_step(w, &n, "gateway: no BACK_ACK", true);
	if (c->state == GW_C_LOST && s->host == GW_HOST_UP && s->dead[k])
		m_step(w, &n, "gateway: lost long enough", true);
	if (c->state != GW_C_ACTIVE || !s->wishes)
		return;
	n = *s;
	n.wishes--;
	n.c[k].state = GW_C_DRAINING;
	n.c[k].mid = IB_MID_DISCONN;
	m_step(w, &n, "gateway: back_start", false);
	n.c[k].mid = IB_MID_ABORT;
	m_step(w, &n, "client resets", false);
}

/* gw_stray_run(): a client's frame came back bounced and finds no connection. */
static void stray(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	n.strays--;
	m_to_host(w, &n, n.worker, IB_MID_REOFFER, 0, 0);
	m_step(w, &n, "gateway: stray", false);
}

void m_gw_steps(struct m_walk *w, const struct m_state *s)
{
	bool closed = s->gw != HOST_G_UP;

	for (int k = 0; k < M_WORKERS; k++) {
		conn_run(w, s, k);
		if (s->host == GW_HOST_UP && !(s->dead[k] & M_DEAD_GW) && (closed || s->dead[k]))
			set_dead(w, s, k);
	}
	if (s->host == GW_HOST_UP && closed)
		session_end(w, s, false);
	if (s->host == GW_HOST_UP && (s->dead[0] | s->dead[1]) & M_DEAD_GW)
		session_end(w, s, true); /* gw_boot_tick() */
	if (s->host == GW_HOST_LOST)
		host_gone(w, s);
	if (s->strays && s->flow == HOST_F_COMMITTED && s->gw == HOST_G_UP &&
	    s->host == GW_HOST_UP && s->c[0].state == GW_C_FREE && s->c[1].state == GW_C_FREE)
		stray(w, s);
}
