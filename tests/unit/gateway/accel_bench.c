/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * accel_bench.c - the world around acceleration (accel_bench.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel_bench.h"
#include "tcpstack/net_wire.h"
#include "gateway/gw_log.h"

struct bench B;

uint32_t b_rand(uint32_t n)
{
	B.rng = B.rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(B.rng >> 33) % n;
}

/* Byte at an offset of a stream: up is the client's. */
static uint8_t pattern(const struct b_conn *k, bool up, uint64_t off)
{
	uint64_t x = (off + 1) * 0x9e3779b97f4a7c15ull + k->slot * 77 + up * 13;

	return (uint8_t)(x >> 40);
}

/* --- the rest of the gateway ------------------------------------------------------------- */

void gw_port_tx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m)
{
	if (B.n_to_client == RTE_DIM(B.to_client) || (B.loss && b_rand(10000) < B.loss) ||
	    (B.hop && !B.hop(m))) {
		rte_pktmbuf_free(m);
		return;
	}
	B.to_client[B.n_to_client++] = m;
}

int gw_neigh_lookup(struct gw_worker *w, const struct net_addr *dst, struct gw_next_hop *nh)
{
	nh->port = &w->gw->port[0];
	memset(&nh->mac, 0x22, sizeof(nh->mac));
	return B.no_route ? EAGAIN : 0;
}

void gw_native_to_host(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		       const struct net_pkt *p)
{
	assert_true(B.n_native < RTE_DIM(B.native));
	B.native[B.n_native++] = m;
}

void gw_flows_ended(struct gw_worker *w, const struct net_flow *f)
{
}

void gw_flows_reason(struct gw_worker *w, const struct net_flow *f, uint32_t host, enum ib_reason r)
{
	B.reason = r;
}

void gw_flows_carried(struct gw_worker *w, const struct net_flow *f, uint64_t tx_bytes,
		      uint64_t rx_bytes, uint64_t born_us)
{
	B.carried_tx += tx_bytes;
	B.carried_rx += rx_bytes;
}

bool gw_steer_native(struct gw_worker *w, const struct net_flow *f)
{
	return false;
}

void gw_flows_end(struct gw_worker *w, const struct net_flow *f)
{
	B.ended++;
}

void gw_event(struct gw_worker *w, enum gw_event kind, const char *fmt, ...)
{
	B.events++;
}

/* --- memory of the host ------------------------------------------------------------------ */

struct ib_host_line *b_host_line(uint16_t slot)
{
	return (struct ib_host_line *)(B.mem + slot * sizeof(struct ib_host_line));
}

struct ib_gw_line *b_gw_line(uint16_t slot)
{
	return (struct ib_gw_line *)(B.mem + B_OFF_GW + slot * sizeof(struct ib_gw_line));
}

uint8_t *b_tx_ring(uint16_t slot)
{
	return B.mem + B_OFF_TX + slot * B_RING;
}

uint8_t *b_rx_ring(uint16_t slot)
{
	return B.mem + B_OFF_RX + slot * B_RING;
}

const struct tcp_conn *b_tcp(const struct b_conn *k)
{
	static struct tcp_conn room[8];

	return gw_live_look(b_gw(k), &room[k->slot % 8]);
}

struct gw_conn *b_gw(const struct b_conn *k)
{
	return corr_accel_by_token(B.w->accel->map, k->token);
}

/* --- messages ---------------------------------------------------------------------------- */

static void host_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	uint32_t size = ib_msg_entry_size(mid);

	for (int i = 0; i < n; i++) {
		struct b_msg *m = &B.msg[B.n_msg % B_MSGS];

		B.n_msg++;
		m->mid = mid;
		memcpy(&m->ctl, (const uint8_t *)entries + i * size, size);
	}
}

static void host_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
	fail_msg("the gateway sent a malformed message");
}

static void host_dead(struct ib_set *s, enum ibv_wc_status status)
{
	B.host_dead = true;
}

const struct ib_set_ops b_host_ops = {.msg = host_msg, .bad = host_bad, .dead = host_dead};

void b_send(uint8_t mid, const void *entry)
{
	ib_set_msg(&B.hset, mid, entry);
	ib_set_flush(&B.hset);
}

void b_ctl(uint8_t mid, uint32_t token, uint32_t req_id, enum ib_reason r)
{
	struct ib_ctl m = {.token = htobe32(token), .req_id = req_id, .reason = htobe16(r)};

	b_send(mid, &m);
}

