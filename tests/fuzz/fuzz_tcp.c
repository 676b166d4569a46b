/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_tcp.c - any sequence of segments, payload answers and owner's calls on a live connection:
 * the rules of tcp_check.h hold after each, only ready payload leaves, only placed bytes are
 * acknowledged, nothing exceeds the client's window, and the promised window is kept.
 */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz_bytes.h"
#include "tests/unit/tcpstack/tcp_check.h"
#include "tests/unit/tcpstack/tcp_optparse.h"

#define STREAM (1u << 16) /* bytes each direction may have */

/** One connection and what its shell knows. */
struct world {
	struct tcp_conn c;	  /* first: ops get the world from it */
	struct tcp_cfg cfg;	  /* of the connection */
	struct tcp_pool pool;	  /* of rec[] */
	struct tcp_txrec rec[32]; /* transmission records: few, so that they run out */
	struct bytes in;	  /* the input */
	uint64_t now;		  /* microseconds */
	uint32_t snd0, rcv0;	  /* sequence numbers of the first bytes */
	uint8_t here[STREAM];	  /* payload that was answered to be ready */
	uint8_t placed[STREAM];	  /* client's bytes that are in memory */
	uint8_t accepted[STREAM]; /* client's bytes that were given to be placed */
	struct tcp_rx_pos pos;	  /* snapshot waiting for its WRITE */
	bool pos_valid;		  /* pos is one */
	uint32_t edge;		  /* highest right edge the client granted */
	uint32_t promised;	  /* highest right edge we granted */
	uint32_t room;		  /* end of the ring */
	uint32_t placed_nxt;	  /* highest position given to tcp_placed() */
	uint8_t shift;		  /* window scale both ways */
	unsigned int emitted;	  /* segments since the last call of tcp_output() */
};

/* The next n <= 4 bytes as a number. */
static uint32_t take(struct world *w, unsigned int n)
{
	return bytes_take(&w->in, n);
}

static int on_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	struct world *w = (struct world *)c;
	uint32_t off = seq - w->snd0;

	PROMISE(len > 0 && len <= w->cfg.max_want);
	PROMISE(tcp_leq(seq + len, c->snd_avail));
	PROMISE(!retx || (tcp_leq(c->snd_una, seq) && tcp_leq(seq + len, c->snd_nxt)));
	switch (take(w, 1) % 8) {
	case 0:
		return ENOBUFS;
	case 1:
	case 2:
	case 3:
		return EINPROGRESS;
	default:
		memset(w->here + off, 1, len);
		return 0;
	}
}

static int on_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct world *w = (struct world *)c;
	uint32_t edge = e->ack + ((uint32_t)e->wnd << w->shift), off = e->seq - w->snd0;
	struct tcp_seg s = {.n_sack = 0};

	if (take(w, 1) == 7)
		return ENOBUFS;
	PROMISE(++w->emitted < 10000);
	PROMISE(e->optlen <= 40 && e->optlen % 4 == 0 && test_opt_parse(e->opt, e->optlen, &s));
	if (e->flags & TCP_RST)
		return 0;
	PROMISE(tcp_leq(e->ack, w->placed_nxt));
	for (unsigned int i = 0; i < s.n_sack; i++) {
		uint32_t a = s.sack[i].start - w->rcv0, b = s.sack[i].end - w->rcv0;

		if (i == 0 && (int32_t)a < 0) /* a duplicate from before our time */
			a = (int32_t)b < 0 ? b : 0;
		if (a == b)
			continue;
		PROMISE(a < b && b <= STREAM && !memchr(w->placed + a, 0, b - a));
	}
	PROMISE(tcp_leq(edge, w->room) || !e->wnd);
	PROMISE(tcp_lt(w->promised, edge + (1u << w->shift)) || tcp_leq(w->promised, e->ack));
	if (tcp_lt(w->promised, edge))
		w->promised = edge;
	if (!e->len)
		return 0;
	PROMISE(tcp_leq(c->snd_una, e->seq) && tcp_leq(e->seq + e->len, c->snd_avail));
	PROMISE(tcp_leq(e->seq + e->len, w->edge));
	PROMISE(e->len <= w->cfg.max_burst && e->mss + e->optlen <= c->mss);
	PROMISE(!memchr(w->here + off, 0, e->len));
	return 0;
}

static void on_acked(struct tcp_conn *c, uint32_t una)
{
	PROMISE(tcp_leq(una, c->snd_avail));
}

