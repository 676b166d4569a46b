/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies that may hit a hole.  A peer can truncate the file behind memory it registered; touching
 * the pages then raises SIGBUS in whoever maps them, here.  A copy through such a mapping runs
 * under a guard: the signal ends the copy, not the process.  Files sealed against shrinking
 * (F_SEAL_SHRINK) need none.  A SIGBUS of any other origin goes where it went before.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>

#include "soft.h"

static _Thread_local sigjmp_buf guard_env;
static _Thread_local volatile sig_atomic_t guard_on;
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER; /* installing */
static struct sigaction guard_old;

static void guard_handler(int sig, siginfo_t *info, void *uc)
{
	if (guard_on)
		siglongjmp(guard_env, 1);
	if (guard_old.sa_flags & SA_SIGINFO) {
		guard_old.sa_sigaction(sig, info, uc);
	} else if (guard_old.sa_handler != SIG_DFL && guard_old.sa_handler != SIG_IGN) {
		guard_old.sa_handler(sig);
	} else {
		signal(sig, SIG_DFL); /* the access is repeated, and ends the process */
	}
}

/* Puts the handler in place, again if the program has set one of its own since. */
static void guard_install(void)
{
	/* Not blocked while it runs: it does not return when it ends a copy. */
	struct sigaction sa = {.sa_sigaction = guard_handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
	struct sigaction cur;

	pthread_mutex_lock(&guard_lock);
	if (sigaction(SIGBUS, NULL, &cur) == 0 &&
	    !((cur.sa_flags & SA_SIGINFO) && cur.sa_sigaction == guard_handler)) {
		guard_old = cur;
		sigemptyset(&sa.sa_mask);
		sigaction(SIGBUS, &sa, NULL);
	}
	pthread_mutex_unlock(&guard_lock);
}

/* Whether copies through a mapping of @fd need the guard, which is then ready. */
bool soft_guard_needed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals >= 0 && (seals & F_SEAL_SHRINK))
		return false;
	guard_install();
	return true;
}

/* Runs copy(@dst, @src).  Returns 0, or EFAULT if it ran into a hole. */
int soft_guarded(void (*copy)(struct soft_vec *dst, struct soft_vec *src), struct soft_vec *dst,
		 struct soft_vec *src)
{
	if (sigsetjmp(guard_env, 0)) {
		guard_on = 0;
		return EFAULT;
	}
	guard_on = 1;
	copy(dst, src);
	guard_on = 0;
	return 0;
}
