/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_spread.c - which worker a packet belongs to: receive side scaling with a hash that is the same
 * for both directions of a flow, so that one worker sees all of it.
 *
 * The hash is Toeplitz's, as NICs have it, under the key 0x6d5a repeated (Woo and Park, "Scalable
 * TCP session monitoring with symmetric receive-side scaling", 2012). As the key repeats after 16
 * bits, the hash of any input is that of all its 16-bit words XORed: swapping source and
 * destination changes nothing, the prefix of an IPv4-mapped address cancels out, and software needs
 * a few instructions instead of one step per bit (rte_softrss()). So a NIC that is given this key
 * and a table of buckets (gw_port.c) hands frames to the right worker by itself, and what it gets
 * wrong, since it cannot know better (ICMP errors, fragments) or has fewer queues than there are
 * workers, is found out here and goes on by a ring (gw_hand.c). Frames of hosts come by the queue
 * pair of the worker whose frames they answer; what a host begins, or forwards, is put right in the
 * same way.
 *
 * Flows could also be bound to workers by rte_distributor or an event device. Both want a core
 * that deals packets out, and both choose a worker anew when a flow pauses: then its connection
 * would have to move.
 */
#include "gateway/gw_spread.h"

#include "tcpstack/net_wire.h"
#include "tcpstack/seqmap.h"

#define KEY  0x6d5au /* of the hash, repeated */
#define BITS 6	     /* of the hash that name a bucket */
#define MASK 0x36adu /* bits of the input whose parity is the lowest bit of the hash under KEY */

static_assert(GW_SPREAD_BUCKETS == 1u << BITS, "a bucket is the end of a hash");

/* All 16-bit words of an address XORed, four of them at a time. */
static uint64_t fold(const struct net_addr *a)
{
	uint64_t w[2];

	memcpy(w, a->b, sizeof(w));
	return w[0] ^ w[1];
}

uint32_t gw_spread_bucket(const struct net_addr *a, const struct net_addr *b, uint16_t aport,
			  uint16_t bport)
{
	const uint64_t x = fold(a) ^ fold(b);
	uint32_t in = (uint32_t)(x ^ x >> 32), mask = MASK, bucket = 0;

	in = be16toh((uint16_t)(in ^ in >> 16 ^ aport ^ bport));
	for (int bit = 0; bit < BITS; bit++) {
		bucket |= (uint32_t)__builtin_parity(in & mask) << bit;
		mask = (mask >> 1 | mask << 15) & 0xffff;
	}
	return bucket;
}

uint32_t gw_spread_flow(const struct gw *gw, const struct net_flow *f)
{
	if (gw->n_worker == 1)
		return 0;
	return gw_spread_worker(gw_spread_bucket(&f->remote, &f->local, f->rport, f->lport),
				gw->n_worker);
}

uint32_t gw_spread_packet(const struct gw *gw, const uint8_t *frame, const struct net_pkt *p)
{
	const bool ports = p->l4_off && !p->fragment &&
			   (p->proto == NET_PROTO_TCP || p->proto == NET_PROTO_UDP);
	struct net_flow f;

	if ((p->proto == NET_PROTO_ICMP || p->proto == NET_PROTO_ICMP6) && p->l4_off &&
	    !p->fragment && net_icmp_quoted(frame, p, &f) == 0)
		return gw_spread_flow(gw, &f);
	return gw_spread_worker(
		gw_spread_bucket(&p->src, &p->dst, ports ? p->sport : 0, ports ? p->dport : 0),
		gw->n_worker);
}

void gw_spread_key(uint8_t *key, uint32_t len)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		net_put16(key + i, KEY);
}
