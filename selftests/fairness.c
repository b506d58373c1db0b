// SPDX-License-Identifier: GPL-2.0
/*
 * What one session does to others at the same engine, and to the machine: nothing that they
 * notice, whatever its ops, their deadlines and the engine's moods are.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define MIB		(256 * PAGE)
#define PATIENCE	5000	/* ms, for what should take no time at all */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(fairness) {
	int fd;
	char channel[ZCDMA_NAME_LEN];	/* the session's */
	char *src, *dst;		/* MIB bytes */
	struct zcdma_completion done[8];
};

#define FAIRNESS FIXTURE_DATA(fairness)

/* In one piece, if there are huge pages. */
static char *map_huge(void)
{
	char *memory = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	return memory == MAP_FAILED ? zc_map(MIB) : memory;
}

FIXTURE_SETUP(fairness)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	self->fd = zc_session_and_channel("softdma", 0, self->channel);
	ASSERT_LE(0, self->fd);
	self->src = map_huge();
	self->dst = map_huge();
	pattern_write(source, self->src, 0, MIB);
	pattern_write(target, self->dst, 0, MIB);
}

FIXTURE_TEARDOWN(fairness)
{
	softdma_set("hang", 0);
	softdma_set("hang_nth", 0);
	softdma_set("delay_us", 0);
	close(self->fd);
	EXPECT_EQ(0, softdma_reset());
}

/*
 * One op after the other, each of which must time out, again and again until the child is
 * killed. The engine may keep some that the child was told are over: then the queue is full.
 */
static pid_t child_with_tiny_deadlines(const char *channel, char *dst, char *src)
{
	struct zcdma_completion c;
	pid_t pid;

	IN_CHILD(pid) {
		int fd = zc_session(channel, 0);
		struct zcdma_op op = zc_copy_op(dst, src, PAGE, 0);

		CHILD_CHECK(fd >= 0);
		op.deadline_ms = 1;
		for (;;) {
			int err = zc_submit_wait(fd, &op, 1, &c, NULL);

			CHILD_CHECK(!err || err == -EAGAIN);
			if (err)
				zc_sleep_ms(10);
		}
	}
	return pid;
}

/*
 * The engine is slow, and works: each op, a page, takes 700 ms. One is seen to take that long
 * before, so nothing says that the engine hangs.
 */
TEST_F(fairness, tiny_deadlines_end_nobody_elses_ops)
{
	struct zcdma_op ops[3];
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src, PAGE, i);
		ops[i].deadline_ms = 12000;
	}
	if (zc_lacks("counted"))
		zc_kmsg_allow(ZC_KMSG_HANGS);	/* the host stood still */
	ASSERT_EQ(0, softdma_set("delay_us", 700000));
	ASSERT_EQ(0, zc_do(self->fd, ops[0]));
	pid = child_with_tiny_deadlines(self->channel, self->dst + MIB / 2, self->src);
	zc_sleep_ms(300);
	EXPECT_EQ(0, zc_submit_wait(self->fd, ops, 3, self->done, NULL));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, self->done[i].res);
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
}

/*
 * How many descriptors does a copy of all take? Or -errno. Its memory is in one piece, so that is
 * one for each turn in which the engine gets it, of which the host's speed decides: fewer than
 * MANY, where an engine that takes pages only needs MIB / PAGE.
 */
#define MANY	((long)(MIB / PAGE / 2))

static long descriptors_used(FAIRNESS *self)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, MIB, 1);
	int err;

	op.deadline_ms = 8000;
	CHILD_CHECK(!softdma_set("descriptors", 0));
	err = zc_do(self->fd, op);
	return err ?: (long)softdma_get("descriptors");
}

/* The engine has no descriptor, once. A copy after that takes no more of them than before. */
TEST_F(fairness, an_engine_that_was_full_for_a_moment_is_as_good_as_before)
{
	long before;

	if (zc_lacks("hugepages"))
		SKIP(return, "lacks hugepages");
	before = descriptors_used(self);
	ASSERT_LT(0, before);
	ASSERT_GT(MANY, before);
	ASSERT_EQ(0, softdma_set("null_nth", 1));
	ASSERT_EQ(0, zc_copy(self->fd, self->dst, self->src, 64 * PAGE));
	ASSERT_EQ(0, softdma_get("null_nth"));
	EXPECT_GT(MANY, descriptors_used(self));
}

