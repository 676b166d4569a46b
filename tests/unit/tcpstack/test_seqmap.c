/* SPDX-License-Identifier: BSD-3-Clause */
/* test_seqmap.c - the sequence map rule by rule, with every number across its wrap. */
#include "tests/unit/tcpstack/seqmap_shot.h"

static void test_deltas(void **state)
{
	struct seqmap m = fresh();
	struct shot x = out(&m, 100, 50, TCP_ACK | TCP_PSH);

	assert_out(x, 100, 50, TCP_ACK | TCP_PSH);
	assert_int_equal(x.s.ack, RCV_NXT);
	x = (struct shot){.seq = RCV_NXT + 9, .ack = UNA + 120, .n = 7, .flags = TCP_ACK, .v6 = 1};
	fire(&m, &x);
	assert_int_equal(x.v, SEQMAP_PASS);
	assert_int_equal(x.s.seq, K_RCV + 9);
	assert_int_equal(x.s.ack, K_SND + 120);
	assert_int_equal(x.s.len, 7);
	assert_int_equal(x.f.b[x.p.payload_off], (uint8_t)(RCV_NXT + 9));
}

static void test_absorb_then_pass(void **state)
{
	struct seqmap m = fresh();
	struct shot x;

	assert_int_equal(out(&m, 0, 60, TCP_ACK).v, SEQMAP_ABSORB);
	x = out(&m, 0, 60, TCP_ACK);
	assert_out(x, 0, 60, TCP_ACK);
	assert_int_equal(out(&m, 60, 40, TCP_ACK | TCP_PSH).v, SEQMAP_ABSORB);
	x = out(&m, 60, 40, TCP_ACK);
	assert_out(x, 60, 40, TCP_ACK);
	x = out(&m, 100, 10, TCP_ACK);
	assert_out(x, 100, 10, TCP_ACK);
	x = out(&m, 50, 60, TCP_ACK); /* a retransmission over both */
	assert_out(x, 50, 60, TCP_ACK);
}

/* A retransmission that the kernel grew by bytes not sent before. */
static void test_grown_retransmission(void **state)
{
	struct seqmap m = fresh();
	struct shot x;

	assert_int_equal(out(&m, 0, 60, TCP_ACK).v, SEQMAP_ABSORB);
	x = out(&m, 0, 80, TCP_ACK);
	assert_out(x, 0, 80, TCP_ACK);
	x = out(&m, 60, 20, TCP_ACK);
	assert_out(x, 60, 20, TCP_ACK);
	assert_int_equal(out(&m, 80, 20, TCP_ACK).v, SEQMAP_ABSORB);
}

static void test_straddle(void **state)
{
	static const uint8_t ts[12] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
	uint32_t before, after, k;

	for (before = 1; before <= 100; before += 3) {
		for (after = 1; after < 40; after += 2) {
			for (k = 0; k < 4; k++) {
				struct shot x = {.seq = K_SND + 100 - before,
						 .n = before + after,
						 .ack = K_RCV,
						 .out = true,
						 .wnd = 500,
						 .flags = TCP_ACK | (k & 1 ? TCP_FIN : 0),
						 .opt = ts,
						 .optlen = k & 1 ? 12 : 0,
						 .v6 = k > 1,
						 .padding = k};
				struct seqmap m = fresh();

				fire(&m, &x);
				assert_out(x, 100, after, x.flags);
				assert_int_equal(x.f.b[x.p.payload_off], (uint8_t)(K_SND + 100));
				assert_int_equal(x.f.b[x.f.len - 1],
						 (uint8_t)(K_SND + 100 + after - 1));
			}
		}
	}
}

static void test_fin(void **state)
{
	struct seqmap m = fresh();
	struct shot x = out(&m, 40, 60, TCP_ACK | TCP_FIN); /* ends where the gateway ended */

	assert_out(x, 100, 0, TCP_ACK | TCP_FIN);
	x = out(&m, 40, 60, TCP_ACK | TCP_FIN);
	assert_out(x, 40, 60, TCP_ACK | TCP_FIN);
	x = out(&m, 101, 0, TCP_ACK);
	assert_out(x, 101, 0, TCP_ACK);

	m = fresh(); /* the gateway's FIN is the last number below snd_max */
	assert_int_equal(out(&m, 0, 99, TCP_ACK | TCP_FIN).v, SEQMAP_ABSORB);
	x = out(&m, 99, 0, TCP_ACK | TCP_FIN);
	assert_out(x, 99, 0, TCP_ACK | TCP_FIN);

	m = fresh();
	assert_int_equal(out(&m, 0, 99, TCP_ACK).v, SEQMAP_ABSORB);
	assert_int_equal(out(&m, 99, 0, TCP_ACK | TCP_FIN).v, SEQMAP_ABSORB);
	x = out(&m, 100, 0, TCP_ACK);
	assert_out(x, 100, 0, TCP_ACK);
}

