// SPDX-License-Identifier: GPL-2.0
/*
 * 2-D ops: every byte of every row where it belongs, and no byte between rows changed. What must
 * be in the target afterwards is worked out by a CPU, in memory of the test's own.
 */
#include <signal.h>
#include <sys/mman.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(64 * PAGE)
#define PATIENCE	20000

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

/* Where rows are, in source and target. */
struct shape {
	size_t to, from, len, dst_stride, src_stride;
	__u32 rows;
};

FIXTURE(rows) {
	long pinned;
	int fd;
	char *src, *dst;	/* SIZE bytes each */
	char *want;		/* what the target must be */
	int src_id, dst_id;	/* of those that are registered, or 0 */
};

/* Which end is registered. */
FIXTURE_VARIANT(rows) {
	bool src, dst;
};

FIXTURE_VARIANT_ADD(rows, unregistered) {
	.src = false, .dst = false,
};

FIXTURE_VARIANT_ADD(rows, registered) {
	.src = true, .dst = true,
};

FIXTURE_VARIANT_ADD(rows, to_registered) {
	.src = false, .dst = true,
};

FIXTURE_VARIANT_ADD(rows, from_registered) {
	.src = true, .dst = false,
};

#define WORLD FIXTURE_DATA(rows)

static void begin(WORLD *self)
{
	pattern_write(target, self->dst, 0, SIZE);
	pattern_write(target, self->want, 0, SIZE);
}

/* A session with that engine, which has the memory as before. 0 or -errno */
static int use(WORLD *self, const char *engine, bool src, bool dst)
{
	self->fd = zc_session(engine, 0);
	if (self->fd < 0)
		return self->fd;
	self->src_id = src ? zc_register(self->fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY) : 0;
	self->dst_id = dst ? zc_register(self->fd, self->dst, SIZE, 0) : 0;
	return self->src_id < 0 ? self->src_id : self->dst_id < 0 ? self->dst_id : 0;
}

FIXTURE_SETUP(rows)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	zc_seed();
	self->pinned = zc_pinned_baseline();
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	self->want = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	begin(self);
	ASSERT_EQ(0, use(self, zc_provider(), variant->src, variant->dst));
}

FIXTURE_TEARDOWN(rows)
{
	close(self->fd);
	EXPECT_EQ(0, softdma_reset());
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

static struct zcdma_op op_of(const WORLD *self, struct shape s)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY_2D,
		.user_data = 7,
		.src = s.from + (self->src_id ? 0 : zc_ptr(self->src)),
		.dst = s.to + (self->dst_id ? 0 : zc_ptr(self->dst)),
		.len = s.len,
		.src_buffer = self->src_id,
		.dst_buffer = self->dst_id,
		.rows = s.rows,
		.src_stride = s.src_stride,
		.dst_stride = s.dst_stride,
	};
}

/* What the first @rows rows must have done. */
static void expect_rows(WORLD *self, struct shape s, __u32 rows)
{
	for (__u32 i = 0; i < rows; i++)
		memcpy(self->want + s.to + i * s.dst_stride, self->src + s.from + i * s.src_stride,
		       s.len);
}

/* Are @rows rows there, and nothing else changed but, if @rest may be, the other rows? */
static bool is_right(WORLD *self, struct shape s, __u32 rows, bool rest)
{
	size_t at;

	expect_rows(self, s, rows);
	for (__u32 i = rows; rest && i < s.rows; i++)
		memcpy(self->want + s.to + i * s.dst_stride, self->dst + s.to + i * s.dst_stride,
		       s.len);
	if (!memcmp(self->want, self->dst, SIZE))
		return pattern_holds(source, self->src, 0, SIZE);
	for (at = 0; self->want[at] == self->dst[at]; at++)
		;
	fprintf(stderr, "# %u rows of %zu, from %zu by %zu to %zu by %zu: byte %zu is wrong\n",
		s.rows, s.len, s.from, s.src_stride, s.to, s.dst_stride, at);
	return false;
}

