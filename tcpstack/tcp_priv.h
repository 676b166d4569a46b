/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_priv.h - what the files of the TCP core tell each other.
 *
 * Nothing outside tcpstack/tcp_*.c includes this file, tests excepted. Times
 * named now are microseconds; *_ms are the low 32 bits of milliseconds and are
 * compared by difference only.
 */
#ifndef TCPSTACK_TCP_PRIV_H
#define TCPSTACK_TCP_PRIV_H

#include "tcpstack/tcp.h"
#include "tcpstack/tcp_open.h"
#include "tcpstack/tcp_range.h"
#include "tcpstack/tcp_trace.h"

#define TCP_OPT_TS_LEN	    12 /* two NOPs and the timestamps option */
#define TCP_DUP_THRESH	    3  /* RFC 5681 section 3.2 */
#define TCP_QUICK_ACKS	    16 /* segments acknowledged at once after the start */
#define TCP_REO_MULT_MAX    8  /* largest reordering tolerance */
#define TCP_CWND_MAX	    (1u << 30)
#define TCP_RTO_INITIAL_US  1000000u   /* RFC 6298 section 2.1 */
#define TCP_RTO_SYN_LOST_US 3000000u   /* RFC 6298 section 5.7 */
#define TCP_MSS_MIN	    64	       /* smaller announcements are taken for this */
#define TCP_NO_RTT	    UINT32_MAX /* no RTT was measured */

/* Delivery-rate sample of one ACK, or of one loss (tcp_rate.c). */
struct tcp_sample {
	bool any;	      /* something was delivered whose sending is known */
	bool limited;	      /* the sender ran dry meanwhile: the path may be faster */
	uint32_t xmit_us;     /* when the newest run of it left, low 32 bits */
	uint32_t end;	      /* its end */
	uint32_t prior;	      /* tcp_rate_pos() when it left */
	uint32_t interval_us; /* time of the sample */
	uint32_t delivered;   /* bytes delivered in it */
	uint32_t fresh;	      /* bytes that this ACK was the first to tell of */
	uint32_t rate;	      /* counts TCP_RATE_UNIT, 0: not known */
	uint32_t in_flight;   /* bytes in flight when it left, itself included; 0: not known */
	uint32_t lost;	      /* bytes deemed lost since it left */
};

/* What one acceptable ACK says; filled in by tcp_acked.c on its way. */
struct tcp_ack {
	const struct tcp_seg *seg; /* the segment */
	struct tcp_sample *sample; /* for a controller that goes by rates; NULL: none asks */
	uint64_t now;		   /* when it came */
	uint32_t acked;		   /* bytes newly acknowledged */
	uint32_t delivered;	   /* bytes newly acknowledged or SACKed */
	uint32_t sent_us;	   /* when the first byte acknowledged left last, low 32 bits */
	uint32_t rtt_us;	   /* of the first run to be timed, TCP_NO_RTT: none */
	uint32_t rtt_min_us;	   /* smallest of what was sent once, TCP_NO_RTT: none */
	bool dup;		   /* a duplicate ACK, RFC 5681 section 2 */
	bool sacked;		   /* something was SACKed for the first time */
	bool dsack;		   /* the client reports a duplicate, RFC 2883 */
	bool orig;		   /* delivered: sent before the timeout and never again */
	bool retx;		   /* delivered: something retransmitted */
	bool fresh;		   /* delivered: sent after the last timeout, once */
	bool racked;		   /* RACK has seen something delivered by this ACK */
};

static inline uint32_t tcp_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t tcp_max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Low 32 bits of the time in milliseconds. */
static inline uint32_t tcp_ms(uint64_t now)
{
	return (uint32_t)(now / 1000);
}

/* Sequence numbers in flight, our FIN counted. */
static inline uint32_t tcp_flight(const struct tcp_conn *c)
{
	return c->snd_nxt - c->snd_una;
}

