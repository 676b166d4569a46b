/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_icmp.c - the gateway's own answers to ping (RFC 792, RFC 4443 section 4). Pings of servers
 * go to the servers.
 */
#include "gateway/gw_int.h"
#include "tcpstack/net_wire.h"

bool gw_is_icmp(const struct net_pkt *p)
{
	return p->l4_off && !p->fragment &&
	       p->proto == (p->is_v6 ? NET_PROTO_ICMP6 : NET_PROTO_ICMP);
}

bool gw_is_echo(const uint8_t *frame, const struct net_pkt *p)
{
	return gw_is_icmp(p) && frame[p->l4_off] == (p->is_v6 ? NET_ICMP6_ECHO : NET_ICMP_ECHO);
}

struct rte_mbuf *gw_frame_new(struct gw_worker *w, uint8_t **buf, size_t *room)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);

	if (!m) {
		w->stats.drop[GW_DROP_NO_MBUF]++;
		return NULL;
	}
	*buf = rte_pktmbuf_mtod(m, uint8_t *);
	*room = rte_pktmbuf_tailroom(m);
	return m;
}

struct rte_mbuf *gw_frame_end(struct rte_mbuf *m, size_t n)
{
	if (n && rte_pktmbuf_append(m, (uint16_t)n))
		return m;
	rte_pktmbuf_free(m);
	return NULL;
}

struct rte_mbuf *gw_icmp_reply(struct gw_worker *w, const struct rte_mbuf *m,
			       const struct net_pkt *p, const struct rte_ether_addr *mac)
{
	struct rte_mbuf *reply;
	uint8_t *buf;
	size_t room;

	reply = gw_frame_new(w, &buf, &room);
	if (!reply)
		return NULL;
	return gw_frame_end(reply, net_build_echo_reply(buf, room, rte_pktmbuf_mtod(m, uint8_t *),
							m->data_len, p, mac->addr_bytes));
}
