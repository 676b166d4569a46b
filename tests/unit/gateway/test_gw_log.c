/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_log.c - the log: what repeated lines become, levels by module, the journal's priorities,
 * DPDK's own lines, and what workers report.
 */
#include <errno.h>
#include <fcntl.h>
#include <rte_eal.h>
#include <rte_log.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/gw_int.h"
#include "gateway/gw_log_limit.h"

/* --- the limiter alone ------------------------------------------------------------------- */

static struct gw_limit limit; /* of the test at hand */

/** What was told. */
static struct {
	char last[GW_LIMIT_LEN];
	uint32_t n, more, seconds, tag;
} told;

static void tell(void *ctx, uint16_t tag, const char *last, uint32_t more, uint32_t seconds)
{
	told.n++;
	told.tag = tag;
	told.more += more;
	told.seconds = seconds;
	snprintf(told.last, sizeof(told.last), "%s", last);
}

static int limit_setup(void **state)
{
	memset(&limit, 0, sizeof(limit));
	memset(&told, 0, sizeof(told));
	return 0;
}

static void a_few_pass_and_the_rest_is_told(void **state)
{
	uint32_t passed = 0;

	for (uint32_t i = 0; i < 40; i++)
		passed += gw_limit_pass(&limit, 7, 1000 + i, 3, i < 39 ? "again" : "latest");
	assert_int_equal(passed, GW_LIMIT_BURST);
	gw_limit_flush(&limit, 1000 + GW_LIMIT_MS - 1, false, tell, NULL);
	assert_int_equal(told.n, 0);
	gw_limit_flush(&limit, 1000 + GW_LIMIT_MS, false, tell, NULL);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.more, 40 - GW_LIMIT_BURST);
	assert_int_equal(told.seconds, 10);
	assert_int_equal(told.tag, 3);
	assert_string_equal(told.last, "latest");
	/* And from the beginning. */
	assert_true(gw_limit_pass(&limit, 7, 1001 + GW_LIMIT_MS, 3, "again"));
	gw_limit_flush(&limit, 1001 + 2 * GW_LIMIT_MS, false, tell, NULL);
	assert_int_equal(told.n, 1);
}

static void kinds_do_not_disturb_each_other(void **state)
{
	for (uint64_t key = 1; key <= GW_LIMIT_KINDS; key++)
		for (uint32_t i = 0; i < GW_LIMIT_BURST; i++)
			assert_true(gw_limit_pass(&limit, key, 5, 0, "x"));
	for (uint64_t key = 1; key <= GW_LIMIT_KINDS; key++)
		assert_false(gw_limit_pass(&limit, key, 6, 0, "x"));
	gw_limit_flush(&limit, 7, true, tell, NULL);
	assert_int_equal(told.n, GW_LIMIT_KINDS);
	assert_int_equal(told.more, GW_LIMIT_KINDS);
}

/* However many kinds somebody invents, what is written in a while is bounded. */
static void more_kinds_than_room_are_one_kind(void **state)
{
	uint32_t passed = 0;

	for (uint64_t key = 1; key <= 10000; key++)
		passed += gw_limit_pass(&limit, key, 5, 0, "x");
	assert_int_equal(passed, GW_LIMIT_KINDS + GW_LIMIT_BURST);
	gw_limit_flush(&limit, 5 + GW_LIMIT_MS, false, tell, NULL);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.more, 10000 - passed);
	assert_true(gw_limit_pass(&limit, 10000, 6 + GW_LIMIT_MS, 0, "x"));
}

static void what_was_suppressed_elsewhere_is_told_too(void **state)
{
	assert_true(gw_limit_pass(&limit, 9, 50, 1, "seen"));
	gw_limit_more(&limit, 9, 100, 1, "unseen", 30);
	gw_limit_more(&limit, 8, 100, 2, "only counted", 4);
	gw_limit_flush(&limit, 50 + GW_LIMIT_MS, false, tell, NULL);
	assert_int_equal(told.more, 30);
	assert_string_equal(told.last, "seen");
	gw_limit_flush(&limit, 100 + GW_LIMIT_MS, false, tell, NULL);
	assert_int_equal(told.more, 34);
	assert_string_equal(told.last, "only counted");
}

