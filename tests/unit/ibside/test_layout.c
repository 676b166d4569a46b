/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_layout.c - the layouts of docs/protocol.md, field by field: each table of that page is read
 * and compared with the structure it describes.
 */
#include "ibside/ib_line.h"
#include "ibside/ib_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** A field of a structure. */
struct field {
	const char *name;
	size_t offset;
	size_t size;
};

#define F(type, name)                                                                \
	{                                                                            \
#name, offsetof(struct type, name), sizeof(((struct type *)0)->name) \
	}

static const struct field bsdh[] = {
	F(ib_bsdh, mid), F(ib_bsdh, flags), F(ib_bsdh, bufs),
	F(ib_bsdh, len), F(ib_bsdh, mseq),  F(ib_bsdh, mseq_ack),
};
static const struct field req[] = {
	F(ib_req, token),     F(ib_req, req_id),     F(ib_req, arena),	    F(ib_req, slot),
	F(ib_req, flags),     F(ib_req, snd_wscale), F(ib_req, rcv_wscale), F(ib_req, remote),
	F(ib_req, local),     F(ib_req, rport),	     F(ib_req, lport),	    F(ib_req, mss),
	F(ib_req, snd_una),   F(ib_req, snd_nxt),    F(ib_req, snd_wnd),    F(ib_req, snd_wl1),
	F(ib_req, max_wnd),   F(ib_req, rcv_nxt),    F(ib_req, rcv_edge),   F(ib_req, ts_val),
	F(ib_req, ts_recent), F(ib_req, srtt_us),    F(ib_req, rttvar_us),  F(ib_req, ip),
	F(ib_req, tx_prod),   F(ib_req, rx_prod),    F(ib_req, rx_cons),
};
static const struct field grant[] = {F(ib_grant, token), F(ib_grant, req_id), F(ib_grant, epoch)};
static const struct field ctl[] = {
	F(ib_ctl, token),
	F(ib_ctl, req_id),
	F(ib_ctl, reason),
	F(ib_ctl, worker),
};
static const struct field cursor[] = {
	F(ib_cursor, token),
	F(ib_cursor, flags),
	F(ib_cursor, cursor),
	F(ib_cursor, other),
};
static const struct field data[] = {F(ib_data, token), F(ib_data, len), F(ib_data, cursor)};
static const struct field reoffer[] = {
	F(ib_reoffer, token),  F(ib_reoffer, rport), F(ib_reoffer, lport),
	F(ib_reoffer, remote), F(ib_reoffer, local),
};
static const struct field host_line[] = {
	F(ib_host_line, tx_prod),
	F(ib_host_line, rx_cons),
	F(ib_host_line, flags),
	F(ib_host_line, token),
};
static const struct field gw_line[] = {
	F(ib_gw_line, tx_acked), F(ib_gw_line, tx_sent),   F(ib_gw_line, rx_prod),
	F(ib_gw_line, arm_tx),	 F(ib_gw_line, arm_rx),	   F(ib_gw_line, flags),
	F(ib_gw_line, token),	 F(ib_gw_line, snd_wnd),   F(ib_gw_line, rcv_edge),
	F(ib_gw_line, ts_val),	 F(ib_gw_line, ts_recent), F(ib_gw_line, n_ooo),
	F(ib_gw_line, srtt_us),	 F(ib_gw_line, ooo),	   F(ib_gw_line, epoch),
	F(ib_gw_line, soft),
};

/** A section of the page and the structure it describes. */
static const struct {
	const char *heading;
	const struct field *field;
	size_t n;
} sections[] = {
#define S(heading, table)                                        \
	{                                                        \
		heading, table, sizeof(table) / sizeof(table[0]) \
	}
	S("### 5.1 ", bsdh),	S("### 5.4 ", req),	  S("### 5.5 ", grant),
	S("### 5.6 ", ctl),	S("### 5.7 ", cursor),	  S("### 5.8 ", data),
	S("### 5.9 ", reoffer), S("### 6.2 ", host_line), S("### 6.3 ", gw_line),
#undef S
};

static char *page;

static int read_page(void **state)
{
	FILE *f = fopen(PROTOCOL_MD, "r");
	size_t n;

	if (!f)
		return -1;
	page = calloc(1, 1 << 20);
	n = fread(page, 1, (1 << 20) - 1, f);
	fclose(f);
	return n ? 0 : -1;
}

static int free_page(void **state)
{
	free(page);
	return 0;
}

/* Checks one section's table; every named field must be in it, at its place. */
static void check(const char *heading, const struct field *field, size_t n)
{
	char *p = strstr(page, heading), *end, line[512];
	size_t found = 0, after = 0;

	assert_non_null(p);
	end = strstr(p + 4, "\n##");
	for (p = strchr(p, '\n'); p && p < end; p = strchr(p + 1, '\n')) {
		unsigned int offset, bytes;
		char name[64];

		snprintf(line, sizeof(line), "%.*s", (int)strcspn(p + 1, "\n"), p + 1);
		if (sscanf(line, "| %u | %u | %63[a-z_0-9] ", &offset, &bytes, name) != 3)
			continue;
		assert_int_equal(offset, after); /* no hole */
		after = offset + bytes;
		if (strcmp(name, "reserved") == 0)
			continue;
		assert_true(found < n);
		assert_string_equal(name, field[found].name);
		assert_int_equal(offset, field[found].offset);
		assert_int_equal(bytes, field[found].size);
		found++;
	}
	assert_int_equal(found, n);
}

static void tables_match(void **state)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		print_message("section %s\n", sections[i].heading);
		check(sections[i].heading, sections[i].field, sections[i].n);
	}
}

static void kinds_match(void **state)
{
	char row[128];

#define _(sym, val, text)                                         \
	snprintf(row, sizeof(row), "| 0x%02x | %s |", val, text); \
	if (!strstr(page, row))                                   \
		fail_msg("no row: %s", row);
	IB_FOREACH_MID(_)
#undef _
}

static void reasons_match(void **state)
{
	char cell[128];

	for (int r = 0; r < IB_R_COUNT; r++) {
		snprintf(cell, sizeof(cell), "| %d | %s |", r, ib_reason_name(r));
		if (!strstr(page, cell))
			fail_msg("no cell: %s", cell);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_match),
		cmocka_unit_test(kinds_match),
		cmocka_unit_test(reasons_match),
	};

	return cmocka_run_group_tests(tests, read_page, free_page);
}
