/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tcp_narrow.c - the hot state keeps the low bits of counts and times (tcp_conn.h): bytes
 * beyond 2^32 each way, segments beyond the byte they are counted in, and deadlines at every place
 * around the wrap of the microseconds' low half.
 */
#include "tcp_check.h"
#include "tcp_script.h"

#define CHUNK  60000u
#define ROUNDS 72000u /* times CHUNK: more than 2^32 */

/* Fills the window again and again, and takes as much from the client. */
static void test_bytes(void **state)
{
	uint32_t segs_in = 0;
	struct tt t;

	tt_prepare(&t);
	t.st.cwnd = 2 * CHUNK;
	tt_start(&t);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t end = (i + 1) * CHUNK;

		t.now += 1000;
		tt_produce(&t, CHUNK);
		tt_drain(&t);
		tt_seg(&t, TCP_ACK, i * CHUNK, CHUNK, end);
		tcp_room(&t.c, TT_RCV + end + TT_WND, t.now);
		tt_out(&t);
		tt_drain(&t);
		t.n_want = 0;
		segs_in++;
	}
	assert_true((uint64_t)ROUNDS * CHUNK > UINT32_MAX);
	assert_int_equal(tcp_bytes_out(&t.c), (uint64_t)ROUNDS * CHUNK);
	assert_int_equal(tcp_bytes_in(&t.c), (uint64_t)ROUNDS * CHUNK);
	assert_int_equal(tcp_segs(&t.c, TCP_N_DATA_OUT), ROUNDS * (CHUNK / TT_MSS));
	assert_int_equal(tcp_segs(&t.c, TCP_N_IN), segs_in);
	assert_int_equal(tcp_segs(&t.c, TCP_N_DATA_IN), segs_in);
	/* A FIN takes a number and is no byte. */
	tcp_shutdown(&t.c, t.now);
	tt_out(&t);
	tt_seg(&t, TCP_ACK | TCP_FIN, ROUNDS * CHUNK, 0, ROUNDS * CHUNK);
	assert_int_equal(tcp_bytes_out(&t.c), (uint64_t)ROUNDS * CHUNK);
	assert_int_equal(tcp_bytes_in(&t.c), (uint64_t)ROUNDS * CHUNK);
	assert_null(tcp_check(&t.c));
}

/* A FIN, ours or the client's, may be the number with which a direction wraps. */
static void test_fin_wraps(void **state)
{
	for (uint32_t n = 0x3fe; n <= 0x401; n++) {
		struct tt t;

		tt_init(&t);
		tt_produce(&t, n);
		tcp_shutdown(&t.c, t.now);
		tt_out(&t);
		tt_seg(&t, TCP_ACK | TCP_FIN, 0, n + 0x400, n + 1);
		assert_int_equal(tcp_bytes_out(&t.c), n);
		assert_int_equal(tcp_bytes_in(&t.c), n + 0x400);
	}
}

/* When the delayed ACK and the retransmission come, wherever the clock is. */
static void test_clock(void **state)
{
	static const int64_t at[] = {-300000, -200001, -200000, -199999, -40001, -40000,
				     -39999,  -1000,   -1,	0,	 1};

	for (uint64_t half = 1; half <= 5; half++) {
		for (unsigned int i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			struct tt t;

			tt_prepare(&t);
			t.now = (half << 31) + (uint64_t)at[i];
			tt_start(&t);
			tt_pass(&t, 40000); /* the ACK that every import owes */
			tt_drain(&t);
			tcp_quickack(&t.c, false);
			tt_seg(&t, TCP_ACK, 0, 100, 0);
			tt_nothing(&t);
			assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, 40000);
			tt_pass(&t, 39999);
			tt_nothing(&t);
			tt_pass(&t, 1);
			tt_expect(&t, 0, 0, 100, 0);
			tt_produce(&t, 500);
			tt_expect(&t, 0, 500, 100, TCP_PSH);
			tcp_sent(&t.c, TT_SND, 500, t.now);
			assert_int_equal(tcp_deadline(&t.c, t.now) - t.now, TCP_RTO_INITIAL_US);
			/* Late by as much as may be, it is still due. */
			assert_int_equal(tcp_deadline(&t.c, t.now + 1900000000) - t.now,
					 TCP_RTO_INITIAL_US);
			tt_pass(&t, TCP_RTO_INITIAL_US - 1);
			tt_nothing(&t);
			tt_pass(&t, 1);
			tt_expect(&t, 0, 500, 100, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_fin_wraps),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
