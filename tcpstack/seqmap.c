/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seqmap.c - the sequence map: frames between the kernel's numbers and the wire's.
 *
 * Theory of operation
 *
 * Both directions differ by a constant once a connection is back (see seqmap.h). What makes the
 * map more than two additions is the stretch [una, snd_max) that the gateway has emitted and the
 * client has not acknowledged, while the kernel starts at una:
 *
 *     wire   ----una==========================snd_max-------->
 *                 ^ absorbed ^ k_sent
 *
 *  - The kernel's first copy of these bytes is absorbed; the ACK or window it may bring along
 *    passes as a pure ACK. A segment across snd_max keeps only its new part. A second copy means
 *    that the kernel heard no ACK: it is a retransmission, and passes.
 *  - To the client our SND.NXT is at snd_max, so pure ACKs and RSTs are raised to it: below RCV.NXT
 *    they would be outside of the client's window (RFC 9293 section 3.10.7.4) and be ignored.
 *    Probes, which live from being outside, are told by lying below what the kernel has sent.
 *  - ACKs of bytes that the kernel has not sent are clamped to what it has, and the window field
 *    is raised by the difference, so that the client's right edge does not appear to retreat.
 *    Once the kernel has sent more, seqmap_ack_frame() repeats the ACK.
 *
 * When the kernel sends beyond snd_max the stretch is history; snd_max and absorbed then follow
 * k_sent, so that comparisons modulo 2^32 stay right however long the connection lives.
 *
 * The right edge of our own window was last advertised by the gateway for the server's ring. The
 * kernel's receive buffer may be smaller, and RFC 9293 section 3.8.6 forbids to take the promise
 * back; the window field is raised until the edge is where it was, rounded up to the scale's
 * unit as a sender of scaled windows must (RFC 7323 section 2.4), or until it is 65535. The
 * kernel drops what it has no room for, and the client sends it again.
 *
 * All edits of a TCP header end in one incremental checksum update (RFC 1624) over the header as
 * it was and as it is, so a wrong checksum stays wrong.
 */
#include "tcpstack/seqmap_int.h"

/** What becomes of an outgoing segment. */
struct out_plan {
	uint32_t seq;  /* wire: where it starts after trimming */
	uint32_t trim; /* payload bytes to cut at its front */
	bool absorb;   /* the wire has all of it already */
};

void seqmap_init(struct seqmap *m, const struct seqmap_init *in)
{
	const uint32_t d_ts = in->ts_wire - in->ts_kern;

	memset(m, 0, sizeof(*m));
	m->d_snd = in->una - in->k_snd;
	m->d_rcv = in->rcv_nxt - in->k_rcv;
	m->d_ts = in->ts_ok && (int32_t)d_ts > 0 ? d_ts : 0;
	m->snd_max = in->snd_max;
	m->ack_max = in->snd_max + in->unsure;
	m->absorbed = m->k_sent = m->c_ack = m->c_told = in->una;
	m->edge = in->edge;
	m->out_ack = m->c_seq = in->rcv_nxt;
	m->snd_wscale = in->snd_wscale;
	m->rcv_wscale = in->rcv_wscale;
	m->ts_ok = in->ts_ok;
}

/* True when p describes a whole TCP segment inside the frame of len bytes. */
static bool usable(const struct net_pkt *p, uint32_t len)
{
	return p->proto == NET_PROTO_TCP && p->l4_off != 0 && !p->fragment && p->frame_len <= len &&
	       p->payload_off <= p->frame_len && p->payload_off - p->l4_off <= SEQMAP_MAX_HLEN;
}

/* Raises the sequence number of a segment without data to where the client expects us. */
static uint32_t raise_seq(const struct seqmap *m, uint32_t seq, uint8_t flags)
{
	uint32_t top = m->c_ack;

	if (tcp_lt(seq, m->k_sent))
		return seq;
	/* a RST without ACK answers a segment and must hit that segment's ACK */
	if ((flags & (TCP_RST | TCP_ACK)) != TCP_RST && tcp_lt(top, m->snd_max))
		top = m->snd_max;
	return tcp_lt(seq, top) ? top : seq;
}

/* Decides about n payload bytes at wire sequence number seq, and notes what the kernel has sent. */
static struct out_plan plan_out(struct seqmap *m, uint32_t seq, uint32_t n, uint8_t flags)
{
	const uint32_t end = seq + n + !!(flags & TCP_FIN);
	struct out_plan plan = {.seq = seq};
	bool first;

