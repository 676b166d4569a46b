/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_bench.h - a gateway of one worker without a fabric: its LAN port is a pair of rings, its time
 * is the test's. The test puts frames into one ring and finds what the gateway sends in the other.
 */
#ifndef TESTS_UNIT_GATEWAY_GW_BENCH_H
#define TESTS_UNIT_GATEWAY_GW_BENCH_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "gateway/gw_int.h"
#include "tcpstack/net_wire.h"

#define GB_GW	  "10.77.0.1"
#define GB_CLIENT "10.77.0.2"
#define GB_SERVER "10.77.0.11"

/** The gateway under test; gw.worker[0] is its worker. */
extern struct gw gb;
/** Its worker. */
extern struct gw_worker *gw0;
/** MAC of the client. */
extern const uint8_t gb_client_mac[6];

/** Starts EAL and makes everything: cmocka group set-up. */
int gb_open(void **state);
/** cmocka group tear-down. */
int gb_close(void **state);
/** Before each test: empty tables, no counters, no frames. */
int gb_reset(void **state);

/** Moves time and lets the tables age in steps of 10 ms. */
void gb_sleep(uint64_t ms);
/** Gives a frame to the gateway, as from the LAN. */
void gb_rx(const uint8_t *frame, size_t len);
/** Next frame that the gateway sent; its length, 0 when there is none. */
size_t gb_tx(uint8_t buf[2048]);
/** Address from text. */
struct net_addr gb_addr(const char *text);
/** An ARP request or NS of the client for target; its length. */
size_t gb_question(uint8_t *buf, const char *from, const char *target);
/** An answer to the question in q, saying that it is at mac. */
size_t gb_answer(uint8_t *buf, const uint8_t *q, size_t len, const uint8_t mac[6]);
/** An echo request of the client. */
size_t gb_ping(uint8_t *buf, const char *from, const char *to);
/** A TCP segment of the client with flags, checksums right. */
size_t gb_tcp(uint8_t *buf, const char *from, const char *to, uint8_t flags, uint32_t len);
/** Parses what the gateway sent, which must be sound. */
struct net_pkt gb_parse(const uint8_t *frame, size_t len);

#endif
