// SPDX-License-Identifier: GPL-2.0
/* zcdma bench: what a copy costs, through an engine and otherwise. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "common.h"
#include "path.h"

static const char help[] =
	"Usage: zcdma bench [OPTION...]\n"
	"Copy memory to memory, by an engine and with memcpy() in turn, and compare their rates.\n"
	"Rates are those of the median round. CPU is the caller's share of one processor while\n"
	"the engine copies. Or, see zcdma(1):\n\n"
	"  -p, --path NAME[,NAME...]  what an op costs by each of these ways, or by \"all\"\n"
	"  -o, --overlap              what it saves to compute while a copy runs\n"
	"  -f, --fairness             what small ops get beside a session with many large ones\n"
	"  -m, --memory               what sessions and ops cost the kernel\n\n"
	"  -s, --size SIZE[,SIZE...]  sizes of a copy; without it 4K,64K,1M,16M or, with\n"
	"                             --overlap, 1M\n"
	"  -t, --time SECONDS         for each size; without it 1\n"
	"  -n, --count N              so many rounds for each size, however long it takes\n"
	"  -c, --channel NAME         by this channel, device or provider\n"
	"  -d, --deadline MS          give up when a part takes longer\n"
	"  -j, --json                 as a JSON object\n"
	"  -h, --help\n";

static const uint64_t usual_sizes[] = { 4 << 10, 64 << 10, 1 << 20, 16 << 20, 0 };
static const uint64_t overlap_sizes[] = { 1 << 20, 0 };

static const struct bench_kind versus = {
	.sizes = usual_sizes, .rounds = true, .timed = true, .run = bench_versus,
};

static const struct bench_kind by_path = {
	.option = "path", .sizes = usual_sizes, .rounds = true, .timed = true,
	.run = bench_paths,
};

static const struct bench_kind by_overlap = {
	.option = "overlap", .sizes = overlap_sizes, .rounds = true, .timed = true,
	.run = bench_overlap,
};

static const struct bench_kind by_fairness = {
	.option = "fairness", .timed = true, .run = bench_fairness,
};

static const struct bench_kind by_memory = {
	.option = "memory", .run = bench_memory,
};

static int run(struct bench *bench)
{
	int ret;

	if (engine_open(&bench->engine))
		return EXIT_FAILED;
	ret = bench->kind->run(bench);
	engine_close(&bench->engine);
	return ret ? EXIT_FAILED : EXIT_DONE;
}

/* There is one table at a time. */
static int set_kind(struct bench *bench, const struct bench_kind *kind)
{
	if (bench->kind && bench->kind != kind)
		return complain_usage("--%s: not with --%s", kind->option, bench->kind->option);
	bench->kind = kind;
	return EXIT_DONE;
}

/* What was not given, and what the kind has no use for. */
static int complete(struct bench *bench, bool timed)
{
	const uint64_t *size;

	if (!bench->kind)
		bench->kind = &versus;
	if (bench->size_count && !bench->kind->sizes)
		return complain_usage("--size: not with --%s", bench->kind->option);
	if (bench->rounds && !bench->kind->rounds)
		return complain_usage("--count: not with --%s", bench->kind->option);
	if (timed && !bench->kind->timed)
		return complain_usage("--time: not with --%s", bench->kind->option);
	if (!bench->size_count)
		for (size = bench->kind->sizes; size && *size; size++)
			bench->sizes[bench->size_count++] = *size;
	return EXIT_DONE;
}

/* Take --path's argument. */
static int set_paths(struct bench *bench, char *list)
{
	char *name;

	bench->path_count = 0;
	for (name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		if (bench->path_count == BENCH_PATHS_MAX)
			return complain_usage("--path: at most %u at once", BENCH_PATHS_MAX);
		if (strcmp(name, "all") && !path_find(name))
			return complain_usage("--path: %s: no such way; see zcdma(1)", name);
		bench->paths[bench->path_count++] = name;
	}
	return bench->path_count ? set_kind(bench, &by_path) :
				   complain_usage("--path: none given");
}

static int set_sizes(struct bench *bench, char *list)
{
	char *size;

	bench->size_count = 0;
	for (size = strtok(list, ","); size; size = strtok(NULL, ",")) {
		if (bench->size_count == BENCH_SIZES_MAX)
			return complain_usage("--size: at most %u at once", BENCH_SIZES_MAX);
		if (!parse_size(size, &bench->sizes[bench->size_count]) ||
		    !bench->sizes[bench->size_count] ||
		    bench->sizes[bench->size_count] > SIZE_MAX / 4)
			return complain_usage("--size: %s: not a size", size);
		bench->size_count++;
	}
	return bench->size_count ? EXIT_DONE : complain_usage("--size: none given");
}

static int set_option(struct bench *bench, int option, char *argument)
{
	uint64_t value;
	char *end;

	switch (option) {
	case 's':
		return set_sizes(bench, argument);
	case 't':
		bench->seconds = strtod(argument, &end);
		if (end == argument || *end || !(bench->seconds > 0 && bench->seconds <= 86400))
			return complain_usage("--time: %s: not a number of seconds", argument);
		return EXIT_DONE;
	case 'n':
		if (!parse_number(argument, BENCH_ROUNDS_MAX, &value) || !value)
			return complain_usage("--count: %s: not a number from 1 to %u", argument,
					      BENCH_ROUNDS_MAX);
		bench->rounds = value;
		return EXIT_DONE;
	case 'p':
		return set_paths(bench, argument);
	case 'o':
		return set_kind(bench, &by_overlap);
	case 'f':
		return set_kind(bench, &by_fairness);
	case 'm':
		return set_kind(bench, &by_memory);
	case 'c':
		return engine_set_channel(&bench->engine, argument);
	case 'd':
		return engine_set_deadline(&bench->engine, argument);
	case 'j':
		bench->json = true;
		return EXIT_DONE;
	default:
		return EXIT_USAGE;
	}
}

int bench_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "time", required_argument, NULL, 't' },
		{ "count", required_argument, NULL, 'n' },
		{ "path", required_argument, NULL, 'p' },
		{ "overlap", no_argument, NULL, 'o' },
		{ "fairness", no_argument, NULL, 'f' },
		{ "memory", no_argument, NULL, 'm' },
		{ "channel", required_argument, NULL, 'c' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct bench bench = { .seconds = 1 };
	bool timed = false;
	int option, ret;

	while ((option = getopt_long(argc, argv, "s:t:n:p:ofmc:d:jh", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		timed |= option == 't';
		ret = set_option(&bench, option, optarg);
		if (ret)
			return ret;
	}
	if (optind != argc)
		return complain_usage("%s: superfluous argument", argv[optind]);
	ret = complete(&bench, timed);
	return ret ? ret : run(&bench);
}
