// SPDX-License-Identifier: GPL-2.0
/*
 * Whose is each cache line of what is mapped, the CPU's or the engine's? The software engine
 * keeps a ledger of that (see softdma_ledger.c), and what a client does wrong by it would be
 * wrong data, or somebody else's, on a machine whose engines do not see the CPU's caches.
 */
#include <errno.h>
#include <sys/mman.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define PAGES		16
#define SIZE		(PAGES * PAGE)
#define PATIENCE	20000	/* ms, for what should take no time at all */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(caches) {
	char *src, *dst;	/* SIZE bytes, of pages that lie apart */
	int fd, rx, tx;
};

/* Pages are given out one after the other: those of each buffer are touched by turns. */
FIXTURE_SETUP(caches)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	self->fd = -1;
	self->rx = -1;
	self->tx = -1;
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	for (size_t i = 0; i < PAGES; i++) {
		self->src[i * PAGE] = 1;
		self->dst[(PAGES - 1 - i) * PAGE] = 1;
	}
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(caches)
{
	close(self->fd);
	close(self->rx);
	close(self->tx);
	if (self->tx >= 0)
		EXPECT_EQ(0, port_drop_pair(PATIENCE));
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, softdma_reset());
}

static int become(const char *traits)
{
	return softdma_become(traits) ?: softdma_set("violations", 0);
}

/*
 * An IOMMU makes one segment of registered pages that lie apart. They are synchronized page by
 * page all the same: behind the first lies the memory of others.
 */
TEST_F(caches, of_registered_pages_that_lie_apart_are_synchronized)
{
	struct zcdma_op op = zc_copy_op(NULL, NULL, SIZE, 1);

	ASSERT_EQ(0, become("ledger=Y ledger_merges=Y"));
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
	op.src_buffer = zc_register(self->fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	op.dst_buffer = zc_register(self->fd, self->dst, SIZE, 0);
	ASSERT_LT(0, (int)op.src_buffer);
	ASSERT_LT(0, (int)op.dst_buffer);
	EXPECT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
}

/*
 * Terminate fails, so the periods of a ring stay the engine's when its file is closed, and
 * mapped until it is through with them: it moves all eight. Until then nobody else gets the port.
 */
TEST_F_TIMEOUT(caches, of_a_ring_that_cannot_be_stopped_stay_the_engines, 90)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = 1000 };
	__u64 end;

	ASSERT_EQ(0, become("ledger=Y terminate_fails=Y"));
	ASSERT_EQ(0, port_make_pair());
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, 0));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1000, 8000));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_TRUE(softdma_thread_is_in(1, SOFTDMA_AT_DEVICE));	/* with the first period */
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	zc_kmsg_expect(ZC_KMSG_STRAY);
	close(self->rx);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_STRAY));
	self->rx = port_open("t-rx", 0, 0);
	EXPECT_EQ(-EBUSY, self->rx);
	EXPECT_EQ(0, softdma_get("violations"));
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(0, port_op(self->tx, op).res);
	for (end = zc_now_ms() + PATIENCE; self->rx < 0; zc_sleep_ms(1)) {
		ASSERT_GT(end, zc_now_ms());
		self->rx = port_open("t-rx", 0, 0);
	}
	/* Each send is one, and of the periods the first was begun before. */
	EXPECT_EQ(8 + 7, softdma_get("descriptors"));
	EXPECT_EQ(0, softdma_get("violations"));
}

/*
 * Where caches are not coherent, the engine's part of a line takes the neighbour's with it. So
 * periods of a length that is no multiple of a line begin at a line of their own. (On x86 no device
 * can say that it is not coherent, and nothing is judged.)
 */
TEST_F(caches, of_periods_of_any_length_are_not_shared)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = 4000 };
	char got[4000];

	ASSERT_EQ(0, become("ledger=Y ledger_incoherent=Y"));
	ASSERT_EQ(0, port_make_pair());
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, 0));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1000, 8000));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, port_op(self->tx, op).res);
	for (size_t at = 0; at < sizeof(got); at += 1000)
		ASSERT_EQ(1000, read(self->rx, got + at, 1000));
	EXPECT_TRUE(pattern_holds(source, got, 0, sizeof(got)));
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
