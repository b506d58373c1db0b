// SPDX-License-Identifier: GPL-2.0
/*
 * One barrier among ops that are none. What is before it has finished when it begins; what is
 * after it does not begin before it does, however many channels have nothing to do.
 */
#include <poll.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define CHANNELS	5	/* more than ops before a barrier, and one for somebody else */
#define PATIENCE	20000	/* ms */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(barrier) {
	int fd;
	int other;		/* another session, at the first of its channels */
	int id;			/* all of the memory, registered */
	char *memory;		/* pages: source, first, second, third, ... */
};

FIXTURE_VARIANT(barrier) {
	bool registered;
	bool together;		/* in one SUBMIT; or else behind an op of somebody else */
	bool unordered;
};

FIXTURE_VARIANT_ADD(barrier, in_one_submit) { .together = true };
FIXTURE_VARIANT_ADD(barrier, in_submits_of_their_own) { };
FIXTURE_VARIANT_ADD(barrier, on_registered_memory) { .registered = true, .together = true };
FIXTURE_VARIANT_ADD(barrier, at_an_unordered_engine) { .together = true, .unordered = true };

#define PAGES	8

#define WORLD FIXTURE_DATA(barrier)
#define KIND FIXTURE_VARIANT(barrier)

/* The channels, of an engine with these traits besides, and the memory that they move. */
static void attach(struct __test_metadata *_metadata, WORLD *self, const KIND *kind,
		   const char *traits)
{
	struct zcdma_attach how = { .channels = CHANNELS, .name = "softdma" };
	char all[64];

	snprintf(all, sizeof(all), "channels=%d%s %s", CHANNELS,
		 kind->unordered ? " unordered=Y" : "", traits);
	ASSERT_EQ(0, softdma_become(all));
	self->fd = zc_open(0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, zc_ioctl(self->fd, ZCDMA_IOC_ATTACH, &how));
	self->other = zc_session(how.out_name, 0);
	ASSERT_LE(0, self->other);
	self->id = zc_register(self->fd, self->memory, PAGES * PAGE, 0);
	ASSERT_LT(0, self->id);
}

/* The same of another engine than before. */
static void attach_anew(struct __test_metadata *_metadata, WORLD *self, const KIND *kind,
			const char *traits)
{
	close(self->fd);
	close(self->other);
	attach(_metadata, self, kind, traits);
}

FIXTURE_SETUP(barrier)
{
	zc_unlimit_memlock();
	self->memory = zc_map(PAGES * PAGE);
	pattern_write(target, self->memory, 0, PAGES * PAGE);
	pattern_write(source, self->memory, 0, PAGE);
	attach(_metadata, self, variant, "");
}

FIXTURE_TEARDOWN(barrier)
{
	softdma_set("hang", 0);
	softdma_set("hang_nth", 0);
	close(self->fd);
	close(self->other);
	EXPECT_EQ(0, softdma_reset());
}

/* @len bytes to the begin of a page, from somewhere. */
static struct zcdma_op copy(const WORLD *self, const KIND *kind, int to, size_t from, size_t len)
{
	if (!kind->registered)
		return zc_copy_op(self->memory + to * PAGE, self->memory + from, len, to);
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .dst_buffer = self->id, .dst = to * PAGE,
		.src_buffer = self->id, .src = from, .len = len, .user_data = to,
	};
}

/* From one page to another. */
static struct zcdma_op copy_page(const WORLD *self, const KIND *kind, int to, int from)
{
	return copy(self, kind, to, from * PAGE, PAGE);
}

/*
 * From the second byte of the source. An engine that wants alignment can do nothing of that: a CPU
 * does it, who moves as little as SHORT at once, and more in its own time.
 */
#define SHORT	64UL
#define LONG	(PAGE - 1)

static struct zcdma_op copy_by_cpu(const WORLD *self, const KIND *kind, int to, size_t len)
{
	return copy(self, kind, to, 1, len);
}

