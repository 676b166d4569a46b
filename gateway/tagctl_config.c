/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_config.c - `config ...`: a file's name for the daemon, and what it answers for people.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/tagctl.h"

void config_args(json_t *req, char **args, int n, unsigned int confirm_s)
{
	char path[PATH_MAX * 2], here[PATH_MAX];

	if (confirm_s)
		json_object_set_new(req, "confirm_within", json_integer(confirm_s));
	if (!n)
		return;
	if (args[0][0] != '/' && getcwd(here, sizeof(here)))
		snprintf(path, sizeof(path), "%s/%s", here, args[0]);
	else
		snprintf(path, sizeof(path), "%s", args[0]);
	json_object_set_new(req, "file", json_string(path));
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

/* One difference. */
static void print_change(FILE *out, const json_t *o)
{
	const char *what = text_of(o, "what"), *section = text_of(o, "section");
	const char *restart = strcmp(text_of(o, "reload"), "live") ? "   (needs a restart)" : "";

	if (strcmp(what, "added") == 0)
		fprintf(out, "+ [%s]%s\n", section, restart);
	else if (strcmp(what, "removed") == 0)
		fprintf(out, "- [%s]%s\n", section, restart);
	else if (strcmp(what, "order") == 0)
		fprintf(out, "~ order of [%s]: %s -> %s\n", section, text_of(o, "old"),
			text_of(o, "new"));
	else
		fprintf(out, "~ [%s] %s: %s -> %s%s\n", section, text_of(o, "key"),
			*text_of(o, "old") ? text_of(o, "old") : "(empty)",
			*text_of(o, "new") ? text_of(o, "new") : "(empty)", restart);
}

/* What it means for traffic. */
static void print_forecast(FILE *out, const json_t *reply)
{
	const json_t *c = json_object_get(reply, "connections"), *v;
	json_int_t leaving = json_integer_value(json_object_get(c, "on_leaving_servers"));
	size_t i;

	if (!c)
		return;
	fprintf(out,
		"moves %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
		" established connections",
		json_integer_value(json_object_get(c, "moved")),
		json_integer_value(json_object_get(c, "established")));
	if (leaving)
		fprintf(out,
			"; %" JSON_INTEGER_FORMAT
			" are on servers that leave, and stay until they end",
			leaving);
	fputc('\n', out);
	json_array_foreach(json_object_get(reply, "services"), i, v)
	{
		if (json_is_true(json_object_get(v, "refused")))
			fprintf(out, "refuses new flows of service %s at %s: its servers leave\n",
				text_of(v, "service"), text_of(v, "address"));
		else
			fprintf(out, "moves %.1f %% of new flows of service %s at %s\n",
				json_number_value(json_object_get(v, "moved_percent")),
				text_of(v, "service"), text_of(v, "address"));
	}
}

void config_print(FILE *out, const json_t *reply)
{
	const json_t *changes = json_object_get(reply, "changes"), *o;
	const json_t *confirm = json_object_get(reply, "confirm_within_s");
	size_t i;

	if (json_object_get(reply, "text")) {
		fputs(text_of(reply, "text"), out);
		return;
	}
	json_array_foreach(changes, i, o) print_change(out, o);
	if (json_array_size(changes) == 0)
		fprintf(out, "nothing differs\n");
	print_forecast(out, reply);
	if (json_integer_value(json_object_get(reply, "restarts")))
		fprintf(out, "a reload would be refused: restart the daemon for these keys\n");
	if (json_is_true(json_object_get(reply, "in_force")))
		fprintf(out, "in force\n");
	if (confirm)
		fprintf(out,
			"to be confirmed within %" JSON_INTEGER_FORMAT
			" s: tagctl config confirm; else the one before comes back\n",
			json_integer_value(confirm));
}
