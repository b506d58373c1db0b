// SPDX-License-Identifier: GPL-2.0
/* A session's life: attaching, the queue, completions, read, poll, wait, cancel. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PATIENCE	20000	/* ms for what should take no time at all */

/* ---- attaching ---- */

FIXTURE(attaching) {
	int fd;
	char byte;
};

FIXTURE_SETUP(attaching)
{
	self->fd = zc_open(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(attaching)
{
	close(self->fd);
}

/* Attach with all that the struct can say; the channel's name is left in @how. */
static int attach(int fd, struct zcdma_attach *how)
{
	return zc_ioctl(fd, ZCDMA_IOC_ATTACH, how);
}

static __u32 state_of(const char *channel)
{
	struct zcdma_query_channel query;

	return zc_query(channel, &query) ? ~0U : query.out_state;
}

static __u32 sessions_of(const char *channel)
{
	struct zcdma_query_channel query;

	return zc_query(channel, &query) ? ~0U : query.out_sessions;
}

TEST_F(attaching, comes_before_submit)
{
	struct zcdma_op op = zc_fill_op(&self->byte, 1, 1, 0);
	__u32 accepted = 1;

	EXPECT_EQ(-ENOTCONN, zc_submit(self->fd, &op, 1, &accepted));
	EXPECT_EQ(0, accepted);
	EXPECT_EQ(0, self->byte);
}

TEST_F(attaching, is_not_needed_to_hear_that_nothing_is_outstanding)
{
	struct zcdma_completion c;

	EXPECT_EQ(0, zc_read(self->fd, &c, 1));
	EXPECT_EQ(-ENOENT, zc_cancel(self->fd, 0, ZCDMA_CANCEL_ALL, NULL));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(attaching, happens_once)
{
	ASSERT_EQ(0, zc_attach(self->fd, zc_provider(), 0));
	EXPECT_EQ(-EISCONN, zc_attach(self->fd, zc_provider(), 0));
	EXPECT_EQ(1, zc_info(self->fd).out_channels);
	EXPECT_EQ(0, zc_fill(self->fd, &self->byte, 7, 1));
	EXPECT_EQ(7, self->byte);
}

TEST_F(attaching, to_an_unknown_name_is_ENODEV)
{
	EXPECT_EQ(-ENODEV, zc_attach(self->fd, "no-such-engine", 0));
	EXPECT_EQ(-ENODEV, zc_attach(self->fd, "dma99chan99", 0));
	EXPECT_EQ(-ENODEV, zc_attach(self->fd, " ", 0));
	EXPECT_EQ(0, zc_info(self->fd).out_channels);
	EXPECT_EQ(0, zc_attach(self->fd, zc_provider(), 0));
}

TEST_F(attaching, takes_a_channel_a_device_or_a_provider)
{
	struct zcdma_query_channel q;

	ASSERT_EQ(0, zc_query(zc_provider(), &q));
	for (int i = 0; i < 3; i++) {
		const char *name = i == 0 ? q.out_name : i == 1 ? q.out_device : q.out_provider;
		struct zcdma_attach how = { 0 };
		struct zcdma_query_channel got;
		int fd = zc_open(0);

		strcpy(how.name, name);
		EXPECT_EQ(0, attach(fd, &how)) {
			TH_LOG("name %s", name);
		}
		EXPECT_EQ(0, zc_query(how.out_name, &got));
		EXPECT_TRUE(!strcmp(name, got.out_name) || !strcmp(name, got.out_device) ||
			    !strcmp(name, got.out_provider));
		close(fd);
	}
}

TEST_F(attaching, to_anything_prefers_hardware)
{
	struct zcdma_attach how = { .caps = ZCDMA_CAP_COPY };
	struct zcdma_query_channel got, q;
	bool hardware = false;

	ASSERT_EQ(0, attach(self->fd, &how));
	ASSERT_EQ(0, zc_query(how.out_name, &got));
	EXPECT_TRUE(got.out_caps & ZCDMA_CAP_COPY);
	for (__u32 i = 0; q = (struct zcdma_query_channel){ .index = i },
	     !zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, &q); i++)
		hardware |= q.out_caps & ZCDMA_CAP_COPY && q.out_caps & ZCDMA_CAP_HARDWARE &&
			    q.out_state <= ZCDMA_CHANNEL_SHARED;
	EXPECT_EQ(hardware, !!(got.out_caps & ZCDMA_CAP_HARDWARE));
}

TEST_F(attaching, demands_every_capability_asked_for)
{
	struct zcdma_query_channel q;
	unsigned int tried = 0;

	ASSERT_EQ(0, zc_query(zc_provider(), &q));
	for (int bit = 0; bit <= 12; bit++) {
		struct zcdma_attach how = { .caps = 1U << bit };
		bool able = q.out_caps & how.caps;
		int fd;

		if (bit >= 4 && bit <= 7)
			continue; /* no capabilities yet */
		strcpy(how.name, q.out_name);
		fd = zc_open(0);
		EXPECT_EQ(able ? 0 : -ENODEV, attach(fd, &how)) {
			TH_LOG("capability bit %d", bit);
		}
		close(fd);
		tried++;
	}
	EXPECT_EQ(9, tried);
}

/* How many channels of the provider can be had at the same time? Tries them all by name. */
static unsigned int count_available(void)
{
	struct zcdma_query_channel q;
	unsigned int n = 0;
	int fds[128];

	for (__u32 i = 0; n < 128; i++) {
		fds[n] = zc_open(0);
		q = (struct zcdma_query_channel){ .index = i };
		if (zc_ioctl(fds[n], ZCDMA_IOC_QUERY_CHANNEL, &q)) {
			close(fds[n]);
			break;
		}
		if (!strcmp(q.out_provider, zc_provider()) && !zc_attach(fds[n], q.out_name, 0))
			n++;
		else
			close(fds[n]);
	}
	for (unsigned int i = 0; i < n; i++)
		close(fds[i]);
	return n;
}

TEST_F(attaching, spreads_over_free_channels_before_it_shares)
{
	unsigned int channels = count_available(), i;
	struct zcdma_attach how = { 0 };
	int fds[128];

	ASSERT_LT(0, channels);
	EXPECT_TRUE(channels == zc_count_channels(zc_provider()) || zc_lacks("all-channels"));
	strcpy(how.name, zc_provider());
	for (i = 0; i < channels; i++) {
		fds[i] = zc_open(0);
		ASSERT_EQ(0, attach(fds[i], &how));
		EXPECT_EQ(1, sessions_of(how.out_name)) {
			TH_LOG("session %u of %u on %s", i, channels, how.out_name);
		}
	}
	ASSERT_EQ(0, attach(self->fd, &how));
	EXPECT_EQ(2, sessions_of(how.out_name));
	EXPECT_EQ(ZCDMA_CHANNEL_SHARED, state_of(how.out_name));
	for (i = 0; i < channels; i++)
		close(fds[i]);
	EXPECT_EQ(1, sessions_of(how.out_name));
}

TEST_F(attaching, ends_with_the_session)
{
	struct zcdma_attach how = { 0 };
	int fd = zc_open(0);

	strcpy(how.name, zc_provider());
	ASSERT_EQ(0, attach(fd, &how));
	EXPECT_EQ(ZCDMA_CHANNEL_SHARED, state_of(how.out_name));
	EXPECT_EQ(1, sessions_of(how.out_name));
	close(fd);
	EXPECT_EQ(ZCDMA_CHANNEL_FREE, state_of(how.out_name));
	EXPECT_EQ(0, sessions_of(how.out_name));
}

TEST_F(attaching, exclusively_keeps_everybody_else_away)
{
	struct zcdma_attach how = { .flags = ZCDMA_ATTACH_EXCLUSIVE };
	int fd = zc_open(0);

	strcpy(how.name, zc_provider());
	ASSERT_EQ(0, attach(fd, &how));
	EXPECT_EQ(ZCDMA_CHANNEL_EXCLUSIVE, state_of(how.out_name));
	EXPECT_EQ(1, sessions_of(how.out_name));
	EXPECT_EQ(-EBUSY, zc_attach(self->fd, how.out_name, 0));
	EXPECT_EQ(0, zc_fill(fd, &self->byte, 3, 1));
	close(fd);
	EXPECT_EQ(0, zc_attach(self->fd, how.out_name, 0));
	EXPECT_EQ(ZCDMA_CHANNEL_SHARED, state_of(how.out_name));
}

TEST_F(attaching, exclusively_is_refused_where_others_are)
{
	struct zcdma_attach how = { 0 };
	int fd = zc_open(0);

	strcpy(how.name, zc_provider());
	ASSERT_EQ(0, attach(fd, &how));
	strcpy(how.name, how.out_name);
	how.flags = ZCDMA_ATTACH_EXCLUSIVE;
	EXPECT_EQ(-EBUSY, attach(self->fd, &how));
	EXPECT_EQ(ZCDMA_CHANNEL_SHARED, state_of(how.out_name));
	EXPECT_EQ(1, sessions_of(how.out_name));
	close(fd);
	EXPECT_EQ(0, attach(self->fd, &how));
}

TEST_F(attaching, exclusively_needs_privilege)
{
	pid_t pid;

	IN_CHILD(pid) {
		struct zcdma_attach how = { .flags = ZCDMA_ATTACH_EXCLUSIVE };

		strcpy(how.name, zc_provider());
		zc_become_user(1 << 20);
		CHILD_CHECK(attach(self->fd, &how) == -EPERM);
		CHILD_CHECK(zc_info(self->fd).out_channels == 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

TEST_F(attaching, is_for_ordinary_users_too)
{
	pid_t pid;

	IN_CHILD(pid) {
		char byte = 0;
		int fd;

		zc_become_user(1 << 20);
		fd = zc_session(zc_provider(), 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!zc_fill(fd, &byte, 5, 1));
		CHILD_CHECK(byte == 5);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* ---- the queue ---- */

#define DEPTH	4

FIXTURE(queue) {
	int fd;
	char target[64];
	struct zcdma_op ops[DEPTH + 1];
	struct zcdma_completion done[DEPTH + 1];
};

FIXTURE_SETUP(queue)
{
	self->fd = zc_session(zc_provider(), DEPTH);
	ASSERT_LE(0, self->fd);
	for (int i = 0; i <= DEPTH; i++)
		self->ops[i] = zc_fill_op(self->target + i, i + 1, 1, 100 + i);
}

FIXTURE_TEARDOWN(queue)
{
	close(self->fd);
}

TEST_F(queue, has_the_depth_asked_for)
{
	EXPECT_EQ(DEPTH, zc_info(self->fd).out_queue_depth);
}

TEST_F(queue, that_is_full_says_EAGAIN_and_how_many_it_took)
{
	__u32 accepted;

	EXPECT_EQ(-EAGAIN, zc_submit(self->fd, self->ops, DEPTH + 1, &accepted));
	EXPECT_EQ(DEPTH, accepted);
	EXPECT_EQ(DEPTH, zc_outstanding(self->fd));
	EXPECT_EQ(-EAGAIN, zc_submit(self->fd, self->ops + DEPTH, 1, &accepted));
	EXPECT_EQ(0, accepted);
	EXPECT_EQ(DEPTH, zc_reap(self->fd, self->done, DEPTH + 1, 500));
	EXPECT_EQ(0, self->target[DEPTH]);
}

TEST_F(queue, has_room_only_when_completions_are_taken)
{
	__u32 accepted;

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, DEPTH, &accepted));
	zc_sleep_ms(200); /* all are complete, none is reaped */
	EXPECT_EQ(-EAGAIN, zc_submit(self->fd, self->ops + DEPTH, 1, &accepted));
	EXPECT_EQ(0, zc_poll(self->fd, POLLOUT, 0));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(POLLOUT, zc_poll(self->fd, POLLOUT, 0));
	EXPECT_EQ(0, zc_submit(self->fd, self->ops + DEPTH, 1, &accepted));
	EXPECT_EQ(DEPTH, zc_reap(self->fd, self->done, DEPTH, PATIENCE));
}

TEST_F(queue, that_is_full_still_waits_for_what_it_took)
{
	__u32 accepted;

	EXPECT_EQ(-EAGAIN, zc_submit_wait(self->fd, self->ops, DEPTH + 1, self->done, &accepted));
	EXPECT_EQ(DEPTH, accepted);
	for (int i = 0; i < DEPTH; i++) {
		EXPECT_EQ(100 + i, self->done[i].user_data);
		EXPECT_EQ(i + 1, self->target[i]);
	}
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(queue, of_depth_one_works)
{
	int fd = zc_session(zc_provider(), 1);
	__u32 accepted;

	ASSERT_LE(0, fd);
	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(-EAGAIN, zc_submit(fd, self->ops, 2, &accepted));
		EXPECT_EQ(1, accepted);
		EXPECT_EQ(1, zc_reap(fd, self->done, 1, PATIENCE));
	}
	close(fd);
}

/* Mark each completion of ops numbered 0 to count - 1: false for a stranger or a twin. */
static bool tick_off(bool *seen, unsigned int count, const struct zcdma_completion *c, int n)
{
	for (int i = 0; i < n; i++) {
		if (c[i].user_data >= count || seen[c[i].user_data])
			return false;
		seen[c[i].user_data] = true;
	}
	return true;
}

TEST_F(queue, of_the_greatest_depth_completes_each_op_once)
{
	unsigned int depth = zc_info(self->fd).out_max_queue_depth, left = depth;
	struct zcdma_op *ops = calloc(depth + 1, sizeof(*ops));
	struct zcdma_completion c[64];
	bool *seen = calloc(depth, 1);
	int fd = zc_session(zc_provider(), depth);
	char *bytes = calloc(depth, 1);
	__u32 accepted;

	zc_seed();
	ASSERT_LE(0, fd);
	for (unsigned int i = 0; i < depth; i++)
		ops[i] = zc_fill_op(bytes + i, 1, 1, i);
	ASSERT_EQ(0, zc_submit(fd, ops, depth, &accepted));
	ASSERT_EQ(depth, accepted);
	EXPECT_EQ(-EAGAIN, zc_submit(fd, ops, 1, &accepted));
	while (left) {
		int n = zc_read(fd, c, 1 + zc_random_below(64));

		ASSERT_LT(0, n);
		ASSERT_TRUE(tick_off(seen, depth, c, n));
		left -= n;
		ASSERT_EQ(left, zc_outstanding(fd));
	}
	EXPECT_EQ(0, zc_read(fd, c, 64));
	EXPECT_TRUE(!memchr(bytes, 0, depth));
	close(fd);
}

/* ---- read ---- */

FIXTURE(reading) {
	int fd;
	char target[64];
	struct zcdma_completion done[8];
};

FIXTURE_SETUP(reading)
{
	struct zcdma_op ops[3];
	__u32 accepted;

	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	for (int i = 0; i < 3; i++)
		ops[i] = zc_fill_op(self->target + i, i + 1, 1, i);
	ASSERT_EQ(0, zc_submit(self->fd, ops, 3, &accepted));
	ASSERT_EQ(0, zc_drain(self->fd, PATIENCE));
}

FIXTURE_TEARDOWN(reading)
{
	close(self->fd);
}

TEST_F(reading, gives_as_many_as_are_there)
{
	bool seen[3] = { 0 };
	int n = zc_reap(self->fd, self->done, 8, 500);

	EXPECT_EQ(3, n);
	EXPECT_TRUE(tick_off(seen, 3, self->done, n));
	EXPECT_EQ(0, zc_read(self->fd, self->done, 8));
}

TEST_F(reading, gives_as_many_as_fit)
{
	EXPECT_EQ(2, zc_read(self->fd, self->done, 2));
	EXPECT_EQ(1, zc_outstanding(self->fd));
	EXPECT_EQ(1, zc_read(self->fd, self->done, 2));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(reading, gives_whole_completions_only)
{
	memset(self->done, 0xee, sizeof(self->done));
	EXPECT_EQ(sizeof(self->done[0]), read(self->fd, self->done, 2 * sizeof(self->done[0]) - 1));
	EXPECT_EQ(0xeeeeeeeeeeeeeeeeULL, self->done[1].user_data);
	EXPECT_EQ(2, zc_outstanding(self->fd));
}

TEST_F(reading, into_too_small_a_buffer_is_EINVAL)
{
	for (size_t size = 0; size < sizeof(self->done[0]); size++) {
		errno = 0;
		EXPECT_EQ(-1, read(self->fd, self->done, size));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(3, zc_outstanding(self->fd));
	EXPECT_EQ(3, zc_reap(self->fd, self->done, 3, PATIENCE));
}

TEST_F(reading, into_no_memory_is_EFAULT_and_loses_nothing)
{
	bool seen[3] = { 0 };

	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(-EFAULT, zc_read(self->fd, NULL, 3));
		EXPECT_EQ(-EFAULT, zc_read(self->fd, (void *)-4096L, 3));
	}
	EXPECT_EQ(3, zc_outstanding(self->fd));
	EXPECT_EQ(3, zc_reap(self->fd, self->done, 3, PATIENCE));
	EXPECT_TRUE(tick_off(seen, 3, self->done, 3));
}

/* Room for one and a half: those that were given and those that were not are three. */
TEST_F(reading, across_the_end_of_memory_loses_nothing)
{
	struct zcdma_completion *at = (void *)(zc_map_edge() - 48);
	bool seen[3] = { 0 };
	int n;

	n = zc_read(self->fd, at, 3);
	EXPECT_TRUE(n == -EFAULT || n == 1) {
		TH_LOG("read returned %d", n);
	}
	n = n < 0 ? 0 : n;
	EXPECT_TRUE(tick_off(seen, 3, at, n));
	EXPECT_EQ(3 - n, zc_reap(self->fd, self->done, 3, 500));
	EXPECT_TRUE(tick_off(seen, 3, self->done, 3 - n));
}

/* ---- while the engine is slow ---- */

#define DELAY_MS	400

FIXTURE(slow) {
	int fd;
	char target[64];
	struct zcdma_op op;
	struct zcdma_completion done[8];
};

FIXTURE_SETUP(slow)
{
	ASSERT_EQ(0, softdma_reset());
	self->fd = zc_session("softdma", DEPTH);
	ASSERT_LE(0, self->fd);
	self->op = zc_fill_op(self->target, 9, sizeof(self->target), 1234);
	ASSERT_EQ(0, softdma_set("delay_us", DELAY_MS * 1000));
}

FIXTURE_TEARDOWN(slow)
{
	close(self->fd);
	softdma_reset();
}

/* Somewhat early is fine: the delay began before we looked at the clock. */
#define EXPECT_SLEPT(since) EXPECT_LE(DELAY_MS * 3 / 4, zc_now_ms() - (since))

/* Of who is awake all the time. Where time is the host's, the clock goes on when it is away. */
#define BUSY_MS		(zc_lacks("counted") ? DELAY_MS * 3 / 4 : DELAY_MS / 4)

static __u64 cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

TEST_F(slow, submit_does_not_wait)
{
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_EQ(0, zc_submit(self->fd, &self->op, 1, NULL));
	EXPECT_EQ(1, zc_outstanding(self->fd));
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN, 0));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(1, zc_read(self->fd, self->done, 8));
}

TEST_F(slow, submit_with_wait_sleeps_until_it_is_done)
{
	__u64 start = zc_now_ms(), cpu = cpu_ms();

	EXPECT_EQ(0, zc_do(self->fd, self->op));
	EXPECT_SLEPT(start);
	EXPECT_GT(BUSY_MS, cpu_ms() - cpu);
	EXPECT_EQ(9, self->target[63]);
}

TEST_F(slow, wait_without_completions_leaves_them_to_read)
{
	struct zcdma_op ops[2] = { self->op, self->op };
	__u32 accepted;

	ops[1].dst += 32;
	ops[0].len = 32;
	ops[1].len = 32;
	EXPECT_EQ(0, zc_submit_wait(self->fd, ops, 2, NULL, &accepted));
	EXPECT_EQ(2, accepted);
	EXPECT_EQ(2, zc_outstanding(self->fd));
	EXPECT_EQ(2, zc_read(self->fd, self->done, 8));
	EXPECT_EQ(1234, self->done[0].user_data);
	EXPECT_EQ(1234, self->done[1].user_data);
}

TEST_F(slow, read_sleeps_until_there_is_a_completion)
{
	__u64 start = zc_now_ms(), cpu = cpu_ms();

	ASSERT_EQ(0, zc_submit(self->fd, &self->op, 1, NULL));
	EXPECT_EQ(1, zc_read(self->fd, self->done, 8));
	EXPECT_SLEPT(start);
	EXPECT_GT(BUSY_MS, cpu_ms() - cpu);
	EXPECT_EQ(1234, self->done[0].user_data);
	EXPECT_EQ(9, self->target[63]);
}

TEST_F(slow, read_does_not_sleep_if_told_not_to)
{
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(0, zc_read(self->fd, self->done, 8));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &self->op, 1, NULL));
	EXPECT_EQ(-EAGAIN, zc_read(self->fd, self->done, 8));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(POLLIN, zc_poll(self->fd, POLLIN, PATIENCE));
	EXPECT_EQ(1, zc_read(self->fd, self->done, 8));
	EXPECT_EQ(0, zc_read(self->fd, self->done, 8));
}

TEST_F(slow, poll_tells_of_completions_and_of_room)
{
	struct zcdma_op ops[DEPTH];
	__u64 start = zc_now_ms();

	EXPECT_EQ(POLLOUT, zc_poll(self->fd, POLLIN | POLLOUT, 0));
	for (int i = 0; i < DEPTH; i++)
		ops[i] = zc_fill_op(self->target + i, 1, 1, i);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, ops, DEPTH, NULL));
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN | POLLOUT, 0));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(POLLIN, zc_poll(self->fd, POLLIN | POLLOUT, PATIENCE));
	EXPECT_SLEPT(start);
	EXPECT_EQ(1, zc_read(self->fd, self->done, 1));
	EXPECT_EQ(POLLOUT, zc_poll(self->fd, POLLOUT, 0));
}

