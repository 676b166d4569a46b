/* SPDX-License-Identifier: BSD-3-Clause */
/* corr_health.h - from signs of life to the share of new flows that a server takes. */
#ifndef CORRELATOR_CORR_HEALTH_H
#define CORRELATOR_CORR_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define CORR_LOAD_US	500u /* READs that are faster than this are not slow */
#define CORR_SHARE_FULL 256u /* all flows that its weight gives it */

/** How fast a server's signs of life are believed. */
struct corr_health_cfg {
	uint32_t rise;		/* good signs in a row until it is up, at least 1 */
	uint32_t fall;		/* bad signs in a row until it is down, at least 1 */
	uint32_t hold_ms;	/* it stays down at least so long */
	uint32_t slow_start_ms; /* from coming up to its full share; 0: at once */
};

/** Health of one server. Zero-initialised: down, never seen. Control thread. */
struct corr_health {
	bool up;	    /* believed */
	bool ever;	    /* was up before: only a return is held back and starts slowly */
	uint32_t streak;    /* signs in a row that contradict `up` */
	uint64_t since_ms;  /* of the last change */
	uint64_t rising_ms; /* start of the slow start; 0: none, full share at once */
	uint64_t changes;   /* of `up` */
};

/** A sign of life, or of its lack. True when `up` changed. */
bool corr_health_sign(struct corr_health *h, const struct corr_health_cfg *c, bool good,
		      uint64_t now_ms);

/** Certainty (its queue pair died, its agent is gone): down without a streak. True: it was up. */
bool corr_health_lost(struct corr_health *h, uint64_t now_ms);

/** Share of new flows, 0 to CORR_SHARE_FULL. Never 0 while it is up. */
uint32_t corr_health_share(const struct corr_health *h, const struct corr_health_cfg *c,
			   uint64_t now_ms);

/**
 * Share by load: a server whose READs take `own_us` while the median of its peers is `median_us`
 * gives part of its flows away once it is more than twice as slow and takes CORR_LOAD_US at least;
 * a quarter it keeps in any case. 0 for unknown: full share.
 */
uint32_t corr_load_share(uint32_t own_us, uint32_t median_us);

#endif
