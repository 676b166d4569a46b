/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_open.c - opening a connection: SYN and SYN-ACK until they are answered
 * (RFC 9293 sections 3.5 and 3.10.1, RFC 6298 section 5.7, RFC 3168 section
 * 6.1.1).
 *
 * While a connection opens, nothing of the data machinery runs: one sequence
 * number, the SYN, is in flight at snd_una, the sender's timer waits for its
 * answer, and tcp_output() comes here. When the SYN is acknowledged the
 * connection starts like a taken over one, from a state that the two SYNs have
 * agreed on. What the program produced or closed meanwhile waits until then.
 *
 * The SYN is sent again after 1, 3, 7, ... seconds until R2 of a SYN
 * (syn_timeout_us, section 3.8.3). A lost SYN makes the first window one
 * segment (RFC 5681 section 3.1) and the first RTO three seconds. A SYN sent
 * again does not ask for ECN: some paths drop those that do. The peer may answer
 * the first one all the same and send ECN-capable segments, whose marks are then
 * echoed; ours are not ECN-capable (RFC 3168 section 6.1.1).
 */
#include <errno.h>

#include "tcpstack/tcp_priv.h"

void tcp_open_begin(struct tcp_conn *c, const struct tcp_offer *o, const struct net_flow *f,
		    uint32_t iss, uint64_t now)
{
	c->snd_una = iss;
	c->snd_nxt = c->snd_avail = c->ready_nxt = c->want_nxt = iss + 1;
	c->stats.out_start = iss + 1;
	c->alive_ms = tcp_ms(now);
	c->rcv_max = o->room;
	c->syn_mss = o->mss;
	c->is_v6 = !net_addr_is_v4(&f->remote);
	c->mss = tcp_syn_mss(&(struct tcp_seg){0}, f, o->mss);
	c->wscale_ok = o->opts & TCP_O_WSCALE;
	c->rcv_wscale = c->wscale_ok ? tcp_offer_wscale(o) : 0;
	c->sack_ok = o->opts & TCP_O_SACK;
	c->ts_ok = o->opts & TCP_O_TS;
	c->ecn_ask = o->opts & TCP_O_ECN;
	c->ts_off = tcp_ts_offset(c->cfg->keys, f);
	tcp_box_attach(c, now);
	c->syn_due = true;
	tcp_timer_set(c, TCP_T_SYN, now + tcp_rto(c));
}

int tcp_connect(struct tcp_conn *c, const struct tcp_cfg *cfg, const struct tcp_offer *offer,
		const struct net_flow *f, uint64_t now)
{
	tcp_init(c, cfg);
	if (!cfg->keys || !tcp_offer_valid(offer))
		return EINVAL;
	tcp_set_state(c, TCP_S_SYN_SENT);
	tcp_open_begin(c, offer, f, tcp_isn(cfg->keys, f, now), now);
	return 0;
}

void tcp_open_learn(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	c->rcv_nxt = c->rcv_placed = c->rcv_acked = seg->seq + 1;
	c->stats.in_start = c->rcv_nxt;
	c->rcv_room = c->rcv_nxt + c->rcv_max;
	c->rcv_edge = c->rcv_nxt + tcp_syn_window(c->rcv_max);
	c->ts_ok = c->ts_ok && seg->has_ts;
	c->ts_recent_valid = c->ts_ok;
	c->ts_recent = seg->tsval;
	c->heard_ms = tcp_ms(now);
	c->sack_ok = c->sack_ok && seg->sack_ok;
	c->wscale_ok = c->wscale_ok && seg->has_wscale;
	c->snd_wscale = c->wscale_ok ? seg->wscale : 0;
	c->rcv_wscale = c->wscale_ok ? c->rcv_wscale : 0;
	c->ecn_ok = c->ecn_ask && tcp_syn_ecn(seg);
	if (seg->mss)
		c->mss = (uint16_t)tcp_max(tcp_min(seg->mss, c->syn_mss), TCP_MSS_MIN);
}

/* Smoothed RTT by the answer to our SYN, 0 when it cannot be known (Karn's rule). */
static uint32_t syn_rtt(const struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	uint32_t ms;

	if (!c->syn_sent) /* a cookie was: nobody noted when */
		return 0;
	if (!c->stats.retx_segs) /* the SYN was sent once, whoever asked for it */
		return tcp_max((uint32_t)now - c->syn_us, 1);
	if (!c->ts_ok || !seg->has_ts || !seg->tsecr)
		return 0;
	ms = tcp_tsval(c, now) - seg->tsecr;
	return ms <= c->cfg->syn_timeout_us / 1000 ? tcp_max(ms, 1) * 1000 : 0;
}

