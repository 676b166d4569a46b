/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_main.c - runs the scripts named on the command line; 0 when all pass. */
#include <stdio.h>

#include "pd.h"

int main(int argc, char **argv)
{
	struct pd_script s;

	if (argc < 2) {
		fprintf(stderr, "usage: %s SCRIPT...\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		pd_parse(&s, argv[i]);
		pd_run(&s);
		pd_free(&s);
		printf("%s: ok\n", argv[i]);
	}
	return 0;
}
