/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_host_freeze.c - TCP_REPAIR on real kernel connections: what is read is the truth, and a
 * thawed socket is as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/host_freeze.h"
#include "tests/unit/host/netns.h"

#define TX (1u << 20)
#define RX (512u << 10)

static uint8_t tx[TX], rx[RX], scratch[TX + HOST_FREEZE_SLACK];
static const struct host_freeze_buf bufs = {
	.tx = tx, .rx = rx, .tx_size = TX, .rx_size = RX, .scratch = scratch};

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 13);
}

/* A socket whose window a receive ring of RX bytes can hold. */
static void pair(int *srv, int *cli, int rcvbuf)
{
	int clamp = 60000;

	assert_true(netns_pair(srv, cli, rcvbuf));
	setsockopt(*srv, IPPROTO_TCP, 10 /* TCP_WINDOW_CLAMP */, &clamp, sizeof(clamp));
}

static void both_queues(void **state)
{
	struct host_freeze f;
	struct net_flow key;
	uint8_t buf[65536];
	size_t sent = 0, got = 0;
	ssize_t n;
	int srv, cli, one = 0;
	socklen_t len = sizeof(one);

	pair(&srv, &cli, 8192);
	for (size_t i = 0; i < 5000; i++)
		buf[i] = pattern(i);
	assert_int_equal(send(cli, buf, 5000, 0), 5000);
	while (sent < 200000) { /* more than the client's window takes: the rest is unsent */
		for (size_t i = 0; i < 1000; i++)
			buf[i] = pattern(sent + i);
		n = send(srv, buf, 1000, MSG_DONTWAIT);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	usleep(50000);
	assert_int_equal(host_freeze_tuple(srv, &key), IB_R_NONE);
	assert_true(net_addr_is_v4(&key.local));
	assert_int_equal(host_freeze_on(srv, &f), 0);
	assert_int_equal(host_freeze_read(srv, &f, &bufs), IB_R_NONE);
	assert_int_equal(f.n_rx, 5000);
	assert_true(f.n_tx > 0 && f.n_tx <= sent);
	assert_int_equal(f.write_seq - f.snd_una, f.n_tx);
	assert_true((int32_t)(f.snd_nxt - f.snd_una) >= 0);
	assert_true((int32_t)(f.write_seq - f.snd_nxt) >= 0);
	assert_true(f.wscale && f.sack && f.ts);
	assert_true(f.mss > 500);
	for (size_t i = 0; i < f.n_rx; i++)
		assert_int_equal(rx[i], pattern(i));
	for (size_t i = 0; i < f.n_tx; i++)
		assert_int_equal(tx[i], pattern(sent - f.n_tx + i));
	assert_int_equal(host_freeze_off(srv, &f), 0);
	getsockopt(srv, SOL_SOCKET, SO_REUSEADDR, &one, &len);
	assert_int_equal(one, 1);

	/* Nothing was lost on either side. */
	assert_int_equal(recv(srv, buf, sizeof(buf), 0), 5000);
	shutdown(srv, SHUT_WR);
	while ((n = recv(cli, buf, sizeof(buf), 0)) > 0)
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern(got++));
	assert_int_equal(got, sent);
	close(srv);
	close(cli);
}

static void positions_move_with_the_stream(void **state)
{
	struct host_freeze a, b;
	uint8_t buf[3000] = {0};
	int srv, cli;

	pair(&srv, &cli, 0);
	assert_int_equal(host_freeze_on(srv, &a), 0);
	assert_int_equal(host_freeze_read(srv, &a, &bufs), IB_R_NONE);
	assert_int_equal(host_freeze_off(srv, &a), 0);
	assert_int_equal(send(cli, buf, 1234, 0), 1234);
	assert_int_equal(send(srv, buf, 3000, 0), 3000);
	usleep(60000);
	assert_int_equal(recv(srv, buf, sizeof(buf), 0), 1234);
	assert_int_equal(host_freeze_on(srv, &b), 0);
	assert_int_equal(host_freeze_read(srv, &b, &bufs), IB_R_NONE);
	assert_int_equal(b.rcv_nxt - a.rcv_nxt, 1234);
	assert_int_equal(b.snd_una - a.snd_una, 3000);
	assert_int_equal(b.n_tx, 0);
	assert_int_equal(b.n_rx, 0);
	assert_true(b.snd_wnd > 0);
	assert_true((int32_t)(b.rcv_edge - a.rcv_edge) >= 0);
	assert_true((int32_t)(b.ts_val - a.ts_val) >= 0);
	assert_int_equal(host_freeze_off(srv, &b), 0);
	close(srv);
	close(cli);
}

