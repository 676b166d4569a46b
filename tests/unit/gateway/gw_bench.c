/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_bench.c - see gw_bench.h.
 */
#include "gw_bench.h"

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>

struct gw gb;
struct gw_worker *gw0;
const uint8_t gb_client_mac[6] = {2, 0, 0, 0, 0, 2};

static struct gw_cfg cfg;
static struct rte_ring *to_lan;

struct net_addr gb_addr(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse(text, &a), 0);
	return a;
}

/* One port, two servers. */
static void make_cfg(void)
{
	struct gw_port_cfg *p = &cfg.port[0];

	strcpy(p->name, "lan0");
	p->addr[0] = gb_addr(GB_GW);
	p->plen[0] = 16;
	p->addr[1] = gb_addr("fd77::1");
	p->plen[1] = 64;
	p->n_addr = 2;
	p->next_hop4 = gb_addr("10.77.0.254");
	p->mtu = 1500;
	cfg.n_port = 1;
	cfg.workers = 1;
	cfg.mbufs = 2048;
	for (uint32_t i = 0; i < 2; i++) {
		struct gw_server_cfg *s = &cfg.server[i];

		snprintf(s->name, sizeof(s->name), "s%u", i + 1);
		s->addr[0] = gb_addr(i ? "10.77.0.12" : GB_SERVER);
		s->addr[1] = gb_addr(i ? "fd77::12" : "fd77::11");
		s->n_addr = 2;
	}
	cfg.n_server = 2;
}

/* A port whose transmit side is a ring. */
static void make_port(void)
{
	struct gw_port *p = &gb.port[0];
	struct rte_ring *in = rte_ring_create("in", 64, SOCKET_ID_ANY, 0);
	struct rte_eth_conf conf = {0};
	int id;

	to_lan = rte_ring_create("to_lan", 1024, SOCKET_ID_ANY, 0);
	id = rte_eth_from_rings("bench", &in, 1, &to_lan, 1, 0);
	assert_true(id >= 0);
	assert_int_equal(rte_eth_dev_configure((uint16_t)id, 1, 1, &conf), 0);
	assert_int_equal(
		rte_eth_rx_queue_setup((uint16_t)id, 0, 64, SOCKET_ID_ANY, NULL, gw0->pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup((uint16_t)id, 0, 64, SOCKET_ID_ANY, NULL), 0);
	assert_int_equal(rte_eth_dev_start((uint16_t)id), 0);
	p->id = (uint16_t)id;
	p->cfg = &cfg.port[0];
	memcpy(&p->mac, "\x02\0\0\0\0\x01", 6);
	p->multi_seg = true;
	gb.n_port = 1;
}

int gb_open(void **state)
{
	static char *argv[] = {
		"test", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
		"-m",	"128",	     "-l",	    "0",	"--log-level=warning"};

	if (rte_eal_init((int)RTE_DIM(argv), argv) < 0)
		return -1;
	make_cfg();
	gb.cfg = &cfg;
	gb.host[0].cfg = &cfg.server[0];
	gb.host[1].cfg = &cfg.server[1];
	gb.host[1].id = 1;
	gw0 = rte_zmalloc("worker", sizeof(*gw0), 64);
	gb.worker[0] = gw0;
	gb.n_worker = 1;
	gw0->gw = &gb;
	gw0->now_us = 1000000000;
	gw0->now_ms = 1000000;
	gw0->pool = rte_pktmbuf_pool_create("frames", 2047, 0, sizeof(struct gw_mbuf_priv),
					    (uint16_t)gw_mem_data_room(&cfg), SOCKET_ID_ANY);
	if (!gw0->pool || gw_events_open(gw0) || gw_frag_open(gw0) ||
	    !(gb.served = gw_served_new(gb.cfg)))
		return -1;
	make_port();
	return 0;
}

/* Frees the tables of the worker. */
static void drop_tables(void)
{
	gw_neigh_close(gw0);
	gw_flows_close(gw0);
	corr_native_free(gb.native);
	gb.native = NULL;
}

int gb_close(void **state)
{
	drop_tables();
	gw_frag_close(gw0);
	gw_events_close(gw0);
	free(gb.served);
	gb.served = NULL;
	rte_eth_dev_stop(gb.port[0].id);
	rte_eth_dev_close(gb.port[0].id);
	rte_mempool_free(gw0->pool);
	rte_free(gw0);
	return rte_eal_cleanup();
}

int gb_reset(void **state)
{
	uint8_t buf[2048];
	struct corr_server s = {.native = {.lid = 7, .qpn = 9}, .mac = {2, 0, 0, 0, 0, 0x11}};

	drop_tables();
	gw_port_flush(gw0);
	while (gb_tx(buf))
		;
	memset(&gw0->stats, 0, sizeof(gw0->stats));
	memset(gw0->event_ms, 0, sizeof(gw0->event_ms));
	gb.native = corr_native_new(1, 4);
	if (!gb.native || corr_native_add_server(gb.native, &s) ||
	    corr_native_add_addr(gb.native, cfg.server[0].addr[0].b, 0))
		return -1;
	atomic_store(&gw0->native, gb.native);
	gb.host[0].mtu = 1500;
	return gw_neigh_open(gw0) || gw_flows_open(gw0);
}

void gb_sleep(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 10) {
		gw0->now_ms += 10;
		gw0->now_us += 10000;
		gw_neigh_run(gw0);
		gw_flows_run(gw0);
	}
	gw_port_flush(gw0);
}

