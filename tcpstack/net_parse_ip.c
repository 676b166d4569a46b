/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_parse_ip.c - IPv4 (RFC 791, RFC 1122 section 3.2.1) and IPv6 with its extension headers
 * (RFC 8200 section 4; RFC 5095: no source routing; RFC 6946: atomic fragments are none;
 * RFC 7112: the first fragment holds the whole header chain).
 */
#include "tcpstack/net_wire.h"

#define OPT_PAD1 0
#define MAX_EXT	 8 /* extension headers of one packet; RFC 8200 names six, once or twice each */

/* Refuses what no honest packet on a wire has as its addresses. */
static enum net_perr check_addrs(const struct net_pkt *p)
{
	static const uint8_t lo6[16] = {[15] = 1};
	const struct net_addr *s = &p->src, *d = &p->dst;

	if (net_addr_is_mcast(s) || net_addr_is_any(d) || net_addr_eq(s, d))
		return NET_PERR_IP_ADDR;
	if (p->is_v6) {
		if (net_addr_is_v4(s) || net_addr_is_v4(d))
			return NET_PERR_IP_ADDR;
		if (memcmp(s->b, lo6, 16) == 0 || memcmp(d->b, lo6, 16) == 0)
			return NET_PERR_IP_ADDR;
		if (net_addr_is_any(s) && p->proto != NET_PROTO_ICMP6) /* DAD, RFC 4862 */
			return NET_PERR_IP_ADDR;
	} else if (s->b[12] == 0 || s->b[12] == 127 || d->b[12] == 0 || d->b[12] == 127) {
		return NET_PERR_IP_ADDR;
	}
	if (p->proto == NET_PROTO_TCP && net_addr_is_mcast(d)) /* RFC 9293 MUST-57 */
		return NET_PERR_IP_ADDR;
	return NET_PERR_OK;
}

/* True for the protocols whose header net_parse_l4() reads. */
static bool known_l4(const struct net_pkt *p)
{
	return p->proto == NET_PROTO_TCP || p->proto == NET_PROTO_UDP ||
	       p->proto == (p->is_v6 ? NET_PROTO_ICMP6 : NET_PROTO_ICMP);
}

/* Sets payload and transport offsets for a header chain that ends at `off`. */
static void set_l4(struct net_pkt *p, uint32_t off, bool later_fragment)
{
	p->payload_off = off;
	p->payload_len = p->frame_len - off;
	p->l4_off = !later_fragment && known_l4(p) ? (uint16_t)off : 0;
}

enum net_perr net_parse_ip4(const uint8_t *frame, uint32_t len, unsigned int flags,
			    struct net_pkt *p)
{
	const uint8_t *ip = frame + p->l3_off;
	uint32_t room = len - p->l3_off, hlen, total;
	uint16_t frag;

	if (room < NET_IP4_HLEN)
		return NET_PERR_RUNT;
	if (ip[0] >> 4 != 4)
		return NET_PERR_IP_VERSION;
	hlen = (ip[0] & 0xf) * 4u;
	total = net_get16(ip + NET_IP4_TOTLEN);
	if (hlen < NET_IP4_HLEN || hlen > room)
		return NET_PERR_IP_HLEN;
	if (total < hlen || total > room)
		return NET_PERR_IP_LEN;
	if ((flags & NET_F_CSUM_IP) && net_csum_fold(net_csum_add(0, ip, hlen, false)) != 0xffff)
		return NET_PERR_IP_CSUM;
	frag = net_get16(ip + NET_IP4_FRAG);
	p->frame_len = p->l3_off + total;
	p->ecn = ip[NET_IP4_TOS] & 3;
	p->ttl = ip[NET_IP4_TTL];
	p->proto = ip[NET_IP4_PROTO];
	p->fragment = (frag & 0x3fff) != 0; /* MF or an offset */
	net_addr_v4(&p->src, ip + NET_IP4_SRC);
	net_addr_v4(&p->dst, ip + NET_IP4_DST);
	set_l4(p, p->l3_off + hlen, (frag & 0x1fff) != 0);
	return check_addrs(p);
}

