/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_accept.c - where connections come from: listen() limits the window, accept() looks up the
 * policy and begins to track what may be taken over.
 */
#include <errno.h>
#include <sys/socket.h>

#include "host/sock.h"
#include "host/sock_real.h"

SOCK_EXPORT int listen(int fd, int backlog)
{
	int saved = errno;

	sock_policy_clamp(fd);
	errno = saved;
	return REAL(listen)(fd, backlog);
}

/* A fresh connection. */
static void track(int fd)
{
	uint16_t policy;
	uint32_t min_bytes;
	SOCK_CALL(k);

	if (!sock_policy_of(fd, &policy, &min_bytes))
		return;
	k.c = sock_conn_new(policy, min_bytes);
	if (!k.c || !sock_table_set(fd, k.c))
		return;
	sock_policy_clamp(fd);
	if (policy == HOST_POLICY_ACCEPT)
		sock_takeover(&k, fd);
}

static int accepted(int fd)
{
	struct sock_conn *stale;
	int saved = errno;
	bool last;

	if (fd < 0 || !sock_own_process())
		return fd;
	/* A number that was closed by a call nobody intercepted. */
	stale = sock_table_drop(fd, NULL, &last);
	if (stale)
		sock_put(stale);
	track(fd);
	errno = saved;
	return fd;
}

SOCK_EXPORT int accept(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	return accepted(REAL(accept)(fd, addr, len));
}

SOCK_EXPORT int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *len, int flags)
{
	return accepted(REAL(accept4)(fd, addr, len, flags));
}
