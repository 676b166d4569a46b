/* SPDX-License-Identifier: BSD-3-Clause */
/* test_net_parse.c - what net_parse() finds in good frames and why it refuses bad ones. */
#include "tests/unit/tcpstack/net_frame.h"

#define V4 "10.77.0.2", "10.77.0.11"
#define V6 "fd77::2", "fd77::11"

static void tcp_frame(struct frame *f, uint16_t vlan, bool v6, uint32_t n)
{
	frame_eth(f, vlan, v6 ? 0x86dd : 0x0800);
	if (v6)
		frame_ip(f, V6, 6);
	else
		frame_ip(f, V4, 6);
	frame_tcp(f, 1000, 2000, TCP_ACK | TCP_PSH, NULL, 0, n);
	frame_done(f, 6);
}

static void test_tcp(void **state)
{
	struct net_pkt p;
	struct frame f;
	int v6, vlan;

	for (v6 = 0; v6 < 2; v6++) {
		for (vlan = 0; vlan < 200; vlan += 100) {
			uint32_t ip = vlan ? 18 : 14, iplen = v6 ? 40 : 20;

			tcp_frame(&f, (uint16_t)vlan, v6, 33);
			frame_add(&f, "padding", 7);
			assert_int_equal(parse(&f, &p), NET_PERR_OK);
			assert_int_equal(p.ethertype, v6 ? 0x86dd : 0x0800);
			assert_int_equal(p.vlan, vlan);
			assert_int_equal(p.is_v6, v6);
			assert_int_equal(p.l3_off, ip);
			assert_int_equal(p.l4_off, ip + iplen);
			assert_int_equal(p.payload_off, ip + iplen + 20);
			assert_int_equal(p.payload_len, 33);
			assert_int_equal(p.frame_len, f.len - 7);
			assert_int_equal(p.proto, 6);
			assert_int_equal(p.ttl, 63);
			assert_int_equal(ntohs(p.sport), 40000);
			assert_int_equal(ntohs(p.dport), 80);
			assert_int_equal(net_addr_is_v4(&p.src), !v6);
			assert_false(p.fragment);
		}
	}
}

/* No prefix of a good frame is good, and none is read past its end. */
static void test_truncated(void **state)
{
	struct net_pkt p;
	struct frame f;
	uint32_t full;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		tcp_frame(&f, 5, v6, 3);
		for (full = f.len; f.len-- > 0;)
			assert_int_not_equal(parse(&f, &p), NET_PERR_OK);
		f.len = full;
		assert_int_equal(parse(&f, &p), NET_PERR_OK);
	}
}

/* Every single bit of IP payload and IPv4 header is covered. */
static void test_bit_flips(void **state)
{
	struct net_pkt p;
	struct frame f;
	uint32_t bit;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		tcp_frame(&f, 0, v6, 9);
		for (bit = (v6 ? 54 : 14) * 8; bit < f.len * 8; bit++) {
			f.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_not_equal(parse(&f, &p), NET_PERR_OK);
			f.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void test_ip4_errors(void **state)
{
	static const struct {
		uint8_t off, val;
		enum net_perr want;
	} cases[] = {
		{0, 0x55, NET_PERR_IP_VERSION}, {0, 0x44, NET_PERR_IP_HLEN},
		{0, 0x4f, NET_PERR_IP_HLEN},	{3, 19, NET_PERR_IP_LEN},
		{2, 0xff, NET_PERR_IP_LEN},	{8, 1, NET_PERR_IP_CSUM},
	};
	struct net_pkt p;
	struct frame f;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcp_frame(&f, 0, false, 0);
		f.b[14 + cases[i].off] = cases[i].val;
		assert_int_equal(parse(&f, &p), cases[i].want);
	}
}

static void test_addresses(void **state)
{
	static const struct {
		const char *src, *dst;
		uint8_t proto;
		enum net_perr want;
	} c[] = {
		{"127.0.0.1", "10.0.0.1", 6, NET_PERR_IP_ADDR},
		{"0.0.0.0", "10.0.0.1", 6, NET_PERR_IP_ADDR},
		{"224.0.0.1", "10.0.0.1", 6, NET_PERR_IP_ADDR},
		{"255.255.255.255", "10.0.0.1", 6, NET_PERR_IP_ADDR},
		{"10.0.0.1", "127.0.0.1", 6, NET_PERR_IP_ADDR},
		{"10.0.0.1", "0.0.0.0", 6, NET_PERR_IP_ADDR},
		{"10.0.0.1", "0.1.2.3", 6, NET_PERR_IP_ADDR},
		{"10.0.0.1", "10.0.0.1", 6, NET_PERR_IP_ADDR},
		{"10.0.0.1", "224.0.0.5", 6, NET_PERR_IP_ADDR},
		{"10.0.0.1", "255.255.255.255", 6, NET_PERR_IP_ADDR},
		{"10.0.0.1", "224.0.0.251", 17, NET_PERR_OK},
		{"::1", "fd77::1", 6, NET_PERR_IP_ADDR},
		{"fd77::1", "::1", 6, NET_PERR_IP_ADDR},
		{"::", "fd77::1", 6, NET_PERR_IP_ADDR},
		{"fd77::1", "::", 6, NET_PERR_IP_ADDR},
		{"ff02::1", "fd77::1", 6, NET_PERR_IP_ADDR},
		{"fd77::1", "ff02::1", 6, NET_PERR_IP_ADDR},
		{"fd77::1", "ff02::fb", 17, NET_PERR_OK},
		{"::", "ff02::1:ff00:1", 58, NET_PERR_OK},
		{"::ffff:10.0.0.1", "fd77::1", 6, NET_PERR_IP_ADDR},
		{"fd77::1", "::ffff:10.0.0.1", 6, NET_PERR_IP_ADDR},
	};
	struct net_pkt p;
	struct frame f;
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		frame_eth(&f, 0, strchr(c[i].src, ':') ? 0x86dd : 0x0800);
		frame_ip(&f, c[i].src, c[i].dst, c[i].proto);
		if (c[i].proto == 6)
			frame_tcp(&f, 1, 1, TCP_ACK, NULL, 0, 0);
		else
			frame_add(&f, NULL, 24);
		frame_done(&f, c[i].proto);
		assert_int_equal(parse(&f, &p), c[i].want);
	}
}

