/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_service.c - services and the choice of a server for a new flow.
 *
 * The Maglev tables follow from names and weights only. A server that is down, drained, full or in
 * its slow start keeps its places; a flow that meets it there goes on to the place that the next
 * number of its own sequence gives. So its flows spread over the others by their weights, no flow
 * of the others moves, and a server whose health flaps costs no rebuilding. During a slow start
 * (and under load) a server takes the flows whose number is below its share, always the same ones.
 */
#include "correlator/corr_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "correlator/corr_int.h"

#define PROBES 64 /* places tried before everybody is asked in turn */

struct corr_services {
	struct corr_sip_key key;      /* of all hashes */
	struct corr_service *service; /* sorted by address when done, then as added */
	struct rte_hash *by_addr;     /* address -> index of its first service + 1 */
	uint32_t n, max;	      /* used, allocated */
};

static const char *const balance_names[] = {
#define _(sym, name) name,
	CORR_FOREACH_BALANCE(_)
#undef _
};

const char *corr_balance_name(enum corr_balance b)
{
	return balance_names[b];
}

int corr_live_open(struct corr_live *live, uint32_t clients)
{
	int rc = corr_marks_open(&live->clients, clients);

	return rc ? rc : corr_marks_open(&live->affinity, clients);
}

void corr_live_close(struct corr_live *live)
{
	corr_marks_close(&live->clients);
	corr_marks_close(&live->affinity);
}

struct corr_services *corr_services_new(const struct corr_sip_key *key, uint32_t max)
{
	struct corr_services *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->key = *key;
	s->max = max;
	s->service = calloc(max + 1, sizeof(*s->service));
	if (!s->service) {
		free(s);
		return NULL;
	}
	return s;
}

static void service_free(struct corr_service *v)
{
	free(v->member);
	free(v->table[0]);
	free(v->table[1]);
}

void corr_services_free(struct corr_services *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		service_free(&s->service[i]);
	rte_hash_free(s->by_addr);
	free(s->service);
	free(s);
}

/* Makes the table of servers (group 0) or backups (1), when there are two at least. */
static int build(const struct corr_sip_key *key, struct corr_service *v, int group)
{
	struct corr_maglev_member m[CORR_MAGLEV_MEMBERS];
	uint32_t of_group = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		const bool here = v->member[i].backup == (group == 1);

		m[i].name = v->member[i].name;
		m[i].weight = here ? v->member[i].weight : 0;
		of_group += here;
	}
	if (of_group < 2)
		return 0;
	v->table[group] = malloc(v->size);
	if (!v->table[group])
		return ENOMEM;
	return corr_maglev_build(key, m, v->n, v->table[group], v->size);
}

int corr_services_add(struct corr_services *s, const struct corr_service_cfg *cfg,
		      const struct corr_member *m, uint32_t n)
{
	struct corr_service *v = &s->service[s->n];
	int rc = 0;

	if (s->n == s->max)
		return ENOSPC;
	if (n > CORR_MAGLEV_MEMBERS || (cfg->id >= CORR_MAX_SERVICES && cfg->id != CORR_NONE))
		return EINVAL;
	for (uint32_t i = 0; i < n; i++)
		if (m[i].server >= CORR_MAX_SERVERS || m[i].weight == 0)
			return EINVAL;
	memset(v, 0, sizeof(*v));
	v->cfg = *cfg;
	v->n = n;
	v->size = cfg->table_size ? cfg->table_size : CORR_MAGLEV_SIZE;
	v->member = calloc(n + 1, sizeof(*m));
	if (!v->member)
		return ENOMEM;
	memcpy(v->member, m, n * sizeof(*m));
	for (int group = 0; rc == 0 && group < 2; group++)
		rc = build(&s->key, v, group);
	if (rc)
		service_free(v);
	else
		s->n++;
	return rc;
}

/* Brings services of one address together, in the order they were added (insertion sort). */
static void sort(struct corr_services *s)
{
	for (uint32_t i = 1; i < s->n; i++) {
		const struct corr_service v = s->service[i];
		uint32_t k = i;

		for (; k > 0 && memcmp(s->service[k - 1].cfg.addr, v.cfg.addr, 16) > 0; k--)
			s->service[k] = s->service[k - 1];
		s->service[k] = v;
	}
}

int corr_services_done(struct corr_services *s)
{
	sort(s);
	s->by_addr = corr_hash_new(s->n, 16);
	if (!s->by_addr)
		return ENOMEM;
	for (uint32_t i = 0; i < s->n; i++) {
		const uint8_t *addr = s->service[i].cfg.addr;

		if (i && memcmp(s->service[i - 1].cfg.addr, addr, 16) == 0)
			continue;
		if (rte_hash_add_key_data(s->by_addr, addr, (void *)((uintptr_t)i + 1)))
			return ENOMEM;
	}
	return 0;
}

