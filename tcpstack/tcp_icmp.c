/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_icmp.c - ICMP errors about our segments (RFC 5927, RFC 9293 section
 * 3.9.2.2).
 *
 * Anybody can send an ICMP error, so none is believed that does not quote a
 * sequence number in flight (RFC 5927 section 4.1), and none ends a connection
 * that exists: hard errors are taken as soft ones (section 5.2), which are
 * remembered and shown, and the retransmission timer decides. Only an opening
 * is ended by a hard error about its SYN.
 *
 * "Too big" is the one error that changes something. A size that the client
 * has acknowledged before is not given up on an ICMP's word alone: the error
 * waits until the quoted segment times out (section 7.2). While a size is new
 * the error is followed at once. Errors that ask for no less than is sent, or
 * whose quoted packet would have fit, contradict themselves and are ignored.
 */
#include "tcpstack/tcp_priv.h"

#define MTU_MIN_4 68u	/* RFC 791 */
#define MTU_MIN_6 1280u /* RFC 8200 section 5 */

/* RFC 1191 section 7.1: what a router without the next-hop MTU field (MTU 0) may have meant. */
static uint32_t plateau_below(uint32_t len)
{
	static const uint16_t plateau[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

	for (unsigned int i = 0; i < sizeof(plateau) / sizeof(plateau[0]); i++) {
		if (plateau[i] < len)
			return plateau[i];
	}
	return MTU_MIN_4;
}

/* "Packet too big" about a segment in flight. */
static enum tcp_icmp_verdict too_big(struct tcp_conn *c, const struct tcp_icmp_err *e, uint64_t now)
{
	uint32_t mtu = e->mtu, mss;

	if (!mtu && !c->is_v6)
		mtu = plateau_below(e->len ? e->len : c->mss + tcp_pmtu_hdr(c));
	if (mtu < (c->is_v6 ? MTU_MIN_6 : MTU_MIN_4) || (e->len && e->len <= mtu))
		return TCP_I_BAD_SIZE;
	mss = mtu - tcp_min(mtu, tcp_pmtu_hdr(c));
	if (tcp_plpmtu_too_big(c, e->seq, mss, now))
		return TCP_I_TAKEN;
	if (mss >= c->mss)
		return TCP_I_BAD_SIZE;
	if (c->pm_proven) {
		c->ptb_seq = e->seq;
		c->ptb_mss = (uint16_t)mss;
		c->ptb_pending = true;
		return TCP_I_PENDING;
	}
	return tcp_pmtu_lower(c, mss, now) ? TCP_I_TAKEN : TCP_I_BAD_SIZE;
}

/* An error about our SYN or SYN-ACK, than which nothing is smaller. */
static enum tcp_icmp_verdict about_syn(struct tcp_conn *c, const struct tcp_icmp_err *e)
{
	if (e->kind == TCP_K_TOO_BIG)
		return TCP_I_BAD_SIZE;
	if (e->kind != TCP_K_REFUSED || c->state != TCP_S_SYN_SENT)
		return TCP_I_NOTED;
	c->soft_error = TCP_K_REFUSED;
	tcp_give_up(c, TCP_E_REFUSED);
	return TCP_I_TAKEN;
}

enum tcp_icmp_verdict tcp_icmp(struct tcp_conn *c, const struct tcp_icmp_err *e, uint64_t now)
{
	enum tcp_icmp_verdict v;

	c->stats.icmp_in++;
	if (c->state == TCP_S_CLOSED)
		v = TCP_I_CLOSED;
	else if (e->seq - c->snd_una >= tcp_flight(c))
		v = TCP_I_SEQUENCE;
	else if (tcp_opening(c))
		v = about_syn(c, e);
	else if (e->kind == TCP_K_TOO_BIG)
		v = too_big(c, e, now);
	else
		v = TCP_I_NOTED;
	if (v == TCP_I_NOTED)
		c->soft_error = (uint8_t)e->kind;
	if (v == TCP_I_SEQUENCE || v == TCP_I_BAD_SIZE)
		c->stats.icmp_ignored++;
	return v;
}

const char *tcp_icmp_kind_name(enum tcp_icmp_kind k)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_K_##sym] = name,
		TCP_FOREACH_ICMP(_)
#undef _
	};

	return (unsigned int)k < TCP_K_COUNT ? names[k] : "invalid";
}

const char *tcp_icmp_name(enum tcp_icmp_verdict v)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_I_##sym] = name,
		TCP_FOREACH_ICMP_VERDICT(_)
#undef _
	};

	return (unsigned int)v < TCP_I_COUNT ? names[v] : "invalid";
}
