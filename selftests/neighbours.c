// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes that share a cache line with a source or a target and belong to somebody
 * else, who uses them meanwhile. Where an engine does not see the CPU's caches, a
 * line that both of them write keeps the bytes of one. So an engine must not get
 * what is in such a line, and a bounce buffer must bring back no byte more than
 * the engine moved.
 *
 * A thread hammers on the neighbours: it writes, and looks whether what it wrote
 * is replaced by something else.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"
#include "pattern.h"
#include "zcdma_util.h"

#define LINE		128	/* the longest there is where memory is not coherent */
#define PAGE		4096
#define SIZE		(4 * PAGE)
#define ROUNDS		(zc_brief() ? 4 : 8)

static const size_t lens[] = {
	1, 2, 3, 4, 7, 8, 31, 32, 33, 63, 64, 65, LINE - 1, LINE, LINE + 1, LINE + 32,
	2 * LINE - 1, 2 * LINE, 2 * LINE + 1, 3 * LINE - 1, 3 * LINE,
};

/* Of the target in its line */
static const size_t offsets[] = { 0, 1, 4, 37, 64, LINE - 1 };

/* ---- the hammer ---- */

static atomic_uint blows;

struct range {
	atomic_uchar *at;
	size_t len;
};

struct hammer {
	pthread_t thread;
	atomic_bool stop;
	struct range ranges[3];
	unsigned char value;
	bool lost;
};

static void range_set(struct range *r, char *at, size_t len)
{
	r->at = (atomic_uchar *)at;
	r->len = len;
}

static bool all_hold(const struct hammer *h)
{
	for (size_t r = 0; r < ARRAY_SIZE(h->ranges); r++)
		for (size_t i = 0; i < h->ranges[r].len; i++)
			if (h->ranges[r].at[i] != h->value)
				return false;
	return true;
}

static void write_all(const struct hammer *h)
{
	for (size_t r = 0; r < ARRAY_SIZE(h->ranges); r++)
		for (size_t i = 0; i < h->ranges[r].len; i++)
			h->ranges[r].at[i] = h->value;
}

static void *hammer_on(void *arg)
{
	struct hammer *h = arg;

	for (; !h->stop && !h->lost; blows++) {
		h->value++;
		write_all(h);
		for (int look = 0; look < 5 && !h->lost; look++)
			h->lost = !all_hold(h);
	}
	return NULL;
}

static int hammer_start(struct hammer *h)
{
	unsigned int before = blows;
	int err = -pthread_create(&h->thread, NULL, hammer_on, h);

	while (!err && blows == before)
		sched_yield();
	return err;
}

/* Did the neighbours keep all that was written to them, to the last? */
static bool hammer_stop(struct hammer *h)
{
	h->stop = true;
	return !pthread_join(h->thread, NULL) && !h->lost && all_hold(h);
}

/* ---- one engine ---- */

FIXTURE(line) {
	int fd;
	__u32 flags;		/* of all completions */
	unsigned int struck;	/* ops during which the hammer fell */
	char *src, *dst;	/* SIZE bytes each */
};

