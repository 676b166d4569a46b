/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_csum.c - the Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * Sums are taken over 16-bit words as they lie in memory, so no byte is swapped and the folded
 * result is in network byte order. The bulk loop adds 32-bit halves into 64-bit lanes, which
 * cannot overflow for any frame, and is written with vector types so that it becomes SIMD at
 * any optimization level.
 */
#include "tcpstack/net_wire.h"

typedef uint64_t csum_lanes __attribute__((vector_size(32)));

/* Sum of len bytes, 16-bit words of memory, carries in the upper bits. */
static uint64_t sum_bytes(const uint8_t *p, size_t len)
{
	csum_lanes a = {0}, b = {0}, v, w;
	const csum_lanes low = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
	uint64_t sum, word;
	uint32_t half;

	for (; len >= 2 * sizeof(v); len -= 2 * sizeof(v), p += 2 * sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		memcpy(&w, p + sizeof(v), sizeof(w));
		a += (v & low) + (w & low);
		b += (v >> 32) + (w >> 32);
	}
	a += b;
	sum = a[0] + a[1] + a[2] + a[3];
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		sum += (word & UINT32_MAX) + (word >> 32);
	}
	if (len >= 4) {
		memcpy(&half, p, 4);
		sum += half;
		len -= 4;
		p += 4;
	}
	half = 0;
	memcpy(&half, p, len); /* 0 to 3 bytes; what is missing counts as zero */
	return sum + half;
}

/* Folds a 64-bit sum to 16 bits. */
static uint16_t fold64(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	return net_csum_fold((uint32_t)sum);
}

uint16_t net_csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint32_t net_csum_add(uint32_t sum, const void *data, size_t len, bool odd)
{
	uint32_t part = len ? fold64(sum_bytes(data, len)) : 0;

	if (odd)
		part = (uint16_t)(part << 8 | part >> 8);
	sum += part;
	return sum + (sum < part); /* end-around carry */
}

uint32_t net_csum_pseudo(const struct net_addr *src, const struct net_addr *dst, uint8_t proto,
			 uint32_t len)
{
	const size_t skip = net_addr_is_v4(dst) ? 12 : 0;
	uint8_t tail[8] = {0};
	uint32_t sum;

	net_put32(tail, len);
	tail[7] = proto;
	sum = net_csum_add(0, src->b + skip, 16 - skip, false);
	sum = net_csum_add(sum, dst->b + skip, 16 - skip, false);
	return net_csum_add(sum, tail, sizeof(tail), false);
}

void net_csum_update(uint8_t *csum, const void *old, const void *now, size_t len, bool odd)
{
	uint32_t sum = (uint16_t)~net_raw16(csum);

	sum += (uint16_t)~net_csum_fold(net_csum_add(0, old, len, odd));
	sum = net_csum_add(sum, now, len, odd);
	net_put_raw16(csum, (uint16_t)~net_csum_fold(sum));
}

void net_tcp_csum_finish(uint8_t *tcp, size_t hlen, uint32_t sum)
{
	sum = net_csum_add(sum, tcp, hlen, false);
	net_put_raw16(tcp + NET_TCP_CSUM, (uint16_t)~net_csum_fold(sum));
}

void net_ip4_csum(uint8_t *ip, size_t hlen)
{
	net_put16(ip + NET_IP4_CSUM, 0);
	net_put_raw16(ip + NET_IP4_CSUM,
		      (uint16_t)~net_csum_fold(net_csum_add(0, ip, hlen, false)));
}
