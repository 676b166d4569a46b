/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_set.c - sets: messages, batches, credits, bad messages, death, on a device.
 */
#include "bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/** What arrived at an end. */
static struct inbox {
	int messages;	    /* msg() calls */
	int entries;	    /* in all of them */
	int bad;	    /* bad() calls */
	int largest;	    /* entries of the largest */
	uint32_t next;	    /* token expected next, when in_order */
	bool in_order;	    /* tokens must count up */
	uint8_t mid;	    /* of the last */
	uint8_t bytes[256]; /* start of the last */
} in_a, in_b;

static struct inbox *inbox(struct ib_set *s)
{
	return s->owner == &a ? &in_a : &in_b;
}

static void on_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	struct inbox *in = inbox(s);
	uint32_t size = ib_msg_entry_size(mid);

	in->messages++;
	in->entries += n;
	in->mid = mid;
	if (n > in->largest)
		in->largest = n;
	memcpy(in->bytes, entries, size);
	for (int i = 0; in->in_order && i < n; i++)
		assert_int_equal(be32toh(*(uint32_t *)((uint8_t *)entries + i * size)), in->next++);
}

static void on_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
	inbox(s)->bad++;
}

static void on_dead(struct ib_set *s, enum ibv_wc_status status)
{
	struct end *e = s->owner;

	e->deaths++;
	e->cause = status;
}

static const struct ib_set_ops ops_any = {.msg = on_msg, .bad = on_bad, .dead = on_dead};
static const struct ib_set_ops ops_gw = {
	.from = IB_FROM_HOST,
	.msg = on_msg,
	.bad = on_bad,
	.dead = on_dead,
};

static void join(const struct ib_set_ops *ops)
{
	struct ib_addr aa[2], ab[2];

	memset(&in_a, 0, sizeof(in_a));
	memset(&in_b, 0, sizeof(in_b));
	assert_int_equal(ib_set_open(&a.set, a.dev, &a.cq, 64, ops, &a), 0);
	assert_int_equal(ib_set_open(&b.set, b.dev, &b.cq, 64, ops, &b), 0);
	ib_set_addr(&a.set, aa);
	ib_set_addr(&b.set, ab);
	assert_int_equal(ib_set_connect(&a.set, ab), 0);
	assert_int_equal(ib_set_connect(&b.set, aa), 0);
}

static int put(struct end *e, uint8_t mid, uint32_t token)
{
	struct ib_ctl c = {.token = htobe32(token)};

	return ib_set_msg(&e->set, mid, &c);
}

static void one_message_arrives(void **state)
{
	struct ib_req r = {.req_id = htobe32(77), .tx_prod = htobe64(0x1122334455667788ull)};

	join(&ops_any);
	assert_int_equal(ib_set_msg(&a.set, IB_MID_REQ, &r), 0);
	assert_true(ib_set_waiting(&a.set) > 0);
	ib_set_flush(&a.set);
	assert_int_equal(ib_set_waiting(&a.set), 0);
	assert_true(poll_until(&in_b.messages, 1));
	assert_int_equal(in_b.mid, IB_MID_REQ);
	assert_memory_equal(in_b.bytes, &r, sizeof(r));
	assert_int_equal(ib_set_msg(&a.set, 0x7f, &r), EINVAL);
	assert_int_equal(ib_set_msg(&a.set, IB_MID_CREDIT, &r), EINVAL);
}

static void entries_share_messages(void **state)
{
	join(&ops_any);
	in_b.in_order = true;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(put(&a, IB_MID_COMMIT, i), 0);
	ib_set_flush(&a.set);
	assert_true(poll_until(&in_b.entries, 1000));
	assert_int_equal(in_b.messages, 4);
	assert_int_equal(in_b.largest, (IB_MSG_MAX - 16) / 16);
}

/* Alternating kinds: every entry is a message of its own. */
static void credits_hold_and_return(void **state)
{
	join(&ops_any);
	in_b.in_order = true;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(put(&a, i % 2 ? IB_MID_COMMIT : IB_MID_CANCEL, i), 0);
	ib_set_flush(&a.set);
	for (int i = 0; i < 100; i++) { /* b is away */
		ib_cq_poll(&a.cq, 16);
		ib_set_flush(&a.set);
	}
	assert_int_equal(a.set.impl->credit.tx_mseq, IB_MSEQ_NONE + IB_SET_BUFS - 1);
	assert_true(ib_set_waiting(&a.set) > 0);
	assert_true(poll_until(&in_b.messages, 1000));
	assert_int_equal(in_a.messages, 0); /* Credit is not shown */
	assert_int_equal(ib_set_waiting(&a.set), 0);
	assert_int_equal(in_a.bad + in_b.bad, 0);
}

