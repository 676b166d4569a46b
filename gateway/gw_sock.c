/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_sock.c - Unix stream sockets that carry one JSON object per line each way: what the
 * bootstrap of hosts and the control socket have in common. Nothing here ever blocks.
 */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/gw_int.h"

#define OUT_MAX (64u << 20) /* unsent bytes after which a peer that does not read is dropped */

/* Makes the directory of path, like mkdir of one level. */
static void make_dir(const char *path)
{
	char copy[108];

	snprintf(copy, sizeof(copy), "%s", path);
	mkdir(dirname(copy), 0755);
}

/* Knocks at an address: 0 when somebody listens, else an errno (ECONNREFUSED: not any more). */
static int knock(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return errno;
	rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ? errno : 0;
	close(fd);
	return rc;
}

bool gw_sock_in_use(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		return false;
	strcpy(sa.sun_path, path);
	rc = knock(&sa);
	return rc == 0 || rc == EAGAIN;
}

int gw_sock_listen(const char *path, unsigned int mode)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sa.sun_path, path);
	make_dir(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	rc = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	if (rc && errno == EADDRINUSE && knock(&sa) == ECONNREFUSED) {
		unlink(path);
		rc = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	}
	if (rc || chmod(path, mode) || listen(fd, 512)) {
		rc = errno;
		close(fd);
		errno = rc;
		return -1;
	}
	return fd;
}

/* Sets what the loop watches. */
static void watch(struct gw_line_conn *c)
{
	int events = EV_READ | (c->out_len ? EV_WRITE : 0);

	ev_io_stop(c->loop, &c->io);
	ev_io_set(&c->io, c->fd, events);
	ev_io_start(c->loop, &c->io);
}

/* Writes what the socket takes. False: the connection is over. */
static bool flush(struct gw_line_conn *c)
{
	while (c->out_len) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		memmove(c->out, c->out + n, c->out_len - (size_t)n);
		c->out_len -= (size_t)n;
	}
	return !c->closing;
}

/* Hands over complete lines. False: a line is too long or closing. */
static bool split(struct gw_line_conn *c)
{
	char *start = c->in, *nl;
	size_t left = c->in_len;

	while (!c->closing && (nl = memchr(start, '\n', left))) {
		*nl = '\0';
		c->line(c, start);
		left -= (size_t)(nl + 1 - start);
		start = nl + 1;
	}
	memmove(c->in, start, left);
	c->in_len = left;
	return left < c->in_max;
}

/* Reads what is there. False: the connection is over. */
static bool fill(struct gw_line_conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, c->in_max - c->in_len, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	c->in_len += (size_t)n;
	return split(c);
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct gw_line_conn *c = io->data;

	if (((revents & EV_READ) && !c->closing && !fill(c)) || !flush(c)) {
		c->end(c);
		return;
	}
	watch(c);
}

int gw_line_open(struct gw_line_conn *c, struct ev_loop *loop, int fd, size_t max)
{
	c->fd = fd;
	c->loop = loop;
	c->in_max = max;
	c->in = malloc(max);
	if (!c->in)
		return ENOMEM;
	ev_io_init(&c->io, on_io, fd, EV_READ);
	c->io.data = c;
	ev_io_start(loop, &c->io);
	return 0;
}

void gw_line_send(struct gw_line_conn *c, json_t *v)
{
	char *text = v ? json_dumps(v, JSON_COMPACT) : NULL, *grown;
	size_t n = text ? strlen(text) : 0;

	json_decref(v);
	if (!text || c->out_len + n > OUT_MAX) {
		free(text);
		c->closing = true;
		return;
	}
	if (c->out_len + n + 1 > c->out_room) {
		grown = realloc(c->out, c->out_len + n + 1);
		if (!grown) {
			free(text);
			c->closing = true;
			return;
		}
		c->out = grown;
		c->out_room = c->out_len + n + 1;
	}
	memcpy(c->out + c->out_len, text, n);
	c->out[c->out_len + n] = '\n';
	c->out_len += n + 1;
	free(text);
	watch(c);
}

void gw_line_finish(struct gw_line_conn *c)
{
	c->closing = true;
	watch(c);
	ev_feed_event(c->loop, &c->io, EV_WRITE);
}

void gw_line_free(struct gw_line_conn *c)
{
	ev_io_stop(c->loop, &c->io);
	close(c->fd);
	free(c->in);
	free(c->out);
}
