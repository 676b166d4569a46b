/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_arena.c - arenas: a memfd per user with all its connection slots (host_shm.h).
 *
 * The memfd is sealed against resizing, so that a program cannot pull pages away under us. Its
 * four parts are registered apart, each with the least the gateway needs: host lines and send
 * rings to READ, receive rings to WRITE, gateway lines both. struct host_meta and the header are
 * never registered. Slots are handed out last-in-first-out, so that few pages stay warm.
 *
 * Each part is registered once per gateway and stays so however often the gateway is lost and
 * attached again. The mapping is shared: a fork copies no page that the HCA writes to, and a
 * program under tagrun, which registers nothing itself, may fork as it likes.
 */
#include "host/host_arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/host_daemon.h"

#define PAGE	    4096ull
#define ROUND_UP(x) (((x) + PAGE - 1) & ~(PAGE - 1))

static void arena_kicked(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host_arena *a = w->data;
	uint64_t n;

	if (read(a->efd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		host_log(HOST_LOG_ERROR, "arena %u: eventfd: %s", a->id, strerror(errno));
	host_arena_poll(a);
}

/* Offsets of the parts; the size of the whole. */
static size_t arena_layout(struct host_arena *a, struct host_arena_hdr *d)
{
	uint64_t at = ROUND_UP(sizeof(*d));

	d->magic = HOST_ARENA_MAGIC;
	d->version = HOST_ARENA_VERSION;
	d->slots = a->slots;
	d->tx_size = a->tx_size;
	d->rx_size = a->rx_size;
	d->off_host = at;
	at += ROUND_UP((uint64_t)a->slots * sizeof(struct ib_host_line));
	d->off_gw = at;
	at += ROUND_UP((uint64_t)a->slots * sizeof(struct ib_gw_line));
	d->off_meta = at;
	at += ROUND_UP((uint64_t)a->slots * sizeof(struct host_meta));
	d->off_tx = at;
	at += ROUND_UP((uint64_t)a->slots * a->tx_size);
	d->off_rx = at;
	at += ROUND_UP((uint64_t)a->slots * a->rx_size);
	d->size = at;
	return (size_t)at;
}

static int arena_map(struct host_arena *a)
{
	struct host_arena_hdr d = {0};
	uint8_t *base;

	a->size = arena_layout(a, &d);
	a->memfd = memfd_create("tag-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	a->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->memfd < 0 || a->efd < 0 || ftruncate(a->memfd, (off_t)a->size))
		return errno;
	fcntl(a->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	base = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED, a->memfd, 0);
	if (base == MAP_FAILED)
		return errno;
	a->hdr = (void *)base;
	memcpy(base, &d, offsetof(struct host_arena_hdr, asleep));
	a->host = (void *)(base + d.off_host);
	a->gw = (void *)(base + d.off_gw);
	a->meta = (void *)(base + d.off_meta);
	a->tx = base + d.off_tx;
	a->rx = base + d.off_rx;
	return 0;
}

static struct host_arena *arena_new(struct host *h, uid_t uid)
{
	struct host_arena *a = calloc(1, sizeof(*a));
	int rc = ENOMEM;

	if (!a)
		return NULL;
	a->h = h;
	a->uid = uid;
	a->id = (uint16_t)h->n_arena;
	a->memfd = a->efd = -1;
	a->slots = h->conf.slots;
	a->tx_size = h->conf.tx_ring;
	a->rx_size = h->conf.rx_ring;
	a->free = calloc(a->slots, sizeof(*a->free));
	a->conn = calloc(a->slots, sizeof(struct host_conn *));
	if (a->free && a->conn)
		rc = arena_map(a);
	if (rc) {
		host_log(HOST_LOG_ERROR, "arena for user %u, %zu MiB: %s; lower slots or rings",
			 uid, a->size >> 20, strerror(rc));
		host_arena_close(a);
		return NULL;
	}
	for (uint32_t i = 0; i < a->slots; i++)
		a->free[a->n_free++] = (uint16_t)(a->slots - 1 - i);
	ev_io_init(&a->io, arena_kicked, a->efd, EV_READ);
	a->io.data = a;
	ev_io_start(h->loop, &a->io);
	return a;
}

struct host_arena *host_arena_of(struct host *h, uid_t uid)
{
	struct host_arena *a;

	for (unsigned int i = 0; i < h->n_arena; i++)
		if (h->arena[i]->uid == uid)
			return h->arena[i];
	if (h->n_arena == HOST_MAX_ARENAS)
		return NULL;
	a = arena_new(h, uid);
	if (!a)
		return NULL;
	h->arena[h->n_arena++] = a;
	host_log(HOST_LOG_INFO, "arena %u for user %u: %u slots, %zu MiB", a->id, uid, a->slots,
		 a->size >> 20);
	host_gw_tell_arena(h, a);
	return a;
}

void host_arena_close(struct host_arena *a)
{
	if (a->io.data)
		ev_io_stop(a->h->loop, &a->io);
	if (a->hdr)
		munmap(a->hdr, a->size);
	if (a->memfd >= 0)
		close(a->memfd);
	if (a->efd >= 0)
		close(a->efd);
	free(a->free);
	free(a->conn);
	free(a);
}

static void arena_lock_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t at;

	pthread_mutexattr_init(&at);
	pthread_mutexattr_setpshared(&at, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&at, PTHREAD_MUTEX_ROBUST);
	memset(m, 0, sizeof(*m));
	pthread_mutex_init(m, &at);
	pthread_mutexattr_destroy(&at);
}

int host_arena_take(struct host_arena *a)
{
	struct host_meta *m;
	uint32_t gen;
	int slot;

	if (!a->n_free)
		return -1;
	slot = a->free[--a->n_free];
	m = &a->meta[slot];
	gen = m->gen + 1;
	memset(m, 0, sizeof(*m));
	memset(&a->host[slot], 0, sizeof(a->host[slot]));
	memset(&a->gw[slot], 0, sizeof(a->gw[slot]));
	a->gw[slot].arm_tx = a->gw[slot].arm_rx = IB_ARM_NEVER;
	arena_lock_init(&m->tx_lock);
	arena_lock_init(&m->rx_lock);
	m->gen = gen ? gen : 1;
	return slot;
}

void host_arena_give(struct host_arena *a, uint16_t slot)
{
	struct host_meta *m = &a->meta[slot];

	atomic_store(&m->mode, HOST_M_FREE);
	m->gen++;
	atomic_fetch_and(&a->hdr->kick[slot / 64], ~(1ull << (slot % 64)));
	a->conn[slot] = NULL;
	a->free[a->n_free++] = slot;
}

int host_arena_register(struct host_arena *a, unsigned int gw, struct ibv_pd *pd)
{
	struct host_arena_mrs *m = &a->mrs[gw];
	const size_t lines = (size_t)a->slots;

	if (m->host)
		return 0;
	m->host = ibv_reg_mr(pd, a->host, lines * sizeof(*a->host), IBV_ACCESS_REMOTE_READ);
	m->gw = ibv_reg_mr(pd, a->gw, lines * sizeof(*a->gw),
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
				   IBV_ACCESS_REMOTE_WRITE);
	m->tx = ibv_reg_mr(pd, a->tx, lines * a->tx_size, IBV_ACCESS_REMOTE_READ);
	m->rx = ibv_reg_mr(pd, a->rx, lines * a->rx_size,
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!m->host || !m->gw || !m->tx || !m->rx) {
		int rc = errno ? errno : ENOMEM;

		host_arena_unregister(a, gw);
		return rc;
	}
	return 0;
}

static void dereg(struct ibv_mr **mr)
{
	if (*mr)
		ibv_dereg_mr(*mr);
	*mr = NULL;
}

void host_arena_unregister(struct host_arena *a, unsigned int gw)
{
	struct host_arena_mrs *m = &a->mrs[gw];

	dereg(&m->host);
	dereg(&m->gw);
	dereg(&m->tx);
	dereg(&m->rx);
	m->told = m->ok = false;
}

void host_arena_describe(const struct host_arena *a, unsigned int gw, struct ib_arena *out)
{
	const struct host_arena_mrs *m = &a->mrs[gw];

	*out = (struct ib_arena){
		.id = a->id,
		.slots = (uint16_t)a->slots,
		.tx_size = a->tx_size,
		.rx_size = a->rx_size,
		.host_base = (uintptr_t)a->host,
		.gw_base = (uintptr_t)a->gw,
		.tx_base = (uintptr_t)a->tx,
		.rx_base = (uintptr_t)a->rx,
		.host_rkey = m->host->rkey,
		.gw_rkey = m->gw->rkey,
		.tx_rkey = m->tx->rkey,
		.rx_rkey = m->rx->rkey,
	};
}

int host_arena_poll(struct host_arena *a)
{
	int done = 0;

	for (uint32_t w = 0; w * 64 < a->slots; w++) {
		uint64_t bits = atomic_load_explicit(&a->hdr->kick[w], memory_order_relaxed);

		if (!bits)
			continue;
		bits = atomic_exchange(&a->hdr->kick[w], 0);
		while (bits) {
			uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(bits);

			bits &= bits - 1;
			done++;
			host_count(&a->h->count, HOST_C_KICKS);
			if (slot < a->slots && a->conn[slot])
				host_conn_kicked(a->conn[slot]);
		}
	}
	return done;
}

bool host_arena_sleep(struct host_arena *a, bool asleep)
{
	atomic_store(&a->hdr->asleep, asleep);
	if (!asleep)
		return false;
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t w = 0; w * 64 < a->slots; w++)
		if (atomic_load_explicit(&a->hdr->kick[w], memory_order_relaxed))
			return true;
	return false;
}
