/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_seqmap_model.c - random connections that come back: a small model of the kernel's TCP on
 * one side of a sequence map, a strict client on the other, loss, delay and reordering between
 * them. The client must see one contiguous stream with a window that never retreats and a clock
 * that never goes back; the kernel must never hear of anything it did not send; and no byte of
 * the stretch the gateway had emitted may appear on the wire before the kernel repeats it. After a
 * failed gateway everything is sent anew, and the client may acknowledge what the kernel never
 * sent.
 */
#include <stdlib.h>
#include <time.h>

#include "tests/unit/tcpstack/net_frame.h"
#include "tcpstack/seqmap.h"

#define N_OUT	30000 /* bytes the server sends after the return, then FIN */
#define N_IN	8000  /* bytes the client sends after the return, then FIN */
#define MSS	1400
#define RTO	25 /* ticks */
#define WINDOW	12000
#define IN_LINK 256

/** A frame on its way. */
struct flight {
	struct frame *f; /* owned; NULL: free */
	bool to_client;	 /* direction */
	uint32_t due;	 /* tick of arrival */
};

/** Both ends, the map and the link. Positions count bytes from the return; FIN is one more. */
struct world {
	unsigned int seed;	     /* of this run */
	uint32_t now;		     /* tick */
	uint32_t loss;		     /* percent */
	struct seqmap_init in;	     /* numbers of the return */
	struct seqmap m;	     /* under test */
	struct flight link[IN_LINK]; /* frames under way */

	uint32_t k_una, k_nxt;	/* kernel, positions sent */
	uint32_t k_rcv;		/* kernel, position expected */
	uint32_t k_wnd_edge;	/* kernel, right edge it offers */
	uint32_t k_timer;	/* tick of the last progress */
	bool k_sent[N_OUT + 1]; /* kernel has sent this at least once */

	uint32_t c_rcv;	       /* client, position expected */
	uint32_t c_una, c_nxt; /* client, positions sent */
	uint32_t c_edge;       /* client, right edge it was offered (position) */
	uint32_t c_timer;      /* tick of the last progress */
	uint32_t c_tsval;      /* client, highest TSval of in-order segments */
	bool c_got[N_OUT + 1]; /* client has this position */
	uint32_t dups;	       /* bytes that came to the client twice */
};

static uint32_t rnd(struct world *w, uint32_t below)
{
	return (uint32_t)rand_r(&w->seed) % below;
}

static uint8_t pattern(uint32_t pos, bool from_server)
{
	return (uint8_t)((pos + (from_server ? 7 : 0)) * 2654435761u >> 23);
}

/* Puts a segment of either side into its own numbers. */
static void make(struct world *w, struct frame *f, bool from_server, uint32_t seq, uint32_t ack,
		 uint32_t pos, uint32_t n, uint8_t flags, uint32_t wnd, const uint8_t *opt,
		 uint32_t optlen)
{
	uint8_t *tcp;
	uint32_t i;

	frame_eth(f, 0, 0x0800);
	frame_ip(f, from_server ? "10.0.0.1" : "10.0.0.2", from_server ? "10.0.0.2" : "10.0.0.1",
		 6);
	tcp = frame_tcp(f, seq, ack, flags, opt, optlen, n);
	for (i = 0; i < n; i++)
		tcp[20 + optlen + i] = pattern(pos + i, from_server);
	put16(tcp + 14, wnd);
	frame_done(f, 6);
}

/* Gives a frame to the link, which may lose it. */
static void transmit(struct world *w, const struct frame *f, bool to_client)
{
	uint32_t i;

	if (rnd(w, 100) < w->loss)
		return;
	for (i = 0; i < IN_LINK && w->link[i].f; i++)
		;
	if (i == IN_LINK)
		return;
	w->link[i].f = test_malloc(sizeof(*f));
	*w->link[i].f = *f;
	w->link[i].to_client = to_client;
	w->link[i].due = w->now + 1 + (w->loss ? rnd(w, 3) : 0);
}

static void put_stamps(uint8_t *opt, uint32_t val, uint32_t ecr)
{
	memcpy(opt, "\x01\x01\x08\x0a", 4);
	put32(opt + 4, val);
	put32(opt + 8, ecr);
}

/* --- the kernel --- */

