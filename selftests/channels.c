// SPDX-License-Identifier: GPL-2.0
/* Several channels for one session: who moves what, in which order, and how it ends. */
#include <poll.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(512 * PAGE)
#define CHANNELS	4
#define PATIENCE	20000

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

static int attach(int fd, const char *name, __u32 channels)
{
	struct zcdma_attach how = { .channels = channels };

	strcpy(how.name, name);
	return zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how);
}

FIXTURE(channels) {
	long pinned;
	int fd;
	char *src, *dst;
};

#define WORLD FIXTURE_DATA(channels)

FIXTURE_SETUP(channels)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	zc_seed();
	self->pinned = zc_pinned_baseline();
	self->fd = zc_open(0);
	ASSERT_EQ(0, attach(self->fd, "softdma", CHANNELS));
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(channels)
{
	EXPECT_EQ(0, softdma_reset());
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

TEST_F(channels, are_all_of_one_device_and_all_different)
{
	struct zcdma_query_channel q[CHANNELS + 1];

	EXPECT_EQ(CHANNELS, zc_info(self->fd).out_channels);
	for (__u32 i = 0; i <= CHANNELS; i++) {
		q[i] = (struct zcdma_query_channel){ .flags = ZCDMA_QUERY_ATTACHED, .index = i };
		EXPECT_EQ(i < CHANNELS ? 0 : -ENOENT,
			  zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, q + i));
	}
	for (int i = 0; i < CHANNELS; i++) {
		EXPECT_STREQ(q[0].out_device, q[i].out_device);
		EXPECT_EQ(1, q[i].out_sessions);
		for (int j = 0; j < i; j++)
			EXPECT_STRNE(q[i].out_name, q[j].out_name);
	}
}

/* The engine under test may have fewer, or have its other channels taken. */
TEST(two_channels_of_the_engine_under_test)
{
	char *src = zc_map(SIZE), *dst = zc_map(SIZE);
	int fd = zc_open(0), err;

	zc_unlimit_memlock();
	err = attach(fd, zc_provider(), 2);
	if (err && zc_lacks("two-channels"))
		SKIP(return, "lacks two-channels: this engine has one");
	ASSERT_EQ(0, err);
	pattern_write(source, src, 0, SIZE);
	pattern_write(target, dst, 0, SIZE);
	ASSERT_EQ(0, zc_copy(fd, dst + 5, src + 5, SIZE - 10));
	EXPECT_TRUE(pattern_holds(target, dst, 0, 5));
	EXPECT_TRUE(pattern_holds(source, dst + 5, 5, SIZE - 10));
	EXPECT_TRUE(pattern_holds(target, dst + SIZE - 5, SIZE - 5, 5));
	close(fd);
}

TEST_F(channels, are_had_all_or_none)
{
	struct zcdma_query_channel q;
	int fd = zc_open(0);

	EXPECT_EQ(-ENODEV, attach(fd, "softdma", CHANNELS + 1));
	EXPECT_EQ(-EINVAL, attach(fd, "softdma", 17));
	EXPECT_EQ(0, zc_info(fd).out_channels);
	ASSERT_EQ(0, zc_query("softdma", &q));
	EXPECT_EQ(1, q.out_sessions);
	EXPECT_EQ(0, attach(fd, q.out_name, 2));
	close(fd);
}

/* How long does @fd take for all of it? In ms. */
static __u64 time_of_a_long_op(struct __test_metadata *_metadata, WORLD *self, int fd)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, SIZE, 1);
	struct zcdma_completion c;
	__u64 start, took;

	op.deadline_ms = 60000;
	pattern_write(target, self->dst, 0, SIZE);
	start = zc_now_ms();
	ASSERT_EQ(0, zc_submit_wait(fd, &op, 1, &c, NULL));
	took = zc_now_ms() - start;
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(SIZE, c.done);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	return took;
}

/*
 * Each page takes 4 ms: with four channels a quarter of the time, and what the CPU does. How fast
 * its engines are zcdma has seen before: it gives each of them what lasts for a moment.
 */
TEST_F_TIMEOUT(channels, share_a_long_op, 120)
{
	int one = zc_session("softdma", 0);
	__u64 alone, together;

	ASSERT_EQ(0, softdma_set("max_len", PAGE));
	ASSERT_EQ(0, softdma_set("delay_us", 4000));
	ASSERT_EQ(0, zc_copy(one, self->dst, self->src, 8 * PAGE));
	ASSERT_EQ(0, zc_copy(self->fd, self->dst, self->src, 8 * CHANNELS * PAGE));
	alone = time_of_a_long_op(_metadata, self, one);
	together = time_of_a_long_op(_metadata, self, self->fd);
	TH_LOG("%llu ms by one channel, %llu by four", (unsigned long long)alone,
	       (unsigned long long)together);
	close(one);
	if (zc_lacks("counted"))
		SKIP(return, "lacks counted: time is the host's");
	EXPECT_LE(SIZE / PAGE * 4, alone);
	EXPECT_GE(alone / 3, together);
}

