/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tcp_trace.c - black boxes and counters: what is recorded, in which
 * order and at what time; a pool that is exhausted; RFC 4898 figures.
 */
#include <stdlib.h>

#include "tcp_script.h"
#include "tcpstack/tcp_estats.h"
#include "tcpstack/tcp_trace.h"

#define ENTRIES 16u

/* A pool with n boxes. */
struct pool {
	struct tcp_boxes p;
	void *mem;
};

static void pool_open(struct pool *p, uint32_t n)
{
	p->mem = malloc(tcp_boxes_size(n, ENTRIES));
	assert_non_null(p->mem);
	memset(p->mem, 0xee, tcp_boxes_size(n, ENTRIES));
	tcp_boxes_init(&p->p, p->mem, n, ENTRIES);
}

static void pool_close(struct pool *p)
{
	assert_int_equal(p->p.used, 0);
	free(p->mem);
}

/* A connection whose box comes from p. */
static void start(struct tt *t, struct pool *p)
{
	tt_prepare(t);
	t->cfg.boxes = &p->p;
	tt_start(t);
}

/* The entries of a connection as one line of names. */
static const char *line(const struct tt *t)
{
	static char text[1024];
	struct tcp_trace_at at[ENTRIES];
	uint32_t n = tcp_box_read(&t->c, at, ENTRIES);
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
					tcp_trace_name(at[i].ev.kind));
	return text;
}

/* A request, its answer, a loss and its repair: all of it is there, in its order. */
static void test_order(void **state)
{
	struct pool p;
	struct tt t;

	pool_open(&p, 1);
	start(&t, &p);
	tt_seg(&t, TCP_ACK | TCP_PSH, 0, 100, 0);
	assert_string_equal(line(&t), "start in placed out");
	t.now += 500;
	tt_produce(&t, 4000);
	tt_drain(&t);
	assert_string_equal(line(&t), "start in placed out want out");
	tt_sack(&t, 0, 1000, 4000); /* three segments beyond a hole */
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	assert_non_null(strstr(line(&t), "out in sack "));
	assert_non_null(strstr(line(&t), "recovery want retransmit"));
	tt_seg(&t, TCP_RST | TCP_ACK, 5000, 0, 0); /* in the window, not exact */
	assert_non_null(strstr(line(&t), "in refused out"));
	tt_seg(&t, TCP_RST | TCP_ACK, 100, 0, 0);
	assert_non_null(strstr(line(&t), "in state event refused"));
	tcp_release(&t.c);
	tcp_release(&t.c); /* nothing left: does nothing */
	assert_string_equal(line(&t), "");
	pool_close(&p);
}

/* What an entry holds. */
static void test_fields(void **state)
{
	struct tcp_trace_at at[ENTRIES];
	struct pool p;
	struct tt t;

	pool_open(&p, 1);
	start(&t, &p);
	t.now += 7;
	tt_seg(&t, TCP_ACK | TCP_PSH, 0, 100, 0);
	t.now += 3;
	tt_seg(&t, TCP_ACK, 100, 0, 0);
	assert_int_equal(tcp_box_read(&t.c, at, ENTRIES), 5);
	assert_int_equal(at[0].us, 10000000);
	assert_int_equal(at[0].ev.what, TCP_S_ESTABLISHED);
	assert_int_equal(at[1].us, 10000007);
	assert_int_equal(at[1].ev.what, TCP_ACK | TCP_PSH);
	assert_int_equal(at[1].ev.len, 100);
	assert_int_equal(at[1].ev.a, TT_RCV);
	assert_int_equal(at[1].ev.b, TT_SND);
	assert_int_equal(at[2].ev.a, TT_RCV + 100); /* placed */
	assert_int_equal(at[2].ev.b, 100);
	assert_int_equal(at[3].ev.b, TT_RCV + 100); /* the ACK */
	assert_int_equal(at[4].us, 10000010);
	t.wnd = 0;
	t.now++;
	tt_ack(&t, 0);
	assert_int_equal(tcp_box_read(&t.c, at, 2), 2); /* the newest ones */
	assert_int_equal(at[0].ev.kind, TCP_TR_IN);
	assert_int_equal(at[1].ev.kind, TCP_TR_WINDOW);
	assert_int_equal(at[1].ev.b, 0);
	tcp_release(&t.c);
	pool_close(&p);
}