/* (readable) Bytes deemed lost and not retransmitted since; most often none without a look. */
static inline uint32_t tcp_lost(const struct tcp_conn *c)
{
	return c->marked ? c->lost : 0;
}

/* SACKed runs. */
static inline uint16_t tcp_n_sacked(const struct tcp_conn *c)
{
	return c->marked ? c->n_sacked : 0;
}

/* End of the payload in flight; our FIN, if sent, is at this position. */
static inline uint32_t tcp_data_nxt(const struct tcp_conn *c)
{
	return c->fin_sent ? c->snd_avail : c->snd_nxt;
}

/* Payload bytes per segment that carries the options every segment carries. */
static inline uint32_t tcp_eff_mss(const struct tcp_conn *c)
{
	return c->mss - (c->ts_ok ? TCP_OPT_TS_LEN : 0);
}

/* True when something was sent or may still be sent in this state. */
static inline bool tcp_may_send(const struct tcp_conn *c)
{
	return c->state == TCP_S_ESTABLISHED || c->state == TCP_S_CLOSE_WAIT ||
	       c->state == TCP_S_FIN_WAIT_1 || c->state == TCP_S_CLOSING ||
	       c->state == TCP_S_LAST_ACK;
}

/* True while the client may still send payload. */
static inline bool tcp_may_receive(const struct tcp_conn *c)
{
	return c->state == TCP_S_ESTABLISHED || c->state == TCP_S_FIN_WAIT_1 ||
	       c->state == TCP_S_FIN_WAIT_2;
}

/* True while the connection opens. */
static inline bool tcp_opening(const struct tcp_conn *c)
{
	return c->state == TCP_S_SYN_SENT || c->state == TCP_S_SYN_RCVD;
}

/* tcp_trace.c: for connections that have a box. */
void tcp_trace_clock(const struct tcp_conn *c, uint64_t now);
void tcp_trace_add(const struct tcp_conn *c, struct tcp_trace_ev ev);

/* Every call of the owner's that gives the time begins with this: entries carry it. */
static inline void tcp_trace_now(const struct tcp_conn *c, uint64_t now)
{
	if (c->boxed)
		tcp_trace_clock(c, now);
}

/* Records an event in the connection's black box, if it has one. */
static inline void tcp_trace(const struct tcp_conn *c, enum tcp_trace_kind kind, uint8_t what,
			     uint16_t len, uint32_t a, uint32_t b)
{
	if (c->boxed)
		tcp_trace_add(c, (struct tcp_trace_ev){
					 .kind = kind, .what = what, .len = len, .a = a, .b = b});
}

/* Tells the owner about the connection as a whole. */
static inline void tcp_tell(struct tcp_conn *c, enum tcp_event ev)
{
	tcp_trace(c, TCP_TR_EVENT, ev, 0, 0, 0);
	c->cfg->ops->event(c, ev);
}

/* tcp_estats.c: extremes; tcp_stats_cwnd() before cwnd is reduced. */
void tcp_stats_cwnd(struct tcp_conn *c);
void tcp_stats_rtt(struct tcp_conn *c, uint32_t us);

/* Counts n segments; what is hot has no room for more than the low bits. */
static inline void tcp_count(struct tcp_conn *c, enum tcp_segs which, uint32_t n)
{
	uint32_t sum = c->segs[which] + n;

	c->segs[which] = (uint8_t)sum;
	if (sum > UINT8_MAX)
		c->stats.segs[which] += sum - (uint8_t)sum;
}

/* snd_nxt and rcv_nxt move by these, so that it is noticed when they wrap. */
static inline void tcp_snd_to(struct tcp_conn *c, uint32_t to)
{
	if (to < c->snd_nxt)
		c->stats.out_wraps++;
	c->snd_nxt = to;
}

static inline void tcp_rcv_to(struct tcp_conn *c, uint32_t to)
{
	if (to < c->rcv_nxt)
		c->stats.in_wraps++;
	c->rcv_nxt = to;
}

