/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_host_slot.c - one slot of an arena with a program on one side and a kernel socket on the
 * other: readiness, filler, unmarked bytes, ends, and the pump after a hand-back. No fabric.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

#include <cmocka.h>

#include "host/host_daemon.h"
#include "ibside/ib_set_impl.h"
#include "tests/unit/host/netns.h"

#define TX (64u << 10)
#define RX (32u << 10)

/** A daemon without gateway, one connection, and both ends of the outside world. */
struct rig {
	struct host h;	       /* the daemon */
	struct host_conn *c;   /* the connection */
	struct host_flow flow; /* its flow */
	int p;		       /* the program's descriptor */
	int cli;	       /* the client's socket */
	uint32_t gen;	       /* of the slot */
};

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	int srv = -1;

	assert_non_null(r);
	r->h.loop = ev_loop_new(EVFLAG_AUTO);
	r->h.conf.slots = 4;
	r->h.conf.tx_ring = TX;
	r->h.conf.rx_ring = RX;
	r->h.epd = epoll_create1(0);
	r->h.tap.fd = -1;
	LIST_INIT(&r->h.conns.list);
	assert_int_equal(host_conns_open(&r->h), 0);
	assert_true(netns_pair(&srv, &r->cli, 0));
	r->c = host_conn_new(&r->h, &r->flow, srv, NULL, getuid());
	assert_non_null(r->c);
	r->c->gw = &r->h.gw[0];
	r->p = r->c->pfd;
	r->c->pfd = -1;
	r->gen = r->c->meta->gen;
	host_conn_set_state(r->c, HOST_S_ACCEL);
	return r;
}

/* To the state after a hand-back. */
static void to_pump(struct rig *r)
{
	host_conn_set_state(r->c, HOST_S_BACK);
	host_conn_set_state(r->c, HOST_S_PUMP);
	r->c->p_tx_acked = r->c->gl->tx_acked;
	r->c->p_rx_prod = r->c->gl->rx_prod;
	host_pump_start(r->c);
}

static void rig_free(struct rig *r)
{
	if (!LIST_EMPTY(&r->h.conns.list))
		host_conn_free(r->c);
	close(r->p);
	close(r->cli);
	close(r->h.epd);
	host_arena_close(r->h.arena[0]);
	host_conns_close(&r->h);
	ev_loop_destroy(r->h.loop);
	free(r);
}

static short events(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

	poll(&p, 1, 0);
	return p.revents;
}

static void reader_gets_one_byte(void **state)
{
	struct rig *r = rig_new();
	char buf[64];

	assert_int_equal(events(r->p) & POLLIN, 0);
	r->c->gl->rx_prod = 100;
	host_wake_reader(r->c);
	host_wake_reader(r->c);
	assert_true(events(r->p) & POLLIN);
	assert_int_equal(recv(r->p, buf, sizeof(buf), MSG_DONTWAIT), 1);
	atomic_store(&r->c->meta->rx_signaled, 0);
	r->c->hl->rx_cons = 100; /* nothing left: no byte */
	host_wake_reader(r->c);
	assert_int_equal(events(r->p) & POLLIN, 0);
	rig_free(r);
}

