/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_conn_rows.h - lists of connections as JSON rows in which each connection is there once; for
 * the daemon, and for tagctl, which puts pages together.
 */
#ifndef GATEWAY_GW_CONN_ROWS_H
#define GATEWAY_GW_CONN_ROWS_H

#include <jansson.h>

/**
 * Appends a row to an array. `seen` is an object of the caller's that remembers what was appended.
 * Of a connection that two workers have seen natively the bytes are added to its first row; of
 * one that is accelerated, what was native before does not count. Takes references of its own.
 */
void gw_conn_rows_add(json_t *list, json_t *seen, json_t *row);

#endif
