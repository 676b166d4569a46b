/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config.c - reads the configuration file.
 *
 * inih splits lines into section, key and value. Its handler does not learn line numbers nor of
 * empty sections, so the reader that feeds it counts lines, opens sections and finds lines that
 * are none of the allowed kinds; gw_config_key.c has the table of keys, gw_config_check.c what
 * concerns several of them. Nothing stops at the first error.
 */
#include "gateway/gw_config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/** A kind of section. */
struct section_kind {
	const char *name;	 /* in the file */
	enum gw_section section; /* its number */
	bool named;		 /* carries a name in quotes */
};

static const struct section_kind kinds[] = {
	{"gateway", GW_SEC_GATEWAY, false}, {"port", GW_SEC_PORT, true},
	{"fabric", GW_SEC_FABRIC, false},   {"server", GW_SEC_SERVER, true},
	{"service", GW_SEC_SERVICE, true},  {"rule", GW_SEC_RULE, true},
};

#define SECTIONS_TEXT \
	"[gateway], [port \"NAME\"], [fabric], [server \"NAME\"], [service \"NAME\"], [rule \"NAME\"]"

/** What the line reader carries. */
struct reader {
	FILE *f;		 /* the file */
	struct gw_config_ctx *c; /* the parse */
};

void gw_config_error(struct gw_config_ctx *c, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	c->errors++;
	fprintf(c->err, "%s:%u: ", c->file, line);
	va_start(ap, fmt);
	vfprintf(c->err, fmt, ap);
	va_end(ap);
	fputc('\n', c->err);
}

/* Looks for a name in an array of structures that start with it; or -1. */
static int find_name(const void *array, size_t stride, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp((const char *)array + i * stride, name) == 0)
			return (int)i;
	return -1;
}

/* Takes the next entry of a repeated section, or reports why not. */
static void *open_named(struct gw_config_ctx *c, void *array, size_t stride, uint32_t *n,
			uint32_t max, unsigned int *lines, const char *name)
{
	int old = find_name(array, stride, *n, name);
	char *entry = (char *)array + *n * stride;

	if (old >= 0) {
		gw_config_error(c, c->line,
				"%s: found a duplicate section; allowed: once, and line %u has it",
				c->title, lines[old]);
		return NULL;
	}
	if (*n == max) {
		gw_config_error(c, c->line, "%s: found section %u of its kind; allowed: at most %u",
				c->title, max + 1, max);
		return NULL;
	}
	lines[*n] = c->line;
	(*n)++;
	gw_config_defaults(c->section, entry);
	strcpy(entry, name);
	return entry;
}

/* A section without a name may come once. */
static void *open_single(struct gw_config_ctx *c, bool *had)
{
	if (*had) {
		gw_config_error(c, c->line, "%s: found a duplicate section; allowed: once",
				c->title);
		return NULL;
	}
	*had = true;
	return c->cfg;
}

/* Opens the section `kind` named `name`. */
static void open_section(struct gw_config_ctx *c, const struct section_kind *kind, const char *name)
{
	struct gw_cfg *g = c->cfg;

	c->section = kind->section;
	switch (kind->section) {
	case GW_SEC_GATEWAY:
		c->target = open_single(c, &c->had_gateway);
		break;
	case GW_SEC_FABRIC:
		c->target = open_single(c, &c->had_fabric);
		break;
	case GW_SEC_PORT:
		c->target = open_named(c, g->port, sizeof(g->port[0]), &g->n_port, GW_MAX_PORTS,
				       c->port_line, name);
		break;
	case GW_SEC_SERVER:
		c->target = open_named(c, g->server, sizeof(g->server[0]), &g->n_server,
				       GW_MAX_HOSTS, c->server_line, name);
		break;
	case GW_SEC_RULE:
		c->target = open_named(c, g->rule, sizeof(g->rule[0]), &g->n_rule, GW_MAX_RULES,
				       c->rule_line, name);
		break;
	default:
		c->target = open_named(c, g->service, sizeof(g->service[0]), &g->n_service,
				       GW_MAX_SERVICES, c->service_line, name);
	}
}

/* Ends the current section. */
static void close_section(struct gw_config_ctx *c)
{
	if (c->target)
		gw_config_required(c, c->line);
	c->section = GW_SEC_NONE;
	c->target = NULL;
	c->seen[0] = c->seen[1] = 0;
	c->title[0] = '\0';
}

