/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_mem.c - frame buffers and the device: one registration for memory that lies side by side,
 * and an lkey for every byte of it.
 */
#include "gw_bench.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE  65536u
#define PIECES 40u

static struct ib_dev dev;
static uint8_t *mem; /* PIECES of them, side by side */

/* A pool made of every `step`th piece. */
static struct rte_mempool *pool_of(const char *name, uint32_t step)
{
	struct rte_mempool *mp = rte_mempool_create_empty(name, 1000, 2048, 0, 0, SOCKET_ID_ANY, 0);

	assert_non_null(mp);
	for (uint32_t i = 0; i < PIECES; i += step)
		assert_true(rte_mempool_populate_iova(mp, (char *)mem + i * PIECE, RTE_BAD_IOVA,
						      PIECE, NULL, NULL) > 0);
	return mp;
}

static void side_by_side(void **state)
{
	struct rte_mempool *mp = pool_of("near", 1);
	static struct gw_worker w = {.gw = &gb};

	assert_int_equal(mp->nb_mem_chunks, PIECES);
	assert_int_equal(gw_pool_register(&dev, mp, w.pool_mr, RTE_DIM(w.pool_mr)), 0);
	assert_null(w.pool_mr[1]);
	assert_int_equal(w.pool_mr[0]->length, PIECES * PIECE);
	assert_int_equal(gw_mbuf_lkey(&w, mem), w.pool_mr[0]->lkey);
	assert_int_equal(gw_mbuf_lkey(&w, mem + PIECES * PIECE - 1), w.pool_mr[0]->lkey);
	assert_int_equal(gw_mbuf_lkey(&w, mem + PIECES * PIECE), 0);
	assert_int_equal(gw_mbuf_lkey(&w, mem - 1), 0);
	ibv_dereg_mr(w.pool_mr[0]);
	rte_mempool_free(mp);
}

static void scattered(void **state)
{
	struct rte_mempool *some = pool_of("some", 8), *many = pool_of("many", 2);
	static struct gw_worker w = {.gw = &gb};

	assert_int_equal(gw_pool_register(&dev, many, w.pool_mr, RTE_DIM(w.pool_mr)), E2BIG);
	assert_null(w.pool_mr[0]);
	assert_int_equal(gw_pool_register(&dev, some, w.pool_mr, RTE_DIM(w.pool_mr)), 0);
	for (uint32_t i = 0; i < PIECES; i++)
		assert_int_equal(gw_mbuf_lkey(&w, mem + i * PIECE),
				 i % 8 ? 0 : w.pool_mr[i / 8]->lkey);
	for (uint32_t i = 0; i < RTE_DIM(w.pool_mr) && w.pool_mr[i]; i++)
		ibv_dereg_mr(w.pool_mr[i]);
	rte_mempool_free(some);
	rte_mempool_free(many);
}

static int open_all(void **state)
{
	static char dir[] = "/tmp/gw-mem-XXXXXX";
	char err[IB_ERRLEN];

	mem = mmap(NULL, PIECES * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	if (mem == MAP_FAILED || !mkdtemp(dir) || gb_open(state))
		return -1;
	setenv("SOFTHCA_DIR", dir, 1);
	return ib_dev_open(&dev, "soft0", 1, 0, err);
}

static int close_all(void **state)
{
	ib_dev_close(&dev);
	unlink(getenv("SOFTHCA_DIR"));
	rmdir(getenv("SOFTHCA_DIR"));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(side_by_side),
		cmocka_unit_test(scattered),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
