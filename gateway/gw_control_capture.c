/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_capture.c - commands of the control socket about captures.
 */
#include <errno.h>
#include <string.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_int.h"

/* When a capture ends, unless the request says otherwise. */
static const struct gw_cap_limits defaults = {
	.bytes = 64u << 20,
	.packets = 1000000,
	.seconds = 60,
};

json_t *gw_control_capture_show(struct gw *gw, const json_t *req)
{
	static const char *const texts[] = {
#define _(sym, text) [GW_CAP_##sym] = text,
		GW_FOREACH_CAP_END(_)
#undef _
	};
	const struct gw_capture *cap = gw->capture;
	uint64_t lost = 0;

	if (!cap)
		return json_pack("{s:b}", "running", 0);
	for (uint32_t i = 0; i < gw->n_worker; i++)
		lost += cap->ring[i].lost;
	return json_pack("{s:b, s:s, s:s, s:I, s:I, s:I}", "running", !cap->joined, "file",
			 cap->file, "state", texts[cap->end], "packets", (json_int_t)cap->packets,
			 "bytes", (json_int_t)cap->bytes, "missing_operations", (json_int_t)lost);
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

json_t *gw_control_capture_start(struct gw *gw, const json_t *req)
{
	const char *file = json_string_value(json_object_get(req, "file"));
	struct gw_cap_limits l = defaults;
	char text[128];
	int rc;

	if (!limit(req, "bytes", &l.bytes) || !limit(req, "packets", &l.packets) ||
	    !limit(req, "seconds", &l.seconds) || l.seconds > UINT32_MAX)
		return json_pack("{s:s}", "error",
				 "bytes, packets and seconds are positive numbers");
	rc = file ? gw_capture_start(gw, file, &l) : EINVAL;
	if (rc == 0)
		return gw_control_capture_show(gw, req);
	snprintf(text, sizeof(text), "%s",
		 rc == EBUSY	? "a capture is running; \"capture stop\" ends it"
		 : rc == EINVAL ? "a capture needs the absolute name of a file"
		 : rc == EEXIST ? "the file exists; a capture does not replace one"
				: strerror(rc));
	return json_pack("{s:s}", "error", text);
}

json_t *gw_control_capture_stop(struct gw *gw, const json_t *req)
{
	gw_capture_stop(gw);
	return gw_control_capture_show(gw, req);
}