static void test_no_data(void **state)
{
	struct seqmap m = fresh();
	struct shot x = out(&m, 0, 0, TCP_ACK);

	assert_out(x, 100, 0, TCP_ACK); /* raised to where the client expects us */
	x = out(&m, -1, 0, TCP_ACK);
	assert_out(x, -1, 0, TCP_ACK); /* a probe must stay outside */
	assert_int_equal(out(&m, 0, 60, TCP_ACK).v, SEQMAP_ABSORB);
	x = out(&m, 60, 0, TCP_ACK);
	assert_out(x, 100, 0, TCP_ACK);
	x = out(&m, -1, 0, TCP_ACK);
	assert_out(x, -1, 0, TCP_ACK);
	x = out(&m, 60, 0, TCP_ACK | TCP_RST);
	assert_out(x, 100, 0, TCP_ACK | TCP_RST);
	assert_int_equal(x.s.ack, RCV_NXT);
	assert_int_equal(in(&m, 83, 10).v, SEQMAP_PASS);
	x = out(&m, 60, 0, TCP_RST); /* answers that ACK, which was clamped to 60 */
	assert_out(x, 83, 0, TCP_RST);
	x = out(&m, 30, 0, TCP_RST);
	assert_out(x, 30, 0, TCP_RST);
}

/* What an absorbed segment has to say about the other direction is not lost. */
static void test_absorb_with_news(void **state)
{
	struct shot x = {.seq = K_SND,
			 .ack = K_RCV + 10,
			 .n = 30,
			 .out = true,
			 .wnd = 499,
			 .flags = TCP_ACK | TCP_PSH};
	struct seqmap m = fresh();

	fire(&m, &x);
	assert_out(x, 100, 0, TCP_ACK);
	assert_int_equal(x.s.ack, RCV_NXT + 10);
	x.seq += 30;
	x.n = 30;
	fire(&m, &x); /* nothing new any more */
	assert_int_equal(x.v, SEQMAP_ABSORB);
	x.seq += 30;
	x.wnd = 600;
	fire(&m, &x); /* a larger window is new */
	assert_out(x, 100, 0, TCP_ACK);
	assert_int_equal(x.s.wnd, 600);
}

static uint16_t wnd_out(struct seqmap *m, uint32_t ack, uint32_t wnd)
{
	struct shot x = {
		.seq = K_SND + 100, .ack = K_RCV + ack, .out = true, .wnd = wnd, .flags = TCP_ACK};

	fire(m, &x);
	assert_int_equal(x.v, SEQMAP_PASS);
	return x.s.wnd;
}

static void test_edge(void **state)
{
	struct seqmap_init i = init;
	struct seqmap m = fresh();
	uint32_t ack, edge = 64000;

	assert_int_equal(wnd_out(&m, 0, 500), 500); /* the same edge */
	assert_int_equal(wnd_out(&m, 0, 10), 500);  /* smaller: raised */
	assert_int_equal(wnd_out(&m, 640, 10), 495);
	assert_int_equal(wnd_out(&m, 640, 600), 600); /* larger: kept, and remembered */
	assert_int_equal(wnd_out(&m, 640, 0), 600);
	assert_int_equal(wnd_out(&m, 640 + 600 * 128, 0), 0); /* full */
	assert_int_equal(wnd_out(&m, 640 + 600 * 128, 3), 3);

	m = fresh(); /* never retreats by a single byte, whatever the kernel says */
	for (ack = 0; ack < 60000; ack += 77) {
		uint32_t w = wnd_out(&m, ack, ack % 7), now = ack + w * 128;

		assert_true(now >= edge && now < edge + 128);
		edge = now;
	}
	i.edge = RCV_NXT + 65535 * 128 + 1000; /* more than can be said from here */
	seqmap_init(&m, &i);
	assert_int_equal(wnd_out(&m, 0, 10), 65535);
	assert_int_equal(wnd_out(&m, 1024, 10), 65535);
	i.rcv_wscale = 0;
	i.edge = RCV_NXT + 5000;
	seqmap_init(&m, &i);
	assert_int_equal(wnd_out(&m, 0, 1), 5000);
}

