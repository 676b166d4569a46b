/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_ipc.c - the connection to taghostd (host_ipc.h): made when first needed, made again when it
 * broke, at most one attempt a second while nobody answers. Nothing here is noticed by the program.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/host_ipc.h"
#include "host/sock.h"

#define RETRY_NS     UINT64_C(1000000000)
#define CONNECT_SECS 2	/* taghostd is busy beyond this: do without */
#define REPLY_SECS   10 /* longer than any takeover lasts */
#define MAX_FDS	     3

static char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of taghostd; set once at start */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sock = -1;		  /* hidden descriptor; under lock */
static struct sock_arena *arenas; /* of this connection's taghostd; under lock */
static uint64_t next_attempt;	  /* under lock */
static const struct host_policy_page *_Atomic page;
static _Atomic uint64_t page_check; /* when to look for taghostd again, without the lock */

static void close_fds(int *fd, int n)
{
	for (int i = 0; i < n; i++)
		if (fd[i] >= 0)
			sys_close(fd[i]);
}

static void disconnect(void)
{
	if (sock >= 0)
		sock_unhide_close(sock);
	sock = -1;
	arenas = NULL; /* connections keep theirs */
}

/* Sends a request, with a descriptor unless it is -1. */
static int send_req(const struct host_ipc_req *req, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} u = {0};
	struct iovec iov = {(void *)req, sizeof(*req)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		m.msg_control = &u;
		m.msg_controllen = sizeof(u);
		u.h.cmsg_level = SOL_SOCKET;
		u.h.cmsg_type = SCM_RIGHTS;
		u.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&u.h), &fd, sizeof(int));
	}
	return sys_sendmsg(sock, &m, MSG_NOSIGNAL) == sizeof(*req) ? 0 : EPIPE;
}

/* Receives a reply and up to MAX_FDS descriptors (-1 where there is none). */
static int recv_rep(struct host_ipc_rep *rep, int fds[MAX_FDS])
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} u;
	struct iovec iov = {rep, sizeof(*rep)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *h;
	ssize_t n;

	for (int i = 0; i < MAX_FDS; i++)
		fds[i] = -1;
	do {
		m.msg_control = &u;
		m.msg_controllen = CMSG_LEN(MAX_FDS * sizeof(int)); /* and no more */
		n = sys_recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	h = CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(h), h->cmsg_len - CMSG_LEN(0));
	if (n == sizeof(*rep) && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	close_fds(fds, MAX_FDS);
	return n ? EPROTO : EPIPE;
}

static int call(const struct host_ipc_req *req, int fd, struct host_ipc_rep *rep, int fds[MAX_FDS])
{
	int r = send_req(req, fd);

	if (!r)
		r = recv_rep(rep, fds);
	if (!r && rep->type != req->type) {
		close_fds(fds, MAX_FDS);
		r = EPROTO;
	}
	return r;
}

static int map_page(int fd)
{
	const struct host_policy_page *p;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || (size_t)st.st_size < sizeof(*p))
		return EPROTO;
	p = mmap(NULL, sizeof(*p), PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return ENOMEM;
	if (p->magic != HOST_POLICY_MAGIC) {
		munmap((void *)p, sizeof(*p));
		return EPROTO;
	}
	atomic_store(&page, p); /* the old one stays mapped: somebody may be reading it */
	return 0;
}

static int hello(void)
{
	struct host_ipc_req req = {.type = HOST_IPC_HELLO, .version = HOST_IPC_VERSION};
	struct host_ipc_rep rep;
	int fds[MAX_FDS], r;

	r = call(&req, -1, &rep, fds);
	if (r)
		return r;
	r = rep.result ? EACCES : map_page(fds[0]);
	close_fds(fds, MAX_FDS);
	return r;
}

void sock_ipc_init(void)
{
	const char *env = getenv(HOST_IPC_ENV);

	if (!env || !*env)
		env = HOST_IPC_PATH;
	if (strlen(env) < sizeof(path))
		strcpy(path, env);
}

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval tv = {CONNECT_SECS, 0};
	int fd;

	if (!*path)
		return ENAMETOOLONG;
	memcpy(a.sun_path, path, sizeof(path));
	fd = syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	tv.tv_sec = REPLY_SECS;
	sys_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (syscall(SYS_connect, fd, &a, sizeof(a))) {
		int e = errno;

		sys_close(fd);
		return e;
	}
	sock = sock_hide(fd);
	return sock < 0 ? EMFILE : 0;
}

