/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_hand.c - frames that one worker received or made and another one has to see to: a ring from
 * each worker to each other one, so that every ring has one producer and one consumer and nobody
 * ever waits. Frames of a flow that come by one queue stay in order.
 *
 * Frames are given in bursts at the end of a turn. A ring that is full means that its worker is
 * behind: frames are dropped and counted, as a NIC does whose queue is full. What a frame is goes
 * along in the mbuf (hash.usr), which no one else uses.
 */
#include "gateway/gw_spread.h"

#include <errno.h>
#include <stdio.h>

#include "gateway/gw_int.h"

#define RING_MAX   4096u
#define KIND_SHIFT 16

int gw_hand_open(struct gw *gw)
{
	/* A quarter of the sender's frames at most, or it could receive none. */
	const uint32_t size = RTE_MIN(RING_MAX, rte_align32prevpow2(gw->cfg->mbufs / 4));
	char name[RTE_RING_NAMESIZE];

	for (uint32_t i = 0; i < gw->n_worker; i++)
		for (uint32_t k = 0; k < gw->n_worker; k++) {
			if (i == k)
				continue;
			snprintf(name, sizeof(name), "hand%u-%u", k, i);
			gw->worker[i]->from[k] = rte_ring_create(name, size, SOCKET_ID_ANY,
								 RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (!gw->worker[i]->from[k])
				return ENOMEM;
		}
	return 0;
}

void gw_hand_close(struct gw *gw)
{
	void *m;

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		struct gw_worker *w = gw->worker[i];

		for (uint32_t k = 0; w && k < gw->n_worker; k++) {
			rte_pktmbuf_free_bulk(w->to[k], w->n_to[k]);
			w->n_to[k] = 0;
			while (w->from[k] && rte_ring_dequeue(w->from[k], &m) == 0)
				rte_pktmbuf_free(m);
			rte_ring_free(w->from[k]);
			w->from[k] = NULL;
		}
	}
}

/* Gives one worker what is its. */
static void flush(struct gw_worker *w, uint32_t to)
{
	struct gw_worker *other = w->gw->worker[to];
	uint32_t n = w->n_to[to],
		 done = rte_ring_enqueue_burst(other->from[w->index], (void **)w->to[to], n, NULL);

	w->stats.handed_frames += done;
	for (uint32_t i = done; i < n; i++)
		gw_drop(w, GW_DROP_WORKER_FULL, w->to[to][i]);
	w->n_to[to] = 0;
}

void gw_hand(struct gw_worker *w, uint32_t to, struct rte_mbuf *m, enum gw_hand_kind kind,
	     uint32_t index)
{
	m->hash.usr = (uint32_t)kind << KIND_SHIFT | index;
	w->to[to][w->n_to[to]++] = m;
	if (w->n_to[to] == RTE_DIM(w->to[0]))
		flush(w, to);
}

void gw_hand_flush(struct gw_worker *w)
{
	for (uint32_t i = 0; i < w->gw->n_worker; i++)
		if (w->n_to[i])
			flush(w, i);
}

/* One frame of another worker. */
static void taken(struct gw_worker *w, struct rte_mbuf *m)
{
	const uint32_t index = m->hash.usr & ((1u << KIND_SHIFT) - 1);

	switch ((enum gw_hand_kind)(m->hash.usr >> KIND_SHIFT)) {
	case GW_HAND_LAN:
		gw_lan_taken(w, &w->gw->port[index], m);
		return;
	case GW_HAND_HOST:
		gw_native_taken(w, &w->gw->host[index], m, false);
		return;
	case GW_HAND_BOUNCED:
		gw_native_taken(w, &w->gw->host[index], m, true);
		return;
	case GW_HAND_SEND:
		gw_port_send(w, &w->gw->port[index], m);
		return;
	}
}

uint32_t gw_hand_run(struct gw_worker *w)
{
	struct rte_mbuf *m[GW_BURST];
	uint32_t total = 0, left;

	for (uint32_t i = 0; i < w->gw->n_worker; i++) {
		uint32_t n;

		if (!w->from[i])
			continue;
		n = rte_ring_dequeue_burst(w->from[i], (void **)m, GW_BURST, &left);
		w->hand_peak = RTE_MAX(w->hand_peak, n + left);
		for (uint32_t k = 0; k < n; k++)
			taken(w, m[k]);
		total += n;
	}
	w->stats.taken_frames += total;
	return total;
}

uint32_t gw_hand_waiting(const struct gw_worker *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->gw->n_worker; i++)
		n += w->from[i] ? rte_ring_count(w->from[i]) : 0;
	return n;
}
