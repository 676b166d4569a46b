/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_open_script.h - one TCP core that opens a connection with a scripted peer.
 *
 * The peer's stream begins at OS_PEER + 1, close to the wrap. Our own initial
 * sequence number is the core's choice: os.iss, after the first SYN was seen.
 */
#ifndef TESTS_TCP_OPEN_SCRIPT_H
#define TESTS_TCP_OPEN_SCRIPT_H

#include "tcp_script.h"
#include "tcp_check.h"

#define OS_PEER 0xfffffff0u /* the peer's initial sequence number */
#define OS_ROOM 200000u	    /* our receive ring */
#define OS_MSS	1460

struct os {
	struct tt t; /* first: ops get it from the connection */
	struct tcp_keys keys;
	struct net_flow f;
	struct tcp_listener l;
	struct tcp_listen_res res; /* of the last segment given to the listener */
	struct tcp_seg syn;	   /* what the peer's SYN or SYN-ACK carries besides numbers */
	struct tcp_seg seen;	   /* options of the last segment taken */
	uint32_t iss;		   /* our initial sequence number */
	bool no_memory;		   /* take() has none */
};

static inline struct tcp_conn *os_take_op(struct tcp_listener *l, const struct net_flow *f)
{
	struct os *o = (struct os *)((char *)l - offsetof(struct os, l));

	assert_memory_equal(f, &o->f, sizeof(*f));
	return o->no_memory ? NULL : &o->t.c;
}

static const struct tcp_listen_ops os_lop = {os_take_op};

/* A listener, nothing opened yet; the peer offers everything but ECN. */
static inline void os_init(struct os *o)
{
	uint8_t seed[64];

	memset(o, 0, sizeof(*o));
	for (unsigned int i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)(i * 37 + 11);
	tcp_keys_init(&o->keys, seed);
	tcp_cfg_default(&o->t.cfg);
	o->t.cfg.ops = &tt_ops;
	tcp_pool_init(&o->t.pool, o->t.rec, TT_MAX * 4, TT_MAX);
	o->t.cfg.pool = &o->t.pool;
	o->t.cfg.keys = &o->keys;
	o->t.now = 1000000000;
	o->t.wnd = 30000;
	net_addr_v4(&o->f.remote, "\x0a\x4d\x00\x02");
	net_addr_v4(&o->f.local, "\x0a\x4d\x00\x0b");
	o->f.rport = 0x1234;
	o->f.lport = 0x5000;
	o->l = (struct tcp_listener){
		.cfg = &o->t.cfg,
		.lop = &os_lop,
		.offer = {OS_ROOM, OS_MSS, TCP_O_ALL, TCP_WSCALE_AUTO},
		.backlog = 4,
		.cookies = TCP_COOKIE_FULL,
	};
	o->syn = (struct tcp_seg){.mss = 1400,
				  .has_ts = true,
				  .tsval = 5000,
				  .sack_ok = true,
				  .has_wscale = true,
				  .wscale = 5};
}

/* A segment of the peer: with SYN it carries what o->syn says, else a timestamp if that has one. */
static inline struct tcp_seg os_make(struct os *o, uint8_t flags, uint32_t seq, uint32_t ack,
				     uint32_t len)
{
	struct tcp_seg s = {0};

	if (flags & TCP_SYN)
		s = o->syn;
	s.has_ts = o->syn.has_ts && !(flags & TCP_RST);
	s.tsval = o->syn.tsval;
	s.tsecr = o->t.seg_ecr;
	s.seq = OS_PEER + seq;
	s.ack = flags & TCP_ACK ? o->iss + ack : 0;
	s.len = len;
	s.flags = flags;
	s.wnd = (uint16_t)o->t.wnd;
	return s;
}

/* seq is relative to the peer's, ack to our initial sequence number. */
static inline enum tcp_verdict os_seg(struct os *o, uint8_t flags, uint32_t seq, uint32_t ack,
				      uint32_t len)
{
	struct tcp_seg s = os_make(o, flags, seq, ack, len);

	tcp_input(&o->t.c, &s, o->t.now, &o->t.rx);
	if (o->t.rx.len || o->t.rx.fin)
		tt_place(&o->t);
	tt_out(&o->t);
	return o->t.rx.verdict;
}

/* The same to the listener. */
static inline enum tcp_listen_verdict os_listen(struct os *o, uint8_t flags, uint32_t seq,
						uint32_t ack, uint32_t len)
{
	struct tcp_seg s = os_make(o, flags, seq, ack, len);

	tcp_listen_input(&o->l, &o->f, &s, NULL, o->t.now, &o->res);
	if (!o->res.conn)
		return o->res.verdict;
	if (o->res.rx.len || o->res.rx.fin)
		tt_place(&o->t);
	tt_out(&o->t);
	return o->res.verdict;
}

/* Takes the oldest emitted segment; its options are in o->seen. */
static inline struct tcp_emit os_take(struct os *o)
{
	struct tcp_emit e = tt_take(&o->t);

	memset(&o->seen, 0, sizeof(o->seen));
	assert_true(test_opt_parse(e.opt, e.optlen, &o->seen));
	return e;
}

/* Takes a segment that must be this one: seq relative to iss, ack to the peer's. */
static inline struct tcp_emit os_expect(struct os *o, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct tcp_emit e = os_take(o);

	assert_int_equal(e.flags, flags);
	assert_int_equal((int32_t)(e.seq - o->iss), (int32_t)seq);
	if (flags & TCP_ACK)
		assert_int_equal((int32_t)(e.ack - OS_PEER), (int32_t)ack);
	return e;
}

/* Active opening: the SYN was sent and is not taken yet. */
static inline void os_connect(struct os *o)
{
	assert_int_equal(tcp_connect(&o->t.c, &o->t.cfg, &o->l.offer, &o->f, o->t.now), 0);
	o->iss = o->t.c.snd_una;
	tt_out(&o->t);
}

/* Passive opening: the SYN-ACK was sent and is not taken yet. */
static inline void os_accept(struct os *o)
{
	assert_int_equal(os_listen(o, TCP_SYN, 0, 0, 0), TCP_L_HALF_OPEN);
	o->iss = o->t.c.snd_una;
}

#endif
