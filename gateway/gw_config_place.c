/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_place.c - numbers of servers, services, rules and ports across a reload; gw_reload.h
 * says why they stay.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_reload.h"

/** What is known of a server of the file while places are given. */
struct newcomer {
	const struct gw_server_cfg *cfg; /* of the file */
	bool placed;			 /* it has its place */
};

/** Servers in the making. */
struct places {
	struct gw_server_cfg server[GW_MAX_HOSTS]; /* result */
	struct gw_server_cfg wanted[GW_MAX_HOSTS]; /* as in the file */
	struct newcomer n[GW_MAX_HOSTS];	   /* of each of these */
	uint32_t n_wanted;			   /* in the file */
};

/* True when a server may go on with the addresses that the file gives it. */
static bool may_stay(const struct gw_in_use *use, uint32_t i, const struct gw_server_cfg *now,
		     const struct gw_server_cfg *next)
{
	const struct net_addr *a = use->server[i].addr;
	uint32_t n = use->server[i].n_addr;

	if (!use->server[i].busy)
		return true;
	if (!n) { /* not attached, but it has connections */
		a = now->addr;
		n = now->n_addr;
	}
	for (uint32_t k = 0; k < n; k++)
		if (!gw_server_cfg_has(next, &a[k]))
			return false;
	return true;
}

/* The servers of the file that are there already, or leave (pass 1), take their old places. */
static void stay(struct places *p, const struct gw_cfg *now, const struct gw_in_use *use,
		 bool leaving)
{
	for (uint32_t i = 0; i < now->n_server; i++) {
		const struct gw_server_cfg *s = &now->server[i];

		if (!*s->name || s->leaving != leaving)
			continue;
		for (uint32_t k = 0; k < p->n_wanted; k++) {
			if (p->n[k].placed || strcmp(p->wanted[k].name, s->name) ||
			    !may_stay(use, i, s, &p->wanted[k]))
				continue;
			p->server[i] = p->wanted[k];
			p->n[k].placed = true;
			break;
		}
	}
}

/* Servers in use that the file does not have keep their places for the time being. */
static void leave(struct places *p, const struct gw_cfg *now, const struct gw_in_use *use)
{
	for (uint32_t i = 0; i < now->n_server; i++) {
		if (*p->server[i].name || !*now->server[i].name || !use->server[i].busy)
			continue;
		p->server[i] = now->server[i];
		p->server[i].leaving = true;
	}
}

/* New ones get the lowest free places. */
static int come(struct places *p, uint32_t room, FILE *err)
{
	uint32_t i = 0, used = 0, leaving = 0;

	for (uint32_t k = 0; k < GW_MAX_HOSTS; k++) {
		used += *p->server[k].name != '\0';
		leaving += p->server[k].leaving;
	}
	for (uint32_t k = 0; k < p->n_wanted; k++) {
		if (p->n[k].placed)
			continue;
		while (i < GW_MAX_HOSTS && *p->server[i].name)
			i++;
		if (used == room || i == GW_MAX_HOSTS) {
			fprintf(err,
				"[server \"%s\"]: found %u servers, %u of them leaving; there is "
				"room for %u ([fabric] spare-servers, which needs a restart)\n",
				p->wanted[k].name, used + 1, leaving, room);
			return ENOSPC;
		}
		p->server[i] = p->wanted[k];
		used++;
	}
	return 0;
}

static int place_servers(struct gw_cfg *next, const struct gw_cfg *now, const struct gw_in_use *use,
			 FILE *err)
{
	struct places *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return ENOMEM;
	memcpy(p->wanted, next->server, sizeof(p->wanted));
	p->n_wanted = next->n_server;
	stay(p, now, use, false);
	stay(p, now, use, true);
	leave(p, now, use);
	rc = come(p, use->room, err);
	if (rc == 0) {
		memcpy(next->server, p->server, sizeof(next->server));
		next->n_server = GW_MAX_HOSTS;
		while (next->n_server && !*next->server[next->n_server - 1].name)
			next->n_server--;
	}
	free(p);
	return rc;
}

