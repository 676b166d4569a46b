/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel_pool.c - pools of one worker: registered payload chunks and lines under way, and
 * the core's transmission records.
 *
 * A chunk is one contiguous buffer. Its cache holds one reference, and each slice of it in a frame
 * another one (struct rte_mbuf_ext_shared_info), so a chunk may leave the cache while
 * frames made of it are still in a transmit queue; the last reference brings it back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_memory.h>

#include "gateway/gw_accel.h"

#define SLICE_ROOM (RTE_PKTMBUF_HEADROOM + NET_MAX_HDR)

/* The last reference is gone. Runs where frames are freed: on the worker. */
static void chunk_freed(void *addr, void *opaque)
{
	struct gw_chunk *ch = opaque;

	ch->state = GW_CH_FREE;
	ch->accel->chunks_used--;
	TAILQ_INSERT_HEAD(&ch->accel->chunk_free, ch, list);
	gw_accel_feed(ch->accel);
}

void gw_chunk_set_state(struct gw_chunk *ch, enum gw_chunk_state s)
{
	struct gw_accel *a = ch->accel;

	if (ch->state == GW_CH_READY)
		TAILQ_REMOVE(&a->chunk_ready, ch, list);
	else if (ch->state == GW_CH_SENT)
		TAILQ_REMOVE(&a->chunk_sent, ch, list);
	ch->state = s;
	if (s == GW_CH_READY)
		TAILQ_INSERT_TAIL(&a->chunk_ready, ch, list);
	else if (s == GW_CH_SENT)
		TAILQ_INSERT_TAIL(&a->chunk_sent, ch, list);
}

void gw_chunk_put(struct gw_chunk *ch)
{
	struct gw_conn *c = ch->conn;

	gw_chunk_set_state(ch, GW_CH_FREE);
	for (int i = 0; c && i < GW_CONN_CHUNKS; i++) {
		if (gw_conn_chunk(c, i) == ch)
			c->chunk[i] = 0;
	}
	ch->conn = NULL;
	if (rte_mbuf_ext_refcnt_update(&ch->sh, -1) == 0)
		chunk_freed(ch->addr, ch);
}

/*
 * Takes the oldest chunk of a cache that no frame refers to; some may be under way still. A chunk
 * whose connection is about to run is spared: it is to be sent now, and would be READ again. So are
 * the chunks of the one that asks: its core is just being told that they are here.
 */
static void reclaim(struct gw_chunk_list *list, const struct gw_conn *c)
{
	struct gw_chunk *ch = TAILQ_FIRST(list), *next;

	for (int i = 0; ch && i < 8; i++, ch = next) {
		bool idle = rte_mbuf_ext_refcnt_read(&ch->sh) == 1;

		next = TAILQ_NEXT(ch, list);
		if (ch->conn == c || (ch->state == GW_CH_READY && ch->conn->queued == GW_Q_DIRTY))
			continue;
		gw_chunk_put(ch);
		if (idle)
			return;
	}
}

struct gw_chunk *gw_chunk_get(struct gw_accel *a, struct gw_conn *c)
{
	struct gw_chunk *ch;

	if (TAILQ_EMPTY(&a->chunk_free))
		reclaim(&a->chunk_sent, c);
	if (TAILQ_EMPTY(&a->chunk_free))
		reclaim(&a->chunk_ready, c);
	ch = TAILQ_FIRST(&a->chunk_free);
	if (!ch)
		return NULL;
	TAILQ_REMOVE(&a->chunk_free, ch, list);
	a->chunks_used++;
	ch->conn = c;
	ch->state = GW_CH_FREE;
	rte_mbuf_ext_refcnt_set(&ch->sh, 1);
	return ch;
}

/* Allocates as many chunks as memory allows. */
static int open_chunks(struct gw_accel *a)
{
	uint32_t n = GW_CHUNKS;

	while (!(a->chunk_mem = rte_malloc("gw_chunks", (size_t)n * GW_CHUNK_SIZE, 4096))) {
		n /= 2;
		if (n < GW_CHUNKS_MIN)
			return ENOMEM;
	}
	a->n_chunks = n;
	a->chunks = calloc(n, sizeof(*a->chunks));
	if (!a->chunks)
		return ENOMEM;
	a->chunk_mr = ibv_reg_mr(a->w->gw->dev.pd, a->chunk_mem, (size_t)n * GW_CHUNK_SIZE,
				 IBV_ACCESS_LOCAL_WRITE);
	if (!a->chunk_mr)
		return errno ? errno : ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct gw_chunk *ch = &a->chunks[i];

		ch->accel = a;
		ch->addr = a->chunk_mem + (size_t)i * GW_CHUNK_SIZE;
		ch->iova = rte_mem_virt2iova(ch->addr);
		ch->sh.free_cb = chunk_freed;
		ch->sh.fcb_opaque = ch;
		TAILQ_INSERT_TAIL(&a->chunk_free, ch, list);
	}
	return 0;
}

