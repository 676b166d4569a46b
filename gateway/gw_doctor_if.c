/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_doctor_if.c - looks at an interface of the kernel that is a port of the gateway: there, up,
 * without addresses, MTU, and no merging of frames.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/gw_doctor.h"

/* One question about an interface. 0 or errno. */
static int ask(int s, const char *ifname, unsigned long what, struct ifreq *r)
{
	memset(r->ifr_name, 0, sizeof(r->ifr_name));
	strncpy(r->ifr_name, ifname, sizeof(r->ifr_name) - 1);
	return ioctl(s, what, r) ? errno : 0;
}

/* A value of ethtool's; 0 when the driver does not know it. */
static uint32_t ethtool_value(int s, const char *ifname, uint32_t cmd)
{
	struct ethtool_value v = {.cmd = cmd};
	struct ifreq r = {.ifr_data = (char *)&v};

	return ask(s, ifname, SIOCETHTOOL, &r) == 0 ? v.data : 0;
}

/* The kernel must not have addresses there: it would answer clients, with resets. */
static void addresses(struct gw_doctor *d, const char *what, const char *ifname)
{
	struct ifaddrs *all, *a;
	unsigned int n = 0;
	char fix[96];

	if (getifaddrs(&all))
		return;
	for (a = all; a; a = a->ifa_next)
		n += a->ifa_addr && strcmp(a->ifa_name, ifname) == 0 &&
		     a->ifa_addr->sa_family == AF_INET;
	freeifaddrs(all);
	snprintf(fix, sizeof(fix), "ip addr flush dev %s", ifname);
	if (n)
		gw_doctor_say(d, GW_F_BROKEN, what, fix,
			      "%s has %u IPv4 address%s of the kernel's own", ifname, n,
			      n == 1 ? "" : "es");
}

static void merging(struct gw_doctor *d, const char *what, const char *ifname, int s)
{
	bool gro = ethtool_value(s, ifname, ETHTOOL_GGRO);
	bool lro = ethtool_value(s, ifname, ETHTOOL_GFLAGS) & ETH_FLAG_LRO;
	char fix[160];

	snprintf(
		fix, sizeof(fix),
		"ethtool -K %s gro off lro off (and tx off tso off gso off at the other end of a veth)",
		ifname);
	if (gro || lro)
		gw_doctor_say(
			d, GW_F_NOTE, what, fix,
			"%s may merge frames (GRO or LRO): larger than the MTU, they are dropped",
			ifname);
}

void gw_doctor_interface(struct gw_doctor *d, const struct gw_port_cfg *p, const char *ifname)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};
	char what[96], fix[96];

	if (s < 0)
		return;
	snprintf(what, sizeof(what), "[port \"%s\"] device", p->name);
	if (ask(s, ifname, SIOCGIFFLAGS, &r)) {
		gw_doctor_say(d, GW_F_BROKEN, what, "ip link", "there is no interface %s here",
			      ifname);
		close(s);
		return;
	}
	snprintf(fix, sizeof(fix), "ip link set %s up", ifname);
	if (r.ifr_flags & IFF_UP)
		gw_doctor_say(d, GW_F_GOOD, what, "", "%s is up%s", ifname,
			      r.ifr_flags & IFF_RUNNING ? "" : ", without carrier");
	else
		gw_doctor_say(d, GW_F_BROKEN, what, fix, "%s is down", ifname);
	snprintf(fix, sizeof(fix), "ip link set %s mtu %u", ifname, p->mtu);
	if (ask(s, ifname, SIOCGIFMTU, &r) == 0 && r.ifr_mtu < p->mtu)
		gw_doctor_say(d, GW_F_BROKEN, what, fix, "%s has MTU %d, mtu = %u is configured",
			      ifname, r.ifr_mtu, p->mtu);
	addresses(d, what, ifname);
	merging(d, what, ifname, s);
	close(s);
}
