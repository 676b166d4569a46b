/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_park.c - connections at rest (tcp_park.h).
 *
 * Whether a connection is at rest is not asked member by member: it is parked
 * and made again on trial, and the result must be what was there before.
 */
#include <errno.h>
#include <string.h>

#include "tcpstack/tcp_park.h"
#include "tcpstack/tcp_priv.h"

/* clang-format off */

/* Over at rest: they describe what is in flight, on its way in, or a past opening. */
#define FOREACH_OVER(_)                                                                         \
	_(snd_sml) _(rtt_seq) _(used_max) /* acknowledged */                                    \
	_(snd_up)                   /* acknowledged, or there is none */                        \
	_(t_ack)                    /* ack_later is not set */                                  \
	_(t_late)                   /* checked to be over */                                    \
	_(pace_ns)                  /* nothing waits for it: pace_wait */                       \
	_(ready) _(rx)              /* n_ready and n_rx are 0 */                                \
	_(segs)                     /* added to stats.segs */                                   \
	_(rx_start) _(rx_end)       /* nothing is wanted again */                               \
	_(ooo) _(ooo_placed)        /* n_ooo is 0 */                                            \
	_(dsack)                    /* dsack_due is not set */                                  \
	_(fin_seq)                  /* of use before the FIN is in order */                     \
	_(recover) _(tlp_end) _(dup_acks)                        /* recovery is over */         \
	_(prr_delivered) _(prr_out) _(prr_flight)                                               \
	_(rack_us) _(rack_end) _(rack_rtt_us) _(rack_fack) _(reo_us) _(dsack_round)             \
	_(ecn_seq) _(rto_us) _(alive_ms) _(undo_seq) _(undo_bytes)                                                     \
	_(undo_cwnd) _(undo_ssthresh) _(undo_tsval)                                             \
	_(w_est) _(w_est_acked) _(epoch_ms) _(k_ms) _(avoid_ms)              /* an epoch begins anew */     \
	_(pipe_ms) _(pipe_ack)                                   /* likewise */ \
	_(rate) _(bbr)                                           /* begins with what is kept */ \
	_(hs_end) _(hs_last_ms) _(hs_cur_ms) _(hs_base_ms) _(hs_count) _(hs_css)                \
	_(pm_end) _(pm_seq) _(pm_probe_end)                      /* no probe is out */          \
	_(ptb_seq) _(ptb_mss)                                    /* no error is pending */      \
	_(syn_us) _(syn_rst) _(syn_mss)                          /* it is open */

#define FOREACH_OVER_FLAG(_)                                                 \
	_(tlp_out) _(tlp_retx) _(cwnd_limited) _(retx_wait)                  \
	_(rack_valid) _(fack_valid) _(reo_wait) _(dsack_round_valid)         \
	_(marked) _(pm_rtos) _(alive_known)                                              \
	_(undo_ok) _(undo_retx) _(undo_judged) _(hs_end_valid) _(epoch_valid)                            \
	_(pm_bad) _(ecn_ask) _(syn_sent)

/* clang-format on */

/* Nothing is in flight, left to be sent, on its way to the server or owed to the client. */
static bool at_rest(const struct tcp_conn *c, uint64_t now)
{
	return !tcp_opening(c) && c->snd_una == c->snd_nxt && tcp_data_nxt(c) == c->snd_avail &&
	       c->fin_wanted == c->fin_sent && c->rcv_placed == c->rcv_nxt &&
	       c->rcv_acked == c->rcv_nxt && c->fin_known == c->fin_rcvd && !c->n_ooo &&
	       c->t_late <= now;
}

/* Tells the trial from the real thing: what is over does not count. */
static bool same(struct tcp_conn *trial, const struct tcp_conn *c)
{
#define _(name) memcpy(&trial->name, &c->name, sizeof(c->name));
	FOREACH_OVER(_)
#undef _
#define _(name) trial->name = c->name;
	FOREACH_OVER_FLAG(_)
#undef _
	trial->stats = c->stats; /* the same, but with all of segs[] */
	return memcmp(trial, c, sizeof(*c)) == 0;
}

static void restore(struct tcp_conn *c, const struct tcp_parked *p, const struct tcp_cfg *cfg)
{
	memset(c, 0, sizeof(*c));
	c->cfg = cfg;
#define _(type, name) c->name = p->name;
	TCP_FOREACH_KEPT(_)
#undef _
#define _(name) c->name = p->name;
	TCP_FOREACH_KEPT_FLAG(_)
#undef _
	c->limit = p->limit;
	tcp_cc_use(c, p->cc);
	c->stats = p->stats;
	tcp_timer_set(c, p->timer, p->due);
	c->snd_una = c->ready_nxt = c->want_nxt = c->snd_sml = c->rtt_seq = c->snd_nxt;
	c->recover = c->snd_nxt - 1;
	c->ecn_seq = c->snd_nxt;
	c->rcv_placed = c->rcv_acked = c->rcv_nxt;
	c->pm_low = c->mss < c->mss_max;
	c->boxed = c->box != 0;
	c->fin_seq = c->rcv_nxt - 1;
}

int tcp_park(const struct tcp_conn *c, struct tcp_parked *p, uint64_t now)
{
	struct tcp_conn trial;

	if (!at_rest(c, now))
		return EBUSY;
#define _(type, name) p->name = c->name;
	TCP_FOREACH_KEPT(_)
#undef _
#define _(name) p->name = c->name;
	TCP_FOREACH_KEPT_FLAG(_)
#undef _
	p->due = tcp_timer_due(c, now);
	p->limit = c->limit;
	p->cc = c->cc;
	p->stats = c->stats;
	for (unsigned int i = 0; i < TCP_N_COUNT; i++)
		p->stats.segs[i] = tcp_segs(c, i);
	restore(&trial, p, c->cfg);
	return same(&trial, c) ? 0 : EBUSY;
}

void tcp_unpark(struct tcp_conn *c, const struct tcp_parked *p, const struct tcp_cfg *cfg)
{
	restore(c, p, cfg);
	tcp_cc_select(c); /* another one may have been configured meanwhile */
}

uint64_t tcp_parked_deadline(const struct tcp_parked *p)
{
	return p->due;
}