/* tcp_limit.c: what limits the sender, at the end of its turn. */
void tcp_limit_note(struct tcp_conn *c, uint64_t now);

/* tcp_emit.c: ops->emit(), counted and recorded; everything that is sent goes through it. */
int tcp_put(struct tcp_conn *c, const struct tcp_emit *e);

/* tcp.c: the only place that changes c->state. CLOSED also stops all timers. */
void tcp_set_state(struct tcp_conn *c, enum tcp_state s);
void tcp_init(struct tcp_conn *c, const struct tcp_cfg *cfg);
void tcp_start(struct tcp_conn *c, const struct tcp_state_io *st, uint64_t now); /* st is valid */

/* tcp_open.c */
void tcp_open_begin(struct tcp_conn *c, const struct tcp_offer *o, const struct net_flow *f,
		    uint32_t iss, uint64_t now);
void tcp_open_learn(struct tcp_conn *c, const struct tcp_seg *syn, uint64_t now);
void tcp_open_done(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now); /* ESTABLISHED */
void tcp_open_fire(struct tcp_conn *c, uint64_t now);				 /* the timer */
void tcp_open_output(struct tcp_conn *c, uint64_t now); /* what is due while opening */

/* tcp_open_in.c: segments in SYN-SENT and SYN-RECEIVED. */
enum tcp_verdict tcp_syn_sent_in(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
				 struct tcp_rx *rx);
enum tcp_verdict tcp_syn_rcvd_in(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
				 struct tcp_rx *rx);

/* tcp_syn.c */

/* What a SYN or SYN-ACK carries. */
struct tcp_syn {
	uint16_t mss;	/* MSS option */
	uint8_t opts;	/* TCP_O_*: the other options */
	uint8_t wscale; /* shift count */
	uint32_t tsval; /* TSval */
	uint32_t tsecr; /* TSecr */
};

uint8_t tcp_syn_options(const struct tcp_syn *s, uint8_t opt[40]); /* returns their length */
bool tcp_offer_valid(const struct tcp_offer *o);
uint8_t tcp_offer_wscale(const struct tcp_offer *o);
uint16_t tcp_syn_window(uint32_t room);	   /* window field of a SYN, never scaled */
bool tcp_syn_ecn(const struct tcp_seg *s); /* an ECN-setup SYN or SYN-ACK, RFC 3168 */

/* MSS to send with when own is our limit, after a SYN of flow f. */
uint16_t tcp_syn_mss(const struct tcp_seg *syn, const struct net_flow *f, uint16_t own);

/* tcp_cookie.c */

/* What a valid cookie says was agreed on. */
struct tcp_cookie {
	uint16_t mss;	 /* the client's MSS, or a little less */
	uint8_t wscale;	 /* the client's shift count */
	bool has_wscale; /* window scaling in use */
	bool sack;	 /* SACK in use */
	bool ecn;	 /* ECN in use */
	bool ts;	 /* timestamps in use */
};

void tcp_cookie_reply(struct tcp_listener *l, const struct net_flow *f, const struct tcp_seg *syn,
		      uint64_t now, struct tcp_emit *e);	      /* the SYN-ACK */
bool tcp_cookie_expected(const struct tcp_listener *l, uint64_t now); /* some were sent lately */
bool tcp_cookie_check(const struct tcp_listener *l, const struct net_flow *f,
		      const struct tcp_seg *seg, uint64_t now, struct tcp_cookie *k);
void tcp_cookie_open(struct tcp_conn *c, const struct tcp_listener *l, const struct net_flow *f,
		     const struct tcp_seg *seg, const struct tcp_cookie *k, uint64_t now);

/* tcp_input.c */
bool tcp_seq_acceptable(const struct tcp_conn *c, const struct tcp_seg *seg);
bool tcp_seq_inside(const struct tcp_conn *c, uint32_t seq); /* one number is in the window */
enum tcp_verdict tcp_segment_arrives(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
				     struct tcp_rx *rx); /* in a synchronised state */

