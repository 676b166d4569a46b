/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_import.c - any state at all is given to tcp_import(). What is refused leaves the connection
 * closed; what is accepted comes out of tcp_export() as it went in, and then lives through
 * segments, ICMP errors, payload and timers without breaking a rule of tcp_check.h: a host that
 * lies about its connections harms those alone.
 */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz_bytes.h"
#include "tests/unit/tcpstack/tcp_check.h"

/** One connection and what its shell knows. */
struct world {
	struct tcp_conn c; /* first: ops get the world from it */
	struct tcp_cfg cfg;
	struct tcp_pool pool;	  /* of rec[] */
	struct tcp_txrec rec[32]; /* transmission records */
	struct bytes in;
	uint64_t now;
	unsigned int emitted; /* segments since the last call of tcp_output() */
};

static int on_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	struct world *w = (struct world *)c;

	PROMISE(len > 0 && len <= w->cfg.max_want && tcp_leq(seq + len, c->snd_avail));
	switch (bytes_take(&w->in, 1) % 8) {
	case 0:
		return ENOBUFS;
	case 1:
		return EINPROGRESS;
	default:
		return 0;
	}
}

static int on_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct world *w = (struct world *)c;

	PROMISE(++w->emitted < 100000);
	PROMISE(e->optlen <= 40 && e->optlen % 4 == 0 && e->mss);
	PROMISE(!e->len || (tcp_leq(c->snd_una, e->seq) && tcp_leq(e->seq + e->len, c->snd_avail)));
	return bytes_take(&w->in, 1) == 7 ? ENOBUFS : 0;
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

/* A position: near another one, or anywhere. */
static uint32_t position(struct bytes *b, uint32_t from)
{
	uint32_t how = bytes_take(b, 1);

	return how < 200 ? from + bytes_take(b, 2) : how < 230 ? from + bytes_take(b, 4) : from;
}

static struct tcp_state_io state(struct bytes *b)
{
	struct tcp_state_io st = {.version = TCP_STATE_VERSION, .state = TCP_S_ESTABLISHED};
	uint32_t bits = bytes_take(b, 2);

	if (bits & 0x8000)
		st.version = (uint8_t)bytes_take(b, 1);
	if (bits & 0x4000)
		st.state = (uint8_t)bytes_take(b, 1) % (TCP_S_COUNT + 2);
	st.wscale_ok = bits & 1;
	st.sack_ok = bits & 2;
	st.ts_ok = bits & 4;
	st.ts_recent_valid = bits & 8;
	st.resume_loss = bits & 16;
	st.is_v6 = bits & 32;
	st.snd_wscale = (uint8_t)(bytes_take(b, 1) % 16);
	st.rcv_wscale = (uint8_t)(bytes_take(b, 1) % 16);
	st.mss = (uint16_t)bytes_take(b, 2);
	st.mss_max = bits & 64 ? (uint16_t)bytes_take(b, 2) : 0;
	st.snd_una = bytes_take(b, 4);
	st.snd_nxt = position(b, st.snd_una);
	st.snd_avail = position(b, st.snd_nxt);
	st.snd_wnd = bytes_take(b, 3);
	st.snd_wl1 = bytes_take(b, 4);
	st.snd_wl2 = position(b, st.snd_una);
	st.max_wnd = bytes_take(b, 4);
	st.rcv_nxt = bytes_take(b, 4);
	st.rcv_edge = position(b, st.rcv_nxt - 1);
	st.rcv_room = position(b, st.rcv_edge);
	st.ts_val = bytes_take(b, 4);
	st.ts_recent = bytes_take(b, 4);
	st.cwnd = bits & 128 ? bytes_take(b, 4) : 0;
	st.ssthresh = bits & 256 ? bytes_take(b, 4) : 0;
	st.srtt_us = bits & 512 ? bytes_take(b, 4) : 0;
	st.rttvar_us = bytes_take(b, 4);
	st.n_ooo = (uint8_t)(bits >> 10 & 7);
	for (unsigned int i = 0; i < TCP_MAX_SACK; i++) {
		st.ooo[i].start = position(b, st.rcv_nxt);
		st.ooo[i].end = position(b, st.ooo[i].start);
	}
	return st;
}

static void check(const struct tcp_conn *c)
{
	const char *broken = tcp_check(c);

	if (broken) {
		fprintf(stderr, "broken: %s\n", broken);
		abort();
	}
}