static void test_clamp(void **state)
{
	struct seqmap m = fresh();
	struct shot x = in(&m, 50, 1000);

	assert_int_equal(x.s.ack, K_SND); /* the kernel has sent nothing yet */
	assert_int_equal(x.s.wnd, 1012);  /* 50 bytes in units of 4 */
	out(&m, 0, 60, TCP_ACK);
	x = in(&m, 50, 1000);
	assert_int_equal(x.s.ack, K_SND + 50);
	assert_int_equal(x.s.wnd, 1000);
	x = in(&m, 100, 65530);
	assert_int_equal(x.s.ack, K_SND + 60);
	assert_int_equal(x.s.wnd, 65535);
	x = in(&m, 101, 1000); /* nobody sent that: the kernel shall see it and object */
	assert_int_equal(x.s.ack, K_SND + 101);
	x = in(&m, -5, 1000);
	assert_int_equal(x.s.ack, K_SND - 5);
}

static void test_sack_in(void **state)
{
	uint8_t opt[36] = {1, 1, 5, 34};
	struct shot x = {.seq = RCV_NXT, .ack = UNA, .flags = TCP_ACK, .opt = opt, .optlen = 36};
	static const int32_t blocks[8] = {10, 20, 55, 70, 80, 90, -20, -10};
	struct seqmap m = fresh();
	unsigned int i;

	for (i = 0; i < 8; i++)
		put32(opt + 4 + 4 * i, UNA + (uint32_t)blocks[i]);
	fire(&m, &x); /* only what was sent before is left: the D-SACK */
	assert_int_equal(x.s.n_sack, 1);
	assert_int_equal(x.s.sack[0].start, K_SND - 20);
	out(&m, 0, 60, TCP_ACK);
	fire(&m, &x);
	assert_int_equal(x.s.n_sack, 3);
	assert_int_equal(x.s.sack[0].start, K_SND + 10);
	assert_int_equal(x.s.sack[0].end, K_SND + 20);
	assert_int_equal(x.s.sack[1].start, K_SND + 55);
	assert_int_equal(x.s.sack[1].end, K_SND + 60);
	assert_int_equal(x.s.sack[2].start, K_SND - 20);
	x.optlen = 12; /* one block, and the kernel knows nothing of it: no option remains */
	opt[3] = 10;
	put32(opt + 4, UNA + 60);
	put32(opt + 8, UNA + 80);
	fire(&m, &x);
	assert_int_equal(x.v, SEQMAP_PASS);
	assert_int_equal(x.s.n_sack, 0);
}

static void test_sack_out(void **state)
{
	uint8_t opt[20] = {1, 1, 5, 18};
	struct shot x = {.seq = K_SND,
			 .ack = K_RCV,
			 .flags = TCP_ACK,
			 .opt = opt,
			 .optlen = 20,
			 .out = true};
	struct seqmap m = fresh();

	put32(opt + 4, K_RCV + 1000);
	put32(opt + 8, K_RCV + 2000);
	put32(opt + 12, K_RCV - 10);
	put32(opt + 16, K_RCV - 5);
	fire(&m, &x);
	assert_int_equal(x.s.n_sack, 2);
	assert_int_equal(x.s.sack[0].start, RCV_NXT + 1000);
	assert_int_equal(x.s.sack[0].end, RCV_NXT + 2000);
	assert_int_equal(x.s.sack[1].start, RCV_NXT - 10);
}

/* Sends a pair of timestamps; `shift` moves the option to odd offsets. */
static struct shot stamp(const struct seqmap_init *i, bool is_out, uint32_t val, uint32_t ecr,
			 unsigned int shift)
{
	uint8_t opt[16] = {1, 1, 1, 1};
	struct shot x = {.seq = is_out ? K_SND : RCV_NXT,
			 .ack = is_out ? K_RCV : UNA,
			 .flags = TCP_ACK,
			 .opt = opt,
			 .optlen = 16,
			 .out = is_out};
	struct seqmap m;

	opt[shift] = 8;
	opt[shift + 1] = 10;
	put32(opt + shift + 2, val);
	put32(opt + shift + 6, ecr);
	seqmap_init(&m, i);
	fire(&m, &x);
	assert_int_equal(x.v, SEQMAP_PASS);
	assert_true(x.s.has_ts);
	return x;
}

static void test_timestamps(void **state)
{
	struct seqmap_init i = init;
	struct shot x;
	unsigned int shift;

	for (shift = 0; shift < 5; shift++) {
		x = stamp(&init, true, 0xfffffff0, 99, shift);
		assert_int_equal(x.s.tsval, 0x10);
		assert_int_equal(x.s.tsecr, 99);
		x = stamp(&init, false, 99, 0x10, shift);
		assert_int_equal(x.s.tsval, 99);
		assert_int_equal(x.s.tsecr, 0xfffffff0);
		x = stamp(&init, false, 99, 0, shift);
		assert_int_equal(x.s.tsecr, 0);
	}
	i.ts_kern = i.ts_wire + 1; /* the kernel's clock is ahead: leave it */
	assert_int_equal(stamp(&i, true, 7, 8, 0).s.tsval, 7);
	i = init;
	i.ts_ok = false;
	assert_int_equal(stamp(&i, true, 7, 8, 0).s.tsval, 7);
	assert_int_equal(stamp(&i, false, 7, 8, 0).s.tsecr, 8);
}