/* Length of the extension header at h, of which `room` bytes exist; 0: it is not all there. */
static uint32_t ext_len(uint8_t kind, const uint8_t *h, uint32_t room)
{
	uint32_t n;

	if (room < 8)
		return 0;
	n = kind == NET_PROTO_FRAGMENT ? 8 : 8u + 8u * h[1];
	return n <= room ? n : 0;
}

/*
 * The options of a hop-by-hop or destination options header of n bytes, RFC 8200 section 4.2: the
 * two highest bits of a type we do not know say whether the packet may be used without it. Padding
 * (two) and router alert (RFC 2711) are known. Returns false when the lengths do not add up.
 */
static bool walk_opts(const uint8_t *h, uint32_t n, struct net_pkt *p)
{
	for (uint32_t i = 2; i < n;) {
		if (h[i] == OPT_PAD1) {
			i++;
			continue;
		}
		if (i + 1 >= n || i + 2 + h[i + 1] > n)
			return false;
		if (h[i] >> 6 != 0)
			p->opt_refuse = true;
		i += 2u + h[i + 1];
	}
	return true;
}

/* Walks the extension headers from `off`; sets proto, fragment and the offsets. */
static enum net_perr walk_ext(const uint8_t *frame, uint32_t off, uint8_t next, struct net_pkt *p)
{
	bool later = false;
	unsigned int n;
	uint32_t hlen;

	for (n = 0; !later; n++) {
		const uint8_t *h = frame + off;

		if (next != NET_PROTO_HOPOPT && next != NET_PROTO_ROUTING &&
		    next != NET_PROTO_FRAGMENT && next != NET_PROTO_DSTOPTS)
			break;
		hlen = ext_len(next, h, p->frame_len - off);
		if (hlen == 0 || n == MAX_EXT)
			return NET_PERR_IP6_EXT;
		if (next == NET_PROTO_HOPOPT && n != 0)
			return NET_PERR_IP6_EXT;
		if (next == NET_PROTO_ROUTING && h[3] != 0) /* segments left: not ours to forward */
			return NET_PERR_IP6_EXT;
		if (next == NET_PROTO_FRAGMENT) {
			if (p->fragment)
				return NET_PERR_IP6_EXT;
			p->fragment = (net_get16(h + 2) & 0xfff9) != 0;
			later = (net_get16(h + 2) & 0xfff8) != 0;
		}
		if ((next == NET_PROTO_HOPOPT || next == NET_PROTO_DSTOPTS) &&
		    !walk_opts(h, hlen, p))
			return NET_PERR_IP6_EXT;
		next = h[0];
		off += hlen;
	}
	p->proto = next;
	set_l4(p, off, later);
	return NET_PERR_OK;
}

enum net_perr net_parse_ip6(const uint8_t *frame, uint32_t len, struct net_pkt *p)
{
	const uint8_t *ip = frame + p->l3_off;
	uint32_t room = len - p->l3_off, plen;
	enum net_perr e;

	if (room < NET_IP6_HLEN)
		return NET_PERR_RUNT;
	if (ip[0] >> 4 != 6)
		return NET_PERR_IP_VERSION;
	plen = net_get16(ip + NET_IP6_PLEN);
	if (plen > room - NET_IP6_HLEN)
		return NET_PERR_IP_LEN;
	p->is_v6 = true;
	p->frame_len = p->l3_off + NET_IP6_HLEN + plen;
	p->ecn = (ip[1] >> 4) & 3;
	p->ttl = ip[NET_IP6_HLIM];
	memcpy(p->src.b, ip + NET_IP6_SRC, 16);
	memcpy(p->dst.b, ip + NET_IP6_DST, 16);
	e = walk_ext(frame, p->l3_off + NET_IP6_HLEN, ip[NET_IP6_NEXT], p);
	return e ? e : check_addrs(p);
}
