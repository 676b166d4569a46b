/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding the real libibverbs: by name, so that it works whether the program linked it, this
 * library was preloaded, or nobody loaded it yet.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#include "real.h"

static pthread_once_t real_once = PTHREAD_ONCE_INIT;
static void *real_lib;

static void real_open(void)
{
	real_lib = dlopen("libibverbs.so.1", RTLD_NOW | RTLD_LOCAL);
}

/* Looks up a function; see real.h. */
void *soft_real(const char *name, const char *version)
{
	pthread_once(&real_once, real_open);
	return real_lib ? dlvsym(real_lib, name, version) : NULL;
}