static void kernel_ack(struct world *w, const struct tcp_seg *s)
{
	const uint32_t a = s->ack - w->in.k_snd;
	uint32_t i;

	assert_true((int32_t)(a - w->k_nxt) <= 0); /* nothing it did not send */
	for (i = 0; i < s->n_sack; i++)
		assert_true((int32_t)(s->sack[i].end - w->in.k_snd - w->k_nxt) <= 0);
	if (s->tsecr)
		assert_true((int32_t)(s->tsecr - (w->in.ts_kern + w->now)) <= 0);
	if ((int32_t)(a - w->k_una) > 0) {
		w->k_una = a;
		w->k_timer = w->now;
	}
}

/* The kernel sends [pos, pos+n), FIN included when it reaches N_OUT + 1. */
static void kernel_send(struct world *w, uint32_t pos, uint32_t n)
{
	const bool fin = n && pos + n > N_OUT;
	uint8_t opt[12], flags = TCP_ACK | (fin ? TCP_FIN : 0);
	struct net_pkt p;
	struct tcp_seg s;
	struct frame f;
	uint32_t len, i, at;

	put_stamps(opt, w->in.ts_kern + w->now, 1);
	make(w, &f, true, w->in.k_snd + pos, w->in.k_rcv + w->k_rcv, pos, n - fin, flags,
	     (w->k_wnd_edge - w->k_rcv) >> w->in.rcv_wscale, opt, 12);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	len = f.len;
	switch (seqmap_out(&w->m, f.b, &len, &p)) {
	case SEQMAP_BAD:
		fail();
		break;
	case SEQMAP_ABSORB:
		for (i = 0; i < n; i++) /* only what the gateway emitted, and only once */
			assert_true(pos + i < w->in.snd_max - w->in.una && !w->k_sent[pos + i]);
		break;
	case SEQMAP_PASS:
		f.len = len;
		assert_int_equal(parse(&f, &p), NET_PERR_OK);
		net_parse_tcp(f.b, &p, &s);
		at = s.seq - w->in.una;
		for (i = 0; i < s.len + !!(s.flags & TCP_FIN); i++)
			assert_true(at + i >= w->in.snd_max - w->in.una || w->k_sent[pos]);
		transmit(w, &f, true);
		break;
	}
	for (i = 0; i < n; i++)
		w->k_sent[pos + i] = true;
	if (w->k_nxt < pos + n)
		w->k_nxt = pos + n;
}

/* The map's own ACK goes straight to the kernel. */
static void kernel_told(struct world *w)
{
	static const struct net_l2 l2 = {.dst = {2}, .src = {4}};
	struct net_flow flow = {.rport = htons(80), .lport = htons(40000)};
	struct net_pkt p;
	struct tcp_seg s;
	struct frame f;

	net_addr_parse("10.0.0.2", &flow.remote);
	net_addr_parse("10.0.0.1", &flow.local);
	f.len = (uint32_t)seqmap_ack_frame(&w->m, f.b, sizeof(f.b), &l2, &flow);
	if (f.len == 0)
		return;
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_int_equal(net_parse_tcp(f.b, &p, &s), NET_PERR_OK);
	kernel_ack(w, &s);
}

static void kernel_run(struct world *w)
{
	uint32_t n, burst = rnd(w, 4);

	if (w->k_una < w->k_nxt && w->now - w->k_timer > RTO) {
		n = 1 + rnd(w, MSS);
		n = n < w->k_nxt - w->k_una || rnd(w, 4) == 0 ? n : w->k_nxt - w->k_una;
		if (n > N_OUT + 1 - w->k_una)
			n = N_OUT + 1 - w->k_una;
		kernel_send(w, w->k_una, n);
		w->k_timer = w->now - rnd(w, RTO);
	}
	for (; burst > 0 && w->k_nxt <= N_OUT; burst--) {
		n = rnd(w, 3) ? MSS : 1 + rnd(w, MSS);
		n = n < N_OUT + 1 - w->k_nxt ? n : N_OUT + 1 - w->k_nxt;
		if (w->k_nxt + n - w->k_una > WINDOW)
			break;
		if (w->k_una == w->k_nxt)
			w->k_timer = w->now;
		kernel_send(w, w->k_nxt, n);
		kernel_told(w);
	}
	if (rnd(w, 4) == 0)
		kernel_send(w, w->k_nxt, 0); /* an ACK or window update */
	if (rnd(w, 8) == 0) {
		n = w->k_rcv + rnd(w, 20000);
		w->k_wnd_edge = n > w->k_wnd_edge ? n : w->k_wnd_edge;
	}
}

