/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_confkeys.c - one function per key of taghostd.conf: takes the text or says what is allowed.
 */
#include "host/host_confkeys.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_shm.h"

#define MIN_RING (16u << 10) /* bytes of the smallest ring */
#define MAX_RING (64u << 20) /* and of the largest */

static int take_text(char *dst, size_t size, const char *v, char *why, size_t room)
{
	if (!*v || strlen(v) >= size) {
		snprintf(why, room, "1 to %zu characters", size - 1);
		return -1;
	}
	strcpy(dst, v);
	return 0;
}

static int take_number(unsigned int *dst, unsigned int lo, unsigned int hi, const char *v,
		       char *why, size_t room)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(v, &end, 10);
	if (!isdigit((unsigned char)*v) || *end || errno || n < lo || n > hi) {
		snprintf(why, room, "a number from %u to %u", lo, hi);
		return -1;
	}
	*dst = (unsigned int)n;
	return 0;
}

static int take_ring(uint32_t *dst, const char *v, char *why, size_t room)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(v, &end, 10);
	if (*end == 'K' || *end == 'k')
		n <<= 10, end++;
	else if (*end == 'M' || *end == 'm')
		n <<= 20, end++;
	if (!isdigit((unsigned char)*v) || *end || errno || n < MIN_RING || n > MAX_RING ||
	    (n & (n - 1))) {
		snprintf(why, room, "a power of two from %uK to %uM", MIN_RING >> 10,
			 MAX_RING >> 20);
		return -1;
	}
	*dst = (uint32_t)n;
	return 0;
}

/* Calls one() for each piece of a list separated by commas. */
static int take_list(struct host_conf *c, const char *v, char *why, size_t room,
		     int (*one)(struct host_conf *c, char *v, char *why, size_t room))
{
	char copy[512], *save = NULL, *tok;
	int rc = 0, n = 0;

	snprintf(copy, sizeof(copy), "%s", v);
	for (tok = strtok_r(copy, ", \t", &save); tok && !rc; tok = strtok_r(NULL, ", \t", &save)) {
		rc = one(c, tok, why, room);
		n++;
	}
	if (!n) {
		snprintf(why, room, "at least one address");
		return -1;
	}
	return rc;
}

static int one_address(struct host_conf *c, char *v, char *why, size_t room)
{
	struct host_conf_addr *a = &c->addr[c->n_addr];
	char *slash = strchr(v, '/');
	unsigned int plen, max;

	if (c->n_addr == HOST_MAX_ADDRS) {
		snprintf(why, room, "at most %d addresses", HOST_MAX_ADDRS);
		return -1;
	}
	if (slash)
		*slash = 0;
	if (!slash || net_addr_parse(v, &a->addr) != 0) {
		snprintf(why, room, "IP/PREFIX, such as 10.77.0.11/24 or fd77::11/64");
		return -1;
	}
	max = net_addr_is_v4(&a->addr) ? 32 : 128;
	if (take_number(&plen, 1, max, slash + 1, why, room))
		return -1;
	a->plen = (uint8_t)plen;
	if (host_conf_owns(c, &a->addr)) {
		snprintf(why, room, "%s is given twice", v);
		return -1;
	}
	c->n_addr++;
	return 0;
}

static int one_route(struct host_conf *c, char *v, char *why, size_t room)
{
	if (c->n_route == HOST_MAX_ROUTES || net_addr_parse(v, &c->route[c->n_route]) != 0) {
		snprintf(why, room, "at most %d IP addresses of routers", HOST_MAX_ROUTES);
		return -1;
	}
	c->n_route++;
	return 0;
}

static int set_name(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_text(c->name, sizeof(c->name), v, why, room);
}

static int set_key(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_text(c->key, sizeof(c->key), v, why, room);
}

static int set_tap(struct host_conf *c, const char *v, char *why, size_t room)
{
	if (strpbrk(v, "/ %")) {
		snprintf(why, room, "an interface name without '/', '%%' and spaces");
		return -1;
	}
	return take_text(c->tap, sizeof(c->tap), v, why, room);
}

static int set_address(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_list(c, v, why, room, one_address);
}

