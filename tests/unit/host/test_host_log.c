/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_host_log.c - taghostd's log: levels, the journal's priorities, and what becomes of lines
 * that repeat themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/host_log.h"

static int stderr_before, file;
static struct host_counters count;
static char text[65536];

static int setup(void **state)
{
	char name[] = "/tmp/test_host_log.XXXXXX";

	memset(&count, 0, sizeof(count));
	file = mkstemp(name);
	unlink(name);
	stderr_before = dup(STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	host_log_level(HOST_LOG_INFO);
	return file < 0 || stderr_before < 0 || dup2(file, STDERR_FILENO) < 0;
}

static int teardown(void **state)
{
	host_log_tick(&count, true);
	dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	return close(file);
}

static const char *written(void)
{
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void levels_and_priorities(void **state)
{
	host_log(HOST_LOG_DEBUG, "one");
	host_log(HOST_LOG_INFO, "two");
	setenv("JOURNAL_STREAM", "1:2", 1);
	host_log_level(HOST_LOG_WARN);
	host_log(HOST_LOG_INFO, "three");
	host_log(HOST_LOG_ERROR, "four");
	assert_string_equal(written(), "taghostd: info: two\n<3>four\n");
}

static void the_level_is_switched(void **state)
{
	assert_string_equal(host_log_toggle(), "debug");
	host_log(HOST_LOG_DEBUG, "one");
	assert_string_equal(host_log_toggle(), "info");
	host_log(HOST_LOG_DEBUG, "two");
	assert_string_equal(written(), "taghostd: debug: one\n");
}

static void repeated_lines_are_counted(void **state)
{
	uint64_t before;

	host_log_tick(&count, true);
	before = count.v[HOST_C_SUPPRESSED];
	for (int i = 0; i < 40; i++)
		host_log(HOST_LOG_WARN, "gateway gw1 refuses: wrong key");
	host_log(HOST_LOG_WARN, "something else");
	host_log_tick(&count, false);
	assert_int_equal(count.v[HOST_C_SUPPRESSED] - before, 37);
	assert_string_equal(written(),
			    "taghostd: warning: gateway gw1 refuses: wrong key\n"
			    "taghostd: warning: gateway gw1 refuses: wrong key\n"
			    "taghostd: warning: gateway gw1 refuses: wrong key\n"
			    "taghostd: warning: gateway gw1 refuses: wrong key (37 more of this "
			    "kind in the last 0 s)\n"
			    "taghostd: warning: something else\n");
}

static void debug_lines_are_all_written(void **state)
{
	host_log_toggle();
	for (int i = 0; i < 10; i++)
		host_log(HOST_LOG_DEBUG, "x");
	assert_int_equal(strlen(written()), 10 * strlen("taghostd: debug: x\n"));
}

/* Whatever a drop says, a counter is told about once in ten seconds, then how often it was not. */
static void drops_are_counted(void **state)
{
	for (unsigned int i = 0; i < 40; i++)
		host_drop(&count, HOST_C_DROP_SEND, "native frame %u not sent", i);
	host_log_tick(&count, false);
	assert_int_equal(count.v[HOST_C_DROP_SEND], 40);
	assert_string_equal(written(), "taghostd: warning: native frame 0 not sent\n");
	host_log_tick(&count, true);
	assert_non_null(strstr(written(), "drop_send_failed: 39 more of this kind in the last "));
}

static void a_line_is_one_line(void **state)
{
	host_log(HOST_LOG_INFO, "says \"%s\"", "a\n<0>b\033[2J");
	assert_string_equal(written(), "taghostd: info: says \"a?<0>b?[2J\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(levels_and_priorities, setup, teardown),
		cmocka_unit_test_setup_teardown(the_level_is_switched, setup, teardown),
		cmocka_unit_test_setup_teardown(repeated_lines_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(debug_lines_are_all_written, setup, teardown),
		cmocka_unit_test_setup_teardown(drops_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_line_is_one_line, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
