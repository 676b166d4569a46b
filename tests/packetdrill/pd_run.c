/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_run.c - the run loop: one event after the other on the virtual clock.
 *
 * A relative time counts from the event before: from its time in the script or, behind a range or
 * a star, from when it really happened. One call may block at a time.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pd.h"

#define FOREVER 3600000000ll /* how long a packet with a star may take */

int64_t pd_now(struct pd_run *r)
{
	struct timeval tv;

	r->so.gettimeofday(r->so.ud, &tv, NULL);
	return (int64_t)tv.tv_sec * 1000000 + tv.tv_usec - r->t0;
}

static void advance(struct pd_run *r, int64_t to)
{
	int64_t wait = to - pd_now(r);

	for (; wait > 0; wait -= UINT32_MAX)
		r->so.usleep(r->so.ud, wait < UINT32_MAX ? (useconds_t)wait : UINT32_MAX);
	pd_call_end(r);
}

static void run_timed(struct pd_run *r, const struct pd_event *e, int64_t base, int64_t lo)
{
	advance(r, lo);
	if (e->kind == PD_CODE)
		pd_assert(r, r->t->file, e->line, e->code);
	else if (e->kind == PD_CALL)
		pd_call(r, e, base);
	else if (e->kind == PD_PACKET)
		pd_inject(r, e);
	else
		advance(r, lo + e->end);
	pd_call_end(r);
}

static void run_event(struct pd_run *r, const struct pd_event *e)
{
	bool rel = e->when == PD_REL || e->when == PD_REL_RANGE;
	bool loose = (e->when != PD_REL && e->when != PD_ABS) || e->kind == PD_SLEEP;
	int64_t base = rel ? r->last : 0, lo = base + e->lo, hi = base + e->hi;

	if (e->when == PD_ANY_TIME) {
		lo = 0;
		hi = pd_now(r) + FOREVER;
	} else if (lo < r->last) {
		pd_die(r->t->file, e->line, "time goes back");
	}
	if (e->kind == PD_PACKET && !e->p.in) {
		pd_expect(r, e, lo, hi);
		pd_call_end(r);
	} else {
		run_timed(r, e, base, lo);
	}
	r->last = loose ? pd_now(r) : lo;
}

/* The stack in this program, or in a shared object as packetdrill loads it. */
static void load(struct pd_run *r, const char *so_filename, const char *flags)
{
	void (*init)(const char *, struct sk_abi *) = packetdrill_interface_init;
	void *so;

	r->extra = &tagd_packetdrill_extra;
	if (so_filename) {
		so = dlopen(so_filename, RTLD_NOW | RTLD_LOCAL);
		if (!so)
			pd_die(so_filename, 0, "%s", dlerror());
		*(void **)&init = dlsym(so, "packetdrill_interface_init");
		r->extra = dlsym(so, "tagd_packetdrill_extra");
		if (!init || !r->extra)
			pd_die(so_filename, 0, "%s", dlerror());
	}
	init(flags, &r->so);
}

void pd_run(const struct pd_script *t, enum pd_version version, const char *so_filename,
	    const char *so_flags)
{
	static struct pd_run r;
	char flags[160];

	r = (struct pd_run){.t = t, .version = version, .code_fd = -1};
	memset(r.fd, 0xff, sizeof(r.fd));
	snprintf(flags, sizeof(flags), "%s,%s", so_flags, t->so_flags);
	load(&r, so_filename, flags);
	r.extra->limit(r.so.ud, 1);
	r.t0 = pd_now(&r);
	for (unsigned int i = 0; i < t->n; i++)
		run_event(&r, &t->ev[i]);
	advance(&r, r.last);
	if (r.blocked)
		pd_die(t->file, t->ev[t->n - 1].line, "runtime error: a call never returned");
	pd_left_over(&r);
	r.so.free(r.so.ud);
	for (unsigned int i = 0; i < PD_FDS; i++) {
		if (r.fd[i] >= 0)
			close(r.fd[i]);
	}
}
