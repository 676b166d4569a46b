/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seqmap_shot.h - one segment through a sequence map whose numbers all wrap: built, translated, and
 * parsed again.
 */
#ifndef TESTS_SEQMAP_SHOT_H
#define TESTS_SEQMAP_SHOT_H

#include "tests/unit/tcpstack/net_frame.h"
#include "tcpstack/seqmap.h"

#define K_SND	1000u
#define K_RCV	0xffffff00u
#define UNA	0xfffffff0u
#define SND_MAX (UNA + 100)
#define RCV_NXT 0x7fffff00u
#define EDGE	(RCV_NXT + 64000)

static const struct seqmap_init init = {
	.k_snd = K_SND,
	.k_rcv = K_RCV,
	.una = UNA,
	.snd_max = SND_MAX,
	.rcv_nxt = RCV_NXT,
	.ts_wire = 0x80000010,
	.ts_kern = 0x7ffffff0,
	.ts_ok = true,
	.snd_wscale = 2,
	.rcv_wscale = 7,
	.edge = EDGE,
};

/** A segment to send through the map, numbers relative to where the kernel or the client stands. */
struct shot {
	uint32_t seq;	       /* absolute */
	uint32_t ack;	       /* absolute */
	uint32_t n;	       /* payload */
	uint32_t wnd;	       /* window field */
	uint8_t flags;	       /* TCP_* */
	const void *opt;       /* options */
	uint32_t optlen;       /* bytes of them */
	bool v6;	       /* family */
	bool out;	       /* direction */
	uint32_t padding;      /* bytes behind the packet */
	struct frame f;	       /* out: the frame */
	struct net_pkt p;      /* out: the frame, parsed after the map when it passed */
	struct tcp_seg s;      /* out: the same */
	enum seqmap_verdict v; /* out */
};

/* Sends it; a passing frame must be perfect. */
static inline void fire(struct seqmap *m, struct shot *x)
{
	uint32_t len;

	frame_eth(&x->f, 0, x->v6 ? 0x86dd : 0x0800);
	frame_ip(&x->f, x->v6 ? "fd77::1" : "10.0.0.1", x->v6 ? "fd77::2" : "10.0.0.2", 6);
	frame_tcp(&x->f, x->seq, x->ack, x->flags, x->opt, x->optlen, x->n);
	put16(x->f.b + x->f.l4 + 14, x->wnd);
	frame_done(&x->f, 6);
	frame_add(&x->f, NULL, x->padding);
	assert_int_equal(parse(&x->f, &x->p), NET_PERR_OK);
	len = x->f.len;
	x->v = (x->out ? seqmap_out : seqmap_in)(m, x->f.b, &len, &x->p);
	if (x->v != SEQMAP_PASS)
		return;
	x->f.len = len;
	assert_int_equal(parse(&x->f, &x->p), NET_PERR_OK);
	assert_int_equal(x->p.frame_len, len); /* no padding left */
	assert_int_equal(net_parse_tcp(x->f.b, &x->p, &x->s), NET_PERR_OK);
}

/* The kernel sends n bytes from `at` (relative to K_SND). */
static inline struct shot out(struct seqmap *m, int32_t at, uint32_t n, uint8_t flags)
{
	struct shot x = {.seq = K_SND + (uint32_t)at,
			 .ack = K_RCV,
			 .n = n,
			 .out = true,
			 .flags = flags,
			 .wnd = 500};

	fire(m, &x);
	return x;
}

/* The client acknowledges UNA + at. */
static inline struct shot in(struct seqmap *m, int32_t at, uint32_t wnd)
{
	struct shot x = {.seq = RCV_NXT, .ack = UNA + (uint32_t)at, .flags = TCP_ACK, .wnd = wnd};

	fire(m, &x);
	return x;
}

static inline struct seqmap fresh(void)
{
	struct seqmap m;

	seqmap_init(&m, &init);
	return m;
}

#define assert_out(x, seq_, n_, flags_)                                \
	do {                                                           \
		assert_int_equal((x).v, SEQMAP_PASS);                  \
		assert_int_equal((x).s.seq, (uint32_t)(UNA + (seq_))); \
		assert_int_equal((x).s.len, n_);                       \
		assert_int_equal((x).s.flags, flags_);                 \
	} while (0)

#endif
