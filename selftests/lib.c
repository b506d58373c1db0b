// SPDX-License-Identifier: GPL-2.0
/* The library: what it promises in its header. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(256 * PAGE)
#define PATIENCE	20000

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(library) {
	struct zcdma_session *session;
	char *src, *dst;	/* SIZE bytes, and a page behind dst */
};

FIXTURE_SETUP(library)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	self->session = zcdma_open(NULL);
	ASSERT_TRUE(!!self->session);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE + PAGE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE + PAGE);
}

FIXTURE_TEARDOWN(library)
{
	softdma_set("hang", 0);
	zcdma_close(self->session);
	softdma_reset();
}

/* 0 or -errno, to compare at one glance. */
static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

static int attach(struct zcdma_session *session, const char *name, __u32 depth, __u32 deadline_ms)
{
	struct zcdma_attach how = { .queue_depth = depth, .deadline_ms = deadline_ms };

	strcpy(how.name, name);
	return result(zcdma_attach(session, &how));
}

TEST(version_is_one)
{
	const char *version = zcdma_version();
	size_t digits = strspn(version, "0123456789.");

	EXPECT_LT(4, digits);
	EXPECT_EQ(strlen(version), digits);
}

TEST(open_tells_what_is_wrong)
{
	errno = 0;
	EXPECT_FALSE(!!zcdma_open("/dev/no-such-device"));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_FALSE(!!zcdma_open("/dev/null"));
	EXPECT_EQ(ENOTTY, errno);
	errno = EDOM;
	zcdma_close(NULL);
	EXPECT_EQ(EDOM, errno);
}

TEST(open_leaks_no_descriptor_when_it_fails)
{
	for (int i = 0; i < 2000; i++)
		zcdma_open("/dev/null");
	EXPECT_GT(20, dup(0));
}

TEST_F(library, walks_the_channels)
{
	struct zcdma_query_channel q, same;
	unsigned int i = 0;

	while (!zcdma_query_channel(self->session, 0, i, &q)) {
		EXPECT_EQ(0, zcdma_find_channel(self->session, q.out_name, &same));
		EXPECT_STREQ(q.out_name, same.out_name);
		EXPECT_STREQ(q.out_device, same.out_device);
		i++;
	}
	EXPECT_EQ(ENOENT, errno);
	EXPECT_LE(zc_count_channels(zc_provider()), i);
	EXPECT_EQ(-ENODEV, result(zcdma_find_channel(self->session, "no-such-channel", &q)));
}

TEST_F(library, attaches_to_any_channel_that_copies)
{
	struct zcdma_query_channel q;
	struct zcdma_get_info info;

	ASSERT_EQ(0, zcdma_attach(self->session, NULL));
	ASSERT_EQ(0, zcdma_query_channel(self->session, ZCDMA_QUERY_ATTACHED, 0, &q));
	EXPECT_TRUE(q.out_caps & ZCDMA_CAP_COPY);
	ASSERT_EQ(0, zcdma_get_info(self->session, &info));
	EXPECT_EQ(1, info.out_channels);
	EXPECT_EQ(-EISCONN, result(zcdma_attach(self->session, NULL)));
}

TEST_F(library, attach_tells_what_is_wrong)
{
	EXPECT_EQ(-ENODEV, attach(self->session, "no-such-channel", 0, 0));
	EXPECT_EQ(-EINVAL, attach(self->session, "", ~0U, 0));
}

TEST_F(library, copies)
{
	const size_t lens[] = { 1, 63, PAGE, PAGE + 1, SIZE - 5 };
	struct zcdma_completion r;

	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		pattern_write(target, self->dst, 0, SIZE + PAGE);
		memset(&r, 0xff, sizeof(r));
		ASSERT_EQ(0, zcdma_copy(self->session, self->dst + 3, self->src + 1, lens[i], &r));
		EXPECT_EQ(0, r.res);
		EXPECT_EQ(lens[i], r.done);
		EXPECT_EQ(0, r.user_data);
		EXPECT_TRUE(r.flags & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE));
		EXPECT_TRUE(pattern_holds(target, self->dst, 0, 3));
		EXPECT_TRUE(pattern_holds(source, self->dst + 3, 1, lens[i]));
		EXPECT_TRUE(pattern_holds(target, self->dst + 3 + lens[i], 3 + lens[i],
					  SIZE + PAGE - 3 - lens[i]));
	}
}

