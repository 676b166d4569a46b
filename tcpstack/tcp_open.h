/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_open.h - opening connections: actively, passively and by SYN cookies.
 *
 * Theory of operation
 *
 * An active opening is tcp_connect() and then tcp_input(), tcp_timer() and
 * tcp_output() as for any connection; TCP_E_ESTABLISHED, TCP_E_REFUSED or
 * TCP_E_TIMEOUT tells how it ended. A passive one begins at a struct
 * tcp_listener: the owner gives it every segment for its address and port
 * whose 4-tuple has no connection. A SYN takes memory for a half-open
 * connection by ops->take() or, when there is none to give, is answered by a
 * cookie that holds nothing here; whatever else comes is answered by the RST
 * that RFC 9293 demands. The owner finds later segments' connections by
 * their 4-tuple and passes them to tcp_input().
 *
 * SYNs carry no payload from us, and payload or a FIN that comes with a
 * client's SYN is neither kept nor acknowledged: the client sends it again
 * when the connection is established, so that no memory is spent on an
 * unverified address. Payload on a SYN-ACK or on the ACK that completes an
 * opening is accepted at once.
 */
#ifndef TCPSTACK_TCP_OPEN_H
#define TCPSTACK_TCP_OPEN_H

#include "tcpstack/net_flow.h"
#include "tcpstack/tcp.h"

#define TCP_KEY_LEN 16 /* bytes of a SipHash key */

/** Secrets of a process or worker; random, shared by many connections (tcp_isn.c). */
struct tcp_keys {
	uint8_t isn[TCP_KEY_LEN];	/* initial sequence numbers, RFC 6528; kept for life */
	uint8_t ts[TCP_KEY_LEN];	/* timestamp offsets, RFC 7323 section 5.4; kept for life */
	uint8_t cookie[2][TCP_KEY_LEN]; /* SYN cookies: [0] from cookie_from on, [1] before */
	uint64_t cookie_from;		/* first cookie period of cookie[0] */
};

/** Sets all keys from 64 random bytes. */
void tcp_keys_init(struct tcp_keys *k, const uint8_t seed[4 * TCP_KEY_LEN]);

/**
 * Gives cookies a new key from the next cookie period on; cookies of the old one stay valid for
 * their time. 0, or EBUSY when the last rotation is too recent to forget its predecessor.
 */
int tcp_keys_rotate(struct tcp_keys *k, const uint8_t key[TCP_KEY_LEN], uint64_t now);

/** Initial sequence number of flow f at `now`: a 4 us clock plus a keyed hash (RFC 6528). */
uint32_t tcp_isn(const struct tcp_keys *k, const struct net_flow *f, uint64_t now);

/** What is added to the millisecond clock in flow f's timestamps; one value per 4-tuple. */
uint32_t tcp_ts_offset(const struct tcp_keys *k, const struct net_flow *f);

/** SipHash-2-4 of len bytes. */
uint64_t tcp_siphash(const uint8_t key[TCP_KEY_LEN], const void *data, size_t len);

#define TCP_O_WSCALE 0x1 /* window scale, RFC 7323 section 2 */
#define TCP_O_SACK   0x2 /* SACK-permitted, RFC 2018 section 2 */
#define TCP_O_TS     0x4 /* timestamps, RFC 7323 section 3 */
#define TCP_O_ECN    0x8 /* classic ECN, RFC 3168 section 6.1.1 */
#define TCP_O_ALL    0xf

#define TCP_WSCALE_AUTO 0xff /* the smallest shift that expresses the room */

/** What our end brings to an opening. */
struct tcp_offer {
	uint32_t room;	/* bytes of the server's receive ring, at least one, at most 2^30 */
	uint16_t mss;	/* MSS we announce, and our own limit: MTU less IP and TCP headers */
	uint8_t opts;	/* TCP_O_*: offered in a SYN, accepted from one */
	uint8_t wscale; /* shift of our windows, at most 14, or TCP_WSCALE_AUTO */
};

