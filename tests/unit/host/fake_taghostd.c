/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_taghostd.c - a stand-in for taghostd and the fabric: speaks host_ipc.h, keeps one arena, and
 * moves bytes between the rings and the kernel's sockets (as taghostd does after a hand-back). It
 * arms cursors and sleeps as the real ones do, so that a kick that is not sent shows as a hang.
 *
 * fake_taghostd SOCKET STATS [KEY=VALUE...], keys: policy, min, port, tx, rx, slots, deny (of every
 * N requests N - 1 are refused), retry, gateway, jitter (microseconds before a readiness byte).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host/host_ipc.h"
#include "host/host_shm.h"
#include "ibside/ib_msg.h"

/** A connection. */
struct slot {
	int k;		/* the kernel's socket, -1: slot is free */
	int d;		/* our end of the pair, -1: closed */
	bool d_shut;	/* the program shut its sending side */
	bool d_closed;	/* the program closed */
	bool k_shut;	/* we shut the kernel's sending side */
	bool rx_end;	/* the kernel's socket ended */
	uint32_t index; /* of this slot */
};

/** Counters, written to the stats file. */
static struct {
	unsigned long hellos, asked, granted, active, rx_bytes, tx_bytes, filler, unmarked, kicks,
		resets;
} st;

static struct {
	unsigned int policy, min, port, tx, rx, slots, deny, retry, gateway, jitter;
} opt = {.policy = HOST_POLICY_FIRST_SEND,
	 .tx = 1 << 20,
	 .rx = 512 << 10,
	 .slots = 256,
	 .gateway = 1};

static const char *stats_path, *address = "";
static int ep, evfd, arena_fd, page_fd, listener;
static struct host_arena_hdr *hdr;
static struct slot slots[HOST_MAX_SLOTS];
static volatile sig_atomic_t stopping;

static struct ib_host_line *hl(const struct slot *s)
{
	return (struct ib_host_line *)((char *)hdr + hdr->off_host) + s->index;
}

static struct ib_gw_line *gl(const struct slot *s)
{
	return (struct ib_gw_line *)((char *)hdr + hdr->off_gw) + s->index;
}

static struct host_meta *meta(const struct slot *s)
{
	return (struct host_meta *)((char *)hdr + hdr->off_meta) + s->index;
}

