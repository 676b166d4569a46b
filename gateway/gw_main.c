/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_main.c - tagd: arguments, start, the control thread's loop, orderly end. gw.h has the theory
 * of operation.
 *
 * Exit status: 0 after an orderly end or a good check, 1 when something could not be started, 2
 * for wrong arguments or a wrong configuration.
 */
#include <errno.h>
#include <getopt.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_random.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_config.h"
#include "gateway/gw_doctor.h"
#include "gateway/gw_metrics.h"
#include "gateway/gw_notify.h"
#include "gateway/gw_policy.h"
#include "gateway/gw_reload.h"
#include "gateway/gw_replay.h"

#define TICK_S 0.1

static const char usage[] =
	"usage: tagd -c FILE [-t]\n"
	"       tagd --replay CASE...    (tagd --replay -h says more)\n"
	"  -c FILE  configuration (default /etc/tag/tagd.conf)\n"
	"  -t       check it and exit: 0 good, 2 bad\n"
	"  -T       check it and print it, every key with the value in force\n"
	"  -D       look at the machine, say what is missing: 0 nothing, 1 something\n"
	"  -j       with -D or -k: as JSON\n"
	"  -k       print every configuration key with its default, and whether a reload changes it\n"
	"  -V       print the version\n"
	"  -h       print this\n";

