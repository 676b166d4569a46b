/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RDMA WRITE, RDMA READ and atomics (IBTA 9.7.4, 9.7.5.1.5): the initiator checks the peer's
 * region table as the peer's adapter would, and copies.
 */
#include <sys/uio.h>

#include "soft.h"

/* The peer refuses: both queue pairs go to ERR, and the peer hears of it. */
static struct soft_result nak(struct soft_peer *peer, struct shm_qp *dqp, enum ibv_wc_status status,
			      enum soft_vendor_err why)
{
	struct soft_result r = {.status = status, .why = why};
	uint32_t idx = SOFT_QPN_IDX(atomic_load(&dqp->qpn));

	soft_count(peer->shm, access_errors, 1);
	soft_qp_set_state(peer, dqp, IBV_QPS_ERR);
	soft_async(peer, dqp->evq,
		   status == IBV_WC_REM_ACCESS_ERR ? IBV_EVENT_QP_ACCESS_ERR : IBV_EVENT_QP_REQ_ERR,
		   idx);
	return r;
}

static struct soft_result copy_failed(int rc, struct soft_peer *peer, struct shm_qp *dqp)
{
	struct soft_result r = {.status = IBV_WC_RETRY_EXC_ERR, .why = SOFT_VE_PEER_DEAD};

	if (rc == ESRCH)
		return r;
	return nak(peer, dqp, IBV_WC_REM_OP_ERR, rc == EPERM ? SOFT_VE_PERMISSION : SOFT_VE_COPY);
}

/* Fetch-and-change of the 8 bytes at @s; the old value in *@old.  Returns 0 or errno. */
static int atomic_op(struct soft_peer *peer, const struct soft_wqe *w, struct soft_seg *s,
		     uint64_t *old)
{
	bool swap = w->opcode == IBV_WR_ATOMIC_CMP_AND_SWP;
	uint64_t val;
	struct soft_vec mem = {.n = 1, .len = 8}, here = mem;
	int rc;

	if (s->here) {
		uint64_t *at = (uint64_t *)(void *)s->here;

		*old = w->cmp_add;
		if (swap)
			__atomic_compare_exchange_n(at, old, w->swap, false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST);
		else
			*old = __atomic_fetch_add(at, w->cmp_add, __ATOMIC_SEQ_CST);
		return 0;
	}
	mem.seg[0] = *s;
	here.seg[0] = (struct soft_seg){.here = (uint8_t *)old, .len = 8};
	soft_lock(&peer->shm->atomic_lock);
	rc = soft_copy_in(peer, &here, &mem);
	val = swap ? w->swap : *old + w->cmp_add;
	here.seg[0].here = (uint8_t *)&val;
	if (!rc && (!swap || *old == w->cmp_add))
		rc = soft_copy_out(peer, &mem, &here);
	soft_unlock(&peer->shm->atomic_lock);
	return rc;
}

/* Does the operation on pinned region @mr. */
static int rdma_move(struct soft_peer *peer, const struct soft_wqe *w, const struct shm_mr *mr,
		     struct soft_vec *local, uint64_t len)
{
	uint64_t off = w->raddr - mr->iova, old = 0;
	struct soft_vec far = {.n = 1, .len = len}, val = {.n = 1, .len = 8};
	int rc;

	far.seg[0].va = mr->addr + off;
	far.seg[0].len = (uint32_t)len;
	far.seg[0].here = soft_peer_map(peer, mr, off, len);
	if (w->opcode == IBV_WR_RDMA_READ)
		return soft_copy_in(peer, local, &far);
	if (w->opcode < IBV_WR_ATOMIC_CMP_AND_SWP)
		return soft_copy_out(peer, &far, local);
	rc = atomic_op(peer, w, &far.seg[0], &old);
	val.seg[0] = (struct soft_seg){.here = (uint8_t *)&old, .len = 8};
	return rc ? rc : soft_copy_out(peer->port->self, local, &val);
}

/* Whether the request is one that @q and @dqp, as set up, can do. */
static enum soft_vendor_err rdma_allowed(const struct soft_qp *q, const struct shm_qp *dqp,
					 const struct soft_wqe *w, uint32_t need)
{
	if (need != IBV_ACCESS_REMOTE_WRITE && (!dqp->max_dest_rd || !q->attr.max_rd_atomic))
		return SOFT_VE_OPCODE;
	if (need == IBV_ACCESS_REMOTE_ATOMIC && (w->raddr & 7))
		return SOFT_VE_ALIGN;
	return SOFT_VE_NONE;
}

/* Executes WRITE, READ or atomic @w of @q, with its local list, on @dqp of @peer, locked. */
struct soft_result soft_rdma(struct soft_qp *q, struct soft_peer *peer, struct shm_qp *dqp,
			     struct soft_wqe *w, struct soft_vec *local)
{
	bool atomic = w->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP;
	uint32_t need = atomic				? IBV_ACCESS_REMOTE_ATOMIC
			: w->opcode == IBV_WR_RDMA_READ ? IBV_ACCESS_REMOTE_READ
							: IBV_ACCESS_REMOTE_WRITE;
	uint64_t len = atomic ? 8 : local->len;
	enum soft_vendor_err why = rdma_allowed(q, dqp, w, need);
	struct soft_result r = {0};
	struct shm_mr *mr;
	int rc;

	if (soft_unlikely(why))
		return nak(peer, dqp, IBV_WC_REM_INV_REQ_ERR, why);
	if (soft_unlikely(atomic && local->len < 8)) {
		r.status = IBV_WC_LOC_LEN_ERR;
		r.why = SOFT_VE_LENGTH;
		return r;
	}
	if (w->opcode == IBV_WR_RDMA_WRITE_WITH_IMM && !soft_rq_ready(peer, dqp)) {
		r.stall = SOFT_STALL_RNR;
		r.rnr_code = dqp->min_rnr;
		return r;
	}
	if (!(dqp->access & need))
		return nak(peer, dqp, IBV_WC_REM_ACCESS_ERR, SOFT_VE_RACCESS);
	if (soft_fault_on() && soft_fault_access(q, w, peer))
		return nak(peer, dqp, IBV_WC_REM_ACCESS_ERR, SOFT_VE_INJECTED);
	if (len) { /* a request without data carries no key to check */
		uint32_t pin = soft_pin(peer, w->rkey);

		why = soft_mr_check(peer->shm, w->rkey, dqp->pd, w->raddr, len, need, &mr);
		rc = why ? 0 : rdma_move(peer, w, mr, local, len);
		soft_unpin(peer, pin);
		if (soft_unlikely(why))
			return nak(peer, dqp, IBV_WC_REM_ACCESS_ERR, why);
		if (soft_unlikely(rc))
			return copy_failed(rc, peer, dqp);
	}
	if (w->opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
		r = soft_deliver_imm(q, peer, dqp, w, (uint32_t)len);
	return r;
}
