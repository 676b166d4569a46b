/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_port_rss.c - which worker has which queue of a port, and what the device is told so that it
 * puts a flow's frames into the queue of the worker that has the flow (gw_spread.c).
 *
 * A device that has fewer queues than there are workers is read, and written, by some of them; the
 * ports share them out, so that the single queues of two ports are two workers'.
 */
#include <errno.h>
#include <rte_ethdev.h>
#include <string.h>

#include "gateway/gw_int.h"
#include "gateway/gw_spread.h"

#define KEY_LEN 40 /* bytes, when the device does not say */
#define TYPES                                                                                  \
	(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |             \
	 RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV4_OTHER | RTE_ETH_RSS_IPV6 |    \
	 RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP | \
	 RTE_ETH_RSS_NONFRAG_IPV6_OTHER)
#define NEEDED (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)

void gw_port_share(const struct gw *gw, struct gw_port *p, uint32_t queues)
{
	const uint32_t n = gw->n_worker, first = queues < n ? p->index : 0;

	p->n_queue = (uint16_t)RTE_MAX(RTE_MIN(queues, n), 1u);
	for (uint32_t i = 0; i < n; i++)
		p->queue[i] = -1;
	for (uint32_t q = 0; q < p->n_queue; q++)
		p->queue[(first + q) % n] = (int16_t)q;
	for (uint32_t i = 0; i < n; i++)
		p->sender[i] = (uint16_t)(p->queue[i] >= 0 ? i : (first + i % p->n_queue) % n);
}

void gw_port_rss(const struct gw_port *p, const struct rte_eth_dev_info *info,
		 struct rte_eth_conf *conf, uint8_t *key)
{
	struct rte_eth_rss_conf *rss = &conf->rx_adv_conf.rss_conf;
	const uint32_t len = info->hash_key_size ? info->hash_key_size : KEY_LEN;

	if (p->n_queue == 1 || !(info->flow_type_rss_offloads & TYPES) || len > GW_RSS_KEY_MAX)
		return; /* a software device may spread by itself, as af_packet does */
	gw_spread_key(key, len);
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	rss->rss_key = key;
	rss->rss_key_len = (uint8_t)len;
	rss->rss_hf = info->flow_type_rss_offloads & TYPES;
}

/* Fills the device's table from hashes to queues. 0 or errno. */
static int fill_table(const struct gw *gw, const struct gw_port *p, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 table[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE] =
		{0};

	if (!size || size > RTE_ETH_RSS_RETA_SIZE_512)
		return ENOTSUP;
	for (uint32_t i = 0; i < size; i++) {
		struct rte_eth_rss_reta_entry64 *e = &table[i / RTE_ETH_RETA_GROUP_SIZE];
		const uint32_t w = gw_spread_worker(i % GW_SPREAD_BUCKETS, gw->n_worker);

		e->mask |= UINT64_C(1) << i % RTE_ETH_RETA_GROUP_SIZE;
		e->reta[i % RTE_ETH_RETA_GROUP_SIZE] = (uint16_t)p->queue[p->sender[w]];
	}
	return -rte_eth_dev_rss_reta_update(p->id, table, size);
}

/* True unless the device says that it hashes under another key than it was given. */
static bool key_taken(const struct gw_port *p, const struct rte_eth_rss_conf *want)
{
	uint8_t key[GW_RSS_KEY_MAX];
	struct rte_eth_rss_conf has = {.rss_key = key, .rss_key_len = want->rss_key_len};

	return rte_eth_dev_rss_hash_conf_get(p->id, &has) ||
	       memcmp(key, want->rss_key, want->rss_key_len) == 0;
}

void gw_port_told(const struct gw *gw, struct gw_port *p, const struct rte_eth_dev_info *info,
		  const struct rte_eth_conf *conf)
{
	struct rte_eth_rss_conf rss = conf->rx_adv_conf.rss_conf;

	if (!rss.rss_key)
		return;
	rte_eth_dev_rss_hash_update(p->id, &rss); /* some take no key when they are configured */
	p->hw_spread = fill_table(gw, p, info->reta_size) == 0 && key_taken(p, &rss) &&
		       (rss.rss_hf & NEEDED) == NEEDED && p->n_queue == gw->n_worker &&
		       info->reta_size % GW_SPREAD_BUCKETS == 0;
}
