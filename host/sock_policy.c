/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_policy.c - the policy page (host_shm.h): which services are to be accelerated, and the limit
 * on the window of their sockets. A window's right edge never retreats (RFC 9293 3.8.6), so what
 * the kernel advertised must fit the receive ring that a takeover puts in its place.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "host/sock.h"

#define SEQ_TRIES	100
#define BUF_LOCK	72 /* SO_BUF_LOCK */
#define BUF_LOCK_RCVBUF 2  /* SOCK_RCVBUF_LOCK: the program has set SO_RCVBUF */

/* First rule that matches; false: none, or "off". */
static bool find(const struct host_policy_page *p, const uint8_t addr[16], uint16_t port,
		 struct host_policy_entry *out)
{
	static const uint8_t any[16];
	uint32_t n = p->n < HOST_POLICY_MAX ? p->n : HOST_POLICY_MAX;

	for (uint32_t i = 0; i < n; i++) {
		*out = p->e[i];
		if (out->port && out->port != port)
			continue;
		if (memcmp(out->addr, any, 16) && memcmp(out->addr, addr, 16))
			continue;
		return out->policy > HOST_POLICY_OFF && out->policy < HOST_POLICY_COUNT;
	}
	return false;
}

static bool lookup(const struct host_policy_page *p, const uint8_t addr[16], uint16_t port,
		   struct host_policy_entry *out)
{
	uint32_t seq;
	bool found;

	for (int i = 0; i < SEQ_TRIES; i++) {
		seq = atomic_load_explicit(&p->seq, memory_order_acquire);
		found = find(p, addr, port, out);
		atomic_thread_fence(memory_order_acquire);
		if (!(seq & 1) && atomic_load_explicit(&p->seq, memory_order_relaxed) == seq)
			return found;
	}
	return false;
}

bool sock_end(int fd, bool peer, uint8_t addr[16], uint16_t *port)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage ss;
	} u;
	unsigned int len = sizeof(u);

	if (peer ? sys_getpeername(fd, &u, &len) : sys_getsockname(fd, &u, &len))
		return false;
	memset(addr, 0, 16);
	if (u.sa.sa_family == AF_INET) {
		addr[10] = addr[11] = 0xff;
		memcpy(addr + 12, &u.in.sin_addr, 4);
		*port = u.in.sin_port;
		return true;
	}
	memcpy(addr, &u.in6.sin6_addr, 16);
	*port = u.in6.sin6_port;
	return u.sa.sa_family == AF_INET6;
}

/* Local address of a TCP socket, its port in host byte order; false: not TCP. */
static bool local_address(int fd, uint8_t addr[16], uint16_t *port)
{
	unsigned int len = sizeof(int);
	int proto = 0;

	if (!sock_end(fd, false, addr, port))
		return false;
	*port = ntohs(*port);
	return !sys_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len) && proto == IPPROTO_TCP;
}

bool sock_policy_of(int fd, uint16_t *policy, uint32_t *min_bytes)
{
	const struct host_policy_page *p = sock_ipc_page();
	struct host_policy_entry e;
	uint8_t addr[16];
	uint16_t port;

	if (!p || !p->n || !local_address(fd, addr, &port) || !lookup(p, addr, port, &e))
		return false;
	*policy = e.policy;
	*min_bytes = e.min_bytes;
	return true;
}

/* May a listener with this address see connections of any accelerated service? Its wildcard
 * address says little, so only the port decides. */
static bool concerns(const struct host_policy_page *p, uint16_t port)
{
	uint32_t n = p->n < HOST_POLICY_MAX ? p->n : HOST_POLICY_MAX;

	for (uint32_t i = 0; i < n; i++)
		if (p->e[i].policy != HOST_POLICY_OFF && (!p->e[i].port || p->e[i].port == port))
			return true;
	return false;
}

void sock_policy_clamp(int fd)
{
	const struct host_policy_page *p = sock_ipc_page();
	unsigned int len = sizeof(int);
	uint8_t addr[16];
	uint16_t port;
	int lock = 0, v;

	if (!p || !p->rx_size)
		return;
	if (!sys_getsockopt(fd, SOL_SOCKET, BUF_LOCK, &lock, &len) && lock & BUF_LOCK_RCVBUF)
		return; /* inherited from a listener that was limited, or the program's own wish */
	if (!local_address(fd, addr, &port) || !concerns(p, port))
		return;
	v = p->rx_size;
	sys_setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &v, sizeof(v));
	/* The kernel doubles it. Unread bytes and the window together must fit the ring. */
	v = p->rx_size / 2;
	sys_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &v, sizeof(v));
}