TEST_F(channels, share_many_ops)
{
	static struct zcdma_op ops[200];

	for (int round = 0; round < 5; round++) {
		pattern_write(target, self->dst, 0, SIZE);
		for (int i = 0; i < 200; i++)
			ops[i] = zc_copy_op(self->dst + 2 * i * PAGE + i,
					    self->src + 2 * i * PAGE + i, 2 * PAGE - i, i);
		ASSERT_EQ(0, zc_do_all(self->fd, ops, 200));
		for (int i = 0; i < 200; i++)
			ASSERT_TRUE(pattern_holds(source, self->dst + 2 * i * PAGE + i,
						  2 * i * PAGE + i, 2 * PAGE - i));
	}
}

TEST_F(channels, share_registered_memory)
{
	int src = zc_register(self->fd, self->src, SIZE, 0);
	int dst = zc_register(self->fd, self->dst, SIZE, 0);
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY, .len = SIZE, .src_buffer = src, .dst_buffer = dst,
	};

	ASSERT_LT(0, src);
	ASSERT_LT(0, dst);
	ASSERT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	EXPECT_EQ(0, zc_unregister(self->fd, dst));
}

TEST_F(channels, that_hang_are_all_stopped_at_the_deadline)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, SIZE, 1);
	__u64 start = zc_now_ms();

	op.deadline_ms = 600;
	zc_kmsg_expect_several(ZC_KMSG_HANGS, CHANNELS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_EQ(-ETIMEDOUT, zc_do(self->fd, op));
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	EXPECT_GE(5000, zc_now_ms() - start);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_copy(self->fd, self->dst, self->src, SIZE));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
}

/*
 * One of them keeps the op, and cannot be stopped: so the op ends, though with the others all is
 * well.
 */
TEST_F(channels, one_of_which_cannot_be_stopped_end_an_op_at_its_deadline)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_completion c;
	__u64 start;

	close(self->fd);
	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	self->fd = zc_open(0);
	ASSERT_EQ(0, attach(self->fd, "softdma", CHANNELS));
	op.deadline_ms = 600;
	start = zc_now_ms();
	ASSERT_EQ(0, softdma_set("hang_nth", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	EXPECT_EQ(1, zc_reap(self->fd, &c, 1, 5000));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_GT(5000, zc_now_ms() - start);
	ASSERT_EQ(0, softdma_set("hang_nth", 0));
	EXPECT_EQ(0, zc_drain(self->fd, PATIENCE));
}

TEST_F(channels, that_leave_fail_the_op_once)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, SIZE, 1);
	struct zcdma_completion c;

	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_EQ(0, softdma_unbind());
	ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
	EXPECT_EQ(-ENODEV, c.res);
	EXPECT_EQ(0, zc_outstanding(self->fd));
	ASSERT_EQ(0, softdma_bind());
}

TEST_F(channels, report_an_error_of_any_of_them)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, SIZE, 1);
	struct zcdma_completion c;
	int failed = 0;

	for (int nth = 1; nth <= 8; nth++) {
		pattern_write(target, self->dst, 0, SIZE);
		ASSERT_EQ(0, softdma_set("fail_nth", nth));
		ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
		if (softdma_get("fail_nth"))	/* fewer pieces than that */
			break;
		failed++;
		EXPECT_EQ(-EIO, c.res);
		EXPECT_GT(SIZE, c.done);
		EXPECT_TRUE(pattern_holds(source, self->dst, 0, c.done));
	}
	ASSERT_EQ(0, softdma_set("fail_nth", 0));
	EXPECT_LE(CHANNELS, failed);	/* each of them had one */
	EXPECT_EQ(0, zc_copy(self->fd, self->dst, self->src, SIZE));
}

/* ---- who says how it went ---- */

/* Does the driver of @provider tell of errors? */
static bool reports_errors(const char *provider)
{
	static const char * const mute[] = { "bcm2835-dma", "xilinx-zynqmp-dma", "dma-pl330" };

	for (size_t i = 0; i < ARRAY_SIZE(mute); i++)
		if (!strcmp(provider, mute[i]))
			return false;
	return true;
}

TEST(one_channel_says_REPORTED_only_if_its_driver_reports_errors)
{
	char *src = zc_map(PAGE), *dst = zc_map(PAGE);
	struct zcdma_op op = zc_copy_op(dst, src, PAGE, 1);
	int fd = zc_session(zc_provider(), 0);
	struct zcdma_completion c;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, zc_submit_wait(fd, &op, 1, &c, NULL));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(reports_errors(zc_provider()), !!(c.flags & ZCDMA_DONE_REPORTED));
	close(fd);
}

/* ---- order ---- */

