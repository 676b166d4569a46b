/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_impl.h - what the files of this module share and nobody else sees.
 */
#ifndef IBSIDE_IB_IMPL_H
#define IBSIDE_IB_IMPL_H

#include "ibside/ib.h"
#include "ibside/ib_tap.h"

#define IB_SGE_CAP 16 /* longest chain of buffers a SEND or WRITE is made of */

/** Which ring a slot belongs to: a failed completion does not name its opcode. */
enum ib_slot_kind { IB_SLOT_SEND, IB_SLOT_RECV };

/** One outstanding work request; wr_id is its address. */
struct ib_wr_slot {
	struct ib_qp *qp; /* owner of the ring */
	void *what;	  /* SEND ring: struct ib_op or NULL; receive ring: the cookie */
	void *addr;	  /* receive ring: the buffer; SEND ring, for the tap: of a READ */
	uint32_t len;	  /* SEND ring, for the tap: payload bytes */
	uint32_t psn;	  /* SEND ring: of its first packet */
	uint32_t mark;	  /* SEND ring, for the tap: ib_tap.mark when it was posted */
	uint8_t opcode;	  /* SEND ring, for the tap: enum ibv_wr_opcode */
	bool tapped;	  /* SEND ring: the tap has seen the request */
	uint8_t kind;	  /* enum ib_slot_kind: ring it lies in, set once */
};

/** Address vector towards *a, as the device routes: by GID on RoCE or to another subnet, else LID.
 */
void ib_addr_vector(const struct ib_dev *d, const struct ib_addr *a, struct ibv_ah_attr *attr);

/** Packets that so many bytes take on a queue pair. */
static inline uint32_t ib_packets(const struct ib_qp *qp, uint64_t bytes)
{
	return bytes <= qp->mtu ? 1 : pkt_count(bytes, qp->mtu);
}

/** Handles one completion; called by ib_cq_poll() only. */
void ib_qp_complete(const struct ibv_wc *wc);

/** Moves to ERR without marking dead: the flushed work reports the death at the next poll. */
void ib_qp_kill(struct ib_qp *qp);

/* --- ib_tap.c: called when qp->cq->tap is set -------------------------------------------- */

/** A request of `bytes` bytes was posted. */
void ib_tap_posted(struct ib_qp *qp, struct ib_wr_slot *slot, const struct ibv_send_wr *wr,
		   uint32_t bytes);
/** The requests from qp->sq_tail to before `upto` completed, the last one with status. */
void ib_tap_sent(struct ib_qp *qp, uint32_t upto, enum ibv_wc_status status);
/** A message was received, its first packet numbered psn. */
void ib_tap_received(struct ib_qp *qp, const struct ib_wr_slot *slot, const struct ibv_wc *wc,
		     uint32_t psn);

#endif
