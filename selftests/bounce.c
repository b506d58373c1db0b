// SPDX-License-Identifier: GPL-2.0
/*
 * Where each mapping for DMA goes through bounce buffers, of which there are 256 MiB: when they
 * are full the user is told, the kernel's log says nothing, and all is well when some are free.
 */
#include "harness.h"
#include "pattern.h"
#include "softdma.h"

#define PAGE		4096UL
#define MIB(n)		((size_t)(n) << 20)
#define TOO_MUCH	MIB(300)
#define STEP		MIB(20)
#define PATIENCE	20000

static const struct pattern source = { 's', 1 };

FIXTURE(bounce_buffers) {
	long pinned;
	int fd;
	char *memory;	/* more than can be mapped at a time */
};

FIXTURE_SETUP(bounce_buffers)
{
	self->fd = -1;
	if (!zc_bounces())
		return;
	zc_unlimit_memlock();
	self->pinned = zc_pinned_baseline();
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->memory = zc_map(TOO_MUCH);
	pattern_write(source, self->memory, 0, STEP / 2);
}

FIXTURE_TEARDOWN(bounce_buffers)
{
	if (!zc_bounces())
		return;
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

TEST_F_TIMEOUT(bounce_buffers, that_are_too_few_refuse_a_registration, 120)
{
	if (!zc_bounces())
		SKIP(return, ZC_NO_BOUNCE_BUFFERS);
	EXPECT_EQ(-ENOMEM, zc_register(self->fd, self->memory, TOO_MUCH, 0));
	EXPECT_EQ(self->pinned, zc_pinned_pages());
	EXPECT_LT(0, zc_register(self->fd, self->memory, STEP, 0));
}

TEST_F_TIMEOUT(bounce_buffers, that_are_full_refuse_an_op, 120)
{
	char *dst = self->memory + STEP / 2, *src = self->memory;
	int id = 0, last = 0;
	size_t at;

	if (!zc_bounces())
		SKIP(return, ZC_NO_BOUNCE_BUFFERS);
	for (at = STEP; at < TOO_MUCH; at += STEP) {
		id = zc_register(self->fd, self->memory + at, STEP, 0);
		if (id < 0)
			break;
		last = id;
	}
	EXPECT_EQ(-ENOMEM, id);
	EXPECT_LT(0, last);
	EXPECT_EQ(-ENOMEM, zc_copy(self->fd, dst, src, STEP / 2 - 1));
	EXPECT_EQ(-ENOMEM, zc_copy(self->fd, dst, src, STEP / 2));
	ASSERT_EQ(0, zc_unregister(self->fd, last));
	EXPECT_EQ(0, zc_copy(self->fd, dst, src, STEP / 4));
	EXPECT_TRUE(pattern_holds(source, dst, 0, STEP / 4));
}

/* While something is at the engine there may be room in a while: that is another error. */
TEST_F_TIMEOUT(bounce_buffers, that_are_full_and_in_use_have_an_op_come_again, 120)
{
	char *dst = self->memory + STEP / 2, *src = self->memory, page[PAGE];
	struct zcdma_op busy = zc_copy_op(page, src, PAGE, 1);
	struct zcdma_op op = zc_copy_op(dst, src, STEP / 2, 2);
	struct zcdma_completion c;
	__u32 accepted;

	if (!zc_bounces())
		SKIP(return, ZC_NO_BOUNCE_BUFFERS);
	busy.deadline_ms = 100000;
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &busy, 1, NULL));
	for (size_t at = STEP; at < TOO_MUCH; at += STEP)
		if (zc_register(self->fd, self->memory + at, STEP, 0) < 0)
			break;
	EXPECT_EQ(-EAGAIN, zc_submit(self->fd, &op, 1, &accepted));
	EXPECT_EQ(0, accepted);
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(-ENOMEM, zc_submit(self->fd, &op, 1, &accepted));
	EXPECT_EQ(0, accepted);
}

ZC_TEST_MAIN