#define WORLD FIXTURE_DATA(line)

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE_SETUP(line)
{
	zc_unlimit_memlock();
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(line)
{
	/* Or nothing was tried. CPUs by turns are at an op that takes no time until it is over. */
	EXPECT_TRUE(self->struck || zc_lacks("threads"));
	close(self->fd);
}

static int do_op(WORLD *self, struct zcdma_op op)
{
	struct zcdma_completion c;
	unsigned int before = blows;
	int err = zc_submit_wait(self->fd, &op, 1, &c, NULL);

	self->struck += blows != before;
	if (err || c.res)
		return err ?: c.res;
	self->flags |= c.flags;
	return c.done == op.len * (op.rows ?: 1) ? 0 : -EIO;
}

/* It cannot be that the CPU moved everything, if there is an engine. */
static bool engine_took_part(const WORLD *self)
{
	struct zcdma_query_channel channel;

	if (zc_query(zc_provider(), &channel))
		return false;
	return !(channel.out_caps & ZCDMA_CAP_HARDWARE) || (self->flags & ZCDMA_DONE_HARDWARE);
}

/* Copy again and again to the same place, while the hammer is on its neighbours. */
static bool copies_arrive(WORLD *self, struct hammer *h, char *dst, const char *src, size_t len)
{
	bool fine = !hammer_start(h);

	for (int i = 0; i < ROUNDS && fine; i++) {
		memset(dst, i, len);
		fine = !do_op(self, zc_copy_op(dst, src, len, 0)) &&
		       pattern_holds(source, dst, src - self->src, len);
	}
	fine = hammer_stop(h) && fine;
	if (!fine)
		fprintf(stderr, "# length %zu, source ...%03zx, target ...%03zx: %s\n", len,
			(size_t)src % PAGE, (size_t)dst % PAGE,
			h->lost ? "a neighbour lost what was written" : "the copy failed");
	return fine;
}

TEST_F_TIMEOUT(line, of_the_target_is_written_by_others, 60)
{
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
			char *dst = self->dst + PAGE + offsets[o];
			const char *src = self->src + offsets[o] + (l & 1 ? 4 * o : l * o);
			struct hammer h = { 0 };

			range_set(&h.ranges[0], dst - LINE, LINE);
			range_set(&h.ranges[1], dst + lens[l], LINE);
			ASSERT_TRUE(copies_arrive(self, &h, dst, src, lens[l]));
		}
	}
	EXPECT_TRUE(engine_took_part(self));
	EXPECT_TRUE(pattern_holds(source, self->src, 0, SIZE));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, PAGE - LINE));
	EXPECT_TRUE(pattern_holds(target, self->dst + 2 * PAGE, 2 * PAGE, 2 * PAGE));
}

TEST_F_TIMEOUT(line, of_the_source_is_written_by_others, 60)
{
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
			char *src = self->src + PAGE + offsets[o];
			struct hammer h = { 0 };

			pattern_write(source, self->src, 0, 2 * PAGE);
			range_set(&h.ranges[0], src - LINE, LINE);
			range_set(&h.ranges[1], src + lens[l], LINE);
			ASSERT_TRUE(copies_arrive(self, &h, self->dst + PAGE + offsets[o], src,
						  lens[l]));
		}
	}
	EXPECT_TRUE(engine_took_part(self));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, PAGE));
	EXPECT_TRUE(pattern_holds(target, self->dst + 2 * PAGE, 2 * PAGE, 2 * PAGE));
}

/* Before the rows, between them and behind: the engine is to write nothing there. */
TEST_F_TIMEOUT(line, between_rows_is_written_by_others, 60)
{
	const size_t gaps[] = { 1, 5, 64, 100 };

	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		for (size_t g = 0; g < ARRAY_SIZE(gaps); g++) {
			char *dst = self->dst + PAGE + 8 * l;
			const char *src = self->src + 8 * l + (g & 1 ? 4 * g : 0);
			size_t len = lens[l], stride = len + gaps[g];
			struct zcdma_op op = zc_copy_op(dst, src, len, 0);
			struct hammer h = { 0 };

			op.opcode = ZCDMA_OP_COPY_2D;
			op.rows = 2;
			op.src_stride = len;
			op.dst_stride = stride;
			range_set(&h.ranges[0], dst - LINE, LINE);
			range_set(&h.ranges[1], dst + len, gaps[g]);
			range_set(&h.ranges[2], dst + stride + len, LINE);
			ASSERT_EQ(0, hammer_start(&h));
			for (int i = 0; i < ROUNDS; i++) {
				memset(dst, i, len);
				memset(dst + stride, i, len);
				ASSERT_EQ(0, do_op(self, op));
				ASSERT_TRUE(pattern_holds(source, dst, src - self->src, len));
				ASSERT_TRUE(pattern_holds(source, dst + stride,
							  src + len - self->src, len));
			}
			ASSERT_TRUE(hammer_stop(&h)) {
				TH_LOG("rows of %zu, gaps of %zu", len, gaps[g]);
			}
		}
	}
	EXPECT_TRUE(pattern_holds(source, self->src, 0, SIZE));
}

