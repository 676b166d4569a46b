/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends that wait: for a receive request at the peer (RNR, IBTA 9.7.5.2.8) or for a path to it
 * (transport timeout, 9.7.6.1.3).  They are tried again by polls of this process, and by the
 * helper thread at the RNR timer's or a short interval, until the queue pair's retry limit.
 */
#include <sched.h>

#include "soft.h"

#define PATH_INTERVAL_NS 500000u
#define YIELD_EVERY	 32
#define NEVER		 UINT64_MAX

/* RNR timer codes in units of 10 us (IBTA table 45). */
static const uint16_t rnr_10us[32] = {65535, 1,	   2,	 3,	4,     6,     8,     12,
				      16,    24,   32,	 48,	64,    96,    128,   192,
				      256,   384,  512,	 768,	1024,  1536,  2048,  3072,
				      4096,  6144, 8192, 12288, 16384, 24576, 32768, 49152};

static uint64_t rnr_ns(uint32_t code)
{
	return rnr_10us[code & 31] * 10000ull;
}

/* How long @q may wait for @why, in ns. */
static uint64_t stall_limit(const struct soft_qp *q, const struct soft_result *r)
{
	if (r->stall == SOFT_STALL_RNR)
		return q->attr.rnr_retry == 7 ? NEVER : q->attr.rnr_retry * rnr_ns(r->rnr_code);
	if (r->stall == SOFT_STALL_SLOW || !q->attr.timeout)
		return NEVER;
	return (4096ull << q->attr.timeout) * (q->attr.retry_cnt + 1u);
}

static void stall_list(struct soft_qp *q)
{
	struct soft_port *p = q->port;

	if (!q->stall_listed) { /* changes under sq_lock and stall_lock: reading needs one */
		pthread_mutex_lock(&p->stall_lock);
		q->stall_listed = true;
		q->stall_link = p->stalled;
		p->stalled = q;
		atomic_fetch_add(&p->nstalled, 1);
		pthread_mutex_unlock(&p->stall_lock);
	}
	soft_watch_timer(q->stall_next);
}

/*
 * The send at the head of @q cannot be done now, as @r says.  Returns false if it shall wait, true
 * if it has waited long enough: then @r has become its failure.  Caller holds sq_lock.
 */
bool soft_stall_start(struct soft_qp *q, struct soft_result *r)
{
	uint64_t now = soft_now(), limit = stall_limit(q, r);
	bool rnr = r->stall == SOFT_STALL_RNR;

	if (atomic_load(&q->stall) != r->stall) {
		if (rnr)
			soft_count(q->port->shm, rnr, 1);
		atomic_store(&q->stall, r->stall);
		q->stall_until = limit == NEVER ? NEVER : now + limit;
	}
	if (now >= q->stall_until) {
		r->stall = SOFT_STALL_NONE;
		r->status = rnr ? IBV_WC_RNR_RETRY_EXC_ERR : IBV_WC_RETRY_EXC_ERR;
		r->why = rnr ? SOFT_VE_RNR : SOFT_VE_NO_PEER;
		return true;
	}
	if (r->stall == SOFT_STALL_SLOW)
		q->stall_next = q->wqe[q->sq_exec & q->sq_mask].slow_ns;
	else
		q->stall_next = now + (rnr ? rnr_ns(r->rnr_code) : PATH_INTERVAL_NS);
	if (q->stall_next > q->stall_until)
		q->stall_next = q->stall_until;
	stall_list(q);
	return false;
}

/* Takes @q off the list for good.  Caller holds sq_lock. */
void soft_stall_end(struct soft_qp *q)
{
	struct soft_port *p = q->port;

	pthread_mutex_lock(&p->stall_lock);
	for (struct soft_qp **pp = &p->stalled; q->stall_listed && *pp; pp = &(*pp)->stall_link)
		if (*pp == q) {
			*pp = q->stall_link;
			q->stall_listed = false;
			atomic_fetch_sub(&p->nstalled, 1);
			break;
		}
	pthread_mutex_unlock(&p->stall_lock);
}

/* Whether to try @q, locked, now.  A poller looks for receive requests as often as it likes;
 * looking for a peer takes system calls and keeps to its interval. */
static bool stall_due(const struct soft_qp *q, bool timers, uint64_t now)
{
	if (q->peer && soft_peer_gone(q->peer))
		return true;
	if (!timers && atomic_load(&q->stall) == SOFT_STALL_RNR)
		return true;
	return (timers ? now : soft_now()) >= q->stall_next;
}

/* Tries a stalled QP if it is due.  Returns whether it still waits. */
static bool stall_try(struct soft_qp *q, bool timers, uint64_t now)
{
	bool waits = true;

	if (pthread_mutex_trylock(&q->sq_lock))
		return true; /* its user is at it, and will see to it */
	if (stall_due(q, timers, now))
		soft_sq_kick(q);
	if (!atomic_load(&q->stall)) {
		q->stall_listed = false;
		waits = false;
	}
	pthread_mutex_unlock(&q->sq_lock);
	return waits;
}

/* A poller found nothing to do for its stalled sends: on a busy machine the peer may be waiting for
 * this very processor. */
static void stall_polite(void)
{
	static _Thread_local uint32_t fruitless;

	if (!(++fruitless % YIELD_EVERY))
		sched_yield();
}

/*
 * Tries the stalled sends of @p: all of them for a poller, those that are due for the helper
 * thread (@timers).  Returns when the next one is due, or 0 if none waits.
 */
uint64_t soft_stall_progress(struct soft_port *p, bool timers)
{
	uint64_t next = 0, now = timers ? soft_now() : 0;
	struct soft_qp **pp = &p->stalled, *q;

	if (timers)
		pthread_mutex_lock(&p->stall_lock);
	else if (pthread_mutex_trylock(&p->stall_lock))
		return 0;
	while ((q = *pp)) {
		if (!stall_try(q, timers, now)) {
			*pp = q->stall_link;
			atomic_fetch_sub(&p->nstalled, 1);
			continue;
		}
		if (!next || q->stall_next < next)
			next = q->stall_next;
		pp = &q->stall_link;
	}
	pthread_mutex_unlock(&p->stall_lock);
	if (!timers && next)
		stall_polite();
	if (timers && next && next <= now)
		next = now + PATH_INTERVAL_NS; /* its user held the lock */
	return next;
}
