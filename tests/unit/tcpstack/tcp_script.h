/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_script.h - one TCP core against a scripted client.
 *
 * Positions are offsets from the first byte of each direction: the server's
 * stream begins at sequence number TT_SND, the client's at TT_RCV, both close
 * to the wrap. Emitted segments queue up until the test takes them.
 */
#ifndef TESTS_TCP_SCRIPT_H
#define TESTS_TCP_SCRIPT_H

#include <stdarg.h>
#include <setjmp.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tcp_optparse.h"
#include "tcpstack/tcp.h"

#define TT_SND 0xfffffc00u
#define TT_RCV 0xfffff800u
#define TT_WND 60000u /* both windows at the start, unscaled */
#define TT_MSS 1000
#define TT_MAX 128

struct tt_want {
	uint32_t off, len; /* offset in the server's stream */
	bool retx;
};

struct tt {
	struct tcp_conn c; /* first: ops get the test from it */
	struct tcp_cfg cfg;
	struct tcp_pool pool;		  /* of rec[] */
	struct tcp_txrec rec[TT_MAX * 4]; /* transmission records */
	struct tcp_state_io st;
	uint64_t now;
	struct tcp_emit out[TT_MAX]; /* emitted and not taken */
	unsigned int n_out;
	struct tt_want want[TT_MAX]; /* wanted, in order */
	unsigned int n_want;
	unsigned int events[TCP_E_COUNT];
	uint32_t acked;	   /* offset told by acked() */
	uint32_t consumed; /* offset up to which the program has read */
	uint32_t seg_ts;   /* TSval the client sends */
	uint32_t seg_ecr;  /* TSecr the client sends, 0: the last TSval it saw */
	uint32_t wnd;	   /* window field the client sends */
	int want_err;	   /* what want() answers */
	int emit_err;	   /* what emit() answers */
	bool ce;	   /* the next segments carry CE */
	bool hold_place;   /* the test calls tt_place() itself */
	struct tcp_rx rx;  /* result of the last segment */
};

static inline int tt_op_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	struct tt *t = (struct tt *)c;

	assert_true(t->n_want < TT_MAX);
	t->want[t->n_want++] = (struct tt_want){seq - TT_SND, len, retx};
	return t->want_err;
}

static inline int tt_op_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct tt *t = (struct tt *)c;
	struct tcp_seg seg = {.has_ts = false};

	if (t->emit_err)
		return t->emit_err;
	assert_true(t->n_out < TT_MAX);
	assert_true(test_opt_parse(e->opt, e->optlen, &seg));
	if (seg.has_ts)
		t->seg_ecr = seg.tsval;
	t->out[t->n_out++] = *e;
	return 0;
}

static inline void tt_op_acked(struct tcp_conn *c, uint32_t una)
{
	((struct tt *)c)->acked = una - TT_SND;
}

static inline void tt_op_event(struct tcp_conn *c, enum tcp_event ev)
{
	((struct tt *)c)->events[ev]++;
}

static const struct tcp_ops tt_ops = {tt_op_want, tt_op_emit, tt_op_acked, tt_op_event};

/* Prepares an ESTABLISHED connection with SACK, without timestamps; t->st may be changed. */
static inline void tt_prepare(struct tt *t)
{
	memset(t, 0, sizeof(*t));
	tcp_cfg_default(&t->cfg);
	t->cfg.ops = &tt_ops;
	tcp_pool_init(&t->pool, t->rec, TT_MAX * 4, TT_MAX);
	t->cfg.pool = &t->pool;
	t->now = 10000000;
	t->wnd = TT_WND;
	t->seg_ts = 7000;
	t->st = (struct tcp_state_io){
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.sack_ok = true,
		.mss = TT_MSS,
		.snd_una = TT_SND,
		.snd_nxt = TT_SND,
		.snd_avail = TT_SND,
		.snd_wnd = TT_WND,
		.snd_wl1 = TT_RCV,
		.snd_wl2 = TT_SND,
		.max_wnd = TT_WND,
		.rcv_nxt = TT_RCV,
		.rcv_edge = TT_RCV + TT_WND,
		.rcv_room = TT_RCV + TT_WND,
		.ts_val = 500000,
		.ts_recent = 7000,
	};
}

static inline void tt_start(struct tt *t)
{
	assert_int_equal(tcp_import(&t->c, &t->cfg, &t->st, t->now), 0);
}

static inline void tt_init(struct tt *t)
{
	tt_prepare(t);
	tt_start(t);
}

/* Takes the oldest emitted segment and checks it. flags without TCP_ACK, which all have. */
static inline struct tcp_emit tt_take(struct tt *t)
{
	struct tcp_emit e;

	assert_true(t->n_out > 0);
	e = t->out[0];
	memmove(t->out, t->out + 1, --t->n_out * sizeof(t->out[0]));
	return e;
}