const struct corr_service *corr_services_find(const struct corr_services *s, const uint8_t addr[16],
					      uint16_t port, uint8_t proto)
{
	void *data;

	if (rte_hash_lookup_data(s->by_addr, addr, &data) < 0)
		return NULL;
	for (uintptr_t i = (uintptr_t)data - 1; i < s->n; i++) {
		const struct corr_service_cfg *c = &s->service[i].cfg;

		if (memcmp(c->addr, addr, 16))
			break;
		if ((!c->port || c->port == port) && (!c->proto || c->proto == proto))
			return &s->service[i];
	}
	return NULL;
}

bool corr_services_has(const struct corr_services *s, const uint8_t addr[16])
{
	return rte_hash_lookup(s->by_addr, addr) >= 0;
}

const struct corr_service *corr_services_at(const struct corr_services *s, uint32_t i)
{
	return i < s->n ? &s->service[i] : NULL;
}

uint64_t corr_service_hash(const struct corr_services *s, const struct corr_service *v,
			   const struct corr_flow *f, uint8_t proto)
{
	uint8_t key[sizeof(*f) + 1];

	if (v->cfg.balance == CORR_SOURCE) {
		corr_client_prefix(&v->cfg.client, f->remote, key);
		return corr_sip(&s->key, key, 16);
	}
	memcpy(key, f, sizeof(*f));
	key[sizeof(*f)] = proto;
	return corr_sip(&s->key, key, sizeof(key));
}

bool corr_member_takes(const struct corr_member *m, const struct corr_live *live)
{
	const struct corr_live_server *s = &live->server[m->server];

	return atomic_load_explicit(&s->share, memory_order_relaxed) &&
	       (!m->max_conns ||
		atomic_load_explicit(&s->conns, memory_order_relaxed) < m->max_conns);
}

/* The group that serves: backups only when no other server takes anything. */
static bool backups_serve(const struct corr_service *v, const struct corr_live *live)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (!v->member[i].backup &&
		    atomic_load_explicit(&live->server[v->member[i].server].share,
					 memory_order_relaxed))
			return false;
	return true;
}

/* The first of a group that takes anything, beginning at a random one. */
static int scan(const struct corr_service *v, const struct corr_live *live, bool backup,
		uint64_t hash)
{
	for (uint32_t i = 0; i < v->n; i++) {
		const uint32_t k = (uint32_t)((hash + i) % v->n);

		if (v->member[k].backup == backup && corr_member_takes(&v->member[k], live))
			return (int)k;
	}
	return -1;
}

/* By the table, going on where a place's server does not take this flow. */
static int by_hash(const struct corr_service *v, const struct corr_live *live, bool backup,
		   uint64_t hash)
{
	uint64_t h = hash;

	for (int i = 0; v->table[backup] && i < PROBES; i++) {
		const uint8_t k = corr_maglev_at(v->table[backup], v->size, h);
		const struct corr_member *m = &v->member[k];

		h = corr_sip_next(h);
		if (corr_member_takes(m, live) &&
		    (h & 0xff) < atomic_load_explicit(&live->server[m->server].share,
						      memory_order_relaxed))
			return k;
	}
	return scan(v, live, backup, hash);
}

/* The fewest connections for its weight and share; equal ones by the hash. */
static int by_conns(const struct corr_service *v, const struct corr_live *live, bool backup,
		    uint64_t hash)
{
	uint64_t best = UINT64_MAX;
	int found = -1;

	for (uint32_t i = 0; i < v->n; i++) {
		const uint32_t k = (uint32_t)((hash + i) % v->n);
		const struct corr_member *m = &v->member[k];
		const struct corr_live_server *s = &live->server[m->server];
		uint64_t conns, share, cost;

		if (m->backup != backup || !corr_member_takes(m, live))
			continue;
		conns = atomic_load_explicit(&s->conns, memory_order_relaxed);
		share = atomic_load_explicit(&s->share, memory_order_relaxed);
		cost = ((conns + 1) << 28) / ((uint64_t)m->weight * (share ? share : 1));
		if (cost < best) {
			best = cost;
			found = (int)k;
		}
	}
	return found;
}

int corr_service_pick(const struct corr_service *v, const struct corr_live *live, uint64_t hash)
{
	const bool backup = backups_serve(v, live);

	if (v->cfg.balance == CORR_LEAST_CONN)
		return by_conns(v, live, backup, hash);
	return by_hash(v, live, backup, hash);
}

int corr_service_home(const struct corr_service *v, uint64_t hash)
{
	const uint8_t *table = v->table[0] ? v->table[0] : v->table[1];

	if (v->cfg.balance == CORR_LEAST_CONN)
		return -1;
	for (uint32_t i = 0; !v->table[0] && i < v->n; i++)
		if (!v->member[i].backup)
			return (int)i; /* the only one that is no backup */
	if (table)
		return corr_maglev_at(table, v->size, hash);
	return v->n == 1 ? 0 : -1;
}

int corr_service_member(const struct corr_service *v, uint16_t server)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (v->member[i].server == server)
			return (int)i;
	return -1;
}
