// SPDX-License-Identifier: GPL-2.0
/* zcdma bench --path: what an op costs, by each of several ways. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "common.h"
#include "path.h"

/* Memory of a round. Above 2 MiB per op, a batch is of fewer than 32. */
#define WINDOW_MAX	((size_t)64 << 20)

static int path_complain(const struct bed *bed, const struct path *path)
{
	char size[32];

	return complain("%s: %u ops of %s: %s", path->name, bed->ops, human_size(bed->size, size),
			strerror(errno));
}

/* The path is open. */
static int measure(const struct bench *bench, struct bed *bed, const struct path *path,
		   struct path_result *result)
{
	unsigned int i;

	memset(bed->target, 0, bed->ops * bed->size);
	/* What is done once, such as allocating, is not an op's cost. */
	for (i = 0; i < 3; i++)
		if (path->round(bed))
			return path_complain(bed, path);
	memset(bed->target, 0, bed->ops * bed->size);

	if (path_rounds(bench, bed, path, result) || (path->fetch && path->fetch(bed)))
		return path_complain(bed, path);
	if (path->moves && memcmp(bed->target, bed->source, bed->ops * bed->size))
		return complain("%s: what arrived differs from its source", path->name);
	return 0;
}

static void print_measured(const struct bench *bench, const struct bed *bed,
			   const struct path *path, struct path_result *result)
{
	double each = bench_median(result->round, result->rounds) / bed->ops;
	double cpu = result->cpu / result->rounds / bed->ops;
	double rate = path->moves ? bed->size / each : 0;
	static bool more;
	char text[32];

	if (!bench->json) {
		printf("%-38s %12s %8u %14.1f %14.1f %10.1f\n", path->what,
		       human_size(bed->size, text), result->rounds * bed->ops, each * 1e9,
		       cpu * 1e9, rate / 1e6);
		return;
	}
	printf("%s{\"path\": \"%s\", \"size\": %zu, \"rounds\": %u, \"ops_per_round\": %u",
	       more ? ",\n " : "", path->name, bed->size, result->rounds, bed->ops);
	printf(", \"ns_per_op\": %.1f, \"cpu_ns_per_op\": %.1f, \"bytes_per_second\": %.0f}",
	       each * 1e9, cpu * 1e9, rate);
	more = true;
}

static bool is_wanted(const struct bench *bench, const struct path *path)
{
	unsigned int i;

	for (i = 0; i < bench->path_count; i++)
		if (!strcmp(bench->paths[i], path->name) || !strcmp(bench->paths[i], "all"))
			return true;
	return false;
}

/* Those of the list that are wanted. What this machine lacks is told and left out. */
static int measure_paths(const struct bench *bench, struct bed *bed, const struct path *path,
			 struct path_result *result)
{
	int ret = 0;

	for (; path->name && !ret; path++) {
		if (!is_wanted(bench, path))
			continue;
		bed->path_data = NULL;
		if (path->open && path->open(bed)) {
			ret = errno == ENOTSUP ? 0 : -1;
			path_complain(bed, path);
			continue;
		}
		ret = measure(bench, bed, path, result);
		if (path->close)
			path->close(bed);
		if (!ret)
			print_measured(bench, bed, path, result);
	}
	return ret;
}

static int measure_size(struct bench *bench, size_t size, struct path_result *result)
{
	struct bed bed = { .engine = &bench->engine, .size = size };
	size_t window, room;
	int ret = -1;

	bed.ops = size * PATH_BATCH <= WINDOW_MAX ? PATH_BATCH : WINDOW_MAX / size;
	if (!bed.ops)
		bed.ops = 1;
	window = bed.ops * size;
	room = (window + BENCH_HUGE_PAGE - 1) & -BENCH_HUGE_PAGE;
	bed.source = bench_allocate_huge(room);
	bed.target = bench_allocate_huge(room);
	if (bed.source && bed.target) {
		bench_fill(bed.source, window);
		ret = measure_paths(bench, &bed, engine_paths, result);
		if (!ret)
			ret = measure_paths(bench, &bed, cpu_paths, result);
	} else {
		complain("%zu bytes twice: %s", window, strerror(ENOMEM));
	}
	bench_free(bed.source, room);
	bench_free(bed.target, room);
	return ret;
}

int bench_paths(struct bench *bench)
{
	struct path_result *result = calloc(1, sizeof(*result));
	unsigned int i;
	int ret = 0;

	if (!result)
		return complain("%s", strerror(ENOMEM));
	bench_head(bench);
	if (!bench->json)
		printf("%-38s %12s %8s %14s %14s %10s\n", "PATH", "SIZE", "OPS", "NS PER OP",
		       "OF THEM CPU", "MB/s");
	for (i = 0; i < bench->size_count && !ret; i++)
		ret = measure_size(bench, bench->sizes[i], result);
	if (bench->json)
		puts("]}");
	free(result);
	return ret;
}
