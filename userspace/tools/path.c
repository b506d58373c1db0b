// SPDX-License-Identifier: GPL-2.0
/* A way is found, and run round after round. */
#include <string.h>
#include <time.h>

#include "bench.h"
#include "common.h"
#include "path.h"

static const struct path *find_in(const struct path *paths, const char *name)
{
	for (; paths->name; paths++)
		if (!strcmp(paths->name, name))
			return paths;
	return NULL;
}

const struct path *path_find(const char *name)
{
	const struct path *path = find_in(engine_paths, name);

	return path ? path : find_in(cpu_paths, name);
}

int path_rounds(const struct bench *bench, struct bed *bed, const struct path *path,
		struct path_result *result)
{
	double started = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	double before, after = started;

	result->rounds = 0;
	for (; !bench_enough(bench, result->rounds, started); result->rounds++) {
		before = seconds(CLOCK_MONOTONIC);
		if (path->round(bed))
			return -1;
		after = seconds(CLOCK_MONOTONIC);
		result->round[result->rounds] = after - before;
	}
	result->wall = after - started;
	result->cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
	return 0;
}
