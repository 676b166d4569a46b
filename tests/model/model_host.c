/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model_host.c - the host's transitions. Each function names the one of host/ that it mirrors.
 */
#include <string.h>

#include "tests/model/model.h"

static void forget(struct m_state *n)
{
	n->conn = M_NONE;
	n->tok = n->worker = n->redirects = n->link = n->abort = 0;
}

/* host_takeover_thaw(). told: the gateway has said that it holds nothing. */
static void thaw(struct m_walk *w, struct m_state *n, bool told)
{
	for (int k = 0; told && k < M_WORKERS; k++)
		if (n->c[k].state == GW_C_PREPARED && n->c[k].req == n->req && !w->lax)
			w->misstep = M_F_GRANT_LEFT;
	n->flow = HOST_F_NATIVE;
	forget(n);
}

/* send_req() */
static void send_req(struct m_walk *w, struct m_state *n)
{
	m_to_gw(w, n, n->worker, IB_MID_REQ, n->req, 0);
}

/* host_takeover_start(): the worker that sent last is asked. */
static void takeover_start(struct m_walk *w, const struct m_state *s)
{
	for (uint8_t k = 0; k < M_WORKERS; k++) {
		struct m_state n = *s;

		n.conn = HOST_S_FROZEN;
		n.flow = HOST_F_FROZEN;
		n.req++;
		n.worker = k;
		n.link = 1;
		send_req(w, &n);
		m_step(w, &n, "host: takeover_start", false);
	}
}

/* host_takeover_timer() */
static void takeover_timer(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	if (s->conn == HOST_S_CANCEL) {
		m_host_gw_lost(w, &n);
		m_step(w, &n, "host: no CANCEL_ACK", true);
		return;
	}
	m_to_gw(w, &n, n.worker, IB_MID_CANCEL, n.req, 0);
	if (m_guard(w, M_G_CANCEL_ACK))
		n.conn = HOST_S_CANCEL;
	else
		thaw(w, &n, true);
	m_step(w, &n, "host: takeover_timer", true);
}

/* finish() of host_back.c */
static void finish(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	n.flow = HOST_F_MAPPED;
	n.conn = HOST_S_PUMP;
	if (n.link && m_guard(w, M_G_TRANSLATE))
		m_to_gw(w, &n, n.worker, IB_MID_BACK_ACK, 0, n.tok);
	n.link = n.tok = n.worker = 0;
	if (n.abort) { /* host_pump_end() */
		n.reset = 1;
		forget(&n);
	}
	m_step(w, &n, "host: back, translated", true);
}

/* host_back_start() */
static void back_start(struct m_walk *w, struct m_state *n)
{
	n->conn = HOST_S_BACK;
	if (n->link && !m_guard(w, M_G_TRANSLATE))
		m_to_gw(w, n, n->worker, IB_MID_BACK_ACK, 0, n->tok);
}

/* host_back_reset() */
static void back_reset(struct m_walk *w, struct m_state *n)
{
	if (n->link)
		m_to_gw(w, n, n->worker, IB_MID_BACK_ACK, 0, n->tok);
	n->flow = HOST_F_NATIVE;
	n->reset = 1;
	forget(n);
}

/* host_conn_gateway_lost() */
static void gateway_lost(struct m_walk *w, struct m_state *n)
{
	if (!n->link)
		return;
	n->link = 0;
	if (n->conn == HOST_S_FROZEN || n->conn == HOST_S_CANCEL)
		thaw(w, n, false);
	else if (n->conn == HOST_S_ACCEL)
		back_start(w, n);
}

void m_host_gw_lost(struct m_walk *w, struct m_state *n)
{
	n->gw = HOST_G_FENCING;
	if (!m_guard(w, M_G_DRAIN))
		gateway_lost(w, n);
	memset(n->to_host, 0, sizeof(n->to_host));
}

/* gw_fencing(), gw_dismantle() */
static void drained(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	n.fenced = m_guard(w, M_G_FENCE);
	gateway_lost(w, &n);
	n.gw = HOST_G_DOWN;
	m_step(w, &n, "host: fenced and drained", true);
}

/* on_hello() and on_ready() of gw_boot_msg.c, and host_gw_up(). */
static void attach(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	if (s->host == GW_HOST_UP && m_guard(w, M_G_HELLO))
		return;
	for (int k = 0; k < M_WORKERS && m_guard(w, M_G_RETURNED); k++) {
		if (s->host != GW_HOST_LOST)
			break;
		if (s->fresh && s->c[k].state == GW_C_LOST)
			n.reset = 1; /* gw_accel_host_gone() */
		memset(&n.c[k], 0, sizeof(n.c[k]));
	}
	n.gw = HOST_G_UP;
	n.host = GW_HOST_UP;
	n.fresh = n.fenced = 0;
	memset(n.dead, 0, sizeof(n.dead));
	memset(n.to_gw, 0, sizeof(n.to_gw));
	memset(n.to_host, 0, sizeof(n.to_host));
	m_step(w, &n, "host attaches", true);
}

