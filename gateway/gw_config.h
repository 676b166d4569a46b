/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config.h - reading and checking the configuration file.
 */
#ifndef GATEWAY_GW_CONFIG_H
#define GATEWAY_GW_CONFIG_H

#include <stdio.h>

#include "gateway/gw.h"

/** Sections of the file. */
enum gw_section {
	GW_SEC_NONE,
	GW_SEC_GATEWAY,
	GW_SEC_PORT,
	GW_SEC_FABRIC,
	GW_SEC_SERVER,
	GW_SEC_SERVICE,
	GW_SEC_RULE,
	GW_SEC_COUNT
};

/** Where the parser is, and what went wrong so far. */
struct gw_config_ctx {
	const char *file;	 /* name for messages */
	FILE *err;		 /* errors go here, one per line */
	unsigned int line;	 /* of the line being read, from 1 */
	unsigned int errors;	 /* printed so far */
	struct gw_cfg *cfg;	 /* being filled */
	enum gw_section section; /* current one */
	void *target;		 /* structure the section's keys go to */
	char title[128];	 /* "[port \"lan0\"]" for messages */
	uint64_t seen[2];	 /* keys given in this section, a bit each (gw_config_key.c) */
	bool had_gateway;	 /* [gateway] was there */
	bool had_fabric;	 /* [fabric] was there */
	unsigned int port_line[GW_MAX_PORTS];	    /* line of each section, for late checks */
	unsigned int server_line[GW_MAX_HOSTS];	    /* the same */
	unsigned int service_line[GW_MAX_SERVICES]; /* the same */
	unsigned int rule_line[GW_MAX_RULES];	    /* the same */
};

/** Reads and checks a file. All errors go to err. 0, EINVAL (errors printed) or ENOMEM. */
int gw_config_load(const char *file, struct gw_cfg *cfg, FILE *err);

/** Prints "file:line: ..." and counts it. */
void gw_config_error(struct gw_config_ctx *c, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Fills a structure of a section with the defaults of its keys. (gw_config_key.c) */
void gw_config_defaults(enum gw_section section, void *target);
/** One key of the current section. (gw_config_key.c) */
void gw_config_key(struct gw_config_ctx *c, const char *key, const char *value);
/** Required keys that a section that ends here did not have. (gw_config_key.c) */
void gw_config_required(struct gw_config_ctx *c, unsigned int line);
/** Checks across sections. (gw_config_check.c) */
void gw_config_check(struct gw_config_ctx *c);
/** Of services and rules. (gw_config_policy.c) */
void gw_config_check_policy(struct gw_config_ctx *c);
/** Prints a configuration with every key and the value in force, to be read again; secrets as they
 * are, or not at all. (gw_config_show.c) */
void gw_config_show(FILE *out, const struct gw_cfg *cfg, bool secrets);
/** Prints the table of keys: name, kind, default, meaning. (gw_config_key.c) */
void gw_config_help(FILE *out);
/** The same, and whether a change needs a restart, as a JSON document. (gw_config_key.c) */
void gw_config_help_json(FILE *out);

#endif
