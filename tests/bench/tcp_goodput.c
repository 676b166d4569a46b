/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_goodput.c - one cell of the goodput table: several Linux senders and as many TCP cores, all
 * at the same time, each over a lossy link of its own to a Linux receiver.
 *
 *   tcp_goodput LOSS_PPM RTT_US RATE_MBIT PAIRS SECONDS SEED CONTROL
 *
 * CONTROL is the congestion control of both, cubic or bbr (exit 77: the kernel does not have it).
 *
 * The receivers' program connects; a kernel's listening socket or the core answers. One process
 * moves all packets between TUN devices in two namespaces through emulated links (wire_link.h):
 * rate, drop-tail queue of one bandwidth-delay product and 100 packets at least, delay, and seeded
 * loss of what goes towards the receiver. Pair i of both kinds has the same seed. The kernel's
 * TCP runs inside that process's writes, as the core does, so that both see the same scheduling.
 * Prints a line per flow: kind, pair, Mbit/s of payload received, segments sent again, packets the
 * queue refused, segments the receiver's kernel saw.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../wire/wire_core.h"
#include "../wire/wire_link.h"
#include "../wire/wire_tun.h"

#define MAX_PAIRS 16
#define MAX_FLOWS (2 * MAX_PAIRS)
#define PORT	  5001
#define NET(i)	  (0x0a4e0000u | (uint32_t)(i) << 8) /* 10.78.i.0/24: .1 sends, .2 receives */
#define BACKLOG	  (4u << 20)			     /* bytes a sender always has to send */

/** What the children tell. */
struct result {
	_Atomic uint64_t bytes;	 /* payload received */
	_Atomic uint64_t since;	 /* when the connection stood, microseconds; 0: not yet */
	_Atomic uint32_t resent; /* segments sent again, by the kernel's own count */
};

struct shared {
	_Atomic bool stop;
	struct result flow[MAX_FLOWS];
};

/** One sender, its link and its receiver. Even flows are the kernel's, odd ones the core's. */
struct flow {
	int s_fd;	       /* TUN of the sending kernel, -1: a core sends */
	int r_fd;	       /* TUN of the receiving kernel */
	struct wire_link fwd;  /* towards the receiver */
	struct wire_link back; /* ACKs */
	struct wire_core core;
};

static struct flow flows[MAX_FLOWS];
static unsigned int n_flows;
static struct shared *shared;
static enum tcp_cc_kind control;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void die(const char *what)
{
	perror(what);
	exit(errno == EPERM || errno == ENOENT ? 77 : 1);
}

static struct sockaddr_in addr_of(unsigned int i, uint32_t host)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(PORT),
				    .sin_addr.s_addr = htonl(NET(i) | host)};
}

/* Windows that are never the limit, nothing remembered between connections. */
static void tune_namespace(void)
{
	const char *mem = "4096 16777216 33554432";

	if (wire_sysctl("net/ipv4/tcp_rmem", mem) || wire_sysctl("net/ipv4/tcp_wmem", mem) ||
	    wire_sysctl("net/ipv4/tcp_no_metrics_save", "1"))
		die("sysctl");
}

/* The kernel's senders: whoever connects gets zeros until the end. */
static void sender(const int *listeners)
{
	static const char zeros[65536];
	int ep = epoll_create1(0), conn[MAX_FLOWS];

	memset(conn, -1, sizeof(conn));
	for (unsigned int i = 0; i < n_flows; i += 2)
		epoll_ctl(ep, EPOLL_CTL_ADD, listeners[i],
			  &(struct epoll_event){.events = EPOLLIN, .data.u32 = i});
	while (!shared->stop) {
		struct epoll_event ev[MAX_FLOWS];
		int n = epoll_wait(ep, ev, MAX_FLOWS, 50);

		for (int k = 0; k < n; k++) {
			unsigned int i = ev[k].data.u32;

			if (conn[i] < 0) {
				conn[i] = accept4(listeners[i], NULL, NULL, SOCK_NONBLOCK);
				epoll_ctl(ep, EPOLL_CTL_DEL, listeners[i], NULL);
				epoll_ctl(ep, EPOLL_CTL_ADD, conn[i],
					  &(struct epoll_event){.events = EPOLLOUT, .data.u32 = i});
			}
			while (write(conn[i], zeros, sizeof(zeros)) == sizeof(zeros))
				;
		}
	}
	for (unsigned int i = 0; i < n_flows; i += 2) {
		struct tcp_info ti = {0};
		socklen_t len = sizeof(ti);

		if (conn[i] >= 0 && !getsockopt(conn[i], IPPROTO_TCP, TCP_INFO, &ti, &len))
			shared->flow[i].resent = ti.tcpi_total_retrans;
	}
	_exit(0);
}

