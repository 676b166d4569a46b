/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_value.c - values of configuration keys: from text to the member they are for.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_config_key.h"
#include "gateway/gw_log.h"

/* A decimal number with an optional k or M; false: not one. */
static bool parse_number(const char *text, uint64_t *v)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*v = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end == 'k' || *end == 'M') {
		unsigned int shift = *end == 'k' ? 10 : 20;

		if (*v >> (63 - shift))
			return false;
		*v <<= shift;
		end++;
	}
	return *end == '\0';
}

/* Splits off the next item of a comma or space separated list; NULL at the end. */
static char *next_item(char **p)
{
	char *item;

	*p += strspn(*p, ", \t\n");
	if (!**p)
		return NULL;
	item = *p;
	*p += strcspn(*p, ", \t\n");
	if (**p)
		*(*p)++ = '\0';
	return item;
}

/* ADDRESS/LEN into a port; false: malformed or full. */
static bool add_prefix(struct gw_port_cfg *p, char *item)
{
	char *slash = strchr(item, '/');
	uint64_t len;
	uint32_t n = p->n_addr;

	if (!slash || n == GW_MAX_ADDRS)
		return false;
	*slash = '\0';
	if (net_addr_parse(item, &p->addr[n]) || !parse_number(slash + 1, &len) ||
	    len > (net_addr_is_v4(&p->addr[n]) ? 32 : 128))
		return false;
	p->plen[n] = (uint8_t)len;
	p->n_addr++;
	return true;
}

/* A MAC into a server; false: malformed or full. */
static bool add_mac(struct gw_server_cfg *s, const char *item)
{
	struct rte_ether_addr *mac = &s->mac[s->n_mac];

	if (s->n_mac == GW_MAX_ADDRS || rte_ether_unformat_addr(item, mac) ||
	    !rte_is_unicast_ether_addr(mac) || rte_is_zero_ether_addr(mac))
		return false;
	s->n_mac++;
	return true;
}

/* ADDRESS=MAC into a port; false: malformed or full. */
static bool add_neigh(struct gw_port_cfg *p, const char *item)
{
	struct gw_neigh_cfg *n = &p->neigh[p->n_neigh];
	const char *eq = strchr(item, '=');
	char addr[NET_ADDRSTR];

	if (p->n_neigh == GW_MAX_NEIGHS || !eq || eq - item >= (int)sizeof(addr))
		return false;
	snprintf(addr, sizeof(addr), "%.*s", (int)(eq - item), item);
	if (net_addr_parse(addr, &n->addr) || rte_ether_unformat_addr(eq + 1, &n->mac) ||
	    !rte_is_unicast_ether_addr(&n->mac) || rte_is_zero_ether_addr(&n->mac))
		return false;
	p->n_neigh++;
	return true;
}

/* MODULE:LEVEL; false: malformed, unknown, or the module was named before. */
static bool add_log_module(struct gw_cfg *cfg, const char *item)
{
	char name[16];
	const char *colon = strchr(item, ':');
	int module, level;

	if (!colon || colon - item >= (int)sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(colon - item), item);
	module = gw_log_module_parse(name);
	level = gw_log_level_parse(colon + 1);
	if (module < 0 || level < 0 || cfg->log_module[module])
		return false;
	cfg->log_module[module] = (uint8_t)(level + 1);
	return true;
}

/* The items of a list key; returns the first bad one in *bad. */
static bool parse_list(const struct gw_key *k, void *target, const char *value, char bad[64])
{
	char copy[512], *p = copy, *item;
	bool any = false;

	snprintf(copy, sizeof(copy), "%s", value);
	while ((item = next_item(&p))) {
		bool ok;

		snprintf(bad, 64, "%s", item);
		if (k->type == KEY_PREFIXES) {
			ok = add_prefix(target, item);
		} else if (k->type == KEY_MACS) {
			ok = add_mac(target, item);
		} else if (k->type == KEY_NEIGHS) {
			ok = add_neigh(target, item);
		} else if (k->type == KEY_LOG_MODS) {
			ok = add_log_module(target, item);
		} else {
			struct gw_server_cfg *s = target;

			ok = s->n_addr < GW_MAX_ADDRS &&
			     net_addr_parse(item, &s->addr[s->n_addr]) == 0;
			s->n_addr += ok;
		}
		if (!ok)
			return false;
		any = true;
	}
	bad[0] = '\0';
	return any || k->def;
}

