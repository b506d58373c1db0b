// SPDX-License-Identifier: GPL-2.0
/*
 * What a completion says of who moved the bytes and who said so, by the engine under test: what
 * it cannot reach, or must not, is a CPU's.
 */
#include "harness.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE	4096UL
#define SIZE	(8 * PAGE)
#define LINE	256UL		/* no cache has longer lines, no engine wants more */

#define WHO	(ZCDMA_DONE_HARDWARE | ZCDMA_DONE_CPU)

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(done) {
	struct zcdma_query_channel engine;
	int fd;
	char *src, *dst;
};

FIXTURE_SETUP(done)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->engine.flags = ZCDMA_QUERY_ATTACHED;
	ASSERT_EQ(0, zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, &self->engine));
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(done)
{
	close(self->fd);
}

#define WORLD FIXTURE_DATA(done)

static bool is_hardware(const WORLD *self)
{
	return self->engine.out_caps & ZCDMA_CAP_HARDWARE;
}

/* Must bytes at the edges of a target be moved by a CPU? */
static bool has_edges(const WORLD *self)
{
	return is_hardware(self) && (self->engine.out_copy_align > 1 ||
				     !(self->engine.out_caps & ZCDMA_CAP_COHERENT));
}

/* Copy, see that it was right, and return who moved it. */
static __u32 who_copies(struct __test_metadata *_metadata, WORLD *self, size_t to, size_t from,
			size_t len)
{
	struct zcdma_op op = zc_copy_op(self->dst + to, self->src + from, len, 1);
	struct zcdma_completion c = { 0 };

	pattern_write(target, self->dst, 0, SIZE);
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(len, c.done);
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, to));
	EXPECT_TRUE(pattern_holds(source, self->dst + to, from, len));
	EXPECT_TRUE(pattern_holds(target, self->dst + to + len, to + len, SIZE - to - len));
	return c.flags & WHO;
}

/* Whole pages, which no engine has to leave to a CPU. */
TEST_F(done, says_what_moved_the_bytes)
{
	__u32 wanted = is_hardware(self) ? ZCDMA_DONE_HARDWARE : ZCDMA_DONE_CPU;

	EXPECT_EQ(wanted, who_copies(_metadata, self, 0, 0, PAGE));
	EXPECT_EQ(wanted, who_copies(_metadata, self, PAGE, 2 * PAGE, 4 * PAGE));
	EXPECT_EQ(wanted, who_copies(_metadata, self, LINE, LINE, PAGE));
}

/* The lines at the target's edges that it shares with others are a CPU's, the rest is not. */
TEST_F(done, leaves_edges_to_a_cpu)
{
	__u32 both = has_edges(self) ? WHO : is_hardware(self) ? ZCDMA_DONE_HARDWARE :
								 ZCDMA_DONE_CPU;

	EXPECT_EQ(both, who_copies(_metadata, self, 1, 1, 2 * PAGE));
	EXPECT_EQ(both, who_copies(_metadata, self, PAGE, PAGE, PAGE + 1));
	EXPECT_EQ(both, who_copies(_metadata, self, PAGE + 3, PAGE + 3, 2 * PAGE - 3));
}

/* All of a few bytes are an edge. */
TEST_F(done, leaves_a_few_bytes_to_a_cpu)
{
	__u32 cpu = has_edges(self) || !is_hardware(self) ? ZCDMA_DONE_CPU : ZCDMA_DONE_HARDWARE;

	EXPECT_EQ(cpu, who_copies(_metadata, self, 1, 1, 1));
	EXPECT_EQ(cpu, who_copies(_metadata, self, PAGE + 5, PAGE + 5, 2));
}

/* Where source and target are not aligned alike, nothing fits an engine that wants it. */
TEST_F(done, leaves_what_is_not_aligned_to_a_cpu)
{
	__u32 who = who_copies(_metadata, self, PAGE, 1, 2 * PAGE);
	bool fits = is_hardware(self) && self->engine.out_copy_align == 1;

	EXPECT_EQ(fits, !!(who & ZCDMA_DONE_HARDWARE));
	EXPECT_TRUE(fits || who == ZCDMA_DONE_CPU);
}

/* These drivers know of no error, whatever happened; softdma and edudma tell. */
TEST_F(done, says_if_the_engine_reports)
{
	static const char * const silent[] = { "bcm2835-dma", "xilinx-zynqmp-dma", "dma-pl330" };
	struct zcdma_op op = zc_copy_op(self->dst, self->src, 2 * PAGE, 1);
	struct zcdma_completion c = { 0 };
	bool reports = true;

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		reports &= !!strcmp(self->engine.out_provider, silent[i]);
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(reports, !!(c.flags & ZCDMA_DONE_REPORTED));
}

/* ---- an engine that could report, and does not ---- */

FIXTURE(silent_engine) {
	int fd;
};

FIXTURE_SETUP(silent_engine)
{
	self->fd = -1;
	if (zc_lacks("software"))
		return;
	ASSERT_EQ(0, softdma_become("no_result=Y"));
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(silent_engine)
{
	close(self->fd);
	EXPECT_EQ(0, softdma_reset());
}

TEST_F(silent_engine, is_not_said_to_report)
{
	struct zcdma_completion c = { 0 };
	char *page = zc_map(PAGE);	/* fewer bytes may be left to a CPU, which does report */
	struct zcdma_op op = zc_fill_op(page, 7, PAGE, 1);

	if (zc_lacks("software"))
		SKIP(return, "lacks software: another target has this test");
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(PAGE, c.done);
	EXPECT_EQ(7, page[0]);
	EXPECT_EQ(0, memcmp(page, page + 1, PAGE - 1));
	EXPECT_FALSE(c.flags & ZCDMA_DONE_REPORTED);
}

ZC_TEST_MAIN
