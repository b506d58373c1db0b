// SPDX-License-Identifier: GPL-2.0
/*
 * What sessions and ops on the software engine cost the kernel. Measured as free memory
 * that vanishes: this counts everything, slabs and pages, ours and the VFS's. With thousands
 * of them, what else happens in the machine meanwhile (allowed: SLACK) hardly matters.
 */
#include <glob.h>
#include <sys/resource.h>

#include "harness.h"
#include "softdma.h"
#include "zcdma_util.h"

#define SESSIONS	(zc_brief() ? 1000 : 4000)
#define OPS		4096
#define SLACK		(256 << 10)
#define OBJECTS		"/sys/kernel/slab/zc_op/objects"

/* Promised: */
#define SESSION_COST	4096
#define OP_COST		512

/* A page list has a pointer and a scatter-gather entry for each page; a small fill has one. */
#define PAGE_COST	(sizeof(void *) + 32)

/* Give back what is held in caches, in slabs and in lists of each CPU. */
static void trim(void)
{
	glob_t slabs;

	zc_write_file("/proc/sys/vm/drop_caches", "3");
	if (!glob("/sys/kernel/slab/*/shrink", 0, NULL, &slabs)) {
		for (size_t i = 0; i < slabs.gl_pathc; i++)
			zc_write_file(slabs.gl_pathv[i], "1");
		globfree(&slabs);
	}
	zc_write_file("/proc/sys/vm/compact_memory", "1");
	zc_write_file("/proc/sys/vm/stat_refresh", "1");
}

/* Free pages that each CPU has at hand; MemFree is without them. */
static long pages_at_hand(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	char line[256];
	long sum = 0, n;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %ld", &n) == 1)
			sum += n;
	if (f)
		fclose(f);
	return sum;
}

struct usage {
	long free, slabs;	/* bytes */
};

static struct usage usage_now(void)
{
	return (struct usage){
		.free = zc_number_in("/proc/meminfo", "MemFree:") * 1024L +
			pages_at_hand() * sysconf(_SC_PAGESIZE),
		.slabs = zc_number_in("/proc/meminfo", "SUnreclaim:") * 1024L,
	};
}

/* When what was freed before has been freed indeed. */
static struct usage usage(void)
{
	struct usage now, last = { 0 };

	for (int i = 0; i < 10; i++) {
		trim();
		now = usage_now();
		if (labs(now.free - last.free) < 32 << 10)
			break;
		last = now;
		zc_sleep_ms(100);
	}
	return now;
}

static long free_bytes(void)
{
	return usage().free;
}

FIXTURE(footprint) {
	int *fds;
	char *memory;
};

FIXTURE_SETUP(footprint)
{
	struct rlimit files = { SESSIONS + 100, SESSIONS + 100 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, softdma_become("ledger=N"));
	zc_unlimit_memlock();
	self->fds = malloc(SESSIONS * sizeof(int));
	memset(self->fds, 0xff, SESSIONS * sizeof(int));
	self->memory = zc_map(OPS);
	memset(self->memory, 1, OPS);
}

FIXTURE_TEARDOWN(footprint)
{
	softdma_reset();
	for (int i = 0; i < SESSIONS && self->fds[i] >= 0; i++)
		close(self->fds[i]);
}

TEST_F_TIMEOUT(footprint, of_an_idle_session, 120)
{
	long before, after;
	int first;

	if (zc_lacks("lean-slabs"))
		SKIP(return, "lacks lean-slabs: this kernel puts marks around what it allocates");
	first = zc_session("softdma", 0);
	ASSERT_LE(0, first); /* the channel is leased, the file table has its size */
	ASSERT_LE(0, dup2(first, SESSIONS + 50));
	before = free_bytes();
	for (int i = 0; i < SESSIONS; i++) {
		self->fds[i] = zc_session("softdma", 0);
		ASSERT_LE(0, self->fds[i]);
	}
	after = free_bytes();
	TH_LOG("%ld bytes for each session", (before - after) / SESSIONS);
	EXPECT_LT(SESSIONS * 200, before - after); /* or we measure nothing */
	EXPECT_GE(SESSIONS * SESSION_COST + SLACK, before - after);
}

