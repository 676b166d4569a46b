/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_net.c - any bytes as a frame: nothing is read outside of it, what parses is inside of it,
 * and what we would answer parses in turn. The first input byte chooses the checks.
 */
#include <stdlib.h>
#include <string.h>

#include "tcpstack/net_build.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/seqmap.h"

#define PROMISE(x)               \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};

/* Offsets of an accepted frame. */
static void check_offsets(const struct net_pkt *p, uint32_t len)
{
	PROMISE(p->frame_len <= len);
	PROMISE(p->l3_off < p->frame_len);
	PROMISE(p->payload_off <= p->frame_len);
	PROMISE(p->payload_len <= p->frame_len - p->payload_off);
	PROMISE(p->l4_off == 0 || (p->l4_off > p->l3_off && p->l4_off < p->payload_off));
}

/* A frame of ours is right in every checksum. */
static void check_ours(const uint8_t *frame, size_t len)
{
	struct net_pkt p;

	if (len == 0)
		return;
	PROMISE(net_parse(frame, (uint32_t)len, NET_F_CSUM_IP | NET_F_CSUM_L4, &p) == NET_PERR_OK);
	PROMISE(p.frame_len == len);
	check_offsets(&p, (uint32_t)len);
}

static void check_tcp(const uint8_t *frame, const struct net_pkt *p)
{
	const struct net_l2 l2 = {.dst = {2}, .src = {2, 1}};
	struct net_flow f = {
		.remote = p->src, .local = p->dst, .rport = p->sport, .lport = p->dport};
	struct tcp_seg seg;
	uint8_t out[NET_MAX_HDR];

	if (net_parse_tcp(frame, p, &seg) != NET_PERR_OK)
		return;
	PROMISE(seg.n_sack <= TCP_MAX_SACK && seg.wscale <= 14 && seg.len == p->payload_len);
	check_ours(out, net_build_rst(out, sizeof(out), &l2, &f, &seg));
}

/* Whatever the frame asks for, and the damage it may do as an ICMP error. */
static void check_answers(const uint8_t *frame, uint32_t len, const struct net_pkt *p, bool sound)
{
	uint8_t *out = malloc(len + 64);
	struct net_neigh_info info;
	struct net_flow flow;
	size_t n;

	PROMISE(out);
	check_ours(out, net_build_arp_reply(out, 64, frame, p, mac));
	check_ours(out, net_build_na(out, 100, frame, p, mac));
	n = net_build_echo_reply(out, len, frame, len, p, mac);
	PROMISE(n <= len);
	if (sound)
		check_ours(out, n);
	if (net_neigh_read(frame, p, &info) == 0 && info.has_sender)
		PROMISE(!(info.sender_mac[0] & 1));
	net_icmp_quoted(frame, p, &flow);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int flags;
	struct net_pkt p;
	uint8_t *frame;
	uint32_t len;

	if (size == 0)
		return 0;
	flags = data[0] & (NET_F_CSUM_IP | NET_F_CSUM_L4);
	len = (uint32_t)size - 1;
	frame = malloc(len ? len : 1); /* exactly as long, so that reading on is noticed */
	PROMISE(frame);
	memcpy(frame, data + 1, len);
	if (net_parse(frame, len, flags, &p) == NET_PERR_OK) {
		check_offsets(&p, len);
		if (p.proto == 6 && p.l4_off)
			check_tcp(frame, &p);
		check_answers(frame, len, &p, flags == (NET_F_CSUM_IP | NET_F_CSUM_L4));
	}
	free(frame);
	return 0;
}
