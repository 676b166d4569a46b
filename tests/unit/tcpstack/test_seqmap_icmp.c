/* SPDX-License-Identifier: BSD-3-Clause */
/* test_seqmap_icmp.c - the headers that ICMP errors quote, through the sequence map. */
#include "tests/unit/tcpstack/seqmap_shot.h"

/* An ICMP error quoting `n` bytes of the segment q. */
static void icmp_frame(struct frame *f, const struct frame *q, bool v6, uint32_t n)
{
	frame_eth(f, 0, v6 ? 0x86dd : 0x0800);
	frame_ip(f, v6 ? "fd77::99" : "10.0.0.99", v6 ? "fd77::1" : "10.0.0.1", v6 ? 58 : 1);
	frame_add(f, v6 ? "\x02\0\0\0\0\0\x05\0" : "\x03\x04\0\0\0\0\x05\0", 8);
	frame_add(f, q->b + q->l3, q->l4 - q->l3 + n);
	frame_done(f, v6 ? 58 : 1);
}

static void test_icmp(void **state)
{
	static const uint8_t ts[12] = {1, 1, 8, 10, 0x80, 0, 0, 0x11, 0, 0, 0, 2};
	uint32_t n;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		for (n = 8; n <= 132; n += n < 40 ? 1 : 46) {
			struct seqmap m = fresh();
			struct frame q, f;
			struct net_flow flow;
			struct net_pkt p;
			uint32_t len, tcp;

			out(&m, 0, 200, TCP_ACK);
			frame_eth(&q, 0, v6 ? 0x86dd : 0x0800);
			frame_ip(&q, v6 ? "fd77::1" : "10.0.0.1", v6 ? "fd77::2" : "10.0.0.2", 6);
			frame_tcp(&q, UNA + 50, RCV_NXT + 3, TCP_ACK, ts, 12, 100);
			frame_done(&q, 6);
			icmp_frame(&f, &q, v6, n);
			assert_int_equal(parse(&f, &p), NET_PERR_OK);
			assert_int_equal(net_icmp_quoted(f.b, &p, &flow), 0);
			assert_int_equal(ntohs(flow.lport), 40000);
			assert_int_equal(ntohs(flow.rport), 80);
			assert_memory_equal(flow.local.b, p.dst.b, 16);
			len = f.len;
			assert_int_equal(seqmap_icmp_in(&m, f.b, &len, &p), SEQMAP_PASS);
			assert_int_equal(len, f.len);
			assert_int_equal(parse(&f, &p), NET_PERR_OK); /* outer checksum */
			/* the quote as the kernel sent it, its checksum included */
			frame_eth(&q, 0, v6 ? 0x86dd : 0x0800);
			frame_ip(&q, v6 ? "fd77::1" : "10.0.0.1", v6 ? "fd77::2" : "10.0.0.2", 6);
			frame_tcp(&q, K_SND + 50, K_RCV + 3, TCP_ACK, ts, 12, 0);
			memset(q.b + q.len, 0, 100);
			tcp = p.payload_off + (v6 ? 40 : 20);
			assert_memory_equal(f.b + tcp, q.b + q.l4, n < 12 ? 8 : 12);
			if (n >= 32)
				assert_memory_equal(f.b + tcp + 24, "\x7f\xff\xff\xf1", 4);
			if (n == 132) {
				memcpy(q.b + q.l4, f.b + tcp, n);
				q.len = q.l4 + n;
				assert_int_equal(ref_l4_sum(&q, 6, n), 0xffff);
			}
		}
	}
}

static void test_icmp_refused(void **state)
{
	struct seqmap m = fresh();
	struct frame q, f;
	struct net_flow flow;
	struct net_pkt p;
	uint32_t len, i;

	frame_eth(&q, 0, 0x0800);
	frame_ip(&q, "10.0.0.1", "10.0.0.2", 6);
	frame_tcp(&q, UNA, RCV_NXT, TCP_ACK, NULL, 0, 10);
	frame_done(&q, 6);
	icmp_frame(&f, &q, false, 7); /* too short */
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	assert_int_not_equal(net_icmp_quoted(f.b, &p, &flow), 0);
	len = f.len;
	assert_int_equal(seqmap_icmp_in(&m, f.b, &len, &p), SEQMAP_BAD);
	for (i = 0; i < 4; i++) {
		static const uint8_t at[4] = {0, 8 + 0, 8 + 9, 8 + 7}, val[4] = {8, 0x65, 17, 1};

		/* an echo; another version; another protocol; a later fragment */
		icmp_frame(&f, &q, false, 20);
		f.b[f.l4 + at[i]] = val[i];
		frame_done(&f, 1);
		assert_int_equal(parse(&f, &p), NET_PERR_OK);
		assert_int_not_equal(net_icmp_quoted(f.b, &p, &flow), 0);
	}
}

/* A quoted number that only the gateway sent is told as the end of what the kernel sent. */
static void test_icmp_clamp(void **state)
{
	struct seqmap m = fresh();
	struct frame q, f;
	struct net_pkt p;
	uint32_t len;

	out(&m, 0, 30, TCP_ACK);
	frame_eth(&q, 0, 0x0800);
	frame_ip(&q, "10.0.0.1", "10.0.0.2", 6);
	frame_tcp(&q, UNA + 70, RCV_NXT, TCP_ACK, NULL, 0, 10);
	frame_done(&q, 6);
	icmp_frame(&f, &q, false, 8);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	len = f.len;
	assert_int_equal(seqmap_icmp_in(&m, f.b, &len, &p), SEQMAP_PASS);
	assert_int_equal(parse(&f, &p), NET_PERR_OK);
	put32(q.b, K_SND + 30);
	assert_memory_equal(f.b + p.payload_off + 24, q.b, 4);
}
int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_icmp_refused),
		cmocka_unit_test(test_icmp_clamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
