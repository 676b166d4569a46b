/* SPDX-License-Identifier: BSD-3-Clause */
/* test_corr_rule.c - every field of a rule, order, misfits, and the price of 1000 rules. */
#include "tests/unit/correlator/eal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "correlator/corr_rule.h"

/* Address from text, IPv4 mapped. */
static void addr(uint8_t a[16], const char *text)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, a), 1);
		return;
	}
	memcpy(a, mapped, 12);
	assert_int_equal(inet_pton(AF_INET, text, a + 12), 1);
}

static struct corr_rule any(enum corr_action action)
{
	return (struct corr_rule){.action = action,
				  .sport = {0, 65535},
				  .dport = {0, 65535},
				  .iface = CORR_IFACE_ANY,
				  .via = action == CORR_VIA ? 3 : CORR_NONE};
}

static struct corr_head head(const char *src, const char *dst, uint16_t dport)
{
	struct corr_head h = {.sport = 40000, .dport = dport, .proto = 6, .iface = 1};

	addr(h.src, src);
	addr(h.dst, dst);
	return h;
}

/* A rule and a packet that it fits but for one field. */
static void check_field(struct corr_rule r, struct corr_head fits, struct corr_head not,
			uint32_t field)
{
	struct corr_rules *l = corr_rules_new(1, CORR_DENY);
	char text[100];

	assert_int_equal(corr_rules_add(l, &r), 0);
	assert_int_equal(corr_rules_match(l, &fits), 0);
	assert_int_equal(corr_rules_misfit(l, 0, &fits), 0);
	assert_int_equal(corr_rules_match(l, &not ), CORR_NONE);
	assert_int_equal(corr_rules_misfit(l, 0, &not ), field);
	assert_true(corr_rules_fields(l, 0) & field);
	assert_non_null(strstr(corr_fields_str(field, text, sizeof(text)), text));
	corr_rules_free(l);
}

static void test_every_field(void **state)
{
	const struct corr_head ok = head("10.1.2.3", "10.77.0.11", 80);
	const struct corr_head ok6 = head("2001:db8::1", "fd77::11", 80);
	struct corr_rule r = any(CORR_DENY);
	struct corr_head bad = ok;

	r.proto = 6;
	bad.proto = 17;
	check_field(r, ok, bad, CORR_F_PROTO);
	r = any(CORR_DENY);
	r.iface = 1;
	bad = ok;
	bad.iface = CORR_IFACE_FABRIC;
	check_field(r, ok, bad, CORR_F_IFACE);
	r = any(CORR_DENY);
	r.dport[0] = r.dport[1] = 80;
	check_field(r, ok, head("10.1.2.3", "10.77.0.11", 81), CORR_F_DPORT);
	r = any(CORR_DENY);
	r.sport[0] = 1024;
	bad = ok;
	bad.sport = 1023;
	check_field(r, ok, bad, CORR_F_SPORT);
	r = any(CORR_DENY);
	addr(r.src.addr, "10.1.0.9"); /* host bits do not matter */
	r.src.len = 96 + 16;
	check_field(r, ok, head("10.2.0.1", "10.77.0.11", 80), CORR_F_SRC);
	r = any(CORR_DENY);
	addr(r.dst.addr, "fd77::");
	r.dst.len = 65;
	check_field(r, ok6, head("2001:db8::1", "fd77::8000:0:0:11", 80), CORR_F_DST);
}

static void test_families(void **state)
{
	const struct corr_head v4 = head("10.1.2.3", "10.77.0.11", 80),
			       v6 = head("fd77::2", "fd77::11", 80);
	struct corr_rules *l = corr_rules_new(3, CORR_ALLOW);
	struct corr_rule r = any(CORR_DENY);

	addr(r.src.addr, "0.0.0.0");
	r.src.len = 96;
	assert_int_equal(corr_rules_add(l, &r), 0);
	assert_int_equal(corr_rules_match(l, &v4), 0);
	assert_int_equal(corr_rules_match(l, &v6), CORR_NONE);
	r = any(CORR_REJECT);
	assert_int_equal(corr_rules_add(l, &r), 0);
	assert_int_equal(corr_rules_match(l, &v6), 1);
	corr_rules_free(l);
}

