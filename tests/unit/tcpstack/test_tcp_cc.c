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

/* Sends n bytes per 100 ms round trip for this long, none of them the window's limit. */
static void trickle(struct tt *t, uint32_t *off, uint32_t n, uint32_t seconds)
{
	for (uint32_t i = 0; i < 10 * seconds; i++, t->n_want = 0)
		round_trip(t, off, n, 1);
}

/* RFC 7661 section 4.4.3: five minutes of using less than half, and the window is halved. */
static void test_unused_decays(void **state)
{
	struct tt t;
	uint32_t off;

	for (unsigned int k = 0; k < TCP_CC_COUNT; k++) {
		if (tcp_cc_table[k]->path)
			continue;
		setup(&t, k, 50000);
		t.c.ssthresh = 20000;
		off = 0;
		trickle(&t, &off, 2000, 299);
		assert_int_equal(t.c.cwnd, 50000);
		trickle(&t, &off, 2000, 2);
		assert_int_equal(t.c.cwnd, 25000);
		assert_int_equal(t.c.ssthresh, 37500);
		trickle(&t, &off, 2000, 298);
		assert_int_equal(t.c.cwnd, 25000);
		trickle(&t, &off, 2000, 3);
		assert_int_equal(t.c.cwnd, 12500);
		trickle(&t, &off, 2000, 1200);
		assert_int_equal(t.c.cwnd, 10000); /* the initial window is never too much */
		/* One round trip that uses half makes it valid for as long again. */
		setup(&t, k, 50000);
		off = 0;
		trickle(&t, &off, 2000, 299);
		round_trip(&t, &off, 25000, 1);
		trickle(&t, &off, 2000, 299);
		assert_true(t.c.cwnd >= 50000);
		trickle(&t, &off, 2000, 2);
		assert_true(t.c.cwnd < 50000);
	}
}

/* Section 4.4.1: what a loss reduces is what was in flight lately, not what might have been. */
static void test_unused_loss(void **state)
{
	struct tt t;
	uint32_t off = 0;

	setup(&t, TCP_CC_CUBIC, 50000);
	t.c.ssthresh = 50000;
	round_trip(&t, &off, 8000, 1);
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.ssthresh, 35000); /* within a second it counts as used */
	setup(&t, TCP_CC_CUBIC, 50000);
	t.c.ssthresh = 50000;
	off = 0;
	trickle(&t, &off, 8000, 3);
	round_trip(&t, &off, 10000, 1); /* the largest of the last second or two */
	trickle(&t, &off, 4000, 1);
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.ssthresh, 7000);
	assert_int_equal(t.c.w_max, 10000);
}

/* RFC 9438 section 4.2: time in which the window was not the limit does not let it grow later. */
static void test_unused_cubic(void **state)
{
	uint32_t cwnd[2];
	struct tt t;

	for (int paused = 0; paused < 2; paused++) {
		setup(&t, TCP_CC_CUBIC, 100000);
		tcp_cc_reduce(&t.c);
		t.c.cwnd = t.c.ssthresh;
		for (int i = 0; i < 40; i++) {
			tcp_cc_acked(&t.c, t.c.cwnd, t.now);
			t.now += 100000;
			if (paused && i == 20)
				t.now += 20000000;
		}
		cwnd[paused] = t.c.cwnd;
	}
	assert_in_range(cwnd[1], cwnd[0] - 2000, cwnd[0]);
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

/* BBR and windows share memory: neither finds what the other left, in recovery either. */
static void test_change_model(void **state)
{
	static const struct tcp_bbr none;
	struct tt t;

	setup(&t, TCP_CC_CUBIC, 20000);
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.w_max, 20000);
	t.cfg.cc = TCP_CC_BBR; /* the same tunables, changed in place */
	tcp_set_cfg(&t.c, &t.cfg);
	assert_true(t.c.modelled);
	assert_memory_equal(&t.c.bbr, &none, sizeof(none));
	assert_int_equal(t.c.bbr_bw, 0);
	tt_produce(&t, 20000);
	tt_pass(&t, 60000);
	assert_int_equal(tt_drain(&t), 20000);
	tt_sack(&t, 0, 1000, 20000);
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	assert_true(t.c.bbr.loss_in_round);
	t.cfg.cc = TCP_CC_CUBIC;
	tcp_set_cfg(&t.c, &t.cfg);
	assert_false(t.c.modelled);
	assert_int_equal(t.c.w_max, 0);
	tt_pass(&t, 100000);
	tt_ack(&t, 20000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_in_range(t.c.cwnd, 2000, 40000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_abc_slow_start),
		cmocka_unit_test(test_abc_avoidance), cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_recovery),      cmocka_unit_test(test_half_used),
		cmocka_unit_test(test_unused_decays), cmocka_unit_test(test_unused_loss),
		cmocka_unit_test(test_unused_cubic),  cmocka_unit_test(test_change_model),
		cmocka_unit_test(test_change),
	};

	return cmocka_run_group_tests_name("tcp_cc", tests, NULL, NULL);
}
