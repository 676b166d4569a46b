/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture.h - captures of the fabric: what all workers' queue pairs send and receive, as
 * packets in a file (the format: ibside/packet/pkt_erf.c).
 *
 * Theory of operation
 *
 * A worker that is captured has a tap on its completion queue (ibside/ib_tap.h). The tap copies
 * each operation, in pieces of at most GW_CAP_DATA bytes of payload, into buffers that it takes
 * from one ring and passes on by another; both have one producer and one consumer, so neither side
 * ever waits for the other. Without a free buffer the operation is missing from the file, which the
 * file itself tells. The writer thread turns pieces into packets and writes them, until a limit or
 * the control thread ends it. Without a capture there is one test of a pointer per work request.
 */
#ifndef GATEWAY_GW_CAPTURE_H
#define GATEWAY_GW_CAPTURE_H

#include <jansson.h>
#include <pthread.h>

#include "gateway/gw.h"
#include "ibside/ib_tap.h"

#define GW_CAP_DATA   4096u /* payload bytes of a piece: whole packets of any path MTU */
#define GW_CAP_PIECES 1024u /* of a worker */

/** A stretch of an operation on its way to the file. */
struct gw_cap_piece {
	struct pkt_op op;	   /* op.off: where the stretch begins */
	struct timespec ts;	   /* time of day */
	uint32_t lost;		   /* operations that are missing ahead of this one */
	uint32_t n;		   /* bytes of data */
	uint8_t data[GW_CAP_DATA]; /* payload */
};

/** From one worker to the writer. */
struct gw_cap_ring {
	struct ib_tap tap;	     /* of the worker's completion queue; must be first */
	struct gw_worker *w;	     /* the worker */
	struct rte_ring *full;	     /* worker to writer */
	struct rte_ring *free;	     /* writer to worker */
	struct gw_cap_piece *pieces; /* GW_CAP_PIECES of them, mapped */
	uint32_t missing;	     /* worker: lost since the last piece */
	_Atomic uint64_t lost;	     /* operations that found no free piece */
};

#define GW_FOREACH_CAP_END(_)                  \
	_(RUNNING, "running")                  \
	_(STOPPED, "stopped") /* by command */ \
	_(BYTES, "size limit reached")         \
	_(PACKETS, "packet limit reached")     \
	_(SECONDS, "time limit reached")       \
	_(WRITE, "the file could not be written")

/** Whether a capture runs, and why not any more. */
enum gw_cap_end {
#define _(sym, text) GW_CAP_##sym,
	GW_FOREACH_CAP_END(_)
#undef _
};

/** Limits of a capture; it ends at whichever comes first. */
struct gw_cap_limits {
	uint64_t bytes;	  /* of the file */
	uint64_t packets; /* in it */
	uint64_t seconds; /* since the start */
};

/** A capture, of all workers. */
struct gw_capture {
	struct gw *gw;
	char file[512];
	int fd;			    /* of it */
	struct gw_cap_limits limit; /* when it ends */
	uint64_t start_us;	    /* monotonic */
	struct gw_cap_ring ring[GW_MAX_WORKERS];
	pthread_t writer;
	bool joined;			 /* the writer has ended, nothing is tapped */
	_Atomic int end;		 /* enum gw_cap_end; set once */
	_Atomic uint64_t bytes, packets; /* written */
	uint8_t *buf;			 /* writer: records not written yet */
	uint32_t used;			 /* writer: of buf, bytes */
	const struct gw_cap_piece *now;	 /* writer: being turned into packets */
	uint32_t lost;			 /* writer: to be told in the next record */
};

/* --- gw_capture.c: control thread --------------------------------------------------------- */

/** Starts a capture of all workers to a file that must not exist. 0; EBUSY: one is running; errno,
 * EINVAL: not an absolute path. */
int gw_capture_start(struct gw *gw, const char *file, const struct gw_cap_limits *limit);
/** Ends it and writes what is under way. The result stays for gw_capture_show(). */
void gw_capture_stop(struct gw *gw);
/** Cleans up after one that ended by itself. */
void gw_capture_tick(struct gw *gw);
/** Stops and frees, at the end of the daemon. */
void gw_capture_close(struct gw *gw);

/* --- gw_control_capture.c ----------------------------------------------------------------- */

/** Commands of the control socket. */
json_t *gw_control_capture_start(struct gw *gw, const json_t *req);
json_t *gw_control_capture_stop(struct gw *gw, const json_t *req);
json_t *gw_control_capture_show(struct gw *gw, const json_t *req);

/* --- gw_capture_ring.c -------------------------------------------------------------------- */

/** Makes the rings of worker w. 0 or ENOMEM. */
int gw_cap_ring_open(struct gw_cap_ring *r, struct gw_worker *w);
void gw_cap_ring_close(struct gw_cap_ring *r);

/* --- gw_capture_write.c ------------------------------------------------------------------- */

/** The writer thread; arg is the capture. */
void *gw_cap_writer(void *arg);

#endif
