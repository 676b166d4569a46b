/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_daemon.h - taghostd as a whole. One thread, one event loop; every structure below is
 * reached from struct host, and nothing is global.
 */
#ifndef HOST_HOST_DAEMON_H
#define HOST_HOST_DAEMON_H

#include <ev.h>

#include "host/host_arena.h"
#include "host/host_config.h"
#include "host/host_conn.h"
#include "host/host_flow.h"
#include "host/host_gw.h"
#include "host/host_ipcd.h"
#include "host/host_log.h"
#include "host/host_native.h"
#include "host/host_page.h"
#include "host/host_tap.h"

/** The daemon. */
struct host {
	struct ev_loop *loop;			   /* the one event loop */
	struct host_conf conf;			   /* as read at start */
	struct host_counters count;		   /* everything that happened */
	struct host_tap tap;			   /* the server's interface */
	struct ib_dev dev;			   /* RDMA device */
	struct ib_cq cq;			   /* everything completes here */
	struct host_native native;		   /* UD queue pair */
	struct host_flows flows;		   /* TCP flows seen natively */
	struct host_gw gw[HOST_MAX_GATEWAYS];	   /* gateways */
	unsigned int n_gw;			   /* entries of gw[] */
	uint32_t epoch;				   /* random, of this start */
	struct host_page page;			   /* policy page for programs */
	struct host_arena *arena[HOST_MAX_ARENAS]; /* arenas, by number */
	unsigned int n_arena;			   /* entries of arena[] */
	struct host_conns conns;		   /* connections */
	struct host_ipc ipc;			   /* programs */
	int epd;				   /* edge-triggered epoll of all D ends */
	ev_io epd_io;				   /* readable: events at some D */
	ev_io cq_io;				   /* completion channel */
	ev_io dev_io;				   /* events of the device */
	ev_prepare prepare;			   /* last look before sleeping */
	ev_check check;				   /* first thing after it */
	ev_idle busy;				   /* active: do not sleep, there is more to do */
	ev_timer age;				   /* once a second */
	ev_signal sig_term, sig_int, sig_usr1, sig_usr2;
	ev_timer stop_timer; /* bound of the clean shutdown */
	bool stopping;	     /* SIGTERM came: no new takeovers */
};

/** Time of the current turn of the loop, seconds, monotonic as far as libev makes it. */
static inline double host_now(const struct host *h)
{
	return ev_now(h->loop);
}

#endif
