/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_host.c - the servers of a replay: what taghostd is to the gateway, played by a script.
 * Each has its own device of the software HCA, a native queue pair, a set, and an arena; it lives
 * on the thread that runs the gateway's worker, so its answers are there at the same instant.
 *
 * The bootstrap's JSON is left out: the script says what it would have agreed on, and the gateway
 * is told by the functions that its bootstrap calls (docs/protocol.md section 3).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_replay.h"
#include "tcpstack/net_wire.h"

#define UD_BUFS	   256u
#define UD_BUF	   8192u /* of a datagram, or of a frame on the native RC queue pair */
#define RC_BUF	   16384u
#define RING	   65536u /* bytes of a ring, unless a script wants another size */
#define CQ_DEPTH   8192
#define DEAD_TICKS 3
#define MAX_HOSTS  15u /* devices that the software HCA has beside the gateway's */

struct gw_rep_host *gw_rep_host_named(struct gw_rep *r, const char *name)
{
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++)
		if (r->gw->host[i].cfg && strcmp(r->gw->host[i].cfg->name, name) == 0)
			return &r->host[i];
	return NULL;
}

/* A frame that came natively: an accelerated connection's goes back. */
static void native_frame(struct gw_rep_host *s, const uint8_t *buf, uint32_t len)
{
	s->frames++;
	if (len > sizeof(struct ib_encap))
		gw_rep_bounce(s, buf + sizeof(struct ib_encap),
			      len - (uint32_t)sizeof(struct ib_encap));
}

static void on_recv(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
	struct gw_rep_host *s = qp->owner;
	bool ud = qp->type == IBV_QPT_UD;
	uint32_t grh = ud ? IB_GRH_LEN : 0;

	if (wc->status != IBV_WC_SUCCESS)
		return;
	if (wc->byte_len > grh)
		native_frame(s, (uint8_t *)cookie + grh, wc->byte_len - grh);
	ib_qp_recv(qp, cookie, ud ? UD_BUF : RC_BUF, s->rx.mr->lkey, cookie);
}

static void on_dead(struct ib_qp *qp, enum ibv_wc_status status)
{
	/* the gateway's tick notices as it does with a real host */
}

static const struct ib_qp_ops native_ops = {.recv = on_recv, .dead = on_dead};

void gw_rep_datagram(struct gw_rep_host *s, struct ib_qp *from, const void *data, uint32_t n,
		     int encap)
{
	const struct ib_encap head = {htobe16(IB_ENCAP_ETH), htobe16((uint16_t)encap)};
	struct ibv_sge sge = {.addr = (uintptr_t)s->tx.addr, .lkey = s->tx.mr->lkey};
	struct ib_addr gw;

	if (n + sizeof(head) > s->tx.len || !from->qp)
		return;
	if (encap >= 0) {
		memcpy(s->tx.addr, &head, sizeof(head));
		sge.length = sizeof(head);
	}
	memcpy((uint8_t *)s->tx.addr + sge.length, data, n);
	sge.length += n;
	ib_qp_addr(&s->rep->gw->worker[0]->ud, &gw);
	if (sge.length > s->dev.mtu && s->rc.qp)
		ib_qp_send(&s->rc, &sge, 1, NULL);
	else
		ib_qp_send_ud(from, s->ah, gw.qpn, &sge, 1, NULL);
	ib_cq_poll(&s->cq, 64);
}

/* Queue pairs for an attachment. */
static int qps_open(struct gw_rep_host *s)
{
	int rc = ib_qp_open(&s->ud, &s->dev, &s->cq, IBV_QPT_UD, 256, UD_BUFS, &native_ops, s);
	uint8_t *buf = s->rx.addr;

	for (uint32_t i = 0; rc == 0 && i < UD_BUFS; i++)
		rc = ib_qp_recv(&s->ud, buf + (size_t)i * UD_BUF, UD_BUF, s->rx.mr->lkey,
				buf + (size_t)i * UD_BUF);
	if (rc == 0)
		rc = ib_qp_open(&s->stranger, &s->dev, &s->cq, IBV_QPT_UD, 16, 1, &native_ops, s);
	if (rc == 0)
		rc = ib_set_open(&s->set, &s->dev, &s->cq, 256, &gw_rep_set_ops, s);
	return rc;
}

