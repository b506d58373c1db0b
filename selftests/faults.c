// SPDX-License-Identifier: GPL-2.0
/*
 * Engines that hang, fail, or leave. The software engine plays them all; what holds here
 * holds for every engine.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "softdma.h"
#include "stall.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(128 * PAGE)
#define PATIENCE	20000	/* ms, for what should take no time at all */

/* ms that a time-out may be late; where time is the host's, the host may be late as well */
#define LATE		(zc_lacks("counted") ? 7000 : 100)

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(engine) {
	int fd;
	long pinned;			/* before all */
	char channel[ZCDMA_NAME_LEN];	/* the session's */
	char *src, *dst;		/* SIZE bytes, and a page behind dst */
	struct zcdma_completion done[8];
};

FIXTURE_SETUP(engine)
{
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_set("violations", 0));
	zc_unlimit_memlock();
	self->pinned = zc_pinned_baseline();
	self->fd = zc_session_and_channel("softdma", 0, self->channel);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE + PAGE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE + PAGE);
}

FIXTURE_TEARDOWN(engine)
{
	softdma_set("hang", 0);
	close(self->fd);
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, softdma_reset());
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/* For the helpers of the tests. */
#define ENGINE FIXTURE_DATA(engine)

static struct zcdma_op copy_with_deadline(const ENGINE *self, size_t len, __u32 ms)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, len, 7);

	op.deadline_ms = ms;
	return op;
}

/* What a failed copy of @len bytes must still guarantee. */
static bool damage_is_contained(const ENGINE *self, size_t len, __u64 done)
{
	return done <= len && pattern_holds(source, self->dst, 0, done) &&
	       pattern_holds(target, self->dst + len, len, SIZE + PAGE - len) &&
	       pattern_holds(source, self->src, 0, SIZE);
}

/* The engine is well again: a copy works. */
static bool works(const ENGINE *self, int fd)
{
	pattern_write(target, self->dst, 0, SIZE + PAGE);
	return !zc_copy(fd, self->dst, self->src, SIZE) &&
	       pattern_holds(source, self->dst, 0, SIZE) &&
	       pattern_holds(target, self->dst + SIZE, SIZE, PAGE);
}

/* ---- the engine hangs ---- */

TEST_F(engine, that_hangs_is_given_up_at_the_deadline)
{
	struct zcdma_op op = copy_with_deadline(self, SIZE, 1000);
	__u64 start, took;

	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	start = zc_now_ms();
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, self->done, NULL));
	took = zc_now_ms() - start;
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	EXPECT_EQ(7, self->done[0].user_data);
	EXPECT_LE(999, took);
	EXPECT_GE(1000 + LATE, took);
	EXPECT_TRUE(damage_is_contained(self, SIZE, self->done[0].done));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(works(self, self->fd));
}

TEST_F(engine, that_hangs_is_given_up_at_the_deadline_of_the_session)
{
	struct zcdma_attach how = { .deadline_ms = 700, .name = "softdma" };
	struct zcdma_op op = zc_copy_op(self->dst, self->src, SIZE, 1);
	int fd = zc_open(0);
	__u64 start, took;

	ASSERT_EQ(0, zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how));
	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	start = zc_now_ms();
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	ASSERT_EQ(1, zc_reap(fd, self->done, 1, PATIENCE));
	took = zc_now_ms() - start;
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	EXPECT_LE(699, took);
	EXPECT_GE(700 + LATE, took);
	close(fd);
}

/* Not a byte of the target changes once the program was told that it is over. */
TEST_F(engine, that_was_given_up_writes_no_more)
{
	struct zcdma_op op = copy_with_deadline(self, SIZE, 600);
	char *snapshot = malloc(SIZE);

	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, self->done, NULL));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	memcpy(snapshot, self->dst, SIZE);
	ASSERT_EQ(0, softdma_set("hang", 0));
	zc_sleep_ms(300);
	EXPECT_EQ(0, memcmp(snapshot, self->dst, SIZE));
	EXPECT_EQ(self->pinned, zc_pinned_pages());
}

