// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that cannot be had: each allocation fails in turn, and nothing breaks, leaks
 * or hangs; all fail at once, and ops on registered memory go on. By the kernel's
 * fault injection, for this task and the caches of kmalloc() and of requests.
 */
#include <fcntl.h>

#include "harness.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(16 * PAGE)
#define PATIENCE	20000
#define LEAST_ALLOCATIONS 5	/* of a session's whole life, see live() */
#define FAILSLAB	"/sys/kernel/debug/failslab/"

static const struct pattern source = { 's', 1 };

FIXTURE(shortage) {
	long pinned;
	char *src, *dst;
};

/* The kernel shows the stack at each failure otherwise; fail-nth is for all kinds of them. */
static void be_quiet(void)
{
	static const char * const kinds[] = {
		"failslab", "fail_usercopy", "fail_page_alloc", "fail_futex",
	};
	char path[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose", kinds[i]);
		if (!access(path, F_OK))
			CHILD_CHECK(!zc_write_file(path, "0"));
	}
}

/* What a fixture skips, this harness runs all the same: the tests skip. */
FIXTURE_SETUP(shortage)
{
	if (zc_lacks("fault-injection"))
		return;
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, zc_write_file(FAILSLAB "cache-filter", "Y"));
	ASSERT_EQ(0, zc_write_file(FAILSLAB "ignore-gfp-wait", "N"));
	be_quiet();
	ASSERT_EQ(0, zc_write_file(FAILSLAB "task-filter", "Y"));
	zc_unlimit_memlock();
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	memset(self->dst, 0, SIZE);
	self->pinned = zc_pinned_baseline();
}

FIXTURE_TEARDOWN(shortage)
{
	if (zc_lacks("fault-injection"))
		return;
	zc_write_file(FAILSLAB "probability", "0");
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/* The task's @nth allocation from now on fails; 0: none. */
static void fail_nth(unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	CHILD_CHECK(!zc_write_file("/proc/thread-self/fail-nth", text));
}

/* Has one failed? What is left to count is given up. The look itself may be what fails. */
static bool has_failed(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR);
	char left[16] = "";
	ssize_t got;

	if (fd < 0)	/* it was the open() */
		return false;
	got = read(fd, left, sizeof(left) - 1);
	while (write(fd, "0", 1) < 0)
		CHILD_CHECK(errno == EFAULT || errno == ENOMEM);
	close(fd);
	return got > 0 && atoi(left) == 0;
}

/* A session's whole life. Returns 0, or the first error. */
static int live(char *dst, char *src, __u32 channels)
{
	struct zcdma_attach how = { .channels = channels, .queue_depth = 8 };
	struct zcdma_op ops[3];
	struct zcdma_completion c[3];
	int fd = zc_open(0), from, to = 0, err;

	if (fd < 0)
		return fd;
	strcpy(how.name, "softdma");
	err = zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how);
	from = err ?: zc_register(fd, src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	if (from > 0)
		to = zc_register(fd, dst, SIZE, 0);
	if (from <= 0 || to <= 0) {
		close(fd);
		return from <= 0 ? from : to;
	}
	ops[0] = (struct zcdma_op){ .opcode = ZCDMA_OP_COPY, .src_buffer = from, .dst_buffer = to,
				    .len = 3 * PAGE };
	ops[1] = zc_copy_op(dst + 4 * PAGE + 7, src + 4 * PAGE + 7, 5 * PAGE, 1);
	ops[2] = zc_fill_op(dst + 12 * PAGE, 9, PAGE, 2);
	err = zc_submit_wait(fd, ops, 3, c, NULL);
	for (int i = 0; !err && i < 3; i++)
		err = c[i].res;
	err = err ?: zc_unregister(fd, from);
	close(fd);
	return err;
}

static void sweep(struct __test_metadata *_metadata, char *dst, char *src, __u32 channels)
{
	unsigned int nth = 0;
	int err;

	do {
		fail_nth(++nth);
		err = live(dst, src, channels);
		/*
		 * Copies from and to user memory are among what fails; dmaengine says of a
		 * channel that has no memory only that it cannot be had; and an op that cannot
		 * be mapped while others are on their way is to be tried again after them.
		 */
		ASSERT_TRUE(!err || err == -ENOMEM || err == -EFAULT || err == -EBUSY ||
			    err == -EAGAIN) {
			TH_LOG("number %u: %d", nth, err);
		}
	} while (has_failed());
	EXPECT_EQ(0, err);
	EXPECT_TRUE(pattern_holds(source, dst, 0, 3 * PAGE));
	/* At least the session, two buffers with their tables, and an op's: none was left out. */
	EXPECT_LE(LEAST_ALLOCATIONS, nth - 1);
	TH_LOG("%u things failed, one after the other", nth - 1);
}

TEST_F_TIMEOUT(shortage, at_each_allocation_in_turn_is_survived, 120)
{
	if (zc_lacks("fault-injection"))
		SKIP(return, "lacks fault-injection: this kernel cannot fail on demand");
	sweep(_metadata, self->dst, self->src, 1);
}

TEST_F_TIMEOUT(shortage, at_each_allocation_for_several_channels_is_survived, 120)
{
	if (zc_lacks("fault-injection"))
		SKIP(return, "lacks fault-injection: this kernel cannot fail on demand");
	sweep(_metadata, self->dst, self->src, 3);
}

/* From the write of "1" to @fd on each allocation fails: of this task, of any size. */
static int prepare_to_fail(void)
{
	CHILD_CHECK(!zc_write_file(FAILSLAB "times", "-1"));
	CHILD_CHECK(!zc_write_file(FAILSLAB "probability", "100"));
	return open("/proc/self/make-it-fail", O_WRONLY);
}

/* The promise: an op on registered memory allocates nothing on its way. */
TEST_F(shortage, of_all_memory_does_not_stop_ops_on_registered_memory)
{
	struct zcdma_completion c[32];
	struct zcdma_op ops[32], other;
	int fd, from, to, errs[4], fail;

	if (zc_lacks("fault-injection"))
		SKIP(return, "lacks fault-injection: this kernel cannot fail on demand");
	fd = zc_session("softdma", 32);
	from = zc_register(fd, self->src, SIZE, 0);
	to = zc_register(fd, self->dst, SIZE, 0);
	ASSERT_LT(0, from);
	ASSERT_LT(0, to);
	for (int i = 0; i < 32; i++)
		ops[i] = (struct zcdma_op){
			.opcode = ZCDMA_OP_COPY, .src_buffer = from, .dst_buffer = to,
			.src = i * PAGE / 2, .dst = i * PAGE / 2, .len = PAGE / 2,
		};
	other = zc_copy_op(self->dst, self->src, 8 * PAGE, 1);
	fail = prepare_to_fail();
	ASSERT_EQ(1, write(fail, "1", 1));
	errs[0] = zc_submit_wait(fd, ops, 32, c, NULL);
	errs[1] = zc_submit(fd, ops, 32, NULL);
	errs[2] = zc_reap(fd, c, 32, PATIENCE);
	errs[3] = zc_submit(fd, &other, 1, NULL);
	ASSERT_EQ(1, write(fail, "0", 1));
	close(fail);
	EXPECT_EQ(0, errs[0]);
	EXPECT_EQ(0, errs[1]);
	EXPECT_EQ(32, errs[2]);
	EXPECT_EQ(-ENOMEM, errs[3]); /* or nothing has failed at all */
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(0, c[i].res);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	close(fd);
}

ZC_TEST_MAIN
