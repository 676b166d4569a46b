/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_ipcd.c - programs that connect to taghostd (host_ipc.h): HELLO and TAKEOVER.
 *
 * Anybody on the machine may connect; who it is comes from the kernel (SO_PEERCRED) and decides
 * which arena it shares. A socket can only be offered by who has it (SCM_RIGHTS).
 */
#include "host/host_ipcd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/host_daemon.h"

#define IPC_MAX_FDS 3
#define ARENA_TICK  0.005 /* seconds between looks whether the gateway knows an arena */
#define ARENA_TRIES 100

static void ipc_drop(struct host_ipc_client *cl)
{
	struct host *h = cl->h;

	if (cl->pending)
		cl->pending->client = NULL;
	ev_io_stop(h->loop, &cl->io);
	ev_timer_stop(h->loop, &cl->timer);
	if (cl->later_fd >= 0)
		close(cl->later_fd);
	close(cl->fd);
	LIST_REMOVE(cl, link);
	h->ipc.n--;
	free(cl);
}

void host_ipc_reply(struct host_ipc_client *cl, const struct host_ipc_rep *rep, const int *fds,
		    int n)
{
	union {
		char buf[CMSG_SPACE(IPC_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} ctl = {0};
	struct iovec iov = {.iov_base = (void *)rep, .iov_len = sizeof(*rep)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > 0) {
		struct cmsghdr *c;

		m.msg_control = ctl.buf;
		m.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
	}
	if (sendmsg(cl->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		host_log(HOST_LOG_WARN, "answering process %d: %s", cl->pid, strerror(errno));
}

/* The first takeover of a user comes while the gateway is still being told about the arena. */
static bool ipc_arena_known(struct host_ipc_client *cl)
{
	struct host *h = cl->h;
	struct host_arena *a = host_arena_of(h, cl->uid);

	for (unsigned int i = 0; a && i < h->n_gw; i++)
		if (h->gw[i].state == HOST_G_UP && a->mrs[i].told && !a->mrs[i].ok)
			return false;
	return true;
}

static void ipc_takeover(struct host_ipc_client *cl, int fd, uint32_t have_arena)
{
	if (ipc_arena_known(cl) || cl->tries++ >= ARENA_TRIES) {
		cl->tries = 0;
		host_takeover_start(cl->h, cl, fd, have_arena);
		return;
	}
	cl->later_fd = fd;
	cl->later_arena = have_arena;
	ev_timer_set(&cl->timer, ARENA_TICK, 0.);
	ev_timer_start(cl->h->loop, &cl->timer);
}

static void ipc_later(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct host_ipc_client *cl = w->data;
	int fd = cl->later_fd;

	cl->later_fd = -1;
	ipc_takeover(cl, fd, cl->later_arena);
}

/* One request; *fd is what came along, set to -1 when it was taken. */
static void ipc_request(struct host_ipc_client *cl, const struct host_ipc_req *req, int *fd)
{
	struct host_ipc_rep rep = {.type = req->type};

	switch (req->type) {
	case HOST_IPC_HELLO:
		host_arena_of(cl->h,
			      cl->uid); /* made early, so that the gateway knows it in time */
		host_ipc_reply(cl, &rep, &cl->h->page.ro_fd, 1);
		return;
	case HOST_IPC_TAKEOVER:
		if (*fd >= 0 && !cl->pending && cl->later_fd < 0) {
			ipc_takeover(cl, *fd, req->have_arena);
			*fd = -1;
			return;
		}
		/* fall through */
	default:
		host_drop(&cl->h->count, HOST_C_BAD_IPC, "process %d: bad request %u", cl->pid,
			  req->type);
		rep.result = IB_R_BAD_STATE;
		host_ipc_reply(cl, &rep, NULL, 0);
	}
}

/* Collects the descriptors of a message; more than one is a mistake and all are closed. */
static int ipc_take_fd(struct msghdr *m)
{
	int fd = -1, n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (n++)
				close(got);
			else
				fd = got;
		}
	}
	return fd;
}

static void ipc_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host_ipc_client *cl = w->data;
	union {
		char buf[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct host_ipc_req req;
	struct iovec iov = {.iov_base = &req, .iov_len = sizeof(req)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = ctl.buf,
			   .msg_controllen = sizeof(ctl.buf)};
	ssize_t n = recvmsg(cl->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ipc_drop(cl);
		return;
	}
	fd = ipc_take_fd(&m);
	if (n != sizeof(req) || (m.msg_flags & MSG_TRUNC) || req.version != HOST_IPC_VERSION) {
		host_drop(&cl->h->count, HOST_C_BAD_IPC, "process %d: malformed request", cl->pid);
		if (fd >= 0)
			close(fd);
		ipc_drop(cl);
		return;
	}
	ipc_request(cl, &req, &fd);
	if (fd >= 0)
		close(fd);
}

static void ipc_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host *h = w->data;
	struct host_ipc_client *cl;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd = accept4(h->ipc.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	cl = h->ipc.n < HOST_IPC_CLIENTS ? calloc(1, sizeof(*cl)) : NULL;
	if (!cl || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len)) {
		free(cl);
		close(fd);
		return;
	}
	cl->h = h;
	cl->fd = fd;
	cl->uid = cred.uid;
	cl->pid = cred.pid;
	cl->later_fd = -1;
	ev_timer_init(&cl->timer, ipc_later, 0., 0.);
	cl->timer.data = cl;
	ev_io_init(&cl->io, ipc_readable, fd, EV_READ);
	cl->io.data = cl;
	ev_io_start(h->loop, &cl->io);
	LIST_INSERT_HEAD(&h->ipc.clients, cl, link);
	h->ipc.n++;
}

/* Directories above the socket, as for any daemon that finds /run empty. */
static void ipc_mkdirs(const char *path)
{
	char dir[108];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		mkdir(dir, 0755);
		*p = '/';
	}
}

/* True when somebody listens at the address already. */
static bool ipc_taken(const struct sockaddr_un *sa)
{
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool yes = s >= 0 && connect(s, (const struct sockaddr *)sa, sizeof(*sa)) == 0;

	if (s >= 0)
		close(s);
	return yes;
}

int host_ipc_open(struct host *h, char *err, size_t room)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int rc = 0;

	LIST_INIT(&h->ipc.clients);
	memcpy(sa.sun_path, h->conf.socket, strlen(h->conf.socket));
	ipc_mkdirs(h->conf.socket);
	if (ipc_taken(&sa)) {
		snprintf(err, room, "%s: another taghostd serves it", h->conf.socket);
		return EADDRINUSE;
	}
	unlink(sa.sun_path);
	h->ipc.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->ipc.fd < 0 || bind(h->ipc.fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    chmod(sa.sun_path, 0666) || listen(h->ipc.fd, 512)) {
		rc = errno;
		snprintf(err, room, "%s: %s", h->conf.socket, strerror(rc));
		host_ipc_close(h);
		return rc;
	}
	ev_io_init(&h->ipc.io, ipc_accept, h->ipc.fd, EV_READ);
	h->ipc.io.data = h;
	ev_io_start(h->loop, &h->ipc.io);
	return 0;
}

void host_ipc_close(struct host *h)
{
	struct host_ipc_client *cl;

	while ((cl = LIST_FIRST(&h->ipc.clients)))
		ipc_drop(cl);
	if (h->ipc.fd >= 0) {
		ev_io_stop(h->loop, &h->ipc.io);
		close(h->ipc.fd);
		unlink(h->conf.socket);
	}
	h->ipc.fd = -1;
}
