/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exported libibverbs functions about objects of a context: dispatch, as in verbs.c.
 */
#include "real.h"
#include "soft.h"

#undef ibv_reg_mr
#undef ibv_reg_mr_iova

/* Defines exported function @name: @soft for objects of ours (told by @ctx), the real one for
 * others, @none if that does not exist. */
#define VERB(ret, name, ver, params, ctx, soft, none, ...) \
	SOFT_ROUTINE ret name params                       \
	{                                                  \
		__typeof__(&name) real_;                   \
		if (softhca_is_soft(ctx))                  \
			return soft;                       \
		real_ = REAL(name, ver);                   \
		if (!real_) {                              \
			errno = ENOSYS;                    \
			return none;                       \
		}                                          \
		return real_(__VA_ARGS__);                 \
	}

/* For pointers that software objects do not provide. */
static void *unsupported(void)
{
	errno = EOPNOTSUPP;
	return NULL;
}

static int qp_mcast(struct ibv_qp *qp)
{
	return qp->qp_type == IBV_QPT_UD ? EOPNOTSUPP : EINVAL;
}

static struct ibv_cq *create_cq(struct ibv_context *ctx, int cqe, void *cq_context,
				struct ibv_comp_channel *ch, int vector)
{
	struct ibv_cq_init_attr_ex a = {
		.cqe = cqe < 0 ? 0 : (uint32_t)cqe,
		.cq_context = cq_context,
		.channel = ch,
		.comp_vector = (uint32_t)vector,
		.wc_flags = IBV_WC_STANDARD_FLAGS,
	};

	return (struct ibv_cq *)soft_create_cq_ex(ctx, &a);
}

static struct ibv_ah *ah_from_wc(struct ibv_pd *pd, struct ibv_wc *wc, struct ibv_grh *grh,
				 uint8_t port)
{
	struct ibv_ah_attr a;

	soft_init_ah_from_wc(pd->context, port, wc, grh, &a);
	return soft_create_ah(pd, &a);
}

static struct ibv_qp_ex *qp_ex(struct ibv_qp *qp)
{
	return soft_qp(qp)->is_ex ? &soft_qp(qp)->ex : NULL;
}

static int ece_none(struct ibv_ece *ece)
{
	memset(ece, 0, sizeof(*ece));
	return 0;
}

VERB(struct ibv_pd *, ibv_alloc_pd, "IBVERBS_1.1", (struct ibv_context * ctx), ctx,
     soft_alloc_pd(ctx), NULL, ctx)
VERB(int, ibv_dealloc_pd, "IBVERBS_1.1", (struct ibv_pd * pd), pd->context, soft_dealloc_pd(pd),
     ENOSYS, pd)
VERB(struct ibv_mr *, ibv_reg_mr, "IBVERBS_1.1",
     (struct ibv_pd * pd, void *addr, size_t len, int access), pd->context,
     soft_reg_mr(pd, addr, len, (uintptr_t)addr, (uint32_t)access), NULL, pd, addr, len, access)
VERB(struct ibv_mr *, ibv_reg_mr_iova, "IBVERBS_1.7",
     (struct ibv_pd * pd, void *addr, size_t len, uint64_t iova, int access), pd->context,
     soft_reg_mr(pd, addr, len, iova, (uint32_t)access), NULL, pd, addr, len, iova, access)
VERB(struct ibv_mr *, ibv_reg_mr_iova2, "IBVERBS_1.8",
     (struct ibv_pd * pd, void *addr, size_t len, uint64_t iova, unsigned int access), pd->context,
     soft_reg_mr(pd, addr, len, iova, access), NULL, pd, addr, len, iova, access)
VERB(struct ibv_mr *, ibv_reg_dmabuf_mr, "IBVERBS_1.12",
     (struct ibv_pd * pd, uint64_t off, size_t len, uint64_t iova, int fd, int access), pd->context,
     unsupported(), NULL, pd, off, len, iova, fd, access)
VERB(int, ibv_rereg_mr, "IBVERBS_1.1",
     (struct ibv_mr * mr, int flags, struct ibv_pd *pd, void *addr, size_t len, int access),
     mr->context, (errno = EOPNOTSUPP, IBV_REREG_MR_ERR_INPUT), IBV_REREG_MR_ERR_INPUT, mr, flags,
     pd, addr, len, access)
VERB(int, ibv_dereg_mr, "IBVERBS_1.1", (struct ibv_mr * mr), mr->context, soft_dereg_mr(mr), ENOSYS,
     mr)
VERB(struct ibv_pd *, ibv_import_pd, "IBVERBS_1.10", (struct ibv_context * ctx, uint32_t handle),
     ctx, unsupported(), NULL, ctx, handle)
VERB(void, ibv_unimport_pd, "IBVERBS_1.10", (struct ibv_pd * pd), pd->context, (void)0, , pd)
VERB(struct ibv_mr *, ibv_import_mr, "IBVERBS_1.10", (struct ibv_pd * pd, uint32_t handle),
     pd->context, unsupported(), NULL, pd, handle)
VERB(void, ibv_unimport_mr, "IBVERBS_1.10", (struct ibv_mr * mr), mr->context, (void)0, , mr)
VERB(struct ibv_dm *, ibv_import_dm, "IBVERBS_1.13", (struct ibv_context * ctx, uint32_t handle),
     ctx, unsupported(), NULL, ctx, handle)
VERB(void, ibv_unimport_dm, "IBVERBS_1.13", (struct ibv_dm * dm), dm->context, (void)0, , dm)

VERB(struct ibv_comp_channel *, ibv_create_comp_channel, "IBVERBS_1.0", (struct ibv_context * ctx),
     ctx, soft_create_comp_channel(ctx), NULL, ctx)
