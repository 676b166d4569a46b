/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_limit.c - rates by the generic cell rate algorithm (ITU-T I.371 annex A), a token bucket
 * whose whole state is the time at which it will be full again; and clients (prefixes) with such a
 * rate and a number of connections each, of all workers together.
 *
 * The table of clients is bounded. When everybody in it has connections open, a client that is not
 * in it is not limited by itself: its service still is. To refuse it would let an attacker with
 * many addresses shut out everybody else.
 */
#include "correlator/corr_limit.h"

#include <assert.h>
#include <string.h>

#define NS_PER_S  UINT64_C(1000000000)
#define V4_PREFIX 96 /* bits before an IPv4 address in its mapped form */

/** Key of a client. */
struct client_key {
	uint32_t id;	    /* service or rule */
	uint8_t prefix[16]; /* its network */
};
static_assert(sizeof(struct client_key) == 20, "keys are hashed and compared as bytes");

struct corr_rate corr_rate_of(uint32_t per_s, uint32_t burst)
{
	struct corr_rate r = {0};

	if (!per_s)
		return r;
	burst = burst ? burst : per_s / 10;
	burst = burst ? burst : 1;
	r.step_ns = NS_PER_S / per_s;
	r.step_ns = r.step_ns ? r.step_ns : 1;
	r.depth_ns = r.step_ns * (burst - 1);
	return r;
}

bool corr_rate_peek(const struct corr_rate *r, uint64_t state, uint64_t now_us)
{
	return !r->step_ns || state <= now_us * 1000 + r->depth_ns;
}

bool corr_rate_take(const struct corr_rate *r, uint64_t *state, uint64_t now_us)
{
	const uint64_t now = now_us * 1000;

	if (!corr_rate_peek(r, *state, now_us))
		return false;
	if (r->step_ns)
		*state = (*state > now ? *state : now) + r->step_ns;
	return true;
}

bool corr_rate_take_shared(const struct corr_rate *r, _Atomic uint64_t *state, uint64_t now_us)
{
	uint64_t was = atomic_load_explicit(state, memory_order_relaxed), is;

	if (!r->step_ns)
		return true;
	do {
		is = was;
		if (!corr_rate_take(r, &is, now_us))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(state, &was, is, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void corr_client_prefix(const struct corr_client_limit *l, const uint8_t addr[16], uint8_t out[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const bool v4 = memcmp(addr, mapped, sizeof(mapped)) == 0;
	const uint32_t bits = v4 ? V4_PREFIX + l->prefix4 : l->prefix6;

	memmove(out, addr, 16);
	if (bits >= 128)
		return;
	out[bits / 8] &= (uint8_t)(0xff00 >> bits % 8);
	memset(out + bits / 8 + 1, 0, 15 - bits / 8);
}

struct corr_mark *corr_client_get(struct corr_marks *t, uint32_t id,
				  const struct corr_client_limit *l, const uint8_t addr[16],
				  uint64_t now_ms, bool make)
{
	struct client_key k = {.id = id};

	corr_client_prefix(l, addr, k.prefix);
	return corr_marks_get(t, &k, sizeof(k), now_ms, make);
}
