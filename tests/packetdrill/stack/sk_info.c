/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_info.c - TCP_INFO of the core, in Linux's terms.
 *
 * The core counts bytes; where Linux counts segments, bytes are divided by the payload of a full
 * segment and rounded up, cwnd and ssthresh down. What the core does not have is all ones, so that
 * no assertion about it passes by chance.
 */
#include <linux/tcp.h>
#include <string.h>

#include "sk.h"
#include "tcpstack/tcp_priv.h"

static uint32_t segs(const struct tcp_conn *c, uint32_t bytes)
{
	return (bytes + tcp_eff_mss(c) - 1) / tcp_eff_mss(c);
}

/* Numbering of the Linux kernel. */
static uint8_t linux_state(const struct tcp_conn *c)
{
	static const uint8_t map[TCP_S_COUNT] = {
		[TCP_S_CLOSED] = 7,	[TCP_S_LISTEN] = 10,	 [TCP_S_SYN_SENT] = 2,
		[TCP_S_SYN_RCVD] = 3,	[TCP_S_ESTABLISHED] = 1, [TCP_S_FIN_WAIT_1] = 4,
		[TCP_S_FIN_WAIT_2] = 5, [TCP_S_CLOSE_WAIT] = 8,	 [TCP_S_CLOSING] = 11,
		[TCP_S_LAST_ACK] = 9,	[TCP_S_TIME_WAIT] = 6,
	};

	return map[c->state];
}

static uint8_t ca_state(const struct tcp_conn *c)
{
	if (c->recovery == TCP_R_OPEN)
		return c->n_sacked || c->dup_acks ? 1 : 0;
	return c->recovery == TCP_R_RECOVERY ? 3 : 4;
}

/* Segments of the runs in flight whose flags, masked, are `want`. */
static uint32_t records(const struct tcp_conn *c, uint32_t mask, uint32_t want)
{
	const struct tcp_txrec *r;
	uint32_t n = 0;

	TCP_FOREACH_REC(r, c)
	{
		if ((r->flags & mask) == want)
			n += segs(c, r->end - r->start);
	}
	return n;
}

/* Retransmitted, and neither lost again nor SACKed. */
static uint32_t retrans(const struct tcp_conn *c)
{
	return records(c, TCP_REC_RETX | TCP_REC_LOST | TCP_REC_SACKED, TCP_REC_RETX);
}

/* Linux counts a lost segment until it is acknowledged, also while its retransmission is out. */
static uint32_t lost(const struct tcp_conn *c)
{
	uint32_t n = records(c, TCP_REC_LOST, TCP_REC_LOST);

	return c->recovery == TCP_R_OPEN ? n : n + retrans(c);
}

/* Losses and windows. */
static void info_sender(const struct sk_sock *s, struct tcp_info *i)
{
	const struct tcp_conn *c = &s->c;

	i->tcpi_ca_state = ca_state(c);
	i->tcpi_retransmits = i->tcpi_backoff = c->backoff;
	i->tcpi_unacked = segs(c, tcp_flight(c));
	i->tcpi_sacked = segs(c, tcp_sack_bytes(c));
	i->tcpi_lost = lost(c);
	i->tcpi_retrans = retrans(c);
	i->tcpi_total_retrans = c->stats.retx_segs;
	i->tcpi_min_rtt = c->min_rtt_us ? c->min_rtt_us : UINT32_MAX;
	if (tcp_cc_of(c)->path && c->srtt_us)
		i->tcpi_pacing_rate = tcp_cc_of(c)->path->rate(c);
	i->tcpi_snd_cwnd = c->cwnd / tcp_eff_mss(c);
	i->tcpi_snd_ssthresh = c->ssthresh == UINT32_MAX ? INT32_MAX : c->ssthresh / tcp_eff_mss(c);
	i->tcpi_snd_wnd = c->snd_wnd;
	i->tcpi_notsent_bytes = c->snd_avail - tcp_data_nxt(c);
	i->tcpi_rto = tcp_rto(c);
	i->tcpi_rtt = c->srtt_us;
	i->tcpi_rttvar = c->rttvar_us;
	i->tcpi_dsack_dups = c->stats.dsacks;
	i->tcpi_bytes_acked = c->snd_una - s->first - (c->fin_sent && c->snd_una == c->snd_nxt);
	i->tcpi_bytes_sent = tcp_bytes_out(c);
}

size_t sk_info(const struct sk_sock *s, void *buf, size_t room)
{
	const struct tcp_conn *c = &s->c;
	struct tcp_info i;

	memset(buf, 0xff, room);
	memset(&i, 0xff, sizeof(i));
	i.tcpi_state = s->kind == SK_LISTENING ? 10 : 7;
	if (s->live) {
		i.tcpi_state = linux_state(c);
		i.tcpi_options = (uint8_t)((c->ts_ok ? TCPI_OPT_TIMESTAMPS : 0) |
					   (c->sack_ok ? TCPI_OPT_SACK : 0) |
					   (c->wscale_ok ? TCPI_OPT_WSCALE : 0) |
					   (c->ecn_ok ? TCPI_OPT_ECN : 0));
		i.tcpi_snd_wscale = c->snd_wscale & 15;
		i.tcpi_rcv_wscale = c->rcv_wscale & 15;
		i.tcpi_snd_mss = tcp_eff_mss(c);
		i.tcpi_rcv_mss = c->rcv_mss;
		i.tcpi_advmss = sk_path_mss(s->st, &s->flow);
		i.tcpi_bytes_received = tcp_bytes_in(c);
		i.tcpi_segs_out = tcp_segs(c, TCP_N_OUT);
		i.tcpi_segs_in = tcp_segs(c, TCP_N_IN);
		info_sender(s, &i);
	}
	memcpy(buf, &i, room < sizeof(i) ? room : sizeof(i));
	return room;
}
