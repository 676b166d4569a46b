/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * df_linux.c - traces against the kernel's TCP, all at the same time, over one TUN device in a
 * network namespace of its own. Programs write without Nagle's delay, as the core does, and
 * read everything at once; the congestion control is CUBIC, as the core's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../wire/wire_tun.h"
#include "df.h"

#define STAGGER_US 2000 /* between the starts of two traces */

/** One trace at the kernel. */
struct job {
	struct df_peer *p;
	uint64_t start;	   /* microseconds */
	unsigned int next; /* step */
	int listener;	   /* -1: active */
	int conn;	   /* -1: not yet */
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct sockaddr_in sock_addr(const struct net_addr *a, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port};

	memcpy(&to.sin_addr, a->b + 12, 4);
	return to;
}

/* A socket bound to the local end of the trace. -1 with errno when it cannot be had. */
static int new_socket(const struct df_peer *p)
{
	struct sockaddr_in a = sock_addr(&p->flow.local, p->flow.lport);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int start_job(struct job *j, struct df_peer *p, uint64_t start)
{
	*j = (struct job){.p = p, .start = start, .listener = -1, .conn = -1};
	if (p->t->active)
		return 0;
	j->listener = new_socket(p);
	if (j->listener < 0 || listen(j->listener, 1))
		return errno;
	return 0;
}

/* What the program sees: its connection, and bytes to read. */
static void program(struct job *j)
{
	char buf[16384];

	if (j->conn < 0 && j->listener >= 0)
		j->conn = accept4(j->listener, NULL, NULL, SOCK_NONBLOCK);
	while (j->conn >= 0 && read(j->conn, buf, sizeof(buf)) > 0)
		;
}

static void do_step(struct job *j, const struct df_step *s, int tun)
{
	static const char zeros[262144];
	struct sockaddr_in to = sock_addr(&j->p->flow.remote, j->p->flow.rport);
	uint8_t packet[DF_PACKET];

	switch (s->what) {
	case DF_SEG:
		(void)!write(tun, packet, df_peer_packet(j->p, s, packet));
		break;
	case DF_WRITE:
		(void)!write(j->conn, zeros, s->n < sizeof(zeros) ? s->n : sizeof(zeros));
		break;
	case DF_SHUTDOWN:
		shutdown(j->conn, SHUT_WR);
		break;
	case DF_CONNECT:
		j->conn = new_socket(j->p);
		(void)!connect(j->conn, (struct sockaddr *)&to, sizeof(to));
		break;
	case DF_END:
		break;
	}
}

/* Gives every packet of the kernel to the peer it is for. */
static void collect(struct job *job, unsigned int n, int tun)
{
	uint8_t buf[DF_PACKET];
	ssize_t len;

	while ((len = read(tun, buf, sizeof(buf))) > 0) {
		uint64_t now = now_us();
		uint16_t sport;

		if (len < 40 || buf[0] != 0x45 || buf[9] != IPPROTO_TCP)
			continue;
		memcpy(&sport, buf + 20, 2);
		for (unsigned int i = 0; i < n; i++) {
			if (job[i].p->flow.lport == sport)
				df_peer_note(job[i].p, buf, (uint32_t)len,
					     (double)(now - job[i].start) / 1000);
		}
	}
}

/* Steps that are due. Returns the time of the next, UINT64_MAX when the trace is over. */
static uint64_t advance(struct job *j, struct job *all, unsigned int n, int tun)
{
	const struct df_trace *t = j->p->t;

	while (j->next < t->n_step && j->start + t->step[j->next].ms * 1000ull <= now_us()) {
		collect(all, n, tun);
		j->p->step = j->next + 1;
		j->p->step_ms = (double)(now_us() - j->start) / 1000;
		do_step(j, &t->step[j->next++], tun);
		collect(all, n, tun);
		program(j);
		collect(all, n, tun);
	}
	return j->next < t->n_step ? j->start + t->step[j->next].ms * 1000ull : UINT64_MAX;
}

/* Plays until the last trace is over. */
static void play(struct job *job, unsigned int n, int tun)
{
	for (;;) {
		struct pollfd pf = {.fd = tun, .events = POLLIN};
		uint64_t due = UINT64_MAX, now;
		struct timespec wait;

		collect(job, n, tun);
		for (unsigned int i = 0; i < n; i++) {
			uint64_t at = advance(&job[i], job, n, tun);

			due = at < due ? at : due;
		}
		if (due == UINT64_MAX)
			return;
		now = now_us();
		now = due > now ? due - now : 0;
		wait = (struct timespec){(time_t)(now / 1000000), (long)(now % 1000000) * 1000};
		ppoll(&pf, 1, &wait, NULL);
	}
}

static void close_job(struct job *j)
{
	if (j->conn >= 0)
		close(j->conn);
	if (j->listener >= 0)
		close(j->listener);
}

int df_linux_play(struct df_peer *p, unsigned int n)
{
	struct sched_param first = {.sched_priority = 1};
	struct job *job = calloc(n, sizeof(*job));
	int err = wire_enter_netns(), tun;
	uint64_t start;

	if (err || !job)
		goto out;
	wire_sysctl("net/ipv4/tcp_no_metrics_save", "1");
	wire_sysctl("net/ipv4/tcp_syn_linear_timeouts", "0"); /* newer kernels have it */
	tun = wire_tun_open("diff0", 0x0a4f0001);
	if (tun < 0) {
		err = errno;
		goto out;
	}
	start = now_us() + 10000;
	for (unsigned int i = 0; i < n && !err; i++)
		err = start_job(&job[i], &p[i], start + i * STAGGER_US);
	(void)!setpriority(PRIO_PROCESS, 0, -20);
	(void)!sched_setscheduler(0, SCHED_FIFO, &first);
	if (!err)
		play(job, n, tun);
	first.sched_priority = 0;
	(void)!sched_setscheduler(0, SCHED_OTHER, &first);
	for (unsigned int i = 0; i < n; i++)
		close_job(&job[i]);
	close(tun);
out:
	free(job);
	return err;
}
