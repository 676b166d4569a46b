/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended polling: start_poll, next_poll, end_poll and the readers of the current completion.
 */
#include <time.h>

#include "soft.h"

static struct ibv_wc *cur(struct ibv_cq_ex *cq)
{
	return &((struct soft_cq *)cq)->cur;
}

static int ex_next_poll(struct ibv_cq_ex *cq)
{
	if (soft_poll_cq((struct ibv_cq *)cq, 1, cur(cq)) != 1)
		return ENOENT;
	cq->status = cur(cq)->status;
	cq->wr_id = cur(cq)->wr_id;
	return 0;
}

static int ex_start_poll(struct ibv_cq_ex *cq, struct ibv_poll_cq_attr *attr)
{
	if (attr->comp_mask)
		return EINVAL;
	return ex_next_poll(cq);
}

static void ex_end_poll(struct ibv_cq_ex *cq)
{
	(void)cq;
}

static enum ibv_wc_opcode ex_opcode(struct ibv_cq_ex *cq)
{
	return cur(cq)->opcode;
}

static uint32_t ex_vendor_err(struct ibv_cq_ex *cq)
{
	return cur(cq)->vendor_err;
}

static uint32_t ex_byte_len(struct ibv_cq_ex *cq)
{
	return cur(cq)->byte_len;
}

static __be32 ex_imm(struct ibv_cq_ex *cq)
{
	return cur(cq)->imm_data;
}

static uint32_t ex_qp_num(struct ibv_cq_ex *cq)
{
	return cur(cq)->qp_num;
}

static uint32_t ex_src_qp(struct ibv_cq_ex *cq)
{
	return cur(cq)->src_qp;
}

static unsigned int ex_wc_flags(struct ibv_cq_ex *cq)
{
	return cur(cq)->wc_flags;
}

static uint32_t ex_slid(struct ibv_cq_ex *cq)
{
	return cur(cq)->slid;
}

static uint8_t ex_sl(struct ibv_cq_ex *cq)
{
	return cur(cq)->sl;
}

static uint8_t ex_path_bits(struct ibv_cq_ex *cq)
{
	return cur(cq)->dlid_path_bits;
}

static uint64_t ex_ts(struct ibv_cq_ex *cq)
{
	(void)cq;
	return soft_now();
}

static uint64_t ex_wallclock(struct ibv_cq_ex *cq)
{
	struct timespec ts;

	(void)cq;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Fills in the extended operations of @c. */
void soft_cq_ex_ops(struct soft_cq *c)
{
	c->ex.start_poll = ex_start_poll;
	c->ex.next_poll = ex_next_poll;
	c->ex.end_poll = ex_end_poll;
	c->ex.read_opcode = ex_opcode;
	c->ex.read_vendor_err = ex_vendor_err;
	c->ex.read_byte_len = ex_byte_len;
	c->ex.read_imm_data = ex_imm;
	c->ex.read_qp_num = ex_qp_num;
	c->ex.read_src_qp = ex_src_qp;
	c->ex.read_wc_flags = ex_wc_flags;
	c->ex.read_slid = ex_slid;
	c->ex.read_sl = ex_sl;
	c->ex.read_dlid_path_bits = ex_path_bits;
	c->ex.read_completion_ts = ex_ts;
	c->ex.read_completion_wallclock_ns = ex_wallclock;
}
