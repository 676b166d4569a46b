/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_gw.c - attachment to a gateway (DESIGN 4.5, 4.6).
 *
 * Theory of operation
 *
 *   DOWN -> CONNECTING -> HELLO -> READY -> UP -> FENCING -> DOWN ...
 *
 * The bootstrap stream carries one JSON object per line (host_boot.c). Native frames flow from
 * READY on, takeovers from UP on. Whatever fails - the stream, five unanswered heartbeats, one
 * queue pair - the whole attachment is given up: all its queue pairs go to ERR, are drained to the
 * last flush completion, and only then its connections are brought back from their control blocks.
 * Then it is tried anew, for ever, with a growing pause.
 *
 * Each gateway has a protection domain of its own, so its rkeys are worth nothing to another one.
 */
#include "host/host_gw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/host_daemon.h"

#define BACKOFF_MIN 0.1	  /* seconds */
#define BACKOFF_MAX 3.0	  /* seconds */
#define MISSED_MAX  5	  /* heartbeats without a line from the gateway */
#define DRAIN_TICK  0.002 /* seconds between looks at draining queue pairs */

const char *host_gwstate_name(enum host_gwstate s)
{
	static const char *const names[] = {
#define _(sym, name) [HOST_G_##sym] = name,
		HOST_FOREACH_GWSTATE(_)
#undef _
	};

	return names[s];
}

void host_gw_timer(struct host_gw *g, double after)
{
	ev_timer_stop(g->h->loop, &g->timer);
	ev_timer_set(&g->timer, after, 0.);
	ev_timer_start(g->h->loop, &g->timer);
}

void host_gw_set_state(struct host_gw *g, enum host_gwstate s)
{
	host_log(HOST_LOG_DEBUG, "gateway %s: %s -> %s", g->conf->name, host_gwstate_name(g->state),
		 host_gwstate_name(s));
	g->state = s;
}

static bool gw_drained(const struct host_gw *g)
{
	for (unsigned int i = 0; i < g->n_workers; i++)
		if ((g->worker[i].open && !ib_set_drained(&g->worker[i].set)) ||
		    !host_rc_drained(&g->worker[i]))
			return false;
	return true;
}

/* Every queue pair is quiet: the lines are final as they are. */
static void gw_dismantle(struct host_gw *g)
{
	struct host *h = g->h;

	host_conn_gateway_lost(h, g);
	for (unsigned int i = 0; i < g->n_workers; i++) {
		struct host_worker *w = &g->worker[i];

		host_flows_forget_worker(&h->flows, w);
		if (w->open)
			ib_set_close(&w->set);
		host_rc_close(w);
		if (w->ah)
			ibv_destroy_ah(w->ah);
		memset(w, 0, sizeof(*w));
	}
	g->n_workers = 0;
	for (unsigned int i = 0; i < h->n_arena; i++)
		h->arena[i]->mrs[g->idx].told = h->arena[i]->mrs[g->idx].ok = false;
}

void host_gw_lost(struct host_gw *g, const char *why)
{
	const bool was_up = g->state == HOST_G_UP;

	if (g->state == HOST_G_FENCING || g->state == HOST_G_DOWN)
		return;
	host_log(was_up ? HOST_LOG_WARN : HOST_LOG_DEBUG, "gateway %s: lost: %s", g->conf->name,
		 why);
	if (was_up)
		host_count(&g->h->count, HOST_C_GW_LOST);
	host_stream_close(g);
	host_gw_set_state(g, HOST_G_FENCING);
	host_page_update(g->h);
	for (unsigned int i = 0; i < g->n_workers; i++) {
		if (g->worker[i].open)
			ib_set_fence(&g->worker[i].set);
		host_rc_fence(&g->worker[i]);
	}
	host_gw_timer(g, 0.);
}

void host_gw_up(struct host_gw *g)
{
	host_gw_set_state(g, HOST_G_UP);
	g->backoff = BACKOFF_MIN;
	host_log(HOST_LOG_INFO, "gateway %s: attached, %u worker(s)", g->conf->name, g->n_workers);
	for (unsigned int i = 0; i < g->h->n_arena; i++)
		host_gw_tell_arena(g->h, g->h->arena[i]);
	host_page_update(g->h);
	host_gw_timer(g, g->heartbeat);
}

void host_gw_tell_arena(struct host *h, struct host_arena *a)
{
	for (unsigned int i = 0; i < h->n_gw; i++) {
		struct host_gw *g = &h->gw[i];
		struct host_arena_mrs *m = &a->mrs[i];
		char what[64], err[IB_ERRLEN];
		int rc;

		if (g->state != HOST_G_UP || m->told)
			continue;
		rc = host_arena_register(a, i, g->dev.pd);
		if (rc) {
			snprintf(what, sizeof(what), "registering arena %u of %zu MiB", a->id,
				 a->size >> 20);
			ib_explain(rc, what, err);
			host_log(HOST_LOG_ERROR, "%s; its connections stay native", err);
			continue;
		}
		m->told = true;
		host_boot_arena(g, a);
	}
}

static void gw_fencing(struct host_gw *g)
{
	ib_cq_poll(&g->h->cq, 1024);
	if (!gw_drained(g)) {
		host_gw_timer(g, DRAIN_TICK);
		return;
	}
	gw_dismantle(g);
	host_gw_set_state(g, HOST_G_DOWN);
	host_gw_timer(g, g->backoff);
	g->backoff = g->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : g->backoff * 2;
}

static void gw_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct host_gw *g = w->data;

	switch (g->state) {
	case HOST_G_DOWN:
		if (!g->h->stopping)
			host_stream_connect(g);
		return;
	case HOST_G_FENCING:
		gw_fencing(g);
		return;
	case HOST_G_UP:
		if (++g->missed > MISSED_MAX) {
			host_gw_lost(g, "heartbeats unanswered");
			return;
		}
		host_gw_timer(g, g->heartbeat);
		host_boot_ping(g);
		return;
	default:
		host_gw_lost(g, "bootstrap takes too long");
	}
}

int host_gw_start(struct host *h, struct host_gw *g, const struct host_conf_gw *conf,
		  unsigned int idx)
{
	memset(g, 0, sizeof(*g));
	g->h = h;
	g->conf = conf;
	g->idx = idx;
	g->fd = -1;
	g->backoff = BACKOFF_MIN;
	g->in = malloc(HOST_BOOT_LINE);
	g->dev = h->dev;
	g->dev.pd = ibv_alloc_pd(h->dev.ctx);
	if (!g->in || !g->dev.pd)
		return ENOMEM;
	g->dev_open = true;
	host_stream_init(g);
	ev_timer_init(&g->timer, gw_tick, 0., 0.);
	g->timer.data = g;
	host_gw_timer(g, 0.);
	return 0;
}

void host_gw_stop(struct host_gw *g)
{
	host_gw_lost(g, "stopping");
	ev_timer_stop(g->h->loop, &g->timer);
	for (int i = 0; i < 200 && !gw_drained(g); i++) {
		ib_cq_poll(&g->h->cq, 1024);
		if (i > 20)
			usleep(1000);
	}
	gw_dismantle(g);
	for (unsigned int i = 0; i < g->h->n_arena; i++)
		host_arena_unregister(g->h->arena[i], g->idx);
	if (g->dev_open)
		ibv_dealloc_pd(g->dev.pd);
	free(g->in);
	free(g->out);
}
