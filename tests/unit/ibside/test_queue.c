/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_queue.c - the parts of a set that need no device: credits, and the queue of waiting entries.
 */
#include "ibside/ib_set_impl.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct ib_msgq q;

static int open_queue(void **state)
{
	return ib_msgq_open(&q);
}

static int close_queue(void **state)
{
	ib_msgq_close(&q);
	return 0;
}

static int put_cursor(uint8_t mid, uint32_t token, uint64_t cursor)
{
	struct ib_cursor c = {.token = htobe32(token), .cursor = htobe64(cursor)};

	return ib_msgq_put(&q, mid, &c, sizeof(c));
}

static int put_ctl(uint8_t mid, uint32_t token)
{
	struct ib_ctl c = {.token = htobe32(token)};

	return ib_msgq_put(&q, mid, &c, sizeof(c));
}

static void kinds_stay_in_order(void **state)
{
	uint8_t buf[IB_MSG_MAX], mid = 0;
	struct ib_ctl *c = (void *)buf;

	assert_int_equal(put_ctl(IB_MID_COMMIT, 1), 0);
	assert_int_equal(put_ctl(IB_MID_COMMIT, 2), 0);
	assert_int_equal(put_ctl(IB_MID_REVOKE, 1), 0);
	assert_int_equal(put_ctl(IB_MID_COMMIT, 3), 0);
	assert_int_equal(ib_msgq_take(&q, &mid, buf, sizeof(buf)), 32);
	assert_int_equal(mid, IB_MID_COMMIT);
	assert_int_equal(be32toh(c[0].token), 1);
	assert_int_equal(be32toh(c[1].token), 2);
	assert_int_equal(ib_msgq_take(&q, &mid, buf, sizeof(buf)), 16);
	assert_int_equal(mid, IB_MID_REVOKE);
	assert_int_equal(ib_msgq_take(&q, &mid, buf, sizeof(buf)), 16);
	assert_int_equal(be32toh(c[0].token), 3);
	assert_int_equal(ib_msgq_take(&q, &mid, buf, sizeof(buf)), 0);
}

static void newest_cursor_travels(void **state)
{
	uint8_t buf[IB_MSG_MAX], mid = 0;
	struct ib_cursor *c = (void *)buf;

	for (uint64_t i = 0; i < 100000; i++) {
		assert_int_equal(put_cursor(IB_MID_RD_COMPL, 5, i), 0);
		assert_int_equal(put_cursor(IB_MID_RD_COMPL, 6, 2 * i), 0);
	}
	assert_int_equal(ib_msgq_take(&q, &mid, buf, sizeof(buf)), 2 * sizeof(*c));
	assert_int_equal(be32toh(c[0].token), 5);
	assert_int_equal(be64toh(c[0].cursor), 99999);
	assert_int_equal(be64toh(c[1].cursor), 199998);
	/* Another kind, another token, and one that left already are not overtaken. */
	assert_int_equal(put_cursor(IB_MID_RD_COMPL, 5, 1), 0);
	assert_int_equal(put_cursor(IB_MID_WR_COMPL, 5, 2), 0);
	assert_int_equal(ib_msgq_take(&q, &mid, buf, sizeof(buf)), sizeof(*c));
	assert_int_equal(mid, IB_MID_RD_COMPL);
	assert_int_equal(ib_msgq_take(&q, &mid, buf, sizeof(buf)), sizeof(*c));
	assert_int_equal(mid, IB_MID_WR_COMPL);
}

static void full_is_an_error(void **state)
{
	uint8_t buf[IB_MSG_MAX], mid = 0;
	uint32_t n = 0, got = 0, len;

	while (put_ctl(IB_MID_COMMIT, n) == 0)
		n++;
	assert_in_range(n, IB_MSGQ_BYTES / 24 - 2, IB_MSGQ_BYTES / 24);
	assert_int_equal(put_ctl(IB_MID_COMMIT, n), ENOBUFS);
	while ((len = ib_msgq_take(&q, &mid, buf, IB_MSG_MAX - 16)) > 0) {
		for (uint32_t i = 0; i < len; i += 16)
			assert_int_equal(be32toh(((struct ib_ctl *)(buf + i))->token), got++);
	}
	assert_int_equal(got, n);
	assert_int_equal(put_ctl(IB_MID_COMMIT, n), 0);
}

