/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_range.h - small ascending sets of disjoint sequence ranges.
 *
 * A set is an array of struct tcp_range with a count, owned by the caller. All
 * members of a set lie within 2^31 of each other.
 */
#ifndef TCPSTACK_TCP_RANGE_H
#define TCPSTACK_TCP_RANGE_H

#include "tcpstack/tcp.h"

/**
 * Adds [start, end) to the set r of *n ranges, merging what touches. Returns false, with
 * the set unchanged, when it would need more than max ranges.
 */
bool tcp_range_add(struct tcp_range *r, uint8_t *n, unsigned int max, uint32_t start, uint32_t end);

/** Removes everything below `below`. */
void tcp_range_trim(struct tcp_range *r, uint8_t *n, uint32_t below);

/** Removes entry i. */
void tcp_range_drop(struct tcp_range *r, uint8_t *n, unsigned int i);

/** Bytes of [start, end) that the set covers; 0 when end is not after start. */
uint32_t tcp_range_covered(const struct tcp_range *r, uint8_t n, uint32_t start, uint32_t end);

#endif
