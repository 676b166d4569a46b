/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library as a stand-in for libibverbs: every function that takes an object is interposed, the
 * inline functions find what they need, and what is not provided says so.
 */
#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <infiniband/verbs.h>

#include "rig.h"
#include "softhca.h"

/* Exports of libibverbs that take no device, context or object of one: those stay the real ones. */
static const char *const pure[] = {
	"ibv_node_type_str",
	"ibv_port_state_str",
	"ibv_event_type_str",
	"ibv_wc_status_str",
	"ibv_rate_to_mult",
	"mult_to_ibv_rate",
	"ibv_rate_to_mbps",
	"mbps_to_ibv_rate",
	"ibv_fork_init",
	"ibv_is_fork_initialized",
	"ibv_dontfork_range",
	"ibv_dofork_range",
	"ibv_get_sysfs_path",
	"ibv_read_sysfs_file",
	"ibv_copy_ah_attr_from_kern",
	"ibv_copy_path_rec_from_kern",
	"ibv_copy_path_rec_to_kern",
	"ibv_copy_qp_attr_from_kern",
};

static bool is_pure(const char *name)
{
	for (size_t i = 0; i < sizeof(pure) / sizeof(pure[0]); i++)
		if (!strcmp(pure[i], name))
			return true;
	return false;
}

/* Calls fn(name, version) for each default-version function of a library, as nm tells them. */
static int each_export(const char *lib, int (*fn)(const char *name, const char *ver))
{
	char cmd[512], line[512];
	int n = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "nm -D --defined-only '%s'", lib);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char name[256], type, *at;

		if (sscanf(line, "%*x %c %255s", &type, name) != 2 || type != 'T')
			continue;
		at = strstr(name, "@@");
		if (!at)
			continue;
		*at = 0;
		n += fn(name, at + 2);
	}
	assert_int_equal(pclose(f), 0);
	return n;
}

static const char *path_of(void *sym)
{
	Dl_info i;

	assert_int_not_equal(dladdr(sym, &i), 0);
	return i.dli_fname;
}

static int check_export(const char *name, const char *ver)
{
	void *s;

	if (!strncmp(ver, "IBVERBS_PRIVATE", 15) && strcmp(name, "ibv_query_gid_type"))
		return 0; /* between libibverbs and its drivers; drivers serve real devices only */
	if (is_pure(name))
		return 0;
	s = dlvsym(RTLD_DEFAULT, name, ver);
	if (!s || !strstr(path_of(s), "libsofthca"))
		fail_msg("%s@%s is not interposed", name, ver);
	return 1;
}

static void exports(void **state)
{
	void *real = dlopen("libibverbs.so.1", RTLD_NOW | RTLD_LOCAL);
	int n;

	(void)state;
	assert_non_null(real);
	n = each_export(path_of(dlsym(real, "ibv_fork_init")), check_export);
	print_message("%d functions\n", n);
	assert_true(n > 50);
	dlclose(real);
}

static void devices(void **state)
{
	struct ibv_device **l;
	int n = -1, soft = 0;

	(void)state;
	l = ibv_get_device_list(&n);
	assert_non_null(l);
	assert_null(l[n]);
	for (int i = 0; i < n; i++)
		if (!strncmp(ibv_get_device_name(l[i]), "soft", 4)) {
			assert_int_equal(l[i]->node_type, IBV_NODE_CA);
			assert_int_not_equal(ibv_get_device_guid(l[i]), 0);
			assert_int_equal(ibv_get_device_index(l[i]), -1);
			soft++;
		}
	assert_int_equal(soft, 2);
	ibv_free_device_list(l);
	assert_null(ibv_import_device(-1)); /* as the real one does */
}

