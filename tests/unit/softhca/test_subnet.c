/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A subnet of 64 processes: each sends a datagram to every other and READs its neighbour's memory.
 * Half of them are killed, the others notice; what the dead held is free again for their
 * successors.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rig.h"

#define N 64u

/* What a process of the subnet tells all others. */
struct member {
	struct rig_addr ud, left, right; /* its ends; `left` answers, `right` asks */
};

/* Shared by all: the members, and how many have got how far. */
struct board {
	struct member m[N];
	_Atomic uint32_t here, said, read;
};

static struct board *board;
static uint32_t self; /* which child this is, set before the fork */

static void await(_Atomic uint32_t *count, uint32_t n)
{
	while (atomic_load(count) < n)
		poll(NULL, 0, 1);
}

/* A datagram with our number to member @i. */
static void greet(struct rig_end *e, uint32_t i)
{
	struct ibv_ah_attr aa = {.port_num = 1, .dlid = board->m[i].ud.lid};
	struct ibv_ah *ah = ibv_create_ah(e->pd, &aa);
	struct ibv_sge s = {(uintptr_t)e->buf, sizeof(self), e->mr->lkey};
	struct ibv_send_wr w = {.sg_list = &s,
				.num_sge = 1,
				.opcode = IBV_WR_SEND,
				.send_flags = IBV_SEND_SIGNALED},
			   *bad;

	assert_non_null(ah);
	memcpy(e->buf, &self, sizeof(self));
	w.wr.ud.ah = ah;
	w.wr.ud.remote_qpn = board->m[i].ud.qpn;
	w.wr.ud.remote_qkey = RIG_QKEY;
	assert_int_equal(ibv_post_send(e->qp, &w, &bad), 0);
	rig_ok(e->scq);
	assert_int_equal(ibv_destroy_ah(ah), 0);
}

/* Greets all and hears all. */
static void meet(struct rig_end *ud)
{
	uint64_t seen = 1ull << self;
	struct ibv_wc wc;
	uint32_t who;

	for (uint32_t i = 0; i < N; i++)
		if (i != self)
			greet(ud, i);
	for (uint32_t i = 1; i < N; i++) {
		wc = rig_wait(ud->rcq);
		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		memcpy(&who, ud->buf + 4096 + wc.wr_id * 64 + 40, sizeof(who));
		assert_int_equal(wc.slid, board->m[who].ud.lid);
		seen |= 1ull << who;
	}
	assert_int_equal(seen, UINT64_MAX);
}

/* One member. The odd ones are killed at the end, and the even ones' READs fail. */
static int member(int fd)
{
	const struct rig_opt dgram = {.type = IBV_QPT_UD, .depth = 128}, rc = {.type = IBV_QPT_RC};
	const struct rig_conn quick = {.timeout = 10, .retry = 2};
	const struct member *next = &board->m[(self + 1) % N];
	struct rig_end ud, left, right;
	char c;

	rig_up(&ud, &dgram);
	rig_up(&left, &rc);
	rig_up(&right, &rc);
	rig_connect(&ud, NULL, NULL);
	for (uint32_t i = 0; i < N; i++)
		rig_recv(&ud, i, 4096 + i * 64, 64);
	memcpy(left.buf, &self, sizeof(self));
	board->m[self] = (struct member){ud.me, left.me, right.me};
	atomic_fetch_add(&board->here, 1);
	await(&board->here, N);
	rig_connect(&left, &board->m[(self + N - 1) % N].right, &quick);
	rig_connect(&right, &next->left, &quick);
	meet(&ud);
	atomic_fetch_add(&board->said, 1);
	await(&board->said, N);
	assert_int_equal(rig_post(&right, IBV_WR_RDMA_READ, 1, 0, 4, &next->left, 0, 0), 0);
	rig_ok(right.scq);
	assert_int_equal(*(uint32_t *)(void *)right.buf, (self + 1) % N);
	atomic_fetch_add(&board->read, 1);
	rig_hear(fd, &c, 1); /* the odd ones hear nothing: they are killed */
	assert_int_equal(rig_post(&right, IBV_WR_RDMA_READ, 1, 0, 4, &next->left, 0, 0), 0);
	assert_int_equal(rig_wait(right.scq).status, IBV_WC_RETRY_EXC_ERR);
	rig_tell(fd, "", 1);
	rig_hear(fd, &c, 1);
	rig_down(&ud);
	rig_down(&left);
	rig_down(&right);
	return 0;
}

/* Ports that the subnet's directory lists. */
static uint32_t ports(void)
{
	DIR *d = opendir(getenv("SOFTHCA_DIR"));
	struct dirent *e;
	uint32_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += strstr(e->d_name, ".port") != NULL;
	closedir(d);
	return n;
}

/* Ports that open now get the LIDs of the dead. */
static void succeed(const uint16_t *lid, uint32_t n)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_port_attr port;
	struct ibv_context *ctx;

	ctx = ibv_open_device(list[0]);
	ibv_free_device_list(list);
	assert_non_null(ctx);
	assert_int_equal(ibv_query_port(ctx, 1, &port), 0);
	for (uint32_t i = 0; i < n && lid; i++)
		if (lid[i] == port.lid)
			lid = NULL;
	assert_null(lid);
	assert_int_equal(ports(), N / 2 + 1); /* all that was left behind is gone */
	assert_int_equal(ibv_close_device(ctx), 0);
}

static void sixty_four(void **state)
{
	uint16_t dead[N / 2];
	int pid[N], fd[N];
	char c;

	(void)state;
	for (self = 0; self < N; self++)
		pid[self] = rig_fork(member, &fd[self]);
	await(&board->read, N);
	assert_int_equal(ports(), N);
	for (uint32_t i = 1; i < N; i += 2) {
		dead[i / 2] = board->m[i].ud.lid;
		kill(pid[i], SIGKILL);
		assert_int_equal(rig_reap(pid[i]), 128 + SIGKILL);
	}
	for (uint32_t i = 0; i < N; i += 2)
		rig_tell(fd[i], "", 1);
	for (uint32_t i = 0; i < N; i += 2)
		rig_hear(fd[i], &c, 1);
	succeed(dead, N / 2);
	for (uint32_t i = 0; i < N; i += 2) {
		rig_tell(fd[i], "", 1);
		assert_int_equal(rig_reap(pid[i]), 0);
	}
	for (uint32_t i = 0; i < N; i++)
		close(fd[i]);
	assert_int_equal(ports(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sixty_four)};

	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED)
		return 1;
	rig_dir();
	alarm(100);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