/* The gateway failed: up to 100 bytes may have been emitted, and the client says that 90 were. */
static void test_failed_gateway(void **state)
{
	static const struct net_l2 l2 = {.dst = {2}, .src = {4}};
	struct net_flow f = {.rport = htons(40000), .lport = htons(80)};
	struct seqmap_init i = init;
	struct seqmap m;
	struct net_pkt p;
	struct tcp_seg s;
	struct frame fr;

	net_addr_parse("10.0.0.1", &f.remote);
	net_addr_parse("10.0.0.2", &f.local);
	i.snd_max = UNA;
	i.unsure = 100;
	seqmap_init(&m, &i);
	assert_int_equal(in(&m, 90, 1000).s.ack, K_SND); /* the kernel has sent nothing yet */
	assert_out(out(&m, 0, 0, TCP_ACK), 90, 0, TCP_ACK);
	assert_out(out(&m, 0, 60, TCP_ACK), 0, 60, TCP_ACK); /* nothing is absorbed */
	fr.len = (uint32_t)seqmap_ack_frame(&m, fr.b, 200, &l2, &f);
	assert_int_equal(parse(&fr, &p), NET_PERR_OK);
	net_parse_tcp(fr.b, &p, &s);
	assert_int_equal(s.ack, K_SND + 60);
	assert_int_equal(in(&m, 90, 1000).s.ack, K_SND + 60); /* as an answer to old bytes */
	assert_out(out(&m, 60, 60, TCP_ACK), 60, 60, TCP_ACK);
	fr.len = (uint32_t)seqmap_ack_frame(&m, fr.b, 200, &l2, &f);
	assert_int_equal(parse(&fr, &p), NET_PERR_OK);
	net_parse_tcp(fr.b, &p, &s);
	assert_int_equal(s.ack, K_SND + 90);
	assert_int_equal(in(&m, 120, 1000).s.ack, K_SND + 120);
	assert_int_equal(in(&m, 121, 1000).s.ack,
			 K_SND + 121); /* never sent: the kernel's to judge */
}

static void test_ack_frame(void **state)
{
	static const struct net_l2 l2 = {.dst = {2}, .src = {4}};
	uint8_t ts[12] = {1, 1, 8, 10, 0, 0, 0, 77, 0x80, 0, 0, 0x30};
	struct shot x = {.seq = RCV_NXT,
			 .ack = UNA + 90,
			 .n = 5,
			 .flags = TCP_ACK,
			 .wnd = 1000,
			 .opt = ts,
			 .optlen = 12};
	struct net_flow f = {.rport = htons(40000), .lport = htons(80)};
	struct seqmap m = fresh();
	struct net_pkt p;
	struct tcp_seg s;
	struct frame fr;

	net_addr_parse("10.0.0.1", &f.remote);
	net_addr_parse("10.0.0.2", &f.local);
	assert_int_equal(seqmap_ack_frame(&m, fr.b, 200, &l2, &f), 0);
	fire(&m, &x);
	assert_int_equal(x.s.ack, K_SND);
	assert_int_equal(seqmap_ack_frame(&m, fr.b, 200, &l2, &f), 0); /* nothing sent yet */
	assert_int_equal(out(&m, 0, 60, TCP_ACK).v, SEQMAP_ABSORB);
	assert_int_equal(seqmap_ack_frame(&m, fr.b, 10, &l2, &f), 0); /* no room: still due */
	fr.len = (uint32_t)seqmap_ack_frame(&m, fr.b, 200, &l2, &f);
	assert_int_equal(parse(&fr, &p), NET_PERR_OK);
	assert_int_equal(net_parse_tcp(fr.b, &p, &s), NET_PERR_OK);
	assert_true(s.seq == K_RCV + 5 && s.ack == K_SND + 60 && s.flags == TCP_ACK && s.len == 0);
	assert_int_equal(s.wnd, 1000 + 30 / 4);
	assert_true(s.has_ts && s.tsval == 77 && s.tsecr == 0x80000010);
	assert_true(net_addr_eq(&p.src, &f.remote) && p.sport == f.rport && p.dport == f.lport);
	assert_int_equal(seqmap_ack_frame(&m, fr.b, 200, &l2, &f), 0); /* once */
	assert_int_equal(out(&m, 60, 60, TCP_ACK).v, SEQMAP_PASS);
	fr.len = (uint32_t)seqmap_ack_frame(&m, fr.b, 200, &l2, &f);
	assert_int_equal(parse(&fr, &p), NET_PERR_OK);
	net_parse_tcp(fr.b, &p, &s);
	assert_int_equal(s.ack, K_SND + 90);
	assert_int_equal(seqmap_ack_frame(&m, fr.b, 200, &l2, &f), 0);
}

