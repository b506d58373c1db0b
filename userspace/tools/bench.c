// SPDX-License-Identifier: GPL-2.0
/* zcdma bench: an engine's rate from memory to memory, beside that of memcpy(). */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common.h"
#include "engine.h"
#include "words.h"

static const char help[] =
	"Usage: zcdma bench [OPTION...]\n"
	"Copy memory to memory, by an engine and with memcpy() in turn, and compare their rates.\n"
	"Rates are those of the median round. CPU is the caller's share of one processor while\n"
	"the engine copies.\n\n"
	"  -s, --size SIZE[,SIZE...]  sizes of a copy; without it 4K,64K,1M,16M\n"
	"  -t, --time SECONDS         for each size; without it 1\n"
	"  -n, --count N              so many rounds for each size, however long it takes\n"
	"  -c, --channel NAME         by this channel, device or provider\n"
	"  -d, --deadline MS          give up when a part takes longer\n"
	"  -j, --json                 as a JSON object\n"
	"  -h, --help\n";

#define SIZES_MAX	16
#define ROUNDS_MIN	3u
#define ROUNDS_MAX	65536u

struct bench {
	struct engine engine;
	uint64_t sizes[SIZES_MAX];
	unsigned int size_count;
	double seconds;
	unsigned int rounds;	/* 0: as many as fit into the time */
	bool json;
};

/* What one size gave. Times are in seconds, one per round. */
struct result {
	size_t size;
	unsigned int rounds;
	double zcdma[ROUNDS_MAX];
	double memcpy[ROUNDS_MAX];
	double wall;
	double cpu;
	uint32_t flags;
};

/* Memory of one size: what is copied, and a target for each of the two. */
struct buffers {
	char *source;
	char *by_engine;
	char *by_memcpy;
};

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned int count)
{
	qsort(values, count, sizeof(*values), compare_doubles);
	return values[count / 2];
}

/* Bytes that differ from their neighbours, from page to page too. */
static void fill_pattern(char *buffer, size_t size)
{
	uint32_t state = 1;
	size_t i;

	for (i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		buffer[i] = state >> 24;
	}
}

static int round_by_engine(struct bench *bench, const struct buffers *buffers,
			   struct result *result)
{
	struct zcdma_completion completion;
	double cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	double wall = seconds(CLOCK_MONOTONIC);

	if (zcdma_copy(bench->engine.session, buffers->by_engine, buffers->source, result->size,
		       &completion))
		return engine_complain(&bench->engine, "memory", errno);
	result->zcdma[result->rounds] = seconds(CLOCK_MONOTONIC) - wall;
	result->wall += result->zcdma[result->rounds];
	result->cpu += seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
	result->flags |= completion.flags;
	return 0;
}

static void round_by_memcpy(const struct buffers *buffers, struct result *result)
{
	double wall = seconds(CLOCK_MONOTONIC);

	memcpy(buffers->by_memcpy, buffers->source, result->size);
	/* The compiler must not see that nobody looks. */
	__asm__ volatile("" : : "r"(buffers->by_memcpy) : "memory");
	result->memcpy[result->rounds] = seconds(CLOCK_MONOTONIC) - wall;
}

static bool enough(const struct bench *bench, const struct result *result, double started)
{
	if (bench->rounds)
		return result->rounds == bench->rounds;
	if (result->rounds == ROUNDS_MAX)
		return true;
	return result->rounds >= ROUNDS_MIN &&
	       seconds(CLOCK_MONOTONIC) - started >= bench->seconds;
}

static int measure(struct bench *bench, const struct buffers *buffers, struct result *result)
{
	double started;

	fill_pattern(buffers->source, result->size);
	memset(buffers->by_engine, 0, result->size);
	memset(buffers->by_memcpy, 0, result->size);

	/* The first one finds out how much to keep in flight; it does not count. */
	if (round_by_engine(bench, buffers, result))
		return -1;
	result->wall = 0;
	result->cpu = 0;
	memset(buffers->by_engine, 0, result->size);

	started = seconds(CLOCK_MONOTONIC);
	for (; !enough(bench, result, started); result->rounds++) {
		if (round_by_engine(bench, buffers, result))
			return -1;
		round_by_memcpy(buffers, result);
	}
	if (memcmp(buffers->by_engine, buffers->source, result->size))
		return complain("the copy of %zu bytes differs from its source", result->size);
	return 0;
}

