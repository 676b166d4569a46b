/* SPDX-License-Identifier: BSD-3-Clause */
/* sk_tagd.c - options of level SOL_TAGD (sk_tagd.h). */
#include <errno.h>

#include "sk.h"

static int no(int err)
{
	errno = err;
	return -1;
}

/* Options that do something to a connection, once. */
static int act(struct sk_sock *s, int name)
{
	if (!s->open)
		return no(ENOTCONN);
	if (name == TAGD_SUCCESSOR)
		sk_successor(s);
	else if (name == TAGD_QUIESCE)
		tcp_quiesce(&s->c, s->st->now);
	else if (name == TAGD_HANDBACK || name == TAGD_GATEWAY_DIED)
		sk_handback(s, name == TAGD_GATEWAY_DIED);
	else
		return no(ENOPROTOOPT);
	return 0;
}

int sk_set_tagd(struct sk_sock *s, int name, uint32_t v)
{
	struct sk_setup *set = &s->set;

	switch (name) {
	case TAGD_IN_FLIGHT:
		set->takeover = true;
		set->in_flight = v;
		return 0;
	case TAGD_EXPECT_LATE:
		set->takeover = true;
		set->expect_late = v;
		return 0;
	case TAGD_RESUME_LOSS:
		set->resume_loss = v;
		return 0;
	case TAGD_COURTESY_ACK:
		set->takeover = true;
		set->courtesy_ack = v;
		return 0;
	case TAGD_READ_DELAY:
		set->read_delay = v;
		return 0;
	case TAGD_PLACE_DELAY:
		set->place_delay = v;
		return 0;
	case TAGD_TAKEOVER:
		set->takeover = v;
		return 0;
	case TAGD_READ_FAIL:
		set->read_fail = v;
		return 0;
	case TAGD_PACING:
		s->cfg.pacing = v;
		sk_options(s);
		return 0;
	case TAGD_USER_TIMEOUT:
		s->cfg.user_timeout_us = v;
		sk_options(s);
		return 0;
	}
	return act(s, name);
}