static bool moves(WORLD *self, struct shape s)
{
	int err = zc_do(self->fd, op_of(self, s));

	if (err)
		fprintf(stderr, "# error %d\n", err);
	return is_right(self, s, s.rows, false) && !err;
}

/* ---- on every target ---- */

TEST_F_TIMEOUT(rows, of_all_lengths_at_all_offsets, 60)
{
	const size_t lens[] = { 1, 7, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 1000, 1024,
				PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 100 };
	const size_t offsets[] = { 0, 4, 61, 64, 100, PAGE - 1 };
	const size_t gaps[] = { 0, 1, 28, 64, 100, 128, 1000, PAGE };
	unsigned int number = 0;

	for (size_t l = 0; l < ARRAY_SIZE(lens); l++)
		for (size_t t = 0; t < ARRAY_SIZE(offsets); t++)
			for (size_t f = 0; f < ARRAY_SIZE(offsets); f++) {
				struct shape s = {
					.to = offsets[t], .from = offsets[f], .len = lens[l],
					.dst_stride = lens[l] + gaps[number % 8],
					.src_stride = lens[l] + gaps[number / 8 % 8],
					.rows = 1 + number % 11,
				};

				if (!zc_my_share(number++))
					continue;
				begin(self);
				ASSERT_TRUE(moves(self, s));
			}
}

/* As wide as may be, and as long. */
TEST_F_TIMEOUT(rows, of_any_shape, 60)
{
	for (int i = zc_brief() ? 30 : 200; i; i--) {
		size_t stride = 1 + zc_random_below(3 * PAGE);
		size_t other = 1 + zc_random_below(3 * PAGE);
		size_t len = 1 + zc_random_below(stride < other ? stride : other);
		size_t room = SIZE - len, longest = stride > other ? stride : other;
		struct shape s = {
			.len = len, .dst_stride = stride, .src_stride = other,
			.rows = 1 + zc_random_below(room / longest + 1),
		};

		s.to = zc_random_below(room - (s.rows - 1) * stride + 1);
		s.from = zc_random_below(room - (s.rows - 1) * other + 1);
		begin(self);
		ASSERT_TRUE(moves(self, s));
	}
}

/* Of a frame of 256 pixels of 4 bytes: a part of each line, at any pixel. */
TEST_F(rows, of_a_rectangle_at_any_pixel)
{
	for (size_t x = 0; x < 40; x += 1 + zc_brief() * 4) {
		struct shape s = {
			.to = 3 * 1024 + 4 * x, .dst_stride = 1024,
			.from = 0, .src_stride = 600, .len = 600, .rows = 100,
		};

		begin(self);
		ASSERT_TRUE(moves(self, s));
	}
}

/* Several at a time, whose rows are between those of the others: one has the columns of odd KiB. */
TEST_F(rows, between_rows_of_others)
{
	struct zcdma_op ops[8];
	struct shape s;

	for (int i = 0; i < 8; i++) {
		s = (struct shape){
			.to = i * 1024, .from = (7 - i) * 1024, .len = 1000,
			.dst_stride = 8 * 1024, .src_stride = 8 * 1024, .rows = 30,
		};
		expect_rows(self, s, s.rows);
		ops[i] = op_of(self, s);
	}
	ASSERT_EQ(0, zc_do_all(self->fd, ops, 8));
	EXPECT_TRUE(is_right(self, s, s.rows, false));
}

