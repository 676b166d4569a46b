/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_tcp_open.c - a listener with a small backlog, four flows that open actively and passively,
 * with cookies and at once, anything on the wire: the rules of tcp_check.h hold for every
 * connection, the backlog is counted right and kept, nothing is established by a cookie that was
 * not sent, and what is sent while a connection opens is a SYN, an ACK or a RST without payload.
 */
#include <errno.h>
#include <string.h>

#include "tcpstack/tcp_park.h"
#include "tests/fuzz/fuzz_bytes.h"
#include "tests/unit/tcpstack/tcp_check.h"
#include "tests/unit/tcpstack/tcp_optparse.h"

#define FLOWS	4
#define RECORDS 24 /* transmission records of all: scarce */
#define COOKIES 16 /* remembered per flow, newest */

/** One 4-tuple, and its connection if there is one. */
struct end {
	struct tcp_conn c;	     /* first: ops get the end from it */
	struct world *w;	     /* all of them */
	struct net_flow f;	     /* distinct ports */
	bool used;		     /* c is a connection */
	uint32_t irs;		     /* last initial sequence number of the peer */
	uint32_t cookie[COOKIES][2]; /* sent: number, and irs it was for */
	unsigned int n_cookie;	     /* sent so far */
	uint32_t last;		     /* sequence number we sent last */
	unsigned int established;    /* TCP_E_ESTABLISHED told for c */
};

/** Everything. */
struct world {
	struct end end[FLOWS];
	struct tcp_cfg cfg;
	struct tcp_keys keys;
	struct tcp_pool pool; /* of rec[] */
	struct tcp_txrec rec[RECORDS];
	struct tcp_challenges challenges;
	struct tcp_listener l;
	struct bytes in; /* the input */
	uint64_t now;	 /* microseconds */
};

static uint32_t take(struct world *w, unsigned int n)
{
	return bytes_take(&w->in, n);
}

static int on_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	struct end *e = (struct end *)c;

	PROMISE(!tcp_opening(c));
	return take(e->w, 1) & 7 ? 0 : ENOBUFS;
}

static int on_emit(struct tcp_conn *c, const struct tcp_emit *m)
{
	struct end *e = (struct end *)c;
	struct tcp_seg s = {.n_sack = 0};

	if (take(e->w, 1) == 7)
		return ENOBUFS;
	PROMISE(m->optlen <= 40 && m->optlen % 4 == 0 && test_opt_parse(m->opt, m->optlen, &s));
	PROMISE(!(m->flags & TCP_URG) || (m->urp && m->len + m->optlen <= c->mss));
	e->last = m->seq;
	if (c->state == TCP_S_SYN_SENT)
		PROMISE(!(m->flags & (TCP_ACK | TCP_FIN)) && !m->len);
	if (c->state == TCP_S_SYN_RCVD)
		PROMISE(!(m->flags & TCP_FIN) && !m->len);
	if (m->flags & TCP_SYN) {
		PROMISE(tcp_opening(c) && s.mss && m->seq == c->snd_una);
		PROMISE(!s.has_ts || c->state == TCP_S_SYN_SENT || c->ts_recent_valid);
	}
	return 0;
}

static void on_acked(struct tcp_conn *c, uint32_t una)
{
	PROMISE(tcp_leq(una, c->snd_avail));
}

static void on_event(struct tcp_conn *c, enum tcp_event ev)
{
	struct end *e = (struct end *)c;

	PROMISE(ev < TCP_E_COUNT);
	if (ev == TCP_E_ESTABLISHED)
		PROMISE(!e->established++);
}

static const struct tcp_ops ops = {on_want, on_emit, on_acked, on_event};

static struct tcp_conn *on_take(struct tcp_listener *l, const struct net_flow *f)
{
	struct world *w = (struct world *)((char *)l - offsetof(struct world, l));
	struct end *e = &w->end[f->rport];

	PROMISE(!e->used);
	return take(w, 1) & 7 ? &e->c : NULL;
}