/* What went in comes out. */
static void check_export(const struct world *w, const struct tcp_state_io *st)
{
	struct tcp_state_io out;

	tcp_export(&w->c, &out, w->now);
	PROMISE(out.snd_una == st->snd_una && out.snd_nxt == st->snd_nxt);
	PROMISE(out.snd_avail == st->snd_avail && out.rcv_nxt == st->rcv_nxt);
	PROMISE(out.rcv_edge == st->rcv_edge && out.rcv_room == st->rcv_room);
	PROMISE(out.snd_wnd == st->snd_wnd && out.n_ooo == st->n_ooo && out.state == st->state);
	PROMISE(out.mss == st->mss && out.ts_val == st->ts_val);
	PROMISE(!memcmp(out.ooo, st->ooo, st->n_ooo * sizeof(st->ooo[0])));
}

static void segment(struct world *w)
{
	struct tcp_conn *c = &w->c;
	struct tcp_seg s = {.flags = (uint8_t)bytes_take(&w->in, 1)};
	struct tcp_rx_pos pos;
	struct tcp_rx rx;

	if (bytes_take(&w->in, 1) & 7)
		s.flags = (s.flags & (TCP_FIN | TCP_PSH)) | TCP_ACK;
	s.seq = c->rcv_nxt + (bytes_take(&w->in, 1) & 1 ? 0 : bytes_near(&w->in));
	s.ack = c->snd_una + bytes_near(&w->in);
	s.len = bytes_take(&w->in, 1) & 1 ? bytes_take(&w->in, 2) : 0;
	s.wnd = (uint16_t)bytes_take(&w->in, 2);
	s.has_ts = bytes_take(&w->in, 1) & 1;
	s.tsval = c->ts_recent + bytes_near(&w->in);
	s.tsecr = tcp_tsval(c, w->now) - bytes_take(&w->in, 1);
	s.n_sack = (uint8_t)(bytes_take(&w->in, 1) % (TCP_MAX_SACK + 1));
	for (unsigned int i = 0; i < s.n_sack; i++) {
		s.sack[i].start = c->snd_una + bytes_near(&w->in);
		s.sack[i].end = s.sack[i].start + bytes_take(&w->in, 2);
	}
	tcp_input(c, &s, w->now, &rx);
	tcp_rx_get(c, &pos);
	tcp_placed(c, &pos, w->now);
}

static void icmp(struct world *w)
{
	struct tcp_icmp_err e = {.kind = bytes_take(&w->in, 1) % TCP_K_COUNT};

	e.seq = w->c.snd_una + bytes_near(&w->in);
	e.mtu = bytes_take(&w->in, 2);
	e.len = bytes_take(&w->in, 2);
	PROMISE(tcp_icmp(&w->c, &e, w->now) < TCP_I_COUNT);
}

static void step(struct world *w)
{
	uint32_t n;

	switch (bytes_take(&w->in, 1) % 8) {
	case 0:
		n = bytes_take(&w->in, 2);
		tcp_produced(&w->c, n, w->now);
		break;
	case 1:
		w->now += (uint64_t)bytes_take(&w->in, 1) << bytes_take(&w->in, 1) % 24;
		if (tcp_deadline(&w->c, w->now) <= w->now)
			tcp_timer(&w->c, w->now);
		break;
	case 2:
		tcp_room(&w->c, w->c.rcv_room + bytes_take(&w->in, 2), w->now);
		break;
	case 3:
		n = bytes_take(&w->in, 2);
		tcp_ready(&w->c, w->c.snd_una + n, bytes_take(&w->in, 2), w->now);
		break;
	case 4:
		icmp(w);
		break;
	case 5:
		if (bytes_take(&w->in, 1) % 16 == 0)
			tcp_shutdown(&w->c, w->now);
		break;
	default:
		segment(w);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct tcp_state_io st;
	int rc;

	memset(&w, 0, sizeof(w));
	w.in = (struct bytes){data, size};
	w.now = 1000000;
	tcp_cfg_default(&w.cfg);
	w.cfg.ops = &ops;
	w.cfg.user_timeout_us = 100000000;
	tcp_pool_init(&w.pool, w.rec, 32, 16);
	w.cfg.pool = &w.pool;
	st = state(&w.in);
	rc = tcp_import(&w.c, &w.cfg, &st, w.now);
	PROMISE(rc == 0 || (rc == EINVAL && w.c.state == TCP_S_CLOSED));
	if (rc)
		return 0;
	check(&w.c);
	check_export(&w, &st);
	while (w.in.left) {
		step(&w);
		w.emitted = 0;
		tcp_output(&w.c, w.now);
		check(&w.c);
	}
	return 0;
}