static void refusals(void **state)
{
	struct host_freeze_buf small = bufs;
	struct host_freeze f;
	struct net_flow key;
	int srv, cli, u = socket(AF_INET, SOCK_DGRAM, 0), l = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(host_freeze_tuple(u, &key), IB_R_PROTO);
	assert_int_equal(host_freeze_tuple(l, &key), IB_R_FIN);
	assert_int_equal(host_freeze_tuple(-1, &key), IB_R_BAD_STATE);
	close(u);
	close(l);

	pair(&srv, &cli, 0);
	shutdown(cli, SHUT_WR);
	usleep(20000);
	assert_int_equal(host_freeze_on(srv, &f), 0);
	assert_int_equal(host_freeze_read(srv, &f, &bufs), IB_R_FIN);
	assert_int_equal(host_freeze_off(srv, &f), 0);
	close(srv);
	close(cli);

	pair(&srv, &cli, 0); /* the window is larger than the ring */
	small.rx_size = 1024;
	assert_int_equal(host_freeze_on(srv, &f), 0);
	assert_int_equal(host_freeze_read(srv, &f, &small), IB_R_WINDOW);
	assert_true(f.retry);
	assert_int_equal(host_freeze_off(srv, &f), 0);
	close(srv);
	close(cli);
}

static void helpers(void **state)
{
	uint32_t t0, t1;
	int srv, cli, n;

	pair(&srv, &cli, 0);
	assert_int_equal(host_freeze_tsclock(srv, &t0), 0);
	usleep(30000);
	assert_int_equal(host_freeze_tsclock(srv, &t1), 0);
	assert_in_range(t1 - t0, 20, 1000);
	assert_int_equal(host_freeze_outq(srv), 0);
	assert_int_equal(host_freeze_unsent(srv, &n), 0);
	assert_int_equal(n, 0);
	close(srv);
	close(cli);
}

/* What the kernel would send with, of both families and of IPv4 on a socket of IPv6. */
static void ip_header(void **state)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct in6_addr mapped = {{{[10] = 0xff, 0xff, 127, 0, 0, 1}}};
	int tos = 0xb9, ttl = 33, s;
	socklen_t len = sizeof(a);
	int l = socket(AF_INET6, SOCK_STREAM, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&a, len) | listen(l, 1), 0);
	getsockname(l, (struct sockaddr *)&a, &len);
	s = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(s, (struct sockaddr *)&a, len), 0);
	assert_int_equal(host_freeze_ip(s), 64u << IB_HL_TTL_SHIFT);
	assert_int_equal(setsockopt(s, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos)), 0);
	assert_int_equal(setsockopt(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl)), 0);
	assert_int_equal(host_freeze_ip(s), 33u << IB_HL_TTL_SHIFT | 0xb8u << IB_HL_TOS_SHIFT);
	close(s);
	close(l);

	l = socket(AF_INET6, SOCK_STREAM, 0);
	a.sin6_addr = mapped;
	a.sin6_port = 0;
	assert_int_equal(bind(l, (struct sockaddr *)&a, len) | listen(l, 1), 0);
	getsockname(l, (struct sockaddr *)&a, &len);
	s = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(s, (struct sockaddr *)&a, len), 0);
	assert_int_equal(setsockopt(s, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos)), 0);
	assert_int_equal(host_freeze_ip(s), 64u << IB_HL_TTL_SHIFT);
	assert_int_equal(setsockopt(s, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
	assert_int_equal(setsockopt(s, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)), 0);
	assert_int_equal(host_freeze_ip(s), 33u << IB_HL_TTL_SHIFT | 0xb8u << IB_HL_TOS_SHIFT);
	close(s);
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_queues), cmocka_unit_test(positions_move_with_the_stream),
		cmocka_unit_test(refusals),    cmocka_unit_test(helpers),
		cmocka_unit_test(ip_header),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
