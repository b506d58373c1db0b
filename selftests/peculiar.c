// SPDX-License-Identifier: GPL-2.0
/*
 * Engines that are peculiar, each in its way: a program sees nothing of it, whether they
 * move, hang or leave. The software engine plays them all.
 */
#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(128 * PAGE)
#define PATIENCE	20000	/* ms, for what should take no time at all */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(peculiar) {
	long pinned;
	int fd;
	char *src, *dst;
};

FIXTURE_VARIANT(peculiar) {
	const char *built;	/* how the engine is made, or */
	const char *knob;	/* a fault of it */
	unsigned long setting;
	size_t step;		/* bytes that it moves at once at most; 0: no matter */
	bool like_another;	/* that is tested everywhere */
};

FIXTURE_VARIANT_ADD(peculiar, pool_of_one_descriptor) {
	.knob = "pool", .setting = 1,
};

FIXTURE_VARIANT_ADD(peculiar, pool_of_two_descriptors) {
	.knob = "pool", .setting = 2,
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, pool_of_three_descriptors) {
	.knob = "pool", .setting = 3,
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, one_byte_at_a_time) {
	.knob = "max_len", .setting = 1, .step = 1,
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, up_to_100_bytes_at_a_time) {
	.knob = "max_len", .setting = 100, .step = 100,
};

FIXTURE_VARIANT_ADD(peculiar, up_to_5000_bytes_at_a_time) {
	.knob = "max_len", .setting = 5000, .step = 5000,
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, a_millisecond_late) {
	.knob = "delay_us", .setting = 1000,
};

FIXTURE_VARIANT_ADD(peculiar, aligned_to_8) {
	.built = "align=8",
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, aligned_to_64) {
	.built = "align=64",
};

FIXTURE_VARIANT_ADD(peculiar, aligned_to_256) {
	.built = "align=256",
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, segments_of_512_bytes) {
	.built = "max_segment=512",
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, segments_of_a_page) {
	.built = "max_segment=4096",
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, segments_of_odd_length) {
	.built = "max_segment=5001",
};

FIXTURE_VARIANT_ADD(peculiar, boundary_of_1024_bytes) {
	.built = "boundary=1024",
};

FIXTURE_VARIANT_ADD(peculiar, boundary_of_64_kibibytes) {
	.built = "boundary=65536",
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, coarse_residue) {
	.built = "coarse_residue=Y",
};

FIXTURE_VARIANT_ADD(peculiar, completes_out_of_order) {
	.built = "unordered=Y",
};

FIXTURE_VARIANT_ADD(peculiar, cannot_fill) {
	.built = "no_memset=Y",
};

FIXTURE_VARIANT_ADD(peculiar, cannot_fill_and_is_aligned_to_64) {
	.built = "no_memset=Y align=64",
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, fills_with_words) {
	.built = "memset_words=Y",
};

FIXTURE_VARIANT_ADD(peculiar, cannot_be_stopped) {
	.built = "no_terminate=Y",
	.like_another = true,
};

FIXTURE_VARIANT_ADD(peculiar, sleeps_in_prep) {
	.built = "prep_sleeps=Y no_terminate=Y",
};

FIXTURE_VARIANT_ADD(peculiar, holds_a_lock_until_submit) {
	.built = "lock_until_submit=Y",
};

FIXTURE_VARIANT_ADD(peculiar, reports_no_errors) {
	.built = "no_result=Y",
};

FIXTURE_VARIANT_ADD(peculiar, calls_back_in_softirq) {
	.built = "callback_context=softirq",
};

FIXTURE_VARIANT_ADD(peculiar, calls_back_in_hardirq) {
	.built = "callback_context=hardirq",
};

/* It judges how its client uses the DMA API, and sees more of it than other engines. */
FIXTURE_VARIANT_ADD(peculiar, keeps_a_ledger) {
	.built = "ledger=Y",
};

FIXTURE_VARIANT_ADD(peculiar, keeps_a_ledger_and_merges_pages) {
	.built = "ledger=Y ledger_merges=Y",
};

/* For the helpers of the tests. */
#define PECULIAR FIXTURE_DATA(peculiar)
#define KIND FIXTURE_VARIANT(peculiar)

/* The tests must ask: a set-up cannot skip them. */
static bool left_out(const KIND *kind)
{
	return kind->like_another && zc_lacks("variety");
}

#define LEFT_OUT	"lacks variety: tested elsewhere, and here with another of its kind"

