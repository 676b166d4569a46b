/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_time.c - the timestamp clock and PAWS (RFC 7323 sections 4 and 5).
 *
 * TSval is the imported value plus the milliseconds since the import, so that
 * it goes on from the clock of whoever ran the connection before.
 */
#include "tcpstack/tcp_priv.h"

#define PAWS_IDLE_MS (24u * 24 * 3600 * 1000) /* 24 days, RFC 7323 section 5.5 */

uint32_t tcp_tsval(const struct tcp_conn *c, uint64_t now)
{
	return c->ts_off + tcp_ms(now);
}

bool tcp_paws_old(const struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	if (!c->ts_ok || !seg->has_ts || !c->ts_recent_valid || (seg->flags & TCP_RST))
		return false;
	if (!tcp_lt(seg->tsval, c->ts_recent))
		return false;
	return tcp_ms(now) - c->heard_ms <= PAWS_IDLE_MS;
}

void tcp_ts_update(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	if (!c->ts_ok || !seg->has_ts || !tcp_leq(seg->seq, c->rcv_acked))
		return;
	/* What passed tcp_paws_old() although older is the case of section 5.5. */
	c->ts_recent = seg->tsval;
	c->ts_recent_valid = true;
}
