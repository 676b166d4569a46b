/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks between processes.  They are robust: the kernel marks the lock of a process that dies
 * holding it, the next taker learns of it and, where the guarded data need it, repairs them.
 */
#include <time.h>

#include "soft.h"

/* Prepares a lock in shared memory.  Returns 0 or errno. */
int soft_mutex_init_shared(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;
	int rc = pthread_mutexattr_init(&a);

	if (rc)
		return rc;
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	rc = pthread_mutex_init(m, &a);
	pthread_mutexattr_destroy(&a);
	return rc;
}

/* Takes a shared lock.  Returns true if its last holder died with it. */
bool soft_lock(pthread_mutex_t *m)
{
	if (soft_likely(pthread_mutex_lock(m) != EOWNERDEAD))
		return false;
	pthread_mutex_consistent(m);
	return true;
}

/* Gives a shared lock back. */
void soft_unlock(pthread_mutex_t *m)
{
	pthread_mutex_unlock(m);
}

/* Monotonic time in nanoseconds. */
uint64_t soft_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
