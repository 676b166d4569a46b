/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * matrix.c - the complete state x segment matrix: every state, every combination of six flags, the
 * sequence number below, at, inside and above the window (open and closed), the acknowledgement
 * below, at, inside and above what is in flight, no, little and a full segment of text, with and
 * without timestamps, which may be new, the same, old or missing. What the core does is compared
 * with what oracle.c read in the RFCs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tcpstack/tcp_open.h"
#include "tests/matrix/oracle.h"

#define SND   0xfffffc00u /* SND.UNA; SND.NXT is beyond the wrap */
#define RCV   0xfffff800u /* RCV.NXT */
#define MSS   1000u
#define WND   5000u  /* RCV.WND when it is open */
#define PEER  60000u /* SND.WND */
#define FIELD 50000u /* SND.WND of the arriving segments */
#define TS    7000u  /* TS.Recent */
#define SHOWN 20     /* differences that are printed */

/** A core, its TCB as the rig knows it, and what came out. */
struct rig {
	struct tcp_conn c; /* first: ops get the rig from it */
	struct tcb t;
	bool aborted, opened, ended;
	unsigned int n_out;
	struct tcp_emit out[4];
};

/** States as they are reached. */
enum how {
	CLOSED,
	LISTEN,
	SYN_SENT,
	SYN_PASSIVE,
	SYN_ACTIVE,
	ESTAB,
	FW1,
	FW2,
	CW,
	CLOSING,
	LA,
	TW,
	HOWS
};

static const char *const how_name[HOWS] = {
	"CLOSED",      "LISTEN",     "SYN-SENT",   "SYN-RECEIVED passive", "SYN-RECEIVED active",
	"ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",	   "CLOSING",
	"LAST-ACK",    "TIME-WAIT",
};

/** Timestamps of the connection and of the segment. */
enum stamps { NONE, UNWANTED, NEWER, SAME, OLDER, MISSING, STAMPS };

static const char *const stamp_name[STAMPS] = {"none", "unwanted", "newer",
					       "same", "older",	   "missing"};

static struct tcp_cfg cfg;
static struct tcp_pool pool;	 /* of rec[] */
static struct tcp_txrec rec[64]; /* transmission records of the one connection there is */
static struct tcp_pool fresh_pool;
static struct tcp_txrec fresh_rec[64]; /* both as they belong to the connection that is copied */
static struct tcp_keys keys;
static struct net_flow flow;
static const uint64_t start = 1000000000;

static int op_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

static int op_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct rig *r = (struct rig *)c;

	if (r->n_out < 4)
		r->out[r->n_out] = *e;
	r->n_out++;
	return 0;
}

static void op_acked(struct tcp_conn *c, uint32_t una)
{
}

static void op_event(struct tcp_conn *c, enum tcp_event ev)
{
	struct rig *r = (struct rig *)c;

	r->aborted |= ev == TCP_E_RESET || ev == TCP_E_REFUSED;
	r->opened |= ev == TCP_E_ESTABLISHED;
	r->ended |= ev == TCP_E_RESET || ev == TCP_E_REFUSED || ev == TCP_E_CLOSED;
}

static const struct tcp_ops ops = {op_want, op_emit, op_acked, op_event};

/* --- reaching a state ------------------------------------------------------------------- */

static struct rig *child; /* where a listener puts its connection */

static struct tcp_conn *take(struct tcp_listener *l, const struct net_flow *f)
{
	return &child->c;
}

static const struct tcp_listen_ops lops = {take};
static struct tcp_listener listener;

/* What a segment carries beside its numbers. */
static struct tcp_seg segment(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	return (struct tcp_seg){.seq = seq, .ack = ack, .len = len, .flags = flags, .wnd = PEER};
}

/* A segment arrives; all it brings is placed. */
static struct tcp_rx arrive(struct rig *r, const struct tcp_seg *s, uint64_t now)
{
	struct tcp_rx_pos pos;
	struct tcp_rx rx;