/* A process that sleeps in poll() for room must hear of it when another one reaps. */
TEST_F(slow, poll_wakes_up_when_somebody_else_makes_room)
{
	struct zcdma_op ops[DEPTH];
	pid_t pid;

	for (int i = 0; i < DEPTH; i++)
		ops[i] = zc_fill_op(self->target + i, 1, 1, i);
	ASSERT_EQ(0, softdma_set("delay_us", 0));
	ASSERT_EQ(0, zc_submit(self->fd, ops, DEPTH, NULL));
	IN_CHILD(pid)
		CHILD_CHECK(zc_poll(self->fd, POLLOUT, PATIENCE) == POLLOUT);
	zc_sleep_ms(DELAY_MS);
	EXPECT_EQ(DEPTH, zc_reap(self->fd, self->done, DEPTH, PATIENCE));
	EXPECT_EQ(0, zc_wait(pid));
}

/* ---- while the engine hangs with the first op and has room for no other ---- */

#define OPS	6

FIXTURE(hung) {
	int fd;
	char target[OPS * 64];
	struct zcdma_op ops[OPS];
	struct zcdma_completion done[OPS];
};

FIXTURE_SETUP(hung)
{
	ASSERT_EQ(0, softdma_reset());
	self->fd = zc_session("softdma", OPS);
	ASSERT_LE(0, self->fd);
	for (int i = 0; i < OPS; i++)
		self->ops[i] = zc_fill_op(self->target + i * 64, i + 1, 64, 100 + i);
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
}

