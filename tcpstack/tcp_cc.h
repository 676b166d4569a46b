/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cc.h - congestion control of the TCP core: which there are, and what each one provides.
 *
 * A controller decides how cwnd grows and to what it falls. Slow start, the
 * initial window, recovery and undo are common to all (tcp_cc.c,
 * tcp_recovery.c, tcp_undo.c). Which one a connection has is a matter of its
 * configuration and may change while it lives.
 */
#ifndef TCPSTACK_TCP_CC_H
#define TCPSTACK_TCP_CC_H

#include <stdint.h>

#define TCP_FOREACH_CC(_)        \
	_(CUBIC, cubic, "cubic") \
	_(NEWRENO, newreno, "newreno")

/** Congestion controllers, for struct tcp_cfg.cc. */
enum tcp_cc_kind {
#define _(sym, ops, name) TCP_CC_##sym,
	TCP_FOREACH_CC(_)
#undef _
		TCP_CC_COUNT
};

struct tcp_conn;

/** What a controller does; windows are bytes. All are called with a connection that is open. */
struct tcp_cc {
	/** What it learned is forgotten: at the start, after idling, when it takes over. */
	void (*rest)(struct tcp_conn *c);
	/** `acked` bytes, at most cwnd, were acknowledged in congestion avoidance: grows cwnd. */
	void (*avoid)(struct tcp_conn *c, uint32_t acked, uint32_t now_ms);
	/** Bytes by which slow start grows for `acked` ones; tcp_hystart.c may still lessen them.
	 */
	uint32_t (*slow_start)(const struct tcp_conn *c, uint32_t acked);
	/** Congestion: returns ssthresh, whose lower bound is the caller's; cwnd is as before. */
	uint32_t (*reduce)(struct tcp_conn *c);
	/** The last reduction was not called for; cwnd and ssthresh are what they were again. */
	void (*undo)(struct tcp_conn *c);
};

/** Name of a controller. */
const char *tcp_cc_name(enum tcp_cc_kind k);

#endif