struct b_msg *b_find(uint8_t mid)
{
	for (uint32_t i = 0; i < B.n_msg && i < B_MSGS; i++) {
		if (B.msg[i].mid == mid)
			return &B.msg[i];
	}
	return NULL;
}

struct b_msg *b_wait(uint8_t mid)
{
	struct b_msg *m;

	for (int i = 0; i < 20000; i++) {
		m = b_find(mid);
		if (m)
			return m;
		b_step(100);
	}
	fail_msg("%s did not come", ib_mid_name(mid));
	return NULL;
}

/* --- the program ------------------------------------------------------------------------- */

static void doorbell(struct b_conn *k)
{
	struct ib_host_line *h = b_host_line(k->slot);
	struct ib_cursor m = {.token = htobe32(k->token),
			      .flags = htobe32(h->flags),
			      .cursor = htobe64(h->tx_prod),
			      .other = htobe64(h->rx_cons)};

	B.doorbells++;
	b_send(IB_MID_SRC_AVAIL, &m);
}

/* Moves bytes like a program does, with the doorbells of ib_line.h. */
static void program(struct b_conn *k)
{
	struct ib_host_line *h = b_host_line(k->slot);
	struct ib_gw_line *g = b_gw_line(k->slot);
	uint64_t room = B_RING - (k->produced - g->tx_acked), n = k->to_send - k->produced;
	uint64_t before = k->produced, taken = k->consumed;
	bool ring = false;

	if (!k->token || k->manual || g->token != k->token || g->flags & IB_GL_BACK)
		return;
	if (n > room)
		n = room;
	for (uint64_t i = 0; i < n; i++)
		b_tx_ring(k->slot)[(k->produced + i) % B_RING] = pattern(k, false, k->produced + i);
	k->produced += n;
	h->tx_prod = k->produced;
	ring |= before <= g->arm_tx && k->produced > g->arm_tx;
	for (uint64_t o = k->consumed; o < g->rx_prod && (!k->pace || o < taken + k->pace); o++) {
		assert_int_equal(b_rx_ring(k->slot)[o % B_RING], pattern(k, true, o));
		k->consumed = o + 1;
	}
	h->rx_cons = k->consumed;
	ring |= taken <= g->arm_rx && k->consumed > g->arm_rx;
	if (k->close && !k->closed && k->produced == k->to_send) {
		h->flags |= IB_HL_TX_FIN;
		k->closed = true;
		ring = true;
	}
	if (ring)
		doorbell(k);
}

/* --- the client -------------------------------------------------------------------------- */

static int client_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

struct rte_mbuf *b_frame(const struct b_conn *k, const struct tcp_emit *e)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(B.w->pool);
	struct net_flow back = {k->flow.local, k->flow.remote, k->flow.lport, k->flow.rport};
	struct net_l2 l2 = {.dst = {2}, .src = {4}};
	uint32_t sum = 0;
	uint16_t l4;
	uint8_t *p;
	size_t n;

	assert_non_null(m);
	p = rte_pktmbuf_mtod(m, uint8_t *);
	n = net_build_tcp(p, 200, &l2, &back, e, e->seq, e->flags, e->len, 1, &l4);
	assert_true(n > 0);
	for (uint32_t i = 0; i < e->len; i++)
		p[n + i] = pattern(k, true, e->seq + i - k->cisn);
	sum = net_csum_add(0, p + n, e->len, false);
	net_tcp_csum_finish(p + l4, n - l4, sum);
	m->data_len = (uint16_t)(n + e->len);
	m->pkt_len = m->data_len;
	return m;
}

static int client_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct b_conn *k = (struct b_conn *)c;
	struct tcp_emit s = *e;

	for (uint32_t off = 0; off == 0 || off < e->len; off += s.len) {
		s.seq = e->seq + off;
		s.len = e->len - off < e->mss ? e->len - off : e->mss;
		s.flags = tcp_emit_flags(e, off, s.len);
		if (B.n_to_gw == RTE_DIM(B.to_gw) || (B.loss && b_rand(10000) < B.loss))
			goto next;
		B.to_gw[B.n_to_gw++] = b_frame(k, &s);
	next:
		if (!e->len)
			break;
	}
	return 0;
}

static void client_acked(struct tcp_conn *c, uint32_t una)
{
}

static void client_event(struct tcp_conn *c, enum tcp_event ev)
{
	struct b_conn *k = (struct b_conn *)c;

	k->events[ev]++;
	k->rst |= ev == TCP_E_RESET;
	k->fin |= ev == TCP_E_FIN;
}

