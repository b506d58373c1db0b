// SPDX-License-Identifier: GPL-2.0
/* zcdma fill: a file of one repeated byte, made by an engine. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "common.h"
#include "file_job.h"

static const char help[] =
	"Usage: zcdma fill [OPTION...] --length SIZE FILE\n"
	"Make FILE, of one repeated byte, by a DMA engine. FILE is there when it is whole,\n"
	"or not at all.\n\n"
	"  -l, --length SIZE    make it so long; K, M, G, T are powers of 1024\n"
	"  -b, --byte N         of this byte, 0 to 255 or 0x00 to 0xff; without it 0\n"
	FILE_JOB_HELP;

/* The job comes first: a pointer to it is one to this. */
struct fill {
	struct file_job job;
	uint8_t byte;
	bool have_length;
};

static int fill_move(struct file_job *job, void *memory, uint64_t offset, size_t len,
		     struct zcdma_completion *result)
{
	struct fill *fill = (struct fill *)job;

	(void)offset;
	if (zcdma_fill(job->engine.session, memory, fill->byte, len, result))
		return engine_complain(&job->engine, job->target.name, errno);
	return 0;
}

static int fill_compare(struct file_job *job, const void *read_back, uint64_t offset, size_t len)
{
	struct fill *fill = (struct fill *)job;
	const uint8_t *bytes = read_back;

	/* Equal to the byte, and each to its neighbour. */
	if (bytes[0] == fill->byte && !memcmp(bytes, bytes + 1, len - 1))
		return 0;
	return complain("%s: is not all 0x%02x within the %zu bytes at %llu", job->target.name,
			fill->byte, len, (unsigned long long)offset);
}

static void fill_summary(struct file_job *job)
{
	printf(", \"byte\": %u", ((struct fill *)job)->byte);
}

static int set_option(struct fill *fill, int option, const char *argument)
{
	uint64_t value;

	switch (option) {
	case 'l':
		if (!parse_size(argument, &fill->job.size))
			return complain_usage("--length: %s: not a size", argument);
		fill->have_length = true;
		return EXIT_DONE;
	case 'b':
		if (!parse_number(argument, UINT8_MAX, &value))
			return complain_usage("--byte: %s: not a number from 0 to 255", argument);
		fill->byte = value;
		return EXIT_DONE;
	default:
		return file_job_option(&fill->job, option, argument);
	}
}

int fill_main(int argc, char **argv)
{
	static const struct option options[] = {
		FILE_JOB_OPTIONS,
		{ "length", required_argument, NULL, 'l' },
		{ "byte", required_argument, NULL, 'b' },
		{ 0 },
	};
	struct fill fill = {
		.job = {
			.done = "filled",
			.mode = 0666,
			.move = fill_move,
			.compare = fill_compare,
			.summary = fill_summary,
		},
	};
	int option, ret;

	while ((option = getopt_long(argc, argv, FILE_JOB_SHORT_OPTIONS "l:b:", options,
				     NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		ret = set_option(&fill, option, optarg);
		if (ret)
			return ret;
	}
	if (argc == optind)
		return complain_usage("FILE is missing");
	if (argc - optind > 1)
		return complain_usage("%s: superfluous argument", argv[optind + 1]);
	if (!fill.have_length)
		return complain_usage("--length is missing");
	if (target_check(&fill.job.target, argv[optind], NULL))
		return EXIT_FAILED;
	return file_job_run(&fill.job);
}
