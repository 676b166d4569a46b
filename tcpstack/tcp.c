/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp.c - a connection as a whole: import, export, states and names.
 *
 * Theory of operation
 *
 * tcp.h describes what goes in and out. Inside, each file is one mechanism,
 * and an event walks through few of them:
 *
 *	tcp_input() -> tcp_input.c (acceptable?) -> tcp_acked.c (what is
 *	acknowledged) -> tcp_sack.c, tcp_rtt.c, tcp_recovery.c, tcp_cc.c; then
 *	tcp_ooo.c (which payload is accepted), tcp_close.c (FIN, RST).
 *
 *	tcp_placed(), tcp_room() -> tcp_ack.c (is an ACK due?), tcp_window.c.
 *
 *	tcp_produced(), tcp_ready() -> tcp_payload.c (what is here).
 *
 *	tcp_timer() -> tcp_timer.c -> tcp_rto.c, tcp_tlp.c, tcp_persist.c.
 *
 *	tcp_icmp() -> tcp_icmp.c (to be believed?) -> tcp_pmtu.c, tcp_plpmtu.c.
 *
 *	tcp_output() -> tcp_output.c -> tcp_payload.c (wants), tcp_options.c.
 *
 * Four positions divide the sending side, snd_una <= snd_nxt <= want_nxt <=
 * snd_avail: acknowledged | in flight | wanted, perhaps ready | produced, not
 * asked for. Two divide the receiving side, rcv_placed <= rcv_nxt: in the
 * server's memory | accepted, on its way there. rcv_acked <= rcv_placed is
 * what the client was told.
 *
 * Connections begin by import (a takeover), or are opened (tcp_open.h): then
 * tcp_open.c has its own small machinery until ESTABLISHED, where the
 * connection starts as an imported one does.
 */
#include <errno.h>
#include <string.h>

#include "tcpstack/tcp_priv.h"

#define SPAN_MAX   (1u << 30) /* largest distance between any two positions of one direction */
#define WSCALE_MAX 14

void tcp_cfg_default(struct tcp_cfg *cfg)
{
	*cfg = (struct tcp_cfg){
		.rto_min_us = 200000,
		.rto_max_us = 120000000,
		.delack_us = 40000,
		.time_wait_us = 60000000,
		.user_timeout_us = 900000000,
		.syn_timeout_us = 180000000,
		.keep_idle_ms = 7200000,
		.keep_intvl_ms = 75000,
		.keep_count = 9,
		.lookahead = 131072,
		.max_burst = 65536,
		.max_want = 65536,
		.init_cwnd_segs = 10,
		.cc = TCP_CC_CUBIC,
	};
}

void tcp_set_state(struct tcp_conn *c, enum tcp_state s)
{
	c->state = s;
	if (c->listener && s != TCP_S_SYN_RCVD) {
		c->listener->n_half--;
		c->listener = NULL;
	}
	if (s != TCP_S_CLOSED)
		return;
	tcp_rec_release(c);
	tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	c->ack_later = false;
	c->pace_wait = false;
	c->ack_now = false;
	c->probe_due = false;
	c->tlp_due = false;
	c->syn_due = c->syn_rst_due = false;
	c->keep_due = false;
}

/* True when the positions are in order and not absurdly far apart. */
static bool in_order(uint32_t a, uint32_t b)
{
	return b - a <= SPAN_MAX;
}

/* Out-of-order intervals lie in the ring, beyond a hole each: disjoint, and not touching. */
static bool ooo_valid(const struct tcp_state_io *st)
{
	if (st->n_ooo && st->state == TCP_S_CLOSE_WAIT)
		return false; /* nothing lies beyond a FIN */
	for (unsigned int i = 0; i < st->n_ooo; i++) {
		uint32_t start = st->ooo[i].start - st->rcv_nxt;
		uint32_t end = st->ooo[i].end - st->rcv_nxt;

		if (!start || start >= end || end > st->rcv_room - st->rcv_nxt)
			return false;
		for (unsigned int k = 0; k < i; k++) {
			if (start <= st->ooo[k].end - st->rcv_nxt &&
			    st->ooo[k].start - st->rcv_nxt <= end)
				return false;
		}
	}
	return true;
}

