// SPDX-License-Identifier: GPL-2.0
/*
 * A SUBMIT that waits: what ends the wait, and what is told then, whatever signals come and
 * whoever else waits. On the software engine, which hangs until all are there.
 */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "harness.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(4 * PAGE)
#define PATIENCE	20000	/* ms, for what should take no time at all */
#define DEADLINE	60000	/* ms, that never pass */

FIXTURE(wait) {
	int fd;
	char *src, *dst;
	struct zcdma_completion done[2];
};

#define WORLD FIXTURE_DATA(wait)

FIXTURE_SETUP(wait)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
}

FIXTURE_TEARDOWN(wait)
{
	softdma_set("hang", 0);
	close(self->fd);
	EXPECT_EQ(0, softdma_reset());
}

/* A child that waits for an op, numbered 1, at an engine that hangs. Or -1 */
static pid_t wait_for_hung(struct __test_metadata *_metadata, WORLD *self, struct zcdma_op op)
{
	__u64 end = zc_now_ms() + PATIENCE;
	pid_t pid;

	EXPECT_EQ(0, softdma_set("hang", 1));
	IN_CHILD(pid) {
		CHILD_CHECK(!zc_submit_wait(self->fd, &op, 1, self->done, NULL));
		CHILD_CHECK(self->done[0].res == 0 && self->done[0].user_data == 1);
	}
	while (!zc_outstanding(self->fd)) {
		if (zc_now_ms() >= end)
			return -1;
		zc_sleep_ms(10);
	}
	return pid;
}

/* Nobody told it of a signal: a process that was stopped and continued waits on. */
TEST_F(wait, goes_on_after_the_process_was_stopped)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	pid_t pid;

	op.deadline_ms = DEADLINE;
	pid = wait_for_hung(_metadata, self, op);
	ASSERT_LT(0, pid);
	/* Some times: it may not sleep yet at the first. */
	for (int i = 0; i < 10; i++) {
		zc_sleep_ms(50);
		ASSERT_EQ(0, kill(pid, SIGSTOP));
		zc_sleep_ms(50);
		ASSERT_EQ(0, kill(pid, SIGCONT));
	}
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* Its op was done while the process was stopped: it hears of it all the same. */
TEST_F(wait, hears_of_what_was_done_while_the_process_was_stopped)
{
	struct zcdma_op op = zc_buffer_op(0, 0, 0, 0, PAGE);
	int status;
	pid_t pid;

	op.src_buffer = zc_register(self->fd, self->src, SIZE, 0);
	op.dst_buffer = zc_register(self->fd, self->dst, SIZE, 0);
	op.user_data = 1;
	op.deadline_ms = DEADLINE;
	pid = wait_for_hung(_metadata, self, op);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, kill(pid, SIGSTOP));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(POLLIN, zc_poll(self->fd, POLLIN, PATIENCE));
	ASSERT_EQ(0, kill(pid, SIGCONT));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* @count ops on registered memory, numbered from @first on. */
static void number_ops(struct zcdma_op *ops, unsigned int count, unsigned int first, int dst,
		       int src)
{
	for (unsigned int i = 0; i < count; i++) {
		ops[i] = zc_buffer_op(dst, 0, src, 0, PAGE);
		ops[i].user_data = first + i;
		ops[i].deadline_ms = DEADLINE;
	}
}

static bool are_done(const struct zcdma_completion *c, unsigned int count, unsigned int first)
{
	for (unsigned int i = 0; i < count; i++)
		if (c[i].res || c[i].user_data != first + i)
			return false;
	return true;
}

static bool ends_before(pid_t pid, __u64 end)
{
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(10);
	}
	return status == 0;
}

/*
 * Two SUBMITs wait in one session, and other ops are for read(). The engine is done with all
 * before it calls back for the first: they come together, and each goes where it belongs.
 */
TEST_F(wait, of_several_gets_each_its_own)
{
	enum { EACH = 8, WAITERS = 2 };
	struct zcdma_completion c[EACH];
	struct zcdma_op ops[EACH];
	pid_t pids[WAITERS];
	int src, dst;
	__u64 end = zc_now_ms() + PATIENCE;

	src = zc_register(self->fd, self->src, SIZE, 0);
	dst = zc_register(self->fd, self->dst, SIZE, 0);
	ASSERT_LT(0, src);
	ASSERT_LT(0, dst);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, softdma_set("late_us", 20000));
	for (int i = 0; i < WAITERS; i++) {
		number_ops(ops, EACH, i * EACH, dst, src);
		IN_CHILD(pids[i]) {
			CHILD_CHECK(!zc_submit_wait(self->fd, ops, EACH, c, NULL));
			CHILD_CHECK(are_done(c, EACH, i * EACH));
		}
		for (; zc_outstanding(self->fd) != (i + 1) * EACH; zc_sleep_ms(10))
			ASSERT_GT(end, zc_now_ms());
	}
	number_ops(ops, EACH, WAITERS * EACH, dst, src);
	ASSERT_EQ(0, zc_submit(self->fd, ops, EACH, NULL));
	ASSERT_EQ(0, softdma_set("hang", 0));
	for (int i = 0; i < WAITERS; i++)
		EXPECT_TRUE(ends_before(pids[i], end));
	EXPECT_EQ(EACH, zc_reap(self->fd, c, EACH, PATIENCE));
	EXPECT_TRUE(are_done(c, EACH, WAITERS * EACH));
	EXPECT_EQ(0, zc_outstanding(self->fd));
	for (int i = 0; i < WAITERS; i++)
		kill(pids[i], SIGKILL);
}

/*
 * The second op is refused, the first is in flight when a signal comes. If SUBMIT tells that
 * an op was refused, the accepted ones are complete: they are not, so it tells EINTR.
 */
TEST_F(wait, that_a_signal_ends_is_EINTR_though_an_op_was_refused)
{
	struct zcdma_op ops[2] = {
		zc_copy_op(self->dst, self->src, PAGE, 1),
		zc_copy_op(self->dst + PAGE, self->src, 0, 2),	/* EINVAL */
	};
	__u32 accepted = 99;
	int err;

	ops[0].deadline_ms = DEADLINE;
	ASSERT_EQ(0, softdma_set("hang", 1));
	zc_signal_each_ms(200, 0);
	err = zc_submit_wait(self->fd, ops, 2, self->done, &accepted);
	zc_signal_each_ms(0, 0);
	EXPECT_EQ(1, accepted);
	ASSERT_EQ(1, zc_outstanding(self->fd));
	EXPECT_EQ(-EINTR, err);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(0, self->done[0].res);
	EXPECT_EQ(1, self->done[0].user_data);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
