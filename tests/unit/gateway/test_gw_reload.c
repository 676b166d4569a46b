/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_reload.c - what differs between two configurations, and who keeps which number.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/gw_reload.h"

#define PORT	   "[port \"p\"]\ndevice = d\naddress = 10.0.0.1/24\n"
#define SERVER(n)  "[server \"s" #n "\"]\nkey = k" #n "\naddress = 10.0.0.1" #n "\n"
#define SERVICE(n) "[service \"v" #n "\"]\nport = 8" #n "\n"
#define RULE(n)	   "[rule \"r" #n "\"]\naction = deny\ndestination-port = 2" #n "\n"

static struct gw_cfg now, next;
static struct gw_in_use use;
static char told[4096]; /* differences, a line each */

/* Reads a text that has to be good. */
static void load(struct gw_cfg *cfg, const char *text)
{
	char path[] = "/tmp/tagd-conf-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(gw_config_load(path, cfg, stderr), 0);
	unlink(path);
}

static void on_diff(void *ctx, const struct gw_diff *d)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s [%s]%s%s%s%s%s%s%s\n", gw_diff_kind_name(d->kind),
		 d->section, d->key ? " " : "", d->key ? d->key : "", d->old ? " " : "",
		 d->old ? d->old : "", d->new ? " -> " : "", d->new ? d->new : "",
		 d->restart ? " (restart)" : "");
}

/* Compares two texts; the differences have to be these. */
static void check_diff(const char *a, const char *b, const char *want)
{
	load(&now, a);
	load(&next, b);
	told[0] = '\0';
	assert_int_equal(gw_config_diff(&now, &next, on_diff, NULL), 0);
	assert_string_equal(told, want);
}

static void test_diff(void **state)
{
	check_diff(PORT SERVER(1) SERVICE(1) RULE(1), PORT SERVER(1) SERVICE(1) RULE(1), "");
	check_diff(PORT SERVER(1), PORT SERVER(2),
		   "removed [server \"s1\"]\nadded [server \"s2\"]\n");
	check_diff(PORT SERVER(1) SERVER(2), PORT SERVER(2) SERVER(1), "");
	check_diff(PORT RULE(1) RULE(2) RULE(3), PORT RULE(3) RULE(1),
		   "removed [rule \"r2\"]\norder [rule] r1 r3 -> r3 r1\n");
	check_diff(PORT SERVICE(1), PORT SERVICE(1) "max-connections = 7\naccelerate = off\n",
		   "changed [service \"v1\"] max-connections none -> 7\n"
		   "changed [service \"v1\"] accelerate first-send -> off\n");
}

static void test_diff_of_what_needs_a_restart(void **state)
{
	check_diff(PORT,
		   "[gateway]\nworkers = 2\nhost-timeout = 11\n" PORT "mtu = 1400\nannounce = 1\n",
		   "changed [gateway] workers 1 -> 2 (restart)\n"
		   "changed [gateway] host-timeout 10 -> 11\n"
		   "changed [port \"p\"] mtu 1500 -> 1400 (restart)\n"
		   "changed [port \"p\"] announce 3 -> 1\n");
	check_diff(PORT, PORT "[port \"q\"]\ndevice = e\naddress = 10.0.1.1/24\n",
		   "added [port \"q\"] (restart)\n");
}

static void test_diff_tells_no_secret(void **state)
{
	check_diff(PORT SERVER(1), PORT "[server \"s1\"]\nkey = hidden\naddress = 10.0.0.11\n",
		   "changed [server \"s1\"] key (secret) -> (another)\n");
}

static void test_diff_leaves_out_who_leaves(void **state)
{
	load(&now, PORT SERVER(1) SERVER(2));
	load(&next, PORT SERVER(1));
	now.server[1].leaving = true;
	told[0] = '\0';
	assert_int_equal(gw_config_diff(&now, &next, on_diff, NULL), 0);
	assert_string_equal(told, "");
	load(&next, PORT SERVER(1) SERVER(2));
	assert_int_equal(gw_config_diff(&now, &next, on_diff, NULL), 0);
	assert_string_equal(told, "added [server \"s2\"]\n");
}