/*
 * The engine is told to stop with some bytes in its hands, and moves those before it stands
 * still. That is waited for before the op completes and its pages are let go.
 */
TEST_F(engine, that_is_told_to_stop_is_waited_for)
{
	struct zcdma_op op = copy_with_deadline(self, SIZE, 600);
	char *snapshot = malloc(SIZE);

	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("stall_us", 2000000));
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, self->done, NULL));
	memcpy(snapshot, self->dst, SIZE);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_EQ(self->pinned, zc_pinned_pages());
	ASSERT_EQ(0, softdma_set("stall_us", 0));
	zc_sleep_ms(3000);
	EXPECT_EQ(0, memcmp(snapshot, self->dst, SIZE));
	EXPECT_TRUE(works(self, self->fd));
}

TEST_F(engine, that_hangs_does_not_keep_queued_ops_beyond_their_deadline)
{
	struct zcdma_op ops[2] = {
		copy_with_deadline(self, PAGE, 5000), copy_with_deadline(self, PAGE, 600),
	};
	__u64 start, took;

	ops[1].dst += SIZE / 2;
	ops[1].user_data = 8;
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	start = zc_now_ms();
	ASSERT_EQ(0, zc_submit(self->fd, ops, 2, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	took = zc_now_ms() - start;
	EXPECT_EQ(8, self->done[0].user_data);
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_EQ(0, self->done[0].done);
	EXPECT_LE(599, took);
	EXPECT_GE(600 + LATE, took);
	EXPECT_TRUE(pattern_holds(target, self->dst + PAGE, PAGE, SIZE));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(0, self->done[0].res);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, PAGE));
}

/*
 * It was slow, and so it gets little at a time. What it had when it was stopped is not there any
 * more: there is room for the next.
 */
TEST_F(engine, that_was_stopped_has_room_for_more)
{
	struct zcdma_op op = copy_with_deadline(self, 16 * PAGE, 600);

	ASSERT_EQ(0, softdma_set("delay_us", 20000));
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(0, zc_copy(self->fd, self->dst, self->src, PAGE));
	ASSERT_EQ(0, softdma_set("delay_us", 0));
	ASSERT_EQ(0, softdma_set("hang", 1));
	for (int round = 0; round < 3; round++) {
		zc_kmsg_expect(ZC_KMSG_HANGS);
		EXPECT_EQ(-ETIMEDOUT, zc_do(self->fd, op));
		EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	}
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(works(self, self->fd));
}

/* It works, but too slowly: the deadline holds all the same, and what was done is told. */
TEST_F(engine, that_is_slow_is_given_up_at_the_deadline)
{
	struct zcdma_op op = copy_with_deadline(self, SIZE, 1000);
	__u64 start, took;

	if (zc_lacks("counted"))
		zc_kmsg_allow(ZC_KMSG_HANGS);	/* the host stood still */
	ASSERT_EQ(0, softdma_set("max_len", PAGE));
	ASSERT_EQ(0, softdma_set("delay_us", 30000));
	start = zc_now_ms();
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, self->done, NULL));
	took = zc_now_ms() - start;
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_LE(999, took);
	/* What the engine already has may finish; the host may be late with each page of it. */
	EXPECT_GE(1000 + 32 * (zc_lacks("counted") ? 60 : 30) + LATE, took);
	EXPECT_LE((zc_lacks("counted") ? 1 : 8) * PAGE, self->done[0].done);
	EXPECT_TRUE(damage_is_contained(self, SIZE, self->done[0].done));
	ASSERT_EQ(0, softdma_reset());
	EXPECT_TRUE(works(self, self->fd));
}

