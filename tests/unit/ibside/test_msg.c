/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_msg.c - the message codec: sizes, names, the check of received bytes, of arenas and
 * requests.
 */
#include "ibside/ib_msg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* A message with a body of n bytes of kind mid; returns its length. */
static uint32_t make(uint8_t buf[IB_MSG_MAX + 64], uint8_t mid, uint32_t body)
{
	struct ib_bsdh h = {.mid = mid, .len = htobe32(sizeof(h) + body)};

	memset(buf, 0, IB_MSG_MAX + 64);
	memcpy(buf, &h, sizeof(h));
	return sizeof(h) + body;
}

static const uint8_t mids[] = {
#define _(sym, val, name) val,
	IB_FOREACH_MID(_)
#undef _
};

static void whole_entries_only(void **state)
{
	static uint8_t buf[IB_MSG_MAX + 64];

	for (size_t i = 0; i < sizeof(mids); i++) {
		uint32_t size = ib_msg_entry_size(mids[i]), n;

		if (!size)
			continue;
		assert_int_equal(size % 8, 0);
		for (int k = 1; k <= 3; k++) {
			n = make(buf, mids[i], k * size);
			assert_int_equal(ib_msg_check(buf, n), k);
			assert_int_equal(ib_msg_check(buf, n - 1), -1);
			assert_int_equal(ib_msg_check(buf, n + 8), -1);
			n = make(buf, mids[i], k * size - 8);
			assert_int_equal(ib_msg_check(buf, n), -1);
		}
		n = make(buf, mids[i], 0);
		assert_int_equal(ib_msg_check(buf, n), -1);
	}
}

static void headers_that_lie(void **state)
{
	static uint8_t buf[IB_MSG_MAX + 64];
	struct ib_bsdh *h = (void *)buf;
	uint32_t n;

	for (n = 0; n < sizeof(struct ib_bsdh); n++) {
		make(buf, IB_MID_CREDIT, 0);
		assert_int_equal(ib_msg_check(buf, n), -1);
	}
	n = make(buf, IB_MID_CREDIT, 0);
	assert_int_equal(ib_msg_check(buf, n), 0);
	h->flags = 1;
	assert_int_equal(ib_msg_check(buf, n), -1);
	n = make(buf, IB_MID_CREDIT, 16);
	assert_int_equal(ib_msg_check(buf, n), -1);
	n = make(buf, IB_MID_COMMIT, 16);
	h->len = htobe32(n + 16);
	assert_int_equal(ib_msg_check(buf, n), -1);
	n = make(buf, IB_MID_COMMIT, IB_MSG_MAX);
	assert_int_equal(ib_msg_check(buf, n), -1);
	n = make(buf, 0x7f, 16);
	assert_int_equal(ib_msg_check(buf, n), -1);
}

static void data_names_its_length(void **state)
{
	static uint8_t buf[IB_MSG_MAX + 64];
	struct ib_data *d = (void *)(buf + sizeof(struct ib_bsdh));
	uint32_t n = make(buf, IB_MID_DATA, sizeof(*d) + 100);

	d->len = htobe32(100);
	assert_int_equal(ib_msg_check(buf, n), 1);
	d->len = htobe32(101);
	assert_int_equal(ib_msg_check(buf, n), -1);
	d->len = htobe32(0);
	n = make(buf, IB_MID_DATA, sizeof(*d));
	assert_int_equal(ib_msg_check(buf, n), -1);
	n = make(buf, IB_MID_DATA, 8);
	assert_int_equal(ib_msg_check(buf, n), -1);
}

static void every_kind_has_name_and_sender(void **state)
{
	int known = 0;

	for (int mid = 0; mid < 256; mid++) {
		bool unknown = strcmp(ib_mid_name(mid), "unknown") == 0;

		assert_int_equal(unknown, ib_mid_senders(mid) == 0);
		known += !unknown;
		if (unknown)
			assert_int_equal(ib_msg_entry_size(mid), 0);
	}
	assert_int_equal(known, sizeof(mids));
	for (int r = 0; r < IB_R_COUNT; r++)
		assert_string_not_equal(ib_reason_name(r), "unknown");
	assert_string_equal(ib_reason_name(IB_R_COUNT), "unknown");
	assert_string_equal(ib_reason_name((enum ib_reason) - 1), "unknown");
}

static void random_bytes(void **state)
{
	static uint8_t buf[IB_MSG_MAX + 64];
	uint32_t seed = (uint32_t)time(NULL), x = seed | 1;

	print_message("seed %u\n", seed);
	for (int i = 0; i < 20000; i++) {
		uint32_t n;
		int k;

		for (size_t j = 0; j < 64; j++) {
			x ^= x << 13, x ^= x >> 17, x ^= x << 5;
			buf[j] = x;
		}
		n = x % (IB_MSG_MAX + 64);
		if (x & 1)
			((struct ib_bsdh *)buf)->len = htobe32(n);
		k = ib_msg_check(buf, n);
		assert_true(k >= -1);
		assert_true(k <= 0 || k * 16 + 16 <= IB_MSG_MAX);
	}
}