VERB(int, ibv_destroy_comp_channel, "IBVERBS_1.0", (struct ibv_comp_channel * ch), ch->context,
     soft_destroy_comp_channel(ch), ENOSYS, ch)
VERB(struct ibv_cq *, ibv_create_cq, "IBVERBS_1.1",
     (struct ibv_context * ctx, int cqe, void *cq_context, struct ibv_comp_channel *ch, int vector),
     ctx, create_cq(ctx, cqe, cq_context, ch, vector), NULL, ctx, cqe, cq_context, ch, vector)
VERB(int, ibv_resize_cq, "IBVERBS_1.1", (struct ibv_cq * cq, int cqe), cq->context,
     soft_resize_cq(cq, cqe), ENOSYS, cq, cqe)
VERB(int, ibv_destroy_cq, "IBVERBS_1.1", (struct ibv_cq * cq), cq->context, soft_destroy_cq(cq),
     ENOSYS, cq)
VERB(int, ibv_get_cq_event, "IBVERBS_1.1",
     (struct ibv_comp_channel * ch, struct ibv_cq **cq, void **cq_context), ch->context,
     soft_get_cq_event(ch, cq, cq_context), -1, ch, cq, cq_context)
VERB(void, ibv_ack_cq_events, "IBVERBS_1.1", (struct ibv_cq * cq, unsigned int n), cq->context,
     soft_ack_cq_events(cq, n), , cq, n)

VERB(struct ibv_srq *, ibv_create_srq, "IBVERBS_1.1",
     (struct ibv_pd * pd, struct ibv_srq_init_attr *attr), pd->context, soft_create_srq(pd, attr),
     NULL, pd, attr)
VERB(int, ibv_modify_srq, "IBVERBS_1.1",
     (struct ibv_srq * srq, struct ibv_srq_attr *attr, int mask), srq->context,
     soft_modify_srq(srq, attr, mask), ENOSYS, srq, attr, mask)
VERB(int, ibv_query_srq, "IBVERBS_1.1", (struct ibv_srq * srq, struct ibv_srq_attr *attr),
     srq->context, soft_query_srq(srq, attr), ENOSYS, srq, attr)
VERB(int, ibv_destroy_srq, "IBVERBS_1.1", (struct ibv_srq * srq), srq->context,
     soft_destroy_srq(srq), ENOSYS, srq)

VERB(struct ibv_qp *, ibv_create_qp, "IBVERBS_1.1",
     (struct ibv_pd * pd, struct ibv_qp_init_attr *attr), pd->context, soft_create_qp(pd, attr),
     NULL, pd, attr)
VERB(struct ibv_qp_ex *, ibv_qp_to_qp_ex, "IBVERBS_1.6", (struct ibv_qp * qp), qp->context,
     qp_ex(qp), NULL, qp)
VERB(int, ibv_modify_qp, "IBVERBS_1.1", (struct ibv_qp * qp, struct ibv_qp_attr *attr, int mask),
     qp->context, soft_modify_qp(qp, attr, mask), ENOSYS, qp, attr, mask)
VERB(int, ibv_query_qp, "IBVERBS_1.1",
     (struct ibv_qp * qp, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init),
     qp->context, soft_query_qp(qp, attr, mask, init), ENOSYS, qp, attr, mask, init)
VERB(int, ibv_query_qp_data_in_order, "IBVERBS_1.14",
     (struct ibv_qp * qp, enum ibv_wr_opcode op, uint32_t flags), qp->context, !flags, 0, qp, op,
     flags)
VERB(int, ibv_destroy_qp, "IBVERBS_1.1", (struct ibv_qp * qp), qp->context, soft_destroy_qp(qp),
     ENOSYS, qp)
VERB(int, ibv_set_ece, "IBVERBS_1.10", (struct ibv_qp * qp, struct ibv_ece *ece), qp->context,
     ece->vendor_id ? EOPNOTSUPP : 0, EOPNOTSUPP, qp, ece)
VERB(int, ibv_query_ece, "IBVERBS_1.10", (struct ibv_qp * qp, struct ibv_ece *ece), qp->context,
     ece_none(ece), EOPNOTSUPP, qp, ece)
VERB(int, ibv_attach_mcast, "IBVERBS_1.1",
     (struct ibv_qp * qp, const union ibv_gid *gid, uint16_t lid), qp->context, qp_mcast(qp),
     ENOSYS, qp, gid, lid)
VERB(int, ibv_detach_mcast, "IBVERBS_1.1",
     (struct ibv_qp * qp, const union ibv_gid *gid, uint16_t lid), qp->context, qp_mcast(qp),
     ENOSYS, qp, gid, lid)

VERB(struct ibv_ah *, ibv_create_ah, "IBVERBS_1.1", (struct ibv_pd * pd, struct ibv_ah_attr *attr),
     pd->context, soft_create_ah(pd, attr), NULL, pd, attr)
VERB(int, ibv_init_ah_from_wc, "IBVERBS_1.1",
     (struct ibv_context * ctx, uint8_t port, struct ibv_wc *wc, struct ibv_grh *grh,
      struct ibv_ah_attr *attr),
     ctx, soft_init_ah_from_wc(ctx, port, wc, grh, attr), ENOSYS, ctx, port, wc, grh, attr)
VERB(struct ibv_ah *, ibv_create_ah_from_wc, "IBVERBS_1.1",
     (struct ibv_pd * pd, struct ibv_wc *wc, struct ibv_grh *grh, uint8_t port), pd->context,
     ah_from_wc(pd, wc, grh, port), NULL, pd, wc, grh, port)
VERB(int, ibv_destroy_ah, "IBVERBS_1.1", (struct ibv_ah * ah), ah->context, soft_destroy_ah(ah),
     ENOSYS, ah)
