/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers: other ports, attached.  Attaching maps the peer's arena through its pidfd; the same
 * permission (ptrace access) is what process_vm_* needs later, so it is probed here, once.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "soft.h"

#define ALIVE_TRUST_NS 1000000u

static int peer_getfd(const struct soft_peer *peer, int nr)
{
	return (int)syscall(SYS_pidfd_getfd, peer->pidfd, nr, 0);
}

static int peer_map_arena(struct soft_peer *peer, int fd)
{
	void *m = mmap(NULL, SOFT_ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		       fd, 0);

	if (m == MAP_FAILED)
		return errno;
	peer->shm = m;
	if (peer->shm->magic == SOFT_MAGIC && peer->shm->layout == SOFT_LAYOUT &&
	    peer->shm->lid == peer->lid)
		return 0;
	munmap(m, SOFT_ARENA_SIZE);
	peer->shm = NULL;
	return ENOENT; /* not ready yet */
}

static int peer_attach_remote(struct soft_peer *peer)
{
	static _Atomic int told;
	int nr, fd, rc = soft_rdv_find(peer->lid, &peer->pid, &nr, &peer->pidfd);

	if (rc == EPROTO && !atomic_exchange(&told, 1))
		fprintf(stderr, "softhca: LID %u is of another version of this library\n",
			peer->lid);
	if (rc)
		return rc;
	fd = peer_getfd(peer, nr);
	rc = fd < 0 ? errno : peer_map_arena(peer, fd);
	if (rc == EPERM && !atomic_exchange(&told, 1))
		fprintf(stderr,
			"softhca: the kernel forbids process %d to reach the memory of process %d "
			"(LID %u): run both as the same user with dumpable memory, or grant "
			"CAP_SYS_PTRACE (kernel.yama.ptrace_scope must not be above 1)\n",
			getpid(), peer->pid, peer->lid);
	if (fd >= 0)
		close(fd);
	if (!rc)
		rc = soft_watch_peer(peer);
	if (rc) {
		close(peer->pidfd);
		peer->pidfd = -1;
	}
	return rc;
}

static int peer_attach(struct soft_peer *peer)
{
	struct soft_port *local = soft_port_local(peer->lid);

	peer->pidfd = -1;
	if (!local)
		return peer_attach_remote(peer);
	peer->self = true;
	if (local != peer->port)
		return peer_map_arena(peer, local->memfd);
	peer->shm = local->shm;
	return 0;
}

/* Frees @peer, which nothing refers to any more.  Port's lock not held. */
static void peer_free(struct soft_peer *peer)
{
	soft_watch_forget(peer);
	for (uint32_t i = 0; i < SOFT_MAX_BACKING; i++) {
		struct soft_map *m = &peer->map[i];

		if (m->base)
			munmap(m->base, m->size);
		while ((m = peer->map[i].old)) {
			peer->map[i].old = m->old;
			munmap(m->base, m->size);
			free(m);
		}
	}
	for (uint32_t i = 0; i < SOFT_MAX_EVQ; i++)
		if (peer->evfd[i].gen)
			close(peer->evfd[i].fd);
	if (peer->shm && peer->shm != peer->port->shm)
		munmap(peer->shm, SOFT_ARENA_SIZE);
	if (peer->pidfd >= 0)
		close(peer->pidfd);
	free(peer);
}

/* Takes @peer off its port's tables.  Caller holds the port's lock. */
static void peer_unlist(struct soft_port *p, struct soft_peer *peer)
{
	if (peer->unlisted)
		return;
	peer->unlisted = true;
	if (p->by_lid[peer->lid] == peer)
		p->by_lid[peer->lid] = NULL;
	for (struct soft_peer **pp = &p->peers; *pp; pp = &(*pp)->next)
		if (*pp == peer) {
			*pp = peer->next;
			break;
		}
}

/* Whether the caller is the one to free @peer: nobody refers to it, nobody can find it.  Caller
 * holds the port's lock. */
static bool peer_claim(struct soft_peer *peer)
{
	if (peer->refs || !peer->unlisted || peer->claimed)
		return false;
	peer->claimed = true;
	return true;
}

/* Whether @peer cannot be reached any more: its process has died or closed the port, or the port
 * has another LID now. */
