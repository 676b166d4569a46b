/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_park.h - a connection at rest, in a third of the space.
 *
 * Most connections do nothing most of the time: nothing is in flight, wanted,
 * owed or out of order. Such a connection is parked: what has to survive is
 * kept in a struct tcp_parked, and its struct tcp_conn serves another one.
 *
 * The lists below divide the members of struct tcp_conn. Those kept survive.
 * Those that are over at rest describe what is in flight, and nothing is. All
 * others must have the value they begin with: if one has not, the connection
 * is not at rest and cannot be parked. So a member that somebody adds and
 * forgets here costs memory, never correctness.
 */
#ifndef TCPSTACK_TCP_PARK_H
#define TCPSTACK_TCP_PARK_H

#include "tcpstack/tcp.h"

/* clang-format off */

/* Kept: type, name. Large ones first, so that they pack. */
#define TCP_FOREACH_KEPT(_)                                               \
	_(uint32_t, snd_nxt)	/* snd_una and want_nxt are the same */   \
	_(uint32_t, snd_avail)	/* the same, or one less with our FIN */  \
	_(uint32_t, snd_wnd)	/* windows */                             \
	_(uint32_t, snd_wl1)                                              \
	_(uint32_t, max_wnd)                                              \
	_(uint32_t, rcv_nxt)	/* rcv_placed and rcv_acked are the same */ \
	_(uint32_t, rcv_edge)                                             \
	_(uint32_t, rcv_room)                                             \
	_(uint32_t, rcv_max)                                              \
	_(uint32_t, cwnd)	/* congestion control */                  \
	_(uint32_t, ssthresh)                                             \
	_(uint32_t, w_max)	/* or bbr_bw */                           \
	_(uint32_t, cwnd_prior)	/* or bbr_in_flight */                    \
	_(uint32_t, srtt_us)	/* round-trip time */                     \
	_(uint32_t, rttvar_us)                                            \
	_(uint32_t, min_rtt_us)                                           \
	_(uint32_t, unused_ms)                                            \
	_(uint32_t, sent_ms)	/* when something last happened */        \
	_(uint32_t, heard_ms)                                             \
	_(uint32_t, challenge_ms)                                         \
	_(uint32_t, ts_off)	/* timestamps */                          \
	_(uint32_t, ts_recent)                                            \
	_(uint32_t, rcv_up)	/* urgent data */                         \
	_(uint32_t, pm_ms)	/* path MTU */                            \
	_(uint32_t, pm_fail)                                              \
	_(uint32_t, box)	/* black box */                           \
	_(uint16_t, mss)                                                  \
	_(uint16_t, rcv_mss)                                              \
	_(uint16_t, min_rtt_at)                                           \
	_(uint16_t, mss_max)                                              \
	_(uint16_t, pm_next)                                              \
	_(uint8_t, pm_tries)                                              \
	_(uint8_t, soft_error)                                            \
	_(uint8_t, state)                                                 \
	_(uint8_t, timer)                                                 \
	_(uint8_t, snd_wscale)                                            \
	_(uint8_t, rcv_wscale)                                            \
	_(uint8_t, reo_mult)                                              \
	_(uint8_t, reo_persist)                                           \
	_(uint8_t, quick)                                                 \
	_(uint8_t, n_challenge)                                           \
	_(uint8_t, keep_sent)

/* Kept flags. */
#define TCP_FOREACH_KEPT_FLAG(_)                                                             \
	_(wscale_ok) _(sack_ok) _(ts_ok) _(ts_recent_valid) _(ecn_ok) _(ecn_mute) _(ecn_echo) _(cwr_due) \
	_(fin_wanted) _(fin_sent) _(fin_rcvd) _(fin_known) _(fin_placed)                     \
	_(quiesced) _(drained) _(failed) _(zero_out) _(nagle) _(cork) _(keepalive) _(urg_in) \
	_(reordering) _(cwnd_unused)                                                                        \
	_(pm_sent) _(pm_proven) _(pm_hole) _(is_v6) _(df_off)                                \
	_(syn_lost)		/* of use until the round-trip time is measured */

/* clang-format on */

/** What is left of a connection at rest. Content is the core's alone, but for (readable) ones. */
struct tcp_parked {
	uint64_t due; /* when the timer runs out: keepalive or TIME-WAIT */
#define _(type, name) type name;
	TCP_FOREACH_KEPT(_)
#undef _
#define _(name) bool name : 1;
	TCP_FOREACH_KEPT_FLAG(_)
#undef _
	uint8_t limit : 2;	/* enum tcp_limit */
	uint8_t cc : 2;		/* enum tcp_cc_kind */
	struct tcp_stats stats; /* counters */
};

/**
 * Fills *p from a connection at rest, whose memory may then be used for another one: neither
 * tcp_release() nor anything else is to be called for it until tcp_unpark(). 0, or EBUSY: it is
 * not at rest, *p is undefined.
 */
int tcp_park(const struct tcp_conn *c, struct tcp_parked *p, uint64_t now);

/** Makes *c of *p again; both tables as they were. */
void tcp_unpark(struct tcp_conn *c, const struct tcp_parked *p, const struct tcp_cfg *cfg);

/** tcp_deadline() of a parked connection: a keepalive or the end of TIME-WAIT. */
uint64_t tcp_parked_deadline(const struct tcp_parked *p);

#endif