/* Reads the quoted name of a section; false: malformed. */
static bool section_name(const char *p, char name[GW_NAMELEN])
{
	size_t n;

	while (*p == ' ' || *p == '\t')
		p++;
	if (*p++ != '"')
		return false;
	n = strcspn(p, "\"");
	if (p[n] != '"' || n == 0 || n >= GW_NAMELEN)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && !strchr("-_.:", p[i]))
			return false;
	memcpy(name, p, n);
	name[n] = '\0';
	p += n + 1;
	return p[strspn(p, " \t")] == '\0';
}

/* A line that starts with '['. */
static void section_line(struct gw_config_ctx *c, const char *line)
{
	char text[200], name[GW_NAMELEN] = "";
	size_t n = strcspn(line, "]");

	close_section(c);
	if (line[n] != ']' || n - 1 >= sizeof(c->title) - 2) {
		gw_config_error(c, c->line, "%.*s: found a section line without ']'",
				(int)strcspn(line, "\r\n"), line);
		return;
	}
	memcpy(text, line + 1, n - 1);
	text[n - 1] = '\0';
	snprintf(c->title, sizeof(c->title), "[%.125s]", text);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].name);

		if (strncmp(text, kinds[i].name, len) || isalnum((unsigned char)text[len]))
			continue;
		if (kinds[i].named ? !section_name(text + len, name)
				   : text[len + strspn(text + len, " \t")] != '\0') {
			gw_config_error(c, c->line, "%s: found a malformed section; allowed: [%s%s",
					c->title, kinds[i].name,
					kinds[i].named
						? " \"NAME\"] with letters, digits, - _ . : in NAME"
						: "]");
			return;
		}
		open_section(c, &kinds[i], name);
		return;
	}
	gw_config_error(c, c->line, "%s: found an unknown section; allowed: " SECTIONS_TEXT,
			c->title);
}

/* What people write reaches them again as JSON, which is UTF-8. */
static bool is_text(const char *line)
{
	json_t *v = json_string(line);

	json_decref(v);
	return v != NULL;
}

/* Feeds inih one line; see the head comment. */
static char *read_line(char *buf, int num, void *stream)
{
	struct reader *r = stream;
	struct gw_config_ctx *c = r->c;
	const char *p = buf;

	if (!fgets(buf, num, r->f))
		return NULL;
	c->line++;
	if (!strchr(buf, '\n') && !feof(r->f)) {
		gw_config_error(c, c->line, "found a line of more than %d characters", num - 2);
		for (int ch = 0; ch != '\n' && ch != EOF;)
			ch = fgetc(r->f);
		strcpy(buf, "\n");
		return buf;
	}
	if (!is_text(buf)) {
		gw_config_error(c, c->line, "%s: found bytes that are not UTF-8",
				c->title[0] ? c->title : "file");
		strcpy(buf, "\n");
		return buf;
	}
	p += strspn(p, " \t\r\n");
	if (*p == '[')
		section_line(c, p);
	else if (*p && *p != '#' && *p != ';' && p == buf && !strpbrk(p, "=:"))
		gw_config_error(c, c->line, "%s: found \"%.*s\"; allowed: KEY = VALUE",
				c->title[0] ? c->title : "file", (int)strcspn(p, "\r\n"), p);
	return buf;
}

/* One key and its value, from inih. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct gw_config_ctx *c = user;

	(void)section; /* read_line() opened it already */
	if (c->target)
		gw_config_key(c, name, value);
	else if (!c->title[0])
		gw_config_error(c, c->line,
				"%s: found outside of any section; allowed: " SECTIONS_TEXT, name);
	return 1;
}

int gw_config_load(const char *file, struct gw_cfg *cfg, FILE *err)
{
	struct gw_config_ctx *c = calloc(1, sizeof(*c));
	struct reader r = {.c = c};
	int rc = 0;

	if (!c)
		return ENOMEM;
	memset(cfg, 0, sizeof(*cfg));
	c->file = file;
	c->err = err;
	c->cfg = cfg;
	gw_config_defaults(GW_SEC_GATEWAY, cfg);
	gw_config_defaults(GW_SEC_FABRIC, cfg);
	r.f = fopen(file, "r");
	if (!r.f) {
		fprintf(err, "%s: cannot be read: %s\n", file, strerror(errno));
		free(c);
		return EINVAL;
	}
	ini_parse_stream(read_line, &r, on_key, c);
	close_section(c);
	fclose(r.f);
	for (uint32_t i = 0; i < cfg->n_service; i++)
		cfg->service[i].id = (uint16_t)i;
	for (uint32_t i = 0; i < cfg->n_rule; i++)
		cfg->rule[i].id = (uint16_t)i;
	gw_config_check(c);
	if (c->errors)
		rc = EINVAL;
	free(c);
	return rc;
}