/* An engine of hardware does what is long enough, and what is not is left to a CPU. */
TEST_F(rows, are_moved_by_the_engine_if_they_are_long_enough)
{
	struct shape s = { .len = 1024, .dst_stride = 2048, .src_stride = 1024, .rows = 50 };
	struct shape narrow = { .len = 63, .dst_stride = 64, .src_stride = 64, .rows = 50 };
	struct shape apart = { .len = 1024, .dst_stride = 66561, .src_stride = 66561, .rows = 3 };
	__u32 mover = ZCDMA_DONE_CPU;
	struct zcdma_query_channel q;
	struct zcdma_completion c;
	struct zcdma_op op;

	ASSERT_EQ(0, zc_query(zc_provider(), &q));
	if (q.out_caps & ZCDMA_CAP_HARDWARE)
		mover = ZCDMA_DONE_HARDWARE;
	op = op_of(self, s);
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(50 * 1024, c.done);
	EXPECT_EQ(mover, c.flags & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE));
	op = op_of(self, narrow);
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(ZCDMA_DONE_CPU, c.flags & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE));
	apart.to = 51 * 2048;
	begin(self);
	op = op_of(self, apart);
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(3 * 1024, c.done);
	EXPECT_TRUE(is_right(self, apart, 3, false));
	if (!variant->src || !variant->dst)
		EXPECT_EQ(ZCDMA_DONE_CPU, c.flags & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE));
}

/* Does the engine move all of it? Of one that is a CPU itself: does it have any of it? */
static bool is_the_engines(WORLD *self, struct shape s, const char *engine)
{
	struct zcdma_op op = op_of(self, s);
	struct zcdma_query_channel q;
	struct zcdma_completion c;

	begin(self);
	if (zc_query(engine, &q) || softdma_set("descriptors", 0) ||
	    zc_submit_wait(self->fd, &op, 1, &c, NULL) || c.res ||
	    !is_right(self, s, s.rows, false))
		return false;
	if (q.out_caps & ZCDMA_CAP_HARDWARE)
		return (c.flags & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE)) == ZCDMA_DONE_HARDWARE;
	return softdma_get("descriptors") >= s.rows;
}

/* It is what lies between rows that counts, and between one row and none lies nothing. */
TEST_F(rows, that_are_close_are_the_engines_however_long)
{
	const size_t kib = 1024;
	const struct shape shapes[] = {
		{ .len = 100 * kib, .dst_stride = 101 * kib, .src_stride = 101 * kib, .rows = 2 },
		{ .len = 100 * kib, .dst_stride = 156 * kib, .src_stride = 100 * kib, .rows = 2 },
		{ .len = kib, .dst_stride = 65 * kib, .src_stride = 65 * kib, .rows = 3 },
		{ .len = kib, .dst_stride = ~0U, .src_stride = 1U << 31, .rows = 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		EXPECT_TRUE(is_the_engines(self, shapes[i], zc_provider())) {
			TH_LOG("shape %zu", i);
		}
	}
}

/* ---- what is refused ---- */

#define REFUSED(error, op) do { \
	EXPECT_EQ(error, zc_do(self->fd, op)); \
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE)); \
} while (0)

TEST_F(rows, that_cannot_be_are_refused)
{
	const struct shape s = { .len = 100, .dst_stride = 200, .src_stride = 300, .rows = 5 };
	struct zcdma_op op, good = op_of(self, s);

	op = good;
	op.rows = 0;
	REFUSED(-EINVAL, op);
	op = good;
	op.len = 0;
	REFUSED(-EINVAL, op);
	op = good;
	op.dst_stride = 99;
	REFUSED(-EINVAL, op);
	op = good;
	op.src_stride = 0;
	REFUSED(-EINVAL, op);
	op = good;
	op.dst_stride = 100;
	op.src_stride = 100;
	EXPECT_EQ(0, zc_do(self->fd, op));
	begin(self);
	op = good;
	op.flags = 1U << 31;
	REFUSED(-EINVAL, op);
	op = good;
	op.__reserved0[1] = 1;
	REFUSED(-EINVAL, op);
	/* They are for rows alone. */
	op = good;
	op.opcode = ZCDMA_OP_COPY;
	REFUSED(-EINVAL, op);
	op.rows = 0;
	REFUSED(-EINVAL, op);
	op = good;
	op.opcode = ZCDMA_OP_FILL;
	op.src = 1;
	op.src_buffer = 0;
	REFUSED(-EINVAL, op);
}

