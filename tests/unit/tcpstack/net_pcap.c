/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_pcap.c - writes one of every kind of frame that is built or translated here to a pcap file
 * (standard output), for another implementation to judge: see net_tshark.py.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/tcpstack/net_frame.h"
#include "tcpstack/net_build.h"
#include "tcpstack/seqmap.h"

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

/* One record; a frame of no length means that something was not built. */
static void record(const uint8_t *frame, size_t len)
{
	uint32_t head[4] = {0, 0, (uint32_t)len, (uint32_t)len};

	if (len == 0)
		exit(1);
	fwrite(head, sizeof(head), 1, stdout);
	fwrite(frame, len, 1, stdout);
}

static struct net_addr addr(const char *text)
{
	struct net_addr a;

	if (net_addr_parse(text, &a))
		exit(1);
	return a;
}

static void segments(bool v6, uint16_t vlan)
{
	static const uint8_t opts[24] = {1, 1, 8,    10, 0,    0, 0, 1, 0, 0,	 0, 2,
					 1, 1, 0x05, 10, 0x7f, 0, 0, 9, 0, 0x7f, 0, 20};
	struct net_flow f = {.remote = addr(v6 ? "fd77::2" : "10.77.0.2"),
			     .local = addr(v6 ? "fd77::11" : "10.77.0.11"),
			     .rport = htons(40000),
			     .lport = htons(80)};
	struct tcp_seg in = {.seq = 1, .ack = 2, .flags = TCP_ACK};
	struct net_l2 l2 = {.vlan = vlan};
	struct tcp_emit e = {.ack = 99, .wnd = 501};
	uint32_t n, i, k;
	uint8_t b[2048];
	uint16_t l4;
	size_t h;

	memcpy(l2.src, mac_a, 6);
	memcpy(l2.dst, mac_b, 6);
	memcpy(e.opt, opts, sizeof(opts));
	for (k = 0; k <= 24; k += 12) {
		e.optlen = (uint8_t)k;
		for (n = 0; n < 1400; n = n * 5 + 1) {
			h = net_build_tcp(b, sizeof(b), &l2, &f, &e, n, TCP_ACK, n, 7, &l4);
			for (i = 0; i < n; i++)
				b[h + i] = (uint8_t)(i * i);
			net_tcp_csum_finish(b + l4, h - l4, net_csum_add(0, b + h, n, false));
			record(b, h + n);
		}
	}
	record(b, net_build_rst(b, sizeof(b), &l2, &f, &in));
}

static void neighbours(uint16_t vlan)
{
	const struct net_addr a4 = addr("10.77.0.2"), b4 = addr("10.77.0.11"), a6 = addr("fd77::2"),
			      b6 = addr("fd77::11"), any = addr("::");
	struct net_pkt p;
	uint8_t q[200], r[200];
	size_t n;

	n = net_build_arp_request(q, sizeof(q), mac_a, &a4, &b4, NULL, vlan);
	record(q, n);
	net_parse(q, (uint32_t)n, 0, &p);
	record(r, net_build_arp_reply(r, sizeof(r), q, &p, mac_b));
	n = net_build_ns(q, sizeof(q), mac_a, &a6, &b6, NULL, vlan);
	record(q, n);
	net_parse(q, (uint32_t)n, 0, &p);
	record(r, net_build_na(r, sizeof(r), q, &p, mac_b));
	n = net_build_ns(q, sizeof(q), mac_a, &any, &b6, NULL, vlan);
	record(q, n);
	net_parse(q, (uint32_t)n, 0, &p);
	record(r, net_build_na(r, sizeof(r), q, &p, mac_b));
	record(q, net_build_ns(q, sizeof(q), mac_a, &a6, &b6, mac_b, vlan));
}

static void echoes(bool v6)
{
	struct net_pkt p;
	struct frame f;
	uint8_t r[2048];
	uint32_t n, i;

	for (n = 0; n < 1000; n = n * 4 + 3) {
		frame_eth(&f, 0, v6 ? 0x86dd : 0x0800);
		frame_ip(&f, v6 ? "fd77::2" : "10.77.0.2", v6 ? "fd77::11" : "10.77.0.11",
			 v6 ? 58 : 1);
		frame_add(&f, v6 ? "\x80\0\0\0\0\1\0\2" : "\x08\0\0\0\0\1\0\2", 8);
		for (i = 0; i < n; i++)
			*frame_add(&f, NULL, 1) = (uint8_t)i;
		frame_done(&f, v6 ? 58 : 1);
		record(f.b, f.len);
		net_parse(f.b, f.len, 0, &p);
		record(r, net_build_echo_reply(r, sizeof(r), f.b, f.len, &p, mac_b));
	}
}

/* Segments through the sequence map, cut ones among them. */
static void translated(bool v6)
{
	static const uint8_t opts[24] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,
					 1, 1, 5, 10, 0, 0, 7, 9, 0, 0, 7, 20};
	const struct seqmap_init in = {.k_snd = 1000,
				       .k_rcv = 2000,
				       .una = 0xffffff00,
				       .snd_max = 0xffffff00 + 77,
				       .rcv_nxt = 50000,
				       .edge = 90000,
				       .ts_wire = 7777,
				       .ts_ok = true,
				       .rcv_wscale = 3};
	struct seqmap m;
	struct net_pkt p;
	struct frame f;
	uint32_t i, len;

	for (i = 0; i < 40; i++) {
		frame_eth(&f, 0, v6 ? 0x86dd : 0x0800);
		frame_ip(&f, v6 ? "fd77::2" : "10.77.0.2", v6 ? "fd77::11" : "10.77.0.11", 6);
		frame_tcp(&f, 1000 + i * 5, 2000, TCP_ACK, opts, i % 3 * 12, 77 + i);
		frame_done(&f, 6);
		net_parse(f.b, f.len, 0, &p);
		seqmap_init(&m, &in);
		len = f.len;
		if (seqmap_out(&m, f.b, &len, &p) == SEQMAP_PASS)
			record(f.b, len);
		else if (i > 0)
			exit(1);
	}
}

int main(void)
{
	/* the header of a pcap file: microseconds, Ethernet */
	static const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, sigfigs, snaplen, linktype;
	} head = {0xa1b2c3d4, 2, 4, 0, 0, 65535, 1};
	int i;

	fwrite(&head, sizeof(head), 1, stdout);
	for (i = 0; i < 4; i++)
		segments(i & 1, i & 2 ? 12 : 0);
	neighbours(0);
	neighbours(12);
	echoes(false);
	echoes(true);
	translated(false);
	translated(true);
	return fflush(stdout) ? 1 : 0;
}
