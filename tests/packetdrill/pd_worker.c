/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_worker.c - every call in a thread of its own, since it may block. It is over before the
 * script goes on, unless the stack says that it is blocked; then it has to end when its line says.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pd.h"

/** A call being made. */
struct pd_worker {
	struct pd_run *r;	  /* the run */
	const struct pd_event *e; /* its line */
	int64_t end;		  /* when it has to end, of the script */
	pthread_t thread;	  /* makes it */
	atomic_bool done;	  /* the members below are valid */
	int64_t ret;		  /* result */
	int err;		  /* errno */
	int64_t at;		  /* when it ended, of the script */
};

static void *run(void *arg)
{
	struct pd_worker *w = arg;

	w->ret = pd_syscall(w->r, w->e, &w->err);
	w->at = pd_now(w->r);
	atomic_store(&w->done, true);
	return NULL;
}

/* True when the call has returned, false when it is blocked. */
static bool settled(struct pd_worker *w)
{
	while (!atomic_load(&w->done)) {
		if (w->r->extra->blocked(w->r->so.ud))
			return atomic_load(&w->done);
		sched_yield();
	}
	return true;
}

static void finish(struct pd_worker *w)
{
	struct pd_run *r = w->r;

	pthread_join(w->thread, NULL);
	if (w->e->blocks && (w->at < w->end - r->t->tolerance || w->at > w->end + r->t->tolerance))
		pd_die(r->t->file, w->e->line,
		       "runtime error in %s call: timing error: expected end at %.6f but was %.6f",
		       w->e->c.name, (double)w->end / 1e6, (double)w->at / 1e6);
	pd_check(r, w->e, w->ret, w->err);
	free(w);
}

void pd_call_end(struct pd_run *r)
{
	struct pd_worker *w = r->blocked;

	if (!w)
		return;
	if (settled(w)) {
		r->blocked = NULL;
		finish(w);
	} else if (pd_now(r) > w->end + r->t->tolerance) {
		pd_die(r->t->file, w->e->line,
		       "runtime error in %s call: still blocked at %.6f, expected end %.6f",
		       w->e->c.name, (double)pd_now(r) / 1e6, (double)w->end / 1e6);
	}
}

void pd_call(struct pd_run *r, const struct pd_event *e, int64_t base)
{
	struct pd_worker *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->r = r;
	w->e = e;
	w->end = base + e->end;
	if (r->blocked) {
		/* The stack's count of blocked calls is that call's: this one may not block. */
		if (e->blocks)
			pd_die(r->t->file, e->line, "another call is blocked");
		w->ret = pd_syscall(r, e, &w->err);
		pd_check(r, e, w->ret, w->err);
		free(w);
		return;
	}
	if (pthread_create(&w->thread, NULL, run, w))
		abort();
	if (settled(w)) {
		finish(w);
		return;
	}
	if (!e->blocks)
		pd_die(r->t->file, e->line, "runtime error in %s call: it blocks", e->c.name);
	r->blocked = w;
}
