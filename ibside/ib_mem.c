/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_mem.c - registered memory (IBTA 10.6).
 *
 * The pages are a shared mapping of an anonymous file. A private mapping would be copied on write
 * after a fork, and the HCA would go on with pages that the parent does not see any more. A
 * software HCA can map such a file itself and copy without a system call.
 */
#include "ibside/ib_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int ib_mem_alloc(struct ib_mem *m, struct ib_dev *d, size_t len, int access)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int fd, rc = 0;

	memset(m, 0, sizeof(*m));
	m->len = (len + page - 1) & ~(page - 1);
	fd = memfd_create("tag-ib", MFD_CLOEXEC);
	if (fd < 0)
		return errno;
	if (ftruncate(fd, m->len) < 0)
		rc = errno;
	if (!rc) {
		m->addr = mmap(NULL, m->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (m->addr == MAP_FAILED) {
			rc = errno;
			m->addr = NULL;
		}
	}
	close(fd);
	if (!rc) {
		m->mr = ibv_reg_mr(d->pd, m->addr, m->len, access);
		if (!m->mr)
			rc = errno ? errno : ENOMEM;
	}
	if (rc)
		ib_mem_free(m);
	return rc;
}

void ib_mem_free(struct ib_mem *m)
{
	if (m->mr)
		ibv_dereg_mr(m->mr);
	if (m->addr)
		munmap(m->addr, m->len);
	memset(m, 0, sizeof(*m));
}