static void test_tcp_errors(void **state)
{
	static const uint8_t ok[] = {TCP_SYN,
				     TCP_SYN | TCP_ACK,
				     TCP_RST,
				     TCP_RST | TCP_ACK,
				     TCP_ACK,
				     TCP_FIN | TCP_ACK,
				     TCP_ACK | TCP_URG,
				     TCP_SYN | TCP_ECE | TCP_CWR,
				     TCP_FIN | TCP_ACK | TCP_PSH | TCP_URG};
	uint8_t seen[256] = {0};
	struct net_pkt p;
	struct frame f;
	unsigned int i, k;

	for (k = 0; k < sizeof(ok); k++)
		seen[ok[k]] = 1;
	for (i = 0; i < 64; i++) { /* PSH, URG, ECE and CWR decide nothing */
		uint8_t core = i & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK);

		frame_eth(&f, 0, 0x0800);
		frame_ip(&f, V4, 6);
		frame_tcp(&f, 1, 1, (uint8_t)i, NULL, 0, 0);
		frame_done(&f, 6);
		assert_int_equal(parse(&f, &p), seen[core] ? NET_PERR_OK : NET_PERR_TCP_FLAGS);
	}
	for (i = 0; i < 16; i++) { /* data offset */
		tcp_frame(&f, 0, false, 8);
		f.b[34 + 12] = (uint8_t)(i << 4);
		frame_done(&f, 6);
		assert_int_equal(parse(&f, &p), i >= 5 && i <= 7 ? NET_PERR_OK : NET_PERR_TCP_HLEN);
	}
	for (i = 0; i < 4; i += 2) { /* port 0 */
		tcp_frame(&f, 0, false, 8);
		put16(f.b + 34 + i, 0);
		frame_done(&f, 6);
		assert_int_equal(parse(&f, &p), NET_PERR_TCP_PORT);
	}
}

static void test_udp(void **state)
{
	struct net_pkt p;
	struct frame f;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		frame_eth(&f, 0, v6 ? 0x86dd : 0x0800);
		if (v6)
			frame_ip(&f, V6, 17);
		else
			frame_ip(&f, V4, 17);
		memcpy(frame_add(&f, NULL, 12), "\x01\x02\x03\x04", 4);
		frame_done(&f, 17);
		assert_int_equal(parse(&f, &p), NET_PERR_OK);
		assert_int_equal(p.payload_len, 4);
		assert_int_equal(ntohs(p.sport), 0x102);
		f.b[f.l4 + 7] ^= 1;
		assert_int_equal(parse(&f, &p), NET_PERR_UDP_CSUM);
		put16(f.b + f.l4 + 6, 0); /* none */
		assert_int_equal(parse(&f, &p), v6 ? NET_PERR_UDP_CSUM : NET_PERR_OK);
		put16(f.b + f.l4 + 4, 13);
		assert_int_equal(parse(&f, &p), NET_PERR_UDP_LEN);
		put16(f.b + f.l4 + 4, 7);
		assert_int_equal(parse(&f, &p), NET_PERR_UDP_LEN);
		f.len = f.l4 + 7;
		put16(f.b + f.l3 + (v6 ? 4 : 2), v6 ? 7 : 27);
		assert_int_equal(net_parse(f.b, f.len, 0, &p), NET_PERR_UDP_LEN);
	}
}

