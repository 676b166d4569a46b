/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model_fabric.c - messages on their way, queue pairs that die, daemons that restart.
 *
 * A set that dies takes along what is under way. What one side has fenced, the other may still
 * hear: messages posted before arrive late, until the gateway notices.
 */
#include <string.h>

#include "tests/model/model.h"

static void put(struct m_walk *w, struct m_chan *c, uint8_t mid, uint8_t req, uint8_t tok)
{
	if (c->n == M_CHAN) {
		w->misstep = M_F_FULL;
		return;
	}
	c->m[c->n++] = (struct m_msg){.mid = mid, .req = req, .tok = tok};
}

/* Takes message i out. */
static void take(struct m_chan *c, int i)
{
	c->n--;
	memmove(&c->m[i], &c->m[i + 1], (c->n - i) * sizeof(c->m[0]));
	memset(&c->m[c->n], 0, sizeof(c->m[0]));
}

/* Mirrors host_gw_msg(): nothing leaves without an attachment. */
void m_to_gw(struct m_walk *w, struct m_state *s, int k, uint8_t mid, uint8_t req, uint8_t tok)
{
	if (s->gw == HOST_G_UP && !s->dead[k] && s->host == GW_HOST_UP)
		put(w, &s->to_gw[k], mid, req, tok);
}

/* Mirrors gw_accel_send(). */
void m_to_host(struct m_walk *w, struct m_state *s, int k, uint8_t mid, uint8_t req, uint8_t tok)
{
	if (s->gw == HOST_G_UP && !s->dead[k] && s->host == GW_HOST_UP)
		put(w, &s->to_host[k], mid, req, tok);
}

/* Arrival of message i of a channel, found at offset `at` of the state. */
static void arrive(struct m_walk *w, const struct m_state *s, int k, bool at_gw, int i, bool keep)
{
	struct m_state n = *s;
	struct m_chan *c = at_gw ? &n.to_gw[k] : &n.to_host[k];
	struct m_msg m = c->m[i];

	if (keep)
		n.doubles--;
	else
		take(c, i);
	if (at_gw)
		m_gw_msg(w, &n, k, m);
	else
		m_host_msg(w, &n, k, m);
}

static void arrivals(struct m_walk *w, const struct m_state *s, int k, bool at_gw)
{
	const struct m_chan *c = at_gw ? &s->to_gw[k] : &s->to_host[k];

	if (at_gw ? s->host != GW_HOST_UP || s->dead[k] & M_DEAD_GW : s->gw != HOST_G_UP)
		return;
	for (int i = 0; i < (w->lax ? c->n : c->n > 0); i++) {
		arrive(w, s, k, at_gw, i, false);
		if (w->lax && s->doubles)
			arrive(w, s, k, at_gw, i, true);
	}
}

/* taghostd is killed and started again. What it held of the kernel's sockets dies with it; a
 * program whose socket was not yet taken keeps it. */
static void host_restarts(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	n.faults--;
	n.gone |= s->conn == HOST_S_ACCEL || s->conn == HOST_S_BACK || s->conn == HOST_S_PUMP;
	n.conn = M_NONE;
	n.flow = HOST_F_NATIVE;
	n.gw = HOST_G_DOWN;
	n.tok = n.worker = n.redirects = n.link = n.abort = 0;
	n.fresh = n.fenced = 1;
	memset(n.to_host, 0, sizeof(n.to_host));
	m_step(w, &n, "taghostd restarts", false);
}

/* tagd is killed and started again. */
static void gw_restarts(struct m_walk *w, const struct m_state *s)
{
	struct m_state n = *s;

	n.faults--;
	n.host = GW_HOST_ABSENT;
	memset(n.c, 0, sizeof(n.c));
	memset(n.to_gw, 0, sizeof(n.to_gw));
	memset(n.to_host, 0, sizeof(n.to_host));
	m_step(w, &n, "tagd restarts", false);
}

static void faults(struct m_walk *w, const struct m_state *s)
{
	struct m_state n;

	for (int k = 0; k < M_WORKERS; k++) {
		if (s->dead[k] || s->gw != HOST_G_UP || s->host != GW_HOST_UP)
			continue;
		n = *s;
		n.faults--;
		n.dead[k] = M_DEAD_WIRE;
		memset(&n.to_gw[k], 0, sizeof(n.to_gw[k]));
		memset(&n.to_host[k], 0, sizeof(n.to_host[k]));
		m_step(w, &n, k ? "set 1 dies" : "set 0 dies", false);
	}
	if (s->gw == HOST_G_UP) {
		n = *s;
		n.faults--;
		m_host_gw_lost(w, &n);
		m_step(w, &n, "host: heartbeats unanswered", false);
	}
	host_restarts(w, s);
	gw_restarts(w, s);
}

void m_fabric_steps(struct m_walk *w, const struct m_state *s)
{
	for (int k = 0; k < M_WORKERS; k++) {
		arrivals(w, s, k, true);
		arrivals(w, s, k, false);
	}
	if (s->faults)
		faults(w, s);
}