TEST_F(rows, that_wrap_around_or_go_too_far_are_refused)
{
	const struct shape s = { .len = 100, .dst_stride = 100, .src_stride = 100, .rows = 5 };
	const __u64 longest = zc_info(self->fd).out_max_len;
	struct zcdma_op op, good = op_of(self, s);

	op = good;
	op.src_stride = ~0U;
	op.dst_stride = ~0U;
	op.rows = ~0U;
	op.len = 1;
	op.dst = op.dst_buffer ? 0 : good.dst;
	EXPECT_GT(0, zc_do(self->fd, op));
	op = good;
	op.dst = -400ULL;
	REFUSED(-EINVAL, op);
	op = good;
	op.src = -400ULL;
	REFUSED(-EINVAL, op);
	if (!self->src_id || !self->dst_id)
		return;
	op = good;
	op.rows = 2;
	op.src_stride = longest - 99;
	REFUSED(-EMSGSIZE, op);
	op = good;
	op.rows = 2;
	op.dst_stride = ~0U;
	REFUSED(-EMSGSIZE, op);
	op = good;
	op.rows = longest / 100 + 1;
	REFUSED(-EMSGSIZE, op);
}

/* The last row ends with the memory, or a byte behind it. */
TEST_F(rows, past_the_end_are_refused)
{
	struct shape s = { .len = 100, .dst_stride = 5000, .src_stride = 5000, .rows = 3 };
	struct zcdma_op op;

	s.to = SIZE - 2 * 5000 - 100;
	s.from = s.to;
	EXPECT_TRUE(moves(self, s));
	begin(self);
	if (self->dst_id) {
		op = op_of(self, s);
		op.dst++;
		REFUSED(-EFAULT, op);
	}
	if (self->src_id) {
		op = op_of(self, s);
		op.src++;
		REFUSED(-EFAULT, op);
		op.src = SIZE - 300;	/* where the bytes of all rows would have room */
		REFUSED(-EFAULT, op);
		op = op_of(self, s);
		op.src_stride = zc_info(self->fd).out_max_len / 2 - 100;
		REFUSED(-EFAULT, op);
	}
	EXPECT_EQ(0, zc_do(self->fd, op_of(self, s)));
}

/* From the first row to the last, also where no row overlaps another. */
TEST_F(rows, that_overlap_are_refused)
{
	const struct shape s = { .len = 100, .dst_stride = 1000, .src_stride = 1000, .rows = 5 };
	struct zcdma_op op = op_of(self, s);
	int id = 0;

	if (self->src_id || self->dst_id) {
		id = zc_register(self->fd, self->dst, SIZE, 0);
		ASSERT_LT(0, id);
	}
	op.src_buffer = self->src_id ? id : 0;
	op.dst_buffer = self->dst_id ? id : 0;
	op.src = self->src_id ? 0 : zc_ptr(self->dst);
	op.dst = self->dst_id ? 0 : zc_ptr(self->dst);
	op.dst += 500;
	REFUSED(-EINVAL, op);
	op.dst += 3599;			/* of the last row, the last byte */
	REFUSED(-EINVAL, op);
	op.dst++;
	EXPECT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(pattern_holds(target, self->dst + 4100, 0, 100));
}

/* ---- what they cost ---- */