static bool page_holds(const WORLD *self, int page, struct pattern p, size_t pos)
{
	return pattern_holds(p, self->memory + page * PAGE, pos, PAGE);
}

/* Something was written to it. */
static bool has_begun(const WORLD *self, int page)
{
	char untouched[PAGE];

	pattern_write(target, untouched, page * PAGE, PAGE);
	return memcmp(untouched, self->memory + page * PAGE, PAGE);
}

/* Each engine stops half way through its op. Wait until the one for @page is there. */
static bool begins(const WORLD *self, int page)
{
	for (int i = 0; i < PATIENCE / 5 && !has_begun(self, page); i++)
		zc_sleep_ms(5);
	return has_begun(self, page);
}

/*
 * The first of the channels is somebody else's, who hangs there, and each takes one op at a time.
 * Whoever waits for that one waits, while others have nothing to do.
 */
static void take_first_channel(struct __test_metadata *_metadata, WORLD *self)
{
	struct zcdma_op op = zc_fill_op(zc_map(PAGE), 1, PAGE, 0);

	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, zc_submit(self->other, &op, 1, NULL));
}

/* Hand them in; the engine hangs with each that begins. */
static void submit(struct __test_metadata *_metadata, WORLD *self, const KIND *kind,
		   struct zcdma_op *ops, int nr)
{
	ASSERT_EQ(0, softdma_set("hang", 1));
	if (kind->together) {
		ASSERT_EQ(0, zc_submit(self->fd, ops, nr, NULL));
		return;
	}
	take_first_channel(_metadata, self);
	for (int i = 0; i < nr; i++)
		ASSERT_EQ(0, zc_submit(self->fd, ops + i, 1, NULL));
}

/* The engine goes on, and all complete well. */
static void finish(struct __test_metadata *_metadata, WORLD *self, int nr)
{
	struct zcdma_completion c[8];

	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(nr, zc_reap(self->fd, c, nr, PATIENCE));
	for (int i = 0; i < nr; i++)
		EXPECT_EQ(0, c[i].res);
}

/*
 * Of ops without a barrier all begin beside each other. Single ones may be bound to the channel
 * that they were first meant for, be it free or not, but not all of them are.
 */
static bool begin_beside(const WORLD *self, const KIND *kind)
{
	if (!kind->together)
		return begins(self, 2);
	return begins(self, 1) && begins(self, 2) && begins(self, 3);
}

/* Without a barrier an op begins beside others: so these tests can see one that does nothing. */
TEST_F(barrier, is_needed_here)
{
	struct zcdma_op ops[3] = {
		copy_page(self, variant, 1, 0), copy_page(self, variant, 2, 0),
		copy_page(self, variant, 3, 0),
	};

	submit(_metadata, self, variant, ops, 3);
	EXPECT_TRUE(begin_beside(self, variant));
	finish(_metadata, self, 3);
}

TEST_F(barrier, waits_for_all_before_it)
{
	struct zcdma_op ops[4] = {
		copy_page(self, variant, 1, 0), copy_page(self, variant, 2, 0),
		copy_page(self, variant, 3, 0), copy_page(self, variant, 4, 3),
	};

	ops[3].flags = ZCDMA_OP_FLAG_BARRIER;
	submit(_metadata, self, variant, ops, 4);
	EXPECT_TRUE(begin_beside(self, variant));
	zc_sleep_ms(100);
	EXPECT_FALSE(has_begun(self, 4));
	finish(_metadata, self, 4);
	for (int page = 1; page <= 4; page++)
		EXPECT_TRUE(page_holds(self, page, source, 0));
}