static void test_order_and_refusals(void **state)
{
	struct corr_rules *l = corr_rules_new(2, CORR_REJECT);
	struct corr_rule a = any(CORR_ALLOW), d = any(CORR_DENY), bad = any(CORR_VIA);
	const struct corr_head h = head("10.1.2.3", "10.77.0.11", 80);

	assert_int_equal(corr_rules_otherwise(l), CORR_REJECT);
	bad.via = CORR_NONE;
	assert_int_equal(corr_rules_add(l, &bad), EINVAL);
	bad = any(CORR_DENY);
	bad.dport[0] = 5;
	bad.dport[1] = 4;
	assert_int_equal(corr_rules_add(l, &bad), EINVAL);
	a.dport[0] = a.dport[1] = 80;
	assert_int_equal(corr_rules_add(l, &a), 0);
	assert_int_equal(corr_rules_add(l, &d), 0);
	assert_int_equal(corr_rules_add(l, &d), ENOSPC);
	assert_int_equal(corr_rules_match(l, &h), 0);
	assert_int_equal(corr_rules_at(l, 0)->action, CORR_ALLOW);
	assert_int_equal(corr_rules_count(l), 2);
	corr_rules_free(l);
}

/* The first of many overlapping rules, against a plain reading of the definition. */
static void test_first_fit_at_random(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);
	struct corr_rules *l = corr_rules_new(200, CORR_DENY);
	uint32_t seen[201] = {0};

	printf("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 200; i++) {
		struct corr_rule r = any(CORR_ALLOW);

		addr(r.src.addr, "10.0.0.0");
		r.src.addr[13] = (uint8_t)(rand() % 4);
		r.src.len = (uint8_t)(96 + 8 + rand() % 9);
		r.dport[0] = (uint16_t)(rand() % 60000);
		r.dport[1] = (uint16_t)(r.dport[0] + rand() % 2000);
		r.proto = rand() % 2 ? 6 : 17;
		assert_int_equal(corr_rules_add(l, &r), 0);
	}
	for (int i = 0; i < 20000; i++) {
		struct corr_head h = head("10.0.0.1", "10.77.0.11", (uint16_t)rand());
		uint16_t want = 0, got;

		h.src[13] = (uint8_t)(rand() % 4);
		h.proto = rand() % 2 ? 6 : 17;
		while (want < 200 && corr_rules_misfit(l, want, &h))
			want++;
		got = corr_rules_match(l, &h);
		assert_int_equal(got, want < 200 ? want : CORR_NONE);
		seen[want]++;
	}
	assert_true(seen[200] > 0 && seen[200] < 20000);
	corr_rules_free(l);
}

static void test_price_of_1000_rules(void **state)
{
	struct corr_rules *l = corr_rules_new(1000, CORR_DENY);
	const struct corr_head h = head("10.1.2.3", "10.77.0.11", 80);
	struct timespec a, b;
	uint32_t none = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		struct corr_rule r = any(CORR_ALLOW);

		addr(r.src.addr, "172.16.0.0");
		r.src.addr[14] = (uint8_t)i;
		r.src.len = 120;
		r.proto = 6;
		assert_int_equal(corr_rules_add(l, &r), 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 10000; i++)
		none += corr_rules_match(l, &h) == CORR_NONE;
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(none, 10000);
	printf("1000 rules, none fits: %.0f ns for a new flow\n",
	       ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 10000);
	corr_rules_free(l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_order_and_refusals),
		cmocka_unit_test(test_first_fit_at_random),
		cmocka_unit_test(test_price_of_1000_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
