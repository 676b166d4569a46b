/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The extended posting interface, ibv_wr_*: requests are built in the send queue's own slots
 * between ibv_wr_start(), which takes its lock, and ibv_wr_complete().
 */
#include "soft.h"

static struct soft_qp *ex_qp(struct ibv_qp_ex *x)
{
	return (struct soft_qp *)x;
}

static struct soft_wqe *ex_cur(struct soft_qp *q)
{
	return &q->wqe[(q->sq_prod - 1) & q->sq_mask];
}

static void ex_start(struct ibv_qp_ex *x)
{
	struct soft_qp *q = ex_qp(x);

	pthread_mutex_lock(&q->sq_lock);
	q->wr_first = q->sq_prod;
	q->wr_err = atomic_load(&q->shm->state) < IBV_QPS_RTS ? EINVAL : 0;
}

static int ex_complete(struct ibv_qp_ex *x)
{
	struct soft_qp *q = ex_qp(x);
	int rc = q->wr_err;

	if (rc)
		q->sq_prod = q->wr_first;
	else
		soft_sq_kick(q);
	pthread_mutex_unlock(&q->sq_lock);
	return rc;
}

static void ex_abort(struct ibv_qp_ex *x)
{
	struct soft_qp *q = ex_qp(x);

	q->sq_prod = q->wr_first;
	pthread_mutex_unlock(&q->sq_lock);
}

/* A new request; NULL after an error. */
static struct soft_wqe *ex_new(struct ibv_qp_ex *x, enum ibv_wr_opcode op)
{
	struct soft_qp *q = ex_qp(x);
	struct soft_wqe *w;

	if (!q->wr_err && soft_sq_full(q))
		q->wr_err = ENOMEM;
	if (q->wr_err)
		return NULL;
	q->sq_prod++;
	w = ex_cur(q);
	memset(w, 0, sizeof(*w));
	w->opcode = (uint16_t)op;
	w->wr_id = x->wr_id;
	w->flags = x->wr_flags & ~(unsigned int)IBV_SEND_INLINE;
	return w;
}

static void ex_rdma(struct ibv_qp_ex *x, enum ibv_wr_opcode op, uint32_t rkey, uint64_t addr,
		    __be32 imm)
{
	struct soft_wqe *w = ex_new(x, op);

	if (w) {
		w->rkey = rkey;
		w->raddr = addr;
		w->imm = imm;
	}
}

static void ex_read(struct ibv_qp_ex *x, uint32_t rkey, uint64_t addr)
{
	ex_rdma(x, IBV_WR_RDMA_READ, rkey, addr, 0);
}

static void ex_write(struct ibv_qp_ex *x, uint32_t rkey, uint64_t addr)
{
	ex_rdma(x, IBV_WR_RDMA_WRITE, rkey, addr, 0);
}

static void ex_write_imm(struct ibv_qp_ex *x, uint32_t rkey, uint64_t addr, __be32 imm)
{
	ex_rdma(x, IBV_WR_RDMA_WRITE_WITH_IMM, rkey, addr, imm);
}

static void ex_cmp_swp(struct ibv_qp_ex *x, uint32_t rkey, uint64_t addr, uint64_t cmp,
		       uint64_t swp)
{
	struct soft_wqe *w = ex_new(x, IBV_WR_ATOMIC_CMP_AND_SWP);

	if (w) {
		w->rkey = rkey;
		w->raddr = addr;
		w->cmp_add = cmp;
		w->swap = swp;
	}
}

static void ex_fetch_add(struct ibv_qp_ex *x, uint32_t rkey, uint64_t addr, uint64_t add)
{
	struct soft_wqe *w = ex_new(x, IBV_WR_ATOMIC_FETCH_AND_ADD);

	if (w) {
		w->rkey = rkey;
		w->raddr = addr;
		w->cmp_add = add;
	}
}

