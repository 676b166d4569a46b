/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cost.c - what the TCP core costs: one operation many times, apart from any shell.
 *
 *   tcp_cost NAME TIMES     prints operations done and cycles of the time stamp counter per
 *operation tcp_cost sizes          prints sizes in bytes
 *
 * The operation is the body of cost_NAME(), the only function that callgrind is told to collect in
 * (--toggle-collect). The connection is established, without loss, in congestion avoidance, with
 * timestamps and SACK; payload is always here, and the shell's functions only note what was
 * asked.
 *
 *	ack	an ACK for two segments arrives
 *	sack	an ACK with one SACK block arrives, in recovery
 *	emit	tcp_output() emits one segment, tcp_sent() tells it left
 *	run	the same with a run of 64 KB
 *	recv	a full segment arrives in order and is placed; every second is acknowledged
 *	syn	a SYN arrives at a listener and is answered by a cookie
 *	cookie	the same, and the ACK with the cookie arrives: the connection is established
 *	bulk	64 KB are produced, emitted as runs, and acknowledged segment pair by segment pair
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/gw_conn.h"
#include "tcpstack/tcp_open.h"

#define MSS	1460
#define DATA	(MSS - 12) /* with timestamps */
#define WND	(64u << 20)
#define RECORDS 1024 /* transmission records */
#define STEP	10   /* microseconds between operations */

/* A function that is called as it stands, so that a profiler finds it. */
#if defined(__GNUC__) && !defined(__clang__)
#define ALONE __attribute__((noipa))
#else
#define ALONE __attribute__((noinline))
#endif

/** The connection and the little shell around it. */
struct cost {
	struct tcp_conn c; /* first: ops get the shell from it */
	struct tcp_cfg cfg;
	struct tcp_pool pool;	       /* of rec[] */
	struct tcp_txrec rec[RECORDS]; /* transmission records */
	uint64_t now;
	struct tcp_range out; /* last run emitted */
	unsigned int segs;    /* segments of payload emitted */
	uint32_t tsval;	      /* the client's clock */
	struct tcp_keys keys; /* of openings */
	struct tcp_listener l;
	struct tcp_listen_res res; /* of the last segment there */
	struct net_flow f;	   /* another port each time */
};

static struct cost w;

static int on_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

static int on_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct cost *s = (struct cost *)c;

	if (!e->len)
		return 0;
	s->out = (struct tcp_range){e->seq, e->seq + e->len};
	s->segs += (e->len + e->mss - 1) / e->mss;
	return 0;
}

static void on_acked(struct tcp_conn *c, uint32_t una)
{
}

static void on_event(struct tcp_conn *c, enum tcp_event ev)
{
	if (ev == TCP_E_ESTABLISHED)
		return;
	fprintf(stderr, "unexpected event: %s\n", tcp_event_name(ev));
	exit(1);
}

static const struct tcp_ops ops = {on_want, on_emit, on_acked, on_event};

static void start(uint32_t max_burst)
{
	struct tcp_state_io st = {
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.snd_wscale = 14,
		.rcv_wscale = 14,
		.wscale_ok = true,
		.sack_ok = true,
		.ts_ok = true,
		.ts_recent_valid = true,
		.mss = MSS,
		.snd_una = 1000,
		.snd_nxt = 1000,
		.snd_avail = 1000,
		.snd_wnd = WND,
		.max_wnd = WND,
		.snd_wl1 = 5000,
		.snd_wl2 = 1000,
		.rcv_nxt = 5000,
		.rcv_edge = 5000 + WND,
		.rcv_room = 5000 + WND,
		.ts_val = 1,
		.ts_recent = 1,
		.cwnd = 1u << 20,
		.ssthresh = 1u << 19,
		.srtt_us = 1000,
		.rttvar_us = 100,
	};

	tcp_cfg_default(&w.cfg);

	w.cfg.ops = &ops;
	tcp_pool_init(&w.pool, w.rec, RECORDS, RECORDS / 2);
	w.cfg.pool = &w.pool;
	w.cfg.max_burst = max_burst;
	w.now = 1000000;
	w.tsval = 1;
	if (tcp_import(&w.c, &w.cfg, &st, w.now)) {
		fprintf(stderr, "import failed\n");
		exit(1);
	}
}

