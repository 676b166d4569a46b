/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_steer.c - the policy in the path of frames: what is refused and how that is told, shared
 * addresses, ICMP errors for the right server, unlike MTUs, MACs of servers, announcements.
 */
#include "gw_bench.h"

#include <netinet/in.h>
#include <stdio.h>

#include "gateway/gw_policy.h"

#define VIP    "10.77.0.100"
#define VIP6   "fd77::100"
#define ROUTER "10.77.0.254"

static struct gw_cfg saved; /* as the bench made it */

/* Makes policy and tables anew from gb.cfg. */
static void publish(void)
{
	gw_steer_close(gw0);
	gw_policy_close(&gb);
	free(gb.served);
	gb.served = NULL;
	gb.served = gw_served_new(gb.cfg);
	assert_non_null(gb.served);
	assert_int_equal(gw_policy_open(&gb), 0);
	assert_int_equal(gw_steer_open(gw0), 0);
	for (int i = 0; i < 2; i++)
		atomic_store(&gb.live->server[i].share, CORR_SHARE_FULL);
}

/* Both servers share two addresses. */
static int setup(void **state)
{
	if (gb_reset(state))
		return -1;
	if (!saved.n_server)
		saved = *gb.cfg;
	*gb.cfg = saved;
	gb.cfg->flows = 4000;
	gw0->now_us += 10000000; /* nothing was answered for a while */
	strcpy(gb.cfg->policy_key, "k");
	gb.host[1].mtu = 1500;
	for (int i = 0; i < 2; i++) {
		struct gw_server_cfg *s = &gb.cfg->server[i];

		s->weight = 1;
		s->addr[s->n_addr++] = gb_addr(VIP);
		s->addr[s->n_addr++] = gb_addr(VIP6);
	}
	gb.cfg->port[0].announce = 2;
	gb.cfg->port[0].announce_ms = 1000;
	publish();
	return 0;
}

static int teardown(void **state)
{
	gw_announce_close(gw0);
	gw_steer_close(gw0);
	gw_policy_close(&gb);
	*gb.cfg = saved;
	free(gb.served);
	gb.served = NULL;
	return rte_mempool_in_use_count(gw0->pool) || !(gb.served = gw_served_new(gb.cfg));
}

/* Sends a frame that the gateway must answer; the answer. */
static struct net_pkt answered(const uint8_t *f, size_t n, uint8_t *out)
{
	size_t len;

	gb_rx(f, n);
	len = gb_tx(out);
	assert_true(len > 0);
	return gb_parse(out, len);
}

static void rejected_connections_are_reset(void **state)
{
	static const char *const ends[2][2] = {{GB_CLIENT, GB_SERVER}, {"fd77::2", "fd77::11"}};
	uint8_t f[2048], out[2048];

	gb.cfg->otherwise = CORR_REJECT;
	publish();
	for (int i = 0; i < 2; i++) {
		const struct net_addr server = gb_addr(ends[i][1]);
		size_t n = gb_tcp(f, ends[i][0], ends[i][1], TCP_SYN, 0);
		struct net_pkt p = answered(f, n, out);
		struct tcp_seg seg;

		assert_int_equal(net_parse_tcp(out, &p, &seg), NET_PERR_OK);
		assert_int_equal(seg.flags, TCP_RST | TCP_ACK);
		assert_int_equal(seg.ack, 2); /* its SYN counts */
		assert_true(net_addr_eq(&p.src, &server));
		assert_int_equal(be16toh(p.sport), 80);
		assert_memory_equal(out, gb_client_mac, 6);
	}
	assert_int_equal(gw0->stats.policy[CORR_WHY_DEFAULT_REJECT], 2);
	assert_int_equal(gw0->stats.refusals_sent, 2);
}

