/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_main.c - libtagsock.so: start, fork, and small services.
 *
 * Theory of operation
 *
 * The library is preloaded into an unmodified server. Of all its descriptors it tracks those that
 * accept() returned, are TCP, and whose local address has a policy other than "off" in the page
 * that taghostd shares (sock_policy.c). Everything else passes after one look at a table.
 *
 * A tracked connection begins UNDECIDED: calls go to the kernel, and are counted while they are
 * under way. When its policy says so, a sending call (or accept() itself) hands the kernel's socket
 * to taghostd (sock_takeover.c, sock_ipc.c). On success one end P of a socket pair takes the place
 * of the descriptor, in epoll sets too (sock_epoll.c), and the connection is ACCEL: bytes move
 * through two rings in shared memory (sock_rx.c, sock_tx.c), readiness is P's (host_shm.h), and
 * everything else about the connection is asked from a hidden duplicate of the kernel's socket
 * (sock_opt.c). Refused, it is NATIVE for good and no longer tracked.
 *
 *   UNDECIDED --- due, nobody inside the kernel with it ---> TAKING --- granted ---> ACCEL
 *       |  ^                                                   |  |
 *       |  +--------------- refused, worth a retry ------------+  +--- refused ----> NATIVE
 *       +--- pinned: known to several processes, streams, options nobody else can carry
 *
 * Several processes: after fork() an accelerated connection works in both, since locks and cursors
 * are in shared memory; what was UNDECIDED stays native in both. A vfork child shares this
 * memory with its parent and must not change it: sock_own_process() tells.
 *
 * Locks, in this order: a connection's mtx, the connection to taghostd, the table; and, for bytes,
 * the slot's own robust locks, inside which none of these is taken.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/sock.h"
#include "host/sock_real.h"

static pid_t own_pid; /* 0: the constructor has not run */
static bool debug;

bool sock_own_process(void)
{
	return own_pid == getpid();
}

uint64_t sock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

void sock_log(const char *fmt, ...)
{
	int saved = errno, n;
	char line[256];
	va_list ap;

	if (!debug)
		return;
	n = snprintf(line, sizeof(line), "tagsock[%d]: ", getpid());
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n++] = '\n';
	sys_write(STDERR_FILENO, line, n);
	errno = saved;
}

static void pin(int fd, struct sock_conn *c, void *ctx)
{
	if (c)
		atomic_store(&c->pinned, true);
}

/* The only thread of the child: calls of others, and a takeover another one had begun, are not in
 * this process. */
static void settle(int fd, struct sock_conn *c, void *ctx)
{
	if (!c)
		return;
	pthread_mutex_init(&c->mtx, NULL);
	sock_set_state(c, SOCK_S_TAKING, SOCK_S_NATIVE);
}

static void fork_prepare(void)
{
	sock_ipc_fork_prepare();
	sock_table_each(0, UINT32_MAX, pin, NULL);
	sock_table_fork(true);
}

static void fork_parent(void)
{
	sock_table_fork(false);
	sock_ipc_fork_done(false);
}

static void fork_child(void)
{
	own_pid = getpid();
	sock_table_fork(false);
	sock_table_each(0, UINT32_MAX, settle, NULL);
	sock_ipc_fork_done(true);
}

__attribute__((constructor)) static void start(void)
{
	const char *d = getenv("TAG_SOCK_DEBUG");
	int saved = errno;

	debug = d && *d && strcmp(d, "0");
	sock_real_init();
	sock_ipc_init();
	if (!pthread_atfork(fork_prepare, fork_parent, fork_child))
		own_pid = getpid();
	errno = saved;
}
