/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_metrics.c - the HTTP server of the metrics page: libmicrohttpd, driven by the control
 * thread's loop through its epoll descriptor. GET /metrics only; a client gets one answer and
 * 16 clients are served at a time, each for at most 10 seconds.
 */
#define GW_LOG_MODULE GW_LM_CONTROL

#include "gateway/gw_metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/gw_int.h"

#define CLIENTS_MAX 16
#define TIMEOUT_S   10

/** The server. */
struct gw_metrics {
	const struct gw *gw;
	struct MHD_Daemon *http;
	struct ev_loop *loop;
	ev_io io;	/* its epoll descriptor */
	ev_timer timer; /* its time-outs */
};

static enum MHD_Result answer(struct MHD_Connection *conn, unsigned int status, char *text,
			      size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
				"text/plain; version=0.0.4; charset=utf-8");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ok = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result refuse(struct MHD_Connection *conn, unsigned int status, const char *text)
{
	return answer(conn, status, (char *)text, strlen(text), MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **ctx)
{
	struct gw_metrics *m = cls;
	char *page;
	size_t len;

	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return refuse(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	if (strcmp(url, "/metrics"))
		return refuse(conn, MHD_HTTP_NOT_FOUND, "the metrics are at /metrics\n");
	gw_log(GW_LOG_DEBUG, "metrics are read");
	page = gw_metrics_page(m->gw, &len);
	if (!page)
		return refuse(conn, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory\n");
	return answer(conn, MHD_HTTP_OK, page, len, MHD_RESPMEM_MUST_FREE);
}

/* Lets the server work, and asks when it wants to be called without a descriptor's news. */
static void serve(struct gw_metrics *m)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(m->http);
	ev_timer_stop(m->loop, &m->timer);
	if (MHD_get_timeout(m->http, &ms) == MHD_YES) {
		ev_timer_set(&m->timer, (double)ms / 1000, 0);
		ev_timer_start(m->loop, &m->timer);
	}
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	serve(io->data);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
	serve(t->data);
}

/* Listens at "ADDRESS:PORT", "[ADDRESS]:PORT" or "/PATH". The descriptor, or -1 with errno. */
static int listen_at(const char *where)
{
	struct addrinfo hint = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
				.ai_socktype = SOCK_STREAM};
	struct addrinfo *ai;
	const char *port = strrchr(where, ':'), *addr = where;
	char name[128];
	size_t len;
	int fd, one = 1, rc;

	if (where[0] == '/')
		return gw_sock_listen(where, 0660);
	errno = EINVAL;
	if (!port)
		return -1;
	len = (size_t)(port - where);
	if (len >= 2 && addr[0] == '[' && addr[len - 1] == ']') {
		addr++;
		len -= 2;
	}
	snprintf(name, sizeof(name), "%.*s", (int)len, addr);
	if (getaddrinfo(name, port + 1, &hint, &ai))
		return -1;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
			bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, CLIENTS_MAX))) {
		rc = errno;
		close(fd);
		errno = rc;
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

static int fail(struct gw_metrics *m, int fd, int rc)
{
	gw_log(GW_LOG_ERROR, "[gateway] metrics = %s: %s%s", m->gw->cfg->metrics, strerror(rc),
	       rc == EINVAL ? "; give ADDRESS:PORT, [ADDRESS]:PORT or /PATH" : "");
	if (fd >= 0)
		close(fd);
	free(m);
	return rc;
}

int gw_metrics_open(struct gw_ctl *ctl)
{
	struct gw_metrics *m;
	const union MHD_DaemonInfo *info;
	int fd;

	if (!ctl->gw->cfg->metrics[0])
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return ENOMEM;
	m->gw = ctl->gw;
	m->loop = ctl->loop;
	fd = listen_at(m->gw->cfg->metrics);
	if (fd < 0)
		return fail(m, -1, errno);
	m->http = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, m,
				   MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				   CLIENTS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
				   MHD_OPTION_END);
	if (!m->http)
		return fail(m, fd, ENOMEM);
	info = MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_EPOLL_FD);
	ev_io_init(&m->io, on_io, info->epoll_fd, EV_READ);
	m->io.data = m;
	ev_io_start(m->loop, &m->io);
	ev_timer_init(&m->timer, on_timer, 0, 0);
	m->timer.data = m;
	ctl->metrics = m;
	return 0;
}

void gw_metrics_close(struct gw_ctl *ctl)
{
	struct gw_metrics *m = ctl->metrics;

	if (!m)
		return;
	ev_io_stop(m->loop, &m->io);
	ev_timer_stop(m->loop, &m->timer);
	MHD_stop_daemon(m->http);
	if (m->gw->cfg->metrics[0] == '/')
		unlink(m->gw->cfg->metrics);
	free(m);
	ctl->metrics = NULL;
}
