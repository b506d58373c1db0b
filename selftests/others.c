// SPDX-License-Identifier: GPL-2.0
/*
 * What an ordinary user may do to the others at a channel: their ops of 4 KiB are done
 * within 100 ms all the same, and the kernel does nothing for longer than a million instructions
 * without being interruptible. Where instructions are counted: then that is a time, and what an
 * attack may cost the others is about twice what it does cost them.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "harness.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define MIB		(256 * PAGE)
#define DEPTH		4096
#define NAP_US		200
/* An op may come while the kernel does what nobody may preempt: a million instructions at most. */
#define LATEST_US	1000
#define FEWEST		20	/* ops that tell something */
#define PREEMPT		"/sys/kernel/debug/sched/preempt"

/*
 * The kernel keeps free pages for each CPU, here thousands of them, and frees most of them at
 * once when they are too many: for 3.6 ms, with interrupts off, whoever's page was the last. That
 * is nothing of ours; with lists as short as they may be it does not happen.
 */
#define FREE_LISTS	"/proc/sys/vm/percpu_pagelist_high_fraction"
#define SHORTEST	"1000000"

/* What the watcher has seen, in memory that both see. */
struct seen {
	atomic_bool begun;
	atomic_ulong longest_us;
};

FIXTURE(others) {
	int fd;
	char channel[ZCDMA_NAME_LEN];	/* the session's */
	char *src, *dst;		/* MIB bytes */
	struct seen *seen;
	int stuck;			/* of one test: a session with an op that hangs */
	pid_t watcher;
};

#define WORLD FIXTURE_DATA(others)

/* As Debian's kernels are, and so that the watcher sees what nobody may preempt. */
FIXTURE_VARIANT(others) {
	const char *preemption;
	bool watched;
};

FIXTURE_VARIANT_ADD(others, as_usual) { .preemption = "voluntary" };
FIXTURE_VARIANT_ADD(others, preemptible) { .preemption = "full", .watched = true };

static __u64 now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

/*
 * Runs before all else as soon as it is woken, if the kernel can be preempted. How late that was:
 * so long something had switched preemption off, or interrupts.
 */
static pid_t start_watcher(struct seen *seen)
{
	struct sched_param how = { .sched_priority = 50 };
	pid_t pid;

	IN_CHILD(pid) {
		__u64 due = now_us();

		CHILD_CHECK(!sched_setscheduler(0, SCHED_FIFO, &how));
		for (;;) {
			struct timespec until;
			__u64 now;

			due += NAP_US;
			until.tv_sec = due / 1000000;
			until.tv_nsec = due % 1000000 * 1000;
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
			now = now_us();
			if (now - due > seen->longest_us)
				seen->longest_us = now - due;
			seen->begun = true;
			due = now;
		}
	}
	return pid;
}

/* The lists are as short as they may be when something is freed next: not by an attack. */
static int shorten_free_lists(void)
{
	int err = zc_write_file(FREE_LISTS, SHORTEST);
	char *some = zc_map(8 * MIB);

	memset(some, 1, 8 * MIB);
	return err ?: munmap(some, 8 * MIB);
}

static int take_channel(WORLD *self)
{
	self->fd = zc_session_and_channel("softdma", 0, self->channel);
	return self->fd;
}

FIXTURE_SETUP(others)
{
	ASSERT_EQ(0, zc_write_file(PREEMPT, variant->preemption));
	ASSERT_EQ(0, shorten_free_lists());
	ASSERT_EQ(0, softdma_become("align=64 ledger=N"));
	zc_unlimit_memlock();
	ASSERT_LE(0, take_channel(self));
	self->src = zc_map(MIB);
	self->dst = zc_map(MIB);
	memset(self->src, 1, MIB);
	memset(self->dst, 2, MIB);
	self->seen = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->seen);
}

FIXTURE_TEARDOWN(others)
{
	if (self->watcher > 0) {
		kill(self->watcher, SIGKILL);
		zc_wait(self->watcher);
	}
	softdma_set("hang_nth", 0);
	close(self->fd);
	EXPECT_EQ(0, softdma_reset());
	EXPECT_EQ(0, zc_write_file(FREE_LISTS, "0"));
	EXPECT_EQ(0, zc_write_file(PREEMPT, "voluntary"));
}

