/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening: active, passive, simultaneous; retransmission and R2 (RFC 9293 sections 3.5, 3.10). */
#include "tcp_open_script.h"

static void test_active(void **state)
{
	struct tcp_emit e;
	struct os o;

	os_init(&o);
	os_connect(&o);
	assert_int_equal(o.t.c.state, TCP_S_SYN_SENT);
	e = os_expect(&o, TCP_SYN | TCP_ECE | TCP_CWR, 0, 0);
	assert_int_equal(e.len, 0);
	assert_int_equal(e.wnd, UINT16_MAX); /* never scaled */
	assert_false(e.retx);
	assert_int_equal(o.seen.mss, OS_MSS);
	assert_true(o.seen.sack_ok && o.seen.has_ts && o.seen.has_wscale);
	assert_int_equal(o.seen.wscale, 2); /* 200000 >> 2 fits 16 bits */
	assert_int_equal(o.seen.tsecr, 0);
	o.t.now += 20000;
	assert_int_equal(os_seg(&o, TCP_SYN | TCP_ACK, 0, 1, 0), TCP_V_OK);
	assert_int_equal(o.t.events[TCP_E_ESTABLISHED], 1);
	assert_int_equal(o.t.c.state, TCP_S_ESTABLISHED);
	e = os_expect(&o, TCP_ACK, 1, 1);
	assert_int_equal(o.seen.tsecr, 5000);
	assert_int_equal(e.wnd, OS_ROOM >> 2);
	tt_nothing(&o.t);
	assert_int_equal(o.t.c.snd_wnd, 30000); /* the SYN-ACK's window is not scaled */
	assert_int_equal(o.t.c.srtt_us, 20000);
	assert_int_equal(o.t.c.mss, 1400);
	assert_int_equal(o.t.c.cwnd, 10 * 1400);
	assert_true(tcp_deadline(&o.t.c, o.t.now) == TCP_NEVER);
	/* From now on it is. */
	o.t.wnd = 1000;
	os_seg(&o, TCP_ACK, 1, 1, 0);
	assert_int_equal(o.t.c.snd_wnd, 32000);
	assert_null(tcp_check(&o.t.c));
}

/* What the program produced before goes out with the ACK of the SYN-ACK. */
static void test_early_data(void **state)
{
	struct os o;

	os_init(&o);
	os_connect(&o);
	os_expect(&o, TCP_SYN | TCP_ECE | TCP_CWR, 0, 0);
	tt_produce(&o.t, 100);
	tt_nothing(&o.t);
	assert_int_equal(o.t.n_want, 0);
	os_seg(&o, TCP_SYN | TCP_ACK, 0, 1, 0);
	assert_int_equal(os_expect(&o, TCP_ACK | TCP_PSH, 1, 1).len, 100);
	tt_nothing(&o.t);
	assert_int_equal(os_seg(&o, TCP_ACK, 1, 101, 0), TCP_V_OK);
	assert_int_equal(o.t.c.snd_una - o.iss, 101);
}

static void test_passive(void **state)
{
	struct tcp_emit e;
	struct os o;

	os_init(&o);
	os_accept(&o);
	assert_int_equal(o.t.c.state, TCP_S_SYN_RCVD);
	assert_int_equal(o.l.n_half, 1);
	e = os_expect(&o, TCP_SYN | TCP_ACK, 0, 1);
	assert_int_equal(e.wnd, UINT16_MAX);
	assert_int_equal(o.seen.mss, OS_MSS);
	assert_true(o.seen.sack_ok && o.seen.has_ts && o.seen.has_wscale);
	assert_int_equal(o.seen.tsecr, 5000);
	tt_nothing(&o.t);
	o.t.now += 7000;
	o.t.wnd = 100;
	/* The ACK that completes it may carry payload and a FIN. */
	assert_int_equal(os_seg(&o, TCP_ACK | TCP_FIN, 1, 1, 500), TCP_V_OK);
	assert_int_equal(o.t.rx.len, 500);
	assert_true(o.t.rx.fin);
	assert_int_equal(o.l.n_half, 0);
	assert_int_equal(o.t.events[TCP_E_ESTABLISHED], 1);
	assert_int_equal(o.t.c.state, TCP_S_CLOSE_WAIT);
	os_expect(&o, TCP_ACK, 1, 502);
	assert_int_equal(o.t.c.snd_wnd, 3200);
	assert_int_equal(o.t.c.srtt_us, 7000);
	assert_null(tcp_check(&o.t.c));
}

