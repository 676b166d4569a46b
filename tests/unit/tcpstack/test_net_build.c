/* SPDX-License-Identifier: BSD-3-Clause */
/* test_net_build.c - TCP segments, RSTs and echo replies: parsed back, and refused when wrong. */
#include "tests/unit/tcpstack/net_frame.h"
#include "tcpstack/net_wire.h"

static const struct net_l2 l2 = {.dst = {2, 0, 0, 0, 0, 2}, .src = {2, 0, 0, 0, 0, 1}};

static struct net_flow flow(bool v6)
{
	struct net_flow f = {.rport = htons(40000), .lport = htons(80)};

	net_addr_parse(v6 ? "fd77::2" : "10.77.0.2", &f.remote);
	net_addr_parse(v6 ? "fd77::11" : "10.77.0.11", &f.local);
	return f;
}

static void test_tcp(void **state)
{
	struct tcp_emit e = {.ack = 77, .wnd = 501, .optlen = 12};
	struct net_pkt p;
	struct tcp_seg s;
	struct frame fr;
	uint16_t l4;
	unsigned int i;

	memcpy(e.opt, "\x01\x01\x08\x0a\0\0\0\x05\0\0\0\x06", 12);
	for (i = 0; i < 4; i++) {
		struct net_flow f = flow(i & 1);
		struct net_l2 tagged = l2;
		size_t n, want = (i & 2 ? 18 : 14) + (i & 1 ? 40 : 20) + 32;

		tagged.vlan = i & 2 ? 9 : 0;
		memset(fr.b, 'x', sizeof(fr.b));
		assert_int_equal(net_build_tcp(fr.b, want - 1, &tagged, &f, &e, 5, 24, 33, 7, &l4),
				 0);
		n = net_build_tcp(fr.b, want, &tagged, &f, &e, 0xfffffffe, 24, 33, 7, &l4);
		assert_int_equal(n, want);
		assert_int_equal(l4, want - 32);
		net_tcp_csum_finish(fr.b + l4, 32, net_csum_add(0, fr.b + n, 33, false));
		fr.len = (uint32_t)n + 33;
		assert_int_equal(parse(&fr, &p), NET_PERR_OK);
		assert_int_equal(net_parse_tcp(fr.b, &p, &s), NET_PERR_OK);
		assert_int_equal(p.vlan, tagged.vlan);
		assert_true(net_addr_eq(&p.src, &f.local) && net_addr_eq(&p.dst, &f.remote));
		assert_true(p.sport == f.lport && p.dport == f.rport);
		assert_true(s.seq == 0xfffffffe && s.ack == 77 && s.wnd == 501 && s.len == 33);
		assert_true(s.flags == 24 && s.has_ts && s.tsval == 5 && s.tsecr == 6);
		assert_memory_equal(fr.b, l2.dst, 6);
		assert_memory_equal(fr.b + 6, l2.src, 6);
	}
}

/* DF unless the path is narrower than any segment; ECT(0); the TTL; an IPv6 flow label that stays.
 */
static void test_ip_fields(void **state)
{
	struct tcp_emit e = {0};
	struct net_l2 marked = l2;
	struct net_pkt p;
	struct frame fr;
	uint16_t l4;

	for (int df_off = 0; df_off < 2; df_off++) {
		struct net_flow f = flow(false);

		e.df_off = e.ect = df_off;
		fr.len = (uint32_t)net_build_tcp(fr.b, NET_MAX_HDR, &marked, &f, &e, 0, 16, 0, 7,
						 &l4);
		net_tcp_csum_finish(fr.b + l4, 20, 0);
		assert_int_equal(parse(&fr, &p), NET_PERR_OK); /* header checksum included */
		assert_int_equal(net_get16(fr.b + 14 + NET_IP4_FRAG), df_off ? 0 : 0x4000);
		assert_int_equal(p.ttl, marked.ttl ? marked.ttl : 64);
		assert_int_equal(fr.b[14 + NET_IP4_TOS], marked.tos | (e.ect ? 2 : 0));
		marked.ttl = 200;
		marked.tos = 0xb8;
	}
	for (marked.label = 1; marked.label <= 0xfffff; marked.label = marked.label * 7 + 1) {
		struct net_flow f = flow(true);

		fr.len = (uint32_t)net_build_tcp(fr.b, NET_MAX_HDR, &marked, &f, &e, 0, 16, 0, 7,
						 &l4);
		net_tcp_csum_finish(fr.b + l4, 20, 0);
		assert_int_equal(parse(&fr, &p), NET_PERR_OK);
		assert_int_equal(net_get32(fr.b + 14), 6u << 28 | 0xbau << 20 | marked.label);
		assert_int_equal(p.ttl, 200);
		assert_int_equal(p.ecn, 2);
	}
}

static void test_tcp_refused(void **state)
{
	struct net_flow f4 = flow(false), f6 = flow(true), mixed = f4;
	struct tcp_emit e = {0};
	uint8_t b[NET_MAX_HDR];
	uint16_t l4;

	mixed.remote = f6.remote;
	assert_int_equal(net_build_tcp(b, sizeof(b), &l2, &mixed, &e, 0, 16, 0, 0, &l4), 0);
	assert_int_equal(net_build_tcp(b, sizeof(b), &l2, &f4, &e, 0, 16, 65495, 0, &l4), 54);
	assert_int_equal(net_build_tcp(b, sizeof(b), &l2, &f4, &e, 0, 16, 65496, 0, &l4), 0);
	assert_int_equal(net_build_tcp(b, sizeof(b), &l2, &f6, &e, 0, 16, 65515, 0, &l4), 74);
	assert_int_equal(net_build_tcp(b, sizeof(b), &l2, &f6, &e, 0, 16, 65516, 0, &l4), 0);
	e.optlen = 41;
	assert_int_equal(net_build_tcp(b, sizeof(b), &l2, &f4, &e, 0, 16, 0, 0, &l4), 0);
	e.optlen = 6;
	assert_int_equal(net_build_tcp(b, sizeof(b), &l2, &f4, &e, 0, 16, 0, 0, &l4), 0);
}

