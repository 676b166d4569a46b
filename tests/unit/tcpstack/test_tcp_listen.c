/* SPDX-License-Identifier: BSD-3-Clause */
/* LISTEN, SYN-SENT and SYN-RECEIVED against whatever may come (RFC 9293 section 3.10.7). */
#include "tcp_open_script.h"

/* Section 3.10.7.2: RST before ACK before SYN; the rest is dropped. */
static void test_stray_at_listener(void **state)
{
	static const struct {
		uint8_t flags;
		enum tcp_listen_verdict v;
	} m[] = {
		{0, TCP_L_NO_SYN},
		{TCP_FIN, TCP_L_NO_SYN},
		{TCP_PSH | TCP_URG, TCP_L_NO_SYN},
		{TCP_RST, TCP_L_RST},
		{TCP_RST | TCP_ACK, TCP_L_RST},
		{TCP_RST | TCP_SYN, TCP_L_RST},
		{TCP_ACK, TCP_L_NO_CONN},
		{TCP_ACK | TCP_FIN, TCP_L_NO_CONN},
		{TCP_ACK | TCP_SYN, TCP_L_NO_CONN},
	};
	struct os o;

	for (unsigned int i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		os_init(&o);
		assert_int_equal(os_listen(&o, m[i].flags, 0, 77, 10), m[i].v);
		assert_int_equal(o.l.verdict[m[i].v], 1);
		assert_null(o.res.conn);
		assert_int_equal(o.res.has_reply, m[i].v == TCP_L_NO_CONN);
		if (!o.res.has_reply)
			continue;
		assert_int_equal(o.res.reply.flags, TCP_RST);
		assert_int_equal(o.res.reply.seq, 77); /* what the stray ACK named */
	}
}

/* Section 3.10.7.1, by hand for each kind of segment. */
static void test_reset_for(void **state)
{
	static const struct {
		struct tcp_seg in;
		bool reply;
		uint8_t flags;
		uint32_t seq, ack;
	} m[] = {
		{{.flags = TCP_RST, .seq = 5}, false, 0, 0, 0},
		{{.flags = TCP_RST | TCP_ACK, .seq = 5}, false, 0, 0, 0},
		{{.flags = TCP_ACK, .seq = 5, .ack = 9, .len = 3}, true, TCP_RST, 9, 0},
		{{.flags = TCP_SYN | TCP_ACK, .seq = 5, .ack = 9}, true, TCP_RST, 9, 0},
		{{.flags = TCP_SYN, .seq = 5}, true, TCP_RST | TCP_ACK, 0, 6},
		{{.flags = TCP_SYN, .seq = 5, .len = 10}, true, TCP_RST | TCP_ACK, 0, 16},
		{{.flags = TCP_FIN, .seq = UINT32_MAX, .len = 2}, true, TCP_RST | TCP_ACK, 0, 2},
		{{.flags = 0, .seq = 5}, true, TCP_RST | TCP_ACK, 0, 5},
	};
	struct tcp_emit e;

	for (unsigned int i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		assert_int_equal(tcp_reset_for(&m[i].in, &e), m[i].reply);
		if (!m[i].reply)
			continue;
		assert_int_equal(e.flags, m[i].flags);
		assert_int_equal(e.seq, m[i].seq);
		assert_int_equal(e.ack, m[i].ack);
	}
}

