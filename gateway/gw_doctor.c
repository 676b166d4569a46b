/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_doctor.c - see gw_doctor.h. The configuration is read as tagd would read it; then come, in
 * this order, what tagd needs first: the RDMA device, memory, the ports, CPUs, sockets.
 */
#include "gateway/gw_doctor.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/gw_config.h"
#include "gateway/gw_int.h"

static const char *const finding_names[] = {
#define _(sym, name) name,
	GW_FOREACH_FINDING(_)
#undef _
};

void gw_doctor_say(struct gw_doctor *d, enum gw_finding kind, const char *what, const char *fix,
		   const char *fmt, ...)
{
	char found[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(found, sizeof(found), fmt, ap);
	va_end(ap);
	d->broken += kind == GW_F_BROKEN;
	json_array_append_new(d->list,
			      json_pack("{s:s, s:s, s:s, s:s}", "finding", finding_names[kind],
					"what", what, "found", found, "fix", fix));
}

/* Reads the file; false when there is no configuration to go on with. */
static bool configuration(struct gw_doctor *d, const char *file, struct gw_cfg *cfg)
{
	char *text = NULL, *line, *rest;
	size_t len;
	FILE *err = open_memstream(&text, &len);
	int rc;

	if (!err)
		return false;
	rc = gw_config_load(file, cfg, err);
	fclose(err);
	if (rc == 0)
		gw_doctor_say(d, GW_F_GOOD, "configuration", "", "%s: %u port%s, %u server%s", file,
			      cfg->n_port, cfg->n_port == 1 ? "" : "s", cfg->n_server,
			      cfg->n_server == 1 ? "" : "s");
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		gw_doctor_say(d, rc ? GW_F_BROKEN : GW_F_NOTE, "configuration", "tagd -k", "%s",
			      line);
	free(text);
	return rc == 0;
}

static void device(struct gw_doctor *d, const struct gw_cfg *cfg)
{
	char err[IB_ERRLEN];
	struct ib_dev dev;

	if (ib_dev_open(&dev, cfg->device[0] ? cfg->device : NULL, cfg->dev_port, cfg->gid_index,
			err)) {
		gw_doctor_say(d, GW_F_BROKEN, "[fabric] device",
			      "ibv_devinfo -v; or device = soft0 for a trial without an HCA", "%s",
			      err);
		return;
	}
	gw_doctor_say(d, GW_F_GOOD, "[fabric] device", "", "%s port %u, %s, path MTU %u", dev.name,
		      dev.port, dev.roce ? "RoCE" : "InfiniBand", dev.mtu);
	for (uint32_t i = 0; i < cfg->n_port; i++) {
		uint32_t frame = GW_FRAME_MAX(cfg->port[i].mtu) + sizeof(struct ib_encap);

		if (frame > dev.mtu)
			gw_doctor_say(
				d, GW_F_NOTE, "[fabric] device",
				"a fabric MTU of 2048 or 4096, where the fabric allows it",
				"frames of port %s (%u bytes) are larger than a datagram: the "
				"native path takes its RC queue pair for them",
				cfg->port[i].name, frame);
	}
	ib_dev_close(&dev);
}

static void memory(struct gw_doctor *d, const struct gw_cfg *cfg)
{
	unsigned long need = gw_eal_need_mb(cfg), huge = gw_eal_huge_free_mb();
	struct rlimit rl;
	char fix[128];

	snprintf(fix, sizeof(fix),
		 "echo %lu > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", need / 2 + 1);
	if (huge >= need)
		gw_doctor_say(d, GW_F_GOOD, "huge pages", "", "%lu MB free, %lu MB needed", huge,
			      need);
	else
		gw_doctor_say(
			d, GW_F_NOTE, "huge pages", fix,
			"%lu MB free of %lu MB needed: ordinary memory will do, with more TLB "
			"misses",
			huge, need);
	if (getrlimit(RLIMIT_MEMLOCK, &rl))
		return;
	if (rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur >= (rlim_t)need << 20 || geteuid() == 0)
		gw_doctor_say(d, GW_F_GOOD, "locked memory", "", "the limit is high enough");
	else
		gw_doctor_say(d, GW_F_BROKEN, "locked memory",
			      "ulimit -l unlimited; LimitMEMLOCK=infinity in a unit",
			      "limit %llu MB, about %lu MB are registered",
			      (unsigned long long)rl.rlim_cur >> 20, need);
}

/* A port that is a PCI device must not be held by a driver of the kernel that DPDK cannot share. */
static void pci_port(struct gw_doctor *d, const struct gw_port_cfg *p, const char *address)
{
	char path[128], driver[256], what[96], fix[96];
	const char *full = strchr(address, ':') == strrchr(address, ':') ? "0000:" : "", *name;
	ssize_t n;

	snprintf(what, sizeof(what), "[port \"%s\"] device", p->name);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s%.32s", full, address);
	if (access(path, F_OK)) {
		gw_doctor_say(d, GW_F_BROKEN, what, "lspci -D", "no PCI device %s%.32s", full,
			      address);
		return;
	}
	strncat(path, "/driver", sizeof(path) - strlen(path) - 1);
	n = readlink(path, driver, sizeof(driver) - 1);
	driver[n < 0 ? 0 : n] = '\0';
	name = strrchr(driver, '/') ? strrchr(driver, '/') + 1 : "no driver";
	snprintf(fix, sizeof(fix), "modprobe vfio-pci; dpdk-devbind.py -b vfio-pci %s%.32s", full,
		 address);
	if (strstr(name, "vfio") || strstr(name, "uio") || strstr(name, "mlx"))
		gw_doctor_say(d, GW_F_GOOD, what, "", "%s%.32s is bound to %s", full, address,
			      name);
	else
		gw_doctor_say(d, GW_F_BROKEN, what, fix, "%s%.32s is bound to %s", full, address,
			      name);
}

static void ports(struct gw_doctor *d, const struct gw_cfg *cfg)
{
	for (uint32_t i = 0; i < cfg->n_port; i++) {
		const struct gw_port_cfg *p = &cfg->port[i];
		const char *at = strstr(p->devargs, "iface="), *pci = p->devargs;
		char ifname[64];

		if (at) {
			snprintf(ifname, sizeof(ifname), "%.*s", (int)strcspn(at + 6, ","), at + 6);
			gw_doctor_interface(d, p, ifname);
			continue;
		}
		pci += strncmp(pci, "pci:", 4) == 0 ? 4 : 0;
		if (strchr(pci, ':') && strchr(pci, '.'))
			pci_port(d, p, pci);
		else
			gw_doctor_say(d, GW_F_NOTE, p->name, "",
				      "%s cannot be looked at before it runs", p->devargs);
	}
}

static void cpus(struct gw_doctor *d, const struct gw_cfg *cfg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	if ((uint32_t)CPU_COUNT(&set) > cfg->workers)
		gw_doctor_say(d, GW_F_GOOD, "CPUs", "", "%d for %u worker%s and the rest",
			      CPU_COUNT(&set), cfg->workers, cfg->workers == 1 ? "" : "s");
	else
		gw_doctor_say(d, GW_F_NOTE, "CPUs", "[gateway] workers, cpus",
			      "%d for %u workers: a worker that shares its CPU loses frames",
			      CPU_COUNT(&set), cfg->workers);
}

/* A socket's folder must be writable, and nobody may listen there who is not meant. */
static void socket_path(struct gw_doctor *d, const char *what, const char *path)
{
	char dir[128], fix[160];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir)
		*slash = '\0';
	snprintf(fix, sizeof(fix), "install -d -o tag -g tag %s", dir);
	if (gw_sock_in_use(path))
		gw_doctor_say(d, GW_F_GOOD, what, "", "a tagd is running at %s", path);
	else if (access(dir, F_OK) == 0 && access(dir, W_OK))
		gw_doctor_say(d, GW_F_BROKEN, what, fix, "%s: %s", dir, strerror(errno));
	else
		gw_doctor_say(d, GW_F_GOOD, what, "", "%s is free", path);
}