FIXTURE_TEARDOWN(hung)
{
	softdma_set("hang", 0);
	close(self->fd);
	softdma_reset();
}

static bool op_is_done(const char *target, int i)
{
	return target[i * 64] == i + 1 && target[i * 64 + 63] == i + 1;
}

static bool op_is_untouched(const char *target, int i)
{
	return target[i * 64] == 0 && target[i * 64 + 63] == 0;
}

/* All that completes after the engine goes on, by user_data: res of ops[i] goes to res[i]. */
static int reap_results(int fd, int count, int *res)
{
	struct zcdma_completion c;

	for (int i = 0; i < OPS; i++)
		res[i] = 1;
	for (int i = 0; i < count; i++) {
		int which;

		if (zc_reap(fd, &c, 1, PATIENCE) != 1)
			return -ETIME;
		which = c.user_data - 100;
		if (which < 0 || which >= OPS || res[which] != 1)
			return -EBADMSG;
		res[which] = c.res;
	}
	return zc_outstanding(fd);
}

TEST_F(hung, cancel_of_a_stranger_is_ENOENT)
{
	__u32 cancelled;

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, OPS, NULL));
	EXPECT_EQ(-ENOENT, zc_cancel(self->fd, 99, 0, &cancelled));
	EXPECT_EQ(0, cancelled);
	EXPECT_EQ(OPS, zc_outstanding(self->fd));
}