/* SACKed runs: ascending, with un-SACKed payload before each. */
static bool sacked_valid(const struct tcp_state_io *st)
{
	uint32_t low = 0;

	if (st->n_sacked > TCP_STATE_SACKS || (st->n_sacked && !st->sack_ok))
		return false;
	for (unsigned int i = 0; i < st->n_sacked; i++) {
		uint32_t start = st->sacked[i].start - st->snd_una;
		uint32_t end = st->sacked[i].end - st->snd_una;

		if (start <= low || start >= end || end > st->snd_nxt - st->snd_una)
			return false;
		low = end;
	}
	return true;
}

static bool state_valid(const struct tcp_state_io *st)
{
	if (st->version != TCP_STATE_VERSION || st->mss < TCP_MSS_MIN || st->n_ooo > TCP_MAX_SACK)
		return false;
	if (st->mss_max && st->mss_max < st->mss)
		return false;
	if (st->state != TCP_S_ESTABLISHED && st->state != TCP_S_CLOSE_WAIT)
		return false;
	if (st->wscale_ok && (st->snd_wscale > WSCALE_MAX || st->rcv_wscale > WSCALE_MAX))
		return false;
	if (!in_order(st->snd_una, st->snd_nxt) || !in_order(st->snd_nxt, st->snd_avail))
		return false;
	if (!in_order(st->rcv_nxt, st->rcv_room) || !in_order(st->rcv_nxt, st->rcv_edge + 1))
		return false;
	return ooo_valid(st) && sacked_valid(st);
}

static void import_sender(struct tcp_conn *c, const struct tcp_state_io *st, uint64_t now)
{
	c->snd_una = st->snd_una;
	c->snd_nxt = st->snd_nxt;
	c->snd_avail = st->snd_avail;
	c->snd_wnd = st->snd_wnd;
	c->snd_wl1 = st->snd_wl1;
	c->max_wnd = tcp_max(st->max_wnd, st->snd_wnd);
	c->ready_nxt = c->want_nxt = st->snd_nxt;
	c->stats.out_start = st->snd_nxt;
	c->snd_sml = st->snd_una;
	c->recover = c->ecn_seq = st->snd_una - 1;
	c->rtt_seq = st->snd_nxt;
	c->used_max = tcp_flight(c);
	c->min_rtt_us = st->srtt_us;
	c->min_rtt_at = (uint16_t)(now >> 20);
	c->reo_mult = 1;
	c->stats.limit_since_ms = tcp_ms(now);
	c->stats.max_rtt_us = st->srtt_us;
	c->sent_ms = tcp_ms(now);
	c->alive_known = false;
	c->srtt_us = st->srtt_us;
	c->rttvar_us = st->srtt_us ? st->rttvar_us : 0;
	c->ssthresh = st->ssthresh ? tcp_max(st->ssthresh, 2u * st->mss) : UINT32_MAX;
	c->cwnd = st->cwnd ? tcp_max(tcp_min(st->cwnd, TCP_CWND_MAX), st->mss) : tcp_cc_initial(c);
}

/* Records of what is in flight, as if it had left now. */
static int import_flight(struct tcp_conn *c, const struct tcp_state_io *st, uint64_t now)
{
	struct tcp_txrec *r, *rest;

	if (st->snd_una == st->snd_nxt)
		return 0;
	if (!tcp_rec_room(c, now))
		return ENOBUFS;
	tcp_rec_sent(c, st->snd_una, st->snd_nxt, now);
	c->rec->flags = TCP_REC_RETX; /* when it really left is not known */
	rest = c->rec;
	for (unsigned int i = 0; i < st->n_sacked; i++) {
		r = tcp_rec_split(c, rest, st->sacked[i].start);
		if (!r)
			break; /* SACK marks are a help, not a need */
		rest = tcp_lt(st->sacked[i].end, r->end) ? tcp_rec_split(c, r, st->sacked[i].end)
							 : r;
		if (!rest)
			break;
		tcp_rec_set(c, r, TCP_REC_SACKED);
	}
	return 0;
}

