/* SPDX-License-Identifier: GPL-2.0 */
/* Ways to get bytes from here to there, to be measured beside each other. */
#ifndef ZCDMA_PATH_H
#define ZCDMA_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "bench.h"

/* Ops that the paths with a batch hand over at once. */
#define PATH_BATCH	32

/**
 * struct bed - what a path works on: ops of one size in a window of memory
 * @engine: attached.
 * @size: of an op, in bytes.
 * @ops: in a round; those of a batch. Op N works on the N-th @size bytes.
 * @source: @ops * @size bytes; what is copied.
 * @target: as many.
 * @path_data: the open path's own.
 */
struct bed {
	struct engine *engine;
	size_t size;
	unsigned int ops;
	char *source;
	char *target;
	void *path_data;
};

/**
 * struct path - one way
 * @name: for options and JSON.
 * @what: for people.
 * @moves: whether bytes arrive at all.
 * @open: prepare; may be NULL. Returns 0, or -1 with errno: ENOTSUP when this
 *	machine does not have this way.
 * @round: do @ops of the bed, to the end. Returns 0, or -1 with errno.
 * @fetch: put what arrived into the bed's target; NULL: it is there.
 * @close: undo @open; may be NULL.
 */
struct path {
	const char *name;
	const char *what;
	bool moves;
	int (*open)(struct bed *bed);
	int (*round)(struct bed *bed);
	int (*fetch)(struct bed *bed);
	void (*close)(struct bed *bed);
};

/* What a way gave for one size: the seconds that each round took, and all together. */
struct path_result {
	unsigned int rounds;
	double round[BENCH_ROUNDS_MAX];
	double wall;
	double cpu;
};

/* Through an engine, and by the CPU. Each list ends with one that has no name. */
extern const struct path engine_paths[];
extern const struct path cpu_paths[];

/* What is submitted in a round, made beforehand; and buffers, or 0. */
struct batch {
	struct zcdma_op ops[PATH_BATCH];
	struct zcdma_completion completions[PATH_BATCH];
	int source;
	int target;
};

/* The bed's ops as a batch on registered memory, in @path_data. */
int path_open_registered(struct bed *bed);
void path_close_registered(struct bed *bed);

/* The same batch by io_uring; ENOTSUP where the tool was built without liburing. */
int path_open_uring(struct bed *bed);
int path_round_uring(struct bed *bed);
void path_close_uring(struct bed *bed);

/* The way of a name, or NULL. */
const struct path *path_find(const char *name);

/*
 * Do as many rounds as @bench asks for. The path is open. Returns 0, or -1 with errno.
 * (qemu/bench --where finds this function, and bench_median(), by name.)
 */
int path_rounds(const struct bench *bench, struct bed *bed, const struct path *path,
		struct path_result *result);

#endif /* ZCDMA_PATH_H */