TEST_F(hung, cancel_leaves_alone_what_has_begun)
{
	int res[OPS];

	ASSERT_EQ(0, softdma_set("descriptors", 0));
	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 1, NULL));
	ASSERT_TRUE(softdma_gets_descriptor());
	EXPECT_EQ(-EALREADY, zc_cancel(self->fd, 100, 0, NULL));
	EXPECT_EQ(-EALREADY, zc_cancel(self->fd, 0, ZCDMA_CANCEL_ALL, NULL));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, reap_results(self->fd, 1, res));
	EXPECT_EQ(0, res[0]);
	EXPECT_TRUE(op_is_done(self->target, 0));
}

/* It is too long for the engine, which has its beginning; the rest waits for room there. */
TEST_F(hung, cancel_leaves_alone_an_op_of_which_the_engine_has_a_part)
{
	const size_t len = 8 * 4096;
	char *dst = zc_map(len);
	struct zcdma_op op = zc_fill_op(dst, 77, len, 100);
	__u32 cancelled;

	ASSERT_EQ(0, softdma_set("max_len", 4096));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_TRUE(softdma_gets_descriptor());
	EXPECT_EQ(-EALREADY, zc_cancel(self->fd, 100, 0, &cancelled));
	EXPECT_EQ(0, cancelled);
	EXPECT_EQ(-EALREADY, zc_cancel(self->fd, 0, ZCDMA_CANCEL_ALL, NULL));
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN, 100));
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(0, self->done[0].res);
	EXPECT_EQ(len, self->done[0].done);
	EXPECT_TRUE(filled_with(77, dst, len));
}