/* Only one descriptor is stuck; what waits behind it, of others and of its own session, is not. */
TEST_F(engine, that_hangs_with_one_op_takes_no_other_down)
{
	struct zcdma_op stuck = copy_with_deadline(self, PAGE, 1000), ops[40];
	struct zcdma_completion c[41];
	int other = zc_session(self->channel, 0);
	__u64 seen = 0;

	ASSERT_LE(0, other);
	stuck.user_data = 40;
	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang_nth", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &stuck, 1, NULL));
	for (int i = 0; i < 40; i++)
		ops[i] = zc_copy_op(self->dst + (2 * i + 2) * PAGE, self->src + i * PAGE, PAGE, i);
	ASSERT_EQ(0, zc_submit(self->fd, ops, 20, NULL));
	ASSERT_EQ(0, zc_submit(other, ops + 20, 20, NULL));
	ASSERT_EQ(20, zc_reap(other, c, 20, PATIENCE));
	ASSERT_EQ(21, zc_reap(self->fd, c + 20, 21, PATIENCE));
	for (int i = 0; i < 41; i++) {
		ASSERT_GT(41, c[i].user_data);
		EXPECT_EQ(c[i].user_data == 40 ? -ETIMEDOUT : 0, c[i].res);
		EXPECT_EQ(i < 20, c[i].user_data >= 20 && c[i].user_data < 40);
		seen |= 1ULL << c[i].user_data;
	}
	EXPECT_EQ((1ULL << 41) - 1, seen);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	for (int i = 0; i < 40; i++) {
		EXPECT_TRUE(pattern_holds(source, self->dst + (2 * i + 2) * PAGE, i * PAGE, PAGE));
		EXPECT_TRUE(pattern_holds(target, self->dst + (2 * i + 3) * PAGE,
					  (2 * i + 3) * PAGE, PAGE));
	}
	close(other);
}

/*
 * A slow op is at the engine, and behind it one of another session whose deadline passes at
 * once. The engine gets on, so it is left to it: the slow op is done well. (That the engine was
 * stopped would be a complaint, which nobody announces here.)
 */
TEST_F(engine, that_gets_on_is_not_stopped_by_tiny_deadlines)
{
	struct zcdma_op slow = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_op tiny = zc_copy_op(self->dst + SIZE / 2, self->src, PAGE, 2);
	int other = zc_session(self->channel, 0);

	ASSERT_LE(0, other);
	if (zc_lacks("counted"))
		zc_kmsg_allow(ZC_KMSG_HANGS);	/* the host stood still */
	tiny.deadline_ms = 1;
	ASSERT_EQ(0, softdma_set("delay_us", 200000));
	for (int round = 0; round < 5; round++) {
		ASSERT_EQ(0, zc_submit(self->fd, &slow, 1, NULL));
		EXPECT_EQ(-ETIMEDOUT, zc_do(other, tiny));
		ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
		EXPECT_EQ(0, self->done[0].res) {
			TH_LOG("round %d", round);
		}
	}
	close(other);
}

/* ---- a process that is killed while the engine hangs ---- */

static pid_t child_with_a_hung_op(const ENGINE *self, bool wait)
{
	struct zcdma_op op = copy_with_deadline(self, SIZE, 4000);
	struct zcdma_completion c;
	pid_t pid;

	IN_CHILD(pid) {
		int fd = zc_session("softdma", 0);

		CHILD_CHECK(fd >= 0);
		if (wait)
			zc_submit_wait(fd, &op, 1, &c, NULL);
		CHILD_CHECK(!zc_submit(fd, &op, 1, NULL));
		zc_read(fd, &c, 1);
		CHILD_CHECK(!"woke up");
	}
	zc_sleeps_in(pid, wait ? SYS_ioctl : SYS_read);
	return pid;
}

TEST_F(engine, that_hangs_does_not_keep_a_process_from_being_killed)
{
	for (int wait = 0; wait < 2; wait++) {
		pid_t pid;
		__u64 start;

		ASSERT_EQ(0, softdma_set("hang", 1));
		pid = child_with_a_hung_op(self, wait);
		EXPECT_LT(self->pinned, zc_pinned_pages());
		start = zc_now_ms();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, zc_wait(pid));
		EXPECT_GE(3000, zc_now_ms() - start);	/* the deadline is at 4000 */
		EXPECT_TRUE(zc_pinned_falls_to(self->pinned, 4000 + LATE));
		ASSERT_EQ(0, softdma_set("hang", 0));
		EXPECT_TRUE(works(self, self->fd));
	}
}

