/* SPDX-License-Identifier: BSD-3-Clause */
/* net_addr.c - addresses as text (RFC 4291 section 2.2, RFC 5952). */
#include <arpa/inet.h>
#include <errno.h>

#include "tcpstack/net_flow.h"

const char *net_addr_str(const struct net_addr *a, char *buf)
{
	bool v4 = net_addr_is_v4(a);

	if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->b + 12 : a->b, buf, NET_ADDRSTR))
		buf[0] = '\0';
	return buf;
}

int net_addr_parse(const char *text, struct net_addr *a)
{
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1) {
		net_addr_v4(a, v4);
		return 0;
	}
	return inet_pton(AF_INET6, text, a->b) == 1 ? 0 : EINVAL;
}
