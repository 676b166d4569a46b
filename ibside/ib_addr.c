/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_addr.c - fabric addresses: address vectors (IBTA 11.2.2.1), and their text in the bootstrap.
 */
#include "ibside/ib_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROUTE_HOPS 64 /* hop limit of packets routed by GID */

void ib_addr_vector(const struct ib_dev *d, const struct ib_addr *a, struct ibv_ah_attr *attr)
{
	static const uint8_t none[8];
	bool other_subnet = memcmp(a->gid, none, 8) && memcmp(a->gid, d->gid.raw, 8);

	memset(attr, 0, sizeof(*attr));
	attr->port_num = d->port;
	attr->dlid = a->lid;
	attr->sl = d->port_attr.sm_sl;
	if (!d->roce && a->lid && !other_subnet)
		return;
	attr->is_global = 1;
	memcpy(attr->grh.dgid.raw, a->gid, 16);
	attr->grh.sgid_index = d->gid_index;
	attr->grh.hop_limit = ROUTE_HOPS;
}

struct ibv_ah *ib_ah(struct ib_dev *d, const struct ib_addr *a)
{
	struct ibv_ah_attr attr;

	ib_addr_vector(d, a, &attr);
	return ibv_create_ah(d->pd, &attr);
}

/* True for an IPv4 header of 20 bytes with a good checksum. */
static bool is_ipv4(const uint8_t *p)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return p[0] == 0x45 && sum + (sum >> 16) == 0xffff;
}

const uint8_t *ib_grh_source(const uint8_t *grh, uint8_t mapped[16])
{
	/* An IPv4 header is in the last 20 bytes; what is ahead of it is undefined (IBTA
	 * A17.4.5.2). */
	if (grh[0] >> 4 == 6 && !is_ipv4(grh + 20))
		return grh + offsetof(struct ibv_grh, sgid);
	memset(mapped, 0, 10);
	mapped[10] = mapped[11] = 0xff;
	memcpy(mapped + 12, grh + 20 + 12, 4);
	return mapped;
}

void ib_addr_str(const struct ib_addr *a, char buf[80])
{
	int n = snprintf(buf, 80, "%04x:", a->lid);

	for (int i = 0; i < 16; i++)
		n += snprintf(buf + n, 80 - n, "%02x", a->gid[i]);
	snprintf(buf + n, 80 - n, ":%06x:%06x:%x:%x", a->qpn & 0xffffff, a->psn & 0xffffff, a->mtu,
		 a->rd_atomic);
}

/* Value of a hexadecimal digit, or -1. */
static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Takes 1 to `digits` hexadecimal digits and the ':' or end after them; false: neither. */
static bool take(const char **text, int digits, uint32_t *value)
{
	const char *p = *text;
	uint32_t v = 0;

	while (digits-- > 0 && hex(*p) >= 0)
		v = v << 4 | hex(*p++);
	if (p == *text || (*p != ':' && *p != '\0'))
		return false;
	*text = *p ? p + 1 : p;
	*value = v;
	return true;
}

int ib_addr_parse(const char *text, struct ib_addr *a)
{
	struct ib_addr out = {0};
	uint32_t lid, mtu = 0, rd = 0;

	if (!take(&text, 4, &lid))
		return EINVAL;
	for (int i = 0; i < 16; i++, text += 2) {
		if (hex(text[0]) < 0 || hex(text[1]) < 0)
			return EINVAL;
		out.gid[i] = hex(text[0]) << 4 | hex(text[1]);
	}
	if (*text++ != ':' || !take(&text, 6, &out.qpn) || !take(&text, 6, &out.psn))
		return EINVAL;
	if (*text && (!take(&text, 1, &mtu) || !take(&text, 2, &rd)))
		return EINVAL;
	if (*text || mtu > IBV_MTU_4096)
		return EINVAL;
	out.lid = lid;
	out.mtu = mtu;
	out.rd_atomic = rd;
	*a = out;
	return 0;
}