	if (flags & TCP_RST || end == seq) {
		plan.seq = raise_seq(m, seq, flags);
		return plan;
	}
	first = !tcp_lt(seq, m->absorbed) && tcp_lt(seq, m->snd_max);
	if (tcp_lt(m->k_sent, end))
		m->k_sent = end;
	if (tcp_lt(m->ack_max, m->k_sent))
		m->ack_max = m->k_sent;
	if (tcp_lt(m->snd_max, m->k_sent)) {
		plan.trim = first ? m->snd_max - seq : 0;
		plan.trim = plan.trim < n ? plan.trim : n;
		plan.seq += plan.trim;
		m->snd_max = m->absorbed = m->k_sent;
		return plan;
	}
	if (tcp_lt(m->absorbed, end))
		m->absorbed = end;
	if (first) {
		plan.absorb = true;
		plan.trim = n;
		plan.seq = m->snd_max;
	}
	return plan;
}

/*
 * Translates ACK and window of an outgoing segment and keeps the right edge. Returns true when
 * they are news to the client; with `dry` nothing is changed.
 */
static bool ack_out(struct seqmap *m, uint8_t *tcp, bool dry)
{
	const uint32_t ack = net_get32(tcp + NET_TCP_ACK) + m->d_rcv;
	const uint32_t unit = 1u << m->rcv_wscale;
	uint32_t wnd = net_get16(tcp + NET_TCP_WND);
	const bool news = tcp_lt(m->out_ack, ack) || tcp_lt(m->edge, ack + wnd * unit);

	if (dry)
		return news;
	if (tcp_lt(ack + wnd * unit, m->edge)) {
		wnd = (m->edge - ack + unit - 1) >> m->rcv_wscale;
		wnd = wnd < UINT16_MAX ? wnd : UINT16_MAX;
	}
	if (tcp_lt(m->edge, ack + wnd * unit))
		m->edge = ack + wnd * unit;
	if (tcp_lt(m->out_ack, ack))
		m->out_ack = ack;
	net_put32(tcp + NET_TCP_ACK, ack);
	net_put16(tcp + NET_TCP_WND, (uint16_t)wnd);
	return news;
}

/* Cuts n payload bytes at the front: lengths, and checksums of IP and TCP. */
static void cut_payload(uint8_t *frame, uint32_t *len, const struct net_pkt *p, uint32_t n)
{
	uint8_t *tcp = frame + p->l4_off, *data = frame + p->payload_off;
	uint8_t *iplen = frame + p->l3_off + (p->is_v6 ? NET_IP6_PLEN : NET_IP4_TOTLEN);
	uint8_t old[2], seglen[2][2];
	uint32_t sum;

	memcpy(old, iplen, 2);
	net_put16(iplen, (uint16_t)(net_get16(iplen) - n));
	if (!p->is_v6)
		net_csum_update(frame + p->l3_off + NET_IP4_CSUM, old, iplen, 2, false);
	net_put16(seglen[0], (uint16_t)(p->frame_len - p->l4_off));
	net_put16(seglen[1], (uint16_t)(p->frame_len - p->l4_off - n));
	net_csum_update(tcp + NET_TCP_CSUM, seglen[0], seglen[1], 2, false);

	sum = (uint16_t)~net_raw16(tcp + NET_TCP_CSUM);
	sum += (uint16_t)~net_csum_fold(net_csum_add(0, data, p->payload_len, false));
	memmove(data, data + n, p->payload_len - n);
	sum = net_csum_add(sum, data, p->payload_len - n, false);
	net_put_raw16(tcp + NET_TCP_CSUM, (uint16_t)~net_csum_fold(sum));
	*len -= n;
}

/* Takes trimmed bytes out of the urgent pointer, which counts from the sequence number. */
static void cut_urgent(uint8_t *tcp, uint32_t n)
{
	const uint16_t urg = net_get16(tcp + NET_TCP_URG);

	if (!(tcp[NET_TCP_FLAGS] & TCP_URG))
		return;
	net_put16(tcp + NET_TCP_URG, urg > n ? (uint16_t)(urg - n) : 0);
	if (urg <= n)
		tcp[NET_TCP_FLAGS] &= (uint8_t)~TCP_URG;
}

