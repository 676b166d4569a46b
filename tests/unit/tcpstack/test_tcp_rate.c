/* SPDX-License-Identifier: BSD-3-Clause */
/* Delivery-rate samples, as BBR sees them: what an ACK says of the path's rate, and when nothing.
 */
#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

#define MS 1000u

/* A window of 50 segments, so fast a pacing rate that nothing waits. */
static void setup(struct tt *t)
{
	tt_prepare(t);
	t->cfg.cc = TCP_CC_BBR;
	t->st.cwnd = 50000;
	t->st.srtt_us = 100 * MS;
	t->st.rttvar_us = 1 * MS;
	tt_start(t);
	t->c.min_rtt_us = 0; /* which an import says to be the smoothed one */
	t->c.bbr_bw = TCP_RATE_MAX - 1;
}

/* Payload leaves at once. */
static void send(struct tt *t, uint32_t n)
{
	tt_produce(t, n);
	assert_int_equal(tt_drain(t), n);
}

static uint32_t fastest(const struct tt *t)
{
	return tcp_max(t->c.bbr.max_bw[0], t->c.bbr.max_bw[1]);
}

/* bytes in us, right to a thousandth: times in records are rounded. */
static void expect_rate(const struct tt *t, uint32_t bytes, uint32_t us)
{
	double want = bytes * 1e6 / TCP_RATE_UNIT / us;

	assert_in_range(fastest(t), (uint64_t)(want * 0.999), (uint64_t)(want * 1.001 + 1));
}

static void test_window(void **state)
{
	struct tt t;

	setup(&t);
	send(&t, 10000);
	tt_pass(&t, 100 * MS);
	tt_ack(&t, 10000);
	expect_rate(&t, 10000, 100 * MS);
	assert_int_equal(t.c.rate.top - TT_SND, 10000);
	assert_int_equal(t.c.rate.first_us, (uint32_t)(t.now - 100 * MS));
	/* Of a sample that begins with an idle time only what is sent after it counts. */
	tt_pass(&t, 5000 * MS);
	send(&t, 40000);
	tt_pass(&t, 100 * MS);
	tt_ack(&t, 50000);
	expect_rate(&t, 40000, 100 * MS);
}

/* Two ACKs in a burst: what they report took as long to be sent as the first window and a half. */
static void test_ack_burst(void **state)
{
	struct tt t;

	setup(&t);
	send(&t, 2000);
	tt_pass(&t, 90 * MS);
	send(&t, 2000);
	tt_pass(&t, 10 * MS);
	tt_ack(&t, 2000);
	expect_rate(&t, 2000, 100 * MS);
	tt_pass(&t, 1 * MS);
	send(&t, 2000);
	tt_pass(&t, 90 * MS);
	tt_ack(&t, 6000); /* 4000 bytes in 91 ms since the ACK before, but sent in 101 ms */
	expect_rate(&t, 4000, 101 * MS);
}

/* A burst of ours: the time of its ACKs counts. */
static void test_send_burst(void **state)
{
	struct tt t;

	setup(&t);
	send(&t, 20000);
	tt_pass(&t, 100 * MS);
	tt_ack(&t, 2000);
	for (uint32_t i = 2; i <= 10; i++) {
		tt_pass(&t, 20 * MS);
		tt_ack(&t, i * 2000);
	}
	expect_rate(&t, 20000, 280 * MS);
}

/* What left later than it was emitted still belongs to the sample that had begun. */
static void test_wire(void **state)
{
	struct tt t;

	setup(&t);
	send(&t, 10000);
	tcp_sent(&t.c, TT_SND, 10000, t.now + 20 * MS);
	assert_int_equal(t.c.rec->xmit_us, (uint32_t)(t.now + 20 * MS));
	tt_pass(&t, 120 * MS);
	tt_ack(&t, 10000);
	expect_rate(&t, 10000, 120 * MS);
}

