/* SPDX-License-Identifier: BSD-3-Clause */
/* SYN cookies: what they keep, how long they are valid, and what is refused (RFC 4987). */
#include <stdlib.h>
#include <time.h>

#include "tcp_open_script.h"

#define PERIOD 64000000ull

/* A SYN answered by a cookie; its options are in o->seen. */
static struct tcp_emit cookie(struct os *o)
{
	struct tcp_emit e;

	o->l.cookies = TCP_COOKIE_ALWAYS;
	assert_int_equal(os_listen(o, TCP_SYN, 0, 0, 0), TCP_L_COOKIE);
	assert_true(o->res.has_reply);
	assert_null(o->res.conn);
	e = o->res.reply;
	memset(&o->seen, 0, sizeof(o->seen));
	assert_true(test_opt_parse(e.opt, e.optlen, &o->seen));
	o->iss = e.seq;
	o->t.seg_ecr = o->seen.tsval;
	o->l.cookies = TCP_COOKIE_FULL; /* so that take() is asked when the ACK comes */
	return e;
}

/* Every agreement survives: nothing was kept meanwhile but the keys. */
static void test_options_survive(void **state)
{
	for (unsigned int i = 0; i < 2 * 2 * 2 * 16; i++) {
		bool ts = i & 1, sack = i & 2, ecn = i & 4, ws = i / 8 < 15;
		uint8_t flags = TCP_SYN | (ecn ? TCP_ECE | TCP_CWR : 0);
		struct tcp_emit e;
		uint32_t sent;
		struct os o;

		os_init(&o);
		o.syn = (struct tcp_seg){.mss = 1400, .tsval = 70 + i, .has_ts = ts};
		o.syn.sack_ok = sack;
		o.syn.has_wscale = ws;
		o.syn.wscale = ws ? (uint8_t)(i / 8) : 0;
		o.syn.flags = flags;
		o.t.now += i * 997;
		o.l.cookies = TCP_COOKIE_ALWAYS;
		assert_int_equal(os_listen(&o, flags, 0, 0, 0), TCP_L_COOKIE);
		e = o.res.reply;
		assert_true(test_opt_parse(e.opt, e.optlen, &o.seen));
		assert_int_equal(e.flags, TCP_SYN | TCP_ACK | (ecn && ts ? TCP_ECE : 0));
		assert_int_equal(e.ack, OS_PEER + 1);
		assert_int_equal(e.wnd, UINT16_MAX);
		assert_int_equal(o.seen.has_ts, ts);
		assert_int_equal(o.seen.sack_ok, ts && sack);
		assert_int_equal(o.seen.has_wscale, ts && ws);
		o.iss = e.seq;
		o.t.seg_ecr = sent = o.seen.tsval;
		o.l.cookies = TCP_COOKIE_FULL;
		o.t.now += 30000;
		o.t.wnd = 11;
		assert_int_equal(os_listen(&o, TCP_ACK, 1, 1, 200), TCP_L_ESTABLISHED);
		assert_int_equal(o.t.c.state, TCP_S_ESTABLISHED);
		assert_int_equal(o.t.events[TCP_E_ESTABLISHED], 1);
		assert_int_equal(o.res.rx.len, 200);
		assert_int_equal(o.t.c.mss, 1400);
		assert_int_equal(o.t.c.ts_ok, ts);
		assert_int_equal(o.t.c.sack_ok, ts && sack);
		assert_int_equal(o.t.c.ecn_ok, ts && ecn);
		assert_int_equal(o.t.c.wscale_ok, ts && ws);
		assert_int_equal(o.t.c.snd_wnd, 11u << (ts && ws ? i / 8 : 0));
		assert_int_equal(o.t.c.srtt_us, 0);
		assert_int_equal(o.l.n_half, 0);
		os_expect(&o, TCP_ACK, 1, 201);
		/* The clock does not go back behind what the cookie carried. */
		if (ts)
			assert_true(tcp_lt(sent, tcp_tsval(&o.t.c, o.t.now)));
		assert_null(tcp_check(&o.t.c));
	}
}

/* The timestamp that carries options is behind the clock, by less than 64 ms. */
static void test_clock(void **state)
{
	struct os o;

	for (unsigned int i = 0; i < 200; i++) {
		uint32_t clock;

		os_init(&o);
		o.t.now += i * 1000;
		clock = tcp_ts_offset(&o.keys, &o.f) + tcp_ms(o.t.now);
		cookie(&o);
		assert_in_range(clock - o.seen.tsval, 0, 63);
	}
}

