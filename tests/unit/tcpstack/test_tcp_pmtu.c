/* SPDX-License-Identifier: BSD-3-Clause */
/* Path MTU: RFC 5927 (which errors count), 1191 and 8201 (down), 4821 and 8899 (black holes, up).
 */
#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

#define MSS6 1440u

/* A connection with n segments in flight, cwnd of 20 segments. */
static void flight(struct tt *t, bool v6, uint32_t n)
{
	tt_prepare(t);
	t->st.is_v6 = v6;
	t->st.mss = v6 ? MSS6 : 1460;
	t->st.cwnd = 20 * t->st.mss;
	t->st.srtt_us = 50000;
	t->st.rttvar_us = 5000;
	tt_start(t);
	tt_produce(t, n * t->st.mss);
	assert_int_equal(tt_drain(t), n * t->st.mss);
}

static enum tcp_icmp_verdict too_big(struct tt *t, uint32_t off, uint32_t mtu)
{
	struct tcp_icmp_err e = {.kind = TCP_K_TOO_BIG, .seq = TT_SND + off, .mtu = mtu};
	enum tcp_icmp_verdict v = tcp_icmp(&t->c, &e, t->now);

	tt_out(t);
	return v;
}

/* The first window does not fit: smaller segments at once, no sign of congestion. */
static void test_first_flight(void **state)
{
	for (int v6 = 0; v6 <= 1; v6++) {
		uint32_t mss, cwnd, sum = 0;
		struct tt t;

		flight(&t, v6, 4);
		cwnd = t.c.cwnd;
		assert_int_equal(too_big(&t, 0, 1400), TCP_I_TAKEN);
		mss = v6 ? 1340 : 1360;
		assert_int_equal(t.c.mss, mss);
		assert_true(t.n_out > 0);
		while (t.n_out) {
			struct tcp_emit e = tt_take(&t);

			assert_true(e.retx);
			assert_int_equal(e.mss, mss);
			assert_int_equal(e.seq, TT_SND + sum);
			sum += e.len;
		}
		assert_int_equal(sum, 4 * t.st.mss); /* everything, in order, once */
		/* The rest of the burst of errors changes nothing (RFC 8201 section 5.4). */
		for (uint32_t i = 1; i < 4; i++)
			assert_int_equal(too_big(&t, i * t.st.mss, 1400), TCP_I_BAD_SIZE);
		tt_nothing(&t);
		tt_ack(&t, sum);
		assert_int_equal(t.c.recovery, TCP_R_OPEN);
		assert_true(t.c.ssthresh >= cwnd);
		assert_int_equal(t.c.stats.mtu_falls, 1);
		assert_int_equal(t.c.stats.rto_count, 0);
	}
}

/* Narrower hops one after the other. */
static void test_several_hops(void **state)
{
	struct tt t;

	flight(&t, false, 4);
	assert_int_equal(too_big(&t, 0, 1400), TCP_I_TAKEN);
	assert_int_equal(too_big(&t, 0, 1300), TCP_I_TAKEN);
	assert_int_equal(too_big(&t, 0, 1000), TCP_I_TAKEN);
	assert_int_equal(t.c.mss, 960);
	assert_int_equal(too_big(&t, 0, 1300), TCP_I_BAD_SIZE); /* an old one, late */
	assert_int_equal(t.c.mss, 960);
}

/* RFC 5927 section 4.1: the quoted sequence number must be in flight. */
static void test_sequence(void **state)
{
	struct tt t;

	flight(&t, false, 4);
	assert_int_equal(too_big(&t, 4 * 1460, 1400), TCP_I_SEQUENCE); /* snd_nxt */
	assert_int_equal(too_big(&t, (uint32_t)-1, 1400), TCP_I_SEQUENCE);
	assert_int_equal(too_big(&t, 1u << 31, 1400), TCP_I_SEQUENCE);
	assert_int_equal(t.c.mss, 1460);
	tt_ack(&t, 4 * 1460);
	assert_int_equal(too_big(&t, 3 * 1460, 1400), TCP_I_SEQUENCE); /* acknowledged: arrived */
	assert_int_equal(t.c.mss, 1460);
	assert_int_equal(t.c.stats.icmp_ignored, 4);
	assert_int_equal(t.c.stats.icmp_in, 4);
	assert_int_equal(t.c.stats.mtu_falls, 0);
}

