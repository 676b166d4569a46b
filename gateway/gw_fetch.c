/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_fetch.c - server to client: RDMA READs of payload into chunks (DESIGN 4.3).
 *
 * The core wants ranges; each is covered by chunks the connection holds, by READs under way, or by
 * new READs. A READ of new payload takes as much as there is, up to a chunk: the bytes will be
 * needed next. When there is no room for all of a range, the part that begins it is accepted and
 * the rest is READ as soon as there is room. A connection holds few chunks; those that have been
 * sent stay as a cache for retransmissions until the client acknowledged them or the place is
 * needed. A ring that wraps costs a second READ, completed together with the first.
 */
#include <errno.h>

#include "gateway/gw_accel.h"

struct gw_chunk *gw_fetch_find(const struct gw_conn *c, uint32_t seq)
{
	for (int i = 0; i < GW_CONN_CHUNKS; i++) {
		struct gw_chunk *ch = gw_conn_chunk(c, i);

		if (ch && seq - ch->seq < ch->len)
			return ch;
	}
	return NULL;
}

uint64_t gw_fetch_floor(const struct gw_conn *c)
{
	uint64_t floor = UINT64_MAX;

	for (int i = 0; i < GW_CONN_CHUNKS && c->rd_out; i++) {
		const struct gw_chunk *ch = gw_conn_chunk(c, i);

		if (ch && ch->state == GW_CH_READING && gw_tx_cursor(c, ch->seq) < floor)
			floor = gw_tx_cursor(c, ch->seq);
	}
	return floor;
}

void gw_fetch_drop(struct gw_conn *c)
{
	for (int i = 0; i < GW_CONN_CHUNKS; i++) {
		struct gw_chunk *ch = gw_conn_chunk(c, i);

		if (ch && ch->state != GW_CH_READING)
			gw_chunk_put(ch);
	}
}

/* True when a chunk may leave: all of it has been sent, and no retransmission is about to use it.
 */
static bool spare(const struct gw_conn *c, const struct gw_chunk *ch)
{
	const struct tcp_conn *t = c->tcp;

	if (ch->state == GW_CH_READING || tcp_lt(t->snd_nxt, ch->seq + ch->len))
		return false;
	return !tcp_lt(t->rx_start, t->rx_end) || tcp_leq(t->rx_end, ch->seq) ||
	       tcp_leq(ch->seq + ch->len, t->rx_start);
}

/*
 * A place for a chunk that begins at seq, made free if need be; -1: none. What is missing before
 * others holds all of them back, as a retransmission does: it takes the place of the last of
 * what is here, which is READ again in its turn.
 */
static int free_place(struct gw_conn *c, uint32_t seq)
{
	int old = -1, last = -1;

	for (int i = 0; i < GW_CONN_CHUNKS; i++) {
		const struct gw_chunk *ch = gw_conn_chunk(c, i);

		if (!ch)
			return i;
		if (ch->state != GW_CH_READING && tcp_lt(seq, ch->seq) &&
		    (last < 0 || tcp_lt(gw_conn_chunk(c, last)->seq, ch->seq)))
			last = i;
		if (!spare(c, ch))
			continue;
		if (old < 0 || tcp_lt(ch->seq, gw_conn_chunk(c, old)->seq))
			old = i;
	}
	if (old < 0)
		old = last;
	if (old >= 0)
		gw_chunk_put(gw_conn_chunk(c, old));
	return old;
}

/* Notes how long a server's memory took to answer: its load, as gw_health.c sees it. */
static void note_time(struct gw_link *l, uint64_t us)
{
	const uint32_t old = atomic_load_explicit(&l->read_us, memory_order_relaxed);
	const uint32_t now = us == 0 ? 1 : us < UINT16_MAX ? (uint32_t)us : UINT16_MAX;

	atomic_store_explicit(&l->read_us, old ? (7 * old + now + 4) / 8 : now,
			      memory_order_relaxed);
}

