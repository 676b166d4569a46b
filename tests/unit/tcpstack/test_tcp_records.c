/* SPDX-License-Identifier: BSD-3-Clause */
/* Transmission records: what they hold, what happens when they run out, what an export carries. */
#include "tcp_check.h"
#include "tcp_script.h"

/* A connection with a measured RTT of 100 ms and its own pool of n records. */
static void setup(struct tt *t, uint32_t n, uint32_t max_conn)
{
	tt_prepare(t);
	t->st.cwnd = 100000;
	t->st.srtt_us = 100000;
	t->st.rttvar_us = 10000;
	tcp_pool_init(&t->pool, t->rec, n, max_conn);
	tt_start(t);
}

/* All is well, and the pool has what the connection has not. */
static void check(const struct tt *t)
{
	assert_null(tcp_check(&t->c));
	assert_int_equal(t->pool.n_free + t->c.n_rec, t->pool.n_total);
}

/* One record per burst, two more per SACKed run, none at rest. */
static void test_split_and_join(void **state)
{
	struct tt t;

	setup(&t, 64, 32);
	tt_produce(&t, 20000);
	assert_int_equal(t.c.n_rec, 1);
	t.now += 10000;
	tt_produce(&t, 20000);
	assert_int_equal(t.c.n_rec, 2);
	t.now += 90000;
	tt_sack(&t, 0, 5000, 6000);
	assert_int_equal(t.c.n_rec, 4);
	tt_sack(&t, 0, 7000, 8000);
	assert_int_equal(t.c.n_rec, 6);
	assert_int_equal(t.c.n_sacked, 2);
	tt_sack(&t, 0, 6000, 7000); /* closes the hole between them */
	assert_int_equal(t.c.n_sacked, 1);
	assert_int_equal(t.c.sacked, 3000);
	check(&t);
	tt_ack(&t, 40000);
	assert_int_equal(t.c.n_rec, 0);
	check(&t);
}

/* However many bursts and holes there are: the limits hold, nothing is lost, all arrives. */
static void scarce(uint32_t n, uint32_t max_conn)
{
	uint32_t acked = 0;
	struct tt t;

	setup(&t, n, max_conn);
	for (int round = 0; round < 60 && acked < 60000; round++) {
		tt_produce(&t, 1000);
		t.now += 700;
		tt_out(&t);
		tt_drain(&t);
		assert_true(t.c.n_rec <= 2 * max_conn);
		check(&t);
		if (round % 3 == 2 && t.c.snd_nxt - t.c.snd_una > 2000) {
			uint32_t at = t.c.snd_una - TT_SND;

			tt_sack(&t, at, at + 1000, at + 1100); /* the smallest pieces */
			tt_sack(&t, at, at + 1300, at + 1400);
			check(&t);
		}
	}
	/* Everything is acknowledged sooner or later, and then the records are back. */
	for (int i = 0; i < 400 && t.c.snd_una != t.c.snd_avail; i++) {
		tt_pass(&t, 400000);
		tt_drain(&t);
		tt_ack(&t, t.c.snd_nxt - TT_SND);
		tt_drain(&t);
		check(&t);
	}
	assert_int_equal(t.c.snd_una, t.c.snd_avail);
	assert_int_equal(t.pool.n_free, n);
}

static void test_scarce(void **state)
{
	for (uint32_t n = 4; n < 40; n += 3)
		scarce(n, n / 2);
}

