/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_accel_icmp.c - a hop narrower than both ends' links: with ICMP errors and without, believed
 * and not; errors that end nothing; and the flow label of IPv6.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "accel_bench.h"
#include "tcpstack/net_wire.h"

#define S     1000000ull /* a second */
#define QUOTE 128u	 /* bytes of the packet that an error quotes */

static uint8_t type, code; /* of the hop's errors, type 0: too big */
static uint32_t mtu;	   /* of the hop */
static uint32_t lie;	   /* MTU that its errors name, 0: its own */
static bool silent;	   /* it sends no errors */
static uint32_t labels;	   /* different flow labels seen */
static uint32_t label;	   /* the last */

/* ICMP error of 10.77.0.1 or fd77::1 about the packet in m; its length. */
static uint32_t error(uint8_t *b, const struct rte_mbuf *m, uint32_t says)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, 14);
	const bool v6 = ip[0] >> 4 == 6;
	const uint32_t quote = RTE_MIN(rte_pktmbuf_data_len(m) - 14u, QUOTE), len = 8 + quote;
	uint32_t off, sum = 0;
	struct net_addr router, server;

	off = (uint32_t)net_put_eth(b, (uint8_t[6]){2, 1}, (uint8_t[6]){2, 2}, 0,
				    v6 ? NET_ETHERTYPE_IP6 : NET_ETHERTYPE_IP4);
	net_addr_parse(v6 ? "fd77::1" : "10.77.0.1", &router);
	if (v6) {
		memcpy(server.b, ip + NET_IP6_SRC, 16);
		off += net_put_ip6(b + off, &router, &server, NET_PROTO_ICMP6, 64, (uint16_t)len);
		sum = net_csum_pseudo(&router, &server, NET_PROTO_ICMP6, len);
	} else {
		net_addr_v4(&server, ip + NET_IP4_SRC);
		off += net_put_ip4(b + off, &router, &server, NET_PROTO_ICMP, 1, (uint16_t)len);
	}
	memset(b + off, 0, 8);
	b[off] = type ? type : v6 ? NET_ICMP6_TOO_BIG : NET_ICMP_UNREACH;
	b[off + 1] = type ? code : v6 ? 0 : 4;
	net_put32(b + off + 4, says);
	memcpy(b + off + 8, ip, quote);
	net_put_raw16(b + off + 2,
		      (uint16_t)~net_csum_fold(net_csum_add(sum, b + off, len, false)));
	return off + len;
}

/* The hop, as gw_port_tx() sees it. */
static bool hop(const struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, 14);
	struct rte_mbuf *e;

	if (ip[0] >> 4 == 6 && (net_get32(ip) & 0xfffff) != label) {
		label = net_get32(ip) & 0xfffff;
		labels++;
	}
	if (rte_pktmbuf_pkt_len(m) - 14 <= mtu)
		return true;
	if (silent)
		return false;
	e = rte_pktmbuf_alloc(B.w->pool);
	assert_non_null(e);
	e->data_len = (uint16_t)error(rte_pktmbuf_mtod(e, uint8_t *), m, lie ? lie : mtu);
	e->pkt_len = e->data_len;
	B.to_gw[B.n_to_gw++] = e;
	return false;
}

/* A connection behind the hop. Slot 3 is IPv6. */
static struct b_conn *behind(uint16_t slot, uint32_t m)
{
	struct b_conn *k = b_conn_new(slot);

	b_take(k);
	mtu = m;
	lie = 0;
	silent = false;
	type = 0;
	labels = label = 0;
	B.hop = hop;
	return k;
}

static void test_narrow_hop(void **state)
{
	for (uint16_t slot = 2; slot <= 3; slot++) {
		struct b_conn *k = behind(slot, 1400);
		uint64_t taken = B.w->stats.icmp[TCP_I_TAKEN];

		k->to_send = 500000;
		assert_true(b_transfer(k, 10 * S));
		assert_int_equal(b_tcp(k)->mss, slot == 3 ? 1340 : 1360);
		assert_int_equal(B.w->stats.icmp[TCP_I_TAKEN] - taken, 1);
		assert_int_equal(b_tcp(k)->stats.rto_count, 0);
		assert_int_equal(B.n_native, 0);
	}
}

static void test_black_hole(void **state)
{
	for (uint16_t slot = 2; slot <= 3; slot++) {
		struct b_conn *k = behind(slot, 1400);

		silent = true;
		k->to_send = 1500000;
		assert_true(b_transfer(k, 60 * S));
		assert_int_equal(b_tcp(k)->stats.black_holes, 1);
		assert_true(b_tcp(k)->stats.mtu_rises > 0); /* up again, close to the hop's */
		assert_in_range(b_tcp(k)->mss, 1300, slot == 3 ? 1340 : 1360);
	}
}