TEST_F(hung, cancel_of_what_is_complete_is_EALREADY_and_then_ENOENT)
{
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 1, NULL));
	ASSERT_EQ(POLLIN, zc_poll(self->fd, POLLIN, PATIENCE));
	EXPECT_EQ(-EALREADY, zc_cancel(self->fd, 100, 0, NULL));
	ASSERT_EQ(1, zc_read(self->fd, self->done, 1));
	EXPECT_EQ(0, self->done[0].res);
	EXPECT_EQ(-ENOENT, zc_cancel(self->fd, 100, 0, NULL));
}

TEST_F(hung, cancel_takes_back_one_op_at_once)
{
	int res[OPS];

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 4, NULL));
	EXPECT_EQ(0, zc_cancel(self->fd, 102, 0, NULL));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(102, self->done[0].user_data);
	EXPECT_EQ(-ECANCELED, self->done[0].res);
	EXPECT_EQ(0, self->done[0].done);
	EXPECT_EQ(-ENOENT, zc_cancel(self->fd, 102, 0, NULL));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, reap_results(self->fd, 3, res));
	EXPECT_EQ(0, res[0] | res[1] | res[3]);
	EXPECT_TRUE(op_is_done(self->target, 0));
	EXPECT_TRUE(op_is_done(self->target, 1));
	EXPECT_TRUE(op_is_untouched(self->target, 2));
	EXPECT_TRUE(op_is_done(self->target, 3));
}