static void qps_close(struct gw_rep_host *s)
{
	if (s->set.impl)
		ib_set_fence(&s->set);
	ib_qp_fence(&s->rc);
	ib_qp_fence(&s->ud);
	if (s->cq.cq)
		while (ib_cq_poll(&s->cq, 256))
			;
	ib_set_close(&s->set);
	ib_qp_close(&s->rc);
	memset(&s->rc, 0, sizeof(s->rc));
	ib_qp_close(&s->stranger);
	ib_qp_close(&s->ud);
	if (s->ah)
		ibv_destroy_ah(s->ah);
	s->ah = NULL;
	s->ud.qp = s->stranger.qp = NULL;
}

/* The native queue pair for large frames, when the gateway made one. */
static int rc_open(struct gw_rep_host *s, struct gw_link *l, struct ib_addr *ours)
{
	uint8_t *buf = (uint8_t *)s->rx.addr + (size_t)UD_BUFS * UD_BUF;
	struct ib_addr gw;
	int rc;

	memset(ours, 0, sizeof(*ours));
	if (!l->rc.qp)
		return 0;
	rc = ib_qp_open(&s->rc, &s->dev, &s->cq, IBV_QPT_RC, GW_RC_SQ, GW_RC_RQ, &native_ops, s);
	for (uint32_t i = 0; rc == 0 && i < GW_RC_RQ; i++)
		rc = ib_qp_recv(&s->rc, buf + (size_t)i * RC_BUF, RC_BUF, s->rx.mr->lkey,
				buf + (size_t)i * RC_BUF);
	ib_qp_addr(&l->rc, &gw);
	if (rc == 0)
		rc = ib_qp_connect(&s->rc, &gw);
	if (rc == 0)
		ib_qp_addr(&s->rc, ours);
	return rc;
}

/* What the host says of itself, into the gateway's record of it. False: told. */
static bool hello(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l)
{
	const char *mac = l ? gw_rep_arg(l, "mac", NULL) : NULL;
	const char *addr = l ? gw_rep_arg(l, "address", NULL) : NULL;
	uint64_t epoch = l ? gw_rep_num(l, "epoch", s->epoch) : s->epoch;
	struct gw_host *h = s->h;

	if (h->state == GW_HOST_LOST) {
		if (epoch == h->epoch)
			gw_host_returned(r->gw, h);
		else
			gw_host_gone(r->gw, h);
	}
	s->epoch = h->epoch = epoch;
	s->lost_us = 0;
	memcpy(h->addr, h->cfg->addr, sizeof(h->addr));
	h->n_addr = h->cfg->n_addr;
	if (addr && net_addr_parse(addr, &h->addr[0]) == 0)
		h->n_addr = 1;
	h->mac = (struct rte_ether_addr){{2, 0, 0, 0, 2, (uint8_t)(h->id + 1)}};
	h->mtu = l ? (uint32_t)gw_rep_num(l, "mtu", 1500) : 1500;
	if (mac && rte_ether_unformat_addr(mac, &h->mac)) {
		gw_rep_fail_at(r, &r->script, l, "mac=%s is no MAC address", mac);
		return false;
	}
	ib_qp_addr(&s->ud, &h->native);
	return true;
}

/* Connects both ends and makes the gateway use the server. */
static int connect_all(struct gw_rep *r, struct gw_rep_host *s)
{
	struct gw_link *l = &s->h->link[0];
	struct ib_addr a[2], rc_addr, gw;
	int rc;

	ib_qp_addr(&r->gw->worker[0]->ud, &gw);
	s->ah = ib_ah(&s->dev, &gw);
	rc = s->ah ? 0 : ENOMEM;
	ib_set_addr(&l->set, a);
	if (rc == 0)
		rc = ib_set_connect(&s->set, a);
	if (rc == 0)
		rc = rc_open(s, l, &rc_addr);
	ib_set_addr(&s->set, a);
	if (rc == 0)
		rc = gw_host_up(r->gw, s->h, a, &rc_addr);
	return rc;
}

