/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_tap.h - the TAP interface that carries the server's addresses.
 */
#ifndef HOST_HOST_TAP_H
#define HOST_HOST_TAP_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/host_config.h"

/** The open TAP. */
struct host_tap {
	int fd;		   /* non-blocking, one frame per read and write */
	int ifindex;	   /* of the interface */
	uint8_t mac[6];	   /* of the interface */
	uint64_t dropped0; /* host_tap_dropped() when it was opened */
	ev_io io;	   /* readable: the kernel has frames for us */
};

/**
 * Opens the persistent TAP of the configuration, sets MAC, MTU, addresses and routes, and brings it
 * up. On failure err gets a sentence. 0 or errno.
 */
int host_tap_open(struct host_tap *t, const struct host_conf *c, char *err, size_t room);
/** Frames of the kernel that found the TAP's queue full, ever; 0 when it cannot be told. */
uint64_t host_tap_dropped(const struct host_conf *c);
/** Closes; the interface stays (it is persistent). */
void host_tap_close(struct host_tap *t);

/** Netlink: adds an address / a default route to an interface. 0 or errno; present already is 0. */
int host_net_addr_add(int ifindex, const struct net_addr *a, uint8_t plen);
int host_net_route_add(int ifindex, const struct net_addr *via);

#endif