/* Whole pages, from the first row to the last, though not all are used. */
TEST_F(rows, are_charged_from_the_first_to_the_last)
{
	const struct shape s = {
		.len = 100, .dst_stride = 2 * PAGE, .src_stride = PAGE, .rows = 5,
	};
	unsigned long pages = (self->dst_id ? 0 : 9) + (self->src_id ? 0 : 5);
	pid_t pid;

	IN_CHILD(pid) {
		zc_become_user(pages * PAGE);
		CHILD_CHECK(zc_do(self->fd, op_of(self, s)) == 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
	if (!pages)
		return;
	IN_CHILD(pid) {
		zc_become_user((pages - 1) * PAGE);
		CHILD_CHECK(zc_do(self->fd, op_of(self, s)) == -ENOMEM);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* ---- engines of every kind, and such as fail ---- */

/* The session is with another engine, and has registered the same memory. 0 or -errno */
static int become(WORLD *self, const char *traits)
{
	close(self->fd);
	begin(self);
	return softdma_reset() ?: softdma_rebuild(traits) ?: softdma_set("violations", 0) ?:
	       use(self, "softdma", self->src_id, self->dst_id);
}

/* Misaligned ones of that length may have no part that is aligned. */
TEST_F(rows, as_long_as_the_alignment_are_the_engines)
{
	struct shape s = { .len = 256, .dst_stride = 512, .src_stride = 768, .rows = 50 };

	ASSERT_EQ(0, become(self, "align=256"));
	EXPECT_TRUE(is_the_engines(self, s, "softdma"));
	s.to = 128;
	s.from = 128;
	EXPECT_FALSE(is_the_engines(self, s, "softdma"));
	EXPECT_TRUE(is_right(self, s, s.rows, false));
	s.len = 511;
	s.to = 1;
	s.from = 1;
	EXPECT_TRUE(is_the_engines(self, s, "softdma"));
	s.src_stride = 640;
	EXPECT_FALSE(is_the_engines(self, s, "softdma"));
	EXPECT_TRUE(is_right(self, s, s.rows, false));
	s.rows = 1;
	EXPECT_TRUE(is_the_engines(self, s, "softdma"));
}

TEST_F_TIMEOUT(rows, are_moved_right_by_engines_of_every_kind, 60)
{
	static const char * const kinds[] = {
		"align=8", "align=64", "align=256", "max_segment=1024", "boundary=4096",
		"min_len=128", "align=64 min_len=256", "unordered=Y",
		"no_terminate=Y prep_sleeps=Y", "lock_until_submit=Y", "callback_context=hardirq",
		"ledger=Y",
		"ledger=Y ledger_merges=Y", "ledger=Y ledger_incoherent=Y",
		"ledger=Y ledger_incoherent=Y ledger_merges=Y align=8",
	};
	static const struct shape shapes[] = {
		{ 0, 0, .len = 512, .dst_stride = 1024, .src_stride = 512, .rows = 99 },
		{ 8, 72, .len = 600, .dst_stride = 1000, .src_stride = 936, .rows = 99 },
		{ 60, 13, .len = 700, .dst_stride = 2051, .src_stride = 701, .rows = 99 },
		{ 256, 512, .len = 8192, .dst_stride = 16384, .src_stride = 8448, .rows = 14 },
		{ 3, 3, .len = 100, .dst_stride = 101, .src_stride = 101, .rows = 500 },
		{ 1, 6, .len = 80000, .dst_stride = 81000, .src_stride = 80001, .rows = 3 },
	};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		if (!zc_my_share(k))
			continue;
		ASSERT_EQ(0, become(self, kinds[k]));
		ASSERT_EQ(0, softdma_set("pool", 3));
		for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
			begin(self);
			ASSERT_TRUE(moves(self, shapes[i])) {
				TH_LOG("%s", kinds[k]);
			}
		}
		EXPECT_EQ(0, softdma_get("violations")) {
			TH_LOG("%s", kinds[k]);
		}
	}
}

/* That it does not take them, the engine is asked twice in 10 ms: once, not for each row or op. */
TEST_F_TIMEOUT(rows, that_are_too_short_for_the_engine_cost_no_wait_each, 60)
{
	const struct shape s = { .len = 100, .dst_stride = 128, .src_stride = 128, .rows = 100 };
	__u64 start;

	ASSERT_EQ(0, become(self, "min_len=128"));
	EXPECT_TRUE(moves(self, s));
	start = zc_now_ms();
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(0, zc_do(self->fd, op_of(self, s)));
	EXPECT_GT(10000, zc_now_ms() - start);
	begin(self);
	EXPECT_TRUE(moves(self, s));
}

/* Each row is two pieces: the fifth row's second one goes wrong. */
TEST_F(rows, that_are_whole_are_counted_when_one_fails)
{
	const struct shape s = {
		.len = 2 * PAGE, .dst_stride = 3 * PAGE, .src_stride = 2 * PAGE, .rows = 12,
	};
	struct zcdma_op op;
	struct zcdma_completion c;

	ASSERT_EQ(0, become(self, "boundary=4096"));
	op = op_of(self, s);
	ASSERT_EQ(0, softdma_set("fail_nth", 10));
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(-EIO, c.res);
	EXPECT_EQ(4 * s.len, c.done);
	EXPECT_TRUE(is_right(self, s, 4, true));
	begin(self);
	EXPECT_TRUE(moves(self, s));
}

/* Their edges are a CPU's, and moved last: no row is whole. */
TEST_F(rows, with_edges_are_not_whole_when_one_fails)
{
	const struct shape s = {
		.len = 1000, .dst_stride = 1024, .src_stride = 1024, .rows = 100,
	};
	struct zcdma_op op;
	struct zcdma_completion c;

	ASSERT_EQ(0, become(self, "align=64"));
	op = op_of(self, s);
	ASSERT_EQ(0, softdma_set("fail_nth", 10));
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(-EIO, c.res);
	EXPECT_EQ(0, c.done);
	EXPECT_TRUE(is_right(self, s, 0, true));
}

/* The engine has one descriptor: it hangs with another op, or with the first row. */
TEST_F(rows, that_were_not_begun_can_be_cancelled)
{
	const struct shape s = { .len = 100, .dst_stride = 200, .src_stride = 200, .rows = 100 };
	struct zcdma_op ops[2] = { zc_copy_op(self->want, self->src, 64, 1) };
	struct zcdma_completion c[2];

	ASSERT_EQ(0, become(self, ""));
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ops[1] = op_of(self, s);
	ASSERT_EQ(0, zc_submit(self->fd, ops, 2, NULL));
	EXPECT_EQ(0, zc_cancel(self->fd, 7, 0, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, c, 1, PATIENCE));
	EXPECT_EQ(-ECANCELED, c[0].res);
	EXPECT_EQ(0, c[0].done);
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(1, zc_reap(self->fd, c, 1, PATIENCE));
	ASSERT_EQ(0, zc_submit(self->fd, ops + 1, 1, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, c, 1, PATIENCE));
	pattern_write(target, self->want, 0, SIZE);
	EXPECT_EQ(100 * 100, c[0].done);
	EXPECT_TRUE(is_right(self, s, 100, false));
}

/* So many that the engine is stopped in the middle, at the deadline. */
TEST_F(rows, that_are_whole_are_counted_at_the_deadline)
{
	const struct shape s = { .len = 1024, .dst_stride = 2048, .src_stride = 2048, .rows = 120 };
	struct zcdma_completion c;
	struct zcdma_op op;

	if (zc_lacks("counted"))
		zc_kmsg_allow(ZC_KMSG_HANGS);	/* the host stood still */
	ASSERT_EQ(0, become(self, ""));
	ASSERT_EQ(0, softdma_set("delay_us", 20000));
	op = op_of(self, s);
	op.deadline_ms = 500;
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_EQ(0, c.done % 1024);
	EXPECT_LT(0, c.done);
	EXPECT_GT(120 * 1024, c.done);
	EXPECT_TRUE(is_right(self, s, c.done / 1024, true));
	ASSERT_EQ(0, softdma_set("delay_us", 0));
}

/*
 * The engine is in time, and their edges are few: who comes for them late does not find them late.
 * On a busy machine the engine is not always in time.
 */
TEST_F_TIMEOUT(rows, that_are_released_late_are_not_late, 60)
{
	const struct shape s = { .len = 1000, .dst_stride = 1024, .src_stride = 1024, .rows = 100 };
	struct zcdma_completion c = { .res = -ETIMEDOUT };
	struct zcdma_op op;

	ASSERT_EQ(0, become(self, "align=64"));
	op = op_of(self, s);
	op.deadline_ms = 50;
	for (int i = 0; i < 20 && c.res == -ETIMEDOUT; i++) {
		begin(self);
		ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
		zc_sleep_ms(300);
		ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
	}
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(100 * 1000, c.done);
	EXPECT_TRUE(is_right(self, s, 100, false));
}

/* A CPU moves many short rows, and is bound by the deadline as an engine is. */
TEST(rows_that_a_cpu_moves_end_at_the_deadline)
{
	enum { LEN = 8 << 20 };
	char *src = zc_map(LEN), *dst = zc_map(LEN);
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY_2D, .src = zc_ptr(src), .dst = zc_ptr(dst), .len = 3,
		.src_stride = 4, .dst_stride = 4, .rows = LEN / 4, .deadline_ms = 1,
	};
	struct zcdma_completion c;
	int fd;

	zc_unlimit_memlock();
	fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, zc_submit_wait(fd, &op, 1, &c, NULL));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_EQ(0, c.done);
	close(fd);
}

