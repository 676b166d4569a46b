/* SPDX-License-Identifier: BSD-3-Clause */
/* What all congestion controllers share (tcp_cc.c), and NewReno by the rules of its RFCs. */
#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

static void setup(struct tt *t, enum tcp_cc_kind cc, uint32_t cwnd)
{
	tt_prepare(t);
	t->cfg.cc = cc;
	t->st.cwnd = cwnd;
	t->st.srtt_us = 100000;
	t->st.rttvar_us = 1000;
	tt_start(t);
}

static void test_names(void **state)
{
	assert_string_equal(tcp_cc_name(TCP_CC_CUBIC), "cubic");
	assert_string_equal(tcp_cc_name(TCP_CC_NEWRENO), "newreno");
	assert_string_equal(tcp_cc_name(TCP_CC_BBR), "bbr");
	assert_string_equal(tcp_cc_name(TCP_CC_COUNT), "invalid");
}

/* RFC 3465 section 2.2: L is two segments per ACK, one after a timeout. */
static void test_abc_slow_start(void **state)
{
	struct tt t;

	setup(&t, TCP_CC_NEWRENO, 10000);
	tcp_cc_acked(&t.c, 500, t.now);
	assert_int_equal(t.c.cwnd, 10500);
	tcp_cc_acked(&t.c, 9000, t.now);
	assert_int_equal(t.c.cwnd, 12500);
	t.c.recovery = TCP_R_LOSS;
	tcp_cc_acked(&t.c, 9000, t.now);
	assert_int_equal(t.c.cwnd, 13500);
	/* It ends at ssthresh; what is left of the ACK is the first of congestion avoidance. */
	t.c.recovery = TCP_R_OPEN;
	t.c.ssthresh = 14000;
	tcp_cc_acked(&t.c, 9000, t.now);
	assert_int_equal(t.c.cwnd, 14000);
	tcp_cc_acked(&t.c, 5499, t.now);
	assert_int_equal(t.c.cwnd, 14000);
	tcp_cc_acked(&t.c, 1, t.now);
	assert_int_equal(t.c.cwnd, 15000);
}

/* RFC 3465 section 2.1: a segment for each window of acknowledged bytes, however they come. */
static void test_abc_avoidance(void **state)
{
	static const uint32_t step[] = {100, 999, 2000, 7000, 100000};
	struct tt t;

	for (unsigned int i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		uint64_t bytes = 0, model = 10000;

		setup(&t, TCP_CC_NEWRENO, 10000);
		t.c.ssthresh = 10000;
		for (int k = 0; k < 20000 && t.c.cwnd < 60000; k++) {
			bytes += tcp_min(step[i], t.c.cwnd); /* more is not in flight */
			tcp_cc_acked(&t.c, step[i], t.now);
			if (bytes >= model) {
				bytes -= model;
				model += TT_MSS;
			}
			assert_int_equal(t.c.cwnd, model);
		}
		assert_int_equal(t.c.cwnd, 60000);
	}
}

/* RFC 5681 equation 4: half of what was in flight in this round trip, two segments at least. */
static void test_reduce(void **state)
{
	struct tt t;

	setup(&t, TCP_CC_NEWRENO, 20000);
	tt_produce(&t, 20000);
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.ssthresh, 10000);
	setup(&t, TCP_CC_NEWRENO, 20000);
	tt_produce(&t, 12000); /* the program did not use it all */
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.ssthresh, 6000);
	setup(&t, TCP_CC_NEWRENO, 20000);
	tt_produce(&t, 1000);
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.ssthresh, 2000);
}

/* A loss, repaired: cwnd is half of what it was; a spurious one: what it was. */
static void test_recovery(void **state)
{
	struct tt t;

	setup(&t, TCP_CC_NEWRENO, 20000);
	tt_produce(&t, 20000);
	tt_drain(&t);
	tt_pass(&t, 100000);
	tt_sack(&t, 0, 1000, 20000);
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	tt_pass(&t, 100000);
	tt_ack(&t, 20000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.cwnd, 10000);

	setup(&t, TCP_CC_NEWRENO, 20000);
	tt_produce(&t, 20000);
	tt_drain(&t);
	tt_pass(&t, 100000);
	tt_sack(&t, 0, 1000, 20000);
	tt_sack(&t, 20000, 0, 1000); /* D-SACK: the retransmission was not needed */
	assert_int_equal(t.c.stats.undone_fr, 1);
	assert_int_equal(t.c.cwnd, 20000);
	assert_int_equal(t.c.ssthresh, UINT32_MAX);
}

/* Sends n bytes and gets `acks` ACKs for them, a round trip later. */
static void round_trip(struct tt *t, uint32_t *off, uint32_t n, uint32_t acks)
{
	tt_produce(t, n);
	assert_int_equal(tt_drain(t), n);
	t->now += 100000;
	for (uint32_t i = 0; i < acks; i++)
		tt_ack(t, *off + n * (i + 1) / acks);
	*off += n;
}

/* RFC 7661: slow start goes on while more than half of the window is used; all that have one. */
static void test_half_used(void **state)
{
	struct tt t;
	uint32_t off;

	for (unsigned int k = 0; k < TCP_CC_COUNT; k++) {
		if (tcp_cc_table[k]->path)
			continue;
		setup(&t, k, 10000);
		off = 0;
		round_trip(&t, &off, 5000, 5);
		assert_int_equal(t.c.cwnd, 10000);
		round_trip(&t, &off, 6000, 6); /* up to twice of it */
		assert_int_equal(t.c.cwnd, 12000);
		round_trip(&t, &off, 10000, 10);
		assert_int_equal(t.c.cwnd, 20000);
		round_trip(&t, &off, 10000, 10); /* what was used earlier does not count */
		assert_int_equal(t.c.cwnd, 20000);
		/* In congestion avoidance all of it must be used. */
		t.c.ssthresh = 20000;
		for (int i = 0; i < 20; i++)
			round_trip(&t, &off, 19000, 19);
		assert_int_equal(t.c.cwnd, 20000);
	}
}

/* Another controller takes over a connection that lives: it starts from the window it finds. */
static void test_change(void **state)
{
	struct tcp_cfg other;
	struct tt t;

	setup(&t, TCP_CC_CUBIC, 20000);
	tcp_cc_reduce(&t.c);
	t.c.cwnd = t.c.ssthresh;
	tcp_cc_acked(&t.c, 10000, t.now);
	assert_true(t.c.epoch_valid);
	other = t.cfg;
	other.cc = TCP_CC_NEWRENO;
	tcp_set_cfg(&t.c, &other);
	assert_int_equal(t.c.w_est_acked, 0);
	t.c.cwnd = 14000;
	tcp_cc_acked(&t.c, 14000, t.now);
	assert_int_equal(t.c.cwnd, 15000);
	tcp_set_cfg(&t.c, &t.cfg);
	assert_false(t.c.epoch_valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_abc_slow_start),
		cmocka_unit_test(test_abc_avoidance), cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_recovery),      cmocka_unit_test(test_half_used),
		cmocka_unit_test(test_change),
	};

	return cmocka_run_group_tests_name("tcp_cc", tests, NULL, NULL);
}