	tcp_input(&r->c, s, now, &rx);
	if (rx.len || rx.fin) {
		tcp_rx_get(&r->c, &pos);
		tcp_placed(&r->c, &pos, now);
	}
	tcp_output(&r->c, now);
	return rx;
}

static struct tcp_offer offer(bool ts)
{
	return (struct tcp_offer){.room = WND, .mss = MSS, .opts = ts ? TCP_O_TS : 0};
}

/* SYN-SENT and SYN-RECEIVED. */
static void open_rig(struct rig *r, enum how how, bool ts)
{
	struct tcp_seg syn = segment(TCP_SYN, RCV - 1, 0, 0);
	struct tcp_offer o = offer(ts);
	struct tcp_listen_res res;

	tcp_pool_init(&pool, rec, 64, 32); /* the connection before is gone */
	syn.mss = MSS;
	syn.has_ts = ts;
	syn.tsval = TS;
	if (how == SYN_PASSIVE) {
		child = r;
		listener.offer = o;
		listener.n_half = 0;
		tcp_listen_input(&listener, &flow, &syn, NULL, start, &res);
		assert_int_equal(res.verdict, TCP_L_HALF_OPEN);
	} else {
		assert_int_equal(tcp_connect(&r->c, &cfg, &o, &flow, start), 0);
	}
	tcp_output(&r->c, start);
	assert_int_equal(r->n_out, 1);
	r->t = (struct tcb){.state = how == SYN_SENT ? TCP_S_SYN_SENT : TCP_S_SYN_RCVD,
			    .passive = how == SYN_PASSIVE,
			    .una = r->out[0].seq,
			    .nxt = r->out[0].seq + 1,
			    .rcv_nxt = how == SYN_SENT ? 0 : RCV,
			    .rcv_wnd = WND,
			    .ts = ts,
			    .ts_recent = how == SYN_SENT ? 0 : TS};
	if (how == SYN_ACTIVE)
		arrive(r, &syn, start);
}

/* ESTABLISHED or CLOSE-WAIT with RCV.NXT, and `bytes` in flight. */
static void import(struct rig *r, enum tcp_state state, uint32_t rcv, uint32_t wnd, bool ts,
		   uint32_t bytes)
{
	struct tcp_state_io st = {
		.version = TCP_STATE_VERSION,
		.state = state,
		.sack_ok = true,
		.ts_ok = ts,
		.ts_recent_valid = ts,
		.mss = MSS + (ts ? 12 : 0),
		.snd_una = SND,
		.snd_nxt = SND,
		.snd_avail = SND,
		.snd_wnd = PEER,
		.snd_wl1 = rcv,
		.snd_wl2 = SND,
		.max_wnd = PEER,
		.rcv_nxt = rcv,
		.rcv_edge = RCV + wnd,
		.rcv_room = RCV + wnd,
		.ts_val = 500000,
		.ts_recent = TS,
	};

	tcp_pool_init(&pool, rec, 64, 32); /* the connection before is gone */
	assert_int_equal(tcp_import(&r->c, &cfg, &st, start), 0);
	tcp_produced(&r->c, bytes, start);
	tcp_output(&r->c, start);
}

static void shut(struct rig *r)
{
	tcp_shutdown(&r->c, start);
	tcp_output(&r->c, start);
}

/* A segment of the client on the way to a state. */
static void hear(struct rig *r, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct tcp_seg s = segment(flags, seq, ack, 0);

	s.has_ts = r->t.ts;
	s.tsval = TS;
	arrive(r, &s, start);
	r->t.wl1 = seq;
	r->t.wl2 = ack;
}