/* Neighbours before, between and behind: all in one line, where they are short. */
TEST_F_TIMEOUT(line, has_source_and_target_and_is_written_by_others, 60)
{
	const size_t gaps[] = { 0, 1, 5, 64 };

	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		for (size_t g = 0; g < ARRAY_SIZE(gaps); g++) {
			char *src = self->src + PAGE + 3 * l;
			char *dst = src + lens[l] + gaps[g];
			struct hammer h = { 0 };

			pattern_write(source, self->src, 0, 2 * PAGE);
			range_set(&h.ranges[0], src - LINE, LINE);
			range_set(&h.ranges[1], src + lens[l], gaps[g]);
			range_set(&h.ranges[2], dst + lens[l], LINE);
			ASSERT_TRUE(copies_arrive(self, &h, dst, src, lens[l]));
			ASSERT_TRUE(pattern_holds(source, src, src - self->src, lens[l]));
		}
	}
	EXPECT_TRUE(pattern_holds(source, self->src, 0, PAGE - LINE));
}

TEST_F_TIMEOUT(line, that_is_filled_is_written_by_others, 60)
{
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
			char *dst = self->dst + PAGE + offsets[o];
			struct hammer h = { 0 };

			range_set(&h.ranges[0], dst - LINE, LINE);
			range_set(&h.ranges[1], dst + lens[l], LINE);
			ASSERT_EQ(0, hammer_start(&h));
			for (int i = 0; i < ROUNDS; i++) {
				ASSERT_EQ(0, do_op(self, zc_fill_op(dst, i, lens[l], 0)));
				ASSERT_TRUE(filled_with(i, dst, lens[l]));
			}
			ASSERT_TRUE(hammer_stop(&h)) {
				TH_LOG("length %zu at %zu", lens[l], offsets[o]);
			}
		}
	}
	EXPECT_TRUE(engine_took_part(self));
}

/* ---- two engines ---- */

static int submit_copy(int fd, char *dst, const char *src, size_t len)
{
	struct zcdma_op op = zc_copy_op(dst, src, len, 0);

	return zc_submit(fd, &op, 1, NULL);
}

static int reap_one(int fd)
{
	struct zcdma_completion c;

	return zc_reap(fd, &c, 1, 10000) == 1 ? c.res : -ETIME;
}

/*
 * Two sessions, on two channels if there are two, write to the two ends of one
 * row of lines at once; in between is the hammer.
 */
TEST_F_TIMEOUT(line, is_written_for_two_sessions_and_by_others, 60)
{
	int other = zc_session(zc_provider(), 0);

	ASSERT_LE(0, other);
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		size_t len = lens[l], at = PAGE + 11 * l;
		char *left = self->dst + at, *right = left + len + 9;
		struct hammer h = { 0 };

		range_set(&h.ranges[0], left - LINE, LINE);
		range_set(&h.ranges[1], left + len, 9);
		range_set(&h.ranges[2], right + len, LINE);
		ASSERT_EQ(0, hammer_start(&h));
		for (int i = 0; i < ROUNDS; i++) {
			unsigned int before = blows;

			ASSERT_EQ(0, submit_copy(self->fd, left, self->src + i, len));
			ASSERT_EQ(0, submit_copy(other, right, self->src + PAGE + i, len));
			ASSERT_EQ(0, reap_one(self->fd));
			ASSERT_EQ(0, reap_one(other));
			self->struck += blows != before;
			ASSERT_TRUE(pattern_holds(source, left, i, len));
			ASSERT_TRUE(pattern_holds(source, right, PAGE + i, len));
		}
		ASSERT_TRUE(hammer_stop(&h)) {
			TH_LOG("length %zu", len);
		}
	}
	close(other);
}

ZC_TEST_MAIN
