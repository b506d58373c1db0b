// SPDX-License-Identifier: GPL-2.0
/*
 * zcdma bench --memory: what sessions and ops cost the kernel.
 *
 * Measured as the kernel's memory that is in use and cannot be reclaimed, before and
 * after. With thousands of them, what else happens on the machine hardly matters.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "common.h"

#define SESSIONS	1000
#define DEPTH		4096
#define LARGE_OPS	(DEPTH / 2)
#define SMALL_OPS	(DEPTH - LARGE_OPS)
#define LARGE_SIZE	(1024 << 10)
#define SMALL_SIZE	4096

/* As many large ops as last so long, for the small ones to be submitted meanwhile. */
#define BUSY_SECONDS	2
#define LARGE_OPS_MIN	16

/* Bytes by which memory may change and yet stand still */
#define STILL		16384

struct footprint {
	double session;
	double place;
	double op;
	bool op_known;
};

/*
 * Each CPU has counts of its own, which it adds to the machine's now and then. Root
 * can have that done now; others get the numbers to some 200 KiB per CPU.
 */
static void refresh(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		complain("/proc/sys/vm/stat_refresh: %s", strerror(errno));
	close(fd);
}

/* Bytes, or -1 after telling why not. */
static long kernel_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[256];
	long kib = -1;

	refresh();
	while (file && kib < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "SUnreclaim: %ld kB", &kib) != 1)
			kib = -1;
	if (file)
		fclose(file);
	return kib < 0 ? complain("/proc/meminfo does not tell") : kib * 1024;
}

/*
 * The same once it stands still: what others have closed lately, programs before us among
 * them, is freed a little later. After a second it is taken as it is.
 */
static long memory_at_rest(void)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	long last, now = kernel_memory();
	int i, still = 0;

	for (i = 0; i < 20 && still < 3 && now >= 0; i++) {
		nanosleep(&pause, NULL);
		last = now;
		now = kernel_memory();
		still = labs(now - last) <= STILL ? still + 1 : 0;
	}
	return now;
}

/* What @count of them cost each, when there were @before bytes. Returns 0 or -1. */
static int each(long before, unsigned int count, double *cost)
{
	long after = kernel_memory();

	*cost = (double)(after - before) / count;
	return after < 0 ? -1 : 0;
}

static int allow_files(unsigned int more)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max < more)
		return complain("%u files: more than ulimit -Hn allows", more);
	if (limit.rlim_cur < more)
		limit.rlim_cur = more;
	return setrlimit(RLIMIT_NOFILE, &limit) ?
	       complain("%u files: %s", more, strerror(errno)) : 0;
}

static int measure_sessions(const struct engine *engine, double *cost)
{
	struct zcdma_session *sessions[SESSIONS] = { NULL };
	struct zcdma_attach attach = { 0 };
	int i, ret = allow_files(SESSIONS + 64);
	long before = ret ? -1 : memory_at_rest();

	ret = before < 0 ? -1 : 0;
	for (i = 0; i < SESSIONS && !ret; i++) {
		sessions[i] = engine_join(engine, engine->channel.out_name, &attach);
		ret = sessions[i] ? 0 : -1;
	}
	if (!ret)
		ret = each(before, SESSIONS, cost);
	for (i = 0; i < SESSIONS; i++)
		zcdma_close(sessions[i]);
	return ret;
}

/* Large ops on registered memory, then small ones on other memory that wait for them. */
static void make_ops(struct zcdma_op *ops, int from, int to, const char *memory)
{
	int i;

	for (i = 0; i < LARGE_OPS; i++)
		ops[i] = (struct zcdma_op){
			.opcode = ZCDMA_OP_COPY, .user_data = i, .len = LARGE_SIZE,
			.src_buffer = from, .dst_buffer = to,
		};
	for (; i < DEPTH; i++)
		ops[i] = (struct zcdma_op){
			.opcode = ZCDMA_OP_COPY, .user_data = i, .len = SMALL_SIZE,
			.src = (uintptr_t)memory, .dst = (uintptr_t)memory + LARGE_SIZE,
		};
	ops[LARGE_OPS].flags = ZCDMA_OP_FLAG_BARRIER;
}