/* Sizes that contradict the standard or the packet. */
static void test_sizes(void **state)
{
	struct tcp_icmp_err e = {.kind = TCP_K_TOO_BIG, .seq = TT_SND};
	struct tt t;

	flight(&t, true, 4);
	assert_int_equal(too_big(&t, 0, 1279), TCP_I_BAD_SIZE); /* RFC 8201 section 4: discard */
	assert_int_equal(too_big(&t, 0, 0), TCP_I_BAD_SIZE);
	assert_int_equal(too_big(&t, 0, 1500), TCP_I_BAD_SIZE);
	assert_int_equal(too_big(&t, 0, 1280), TCP_I_TAKEN);
	assert_int_equal(t.c.mss, 1220);
	flight(&t, false, 4);
	assert_int_equal(too_big(&t, 0, 67), TCP_I_BAD_SIZE);
	e.len = 1000;
	e.mtu = 1400; /* the quoted packet would have fit */
	assert_int_equal(tcp_icmp(&t.c, &e, t.now), TCP_I_BAD_SIZE);
	assert_int_equal(t.c.mss, 1460);
	/* No MTU said: the next plateau below the quoted packet (RFC 1191 section 7). */
	e.len = 1500;
	e.mtu = 0;
	assert_int_equal(tcp_icmp(&t.c, &e, t.now), TCP_I_TAKEN);
	assert_int_equal(t.c.mss, 1492 - 40);
	e.len = 1492;
	assert_int_equal(tcp_icmp(&t.c, &e, t.now), TCP_I_TAKEN);
	assert_int_equal(t.c.mss, 1006 - 40);
}

/* Below 576 an IPv4 segment may be fragmented instead, once and for all. */
static void test_floor(void **state)
{
	struct tt t;

	flight(&t, false, 4);
	assert_int_equal(too_big(&t, 0, 296), TCP_I_TAKEN);
	assert_int_equal(t.c.mss, 536);
	assert_true(t.n_out > 0);
	while (t.n_out) {
		struct tcp_emit e = tt_take(&t);

		assert_int_equal(e.mss, 536);
		assert_true(e.df_off);
	}
	assert_int_equal(too_big(&t, 0, 68), TCP_I_BAD_SIZE); /* of a segment with DF, late */
	tt_nothing(&t);
	/* A client with smaller segments than that keeps them. */
	tt_prepare(&t);
	t.st.mss = 400;
	tt_start(&t);
	tt_produce(&t, 4000);
	tt_drain(&t);
	assert_int_equal(too_big(&t, 0, 296), TCP_I_TAKEN);
	assert_int_equal(t.c.mss, 400);
	assert_true(tt_take(&t).df_off);
}

/* RFC 5927 section 7.2: a size that was acknowledged is not given up for an error alone. */
static void test_proven(void **state)
{
	struct tt t;

	flight(&t, false, 4);
	tt_ack(&t, 4 * 1460);
	tt_produce(&t, 4 * 1460);
	tt_drain(&t);
	assert_int_equal(too_big(&t, 5 * 1460, 600), TCP_I_PENDING);
	assert_int_equal(t.c.mss, 1460);
	tt_nothing(&t);
	/* The quoted segment is acknowledged after all: the error was a lie. */
	tt_ack(&t, 8 * 1460);
	assert_int_equal(t.c.mss, 1460);
	tt_produce(&t, 4 * 1460);
	tt_drain(&t);
	tt_pass(&t, 10000);
	assert_int_equal(too_big(&t, 8 * 1460, 1400), TCP_I_PENDING);
	tt_pass(&t, 500000);
	assert_int_equal(t.c.mss, 1360); /* it timed out: the error was true */
	assert_int_equal(t.c.stats.mtu_falls, 1);
	assert_true(t.n_out > 0);
	assert_int_equal(t.out[t.n_out - 1].mss, 1360);
}

