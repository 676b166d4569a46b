/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_native.h - the native path: whole Ethernet frames over one UD queue pair (RFC 4391
 * encapsulation, docs/protocol.md), and which way each frame goes.
 */
#ifndef HOST_HOST_NATIVE_H
#define HOST_HOST_NATIVE_H

#include "ibside/ib.h"

struct host;
struct host_worker;

/** A send buffer: the encapsulation header, then the frame. */
struct host_nbuf {
	struct ib_op op;	    /* of the send under way */
	struct host_native *native; /* whose buffer it is */
	struct host_nbuf *next;	    /* free list */
	uint8_t *data;		    /* encapsulation header; the frame is behind it */
};

/** The native queue pair and its buffers. */
struct host_native {
	struct host *h;		/* the daemon */
	struct ib_qp qp;	/* UD */
	struct ib_mem mem;	/* all buffers */
	struct host_nbuf *bufs; /* send buffers, ours */
	struct host_nbuf *free; /* of which not in use */
	uint32_t stride;	/* bytes of a buffer */
	uint32_t frame_max;	/* longest frame that a datagram takes */
	bool starved;		/* the TAP waits for a free buffer */
};

/** A native RC queue pair with a worker, for frames longer than frame_max (host_native_rc.c). */
struct host_rc {
	struct ib_qp qp;   /* RC, owner is the worker */
	struct ib_mem mem; /* receive buffers, ours */
	uint32_t stride;   /* bytes of each */
	uint32_t max;	   /* longest frame that the worker receives */
};

/** Makes w->rc for frames of up to `max` bytes and connects it. On failure host_rc_close() is still
 * due. */
int host_rc_open(struct host_worker *w, const struct ib_addr *peer, uint32_t max);
/** True when nothing of it is outstanding; it goes to ERR; is freed. No-ops without one. */
bool host_rc_drained(const struct host_worker *w);
void host_rc_fence(struct host_worker *w);
void host_rc_close(struct host_worker *w);

/** Creates the queue pair and posts its receive buffers. On failure err gets a sentence. */
int host_native_open(struct host *h, char err[IB_ERRLEN]);
/** Destroys. */
void host_native_close(struct host *h);
/** A free send buffer, or NULL: all are under way. */
struct host_nbuf *host_native_get(struct host_native *n);
/** Gives a buffer back unsent. */
void host_native_put(struct host_native *n, struct host_nbuf *b);
/** Where the frame of a buffer begins. */
static inline uint8_t *host_nbuf_frame(struct host_nbuf *b)
{
	return b->data + sizeof(struct ib_encap);
}
/** Sends the frame in the buffer to a worker (NULL: dropped and counted); takes the buffer. */
void host_native_send(struct host *h, struct host_nbuf *b, uint32_t len, struct host_worker *w,
		      uint16_t flags);
/** Takes what a worker sent: len bytes of encapsulation header and frame. */
void host_native_unwrap(struct host *h, uint8_t *buf, uint32_t len, struct host_worker *from);
/** Sends a copy of a frame. */
void host_native_send_copy(struct host *h, const uint8_t *frame, uint32_t len,
			   struct host_worker *w, uint16_t flags);

/** host_steer.c: a frame of the kernel in a send buffer; takes the buffer. */
void host_steer_kernel(struct host *h, struct host_nbuf *b, uint32_t len);
/** host_steer.c: a frame from a worker of a gateway (may be changed in place). */
void host_steer_gateway(struct host *h, uint8_t *frame, uint32_t len, struct host_worker *from);
/** Puts a frame into the kernel. */
void host_steer_deliver(struct host *h, const uint8_t *frame, uint32_t len);
/** Reads up to `budget` frames out of the TAP and steers them; returns how many. */
int host_steer_drain(struct host *h, int budget);

#endif
