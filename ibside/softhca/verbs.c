/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exported libibverbs functions about devices and contexts: objects of the software HCA are
 * handled here, all others by the real library.  Whose an object is, public fields tell.  The
 * remaining ones are in verbs_obj.c.  softhca.map gives each its symbol version.
 */
#include <endian.h>
#include <stdlib.h>

#include "real.h"
#include "soft.h"

#undef ibv_query_port

/* A device list as handed out: where its real part came from hides before the array. */
struct dev_list {
	struct ibv_device **real; /* to be freed by the real library */
	struct ibv_device *dev[]; /* NULL at the end */
};

/* All devices: the real ones first, unless SOFTHCA_FIRST is set. */
SOFT_ROUTINE struct ibv_device **ibv_get_device_list(int *num)
{
	struct ibv_device **(*real)(int *) = REAL(ibv_get_device_list, "IBVERBS_1.1");
	uint32_t nsoft = soft_dev_count(), at = 0;
	const char *first = getenv("SOFTHCA_FIRST");
	bool soft_first = first && *first && *first != '0';
	struct dev_list *l;
	int nreal = 0;
	struct ibv_device **rl = real ? real(&nreal) : NULL;

	if (!rl)
		nreal = 0;
	l = calloc(1, sizeof(*l) + (nsoft + (size_t)nreal + 1) * sizeof(l->dev[0]));
	if (!l)
		return NULL;
	l->real = rl;
	for (uint32_t i = 0; soft_first && i < nsoft; i++)
		l->dev[at++] = soft_dev(i);
	for (int i = 0; i < nreal; i++)
		l->dev[at++] = rl[i];
	for (uint32_t i = 0; !soft_first && i < nsoft; i++)
		l->dev[at++] = soft_dev(i);
	if (num)
		*num = (int)at;
	return l->dev;
}

/* Frees what ibv_get_device_list() returned. */
SOFT_ROUTINE void ibv_free_device_list(struct ibv_device **list)
{
	struct dev_list *l = (struct dev_list *)((uint8_t *)list - offsetof(struct dev_list, dev));
	void (*real)(struct ibv_device **) = REAL(ibv_free_device_list, "IBVERBS_1.1");

	if (l->real && real)
		real(l->real);
	free(l);
}

/* Dispatches on a condition; yields @none when there is no real library. */
#define PASS(is_soft, soft_call, name, ver, none, ...) \
	do {                                           \
		__typeof__(&name) real_;               \
		if (is_soft)                           \
			return soft_call;              \
		real_ = REAL(name, ver);               \
		if (!real_) {                          \
			errno = ENOSYS;                \
			return none;                   \
		}                                      \
		return real_(__VA_ARGS__);             \
	} while (0)

static int enosys(void)
{
	errno = ENOSYS;
	return -1;
}

SOFT_ROUTINE const char *ibv_get_device_name(struct ibv_device *dev)
{
	return dev->name; /* a public field, in every device */
}

SOFT_ROUTINE int ibv_get_device_index(struct ibv_device *dev)
{
	PASS(soft_is_dev(dev), -1, ibv_get_device_index, "IBVERBS_1.9", -1, dev);
}

SOFT_ROUTINE __be64 ibv_get_device_guid(struct ibv_device *dev)
{
	PASS(soft_is_dev(dev), htobe64(soft_node_guid(soft_dev_index(dev))), ibv_get_device_guid,
	     "IBVERBS_1.1", 0, dev);
}

SOFT_ROUTINE struct ibv_context *ibv_open_device(struct ibv_device *dev)
{
	PASS(soft_is_dev(dev), soft_open_device(dev), ibv_open_device, "IBVERBS_1.1", NULL, dev);
}

SOFT_ROUTINE int ibv_close_device(struct ibv_context *ctx)
{
	PASS(softhca_is_soft(ctx), soft_close_device(ctx), ibv_close_device, "IBVERBS_1.1", -1,
	     ctx);
}

SOFT_ROUTINE int ibv_query_device(struct ibv_context *ctx, struct ibv_device_attr *attr)
{
	PASS(softhca_is_soft(ctx), soft_query_device(ctx, attr), ibv_query_device, "IBVERBS_1.1",
	     ENOSYS, ctx, attr);
}

SOFT_ROUTINE int ibv_query_port(struct ibv_context *ctx, uint8_t port,
				struct _compat_ibv_port_attr *attr)
{
	PASS(softhca_is_soft(ctx),
	     soft_query_port(ctx, port, (struct ibv_port_attr *)attr,
			     offsetof(struct ibv_port_attr, port_cap_flags2)),
	     ibv_query_port, "IBVERBS_1.1", ENOSYS, ctx, port, attr);
}

SOFT_ROUTINE int ibv_query_gid(struct ibv_context *ctx, uint8_t port, int index, union ibv_gid *gid)
{
	PASS(softhca_is_soft(ctx), soft_query_gid(ctx, port, index, gid), ibv_query_gid,
	     "IBVERBS_1.1", -1, ctx, port, index, gid);
}