void gw_rep_detach(struct gw_rep *r, struct gw_rep_host *s, bool lost)
{
	if (!s->open)
		return;
	if (s->h->state == GW_HOST_UP || s->h->state == GW_HOST_GREETING)
		gw_host_down(r->gw, s->h, lost);
	if (s->h->state == GW_HOST_LOST)
		s->lost_us = r->us + r->cfg->host_timeout_ms * 1000ull;
	s->deaf = true;
	qps_close(s);
}

/* Its arena: host lines, gateway lines, send rings, receive rings. */
static int arena_open(struct gw_rep_host *s, uint32_t index, uint32_t ring)
{
	struct ib_arena *a = &s->layout;
	const int access =
		IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
	uint64_t base = (uint64_t)(index + 1) << 32; /* the same in each run */
	size_t lines = 4096, size;

	*a = (struct ib_arena){.id = 1, .slots = 16, .tx_size = ring, .rx_size = ring};
	size = lines + a->slots * (size_t)(a->tx_size + a->rx_size);
	if (posix_memalign((void **)&s->arena, 4096, size))
		return ENOMEM;
	memset(s->arena, 0, lines);
	s->arena_mr = ibv_reg_mr_iova(s->dev.pd, s->arena, size, base, access);
	if (!s->arena_mr)
		return errno ? errno : ENOMEM;
	a->host_base = base;
	a->gw_base = base + a->slots * sizeof(struct ib_host_line);
	a->tx_base = base + lines;
	a->rx_base = a->tx_base + (uint64_t)a->slots * a->tx_size;
	a->host_rkey = a->gw_rkey = a->tx_rkey = a->rx_rkey = s->arena_mr->rkey;
	return 0;
}

static void arena_close(struct gw_rep_host *s)
{
	if (s->arena_mr)
		ibv_dereg_mr(s->arena_mr);
	free(s->arena);
	s->arena = NULL;
	s->arena_mr = NULL;
}

/* What its kernel sends. */
static int read_input(struct gw_rep *r, struct gw_rep_host *s)
{
	char path[GW_REP_PATH + GW_NAMELEN + 16];
	int rc;

	snprintf(path, sizeof(path), "%s/%s-in.pcap", r->dir, s->h->cfg->name);
	rc = gw_rep_list_read(&s->in, path);
	return rc == ENOENT ? 0 : rc;
}

/* Device and memory of one server. */
static int host_open(struct gw_rep *r, uint32_t i)
{
	struct gw_rep_host *s = &r->host[i];
	char name[16], err[IB_ERRLEN];
	int rc;

	s->rep = r;
	s->h = &r->gw->host[i];
	s->epoch = 1;
	snprintf(name, sizeof(name), "soft%u", 1 + i % MAX_HOSTS);
	rc = ib_dev_open(&s->dev, name, 1, 0, err);
	if (rc) {
		gw_rep_fail(r, "%s", err);
		return rc;
	}
	s->open = true;
	r->n_host = RTE_MAX(r->n_host, i + 1);
	s->dev.next_psn = ((i + 2) << 20) + 1;
	rc = ib_cq_open(&s->cq, &s->dev, CQ_DEPTH, false);
	if (rc == 0)
		rc = ib_mem_alloc(&s->rx, &s->dev,
				  (size_t)UD_BUFS * UD_BUF + (size_t)GW_RC_RQ * RC_BUF,
				  IBV_ACCESS_LOCAL_WRITE);
	if (rc == 0)
		rc = ib_mem_alloc(&s->tx, &s->dev, RC_BUF, IBV_ACCESS_LOCAL_WRITE);
	if (rc == 0)
		rc = arena_open(s, i, RING);
	if (rc)
		gw_rep_fail(r, "server %s: %s", s->h->cfg->name, strerror(rc));
	return rc ? rc : read_input(r, s);
}

