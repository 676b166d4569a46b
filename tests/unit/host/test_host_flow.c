/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_host_flow.c - the table of native flows: bounds, ageing, and what it remembers of a client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "host/host_flow.h"

static struct net_flow key(uint32_t n)
{
	struct net_flow k = {.rport = (uint16_t)n, .lport = 80};

	net_addr_v4(&k.remote, &n);
	net_addr_v4(&k.local, "\x0a\x4d\x00\x0b");
	return k;
}

static void bounded(void **state)
{
	struct host_flows t;
	bool evicted = false;

	assert_int_equal(host_flows_open(&t, 8), 0);
	for (uint32_t i = 0; i < 8; i++) {
		struct net_flow k = key(i);

		assert_non_null(host_flow_get(&t, &k, i + 1, &evicted));
	}
	assert_false(evicted);
	for (uint32_t i = 0; i < 8; i++) { /* 0 is used again, 1 is the oldest now */
		struct net_flow k = key(i ? i + 100 : 0);

		assert_non_null(host_flow_get(&t, &k, 20 + i, &evicted));
		assert_int_equal(t.n, 8);
	}
	assert_true(evicted);
	struct net_flow k = key(0);
	assert_non_null(host_flow_find(&t, &k));
	k = key(1);
	assert_null(host_flow_find(&t, &k));
	host_flows_close(&t);
}

static void busy_ones_stay(void **state)
{
	struct host_flows t;
	bool evicted = false;
	struct net_flow k;

	assert_int_equal(host_flows_open(&t, 4), 0);
	for (uint32_t i = 0; i < 4; i++) {
		struct host_flow *f;

		k = key(i);
		f = host_flow_get(&t, &k, 1, &evicted);
		host_flow_set_state(f, i == 2 ? HOST_F_NATIVE : HOST_F_MAPPED);
	}
	k = key(50);
	assert_non_null(host_flow_get(&t, &k, 2, &evicted));
	host_flow_set_state(host_flow_find(&t, &k), HOST_F_COMMITTED);
	k = key(51);
	assert_null(host_flow_get(&t, &k, 2, &evicted));
	host_flows_close(&t);
}

static void random_against_model(void **state)
{
	enum { N = 512, MAX = 64 };
	unsigned int seed = (unsigned int)time(NULL);
	double last[N] = {0}, now = 1;
	struct host_flows t;

	printf("seed %u\n", seed);
	srandom(seed);
	assert_int_equal(host_flows_open(&t, MAX), 0);
	for (int i = 0; i < 100000; i++) {
		uint32_t n = (uint32_t)random() % N;
		struct net_flow k = key(n);
		bool evicted = false;

		if (random() % 4) {
			struct host_flow *f = host_flow_get(&t, &k, now += 0.1, &evicted);

			assert_non_null(f);
			assert_int_equal(evicted, !last[n] && t.n == MAX && evicted);
			if (evicted) { /* the oldest one gave way */
				uint32_t old = N;

				for (uint32_t j = 0; j < N; j++)
					if (last[j] && (old == N || last[j] < last[old]))
						old = j;
				last[old] = 0;
			}
			last[n] = now;
		} else if (last[n]) {
			host_flow_drop(&t, host_flow_find(&t, &k));
			last[n] = 0;
		} else {
			assert_null(host_flow_find(&t, &k));
		}
	}
	for (uint32_t n = 0; n < N; n++) {
		struct net_flow k = key(n);

		assert_int_equal(host_flow_find(&t, &k) != NULL, last[n] != 0);
	}
	host_flows_close(&t);
}

