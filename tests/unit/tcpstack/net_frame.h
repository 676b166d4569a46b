/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_frame.h - frames for tests, made independently of what is tested: a naive checksum and
 * plain byte stores.
 */
#ifndef TESTS_UNIT_TCPSTACK_NET_FRAME_H
#define TESTS_UNIT_TCPSTACK_NET_FRAME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "tcpstack/net_parse.h"

/** A frame under construction. */
struct frame {
	uint8_t b[2048]; /* the bytes */
	uint32_t len;	 /* bytes used */
	uint32_t l3;	 /* offset of the IP header */
	uint32_t l4;	 /* offset of the transport header */
};

/** RFC 1071 as its section 4.1 has it: the unfolded sum of big-endian words. */
static inline uint32_t ref_sum(const uint8_t *p, uint32_t n, uint32_t sum)
{
	uint32_t i;

	for (i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		sum += (uint32_t)p[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/** Stores a big-endian 16-bit number. */
static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/** Stores a big-endian 32-bit number. */
static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/** Sum of the pseudo-header and `len` transport bytes of the frame as they are. */
static inline uint32_t ref_l4_sum(const struct frame *f, uint8_t proto, uint32_t len)
{
	uint32_t sum = proto == 1 ? 0 : proto + len;
	const uint8_t *ip = f->b + f->l3;

	if (proto != 1)
		sum = ip[0] >> 4 == 4 ? ref_sum(ip + 12, 8, sum) : ref_sum(ip + 8, 32, sum);
	return ref_sum(f->b + f->l4, len, sum);
}

/** Starts a frame: Ethernet and, with vlan, a tag. */
static inline void frame_eth(struct frame *f, uint16_t vlan, uint16_t type)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};

	memset(f, 0, sizeof(*f));
	memcpy(f->b, macs, 12);
	f->len = 12;
	if (vlan) {
		put16(f->b + 12, 0x8100);
		put16(f->b + 14, vlan);
		f->len = 16;
	}
	put16(f->b + f->len, type);
	f->len += 2;
	f->l3 = f->l4 = f->len;
}

/** Appends an IP header from src to dst (text) for proto; lengths come with frame_done(). */
static inline void frame_ip(struct frame *f, const char *src, const char *dst, uint8_t proto)
{
	const bool v4 = strchr(src, '.') != NULL && strchr(src, ':') == NULL;
	uint8_t *ip = f->b + f->l3;

	if (v4) {
		ip[0] = 0x45;
		ip[8] = 63;
		ip[9] = proto;
		inet_pton(AF_INET, src, ip + 12);
		inet_pton(AF_INET, dst, ip + 16);
	} else {
		ip[0] = 0x60;
		ip[6] = proto;
		ip[7] = 63;
		inet_pton(AF_INET6, src, ip + 8);
		inet_pton(AF_INET6, dst, ip + 24);
	}
	f->len = f->l4 = f->l3 + (v4 ? 20 : 40);
}

/** Appends n bytes (zeros when data is NULL); returns where. */
static inline uint8_t *frame_add(struct frame *f, const void *data, uint32_t n)
{
	uint8_t *at = f->b + f->len;

	if (data)
		memcpy(at, data, n);
	f->len += n;
	return at;
}

/** Appends a TCP header with options and n payload bytes of a pattern. */
static inline uint8_t *frame_tcp(struct frame *f, uint32_t seq, uint32_t ack, uint8_t flags,
				 const void *opt, uint32_t optlen, uint32_t n)
{
	uint8_t *tcp = frame_add(f, NULL, 20);
	uint32_t i;

	put16(tcp, 40000);
	put16(tcp + 2, 80);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	tcp[12] = (uint8_t)((20 + optlen) / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, 1000);
	frame_add(f, opt, optlen);
	for (i = 0; i < n; i++)
		*frame_add(f, NULL, 1) = (uint8_t)(seq + i);
	return tcp;
}

/** Fills in lengths and checksums; proto is the last protocol. */
static inline void frame_done(struct frame *f, uint8_t proto)
{
	uint8_t *ip = f->b + f->l3, *l4 = f->b + f->l4;
	uint32_t n = f->len - f->l4, off = proto == 6 ? 16 : proto == 17 ? 6 : 2;

	if (ip[0] >> 4 == 4) {
		put16(ip + 2, f->len - f->l3);
		put16(ip + 10, 0);
		put16(ip + 10, ~ref_sum(ip, (ip[0] & 15) * 4u, 0));
	} else {
		put16(ip + 4, f->len - f->l3 - 40);
	}
	if (proto == 17)
		put16(l4 + 4, n);
	if (n < off + 2)
		return;
	put16(l4 + off, 0);
	put16(l4 + off, ~ref_l4_sum(f, proto, n));
}

/** net_parse() with everything verified. */
static inline enum net_perr parse(const struct frame *f, struct net_pkt *p)
{
	/* an exact copy on the heap, so that a sanitizer sees every byte read too far */
	uint8_t *copy = test_malloc(f->len ? f->len : 1);
	enum net_perr e;

	memcpy(copy, f->b, f->len);
	e = net_parse(copy, f->len, NET_F_CSUM_IP | NET_F_CSUM_L4, p);
	test_free(copy);
	return e;
}

#endif