static void ex_send(struct ibv_qp_ex *x)
{
	ex_new(x, IBV_WR_SEND);
}

static void ex_send_imm(struct ibv_qp_ex *x, __be32 imm)
{
	struct soft_wqe *w = ex_new(x, IBV_WR_SEND_WITH_IMM);

	if (w)
		w->imm = imm;
}

static void ex_set_ud(struct ibv_qp_ex *x, struct ibv_ah *ah, uint32_t qpn, uint32_t qkey)
{
	struct soft_qp *q = ex_qp(x);

	if (q->wr_err)
		return;
	ex_cur(q)->ah = (struct soft_ah *)ah;
	ex_cur(q)->rqpn = qpn;
	ex_cur(q)->qkey = qkey;
}

static void ex_set_sge_list(struct ibv_qp_ex *x, size_t n, const struct ibv_sge *list)
{
	struct soft_qp *q = ex_qp(x);

	if (n > q->cap.max_send_sge)
		q->wr_err = EINVAL;
	if (q->wr_err)
		return;
	for (size_t i = 0; i < n; i++)
		q->sge[((q->sq_prod - 1) & q->sq_mask) * q->cap.max_send_sge + i] = list[i];
	ex_cur(q)->nsge = (uint32_t)n;
}

static void ex_set_sge(struct ibv_qp_ex *x, uint32_t lkey, uint64_t addr, uint32_t len)
{
	struct ibv_sge s = {.addr = addr, .length = len, .lkey = lkey};

	ex_set_sge_list(x, 1, &s);
}

static void ex_inline_list(struct ibv_qp_ex *x, size_t n, const struct ibv_data_buf *b)
{
	struct soft_qp *q = ex_qp(x);
	size_t at = ((q->sq_prod - 1) & q->sq_mask) * (size_t)q->cap.max_inline_data, len = 0;

	for (size_t i = 0; i < n && !q->wr_err; i++) {
		if (b[i].length > q->cap.max_inline_data - len) {
			q->wr_err = EINVAL;
			return;
		}
		memcpy(q->inl + at + len, b[i].addr, b[i].length);
		len += b[i].length;
	}
	if (q->wr_err)
		return;
	ex_cur(q)->flags |= IBV_SEND_INLINE;
	ex_cur(q)->inl = (uint32_t)len;
}

static void ex_inline(struct ibv_qp_ex *x, void *addr, size_t len)
{
	struct ibv_data_buf b = {.addr = addr, .length = len};

	ex_inline_list(x, 1, &b);
}

/* Gives @q the operations that @ops asks for (enum ibv_qp_create_send_ops_flags). */
void soft_wr_ops(struct soft_qp *q, uint64_t ops)
{
	struct ibv_qp_ex *x = &q->ex;

	q->is_ex = true;
	x->wr_start = ex_start;
	x->wr_complete = ex_complete;
	x->wr_abort = ex_abort;
	x->wr_set_ud_addr = ex_set_ud;
	x->wr_set_sge = ex_set_sge;
	x->wr_set_sge_list = ex_set_sge_list;
	x->wr_set_inline_data = ex_inline;
	x->wr_set_inline_data_list = ex_inline_list;
	if (ops & IBV_QP_EX_WITH_SEND)
		x->wr_send = ex_send;
	if (ops & IBV_QP_EX_WITH_SEND_WITH_IMM)
		x->wr_send_imm = ex_send_imm;
	if (ops & IBV_QP_EX_WITH_RDMA_WRITE)
		x->wr_rdma_write = ex_write;
	if (ops & IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM)
		x->wr_rdma_write_imm = ex_write_imm;
	if (ops & IBV_QP_EX_WITH_RDMA_READ)
		x->wr_rdma_read = ex_read;
	if (ops & IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP)
		x->wr_atomic_cmp_swp = ex_cmp_swp;
	if (ops & IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD)
		x->wr_atomic_fetch_add = ex_fetch_add;
}