/* A READ is back. */
static void on_read(struct ib_op *op, enum ibv_wc_status status)
{
	struct gw_chunk *ch = (struct gw_chunk *)op;
	struct gw_conn *c = ch->conn;
	struct gw_worker *w = ch->accel->w;

	ch->accel->reads_out--;
	c->rd_out--;
	gw_chunk_set_state(ch, GW_CH_READY);
	if (status != IBV_WC_SUCCESS || !gw_conn_running(c) ||
	    tcp_leq(ch->seq + ch->len, c->tcp->snd_una)) {
		gw_chunk_put(ch);
	} else {
		note_time(c->link, w->now_us - ch->posted_us);
		w->stats.rdma_read_bytes += ch->len;
		c->read_bytes += ch->len;
		tcp_ready(c->tcp, ch->seq, ch->len, w->now_us);
	}
	gw_accel_dirty(c);
	gw_conn_op_done(c);
}

/* Posts the READ of a chunk. 0, or errno: then the link is failing. */
static int post_read(struct gw_conn *c, struct gw_chunk *ch, uint64_t cursor)
{
	const struct ib_arena *ar = gw_conn_arena(c);
	struct ib_qp *qp = &c->link->set.rd;
	uint64_t base = ar->tx_base + (uint64_t)c->slot * ar->tx_size;
	uint32_t off = cursor & (ar->tx_size - 1), first = ar->tx_size - off;
	struct ibv_sge sge = {
		.addr = (uintptr_t)ch->addr, .length = ch->len, .lkey = ch->accel->chunk_mr->lkey};
	int rc;

	ib_tap_mark(qp, c->token);
	ch->op.done = on_read;
	ch->posted_us = ch->accel->w->now_us;
	if (first >= ch->len)
		return ib_qp_read(qp, &sge, 1, base + off, ar->tx_rkey, &ch->op);
	sge.length = first;
	rc = ib_qp_read(qp, &sge, 1, base + off, ar->tx_rkey, NULL);
	if (rc)
		return rc;
	sge.addr += first;
	sge.length = ch->len - first;
	ib_tap_mark(qp, c->token);
	return ib_qp_read(qp, &sge, 1, base, ar->tx_rkey, &ch->op);
}

/* Bytes to READ at seq: to the end of what there is, the next chunk held, or a full chunk. */
static uint32_t extent(const struct gw_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	uint32_t have = gw_tx_seq(c, gw_tx_prod(c)) - seq;

	if (!retx)
		len = have;
	else if (len > have)
		len = have;
	if (len > GW_CHUNK_SIZE)
		len = GW_CHUNK_SIZE;
	for (int i = 0; i < GW_CONN_CHUNKS; i++) {
		const struct gw_chunk *ch = gw_conn_chunk(c, i);

		if (ch && ch->seq - seq < len)
			len = ch->seq - seq;
	}
	return len;
}

/*
 * A chunk for what begins at seq. When all chunks there are belong to this connection and hold what
 * comes later, the last of them leaves: else nothing could ever be sent. The core wants it again
 * when it finds it gone (ENODATA).
 */
static struct gw_chunk *get_chunk(struct gw_accel *a, struct gw_conn *c, uint32_t seq)
{
	struct gw_chunk *ch = gw_chunk_get(a, c), *last = NULL;

	for (int i = 0; i < GW_CONN_CHUNKS && !ch; i++) {
		struct gw_chunk *own = gw_conn_chunk(c, i);

		if (own && own->state != GW_CH_READING && tcp_lt(seq, own->seq) &&
		    (!last || tcp_lt(last->seq, own->seq)))
			last = own;
	}
	if (!last)
		return ch;
	gw_chunk_put(last);
	return gw_chunk_get(a, c);
}

