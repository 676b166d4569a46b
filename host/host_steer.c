/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_steer.c - which way a frame goes: the decision per state of its flow (host_flow.h), in both
 * directions (DESIGN 4.1, 4.2, 4.4).
 *
 *                 from the kernel (TAP)                  from the gateway (UD)
 *   native        to the worker that sent last           to the kernel
 *   frozen        emitted before the freeze: forward;    kept
 *                 after it: held
 *   committed     absorbed, answered locally             bounced
 *   mapped        translated, to the worker              translated, to the kernel
 *
 * What is not TCP, or not of a known flow, passes: the kernel and the gateway know better.
 */
#include "host/host_native.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/host_daemon.h"
#include "tcpstack/net_wire.h"

/* The flow of a TCP packet as the server sees it. */
static void steer_key(const struct net_pkt *p, bool out, struct net_flow *key)
{
	key->remote = out ? p->dst : p->src;
	key->local = out ? p->src : p->dst;
	key->rport = out ? p->dport : p->sport;
	key->lport = out ? p->sport : p->dport;
}

void host_steer_deliver(struct host *h, const uint8_t *frame, uint32_t len)
{
	ssize_t n = write(h->tap.fd, frame, len);

	if (n != (ssize_t)len)
		host_drop(&h->count, HOST_C_DROP_TAP, "TAP took %zd of %u bytes: %s", n, len,
			  n < 0 ? strerror(errno) : "short write");
}

static struct host_worker *steer_worker(struct host *h, const struct host_flow *f)
{
	return f && f->worker ? f->worker : host_gw_default(h);
}

/* A kernel's segment of a flow that is back: translated. Takes the buffer. */
static void steer_mapped_out(struct host *h, struct host_flow *f, struct host_nbuf *b, uint32_t len,
			     const struct net_pkt *p)
{
	uint8_t *frame = host_nbuf_frame(b);
	enum seqmap_verdict v = seqmap_out(&f->map, frame, &len, p);
	struct net_pkt np;
	struct tcp_seg ns;

	if (v == SEQMAP_PASS && net_parse(frame, len, 0, &np) == NET_PERR_OK && np.l4_off &&
	    net_parse_tcp(frame, &np, &ns) == NET_PERR_OK) {
		host_count(&h->count, HOST_C_TRANSLATED);
		host_flow_end_out(f, &ns, host_now(h));
		host_native_send(h, b, len, steer_worker(h, f), 0);
	} else {
		host_count(&h->count, v == SEQMAP_ABSORB ? HOST_C_MAP_ABSORBED : HOST_C_DROP_MAP);
		host_native_put(&h->native, b);
	}
	host_back_acked(h, f);
}

void host_steer_kernel(struct host *h, struct host_nbuf *b, uint32_t len)
{
	uint8_t *frame = host_nbuf_frame(b);
	struct host_flow *f = NULL;
	struct net_flow key;
	struct net_pkt p;
	struct tcp_seg s;

	if (net_parse(frame, len, 0, &p) == NET_PERR_OK && p.proto == NET_PROTO_TCP && p.l4_off &&
	    net_parse_tcp(frame, &p, &s) == NET_PERR_OK) {
		steer_key(&p, true, &key);
		f = host_flow_find(&h->flows, &key);
		if (f && (f->state == HOST_F_NATIVE || f->state == HOST_F_FROZEN))
			host_flow_kernel(f, &s);
	}
	switch (f ? f->state : HOST_F_NATIVE) {
	case HOST_F_NATIVE:
		host_native_send(h, b, len, steer_worker(h, f), 0);
		return;
	case HOST_F_FROZEN:
		/* In repair mode the kernel may advance SND.NXT without sending: its ACKs tell. */
		if (f->conn->drained || host_seq_lt(f->conn->fz.snd_nxt, s.seq + s.len)) {
			host_takeover_keep(f->conn, false, frame, len);
			host_native_put(&h->native, b);
		} else {
			host_native_send(h, b, len, steer_worker(h, f), 0);
		}
		return;
	case HOST_F_COMMITTED:
		host_count(&h->count, HOST_C_ABSORBED);
		host_kernel_absorb(f->conn, &s);
		host_native_put(&h->native, b);
		return;
	case HOST_F_MAPPED:
		host_flow_touch(&h->flows, f, host_now(h));
		steer_mapped_out(h, f, b, len, &p);
		return;
	}
}

/* A client's segment that the kernel gets as it is. */
static void steer_note_client(struct host_flow *f, const uint8_t *frame, const struct net_pkt *p,
			      const struct tcp_seg *s)
{
	host_flow_client(f, s, frame + p->l4_off + NET_TCP_HLEN,
			 p->payload_off - p->l4_off - NET_TCP_HLEN);
}

