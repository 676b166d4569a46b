/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_arena.c - mapping an arena (host_shm.h), its slots, kicks, and the slot's robust locks. What
 * the header says is checked once and copied: later changes of it cannot lead us astray.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host/sock.h"

static bool part_fits(uint64_t off, uint64_t n, uint64_t stride, uint64_t size)
{
	return off <= size && n * stride <= size - off && off % 8 == 0;
}

static bool ring_size_ok(uint32_t n)
{
	return n >= 4096 && n <= 1u << 30 && !(n & (n - 1));
}

/* Copies what the header says; false: it is not sound. */
static bool header_take(struct sock_arena *a, const volatile struct host_arena_hdr *h,
			uint64_t size)
{
	a->slots = h->slots;
	a->tx_size = h->tx_size;
	a->rx_size = h->rx_size;
	a->off_host = h->off_host;
	a->off_gw = h->off_gw;
	a->off_meta = h->off_meta;
	a->off_tx = h->off_tx;
	a->off_rx = h->off_rx;
	return h->magic == HOST_ARENA_MAGIC && h->version == HOST_ARENA_VERSION && a->slots &&
	       a->slots <= HOST_MAX_SLOTS && ring_size_ok(a->tx_size) && ring_size_ok(a->rx_size) &&
	       part_fits(a->off_host, a->slots, sizeof(struct ib_host_line), size) &&
	       part_fits(a->off_gw, a->slots, sizeof(struct ib_gw_line), size) &&
	       part_fits(a->off_meta, a->slots, sizeof(struct host_meta), size) &&
	       part_fits(a->off_tx, a->slots, a->tx_size, size) &&
	       part_fits(a->off_rx, a->slots, a->rx_size, size);
}

struct sock_arena *sock_arena_map(int memfd, int evfd, uint32_t number)
{
	struct sock_arena *a = malloc(sizeof(*a));
	struct host_arena_hdr *h = MAP_FAILED;
	struct stat st;

	if (!a)
		return NULL;
	if (!fstat(memfd, &st) && (size_t)st.st_size >= sizeof(*h))
		h = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (h == MAP_FAILED)
		goto no_map;
	if (!header_take(a, h, st.st_size))
		goto not_sound;
	a->evfd = sock_hide_dup(evfd);
	if (a->evfd < 0)
		goto not_sound;
	a->hdr = h;
	a->number = number;
	a->next = NULL;
	return a;

not_sound:
	munmap(h, st.st_size);
no_map:
	free(a);
	return NULL;
}

bool sock_arena_slot(struct sock_conn *c, struct sock_arena *a, uint32_t slot, uint32_t gen)
{
	unsigned char *base = (unsigned char *)a->hdr;

	if (slot >= a->slots)
		return false;
	c->arena = a;
	c->slot = slot;
	c->gen = gen;
	c->hl = (struct ib_host_line *)(base + a->off_host) + slot;
	c->gl = (const struct ib_gw_line *)(base + a->off_gw) + slot;
	c->meta = (struct host_meta *)(base + a->off_meta) + slot;
	c->tx = base + a->off_tx + (uint64_t)slot * a->tx_size;
	atomic_store(&c->soft_seen, 0);
	c->rx = base + a->off_rx + (uint64_t)slot * a->rx_size;
	return sock_slot_valid(c);
}

bool sock_slot_valid(const struct sock_conn *c)
{
	return __atomic_load_n(&c->meta->gen, __ATOMIC_ACQUIRE) == c->gen;
}

void sock_kick(struct sock_conn *c)
{
	struct host_arena_hdr *h = c->arena->hdr;
	uint64_t one = 1;
	int saved = errno;

	atomic_fetch_or(&h->kick[c->slot / 64], UINT64_C(1) << c->slot % 64);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&h->asleep))
		sys_write(c->arena->evfd, &one, sizeof(one));
	errno = saved;
}

void sock_kick_armed(struct sock_conn *c, const uint64_t *arm, uint64_t before, uint64_t after)
{
	uint64_t at;

	atomic_thread_fence(memory_order_seq_cst);
	at = __atomic_load_n(arm, __ATOMIC_RELAXED);
	if (before <= at && after > at)
		sock_kick(c);
}

bool sock_slot_lock(struct sock_conn *c, pthread_mutex_t *m)
{
	int r = pthread_mutex_lock(m);

	if (r == EOWNERDEAD) {
		/* Cursors move by single stores after the bytes: nothing is half done that a look
		 * at the slot cannot mend. */
		pthread_mutex_consistent(m);
		sock_kick(c);
		r = 0;
	}
	return !r;
}

bool sock_dead(const struct sock_conn *c)
{
	uint32_t mode = atomic_load(&c->meta->mode);

	return mode == HOST_M_DEAD || mode == HOST_M_FREE;
}

/* Errors that end nothing are told when they are asked for, once, as the kernel does. */
int sock_take_soft(struct sock_conn *c)
{
	uint32_t soft = __atomic_load_n(&c->gl->soft, __ATOMIC_RELAXED);

	return atomic_exchange(&c->soft_seen, soft) != soft ? host_soft_errno(le32toh(soft)) : 0;
}

uint32_t sock_take_err(struct sock_conn *c)
{
	uint32_t e = atomic_load(&c->meta->err);

	if (e)
		e = atomic_exchange(&c->meta->err, 0);
	if (e)
		atomic_store(&c->told, true);
	return e;
}
