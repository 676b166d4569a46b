/* SPDX-License-Identifier: BSD-3-Clause */
/* The sender's part of ECN: RFC 3168 sections 6.1.2 (reduction), 6.1.4 to 6.1.6 (what is marked).
 */
#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

/* n segments in flight with cwnd of as many; all of them are drained. */
static void flight(struct tt *t, bool ecn, uint32_t n)
{
	tt_prepare(t);
	t->st.ecn_ok = ecn;
	t->st.cwnd = n * TT_MSS;
	t->st.srtt_us = 100000;
	t->st.rttvar_us = 10000;
	tt_start(t);
	tt_produce(t, n * TT_MSS);
	for (unsigned int i = 0; i < t->n_out; i++)
		assert_int_equal(t->out[i].ect, ecn);
	tt_drain(t);
}

static void ece(struct tt *t, uint32_t ack)
{
	tt_seg(t, TCP_ACK | TCP_ECE, t->c.rcv_nxt - TT_RCV, 0, ack);
}

/* ECE reduces like a loss, once per round trip; CWR goes with the first new segment. */
static void test_reduces_once(void **state)
{
	struct tcp_emit e;
	struct tt t;

	flight(&t, true, 20);
	ece(&t, 1000);
	assert_int_equal(t.c.cwnd, 14000);
	assert_int_equal(t.c.ssthresh, 14000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.stats.retx_segs, 0);
	ece(&t, 2000);
	ece(&t, 10000); /* the same window's marks */
	assert_int_equal(t.c.cwnd, 14000);
	tt_produce(&t, 2000);
	e = tt_take(&t);
	assert_true(e.ect);
	assert_int_equal(e.flags & TCP_CWR, TCP_CWR);
	tt_produce(&t, 1000);
	while (t.n_out)
		assert_int_equal(tt_take(&t).flags & TCP_CWR, 0);
	ece(&t, 20000); /* the last of the window that was reduced for */
	assert_int_equal(t.c.ssthresh, 14000);
	tt_ack(&t, 21000);
	assert_int_equal(t.c.ssthresh, 14000);
	ece(&t, 22000); /* sent after the reduction: another one */
	assert_true(t.c.ssthresh < 14000);
	assert_int_equal(t.c.stats.ecn_signals, 2);
}

/* Retransmissions and pure ACKs are not marked; a loss brings CWR as well. */
static void test_unmarked(void **state)
{
	struct tcp_emit e;
	struct tt t;

	flight(&t, true, 10);
	tt_seg(&t, TCP_ACK, 0, 100, 0);
	e = tt_take(&t);
	assert_true(!e.len && !e.ect);
	tt_sack(&t, 0, 1000, 5000);
	e = tt_take(&t);
	assert_true(e.retx && e.len == 1000 && !e.ect);
	assert_int_equal(e.flags & TCP_CWR, 0);
	tt_drain(&t);
	tt_ack(&t, 10000);
	tt_produce(&t, 1000);
	e = tt_take(&t);
	assert_true(e.ect);
	assert_int_equal(e.flags & TCP_CWR, TCP_CWR);
}

/* Nobody agreed on it: ECE means nothing. */
static void test_not_agreed(void **state)
{
	struct tt t;

	flight(&t, false, 20);
	ece(&t, 1000);
	assert_true(t.c.cwnd >= 20000);
	assert_int_equal(t.c.ssthresh, UINT32_MAX);
	tt_produce(&t, 2000);
	while (t.n_out) {
		struct tcp_emit e = tt_take(&t);

		assert_false(e.ect);
		assert_int_equal(e.flags & TCP_CWR, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reduces_once),
		cmocka_unit_test(test_unmarked),
		cmocka_unit_test(test_not_agreed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
