/* SPDX-License-Identifier: BSD-3-Clause */
/* seqmap_int.h - what the files of the sequence map share. */
#ifndef TCPSTACK_SEQMAP_INT_H
#define TCPSTACK_SEQMAP_INT_H

#include "tcpstack/net_wire.h"
#include "tcpstack/seqmap.h"

#define SEQMAP_MAX_HLEN 60 /* of a TCP header */

/** How the options of one segment change. Deltas are added, modulo 2^32. */
struct seqmap_opts {
	uint32_t d_ts;	   /* added to TSval or TSecr */
	uint32_t d_sack;   /* added to both edges of SACK blocks */
	uint32_t sack_max; /* with sack_clamp: blocks end here at the latest, before d_sack */
	uint8_t ts_at;	   /* offset in the timestamp option: 2 TSval, 6 TSecr; 0: leave alone */
	bool ts_keep_zero; /* an echo of 0 means "none" and stays */
	bool sack_clamp;   /* see sack_max; blocks that become empty are removed */
};

/** Changes the options of the header of hlen bytes at tcp. False: malformed, half done. */
bool seqmap_map_opts(uint8_t *tcp, uint32_t hlen, const struct seqmap_opts *o);

/** Reads TSval and TSecr of a header whose options are well formed. False: there are none. */
bool seqmap_get_ts(const uint8_t *tcp, uint32_t hlen, uint32_t *tsval, uint32_t *tsecr);

/**
 * A sequence number that the client acknowledges or quotes, as far as the kernel has sent: what
 * lies in (k_sent, snd_max] was sent by the gateway only.
 */
static inline uint32_t seqmap_clamp(const struct seqmap *m, uint32_t wire)
{
	return tcp_lt(m->k_sent, wire) && tcp_leq(wire, m->ack_max) ? m->k_sent : wire;
}

/** The client's window field for an ACK that was clamped by `less` bytes: the edge stays. */
static inline uint16_t seqmap_wnd(const struct seqmap *m, uint16_t wnd, uint32_t less)
{
	const uint32_t sum = wnd + (less >> m->snd_wscale);

	return sum < UINT16_MAX ? (uint16_t)sum : UINT16_MAX;
}

#endif