static void print_result(struct result *result, bool json, bool first)
{
	double zcdma = result->size / median(result->zcdma, result->rounds);
	double by_memcpy = result->size / median(result->memcpy, result->rounds);
	char text[32];

	if (!json) {
		printf("%12s %7u %12.1f %13.1f %6.2f %12.1f %%\n", human_size(result->size, text),
		       result->rounds, zcdma / 1e6, by_memcpy / 1e6, zcdma / by_memcpy,
		       100 * result->cpu / result->wall);
		return;
	}
	printf("%s{\"size\": %zu, \"rounds\": %u", first ? "" : ",\n ", result->size,
	       result->rounds);
	printf(", \"zcdma_bytes_per_second\": %.0f, \"memcpy_bytes_per_second\": %.0f", zcdma,
	       by_memcpy);
	printf(", \"ratio\": %.3f, \"wall_seconds\": %.6f, \"cpu_seconds\": %.6f, \"moved_by\": ",
	       zcdma / by_memcpy, result->wall, result->cpu);
	words_json(&mover_words, result->flags & (ZCDMA_DONE_HARDWARE | ZCDMA_DONE_CPU));
	putchar('}');
}

static void print_head(const struct bench *bench)
{
	const struct zcdma_query_channel *channel = &bench->engine.channel;

	if (!bench->json) {
		printf("%s (%s), moved by %s\n", channel->out_name, channel->out_provider,
		       channel->out_caps & ZCDMA_CAP_HARDWARE ? "hardware" : "the CPU");
		printf("%12s %7s %12s %13s %6s %14s\n", "SIZE", "ROUNDS", "ZCDMA MB/s",
		       "MEMCPY MB/s", "RATIO", "CALLER'S CPU");
		return;
	}
	printf("{\"channel\": ");
	json_string(channel->out_name);
	printf(", \"provider\": ");
	json_string(channel->out_provider);
	printf(", \"results\":\n[");
}

static char *allocate(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int bench_size(struct bench *bench, size_t size, bool first)
{
	struct buffers buffers = { allocate(size), allocate(size), allocate(size) };
	struct result *result = calloc(1, sizeof(*result));
	int ret = -1;

	if (buffers.source && buffers.by_engine && buffers.by_memcpy && result) {
		result->size = size;
		ret = measure(bench, &buffers, result);
		if (!ret)
			print_result(result, bench->json, first);
	} else {
		complain("%zu bytes three times: %s", size, strerror(ENOMEM));
	}
	free(result);
	if (buffers.source)
		munmap(buffers.source, size);
	if (buffers.by_engine)
		munmap(buffers.by_engine, size);
	if (buffers.by_memcpy)
		munmap(buffers.by_memcpy, size);
	return ret;
}

static int run(struct bench *bench)
{
	unsigned int i;
	int ret = 0;

	if (engine_open(&bench->engine))
		return EXIT_FAILED;
	print_head(bench);
	for (i = 0; i < bench->size_count && !ret; i++)
		ret = bench_size(bench, bench->sizes[i], !i);
	if (bench->json)
		puts("]}");
	engine_close(&bench->engine);
	return ret ? EXIT_FAILED : EXIT_DONE;
}

static int set_sizes(struct bench *bench, char *list)
{
	char *size;

	bench->size_count = 0;
	for (size = strtok(list, ","); size; size = strtok(NULL, ",")) {
		if (bench->size_count == SIZES_MAX)
			return complain_usage("--size: at most %u at once", SIZES_MAX);
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
		if (!parse_number(argument, ROUNDS_MAX, &value) || !value)
			return complain_usage("--count: %s: not a number from 1 to %u", argument,
					      ROUNDS_MAX);
		bench->rounds = value;
		return EXIT_DONE;
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
		{ "channel", required_argument, NULL, 'c' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct bench bench = {
		.sizes = { 4 << 10, 64 << 10, 1 << 20, 16 << 20 },
		.size_count = 4,
		.seconds = 1,
	};
	int option, ret;

	while ((option = getopt_long(argc, argv, "s:t:n:c:d:jh", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		ret = set_option(&bench, option, optarg);
		if (ret)
			return ret;
	}
	if (optind != argc)
		return complain_usage("%s: superfluous argument", argv[optind]);
	return run(&bench);
}