TEST_F(hung, cancel_takes_back_all_of_one_user_data)
{
	__u32 cancelled;
	int n;

	for (int i = 2; i < 5; i++)
		self->ops[i].user_data = 7;
	ASSERT_EQ(0, zc_submit(self->fd, self->ops, OPS, NULL));
	EXPECT_EQ(0, zc_cancel(self->fd, 7, 0, &cancelled));
	EXPECT_EQ(3, cancelled);
	n = zc_reap(self->fd, self->done, OPS, 300);
	EXPECT_EQ(3, n);
	for (int i = 0; i < n; i++) {
		EXPECT_EQ(7, self->done[i].user_data);
		EXPECT_EQ(-ECANCELED, self->done[i].res);
	}
}

TEST_F(hung, cancel_all_leaves_only_what_has_begun)
{
	__u32 cancelled;
	int res[OPS];

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, OPS, NULL));
	zc_sleep_ms(50);
	EXPECT_EQ(0, zc_cancel(self->fd, 0, ZCDMA_CANCEL_ALL, &cancelled));
	EXPECT_EQ(OPS - 1, cancelled);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, reap_results(self->fd, OPS, res));
	EXPECT_EQ(0, res[0]);
	for (int i = 1; i < OPS; i++) {
		EXPECT_EQ(-ECANCELED, res[i]);
		EXPECT_TRUE(op_is_untouched(self->target, i));
	}
}