/* The configuration has secrets. */
static void secrecy(struct gw_doctor *d, const char *file)
{
	char fix[PATH_MAX];
	struct stat st;

	if (stat(file, &st))
		return;
	snprintf(fix, sizeof(fix), "chmod o-rwx %s", file);
	if (st.st_mode & S_IRWXO)
		gw_doctor_say(d, GW_F_NOTE, "configuration", fix,
			      "everybody may read %s, which has the hosts' keys", file);
}

static void print(const struct gw_doctor *d, FILE *out)
{
	const json_t *f;
	size_t i;

	json_array_foreach(d->list, i, f)
	{
		const char *fix = json_string_value(json_object_get(f, "fix"));

		fprintf(out, "%-6s  %s: %s\n", json_string_value(json_object_get(f, "finding")),
			json_string_value(json_object_get(f, "what")),
			json_string_value(json_object_get(f, "found")));
		if (*fix)
			fprintf(out, "        try: %s\n", fix);
	}
	if (d->broken)
		fprintf(out, "%u thing%s must be mended before tagd can work here\n", d->broken,
			d->broken == 1 ? "" : "s");
	else
		fprintf(out, "tagd can work here\n");
}

unsigned int gw_doctor(const char *file, bool json, FILE *out)
{
	struct gw_doctor d = {.list = json_array()};
	struct gw_cfg *cfg = calloc(1, sizeof(*cfg));

	if (cfg && configuration(&d, file, cfg)) {
		secrecy(&d, file);
		device(&d, cfg);
		memory(&d, cfg);
		ports(&d, cfg);
		cpus(&d, cfg);
		socket_path(&d, "[gateway] control", cfg->control);
		socket_path(&d, "[fabric] listen", cfg->listen);
	}
	free(cfg);
	if (json) {
		json_t *doc = json_pack("{s:i, s:O}", "broken", (int)d.broken, "findings", d.list);

		json_dumpf(doc, out, JSON_INDENT(2));
		fputc('\n', out);
		json_decref(doc);
	} else {
		print(&d, out);
	}
	json_decref(d.list);
	return d.broken;
}
