/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pkt_crc.c - the two checks at the end of an InfiniBand packet (IBTA 7.8): the invariant CRC,
 * which is that of Ethernet over the fields no switch changes, and the variant one of 16 bits.
 */
#include <pthread.h>

#include "ibside/packet/pkt.h"

#define ICRC_POLY 0xedb88320u /* 0x04c11db7, bits reversed */
#define VCRC_POLY 0xd008u     /* 0x100b, bits reversed */

static uint32_t icrc_table[256], vcrc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i, v = i;

		for (int b = 0; b < 8; b++) {
			c = c & 1 ? c >> 1 ^ ICRC_POLY : c >> 1;
			v = v & 1 ? v >> 1 ^ VCRC_POLY : v >> 1;
		}
		icrc_table[i] = c;
		vcrc_table[i] = v;
	}
}

uint32_t pkt_icrc(const uint8_t *pkt, size_t n, bool grh)
{
	size_t bth = grh ? 48 : 8;
	uint32_t c = UINT32_MAX;

	pthread_once(&crc_once, crc_init);
	for (size_t i = 0; i < n; i++) {
		uint8_t b = pkt[i];

		if (i == 0)
			b |= 0xf0; /* virtual lane */
		else if (grh && i == 8)
			b |= 0x0f; /* traffic class */
		else if ((grh && ((i > 8 && i < 12) || i == 15)) || i == bth + 4)
			b = 0xff; /* traffic class, flow label, hop limit; congestion bits */
		c = c >> 8 ^ icrc_table[(c ^ b) & 0xff];
	}
	return ~c;
}

uint16_t pkt_vcrc(const uint8_t *pkt, size_t n)
{
	uint32_t c = UINT16_MAX;

	pthread_once(&crc_once, crc_init);
	for (size_t i = 0; i < n; i++)
		c = c >> 8 ^ vcrc_table[(c ^ pkt[i]) & 0xff];
	return (uint16_t)~c;
}
