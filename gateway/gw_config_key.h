/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_key.h - what a configuration key is: one line of the table in gw_config_table.c.
 */
#ifndef GATEWAY_GW_CONFIG_KEY_H
#define GATEWAY_GW_CONFIG_KEY_H

#include "gateway/gw_config.h"

/** Kinds of values. */
enum gw_key_type {
	KEY_STR,       /* text of min..max-1 characters, max bytes of room */
	KEY_SECRET,    /* the same; not shown to who asks the daemon */
	KEY_U8,	       /* number in [min, max] */
	KEY_U16,       /* the same */
	KEY_U32,       /* the same, with k and M as 1024 and 1024^2 */
	KEY_SECONDS,   /* number in [min, max], kept in milliseconds */
	KEY_LIMIT,     /* number in [min, max] or "none" = UINT32_MAX */
	KEY_MOST,      /* number in [min, max] or "none" = 0 */
	KEY_PORTNO,    /* TCP port or "any" = 0 */
	KEY_PREFIXES,  /* list of ADDRESS/LEN into gw_port_cfg */
	KEY_ADDRS,     /* list of addresses into gw_server_cfg */
	KEY_ADDR4,     /* one IPv4 address */
	KEY_ADDR6,     /* one IPv6 address */
	KEY_ADDR_ANY,  /* one address, or "any" = all zero */
	KEY_LOG_LEVEL, /* name of enum gw_log_level */
	KEY_NAME,      /* one of names[], kept as its uint32_t index */
	KEY_BOOL,      /* yes or no */
	KEY_LOG_MODS,  /* list of MODULE:LEVEL into gw_cfg.log_module */
	KEY_MACS,      /* list of MAC addresses into gw_server_cfg */
	KEY_NEIGHS,    /* list of ADDRESS=MAC into gw_port_cfg */
	KEY_NET,       /* ADDRESS, ADDRESS/LEN or "any" */
	KEY_RANGE,     /* port, FROM-TO or "any" */
	KEY_PROTO,     /* name or number of an IP protocol, or "any" = 0 */
};

/** What a changed value of a key asks for. */
enum gw_key_reload {
	GW_RELOAD_LIVE,	   /* nothing: a reload is enough */
	GW_RELOAD_RESTART, /* the daemon has to be started again */
};

/** A key. */
struct gw_key {
	enum gw_section section;   /* where it belongs */
	const char *name;	   /* as written */
	enum gw_key_type type;	   /* of its value */
	size_t off;		   /* of the member in the section's structure */
	uint32_t min, max;	   /* bounds, or room for texts */
	const char *def;	   /* default as text; NULL: required */
	enum gw_key_reload reload; /* of a change */
	const char *help;	   /* one line for people */
	const char *const *names;  /* KEY_NAME: max of them */
};

/** All keys, those of a section in a row. */
extern const struct gw_key gw_keys[];
extern const size_t gw_n_keys;

/** Stores a value; false: not allowed. bad gets the offending item of a list. (gw_config_value.c)
 */
bool gw_config_store(const struct gw_key *k, void *target, const char *value, char bad[64]);
/** The value that a section's structure has of a key, as text; free() it. NULL: no memory.
 * (gw_config_show.c) */
char *gw_config_text(const struct gw_key *k, const void *target);
/** What a key may be, as text; buf or a constant. (gw_config_value.c) */
const char *gw_config_allowed(const struct gw_key *k, char buf[160]);

#endif