/* The rows of a rectangle, and no byte between them. */
static bool rows_are_there(const char *dst, size_t dst_stride, size_t from, size_t src_stride,
			   size_t len, size_t rows)
{
	size_t at;

	for (size_t i = 0; i < rows; i++) {
		at = i * dst_stride;
		if (!pattern_holds(source, dst + at, from + i * src_stride, len) ||
		    !pattern_holds(target, dst + at + len, at + len, dst_stride - len))
			return false;
	}
	at = rows * dst_stride;
	return pattern_holds(target, dst + at, at, SIZE - at);
}

TEST_F(library, copies_rows)
{
	static const struct {
		size_t len, dst_stride, src_stride, rows;
	} shapes[] = {
		{ 1, 1, 1, 1 }, { 100, 1000, 100, 1000 }, { 1000, 1024, 2048, 500 },
		{ PAGE, PAGE, 2 * PAGE, 100 }, { 25 * PAGE, 26 * PAGE, 25 * PAGE + 1, 9 },
	};
	struct zcdma_completion r;

	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		size_t len = shapes[i].len, rows = shapes[i].rows;

		pattern_write(target, self->dst, 0, SIZE + PAGE);
		ASSERT_EQ(0, zcdma_copy_2d(self->session, self->dst, shapes[i].dst_stride,
					   self->src + 1, shapes[i].src_stride, len, rows, &r));
		EXPECT_EQ(0, r.res);
		EXPECT_EQ(len * rows, r.done);
		EXPECT_TRUE(r.flags & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE));
		EXPECT_TRUE(rows_are_there(self->dst, shapes[i].dst_stride, 1,
					   shapes[i].src_stride, len, rows));
	}
	EXPECT_EQ(0, zcdma_copy_2d(self->session, NULL, 0, NULL, 0, 0, 5, &r));
	EXPECT_EQ(0, zcdma_copy_2d(self->session, NULL, 5, NULL, 5, 5, 0, &r));
	EXPECT_EQ(0, r.done);
	EXPECT_EQ(0, zc_outstanding(zcdma_fd(self->session)));
}

TEST_F(library, copy_2d_tells_what_is_wrong)
{
	struct zcdma_session *s = self->session;
	char *dst = self->dst, *src = self->src;

	EXPECT_EQ(-ENOTCONN, result(zcdma_copy_2d(s, dst, 9, src, 9, 5, 2, NULL)));
	ASSERT_EQ(0, attach(s, zc_provider(), 0, 0));
	EXPECT_EQ(-EINVAL, result(zcdma_copy_2d(s, dst, 4, src, 9, 5, 2, NULL)));
	EXPECT_EQ(-EINVAL, result(zcdma_copy_2d(s, dst, 9, src, 4, 5, 2, NULL)));
	EXPECT_EQ(-EINVAL, result(zcdma_copy_2d(s, dst, 9, src, 9, 5, SIZE_MAX / 2, NULL)));
	/* From the first row to the last, though no row overlaps another. */
	EXPECT_EQ(-EINVAL, result(zcdma_copy_2d(s, dst + 50, 100, dst, 100, 50, 2, NULL)));
	EXPECT_EQ(0, result(zcdma_copy_2d(s, dst + 150, 100, dst, 100, 50, 2, NULL)));
	pattern_write(target, dst, 0, SIZE);
	if (sizeof(size_t) == 8)
		EXPECT_EQ(-EINVAL, result(zcdma_copy_2d(s, dst, 1ULL << 32, src, 9, 5, 2, NULL)));
	EXPECT_TRUE(pattern_holds(target, dst, 0, SIZE));
}