/*
 * This engine cannot be stopped: the program hears of the time-out, and may die,
 * but its pages stay pinned until the engine is done with them.
 */
TEST_F(engine, that_cannot_be_stopped_keeps_its_pages)
{
	struct zcdma_op op;
	long held;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	op = copy_with_deadline(self, SIZE, 700);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit_wait(fd, &op, 1, self->done, NULL));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	held = zc_pinned_pages();
	EXPECT_LE(self->pinned + 2 * SIZE / PAGE, held);
	close(fd);
	zc_sleep_ms(300);
	EXPECT_EQ(held, zc_pinned_pages());
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(works(self, fd));
	close(fd);
}

/* What it has goes on there, with its memory, when the file is closed: somebody else uses it. */
TEST_F(engine, that_hangs_does_not_keep_a_close_waiting)
{
	struct zcdma_op op = copy_with_deadline(self, SIZE, 10000);
	int fd = zc_session(self->channel, 0);
	__u64 start;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	zc_sleep_ms(100);
	start = zc_now_ms();
	close(fd);
	EXPECT_GE(8000, zc_now_ms() - start);	/* the deadline is at 10000 */
	EXPECT_LE(self->pinned + 2 * SIZE / PAGE, zc_pinned_pages());
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	/* It had the beginning; the rest may have been handed out by then, or not. */
	EXPECT_TRUE(damage_is_contained(self, SIZE, PAGE));
}

/*
 * Nobody has a session at it any more, and it has something yet. Whoever wants a channel meanwhile
 * gets one, and whoever looks or goes does not wait.
 */
TEST_F(engine, that_cannot_be_stopped_holds_up_nobody)
{
	struct zcdma_query_channel query;
	char channel[ZCDMA_NAME_LEN];
	struct zcdma_op op;
	__u64 start;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	fd = zc_session_and_channel("softdma", 0, channel);
	ASSERT_LE(0, fd);
	op = copy_with_deadline(self, SIZE, 60000);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	close(fd);
	zc_sleep_ms(300);	/* the kernel has looked whether the channel can go */
	start = zc_now_ms();
	EXPECT_EQ(0, zc_query(channel, &query));
	EXPECT_EQ(0, query.out_sessions);
	EXPECT_EQ(ZCDMA_CHANNEL_FREE, query.out_state);
	fd = zc_session("softdma", 0);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_GE(1000 + LATE, zc_now_ms() - start);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/*
 * It may write to memory of an op that the program was told is over, and whose completion was
 * read: DRAIN waits for that, too, and afterwards not a byte changes.
 */
TEST_F(engine, that_cannot_be_stopped_is_drained)
{
	struct zcdma_op op;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	op = copy_with_deadline(self, SIZE, 700);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit_wait(fd, &op, 1, self->done, NULL));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_EQ(0, zc_outstanding(fd));
	EXPECT_EQ(-ETIMEDOUT, zc_drain(fd, 300));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_drain(fd, PATIENCE));
	EXPECT_EQ(self->pinned, zc_pinned_pages());
	memset(self->dst, 0x55, SIZE);
	zc_sleep_ms(500);
	EXPECT_TRUE(filled_with(0x55, self->dst, SIZE));
	close(fd);
}

