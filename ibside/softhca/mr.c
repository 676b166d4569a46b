/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Protection domains and memory regions (IBTA 10.6).  lkey and rkey are one value: 8 bits of
 * generation, 16 of table index, 8 more of generation, so a key that was given back does not
 * soon name another region.
 */
#include <stdlib.h>

#include "soft.h"

/* Allocates a protection domain.  Returns NULL and errno on failure. */
struct ibv_pd *soft_alloc_pd(struct ibv_context *ctx)
{
	struct soft_port *p = soft_ctx(ctx)->port;
	struct soft_pd *pd = calloc(1, sizeof(*pd));

	if (!pd)
		return NULL;
	pthread_mutex_lock(&p->lock);
	pd->id = ++p->next_pd;
	pthread_mutex_unlock(&p->lock);
	pd->pd.context = ctx;
	pd->pd.handle = pd->id;
	return &pd->pd;
}

/* Frees a protection domain; EBUSY while something is in it. */
int soft_dealloc_pd(struct ibv_pd *pd)
{
	if (atomic_load(&soft_pd(pd)->users))
		return EBUSY;
	free(pd);
	return 0;
}

static uint32_t mr_slot(struct soft_port *p)
{
	for (uint32_t n = 0; n < SOFT_MAX_MR - 1; n++) {
		uint32_t i = p->next_mr = p->next_mr % (SOFT_MAX_MR - 1) + 1;

		if (!atomic_load_explicit(&p->shm->mr[i].key, memory_order_relaxed))
			return i;
	}
	return SOFT_NONE;
}

static uint32_t mr_new_key(struct soft_port *p, uint32_t idx)
{
	uint32_t gen = ++p->mr_gen[idx] & 0xffff;

	return (gen >> 8) << 24 | idx << 8 | (gen & 0xff);
}

static int mr_fill(struct soft_port *p, struct soft_mr *m, uint64_t iova, uint32_t access)
{
	uint32_t idx = mr_slot(p);
	struct shm_mr *s;

	if (idx == SOFT_NONE)
		return ENOMEM;
	s = &p->shm->mr[idx];
	s->pd = soft_pd(m->mr.pd)->id;
	s->access = access;
	s->addr = (uintptr_t)m->mr.addr;
	s->iova = iova;
	s->len = m->mr.length;
	s->backing = soft_backing_get(p, m->mr.addr, m->mr.length, &s->backing_off);
	s->backing_gen =
		s->backing == SOFT_NONE ? 0 : atomic_load(&p->shm->backing[s->backing].gen);
	m->idx = idx;
	m->mr.handle = idx;
	m->mr.lkey = m->mr.rkey = mr_new_key(p, idx);
	atomic_store_explicit(&s->key, m->mr.lkey, memory_order_release);
	return 0;
}

/* Registers @len bytes at @addr, known to work requests as @iova.  Returns NULL and errno:
 * EINVAL for impossible access flags, EFAULT for memory that is not there. */
struct ibv_mr *soft_reg_mr(struct ibv_pd *pd, void *addr, size_t len, uint64_t iova,
			   uint32_t access)
{
	const uint32_t needs_local = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
	struct soft_port *p = soft_ctx(pd->context)->port;
	struct soft_mr *m;
	int rc = 0;

	if ((access & needs_local) && !(access & IBV_ACCESS_LOCAL_WRITE))
		rc = EINVAL;
	else if (access & IBV_ACCESS_ON_DEMAND && (!addr || len == SIZE_MAX))
		rc = EOPNOTSUPP; /* implicit on-demand paging of everything */
	else if ((uintptr_t)addr + len < (uintptr_t)addr || iova + len < iova)
		rc = EINVAL;
	else if (len)
		rc = soft_range_mapped(addr, len, access & IBV_ACCESS_LOCAL_WRITE);
	if (rc) {
		errno = rc;
		return NULL;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->mr.context = pd->context;
	m->mr.pd = pd;
	m->mr.addr = addr;
	m->mr.length = len;
	if (access & IBV_ACCESS_ZERO_BASED)
		iova = 0;
	pthread_mutex_lock(&p->lock);
	rc = mr_fill(p, m, iova, access);
	pthread_mutex_unlock(&p->lock);
	if (rc) {
		free(m);
		errno = rc;
		return NULL;
	}
	atomic_fetch_add(&soft_pd(pd)->users, 1);
	return &m->mr;
}

/* Ends a registration.  When it returns, no peer is copying to or from the region any more. */
int soft_dereg_mr(struct ibv_mr *mr)
{
	struct soft_port *p = soft_ctx(mr->context)->port;
	struct soft_mr *m = (struct soft_mr *)mr;
	struct shm_mr *s = &p->shm->mr[m->idx];
	bool quiet;

	/* The slot stays taken (a key no lookup yields) until the copies have ended. */
	atomic_store(&s->key, SOFT_NONE);
	quiet = soft_pin_drain(p, m->idx);
	pthread_mutex_lock(&p->lock);
	soft_backing_put(p, s->backing);
	s->pd = 0;
	if (quiet) /* else the slot is not used again */
		atomic_store(&s->key, 0);
	pthread_mutex_unlock(&p->lock);
	atomic_fetch_sub(&soft_pd(mr->pd)->users, 1);
	free(m);
	return 0;
}

/* Checks [va, va+len) against region @key of arena @s for @access and protection domain @pd.
 * Returns the detail of the failure, or SOFT_VE_NONE and the region in *@out. */
enum soft_vendor_err soft_mr_check(struct shm_port *s, uint32_t key, uint32_t pd, uint64_t va,
				   uint64_t len, uint32_t access, struct shm_mr **out)
{
	struct shm_mr *m = &s->mr[SOFT_KEY_IDX(key)];

	if (soft_unlikely(!key || atomic_load(&m->key) != key || m->pd != pd))
		return SOFT_VE_RKEY;
	if (soft_unlikely((m->access & access) != access))
		return SOFT_VE_RACCESS;
	if (soft_unlikely(va < m->iova || len > m->len || va - m->iova > m->len - len))
		return SOFT_VE_RBOUNDS;
	*out = m;
	return SOFT_VE_NONE;
}