/* Starts a READ at seq for a range of len bytes. 0, ENOBUFS, or a final error. */
static int start(struct gw_conn *c, uint32_t seq, uint32_t len, bool retx, uint32_t *got)
{
	struct gw_accel *a = gw_accel_of(c);
	uint64_t cursor = gw_tx_cursor(c, seq);
	struct gw_chunk *ch;
	int place;

	if (cursor < c->tx_acked || cursor >= gw_tx_prod(c))
		return EFAULT;
	if (a->reads_out >= GW_READS_MAX || ib_qp_room(&c->link->set.rd) < 2)
		return ENOBUFS;
	place = free_place(c, seq);
	if (place < 0)
		return ENOBUFS;
	ch = get_chunk(a, c, seq);
	if (!ch)
		return ENOBUFS;
	ch->seq = seq;
	ch->len = *got = extent(c, seq, len, retx);
	if (post_read(c, ch, cursor)) {
		/* Half of it may be under way: the chunk is never used again. */
		gw_accel_fail(c->link);
		return ENOBUFS;
	}
	/* get_chunk() may have taken a chunk of ours: the place found is free anyway. */
	c->chunk[place] = (uint16_t)(ch - a->chunks + 1);
	gw_chunk_set_state(ch, GW_CH_READING);
	c->rd_out++;
	c->ops_out++;
	a->reads_out++;
	a->ops_out++;
	a->w->stats.rdma_reads++;
	/* Little is left that we know of: look what was produced meanwhile. */
	if (gw_tx_prod(c) - cursor - ch->len < gw_conn_arena(c)->tx_size / 4)
		c->peek_due = true;
	return 0;
}

int gw_fetch_want(struct tcp_conn *t, uint32_t seq, uint32_t len, bool retx)
{
	struct gw_conn *c = gw_conn_of(t);
	bool coming = false, here = false;

	if (!gw_conn_running(c))
		return ENOBUFS;
	while (len) {
		struct gw_chunk *ch = gw_fetch_find(c, seq);
		uint32_t n;
		int rc;

		if (ch) {
			n = ch->seq + ch->len - seq;
			coming |= ch->state == GW_CH_READING;
			here |= ch->state != GW_CH_READING;
		} else {
			rc = start(c, seq, len, retx, &n);
			c->want_blocked |= rc == ENOBUFS;
			if (rc == ENOBUFS && (coming || here)) {
				c->gap = coming = true;
				break;
			}
			if (rc)
				return rc;
			coming = true;
		}
		if (n >= len)
			break;
		seq += n;
		len -= n;
	}
	/* The answer is one for all of the range: the part that is here is told later. */
	c->ready_due |= coming && here;
	return coming ? EINPROGRESS : 0;
}

/* READs what is missing of [from, to), as far as there is room. False: not all of it. */
static bool fill(struct gw_conn *c, uint32_t from, uint32_t to, bool retx)
{
	while (tcp_lt(from, to)) {
		const struct gw_chunk *ch = gw_fetch_find(c, from);
		uint32_t n;

		if (ch)
			n = ch->seq + ch->len - from;
		else if (start(c, from, to - from, retx, &n))
			return false;
		from += n;
	}
	return true;
}

void gw_fetch_fill(struct gw_conn *c)
{
	const struct tcp_conn *t = c->tcp;

	/* A retransmission comes first. */
	c->gap = !fill(c, t->rx_start, t->rx_end, true) || !fill(c, t->snd_nxt, t->want_nxt, false);
}

void gw_fetch_tell(struct gw_conn *c)
{
	c->ready_due = false;
	for (int i = 0; i < GW_CONN_CHUNKS; i++) {
		const struct gw_chunk *ch = gw_conn_chunk(c, i);

		if (ch && ch->state != GW_CH_READING)
			tcp_ready(c->tcp, ch->seq, ch->len, c->link->worker->now_us);
	}
	gw_accel_dirty(c);
}

void gw_fetch_acked(struct tcp_conn *t, uint32_t una)
{
	struct gw_conn *c = gw_conn_of(t);

	for (int i = 0; i < GW_CONN_CHUNKS; i++) {
		struct gw_chunk *ch = gw_conn_chunk(c, i);

		if (ch && ch->state != GW_CH_READING && tcp_leq(ch->seq + ch->len, una))
			gw_chunk_put(ch);
	}
}
