/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_conn.h - memory layout of one connection of the payload-free TCP core.
 *
 * The owner embeds struct tcp_conn by value, so that one allocation holds a
 * whole connection. Only the core writes it; the members marked (readable) may
 * be read by the owner for display. Sequence numbers are host byte order,
 * modulo 2^32; ranges are half-open. Members are grouped by mechanism; the
 * file that owns a group is named above it.
 */
#ifndef TCPSTACK_TCP_CONN_H
#define TCPSTACK_TCP_CONN_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpstack/tcp_bbr.h"
#include "tcpstack/tcp_pool.h"

#define TCP_HOT_BYTES 128 /* of struct tcp_conn: what traffic in order touches (tests/hot) */
#define TCP_RX_MAX    2	  /* disjoint ranges of a retransmission's ready payload */
#define TCP_READY_MAX 3	  /* ranges of ready payload beyond gaps; more are asked for again */

/** Loss recovery states (tcp_recovery.c). */
#define TCP_FOREACH_RECOVERY(_)                                        \
	_(OPEN, "open")		/* nothing is known to be lost */      \
	_(RECOVERY, "recovery") /* fast recovery, RFC 6675 with PRR */ \
	_(LOSS, "loss")		/* after a retransmission timeout, RFC 5681 section 3.1 */

enum tcp_recovery_state {
#define _(sym, name) TCP_R_##sym,
	TCP_FOREACH_RECOVERY(_)
#undef _
		TCP_R_COUNT
};

/** What the one sender timer waits for (tcp_timer.c). */
#define TCP_FOREACH_TIMER(_)                                         \
	_(NONE, "none")                                              \
	_(RTO, "rto")		  /* RFC 6298 */                     \
	_(TLP, "tail-loss-probe") /* RFC 8985 section 7 */           \
	_(REO, "reordering")	  /* RFC 8985 section 6.2, step 5 */ \
	_(RECORD, "record")	  /* tcp_rec.c */                    \
	_(PERSIST, "persist")	  /* RFC 9293 section 3.8.6.1 */     \
	_(TIME_WAIT, "time-wait") /* RFC 9293 section 3.6.1 */       \
	_(SYN, "syn")		  /* RFC 9293 section 3.5 */         \
	_(KEEPALIVE, "keepalive") /* RFC 9293 section 3.8.4 */

enum tcp_timer_kind {
#define _(sym, name) TCP_T_##sym,
	TCP_FOREACH_TIMER(_)
#undef _
		TCP_T_COUNT
};

struct tcp_listener; /* tcp_open.h */

/** Where F-RTO is after a timeout (tcp_frto.c, RFC 5682 section 3.1). */
enum tcp_frto_step {
	TCP_FRTO_OFF,	/* ordinary recovery */
	TCP_FRTO_FIRST, /* the first ACK is awaited */
	TCP_FRTO_SECOND /* new payload was sent instead; the next ACK decides */
};

/** Name of a recovery state or of what the timer waits for. */
const char *tcp_recovery_name(enum tcp_recovery_state s);
const char *tcp_timer_name(enum tcp_timer_kind k);

/** What keeps the sender from sending more, RFC 4898 SndLim* (tcp_limit.c). */
enum tcp_limit {
	TCP_LIM_SENDER, /* we: nothing was produced, or payload is not here yet */
	TCP_LIM_RWIN,	/* the client's window */
	TCP_LIM_CWND,	/* congestion control */
	TCP_LIM_COUNT
};

/** Segments that are counted with each one that passes (tcp_segs()). */
enum tcp_segs {
	TCP_N_OUT,	/* emitted, each one of a run counted */
	TCP_N_IN,	/* given to tcp_input() */
	TCP_N_DATA_OUT, /* of those emitted, with payload */
	TCP_N_DATA_IN,	/* of those received, with payload */
	TCP_N_COUNT
};

/**
 * Counters of one connection since its import; cumulative, never reset. tcp_estats.h gives them,
 * and what follows from them, under their names of RFC 4898.
 */