/* It writes to a buffer yet, of an op that is over and reaped: that is not given back before. */
TEST_F(engine, that_cannot_be_stopped_keeps_its_buffers)
{
	struct zcdma_op op;
	int fd, src, dst;

	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	src = zc_register(fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	dst = zc_register(fd, self->dst, SIZE, 0);
	ASSERT_LT(0, src);
	ASSERT_LT(0, dst);
	op = zc_buffer_op(dst, 0, src, 0, SIZE);
	op.deadline_ms = 600;
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit_wait(fd, &op, 1, self->done, NULL));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_EQ(0, zc_outstanding(fd));
	EXPECT_EQ(-EBUSY, zc_unregister(fd, dst));
	EXPECT_EQ(-EBUSY, zc_unregister(fd, src));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_drain(fd, PATIENCE));
	EXPECT_EQ(0, zc_unregister(fd, dst));
	EXPECT_EQ(0, zc_unregister(fd, src));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	close(fd);
}

/* This engine, which cannot be stopped, is done with an op that has completed long ago. */
TEST_F(engine, op_that_was_given_up_completes_once)
{
	struct zcdma_op op = copy_with_deadline(self, PAGE, 600);
	int fd;

	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	fd = zc_session("softdma", 2);
	ASSERT_LE(0, fd);
	for (int is_read = 0; is_read < 2; is_read++) {
		ASSERT_EQ(0, softdma_set("hang", 1));
		ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
		ASSERT_EQ(POLLIN, zc_poll(fd, POLLIN, PATIENCE));
		if (is_read)
			ASSERT_EQ(1, zc_read(fd, self->done, 2));
		ASSERT_EQ(0, softdma_set("hang", 0));
		ASSERT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
		zc_sleep_ms(200);
		if (!is_read)
			ASSERT_EQ(1, zc_read(fd, self->done, 2));
		EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
		EXPECT_EQ(7, self->done[0].user_data);
		EXPECT_EQ(0, zc_outstanding(fd));
		EXPECT_EQ(0, zc_poll(fd, POLLIN, 0));
		EXPECT_EQ(0, zc_read(fd, self->done, 2));
	}
	EXPECT_TRUE(works(self, fd));
	close(fd);
}

/* Its memory is still in use, and so is its place: room is told when the engine is through. */
TEST_F(engine, that_cannot_be_stopped_keeps_the_place_of_its_op)
{
	struct zcdma_op op = copy_with_deadline(self, PAGE, 600);
	pid_t pid;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	fd = zc_session("softdma", 1);
	ASSERT_LE(0, fd);
	EXPECT_EQ(POLLOUT, zc_poll(fd, POLLOUT, 0));
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_EQ(-ETIMEDOUT, zc_do(fd, op));
	EXPECT_EQ(0, zc_outstanding(fd));
	EXPECT_EQ(0, zc_poll(fd, POLLOUT, 0));
	EXPECT_EQ(-EAGAIN, zc_submit(fd, &op, 1, NULL));
	IN_CHILD(pid)
		CHILD_CHECK(zc_poll(fd, POLLOUT, PATIENCE) == POLLOUT);
	zc_sleep_ms(300);	/* it is asleep in poll() */
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_TRUE(works(self, fd));
	close(fd);
}

/* ---- the engine fails ---- */

TEST_F(engine, that_fails_is_reported)
{
	for (int result = 1; result <= 3; result++) {
		pattern_write(target, self->dst, 0, SIZE);
		ASSERT_EQ(0, softdma_set("fail_result", result));
		ASSERT_EQ(0, softdma_set("fail_nth", 1));
		EXPECT_EQ(-EIO, zc_copy(self->fd, self->dst, self->src, SIZE));
		EXPECT_TRUE(works(self, self->fd));
	}
}

/*
 * A page is the longest piece; as pieces are halved until the engine takes them, the
 * longest is longer than half a page, and with what it leaves of a page it is a page.
 * The fifth piece fails: four are certainly there, and no more than half of it.
 */
