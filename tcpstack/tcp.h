/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp.h - the payload-free TCP core: events in, actions out.
 *
 * Theory of operation
 *
 * One struct tcp_conn is the TCP of one connection (RFC 9293) at the gateway.
 * The core never sees payload, has no clock, no global state and allocates
 * nothing: the owner ("the shell") passes events with the time, and the core
 * calls back through struct tcp_ops. The same object code runs in the daemon,
 * under unit tests with virtual time, under scripts, in replay and in fuzzers.
 *
 * Sending. The server's bytes are in the server's memory. tcp_produced() says
 * how many more there are. When min(cwnd, rwnd) plus a bounded look-ahead
 * allows, the core asks ops->want(seq, len); the answer is "here already" (0),
 * "coming" (EINPROGRESS, followed by tcp_ready() or tcp_failed()) or an error.
 * Ready bytes are emitted by ops->emit(); times, congestion accounting and
 * timers start at tcp_sent(). A retransmission asks want() again with
 * retx = true; while it waits the RTO does not back off.
 *
 * Receiving. tcp_input() decides which bytes of a segment are acceptable and
 * moves the *accepted* position rcv_nxt and the out-of-order intervals. The
 * shell WRITEs the bytes and then the cursor line (tcp_rx_get()) to the
 * server; when both completed it hands the same snapshot to tcp_placed(), and
 * only then may an ACK or a SACK name those bytes (never acknowledge what is
 * not in the server's memory). Writes complete in order.
 *
 * Nothing is emitted from inside tcp_input(), tcp_placed(), tcp_produced(),
 * tcp_room(), tcp_ready() and tcp_sent(): they note what is due, and the shell
 * calls tcp_output() once per connection and burst.
 *
 * All sequence numbers are host byte order, modulo 2^32. Times are
 * microseconds of any monotonic clock.
 */
#ifndef TCPSTACK_TCP_H
#define TCPSTACK_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpstack/tcp_cc.h"

#define TCP_FOREACH_STATE(_)          \
	_(CLOSED, "CLOSED")           \
	_(LISTEN, "LISTEN")           \
	_(SYN_SENT, "SYN-SENT")       \
	_(SYN_RCVD, "SYN-RECEIVED")   \
	_(ESTABLISHED, "ESTABLISHED") \
	_(FIN_WAIT_1, "FIN-WAIT-1")   \
	_(FIN_WAIT_2, "FIN-WAIT-2")   \
	_(CLOSE_WAIT, "CLOSE-WAIT")   \
	_(CLOSING, "CLOSING")         \
	_(LAST_ACK, "LAST-ACK")       \
	_(TIME_WAIT, "TIME-WAIT")

/** States of RFC 9293 section 3.3.2. */
enum tcp_state {
#define _(sym, name) TCP_S_##sym,
	TCP_FOREACH_STATE(_)
#undef _
		TCP_S_COUNT
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

#define TCP_MAX_SACK 4		/* SACK blocks of one segment, and out-of-order intervals kept */
#define TCP_NEVER    UINT64_MAX /* "no timer" */

/** A half-open range of sequence space, [start, end). */
struct tcp_range {
	uint32_t start; /* first sequence number */
	uint32_t end;	/* one past the last */
};

/** A received segment, as the parser (net_parse.h) describes it. */
struct tcp_seg {
	uint32_t seq;			     /* SEG.SEQ */
	uint32_t ack;			     /* SEG.ACK, valid with TCP_ACK */
	uint32_t len;			     /* payload bytes, SYN and FIN not counted */
	uint16_t wnd;			     /* window field as on the wire, unscaled */
	uint16_t urp;			     /* urgent pointer, an offset from seq; with TCP_URG */
	uint8_t flags;			     /* TCP_* */
	uint8_t n_sack;			     /* valid entries of sack[] */
	bool has_ts;			     /* timestamps option present (RFC 7323 section 3.2) */
	bool ce;			     /* IP header carried CE (RFC 3168) */
	bool ae;			     /* AE bit of the TCP header (RFC 9768) */
	bool has_wscale;		     /* window scale option present (SYN only) */
	bool sack_ok;			     /* SACK-permitted present (SYN only) */
	uint8_t wscale;			     /* shift count, at most 14 */
	uint16_t mss;			     /* MSS option, 0 when absent (SYN only) */
	uint32_t tsval;			     /* TSval */
	uint32_t tsecr;			     /* TSecr */
	struct tcp_range sack[TCP_MAX_SACK]; /* SACK blocks (RFC 2018), D-SACK first (RFC 2883) */
};

/** A segment, or a run of equal segments, to put on the wire. */
struct tcp_emit {
	uint32_t seq;  /* sequence number of the first byte */
	uint32_t ack;  /* acknowledgement number */
	uint32_t len;  /* payload bytes; may be a multiple of mss and more */
	uint16_t mss;  /* payload bytes per segment; the shell or the device cuts */
	uint16_t wnd;  /* window field, already scaled */
	uint16_t urp;  /* urgent pointer, with TCP_URG; such a run is one segment */
	uint8_t flags; /* TCP_*; PSH and FIN belong to the last segment of the run, CWR to the first
			*/
	uint8_t optlen;	 /* bytes of opt[], a multiple of 4 */
	bool retx;	 /* a retransmission */
	bool ect;	 /* IP header says ECT(0), RFC 3168 */
	bool df_off;	 /* IPv4: routers may fragment, the path is narrower than any segment */
	uint8_t opt[40]; /* option bytes in wire format, each segment of the run carries them */
};

/** TCP_* of the segment that carries [off, off + len) of a run. */
static inline uint8_t tcp_emit_flags(const struct tcp_emit *e, uint32_t off, uint32_t len)
{
	uint8_t not = (off ? TCP_CWR : 0) | (off + len < e->len ? TCP_PSH | TCP_FIN : 0);

	return e->flags & (uint8_t) ~not ;
}

/** What has been accepted from the client: goes to the server's control block, then back here. */
struct tcp_rx_pos {
	uint32_t rcv_nxt;		    /* next in-order sequence number, FIN counted */
	bool fin;			    /* the client's FIN is inside rcv_nxt */
	uint8_t n_ooo;			    /* intervals used */
	struct tcp_range ooo[TCP_MAX_SACK]; /* accepted beyond rcv_nxt, most recent first */
};

#define TCP_FOREACH_VERDICT(_)                \
	_(OK, "accepted")                     \
	_(OLD, "duplicate")                   \
	_(WINDOW, "outside-window")           \
	_(PAWS, "paws")                       \
	_(ACK_FUTURE, "ack-unsent-data")      \
	_(ACK_OLD, "ack-too-old")             \
	_(NO_ACK, "no-ack-flag")              \
	_(SYN, "syn-in-window")               \
	_(RST, "reset")                       \
	_(RST_CHALLENGED, "reset-challenged") \
	_(NO_SYN, "no-syn-flag")              \
	_(OOO_FULL, "out-of-order-full")      \
	_(CLOSED, "closed")

/** Why a segment was taken or dropped; each is a named counter in the shell. */
enum tcp_verdict {
#define _(sym, name) TCP_V_##sym,
	TCP_FOREACH_VERDICT(_)
#undef _
		TCP_V_COUNT
};

/** Result of tcp_input(): the part of the payload to place, if any. */
struct tcp_rx {
	enum tcp_verdict verdict; /* TCP_V_OK, or why payload and ACK were not used */
	uint32_t seq;		  /* sequence number of the first byte to place */
	uint32_t skip;		  /* payload bytes of the segment before it */
	uint32_t len;		  /* bytes to place, 0: nothing */
	bool fin;		  /* the FIN became in-order with this segment */
};

#define TCP_FOREACH_EVENT(_)                                                                     \
	_(ESTABLISHED, "established") /* the opening is complete */                              \
	_(FIN, "fin")		      /* client's FIN accepted in order */                       \
	_(REFUSED, "refused")	      /* RST in answer to our SYN; the connection is CLOSED */   \
	_(RESET, "reset")	      /* valid RST from the client; the connection is CLOSED */  \
	_(TIMEOUT, "timeout")	      /* gave up retransmitting or probing; CLOSED */            \
	_(URGENT, "urgent")	      /* the client's urgent pointer appeared or moved */        \
	_(PAYLOAD, "payload")	      /* payload cannot be had any more; nothing more is sent */ \
	_(DRAINED, "drained")	      /* quiesced, and all that was sent is acknowledged */      \
	_(CLOSED, "closed")	      /* orderly end: LAST-ACK acknowledged or TIME-WAIT over */

#define TCP_FOREACH_ICMP(_)                                                        \
	_(NONE, "none")                                                            \
	_(TOO_BIG, "too-big")	      /* fragmentation needed, packet too big */   \
	_(UNREACHABLE, "unreachable") /* net or host */                            \
	_(REFUSED, "refused")	      /* port or protocol; prohibited with IPv6 */ \
	_(TIME, "time-exceeded")      /* TTL or reassembly */                      \
	_(PARAMETER, "parameter")     /* parameter problem */

/** What an ICMP or ICMPv6 error says. */
enum tcp_icmp_kind {
#define _(sym, name) TCP_K_##sym,
	TCP_FOREACH_ICMP(_)
#undef _
		TCP_K_COUNT
};

/** An ICMP error that quotes a segment of the connection. */
struct tcp_icmp_err {
	enum tcp_icmp_kind kind; /* what it says */
	uint32_t seq;		 /* sequence number of the quoted segment */
	uint32_t mtu;		 /* TOO_BIG: next-hop MTU in bytes, 0: not said */
	uint32_t len;		 /* length of the quoted packet with its IP header, 0: unknown */
};

#define TCP_FOREACH_ICMP_VERDICT(_)                                                     \
	_(TAKEN, "taken")	/* segments are smaller now */                          \
	_(PENDING, "pending")	/* taken when the quoted segment times out */           \
	_(NOTED, "noted")	/* a soft error, remembered */                          \
	_(SEQUENCE, "sequence") /* quotes nothing that is in flight */                  \
	_(BAD_SIZE, "bad-size") /* an MTU below the least, or not below what is sent */ \
	_(CLOSED, "closed")

/** What became of an ICMP error; each is a named counter in the shell. */
enum tcp_icmp_verdict {
#define _(sym, name) TCP_I_##sym,
	TCP_FOREACH_ICMP_VERDICT(_)
#undef _
		TCP_I_COUNT
};

/** What the core tells the shell about the connection as a whole. */
enum tcp_event {
#define _(sym, name) TCP_E_##sym,
	TCP_FOREACH_EVENT(_)
#undef _
		TCP_E_COUNT
};

struct tcp_conn;
struct tcp_keys;
struct tcp_boxes;

/**
 * Actions. The functions get the connection they were called for; the shell
 * finds its own structure around it (container_of). None may call back into
 * the core for the same connection. One const table serves all connections.
 */
struct tcp_ops {
	/**
	 * Payload [seq, seq+len) is wanted. 0: here; EINPROGRESS: tcp_ready() will follow;
	 * ENOBUFS: not now, asked again at the next tcp_output(); else failed for good. The same
	 * range may be wanted again while it is coming.
	 */
	int (*want)(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx);
	/**
	 * Put e on the wire. 0; ENOBUFS: nothing happened, asked again at the next tcp_output();
	 * ENODATA: payload that was ready is not there any more, it will be wanted again.
	 */
	int (*emit)(struct tcp_conn *c, const struct tcp_emit *e);
	/** Everything below una is acknowledged by the client and may be released. */
	void (*acked)(struct tcp_conn *c, uint32_t una);
	/** See enum tcp_event. */
	void (*event)(struct tcp_conn *c, enum tcp_event ev);
};

/**
 * Limit on challenge ACKs of all connections that share it (RFC 5961 section 7); one per worker.
 * How many a second allows is random, so that counting them tells nothing (CVE-2016-5696).
 */
struct tcp_challenges {
	uint8_t key[16];  /* random; set by the shell */
	uint32_t per_s;	  /* mean per second, at least 1; set by the shell */
	uint64_t second;  /* the second that left belongs to */
	uint32_t left;	  /* challenge ACKs it still allows */
	uint64_t refused; /* (readable) not sent because of this limit */
};

/** Tunables shared by many connections; outlives them. */
struct tcp_cfg {
	uint32_t rto_min_us;	   /* 200000; RFC 6298 says 1 s, everybody uses 200 ms */
	uint32_t rto_max_us;	   /* 120000000; like the others below 2^31 */
	uint32_t delack_us;	   /* 40000, RFC 9293 section 3.8.6.3 allows 500 ms */
	uint32_t time_wait_us;	   /* 60000000 */
	uint32_t user_timeout_us;  /* give up after this long without progress; 900000000 */
	uint32_t syn_timeout_us;   /* R2 of a SYN, RFC 9293 section 3.8.3; 180000000 */
	uint32_t lookahead;	   /* bytes wanted beyond what may be sent now; 131072 */
	uint32_t max_burst;	   /* largest len of one emit; 65536 */
	uint32_t max_want;	   /* largest len of one want; 65536 */
	uint16_t init_cwnd_segs;   /* 10, RFC 6928 */
	uint32_t keep_idle_ms;	   /* silence before the first keepalive; 7200000 */
	uint32_t keep_intvl_ms;	   /* between keepalives; 75000 */
	uint8_t keep_count;	   /* unanswered keepalives that end a connection; 9 */
	const struct tcp_ops *ops; /* actions; set by the owner */
	struct tcp_pool *pool;	   /* transmission records; by the owner, of the same thread */
	uint8_t cc;		   /* enum tcp_cc_kind; TCP_CC_CUBIC */
	bool pacing;		   /* payload is spread over the round trip; false */
	bool rfc1337;		   /* a RST does not end TIME-WAIT; false */
	bool nagle;		   /* connections start with Nagle on (tcp_nagle.c); false */
	struct tcp_challenges *challenges; /* limit shared by many connections, NULL: none */
	struct tcp_boxes *boxes;     /* black boxes (tcp_trace.h), NULL: none; of one worker */
	const struct tcp_keys *keys; /* needed to open connections (tcp_open.h), NULL */
};

/** Fills *cfg with the defaults named above. The owner adds the actions and the pool. */
void tcp_cfg_default(struct tcp_cfg *cfg);

#define TCP_STATE_SACKS 8 /* SACKed runs that an exported state carries; more are forgotten */

/** Everything needed to carry a connection on: the takeover and hand-back state. */
struct tcp_state_io {
	uint8_t version;      /* TCP_STATE_VERSION */
	uint8_t state;	      /* enum tcp_state: ESTABLISHED or CLOSE_WAIT at takeover */
	uint8_t snd_wscale;   /* shift applied to windows we receive */
	uint8_t rcv_wscale;   /* shift applied to windows we send */
	bool wscale_ok;	      /* window scaling in use */
	bool sack_ok;	      /* SACK in use */
	bool ts_ok;	      /* timestamps in use */
	bool ts_recent_valid; /* ts_recent is known */
	bool resume_loss;     /* what is in flight is deemed lost: sent again at once */
	bool ecn_ok;	      /* both ends agreed on ECN, RFC 3168 */
	bool ecn_mute;	      /* but our segments are not to be ECN-capable */
	bool is_v6;	      /* over IPv6 */
	uint16_t mss;	      /* largest payload without options the path takes */
	uint16_t mss_max;     /* the same of both ends (peer's MSS, own MTU); 0: mss */
	uint32_t snd_una;     /* oldest unacknowledged sequence number */
	uint32_t snd_nxt;     /* next to send; [snd_una, snd_nxt) is in flight */
	uint32_t snd_avail;   /* end of the bytes the server has produced (>= snd_nxt) */
	uint32_t snd_wnd;     /* client's window in bytes, scaled */
	uint32_t snd_wl1;     /* SND.WL1 */
	uint32_t snd_wl2;     /* SND.WL2; not needed, at most snd_una */
	uint32_t max_wnd;     /* largest snd_wnd seen */
	uint32_t rcv_nxt;     /* next expected from the client */
	uint32_t rcv_edge;    /* right edge last advertised; never retreats */
	uint32_t rcv_room;    /* right edge of the server's ring as a sequence number */
	uint32_t ts_val;      /* value of our timestamp clock at `now`; ticks of 1 ms */
	uint32_t ts_recent;   /* TS.Recent */
	uint32_t cwnd;	      /* bytes, 0: start with the initial window */
	uint32_t ssthresh;    /* bytes, 0: infinite */
	uint32_t srtt_us;     /* 0: not measured */
	uint32_t rttvar_us;   /* 0 with srtt_us 0 */
	uint8_t n_ooo;	      /* out-of-order intervals already placed */
	uint8_t n_sacked;     /* of [snd_una, snd_nxt): runs the client has SACKed */
	struct tcp_range ooo[TCP_MAX_SACK];
	struct tcp_range sacked[TCP_STATE_SACKS]; /* ascending, beyond snd_una, not touching */
};
#define TCP_STATE_VERSION 2

#include "tcpstack/tcp_conn.h" /* struct tcp_conn and struct tcp_stats, for embedding */

/**
 * Starts *c from an imported state. cfg must outlive it. Returns 0, EINVAL when the state
 * contradicts itself, or ENOBUFS when the pool has no record for what is in flight (then *c is
 * CLOSED). A connection holds records of the pool until it is CLOSED or released.
 */
int tcp_import(struct tcp_conn *c, const struct tcp_cfg *cfg, const struct tcp_state_io *st,
	       uint64_t now);

/** Payload bytes since the import: emitted, retransmissions not counted; accepted in order. */
uint64_t tcp_bytes_out(const struct tcp_conn *c);
uint64_t tcp_bytes_in(const struct tcp_conn *c);

/** Segments since the import. */
uint32_t tcp_segs(const struct tcp_conn *c, enum tcp_segs which);

/** Writes what tcp_import() would need to carry on from here. */
void tcp_export(const struct tcp_conn *c, struct tcp_state_io *st, uint64_t now);

/**
 * One received segment whose checksum is right. Fills *rx. Verdict TCP_V_CLOSED with a SYN: the
 * segment belongs to no connection (any more); a listener may take it (tcp_open.h).
 */
void tcp_input(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now, struct tcp_rx *rx);

/** Snapshot of what is accepted; to be written to the server, then given to tcp_placed(). */
void tcp_rx_get(const struct tcp_conn *c, struct tcp_rx_pos *pos);

/** The bytes below *pos are in the server's memory and announced: they may be acknowledged. */
void tcp_placed(struct tcp_conn *c, const struct tcp_rx_pos *pos, uint64_t now);

/** Owes the client an ACK of everything placed: the next tcp_output() sends it (hand-back). */
void tcp_ack_soon(struct tcp_conn *c);

/**
 * After a takeover, segments that were on their way natively come behind newer ones. Until the time
 * `until` a hole is not reported to the client (no duplicate ACK, no SACK): it would retransmit
 * what is about to come. Cumulative progress is acknowledged as soon as there is no hole. The
 * retransmission timer of what is in flight starts at `until`, without a tail loss probe.
 */
void tcp_expect_late(struct tcp_conn *c, uint64_t until);

/** The server produced `bytes` more bytes to send. */
void tcp_produced(struct tcp_conn *c, uint32_t bytes, uint64_t now);

/** The server's ring now ends at sequence number `edge`; smaller than before is ignored. */
void tcp_room(struct tcp_conn *c, uint32_t edge, uint64_t now);

/** Payload [seq, seq+len) asked for by want() is here (any part, any order). */
void tcp_ready(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now);

/** Payload [seq, seq+len) cannot be had: TCP_E_PAYLOAD follows. */
void tcp_failed(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now);

/** The run [seq, seq+len) emitted earlier has been given to the wire at `now`. */
void tcp_sent(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now);

/**
 * The RST that answers a segment of no connection (RFC 9293 section 3.10.7.1). False: none does,
 * *seg is a RST itself.
 */
bool tcp_reset_for(const struct tcp_seg *seg, struct tcp_emit *e);

/**
 * Sends FIN after everything produced so far (RFC 9293 section 3.10.4, CLOSE). In SYN-SENT the
 * connection ends at once; in SYN-RECEIVED the FIN waits for ESTABLISHED.
 */
void tcp_shutdown(struct tcp_conn *c, uint64_t now);

/**
 * From now on *c goes by cfg, which names the same pools (keepalive and user timeout of one
 * connection, RFC 5482, are set so). Call tcp_output() then, as after the others below.
 */
void tcp_set_cfg(struct tcp_conn *c, const struct tcp_cfg *cfg);

/** Nagle's algorithm off or on (TCP_NODELAY); cork: no short segments but after an RTO. */
void tcp_set_nodelay(struct tcp_conn *c, bool on);
void tcp_set_cork(struct tcp_conn *c, bool on);

/** Keepalives on or off; off at the start (SO_KEEPALIVE). */
void tcp_set_keepalive(struct tcp_conn *c, bool on);

/**
 * On: the next segments are acknowledged at once, as at the start; off: ACKs are delayed from now
 * on, until the client was silent (TCP_QUICKACK).
 */
void tcp_quickack(struct tcp_conn *c, bool on);

/** Everything produced so far is urgent (RFC 9293 section 3.10.2, SEND with the urgent flag). */
void tcp_urgent(struct tcp_conn *c);

/** True when the client sent urgent data; *end is the sequence number after it. */
bool tcp_urgent_end(const struct tcp_conn *c, uint32_t *end);

/** Sends RST now and becomes CLOSED (RFC 9293 section 3.10.5, ABORT). */
void tcp_abort(struct tcp_conn *c, uint64_t now);

/** Gives back what *c has from pools; to be called before its memory is used for another. */
void tcp_release(struct tcp_conn *c);

/** Becomes CLOSED silently: nothing is sent any more and no timer is due. */
void tcp_detach(struct tcp_conn *c);

/** Hand-back: sends nothing new any more (ACKs and retransmissions go on); TCP_E_DRAINED follows.
 */
void tcp_quiesce(struct tcp_conn *c, uint64_t now);

/** An ICMP error quotes a segment of the connection (RFC 5927). */
enum tcp_icmp_verdict tcp_icmp(struct tcp_conn *c, const struct tcp_icmp_err *e, uint64_t now);

/** Runs timers due at `now`. */
void tcp_timer(struct tcp_conn *c, uint64_t now);

/**
 * Time of the next timer, or TCP_NEVER. now: that of the last call, or later. A timer that is due
 * must be run within half an hour.
 */
uint64_t tcp_deadline(const struct tcp_conn *c, uint64_t now);

/** Emits what is due and allowed: payload, retransmissions, ACKs. */
void tcp_output(struct tcp_conn *c, uint64_t now);

/** Name of a state, verdict or event. */
const char *tcp_state_name(enum tcp_state s);
const char *tcp_verdict_name(enum tcp_verdict v);
const char *tcp_event_name(enum tcp_event e);
const char *tcp_icmp_name(enum tcp_icmp_verdict v);
/** Name of what an ICMP error says. */
const char *tcp_icmp_kind_name(enum tcp_icmp_kind k);

/** Sequence comparison, RFC 9293 section 3.4: true when a is before b (modulo 2^32). */
static inline bool tcp_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/** True when a is before or at b. */
static inline bool tcp_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

#endif