void gb_rx(const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(gw0->pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	gw_lan_rx(gw0, &gb.port[0], &m, 1);
	gw_port_flush(gw0);
}

size_t gb_tx(uint8_t buf[2048])
{
	struct rte_mbuf *m;
	size_t len;
	void *p;

	if (rte_ring_dequeue(to_lan, &p))
		return 0;
	m = p;
	len = m->pkt_len;
	assert_true(len <= 2048);
	if (rte_pktmbuf_read(m, 0, (uint32_t)len, buf) != buf)
		memcpy(buf, rte_pktmbuf_mtod(m, void *), len);
	rte_pktmbuf_free(m);
	return len;
}

size_t gb_question(uint8_t *buf, const char *from, const char *target)
{
	struct net_addr a = gb_addr(from), t = gb_addr(target);

	if (net_addr_is_v4(&t))
		return net_build_arp_request(buf, 2048, gb_client_mac, &a, &t, NULL, 0);
	return net_build_ns(buf, 2048, gb_client_mac, &a, &t, NULL, 0);
}

size_t gb_answer(uint8_t *buf, const uint8_t *q, size_t len, const uint8_t mac[6])
{
	struct net_pkt p = gb_parse(q, len);

	if (p.ethertype == NET_ETHERTYPE_ARP)
		return net_build_arp_reply(buf, 2048, q, &p, mac);
	return net_build_na(buf, 2048, q, &p, mac);
}

/* Ethernet and IP from a client to the gateway's MAC; the length so far. */
static size_t put_ip(uint8_t *buf, const struct net_addr *a, const struct net_addr *b,
		     uint8_t proto, uint16_t len)
{
	bool v4 = net_addr_is_v4(a);
	size_t n;

	n = net_put_eth(buf, gb.port[0].mac.addr_bytes, gb_client_mac, 0,
			v4 ? NET_ETHERTYPE_IP4 : NET_ETHERTYPE_IP6);
	return n + (v4 ? net_put_ip4(buf + n, a, b, proto, 0, len)
		       : net_put_ip6(buf + n, a, b, proto, 64, len));
}

size_t gb_ping(uint8_t *buf, const char *from, const char *to)
{
	struct net_addr a = gb_addr(from), b = gb_addr(to);
	bool v4 = net_addr_is_v4(&a);
	size_t n = put_ip(buf, &a, &b, v4 ? NET_PROTO_ICMP : NET_PROTO_ICMP6, 16);
	uint32_t sum = v4 ? 0 : net_csum_pseudo(&a, &b, NET_PROTO_ICMP6, 16);

	memset(buf + n, 0x5a, 16);
	buf[n] = v4 ? NET_ICMP_ECHO : NET_ICMP6_ECHO;
	buf[n + 1] = 0;
	net_put16(buf + n + 2, 0);
	net_put_raw16(buf + n + 2, (uint16_t)~net_csum_fold(net_csum_add(sum, buf + n, 16, false)));
	return n + 16;
}

size_t gb_tcp(uint8_t *buf, const char *from, const char *to, uint8_t flags, uint32_t len)
{
	struct net_l2 l2 = {0};
	struct net_flow f = {.remote = gb_addr(to),
			     .local = gb_addr(from),
			     .rport = htobe16(80),
			     .lport = htobe16(40000)};
	struct tcp_emit e = {.seq = 1, .ack = 1, .wnd = 100, .flags = flags};
	uint16_t l4;
	size_t n;

	memcpy(l2.dst, &gb.port[0].mac, 6);
	memcpy(l2.src, gb_client_mac, 6);
	n = net_build_tcp(buf, 2048, &l2, &f, &e, 1, flags, len, 1, &l4);
	memset(buf + n, 'x', len);
	net_tcp_csum_finish(buf + l4, n - l4, net_csum_add(0, buf + n, len, false));
	return n + len;
}

struct net_pkt gb_parse(const uint8_t *frame, size_t len)
{
	struct net_pkt p;

	assert_int_equal(net_parse(frame, (uint32_t)len, NET_F_CSUM_IP | NET_F_CSUM_L4, &p),
			 NET_PERR_OK);
	return p;
}
