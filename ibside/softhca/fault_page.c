/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file of fault rules, $SOFTHCA_DIR/faults, and the lock on the directory of the subnet, which
 * guards it as it guards the choice of LIDs.  All ports map the file from their first moment on,
 * so a rule is in force for everybody when the command that adds it returns.  After a change the
 * generation is also written through the descriptor: that is what ports are told about, and what
 * moves those that have to act without an operation (events of ports).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"

/* The directory of the subnet. */
const char *fault_dir(void)
{
	const char *d = getenv("SOFTHCA_DIR");

	return d && *d ? d : FAULT_DIR;
}

/* Opens directory @dir, made if missing, and locks it.  Returns the descriptor or -errno. */
int fault_lock_dir(const char *dir)
{
	for (int tries = 0; tries < 100; tries++) {
		struct stat a, b;
		int fd;

		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return -errno;
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR)
				break;
		if (fstat(fd, &a) == 0 && stat(dir, &b) == 0 && a.st_ino == b.st_ino &&
		    a.st_dev == b.st_dev)
			return fd; /* else removed while we waited */
		close(fd);
	}
	return -EAGAIN;
}

/* Whether @dirfd holds files of ports, of living processes or dead ones. */
bool fault_ports(int dirfd)
{
	int dup_fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dup_fd < 0 ? NULL : fdopendir(dup_fd);
	bool some = !d;
	struct dirent *e;

	while (d && !some && (e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');

		some = dot && !strcmp(dot, ".port");
	}
	if (d)
		closedir(d);
	else if (dup_fd >= 0)
		close(dup_fd);
	return some;
}

/* Monotonic time in nanoseconds. */
uint64_t fault_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Maps the file in @dirfd, which is locked; one that is missing or of another kind is made anew if
 * @create.  Returns NULL and errno on failure. */
struct fault_page *fault_map(int dirfd, bool create)
{
	const size_t size = sizeof(struct fault_page);
	int fd = openat(dirfd, FAULT_FILE, O_RDWR | O_CLOEXEC);
	struct fault_page *pg;
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_size != (off_t)size)) {
		close(fd);
		fd = -1;
		if (create)
			unlinkat(dirfd, FAULT_FILE, 0);
	}
	if (fd < 0 && create)
		fd = openat(dirfd, FAULT_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)size) < 0) {
		close(fd);
		return NULL;
	}
	pg = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (pg == MAP_FAILED)
		return NULL;
	atomic_store(&pg->magic, FAULT_MAGIC);
	return pg;
}

/* Takes back the rules of kind port-down that @up is about. */
static void port_up(struct fault_page *pg, const struct fault_rule *up)
{
	const struct fault_end *u = &up->from;

	for (uint32_t i = 0; i < FAULT_RULES; i++) {
		struct fault_rule *r = &pg->rule[i];

		if (!atomic_load(&r->live) || r->kind != FAULT_PORT_DOWN ||
		    (u->proc[0] && strcmp(u->proc, r->from.proc)) ||
		    (u->pid && u->pid != r->from.pid) || (u->lid && u->lid != r->from.lid))
			continue;
		atomic_store(&r->live, 0);
		atomic_fetch_sub(&pg->n, 1);
	}
}

/* Puts @r in force.  Returns 0, or ENOSPC when there are too many. */
int fault_add(struct fault_page *pg, const struct fault_rule *r)
{
	if (r->kind == FAULT_PORT_UP) {
		port_up(pg, r);
		return 0;
	}
	for (uint32_t i = 0; i < FAULT_RULES; i++) {
		struct fault_rule *to = &pg->rule[i];

		if (atomic_load(&to->live))
			continue;
		memcpy((char *)to + offsetof(struct fault_rule, kind),
		       (const char *)r + offsetof(struct fault_rule, kind),
		       sizeof(*r) - offsetof(struct fault_rule, kind));
		atomic_store_explicit(&to->live, 1, memory_order_release);
		atomic_fetch_add(&pg->n, 1);
		return 0;
	}
	return ENOSPC;
}

/* Ends all rules. */
void fault_clear(struct fault_page *pg)
{
	atomic_store(&pg->n, 0);
	for (uint32_t i = 0; i < FAULT_RULES; i++)
		atomic_store(&pg->rule[i].live, 0);
}
