/* SPDX-License-Identifier: BSD-3-Clause */
/* test_net_addr.c - addresses to text and back. */
#include <errno.h>

#include "tests/unit/tcpstack/net_frame.h"

static void test_text(void **state)
{
	static const char *const good[] = {"10.77.0.2", "0.0.0.0", "255.255.255.255",  "::",
					   "::1",	"fd77::2", "2001:db8::1:0:0:1"};
	char buf[NET_ADDRSTR];
	struct net_addr a;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(net_addr_parse(good[i], &a), 0);
		assert_string_equal(net_addr_str(&a, buf), good[i]);
		assert_int_equal(net_addr_is_v4(&a), strchr(good[i], '.') != NULL);
	}
	assert_int_equal(net_addr_parse("::ffff:10.1.2.3", &a), 0);
	assert_string_equal(net_addr_str(&a, buf), "10.1.2.3");
	memset(&a, 0xff, sizeof(a));
	assert_int_equal(strlen(net_addr_str(&a, buf)), 39);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"",		"10.77.0",  "10.77.0.2.3", "10.77.0.256",
					  "10.77.0.2 ", "fd77:::2", "g::",	   "fd77::2%eth0"};
	struct net_addr a;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(net_addr_parse(bad[i], &a), EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
