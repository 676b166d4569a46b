/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture_write.c - the writer thread of a capture: pieces become packets, packets blocks of a
 * pcapng file (gw_pcapng.h), until a limit is reached. The file ends with the statistics of each
 * interface, whatever the reason.
 */
#include <rte_ring.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_int.h"
#include "gateway/gw_pcapng.h"
#include "tcpstack/net_wire.h"

#define BUF   (256u << 10) /* bytes written at once */
#define BURST 64	   /* pieces of a worker at a time */
#define NAP   1000000	   /* ns between looks at empty rings */
#define ENDS  200u	   /* bytes kept for the statistics of an interface */

static bool running(const struct gw_capture *cap)
{
	return atomic_load_explicit(&cap->end, memory_order_acquire) == GW_CAP_RUNNING;
}

/* Ends the capture, unless it has another reason already. */
static void finish(struct gw_capture *cap, enum gw_cap_end why)
{
	int was = GW_CAP_RUNNING;

	atomic_compare_exchange_strong(&cap->end, &was, (int)why);
}

static void flush(struct gw_capture *cap)
{
	uint32_t done = 0;
	ssize_t n;

	while (done < cap->used) {
		n = write(cap->fd, cap->buf + done, cap->used - done);
		if (n <= 0) {
			finish(cap, GW_CAP_WRITE);
			break;
		}
		done += (uint32_t)n;
	}
	cap->used = 0;
}

/* Room for a block of so many bytes. */
static uint8_t *room(struct gw_capture *cap, uint32_t bytes)
{
	if (cap->used + bytes > BUF)
		flush(cap);
	return cap->buf + cap->used;
}

/* A block of n bytes is in the room. */
static void add(struct gw_capture *cap, uint32_t n)
{
	cap->used += n;
	atomic_fetch_add(&cap->bytes, n);
}

/* "10.77.0.2:40000" or "[fd77::2]:40000"; returns its length. */
static int put_end(char *at, size_t n, const struct net_addr *a, uint16_t port_be)
{
	char text[NET_ADDRSTR];

	return snprintf(at, n, net_addr_is_v4(a) ? "%s:%u" : "[%s]:%u", net_addr_str(a, text),
			be16toh(port_be));
}

/* What is known of a packet: "conn=CLIENT>SERVER token=0x... drop=REASON". */
static const char *comment(const struct gw_cap_piece *p, char text[GW_NG_TEXT])
{
	char name[GW_WHY_LEN];
	size_t n = 0;

	text[0] = '\0';
	if (p->flow_known) {
		n += (size_t)snprintf(text, GW_NG_TEXT, "conn=");
		n += (size_t)put_end(text + n, GW_NG_TEXT - n, &p->flow.remote, p->flow.rport);
		n += (size_t)snprintf(text + n, GW_NG_TEXT - n, ">");
		n += (size_t)put_end(text + n, GW_NG_TEXT - n, &p->flow.local, p->flow.lport);
	}
	if (p->token)
		n += (size_t)snprintf(text + n, GW_NG_TEXT - n, "%stoken=0x%08x", n ? " " : "",
				      p->token);
	if (p->why)
		snprintf(text + n, GW_NG_TEXT - n, "%sdrop=%s", n ? " " : "",
			 gw_why_name(p->why - 1, name));
	return text;
}

/* A packet of the piece p. */
static void write_packet(struct gw_capture *cap, const struct gw_cap_piece *p, const uint8_t *data,
			 uint32_t n)
{
	const int end = atomic_load(&cap->end);
	char text[GW_NG_TEXT];
	struct gw_ng_packet k = {
		.iface = p->iface,
		.ts = p->ts,
		.data = data,
		.n = n,
		.dir = p->in ? GW_NG_IN : GW_NG_OUT,
		.queue = p->queue,
		.lost = cap->lost[p->side],
		.comment = comment(p, text),
	};
	uint32_t len;

	if (end == GW_CAP_WRITE || end == GW_CAP_BYTES || end == GW_CAP_PACKETS)
		return;
	len = gw_ng_packet(room(cap, n + GW_NG_PACKET), &k);
	if (cap->packets >= cap->want.packets) {
		finish(cap, GW_CAP_PACKETS);
		return;
	}
	if (cap->bytes + len + cap->n_iface * ENDS > cap->want.bytes) {
		finish(cap, GW_CAP_BYTES);
		return;
	}
	add(cap, len);
	cap->lost[p->side] = 0;
	atomic_fetch_add(&cap->packets, 1);
	atomic_fetch_add(&cap->count[p->iface], 1);
}

/* A packet of the operation at hand. */
static void on_packet(void *arg, const uint8_t *pkt, uint32_t n)
{
	struct gw_capture *cap = arg;

	n = pkt_erf_put(cap->frame, &cap->now->ts, pkt, n, cap->lost[GW_CAP_FABRIC]);
	write_packet(cap, cap->now, cap->frame, n);
}

