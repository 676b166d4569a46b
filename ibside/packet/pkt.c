/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pkt.c - building InfiniBand packets (IBTA 7.7 LRH, 8.3 GRH, 9.2 BTH): headers in order, payload,
 * padding, ICRC and VCRC.
 */
#include <string.h>

#include "ibside/packet/pkt.h"

#define BTH_M	   0x40u /* path migration state: migrated */
#define LNH_LOCAL  2u	 /* next: BTH */
#define LNH_GLOBAL 3u	 /* next: GRH */
#define GRH_BYTES  40u

void pkt_put(struct pkt *p, uint64_t val, uint32_t bytes)
{
	while (bytes--)
		p->b[p->n++] = (uint8_t)(val >> 8 * bytes);
}

void pkt_data(struct pkt *p, const void *data, uint32_t n)
{
	memcpy(p->b + p->n, data, n);
	p->n += n;
}

void pkt_begin(struct pkt *p, const struct pkt_flow *f, uint32_t opcode, uint32_t psn)
{
	p->n = 0;
	p->global = f->global;
	pkt_put(p, 0, 1); /* virtual lane 0 */
	pkt_put(p, (uint64_t)f->sl << 4 | (f->global ? LNH_GLOBAL : LNH_LOCAL), 1);
	pkt_put(p, f->dlid, 2);
	pkt_put(p, 0, 2); /* length: pkt_end() */
	pkt_put(p, f->slid, 2);
	if (f->global)
		pkt_data(p, &f->grh, sizeof(f->grh));
	p->bth = p->n;
	pkt_put(p, opcode, 1);
	pkt_put(p, BTH_M, 1);
	pkt_put(p, 0xffff, 2); /* P_Key */
	pkt_put(p, f->dqpn, 4);
	pkt_put(p, psn & 0xffffff, 4);
}

void pkt_end(struct pkt *p)
{
	uint32_t pad = -p->n & 3, words, len, icrc, vcrc;

	pkt_put(p, 0, pad);
	p->b[p->bth + 1] |= (uint8_t)(pad << 4);
	words = (p->n + 4) / 4; /* LRH to ICRC */
	p->b[4] = (uint8_t)(words >> 8);
	p->b[5] = (uint8_t)words;
	if (p->global) {
		len = p->n + 4 - 8 - GRH_BYTES;
		p->b[8 + 4] = (uint8_t)(len >> 8);
		p->b[8 + 5] = (uint8_t)len;
	}
	icrc = pkt_icrc(p->b, p->n, p->global);
	for (int i = 0; i < 4; i++)
		p->b[p->n++] = (uint8_t)(icrc >> 8 * i);
	vcrc = pkt_vcrc(p->b, p->n);
	p->b[p->n++] = (uint8_t)vcrc;
	p->b[p->n++] = (uint8_t)(vcrc >> 8);
}

void pkt_reverse(struct pkt_flow *f, uint32_t dqpn)
{
	union ibv_gid gid = f->grh.sgid;
	uint16_t lid = f->slid;

	f->slid = f->dlid;
	f->dlid = lid;
	f->grh.sgid = f->grh.dgid;
	f->grh.dgid = gid;
	f->dqpn = dqpn;
}
