/* SPDX-License-Identifier: BSD-3-Clause */
/* Loss detection and recovery: RFC 6675, 6582, 6937, 6298, 3522, 8985. */
#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

/* n segments in flight, RTT measured as 100 ms, cwnd as given. */
static void flight(struct tt *t, uint32_t n, uint32_t cwnd, bool sack, bool ts)
{
	tt_prepare(t);
	t->st.sack_ok = sack;
	t->st.ts_ok = t->st.ts_recent_valid = ts;
	t->st.mss = TT_MSS + (ts ? 12 : 0);
	t->st.cwnd = cwnd;
	t->st.srtt_us = 100000;
	t->st.rttvar_us = 10000;
	tt_start(t);
	t->c.cwnd = cwnd;
	tt_produce(t, n * 1000);
	assert_int_equal(tt_drain(t), n * 1000);
}

/* The same, and its first ACKs are about to come, a round trip later. */
static void fly(struct tt *t, uint32_t n, uint32_t cwnd, bool sack, bool ts)
{
	flight(t, n, cwnd, sack, ts);
	t->now += 100000;
}

static void test_fast_retransmit(void **state)
{
	struct tt t;

	fly(&t, 10, 10000, true, false);
	tt_sack(&t, 0, 1000, 2000);
	tt_sack(&t, 0, 1000, 3000);
	tt_nothing(&t);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	tt_sack(&t, 0, 1000, 4000);
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	tt_expect(&t, 0, 1000, 0, 0);
	assert_int_equal(t.want[t.n_want - 1].retx, true);
	assert_int_equal(t.c.ssthresh, 7000);
	for (uint32_t i = 5; i <= 10; i++)
		tt_sack(&t, 0, 1000, 1000 * i);
	tt_nothing(&t); /* nothing else is lost and nothing new is there */
	tt_ack(&t, 10000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.cwnd, 7000);
	assert_int_equal(t.c.stats.retx_segs, 1);
}

/* Three holes: all of them are retransmitted, once each, in one recovery. */
static void test_three_holes(void **state)
{
	struct tcp_range r[3] = {{8000, 20000}, {4000, 7000}, {1000, 3000}};
	uint32_t seen[20] = {0};
	struct tt t;

	fly(&t, 20, 20000, true, false);
	tt_seg_sack(&t, TCP_ACK, 0, 0, 0, r, 3);
	while (t.n_out) {
		struct tcp_emit e = tt_take(&t);

		for (uint32_t o = e.seq - TT_SND; o < e.seq - TT_SND + e.len; o += 1000)
			seen[o / 1000]++;
	}
	tt_ack(&t, 3000);
	tt_ack(&t, 7000);
	while (t.n_out) {
		struct tcp_emit e = tt_take(&t);

		for (uint32_t o = e.seq - TT_SND; o < e.seq - TT_SND + e.len; o += 1000)
			seen[o / 1000]++;
	}
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(seen[i], i == 0 || i == 3 || i == 7);
	tt_ack(&t, 20000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.stats.recoveries, 1);
}

/* PRR: during recovery about ssthresh / flight of what is delivered is sent. */
static void test_prr(void **state)
{
	uint32_t sent = 0;
	struct tt t;

	fly(&t, 20, 20000, true, false);
	tt_produce(&t, 40000);
	tt_drain(&t);
	for (uint32_t i = 2; i <= 20; i++) {
		tt_sack(&t, 0, 1000, 1000 * i);
		sent += tt_drain(&t);
	}
	/* 14000 may be in flight at the end of the round, two limited transmits before it. */
	assert_true(sent >= 12000 && sent <= 15000);
	tt_ack(&t, 22000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.cwnd, 14000);
}

static void test_limited_transmit(void **state)
{
	struct tt t;

	fly(&t, 10, 10000, true, false);
	tt_produce(&t, 10000);
	tt_nothing(&t);
	tt_sack(&t, 0, 1000, 2000);
	tt_expect(&t, 10000, 1000, 0, 0);
	tt_sack(&t, 0, 1000, 3000);
	tt_expect(&t, 11000, 1000, 0, 0);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
}