static const struct tcp_listen_ops listen_ops = {on_take};

static void setup(struct world *w)
{
	uint8_t seed[4 * TCP_KEY_LEN] = {(uint8_t)take(w, 1)};
	uint8_t bits = (uint8_t)take(w, 1);
	uint32_t backlog;

	tcp_keys_init(&w->keys, seed);
	tcp_cfg_default(&w->cfg);
	w->cfg.ops = &ops;
	tcp_pool_init(&w->pool, w->rec, RECORDS, RECORDS / 4);
	w->cfg.pool = &w->pool;
	w->cfg.keys = &w->keys;
	w->cfg.user_timeout_us = 20000000;
	w->cfg.keep_idle_ms = 3000;
	w->cfg.keep_intvl_ms = 500;
	w->cfg.keep_count = 3;
	w->cfg.nagle = bits & 1;
	w->cfg.rfc1337 = bits & 2;
	w->cfg.cc = bits & 64 ? TCP_CC_NEWRENO : TCP_CC_CUBIC;
	w->cfg.pacing = bits & 128;
	w->challenges.per_s = 20;
	if (bits & 4)
		w->cfg.challenges = &w->challenges;
	w->now = 1000000;
	w->l = (struct tcp_listener){
		.cfg = &w->cfg,
		.lop = &listen_ops,
		.offer = {1 + take(w, 3), (uint16_t)(64 + take(w, 2) % 9000),
			  (uint8_t)(take(w, 1) & TCP_O_ALL), (uint8_t)(take(w, 1) % 16)},
		.cookies = bits >> 3 & 3,
	};
	backlog = take(w, 1);
	w->l.backlog = backlog % FLOWS;
	if (backlog & 128)
		w->cfg.cc = TCP_CC_BBR;
	if (w->l.offer.wscale == 15)
		w->l.offer.wscale = TCP_WSCALE_AUTO;
	for (unsigned int i = 0; i < FLOWS; i++) {
		w->end[i].w = w;
		net_addr_v4(&w->end[i].f.remote, "\x0a\x01\x02\x03");
		net_addr_v4(&w->end[i].f.local, "\x0a\x01\x02\x04");
		if (bits & 32)
			w->end[i].f.remote.b[0] = 0xfd;
		w->end[i].f.rport = (uint16_t)i;
	}
}

/* Options of a segment; those of SYNs on others, too. */
static void options(struct end *e, struct tcp_seg *s)
{
	uint32_t bits = take(e->w, 1);

	s->has_ts = bits & 1;
	s->sack_ok = bits & 2;
	s->has_wscale = bits & 4;
	s->wscale = bits >> 3 & 15;
	s->wscale = s->wscale > 14 ? 14 : s->wscale;
	s->ae = bits & 128;
	s->mss = bits & 64 ? (uint16_t)take(e->w, 2) : 1400;
	s->tsval = e->c.ts_recent + (take(e->w, 1) & 3 ? take(e->w, 1) & 7 : bytes_near(&e->w->in));
	s->tsecr = e->c.ts_off + tcp_ms(e->w->now) - take(e->w, 1);
}

static struct tcp_seg segment(struct end *e)
{
	static const uint8_t usual[] = {TCP_SYN,	   TCP_SYN | TCP_ACK, TCP_ACK, TCP_RST,
					TCP_ACK | TCP_FIN, TCP_ACK | TCP_PSH, TCP_SYN, TCP_ACK};
	struct world *w = e->w;
	uint32_t how = take(w, 1);
	struct tcp_seg s = {.flags = how < 224 ? usual[how % 8] : (uint8_t)take(w, 1)};

