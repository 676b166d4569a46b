/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_netlink.c - rtnetlink (RFC 3549) requests for the TAP: addresses and default routes.
 */
#include "host/host_tap.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** A request under construction. */
struct nl_req {
	struct nlmsghdr h; /* length grows with nl_attr() */
	union {
		struct ifaddrmsg addr;
		struct rtmsg route;
	};
	uint8_t attrs[128]; /* room for attributes */
};

static void nl_attr(struct nl_req *r, uint16_t type, const void *data, uint16_t len)
{
	struct rtattr *a = (void *)((uint8_t *)r + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

/* Sends the request and waits for the kernel's acknowledgement; EEXIST counts as done. */
static int nl_talk(struct nl_req *r)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		uint8_t rest[256];
	} ans;
	int rc, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return errno;
	r->h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (sendto(fd, r, r->h.nlmsg_len, 0, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    recv(fd, &ans, sizeof(ans), 0) < 0)
		rc = errno;
	else
		rc = ans.h.nlmsg_type == NLMSG_ERROR ? -ans.e.error : EPROTO;
	close(fd);
	return rc == EEXIST ? 0 : rc;
}

int host_net_addr_add(int ifindex, const struct net_addr *a, uint8_t plen)
{
	const bool v4 = net_addr_is_v4(a);
	struct nl_req r = {0};
	uint32_t flags = IFA_F_NODAD;

	r.h.nlmsg_len = NLMSG_LENGTH(sizeof(r.addr));
	r.h.nlmsg_type = RTM_NEWADDR;
	r.h.nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	r.addr.ifa_family = v4 ? AF_INET : AF_INET6;
	r.addr.ifa_prefixlen = plen;
	r.addr.ifa_index = (unsigned int)ifindex;
	nl_attr(&r, IFA_LOCAL, v4 ? a->b + 12 : a->b, v4 ? 4 : 16);
	nl_attr(&r, IFA_ADDRESS, v4 ? a->b + 12 : a->b, v4 ? 4 : 16);
	if (!v4)
		nl_attr(&r, IFA_FLAGS, &flags, sizeof(flags));
	return nl_talk(&r);
}

int host_net_route_add(int ifindex, const struct net_addr *via)
{
	const bool v4 = net_addr_is_v4(via);
	struct nl_req r = {0};
	uint32_t oif = (uint32_t)ifindex;

	r.h.nlmsg_len = NLMSG_LENGTH(sizeof(r.route));
	r.h.nlmsg_type = RTM_NEWROUTE;
	r.h.nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	r.route.rtm_family = v4 ? AF_INET : AF_INET6;
	r.route.rtm_table = RT_TABLE_MAIN;
	r.route.rtm_protocol = RTPROT_STATIC;
	r.route.rtm_scope = RT_SCOPE_UNIVERSE;
	r.route.rtm_type = RTN_UNICAST;
	nl_attr(&r, RTA_GATEWAY, v4 ? via->b + 12 : via->b, v4 ? 4 : 16);
	nl_attr(&r, RTA_OIF, &oif, sizeof(oif));
	return nl_talk(&r);
}
