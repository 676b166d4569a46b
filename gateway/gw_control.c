/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control.c - the control socket: one JSON object per line each way. A request is
 * {"cmd": "OBJECT VERB", ...}; the answer is the document, or {"error": "..."}. The commands are
 * in gw_control_cmd.c.
 */
#define GW_LOG_MODULE GW_LM_CONTROL

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_int.h"

#define LINE_MAX_BYTES 65536
#define CLIENTS_MAX    64

/** A client of the control socket. */
struct client {
	struct gw_line_conn conn;   /* its socket */
	struct gw_control *control; /* owner */
	struct client *next;	    /* in gw_control.clients */
	uint64_t capture;	    /* number of the one that ends with this client, 0: none */
};

struct gw_control {
	struct gw *gw;
	struct ev_loop *loop;
	int fd;			/* listening */
	ev_io io;		/* accepts */
	struct client *clients; /* all of them */
	uint32_t n_clients;
};

/* User at the other end. */
static uid_t asker(const struct gw_line_conn *conn)
{
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t len = sizeof(who);

	getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
	return who.uid;
}

static void on_line(struct gw_line_conn *conn, char *text)
{
	struct client *c = (struct client *)conn;
	struct gw *gw = c->control->gw;
	const uint64_t before = gw->capture ? gw->capture->serial : 0;
	json_error_t err;
	json_t *req = json_loads(text, 0, &err), *reply;

	if (json_is_object(req))
		reply = gw_control_cmd(gw, asker(conn), req);
	else
		reply = json_pack("{s:s}", "error", "a request is one JSON object in one line");
	if (gw->capture && gw->capture->serial != before &&
	    json_is_true(json_object_get(req, "attached")))
		c->capture = gw->capture->serial;
	json_decref(req);
	gw_line_send(conn, reply);
}

static void on_end(struct gw_line_conn *conn)
{
	struct client *c = (struct client *)conn, **at = &c->control->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	gw_capture_left(c->control->gw, c->capture);
	c->control->n_clients--;
	gw_line_free(conn);
	free(c);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int revents)
{
	struct gw_control *t = io->data;
	int fd;

	while ((fd = accept4(t->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *c = t->n_clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

		if (!c || gw_line_open(&c->conn, loop, fd, LINE_MAX_BYTES)) {
			free(c);
			close(fd);
			continue;
		}
		c->control = t;
		c->conn.line = on_line;
		c->conn.end = on_end;
		c->next = t->clients;
		t->clients = c;
		t->n_clients++;
	}
}

int gw_control_open(struct gw_ctl *ctl)
{
	struct gw_control *t = calloc(1, sizeof(*t));

	if (!t)
		return ENOMEM;
	t->gw = ctl->gw;
	t->loop = ctl->loop;
	t->fd = gw_sock_listen(ctl->gw->cfg->control, 0660);
	if (t->fd < 0) {
		int rc = errno;

		gw_log(GW_LOG_ERROR, "[gateway] control: %s: %s%s", ctl->gw->cfg->control,
		       strerror(rc), rc == EADDRINUSE ? "; is another tagd running?" : "");
		free(t);
		return rc;
	}
	ev_io_init(&t->io, on_accept, t->fd, EV_READ);
	t->io.data = t;
	ev_io_start(t->loop, &t->io);
	ctl->control = t;
	return 0;
}

void gw_control_close(struct gw_ctl *ctl)
{
	struct gw_control *t = ctl->control;

	if (!t)
		return;
	while (t->clients)
		on_end(&t->clients->conn);
	ev_io_stop(t->loop, &t->io);
	close(t->fd);
	unlink(t->gw->cfg->control);
	free(t);
	ctl->control = NULL;
}
