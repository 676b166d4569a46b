/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arena of a port: a memfd that holds the tables of soft_shm.h and, behind them, a heap for
 * rings.  Only the owner allocates, so the allocator's own state is private.  Freed pages go
 * back to the system at once.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft.h"

#define HEAP_MIN_LOG 12

/* Creates and maps the arena of @p and sets its tables up.  Returns 0 or errno. */
int soft_arena_create(struct soft_port *p)
{
	int rc;

	p->memfd = memfd_create("softhca", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->memfd < 0)
		return errno;
	if (ftruncate(p->memfd, (off_t)SOFT_ARENA_SIZE) < 0)
		goto err;
	p->shm = mmap(NULL, SOFT_ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		      p->memfd, 0);
	if (p->shm == MAP_FAILED)
		goto err;
	if (fcntl(p->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		goto err_map;
	p->shm->layout = SOFT_LAYOUT;
	p->shm->size = SOFT_ARENA_SIZE;
	p->shm->pid = (uint32_t)getpid();
	snprintf(p->shm->proc, sizeof(p->shm->proc), "%.*s", (int)sizeof(p->shm->proc) - 1,
		 program_invocation_short_name);
	p->heap_top = (sizeof(struct shm_port) + 4095) & ~4095ull;
	soft_stage_init(p->shm);
	rc = soft_mutex_init_shared(&p->shm->atomic_lock);
	for (uint32_t i = 0; i < SOFT_MAX_BACKING; i++)
		p->shm->backing[i].fd = -1;
	if (!rc)
		return 0;
	errno = rc;
err_map:
	rc = errno;
	munmap(p->shm, SOFT_ARENA_SIZE);
	errno = rc;
err:
	rc = errno;
	close(p->memfd);
	p->memfd = -1;
	p->shm = NULL;
	return rc;
}

/* Unmaps and closes the arena of @p; peers that still map it keep it alive. */
void soft_arena_destroy(struct soft_port *p)
{
	if (!p->shm)
		return;
	munmap(p->shm, SOFT_ARENA_SIZE);
	close(p->memfd);
	p->shm = NULL;
	p->memfd = -1;
}

static uint32_t size_log(size_t bytes)
{
	uint32_t l = HEAP_MIN_LOG;

	while (((size_t)1 << l) < bytes)
		l++;
	return l;
}

/* Takes @bytes of zeroed heap, page aligned.  Returns its offset, or 0 when the heap is full.
 * Caller holds the port's lock. */
uint64_t soft_heap_alloc(struct soft_port *p, size_t bytes)
{
	uint32_t l = size_log(bytes);
	uint64_t off = p->heap_free[l];
	uint64_t *link;

	if (off) {
		link = soft_at(p->shm, off);
		p->heap_free[l] = *link;
		*link = 0;
		return off;
	}
	off = p->heap_top;
	if (off + (1ull << l) > SOFT_ARENA_SIZE)
		return 0;
	p->heap_top = off + (1ull << l);
	return off;
}

/* Gives back what soft_heap_alloc() returned for the same @bytes.  Caller holds the lock. */
void soft_heap_free(struct soft_port *p, uint64_t off, size_t bytes)
{
	uint32_t l = size_log(bytes);
	uint64_t *link;

	if (!off)
		return;
	if (fallocate(p->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
		      (off_t)1 << l) < 0)
		memset(soft_at(p->shm, off), 0, (size_t)1 << l);
	link = soft_at(p->shm, off);
	*link = p->heap_free[l];
	p->heap_free[l] = off;
}
