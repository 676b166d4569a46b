/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_real.c - finding the functions behind ours. dlsym() may allocate, and an allocator that
 * starts up may read and close files: such calls, which arrive while this thread looks something
 * up, go to the kernel directly.
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "host/sock.h"
#include "host/sock_real.h"

static const char *const names[SOCK_R_COUNT] = {
#define _(f) #f,
	SOCK_FOREACH_REAL(_)
#undef _
};

static void *_Atomic table[SOCK_R_COUNT];
static __thread bool looking __attribute__((tls_model("initial-exec")));

static int raw_fcntl(int fd, int cmd, long arg)
{
	return sys_fcntl(fd, cmd, arg);
}

static void *during_lookup(enum sock_real_id id)
{
	switch (id) {
	case SOCK_R_read:
		return (void *)sys_read;
	case SOCK_R_write:
		return (void *)sys_write;
	case SOCK_R_close:
		return (void *)sys_close;
	case SOCK_R_fcntl:
		return (void *)raw_fcntl;
	case SOCK_R_ioctl:
		return (void *)sys_ioctl;
	default:
		abort();
	}
}

void *sock_real(enum sock_real_id id)
{
	void *f = atomic_load_explicit(&table[id], memory_order_relaxed);

	if (f)
		return f;
	if (looking)
		return during_lookup(id);
	looking = true;
	f = dlsym(RTLD_NEXT, names[id]);
	looking = false;
	if (!f)
		abort();
	atomic_store_explicit(&table[id], f, memory_order_relaxed);
	return f;
}

void sock_real_init(void)
{
	for (int i = 0; i < SOCK_R_COUNT; i++)
		sock_real(i);
}