static void kernel_rx(struct world *w, struct frame *f)
{
	struct net_pkt p;
	struct tcp_seg s;
	uint32_t len = f->len, pos, i;

	assert_int_equal(parse(f, &p), NET_PERR_OK);
	assert_int_equal(seqmap_in(&w->m, f->b, &len, &p), SEQMAP_PASS);
	f->len = len;
	assert_int_equal(parse(f, &p), NET_PERR_OK);
	assert_int_equal(net_parse_tcp(f->b, &p, &s), NET_PERR_OK);
	kernel_ack(w, &s);
	pos = s.seq - w->in.k_rcv;
	for (i = 0; i < s.len; i++)
		assert_int_equal(f->b[p.payload_off + i], pattern(pos + i, false));
	i = pos + s.len + !!(s.flags & TCP_FIN);
	if (i == pos)
		return;
	if ((int32_t)(pos - w->k_rcv) <= 0 && (int32_t)(i - w->k_rcv) > 0 &&
	    (int32_t)(i - w->k_wnd_edge) <= 0)
		w->k_rcv = i;
	kernel_send(w, w->k_nxt, 0);
}

/* --- the client --- */

/* Up to two SACK blocks of what lies beyond c_rcv; returns bytes of options. */
static uint32_t client_opts(struct world *w, uint8_t *opt)
{
	uint32_t i = w->c_rcv, blocks = 0;

	put_stamps(opt, 1000 + w->now, w->c_tsval);
	while (blocks < 2) {
		for (; i <= N_OUT && !w->c_got[i]; i++)
			;
		if (i > N_OUT)
			break;
		put32(opt + 16 + 8 * blocks, w->in.una + i);
		for (; i <= N_OUT && w->c_got[i]; i++)
			;
		put32(opt + 20 + 8 * blocks++, w->in.una + i);
	}
	if (blocks == 0)
		return 12;
	memcpy(opt + 12, "\x01\x01\x05", 3);
	opt[15] = (uint8_t)(2 + 8 * blocks);
	return 16 + 8 * blocks;
}

static void client_send(struct world *w, uint32_t pos, uint32_t n)
{
	const bool fin = n && pos + n > N_IN;
	uint8_t opt[40];
	struct frame f;

	make(w, &f, false, w->in.rcv_nxt + pos, w->in.una + w->c_rcv, pos, n - fin,
	     TCP_ACK | (fin ? TCP_FIN : 0), WINDOW >> w->in.snd_wscale, opt, client_opts(w, opt));
	transmit(w, &f, false);
	if (w->c_nxt < pos + n)
		w->c_nxt = pos + n;
}

static void client_run(struct world *w)
{
	uint32_t n = 1 + rnd(w, MSS);

	if (w->c_una < w->c_nxt && w->now - w->c_timer > RTO) {
		n = n < w->c_nxt - w->c_una ? n : w->c_nxt - w->c_una;
		client_send(w, w->c_una, n);
		w->c_timer = w->now;
	} else if (w->c_nxt <= N_IN && rnd(w, 3) == 0) {
		n = n < N_IN + 1 - w->c_nxt ? n : N_IN + 1 - w->c_nxt;
		if ((int32_t)(w->c_nxt + n - w->c_edge) > 0)
			return;
		if (w->c_una == w->c_nxt)
			w->c_timer = w->now;
		client_send(w, w->c_nxt, n);
	}
}

static void client_rx(struct world *w, const struct frame *f)
{
	struct net_pkt p;
	struct tcp_seg s;
	uint32_t pos, i, end, a, edge;
	bool acceptable;

	assert_int_equal(parse(f, &p), NET_PERR_OK);
	assert_int_equal(net_parse_tcp(f->b, &p, &s), NET_PERR_OK);
	pos = s.seq - w->in.una;
	end = pos + s.len + !!(s.flags & TCP_FIN);
	for (i = 0; i < s.len; i++)
		assert_int_equal(f->b[p.payload_off + i], pattern(pos + i, true));
	for (i = pos; i < end; i++) {
		w->dups += w->c_got[i];
		w->c_got[i] = true;
	}
	acceptable = end > w->c_rcv || (end == pos && pos == w->c_rcv);
	while (w->c_rcv <= N_OUT && w->c_got[w->c_rcv])
		w->c_rcv++;
	if (end > pos)
		client_send(w, w->c_nxt, 0);
	if (!acceptable) /* RFC 9293 section 3.10.7.4: its ACK does not count */
		return;
	assert_true((int32_t)(s.tsval - w->c_tsval) >= 0 || w->loss);
	if ((int32_t)(s.tsval - w->c_tsval) > 0)
		w->c_tsval = s.tsval;
	a = s.ack - w->in.rcv_nxt;
	assert_true(a <= w->c_nxt);
	edge = a + ((uint32_t)s.wnd << w->in.rcv_wscale);
	if (!w->loss) /* in order: the edge moves forward only */
		assert_true(edge >= w->c_edge || s.wnd == UINT16_MAX);
	w->c_edge = edge > w->c_edge ? edge : w->c_edge;
	if (a > w->c_una) {
		w->c_una = a;
		w->c_timer = w->now;
	}
}