static char *ring(const struct slot *s, bool tx)
{
	return (char *)hdr + (tx ? hdr->off_tx + (uint64_t)s->index * hdr->tx_size
				 : hdr->off_rx + (uint64_t)s->index * hdr->rx_size);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Not after every event: that would be most of the work. True: some are not written yet. */
static bool write_stats(bool now)
{
	static struct timespec last;
	struct timespec t;
	char tmp[512];
	FILE *f;

	clock_gettime(CLOCK_MONOTONIC, &t);
	if (!now && (t.tv_sec - last.tv_sec) * 1000000000l + t.tv_nsec - last.tv_nsec < 20000000)
		return true;
	last = t;
	snprintf(tmp, sizeof(tmp), "%s.new", stats_path);
	f = fopen(tmp, "w");
	if (!f)
		return false;
	fprintf(f,
		"{\"hellos\": %lu, \"asked\": %lu, \"granted\": %lu, \"active\": %lu, "
		"\"rx_bytes\": %lu, \"tx_bytes\": %lu, \"filler\": %lu, \"unmarked\": %lu, "
		"\"kicks\": %lu, \"resets\": %lu}\n",
		st.hellos, st.asked, st.granted, st.active, st.rx_bytes, st.tx_bytes, st.filler,
		st.unmarked, st.kicks, st.resets);
	fclose(f);
	rename(tmp, stats_path);
	return false;
}

static void make_arena(void)
{
	uint64_t n = opt.slots, at = 4096;

	arena_fd = memfd_create("fake-arena", MFD_CLOEXEC);
	if (arena_fd < 0)
		die("memfd_create");
	struct host_arena_hdr h = {.magic = HOST_ARENA_MAGIC, .version = HOST_ARENA_VERSION};
	h.slots = n;
	h.tx_size = opt.tx;
	h.rx_size = opt.rx;
	h.off_host = at;
	h.off_gw = h.off_host + n * sizeof(struct ib_host_line);
	h.off_meta = h.off_gw + n * sizeof(struct ib_gw_line);
	at = h.off_meta + n * sizeof(struct host_meta);
	h.off_tx = (at + 4095) & ~UINT64_C(4095);
	h.off_rx = h.off_tx + n * opt.tx;
	h.size = h.off_rx + n * opt.rx;
	if (ftruncate(arena_fd, h.size))
		die("ftruncate");
	hdr = mmap(NULL, h.size, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd, 0);
	if (hdr == MAP_FAILED)
		die("mmap");
	memcpy(hdr, &h, sizeof(h));
	for (uint32_t i = 0; i < n; i++)
		slots[i] = (struct slot){.k = -1, .d = -1, .index = i};
}

static void make_page(void)
{
	struct host_policy_page *p;

	page_fd = memfd_create("fake-page", MFD_CLOEXEC);
	if (page_fd < 0 || ftruncate(page_fd, sizeof(*p)))
		die("page");
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	p->magic = HOST_POLICY_MAGIC;
	p->gateway_up = opt.gateway;
	p->rx_size = opt.rx;
	p->n = 1;
	if (address[0]) {
		p->e[0].addr[10] = p->e[0].addr[11] = 0xff;
		inet_pton(AF_INET, address, p->e[0].addr + 12);
	}
	p->e[0].port = opt.port;
	p->e[0].policy = opt.policy;
	p->e[0].min_bytes = opt.min;
}

static void mutex_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(m, &a);
	pthread_mutexattr_destroy(&a);
}

static void watch(int fd, uint64_t tag)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				.data.u64 = tag};

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		die("epoll_ctl");
}

static void slot_free(struct slot *s)
{
	if (s->k >= 0)
		close(s->k);
	if (s->d >= 0)
		close(s->d);
	s->k = s->d = -1;
	atomic_store(&meta(s)->mode, HOST_M_FREE);
	st.active--;
}

static bool unread_by_p(const struct slot *s)
{
	int n = 0;

	return !ioctl(s->d, SIOCOUTQ, &n) && n;
}

/* Takes filler out; what is not filler is stream data that nobody intercepted. */
static void read_d(struct slot *s)
{
	struct host_meta *m = meta(s);
	char b[4096];
	uint64_t fill;
	ssize_t n;
	int have;

	if (s->d < 0)
		return;
	for (;;) {
		have = 0;
		ioctl(s->d, FIONREAD, &have);
		/* Looked at after the bytes: a filler is counted before it is written. */
		fill = atomic_load(&m->filler_written) - atomic_load(&m->filler_drained);
		if (have && (uint64_t)have <= fill && atomic_load(&m->tx_blocked))
			break;
		n = (uint64_t)have > fill ? have - (ssize_t)fill : have;
		n = recv(s->d, b, n && n < (ssize_t)sizeof(b) ? (size_t)n : sizeof(b),
			 MSG_DONTWAIT | (have ? 0 : MSG_PEEK));
		if (n <= 0) {
			s->d_shut |= !n || errno == ECONNRESET;
			break;
		}
		if (!have)
			continue;
		if ((uint64_t)have <= fill) {
			atomic_fetch_add(&m->filler_drained, n);
			st.filler += n;
			continue;
		}
		st.unmarked += n;
		for (ssize_t i = 0; i < n; i++) { /* tests keep the ring from being full here */
			ring(s, true)[hl(s)->tx_prod % opt.tx] = b[i];
			hl(s)->tx_prod++;
		}
	}
	struct pollfd pf = {.fd = s->d, .events = POLLRDHUP};

	poll(&pf, 1, 0);
	s->d_shut |= (pf.revents & POLLRDHUP) != 0;
	/* Both directions shut looks like a close; but then the last byte still lies in P's queue.
	 */
	if (pf.revents & POLLHUP && !(s->rx_end && unread_by_p(s)))
		s->d_closed = true;
}