static void remembers_the_client(void **state)
{
	static const uint8_t md5[] = {1, 1, 19, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	struct host_flow f = {0};
	struct tcp_seg s = {.seq = 0xfffffff0u, .flags = TCP_SYN, .has_ts = true, .tsval = 5};

	host_flow_client(&f, &s, NULL, 0);
	assert_int_equal(f.hi_end, 0xfffffff1u);
	s = (struct tcp_seg){.seq = 0xfffffff1u, .len = 100, .flags = TCP_ACK, .has_ts = true};
	s.tsval = 0x10;
	host_flow_client(&f, &s, NULL, 0);
	assert_int_equal(f.hi_end, 0x55);
	s.seq -= 50; /* an old segment changes nothing */
	s.tsval = 0xf;
	host_flow_client(&f, &s, NULL, 0);
	assert_int_equal(f.hi_end, 0x55);
	assert_int_equal(f.ts_recent, 0x10);
	assert_false(f.exotic || f.fin || f.urg);
	host_flow_client(&f, &s, md5, sizeof(md5));
	assert_true(f.exotic);
	s.flags = TCP_ACK | TCP_FIN | TCP_URG;
	host_flow_client(&f, &s, NULL, 0);
	assert_true(f.fin && f.urg);
	s = (struct tcp_seg){.seq = 77, .flags = TCP_SYN}; /* a new connection */
	host_flow_client(&f, &s, NULL, 0);
	assert_int_equal(f.hi_end, 78);
	assert_false(f.exotic || f.fin || f.urg || f.ts_ok);
}

static uint8_t ecn_flags(unsigned int code, bool *ae)
{
	*ae = code & 4;
	return (uint8_t)((code & 2 ? TCP_CWR : 0) | (code & 1 ? TCP_ECE : 0));
}

/* Whether a handshake with these AE, CWR and ECE bits is one of Accurate ECN. */
static bool shakes_hands(unsigned int syn, unsigned int synack, bool outbound)
{
	struct host_flow f = {.accecn = true}; /* of a connection before */
	struct tcp_seg a = {.seq = 7, .flags = TCP_SYN}, b = {.seq = 9, .ack = 8};

	a.flags |= ecn_flags(syn, &a.ae);
	b.flags = TCP_SYN | TCP_ACK | ecn_flags(synack, &b.ae);
	if (outbound) { /* the kernel's SYN comes before there is a flow */
		host_flow_client(&f, &b, NULL, 0);
	} else {
		host_flow_client(&f, &a, NULL, 0);
		assert_false(f.accecn);
		host_flow_kernel(&f, &b);
	}
	return f.accecn;
}

/* RFC 9768 table 2: every SYN-ACK to a SYN that asked for Accurate ECN, and to one that did not. */
static void sees_accurate_ecn(void **state)
{
	static const bool accurate[8] = {
		[2] = true, /* the SYN came not-ECT */
		[3] = true, /* ECT(1) */
		[4] = true, /* ECT(0) */
		[6] = true, /* CE */
	};
	struct host_flow f = {0};
	struct tcp_seg s = {.flags = TCP_ACK, .has_ts = true, .tsval = 77};

	for (unsigned int code = 0; code < 8; code++) {
		assert_int_equal(shakes_hands(7, code, false), accurate[code]);
		assert_int_equal(shakes_hands(7, code, true), accurate[code]);
	}
	assert_false(shakes_hands(3, 1, false)); /* classic */
	host_flow_kernel(&f, &s);
	assert_false(f.accecn);
	assert_true(f.ts_sent_ok && f.ts_sent == 77);
	s.ae = true; /* the handshake was not seen: the counter begins with 5, AE and ECE */
	s.flags |= TCP_ECE;
	host_flow_client(&f, &s, NULL, 0);
	assert_false(f.accecn); /* what a client sends is no proof */
	host_flow_kernel(&f, &s);
	assert_true(f.accecn);
}

static void ends_both_ways(void **state)
{
	struct host_flow f = {.state = HOST_F_MAPPED};
	struct tcp_seg out = {.seq = 1000, .flags = TCP_FIN | TCP_ACK, .ack = 500};
	struct tcp_seg in = {.seq = 500, .flags = TCP_ACK, .ack = 1000};

	host_flow_end_out(&f, &out, 1.0);
	host_flow_end_in(&f, &in, 2.0);
	assert_false(f.end.out_acked);
	in.ack = 1001;
	in.flags |= TCP_FIN;
	host_flow_end_in(&f, &in, 3.0);
	assert_true(f.end.out_acked && f.end.in_seen);
	assert_true(f.end.at == 0);
	out = (struct tcp_seg){.seq = 1001, .flags = TCP_ACK, .ack = 501};
	host_flow_end_out(&f, &out, 4.0);
	assert_true(f.end.at == 4.0);
}

static void ages(void **state)
{
	struct host_flows t;
	bool evicted;
	struct net_flow k = key(1), m = key(2);

	assert_int_equal(host_flows_open(&t, 8), 0);
	host_flow_get(&t, &k, 10, &evicted);
	host_flow_set_state(host_flow_get(&t, &m, 10, &evicted), HOST_F_MAPPED);
	host_flows_age(&t, 60);
	assert_int_equal(t.n, 2);
	host_flow_find(&t, &m)->end.at = 60;
	host_flow_find(&t, &k)->fin = true;
	host_flows_age(&t, 100);
	assert_null(host_flow_find(&t, &k));
	assert_non_null(host_flow_find(&t, &m));
	host_flows_age(&t, 126); /* TIME-WAIT is over */
	assert_int_equal(t.n, 0);
	host_flows_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounded),
		cmocka_unit_test(busy_ones_stay),
		cmocka_unit_test(random_against_model),
		cmocka_unit_test(remembers_the_client),
		cmocka_unit_test(sees_accurate_ecn),
		cmocka_unit_test(ends_both_ways),
		cmocka_unit_test(ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