static void other_rejected_packets_are_prohibited(void **state)
{
	uint8_t f[2048], out[2048];
	struct net_pkt p;
	size_t n;

	gb.cfg->otherwise = CORR_REJECT;
	publish();
	n = gb_ping(f, GB_CLIENT, GB_SERVER);
	p = answered(f, n, out);
	assert_int_equal(p.proto, NET_PROTO_ICMP);
	assert_int_equal(out[p.l4_off], NET_ICMP_UNREACH);
	assert_int_equal(out[p.l4_off + 1], 13);
	assert_memory_equal(out + p.l4_off + 8, f + 14, n - 14); /* quoted */
	n = gb_ping(f, "fd77::2", "fd77::11");
	p = answered(f, n, out);
	assert_int_equal(p.proto, NET_PROTO_ICMP6);
	assert_int_equal(out[p.l4_off], NET_ICMP6_UNREACH);
	assert_int_equal(out[p.l4_off + 1], 1);
	assert_memory_equal(out + p.l4_off + 8, f + 14, n - 14);
	/* an error gets none */
	gb_rx(out, 0);
	memcpy(f, out, p.frame_len);
	memcpy(f, &gb.port[0].mac, 6);
	memcpy(f + 6, gb_client_mac, 6);
	gb_rx(f, p.frame_len);
	assert_int_equal(gb_tx(out), 0);
}

static void denied_packets_vanish(void **state)
{
	uint8_t f[2048], out[2048];

	gb.cfg->otherwise = CORR_DENY;
	publish();
	gb_rx(f, gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_SYN, 0));
	assert_int_equal(gb_tx(out), 0);
	assert_int_equal(gw0->stats.policy[CORR_WHY_DEFAULT_DENY], 1);
}

static void refusals_are_limited_in_rate(void **state)
{
	uint8_t f[2048], out[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_SYN, 0);
	uint32_t told = 0;

	gb.cfg->otherwise = CORR_REJECT;
	publish();
	for (int i = 0; i < 1000; i++) {
		gb_rx(f, n);
		while (gb_tx(out))
			told++;
	}
	assert_int_equal(told, 100);
	assert_int_equal(gw0->stats.answers_suppressed, 900);
}

/* A SYN from a client port; the server that has its flow then. */
static uint16_t syn(const char *from, const char *to, uint16_t port)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, from, to, TCP_SYN, 0);
	struct net_pkt p = gb_parse(f, n);
	struct corr_ask a;
	const struct corr_track *e;
	uint8_t old[2];

	memcpy(old, f + p.l4_off, 2);
	net_put16(f + p.l4_off, port);
	net_csum_update(f + p.l4_off + NET_TCP_CSUM, old, f + p.l4_off, 2, false);
	p = gb_parse(f, n);
	gb_rx(f, n);
	gw_steer_ask(gw0, f, &p, false, &a);
	e = corr_track_find(&gw0->steer->tracks, &a.pkt.key);
	assert_non_null(e);
	return e->server;
}

static void shared_addresses_are_shared(void **state)
{
	uint32_t n[2] = {0};

	for (uint16_t i = 0; i < 200; i++) {
		const uint16_t first = syn(GB_CLIENT, VIP, (uint16_t)(1000 + i));

		n[first]++;
		assert_int_equal(syn(GB_CLIENT, VIP, (uint16_t)(1000 + i)), first);
		syn("fd77::2", VIP6, (uint16_t)(1000 + i));
	}
	assert_in_range(n[0], 60, 140);
	assert_int_equal(atomic_load(&gb.live->server[0].conns) +
				 atomic_load(&gb.live->server[1].conns),
			 400);
	/* an address of one server has no policy */
	assert_false(corr_policy_concerns(gb.policy, gb.cfg->server[0].addr[0].b));
}

/* A router's "too big" about what a server sent to the client. */
static void errors_go_to_the_server_they_quote(void **state)
{
	const struct net_addr router = gb_addr(ROUTER);
	uint8_t sent[2048], f[2048];
	struct net_pkt p;
	size_t n;

	syn(GB_CLIENT, VIP, 40000);
	n = gb_tcp(sent, VIP, GB_CLIENT, TCP_ACK, 100);
	p = gb_parse(sent, n);
	net_put16(sent + p.l4_off, 80);
	net_put16(sent + p.l4_off + 2, 40000);
	n = net_build_error(f, sizeof(f), sent, &p, &router, gb_client_mac, NET_ERROR_TOO_BIG,
			    1400);
	assert_true(n > 0);
	memcpy(f, &gb.port[0].mac, 6);
	gb_rx(f, n);
	assert_int_equal(gw0->stats.icmp_relayed, 1);
}

