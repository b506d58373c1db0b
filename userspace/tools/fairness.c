// SPDX-License-Identifier: GPL-2.0
/*
 * zcdma bench --fairness: what small ops get beside a session with many large ones.
 *
 * One session keeps a deep queue of large ops, spread over two channels of a device (or
 * the one that it has); the others, half of them at each, do one small op after the
 * other. All of these want the same, so an engine that is shared fairly gives them the
 * same.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "common.h"

#define LIGHTS		63
#define LIGHT_SIZE	4096
#define HEAVY_SIZE	(1024 << 10)
#define HEAVY_DEPTH	64
#define CHANNELS_MAX	2

/* The last of a deep queue waits for all before it, and slow engines do 10 MB/s. */
#define HEAVY_DEADLINE_MS	60000

/* Of so many small ops of a session it is remembered how long they took. */
#define LATENCIES_MAX	16384

/* Pieces that zcdma has at an engine at once, at most, and how long one of them is. */
#define WINDOW_PIECES	32
#define STRIPE		(256 << 10)

struct fairness;

/**
 * struct light - a session with small ops, and its thread
 * @all: what it is part of.
 * @session: its own.
 * @thread: its own.
 * @memory: source and target.
 * @ops: how many were done.
 * @latency: seconds that the first LATENCIES_MAX of them took.
 * @error: a positive errno when it had to stop.
 */
struct light {
	struct fairness *all;
	struct zcdma_session *session;
	pthread_t thread;
	char *memory;
	unsigned long ops;
	double *latency;
	int error;
};

/**
 * struct fairness - all of it
 * @bench: how to measure.
 * @channels: how many they share.
 * @stop: for all threads.
 * @heavy: the session with large ops.
 * @heavy_ops: how many it did since this was last set to 0.
 * @heavy_error: a positive errno when it had to stop.
 * @op: its op, again and again the same one.
 * @light: the others.
 */
struct fairness {
	const struct bench *bench;
	unsigned int channels;
	atomic_bool stop;
	struct zcdma_session *heavy;
	atomic_ulong heavy_ops;
	int heavy_error;
	struct zcdma_op op;
	struct light light[LIGHTS];
};

static void *run_light(void *arg)
{
	struct light *light = arg;
	struct zcdma_completion done;
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY, .len = LIGHT_SIZE,
		.src = (uintptr_t)light->memory, .dst = (uintptr_t)light->memory + LIGHT_SIZE,
	};

	while (!atomic_load(&light->all->stop)) {
		double began = seconds(CLOCK_MONOTONIC);

		if (zcdma_submit_wait(light->session, &op, 1, &done, NULL))
			light->error = errno;
		else
			light->error = -done.res;
		if (light->error)
			break;
		if (light->ops < LATENCIES_MAX)
			light->latency[light->ops] = seconds(CLOCK_MONOTONIC) - began;
		light->ops++;
	}
	return NULL;
}

/* Take what has come; returns how many, or -1 with errno. */
static int reap_heavy(struct fairness *all)
{
	struct zcdma_completion done[HEAVY_DEPTH];
	int i, nr = zcdma_reap(all->heavy, done, HEAVY_DEPTH, -1);

	for (i = 0; i < nr; i++)
		if (done[i].res && done[i].res != -ECANCELED) {
			errno = -done[i].res;
			return -1;
		}
	if (nr > 0)
		atomic_fetch_add(&all->heavy_ops, nr);
	return nr;
}

static void *run_heavy(void *arg)
{
	struct fairness *all = arg;
	struct zcdma_op ops[HEAVY_DEPTH];
	int i, nr = HEAVY_DEPTH;

	for (i = 0; i < HEAVY_DEPTH; i++)
		ops[i] = all->op;
	while (nr > 0 && !atomic_load(&all->stop)) {
		if (zcdma_submit(all->heavy, ops, nr, NULL))
			nr = -1;
		else
			nr = reap_heavy(all);
	}
	if (nr < 0)
		all->heavy_error = errno;
	zcdma_cancel_all(all->heavy);
	while (zcdma_reap(all->heavy, &(struct zcdma_completion){ 0 }, 1, -1) > 0)
		;
	return NULL;
}

static void sleep_seconds(double time)
{
	struct timespec left = { .tv_sec = time, .tv_nsec = (time - (time_t)time) * 1e9 };

	nanosleep(&left, NULL);
}

