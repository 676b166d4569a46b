/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_ib_msg.c - what a host may send: messages, requests against an arena, fabric addresses, and
 * credits. Nothing may be read outside the input, and what passes a check must keep its promise.
 */
#include "ibside/ib_msg.h"
#include "ibside/ib_set_impl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(x)               \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* A request that passes fits its arena. */
static void request(const struct ib_req *r, const struct ib_arena *a)
{
	uint64_t taken = be64toh(r->rx_prod) - be64toh(r->rx_cons);

	if (ib_req_check(r, a) != IB_R_NONE)
		return;
	PROMISE(be16toh(r->slot) < a->slots);
	PROMISE(be64toh(r->tx_prod) <= a->tx_size);
	PROMISE(be32toh(r->snd_nxt) - be32toh(r->snd_una) <= a->tx_size);
	PROMISE(taken <= a->rx_size);
	if (!(r->flags & IB_REQ_FIN_SEEN))
		PROMISE(be32toh(r->rcv_edge) - be32toh(r->rcv_nxt) + taken <= a->rx_size);
}

/* A message: every entry that the check grants is read. */
static void message(const uint8_t *data, size_t size)
{
	static const struct ib_arena arena = {
		.slots = 256,
		.tx_size = 1 << 20,
		.rx_size = 1 << 19,
	};
	const struct ib_bsdh *h;
	struct ib_credit c;
	uint8_t *copy;
	int n;

	copy = malloc(size ? size : 1); /* exactly as long as the message: aligned, and watched */
	if (!copy)
		return;
	memcpy(copy, data, size);
	h = (const void *)copy;
	n = ib_msg_check(copy, size);
	ib_credit_init(&c);
	ib_credit_take(&c, size >= sizeof(*h) ? h : NULL);
	PROMISE(ib_credit_room(&c) <= UINT16_MAX);
	PROMISE(n >= -1 && (n <= 0 || ib_mid_senders(h->mid)));
	for (int i = 0; i < n; i++) {
		uint32_t entry = ib_msg_entry_size(h->mid);
		struct ib_req r;

		if (!entry)
			break;
		PROMISE(sizeof(*h) + (i + 1) * entry <= size);
		if (h->mid != IB_MID_REQ)
			continue;
		memcpy(&r, copy + sizeof(*h) + i * entry, sizeof(r));
		request(&r, &arena);
	}
	free(copy);
}

/* An arena that passes does not wrap the address space. */
static void arena(const uint8_t *data, size_t size)
{
	struct ib_arena a;

	if (size < sizeof(a))
		return;
	memcpy(&a, data, sizeof(a));
	if (ib_arena_check(&a))
		return;
	PROMISE(a.tx_base + (uint64_t)a.tx_size * a.slots > a.tx_base);
	PROMISE(a.gw_base + sizeof(struct ib_gw_line) * a.slots > a.gw_base);
}

/* An address that is understood is written and understood again. */
static void address(const uint8_t *data, size_t size)
{
	char text[100] = {0}, again[80];
	struct ib_addr x = {0}, y = {0};

	memcpy(text, data, size < sizeof(text) - 1 ? size : sizeof(text) - 1);
	if (ib_addr_parse(text, &x))
		return;
	ib_addr_str(&x, again);
	PROMISE(ib_addr_parse(again, &y) == 0);
	PROMISE(x.lid == y.lid && x.qpn == y.qpn && x.psn == y.psn && x.mtu == y.mtu &&
		x.rd_atomic == y.rd_atomic && memcmp(x.gid, y.gid, 16) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 4) { /* the first byte says what it is */
	case 0:
		arena(data + 1, size - 1);
		break;
	case 1:
		address(data + 1, size - 1);
		break;
	default:
		message(data + 1, size - 1);
		break;
	}
	return 0;
}