static void signal_reader(struct slot *s)
{
	struct host_meta *m = meta(s);

	atomic_thread_fence(memory_order_seq_cst);
	if (s->d < 0 || gl(s)->rx_prod == __atomic_load_n(&hl(s)->rx_cons, __ATOMIC_ACQUIRE) ||
	    atomic_exchange(&m->rx_signaled, 1))
		return;
	if (opt.jitter)
		usleep(rand() % opt.jitter);
	send(s->d, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void failed(struct slot *s, int err)
{
	atomic_store(&meta(s)->err, err);
	atomic_store(&meta(s)->mode, HOST_M_DEAD);
	s->rx_end = true;
	st.resets++;
	if (s->d >= 0)
		close(s->d);
	s->d = -1;
}

static void pump_rx(struct slot *s)
{
	struct ib_gw_line *g = gl(s);
	uint64_t cons;
	size_t room, off;
	ssize_t n;

	while (!s->rx_end) {
		cons = __atomic_load_n(&hl(s)->rx_cons, __ATOMIC_ACQUIRE);
		room = opt.rx - (g->rx_prod - cons);
		if (!room) {
			__atomic_store_n(&g->arm_rx, cons, __ATOMIC_SEQ_CST);
			atomic_thread_fence(memory_order_seq_cst);
			if (__atomic_load_n(&hl(s)->rx_cons, __ATOMIC_ACQUIRE) != cons)
				continue;
			break;
		}
		__atomic_store_n(&g->arm_rx, IB_ARM_NEVER, __ATOMIC_SEQ_CST);
		off = g->rx_prod % opt.rx;
		n = recv(s->k, ring(s, false) + off, room < opt.rx - off ? room : opt.rx - off,
			 MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			failed(s, errno);
			return;
		}
		if (!n) {
			s->rx_end = true;
			atomic_store(&meta(s)->rx_eof, 1);
			atomic_store(&meta(s)->rx_signaled, 1);
			send(s->d, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
			shutdown(s->d, SHUT_WR);
			break;
		}
		st.rx_bytes += n;
		__atomic_store_n(&g->rx_prod, g->rx_prod + n, __ATOMIC_RELEASE);
	}
	signal_reader(s);
}

static void pump_tx(struct slot *s)
{
	struct ib_gw_line *g = gl(s);
	uint64_t prod;
	size_t off, have;
	ssize_t n;

	for (;;) {
		prod = __atomic_load_n(&hl(s)->tx_prod, __ATOMIC_ACQUIRE);
		have = prod - g->tx_acked;
		if (!have) {
			__atomic_store_n(&g->arm_tx, prod, __ATOMIC_SEQ_CST);
			atomic_thread_fence(memory_order_seq_cst);
			if (__atomic_load_n(&hl(s)->tx_prod, __ATOMIC_ACQUIRE) != prod)
				continue;
			break;
		}
		__atomic_store_n(&g->arm_tx, IB_ARM_NEVER, __ATOMIC_SEQ_CST);
		off = g->tx_acked % opt.tx;
		n = send(s->k, ring(s, true) + off, have < opt.tx - off ? have : opt.tx - off,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			failed(s, errno);
			return;
		}
		st.tx_bytes += n;
		__atomic_store_n(&g->tx_sent, g->tx_sent + n, __ATOMIC_RELEASE);
		__atomic_store_n(&g->tx_acked, g->tx_acked + n, __ATOMIC_RELEASE);
	}
	atomic_thread_fence(memory_order_seq_cst);
	prod = __atomic_load_n(&hl(s)->tx_prod, __ATOMIC_ACQUIRE);
	if (atomic_load(&meta(s)->tx_blocked) && opt.tx - (prod - g->tx_acked) >= opt.tx / 3)
		atomic_store(&meta(s)->tx_blocked, 0);
}

/* How the program closed decides how the kernel's socket does. */
static void closed(struct slot *s)
{
	struct linger l = {1, 0}, now = {0};
	socklen_t len = sizeof(now);
	bool unread = gl(s)->rx_prod != hl(s)->rx_cons;

	getsockopt(s->k, SOL_SOCKET, SO_LINGER, &now, &len);
	if (unread)
		setsockopt(s->k, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	if (unread || (now.l_onoff && !now.l_linger) || s->d < 0 ||
	    hl(s)->tx_prod == gl(s)->tx_acked)
		slot_free(s);
}

static void pump(struct slot *s)
{
	if (s->k < 0)
		return;
	read_d(s);
	if (s->d >= 0) {
		pump_tx(s);
		read_d(s);
	}
	if (s->d >= 0 && !s->d_closed)
		pump_rx(s);
	if (s->d < 0 || s->d_closed) {
		closed(s);
	} else if (s->d_shut && !s->k_shut && hl(s)->tx_prod == gl(s)->tx_acked) {
		s->k_shut = true;
		shutdown(s->k, SHUT_WR);
	}
}

static void reply(int c, const struct host_ipc_rep *rep, const int *fds, int n)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(3 * sizeof(int))];
	} u = {0};
	struct iovec iov = {(void *)rep, sizeof(*rep)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n) {
		m.msg_control = &u;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		u.h.cmsg_level = SOL_SOCKET;
		u.h.cmsg_type = SCM_RIGHTS;
		u.h.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&u.h), fds, n * sizeof(int));
	}
	sendmsg(c, &m, MSG_NOSIGNAL);
}

