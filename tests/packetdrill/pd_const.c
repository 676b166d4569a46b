/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_const.c - names of constants in calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "stack/sk_tagd.h"

bool pd_constant(const char *name, int64_t *v);

static const struct {
	const char *name; /* as scripts write it */
	int64_t v;	  /* what it means */
} constants[] = {
#define _(name)             \
	{                   \
#name, name \
	}
	_(AF_INET),	  _(AF_INET6),	       _(SOCK_STREAM),	  _(SOCK_NONBLOCK),
	_(IPPROTO_TCP),	  _(SOL_SOCKET),       _(SOL_TCP),	  _(SO_REUSEADDR),
	_(SO_RCVBUF),	  _(SO_SNDBUF),	       _(SO_LINGER),	  _(SO_KEEPALIVE),
	_(SO_ERROR),	  _(SO_RCVLOWAT),      _(SO_OOBINLINE),	  _(TCP_NODELAY),
	_(TCP_CORK),	  _(TCP_MAXSEG),       _(TCP_KEEPIDLE),	  _(TCP_KEEPINTVL),
	_(TCP_KEEPCNT),	  _(TCP_USER_TIMEOUT), _(TCP_CONGESTION), _(TCP_QUICKACK),
	_(F_SETFL),	  _(F_GETFL),	       _(O_RDWR),	  _(O_NONBLOCK),
	_(SHUT_RD),	  _(SHUT_WR),	       _(SHUT_RDWR),	  _(MSG_DONTWAIT),
	_(MSG_NOSIGNAL),  _(MSG_PEEK),	       _(MSG_OOB),	  _(MSG_MORE),
	_(POLLIN),	  _(POLLOUT),	       _(POLLERR),	  _(POLLHUP),
	_(POLLRDHUP),	  _(POLLPRI),	       _(SIOCINQ),	  _(SIOCOUTQ),
	_(SIOCOUTQNSD),	  _(SIOCATMARK),       _(EAGAIN),	  _(EPIPE),
	_(ECONNRESET),	  _(ECONNREFUSED),     _(ETIMEDOUT),	  _(ENOTCONN),
	_(EBADF),	  _(EINVAL),	       _(EWOULDBLOCK),	  _(EINPROGRESS),
	_(EALREADY),	  _(EISCONN),	       _(ENOPROTOOPT),	  _(EHOSTUNREACH),
	_(ENETUNREACH),	  _(EMSGSIZE),	       _(EADDRINUSE),	  _(EPROTONOSUPPORT),
	_(EAFNOSUPPORT),  _(ENOENT),	       _(SOL_TAGD),
#undef _
#define _(name, number) {#name, number},
	SK_FOREACH_OPT(_)
#undef _
};

bool pd_constant(const char *name, int64_t *v)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		if (!strcmp(constants[i].name, name)) {
			*v = constants[i].v;
			return true;
		}
	}
	return false;
}