/* So many addresses, of the same few pages again and again. */
static char *map_again_and_again(size_t len, size_t step)
{
	int memfd = memfd_create("pages", 0);
	char *all = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHILD_CHECK(memfd >= 0 && !ftruncate(memfd, step) && all != MAP_FAILED);
	for (size_t at = 0; at < len; at += step)
		CHILD_CHECK(mmap(all + at, step, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				 memfd, 0) != MAP_FAILED);
	close(memfd);
	return all;
}

/* So many rows that a CPU takes a minute for them, unless it is a fast one. */
TEST_F_TIMEOUT(rows, that_a_cpu_moves_end_with_their_process, 120)
{
	enum { LEN = 256 << 20, STEP = 2 << 20 };
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY_2D, .len = 1, .rows = LEN, .src_stride = 1,
		.dst_stride = 1, .deadline_ms = 100000,
	};
	pid_t pid;

	if (variant->src || variant->dst)
		return;
	IN_CHILD(pid) {
		int fd = zc_session(zc_provider(), 0);

		op.src = zc_ptr(map_again_and_again(LEN, STEP));
		op.dst = zc_ptr(map_again_and_again(LEN, STEP));
		zc_submit(fd, &op, 1, NULL);
	}
	for (int i = 0; i < 5500 && zc_pinned_pages() < 2 * LEN / (long)PAGE; i++)
		zc_sleep_ms(10);
	EXPECT_LE(2 * LEN / (long)PAGE, zc_pinned_pages());
	zc_sleep_ms(100);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/* A barrier holds for rows, and rows hold behind one. */