bool soft_peer_gone(const struct soft_peer *peer)
{
	return atomic_load_explicit(&peer->dead, memory_order_relaxed) ||
	       atomic_load_explicit(&peer->shm->closed, memory_order_relaxed) ||
	       atomic_load_explicit(&peer->shm->lid, memory_order_relaxed) !=
		       atomic_load_explicit(&peer->lid, memory_order_relaxed);
}

/* The attached peer with @lid, counted, or NULL.  One that is gone, also if the helper thread has
 * not noticed yet, is not offered again: its LID may have a new owner. */
static struct soft_peer *peer_find(struct soft_port *p, uint32_t lid)
{
	struct soft_peer *peer, *corpse = NULL;

	pthread_mutex_lock(&p->lock);
	peer = p->by_lid[lid];
	if (peer && !peer->self)
		atomic_store(&peer->alive_ns, 0); /* do not trust an old answer */
	if (peer && (soft_peer_gone(peer) || !soft_peer_alive(peer))) {
		peer_unlist(p, peer);
		corpse = peer_claim(peer) ? peer : NULL;
		peer = NULL;
	}
	if (peer)
		peer->refs++;
	pthread_mutex_unlock(&p->lock);
	if (corpse)
		peer_free(corpse);
	return peer;
}

/* The peer with @lid, attached if need be; counted.  Returns NULL and errno if there is none. */
struct soft_peer *soft_peer_get(struct soft_port *p, uint32_t lid)
{
	struct soft_peer *peer;
	int rc;

	if (!lid || lid > SOFT_LID_MAX) {
		errno = ENOENT;
		return NULL;
	}
	peer = peer_find(p, lid);
	if (peer)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->lid = lid;
	peer->port = p;
	peer->refs = 1;
	rc = peer_attach(peer);
	if (rc) {
		free(peer);
		errno = rc;
		return NULL;
	}
	pthread_mutex_lock(&p->lock);
	if (p->by_lid[lid]) { /* another thread was faster: this copy lives with its one user */
		peer->unlisted = true;
	} else {
		p->by_lid[lid] = peer;
		peer->next = p->peers;
		p->peers = peer;
		if (!peer->self)
			soft_count(p->shm, peers_attached, 1);
	}
	pthread_mutex_unlock(&p->lock);
	return peer;
}

/* Drops one count of @peer. */
void soft_peer_put(struct soft_port *p, struct soft_peer *peer)
{
	bool last;

	if (!peer)
		return;
	pthread_mutex_lock(&p->lock);
	peer->refs--;
	last = peer_claim(peer);
	pthread_mutex_unlock(&p->lock);
	if (last)
		peer_free(peer);
}

/* Helper thread: the process of @peer has ended. */
void soft_peer_died(struct soft_peer *peer)
{
	struct soft_port *p = peer->port;
	bool last;

	soft_stage_reclaim(p->shm, peer->lid);
	soft_cq_after_death(p);
	pthread_mutex_lock(&p->lock);
	peer_unlist(p, peer);
	atomic_store(&peer->dead, true);
	last = peer_claim(peer);
	pthread_mutex_unlock(&p->lock);
	if (last)
		peer_free(peer);
	soft_count(p->shm, peers_died, 1);
}

/* Makes the port's own peer.  Returns 0 or errno. */
int soft_peers_init(struct soft_port *p)
{
	p->self = calloc(1, sizeof(*p->self));
	if (!p->self)
		return ENOMEM;
	p->self->lid = p->lid;
	p->self->port = p;
	p->self->shm = p->shm;
	p->self->self = true;
	p->self->pidfd = -1;
	p->self->refs = 1;
	p->self->next = p->peers;
	p->peers = p->self;
	p->by_lid[p->lid] = p->self;
	return 0;
}

/* @p has got another LID: it finds itself there, and nobody at the old one. */
void soft_peers_moved(struct soft_port *p, uint32_t lid)
{
	struct soft_peer *former;

	pthread_mutex_lock(&p->lock);
	former = p->by_lid[lid];
	if (former) {
		former->refs++;
		peer_unlist(p, former);
	}
	p->by_lid[p->lid] = NULL;
	atomic_store(&p->shm->lid, lid);
	p->self->lid = lid;
	p->by_lid[lid] = p->self;
	p->lid = lid;
	pthread_mutex_unlock(&p->lock);
	soft_peer_put(p, former);
}

