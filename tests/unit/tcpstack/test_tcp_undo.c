/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions that were not called for: F-RTO, D-SACK; RACK's window; ECN as a sender. */
#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

/* n segments in flight since one RTT of 100 ms; more to send. */
static void fly(struct tt *t, uint32_t n, bool sack, bool ecn)
{
	tt_prepare(t);
	t->st.sack_ok = sack;
	t->st.ecn_ok = ecn;
	t->st.cwnd = n * 1000;
	t->st.srtt_us = 100000;
	t->st.rttvar_us = 10000;
	tt_start(t);
	tt_produce(t, n * 1000);
	assert_int_equal(tt_drain(t), n * 1000);
	tcp_produced(&t->c, 20000, t->now);
	t->now += 100000;
}

/* RFC 5682: the flight was only late. */
static void test_frto_spurious(void **state)
{
	struct tt t;

	for (int sack = 0; sack < 2; sack++) {
		fly(&t, 10, sack, false);
		tt_pass(&t, 500000);
		tt_drain(&t);
		assert_int_equal(t.c.recovery, TCP_R_LOSS);
		assert_int_equal(t.c.cwnd, TT_MSS);
		tt_ack(&t, 1000);
		/* New payload, not what is deemed lost. */
		assert_int_equal(t.c.frto, TCP_FRTO_SECOND);
		while (t.n_out)
			assert_true(tt_take(&t).seq - TT_SND >= 10000);
		tt_ack(&t, 2000);
		assert_int_equal(t.c.recovery, TCP_R_OPEN);
		assert_int_equal(t.c.cwnd, 10000);
		assert_int_equal(t.c.ssthresh, UINT32_MAX);
		assert_int_equal(t.c.stats.undone_rto, 1);
		assert_int_equal(t.c.lost, 0);
	}
}

/* The same, but the flight is gone: the duplicate ACKs of the new payload tell. */
static void test_frto_real(void **state)
{
	struct tt t;

	for (int sack = 0; sack < 2; sack++) {
		fly(&t, 10, sack, false);
		tt_pass(&t, 500000);
		tt_drain(&t);
		tt_ack(&t, 1000);
		assert_true(tt_drain(&t) > 0);
		if (sack)
			tt_sack(&t, 1000, t.c.snd_nxt - TT_SND - 1000, t.c.snd_nxt - TT_SND);
		else
			tt_ack(&t, 1000);
		assert_int_equal(t.c.recovery, TCP_R_LOSS);
		assert_int_equal(t.c.frto, TCP_FRTO_OFF);
		assert_true(t.n_out > 0 && t.out[0].retx);
		assert_int_equal(t.out[0].seq - TT_SND, 1000);
		assert_int_equal(t.c.ssthresh, 7000);
		assert_int_equal(t.c.stats.undone_rto, 0);
	}
}

/* RFC 3708: as many bytes as were retransmitted come back as duplicates. */
static void test_dsack(void **state)
{
	struct tcp_range dup[2] = {{0, 1000}};
	struct tt t;

	fly(&t, 10, true, false);
	tt_sack(&t, 0, 3000, 6000);
	tt_expect(&t, 0, 3000, 0, 0);
	tt_drain(&t);
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	assert_false(t.c.reordering);
	tt_ack(&t, 10000); /* all of it was there */
	tt_drain(&t);
	while (t.c.undo_bytes) {
		assert_int_equal(t.c.stats.undone_fr, 0);
		dup[0].end = dup[0].start + 1000;
		tt_seg_sack(&t, TCP_ACK, 0, 0, 10000, dup, 1);
		dup[0].start += 1000;
	}
	assert_int_equal(t.c.stats.undone_fr, 1);
	assert_true(t.c.cwnd >= 10000);
	assert_int_equal(t.c.ssthresh, UINT32_MAX);
	assert_true(t.c.reordering);
	assert_int_equal(t.c.reo_mult, 2); /* one round with duplicates, RFC 8985 6.2 step 4 */
}

/* Once the path was seen to reorder, three SACKed segments prove nothing; time does. */
static void test_reordering(void **state)
{
	struct tt t;

	fly(&t, 10, true, false);
	tt_sack(&t, 0, 1000, 2000);
	tt_drain(&t);
	tt_ack(&t, 2000); /* the first came late, and was never sent again */
	assert_true(t.c.reordering);
	tt_drain(&t);
	tt_sack(&t, 2000, 4000, 8000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.timer, TCP_T_REO);
	assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, 25000);
	tt_drain(&t);
	tt_pass(&t, 25000);
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	tt_expect(&t, 2000, 1000, 0, 0);
}

/* Takes all that was sent; returns how many segments carry CWR, checks ECT. */
static unsigned int cwr(struct tt *t, bool ect)
{
	unsigned int n = 0;

	while (t->n_out) {
		struct tcp_emit e = tt_take(t);

		assert_int_equal(e.ect, ect && e.len && !e.retx);
		n += (e.flags & TCP_CWR) != 0;
		/* Of a run only the first segment has it. */
		assert_false(tcp_emit_flags(&e, e.mss, 1) & TCP_CWR);
	}
	return n;
}

/* RFC 3168 section 6.1.2. */
static void test_ecn(void **state)
{
	struct tt t;

	fly(&t, 10, true, true);
	tt_seg(&t, TCP_ACK | TCP_ECE, 0, 0, 2000);
	assert_int_equal(t.c.ssthresh, 7000);
	assert_int_equal(t.c.cwnd, 7000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(cwr(&t, true), 0); /* 8000 are in flight: nothing leaves */
	tt_seg(&t, TCP_ACK | TCP_ECE, 0, 0, 5000);
	assert_int_equal(t.c.stats.ecn_signals, 1); /* the same round trip */
	assert_int_equal(cwr(&t, true), 1);
	tt_seg(&t, TCP_ACK, 0, 0, 8000);
	assert_int_equal(cwr(&t, true), 0);
	tt_seg(&t, TCP_ACK | TCP_ECE, 0, 0, 10000);
	assert_int_equal(t.c.stats.ecn_signals, 1);
	t.now += 100000;
	tt_seg(&t, TCP_ACK | TCP_ECE, 0, 0, 12000); /* the next one */
	assert_int_equal(t.c.stats.ecn_signals, 2);
	/* A loss reduces and announces it as well; what is sent again is not ECN-capable. */
	fly(&t, 10, true, true);
	tt_sack(&t, 0, 1000, 5000);
	assert_true(t.n_out > 0 && t.out[0].retx);
	assert_int_equal(cwr(&t, true), 1);
	assert_int_equal(t.c.stats.ecn_signals, 0);
	/* Without agreement nothing of all this. */
	fly(&t, 10, true, false);
	tt_seg(&t, TCP_ACK | TCP_ECE, 0, 0, 5000);
	assert_int_equal(t.c.ssthresh, UINT32_MAX);
	assert_int_equal(cwr(&t, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frto_spurious), cmocka_unit_test(test_frto_real),
		cmocka_unit_test(test_dsack),	      cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_ecn),
	};

	return cmocka_run_group_tests_name("tcp undo", tests, NULL, NULL);
}
