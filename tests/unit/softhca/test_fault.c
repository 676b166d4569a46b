/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults on request: each kind of rule, what both ends see of it, selectors and counts.  Rules are
 * added by the tool while the queue pairs are up, but for one test by the environment.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "softhca.h"

static const char *tool;
static const struct rig_opt rc = {.type = IBV_QPT_RC}, ud = {.type = IBV_QPT_UD};

/* softhca-fault @words; must succeed. */
static void fault(const char *words)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "%s %s", tool, words);
	assert_int_equal(system(cmd), 0);
}

static int clear(void **state)
{
	(void)state;
	fault("clear");
	return 0;
}

static uint64_t hits(struct rig_end *e)
{
	struct softhca_counters c;

	assert_int_equal(softhca_query_counters(e->ctx, &c), 0);
	return c.faults;
}

static enum ibv_wc_status read_one(struct rig_end *a, struct rig_end *b)
{
	assert_int_equal(rig_post(a, IBV_WR_RDMA_READ, 1, 0, 64, &b->me, 0, 0), 0);
	return rig_wait(a->scq).status;
}

static void rebuild(struct rig_end *a, struct rig_end *b)
{
	rig_to(a->qp, IBV_QPS_RESET);
	rig_to(b->qp, IBV_QPS_RESET);
	rig_connect(a, &b->me, NULL);
	rig_connect(b, &a->me, NULL);
}

static enum ibv_qp_state state_of(struct rig_end *e)
{
	struct ibv_qp_init_attr i;
	struct ibv_qp_attr a;

	assert_int_equal(ibv_query_qp(e->qp, &a, IBV_QP_STATE, &i), 0);
	return a.qp_state;
}

/* The next asynchronous event of @e, which comes within a second. */
static enum ibv_event_type event(struct rig_end *e)
{
	struct pollfd p = {.fd = e->ctx->async_fd, .events = POLLIN};
	struct ibv_async_event ev;

	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(ibv_get_async_event(e->ctx, &ev), 0);
	ibv_ack_async_event(&ev);
	return ev.event_type;
}

static void retry_exceeded(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	fault("add retry-exc op=read after=2");
	rig_recv(&b, 1, 0, 64);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	rig_ok(a.scq);
	assert_int_equal(read_one(&a, &b), IBV_WC_SUCCESS);
	assert_int_equal(read_one(&a, &b), IBV_WC_SUCCESS);
	assert_int_equal(read_one(&a, &b), IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(state_of(&a), IBV_QPS_ERR);
	assert_int_equal(read_one(&a, &b), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(state_of(&b), IBV_QPS_RTS);
	rig_ok(b.rcq);
	rebuild(&a, &b);
	assert_int_equal(read_one(&a, &b), IBV_WC_SUCCESS); /* once only */
	assert_int_equal(hits(&a), 1);
	rig_down(&a);
	rig_down(&b);
}

static void selected(void **state)
{
	struct rig_end a, b;
	char rule[128];

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	fault("add retry-exc proc=nobody");
	fault("add retry-exc pid=1");
	fault("add retry-exc op=write");
	fault("add retry-exc type=uc");
	snprintf(rule, sizeof(rule), "add retry-exc qpn=%u count=0", b.me.qpn);
	fault(rule);
	assert_int_equal(read_one(&a, &b), IBV_WC_SUCCESS);
	assert_int_equal(read_one(&b, &a), IBV_WC_RETRY_EXC_ERR);
	rebuild(&a, &b);
	assert_int_equal(read_one(&b, &a), IBV_WC_RETRY_EXC_ERR);
	fault("clear");
	rebuild(&a, &b);
	snprintf(rule, sizeof(rule), "add retry-exc to-qpn=0x%x to-lid=%u to-proc=test_soft_fault",
		 b.me.qpn, b.me.lid);
	fault(rule);
	assert_int_equal(read_one(&b, &a), IBV_WC_SUCCESS);
	assert_int_equal(read_one(&a, &b), IBV_WC_RETRY_EXC_ERR);
	rig_down(&a);
	rig_down(&b);
}

static void receiver_not_ready(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	rig_recv(&b, 1, 0, 64);
	fault("add rnr=30");
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	poll(NULL, 0, 10);
	rig_none(a.scq);
	rig_ok(a.scq);
	rig_ok(b.rcq);
	rig_recv(&b, 1, 0, 64);
	fault("add rnr");
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_RNR_RETRY_EXC_ERR);
	assert_int_equal(state_of(&a), IBV_QPS_ERR);
	rig_down(&a);
	rig_down(&b);
}

/* With few RNR retries, a receiver that looks empty for long is given up. */
static void receiver_never_ready(void **state)
{
	const struct rig_conn few = {.rnr_retry = 3};
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, &few);
	rig_recv(&b, 1, 0, 64);
	fault("add rnr=5000");
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_RNR_RETRY_EXC_ERR);
	rig_down(&a);
	rig_down(&b);
}

