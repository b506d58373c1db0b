// SPDX-License-Identifier: GPL-2.0
/* zcdma copy: a file, from page cache to page cache by an engine. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "file_job.h"

static const char help[] =
	"Usage: zcdma copy [OPTION...] SOURCE TARGET\n"
	"Copy the file SOURCE to TARGET by a DMA engine. TARGET is there when it is whole,\n"
	"or not at all.\n\n"
	FILE_JOB_HELP;

/* The job comes first: a pointer to it is one to this. */
struct copy {
	struct file_job job;
	const char *source;
	int fd;
	struct stat stat;
};

/* A source that became shorter explains any failure, and spoils any success. */
static int check_length(const struct copy *copy)
{
	struct stat now;

	if (fstat(copy->fd, &now))
		return complain("%s: %s", copy->source, strerror(errno));
	if (now.st_size >= copy->stat.st_size)
		return 0;
	return complain("%s: became shorter while it was copied", copy->source);
}

static int copy_move(struct file_job *job, void *memory, uint64_t offset, size_t len,
		     struct zcdma_completion *result)
{
	struct copy *copy = (struct copy *)job;
	void *source = mmap(NULL, len, PROT_READ, MAP_SHARED, copy->fd, offset);
	int ret, error;

	if (source == MAP_FAILED)
		return complain("%s: cannot be mapped: %s", copy->source, strerror(errno));
	ret = zcdma_copy(job->engine.session, memory, source, len, result);
	error = errno;
	munmap(source, len);
	if (check_length(copy))
		return -1;
	return ret ? engine_complain(&job->engine, copy->source, error) : 0;
}

static ssize_t read_all(int fd, char *buffer, size_t len, uint64_t offset)
{
	size_t have = 0;
	ssize_t got;

	while (have < len) {
		got = pread(fd, buffer + have, len - have, offset + have);
		if (got < 0)
			return -1;
		if (!got)
			break;
		have += got;
	}
	return have;
}

static int copy_compare(struct file_job *job, const void *read_back, uint64_t offset, size_t len)
{
	struct copy *copy = (struct copy *)job;
	char *buffer = malloc(len);
	ssize_t got = -1;
	int ret = 0;

	if (buffer)
		got = read_all(copy->fd, buffer, len, offset);
	if (got < 0)
		ret = complain("%s: %s", copy->source, strerror(errno));
	else if ((size_t)got < len)
		ret = check_length(copy);
	else if (memcmp(buffer, read_back, len))
		ret = complain("%s: differs from %s within the %zu bytes at %llu; is it in use?",
			       job->target.name, copy->source, len, (unsigned long long)offset);
	free(buffer);
	return ret;
}

static int open_source(struct copy *copy)
{
	char byte;

	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	copy->fd = open(copy->source, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (copy->fd < 0 || fstat(copy->fd, &copy->stat))
		return complain("%s: %s", copy->source, strerror(errno));
	if (S_ISDIR(copy->stat.st_mode))
		return complain("%s: is a directory; zcdma copies single files", copy->source);
	if (!S_ISREG(copy->stat.st_mode))
		return complain("%s: is not a regular file", copy->source);
	if (!copy->stat.st_size && read(copy->fd, &byte, 1) > 0)
		return complain("%s: does not tell its length, as files of /proc; use cp",
				copy->source);
	posix_fadvise(copy->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

static int run(struct copy *copy, const char *target)
{
	int ret = EXIT_FAILED;

	if (!open_source(copy) && !target_check(&copy->job.target, target, &copy->stat)) {
		copy->job.size = copy->stat.st_size;
		copy->job.mode = copy->stat.st_mode;
		ret = file_job_run(&copy->job);
	}
	if (copy->fd >= 0)
		close(copy->fd);
	return ret;
}

int copy_main(int argc, char **argv)
{
	static const struct option options[] = { FILE_JOB_OPTIONS, { 0 } };
	struct copy copy = {
		.job = { .done = "copied", .move = copy_move, .compare = copy_compare },
	};
	int option, ret;

	while ((option = getopt_long(argc, argv, FILE_JOB_SHORT_OPTIONS, options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		ret = file_job_option(&copy.job, option, optarg);
		if (ret)
			return ret;
	}
	if (argc - optind < 2)
		return complain_usage("%s is missing", argc == optind ? "SOURCE" : "TARGET");
	if (argc - optind > 2)
		return complain_usage("%s: superfluous argument", argv[optind + 2]);
	copy.source = argv[optind];
	return run(&copy, argv[optind + 1]);
}
