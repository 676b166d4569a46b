/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_config.c - the configuration file: what is read, and each error with its line.
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
#include <unistd.h>

#include "gateway/gw_config.h"
#include "gateway/gw_log.h"

static struct gw_cfg cfg;
static char *errors; /* of the last load */

/* Loads a text; the result, with *errors. */
static int load(const char *text)
{
	char path[] = "/tmp/tagd-conf-XXXXXX";
	int fd = mkstemp(path), rc;
	size_t room;
	FILE *err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	free(errors);
	err = open_memstream(&errors, &room);
	rc = gw_config_load(path, &cfg, err);
	fclose(err);
	unlink(path);
	return rc;
}

/* Loads a text that has exactly one error, in `line`, which mentions `what`. */
static void check_error(const char *text, int line, const char *what)
{
	char where[16];

	snprintf(where, sizeof(where), ":%d: ", line);
	assert_int_equal(load(text), EINVAL);
	if (!strstr(errors, where) || !strstr(errors, what) ||
	    strchr(errors, '\n') != errors + strlen(errors) - 1)
		fail_msg("wanted line %d and \"%s\" alone, got: %s", line, what, errors);
}

/* What is printed is read again, and printed the same; nothing is lost on the way. */
static void check_shown(const char *text)
{
	char *once = NULL, *twice = NULL;
	struct gw_cfg first;
	size_t len;
	FILE *f;

	assert_int_equal(load(text), 0);
	first = cfg;
	f = open_memstream(&once, &len);
	gw_config_show(f, &cfg, true);
	fclose(f);
	if (load(once))
		fail_msg("what was printed is refused: %s", errors);
	f = open_memstream(&twice, &len);
	gw_config_show(f, &cfg, true);
	fclose(f);
	assert_string_equal(once, twice);
	assert_memory_equal(&first, &cfg, sizeof(cfg));
	free(once);
	free(twice);
}

#define PORT   "[port \"p\"]\ndevice = d\naddress = 10.0.0.1/24, fd00::1/64\n"
#define RULE   "[rule \"r\"]\naction = deny\n"
#define SERVER "[server \"s\"]\nkey = k\naddress = 10.0.0.11\n"

static void shown_is_read_again(void **state)
{
	check_shown(PORT SERVER);
	check_shown(
		"[gateway]\nworkers = 2\ncpus = 0-1\nlog-level = info\nlog-modules = dpdk:error, port:debug\ndefault-rule = deny\n"
		"max-accelerated = 2k\nhost-timeout = 77\nmetrics = [::1]:9477\n" PORT
		"next-hop6 = fd00::fe\nneighbour = 10.0.0.7=02:00:00:00:00:07\nmtu = 1400\nvlan = 7\nannounce = 0\n"
		"[fabric]\ndevice = soft1\nport = 2\n" SERVER
		"mac = 02:00:00:00:00:01\nweight = 3\nbackup = yes\nforward = yes\n"
		"check = http\ncheck-addresses = all\ncheck-path = /alive\nslow-start = 30\nmax-accelerated = 5\n"
		"[service \"v\"]\naddress = 10.0.0.11\nport = 80\nprotocol = tcp\n"
		"balance = source\nno-server = drop\nmax-connections = 9\nsyn-rate = 100\n"
		"accelerate = min-bytes\nmin-bytes = 1M\n[service \"w\"]\n"
		"[rule \"r\"]\naction = reject\nsource = 10.1.0.0/16\ndestination = fd00::/8\n"
		"destination-port = 80-90\n[rule \"q\"]\naction = via\nvia = s\n"
		"protocol = esp\n");
}

