/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture_write.c - the writer thread of a capture: pieces become packets, packets records,
 * records a file, until a limit is reached.
 */
#include <rte_ring.h>
#include <time.h>
#include <unistd.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_int.h"

#define BUF   (256u << 10) /* bytes written at once */
#define BURST 64	   /* pieces of a worker at a time */
#define NAP   1000000	   /* ns between looks at empty rings */

static bool running(const struct gw_capture *cap)
{
	return atomic_load_explicit(&cap->end, memory_order_acquire) == GW_CAP_RUNNING;
}

/* Ends the capture, unless it has another reason already. */
static void finish(struct gw_capture *cap, enum gw_cap_end why)
{
	int was = GW_CAP_RUNNING;

	atomic_compare_exchange_strong(&cap->end, &was, (int)why);
}

static void flush(struct gw_capture *cap)
{
	uint32_t done = 0;
	ssize_t n;

	while (done < cap->used) {
		n = write(cap->fd, cap->buf + done, cap->used - done);
		if (n <= 0) {
			finish(cap, GW_CAP_WRITE);
			break;
		}
		done += (uint32_t)n;
	}
	cap->used = 0;
}

/* True when a limit forbids another record of so many bytes. */
static bool at_limit(struct gw_capture *cap, uint32_t bytes)
{
	if (cap->packets >= cap->limit.packets)
		finish(cap, GW_CAP_PACKETS);
	else if (cap->bytes + bytes > cap->limit.bytes)
		finish(cap, GW_CAP_BYTES);
	else
		return false;
	return true;
}

/* A packet of the piece at hand. */
static void on_packet(void *arg, const uint8_t *pkt, uint32_t n)
{
	struct gw_capture *cap = arg;
	int end = atomic_load(&cap->end);

	if ((end != GW_CAP_RUNNING && end != GW_CAP_STOPPED) || at_limit(cap, PKT_ERF_RECORD + n))
		return;
	if (cap->used + PKT_ERF_RECORD + n > BUF)
		flush(cap);
	n = pkt_erf_record(cap->buf + cap->used, &cap->now->ts, pkt, n, cap->lost);
	cap->lost = 0;
	cap->used += n;
	atomic_fetch_add(&cap->bytes, n);
	atomic_fetch_add(&cap->packets, 1);
}

/* What a worker has left; returns how much that was. */
static uint32_t drain(struct gw_capture *cap, struct gw_cap_ring *r)
{
	void *piece[BURST];
	uint32_t n = rte_ring_sc_dequeue_burst(r->full, piece, BURST, NULL);

	for (uint32_t i = 0; i < n; i++) {
		const struct gw_cap_piece *p = piece[i];
		struct iovec v = {(void *)(uintptr_t)p->data, p->n};

		cap->now = p;
		cap->lost += p->lost;
		pkt_op_put(&p->op, &v, p->n ? 1 : 0, on_packet, cap);
	}
	rte_ring_sp_enqueue_bulk(r->free, piece, n, NULL);
	return n;
}

void *gw_cap_writer(void *arg)
{
	struct gw_capture *cap = arg;
	const struct timespec nap = {.tv_nsec = NAP};
	uint64_t until = cap->start_us + cap->limit.seconds * 1000000;
	uint8_t buf[BUF];
	uint32_t n;

	cap->buf = buf;
	pkt_erf_head(cap->buf);
	cap->used = PKT_ERF_HEAD;
	atomic_store(&cap->bytes, PKT_ERF_HEAD);
	do {
		bool more = running(cap);

		if (gw_now_us() >= until)
			finish(cap, GW_CAP_SECONDS);
		n = 0;
		for (uint32_t i = 0; i < cap->gw->n_worker; i++)
			n += drain(cap, &cap->ring[i]);
		if (n)
			continue;
		flush(cap);
		if (!more) /* and the rings are empty: what came before the end is written */
			break;
		nanosleep(&nap, NULL);
	} while (running(cap) || n || atomic_load(&cap->end) == GW_CAP_STOPPED);
	flush(cap);
	return NULL;
}
