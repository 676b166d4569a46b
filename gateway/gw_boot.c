/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_boot.c - the bootstrap socket (DESIGN 4.6): hosts attach here, and here it shows when they
 * are gone. One JSON object per line; the messages are in gw_boot_msg.c.
 *
 * A session that ends takes its host DOWN. When the host itself is gone, its clients'
 * connections are kept, silent, until it returns or host-timeout is over. When only a queue pair
 * died, the host is told to attach again, and resumes its connections natively by itself.
 */
#define GW_LOG_MODULE GW_LM_HOST

#include "gateway/gw_boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEAD_TICKS 3 /* a host that died also loses its queue pairs: let its socket tell */

void gw_boot_error(struct gw_session *s, const char *fmt, ...)
{
	char text[256], line[sizeof(text) + GW_NAMELEN + 16];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "bootstrap: %s%s%s", s->host ? s->host->cfg->name : "",
		 s->host ? ": " : "", text);
	gw_log_kind(GW_LM_HOST, GW_LOG_WARNING, "bootstrap", line, 0);
	s->host_alive = true;
	gw_line_send(&s->conn, json_pack("{s:s, s:s}", "type", "error", "text", text));
	gw_line_finish(&s->conn);
}

/* The session is over. */
static void session_end(struct gw_line_conn *c)
{
	struct gw_session *s = (struct gw_session *)c, **at;
	struct gw_boot *b = s->boot;
	struct gw_host *h = s->host;

	for (at = &b->sessions; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	b->n_sessions--;
	ev_timer_stop(b->loop, &s->beat);
	gw_line_free(&s->conn);
	if (h) {
		gw_host_down(b->gw, h, !s->host_alive);
		if (h->state == GW_HOST_LOST) {
			ev_timer_set(&b->lost[h->id], b->gw->cfg->host_timeout_ms / 1000., 0.);
			ev_timer_start(b->loop, &b->lost[h->id]);
		}
	}
	free(s);
}

/* A LOST host's time is over. */
static void on_lost(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct gw_boot *b = t->data;
	struct gw_host *h = &b->gw->host[t - b->lost];

	gw_log(GW_LOG_WARNING, "server %s did not come back in %u s: its clients are reset",
	       h->cfg->name, b->gw->cfg->host_timeout_ms / 1000);
	gw_host_gone(b->gw, h);
}

static void on_beat(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct gw_session *s = t->data;

	if (++s->silent > GW_BOOT_MISSED) {
		gw_log(GW_LOG_WARNING, "server %s: silent for %u heartbeats",
		       s->host ? s->host->cfg->name : "not attached", GW_BOOT_MISSED);
		session_end(&s->conn);
		return;
	}
	if (s->host)
		gw_line_send(&s->conn,
			     json_pack("{s:s, s:I}", "type", "ping", "n", (json_int_t)++s->pings));
}

static void on_accept(struct ev_loop *loop, ev_io *io, int revents)
{
	struct gw_boot *b = io->data;
	struct gw_session *s;
	int fd;

	while ((fd = accept4(b->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		s = b->n_sessions < GW_BOOT_SESSIONS ? calloc(1, sizeof(*s)) : NULL;
		if (!s || gw_line_open(&s->conn, loop, fd, GW_BOOT_LINE)) {
			free(s);
			close(fd);
			continue;
		}
		s->boot = b;
		s->conn.line = gw_boot_line;
		s->conn.end = session_end;
		s->next = b->sessions;
		b->sessions = s;
		b->n_sessions++;
		ev_timer_init(&s->beat, on_beat, GW_BOOT_HEARTBEAT / 1000.,
			      GW_BOOT_HEARTBEAT / 1000.);
		s->beat.data = s;
		ev_timer_start(loop, &s->beat);
	}
}

/* True when a queue pair of the host's links failed. */
static bool link_dead(const struct gw *gw, const struct gw_host *h)
{
	for (uint32_t i = 0; i < gw->n_worker; i++) {
		const struct gw_link *l = &h->link[i];

		if (l->up && (l->set.dead || l->rc.dead))
			return true;
	}
	return false;
}

static void on_reopen(struct gw_worker *w, void *arg)
{
	gw_native_close(w);
	*(int *)arg = gw_native_open(w);
}

void gw_boot_again(struct gw_ctl *ctl, const char *why)
{
	struct gw_session *s, *next;

	for (s = ctl->boot->sessions; s; s = next) {
		next = s->next;
		if (s->host)
			gw_boot_error(s, "%s", why);
	}
}

void gw_boot_leave(struct gw_ctl *ctl, const struct gw_host *h)
{
	struct gw_session *s, *next;

	for (s = ctl->boot->sessions; s; s = next) {
		next = s->next;
		if (s->host == h && !s->conn.closing)
			gw_boot_error(s, "it is not in the gateway's configuration any more");
	}
}

/* A native queue pair died: every host has to learn the new one. */
static void reopen_native(struct gw_ctl *ctl, struct gw_worker *w)
{
	int rc = 0;

	gw_boot_again(ctl, "the gateway's native queue pair failed; attach again");
	gw_call(w, on_reopen, &rc);
	if (rc)
		gw_log(GW_LOG_ERROR, "native queue pair of worker %u: %s", w->index, strerror(rc));
}

void gw_boot_tick(struct gw_ctl *ctl)
{
	struct gw_boot *b = ctl->boot;

	for (struct gw_session *s = b->sessions; s; s = s->next)
		if (s->host && !s->conn.closing && link_dead(b->gw, s->host) &&
		    ++s->dead_ticks >= DEAD_TICKS)
			gw_boot_error(s, "a queue pair between us failed; attach again");
	for (uint32_t i = 0; i < b->gw->n_worker; i++)
		if (b->gw->worker[i]->ud.dead)
			reopen_native(ctl, b->gw->worker[i]);
}

int gw_boot_open(struct gw_ctl *ctl)
{
	struct gw_boot *b = calloc(1, sizeof(*b));

	if (!b)
		return ENOMEM;
	b->gw = ctl->gw;
	b->loop = ctl->loop;
	b->fd = gw_sock_listen(ctl->gw->cfg->listen, 0660);
	if (b->fd < 0) {
		int rc = errno;

		gw_log(GW_LOG_ERROR, "[fabric] listen: %s: %s%s", ctl->gw->cfg->listen,
		       strerror(rc), rc == EADDRINUSE ? "; is another tagd running?" : "");
		free(b);
		return rc;
	}
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++) {
		ev_timer_init(&b->lost[i], on_lost, 0., 0.);
		b->lost[i].data = b;
	}
	ev_io_init(&b->io, on_accept, b->fd, EV_READ);
	b->io.data = b;
	ev_io_start(b->loop, &b->io);
	ctl->boot = b;
	return 0;
}

void gw_boot_close(struct gw_ctl *ctl)
{
	struct gw_boot *b = ctl->boot;

	if (!b)
		return;
	while (b->sessions) {
		b->sessions->host_alive = true;
		session_end(&b->sessions->conn);
	}
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++)
		ev_timer_stop(b->loop, &b->lost[i]);
	ev_io_stop(b->loop, &b->io);
	close(b->fd);
	unlink(b->gw->cfg->listen);
	free(b);
	ctl->boot = NULL;
}
