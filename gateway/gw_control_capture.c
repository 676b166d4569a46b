/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_capture.c - commands of the control socket about captures.
 */
#include <errno.h>
#include <string.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_policy.h"

#define BOTH (1u << GW_CAP_LAN | 1u << GW_CAP_FABRIC)

/* What is captured, and until when, unless the request says otherwise. */
static const struct gw_cap_want defaults = {
	.bytes = 64u << 20,
	.packets = 1000000,
	.seconds = 60,
	.sides = BOTH,
};

static const char *side_name(uint32_t sides)
{
	return sides == BOTH ? "both" : sides == 1u << GW_CAP_LAN ? "lan" : "fabric";
}

json_t *gw_control_capture_show(struct gw *gw, const json_t *req)
{
	const struct gw_capture *cap = gw->capture;
	uint64_t fabric;

	if (!cap)
		return json_pack("{s:b}", "running", 0);
	fabric = cap->want.sides & 1u << GW_CAP_FABRIC ? cap->count[cap->n_iface - 1] : 0;
	return json_pack(
		"{s:b, s:s, s:s, s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I}", "running", !cap->joined,
		"file", cap->want.file, "state", gw_cap_end_text(cap->end), "side",
		side_name(cap->want.sides), "filter", cap->want.filter[0] ? cap->want.filter : NULL,
		"packets", (json_int_t)cap->packets, "lan_packets",
		(json_int_t)(cap->packets - fabric), "fabric_packets", (json_int_t)fabric, "bytes",
		(json_int_t)cap->bytes, "missing_frames", (json_int_t)gw_cap_lost(cap, GW_CAP_LAN),
		"missing_operations", (json_int_t)gw_cap_lost(cap, GW_CAP_FABRIC));
}

/* A limit that the request may name; false: it is no positive number. */
static bool limit(const json_t *req, const char *name, uint64_t *v)
{
	const json_t *o = json_object_get(req, name);

	if (!o)
		return true;
	if (!json_is_integer(o) || json_integer_value(o) <= 0)
		return false;
	*v = (uint64_t)json_integer_value(o);
	return true;
}

/* A text that the request may name; false: it is none, or too long. */
static bool text(const json_t *req, const char *name, char to[GW_CAP_TEXT])
{
	const json_t *o = json_object_get(req, name);
	const char *s = json_string_value(o);

	if (!o)
		return true;
	if (!s || strlen(s) >= GW_CAP_TEXT)
		return false;
	strcpy(to, s);
	return true;
}

/* The one connection that the request names by token or client. */
static const char *connection(struct gw *gw, const json_t *req, struct gw_cap_want *want)
{
	json_t *found;
	const char *bad = NULL;
	const json_t *row;

	if (!json_object_get(req, "conn"))
		return NULL;
	found = gw_control_matching(gw, req);
	row = json_array_get(found, 0);
	if (json_array_size(found) != 1)
		bad = row ? "several connections have that client; name one by its token"
			  : "no such connection; \"conn list\" names them, and a filter means "
			    "those to come";
	else if (!gw_endpoint_parse(json_string_value(json_object_get(row, "client")),
				    want->flow.remote.b, &want->flow.rport) ||
		 !gw_endpoint_parse(json_string_value(json_object_get(row, "server")),
				    want->flow.local.b, &want->flow.lport))
		bad = "that connection has ended";
	want->one = true;
	json_decref(found);
	return bad;
}

/* The request's wishes. NULL, or what is wrong with them. */
static const char *wanted(struct gw *gw, const json_t *req, struct gw_cap_want *want)
{
	const char *side = json_string_value(json_object_get(req, "side"));

	*want = defaults;
	if (!limit(req, "bytes", &want->bytes) || !limit(req, "packets", &want->packets) ||
	    !limit(req, "seconds", &want->seconds) || want->seconds > UINT32_MAX)
		return "bytes, packets and seconds are positive numbers";
	if (!text(req, "file", want->file) || !want->file[0])
		return "a capture needs the absolute name of a file";
	if (!text(req, "filter", want->filter))
		return "a filter is a text of less than 512 characters";
	for (uint32_t s = 1; side && s <= BOTH; s++) {
		if (strcmp(side, side_name(s)) == 0) {
			want->sides = s;
			side = NULL;
		}
	}
	if (side)
		return "a side is lan, fabric or both";
	return connection(gw, req, want);
}

json_t *gw_control_capture_start(struct gw *gw, const json_t *req)
{
	struct gw_cap_want want;
	char err[GW_CAP_ERR];
	const char *bad = wanted(gw, req, &want);

	if (bad)
		return json_pack("{s:s}", "error", bad);
	if (gw_capture_start(gw, &want, err))
		return json_pack("{s:s}", "error", err);
	return gw_control_capture_show(gw, req);
}

json_t *gw_control_capture_stop(struct gw *gw, const json_t *req)
{
	gw_capture_stop(gw);
	return gw_control_capture_show(gw, req);
}