struct tcp_stats {
	uint32_t out_start;	    /* tcp_bytes_out() counts from here, a sequence number */
	uint32_t out_wraps;	    /* times snd_nxt has wrapped since */
	uint32_t in_start;	    /* tcp_bytes_in() counts from here */
	uint32_t in_wraps;	    /* times rcv_nxt has wrapped since */
	uint32_t segs[TCP_N_COUNT]; /* segments, by enum tcp_segs, in multiples of 256 */
	uint32_t max_rtt_us;	    /* largest one */
	uint32_t retx_segs;	    /* segments emitted again */
	uint32_t retx_bytes;	    /* their payload */
	uint32_t rto_count;	    /* retransmission timeouts */
	uint32_t recoveries;	    /* fast recoveries entered */
	uint32_t dup_acks;	    /* duplicate ACKs received */
	uint32_t dup_acks_out;	    /* duplicate ACKs sent */
	uint32_t sacks_in;	    /* segments with SACK blocks received */
	uint32_t dsacks;	    /* duplicate SACK blocks received */
	uint32_t ce_in;		    /* segments received with CE */
	uint32_t ece_out;	    /* segments sent with ECE */
	uint32_t min_rtt_us;	    /* smallest round-trip time measured, 0: none */
	uint32_t max_ss_cwnd;	    /* largest cwnd in slow start, at the time of a reduction */
	uint32_t max_ca_cwnd;	    /* the same in congestion avoidance */
	uint32_t pre_cong_cwnd;	    /* sum of cwnd before reductions, modulo 2^32 */
	uint32_t limit_ms[TCP_LIM_COUNT]; /* time in each enum tcp_limit that has ended */
	uint32_t limit_in[TCP_LIM_COUNT]; /* times it was entered */
	uint32_t limit_since_ms;	  /* when the present one began */

	/* Rare ones, modulo 2^16 */
	uint16_t rto_again;	 /* timeouts that were not the first in a row */
	uint16_t undone_fr;	 /* fast recoveries found spurious and undone */
	uint16_t undone_rto;	 /* timeouts found spurious and undone */
	uint16_t ecn_signals;	 /* windows reduced since the client echoed CE */
	uint16_t zero_wnd_in;	 /* times the client closed its window */
	uint16_t zero_wnd_out;	 /* times we closed ours */
	uint16_t probes;	 /* zero-window probes and tail loss probes sent */
	uint16_t challenge_acks; /* ACKs sent for doubtful segments, RFC 5961 */
	uint16_t icmp_in;	 /* ICMP errors about the connection */
	uint16_t icmp_ignored;	 /* of them not believed, RFC 5927 */
	uint16_t mtu_falls;	 /* smaller segments because of an ICMP error */
	uint16_t black_holes;	 /* smaller segments because of timeouts, RFC 4821 section 7.7 */
	uint16_t mtu_probes;	 /* probes for larger segments sent */
	uint16_t mtu_rises;	 /* probes that arrived */
};

/**
 * One connection. What an ACK, a segment in order or a segment that is sent touches when nothing is
 * lost comes first, in the order of use: two cache lines for all of that, and a third one for what
 * is in flight and for a window that grows (tests/hot). The file that owns a member is named with
 * its group, or in tcp_priv.h.
 */
