/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_flow.h - addresses and 4-tuples, one form for IPv4 and IPv6.
 *
 * An IPv4 address is kept IPv4-mapped (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2),
 * so maps, messages and comparisons have one shape. Everything is in network
 * byte order, as on the wire and in struct sockaddr_in6.
 */
#ifndef TCPSTACK_NET_FLOW_H
#define TCPSTACK_NET_FLOW_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/** An IP address. */
struct net_addr {
	uint8_t b[16]; /* network byte order; ::ffff:a.b.c.d for IPv4 */
};

/** A TCP connection as the server sees it: `local` is the server, `remote` the client. */
struct net_flow {
	struct net_addr remote; /* client's address */
	struct net_addr local;	/* server's address */
	uint16_t rport;		/* client's port, network byte order */
	uint16_t lport;		/* server's port, network byte order */
};
static_assert(sizeof(struct net_flow) == 36, "keys are hashed and compared as bytes");

/** Sets *a to the IPv4 address at `v4` (4 bytes, network byte order). */
static inline void net_addr_v4(struct net_addr *a, const void *v4)
{
	memset(a->b, 0, 10);
	a->b[10] = a->b[11] = 0xff;
	memcpy(a->b + 12, v4, 4);
}

/** True when *a is an IPv4 address. */
static inline bool net_addr_is_v4(const struct net_addr *a)
{
	static const uint8_t pfx[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(a->b, pfx, sizeof(pfx)) == 0;
}

/** True when both are the same address. */
static inline bool net_addr_eq(const struct net_addr *a, const struct net_addr *b)
{
	return memcmp(a->b, b->b, 16) == 0;
}

#define NET_ADDRSTR 46 /* room for any address as text, with the NUL */

/** Writes *a as text ("10.77.0.2", "fd77::2") to buf of NET_ADDRSTR bytes; returns buf. */
const char *net_addr_str(const struct net_addr *a, char *buf);

/** Parses text to *a. 0 or EINVAL. */
int net_addr_parse(const char *text, struct net_addr *a);

#endif