	if (how & 8)
		s.flags |= take(w, 1) & (TCP_ECE | TCP_CWR | TCP_URG);
	how = take(w, 1);
	s.seq = how & 1 ? e->irs + (how >> 1 & 1) : e->c.rcv_nxt + (how >> 2 & 1);
	if ((how >> 3 & 7) == 0)
		s.seq += bytes_near(&w->in);
	if (s.flags & TCP_ACK) {
		uint32_t k = take(w, 1) % 4, n = e->n_cookie;

		s.ack = k == 0 ? e->c.snd_nxt : k == 1 ? e->c.snd_una : e->last + 1;
		if (k == 3 && n)
			s.ack = e->cookie[take(w, 1) % (n < COOKIES ? n : COOKIES)][0] + 1;
		if (take(w, 1) > 224)
			s.ack += bytes_near(&w->in);
	}
	s.len = take(w, 1) & 1 ? take(w, 2) % 2000 : 0;
	s.wnd = (uint16_t)take(w, 2);
	s.urp = s.flags & TCP_URG ? (uint16_t)take(w, 2) : 0;
	options(e, &s);
	return s;
}

/* What was accepted is in memory, and read. */
static void place(struct end *e, const struct tcp_rx *rx)
{
	struct tcp_rx_pos pos;

	if (!rx->len && !rx->fin)
		return;
	PROMISE(!tcp_opening(&e->c));
	tcp_rx_get(&e->c, &pos);
	tcp_placed(&e->c, &pos, e->w->now);
	tcp_room(&e->c, pos.rcv_nxt + e->w->l.offer.room, e->w->now);
}

/* A cookie left: remembered with what it was for. */
static void note_cookie(struct end *e, const struct tcp_emit *m, uint32_t irs)
{
	uint32_t *k = e->cookie[e->n_cookie++ % COOKIES];

	k[0] = e->last = m->seq;
	k[1] = irs;
}

static bool was_sent(const struct end *e, uint32_t cookie, uint32_t irs)
{
	for (unsigned int i = 0; i < e->n_cookie && i < COOKIES; i++) {
		if (e->cookie[i][0] == cookie && e->cookie[i][1] == irs)
			return true;
	}
	return e->n_cookie > COOKIES; /* forgotten here, perhaps */
}

static void to_listener(struct end *e, const struct tcp_seg *s, const uint32_t *after)
{
	struct tcp_listen_res res;
	struct tcp_seg opt = {0};
	uint32_t half = e->w->l.n_half;

	e->established = 0;
	tcp_listen_input(&e->w->l, &e->f, s, after, e->w->now, &res);
	if (s->flags & TCP_SYN)
		e->irs = s->seq;
	PROMISE((res.conn != NULL) ==
		(res.verdict == TCP_L_HALF_OPEN || res.verdict == TCP_L_ESTABLISHED));
	PROMISE(e->w->l.n_half == half + (res.verdict == TCP_L_HALF_OPEN));
	e->used = res.conn != NULL;
	if (res.has_reply) {
		PROMISE(!res.conn && !(s->flags & TCP_RST));
		PROMISE(test_opt_parse(res.reply.opt, res.reply.optlen, &opt));
	}
	if (res.verdict == TCP_L_COOKIE)
		note_cookie(e, &res.reply, s->seq);
	if (res.verdict == TCP_L_HALF_OPEN && after)
		PROMISE(tcp_lt(*after, e->c.snd_una));
	if (res.verdict == TCP_L_ESTABLISHED) {
		PROMISE(was_sent(e, s->ack - 1, s->seq - 1) && e->established == 1);
		place(e, &res.rx);
	}
}

static void wire(struct end *e)
{
	struct tcp_seg s = segment(e);
	struct tcp_rx rx;
	uint32_t after;

	if (!e->used) {
		to_listener(e, &s, NULL);
		return;
	}
	tcp_input(&e->c, &s, e->w->now, &rx);
	PROMISE(rx.skip + rx.len <= s.len);
	place(e, &rx);
	if (rx.verdict == TCP_V_CLOSED && s.flags & TCP_SYN) {
		e->used = false;
		after = e->c.snd_nxt;
		to_listener(e, &s, &after);
	}
}

static void pass(struct world *w)
{
	w->now += (uint64_t)take(w, 1) << (take(w, 1) % 24);
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct tcp_conn *c = &w->end[i].c;

		if (!w->end[i].used || tcp_deadline(c, w->now) > w->now)
			continue;
		tcp_timer(c, w->now);
		PROMISE(tcp_deadline(c, w->now) > w->now);
	}
}

