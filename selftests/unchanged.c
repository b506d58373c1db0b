// SPDX-License-Identifier: GPL-2.0
/*
 * An op that was refused, or cancelled before it began, has moved nothing: not a byte of its
 * target is different, where memory is bounced (x86_64-swiotlb) as anywhere.
 */
#include <errno.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(16 * PAGE)
#define PATIENCE	5000

/* What the target held when it was registered, and what the program wrote later. */
static const struct pattern source = { 's', 1 }, old = { 'o', 1 }, target = { 't', 1 };

FIXTURE(unchanged) {
	int fd;
	char *src, *dst, *other;	/* SIZE bytes */
	int dst_id;
	struct zcdma_completion done[8];
};

#define UNCHANGED FIXTURE_DATA(unchanged)

FIXTURE_SETUP(unchanged)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	self->other = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(old, self->dst, 0, SIZE);
	self->dst_id = zc_register(self->fd, self->dst, SIZE, 0);
	ASSERT_LT(0, self->dst_id);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(unchanged)
{
	softdma_set("hang", 0);
	close(self->fd);
	EXPECT_EQ(0, softdma_reset());
}

static struct zcdma_op to_registered(const UNCHANGED *self, __u64 user_data)
{
	struct zcdma_op op = zc_copy_op(NULL, self->src, SIZE, user_data);

	op.dst_buffer = self->dst_id;
	return op;
}

/* The engine has but one descriptor, and hangs: what waits behind is taken back. */
TEST_F(unchanged, is_the_target_of_an_op_that_was_cancelled)
{
	struct zcdma_op first = zc_copy_op(self->other, self->src, PAGE, 1);
	struct zcdma_op second = to_registered(self, 2);

	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &first, 1, NULL));
	ASSERT_EQ(0, zc_submit(self->fd, &second, 1, NULL));
	ASSERT_EQ(0, zc_cancel(self->fd, 2, 0, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(-ECANCELED, self->done[0].res);
	EXPECT_EQ(0, self->done[0].done);
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
}

/* Register memory in this session until there are no bounce buffers for a page. */
static size_t register_all(int fd, char *memory, size_t size)
{
	int id;

	while (size >= PAGE) {
		id = zc_register(fd, memory, size, 0);
		if (id == -ENOSPC)	/* this session has as many as it may have */
			break;
		CHILD_CHECK(id > 0 || id == -ENOMEM);
		if (id < 0)
			size /= 2;
	}
	return size;
}

/*
 * The bounce buffers are all taken by registered memory, so that the source of an op cannot
 * be mapped: it is refused.
 */
TEST_F(unchanged, is_the_target_of_an_op_that_was_refused)
{
	struct zcdma_op op = to_registered(self, 1);
	size_t left = 16UL << 20;
	char *memory = zc_map(left);
	int fds[64], n = 0;

	if (!zc_bounces())
		SKIP(return, ZC_NO_BOUNCE_BUFFERS);
	while (left >= PAGE) {
		ASSERT_GT(64, n);
		fds[n] = zc_session("softdma", 0);
		ASSERT_LE(0, fds[n]);
		left = register_all(fds[n++], memory, left);
	}
	EXPECT_EQ(-ENOMEM, zc_submit(self->fd, &op, 1, NULL));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	while (n--)
		close(fds[n]);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
