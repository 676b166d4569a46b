/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_estats.h - what a connection has counted, in the terms of RFC 4898 (the
 * extended statistics MIB of TCP), for whoever displays or collects it.
 *
 * The names are the RFC's without their prefix (tcpEStatsPerf and so on).
 * Times that the RFC gives in milliseconds are in microseconds here and end in
 * Us. Counters begin at the import: what a kernel counted before is not in
 * them. Names behind "tag" have no counterpart in the RFC.
 */
#ifndef TCPSTACK_TCP_ESTATS_H
#define TCPSTACK_TCP_ESTATS_H

#include <stdint.h>

#include "tcpstack/tcp.h"

/* group, name, value: an expression of `c` (the connection) and `now` (microseconds) */
#define TCP_FOREACH_ESTAT(_)                                                                  \
	_(perf, SegsOut, tcp_segs(c, TCP_N_OUT))                                              \
	_(perf, DataSegsOut, tcp_segs(c, TCP_N_DATA_OUT))                                     \
	_(perf, HCDataOctetsOut, tcp_bytes_out(c) + c->stats.retx_bytes)                      \
	_(perf, SegsRetrans, c->stats.retx_segs)                                              \
	_(perf, OctetsRetrans, c->stats.retx_bytes)                                           \
	_(perf, SegsIn, tcp_segs(c, TCP_N_IN))                                                \
	_(perf, DataSegsIn, tcp_segs(c, TCP_N_DATA_IN))                                       \
	_(perf, HCDataOctetsIn, tcp_bytes_in(c))                                              \
	_(perf, CurMSS, tcp_eff_mss(c))                                                       \
	_(perf, PipeSize, tcp_sack_pipe(c))                                                   \
	_(perf, SmoothedRTTUs, c->srtt_us)                                                    \
	_(perf, CurRTOUs, tcp_rto(c))                                                         \
	_(perf, CongSignals, c->stats.recoveries + c->stats.rto_count + c->stats.ecn_signals) \
	_(perf, CurCwnd, c->cwnd)                                                             \
	_(perf, CurSsthresh, c->ssthresh)                                                     \
	_(perf, Timeouts, c->stats.rto_count)                                                 \
	_(perf, CurRwinSent, c->rcv_edge - c->rcv_placed)                                     \
	_(perf, ZeroRwinSent, c->stats.zero_wnd_out)                                          \
	_(perf, CurRwinRcvd, c->snd_wnd)                                                      \
	_(perf, MaxRwinRcvd, c->max_wnd)                                                      \
	_(perf, ZeroRwinRcvd, c->stats.zero_wnd_in)                                           \
	_(perf, SndLimTransRwin, c->stats.limit_in[TCP_LIM_RWIN])                             \
	_(perf, SndLimTransCwnd, c->stats.limit_in[TCP_LIM_CWND])                             \
	_(perf, SndLimTransSnd, c->stats.limit_in[TCP_LIM_SENDER])                            \
	_(perf, SndLimTimeRwinUs, limit_us(c, TCP_LIM_RWIN, now))                             \
	_(perf, SndLimTimeCwndUs, limit_us(c, TCP_LIM_CWND, now))                             \
	_(perf, SndLimTimeSndUs, limit_us(c, TCP_LIM_SENDER, now))                            \
	_(path, RetranThresh, (uint32_t)TCP_DUP_THRESH)                                       \
	_(path, RTTVarUs, c->rttvar_us)                                                       \
	_(path, MinRTTUs, c->stats.min_rtt_us ? c->stats.min_rtt_us : c->min_rtt_us)          \
	_(path, MaxRTTUs, c->stats.max_rtt_us)                                                \
	_(path, PreCongSumCwnd, c->stats.pre_cong_cwnd)                                       \
	_(path, ECNsignals, c->stats.ecn_signals)                                             \
	_(path, DupAcksOut, c->stats.dup_acks_out)                                            \
	_(path, CERcvd, c->stats.ce_in)                                                       \
	_(path, ECESent, c->stats.ece_out)                                                    \
	_(stack, WinScaleSent, c->rcv_wscale)                                                 \
	_(stack, WinScaleRcvd, c->snd_wscale)                                                 \
	_(stack, TimeStamps, c->ts_ok)                                                        \
	_(stack, WillUseSACK, c->sack_ok)                                                     \
	_(stack, MaxSsCwnd, tcp_max(c->stats.max_ss_cwnd, in_ss(c) ? c->cwnd : 0))            \
	_(stack, MaxCaCwnd, tcp_max(c->stats.max_ca_cwnd, in_ss(c) ? 0 : c->cwnd))            \
	_(stack, InRecovery, c->recovery != TCP_R_OPEN)                                       \
	_(stack, DupAcksIn, c->stats.dup_acks)                                                \
	_(stack, SpuriousFrDetected, c->stats.undone_fr)                                      \
	_(stack, SpuriousRtoDetected, c->stats.undone_rto)                                    \
	_(stack, FastRetran, c->stats.recoveries)                                             \
	_(stack, SubsequentTimeouts, c->stats.rto_again)                                      \
	_(stack, CurTimeoutCount, c->backoff)                                                 \
	_(stack, SACKsRcvd, c->stats.sacks_in)                                                \
	_(stack, DSACKDups, c->stats.dsacks)                                                  \
	_(stack, CurReasmQueue, ooo_bytes(c))                                                 \
	_(app, SndUna, c->snd_una)                                                            \
	_(app, SndNxt, c->snd_nxt)                                                            \
	_(app, HCThruOctetsAcked, tcp_bytes_out(c) - tcp_flight(c))                           \
	_(app, RcvNxt, c->rcv_nxt)                                                            \
	_(app, HCThruOctetsReceived, tcp_bytes_in(c))                                         \
	_(app, CurAppWQueue, c->snd_avail - c->snd_nxt)                                       \
	_(tag, Probes, c->stats.probes)                                                       \
	_(tag, ChallengeAcks, c->stats.challenge_acks)                                        \
	_(tag, IcmpRcvd, c->stats.icmp_in)                                                    \
	_(tag, IcmpIgnored, c->stats.icmp_ignored)                                            \
	_(tag, MtuFalls, c->stats.mtu_falls)                                                  \
	_(tag, MtuBlackHoles, c->stats.black_holes)                                           \
	_(tag, MtuProbes, c->stats.mtu_probes)                                                \
	_(tag, MtuRises, c->stats.mtu_rises)                                                  \
	_(tag, Wanted, c->want_nxt - c->snd_nxt)                                              \
	_(tag, ReceivedNotPlaced, c->rcv_nxt - c->rcv_placed)

/** Index of a value. */
enum tcp_estat {
#define _(group, name, value) TCP_ES_##name,
	TCP_FOREACH_ESTAT(_)
#undef _
		TCP_ES_COUNT
};

/** All values of a connection at one time. */
struct tcp_estats {
	uint64_t v[TCP_ES_COUNT]; /* by enum tcp_estat */
};

/** Reads them. */
void tcp_estats_get(const struct tcp_conn *c, uint64_t now, struct tcp_estats *e);

/** Name of a value, and of the group it is in; NULL beyond the last. */
const char *tcp_estat_name(unsigned int i);
const char *tcp_estat_group(unsigned int i);

#endif
