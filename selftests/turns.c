// SPDX-License-Identifier: GPL-2.0
/*
 * What sessions get that share a channel: the same bytes, and a small op is not behind all that
 * others have queued. Each piece takes the software engine the same time, far more than the CPU
 * needs, so the window of pieces at the engine frees one slot at a time. Times and shares are
 * decided where time is counted: what a host is busy with does not matter then.
 */
#include <poll.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "pattern.h"
#include "region.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PATIENCE	60000	/* ms */
#define KIB		1024UL
#define SESSIONS	8
#define DEPTH		64	/* ops of a session */
#define DELAY_US	2000	/* for each piece */
#define WINDOW		32	/* pieces that are at an engine at once, at most */

static const struct pattern source = { 's', 1 };

FIXTURE(turns) {
	struct region from, to;		/* huge pages: an op is one piece */
	int fds[SESSIONS];
	char channel[ZCDMA_NAME_LEN];
};

#define WORLD FIXTURE_DATA(turns)

FIXTURE_SETUP(turns)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	ASSERT_EQ(0, region_map(&self->from, REGION_HUGETLB, HUGE_PAGE));
	ASSERT_EQ(0, region_map(&self->to, REGION_HUGETLB, SESSIONS * HUGE_PAGE));
	pattern_write(source, self->from.base, 0, HUGE_PAGE);
	for (int i = 0; i < SESSIONS; i++) {
		self->fds[i] = zc_session_and_channel(i ? self->channel : "softdma", DEPTH,
						      self->channel);
		ASSERT_LE(0, self->fds[i]);
	}
}

FIXTURE_TEARDOWN(turns)
{
	softdma_reset();
	for (int i = 0; i < SESSIONS; i++)
		close(self->fds[i]);
	region_unmap(&self->from);
	region_unmap(&self->to);
}

static struct zcdma_op piece(const WORLD *self, int session, size_t len)
{
	struct zcdma_op op = zc_copy_op(self->to.base + session * HUGE_PAGE, self->from.base, len,
					session);

	op.deadline_ms = PATIENCE;
	return op;
}

/* As many ops of @len bytes as the queue takes. */
static int fill_queue(const WORLD *self, int session, size_t len)
{
	struct zcdma_op ops[DEPTH];

	for (int i = 0; i < DEPTH; i++)
		ops[i] = piece(self, session, len);
	return zc_submit(self->fds[session], ops, DEPTH, NULL);
}

/* Jain's index: 1 when all have the same, 1 / @n when one has everything. */
static double jain(const __u64 *shares, int n)
{
	double sum = 0, squares = 0;

	for (int i = 0; i < n; i++) {
		sum += shares[i];
		squares += (double)shares[i] * shares[i];
	}
	return squares ? sum * sum / (n * squares) : 0;
}

/*
 * Each session keeps its queue full of ops of its length, for @ms. Jain's index of the bytes
 * that they moved.
 */
static double share(struct __test_metadata *_metadata, WORLD *self, const size_t *lens, int n,
		    unsigned int ms)
{
	__u64 moved[SESSIONS] = { 0 }, end = zc_now_ms() + ms;
	struct zcdma_completion c[DEPTH];
	double index;

	ASSERT_EQ(0, softdma_set("delay_us", DELAY_US));
	for (int i = 0; i < n; i++)
		ASSERT_EQ(0, fill_queue(self, i, lens[i]));
	while (zc_now_ms() < end) {
		zc_sleep_ms(10);
		for (int i = 0; i < n; i++) {
			while (zc_poll(self->fds[i], POLLIN, 0)) {
				struct zcdma_op op = piece(self, i, lens[i]);

				ASSERT_EQ(1, zc_read(self->fds[i], c, 1));
				ASSERT_EQ(0, c[0].res);
				moved[i] += c[0].done;
				ASSERT_EQ(0, zc_submit(self->fds[i], &op, 1, NULL));
			}
		}
	}
	index = jain(moved, n);
	TH_LOG("Jain's index is %.4f", index);
	for (int i = 0; i < n; i++) {
		TH_LOG("session %d, ops of %zu KiB: %llu KiB", i, lens[i] / KIB,
		       (unsigned long long)(moved[i] / KIB));
		ASSERT_TRUE(!moved[i] || pattern_holds(source, self->to.base + i * HUGE_PAGE, 0,
						       lens[i]));
	}
	return index;
}

TEST_F_TIMEOUT(turns, sessions_with_long_pieces_move_the_same, 60)
{
	size_t lens[SESSIONS];

	for (int i = 0; i < SESSIONS; i++)
		lens[i] = 256 * KIB;
	EXPECT_LE(0.95, share(_metadata, self, lens, SESSIONS, 2000));
}

/* By bytes, not by ops: who has longer ops does not get more. */
TEST_F_TIMEOUT(turns, sessions_with_pieces_of_different_length_move_the_same, 60)
{
	const size_t lens[] = { 16 * KIB, 64 * KIB, 256 * KIB };

	EXPECT_LE(0.95, share(_metadata, self, lens, ARRAY_SIZE(lens), 4000));
}

static __u64 now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

/* Microseconds that an op of session 1 takes. */
static __u64 time_of(struct __test_metadata *_metadata, WORLD *self, size_t len)
{
	struct zcdma_op op = piece(self, 1, len);
	struct zcdma_completion c;
	__u64 start = now_us();

	ASSERT_EQ(0, zc_submit_wait(self->fds[1], &op, 1, &c, NULL));
	ASSERT_EQ(0, c.res);
	return now_us() - start;
}

#define LONG	(256 * KIB)
#define SHORT	(4 * KIB)

/* It waits for what is at the engine, and is the next. */
TEST_F_TIMEOUT(turns, small_op_waits_for_one_window_of_another_session, 60)
{
	__u64 alone, took;

	ASSERT_EQ(0, softdma_set("delay_us", DELAY_US));
	time_of(_metadata, self, LONG);
	alone = time_of(_metadata, self, LONG);
	ASSERT_EQ(0, fill_queue(self, 0, LONG));
	took = time_of(_metadata, self, SHORT);
	TH_LOG("a long op alone takes %llu us, the small one beside others %llu us",
	       (unsigned long long)alone, (unsigned long long)took);
	EXPECT_GE((WINDOW + 2) * alone, took);
}

/* What is at an engine at once lasts some 50 ms, however slow it is. */
TEST_F_TIMEOUT(turns, small_op_at_a_slow_engine_waits_100_ms_at_most, 60)
{
	__u64 took;

	ASSERT_EQ(0, softdma_set("delay_us", 20000));
	/* It has been seen how slow it is. */
	for (int i = 0; i < 8; i++)
		time_of(_metadata, self, LONG);
	ASSERT_EQ(0, fill_queue(self, 0, LONG));
	took = time_of(_metadata, self, SHORT);
	EXPECT_GE(100 * 1000, took) {
		TH_LOG("it took %llu us", (unsigned long long)took);
	}
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_COUNTED_ONLY()
ZC_TEST_MAIN
