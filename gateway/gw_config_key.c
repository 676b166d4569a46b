/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_key.c - the table of configuration keys: where each goes, what it may be, what it is
 * when not given. Everything a user can write in a section is a line of this table.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_config.h"
#include "gateway/gw_log.h"

/** Kinds of values. */
enum key_type {
	KEY_STR,       /* text of min..max-1 characters, max bytes of room */
	KEY_U8,	       /* number in [min, max] */
	KEY_U16,       /* the same */
	KEY_U32,       /* the same, with k and M as 1024 and 1024^2 */
	KEY_SECONDS,   /* number in [min, max], kept in milliseconds */
	KEY_LIMIT,     /* number in [min, max] or "none" = UINT32_MAX */
	KEY_PORTNO,    /* TCP port or "any" = 0 */
	KEY_PREFIXES,  /* list of ADDRESS/LEN into gw_port_cfg */
	KEY_ADDRS,     /* list of addresses into gw_server_cfg */
	KEY_ADDR4,     /* one IPv4 address */
	KEY_ADDR6,     /* one IPv6 address */
	KEY_ADDR_ANY,  /* one address, or "any" = all zero */
	KEY_LOG_LEVEL, /* name of enum gw_log_level */
	KEY_ACCEL,     /* name of enum gw_accelerate */
};

/** A key. */
struct key {
	enum gw_section section; /* where it belongs */
	const char *name;	 /* as written */
	enum key_type type;	 /* of its value */
	size_t off;		 /* of the member in the section's structure */
	uint32_t min, max;	 /* bounds, or room for texts */
	const char *def;	 /* default as text; NULL: required */
	const char *help;	 /* one line for people */
};

#define G(sec, name, type, member, min, max, def, help)                                         \
	{                                                                                       \
		GW_SEC_##sec, name, KEY_##type, offsetof(struct gw_cfg, member), min, max, def, \
			help                                                                    \
	}
#define P(name, type, member, min, max, def, help)                                             \
	{                                                                                      \
		GW_SEC_PORT, name, KEY_##type, offsetof(struct gw_port_cfg, member), min, max, \
			def, help                                                              \
	}
#define S(name, type, member, min, max, def, help)                                                 \
	{                                                                                          \
		GW_SEC_SERVER, name, KEY_##type, offsetof(struct gw_server_cfg, member), min, max, \
			def, help                                                                  \
	}
#define V(name, type, member, min, max, def, help)                                              \
	{                                                                                       \
		GW_SEC_SERVICE, name, KEY_##type, offsetof(struct gw_service_cfg, member), min, \
			max, def, help                                                          \
	}