static int set_mac(struct host_conf *c, const char *v, char *why, size_t room)
{
	unsigned int m[6];
	char rest;

	if (sscanf(v, "%2x:%2x:%2x:%2x:%2x:%2x%c", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5],
		   &rest) != 6 ||
	    (m[0] & 1)) {
		snprintf(why, room, "a unicast MAC address, such as 02:00:00:00:00:0b");
		return -1;
	}
	for (int i = 0; i < 6; i++)
		c->mac[i] = (uint8_t)m[i];
	c->has_mac = true;
	return 0;
}

static int set_mtu(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_number(&c->mtu, 1280, 9216, v, why, room);
}

static int set_route(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_list(c, v, why, room, one_route);
}

static int set_socket(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_text(c->socket, sizeof(c->socket), v, why, room);
}

static int set_max_accel(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_number(&c->max_accel, 0, 65535, v, why, room);
}

static int set_level(struct host_conf *c, const char *v, char *why, size_t room)
{
	int l = host_log_parse(v);

	if (l < 0) {
		snprintf(why, room, "error, warning, info or debug");
		return -1;
	}
	c->level = (enum host_level)l;
	return 0;
}

static int set_device(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_text(c->device, sizeof(c->device), v, why, room);
}

static int set_port(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_number(&c->port, 1, 255, v, why, room);
}

static int set_gid_index(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_number(&c->gid_index, 0, 255, v, why, room);
}

static int set_slots(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_number(&c->slots, 1, HOST_MAX_SLOTS, v, why, room);
}

static int set_tx_ring(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_ring(&c->tx_ring, v, why, room);
}

static int set_rx_ring(struct host_conf *c, const char *v, char *why, size_t room)
{
	return take_ring(&c->rx_ring, v, why, room);
}

static int set_connect(struct host_conf *c, const char *v, char *why, size_t room)
{
	if (strncmp(v, "unix:/", 6) != 0) {
		snprintf(why, room, "unix:/PATH of the gateway's fabric socket");
		return -1;
	}
	return take_text(c->gw[c->n_gw - 1].connect, sizeof(c->gw[0].connect), v + 5, why, room);
}

static const struct host_confkey keys_host[] = {
	{"name", false, set_name},
	{"key", false, set_key},
	{"tap", false, set_tap},
	{"address", true, set_address},
	{"mac", false, set_mac},
	{"mtu", false, set_mtu},
	{"route", true, set_route},
	{"socket", false, set_socket},
	{"max-accelerated", false, set_max_accel},
	{"log-level", false, set_level},
	{NULL, false, NULL},
};
static const struct host_confkey keys_fabric[] = {
	{"device", false, set_device},
	{"port", false, set_port},
	{"gid-index", false, set_gid_index},
	{NULL, false, NULL},
};
static const struct host_confkey keys_arena[] = {
	{"slots", false, set_slots},
	{"tx-ring", false, set_tx_ring},
	{"rx-ring", false, set_rx_ring},
	{NULL, false, NULL},
};
static const struct host_confkey keys_gateway[] = {
	{"connect", false, set_connect},
	{NULL, false, NULL},
};

static const struct host_confkey *keys_of(const char *title)
{
	if (strcmp(title, "host") == 0)
		return keys_host;
	if (strcmp(title, "fabric") == 0)
		return keys_fabric;
	if (strcmp(title, "arena") == 0)
		return keys_arena;
	if (strncmp(title, "gateway", 7) == 0 && isspace((unsigned char)title[7]))
		return keys_gateway;
	return NULL;
}

bool host_confkey_section(const char *title)
{
	const struct host_confkey *k = keys_of(title);

	return k && k != keys_gateway;
}

const struct host_confkey *host_confkey_find(const char *title, const char *name, int *idx)
{
	const struct host_confkey *k = keys_of(title);

	for (*idx = 0; k && k[*idx].name; ++*idx)
		if (strcmp(k[*idx].name, name) == 0)
			return &k[*idx];
	return NULL;
}

void host_confkey_list(const char *title, char *buf, size_t room)
{
	const struct host_confkey *k = keys_of(title);
	size_t n = 0;

	for (buf[0] = 0; k && k->name && n < room; k++)
		n += (size_t)snprintf(buf + n, room - n, "%s%s", n ? ", " : "", k->name);
}
