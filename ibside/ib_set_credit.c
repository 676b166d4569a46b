/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_set_credit.c - flow control of messages (IBTA Annex A4.7.1: Bufs, MSeq, MSeqAck).
 *
 * A sender may send message number n when n <= MSeqAck + Bufs of the last header it received:
 * Bufs counts the receive buffers posted behind message MSeqAck. Every header carries both, so
 * traffic both ways needs no other message; one-way traffic is answered by a Credit message when
 * half the buffers have come back unannounced. The last credit is kept for Credit messages, so
 * two sides that both ran out can still tell each other.
 */
#include "ibside/ib_set_impl.h"

#define DUE (IB_SET_BUFS / 2) /* buffers to be announced at the latest */

void ib_credit_init(struct ib_credit *c)
{
	*c = (struct ib_credit){
		.tx_mseq = IB_MSEQ_NONE,
		.tx_acked = IB_MSEQ_NONE,
		.tx_limit = IB_MSEQ_NONE + IB_SET_BUFS,
		.rx_mseq = IB_MSEQ_NONE,
		.rx_told = IB_MSEQ_NONE + IB_SET_BUFS,
	};
}

uint32_t ib_credit_room(const struct ib_credit *c)
{
	int32_t room = (int32_t)(c->tx_limit - c->tx_mseq);

	return room > 0 ? (uint32_t)room : 0;
}

void ib_credit_stamp(struct ib_credit *c, uint32_t posted, struct ib_bsdh *h)
{
	c->tx_mseq++;
	c->rx_told = c->rx_mseq + posted;
	h->bufs = htobe16(posted);
	h->mseq = htobe32(c->tx_mseq);
	h->mseq_ack = htobe32(c->rx_mseq);
}

bool ib_credit_take(struct ib_credit *c, const struct ib_bsdh *h)
{
	uint32_t ack;

	c->rx_mseq++;
	if (!h || be32toh(h->mseq) != c->rx_mseq)
		return false;
	ack = be32toh(h->mseq_ack);
	if ((int32_t)(ack - c->tx_acked) < 0 || (int32_t)(c->tx_mseq - ack) < 0)
		return false; /* older than known, or never sent */
	c->tx_acked = ack;
	c->tx_limit = ack + be16toh(h->bufs);
	return true;
}

bool ib_credit_due(const struct ib_credit *c, uint32_t posted)
{
	return (int32_t)(c->rx_mseq + posted - c->rx_told) >= DUE;
}