/* Places `b` under a gateway that runs `a`; what is in use is in `use`. */
static int place(const char *a, const char *b)
{
	load(&now, a);
	load(&next, b);
	return gw_config_place(&next, &now, &use, stderr);
}

static int clean(void **state)
{
	memset(&use, 0, sizeof(use));
	use.room = GW_MAX_HOSTS;
	return 0;
}

/* Host i is attached with the addresses that `now` gives its server. */
static void attach(uint32_t i)
{
	use.server[i].busy = true;
	use.server[i].addr = now.server[i].addr;
	use.server[i].n_addr = now.server[i].n_addr;
}

static void check_server(uint32_t i, const char *name, bool leaving)
{
	assert_string_equal(next.server[i].name, name);
	assert_int_equal(next.server[i].leaving, leaving);
}

static void test_places_follow_names(void **state)
{
	clean(NULL);
	assert_int_equal(place(PORT SERVER(1) SERVER(2) SERVICE(1) SERVICE(2) RULE(1) RULE(2),
			       PORT SERVER(3) SERVER(2) SERVER(1) SERVICE(3) SERVICE(2) SERVICE(1)
				       RULE(2) RULE(3) RULE(1)),
			 0);
	check_server(0, "s1", false);
	check_server(1, "s2", false);
	check_server(2, "s3", false);
	assert_int_equal(next.n_server, 3);
	assert_string_equal(next.service[0].name, "v3"); /* the order of the file decides */
	assert_int_equal(next.service[0].id, 2);
	assert_int_equal(next.service[1].id, 1);
	assert_int_equal(next.service[2].id, 0);
	assert_int_equal(next.rule[0].id, 1);
	assert_int_equal(next.rule[1].id, 2);
	assert_int_equal(next.rule[2].id, 0);
}

static void test_who_is_in_use_leaves(void **state)
{
	clean(NULL);
	load(&now, PORT SERVER(1) SERVER(2));
	attach(0);
	load(&next, PORT SERVER(3));
	assert_int_equal(gw_config_place(&next, &now, &use, stderr), 0);
	check_server(0, "s1", true);
	check_server(1, "s3", false); /* s2 was not in use: its place is free */
	assert_int_equal(next.n_server, 2);
	now = next;
	load(&next, PORT SERVER(1) SERVER(3)); /* back before it was gone */
	assert_int_equal(gw_config_place(&next, &now, &use, stderr), 0);
	check_server(0, "s1", false);
	check_server(1, "s3", false);
}

static void test_other_addresses_make_another_server(void **state)
{
	clean(NULL);
	load(&now, PORT SERVER(1));
	attach(0);
	load(&next, PORT "[server \"s1\"]\nkey = k1\naddress = 10.0.0.11, 10.0.0.99\n");
	assert_int_equal(gw_config_place(&next, &now, &use, stderr), 0);
	check_server(0, "s1", false); /* one more is fine */
	assert_int_equal(next.n_server, 1);
	load(&next, PORT "[server \"s1\"]\nkey = k1\naddress = 10.0.0.99\n");
	assert_int_equal(gw_config_place(&next, &now, &use, stderr), 0);
	check_server(0, "s1", true); /* it is attached with what it may not have any more */
	check_server(1, "s1", false);
	assert_int_equal(next.server[1].addr[0].b[15], 99);
	assert_int_equal(gw_server_named(&next, "s1"), 1);
	use.server[0].busy = false; /* nobody is attached: nothing is lost */
	load(&next, PORT "[server \"s1\"]\nkey = k1\naddress = 10.0.0.99\n");
	assert_int_equal(gw_config_place(&next, &now, &use, stderr), 0);
	check_server(0, "s1", false);
	assert_int_equal(next.n_server, 1);
}

