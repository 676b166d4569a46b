/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_tun.h - TUN devices in network namespaces of the calling process, for tests and benches
 * that put the TCP core or an emulated link opposite the kernel's TCP.
 *
 * The namespaces have no names: they end with the processes in them.
 */
#ifndef TESTS_WIRE_TUN_H
#define TESTS_WIRE_TUN_H

#include <stdint.h>

/**
 * Moves the caller (and the children it will fork) into a new network namespace with loopback up.
 * 0, or errno: EPERM where namespaces cannot be had.
 */
int wire_enter_netns(void);

/**
 * Opens a non-blocking TUN device `name` in the present namespace with IPv4 address `addr`/24 (host
 * byte order), up, offloads off. Returns its descriptor, -1 with errno where it cannot be had.
 */
int wire_tun_open(const char *name, uint32_t addr);

/** Writes `value` to /proc/sys/`path` of the present namespace. 0 or errno. */
int wire_sysctl(const char *path, const char *value);

#endif
