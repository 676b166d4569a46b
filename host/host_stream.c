/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_stream.c - the bootstrap's stream socket: connecting, and lines in and out, without
 * blocking.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/host_daemon.h"

#define HELLO_TIME 5.0		/* seconds until "up" */
#define OUT_MAX	   (256u << 10) /* bytes that may wait to be sent */

void host_stream_close(struct host_gw *g)
{
	if (g->fd < 0)
		return;
	ev_io_stop(g->h->loop, &g->rd);
	ev_io_stop(g->h->loop, &g->wr);
	close(g->fd);
	g->fd = -1;
	g->in_len = g->out_len = 0;
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
	host_gw_timer(g, HELLO_TIME);
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

void host_stream_connect(struct host_gw *g)
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

void host_stream_init(struct host_gw *g)
{
	ev_init(&g->rd, gw_readable);
	ev_init(&g->wr, gw_writable);
	g->rd.data = g->wr.data = g;
}
