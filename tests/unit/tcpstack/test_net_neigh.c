/* SPDX-License-Identifier: BSD-3-Clause */
/* test_net_neigh.c - ARP and ND: questions and answers read each other; forged ND is refused. */
#include <errno.h>

#include "tests/unit/tcpstack/net_frame.h"
#include "tcpstack/net_build.h"

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};
static struct net_addr a4, b4, a6, b6, any4, any6;

static int setup(void **state)
{
	net_addr_parse("10.77.0.2", &a4);
	net_addr_parse("10.77.0.11", &b4);
	net_addr_parse("fd77::2", &a6);
	net_addr_parse("fd77::12:3456", &b6);
	net_addr_parse("0.0.0.0", &any4);
	net_addr_parse("::", &any6);
	return 0;
}

/* a asks for b; b answers. */
static void ask(const struct net_addr *a, const struct net_addr *b, const uint8_t *dst,
		uint16_t vlan, bool probe)
{
	const bool v4 = net_addr_is_v4(b);
	struct net_neigh_info i;
	struct frame q, r;
	struct net_pkt p;

	q.len = (uint32_t)(v4 ? net_build_arp_request(q.b, 200, mac_a, a, b, dst, vlan)
			      : net_build_ns(q.b, 200, mac_a, a, b, dst, vlan));
	assert_int_equal(parse(&q, &p), NET_PERR_OK);
	assert_int_equal(p.vlan, vlan);
	assert_int_equal(p.eth_mcast, !dst);
	assert_int_equal(net_neigh_read(q.b, &p, &i), 0);
	assert_true(i.is_request && net_addr_eq(&i.target, b));
	assert_int_equal(i.has_sender, !probe);
	if (!probe) {
		assert_true(net_addr_eq(&i.sender, a));
		assert_memory_equal(i.sender_mac, mac_a, 6);
	}
	r.len = (uint32_t)(v4 ? net_build_arp_reply(r.b, 200, q.b, &p, mac_b)
			      : net_build_na(r.b, 200, q.b, &p, mac_b));
	assert_int_equal(parse(&r, &p), NET_PERR_OK);
	assert_int_equal(p.vlan, vlan);
	if (v4 || !probe)
		assert_memory_equal(r.b, mac_a, 6);
	assert_memory_equal(r.b + 6, mac_b, 6);
	assert_int_equal(net_neigh_read(r.b, &p, &i), 0);
	assert_true(!i.is_request && i.has_sender && net_addr_eq(&i.sender, b));
	assert_memory_equal(i.sender_mac, mac_b, 6);
	/* answers are not answered */
	assert_int_equal(v4 ? net_build_arp_reply(q.b, 200, r.b, &p, mac_a)
			    : net_build_na(q.b, 200, r.b, &p, mac_a),
			 0);
}

static void test_dialogue(void **state)
{
	ask(&a4, &b4, NULL, 0, false);
	ask(&a4, &b4, mac_b, 12, false);
	ask(&any4, &b4, NULL, 0, true);
	ask(&a6, &b6, NULL, 0, false);
	ask(&a6, &b6, mac_b, 12, false);
	ask(&any6, &b6, NULL, 0, true);
}

static void test_room(void **state)
{
	struct net_pkt p;
	struct frame q;
	uint8_t b[200];

	assert_int_equal(net_build_arp_request(b, 41, mac_a, &a4, &b4, NULL, 0), 0);
	assert_int_equal(net_build_arp_request(b, 45, mac_a, &a4, &b4, NULL, 1), 0);
	assert_int_equal(net_build_arp_request(b, 46, mac_a, &a4, &b4, NULL, 1), 46);
	assert_int_equal(net_build_arp_request(b, 200, mac_a, &a6, &b4, NULL, 0), 0);
	assert_int_equal(net_build_ns(b, 85, mac_a, &a6, &b6, NULL, 0), 0);
	assert_int_equal(net_build_ns(b, 200, mac_a, &a4, &b6, NULL, 0), 0);
	q.len = (uint32_t)net_build_ns(q.b, 86, mac_a, &a6, &b6, NULL, 0);
	assert_int_equal(parse(&q, &p), NET_PERR_OK);
	assert_int_equal(net_build_na(b, 85, q.b, &p, mac_b), 0);
	assert_int_equal(net_build_arp_reply(b, 200, q.b, &p, mac_b), 0);
}