TEST_F(engine, that_fails_in_the_middle_tells_how_far_it_came)
{
	struct zcdma_op op = copy_with_deadline(self, 16 * PAGE, 0);

	ASSERT_EQ(0, softdma_set("max_len", PAGE));
	ASSERT_EQ(0, zc_copy(self->fd, self->dst, self->src, 16 * PAGE)); /* it learns the limit */
	pattern_write(target, self->dst, 0, SIZE);
	ASSERT_EQ(0, softdma_set("fail_nth", 5));
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, self->done, NULL));
	EXPECT_EQ(-EIO, self->done[0].res);
	EXPECT_TRUE(self->done[0].flags & ZCDMA_DONE_REPORTED);
	EXPECT_LE(4 * PAGE / 2, self->done[0].done);
	EXPECT_GE(4 * PAGE + PAGE / 2, self->done[0].done);
	EXPECT_TRUE(damage_is_contained(self, 16 * PAGE, self->done[0].done));
	ASSERT_EQ(0, softdma_set("max_len", 4294967295UL));
	EXPECT_TRUE(works(self, self->fd));
}

/*
 * The first bytes are for a CPU, which moves them last. When the second piece fails they are not
 * there, though the first one is.
 */
TEST_F(engine, that_fails_has_not_moved_what_is_for_a_cpu)
{
	const size_t first = 64, sure = PAGE - 64;	/* of the piece that goes well */
	struct zcdma_op op = zc_copy_op(self->dst + 7, self->src + 7, 4 * PAGE, 7);
	int fd;

	ASSERT_EQ(0, softdma_become("align=64"));
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, softdma_set("max_len", PAGE));
	ASSERT_EQ(0, softdma_set("fail_nth", 2));
	ASSERT_EQ(0, zc_submit_wait(fd, &op, 1, self->done, NULL));
	EXPECT_EQ(-EIO, self->done[0].res);
	EXPECT_TRUE(pattern_holds(source, self->dst + first, first, sure));
	EXPECT_TRUE(pattern_holds(source, self->dst + 7, 7, self->done[0].done));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, 7));
	close(fd);
}

/* One of many ops fails; the others do not. */
TEST_F(engine, that_fails_with_one_op_fails_no_other)
{
	struct zcdma_completion c[16];
	struct zcdma_op ops[16];
	int failed = 0;

	for (int i = 0; i < 16; i++)
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
	ASSERT_EQ(0, softdma_set("fail_nth", 9));
	ASSERT_EQ(0, zc_submit_wait(self->fd, ops, 16, c, NULL));
	for (int i = 0; i < 16; i++) {
		failed += c[i].res == -EIO;
		EXPECT_TRUE(c[i].res == 0 || c[i].res == -EIO);
		EXPECT_TRUE(pattern_holds(source, self->dst + i * PAGE, i * PAGE, c[i].done));
		EXPECT_EQ(c[i].res ? c[i].done : PAGE, c[i].done);
	}
	EXPECT_EQ(1, failed);
	EXPECT_EQ(0, softdma_get("fail_nth"));
}

TEST_F(engine, that_takes_nothing_at_all_is_an_error)
{
	struct zcdma_op op = copy_with_deadline(self, SIZE, 5000);

	ASSERT_EQ(0, softdma_set("pool", 0));
	ASSERT_EQ(0, zc_submit_wait(self->fd, &op, 1, self->done, NULL));
	EXPECT_EQ(-EIO, self->done[0].res);
	EXPECT_EQ(0, self->done[0].done);
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	ASSERT_EQ(0, softdma_set("pool", 256));
	EXPECT_TRUE(works(self, self->fd));
}

/* ---- the engine leaves ---- */

static pid_t child_in_poll(int fd)
{
	pid_t pid;

	IN_CHILD(pid) {
		__u64 end = zc_now_ms() + PATIENCE;
		short events;

		CHILD_CHECK(zc_poll(fd, POLLIN, PATIENCE));
		do { /* it may hear of completions first */
			events = zc_poll(fd, 0, PATIENCE);
		} while (!(events & POLLHUP) && zc_now_ms() < end);
		CHILD_CHECK((events & (POLLHUP | POLLERR)) == (POLLHUP | POLLERR));
	}
	return pid;
}

