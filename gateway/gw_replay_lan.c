/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_lan.c - the ports of a replay: DPDK's ring devices. What a capture holds is put into
 * a port's receive ring when its time has come; what the gateway sent is found in the other one.
 * Devices without checksum offload, so frames leave complete.
 */
#include <errno.h>
#include <pcap/dlt.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <string.h>

#include "gateway/gw_replay.h"

#define RX_ROOM 512
#define TX_ROOM 4096

/* The replay of a gateway: there is one at a time in a process. */
static struct gw_rep *replay;

/* Makes the device of a port. */
static int make_port(struct gw *gw, const struct gw_port_cfg *cfg, uint16_t *id)
{
	struct gw_rep_port *p = &replay->port[cfg - gw->cfg->port];
	char name[RTE_RING_NAMESIZE];
	int rc;

	snprintf(name, sizeof(name), "rx%td", cfg - gw->cfg->port);
	p->rx = rte_ring_create(name, RX_ROOM, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "tx%td", cfg - gw->cfg->port);
	p->tx = rte_ring_create(name, TX_ROOM, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!p->rx || !p->tx)
		return ENOMEM;
	snprintf(name, sizeof(name), "lan%td", cfg - gw->cfg->port);
	rc = rte_eth_from_rings(name, &p->rx, 1, &p->tx, 1, SOCKET_ID_ANY);
	if (rc < 0)
		return ENOMEM;
	p->id = *id = (uint16_t)rc;
	p->open = true;
	return 0;
}

/* What clients of a port send. */
static int read_input(struct gw_rep *r, struct gw_rep_port *p)
{
	char path[GW_REP_PATH + GW_NAMELEN + 32];
	int rc;

	snprintf(path, sizeof(path), "%s/%s-in.pcap", r->dir, p->file);
	rc = gw_rep_list_read(&p->in, path);
	if (rc == ENOENT) {
		snprintf(path, sizeof(path), "%s/%s-in.pcapng", r->dir, p->file);
		rc = gw_rep_list_read(&p->in, path);
	}
	if (rc == 0 && p->in.dlt != DLT_EN10MB) {
		gw_rep_fail(r, "%s-in: not a capture of Ethernet", p->file);
		rc = EINVAL;
	}
	return rc == ENOENT ? 0 : rc;
}

int gw_rep_lan_open(struct gw_rep *r)
{
	int rc = 0;

	replay = r;
	r->gw->probe = make_port;
	for (uint32_t i = 0; rc == 0 && i < r->cfg->n_port; i++) {
		struct gw_rep_port *p = &r->port[i];

		snprintf(p->file, sizeof(p->file), "%s", r->cfg->port[i].name);
		p->out.dlt = DLT_EN10MB;
		rc = read_input(r, p);
	}
	return rc;
}

void gw_rep_lan_close(struct gw_rep *r)
{
	for (uint32_t i = 0; i < GW_MAX_PORTS; i++) {
		rte_ring_free(r->port[i].rx);
		rte_ring_free(r->port[i].tx);
		gw_rep_list_free(&r->port[i].in);
		gw_rep_list_free(&r->port[i].out);
	}
}

uint64_t gw_rep_lan_due(const struct gw_rep *r)
{
	uint64_t due = UINT64_MAX;

	for (uint32_t i = 0; i < r->cfg->n_port; i++) {
		const struct gw_rep_port *p = &r->port[i];

		if (p->next_in < p->in.n)
			due = RTE_MIN(due, p->in.v[p->next_in].us);
	}
	return due;
}

/* One frame as a device would have received it; false: no buffer or no room. */
static bool receive(struct gw_rep *r, struct gw_rep_port *p, const struct gw_rep_pkt *pkt)
{
	struct rte_mbuf *m;
	void *at;

	if (!p->open || rte_ring_full(p->rx))
		return false;
	m = rte_pktmbuf_alloc(r->gw->worker[0]->pool);
	if (!m)
		return false;
	at = pkt->len <= UINT16_MAX ? rte_pktmbuf_append(m, (uint16_t)pkt->len) : NULL;
	if (!at) { /* longer than the device's largest frame: it would not take it either */
		rte_pktmbuf_free(m);
		return true;
	}
	memcpy(at, pkt->data, pkt->len);
	m->port = p->id;
	rte_ring_sp_enqueue(p->rx, m);
	r->fed++;
	r->fed_bytes += pkt->len;
	return true;
}

bool gw_rep_lan_feed(struct gw_rep *r)
{
	bool more = false;

	for (uint32_t i = 0; i < r->cfg->n_port; i++) {
		struct gw_rep_port *p = &r->port[i];

		while (p->next_in < p->in.n && p->in.v[p->next_in].us <= r->us) {
			if (p->open && !receive(r, p, &p->in.v[p->next_in])) {
				more = true;
				break;
			}
			p->next_in++;
		}
	}
	return more;
}

uint32_t gw_rep_lan_drain(struct gw_rep *r)
{
	uint32_t total = 0;
	void *obj;

	for (uint32_t i = 0; i < r->cfg->n_port; i++) {
		struct gw_rep_port *p = &r->port[i];

		while (p->tx && rte_ring_sc_dequeue(p->tx, &obj) == 0) {
			struct rte_mbuf *m = obj;
			struct iovec v[64];
			int n = 0;

			for (struct rte_mbuf *s = m; s && n < 64; s = s->next)
				v[n++] = (struct iovec){rte_pktmbuf_mtod(s, void *), s->data_len};
			if (!r->figure && gw_rep_list_add(&p->out, r->us, v, n))
				gw_rep_fail(r, "no memory for the frames of %s", p->file);
			rte_pktmbuf_free(m);
			total++;
		}
	}
	return total;
}
