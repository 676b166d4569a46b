/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_ask.c - connections that an operator wants accelerated now (host_shm.h, struct
 * host_policy_ask): each of this process's undecided ones looks once at each wish, when it sends.
 */
#include <string.h>

#include "host/sock.h"

#define TRIES 100

static bool ends_of(int fd, struct host_policy_ask *a)
{
	return sock_end(fd, false, a->local, &a->lport) && sock_end(fd, true, a->remote, &a->rport);
}

/* Is this connection among the wishes from number `from` to `to`? */
static bool among(const struct host_policy_page *p, uint32_t from, uint32_t to,
		  const struct host_policy_ask *own)
{
	for (uint32_t k = from; k != to; k++)
		if (!memcmp(&p->ask[k % HOST_ASKS_MAX], own, sizeof(*own)))
			return true;
	return false;
}

uint32_t sock_asks(void)
{
	const struct host_policy_page *p = sock_ipc_page();

	return p ? atomic_load_explicit(&p->n_asks, memory_order_relaxed) : 0;
}

bool sock_asked(struct sock_conn *c, int fd)
{
	const struct host_policy_page *p = sock_ipc_page();
	uint32_t seen = atomic_load_explicit(&c->asks_seen, memory_order_relaxed);
	struct host_policy_ask own = {0};

	if (!p || atomic_load_explicit(&p->n_asks, memory_order_relaxed) == seen ||
	    !ends_of(fd, &own))
		return false;
	for (int i = 0; i < TRIES; i++) {
		uint32_t seq = atomic_load_explicit(&p->seq, memory_order_acquire);
		uint32_t n = atomic_load_explicit(&p->n_asks, memory_order_relaxed);
		bool found;

		if (n - seen > HOST_ASKS_MAX) /* missed some, or another taghostd */
			seen = n > HOST_ASKS_MAX ? n - HOST_ASKS_MAX : 0;
		found = among(p, seen, n, &own);
		atomic_thread_fence(memory_order_acquire);
		if (seq & 1 || atomic_load_explicit(&p->seq, memory_order_relaxed) != seq)
			continue;
		atomic_store_explicit(&c->asks_seen, n, memory_order_relaxed);
		return found;
	}
	return false;
}