static const struct tcp_ops client_ops = {client_want, client_emit, client_acked, client_event};

void b_client_send(struct b_conn *k, uint32_t n)
{
	k->up_total += n;
	tcp_produced(&k->c, n, B.w->now_us);
}

/* A frame reaches the client: everything about it is checked. */
static void client_rx(struct rte_mbuf *m)
{
	static uint8_t buf[2048];
	uint32_t len = rte_pktmbuf_pkt_len(m);
	struct b_conn *k = NULL;
	struct tcp_rx_pos pos;
	struct tcp_seg seg;
	struct net_pkt p;
	struct tcp_rx rx;
	uint8_t *tcp;
	size_t hlen;

	assert_true(len <= (uint32_t)RTE_ETHER_HDR_LEN + B.gw->cfg->port[0].mtu);
	for (struct rte_mbuf *s = m; s; s = s->next) {
		memcpy(buf + len - rte_pktmbuf_pkt_len(m), rte_pktmbuf_mtod(s, void *),
		       s->data_len);
		m->pkt_len -= s->data_len;
	}
	assert_int_equal(m->pkt_len, 0);
	assert_true(m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM);
	tcp = buf + m->l2_len + m->l3_len;
	hlen = m->l4_len;
	net_tcp_csum_finish(tcp, hlen, net_csum_add(0, tcp + hlen, buf + len - tcp - hlen, false));
	rte_pktmbuf_free(m);
	assert_int_equal(net_parse(buf, len, NET_F_CSUM_L4 | NET_F_CSUM_IP, &p), NET_PERR_OK);
	assert_int_equal(net_parse_tcp(buf, &p, &seg), NET_PERR_OK);
	if (B.wild)
		return;
	for (uint32_t i = 0; i < B.n_conn; i++) {
		if (B.conn[i]->flow.rport == p.dport)
			k = B.conn[i];
	}
	assert_non_null(k);
	for (uint32_t i = 0; i < seg.len; i++)
		assert_int_equal(buf[p.payload_off + i],
				 pattern(k, false, (uint64_t)(seg.seq + i - k->sisn)));
	tcp_input(&k->c, &seg, B.w->now_us, &rx);
	tcp_rx_get(&k->c, &pos);
	k->got = pos.rcv_nxt - pos.fin - k->sisn;
	tcp_room(&k->c, pos.rcv_nxt + 262144, B.w->now_us);
	tcp_placed(&k->c, &pos, B.w->now_us);
}

static void client_run(struct b_conn *k)
{
	if (tcp_deadline(&k->c, B.w->now_us) <= B.w->now_us)
		tcp_timer(&k->c, B.w->now_us);
	tcp_output(&k->c, B.w->now_us);
}

/* --- steps ------------------------------------------------------------------------------- */

void b_parse(struct rte_mbuf *m, struct net_pkt *p)
{
	assert_int_equal(net_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len,
				   NET_F_CSUM_L4 | NET_F_CSUM_IP, p),
			 NET_PERR_OK);
}

/* Frames from the client, in bursts as a worker sees them. */
static void to_gateway(void)
{
	uint32_t n = B.n_to_gw;
	struct net_pkt p;

	B.n_to_gw = 0;
	for (uint32_t i = 0; i < n; i++) {
		b_parse(B.to_gw[i], &p);
		if (p.proto == NET_PROTO_TCP && gw_accel_rx(B.w, &B.gw->port[0], B.to_gw[i], &p))
			continue;
		if (p.proto != NET_PROTO_TCP && gw_accel_icmp(B.w, B.to_gw[i], &p)) {
			rte_pktmbuf_free(B.to_gw[i]);
			continue;
		}
		assert_true(B.n_native < RTE_DIM(B.native));
		B.native[B.n_native++] = B.to_gw[i];
	}
}

void b_step(uint64_t us)
{
	uint32_t n;

	B.w->now_us += us;
	B.w->now_ms = B.w->now_us / 1000;
	for (uint32_t i = 0; i < B.n_conn && !B.wild; i++) {
		program(B.conn[i]);
		client_run(B.conn[i]);
	}
	ib_cq_poll(&B.hcq, 64);
	to_gateway();
	ib_cq_poll(&B.w->cq, 64);
	gw_accel_run(B.w);
	ib_cq_poll(&B.hcq, 64);
	n = B.n_to_client;
	B.n_to_client = 0;
	for (uint32_t i = 0; i < n; i++)
		client_rx(B.to_client[i]);
}