static void everything_is_read(void **state)
{
	assert_int_equal(
		load("# comment\n"
		     "[gateway]\nname = g\nworkers = 3 ; three\nhost-timeout = 7\n"
		     "max-accelerated = 2k\nlog-level = debug\nlog-modules = host:info\nttl = 37\n"
		     "congestion-control = newreno\npacing = yes\n"
		     "[fabric]\ndevice = soft1\nport = 2\ngid-index = 3\nlisten = /x\n" PORT
		     "mtu = 9000\nnext-hop4 = 10.0.0.254\n" SERVER
		     "address = fd00::11\n  10.0.0.12\n"
		     "[service \"v\"]\naddress = 10.0.0.11\nport = 80\n"
		     "accelerate = min-bytes\nmin-bytes = 1M\nmax-accelerated = none\n"
		     "[service \"w\"]\naccelerate = off\n"),
		0);
	assert_string_equal(cfg.name, "g");
	assert_int_equal(cfg.workers, 3);
	assert_int_equal(cfg.host_timeout_ms, 7000);
	assert_int_equal(cfg.max_accelerated, 2048);
	assert_int_equal(cfg.ttl, 37);
	assert_int_equal(cfg.congestion, TCP_CC_NEWRENO);
	assert_true(cfg.pacing);
	assert_int_equal(cfg.log_level, GW_LOG_DEBUG);
	assert_int_equal(cfg.log_module[GW_LM_HOST], GW_LOG_INFO + 1);
	assert_int_equal(cfg.log_module[GW_LM_PORT], 0);
	assert_string_equal(cfg.device, "soft1");
	assert_int_equal(cfg.dev_port, 2);
	assert_int_equal(cfg.gid_index, 3);
	assert_string_equal(cfg.listen, "/x");
	assert_int_equal(cfg.port[0].n_addr, 2);
	assert_int_equal(cfg.port[0].plen[1], 64);
	assert_int_equal(cfg.port[0].mtu, 9000);
	assert_int_equal(cfg.server[0].n_addr, 3);
	assert_int_equal(cfg.n_service, 2);
	assert_int_equal(cfg.service[0].accelerate, GW_ACCEL_MIN_BYTES);
	assert_int_equal(cfg.service[0].min_bytes, 1 << 20);
	assert_int_equal(cfg.service[0].max_accelerated, UINT32_MAX);
	assert_int_equal(cfg.service[1].port, 0);
	assert_int_equal(cfg.service[1].accelerate, GW_ACCEL_OFF);
}

static void policy_is_read(void **state)
{
	const struct gw_rule_cfg *r = &cfg.rule[0];
	const struct gw_service_cfg *v = &cfg.service[0];
	char addr[NET_ADDRSTR];

	assert_int_equal(load(PORT SERVER
			      "weight = 7\nbackup = yes\nforward = yes\n"
			      "mac = 02:00:00:00:00:aa, 02:00:00:00:00:ab\n"
			      "[server \"t\"]\nkey = k\naddress = 10.0.0.11\ncheck = http\n"
			      "check-path = /up\nrise = 4\nhold = 9\n"
			      "[service \"v\"]\naddress = 10.0.0.11\nservers = s, t\n"
			      "balance = source\ntable-size = 4093\nprotocol = tcp\n"
			      "syn-rate = 100\nclient-prefix4 = 24\nno-server = drop\n"
			      "[rule \"r\"]\naction = via\nvia = s\nsource = 10.1.2.3/16\n"
			      "destination = fd00::/8\ndestination-port = 80-90\n"
			      "protocol = 50\ninterface = p\n"),
			 0);
	assert_int_equal(cfg.server[0].weight, 7);
	assert_true(cfg.server[0].backup && cfg.server[0].forward && !cfg.server[1].backup);
	assert_int_equal(cfg.server[0].n_mac, 2);
	assert_int_equal(cfg.server[0].mac[1].addr_bytes[5], 0xab);
	assert_int_equal(cfg.server[1].check, GW_CHECK_HTTP);
	assert_string_equal(cfg.server[1].check_path, "/up");
	assert_int_equal(cfg.server[1].health.rise, 4);
	assert_int_equal(cfg.server[1].health.hold_ms, 9000);
	assert_int_equal(v->balance, CORR_SOURCE);
	assert_int_equal(v->proto, 6);
	assert_int_equal(v->no_server, 0);
	assert_int_equal(v->max_conns, 0);
	assert_int_equal(v->syn_rate, 100);
	assert_int_equal(r->action, CORR_VIA);
	assert_int_equal(r->proto, 50);
	assert_int_equal(r->src.len, 96 + 16);
	assert_string_equal(net_addr_str((const struct net_addr *)r->src.addr, addr), "10.1.2.3");
	assert_int_equal(r->dst.len, 8);
	assert_int_equal(r->dport[0], 80);
	assert_int_equal(r->dport[1], 90);
	assert_int_equal(r->sport[1], 65535);
}

