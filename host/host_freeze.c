/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_freeze.c - reads the state of a kernel TCP socket in TCP_REPAIR mode (tcp(7)).
 *
 * While the socket is in repair mode its owner cannot read or write it, and no frame of the client
 * reaches it (the flow is frozen before). The kernel may still emit what it had queued, from
 * timers and as the device frees buffers, so snd_nxt is read once and everything emitted later
 * is known by lying beyond it. The send queue is selected only after that: while it is selected,
 * the kernel marks as sent what it would transmit.
 *
 * Leaving repair mode clears SO_REUSEADDR, which would keep a restarted server from its port;
 * it is restored.
 */
#include "host/host_freeze.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <linux/sockios.h>

#define KERNEL_ESTABLISHED 1  /* tcp_info.tcpi_state */
#define OPT_USEC_TS	   64 /* tcp_info.tcpi_options: timestamps in microseconds */
#define TS_OPTION	   12 /* bytes of the timestamps option with its padding */

static int tcp_set(int fd, int opt, int v)
{
	return setsockopt(fd, IPPROTO_TCP, opt, &v, sizeof(v)) ? errno : 0;
}

static int sock_get(int fd, int opt, int *v)
{
	socklen_t len = sizeof(*v);

	*v = 0;
	return getsockopt(fd, SOL_SOCKET, opt, v, &len) ? errno : 0;
}

/* One end of the connection in our form. */
static int freeze_end(const struct sockaddr_storage *ss, struct net_addr *a, uint16_t *port)
{
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)ss;

		net_addr_v4(a, &in->sin_addr);
		*port = in->sin_port;
		return 0;
	}
	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)ss;

		memcpy(a->b, &in6->sin6_addr, 16);
		*port = in6->sin6_port;
		return 0;
	}
	return EAFNOSUPPORT;
}

enum ib_reason host_freeze_tuple(int fd, struct net_flow *key)
{
	struct sockaddr_storage us, peer;
	socklen_t len = sizeof(us), plen = sizeof(peer);
	int domain, type, proto;

	memset(key, 0, sizeof(*key));
	if (sock_get(fd, SO_DOMAIN, &domain) || sock_get(fd, SO_TYPE, &type) ||
	    sock_get(fd, SO_PROTOCOL, &proto))
		return IB_R_BAD_STATE;
	if ((domain != AF_INET && domain != AF_INET6) || type != SOCK_STREAM ||
	    proto != IPPROTO_TCP)
		return IB_R_PROTO;
	if (getsockname(fd, (struct sockaddr *)&us, &len) ||
	    getpeername(fd, (struct sockaddr *)&peer, &plen))
		return IB_R_FIN;
	if (freeze_end(&us, &key->local, &key->lport) ||
	    freeze_end(&peer, &key->remote, &key->rport))
		return IB_R_PROTO;
	return IB_R_NONE;
}

int host_freeze_on(int fd, struct host_freeze *f)
{
	int reuse;

	memset(f, 0, sizeof(*f));
	sock_get(fd, SO_REUSEADDR, &reuse);
	f->reuse = reuse != 0;
	return tcp_set(fd, TCP_REPAIR, TCP_REPAIR_ON);
}

int host_freeze_off(int fd, const struct host_freeze *f)
{
	int rc, on = 1;

	tcp_set(fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
	rc = tcp_set(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	if (f->reuse)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return rc;
}

int host_freeze_outq(int fd)
{
	int n;

	return ioctl(fd, SIOCOUTQ, &n) ? -1 : n;
}

int host_freeze_unsent(int fd, int *n)
{
	return ioctl(fd, SIOCOUTQNSD, n) ? errno : 0;
}

int host_freeze_tsclock(int fd, uint32_t *ts)
{
	socklen_t len = sizeof(*ts);

	return getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, ts, &len) ? errno : 0;
}

/* One 8-bit field of the IP header; 0 when the kernel does not say. */
static uint32_t ip_field(int fd, int level, int opt)
{
	socklen_t len = sizeof(int);
	int v = 0;

	return getsockopt(fd, level, opt, &v, &len) || v < 0 || v > 255 ? 0 : (uint32_t)v;
}

/* A socket of both families that talks IPv4 goes by the options of IPv4. */
static bool sends_v4(int fd)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in6 *in6 = (void *)&ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len) || ss.ss_family == AF_INET)
		return true;
	return IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
}

uint32_t host_freeze_ip(int fd)
{
	bool v4 = sends_v4(fd);
	uint32_t tos =
		v4 ? ip_field(fd, IPPROTO_IP, IP_TOS) : ip_field(fd, IPPROTO_IPV6, IPV6_TCLASS);
	uint32_t ttl = v4 ? ip_field(fd, IPPROTO_IP, IP_TTL)
			  : ip_field(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS);

	return (ttl << IB_HL_TTL_SHIFT | tos << IB_HL_TOS_SHIFT) & IB_HL_IP;
}

/* Upper protocols and odd options that cannot be carried over. */
static enum ib_reason freeze_protocols(int fd)
{
	char ulp[16] = "";
	socklen_t len = sizeof(ulp);
	int peek = -1;