static void test_ids_in_use_are_not_given_away(void **state)
{
	clean(NULL);
	use.rule[1] = use.rule[2] = true; /* flows of rules that are not configured any more */
	use.service[1] = true;
	assert_int_equal(place(PORT SERVICE(1) RULE(1), PORT SERVICE(2) RULE(2) RULE(3)), 0);
	assert_int_equal(next.service[0].id, 2); /* 0 is v1's, for which a flow may just begin */
	assert_int_equal(next.rule[0].id, 3);
	assert_int_equal(next.rule[1].id, 4);
	for (int i = 0; i < CORR_MAX_SERVICES; i++)
		use.service[i] = i > 0;
	assert_int_equal(place(PORT SERVICE(1), PORT SERVICE(2)), 0);
	assert_int_equal(next.service[0].id, 0); /* nothing else is free */
	use.service[0] = true;
	assert_int_equal(place(PORT SERVICE(1), PORT SERVICE(1)), 0);
	assert_int_equal(place(PORT SERVICE(1), PORT SERVICE(2)), ENOSPC);
}

static void test_no_room_for_more_servers(void **state)
{
	clean(NULL);
	use.room = 2;
	load(&now, PORT SERVER(1) SERVER(2));
	attach(1);
	load(&next, PORT SERVER(1) SERVER(3));
	assert_int_equal(gw_config_place(&next, &now, &use, stderr), ENOSPC);
	use.server[1].busy = false;
	load(&next, PORT SERVER(1) SERVER(3));
	assert_int_equal(gw_config_place(&next, &now, &use, stderr), 0);
}

static void test_ports_keep_their_order(void **state)
{
#define PORT2 "[port \"q\"]\ndevice = e\naddress = 10.0.1.1/24\n"
	clean(NULL);
	assert_int_equal(place(PORT PORT2, PORT2 PORT), 0);
	assert_string_equal(next.port[0].name, "p");
	assert_string_equal(next.port[1].name, "q");
}

/* A file with some of the servers, services and rules 0 to 9, in any order. */
static void random_file(struct gw_cfg *cfg)
{
	char text[8192] = PORT;

	for (int kind = 0; kind < 3; kind++) {
		static const char *const forms[] = {
			"[server \"s%d\"]\nkey = k\naddress = 10.0.0.%d\n",
			"[service \"v%d\"]\nport = %d\n",
			"[rule \"r%d\"]\naction = deny\ndestination-port = %d\n",
		};
		const int first = rand() % 10;

		for (int i = 0; i < 10; i++) {
			const int n = (first + i * 3) % 10; /* 3 is prime to 10 */

			if (rand() % 2)
				snprintf(text + strlen(text), sizeof(text) - strlen(text),
					 forms[kind], n, n + 10);
		}
	}
	load(cfg, text);
}

/* What holds after each of many reloads, whatever is in use. */
static void check_step(void)
{
	bool taken[CORR_MAX_RULES] = {false};

	for (uint32_t i = 0; i < now.n_server; i++) {
		if (use.server[i].busy)
			assert_string_equal(next.server[i].name, now.server[i].name);
		else
			assert_false(next.server[i].leaving);
	}
	for (uint32_t i = 0; i < next.n_rule; i++) {
		const uint16_t id = next.rule[i].id;

		assert_false(taken[id]);
		taken[id] = true;
		for (uint32_t k = 0; k < now.n_rule; k++) {
			if (strcmp(now.rule[k].name, next.rule[i].name) == 0)
				assert_int_equal(now.rule[k].id, id);
			else if (use.rule[id])
				assert_int_not_equal(now.rule[k].id, id);
		}
	}
}

