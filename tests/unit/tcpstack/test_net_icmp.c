/* SPDX-License-Identifier: BSD-3-Clause */
/* test_net_icmp.c - what ICMP and ICMPv6 errors say about a segment of ours. */
#include <errno.h>

#include "tests/unit/tcpstack/net_frame.h"

/* A message of type and code whose second word is `rest`, quoting n TCP bytes of a segment. */
static void message(struct frame *f, bool v6, uint8_t type, uint8_t code, uint32_t rest, uint32_t n)
{
	struct frame q;

	frame_eth(&q, 0, v6 ? 0x86dd : 0x0800);
	frame_ip(&q, v6 ? "fd77::11" : "10.77.0.11", v6 ? "fd77::2" : "10.77.0.2", 6);
	frame_tcp(&q, 0xfedcba98, 5, 0x10, NULL, 0, 1000);
	frame_done(&q, 6);
	frame_eth(f, 0, v6 ? 0x86dd : 0x0800);
	frame_ip(f, v6 ? "fd77::99" : "10.0.0.99", v6 ? "fd77::11" : "10.77.0.11", v6 ? 58 : 1);
	put32(frame_add(f, NULL, 8) + 4, rest);
	f->b[f->l4] = type;
	f->b[f->l4 + 1] = code;
	frame_add(f, q.b + q.l3, q.l4 - q.l3 + n);
	frame_done(f, v6 ? 58 : 1);
}

static void test_kinds(void **state)
{
	static const struct {
		bool v6;
		uint8_t type, code;
		enum tcp_icmp_kind kind; /* NONE: no error */
	} t[] = {
		{false, 3, 0, TCP_K_UNREACHABLE}, {false, 3, 3, TCP_K_REFUSED},
		{false, 3, 1, TCP_K_UNREACHABLE}, {false, 3, 2, TCP_K_REFUSED},
		{false, 3, 4, TCP_K_TOO_BIG},	  {false, 3, 13, TCP_K_UNREACHABLE},
		{false, 11, 0, TCP_K_TIME},	  {false, 12, 0, TCP_K_PARAMETER},
		{false, 4, 0, TCP_K_NONE}, /* source quench, RFC 6633 */
		{false, 5, 0, TCP_K_NONE},	  {false, 8, 0, TCP_K_NONE},
		{true, 1, 0, TCP_K_UNREACHABLE},  {true, 1, 4, TCP_K_REFUSED},
		{true, 1, 1, TCP_K_REFUSED},	  {true, 1, 3, TCP_K_UNREACHABLE},
		{true, 2, 0, TCP_K_TOO_BIG},	  {true, 3, 0, TCP_K_TIME},
		{true, 4, 1, TCP_K_PARAMETER},	  {true, 128, 0, TCP_K_NONE},
		{true, 137, 0, TCP_K_NONE},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct tcp_icmp_err e;
		struct net_flow flow;
		struct net_pkt p;
		struct frame f;

		message(&f, t[i].v6, t[i].type, t[i].code, 1400, 8);
		assert_int_equal(parse(&f, &p), NET_PERR_OK);
		if (t[i].kind == TCP_K_NONE) {
			assert_int_equal(net_icmp_error(f.b, &p, &flow, &e), EINVAL);
			continue;
		}
		assert_int_equal(net_icmp_error(f.b, &p, &flow, &e), 0);
		assert_int_equal(e.kind, t[i].kind);
		assert_int_equal(e.seq, 0xfedcba98);
		assert_int_equal(e.len, (t[i].v6 ? 40 : 20) + 1020);
		assert_int_equal(e.mtu, t[i].kind == TCP_K_TOO_BIG ? 1400 : 0);
		assert_memory_equal(flow.local.b, p.dst.b, 16);
		assert_int_equal(ntohs(flow.lport), 40000);
		assert_int_equal(ntohs(flow.rport), 80);
	}
}

/* The next-hop MTU of IPv4 has 16 bits, that of IPv6 32. */
static void test_mtu(void **state)
{
	struct tcp_icmp_err e;
	struct net_flow flow;
	struct net_pkt p;
	struct frame f;

	message(&f, false, 3, 4, 0xffff0000, 8);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_int_equal(net_icmp_error(f.b, &p, &flow, &e), 0);
	assert_int_equal(e.mtu, 0);
	message(&f, true, 2, 0, 0xffff0500, 8);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_int_equal(net_icmp_error(f.b, &p, &flow, &e), 0);
	assert_int_equal(e.mtu, 0xffff0500);
}

/* Seven bytes of TCP do not hold the sequence number; damage is no error. */
static void test_refused(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct tcp_icmp_err e;
		struct net_flow flow;
		struct net_pkt p;
		struct frame f;

		message(&f, v6, v6 ? 2 : 3, v6 ? 0 : 4, 1400, 7);
		assert_int_equal(parse(&f, &p), NET_PERR_OK);
		assert_int_equal(net_icmp_error(f.b, &p, &flow, &e), EINVAL);
		message(&f, v6, v6 ? 2 : 3, v6 ? 0 : 4, 1400, 8);
		f.b[f.len - 1] ^= 1;
		assert_int_equal(parse(&f, &p), NET_PERR_ICMP_CSUM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
