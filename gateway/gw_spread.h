/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_spread.h - which worker a packet belongs to (gw_spread.c), and how it gets there (gw_hand.c).
 */
#ifndef GATEWAY_GW_SPREAD_H
#define GATEWAY_GW_SPREAD_H

#include "gateway/gw.h"

#define GW_SPREAD_BUCKETS \
	64u /* places from hashes to workers: devices have as many or a multiple */

/** Bucket of what lies between two ends; the same whichever of them sends. Ports in network byte
 * order, 0 when only the addresses count. */
uint32_t gw_spread_bucket(const struct net_addr *a, const struct net_addr *b, uint16_t aport,
			  uint16_t bport);
/** Worker of n that has a bucket. */
static inline uint32_t gw_spread_worker(uint32_t bucket, uint32_t n)
{
	return bucket % n;
}

/** Worker of a TCP or UDP flow. */
uint32_t gw_spread_flow(const struct gw *gw, const struct net_flow *f);
/** Worker of a packet that net_parse() accepted: TCP and UDP by addresses and ports, an ICMP error
 * by the TCP flow that it quotes, everything else, fragments too, by addresses. */
uint32_t gw_spread_packet(const struct gw *gw, const uint8_t *frame, const struct net_pkt *p);
/** Fills in the key with which a device's Toeplitz hash agrees. len: bytes, even. */
void gw_spread_key(uint8_t *key, uint32_t len);

/** What a frame is that one worker gives to another. */
enum gw_hand_kind {
	GW_HAND_LAN,	 /* from port `index`, checksums verified, without tag */
	GW_HAND_HOST,	 /* from host `index`, checked, without encapsulation */
	GW_HAND_BOUNCED, /* the same, with the bounced bit */
	GW_HAND_SEND,	 /* to port `index`, complete */
};

/** Rings between all workers of the gateway. 0 or ENOMEM. */
int gw_hand_open(struct gw *gw);
/** Frees them and the frames in them; no worker runs any more. */
void gw_hand_close(struct gw *gw);
/** Gives m to worker `to` at the end of the turn, or drops it when that is too far behind. Takes
 * m. */
void gw_hand(struct gw_worker *w, uint32_t to, struct rte_mbuf *m, enum gw_hand_kind kind,
	     uint32_t index);
/** Takes what other workers gave; how many frames. */
uint32_t gw_hand_run(struct gw_worker *w);
/** Gives the others what is theirs. */
void gw_hand_flush(struct gw_worker *w);
/** Frames that wait for a worker, from all others. Any thread: a snapshot. */
uint32_t gw_hand_waiting(const struct gw_worker *w);

/** A packet from the LAN or a host: true when it was another worker's and went there. */
static inline bool gw_hand_away(struct gw_worker *w, struct rte_mbuf *m, const struct net_pkt *p,
				enum gw_hand_kind kind, uint32_t index)
{
	uint32_t to;

	if (w->gw->n_worker == 1)
		return false;
	to = gw_spread_packet(w->gw, rte_pktmbuf_mtod(m, const uint8_t *), p);
	if (to == w->index)
		return false;
	gw_hand(w, to, m, kind, index);
	return true;
}

#endif