static void test_new_reno(void **state)
{
	struct tt t;

	flight(&t, 10, 10000, false, false);
	tt_ack(&t, 0);
	tt_ack(&t, 0);
	tt_nothing(&t);
	tt_ack(&t, 0);
	tt_expect(&t, 0, 1000, 0, 0);
	for (int i = 0; i < 5; i++)
		tt_ack(&t, 0);
	tt_nothing(&t);
	/* A partial ACK: the next segment, at once (RFC 6582 section 3.2 step 3). */
	tt_ack(&t, 4000);
	tt_expect(&t, 4000, 1000, 0, 0);
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	tt_ack(&t, 10000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	/* Window updates and data segments are no duplicates (RFC 5681 section 2). */
	flight(&t, 10, 10000, false, false);
	for (int i = 0; i < 6; i++) {
		t.wnd -= 100;
		tt_ack(&t, 0);
	}
	for (uint32_t i = 0; i < 6; i++)
		tt_seg(&t, TCP_ACK, i * 10, 10, 0);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
}

static void test_rto(void **state)
{
	uint64_t at;
	struct tt t;

	flight(&t, 10, 10000, false, false);
	at = t.now;
	assert_true(tcp_deadline(&t.c, t.now) - at >= 300000 &&
		    tcp_deadline(&t.c, t.now) - at <= 400000);
	/* 300 ms + srtt, doubled each time (RFC 6298 section 5.5), one segment each. */
	for (uint64_t rto = 300000; rto < 4000000; rto *= 2) {
		uint64_t due = tcp_deadline(&t.c, t.now) - t.now;

		assert_int_equal(due, t.c.timer == TCP_T_RTO ? rto : due);
		tt_pass(&t, due);
		tt_expect(&t, 0, 1000, 0, 0);
		tt_nothing(&t);
		assert_int_equal(t.c.cwnd, TT_MSS);
	}
	assert_int_equal(t.c.ssthresh, 7000); /* reduced once */
	tt_ack(&t, 1000);
	tt_expect(&t, 1000, 2000, 0, 0); /* slow start over what is lost */
	tt_ack(&t, 10000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_true(t.c.srtt_us == 100000); /* Karn */
	assert_int_equal(t.c.backoff, 4);
	tt_produce(&t, 1000);
	t.now += 100000;
	tt_ack(&t, 11000);
	assert_int_equal(t.c.backoff, 0); /* a sample ends it, section 5 */
}

/* On and on, also when the size of segments is suspected at last (RFC 4821 section 7.7). */
static void test_rto_long(void **state)
{
	struct tt t;

	flight(&t, 10, 10000, false, false);
	for (uint64_t rto = 300000; rto < 100000000; rto *= 2) {
		assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, rto);
		tt_pass(&t, rto);
		tt_expect(&t, 0, t.c.mss, 0, 0);
		tt_nothing(&t);
		assert_int_equal(t.c.cwnd, t.c.mss);
	}
}

/* A timeout while the payload of the retransmission is being read is none. */
static void test_rto_waits_for_payload(void **state)
{
	struct tt t;

	flight(&t, 3, 10000, false, false);
	t.want_err = EINPROGRESS;
	tt_pass(&t, 350000);
	tt_nothing(&t);
	assert_int_equal(t.c.backoff, 1);
	for (int i = 0; i < 10; i++)
		tt_pass(&t, 700000);
	assert_int_equal(t.c.backoff, 1);
	assert_int_equal(t.c.stats.rto_count, 1);
	tcp_ready(&t.c, TT_SND, 1000, t.now);
	tt_out(&t);
	tt_expect(&t, 0, 1000, 0, 0);
	tt_pass(&t, 700000);
	assert_int_equal(t.c.backoff, 2);
}

static void test_give_up(void **state)
{
	uint64_t start;
	struct tt t;

	tt_prepare(&t);
	t.cfg.user_timeout_us = 30000000;
	tt_start(&t);
	tt_produce(&t, 100);
	start = t.now;
	while (t.c.state != TCP_S_CLOSED && t.now < start + 200000000) {
		tt_pass(&t, 100000);
		tt_drain(&t);
	}
	assert_int_equal(t.events[TCP_E_TIMEOUT], 1);
	assert_true(t.now - start >= 30000000 && t.now - start < 70000000);
}

/* RFC 3522: the echo of an older timestamp shows the retransmission was needless. */
static void test_eifel(void **state)
{
	struct tt t;

	flight(&t, 10, 10000, true, true);
	uint32_t before = t.seg_ecr;

	tt_pass(&t, 600000); /* the probe, then the timeout */
	assert_true(tt_drain(&t) > 0);
	assert_int_equal(t.c.recovery, TCP_R_LOSS);
	t.seg_ecr = before;
	tt_ack(&t, 2000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.cwnd, 10000);
	assert_int_equal(t.c.stats.undone_rto, 1);
	tt_nothing(&t);
	/* The echo of the retransmission does not undo. */
	flight(&t, 10, 10000, true, true);
	tt_pass(&t, 600000);
	tt_drain(&t);
	tt_ack(&t, 2000);
	assert_int_equal(t.c.recovery, TCP_R_LOSS);
	assert_int_equal(t.c.stats.undone_rto, 0);
}

static void test_tlp(void **state)
{
	struct tt t;

	flight(&t, 10, 10000, true, false);
	assert_int_equal(t.c.timer, TCP_T_TLP);
	/* Two round trips and the least slack; RFC 8985 has none, but clients are processes. */
	assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, 220000);
	/* The last three are lost: the probe makes the client show it. */
	tt_ack(&t, 7000);
	tt_pass(&t, 220000);
	tt_expect(&t, 9000, 1000, 0, TCP_PSH);
	assert_int_equal(t.c.timer, TCP_T_RTO);
	tt_pass(&t, 100000);
	tt_sack(&t, 7000, 9000, 10000);
	tt_expect(&t, 7000, 1000, 0, 0); /* the probe left long after */
	tt_ack(&t, 8000);
	tt_expect(&t, 8000, 1000, 0, 0);
	tt_ack(&t, 10000);
	assert_int_equal(t.c.stats.rto_count, 0);
	/* Only the last is lost: the probe repairs it, congestion control hears of it. */
	flight(&t, 10, 10000, true, false);
	tt_ack(&t, 9000);
	assert_int_equal(t.c.timer, TCP_T_RTO); /* the client may delay the ACK of one segment */
	tt_ack(&t, 10000);
	flight(&t, 10, 10000, true, false);
	tt_ack(&t, 8000);
	tt_pass(&t, 220000);
	tt_expect(&t, 9000, 1000, 0, TCP_PSH);
	tt_ack(&t, 10000);
	assert_int_equal(t.c.cwnd, 20000); /* of either copy: RFC 8985 7.4.2 waits */
	tt_produce(&t, 2000);
	assert_int_equal(tt_drain(&t), 2000);
	tt_ack(&t, 12000);
	assert_int_equal(t.c.cwnd, 14000);
	/* New payload, if there is any, is the better probe. */
	flight(&t, 10, 10000, true, false);
	tt_produce(&t, 5000);
	tt_nothing(&t);
	tt_pass(&t, 220000);
	tt_expect(&t, 10000, 1000, 0, 0);
}