/* All receivers: connect, discard and count. */
static void receiver(void)
{
	int ep = epoll_create1(0), fd[MAX_FLOWS];

	for (unsigned int i = 0; i < n_flows; i++) {
		struct sockaddr_in to = addr_of(i, 1);

		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fd[i], (struct sockaddr *)&to, sizeof(to));
		epoll_ctl(ep, EPOLL_CTL_ADD, fd[i],
			  &(struct epoll_event){.events = EPOLLIN, .data.u32 = i});
	}
	while (!shared->stop) {
		struct epoll_event ev[MAX_FLOWS];
		int n = epoll_wait(ep, ev, MAX_FLOWS, 50);

		for (int k = 0; k < n; k++) {
			struct result *r = &shared->flow[ev[k].data.u32];
			ssize_t got;

			if (!r->since)
				r->since = now_us();
			while ((got = recv(fd[ev[k].data.u32], NULL, 1 << 20, MSG_TRUNC)) > 0)
				r->bytes += (uint64_t)got;
			if (got == 0 || errno != EAGAIN)
				_exit(1); /* nobody closes or resets here */
		}
	}
	_exit(0);
}

static void core_out(void *arg, const void *ip, uint32_t len)
{
	struct flow *f = arg;

	wire_link_push(&f->fwd, ip, len, f->core.now);
}

/* Reads all a device has into a link. */
static void take(int fd, struct wire_link *l)
{
	uint8_t buf[WIRE_MTU];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		wire_link_push(l, buf, (uint32_t)n, now_us());
}

/* Delivers what is due on both directions of a flow. Returns when the next is. */
static uint64_t deliver(struct flow *f, uint64_t now)
{
	uint64_t due = UINT64_MAX, at;
	struct wire_packet *p;

	while ((p = wire_link_pop(&f->fwd, now))) {
		(void)!write(f->r_fd, p->data, p->len);
		wire_link_done(&f->fwd, p);
	}
	while ((p = wire_link_pop(&f->back, now))) {
		if (f->s_fd >= 0)
			(void)!write(f->s_fd, p->data, p->len);
		else
			wire_core_input(&f->core, p->data, p->len, now_us());
		wire_link_done(&f->back, p);
	}
	if (f->s_fd < 0) {
		wire_core_run(&f->core, now_us());
		due = wire_core_due(&f->core);
	}
	at = wire_link_due(&f->fwd);
	due = at < due ? at : due;
	at = wire_link_due(&f->back);
	return at < due ? at : due;
}

static void emulate(uint64_t until)
{
	int ep = epoll_create1(0);

	for (unsigned int i = 0; i < n_flows; i++) {
		epoll_ctl(ep, EPOLL_CTL_ADD, flows[i].r_fd,
			  &(struct epoll_event){.events = EPOLLIN, .data.u32 = 2 * i});
		if (flows[i].s_fd >= 0)
			epoll_ctl(ep, EPOLL_CTL_ADD, flows[i].s_fd,
				  &(struct epoll_event){.events = EPOLLIN, .data.u32 = 2 * i + 1});
	}
	for (uint64_t now = now_us(); now < until; now = now_us()) {
		struct epoll_event ev[2 * MAX_FLOWS];
		uint64_t due = until;
		struct timespec wait;
		int n;

		for (unsigned int i = 0; i < n_flows; i++) {
			uint64_t at = deliver(&flows[i], now);

			due = at < due ? at : due;
		}
		now = now_us();
		due = due > now ? due - now : 0;
		wait = (struct timespec){(time_t)(due / 1000000), (long)(due % 1000000) * 1000};
		n = epoll_pwait2(ep, ev, 2 * MAX_FLOWS, &wait, NULL);
		for (int k = 0; k < n; k++) {
			struct flow *f = &flows[ev[k].data.u32 / 2];

			if (ev[k].data.u32 & 1)
				take(f->s_fd, &f->fwd);
			else
				take(f->r_fd, &f->back);
		}
	}
	close(ep);
}

