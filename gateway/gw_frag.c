/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_frag.c - fragments of TCP segments (RFC 791 section 3.2, RFC 8200 section 4.5) are put
 * together here, before it is known whose they are: the ports are in the first one only, an
 * accelerated connection has no other TCP behind it, and a host translates the numbers of a
 * connection that was handed back in whole segments only. Fragments of anything else go natively.
 *
 * The fragments of a segment are waited for as long as Linux does: RFC 1122 section 3.3.2 says 60
 * to 120 s, RFC 8200 at most 60, RFC 4963 less at high rates. The table is small and strangers can
 * fill it, so that from half of it on only those that follow each other have a place. Overlapping
 * fragments never become whole (RFC 5722). A segment that is whole goes through all checks as if it
 * had come so; one larger than the LAN's MTU has nowhere to go.
 */
#define ALLOW_EXPERIMENTAL_API /* rte_ip_frag_table_del_expired_entries() */

#include <errno.h>
#include <rte_ip_frag.h>
#include <rte_malloc.h>

#include "gateway/gw_int.h"
#include "tcpstack/net_wire.h"

#define BUCKETS	   32 /* of the table */
#define PER_BUCKET 4
#define KEEP_US	   30000000 /* a segment's fragments are waited for so long */
#define PRESSED_US 1000000  /* the same while there are many */
#define MANY	   (BUCKETS * PER_BUCKET / 2)

/** A worker's unfinished segments. */
struct gw_frag {
	struct rte_ip_frag_tbl *table;	   /* holds the fragments' mbufs */
	struct rte_ip_frag_death_row dead; /* mbufs to be freed */
	uint32_t held;			   /* fragments in the table */
};

int gw_frag_open(struct gw_worker *w)
{
	w->frag = rte_zmalloc("fragments", sizeof(*w->frag), 0);
	if (!w->frag)
		return ENOMEM;
	/* The clock of the table is ours: microseconds. */
	w->frag->table = rte_ip_frag_table_create(BUCKETS, PER_BUCKET, BUCKETS * PER_BUCKET,
						  KEEP_US, SOCKET_ID_ANY);
	return w->frag->table ? 0 : ENOMEM;
}

void gw_frag_close(struct gw_worker *w)
{
	if (!w->frag)
		return;
	rte_ip_frag_free_death_row(&w->frag->dead, 0);
	if (w->frag->table)
		rte_ip_frag_table_destroy(w->frag->table);
	rte_free(w->frag);
	w->frag = NULL;
}

/* Frees and counts what was given up. */
static void bury(struct gw_worker *w)
{
	w->stats.drop[GW_DROP_FRAGMENT] += w->frag->dead.cnt;
	w->frag->held -= w->frag->dead.cnt;
	rte_ip_frag_free_death_row(&w->frag->dead, 0);
}

void gw_frag_run(struct gw_worker *w)
{
	uint64_t now = w->now_us;

	if (!w->frag || !w->frag->held)
		return;
	if (w->frag->held >=
	    MANY) /* the table knows one time only: what it takes for now decides */
		now += KEEP_US - PRESSED_US;
	rte_ip_frag_table_del_expired_entries(w->frag->table, &w->frag->dead, now);
	bury(w);
}

/* Adds a fragment. The chain of a whole segment, or NULL. Takes m. */
static struct rte_mbuf *add(struct gw_worker *w, struct rte_mbuf *m, const struct net_pkt *p)
{
	struct gw_frag *t = w->frag;
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l3_off);
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)ip;

	rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - p->frame_len)); /* Ethernet's padding */
	m->l2_len = p->l3_off;
	m->l3_len = p->payload_off - p->l3_off;
	if (!p->is_v6) {
		m->l3_len = (ip[0] & 0xfu) * 4;
		return rte_ipv4_frag_reassemble_packet(t->table, &t->dead, m, w->now_us,
						       (struct rte_ipv4_hdr *)ip);
	}
	m->l3_len = NET_IP6_HLEN + sizeof(struct rte_ipv6_fragment_ext);
	return rte_ipv6_frag_reassemble_packet(t->table, &t->dead, m, w->now_us, ip6,
					       (struct rte_ipv6_fragment_ext *)(ip6 + 1));
}

/* One mbuf with the bytes of a chain, as the rest of the gateway wants it. Takes chain. */
static struct rte_mbuf *flatten(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *chain)
{
	uint32_t n = chain->pkt_len;
	struct rte_mbuf *m;
	const void *data;
	size_t room;
	uint8_t *to;

	if (n > GW_FRAME_MAX(port->cfg->mtu)) {
		gw_drop(w, GW_DROP_OVERSIZED, chain);
		return NULL;
	}
	m = gw_frame_new(w, &to, &room);
	if (m && room >= n) {
		data = rte_pktmbuf_read(chain, 0, n, to);
		if (data && data != to)
			memcpy(to, data, n);
		m = gw_frame_end(m, data ? n : 0);
	}
	rte_pktmbuf_free(chain);
	return m;
}

bool gw_frag_wants(const struct gw_worker *w, const struct rte_mbuf *m, const struct net_pkt *p)
{
	const struct corr_native *map = atomic_load_explicit(&w->native, memory_order_acquire);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off);

	if (!p->fragment || p->proto != NET_PROTO_TCP || !map || !w->frag)
		return false;
	return (!p->is_v6 || ip[NET_IP6_NEXT] == NET_PROTO_FRAGMENT) &&
	       corr_native_by_addr(map, p->dst.b);
}

struct rte_mbuf *gw_frag_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
			    const struct net_pkt *p)
{
	struct rte_mbuf *whole;

	w->stats.tcp_fragments++;
	w->frag->held++;
	whole = add(w, m, p);
	bury(w);
	if (!whole)
		return NULL;
	w->frag->held -= whole->nb_segs;
	whole = flatten(w, port, whole);
	if (!whole)
		return NULL;
	w->stats.tcp_reassembled++;
	if (!p->is_v6)
		net_ip4_csum(rte_pktmbuf_mtod_offset(whole, uint8_t *, p->l3_off),
			     (*rte_pktmbuf_mtod_offset(whole, uint8_t *, p->l3_off) & 0xfu) * 4);
	return whole;
}
