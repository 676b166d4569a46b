/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_tap.h - seeing what the queue pairs of a completion queue send and receive, for captures.
 *
 * A device shows its packets to nobody, so they are reconstructed from work requests and
 * completions. What the reconstruction knows exactly: both addresses, queue pairs, opcodes, remote
 * addresses and keys, payload, and the packet sequence numbers of everything on reliable queue
 * pairs, since these follow from the first number and the sizes. What it cannot know: repetitions,
 * coalescing of acknowledgements (one is shown per completion), and the numbers of received
 * datagrams (counted from 0).
 */
#ifndef IBSIDE_IB_TAP_H
#define IBSIDE_IB_TAP_H

#include "ibside/ib.h"
#include "ibside/packet/pkt.h"

/** Set as ib_cq.tap by the thread that polls the queue; its functions run on that thread. */
struct ib_tap {
	uint32_t mark; /* of the next request posted, see ib_tap_mark() */
	/** One direction of an operation. The n entries of v hold its payload, valid in the call.
	 * What a queue pair received is shown ahead of its ib_qp_ops.recv(). */
	void (*op)(struct ib_tap *t, const struct pkt_op *op, const struct iovec *v, int n);
	/** Address behind an address handle; false: unknown, the datagram is not shown. */
	bool (*path)(struct ib_tap *t, const struct ibv_ah *ah, struct ib_addr *to);
};

/** Gives the next request posted on a queue pair a name that its operations carry, answers and
 * acknowledgements included; else it is 0. For nothing when nobody looks. */
static inline void ib_tap_mark(const struct ib_qp *qp, uint32_t mark)
{
	if (qp->cq->tap)
		qp->cq->tap->mark = mark;
}

/** Shows how a connected queue pair came to be, so that a dissector knows what it carries. */
void ib_tap_connect(const struct ib_qp *qp);

#endif