/* Port is closing: detaches everybody. */
void soft_peers_free(struct soft_port *p)
{
	struct soft_peer *peer;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		peer = p->peers;
		if (peer) {
			peer->refs++; /* the helper thread, should it see a death, leaves it */
			peer_unlist(p, peer);
		}
		pthread_mutex_unlock(&p->lock);
		if (!peer)
			break;
		peer_free(peer);
	}
	soft_watch_sync();
	p->self = NULL;
}

/* Whether the process of @peer still lives, so that its pid may be used in a system call.  The
 * answer is trusted for a millisecond, far less than a pid takes to come round again. */
bool soft_peer_alive(struct soft_peer *peer)
{
	struct pollfd pf = {.fd = peer->pidfd, .events = POLLIN};
	uint64_t now;

	if (atomic_load_explicit(&peer->dead, memory_order_relaxed))
		return false;
	if (peer->self)
		return true;
	now = soft_now();
	if (now - atomic_load_explicit(&peer->alive_ns, memory_order_relaxed) < ALIVE_TRUST_NS)
		return true;
	if (poll(&pf, 1, 0) == 1)
		return false;
	atomic_store_explicit(&peer->alive_ns, now, memory_order_relaxed);
	return true;
}

/* Maps backing file @idx of @peer again, now at least @need bytes.  Caller holds map_lock. */
static int peer_remap(struct soft_peer *peer, uint32_t idx, uint32_t gen, uint64_t need)
{
	struct shm_backing *b = &peer->shm->backing[idx];
	struct soft_map *m = &peer->map[idx], *old;
	uint64_t size = b->size > need ? b->size : need;
	int fd = peer_getfd(peer, b->fd);
	void *base;

	if (fd < 0)
		return errno;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base != MAP_FAILED && soft_guard_needed(fd))
		atomic_store(&peer->guard, true);
	close(fd);
	if (base == MAP_FAILED)
		return errno;
	if (m->base) {
		old = malloc(sizeof(*old));
		if (!old) {
			munmap(base, size);
			return ENOMEM;
		}
		*old = *m;
		m->old = old;
	}
	m->size = size;
	m->base = base;
	m->gen = gen;
	return 0;
}

/* Address here of @len bytes at @off of region @mr of @peer, or NULL if it cannot be mapped.  The
 * caller has pinned the region, so its backing is not given up meanwhile. */
uint8_t *soft_peer_map(struct soft_peer *peer, const struct shm_mr *mr, uint64_t off, uint64_t len)
{
	uint32_t idx = mr->backing, gen = mr->backing_gen;
	uint64_t at = mr->backing_off + off;
	uint8_t *ret = NULL;
	struct soft_map *m;

	if (peer->self)
		return (uint8_t *)(uintptr_t)(mr->addr + off);
	if (idx >= SOFT_MAX_BACKING)
		return NULL;
	m = &peer->map[idx];
	pthread_mutex_lock(&peer->port->map_lock);
	if (m->base && m->gen != gen) {
		struct soft_map *o;

		/* Generation changed: no region of the old file is left, so nobody copies. */
		munmap(m->base, m->size);
		while ((o = m->old)) {
			m->old = o->old;
			munmap(o->base, o->size);
			free(o);
		}
		m->base = NULL;
	}
	if ((m->base && m->size >= at + len) || peer_remap(peer, idx, gen, at + len) == 0)
		ret = m->base + at;
	pthread_mutex_unlock(&peer->port->map_lock);
	return ret;
}

/* Our descriptor for event queue @evq of @peer, or -1. */
int soft_peer_evfd(struct soft_peer *peer, uint32_t evq)
{
	struct shm_evq *q = &peer->shm->evq[evq];
	uint32_t gen = atomic_load(&q->gen);
	int fd;

	if (peer->self)
		return q->fd;
	pthread_mutex_lock(&peer->port->map_lock);
	if (peer->evfd[evq].gen && peer->evfd[evq].gen != gen) {
		close(peer->evfd[evq].fd);
		peer->evfd[evq].gen = 0;
	}
	if (!peer->evfd[evq].gen) {
		fd = peer_getfd(peer, q->fd);
		if (fd >= 0) {
			peer->evfd[evq].fd = fd;
			peer->evfd[evq].gen = gen;
		}
	}
	fd = peer->evfd[evq].gen ? peer->evfd[evq].fd : -1;
	pthread_mutex_unlock(&peer->port->map_lock);
	return fd;
}
