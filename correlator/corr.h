/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr.h - the connection correlator: the four maps that tie MAC, IP and port to fabric address
 * and work queue, and back (Pettey, figures 10 and 11).
 *
 * Theory of operation
 *
 *   TCP-to-IBA native       destination MAC, destination IP -> DLID/QPN of a server
 *   IBA-to-TCP native       SLID/QPN (or SGID/QPN)          -> server, its MACs and IPs
 *   TCP-to-IBA accelerated  IPs and ports                   -> connection (DLID/QPN/token)
 *   IBA-to-TCP accelerated  SLID/QPN, token                 -> connection (MACs, IPs, ports)
 *
 * The native maps are immutable snapshots (struct corr_native): the control thread builds a new
 * one from configuration and attached hosts, publishes it, and frees the old one when every
 * worker has passed a quiescent point (the gateway's business). The accelerated maps (struct
 * corr_accel) belong to one worker and are changed only by it. Hash tables are rte_hash.
 * Addresses are 16 bytes, IPv4 mapped; see the gateway's converters.
 */
#ifndef CORRELATOR_CORR_H
#define CORRELATOR_CORR_H

#include <stdbool.h>
#include <stdint.h>

/** Where a queue pair is on the fabric. */
struct corr_fabric_addr {
	uint16_t lid;	 /* host byte order, 0 on RoCE */
	uint8_t gid[16]; /* zero when LID routed */
	uint32_t qpn;	 /* 24 bits */
};

/** A server as the native maps know it. Owned by the caller's host table, referenced by index. */
struct corr_server {
	uint32_t id;			/* caller's index of the host */
	struct corr_fabric_addr native; /* its native queue pair */
	uint8_t mac[6];			/* MAC of its TAP: destination of frames to it */
	uint8_t src_mac[6];		/* source MAC of its frames on the client LAN */
};

struct corr_native; /* immutable snapshot */

/** What an entry of the TCP-to-IBA native map looks like, for listing. */
struct corr_native_entry {
	uint8_t addr[16];		  /* destination IP */
	const struct corr_server *server; /* valid as long as the snapshot */
};

/** Starts an empty snapshot for up to `servers` servers and `addrs` addresses. NULL: out of memory.
 */
struct corr_native *corr_native_new(uint32_t servers, uint32_t addrs);

/** Adds a copy of *s. 0, ENOSPC or EEXIST (same fabric address). */
int corr_native_add_server(struct corr_native *m, const struct corr_server *s);

/** Adds: frames to addr go to server id; an address may have several, whose order stays. 0, ENOSPC,
 * EEXIST (it has it), ENOENT (no such server). */
int corr_native_add_addr(struct corr_native *m, const uint8_t addr[16], uint32_t server_id);

/** Frees a snapshot; NULL is fine. */
void corr_native_free(struct corr_native *m);

/** TCP-to-IBA native: server of a destination IP, the first of several, or NULL. */
const struct corr_server *corr_native_by_addr(const struct corr_native *m, const uint8_t addr[16]);

/** IBA-to-TCP native: server of a source work queue, or NULL (gid NULL: by LID). */
const struct corr_server *corr_native_by_source(const struct corr_native *m, uint16_t slid,
						const uint8_t *sgid, uint32_t qpn);

/** True when addr belongs to server id: its frames may carry it as source. */
bool corr_native_owns(const struct corr_native *m, uint32_t server_id, const uint8_t addr[16]);

/** Walks the TCP-to-IBA entries: start with *it = 0; false at the end. */
bool corr_native_next(const struct corr_native *m, uint32_t *it, struct corr_native_entry *e);

/** A client connection: key of the TCP-to-IBA accelerated map. Network byte order. */
struct corr_flow {
	uint8_t remote[16]; /* client IP */
	uint8_t local[16];  /* server IP */
	uint16_t rport;	    /* client port */
	uint16_t lport;	    /* server port */
};

struct corr_accel; /* both accelerated maps of one worker */

/** New maps of one worker for up to `max` connections; `worker` goes into tokens. NULL: no memory.
 */
struct corr_accel *corr_accel_new(uint32_t max, uint32_t worker);

/** Frees the maps (not the connections). NULL is fine. */
void corr_accel_free(struct corr_accel *m);

/**
 * Adds conn under both keys and makes its token: worker, generation and index bits, never 0, and
 * never equal to a token recently removed. 0, ENOSPC (full), EEXIST (flow present).
 */
int corr_accel_add(struct corr_accel *m, const struct corr_flow *f, void *conn, uint32_t *token);

/** Removes by token. 0 or ENOENT. */
int corr_accel_del(struct corr_accel *m, uint32_t token);

/** TCP-to-IBA: connection of a flow, or NULL. */
void *corr_accel_by_flow(const struct corr_accel *m, const struct corr_flow *f);

/** corr_accel_by_flow() for n <= 32 flows at once; conns[i] NULL where there is none. */
void corr_accel_by_flow_bulk(const struct corr_accel *m, const struct corr_flow *const *f,
			     uint32_t n, void **conns);

/**
 * IBA-to-TCP: connection of a token, or NULL (stale tokens included). A token can be guessed: the
 * caller compares the connection's host with the queue pair that the message came from.
 */
void *corr_accel_by_token(const struct corr_accel *m, uint32_t token);

/** Entries in use, and the limit. */
uint32_t corr_accel_count(const struct corr_accel *m);
uint32_t corr_accel_max(const struct corr_accel *m);

/** Walks the connections: start with *it = 0; NULL at the end. Safe against removal of the current
 * one. */
void *corr_accel_next(const struct corr_accel *m, uint32_t *it);

/** Worker number inside a token. */
uint32_t corr_token_worker(uint32_t token);

#endif