static void on_event(struct tcp_conn *c, enum tcp_event ev)
{
	PROMISE(ev < TCP_E_COUNT);
}

static const struct tcp_ops ops = {on_want, on_emit, on_acked, on_event};

static void setup(struct world *w)
{
	struct tcp_state_io st = {.version = TCP_STATE_VERSION, .state = TCP_S_ESTABLISHED};
	uint8_t bits = (uint8_t)take(w, 1);
	uint32_t bulk;

	tcp_cfg_default(&w->cfg);

	w->cfg.ops = &ops;
	tcp_pool_init(&w->pool, w->rec, 32, 16);
	w->cfg.pool = &w->pool;
	w->cfg.user_timeout_us = 20000000;
	w->cfg.cc = bits & 16 ? TCP_CC_NEWRENO : TCP_CC_CUBIC;
	w->cfg.pacing = bits & 16;
	bulk = take(w, 1);
	if (bulk & 128)
		w->cfg.cc = TCP_CC_BBR;
	w->cfg.max_want = 1u << (8 + bulk % 9);
	w->cfg.max_burst = 3000 + take(w, 2);
	w->now = 1000000;
	st.sack_ok = bits & 1;
	st.ts_ok = bits & 2;
	st.ts_recent_valid = bits & 4;
	st.wscale_ok = bits & 8;
	w->shift = bits & 8 ? bits >> 5 : 0;
	st.snd_wscale = st.rcv_wscale = w->shift;
	st.mss = (uint16_t)(100 + take(w, 1) * 8);
	w->snd0 = take(w, 1) << 24 | 0xff8000;
	w->rcv0 = take(w, 1) << 24 | 0xffc000;
	st.snd_una = st.snd_nxt = st.snd_avail = st.snd_wl2 = w->snd0;
	st.snd_wl1 = st.rcv_nxt = w->rcv0;
	st.snd_wnd = st.max_wnd = take(w, 2);
	st.rcv_edge = w->rcv0 + (take(w, 2) >> 2 >> w->shift << w->shift);
	st.rcv_room = st.rcv_edge + take(w, 1);
	w->edge = w->snd0 + st.snd_wnd;
	w->promised = st.rcv_edge;
	w->room = st.rcv_room;
	w->placed_nxt = w->rcv0;
	PROMISE(tcp_import(&w->c, &w->cfg, &st, w->now) == 0);
}

static void segment(struct world *w)
{
	struct tcp_seg s = {.flags = (uint8_t)take(w, 1)};
	struct tcp_conn *c = &w->c;
	struct tcp_rx rx;
	uint32_t off, edge;

	if (take(w, 1) & 15)
		s.flags = (s.flags & (TCP_FIN | TCP_PSH)) | TCP_ACK; /* mostly sane ones */
	if ((s.flags & TCP_FIN) && take(w, 1) & 7)
		s.flags &= (uint8_t)~TCP_FIN;
	s.seq = c->rcv_nxt + (take(w, 1) & 1 ? 0 : bytes_near(&w->in));
	s.ack = (take(w, 1) & 1 ? c->snd_una : c->snd_nxt) +
		(take(w, 1) & 1 ? 0 : bytes_near(&w->in));
	s.len = take(w, 1) & 1 ? take(w, 2) % 3000 : 0;
	s.wnd = (uint16_t)take(w, 2);
	s.has_ts = c->ts_ok && take(w, 1) & 7;
	s.tsval = c->ts_recent + (take(w, 1) & 3 ? take(w, 1) & 3 : bytes_near(&w->in));
	s.tsecr = tcp_tsval(c, w->now) - take(w, 1);
	s.n_sack = take(w, 1) & 1 ? take(w, 1) % 5 : 0;
	for (unsigned int i = 0; i < s.n_sack; i++) {
		s.sack[i].start = c->snd_una + bytes_near(&w->in);
		s.sack[i].end = s.sack[i].start + take(w, 2) % 4000;
	}
	edge = s.ack + ((uint32_t)s.wnd << w->shift);
	/* What is older than the largest window grants nothing, and might compare as newer. */
	if ((s.flags & TCP_ACK) && c->snd_nxt - s.ack <= 1u << 30 && tcp_lt(w->edge, edge))
		w->edge = edge;
	tcp_input(c, &s, w->now, &rx);
	if (!rx.len)
		return;
	off = rx.seq - w->rcv0;
	PROMISE(rx.skip + rx.len <= s.len && s.seq + rx.skip == rx.seq);
	PROMISE(off + rx.len <= STREAM && tcp_leq(rx.seq + rx.len, w->room));
	memset(w->accepted + off, 1, rx.len);
}

