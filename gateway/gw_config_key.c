/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_key.c - keys of a section as they are read: known or not, given twice, missing; their
 * defaults and the list of all of them. The table is gw_config_table.c.
 */
#include <string.h>

#include "gateway/gw_config_key.h"

/* Names of a section's keys. */
static void key_names(enum gw_section s, char buf[512])
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < gw_n_keys; i++)
		if (gw_keys[i].section == s && n < 500)
			n += (size_t)snprintf(buf + n, 512 - n, "%s%s", n ? ", " : "",
					      gw_keys[i].name);
}

void gw_config_defaults(enum gw_section section, void *target)
{
	char bad[64];

	for (size_t i = 0; i < gw_n_keys; i++)
		if (gw_keys[i].section == section && gw_keys[i].def)
			gw_config_store(&gw_keys[i], target, gw_keys[i].def, bad);
}

void gw_config_key(struct gw_config_ctx *c, const char *key, const char *value)
{
	char buf[512], bad[64];

	for (size_t i = 0; i < gw_n_keys; i++) {
		const struct gw_key *k = &gw_keys[i];
		bool list = k->type == KEY_PREFIXES || k->type == KEY_ADDRS || k->type == KEY_MACS;

		if (k->section != c->section || strcmp(k->name, key))
			continue;
		if (c->seen[i / 64] >> i % 64 & 1 && !list) {
			gw_config_error(c, c->line, "%s %s: found a second time; allowed: once",
					c->title, key);
			return;
		}
		c->seen[i / 64] |= UINT64_C(1) << i % 64;
		if (!gw_config_store(k, c->target, value, bad))
			gw_config_error(c, c->line, "%s %s: found \"%.100s\"; allowed: %s",
					c->title, key, bad[0] ? bad : value,
					gw_config_allowed(k, buf));
		return;
	}
	key_names(c->section, buf);
	gw_config_error(c, c->line, "%s %s: found an unknown key; allowed: %s", c->title, key, buf);
}

void gw_config_required(struct gw_config_ctx *c, unsigned int line)
{
	char buf[160];

	for (size_t i = 0; i < gw_n_keys; i++)
		if (gw_keys[i].section == c->section && !gw_keys[i].def &&
		    !(c->seen[i / 64] >> i % 64 & 1))
			gw_config_error(
				c, line, "%s %s: not found before the section's end; allowed: %s",
				c->title, gw_keys[i].name, gw_config_allowed(&gw_keys[i], buf));
}

void gw_config_help(FILE *out)
{
	static const char *const sections[] = {
		[GW_SEC_GATEWAY] = "[gateway]",
		[GW_SEC_PORT] = "[port \"NAME\"]",
		[GW_SEC_FABRIC] = "[fabric]",
		[GW_SEC_SERVER] = "[server \"NAME\"]",
		[GW_SEC_SERVICE] = "[service \"NAME\"]",
		[GW_SEC_RULE] = "[rule \"NAME\"]",
	};
	enum gw_section last = GW_SEC_NONE;
	char buf[160];

	for (size_t i = 0; i < gw_n_keys; i++) {
		if (gw_keys[i].section != last)
			fprintf(out, "%s\n", sections[gw_keys[i].section]);
		last = gw_keys[i].section;
		fprintf(out, "  %-19s %s (%s; default: %s; %s)\n", gw_keys[i].name, gw_keys[i].help,
			gw_config_allowed(&gw_keys[i], buf),
			!gw_keys[i].def	     ? "none, required"
			: !gw_keys[i].def[0] ? "empty"
					     : gw_keys[i].def,
			gw_keys[i].reload == GW_RELOAD_LIVE ? "live" : "restart");
	}
}