FIXTURE_SETUP(peculiar)
{
	if (left_out(variant))
		return;
	ASSERT_EQ(0, softdma_become(variant->built ?: ""));
	self->pinned = zc_pinned_baseline();
	ASSERT_EQ(0, softdma_set("violations", 0));
	zc_unlimit_memlock();
	zc_seed();
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
	if (variant->knob)
		ASSERT_EQ(0, softdma_set(variant->knob, variant->setting));
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(peculiar)
{
	if (left_out(variant))
		return;
	softdma_set("hang", 0);
	close(self->fd);
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

#define SLOTS	64
#define SLOT	(SIZE / SLOTS)

TEST_F(peculiar, engine_moves_random_ops_right)
{
	size_t longest = variant->step == 1 ? 500 : SLOT - 600;
	struct zcdma_op ops[SLOTS], todo[SLOTS];
	size_t pos = 0;

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	for (size_t i = 0; i < SLOTS; i++) {
		size_t at = i * SLOT + zc_random_below(600), len = 1 + zc_random_below(longest);
		size_t from = zc_random_below(SIZE - len);

		ops[i] = i % 8 == 7 ? zc_fill_op(self->dst + at, i, len, 0) :
				      zc_copy_op(self->dst + at, self->src + from, len, 0);
		todo[i] = ops[i];
	}
	ASSERT_EQ(0, zc_do_all(self->fd, todo, SLOTS));
	for (size_t i = 0; i < SLOTS; i++) {
		size_t at = ops[i].dst - zc_ptr(self->dst);

		ASSERT_TRUE(pattern_holds(target, self->dst + pos, pos, at - pos));
		if (ops[i].opcode == ZCDMA_OP_FILL) {
			ASSERT_TRUE(filled_with(i, self->dst + at, ops[i].len));
		} else {
			ASSERT_TRUE(pattern_holds(source, self->dst + at,
						  ops[i].src - zc_ptr(self->src), ops[i].len));
		}
		pos = at + ops[i].len;
	}
	EXPECT_TRUE(pattern_holds(target, self->dst + pos, pos, SIZE - pos));
}

TEST_F(peculiar, engine_moves_all_alignments_right)
{
	const size_t lens[] = { 1, 7, 8, 9, 63, 64, 65, 255, 256, 257, 600, 2 * PAGE + 3 };

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = lens[i];

		if (variant->step == 1 && len > 600)
			continue;
		for (size_t shift = 0; shift < 264; shift += 33) {
			char *dst = self->dst + PAGE + 264 - shift;
			size_t at = dst - self->dst;

			pattern_write(target, self->dst, 0, 5 * PAGE);
			ASSERT_EQ(0, zc_copy(self->fd, dst, self->src + shift, len));
			ASSERT_TRUE(pattern_holds(target, self->dst, 0, at));
			ASSERT_TRUE(pattern_holds(source, dst, shift, len));
			ASSERT_TRUE(pattern_holds(target, dst + len, at + len,
						  5 * PAGE - at - len)) {
				TH_LOG("length %zu, shift %zu", len, shift);
			}
		}
	}
}

TEST_F(peculiar, engine_moves_a_long_op_right)
{
	size_t len = variant->step == 1 ? 3000 : SIZE - 2;

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	ASSERT_EQ(0, zc_copy(self->fd, self->dst + 1, self->src, len));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, 1));
	EXPECT_TRUE(pattern_holds(source, self->dst + 1, 0, len));
	EXPECT_TRUE(pattern_holds(target, self->dst + 1 + len, 1 + len, SIZE - 1 - len));
}

TEST_F(peculiar, engine_fills_right)
{
	size_t longest = variant->step == 1 ? 3000 : SIZE - 2;

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	for (size_t len = 1; len <= longest; len = 3 * len + 1) {
		char *end = self->dst + 1 + len;
		size_t behind = SIZE - 1 - len;

		ASSERT_EQ(0, zc_fill(self->fd, self->dst + 1, len, len));
		ASSERT_TRUE(pattern_holds(target, self->dst, 0, 1));
		ASSERT_TRUE(filled_with(len, self->dst + 1, len));
		ASSERT_TRUE(pattern_holds(target, end, 1 + len, behind < PAGE ? behind : PAGE));
		pattern_write(target, self->dst + 1, 1, len);
	}
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
}

/* When WAIT returns every byte is there, also those that the engine left to others. */
TEST_F(peculiar, engine_is_done_when_wait_returns)
{
	struct zcdma_op ops[2] = {
		zc_copy_op(self->dst + 3, self->src + 3, 700, 1),
		zc_copy_op(self->dst + 1001, self->src + 2000, 700, 2),
	};
	struct zcdma_completion c[2];

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	ASSERT_EQ(0, zc_submit_wait(self->fd, ops, 2, NULL, NULL));
	EXPECT_TRUE(pattern_holds(source, self->dst + 3, 3, 700));
	EXPECT_TRUE(pattern_holds(target, self->dst + 703, 703, 298));
	EXPECT_TRUE(pattern_holds(source, self->dst + 1001, 2000, 700));
	EXPECT_EQ(2, zc_read(self->fd, c, 2));
	EXPECT_EQ(0, c[0].res | c[1].res);
}