static void queries(void **state)
{
	struct ibv_context *c = rig_open(NULL), *c2 = rig_open(NULL);
	struct ibv_device_attr_ex ax;
	struct ibv_device_attr a;
	struct ibv_port_attr pa, pb;
	struct ibv_values_ex v = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};
	struct ibv_gid_entry ge;
	union ibv_gid gid;
	__be16 pkey;

	(void)state;
	assert_true(softhca_is_soft(c));
	assert_int_equal(ibv_query_device(c, &a), 0);
	assert_int_equal(ibv_query_device_ex(c, NULL, &ax), 0);
	assert_memory_equal(&a, &ax.orig_attr, sizeof(a));
	assert_int_equal(ibv_query_port(c, 1, &pa), 0);
	assert_int_equal(pa.state, IBV_PORT_ACTIVE);
	assert_int_equal(pa.active_mtu, IBV_MTU_4096);
	assert_int_equal(pa.link_layer, IBV_LINK_LAYER_INFINIBAND);
	assert_int_not_equal(pa.lid, 0);
	/* the old binary interface writes no byte beyond the old structure */
	memset(&pb, 0xee, sizeof(pb));
	assert_int_equal((ibv_query_port)(c, 1, (struct _compat_ibv_port_attr *)&pb), 0);
	assert_int_equal(pb.lid, pa.lid);
	assert_int_equal(pb.port_cap_flags2, 0xeeee);
	assert_int_equal(ibv_query_port(c, 2, &pa), EINVAL);
	/* contexts of one device share its port */
	assert_int_equal(ibv_query_port(c2, 1, &pb), 0);
	assert_int_equal(pb.lid, pa.lid);
	assert_int_equal(ibv_query_gid(c, 1, 0, &gid), 0);
	assert_int_equal(be64toh(gid.global.subnet_prefix), 0xfe80000000000000ull);
	assert_int_equal(ibv_query_gid_ex(c, 1, 0, &ge, 0), 0);
	assert_memory_equal(&ge.gid, &gid, 16);
	assert_int_equal(ge.gid_type, IBV_GID_TYPE_IB);
	assert_int_equal(ibv_query_gid_table(c, &ge, 1, 0), 1);
	assert_int_equal(ibv_query_gid(c, 1, 1, &gid), -1);
	assert_int_equal(ibv_query_pkey(c, 1, 0, &pkey), 0);
	assert_int_equal(pkey, htobe16(0xffff));
	assert_int_equal(ibv_get_pkey_index(c, 1, pkey), 0);
	assert_int_equal(ibv_query_rt_values_ex(c, &v), 0);
	assert_int_equal(ibv_close_device(c2), 0);
	assert_int_equal(ibv_close_device(c), 0);
}

/* What is not provided fails politely, in exported functions and inline ones. */
static void not_provided(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_UD};
	struct ibv_alloc_dm_attr dm = {.length = 64};
	struct ibv_td_init_attr td = {0};
	struct ibv_modify_cq_attr mc = {0};
	struct ibv_flow_attr flow = {0};
	struct ibv_ece ece = {0};
	union ibv_gid gid = {0};
	struct rig_end e;

	(void)state;
	rig_up(&e, &o);
	assert_null(ibv_alloc_mw(e.pd, IBV_MW_TYPE_1));
	assert_null(ibv_alloc_dm(e.ctx, &dm));
	assert_null(ibv_alloc_td(e.ctx, &td));
	assert_null(ibv_alloc_null_mr(e.pd));
	assert_null(ibv_create_flow(e.qp, &flow));
	assert_int_equal(ibv_modify_cq(e.scq, &mc), EOPNOTSUPP);
	assert_int_equal(ibv_attach_mcast(e.qp, &gid, 0xc001), EOPNOTSUPP);
	assert_null(ibv_import_device(e.ctx->cmd_fd));
	assert_int_equal(errno, EOPNOTSUPP);
	assert_null(ibv_import_pd(e.ctx, 1));
	assert_null(ibv_import_mr(e.pd, 1));
	assert_null(ibv_reg_dmabuf_mr(e.pd, 0, 1, 0, 0, 0));
	assert_int_equal(ibv_rereg_mr(e.mr, 0, NULL, NULL, 0, 0), IBV_REREG_MR_ERR_INPUT);
	assert_int_equal(ibv_set_ece(e.qp, &ece), 0);
	assert_int_equal(ibv_query_ece(e.qp, &ece), 0);
	rig_down(&e);
}

