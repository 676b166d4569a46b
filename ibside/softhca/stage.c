/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Staging slots.  A receive buffer in ordinary private memory can be reached from another process
 * only by a system call.  For a small SEND a second copy is cheaper: the sender parks the bytes in
 * a slot of the receiver's arena, and the receiver moves them when it polls the completion.  The
 * free slots form a lock-free stack, so the ones in use stay warm in the cache.
 */
#include "soft.h"

/* Makes arena @s have all its slots free. */
void soft_stage_init(struct shm_port *s)
{
	atomic_store(&s->stage_head, SOFT_NONE);
}

/* A slot never used before. */
static uint32_t stage_fresh(struct shm_port *s, uint32_t lid)
{
	uint32_t i;

	if (atomic_load(&s->stage_fresh) >= SOFT_STAGE_SLOTS)
		return SOFT_NONE;
	i = atomic_fetch_add(&s->stage_fresh, 1);
	if (i >= SOFT_STAGE_SLOTS)
		return SOFT_NONE;
	atomic_store(&s->stage[i].holder, lid);
	return i;
}

/* Takes a slot of arena @s on behalf of port @lid.  Returns SOFT_NONE when there is none. */
uint32_t soft_stage_get(struct shm_port *s, uint32_t lid)
{
	uint64_t head = atomic_load_explicit(&s->stage_head, memory_order_acquire);

	for (;;) {
		uint32_t i = (uint32_t)head;
		uint64_t want;

		if (i >= SOFT_STAGE_SLOTS)
			return stage_fresh(s, lid);
		want = ((head >> 32) + 1) << 32 |
		       atomic_load_explicit(&s->stage[i].next, memory_order_relaxed);
		if (atomic_compare_exchange_weak(&s->stage_head, &head, want)) {
			atomic_store_explicit(&s->stage[i].holder, lid, memory_order_relaxed);
			return i;
		}
	}
}

/* Gives @slot back. */
void soft_stage_put(struct shm_port *s, uint32_t slot)
{
	uint64_t head = atomic_load_explicit(&s->stage_head, memory_order_acquire);
	uint64_t want;

	atomic_store_explicit(&s->stage[slot].holder, 0, memory_order_relaxed);
	do {
		atomic_store_explicit(&s->stage[slot].next, (uint32_t)head, memory_order_relaxed);
		want = ((head >> 32) + 1) << 32 | slot;
	} while (!atomic_compare_exchange_weak(&s->stage_head, &head, want));
}

/* Takes back the slots that port @lid was filling when its process died. */
void soft_stage_reclaim(struct shm_port *s, uint32_t lid)
{
	uint32_t n = atomic_load(&s->stage_fresh);

	for (uint32_t i = 0; i < n && i < SOFT_STAGE_SLOTS; i++)
		if (atomic_load(&s->stage[i].holder) == lid)
			soft_stage_put(s, i);
}

/* Owner: moves the bytes of a published @slot to their receive buffer and frees it. */
void soft_stage_deliver(struct shm_port *s, uint32_t slot)
{
	struct shm_stage *st = &s->stage[slot];
	uint64_t t = soft_stats_begin();
	uint32_t done = 0;

	for (uint32_t i = 0; i < st->nsge && done < st->len; i++) {
		uint32_t n = st->sge[i].length;

		if (n > st->len - done)
			n = st->len - done;
		memcpy((void *)(uintptr_t)st->sge[i].addr, st->data + done, n);
		done += n;
	}
	soft_stats_end(s, t);
	soft_stage_put(s, slot);
}
