/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_conn_filter.c - see gw_conn_filter.h.
 */
#include "gateway/gw_conn_filter.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole decimal number up to max. */
static bool number(const char *text, uint64_t max, uint64_t *v)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*v = strtoull(text, &end, 10);
	return !errno && !*end && *v <= max;
}

/* Splits ":PORT" off the end of a text, and brackets around what is before it. */
static bool take_port(char *text, uint16_t *port_be)
{
	char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
	uint64_t port;

	if (bracket ? colon < bracket : colon && strchr(text, ':') != colon)
		colon = NULL; /* it belongs to an IPv6 address */
	if (colon) {
		if (!number(colon + 1, 65535, &port) || !port)
			return false;
		*port_be = htons((uint16_t)port);
		*colon = '\0';
	}
	if (bracket) {
		if (text[0] != '[' || bracket[1])
			return false;
		*bracket = '\0';
		memmove(text, text + 1, strlen(text));
	}
	return true;
}

static bool parse_end(struct gw_filter_end *e, const char *value)
{
	char text[NET_ADDRSTR + 16], *slash;
	uint64_t len = 128;

	if (strlen(value) >= sizeof(text))
		return false;
	strcpy(text, value);
	if (!take_port(text, &e->port_be))
		return false;
	if (!text[0])
		return e->port_be != 0;
	slash = strchr(text, '/');
	if (slash)
		*slash++ = '\0';
	if (net_addr_parse(text, &e->addr))
		return false;
	if (slash) {
		bool v4 = net_addr_is_v4(&e->addr);

		if (!number(slash, v4 ? 32 : 128, &len))
			return false;
		len += v4 ? 96 : 0;
	}
	e->len = (uint8_t)len;
	return true;
}

static bool parse_scaled(uint64_t *v, const char *value, uint64_t scale)
{
	if (!number(value, UINT64_MAX / scale, v))
		return false;
	*v *= scale;
	return true;
}

/* A token as listed, or in decimal; 0 is none. */
static bool parse_token(uint32_t *token, const char *value)
{
	bool hex = value[0] == '0' && value[1] == 'x' && isxdigit((unsigned char)value[2]);
	char *end = "";
	uint64_t v = 0;

	if (hex)
		v = strtoull(value, &end, 16);
	else if (!number(value, UINT32_MAX, &v))
		return false;
	*token = (uint32_t)v;
	return !*end && v && v <= UINT32_MAX;
}

/* One key; false: its value makes no sense. *known tells whether there is such a key. */
static bool parse_key(struct gw_conn_filter *f, const char *key, const char *value, bool *known)
{
	*known = true;
	if (strcmp(key, "client") == 0)
		return parse_end(&f->client, value);
	if (strcmp(key, "server") == 0)
		return parse_end(&f->server, value);
	if (strcmp(key, "older") == 0)
		return parse_scaled(&f->older_us, value, 1000000);
	if (strcmp(key, "bytes") == 0)
		return parse_scaled(&f->min_bytes, value, 1);
	if (strcmp(key, "token") == 0)
		return parse_token(&f->token, value);
	if (strcmp(key, "mode") == 0) {
		f->mode = value;
		return strcmp(value, "native") == 0 || strcmp(value, "accelerated") == 0;
	}
	if (strcmp(key, "host") == 0)
		f->host = value;
	else if (strcmp(key, "state") == 0)
		f->state = value;
	else if (strcmp(key, "reason") == 0)
		f->reason = value;
	else
		*known = false;
	return *known && *value;
}

int gw_conn_filter_parse(struct gw_conn_filter *f, const json_t *obj, char err[GW_FILTER_ERR])
{
	const char *key;
	json_t *v;

	memset(f, 0, sizeof(*f));
	json_object_foreach((json_t *)obj, key, v)
	{
		const char *value = json_string_value(v);
		bool known = true;

		if (value && parse_key(f, key, value, &known))
			continue;
		if (!known)
			snprintf(err, GW_FILTER_ERR,
				 "%.40s: no such filter; there are client, server, host, mode, "
				 "state, reason, token, older and bytes",
				 key);
		else
			snprintf(err, GW_FILTER_ERR, "%.20s=%.60s makes no sense; see tagctl(1)",
				 key, value ? value : "?");
		return EINVAL;
	}
	return 0;
}

/* True when the first len bits are the same. */
static bool in_network(const uint8_t *a, const uint8_t *net, unsigned int len)
{
	unsigned int bytes = len / 8, bits = len % 8;

	if (memcmp(a, net, bytes))
		return false;
	return !bits || !((a[bytes] ^ net[bytes]) >> (8 - bits));
}

static bool end_matches(const struct gw_filter_end *e, const struct net_addr *a, uint16_t port_be)
{
	return (!e->port_be || e->port_be == port_be) && in_network(a->b, e->addr.b, e->len);
}

bool gw_conn_filter_match(const struct gw_conn_filter *f, const struct gw_conn_row *r,
			  const char *host)
{
	if (f->mode && (strcmp(f->mode, "accelerated") == 0) != r->accelerated)
		return false;
	if (!end_matches(&f->client, &r->flow.remote, r->flow.rport) ||
	    !end_matches(&f->server, &r->flow.local, r->flow.lport))
		return false;
	if (f->token && f->token != r->token)
		return false;
	if (r->age_us < f->older_us || r->tx_bytes + r->rx_bytes < f->min_bytes)
		return false;
	if (f->host && strcmp(f->host, host))
		return false;
	if (f->state && strcasecmp(f->state, r->state))
		return false;
	return !f->reason || strcmp(f->reason, ib_reason_name(r->reason)) == 0;
}
