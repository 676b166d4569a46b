/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_tap.c - the persistent TAP of the server: made, configured, brought up.
 *
 * All offloads are off (TUNSETOFFLOAD 0): the kernel hands over frames no longer than the MTU,
 * with finished checksums, which is what the native path tunnels.
 *
 * Nothing holds the kernel back when the queue of a TAP is full: it drops. So the queue takes the
 * burst of a large window, and what it drops is counted.
 */
#include "host/host_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAP_QUEUE 4096 /* frames between the kernel and us */

/* A locally administered address that stays the same for a host's name. FNV-1a. */
static void tap_derive_mac(uint8_t mac[6], const char *name)
{
	uint64_t v = 0xcbf29ce484222325ull;

	for (; *name; name++)
		v = (v ^ (uint8_t)*name) * 0x100000001b3ull;
	mac[0] = 0x02;
	for (int i = 1; i < 6; i++)
		mac[i] = (uint8_t)(v >> (8 * i));
}

/* One ioctl on the interface by name. */
static int tap_ioctl(int s, const char *name, unsigned long cmd, struct ifreq *ifr)
{
	memset(ifr->ifr_name, 0, IFNAMSIZ);
	memcpy(ifr->ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	return ioctl(s, cmd, ifr) ? errno : 0;
}

static int tap_create(struct host_tap *t, const char *name, char *err, size_t room)
{
	struct ifreq ifr = {0};
	int rc;

	t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0) {
		rc = errno;
		snprintf(err, room, "/dev/net/tun: %s (is the tun module there?)", strerror(rc));
		return rc;
	}
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(t->fd, TUNSETIFF, &ifr) || ioctl(t->fd, TUNSETOFFLOAD, 0) ||
	    ioctl(t->fd, TUNSETPERSIST, 1)) {
		rc = errno;
		snprintf(err, room, "TAP %s: %s (%s)", name, strerror(rc),
			 rc == EBUSY ? "another process has it open" : "CAP_NET_ADMIN is needed");
		close(t->fd);
		t->fd = -1;
		return rc;
	}
	return 0;
}

/* MAC (the link must be down for it), MTU, up. */
static int tap_link(struct host_tap *t, const struct host_conf *c)
{
	struct ifreq ifr = {0};
	int rc, s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return errno;
	if (c->has_mac)
		memcpy(t->mac, c->mac, 6);
	else
		tap_derive_mac(t->mac, c->name);
	rc = tap_ioctl(s, c->tap, SIOCGIFHWADDR, &ifr);
	if (!rc && memcmp(ifr.ifr_hwaddr.sa_data, t->mac, 6) != 0) {
		ifr.ifr_flags = 0;
		rc = tap_ioctl(s, c->tap, SIOCSIFFLAGS, &ifr);
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(ifr.ifr_hwaddr.sa_data, t->mac, 6);
		if (!rc)
			rc = tap_ioctl(s, c->tap, SIOCSIFHWADDR, &ifr);
	}
	ifr.ifr_mtu = (int)c->mtu;
	if (!rc)
		rc = tap_ioctl(s, c->tap, SIOCSIFMTU, &ifr);
	ifr.ifr_qlen = TAP_QUEUE;
	if (!rc)
		rc = tap_ioctl(s, c->tap, SIOCSIFTXQLEN, &ifr);
	ifr.ifr_flags = IFF_UP;
	if (!rc)
		rc = tap_ioctl(s, c->tap, SIOCSIFFLAGS, &ifr);
	if (!rc)
		rc = tap_ioctl(s, c->tap, SIOCGIFINDEX, &ifr);
	t->ifindex = ifr.ifr_ifindex;
	close(s);
	return rc;
}

int host_tap_open(struct host_tap *t, const struct host_conf *c, char *err, size_t room)
{
	char text[NET_ADDRSTR];
	int rc = tap_create(t, c->tap, err, room);

	if (rc)
		return rc;
	rc = tap_link(t, c);
	if (rc) {
		snprintf(err, room, "TAP %s: setting it up: %s", c->tap, strerror(rc));
		goto err_close;
	}
	for (unsigned int i = 0; i < c->n_addr; i++) {
		rc = host_net_addr_add(t->ifindex, &c->addr[i].addr, c->addr[i].plen);
		if (rc) {
			snprintf(err, room, "TAP %s: address %s: %s", c->tap,
				 net_addr_str(&c->addr[i].addr, text), strerror(rc));
			goto err_close;
		}
	}
	for (unsigned int i = 0; i < c->n_route; i++) {
		rc = host_net_route_add(t->ifindex, &c->route[i]);
		if (rc) {
			snprintf(err, room, "TAP %s: default route via %s: %s", c->tap,
				 net_addr_str(&c->route[i], text), strerror(rc));
			goto err_close;
		}
	}
	t->dropped0 = host_tap_dropped(c);
	return 0;

err_close:
	host_tap_close(t);
	return rc;
}

uint64_t host_tap_dropped(const struct host_conf *c)
{
	unsigned long long n = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/tx_dropped", c->tap);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

void host_tap_close(struct host_tap *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}
