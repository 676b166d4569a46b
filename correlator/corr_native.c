/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_native.c - the two native maps as one immutable snapshot (Pettey, figure 10): destination
 * IP to server, and source work queue to server. Built by the control thread, then only read, so
 * any number of workers may look things up at once.
 *
 * A server with both a LID and a GID (InfiniBand with a global route header) is found by either.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "correlator/corr_int.h"

/** Key of the IBA-to-TCP native map. */
struct source_key {
	uint8_t gid[16]; /* zero: by LID */
	uint32_t qpn;	 /* host byte order */
	uint32_t lid;	 /* host byte order, 0 when by GID */
};
static_assert(sizeof(struct source_key) == 24, "keys are hashed and compared as bytes");

/** One entry of the TCP-to-IBA native map. */
struct native_addr {
	uint8_t addr[16]; /* destination IP */
	uint32_t server;  /* index into servers[] */
	uint32_t next;	  /* entry of the next server with this address, + 1; 0: none */
};

/** A snapshot. */
struct corr_native {
	struct rte_hash *by_addr;    /* IP -> index + 1 of its first entry in addrs[] */
	struct rte_hash *by_source;  /* struct source_key -> index + 1 into servers[] */
	struct corr_server *servers; /* owned copies; never moved, so pointers into it stay good */
	struct native_addr *addrs;   /* in the order they were added, for listing */
	uint32_t n_servers;	     /* used entries of servers[] */
	uint32_t max_servers;	     /* room of servers[] */
	uint32_t n_addrs;	     /* used entries of addrs[] */
	uint32_t max_addrs;	     /* room of addrs[] */
};

static const uint8_t no_gid[16];

/* Fills a key; gid NULL: by LID. */
static void source_key(struct source_key *k, uint16_t lid, const uint8_t *gid, uint32_t qpn)
{
	memcpy(k->gid, gid ? gid : no_gid, sizeof(k->gid));
	k->lid = gid ? 0 : lid;
	k->qpn = qpn & 0xffffff;
}

/* Index of a key, or -1. */
static int64_t find(const struct rte_hash *h, const void *key)
{
	void *data;

	return rte_hash_lookup_data(h, key, &data) < 0 ? -1 : (int64_t)(uintptr_t)data - 1;
}

/* Adds key -> index. 0 or a positive errno. */
static int add(struct rte_hash *h, const void *key, uint32_t index)
{
	return -rte_hash_add_key_data(h, key, (void *)((uintptr_t)index + 1));
}

struct corr_native *corr_native_new(uint32_t servers, uint32_t addrs)
{
	struct corr_native *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->max_servers = servers;
	m->max_addrs = addrs;
	m->servers = calloc(servers ? servers : 1, sizeof(*m->servers));
	m->addrs = calloc(addrs ? addrs : 1, sizeof(*m->addrs));
	m->by_addr = corr_hash_new(addrs, 16);
	m->by_source = corr_hash_new(2 * servers, sizeof(struct source_key));
	if (!m->servers || !m->addrs || !m->by_addr || !m->by_source) {
		corr_native_free(m);
		return NULL;
	}
	return m;
}

void corr_native_free(struct corr_native *m)
{
	if (!m)
		return;
	rte_hash_free(m->by_addr);
	rte_hash_free(m->by_source);
	free(m->servers);
	free(m->addrs);
	free(m);
}

/* Index of the server with the caller's id, or -1. Control thread only: a plain search. */
static int64_t find_id(const struct corr_native *m, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < m->n_servers; i++) {
		if (m->servers[i].id == id)
			return i;
	}
	return -1;
}

int corr_native_add_server(struct corr_native *m, const struct corr_server *s)
{
	const struct corr_fabric_addr *fa = &s->native;
	const bool has_gid = memcmp(fa->gid, no_gid, sizeof(no_gid)) != 0;
	struct source_key by_lid, by_gid;
	int err = 0;

	source_key(&by_lid, fa->lid, NULL, fa->qpn);
	source_key(&by_gid, 0, fa->gid, fa->qpn);
	if (find_id(m, s->id) >= 0 || (fa->lid && find(m->by_source, &by_lid) >= 0) ||
	    (has_gid && find(m->by_source, &by_gid) >= 0))
		return EEXIST;
	if (m->n_servers == m->max_servers)
		return ENOSPC;
	if (fa->lid)
		err = add(m->by_source, &by_lid, m->n_servers);
	if (!err && has_gid)
		err = add(m->by_source, &by_gid, m->n_servers);
	if (err) {
		if (fa->lid)
			rte_hash_del_key(m->by_source, &by_lid);
		return err;
	}
	m->servers[m->n_servers++] = *s;
	return 0;
}

int corr_native_add_addr(struct corr_native *m, const uint8_t addr[16], uint32_t server_id)
{
	const int64_t i = find_id(m, server_id);
	int64_t first;
	int err;

	if (i < 0)
		return ENOENT;
	if (corr_native_owns(m, server_id, addr))
		return EEXIST;
	if (m->n_addrs == m->max_addrs)
		return ENOSPC;
	first = find(m->by_addr, addr);
	err = first < 0 ? add(m->by_addr, addr, m->n_addrs) : 0;
	if (err)
		return err;
	m->addrs[m->n_addrs].next = 0;
	if (first >= 0) { /* behind the last of this address */
		while (m->addrs[first].next)
			first = m->addrs[first].next - 1;
		m->addrs[first].next = m->n_addrs + 1;
	}
	memcpy(m->addrs[m->n_addrs].addr, addr, 16);
	m->addrs[m->n_addrs++].server = (uint32_t)i;
	return 0;
}

const struct corr_server *corr_native_by_addr(const struct corr_native *m, const uint8_t addr[16])
{
	const int64_t i = find(m->by_addr, addr);

	return i < 0 ? NULL : &m->servers[m->addrs[i].server];
}

const struct corr_server *corr_native_by_source(const struct corr_native *m, uint16_t slid,
						const uint8_t *sgid, uint32_t qpn)
{
	struct source_key k;
	int64_t i;

	source_key(&k, slid, sgid, qpn);
	i = find(m->by_source, &k);
	return i < 0 ? NULL : &m->servers[i];
}

bool corr_native_owns(const struct corr_native *m, uint32_t server_id, const uint8_t addr[16])
{
	int64_t i = find(m->by_addr, addr);

	while (i >= 0) {
		if (m->servers[m->addrs[i].server].id == server_id)
			return true;
		i = (int64_t)m->addrs[i].next - 1;
	}
	return false;
}

bool corr_native_next(const struct corr_native *m, uint32_t *it, struct corr_native_entry *e)
{
	const struct native_addr *a;

	if (*it >= m->n_addrs)
		return false;
	a = &m->addrs[(*it)++];
	memcpy(e->addr, a->addr, 16);
	e->server = &m->servers[a->server];
	return true;
}