TEST_F(rows, keep_to_barriers)
{
	const struct shape first = {
		.len = 512, .dst_stride = 512, .src_stride = 512, .rows = 200,
	};
	const struct shape narrow = { .len = 3, .dst_stride = 512, .src_stride = 600, .rows = 200 };
	struct zcdma_op ops[2] = { op_of(self, first), op_of(self, narrow) };

	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
	ASSERT_EQ(0, zc_do_all(self->fd, ops, 2));
	expect_rows(self, first, first.rows);
	EXPECT_TRUE(is_right(self, narrow, narrow.rows, false));
	ops[0] = op_of(self, first);
	ops[0].flags = ZCDMA_OP_FLAG_BARRIER;
	ASSERT_EQ(0, zc_do_all(self->fd, ops, 1));
	EXPECT_TRUE(is_right(self, first, first.rows, false));
}

/* Four channels share the rows of one op. */
TEST_F(rows, are_shared_by_channels)
{
	struct zcdma_attach how = { .channels = 4, .name = "softdma" };
	struct shape s = {
		.to = 5, .len = 900, .dst_stride = 1000, .src_stride = 1100, .rows = 200,
	};

	ASSERT_EQ(0, become(self, ""));
	close(self->fd);
	self->fd = zc_open(0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, zc_ioctl(self->fd, ZCDMA_IOC_ATTACH, &how));
	if (variant->src)
		self->src_id = zc_register(self->fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	if (variant->dst)
		self->dst_id = zc_register(self->fd, self->dst, SIZE, 0);
	EXPECT_TRUE(moves(self, s));
}

ZC_TEST_MAIN
