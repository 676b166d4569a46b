/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between processes: private and memfd memory, every operation at random, the death of a peer at
 * any moment, what it leaves behind, and network namespaces.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "softhca.h"

/* What the child is to do; set before the fork. */
static struct rig_opt child_opt;
static const struct rig_conn *child_conn;

/* Child: connects one end and echoes received messages until told to end. */
static int echo_child(int fd)
{
	struct rig_addr other;
	struct rig_end e;
	struct ibv_wc wc;

	rig_up(&e, &child_opt);
	rig_tell(fd, &e.me, sizeof(e.me));
	rig_hear(fd, &other, sizeof(other));
	rig_connect(&e, &other, child_conn);
	for (uint64_t i = 0; i < 16; i++)
		rig_recv(&e, i, (uint32_t)i * 32768, 32768);
	rig_tell(fd, "", 1);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (ibv_poll_cq(e.rcq, 1, &wc) && wc.status == IBV_WC_SUCCESS) {
			assert_int_equal(rig_post(&e, IBV_WR_SEND_WITH_IMM, wc.imm_data,
						  (uint32_t)wc.wr_id * 32768, wc.byte_len, NULL, 0,
						  0),
					 0);
			if (rig_wait(e.scq).status != IBV_WC_SUCCESS)
				break;
			rig_recv(&e, wc.wr_id, (uint32_t)wc.wr_id * 32768, 32768);
		} else if (poll(&p, 1, 0)) {
			break;
		}
	}
	rig_down(&e);
	return 0;
}

static int start(struct rig_end *e, struct rig_addr *to, const struct rig_opt *o,
		 const struct rig_conn *c, int *fd)
{
	char ready;
	int pid;

	child_opt = *o;
	child_conn = c;
	pid = rig_fork(echo_child, fd);
	rig_up(e, o);
	rig_hear(*fd, to, sizeof(*to));
	rig_tell(*fd, &e->me, sizeof(e->me));
	rig_connect(e, to, c);
	rig_hear(*fd, &ready, 1);
	return pid;
}

static void echo(struct rig_end *e, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		e->buf[i] = (uint8_t)(seed + i * 7);
	memset(e->buf + 65536, 0, len);
	rig_recv(e, 1, 65536, 32768);
	assert_int_equal(rig_post(e, IBV_WR_SEND_WITH_IMM, seed, 0, len, NULL, 0, 0), 0);
	rig_ok(e->scq);
	assert_int_equal(rig_wait(e->rcq).imm_data, seed);
	assert_memory_equal(e->buf, e->buf + 65536, len);
}

static void end(int pid, int fd, struct rig_end *e)
{
	close(fd);
	assert_int_equal(rig_reap(pid), 0);
	rig_down(e);
}

static void echoes(bool in_memfd)
{
	static const uint32_t sizes[] = {0, 1, 4095, 4096, 4097, 4136, 4137, 32768};
	const struct rig_opt o = {.type = IBV_QPT_RC, .memfd = in_memfd};
	struct softhca_counters c;
	struct rig_addr to;
	struct rig_end e;
	int fd, pid = start(&e, &to, &o, NULL, &fd);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		echo(&e, sizes[i], (uint32_t)i + 1);
	for (uint32_t i = 0; i < 300; i++)
		echo(&e, i * 13, i);
	assert_int_equal(softhca_query_counters(e.ctx, &c), 0);
	if (in_memfd) {
		assert_true(c.bytes_mapped > 0);
		assert_int_equal(c.bytes_staged, 0);
		assert_int_equal(c.bytes_syscall, 0); /* no system call moved payload */
	} else {
		assert_true(c.bytes_staged > 0);
		assert_true(c.bytes_syscall > 0);
	}
	end(pid, fd, &e);
}

static void private_memory(void **state)
{
	(void)state;
	echoes(false);
}

static void memfd_memory(void **state)
{
	(void)state;
	echoes(true);
}

/* READs and WRITEs at random, checked against a copy kept here. */
static void rdma_random(bool in_memfd, unsigned int seed)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .memfd = in_memfd};
	uint8_t *model = calloc(1, 262144);
	struct rig_addr to;
	struct rig_end e;
	int fd, pid = start(&e, &to, &o, NULL, &fd);

	print_message("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 400; i++) {
		uint32_t off = (uint32_t)random() % 131072, len = (uint32_t)random() % 131072;
		uint64_t base = 524288;

		if (i & 1)
			len %= 600;
		if (random() & 1) {
			memset(e.buf, (int)(random() & 0xff), len);
			memcpy(model + off, e.buf, len);
			assert_int_equal(
				rig_post(&e, IBV_WR_RDMA_WRITE, 1, 0, len, &to, base + off, 0), 0);
			rig_ok(e.scq);
		} else {
			assert_int_equal(
				rig_post(&e, IBV_WR_RDMA_READ, 1, 0, len, &to, base + off, 0), 0);
			rig_ok(e.scq);
			assert_memory_equal(e.buf, model + off, len);
		}
	}
	free(model);
	end(pid, fd, &e);
}

