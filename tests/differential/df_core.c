/* SPDX-License-Identifier: BSD-3-Clause */
/* df_core.c - a trace against the core in virtual time; what comes is read at once. */
#include <string.h>

#include "df.h"
#include "tcpstack/net_build.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/tcp_open.h"

#define START	1000000ull /* microseconds of the trace's beginning */
#define L2_LEN	14
#define RING	(64u << 10)
#define RECORDS 256 /* of transmissions */

/** The core under test and its shell. */
struct core {
	struct tcp_conn c; /* first: ops get the shell from it */
	struct tcp_cfg cfg;
	struct tcp_keys keys;
	struct tcp_pool pool; /* of rec[] */
	struct tcp_txrec rec[RECORDS];
	struct tcp_listener l;
	struct df_peer *p;
	uint64_t now;
	bool live; /* there is a connection */
};

static struct core *listening; /* whose listener it is */

static double ms_of(const struct core *k)
{
	return (double)(k->now - START) / 1000;
}

/* Notes one segment of a run. */
static void note(struct core *k, const struct tcp_emit *e, uint32_t off, uint32_t len)
{
	static const struct net_l2 l2;
	uint8_t buf[L2_LEN + DF_PACKET], flags = e->flags;
	uint16_t l4;
	size_t n;

	if (off + len < e->len)
		flags &= (uint8_t) ~(TCP_PSH | TCP_FIN);
	n = net_build_tcp(buf, sizeof(buf), &l2, &k->p->flow, e, e->seq + off, flags, len, 0, &l4);
	memset(buf + n, 0, len);
	net_tcp_csum_finish(buf + l4, n - l4, 0);
	df_peer_note(k->p, buf + L2_LEN, (uint32_t)(n + len - L2_LEN), ms_of(k));
}

static int on_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

static int on_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct core *k = (struct core *)c;
	uint32_t off = 0;

	do {
		uint32_t n = e->len - off < e->mss ? e->len - off : e->mss;

		note(k, e, off, n);
		off += n;
	} while (off < e->len);
	return 0;
}

static void on_acked(struct tcp_conn *c, uint32_t una)
{
}

static void on_event(struct tcp_conn *c, enum tcp_event ev)
{
}

static struct tcp_conn *on_take(struct tcp_listener *l, const struct net_flow *f)
{
	if (listening->live)
		return NULL;
	listening->live = true;
	return &listening->c;
}

static const struct tcp_ops ops = {on_want, on_emit, on_acked, on_event};
static const struct tcp_listen_ops listen_ops = {on_take};
static const struct tcp_offer offer = {
	.room = RING, .mss = 1460, .opts = TCP_O_ALL & ~TCP_O_ECN, .wscale = 7};

/* Everything that was accepted is placed and read. */
static void place(struct core *k)
{
	struct tcp_rx_pos pos;

	tcp_rx_get(&k->c, &pos);
	tcp_placed(&k->c, &pos, k->now);
	tcp_room(&k->c, pos.rcv_nxt - pos.fin + RING, k->now);
}

static void to_listener(struct core *k, const struct tcp_seg *seg)
{
	struct tcp_listen_res res;

	listening = k;
	tcp_listen_input(&k->l, &k->p->flow, seg, NULL, k->now, &res);
	if (res.has_reply)
		note(k, &res.reply, 0, 0);
}

static void arrive(struct core *k, const struct df_step *s)
{
	uint8_t frame[L2_LEN + DF_PACKET] = {[12] = 8};
	uint32_t len = df_peer_packet(k->p, s, frame + L2_LEN);
	struct tcp_emit rst;
	struct tcp_seg seg;
	struct net_pkt pkt;
	struct tcp_rx rx;

	if (net_parse(frame, len + L2_LEN, NET_F_CSUM_L4 | NET_F_CSUM_IP, &pkt) != NET_PERR_OK ||
	    net_parse_tcp(frame, &pkt, &seg) != NET_PERR_OK)
		return; /* as the gateway drops and counts it */
	if (!k->live && !k->p->t->active) {
		to_listener(k, &seg);
		return;
	}
	if (!k->live || k->c.state == TCP_S_CLOSED) {
		if (tcp_reset_for(&seg, &rst))
			note(k, &rst, 0, 0);
		return;
	}
	tcp_input(&k->c, &seg, k->now, &rx);
	if (rx.len || rx.fin)
		place(k);
}

static void do_step(struct core *k, const struct df_step *s)
{
	switch (s->what) {
	case DF_SEG:
		arrive(k, s);
		break;
	case DF_WRITE:
		tcp_produced(&k->c, s->n, k->now);
		break;
	case DF_SHUTDOWN:
		tcp_shutdown(&k->c, k->now);
		break;
	case DF_CONNECT:
		k->live = !tcp_connect(&k->c, &k->cfg, &offer, &k->p->flow, k->now);
		break;
	case DF_END:
		break;
	}
}

static void output(struct core *k)
{
	uint32_t before = k->c.snd_nxt;

	tcp_output(&k->c, k->now);
	if (k->c.snd_nxt != before)
		tcp_sent(&k->c, before, k->c.snd_nxt - before, k->now);
}

/* Timers up to `until`, then that time. */
static void pass(struct core *k, uint64_t until)
{
	while (k->live && tcp_deadline(&k->c, k->now) <= until) {
		k->now = tcp_deadline(&k->c, k->now);
		tcp_timer(&k->c, k->now);
		output(k);
	}
	k->now = until;
}

void df_core_play(struct df_peer *p)
{
	static const uint8_t seed[4 * TCP_KEY_LEN] =
		"differential runs need no secrets, only keys to";
	struct core k = {.p = p, .now = START};

	tcp_cfg_default(&k.cfg);

	k.cfg.ops = &ops;
	tcp_keys_init(&k.keys, seed);
	tcp_pool_init(&k.pool, k.rec, RECORDS, RECORDS);
	k.cfg.keys = &k.keys;
	k.cfg.pool = &k.pool;
	k.l.cfg = &k.cfg;
	k.l.lop = &listen_ops;
	k.l.offer = offer;
	k.l.backlog = 1;
	for (unsigned int i = 0; i < p->t->n_step; i++) {
		pass(&k, START + p->t->step[i].ms * 1000ull);
		p->step = i + 1;
		p->step_ms = p->t->step[i].ms;
		do_step(&k, &p->t->step[i]);
		if (k.live)
			output(&k);
	}
}