struct tcp_conn {
	const struct tcp_cfg *cfg; /* tunables and actions, shared, outlives the connection */
	uint32_t t_snd;		   /* when the sender timer is due, low 32 bits (tcp_timer.c) */
	uint32_t t_ack;		   /* with ack_later: when the ACK is due, low 32 bits */
	uint8_t state : 4;	   /* (readable) enum tcp_state */
	uint8_t timer : 4;	   /* (readable) enum tcp_timer_kind of t_snd */
	uint8_t snd_wscale : 4;	   /* shift for windows received, 0 without wscale_ok */
	uint8_t rcv_wscale : 4;	   /* shift for windows sent, the same */
	uint8_t n_ooo : 3;	   /* used entries of ooo[] */
	uint8_t n_ooo_placed : 3;  /* used entries of ooo_placed[] */
	uint8_t recovery : 2;	   /* (readable) enum tcp_recovery_state */
	uint8_t quick;		   /* ACKs still to be sent without delay */
	uint8_t backoff;	   /* (readable) consecutive timeouts */
	uint8_t n_ready;	   /* used entries of ready[] */
	uint16_t mss;		   /* (readable) payload per segment before options */
	uint8_t frto : 2;	   /* enum tcp_frto_step */
	uint8_t limit : 2;	   /* enum tcp_limit */
	uint8_t cc : 2;		   /* enum tcp_cc_kind that has it, cfg->cc since tcp_set_cfg() */
	bool modelled : 1;	   /* that one goes by a model of the path (tcp_cc.h) */
	bool boxed : 1;		   /* box names a black box */
	bool alive_known : 1;	   /* alive_ms is known; else it is the time of rto_us */
	uint8_t pm_rtos : 3;	   /* timeouts in a row at this size, saturating */
	bool sack_ok : 1;	   /* SACK in use */
	bool ts_ok : 1;		   /* timestamps in use */
	bool ts_recent_valid : 1;  /* ts_recent is known */
	bool fin_wanted : 1;	   /* tcp_shutdown() was called */
	bool fin_sent : 1;	   /* our FIN is inside snd_nxt */
	bool fin_rcvd : 1;	   /* the client's FIN is inside rcv_nxt */
	bool fin_known : 1;	   /* the client's FIN was seen, at fin_seq */
	bool fin_placed : 1;	   /* the client's FIN is inside rcv_placed */
	bool quiesced : 1;	   /* nothing new is sent any more */
	bool failed : 1;	   /* payload cannot be had: nothing more is sent */
	bool rst_due : 1;	   /* RST is to be sent at the next tcp_output() */
	bool ack_now : 1;	   /* ACK is due */
	bool ack_later : 1;	   /* ACK is due at t_ack */
	bool ack_on_place : 1;	   /* ACK is due at once when everything accepted is placed */
	bool ecn_echo : 1;	   /* CE was received and not answered by CWR, RFC 3168 */
	bool probe_due : 1;	   /* zero-window probe is due */
	bool tlp_due : 1;	   /* tail loss probe is due */
	bool tlp_out : 1;	   /* a tail loss probe is unanswered */
	bool cwnd_limited : 1;	   /* cwnd was what kept us from sending, since the last ACK */
	bool cwnd_unused : 1;	   /* less than half of cwnd is used, since unused_ms */
	bool pace_wait : 1;	   /* payload that may leave waits for pace_ns */
	bool retx_wait : 1;	   /* a retransmission that may leave waits for its payload */
	bool undo_ok : 1;	   /* undo_* hold the state before the reduction */
	bool rx_wanted : 1;	   /* payload is wanted for a retransmission, rx_start to rx_end */
	bool marked : 1;	   /* sacked, lost, n_sacked or dup_acks may be other than 0 */
	bool dsack_due : 1;	   /* dsack is to be reported */
	bool rec_wait : 1;	   /* new payload waits for a transmission record */
	bool rack_valid : 1;	   /* rack_us, rack_end and rack_rtt_us are known */
	bool fack_valid : 1;	   /* rack_fack is known; else snd_una is it */
	bool reordering : 1;	   /* the path was seen to reorder */
	bool reo_wait : 1;	   /* reo_us is when the reordering window ends */
	bool hs_end_valid : 1;	   /* HyStart++'s first round has begun */
	bool epoch_valid : 1;	   /* CUBIC's epoch has begun */
	bool zero_out : 1;	   /* the last window we advertised was 0 */
	bool ecn_ok : 1;	   /* both SYNs agreed on ECN, RFC 3168 */
	bool cwr_due : 1;	   /* the next new segment carries CWR (tcp_ecn.c) */
	bool nagle : 1;		   /* short segments wait for ACKs of short ones */
	bool cork : 1;		   /* short segments wait */
	bool keepalive : 1;	   /* silence is probed */
	bool keep_due : 1;	   /* a keepalive is to be sent */
	bool urg_in : 1;	   /* rcv_up is known */
	bool urg_out : 1;	   /* snd_up is not acknowledged */
	bool pm_sent : 1;	   /* a full segment of this size was sent */
	bool pm_proven : 1;	   /* and acknowledged */
	bool pm_out : 1;	   /* a probe is out */
	bool pm_low : 1;	   /* mss is less than mss_max */
	bool ptb_pending : 1;	   /* an ICMP error waits for a timeout */
	bool df_off : 1;	   /* IPv4: sent without DF */
	bool syn_lost : 1;	   /* the SYN or SYN-ACK was sent again after a timeout */
	uint16_t rcv_mss;	   /* largest segment seen from the client, for delayed ACKs */
	uint16_t min_rtt_at;	   /* when min_rtt_us was measured, in 2^20 us */
	uint8_t segs[TCP_N_COUNT]; /* what stats.segs[] does not have yet, by enum tcp_segs */