/* Another connection has all records: new payload waits for one, with a timer, and goes on. */
static void test_dry(void **state)
{
	struct tcp_txrec *held[17]; /* and the NULL that ends them */
	unsigned int n = 0;
	struct tt t;

	setup(&t, 16, 16);
	while ((held[n] = tcp_pool_get(&t.pool, false)) != NULL)
		n++;
	assert_int_equal(n, 14); /* an eighth is kept for splits */
	tt_produce(&t, 5000);
	tt_nothing(&t);
	assert_int_equal(t.c.timer, TCP_T_RECORD);
	assert_true(t.pool.waits > 0);
	tt_pass(&t, 50000);
	assert_int_equal(tt_drain(&t), 0); /* the ACK that the import owes, no payload */
	tcp_pool_put(&t.pool, held[--n]);
	tt_pass(&t, 2000);
	assert_int_equal(tt_drain(&t), 5000);
	assert_int_equal(t.c.timer, TCP_T_TLP);
	/* What is to be told apart now has the reserve, and after that nothing. */
	t.now += 100000;
	tt_sack(&t, 0, 2000, 3000);
	assert_int_equal(t.c.sacked, 1000);
	tt_sack(&t, 0, 3500, 4000);
	assert_int_equal(t.c.sacked, 1000);
	assert_true(t.pool.blurred > 0);
	assert_null(tcp_check(&t.c));
	/* An import with something in flight is refused, one without is not. */
	tcp_release(&t.c);
	while ((held[n] = tcp_pool_get(&t.pool, true)) != NULL)
		n++;
	t.st.snd_nxt = t.st.snd_avail = TT_SND + 1000;
	assert_int_equal(tcp_import(&t.c, &t.cfg, &t.st, t.now), ENOBUFS);
	assert_int_equal(t.c.state, TCP_S_CLOSED);
	t.st.snd_nxt = t.st.snd_avail = TT_SND;
	assert_int_equal(tcp_import(&t.c, &t.cfg, &t.st, t.now), 0);
}

/* The scoreboard goes with an exported state, and is refused when it contradicts itself. */
static void test_export(void **state)
{
	static const struct tcp_range bad[][2] = {
		{{0, 1000}, {2000, 3000}},    /* nothing to acknowledge before it */
		{{2000, 3000}, {3000, 4000}}, /* touching */
		{{4000, 5000}, {1000, 2000}}, /* not ascending */
		{{2000, 2000}, {3000, 4000}}, /* empty */
		{{2000, 3000}, {9000, 10001}} /* beyond what is in flight */
	};
	struct tcp_range r[2] = {{7000, 8000}, {2000, 4000}};
	struct tt t;

	setup(&t, 64, 32);
	tt_produce(&t, 10000);
	tt_drain(&t);
	t.now += 20000;
	tt_seg_sack(&t, TCP_ACK, 0, 0, 0, r, 2);
	tcp_export(&t.c, &t.st, t.now);
	assert_int_equal(t.st.n_sacked, 2);
	assert_int_equal(t.st.sacked[0].start, TT_SND + 2000);
	assert_int_equal(t.st.sacked[1].end, TT_SND + 8000);
	tcp_detach(&t.c);
	assert_int_equal(t.pool.n_free, 64);
	t.st.resume_loss = true;
	tt_start(&t);
	assert_int_equal(t.c.sacked, 3000);
	assert_int_equal(t.c.n_sacked, 2);
	check(&t);
	/* What the client has is not sent again. */
	t.n_out = 0;
	tt_out(&t);
	for (uint32_t at = 1000; at < 10000; at += 1000) {
		while (t.n_out) {
			struct tcp_emit e = tt_take(&t);
			uint32_t off = e.seq - TT_SND;

			assert_true(off + e.len <= 2000 || (off >= 4000 && off + e.len <= 7000) ||
				    off >= 8000);
		}
		t.now += 1000;
		tt_ack(&t, at);
	}
	check(&t);
	tcp_detach(&t.c);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t.st.n_sacked = 2;
		for (int k = 0; k < 2; k++)
			t.st.sacked[k] = (struct tcp_range){TT_SND + bad[i][k].start,
							    TT_SND + bad[i][k].end};
		assert_int_equal(tcp_import(&t.c, &t.cfg, &t.st, t.now), EINVAL);
	}
	t.st.n_sacked = TCP_STATE_SACKS + 1;
	assert_int_equal(tcp_import(&t.c, &t.cfg, &t.st, t.now), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_and_join),
		cmocka_unit_test(test_scarce),
		cmocka_unit_test(test_dry),
		cmocka_unit_test(test_export),
	};

	return cmocka_run_group_tests_name("tcp records", tests, NULL, NULL);
}