/* tcp_close.c */
void tcp_fin_in(struct tcp_conn *c, uint64_t now);	 /* the client's FIN is in order */
void tcp_fin_acked(struct tcp_conn *c, uint64_t now);	 /* our FIN was acknowledged */
void tcp_fin_out(struct tcp_conn *c);			 /* our FIN was emitted first */
void tcp_close_check(struct tcp_conn *c);		 /* LAST-ACK and quiesce may be over */
void tcp_rst_in(struct tcp_conn *c);			 /* a valid RST came */
void tcp_rst_out(struct tcp_conn *c, uint64_t now);	 /* emits the RST that is due */
void tcp_give_up(struct tcp_conn *c, enum tcp_event ev); /* becomes CLOSED and tells why */

/* tcp_nagle.c */
bool tcp_nagle_holds(const struct tcp_conn *c, uint32_t len); /* len bytes, all that is left */
bool tcp_nagle_corked(const struct tcp_conn *c); /* a cork alone holds back all that is left */
void tcp_nagle_sent(struct tcp_conn *c, uint32_t seq, uint32_t len); /* new payload left */

/* tcp_keepalive.c */
void tcp_keep_pause(struct tcp_conn *c);		/* gives the timer back, if it has it */
void tcp_keep_fire(struct tcp_conn *c, uint64_t now);	/* the timer ran out */
void tcp_keep_output(struct tcp_conn *c, uint64_t now); /* emits a due probe, arms the timer */
void tcp_keep_heard(struct tcp_conn *c, uint64_t now);	/* the client is there */

/* tcp_urgent.c */
void tcp_urgent_in(struct tcp_conn *c, const struct tcp_seg *seg);
void tcp_urgent_mark(struct tcp_conn *c, struct tcp_emit *e); /* with urg_out: flag and pointer */

/* tcp_time_wait.c */
void tcp_time_wait(struct tcp_conn *c, uint64_t now); /* enters or restarts it */
void tcp_time_wait_old(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now); /* old FIN? */
bool tcp_time_wait_reopens(const struct tcp_conn *c, const struct tcp_seg *syn);     /* RFC 6191 */
bool tcp_time_wait_stays(const struct tcp_conn *c); /* a RST does not end it, RFC 1337 */

/* tcp_ooo.c: returns the verdict on payload and FIN; fills rx. */
enum tcp_verdict tcp_accept(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
			    struct tcp_rx *rx);

/* tcp_challenge.c */
void tcp_challenge(struct tcp_conn *c, uint64_t now);	  /* an ACK, within the limit of RFC 5961 */
bool tcp_challenge_may(struct tcp_conn *c, uint64_t now); /* the limit: one more answer is due */

/* tcp_acked.c: the ACK, window and SACK of an acceptable segment. */
void tcp_acked(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now);

/* tcp_window.c */
uint16_t tcp_window_field(struct tcp_conn *c);	  /* window to advertise; moves rcv_edge */
bool tcp_window_opened(const struct tcp_conn *c); /* a window update is worth an ACK */
void tcp_window_in(struct tcp_conn *c, const struct tcp_seg *seg); /* SND.WND of a segment */
uint32_t tcp_window_usable(const struct tcp_conn *c); /* bytes the client lets us send now */
/*
 * Sequence number of a segment without payload: snd_nxt, or the client's right edge when snd_nxt
 * lies beyond it (a successor's snd_nxt is the producer): beyond it, no ACK would be taken.
 */
uint32_t tcp_window_seq(const struct tcp_conn *c);

/* tcp_ack.c */
void tcp_ack_output(struct tcp_conn *c, uint64_t now);		  /* pure ACKs that are due */
int tcp_ack_emit(struct tcp_conn *c, uint32_t seq, uint64_t now); /* one pure ACK now */
void tcp_ack_note(struct tcp_conn *c, bool with_sack);		  /* an ACK left with a segment */
void tcp_ack_idle(struct tcp_conn *c, uint64_t now); /* payload came; after silence: quick ACKs */
bool tcp_ack_has_sack(const struct tcp_conn *c);     /* the next ACK has SACK blocks to carry */

