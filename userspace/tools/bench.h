/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of zcdma bench share. */
#ifndef ZCDMA_BENCH_H
#define ZCDMA_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"

#define BENCH_SIZES_MAX		16u
#define BENCH_PATHS_MAX		16u
#define BENCH_ROUNDS_MIN	3u
#define BENCH_ROUNDS_MAX	65536u

/**
 * struct bench - what to measure
 * @engine: with which channel.
 * @kind: which table.
 * @sizes: of an op, in bytes.
 * @size_count: how many @sizes; 0: as @kind likes.
 * @paths: names of ways, or "all".
 * @path_count: how many @paths.
 * @seconds: how long, for each size and way.
 * @rounds: how often; 0: as often as fits into @seconds.
 * @json: how to print.
 */
struct bench {
	struct engine engine;
	const struct bench_kind *kind;
	uint64_t sizes[BENCH_SIZES_MAX];
	unsigned int size_count;
	const char *paths[BENCH_PATHS_MAX];
	unsigned int path_count;
	double seconds;
	unsigned int rounds;
	bool json;
};

/**
 * struct bench_kind - what is measured
 * @option: that asks for it.
 * @sizes: without --size, up to a 0; NULL: --size says nothing here.
 * @rounds: whether it goes by rounds, which --count may limit.
 * @timed: whether --time says how long.
 * @run: print the table. Returns 0, or -1 after telling what failed.
 */
struct bench_kind {
	const char *option;
	const uint64_t *sizes;
	bool rounds;
	bool timed;
	int (*run)(struct bench *bench);
};

int bench_versus(struct bench *bench);
int bench_paths(struct bench *bench);
int bench_overlap(struct bench *bench);
int bench_fairness(struct bench *bench);
int bench_memory(struct bench *bench);

/* What channel it is, and the beginning of "results" in JSON. */
void bench_head(const struct bench *bench);

/* Have there been enough rounds since @started? */
bool bench_enough(const struct bench *bench, unsigned int rounds, double started);

/* Sorts @values. */
double bench_median(double *values, unsigned int count);

/* Memory to copy, or NULL, which can be freed as well. And something to copy. */
char *bench_allocate(size_t size);

/*
 * The same in huge pages, where there are such, so that nothing depends on which small
 * pages the kernel has left; @size is a multiple of theirs.
 */
#define BENCH_HUGE_PAGE		((size_t)2 << 20)
char *bench_allocate_huge(size_t size);

void bench_free(char *memory, size_t size);
void bench_fill(char *buffer, size_t size);

#endif /* ZCDMA_BENCH_H */