/* An attacker who does not see the connection guesses; one who does lies about a size in use. */
static void test_lies(void **state)
{
	struct b_conn *k = behind(2, 9000);
	struct tcp_emit e = {.seq = k->sisn + 500000, .flags = TCP_ACK};
	struct net_flow f = k->flow;
	struct rte_mbuf *quoted, *m;
	uint8_t *b;
	uint16_t l4;

	k->to_send = 100000;
	assert_true(b_transfer(k, 10 * S));
	quoted = rte_pktmbuf_alloc(B.w->pool);
	m = rte_pktmbuf_alloc(B.w->pool);
	assert_true(quoted && m);
	b = rte_pktmbuf_mtod(quoted, uint8_t *);
	quoted->data_len = (uint16_t)net_build_tcp(b, 128, &(struct net_l2){0}, &f, &e, e.seq,
						   TCP_ACK, 1400, 1, &l4);
	m->data_len = (uint16_t)error(rte_pktmbuf_mtod(m, uint8_t *), quoted, 600);
	m->pkt_len = m->data_len;
	B.to_gw[B.n_to_gw++] = m;
	b_step(1000);
	assert_int_equal(B.w->stats.icmp[TCP_I_SEQUENCE], 1);
	assert_int_equal(b_tcp(k)->mss, 1460);
	rte_pktmbuf_free(quoted);
	/* A quote of data in flight, for a size that has been acknowledged: only a timeout proves
	 * it. */
	mtu = 1000;
	lie = 600;
	k->to_send += 1460;
	for (int i = 0; i < 100 && B.w->stats.icmp_errors == 1; i++)
		b_step(100);
	assert_int_equal(B.w->stats.icmp[TCP_I_PENDING], 1);
	assert_int_equal(b_tcp(k)->mss, 1460);
	mtu = 9000; /* what it quoted was lost, but the next copy arrives */
	assert_true(b_transfer(k, 10 * S));
	B.hop = NULL;
}

/* The hop is cut off for a while and says so: the server hears of it, and nothing ends. */
static void cut_off(uint16_t slot, uint8_t says, uint8_t more, uint32_t soft)
{
	struct b_conn *k = behind(slot, 9000);
	struct ib_gw_line *l = b_gw_line(slot);
	uint64_t noted = B.w->stats.icmp[TCP_I_NOTED], told;

	k->to_send = 100000;
	assert_true(b_transfer(k, 10 * S));
	assert_int_equal(l->soft, 0);
	type = says;
	code = more;
	mtu = 100;
	k->to_send += 5000;
	for (int i = 0; i < 20000; i++)
		b_step(100);
	told = B.w->stats.icmp[TCP_I_NOTED] - noted;
	assert_true(told > 3); /* the segments and their retransmissions */
	assert_int_equal(l->soft, told << 8 | soft);
	assert_int_equal(b_tcp(k)->mss, slot == 3 ? 1440 : 1460);
	mtu = 9000;
	assert_true(b_transfer(k, 10 * S));
	assert_int_equal(l->soft, told << 8 | soft);
	assert_int_equal(k->events[TCP_E_RESET], 0);
}

static void test_soft(void **state)
{
	cut_off(1, 3, 1, IB_SOFT_UNREACHABLE); /* host */
	cut_off(2, 3, 3, IB_SOFT_REFUSED);     /* port: a hard error, taken as a soft one */
	cut_off(5, 11, 0, IB_SOFT_TIME);
	cut_off(6, 12, 0, IB_SOFT_PARAMETER);
	cut_off(3, 1, 0, IB_SOFT_UNREACHABLE); /* IPv6: no route */
}

static void test_flow_label(void **state)
{
	uint32_t first;
	struct b_conn *k = behind(3, 9000);

	k->to_send = 200000;
	assert_true(b_transfer(k, 10 * S));
	assert_int_equal(labels, 1); /* one, and not 0 */
	first = label;
	k = behind(7, 9000);
	k->to_send = 1000;
	assert_true(b_transfer(k, 10 * S));
	assert_int_equal(labels, 1);
	assert_int_not_equal(label, first);
}

static int setup(void **state)
{
	B.hop = NULL;
	return b_open(state);
}

static int teardown(void **state)
{
	B.hop = NULL;
	return b_close(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_narrow_hop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_black_hole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_soft, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flow_label, setup, teardown),
	};

	return cmocka_run_group_tests(tests, b_group_open, b_group_close);
}
