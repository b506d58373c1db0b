// SPDX-License-Identifier: GPL-2.0
/* What copy and fill have in common: a file is made by an engine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "file_job.h"
#include "progress.h"
#include "words.h"

/*
 * The file is mapped a window at a time, so it may be larger than memory and
 * than the address space. A window small at first and then larger lets the
 * progress bar of a slow engine move, and keeps a fast one busy.
 */
#define WINDOW_FIRST	((size_t)1 << 20)
#define WINDOW_MAX	((size_t)16 << 20)
#define WINDOW_SECONDS	0.1

#define READ_BACK	((size_t)1 << 20)

int file_job_option(struct file_job *job, int option, const char *argument)
{
	switch (option) {
	case 'c':
		return engine_set_channel(&job->engine, argument);
	case 'd':
		return engine_set_deadline(&job->engine, argument);
	case 'f':
		job->target.force = true;
		return EXIT_DONE;
	case 'v':
		job->verify = true;
		return EXIT_DONE;
	case 'q':
		job->quiet = true;
		return EXIT_DONE;
	case 'j':
		job->json = true;
		return EXIT_DONE;
	default:
		return EXIT_USAGE;
	}
}

static int move_window(struct file_job *job, uint64_t offset, size_t len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, job->target.fd, offset);
	struct zcdma_completion result = { 0 };
	int ret;

	if (memory == MAP_FAILED)
		return complain("%s: cannot be mapped: %s", job->target.name, strerror(errno));
	ret = job->move(job, memory, offset, len, &result);
	munmap(memory, len);
	job->flags |= result.flags;
	return ret;
}

static int move_all(struct file_job *job)
{
	double start = seconds(CLOCK_MONOTONIC), before = start, after;
	size_t window = WINDOW_FIRST;
	uint64_t offset, len;

	progress_start("moving", job->size, job->quiet || job->json);
	for (offset = 0; offset < job->size; offset += len) {
		len = job->size - offset < window ? job->size - offset : window;
		if (move_window(job, offset, len))
			return -1;
		progress_update(offset + len);
		after = seconds(CLOCK_MONOTONIC);
		if (after - before < WINDOW_SECONDS && window < WINDOW_MAX)
			window *= 2;
		before = after;
	}
	job->seconds = seconds(CLOCK_MONOTONIC) - start;
	progress_clear();
	return 0;
}

/* With read() and the CPU: another way than the one by which the bytes came. */
static int verify_with(struct file_job *job, char *buffer)
{
	uint64_t offset;
	ssize_t got;

	progress_start("verifying", job->size, job->quiet || job->json);
	for (offset = 0; offset < job->size; offset += got) {
		got = pread(job->target.fd, buffer, READ_BACK, offset);
		if (got <= 0)
			return complain("%s: cannot be read back: %s", job->target.name,
					got ? strerror(errno) : "it became shorter");
		if (job->compare(job, buffer, offset, got))
			return -1;
		progress_update(offset + got);
	}
	progress_clear();
	return 0;
}

static int verify(struct file_job *job)
{
	char *buffer = malloc(READ_BACK);
	int ret;

	if (!buffer)
		return complain("%s: %s", job->target.name, strerror(ENOMEM));
	ret = verify_with(job, buffer);
	free(buffer);
	return ret;
}

static const char *mover(uint32_t flags)
{
	if (flags & ZCDMA_DONE_HARDWARE)
		return flags & ZCDMA_DONE_CPU ? "hardware and the CPU" : "hardware";
	return flags & ZCDMA_DONE_CPU ? "the CPU" : "nobody";
}

static void print_summary(const struct file_job *job, double rate)
{
	char text[32];

	printf("%s %llu bytes (%s) through %s (%s) ", job->done, (unsigned long long)job->size,
	       human_size(job->size, text), job->engine.channel.out_name,
	       job->engine.channel.out_provider);
	printf("in %.3f s, %.*f MB/s, moved by %s, %s\n", job->seconds, rate < 1e6 ? 3 : 1,
	       rate / 1e6, mover(job->flags), job->verify ? "verified" : "not verified");
}

static void json_summary(struct file_job *job, double rate)
{
	printf("{\"bytes\": %llu, \"channel\": ", (unsigned long long)job->size);
	json_string(job->engine.channel.out_name);
	printf(", \"provider\": ");
	json_string(job->engine.channel.out_provider);
	printf(", \"seconds\": %.6f, \"bytes_per_second\": %.0f", job->seconds, rate);
	printf(", \"moved_by\": ");
	words_json(&mover_words, job->flags & (ZCDMA_DONE_HARDWARE | ZCDMA_DONE_CPU));
	printf(", \"verified\": %s", job->verify ? "true" : "false");
	if (job->summary)
		job->summary(job);
	puts("}");
}

static void summarize(struct file_job *job)
{
	double rate = job->seconds > 0 ? job->size / job->seconds : 0;

	if (job->json)
		json_summary(job, rate);
	else if (!job->quiet)
		print_summary(job, rate);
}

static int make(struct file_job *job)
{
	if (target_create(&job->target, job->size) || move_all(job))
		return -1;
	if (job->verify && verify(job))
		return -1;
	return target_commit(&job->target, job->mode);
}

int file_job_run(struct file_job *job)
{
	int ret = engine_open(&job->engine);

	if (!ret) {
		ret = make(job);
		engine_close(&job->engine);
	}
	target_discard(&job->target);
	if (ret)
		return EXIT_FAILED;
	summarize(job);
	return EXIT_DONE;
}
