/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_corr_steer.c - where packets go when table, rules, services and limits work together:
 * established flows never move, fail-over, routing by way of a firewall, every limit, dry runs.
 */
#include "tests/unit/correlator/eal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "correlator/corr_steer.h"

#define SYN	CORR_TCP_SYN
#define SYN_ACK (CORR_TCP_SYN | CORR_TCP_ACK)
#define ACK	CORR_TCP_ACK
#define FW	9 /* the firewall server */

static const uint8_t vip[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 100};
static const char *const names[] = {"s0", "s1", "s2"};
static struct corr_live live;
static struct corr_steer *s;
static struct corr_policy *policy;
static struct corr_service_cfg cfg;
static uint64_t now;

static struct corr_rule rule(enum corr_action action)
{
	return (struct corr_rule){.action = action,
				  .sport = {0, 65535},
				  .dport = {0, 65535},
				  .iface = CORR_IFACE_ANY,
				  .via = action == CORR_VIA ? FW : CORR_NONE};
}

/* A policy of up to one rule and one service of three servers. */
static void publish(const struct corr_rule *r, enum corr_action otherwise, uint32_t servers)
{
	const struct corr_sip_key key = {{5, 6}};
	struct corr_member m[3];

	corr_policy_free(policy);
	policy = calloc(1, sizeof(*policy));
	policy->rules = corr_rules_new(1, otherwise);
	policy->services = corr_services_new(&key, 1);
	if (r)
		assert_int_equal(corr_rules_add(policy->rules, r), 0);
	for (uint16_t i = 0; i < 3; i++)
		m[i] = (struct corr_member){names[i], i, 1, 0, false};
	assert_int_equal(corr_services_add(policy->services, &cfg, m, servers), 0);
	assert_int_equal(corr_services_done(policy->services), 0);
}

static int setup(void **state)
{
	memset(&live, 0, sizeof(live));
	for (int i = 0; i < 3; i++)
		atomic_store(&live.server[i].share, CORR_SHARE_FULL);
	memset(&cfg, 0, sizeof(cfg));
	memcpy(cfg.addr, vip, 16);
	cfg.client.prefix4 = 32;
	now = 1000000;
	if (corr_live_open(&live, 250))
		return -1;
	s = corr_steer_new(1000, &live);
	publish(NULL, CORR_ALLOW, 3);
	return s ? 0 : -1;
}

static int teardown(void **state)
{
	corr_steer_free(s);
	corr_policy_free(policy);
	policy = NULL;
	corr_live_close(&live);
	for (int i = 0; i < 3; i++)
		if (atomic_load(&live.server[i].conns))
			return -1;
	return 0;
}

static struct corr_ask ask(uint16_t client, uint8_t flags, uint16_t host)
{
	struct corr_ask a = {.host = host, .owner = CORR_NONE, .iface = 0};

	memcpy(a.pkt.key.flow.local, vip, 16);
	memcpy(a.pkt.key.flow.remote, vip, 14);
	a.pkt.key.flow.remote[14] = (uint8_t)(client >> 8);
	a.pkt.key.flow.remote[15] = (uint8_t)client;
	a.pkt.key.flow.rport = htons(40000);
	a.pkt.key.flow.lport = htons(80);
	a.pkt.key.proto = CORR_TCP;
	a.pkt.flags = flags;
	a.pkt.from_server = host != CORR_NONE;
	if (host != CORR_NONE)
		a.iface = CORR_IFACE_FABRIC;
	return a;
}

static struct corr_verdict decide(const struct corr_ask *a)
{
	struct corr_verdict v;

	corr_steer(s, policy, a, now, &v);
	return v;
}

static struct corr_verdict client(uint16_t who, uint8_t flags)
{
	const struct corr_ask a = ask(who, flags, CORR_NONE);

	return decide(&a);
}

static struct corr_verdict server(uint16_t host, uint16_t who, uint8_t flags)
{
	const struct corr_ask a = ask(who, flags, host);

	return decide(&a);
}