/* --- the run --- */

static void world_start(struct world *w, unsigned int seed, uint32_t loss)
{
	uint32_t emitted, i, n;

	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->loss = loss;
	emitted = rnd(w, 3) ? rnd(w, 9000) : 0;
	w->in = (struct seqmap_init){
		.k_snd = (uint32_t)rand_r(&w->seed) * 2 + 1,
		.k_rcv = (uint32_t)rand_r(&w->seed) * 2 + 1,
		.una = rnd(w, 2) ? -rnd(w, 9000) : (uint32_t)rand_r(&w->seed) * 2,
		.rcv_nxt = rnd(w, 2) ? -rnd(w, 9000) : (uint32_t)rand_r(&w->seed) * 2,
		.ts_wire = (uint32_t)rand_r(&w->seed) * 2 + 5,
		.ts_kern = (uint32_t)rand_r(&w->seed) * 2 + 5,
		.ts_ok = true,
		.snd_wscale = (uint8_t)rnd(w, 6),
		.rcv_wscale = (uint8_t)rnd(w, 8),
	};
	if ((int32_t)(w->in.ts_wire - w->in.ts_kern) < 0)
		w->c_tsval = w->in.ts_kern;
	else
		w->c_tsval = w->in.ts_wire;
	w->in.snd_max = w->in.una + emitted;
	if (rnd(w, 3) == 0) { /* the gateway failed: nobody knows how far it came */
		w->in.snd_max = w->in.una;
		w->in.unsure = emitted + rnd(w, 1000);
	}
	w->c_edge = rnd(w, 6000);
	w->in.edge = w->in.rcv_nxt + w->c_edge;
	w->k_wnd_edge = 2000;
	seqmap_init(&w->m, &w->in);
	/* of what the gateway emitted the client has got some segments */
	for (i = 0; i < emitted; i += n) {
		const bool got = rnd(w, 100) >= loss * 5;

		n = 1 + rnd(w, MSS);
		n = n < emitted - i ? n : emitted - i;
		memset(w->c_got + i, got, n);
	}
	while (w->c_got[w->c_rcv])
		w->c_rcv++;
	client_send(w, 0, 0);
}

static void world_run(struct world *w)
{
	uint32_t i;

	for (w->now = 1; w->now < 60000; w->now++) {
		for (i = 0; i < IN_LINK; i++) {
			struct frame *f = w->link[i].f;

			if (!f || w->link[i].due > w->now)
				continue;
			w->link[i].f = NULL;
			if (w->link[i].to_client)
				client_rx(w, f);
			else
				kernel_rx(w, f);
			test_free(f);
		}
		if (w->k_una == N_OUT + 1 && w->c_una == N_IN + 1)
			break;
		kernel_run(w);
		client_run(w);
	}
	assert_int_equal(w->c_rcv, N_OUT + 1);
	assert_int_equal(w->k_una, N_OUT + 1);
	assert_int_equal(w->k_rcv, N_IN + 1);
	assert_int_equal(w->c_una, N_IN + 1);
	for (i = 0; i < IN_LINK; i++)
		test_free(w->link[i].f);
}

static void test_worlds(void **state)
{
	static const uint32_t losses[] = {0, 1, 5, 15};
	static struct world w;
	const char *given = getenv("TEST_SEED");
	unsigned int seed = given ? (unsigned int)atoi(given) : (unsigned int)time(NULL), i;

	print_message("TEST_SEED=%u\n", seed);
	for (i = 0; i < 60; i++) {
		world_start(&w, seed * 61 + i, losses[i % 4]);
		world_run(&w);
		if (w.loss == 0 && !w.in.unsure) /* nothing was lost, nothing is to be repeated */
			assert_int_equal(w.dups, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worlds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