static void report(uint64_t end)
{
	for (unsigned int i = 0; i < n_flows; i++) {
		struct flow *f = &flows[i];
		struct result *r = &shared->flow[i];
		double sec = r->since ? (double)(end - r->since) / 1e6 : 0;

		printf("%s %u %.3f %u %llu %llu\n", i & 1 ? "core" : "linux", i / 2,
		       sec > 0 ? (double)r->bytes * 8 / sec / 1e6 : 0.0,
		       i & 1 ? f->core.c.stats.retx_segs : r->resent,
		       (unsigned long long)f->fwd.dropped, (unsigned long long)f->fwd.carried);
	}
}

static void setup_flow(unsigned int i, uint32_t loss, uint32_t rtt, uint32_t mbit, uint64_t seed)
{
	struct flow *f = &flows[i];
	uint64_t rate = (uint64_t)mbit * 125000;
	uint64_t bdp = rate * rtt / 1000000;

	f->s_fd = -1;
	f->fwd.loss = loss;
	f->fwd.seed = seed + i / 2;
	f->fwd.rate = f->back.rate = rate;
	f->fwd.queue = f->back.queue = bdp > 100 * WIRE_MTU ? (uint32_t)bdp : 100 * WIRE_MTU;
	f->fwd.delay_us = rtt / 2;
	f->back.delay_us = rtt - rtt / 2;
	wire_link_init(&f->fwd);
	wire_link_init(&f->back);
	wire_core_init(&f->core);
	f->core.out = core_out;
	f->core.arg = f;
	f->core.backlog = BACKLOG;
	f->core.cfg.cc = (uint8_t)control;
}

/* Devices and listening sockets of the sending kernel, in a namespace of their own. */
static void open_senders(int *listeners)
{
	const char *cc = tcp_cc_name(control);
	char name[16];

	if ((errno = wire_enter_netns()))
		die("namespace");
	tune_namespace();
	for (unsigned int i = 0; i < n_flows; i += 2) {
		struct sockaddr_in a = addr_of(i, 1);

		snprintf(name, sizeof(name), "send%u", i);
		flows[i].s_fd = wire_tun_open(name, NET(i) | 1);
		if (flows[i].s_fd < 0)
			die("TUN");
		listeners[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (setsockopt(listeners[i], IPPROTO_TCP, TCP_CONGESTION, cc,
			       (socklen_t)strlen(cc)))
			die("TCP_CONGESTION");
		if (bind(listeners[i], (struct sockaddr *)&a, sizeof(a)) || listen(listeners[i], 1))
			die("listen");
	}
}

static void open_receivers(void)
{
	char name[16];

	if ((errno = wire_enter_netns()))
		die("namespace");
	tune_namespace();
	for (unsigned int i = 0; i < n_flows; i++) {
		snprintf(name, sizeof(name), "recv%u", i);
		flows[i].r_fd = wire_tun_open(name, NET(i) | 2);
		if (flows[i].r_fd < 0)
			die("TUN");
	}
}

static pid_t start(void (*fn)(const int *), const int *arg)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fn(arg);
	_exit(0);
}

static void receive_all(const int *unused)
{
	receiver();
}

int main(int argc, char **argv)
{
	struct sched_param first = {.sched_priority = 1};
	int listeners[MAX_FLOWS], status;
	pid_t child[2];
	uint64_t end;
	bool ok = true;

	while (argc == 8 && control < TCP_CC_COUNT && strcmp(argv[7], tcp_cc_name(control)))
		control++;
	if (argc != 8 || control == TCP_CC_COUNT || atoi(argv[4]) < 1 ||
	    atoi(argv[4]) > MAX_PAIRS || atoi(argv[3]) < 1) {
		fprintf(stderr, "usage: %s LOSS_PPM RTT_US RATE_MBIT PAIRS SECONDS SEED CONTROL\n",
			argv[0]);
		return 2;
	}
	n_flows = 2 * (unsigned int)atoi(argv[4]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap");
	for (unsigned int i = 0; i < n_flows; i++)
		setup_flow(i, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]),
			   (uint32_t)atoi(argv[3]), strtoull(argv[6], NULL, 0));
	(void)!setpriority(PRIO_PROCESS, 0, -10); /* on a busy machine; not needed on an idle one */
	open_senders(listeners);
	child[0] = start(sender, listeners);
	open_receivers();
	child[1] = start(receive_all, NULL);
	(void)!sched_setscheduler(0, SCHED_FIFO, &first);
	end = now_us() + (uint64_t)(atof(argv[5]) * 1e6);
	emulate(end);
	shared->stop = true;
	for (int i = 0; i < 2; i++)
		ok &= waitpid(child[i], &status, 0) > 0 && WIFEXITED(status) &&
		      !WEXITSTATUS(status);
	report(end);
	return ok ? 0 : 1;
}