static void test_bad(void **state)
{
	struct shot x = {.seq = K_SND, .ack = K_RCV, .flags = TCP_SYN | TCP_ACK, .out = true};
	struct seqmap m = fresh();
	uint32_t len;

	fire(&m, &x);
	assert_int_equal(x.v, SEQMAP_BAD);
	x.out = false; /* the kernel challenges it */
	fire(&m, &x);
	assert_int_equal(x.v, SEQMAP_PASS);
	x = (struct shot){.flags = TCP_ACK, .opt = "\x08\x03\x01\x00", .optlen = 4};
	fire(&m, &x);
	assert_int_equal(x.v, SEQMAP_BAD);
	x.out = true;
	x.opt = "\x05\x00\x00\x00";
	fire(&m, &x);
	assert_int_equal(x.v, SEQMAP_BAD);
	x.optlen = 0;
	fire(&m, &x);
	assert_int_equal(x.v, SEQMAP_PASS);
	len = x.f.len - 1;
	assert_int_equal(seqmap_in(&m, x.f.b, &len, &x.p), SEQMAP_BAD);
	len = x.f.len;
	x.p.fragment = true;
	assert_int_equal(seqmap_in(&m, x.f.b, &len, &x.p), SEQMAP_BAD);
	x.p.fragment = false;
	x.p.proto = 17;
	assert_int_equal(seqmap_out(&m, x.f.b, &len, &x.p), SEQMAP_BAD);
}

/* Damage is not covered up. */
static void test_wrong_checksum_stays(void **state)
{
	uint32_t cut;

	for (cut = 0; cut < 3; cut++) {
		struct seqmap m = fresh();
		struct net_pkt p;
		struct frame f;
		uint32_t len;

		frame_eth(&f, 0, 0x0800);
		frame_ip(&f, "10.0.0.1", "10.0.0.2", 6);
		frame_tcp(&f, K_SND + 100 - cut, K_RCV, TCP_ACK, NULL, 0, 50);
		frame_done(&f, 6);
		f.b[f.len - 1] ^= 0x10;
		assert_int_equal(net_parse(f.b, f.len, 0, &p), NET_PERR_OK);
		len = f.len;
		assert_int_equal(seqmap_out(&m, f.b, &len, &p), SEQMAP_PASS);
		f.len = len;
		assert_int_equal(parse(&f, &p), NET_PERR_TCP_CSUM);
		f.b[f.len - 1] ^= 0x10;
		if (cut % 2 == 0) /* else the damage changed its weight with its position */
			assert_int_equal(parse(&f, &p), NET_PERR_OK);
	}
}

/* 6 GB later the map still works. */
static void test_long_life(void **state)
{
	struct seqmap m = fresh();
	uint32_t at = 100, i;
	struct shot x;

	for (i = 0; i < 6000; i++, at += 1 << 20) {
		x = out(&m, (int32_t)at, 1000, TCP_ACK);
		assert_out(x, at, 1000, TCP_ACK);
		x = out(&m, (int32_t)at, 1000, TCP_ACK);
		assert_out(x, at, 1000, TCP_ACK);
		x = out(&m, (int32_t)at + 1000, 0, TCP_ACK);
		assert_out(x, at + 1000, 0, TCP_ACK);
		x = in(&m, (int32_t)at + 1000, 9);
		assert_int_equal(x.s.ack, K_SND + at + 1000);
		assert_int_equal(x.s.wnd, 9);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deltas),
		cmocka_unit_test(test_absorb_then_pass),
		cmocka_unit_test(test_grown_retransmission),
		cmocka_unit_test(test_straddle),
		cmocka_unit_test(test_fin),
		cmocka_unit_test(test_no_data),
		cmocka_unit_test(test_absorb_with_news),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_clamp),
		cmocka_unit_test(test_sack_in),
		cmocka_unit_test(test_sack_out),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_ack_frame),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_wrong_checksum_stays),
		cmocka_unit_test(test_failed_gateway),
		cmocka_unit_test(test_long_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
