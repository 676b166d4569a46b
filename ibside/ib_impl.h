/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_impl.h - what the files of this module share and nobody else sees.
 */
#ifndef IBSIDE_IB_IMPL_H
#define IBSIDE_IB_IMPL_H

#include "ibside/ib.h"

/** Which ring a slot belongs to: a failed completion does not name its opcode. */
enum ib_slot_kind { IB_SLOT_SEND, IB_SLOT_RECV };

/** One outstanding work request; wr_id is its address. */
struct ib_wr_slot {
	struct ib_qp *qp;	/* owner of the ring */
	void *what;		/* SEND ring: struct ib_op or NULL; receive ring: the cookie */
	enum ib_slot_kind kind; /* ring it lies in, set once */
};

/** Address vector towards *a, as the device routes: by GID on RoCE or to another subnet, else LID.
 */
void ib_addr_vector(const struct ib_dev *d, const struct ib_addr *a, struct ibv_ah_attr *attr);

/** Handles one completion; called by ib_cq_poll() only. */
void ib_qp_complete(const struct ibv_wc *wc);

/** Moves to ERR without marking dead: the flushed work reports the death at the next poll. */
void ib_qp_kill(struct ib_qp *qp);

#endif