/* Bytes per second of the large ops, from now on for @time seconds. */
static double heavy_rate(struct fairness *all, double time)
{
	double began = seconds(CLOCK_MONOTONIC);

	atomic_store(&all->heavy_ops, 0);
	sleep_seconds(time);
	return atomic_load(&all->heavy_ops) * (double)HEAVY_SIZE /
	       (seconds(CLOCK_MONOTONIC) - began);
}

/* Jain's index: 1 when all have done as many, 1/n when one has done all. */
static double jain(const struct fairness *all)
{
	double sum = 0, squares = 0;
	int i;

	for (i = 0; i < LIGHTS; i++) {
		sum += all->light[i].ops;
		squares += (double)all->light[i].ops * all->light[i].ops;
	}
	return squares > 0 ? sum * sum / (LIGHTS * squares) : 0;
}

/* Of the large ops, what the channels hold at once. */
static double window_bytes(const struct fairness *all)
{
	double piece = all->bench->engine.channel.out_max_segment;

	if (piece > HEAVY_SIZE)
		piece = HEAVY_SIZE;
	if (all->channels > 1 && piece > STRIPE)
		piece = STRIPE;
	return all->channels * WINDOW_PIECES * piece;
}

struct latencies {
	double median;
	double most;	/* 99 % take no longer */
	double within;	/* share of those that took no longer than the limit */
};

/* Of all small ops that are remembered. Returns 0 or -1. */
static int sum_up(const struct fairness *all, double limit, struct latencies *result)
{
	double *sorted = malloc(sizeof(double) * LIGHTS * LATENCIES_MAX);
	unsigned int i, within = 0, count = 0;

	if (!sorted)
		return complain("%s", strerror(ENOMEM));
	for (i = 0; i < LIGHTS; i++) {
		const struct light *light = &all->light[i];
		unsigned int nr = light->ops < LATENCIES_MAX ? light->ops : LATENCIES_MAX;

		memcpy(sorted + count, light->latency, nr * sizeof(double));
		count += nr;
	}
	for (i = 0; i < count; i++)
		within += sorted[i] <= limit;
	if (count) {
		result->median = bench_median(sorted, count); /* sorts */
		result->most = sorted[(unsigned long)count * 99 / 100];
		result->within = (double)within / count;
	}
	free(sorted);
	return 0;
}

/* @alone and @beside: the rate of the large ops without and with the small ones. */
static int print_result(const struct fairness *all, double alone, double beside)
{
	double windows = alone > 0 ? 2 * window_bytes(all) / alone : 0;
	unsigned long ops = 0;
	struct latencies took = { 0 };
	int i;

	if (sum_up(all, windows, &took))
		return -1;
	for (i = 0; i < LIGHTS; i++)
		ops += all->light[i].ops;
	if (all->bench->json) {
		printf("{\"sessions\": %d, \"channels\": %u, \"jain\": %.4f", LIGHTS + 1,
		       all->channels, jain(all));
		printf(", \"light_ops\": %lu, \"light_median_seconds\": %.9f", ops, took.median);
		printf(", \"light_99_percent_seconds\": %.9f", took.most);
		printf(", \"two_windows_seconds\": %.9f, \"within_two_windows\": %.4f", windows,
		       took.within);
		printf(", \"heavy_alone_bytes_per_second\": %.0f", alone);
		printf(", \"heavy_bytes_per_second\": %.0f}", beside);
		return 0;
	}
	printf("%d sessions on %u channel%s: %d with single ops of %d KiB, one with %d of %d MiB\n",
	       LIGHTS + 1, all->channels, all->channels > 1 ? "s" : "", LIGHTS, LIGHT_SIZE >> 10,
	       HEAVY_DEPTH, HEAVY_SIZE >> 20);
	printf("Jain's index of what the equal ones did: %.4f (%lu ops)\n", jain(all), ops);
	printf("small op: median %.1f us, 99 %% within %.1f us\n", took.median * 1e6,
	       took.most * 1e6);
	printf("two windows of the large ones: %.1f us; %.1f %% of the small ops took no longer\n",
	       windows * 1e6, 100 * took.within);
	printf("large ops: %.1f MB/s alone, %.1f MB/s beside the small ones\n", alone / 1e6,
	       beside / 1e6);
	return 0;
}

/* ---- setting it up ---- */

