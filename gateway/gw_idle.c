/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_idle.c - what a worker does when there is nothing to do: it polls on for a while, giving
 * way to others on its CPU, then sleeps in steps that grow from 5 to 200 us, never beyond the time
 * when something is due. One turn with work begins anew, so a busy worker never sleeps.
 */
#include <sched.h>
#include <time.h>

#include "gateway/gw_int.h"

#define SPIN_TURNS  32 /* polled without pause */
#define YIELD_TURNS 96 /* polled, giving way to other threads */
#define STEP_MIN_US 5u
#define STEP_MAX_US 200u

bool gw_idle_turn(struct gw_idle *idle, uint32_t work, uint64_t now_us, uint64_t next_us)
{
	struct timespec nap = {0};
	uint64_t us;

	if (work) {
		idle->turns = 0;
		idle->step_us = 0;
		return false;
	}
	if (idle->turns < YIELD_TURNS) {
		if (++idle->turns > SPIN_TURNS)
			sched_yield();
		return false;
	}
	idle->step_us = idle->step_us ? RTE_MIN(idle->step_us * 2, STEP_MAX_US) : STEP_MIN_US;
	us = idle->step_us;
	if (next_us <= now_us)
		return false;
	if (us > next_us - now_us)
		us = next_us - now_us;
	nap.tv_nsec = (long)us * 1000;
	nanosleep(&nap, NULL);
	return true;
}
