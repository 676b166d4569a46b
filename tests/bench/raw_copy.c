/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * raw_copy SIZE SECONDS: reads SIZE bytes of another process's private memory again and again with
 * process_vm_readv and prints GB/s; what an RDMA READ of the software HCA cannot beat where it uses
 * that call.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 0) : 65536;
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 1, start, end;
	char *far = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *here = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec l = {here, size}, r = {far, size};
	unsigned long n = 0;
	int ready[2], pid;
	char c = 0;

	if (far == MAP_FAILED || here == MAP_FAILED || pipe(ready) < 0)
		return 1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(far, 1, size); /* pages of its own */
		if (write(ready[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	memset(here, 0, size);
	if (pid < 0 || read(ready[0], &c, 1) != 1)
		return 1;
	for (start = end = now(); end - start < seconds; end = now())
		for (int i = 0; i < 1000; i++, n++)
			if (process_vm_readv(pid, &l, 1, &r, 1, 0) != (ssize_t)size) {
				perror("process_vm_readv");
				return 1;
			}
	printf("%.3f\n", (double)n * (double)size / (end - start) / 1e9);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
