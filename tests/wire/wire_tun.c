/* SPDX-License-Identifier: BSD-3-Clause */
/* wire_tun.c - see wire_tun.h. */
#include "wire_tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TX_QUEUE_LEN 10000 /* packets: nothing is lost between the kernel and the reader */

static void set_addr(struct ifreq *ifr, uint32_t addr)
{
	struct sockaddr_in *a = (struct sockaddr_in *)&ifr->ifr_addr;

	memset(a, 0, sizeof(*a));
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(addr);
}

static int set_up(int s, struct ifreq *ifr)
{
	if (ioctl(s, SIOCGIFFLAGS, ifr))
		return -1;
	ifr->ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(s, SIOCSIFFLAGS, ifr);
}

int wire_enter_netns(void)
{
	struct ifreq lo = {.ifr_name = "lo"};
	int s, rc;

	if (unshare(CLONE_NEWNET))
		return errno;
	s = socket(AF_INET, SOCK_DGRAM, 0);
	if (s < 0)
		return errno;
	rc = set_up(s, &lo) ? errno : 0;
	close(s);
	return rc;
}

int wire_tun_open(const char *name, uint32_t addr)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), s;

	if (fd < 0)
		return -1;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	if (s < 0 || ioctl(fd, TUNSETIFF, &ifr))
		goto fail;
	ifr.ifr_qlen = TX_QUEUE_LEN;
	if (ioctl(s, SIOCSIFTXQLEN, &ifr))
		goto fail;
	set_addr(&ifr, addr);
	if (ioctl(s, SIOCSIFADDR, &ifr))
		goto fail;
	set_addr(&ifr, 0xffffff00);
	if (ioctl(s, SIOCSIFNETMASK, &ifr) || set_up(s, &ifr))
		goto fail;
	close(s);
	return fd;
fail:
	if (s >= 0)
		close(s);
	close(fd);
	return -1;
}

int wire_sysctl(const char *path, const char *value)
{
	char file[128];
	ssize_t n;
	int fd;

	snprintf(file, sizeof(file), "/proc/sys/%s", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	n = write(fd, value, strlen(value));
	close(fd);
	return n < 0 ? errno : 0;
}