/* Establishes a connection; its server. */
static uint16_t establish(uint16_t who)
{
	const struct corr_verdict v = client(who, SYN);

	assert_int_equal(v.action, CORR_ALLOW);
	assert_int_equal(v.why, CORR_WHY_PICKED);
	assert_int_equal(v.to, v.server);
	server(v.server, who, SYN_ACK);
	server(v.server, who, ACK);
	assert_int_equal(v.flow->state, CORR_FLOW_OPEN);
	return v.server;
}

static void test_established_never_move(void **state)
{
	uint16_t has[300];

	publish(NULL, CORR_ALLOW, 2);
	for (uint16_t i = 0; i < 300; i++)
		has[i] = establish(i);
	publish(NULL, CORR_ALLOW, 3); /* a server more */
	for (uint16_t i = 0; i < 300; i++)
		assert_int_equal(client(i, ACK).to, has[i]);
	atomic_store(&live.server[0].share, 0); /* one drains, or its checks fail */
	atomic_store(&live.server[0].leave, CORR_LEAVE_DATAGRAMS);
	for (uint16_t i = 0; i < 300; i++)
		assert_int_equal(client(i, ACK).to, has[i]);
	publish(NULL, CORR_ALLOW, 1); /* two are removed from the service */
	for (uint16_t i = 0; i < 300; i++)
		assert_int_equal(client(i, ACK).to, has[i]);
	assert_int_equal(client(999, SYN).why, CORR_WHY_NO_SERVER_UP);
}

static void test_gone_for_good_moves(void **state)
{
	const uint16_t had = establish(1);
	struct corr_verdict v;

	atomic_store(&live.server[had].share, 0);
	assert_int_equal(client(1, ACK).to, had); /* it may come back */
	atomic_store(&live.server[had].leave, CORR_LEAVE_ALL);
	v = client(1, ACK);
	assert_int_equal(v.why, CORR_WHY_PICKED);
	assert_int_not_equal(v.to, had);
	assert_int_equal(server(v.to, 1, CORR_TCP_RST).to, CORR_NONE); /* it does not know it */
	assert_int_equal(client(1, SYN).why, CORR_WHY_PICKED);	       /* the client begins anew */
}

/* A gateway that was restarted: nobody is attached, then one after the other comes. */
static void test_unknown_segments_wait_for_their_server(void **state)
{
	uint16_t has[100];

	cfg.reject = true;
	publish(NULL, CORR_ALLOW, 3);
	for (uint16_t i = 0; i < 100; i++)
		has[i] = client(i, SYN).to;
	corr_steer_free(s);
	s = corr_steer_new(1000, &live);
	for (int i = 0; i < 3; i++)
		atomic_store(&live.server[i].share, 0);
	for (uint16_t i = 0; i < 100; i++)
		assert_int_equal(client(i, ACK).to, has[i]);
	assert_int_equal(client(200, SYN).action, CORR_REJECT);
	for (int i = 0; i < 3; i++) /* gone for good: nobody is there, but no RST for the living */
		atomic_store(&live.server[i].leave, CORR_LEAVE_ALL);
	assert_int_equal(client(201, ACK).action, CORR_DENY);
	atomic_store(&live.server[1].share, CORR_SHARE_FULL);
	assert_int_equal(client(201, ACK).to, 1);
}

static void test_who_speaks_has_it(void **state)
{
	const uint16_t guess = client(1, ACK).to, has = (uint16_t)((guess + 1) % 3);

	assert_int_equal(server(has, 1, CORR_TCP_RST).why, CORR_WHY_WRONG_SERVER);
	assert_int_equal(server(has, 1, ACK).action, CORR_ALLOW);
	assert_int_equal(client(1, ACK).to, has);
	assert_int_equal(server(guess, 1, ACK).why, CORR_WHY_WRONG_SERVER);
	assert_int_equal(server(guess, 1, ACK).action, CORR_DENY);
}

