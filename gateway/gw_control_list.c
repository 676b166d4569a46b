/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_list.c - `conn list` in pages. A page looks at a bounded number of table entries, in
 * calls that a worker answers between two bursts, and says where the next page goes on; nothing is
 * kept between pages, so that a million connections cost neither a worker nor the control
 * thread more than one page at a time. A connection that comes or goes meanwhile may be missed; one
 * that frames of two workers belong to is listed by both, and put together by tagctl.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "gateway/gw_conn_filter.h"
#include "gateway/gw_int.h"

#define PAGE_ROWS 256  /* rows of a page, at most */
#define PAGE_LOOK 2048 /* rows looked at for a page, about */

/** Where a listing is. */
struct place {
	unsigned int native; /* 0: accelerated connections, 1: native ones */
	unsigned int worker; /* whose */
	unsigned int it;     /* entry of its table to go on with */
};

/* Reads a place as a page named it; the beginning when there is none. False: nonsense. */
static bool place_parse(struct place *p, const char *text)
{
	int n = 0;

	*p = (struct place){0};
	if (!text)
		return true;
	return sscanf(text, "%1u.%4u.%10u%n", &p->native, &p->worker, &p->it, &n) == 3 &&
	       !text[n] && p->native <= 1;
}

/* Takes matching rows of one piece of a worker's table. */
static void take(const struct gw *gw, const struct gw_rows *c, const struct gw_conn_filter *f,
		 json_t *list)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct gw_conn_row *r = &c->row[i];

		if (gw_conn_filter_match(f, r, gw_control_host(gw, r)))
			json_array_append_new(list, gw_control_row(gw, r));
	}
}

/* Fills a page from *p on; *p is where the next one begins. False: there is none. */
static bool fill(struct gw *gw, struct place *p, const struct gw_conn_filter *f, json_t *list,
		 struct gw_rows *c)
{
	uint32_t looked = 0;

	for (; p->native <= 1; p->native++, p->worker = 0) {
		for (; p->worker < gw->n_worker; p->worker++, p->it = 0) {
			do {
				if (looked >= PAGE_LOOK || json_array_size(list) >= PAGE_ROWS)
					return true;
				c->accelerated = !p->native;
				c->it = p->it;
				gw_rows_fetch(gw->worker[p->worker], c);
				p->it = c->it;
				looked += GW_ROWS;
				take(gw, c, f, list);
			} while (c->n == GW_ROWS);
		}
	}
	return false;
}

json_t *gw_control_list(struct gw *gw, const json_t *req)
{
	const char *from = json_string_value(json_object_get(req, "from"));
	struct gw_rows *c;
	struct gw_conn_filter f;
	char err[GW_FILTER_ERR], next[32];
	struct place p;
	json_t *page, *list;

	if (gw_conn_filter_parse(&f, json_object_get(req, "filter"), err))
		return json_pack("{s:s}", "error", err);
	if (!place_parse(&p, from))
		return json_pack("{s:s}", "error", "\"from\" is not what a page said was next");
	c = malloc(sizeof(*c));
	if (!c)
		return json_pack("{s:s}", "error", "no memory");
	list = json_array();
	page = json_pack("{s:o}", "connections", list);
	if (fill(gw, &p, &f, list, c)) {
		snprintf(next, sizeof(next), "%u.%u.%u", p.native, p.worker, p.it);
		json_object_set_new(page, "next", json_string(next));
	}
	free(c);
	return page;
}