/*
 * The engine takes short pieces only, as for lack of memory, and then any again. What was learnt
 * is believed for 10 s: a copy after that takes no more descriptors than one before.
 */
TEST_F(fairness, an_engine_that_took_short_pieces_is_as_good_as_before_in_a_while)
{
	long before;

	if (zc_lacks("hugepages"))
		SKIP(return, "lacks hugepages");
	before = descriptors_used(self);
	ASSERT_LT(0, before);
	ASSERT_GT(MANY, before);
	ASSERT_EQ(0, softdma_set("max_len", PAGE));
	ASSERT_LE((long)(MIB / PAGE), descriptors_used(self));
	ASSERT_EQ(0, softdma_set("max_len", ~0U));
	zc_sleep_ms(11000);
	EXPECT_GT(MANY, descriptors_used(self));
}

/*
 * The same of an engine that took no short pieces: a CPU moves them meanwhile. In the end the
 * engine gets such a piece again.
 */
TEST_F(fairness, an_engine_that_took_no_short_pieces_gets_them_again_in_a_while)
{
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	ASSERT_EQ(0, softdma_set("null_us", 3000000));
	ASSERT_EQ(0, zc_copy(self->fd, self->dst, self->src, 64));
	EXPECT_EQ(0, softdma_get("descriptors"));
	ASSERT_EQ(0, softdma_set("null_us", 0));
	zc_sleep_ms(11000);
	ASSERT_EQ(0, zc_copy(self->fd, self->dst + 64, self->src + 64, 64));
	EXPECT_EQ(1, softdma_get("descriptors"));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 128));
}

/* All the time that CPUs of this machine were not idle, in clock ticks. */
static long ticks_used(void)
{
	FILE *f = fopen("/proc/stat", "re");
	long user, nice, system, irq, softirq;

	CHILD_CHECK(f && fscanf(f, "cpu %ld %ld %ld %*d %*d %ld %ld", &user, &nice, &system, &irq,
				&softirq) == 5);
	fclose(f);
	return user + nice + system + irq + softirq;
}

static long ticks_used_in_2_s(void)
{
	long before = ticks_used();

	zc_sleep_ms(2000);
	return ticks_used() - before;
}

/*
 * An op waits behind a barrier for one that the engine keeps, as it cannot be stopped. That
 * takes no CPU: less than a quarter of one more than without the barrier.
 */
TEST_F(fairness, a_barrier_behind_a_stuck_op_waits_asleep)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	long without, used;

	close(self->fd);
	ASSERT_EQ(0, softdma_become("no_terminate=Y"));
	self->fd = zc_session_and_channel("softdma", 0, self->channel);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, softdma_set("hang", 1));
	op.deadline_ms = 100;
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	without = ticks_used_in_2_s();
	op.dst += 2 * PAGE;
	op.flags = ZCDMA_OP_FLAG_BARRIER;
	op.deadline_ms = 20000;
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	zc_sleep_ms(500);
	used = ticks_used_in_2_s();
	EXPECT_GT(sysconf(_SC_CLK_TCK), used - without) {
		TH_LOG("%ld ticks in 2 s, %ld without the barrier", used, without);
	}
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(0, self->done[0].res);
}

/*
 * The first of two ops is done, the second hangs: the first is told at once. (Where it is not,
 * that depends on when in a clock tick it was done: so there are some rounds.)
 */
TEST_F(fairness, an_op_that_is_done_does_not_wait_for_one_that_hangs)
{
	struct zcdma_op ops[2];

	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 2; i++) {
			ops[i] = zc_copy_op(self->dst + i * PAGE, self->src, PAGE, i);
			ops[i].deadline_ms = 60000;
		}
		ASSERT_EQ(0, softdma_set("hang_nth", 2));
		ASSERT_EQ(0, zc_submit(self->fd, ops, 2, NULL));
		ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, 3000));
		EXPECT_EQ(0, self->done[0].user_data);
		EXPECT_EQ(0, self->done[0].res);
		ASSERT_EQ(0, softdma_set("hang_nth", 0));
		ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
		EXPECT_EQ(1, self->done[0].user_data);
		EXPECT_EQ(0, self->done[0].res);
	}
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