static void test_rules_decide(void **state)
{
	struct corr_rule r = rule(CORR_DENY);
	struct corr_verdict v;

	r.dport[0] = r.dport[1] = 80;
	establish(1);
	publish(&r, CORR_ALLOW, 3);
	v = client(2, SYN);
	assert_int_equal(v.action, CORR_DENY);
	assert_int_equal(v.why, CORR_WHY_RULE_DENY);
	assert_int_equal(v.rule, 0);
	assert_int_equal(v.fields, CORR_F_DPORT);
	assert_int_equal(client(1, ACK).action, CORR_ALLOW); /* it was let pass before */
	r.action = CORR_REJECT;
	publish(&r, CORR_ALLOW, 3);
	assert_int_equal(client(2, SYN).action, CORR_REJECT);
	assert_int_equal(atomic_load(&live.rule_hits[0]), 2);
	publish(NULL, CORR_DENY, 3);
	assert_int_equal(client(2, SYN).why, CORR_WHY_DEFAULT_DENY);
	publish(NULL, CORR_REJECT, 3);
	assert_int_equal(client(2, SYN).why, CORR_WHY_DEFAULT_REJECT);
	assert_int_equal(server(0, 2, SYN).why, CORR_WHY_DEFAULT_REJECT);
}

static void test_flows_remember_the_id_of_their_rule(void **state)
{
	struct corr_rule r = rule(CORR_ALLOW);

	r.id = 77;
	publish(&r, CORR_DENY, 3);
	assert_int_equal(client(1, SYN).rule, 77);
	assert_int_equal(client(1, SYN).flow->rule, 77);
	assert_int_equal(atomic_load(&live.rule_hits[77]), 1);
	assert_int_equal(atomic_load(&live.rule_conns[77]), 1);
	r.id = CORR_MAX_RULES;
	assert_int_equal(corr_rules_add(policy->rules, &r), ENOSPC);
}

/* What the caller knows: the server that every connection has had. */
static uint16_t had_server(void *ctx, const struct corr_flow *f)
{
	return *(const uint16_t *)ctx;
}

static void test_connections_older_than_the_policy(void **state)
{
	struct corr_rule r = rule(CORR_DENY);
	struct corr_verdict v;
	uint16_t had = 2;

	publish(&r, CORR_ALLOW, 3);
	s->prior = had_server;
	s->ctx = &had;
	v = client(1, ACK);
	assert_int_equal(v.action, CORR_ALLOW);
	assert_int_equal(v.why, CORR_WHY_PRIOR);
	assert_int_equal(v.to, 2);
	assert_int_equal(v.flow->state, CORR_FLOW_OPEN);
	assert_int_equal(client(1, ACK).why, CORR_WHY_KNOWN);
	assert_int_equal(server(2, 1, ACK).to, CORR_NONE);
	v = server(2, 5, ACK); /* the server speaks first */
	assert_int_equal(v.why, CORR_WHY_PRIOR);
	assert_int_equal(v.to, CORR_NONE);
	/* what begins now is asked about, and so is what does not fit */
	assert_int_equal(client(2, SYN).why, CORR_WHY_RULE_DENY);
	assert_int_equal(client(3, CORR_TCP_RST).why, CORR_WHY_RULE_DENY);
	assert_int_equal(server(0, 4, ACK).why, CORR_WHY_RULE_DENY);
	atomic_store(&live.server[2].leave, CORR_LEAVE_ALL);
	assert_int_equal(client(6, ACK).why, CORR_WHY_RULE_DENY);
	atomic_store(&live.server[2].leave, CORR_STAY);
	had = CORR_NONE;
	assert_int_equal(client(7, ACK).why, CORR_WHY_RULE_DENY);
}

static void test_answers_of_outbound_flows_pass(void **state)
{
	struct corr_rule r = rule(CORR_ALLOW);

	r.iface = CORR_IFACE_FABRIC;
	publish(&r, CORR_DENY, 3);
	assert_int_equal(client(5, SYN_ACK).why, CORR_WHY_DEFAULT_DENY);
	assert_int_equal(server(1, 5, SYN).why, CORR_WHY_OUTBOUND);
	assert_int_equal(client(5, SYN_ACK).to, 1);
	assert_int_equal(client(6, SYN).why, CORR_WHY_DEFAULT_DENY);
}

