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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/host_daemon.h"

#define BACKOFF_MIN 0.1	  /* seconds */
#define BACKOFF_MAX 3.0	  /* seconds */
#define MISSED_MAX  5	  /* heartbeats without a line from the gateway */
#define HELLO_TIME  5.0	  /* seconds until "up" */
#define DRAIN_TICK  0.002 /* seconds between looks at draining queue pairs */
#define OUT_MAX	    (256u << 10)

static void gw_connect(struct host_gw *g);

const char *host_gwstate_name(enum host_gwstate s)
{
	static const char *const names[] = {
#define _(sym, name) [HOST_G_##sym] = name,
		HOST_FOREACH_GWSTATE(_)
#undef _
	};

	return names[s];
}

static void gw_timer(struct host_gw *g, double after)
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

static void gw_hangup(struct host_gw *g)
{
	if (g->fd < 0)
		return;
	ev_io_stop(g->h->loop, &g->rd);
	ev_io_stop(g->h->loop, &g->wr);
	close(g->fd);
	g->fd = -1;
	g->in_len = g->out_len = 0;
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
	gw_hangup(g);
	host_gw_set_state(g, HOST_G_FENCING);
	host_page_update(g->h);
	for (unsigned int i = 0; i < g->n_workers; i++) {
		if (g->worker[i].open)
			ib_set_fence(&g->worker[i].set);
		host_rc_fence(&g->worker[i]);
	}
	gw_timer(g, 0.);
}

static void gw_set_dead(struct ib_set *s, enum ibv_wc_status status)
{
	struct host_worker *w = s->owner;

	host_gw_lost(w->gw, ibv_wc_status_str(status));
}

static void gw_set_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
	struct host_worker *w = s->owner;

	host_drop(&w->gw->h->count, HOST_C_BAD_MSG, "gateway %s: malformed %s of %u bytes",
		  w->gw->conf->name, ib_mid_name(mid), bytes);
}

static void gw_set_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	struct host_worker *w = s->owner;

	host_conn_msg(w, mid, entries, n);
}

static const struct ib_set_ops set_ops = {
	.msg = gw_set_msg, .bad = gw_set_bad, .dead = gw_set_dead};

static int gw_open_worker(struct host_gw *g, struct host_worker *w, json_t *desc)
{
	json_t *pair = json_object_get(desc, "set");
	const char *native = json_string_value(json_object_get(desc, "native"));
	const char *nrc = json_string_value(json_object_get(desc, "native_rc"));
	const char *ctl = json_string_value(json_array_get(pair, 0));
	const char *rd = json_string_value(json_array_get(pair, 1));
	struct ib_addr peer[2], rc_peer;
	int rc;

	if (!native || !ctl || !rd || ib_addr_parse(native, &w->native) ||
	    ib_addr_parse(ctl, &peer[0]) || ib_addr_parse(rd, &peer[1]) ||
	    (nrc && ib_addr_parse(nrc, &rc_peer)))
		return EINVAL;
	w->ah = ib_ah(&g->h->dev, &w->native);
	if (!w->ah)
		return errno ? errno : EIO;
	rc = ib_set_open(&w->set, &g->dev, &g->h->cq, HOST_SQ_DEPTH, &set_ops, w);
	if (rc)
		return rc;
	w->open = true;
	rc = ib_set_connect(&w->set, peer);
	return rc || !nrc ? rc : host_rc_open(w, &rc_peer);
}

int host_gw_open_workers(struct host_gw *g, json_t *workers)
{
	size_t i;
	json_t *desc;

	if (json_array_size(workers) < 1 || json_array_size(workers) > HOST_MAX_WORKERS)
		return EINVAL;
	json_array_foreach(workers, i, desc)
	{
		struct host_worker *w = &g->worker[i];
		int rc;

		memset(w, 0, sizeof(*w));
		w->gw = g;
		w->idx = (uint16_t)i;
		g->n_workers = (unsigned int)i + 1;
		rc = gw_open_worker(g, w, desc);
		if (rc)
			return rc;
	}
	return 0;
}

void host_gw_up(struct host_gw *g)
{
	host_gw_set_state(g, HOST_G_UP);
	g->backoff = BACKOFF_MIN;
	host_log(HOST_LOG_INFO, "gateway %s: attached, %u worker(s)", g->conf->name, g->n_workers);
	for (unsigned int i = 0; i < g->h->n_arena; i++)
		host_gw_tell_arena(g->h, g->h->arena[i]);
	host_page_update(g->h);
	gw_timer(g, g->heartbeat);
}

void host_gw_tell_arena(struct host *h, struct host_arena *a)
{
	for (unsigned int i = 0; i < h->n_gw; i++) {
		struct host_gw *g = &h->gw[i];
		struct host_arena_mrs *m = &a->mrs[i];
		int rc;

		if (g->state != HOST_G_UP || m->told)
			continue;
		rc = host_arena_register(a, i, g->dev.pd);
		if (rc) {
			host_log(HOST_LOG_ERROR, "arena %u: registering: %s (limit memlock?)",
				 a->id, strerror(rc));
			continue;
		}
		m->told = true;
		host_boot_arena(g, a);
	}
}

static void gw_flush_out(struct host_gw *g)
{
	while (g->fd >= 0 && g->out_len) {
		ssize_t n = send(g->fd, g->out, g->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				break;
			host_gw_lost(g, strerror(errno));
			return;
		}
		g->out_len -= (size_t)n;
		memmove(g->out, g->out + n, g->out_len);
	}
	if (g->fd >= 0 && g->out_len)
		ev_io_start(g->h->loop, &g->wr);
	else
		ev_io_stop(g->h->loop, &g->wr);
}

