/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_ipc.h - messages between libtagsock.so and taghostd: an AF_UNIX SOCK_SEQPACKET socket,
 * /run/tag/taghostd.sock or $TAG_HOST_SOCKET. One request, one reply, in order; fixed structures in
 * host byte order (one machine). A program that disconnects loses nothing: connections live in D.
 */
#ifndef HOST_HOST_IPC_H
#define HOST_HOST_IPC_H

#include <stdint.h>

#define HOST_IPC_PATH	 "/run/tag/taghostd.sock"
#define HOST_IPC_ENV	 "TAG_HOST_SOCKET"
#define HOST_IPC_VERSION 1

/** Request types. */
enum host_ipc_type {
	HOST_IPC_HELLO = 1, /* reply carries the policy page's memfd (read-only) */
	HOST_IPC_TAKEOVER,  /* with the kernel's socket as SCM_RIGHTS */
};

/** Request. */
struct host_ipc_req {
	uint32_t type;	     /* enum host_ipc_type */
	uint32_t version;    /* HOST_IPC_VERSION */
	uint32_t have_arena; /* TAKEOVER: arena number + 1 that the program has mapped already, or 0
			      */
	uint32_t rsvd;
};

/**
 * Reply. TAKEOVER with result 0 (IB_R_NONE) carries P, and unless have_arena named this arena
 * also its memfd and eventfd, in this order. Another result is the reason the socket stays native:
 * the program goes on with the kernel's socket, of which taghostd keeps nothing.
 */
struct host_ipc_rep {
	uint32_t type;	 /* of the request */
	uint32_t result; /* enum ib_reason; 0: accelerated */
	uint32_t arena;	 /* number of the arena */
	uint32_t slot;	 /* slot in it */
	uint32_t gen;	 /* host_meta.gen of the slot */
	uint32_t retry;	 /* not accelerated: 1: worth asking again later for this socket */
};

#endif