/* clang-format off */
static const struct key keys[] = {
	G(GATEWAY, "name", STR, name, 1, GW_NAMELEN, "gw1", "name that hosts and operators see"),
	G(GATEWAY, "workers", U32, workers, 1, GW_MAX_WORKERS, "1", "data path threads"),
	G(GATEWAY, "cpus", STR, cpus, 0, 64, "", "CPUs of the workers, as 2,3-5; empty: any"),
	G(GATEWAY, "max-accelerated", U32, max_accelerated, 0, 1048576, "4096",
	  "accelerated connections of the gateway"),
	G(GATEWAY, "black-box", U32, box_entries, 0, GW_EVENTS_MAX, "64",
	  "events remembered of an accelerated connection; 0: none"),
	G(GATEWAY, "black-boxes", U32, boxes, 0, TCP_BOXES_MAX, "1024",
	  "connections of each worker whose events are remembered"),
	G(GATEWAY, "host-timeout", SECONDS, host_timeout_ms, 1, 3600, "10",
	  "seconds after which the clients of a lost host are reset"),
	G(GATEWAY, "control", STR, control, 1, 108, "/run/tag/tagd.sock", "control socket"),
	G(GATEWAY, "metrics", STR, metrics, 0, 108, "",
	  "metrics for Prometheus at ADDRESS:PORT or /PATH; empty: none"),
	G(GATEWAY, "eal", STR, eal, 0, 256, "", "more arguments for DPDK's EAL"),
	G(GATEWAY, "mbufs", U32, mbufs, 2048, 1048576, "8192", "frame buffers of each worker"),
	G(GATEWAY, "tx-records", U32, tx_records, 64, 16777216, "32768",
	  "transmission records of each worker, 32 bytes each"),
	G(GATEWAY, "memory", U32, memory_mb, 0, 1048576, "0",
	  "MB of DPDK memory without huge pages; 0: as needed"),
	G(GATEWAY, "log-level", LOG_LEVEL, log_level, 0, 0, "notice",
	  "error, warning, notice, info or debug"),
	G(FABRIC, "device", STR, device, 0, 64, "", "RDMA device; empty: the first"),
	G(FABRIC, "port", U8, dev_port, 1, 254, "1", "port of the device"),
	G(FABRIC, "gid-index", U8, gid_index, 0, 255, "0", "GID used when routing by GID"),
	G(FABRIC, "listen", STR, listen, 1, 108, "/run/tag/fabric.sock",
	  "socket on which hosts attach"),
	P("device", STR, devargs, 1, 256, NULL, "DPDK device with its arguments, or PCI address"),
	P("address", PREFIXES, addr, 1, GW_MAX_ADDRS, NULL, "the gateway's addresses with prefix"),
	P("next-hop4", ADDR4, next_hop4, 0, 0, "", "default router for IPv4"),
	P("next-hop6", ADDR6, next_hop6, 0, 0, "", "default router for IPv6"),
	P("mtu", U16, mtu, 1280, 9000, "1500", "IP MTU of the client LAN"),
	S("key", STR, key, 1, GW_NAMELEN, NULL, "secret shared with the host"),
	S("address", ADDRS, addr, 1, GW_MAX_ADDRS, NULL, "addresses the host may serve"),
	S("max-accelerated", LIMIT, max_accelerated, 0, 1048576, "none",
	  "accelerated connections of this host"),
	V("address", ADDR_ANY, addr, 0, 0, "any", "server address"),
	V("port", PORTNO, port, 1, 65535, "any", "server port"),
	V("accelerate", ACCEL, accelerate, 0, 0, "first-send",
	  "off, first-send, accept or min-bytes"),
	V("min-bytes", U32, min_bytes, 1, 1073741824, "65536", "bytes before min-bytes takes over"),
	V("max-accelerated", LIMIT, max_accelerated, 0, 1048576, "none",
	  "accelerated connections of this service"),
};
/* clang-format on */
#undef G
#undef P
#undef S
#undef V
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))
static_assert(N_KEYS <= 64, "gw_config_ctx.seen has a bit for each");

static const char *const accel_names[] = {"off", "first-send", "accept", "min-bytes"};

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