/* What found no credit leaves when credits come, whether or not anybody flushes. */
static void waiting_entries_need_no_flush(void **state)
{
	time_t end = time(NULL) + 5;

	join(&ops_any);
	in_b.in_order = true;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(put(&a, i % 2 ? IB_MID_COMMIT : IB_MID_CANCEL, i), 0);
	ib_set_flush(&a.set);
	while (in_b.messages < 1000 && time(NULL) <= end) {
		ib_cq_poll(&b.cq, 16);
		ib_cq_poll(&a.cq, 16);
	}
	assert_int_equal(in_b.messages, 1000);
}

/* Both flood each other and are polled at random: nobody waits for ever. */
static void floods_do_not_lock(void **state)
{
	uint32_t seed = (uint32_t)time(NULL), ta = 0, tb = 0;

	print_message("seed %u\n", seed);
	srandom(seed);
	join(&ops_any);
	in_a.in_order = in_b.in_order = true;
	while (ta < 5000 || tb < 5000) {
		for (long n = random() % 400; n > 0 && ta < 5000; n--, ta++)
			assert_int_equal(put(&a, random() % 3 ? IB_MID_COMMIT : IB_MID_DENY, ta),
					 0);
		for (long n = random() % 400; n > 0 && tb < 5000; n--, tb++)
			assert_int_equal(put(&b, random() % 3 ? IB_MID_GRANT : IB_MID_DENY, tb), 0);
		ib_set_flush(&a.set);
		ib_set_flush(&b.set);
		if (random() % 3 == 0)
			ib_cq_poll(&a.cq, random() % 200);
		if (random() % 3 == 0)
			ib_cq_poll(&b.cq, random() % 200);
	}
	assert_true(poll_until(&in_a.entries, 5000));
	assert_true(poll_until(&in_b.entries, 5000));
	assert_int_equal(a.deaths + b.deaths + in_a.bad + in_b.bad, 0);
}

static void cursors_overtake_each_other(void **state)
{
	struct ib_cursor c = {.token = htobe32(9)};

	join(&ops_any);
	for (int i = 0; i < 127; i++) { /* use up the credits */
		put(&a, IB_MID_COMMIT, i);
		ib_set_flush(&a.set);
	}
	for (uint64_t i = 0; i < 1000000; i++) {
		c.cursor = htobe64(i);
		assert_int_equal(ib_set_msg(&a.set, IB_MID_SRC_AVAIL, &c), 0);
	}
	assert_true(poll_until(&in_b.messages, 128));
	assert_int_equal(in_b.entries, 128);
	assert_memory_equal(in_b.bytes, &c, sizeof(c));
}

static void too_much_is_the_end(void **state)
{
	uint32_t n = 0;

	join(&ops_any);
	while (put(&a, n % 2 ? IB_MID_COMMIT : IB_MID_CANCEL, n) == 0) {
		ib_set_flush(&a.set);
		ib_cq_poll(&a.cq, 16);
		assert_true(++n < 1000000);
	}
	assert_int_equal(a.deaths, 0); /* not from inside ib_set_msg() */
	assert_int_equal(put(&a, IB_MID_COMMIT, n), ENOBUFS);
	assert_true(poll_until(&a.deaths, 1));
	assert_int_equal(a.cause, IBV_WC_GENERAL_ERR);
	assert_int_equal(put(&a, IB_MID_COMMIT, n), EPIPE);
	poll_quiet();
	assert_true(ib_set_drained(&a.set));
	assert_int_equal(a.deaths, 1);
}

/* Sends bytes as they are on a's ctl, from a's memory, numbered as they should be unless `raw`. */
static void send_bytes(uint8_t mid, uint32_t len, uint32_t claimed, bool raw)
{
	struct ib_bsdh *h = a.mem.addr;
	struct ibv_sge sge = sge_of(&a, 0, len);
	struct counted op;

	memset(h, 0, sizeof(*h));
	if (!raw)
		ib_credit_stamp(&a.set.impl->credit, IB_SET_BUFS, h);
	h->mid = mid;
	h->len = htobe32(claimed);
	assert_int_equal(ib_qp_send(&a.set.ctl, &sge, 1, counted(&op)), 0);
	assert_true(poll_until(&op.done, 1));
}