/* With little to send samples are limited: they only count when they are faster. */
static void test_limited(void **state)
{
	struct tt t;
	uint32_t off = 40000;

	setup(&t);
	send(&t, 40000);
	assert_true(t.c.rec->flags & TCP_REC_LIMITED); /* there was nothing before */
	tt_pass(&t, 100 * MS);
	tt_ack(&t, off);
	expect_rate(&t, 40000, 100 * MS);
	for (int i = 0; i < 5; i++) {
		send(&t, 1000);
		assert_true(t.c.rec->flags & TCP_REC_LIMITED);
		tt_pass(&t, 100 * MS);
		off += 1000;
		tt_ack(&t, off);
		expect_rate(&t, 40000, 100 * MS);
	}
	/* A window that is full all the time is not: its ACKs clear the mark. */
	tcp_produced(&t.c, 1000000, t.now);
	tt_out(&t);
	for (int i = 0; i < 3; i++) {
		off += tt_drain(&t);
		t.n_want = 0;
		tt_pass(&t, 100 * MS);
		tt_ack(&t, off);
	}
	assert_false(t.c.rate.limited);
	assert_false(t.c.rec->flags & TCP_REC_LIMITED);
}

/* Payload on its way from the server is the sender's own limit, a closed window is the path's. */
static void test_dry(void **state)
{
	struct tt t;

	setup(&t);
	t.c.rate.limited = false;
	t.want_err = EINPROGRESS;
	tt_produce(&t, 20000);
	t.c.rate.limited = false;
	tt_pass(&t, 30 * MS);
	tcp_ready(&t.c, TT_SND, 20000, t.now);
	assert_true(t.c.rate.limited);

	setup(&t);
	t.c.cwnd = 200000;
	tcp_produced(&t.c, 100000, t.now);
	tt_out(&t);
	assert_int_equal(tt_drain(&t), TT_WND);
	t.c.rate.limited = false;
	tcp_rate_dry(&t.c, t.now);
	assert_false(t.c.rate.limited);
}

/* Marks that are taken back move the count back: no sample, and nothing counts twice. */
static void test_reneged(void **state)
{
	uint32_t before;
	struct tt t;

	setup(&t);
	send(&t, 20000);
	tt_pass(&t, 100 * MS);
	tt_sack(&t, 0, 5000, 20000);
	before = fastest(&t);
	expect_rate(&t, 15000, 100 * MS);
	assert_int_equal(tcp_rate_pos(&t.c) - TT_SND, 15000);
	tt_pass(&t, 1500 * MS); /* two timeouts */
	assert_int_equal(t.c.sacked, 0);
	assert_int_equal(tcp_rate_pos(&t.c) - TT_SND, 0);
	tt_sack(&t, 0, 5000, 20000);
	assert_int_equal(t.c.rate.top - TT_SND, 15000);
	assert_true(fastest(&t) == before);
	tt_ack(&t, 20000);
	assert_true(fastest(&t) == before);
}

/* In flight when it left: known of what is sent once; lost since: counted in 64 bytes. */
static void test_records(void **state)
{
	struct tcp_txrec *r;
	struct tt t;

	setup(&t);
	send(&t, 10000);
	tt_pass(&t, 10 * MS);
	send(&t, 5000);
	r = SLIST_NEXT(t.c.rec, next);
	assert_int_equal(r->end - r->delivered, 15000);
	assert_true(r->flags & TCP_REC_RATED);
	tt_pass(&t, 90 * MS);
	tt_sack(&t, 0, 2000, 10000);
	assert_int_equal(t.c.rate.lost, 2000);
	assert_int_equal(tt_drain(&t), 2000);
	tt_pass(&t, 10 * MS); /* they have taken their time on the wire */
	send(&t, 1000);
	assert_int_equal(t.c.rec_tail->lost, 2000 / 64);
	assert_int_equal(t.c.rec_tail->end - t.c.rec_tail->delivered, 8000);
	assert_true(t.c.rec->flags & TCP_REC_RETX);
}

/* Controllers that go by a window neither ask nor pay. */
static void test_not_asked(void **state)
{
	static const struct tcp_rate none;
	struct tt t;

	setup(&t);
	t.cfg.cc = TCP_CC_CUBIC;
	tt_start(&t);
	send(&t, 10000);
	assert_false(t.c.rec->flags & (TCP_REC_RATED | TCP_REC_LIMITED));
	tt_pass(&t, 100 * MS);
	tt_sack(&t, 1000, 5000, 10000);
	tt_ack(&t, 10000);
	assert_memory_equal(&t.c.rate, &none, sizeof(none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),	   cmocka_unit_test(test_ack_burst),
		cmocka_unit_test(test_send_burst), cmocka_unit_test(test_wire),
		cmocka_unit_test(test_limited),	   cmocka_unit_test(test_dry),
		cmocka_unit_test(test_reneged),	   cmocka_unit_test(test_records),
		cmocka_unit_test(test_not_asked),
	};

	return cmocka_run_group_tests_name("tcp rate", tests, NULL, NULL);
}
