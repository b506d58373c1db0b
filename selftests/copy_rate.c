// SPDX-License-Identifier: GPL-2.0
/*
 * How fast copies are, for rate.sh:
 *
 *	copy_rate CHANNEL SIZE COUNT small|huge|ring
 *
 * prints the bytes per second of LAPS * COUNT copies, between memory in small pages or in
 * one piece: huge pages, or rings of packet sockets. All are handed over before the first
 * is waited for: how long a host that has other things to do takes to wake us is not what
 * is measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pattern.h"
#include "region.h"
#include "zcdma_util.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

#define LAPS		5
#define COUNT_MAX	64

static struct zcdma_op ops[COUNT_MAX];

static int map(struct region *region, const char *pages, size_t size)
{
	enum region_kind kind = !strcmp(pages, "huge") ? REGION_HUGETLB :
				!strcmp(pages, "ring") ? REGION_RING : REGION_ANON;

	return region_map(region, kind, size);
}

int main(int argc, char **argv)
{
	const struct pattern source = { 's', 1 };
	struct zcdma_completion done[COUNT_MAX];
	struct region from, to[COUNT_MAX];
	unsigned int count, reaped = 0;
	double started;
	size_t size;
	int fd, got;

	CHILD_CHECK(argc == 5);
	size = strtoul(argv[2], NULL, 0);
	count = strtoul(argv[3], NULL, 0);
	CHILD_CHECK(count && count <= COUNT_MAX);
	zc_unlimit_memlock();
	fd = zc_session(argv[1], LAPS * count);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(!map(&from, argv[4], size));
	pattern_write(source, from.base, 0, size);
	for (unsigned int i = 0; i < count; i++) {
		CHILD_CHECK(!map(&to[i], argv[4], size));
		memset(to[i].base, 0, size);
		ops[i] = zc_copy_op(to[i].base, from.base, size, i);
		ops[i].deadline_ms = 60000;
	}

	/* The first one finds out how much to keep in flight. */
	CHILD_CHECK(!zc_copy(fd, to[0].base, from.base, size));
	started = now();
	for (unsigned int lap = 0; lap < LAPS; lap++)
		CHILD_CHECK(!zc_submit(fd, ops, count, NULL));
	for (; reaped < LAPS * count; reaped += got) {
		got = zc_read(fd, done, count);
		CHILD_CHECK(got > 0);
		for (int i = 0; i < got; i++)
			CHILD_CHECK(!done[i].res);
	}
	printf("%.0f\n", LAPS * count * size / (now() - started));
	for (unsigned int i = 0; i < count; i++)
		CHILD_CHECK(pattern_holds(source, to[i].base, 0, size));
	return 0;
}