/**
 * Begins an active opening of *c: the next tcp_output() sends the SYN. f is not kept. 0, or
 * EINVAL when cfg has no keys or the offer is absurd (then *c is CLOSED).
 */
int tcp_connect(struct tcp_conn *c, const struct tcp_cfg *cfg, const struct tcp_offer *offer,
		const struct net_flow *f, uint64_t now);

/** When SYNs are answered by cookies (tcp_cookie.c). */
enum tcp_cookie_policy {
	TCP_COOKIE_NEVER,  /* a SYN that finds the backlog full is dropped */
	TCP_COOKIE_FULL,   /* when the backlog is full or there is no memory */
	TCP_COOKIE_ALWAYS, /* no half-open connection is ever kept */
};

#define TCP_FOREACH_LISTEN(_)                                                               \
	_(HALF_OPEN, "half-open")	/* conn is new, its SYN-ACK is due */               \
	_(COOKIE, "cookie-sent")	/* reply is a SYN-ACK with a cookie */              \
	_(ESTABLISHED, "established")	/* conn is new: the ACK of a cookie */              \
	_(FULL, "backlog-full")		/* SYN dropped: backlog full, no cookies */         \
	_(NO_MEMORY, "no-memory")	/* SYN or right cookie dropped: take() gave none */ \
	_(BAD_COOKIE, "cookie-invalid") /* reply is a RST */                                \
	_(NO_CONN, "no-connection")	/* reply is a RST: an ACK of nothing we know */     \
	_(RST, "reset")			/* RST to nothing we know: dropped */               \
	_(NO_SYN, "no-syn")		/* neither SYN nor ACK nor RST: dropped */

/** What became of a segment at a listener; each is a named counter in the shell. */
enum tcp_listen_verdict {
#define _(sym, name) TCP_L_##sym,
	TCP_FOREACH_LISTEN(_)
#undef _
		TCP_L_COUNT
};

struct tcp_listener;

/** Actions of a listener. */
struct tcp_listen_ops {
	/**
	 * Memory for a new connection of flow f, NULL: none. The core fills it; the shell finds
	 * it again by f. It stays the shell's.
	 */
	struct tcp_conn *(*take)(struct tcp_listener *l, const struct net_flow *f);
};

/** A port in LISTEN. The shell sets the first group; outlives its half-open connections. */
struct tcp_listener {
	const struct tcp_cfg *cfg;	  /* of the new connections; keys must be set */
	const struct tcp_listen_ops *lop; /* of this listener */
	struct tcp_offer offer;		  /* what each opening begins with */
	uint32_t backlog;		  /* most half-open connections */
	uint8_t cookies;		  /* enum tcp_cookie_policy */

	/* Written by the core only */
	uint32_t n_half;	       /* (readable) half-open connections now */
	uint64_t cookie_period;	       /* last period in which a cookie was sent, plus one */
	uint64_t verdict[TCP_L_COUNT]; /* (readable) segments by verdict, cumulative */
};

/** Result of tcp_listen_input(). */
struct tcp_listen_res {
	enum tcp_listen_verdict verdict; /* what became of the segment */
	struct tcp_conn *conn;		 /* new connection or NULL; tcp_output() is due */
	struct tcp_rx rx;		 /* payload of the segment to place for conn */
	bool has_reply;			 /* reply is to be sent to f->remote */
	struct tcp_emit reply;		 /* a SYN-ACK or RST that belongs to no connection */
};

/**
 * One segment with a right checksum for a listener, whose flow f (as the server sees it) has no
 * connection. after: NULL, or the snd_nxt of a connection in TIME-WAIT that tcp_input() ended
 * because of this SYN; the new sequence numbers begin beyond (RFC 9293 section 3.10.7.4, MAY-2).
 */
void tcp_listen_input(struct tcp_listener *l, const struct net_flow *f, const struct tcp_seg *seg,
		      const uint32_t *after, uint64_t now, struct tcp_listen_res *res);

/** Name of a listener's verdict. */
const char *tcp_listen_name(enum tcp_listen_verdict v);

#endif
