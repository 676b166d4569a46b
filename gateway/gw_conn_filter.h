/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_conn_filter.h - which connections a request about many means: `conn list KEY=VALUE...`.
 */
#ifndef GATEWAY_GW_CONN_FILTER_H
#define GATEWAY_GW_CONN_FILTER_H

#include <jansson.h>

#include "gateway/gw.h"

/** An end of a connection: a network and a port. */
struct gw_filter_end {
	struct net_addr addr; /* bits beyond len are ignored */
	uint8_t len;	      /* of 128, 96 + n for IPv4; 0: any address */
	uint16_t port_be;     /* network byte order, 0: any */
};

/** All of it must fit. Texts are owned by the request that was parsed. */
struct gw_conn_filter {
	struct gw_filter_end client, server;
	uint32_t token;	    /* of an accelerated connection, 0: any */
	const char *host;   /* name of a server's host, NULL: any */
	const char *state;  /* as listed, NULL: any */
	const char *reason; /* as listed, NULL: any */
	const char *mode;   /* "native" or "accelerated", NULL: both */
	uint64_t older_us;  /* at least this old */
	uint64_t min_bytes; /* moved at least so many payload bytes, both ways together */
};

#define GW_FILTER_ERR 160 /* room for a message */

/**
 * Reads an object of texts: client, server (ADDRESS, ADDRESS/LEN, any of them with :PORT, or :PORT
 * alone; IPv6 with a port in brackets), host, state, reason, mode, token, older (seconds), bytes.
 * obj may be NULL: everything fits. 0, or EINVAL with a message that names key and value.
 */
int gw_conn_filter_parse(struct gw_conn_filter *f, const json_t *obj, char err[GW_FILTER_ERR]);

/** True when a row fits; host is the name of its server's host. */
bool gw_conn_filter_match(const struct gw_conn_filter *f, const struct gw_conn_row *r,
			  const char *host);

#endif