TEST_F(library, copies_rows_under_any_limit)
{
	const size_t limits[] = { 2 * PAGE, 16 * PAGE, 3 * PAGE };
	const size_t lens[] = { 1000, 3 * PAGE + 7 };

	for (size_t i = 0; i < ARRAY_SIZE(limits) - zc_brief(); i++) {
		pid_t pid;

		IN_CHILD(pid) {
			struct zcdma_session *s = zcdma_open(NULL);
			struct zcdma_completion r;

			zc_become_user(limits[i]);
			CHILD_CHECK(!attach(s, zc_provider(), 0, 0));
			for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
				size_t len = lens[l], rows = 64 * PAGE / len;

				pattern_write(target, self->dst, 0, SIZE);
				CHILD_CHECK(!zcdma_copy_2d(s, self->dst, len + 50, self->src + 9,
							   len + 1, len, rows, &r));
				CHILD_CHECK(r.done == len * rows);
				CHILD_CHECK(rows_are_there(self->dst, len + 50, 9, len + 1, len,
							   rows));
			}
			zcdma_close(s);
		}
		EXPECT_EQ(0, zc_wait(pid));
	}
}

TEST_F(library, fills)
{
	struct zcdma_completion r;

	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	ASSERT_EQ(0, zcdma_fill(self->session, self->dst + 3, 0xc3, SIZE - 5, &r));
	EXPECT_EQ(SIZE - 5, r.done);
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, 3));
	EXPECT_TRUE(filled_with(0xc3, self->dst + 3, SIZE - 5));
	EXPECT_TRUE(pattern_holds(target, self->dst + SIZE - 2, SIZE - 2, PAGE + 2));
	EXPECT_EQ(0, zcdma_fill(self->session, self->dst, 0, 1, NULL));
}

TEST_F(library, does_nothing_if_the_length_is_zero)
{
	struct zcdma_completion r;

	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	memset(&r, 0xff, sizeof(r));
	EXPECT_EQ(0, zcdma_copy(self->session, self->dst, self->src, 0, &r));
	EXPECT_EQ(0, r.done);
	EXPECT_EQ(0, r.res);
	EXPECT_EQ(0, zcdma_fill(self->session, self->dst, 1, 0, NULL));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
}

TEST_F(library, copy_tells_what_is_wrong)
{
	char *edge = zc_map_edge();

	EXPECT_EQ(-ENOTCONN, result(zcdma_copy(self->session, self->dst, self->src, 64, NULL)));
	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	EXPECT_EQ(-EFAULT, result(zcdma_copy(self->session, NULL, self->src, 64, NULL)));
	EXPECT_EQ(-EFAULT, result(zcdma_copy(self->session, self->dst, edge, 64, NULL)));
	EXPECT_EQ(-EFAULT, result(zcdma_fill(self->session, edge, 1, 64, NULL)));
	EXPECT_EQ(-EINVAL, result(zcdma_copy(self->session, self->dst + 1, self->dst, 64, NULL)));
	EXPECT_EQ(-EINVAL, result(zcdma_copy(self->session, self->dst, self->dst + SIZE / 2,
					     SIZE / 2 + 1, NULL)));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	EXPECT_EQ(0, zc_outstanding(zcdma_fd(self->session)));
}