/* A hole below a SACKed segment is filled after the reordering window, without three SACKs. */
static void test_reordering_timer(void **state)
{
	struct tt t;

	fly(&t, 3, 10000, true, false);
	tt_sack(&t, 0, 2000, 3000);
	assert_int_equal(t.c.timer, TCP_T_REO);
	assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, 25000);
	tt_pass(&t, 24999);
	tt_nothing(&t);
	tt_pass(&t, 1);
	tt_expect(&t, 0, 1000, 0, 0);
	tt_ack(&t, 1000);
	tt_expect(&t, 1000, 1000, 0, 0);
	/* The missing segments arrive in time: nothing happens. */
	fly(&t, 3, 10000, true, false);
	tt_sack(&t, 0, 2000, 3000);
	tt_pass(&t, 20000);
	tt_ack(&t, 3000);
	tt_pass(&t, 100000);
	tt_nothing(&t);
	assert_int_equal(t.c.stats.recoveries, 0);
}

/* The retransmission is lost as well: SACKs of what was sent after it show it. */
static void test_lost_again(void **state)
{
	struct tt t;

	fly(&t, 20, 20000, true, false);
	tt_produce(&t, 30000);
	tt_drain(&t);
	tt_sack(&t, 0, 1000, 5000);
	assert_true(t.n_out > 0);
	tt_expect(&t, 0, 1000, 0, 0);
	for (uint32_t i = 6; i <= 20; i++)
		tt_sack(&t, 0, 1000, 1000 * i);
	assert_true(tt_drain(&t) > 4000); /* new payload went out behind it */
	tt_sack(&t, 0, 1000, 24000);
	assert_true(t.n_out > 0);
	tt_expect(&t, 0, 1000, 0, 0);
	assert_int_equal(t.c.stats.rto_count, 0);
}

static void test_reneging(void **state)
{
	struct tt t;

	fly(&t, 10, 10000, true, false);
	tt_sack(&t, 0, 2000, 5000);
	tt_drain(&t);
	tt_ack(&t, 2000); /* up to the SACKed range and not over it */
	assert_int_equal(t.c.n_sacked, 0);
	tt_pass(&t, 700000);
	assert_true(t.n_out > 0);
	/* Blocks that make no sense are ignored. */
	fly(&t, 10, 10000, true, false);
	tt_sack(&t, 0, 5000, 5000);
	tt_sack(&t, 0, 6000, 5000);
	tt_sack(&t, 0, 5000, 11000);
	tt_sack(&t, 0, (uint32_t)-5000, 3000);
	tt_sack(&t, 0, 50000, 60000);
	tt_sack(&t, 0, 0x7fffff00, 0x80001000); /* half the space away */
	tt_sack(&t, 0, 0x80000000, 0x80001000);
	assert_int_equal(t.c.n_sacked, 0);
	tt_nothing(&t);
}