static void too_big_is_told(void **state)
{
	static const char *const ends[2][2] = {{GB_CLIENT, GB_SERVER}, {"fd77::2", "fd77::11"}};
	uint8_t f[2048], out[2048];

	gb.host[0].mtu = 1400;
	for (int i = 0; i < 2; i++) {
		size_t n = gb_tcp(f, ends[i][0], ends[i][1], TCP_ACK, 1400);
		struct net_pkt p = gb_parse(f, n);
		struct rte_mbuf *m = rte_pktmbuf_alloc(gw0->pool);
		const uint8_t *icmp;

		memcpy(rte_pktmbuf_append(m, (uint16_t)n), f, n);
		gw_native_to_host(gw0, &gb.host[0], m, &p);
		gw_port_flush(gw0);
		n = gb_tx(out);
		p = gb_parse(out, n);
		icmp = out + p.l4_off;
		assert_true(n <= (i ? 1280 : 576) + 14u);
		assert_int_equal(icmp[0], i ? NET_ICMP6_TOO_BIG : NET_ICMP_UNREACH);
		assert_int_equal(i ? net_get32(icmp + 4) : net_get16(icmp + 6), 1400);
	}
	assert_int_equal(gw0->stats.drop[GW_DROP_OVERSIZED], 2);
}

static void mss_fits_the_narrower_link(void **state)
{
	static const uint8_t with_mss[] = {1, 1, NET_OPT_TS, 10,	  0, 0,	   0,	0, 0,
					   0, 0, 0,	     NET_OPT_MSS, 4, 0x23, 0x28}; /* 9000 */
	struct net_flow flow = {.remote = gb_addr(GB_SERVER),
				.local = gb_addr(GB_CLIENT),
				.rport = htobe16(80),
				.lport = htobe16(4)};
	struct tcp_emit e = {.flags = TCP_SYN, .optlen = sizeof(with_mss)};
	struct rte_mbuf *m = rte_pktmbuf_alloc(gw0->pool);
	struct net_l2 l2 = {.dst = {2}, .src = {2}};
	uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
	struct tcp_seg seg;
	struct net_pkt p;
	uint16_t l4;
	size_t n;

	memcpy(e.opt, with_mss, sizeof(with_mss));
	n = net_build_tcp(f, 2048, &l2, &flow, &e, 0, TCP_SYN, 0, 0, &l4);
	net_tcp_csum_finish(f + l4, n - l4, 0);
	p = gb_parse(f, n);
	gw_mss_clamp(gw0, m, &p, 1400);
	p = gb_parse(f, n); /* its checksum is right */
	assert_int_equal(net_parse_tcp(f, &p, &seg), NET_PERR_OK);
	assert_int_equal(seg.mss, 1360);
	gw_mss_clamp(gw0, m, &p, 9000);
	assert_int_equal(gw0->stats.mss_clamped, 1);
	rte_pktmbuf_free(m);
}

static void servers_have_macs(void **state)
{
	static const uint8_t own[6] = {2, 0, 0, 0, 0xa, 1};
	uint8_t f[2048], out[2048];
	struct net_neigh_info info;
	struct net_pkt p;

	memcpy(&gb.cfg->server[0].mac[0], own, 6);
	gb.cfg->server[0].n_mac = 1;
	p = answered(f, gb_question(f, GB_CLIENT, GB_SERVER), out);
	assert_int_equal(net_neigh_read(out, &p, &info), 0);
	assert_memory_equal(info.sender_mac, own, 6);
	p = answered(f, gb_question(f, GB_CLIENT, VIP), out);
	assert_int_equal(net_neigh_read(out, &p, &info), 0);
	assert_memory_equal(info.sender_mac, &gb.port[0].mac, 6); /* shared: the port's */
	gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_SYN, 0);
	memcpy(f, own, 6);
	gb_rx(f, gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_SYN, 0));
	assert_int_equal(gw0->stats.drop[GW_DROP_FOREIGN_MAC], 0);
}

