/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_info.c - TCP_INFO of the core, in Linux's terms.
 *
 * The core counts bytes; where Linux counts segments, bytes are divided by the
 * payload of a full segment and rounded up, cwnd and ssthresh down.
 */
#include <string.h>

#include "pd.h"
#include "tcpstack/tcp_priv.h"

static int64_t segs(const struct tcp_conn *c, uint32_t bytes)
{
	return (bytes + tcp_eff_mss(c) - 1) / tcp_eff_mss(c);
}

/* Numbering of the Linux kernel. */
static int64_t linux_state(const struct tcp_conn *c)
{
	static const uint8_t map[TCP_S_COUNT] = {
		[TCP_S_CLOSED] = 7,	[TCP_S_LISTEN] = 10,	 [TCP_S_SYN_SENT] = 2,
		[TCP_S_SYN_RCVD] = 3,	[TCP_S_ESTABLISHED] = 1, [TCP_S_FIN_WAIT_1] = 4,
		[TCP_S_FIN_WAIT_2] = 5, [TCP_S_CLOSE_WAIT] = 8,	 [TCP_S_CLOSING] = 11,
		[TCP_S_LAST_ACK] = 9,	[TCP_S_TIME_WAIT] = 6,
	};

	return map[c->state];
}

static int64_t ca_state(const struct tcp_conn *c)
{
	if (c->recovery == TCP_R_OPEN)
		return c->n_sacked || c->dup_acks ? 1 : 0;
	return c->recovery == TCP_R_RECOVERY ? 3 : 4;
}

static int64_t options(const struct tcp_conn *c)
{
	return (c->ts_ok ? 1 : 0) | (c->sack_ok ? 2 : 0) | (c->wscale_ok ? 4 : 0);
}

static uint32_t sacked_bytes(const struct tcp_conn *c)
{
	return tcp_range_covered(c->sacked, c->n_sacked, c->snd_una, c->snd_nxt);
}

/* Un-SACKed bytes from snd_una up to edge. */
static uint32_t unsacked_below(const struct tcp_conn *c, uint32_t edge)
{
	if (tcp_leq(edge, c->snd_una))
		return 0;
	return edge - c->snd_una - tcp_range_covered(c->sacked, c->n_sacked, c->snd_una, edge);
}

static int64_t retrans(const struct tcp_conn *c)
{
	return c->recovery == TCP_R_OPEN ? 0 : segs(c, unsacked_below(c, c->high_rxt));
}

static int64_t ssthresh(const struct tcp_conn *c)
{
	return c->ssthresh == UINT32_MAX ? INT32_MAX : c->ssthresh / tcp_eff_mss(c);
}

/* Fields in terms of c, the connection, and s, the shell. */
#define FOREACH_FIELD(_)                                                                        \
	_(state, linux_state(c))                                                                \
	_(ca_state, ca_state(c))                                                                \
	_(retransmits, c->backoff)                                                              \
	_(backoff, c->backoff)                                                                  \
	_(options, options(c))                                                                  \
	_(snd_wscale, c->snd_wscale)                                                            \
	_(rcv_wscale, c->rcv_wscale)                                                            \
	_(rto, tcp_rto(c))                                                                      \
	_(snd_mss, tcp_eff_mss(c))                                                              \
	_(rcv_mss, c->rcv_mss)                                                                  \
	_(unacked, segs(c, tcp_flight(c)))                                                      \
	_(sacked, segs(c, sacked_bytes(c)))                                                     \
	_(lost, segs(c, unsacked_below(c, c->lost_edge)))                                       \
	_(retrans, retrans(c))                                                                  \
	_(total_retrans, c->stats.retx_segs)                                                    \
	_(rtt, c->srtt_us)                                                                      \
	_(rttvar, c->rttvar_us)                                                                 \
	_(snd_cwnd, c->cwnd / tcp_eff_mss(c))                                                   \
	_(snd_ssthresh, ssthresh(c))                                                            \
	_(advmss, PD_MSS)                                                                       \
	_(bytes_acked, c->snd_una - (PD_LOCAL + 1) - (c->fin_sent && c->snd_una == c->snd_nxt)) \
	_(bytes_sent, c->stats.bytes_out)                                                       \
	_(bytes_received, c->stats.bytes_in)                                                    \
	_(segs_out, c->stats.segs_out)                                                          \
	_(segs_in, c->stats.segs_in)                                                            \
	_(dsack_dups, c->stats.dsacks)                                                          \
	_(notsent_bytes, c->snd_avail - tcp_data_nxt(c))                                        \
	_(snd_wnd, c->snd_wnd)

static const struct {
	const char *name;
	int64_t v;
} constants[] = {
	{"TCP_CA_Open", 0},	{"TCP_CA_Disorder", 1}, {"TCP_CA_CWR", 2},
	{"TCP_CA_Recovery", 3}, {"TCP_CA_Loss", 4},	{"TCP_INFINITE_SSTHRESH", INT32_MAX},
	{"TCP_ESTABLISHED", 1}, {"TCP_FIN_WAIT1", 4},	{"TCP_FIN_WAIT2", 5},
	{"TCP_TIME_WAIT", 6},	{"TCP_CLOSE", 7},	{"TCP_CLOSE_WAIT", 8},
	{"TCP_LAST_ACK", 9},	{"TCP_CLOSING", 11}};

bool pd_info(const struct pd_shell *s, const char *name, int64_t *v)
{
	static const struct pd_shell nobody = {.c.mss = PD_MSS};
	static const struct tcp_cfg cfg = {.rto_min_us = 1};
	struct tcp_conn none = nobody.c;
	const struct tcp_conn *c = s ? &s->c : &none;

	none.cfg = &cfg;
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		if (!strcmp(name, constants[i].name)) {
			*v = constants[i].v;
			return true;
		}
	}
#define _(field, expr)                       \
	if (!strcmp(name, "tcpi_" #field)) { \
		*v = (int64_t)(expr);        \
		return true;                 \
	}
	FOREACH_FIELD(_)
#undef _
	return false;
}
