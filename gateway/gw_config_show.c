/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_show.c - a configuration as text again: every key of every section with the value that
 * is in force, given or by default. What it prints can be read again and means the same.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_config_key.h"
#include "gateway/gw_log.h"

/* Addresses with their prefix lengths. */
static void show_prefixes(FILE *out, const struct gw_port_cfg *p)
{
	char text[NET_ADDRSTR];

	for (uint32_t i = 0; i < p->n_addr; i++)
		fprintf(out, "%s%s/%u", i ? ", " : "", net_addr_str(&p->addr[i], text), p->plen[i]);
}

static void show_addrs(FILE *out, const struct gw_server_cfg *s)
{
	char text[NET_ADDRSTR];

	for (uint32_t i = 0; i < s->n_addr; i++)
		fprintf(out, "%s%s", i ? ", " : "", net_addr_str(&s->addr[i], text));
}

static void show_macs(FILE *out, const struct gw_server_cfg *s)
{
	char text[RTE_ETHER_ADDR_FMT_SIZE];

	for (uint32_t i = 0; i < s->n_mac; i++) {
		rte_ether_format_addr(text, sizeof(text), &s->mac[i]);
		fprintf(out, "%s%s", i ? ", " : "", text);
	}
}

static void show_neighs(FILE *out, const struct gw_port_cfg *p)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE], addr[NET_ADDRSTR];

	for (uint32_t i = 0; i < p->n_neigh; i++) {
		rte_ether_format_addr(mac, sizeof(mac), &p->neigh[i].mac);
		fprintf(out, "%s%s=%s", i ? ", " : "", net_addr_str(&p->neigh[i].addr, addr), mac);
	}
}

static void show_log_modules(FILE *out, const struct gw_cfg *cfg)
{
	bool any = false;

	for (int m = 0; m < GW_LM_COUNT; m++) {
		if (!cfg->log_module[m])
			continue;
		fprintf(out, "%s%s:%s", any ? ", " : "", gw_log_module_name((enum gw_log_module)m),
			gw_log_level_name((enum gw_log_level)(cfg->log_module[m] - 1)));
		any = true;
	}
}

/* An address; all zero is nothing, or "any" where that can be written. */
static void show_addr(FILE *out, const struct gw_key *k, const struct net_addr *a)
{
	static const struct net_addr none;
	char text[NET_ADDRSTR];

	if (memcmp(a, &none, sizeof(none)))
		fputs(net_addr_str(a, text), out);
	else if (k->type == KEY_ADDR_ANY)
		fputs("any", out);
}

static void show_net(FILE *out, const struct corr_prefix *net)
{
	struct net_addr a;
	char text[NET_ADDRSTR];

	memcpy(a.b, net->addr, sizeof(a.b));
	if (!net->len)
		fputs("any", out);
	else
		fprintf(out, "%s/%u", net_addr_str(&a, text),
			net->len - (net_addr_is_v4(&a) ? 96u : 0u));
}

static void show_range(FILE *out, const uint16_t range[2])
{
	if (range[0] == range[1])
		fprintf(out, "%u", range[0]);
	else if (range[0])
		fprintf(out, "%u-%u", range[0], range[1]);
	else
		fputs("any", out);
}

static void show_number(FILE *out, const struct gw_key *k, const void *at)
{
	uint32_t v = k->type == KEY_U8 || k->type == KEY_PROTO	   ? *(const uint8_t *)at
		     : k->type == KEY_U16 || k->type == KEY_PORTNO ? *(const uint16_t *)at
								   : *(const uint32_t *)at;

	if ((k->type == KEY_LIMIT && v == UINT32_MAX) || (k->type == KEY_MOST && !v))
		fputs("none", out);
	else if ((k->type == KEY_PORTNO || k->type == KEY_PROTO) && !v)
		fputs("any", out);
	else
		fprintf(out, "%" PRIu32, k->type == KEY_SECONDS ? v / 1000 : v);
}

static void show_value(FILE *out, const struct gw_key *k, const void *target)
{
	const char *at = (const char *)target + k->off;

	switch (k->type) {
	case KEY_STR:
	case KEY_SECRET:
		fputs(at, out);
		break;
	case KEY_PREFIXES:
		show_prefixes(out, target);
		break;
	case KEY_ADDRS:
		show_addrs(out, target);
		break;
	case KEY_LOG_MODS:
		show_log_modules(out, target);
		break;
	case KEY_MACS:
		show_macs(out, target);
		break;
	case KEY_NEIGHS:
		show_neighs(out, target);
		break;
	case KEY_ADDR4:
	case KEY_ADDR6:
	case KEY_ADDR_ANY:
		show_addr(out, k, (const struct net_addr *)at);
		break;
	case KEY_LOG_LEVEL:
		fputs(gw_log_level_name((enum gw_log_level) * (const uint32_t *)at), out);
		break;
	case KEY_NAME:
		fputs(k->names[*(const uint32_t *)at], out);
		break;
	case KEY_BOOL:
		fputs(*(const bool *)at ? "yes" : "no", out);
		break;
	case KEY_NET:
		show_net(out, (const struct corr_prefix *)at);
		break;
	case KEY_RANGE:
		show_range(out, (const uint16_t *)at);
		break;
	default:
		show_number(out, k, at);
	}
}

char *gw_config_text(const struct gw_key *k, const void *target)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	show_value(f, k, target);
	fclose(f);
	return text;
}

/* One section: its title, then its keys in the order of the table. An empty value is a comment,
 * since a key with nothing behind it cannot be told from a mistake. */
static void show_section(FILE *out, enum gw_section s, const char *kind, const char *name,
			 const void *target, bool secrets)
{
	fprintf(out, name ? "\n[%s \"%s\"]\n" : "\n[%s]\n", kind, name);
	for (size_t i = 0; i < gw_n_keys; i++) {
		char *text;

		if (gw_keys[i].section != s)
			continue;
		if (gw_keys[i].type == KEY_SECRET && !secrets) {
			fprintf(out, "; %s is secret\n", gw_keys[i].name);
			continue;
		}
		text = gw_config_text(&gw_keys[i], target);
		if (!text)
			return;
		fprintf(out, *text ? "%s = %s\n" : "; %s =\n", gw_keys[i].name, text);
		free(text);
	}
}

void gw_config_show(FILE *out, const struct gw_cfg *cfg, bool secrets)
{
	fprintf(out, "# every key with the value in force\n");
	show_section(out, GW_SEC_GATEWAY, "gateway", NULL, cfg, secrets);
	for (uint32_t i = 0; i < cfg->n_port; i++)
		show_section(out, GW_SEC_PORT, "port", cfg->port[i].name, &cfg->port[i], secrets);
	show_section(out, GW_SEC_FABRIC, "fabric", NULL, cfg, secrets);
	for (uint32_t i = 0; i < cfg->n_server; i++)
		show_section(out, GW_SEC_SERVER, "server", cfg->server[i].name, &cfg->server[i],
			     secrets);
	for (uint32_t i = 0; i < cfg->n_service; i++)
		show_section(out, GW_SEC_SERVICE, "service", cfg->service[i].name, &cfg->service[i],
			     secrets);
	for (uint32_t i = 0; i < cfg->n_rule; i++)
		show_section(out, GW_SEC_RULE, "rule", cfg->rule[i].name, &cfg->rule[i], secrets);
}