/* A client's segment of a flow that is back. */
static void steer_mapped_in(struct host *h, struct host_flow *f, uint8_t *frame, uint32_t len,
			    const struct net_pkt *p, const struct tcp_seg *s)
{
	if ((s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && host_back_over(f)) {
		host_flow_set_state(f, HOST_F_NATIVE);
		memset(&f->end, 0, sizeof(f->end));
		steer_note_client(f, frame, p, s);
		host_steer_deliver(h, frame, len);
		return;
	}
	host_flow_end_in(f, s, host_now(h));
	if (seqmap_in(&f->map, frame, &len, p) == SEQMAP_PASS) {
		host_count(&h->count, HOST_C_TRANSLATED);
		host_steer_deliver(h, frame, len);
	} else {
		host_count(&h->count, HOST_C_DROP_MAP);
	}
}

static void steer_tcp_in(struct host *h, uint8_t *frame, uint32_t len, const struct net_pkt *p,
			 struct host_worker *from)
{
	struct host_flow *f;
	struct net_flow key;
	struct tcp_seg s;
	bool evicted = false;

	if (net_parse_tcp(frame, p, &s) != NET_PERR_OK) {
		host_drop(&h->count, HOST_C_DROP_PARSE, "malformed TCP options from the fabric");
		return;
	}
	steer_key(p, false, &key);
	f = host_flow_get(&h->flows, &key, host_now(h), &evicted);
	if (evicted)
		host_count(&h->count, HOST_C_FLOW_EVICTED);
	if (!f) {
		host_steer_deliver(h, frame, len);
		return;
	}
	f->worker = from;
	switch (f->state) {
	case HOST_F_NATIVE:
		steer_note_client(f, frame, p, &s);
		host_steer_deliver(h, frame, len);
		return;
	case HOST_F_FROZEN:
		host_takeover_keep(f->conn, true, frame, len);
		return;
	case HOST_F_COMMITTED:
		host_count(&h->count, HOST_C_BOUNCED);
		host_native_send_copy(h, frame, len, f->conn->worker, IB_ENCAP_BOUNCED);
		return;
	case HOST_F_MAPPED:
		steer_mapped_in(h, f, frame, len, p, &s);
		return;
	}
}

/* ICMP errors quote segments in wire numbers. True: the frame is dealt with. */
static bool steer_icmp(struct host *h, uint8_t *frame, uint32_t len, const struct net_pkt *p)
{
	struct host_flow *f;
	struct net_flow key;

	if (!p->l4_off || net_icmp_quoted(frame, p, &key) != 0)
		return false;
	f = host_flow_find(&h->flows, &key);
	if (!f || f->state == HOST_F_NATIVE || f->state == HOST_F_FROZEN)
		return false;
	if (f->state == HOST_F_COMMITTED) {
		host_count(&h->count, HOST_C_DROP_ICMP);
		return true;
	}
	if (seqmap_icmp_in(&f->map, frame, &len, p) == SEQMAP_PASS)
		host_steer_deliver(h, frame, len);
	else
		host_count(&h->count, HOST_C_DROP_MAP);
	return true;
}

void host_steer_gateway(struct host *h, uint8_t *frame, uint32_t len, struct host_worker *from)
{
	struct net_pkt p;
	enum net_perr e = net_parse(frame, len, 0, &p);

	if (e != NET_PERR_OK) {
		host_drop(&h->count, HOST_C_DROP_PARSE, "frame from the fabric: %s",
			  net_perr_name(e));
		return;
	}
	if (p.proto == NET_PROTO_TCP && p.l4_off && !p.fragment) {
		steer_tcp_in(h, frame, len, &p, from);
		return;
	}
	if ((p.proto == NET_PROTO_ICMP || p.proto == NET_PROTO_ICMP6) &&
	    steer_icmp(h, frame, len, &p))
		return;
	host_steer_deliver(h, frame, len);
}

int host_steer_drain(struct host *h, int budget)
{
	struct host_native *n = &h->native;
	int done = 0;

	while (done < budget) {
		struct host_nbuf *b = host_native_get(n);
		ssize_t len;

		if (!b) {
			n->starved = true;
			ev_io_stop(h->loop, &h->tap.io);
			break;
		}
		len = read(h->tap.fd, host_nbuf_frame(b), n->stride - sizeof(struct ib_encap));
		if (len <= 0) {
			host_native_put(n, b);
			break;
		}
		host_steer_kernel(h, b, (uint32_t)len);
		done++;
	}
	return done;
}