/* A whole MiB, where only two pages, or sixteen, may be locked at a time. */
TEST_F(library, copies_and_fills_any_length_under_any_limit)
{
	const size_t limits[] = { 2 * PAGE, 16 * PAGE, 3 * PAGE };

	for (size_t i = 0; i < ARRAY_SIZE(limits) - zc_brief(); i++) {
		pid_t pid;

		IN_CHILD(pid) {
			struct zcdma_session *s = zcdma_open(NULL);
			struct zcdma_completion r;

			zc_become_user(limits[i]);
			CHILD_CHECK(!attach(s, zc_provider(), 0, 0));
			CHILD_CHECK(!zcdma_copy(s, self->dst + 9, self->src + 5, SIZE - 5, &r));
			CHILD_CHECK(r.done == SIZE - 5);
			CHILD_CHECK(pattern_holds(source, self->dst + 9, 5, SIZE - 5));
			CHILD_CHECK(!zcdma_fill(s, self->dst + 1, i, SIZE - 1, &r));
			CHILD_CHECK(filled_with(i, self->dst + 1, SIZE - 1));
			CHILD_CHECK(r.done == SIZE - 1);
			zcdma_close(s);
		}
		EXPECT_EQ(0, zc_wait(pid));
	}
}

TEST_F(library, copy_fails_where_nothing_may_be_locked)
{
	pid_t pid;

	IN_CHILD(pid) {
		struct zcdma_session *s = zcdma_open(NULL);

		zc_become_user(0);
		CHILD_CHECK(!attach(s, zc_provider(), 0, 0));
		CHILD_CHECK(result(zcdma_copy(s, self->dst, self->src, SIZE, NULL)) == -ENOMEM);
		CHILD_CHECK(pattern_holds(target, self->dst, 0, SIZE));
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* Everything before the hole may be copied, nothing is outstanding, done is honest. */
TEST_F(library, copy_into_a_hole_tells_how_far_it_came)
{
	struct zcdma_completion r;

	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	ASSERT_EQ(0, munmap(self->dst + SIZE / 2, PAGE));
	EXPECT_EQ(-EFAULT, result(zcdma_copy(self->session, self->dst, self->src, SIZE, &r)));
	EXPECT_EQ(-EFAULT, r.res);
	EXPECT_GE(SIZE / 2, r.done);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, r.done));
	EXPECT_EQ(0, zc_outstanding(zcdma_fd(self->session)));
}

/* ---- submit and reap ---- */

TEST_F(library, submits_and_reaps)
{
	struct zcdma_completion c[8];
	struct zcdma_op ops[5];
	unsigned int accepted;
	bool seen[5] = { 0 };
	int n = 0, got;

	ASSERT_EQ(0, attach(self->session, zc_provider(), 4, 0));
	for (int i = 0; i < 5; i++)
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
	EXPECT_EQ(-EAGAIN, result(zcdma_submit(self->session, ops, 5, &accepted)));
	EXPECT_EQ(4, accepted);
	while (n < 4) {
		got = zcdma_reap(self->session, c, 8, -1);
		ASSERT_LT(0, got);
		for (int i = 0; i < got; i++) {
			ASSERT_GT(4, c[i].user_data);
			EXPECT_FALSE(seen[c[i].user_data]);
			seen[c[i].user_data] = true;
		}
		n += got;
	}
	EXPECT_EQ(4, n);
	EXPECT_EQ(0, zcdma_reap(self->session, c, 8, -1));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 4 * PAGE));
	EXPECT_TRUE(pattern_holds(target, self->dst + 4 * PAGE, 4 * PAGE, PAGE));
}

TEST_F(library, submits_and_waits)
{
	struct zcdma_completion c[4];
	struct zcdma_op ops[4];
	unsigned int accepted;

	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	for (int i = 0; i < 4; i++)
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, 10 + i);
	ASSERT_EQ(0, zcdma_submit_wait(self->session, ops, 4, c, &accepted));
	EXPECT_EQ(4, accepted);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(10 + i, c[i].user_data);
		EXPECT_EQ(0, c[i].res);
	}
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 4 * PAGE));
}

TEST_F(library, reap_waits_as_long_as_it_is_told)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_completion c;
	__u64 start;

	ASSERT_EQ(0, attach(self->session, "softdma", 0, 0));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zcdma_submit(self->session, &op, 1, NULL));
	EXPECT_EQ(-EAGAIN, result(zcdma_reap(self->session, &c, 1, 0)));
	start = zc_now_ms();
	EXPECT_EQ(-EAGAIN, result(zcdma_reap(self->session, &c, 1, 300)));
	EXPECT_LE(299, zc_now_ms() - start);
	EXPECT_EQ(0, zc_poll(zcdma_fd(self->session), POLLIN, 0));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(1, zcdma_reap(self->session, &c, 1, -1));
	EXPECT_EQ(0, c.res);
}

