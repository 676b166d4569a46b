/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seqmap_icmp.c - ICMP and ICMPv6 errors about our segments: the kernel finds the connection by
 * the quoted ports and believes the error only if the quoted sequence number is in flight
 * (RFC 5927 section 4.1), so the quote is translated back to the kernel's numbers.
 *
 * The quote may end anywhere after the sequence number: in front of the TCP checksum, or inside
 * an option. What is there is translated; the quoted checksum is updated if it is there, and the
 * error's own checksum over all of it.
 */
#include "tcpstack/seqmap_int.h"

/* Translates the quoted header, of which n bytes are there. */
static void map_quote(const struct seqmap *m, uint8_t *tcp, uint32_t n)
{
	const struct seqmap_opts opts = {
		.d_ts = -m->d_ts, .ts_at = m->ts_ok ? 2 : 0, .d_sack = -m->d_rcv};
	const uint32_t seq = seqmap_clamp(m, net_get32(tcp + NET_TCP_SEQ));
	uint8_t old[SEQMAP_MAX_HLEN];
	uint32_t hlen;

	memcpy(old, tcp, n);
	net_put32(tcp + NET_TCP_SEQ, seq - m->d_snd);
	if (n >= NET_TCP_ACK + 4)
		net_put32(tcp + NET_TCP_ACK, net_get32(tcp + NET_TCP_ACK) - m->d_rcv);
	if (n > NET_TCP_HLEN) {
		hlen = (tcp[NET_TCP_DOFF] >> 4) * 4u;
		/* the result does not matter: a cut option stays as it is */
		seqmap_map_opts(tcp, hlen < n ? hlen : n, &opts);
	}
	if (n >= NET_TCP_CSUM + 2)
		net_csum_update(tcp + NET_TCP_CSUM, old, tcp, n, false);
}

enum seqmap_verdict seqmap_icmp_in(struct seqmap *m, uint8_t *frame, uint32_t *len,
				   const struct net_pkt *p)
{
	uint32_t ip_off, tcp_off, n;
	uint8_t old[SEQMAP_MAX_HLEN];

	if (p->frame_len > *len || net_icmp_quote(frame, p, &ip_off, &tcp_off, &n))
		return SEQMAP_BAD;
	n = n < SEQMAP_MAX_HLEN ? n : SEQMAP_MAX_HLEN;
	memcpy(old, frame + tcp_off, n);
	map_quote(m, frame + tcp_off, n);
	net_csum_update(frame + p->l4_off + 2, old, frame + tcp_off, n, false);
	*len = p->frame_len;
	return SEQMAP_PASS;
}
