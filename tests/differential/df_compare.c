/* SPDX-License-Identifier: BSD-3-Clause */
/* df_compare.c - longest common subsequence of two lists of lines; equal ones at about equal times.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "df.h"

#define SLACK_MS 25.0 /* what a busy machine may add to the kernel's times */
#define SLACK	 0.12 /* of the time since the last line before */

static bool near(double a, double b, double gap)
{
	return fabs(a - b) <= SLACK_MS + SLACK * gap;
}

/*
 * At about the same time after the same step, or since the start: a busy machine may do a step
 * late, and a timer may run shortly before or after one.
 */
static bool equal_time(const struct df_notes *a, unsigned int i, const struct df_notes *b,
		       unsigned int k)
{
	double gap = k ? b->line[k].ms - b->line[k - 1].ms : b->line[k].ms;
	bool step = a->line[i].step == b->line[k].step;

	return (step && near(a->line[i].since, b->line[k].since, gap)) ||
	       near(a->line[i].ms, b->line[k].ms, gap);
}

unsigned int df_compare(const struct df_notes *a, const struct df_notes *b, char out[][DF_TEXT])
{
	static unsigned short common[DF_LINES + 1][DF_LINES + 1];
	unsigned int n = 0, i = 0, k = 0;

	memset(common, 0, sizeof(common));
	for (i = a->n; i-- > 0;) {
		for (k = b->n; k-- > 0;) {
			unsigned short skip_a = common[i + 1][k], skip_b = common[i][k + 1];

			common[i][k] = skip_a > skip_b ? skip_a : skip_b;
			if (strcmp(a->line[i].text, b->line[k].text) == 0)
				common[i][k] = (unsigned short)(common[i + 1][k + 1] + 1);
		}
	}
	i = k = 0;
	while ((i < a->n || k < b->n) && n < DF_LINES) {
		if (i < a->n && k < b->n && strcmp(a->line[i].text, b->line[k].text) == 0) {
			if (!equal_time(a, i, b, k))
				snprintf(out[n++], DF_TEXT, "~%.126s", a->line[i].text);
			i++;
			k++;
		} else if (i < a->n && (k == b->n || common[i + 1][k] >= common[i][k + 1])) {
			snprintf(out[n++], DF_TEXT, "-%.126s", a->line[i++].text);
		} else {
			snprintf(out[n++], DF_TEXT, "+%.126s", b->line[k++].text);
		}
	}
	return n;
}
