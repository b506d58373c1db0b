// SPDX-License-Identifier: GPL-2.0
/* zcdma bench: an engine's rate from memory to memory, beside that of memcpy(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "common.h"
#include "words.h"

/* What one size gave. Times are in seconds, one per round. */
struct result {
	size_t size;
	unsigned int rounds;
	double zcdma[BENCH_ROUNDS_MAX];
	double memcpy[BENCH_ROUNDS_MAX];
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

static int measure(struct bench *bench, const struct buffers *buffers, struct result *result)
{
	double started;

	bench_fill(buffers->source, result->size);
	memset(buffers->by_engine, 0, result->size);
	memset(buffers->by_memcpy, 0, result->size);

	/* The first one finds out how much to keep in flight; it does not count. */
	if (round_by_engine(bench, buffers, result))
		return -1;
	result->wall = 0;
	result->cpu = 0;
	memset(buffers->by_engine, 0, result->size);

	started = seconds(CLOCK_MONOTONIC);
	for (; !bench_enough(bench, result->rounds, started); result->rounds++) {
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
	double zcdma = result->size / bench_median(result->zcdma, result->rounds);
	double by_memcpy = result->size / bench_median(result->memcpy, result->rounds);
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

static int bench_size(struct bench *bench, size_t size, bool first)
{
	struct buffers buffers = {
		.source = bench_allocate(size),
		.by_engine = bench_allocate(size),
		.by_memcpy = bench_allocate(size),
	};
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
	bench_free(buffers.source, size);
	bench_free(buffers.by_engine, size);
	bench_free(buffers.by_memcpy, size);
	return ret;
}

int bench_versus(struct bench *bench)
{
	unsigned int i;
	int ret = 0;

	bench_head(bench);
	if (!bench->json)
		printf("%12s %7s %12s %13s %6s %14s\n", "SIZE", "ROUNDS", "ZCDMA MB/s",
		       "MEMCPY MB/s", "RATIO", "CALLER'S CPU");
	for (i = 0; i < bench->size_count && !ret; i++)
		ret = bench_size(bench, bench->sizes[i], !i);
	if (bench->json)
		puts("]}");
	return ret;
}
