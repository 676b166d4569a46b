/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Implementation of rig.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

/* Opens a device by name. */
struct ibv_context *rig_open(const char *dev)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = NULL;

	assert_non_null(list);
	for (int i = 0; list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), dev ? dev : "soft0"))
			ctx = ibv_open_device(list[i]);
	ibv_free_device_list(list);
	assert_non_null(ctx);
	return ctx;
}

static uint8_t *rig_mem(bool in_memfd, int *memfd)
{
	int fd = in_memfd ? memfd_create("rig", MFD_CLOEXEC) : -1;
	uint8_t *p;

	if (in_memfd)
		assert_int_equal(ftruncate(fd, RIG_BUF), 0);
	p = mmap(NULL, RIG_BUF, PROT_READ | PROT_WRITE,
		 in_memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	*memfd = fd;
	return p;
}

static struct ibv_qp *rig_qp(struct rig_end *e, const struct rig_opt *o)
{
	uint32_t depth = o->depth ? o->depth : 64;
	struct ibv_qp_init_attr_ex a = {
		.send_cq = e->scq,
		.recv_cq = e->rcq,
		.srq = e->srq,
		.cap = {.max_send_wr = depth,
			.max_recv_wr = depth,
			.max_send_sge = 4,
			.max_recv_sge = 4,
			.max_inline_data = o->inl},
		.qp_type = o->type,
		.sq_sig_all = o->sig_all,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = e->pd,
		.send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM,
	};

	if (o->type == IBV_QPT_RC)
		a.send_ops_flags |= IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM |
				    IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |
				    IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD;
	return o->ex ? ibv_create_qp_ex(e->ctx, &a)
		     : ibv_create_qp(e->pd, (struct ibv_qp_init_attr *)&a);
}

/* Makes an end, its queue pair in RESET. */
void rig_up(struct rig_end *e, const struct rig_opt *o)
{
	struct ibv_srq_init_attr s = {.attr = {.max_wr = 64, .max_sge = 4}};
	struct ibv_port_attr pa;
	int cqe = o->cqe ? o->cqe : 256;

	memset(e, 0, sizeof(*e));
	e->type = o->type;
	e->ctx = rig_open(o->dev);
	e->pd = ibv_alloc_pd(e->ctx);
	e->ch = ibv_create_comp_channel(e->ctx);
	e->scq = ibv_create_cq(e->ctx, cqe, e, e->ch, 0);
	e->rcq = ibv_create_cq(e->ctx, cqe, e, e->ch, 0);
	e->srq = o->srq ? ibv_create_srq(e->pd, &s) : NULL;
	assert_non_null(e->scq);
	assert_non_null(e->rcq);
	e->buf = rig_mem(o->memfd, &e->memfd);
	e->mr = ibv_reg_mr_iova2(e->pd, e->buf, RIG_BUF, (uintptr_t)e->buf,
				 (unsigned int)(o->access ? o->access : RIG_ALL_ACC));
	assert_non_null(e->mr);
	e->qp = rig_qp(e, o);
	assert_non_null(e->qp);
	assert_int_equal(ibv_query_port(e->ctx, 1, &pa), 0);
	assert_int_equal(ibv_query_gid(e->ctx, 1, 0, &e->me.gid), 0);
	e->me.lid = pa.lid;
	e->me.qpn = e->qp->qp_num;
	e->me.rkey = e->mr->rkey;
	e->me.addr = (uintptr_t)e->buf;
}

/* Takes an end down; everything must go without complaint. */
void rig_down(struct rig_end *e)
{
	if (e->qp)
		assert_int_equal(ibv_destroy_qp(e->qp), 0);
	if (e->srq)
		assert_int_equal(ibv_destroy_srq(e->srq), 0);
	assert_int_equal(ibv_dereg_mr(e->mr), 0);
	assert_int_equal(ibv_destroy_cq(e->scq), 0);
	assert_int_equal(ibv_destroy_cq(e->rcq), 0);
	assert_int_equal(ibv_destroy_comp_channel(e->ch), 0);
	assert_int_equal(ibv_dealloc_pd(e->pd), 0);
	assert_int_equal(ibv_close_device(e->ctx), 0);
	munmap(e->buf, RIG_BUF);
	if (e->memfd >= 0)
		close(e->memfd);
}

/* Moves a queue pair to a state that needs no attributes. */
void rig_to(struct ibv_qp *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr a = {.qp_state = state};

	assert_int_equal(ibv_modify_qp(qp, &a, IBV_QP_STATE), 0);
}

static void rig_init(struct rig_end *e, const struct rig_conn *c)
{
	struct ibv_qp_attr a = {.qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = RIG_QKEY};
	int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT;

	a.qp_access_flags = c->access ? c->access & 0x7fffffff : RIG_ALL_ACC;
	mask |= e->type == IBV_QPT_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS;
	assert_int_equal(ibv_modify_qp(e->qp, &a, mask), 0);
}

/* Takes the queue pair of @e from RESET to RTS, towards @to (not for UD). */
void rig_connect(struct rig_end *e, const struct rig_addr *to, const struct rig_conn *c)
{
	static const struct rig_conn zero;
	struct ibv_qp_attr a = {.qp_state = IBV_QPS_RTR,
				.path_mtu = IBV_MTU_4096,
				.max_dest_rd_atomic = 16,
				.min_rnr_timer = RIG_RNR_14};
	int rtr = IBV_QP_STATE, rts = IBV_QP_STATE | IBV_QP_SQ_PSN;

	c = c ? c : &zero;
	rig_init(e, c);
	if (e->type != IBV_QPT_UD) {
		rtr |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
		a.dest_qp_num = to->qpn;
		a.ah_attr.port_num = 1;
		a.ah_attr.is_global = c->global;
		a.ah_attr.dlid = c->global ? 0 : to->lid;
		a.ah_attr.grh.dgid = to->gid;
	}
	if (e->type == IBV_QPT_RC) {
		rtr |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
		rts |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
		       IBV_QP_MAX_QP_RD_ATOMIC;
	}
	assert_int_equal(ibv_modify_qp(e->qp, &a, rtr), 0);
	a.qp_state = IBV_QPS_RTS;
	a.timeout = c->timeout ? c->timeout : 14;
	a.retry_cnt = c->retry ? c->retry : 7;
	a.rnr_retry = c->rnr_retry ? (c->rnr_retry < 0 ? 0 : (uint8_t)c->rnr_retry) : 7;
	a.max_rd_atomic = 16;
	assert_int_equal(ibv_modify_qp(e->qp, &a, rts), 0);
}

/* Two connected ends in this process. */
void rig_pair(struct rig_end *a, struct rig_end *b, const struct rig_opt *o,
	      const struct rig_conn *c)
{
	rig_up(a, o);
	rig_up(b, o);
	rig_connect(a, &b->me, c);
	rig_connect(b, &a->me, c);
}

/* Posts a receive of @len bytes at @off of the buffer. */
void rig_recv(struct rig_end *e, uint64_t wr_id, uint32_t off, uint32_t len)
{
	struct ibv_sge s = {(uintptr_t)e->buf + off, len, e->mr->lkey};
	struct ibv_recv_wr w = {.wr_id = wr_id, .sg_list = &s, .num_sge = 1}, *bad;

	if (e->srq)
		assert_int_equal(ibv_post_srq_recv(e->srq, &w, &bad), 0);
	else
		assert_int_equal(ibv_post_recv(e->qp, &w, &bad), 0);
}

/* Posts a send from @off, to @raddr_off of the other's buffer if it is an RDMA operation; with
 * immediate data its wr_id.  Returns what ibv_post_send() does. */
int rig_post(struct rig_end *e, enum ibv_wr_opcode op, uint64_t wr_id, uint32_t off, uint32_t len,
	     const struct rig_addr *to, uint64_t raddr_off, unsigned int flags)
{
	struct ibv_sge s = {(uintptr_t)e->buf + off, len, e->mr->lkey};
	struct ibv_send_wr w = {.wr_id = wr_id,
				.sg_list = &s,
				.num_sge = 1,
				.opcode = op,
				.send_flags = flags | IBV_SEND_SIGNALED,
				.imm_data = (uint32_t)wr_id},
			   *bad;

	if (to) {
		w.wr.rdma.remote_addr = to->addr + raddr_off;
		w.wr.rdma.rkey = to->rkey;
	}
	return ibv_post_send(e->qp, &w, &bad);
}

static double rig_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The next completion; fails the test if none comes within ten seconds. */
struct ibv_wc rig_wait(struct ibv_cq *cq)
{
	double end = rig_now() + 10;
	struct ibv_wc wc;

	while (ibv_poll_cq(cq, 1, &wc) == 0) {
		if (rig_now() > end)
			fail_msg("no completion");
		poll(NULL, 0, 0);
	}
	return wc;
}

/* There is no completion. */
void rig_none(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	assert_int_equal(ibv_poll_cq(cq, 1, &wc), 0);
}

/* See rig.h. */
int rig_fork(int (*fn)(int fd), int *fd)
{
	int sv[2], pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(sv[0]);
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure here ends this process */
		alarm(60);
		exit(fn(sv[1]));
	}
	close(sv[1]);
	*fd = sv[0];
	return pid;
}

/* Waits for a child; returns its exit status, or 128 + signal. */
int rig_reap(int pid)
{
	int st = 0;

	assert_int_equal(waitpid(pid, &st, 0), pid);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

/* Writes all of it. */
void rig_tell(int fd, const void *p, size_t n)
{
	assert_int_equal(write(fd, p, n), n);
}

/* Reads all of it, within ten seconds. */
void rig_hear(int fd, void *p, size_t n)
{
	struct pollfd pf = {.fd = fd, .events = POLLIN};

	for (size_t at = 0; at < n;) {
		ssize_t got;

		assert_int_equal(poll(&pf, 1, 10000), 1);
		got = read(fd, (char *)p + at, n - at);
		assert_true(got > 0);
		at += (size_t)got;
	}
}

static char own_dir[256];

/* A subnet of this test's own. */
void rig_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(own_dir, sizeof(own_dir), "%s/softhca-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(own_dir)) {
		perror(own_dir);
		exit(1);
	}
	setenv("SOFTHCA_DIR", own_dir, 1);
	setenv("SOFTHCA_DEVICES", "2", 1);
}

/* Group teardown: every port has gone, so the subnet's directory is empty. */
int rig_dir_done(void **state)
{
	(void)state;
	return rmdir(own_dir);
}