static void test_simultaneous_open(void **state)
{
	struct os o;

	os_init(&o);
	os_connect(&o);
	os_take(&o);
	assert_int_equal(os_seg(&o, TCP_SYN, 0, 0, 0), TCP_V_OK);
	assert_int_equal(o.t.c.state, TCP_S_SYN_RCVD);
	os_expect(&o, TCP_SYN | TCP_ACK, 0, 1);
	assert_true(o.seen.has_ts && o.seen.sack_ok && o.seen.has_wscale);
	/* The peer did the same: its SYN-ACK is the ACK we wait for. */
	assert_int_equal(os_seg(&o, TCP_SYN | TCP_ACK, 0, 1, 0), TCP_V_OK);
	assert_int_equal(o.t.c.state, TCP_S_ESTABLISHED);
	os_expect(&o, TCP_ACK, 1, 1);
	/* Or it has our SYN-ACK and sends an ACK. */
	os_init(&o);
	os_connect(&o);
	os_seg(&o, TCP_SYN, 0, 0, 0);
	tt_drain(&o.t);
	os_seg(&o, TCP_ACK, 1, 1, 0);
	assert_int_equal(o.t.c.state, TCP_S_ESTABLISHED);
	tt_nothing(&o.t);
}

/* SYNs at 0, 1, 3, 7, ... seconds; given up after R2, not before three minutes (MUST-22, 23). */
static void test_syn_retransmission(void **state)
{
	static const unsigned int at[] = {0, 1, 3, 7, 15, 31, 63, 127};
	uint64_t start;
	struct tcp_emit e;
	struct os o;

	for (unsigned int passive = 0; passive < 2; passive++) {
		os_init(&o);
		start = o.t.now;
		if (passive)
			os_accept(&o);
		else
			os_connect(&o);
		for (unsigned int i = 0; i < 8; i++) {
			tt_pass(&o.t, start + at[i] * 1000000ull - o.t.now);
			e = os_take(&o);
			tt_nothing(&o.t);
			assert_int_equal(e.retx, i > 0);
			assert_int_equal(e.seq, o.iss);
			/* ECN is asked for once. */
			assert_int_equal(e.flags & (TCP_SYN | TCP_ECE | TCP_CWR),
					 i || passive ? TCP_SYN : TCP_SYN | TCP_ECE | TCP_CWR);
			tt_pass(&o.t, (at[i] + 1) * 1000000ull - 1 - (o.t.now - start));
			tt_nothing(&o.t);
		}
		tt_pass(&o.t, start + 180000000ull - 1 - o.t.now);
		assert_int_equal(o.t.events[TCP_E_TIMEOUT], 0);
		tt_nothing(&o.t);
		tt_pass(&o.t, 1);
		assert_int_equal(o.t.events[TCP_E_TIMEOUT], 1);
		assert_int_equal(o.t.c.state, TCP_S_CLOSED);
		assert_int_equal(o.l.n_half, 0);
		assert_int_equal(o.t.c.stats.rto_count, 7);
	}
}

/* A lost SYN: first RTO 3 s when nothing was measured, first window one segment. */
static void test_after_lost_syn(void **state)
{
	struct os o;

	os_init(&o);
	o.syn.has_ts = false;
	os_connect(&o);
	tt_pass(&o.t, 1000000);
	tt_drain(&o.t);
	tt_pass(&o.t, 5000);
	os_seg(&o, TCP_SYN | TCP_ACK, 0, 1, 0);
	tt_drain(&o.t);
	assert_int_equal(o.t.c.srtt_us, 0); /* which SYN was answered? */
	assert_int_equal(o.t.c.cwnd, o.t.c.mss);
	assert_int_equal(tcp_rto(&o.t.c), 3000000);
	/* The echoed timestamp tells. */
	os_init(&o);
	os_connect(&o);
	tt_pass(&o.t, 1000000);
	tt_drain(&o.t);
	tt_pass(&o.t, 5000);
	os_seg(&o, TCP_SYN | TCP_ACK, 0, 1, 0);
	assert_int_equal(o.t.c.srtt_us, 5000);
	assert_int_equal(o.t.c.cwnd, o.t.c.mss);
}