TEST_F(library, does_not_copy_while_other_ops_are_outstanding)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_completion c;

	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	ASSERT_EQ(0, zcdma_submit(self->session, &op, 1, NULL));
	EXPECT_EQ(-EBUSY, result(zcdma_copy(self->session, self->dst + PAGE, self->src, 1, NULL)));
	EXPECT_EQ(1, zcdma_reap(self->session, &c, 1, -1));
	EXPECT_EQ(0, zcdma_copy(self->session, self->dst + PAGE, self->src, 1, NULL));
}

TEST_F(library, cancels)
{
	struct zcdma_completion c[4];
	struct zcdma_op ops[4];

	ASSERT_EQ(0, attach(self->session, "softdma", 0, 0));
	for (int i = 0; i < 4; i++)
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zcdma_submit(self->session, ops, 4, NULL));
	zc_sleep_ms(50);
	EXPECT_EQ(-ENOENT, result(zcdma_cancel(self->session, 99)));
	EXPECT_EQ(-EALREADY, result(zcdma_cancel(self->session, 0)));
	EXPECT_EQ(1, zcdma_cancel(self->session, 3));
	EXPECT_EQ(1, zcdma_reap(self->session, c, 4, PATIENCE));
	EXPECT_EQ(3, c[0].user_data);
	EXPECT_EQ(-ECANCELED, c[0].res);
	EXPECT_EQ(2, zcdma_cancel_all(self->session));
	EXPECT_EQ(2, zcdma_reap(self->session, c, 4, PATIENCE));
}

TEST_F(library, registers_memory)
{
	struct zcdma_completion c;
	struct zcdma_op op = { .opcode = ZCDMA_OP_COPY, .src = PAGE, .dst = 5, .len = 3 * PAGE };
	int source_id, target_id;

	EXPECT_EQ(-ENOTCONN, result(zcdma_register(self->session, self->src, SIZE, 0)));
	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	source_id = zcdma_register(self->session, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	target_id = zcdma_register(self->session, self->dst, SIZE, 0);
	ASSERT_LT(0, source_id);
	ASSERT_LT(0, target_id);
	op.src_buffer = source_id;
	op.dst_buffer = target_id;
	ASSERT_EQ(0, zcdma_submit_wait(self->session, &op, 1, &c, NULL));
	EXPECT_EQ(0, c.res);
	EXPECT_TRUE(pattern_holds(source, self->dst + 5, PAGE, 3 * PAGE));
	EXPECT_EQ(0, zcdma_unregister(self->session, source_id));
	EXPECT_EQ(-EINVAL, result(zcdma_unregister(self->session, source_id)));
}

TEST_F(library, makes_an_op_an_entry_of_a_ring)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 4711);
	struct io_uring_sqe sqe[2];

	memset(sqe, 0xff, sizeof(sqe));
	zcdma_prep_sqe(self->session, sqe, &op);
	EXPECT_EQ(IORING_OP_URING_CMD, sqe->opcode);
	EXPECT_EQ(zcdma_fd(self->session), sqe->fd);
	EXPECT_EQ(ZCDMA_URING_OP, sqe->cmd_op);
	EXPECT_EQ(4711, sqe->user_data);
	EXPECT_EQ(0, sqe->flags);
	EXPECT_EQ(0, memcmp(sqe->cmd, &op, sizeof(op)));
	EXPECT_TRUE(filled_with(0, sqe->cmd + sizeof(op), 80 - sizeof(op)));
}

/* ---- trouble ---- */

