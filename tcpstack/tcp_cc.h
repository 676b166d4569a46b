/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cc.h - congestion control of the TCP core: which there are, and what each one provides.
 *
 * A controller decides how cwnd grows and to what it falls, or sets it by a model of the path. Slow
 * start, the initial window, recovery and undo are common to all (tcp_cc.c, tcp_recovery.c,
 * tcp_undo.c). Which one a connection has is a matter of its configuration and may change while it
 * lives.
 */
#ifndef TCPSTACK_TCP_CC_H
#define TCPSTACK_TCP_CC_H

#include <assert.h>
#include <stdint.h>

#define TCP_FOREACH_CC(_)              \
	_(CUBIC, cubic, "cubic")       \
	_(NEWRENO, newreno, "newreno") \
	_(BBR, bbr, "bbr")

/** Congestion controllers, for struct tcp_cfg.cc. */
enum tcp_cc_kind {
#define _(sym, ops, name) TCP_CC_##sym,
	TCP_FOREACH_CC(_)
#undef _
		TCP_CC_COUNT
};

struct tcp_ack;
struct tcp_conn;
struct tcp_sample;
struct tcp_txrec;

/**
 * A controller that goes by a model of the path: it is told rates (tcp_rate.c), sets cwnd itself
 * at each ACK and paces always.
 */
struct tcp_cc_path {
	/** Payload is to leave, and nothing is in flight. */
	void (*wake)(struct tcp_conn *c, uint64_t now);
	/** An ACK, with its rate sample; after loss detection. Sets cwnd. */
	void (*ack)(struct tcp_conn *c, const struct tcp_ack *a);
	/** r is deemed lost now; of *s, limited, in_flight and lost are known. */
	void (*lost)(struct tcp_conn *c, const struct tcp_txrec *r, const struct tcp_sample *s);
	/** Congestion with nothing to send again: ECE, or a loss that a probe repaired. */
	void (*signal)(struct tcp_conn *c);
	/** Loss recovery is over. */
	void (*recovered)(struct tcp_conn *c);
	/** Bytes per second at which payload may leave; the RTT is known. */
	uint64_t (*rate)(const struct tcp_conn *c);
};

/** What a controller does; windows are bytes. All are called with a connection that is open. */
struct tcp_cc {
	/** What it learned is forgotten: at the start, after idling, when it takes over. */
	void (*rest)(struct tcp_conn *c);
	/** `acked` bytes, at most cwnd, were acknowledged in congestion avoidance: grows cwnd. */
	void (*avoid)(struct tcp_conn *c, uint32_t acked, uint32_t now_ms);
	/** Bytes by which slow start grows for `acked` ones; tcp_hystart.c may still lessen them.
	 */
	uint32_t (*slow_start)(const struct tcp_conn *c, uint32_t acked);
	/** Loss recovery begins: returns ssthresh, whose lower bound is the caller's; cwnd is as
	 * before. */
	uint32_t (*reduce)(struct tcp_conn *c);
	/** The last reduction was not called for; cwnd and ssthresh are what they were again. */
	void (*undo)(struct tcp_conn *c);
	/** The rest of one that goes by a model and has no avoid() and slow_start(); NULL: none. */
	const struct tcp_cc_path *path;
};

static_assert(TCP_CC_COUNT <= 4, "two bits of struct tcp_conn");

/** Name of a controller. */
const char *tcp_cc_name(enum tcp_cc_kind k);

#endif