void host_gw_write(struct host_gw *g, json_t *obj)
{
	char *text = obj ? json_dumps(obj, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	char *grown;

	json_decref(obj);
	if (!text || g->fd < 0 || g->out_len + len + 1 > OUT_MAX)
		goto out;
	grown = realloc(g->out, g->out_len + len + 1);
	if (!grown)
		goto out;
	g->out = grown;
	memcpy(g->out + g->out_len, text, len);
	g->out[g->out_len + len] = '\n';
	g->out_len += len + 1;
	free(text);
	gw_flush_out(g);
	return;
out:
	free(text);
	if (g->fd >= 0)
		host_gw_lost(g, "cannot queue a bootstrap line");
}

/* Hands complete lines on; what is left moves to the front. */
static void gw_lines(struct host_gw *g)
{
	char *start = g->in, *nl;

	while (g->fd >= 0 && (nl = memchr(start, '\n', g->in_len - (size_t)(start - g->in)))) {
		if (nl > start && host_boot_line(g, start, (size_t)(nl - start))) {
			host_gw_lost(g, "bootstrap refused");
			return;
		}
		start = nl + 1;
	}
	if (g->fd < 0)
		return;
	g->in_len -= (size_t)(start - g->in);
	memmove(g->in, start, g->in_len);
	if (g->in_len == HOST_BOOT_LINE)
		host_gw_lost(g, "bootstrap line too long");
}

static void gw_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host_gw *g = w->data;
	ssize_t n = recv(g->fd, g->in + g->in_len, HOST_BOOT_LINE - g->in_len, MSG_DONTWAIT);

	if (n > 0) {
		g->in_len += (size_t)n;
		gw_lines(g);
	} else if (n == 0) {
		host_gw_lost(g, "it closed the bootstrap");
	} else if (errno != EAGAIN && errno != EINTR) {
		host_gw_lost(g, strerror(errno));
	}
}

static void gw_connected(struct host_gw *g)
{
	host_gw_set_state(g, HOST_G_HELLO);
	gw_timer(g, HELLO_TIME);
	ev_io_start(g->h->loop, &g->rd);
	host_boot_hello(g);
}

static void gw_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host_gw *g = w->data;
	int err = 0;
	socklen_t len = sizeof(err);

	if (g->state != HOST_G_CONNECTING) {
		gw_flush_out(g);
		return;
	}
	getsockopt(g->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err)
		host_gw_lost(g, strerror(err));
	else
		gw_connected(g);
}

static void gw_connect(struct host_gw *g)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memcpy(sa.sun_path, g->conf->connect, strlen(g->conf->connect));
	g->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	host_gw_set_state(g, HOST_G_CONNECTING);
	if (g->fd < 0) {
		host_gw_lost(g, strerror(errno));
		return;
	}
	ev_io_set(&g->rd, g->fd, EV_READ);
	ev_io_set(&g->wr, g->fd, EV_WRITE);
	if (connect(g->fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		gw_connected(g);
	else if (errno == EINPROGRESS)
		ev_io_start(g->h->loop, &g->wr);
	else
		host_gw_lost(g, strerror(errno));
}

static void gw_fencing(struct host_gw *g)
{
	ib_cq_poll(&g->h->cq, 1024);
	if (!gw_drained(g)) {
		gw_timer(g, DRAIN_TICK);
		return;
	}
	gw_dismantle(g);
	host_gw_set_state(g, HOST_G_DOWN);
	gw_timer(g, g->backoff);
	g->backoff = g->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : g->backoff * 2;
}

static void gw_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct host_gw *g = w->data;

	switch (g->state) {
	case HOST_G_DOWN:
		if (!g->h->stopping)
			gw_connect(g);
		return;
	case HOST_G_FENCING:
		gw_fencing(g);
		return;
	case HOST_G_UP:
		if (++g->missed > MISSED_MAX) {
			host_gw_lost(g, "heartbeats unanswered");
			return;
		}
		gw_timer(g, g->heartbeat);
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
	ev_init(&g->rd, gw_readable);
	ev_init(&g->wr, gw_writable);
	ev_timer_init(&g->timer, gw_tick, 0., 0.);
	g->rd.data = g->wr.data = g->timer.data = g;
	gw_timer(g, 0.);
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

int host_gw_msg(struct host_worker *w, uint8_t mid, const void *entry)
{
	if (!w || !w->open || w->gw->state != HOST_G_UP)
		return EPIPE;
	w->dirty = true;
	return ib_set_msg(&w->set, mid, entry);
}

void host_gw_flush(struct host *h)
{
	for (unsigned int i = 0; i < h->n_gw; i++)
		for (unsigned int k = 0; k < h->gw[i].n_workers; k++) {
			struct host_worker *w = &h->gw[i].worker[k];

			if (w->open && !w->set.dead)
				ib_set_flush(&w->set);
			w->dirty = false;
		}
}

struct host_worker *host_gw_by_source(struct host *h, const struct ibv_wc *wc, const uint8_t *grh)
{
	uint8_t mapped[16];
	const uint8_t *gid = h->dev.roce ? ib_grh_source(grh, mapped) : NULL;

	for (unsigned int i = 0; i < h->n_gw; i++) {
		struct host_gw *g = &h->gw[i];

		for (unsigned int k = 0; k < g->n_workers; k++) {
			const struct ib_addr *a = &g->worker[k].native;

			if (a->qpn != wc->src_qp)
				continue;
			if (gid ? !memcmp(gid, a->gid, 16) : wc->slid == a->lid)
				return &g->worker[k];
		}
	}
	return NULL;
}

struct host_worker *host_gw_default(struct host *h)
{
	for (unsigned int i = 0; i < h->n_gw; i++)
		if (h->gw[i].state == HOST_G_UP || h->gw[i].state == HOST_G_READY)
			return &h->gw[i].worker[0];
	return NULL;
}
