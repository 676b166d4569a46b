/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_model.c - what the model of takeover and hand-back shows, and that the walk would see it if
 * it were otherwise: each guard is taken away in turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "tests/model/model.h"

static const char *const finding[] = {
#define _(sym, text) [M_F_##sym] = text,
	M_FOREACH_FINDING(_)
#undef _
};

static const char *const guard[] = {
#define _(sym, text) [M_G_##sym] = text,
	M_FOREACH_GUARD(_)
#undef _
};

#define OFF(g) (1u << M_G_##g)

/* One walk; what it finds must be `expect`. */
static void walk(uint32_t off, bool lax, enum m_finding expect)
{
	struct m_walk w = {.off = off, .lax = lax};

	m_walk(&w);
	printf("%s, %s: %u states, %llu steps, %u at rest (gateway %u, host %u, ended %u)\n",
	       lax ? "any order" : "in order", finding[w.found], w.n, (unsigned long long)w.steps,
	       w.settled, w.owned[0], w.owned[1], w.owned[2]);
	if (w.found != expect) {
		for (int g = 0; g < M_G_COUNT; g++)
			if (off >> g & 1)
				fprintf(stderr, "without: %s\n", guard[g]);
		fprintf(stderr, "expected: %s; found: %s, by\n", finding[expect], finding[w.found]);
		if (w.found)
			m_trace(&w);
	}
	assert_int_equal(w.found, expect);
	if (!expect) { /* it did not hold for want of cases */
		assert_true(w.owned[0] && w.owned[1] && w.owned[2]);
		assert_int_equal(w.owned[0] + w.owned[1] + w.owned[2], w.settled);
	}
	m_free(&w);
}

static void test_in_order(void **state)
{
	walk(0, false, M_F_NOTHING);
}

static void test_any_order(void **state)
{
	walk(0, true, M_F_NOTHING);
}

/* What queue pairs do not do for us: one guard less, and the walk sees it. */
static void test_without(void **state)
{
	walk(OFF(FENCE), false, M_F_BOTH);
	walk(OFF(DRAIN), false, M_F_BOTH);
	walk(OFF(SILENT), false, M_F_BOTH);
	walk(OFF(HELLO), false, M_F_BOTH);
	walk(OFF(TRANSLATE), false, M_F_NEITHER);
	walk(OFF(COMMIT_ANSWER), false, M_F_NEITHER);
	walk(OFF(CANCEL_ACK), false, M_F_GRANT_LEFT);
	walk(OFF(RETURNED), false, M_F_NEITHER);
	walk(OFF(REDIRECTS), false, M_F_ENDLESS);
}

/* What matters only once messages come twice or overtake each other. */
static void test_without_any_order(void **state)
{
	walk(OFF(COMMIT_HELD), true, M_F_BOTH);
	walk(OFF(ANSWER_STATE), true, M_F_BOTH);
	walk(OFF(KNOWN), true, M_F_NEITHER);
	walk(OFF(GRANT_TIME), true, M_F_GRANT_LEFT);
	/* These stand in for each other. */
	walk(OFF(GRANT_FROZEN) | OFF(CANCEL_STATE), true, M_F_NEITHER);
	walk(OFF(REQ_ID) | OFF(CANCEL_STATE), true, M_F_NEITHER);
}

/* Queue pairs that keep the order do the same work. */
static void test_order_suffices(void **state)
{
	walk(OFF(COMMIT_HELD) | OFF(ANSWER_STATE) | OFF(KNOWN) | OFF(GRANT_TIME) |
		     OFF(CANCEL_STATE) | OFF(REQ_ID),
	     false, M_F_NOTHING);
	walk(OFF(GRANT_FROZEN), false, M_F_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),       cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_without),	       cmocka_unit_test(test_without_any_order),
		cmocka_unit_test(test_order_suffices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
