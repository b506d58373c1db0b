// SPDX-License-Identifier: GPL-2.0
/*
 * How fast copies are, for rate.sh:
 *
 *	copy_rate CHANNEL SIZE ROUNDS small|huge
 *
 * prints the bytes per second of copies one after the other, between memory in small
 * pages or in huge ones.
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

int main(int argc, char **argv)
{
	const struct pattern source = { 's', 1 };
	struct region from, to;
	enum region_kind kind;
	unsigned long rounds;
	double started;
	size_t size;
	int fd;

	CHILD_CHECK(argc == 5);
	size = strtoul(argv[2], NULL, 0);
	rounds = strtoul(argv[3], NULL, 0);
	kind = strcmp(argv[4], "huge") ? REGION_ANON : REGION_HUGETLB;
	zc_unlimit_memlock();
	fd = zc_session(argv[1], 0);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(!region_map(&from, kind, size) && !region_map(&to, kind, size));
	pattern_write(source, from.base, 0, size);
	memset(to.base, 0, size);

	/* The first one finds out how much to keep in flight. */
	CHILD_CHECK(!zc_copy(fd, to.base, from.base, size));
	started = now();
	for (unsigned long i = 0; i < rounds; i++)
		CHILD_CHECK(!zc_copy(fd, to.base, from.base, size));
	printf("%.0f\n", size * rounds / (now() - started));
	CHILD_CHECK(pattern_holds(source, to.base, 0, size));
	return 0;
}
