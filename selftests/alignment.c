// SPDX-License-Identifier: GPL-2.0
/*
 * An engine demands that addresses are aligned. Those it sees are the device's, and a buffer
 * may be registered from any byte on: its ops are moved all the same, and the engine is asked
 * for nothing that it cannot do.
 */
#include <sys/mman.h>

#include "harness.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define MIB	(1024UL << 10)
#define HUGE	(2 * MIB)

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(alignment) {
	int fd;
	char *src, *dst;	/* HUGE bytes, each in one piece if the machine has that */
};

#define ALIGNMENT FIXTURE_DATA(alignment)

/* Memory of huge pages, if there are: physically in one piece. */
static char *map_huge(void)
{
	char *p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHILD_CHECK(p != MAP_FAILED);
	p = (char *)(((unsigned long)p + HUGE - 1) & ~(HUGE - 1));
	madvise(p, HUGE, MADV_HUGEPAGE);
	return p;
}

static void attach(struct __test_metadata *_metadata, ALIGNMENT *self, const char *engine)
{
	ASSERT_EQ(0, softdma_become(engine));
	ASSERT_EQ(0, softdma_set("violations", 0));
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_SETUP(alignment)
{
	zc_unlimit_memlock();
	attach(_metadata, self, "align=64 max_segment=65536");
	self->src = map_huge();
	self->dst = map_huge();
	pattern_write(source, self->src, 0, HUGE);
	pattern_write(target, self->dst, 0, HUGE);
}

FIXTURE_TEARDOWN(alignment)
{
	close(self->fd);
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, softdma_reset());
}

/* Copy @len bytes from offset @at of buffers that begin 16 bytes after an aligned address. */
static void copy_registered(struct __test_metadata *_metadata, ALIGNMENT *self, size_t at,
			    size_t len)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY, .src = at, .dst = at, .len = len, .deadline_ms = 3000,
	};
	size_t from = 16 + at, to = from + len;

	op.src_buffer = zc_register(self->fd, self->src + 16, HUGE - 64, ZCDMA_BUFFER_READ_ONLY);
	op.dst_buffer = zc_register(self->fd, self->dst + 16, HUGE - 64, 0);
	ASSERT_LT(0, (int)op.src_buffer);
	ASSERT_LT(0, (int)op.dst_buffer);
	EXPECT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(pattern_holds(source, self->dst + from, from, len));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, from));
	EXPECT_TRUE(pattern_holds(target, self->dst + to, to, HUGE - to));
}

/* Aligned as the program sees it, and longer than the engine's segment. */
TEST_F(alignment, holds_in_the_segments_of_a_buffer_that_begins_anywhere)
{
	copy_registered(_metadata, self, 48, 4 * 65536);
}

/* The engine's longest segment is no multiple of its alignment: the next one begins aligned. */
TEST_F(alignment, holds_in_segments_of_an_odd_length)
{
	close(self->fd);
	attach(_metadata, self, "align=64 max_segment=5001");
	copy_registered(_metadata, self, 48, 4 * 65536);
	pattern_write(target, self->dst, 0, HUGE);
	copy_registered(_metadata, self, 48, 256);
}

/* Shorter than a segment: where memory is bounced, its address has other low bits. */
TEST_F(alignment, holds_in_a_buffer_that_begins_anywhere)
{
	copy_registered(_metadata, self, 48, 256);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