static void rdma(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);

	(void)state;
	rdma_random(false, seed);
	rdma_random(true, seed + 1);
}

static void atomics(bool in_memfd)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .memfd = in_memfd};
	struct rig_addr to;
	struct rig_end e;
	int fd, pid = start(&e, &to, &o, NULL, &fd);
	struct ibv_sge s = {(uintptr_t)e.buf, 8, e.mr->lkey};
	struct ibv_send_wr w = {.sg_list = &s,
				.num_sge = 1,
				.send_flags = IBV_SEND_SIGNALED,
				.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD},
			   *bad;

	w.wr.atomic.remote_addr = to.addr + 1000000;
	w.wr.atomic.rkey = to.rkey;
	w.wr.atomic.compare_add = 3;
	for (uint64_t i = 0; i < 5; i++) {
		assert_int_equal(ibv_post_send(e.qp, &w, &bad), 0);
		rig_ok(e.scq);
		assert_int_equal(*(uint64_t *)(void *)e.buf, i * 3);
	}
	end(pid, fd, &e);
}

static void atomic_ops(void **state)
{
	(void)state;
	atomics(false);
	atomics(true);
}

/* The peer is killed while idle: the next request fails, and the queue pair flushes. */
static void killed_idle(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .memfd = true};
	struct softhca_counters c;
	struct rig_addr to;
	struct rig_end e;
	int fd, pid = start(&e, &to, &o, NULL, &fd);

	(void)state;
	kill(pid, SIGKILL);
	assert_int_equal(rig_reap(pid), 128 + SIGKILL);
	for (int i = 0; i < 1000; i++) {
		softhca_query_counters(e.ctx, &c);
		if (c.peers_died)
			break;
		usleep(1000);
	}
	assert_int_equal(c.peers_died, 1);
	assert_int_equal(rig_post(&e, IBV_WR_RDMA_READ, 1, 0, 64, &to, 0, 0), 0);
	assert_int_equal(rig_post(&e, IBV_WR_RDMA_READ, 2, 0, 64, &to, 0, 0), 0);
	assert_int_equal(rig_wait(e.scq).status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(rig_wait(e.scq).status, IBV_WC_WR_FLUSH_ERR);
	close(fd);
	rig_down(&e);
}

/* The peer is killed while a send waits for it, however long that may wait. */
static void killed_while_waiting(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct rig_addr to;
	struct rig_end e;
	int fd, pid = start(&e, &to, &o, NULL, &fd);

	(void)state;
	kill(pid, SIGSTOP);
	for (uint64_t i = 0; i < 17; i++) /* it has posted 16 receives */
		assert_int_equal(rig_post(&e, IBV_WR_SEND, i, 0, 8, NULL, 0, 0), 0);
	for (uint64_t i = 0; i < 16; i++)
		rig_ok(e.scq);
	usleep(5000);
	rig_none(e.scq);
	kill(pid, SIGKILL);
	assert_int_equal(rig_reap(pid), 128 + SIGKILL);
	assert_int_equal(rig_wait(e.scq).status, IBV_WC_RETRY_EXC_ERR);
	close(fd);
	rig_down(&e);
}

/* Child: sends to the parent as fast as it can, until it is killed. */
static int flood_child(int fd)
{
	struct rig_addr other;
	struct rig_end e;
	struct ibv_wc wc;

	rig_up(&e, &child_opt);
	rig_tell(fd, &e.me, sizeof(e.me));
	rig_hear(fd, &other, sizeof(other));
	rig_connect(&e, &other, NULL);
	rig_tell(fd, "", 1);
	for (uint64_t i = 0;; i++) {
		while (rig_post(&e, i & 1 ? IBV_WR_SEND : IBV_WR_RDMA_WRITE, i, 0,
				(uint32_t)(i % 5) * 1500, &other, 0, 0) == ENOMEM)
			ibv_poll_cq(e.scq, 1, &wc);
	}
	return 0;
}

/* Whatever the peer was doing when it was killed, this end's queues stay whole: every receive
 * request comes back exactly once. */
static void killed_in_the_act(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	int rounds = 30;

	(void)state;
	child_opt = o;
	for (int r = 0; r < rounds; r++) {
		uint32_t posted = 0, back = 0;
		uint64_t want = 0;
		struct rig_addr to;
		struct rig_end e;
		struct ibv_wc wc;
		int fd, pid = rig_fork(flood_child, &fd);
		bool down = false;
		char ready;

		rig_up(&e, &o);
		rig_hear(fd, &to, sizeof(to));
		rig_tell(fd, &e.me, sizeof(e.me));
		rig_connect(&e, &to, NULL);
		for (; posted < 32; posted++)
			rig_recv(&e, posted, posted * 8192, 8192);
		rig_hear(fd, &ready, 1);
		for (int i = 0; back < posted; i++) {
			if (i == 300 + r * 37) {
				kill(pid, SIGKILL);
				assert_int_equal(rig_reap(pid), 128 + SIGKILL);
				rig_to(e.qp, IBV_QPS_ERR);
				down = true;
			}
			while (ibv_poll_cq(e.rcq, 1, &wc)) {
				assert_int_equal(wc.wr_id, want);
				want = (want + 1) % 32;
				back++;
				if (down)
					continue;
				rig_recv(&e, wc.wr_id, (uint32_t)wc.wr_id * 8192, 8192);
				posted++;
			}
		}
		rig_none(e.rcq);
		close(fd);
		rig_down(&e);
	}
}