/* A wire that takes nothing: the SYN leaves when it can, and the timer runs meanwhile. */
static void test_no_buffer(void **state)
{
	struct os o;

	os_init(&o);
	o.t.emit_err = ENOBUFS;
	os_connect(&o);
	tt_nothing(&o.t);
	assert_true(tcp_deadline(&o.t.c, o.t.now) != TCP_NEVER);
	o.t.emit_err = 0;
	tt_out(&o.t);
	assert_int_equal(os_take(&o).retx, false);
	tt_out(&o.t);
	tt_nothing(&o.t);
}

/* Each option is used when both SYNs carried it, and only then. */
static void test_options(void **state)
{
	for (unsigned int i = 0; i < 256; i++) {
		bool passive = i & 1, ws = i & 2, sack = i & 4, ts = i & 8;
		uint8_t ours = (uint8_t)(i >> 4);
		struct os o;

		os_init(&o);
		o.l.offer.opts = ours;
		o.syn = (struct tcp_seg){.mss = 900, .tsval = 5, .has_ts = ts};
		o.syn.sack_ok = sack;
		o.syn.has_wscale = ws;
		o.syn.wscale = 3;
		if (passive)
			os_accept(&o);
		else
			os_connect(&o);
		os_take(&o);
		assert_int_equal(o.seen.has_wscale, (ours & TCP_O_WSCALE) && (!passive || ws));
		assert_int_equal(o.seen.sack_ok, (ours & TCP_O_SACK) && (!passive || sack));
		assert_int_equal(o.seen.has_ts, (ours & TCP_O_TS) && (!passive || ts));
		os_seg(&o, passive ? TCP_ACK : TCP_SYN | TCP_ACK, passive, 1, 0);
		assert_int_equal(o.t.c.state, TCP_S_ESTABLISHED);
		assert_int_equal(o.t.c.wscale_ok, (ours & TCP_O_WSCALE) && ws);
		assert_int_equal(o.t.c.rcv_wscale, (ours & TCP_O_WSCALE) && ws ? 2 : 0);
		assert_int_equal(o.t.c.sack_ok, (ours & TCP_O_SACK) && sack);
		assert_int_equal(o.t.c.ts_ok, (ours & TCP_O_TS) && ts);
		assert_int_equal(o.t.c.mss, 900);
		assert_null(tcp_check(&o.t.c));
	}
}

/* MSS: the peer's or ours, whatever is smaller; 536 or 1220 without the option (MUST-15). */
static void test_mss(void **state)
{
	static const struct {
		uint16_t peer, v4, v6;
	} m[] = {{0, 536, 1220}, {1, 64, 64}, {1200, 1200, 1200}, {9000, OS_MSS, OS_MSS}};
	struct os o;

	for (unsigned int i = 0; i < 4; i++) {
		for (unsigned int v6 = 0; v6 < 2; v6++) {
			os_init(&o);
			if (v6)
				net_addr_parse("fd77::2", &o.f.remote);
			o.syn.mss = m[i].peer;
			os_accept(&o);
			os_seg(&o, TCP_ACK, 1, 1, 0);
			assert_int_equal(o.t.c.mss, v6 ? m[i].v6 : m[i].v4);
		}
	}
}

/* Payload and a FIN behind the SYN of a SYN-ACK are taken; with a client's SYN they are not. */
static void test_syn_with_data(void **state)
{
	struct os o;

	os_init(&o);
	os_connect(&o);
	os_take(&o);
	assert_int_equal(os_seg(&o, TCP_SYN | TCP_ACK, 0, 1, 300), TCP_V_OK);
	assert_int_equal(o.t.rx.len, 300);
	assert_int_equal(o.t.rx.skip, 0);
	assert_int_equal(o.t.rx.seq, OS_PEER + 1);
	os_expect(&o, TCP_ACK, 1, 301);
	os_init(&o);
	os_connect(&o);
	os_take(&o);
	os_seg(&o, TCP_SYN | TCP_ACK | TCP_FIN, 0, 1, 10);
	assert_true(o.t.rx.fin);
	assert_int_equal(o.t.c.state, TCP_S_CLOSE_WAIT);
	os_expect(&o, TCP_ACK, 1, 12);
	/* In LISTEN: acknowledged is the SYN alone, so that the client sends the rest again. */
	os_init(&o);
	assert_int_equal(os_listen(&o, TCP_SYN, 0, 0, 300), TCP_L_HALF_OPEN);
	o.iss = o.t.c.snd_una;
	assert_int_equal(o.res.rx.len, 0);
	os_expect(&o, TCP_SYN | TCP_ACK, 0, 1);
	os_seg(&o, TCP_ACK, 1, 1, 300);
	assert_int_equal(o.t.rx.len, 300);
	os_expect(&o, TCP_ACK, 1, 301);
}