/* The ring keeps the newest entries; hours without an event do not spoil the times before. */
static void test_times(void **state)
{
	const uint64_t hour = 3600000000ull;
	struct tcp_trace_at at[ENTRIES];
	uint64_t first, second;
	struct pool p;
	struct tt t;

	pool_open(&p, 1);
	start(&t, &p);
	for (int i = 0; i < 40; i++) {
		t.now += 11;
		tt_ack(&t, 0);
	}
	assert_int_equal(tcp_box_count(&t.c), 41);
	assert_int_equal(tcp_box_read(&t.c, at, ENTRIES), ENTRIES);
	for (uint32_t i = 0; i < ENTRIES; i++)
		assert_int_equal(at[i].us, t.now - 11 * (ENTRIES - 1 - i));
	first = t.now;
	t.now += 5 * hour + 123456;
	tt_ack(&t, 0);
	second = t.now;
	t.now += 30 * hour + 654321;
	tt_ack(&t, 0);
	assert_non_null(strstr(line(&t), "in in gap in gap in"));
	assert_int_equal(tcp_box_read(&t.c, at, 5), 5);
	assert_int_equal(at[0].us, first);
	assert_int_equal(at[1].us, second);
	assert_int_equal(at[1].ev.b, 5 * 3600);
	assert_int_equal(at[2].us, second);
	assert_int_equal(at[4].us, t.now);
	tcp_release(&t.c);
	pool_close(&p);
}

/* Whoever is silent loses its box to a newcomer; while all are busy the newcomer has none. */
static void test_pool(void **state)
{
	static struct tt t[4];
	struct pool p;

	pool_open(&p, 2);
	start(&t[0], &p);
	start(&t[1], &p);
	assert_int_equal(p.p.used, 2);
	start(&t[2], &p);
	assert_int_equal(t[2].c.box, 0);
	assert_int_equal(p.p.refused, 1);
	tt_ack(&t[2], 0); /* goes on without */
	assert_string_equal(line(&t[2]), "");
	t[1].now += 2000000;
	tt_ack(&t[1], 0);
	tt_prepare(&t[3]);
	t[3].cfg.boxes = &p.p;
	t[3].now = t[1].now;
	tt_start(&t[3]);
	assert_int_equal(tcp_box_count(&t[0].c), 0);
	assert_int_equal(p.p.taken, 1);
	assert_string_equal(line(&t[3]), "start");
	assert_string_equal(line(&t[1]), "start in");
	tt_ack(&t[0], 0);
	tt_ack(&t[3], 0);
	assert_string_equal(line(&t[3]), "start in");
	for (int i = 0; i < 4; i++)
		tcp_release(&t[i].c);
	pool_close(&p);
}

static uint64_t value(const struct tt *t, enum tcp_estat i)
{
	struct tcp_estats e;

	tcp_estats_get(&t->c, t->now, &e);
	return e.v[i];
}

/* Segments and bytes both ways, by their names of RFC 4898. */
static void test_volume(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_seg(&t, TCP_ACK | TCP_PSH, 0, 100, 0);
	tt_produce(&t, 4500);
	tt_ack(&t, 2000);
	assert_int_equal(value(&t, TCP_ES_SegsIn), 2);
	assert_int_equal(value(&t, TCP_ES_DataSegsIn), 1);
	assert_int_equal(value(&t, TCP_ES_HCDataOctetsIn), 100);
	assert_int_equal(value(&t, TCP_ES_DataSegsOut), 5);
	assert_int_equal(value(&t, TCP_ES_SegsOut), 6); /* and the ACK */
	assert_int_equal(value(&t, TCP_ES_HCDataOctetsOut), 4500);
	assert_int_equal(value(&t, TCP_ES_HCThruOctetsAcked), 2000);
	assert_int_equal(value(&t, TCP_ES_CurMSS), TT_MSS);
	assert_int_equal(value(&t, TCP_ES_SegsRetrans), 0);
}

