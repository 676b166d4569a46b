/* SPDX-License-Identifier: BSD-3-Clause */
/* sk_opt.c - socket options: what Linux has and the core can do, and SOL_TAGD. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "sk.h"

#define CC_INFO 20 /* bytes of union tcp_cc_info */
#define MEMINFO 36 /* bytes of SO_MEMINFO: memory is not accounted */

static int fail(int err)
{
	errno = err;
	return -1;
}

static int answer(void *v, socklen_t *n, const void *from, size_t len)
{
	len = len < *n ? len : *n;
	memcpy(v, from, len);
	*n = (socklen_t)len;
	return 0;
}

int sk_getsockopt(struct sk_sock *s, int level, int name, void *v, socklen_t *n)
{
	uint8_t info[512] = {0};
	int x;

	if (level == SOL_TCP && name == TCP_INFO)
		return answer(v, n, info, sk_info(s, info, sizeof(info)));
	if (level == SOL_TCP && name == TCP_CC_INFO) /* Vegas's and others': nothing */
		return answer(v, n, info, CC_INFO);
	if (level == SOL_SOCKET && name == SO_MEMINFO)
		return answer(v, n, info, MEMINFO);
	if (level == SOL_TCP && name == TCP_MAXSEG)
		x = s->live ? s->c.mss : 536;
	else if (level == SOL_TCP && name == TCP_USER_TIMEOUT)
		x = (int)(s->cfg.user_timeout_us / 1000);
	else if (level == SOL_SOCKET && name == SO_ERROR)
		x = s->err, s->err = 0;
	else if (level == SOL_SOCKET && name == SO_RCVBUF)
		x = (int)s->ring;
	else if (level == SOL_SOCKET && name == SO_SNDBUF)
		x = (int)s->sndbuf;
	else
		return fail(ENOPROTOOPT);
	return answer(v, n, &x, sizeof(x));
}

/* Options of SOL_TAGD. */
static int set_tagd(struct sk_sock *s, int name, uint32_t v)
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
	case TAGD_USER_TIMEOUT:
		s->cfg.user_timeout_us = v;
		return 0;
	}
	if (!s->live)
		return fail(ENOTCONN);
	if (name == TAGD_SUCCESSOR)
		sk_successor(s);
	else if (name == TAGD_QUIESCE)
		tcp_quiesce(&s->c, s->st->now);
	else if (name == TAGD_HANDBACK || name == TAGD_GATEWAY_DIED)
		sk_handback(s, name == TAGD_GATEWAY_DIED);
	else
		return fail(ENOPROTOOPT);
	return 0;
}

static int set_socket(struct sk_sock *s, int name, const void *v, socklen_t n, int x)
{
	const struct linger *l = v;

	switch (name) {
	case SO_REUSEADDR:
	case SO_REUSEPORT:
		return 0;
	case SO_LINGER:
		if (n < sizeof(*l))
			return fail(EINVAL);
		s->linger0 = l->l_onoff && !l->l_linger;
		return 0;
	case SO_RCVBUF:
		s->ring = (uint32_t)x;
		if (s->live)
			tcp_room(&s->c, s->consumed + s->ring, s->st->now);
		return 0;
	case SO_SNDBUF:
		s->sndbuf = (uint32_t)x;
		return 0;
	case SO_RCVLOWAT:
		s->lowat = x > 0 ? (uint32_t)x : 1;
		return 0;
	}
	return fail(ENOPROTOOPT);
}

static int set_tcp(struct sk_sock *s, int name, int x)
{
	switch (name) {
	case TCP_NODELAY:
		return 0;
	case TCP_USER_TIMEOUT:
		s->cfg.user_timeout_us = (uint32_t)x * 1000;
		return 0;
	}
	return fail(ENOPROTOOPT);
}

int sk_setsockopt(struct sk_sock *s, int level, int name, const void *v, socklen_t n)
{
	int r, x = 0;

	if (!v || n < sizeof(x))
		return fail(EINVAL);
	memcpy(&x, v, sizeof(x));
	r = level == SOL_TAGD	  ? set_tagd(s, name, (uint32_t)x)
	    : level == SOL_SOCKET ? set_socket(s, name, v, n, x)
	    : level == SOL_TCP	  ? set_tcp(s, name, x)
				  : fail(ENOPROTOOPT);
	sk_output(s);
	return r;
}
