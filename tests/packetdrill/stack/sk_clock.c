/* SPDX-License-Identifier: BSD-3-Clause */
/* sk_clock.c - virtual time, and calls that wait for something to happen in it. */
#include <errno.h>
#include <time.h>

#include "sk.h"

#define READ_S 30 /* seconds of real time a released caller may take to read the clock */

static uint64_t sock_next(const struct sk_sock *s)
{
	uint64_t at = s->live ? tcp_deadline(&s->c, s->st->now) : TCP_NEVER;

	for (unsigned int i = 0; i < s->n_due; i++)
		at = s->due[i].at < at ? s->due[i].at : at;
	return at;
}

uint64_t sk_next(const struct sk_stack *st)
{
	const struct sk_wait *w;
	uint64_t at = TCP_NEVER, next;

	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		next = st->sock[i].kind == SK_CONN ? sock_next(&st->sock[i]) : TCP_NEVER;
		at = next < at ? next : at;
	}
	LIST_FOREACH (w, &st->waits, link) {
		if (!w->released && w->until < at)
			at = w->until;
	}
	return at;
}

void sk_release(struct sk_stack *st)
{
	struct timespec end;
	struct sk_wait *w;

	LIST_FOREACH (w, &st->waits, link) {
		if (!w->released && (w->ready(st, w->x) || st->now >= w->until)) {
			w->released = true;
			st->held++;
		}
	}
	if (!st->held)
		return;
	pthread_cond_broadcast(&st->wake);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += READ_S;
	while (st->held && pthread_cond_timedwait(&st->read, &st->lock, &end) != ETIMEDOUT)
		;
	st->held = 0;
}

bool sk_block(struct sk_stack *st, bool (*ready)(struct sk_stack *st, void *x), void *x,
	      uint64_t until)
{
	struct sk_wait w = {.ready = ready, .x = x, .until = until};

	if (ready(st, x))
		return true;
	if (until <= st->now)
		return false;
	if (st->held) { /* released before, and it was not enough */
		st->held--;
		pthread_cond_signal(&st->read);
	}
	LIST_INSERT_HEAD(&st->waits, &w, link);
	st->blocked++;
	while (!w.released)
		pthread_cond_wait(&st->wake, &st->lock);
	st->blocked--;
	LIST_REMOVE(&w, link);
	return ready(st, x);
}

void sk_step(struct sk_stack *st, uint64_t at)
{
	st->now = at > st->now ? at : st->now;
	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		struct sk_sock *s = &st->sock[i];

		if (s->kind != SK_CONN)
			continue;
		sk_due_run(s);
		if (s->live && tcp_deadline(&s->c, s->st->now) <= st->now)
			tcp_timer(&s->c, st->now);
		sk_output(s);
		sk_drop(s);
	}
	sk_release(st);
}

void sk_advance(struct sk_stack *st, uint64_t to)
{
	while (sk_next(st) <= to)
		sk_step(st, sk_next(st));
	st->now = to > st->now ? to : st->now;
}