bool b_until(bool (*fn)(struct b_conn *), struct b_conn *k, uint64_t limit_us)
{
	uint64_t end = B.w->now_us + limit_us;

	while (!fn(k)) {
		if (B.w->now_us > end)
			return false;
		b_step(100);
	}
	return true;
}

static bool transferred(struct b_conn *k)
{
	return k->got == k->to_send && k->consumed == k->up_total;
}

bool b_transfer(struct b_conn *k, uint64_t limit_us)
{
	return b_until(transferred, k, limit_us);
}

/* --- connections ------------------------------------------------------------------------- */

struct b_conn *b_conn_new(uint16_t slot)
{
	struct b_conn *k = calloc(1, sizeof(*k));
	struct tcp_state_io st = {.version = TCP_STATE_VERSION,
				  .state = TCP_S_ESTABLISHED,
				  .snd_wscale = 7,
				  .rcv_wscale = 7,
				  .wscale_ok = true,
				  .sack_ok = true,
				  .ts_ok = true,
				  .mss = 1460};

	assert_non_null(k);
	k->slot = slot;
	k->req_id = 100 + slot;
	k->sisn = 0xffff0000u + slot;
	k->cisn = 0xfffff000u + slot;
	/* Every fourth is IPv6. */
	net_addr_parse(slot % 4 == 3 ? "fd77::2" : "10.77.0.2", &k->flow.remote);
	net_addr_parse(slot % 4 == 3 ? "fd77::11" : "10.77.0.11", &k->flow.local);
	st.mss = slot % 4 == 3 ? 1440 : 1460;
	k->flow.rport = htobe16(1000 + slot);
	k->flow.lport = htobe16(80);
	st.snd_una = st.snd_nxt = st.snd_avail = k->cisn;
	st.snd_wnd = st.max_wnd = B_RING;
	st.rcv_nxt = k->sisn;
	st.rcv_edge = st.rcv_room = k->sisn + 262144;
	st.snd_wl1 = k->sisn;
	st.snd_wl2 = k->cisn;
	st.ts_val = 5000;
	B.client.ops = &client_ops;
	assert_int_equal(tcp_import(&k->c, &B.client, &st, B.w->now_us), 0);
	B.conn[B.n_conn++] = k;
	return k;
}

void b_req(const struct b_conn *k, struct ib_req *r)
{
	memset(r, 0, sizeof(*r));
	r->req_id = k->req_id;
	r->arena = htobe16(3);
	r->slot = htobe16(k->slot);
	r->flags = IB_REQ_WSCALE | IB_REQ_SACK | IB_REQ_TS;
	r->snd_wscale = r->rcv_wscale = 7;
	memcpy(r->remote, k->flow.remote.b, 16);
	memcpy(r->local, k->flow.local.b, 16);
	r->rport = k->flow.rport;
	r->lport = k->flow.lport;
	r->mss = htobe32(1460); /* of IPv6: clamped by the port's MTU */
	r->snd_una = r->snd_nxt = htobe32(k->sisn);
	r->snd_wnd = r->max_wnd = htobe32(262144);
	r->snd_wl1 = htobe32(k->cisn);
	r->rcv_nxt = htobe32(k->cisn);
	r->rcv_edge = htobe32(k->cisn + B_RING);
	r->ts_val = htobe32(7000);
	r->ip = htobe32(k->ip);
}

void b_take(struct b_conn *k)
{
	struct ib_host_line *h = b_host_line(k->slot);
	struct ib_gw_line *g = b_gw_line(k->slot);
	struct ib_req req;
	struct b_msg *m;

	memset(h, 0, sizeof(*h));
	h->flags = k->ip;
	memset(g, 0, sizeof(*g));
	g->arm_tx = g->arm_rx = IB_ARM_NEVER;
	b_req(k, &req);
	b_send(IB_MID_REQ, &req);
	m = b_wait(IB_MID_GRANT);
	assert_int_equal(m->grant.req_id, k->req_id);
	k->token = be32toh(m->grant.token);
	m->mid = 0;
	assert_int_equal(be32toh(m->grant.epoch), B.gw->epoch);
	h->token = g->token = k->token;
	b_ctl(IB_MID_COMMIT, k->token, k->req_id, IB_R_NONE);
	b_step(10);
	b_step(10);
	assert_non_null(b_gw(k));
}
