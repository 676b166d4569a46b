/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What registered memory is made of.  If a region lies in one shared mapping of a memfd (or of a
 * file in /dev/shm or a hugetlbfs), the port keeps a descriptor for that file, peers duplicate it
 * and map the same pages: they then copy without a system call.  Everything else, private memory
 * and files on disk, which can be truncated under a mapping, is reached by process_vm_*.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "soft.h"

/* One line of /proc/self/maps. */
struct vma {
	uint64_t lo, hi;   /* addresses */
	uint64_t off;	   /* in the file */
	uint64_t ino;	   /* of the file; 0: none */
	uint32_t maj, min; /* of the file's device */
	bool shared;	   /* MAP_SHARED and writable */
	bool mappable;	   /* a kind of file that peers may map */
	bool writable;	   /* by this process; in range_find()'s answer: all of the range */
};

static bool vma_parse(const char *line, struct vma *v)
{
	char perm[8] = "";
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64 " %n", &v->lo,
		   &v->hi, perm, &v->off, &v->maj, &v->min, &v->ino, &at) < 7)
		return false;
	v->writable = perm[1] == 'w';
	v->shared = perm[0] == 'r' && perm[1] == 'w' && perm[3] == 's';
	v->mappable = !strncmp(line + at, "/memfd:", 7) || !strncmp(line + at, "/dev/shm/", 9) ||
		      !strncmp(line + at, "/dev/hugepages", 14);
	return true;
}

/* Describes in @out the one stretch of file that [addr, addr+len) maps.  Returns 0, ENOTSUP if it
 * is mapped but not that, EFAULT if part of it is not mapped at all. */
static int range_find(uint64_t addr, uint64_t len, struct vma *out)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uint64_t want = addr, end = addr + (len ? len : 1);
	struct vma v;
	char line[512];
	int rc = 0;

	memset(out, 0, sizeof(*out));
	out->writable = true;
	if (!f)
		return ENOTSUP;
	while (want < end && fgets(line, sizeof(line), f)) {
		if (!strchr(line, '\n')) { /* a long path: drop the rest of the line */
			int c;

			while ((c = fgetc(f)) != EOF && c != '\n')
				;
		}
		if (!vma_parse(line, &v) || v.hi <= want)
			continue;
		if (v.lo > want)
			break;
		if (want == addr) {
			*out = v;
			out->off += addr - v.lo;
		} else if (v.ino != out->ino || v.off + (want - v.lo) != out->off + (want - addr)) {
			rc = ENOTSUP;
		}
		out->writable = out->writable && v.writable;
		if (!v.shared || !v.mappable || !v.ino)
			rc = ENOTSUP;
		want = v.hi;
	}
	fclose(f);
	return want < end ? EFAULT : rc;
}

/* Whether all of [addr, addr+len) is mapped, and writable if @write.  Returns 0 or EFAULT. */
int soft_range_mapped(const void *addr, size_t len, bool write)
{
	struct vma v;
	int rc = range_find((uintptr_t)addr, len, &v);

	if (rc != EFAULT && write && !v.writable)
		return EFAULT;
	return rc == ENOTSUP ? 0 : rc;
}

static bool same_file(int fd, const struct vma *v)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == v->ino && major(st.st_dev) == v->maj &&
	       minor(st.st_dev) == v->min;
}

/* A descriptor of our own for the file behind @v, or -1. */
static int backing_open(const struct vma *v)
{
	char path[64];
	struct dirent *e;
	DIR *d;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%" PRIx64 "-%" PRIx64, v->lo, v->hi);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 || (errno != EPERM && errno != EACCES && errno != ENOENT))
		return fd;
	/* Without privilege: some descriptor of this process may still be of that file. */
	d = opendir("/proc/self/fd");
	while (d && (e = readdir(d))) {
		int n = atoi(e->d_name);

		if (e->d_name[0] != '.' && same_file(n, v)) {
			fd = fcntl(n, F_DUPFD_CLOEXEC, 3);
			break;
		}
	}
	if (d)
		closedir(d);
	return fd;
}

static int backing_slot(struct soft_port *p, const struct vma *v, uint64_t need, uint32_t *idx)
{
	struct shm_backing *b;
	uint32_t i, free_slot = SOFT_NONE;
	uint64_t dev = makedev(v->maj, v->min);

	for (i = 0; i < SOFT_MAX_BACKING; i++) {
		if (p->back_refs[i] && p->back_dev[i] == dev && p->back_ino[i] == v->ino)
			break;
		if (!p->back_refs[i] && free_slot == SOFT_NONE)
			free_slot = i;
	}
	if (i == SOFT_MAX_BACKING) {
		if (free_slot == SOFT_NONE)
			return ENOSPC;
		i = free_slot;
		b = &p->shm->backing[i];
		b->fd = backing_open(v);
		if (b->fd < 0)
			return errno;
		p->back_dev[i] = dev;
		p->back_ino[i] = v->ino;
		b->size = 0;
		atomic_fetch_add(&b->gen, 1);
	}
	b = &p->shm->backing[i];
	if (b->size < need)
		b->size = need;
	p->back_refs[i]++;
	*idx = i;
	return 0;
}

/* The backing of [addr, addr+len), counted, and in *@off where in it the range starts; SOFT_NONE
 * if peers cannot map it.  Caller holds the port's lock. */
uint32_t soft_backing_get(struct soft_port *p, void *addr, size_t len, uint64_t *off)
{
	struct vma v;
	uint32_t idx = SOFT_NONE;

	*off = 0;
	if (!len || range_find((uintptr_t)addr, len, &v))
		return SOFT_NONE;
	if (backing_slot(p, &v, (v.off + len + 4095) & ~4095ull, &idx))
		return SOFT_NONE;
	*off = v.off;
	return idx;
}

/* Drops one count of backing @idx.  Caller holds the port's lock. */
void soft_backing_put(struct soft_port *p, uint32_t idx)
{
	if (idx == SOFT_NONE || --p->back_refs[idx])
		return;
	close(p->shm->backing[idx].fd);
	p->shm->backing[idx].fd = -1;
}