/* The synchronised states. */
static void sync_rig(struct rig *r, enum how how, uint32_t wnd, bool ts)
{
	static const enum tcp_state state[HOWS] = {
		[ESTAB] = TCP_S_ESTABLISHED, [FW1] = TCP_S_FIN_WAIT_1,	[FW2] = TCP_S_FIN_WAIT_2,
		[CW] = TCP_S_CLOSE_WAIT,     [CLOSING] = TCP_S_CLOSING, [LA] = TCP_S_LAST_ACK,
		[TW] = TCP_S_TIME_WAIT,
	};
	bool heard = how == CLOSING || how == TW, fin = how != ESTAB && how != CW;
	uint32_t rcv = heard ? RCV - 1 : RCV, bytes = fin ? 1000 : 2000, nxt = SND + bytes + fin;

	r->t = (struct tcb){.state = state[how],
			    .una = how == FW2 || how == TW ? nxt : SND,
			    .nxt = nxt,
			    .wnd = PEER,
			    .wl1 = rcv,
			    .wl2 = SND,
			    .max_wnd = PEER,
			    .rcv_nxt = RCV,
			    .rcv_wnd = wnd,
			    .fin_sent = fin,
			    .ts = ts,
			    .ts_recent = TS};
	import(r, how == CW || how == LA ? TCP_S_CLOSE_WAIT : TCP_S_ESTABLISHED, rcv, wnd, ts,
	       bytes);
	if (fin)
		shut(r);
	if (how == FW2 || how == TW)
		hear(r, TCP_ACK, rcv, nxt);
	if (heard)
		hear(r, TCP_ACK | TCP_FIN, rcv, r->t.una);
}

/* A core in the state, nothing due. */
static void make(struct rig *r, enum how how, uint32_t wnd, bool ts)
{
	memset(r, 0, sizeof(*r));
	r->t.ts = ts;
	if (how == CLOSED || how == LISTEN)
		r->t = (struct tcb){.state = how == LISTEN ? TCP_S_LISTEN : TCP_S_CLOSED};
	else if (how <= SYN_ACTIVE)
		open_rig(r, how, ts);
	else
		sync_rig(r, how, wnd, ts);
	r->n_out = 0;
	r->aborted = r->opened = r->ended = false;
	if (how <= LISTEN)
		return;
	assert_int_equal(r->c.state, r->t.state);
	assert_int_equal(r->c.snd_una, r->t.una);
	assert_int_equal(r->c.snd_nxt, r->t.nxt);
	assert_int_equal(r->c.rcv_nxt, r->t.rcv_nxt);
}

/* --- one case --------------------------------------------------------------------------- */

/* What was seen, in the oracle's terms. */
static struct outcome observe(struct rig *r, const struct tcp_seg *s, uint64_t now)
{
	struct outcome o = {.section = "seen"};
	struct tcp_rx rx = {.len = 0};
	struct tcp_listen_res res;
	struct tcp_emit e = {.flags = 0};

	if (r->t.state == TCP_S_LISTEN) {
		child = r;
		tcp_listen_input(&listener, &flow, s, NULL, now, &res);
		if (res.has_reply)
			r->out[r->n_out++] = res.reply;
		if (res.conn)
			tcp_output(res.conn, now);
		listener.n_half = 0;
		o.state = res.conn ? res.conn->state : TCP_S_LISTEN;
	} else if (r->t.state == TCP_S_CLOSED) {
		if (tcp_reset_for(s, &e))
			r->out[r->n_out++] = e;
		o.state = TCP_S_CLOSED;
	} else {
		rx = arrive(r, s, now);
		o.state = r->c.state;
		o.una = r->c.snd_una;
		o.rcv_nxt = r->c.rcv_nxt;
		o.wnd = r->c.snd_wnd;
		o.ts_recent = r->c.ts_recent;
		o.restarts_2msl = o.state == TCP_S_TIME_WAIT &&
				  tcp_deadline(&r->c, now) == now + cfg.time_wait_us;
	}
	o.text = rx.len ? rx.seq : 0;
	o.text_len = rx.len;
	o.aborted = r->aborted;
	o.opens = r->opened;
	if (r->n_out) {
		e = r->out[0];
		o.reply_seq = e.seq;
		o.reply_ack = e.ack;
		o.reply = e.flags == TCP_ACK		   ? AN_ACK
			  : e.flags == TCP_RST		   ? A_RST
			  : e.flags == (TCP_RST | TCP_ACK) ? A_RST_ACK
							   : A_SYN_ACK;
	}
	return o;
}

