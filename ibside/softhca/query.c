/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the device and its port say of themselves (IBTA 11.2.1).
 */
#include <endian.h>
#include <stdlib.h>
#include <time.h>

#include "soft.h"

/* Device attributes. */
int soft_query_device(struct ibv_context *ctx, struct ibv_device_attr *a)
{
	memset(a, 0, sizeof(*a));
	snprintf(a->fw_ver, sizeof(a->fw_ver), "%s", TAG_VERSION);
	a->node_guid = a->sys_image_guid = htobe64(soft_node_guid(soft_dev_index(ctx->device)));
	a->max_mr_size = 1ull << 46;
	a->page_size_cap = 0xfffff000;
	a->vendor_id = 0x025441; /* a locally administered OUI */
	a->vendor_part_id = 1;
	a->hw_ver = SOFT_VERSION;
	a->max_qp = SOFT_MAX_QP - 2;
	a->max_qp_wr = (int)soft_limits.wr;
	a->device_cap_flags = IBV_DEVICE_RC_RNR_NAK_GEN | IBV_DEVICE_CURR_QP_STATE_MOD;
	a->max_sge = a->max_sge_rd = (int)soft_limits.sge;
	a->max_cq = SOFT_MAX_CQ;
	a->max_cqe = (int)soft_limits.cqe;
	a->max_mr = SOFT_MAX_MR - 1;
	a->max_pd = 1 << 24;
	a->max_qp_rd_atom = a->max_qp_init_rd_atom = (int)soft_limits.rd_atomic;
	a->max_res_rd_atom = (int)(soft_limits.rd_atomic * SOFT_MAX_QP);
	a->atomic_cap = IBV_ATOMIC_HCA;
	a->max_ah = 1 << 24;
	a->max_srq = SOFT_MAX_SRQ;
	a->max_srq_wr = SOFT_MAX_WR;
	a->max_srq_sge = SOFT_MAX_SGE;
	a->max_pkeys = 1;
	a->phys_port_cnt = 1;
	return 0;
}

/* Device attributes, as much of the extended form as the caller knows. */
int soft_query_device_ex(struct ibv_context *ctx, const struct ibv_query_device_ex_input *in,
			 struct ibv_device_attr_ex *attr, size_t size)
{
	struct ibv_device_attr_ex a = {0};

	if (in && in->comp_mask)
		return EINVAL;
	if (size < sizeof(a.orig_attr))
		return EINVAL;
	soft_query_device(ctx, &a.orig_attr);
	a.completion_timestamp_mask = UINT64_MAX;
	a.hca_core_clock = 1000000; /* kHz */
	a.phys_port_cnt_ex = 1;
	memset(attr, 0, size);
	memcpy(attr, &a, size < sizeof(a) ? size : sizeof(a));
	return 0;
}

/* Path MTU in bytes: SOFTHCA_MTU rounded down to one that InfiniBand has, or 4096. */
uint32_t soft_mtu(void)
{
	static atomic_uint cached;
	uint32_t mtu = atomic_load_explicit(&cached, memory_order_relaxed);

	if (!mtu) {
		const char *env = getenv("SOFTHCA_MTU");
		long want = env && *env ? strtol(env, NULL, 10) : (long)SOFT_MTU;

		for (mtu = SOFT_MTU; mtu > 256 && (long)mtu > want; mtu /= 2)
			;
		atomic_store_explicit(&cached, mtu, memory_order_relaxed);
	}
	return mtu;
}

/* Port attributes, @size bytes of them. */
int soft_query_port(struct ibv_context *ctx, uint8_t port, struct ibv_port_attr *attr, size_t size)
{
	struct ibv_port_attr a = {
		.state = IBV_PORT_ACTIVE,
		.max_mtu = IBV_MTU_4096,
		.active_mtu = (enum ibv_mtu)(__builtin_ctz(soft_mtu()) - 7),
		.gid_tbl_len = 1,
		.max_msg_sz = SOFT_MAX_MSG,
		.pkey_tbl_len = 1,
		.lid = (uint16_t)soft_ctx(ctx)->port->lid,
		.sm_lid = 1,
		.max_vl_num = 1,
		.active_width = 2,  /* 4x */
		.active_speed = 32, /* EDR */
		.phys_state = 5,    /* link up */
		.link_layer = IBV_LINK_LAYER_INFINIBAND,
	};

	if (port != 1)
		return EINVAL;
	if (!soft_fault_port_up(soft_ctx(ctx)->port->shm)) {
		a.state = IBV_PORT_DOWN;
		a.phys_state = 2; /* polling */
	}
	memset(attr, 0, size);
	memcpy(attr, &a, size < sizeof(a) ? size : sizeof(a));
	return 0;
}

/* The one GID.  Returns 0, or -1 and errno. */
int soft_query_gid(struct ibv_context *ctx, uint32_t port, int index, union ibv_gid *gid)
{
	if (port != 1 || index) {
		errno = EINVAL;
		return -1;
	}
	soft_port_gid(soft_ctx(ctx)->port->shm, gid);
	return 0;
}

/* The same with its type.  Returns 0 or errno. */
int soft_query_gid_ex(struct ibv_context *ctx, uint32_t port, uint32_t index,
		      struct ibv_gid_entry *entry, size_t size)
{
	struct ibv_gid_entry e = {.port_num = port, .gid_type = IBV_GID_TYPE_IB};

	if (soft_query_gid(ctx, port, (int)index, &e.gid))
		return ENODATA;
	memset(entry, 0, size);
	memcpy(entry, &e, size < sizeof(e) ? size : sizeof(e));
	return 0;
}

/* The device's clock. */
int soft_query_rt_values(struct ibv_context *ctx, struct ibv_values_ex *values)
{
	uint64_t now = soft_now();

	(void)ctx;
	if (values->comp_mask & ~(uint32_t)IBV_VALUES_MASK_RAW_CLOCK)
		return EINVAL;
	values->raw_clock.tv_sec = (time_t)(now / 1000000000u);
	values->raw_clock.tv_nsec = (long)(now % 1000000000u);
	return 0;
}