	/* Sequence numbers, both directions; tcp_window.c, tcp_payload.c, tcp_input.c, tcp_ack.c */
	uint32_t snd_una;    /* (readable) oldest unacknowledged */
	uint32_t snd_nxt;    /* (readable) next to send; retransmission never moves it back */
	uint32_t snd_wnd;    /* (readable) the client's window, bytes */
	uint32_t snd_wl1;    /* SND.WL1 */
	uint32_t rcv_nxt;    /* (readable) accepted: next in-order */
	uint32_t rcv_placed; /* (readable) placed: what an ACK may say */
	uint32_t rcv_acked;  /* last ACK sent, Last.ACK.sent of RFC 7323 */
	uint32_t rcv_edge;   /* (readable) right edge promised */
	uint32_t rcv_room;   /* right edge of the server's ring */
	uint32_t rcv_max;    /* largest window the ring ever had */
	uint32_t ready_nxt;  /* end of what is ready from snd_nxt on */
	uint32_t want_nxt;   /* end of what was wanted */
	uint32_t snd_avail;  /* (readable) end of the bytes produced */

	/* Clocks and windows: tcp_time.c, tcp_rtt.c, tcp_cc.c, tcp_rack.c */
	uint32_t ts_recent;  /* TS.Recent */
	uint32_t ts_off;     /* TSval = ts_off + milliseconds */
	uint32_t heard_ms;   /* when the client was heard last, for PAWS as well */
	uint32_t sent_ms;    /* when payload was last emitted */
	uint32_t srtt_us;    /* (readable) smoothed RTT, 0: not measured */
	uint32_t rttvar_us;  /* (readable) its variation */
	uint32_t min_rtt_us; /* (readable) RACK.min_RTT, 0: not measured */
	uint32_t cwnd;	     /* (readable) congestion window */
	uint32_t ssthresh;   /* (readable) slow start threshold, UINT32_MAX: none */

	/* In flight: tcp_rec.c (the pool is in cfg), tcp_rtt.c, tcp_cc.c, tcp_timer.c */
	struct tcp_txrec *rec;	    /* the first, NULL: nothing is in flight */
	struct tcp_txrec *rec_tail; /* the last */
	uint32_t rto_us;	    /* what RTO and probe timeout count from, low 32 bits */
	uint32_t rtt_seq;	    /* what was sent from here on is timed next */
	uint32_t used_max;	    /* largest flight of this round trip (tcp_cc.c) */
	uint16_t n_rec;		    /* (readable) records held */
	uint8_t hs_css;		    /* rounds of conservative slow start, 0: not in it */
	uint8_t hs_count;	    /* samples of this round, saturating */

