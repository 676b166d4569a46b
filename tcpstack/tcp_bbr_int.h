/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_bbr_int.h - what the three files of BBR tell each other: tcp_bbr.c (states and control),
 * tcp_bbr_model.c (what the path is like) and tcp_bbr_probe.c (the cycle of ProbeBW).
 */
#ifndef TCPSTACK_TCP_BBR_INT_H
#define TCPSTACK_TCP_BBR_INT_H

#include "tcpstack/tcp_priv.h"

#define TCP_BBR_MIN_SEGS 4 /* BBR.MinPipeCwnd */

/* Share of BBR.Beta, 0.7, by which bounds fall at most. */
static inline uint32_t tcp_bbr_beta(uint32_t x)
{
	return (uint32_t)((uint64_t)x * 7 / 10);
}

/* A rate as bytes per second. */
static inline uint64_t tcp_bbr_bytes(uint32_t rate)
{
	return (uint64_t)rate * TCP_RATE_UNIT;
}

/* tcp_bbr.c */
void tcp_bbr_set(struct tcp_conn *c, enum tcp_bbr_mode mode);	    /* the state */
void tcp_bbr_round(struct tcp_conn *c);				    /* StartRound() */
uint32_t tcp_bbr_inflight(const struct tcp_conn *c, uint32_t gain); /* gain: hundredths of a BDP */

/* tcp_bbr_model.c */
uint32_t tcp_bbr_max_bw(const struct tcp_bbr *b);
uint32_t tcp_bbr_bw(const struct tcp_bbr *b); /* max_bw within its bound */
uint32_t tcp_bbr_min_cwnd(const struct tcp_conn *c);
/* gain hundredths of what fills the path at `bw`; the initial window while there is no RTT. */
uint32_t tcp_bbr_bdp(const struct tcp_conn *c, uint32_t bw, uint32_t gain);
void tcp_bbr_learn(struct tcp_conn *c, const struct tcp_ack *a); /* from an ACK, before states */
void tcp_bbr_min_rtt(struct tcp_conn *c, const struct tcp_ack *a);
void tcp_bbr_forget_latest(struct tcp_bbr *b, const struct tcp_sample *s); /* after states */
void tcp_bbr_reset_full(struct tcp_bbr *b, uint32_t bw); /* begins to look for a plateau at bw */
void tcp_bbr_reset_signals(struct tcp_bbr *b);		 /* no congestion in this round */
void tcp_bbr_reset_short(struct tcp_bbr *b);		 /* no bounds by recent losses */
void tcp_bbr_save(struct tcp_conn *c);			 /* before a loss that may be none */

/* tcp_bbr_probe.c */
bool tcp_bbr_too_high(const struct tcp_conn *c, const struct tcp_sample *s); /* too much was lost */
bool tcp_bbr_cycling(const struct tcp_bbr *b);	     /* in a state of ProbeBW */
uint32_t tcp_bbr_headroom(const struct tcp_conn *c); /* inflight_long less what others may take */
void tcp_bbr_down(struct tcp_conn *c);
void tcp_bbr_refill(struct tcp_conn *c);
void tcp_bbr_cycle(struct tcp_conn *c, const struct tcp_ack *a); /* an ACK moves the cycle on */
/* A loss while probing: `in_flight` was too much. */
void tcp_bbr_over(struct tcp_conn *c, uint32_t in_flight, bool limited);
/* Of the run [r->start, r->end), lost: what in flight exceeded the bearable loss? */
uint32_t tcp_bbr_in_flight_at_loss(const struct tcp_txrec *r, const struct tcp_sample *s);

#endif