static void test_by_way_of_a_firewall(void **state)
{
	struct corr_rule r = rule(CORR_VIA);
	struct corr_verdict v;
	struct corr_ask a;

	publish(&r, CORR_DENY, 3);
	v = client(1, SYN);
	assert_int_equal(v.to, FW);
	assert_true(v.flow->no_accel);
	a = ask(1, SYN, FW); /* the firewall lets it pass on */
	a.pkt.from_server = false;
	assert_int_equal(decide(&a).to, v.server);
	assert_int_equal(server(v.server, 1, SYN_ACK).to, FW); /* and sees the answer */
	assert_int_equal(server(FW, 1, SYN_ACK).to, CORR_NONE);
	assert_int_equal(v.flow->state, CORR_FLOW_ANSWERED);
	atomic_store(&live.server[FW].leave, CORR_LEAVE_ALL);
	assert_int_equal(client(1, ACK).to, FW); /* never around it */
}

static void test_limits_of_a_service(void **state)
{
	cfg.max_conns = 10;
	cfg.client.max_conns = 2;
	publish(NULL, CORR_ALLOW, 3);
	for (uint16_t i = 0; i < 2; i++) {
		struct corr_ask a = ask(1, SYN, CORR_NONE);

		a.pkt.key.flow.rport = htons((uint16_t)(1000 + i));
		assert_int_equal(decide(&a).action, CORR_ALLOW);
	}
	assert_int_equal(client(1, SYN).why, CORR_WHY_CLIENT_LIMIT);
	for (uint16_t i = 2; i < 10; i++)
		assert_int_equal(client(i, SYN).action, CORR_ALLOW);
	assert_int_equal(client(10, SYN).why, CORR_WHY_SERVICE_CONNS);
	now += 40000000; /* the half-open ones age away */
	corr_steer_age(s, now / 1000);
	corr_steer_age(s, now / 1000);
	assert_int_equal(atomic_load(&live.service_conns[0]), 0);
	assert_int_equal(client(1, SYN).action, CORR_ALLOW);
}

static void test_syn_rate(void **state)
{
	uint32_t passed = 0;

	cfg.syn = corr_rate_of(100, 10);
	publish(NULL, CORR_ALLOW, 3);
	establish(60000);
	for (uint32_t i = 0; i < 20000; i++, now += 50) { /* 20,000 SYN/s for a second */
		passed += client((uint16_t)i, SYN).action == CORR_ALLOW;
		if (i % 100 == 0)
			assert_int_equal(client(60000, ACK).action, CORR_ALLOW);
	}
	assert_in_range(passed, 100, 110);
	cfg.syn = (struct corr_rate){0};
	cfg.client.rate = corr_rate_of(10, 1);
	publish(NULL, CORR_ALLOW, 3);
	now += 100000000;
	for (passed = 0; passed < 3 && client(30007, SYN).why == CORR_WHY_PICKED; passed++)
		corr_track_del(&s->tracks, client(30007, SYN).flow);
	assert_int_equal(passed, 1);
	assert_int_equal(client(30007, SYN).why, CORR_WHY_CLIENT_LIMIT);
	assert_int_equal(client(30008, SYN).why, CORR_WHY_PICKED); /* another client may */
}

static void test_limits_of_a_rule(void **state)
{
	struct corr_rule r = rule(CORR_ALLOW);

	r.max_conns = 1;
	publish(&r, CORR_DENY, 3);
	assert_int_equal(client(1, SYN).action, CORR_ALLOW);
	assert_int_equal(client(2, SYN).why, CORR_WHY_RULE_CONNS);
	r.max_conns = 0;
	r.rate = corr_rate_of(1, 1);
	publish(&r, CORR_DENY, 3);
	assert_int_equal(client(3, SYN).action, CORR_ALLOW);
	assert_int_equal(client(4, SYN).why, CORR_WHY_RULE_RATE);
	r.rate = (struct corr_rate){0};
	r.client = (struct corr_client_limit){.max_conns = 1, .prefix4 = 16};
	publish(&r, CORR_DENY, 3);
	assert_int_equal(client(5, SYN).action, CORR_ALLOW);
	assert_int_equal(client(6, SYN).why, CORR_WHY_RULE_CLIENT);
}

