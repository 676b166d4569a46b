/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_set_impl.h - the parts of a set: credits, the queue of entries that wait, the buffers.
 */
#ifndef IBSIDE_IB_SET_IMPL_H
#define IBSIDE_IB_SET_IMPL_H

#include "ibside/ib_impl.h"

/** Credits both ways (ib_set_credit.c). Sequence numbers wrap. */
struct ib_credit {
	uint32_t tx_mseq;  /* last message sent */
	uint32_t tx_acked; /* last of them the peer says it received */
	uint32_t tx_limit; /* last message the peer has a buffer for */
	uint32_t rx_mseq;  /* last message received */
	uint32_t rx_told;  /* limit last told to the peer */
};

/** Both sides start with IB_SET_BUFS. */
void ib_credit_init(struct ib_credit *c);
/** Messages that may be sent now. */
uint32_t ib_credit_room(const struct ib_credit *c);
/** Fills in bufs, mseq and mseq_ack of the next message, with `posted` receive buffers posted. */
void ib_credit_stamp(struct ib_credit *c, uint32_t posted, struct ib_bsdh *h);
/** Counts a received message. Its header, or NULL: too short to have one. False: it lies. */
bool ib_credit_take(struct ib_credit *c, const struct ib_bsdh *h);
/** True when the peer has so little left that it is to be told, even by an empty message. */
bool ib_credit_due(const struct ib_credit *c, uint32_t posted);

#define IB_MSGQ_BYTES  (1u << 20) /* bytes of entries, with their heads, that may wait */
#define IB_MSGQ_LATEST 1024	  /* cursors looked up for overtaking */

/** Entries that wait to be sent, in order (ib_set_queue.c). */
struct ib_msgq {
	uint8_t *ring;			 /* IB_MSGQ_BYTES; ours */
	uint64_t head;			 /* next to write, free-running bytes */
	uint64_t tail;			 /* oldest */
	uint64_t latest[IB_MSGQ_LATEST]; /* hash of kind and token: where its last cursor lies */
};

/** Allocates. 0 or ENOMEM. */
int ib_msgq_open(struct ib_msgq *q);
void ib_msgq_close(struct ib_msgq *q);
/** Appends an entry of `size` bytes (a multiple of 8), or replaces an older cursor. ENOBUFS: full.
 */
int ib_msgq_put(struct ib_msgq *q, uint8_t mid, const void *entry, uint32_t size);
/**
 * Moves entries of one kind into buf (room bytes, at least the largest entry). Returns the bytes,
 * 0 when nothing waits; *mid is their kind.
 */
uint32_t ib_msgq_take(struct ib_msgq *q, uint8_t *mid, uint8_t *buf, uint32_t room);
/** Bytes that wait. */
static inline uint32_t ib_msgq_bytes(const struct ib_msgq *q)
{
	return q->head - q->tail;
}

/** A send buffer's completion. */
struct ib_set_tx {
	struct ib_op op;    /* first, to get back from it */
	struct ib_set *set; /* its set */
	uint32_t pos;	    /* free-running number of the buffer */
};

/** What a set owns beside its queue pairs. */
struct ib_set_impl {
	struct ib_mem mem;		  /* IB_SET_BUFS receive buffers, then as many to send */
	struct ib_credit credit;	  /* how much may be sent */
	struct ib_msgq queue;		  /* what is to be sent */
	struct ib_set_tx tx[IB_SET_BUFS]; /* one per send buffer */
	uint32_t tx_head;		  /* next send buffer, free-running */
	uint32_t tx_tail;		  /* oldest in use */
	bool blocked; /* the last attempt to send stopped for want of something */
	bool killed;  /* we broke it: too much waited, or a SEND was refused */
};

/** Sends what waits, as far as it goes, and a Credit message when one is due. */
void ib_set_pump(struct ib_set *s);

#endif