TEST_F(library, copy_ends_at_the_deadline)
{
	struct zcdma_completion r;
	__u64 start;

	ASSERT_EQ(0, attach(self->session, "softdma", 0, 700));
	zc_kmsg_expect(ZC_KMSG_HANGS);
	/* Again for what was handed in so much later that it was not late then. */
	zc_kmsg_allow(ZC_KMSG_HANGS);
	zc_kmsg_allow(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	start = zc_now_ms();
	EXPECT_EQ(-ETIMEDOUT, result(zcdma_copy(self->session, self->dst, self->src, SIZE, &r)));
	EXPECT_LE(699, zc_now_ms() - start);
	EXPECT_GE(5700, zc_now_ms() - start);	/* the default is 10,000 ms */
	EXPECT_EQ(-ETIMEDOUT, r.res);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, r.done));
	EXPECT_EQ(0, zc_outstanding(zcdma_fd(self->session)));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zcdma_copy(self->session, self->dst + r.done, self->src + r.done,
				SIZE - r.done, &r));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
}

TEST_F(library, copy_reports_an_engine_that_fails)
{
	struct zcdma_completion r;

	ASSERT_EQ(0, attach(self->session, "softdma", 0, 0));
	ASSERT_EQ(0, softdma_set("fail_nth", 1));
	EXPECT_EQ(-EIO, result(zcdma_copy(self->session, self->dst, self->src, SIZE, &r)));
	EXPECT_EQ(-EIO, r.res);
	EXPECT_GT(SIZE, r.done);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, r.done));
	EXPECT_EQ(0, zc_outstanding(zcdma_fd(self->session)));
}

TEST_F(library, copy_reports_an_engine_that_leaves)
{
	pid_t pid;

	ASSERT_EQ(0, attach(self->session, "softdma", 0, 60000));
	ASSERT_EQ(0, softdma_set("hang", 1));
	IN_CHILD(pid) {
		zc_sleep_ms(300);
		CHILD_CHECK(!softdma_unbind());
	}
	EXPECT_EQ(-ENODEV, result(zcdma_copy(self->session, self->dst, self->src, SIZE, NULL)));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(-ENODEV, result(zcdma_copy(self->session, self->dst, self->src, SIZE, NULL)));
	ASSERT_EQ(0, softdma_bind());
}

/* There and back through the FIFO of the software engine, 16 KiB. */
TEST_F(library, sends_and_receives)
{
	struct zcdma_attach_port how = { .name = "t-loop", .deadline_ms = 3000 };
	/* Now and then, so that one surely comes when the call sleeps. */
	struct zcdma_session *s = self->session;
	struct zcdma_completion r;

	ASSERT_EQ(0, softdma_rebuild(""));
	ASSERT_EQ(0, port_make("t-loop", 0, 1, "width=4"));
	EXPECT_EQ(-ENOTCONN, result(zcdma_send(s, self->src, 64, NULL)));
	ASSERT_EQ(0, zcdma_attach_port(s, &how));
	EXPECT_EQ(0, zcdma_send(s, self->src, 1000, &r));
	EXPECT_EQ(1000, r.done);
	EXPECT_EQ(0, zcdma_recv(s, self->dst, 0, &r));
	EXPECT_EQ(-EINVAL, result(zcdma_recv(s, self->dst, 3, NULL)));
	EXPECT_EQ(-ETIMEDOUT, result(zcdma_recv(s, self->dst, 4000, &r)));
	EXPECT_EQ(1000, r.done);
	EXPECT_TRUE(r.flags & ZCDMA_DONE_RESIDUE);
	EXPECT_EQ(0, zcdma_send(s, self->src + r.done, 3000, NULL));
	/* The signal comes when some of it has. */
	zc_signal_each_ms(1500, 0);
	EXPECT_EQ(-EINTR, result(zcdma_recv(s, self->dst + r.done, 8000, &r)));
	zc_signal_each_ms(0, 0);
	EXPECT_EQ(3000, r.done);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 4000));
	EXPECT_EQ(0, zc_outstanding(zcdma_fd(s)));
	zcdma_close(s);
	self->session = NULL;
	EXPECT_EQ(0, port_drop("t-loop"));
}

