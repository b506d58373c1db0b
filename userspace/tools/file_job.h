/* SPDX-License-Identifier: GPL-2.0 */
/* What copy and fill have in common: a file is made by an engine. */
#ifndef ZCDMA_FILE_JOB_H
#define ZCDMA_FILE_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine.h"
#include "target.h"

/**
 * struct file_job - one file to be made
 * @engine: makes it.
 * @target: is made.
 * @verify: read it back.
 * @quiet: neither progress nor summary.
 * @json: summary as JSON, no progress.
 * @done: what was done, for the summary: "copied".
 * @size: bytes that it will have.
 * @mode: permissions that it will have, less the umask.
 * @move: let the engine make @len bytes in @memory, which are those of the
 *	target from @offset on. Returns 0, or -1 after telling why not.
 * @compare: are the @len bytes at @offset, read back, what they must be?
 *	Returns 0, or -1 after telling why not.
 * @summary: more members for the summary in JSON, each with ", " before it; may
 *	be NULL.
 * @flags: what moved the bytes, bits of enum zcdma_done_flags.
 * @seconds: the moving took.
 */
struct file_job {
	struct engine engine;
	struct target target;
	bool verify;
	bool quiet;
	bool json;
	const char *done;
	uint64_t size;
	mode_t mode;
	int (*move)(struct file_job *job, void *memory, uint64_t offset, size_t len,
		    struct zcdma_completion *result);
	int (*compare)(struct file_job *job, const void *read_back, uint64_t offset, size_t len);
	void (*summary)(struct file_job *job);
	uint32_t flags;
	double seconds;
};

/* The options that both take: for getopt_long(), for --help. */
#define FILE_JOB_SHORT_OPTIONS	"c:d:fvqjh"
#define FILE_JOB_OPTIONS					\
	[0] = { "channel", required_argument, NULL, 'c' },		\
	{ "deadline", required_argument, NULL, 'd' },		\
	{ "force", no_argument, NULL, 'f' },			\
	{ "verify", no_argument, NULL, 'v' },			\
	{ "quiet", no_argument, NULL, 'q' },			\
	{ "json", no_argument, NULL, 'j' },			\
	{ "help", no_argument, NULL, 'h' }
#define FILE_JOB_HELP								\
	"  -c, --channel NAME   by this channel, device or provider\n"		\
	"  -d, --deadline MS    give up when a part takes longer\n"		\
	"  -f, --force          replace the target if it exists\n"		\
	"  -v, --verify         read the target back and compare\n"		\
	"  -q, --quiet          no progress bar, no summary\n"			\
	"  -j, --json           summary as a JSON object\n"			\
	"  -h, --help\n"

/* Take one of them. Returns 0 or the exit code. */
int file_job_option(struct file_job *job, int option, const char *argument);

/* Do it; target_check() was called. Returns the exit code. */
int file_job_run(struct file_job *job);

#endif /* ZCDMA_FILE_JOB_H */