/* tcp_options.c: returns the number of option bytes, a multiple of 4. */
unsigned int tcp_options_build(const struct tcp_conn *c, bool with_sack, uint64_t now,
			       uint8_t opt[40]);

/* tcp_payload.c */
uint32_t tcp_payload_ready(const struct tcp_conn *c); /* ready bytes from snd_nxt on */
void tcp_payload_want(struct tcp_conn *c);	      /* wants new payload and look-ahead */
uint32_t tcp_payload_retx(struct tcp_conn *c, uint32_t seq, uint32_t len); /* ready bytes at seq */
void tcp_payload_trim(struct tcp_conn *c); /* forgets what was sent or acknowledged */
void tcp_payload_used(struct tcp_conn *c, uint32_t seq, uint32_t len); /* retransmission left */
void tcp_payload_lost(struct tcp_conn *c, bool retx); /* ready payload is not there any more */
void tcp_payload_fail(struct tcp_conn *c);	      /* payload cannot be had any more */

/* tcp_rec.c: transmission records. Whoever changes their fate uses these. */
bool tcp_rec_room(struct tcp_conn *c,
		  uint64_t now); /* new payload may be sent: it can be recorded */
/* [start, end) left for the first time, directly behind what is recorded. */
void tcp_rec_sent(struct tcp_conn *c, uint32_t start, uint32_t end, uint64_t now);
/* [seq, end) left again: it is not lost any more. */
void tcp_rec_retx(struct tcp_conn *c, uint32_t seq, uint32_t end, uint64_t now);
/* [seq, end), which left last, was given to the wire only now. */
void tcp_rec_wire(struct tcp_conn *c, uint32_t seq, uint32_t end, uint64_t now);
/* When the last part of r left, low 32 bits; r->xmit_us is when the first one did. */
uint32_t tcp_rec_last(const struct tcp_conn *c, const struct tcp_txrec *r);
/* Cuts r at `at`, inside it; returns the record of the rest, NULL when there is none to have. */
struct tcp_txrec *tcp_rec_split(struct tcp_conn *c, struct tcp_txrec *r, uint32_t at);
/* Sets the fate of r: TCP_REC_SACKED, TCP_REC_LOST or 0, in flight. */
void tcp_rec_set(struct tcp_conn *c, struct tcp_txrec *r, uint32_t fate);
void tcp_rec_tidy(struct tcp_conn *c);				/* joins neighbours that agree */
void tcp_rec_trim(struct tcp_conn *c, uint32_t una);		/* below una is acknowledged */
void tcp_rec_release(struct tcp_conn *c);			/* gives all back */
const struct tcp_txrec *tcp_rec_lost(const struct tcp_conn *c); /* first that is lost, or NULL */

#define TCP_FOREACH_REC(r, c) for ((r) = (c)->rec; (r); (r) = SLIST_NEXT(r, next))

/* tcp_acked.c: r, up to end, is acknowledged or SACKed for the first time. */
void tcp_delivered(struct tcp_conn *c, const struct tcp_txrec *r, uint32_t end, struct tcp_ack *a);

/* tcp_sack.c */
void tcp_sack_in(struct tcp_conn *c, struct tcp_ack *a); /* blocks of a segment */
void tcp_sack_clear(struct tcp_conn *c);		 /* no mark is trusted any more */
bool tcp_sack_reneged(const struct tcp_conn *c);	 /* a mark has been taken back */
uint32_t tcp_sack_bytes(const struct tcp_conn *c);	 /* SACKed, or deemed so by dup ACKs */
uint32_t tcp_sack_pipe(const struct tcp_conn *c);	 /* RFC 6675 pipe, bytes */
bool tcp_sack_is_dsack(const struct tcp_seg *seg);	 /* first block reports a duplicate */
/* The lowest `max` SACKed runs; returns their number. */
unsigned int tcp_sack_get(const struct tcp_conn *c, struct tcp_range *b, unsigned int max);

