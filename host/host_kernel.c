/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_kernel.c - forged segments of the client, and what the kernel says while a connection is
 * accelerated (DESIGN 4.2 end, 4.4).
 *
 * After COMMIT the kernel's socket is made to stand still: its unread bytes are read, everything
 * it has to send is acknowledged (the gateway sends those bytes), and at last its window is shut.
 * From then on it is at (k_snd, k_rcv), and only keepalives come, which are answered here.
 * The shut window matters at hand-back: with it, the kernel takes the client's present window,
 * whatever it is, as an update (RFC 9293 section 3.10.7.4).
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "host/host_daemon.h"
#include "tcpstack/net_wire.h"

#define MAX_FRAME 9300 /* bytes of the longest forged frame */

void host_kernel_inject(struct host *h, const struct net_flow *key, const uint8_t src_mac[6],
			const struct host_forge *s, bool ts, uint8_t wscale)
{
	struct net_flow f = {.remote = key->local,
			     .local = key->remote,
			     .rport = key->lport,
			     .lport = key->rport};
	const uint32_t len = s->len + s->len2;
	struct tcp_emit e = {.seq = s->seq, .ack = s->ack, .flags = s->flags};
	struct net_l2 l2;
	uint8_t frame[MAX_FRAME];
	uint16_t l4;
	size_t n;
	uint32_t wnd = s->wnd >> wscale, sum;

	memset(&l2, 0, sizeof(l2));
	memcpy(l2.dst, h->tap.mac, 6);
	memcpy(l2.src, src_mac, 6);
	e.wnd = (uint16_t)(wnd > UINT16_MAX ? UINT16_MAX : wnd ? wnd : s->wnd != 0);
	if (ts)
		e.optlen = net_put_ts(e.opt, s->tsval, s->tsecr);
	n = net_build_tcp(frame, sizeof(frame) - len, &l2, &f, &e, s->seq, s->flags, len, 0, &l4);
	if (!n)
		return;
	if (s->len)
		memcpy(frame + n, s->data, s->len);
	if (s->len2)
		memcpy(frame + n + s->len, s->data2, s->len2);
	sum = net_csum_add(0, frame + n, len, false);
	net_tcp_csum_finish(frame + l4, n - l4, sum);
	host_count(&h->count, HOST_C_FORGED);
	host_steer_deliver(h, frame, (uint32_t)n + len);
}

/* What every forged segment of a connection has in common. */
static struct host_forge forge(struct host_conn *c, uint8_t flags)
{
	struct host_forge s = {.seq = c->k_rcv, .ack = c->k_snd, .flags = flags};

	s.tsval = c->flow->ts_recent;
	host_freeze_tsclock(c->kfd, &s.tsecr);
	return s;
}

static void inject(struct host_conn *c, const struct host_forge *s)
{
	host_kernel_inject(c->h, &c->key, c->gw->mac, s, c->fz.ts, c->fz.snd_wscale);
}

void host_kernel_ack(struct host_conn *c, uint32_t ack, uint32_t wnd)
{
	struct host_forge s = forge(c, TCP_ACK);

	s.ack = ack;
	s.wnd = wnd;
	inject(c, &s);
}

/* The kernel has nothing left to send: shuts its window, once. */
static void still(struct host_conn *c)
{
	if (c->k_still || host_freeze_outq(c->kfd) != 0)
		return;
	c->k_still = true;
	host_kernel_ack(c, c->k_snd, 0);
}

void host_kernel_absorb(struct host_conn *c, const struct tcp_seg *s)
{
	const bool probe = host_seq_lt(s->seq, c->k_snd) && s->len <= 1 && c->k_still;
	uint32_t end = s->seq + s->len;

	if ((s->flags & (TCP_RST | TCP_SYN)) || (!s->len && !probe))
		return;
	if (probe || !host_seq_le(end, c->k_snd))
		end = c->k_snd;
	host_kernel_ack(c, end, c->k_still ? 0 : UINT32_MAX);
	still(c);
}

void host_kernel_fin(struct host_conn *c)
{
	struct host_forge s = forge(c, TCP_FIN | TCP_ACK);

	if (!c->k_still) {
		s.ack = c->k_snd - (uint32_t)host_freeze_outq(c->kfd);
		s.wnd = UINT32_MAX;
	}
	inject(c, &s);
	c->k_rcv++;
}

void host_kernel_rst(struct host_conn *c)
{
	struct host_forge s = forge(c, TCP_RST | TCP_ACK);

	inject(c, &s);
}

/* Takes the bytes out of the kernel that lie in the receive ring already. */
static void read_away(struct host_conn *c)
{
	size_t left = c->fz.n_rx;

	while (left) {
		size_t want = left < c->h->conns.scratch_len ? left : c->h->conns.scratch_len;
		ssize_t n = recv(c->kfd, c->h->conns.scratch, want, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			host_log(HOST_LOG_ERROR, "connection %08x: %zu bytes left in the kernel",
				 c->id, left);
			break;
		}
		left -= (size_t)n;
	}
	c->fz.n_rx = (uint32_t)left;
}

void host_kernel_settle(struct host_conn *c)
{
	int unsent = 0, off = 0;

	read_away(c);
	if (host_freeze_outq(c->kfd) > 0) {
		setsockopt(c->kfd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
		if (host_freeze_unsent(c->kfd, &unsent) == 0)
			host_kernel_ack(c, c->k_snd - (uint32_t)unsent, UINT32_MAX);
	}
	still(c);
}