/* Stores a number after checking its range. */
static bool store_number(const struct gw_key *k, void *at, const char *value)
{
	uint64_t v;

	if (k->type == KEY_LIMIT && strcmp(value, "none") == 0) {
		*(uint32_t *)at = UINT32_MAX;
		return true;
	}
	if (k->type == KEY_MOST && strcmp(value, "none") == 0) {
		*(uint32_t *)at = 0;
		return true;
	}
	if (k->type == KEY_PORTNO && strcmp(value, "any") == 0) {
		*(uint16_t *)at = 0;
		return true;
	}
	if (!parse_number(value, &v) || v < k->min || v > k->max)
		return false;
	switch (k->type) {
	case KEY_U8:
		*(uint8_t *)at = (uint8_t)v;
		break;
	case KEY_U16:
	case KEY_PORTNO:
		*(uint16_t *)at = (uint16_t)v;
		break;
	case KEY_SECONDS:
		*(uint32_t *)at = (uint32_t)v * 1000;
		break;
	default:
		*(uint32_t *)at = (uint32_t)v;
	}
	return true;
}

/* Stores an address. */
static bool store_addr(const struct gw_key *k, struct net_addr *at, const char *value)
{
	if (!*value || (k->type == KEY_ADDR_ANY && strcmp(value, "any") == 0)) {
		memset(at, 0, sizeof(*at));
		return k->type == KEY_ADDR_ANY || !*value;
	}
	if (net_addr_parse(value, at))
		return false;
	return k->type == KEY_ADDR_ANY || net_addr_is_v4(at) == (k->type == KEY_ADDR4);
}

/* Stores the index of a name. */
static bool store_name(const struct gw_key *k, uint32_t *at, const char *value)
{
	for (uint32_t i = 0; i < k->max; i++)
		if (strcmp(value, k->names[i]) == 0) {
			*at = i;
			return true;
		}
	return false;
}

/* Stores ADDRESS, ADDRESS/LENGTH or any. */
static bool store_net(struct corr_prefix *net, const char *value)
{
	char copy[64], *slash;
	struct net_addr a;
	uint64_t len;
	bool v4;

	memset(net, 0, sizeof(*net));
	if (strcmp(value, "any") == 0)
		return true;
	snprintf(copy, sizeof(copy), "%s", value);
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (net_addr_parse(copy, &a))
		return false;
	v4 = net_addr_is_v4(&a);
	len = v4 ? 32 : 128;
	if (slash && (!parse_number(slash + 1, &len) || len > (v4 ? 32 : 128)))
		return false;
	memcpy(net->addr, a.b, sizeof(net->addr));
	net->len = (uint8_t)(len + (v4 ? 96 : 0));
	return true;
}

/* Stores PORT, FROM-TO or any. */
static bool store_range(uint16_t range[2], const char *value)
{
	char copy[16], *dash;
	uint64_t from, to;

	range[0] = 0;
	range[1] = UINT16_MAX;
	if (strcmp(value, "any") == 0)
		return true;
	snprintf(copy, sizeof(copy), "%s", value);
	dash = strchr(copy, '-');
	if (dash)
		*dash = '\0';
	if (!parse_number(copy, &from))
		return false;
	to = from;
	if (dash && !parse_number(dash + 1, &to))
		return false;
	range[0] = (uint16_t)from;
	range[1] = (uint16_t)to;
	return from >= 1 && from <= to && to <= UINT16_MAX;
}

/* Stores an IP protocol by name or number. */
static bool store_proto(uint8_t *at, const char *value)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} known[] = {{"any", 0},  {"icmp", 1}, {"tcp", 6},    {"udp", 17},  {"gre", 47},
		     {"esp", 50}, {"ah", 51},  {"icmp6", 58}, {"sctp", 132}};
	uint64_t v;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(value, known[i].name) == 0) {
			*at = known[i].proto;
			return true;
		}
	if (!parse_number(value, &v) || v < 1 || v > 255)
		return false;
	*at = (uint8_t)v;
	return true;
}