/* With the lock held: there is a connection, or an errno. */
static int ensure(void)
{
	int r;

	if (sock >= 0)
		return 0;
	if (next_attempt && sock_now() < next_attempt)
		return ENOTCONN;
	r = dial();
	if (!r)
		r = hello();
	if (r) {
		disconnect();
		next_attempt = sock_now() + RETRY_NS;
		sock_log("no taghostd: %s", strerror(r));
	}
	return r;
}

/* With the lock held: a connection that broke while idle is given up. */
static void check_alive(void)
{
	char b;

	if (sock >= 0 && !sys_recv(sock, &b, 1, MSG_PEEK | MSG_DONTWAIT))
		disconnect();
}

const struct host_policy_page *sock_ipc_page(void)
{
	uint64_t now = sock_now();
	int saved = errno;

	/* Once a second: is there a taghostd, and is it the one whose page this is? */
	if (now < atomic_load_explicit(&page_check, memory_order_relaxed) || !sock_own_process())
		return atomic_load(&page);
	pthread_mutex_lock(&lock);
	atomic_store(&page_check, now + RETRY_NS);
	check_alive();
	ensure();
	pthread_mutex_unlock(&lock);
	errno = saved;
	return atomic_load(&page);
}

static struct sock_arena *arena_of(const struct host_ipc_rep *rep, const int fds[MAX_FDS])
{
	struct sock_arena *a;

	for (a = arenas; a; a = a->next)
		if (a->number == rep->arena)
			return a;
	if (fds[1] < 0 || fds[2] < 0)
		return NULL;
	a = sock_arena_map(fds[1], fds[2], rep->arena);
	if (a) {
		a->next = arenas;
		arenas = a;
	}
	return a;
}

static int takeover(int kfd, struct sock_grant *g)
{
	struct host_ipc_req req = {.type = HOST_IPC_TAKEOVER, .version = HOST_IPC_VERSION};
	struct host_ipc_rep rep;
	int fds[MAX_FDS], r;

	req.have_arena = arenas ? arenas->number + 1 : 0;
	r = call(&req, kfd, &rep, fds);
	if (r)
		return r;
	g->result = rep.result;
	g->retry = rep.result && rep.retry;
	g->slot = rep.slot;
	g->gen = rep.gen;
	g->p = -1;
	if (!rep.result) {
		g->arena = arena_of(&rep, fds);
		g->p = fds[0];
		fds[0] = -1;
	}
	close_fds(fds, MAX_FDS);
	return !rep.result && (!g->arena || g->p < 0) ? EPROTO : 0;
}

int sock_ipc_takeover(int kfd, const struct sock_conn *c, struct sock_grant *g)
{
	int r;

	pthread_mutex_lock(&lock);
	check_alive(); /* before the socket is entrusted to it */
	r = ensure() ? ENOTCONN : 0;
	if (!r && atomic_load(&c->pinned)) {
		*g = (struct sock_grant){.result = ECANCELED, .p = -1};
	} else if (!r && !atomic_load(&page)->gateway_up) {
		*g = (struct sock_grant){.result = ENETDOWN, .retry = true, .p = -1};
	} else if (!r) {
		r = takeover(kfd, g);
		if (r)
			disconnect();
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void sock_ipc_fork_prepare(void)
{
	pthread_mutex_lock(&lock);
}

void sock_ipc_fork_done(bool child)
{
	if (child) {
		disconnect();
		next_attempt = 0;
	}
	pthread_mutex_unlock(&lock);
}