/* What a device would have done to a frame that it was given (see gw_port_tx.c). */
static void finish_csum(uint8_t *frame, uint32_t n, uint32_t l4)
{
	uint32_t sum;

	if (!l4 || l4 + NET_TCP_HLEN > n)
		return;
	sum = net_csum_add(0, frame + l4, n - l4, false);
	net_put_raw16(frame + l4 + NET_TCP_CSUM, (uint16_t)~net_csum_fold(sum));
}

/* A stretch of a frame: the last one completes it. */
static void on_frame(struct gw_capture *cap, const struct gw_cap_piece *p)
{
	if (cap->n_frame + p->n <= GW_CAP_FRAME) {
		memcpy(cap->frame + cap->n_frame, p->data, p->n);
		cap->n_frame += p->n;
	}
	if (p->more)
		return;
	finish_csum(cap->frame, cap->n_frame, p->l4_off);
	write_packet(cap, p, cap->frame, cap->n_frame);
	cap->n_frame = 0;
}

/* What a worker has left; returns how much that was. */
static uint32_t drain(struct gw_capture *cap, struct gw_cap_ring *r)
{
	void *piece[BURST];
	uint32_t n = rte_ring_sc_dequeue_burst(r->full, piece, BURST, NULL);

	for (uint32_t i = 0; i < n; i++) {
		const struct gw_cap_piece *p = piece[i];
		struct iovec v = {(void *)(uintptr_t)p->data, p->n};

		cap->lost[p->side] += p->lost;
		if (p->side == GW_CAP_LAN) {
			on_frame(cap, p);
		} else {
			cap->now = p;
			pkt_op_put(&p->op, &v, p->n ? 1 : 0, on_packet, cap);
		}
	}
	rte_ring_sp_enqueue_bulk(r->free, piece, n, NULL);
	return n;
}

/* Section and interfaces. */
static void begin(struct gw_capture *cap)
{
	const struct gw *gw = cap->gw;
	char about[GW_NG_TEXT];
	struct gw_ng_if i = {.link = GW_NG_ETHERNET, .filter = cap->want.filter, .about = about};

	snprintf(about, sizeof(about), "gateway %s", gw->cfg->name);
	add(cap, gw_ng_section(room(cap, GW_NG_SECTION), gw->dev.name, "tagd " TAG_VERSION, about));
	for (uint32_t k = 0; k < gw->n_port; k++) {
		const struct gw_port *p = &gw->port[k];

		if (!p->opened)
			continue;
		i.name = p->cfg->name;
		snprintf(about, sizeof(about), "client LAN, %s, " RTE_ETHER_ADDR_PRT_FMT,
			 p->cfg->devargs, RTE_ETHER_ADDR_BYTES(&p->mac));
		add(cap, gw_ng_interface(room(cap, GW_NG_IF), &i));
	}
	if (!(cap->want.sides & 1u << GW_CAP_FABRIC))
		return;
	i.link = GW_NG_ERF;
	i.name = "fabric";
	snprintf(about, sizeof(about), "fabric, %s port %u", gw->dev.name, gw->cfg->dev_port);
	add(cap, gw_ng_interface(room(cap, GW_NG_IF), &i));
}

/* Statistics of each interface. */
static void end(struct gw_capture *cap)
{
	const bool fabric = cap->want.sides & 1u << GW_CAP_FABRIC;
	struct gw_ng_stats s = {.begin = cap->start};
	char why[64];

	if (atomic_load(&cap->end) == GW_CAP_WRITE)
		return;
	snprintf(why, sizeof(why), "end=%s", gw_cap_end_text(atomic_load(&cap->end)));
	clock_gettime(CLOCK_REALTIME, &s.end);
	for (uint32_t i = 0; i < cap->n_iface; i++) {
		enum gw_cap_side side =
			fabric && i + 1 == cap->n_iface ? GW_CAP_FABRIC : GW_CAP_LAN;

		s.iface = i;
		/* Frames are missing without anybody knowing the port: told of the first. */
		s.lost = side == GW_CAP_FABRIC || i == 0 ? gw_cap_lost(cap, side) : 0;
		s.seen = cap->count[i] + s.lost;
		s.comment = why;
		add(cap, gw_ng_stats(room(cap, GW_NG_STATS), &s));
	}
}

void *gw_cap_writer(void *arg)
{
	struct gw_capture *cap = arg;
	const struct timespec nap = {.tv_nsec = NAP};
	uint64_t until = cap->start_us + cap->want.seconds * 1000000;
	uint8_t buf[BUF], frame[GW_CAP_FRAME + 1];
	uint32_t n;

	cap->buf = buf;
	cap->frame = frame;
	begin(cap);
	do {
		bool more = running(cap);

		if (gw_now_us() >= until)
			finish(cap, GW_CAP_SECONDS);
		n = 0;
		for (uint32_t i = 0; i < cap->gw->n_worker; i++)
			n += drain(cap, &cap->ring[i]);
		if (n)
			continue;
		flush(cap);
		if (!more) /* and the rings are empty: what came before the end is written */
			break;
		nanosleep(&nap, NULL);
	} while (running(cap) || n || atomic_load(&cap->end) == GW_CAP_STOPPED ||
		 atomic_load(&cap->end) == GW_CAP_LEFT);
	end(cap);
	flush(cap);
	return NULL;
}