static void writer_waits_for_a_third(void **state)
{
	static const char filler[HOST_FILLER];
	struct rig *r = rig_new();
	int least = 0;

	setsockopt(r->p, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	r->c->hl->tx_prod = TX;
	atomic_store(&r->c->meta->tx_blocked, 1);
	atomic_store(&r->c->meta->filler_written, HOST_FILLER);
	assert_int_equal(send(r->p, filler, HOST_FILLER, MSG_DONTWAIT), HOST_FILLER);
	assert_int_equal(events(r->p) & POLLOUT, 0);
	host_wake_event(r->c); /* filler is not stream data */
	assert_int_equal(r->c->hl->tx_prod, TX);
	r->c->gl->tx_sent = r->c->gl->tx_acked = TX / 4;
	host_wake_writer(r->c);
	assert_int_equal(events(r->p) & POLLOUT, 0);
	r->c->gl->tx_sent = r->c->gl->tx_acked = TX / 3 + 1;
	host_wake_writer(r->c);
	assert_true(events(r->p) & POLLOUT);
	assert_int_equal(atomic_load(&r->c->meta->tx_blocked), 0);
	assert_int_equal(atomic_load(&r->c->meta->filler_drained), HOST_FILLER);
	rig_free(r);
}

static void unmarked_bytes_are_stream_data(void **state)
{
	static const char filler[HOST_FILLER];
	struct rig *r = rig_new();

	r->c->hl->tx_prod = r->c->gl->tx_sent = r->c->gl->tx_acked = TX - 3;
	assert_int_equal(write(r->p, "hello", 5), 5);
	host_wake_event(r->c);
	assert_int_equal(r->c->hl->tx_prod, TX + 2);
	assert_memory_equal(r->c->tx + TX - 3, "hel", 3);
	assert_memory_equal(r->c->tx, "lo", 2);

	/* behind filler, while the program holds its lock */
	atomic_store(&r->c->meta->tx_blocked, 1);
	atomic_store(&r->c->meta->filler_written, HOST_FILLER);
	assert_int_equal(write(r->p, filler, HOST_FILLER), HOST_FILLER);
	assert_int_equal(write(r->p, "bye", 3), 3);
	pthread_mutex_lock(&r->c->meta->tx_lock);
	host_wake_event(r->c);
	assert_int_equal(r->c->hl->tx_prod, TX + 2);
	pthread_mutex_unlock(&r->c->meta->tx_lock);
	host_wake_event(r->c);
	assert_int_equal(r->c->hl->tx_prod, TX + 5);
	assert_memory_equal(r->c->tx + 2, "bye", 3);
	rig_free(r);
}

static void bytes_before_the_end_come_first(void **state)
{
	struct rig *r = rig_new();

	assert_int_equal(write(r->p, "last", 4), 4);
	shutdown(r->p, SHUT_WR);
	host_wake_event(r->c);
	assert_int_equal(r->c->hl->tx_prod, 4);
	assert_int_equal(r->c->hl->flags, IB_HL_TX_FIN);
	assert_false(r->c->p_gone);
	close(r->p);
	r->p = -1;
	host_wake_event(r->c);
	assert_true(r->c->p_gone);
	assert_int_equal(r->c->hl->flags, IB_HL_TX_FIN | IB_HL_CLOSED);
	rig_free(r);
}

static void shut_both_ways_is_not_closed(void **state)
{
	struct rig *r = rig_new();
	char buf[16];

	shutdown(r->p, SHUT_WR);
	host_wake_event(r->c);
	r->c->gl->rx_prod = 10;
	host_wake_reader(r->c);
	host_wake_eof(r->c);
	assert_true(events(r->p) & POLLRDHUP);
	host_wake_event(r->c);
	assert_false(r->c->p_gone);
	assert_true(recv(r->p, buf, sizeof(buf), MSG_DONTWAIT) > 0); /* as a reader does */
	host_wake_event(r->c);
	assert_false(r->c->p_gone);
	close(r->p);
	r->p = -1;
	assert_true(host_wake_gone(r->c));
	host_wake_event(r->c);
	assert_true(r->c->p_gone);
	rig_free(r);
}

static void reset_reaches_the_program(void **state)
{
	struct rig *r = rig_new();

	host_wake_dead(r->c, ECONNRESET);
	assert_int_equal(atomic_load(&r->c->meta->err), ECONNRESET);
	assert_int_equal(atomic_load(&r->c->meta->mode), HOST_M_DEAD);
	assert_true((events(r->p) & (POLLIN | POLLHUP)) == (POLLIN | POLLHUP));
	host_conn_age(&r->h);
	assert_false(LIST_EMPTY(&r->h.conns.list));
	close(r->p);
	r->p = -1;
	host_conn_age(&r->h);
	assert_true(LIST_EMPTY(&r->h.conns.list));
	assert_int_equal(r->h.arena[0]->n_free, 4);
	assert_true(r->h.arena[0]->meta[0].gen != r->gen);
	rig_free(r);
}

static void impossible_cursors_are_refused(void **state)
{
	struct rig *r = rig_new();
	struct ib_gw_line l;

	r->c->hl->rx_cons = 1; /* more than was produced */
	assert_false(host_conn_cursors(r->c));
	r->c->hl->rx_cons = 0;
	r->c->hl->tx_prod = TX + 1;
	assert_false(host_conn_cursors(r->c));
	r->c->hl->tx_prod = 100;
	assert_true(host_conn_cursors(r->c));
	r->c->hl->tx_prod = 99; /* backwards */
	assert_false(host_conn_cursors(r->c));
	r->c->hl->tx_prod = 100;
	assert_true(host_conn_gwline(r->c, &l));
	r->c->gl->tx_sent = 101;
	assert_false(host_conn_gwline(r->c, &l));
	r->c->gl->tx_sent = 0;
	r->c->gl->n_ooo = 1;
	r->c->gl->ooo[0] = (struct ib_interval){10, RX + 1};
	assert_false(host_conn_gwline(r->c, &l));
	r->c->gl->ooo[0].end = RX;
	assert_true(host_conn_gwline(r->c, &l));
	assert_true(r->h.count.v[HOST_C_BAD_CURSOR] >= 5);
	rig_free(r);
}

/* Random amounts both ways; every byte must arrive, in order. */
static void pump_carries_both_ways(void **state)
{
	enum { TOTAL = 1 << 20 };
	unsigned int seed = (unsigned int)time(NULL);
	struct rig *r = rig_new();
	size_t put = 0, got = 0, sent = 0, taken = 0;
	uint8_t buf[8192];

	printf("seed %u\n", seed);
	srandom(seed);
	r->c->hl->tx_prod = r->c->gl->tx_sent = r->c->gl->tx_acked = 12345;
	r->c->gl->rx_prod = r->c->hl->rx_cons = 777;
	assert_true(host_conn_cursors(r->c));
	to_pump(r);
	while (got < TOTAL || taken < TOTAL) {
		size_t room = TX - (size_t)(r->c->hl->tx_prod - r->c->gl->tx_acked);
		size_t n = (size_t)random() % sizeof(buf);
		ssize_t k;

		for (n = n < room ? n : room; n && put < TOTAL; n--, put++)
			r->c->tx[r->c->hl->tx_prod++ & (TX - 1)] = (uint8_t)(put * 31 >> 3);
		n = (size_t)random() % sizeof(buf);
		n = n < TOTAL - sent ? n : TOTAL - sent;
		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)((sent + i) * 17 >> 2);
		k = n ? send(r->cli, buf, n, MSG_DONTWAIT) : 0;
		sent += k > 0 ? (size_t)k : 0;
		host_pump_run(r->c);
		k = recv(r->cli, buf, (size_t)random() % sizeof(buf) + 1, MSG_DONTWAIT);
		for (ssize_t i = 0; i < k; i++)
			assert_int_equal(buf[i], (uint8_t)(got++ * 31 >> 3));
		n = (size_t)random() % sizeof(buf);
		for (; n && r->c->hl->rx_cons < r->c->gl->rx_prod; n--)
			assert_int_equal(r->c->rx[r->c->hl->rx_cons++ & (RX - 1)],
					 (uint8_t)(taken++ * 17 >> 2));
	}
	rig_free(r);
}

