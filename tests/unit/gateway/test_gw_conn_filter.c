/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_conn_filter.c - which rows a filter of `conn list` lets through, and which filters are
 * refused.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/gw_conn_filter.h"

/* A row of client 10.77.0.2:40000 or [fd77::2]:40000 to port 80 of .11. */
static struct gw_conn_row row(bool v6, bool accelerated)
{
	struct gw_conn_row r = {.accelerated = accelerated,
				.state = accelerated ? "ESTABLISHED" : "closing",
				.reason = accelerated ? IB_R_NONE : IB_R_POLICY,
				.token = accelerated ? 0x2000 : 0,
				.tx_bytes = 1000,
				.rx_bytes = 24,
				.age_us = 5000000};

	assert_int_equal(net_addr_parse(v6 ? "fd77::2" : "10.77.0.2", &r.flow.remote), 0);
	assert_int_equal(net_addr_parse(v6 ? "fd77::11" : "10.77.0.11", &r.flow.local), 0);
	r.flow.rport = htons(40000);
	r.flow.lport = htons(80);
	return r;
}

/* Whether key=value lets a row through. */
static bool fits(const char *key, const char *value, bool v6, bool accelerated)
{
	struct gw_conn_row r = row(v6, accelerated);
	struct gw_conn_filter f;
	char err[GW_FILTER_ERR];
	json_t *obj = json_pack("{s:s}", key, value);
	bool yes;

	assert_int_equal(gw_conn_filter_parse(&f, obj, err), 0);
	yes = gw_conn_filter_match(&f, &r, "s1");
	json_decref(obj);
	return yes;
}

static void test_ends(void **state)
{
	static const struct {
		const char *key, *value;
		bool v4, v6; /* the row fits */
	} t[] = {
		{"client", "10.77.0.2", true, false},
		{"client", "10.77.0.3", false, false},
		{"client", "10.77.0.0/24", true, false},
		{"client", "10.77.0.3/31", true, false},
		{"client", "10.77.0.4/31", false, false},
		{"client", "0.0.0.0/0", true, false},
		{"client", "::/0", true, true},
		{"client", "10.0.0.0/8:40000", true, false},
		{"client", "10.0.0.0/8:40001", false, false},
		{"client", ":40000", true, true},
		{"server", ":80", true, true},
		{"server", ":443", false, false},
		{"server", "fd77::11", false, true},
		{"server", "[fd77::11]:80", false, true},
		{"server", "[fd77::11]:81", false, false},
		{"server", "[fd77::/16]:80", false, true},
		{"server", "fd00::/8", false, true},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (fits(t[i].key, t[i].value, false, true) != t[i].v4 ||
		    fits(t[i].key, t[i].value, true, true) != t[i].v6)
			fail_msg("%s=%s", t[i].key, t[i].value);
	}
}

static void test_columns(void **state)
{
	assert_true(fits("mode", "accelerated", false, true));
	assert_false(fits("mode", "native", false, true));
	assert_true(fits("mode", "native", false, false));
	assert_true(fits("host", "s1", false, true));
	assert_false(fits("host", "s2", false, true));
	assert_true(fits("state", "established", false, true));
	assert_false(fits("state", "established", false, false));
	assert_true(fits("reason", "policy", false, false));
	assert_false(fits("reason", "policy", false, true));
	assert_true(fits("token", "0x00002000", false, true));
	assert_true(fits("token", "8192", false, true));
	assert_false(fits("token", "8193", false, true));
	assert_true(fits("older", "5", false, true));
	assert_false(fits("older", "6", false, true));
	assert_true(fits("bytes", "1024", false, true));
	assert_false(fits("bytes", "1025", false, true));
}

/* All of them must fit; none at all lets everything through. */
static void test_together(void **state)
{
	struct gw_conn_row r = row(false, true);
	struct gw_conn_filter f;
	char err[GW_FILTER_ERR];
	json_t *obj = json_pack("{s:s, s:s}", "client", "10.77.0.2", "mode", "native");

	assert_int_equal(gw_conn_filter_parse(&f, obj, err), 0);
	assert_false(gw_conn_filter_match(&f, &r, "s1"));
	json_object_set_new(obj, "mode", json_string("accelerated"));
	assert_int_equal(gw_conn_filter_parse(&f, obj, err), 0);
	assert_true(gw_conn_filter_match(&f, &r, "s1"));
	json_decref(obj);
	assert_int_equal(gw_conn_filter_parse(&f, NULL, err), 0);
	assert_true(gw_conn_filter_match(&f, &r, "s1"));
}

/* Nonsense is refused with a message that names it. */
static void test_nonsense(void **state)
{
	static const char *const bad[][2] = {
		{"client", ""},
		{"client", "10.77.0"},
		{"client", "10.77.0.2/33"},
		{"client", "10.77.0.2/-1"},
		{"client", "10.77.0.2:0"},
		{"client", "10.77.0.2:65536"},
		{"client", ":"},
		{"client", "[fd77::2"},
		{"client", "fd77::2]:80"},
		{"client", "[fd77::2]80"},
		{"server", "fd77::/129"},
		{"mode", "fast"},
		{"token", "0"},
		{"token", "0x"},
		{"token", "no"},
		{"token", "0x100000000"},
		{"older", "-1"},
		{"older", "5s"},
		{"bytes", "1e9"},
		{"older", "18446744073709551615"},
		{"host", ""},
		{"colour", "red"},
		{"client",
		 "0123456789012345678901234567890123456789012345678901234567890123456789"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *obj = json_pack("{s:s}", bad[i][0], bad[i][1]);
		struct gw_conn_filter f;
		char err[GW_FILTER_ERR] = "";

		if (gw_conn_filter_parse(&f, obj, err) == 0)
			fail_msg("%s=%s was taken", bad[i][0], bad[i][1]);
		assert_non_null(strstr(err, bad[i][0]));
		json_decref(obj);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
