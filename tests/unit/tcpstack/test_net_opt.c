/* SPDX-License-Identifier: BSD-3-Clause */
/* test_net_opt.c - TCP options: what is read, what is skipped, what is refused. */
#include "tests/unit/tcpstack/net_frame.h"

/* Parses a segment with these option bytes, padded with EOL to a multiple of 4. */
static enum net_perr opts(uint8_t flags, const void *o, uint32_t n, struct tcp_seg *s)
{
	uint8_t padded[40] = {0}, *copy;
	struct net_pkt p;
	struct frame f;
	enum net_perr e;

	memcpy(padded, o, n);
	frame_eth(&f, 0, 0x0800);
	frame_ip(&f, "10.77.0.2", "10.77.0.11", 6);
	frame_tcp(&f, 0xfffffff0, 7, flags, padded, (n + 3) & ~3u, 0);
	frame_done(&f, 6);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	copy = test_malloc(f.len);
	memcpy(copy, f.b, f.len);
	e = net_parse_tcp(copy, &p, s);
	test_free(copy);
	return e;
}

#define OPTS(flags, str) opts(flags, str, sizeof(str) - 1, &s)

static void test_syn(void **state)
{
	struct tcp_seg s;

	assert_int_equal(OPTS(TCP_SYN, "\x02\x04\x05\xb4\x04\x02\x08\x0a\x01\x02\x03\x04\0\0\0\0"
				       "\x01\x03\x03\x07"),
			 NET_PERR_OK);
	assert_int_equal(s.mss, 1460);
	assert_true(s.sack_ok && s.has_ts && s.has_wscale);
	assert_int_equal(s.wscale, 7);
	assert_int_equal(s.tsval, 0x01020304);
	assert_int_equal(s.seq, 0xfffffff0);
	assert_int_equal(s.ack, 7);
	assert_int_equal(s.wnd, 1000);
	assert_int_equal(OPTS(TCP_SYN, "\x03\x03\x0f"), NET_PERR_OK);
	assert_int_equal(s.wscale, 14);
}

static void test_syn_only(void **state)
{
	struct tcp_seg s;

	assert_int_equal(OPTS(TCP_ACK, "\x02\x04\x05\xb4\x04\x02\x03\x03\x07"), NET_PERR_OK);
	assert_false(s.mss || s.sack_ok || s.has_wscale);
}

static void test_sack(void **state)
{
	uint8_t o[34] = {5, 34};
	struct tcp_seg s;
	uint32_t i;

	for (i = 0; i < 8; i++)
		put32(o + 2 + 4 * i, 100 * i);
	assert_int_equal(opts(TCP_ACK, o, 34, &s), NET_PERR_OK);
	assert_int_equal(s.n_sack, 4);
	assert_int_equal(s.sack[3].start, 600);
	assert_int_equal(s.sack[3].end, 700);
}

static void test_skipped(void **state)
{
	struct tcp_seg s;

	assert_int_equal(OPTS(TCP_ACK, "\x01\xfe\x04xx\xfd\x02\x08\x0a\0\0\0\1\0\0\0\2"),
			 NET_PERR_OK);
	assert_true(s.has_ts);
	assert_int_equal(s.tsecr, 2);
	/* nothing counts after the end of the list */
	assert_int_equal(OPTS(TCP_ACK, "\x00\xff\x00\x08"), NET_PERR_OK);
	assert_false(s.has_ts);
}

static void test_hostile(void **state)
{
	struct tcp_seg s;

	assert_int_equal(OPTS(TCP_ACK, "\xfe\x00xx"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_ACK, "\xfe\x01xx"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_ACK, "\xfe\x05xx"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_ACK, "\x01\x01\x01\x08"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_ACK, "\x08\x08xxxxxx"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_ACK, "\x05\x02\x01\x01"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_ACK, "\x05\x0bxxxxxxxxx\x01"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_SYN, "\x02\x03x\x01"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_SYN, "\x03\x04xx"), NET_PERR_TCP_OPT);
	assert_int_equal(OPTS(TCP_SYN, "\x04\x03x\x01"), NET_PERR_TCP_OPT);
}

static void test_not_tcp(void **state)
{
	struct net_pkt p = {.proto = 17, .l4_off = 34};
	uint8_t frame[64] = {0};
	struct tcp_seg s;

	assert_int_equal(net_parse_tcp(frame, &p, &s), NET_PERR_TCP_HLEN);
	p.proto = 6;
	p.l4_off = 0; /* a later fragment */
	assert_int_equal(net_parse_tcp(frame, &p, &s), NET_PERR_TCP_HLEN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syn),	cmocka_unit_test(test_syn_only),
		cmocka_unit_test(test_sack),	cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_not_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