/* What is lost may be retransmitted only as the client's window and cwnd allow. */
static void test_import_in_flight(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.snd_nxt = t.st.snd_avail = TT_SND + 50000;
	tt_start(&t);
	tt_out(&t);
	tt_nothing(&t);
	assert_int_equal(t.c.timer, TCP_T_RTO);
	tt_pass(&t, 40000);
	tt_expect(&t, 50000, 0, 0, 0); /* whatever ACK was owed */
	tt_pass(&t, 960000);
	tt_expect(&t, 0, 1000, 0, 0);
	tt_nothing(&t);
	assert_true(t.want[0].retx);
	tt_ack(&t, 50000);
	assert_int_equal(t.acked, 50000);
	assert_int_equal(t.c.timer, TCP_T_NONE);
}

/* On a LAN the slack is what counts, or the variation when the client's answers vary more. */
static void test_tlp_lan(void **state)
{
	struct tt t;

	flight(&t, 10, 10000, true, false);
	t.c.srtt_us = 300;
	t.c.rttvar_us = 100;
	tcp_timer_rearm(&t.c, t.now);
	assert_int_equal(t.c.timer, TCP_T_TLP);
	assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, 20600);
	t.c.rttvar_us = 45000;
	tcp_timer_rearm(&t.c, t.now);
	assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, 45600);
}

/*
 * A single segment in flight, whose ACK may be delayed, leaves the probe to the RTO; what is sent
 * behind it brings the probe back (RFC 8985 7.2: on each transmission of new data).
 */
static void test_tlp_tail_grows(void **state)
{
	struct tt t;

	flight(&t, 1, 10000, true, false);
	assert_int_equal(t.c.timer, TCP_T_RTO);
	tt_produce(&t, 3000);
	assert_int_equal(tt_drain(&t), 3000);
	assert_int_equal(t.c.timer, TCP_T_TLP);
	assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, 220000);
	/* More of it does not put the probe off. */
	t.now += 50000;
	tt_produce(&t, 3000);
	assert_int_equal(tt_drain(&t), 3000);
	assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, 170000);
	/* After the probe the RTO stands, whatever is sent. */
	tt_pass(&t, 170000);
	assert_int_equal(t.c.stats.probes, 1);
	tt_drain(&t);
	assert_int_equal(t.c.timer, TCP_T_RTO);
	tt_produce(&t, 1000);
	tt_drain(&t);
	assert_int_equal(t.c.timer, TCP_T_RTO);
}

/* ACKs of what the kernel sent may come late after a takeover: no probe, no early timeout. */
static void test_import_late_acks(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.snd_nxt = t.st.snd_avail = TT_SND + 5000;
	t.st.srtt_us = 1000;
	t.st.rttvar_us = 100;
	tt_start(&t);
	assert_int_equal(t.c.timer, TCP_T_TLP);
	t.now += 300000; /* the grant and the commit took their time */
	tcp_expect_late(&t.c, t.now + 20000);
	tt_pass(&t, 200000);
	while (t.n_out)
		assert_int_equal(tt_take(&t).len, 0);
	tt_ack(&t, 5000);
	assert_int_equal(t.c.stats.retx_segs, 0);
	assert_int_equal(t.c.timer, TCP_T_NONE);
}

/* A successor sends the first segment at once and learns from the answer where the client is. */
static void test_import_resume(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.snd_nxt = t.st.snd_avail = TT_SND + 50000;
	t.st.resume_loss = true;
	tt_start(&t);
	tt_out(&t);
	tt_expect(&t, 0, 1000, 0, 0);
	tt_nothing(&t);
	t.now += 1000;
	tt_ack(&t, 48000);
	tt_expect(&t, 48000, 2000, 0, 0);
	tt_ack(&t, 50000);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.ssthresh, UINT32_MAX);
	assert_int_equal(t.c.stats.rto_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_retransmit),
		cmocka_unit_test(test_three_holes),
		cmocka_unit_test(test_prr),
		cmocka_unit_test(test_limited_transmit),
		cmocka_unit_test(test_new_reno),
		cmocka_unit_test(test_rto),
		cmocka_unit_test(test_rto_long),
		cmocka_unit_test(test_rto_waits_for_payload),
		cmocka_unit_test(test_give_up),
		cmocka_unit_test(test_eifel),
		cmocka_unit_test(test_tlp),
		cmocka_unit_test(test_tlp_lan),
		cmocka_unit_test(test_tlp_tail_grows),
		cmocka_unit_test(test_reordering_timer),
		cmocka_unit_test(test_lost_again),
		cmocka_unit_test(test_reneging),
		cmocka_unit_test(test_import_in_flight),
		cmocka_unit_test(test_import_late_acks),
		cmocka_unit_test(test_import_resume),
	};

	return cmocka_run_group_tests_name("tcp recovery", tests, NULL, NULL);
}