/* Emits up to `bytes` outside of what is measured. */
static void fill(uint32_t bytes)
{
	tcp_produced(&w.c, bytes, w.now);
	for (;;) {
		uint32_t nxt = w.c.snd_nxt;

		tcp_output(&w.c, w.now);
		if (w.c.snd_nxt == nxt)
			return;
		tcp_sent(&w.c, nxt, w.c.snd_nxt - nxt, w.now);
	}
}

static struct tcp_seg ack_seg(uint32_t ack)
{
	return (struct tcp_seg){.seq = w.c.rcv_nxt,
				.ack = ack,
				.wnd = WND >> 14,
				.flags = TCP_ACK,
				.has_ts = true,
				.tsval = w.tsval += 1,
				.tsecr = (uint32_t)((w.now - 1000000) / 1000) + 1};
}

static ALONE void cost_ack(const struct tcp_seg *seg)
{
	struct tcp_rx rx;

	tcp_input(&w.c, seg, w.now, &rx);
}

static ALONE void cost_sack(const struct tcp_seg *seg)
{
	struct tcp_rx rx;

	tcp_input(&w.c, seg, w.now, &rx);
}

static ALONE void cost_emit(void)
{
	tcp_output(&w.c, w.now);
	tcp_sent(&w.c, w.out.start, w.out.end - w.out.start, w.now);
}

static ALONE void cost_run(void)
{
	tcp_output(&w.c, w.now);
	tcp_sent(&w.c, w.out.start, w.out.end - w.out.start, w.now);
}

static ALONE void cost_recv(const struct tcp_seg *seg)
{
	struct tcp_rx_pos pos;
	struct tcp_rx rx;

	tcp_input(&w.c, seg, w.now, &rx);
	tcp_rx_get(&w.c, &pos);
	tcp_placed(&w.c, &pos, w.now);
	tcp_output(&w.c, w.now);
}

static ALONE void cost_bulk(void)
{
	uint32_t end;

	tcp_produced(&w.c, 65536, w.now);
	end = w.c.snd_avail;
	while (w.c.snd_una != end) {
		uint32_t nxt = w.c.snd_nxt, next = w.c.snd_una + 2 * DATA;
		struct tcp_seg seg;
		struct tcp_rx rx;

		tcp_output(&w.c, w.now);
		if (w.c.snd_nxt != nxt)
			tcp_sent(&w.c, nxt, w.c.snd_nxt - nxt, w.now);
		if (w.c.snd_una == w.c.snd_nxt)
			return; /* the rest waits for more */
		seg = ack_seg(tcp_lt(next, w.c.snd_nxt) ? next : w.c.snd_nxt);
		w.now += STEP;
		tcp_input(&w.c, &seg, w.now, &rx);
	}
}

static unsigned int one_ack(void)
{
	struct tcp_seg seg;

	if (w.c.snd_nxt - w.c.snd_una < 4 * DATA)
		fill(128 * DATA);
	seg = ack_seg(w.c.snd_una + 2 * DATA);
	cost_ack(&seg);
	return 1;
}

/* Recovery with the first segment lost and a few hundred after it: one more SACKed by each ACK. */
static unsigned int one_sack(void)
{
	static uint32_t sacked;
	struct tcp_seg seg;

	if (sacked == w.c.snd_nxt || w.c.snd_nxt == w.c.snd_una) {
		seg = ack_seg(w.c.snd_nxt);
		cost_ack(&seg);
		fill(300 * DATA);
		sacked = w.c.snd_una + DATA;
	}
	seg = ack_seg(w.c.snd_una);
	seg.n_sack = 1;
	seg.sack[0] = (struct tcp_range){w.c.snd_una + DATA, sacked += DATA};
	if (tcp_lt(w.c.snd_nxt, sacked))
		seg.sack[0].end = sacked = w.c.snd_nxt;
	cost_sack(&seg);
	return 1;
}

static void ack_all(void)
{
	struct tcp_seg seg = ack_seg(w.c.snd_nxt);

	if (w.c.snd_nxt != w.c.snd_una)
		cost_ack(&seg);
}

static unsigned int one_emit(void)
{
	unsigned int before = w.segs;

	if (w.c.snd_nxt - w.c.snd_una > 64 * DATA)
		ack_all();
	tcp_produced(&w.c, DATA, w.now);
	cost_emit();
	return w.segs - before;
}