static void pump_closes_when_drained(void **state)
{
	struct rig *r = rig_new();
	char buf[16];

	to_pump(r);
	memcpy(r->c->tx, "end", 3);
	r->c->hl->tx_prod = 3;
	shutdown(r->p, SHUT_WR);
	host_wake_event(r->c);
	assert_int_equal(recv(r->cli, buf, sizeof(buf), MSG_WAITALL), 3);
	shutdown(r->cli, SHUT_WR);
	usleep(20000);
	host_pump_run(r->c);
	assert_true(atomic_load(&r->c->meta->rx_eof));
	close(r->p);
	r->p = -1;
	host_wake_event(r->c);
	assert_true(LIST_EMPTY(&r->h.conns.list));
	rig_free(r);
}

static void unread_bytes_at_close_reset(void **state)
{
	struct rig *r = rig_new();
	char buf[16];

	to_pump(r);
	assert_int_equal(send(r->cli, "unread", 6, 0), 6);
	usleep(20000);
	host_pump_run(r->c);
	close(r->p);
	r->p = -1;
	host_wake_event(r->c);
	assert_true(LIST_EMPTY(&r->h.conns.list));
	assert_int_equal(recv(r->cli, buf, sizeof(buf), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	rig_free(r);
}

static void reset_by_the_client_while_pumped(void **state)
{
	struct linger l = {.l_onoff = 1};
	struct rig *r = rig_new();

	to_pump(r);
	setsockopt(r->cli, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(r->cli);
	r->cli = -1;
	usleep(20000);
	host_pump_run(r->c);
	assert_int_equal(r->c->state, HOST_S_DEAD);
	assert_int_equal(atomic_load(&r->c->meta->err), ECONNRESET);
	rig_free(r);
}

/* BACK_ACK sends the client's frames here: not before the kernel stands still and the map is made.
 */
static void disconn_twice_is_answered_once(void **state)
{
	struct ib_ctl m = {.token = htobe32(7), .reason = htobe16(IB_R_CLOSE)};
	struct rig *r = rig_new();
	struct host_worker *w = &r->h.gw[0].worker[0];
	static const struct host_conf_gw conf = {.name = "gw"};
	static struct ib_set_impl impl; /* what is sent waits there */
	uint32_t one;
	char buf[4096] = {0};

	r->h.gw[0].h = &r->h;
	r->h.gw[0].conf = &conf;
	r->h.gw[0].state = HOST_G_UP;
	w->gw = &r->h.gw[0];
	w->open = true;
	w->set.impl = &impl;
	assert_int_equal(ib_msgq_open(&impl.queue), 0);
	r->c->worker = w;
	r->flow.state = HOST_F_COMMITTED;
	host_conn_link(r->c, 7);
	while (send(r->c->kfd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	host_conn_msg(w, IB_MID_DISCONN, &m, 1);
	host_conn_msg(w, IB_MID_DISCONN, &m, 1);
	assert_int_equal(r->c->state, HOST_S_BACK);
	assert_int_equal(r->flow.state, HOST_F_COMMITTED);
	assert_int_equal(ib_set_waiting(&w->set), 0);
	while (host_freeze_outq(r->c->kfd) > 0)
		recv(r->cli, buf, sizeof(buf), MSG_DONTWAIT);
	host_back_timer(r->c);
	assert_int_equal(r->c->state, HOST_S_PUMP);
	assert_int_equal(r->flow.state, HOST_F_MAPPED);
	one = ib_set_waiting(&w->set);
	assert_true(one > 0);
	/* Now nothing holds it back. */
	host_conn_msg(w, IB_MID_DISCONN, &m, 1);
	assert_int_equal(ib_set_waiting(&w->set), 2 * one);
	ib_msgq_close(&impl.queue);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_gets_one_byte),
		cmocka_unit_test(writer_waits_for_a_third),
		cmocka_unit_test(unmarked_bytes_are_stream_data),
		cmocka_unit_test(bytes_before_the_end_come_first),
		cmocka_unit_test(shut_both_ways_is_not_closed),
		cmocka_unit_test(reset_reaches_the_program),
		cmocka_unit_test(impossible_cursors_are_refused),
		cmocka_unit_test(pump_carries_both_ways),
		cmocka_unit_test(pump_closes_when_drained),
		cmocka_unit_test(unread_bytes_at_close_reset),
		cmocka_unit_test(reset_by_the_client_while_pumped),
		cmocka_unit_test(disconn_twice_is_answered_once),
	};

	netns_enter();
	host_log_level(HOST_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
