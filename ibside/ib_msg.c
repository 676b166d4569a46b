/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_msg.c - the codec of messages: sizes, names and the check of what was received (IBTA Annex
 * A4.7; docs/protocol.md).
 */
#include "ibside/ib_msg.h"

#include <stddef.h>

uint32_t ib_msg_entry_size(uint8_t mid)
{
	switch (mid) {
	case IB_MID_REQ:
		return sizeof(struct ib_req);
	case IB_MID_GRANT:
		return sizeof(struct ib_grant);
	case IB_MID_DISCONN:
	case IB_MID_ABORT:
	case IB_MID_DENY:
	case IB_MID_REDIRECT:
	case IB_MID_COMMIT:
	case IB_MID_CANCEL:
	case IB_MID_CANCEL_ACK:
	case IB_MID_REVOKE:
	case IB_MID_BACK_ACK:
		return sizeof(struct ib_ctl);
	case IB_MID_SRC_AVAIL:
	case IB_MID_WR_COMPL:
	case IB_MID_RD_COMPL:
	case IB_MID_SEND_SM:
		return sizeof(struct ib_cursor);
	case IB_MID_REOFFER:
	case IB_MID_ASK:
		return sizeof(struct ib_reoffer);
	default: /* Credit has no entries, Data one of its own length */
		return 0;
	}
}

const char *ib_mid_name(uint8_t mid)
{
	switch (mid) {
#define _(sym, val, name)  \
	case IB_MID_##sym: \
		return name;
		IB_FOREACH_MID(_)
#undef _
	default:
		return "unknown";
	}
}

unsigned int ib_mid_senders(uint8_t mid)
{
	switch (mid) {
	case IB_MID_REQ:
	case IB_MID_COMMIT:
	case IB_MID_CANCEL:
	case IB_MID_REVOKE:
	case IB_MID_BACK_ACK:
	case IB_MID_SRC_AVAIL:
	case IB_MID_DATA:
		return IB_FROM_HOST;
	case IB_MID_ABORT:
	case IB_MID_CREDIT:
		return IB_FROM_HOST | IB_FROM_GW;
	case IB_MID_DISCONN:
	case IB_MID_SEND_SM:
	case IB_MID_WR_COMPL:
	case IB_MID_RD_COMPL:
	case IB_MID_GRANT:
	case IB_MID_DENY:
	case IB_MID_REDIRECT:
	case IB_MID_CANCEL_ACK:
	case IB_MID_REOFFER:
	case IB_MID_ASK:
		return IB_FROM_GW;
	default:
		return 0;
	}
}

const char *ib_reason_name(enum ib_reason r)
{
	static const char *const names[IB_R_COUNT] = {
#define _(sym, name) [IB_R_##sym] = name,
		IB_FOREACH_REASON(_)
#undef _
	};

	return (unsigned int)r < IB_R_COUNT ? names[r] : "unknown";
}

int ib_msg_check(const void *msg, uint32_t bytes)
{
	const struct ib_bsdh *h = msg;
	uint32_t body, size;

	if (bytes < sizeof(*h) || bytes > IB_MSG_MAX || be32toh(h->len) != bytes || h->flags)
		return -1;
	body = bytes - sizeof(*h);
	if (h->mid == IB_MID_CREDIT)
		return body ? -1 : 0;
	if (h->mid == IB_MID_DATA) {
		const struct ib_data *d = (const void *)(h + 1);

		return body > sizeof(*d) && be32toh(d->len) == body - sizeof(*d) ? 1 : -1;
	}
	size = ib_msg_entry_size(h->mid);
	if (!size || !body || body % size)
		return -1;
	return body / size;
}
