/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_table.c - which connection a descriptor names. A two-level table whose lookup takes no
 * lock: an entry is read, a reference taken, and the entry read again; connections are
 * type-stable, so that a stale pointer is harmless. Hidden descriptors (the library's own) have an
 * entry of their own kind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "host/sock.h"

#define CHUNK	  1024u /* entries per second-level table */
#define CHUNKS	  1024u
#define MAX_FD	  (CHUNK * CHUNKS)
#define HIDE_FROM 8192
#define POOL_INC  64 /* connections allocated at a time */

typedef struct sock_conn *_Atomic entry_t;

static entry_t *_Atomic top[CHUNKS];
static struct sock_conn hidden_mark;			 /* entry of a hidden descriptor */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* changes of top and nfds, free list */
static struct sock_conn *free_list;

static void *map_zeroed(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static entry_t *entry(int fd)
{
	entry_t *chunk;

	if ((unsigned int)fd >= MAX_FD)
		return NULL;
	chunk = atomic_load_explicit(&top[fd / CHUNK], memory_order_acquire);
	return chunk ? &chunk[fd % CHUNK] : NULL;
}

static entry_t *entry_make(int fd)
{
	entry_t *chunk;

	if ((unsigned int)fd >= MAX_FD)
		return NULL;
	if (!atomic_load(&top[fd / CHUNK])) {
		chunk = map_zeroed(CHUNK * sizeof(entry_t));
		if (!chunk)
			return NULL;
		atomic_store_explicit(&top[fd / CHUNK], chunk, memory_order_release);
	}
	return entry(fd);
}

static bool pool_grow(void)
{
	struct sock_conn *c = map_zeroed(POOL_INC * sizeof(*c));

	if (!c)
		return false;
	for (int i = 0; i < POOL_INC; i++) {
		pthread_mutex_init(&c[i].mtx, NULL);
		c[i].next_free = free_list;
		free_list = &c[i];
	}
	return true;
}

struct sock_conn *sock_conn_new(uint16_t policy, uint32_t min_bytes)
{
	struct sock_conn *c = NULL;

	pthread_mutex_lock(&lock);
	if (free_list || pool_grow()) {
		c = free_list;
		free_list = c->next_free;
	}
	pthread_mutex_unlock(&lock);
	if (!c)
		return NULL;
	c->policy = policy;
	c->min_bytes = min_bytes;
	c->n_memb = 0;
	atomic_store(&c->nfds, 0);
	atomic_store(&c->pinned, false);
	atomic_store(&c->native_sent, 0);
	atomic_store(&c->next_try, 0);
	atomic_store(&c->asks_seen, sock_asks());
	atomic_store(&c->kfd, -1);
	atomic_store(&c->tx_shut, false);
	atomic_store(&c->rx_shut, false);
	atomic_store(&c->told, false);
	sock_set_state(c, sock_state(c), SOCK_S_UNDECIDED);
	atomic_store(&c->refs, 1);
	return c;
}

void sock_put(struct sock_conn *c)
{
	int kfd;

	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	sock_set_state(c, SOCK_S_UNDECIDED, SOCK_S_NATIVE);
	kfd = atomic_exchange(&c->kfd, -1);
	if (kfd >= 0) /* its descriptor was closed unnoticed */
		sock_unhide_close(kfd);
	pthread_mutex_lock(&lock);
	c->next_free = free_list;
	free_list = c;
	pthread_mutex_unlock(&lock);
}

struct sock_conn *sock_get(int fd)
{
	entry_t *e = entry(fd);
	struct sock_conn *c;
	uint32_t r;

	if (!e)
		return NULL;
	for (;;) {
		c = atomic_load_explicit(e, memory_order_acquire);
		if (!c || c == &hidden_mark)
			return NULL;
		r = atomic_load(&c->refs);
		while (r && !atomic_compare_exchange_weak(&c->refs, &r, r + 1))
			;
		if (!r)
			continue;
		if (atomic_load(e) == c)
			return c;
		sock_put(c);
	}
}

bool sock_table_set(int fd, struct sock_conn *c)
{
	struct sock_conn *old = NULL;
	entry_t *e;

	pthread_mutex_lock(&lock);
	e = entry_make(fd);
	if (e) {
		atomic_fetch_add(&c->refs, 1);
		atomic_fetch_add(&c->nfds, 1);
		old = atomic_exchange(e, c);
		if (old && old != &hidden_mark)
			atomic_fetch_sub(&old->nfds, 1);
	}
	pthread_mutex_unlock(&lock);
	if (old && old != &hidden_mark) {
		sock_log("descriptor %d was closed unnoticed", fd);
		sock_put(old);
	}
	return e != NULL;
}

struct sock_conn *sock_table_drop(int fd, const struct sock_conn *only, bool *last)
{
	entry_t *e = entry(fd);
	struct sock_conn *c = NULL;

	if (!e || !atomic_load_explicit(e, memory_order_acquire))
		return NULL;
	pthread_mutex_lock(&lock);
	c = atomic_load(e);
	if (c == &hidden_mark || (only && c != only))
		c = NULL;
	if (c) {
		atomic_store(e, NULL);
		*last = atomic_fetch_sub(&c->nfds, 1) == 1;
	}
	pthread_mutex_unlock(&lock);
	return c;
}

/* Where hidden descriptors begin: out of the way of those that programs number themselves, but no
 * higher than needed, since the kernel's table grows with the highest and is copied by fork(). */
static int high_base(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur / 2 > HIDE_FROM)
		return HIDE_FROM;
	return rl.rlim_cur / 2;
}

int sock_hide_dup(int fd)
{
	int h = sys_fcntl(fd, F_DUPFD_CLOEXEC, high_base());
	entry_t *e;

	if (h < 0)
		return -1;
	pthread_mutex_lock(&lock);
	e = entry_make(h);
	if (e)
		atomic_store(e, &hidden_mark);
	pthread_mutex_unlock(&lock);
	if (e)
		return h;
	sys_close(h);
	errno = EMFILE;
	return -1;
}

int sock_hide(int fd)
{
	int h = sock_hide_dup(fd);

	sys_close(fd);
	return h;
}

void sock_unhide_close(int fd)
{
	entry_t *e = entry(fd);

	if (e)
		atomic_store(e, NULL);
	sys_close(fd);
}

bool sock_hidden(int fd)
{
	entry_t *e = entry(fd);

	return e && atomic_load_explicit(e, memory_order_relaxed) == &hidden_mark;
}

void sock_table_each(unsigned int lo, unsigned int hi,
		     void (*f)(int fd, struct sock_conn *c, void *ctx), void *ctx)
{
	struct sock_conn *c;
	entry_t *chunk;

	if (hi >= MAX_FD)
		hi = MAX_FD - 1;
	for (unsigned int fd = lo; fd <= hi; fd++) {
		chunk = atomic_load(&top[fd / CHUNK]);
		if (!chunk) {
			fd |= CHUNK - 1;
			continue;
		}
		c = atomic_load(&chunk[fd % CHUNK]);
		if (c)
			f(fd, c == &hidden_mark ? NULL : c, ctx);
	}
}

void sock_table_fork(bool hold)
{
	if (hold)
		pthread_mutex_lock(&lock);
	else
		pthread_mutex_unlock(&lock);
}