static void begin(struct end *e)
{
	if (e->used)
		return;
	e->established = 0;
	PROMISE(!tcp_connect(&e->c, &e->w->cfg, &e->w->l.offer, &e->f, e->w->now));
	e->used = true;
}

/* A connection at rest gives up its memory and comes back. */
static void park(struct end *e)
{
	uint64_t due = tcp_deadline(&e->c, e->w->now);
	struct tcp_parked p;

	if (tcp_park(&e->c, &p, e->w->now))
		return;
	PROMISE(tcp_parked_deadline(&p) == due);
	memset(&e->c, 0xa5, sizeof(e->c));
	tcp_unpark(&e->c, &p, &e->w->cfg);
}

/* A call of the program or of the shell. */
static void call(struct end *e)
{
	struct world *w = e->w;
	struct tcp_icmp_err icmp = {.kind = TCP_K_TOO_BIG};
	uint8_t key[TCP_KEY_LEN] = {(uint8_t)take(w, 1)};
	uint32_t what = take(w, 1);
	bool on = what & 128;

	if (what % 16 == 0)
		tcp_keys_rotate(&w->keys, key, w->now);
	if (!e->used)
		return;
	switch (what % 16) {
	case 1:
		tcp_produced(&e->c, take(w, 2) & 0x1fff, w->now);
		break;
	case 2:
		tcp_shutdown(&e->c, w->now);
		break;
	case 3:
		if (take(w, 1) % 8 == 0)
			tcp_abort(&e->c, w->now);
		break;
	case 4:
		if (take(w, 1) % 8 == 0)
			tcp_detach(&e->c);
		break;
	case 5:
		tcp_set_nodelay(&e->c, on);
		break;
	case 6:
		tcp_set_cork(&e->c, on);
		break;
	case 7:
		tcp_set_keepalive(&e->c, on);
		break;
	case 8:
		tcp_urgent(&e->c);
		break;
	case 9:
		tcp_quickack(&e->c, on);
		break;
	case 10:
		icmp.kind = take(w, 1) % TCP_K_COUNT;
		icmp.seq = e->c.snd_una + (on ? 0 : bytes_near(&w->in));
		icmp.mtu = take(w, 2);
		tcp_icmp(&e->c, &icmp, w->now);
		break;
	case 11:
		if (take(w, 1) % 16 == 0)
			tcp_quiesce(&e->c, w->now);
		break;
	case 12:
		park(e);
		break;
	default:
		tcp_produced(&e->c, take(w, 1), w->now);
	}
}

static void step(struct world *w)
{
	uint32_t what = take(w, 1);
	struct end *e = &w->end[what % FLOWS];

	what >>= 2;
	if (what < 4)
		begin(e);
	else if (what < 12)
		pass(w);
	else if (what < 26)
		call(e);
	else
		wire(e);
}

/* After every step. */
static void check(struct world *w)
{
	uint32_t half = 0, live = 0;

	for (unsigned int i = 0; i < FLOWS; i++) {
		struct end *e = &w->end[i];
		const char *broken;

		if (!e->used)
			continue;
		if (take(w, 1) & 3)
			tcp_output(&e->c, w->now);
		broken = tcp_check(&e->c);
		if (broken) {
			fprintf(stderr, "broken: %s\n", broken);
			abort();
		}
		half += e->c.state == TCP_S_SYN_RCVD && e->c.listener;
		if (e->c.state == TCP_S_CLOSED && !e->c.rst_due) {
			tcp_release(&e->c);
			e->used = false;
		}
		live += e->used;
	}
	PROMISE(live || w->pool.n_free == w->pool.n_total);
	PROMISE(half == w->l.n_half && half <= w->l.backlog);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	w.in = (struct bytes){data, size};
	setup(&w);
	while (w.in.left) {
		step(&w);
		check(&w);
	}
	return 0;
}
