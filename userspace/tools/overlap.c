// SPDX-License-Identifier: GPL-2.0
/* zcdma bench --overlap: what it saves to compute while a copy runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "common.h"

/* The work that is computed is made as long as the copy takes, to a 64th. */
#define PRECISION	64
#define CALIBRATIONS	9

/**
 * struct overlap - a copy, and work of the same length
 * @bench: how to measure.
 * @size: of the copy, in bytes.
 * @op: the copy, on registered memory.
 * @loops: of compute().
 * @rounds: measured so far.
 * @copy: seconds of each round's copy, when it is waited for.
 * @compute: of its work.
 * @in_turn: of the one and then the other.
 * @together: of both, the work while the copy runs.
 */
struct overlap {
	const struct bench *bench;
	size_t size;
	struct zcdma_op op;
	unsigned long loops;
	unsigned int rounds;
	double copy[BENCH_ROUNDS_MAX];
	double compute[BENCH_ROUNDS_MAX];
	double in_turn[BENCH_ROUNDS_MAX];
	double together[BENCH_ROUNDS_MAX];
};

/* Each step needs the one before; memory is left to the engine. */
static void compute(unsigned long loops)
{
	uint64_t state = 1;

	while (loops--) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		/* The compiler must not see that nobody looks. */
		__asm__ volatile("" : "+r"(state));
	}
}

static int begin_copy(const struct overlap *overlap)
{
	const struct engine *engine = &overlap->bench->engine;

	return zcdma_submit(engine->session, &overlap->op, 1, NULL) ?
	       engine_complain(engine, "memory", errno) : 0;
}

static int await_copy(const struct overlap *overlap)
{
	const struct engine *engine = &overlap->bench->engine;
	struct zcdma_completion done;

	if (zcdma_reap(engine->session, &done, 1, -1) != 1)
		return engine_complain(engine, "memory", errno);
	return done.res ? engine_complain(engine, "memory", -done.res) : 0;
}

static int round_in_turn(struct overlap *overlap)
{
	double began = seconds(CLOCK_MONOTONIC), between;

	if (begin_copy(overlap) || await_copy(overlap))
		return -1;
	between = seconds(CLOCK_MONOTONIC);
	compute(overlap->loops);
	overlap->in_turn[overlap->rounds] = seconds(CLOCK_MONOTONIC) - began;
	overlap->copy[overlap->rounds] = between - began;
	overlap->compute[overlap->rounds] = overlap->in_turn[overlap->rounds] - (between - began);
	return 0;
}

static int round_together(struct overlap *overlap)
{
	double began = seconds(CLOCK_MONOTONIC);

	if (begin_copy(overlap))
		return -1;
	compute(overlap->loops);
	if (await_copy(overlap))
		return -1;
	overlap->together[overlap->rounds] = seconds(CLOCK_MONOTONIC) - began;
	return 0;
}

/* The median time of a few copies, and of the work as it is now. */
static int probe(struct overlap *overlap, double *copy, double *work)
{
	for (overlap->rounds = 0; overlap->rounds < CALIBRATIONS; overlap->rounds++)
		if (round_in_turn(overlap))
			return -1;
	*copy = bench_median(overlap->copy, overlap->rounds);
	*work = bench_median(overlap->compute, overlap->rounds);
	overlap->rounds = 0;
	return 0;
}

/* Find out how much work takes as long as the copy. */
static int calibrate(struct overlap *overlap)
{
	double copy, work;
	int tries;

	overlap->loops = 1024;
	for (tries = 0; tries < 8; tries++) {
		if (probe(overlap, &copy, &work))
			return -1;
		if (work * (PRECISION - 1) < copy * PRECISION &&
		    copy * (PRECISION - 1) < work * PRECISION)
			break;
		/* A clock that is too coarse to see the work. */
		overlap->loops = work > 0 ? overlap->loops * (copy / work) + 1 :
				 overlap->loops * 16;
	}
	return 0;
}

static int measure(struct overlap *overlap)
{
	double started;

	if (calibrate(overlap))
		return -1;
	started = seconds(CLOCK_MONOTONIC);
	for (; !bench_enough(overlap->bench, overlap->rounds, started); overlap->rounds++)
		if (round_in_turn(overlap) || round_together(overlap))
			return -1;
	return 0;
}

static void print_result(struct overlap *overlap)
{
	double copy = bench_median(overlap->copy, overlap->rounds);
	double work = bench_median(overlap->compute, overlap->rounds);
	double in_turn = bench_median(overlap->in_turn, overlap->rounds);
	double together = bench_median(overlap->together, overlap->rounds);
	static bool more;
	char text[32];

	if (!overlap->bench->json) {
		printf("%12s %7u %12.1f %12.1f %12.1f %12.1f %8.3f\n",
		       human_size(overlap->size, text), overlap->rounds, copy * 1e6, work * 1e6,
		       in_turn * 1e6, together * 1e6, together / in_turn);
		return;
	}
	printf("%s{\"size\": %zu, \"rounds\": %u", more ? ",\n " : "", overlap->size,
	       overlap->rounds);
	printf(", \"copy_seconds\": %.9f, \"compute_seconds\": %.9f", copy, work);
	printf(", \"in_turn_seconds\": %.9f, \"together_seconds\": %.9f, \"overlap_ratio\": %.4f}",
	       in_turn, together, together / in_turn);
	more = true;
}

/* On memory that is there. What is registered goes with the session. */
static int with_memory(struct overlap *overlap, char *source, char *target)
{
	const struct engine *engine = &overlap->bench->engine;
	int from, to, ret;

	bench_fill(source, overlap->size);
	from = zcdma_register(engine->session, source, overlap->size, ZCDMA_BUFFER_READ_ONLY);
	to = from < 0 ? -1 : zcdma_register(engine->session, target, overlap->size, 0);
	if (to < 0)
		return engine_complain(engine, "memory to be registered", errno);
	overlap->op = (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .len = overlap->size,
		.src_buffer = from, .dst_buffer = to,
	};
	ret = measure(overlap);
	if (!ret && memcmp(source, target, overlap->size))
		ret = complain("the copy of %zu bytes differs from its source", overlap->size);
	if (!ret)
		print_result(overlap);
	zcdma_unregister(engine->session, from);
	zcdma_unregister(engine->session, to);
	return ret;
}

static int overlap_size(const struct bench *bench, size_t size)
{
	struct overlap *overlap = calloc(1, sizeof(*overlap));
	char *source = bench_allocate(size), *target = bench_allocate(size);
	int ret = -1;

	if (overlap && source && target) {
		overlap->bench = bench;
		overlap->size = size;
		ret = with_memory(overlap, source, target);
	} else {
		complain("%zu bytes twice: %s", size, strerror(ENOMEM));
	}
	free(overlap);
	bench_free(source, size);
	bench_free(target, size);
	return ret;
}

int bench_overlap(struct bench *bench)
{
	unsigned int i;
	int ret = 0;

	bench_head(bench);
	if (!bench->json)
		printf("%12s %7s %12s %12s %12s %12s %8s\n", "SIZE", "ROUNDS", "COPY us",
		       "COMPUTE us", "IN TURN us", "TOGETHER us", "RATIO");
	for (i = 0; i < bench->size_count && !ret; i++)
		ret = overlap_size(bench, bench->sizes[i]);
	if (bench->json)
		puts("]}");
	return ret;
}
