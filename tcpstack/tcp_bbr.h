/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_bbr.h - what BBR knows of the path of one connection, and of the rate at which the path
 * delivers.
 *
 * Embedded in struct tcp_conn. Nothing of it is touched while another controller has the
 * connection. Names beside the comments are those of draft-ietf-ccwg-bbr. Positions are those of
 * tcp_rate_pos(); *_ms and *_us are low 32 bits.
 */
#ifndef TCPSTACK_TCP_BBR_H
#define TCPSTACK_TCP_BBR_H

#include <stdbool.h>
#include <stdint.h>

#define TCP_RATE_UNIT 8		 /* rates count this many bytes per second: up to 275 Gbit/s */
#define TCP_RATE_MAX  UINT32_MAX /* fastest rate, and "no bound" */

/** States of section 5.1; NONE: it has not begun, or rested. */
#define TCP_FOREACH_BBR(_)                                                              \
	_(NONE, "none", 100, 200)                                                       \
	_(STARTUP, "startup", 277, 200)	       /* accelerates until the pipe is full */ \
	_(DRAIN, "drain", 50, 200)	       /* lets the queue of that run empty */   \
	_(DOWN, "probe-bw-down", 90, 200)      /* slower, until there is headroom */    \
	_(CRUISE, "probe-bw-cruise", 100, 200) /* at the rate that the path delivers */ \
	_(REFILL, "probe-bw-refill", 100, 200) /* the pipe full again, for one round */ \
	_(UP, "probe-bw-up", 125, 225)	       /* is there more? */                     \
	_(PROBE_RTT, "probe-rtt", 100, 50)     /* little in flight: what is the real RTT? */

/** Name of a state, its gains of pacing and of cwnd in hundredths. */
enum tcp_bbr_mode {
#define _(sym, name, pacing, cwnd) TCP_BBR_##sym,
	TCP_FOREACH_BBR(_)
#undef _
		TCP_BBR_COUNT
};

/** Name of a state. */
const char *tcp_bbr_name(enum tcp_bbr_mode m);

/** What ACKs tell about bandwidth probing, BBR.ack_phase. */
enum tcp_bbr_acks {
	TCP_BBR_ACKS_INIT,     /* nothing */
	TCP_BBR_ACKS_REFILL,   /* the pipe is being filled */
	TCP_BBR_ACKS_STARTING, /* more is in flight, its ACKs are awaited */
	TCP_BBR_ACKS_FEEDBACK, /* they come */
	TCP_BBR_ACKS_STOPPING  /* probing has stopped, they still come */
};

/** Delivery-rate sampling (tcp_rate.c). */
struct tcp_rate {
	uint32_t delivered_us; /* when something was delivered last, C.delivered_time */
	uint32_t first_us;     /* when the newest of what was delivered left, C.first_send_time */
	uint32_t lost;	       /* bytes ever deemed lost, modulo 2^32, C.lost */
	uint32_t limit_end;    /* with limited: until this position samples are, C.app_limited */
	uint32_t top;	       /* with top_known: highest position ever, marks may be taken back */
	bool top_known;	       /* since an ACK, or since nothing else was in flight */
	bool limited;	       /* the sender ran dry */
};

/** BBR (tcp_bbr*.c). Volumes are bytes, rates count TCP_RATE_UNIT; TCP_RATE_MAX: no bound. */
struct tcp_bbr {
	uint8_t mode;		      /* enum tcp_bbr_mode */
	uint8_t acks;		      /* enum tcp_bbr_acks */
	uint8_t undo_mode;	      /* state that a loss ended, NONE: none */
	uint8_t full_count;	      /* rounds without much growth */
	uint8_t up_rounds;	      /* rounds that inflight_long has grown in */
	uint8_t probe_rounds;	      /* rounds since the last probe for bandwidth, saturating */
	uint8_t drain_rounds;	      /* rounds in DRAIN */
	uint8_t extra_rounds;	      /* rounds of the newer half of the window of extra[] */
	uint8_t loss_ranges;	      /* disjoint ranges lost in this round, saturating */
	bool full_reached : 1;	      /* the pipe has been full once */
	bool full_now : 1;	      /* it was found full since full_bw was reset */
	bool round_start : 1;	      /* this ACK begins a round */
	bool loss_round_start : 1;    /* this ACK begins a round of loss counting */
	bool loss_in_round : 1;	      /* something was lost in it */
	bool probe_sample : 1;	      /* ACKs are of what was sent while probing */
	bool probe_high : 1;	      /* the last probe lost too much */
	bool probe_brief : 1;	      /* the last probe was a precautionary one */
	bool idle_restart : 1;	      /* nothing was in flight and nothing to send */
	bool rtt_due : 1;	      /* rtt_min_us is old: ProbeRTT, or an idle time */
	bool rtt_reached : 1;	      /* ProbeRTT: little enough is in flight, until rtt_done_ms */
	bool rtt_round_done : 1;      /* ProbeRTT: for a round already */
	uint16_t wait_ms;	      /* longest time between probes for bandwidth */
	uint32_t now_ms;	      /* when something happened last */
	uint32_t max_bw[2];	      /* fastest rate of the cycle before and of this one */
	uint32_t bw_short;	      /* bound since the last loss */
	uint32_t bw_latest;	      /* fastest rate of this round of loss counting */
	uint32_t full_bw;	      /* rate that growth is compared with */
	uint32_t pacing;	      /* rate at which payload leaves, 0: not known yet */
	uint32_t inflight_long;	      /* what the path took without too much loss */
	uint32_t inflight_short;      /* bound since the last loss */
	uint32_t inflight_latest;     /* most delivered in a round trip, of this round */
	uint32_t undo_bw_short;	      /* before the loss */
	uint32_t undo_inflight_short; /* before the loss */
	uint32_t undo_inflight_long;  /* before the loss */
	uint32_t prior_cwnd;	      /* cwnd before recovery or ProbeRTT */
	uint32_t next_round;	      /* position whose delivery begins a round */
	uint32_t loss_round;	      /* the same of the rounds of loss counting */
	uint32_t lost_end;	      /* end of what was lost last */
	uint32_t cycle_ms;	      /* when this cycle of probing began */
	uint32_t up_acked;	      /* delivered since inflight_long grew */
	uint32_t up_per_mss;	      /* what makes it grow by a segment */
	uint32_t min_rtt_us;	      /* smallest RTT of 10 s, 0: not measured */
	uint32_t min_rtt_ms;	      /* when it was measured */
	uint32_t rtt_min_us;	      /* smallest RTT of 5 s, BBR.probe_rtt_min_delay; 0: none */
	uint32_t rtt_min_ms;	      /* when it was measured */
	uint32_t rtt_done_ms;	      /* with rtt_reached: when ProbeRTT may end */
	uint32_t extra[2];    /* most delivered beyond bw, of 5 rounds before and of these */
	uint32_t extra_acked; /* delivered since extra_us */
	uint32_t extra_us;    /* start of the interval */
};

#endif
