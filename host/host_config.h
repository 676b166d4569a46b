/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_config.h - what taghostd.conf says (docs/taghostd.conf.5).
 */
#ifndef HOST_HOST_CONFIG_H
#define HOST_HOST_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "host/host_log.h"
#include "tcpstack/net_flow.h"

#define HOST_MAX_ADDRS	  16
#define HOST_MAX_ROUTES	  8
#define HOST_MAX_GATEWAYS 4

/** An address of the TAP with its prefix length. */
struct host_conf_addr {
	struct net_addr addr; /* ours */
	uint8_t plen;	      /* bits, by the family's own width */
};

/** A gateway to attach to. */
struct host_conf_gw {
	char name[64];	   /* as in the section's title */
	char connect[108]; /* path of its Unix socket */
	int line;	   /* of the section, for errors */
};

/** The whole configuration. */
struct host_conf {
	char name[64];	    /* of this host, as the gateway's [server "..."] */
	char key[128];	    /* shared secret */
	char tap[IFNAMSIZ]; /* interface */
	struct host_conf_addr addr[HOST_MAX_ADDRS];
	unsigned int n_addr;			/* entries of addr[] */
	uint8_t mac[6];				/* of the TAP */
	bool has_mac;				/* mac was given */
	unsigned int mtu;			/* of the TAP */
	struct net_addr route[HOST_MAX_ROUTES]; /* default gateways */
	unsigned int n_route;			/* entries of route[] */
	char socket[108];			/* for programs */
	unsigned int max_accel;			/* connections accelerated at a time */
	enum host_level level;			/* of the log */
	char device[64];			/* RDMA device */
	unsigned int port;			/* its port */
	unsigned int gid_index;			/* its GID */
	unsigned int slots;			/* per arena */
	uint32_t tx_ring;			/* bytes, a power of two */
	uint32_t rx_ring;			/* bytes, a power of two */
	struct host_conf_gw gw[HOST_MAX_GATEWAYS];
	unsigned int n_gw; /* entries of gw[] */
};

/**
 * Reads `path` into *c, which starts from the defaults. Every error is written to `err` as
 * "path:line: [section] key: what is wrong, what is allowed". Returns the number of errors.
 */
unsigned int host_conf_load(struct host_conf *c, const char *path, FILE *err);

/** True when *a is one of our addresses. */
bool host_conf_owns(const struct host_conf *c, const struct net_addr *a);

#endif