/* Allocates the lines of places and peeks, one registration for all. */
static int open_lines(struct gw_accel *a)
{
	const size_t gw = sizeof(struct ib_gw_line), host = sizeof(struct ib_host_line);
	const size_t size = GW_PLACES * gw + GW_PEEKS * host;
	uint8_t *mem;

	if (posix_memalign(&a->line_mem, 4096, size))
		return ENOMEM;
	mem = a->line_mem;
	memset(mem, 0, size);
	a->places = calloc(GW_PLACES, sizeof(*a->places));
	a->peeks = calloc(GW_PEEKS, sizeof(*a->peeks));
	if (!a->places || !a->peeks)
		return ENOMEM;
	a->line_mr = ibv_reg_mr(a->w->gw->dev.pd, mem, size, IBV_ACCESS_LOCAL_WRITE);
	if (!a->line_mr)
		return errno ? errno : ENOMEM;
	for (uint32_t i = GW_PLACES; i-- > 0;) {
		a->places[i].line = (struct ib_gw_line *)(mem + i * gw);
		a->places[i].next = a->place_free;
		a->place_free = &a->places[i];
	}
	mem += GW_PLACES * gw;
	for (uint32_t i = GW_PEEKS; i-- > 0;) {
		a->peeks[i].line = (struct ib_host_line *)(mem + i * host);
		a->peeks[i].next = a->peek_free;
		a->peek_free = &a->peeks[i];
	}
	return 0;
}

/* Black boxes of the core. */
static int open_boxes(struct gw_accel *a)
{
	const struct gw_cfg *cfg = a->w->gw->cfg;

	if (!cfg->box_entries || !cfg->boxes)
		return 0;
	a->box_mem = calloc(1, tcp_boxes_size(cfg->boxes, cfg->box_entries));
	if (!a->box_mem)
		return ENOMEM;
	tcp_boxes_init(&a->boxes, a->box_mem, cfg->boxes, cfg->box_entries);
	a->tcp.boxes = &a->boxes;
	return 0;
}

/* Transmission records of the core; one connection may have a quarter of them. */
static int open_records(struct gw_accel *a)
{
	uint32_t n = a->w->gw->cfg->tx_records;

	a->rec_mem = calloc(n, sizeof(*a->rec_mem));
	if (!a->rec_mem)
		return ENOMEM;
	tcp_pool_init(&a->recs, a->rec_mem, n, n / 4);
	a->tcp.pool = &a->recs;
	return 0;
}

int gw_accel_pool_open(struct gw_accel *a)
{
	char name[32];
	int rc = open_chunks(a);

	if (!rc)
		rc = open_lines(a);
	if (!rc)
		rc = open_boxes(a);
	if (!rc)
		rc = open_records(a);
	if (rc)
		return rc;
	snprintf(name, sizeof(name), "gw_slices_%u", a->w->index);
	a->slices = rte_pktmbuf_pool_create(name, GW_SLICES - 1, 256, 0, SLICE_ROOM, SOCKET_ID_ANY);
	return a->slices ? 0 : ENOMEM;
}

void gw_accel_pool_close(struct gw_accel *a)
{
	rte_mempool_free(a->slices);
	if (a->line_mr)
		ibv_dereg_mr(a->line_mr);
	if (a->chunk_mr)
		ibv_dereg_mr(a->chunk_mr);
	free(a->box_mem);
	free(a->peeks);
	free(a->places);
	free(a->line_mem);
	free(a->rec_mem);
	free(a->chunks);
	rte_free(a->chunk_mem);
}

struct gw_place *gw_place_get(struct gw_accel *a, struct gw_conn *c)
{
	struct gw_place *p = a->place_free;

	if (!p)
		return NULL;
	a->place_free = p->next;
	p->conn = c;
	p->n = 0;
	p->final = false;
	return p;
}

void gw_place_put(struct gw_accel *a, struct gw_place *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		rte_pktmbuf_free(p->m[i]);
	p->n = 0;
	p->conn = NULL;
	p->next = a->place_free;
	a->place_free = p;
}

struct gw_peek *gw_peek_get(struct gw_accel *a, struct gw_conn *c)
{
	struct gw_peek *p = a->peek_free;

	if (!p)
		return NULL;
	a->peek_free = p->next;
	p->conn = c;
	return p;
}

void gw_peek_put(struct gw_accel *a, struct gw_peek *p)
{
	p->conn = NULL;
	p->next = a->peek_free;
	a->peek_free = p;
}
