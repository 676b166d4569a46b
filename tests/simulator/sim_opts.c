/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_opts.c - options of a run: defaults, from a seed, as text. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define OPT(member)                                        \
	{                                                  \
#member, offsetof(struct sim_opts, member) \
	}

static const struct {
	const char *name;
	size_t off;
} opts[] = {
	OPT(loss),	  OPT(dup),	     OPT(reorder),    OPT(reorder_us), OPT(corrupt),
	OPT(damage),	  OPT(havoc),	     OPT(delay_us),   OPT(jitter_us),  OPT(rate_bps),
	OPT(queue),	  OPT(mark),	     OPT(path_mtu),   OPT(path_icmp),  OPT(read_us),
	OPT(read_jitter), OPT(read_parts),   OPT(read_fail),  OPT(evict),      OPT(nodata),
	OPT(nobufs),	  OPT(want_nobufs),  OPT(write_us),   OPT(ring),       OPT(app_us),
	OPT(pause),	  OPT(pause_us),     OPT(chunk),      OPT(chunk_us),   OPT(no_sack),
	OPT(no_ts),	  OPT(wscale),	     OPT(mss),	      OPT(isn[0]),     OPT(isn[1]),
	OPT(bytes[0]),	  OPT(bytes[1]),     OPT(fin),	      OPT(ideal),      OPT(moves),
	OPT(move_us),	  OPT(move_down_us), OPT(move_drain), OPT(move_crash), OPT(records),
	OPT(park),	  OPT(open),	     OPT(cc),	      OPT(pacing),     OPT(ecn),
};

#define N_OPTS (sizeof(opts) / sizeof(opts[0]))
static_assert(sizeof(struct sim_opts) == N_OPTS * sizeof(uint32_t), "every option has a name");

static uint32_t *value(struct sim_opts *o, unsigned int i)
{
	return (uint32_t *)((char *)o + opts[i].off);
}

void sim_defaults(struct sim_opts *o)
{
	*o = (struct sim_opts){
		.delay_us = 1000,
		.reorder_us = 2000,
		.ring = 262144,
		.wscale = 7,
		.mss = 1460,
		.isn = {0xffff0000u, 0x7fff8000u},
		.bytes = {1 << 20, 0},
		.fin = true,
	};
}

void sim_opts_print(FILE *f, const struct sim_opts *o)
{
	struct sim_opts def, mine = *o;
	const char *blank = "";

	sim_defaults(&def);
	for (unsigned int i = 0; i < N_OPTS; i++) {
		if (*value(&def, i) == *value(&mine, i))
			continue;
		fprintf(f, "%s%s=%u", blank, opts[i].name, *value(&mine, i));
		blank = " ";
	}
}

int sim_opts_parse(struct sim_opts *o, const char *text)
{
	char name[32], end;
	unsigned int v;
	int used;

	while (sscanf(text, " %31[^= ]=%u%n", name, &v, &used) == 2) {
		unsigned int i = 0;

		while (i < N_OPTS && strcmp(opts[i].name, name) != 0)
			i++;
		if (i == N_OPTS)
			return EINVAL;
		*value(o, i) = v;
		text += used;
	}
	return sscanf(text, " %c", &end) == 1 ? EINVAL : 0;
}

/* The network: clean in one run of six, else a mixture. */
static void random_link(struct sim *g, struct sim_opts *o)
{
	o->delay_us = sim_rand(g, 3) ? sim_rand(g, 2000) : sim_rand(g, 60000);
	if (!sim_rand(g, 3)) {
		o->rate_bps = 50000 << sim_rand(g, 10);
		o->queue = 2000 << sim_rand(g, 8);
		o->mark = sim_rand(g, 2) ? o->queue / 3 : 0;
	}
	if (!sim_rand(g, 6))
		return;
	o->loss = sim_rand(g, 4) ? sim_rand(g, 800) : 0;
	o->dup = sim_rand(g, 2) ? sim_rand(g, 300) : 0;
	o->reorder = sim_rand(g, 2) ? sim_rand(g, 1500) : 0;
	o->reorder_us = sim_rand(g, 20000);
	o->jitter_us = sim_rand(g, 2) ? sim_rand(g, 5000) : 0;
	o->corrupt = sim_rand(g, 4) ? 0 : sim_rand(g, 300);
	o->damage = sim_rand(g, 6) ? 0 : sim_rand(g, 300);
	o->havoc = sim_rand(g, 20) ? 0 : 1 + sim_rand(g, 300);
}

