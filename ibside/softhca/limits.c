/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the device admits to: SOFTHCA_LIMITS="sge=1,rd_atomic=1,inline=0,wr=700,cqe=4000" makes it a
 * smaller one, for programs that are to take a device's limits from the device.
 */
#include <stdlib.h>

#include "soft.h"

/* In force; set before the first port opens. */
struct soft_limits soft_limits = {
	.sge = SOFT_MAX_SGE,
	.rd_atomic = SOFT_MAX_RD_ATOMIC,
	.inl = SOFT_MAX_INLINE,
	.wr = SOFT_MAX_WR,
	.cqe = SOFT_MAX_CQE,
};

static const struct {
	const char *name; /* in the variable */
	uint32_t *value;  /* what it lowers */
} names[] = {
	{"sge", &soft_limits.sge},    {"rd_atomic", &soft_limits.rd_atomic},
	{"inline", &soft_limits.inl}, {"wr", &soft_limits.wr},
	{"cqe", &soft_limits.cqe},
};

static bool lower(const char *name, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i].name, name) && *value && !*end && n <= *names[i].value) {
			*names[i].value = (uint32_t)n;
			return true;
		}
	return false;
}

/* Reads the environment. */
void soft_limits_init(void)
{
	const char *env = getenv("SOFTHCA_LIMITS");
	char text[128], *rest = NULL, *word, *value;

	snprintf(text, sizeof(text), "%s", env ? env : "");
	for (word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		if (!value || !lower(word, value))
			fprintf(stderr, "softhca: SOFTHCA_LIMITS: %s is no limit that can be so\n",
				word);
	}
}