/* MSS: the largest entry of the table that is not above the client's. */
static void test_mss(void **state)
{
	static const uint16_t m[][2] = {{0, 536},     {1, 256},	    {535, 256},	  {536, 536},
					{1219, 536},  {1220, 1220}, {1339, 1220}, {1399, 1340},
					{1439, 1400}, {1459, 1440}, {1460, 1460}, {9000, 1460}};
	struct os o;

	for (unsigned int i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		os_init(&o);
		o.syn.mss = m[i][0];
		cookie(&o);
		assert_int_equal(os_listen(&o, TCP_ACK, 1, 1, 0), TCP_L_ESTABLISHED);
		assert_int_equal(o.t.c.mss, m[i][1]);
	}
}

/* Nothing may differ from what the cookie was made for. */
static void test_tampered(void **state)
{
	struct tcp_seg good, s;
	struct net_flow f;
	struct os o;

	os_init(&o);
	cookie(&o);
	good = os_make(&o, TCP_ACK, 1, 1, 0);
	for (unsigned int i = 0; i < 32 + 32 + 6 + 36 * 8 + 1; i++) {
		unsigned int bit = i;

		s = good;
		f = o.f;
		if (bit < 32)
			s.ack = ((s.ack - 1) ^ 1u << bit) + 1;
		else if ((bit -= 32) < 32)
			s.seq = ((s.seq - 1) ^ 1u << bit) + 1;
		else if ((bit -= 32) < 6)
			s.tsecr ^= 1u << bit;
		else if ((bit -= 6) < 36 * 8)
			((uint8_t *)&f)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		else
			s.has_ts = false;
		tcp_listen_input(&o.l, &f, &s, NULL, o.t.now, &o.res);
		assert_int_equal(o.res.verdict, TCP_L_BAD_COOKIE);
		assert_true(o.res.has_reply);
		assert_int_equal(o.res.reply.flags, TCP_RST);
		assert_int_equal(o.res.reply.seq, s.ack);
	}
	assert_int_equal(o.l.verdict[TCP_L_BAD_COOKIE], 359);
	tcp_listen_input(&o.l, &o.f, &good, NULL, o.t.now, &o.res);
	assert_int_equal(o.res.verdict, TCP_L_ESTABLISHED);
}

/* Random acknowledgement numbers: a hit is expected once in 2^26. */
static void test_guesses(void **state)
{
	const char *env = getenv("TCP_SEED");
	unsigned int seed = env ? (unsigned int)atoi(env) : (unsigned int)time(NULL), hits = 0;
	struct tcp_seg s;
	struct os o;

	print_message("TCP_SEED=%u\n", seed);
	srand(seed);
	os_init(&o);
	cookie(&o);
	s = os_make(&o, TCP_ACK, 1, 1, 0);
	for (unsigned int i = 0; i < 200000; i++) {
		s.ack = (uint32_t)rand() << 16 ^ (uint32_t)rand();
		s.tsecr = (uint32_t)rand();
		tcp_listen_input(&o.l, &o.f, &s, NULL, o.t.now, &o.res);
		hits += o.res.verdict != TCP_L_BAD_COOKIE;
	}
	assert_in_range(hits, 0, 2); /* 0.003 expected: three hits happen once in 10^8 runs */
}

/* Valid in its period and the next; the same number is not valid again four periods later. */
static void test_age(void **state)
{
	static const struct {
		uint64_t after;
		bool ok;
	} m[] = {
		{0, true},	     {PERIOD - 1, true},     {2 * PERIOD - 1, true},
		{2 * PERIOD, false}, {3 * PERIOD, false},    {4 * PERIOD, false},
		{5 * PERIOD, false}, {4096 * PERIOD, false},
	};

	for (unsigned int i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		struct tcp_seg s;
		struct os o;

		os_init(&o);
		o.t.now = 100 * PERIOD; /* a cookie from the first moment of a period */
		cookie(&o);
		s = os_make(&o, TCP_ACK, 1, 1, 0);
		o.t.now += m[i].after;
		if (!m[i].ok) {
			/* Nothing was asked lately: the cookie is not even looked at. */
			tcp_listen_input(&o.l, &o.f, &s, NULL, o.t.now, &o.res);
			assert_int_equal(o.res.verdict, TCP_L_NO_CONN);
			cookie(&o);
		}
		tcp_listen_input(&o.l, &o.f, &s, NULL, o.t.now, &o.res);
		assert_int_equal(o.res.verdict, m[i].ok ? TCP_L_ESTABLISHED : TCP_L_BAD_COOKIE);
	}
}

