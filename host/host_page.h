/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_page.h - the policy page that programs map read-only (host_shm.h).
 */
#ifndef HOST_HOST_PAGE_H
#define HOST_HOST_PAGE_H

#include "host/host_shm.h"
#include "tcpstack/net_flow.h"

struct host;

/** The page. */
struct host_page {
	int memfd;		       /* ours, writable mapping only here */
	int ro_fd;		       /* read-only, for programs */
	struct host_policy_page *page; /* mapping */
};

/** Makes the page. 0 or errno. */
int host_page_open(struct host_page *p, uint32_t rx_size);
/** Unmaps and closes. */
void host_page_close(struct host_page *p);
/** Writes it anew from the gateways' services and what is attached. */
void host_page_update(struct host *h);
/** Makes programs ask for a connection at their next bytes on it. */
void host_page_ask(struct host_page *p, const struct net_flow *key);
/** Policy of a local address and port (network byte order). */
enum host_policy host_page_lookup(const struct host_page *p, const struct net_addr *addr,
				  uint16_t port);
/** Policy by name, or -1. */
int host_policy_parse(const char *name);

#endif