static void regions(void **state)
{
	struct ibv_context *c = rig_open(NULL);
	struct ibv_pd *pd = ibv_alloc_pd(c);
	static char mem[8192];
	struct ibv_mr *m, *n;

	(void)state;
	m = ibv_reg_mr(pd, mem, sizeof(mem), IBV_ACCESS_REMOTE_WRITE);
	assert_null(m); /* remote write without local */
	assert_int_equal(errno, EINVAL);
	m = ibv_reg_mr(pd, (void *)0x1000, 4096, IBV_ACCESS_LOCAL_WRITE);
	assert_null(m);
	assert_int_equal(errno, EFAULT);
	m = ibv_reg_mr(pd, mem, SIZE_MAX, IBV_ACCESS_LOCAL_WRITE);
	assert_null(m);
	m = ibv_reg_mr(pd, mem, sizeof(mem), IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_RELAXED_ORDERING);
	n = ibv_reg_mr_iova(pd, mem, sizeof(mem), 0x1000, IBV_ACCESS_LOCAL_WRITE);
	assert_non_null(m);
	assert_non_null(n);
	assert_int_not_equal(m->lkey, n->lkey);
	assert_int_equal(ibv_dereg_mr(m), 0);
	assert_int_equal(ibv_dereg_mr(n), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	assert_int_equal(ibv_close_device(c), 0);
}

static void queue_pairs(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct ibv_qp_init_attr ia = {.qp_type = IBV_QPT_RC}, got;
	struct ibv_qp_attr a = {.qp_state = IBV_QPS_RTR}, q;
	struct ibv_send_wr w = {.opcode = IBV_WR_SEND}, *bad;
	struct ibv_recv_wr rw = {0}, *rbad;
	struct rig_end e, f;

	(void)state;
	rig_up(&e, &o);
	rig_up(&f, &o);
	assert_null(ibv_create_qp(e.pd, &ia)); /* no CQ */
	ia.send_cq = ia.recv_cq = e.scq;
	ia.cap.max_send_wr = 1u << 30;
	assert_null(ibv_create_qp(e.pd, &ia));
	assert_int_equal(errno, EINVAL);
	ia.cap.max_send_wr = 1;
	ia.qp_type = IBV_QPT_RAW_PACKET;
	assert_null(ibv_create_qp(e.pd, &ia));
	/* states */
	assert_int_equal(ibv_post_recv(e.qp, &rw, &rbad), EINVAL);
	assert_int_equal(ibv_post_send(e.qp, &w, &bad), EINVAL);
	assert_int_equal(ibv_modify_qp(e.qp, &a, IBV_QP_STATE), EINVAL); /* RESET -> RTR */
	a.qp_state = IBV_QPS_INIT;
	a.port_num = 2;
	assert_int_equal(
		ibv_modify_qp(e.qp, &a,
			      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
		EINVAL);
	a.port_num = 1;
	assert_int_equal(ibv_modify_qp(e.qp, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT),
			 EINVAL); /* one attribute short */
	assert_int_equal(ibv_modify_qp(e.qp, &a,
				       IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					       IBV_QP_ACCESS_FLAGS | IBV_QP_QKEY),
			 EINVAL);
	rig_connect(&f, &e.me, NULL);
	assert_int_equal(ibv_query_qp(f.qp, &q, IBV_QP_STATE, &got), 0);
	assert_int_equal(q.qp_state, IBV_QPS_RTS);
	assert_int_equal(q.dest_qp_num, e.me.qpn);
	assert_int_equal(q.timeout, 14);
	assert_ptr_equal(got.send_cq, f.scq);
	assert_int_equal(got.cap.max_send_sge, 4);
	assert_int_equal(f.qp->state, IBV_QPS_RTS);
	rig_down(&e);
	rig_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports), cmocka_unit_test(devices),
		cmocka_unit_test(queries), cmocka_unit_test(not_provided),
		cmocka_unit_test(regions), cmocka_unit_test(queue_pairs),
	};

	rig_dir();
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