static unsigned int one_run(void)
{
	uint32_t nxt = w.c.snd_nxt;

	ack_all();
	tcp_produced(&w.c, 44 * DATA, w.now);
	cost_run();
	return w.c.snd_nxt - nxt == 44 * DATA;
}

static unsigned int one_recv(void)
{
	struct tcp_seg seg = ack_seg(w.c.snd_una);

	seg.len = DATA;
	cost_recv(&seg);
	tcp_room(&w.c, w.c.rcv_nxt + WND, w.now);
	return 1;
}

static unsigned int one_bulk(void)
{
	cost_bulk();
	return 1;
}

static struct tcp_conn *on_take(struct tcp_listener *l, const struct net_flow *f)
{
	return &w.c;
}

static const struct tcp_listen_ops listen_ops = {on_take};

/* The SYN of the next client, with every option. */
static struct tcp_seg next_syn(void)
{
	w.l = (struct tcp_listener){
		.cfg = &w.cfg,
		.lop = &listen_ops,
		.offer = {WND, MSS, TCP_O_ALL, TCP_WSCALE_AUTO},
		.cookies = TCP_COOKIE_ALWAYS,
		.cookie_period = w.l.cookie_period,
	};
	w.cfg.keys = &w.keys;
	w.f.rport++;
	return (struct tcp_seg){.seq = w.tsval * 12345,
				.flags = TCP_SYN,
				.mss = MSS,
				.has_ts = true,
				.tsval = w.tsval++,
				.sack_ok = true,
				.has_wscale = true,
				.wscale = 7};
}

void cost_syn(const struct tcp_seg *seg);
void cost_cookie(struct tcp_seg *seg);

ALONE void cost_syn(const struct tcp_seg *seg)
{
	tcp_listen_input(&w.l, &w.f, seg, NULL, w.now, &w.res);
}

/* The SYN, and the ACK that its cookie brings. */
ALONE void cost_cookie(struct tcp_seg *seg)
{
	const uint8_t *ts = w.res.reply.opt + 8;

	tcp_listen_input(&w.l, &w.f, seg, NULL, w.now, &w.res);
	seg->seq++;
	seg->ack = w.res.reply.seq + 1;
	seg->flags = TCP_ACK;
	seg->tsecr = (uint32_t)ts[0] << 24 | (uint32_t)ts[1] << 16 | (uint32_t)ts[2] << 8 | ts[3];
	tcp_listen_input(&w.l, &w.f, seg, NULL, w.now, &w.res);
}

static unsigned int one_syn(void)
{
	struct tcp_seg seg = next_syn();

	cost_syn(&seg);
	return w.res.verdict == TCP_L_COOKIE;
}

static unsigned int one_cookie(void)
{
	struct tcp_seg seg = next_syn();

	tcp_detach(&w.c);
	cost_cookie(&seg);
	return w.res.verdict == TCP_L_ESTABLISHED;
}

static uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
#endif
}

static void sizes(void)
{
	printf("TCP core of a connection %zu\n", sizeof(struct tcp_conn));
	printf("whole idle connection %zu\n", sizeof(struct gw_conn));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		unsigned int (*one)(void); /* returns operations done */
		uint32_t max_burst;
	} ways[] = {
		{"ack", one_ack, 65536}, {"sack", one_sack, 65536},	{"emit", one_emit, DATA},
		{"run", one_run, 65536}, {"recv", one_recv, 65536},	{"bulk", one_bulk, 65536},
		{"syn", one_syn, 65536}, {"cookie", one_cookie, 65536},
	};
	unsigned long long done = 0;
	uint64_t start_at;

	if (argc == 2 && strcmp(argv[1], "sizes") == 0) {
		sizes();
		return 0;
	}
	for (unsigned int i = 0; argc == 3 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name) != 0)
			continue;
		start(ways[i].max_burst);
		start_at = ticks();
		for (long n = atol(argv[2]); n > 0; n--, w.now += STEP)
			done += ways[i].one();
		printf("%llu %.1f\n", done, (double)(ticks() - start_at) / (double)done);
		return done ? 0 : 1;
	}
	fprintf(stderr, "usage: %s sizes | ack|sack|emit|run|recv|bulk|syn|cookie TIMES\n",
		argv[0]);
	return 2;
}
