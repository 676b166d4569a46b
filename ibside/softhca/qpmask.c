/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which attributes a queue pair's transition needs and which it may take (IBTA 11.2.5.2, tables
 * 95-98).
 */
#include "soft.h"

#define CONN_INIT (IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS)
#define CONN_RTR  (IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN)
#define RC_RTS	  (IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC)
#define CONN_OPT  (IBV_QP_CUR_STATE | IBV_QP_ALT_PATH | IBV_QP_ACCESS_FLAGS | IBV_QP_PATH_MIG_STATE)
#define UD_OPT	  (IBV_QP_CUR_STATE | IBV_QP_QKEY)
#define SQD_OPT                                                                    \
	(IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ALT_PATH | IBV_QP_ACCESS_FLAGS | \
	 IBV_QP_PATH_MIG_STATE | IBV_QP_AV)

/* One transition: what each type requires and may have besides. */
struct mask_row {
	enum ibv_qp_state from, to; /* the transition */
	int ud, uc, rc;		    /* required */
	int oud, ouc, orc;	    /* optional */
};

static const struct mask_row rows[] = {
	{IBV_QPS_RESET, IBV_QPS_INIT, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY, CONN_INIT,
	 CONN_INIT, 0, 0, 0},
	{IBV_QPS_INIT, IBV_QPS_INIT, 0, 0, 0, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY,
	 CONN_INIT, CONN_INIT},
	{IBV_QPS_INIT, IBV_QPS_RTR, 0, CONN_RTR,
	 CONN_RTR | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER,
	 IBV_QP_PKEY_INDEX | IBV_QP_QKEY, IBV_QP_ALT_PATH | IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX,
	 IBV_QP_ALT_PATH | IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX},
	{IBV_QPS_RTR, IBV_QPS_RTS, IBV_QP_SQ_PSN, IBV_QP_SQ_PSN, IBV_QP_SQ_PSN | RC_RTS, UD_OPT,
	 CONN_OPT, CONN_OPT | IBV_QP_MIN_RNR_TIMER},
	{IBV_QPS_RTS, IBV_QPS_RTS, 0, 0, 0, UD_OPT, CONN_OPT, CONN_OPT | IBV_QP_MIN_RNR_TIMER},
	{IBV_QPS_RTS, IBV_QPS_SQD, 0, 0, 0, IBV_QP_EN_SQD_ASYNC_NOTIFY, IBV_QP_EN_SQD_ASYNC_NOTIFY,
	 IBV_QP_EN_SQD_ASYNC_NOTIFY},
	{IBV_QPS_SQD, IBV_QPS_RTS, 0, 0, 0, UD_OPT, CONN_OPT, CONN_OPT | IBV_QP_MIN_RNR_TIMER},
	{IBV_QPS_SQD, IBV_QPS_SQD, 0, 0, 0, IBV_QP_PKEY_INDEX | IBV_QP_QKEY, SQD_OPT,
	 SQD_OPT | RC_RTS | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER},
	{IBV_QPS_SQE, IBV_QPS_RTS, 0, 0, 0, UD_OPT, IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS, 0},
};

/* Checks @mask for a transition.  Returns 0 or EINVAL. */
int soft_qp_mask_ok(enum ibv_qp_type type, enum ibv_qp_state from, enum ibv_qp_state to, int mask)
{
	mask &= ~(IBV_QP_STATE | IBV_QP_RATE_LIMIT);
	if (to == IBV_QPS_RESET || to == IBV_QPS_ERR)
		return mask & ~IBV_QP_CUR_STATE ? EINVAL : 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mask_row *r = &rows[i];
		int req = type == IBV_QPT_UD ? r->ud : type == IBV_QPT_UC ? r->uc : r->rc;
		int opt = type == IBV_QPT_UD ? r->oud : type == IBV_QPT_UC ? r->ouc : r->orc;

		if (r->from != from || r->to != to)
			continue;
		if (r->from == IBV_QPS_SQE && type == IBV_QPT_RC)
			return EINVAL;
		return (mask & req) != req || (mask & ~(req | opt)) ? EINVAL : 0;
	}
	return EINVAL;
}