TEST_F(hung, cancel_makes_room_and_the_engine_goes_on)
{
	__u32 accepted;
	int res[OPS];

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, OPS, NULL));
	EXPECT_EQ(0, zc_cancel(self->fd, 105, 0, NULL));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(0, zc_submit(self->fd, self->ops + 5, 1, &accepted));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, reap_results(self->fd, OPS, res));
	for (int i = 0; i < OPS; i++) {
		EXPECT_EQ(0, res[i]);
		EXPECT_TRUE(op_is_done(self->target, i));
	}
}

/* ---- draining, on a hung engine ---- */

/* The engine goes on in @ms. */
static pid_t engine_goes_on_in(unsigned int ms)
{
	pid_t pid;

	IN_CHILD(pid) {
		zc_sleep_ms(ms);
		CHILD_CHECK(!softdma_set("hang", 0));
	}
	return pid;
}

TEST_F(hung, drain_waits_until_no_engine_has_anything)
{
	__u64 start = zc_now_ms();
	pid_t pid;
	int n;

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, OPS, NULL));
	pid = engine_goes_on_in(400);
	EXPECT_EQ(0, zc_drain(self->fd, PATIENCE));
	EXPECT_LE(300, zc_now_ms() - start);
	for (int i = 0; i < OPS; i++)
		EXPECT_TRUE(op_is_done(self->target, i));
	/* Completions are there, and those alone. */
	EXPECT_EQ(OPS, zc_outstanding(self->fd));
	EXPECT_EQ(0, zc_drain(self->fd, 0));
	n = zc_reap(self->fd, self->done, OPS, 300);
	EXPECT_EQ(OPS, n);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(0, self->done[i].res);
	EXPECT_EQ(0, zc_wait(pid));
}

TEST_F(hung, drain_times_out_and_the_ops_go_on)
{
	int res[OPS];
	__u64 start;

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 2, NULL));
	start = zc_now_ms();
	EXPECT_EQ(-ETIMEDOUT, zc_drain(self->fd, 300));
	EXPECT_LE(299, zc_now_ms() - start);
	EXPECT_GT(10000, zc_now_ms() - start);
	EXPECT_EQ(-ETIMEDOUT, zc_drain(self->fd, 0));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_drain(self->fd, PATIENCE));
	EXPECT_EQ(0, reap_results(self->fd, 2, res));
	EXPECT_EQ(0, res[0] | res[1]);
}

/* What the engine has of others does not matter. */
TEST_F(hung, drain_of_an_idle_session_returns_at_once)
{
	int loose = zc_open(0), idle = zc_session("softdma", 0);
	__u64 start = zc_now_ms();

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 1, NULL));
	EXPECT_EQ(0, zc_drain(loose, PATIENCE));
	EXPECT_EQ(0, zc_drain(idle, PATIENCE));
	EXPECT_GT(10000, zc_now_ms() - start);
	close(loose);
	close(idle);
}

/* What has not begun is none of the engine's: cancel all, and drain. */
TEST_F(hung, drain_after_cancel_all_waits_for_what_has_begun)
{
	pid_t pid;
	int res[OPS];

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, OPS, NULL));
	zc_sleep_ms(50);
	ASSERT_EQ(0, zc_cancel(self->fd, 0, ZCDMA_CANCEL_ALL, NULL));
	EXPECT_EQ(-ETIMEDOUT, zc_drain(self->fd, 100));
	pid = engine_goes_on_in(200);
	EXPECT_EQ(0, zc_drain(self->fd, PATIENCE));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(0, reap_results(self->fd, OPS, res));
	EXPECT_EQ(0, res[0]);
	for (int i = 1; i < OPS; i++) {
		EXPECT_EQ(-ECANCELED, res[i]);
		EXPECT_TRUE(op_is_untouched(self->target, i));
	}
}

/* Where the engine can be stopped, the deadline of the op ends it. */
TEST_F(hung, drain_ends_when_the_engine_is_stopped)
{
	__u64 start;

	self->ops[0].deadline_ms = 700;
	zc_kmsg_expect(ZC_KMSG_HANGS);
	start = zc_now_ms();
	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 1, NULL));
	EXPECT_EQ(0, zc_drain(self->fd, PATIENCE));
	EXPECT_LE(600, zc_now_ms() - start);
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
}

