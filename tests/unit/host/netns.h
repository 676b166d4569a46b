/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netns.h - a network namespace of its own for a test, and a TCP connection on its loopback.
 */
#ifndef TESTS_UNIT_HOST_NETNS_H
#define TESTS_UNIT_HOST_NETNS_H

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/** Enters a new namespace with loopback up, or skips the test program (status 77). */
static inline void netns_enter(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int s;

	if (unshare(CLONE_NEWNET)) {
		puts("skipped: network namespaces need root");
		exit(77);
	}
	s = socket(AF_INET, SOCK_DGRAM, 0);
	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &ifr)) {
		puts("skipped: cannot bring loopback up");
		exit(77);
	}
	close(s);
}

/** A connection: *srv is the accepted end, *cli the other. rcvbuf of *cli: 0 leaves it. */
static inline bool netns_pair(int *srv, int *cli, int rcvbuf)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	*cli = socket(AF_INET, SOCK_STREAM, 0);
	if (rcvbuf)
		setsockopt(*cli, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 1) ||
	    getsockname(l, (struct sockaddr *)&a, &len) ||
	    connect(*cli, (struct sockaddr *)&a, sizeof(a)))
		return false;
	*srv = accept(l, NULL, NULL);
	close(l);
	return *srv >= 0;
}

#endif
