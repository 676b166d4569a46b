/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_health.c - health with hysteresis: a server goes down after `fall` bad signs in a row and
 * comes up after `rise` good ones, not before it was down for the hold time; coming back, it takes
 * a growing share of new flows (slow start). What a sign is, is the caller's business.
 */
#include "correlator/corr_health.h"

#define LOAD_FREE 2u			/* slower than the median by this factor: no matter */
#define LOAD_MIN  (CORR_SHARE_FULL / 4) /* kept in any case */

/* The one place where a server goes up or down. */
static void set_up(struct corr_health *h, bool up, uint64_t now_ms)
{
	h->rising_ms = up && h->ever ? now_ms : 0;
	h->ever |= up;
	h->up = up;
	h->streak = 0;
	h->since_ms = now_ms;
	h->changes++;
}

bool corr_health_sign(struct corr_health *h, const struct corr_health_cfg *c, bool good,
		      uint64_t now_ms)
{
	const uint32_t need = good ? c->rise : c->fall;

	if (good == h->up) {
		h->streak = 0;
		return false;
	}
	if (h->streak < need)
		h->streak++;
	if (h->streak < need || (good && h->ever && now_ms - h->since_ms < c->hold_ms))
		return false;
	set_up(h, good, now_ms);
	return true;
}

bool corr_health_lost(struct corr_health *h, uint64_t now_ms)
{
	if (!h->up) {
		h->streak = 0;
		return false;
	}
	set_up(h, false, now_ms);
	return true;
}

uint32_t corr_health_share(const struct corr_health *h, const struct corr_health_cfg *c,
			   uint64_t now_ms)
{
	uint64_t age = now_ms - h->rising_ms, share;

	if (!h->up)
		return 0;
	if (!h->rising_ms || !c->slow_start_ms || age >= c->slow_start_ms)
		return CORR_SHARE_FULL;
	share = CORR_SHARE_FULL * age / c->slow_start_ms;
	return share ? (uint32_t)share : 1;
}

uint32_t corr_load_share(uint32_t own_us, uint32_t median_us)
{
	uint64_t share;

	if (own_us < CORR_LOAD_US || !median_us || own_us <= LOAD_FREE * (uint64_t)median_us)
		return CORR_SHARE_FULL;
	share = CORR_SHARE_FULL * LOAD_FREE * (uint64_t)median_us / own_us;
	return share > LOAD_MIN ? (uint32_t)share : LOAD_MIN;
}
