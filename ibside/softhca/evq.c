/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Event queues: a ring of messages in the arena and an eventfd that counts them, so that poll,
 * epoll and blocking reads see what they would see of a real device's descriptor.  A peer wakes
 * the owner through its own duplicate of the eventfd.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "soft.h"

/* Makes an event queue in @p.  Returns its index and in *@fd its descriptor, or SOFT_NONE with
 * errno.  */
uint32_t soft_evq_create(struct soft_port *p, int *fd)
{
	struct shm_evq *q = NULL;
	uint32_t i = SOFT_NONE;
	int rc;

	*fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	if (*fd < 0)
		return SOFT_NONE;
	pthread_mutex_lock(&p->lock);
	for (uint32_t n = 0; n < SOFT_MAX_EVQ; n++) {
		i = p->next_evq++ % SOFT_MAX_EVQ;
		q = &p->shm->evq[i];
		if (!atomic_load(&q->gen) || q->fd < 0)
			break;
		q = NULL;
	}
	rc = q ? soft_mutex_init_shared(&q->lock) : ENOSPC;
	if (!rc) {
		q->fd = *fd;
		atomic_store(&q->head, 0);
		atomic_store(&q->tail, 0);
		atomic_fetch_add(&q->gen, 1);
	}
	pthread_mutex_unlock(&p->lock);
	if (!rc)
		return i;
	close(*fd);
	errno = rc;
	return SOFT_NONE;
}

/* Ends event queue @idx and closes its descriptor. */
void soft_evq_destroy(struct soft_port *p, uint32_t idx)
{
	struct shm_evq *q = &p->shm->evq[idx];

	pthread_mutex_lock(&p->lock);
	close(q->fd);
	q->fd = -1;
	atomic_fetch_add(&q->gen, 1);
	pthread_mutex_unlock(&p->lock);
}

/* Appends @msg to queue @idx of @peer and wakes whoever waits on it.  With @once, only if that is
 * not set yet: the message is already there; sets it.  A producer that dies holding the lock may
 * not have woken anybody, so the next one does. */
void soft_evq_push(struct soft_peer *peer, uint32_t idx, uint64_t msg, _Atomic uint32_t *once)
{
	struct shm_evq *q = &peer->shm->evq[idx];
	int fd = soft_peer_evfd(peer, idx);
	bool died = soft_lock(&q->lock), push = !once || !atomic_load(once);
	uint32_t t = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint64_t one = 1;

	push = push && t - atomic_load_explicit(&q->head, memory_order_relaxed) < SOFT_MAX_CQ;
	if (push) {
		q->ring[t % SOFT_MAX_CQ] = msg;
		atomic_store_explicit(&q->tail, t + 1, memory_order_release);
		if (once)
			atomic_store(once, 1);
	}
	if ((push || died) && fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		fprintf(stderr, "softhca: cannot wake LID %u: %s\n", peer->lid, strerror(errno));
	soft_unlock(&q->lock);
}

/* Wakes the reader of own queue @idx if it has messages: a producer may have died before it did. */
void soft_evq_nudge(struct soft_port *p, uint32_t idx)
{
	struct shm_evq *q = &p->shm->evq[idx];
	uint64_t one = 1;

	soft_lock(&q->lock);
	if (atomic_load(&q->head) != atomic_load(&q->tail) && write(q->fd, &one, sizeof(one)) < 0)
		fprintf(stderr, "softhca: cannot wake: %s\n", strerror(errno));
	soft_unlock(&q->lock);
}

/* Takes the oldest message of own queue @idx.  Returns false if there is none. */
bool soft_evq_pop(struct soft_port *p, uint32_t idx, uint64_t *msg)
{
	struct shm_evq *q = &p->shm->evq[idx];
	uint32_t h;
	bool got;

	soft_lock(&q->lock);
	h = atomic_load_explicit(&q->head, memory_order_relaxed);
	got = h != atomic_load_explicit(&q->tail, memory_order_acquire);
	if (got) {
		*msg = q->ring[h % SOFT_MAX_CQ];
		atomic_store_explicit(&q->head, h + 1, memory_order_release);
	}
	soft_unlock(&q->lock);
	return got;
}

/* Withdraws from own queue @idx the messages that equal @msg under @mask: their object is going
 * away.  They stay in the ring as UINT64_MAX, which readers skip. */
void soft_evq_purge(struct soft_port *p, uint32_t idx, uint64_t msg, uint64_t mask)
{
	struct shm_evq *q = &p->shm->evq[idx];

	soft_lock(&q->lock);
	for (uint32_t i = atomic_load(&q->head); i != atomic_load(&q->tail); i++)
		if ((q->ring[i % SOFT_MAX_CQ] & mask) == msg)
			q->ring[i % SOFT_MAX_CQ] = UINT64_MAX;
	soft_unlock(&q->lock);
}

/* Reports an asynchronous event about object @object of @peer, to event queue @evq there. */
void soft_async(struct soft_peer *peer, uint32_t evq, enum ibv_event_type type, uint32_t object)
{
	if (evq < SOFT_MAX_EVQ)
		soft_evq_push(peer, evq, (uint64_t)type << 32 | object, NULL);
}