/* tcp_dupack.c: connections without SACK */
void tcp_dupack_detect(struct tcp_conn *c, const struct tcp_ack *a);
void tcp_dupack_deflate(struct tcp_conn *c, uint32_t acked); /* duplicates that it has used up */
/* Bytes the ACK says were delivered; `before`: what duplicates had said. */
uint32_t tcp_dupack_delivered(const struct tcp_conn *c, const struct tcp_ack *a, uint32_t before);

/* tcp_rack.c */
void tcp_rack_delivered(struct tcp_conn *c, const struct tcp_txrec *r, uint32_t end,
			struct tcp_ack *a);
void tcp_rack_detect(struct tcp_conn *c, uint64_t now);		      /* marks lost; sets reo_us */
void tcp_rack_min_rtt(struct tcp_conn *c, uint32_t us, uint64_t now); /* one RTT sample */
void tcp_rack_dsack(struct tcp_conn *c);     /* the client reported a duplicate */
void tcp_rack_recovered(struct tcp_conn *c); /* a recovery ended */

/* tcp_prr.c */
void tcp_prr_begin(struct tcp_conn *c, uint32_t delivered);	     /* by the ACK that tells */
void tcp_prr_ack(struct tcp_conn *c, uint32_t delivered, bool safe); /* sets cwnd */

/* tcp_undo.c: the functions that return bool say whether the reduction was taken back. */
void tcp_undo_save(struct tcp_conn *c);				      /* before a reduction */
void tcp_undo_retx(struct tcp_conn *c, uint32_t bytes, uint64_t now); /* bytes left again */
void tcp_undo(struct tcp_conn *c);
bool tcp_undo_eifel(struct tcp_conn *c, const struct tcp_seg *seg);
bool tcp_undo_dsack(struct tcp_conn *c, const struct tcp_range *dup);

/* tcp_frto.c */
void tcp_frto_begin(struct tcp_conn *c); /* a timeout, before anything changes */
bool tcp_frto_ack(struct tcp_conn *c, const struct tcp_ack *a); /* true: spurious, undone */

/* tcp_ecn.c */
void tcp_ecn_ack(struct tcp_conn *c, const struct tcp_ack *a);	 /* the client's ECE */
void tcp_ecn_reduced(struct tcp_conn *c);			 /* cwnd was reduced: CWR is due */
void tcp_ecn_mark(struct tcp_conn *c, struct tcp_emit *e);	 /* ECT and CWR of a segment */
void tcp_ecn_sent(struct tcp_conn *c, const struct tcp_emit *e); /* it left */

/* tcp_recovery.c */
void tcp_recovery_ack(struct tcp_conn *c, const struct tcp_ack *a); /* detection, cwnd */
void tcp_recovery_open(struct tcp_conn *c);			    /* to OPEN */
/* OPEN to RECOVERY, by an ACK that reported `delivered` bytes. */
void tcp_recovery_enter(struct tcp_conn *c, uint32_t delivered, uint64_t now);
void tcp_recovery_loss(struct tcp_conn *c, uint64_t now);   /* a timeout: everything is lost */
void tcp_recovery_resize(struct tcp_conn *c, uint64_t now); /* the same, but no congestion */
void tcp_recovery_retx(struct tcp_conn *c, uint32_t seq, uint32_t end, uint64_t now);
void tcp_recovery_reo(struct tcp_conn *c, uint64_t now); /* the reordering timer ran out */