static void test_icmp(void **state)
{
	struct net_pkt p;
	struct frame f;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		uint8_t proto = v6 ? 58 : 1;

		frame_eth(&f, 0, v6 ? 0x86dd : 0x0800);
		if (v6)
			frame_ip(&f, V6, proto);
		else
			frame_ip(&f, V4, proto);
		memcpy(frame_add(&f, NULL, 16), "\x08", 1);
		frame_done(&f, proto);
		assert_int_equal(parse(&f, &p), NET_PERR_OK);
		assert_int_equal(p.payload_len, 8);
		f.b[f.len - 1] ^= 1;
		assert_int_equal(parse(&f, &p), NET_PERR_ICMP_CSUM);
		f.len = f.l4 + 7;
		frame_done(&f, proto);
		assert_int_equal(parse(&f, &p), NET_PERR_ICMP_LEN);
	}
	frame_eth(&f, 0, 0x0800); /* ICMPv6 over IPv4 is just another protocol */
	frame_ip(&f, V4, 58);
	frame_add(&f, NULL, 3);
	frame_done(&f, 0);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_int_equal(p.l4_off, 0);
	assert_int_equal(p.payload_len, 3);
}

static void test_ip4_fragments(void **state)
{
	struct net_pkt p;
	struct frame f;

	tcp_frame(&f, 0, false, 40);
	put16(f.b + 14 + 6, 0x2000); /* more fragments; the TCP checksum covers what is not here */
	f.b[f.len - 1] ^= 1;
	put16(f.b + 14 + 10, 0);
	put16(f.b + 14 + 10, ~ref_sum(f.b + 14, 20, 0));
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_true(p.fragment);
	assert_int_equal(p.l4_off, 34);
	put16(f.b + 14 + 6, 0x0005); /* the last one */
	put16(f.b + 14 + 10, 0);
	put16(f.b + 14 + 10, ~ref_sum(f.b + 14, 20, 0));
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_true(p.fragment);
	assert_int_equal(p.l4_off, 0);
	assert_int_equal(p.sport, 0);
	put16(f.b + 14 + 6, 0x4000); /* DF only */
	f.b[f.len - 1] ^= 1;
	frame_done(&f, 6);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_false(p.fragment);
}

/* A TCP frame behind n extension headers {kind, length unit}; the last one may be changed. */
static void ext_frame(struct frame *f, const uint8_t *kinds, unsigned int n)
{
	unsigned int i;

	frame_eth(f, 0, 0x86dd);
	frame_ip(f, V6, n ? kinds[0] : 6);
	for (i = 0; i < n; i++) {
		uint8_t *h = frame_add(f, NULL, 8);

		h[0] = i + 1 < n ? kinds[i + 1] : 6;
	}
	f->l4 = f->len;
	frame_tcp(f, 1, 1, TCP_ACK, NULL, 0, 4);
	frame_done(f, 6);
}

static void test_ip6_ext(void **state)
{
	static const uint8_t all[] = {0, 60, 43, 44, 60}, late_hbh[] = {60, 0},
			     many[] = {60, 60, 60, 60, 60, 60, 60, 60, 60}, frags[] = {44, 44};
	struct net_pkt p;
	struct frame f;
	uint32_t off;

	ext_frame(&f, all, sizeof(all));
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_int_equal(p.l4_off, f.l4);
	assert_int_equal(p.proto, 6);
	assert_int_equal(p.payload_len, 4);
	assert_false(p.fragment); /* atomic */
	for (off = 0; off < 40; off += 8) {
		ext_frame(&f, all, sizeof(all));
		f.b[54 + off + 1] = 200; /* longer than the packet; reserved in fragment headers */
		assert_int_equal(parse(&f, &p),
				 all[off / 8] == 44 ? NET_PERR_OK : NET_PERR_IP6_EXT);
	}
	ext_frame(&f, all, sizeof(all));
	f.b[54 + 16 + 3] = 1; /* segments left */
	assert_int_equal(parse(&f, &p), NET_PERR_IP6_EXT);
	ext_frame(&f, late_hbh, 2);
	assert_int_equal(parse(&f, &p), NET_PERR_IP6_EXT);
	ext_frame(&f, many, 8);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	ext_frame(&f, many, 9);
	assert_int_equal(parse(&f, &p), NET_PERR_IP6_EXT);
	ext_frame(&f, frags, 2);
	put16(f.b + 54 + 2, 1);
	assert_int_equal(parse(&f, &p), NET_PERR_IP6_EXT);
	ext_frame(&f, frags, 1);
	put16(f.b + 54 + 2, 1); /* first of several */
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_true(p.fragment && p.l4_off == 62);
	put16(f.b + 54 + 2, 8); /* last */
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_true(p.fragment && p.l4_off == 0);
}

