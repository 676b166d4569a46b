/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_trace.c - trace packet: the question, a description in words, hexadecimal, or packet N of
 * a capture file (FILE#N, from 1: pcap, or pcapng with interfaces of several kinds, as `capture`
 * writes); and the answer for people.
 */
#include <byteswap.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_pcapng.h"
#include "gateway/tagctl.h"

#define BLOCK_MAX 262144u
#define IFACES	  64u
#define ERF_HEAD  16u /* of a record, ahead of its packet */

/** A capture file being read. */
struct file {
	FILE *f;
	bool swap;	       /* of the other byte order */
	uint8_t b[BLOCK_MAX];  /* block or packet at hand */
	uint32_t n_if;	       /* interfaces described so far */
	uint32_t link[IFACES]; /* their link types */
	char name[IFACES][64]; /* and names */
};

static uint32_t u32(const struct file *r, const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return r->swap ? bswap_32(v) : v;
}

static uint16_t u16(const struct file *r, const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return r->swap ? bswap_16(v) : v;
}

/* Bytes as a text; the caller's. */
static json_t *hex(const uint8_t *b, uint32_t n)
{
	char *text = malloc(2 * (size_t)n + 1);
	json_t *o;

	if (!text)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		sprintf(text + 2 * (size_t)i, "%02x", b[i]);
	o = json_stringn(text, 2 * (size_t)n);
	free(text);
	return o;
}

/* Puts a packet into the request; false: of a kind that nobody knows. */
static bool put_packet(json_t *req, uint32_t link, const char *name, const uint8_t *b, uint32_t n)
{
	if (link == GW_NG_ERF && n > ERF_HEAD)
		return json_object_set_new(req, "fabric", hex(b + ERF_HEAD, n - ERF_HEAD)) == 0;
	if (link != GW_NG_ETHERNET)
		return false;
	if (*name && !json_object_get(req, "in"))
		json_object_set_new(req, "in", json_string(name));
	return json_object_set_new(req, "frame", hex(b, n)) == 0;
}

/* An interface description block: its link type and name. */
static void interface(struct file *r, const uint8_t *body, uint32_t n)
{
	uint32_t i = r->n_if++;

	if (i >= IFACES || n < 8)
		return;
	r->link[i] = u16(r, body);
	for (uint32_t at = 8; at + 4 <= n;) {
		uint16_t code = u16(r, body + at), len = u16(r, body + at + 2);

		if (!code || at + 4 + len > n)
			return;
		if (code == GW_NG_IF_NAME && len < sizeof(r->name[0]))
			memcpy(r->name[i], body + at + 4, len);
		at += 4 + (len + 3u) / 4 * 4;
	}
}

/* The next block of a pcapng file into r->b; its body's bytes, 0: there is none. */
static uint32_t next_block(struct file *r, uint32_t *type)
{
	uint8_t head[12];
	uint32_t len;

	if (fread(head, 12, 1, r->f) != 1)
		return 0;
	*type = u32(r, head);
	if (*type == GW_NG_SHB) {
		r->swap = false;
		r->swap = u32(r, head + 8) != GW_NG_MAGIC;
		r->n_if = 0;
	}
	len = u32(r, head + 4);
	if (len < 16 || len > BLOCK_MAX)
		return 0;
	memcpy(r->b, head + 8, 4);
	return fread(r->b + 4, len - 12, 1, r->f) == 1 ? len - 12 : 0;
}

/* Packet `want` of a pcapng file. */
static const char *read_pcapng(struct file *r, unsigned long want, json_t *req)
{
	uint32_t n, type, i, caplen;

	rewind(r->f);
	while ((n = next_block(r, &type))) {
		if (type == GW_NG_IDB)
			interface(r, r->b, n);
		if (type != GW_NG_EPB || n < 20 || --want)
			continue;
		i = u32(r, r->b);
		caplen = u32(r, r->b + 12);
		if (i >= r->n_if || i >= IFACES || caplen > n - 20)
			return "is broken at that packet";
		return put_packet(req, r->link[i], r->name[i], r->b + 20, caplen)
			       ? NULL
			       : "has another kind of packet there";
	}
	return "has fewer packets";
}

/* The same of a pcap file, whose head has been read. */
static const char *read_pcap(struct file *r, unsigned long want, uint32_t link, json_t *req)
{
	uint8_t head[16];
	uint32_t n;

	while (fread(head, sizeof(head), 1, r->f) == 1) {
		n = u32(r, head + 8);
		if (n > BLOCK_MAX || fread(r->b, 1, n, r->f) != n)
			break;
		if (--want == 0)
			return put_packet(req, link, "", r->b, n)
				       ? NULL
				       : "has another kind of packet there";
	}
	return "has fewer packets";
}

static const char *read_file(const char *path, unsigned long want, json_t *req)
{
	static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d}; /* micro-, nanoseconds */
	struct file *r = calloc(1, sizeof(*r));
	const char *bad = "is no capture file";
	uint8_t head[24];

	if (!r)
		return "is too much for this machine's memory";
	r->f = fopen(path, "r");
	if (!r->f) {
		free(r);
		return "cannot be opened";
	}
	if (fread(head, sizeof(head), 1, r->f) == 1) {
		if (u32(r, head) == GW_NG_SHB)
			bad = read_pcapng(r, want, req);
		for (int s = 0; s < 4; s++) {
			r->swap = s & 1;
			if (u32(r, head) == magics[s / 2])
				bad = read_pcap(r, want, u32(r, head + 20) & 0xffff, req);
		}
	}
	fclose(r->f);
	free(r);
	return bad;
}

/* True for bytes in hexadecimal, of a frame at least. */
static bool is_hex(const char *s)
{
	size_t n = strspn(s, "0123456789abcdefABCDEF");

	return n >= 28 && !s[n];
}

bool trace_args(json_t *req, char **args, int n)
{
	char text[512] = "", *number = strrchr(args[0], '#'), *end;
	unsigned long want = number ? strtoul(number + 1, &end, 10) : 0;
	const char *bad;

	if (n == 3 && strcmp(args[1], "in") == 0)
		json_object_set_new(req, "in", json_string(args[2]));
	if (want && !*end && isdigit((unsigned char)number[1])) {
		*number = '\0';
		bad = read_file(args[0], want, req);
		if (bad)
			fprintf(stderr, "tagctl: %s %s\n", args[0], bad);
		return !bad;
	}
	if (is_hex(args[0])) {
		json_object_set_new(req, "frame", json_string(args[0]));
		return true;
	}
	for (int i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 args[i]);
	json_object_set_new(req, "packet", json_string(text));
	return true;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

void trace_print(FILE *out, const json_t *reply)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(reply, "steps"), i, o)
		fprintf(out, "%-16s  %s\n", text_of(o, "step"), text_of(o, "says"));
	fprintf(out, "%-16s  %s%s%s", "verdict", text_of(reply, "verdict"),
		*text_of(reply, "path") ? ", " : "", text_of(reply, "path"));
	if (*text_of(reply, "drop_counter"))
		fprintf(out, ", counted as %s", text_of(reply, "drop_counter"));
	fputc('\n', out);
}
