/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rendezvous: how ports find each other.  The directory $SOFTHCA_DIR (/run/softhca) holds one
 * small file per port, <lid>.port, that says in which descriptor of its process the arena is.
 * The process keeps the file locked (POSIX record lock) for as long as it lives, so the lock tells
 * the living from the dead, and its holder's pid is the kernel's word.  A flock on the directory
 * serialises the choice of LIDs.  Files left by killed processes are unlocked: whoever opens a
 * port next removes them.  The file system crosses network namespaces, unlike abstract sockets.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "soft.h"

/* What a rendezvous file says. */
struct rdv_record {
	uint64_t magic;	 /* SOFT_MAGIC */
	uint32_t layout; /* SOFT_LAYOUT */
	int32_t memfd;	 /* descriptor of the arena in its process */
};

static int rdv_path(uint32_t lid, char *buf, size_t len)
{
	int n = snprintf(buf, len, "%s/%u.port", fault_dir(), lid);

	return n > 0 && (size_t)n < len ? 0 : ENAMETOOLONG;
}

/* Pid that holds the lock on rendezvous file @fd, or 0 if nobody does. */
static int rdv_holder(int fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &fl) < 0 || fl.l_type == F_UNLCK)
		return 0;
	return fl.l_pid;
}

/* Removes the files of processes that are gone.  Caller holds the directory's lock. */
static void rdv_sweep(int dirfd)
{
	int dup_fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dup_fd < 0 ? NULL : fdopendir(dup_fd);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *end;
		unsigned long lid = strtoul(e->d_name, &end, 10);
		int fd;

		if (end == e->d_name || strcmp(end, ".port") || soft_port_local((uint32_t)lid))
			continue;
		fd = openat(dirfd, e->d_name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!rdv_holder(fd))
			unlinkat(dirfd, e->d_name, 0);
		close(fd);
	}
	if (d)
		closedir(d);
	else if (dup_fd >= 0)
		close(dup_fd);
}

/* Maps the fault rules and has the helper thread told when they change. */
static void rdv_faults(int dirfd)
{
	char path[128];
	int n = snprintf(path, sizeof(path), "%s/" FAULT_FILE, fault_dir());

	soft_fault_attach(dirfd);
	if (n > 0 && (size_t)n < sizeof(path))
		soft_watch_faults(path);
}

/* Creates and locks the file of @p under the first free LID.  Returns 0 or errno. */
static int rdv_claim(struct soft_port *p, int dirfd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct rdv_record r = {SOFT_MAGIC, SOFT_LAYOUT, p->memfd};

	for (uint32_t lid = 1; lid <= SOFT_LID_MAX; lid++) {
		int rc = rdv_path(lid, p->path, sizeof(p->path));

		if (rc)
			return rc;
		if (soft_port_local(lid))
			continue;
		p->file = openat(dirfd, strrchr(p->path, '/') + 1,
				 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (p->file < 0 && errno == EEXIST)
			continue;
		if (p->file < 0)
			return errno;
		if (fcntl(p->file, F_SETLK, &fl) < 0 || write(p->file, &r, sizeof(r)) < 0) {
			rc = errno;
			unlinkat(dirfd, strrchr(p->path, '/') + 1, 0);
			close(p->file);
			return rc;
		}
		p->lid = lid;
		return 0;
	}
	return ENOSPC;
}

/* Gives @p a LID and makes it known.  Its arena must be complete but for LID, GUID and magic,
 * which are set here.  Returns 0 or errno. */
int soft_rdv_publish(struct soft_port *p)
{
	int dirfd = fault_lock_dir(fault_dir()), rc;

	if (dirfd < 0) {
		fprintf(stderr, "softhca: cannot use %s: %s (set SOFTHCA_DIR)\n", fault_dir(),
			strerror(-dirfd));
		return -dirfd;
	}
	rdv_sweep(dirfd);
	rdv_faults(dirfd);
	rc = rdv_claim(p, dirfd);
	if (!rc) {
		p->guid = 0x0254414700000000ull | (soft_node(soft_now() >> 10) & 0xffff) << 16 |
			  p->lid;
		p->shm->lid = p->lid;
		p->shm->guid = p->guid;
		atomic_thread_fence(memory_order_release);
		p->shm->magic = SOFT_MAGIC;
	} else {
		fprintf(stderr, "softhca: cannot create a port in %s: %s\n", fault_dir(),
			strerror(rc));
	}
	close(dirfd);
	return rc;
}

/* Finds the next free LID for @p and renames its file, whose lock stays.  Returns 0 or errno. */
int soft_rdv_move(struct soft_port *p, uint32_t *lid)
{
	int dirfd = fault_lock_dir(fault_dir()), rc = ENOSPC;
	char path[sizeof(p->path)];

	if (dirfd < 0)
		return -dirfd;
	for (*lid = p->lid + 1; rc && *lid <= SOFT_LID_MAX; ++*lid) {
		if (soft_port_local(*lid) || rdv_path(*lid, path, sizeof(path)))
			continue;
		if (renameat2(dirfd, strrchr(p->path, '/') + 1, dirfd, strrchr(path, '/') + 1,
			      RENAME_NOREPLACE) == 0) {
			memcpy(p->path, path, sizeof(path));
			rc = 0;
			break;
		}
		if (errno != EEXIST) {
			rc = errno;
			break;
		}
	}
	close(dirfd);
	return rc;
}

/* Takes @p off the subnet; the default directory goes with its last port. */
void soft_rdv_withdraw(struct soft_port *p)
{
	int dirfd = fault_lock_dir(fault_dir());

	atomic_store(&p->shm->closed, 1);
	unlink(p->path);
	close(p->file);
	p->file = -1;
	if (dirfd < 0)
		return;
	if (soft_fault_none() && !fault_ports(dirfd)) {
		unlinkat(dirfd, FAULT_FILE, 0);
		if (!strcmp(fault_dir(), FAULT_DIR))
			rmdir(FAULT_DIR);
	}
	close(dirfd);
}

/* Whether a living process has @lid. */
bool soft_rdv_alive(uint32_t lid)
{
	char path[128];
	bool alive;
	int fd;

	if (soft_port_local(lid))
		return true;
	if (rdv_path(lid, path, sizeof(path)))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	alive = rdv_holder(fd) != 0;
	close(fd);
	return alive;
}

/* Finds the living process behind @lid: its pid, the number of its arena's descriptor and a pidfd
 * that is certain to be of that process.  Returns 0, ENOENT for nobody, or another errno. */
int soft_rdv_find(uint32_t lid, int *pid, int *memfd_nr, int *pidfd)
{
	struct rdv_record r;
	char path[128];
	int fd, rc = rdv_path(lid, path, sizeof(path));

	if (rc)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	rc = ENOENT;
	*pid = rdv_holder(fd);
	if (*pid <= 0)
		goto out;
	*pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
	if (*pidfd < 0)
		goto out;
	/* Same holder after the open: the pidfd is of the holder. */
	if (rdv_holder(fd) == *pid && pread(fd, &r, sizeof(r), 0) == sizeof(r) &&
	    r.magic == SOFT_MAGIC) {
		rc = r.layout == SOFT_LAYOUT ? 0 : EPROTO;
		*memfd_nr = r.memfd;
	}
	if (rc)
		close(*pidfd);
out:
	close(fd);
	return rc;
}