/* RFC 5927 section 5.2, RFC 9293 MUST-56: no other error ends a connection. */
static void test_soft(void **state)
{
	struct tcp_icmp_err e = {.seq = TT_SND};
	struct tt t;

	for (int k = TCP_K_UNREACHABLE; k < TCP_K_COUNT; k++) {
		flight(&t, false, 4);
		e.kind = k;
		e.seq = TT_SND + 4 * 1460;
		assert_int_equal(tcp_icmp(&t.c, &e, t.now), TCP_I_SEQUENCE);
		assert_int_equal(t.c.soft_error, TCP_K_NONE);
		e.seq = TT_SND;
		assert_int_equal(tcp_icmp(&t.c, &e, t.now), TCP_I_NOTED);
		assert_int_equal(t.c.soft_error, k);
		assert_int_equal(t.c.state, TCP_S_ESTABLISHED);
		tt_out(&t);
		tt_nothing(&t);
		tt_ack(&t, 4 * 1460);
		assert_int_equal(t.c.snd_una, TT_SND + 4 * 1460);
	}
	tcp_detach(&t.c);
	assert_int_equal(tcp_icmp(&t.c, &e, t.now), TCP_I_CLOSED);
}

/* Full segments that are never answered: smaller ones, without any ICMP. */
static void test_black_hole(void **state)
{
	for (int v6 = 0; v6 <= 1; v6++) {
		struct tt t;

		flight(&t, v6, 4);
		tt_pass(&t, 2000000); /* RTO 250, 500 and 1000 ms, a probe before them */
		assert_int_equal(t.c.backoff, 3);
		assert_int_equal(t.c.mss, v6 ? 1220 : 1160);
		assert_int_equal(t.out[t.n_out - 1].mss, t.c.mss);
		assert_int_equal(t.c.stats.black_holes, 1);
		tt_pass(&t, 400000000);
		assert_int_equal(t.c.mss, v6 ? 1220 : 536); /* and smaller, to the floor */
		assert_int_equal(t.c.state, TCP_S_ESTABLISHED);
	}
}

/* Small segments time out as well: nothing is wrong with their size. */
static void test_no_black_hole(void **state)
{
	struct tt t;

	flight(&t, false, 0);
	tt_produce(&t, 500);
	tt_pass(&t, 30000000);
	assert_true(t.c.backoff > 4);
	assert_int_equal(t.c.mss, 1460);
	assert_int_equal(t.c.stats.black_holes, 0);
}

/* A client behind a path of `mtu`: takes what fits, says what it has; returns when all is there. */
static void path(struct tt *t, uint32_t mtu, uint32_t from, uint32_t total)
{
	struct tcp_range have[TT_MAX] = {{0, from}};
	uint8_t n = 1;

	for (int round = 0; have[0].end < total && round < 4000; round++) {
		bool got = false;

		t->n_want = 0;
		while (t->n_out) {
			struct tcp_emit e = tt_take(t);
			uint32_t off = e.seq - TT_SND, left = e.len;

			while (left) {
				uint32_t len = tcp_min(left, e.mss);

				if (len + e.optlen + tcp_pmtu_hdr(&t->c) <= mtu) {
					tcp_range_add(have, &n, TT_MAX, off, off + len);
					got = true;
				}
				off += len;
				left -= len;
			}
		}
		if (!got) {
			assert_true(tcp_deadline(&t->c, t->now) != TCP_NEVER);
			tt_pass(t, tcp_deadline(&t->c, t->now) - t->now);
			continue;
		}
		tt_pass(t, 20000);
		tt_seg_sack(t, TCP_ACK, 0, 0, have[0].end, have + 1, n > 4 ? 3 : n - 1);
	}
	assert_int_equal(have[0].end, total);
}

