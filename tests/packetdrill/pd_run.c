/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_run.c - the run loop: one event after the other on the virtual clock.
 *
 * A relative time counts from the event before: from its time in the script
 * or, behind a range or a star, from when it really happened. One call may
 * block at a time; it has to end when its line says.
 */
#include <stdio.h>

#include "pd.h"

/** A run. */
struct run {
	const struct pd_script *t;	/* what is run */
	struct pd_shell *s;		/* the server */
	int64_t last;			/* time of the event before */
	const struct pd_event *blocked; /* a call that has not returned */
	int64_t blocked_end;		/* when it has to */
};

#define FOREVER 3600000000ll /* how long a packet with a star may take */

/* The blocked call returns if it can. */
static void try_blocked(struct run *r)
{
	const struct pd_event *e = r->blocked;
	int64_t now = (int64_t)(r->s->now - r->s->t0);

	if (!e)
		return;
	if (pd_blocked(r->s, &e->c)) {
		if (now > r->blocked_end + r->t->tolerance)
			pd_die(r->t->file, e->line,
			       "runtime error in %s call: still blocked at %.6f, expected end %.6f",
			       e->c.name, (double)now / 1e6, (double)r->blocked_end / 1e6);
		return;
	}
	if (now < r->blocked_end - r->t->tolerance || now > r->blocked_end + r->t->tolerance)
		pd_die(r->t->file, e->line,
		       "runtime error in %s call: timing error: expected end at %.6f but was %.6f",
		       e->c.name, (double)r->blocked_end / 1e6, (double)now / 1e6);
	r->blocked = NULL;
	pd_syscall(r->s, r->t, e);
}

static void advance(struct run *r, int64_t to)
{
	uint64_t end = r->s->t0 + (uint64_t)to;

	while (pd_next(r->s) <= end) {
		pd_step(r->s, pd_next(r->s));
		try_blocked(r);
	}
	pd_advance(r->s, end);
	try_blocked(r);
}

static void call(struct run *r, const struct pd_event *e, int64_t base)
{
	if (!e->blocks) {
		pd_syscall(r->s, r->t, e);
		return;
	}
	if (r->blocked)
		pd_die(r->t->file, e->line, "another call is blocked");
	r->blocked = e;
	r->blocked_end = base + e->end;
	if (!pd_blocked(r->s, &e->c))
		try_blocked(r);
}

static void run_event(struct run *r, const struct pd_event *e)
{
	bool rel = e->when == PD_REL || e->when == PD_REL_RANGE;
	bool loose = e->when != PD_REL && e->when != PD_ABS;
	int64_t base = rel ? r->last : 0, lo = base + e->lo, hi = base + e->hi;

	if (e->when == PD_ANY_TIME) {
		lo = 0;
		hi = (int64_t)(r->s->now - r->s->t0) + FOREVER;
	} else if (lo < r->last) {
		pd_die(r->t->file, e->line, "time goes back");
	}
	if (e->kind == PD_PACKET && !e->p.in) {
		pd_expect(r->s, r->t, e, lo, hi);
		try_blocked(r);
	} else {
		advance(r, lo);
		if (e->kind == PD_CODE) {
			if (!r->s->live)
				pd_die(r->t->file, e->line, "no connection to assert about");
			pd_assert(r->s, r->t->file, e->line, e->code);
		} else if (e->kind == PD_CALL) {
			call(r, e, base);
		} else {
			pd_inject(r->s, r->t, e);
			try_blocked(r);
		}
	}
	r->last = loose ? (int64_t)(r->s->now - r->s->t0) : lo;
}

void pd_run(const struct pd_script *t)
{
	static struct pd_shell s;
	struct run r = {.t = t, .s = &s};

	pd_shell_init(&s);
	for (unsigned int i = 0; i < t->n; i++)
		run_event(&r, &t->ev[i]);
	if (r.blocked)
		pd_die(t->file, r.blocked->line, "runtime error in %s call: never returned",
		       r.blocked->c.name);
	advance(&r, r.last);
	pd_left_over(&s, t);
}