/* CLOSE and ABORT before ESTABLISHED (RFC 9293 sections 3.10.4 and 3.10.5). */
static void test_close_while_opening(void **state)
{
	struct os o;

	os_init(&o);
	os_connect(&o);
	os_take(&o);
	tcp_shutdown(&o.t.c, o.t.now);
	tt_out(&o.t);
	tt_nothing(&o.t);
	assert_int_equal(o.t.c.state, TCP_S_CLOSED);
	assert_int_equal(o.t.events[TCP_E_CLOSED], 1);
	os_init(&o);
	os_connect(&o);
	os_take(&o);
	tcp_abort(&o.t.c, o.t.now);
	tt_nothing(&o.t);
	os_init(&o);
	os_accept(&o);
	os_take(&o);
	tcp_abort(&o.t.c, o.t.now);
	os_expect(&o, TCP_RST | TCP_ACK, 1, 1);
	assert_int_equal(o.l.n_half, 0);
	/* The FIN of a half-open connection follows the ACK of its SYN-ACK, after the data. */
	os_init(&o);
	os_accept(&o);
	os_take(&o);
	tcp_produced(&o.t.c, 50, o.t.now);
	tcp_shutdown(&o.t.c, o.t.now);
	tt_out(&o.t);
	tt_nothing(&o.t);
	os_seg(&o, TCP_ACK, 1, 1, 0);
	assert_int_equal(os_expect(&o, TCP_ACK | TCP_PSH | TCP_FIN, 1, 1).len, 50);
	assert_int_equal(o.t.c.state, TCP_S_FIN_WAIT_1);
	/* The same of one that has nothing to send; the SYN-ACK is repeated meanwhile. */
	os_init(&o);
	os_accept(&o);
	os_take(&o);
	tcp_shutdown(&o.t.c, o.t.now);
	tt_out(&o.t);
	tt_nothing(&o.t);
	tt_pass(&o.t, 1000000);
	os_expect(&o, TCP_SYN | TCP_ACK, 0, 1);
	os_seg(&o, TCP_ACK, 1, 1, 0);
	assert_int_equal(os_expect(&o, TCP_ACK | TCP_FIN, 1, 1).len, 0);
	assert_int_equal(o.t.c.state, TCP_S_FIN_WAIT_1);
}

/* RFC 3168 section 6.1.1, RFC 9768 section 3.1: what each pair of SYNs leads to. */
static void test_ecn(void **state)
{
	static const struct {
		uint8_t flags; /* ECE and CWR of the peer's SYN or SYN-ACK */
		bool ae;
		bool as_syn, as_synack; /* ECN is in use */
	} m[] = {
		{0, false, false, false},
		{TCP_ECE | TCP_CWR, false, true, false}, /* a SYN-ACK that reflects the SYN */
		{TCP_ECE | TCP_CWR, true, true, false},	 /* AccECN: classic ECN is answered */
		{TCP_ECE, false, false, true},
		{TCP_ECE, true, false, true}, /* the nonce of RFC 3540 */
		{TCP_CWR, false, false, false},
		{TCP_CWR, true, false, false}, /* AccECN in a SYN-ACK that was not asked for */
	};
	uint8_t ecn;
	struct os o;

	for (unsigned int i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		for (unsigned int ask = 0; ask < 2; ask++) {
			os_init(&o);
			o.l.offer.opts = ask ? TCP_O_ALL : TCP_O_ALL & ~TCP_O_ECN;
			o.syn.ae = m[i].ae;
			assert_int_equal(os_listen(&o, TCP_SYN | m[i].flags, 0, 0, 0),
					 TCP_L_HALF_OPEN);
			ecn = os_take(&o).flags & (TCP_ECE | TCP_CWR);
			assert_int_equal(ecn, ask && m[i].as_syn ? TCP_ECE : 0);
			assert_int_equal(o.t.c.ecn_ok, ask && m[i].as_syn);
			os_init(&o);
			o.l.offer.opts = ask ? TCP_O_ALL : TCP_O_ALL & ~TCP_O_ECN;
			o.syn.ae = m[i].ae;
			os_connect(&o);
			ecn = os_take(&o).flags & (TCP_ECE | TCP_CWR);
			assert_int_equal(ecn, ask ? TCP_ECE | TCP_CWR : 0);
			os_seg(&o, TCP_SYN | TCP_ACK | m[i].flags, 0, 1, 0);
			assert_int_equal(o.t.c.ecn_ok, ask && m[i].as_synack);
		}
	}
}