/* tcp_cc.c */
void tcp_cc_acked(struct tcp_conn *c, uint32_t acked, uint64_t now); /* grows cwnd */
bool tcp_cc_may_grow(const struct tcp_conn *c);		 /* it was used enough for that */
void tcp_cc_reduce(struct tcp_conn *c);			 /* ssthresh for a congestion event */
void tcp_cc_use(struct tcp_conn *c, enum tcp_cc_kind k); /* has the connection from the start */
void tcp_cc_select(struct tcp_conn *c);			 /* the controller of its configuration */
void tcp_cc_idle(struct tcp_conn *c);			 /* restart after idling, RFC 5681 4.1 */
void tcp_cc_undo(struct tcp_conn *c);			 /* a reduction is taken back */
uint32_t tcp_cc_initial(const struct tcp_conn *c);	 /* RFC 6928 */

void tcp_cc_signal(struct tcp_conn *c); /* congestion, with nothing to send again */

/* tcp_cubic.c, tcp_newreno.c, tcp_bbr.c: the controllers */
#define _(sym, ops, name) extern const struct tcp_cc tcp_cc_##ops;
TCP_FOREACH_CC(_)
#undef _
extern const struct tcp_cc *const tcp_cc_table[TCP_CC_COUNT];

/* The connection's controller. */
static inline const struct tcp_cc *tcp_cc_of(const struct tcp_conn *c)
{
	return tcp_cc_table[c->cc];
}

/* tcp_rate.c: for controllers that go by a model of the path. */
void tcp_rate_sent(struct tcp_conn *c, struct tcp_txrec *r, uint64_t now); /* r left, or again */
void tcp_rate_wire(struct tcp_txrec *r, uint32_t later); /* it left `later` microseconds later */
void tcp_rate_delivered(struct tcp_conn *c, const struct tcp_txrec *r, uint32_t end,
			struct tcp_ack *a);			   /* r was, up to end */
void tcp_rate_lost(struct tcp_conn *c, const struct tcp_txrec *r); /* r is deemed lost now */
void tcp_rate_ack(struct tcp_conn *c, struct tcp_ack *a);	   /* completes the sample, tells */
void tcp_rate_limit(struct tcp_conn *c);	     /* samples of what is in flight are limited */
void tcp_rate_dry(struct tcp_conn *c, uint64_t now); /* checks whether the sender has run dry */

/* Bytes delivered until now, as a position that moves like snd_una. */
static inline uint32_t tcp_rate_pos(const struct tcp_conn *c)
{
	return c->snd_una + c->sacked;
}

uint32_t tcp_cbrt(uint64_t x); /* floor of the cube root */

/* tcp_pacing.c */
uint32_t tcp_pacing_quantum(const struct tcp_conn *c);	       /* bytes that may leave at once */
bool tcp_pacing_early(const struct tcp_conn *c, uint64_t now); /* it is not time yet */
bool tcp_pacing_holds(struct tcp_conn *c, uint64_t now);       /* payload is here and waits */
uint64_t tcp_pacing_due(const struct tcp_conn *c); /* until then, TCP_NEVER: nothing waits */
void tcp_pacing_sent(struct tcp_conn *c, uint32_t len, uint64_t now); /* payload left */

/* tcp_cwv.c: a window that is not used */
void tcp_cwv_round(struct tcp_conn *c, uint64_t now); /* a round trip ends, used_max is its own */
uint32_t tcp_cwv_window(const struct tcp_conn *c);    /* the window that a loss reduces */

/* tcp_hystart.c */
void tcp_hystart_rtt(struct tcp_conn *c, uint32_t ms);		       /* one RTT sample */
uint32_t tcp_hystart_growth(const struct tcp_conn *c, uint32_t acked); /* of cwnd, slow start */

/* tcp_rtt.c */
void tcp_rtt_sample(struct tcp_conn *c, uint32_t us);
void tcp_rtt_in(struct tcp_conn *c, const struct tcp_ack *a);
uint32_t tcp_rto(const struct tcp_conn *c); /* microseconds, backed off */