static struct slot *slot_take(int k, int d)
{
	struct slot *s;
	struct host_meta *m;
	uint32_t gen;

	for (uint32_t i = 0; i < opt.slots; i++) {
		s = &slots[i];
		if (s->k >= 0)
			continue;
		*s = (struct slot){.k = k, .d = d, .index = i};
		m = meta(s);
		gen = m->gen + 1;
		memset(m, 0, sizeof(*m));
		memset(hl(s), 0, sizeof(struct ib_host_line));
		memset(gl(s), 0, sizeof(struct ib_gw_line));
		m->gen = gen;
		mutex_init(&m->tx_lock);
		mutex_init(&m->rx_lock);
		atomic_store(&m->mode, HOST_M_PUMP);
		return s;
	}
	return NULL;
}

static void take_over(int c, const struct host_ipc_req *req, int k)
{
	struct host_ipc_rep rep = {.type = req->type, .result = IB_R_GW_LIMIT, .retry = opt.retry};
	struct slot *s = NULL;
	int pair[2], fds[3];

	st.asked++;
	if (opt.deny && st.asked % opt.deny) {
		reply(c, &rep, NULL, 0);
		close(k);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	s = slot_take(k, pair[1]);
	if (!s) {
		rep.result = IB_R_HOST_LIMIT;
		reply(c, &rep, NULL, 0);
		close(k);
		close(pair[0]);
		close(pair[1]);
		return;
	}
	st.granted++;
	st.active++;
	rep.result = IB_R_NONE;
	rep.slot = s->index;
	rep.gen = meta(s)->gen;
	watch(s->k, s->index);
	watch(s->d, s->index);
	pump(s);
	fds[0] = pair[0];
	fds[1] = arena_fd;
	fds[2] = evfd;
	reply(c, &rep, fds, req->have_arena == 1 ? 1 : 3);
	close(pair[0]);
}

/* A program's connection: one request. */
static void serve(int c)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} u;
	struct host_ipc_req req;
	struct host_ipc_rep rep = {.type = HOST_IPC_HELLO};
	struct iovec iov = {&req, sizeof(req)};
	struct msghdr m;
	struct cmsghdr *h;
	ssize_t n;
	int k = -1;

	for (;;) {
		m = (struct msghdr){.msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = &u,
				    .msg_controllen = sizeof(u)};
		n = recvmsg(c, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0)
			return;
		if (n != sizeof(req)) {
			close(c);
			return;
		}
		h = CMSG_FIRSTHDR(&m);
		if (h)
			memcpy(&k, CMSG_DATA(h), sizeof(k));
		if (req.type == HOST_IPC_HELLO) {
			st.hellos++;
			reply(c, &rep, &page_fd, 1);
		} else {
			take_over(c, &req, k);
		}
	}
}

