/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_stdio.c - streams. The C library's stdio calls the kernel from inside, past us: a native
 * socket that gets a stream is left alone from then on; an accelerated one gets a stream whose
 * reading, writing and closing are ours.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "host/sock.h"
#include "host/sock_real.h"

static ssize_t cookie_read(void *cookie, char *p, size_t n)
{
	return read((intptr_t)cookie, p, n);
}

static ssize_t cookie_write(void *cookie, const char *p, size_t n)
{
	ssize_t r = write((intptr_t)cookie, p, n);

	return r < 0 ? 0 : r; /* what fopencookie() wants to see of an error */
}

static int cookie_close(void *cookie)
{
	return close((intptr_t)cookie);
}

SOCK_EXPORT FILE *fdopen(int fd, const char *mode)
{
	static const cookie_io_functions_t ours = {cookie_read, cookie_write, NULL, cookie_close};
	struct sock_conn *gone;
	SOCK_CALL(k);
	bool last;
	FILE *f;

	if (sock_enter(&k, fd)) {
		f = fopencookie((void *)(intptr_t)fd, mode, ours);
		if (f)
			f->_fileno = fd; /* for fileno(): nothing else reads it in such a stream */
		return f;
	}
	f = REAL(fdopen)(fd, mode);
	if (f && k.c && sock_own_process()) {
		atomic_store(&k.c->pinned, true);
		gone = sock_table_drop(fd, k.c, &last); /* fclose() will not tell us */
		if (gone)
			sock_put(gone);
	}
	return f;
}