/* Entries of all sizes, in and out at random, come out in order and whole. */
static void wraps_at_random(void **state)
{
	uint32_t seed = (uint32_t)time(NULL), in = 0, out = 0;
	struct ib_req r = {0};
	uint8_t buf[IB_MSG_MAX], mid = 0;
	static const uint8_t kind[] = {IB_MID_REQ, IB_MID_COMMIT, IB_MID_REOFFER, IB_MID_SEND_SM};

	print_message("seed %u\n", seed);
	srandom(seed);
	for (int turn = 0; turn < 300; turn++) {
		for (long n = random() % 3000; n > 0; n--) {
			uint8_t k = kind[random() % 4];

			r.token = htobe32(in);
			if (ib_msgq_put(&q, k, &r, ib_msg_entry_size(k)))
				break;
			in++;
		}
		for (long n = random() % 1500; n > 0; n--) {
			uint32_t len = ib_msgq_take(&q, &mid, buf, IB_MSG_MAX - 16), size;

			size = ib_msg_entry_size(mid);
			assert_int_equal(len % size, 0);
			for (uint32_t i = 0; i < len; i += size)
				assert_int_equal(be32toh(*(uint32_t *)(buf + i)), out++);
		}
	}
	assert_true(out > 10000 && out <= in);
}

static void credits_run_out_and_return(void **state)
{
	struct ib_credit a, b;
	struct ib_bsdh h;
	uint32_t n = 0;

	ib_credit_init(&a);
	ib_credit_init(&b);
	while (ib_credit_room(&a)) {
		ib_credit_stamp(&a, IB_SET_BUFS, &h);
		assert_int_equal(be32toh(h.mseq), IB_MSEQ_NONE + ++n);
		assert_true(ib_credit_take(&b, &h));
		assert_int_equal(ib_credit_due(&b, IB_SET_BUFS), n >= IB_SET_BUFS / 2);
	}
	assert_int_equal(n, IB_SET_BUFS);
	ib_credit_stamp(&b, IB_SET_BUFS, &h);
	assert_false(ib_credit_due(&b, IB_SET_BUFS));
	assert_int_equal(be32toh(h.mseq_ack), IB_MSEQ_NONE + n);
	assert_true(ib_credit_take(&a, &h));
	assert_int_equal(ib_credit_room(&a), IB_SET_BUFS);
}

static void credits_that_lie(void **state)
{
	struct ib_credit c;
	struct ib_bsdh h = {
		.bufs = htobe16(128),
		.mseq = htobe32(IB_MSEQ_NONE + 2),
		.mseq_ack = htobe32(IB_MSEQ_NONE),
	};

	ib_credit_init(&c);
	assert_false(ib_credit_take(&c, &h)); /* the first has the number before */
	assert_false(ib_credit_take(&c, NULL));
	h.mseq = htobe32(IB_MSEQ_NONE + 3);
	assert_true(ib_credit_take(&c, &h));
	h.mseq = htobe32(IB_MSEQ_NONE + 4);
	h.mseq_ack = htobe32(IB_MSEQ_NONE + 1); /* nothing was sent */
	assert_false(ib_credit_take(&c, &h));
	h.mseq = htobe32(IB_MSEQ_NONE + 5);
	h.mseq_ack = htobe32(IB_MSEQ_NONE - 1);
	assert_false(ib_credit_take(&c, &h));
	assert_int_equal(ib_credit_room(&c), IB_SET_BUFS);
	h.mseq = htobe32(IB_MSEQ_NONE + 6);
	h.mseq_ack = htobe32(IB_MSEQ_NONE);
	h.bufs = 0; /* the peer stops us */
	assert_true(ib_credit_take(&c, &h));
	assert_int_equal(ib_credit_room(&c), 0);
}

static void sequence_numbers_wrap(void **state)
{
	struct ib_credit a, b;
	struct ib_bsdh h;

	ib_credit_init(&a);
	ib_credit_init(&b);
	a.tx_mseq = a.tx_acked = b.rx_mseq = UINT32_MAX - 10;
	a.tx_limit = b.rx_told = a.tx_mseq + IB_SET_BUFS;
	for (int i = 0; i < 1000; i++) {
		assert_true(ib_credit_room(&a) > 0);
		ib_credit_stamp(&a, IB_SET_BUFS, &h);
		assert_true(ib_credit_take(&b, &h));
		if (!ib_credit_due(&b, IB_SET_BUFS))
			continue;
		ib_credit_stamp(&b, IB_SET_BUFS, &h);
		assert_true(ib_credit_take(&a, &h));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kinds_stay_in_order, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(newest_cursor_travels, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(full_is_an_error, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(wraps_at_random, open_queue, close_queue),
		cmocka_unit_test(credits_run_out_and_return),
		cmocka_unit_test(credits_that_lie),
		cmocka_unit_test(sequence_numbers_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