static void defaults_are_set(void **state)
{
	assert_int_equal(load(PORT), 0);
	assert_string_equal(cfg.name, "gw1");
	assert_int_equal(cfg.workers, 1);
	assert_int_equal(cfg.max_accelerated, 4096);
	assert_int_equal(cfg.ttl, 0);
	assert_int_equal(cfg.host_timeout_ms, 10000);
	assert_string_equal(cfg.control, "/run/tag/tagd.sock");
	assert_string_equal(cfg.listen, "/run/tag/fabric.sock");
	assert_int_equal(cfg.port[0].mtu, 1500);
}

static void each_error_is_told(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *what;
	} cases[] = {
		{"[gateway]\nname = caf\xe9\n" PORT, 2, "not UTF-8"},
		{"[gateway]\nwrokers = 1\n" PORT, 2, "unknown key"},
		{"[gateway]\nworkers = 0\n" PORT, 2, "1 to 16"},
		{"[gateway]\nworkers = 17\n" PORT, 2, "1 to 16"},
		{"[gateway]\nworkers = -1\n" PORT, 2, "\"-1\""},
		{"[gateway]\nworkers = 1x\n" PORT, 2, "\"1x\""},
		{"[gateway]\nworkers = 99999999999999999999\n" PORT, 2, "1 to 16"},
		{"[gateway]\nworkers = 1\nworkers = 1\n" PORT, 3, "second time"},
		{"[gateway]\n[gateway]\n" PORT, 2, "duplicate"},
		{"[gateway]\nnonsense\n" PORT, 2, "KEY = VALUE"},
		{"[gateway\n" PORT, 1, "without ']'"},
		{"[gateway \"x\"]\n" PORT, 1, "malformed"},
		{"[gate]\n" PORT, 1, "unknown section"},
		{"[port lan0]\n" PORT, 1, "malformed"},
		{"[port \"a b\"]\n" PORT, 1, "malformed"},
		{"name = x\n" PORT, 1, "outside"},
		{"[gateway]\nname =\n" PORT, 2, "1 to 63"},
		{"[gateway]\nlog-level = loud\n" PORT, 2, "warning"},
		{"[gateway]\nlog-modules = port\n" PORT, 2, "MODULE:LEVEL"},
		{"[gateway]\nlog-modules = port:debug, harbour:info\n" PORT, 2, "harbour:info"},
		{"[gateway]\nlog-modules = port:debug, port:info\n" PORT, 2, "port:info"},
		{"[gateway]\ncongestion-control = vegas\n" PORT, 2, "cubic, newreno"},
		{PORT PORT, 4, "duplicate"},
		{PORT "mtu = 100\n", 4, "1280 to 9000"},
		{PORT "next-hop4 = fd00::2\n", 4, "IPv4"},
		{PORT "next-hop6 = 10.0.0.2\n", 4, "IPv6"},
		{PORT "address = 10.0.0.2\n", 4, "prefix"},
		{PORT "address = 10.0.0.2/33\n", 4, "10.0.0.2/33"},
		{PORT "address = fd00::2/129\n", 4, "fd00::2/129"},
		{PORT "address = 224.0.0.1/8\n", 1, "unicast"},
		{PORT "[port \"q\"]\ndevice = e\naddress = 10.0.0.1/24\n", 4, "each address once"},
		{PORT "[port \"q\"]\naddress = 10.0.1.1/24\n", 5, "device"},
		{PORT "[port \"q\"]\ndevice = d\naddress = 10.0.1.1/24\n", 4, "each pair once"},
		{PORT "vlan = 4095\n", 4, "0 to 4094"},
		{PORT "neighbour = 10.0.0.7\n", 4, "ADDRESS=MAC"},
		{PORT "neighbour = 10.0.0.7=01:00:00:00:00:07\n", 4, "ADDRESS=MAC"},
		{PORT "neighbour = 10.0.9.7=02:00:00:00:00:07\n", 1, "in its subnets"},
		{PORT "neighbour = 10.0.0.1=02:00:00:00:00:07\n", 1, "of others"},
		{PORT "neighbour = 10.0.0.7=02:00:00:00:00:07 10.0.0.7=02:00:00:00:00:08\n", 1,
		 "each once"},
		{PORT SERVER "address = fd00::11, 10.0.0.11\n", 4, "each address once"},
		{PORT "[server \"t\"]\nkey = k\naddress = 10.0.0.1\n", 4, "gateway's own"},
		{PORT "[server \"t\"]\nkey = k\naddress = 10.0.9.1\n", 4, "subnet"},
		{PORT "[server \"t\"]\naddress = 10.0.0.9\n", 5, "key"},
		{PORT "[server \"t\"]\nkey = k\naddress = 10.0.0.9, nowhere\n", 6, "nowhere"},
		{PORT "[service \"v\"]\nport = 65536\n", 5, "any"},
		{PORT "[service \"v\"]\naccelerate = maybe\n", 5, "first-send"},
		{PORT "[service \"v\"]\naddress = 10.0.0.77\n", 4, "no server's"},
		{PORT "[service \"v\"]\n[service \"w\"]\n", 5, "each pair once"},
		{"[gateway]\n", 1, "[port"},
		{PORT SERVER "mac = 01:00:00:00:00:01\n", 7, "unicast MAC"},
		{PORT SERVER "weight = 0\n", 7, "1 to 1000"},
		{PORT SERVER "check = ping\n", 7, "none, tcp, http"},
		{PORT SERVER "backup = maybe\n", 7, "yes, no"},
		{PORT SERVER "[service \"v\"]\nservers = s, t\n", 7, "found t"},
		{PORT SERVER "address = 10.0.0.12\n[server \"t\"]\nkey = k\naddress = 10.0.0.12\n"
			     "[service \"v\"]\naddress = 10.0.0.11\nservers = s t\n",
		 11, "another address"},
		{PORT "[service \"v\"]\ntable-size = 65536\n", 4, "primes"},
		{PORT "[service \"v\"]\nbalance = fair\n", 5, "maglev, least-conn, source"},
		{PORT "[service \"v\"]\nprotocol = 256\n", 5, "udp"},
		{PORT RULE "source-port = 9-8\n", 6, "FROM-TO"},
		{PORT RULE "destination-port = 0\n", 6, "FROM-TO"},
		{PORT RULE "source = 10.0.0.0/33\n", 6, "ADDRESS/LENGTH"},
		{PORT RULE "interface = q\n", 4, "the name of a [port]"},
		{PORT RULE "rate = 5\n", 4, "allow or via"},
		{PORT RULE "via = s\n" SERVER "forward = yes\n", 4, "only with action = via"},
		{PORT SERVER "[rule \"r\"]\naction = via\nvia = s\n", 7, "forward = yes"},
		{PORT "[rule \"r\"]\naction = via\n", 4, "name of a [server]"},
		{PORT "[rule \"r\"]\n", 4, "allow, deny, reject, via"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_error(cases[i].text, cases[i].line, cases[i].what);
}

static void all_errors_come_at_once(void **state)
{
	int lines = 0;

	assert_int_equal(
		load("[gateway]\nworkers = 0\nfoo = 1\njunk\n[bogus]\nx = 1\n" PORT "mtu = 1\n"),
		EINVAL);
	for (const char *p = errors; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 5);
}

static void long_lines_are_refused(void **state)
{
	char text[1000] = PORT "mtu = ";
	size_t n = strlen(text);

	memset(text + n, '1', 600);
	strcpy(text + n + 600, "\nmtu = 1500\n");
	assert_int_equal(load(text), EINVAL);
	assert_non_null(strstr(errors, ":4: "));
}

static void a_missing_file_is_named(void **state)
{
	assert_int_equal(gw_config_load("/nonexistent/tagd.conf", &cfg, stdout), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_read),	  cmocka_unit_test(shown_is_read_again),
		cmocka_unit_test(policy_is_read),	  cmocka_unit_test(defaults_are_set),
		cmocka_unit_test(each_error_is_told),	  cmocka_unit_test(all_errors_come_at_once),
		cmocka_unit_test(long_lines_are_refused), cmocka_unit_test(a_missing_file_is_named),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	free(errors);
	return rc;
}