static void access_refused(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	fault("add rem-access op=write");
	assert_int_equal(read_one(&a, &b), IBV_WC_SUCCESS);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE, 1, 0, 64, &b.me, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(state_of(&a), IBV_QPS_ERR);
	assert_int_equal(state_of(&b), IBV_QPS_ERR);
	assert_int_equal(event(&b), IBV_EVENT_QP_ACCESS_ERR);
	rig_down(&a);
	rig_down(&b);
}

static void queue_pair_fatal(void **state)
{
	struct rig_end a, b;
	char rule[64];

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	fault("add qp-fatal");
	assert_int_equal(read_one(&a, &b), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(state_of(&a), IBV_QPS_ERR);
	assert_int_equal(event(&a), IBV_EVENT_QP_FATAL);
	rebuild(&a, &b);
	/* one that is named needs no request */
	rig_recv(&b, 7, 0, 64);
	snprintf(rule, sizeof(rule), "add qp-fatal qpn=%u", b.me.qpn);
	fault(rule);
	assert_int_equal(event(&b), IBV_EVENT_QP_FATAL);
	assert_int_equal(state_of(&b), IBV_QPS_ERR);
	assert_int_equal(rig_wait(b.rcq).status, IBV_WC_WR_FLUSH_ERR);
	rig_down(&a);
	rig_down(&b);
}

static enum ibv_port_state port_state(struct rig_end *e)
{
	struct ibv_port_attr pa;

	assert_int_equal(ibv_query_port(e->ctx, 1, &pa), 0);
	return pa.state;
}

static void port_down_and_up(void **state)
{
	const struct rig_conn slow = {.timeout = 16, .retry = 7},
			      fast = {.timeout = 10, .retry = 1};
	const struct rig_opt other = {.type = IBV_QPT_RC, .dev = "soft1"};
	struct rig_end a, b;
	char rule[64];

	(void)state;
	rig_up(&a, &rc);
	rig_up(&b, &other);
	rig_connect(&a, &b.me, &slow);
	rig_connect(&b, &a.me, &slow);
	snprintf(rule, sizeof(rule), "add port-down lid=%u", b.me.lid);
	fault(rule);
	assert_int_equal(port_state(&b), IBV_PORT_DOWN);
	assert_int_equal(port_state(&a), IBV_PORT_ACTIVE);
	assert_int_equal(event(&b), IBV_EVENT_PORT_ERR);
	/* a short one is bridged by the transport's retries */
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 64, &b.me, 0, 0), 0);
	poll(NULL, 0, 20);
	rig_none(a.scq);
	fault("add port-up");
	rig_ok(a.scq);
	assert_int_equal(event(&b), IBV_EVENT_PORT_ACTIVE);
	assert_int_equal(port_state(&b), IBV_PORT_ACTIVE);
	/* a long one is not */
	rig_to(a.qp, IBV_QPS_RESET);
	rig_connect(&a, &b.me, &fast);
	fault(rule);
	assert_int_equal(read_one(&a, &b), IBV_WC_RETRY_EXC_ERR);
	/* and one with an end ends */
	assert_int_equal(event(&b), IBV_EVENT_PORT_ERR);
	fault("clear");
	assert_int_equal(event(&b), IBV_EVENT_PORT_ACTIVE);
	fault("add port-down=40 proc=test_soft_fault");
	assert_int_equal(event(&a), IBV_EVENT_PORT_ERR);
	assert_int_equal(event(&a), IBV_EVENT_PORT_ACTIVE);
	fault("add lid-change");
	assert_int_equal(event(&b), IBV_EVENT_PORT_ERR);
	assert_int_equal(event(&b), IBV_EVENT_PORT_ACTIVE);
	rig_down(&a);
	rig_down(&b);
}