/* What was accepted by the last snapshot is placed. */
static void place(struct world *w)
{
	if (!w->pos_valid)
		return;
	if (tcp_lt(w->placed_nxt, w->pos.rcv_nxt)) {
		uint32_t n = w->pos.rcv_nxt - w->rcv0 - w->pos.fin;

		PROMISE(n <= STREAM && (!n || !memchr(w->accepted, 0, n)));
		memset(w->placed, 1, n);
		w->placed_nxt = w->pos.rcv_nxt;
	}
	for (unsigned int i = 0; i < w->pos.n_ooo; i++) {
		uint32_t a = w->pos.ooo[i].start - w->rcv0, b = w->pos.ooo[i].end - w->rcv0;

		PROMISE(a < b && b <= STREAM && !memchr(w->accepted + a, 0, b - a));
		memset(w->placed + a, 1, b - a);
	}
	tcp_placed(&w->c, &w->pos, w->now);
	w->pos_valid = false;
}

static void ready(struct world *w, bool failed)
{
	uint32_t seq = w->c.snd_una + (take(w, 2) & 0x7fff), len = take(w, 2);
	uint32_t off = seq - w->snd0;

	if (failed) {
		tcp_failed(&w->c, seq, len, w->now);
		return;
	}
	if (off >= STREAM || len > STREAM - off)
		return;
	memset(w->here + off, 1, len);
	tcp_ready(&w->c, seq, len, w->now);
}

static void produce(struct world *w)
{
	uint32_t n = take(w, 2) & 0x3fff;

	if (w->c.snd_avail - w->snd0 + n < STREAM)
		tcp_produced(&w->c, n, w->now);
}

static void pass(struct world *w)
{
	w->now += (uint64_t)take(w, 1) << (take(w, 1) % 20);
	if (tcp_deadline(&w->c, w->now) <= w->now) {
		tcp_timer(&w->c, w->now);
		PROMISE(tcp_deadline(&w->c, w->now) > w->now);
	}
}

static void icmp(struct world *w)
{
	struct tcp_icmp_err e = {.kind = take(w, 1) % TCP_K_COUNT};

	e.seq = w->c.snd_una + bytes_near(&w->in);
	e.mtu = take(w, 2);
	e.len = take(w, 1) & 1 ? take(w, 2) : 0;
	tcp_icmp(&w->c, &e, w->now);
}

static void step(struct world *w)
{
	uint32_t bits;

	switch (take(w, 1) % 25) {
	case 0:
	case 1:
	case 2:
		ready(w, false);
		break;
	case 3:
	case 4:
		produce(w);
		break;
	case 5:
	case 6:
		pass(w);
		break;
	case 7:
		if (!w->pos_valid)
			tcp_rx_get(&w->c, &w->pos);
		w->pos_valid = true;
		break;
	case 8:
	case 9:
		place(w);
		break;
	case 10:
		w->room += take(w, 2) & 0x7ff;
		if (w->room - w->rcv0 >= STREAM)
			w->room = w->rcv0 + STREAM;
		tcp_room(&w->c, w->room, w->now);
		break;
	case 11:
		tcp_sent(&w->c, w->c.snd_una + (take(w, 1) << 4), take(w, 2), w->now);
		break;
	case 12:
		bits = take(w, 1);
		if (bits % 8 == 0)
			ready(w, true);
		w->cfg.cc = (bits >> 3) % TCP_CC_COUNT;
		if (bits % 8 == 1)
			tcp_set_cfg(&w->c, &w->cfg);
		break;
	case 13:
		if (take(w, 1) % 4 == 0)
			tcp_shutdown(&w->c, w->now);
		break;
	case 14:
		if (take(w, 1) % 32 == 0)
			tcp_quiesce(&w->c, w->now);
		if (take(w, 1) % 64 == 1)
			tcp_abort(&w->c, w->now);
		break;
	case 24:
		icmp(w);
		break;
	default:
		segment(w);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	const char *broken;

	memset(&w, 0, sizeof(w));
	w.in = (struct bytes){data, size};
	setup(&w);
	while (w.in.left) {
		step(&w);
		w.emitted = 0;
		if (take(&w, 1) & 3)
			tcp_output(&w.c, w.now);
		broken = tcp_check(&w.c);
		if (broken) {
			fprintf(stderr, "broken: %s\n", broken);
			abort();
		}
	}
	return 0;
}