static bool outside_is_untouched(const PECULIAR *self, size_t len)
{
	return pattern_holds(target, self->dst + len, len, SIZE - len) &&
	       pattern_holds(source, self->src, 0, SIZE);
}

static bool can_be_stopped(const KIND *kind)
{
	return !strstr(kind->built ?: "", "no_terminate");
}

/* However it calls back: it is stopped, or waited for if it cannot be, and goes on. */
TEST_F(peculiar, engine_that_hangs_is_given_up)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_completion c;

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	op.deadline_ms = 520;
	if (can_be_stopped(variant))
		zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_TRUE(!can_be_stopped(variant) || zc_kmsg_expected(ZC_KMSG_HANGS));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, c.done));
	EXPECT_TRUE(outside_is_untouched(self, PAGE));
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(0, zc_copy(self->fd, self->dst + PAGE, self->src, 500));
	EXPECT_TRUE(pattern_holds(source, self->dst + PAGE, 0, 500));
}

/* One that cannot be stopped is waited for: it goes on in a moment, and does what it has. */
TEST_F(peculiar, engine_that_leaves_ends_its_ops)
{
	bool stops = can_be_stopped(variant);
	struct zcdma_completion c[8];
	struct zcdma_op ops[8];
	pid_t pid;
	int n;

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	for (int i = 0; i < 8; i++)
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, ops, 8, NULL));
	zc_sleep_ms(20);
	EXPECT_EQ(0, softdma_get("violations"));
	IN_CHILD(pid) {
		zc_sleep_ms(300);
		CHILD_CHECK(stops || !softdma_set("hang", 0));
	}
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(0, zc_wait(pid));
	n = zc_reap(self->fd, c, 8, PATIENCE);
	EXPECT_EQ(8, n);
	for (int i = 0; i < n; i++) {
		EXPECT_TRUE(c[i].res == -ENODEV || (!stops && !c[i].res));
		EXPECT_TRUE(pattern_holds(source, self->dst + c[i].user_data * PAGE,
					  c[i].user_data * PAGE, c[i].done));
	}
	EXPECT_TRUE(outside_is_untouched(self, 8 * PAGE));
	close(self->fd);
	ASSERT_EQ(0, softdma_bind());
	self->fd = zc_session("softdma", 0);
	ASSERT_EQ(0, zc_copy(self->fd, self->dst + 8 * PAGE, self->src, 500));
	EXPECT_TRUE(pattern_holds(source, self->dst + 8 * PAGE, 0, 500));
}

static bool is_built(const char *built, const char *word)
{
	return built && strstr(built, word);
}

static unsigned int number_in(const char *built, const char *key, unsigned int otherwise)
{
	const char *at = built ? strstr(built, key) : NULL;

	return at ? atoi(at + strlen(key)) : otherwise;
}

/* What the list of channels says of it is how it was built. */
TEST_F(peculiar, engine_is_listed_as_it_is)
{
	struct zcdma_query_channel q;
	const char *built = variant->built;

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	ASSERT_EQ(0, zc_query("softdma", &q));
	EXPECT_TRUE(q.out_caps & ZCDMA_CAP_COPY);
	EXPECT_EQ(is_built(built, "no_memset"), !(q.out_caps & ZCDMA_CAP_FILL));
	EXPECT_EQ(is_built(built, "no_terminate"), !(q.out_caps & ZCDMA_CAP_TERMINATE));
	EXPECT_EQ(is_built(built, "unordered"), !!(q.out_caps & ZCDMA_CAP_UNORDERED));
	EXPECT_EQ(number_in(built, "align=", 1), q.out_copy_align);
	EXPECT_EQ(number_in(built, "max_segment=", ~0), q.out_max_segment);
	EXPECT_EQ(is_built(built, "coarse") ? ZCDMA_RESIDUE_DESCRIPTOR : ZCDMA_RESIDUE_BURST,
		  q.out_residue);
}

/*
 * What the completion says of who moved it and who said so. (Of an engine that never reports
 * an error the module cannot know that, unless it knows the driver: channels has that.)
 */
TEST_F(peculiar, engine_is_described_by_its_completions)
{
	__u32 reported = is_built(variant->built, "no_result") ? 0 : ZCDMA_DONE_REPORTED;
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_completion c;

	if (left_out(variant))
		SKIP(return, LEFT_OUT);
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(PAGE, c.done);
	EXPECT_EQ(ZCDMA_DONE_CPU | reported,
		  c.flags & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE | reported));
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