	if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, &len) == 0 && len > 0 && ulp[0])
		return IB_R_PROTO;
	if (sock_get(fd, SO_PEEK_OFF, &peek) == 0 && peek >= 0)
		return IB_R_PROTO;
	return IB_R_NONE;
}

static enum ib_reason freeze_info(int fd, struct host_freeze *f)
{
	struct tcp_info ti = {0};
	socklen_t len = sizeof(ti);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len))
		return IB_R_REPAIR;
	if (ti.tcpi_state != KERNEL_ESTABLISHED)
		return IB_R_FIN;
	if (ti.tcpi_options & OPT_USEC_TS)
		return IB_R_PROTO;
	f->ts = ti.tcpi_options & TCPI_OPT_TIMESTAMPS;
	f->sack = ti.tcpi_options & TCPI_OPT_SACK;
	f->ecn = ti.tcpi_options & TCPI_OPT_ECN;
	f->wscale = ti.tcpi_options & TCPI_OPT_WSCALE;
	f->snd_wscale = f->wscale ? ti.tcpi_snd_wscale : 0;
	f->rcv_wscale = f->wscale ? ti.tcpi_rcv_wscale : 0;
	f->mss = ti.tcpi_snd_mss + (f->ts ? TS_OPTION : 0);
	f->ip = host_freeze_ip(fd);
	f->srtt_us = ti.tcpi_rtt;
	f->rttvar_us = ti.tcpi_rttvar;
	return IB_R_NONE;
}

/* The structure grows with kernels and must be asked for with its exact size. */
static int freeze_window(int fd, struct host_freeze *f)
{
	uint32_t w[16] = {0};
	socklen_t len;

	for (len = sizeof(struct tcp_repair_window); len <= sizeof(w); len += 4) {
		socklen_t l = len;

		if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, w, &l) == 0) {
			const struct tcp_repair_window *r = (const void *)w;

			f->snd_wl1 = r->snd_wl1;
			f->snd_wnd = r->snd_wnd;
			f->max_wnd = r->max_window;
			f->rcv_edge = r->rcv_wup + r->rcv_wnd;
			return 0;
		}
		if (errno != EINVAL)
			break;
	}
	return errno;
}

static int freeze_seq(int fd, int queue, uint32_t *seq)
{
	socklen_t len = sizeof(*seq);
	int rc = tcp_set(fd, TCP_REPAIR_QUEUE, queue);

	if (!rc && getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, seq, &len))
		rc = errno;
	return rc;
}

/* The send queue is selected: its last n_tx bytes go to the ring. */
static int freeze_peek_tx(int fd, const struct host_freeze *f, const struct host_freeze_buf *b)
{
	const size_t cap = b->tx_size + HOST_FREEZE_SLACK;
	ssize_t n;

	if (!f->n_tx)
		return 0;
	n = recv(fd, b->scratch, cap, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno;
	if ((size_t)n < f->n_tx || (size_t)n > cap)
		return EMSGSIZE;
	memcpy(b->tx, b->scratch + n - f->n_tx, f->n_tx);
	return 0;
}

static int freeze_peek_rx(int fd, const struct host_freeze *f, const struct host_freeze_buf *b)
{
	ssize_t n;

	if (!f->n_rx)
		return 0;
	n = recv(fd, b->rx, f->n_rx, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno;
	return (size_t)n == f->n_rx ? 0 : EMSGSIZE;
}

/* Positions and queues. */
static int freeze_queues(int fd, struct host_freeze *f, const struct host_freeze_buf *b)
{
	int unsent, unacked, unread, rc;

	if (ioctl(fd, SIOCOUTQNSD, &unsent) || ioctl(fd, SIOCOUTQ, &unacked) ||
	    ioctl(fd, SIOCINQ, &unread))
		return errno;
	rc = freeze_seq(fd, TCP_SEND_QUEUE, &f->write_seq);
	if (rc)
		return rc;
	f->n_tx = (uint32_t)unacked;
	f->n_rx = (uint32_t)unread;
	f->snd_una = f->write_seq - (uint32_t)unacked;
	f->snd_nxt = f->write_seq - (uint32_t)unsent;
	f->retry = f->n_tx > b->tx_size || f->n_rx > b->rx_size;
	if (f->retry)
		return ENOBUFS;
	rc = freeze_peek_tx(fd, f, b);
	if (!rc)
		rc = freeze_seq(fd, TCP_RECV_QUEUE, &f->rcv_nxt);
	if (!rc)
		rc = freeze_peek_rx(fd, f, b);
	if (!rc)
		rc = tcp_set(fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
	return rc;
}

enum ib_reason host_freeze_read(int fd, struct host_freeze *f, const struct host_freeze_buf *b)
{
	enum ib_reason why = freeze_protocols(fd);
	int rc;

	if (why == IB_R_NONE)
		why = freeze_info(fd, f);
	if (why != IB_R_NONE)
		return why;
	rc = freeze_queues(fd, f, b);
	if (rc == ENOBUFS)
		return IB_R_WINDOW;
	if (rc || freeze_window(fd, f) || host_freeze_tsclock(fd, &f->ts_val))
		return IB_R_REPAIR;
	if (f->rcv_edge - f->rcv_nxt + f->n_rx > b->rx_size) {
		f->retry = true;
		return IB_R_WINDOW;
	}
	return IB_R_NONE;
}