/* host_wake_abort(), and a REVOKE. */
static void wishes(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	n.wishes--;
	n.abort = 1;
	m_to_gw(w, &n, n.worker, IB_MID_ABORT, 0, n.tok);
	m_step(w, &n, "host: wake_abort", false);
	n.abort = 0;
	n.to_gw[n.worker] = s->to_gw[n.worker];
	m_to_gw(w, &n, n.worker, IB_MID_REVOKE, 0, n.tok);
	m_step(w, &n, "host: revoke", false);
}

void m_host_steps(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	if (s->conn == M_NONE && s->flow == HOST_F_NATIVE && s->gw == HOST_G_UP &&
	    s->req < M_REQS && !s->reset && !s->gone)
		takeover_start(w, s);
	if ((s->conn == HOST_S_FROZEN || s->conn == HOST_S_CANCEL) && s->gw == HOST_G_UP)
		takeover_timer(w, s);
	if (s->conn == HOST_S_BACK)
		finish(w, s);
	if (s->conn == HOST_S_ACCEL && s->link && s->wishes && !s->abort)
		wishes(w, s);
	if (s->gw == HOST_G_UP && (s->dead[0] || s->dead[1] || s->host != GW_HOST_UP)) {
		m_host_gw_lost(w, &n); /* gw_set_dead(), or the stream was closed */
		m_step(w, &n, "host: gateway lost", true);
	}
	if (s->gw == HOST_G_FENCING)
		drained(w, s);
	if (s->gw == HOST_G_DOWN)
		attach(w, s);
}

/* host_takeover_grant() */
static void grant(struct m_walk *w, struct m_state *n, uint8_t tok)
{
	n->tok = tok;
	m_to_gw(w, n, n->worker, IB_MID_COMMIT, n->req, tok);
	n->flow = HOST_F_COMMITTED;
	n->conn = HOST_S_ACCEL;
}

/* conn_answer() */
static void answer(struct m_walk *w, struct m_state *n, struct m_msg m)
{
	bool any = !m_guard(w, M_G_ANSWER_STATE) && n->conn == HOST_S_ACCEL;

	if (m.mid == IB_MID_CANCEL_ACK) {
		if (n->conn == HOST_S_CANCEL || any)
			thaw(w, n, true);
	} else if (m.mid == IB_MID_DENY) {
		if (n->conn == HOST_S_FROZEN || any)
			thaw(w, n, true);
	} else if (n->conn == HOST_S_FROZEN) { /* host_takeover_redirect() */
		n->redirects += m_guard(w, M_G_REDIRECTS);
		if (n->redirects > M_REDIRECTS) {
			thaw(w, n, true);
			return;
		}
		n->worker ^= 1;
		send_req(w, n);
	}
}

/* conn_return() */
static void conn_return(struct m_walk *w, struct m_state *n, int k, struct m_msg m)
{
	bool linked = n->link && (n->conn == HOST_S_ACCEL ||
				  (n->conn == HOST_S_BACK && m_guard(w, M_G_KNOWN)));

	if (!linked || n->tok != m.tok)
		m_to_gw(w, n, k, IB_MID_BACK_ACK, 0, m.tok);
	else if (n->worker != k || n->conn != HOST_S_ACCEL)
		return;
	else if (m.mid == IB_MID_ABORT)
		back_reset(w, n);
	else
		back_start(w, n);
}

/* host_conn_msg() */
void m_host_msg(struct m_walk *w, struct m_state *n, int k, struct m_msg m)
{
	bool mine = n->conn != M_NONE && n->link && n->worker == k &&
		    (m.req == n->req || !m_guard(w, M_G_REQ_ID));

	switch (m.mid) {
	case IB_MID_GRANT:
		if (mine && (n->conn == HOST_S_FROZEN ||
			     (n->conn == HOST_S_CANCEL && !m_guard(w, M_G_GRANT_FROZEN))))
			grant(w, n, m.tok);
		m_step(w, n, "host: GRANT", true);
		return;
	case IB_MID_DENY:
	case IB_MID_REDIRECT:
	case IB_MID_CANCEL_ACK:
		if (mine)
			answer(w, n, m);
		m_step(w, n, ib_mid_name(m.mid), true);
		return;
	case IB_MID_REOFFER: /* conn_reoffer() */
		if (n->conn == HOST_S_ACCEL && n->link && n->worker == k)
			m_host_gw_lost(w, n);
		m_step(w, n, "host: REOFFER", true);
		return;
	default:
		conn_return(w, n, k, m);
		m_step(w, n, m.mid == IB_MID_ABORT ? "host: ABORT" : "host: DISCONN", true);
	}
}
