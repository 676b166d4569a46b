/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_host_boot.c - what a gateway may say in the bootstrap, and what it may not; the policy page
 * that comes of it.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "host/host_daemon.h"

#define SERVICES                                                                         \
	"{\"type\":\"services\",\"services\":["                                          \
	"{\"addr\":\"10.77.0.11\",\"port\":80,\"accelerate\":\"off\"},"                  \
	"{\"addr\":\"10.77.0.99\",\"port\":81,\"accelerate\":\"accept\"},"               \
	"{\"addr\":\"*\",\"port\":443,\"accelerate\":\"min-bytes\",\"min_bytes\":4096}," \
	"{\"addr\":\"*\",\"port\":0,\"accelerate\":\"first-send\",\"unknown\":[1,{}]}]}"

/* A daemon with one gateway that has greeted. */
static int setup(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	h->conf.max_accel = 10;
	net_addr_parse("10.77.0.11", &h->conf.addr[0].addr);
	h->conf.n_addr = 1;
	snprintf(h->conf.gw[0].name, sizeof(h->conf.gw[0].name), "gw1");
	h->n_gw = 1;
	h->gw[0].h = h;
	h->gw[0].conf = &h->conf.gw[0];
	h->gw[0].fd = -1;
	h->gw[0].state = HOST_G_HELLO;
	*state = h;
	host_log_level(HOST_LOG_ERROR);
	return host_page_open(&h->page, 4096);
}

static int teardown(void **state)
{
	struct host *h = *state;

	host_page_close(&h->page);
	free(h);
	return 0;
}

static int say(struct host *h, const char *line)
{
	return host_boot_line(&h->gw[0], line, strlen(line));
}

static void services_become_policy(void **state)
{
	struct host *h = *state;
	const struct net_addr us = h->conf.addr[0].addr;

	h->gw[0].state = HOST_G_UP;
	assert_int_equal(say(h, SERVICES), 0);
	assert_int_equal(h->page.page->n, 3); /* one is for somebody else's address */
	assert_int_equal(h->page.page->gateway_up, 1);
	assert_int_equal(h->page.page->seq % 2, 0);
	assert_int_equal(host_page_lookup(&h->page, &us, htons(80)), HOST_POLICY_OFF);
	assert_int_equal(host_page_lookup(&h->page, &us, htons(443)), HOST_POLICY_MIN_BYTES);
	assert_int_equal(host_page_lookup(&h->page, &us, htons(9)), HOST_POLICY_FIRST_SEND);
	assert_int_equal(h->page.page->e[1].min_bytes, 4096);
	h->gw[0].state = HOST_G_DOWN;
	host_page_update(h);
	assert_int_equal(h->page.page->gateway_up, 0);
}

static void nothing_is_accelerated_when_the_host_does_not_want(void **state)
{
	struct host *h = *state;

	h->conf.max_accel = 0;
	h->gw[0].state = HOST_G_UP;
	assert_int_equal(say(h, SERVICES), 0);
	assert_int_equal(h->page.page->gateway_up, 0);
}

static void wrong_lines_end_the_session(void **state)
{
	static const char *const lines[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"type\":1}",
		"{\"type\":\"up\"}", /* before ready */
		"{\"type\":\"arena-ok\"}",
		"{\"type\":\"arena-ok\",\"id\":0}",
		"{\"type\":\"arena-ok\",\"id\":-1}",
		"{\"type\":\"arena-ok\",\"id\":99999999999}",
		"{\"type\":\"welcome\"}",
		"{\"type\":\"welcome\",\"version\":2,\"gw_mac\":\"02:00:00:00:00:01\"}",
		"{\"type\":\"welcome\",\"version\":1,\"gw_mac\":\"zz\"}",
		"{\"type\":\"welcome\",\"version\":1,\"gw_mac\":\"02:00:00:00:00:01\"}",
		"{\"type\":\"welcome\",\"version\":1,\"gw_mac\":\"02:00:00:00:00:01\",\"workers\":["
		"{\"native\":\"x\",\"set\":[\"y\",\"z\"]}]}",
		"{\"type\":\"services\",\"services\":[{}]}",
		"{\"type\":\"services\",\"services\":[{\"addr\":\"*\",\"port\":70000,"
		"\"accelerate\":\"off\"}]}",
		"{\"type\":\"services\",\"services\":[{\"addr\":\"1.2.3\",\"port\":1,"
		"\"accelerate\":\"off\"}]}",
		"{\"type\":\"services\",\"services\":[{\"addr\":\"*\",\"accelerate\":\"maybe\"}]}",
		"{\"type\":\"error\",\"text\":\"no\"}",
		"{\"type\":\"ping\",\"type\":\"ping\"}",
	};
	struct host *h = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (say(h, lines[i]) == 0)
			fail_msg("accepted: %s", lines[i]);
}

static void newer_gateways_may_say_more(void **state)
{
	struct host *h = *state;

	h->gw[0].missed = 3;
	assert_int_equal(say(h, "{\"type\":\"ping\",\"n\":7}"), 0);
	assert_int_equal(h->gw[0].missed, 0);
	assert_int_equal(say(h, "{\"type\":\"weather\",\"text\":\"fine\"}"), 0);
}

static void damaged_lines_do_no_harm(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);
	struct host *h = *state;
	char line[sizeof(SERVICES)];

	printf("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 20000; i++) {
		memcpy(line, SERVICES, sizeof(line));
		for (int k = (int)(random() % 6); k >= 0; k--)
			line[(size_t)random() % (sizeof(line) - 1)] = (char)random();
		host_boot_line(&h->gw[0], line, (size_t)random() % sizeof(line));
		assert_true(h->page.page->n <= 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(services_become_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_accelerated_when_the_host_does_not_want,
						setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_lines_end_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(newer_gateways_may_say_more, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_lines_do_no_harm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
