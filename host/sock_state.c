/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_state.c - the state of a tracked connection and the admission of calls on it. State and the
 * number of native calls under way share one word: a takeover begins only when nobody is inside
 * the kernel with the old socket, for he would stay there, and a call that comes during a takeover
 * waits for its outcome.
 */
#include <errno.h>

#include "host/sock.h"

#define SHIFT 24
#define COUNT ((1u << SHIFT) - 1)

static _Atomic uint32_t n_undecided;

bool sock_set_state(struct sock_conn *c, enum sock_state from, enum sock_state to)
{
	uint32_t w = atomic_load(&c->word), next;

	do {
		if (w >> SHIFT != from || (to == SOCK_S_TAKING && (w & COUNT)))
			return false;
		next = (uint32_t)to << SHIFT | (w & COUNT);
	} while (!atomic_compare_exchange_weak(&c->word, &w, next));
	/* A free connection is UNDECIDED in a word that is zero, but not counted: refs tells. */
	if (from == SOCK_S_UNDECIDED && to != SOCK_S_UNDECIDED)
		atomic_fetch_sub(&n_undecided, 1);
	else if (to == SOCK_S_UNDECIDED && (from != SOCK_S_UNDECIDED || !atomic_load(&c->refs)))
		atomic_fetch_add(&n_undecided, 1);
	return true;
}

enum sock_state sock_state(const struct sock_conn *c)
{
	return atomic_load_explicit(&c->word, memory_order_acquire) >> SHIFT;
}

uint32_t sock_n_undecided(void)
{
	return atomic_load_explicit(&n_undecided, memory_order_relaxed);
}

bool sock_reenter(struct sock_call *k)
{
	struct sock_conn *c = k->c;
	uint32_t w;

	for (;;) {
		w = atomic_load_explicit(&c->word, memory_order_acquire);
		switch ((enum sock_state)(w >> SHIFT)) {
		case SOCK_S_ACCEL:
			return true;
		case SOCK_S_NATIVE:
			return false;
		case SOCK_S_UNDECIDED:
			if (!atomic_compare_exchange_weak(&c->word, &w, w + 1))
				continue;
			k->counted = true;
			return false;
		case SOCK_S_TAKING:
			pthread_mutex_lock(&c->mtx);
			pthread_mutex_unlock(&c->mtx);
		}
	}
}

bool sock_enter(struct sock_call *k, int fd)
{
	k->c = sock_get(fd);
	return k->c && sock_reenter(k);
}

static bool due(struct sock_conn *c, int fd, size_t n)
{
	uint64_t next = atomic_load_explicit(&c->next_try, memory_order_relaxed);

	if (atomic_load_explicit(&c->pinned, memory_order_relaxed))
		return false;
	if (sock_asked(c, fd))
		return true;
	if (c->policy == HOST_POLICY_MIN_BYTES &&
	    atomic_load_explicit(&c->native_sent, memory_order_relaxed) + n <= c->min_bytes)
		return false;
	return !next || sock_now() >= next;
}

bool sock_enter_out(struct sock_call *k, int fd, size_t n)
{
	k->c = sock_get(fd);
	if (!k->c)
		return false;
	if (n && sock_state(k->c) == SOCK_S_UNDECIDED && due(k->c, fd, n) && sock_own_process() &&
	    sock_takeover(k, fd))
		return true;
	return sock_reenter(k);
}

ssize_t sock_sent(struct sock_call *k, ssize_t r)
{
	if (k->counted && r > 0)
		atomic_fetch_add_explicit(&k->c->native_sent, r, memory_order_relaxed);
	return r;
}

void sock_leave(struct sock_call *k)
{
	if (k->counted)
		atomic_fetch_sub(&k->c->word, 1);
	if (k->c)
		sock_put(k->c);
	k->c = NULL;
	k->counted = false;
}
