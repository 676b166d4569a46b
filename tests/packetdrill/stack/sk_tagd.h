/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_tagd.h - setsockopt(fd, SOL_TAGD, NAME, [n], 4): what scripts say of takeover, slow payload
 * and hand-back. packetdrill itself takes the names by --define NAME=NUMBER.
 */
#ifndef TESTS_PACKETDRILL_SK_TAGD_H
#define TESTS_PACKETDRILL_SK_TAGD_H

#define SOL_TAGD 7461 /* level of the options */

/* name, number */
#define SK_FOREACH_OPT(_)                                                                          \
	_(TAGD_IN_FLIGHT, 1)	/* the kernel had sent that many bytes before the takeover */      \
	_(TAGD_EXPECT_LATE, 2)	/* tcp_expect_late() for that many microseconds */                 \
	_(TAGD_RESUME_LOSS, 3)	/* the next import deems lost what is in flight */                 \
	_(TAGD_COURTESY_ACK, 4) /* shows the ACK that an import owes the client */                 \
	_(TAGD_USER_TIMEOUT, 5) /* user timeout, microseconds */                                   \
	_(TAGD_SUCCESSOR, 6)	/* exports the state and imports it again */                       \
	_(TAGD_QUIESCE, 7)	/* nothing new is sent any more */                                 \
	_(TAGD_READ_DELAY, 8)	/* payload takes that many microseconds */                         \
	_(TAGD_PLACE_DELAY, 9)	/* placement takes that many microseconds */                       \
	_(TAGD_TAKEOVER, 10)	/* the kernel shakes hands, the core takes over */                 \
	_(TAGD_HANDBACK, 11)	/* gives the connection back to the kernel: the map translates */  \
	_(TAGD_PACING, 15)	/* payload is paced */                                             \
	_(TAGD_RESTS, 14)	/* getsockopt(): how often a connection of the stack was parked */ \
	_(TAGD_READ_FAIL, 13)	/* payload cannot be had any more */                               \
	_(TAGD_GATEWAY_DIED, 12) /* the same from the control block, after the gateway is gone */

enum sk_opt {
#define _(name, number) name = number,
	SK_FOREACH_OPT(_)
#undef _
};

#endif
