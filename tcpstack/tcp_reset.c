/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_reset.c - the RST that answers a segment of no connection (RFC 9293
 * sections 3.5.2 and 3.10.7.1).
 */
#include "tcpstack/tcp_priv.h"

bool tcp_reset_for(const struct tcp_seg *seg, struct tcp_emit *e)
{
	*e = (struct tcp_emit){.flags = TCP_RST};
	if (seg->flags & TCP_RST)
		return false;
	if (seg->flags & TCP_ACK) {
		e->seq = seg->ack;
		return true;
	}
	e->flags |= TCP_ACK;
	e->ack = seg->seq + seg->len + !!(seg->flags & TCP_SYN) + !!(seg->flags & TCP_FIN);
	return true;
}