/* Names the first difference, NULL: none. */
static const char *differs(const struct rig *r, const struct outcome *want,
			   const struct outcome *got)
{
	bool gone = want->state == TCP_S_CLOSED;

	if (want->state != got->state)
		return "state";
	if (want->reply != got->reply || r->n_out > 1)
		return "reply";
	if ((want->reply == AN_ACK || want->reply == A_RST) && want->reply_seq != got->reply_seq)
		return "SEQ of the reply";
	if (want->reply != NOTHING && want->reply != A_RST && want->reply_ack != got->reply_ack)
		return "ACK of the reply";
	if (want->text_len != got->text_len || (want->text_len && want->text != got->text))
		return "text";
	if (!r->t.passive && want->aborted != got->aborted) /* nobody knows of a half-open one */
		return "what the user is told";
	if (want->opens != got->opens)
		return "opening";
	if (gone || r->t.state == TCP_S_LISTEN)
		return NULL;
	if (want->una != got->una)
		return "SND.UNA";
	if (want->rcv_nxt != got->rcv_nxt)
		return "RCV.NXT";
	if (want->state != TCP_S_SYN_RCVD && want->wnd != got->wnd)
		return "SND.WND";
	if (r->t.ts && want->ts_recent != got->ts_recent)
		return "TS.Recent";
	return want->restarts_2msl && !got->restarts_2msl ? "2 MSL" : NULL;
}

static void print(const struct outcome *o)
{
	static const char *const reply[] = {"nothing", "ACK", "RST", "RST,ACK", "SYN,ACK"};

	print_error(
		"   %s: %s, %s seq %x ack %x, una %x, rcv.nxt %x, wnd %u, ts %u, text %x+%u%s%s%s\n",
		o->section, tcp_state_name(o->state), reply[o->reply], o->reply_seq, o->reply_ack,
		o->una, o->rcv_nxt, o->wnd, o->ts_recent, o->text, o->text_len,
		o->aborted ? ", aborted" : "", o->opens ? ", opens" : "",
		o->restarts_2msl ? ", 2 MSL" : "");
}

static unsigned long cases, wrong;

/* One case: the core in r against the oracle. */
static void check(const struct rig *fresh, enum how how, enum stamps st, const struct tcp_seg *s)
{
	struct outcome want = oracle(&fresh->t, s), got;
	struct rig r = *fresh;
	const char *what;

	pool = fresh_pool;
	memcpy(rec, fresh_rec, sizeof(rec));

	got = observe(&r, s, start + 1000000);
	what = differs(&r, &want, &got);
	cases++;
	if (!what || wrong++ >= SHOWN)
		return;
	print_error(
		"%s, window %u, timestamps %s: flags %s%s%s%s%s%s seq %+d ack una%+d len %u: %s\n",
		how_name[how], fresh->t.rcv_wnd, stamp_name[st], s->flags & TCP_FIN ? "F" : "",
		s->flags & TCP_SYN ? "S" : "", s->flags & TCP_RST ? "R" : "",
		s->flags & TCP_PSH ? "P" : "", s->flags & TCP_ACK ? "A" : "",
		s->flags & TCP_URG ? "U" : "", (int)(s->seq - fresh->t.rcv_nxt),
		(int)(s->ack - fresh->t.una), s->len, what);
	print(&want);
	print(&got);
}