/* Section 3.10.7.3: a wrong ACK draws a RST and changes nothing; a RST needs the right ACK. */
static void test_syn_sent(void **state)
{
	struct os o;

	for (uint32_t ack = 0; ack < 3; ack += 2) {
		os_init(&o);
		os_connect(&o);
		os_take(&o);
		assert_int_equal(os_seg(&o, TCP_SYN | TCP_ACK, 0, ack, 0), TCP_V_ACK_FUTURE);
		os_expect(&o, TCP_RST, ack, 0);
		assert_int_equal(os_seg(&o, TCP_ACK, 0, ack, 0), TCP_V_ACK_FUTURE);
		os_expect(&o, TCP_RST, ack, 0);
		assert_int_equal(os_seg(&o, TCP_RST | TCP_ACK, 0, ack, 0), TCP_V_ACK_FUTURE);
		assert_int_equal(os_seg(&o, TCP_RST, 0, 0, 0), TCP_V_NO_ACK);
		assert_int_equal(os_seg(&o, TCP_ACK, 0, 1, 0), TCP_V_NO_SYN);
		assert_int_equal(os_seg(&o, TCP_FIN, 0, 0, 10), TCP_V_NO_SYN);
		tt_nothing(&o.t);
		assert_int_equal(o.t.c.state, TCP_S_SYN_SENT);
		assert_null(tcp_check(&o.t.c));
		/* And still it opens. */
		os_seg(&o, TCP_SYN | TCP_ACK, 0, 1, 0);
		assert_int_equal(o.t.c.state, TCP_S_ESTABLISHED);
	}
	os_init(&o);
	os_connect(&o);
	os_take(&o);
	assert_int_equal(os_seg(&o, TCP_RST | TCP_ACK, 0, 1, 0), TCP_V_RST);
	assert_int_equal(o.t.events[TCP_E_REFUSED], 1);
	assert_int_equal(o.t.c.state, TCP_S_CLOSED);
	tt_nothing(&o.t);
}

/* A half-open connection; active: by a simultaneous open. Its SYN-ACK was taken. */
static void half_open(struct os *o, bool active)
{
	os_init(o);
	if (active) {
		os_connect(o);
		os_take(o);
		os_seg(o, TCP_SYN, 0, 0, 0);
	} else {
		os_accept(o);
	}
	os_take(o);
	assert_int_equal(o->t.c.state, TCP_S_SYN_RCVD);
}

/* Section 3.10.7.4 and RFC 5961 in SYN-RECEIVED: what ends it, what is challenged, what is not. */
static void test_syn_rcvd(void **state)
{
	struct os o;

	for (unsigned int active = 0; active < 2; active++) {
		half_open(&o, active);
		/* Outside the window */
		assert_int_equal(os_seg(&o, TCP_ACK, 300000, 1, 5), TCP_V_WINDOW);
		os_expect(&o, TCP_ACK, 1, 1);
		assert_int_equal(os_seg(&o, TCP_RST, 300000, 0, 0), TCP_V_WINDOW);
		assert_int_equal(os_seg(&o, TCP_RST, 0, 0, 0), TCP_V_OLD);
		tt_nothing(&o.t);
		/* In the window, but not exact */
		assert_int_equal(os_seg(&o, TCP_RST, 2, 0, 0), TCP_V_RST_CHALLENGED);
		os_expect(&o, TCP_ACK, 1, 1);
		/* No ACK, or a wrong one */
		assert_int_equal(os_seg(&o, 0, 1, 0, 5), TCP_V_NO_ACK);
		tt_nothing(&o.t);
		for (uint32_t ack = 0; ack < 3; ack += 2) {
			assert_int_equal(os_seg(&o, TCP_ACK, 1, ack, 5), TCP_V_ACK_FUTURE);
			os_expect(&o, TCP_RST, ack, 0);
		}
		assert_int_equal(o.t.rx.len, 0);
		/* An older timestamp */
		o.syn.tsval -= 10;
		assert_int_equal(os_seg(&o, TCP_ACK, 1, 1, 0), TCP_V_PAWS);
		os_expect(&o, TCP_ACK, 1, 1);
		o.syn.tsval += 10;
		/* Our SYN-ACK was lost */
		assert_int_equal(os_seg(&o, TCP_SYN, 0, 0, 0), TCP_V_OLD);
		os_expect(&o, TCP_SYN | TCP_ACK, 0, 1);
		assert_int_equal(o.t.c.state, TCP_S_SYN_RCVD);
		assert_null(tcp_check(&o.t.c));
		assert_int_equal(os_seg(&o, TCP_ACK, 1, 1, 0), TCP_V_OK);
		assert_int_equal(o.t.c.state, TCP_S_ESTABLISHED);

		half_open(&o, active);
		assert_int_equal(os_seg(&o, TCP_RST, 1, 0, 0), TCP_V_RST);
		assert_int_equal(o.t.c.state, TCP_S_CLOSED);
		assert_int_equal(o.t.events[TCP_E_REFUSED], active);
		assert_int_equal(o.t.events[TCP_E_RESET], !active);
		assert_int_equal(o.l.n_half, 0);
		tt_nothing(&o.t);

		/* A SYN in the window: back to LISTEN, or challenged when we began it. */
		half_open(&o, active);
		assert_int_equal(os_seg(&o, TCP_SYN, 5, 0, 0), TCP_V_SYN);
		assert_int_equal(o.t.c.state, active ? TCP_S_SYN_RCVD : TCP_S_CLOSED);
		assert_int_equal(o.t.events[TCP_E_RESET], !active);
		assert_int_equal(o.t.n_out, active);
	}
}