static void import_receiver(struct tcp_conn *c, const struct tcp_state_io *st, uint64_t now)
{
	c->rcv_nxt = c->rcv_placed = c->rcv_acked = st->rcv_nxt;
	c->stats.in_start = st->rcv_nxt - (st->state == TCP_S_CLOSE_WAIT);
	c->stats.in_wraps = st->rcv_nxt < c->stats.in_start;
	c->rcv_edge = st->rcv_edge;
	c->rcv_room = st->rcv_room;
	c->rcv_max = tcp_max(st->rcv_room - st->rcv_nxt, st->rcv_edge - st->rcv_nxt);
	if (tcp_lt(c->rcv_edge, c->rcv_nxt))
		c->rcv_max = st->rcv_room - st->rcv_nxt;
	c->rcv_mss = tcp_eff_mss(c);
	c->n_ooo = c->n_ooo_placed = st->n_ooo;
	memcpy(c->ooo, st->ooo, sizeof(c->ooo));
	memcpy(c->ooo_placed, st->ooo, sizeof(c->ooo_placed));
	c->quick = TCP_QUICK_ACKS;
	c->fin_rcvd = c->fin_known = c->fin_placed = st->state == TCP_S_CLOSE_WAIT;
	c->fin_seq = st->rcv_nxt - 1;
	/* Whoever ran the connection before may have owed an ACK. */
	tcp_timer_ack(c, now + c->cfg->delack_us);
}

/*
 * A successor of a gateway that died does not know what the client has. The
 * first segment in flight makes the client tell its position; congestion
 * control is not told of a loss.
 */
static void resume_loss(struct tcp_conn *c, uint64_t now)
{
	uint32_t ssthresh = c->ssthresh;

	tcp_recovery_loss(c, now);
	c->ssthresh = ssthresh;
	c->undo_ok = false;
	c->frto = TCP_FRTO_OFF;
}

void tcp_init(struct tcp_conn *c, const struct tcp_cfg *cfg)
{
	memset(c, 0, sizeof(*c));
	c->cfg = cfg;
	c->nagle = cfg->nagle;
	tcp_cc_use(c, cfg->cc);
	tcp_set_state(c, TCP_S_CLOSED);
}

void tcp_start(struct tcp_conn *c, const struct tcp_state_io *st, uint64_t now)
{
	tcp_pmtu_init(c, st, now);
	c->wscale_ok = st->wscale_ok;
	c->snd_wscale = st->wscale_ok ? st->snd_wscale : 0;
	c->rcv_wscale = st->wscale_ok ? st->rcv_wscale : 0;
	c->sack_ok = st->sack_ok;
	c->ecn_ok = st->ecn_ok;
	c->ecn_mute = st->ecn_mute;
	c->ts_ok = st->ts_ok;
	c->ts_recent_valid = st->ts_ok && st->ts_recent_valid;
	c->ts_recent = st->ts_recent;
	c->ts_off = st->ts_val - tcp_ms(now);
	import_sender(c, st, now);
	import_receiver(c, st, now);
	tcp_keep_heard(c, now);
	tcp_set_state(c, st->state);
	if (tcp_box_attach(c, now))
		tcp_trace(c, TCP_TR_START, c->state, 0, c->snd_nxt, c->rcv_nxt);
	if (st->resume_loss && tcp_flight(c))
		resume_loss(c, now);
	tcp_timer_restart(c, now);
}

void tcp_set_cfg(struct tcp_conn *c, const struct tcp_cfg *cfg)
{
	c->cfg = cfg;
	tcp_cc_select(c);
	tcp_keep_pause(c);
}

int tcp_import(struct tcp_conn *c, const struct tcp_cfg *cfg, const struct tcp_state_io *st,
	       uint64_t now)
{
	tcp_init(c, cfg);
	if (!state_valid(st))
		return EINVAL;
	if (import_flight(c, st, now))
		return ENOBUFS;
	tcp_start(c, st, now);
	return 0;
}

uint64_t tcp_bytes_out(const struct tcp_conn *c)
{
	uint64_t end = (uint64_t)c->stats.out_wraps << 32 | c->snd_nxt;

	return end - c->fin_sent - c->stats.out_start;
}