static void lid_change(void **state)
{
	const struct rig_conn fast = {.timeout = 8, .retry = 1};
	struct ibv_port_attr port;
	struct rig_end a, b, c, d;

	(void)state;
	rig_up(&a, &rc);
	rig_up(&b, &rc);
	rig_connect(&a, &b.me, &fast);
	rig_connect(&b, &a.me, &fast);
	assert_int_equal(read_one(&a, &b), IBV_WC_SUCCESS);
	fault("add lid-change");
	assert_int_equal(event(&a), IBV_EVENT_LID_CHANGE);
	assert_int_equal(event(&a), IBV_EVENT_GID_CHANGE);
	assert_int_equal(ibv_query_port(a.ctx, 1, &port), 0);
	assert_int_not_equal(port.lid, a.me.lid);
	assert_int_equal(read_one(&a, &b), IBV_WC_RETRY_EXC_ERR);
	/* what is connected from now on works */
	rig_pair(&c, &d, &rc, NULL);
	assert_int_equal(c.me.lid, port.lid);
	assert_int_equal(read_one(&c, &d), IBV_WC_SUCCESS);
	rig_down(&a);
	rig_down(&b);
	rig_down(&c);
	rig_down(&d);
}

static void slow_read(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	strcpy((char *)b.buf + 4096, "early");
	fault("add slow-read=50 count=1");
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 64, &b.me, 4096, 0), 0);
	poll(NULL, 0, 20);
	rig_none(a.scq);
	strcpy((char *)b.buf + 4096, "late");
	rig_ok(a.scq);
	assert_string_equal(a.buf, "late");
	assert_int_equal(read_one(&a, &b), IBV_WC_SUCCESS);
	rig_down(&a);
	rig_down(&b);
}

/* The peer of a slow READ dies before it is done. */
static int dies_soon(int fd)
{
	struct rig_end b;
	struct rig_addr to;

	rig_up(&b, &rc);
	rig_tell(fd, &b.me, sizeof(b.me));
	rig_hear(fd, &to, sizeof(to));
	rig_connect(&b, &to, NULL);
	rig_tell(fd, "r", 1);
	pause();
	return 0;
}

static void death_in_mid_read(void **state)
{
	struct rig_addr to;
	struct rig_end a;
	int fd, pid;
	char c;

	(void)state;
	pid = rig_fork(dies_soon, &fd);
	rig_up(&a, &rc);
	rig_hear(fd, &to, sizeof(to));
	rig_tell(fd, &a.me, sizeof(a.me));
	rig_hear(fd, &c, 1);
	rig_connect(&a, &to, NULL);
	fault("add slow-read=2000");
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 64, &to, 0, 0), 0);
	poll(NULL, 0, 10);
	rig_none(a.scq);
	kill(pid, SIGKILL);
	assert_int_equal(rig_reap(pid), 128 + SIGKILL);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_RETRY_EXC_ERR);
	close(fd);
	rig_down(&a);
}

/* Sends datagram @n from @a to @b. */
static void datagram(struct rig_end *a, struct rig_end *b, struct ibv_ah *ah, uint32_t n)
{
	struct ibv_sge s = {(uintptr_t)a->buf, 8, a->mr->lkey};
	struct ibv_send_wr w = {.sg_list = &s,
				.num_sge = 1,
				.opcode = IBV_WR_SEND_WITH_IMM,
				.imm_data = n,
				.send_flags = IBV_SEND_SIGNALED},
			   *bad;

	w.wr.ud.ah = ah;
	w.wr.ud.remote_qpn = b->me.qpn;
	w.wr.ud.remote_qkey = RIG_QKEY;
	assert_int_equal(ibv_post_send(a->qp, &w, &bad), 0);
	rig_ok(a->scq);
}