/* RFC 8200 section 4.2: what an option we do not know says about itself. */
static void test_ip6_options(void **state)
{
	static const struct {
		uint8_t kind, opts[6];
		enum net_perr e;
		bool refuse;
	} t[] = {
		{0, {1, 4, 0, 0, 0, 0}, NET_PERR_OK, false},	  /* PadN */
		{0, {0, 0, 0, 0, 0, 0}, NET_PERR_OK, false},	  /* Pad1 */
		{0, {5, 2, 0, 0, 1, 0}, NET_PERR_OK, false},	  /* router alert */
		{60, {0x1e, 4, 0, 0, 0, 0}, NET_PERR_OK, false},  /* 00: skip */
		{60, {0x5e, 4, 0, 0, 0, 0}, NET_PERR_OK, true},	  /* 01: discard */
		{0, {0x9e, 4, 0, 0, 0, 0}, NET_PERR_OK, true},	  /* 10: and complain */
		{60, {0xde, 4, 0, 0, 0, 0}, NET_PERR_OK, true},	  /* 11: if not multicast */
		{60, {0, 0xc9, 3, 0, 0, 0}, NET_PERR_OK, true},	  /* behind padding */
		{0, {1, 5, 0, 0, 0, 0}, NET_PERR_IP6_EXT, false}, /* longer than the header */
		{60, {1, 255, 0, 0, 0, 0}, NET_PERR_IP6_EXT, false},
		{60, {0, 0, 0, 0, 0, 1}, NET_PERR_IP6_EXT, false}, /* without its length */
		{43, {0, 0, 0, 0xde, 0, 9}, NET_PERR_OK, false},   /* no options in there */
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct net_pkt p;
		struct frame f;

		ext_frame(&f, &t[i].kind, 1);
		memcpy(f.b + 54 + 2, t[i].opts, 6);
		assert_int_equal(parse(&f, &p), t[i].e);
		assert_int_equal(p.opt_refuse, t[i].refuse);
	}
}

static void test_ethernet(void **state)
{
	struct net_pkt p;
	struct frame f;

	tcp_frame(&f, 0, false, 0);
	put16(f.b + 12, 0x88cc);
	assert_int_equal(parse(&f, &p), NET_PERR_ETHERTYPE);
	tcp_frame(&f, 7, false, 0);
	put16(f.b + 16, 0x8100); /* a second tag */
	assert_int_equal(parse(&f, &p), NET_PERR_ETHERTYPE);
	tcp_frame(&f, 0, false, 0);
	f.b[0] |= 1;
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_true(p.eth_mcast);
}

static void test_arp(void **state)
{
	static const uint8_t req[28] = {0,  1,	8, 0, 6, 4, 0, 1, 2, 0, 0,  0,	0, 2,
					10, 77, 0, 2, 0, 0, 0, 0, 0, 0, 10, 77, 0, 11};
	static const uint8_t bad[][2] = {{0, 1}, {1, 6}, {2, 9}, {4, 8},    {5, 6},
					 {7, 3}, {7, 0}, {8, 3}, {14, 127}, {14, 224}};
	struct net_addr a;
	struct net_pkt p;
	struct frame f;
	size_t i;

	frame_eth(&f, 0, 0x0806);
	frame_add(&f, req, 28);
	frame_add(&f, NULL, 18);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_int_equal(p.frame_len, 42);
	net_addr_parse("10.77.0.2", &a);
	assert_true(net_addr_eq(&p.src, &a));
	net_addr_parse("10.77.0.11", &a);
	assert_true(net_addr_eq(&p.dst, &a));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t was = f.b[14 + bad[i][0]];

		f.b[14 + bad[i][0]] = bad[i][1];
		assert_int_equal(parse(&f, &p), NET_PERR_ARP);
		f.b[14 + bad[i][0]] = was;
	}
	f.len = 41;
	assert_int_equal(parse(&f, &p), NET_PERR_RUNT);
}

static void test_names(void **state)
{
	int e;

	for (e = 0; e < NET_PERR_COUNT; e++)
		assert_true(strlen(net_perr_name(e)) > 1);
	assert_string_equal(net_perr_name(NET_PERR_COUNT), "unknown");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),	      cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_bit_flips),     cmocka_unit_test(test_ip4_errors),
		cmocka_unit_test(test_addresses),     cmocka_unit_test(test_tcp_errors),
		cmocka_unit_test(test_udp),	      cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_ip4_fragments), cmocka_unit_test(test_ip6_ext),
		cmocka_unit_test(test_ip6_options),   cmocka_unit_test(test_ethernet),
		cmocka_unit_test(test_arp),	      cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
