/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_dev.c - opening a device and a port, and what their limits are (IBTA 11.2.1, 11.2.2).
 *
 * Nothing is assumed about a device: path MTU, outstanding READs and scatter/gather entries are
 * what it reports, capped at what this project can use.
 */
#include "ibside/ib_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define RD_ATOMIC_CAP 16 /* more gains nothing: 16 READs of 64 KiB cover the round trip */

void ib_explain(int error, const char *what, char err[IB_ERRLEN])
{
	struct rlimit rl;

	if (error == ENOMEM && getrlimit(RLIMIT_MEMLOCK, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY)
		snprintf(err, IB_ERRLEN,
			 "%s: %s: the limit of locked memory is %llu KiB; raise it (ulimit -l "
			 "unlimited, or LimitMEMLOCK=infinity in the unit)",
			 what, strerror(error), (unsigned long long)rl.rlim_cur / 1024);
	else if (error == EACCES || error == EPERM)
		snprintf(err, IB_ERRLEN,
			 "%s: %s: the user needs access to /dev/infiniband/uverbs* (run as root or "
			 "change the udev rule)",
			 what, strerror(error));
	else
		snprintf(err, IB_ERRLEN, "%s: %s", what, strerror(error));
}

/* Writes why `name` was not found, with the devices that there are. */
static void explain_missing(const char *name, struct ibv_device **list, int n, char err[IB_ERRLEN])
{
	int len;

	if (n == 0) {
		snprintf(err, IB_ERRLEN,
			 "no RDMA device found: load the driver of the HCA (ibv_devices lists what "
			 "is usable), or use the software HCA (device soft0)");
		return;
	}
	len = snprintf(err, IB_ERRLEN, "no RDMA device \"%s\"; there are:", name);
	for (int i = 0; i < n && len < IB_ERRLEN; i++)
		len += snprintf(err + len, IB_ERRLEN - len, " %s", ibv_get_device_name(list[i]));
}

/* Finds the device and opens its context. */
static int open_context(struct ib_dev *d, const char *name, char err[IB_ERRLEN])
{
	struct ibv_device **list, *dev = NULL;
	int n = 0, rc = 0;

	list = ibv_get_device_list(&n);
	if (!list) {
		rc = errno ? errno : ENODEV;
		ib_explain(rc, "listing the RDMA devices", err);
		return rc;
	}
	for (int i = 0; i < n && !dev; i++) {
		if (!*name || strcmp(name, ibv_get_device_name(list[i])) == 0)
			dev = list[i];
	}
	if (!dev) {
		explain_missing(name, list, n, err);
		ibv_free_device_list(list);
		return ENODEV;
	}
	snprintf(d->name, sizeof(d->name), "%s", ibv_get_device_name(dev));
	errno = 0;
	d->ctx = ibv_open_device(dev);
	if (!d->ctx) {
		rc = errno ? errno : EIO;
		ib_explain(rc, d->name, err);
	}
	ibv_free_device_list(list);
	return rc;
}

/* Reads the limits of the device. */
static int query_limits(struct ib_dev *d, char err[IB_ERRLEN])
{
	int rc = ibv_query_device(d->ctx, &d->attr), rd, sge;

	if (rc) {
		ib_explain(rc, "asking the device for its limits", err);
		return rc;
	}
	rd = d->attr.max_qp_rd_atom < d->attr.max_qp_init_rd_atom ? d->attr.max_qp_rd_atom
								  : d->attr.max_qp_init_rd_atom;
	d->rd_atomic = rd < 1 ? 1 : rd > RD_ATOMIC_CAP ? RD_ATOMIC_CAP : rd;
	sge = d->attr.max_sge < 1 ? 1 : d->attr.max_sge;
	d->max_sge = sge > IB_SGE_CAP ? IB_SGE_CAP : sge;
	d->max_sge_rd = d->max_sge;
	if (d->attr.max_sge_rd > 0 && (uint32_t)d->attr.max_sge_rd < d->max_sge_rd)
		d->max_sge_rd = d->attr.max_sge_rd;
	return 0;
}

/* Reads the port and its GID; both must be fit for use. */
static int query_port(struct ib_dev *d, char err[IB_ERRLEN])
{
	static const union ibv_gid none;
	int rc;

	if (d->port < 1 || d->port > d->attr.phys_port_cnt) {
		snprintf(err, IB_ERRLEN, "%s has no port %u: it has ports 1 to %u", d->name,
			 d->port, d->attr.phys_port_cnt);
		return EINVAL;
	}
	rc = ibv_query_port(d->ctx, d->port, &d->port_attr);
	if (rc) {
		ib_explain(rc, "asking for the port's state", err);
		return rc;
	}
	if (d->port_attr.state != IBV_PORT_ACTIVE) {
		snprintf(err, IB_ERRLEN,
			 "%s port %u is %s, not active: check the cable and the subnet manager",
			 d->name, d->port, ibv_port_state_str(d->port_attr.state));
		return ENETDOWN;
	}
	d->roce = d->port_attr.link_layer == IBV_LINK_LAYER_ETHERNET;
	d->mtu = 128u << d->port_attr.active_mtu;
	rc = ibv_query_gid(d->ctx, d->port, d->gid_index, &d->gid);
	if (rc && !d->roce) { /* routed by LID, so the GID may be missing */
		memset(&d->gid, 0, sizeof(d->gid));
		return 0;
	}
	if (rc || (d->roce && memcmp(&d->gid, &none, sizeof(none)) == 0)) {
		snprintf(
			err, IB_ERRLEN,
			"%s port %u has no GID at index %u: give the interface an address, or choose "
			"another gid index (ibv_devinfo -v lists them)",
			d->name, d->port, d->gid_index);
		return EADDRNOTAVAIL;
	}
	return 0;
}

int ib_dev_open(struct ib_dev *d, const char *name, uint8_t port, uint8_t gid_index,
		char err[IB_ERRLEN])
{
	int rc;

	memset(d, 0, sizeof(*d));
	err[0] = '\0';
	d->port = port;
	d->gid_index = gid_index;
	rc = open_context(d, name ? name : "", err);
	if (!rc)
		rc = query_limits(d, err);
	if (!rc)
		rc = query_port(d, err);
	if (!rc) {
		d->pd = ibv_alloc_pd(d->ctx);
		if (!d->pd) {
			rc = errno ? errno : ENOMEM;
			ib_explain(rc, "allocating a protection domain", err);
		}
	}
	if (rc)
		ib_dev_close(d);
	return rc;
}

void ib_dev_close(struct ib_dev *d)
{
	if (d->pd)
		ibv_dealloc_pd(d->pd);
	if (d->ctx)
		ibv_close_device(d->ctx);
	d->pd = NULL;
	d->ctx = NULL;
}