/* EINTR, but only when the engine has let go of the memory. */
TEST_F(library, copy_ends_when_a_signal_comes)
{
	long pinned = zc_pinned_baseline();
	struct zcdma_completion r;

	ASSERT_EQ(0, attach(self->session, "softdma", 0, 1500));
	zc_kmsg_expect(ZC_KMSG_HANGS);
	/* Again for what was handed in so much later that it was not late then. */
	zc_kmsg_allow(ZC_KMSG_HANGS);
	zc_kmsg_allow(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	zc_signal_each_ms(200, 0);
	EXPECT_EQ(-EINTR, result(zcdma_copy(self->session, self->dst, self->src, SIZE, &r)));
	EXPECT_EQ(-EINTR, r.res);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, r.done));
	EXPECT_EQ(0, zc_outstanding(zcdma_fd(self->session)));
	EXPECT_EQ(pinned, zc_pinned_pages());
}

/* The engine has the op, and is shared with somebody: when close returns, it has let go. */
TEST_F(library, close_waits_until_no_engine_has_the_memory)
{
	struct zcdma_session *other = zcdma_open(NULL);
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_attach how = { .name = "softdma" };

	ASSERT_TRUE(!!other);
	ASSERT_EQ(0, result(zcdma_attach(other, &how)));
	ASSERT_EQ(0, attach(self->session, how.out_name, 0, 0));
	/* The first half is moved at once, the second two seconds later. */
	ASSERT_EQ(0, softdma_set("delay_us", 2000000));
	ASSERT_EQ(0, result(zcdma_submit(self->session, &op, 1, NULL)));
	zc_sleep_ms(300);
	zcdma_close(self->session);
	self->session = NULL;
	memset(self->dst, 0x55, PAGE);
	zc_sleep_ms(3000);
	EXPECT_TRUE(filled_with(0x55, self->dst, PAGE));
	zcdma_close(other);
}

/* It may still write to the memory of an op whose deadline has passed, and which was reaped. */
TEST_F(library, close_waits_for_an_engine_that_cannot_be_stopped)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_completion c;
	__u64 start;
	pid_t pid;

	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	ASSERT_EQ(0, attach(self->session, "softdma", 0, 600));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, result(zcdma_submit(self->session, &op, 1, NULL)));
	ASSERT_EQ(1, result(zcdma_reap(self->session, &c, 1, PATIENCE)));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	IN_CHILD(pid) {
		zc_sleep_ms(1000);
		CHILD_CHECK(!softdma_set("hang", 0));
	}
	start = zc_now_ms();
	zcdma_close(self->session);
	self->session = NULL;
	EXPECT_LE(700, zc_now_ms() - start);
	memset(self->dst, 0x55, PAGE);
	zc_sleep_ms(500);
	EXPECT_TRUE(filled_with(0x55, self->dst, PAGE));
	EXPECT_EQ(0, zc_wait(pid));
}

/* An op is refused, and a signal ends the wait for the one before it: that one is not lost. */
TEST_F(library, copies_after_a_refusal_and_a_signal)
{
	struct zcdma_op ops[2] = {
		zc_copy_op(self->dst, self->src, PAGE, 1), zc_copy_op(self->dst, self->src, 0, 2),
	};
	struct zcdma_completion c[2];

	ASSERT_EQ(0, attach(self->session, "softdma", 0, 0));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ops[0].deadline_ms = 60000;
	zc_signal_each_ms(200, 0);
	EXPECT_EQ(-EINTR, result(zcdma_submit_wait(self->session, ops, 2, c, NULL)));
	zc_signal_each_ms(0, 0);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(1, result(zcdma_reap(self->session, c, 2, PATIENCE)));
	EXPECT_EQ(1, c[0].user_data);
	EXPECT_EQ(0, result(zcdma_copy(self->session, self->dst, self->src, PAGE, NULL)));
}