/* A new key begins with the next period; cookies of the old one live out their time. */
static void test_rotation(void **state)
{
	static const uint8_t key[3][TCP_KEY_LEN] = {{1}, {2}, {3}};
	struct tcp_seg s;
	struct os o;

	os_init(&o);
	o.t.now = 100 * PERIOD + PERIOD / 2;
	cookie(&o);
	assert_int_equal(tcp_keys_rotate(&o.keys, key[0], o.t.now), 0);
	s = os_make(&o, TCP_ACK, 1, 1, 0);
	for (unsigned int i = 0; i < 2; i++) {
		tcp_listen_input(&o.l, &o.f, &s, NULL, o.t.now, &o.res);
		assert_int_equal(o.res.verdict, TCP_L_ESTABLISHED);
		o.t.now += PERIOD;
	}
	/* The predecessor is needed until its last cookie has expired. */
	assert_int_equal(tcp_keys_rotate(&o.keys, key[1], o.t.now - PERIOD), EBUSY);
	assert_int_equal(tcp_keys_rotate(&o.keys, key[1], o.t.now), 0);
	cookie(&o);
	s = os_make(&o, TCP_ACK, 1, 1, 0);
	o.t.now += PERIOD;
	tcp_listen_input(&o.l, &o.f, &s, NULL, o.t.now, &o.res);
	assert_int_equal(o.res.verdict, TCP_L_ESTABLISHED);
	/* A cookie made with a key that nobody has any more */
	cookie(&o);
	s = os_make(&o, TCP_ACK, 1, 1, 0);
	memcpy(o.keys.cookie[0], key[2], TCP_KEY_LEN);
	tcp_listen_input(&o.l, &o.f, &s, NULL, o.t.now, &o.res);
	assert_int_equal(o.res.verdict, TCP_L_BAD_COOKIE);
}

/* When they are used: never, when the backlog or memory is gone, always. */
static void test_policy(void **state)
{
	struct os o;

	os_init(&o);
	o.l.backlog = 0;
	assert_int_equal(os_listen(&o, TCP_SYN, 0, 0, 0), TCP_L_COOKIE);
	os_init(&o);
	o.no_memory = true;
	assert_int_equal(os_listen(&o, TCP_SYN, 0, 0, 0), TCP_L_COOKIE);
	o.iss = o.res.reply.seq;
	assert_true(test_opt_parse(o.res.reply.opt, o.res.reply.optlen, &o.seen));
	o.t.seg_ecr = o.seen.tsval;
	/* Still no memory when the ACK comes: dropped without a RST, the client asks again. */
	assert_int_equal(os_listen(&o, TCP_ACK, 1, 1, 10), TCP_L_NO_MEMORY);
	assert_false(o.res.has_reply);
	o.no_memory = false;
	assert_int_equal(os_listen(&o, TCP_ACK, 1, 1, 10), TCP_L_ESTABLISHED);
	os_init(&o);
	o.l.cookies = TCP_COOKIE_NEVER;
	o.l.backlog = 0;
	assert_int_equal(os_listen(&o, TCP_SYN, 0, 0, 0), TCP_L_FULL);
	assert_false(o.res.has_reply);
}

/* The number on the wire is that of an ISN: neighbouring ports and times tell nothing. */
static void test_spread(void **state)
{
	unsigned int top[8] = {0}, low[8] = {0};
	struct os o;

	os_init(&o);
	for (unsigned int i = 0; i < 8000; i++) {
		o.f.rport = (uint16_t)i;
		cookie(&o);
		top[o.iss >> 29]++;
		low[o.iss & 7]++;
	}
	for (unsigned int i = 0; i < 8; i++) {
		assert_in_range(top[i], 850, 1150);
		assert_in_range(low[i], 850, 1150);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_survive),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_guesses),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
