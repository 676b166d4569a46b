/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_gw.h - the gateways a host is attached to: bootstrap session, workers, queue-pair sets.
 */
#ifndef HOST_HOST_GW_H
#define HOST_HOST_GW_H

#include <ev.h>
#include <jansson.h>

#include "host/host_config.h"
#include "host/host_shm.h"
#include "ibside/ib.h"

struct host;
struct host_gw;
struct host_arena;

#define HOST_MAX_WORKERS 32
#define HOST_SQ_DEPTH	 256   /* send queue of a set; we send messages only */
#define HOST_BOOT_LINE	 65536 /* bytes of the longest bootstrap line */

#define HOST_FOREACH_GWSTATE(_)                                            \
	_(DOWN, "down")		    /* waiting to connect */               \
	_(CONNECTING, "connecting") /* connect() under way */              \
	_(HELLO, "hello")	    /* hello sent, no welcome yet */       \
	_(READY, "ready")	    /* sets connected, waiting for "up" */ \
	_(UP, "up")		    /* carries frames and connections */   \
	_(FENCING, "fencing")	    /* lost: queue pairs are being drained */

/** State of the attachment. */
enum host_gwstate {
#define _(sym, name) HOST_G_##sym,
	HOST_FOREACH_GWSTATE(_)
#undef _
};

/** A worker of a gateway. */
struct host_worker {
	struct host_gw *gw;    /* its gateway */
	uint16_t idx;	       /* number there */
	struct ib_addr native; /* its UD queue pair */
	struct ibv_ah *ah;     /* towards it, ours */
	struct host_rc *rc;    /* native RC queue pair, ours; NULL: not offered */
	struct ib_set set;     /* shared queue pairs, ours */
	bool open;	       /* set is open */
};

/** A gateway. */
struct host_gw {
	struct host *h;			 /* the daemon */
	const struct host_conf_gw *conf; /* name and socket */
	unsigned int idx;		 /* number on this host */
	enum host_gwstate state;	 /* set by gw_set_state() only */
	struct ib_dev dev;   /* the daemon's device with a protection domain of its own */
	bool dev_open;	     /* dev.pd is ours */
	int fd;		     /* bootstrap stream, -1: none */
	ev_io rd, wr;	     /* its events */
	ev_timer timer;	     /* reconnect, heartbeat or drain, by state */
	char *in;	     /* HOST_BOOT_LINE bytes being collected */
	size_t in_len;	     /* of which filled */
	char *out;	     /* text to send, ours */
	size_t out_len;	     /* bytes of it */
	double backoff;	     /* seconds until the next try */
	double heartbeat;    /* seconds between pings */
	unsigned int missed; /* pings since the gateway's last line */
	uint64_t ping_n;     /* pings sent */
	uint32_t epoch;	     /* gateway's */
	uint8_t mac[6];	     /* gateway's, on the tunnelled Ethernet */
	struct host_worker worker[HOST_MAX_WORKERS];
	unsigned int n_workers;				    /* entries of worker[] */
	struct host_policy_entry services[HOST_POLICY_MAX]; /* its policy */
	unsigned int n_services;			    /* entries of services[] */
};

/** Prepares a gateway and starts to connect. 0 or errno. */
int host_gw_start(struct host *h, struct host_gw *g, const struct host_conf_gw *conf,
		  unsigned int idx);
/** Closes everything. */
void host_gw_stop(struct host_gw *g);
/** The attachment failed or is refused: fences, hands its connections back, connects anew. */
void host_gw_lost(struct host_gw *g, const char *why);
/** Name of a state. */
const char *host_gwstate_name(enum host_gwstate s);
/** Appends an entry to the worker's messages; sent by host_gw_flush(). 0 or errno. */
int host_gw_msg(struct host_worker *w, uint8_t mid, const void *entry);
/** Sends what host_gw_msg() collected. */
void host_gw_flush(struct host *h);
/** Worker whose native queue pair is at {qpn, lid or gid}; NULL: nobody's. */
struct host_worker *host_gw_by_source(struct host *h, const struct ibv_wc *wc, const uint8_t *grh);
/** First worker of the first gateway that is up, NULL: none. */
struct host_worker *host_gw_default(struct host *h);
/** Tells every attached gateway about an arena that it does not know. */
void host_gw_tell_arena(struct host *h, struct host_arena *a);

/* host_gw.c, for host_boot.c */
/** Attached on both sides. */
void host_gw_up(struct host_gw *g);
/** Opens and connects the sets named in a welcome. 0 or errno. */
int host_gw_open_workers(struct host_gw *g, json_t *workers);
/** Sets the timer of the state, seconds from now. */
void host_gw_timer(struct host_gw *g, double after);
/** Changes the state. */
void host_gw_set_state(struct host_gw *g, enum host_gwstate s);

/* host_boot.c */
/** Takes one line of the bootstrap; non-zero: the session is to end. */
int host_boot_line(struct host_gw *g, const char *line, size_t len);
/** Lines of the host: hello, ready, arena, ping. */
void host_boot_hello(struct host_gw *g);
void host_boot_ready(struct host_gw *g);
void host_boot_arena(struct host_gw *g, struct host_arena *a);
void host_boot_ping(struct host_gw *g);

/* host_stream.c */
/** Prepares the watchers. */
void host_stream_init(struct host_gw *g);
/** Starts to connect; hello follows by itself. */
void host_stream_connect(struct host_gw *g);
/** Closes the stream, if it is open. */
void host_stream_close(struct host_gw *g);
/** Queues a line; takes obj. */
void host_gw_write(struct host_gw *g, json_t *obj);

#endif