static void take_kicks(void)
{
	uint64_t bits;

	for (uint32_t w = 0; w < (opt.slots + 63) / 64; w++) {
		bits = atomic_exchange(&hdr->kick[w], 0);
		for (; bits; bits &= bits - 1) {
			st.kicks++;
			pump(&slots[w * 64 + __builtin_ctzll(bits)]);
		}
	}
}

static bool kicked(void)
{
	for (uint32_t w = 0; w < (opt.slots + 63) / 64; w++)
		if (atomic_load(&hdr->kick[w]))
			return true;
	return false;
}

#define TAG_LISTEN (UINT64_C(1) << 32)
#define TAG_EVENT  (UINT64_C(2) << 32)
#define TAG_CLIENT (UINT64_C(3) << 32)

static void loop(void)
{
	struct epoll_event e[64];
	uint64_t tag, junk;
	bool stale = false;
	int n, c;

	while (!stopping) {
		atomic_store(&hdr->asleep, 1);
		atomic_thread_fence(memory_order_seq_cst);
		n = epoll_wait(ep, e, 64, kicked() ? 0 : stale ? 20 : 200);
		atomic_store(&hdr->asleep, 0);
		for (int i = 0; i < n; i++) {
			tag = e[i].data.u64;
			if (tag == TAG_LISTEN) {
				while ((c = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
					watch(c, TAG_CLIENT | c);
			} else if (tag == TAG_EVENT) {
				if (read(evfd, &junk, sizeof(junk)) < 0 && errno != EAGAIN)
					die("eventfd");
			} else if (tag >= TAG_CLIENT) {
				serve((int)(tag - TAG_CLIENT));
			} else {
				pump(&slots[tag]);
			}
		}
		take_kicks();
		stale = write_stats(n <= 0);
	}
}

static void option(const char *a)
{
	static const char *const policies[] = {
#define _(sym, name) name,
		HOST_FOREACH_POLICY(_)
#undef _
	};
	unsigned int v = strtoul(strchr(a, '=') + 1, NULL, 0);

	if (!strncmp(a, "policy=", 7)) {
		for (v = 0; v < HOST_POLICY_COUNT; v++)
			if (!strcmp(a + 7, policies[v]))
				opt.policy = v;
		return;
	}
	if (!strncmp(a, "addr=", 5))
		address = a + 5;
#define _(key)                                   \
	if (!strncmp(a, #key "=", sizeof(#key))) \
		opt.key = v;
	_(min) _(port) _(tx) _(rx) _(slots) _(deny) _(retry) _(gateway) _(jitter)
#undef _
}

static void stop(int sig)
{
	stopping = 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (argc < 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, stop);
	stats_path = argv[2];
	for (int i = 3; i < argc; i++)
		option(argv[i]);
	make_arena();
	make_page();
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", argv[1]);
	unlink(argv[1]);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 64))
		die(argv[1]);
	ep = epoll_create1(EPOLL_CLOEXEC);
	evfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watch(listener, TAG_LISTEN);
	watch(evfd, TAG_EVENT);
	write_stats(true);
	loop();
	write_stats(true);
	return 0;
}