TEST_F(hung, drain_ends_when_the_process_is_killed)
{
	__u64 start;
	pid_t pid;

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 1, NULL));
	IN_CHILD(pid) {
		zc_drain(self->fd, PATIENCE);
		CHILD_CHECK(!"drained");
	}
	zc_sleep_ms(300);
	start = zc_now_ms();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
	EXPECT_GE(8000, zc_now_ms() - start);	/* its time ends after 20000 */
	EXPECT_EQ(1, zc_outstanding(self->fd));
}

/* ---- waiting, on a hung engine ---- */

/* A program that ends its use of memory must not be told that it was too early. */
TEST_F(hung, drain_is_not_ended_by_a_signal_handler)
{
	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 1, NULL));
	zc_signal_each_ms(100, SA_RESTART);
	EXPECT_EQ(-ETIMEDOUT, zc_drain(self->fd, 1000));
	zc_signal_each_ms(0, 0);
	EXPECT_LT(0, zc_signals());
}

/* Even with SA_RESTART: the ops of a restarted SUBMIT would run twice. */
TEST_F(hung, signal_ends_the_wait_but_not_the_ops)
{
	__u32 accepted = 0;
	int res[OPS];

	zc_signal_each_ms(200, SA_RESTART);
	EXPECT_EQ(-EINTR, zc_submit_wait(self->fd, self->ops, 3, self->done, &accepted));
	zc_signal_each_ms(0, 0);
	EXPECT_LT(0, zc_signals());
	EXPECT_EQ(3, accepted);
	EXPECT_EQ(3, zc_outstanding(self->fd));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, reap_results(self->fd, 3, res));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, res[i]);
		EXPECT_TRUE(op_is_done(self->target, i));
	}
}

TEST_F(hung, signal_ends_read)
{
	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 1, NULL));
	zc_signal_each_ms(200, 0);
	EXPECT_EQ(-EINTR, zc_read(self->fd, self->done, 1));
	EXPECT_EQ(1, zc_outstanding(self->fd));
}

/* Who waits for its own ops need not wait for those before it in the queue... */
TEST_F(hung, wait_takes_its_own_completions_and_no_other)
{
	pid_t pid;

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 1, NULL));
	IN_CHILD(pid) {
		struct zcdma_completion *c = self->done;

		CHILD_CHECK(!zc_submit_wait(self->fd, self->ops + 1, 3, c, NULL));
		for (int i = 0; i < 3; i++)
			CHILD_CHECK(c[i].user_data == 101 + i && !c[i].res && c[i].done == 64);
	}
	while (zc_outstanding(self->fd) != 4)
		zc_sleep_ms(10);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, OPS, 300));
	EXPECT_EQ(100, self->done[0].user_data);
}

/* ... and nobody else gets them. A reader for whom nothing is left hears so. */
TEST_F(hung, reader_ends_when_a_waiter_took_the_last_completion)
{
	pid_t waiter, reader;

	IN_CHILD(waiter)
		CHILD_CHECK(!zc_submit_wait(self->fd, self->ops, 1, self->done, NULL));
	while (zc_outstanding(self->fd) != 1)
		zc_sleep_ms(10);
	IN_CHILD(reader)
		CHILD_CHECK(zc_read(self->fd, self->done, OPS) == 0);
	zc_sleep_ms(100);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_wait(waiter));
	EXPECT_EQ(0, zc_wait(reader));
}

TEST_F(hung, each_of_two_readers_gets_its_own_completion)
{
	pid_t readers[2];

	ASSERT_EQ(0, zc_submit(self->fd, self->ops, 2, NULL));
	for (int i = 0; i < 2; i++)
		IN_CHILD(readers[i])
			CHILD_CHECK(zc_read(self->fd, self->done, 1) == 1);
	zc_sleep_ms(100);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_wait(readers[0]));
	EXPECT_EQ(0, zc_wait(readers[1]));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* The child's memory, moved by a session that it shares with its parent. */
TEST_F(hung, child_of_fork_shares_the_session)
{
	pid_t pid;

	ASSERT_EQ(0, softdma_set("hang", 0));
	IN_CHILD(pid) {
		CHILD_CHECK(!zc_submit_wait(self->fd, self->ops, 2, NULL, NULL));
		CHILD_CHECK(op_is_done(self->target, 0));
		CHILD_CHECK(op_is_done(self->target, 1));
	}
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(2, zc_reap(self->fd, self->done, OPS, 300));
	EXPECT_TRUE(op_is_untouched(self->target, 0));
	EXPECT_TRUE(op_is_untouched(self->target, 1));
}

ZC_TEST_MAIN