/* The last op is no barrier itself, and other channels have nothing to do. */
TEST_F(barrier, holds_back_what_is_after_it)
{
	struct zcdma_op ops[3] = {
		copy_page(self, variant, 1, 0), copy_page(self, variant, 2, 0),
		copy_page(self, variant, 3, 1),
	};

	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
	submit(_metadata, self, variant, ops, 3);
	EXPECT_TRUE(!variant->together || begins(self, 1));
	zc_sleep_ms(100);
	EXPECT_FALSE(has_begun(self, 2));
	EXPECT_FALSE(has_begun(self, 3));
	finish(_metadata, self, 3);
	for (int page = 1; page <= 3; page++)
		EXPECT_TRUE(page_holds(self, page, source, 0));
}

/* The same for one that would overwrite what is read before the barrier. */
TEST_F(barrier, holds_back_who_overwrites_what_is_read_before_it)
{
	struct zcdma_op ops[3] = {
		copy_page(self, variant, 1, 0), copy_page(self, variant, 2, 0),
		copy_page(self, variant, 0, 6),
	};

	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
	submit(_metadata, self, variant, ops, 3);
	EXPECT_TRUE(!variant->together || begins(self, 1));
	zc_sleep_ms(100);
	EXPECT_TRUE(page_holds(self, 0, source, 0));
	finish(_metadata, self, 3);
	EXPECT_TRUE(page_holds(self, 1, source, 0));
	EXPECT_TRUE(page_holds(self, 0, target, 6 * PAGE));
}

/* A fault in what it waited for is none of its own, nor of what follows. */
TEST_F(barrier, lets_go_when_what_is_before_it_fails)
{
	struct zcdma_op ops[3] = {
		copy_page(self, variant, 1, 0), copy_page(self, variant, 2, 0),
		copy_page(self, variant, 3, 2),
	};
	struct zcdma_completion c[3];
	int failed = 0;

	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
	ops[2].flags = ZCDMA_OP_FLAG_BARRIER;
	ASSERT_EQ(0, softdma_set("fail_nth", 1));
	ASSERT_EQ(0, zc_submit(self->fd, ops, 3, NULL));
	ASSERT_EQ(3, zc_reap(self->fd, c, 3, 20000));
	for (int i = 0; i < 3; i++) {
		failed += c[i].res == -EIO;
		EXPECT_EQ(c[i].user_data == 1 ? -EIO : 0, c[i].res);
	}
	EXPECT_EQ(1, failed);
	EXPECT_TRUE(page_holds(self, 3, source, 0));
}

/* ---- what comes back from the engine and is begun anew ---- */

/* The barrier's op reads what the one before it has written. */
static void make_pair(const WORLD *self, const KIND *kind, struct zcdma_op ops[2])
{
	ops[0] = copy_page(self, kind, 1, 0);
	ops[1] = copy_page(self, kind, 2, 1);
	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
}

/* The engine takes no pieces as long as those: what is before the barrier is cut anew. */
TEST_F(barrier, waits_for_what_is_cut_anew)
{
	struct zcdma_op ops[2];

	make_pair(self, variant, ops);
	ASSERT_EQ(0, softdma_set("max_len", 512));
	ASSERT_EQ(0, zc_submit(self->fd, ops, variant->together ? 2 : 1, NULL));
	if (!variant->together)
		ASSERT_EQ(0, zc_submit(self->fd, ops + 1, 1, NULL));
	finish(_metadata, self, 2);
	EXPECT_TRUE(page_holds(self, 1, source, 0));
	EXPECT_TRUE(page_holds(self, 2, source, 0));
}

/* The op that is to hang does so. */
static bool hangs(void)
{
	for (int i = 0; i < PATIENCE / 5 && softdma_get("hang_nth"); i++)
		zc_sleep_ms(5);
	return !softdma_get("hang_nth");
}

/*
 * The engine is stopped, under an op of somebody else: what is before the barrier, and was behind
 * that op at the engine, runs again.
 */
