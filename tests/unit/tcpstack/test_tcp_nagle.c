/* SPDX-License-Identifier: BSD-3-Clause */
/* Nagle with Minshall's change, and the cork (RFC 9293 section 3.7.4). */
#include "tcp_check.h"
#include "tcp_script.h"

/* Off at the start, as MUST-17 allows; cfg.nagle turns it on for a connection's start. */
static void test_default(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_produce(&t, 10);
	tt_expect(&t, 0, 10, 0, TCP_PSH);
	tt_produce(&t, 10);
	tt_expect(&t, 10, 10, 0, TCP_PSH);
	tt_prepare(&t);
	t.cfg.nagle = true;
	tt_start(&t);
	tt_produce(&t, 10);
	tt_drain(&t);
	tt_produce(&t, 10);
	tt_nothing(&t);
}

static void nagle(struct tt *t)
{
	tt_init(t);
	tcp_set_nodelay(&t->c, false);
}

/* A short segment waits for the ACK of the short one before it; full segments never wait. */
static void test_short_waits(void **state)
{
	struct tt t;

	nagle(&t);
	tt_produce(&t, 10);
	tt_expect(&t, 0, 10, 0, TCP_PSH);
	tt_produce(&t, 20);
	tt_produce(&t, 30);
	tt_nothing(&t);
	tt_ack(&t, 10);
	tt_expect(&t, 10, 50, 0, TCP_PSH);
	/* What fills a segment leaves, and the rest waits. */
	tt_produce(&t, TT_MSS + 1);
	tt_expect(&t, 60, TT_MSS, 0, 0);
	tt_nothing(&t);
	tt_ack(&t, 60);
	tt_expect(&t, 60 + TT_MSS, 1, 0, TCP_PSH);
	assert_null(tcp_check(&t.c));
}

/* Minshall: the short end of a long write does not wait for the full segments before it. */
static void test_long_write(void **state)
{
	struct tt t;

	nagle(&t);
	tt_produce(&t, 2 * TT_MSS + 7);
	tt_expect(&t, 0, 2 * TT_MSS + 7, 0, TCP_PSH);
	tt_nothing(&t);
	tt_produce(&t, 5); /* but the next short one waits for that */
	tt_nothing(&t);
	tt_ack(&t, 2 * TT_MSS);
	tt_nothing(&t);
	tt_ack(&t, 2 * TT_MSS + 7);
	tt_expect(&t, 2 * TT_MSS + 7, 5, 0, TCP_PSH);
}

/* TCP_NODELAY, urgent data and a FIN let out what waits. */
static void test_release(void **state)
{
	struct tt t;

	for (unsigned int i = 0; i < 3; i++) {
		nagle(&t);
		tt_produce(&t, 10);
		tt_drain(&t);
		tt_produce(&t, 20);
		tt_nothing(&t);
		if (i == 0)
			tcp_set_nodelay(&t.c, true);
		else if (i == 1)
			tcp_urgent(&t.c);
		else
			tcp_shutdown(&t.c, t.now);
		tt_out(&t);
		tt_expect(&t, 10, 20, 0, TCP_PSH | (i == 1 ? TCP_URG : 0) | (i == 2 ? TCP_FIN : 0));
	}
}

/* A cork holds every short segment until it is pulled, or an RTO with nothing in flight passes. */
static void test_cork(void **state)
{
	struct tt t;

	tt_init(&t);
	tcp_set_cork(&t.c, true);
	tt_produce(&t, 300);
	tt_nothing(&t);
	tt_produce(&t, 300);
	tt_nothing(&t);
	tt_produce(&t, 500);
	tt_expect(&t, 0, TT_MSS, 0, 0);
	tt_nothing(&t);
	tcp_set_cork(&t.c, false);
	tt_out(&t);
	tt_expect(&t, TT_MSS, 100, 0, TCP_PSH);
	tt_ack(&t, TT_MSS + 100);
	tcp_set_cork(&t.c, true);
	tt_produce(&t, 50);
	tt_nothing(&t);
	assert_int_equal(t.c.timer, TCP_T_PERSIST);
	tt_pass(&t, tcp_rto(&t.c) - 1);
	tt_nothing(&t);
	tt_pass(&t, 1);
	tt_expect(&t, TT_MSS + 100, 50, 0, TCP_PSH);
	assert_int_equal(t.c.backoff, 0);
	assert_null(tcp_check(&t.c));
	/* Not while something is in flight. */
	tt_produce(&t, 20);
	tt_pass(&t, 1000);
	tt_nothing(&t);
	tt_ack(&t, TT_MSS + 150);
	tt_nothing(&t);
	tcp_shutdown(&t.c, t.now);
	tt_out(&t);
	tt_expect(&t, TT_MSS + 150, 20, 0, TCP_PSH | TCP_FIN);
}

/* SWS rule 3 with Nagle: half of the largest window goes out only when nothing short waits. */
static void test_small_window(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.snd_wnd = t.st.max_wnd = 600;
	t.wnd = 600;
	t.cfg.nagle = true;
	tt_start(&t);
	tt_produce(&t, 2000);
	tt_expect(&t, 0, 600, 0, 0);
	t.wnd = 900;
	tt_ack(&t, 0);
	tt_nothing(&t);
	tt_ack(&t, 600);
	tt_expect(&t, 600, 900, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),	   cmocka_unit_test(test_short_waits),
		cmocka_unit_test(test_long_write), cmocka_unit_test(test_release),
		cmocka_unit_test(test_cork),	   cmocka_unit_test(test_small_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
