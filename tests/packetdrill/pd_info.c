/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_info.c - names in assertions: fields of TCP_INFO that the core has, and constants. */
#include <string.h>

#include "pd.h"

#define FOREACH_FIELD(_)                          \
	_(state, i->tcpi_state)                   \
	_(ca_state, i->tcpi_ca_state)             \
	_(retransmits, i->tcpi_retransmits)       \
	_(backoff, i->tcpi_backoff)               \
	_(options, i->tcpi_options)               \
	_(snd_wscale, i->tcpi_snd_wscale)         \
	_(rcv_wscale, i->tcpi_rcv_wscale)         \
	_(rto, i->tcpi_rto)                       \
	_(snd_mss, i->tcpi_snd_mss)               \
	_(rcv_mss, i->tcpi_rcv_mss)               \
	_(unacked, i->tcpi_unacked)               \
	_(sacked, i->tcpi_sacked)                 \
	_(lost, i->tcpi_lost)                     \
	_(retrans, i->tcpi_retrans)               \
	_(total_retrans, i->tcpi_total_retrans)   \
	_(rtt, i->tcpi_rtt)                       \
	_(rttvar, i->tcpi_rttvar)                 \
	_(min_rtt, i->tcpi_min_rtt)               \
	_(pacing_rate, i->tcpi_pacing_rate)       \
	_(snd_cwnd, i->tcpi_snd_cwnd)             \
	_(snd_ssthresh, i->tcpi_snd_ssthresh)     \
	_(advmss, i->tcpi_advmss)                 \
	_(bytes_acked, i->tcpi_bytes_acked)       \
	_(bytes_sent, i->tcpi_bytes_sent)         \
	_(bytes_received, i->tcpi_bytes_received) \
	_(segs_out, i->tcpi_segs_out)             \
	_(segs_in, i->tcpi_segs_in)               \
	_(dsack_dups, i->tcpi_dsack_dups)         \
	_(notsent_bytes, i->tcpi_notsent_bytes)   \
	_(snd_wnd, i->tcpi_snd_wnd)               \
	_(pmtu, i->tcpi_pmtu)

static const struct {
	const char *name;
	int64_t v;
} constants[] = {
	{"TCP_CA_Open", 0},
	{"TCP_CA_Disorder", 1},
	{"TCP_CA_CWR", 2},
	{"TCP_CA_Recovery", 3},
	{"TCP_CA_Loss", 4},
	{"TCPI_OPT_TIMESTAMPS", TCPI_OPT_TIMESTAMPS},
	{"TCPI_OPT_SACK", TCPI_OPT_SACK},
	{"TCPI_OPT_WSCALE", TCPI_OPT_WSCALE},
	{"TCPI_OPT_ECN", TCPI_OPT_ECN},
	{"TCPI_OPT_ECN_SEEN", TCPI_OPT_ECN_SEEN},
	{"TCP_ESTABLISHED", 1},
	{"TCP_SYN_SENT", 2},
	{"TCP_SYN_RECV", 3},
	{"TCP_FIN_WAIT1", 4},
	{"TCP_FIN_WAIT2", 5},
	{"TCP_TIME_WAIT", 6},
	{"TCP_CLOSE", 7},
	{"TCP_CLOSE_WAIT", 8},
	{"TCP_LAST_ACK", 9},
	{"TCP_LISTEN", 10},
	{"TCP_CLOSING", 11},
};

bool pd_info(const struct tcp_info *i, const char *name, int64_t *v)
{
	static const struct tcp_info none;

	i = i ? i : &none;
	for (size_t j = 0; j < sizeof(constants) / sizeof(constants[0]); j++) {
		if (!strcmp(name, constants[j].name)) {
			*v = constants[j].v;
			return true;
		}
	}
#define _(field, value)                      \
	if (!strcmp(name, "tcpi_" #field)) { \
		*v = (value);                \
		return true;                 \
	}
	FOREACH_FIELD(_)
#undef _
	return false;
}
