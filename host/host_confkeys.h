/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_confkeys.h - the keys of taghostd.conf, per section, with what each allows.
 */
#ifndef HOST_HOST_CONFKEYS_H
#define HOST_HOST_CONFKEYS_H

#include <stddef.h>

#include "host/host_config.h"

/** One key. */
struct host_confkey {
	const char *name; /* left of the equals sign */
	bool repeat;	  /* may be given more than once */
	/** Takes the value; -1: refused, and why[] says what is allowed. */
	int (*set)(struct host_conf *c, const char *v, char *why, size_t room);
};

/** True when a plain section of this title exists. */
bool host_confkey_section(const char *title);
/** The key of a section (any [gateway "..."] included) and its number, or NULL. */
const struct host_confkey *host_confkey_find(const char *title, const char *name, int *idx);
/** Writes the names of a section's keys to buf. */
void host_confkey_list(const char *title, char *buf, size_t room);

#endif