SOFT_ROUTINE int _ibv_query_gid_ex(struct ibv_context *ctx, uint32_t port, uint32_t index,
				   struct ibv_gid_entry *entry, uint32_t flags, size_t size)
{
	PASS(softhca_is_soft(ctx),
	     flags ? EOPNOTSUPP : soft_query_gid_ex(ctx, port, index, entry, size),
	     _ibv_query_gid_ex, "IBVERBS_1.11", ENOSYS, ctx, port, index, entry, flags, size);
}

static ssize_t gid_table(struct ibv_context *ctx, struct ibv_gid_entry *e, size_t max,
			 uint32_t flags, size_t size)
{
	if (flags || !max)
		return flags ? -EOPNOTSUPP : -EINVAL;
	return soft_query_gid_ex(ctx, 1, 0, e, size) ? -EINVAL : 1;
}

SOFT_ROUTINE ssize_t _ibv_query_gid_table(struct ibv_context *ctx, struct ibv_gid_entry *e,
					  size_t max, uint32_t flags, size_t size)
{
	PASS(softhca_is_soft(ctx), gid_table(ctx, e, max, flags, size), _ibv_query_gid_table,
	     "IBVERBS_1.11", -ENOSYS, ctx, e, max, flags, size);
}

/* In the private part of the real library, but used by ibv_devinfo. */
int ibv_query_gid_type(struct ibv_context *ctx, uint8_t port, unsigned int index,
		       unsigned int *type);

static int gid_type(uint8_t port, unsigned int index, unsigned int *type)
{
	*type = 0; /* native IB and RoCE v1 */
	return port == 1 && !index ? 0 : (errno = EINVAL, -1);
}

SOFT_ROUTINE int ibv_query_gid_type(struct ibv_context *ctx, uint8_t port, unsigned int index,
				    unsigned int *type)
{
	PASS(softhca_is_soft(ctx), gid_type(port, index, type), ibv_query_gid_type,
	     "IBVERBS_PRIVATE_34", -1, ctx, port, index, type);
}

static int pkey_get(uint8_t port, int index, __be16 *pkey)
{
	*pkey = htobe16(0xffff);
	return port == 1 && !index ? 0 : (errno = EINVAL, -1);
}

SOFT_ROUTINE int ibv_query_pkey(struct ibv_context *ctx, uint8_t port, int index, __be16 *pkey)
{
	PASS(softhca_is_soft(ctx), pkey_get(port, index, pkey), ibv_query_pkey, "IBVERBS_1.1", -1,
	     ctx, port, index, pkey);
}

SOFT_ROUTINE int ibv_get_pkey_index(struct ibv_context *ctx, uint8_t port, __be16 pkey)
{
	PASS(softhca_is_soft(ctx), port == 1 && pkey == htobe16(0xffff) ? 0 : (errno = EINVAL, -1),
	     ibv_get_pkey_index, "IBVERBS_1.5", -1, ctx, port, pkey);
}

SOFT_ROUTINE int ibv_get_async_event(struct ibv_context *ctx, struct ibv_async_event *ev)
{
	PASS(softhca_is_soft(ctx), soft_get_async_event(ctx, ev), ibv_get_async_event,
	     "IBVERBS_1.1", -1, ctx, ev);
}

/* The context an event's object belongs to, or NULL for events without one. */
static struct ibv_context *event_ctx(const struct ibv_async_event *ev)
{
	switch (ev->event_type) {
	case IBV_EVENT_CQ_ERR:
		return ev->element.cq->context;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		return ev->element.qp->context;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		return ev->element.srq->context;
	case IBV_EVENT_WQ_FATAL:
		return ev->element.wq->context;
	default:
		return NULL;
	}
}

SOFT_ROUTINE void ibv_ack_async_event(struct ibv_async_event *ev)
{
	struct ibv_context *ctx = event_ctx(ev);
	void (*real)(struct ibv_async_event *);

	if (softhca_is_soft(ctx)) {
		soft_ack_async_event(ev);
		return;
	}
	real = REAL(ibv_ack_async_event, "IBVERBS_1.1");
	if (real)
		real(ev);
}

/* Contexts of these devices cannot be imported. */
SOFT_ROUTINE struct ibv_context *ibv_import_device(int cmd_fd)
{
	PASS(soft_is_port_fd(cmd_fd), (errno = EOPNOTSUPP, NULL), ibv_import_device, "IBVERBS_1.10",
	     NULL, cmd_fd);
}

SOFT_ROUTINE int ibv_resolve_eth_l2_from_gid(struct ibv_context *ctx, struct ibv_ah_attr *attr,
					     uint8_t mac[ETHERNET_LL_SIZE], uint16_t *vid)
{
	PASS(softhca_is_soft(ctx), enosys(), ibv_resolve_eth_l2_from_gid, "IBVERBS_1.1", -1, ctx,
	     attr, mac, vid);
}