/* tcp_timer.c */
void tcp_timer_set(struct tcp_conn *c, enum tcp_timer_kind kind, uint64_t at);
void tcp_timer_ack(struct tcp_conn *c, uint64_t at);		/* delays the ACK until then */
uint64_t tcp_timer_due(const struct tcp_conn *c, uint64_t now); /* of the sender's, or TCP_NEVER */
void tcp_timer_rearm(struct tcp_conn *c, uint64_t now);		/* what the sender waits for now */
void tcp_timer_restart(struct tcp_conn *c, uint64_t now);	/* the same, RTO counted from now */
void tcp_timer_missing(struct tcp_conn *c, uint64_t now);	/* the same, if none is armed */
/*
 * New payload left, RFC 8985 section 7.2: what the timer was set for may have been too little for a
 * probe, as a single segment is, whose ACK the client may delay. The timer only comes forward.
 */
void tcp_timer_grown(struct tcp_conn *c, uint64_t now);

/* tcp_rto.c, tcp_tlp.c, tcp_persist.c */
void tcp_rto_fire(struct tcp_conn *c, uint64_t now);
void tcp_alive(struct tcp_conn *c,
	       uint64_t now); /* the client made progress, or nothing is asked */
/*
 * Progress and the first transmission move rto_us, and alive_ms is looked up there when it is
 * needed. To be called before rto_us moves for another reason.
 */
void tcp_alive_keep(struct tcp_conn *c, uint64_t now);
bool tcp_user_timeout(struct tcp_conn *c, uint64_t now); /* no progress for too long */
uint32_t tcp_tlp_pto(const struct tcp_conn *c); /* probe timeout in microseconds, 0: none */
void tcp_tlp_fire(struct tcp_conn *c, uint64_t now);
void tcp_tlp_output(struct tcp_conn *c, uint64_t now); /* emits the probe that is due */
void tcp_tlp_ack(struct tcp_conn *c, const struct tcp_ack *a);
bool tcp_persist_needed(const struct tcp_conn *c);
void tcp_persist_fire(struct tcp_conn *c, uint64_t now);
void tcp_persist_output(struct tcp_conn *c, uint64_t now);

/* tcp_pmtu.c */
uint32_t tcp_pmtu_hdr(const struct tcp_conn *c); /* bytes of IP and TCP header without options */
void tcp_pmtu_init(struct tcp_conn *c, const struct tcp_state_io *st, uint64_t now);
void tcp_pmtu_set(struct tcp_conn *c, uint32_t mss);		     /* another size */
bool tcp_pmtu_lower(struct tcp_conn *c, uint32_t mss, uint64_t now); /* false: no change */
void tcp_pmtu_sent(struct tcp_conn *c, uint32_t seq, uint32_t len);  /* new payload left */
void tcp_pmtu_acked(struct tcp_conn *c, uint64_t now);		     /* snd_una moved */
void tcp_pmtu_rto(struct tcp_conn *c, uint64_t now);		     /* after a timeout */

/* tcp_plpmtu.c */
void tcp_plpmtu_rest(struct tcp_conn *c, uint64_t now); /* no search until ten minutes from now */
void tcp_plpmtu_search(struct tcp_conn *c);		/* begins a search */
bool tcp_plpmtu_too_big(struct tcp_conn *c, uint32_t seq, uint32_t mss,
			uint64_t now);			 /* true: the error was about the probe */
void tcp_plpmtu_acked(struct tcp_conn *c, uint64_t now); /* snd_una moved */
bool tcp_plpmtu_lost(struct tcp_conn *c, bool timeout,
		     uint64_t now); /* loss recovery begins; true: only the probe was lost */
void tcp_plpmtu_output(struct tcp_conn *c, uint64_t now); /* sends the probe that is due */

/* tcp_output.c: one run; updates everything that follows from it. 0 or what emit() said. */
int tcp_emit_run(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags, bool retx,
		 uint64_t now);

/* tcp_time.c */
uint32_t tcp_tsval(const struct tcp_conn *c, uint64_t now);
bool tcp_paws_old(const struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now);
void tcp_ts_update(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now);

#endif