/* The items of a list key; returns the first bad one in *bad. */
static bool parse_list(const struct key *k, void *target, const char *value, char bad[64])
{
	char copy[512], *p = copy, *item;
	bool any = false;

	snprintf(copy, sizeof(copy), "%s", value);
	while ((item = next_item(&p))) {
		bool ok;

		snprintf(bad, 64, "%s", item);
		if (k->type == KEY_PREFIXES) {
			ok = add_prefix(target, item);
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
	return any;
}

/* Stores a number after checking its range. */
static bool store_number(const struct key *k, void *at, const char *value)
{
	uint64_t v;

	if (k->type == KEY_LIMIT && strcmp(value, "none") == 0) {
		*(uint32_t *)at = UINT32_MAX;
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
static bool store_addr(const struct key *k, struct net_addr *at, const char *value)
{
	if (!*value || (k->type == KEY_ADDR_ANY && strcmp(value, "any") == 0)) {
		memset(at, 0, sizeof(*at));
		return k->type == KEY_ADDR_ANY || !*value;
	}
	if (net_addr_parse(value, at))
		return false;
	return k->type == KEY_ADDR_ANY || net_addr_is_v4(at) == (k->type == KEY_ADDR4);
}

/* Stores one value; false: not allowed. bad gets the offending item of a list. */
static bool store(const struct key *k, void *target, const char *value, char bad[64])
{
	char *at = (char *)target + k->off;
	size_t len = strlen(value);
	int i;

	bad[0] = '\0';
	switch (k->type) {
	case KEY_STR:
		if (len < k->min || len >= k->max)
			return false;
		memcpy(at, value, len + 1);
		return true;
	case KEY_PREFIXES:
	case KEY_ADDRS:
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
	case KEY_ACCEL:
		for (i = 0; i < 4; i++)
			if (strcmp(value, accel_names[i]) == 0)
				*(enum gw_accelerate *)at = (enum gw_accelerate)i;
		for (i = 0; i < 4 && strcmp(value, accel_names[i]); i++)
			;
		return i < 4;
	default:
		return store_number(k, at, value);
	}
}

/* What a key may be, as text. */
static const char *allowed(const struct key *k, char buf[160])
{
	static const char *const texts[] = {
		[KEY_PREFIXES] = "addresses with prefix length, as 10.0.0.1/24, fd00::1/64",
		[KEY_ADDRS] = "IPv4 and IPv6 addresses, separated by commas",
		[KEY_ADDR4] = "an IPv4 address",
		[KEY_ADDR6] = "an IPv6 address",
		[KEY_ADDR_ANY] = "an IPv4 or IPv6 address, or any",
		[KEY_LOG_LEVEL] = "error, warning, notice, info, debug",
		[KEY_ACCEL] = "off, first-send, accept, min-bytes",
	};

	if (k->type == KEY_STR)
		snprintf(buf, 160, "text of %u to %u characters", k->min, k->max - 1);
	else if (k->type == KEY_PREFIXES || k->type == KEY_ADDRS)
		snprintf(buf, 160, "1 to %u %s", k->max, texts[k->type]);
	else if (k->type < sizeof(texts) / sizeof(texts[0]) && texts[k->type])
		return texts[k->type];
	else
		snprintf(buf, 160, "%u to %u%s", k->min, k->max,
			 k->type == KEY_LIMIT	 ? ", or none"
			 : k->type == KEY_PORTNO ? ", or any"
						 : "");
	return buf;
}

/* Names of a section's keys. */
static void key_names(enum gw_section s, char buf[256])
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].section == s && n < 250)
			n += (size_t)snprintf(buf + n, 256 - n, "%s%s", n ? ", " : "",
					      keys[i].name);
}

void gw_config_defaults(enum gw_section section, void *target)
{
	char bad[64];

	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].section == section && keys[i].def)
			store(&keys[i], target, keys[i].def, bad);
}

void gw_config_key(struct gw_config_ctx *c, const char *key, const char *value)
{
	char buf[256], bad[64];

	for (size_t i = 0; i < N_KEYS; i++) {
		const struct key *k = &keys[i];
		bool list = k->type == KEY_PREFIXES || k->type == KEY_ADDRS;

		if (k->section != c->section || strcmp(k->name, key))
			continue;
		if (c->seen & UINT64_C(1) << i && !list) {
			gw_config_error(c, c->line, "%s %s: found a second time; allowed: once",
					c->title, key);
			return;
		}
		c->seen |= UINT64_C(1) << i;
		if (!store(k, c->target, value, bad))
			gw_config_error(c, c->line, "%s %s: found \"%.100s\"; allowed: %s",
					c->title, key, bad[0] ? bad : value, allowed(k, buf));
		return;
	}
	key_names(c->section, buf);
	gw_config_error(c, c->line, "%s %s: found an unknown key; allowed: %s", c->title, key, buf);
}

void gw_config_required(struct gw_config_ctx *c, unsigned int line)
{
	char buf[160];

	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].section == c->section && !keys[i].def && !(c->seen & UINT64_C(1) << i))
			gw_config_error(c, line,
					"%s %s: not found before the section's end; allowed: %s",
					c->title, keys[i].name, allowed(&keys[i], buf));
}

void gw_config_help(FILE *out)
{
	static const char *const sections[] = {
		[GW_SEC_GATEWAY] = "[gateway]",
		[GW_SEC_PORT] = "[port \"NAME\"]",
		[GW_SEC_FABRIC] = "[fabric]",
		[GW_SEC_SERVER] = "[server \"NAME\"]",
		[GW_SEC_SERVICE] = "[service \"NAME\"]",
	};
	enum gw_section last = GW_SEC_NONE;
	char buf[160];

	for (size_t i = 0; i < N_KEYS; i++) {
		if (keys[i].section != last)
			fprintf(out, "%s\n", sections[keys[i].section]);
		last = keys[i].section;
		fprintf(out, "  %-16s %s (%s; default: %s)\n", keys[i].name, keys[i].help,
			allowed(&keys[i], buf),
			!keys[i].def	  ? "none, required"
			: !keys[i].def[0] ? "empty"
					  : keys[i].def);
	}
}
