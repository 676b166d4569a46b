/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_check.c - what a gateway checks before it believes a host (docs/protocol.md, "Security").
 *
 * Pure functions: no state, no device. What needs state (who owns the address, whether the slot is
 * free, what was seen on the wire) is the gateway's own to check.
 */
#include "ibside/ib_msg.h"

#include <errno.h>
#include <stdbool.h>

#define WSCALE_MAX 14 /* RFC 7323 section 2.3 */
#define MSS_MIN	   64 /* less is not worth a header */
#define MSS_MAX	   65535
#define SLOTS_MAX  4096

/* True for powers of two from one page to 1 GiB. */
static bool ring_size_ok(uint32_t size)
{
	return size >= 4096 && size <= 1u << 30 && (size & (size - 1)) == 0;
}

/* True when `slots` strides from base stay inside the address space. */
static bool part_ok(uint64_t base, uint64_t stride, uint32_t slots)
{
	return base && base <= UINT64_MAX - stride * slots;
}

int ib_arena_check(const struct ib_arena *a)
{
	if (!a->slots || a->slots > SLOTS_MAX || !ring_size_ok(a->tx_size) ||
	    !ring_size_ok(a->rx_size))
		return EINVAL;
	if (!part_ok(a->host_base, sizeof(struct ib_host_line), a->slots) ||
	    !part_ok(a->gw_base, sizeof(struct ib_gw_line), a->slots) ||
	    !part_ok(a->tx_base, a->tx_size, a->slots) ||
	    !part_ok(a->rx_base, a->rx_size, a->slots))
		return EINVAL;
	/* A cursor and its flag lie in one cache line. */
	return a->host_base % 64 || a->gw_base % 64 ? EINVAL : 0;
}

/* Options and ports: what can be judged alone. */
static bool options_ok(const struct ib_req *r)
{
	uint32_t mss = be32toh(r->mss);

	if (r->token || r->rsvd || be32toh(r->ip) & ~IB_HL_IP || r->flags & ~IB_REQ_ALL)
		return false;
	if (r->snd_wscale > WSCALE_MAX || r->rcv_wscale > WSCALE_MAX)
		return false;
	if (!(r->flags & IB_REQ_WSCALE) && (r->snd_wscale || r->rcv_wscale))
		return false;
	if ((r->flags & IB_REQ_TS_RECENT) && !(r->flags & IB_REQ_TS))
		return false;
	return r->rport && r->lport && mss >= MSS_MIN && mss <= MSS_MAX &&
	       be32toh(r->snd_wnd) <= 65535u << WSCALE_MAX;
}

enum ib_reason ib_req_check(const struct ib_req *r, const struct ib_arena *a)
{
	uint64_t tx_prod = be64toh(r->tx_prod), rx_prod = be64toh(r->rx_prod);
	uint64_t rx_cons = be64toh(r->rx_cons);
	uint32_t flight = be32toh(r->snd_nxt) - be32toh(r->snd_una);
	int32_t window = (int32_t)(be32toh(r->rcv_edge) - be32toh(r->rcv_nxt));

	if (be16toh(r->arena) != a->id || be16toh(r->slot) >= a->slots)
		return IB_R_BAD_SLOT;
	if (!options_ok(r))
		return IB_R_BAD_STATE;
	if (tx_prod > a->tx_size || flight > tx_prod)
		return IB_R_BAD_STATE;
	if (rx_cons > rx_prod || rx_prod - rx_cons > a->rx_size)
		return IB_R_BAD_STATE;
	if (r->flags & IB_REQ_FIN_SEEN)
		return IB_R_NONE; /* no window matters any more */
	if (window < 0)
		return IB_R_BAD_STATE;
	return (uint64_t)window > a->rx_size - (rx_prod - rx_cons) ? IB_R_WINDOW : IB_R_NONE;
}