static int open_heavy(struct fairness *all, char *memory)
{
	const struct bench *bench = all->bench;
	struct zcdma_attach attach = { .channels = all->channels };
	int from, to;

	/* By device: several channels are to be had of one only. */
	all->heavy = engine_join(&bench->engine, all->channels > 1 ?
				 bench->engine.channel.out_device :
				 bench->engine.channel.out_name, &attach);
	if (!all->heavy)
		return -1;
	from = zcdma_register(all->heavy, memory, HEAVY_SIZE, ZCDMA_BUFFER_READ_ONLY);
	to = from < 0 ? -1 : zcdma_register(all->heavy, memory + HEAVY_SIZE, HEAVY_SIZE, 0);
	if (to < 0)
		return engine_complain(&bench->engine, "memory to be registered", errno);
	all->op = (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .len = HEAVY_SIZE,
		.src_buffer = from, .dst_buffer = to,
		.deadline_ms = bench->engine.deadline_ms ?: HEAVY_DEADLINE_MS,
	};
	return 0;
}

static int open_light(struct fairness *all, unsigned int nr)
{
	struct light *light = &all->light[nr];
	struct zcdma_query_channel channel;
	struct zcdma_attach attach = { 0 };

	light->all = all;
	light->memory = bench_allocate(2 * LIGHT_SIZE);
	light->latency = malloc(sizeof(double) * LATENCIES_MAX);
	if (!light->memory || !light->latency)
		return complain("%s", strerror(ENOMEM));
	if (zcdma_query_channel(all->heavy, ZCDMA_QUERY_ATTACHED, nr % all->channels, &channel))
		return complain("the engine went away");
	light->session = engine_join(&all->bench->engine, channel.out_name, &attach);
	return light->session ? 0 : -1;
}

static void close_lights(struct fairness *all)
{
	int i;

	for (i = 0; i < LIGHTS; i++) {
		zcdma_close(all->light[i].session);
		bench_free(all->light[i].memory, 2 * LIGHT_SIZE);
		free(all->light[i].latency);
	}
}

/* How many channels the device has, up to those we use. */
static unsigned int count_channels(const struct engine *engine)
{
	struct zcdma_query_channel channel;
	unsigned int nr, same = 0;

	for (nr = 0; !zcdma_query_channel(engine->session, 0, nr, &channel); nr++)
		same += !strcmp(channel.out_device, engine->channel.out_device);
	return same < CHANNELS_MAX ? same : CHANNELS_MAX;
}

/* ---- running it ---- */

/* Start those; returns how many. */
static int start_lights(struct fairness *all)
{
	int i, err;

	for (i = 0; i < LIGHTS; i++) {
		err = pthread_create(&all->light[i].thread, NULL, run_light, &all->light[i]);
		if (err) {
			complain("%d threads: %s", LIGHTS + 1, strerror(err));
			break;
		}
	}
	return i;
}

static int failed(const struct fairness *all)
{
	int i, err = all->heavy_error;

	for (i = 0; i < LIGHTS && !err; i++)
		err = all->light[i].error;
	return err ? engine_complain(&all->bench->engine, "memory", err) : 0;
}

static int run_all(struct fairness *all)
{
	double time = all->bench->seconds, alone, beside = 0;
	pthread_t heavy;
	int started, i;
	int err = pthread_create(&heavy, NULL, run_heavy, all);

	if (err)
		return complain("a thread: %s", strerror(err));
	alone = heavy_rate(all, time / 4);
	started = start_lights(all);
	if (started == LIGHTS)
		beside = heavy_rate(all, time);
	atomic_store(&all->stop, true);
	for (i = 0; i < started; i++)
		pthread_join(all->light[i].thread, NULL);
	pthread_join(heavy, NULL);
	if (started < LIGHTS || failed(all))
		return -1;
	return print_result(all, alone, beside);
}

int bench_fairness(struct bench *bench)
{
	struct fairness *all = calloc(1, sizeof(*all));
	char *memory = bench_allocate(2 * HEAVY_SIZE);
	unsigned int i;
	int ret = -1;

	if (all && memory) {
		bench_fill(memory, HEAVY_SIZE);
		all->bench = bench;
		all->channels = count_channels(&bench->engine);
		ret = open_heavy(all, memory);
		for (i = 0; i < LIGHTS && !ret; i++)
			ret = open_light(all, i);
		bench_head(bench);
		ret = ret ? ret : run_all(all);
		if (bench->json)
			puts("]}");
		close_lights(all);
		zcdma_close(all->heavy);
	} else {
		complain("%s", strerror(ENOMEM));
	}
	free(all);
	bench_free(memory, 2 * HEAVY_SIZE);
	return ret;
}