int gw_rep_attach(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l)
{
	int rc = s->open ? 0 : host_open(r, (uint32_t)(s - r->host));
	uint32_t size = l ? (uint32_t)gw_rep_num(l, "ring", RING) : RING;

	if (rc == 0 && size != s->layout.tx_size) {
		arena_close(s);
		rc = arena_open(s, (uint32_t)(s - r->host), size);
	}
	if (rc == 0)
		rc = qps_open(s);
	if (rc == 0 && !hello(r, s, l))
		return EINVAL;
	if (rc == 0)
		rc = gw_host_greet(r->gw, s->h);
	if (rc == 0)
		rc = connect_all(r, s);
	if (rc) {
		gw_rep_fail(r, "server %s does not attach: %s", s->h->cfg->name, strerror(rc));
		return rc;
	}
	s->deaf = false;
	s->dead_ticks = 0;
	s->h->arena[0] = s->layout;
	atomic_store(&s->h->n_arena, 1);
	return 0;
}

/* True when the script begins with a server by saying whether it attaches. */
static bool scripted(struct gw_rep *r, const struct gw_rep_host *s)
{
	for (uint32_t i = 0; i < r->script.n; i++) {
		const struct gw_rep_line *l = &r->script.line[i];

		if (gw_rep_host_named(r, l->word[0]) == s)
			return strcmp(l->word[1], "attach") == 0 ||
			       strcmp(l->word[1], "absent") == 0;
	}
	return false;
}

int gw_rep_hosts_open(struct gw_rep *r)
{
	for (uint32_t i = 0; i < r->cfg->n_server; i++) {
		int rc = host_open(r, i);

		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < r->n_host; i++)
		if (!scripted(r, &r->host[i]) && gw_rep_attach(r, &r->host[i], NULL))
			return EIO;
	return 0;
}

void gw_rep_hosts_close(struct gw_rep *r)
{
	for (uint32_t i = 0; r->host && i < r->n_host; i++) {
		struct gw_rep_host *s = &r->host[i];

		gw_rep_list_free(&s->in);
		if (!s->open)
			continue;
		gw_rep_detach(r, s, false);
		arena_close(s);
		ib_mem_free(&s->rx);
		ib_mem_free(&s->tx);
		if (s->cq.cq)
			ib_cq_close(&s->cq);
		ib_dev_close(&s->dev);
	}
	free(r->host);
	r->host = NULL;
}

uint64_t gw_rep_hosts_due(const struct gw_rep *r)
{
	uint64_t due = UINT64_MAX;

	for (uint32_t i = 0; i < r->n_host; i++) {
		const struct gw_rep_host *s = &r->host[i];

		if (s->next_in < s->in.n)
			due = RTE_MIN(due, s->in.v[s->next_in].us);
		if (s->lost_us)
			due = RTE_MIN(due, s->lost_us);
	}
	return due;
}

void gw_rep_hosts_feed(struct gw_rep *r)
{
	for (uint32_t i = 0; i < r->n_host; i++) {
		struct gw_rep_host *s = &r->host[i];

		while (s->next_in < s->in.n && s->in.v[s->next_in].us <= r->us) {
			const struct gw_rep_pkt *p = &s->in.v[s->next_in++];

			if (!s->deaf)
				gw_rep_datagram(s, &s->ud, p->data, p->len, 0);
			r->fed++;
			r->fed_bytes += p->len;
		}
		if (s->lost_us && s->lost_us <= r->us) {
			s->lost_us = 0;
			gw_host_gone(r->gw, s->h);
		}
	}
}

uint32_t gw_rep_hosts_poll(struct gw_rep *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n_host; i++) {
		struct gw_rep_host *s = &r->host[i];

		if (s->deaf || !s->set.impl)
			continue;
		n += (uint32_t)ib_cq_poll(&s->cq, 256);
		n += gw_rep_conns_poll(s);
		ib_set_flush(&s->set);
	}
	return n;
}

void gw_rep_hosts_tick(struct gw_rep *r)
{
	for (uint32_t i = 0; i < r->n_host; i++) {
		struct gw_rep_host *s = &r->host[i];
		const struct gw_link *l = &s->h->link[0];

		if (s->h->state == GW_HOST_UP && l->up && (l->set.dead || l->rc.dead) &&
		    ++s->dead_ticks >= DEAD_TICKS)
			gw_rep_detach(r, s, false);
	}
}