static void test_random_reloads(void **state)
{
	const char *given = getenv("SEED");
	const unsigned int seed = given ? (unsigned int)atoi(given) : (unsigned int)time(NULL);
	static struct gw_cfg pure;

	printf("seed %u\n", seed);
	srand(seed);
	clean(NULL);
	random_file(&now);
	for (int i = 0; i < 300; i++) {
		for (uint32_t k = 0; k < now.n_server; k++)
			use.server[k].busy = *now.server[k].name && rand() % 2;
		for (uint32_t k = 0; k < now.n_rule; k++)
			use.rule[now.rule[k].id] = rand() % 2;
		random_file(&next);
		gw_config_pure(&pure, &next);
		assert_memory_equal(&pure, &next, sizeof(pure));
		assert_int_equal(gw_config_place(&next, &now, &use, stderr), 0);
		check_step();
		for (uint32_t k = 0; k < pure.n_server; k++) {
			const uint32_t at = gw_server_named(&next, pure.server[k].name);

			assert_true(at < next.n_server);
			assert_false(next.server[at].leaving);
		}
		now = next;
	}
}

/* A file that somebody's editor, disk or cat has been at. */
static void mutate(char *text, size_t n)
{
	for (int i = rand() % 2; i >= 0; i--) {
		const size_t at = (size_t)rand() % n, from = (size_t)rand() % n;
		const size_t len = (size_t)rand() % 6;

		if (rand() % 2)
			text[at] = (char)(rand() % 256);
		else if (at + len <= n && from + len <= n)
			memmove(text + at, text + from, len);
	}
}

static void test_mutated_files_are_refused_or_placed(void **state)
{
	static const char good[] =
		"[gateway]\nname = g\nhost-timeout = 5\n" PORT "announce = 2\n" SERVER(1)
			SERVER(2) "weight = 3\nmac = 02:00:00:00:00:01\ncheck = http\n" SERVICE(1)
				SERVICE(2) "servers = s1, s2\ntable-size = 251\n" RULE(1)
					RULE(2) "source = 10.0.0.0/8\nprotocol = tcp\n";
	const char *given = getenv("SEED");
	const unsigned int seed = given ? (unsigned int)atoi(given) : (unsigned int)time(NULL);
	char text[sizeof(good)], path[] = "/tmp/tagd-conf-XXXXXX";
	FILE *quiet = fopen("/dev/null", "w");
	int fd = mkstemp(path), passed = 0;

	printf("seed %u\n", seed);
	srand(seed);
	clean(NULL);
	load(&now, good);
	attach(0);
	for (int i = 0; i < 1000; i++) {
		memcpy(text, good, sizeof(good));
		mutate(text, sizeof(good) - 1);
		assert_int_equal(pwrite(fd, text, sizeof(good) - 1, 0), sizeof(good) - 1);
		if (gw_config_load(path, &next, quiet))
			continue;
		told[0] = '\0';
		assert_int_equal(gw_config_diff(&now, &next, on_diff, NULL), 0);
		assert_int_equal(gw_config_place(&next, &now, &use, quiet), 0);
		assert_string_equal(next.server[0].name, now.server[0].name);
		passed++;
	}
	printf("%d of 1000 were good\n", passed);
	assert_in_range(passed, 1, 999);
	fclose(quiet);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_diff_of_what_needs_a_restart),
		cmocka_unit_test(test_diff_tells_no_secret),
		cmocka_unit_test(test_diff_leaves_out_who_leaves),
		cmocka_unit_test(test_places_follow_names),
		cmocka_unit_test(test_who_is_in_use_leaves),
		cmocka_unit_test(test_other_addresses_make_another_server),
		cmocka_unit_test(test_ids_in_use_are_not_given_away),
		cmocka_unit_test(test_no_room_for_more_servers),
		cmocka_unit_test(test_ports_keep_their_order),
		cmocka_unit_test(test_random_reloads),
		cmocka_unit_test(test_mutated_files_are_refused_or_placed),
	};

	return cmocka_run_group_tests_name("gw_reload", tests, NULL, NULL);
}