/* READs from none to many round trips, parts, order, failure, and what a short shell answers. */
static void random_reads(struct sim *g, struct sim_opts *o)
{
	uint32_t rtt = 2 * o->delay_us + 100;

	if (sim_rand(g, 3))
		o->read_us = sim_rand(g, 3) ? sim_rand(g, rtt) : sim_rand(g, 12) * rtt;
	o->read_jitter = sim_rand(g, 2) ? sim_rand(g, 2 * o->read_us + 100) : 0;
	o->read_parts = sim_rand(g, 2);
	o->read_fail = sim_rand(g, 15) ? 0 : 1 + sim_rand(g, 500);
	o->evict = sim_rand(g, 2);
	o->nodata = sim_rand(g, 8) ? 0 : sim_rand(g, 1000);
	o->nobufs = sim_rand(g, 4) ? 0 : sim_rand(g, 2000);
	o->want_nobufs = sim_rand(g, 4) ? 0 : sim_rand(g, 2000);
	o->write_us = sim_rand(g, 2) ? sim_rand(g, 20000) : 0;
}

/* A path that takes less than both ends: told by ICMP, or a black hole. */
static void random_path(struct sim *g, struct sim_opts *o)
{
	o->path_icmp = sim_rand(g, 2);
	o->path_mtu = (o->path_icmp ? 600 : 1250) + sim_rand(g, 1500);
}

static void random_program(struct sim *g, struct sim_opts *o)
{
	o->ring = sim_rand(g, 3) ? 500 + sim_rand(g, 100000) : 262144;
	o->app_us = sim_rand(g, 2) ? sim_rand(g, 30000) : 0;
	o->pause = sim_rand(g, 5) ? 0 : sim_rand(g, 500);
	o->pause_us = sim_rand(g, 20000000);
	o->chunk = sim_rand(g, 2) ? 1 + sim_rand(g, 20000) : 0;
	o->chunk_us = sim_rand(g, 10000);
}

static void random_moves(struct sim *g, struct sim_opts *o)
{
	o->moves = 1 + sim_rand(g, 3);
	o->move_us = sim_rand(g, 2000000);
	o->move_down_us = sim_rand(g, 2) ? sim_rand(g, 1000) : sim_rand(g, 500000);
	o->move_drain = !sim_rand(g, 3);
	o->move_crash = !sim_rand(g, 3);
}

/* Damage would be as good as a new opening or a RST. A cookie keeps options by timestamps only. */
static void random_open(struct sim *g, struct sim_opts *o)
{
	o->open = 1 + sim_rand(g, SIM_OPEN_COUNT - 1);
	o->damage = o->havoc = 0;
	if (o->open == SIM_OPEN_COOKIE && o->no_ts) {
		o->no_sack = 1;
		o->wscale = 0;
	}
}

void sim_random(struct sim_opts *o, uint64_t seed)
{
	struct sim g = {.rng = seed * 0x9e3779b97f4a7c15ull + 0x1234567};

	sim_defaults(o);
	for (int i = 0; i < 8; i++)
		sim_rand(&g, 2);
	random_link(&g, o);
	random_reads(&g, o);
	random_program(&g, o);
	if (!sim_rand(&g, 4))
		random_moves(&g, o);
	o->no_sack = !sim_rand(&g, 5);
	o->no_ts = !sim_rand(&g, 4);
	o->wscale = sim_rand(&g, 9);
	o->mss = sim_rand(&g, 3) ? 1460 : 100 + sim_rand(&g, 8900);
	o->isn[0] = sim_rand(&g, UINT32_MAX);
	o->isn[1] = sim_rand(&g, UINT32_MAX);
	o->bytes[0] = sim_rand(&g, sim_rand(&g, 8) ? 60000 : 600000);
	o->bytes[1] = sim_rand(&g, 2) ? sim_rand(&g, 60000) : 0;
	o->fin = sim_rand(&g, 8) != 0;
	if (!sim_rand(&g, 5)) {
		o->ideal = 1;
		o->damage = o->havoc = o->pause = o->bytes[1] = 0;
	}
	if (!sim_rand(&g, 6))
		random_path(&g, o);
	if (!sim_rand(&g, 4))
		o->records = 8 + sim_rand(&g, 200);
	o->park = sim_rand(&g, 2);
	if (!o->ideal && !sim_rand(&g, 3))
		random_open(&g, o);
	o->cc = sim_rand(&g, TCP_CC_COUNT);
	o->pacing = !sim_rand(&g, 3);
	o->ecn = o->open ? sim_rand(&g, 4) : 0;
}