/* As by ^Z and fg, while the op still waits for the engine, which hangs with somebody else's. */
TEST_F(library, copies_although_the_process_was_stopped)
{
	struct zcdma_session *other = zcdma_open(NULL);
	struct zcdma_attach how = { .name = "softdma" };
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	atomic_bool *begun = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, begun);
	ASSERT_TRUE(!!other);
	ASSERT_EQ(0, result(zcdma_attach(other, &how)));
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	op.deadline_ms = 60000;
	ASSERT_EQ(0, result(zcdma_submit(other, &op, 1, NULL)));
	IN_CHILD(pid) {
		struct zcdma_session *mine = zcdma_open(NULL);

		CHILD_CHECK(mine && !attach(mine, how.out_name, 0, 60000));
		*begun = true;
		CHILD_CHECK(!zcdma_copy(mine, self->dst + 8 * PAGE, self->src, PAGE, NULL));
	}
	for (__u64 end = zc_now_ms() + PATIENCE; !*begun; zc_sleep_ms(10))
		ASSERT_GT(end, zc_now_ms());
	/* Some times: it may not sleep yet at the first. */
	for (int i = 0; i < 10; i++) {
		zc_sleep_ms(50);
		ASSERT_EQ(0, kill(pid, SIGSTOP));
		zc_sleep_ms(50);
		ASSERT_EQ(0, kill(pid, SIGCONT));
	}
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_wait(pid));
	zcdma_close(other);
}

/* What a stream brings is no completion. */
TEST_F(library, does_not_reap_where_a_stream_receives)
{
	struct zcdma_stream_setup ring = {
		.direction = ZCDMA_RX, .period_bytes = 256, .ring_bytes = 4096,
	};
	struct zcdma_attach_port how = { .name = "t-rx" };
	struct zcdma_completion c[4];
	int tx;

	ASSERT_EQ(0, softdma_rebuild(""));
	ASSERT_EQ(0, port_make("t-rx", -1, 1, ""));
	ASSERT_EQ(0, port_make("t-tx", 0, -1, ""));
	tx = port_open("t-tx", 0, 0);
	ASSERT_LE(0, tx);
	ASSERT_EQ(0, result(zcdma_attach_port(self->session, &how)));
	ASSERT_EQ(0, result(zcdma_stream_setup(self->session, &ring)));
	ASSERT_EQ(0, result(zcdma_stream_control(self->session, ZCDMA_RX, ZCDMA_STREAM_START)));
	ASSERT_EQ(0, port_op(tx, (struct zcdma_op){
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = 512,
	}).res);
	EXPECT_EQ(-EBUSY, result(zcdma_reap(self->session, c, 4, 500)));
	EXPECT_EQ(256, zcdma_stream_read(self->session, self->dst, 256, PATIENCE));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 256));
	zcdma_close(self->session);
	self->session = NULL;
	close(tx);
	EXPECT_EQ(0, port_drop("t-rx"));
	EXPECT_EQ(0, port_drop("t-tx"));
}

#ifdef __aarch64__
static void *tagged(void *p, unsigned long tag)
{
	return (void *)((unsigned long)p | tag << 56);
}

/* Addresses with tags are what they are without: where a copy overlaps does not hang on them. */
TEST_F(library, sees_an_overlap_of_tagged_addresses)
{
	struct zcdma_completion r;

	ASSERT_EQ(0, prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0));
	ASSERT_EQ(0, attach(self->session, zc_provider(), 0, 0));
	EXPECT_EQ(0, result(zcdma_copy(self->session, tagged(self->dst, 0xb4),
				       tagged(self->src, 0x2a), SIZE, &r)));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	EXPECT_EQ(-EINVAL, result(zcdma_copy(self->session, tagged(self->src + SIZE / 4, 1),
					     tagged(self->src, 2), SIZE / 2, &r)));
	EXPECT_TRUE(pattern_holds(source, self->src, 0, SIZE));
}
#endif

ZC_TEST_MAIN