uint64_t tcp_bytes_in(const struct tcp_conn *c)
{
	uint64_t end = (uint64_t)c->stats.in_wraps << 32 | c->rcv_nxt;

	return end - c->fin_rcvd - c->stats.in_start;
}

uint32_t tcp_segs(const struct tcp_conn *c, enum tcp_segs which)
{
	return c->stats.segs[which] + c->segs[which];
}

void tcp_release(struct tcp_conn *c)
{
	tcp_rec_release(c);
	tcp_box_detach(c);
}

void tcp_export(const struct tcp_conn *c, struct tcp_state_io *st, uint64_t now)
{
	*st = (struct tcp_state_io){
		.version = TCP_STATE_VERSION,
		.state = c->state,
		.snd_wscale = c->snd_wscale,
		.rcv_wscale = c->rcv_wscale,
		.wscale_ok = c->wscale_ok,
		.sack_ok = c->sack_ok,
		.ecn_ok = c->ecn_ok,
		.ecn_mute = c->ecn_mute,
		.ts_ok = c->ts_ok,
		.ts_recent_valid = c->ts_recent_valid,
		.is_v6 = c->is_v6,
		.mss = c->mss,
		.mss_max = c->mss_max,
		.snd_una = c->snd_una,
		.snd_nxt = c->snd_nxt,
		.snd_avail = c->snd_avail,
		.snd_wnd = c->snd_wnd,
		.snd_wl1 = c->snd_wl1,
		.snd_wl2 = c->snd_una,
		.max_wnd = c->max_wnd,
		.rcv_nxt = c->rcv_placed,
		.rcv_edge = c->rcv_edge,
		.rcv_room = c->rcv_room,
		.ts_val = tcp_tsval(c, now),
		.ts_recent = c->ts_recent,
		.cwnd = c->cwnd,
		.ssthresh = c->ssthresh == UINT32_MAX ? 0 : c->ssthresh,
		.srtt_us = c->srtt_us,
		.rttvar_us = c->rttvar_us,
		.n_ooo = c->n_ooo_placed,
	};
	memcpy(st->ooo, c->ooo_placed, sizeof(st->ooo));
	st->n_sacked = (uint8_t)tcp_sack_get(c, st->sacked, TCP_STATE_SACKS);
	/* A FIN that is not placed yet has not happened for a successor. */
	if (c->state == TCP_S_CLOSE_WAIT && !c->fin_placed)
		st->state = TCP_S_ESTABLISHED;
}

void tcp_produced(struct tcp_conn *c, uint32_t bytes, uint64_t now)
{
	if (c->state == TCP_S_CLOSED || c->fin_wanted)
		return;
	if (!in_order(c->snd_una, c->snd_avail + bytes))
		return;
	if (c->modelled)
		tcp_rate_dry(c, now);
	c->snd_avail += bytes;
}

const char *tcp_state_name(enum tcp_state s)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_S_##sym] = name,
		TCP_FOREACH_STATE(_)
#undef _
	};

	return (unsigned int)s < TCP_S_COUNT ? names[s] : "invalid";
}

const char *tcp_verdict_name(enum tcp_verdict v)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_V_##sym] = name,
		TCP_FOREACH_VERDICT(_)
#undef _
	};

	return (unsigned int)v < TCP_V_COUNT ? names[v] : "invalid";
}

const char *tcp_event_name(enum tcp_event e)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_E_##sym] = name,
		TCP_FOREACH_EVENT(_)
#undef _
	};

	return (unsigned int)e < TCP_E_COUNT ? names[e] : "invalid";
}

const char *tcp_recovery_name(enum tcp_recovery_state s)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_R_##sym] = name,
		TCP_FOREACH_RECOVERY(_)
#undef _
	};

	return (unsigned int)s < TCP_R_COUNT ? names[s] : "invalid";
}

const char *tcp_timer_name(enum tcp_timer_kind k)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_T_##sym] = name,
		TCP_FOREACH_TIMER(_)
#undef _
	};

	return (unsigned int)k < TCP_T_COUNT ? names[k] : "invalid";
}
