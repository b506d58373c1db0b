// SPDX-License-Identifier: GPL-2.0
/* What all that is measured needs: memory, rounds, a median, a head for the table. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "bench.h"
#include "common.h"

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, unsigned int count)
{
	qsort(values, count, sizeof(*values), compare_doubles);
	return values[count / 2];
}

char *bench_allocate(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

char *bench_allocate_huge(size_t size)
{
	char *memory = bench_allocate(size + BENCH_HUGE_PAGE);
	size_t head = -(uintptr_t)memory % BENCH_HUGE_PAGE;

	if (!memory)
		return NULL;
	if (head)
		munmap(memory, head);
	munmap(memory + head + size, BENCH_HUGE_PAGE - head);
	/* Where there are none, small ones do. */
	madvise(memory + head, size, MADV_HUGEPAGE);
	return memory + head;
}

void bench_free(char *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

/* Bytes that differ from their neighbours, from page to page too. */
void bench_fill(char *buffer, size_t size)
{
	uint32_t state = 1;
	size_t i;

	for (i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		buffer[i] = state >> 24;
	}
}

bool bench_enough(const struct bench *bench, unsigned int rounds, double started)
{
	if (bench->rounds)
		return rounds == bench->rounds;
	if (rounds == BENCH_ROUNDS_MAX)
		return true;
	return rounds >= BENCH_ROUNDS_MIN &&
	       seconds(CLOCK_MONOTONIC) - started >= bench->seconds;
}

void bench_head(const struct bench *bench)
{
	const struct zcdma_query_channel *channel = &bench->engine.channel;

	if (!bench->json) {
		printf("%s (%s), moved by %s\n", channel->out_name, channel->out_provider,
		       channel->out_caps & ZCDMA_CAP_HARDWARE ? "hardware" : "the CPU");
		return;
	}
	printf("{\"channel\": ");
	json_string(channel->out_name);
	printf(", \"provider\": ");
	json_string(channel->out_provider);
	printf(", \"results\":\n[");
}