/* A loss, then a timeout: retransmissions, signals and the windows they found. */
static void test_trouble(void **state)
{
	uint32_t cwnd;
	struct tt t;

	tt_init(&t);
	cwnd = t.c.cwnd;
	tt_produce(&t, 10000);
	tt_sack(&t, 0, 1000, 5000);
	tt_drain(&t);
	assert_int_equal(value(&t, TCP_ES_FastRetran), 1);
	assert_int_equal(value(&t, TCP_ES_SegsRetrans), 1);
	assert_int_equal(value(&t, TCP_ES_OctetsRetrans), 1000);
	assert_int_equal(value(&t, TCP_ES_SACKsRcvd), 1);
	assert_int_equal(value(&t, TCP_ES_DupAcksIn), 1);
	assert_int_equal(value(&t, TCP_ES_PreCongSumCwnd), cwnd);
	assert_int_equal(value(&t, TCP_ES_InRecovery), 1);
	assert_int_equal(value(&t, TCP_ES_MaxSsCwnd), cwnd);
	tt_pass(&t, 10000000);
	assert_true(value(&t, TCP_ES_Timeouts) >= 2);
	assert_int_equal(value(&t, TCP_ES_SubsequentTimeouts), value(&t, TCP_ES_Timeouts) - 1);
	assert_int_equal(value(&t, TCP_ES_CongSignals), value(&t, TCP_ES_Timeouts) + 1);
	assert_int_equal(value(&t, TCP_ES_CurTimeoutCount), value(&t, TCP_ES_Timeouts));
}

/* Who limits the sender, and for how long. */
static void test_limits(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.cwnd = 100000;
	tt_start(&t);
	t.now += 50000;
	tt_produce(&t, TT_WND + 5000); /* the window is full */
	tt_drain(&t);
	t.now += 30000;
	assert_int_equal(value(&t, TCP_ES_SndLimTimeSndUs), 50000);
	assert_int_equal(value(&t, TCP_ES_SndLimTimeRwinUs), 30000);
	assert_int_equal(value(&t, TCP_ES_SndLimTransRwin), 1);
	tt_ack(&t, 20000); /* the rest leaves: nothing limits but what there is */
	t.now += 10000;
	assert_int_equal(value(&t, TCP_ES_SndLimTimeRwinUs), 30000);
	assert_int_equal(value(&t, TCP_ES_SndLimTransSnd), 1);
	assert_int_equal(value(&t, TCP_ES_SndLimTimeSndUs), 60000);
	t.wnd = 0;
	tt_ack(&t, 20000);
	tt_ack(&t, 20000);
	assert_int_equal(value(&t, TCP_ES_ZeroRwinRcvd), 1);
	tt_drain(&t);
	tt_init(&t); /* cwnd limits */
	t.wnd = 65535;
	tt_produce(&t, 50000);
	t.now += 1000;
	assert_int_equal(value(&t, TCP_ES_SndLimTimeCwndUs), 1000);
}

/* Names are there, unique within their group. */
static void test_names(void **state)
{
	for (unsigned int i = 0; i < TCP_ES_COUNT; i++) {
		assert_non_null(tcp_estat_group(i));
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(tcp_estat_name(i), tcp_estat_name(k));
	}
	assert_null(tcp_estat_name(TCP_ES_COUNT));
	assert_null(tcp_estat_group(TCP_ES_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),  cmocka_unit_test(test_fields),
		cmocka_unit_test(test_times),  cmocka_unit_test(test_pool),
		cmocka_unit_test(test_volume), cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