static void datagrams(void **state)
{
	struct ibv_ah_attr aa = {.port_num = 1};
	struct rig_end a, b;
	struct ibv_ah *ah;

	(void)state;
	rig_pair(&a, &b, &ud, NULL);
	aa.dlid = b.me.lid;
	ah = ibv_create_ah(a.pd, &aa);
	for (int i = 0; i < 32; i++)
		rig_recv(&b, 0, 0, 64);
	fault("add ud-delay=30 count=1");
	datagram(&a, &b, ah, 1);
	datagram(&a, &b, ah, 2);
	assert_int_equal(rig_wait(b.rcq).imm_data, 2);
	rig_none(b.rcq);
	assert_int_equal(rig_wait(b.rcq).imm_data, 1);
	fault("add ud-reorder=100 count=1");
	datagram(&a, &b, ah, 3);
	rig_none(b.rcq);
	datagram(&a, &b, ah, 4);
	assert_int_equal(rig_wait(b.rcq).imm_data, 4);
	assert_int_equal(rig_wait(b.rcq).imm_data, 3);
	fault("add ud-reorder=100 count=1");
	datagram(&a, &b, ah, 5); /* nothing overtakes it: it comes by itself */
	assert_int_equal(rig_wait(b.rcq).imm_data, 5);
	fault("add ud-dup=100 count=1");
	datagram(&a, &b, ah, 6);
	assert_int_equal(rig_wait(b.rcq).imm_data, 6);
	assert_int_equal(rig_wait(b.rcq).imm_data, 6);
	fault("add ud-loss=100 count=2");
	for (uint32_t i = 7; i < 10; i++)
		datagram(&a, &b, ah, i);
	assert_int_equal(rig_wait(b.rcq).imm_data, 9);
	fault("add port-down");
	datagram(&a, &b, ah, 10);
	fault("add port-up");
	fault("add ud-delay=20");
	datagram(&a, &b, ah, 11);
	rig_none(b.rcq);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	rig_down(&a); /* its datagram is lost or comes; nothing is left of it */
	rig_down(&b);
}

static void environment(void **state)
{
	char words[256], *got;
	FILE *p;

	(void)state;
	snprintf(words, sizeof(words), "%s add retry-exc rnr 2>&1; %s add ud-loss=101 2>&1", tool,
		 tool);
	p = popen(words, "r");
	assert_non_null(p);
	got = fgets(words, sizeof(words), p);
	assert_non_null(got);
	assert_non_null(strstr(got, "one rule has one kind"));
	got = fgets(words, sizeof(words), p);
	assert_non_null(got);
	assert_non_null(strstr(got, "0 to 100 (per cent)"));
	pclose(p);
}

/* A child with a rule of its own, which is not this process's. */
static int own_rule(int fd)
{
	struct rig_end a, b;
	int bad;

	setenv("SOFTHCA_FAULTS", " ; retry-exc op=read;ud-loss=50 seed=3", 1);
	rig_pair(&a, &b, &rc, NULL);
	bad = read_one(&a, &b) != IBV_WC_RETRY_EXC_ERR;
	rig_tell(fd, &bad, sizeof(bad));
	rig_down(&a);
	rig_down(&b);
	return bad;
}

static void by_environment(void **state)
{
	int fd, bad, pid;

	(void)state;
	pid = rig_fork(own_rule, &fd);
	rig_hear(fd, &bad, sizeof(bad));
	assert_int_equal(rig_reap(pid), 0);
	close(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_environment), /* before this process opens a device */
		cmocka_unit_test_teardown(retry_exceeded, clear),
		cmocka_unit_test_teardown(selected, clear),
		cmocka_unit_test_teardown(receiver_not_ready, clear),
		cmocka_unit_test_teardown(receiver_never_ready, clear),
		cmocka_unit_test_teardown(access_refused, clear),
		cmocka_unit_test_teardown(queue_pair_fatal, clear),
		cmocka_unit_test_teardown(port_down_and_up, clear),
		cmocka_unit_test_teardown(lid_change, clear),
		cmocka_unit_test_teardown(slow_read, clear),
		cmocka_unit_test_teardown(death_in_mid_read, clear),
		cmocka_unit_test_teardown(datagrams, clear),
		cmocka_unit_test_teardown(environment, clear),
	};

	tool = argc > 1 ? argv[1] : "softhca-fault";
	rig_dir();
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