static void test_affinity_outlives_changes(void **state)
{
	struct corr_steer *other;
	uint32_t moved = 0;
	uint16_t has[50];

	cfg.balance = CORR_SOURCE;
	cfg.affinity_ms = 60000;
	publish(NULL, CORR_ALLOW, 2);
	for (uint16_t i = 0; i < 50; i++)
		has[i] = client(i, SYN).to;
	publish(NULL, CORR_ALLOW, 3); /* its table differs */
	for (uint16_t i = 0; i < 50; i++) {
		struct corr_ask a = ask(i, SYN, CORR_NONE);

		a.pkt.key.flow.rport = htons(50000);
		assert_int_equal(decide(&a).to, has[i]);
	}
	/* another worker knows, too */
	other = corr_steer_new(1000, &live);
	for (uint16_t i = 0; i < 50; i++) {
		struct corr_ask a = ask(i, SYN, CORR_NONE);
		struct corr_verdict v;

		a.pkt.key.flow.rport = htons(50001);
		corr_steer(other, policy, &a, now, &v);
		assert_int_equal(v.to, has[i]);
	}
	corr_steer_free(other);
	now += 61000000; /* forgotten: the hash decides, and has another table now */
	for (uint16_t i = 0; i < 50; i++) {
		struct corr_ask a = ask(i, SYN, CORR_NONE);

		a.pkt.key.flow.rport = htons(50002);
		moved += decide(&a).to != has[i];
	}
	assert_in_range(moved, 5, 35);
}

static void test_only_asking_changes_nothing(void **state)
{
	struct corr_ask a = ask(1, SYN, CORR_NONE);
	struct corr_verdict v, w;

	cfg.client.max_conns = 1;
	cfg.syn = corr_rate_of(1, 1);
	publish(NULL, CORR_ALLOW, 3);
	a.dry = true;
	for (int i = 0; i < 10; i++) {
		v = decide(&a);
		assert_int_equal(v.why, CORR_WHY_PICKED);
		assert_null(v.flow);
	}
	assert_int_equal(corr_table_count(s->tracks.table), 0);
	assert_int_equal(corr_marks_used(&live.clients), 0);
	assert_int_equal(atomic_load(&live.service_flows[0]), 0);
	w = client(1, SYN);
	assert_int_equal(w.to, v.to); /* it told the truth */
	a.pkt.flags = CORR_TCP_RST;
	decide(&a);
	assert_int_equal(w.flow->state, CORR_FLOW_OPENING);
}

static void test_closed_tuple_is_used_again(void **state)
{
	const uint16_t had = establish(1);

	client(1, CORR_TCP_FIN | ACK);
	server(had, 1, CORR_TCP_FIN | ACK);
	atomic_store(&live.server[had].share, 0);
	assert_int_equal(client(1, ACK).to, had); /* the last ACK */
	assert_int_not_equal(client(1, SYN).to, had);
}

static void test_fragments_have_no_ports(void **state)
{
	struct corr_ask a = ask(1, 0, CORR_NONE);

	a.pkt.key.proto = 17;
	a.pkt.key.flow.rport = a.pkt.key.flow.lport = 0;
	a.fragment = true;
	assert_int_equal(decide(&a).why, CORR_WHY_SHARED_FRAGMENT);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_established_never_move),
		T(test_gone_for_good_moves),
		T(test_unknown_segments_wait_for_their_server),
		T(test_who_speaks_has_it),
		T(test_rules_decide),
		T(test_answers_of_outbound_flows_pass),
		T(test_by_way_of_a_firewall),
		T(test_limits_of_a_service),
		T(test_syn_rate),
		T(test_flows_remember_the_id_of_their_rule),
		T(test_connections_older_than_the_policy),
		T(test_limits_of_a_rule),
		T(test_affinity_outlives_changes),
		T(test_only_asking_changes_nothing),
		T(test_closed_tuple_is_used_again),
		T(test_fragments_have_no_ports),
	};

	return cmocka_run_group_tests(tests, eal_setup, eal_teardown);
}