/* A dead session: what it may still do and what it may not. */
static void check_dead(int fd)
{
	struct zcdma_query_channel query = { .flags = ZCDMA_QUERY_ATTACHED };
	struct zcdma_completion c;
	char byte = 0;
	short events = zc_poll(fd, POLLIN, 0);

	CHILD_CHECK((events & (POLLHUP | POLLERR)) == (POLLHUP | POLLERR));
	CHILD_CHECK(zc_fill(fd, &byte, 1, 1) == -ENODEV);
	CHILD_CHECK(byte == 0);
	CHILD_CHECK(zc_read(fd, &c, 1) == -ENODEV);
	CHILD_CHECK(zc_outstanding(fd) == 0);
	CHILD_CHECK(zc_cancel(fd, 0, ZCDMA_CANCEL_ALL, NULL) == -ENOENT);
	CHILD_CHECK(zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &query) == -ENODEV);
}

TEST_F(engine, that_leaves_ends_an_idle_session)
{
	ASSERT_EQ(0, softdma_unbind());
	check_dead(self->fd);
	EXPECT_EQ(-ENODEV, zc_session("softdma", 0));
	EXPECT_EQ(-ENODEV, zc_session(self->channel, 0));
	ASSERT_EQ(0, softdma_bind());
	check_dead(self->fd);
}

/* All its ops have finished; that their completions were not read yet changes nothing. */
TEST_F(engine, that_leaves_is_told_by_poll_before_completions_are_read)
{
	struct zcdma_op op = copy_with_deadline(self, PAGE, 60000);

	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN, 0));
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(POLLIN | POLLHUP | POLLERR, zc_poll(self->fd, POLLIN, 0));
	ASSERT_EQ(1, zc_read(self->fd, self->done, 8));
	EXPECT_EQ(-ENODEV, self->done[0].res);
	EXPECT_EQ(POLLHUP | POLLERR, zc_poll(self->fd, POLLIN, 0));
	ASSERT_EQ(0, softdma_bind());
}

/* Who asks for no event but the end sleeps until then; nothing was outstanding. */
TEST_F(engine, that_leaves_wakes_who_polls_for_its_end)
{
	pid_t pid;

	IN_CHILD(pid)
		CHILD_CHECK(zc_poll(self->fd, 0, PATIENCE) == (POLLHUP | POLLERR));
	zc_sleep_ms(300);
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(0, zc_wait(pid));
	ASSERT_EQ(0, softdma_bind());
}

/* Whoever holds the session in an epoll set hears of it too, and may then close both. */
TEST_F(engine, that_leaves_is_told_by_epoll)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 77 }, got = { 0 };
	int set = epoll_create1(EPOLL_CLOEXEC), fd = zc_session("softdma", 0);
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	EXPECT_EQ(0, epoll_wait(set, &got, 1, 0));
	IN_CHILD(pid) {
		zc_sleep_ms(200);
		CHILD_CHECK(!softdma_unbind());
	}
	EXPECT_EQ(1, epoll_wait(set, &got, 1, PATIENCE));
	EXPECT_EQ(77, got.data.u32);
	EXPECT_EQ(EPOLLHUP | EPOLLERR, got.events & (EPOLLHUP | EPOLLERR));
	EXPECT_EQ(0, zc_wait(pid));
	close(fd);
	EXPECT_EQ(0, epoll_wait(set, &got, 1, 0));
	close(set);
	ASSERT_EQ(0, softdma_bind());
}