/* A chain: each op moves what the one before it has written, if it waits for it. */
static bool chain_holds(int fd, char *memory, size_t len, int links)
{
	struct zcdma_op ops[64];

	pattern_write(source, memory, 0, len);
	memset(memory + len, 0, links * len);
	for (int i = 0; i < links; i++) {
		ops[i] = zc_copy_op(memory + (i + 1) * len, memory + i * len, len, i);
		ops[i].flags = ZCDMA_OP_FLAG_BARRIER;
	}
	return !zc_do_all(fd, ops, links) && pattern_holds(source, memory + links * len, 0, len);
}

TEST_F(channels, keep_the_order_of_barriers)
{
	const size_t lens[] = { 1, 100, PAGE, PAGE + 3, 3 * PAGE };

	ASSERT_EQ(0, softdma_set("delay_us", 100));
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		EXPECT_TRUE(chain_holds(self->fd, self->dst, lens[i], 40)) {
			TH_LOG("%zu bytes each", lens[i]);
		}
	}
}

/* Edges that the CPU moves count as well. */
TEST_F(channels, keep_the_order_of_barriers_with_an_engine_that_wants_alignment)
{
	int fd;

	close(self->fd);
	ASSERT_EQ(0, softdma_rebuild("align=64 unordered=Y"));
	fd = zc_open(0);
	self->fd = fd;
	ASSERT_EQ(0, attach(fd, "softdma", CHANNELS));
	EXPECT_TRUE(chain_holds(fd, self->dst + 7, 1000, 30));
	EXPECT_TRUE(chain_holds(fd, self->dst, 1024, 30));
}

TEST(one_channel_keeps_the_order_of_barriers)
{
	int fd = zc_session(zc_provider(), 0);
	char *memory = zc_map(SIZE);

	ASSERT_LE(0, fd);
	EXPECT_TRUE(chain_holds(fd, memory, PAGE, 30));
	EXPECT_TRUE(chain_holds(fd, memory + 3, 777, 30));
	close(fd);
}

/*
 * The engine can do nothing of the first op, whose source and target are misaligned against
 * each other: the CPU moves it. The barrier copies the end of its target on, which is moved last:
 * an engine that does not wait is there long before.
 */
TEST_F(channels, let_a_barrier_wait_for_what_the_cpu_moves)
{
	struct zcdma_completion c[2];
	struct zcdma_op ops[2];
	int fd;

	close(self->fd);
	ASSERT_EQ(0, softdma_rebuild("align=64"));
	fd = zc_session("softdma", 0);
	self->fd = fd;
	ASSERT_LE(0, fd);
	ops[0] = zc_copy_op(self->dst, self->src + 1, 240 * PAGE, 1);
	ops[1] = zc_copy_op(self->dst + 256 * PAGE, self->dst + 236 * PAGE, 4 * PAGE, 2);
	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
	for (int round = 0; round < 20; round++) {
		pattern_write(target, self->dst, 0, SIZE);
		ASSERT_EQ(0, zc_submit(fd, ops, 2, NULL));
		ASSERT_EQ(2, zc_reap(fd, c, 2, PATIENCE));
		ASSERT_EQ(0, c[0].res | c[1].res);
		ASSERT_TRUE(pattern_holds(source, self->dst + 256 * PAGE, 236 * PAGE + 1,
					  4 * PAGE));
	}
}

/* A barrier behind one that fails runs; behind one that hangs it waits for the deadline. */
TEST_F(channels, let_a_barrier_go_when_what_it_waits_for_failed)
{
	struct zcdma_op ops[2] = {
		zc_copy_op(self->dst, self->src, PAGE, 1),
		zc_copy_op(self->dst + PAGE, self->src + PAGE, PAGE, 2),
	};
	struct zcdma_completion c[2];

	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
	ASSERT_EQ(0, softdma_set("fail_nth", 1));
	ASSERT_EQ(0, zc_submit_wait(self->fd, ops, 2, c, NULL));
	EXPECT_EQ(-EIO, c[0].res);
	EXPECT_EQ(0, c[1].res);
	EXPECT_TRUE(pattern_holds(source, self->dst + PAGE, PAGE, PAGE));
}

TEST_F(channels, let_a_barrier_be_cancelled)
{
	struct zcdma_op ops[2] = {
		zc_copy_op(self->dst, self->src, PAGE, 1),
		zc_copy_op(self->dst + PAGE, self->src + PAGE, PAGE, 2),
	};
	struct zcdma_completion c[2];
	__u32 n;

	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, ops, 2, NULL));
	zc_sleep_ms(50);
	EXPECT_EQ(0, zc_cancel(self->fd, 2, 0, &n));
	EXPECT_EQ(1, n);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(2, zc_reap(self->fd, c, 2, PATIENCE));
	EXPECT_TRUE(pattern_holds(target, self->dst + PAGE, PAGE, PAGE));
}

ZC_TEST_MAIN