/* A killed process leaves a file; the next port removes it and takes its LID. */
static void leftovers(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct rig_addr to;
	struct rig_end e, f;
	char path[128];
	int fd, pid = start(&e, &to, &o, NULL, &fd);

	(void)state;
	snprintf(path, sizeof(path), "%s/%u.port", getenv("SOFTHCA_DIR"), to.lid);
	kill(pid, SIGKILL);
	rig_reap(pid);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	f = e;
	rig_down(&e);
	if (f.me.lid > to.lid) {
		rig_up(&f, &o);
		assert_int_equal(f.me.lid, to.lid < f.me.lid ? to.lid : f.me.lid);
		rig_down(&f);
	} else {
		rig_up(&f, &o);
		rig_down(&f);
	}
	assert_int_equal(access(path, F_OK), -1);
}

static int netns_child(int fd)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	return echo_child(fd);
}

static void other_namespace(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct rig_addr to;
	struct rig_end e;
	int fd, pid;
	char ready;

	(void)state;
	if (geteuid())
		skip();
	child_opt = o;
	child_conn = NULL;
	pid = rig_fork(netns_child, &fd);
	rig_up(&e, &o);
	rig_hear(fd, &to, sizeof(to));
	rig_tell(fd, &e.me, sizeof(e.me));
	rig_connect(&e, &to, NULL);
	rig_hear(fd, &ready, 1);
	echo(&e, 9000, 4);
	end(pid, fd, &e);
}

/* A child of fork() that exits normally takes nothing of its parent's down. */
static void forked_child(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct rig_addr to;
	struct rig_end e, mine;
	int fd, pid = start(&e, &to, &o, NULL, &fd), kid;

	(void)state;
	fflush(NULL);
	kid = fork();
	if (!kid) {
		rig_up(&mine, &o); /* and it may have a port of its own */
		if (mine.me.lid == e.me.lid)
			_exit(1);
		rig_down(&mine);
		exit(0);
	}
	assert_int_equal(rig_reap(kid), 0);
	echo(&e, 9000, 4);
	end(pid, fd, &e);
}

/* Memory that went away under its registration: an error, not a crash. */
static int unmap_child(int fd)
{
	struct rig_addr other;
	struct rig_end e;
	char c;

	rig_up(&e, &child_opt);
	rig_tell(fd, &e.me, sizeof(e.me));
	rig_hear(fd, &other, sizeof(other));
	rig_connect(&e, &other, NULL);
	if (child_opt.memfd)
		assert_int_equal(ftruncate(e.memfd, 0), 0);
	else
		munmap(e.buf, 4096);
	rig_tell(fd, "", 1);
	rig_hear(fd, &c, 1);
	rig_down(&e);
	return 0;
}

static void vanish(bool in_memfd)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .memfd = in_memfd};
	struct rig_addr to;
	struct rig_end e;
	int fd, pid;
	char ready;

	child_opt = o;
	pid = rig_fork(unmap_child, &fd);
	rig_up(&e, &o);
	rig_hear(fd, &to, sizeof(to));
	rig_tell(fd, &e.me, sizeof(e.me));
	rig_connect(&e, &to, NULL);
	rig_hear(fd, &ready, 1);
	assert_int_equal(rig_post(&e, IBV_WR_RDMA_READ, 1, 0, 8192, &to, 0, 0), 0);
	assert_int_equal(rig_wait(e.scq).status, IBV_WC_REM_OP_ERR);
	rig_tell(fd, "", 1);
	end(pid, fd, &e);
}

static void unmapped(void **state)
{
	(void)state;
	vanish(false);
}

static void truncated(void **state)
{
	(void)state;
	vanish(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_memory),
		cmocka_unit_test(memfd_memory),
		cmocka_unit_test(rdma),
		cmocka_unit_test(atomic_ops),
		cmocka_unit_test(killed_idle),
		cmocka_unit_test(killed_while_waiting),
		cmocka_unit_test(killed_in_the_act),
		cmocka_unit_test(leftovers),
		cmocka_unit_test(other_namespace),
		cmocka_unit_test(forked_child),
		cmocka_unit_test(unmapped),
		cmocka_unit_test(truncated),
	};

	rig_dir();
	alarm(100);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
