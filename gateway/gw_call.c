/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_call.c - how the control thread changes a worker's world: it puts a function into the
 * worker's ring and waits until the worker, between two bursts, has run it. So nothing that a
 * worker owns needs a lock, and a call doubles as a quiescent point: what the worker looked at
 * before it, it has let go of. A worker that is not running is called directly.
 */
#include <errno.h>
#include <rte_ring.h>
#include <stdio.h>
#include <time.h>

#include "gateway/gw_int.h"

#define CALL_RING 16
#define SPIN	  200 /* looks at the answer before sleeping */

/** A request; lives on the caller's stack. */
struct call {
	void (*fn)(struct gw_worker *w, void *arg); /* to run */
	void *arg;				    /* for it */
	_Atomic bool done;			    /* set by the worker at the end */
};

int gw_calls_open(struct gw_worker *w)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "calls%u", w->index);
	w->calls = rte_ring_create(name, CALL_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return w->calls ? 0 : ENOMEM;
}

void gw_calls_close(struct gw_worker *w)
{
	rte_ring_free(w->calls);
	w->calls = NULL;
}

void gw_call(struct gw_worker *w, void (*fn)(struct gw_worker *w, void *arg), void *arg)
{
	struct call c = {.fn = fn, .arg = arg};
	struct timespec nap = {.tv_nsec = 20000};
	int spin = 0;

	if (!atomic_load(&w->running)) {
		w->now_us = gw_now_us();
		w->now_ms = w->now_us / 1000;
		fn(w, arg);
		return;
	}
	while (rte_ring_enqueue(w->calls, &c))
		nanosleep(&nap, NULL);
	while (!atomic_load_explicit(&c.done, memory_order_acquire))
		if (++spin > SPIN)
			nanosleep(&nap, NULL);
}

uint32_t gw_calls_run(struct gw_worker *w)
{
	uint32_t n = 0;
	void *p;

	while (rte_ring_dequeue(w->calls, &p) == 0) {
		struct call *c = p;

		c->fn(w, c->arg);
		atomic_store_explicit(&c->done, true, memory_order_release);
		n++;
	}
	return n;
}