/* The multicast addresses of RFC 4291 section 2.7.1 and RFC 2464 section 7. */
static void test_solicited_node(void **state)
{
	static const uint8_t mac[6] = {0x33, 0x33, 0xff, 0x12, 0x34, 0x56};
	char text[NET_ADDRSTR];
	struct net_pkt p;
	struct frame q;

	q.len = (uint32_t)net_build_ns(q.b, 200, mac_a, &a6, &b6, NULL, 0);
	assert_int_equal(parse(&q, &p), NET_PERR_OK);
	assert_memory_equal(q.b, mac, 6);
	assert_string_equal(net_addr_str(&p.dst, text), "ff02::1:ff12:3456");
	assert_int_equal(p.ttl, 255);
}

/* Changes one byte of a solicitation from `self`, mends the checksum and reads it. */
static int tampered(const struct net_addr *self, uint32_t off, uint8_t val)
{
	struct net_neigh_info i;
	struct net_pkt p;
	struct frame q;

	memset(&q, 0, sizeof(q));
	q.len = (uint32_t)net_build_ns(q.b, 200, mac_a, self, &b6, NULL, 0);
	q.l3 = 14;
	q.l4 = 54;
	q.b[off] = val;
	frame_done(&q, 58);
	assert_int_equal(parse(&q, &p), NET_PERR_OK);
	return net_neigh_read(q.b, &p, &i);
}

static void test_forged(void **state)
{
	assert_int_equal(tampered(&a6, 21, 255), 0);
	assert_int_equal(tampered(&a6, 21, 254), EINVAL);  /* came through a router */
	assert_int_equal(tampered(&a6, 55, 1), EINVAL);	   /* code */
	assert_int_equal(tampered(&a6, 54, 133), EINVAL);  /* router solicitation */
	assert_int_equal(tampered(&a6, 62, 0xff), EINVAL); /* multicast target */
	assert_int_equal(tampered(&a6, 79, 0), EINVAL);	   /* option of no length */
	assert_int_equal(tampered(&a6, 79, 2), EINVAL);	   /* option too long */
	assert_int_equal(tampered(&a6, 80, 3), EINVAL);	   /* group MAC */
	assert_int_equal(tampered(&a6, 78, 14), 0);	   /* an option we do not know */
	assert_int_equal(tampered(&any6, 21, 255), 0);
	assert_int_equal(tampered(&any6, 50, 1), EINVAL); /* DAD, but not to solicited-node */
}

/* Questions about what is nobody's address, or the asker's own, are not answered. */
static void test_nobody(void **state)
{
	static const char *const nobody[] = {"224.0.0.1", "255.255.255.255", "127.0.0.1",
					     "0.0.0.0"};
	struct net_addr target;
	struct net_pkt p;
	struct frame q;
	uint8_t r[200];
	size_t i;

	for (i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		net_addr_parse(nobody[i], &target);
		q.len = (uint32_t)net_build_arp_request(q.b, 200, mac_a, &a4, &target, NULL, 0);
		assert_int_equal(parse(&q, &p), NET_PERR_OK);
		assert_int_equal(net_build_arp_reply(r, sizeof(r), q.b, &p, mac_b), 0);
	}
	q.len = (uint32_t)net_build_ns(q.b, 200, mac_a, &a6, &a6, NULL, 0);
	assert_int_equal(parse(&q, &p), NET_PERR_OK);
	assert_int_equal(net_build_na(r, sizeof(r), q.b, &p, mac_b), 0);
	net_addr_parse("::1", &target);
	q.len = (uint32_t)net_build_ns(q.b, 200, mac_a, &a6, &target, NULL, 0);
	assert_int_equal(parse(&q, &p), NET_PERR_OK);
	assert_int_equal(net_build_na(r, sizeof(r), q.b, &p, mac_b), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogue),       cmocka_unit_test(test_room),
		cmocka_unit_test(test_solicited_node), cmocka_unit_test(test_forged),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