TEST_F(barrier, waits_for_what_runs_again)
{
	struct zcdma_op stuck = zc_fill_op(zc_map(PAGE), 1, PAGE, 0), ops[2];
	struct zcdma_completion c;

	stuck.deadline_ms = 600;
	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang_nth", 1));
	ASSERT_EQ(0, zc_submit(self->other, &stuck, 1, NULL));
	EXPECT_TRUE(hangs());
	make_pair(self, variant, ops);
	ASSERT_EQ(0, zc_submit(self->fd, ops, variant->together ? 2 : 1, NULL));
	if (!variant->together)
		ASSERT_EQ(0, zc_submit(self->fd, ops + 1, 1, NULL));
	/* It is there, though others have nothing to do. */
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN, 100));
	ASSERT_EQ(1, zc_reap(self->other, &c, 1, PATIENCE));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	finish(_metadata, self, 2);
	EXPECT_TRUE(page_holds(self, 1, source, 0));
	EXPECT_TRUE(page_holds(self, 2, source, 0));
}

/*
 * What the engine keeps, which cannot be stopped, is over for the program and not for a barrier: it
 * may be written yet. Other channels have nothing to do.
 */
TEST_F(barrier, waits_for_what_was_given_up)
{
	struct zcdma_op ops[2];
	struct zcdma_completion c;

	attach_anew(_metadata, self, variant, "no_terminate=Y");
	make_pair(self, variant, ops);
	ops[0].deadline_ms = 600;
	ASSERT_EQ(0, softdma_set("hang_nth", 1));
	ASSERT_EQ(0, zc_submit(self->fd, ops, 1, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	ASSERT_EQ(0, zc_submit(self->fd, ops + 1, 1, NULL));
	zc_sleep_ms(100);
	EXPECT_FALSE(has_begun(self, 2));
	ASSERT_EQ(0, softdma_set("hang_nth", 0));
	finish(_metadata, self, 1);
	EXPECT_TRUE(page_holds(self, 2, source, 0));
}

/* ---- what a CPU moves ---- */

/* Who submits moves it, unless something is before it. */
TEST_F(barrier, holds_back_what_a_cpu_moves)
{
	struct zcdma_op ops[4];

	attach_anew(_metadata, self, variant, "align=64");
	make_pair(self, variant, ops);
	ops[2] = copy_by_cpu(self, variant, 3, SHORT);
	ops[3] = copy_by_cpu(self, variant, 4, LONG);
	submit(_metadata, self, variant, ops, 4);
	EXPECT_TRUE(!variant->together || begins(self, 1));
	zc_sleep_ms(100);
	for (int page = 2; page <= 4; page++)
		EXPECT_FALSE(has_begun(self, page));
	finish(_metadata, self, 4);
	EXPECT_TRUE(page_holds(self, 2, source, 0));
	EXPECT_TRUE(pattern_holds(source, self->memory + 3 * PAGE, 1, SHORT));
	EXPECT_TRUE(pattern_holds(source, self->memory + 4 * PAGE, 1, LONG));
}

/* The same of one that is the barrier itself. */
TEST_F(barrier, waits_where_a_cpu_moves_it)
{
	static const size_t lens[] = { SHORT, LONG };
	struct zcdma_op ops[2];

	attach_anew(_metadata, self, variant, "align=64");
	for (int i = 0; i < 2; i++) {
		pattern_write(target, self->memory + PAGE, PAGE, PAGE);
		ops[0] = copy_page(self, variant, 1, 0);
		ops[1] = copy_by_cpu(self, variant, 2 + i, lens[i]);
		ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
		ASSERT_EQ(0, softdma_set("hang", 1));
		ASSERT_EQ(0, zc_submit(self->fd, ops, variant->together ? 2 : 1, NULL));
		if (!variant->together)
			ASSERT_EQ(0, zc_submit(self->fd, ops + 1, 1, NULL));
		EXPECT_TRUE(begins(self, 1));
		zc_sleep_ms(100);
		EXPECT_FALSE(has_begun(self, 2 + i));
		finish(_metadata, self, 2);
		EXPECT_TRUE(pattern_holds(source, self->memory + (2 + i) * PAGE, 1, lens[i]));
	}
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_DIRECT_MEMORY_ONLY()
ZC_TEST_MAIN