/* Names that a key may have, as a list. */
static const char *list_names(const struct gw_key *k, char buf[160])
{
	size_t n = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < k->max && n < 160; i++)
		n += (size_t)snprintf(buf + n, 160 - n, "%s%s", i ? ", " : "", k->names[i]);
	return buf;
}

bool gw_config_store(const struct gw_key *k, void *target, const char *value, char bad[64])
{
	char *at = (char *)target + k->off;
	size_t len = strlen(value);
	int i;

	bad[0] = '\0';
	switch (k->type) {
	case KEY_STR:
	case KEY_SECRET:
		if (len < k->min || len >= k->max)
			return false;
		memcpy(at, value, len + 1);
		return true;
	case KEY_PREFIXES:
	case KEY_ADDRS:
	case KEY_MACS:
	case KEY_NEIGHS:
	case KEY_LOG_MODS:
		return parse_list(k, target, value, bad);
	case KEY_ADDR4:
	case KEY_ADDR6:
	case KEY_ADDR_ANY:
		return store_addr(k, (struct net_addr *)at, value);
	case KEY_LOG_LEVEL:
		i = gw_log_level_parse(value);
		if (i >= 0)
			*(uint32_t *)at = (uint32_t)i;
		return i >= 0;
	case KEY_NAME:
		return store_name(k, (uint32_t *)at, value);
	case KEY_BOOL:
		*(bool *)at = strcmp(value, "yes") == 0;
		return *(bool *)at || strcmp(value, "no") == 0;
	case KEY_NET:
		return store_net((struct corr_prefix *)at, value);
	case KEY_RANGE:
		return store_range((uint16_t *)at, value);
	case KEY_PROTO:
		return store_proto((uint8_t *)at, value);
	default:
		return store_number(k, at, value);
	}
}

const char *gw_config_allowed(const struct gw_key *k, char buf[160])
{
	static const char *const texts[] = {
		[KEY_PREFIXES] = "addresses with prefix length, as 10.0.0.1/24, fd00::1/64",
		[KEY_ADDRS] = "IPv4 and IPv6 addresses, separated by commas",
		[KEY_ADDR4] = "an IPv4 address",
		[KEY_ADDR6] = "an IPv6 address",
		[KEY_ADDR_ANY] = "an IPv4 or IPv6 address, or any",
		[KEY_LOG_LEVEL] = "error, warning, notice, info, debug",
		[KEY_BOOL] = "yes, no",
		[KEY_LOG_MODS] = "of MODULE:LEVEL, separated by commas",
		[KEY_MACS] = "unicast MAC addresses, separated by commas",
		[KEY_NEIGHS] = "of ADDRESS=MAC, separated by commas",
		[KEY_NET] = "an address, ADDRESS/LENGTH, or any",
		[KEY_RANGE] = "a port, FROM-TO, or any",
		[KEY_PROTO] = "tcp, udp, icmp, icmp6, gre, esp, ah, sctp, 1 to 255, or any",
	};

	if (k->type == KEY_NAME)
		return list_names(k, buf);
	if (k->type == KEY_STR || k->type == KEY_SECRET)
		snprintf(buf, 160, "text of %u to %u characters", k->min, k->max - 1);
	else if (k->type == KEY_PREFIXES || k->type == KEY_ADDRS || k->type == KEY_MACS ||
		 k->type == KEY_NEIGHS || k->type == KEY_LOG_MODS)
		snprintf(buf, 160, "1 to %u %s", k->max, texts[k->type]);
	else if (k->type < sizeof(texts) / sizeof(texts[0]) && texts[k->type])
		return texts[k->type];
	else
		snprintf(buf, 160, "%u to %u%s", k->min, k->max,
			 k->type == KEY_LIMIT || k->type == KEY_MOST ? ", or none"
			 : k->type == KEY_PORTNO		     ? ", or any"
			 : k->type == KEY_SECONDS		     ? " seconds"
								     : "");
	return buf;
}
