/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper thread of a process with open ports.  It sleeps on the pidfds of attached peers and
 * on one timer, which is set only while some send waits for its peer.  It moves no data unless a
 * waiting send becomes possible and the program does not poll.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "soft.h"

#define NO_NOTIFY_MS 50 /* without inotify: how often fault rules are looked at */

enum { EV_STOP = 0, EV_TIMER = 1, EV_FAULTS = 2, EV_FIRST_PEER = 3 };

static pthread_mutex_t watch_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t watch_run = PTHREAD_MUTEX_INITIALIZER; /* starting and ending it */
static pthread_t watch_thread;
static uint32_t watch_users; /* open contexts; under watch_run */
static int watch_ep = -1, watch_stop = -1, watch_tfd = -1;
static int watch_ino = -1;	     /* inotify on the file of fault rules */
static struct soft_peer *watch_list; /* watched peers; under watch_lock */
static uint64_t watch_next_id = EV_FIRST_PEER;
static _Atomic uint64_t watch_when; /* when the timer is set to fire; 0: not set */

/* A process ended: find which peer that was, unless it has been forgotten since. */
static void watch_death(uint64_t id)
{
	struct soft_peer *peer;

	pthread_mutex_lock(&watch_lock);
	for (peer = watch_list; peer && peer->watch_id != id; peer = peer->watch_next)
		;
	if (peer) {
		epoll_ctl(watch_ep, EPOLL_CTL_DEL, peer->pidfd, NULL);
		soft_peer_died(peer);
	}
	pthread_mutex_unlock(&watch_lock);
}

static void watch_progress(struct soft_port *p, void *arg)
{
	const uint64_t when[] = {soft_stall_progress(p, true), soft_defer_progress(p),
				 soft_fault_tick(p)};
	uint64_t *next = arg;

	for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++)
		if (when[i] && (!*next || when[i] < *next))
			*next = when[i];
}

static void watch_drain(int fd)
{
	char junk[4096];

	while (read(fd, junk, sizeof(junk)) > 0)
		;
}

static void *watch_main(void *arg)
{
	(void)arg;
	for (;;) {
		struct epoll_event ev[16];
		uint64_t junk, next = 0;
		int n = epoll_wait(watch_ep, ev, 16, watch_ino < 0 ? NO_NOTIFY_MS : -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.u64 == EV_STOP)
				return NULL;
			if (ev[i].data.u64 == EV_TIMER) {
				atomic_store(&watch_when, 0);
				if (read(watch_tfd, &junk, sizeof(junk)) < 0)
					continue;
			} else if (ev[i].data.u64 == EV_FAULTS) {
				watch_drain(watch_ino);
			} else {
				watch_death(ev[i].data.u64);
			}
		}
		soft_ports_each(watch_progress, &next);
		if (next)
			soft_watch_timer(next);
	}
}

static int watch_add(int fd, uint64_t id)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = id};

	return fd < 0 || epoll_ctl(watch_ep, EPOLL_CTL_ADD, fd, &ev) < 0 ? errno : 0;
}

static void watch_close(void)
{
	close(watch_ep);
	close(watch_stop);
	close(watch_tfd);
	if (watch_ino >= 0)
		close(watch_ino);
	watch_ep = watch_stop = watch_tfd = watch_ino = -1;
}

/* Sets the descriptors up and starts the thread.  Returns 0 or errno. */
static int watch_open(void)
{
	sigset_t all, old;
	int rc;

	watch_ep = epoll_create1(EPOLL_CLOEXEC);
	watch_stop = eventfd(0, EFD_CLOEXEC);
	watch_tfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	watch_ino = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	atomic_store(&watch_when, 0);
	rc = watch_add(watch_stop, EV_STOP);
	if (!rc)
		rc = watch_add(watch_tfd, EV_TIMER);
	if (!rc && watch_ino >= 0)
		rc = watch_add(watch_ino, EV_FAULTS);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!rc)
		rc = pthread_create(&watch_thread, NULL, watch_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		watch_close();
	else
		pthread_setname_np(watch_thread, "softhca");
	return rc;
}

/* Counts one more open context; the first one starts the thread.  Returns 0 or errno. */
int soft_watch_start(void)
{
	int rc = 0;

	pthread_mutex_lock(&watch_run);
	if (!watch_users)
		rc = watch_open();
	if (!rc)
		watch_users++;
	pthread_mutex_unlock(&watch_run);
	return rc;
}

/* Counts one context less; the last one ends the thread. */
void soft_watch_stop(void)
{
	uint64_t one = 1;

	pthread_mutex_lock(&watch_run);
	if (--watch_users == 0) {
		if (write(watch_stop, &one, sizeof(one)) == sizeof(one))
			pthread_join(watch_thread, NULL);
		watch_close();
	}
	pthread_mutex_unlock(&watch_run);
}

/* In the child of a fork: the thread is gone, and the descriptors are the parent's. */
void soft_watch_forked(void)
{
	pthread_mutexattr_t a;

	if (watch_users)
		watch_close();
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&watch_lock, &a);
	pthread_mutexattr_destroy(&a);
	pthread_mutex_init(&watch_run, NULL);
	watch_users = 0;
	watch_list = NULL;
}

/* Watches the process of @peer.  Returns 0 or errno. */
int soft_watch_peer(struct soft_peer *peer)
{
	int rc;

	pthread_mutex_lock(&watch_lock);
	peer->watch_id = watch_next_id++;
	rc = watch_add(peer->pidfd, peer->watch_id);
	if (rc) {
		peer->watch_id = 0;
	} else {
		peer->watch_next = watch_list;
		watch_list = peer;
	}
	pthread_mutex_unlock(&watch_lock);
	return rc;
}

/* Watches it no more; no event about @peer is being handled after this returns. */
void soft_watch_forget(struct soft_peer *peer)
{
	if (!peer->watch_id)
		return;
	pthread_mutex_lock(&watch_lock);
	for (struct soft_peer **pp = &watch_list; *pp; pp = &(*pp)->watch_next)
		if (*pp == peer) {
			*pp = peer->watch_next;
			break;
		}
	if (watch_ep >= 0)
		epoll_ctl(watch_ep, EPOLL_CTL_DEL, peer->pidfd, NULL);
	peer->watch_id = 0;
	pthread_mutex_unlock(&watch_lock);
}

/* No death is being handled when this returns. */
void soft_watch_sync(void)
{
	pthread_mutex_lock(&watch_lock);
	pthread_mutex_unlock(&watch_lock);
}

/* Has the thread look at fault rules whenever file @path changes. */
void soft_watch_faults(const char *path)
{
	if (watch_ino >= 0)
		inotify_add_watch(watch_ino, path, IN_MODIFY);
}

/* Has the thread look at the stalled sends at @when_ns (monotonic) at the latest. */
void soft_watch_timer(uint64_t when_ns)
{
	uint64_t cur = atomic_load(&watch_when);
	struct itimerspec its = {
		.it_value = {.tv_sec = (time_t)(when_ns / 1000000000u),
			     .tv_nsec = (long)(when_ns % 1000000000u)},
	};

	while (!cur || when_ns < cur)
		if (atomic_compare_exchange_weak(&watch_when, &cur, when_ns)) {
			timerfd_settime(watch_tfd, TFD_TIMER_ABSTIME, &its, NULL);
			return;
		}
}
