/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_arena.h - taghostd's side of the arenas (host_shm.h): creation, registration, slots.
 */
#ifndef HOST_HOST_ARENA_H
#define HOST_HOST_ARENA_H

#include <ev.h>
#include <sys/types.h>

#include "host/host_config.h"
#include "host/host_shm.h"
#include "ibside/ib.h"

struct host;

#define HOST_MAX_ARENAS 64

/** The four registrations of an arena for one gateway, each with the least access. */
struct host_arena_mrs {
	struct ibv_mr *host, *gw, *tx, *rx; /* of the parts, NULL: not registered */
	bool told;			    /* "arena" was sent to the gateway */
	bool ok;			    /* "arena-ok" came */
};

/** An arena. Sizes and offsets are ours: what the program can write is never used for them. */
struct host_arena {
	struct host *h;		    /* the daemon */
	uint16_t id;		    /* number, the gateway's name for it */
	uid_t uid;		    /* whose programs use it */
	int memfd;		    /* sealed against resizing */
	int efd;		    /* eventfd that kicks write */
	ev_io io;		    /* efd readable */
	struct host_arena_hdr *hdr; /* mapping, `size` bytes */
	size_t size;		    /* bytes mapped */
	uint32_t slots, tx_size, rx_size;
	struct ib_host_line *host; /* [slots] */
	struct ib_gw_line *gw;	   /* [slots] */
	struct host_meta *meta;	   /* [slots] */
	uint8_t *tx, *rx;	   /* rings */
	uint16_t *free;		   /* stack of free slots */
	uint32_t n_free;	   /* entries of it */
	struct host_conn **conn;   /* [slots], who uses it */
	struct host_arena_mrs mrs[HOST_MAX_GATEWAYS];
};

/** The arena of a user, made when there is none. NULL: out of memory or numbers. */
struct host_arena *host_arena_of(struct host *h, uid_t uid);
/** Takes a slot and initialises its lines and meta. -1: none is free. */
int host_arena_take(struct host_arena *a);
/** Gives a slot back. */
void host_arena_give(struct host_arena *a, uint16_t slot);
/** Registers for a gateway (number `gw`, protection domain pd). 0 or errno. */
int host_arena_register(struct host_arena *a, unsigned int gw, struct ibv_pd *pd);
/** Removes the registrations for a gateway. */
void host_arena_unregister(struct host_arena *a, unsigned int gw);
/** What the gateway is told about the arena. */
void host_arena_describe(const struct host_arena *a, unsigned int gw, struct ib_arena *out);
/** Unmaps and frees. */
void host_arena_close(struct host_arena *a);
/** Looks for kicked slots and calls host_conn_kicked() for each; returns how many. */
int host_arena_poll(struct host_arena *a);
/** Says in shared memory whether taghostd sleeps; returns whether kicks are pending then. */
bool host_arena_sleep(struct host_arena *a, bool asleep);

#endif