void tcp_open_done(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	uint8_t shift = seg->flags & TCP_SYN ? 0 : c->snd_wscale;
	struct tcp_state_io st = {
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.snd_wscale = c->snd_wscale,
		.rcv_wscale = c->rcv_wscale,
		.wscale_ok = c->wscale_ok,
		.sack_ok = c->sack_ok,
		.ts_ok = c->ts_ok,
		.ts_recent_valid = c->ts_recent_valid,
		.is_v6 = c->is_v6,
		.ecn_ok = c->ecn_ok,
		.ecn_mute = c->ecn_mute,
		.mss = c->mss,
		.snd_una = c->snd_nxt,
		.snd_nxt = c->snd_nxt,
		.snd_avail = c->snd_avail,
		.snd_wnd = (uint32_t)seg->wnd << shift,
		.snd_wl1 = seg->seq,
		.snd_wl2 = seg->ack,
		.rcv_nxt = c->rcv_nxt,
		.rcv_edge = c->rcv_edge,
		.rcv_room = c->rcv_room,
		.ts_val = tcp_tsval(c, now),
		.ts_recent = c->ts_recent,
		.cwnd = c->syn_lost ? c->mss : 0,
		.srtt_us = syn_rtt(c, seg, now),
	};
	bool syn_ack = seg->flags & TCP_SYN;

	st.rttvar_us = st.srtt_us / 2;
	c->backoff = 0;
	tcp_start(c, &st, now);
	c->ack_later = false;
	c->ack_now = syn_ack;
	c->syn_due = false;
	tcp_tell(c, TCP_E_ESTABLISHED);
}

/* The R2 of a SYN: the time at which to give up. */
static uint64_t give_up_at(const struct tcp_conn *c, uint64_t now)
{
	uint32_t r2 = c->cfg->syn_timeout_us / 1000, spent = tcp_ms(now) - c->alive_ms;

	return now + (spent < r2 ? (r2 - spent) * 1000ull : 0);
}

/* When to look after the SYN next. */
static void set_timer(struct tcp_conn *c, uint64_t now)
{
	uint64_t again = now + tcp_rto(c), end = give_up_at(c, now);

	tcp_timer_set(c, TCP_T_SYN, again < end ? again : end);
}

void tcp_open_fire(struct tcp_conn *c, uint64_t now)
{
	if (give_up_at(c, now) <= now) {
		tcp_give_up(c, TCP_E_TIMEOUT);
		return;
	}
	c->stats.rto_count++;
	c->syn_lost = true;
	c->syn_due = true;
	if (c->state == TCP_S_SYN_SENT)
		c->ecn_mute = c->ecn_ask;
	if (c->backoff < UINT8_MAX)
		c->backoff++;
	set_timer(c, now);
}

/* SYN in SYN-SENT, SYN-ACK in SYN-RECEIVED. */
static void emit_syn(struct tcp_conn *c, uint64_t now)
{
	struct tcp_emit e = {.seq = c->snd_una, .flags = TCP_SYN, .mss = c->mss};
	struct tcp_syn s = {.mss = c->syn_mss, .wscale = c->rcv_wscale};

	s.opts = (c->wscale_ok ? TCP_O_WSCALE : 0) | (c->sack_ok ? TCP_O_SACK : 0) |
		 (c->ts_ok ? TCP_O_TS : 0);
	s.tsval = tcp_tsval(c, now);
	if (c->state == TCP_S_SYN_RCVD) {
		s.tsecr = c->ts_recent;
		e.flags |= TCP_ACK | (c->ecn_ok ? TCP_ECE : 0);
		e.ack = c->rcv_placed;
	} else if (c->ecn_ask && !c->ecn_mute) {
		e.flags |= TCP_ECE | TCP_CWR;
	}
	e.wnd = tcp_syn_window(c->rcv_max);
	e.retx = c->syn_sent;
	e.optlen = tcp_syn_options(&s, e.opt);
	if (tcp_put(c, &e))
		return;
	c->syn_sent = true;
	c->syn_due = false;
	c->syn_us = (uint32_t)now;
	set_timer(c, now);
}

/* The RST that a wrong acknowledgement deserves; the opening goes on. */
static void emit_rst(struct tcp_conn *c)
{
	struct tcp_emit e = {.seq = c->syn_rst, .flags = TCP_RST, .mss = c->mss};

	c->syn_rst_due = tcp_put(c, &e) != 0;
}

void tcp_open_output(struct tcp_conn *c, uint64_t now)
{
	if (c->syn_rst_due)
		emit_rst(c);
	if (c->syn_due)
		emit_syn(c, now);
	if (c->state == TCP_S_SYN_RCVD)
		tcp_ack_output(c, now);
}