/* What a user does to them, at the same channel. */
struct attack {
	void (*begin)(const WORLD *self, int fd);
	__u64 latest_us;		/* until an op of 4 KiB of theirs is done */
	unsigned long longest_us;	/* without preemption */
};

static pid_t start(const WORLD *self, const struct attack *attack)
{
	pid_t pid;

	IN_CHILD(pid) {
		int fd;

		zc_become_user(1UL << 40);
		fd = zc_session(self->channel, DEPTH);
		CHILD_CHECK(fd >= 0);
		attack->begin(self, fd);
	}
	return pid;
}

static bool has_ended(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

/* Op after op of the victim's, until the attack is over. */
static void suffer(struct __test_metadata *_metadata, WORLD *self, bool watched,
		   const struct attack *attack)
{
	__u64 longest = 0, sum = 0, took, start_us;
	unsigned int nr = 0;
	int status = 0;
	pid_t pid;

	self->watcher = start_watcher(self->seen);
	while (!self->seen->begun)
		zc_sleep_ms(1);
	self->seen->longest_us = 0;
	pid = start(self, attack);
	do {
		start_us = now_us();
		ASSERT_EQ(0, zc_copy(self->fd, self->dst, self->src, PAGE));
		took = now_us() - start_us;
		longest = took > longest ? took : longest;
		sum += took;
		nr++;
		zc_sleep_ms(1);
	} while (!has_ended(pid, &status));
	TH_LOG("%u ops took %llu us on average, %llu at most; the watcher was %lu us late",
	       nr, (unsigned long long)(sum / nr), (unsigned long long)longest,
	       self->seen->longest_us);
	EXPECT_EQ(0, status);
	EXPECT_LE(FEWEST, nr);
	EXPECT_GE(attack->latest_us, longest);
	if (watched)
		EXPECT_GE(attack->longest_us, self->seen->longest_us);
}

/* @count times the same, from one offset in registered memory to another. */
static struct zcdma_op *registered_ops(const WORLD *self, int fd, unsigned int count,
				       size_t to, size_t from, size_t len)
{
	int src = zc_register(fd, self->src, MIB, ZCDMA_BUFFER_READ_ONLY);
	int dst = zc_register(fd, self->dst, MIB, 0);
	struct zcdma_op *ops = calloc(count, sizeof(*ops));

	CHILD_CHECK(ops && src > 0 && dst > 0);
	for (unsigned int i = 0; i < count; i++)
		ops[i] = (struct zcdma_op){
			.opcode = ZCDMA_OP_COPY, .dst_buffer = dst, .dst = to,
			.src_buffer = src, .src = from, .len = len, .user_data = i,
		};
	return ops;
}

static void reap_all(int fd)
{
	static struct zcdma_completion c[256];
	int n;

	do {
		n = zc_read(fd, c, 256);
		CHILD_CHECK(n >= 0);
	} while (n);
}

/* The source does not fit the target: a CPU moves all of it, be it much or little. */
static void misaligned_ops(const WORLD *self, int fd, size_t len, int rounds)
{
	struct zcdma_op *ops = registered_ops(self, fd, DEPTH, 0, 1, len);

	for (int i = 0; i < rounds; i++) {
		CHILD_CHECK(!zc_submit(fd, ops, DEPTH, NULL));
		reap_all(fd);
	}
}

static void short_misaligned_ops(const WORLD *self, int fd)
{
	misaligned_ops(self, fd, 60, 20);
}

static void long_misaligned_ops(const WORLD *self, int fd)
{
	misaligned_ops(self, fd, 64 << 10, 2);
}

/* Nobody reads: the kernel does it by itself. */
static void misaligned_ops_that_nobody_reads(const WORLD *self, int fd)
{
	struct zcdma_op *ops = registered_ops(self, fd, DEPTH, 0, 1, 32 << 10);

	CHILD_CHECK(!zc_submit(fd, ops, DEPTH, NULL));
	zc_sleep_ms(1000);
}

TEST_F_TIMEOUT(others, are_served_beside_a_flood_of_short_misaligned_ops, 120)
{
	static const struct attack attack = { short_misaligned_ops, LATEST_US, 70 };

	suffer(_metadata, self, variant->watched, &attack);
}

TEST_F_TIMEOUT(others, are_served_beside_a_flood_of_long_misaligned_ops, 120)
{
	static const struct attack attack = { long_misaligned_ops, LATEST_US, 70 };

	suffer(_metadata, self, variant->watched, &attack);
}

TEST_F_TIMEOUT(others, are_served_beside_misaligned_ops_that_nobody_reads, 120)
{
	static const struct attack attack = { misaligned_ops_that_nobody_reads, LATEST_US, 850 };

	suffer(_metadata, self, variant->watched, &attack);
}

/* All of them are a CPU's, and wait for one that the engine has: then they may begin at once. */
static void misaligned_ops_behind_a_barrier(const WORLD *self, int fd)
{
	struct zcdma_op *ops = registered_ops(self, fd, DEPTH, 0, 1, 1000);

	ops[0].src = 0;
	ops[0].len = PAGE;
	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
	for (int i = 0; i < 30; i++) {
		CHILD_CHECK(!zc_submit(fd, ops, DEPTH, NULL));
		reap_all(fd);
	}
}

TEST_F_TIMEOUT(others, are_served_beside_misaligned_ops_behind_a_barrier, 240)
{
	static const struct attack attack = { misaligned_ops_behind_a_barrier, 200000, 500 };

	ASSERT_EQ(0, softdma_set("delay_us", 50000));
	suffer(_metadata, self, variant->watched, &attack);
}

/* In the session that has the stuck op, as much as the queue takes. */
static void barriers_behind_a_stuck_op(const WORLD *self, int fd)
{
	struct zcdma_op *ops = calloc(DEPTH, sizeof(*ops));
	__u32 accepted;

	CHILD_CHECK(ops);
	for (unsigned int i = 0; i < DEPTH; i++) {
		ops[i] = zc_copy_op(self->dst, self->src, PAGE, i);
		ops[i].flags = i % 2 ? 0 : ZCDMA_OP_FLAG_BARRIER;
		ops[i].deadline_ms = 2000;
	}
	CHILD_CHECK(zc_submit(self->stuck, ops, DEPTH, &accepted) == -EAGAIN);
	CHILD_CHECK(accepted == DEPTH - 1);
	reap_all(self->stuck);
}

/*
 * An engine keeps an op that was over after 50 ms, and cannot be stopped. The others are at the
 * next one: what waits behind the barrier takes no time of theirs.
 */
TEST_F_TIMEOUT(others, are_served_beside_a_barrier_behind_a_stuck_op, 120)
{
	static const struct attack attack = { barriers_behind_a_stuck_op, LATEST_US, 200 };
	struct zcdma_op op = zc_copy_op(self->dst + PAGE, self->src, PAGE, 0);
	struct zcdma_completion c;

	close(self->fd);
	ASSERT_EQ(0, softdma_become("no_terminate=Y ledger=N"));
	ASSERT_LE(0, take_channel(self));
	self->stuck = zc_session(self->channel, DEPTH);
	ASSERT_LE(0, self->stuck);
	op.deadline_ms = 50;
	ASSERT_EQ(0, softdma_set("hang_nth", 1));
	ASSERT_EQ(0, zc_submit_wait(self->stuck, &op, 1, &c, NULL));
	ASSERT_EQ(-ETIMEDOUT, c.res);
	close(self->fd);
	ASSERT_LE(0, take_channel(self));
	suffer(_metadata, self, variant->watched, &attack);
	ASSERT_EQ(0, softdma_set("hang_nth", 0));
	EXPECT_EQ(0, zc_drain(self->stuck, 20000));
	close(self->stuck);
}

/* What is pinned, mapped and queued for each is let go of. */
static void cancelled_long_ops(const WORLD *self, int fd)
{
	struct zcdma_op *ops = calloc(DEPTH, sizeof(*ops));
	__u32 cancelled;

	CHILD_CHECK(ops);
	for (unsigned int i = 0; i < DEPTH; i++)
		ops[i] = zc_copy_op(self->dst, self->src, 256 << 10, i);
	for (int i = 0; i < 4; i++) {
		CHILD_CHECK(!zc_submit(fd, ops, DEPTH, NULL));
		CHILD_CHECK(!zc_cancel(fd, 0, ZCDMA_CANCEL_ALL, &cancelled));
		fprintf(stderr, "# %u were cancelled\n", cancelled);
		reap_all(fd);
	}
}

TEST_F_TIMEOUT(others, are_served_beside_a_cancel_of_4096_long_ops, 240)
{
	static const struct attack attack = { cancelled_long_ops, 100000, 100 };

	ASSERT_EQ(0, softdma_set("delay_us", 1000));
	suffer(_metadata, self, variant->watched, &attack);
}

/* All ops are looked at, and none is meant. */
static void cancels_of_nothing(const WORLD *self, int fd)
{
	struct zcdma_op *ops = registered_ops(self, fd, DEPTH, 0, 0, PAGE);

	for (unsigned int i = 0; i < DEPTH; i++)
		ops[i].flags = ZCDMA_OP_FLAG_BARRIER;
	CHILD_CHECK(!zc_submit(fd, ops, DEPTH, NULL));
	for (int i = 0; i < 5000; i++)
		CHILD_CHECK(zc_cancel(fd, DEPTH, 0, NULL) == -ENOENT);
	CHILD_CHECK(!zc_cancel(fd, 0, ZCDMA_CANCEL_ALL, NULL));
	reap_all(fd);
}

TEST_F_TIMEOUT(others, are_served_beside_cancels_that_find_nothing, 240)
{
	static const struct attack attack = { cancels_of_nothing, 100000, 70 };

	ASSERT_EQ(0, softdma_set("delay_us", 1000));
	suffer(_metadata, self, variant->watched, &attack);
}

static void do_nothing(int sig)
{
}

/* Each signal ends a wait for all of them: they let go of who waits. */
static void waits_that_end(const WORLD *self, int fd)
{
	struct zcdma_op *ops = registered_ops(self, fd, DEPTH, 0, 0, PAGE);
	const struct itimerval soon = { .it_value.tv_usec = 20000 };

	signal(SIGALRM, do_nothing);
	for (unsigned int i = 0; i < DEPTH; i++)
		ops[i].flags = ZCDMA_OP_FLAG_BARRIER;
	for (int i = 0; i < 10; i++) {
		CHILD_CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
		CHILD_CHECK(zc_submit_wait(fd, ops, DEPTH, NULL, NULL) == -EINTR);
		CHILD_CHECK(!zc_cancel(fd, 0, ZCDMA_CANCEL_ALL, NULL));
		reap_all(fd);
	}
}

TEST_F_TIMEOUT(others, are_served_beside_waits_that_end, 240)
{
	static const struct attack attack = { waits_that_end, 100000, 70 };

	ASSERT_EQ(0, softdma_set("delay_us", 1000));
	suffer(_metadata, self, variant->watched, &attack);
}

/* All are past their deadline at the same time, most before they have begun. */
static void tiny_deadlines(const WORLD *self, int fd)
{
	struct zcdma_op *ops = registered_ops(self, fd, DEPTH, 0, 0, PAGE);

	for (unsigned int i = 0; i < DEPTH; i++)
		ops[i].deadline_ms = 1;
	for (int i = 0; i < 40; i++) {
		CHILD_CHECK(!zc_submit(fd, ops, DEPTH, NULL));
		reap_all(fd);
	}
}

TEST_F_TIMEOUT(others, are_served_beside_tiny_deadlines, 120)
{
	static const struct attack attack = { tiny_deadlines, 80000, 70 };

	ASSERT_EQ(0, softdma_set("delay_us", 1000));
	suffer(_metadata, self, variant->watched, &attack);
}

/* The session is closed with all of them queued, again and again. */
static void closed_with_long_ops(const WORLD *self, int fd)
{
	struct zcdma_op *ops = calloc(DEPTH, sizeof(*ops));

	CHILD_CHECK(ops);
	for (unsigned int i = 0; i < DEPTH; i++)
		ops[i] = zc_copy_op(self->dst, self->src, 256 << 10, i);
	for (int i = 0; i < 4; i++) {
		CHILD_CHECK(!zc_submit(fd, ops, DEPTH, NULL));
		close(fd);
		fd = zc_session(self->channel, DEPTH);
		CHILD_CHECK(fd >= 0);
	}
}

TEST_F_TIMEOUT(others, are_served_beside_a_close_with_4096_long_ops, 240)
{
	static const struct attack attack = { closed_with_long_ops, 100000, 200 };

	ASSERT_EQ(0, softdma_set("delay_us", 1000));
	suffer(_metadata, self, variant->watched, &attack);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_COUNTED_ONLY()
ZC_TEST_MAIN