static void test_rst(void **state)
{
	struct tcp_seg in = {.seq = 100, .ack = 500, .len = 10, .flags = TCP_ACK | TCP_FIN}, s;
	struct net_pkt p;
	struct frame fr;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		struct net_flow f = flow(v6);

		in.flags = TCP_ACK | TCP_FIN;
		fr.len = (uint32_t)net_build_rst(fr.b, NET_MAX_HDR, &l2, &f, &in);
		assert_int_equal(parse(&fr, &p), NET_PERR_OK);
		net_parse_tcp(fr.b, &p, &s);
		assert_true(s.flags == TCP_RST && s.seq == 500 && s.len == 0);
		in.flags = TCP_SYN | TCP_FIN; /* counts both */
		fr.len = (uint32_t)net_build_rst(fr.b, NET_MAX_HDR, &l2, &f, &in);
		assert_int_equal(parse(&fr, &p), NET_PERR_OK);
		net_parse_tcp(fr.b, &p, &s);
		assert_true(s.flags == (TCP_RST | TCP_ACK) && s.seq == 0 && s.ack == 112);
		in.flags = TCP_RST;
		assert_int_equal(net_build_rst(fr.b, NET_MAX_HDR, &l2, &f, &in), 0);
	}
}

/* An echo request of n data bytes. */
static void echo(struct frame *f, bool v6, uint16_t vlan, const char *dst, uint32_t n)
{
	frame_eth(f, vlan, v6 ? 0x86dd : 0x0800);
	frame_ip(f, v6 ? "fd77::2" : "10.77.0.2", dst, v6 ? 58 : 1);
	frame_add(f, v6 ? "\x80\0\0\0\0\1\0\2" : "\x08\0\0\0\0\1\0\2", 8);
	while (n--)
		*frame_add(f, NULL, 1) = (uint8_t)(n * 7);
	frame_done(f, v6 ? 58 : 1);
}

static void test_echo(void **state)
{
	static const uint8_t mac[6] = {2, 9, 9, 9, 9, 9};
	struct net_pkt p, q;
	struct frame f, r;
	uint32_t n;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		for (n = 0; n < 1400; n = n * 3 + 1) {
			echo(&f, v6, n & 1 ? 3 : 0, v6 ? "fd77::11" : "10.77.0.11", n);
			assert_int_equal(parse(&f, &p), NET_PERR_OK);
			assert_int_equal(net_build_echo_reply(r.b, f.len - 1, f.b, f.len, &p, mac),
					 0);
			r.len = (uint32_t)net_build_echo_reply(r.b, f.len, f.b, f.len, &p, mac);
			assert_int_equal(r.len, f.len);
			assert_int_equal(parse(&r, &q), NET_PERR_OK);
			assert_true(net_addr_eq(&q.src, &p.dst) && net_addr_eq(&q.dst, &p.src));
			assert_int_equal(r.b[q.l4_off], v6 ? 129 : 0);
			assert_memory_equal(r.b, f.b + 6, 6);
			assert_memory_equal(r.b + 6, mac, 6);
			assert_memory_equal(r.b + q.l4_off + 4, f.b + p.l4_off + 4, n + 4);
			/* a reply is not answered, nor is a request cut short */
			assert_int_equal(
				net_build_echo_reply(f.b, sizeof(f.b), r.b, r.len, &q, mac), 0);
			assert_int_equal(
				net_build_echo_reply(r.b, sizeof(r.b), f.b, f.len - 1, &p, mac), 0);
		}
		echo(&f, v6, 0, v6 ? "ff02::1" : "224.0.0.1", 8);
		assert_int_equal(parse(&f, &p), NET_PERR_OK);
		assert_int_equal(net_build_echo_reply(r.b, sizeof(r.b), f.b, f.len, &p, mac), 0);
	}
}

/* Options of the question are left out of the answer. */
static void test_echo_options(void **state)
{
	static const uint8_t mac[6] = {2, 9, 9, 9, 9, 9};
	struct net_pkt p, q;
	struct frame f, r;

	frame_eth(&f, 0, 0x0800);
	frame_ip(&f, "10.77.0.2", "10.77.0.11", 1);
	f.b[14] = 0x46;
	frame_add(&f, "\x01\x01\x01\x00", 4);
	f.l4 = f.len;
	frame_add(&f, "\x08\0\0\0\0\1\0\2abc", 11);
	frame_done(&f, 1);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	r.len = (uint32_t)net_build_echo_reply(r.b, sizeof(r.b), f.b, f.len, &p, mac);
	assert_int_equal(r.len, f.len - 4);
	assert_int_equal(parse(&r, &q), NET_PERR_OK);
	assert_int_equal(q.payload_len, 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),	    cmocka_unit_test(test_ip_fields),
		cmocka_unit_test(test_tcp_refused), cmocka_unit_test(test_rst),
		cmocka_unit_test(test_echo),	    cmocka_unit_test(test_echo_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