static void on_signal(struct ev_loop *loop, ev_signal *s, int revents)
{
	gw_log(GW_LOG_NOTICE, "%s: stopping", strsignal(s->signum));
	ev_break(loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *s, int revents)
{
	struct gw_ctl *ctl = s->data;

	gw_log(GW_LOG_NOTICE, "%s: reading the configuration again", strsignal(s->signum));
	gw_reload_file(ctl->gw);
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct gw_ctl *ctl = t->data;

	gw_events_drain(ctl->gw);
	gw_log_tick();
	gw_boot_tick(ctl);
	gw_capture_tick(ctl->gw);
	if (!gw_notify_tick(ctl->gw))
		gw_log(GW_LOG_ERROR, "a worker stands still: the watchdog is not fed");
	gw_health_tick(ctl->gw);
	gw_load_tick(ctl->gw);
	gw_reload_tick(ctl->gw);
}

/* Launches the lcores and waits until they are in their loops. */
static int workers_start(struct gw *gw)
{
	for (uint32_t i = 0; i < gw->n_worker; i++) {
		struct gw_worker *w = gw->worker[i];
		int rc = -rte_eal_remote_launch(gw_worker_main, w, w->lcore);

		if (rc) {
			gw_log(GW_LOG_ERROR, "worker %u does not start: %s", i, strerror(rc));
			return rc;
		}
		while (!atomic_load(&w->running))
			usleep(100);
	}
	return 0;
}

static void workers_stop(struct gw *gw)
{
	for (uint32_t i = 0; i < gw->n_worker; i++)
		atomic_store(&gw->worker[i]->stop, true);
	rte_eal_mp_wait_lcore();
}

/* Sockets, signals and the loop until a signal ends it. */
static int control_run(struct gw *gw)
{
	struct gw_ctl ctl = {.gw = gw};
	int rc;

	ctl.loop = ev_default_loop(EVFLAG_AUTO);
	if (!ctl.loop)
		return ENOMEM;
	gw->ctl = &ctl;
	ev_signal_init(&ctl.sig[0], on_signal, SIGTERM);
	ev_signal_init(&ctl.sig[1], on_signal, SIGINT);
	ev_signal_init(&ctl.sig[2], on_hangup, SIGHUP);
	ctl.sig[2].data = &ctl;
	for (int i = 0; i < 3; i++)
		ev_signal_start(ctl.loop, &ctl.sig[i]);
	rc = gw_reload_open(gw);
	if (rc == 0)
		rc = gw_boot_open(&ctl);
	if (rc == 0)
		rc = gw_control_open(&ctl);
	if (rc == 0)
		rc = gw_metrics_open(&ctl);
	if (rc == 0)
		rc = gw_async_open(&ctl);
	if (rc == 0) {
		ev_timer_init(&ctl.tick, on_tick, TICK_S, TICK_S);
		ctl.tick.data = &ctl;
		ev_timer_start(ctl.loop, &ctl.tick);
		gw_log(GW_LOG_NOTICE, "version " TAG_VERSION " started: %u worker%s, device %s",
		       gw->n_worker, gw->n_worker == 1 ? "" : "s", gw->dev.name);
		gw_notify_ready(gw);
		ev_run(ctl.loop, 0);
		gw_notify_stopping();
		ev_timer_stop(ctl.loop, &ctl.tick);
		gw_async_close(&ctl);
		rc = ctl.failed ? EIO : 0;
	}
	gw_capture_close(gw);
	gw_metrics_close(&ctl);
	gw_control_close(&ctl);
	gw_boot_close(&ctl);
	gw_reload_close(gw);
	for (int i = 0; i < 3; i++)
		ev_signal_stop(ctl.loop, &ctl.sig[i]);
	ev_loop_destroy(ctl.loop);
	gw->ctl = NULL;
	return rc;
}

/* Another daemon with our sockets would lose its LAN port to us before we notice. */
static int check_alone(const struct gw_cfg *cfg)
{
	const char *path = gw_sock_in_use(cfg->control)	 ? cfg->control
			   : gw_sock_in_use(cfg->listen) ? cfg->listen
							 : NULL;

	if (!path)
		return 0;
	gw_log(GW_LOG_ERROR, "%s is in use: another tagd is running", path);
	return EADDRINUSE;
}

/* From a good configuration to the end of the daemon. Frees it. */
static int run(const char *file, struct gw_cfg *cfg)
{
	struct gw *gw;
	int rc;

	gw_log_configure(cfg);
	rc = check_alone(cfg);
	gw = rc ? NULL : gw_new(cfg);
	if (!gw) {
		free(cfg);
		return rc ? rc : ENOMEM;
	}
	gw->file = file;
	rc = gw_eal_open(cfg);
	if (rc)
		goto no_eal;
	gw->epoch = (uint32_t)rte_rand() | 1;
	gw->served = gw_served_new(cfg);
	rc = gw->served ? gw_policy_open(gw) : ENOMEM;
	if (rc == 0)
		rc = gw_data_open(gw);
	if (rc == 0)
		rc = workers_start(gw);
	if (rc == 0)
		rc = control_run(gw);
	workers_stop(gw);
	gw_data_close(gw);
	gw_policy_close(gw);
	free(gw->served);
	rte_eal_cleanup();
	gw_eal_free();
no_eal:
	free(gw->cfg);
	free(gw);
	return rc;
}

int main(int argc, char **argv)
{
	const char *file = "/etc/tag/tagd.conf";
	bool check = false, show = false, doctor = false, keys = false, json = false;
	struct gw_cfg *cfg;
	int opt, rc;

	if (argc > 1 && strcmp(argv[1], "--replay") == 0)
		return gw_replay_main(argc - 1, argv + 1);
	while ((opt = getopt(argc, argv, "c:tTDjkVh")) != -1) {
		switch (opt) {
		case 'c':
			file = optarg;
			break;
		case 't':
			check = true;
			break;
		case 'T':
			show = true;
			break;
		case 'D':
			doctor = true;
			break;
		case 'j':
			json = true;
			break;
		case 'k':
			keys = true;
			break;
		case 'V':
			puts("tagd " TAG_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (keys) {
		(json ? gw_config_help_json : gw_config_help)(stdout);
		return 0;
	}
	if (doctor)
		return gw_doctor(file, json, stdout) ? 1 : 0;
	cfg = calloc(1, sizeof(*cfg));
	if (!cfg)
		return 1;
	rc = gw_config_load(file, cfg, stderr);
	if (rc == 0 && show)
		gw_config_show(stdout, cfg, true);
	else if (rc == 0 && check)
		printf("%s: good\n", file);
	if (rc) {
		rc = 2;
	} else if (!check && !show) {
		signal(SIGPIPE, SIG_IGN);
		rc = gw_log_open() || run(file, cfg) ? 1 : 0;
		cfg = NULL;
		gw_log_close();
	}
	free(cfg);
	return rc;
}
