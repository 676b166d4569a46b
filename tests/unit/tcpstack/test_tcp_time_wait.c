/* SPDX-License-Identifier: BSD-3-Clause */
/* TIME-WAIT: its length, repeated FINs, reuse by a newer SYN (RFC 6191), RST (RFC 1337). */
#include "tcp_open_script.h"

/* In TIME-WAIT after an opening with or without timestamps; the client's FIN is at 1. */
static void wait(struct os *o, bool ts)
{
	os_init(o);
	o->syn.has_ts = ts;
	os_accept(o);
	os_seg(o, TCP_ACK, 1, 1, 0);
	tcp_shutdown(&o->t.c, o->t.now);
	tt_out(&o->t);
	os_seg(o, TCP_ACK | TCP_FIN, 1, 2, 0);
	assert_int_equal(o->t.c.state, TCP_S_TIME_WAIT);
	tt_drain(&o->t);
}

/* RFC 6191 section 2, row by row. */
static void test_reuse(void **state)
{
	static const struct {
		bool ts_before, ts_now;
		int dts, dseq; /* against TS.Recent and RCV.NXT */
		bool reopens;
	} m[] = {
		{true, true, 1, -1000, true}, {true, true, 1, 1000, true},
		{true, true, 0, 1, true},     {true, true, 0, 0, false},
		{true, true, 0, -1, false},   {true, true, -1, 1000, false},
		{true, false, 0, 1, true},    {true, false, 0, -1, false},
		{false, true, 0, -1, true},   {false, true, 0, 1, true},
		{false, false, 0, 1, true},   {false, false, 0, -1, false},
	};
	uint64_t due;
	struct os o;

	for (unsigned int i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		wait(&o, m[i].ts_before);
		due = tcp_deadline(&o.t.c, o.t.now);
		o.t.now += 1000000;
		o.syn.has_ts = m[i].ts_now;
		o.syn.tsval += (uint32_t)m[i].dts;
		assert_int_equal(os_seg(&o, TCP_SYN, 2 + (uint32_t)m[i].dseq, 0, 0),
				 m[i].reopens ? TCP_V_CLOSED : TCP_V_SYN);
		assert_int_equal(o.t.c.state, m[i].reopens ? TCP_S_CLOSED : TCP_S_TIME_WAIT);
		assert_int_equal(o.t.events[TCP_E_CLOSED], m[i].reopens);
		if (m[i].reopens) {
			tt_nothing(&o.t); /* the listener answers */
			continue;
		}
		os_expect(&o, TCP_ACK, 2, 2);
		assert_true(tcp_deadline(&o.t.c, o.t.now) == due);
		/* A SYN-ACK never does. */
		assert_int_equal(os_seg(&o, TCP_SYN | TCP_ACK, 1000, 2, 0), TCP_V_SYN);
	}
}

/* The client's FIN again, alone or with the bytes before it: acknowledged, and 2 MSL once more. */
static void test_fin_again(void **state)
{
	uint64_t due;
	struct os o;

	wait(&o, true);
	due = tcp_deadline(&o.t.c, o.t.now);
	tt_pass(&o.t, 1000000);
	assert_int_equal(os_seg(&o, TCP_ACK | TCP_FIN, 1, 2, 0), TCP_V_OLD);
	os_expect(&o, TCP_ACK, 2, 2);
	assert_true(tcp_deadline(&o.t.c, o.t.now) == due + 1000000);
	/* Old payload, or a FIN that is not the one we had: answered, but it proves nothing. */
	os_seg(&o, TCP_ACK, -100u, 2, 50);
	tt_pass(&o.t, 1000000);
	os_seg(&o, TCP_ACK | TCP_FIN, -100u, 2, 50);
	assert_true(tcp_deadline(&o.t.c, o.t.now) == due + 1000000);
	tt_pass(&o.t, 58999999);
	assert_int_equal(o.t.c.state, TCP_S_TIME_WAIT);
	tt_pass(&o.t, 1);
	assert_int_equal(o.t.c.state, TCP_S_CLOSED);
	assert_int_equal(o.t.events[TCP_E_CLOSED], 1);
}

/* RFC 1337: with the fix, a RST that old duplicates caused does not end it. */
static void test_rst(void **state)
{
	struct os o;

	wait(&o, true);
	assert_int_equal(os_seg(&o, TCP_RST, 2, 0, 0), TCP_V_RST);
	assert_int_equal(o.t.c.state, TCP_S_CLOSED);
	assert_int_equal(o.t.events[TCP_E_CLOSED], 1);
	assert_int_equal(o.t.events[TCP_E_RESET], 0);
	wait(&o, true);
	o.t.cfg.rfc1337 = true;
	assert_int_equal(os_seg(&o, TCP_RST, 2, 0, 0), TCP_V_OLD);
	assert_int_equal(os_seg(&o, TCP_RST, 3, 0, 0), TCP_V_OLD);
	assert_int_equal(o.t.c.state, TCP_S_TIME_WAIT);
	tt_nothing(&o.t);
	/* Other states are not concerned. */
	os_init(&o);
	o.t.cfg.rfc1337 = true;
	os_accept(&o);
	os_seg(&o, TCP_ACK, 1, 1, 0);
	assert_int_equal(os_seg(&o, TCP_RST, 1, 0, 0), TCP_V_RST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_fin_again),
		cmocka_unit_test(test_rst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