TEST_F(engine, that_leaves_ends_all_ops_and_wakes_who_waits)
{
	struct zcdma_op ops[8];
	pid_t poller, waiter, reader;
	__u64 start;
	int fd;

	for (int i = 0; i < 8; i++) {
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
		ops[i].deadline_ms = 60000;
	}
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, softdma_set("pool", 2));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, ops, 8, NULL));
	poller = child_in_poll(self->fd);
	IN_CHILD(waiter) {
		struct zcdma_completion c[2];

		CHILD_CHECK(!zc_submit_wait(fd, ops, 2, c, NULL));
		CHILD_CHECK(c[0].res == -ENODEV && c[1].res == -ENODEV);
	}
	while (zc_outstanding(fd) != 2)
		zc_sleep_ms(10);
	IN_CHILD(reader) { /* the waiter takes all: 0, unless it is told first that it is over */
		int got = zc_read(fd, self->done, 8);

		CHILD_CHECK(got == 0 || got == -ENODEV);
	}
	zc_sleep_ms(200);

	start = zc_now_ms();
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_GE(10000, zc_now_ms() - start);	/* the ops have a minute */
	EXPECT_EQ(0, zc_wait(poller));
	EXPECT_EQ(0, zc_wait(waiter));
	EXPECT_EQ(0, zc_wait(reader));
	EXPECT_EQ(8, zc_reap(self->fd, self->done, 8, PATIENCE));
	for (int i = 0; i < 8; i++) {
		__u64 op = self->done[i].user_data;

		ASSERT_GT(8, op);
		EXPECT_EQ(-ENODEV, self->done[i].res);
		/* The engine moves half of the first one and then hangs. */
		EXPECT_GE(op ? 0 : PAGE / 2, self->done[i].done);
		EXPECT_TRUE(pattern_holds(source, self->dst + op * PAGE, op * PAGE,
					  self->done[i].done));
		if (op)
			EXPECT_TRUE(pattern_holds(target, self->dst + op * PAGE, op * PAGE, PAGE));
	}
	check_dead(self->fd);
	check_dead(fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	close(fd);

	ASSERT_EQ(0, softdma_bind());
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(works(self, fd));
	close(fd);
}

/* ---- page faults that last for ever ---- */

enum staller {
	STALL_IN_SUBMIT,	/* pinning the source */
	STALL_IN_READ,		/* writing a completion */
	STALL_IN_WAIT,		/* writing the completion of an op waited for */
	STALLERS
};

static pid_t child_that_stalls(const ENGINE *self, enum staller where)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	char *stalling;
	pid_t pid;

	IN_CHILD(pid) {
		stalling = zc_map(PAGE);
		stall_begin(stalling, PAGE);
		if (where == STALL_IN_SUBMIT)
			op.src = zc_ptr(stalling);
		if (where == STALL_IN_WAIT)
			zc_submit_wait(self->fd, &op, 1, (void *)stalling, NULL);
		CHILD_CHECK(!zc_submit(self->fd, &op, 1, NULL));
		zc_read(self->fd, (void *)stalling, 1);
		CHILD_CHECK(!"did not stall");
	}
	zc_sleep_ms(300);
	return pid;
}

/* A program that keeps the kernel waiting for its memory keeps nobody else waiting. */
TEST_F_TIMEOUT(engine, that_leaves_does_not_wait_for_a_page_fault, 90)
{
	for (enum staller where = 0; where < STALLERS; where++) {
		pid_t pid = child_that_stalls(self, where), other;
		__u64 start = zc_now_ms();

		EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
		IN_CHILD(other)
			CHILD_CHECK(!softdma_unbind());
		while (zc_now_ms() - start < PATIENCE && !waitpid(other, NULL, WNOHANG))
			zc_sleep_ms(10);
		EXPECT_GT(PATIENCE, zc_now_ms() - start) {
			TH_LOG("stalled in %d", where);
		}
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, zc_wait(pid));
		close(self->fd);
		ASSERT_EQ(0, softdma_bind());
		self->fd = zc_session("softdma", 0);
		ASSERT_LE(0, self->fd);
		EXPECT_TRUE(works(self, self->fd));
	}
}

static int remove_module(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

TEST_F(engine, that_is_in_use_cannot_be_removed)
{
	int err = remove_module("softdma");

	EXPECT_TRUE(err == -EWOULDBLOCK || err == -EBUSY);
	err = remove_module("zcdma");
	EXPECT_TRUE(err == -EWOULDBLOCK || err == -EBUSY);
	EXPECT_TRUE(works(self, self->fd));
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