static const struct ib_arena arena = {
	.id = 3,
	.slots = 8,
	.tx_size = 65536,
	.rx_size = 65536,
	.host_base = 0x10000,
	.gw_base = 0x20000,
	.tx_base = 0x100000,
	.rx_base = 0x200000,
};

static void arenas(void **state)
{
	struct ib_arena a = arena;

	assert_int_equal(ib_arena_check(&a), 0);
	a.tx_size = 65535;
	assert_int_equal(ib_arena_check(&a), EINVAL);
	a = arena;
	a.rx_size = 0;
	assert_int_equal(ib_arena_check(&a), EINVAL);
	a = arena;
	a.slots = 0;
	assert_int_equal(ib_arena_check(&a), EINVAL);
	a.slots = 4097;
	assert_int_equal(ib_arena_check(&a), EINVAL);
	a = arena;
	a.rx_base = UINT64_MAX - 8 * 65536 + 1;
	assert_int_equal(ib_arena_check(&a), EINVAL);
	a.rx_base--;
	assert_int_equal(ib_arena_check(&a), 0);
	a.gw_base += 32;
	assert_int_equal(ib_arena_check(&a), EINVAL);
}

/* A request in order. */
static struct ib_req request(void)
{
	struct ib_req r = {
		.arena = htobe16(3),
		.slot = htobe16(7),
		.flags = IB_REQ_WSCALE | IB_REQ_SACK | IB_REQ_TS,
		.snd_wscale = 7,
		.rcv_wscale = 7,
		.rport = htobe16(40000),
		.lport = htobe16(80),
		.mss = htobe32(1460),
		.snd_una = htobe32(0xfffffff0),
		.snd_nxt = htobe32(0x10),
		.snd_wnd = htobe32(65536),
		.rcv_nxt = htobe32(0xffffff00),
		.rcv_edge = htobe32(0xffffff00 + 65000),
		.tx_prod = htobe64(0x20),
		.rx_prod = htobe64(500),
		.rx_cons = htobe64(100),
	};
	return r;
}

static void requests(void **state)
{
	struct ib_req r = request();

	assert_int_equal(ib_req_check(&r, &arena), IB_R_NONE);
#define DENIED(field, value, reason)                                \
	do {                                                        \
		r = request();                                      \
		r.field = (value);                                  \
		assert_int_equal(ib_req_check(&r, &arena), reason); \
	} while (0)
	DENIED(slot, htobe16(8), IB_R_BAD_SLOT);
	DENIED(arena, htobe16(2), IB_R_BAD_SLOT);
	DENIED(token, htobe32(1), IB_R_BAD_STATE);
	DENIED(flags, 0x80, IB_R_BAD_STATE);
	DENIED(flags, IB_REQ_SACK, IB_R_BAD_STATE);
	DENIED(snd_wscale, 15, IB_R_BAD_STATE);
	DENIED(ip, htobe32(IB_HL_IP), IB_R_NONE);
	DENIED(ip, htobe32(1), IB_R_BAD_STATE);
	DENIED(ip, htobe32(1u << IB_HL_TOS_SHIFT), IB_R_BAD_STATE); /* ECN */
	DENIED(lport, 0, IB_R_BAD_STATE);
	DENIED(mss, htobe32(0), IB_R_BAD_STATE);
	DENIED(mss, htobe32(65536), IB_R_BAD_STATE);
	DENIED(snd_wnd, htobe32(UINT32_MAX), IB_R_BAD_STATE);
	DENIED(snd_nxt, htobe32(0x11), IB_R_BAD_STATE);
	DENIED(snd_nxt, htobe32(0xffffffef), IB_R_BAD_STATE);
	DENIED(tx_prod, htobe64(65537), IB_R_BAD_STATE);
	DENIED(rx_cons, htobe64(501), IB_R_BAD_STATE);
	DENIED(rx_prod, htobe64(100 + 65537), IB_R_BAD_STATE);
	DENIED(rx_prod, UINT64_MAX, IB_R_BAD_STATE);
	DENIED(rcv_edge, htobe32(0xffffff00 - 1), IB_R_BAD_STATE);
	DENIED(rcv_edge, htobe32(0xffffff00 + 65137), IB_R_WINDOW);
	DENIED(rcv_edge, htobe32(0xffffff00 + 65136), IB_R_NONE);
#undef DENIED
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_entries_only),
		cmocka_unit_test(headers_that_lie),
		cmocka_unit_test(data_names_its_length),
		cmocka_unit_test(every_kind_has_name_and_sender),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(arenas),
		cmocka_unit_test(requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