static void bad_messages_are_ignored(void **state)
{
	join(&ops_gw);
	send_bytes(IB_MID_COMMIT, 15, 15, false);
	send_bytes(IB_MID_COMMIT, 0, 0, false);
	send_bytes(IB_MID_COMMIT, 32, 48, false);
	send_bytes(IB_MID_COMMIT, 31, 31, false);
	send_bytes(IB_MID_COMMIT, 16, 16, false);
	send_bytes(0x00, 32, 32, false);
	send_bytes(IB_MID_CREDIT, 32, 32, false);
	send_bytes(IB_MID_GRANT, 32, 32, false); /* from the wrong side */
	assert_true(poll_until(&in_b.bad, 8));
	assert_int_equal(put(&a, IB_MID_COMMIT, 1), 0);
	assert_true(poll_until(&in_b.messages, 1));
	send_bytes(IB_MID_COMMIT, 32, 32, true); /* no number */
	assert_true(poll_until(&in_b.bad, 9));
	assert_int_equal(in_b.messages, 1);
	assert_int_equal(b.deaths, 0);
}

static void immediate_data_is_no_message(void **state)
{
	struct ibv_sge sge = sge_of(&a, 0, 64);
	struct ibv_send_wr wr =
				   {
					   .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
					   .sg_list = &sge,
					   .num_sge = 1,
					   .wr.rdma = {.remote_addr = (uintptr_t)b.mem.addr,
						       .rkey = b.mem.mr->rkey},
				   },
			   *bad;

	join(&ops_any);
	assert_int_equal(ibv_post_send(a.set.ctl.qp, &wr, &bad), 0);
	assert_true(poll_until(&in_b.bad, 1));
	assert_int_equal(in_b.messages, 0);
}

static void too_long_a_message_kills_its_set(void **state)
{
	struct ibv_sge sge = sge_of(&a, 0, IB_MSG_MAX + 1);

	join(&ops_any);
	assert_int_equal(ib_qp_send(&a.set.ctl, &sge, 1, NULL), 0);
	assert_true(poll_until(&b.deaths, 1));
	poll_quiet();
	assert_true(ib_set_drained(&b.set));
	assert_int_equal(b.deaths, 1);
}

static void death_of_one_is_death_of_both(void **state)
{
	struct counted bad, other;
	struct ibv_sge sge = sge_of(&a, 0, 64);

	join(&ops_any);
	assert_int_equal(ib_qp_read(&a.set.rd, &sge, 1, 4096, 0xdead, counted(&bad)), 0);
	assert_true(poll_until(&a.deaths, 1));
	assert_int_equal(a.cause, IBV_WC_REM_ACCESS_ERR);
	assert_true(a.set.dead);
	assert_int_equal(bad.done, 1);
	assert_int_equal(ib_qp_write(&a.set.ctl, &sge, 1, (uintptr_t)b.mem.addr, b.mem.mr->rkey,
				     counted(&other)),
			 EPIPE);
	assert_int_equal(put(&a, IB_MID_COMMIT, 1), EPIPE);
	ib_set_flush(&a.set);
	poll_quiet();
	assert_true(ib_set_drained(&a.set));
	/* b learns it when it sends. */
	assert_int_equal(put(&b, IB_MID_COMMIT, 1), 0);
	for (int i = 0; i < 8; i++) { /* a signaled one among them */
		put(&b, i % 2 ? IB_MID_COMMIT : IB_MID_DENY, 1);
		ib_set_flush(&b.set);
	}
	assert_true(poll_until(&b.deaths, 1));
	assert_int_equal(a.deaths, 1);
}

static void fence_then_drain(void **state)
{
	struct counted op[16];
	struct ibv_sge sge = sge_of(&a, 0, 65536);

	join(&ops_any);
	for (int i = 0; i < 16; i++)
		assert_int_equal(ib_qp_read(&a.set.rd, &sge, 1, (uintptr_t)b.mem.addr,
					    b.mem.mr->rkey, counted(&op[i])),
				 0);
	put(&a, IB_MID_COMMIT, 1);
	ib_set_flush(&a.set);
	ib_set_fence(&a.set);
	poll_quiet();
	assert_true(ib_set_drained(&a.set));
	for (int i = 0; i < 16; i++)
		assert_int_equal(op[i].done, 1);
	assert_int_equal(a.deaths, 0);
	/* A new set in its place works at once. */
	ib_set_close(&a.set);
	ib_set_fence(&b.set);
	poll_quiet();
	ib_set_close(&b.set);
	join(&ops_any);
	put(&a, IB_MID_COMMIT, 1);
	assert_true(poll_until(&in_b.messages, 1));
}

#define T(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_message_arrives),
		T(entries_share_messages),
		T(credits_hold_and_return),
		T(waiting_entries_need_no_flush),
		T(floods_do_not_lock),
		T(cursors_overtake_each_other),
		T(too_much_is_the_end),
		T(bad_messages_are_ignored),
		T(immediate_data_is_no_message),
		T(too_long_a_message_kills_its_set),
		T(death_of_one_is_death_of_both),
		T(fence_then_drain),
	};

	return cmocka_run_group_tests(tests, bench_open, bench_close);
}