/** Sections that have an id: structures that begin with a name, the id behind it. */
struct numbered {
	char *next;		/* array of the file */
	const char *now;	/* array in force */
	uint32_t n_next, n_now; /* their lengths */
	size_t stride;		/* of both */
	size_t id;		/* offset of the id */
	const bool *busy;	/* by id */
	uint32_t max;		/* ids */
};

static uint16_t *id_of(const struct numbered *l, const char *array, uint32_t i)
{
	return (uint16_t *)(void *)((char *)(uintptr_t)array + i * l->stride + l->id);
}

/* Index of a name in the array in force, or n_now. */
static uint32_t find(const struct numbered *l, const char *name)
{
	for (uint32_t i = 0; i < l->n_now; i++)
		if (strcmp(l->now + i * l->stride, name) == 0)
			return i;
	return l->n_now;
}

/*
 * The same id for the same name; a free one for a new name: rather not one of a name that goes
 * just now, for which a worker may still begin a connection before the swap reaches it.
 */
static int number(const struct numbered *l)
{
	bool kept[CORR_MAX_RULES] = {false}, now[CORR_MAX_RULES] = {false};
	uint32_t id = 0;
	bool any = false; /* of the free ones, also those in force */

	for (uint32_t i = 0; i < l->n_now; i++)
		now[*id_of(l, l->now, i)] = true;
	for (uint32_t i = 0; i < l->n_next; i++) {
		const uint32_t old = find(l, l->next + i * l->stride);

		if (old == l->n_now)
			continue;
		*id_of(l, l->next, i) = *id_of(l, l->now, old);
		kept[*id_of(l, l->now, old)] = true;
	}
	for (uint32_t i = 0; i < l->n_next; i++) {
		if (find(l, l->next + i * l->stride) < l->n_now)
			continue;
		while (id < l->max && (kept[id] || l->busy[id] || (now[id] && !any)))
			if (++id == l->max && !any) {
				any = true;
				id = 0;
			}
		if (id == l->max)
			return ENOSPC;
		kept[id] = true;
		*id_of(l, l->next, i) = (uint16_t)id;
	}
	return 0;
}

/* Ports in the order that they have. */
static void place_ports(struct gw_cfg *next, const struct gw_cfg *now)
{
	for (uint32_t i = 0; i < now->n_port; i++)
		for (uint32_t k = i + 1; k < next->n_port; k++) {
			const struct gw_port_cfg other = next->port[i];

			if (strcmp(next->port[k].name, now->port[i].name))
				continue;
			next->port[i] = next->port[k];
			next->port[k] = other;
		}
}

int gw_config_place(struct gw_cfg *next, const struct gw_cfg *now, const struct gw_in_use *use,
		    FILE *err)
{
	const struct numbered services = {
		.next = next->service[0].name,
		.now = now->service[0].name,
		.n_next = next->n_service,
		.n_now = now->n_service,
		.stride = sizeof(next->service[0]),
		.id = offsetof(struct gw_service_cfg, id),
		.busy = use->service,
		.max = CORR_MAX_SERVICES,
	};
	const struct numbered rules = {
		.next = next->rule[0].name,
		.now = now->rule[0].name,
		.n_next = next->n_rule,
		.n_now = now->n_rule,
		.stride = sizeof(next->rule[0]),
		.id = offsetof(struct gw_rule_cfg, id),
		.busy = use->rule,
		.max = CORR_MAX_RULES,
	};

	place_ports(next, now);
	if (number(&services) || number(&rules)) {
		fprintf(err,
			"too many services or rules: connections still count for those of before; "
			"try again when they are over\n");
		return ENOSPC;
	}
	return place_servers(next, now, use, err);
}

void gw_config_pure(struct gw_cfg *to, const struct gw_cfg *from)
{
	*to = *from;
	to->n_server = 0;
	memset(to->server, 0, sizeof(to->server));
	for (uint32_t i = 0; i < from->n_server; i++)
		if (*from->server[i].name && !from->server[i].leaving)
			to->server[to->n_server++] = from->server[i];
}
