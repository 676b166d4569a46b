/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_core.h - one TCP core as a server opposite a kernel's client, in whole IPv4 packets.
 *
 * The shell answers the client's SYN, imports the connection when the handshake is complete, and
 * then does what the gateway does: input, placement, output, timers. Payload is always here at
 * once; every payload byte is zero. The owner moves packets and keeps the time.
 */
#ifndef TESTS_WIRE_CORE_H
#define TESTS_WIRE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpstack/net_flow.h"
#include "tcpstack/tcp.h"

#define WIRE_RECORDS \
	8192 /* of transmissions: as many as the gateway's default gives a connection */

/** A server of one connection. */
struct wire_core {
	struct tcp_conn c;		    /* first: ops get the server from it */
	struct tcp_cfg cfg;		    /* the core's defaults, may be changed before */
	struct tcp_pool pool;		    /* of rec[] */
	struct tcp_txrec rec[WIRE_RECORDS]; /* transmission records */
	void (*out)(void *arg, const void *ip, uint32_t len); /* one packet to the client */
	void *arg;					      /* of out() */
	uint32_t ring;					      /* receive ring, bytes */
	uint32_t isn;					      /* of our SYN */
	uint64_t backlog; /* bytes kept produced and not sent; 0: the owner calls tcp_produced() */

	bool live;	      /* imported */
	uint8_t snd_wscale;   /* of the client's SYN */
	struct net_flow flow; /* we are local */
	uint32_t irs;	      /* the client's first payload byte */
	uint16_t ip_id;	      /* next IP identification */
	uint64_t now;	      /* of the call in progress */
	unsigned int n_sent;  /* runs emitted and not yet told sent */
	struct tcp_range sent[64];
	unsigned int events[TCP_E_COUNT];
};

/** Prepares w; the owner sets out and arg, and may change cfg, ring, isn and backlog, afterwards.
 */
void wire_core_init(struct wire_core *w);

/** One packet from the client at `now`; what is no TCP for this server is ignored. */
void wire_core_input(struct wire_core *w, const void *ip, uint32_t len, uint64_t now);

/** Runs timers due, and output. To be called after inputs and at wire_core_due(). */
void wire_core_run(struct wire_core *w, uint64_t now);

/** When wire_core_run() is due, TCP_NEVER when nothing is. */
uint64_t wire_core_due(const struct wire_core *w);

#endif
