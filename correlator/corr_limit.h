/* SPDX-License-Identifier: BSD-3-Clause */
/* corr_limit.h - rates, and what is remembered of each client to limit it. */
#ifndef CORRELATOR_CORR_LIMIT_H
#define CORRELATOR_CORR_LIMIT_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "correlator/corr_table.h"

/** A rate with a burst, as GCRA wants it. step_ns 0: no limit. */
struct corr_rate {
	uint64_t step_ns;  /* between two events at the rate */
	uint64_t depth_ns; /* how far ahead of its time an event may come: burst - 1 steps */
};

/**
 * `per_s` events a second, `burst` at once (0: a tenth of a second's). `parts` workers share them:
 * each has 1/parts of the rate and, of the burst, at least one. per_s 0: no limit.
 */
struct corr_rate corr_rate_of(uint32_t per_s, uint32_t burst, uint32_t parts);

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

/** What is remembered of a client. */
struct corr_client {
	TAILQ_ENTRY(corr_client) lru; /* in corr_clients.lru */
	uint64_t rate_state;	      /* of corr_rate_take() */
	uint64_t seen_ms;	      /* last new connection */
	uint32_t conns;		      /* open now; it is not forgotten before they end */
};

/** True when a client is limited at all. */
static inline bool corr_client_limited(const struct corr_client_limit *l)
{
	return l->max_conns || l->rate.step_ns;
}

/** Address of the client's prefix: the bits behind it are zero. addr and out may be the same. */
void corr_client_prefix(const struct corr_client_limit *l, const uint8_t addr[16], uint8_t out[16]);

/** Clients of all services and rules of one worker. */
struct corr_clients {
	struct corr_table *table;      /* corr_client by id and prefix */
	TAILQ_HEAD(, corr_client) lru; /* all, the one seen last at the end */
};

/** Makes a table for `max` clients. 0 or ENOMEM. */
int corr_clients_open(struct corr_clients *t, uint32_t max);
/** Frees it; nobody may have connections any more. */
void corr_clients_close(struct corr_clients *t);

/**
 * The client of an address at whatever `id` names, made when it is new and `make` is set; somebody
 * without connections makes room. NULL: unknown, or everybody in the table has connections.
 */
struct corr_client *corr_clients_get(struct corr_clients *t, uint32_t id,
				     const struct corr_client_limit *l, const uint8_t addr[16],
				     uint64_t now_ms, bool make);

/** Forgets clients that are not interesting any more, among the next n places. */
void corr_clients_age(struct corr_clients *t, uint32_t n, uint64_t now_ms);

#endif