/* Answers to a flood of doubtful segments are few, SYN-ACKs to repeated SYNs included. */
static void test_limited_answers(void **state)
{
	struct os o;

	half_open(&o, false);
	for (unsigned int i = 0; i < 100; i++) {
		os_seg(&o, TCP_SYN, 0, 0, 0);
		os_seg(&o, TCP_ACK, 300000, 1, 5);
	}
	assert_in_range(o.t.n_out, 1, 10);
}

/* The backlog bounds half-open connections; whoever leaves makes room. */
static void test_backlog(void **state)
{
	static struct os o[3];

	for (unsigned int i = 0; i < 3; i++)
		os_init(&o[i]);
	o[0].l.cookies = TCP_COOKIE_NEVER;
	o[0].l.backlog = 1;
	os_accept(&o[0]);
	assert_int_equal(os_listen(&o[0], TCP_SYN, 9, 0, 0), TCP_L_FULL);
	assert_null(o[0].res.conn);
	assert_false(o[0].res.has_reply);
	assert_int_equal(o[0].l.n_half, 1);
	os_seg(&o[0], TCP_ACK, 1, 1, 0);
	assert_int_equal(o[0].l.n_half, 0);
	/* No memory */
	o[1].l.cookies = TCP_COOKIE_NEVER;
	o[1].no_memory = true;
	assert_int_equal(os_listen(&o[1], TCP_SYN, 0, 0, 0), TCP_L_NO_MEMORY);
	assert_int_equal(o[1].l.n_half, 0);
	/* Given up by its owner */
	os_accept(&o[2]);
	tcp_detach(&o[2].t.c);
	assert_int_equal(o[2].l.n_half, 0);
}

/* A SYN ends TIME-WAIT; the new sequence numbers begin beyond the old (MAY-2). */
static void test_reopen(void **state)
{
	uint32_t old;
	struct tcp_seg s;
	struct os o;

	os_init(&o);
	os_accept(&o);
	os_seg(&o, TCP_ACK, 1, 1, 0);
	tcp_shutdown(&o.t.c, o.t.now);
	tt_out(&o.t);
	os_seg(&o, TCP_ACK | TCP_FIN, 1, 2, 0);
	assert_int_equal(o.t.c.state, TCP_S_TIME_WAIT);
	tt_drain(&o.t);
	o.syn.tsval++;
	s = os_make(&o, TCP_SYN, 1000, 0, 0);
	tcp_input(&o.t.c, &s, o.t.now, &o.t.rx);
	assert_int_equal(o.t.rx.verdict, TCP_V_CLOSED);
	assert_int_equal(o.t.events[TCP_E_CLOSED], 1);
	old = o.t.c.snd_nxt;
	tcp_listen_input(&o.l, &o.f, &s, &old, o.t.now, &o.res);
	assert_int_equal(o.res.verdict, TCP_L_HALF_OPEN);
	assert_true(tcp_lt(old + UINT16_MAX, o.t.c.snd_una));
	/* A clock that is far ahead of them stays the clock. */
	old = tcp_isn(&o.keys, &o.f, o.t.now) - 1000000;
	tcp_detach(&o.t.c);
	tcp_listen_input(&o.l, &o.f, &s, &old, o.t.now, &o.res);
	assert_int_equal(o.t.c.snd_una, tcp_isn(&o.keys, &o.f, o.t.now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stray_at_listener),
		cmocka_unit_test(test_reset_for),
		cmocka_unit_test(test_syn_sent),
		cmocka_unit_test(test_syn_rcvd),
		cmocka_unit_test(test_limited_answers),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_reopen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
