/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_host_config.c - taghostd.conf: defaults, every key, and every error with its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/host_config.h"

/* Loads a text as configuration; the errors go to *out (to be freed). */
static unsigned int load(struct host_conf *c, const char *text, char **out)
{
	int fd = memfd_create("taghostd.conf", 0);
	char path[32];
	size_t len;
	FILE *err = open_memstream(out, &len);
	unsigned int n;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = host_conf_load(c, path, err);
	fclose(err);
	close(fd);
	return n;
}

#define MINIMAL                                                              \
	"[host]\nname = s1\nkey = k\naddress = 10.77.0.11/24, fd77::11/64\n" \
	"[gateway \"gw1\"]\nconnect = unix:/run/tag/fabric.sock\n"

static void defaults(void **state)
{
	struct host_conf c;
	char *err;

	assert_int_equal(load(&c, MINIMAL, &err), 0);
	assert_string_equal(err, "");
	assert_string_equal(c.tap, "tag0");
	assert_string_equal(c.socket, "/run/tag/taghostd.sock");
	assert_string_equal(c.gw[0].name, "gw1");
	assert_string_equal(c.gw[0].connect, "/run/tag/fabric.sock");
	assert_int_equal(c.n_addr, 2);
	assert_int_equal(c.addr[0].plen, 24);
	assert_int_equal(c.addr[1].plen, 64);
	assert_int_equal(c.mtu, 1500);
	assert_int_equal(c.slots, 256);
	assert_int_equal(c.tx_ring, 1 << 20);
	assert_int_equal(c.rx_ring, 512 << 10);
	assert_true(host_conf_owns(&c, &c.addr[1].addr));
	free(err);
}

static void every_key(void **state)
{
	struct host_conf c;
	char *err;

	assert_int_equal(
		load(&c,
		     "; a comment\n[host]\nname = s2\nkey = secret\ntap = tag7\n"
		     "address = 10.77.0.12/24\naddress = fd77::12/64\nmac = 02:00:00:00:00:0c\n"
		     "mtu = 9000\nroute = 10.77.0.1, fd77::1\nsocket = /run/x.sock\n"
		     "max-accelerated = 10\nlog-level = debug\n[fabric]\ndevice = mlx5_0\nport = 2\n"
		     "gid-index = 3\n[arena]\nslots = 16\ntx-ring = 64K\nrx-ring = 4M\n"
		     "[gateway \"a\"]\nconnect = unix:/a\n[gateway \"b\"]\nconnect = unix:/b\n",
		     &err),
		0);
	assert_string_equal(err, "");
	assert_int_equal(c.n_addr, 2);
	assert_int_equal(c.mac[5], 0x0c);
	assert_int_equal(c.n_route, 2);
	assert_int_equal(c.max_accel, 10);
	assert_int_equal(c.level, HOST_LOG_DEBUG);
	assert_int_equal(c.gid_index, 3);
	assert_int_equal(c.tx_ring, 64 << 10);
	assert_int_equal(c.rx_ring, 4 << 20);
	assert_int_equal(c.n_gw, 2);
	assert_string_equal(c.gw[1].connect, "/b");
	free(err);
}

/* One wrong line each: what must be in the message. */
static const struct {
	const char *line, *says;
} wrong[] = {
	{"[host]\nnmae = x\n", ":8: [host] nmae: unknown key; allowed: name, key"},
	{"[hots]\n", ":7: [hots]: unknown section"},
	{"[gateway gw2]\n", ":7: [gateway gw2]: unknown section"},
	{"[gateway \"gw1\"]\n", "given twice, first in line 5"},
	{"[fabric]\nport = 0\n", ":8: [fabric] port: '0': a number from 1 to 255"},
	{"[fabric]\nport = 1x\n", ":8: [fabric] port: '1x'"},
	{"[fabric]\ndevice = a\ndevice = b\n", ":9: [fabric] device: given twice"},
	{"[arena]\ntx-ring = 100000\n", ":8: [arena] tx-ring: '100000': a power of two from 16K"},
	{"[arena]\nrx-ring = 128M\n", ":8: [arena] rx-ring"},
	{"[arena]\nslots = 5000\n", "a number from 1 to 4096"},
	{"[gateway \"b\"]\nconnect = tcp:1.2.3.4\n", "unix:/PATH"},
	{"[gateway \"b\"]\n", ":7: [gateway \"b\"] connect: missing"},
	{"[arena]\nwhat is this\n", ":8: what is this: neither"},
	{"[arena\n", ":7: not a section title"},
};

static void every_error(void **state)
{
	struct host_conf c;
	char *err, text[1024];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		/* A second [host] is an error of its own: the first case replaces it. */
		const char *base = i ? MINIMAL : "\n\n\n\n[gateway \"gw1\"]\nconnect = unix:/x\n";

		snprintf(text, sizeof(text), "%s%s", base, wrong[i].line);
		assert_true(load(&c, text, &err) > 0);
		if (!strstr(err, wrong[i].says))
			fail_msg("case %zu: expected \"%s\" in:\n%s", i, wrong[i].says, err);
		free(err);
	}
}

static void bad_values_of_host(void **state)
{
	static const char *const lines[] = {
		"address = 10.77.0.11\n",
		"address = 10.77.0.11/33\n",
		"address = fd77::1/129\n",
		"address = ,\n",
		"mac = 01:00:00:00:00:00\n",
		"mac = 02:00:00:00:00\n",
		"mtu = 100\n",
		"route = nowhere\n",
		"log-level = loud\n",
		"max-accelerated = -1\n",
		"tap = a/b\n",
		"tap = a-name-much-too-long\n",
		"address = 10.0.0.1/8, 10.0.0.1/8\n",
	};
	struct host_conf c;
	char *err, text[512];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text),
			 "[gateway \"g\"]\nconnect = unix:/x\n[host]\nname = s\nkey = k\n"
			 "address = 10.9.9.9/24\n%s",
			 lines[i]);
		assert_int_equal(load(&c, text, &err), 1);
		assert_non_null(strstr(err, ":7: [host] "));
		free(err);
	}
}

static void all_errors_at_once(void **state)
{
	struct host_conf c;
	char *err;

	assert_int_equal(load(&c, "x = 1\n[host]\nmtu = 1\nfoo = 2\n[bar]\nbaz = 3\n", &err), 8);
	assert_non_null(strstr(err, "[host] name: missing"));
	assert_non_null(strstr(err, "[host] key: missing"));
	assert_non_null(strstr(err, "[host] address: missing"));
	assert_non_null(strstr(err, "at least one is needed"));
	free(err);
}

static void no_file(void **state)
{
	struct host_conf c;
	char *err;
	size_t len;
	FILE *f = open_memstream(&err, &len);

	assert_int_equal(host_conf_load(&c, "/nonexistent/x.conf", f), 1);
	fclose(f);
	assert_non_null(strstr(err, "No such file"));
	free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),	      cmocka_unit_test(every_key),
		cmocka_unit_test(every_error),	      cmocka_unit_test(bad_values_of_host),
		cmocka_unit_test(all_errors_at_once), cmocka_unit_test(no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