/* --- lines ------------------------------------------------------------------------------- */

static int stderr_before, file;
static char text[65536];

static int log_setup(void **state)
{
	static const struct gw_cfg cfg = {.log_level = GW_LOG_NOTICE};
	char name[] = "/tmp/test_gw_log.XXXXXX";

	file = mkstemp(name);
	unlink(name);
	stderr_before = dup(STDERR_FILENO);
	if (file < 0 || stderr_before < 0 || dup2(file, STDERR_FILENO) < 0)
		return -1;
	if (*state)
		setenv("JOURNAL_STREAM", "1:2", 1);
	else
		unsetenv("JOURNAL_STREAM");
	gw_log_configure(&cfg);
	return gw_log_open();
}

static int log_teardown(void **state)
{
	gw_log_close(); /* twice does no harm */
	dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	return close(file);
}

/* What was written so far. */
static const char *written(void)
{
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static uint32_t lines(void)
{
	uint32_t n = 0;

	for (const char *p = written(); (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

/* A member of a module's row. */
static json_int_t row(const char *module, const char *member)
{
	json_t *all = gw_log_json(), *o;
	json_int_t v = -1;
	size_t i;

	json_array_foreach(
		all, i, o) if (strcmp(json_string_value(json_object_get(o, "module")), module) == 0)
		v = json_integer_value(json_object_get(o, member));
	json_decref(all);
	return v;
}

static void levels_are_by_module(void **state)
{
	gw_log_as(GW_LM_PORT, GW_LOG_INFO, "one");
	gw_log_set(GW_LM_PORT, GW_LOG_INFO);
	gw_log_as(GW_LM_PORT, GW_LOG_INFO, "two %d", 2);
	gw_log_as(GW_LM_HOST, GW_LOG_INFO, "three");
	assert_string_equal(written(), "tagd: info: port: two 2\n");
	gw_log_set(GW_LM_COUNT, GW_LOG_ERROR);
	gw_log_as(GW_LM_HOST, GW_LOG_WARNING, "four");
	assert_int_equal(lines(), 1);
}

static void the_journal_gets_priorities(void **state)
{
	gw_log(GW_LOG_ERROR, "worse");
	gw_log_as(GW_LM_POLICY, GW_LOG_NOTICE, "better");
	assert_string_equal(written(), "<3>main: worse\n<5>policy: better\n");
}

static void repeated_lines_are_counted(void **state)
{
	const json_int_t before = row("host", "suppressed"), put = row("host", "lines");

	for (int i = 0; i < 40; i++)
		gw_log_as(GW_LM_HOST, GW_LOG_WARNING, "refused");
	gw_log_as(GW_LM_HOST, GW_LOG_WARNING, "another");
	assert_int_equal(lines(), GW_LIMIT_BURST + 1);
	assert_int_equal(row("host", "suppressed") - before, 40 - GW_LIMIT_BURST);
	gw_log_close();
	assert_non_null(
		strstr(written(), "host: refused (37 more of this kind in the last 0 s)\n"));
	assert_int_equal(row("host", "lines") - put, GW_LIMIT_BURST + 2);
}

static void debug_is_not_limited(void **state)
{
	gw_log_set(GW_LM_HOST, GW_LOG_DEBUG);
	for (int i = 0; i < 40; i++)
		gw_log_as(GW_LM_HOST, GW_LOG_DEBUG, "detail");
	assert_int_equal(lines(), 40);
}

/* Names and texts of peers cannot make lines of their own. */
static void a_line_is_one_line(void **state)
{
	gw_log_as(GW_LM_HOST, GW_LOG_WARNING, "server %s", "s1\n<0>kernel: panic\033[2J");
	assert_string_equal(written(), "tagd: warning: host: server s1?<0>kernel: panic?[2J\n");
}

static void lines_of_dpdk_look_like_ours(void **state)
{
	int type = rte_log_register("lib.test");

	gw_log_set(GW_LM_DPDK, GW_LOG_WARNING);
	rte_log(RTE_LOG_NOTICE, (uint32_t)type, "LIB: not now\n");
	for (int i = 0; i < 10; i++)
		rte_log(RTE_LOG_WARNING, (uint32_t)type, "LIB: odd\n");
	assert_int_equal(lines(), GW_LIMIT_BURST);
	assert_ptr_equal(strstr(written(), "tagd: warning: dpdk: LIB: odd\n"), text);
	gw_log_set(GW_LM_DPDK, GW_LOG_NOTICE);
	rte_log(RTE_LOG_NOTICE, (uint32_t)type, "LIB: now\n");
	assert_non_null(strstr(written(), "tagd: notice: dpdk: LIB: now\n"));
	assert_int_equal(gw_log_set_type("lib.test", GW_LOG_ERROR), 0);
	rte_log(RTE_LOG_WARNING, (uint32_t)type, "LIB: less\n");
	assert_null(strstr(written(), "less"));
	assert_int_equal(gw_log_set_type("lib.none", GW_LOG_ERROR), ENOENT);
	assert_int_equal(gw_log_set_type("tagd.port", GW_LOG_DEBUG), ENOENT);
	gw_log_as(GW_LM_PORT, GW_LOG_INFO, "modules keep their levels");
	assert_null(strstr(written(), "keep"));
}

/* A worker reports one of a kind; the others are told of when the kind's time is over. */
static void workers_reports_are_counted(void **state)
{
	static struct gw_worker w = {.now_ms = 100};
	static struct gw gw = {.n_worker = 1, .worker = {&w}};
	const json_int_t before = row("port", "suppressed");

	if (!w.events)
		assert_int_equal(gw_events_open(&w), 0);
	for (int i = 0; i < 38; i++)
		gw_event(&w, GW_EV_BAD_FRAME, "port lan0: %d bytes", i);
	gw_events_drain(&gw);
	assert_string_equal(written(),
			    "tagd: warning: port: bad frame from the LAN: port lan0: 0 bytes\n");
	assert_int_equal(row("port", "suppressed") - before, 37);
	gw_events_drain(&gw);
	assert_int_equal(row("port", "suppressed") - before, 37);
	gw_log_close();
	assert_non_null(strstr(written(), "0 bytes (37 more of this kind in the last 0 s)\n"));
	gw_events_close(&w);
}

int main(void)
{
	static bool journal = true;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_few_pass_and_the_rest_is_told, limit_setup),
		cmocka_unit_test_setup(kinds_do_not_disturb_each_other, limit_setup),
		cmocka_unit_test_setup(more_kinds_than_room_are_one_kind, limit_setup),
		cmocka_unit_test_setup(what_was_suppressed_elsewhere_is_told_too, limit_setup),
		cmocka_unit_test_setup_teardown(levels_are_by_module, log_setup, log_teardown),
		cmocka_unit_test_prestate_setup_teardown(the_journal_gets_priorities, log_setup,
							 log_teardown, &journal),
		cmocka_unit_test_setup_teardown(repeated_lines_are_counted, log_setup,
						log_teardown),
		cmocka_unit_test_setup_teardown(debug_is_not_limited, log_setup, log_teardown),
		cmocka_unit_test_setup_teardown(a_line_is_one_line, log_setup, log_teardown),
		cmocka_unit_test_setup_teardown(lines_of_dpdk_look_like_ours, log_setup,
						log_teardown),
		cmocka_unit_test_setup_teardown(workers_reports_are_counted, log_setup,
						log_teardown),
	};
	char arg[][32] = {"test_gw_log", "--no-huge",	   "--no-pci",		 "--no-shconf",
			  "-m64",	 "--no-telemetry", "--log-level=*:error"};
	char *argv[] = {arg[0], arg[1], arg[2], arg[3], arg[4], arg[5], arg[6], NULL};

	if (rte_eal_init(7, argv) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
