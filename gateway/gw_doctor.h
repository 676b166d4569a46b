/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_doctor.h - looks at the machine before tagd runs on it: what is there, what is missing, and
 * what to type. Changes nothing.
 */
#ifndef GATEWAY_GW_DOCTOR_H
#define GATEWAY_GW_DOCTOR_H

#include <jansson.h>
#include <stdio.h>

#include "gateway/gw.h"

#define GW_FOREACH_FINDING(_)                                   \
	_(GOOD, "good")                                         \
	_(NOTE, "note")	    /* it works, but could be better */ \
	_(BROKEN, "broken") /* tagd will not start, or nothing will pass */

/** How grave a finding is. */
enum gw_finding {
#define _(sym, name) GW_F_##sym,
	GW_FOREACH_FINDING(_)
#undef _
		GW_F_COUNT
};

/** What has been found so far: an array of {"finding", "what", "found", "fix"}. */
struct gw_doctor {
	json_t *list;	     /* ours until gw_doctor() returns */
	unsigned int broken; /* findings of that kind */
};

/** Adds a finding. fix is what to type, "" when there is nothing to do. */
void gw_doctor_say(struct gw_doctor *d, enum gw_finding kind, const char *what, const char *fix,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/** Looks at everything the configuration in `file` needs, and prints it as a table or as JSON.
 * Returns the number of broken things. */
unsigned int gw_doctor(const char *file, bool json, FILE *out);

/** A port whose device is an interface of the kernel (net_af_packet, net_af_xdp, net_tap). */
void gw_doctor_interface(struct gw_doctor *d, const struct gw_port_cfg *p, const char *ifname);

#endif