/* All segments for one core. */
static void all_segments(const struct rig *fresh, enum how how, enum stamps st)
{
	const struct tcb *t = &fresh->t;
	uint32_t w = t->rcv_wnd, in_flight = t->nxt - t->una;
	const int64_t seqs[] = {
		-(1ll << 30) - 7, -100000, -1001, -1000, -999, -2, -1, 0, 1, 3000, w - 1, w, w + 1,
		w + 1000,	  1 << 30};
	const int64_t acks[] = {-(int64_t)t->max_wnd - 1,
				-(int64_t)t->max_wnd,
				-1,
				0,
				1,
				in_flight / 2,
				in_flight,
				in_flight + 1,
				1 << 30};
	const uint32_t lens[] = {0, 1, MSS};
	struct tcp_seg s = {.wnd = FIELD, .mss = MSS};

	s.has_ts = st != NONE && st != MISSING;
	s.tsval = st == NEWER ? TS + 1 : st == OLDER ? TS - 1 : TS;
	for (unsigned int f = 0; f < 64; f++) {
		s.flags = (uint8_t)f;
		for (size_t i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
			s.seq = t->rcv_nxt + (uint32_t)seqs[i];
			for (size_t a = 0; a < sizeof(acks) / sizeof(acks[0]); a++) {
				s.ack = t->una + (uint32_t)acks[a];
				for (size_t l = 0; l < 3; l++) {
					s.len = lens[l];
					check(fresh, how, st, &s);
				}
				if (!(f & TCP_ACK))
					break; /* SEG.ACK means nothing */
			}
		}
	}
}

static void run(enum how how)
{
	cases = wrong = 0;
	for (uint32_t wnd = 0; wnd <= WND; wnd += WND) {
		if (!wnd && how <= SYN_ACTIVE)
			continue; /* an opening offers a window */
		for (int st = 0; st < STAMPS; st++) {
			struct rig fresh;

			if (how <= LISTEN && st > UNWANTED)
				continue;
			make(&fresh, how, wnd, st >= NEWER);
			fresh_pool = pool;
			memcpy(fresh_rec, rec, sizeof(rec));
			all_segments(&fresh, how, st);
		}
	}
	print_message("%s: %lu cases, %lu differ\n", how_name[how], cases, wrong);
	assert_int_equal(wrong, 0);
	assert_true(cases > 5000);
}

#define CASE(name, how)                       \
	static void test_##name(void **state) \
	{                                     \
		run(how);                     \
	}
CASE(closed, CLOSED)
CASE(listen, LISTEN)
CASE(syn_sent, SYN_SENT)
CASE(syn_received_passive, SYN_PASSIVE)
CASE(syn_received_active, SYN_ACTIVE)
CASE(established, ESTAB)
CASE(fin_wait_1, FW1)
CASE(fin_wait_2, FW2)
CASE(close_wait, CW)
CASE(closing, CLOSING)
CASE(last_ack, LA)
CASE(time_wait, TW)

static int setup(void **state)
{
	uint8_t seed[4 * TCP_KEY_LEN] = {1, 2, 3};

	tcp_keys_init(&keys, seed);
	tcp_cfg_default(&cfg);
	cfg.ops = &ops;
	cfg.pool = &pool;
	cfg.keys = &keys;
	net_addr_parse("10.77.0.11", &flow.local);
	net_addr_parse("10.77.0.2", &flow.remote);
	flow.lport = 80;
	flow.rport = 4000;
	listener = (struct tcp_listener){.cfg = &cfg, .lop = &lops, .backlog = 1};
	listener.offer = offer(true);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_syn_sent),
		cmocka_unit_test(test_syn_received_passive),
		cmocka_unit_test(test_syn_received_active),
		cmocka_unit_test(test_established),
		cmocka_unit_test(test_fin_wait_1),
		cmocka_unit_test(test_fin_wait_2),
		cmocka_unit_test(test_close_wait),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_last_ack),
		cmocka_unit_test(test_time_wait),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
