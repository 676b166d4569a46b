/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_freeze.h - the state of a kernel TCP socket, read in TCP_REPAIR mode (needs CAP_NET_ADMIN).
 */
#ifndef HOST_HOST_FREEZE_H
#define HOST_HOST_FREEZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ibside/ib_msg.h"
#include "tcpstack/net_flow.h"

/** What the kernel said. Host byte order, sequence numbers of the kernel. */
struct host_freeze {
	uint32_t snd_una;	    /* oldest not acknowledged */
	uint32_t snd_nxt;	    /* next to send at the moment of reading */
	uint32_t write_seq;	    /* end of the send queue */
	uint32_t rcv_nxt;	    /* next expected */
	uint32_t snd_wnd;	    /* client's window, bytes */
	uint32_t snd_wl1;	    /* segment it came with */
	uint32_t max_wnd;	    /* largest it ever was */
	uint32_t rcv_edge;	    /* right edge last advertised */
	uint32_t ts_val;	    /* the kernel's timestamp clock for this socket */
	uint32_t srtt_us;	    /* 0: no estimate */
	uint32_t rttvar_us;	    /* with srtt_us */
	uint32_t mss;		    /* payload per segment without options */
	uint32_t ip;		    /* IB_HL_IP: TTL and DSCP */
	uint32_t n_tx;		    /* bytes of the send queue */
	uint32_t n_rx;		    /* unread bytes of the receive queue */
	uint8_t snd_wscale;	    /* shift of the client's windows */
	uint8_t rcv_wscale;	    /* shift of ours */
	bool wscale, sack, ts, ecn; /* options in use */
	bool reuse;		    /* SO_REUSEADDR, which leaving repair mode would clear */
	bool retry;		    /* refused for a passing reason */
};

/** Where the bytes of the queues go. */
struct host_freeze_buf {
	uint8_t *tx, *rx;	   /* rings; cursor 0 is their start */
	uint32_t tx_size, rx_size; /* bytes */
	uint8_t *scratch;	   /* at least tx_size + HOST_FREEZE_SLACK bytes */
};
#define HOST_FREEZE_SLACK (128u << 10) /* acknowledged bytes the kernel may still show */

/** The 4-tuple of a connected TCP socket; a reason when it is none that can be accelerated. */
enum ib_reason host_freeze_tuple(int fd, struct net_flow *key);
/** Enters repair mode. 0 or errno. */
int host_freeze_on(int fd, struct host_freeze *f);
/** Leaves it silently (no window probe). 0 or errno. */
int host_freeze_off(int fd, const struct host_freeze *f);
/**
 * In repair mode: reads positions, options and queues. IB_R_NONE or why the socket is not
 * taken (f->retry: asking again later makes sense).
 */
enum ib_reason host_freeze_read(int fd, struct host_freeze *f, const struct host_freeze_buf *b);
/** Bytes the kernel has not got acknowledged, or -1. */
int host_freeze_outq(int fd);
/** Bytes the kernel has not sent yet. 0 or errno. */
int host_freeze_unsent(int fd, int *n);
/** TTL and DSCP that the kernel sends with, as flags of the host line (IB_HL_IP). */
uint32_t host_freeze_ip(int fd);
/** The kernel's timestamp clock for this socket. 0 or errno. */
int host_freeze_tsclock(int fd, uint32_t *ts);

#endif
