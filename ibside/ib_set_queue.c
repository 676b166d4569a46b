/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_set_queue.c - entries that wait to be sent.
 *
 * A ring of bytes: each entry behind a head of 8 bytes that names kind and size; an entry that
 * would reach over the end is preceded by a filler. Entries leave in order, except that a cursor
 * replaces an older one of the same kind and token that still waits: cursors only grow, and what
 * they announce is in memory already, so news may come early. That bounds the queue by
 * the number of connections, however long the peer is away. Positions never wrap, so a stale
 * place in `latest` cannot be taken for a live one.
 */
#include "ibside/ib_set_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** In front of each entry. */
struct head {
	uint8_t mid;   /* enum ib_mid; 0: filler */
	uint8_t rsvd0; /* 0 */
	uint16_t size; /* bytes of the entry */
	uint32_t rsvd; /* 0; keeps the entry aligned */
};
static_assert(sizeof(struct head) == 8, "entries stay aligned");

int ib_msgq_open(struct ib_msgq *q)
{
	memset(q, 0, sizeof(*q));
	q->ring = malloc(IB_MSGQ_BYTES);
	/* Position 0 is never used: it is the "nowhere" of `latest`. */
	q->head = q->tail = IB_MSGQ_BYTES;
	return q->ring ? 0 : ENOMEM;
}

void ib_msgq_close(struct ib_msgq *q)
{
	free(q->ring);
	q->ring = NULL;
}

/* Head at a position. */
static struct head *at(const struct ib_msgq *q, uint64_t pos)
{
	return (struct head *)(q->ring + (pos & (IB_MSGQ_BYTES - 1)));
}

/* Bytes from a position to the end of the ring. */
static uint32_t to_end(uint64_t pos)
{
	return IB_MSGQ_BYTES - (pos & (IB_MSGQ_BYTES - 1));
}

/* True for kinds whose newest entry says all. */
static bool is_cursor(uint8_t mid)
{
	return mid == IB_MID_SRC_AVAIL || mid == IB_MID_WR_COMPL || mid == IB_MID_RD_COMPL;
}

/* Where the last cursor of this kind and token is remembered. */
static uint64_t *latest(struct ib_msgq *q, uint8_t mid, const void *entry)
{
	uint32_t token;

	memcpy(&token, entry, sizeof(token));
	return &q->latest[((token ^ (uint32_t)mid << 24) * 2654435761u) >> 22];
}
static_assert(IB_MSGQ_LATEST == 1u << (32 - 22), "the hash gives 10 bits");

/* Replaces a waiting cursor of the same kind and token; false: there is none. */
static bool overtake(struct ib_msgq *q, uint64_t pos, uint8_t mid, const void *entry, uint32_t size)
{
	struct head *h;

	if (pos < q->tail || pos >= q->head)
		return false;
	h = at(q, pos);
	if (h->mid != mid || memcmp(h + 1, entry, sizeof(uint32_t)) != 0)
		return false;
	memcpy(h + 1, entry, size);
	return true;
}

int ib_msgq_put(struct ib_msgq *q, uint8_t mid, const void *entry, uint32_t size)
{
	uint64_t *place = is_cursor(mid) ? latest(q, mid, entry) : NULL;
	uint32_t need = sizeof(struct head) + size, end;

	if (place && overtake(q, *place, mid, entry, size))
		return 0;
	if (q->head == q->tail) /* from the start again: what is in use stays in the cache */
		q->head = q->tail = q->head + to_end(q->head);
	end = to_end(q->head);
	if (ib_msgq_bytes(q) + need + (end < need ? end : 0) > IB_MSGQ_BYTES)
		return ENOBUFS;
	if (end < need) {
		*at(q, q->head) = (struct head){.size = end - sizeof(struct head)};
		q->head += end;
	}
	*at(q, q->head) = (struct head){.mid = mid, .size = size};
	memcpy(at(q, q->head) + 1, entry, size);
	if (place)
		*place = q->head;
	q->head += need;
	return 0;
}

uint32_t ib_msgq_take(struct ib_msgq *q, uint8_t *mid, uint8_t *buf, uint32_t room)
{
	uint32_t len = 0;

	while (q->tail != q->head) {
		struct head *h = at(q, q->tail);

		if (h->mid) {
			if (len && (h->mid != *mid || len + h->size > room))
				break;
			*mid = h->mid;
			memcpy(buf + len, h + 1, h->size);
			len += h->size;
		}
		q->tail += sizeof(*h) + h->size;
	}
	return len;
}