	/*
	 * Congestion control, by a window (tcp_cubic.c, tcp_newreno.c, tcp_cwv.c; bytes,
	 * milliseconds) or by a model of the path (tcp_rate.c, tcp_bbr*.c): tcp_cc_select()
	 * changes from one to the other.
	 */
	union {
		uint32_t w_max;	 /* CUBIC: window before the last reduction */
		uint32_t bbr_bw; /* BBR: fastest rate; in Startup that of pacing */
	};
	union {
		uint32_t cwnd_prior;	/* CUBIC: cwnd at the last reduction */
		uint32_t bbr_in_flight; /* BBR: its inflight_long; 0 in Startup */
	};
	uint32_t unused_ms; /* with cwnd_unused: since then, or since the last decay */
	union {
		struct {
			uint32_t w_est;	      /* what Reno would have */
			uint32_t w_est_acked; /* acknowledged, not yet in w_est, or in cwnd */
			uint32_t epoch_ms;    /* start of the epoch */
			uint32_t k_ms;	      /* K: time from epoch to w_max */
			uint32_t avoid_ms;    /* when the window could have grown last */
			uint32_t pipe_ms;     /* start of the newer slot of pipe_ack[] */
			uint32_t pipe_ack[2]; /* largest flight of the time before and since */
		};
		struct tcp_bbr bbr;
	};

	/* In the first slow start: tcp_hystart.c */
	uint32_t hs_end;     /* end of the round */
	uint16_t hs_last_ms; /* smallest RTT of the round before, UINT16_MAX: none */
	uint16_t hs_cur_ms;  /* smallest RTT of this round, UINT16_MAX: none */
	uint16_t hs_base_ms; /* RTT that began conservative slow start */

	/* Cold from here on */
	struct tcp_stats stats; /* (readable) */
	uint32_t box;		/* with boxed: in cfg->boxes, may have been lost (tcp_trace.c) */
	uint32_t alive_ms;	/* with alive_known: when the client last made progress */
	bool drained : 1;	/* TCP_E_DRAINED was told */
	bool undo_retx : 1;	/* something was retransmitted since, undo_tsval is its time */
	bool undo_judged : 1;	/* the first ACK since has been looked at */
	bool dsack_round_valid : 1; /* dsack_round is known */
	bool tlp_retx : 1;	    /* that probe was a retransmission */
	bool pm_bad : 1;	    /* and an ICMP error says that it did not fit */
	bool pm_hole : 1;	    /* the size fell because of timeouts, not of an ICMP error */
	bool is_v6 : 1;		    /* over IPv6 */
	bool ecn_ask : 1;	    /* opening: our SYN asks for ECN */
	bool ecn_mute : 1;	    /* a SYN of ours did not ask: CE is echoed, but no ECT sent */
	bool syn_due : 1;	    /* opening: the SYN or SYN-ACK is to be sent */
	bool syn_sent : 1;	    /* opening: it was sent */
	bool syn_rst_due : 1;	    /* opening: a RST with syn_rst is to be sent */
	bool wscale_ok : 1;	    /* window scaling in use */
	uint64_t pace_ns; /* pacing: when the next payload may leave, nanoseconds (tcp_pacing.c) */
	uint64_t t_late;  /* until then a hole is not reported, see tcp_expect_late() */
	uint32_t max_wnd; /* largest snd_wnd seen */

	/* Asked for by the program: tcp_nagle.c, tcp_keepalive.c, tcp_urgent.c */
	uint32_t snd_up;   /* SND.UP: one past our urgent data */
	uint32_t rcv_up;   /* RCV.UP: one past the client's */
	uint32_t snd_sml;  /* with nagle: end of the last short segment sent */
	uint8_t keep_sent; /* keepalives since the client was heard, no answer yet */

	/* Opening, until ESTABLISHED: tcp_open.c. rcv_max is the ring's size meanwhile. */
	struct tcp_listener *listener; /* whose backlog counts us; NULL: not half-open */
	uint32_t syn_us;	       /* when the SYN was sent last, low 32 bits */
	uint32_t syn_rst;	       /* sequence number of the RST that is due */
	uint16_t syn_mss;	       /* MSS we announce */

	/* Payload ready beyond gaps, and with rx_wanted that of a retransmission: tcp_payload.c */
	struct tcp_range ready[TCP_READY_MAX]; /* beyond ready_nxt, ascending, not touching */
	uint32_t rx_start;		       /* wanted: [rx_start, rx_end) */
	uint32_t rx_end;		       /* otherwise equal */
	struct tcp_range rx[TCP_RX_MAX];       /* ready parts of it, ascending */
	uint8_t n_rx;			       /* used entries of rx[] */

