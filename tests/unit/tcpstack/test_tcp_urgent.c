/* SPDX-License-Identifier: BSD-3-Clause */
/* Urgent data both ways (RFC 9293 section 3.8.5, RFC 6093). */
#include "tcp_check.h"
#include "tcp_script.h"

/* A segment with an urgent pointer; up is an offset in the client's stream. */
static enum tcp_verdict urgent(struct tt *t, uint32_t seq, uint32_t len, uint32_t up)
{
	struct tcp_seg s = {.seq = TT_RCV + seq,
			    .ack = t->c.snd_nxt,
			    .len = len,
			    .wnd = TT_WND,
			    .urp = (uint16_t)(up - seq),
			    .flags = TCP_ACK | TCP_URG};

	tcp_input(&t->c, &s, t->now, &t->rx);
	if (t->rx.len)
		tt_place(t);
	tt_out(t);
	tt_drain(t);
	return t->rx.verdict;
}

/* The bytes are data in line; told is when a pointer appears and when it moves (MUST-31, 32). */
static void test_in(void **state)
{
	uint32_t end;
	struct tt t;

	tt_init(&t);
	assert_false(tcp_urgent_end(&t.c, &end));
	assert_int_equal(urgent(&t, 0, 100, 100), TCP_V_OK);
	assert_int_equal(t.rx.len, 100);
	assert_int_equal(t.events[TCP_E_URGENT], 1);
	assert_true(tcp_urgent_end(&t.c, &end));
	assert_int_equal(end - TT_RCV, 100);
	urgent(&t, 0, 100, 100); /* the same again */
	assert_int_equal(t.events[TCP_E_URGENT], 1);
	/* Announced ahead of its bytes, by a segment without any (MUST-33: how much is to come) */
	urgent(&t, 100, 0, 5000);
	assert_int_equal(t.events[TCP_E_URGENT], 2);
	assert_true(tcp_urgent_end(&t.c, &end));
	assert_int_equal(end - TT_RCV, 5000);
	urgent(&t, 100, 50, 200); /* behind the one we know */
	assert_int_equal(t.events[TCP_E_URGENT], 2);
	urgent(&t, 150, 50, 5001);
	assert_int_equal(t.events[TCP_E_URGENT], 3);
	/* A pointer at or below what is accepted, and a zero pointer, tell nothing. */
	tt_init(&t);
	tt_seg(&t, TCP_ACK, 0, 100, 0);
	urgent(&t, 50, 60, 100);
	urgent(&t, 110, 10, 110);
	assert_int_equal(t.events[TCP_E_URGENT], 0);
}

/* Nothing of an unacceptable segment counts; nothing urgent comes after the client's FIN. */
static void test_not_in(void **state)
{
	uint32_t end;
	struct tt t;

	tt_init(&t);
	urgent(&t, TT_WND + 1000, 10, TT_WND + 1010);
	assert_false(tcp_urgent_end(&t.c, &end));
	tt_enter(&t, TCP_S_CLOSE_WAIT);
	urgent(&t, 1, 10, 11);
	assert_false(tcp_urgent_end(&t.c, &end));
	/* Without the flag the field is nothing. */
	tt_init(&t);
	struct tcp_seg s = {.seq = TT_RCV, .ack = TT_SND, .len = 9, .urp = 9, .flags = TCP_ACK};
	tcp_input(&t.c, &s, t.now, &t.rx);
	assert_false(tcp_urgent_end(&t.c, &end));
}

/* A pointer that the stream has left far behind does not come alive when numbers wrap. */
static void test_wrap(void **state)
{
	uint32_t end;
	struct tt t;

	tt_init(&t);
	urgent(&t, 0, 10, 10);
	t.c.rcv_nxt += 1u << 31; /* two GB later */
	t.c.rcv_placed = t.c.rcv_acked = t.c.rcv_nxt;
	t.c.rcv_edge += 1u << 31;
	t.c.rcv_room += 1u << 31;
	tt_seg(&t, TCP_ACK, t.c.rcv_nxt - TT_RCV, 10, 0);
	assert_false(tcp_urgent_end(&t.c, &end));
}

#define expect_urg(t, off, n, fl, ptr)                                \
	do {                                                          \
		struct tcp_emit _e = tt_take(t);                      \
		assert_int_equal(_e.seq - TT_SND, off);               \
		assert_int_equal(_e.len, n);                          \
		assert_int_equal(_e.flags, TCP_ACK | TCP_URG | (fl)); \
		assert_int_equal(_e.urp, ptr);                        \
	} while (0)

/* Segments before the pointer carry it, each its own offset; later ones do not. */
static void test_out(void **state)
{
	struct tt t;

	tt_init(&t);
	t.want_err = EINPROGRESS;
	tt_produce(&t, 2500);
	tcp_urgent(&t.c);
	tt_out(&t);
	expect_urg(&t, 0, 0, 0, 2500); /* an ACK tells of it before the bytes can leave */
	tcp_produced(&t.c, 500, t.now);
	t.want_err = 0;
	tcp_ready(&t.c, TT_SND, 2500, t.now);
	tt_out(&t);
	expect_urg(&t, 0, 1000, 0, 2500);
	expect_urg(&t, 1000, 1000, 0, 1500);
	expect_urg(&t, 2000, 1000, TCP_PSH, 500);
	tt_nothing(&t);
	/* A retransmission carries it as well. */
	tt_pass(&t, 1100000);
	expect_urg(&t, 0, 1000, 0, 2500);
	tt_drain(&t);
	tt_ack(&t, 3000);
	tt_drain(&t);
	tt_produce(&t, 10);
	tt_expect(&t, 3000, 10, 0, TCP_PSH);
	assert_null(tcp_check(&t.c));
}

/* Farther than the field can say: as far as it can. */
static void test_far(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.wscale_ok = true;
	t.st.snd_wscale = 4;
	t.st.snd_wnd = t.st.max_wnd = 200000;
	t.st.cwnd = 200000;
	tt_start(&t);
	tcp_produced(&t.c, 70000, t.now);
	tcp_urgent(&t.c);
	tt_out(&t);
	assert_int_equal(t.n_out, 70);
	for (unsigned int i = 0; i < 70; i++)
		expect_urg(&t, i * 1000, 1000, i == 69 ? TCP_PSH : 0,
			   70000 - i * 1000 > 65535 ? 65535 : 70000 - i * 1000);
}

/* A closed window does not keep it from being told, and the probes tell it again. */
static void test_closed_window(void **state)
{
	struct tt t;

	tt_init(&t);
	t.wnd = 0;
	tt_ack(&t, 0);
	tt_produce(&t, 10);
	tt_nothing(&t);
	tcp_urgent(&t.c);
	tt_out(&t);
	expect_urg(&t, 0, 0, 0, 10);
	tt_pass(&t, 1100000);
	expect_urg(&t, -1u, 0, 0, 11);
}

/* Nothing produced and unacknowledged: nothing to be urgent about. */
static void test_nothing_urgent(void **state)
{
	struct tt t;

	tt_init(&t);
	tcp_urgent(&t.c);
	tt_out(&t);
	tt_nothing(&t);
	assert_false(t.c.urg_out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in),
		cmocka_unit_test(test_not_in),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_out),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_closed_window),
		cmocka_unit_test(test_nothing_urgent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