/* RFC 3168 section 6.1.1: after a SYN that did not ask, marks are echoed but none are asked for. */
static void test_ecn_syn_again(void **state)
{
	struct tcp_emit e;
	struct tcp_seg s;
	struct os o;

	os_init(&o);
	os_connect(&o);
	tt_pass(&o.t, 1000000);
	tt_drain(&o.t);
	os_seg(&o, TCP_SYN | TCP_ACK | TCP_ECE, 0, 1, 0);
	assert_true(o.t.c.ecn_ok);
	os_take(&o);
	tt_produce(&o.t, 100);
	e = os_take(&o);
	assert_int_equal(e.len, 100);
	assert_false(e.ect || e.flags & TCP_ECE);
	s = os_make(&o, TCP_ACK, 1, 101, 100);
	s.ce = true;
	tcp_input(&o.t.c, &s, o.t.now, &o.t.rx);
	assert_true(o.t.c.ecn_echo);
	/* At a listener: the client's SYN comes again and does not ask any more. */
	for (unsigned int again = 0; again < 2; again++) {
		os_init(&o);
		assert_int_equal(os_listen(&o, TCP_SYN | TCP_ECE | TCP_CWR, 0, 0, 0),
				 TCP_L_HALF_OPEN);
		assert_true(os_take(&o).flags & TCP_ECE);
		os_seg(&o, TCP_SYN | (again ? TCP_ECE | TCP_CWR : 0), 0, 0, 0);
		tt_out(&o.t);
		assert_int_equal(os_take(&o).flags & TCP_ECE, again ? TCP_ECE : 0);
		assert_int_equal(o.t.c.ecn_ok, again);
	}
}

/* A hard ICMP error about the SYN refuses; soft and foreign ones are noted (SHLD-26, MUST-56). */
static void test_icmp(void **state)
{
	struct tcp_icmp_err e;
	struct os o;

	for (unsigned int kind = TCP_K_TOO_BIG; kind < TCP_K_COUNT; kind++) {
		os_init(&o);
		os_connect(&o);
		os_take(&o);
		e = (struct tcp_icmp_err){.kind = (enum tcp_icmp_kind)kind, .seq = o.iss + 1};
		assert_int_equal(tcp_icmp(&o.t.c, &e, o.t.now), TCP_I_SEQUENCE);
		e.seq = o.iss;
		tcp_icmp(&o.t.c, &e, o.t.now);
		assert_int_equal(o.t.events[TCP_E_REFUSED], kind == TCP_K_REFUSED);
		assert_int_equal(o.t.c.state,
				 kind == TCP_K_REFUSED ? TCP_S_CLOSED : TCP_S_SYN_SENT);
		assert_null(tcp_check(&o.t.c));
	}
	/* A half-open connection is not ended by them: its SYN-ACK is sent again. */
	os_init(&o);
	os_accept(&o);
	e = (struct tcp_icmp_err){.kind = TCP_K_REFUSED, .seq = o.iss};
	assert_int_equal(tcp_icmp(&o.t.c, &e, o.t.now), TCP_I_NOTED);
	assert_int_equal(o.t.c.state, TCP_S_SYN_RCVD);
}

/* No keys, no room, an MSS below all sense: refused. */
static void test_bad_offer(void **state)
{
	struct tcp_offer bad[] = {{0, OS_MSS, 0, 0}, {1, 63, 0, 0}, {1, OS_MSS, 0, 15}};
	struct os o;

	os_init(&o);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(tcp_connect(&o.t.c, &o.t.cfg, &bad[i], &o.f, 0), EINVAL);
		assert_int_equal(o.t.c.state, TCP_S_CLOSED);
	}
	o.t.cfg.keys = NULL;
	assert_int_equal(tcp_connect(&o.t.c, &o.t.cfg, &o.l.offer, &o.f, 0), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_active),
		cmocka_unit_test(test_early_data),
		cmocka_unit_test(test_passive),
		cmocka_unit_test(test_simultaneous_open),
		cmocka_unit_test(test_syn_retransmission),
		cmocka_unit_test(test_after_lost_syn),
		cmocka_unit_test(test_no_buffer),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_syn_with_data),
		cmocka_unit_test(test_close_while_opening),
		cmocka_unit_test(test_ecn),
		cmocka_unit_test(test_ecn_syn_again),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_bad_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
