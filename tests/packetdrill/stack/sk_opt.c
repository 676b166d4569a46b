/* SPDX-License-Identifier: BSD-3-Clause */
/* sk_opt.c - socket options: what Linux has and the core can do. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "sk.h"

#define CC_INFO 20 /* bytes of union tcp_cc_info */
#define MEMINFO 36 /* bytes of SO_MEMINFO: memory is not accounted */

/* TCP_CONGESTION: names by which Linux knows them, in its 16 bytes. */
static const char cc_name[TCP_CC_COUNT][16] = {
	[TCP_CC_CUBIC] = "cubic",
	[TCP_CC_NEWRENO] = "reno",
	[TCP_CC_BBR] = "bbr",
};

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

/* Options whose value is a number; false: there is no such option. */
static bool get_number(struct sk_sock *s, int level, int name, int *x)
{
	const struct {
		int level, name, value;
	} all[] = {
		{SOL_TCP, TCP_MAXSEG, s->live ? s->c.mss : 536},
		{SOL_TCP, TCP_USER_TIMEOUT, (int)(s->cfg.user_timeout_us / 1000)},
		{SOL_TCP, TCP_NODELAY, s->set.nodelay},
		{SOL_TCP, TCP_CORK, s->set.cork},
		{SOL_TCP, TCP_KEEPIDLE, (int)(s->cfg.keep_idle_ms / 1000)},
		{SOL_TCP, TCP_KEEPINTVL, (int)(s->cfg.keep_intvl_ms / 1000)},
		{SOL_TCP, TCP_KEEPCNT, s->cfg.keep_count},
		{SOL_TAGD, TAGD_RESTS, (int)s->st->rests},
		{SOL_SOCKET, SO_KEEPALIVE, s->set.keepalive},
		{SOL_SOCKET, SO_ERROR, s->err},
		{SOL_SOCKET, SO_RCVBUF, (int)s->ring},
		{SOL_SOCKET, SO_SNDBUF, (int)s->sndbuf},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].level != level || all[i].name != name)
			continue;
		*x = all[i].value;
		if (level == SOL_SOCKET && name == SO_ERROR)
			s->err = 0;
		return true;
	}
	return false;
}

int sk_getsockopt(struct sk_sock *s, int level, int name, void *v, socklen_t *n)
{
	uint8_t info[512] = {0};
	int x;

	if (level == SOL_TCP && name == TCP_INFO)
		return answer(v, n, info, sk_info(s, info, sizeof(info)));
	if (level == SOL_TCP && name == TCP_CC_INFO) /* Vegas's and others': nothing */
		return answer(v, n, info, CC_INFO);
	if (level == SOL_TCP && name == TCP_CONGESTION)
		return answer(v, n, cc_name[s->cfg.cc], sizeof(cc_name[0]));
	if (level == SOL_SOCKET && name == SO_MEMINFO)
		return answer(v, n, info, MEMINFO);
	if (!get_number(s, level, name, &x))
		return fail(ENOPROTOOPT);
	return answer(v, n, &x, sizeof(x));
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
	case SO_KEEPALIVE:
		s->set.keepalive = x;
		sk_options(s);
		return 0;
	case SO_OOBINLINE: /* urgent bytes are always bytes of the stream */
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
		s->set.nodelay = x;
		break;
	case TCP_CORK:
		s->set.cork = x;
		break;
	case TCP_KEEPIDLE:
		s->cfg.keep_idle_ms = (uint32_t)x * 1000;
		break;
	case TCP_KEEPINTVL:
		s->cfg.keep_intvl_ms = (uint32_t)x * 1000;
		break;
	case TCP_KEEPCNT:
		s->cfg.keep_count = (uint8_t)x;
		break;
	case TCP_USER_TIMEOUT: /* 0: the default */
		s->cfg.user_timeout_us = x ? (uint32_t)x * 1000 : s->st->cfg.user_timeout_us;
		break;
	case TCP_QUICKACK:
		if (s->open)
			tcp_quickack(&s->c, x);
		break;
	default:
		return fail(ENOPROTOOPT);
	}
	sk_options(s);
	return 0;
}

void sk_options(struct sk_sock *s)
{
	if (!s->open)
		return;
	tcp_set_cfg(&s->c, &s->cfg);
	tcp_set_nodelay(&s->c, s->set.nodelay);
	tcp_set_cork(&s->c, s->set.cork);
	tcp_set_keepalive(&s->c, s->set.keepalive);
	s->options_due = false;
}

/* n bytes at name, with or without a 0 at their end. */
static int set_congestion(struct sk_sock *s, const char *name, socklen_t n)
{
	for (unsigned int i = 0; i < TCP_CC_COUNT; i++) {
		if (strnlen(name, n) != strlen(cc_name[i]) ||
		    memcmp(name, cc_name[i], strlen(cc_name[i])) != 0)
			continue;
		s->cfg.cc = (uint8_t)i;
		sk_options(s);
		return 0;
	}
	return fail(ENOENT);
}

int sk_setsockopt(struct sk_sock *s, int level, int name, const void *v, socklen_t n)
{
	int r, x = 0;

	if (v && level == SOL_TCP && name == TCP_CONGESTION)
		return set_congestion(s, v, n);
	if (!v || n < sizeof(x))
		return fail(EINVAL);
	memcpy(&x, v, sizeof(x));
	r = level == SOL_TAGD	  ? sk_set_tagd(s, name, (uint32_t)x)
	    : level == SOL_SOCKET ? set_socket(s, name, v, n, x)
	    : level == SOL_TCP	  ? set_tcp(s, name, x)
				  : fail(ENOPROTOOPT);
	sk_output(s);
	return r;
}