/* A black hole of any size is found and searched to its edge; loss of probes costs no window. */
static void test_search(void **state)
{
	static const uint32_t mtu[] = {1500, 1499, 1480, 1420, 1300, 1201, 1200, 900, 576};

	for (size_t i = 0; i < sizeof(mtu) / sizeof(mtu[0]); i++) {
		struct tt t;

		flight(&t, false, 4);
		t.cfg.max_burst = 8 * 1460;
		tt_pass(&t, 2000000); /* whatever it is, nothing came through for a while */
		tt_drain(&t);
		assert_true(t.c.mss <= 1160);
		tcp_produced(&t.c, 3000 * 1460, t.now);
		tt_out(&t);
		tt_pass(&t, tcp_deadline(&t.c, t.now) - t.now);
		path(&t, mtu[i], 0, 3004 * 1460);
		assert_true(t.c.mss + 40u <= mtu[i]);
		assert_true(t.c.mss + 40u + 16 >= mtu[i]);
		assert_int_equal(t.c.pm_next, 0); /* the search is over */
		assert_true(t.c.stats.mtu_probes <= 3 * 7);
		assert_int_equal(t.c.recovery, TCP_R_OPEN);
		/* Only what timed out, at the start, was taken for congestion. */
		assert_true(t.c.cwnd >= 20 * 1160);
	}
}

/* What ICMP lowered is tried again after ten minutes (RFC 8899 PMTU_RAISE_TIMER), not before. */
static void test_raise(void **state)
{
	struct tt t;

	flight(&t, false, 2);
	assert_int_equal(too_big(&t, 0, 1400), TCP_I_TAKEN);
	path(&t, 1400, 0, 2 * 1460);
	tt_pass(&t, 590000000);
	tt_produce(&t, 50 * 1360);
	path(&t, 1400, 2 * 1460, 2 * 1460 + 50 * 1360);
	assert_int_equal(t.c.stats.mtu_probes, 0);
	tt_pass(&t, 20000000);
	tt_produce(&t, 50 * 1360);
	path(&t, 1500, 2 * 1460 + 50 * 1360, 2 * 1460 + 100 * 1360);
	assert_int_equal(t.c.mss, 1460);
	assert_int_equal(t.c.stats.mtu_probes, 1);
	assert_int_equal(t.c.stats.mtu_rises, 1);
}

/* The error about a probe is about the probe: the size in use stays. */
static void test_probe_too_big(void **state)
{
	uint32_t cwnd, off = 2 * 1460;
	struct tt t;

	flight(&t, false, 2);
	assert_int_equal(too_big(&t, 0, 1200), TCP_I_TAKEN);
	path(&t, 1200, 0, 2 * 1460);
	tt_pass(&t, 600000000);
	tt_produce(&t, 10 * 1160);
	cwnd = t.c.cwnd;
	assert_true(t.c.pm_out);
	tt_expect(&t, off, 1460, 0, 0);
	tt_drain(&t);
	assert_int_equal(too_big(&t, off, 1400), TCP_I_TAKEN);
	assert_int_equal(t.c.mss, 1160);
	assert_int_equal(t.c.pm_next, 1360);
	/* Its loss is repaired without a reduction. */
	tt_sack(&t, off, off + 1460, off + 1460 + 5 * 1160);
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	tt_expect(&t, off, 1460, 0, 0);
	tt_ack(&t, off + 10 * 1160);
	assert_true(t.c.cwnd >= cwnd - 1160);
	assert_true(t.c.ssthresh >= cwnd);
}

/* The sizes survive an export. */
static void test_export(void **state)
{
	struct tcp_state_io st;
	struct tt t;

	flight(&t, true, 4);
	assert_int_equal(too_big(&t, 0, 1300), TCP_I_TAKEN);
	tcp_export(&t.c, &st, t.now);
	assert_int_equal(st.mss, 1240);
	assert_int_equal(st.mss_max, MSS6);
	assert_true(st.is_v6);
	assert_int_equal(tcp_import(&t.c, &t.cfg, &st, t.now), 0);
	assert_int_equal(t.c.mss, 1240);
	assert_int_equal(t.c.mss_max, MSS6);
	st.mss_max = 1239;
	assert_int_equal(tcp_import(&t.c, &t.cfg, &st, t.now), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_flight),  cmocka_unit_test(test_several_hops),
		cmocka_unit_test(test_sequence),      cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_floor),	      cmocka_unit_test(test_proven),
		cmocka_unit_test(test_soft),	      cmocka_unit_test(test_black_hole),
		cmocka_unit_test(test_no_black_hole), cmocka_unit_test(test_search),
		cmocka_unit_test(test_raise),	      cmocka_unit_test(test_probe_too_big),
		cmocka_unit_test(test_export),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