	/* Recovery: tcp_recovery.c, tcp_rack.c, tcp_prr.c, tcp_undo.c, tcp_frto.c, tcp_tlp.c */
	uint8_t dup_acks;	/* consecutive duplicate ACKs, saturating */
	uint16_t n_sacked;	/* SACKed runs */
	uint32_t sacked;	/* (readable) bytes SACKed */
	uint32_t lost;		/* (readable) bytes deemed lost, not retransmitted since */
	uint32_t rack_us;	/* RACK.xmit_ts: when the latest delivered run left, low 32 bits */
	uint32_t rack_end;	/* RACK.end_seq: its end */
	uint32_t rack_rtt_us;	/* RACK.rtt: its RTT */
	uint32_t rack_fack;	/* RACK.fack: highest sequence number delivered */
	uint32_t recover;	/* recovery ends when snd_una reaches it */
	uint32_t reo_us;	/* when the reordering window ends, low 32 bits */
	uint32_t dsack_round;	/* RACK.dsack_round: snd_nxt when reo_mult grew */
	uint32_t prr_delivered; /* RFC 9937, bytes */
	uint32_t prr_out;	/* RFC 9937, bytes */
	uint32_t prr_flight;	/* RecoverFS of RFC 9937, bytes */
	uint32_t undo_cwnd;	/* cwnd before the reduction */
	uint32_t undo_ssthresh; /* ssthresh before the reduction */
	uint32_t undo_seq;	/* what was deemed lost first */
	uint32_t undo_bytes;	/* retransmitted since, and not reported as duplicate */
	uint32_t undo_tsval;	/* timestamp of the first retransmission */
	uint32_t ecn_seq;	/* snd_nxt at the last reduction: one per round trip */
	uint32_t tlp_end;	/* snd_nxt when the tail loss probe was sent */
	uint8_t reo_mult;	/* RACK.reo_wnd_mult, 1 and more */
	uint8_t reo_persist;	/* RACK.reo_wnd_persist */

	struct tcp_rate rate;

	/* Receiver: tcp_input.c, tcp_ooo.c, tcp_ack.c */
	uint32_t fin_seq;		    /* sequence number of the client's FIN */
	struct tcp_range dsack;		    /* duplicate to report, RFC 2883 */
	uint8_t dup_due;		    /* duplicate ACKs owed to a client without SACK */
	struct tcp_range ooo[TCP_MAX_SACK]; /* accepted beyond rcv_nxt, recent first */
	struct tcp_range ooo_placed[TCP_MAX_SACK]; /* those of them that are placed */
	uint8_t n_challenge;			   /* challenge ACKs sent in this interval */
	uint32_t challenge_ms;			   /* start of the interval */

	/* Path MTU: tcp_icmp.c, tcp_pmtu.c, tcp_plpmtu.c; sizes as mss */
	uint32_t pm_end;       /* end of the first full segment of this size; see pm_sent */
	uint32_t pm_seq;       /* start of the probe that is out */
	uint32_t pm_probe_end; /* its end */
	uint32_t pm_ms;	       /* when the last search ended */
	uint32_t pm_fail;      /* smallest size known to fail, above mss_max: none */
	uint32_t ptb_seq;      /* what the pending error quotes */
	uint16_t ptb_mss;      /* what the pending error asks for */
	uint16_t mss_max;      /* what both ends would take */
	uint16_t pm_next;      /* size to probe, 0: no search */
	uint8_t pm_tries;      /* probes of that size that were lost */
	uint8_t soft_error;    /* (readable) enum tcp_icmp_kind of the last soft error */
};

static_assert(sizeof(struct tcp_conn) <= 832, "one connection must stay small");
static_assert(offsetof(struct tcp_conn, rec) == TCP_HOT_BYTES, "what is hot stays together");

#endif
