/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pins: ending a registration waits for copies that are under way.  An initiator announces the
 * region in a slot of the owner's arena before it looks at the key, and takes it back after the
 * copy; the owner first makes the key invalid and then waits until no slot names the region.  A
 * slot tells its holder's LID, so one left by a killed process is recognised.
 */
#include <sched.h>

#include "soft.h"

#define DRAIN_LIMIT_NS 1000000000u

/* Announces the region of @key of @peer.  Returns the slot; SOFT_NONE if all are taken, which
 * means that a thousand copies into one port are under way. */
uint32_t soft_pin(struct soft_peer *peer, uint32_t key)
{
	static _Thread_local uint32_t last;
	uint32_t lid = peer->port->lid, val = lid << 16 | SOFT_KEY_IDX(key);

	if (!last)
		last = lid * 16; /* apart from other processes' */
	for (uint32_t n = 0; n < SOFT_PINS; n++) {
		uint32_t i = (last + n) % SOFT_PINS, none = 0;

		if (atomic_compare_exchange_strong(&peer->shm->pin[i], &none, val)) {
			last = last + n;
			return i;
		}
	}
	return SOFT_NONE;
}

/* Takes the announcement back. */
void soft_unpin(struct soft_peer *peer, uint32_t pin)
{
	if (pin != SOFT_NONE)
		atomic_store_explicit(&peer->shm->pin[pin], 0, memory_order_release);
}

/* Owner: waits until nobody copies to or from region @mr, whose key is already invalid.  Returns
 * false if somebody, alive, did not end in time. */
bool soft_pin_drain(struct soft_port *p, uint32_t mr)
{
	uint64_t limit = 0, now;

	for (uint32_t i = 0; i < SOFT_PINS; i++) {
		uint32_t v;

		while ((v = atomic_load(&p->shm->pin[i])) && (v & 0xffff) == mr) {
			sched_yield();
			now = soft_now();
			limit = limit ? limit : now + DRAIN_LIMIT_NS;
			if (!soft_rdv_alive(v >> 16)) {
				atomic_compare_exchange_strong(&p->shm->pin[i], &v, 0);
				break;
			}
			if (now > limit)
				return false;
		}
	}
	return true;
}