static void a_host_is_announced(void **state)
{
	uint8_t out[2048];
	struct net_neigh_info info;
	uint32_t arps = 0, nas = 0;
	size_t n;

	assert_int_equal(gw_announce_open(gw0), 0);
	gw_announce_host(&gb, &gb.host[0]);
	for (int i = 0; i < 50; i++) {
		gw0->now_ms += 100;
		gw_announce_run(gw0);
		gw_port_flush(gw0);
		while ((n = gb_tx(out))) {
			struct net_pkt p = gb_parse(out, n);

			assert_true(p.eth_mcast);
			assert_int_equal(net_neigh_read(out, &p, &info), 0);
			arps += p.ethertype == NET_ETHERTYPE_ARP;
			nas += p.ethertype == NET_ETHERTYPE_IP6;
		}
	}
	assert_int_equal(arps, 4); /* two addresses of each family, twice */
	assert_int_equal(nas, 4);
	assert_int_equal(gw0->stats.announcements, 8);
}

/* Two ports on one device, the second one tagged. */
static void vlans_have_ports(void **state)
{
	struct gw_port_cfg *five = &gb.cfg->port[1];
	struct net_addr target = gb_addr("10.78.0.11"), client = gb_addr("10.78.0.2");
	uint8_t f[2048], out[2048];
	struct net_neigh_info info;
	struct net_pkt p;
	size_t n;

	*five = gb.cfg->port[0];
	five->addr[0] = gb_addr("10.78.0.1");
	five->n_addr = 1;
	five->vlan = 5;
	gb.cfg->n_port = 2;
	gb.cfg->server[0].addr[gb.cfg->server[0].n_addr++] = target;
	publish();
	gb.port[1] = gb.port[0];
	gb.port[1].index = 1;
	gb.port[1].cfg = five;
	gb.n_port = 2;
	n = net_build_arp_request(f, sizeof(f), gb_client_mac, &client, &target, NULL, 5);
	p = answered(f, n, out);
	assert_int_equal(p.vlan, 5);
	assert_int_equal(net_neigh_read(out, &p, &info), 0);
	assert_true(net_addr_eq(&info.sender, &target));
	/* untagged, it is the first port's LAN, where nobody has the address asked for */
	n = gb_question(f, GB_CLIENT, GB_SERVER);
	p = answered(f, n, out);
	assert_int_equal(p.vlan, 0);
	/* the tag is gone where the frame goes on: it reaches the server natively */
	n = gb_tcp(f + 4, GB_CLIENT, "10.78.0.11", TCP_SYN, 0);
	memmove(f, f + 4, 12);
	net_put16(f + 12, NET_ETHERTYPE_VLAN);
	net_put16(f + 14, 5 | 3 << 13); /* with a priority */
	gb_rx(f, n + 4);
	assert_int_equal(gw0->stats.drop[GW_DROP_VLAN], 0);
	net_put16(f + 14, 6);
	gb_rx(f, n + 4);
	assert_int_equal(gw0->stats.drop[GW_DROP_VLAN], 1);
	gb.n_port = 1;
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(rejected_connections_are_reset),
		T(other_rejected_packets_are_prohibited),
		T(denied_packets_vanish),
		T(refusals_are_limited_in_rate),
		T(shared_addresses_are_shared),
		T(errors_go_to_the_server_they_quote),
		T(too_big_is_told),
		T(mss_fits_the_narrower_link),
		T(servers_have_macs),
		T(a_host_is_announced),
		T(vlans_have_ports),
	};

	return cmocka_run_group_tests(tests, gb_open, gb_close);
}
