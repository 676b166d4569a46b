/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_config.c - reads taghostd.conf: the file as sections and keys, all errors with their line.
 *
 * inih calls back per key; the line is known because it reads through conf_line(), which also
 * sees the titles of sections (inih does not report them) and lines that are neither.
 */
#include "host/host_config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_confkeys.h"

#define MAX_SECTIONS (3 + HOST_MAX_GATEWAYS)

/** One section seen in the file. */
struct conf_section {
	char title[96];	    /* between the brackets */
	int line;	    /* where it starts */
	uint64_t keys_seen; /* bit per key of the kind's table */
};

/** State of one reading. */
struct conf_reader {
	struct host_conf *c; /* to fill */
	const char *path;    /* for errors */
	FILE *in;	     /* the file */
	FILE *err;	     /* where errors go */
	int line;	     /* of what was read last */
	bool in_line;	     /* the last piece did not end its line */
	unsigned int errors; /* so far */
	struct conf_section sec[MAX_SECTIONS];
	unsigned int n_sec;	  /* entries of sec[] */
	struct conf_section *cur; /* the section being read, NULL: unknown or none */
};

static void conf_error(struct conf_reader *r, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void conf_error(struct conf_reader *r, int line, const char *fmt, ...)
{
	va_list ap;

	r->errors++;
	if (line)
		fprintf(r->err, "%s:%d: ", r->path, line);
	else
		fprintf(r->err, "%s: ", r->path);
	va_start(ap, fmt);
	vfprintf(r->err, fmt, ap);
	va_end(ap);
	fputc('\n', r->err);
}

/* Name of `gateway "name"`, in place; NULL when the title is something else. */
static const char *gateway_name(const char *title, char name[64])
{
	size_t n;

	if (strncmp(title, "gateway", 7) != 0 || !isspace((unsigned char)title[7]))
		return NULL;
	title += 7 + strspn(title + 7, " \t");
	n = strlen(title);
	if (n < 3 || n > 65 || title[0] != '"' || title[n - 1] != '"')
		return NULL;
	memcpy(name, title + 1, n - 2);
	name[n - 2] = 0;
	return name;
}

/* A new section begins. */
static void conf_begin(struct conf_reader *r, const char *title)
{
	char name[64];

	r->cur = NULL;
	for (unsigned int i = 0; i < r->n_sec; i++)
		if (strcmp(r->sec[i].title, title) == 0) {
			conf_error(r, r->line, "[%s]: given twice, first in line %d", title,
				   r->sec[i].line);
			return;
		}
	if (gateway_name(title, name)) {
		if (r->c->n_gw == HOST_MAX_GATEWAYS) {
			conf_error(r, r->line, "[%s]: at most %d gateways are allowed", title,
				   HOST_MAX_GATEWAYS);
			return;
		}
		r->c->gw[r->c->n_gw].line = r->line;
		strcpy(r->c->gw[r->c->n_gw++].name, name);
	} else if (!host_confkey_section(title)) {
		conf_error(r, r->line,
			   "[%s]: unknown section; allowed: [host], [fabric], [arena], "
			   "[gateway \"NAME\"]",
			   title);
		return;
	}
	r->cur = &r->sec[r->n_sec++];
	snprintf(r->cur->title, sizeof(r->cur->title), "%s", title);
	r->cur->line = r->line;
}

/* Looks at a line that inih is about to parse. */
static void conf_look(struct conf_reader *r, const char *s)
{
	char title[96];
	const char *end;

	if (isspace((unsigned char)*s))
		return; /* continuation or empty */
	if (*s == '[') {
		end = strchr(s, ']');
		if (!end || end - s - 1 >= (long)sizeof(title)) {
			conf_error(r, r->line, "not a section title: %.40s", s);
			return;
		}
		memcpy(title, s + 1, (size_t)(end - s - 1));
		title[end - s - 1] = 0;
		conf_begin(r, title);
	} else if (*s && *s != ';' && *s != '#' && !strpbrk(s, "=:")) {
		conf_error(r, r->line, "%.*s: neither \"key = value\" nor a section title",
			   (int)strcspn(s, "\r\n"), s);
	}
}

/* Reader of inih: fgets() that counts lines. */
static char *conf_line(char *buf, int room, void *ctx)
{
	struct conf_reader *r = ctx;

	if (!fgets(buf, room, r->in))
		return NULL;
	if (!r->in_line) {
		r->line++;
		conf_look(r, buf);
	} else {
		conf_error(r, r->line, "line is longer than %d characters", room - 1);
	}
	r->in_line = !strchr(buf, '\n');
	return buf;
}

static int conf_key(void *ctx, const char *section, const char *name, const char *value)
{
	struct conf_reader *r = ctx;
	char why[200] = "";
	const struct host_confkey *k;
	int idx;

	if (!*section) {
		conf_error(r, r->line, "%s: key before the first section", name);
		return 1;
	}
	if (!r->cur)
		return 1; /* said already */
	k = host_confkey_find(r->cur->title, name, &idx);
	if (!k) {
		host_confkey_list(r->cur->title, why, sizeof(why));
		conf_error(r, r->line, "[%s] %s: unknown key; allowed: %s", section, name, why);
		return 1;
	}
	if ((r->cur->keys_seen >> idx & 1) && !k->repeat) {
		conf_error(r, r->line, "[%s] %s: given twice", section, name);
		return 1;
	}
	r->cur->keys_seen |= 1ull << idx;
	if (k->set(r->c, value, why, sizeof(why)) != 0)
		conf_error(r, r->line, "[%s] %s: '%s': %s", section, name, value, why);
	return 1;
}

/* What must be there. */
static void conf_required(struct conf_reader *r)
{
	const struct host_conf *c = r->c;

	if (!c->name[0])
		conf_error(r, 0, "[host] name: missing; the name of this host's [server \"...\"]");
	if (!c->key[0])
		conf_error(r, 0, "[host] key: missing; the secret shared with the gateway");
	if (!c->n_addr)
		conf_error(r, 0, "[host] address: missing; allowed: IP/PREFIX, ...");
	if (!c->n_gw)
		conf_error(r, 0, "[gateway \"NAME\"]: missing; at least one is needed");
	for (unsigned int i = 0; i < c->n_gw; i++)
		if (!c->gw[i].connect[0])
			conf_error(r, c->gw[i].line,
				   "[gateway \"%s\"] connect: missing; allowed: unix:/PATH",
				   c->gw[i].name);
}

static void conf_defaults(struct host_conf *c)
{
	memset(c, 0, sizeof(*c));
	strcpy(c->tap, "tag0");
	c->mtu = 1500;
	strcpy(c->socket, "/run/tag/taghostd.sock");
	c->max_accel = 1024;
	c->level = HOST_LOG_INFO;
	strcpy(c->device, "soft0");
	c->port = 1;
	c->slots = 256;
	c->tx_ring = 1 << 20;
	c->rx_ring = 512 << 10;
}

unsigned int host_conf_load(struct host_conf *c, const char *path, FILE *err)
{
	struct conf_reader r = {.c = c, .path = path, .err = err};

	conf_defaults(c);
	r.in = fopen(path, "re");
	if (!r.in) {
		fprintf(err, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	ini_parse_stream(conf_line, &r, conf_key, &r);
	fclose(r.in);
	conf_required(&r);
	return r.errors;
}

bool host_conf_owns(const struct host_conf *c, const struct net_addr *a)
{
	for (unsigned int i = 0; i < c->n_addr; i++)
		if (net_addr_eq(&c->addr[i].addr, a))
			return true;
	return false;
}
