/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_seqmap.c - a connection that came back, and then any segments in both directions, with
 * any options, quoted in any ICMP error: every frame that passes is right in every checksum, and
 * none leaves its buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "tcpstack/net_build.h"
#include "tcpstack/seqmap.h"

#define PROMISE(x)               \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

#define ROOM 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** The input, used up from the front; zeros when it is at its end. */
struct input {
	const uint8_t *at; /* next byte */
	size_t left;	   /* bytes left */
};

/* The next n <= 4 bytes as a number. */
static uint32_t take(struct input *in, unsigned int n)
{
	uint32_t v = 0;

	for (; n > 0; n--) {
		v = v << 8 | (in->left ? *in->at : 0);
		in->at += in->left != 0;
		in->left -= in->left != 0;
	}
	return v;
}

static void take_init(struct input *in, struct seqmap_init *i)
{
	memset(i, 0, sizeof(*i));
	i->k_snd = take(in, 4);
	i->k_rcv = take(in, 4);
	i->una = take(in, 4);
	i->snd_max = i->una + take(in, 2);
	i->rcv_nxt = take(in, 4);
	i->ts_wire = take(in, 4);
	i->ts_kern = take(in, 4);
	i->edge = i->rcv_nxt + take(in, 2);
	i->ts_ok = take(in, 1) & 1;
	i->snd_wscale = (uint8_t)(take(in, 1) % 15);
	i->rcv_wscale = (uint8_t)(take(in, 1) % 15);
}

/* One segment near the numbers of its sender; returns the frame's length. */
static uint32_t take_segment(struct input *in, uint8_t *frame, bool v6, uint32_t seq, uint32_t ack)
{
	const struct net_l2 l2 = {.dst = {2}, .src = {2, 1}};
	struct net_flow f = {.rport = 1, .lport = 2};
	struct tcp_emit e = {0};
	uint32_t n, i;
	uint16_t l4;
	size_t h;

	memset(f.remote.b, v6 ? 0x20 : 10, 16);
	memset(f.local.b, v6 ? 0x21 : 11, 16);
	if (!v6) {
		net_addr_v4(&f.remote, f.remote.b + 12);
		net_addr_v4(&f.local, f.local.b + 12);
	}
	seq += (uint32_t)(int16_t)take(in, 2);
	e.ack = ack + (uint32_t)(int16_t)take(in, 2);
	e.wnd = (uint16_t)take(in, 2);
	e.flags = (uint8_t)take(in, 1);
	e.optlen = (uint8_t)(take(in, 1) % 11 * 4);
	for (i = 0; i < e.optlen; i++)
		e.opt[i] = (uint8_t)take(in, 1);
	n = take(in, 1);
	h = net_build_tcp(frame, ROOM, &l2, &f, &e, seq, e.flags, n, 0, &l4);
	PROMISE(h && h + n <= ROOM);
	for (i = 0; i < n; i++)
		frame[h + i] = (uint8_t)(seq + i);
	net_tcp_csum_finish(frame + l4, h - l4, net_csum_add(0, frame + h, n, false));
	return (uint32_t)h + n;
}

/* An ICMP error around what the input has left, without checksum. */
static uint32_t take_icmp(struct input *in, uint8_t *frame, bool v6)
{
	uint32_t len = take(in, 1), i;

	memset(frame, 0, 34);
	frame[12] = v6 ? 0x86 : 0x08;
	frame[13] = v6 ? 0xdd : 0x00;
	frame[14] = v6 ? 0x60 : 0x45;
	if (v6) {
		frame[19] = (uint8_t)len;
		frame[20] = 58;
		memset(frame + 22, 0x20, 16);
		memset(frame + 38, 0x21, 16);
	} else {
		frame[16] = (uint8_t)((20 + len) >> 8);
		frame[17] = (uint8_t)(20 + len);
		frame[23] = 1;
		memset(frame + 26, 10, 4);
		memset(frame + 30, 11, 4);
	}
	for (i = 0; i < len; i++)
		frame[(v6 ? 54 : 34) + i] = (uint8_t)take(in, 1);
	return (v6 ? 54 : 34) + len;
}

/* Sends a frame through the map; `exact` has its length and nothing behind. */
static void step(struct seqmap *m, unsigned int kind, const uint8_t *frame, uint32_t len)
{
	const unsigned int verify = kind < 2 ? NET_F_CSUM_IP | NET_F_CSUM_L4 : 0;
	enum seqmap_verdict v;
	uint32_t now = len;
	struct net_pkt p;
	uint8_t *exact;

	if (net_parse(frame, len, verify, &p) != NET_PERR_OK)
		return;
	exact = malloc(len);
	PROMISE(exact);
	memcpy(exact, frame, len);
	if (kind == 0)
		v = seqmap_out(m, exact, &now, &p);
	else
		v = (kind == 1 ? seqmap_in : seqmap_icmp_in)(m, exact, &now, &p);
	PROMISE(now <= len);
	if (v == SEQMAP_PASS)
		PROMISE(net_parse(exact, now, verify, &p) == NET_PERR_OK && p.frame_len == now);
	free(exact);
}

static void repeat_ack(struct seqmap *m)
{
	const struct net_l2 l2 = {.dst = {2}, .src = {2, 1}};
	struct net_flow f = {.rport = 1, .lport = 2};
	uint8_t out[NET_MAX_HDR];
	struct net_pkt p;
	size_t n;

	net_addr_v4(&f.remote, "\x0a\x00\x00\x01");
	net_addr_v4(&f.local, "\x0a\x00\x00\x02");
	n = seqmap_ack_frame(m, out, sizeof(out), &l2, &f);
	if (n)
		PROMISE(net_parse(out, (uint32_t)n, NET_F_CSUM_IP | NET_F_CSUM_L4, &p) ==
			NET_PERR_OK);
	PROMISE(seqmap_ack_frame(m, out, sizeof(out), &l2, &f) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.at = data, .left = size};
	uint8_t frame[ROOM];
	struct seqmap_init i;
	struct seqmap m;

	take_init(&in, &i);
	seqmap_init(&m, &i);
	while (in.left) {
		const unsigned int what = take(&in, 1);
		const unsigned int kind = what % 3;
		uint32_t len;

		if (kind == 0)
			len = take_segment(&in, frame, what & 0x80, i.k_snd, i.k_rcv);
		else if (kind == 1)
			len = take_segment(&in, frame, what & 0x80, i.rcv_nxt, i.una);
		else
			len = take_icmp(&in, frame, what & 0x80);
		step(&m, kind, frame, len);
		repeat_ack(&m);
		PROMISE((int32_t)(m.snd_max - m.absorbed) >= 0);
	}
	return 0;
}