TEST_F_TIMEOUT(footprint, of_an_op_in_flight, 60)
{
	static struct zcdma_op ops[OPS];
	struct zcdma_completion c;
	long before, after;
	__u32 accepted;

	if (zc_lacks("lean-slabs"))
		SKIP(return, "lacks lean-slabs: this kernel puts marks around what it allocates");
	self->fds[0] = zc_session("softdma", OPS);
	ASSERT_LE(0, self->fds[0]);
	for (int i = 0; i < OPS; i++)
		ops[i] = zc_fill_op(self->memory + i, 2, 1, i);
	ASSERT_EQ(0, zc_do(self->fds[0], ops[0]));
	ASSERT_EQ(0, softdma_set("hang", 1));
	before = free_bytes();
	ASSERT_EQ(0, zc_submit(self->fds[0], ops, OPS, &accepted));
	ASSERT_EQ(OPS, accepted);
	after = free_bytes();
	TH_LOG("%ld bytes for each op", (before - after) / OPS);
	EXPECT_LT(OPS * 100, before - after); /* or we measure nothing */
	EXPECT_GE(OPS * (OP_COST + PAGE_COST) + 2 * SLACK, before - after);
	ASSERT_EQ(0, softdma_set("hang", 0));
	for (int i = 0; i < OPS; i++)
		ASSERT_EQ(1, zc_read(self->fds[0], &c, 1));
}

/* How many ops there are, with those that are free and each CPU has at hand; -1: nobody counts. */
static long objects(void)
{
	FILE *f = fopen(OBJECTS, "re");
	long nr = -1;

	if (!f || fscanf(f, "%ld", &nr) != 1)
		nr = -1;
	if (f)
		fclose(f);
	return nr;
}

/* What ops on registered memory need, registering it has made ready: they allocate nothing. */
TEST_F_TIMEOUT(footprint, of_an_op_on_registered_memory_is_there_before_it, 60)
{
	static struct zcdma_op ops[OPS];
	struct zcdma_completion c;
	long idle, ready;
	int fd, id;

	fd = zc_session("softdma", OPS);
	ASSERT_LE(0, fd);
	self->fds[0] = fd;
	idle = objects();
	ASSERT_LE(0, idle);
	id = zc_register(fd, self->memory, OPS, 0);
	ASSERT_LT(0, id);
	ready = objects();
	TH_LOG("%ld ops, and %ld with registered memory", idle, ready);
	EXPECT_LE(idle + OPS / 2, ready);
	for (int i = 0; i < OPS; i++)
		ops[i] = (struct zcdma_op){
			.opcode = ZCDMA_OP_FILL, .dst_buffer = id, .dst = i, .src = 2, .len = 1,
		};
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(fd, ops, OPS, NULL));
	EXPECT_GE(ready + OPS / 8, objects());
	ASSERT_EQ(0, softdma_set("hang", 0));
	for (int i = 0; i < OPS; i++)
		ASSERT_EQ(1, zc_read(fd, &c, 1));
}

/* Nothing of it is left when sessions are closed, again and again. */
TEST_F_TIMEOUT(footprint, of_closed_sessions_is_nothing, 120)
{
	struct usage before = { 0 }, after;
	struct zcdma_completion c;
	long slabs, free;

	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < SESSIONS / 8; i++) {
			struct zcdma_op op = zc_fill_op(self->memory + i, 3, 1, i);

			op.deadline_ms = 60000; /* until all sessions are there */
			self->fds[i] = zc_session("softdma", 0);
			ASSERT_LE(0, self->fds[i]);
			ASSERT_EQ(0, zc_submit(self->fds[i], &op, 1, NULL));
		}
		for (int i = 0; i < SESSIONS / 8; i++) {
			ASSERT_EQ(1, zc_read(self->fds[i], &c, 1));
			ASSERT_EQ(0, c.res);
			close(self->fds[i]);
			self->fds[i] = -1;
		}
		if (round == 1)
			before = usage();
	}
	after = usage();
	slabs = after.slabs - before.slabs;
	free = before.free - after.free;
	TH_LOG("%d sessions: slabs grew by %ld bytes, free memory shrank by %ld", SESSIONS / 2,
	       slabs, free);
	/* 131 bytes a session, in brief 524; kmemleak finds what is smaller. */
	EXPECT_GE(SLACK, slabs);
	EXPECT_GE(2 * SLACK * sysconf(_SC_NPROCESSORS_ONLN), free); /* each has lists of pages */
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
