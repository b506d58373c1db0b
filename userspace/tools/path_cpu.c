// SPDX-License-Identifier: GPL-2.0
/* Ways by the CPU, to compare with. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common.h"
#include "path.h"

static int round_memcpy(struct bed *bed)
{
	unsigned int i;

	for (i = 0; i < bed->ops; i++) {
		memcpy(bed->target + i * bed->size, bed->source + i * bed->size, bed->size);
		/* The compiler must not see that nobody looks. */
		__asm__ volatile("" : : "r"(bed->target) : "memory");
	}
	return 0;
}

static int round_process_vm(struct bed *bed)
{
	unsigned int i;

	for (i = 0; i < bed->ops; i++) {
		struct iovec from = { bed->source + i * bed->size, bed->size };
		struct iovec to = { bed->target + i * bed->size, bed->size };
		ssize_t moved = process_vm_writev(getpid(), &from, 1, &to, 1, 0);

		if (moved != (ssize_t)bed->size) {
			errno = moved < 0 ? errno : EIO;
			return -1;
		}
	}
	return 0;
}

/* Two descriptors, to write to and to read from. */
struct pair {
	int in;
	int out;
	size_t room;	/* of a pipe */
};

static void close_pair(struct bed *bed)
{
	struct pair *pair = bed->path_data;

	if (pair->in >= 0)
		close(pair->in);
	if (pair->out >= 0)
		close(pair->out);
	free(pair);
}

static int open_pair(struct bed *bed, int (*open)(struct bed *bed, struct pair *pair))
{
	struct pair *pair = malloc(sizeof(*pair));

	if (!pair)
		return -1;
	*pair = (struct pair){ .in = -1, .out = -1 };
	bed->path_data = pair;
	if (!open(bed, pair))
		return 0;
	close_pair(bed);
	return -1;
}

static int make_pipe(struct bed *bed, struct pair *pair)
{
	int fds[2], room;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pair->out = fds[0];
	pair->in = fds[1];
	/* A larger one may be refused; the usual one does as well. */
	if (bed->size > 65536)
		fcntl(pair->in, F_SETPIPE_SZ, 1 << 20);
	room = fcntl(pair->in, F_GETPIPE_SZ);
	pair->room = room;
	return room > 0 ? 0 : -1;
}

static int open_pipe(struct bed *bed)
{
	return open_pair(bed, make_pipe);
}

static int through_pipe(const struct pair *pair, char *to, const char *from, size_t size)
{
	ssize_t wrote, got;

	for (; size; size -= wrote) {
		wrote = write(pair->in, from, size < pair->room ? size : pair->room);
		if (wrote <= 0)
			return -1;
		from += wrote;
		for (got = 0; got < wrote; ) {
			ssize_t part = read(pair->out, to, wrote - got);

			if (part <= 0)
				return -1;
			to += part;
			got += part;
		}
	}
	return 0;
}

static int round_pipe(struct bed *bed)
{
	unsigned int i;

	for (i = 0; i < bed->ops; i++)
		if (through_pipe(bed->path_data, bed->target + i * bed->size,
				 bed->source + i * bed->size, bed->size))
			return -1;
	return 0;
}

/* Files in memory: what a disk would add is not the copy's cost. */
static int make_files(struct bed *bed, struct pair *pair)
{
	size_t size = bed->ops * bed->size;

	pair->out = memfd_create("zcdma-bench-source", MFD_CLOEXEC);
	pair->in = memfd_create("zcdma-bench-target", MFD_CLOEXEC);
	if (pair->out < 0 || pair->in < 0 || ftruncate(pair->in, size))
		return -1;
	return write(pair->out, bed->source, size) == (ssize_t)size ? 0 : -1;
}

static int open_files(struct bed *bed)
{
	return open_pair(bed, make_files);
}

static int round_files(struct bed *bed)
{
	const struct pair *pair = bed->path_data;
	unsigned int i;

	for (i = 0; i < bed->ops; i++) {
		off_t from = i * bed->size, to = from;
		off_t end = from + bed->size;

		while (from < end)
			if (copy_file_range(pair->out, &from, pair->in, &to, end - from, 0) <= 0)
				return -1;
	}
	return 0;
}

static int fetch_files(struct bed *bed)
{
	const struct pair *pair = bed->path_data;
	size_t size = bed->ops * bed->size;

	return pread(pair->in, bed->target, size, 0) == (ssize_t)size ? 0 : -1;
}

/* The least that any way through the device can cost. */
static int round_null(struct bed *bed)
{
	int fd = zcdma_fd(bed->engine->session);
	unsigned int i;

	for (i = 0; i < bed->ops; i++)
		if (!ioctl(fd, _IO(ZCDMA_IOC_MAGIC, 0xff)) || errno != ENOTTY)
			return -1;
	return 0;
}

const struct path cpu_paths[] = {
	{
		.name = "memcpy",
		.what = "memcpy",
		.moves = true,
		.round = round_memcpy,
	}, {
		.name = "process_vm_writev",
		.what = "process_vm_writev to oneself",
		.moves = true,
		.round = round_process_vm,
	}, {
		.name = "pipe",
		.what = "pipe, write and read",
		.moves = true,
		.open = open_pipe,
		.round = round_pipe,
		.close = close_pair,
	}, {
		.name = "copy_file_range",
		.what = "copy_file_range, in tmpfs",
		.moves = true,
		.open = open_files,
		.round = round_files,
		.fetch = fetch_files,
		.close = close_pair,
	}, {
		.name = "null_ioctl",
		.what = "an ioctl that does nothing",
		.round = round_null,
	},
	{ 0 },
};
