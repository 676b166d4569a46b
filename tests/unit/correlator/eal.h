/* SPDX-License-Identifier: BSD-3-Clause */
/* eal.h - starts DPDK for a unit test: no huge pages, no devices, no files. */
#ifndef TESTS_UNIT_CORRELATOR_EAL_H
#define TESTS_UNIT_CORRELATOR_EAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_eal.h>

/** cmocka group setup. */
static inline int eal_setup(void **state)
{
	static char *argv[] = {"test", "--no-huge", "--no-shconf",    "--no-pci",
			       "-m",   "128",	    "--no-telemetry", "--log-level=error"};

	return rte_eal_init(sizeof(argv) / sizeof(argv[0]), argv) < 0 ? -1 : 0;
}

/** cmocka group teardown. */
static inline int eal_teardown(void **state)
{
	return rte_eal_cleanup();
}

#endif
