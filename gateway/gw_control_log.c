/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_log.c - what the log says about the control socket, and what the control socket says
 * about the log: levels, shown and changed while the daemon runs. What is changed holds until the
 * next start or reload.
 */
#define GW_LOG_MODULE GW_LM_CONTROL

#include <string.h>

#include "gateway/gw_int.h"

/* Commands that change something: each is worth a notice, the others are for the curious. */
static const char *const changing[] = {
	"capture start",   "capture stop",    "config confirm",	 "config reload",
	"config rollback", "conn accelerate", "conn decelerate", "conn kill",
	"log level",	   "map import",      "server drain",	 "server ready",
};

void gw_control_log(uid_t asker, const char *cmd)
{
	enum gw_log_level level = GW_LOG_DEBUG;
	char line[96];

	for (size_t i = 0; i < RTE_DIM(changing); i++)
		if (strcmp(cmd, changing[i]) == 0)
			level = GW_LOG_NOTICE;
	snprintf(line, sizeof(line), "%s, by uid %u", cmd, asker);
	gw_log_kind(GW_LM_CONTROL, level, cmd, line, 0);
}

json_t *gw_cmd_log_show(struct gw *gw, const json_t *req)
{
	return json_pack("{s:o}", "modules", gw_log_json());
}

json_t *gw_cmd_log_types(struct gw *gw, const json_t *req)
{
	return json_pack("{s:o}", "types", gw_log_types_json());
}

json_t *gw_cmd_log_level(struct gw *gw, const json_t *req)
{
	const char *name = json_string_value(json_object_get(req, "module"));
	const char *to = json_string_value(json_object_get(req, "level"));
	const bool all = name && strcmp(name, "all") == 0;
	const int module = all ? GW_LM_COUNT : gw_log_module_parse(name ? name : "");
	const int level = gw_log_level_parse(to ? to : "");

	if (level < 0)
		return json_pack("{s:s}", "error",
				 "a level is error, warning, notice, info or debug");
	if (module >= 0)
		gw_log_set((enum gw_log_module)module, (enum gw_log_level)level);
	else if (!name || gw_log_set_type(name, (enum gw_log_level)level))
		return json_pack("{s:s}", "error",
				 "no such module; \"log show\" and \"log types\" name them, "
				 "\"all\" means each");
	gw_log(GW_LOG_NOTICE, "log level of %s: %s", name, to);
	return json_pack("{s:s, s:s}", "module", name, "level", to);
}