enum seqmap_verdict seqmap_out(struct seqmap *m, uint8_t *frame, uint32_t *len,
			       const struct net_pkt *p)
{
	const struct seqmap_opts opts = {
		.d_ts = m->d_ts, .ts_at = m->ts_ok ? 2 : 0, .d_sack = m->d_rcv};
	uint8_t *tcp = frame + p->l4_off, old[SEQMAP_MAX_HLEN];
	const uint32_t hlen = p->payload_off - p->l4_off;
	struct out_plan plan;
	uint8_t flags;

	if (!usable(p, *len) || tcp[NET_TCP_FLAGS] & TCP_SYN)
		return SEQMAP_BAD;
	memcpy(old, tcp, hlen);
	if (!seqmap_map_opts(tcp, hlen, &opts))
		return SEQMAP_BAD;
	flags = tcp[NET_TCP_FLAGS];
	plan = plan_out(m, net_get32(tcp + NET_TCP_SEQ) + m->d_snd, p->payload_len, flags);
	if (plan.absorb) {
		if (!(flags & TCP_ACK) || !ack_out(m, tcp, true))
			return SEQMAP_ABSORB;
		tcp[NET_TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	}
	if (plan.trim)
		cut_urgent(tcp, plan.trim);
	net_put32(tcp + NET_TCP_SEQ, plan.seq);
	if (flags & TCP_RST && flags & TCP_ACK)
		net_put32(tcp + NET_TCP_ACK, net_get32(tcp + NET_TCP_ACK) + m->d_rcv);
	else if (flags & TCP_ACK)
		ack_out(m, tcp, false);
	net_csum_update(tcp + NET_TCP_CSUM, old, tcp, hlen, false);
	*len = p->frame_len;
	if (plan.trim)
		cut_payload(frame, len, p, plan.trim);
	return SEQMAP_PASS;
}

/* Translates ACK and window of a client's segment; notes the highest ACK. */
static void ack_in(struct seqmap *m, uint8_t *tcp)
{
	const uint32_t ack = net_get32(tcp + NET_TCP_ACK), told = seqmap_clamp(m, ack);
	const uint16_t wnd = net_get16(tcp + NET_TCP_WND);

	if (!tcp_lt(ack, m->c_ack) && tcp_leq(ack, m->ack_max)) {
		m->c_ack = ack;
		m->c_wnd = wnd;
		m->c_told = told;
	}
	net_put16(tcp + NET_TCP_WND, seqmap_wnd(m, wnd, ack - told));
	net_put32(tcp + NET_TCP_ACK, told - m->d_snd);
}

enum seqmap_verdict seqmap_in(struct seqmap *m, uint8_t *frame, uint32_t *len,
			      const struct net_pkt *p)
{
	const struct seqmap_opts opts = {.d_ts = -m->d_ts,
					 .ts_at = m->ts_ok ? 6 : 0,
					 .ts_keep_zero = true,
					 .d_sack = -m->d_snd,
					 .sack_max = m->k_sent,
					 .sack_clamp = true};
	uint8_t *tcp = frame + p->l4_off, old[SEQMAP_MAX_HLEN];
	const uint32_t hlen = p->payload_off - p->l4_off;
	uint32_t seq, end;

	if (!usable(p, *len))
		return SEQMAP_BAD;
	memcpy(old, tcp, hlen);
	if (!seqmap_map_opts(tcp, hlen, &opts))
		return SEQMAP_BAD;
	seq = net_get32(tcp + NET_TCP_SEQ);
	end = seq + p->payload_len + !!(tcp[NET_TCP_FLAGS] & TCP_FIN);
	net_put32(tcp + NET_TCP_SEQ, seq - m->d_rcv);
	if (tcp[NET_TCP_FLAGS] & TCP_ACK)
		ack_in(m, tcp);
	if (!(tcp[NET_TCP_FLAGS] & TCP_RST) && tcp_lt(m->c_seq, end) && tcp_leq(end, m->edge))
		m->c_seq = end;
	if (m->ts_ok)
		seqmap_get_ts(tcp, hlen, &m->c_tsval, &m->c_tsecr);
	net_csum_update(tcp + NET_TCP_CSUM, old, tcp, hlen, false);
	*len = p->frame_len;
	return SEQMAP_PASS;
}