/* How many large ops there must be, by what one takes; or -1. */
static int count_large(const struct engine *engine, struct zcdma_session *session,
		       const struct zcdma_op *op)
{
	double began = seconds(CLOCK_MONOTONIC), count;
	struct zcdma_completion done;

	if (zcdma_submit_wait(session, op, 1, &done, NULL))
		return engine_complain(engine, "memory", errno);
	if (done.res)
		return engine_complain(engine, "memory", -done.res);
	count = BUSY_SECONDS / (seconds(CLOCK_MONOTONIC) - began);
	return count < LARGE_OPS_MIN ? LARGE_OPS_MIN : count > LARGE_OPS ? LARGE_OPS : count;
}

/*
 * Take all back that has not begun, and the completions. Were the small ops still there?
 * Returns 0 or -1.
 */
static int take_back(const struct engine *engine, struct zcdma_session *session, bool *waited)
{
	struct zcdma_completion done;
	int ret;

	*waited = true;
	zcdma_cancel_all(session);
	while ((ret = zcdma_reap(session, &done, 1, -1)) > 0)
		if (done.user_data >= LARGE_OPS && done.res != -ECANCELED)
			*waited = false;
	return ret ? engine_complain(engine, "memory", errno) : 0;
}

/* A session's queue gets a request for each place when it first registers memory. */
static int measure_ops(const struct engine *engine, struct zcdma_session *session, char *memory,
		       struct zcdma_op *ops, struct footprint *cost)
{
	long before = memory_at_rest();
	int from, to, large, ret;

	if (before < 0)
		return -1;
	from = zcdma_register(session, memory, LARGE_SIZE, ZCDMA_BUFFER_READ_ONLY);
	to = from < 0 ? -1 : zcdma_register(session, memory + LARGE_SIZE, LARGE_SIZE, 0);
	if (to < 0)
		return engine_complain(engine, "memory to be registered", errno);
	if (each(before, DEPTH, &cost->place))
		return -1;

	make_ops(ops, from, to, memory);
	large = count_large(engine, session, ops);
	if (large < 0)
		return -1;
	if (zcdma_submit(session, ops + LARGE_OPS - large, large, NULL))
		return engine_complain(engine, "memory", errno);
	before = kernel_memory();
	if (zcdma_submit(session, ops + LARGE_OPS, SMALL_OPS, NULL))
		return engine_complain(engine, "memory", errno);
	ret = each(before, SMALL_OPS, &cost->op);
	if (take_back(engine, session, &cost->op_known) || before < 0)
		return -1;
	/* Less than nothing: others have let go of more meanwhile. */
	cost->op_known = cost->op_known && cost->op > 0;
	return ret;
}

static int measure_queue(const struct engine *engine, struct footprint *cost)
{
	struct zcdma_attach attach = { .queue_depth = DEPTH };
	struct zcdma_op *ops = calloc(DEPTH, sizeof(*ops));
	char *memory = bench_allocate(2 * LARGE_SIZE);
	struct zcdma_session *session;
	int ret = -1;

	session = engine_join(engine, engine->channel.out_name, &attach);
	if (session && ops && memory) {
		/* Page tables are not to be counted. */
		memset(memory, 1, 2 * LARGE_SIZE);
		ret = measure_ops(engine, session, memory, ops, cost);
	} else if (session) {
		complain("%s", strerror(ENOMEM));
	}
	zcdma_close(session);
	free(ops);
	bench_free(memory, 2 * LARGE_SIZE);
	return ret;
}

static void print_cost(const struct footprint *cost)
{
	printf("%d idle sessions: %.0f bytes each\n", SESSIONS, cost->session);
	printf("a queue of %d places for ops on registered memory: %.0f bytes each\n", DEPTH,
	       cost->place);
	if (cost->op_known)
		printf("%d ops in flight on other memory: %.0f bytes each besides\n", SMALL_OPS,
		       cost->op);
	else
		printf("ops in flight on other memory: the engine is too fast to tell\n");
}

static void print_json(const struct footprint *cost)
{
	printf("{\"sessions\": %d, \"bytes_per_session\": %.0f", SESSIONS, cost->session);
	printf(", \"places\": %d, \"bytes_per_place\": %.0f, \"bytes_per_op\": ", DEPTH,
	       cost->place);
	if (cost->op_known)
		printf("%.0f}", cost->place + cost->op);
	else
		printf("null}");
}

int bench_memory(struct bench *bench)
{
	struct footprint cost = { 0 };
	int ret;

	bench_head(bench);
	ret = measure_sessions(&bench->engine, &cost.session);
	if (!ret)
		ret = measure_queue(&bench->engine, &cost);
	if (!ret && !bench->json)
		print_cost(&cost);
	else if (!ret)
		print_json(&cost);
	if (bench->json)
		puts("]}");
	return ret;
}
