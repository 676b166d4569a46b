/* SPDX-License-Identifier: BSD-3-Clause */
/* corr_limit.h - rates, and the limits of each client. */
#ifndef CORRELATOR_CORR_LIMIT_H
#define CORRELATOR_CORR_LIMIT_H

#include "correlator/corr_mark.h"

/** A rate with a burst, as GCRA wants it. step_ns 0: no limit. */
struct corr_rate {
	uint64_t step_ns;  /* between two events at the rate */
	uint64_t depth_ns; /* how far ahead of its time an event may come: burst - 1 steps */
};

/** `per_s` events a second, `burst` at once (0: a tenth of a second's). per_s 0: no limit. */
struct corr_rate corr_rate_of(uint32_t per_s, uint32_t burst);

/** True when an event may happen now; then it is counted in *state (zero at first). */
bool corr_rate_take(const struct corr_rate *r, uint64_t *state, uint64_t now_us);
/** The same for a state that several workers share. */
bool corr_rate_take_shared(const struct corr_rate *r, _Atomic uint64_t *state, uint64_t now_us);

/** The same question without counting. */
bool corr_rate_peek(const struct corr_rate *r, uint64_t state, uint64_t now_us);

/** Limits of each client of a service or rule. */
struct corr_client_limit {
	uint32_t max_conns;    /* connections, 0: no limit */
	struct corr_rate rate; /* new connections */
	uint8_t prefix4;       /* clients with the same first bits are one, 0 to 32 */
	uint8_t prefix6;       /* 0 to 128 */
};

/** True when a client is limited at all. */
static inline bool corr_client_limited(const struct corr_client_limit *l)
{
	return l->max_conns || l->rate.step_ns;
}

/** Address of the client's prefix: the bits behind it are zero. addr and out may be the same. */
void corr_client_prefix(const struct corr_client_limit *l, const uint8_t addr[16], uint8_t out[16]);

/**
 * The client of an address at whatever `id` names, of all workers: its word is the state of its
 * rate, its count its connections. NULL: unknown (make: false), or too many have connections.
 */
struct corr_mark *corr_client_get(struct corr_marks *t, uint32_t id,
				  const struct corr_client_limit *l, const uint8_t addr[16],
				  uint64_t now_ms, bool make);

#endif
