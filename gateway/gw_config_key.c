/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_key.c - keys of a section as they are read: known or not, given twice, missing; their
 * defaults and the list of all of them. The table is gw_config_table.c.
 */
#include <jansson.h>
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

/* Sections as they are written. */
static const char *const sections[] = {
	[GW_SEC_GATEWAY] = "[gateway]",
	[GW_SEC_PORT] = "[port \"NAME\"]",
	[GW_SEC_FABRIC] = "[fabric]",
	[GW_SEC_SERVER] = "[server \"NAME\"]",
	[GW_SEC_SERVICE] = "[service \"NAME\"]",
	[GW_SEC_RULE] = "[rule \"NAME\"]",
};

static const char *reload_name(const struct gw_key *k)
{
	return k->reload == GW_RELOAD_LIVE ? "live" : "restart";
}

void gw_config_help(FILE *out)
{
	enum gw_section last = GW_SEC_NONE;
	char buf[160];

	for (size_t i = 0; i < gw_n_keys; i++) {
		const struct gw_key *k = &gw_keys[i];

		if (k->section != last)
			fprintf(out, "%s\n", sections[k->section]);
		last = k->section;
		fprintf(out, "  %-19s %s (%s; default: %s; %s)\n", k->name, k->help,
			gw_config_allowed(k, buf),
			!k->def	     ? "none, required"
			: !k->def[0] ? "empty"
				     : k->def,
			reload_name(k));
	}
}

void gw_config_help_json(FILE *out)
{
	json_t *list = json_array(), *all = json_pack("{s:o}", "keys", list);
	char buf[160];

	for (size_t i = 0; i < gw_n_keys; i++) {
		const struct gw_key *k = &gw_keys[i];
		const char *title = sections[k->section] + 1;

		json_array_append_new(list, json_pack("{s:s%, s:s, s:s?, s:s, s:s, s:s}", "section",
						      title, strcspn(title, " ]"), "name", k->name,
						      "default", k->def, "allowed",
						      gw_config_allowed(k, buf), "reload",
						      reload_name(k), "help", k->help));
	}
	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}