#define tt_expect(t, off, n, ackoff, fl)                              \
	do {                                                          \
		struct tcp_emit _e = tt_take(t);                      \
		assert_int_equal((int32_t)(_e.seq - TT_SND), off);    \
		assert_int_equal(_e.len, n);                          \
		assert_int_equal((int32_t)(_e.ack - TT_RCV), ackoff); \
		assert_int_equal(_e.flags, TCP_ACK | (fl));           \
	} while (0)

#define tt_nothing(t) assert_int_equal((t)->n_out, 0)

/* Everything accepted is placed now. */
static inline void tt_place(struct tt *t)
{
	struct tcp_rx_pos pos;

	tcp_rx_get(&t->c, &pos);
	tcp_placed(&t->c, &pos, t->now);
}

static inline void tt_out(struct tt *t)
{
	tcp_output(&t->c, t->now);
}

/* A segment from the client; sack: n ranges as offsets in the server's stream. */
static inline enum tcp_verdict tt_seg_sack(struct tt *t, uint8_t flags, uint32_t seq, uint32_t len,
					   uint32_t ack, const struct tcp_range *sack, uint8_t n)
{
	struct tcp_seg s = {.seq = TT_RCV + seq,
			    .ack = TT_SND + ack,
			    .len = len,
			    .wnd = (uint16_t)t->wnd,
			    .flags = flags,
			    .ce = t->ce,
			    .n_sack = n};

	for (unsigned int i = 0; i < n; i++)
		s.sack[i] = (struct tcp_range){TT_SND + sack[i].start, TT_SND + sack[i].end};
	if (t->st.ts_ok) {
		s.has_ts = true;
		s.tsval = t->seg_ts;
		s.tsecr = t->seg_ecr;
	}
	tcp_input(&t->c, &s, t->now, &t->rx);
	if ((t->rx.len || t->rx.fin) && !t->hold_place)
		tt_place(t);
	tt_out(t);
	return t->rx.verdict;
}

static inline enum tcp_verdict tt_seg(struct tt *t, uint8_t flags, uint32_t seq, uint32_t len,
				      uint32_t ack)
{
	return tt_seg_sack(t, flags, seq, len, ack, NULL, 0);
}

/* A pure ACK with one SACK block. */
static inline enum tcp_verdict tt_sack(struct tt *t, uint32_t ack, uint32_t start, uint32_t end)
{
	struct tcp_range r = {start, end};

	return tt_seg_sack(t, TCP_ACK, t->c.rcv_nxt - TT_RCV, 0, ack, &r, 1);
}

static inline enum tcp_verdict tt_ack(struct tt *t, uint32_t ack)
{
	return tt_seg(t, TCP_ACK, t->c.rcv_nxt - TT_RCV, 0, ack);
}

static inline void tt_produce(struct tt *t, uint32_t n)
{
	tcp_produced(&t->c, n, t->now);
	tt_out(t);
}

/* Time passes; timers run when they are due. */
static inline void tt_pass(struct tt *t, uint64_t us)
{
	uint64_t end = t->now + us;

	while (tcp_deadline(&t->c, t->now) <= end) {
		t->now = tcp_deadline(&t->c, t->now);
		tcp_timer(&t->c, t->now);
		tt_out(t);
	}
	t->now = end;
}

/* Forgets what was emitted; returns the payload bytes in it. */
static inline uint32_t tt_drain(struct tt *t)
{
	uint32_t n = 0;

	while (t->n_out)
		n += tt_take(t).len;
	return n;
}

/* Brings the connection into any synchronised state. TT_SND + 0 and TT_RCV + 0 are next before. */
static inline void tt_enter(struct tt *t, enum tcp_state s)
{
	tt_init(t);
	if (s == TCP_S_CLOSED) {
		tcp_detach(&t->c);
		return;
	}
	if (s == TCP_S_CLOSE_WAIT || s == TCP_S_LAST_ACK)
		tt_seg(t, TCP_ACK | TCP_FIN, 0, 0, 0);
	if (s != TCP_S_ESTABLISHED && s != TCP_S_CLOSE_WAIT) {
		tcp_shutdown(&t->c, t->now);
		tt_out(t);
	}
	if (s == TCP_S_FIN_WAIT_2 || s == TCP_S_TIME_WAIT)
		tt_ack(t, 1);
	if (s == TCP_S_CLOSING)
		tt_seg(t, TCP_ACK | TCP_FIN, 0, 0, 0);
	if (s == TCP_S_TIME_WAIT)
		tt_seg(t, TCP_ACK | TCP_FIN, 0, 0, 1);
	assert_int_equal(t->c.state, s);
	tt_drain(t);
}

#endif
