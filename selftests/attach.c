// SPDX-License-Identifier: GPL-2.0
/* ATTACH with several channels, and ATTACH_PORT: all or none, ranges, and who may. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>

#include "harness.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(256 * PAGE)
#define MOST		16		/* channels of a session */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

static int attach(int fd, const char *name, __u32 channels, __u32 flags)
{
	struct zcdma_attach how = { .channels = channels, .flags = flags };

	strcpy(how.name, name);
	return zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how);
}

/* Of softdma's channels: how many have that state, and how many sessions all have together. */
static unsigned int in_state(__u32 state, unsigned int *sessions)
{
	struct zcdma_query_channel q;
	unsigned int n = 0;
	int fd = zc_open(0);

	*sessions = 0;
	for (__u32 i = 0; q = (struct zcdma_query_channel){ .index = i },
	     !zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &q); i++) {
		if (strcmp(q.out_provider, "softdma"))
			continue;
		n += q.out_state == state;
		*sessions += q.out_sessions;
	}
	close(fd);
	return n;
}

/* ---- what "allow" forbids while somebody has it ---- */

#define ALLOW		"/sys/module/zcdma/parameters/allow"

FIXTURE(denied) {
	int fd;
	char before[4096];
	struct zcdma_query_channel query;
};

FIXTURE_SETUP(denied)
{
	int fd = open(ALLOW, O_RDONLY | O_CLOEXEC);

	ASSERT_LT(0, read(fd, self->before, sizeof(self->before) - 1));
	close(fd);
	ASSERT_EQ(0, softdma_reset());
	self->fd = zc_open(0);
	ASSERT_EQ(0, attach(self->fd, "softdma", 1, 0));
	ASSERT_EQ(0, zc_write_file(ALLOW, "no-such-channel"));
}

FIXTURE_TEARDOWN(denied)
{
	EXPECT_EQ(0, zc_write_file(ALLOW, self->before));
	close(self->fd);
	EXPECT_EQ(0, softdma_reset());
}

TEST_F(denied, channel_stays_that_of_its_session)
{
	char *src = zc_map(PAGE), *dst = zc_map(PAGE);

	pattern_write(source, src, 0, PAGE);
	ASSERT_EQ(0, zc_copy(self->fd, dst, src, PAGE));
	EXPECT_TRUE(pattern_holds(source, dst, 0, PAGE));
}

TEST_F(denied, channel_is_lent_to_nobody_else)
{
	struct zcdma_query_channel *q = &self->query;
	int other = zc_open(0);

	EXPECT_EQ(-EPERM, attach(other, "softdma", 1, 0));
	q->flags = ZCDMA_QUERY_ATTACHED;
	ASSERT_EQ(0, zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, q));
	EXPECT_EQ(ZCDMA_CHANNEL_DENIED, q->out_state);
	EXPECT_EQ(1, q->out_sessions);
	EXPECT_EQ(-EPERM, attach(other, q->out_name, 1, 0));
	close(other);
}

/* ---- several channels ---- */

FIXTURE(several_channels) {
	int fd;
	char first[ZCDMA_NAME_LEN];
	unsigned int sessions;
};

FIXTURE_SETUP(several_channels)
{
	struct zcdma_query_channel q;

	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, zc_query("softdma", &q));
	strcpy(self->first, q.out_name);
	self->fd = zc_open(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(several_channels)
{
	close(self->fd);
	EXPECT_EQ(0, softdma_reset());
}

TEST_F(several_channels, can_be_16)
{
	char *src = zc_map(SIZE), *dst = zc_map(SIZE);
	struct zcdma_query_channel q;

	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_rebuild("channels=17"));
	ASSERT_EQ(0, attach(self->fd, "softdma", MOST, 0));
	EXPECT_EQ(MOST, zc_info(self->fd).out_channels);
	for (__u32 i = 0; i <= MOST; i++) {
		q = (struct zcdma_query_channel){ .flags = ZCDMA_QUERY_ATTACHED, .index = i };
		EXPECT_EQ(i < MOST ? 0 : -ENOENT, zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, &q));
	}
	EXPECT_EQ(MOST, in_state(ZCDMA_CHANNEL_SHARED, &self->sessions));
	EXPECT_EQ(MOST, self->sessions);
	pattern_write(source, src, 0, SIZE);
	pattern_write(target, dst, 0, SIZE);
	ASSERT_EQ(0, softdma_set("max_len", PAGE));
	EXPECT_EQ(0, zc_copy(self->fd, dst + 5, src + 3, SIZE - 10));
	EXPECT_TRUE(pattern_holds(target, dst, 0, 5));
	EXPECT_TRUE(pattern_holds(source, dst + 5, 3, SIZE - 10));
	EXPECT_TRUE(pattern_holds(target, dst + SIZE - 5, SIZE - 5, 5));
}

TEST_F(several_channels, cannot_be_17)
{
	ASSERT_EQ(0, softdma_rebuild("channels=32"));
	EXPECT_EQ(-EINVAL, attach(self->fd, "softdma", MOST + 1, 0));
	EXPECT_EQ(0, zc_info(self->fd).out_channels);
}

TEST_F(several_channels, of_none_means_one)
{
	ASSERT_EQ(0, attach(self->fd, "softdma", 0, 0));
	EXPECT_EQ(1, zc_info(self->fd).out_channels);
}

TEST_F(several_channels, can_be_exclusive)
{
	int other = zc_open(0);

	ASSERT_EQ(0, attach(self->fd, "softdma", 3, ZCDMA_ATTACH_EXCLUSIVE));
	EXPECT_EQ(3, in_state(ZCDMA_CHANNEL_EXCLUSIVE, &self->sessions));
	EXPECT_EQ(3, self->sessions);
	EXPECT_EQ(-EBUSY, attach(other, "softdma", 2, 0));
	EXPECT_EQ(-EBUSY, attach(other, self->first, 1, 0));
	EXPECT_EQ(0, attach(other, "softdma", 1, 0));
	close(self->fd);
	EXPECT_EQ(0, in_state(ZCDMA_CHANNEL_EXCLUSIVE, &self->sessions));
	EXPECT_EQ(1, self->sessions);
	close(other);
	self->fd = zc_open(0);
	EXPECT_EQ(0, attach(self->fd, "softdma", 4, ZCDMA_ATTACH_EXCLUSIVE));
}

/* The last of four is somebody else's: the three that were had by then are given back. */
TEST_F(several_channels, are_all_given_back_when_a_later_one_is_taken)
{
	int other = zc_open(0);

	ASSERT_EQ(0, attach(other, "softdma", 1, ZCDMA_ATTACH_EXCLUSIVE));
	for (__u32 flags = 0; flags <= ZCDMA_ATTACH_EXCLUSIVE; flags++) {
		EXPECT_EQ(-EBUSY, attach(self->fd, "softdma", 4, flags));
		EXPECT_EQ(0, zc_info(self->fd).out_channels);
		EXPECT_EQ(3, in_state(ZCDMA_CHANNEL_FREE, &self->sessions));
		EXPECT_EQ(1, in_state(ZCDMA_CHANNEL_EXCLUSIVE, &self->sessions));
		EXPECT_EQ(1, self->sessions);
	}
	EXPECT_EQ(0, attach(self->fd, "softdma", 3, 0));
	EXPECT_EQ(3, in_state(ZCDMA_CHANNEL_SHARED, &self->sessions));
	close(other);
}

/* Exclusively: one that others share is no reason to keep those before it. */
TEST_F(several_channels, are_all_given_back_when_a_later_one_is_shared)
{
	int other = zc_session("softdma", 0);

	ASSERT_LE(0, other);
	EXPECT_EQ(-EBUSY, attach(self->fd, "softdma", 4, ZCDMA_ATTACH_EXCLUSIVE));
	EXPECT_EQ(3, in_state(ZCDMA_CHANNEL_FREE, &self->sessions));
	EXPECT_EQ(1, self->sessions);
	EXPECT_EQ(0, attach(self->fd, "softdma", 4, 0));
	EXPECT_EQ(4, in_state(ZCDMA_CHANNEL_SHARED, &self->sessions));
	EXPECT_EQ(5, self->sessions);
	close(other);
}

/* Each of them must have what was asked for. */
TEST_F(several_channels, have_each_capability_asked_for)
{
	struct zcdma_attach how = {
		.channels = 2, .name = "softdma", .caps = ZCDMA_CAP_FILL | ZCDMA_CAP_PAUSE,
	};
	struct zcdma_query_channel q;

	ASSERT_EQ(0, zc_ioctl(self->fd, ZCDMA_IOC_ATTACH, &how));
	for (__u32 i = 0; i < 2; i++) {
		q = (struct zcdma_query_channel){ .flags = ZCDMA_QUERY_ATTACHED, .index = i };
		ASSERT_EQ(0, zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, &q));
		EXPECT_EQ(how.caps, q.out_caps & how.caps);
		EXPECT_TRUE(i || !strcmp(how.out_name, q.out_name));
	}
}

/* ---- poll and close of a session ---- */

TEST_F(several_channels, poll_says_room_before_attaching)
{
	EXPECT_EQ(POLLOUT, zc_poll(self->fd, POLLIN | POLLOUT | POLLPRI, 0));
	ASSERT_EQ(0, attach(self->fd, "softdma", 1, 0));
	EXPECT_EQ(POLLOUT, zc_poll(self->fd, POLLIN | POLLOUT | POLLPRI, 0));
}

/* One op is with the engine, the others wait behind it: they never run. */
TEST_F(several_channels, close_cancels_what_has_not_begun)
{
	enum { OPS = 32 };
	char *dst = zc_map(OPS * PAGE);
	long pinned = zc_pinned_baseline();
	struct zcdma_op ops[OPS];

	pattern_write(target, dst, 0, OPS * PAGE);
	ASSERT_EQ(0, attach(self->fd, "softdma", 1, 0));
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	for (int i = 0; i < OPS; i++)
		ops[i] = zc_fill_op(dst + i * PAGE, 1, PAGE, i);
	ASSERT_EQ(0, zc_submit(self->fd, ops, OPS, NULL));
	close(self->fd);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(zc_pinned_falls_to(pinned, 20000));
	EXPECT_TRUE(pattern_holds(target, dst + PAGE, PAGE, (OPS - 1) * PAGE));
	self->fd = zc_session("softdma", 0);
	EXPECT_EQ(0, zc_do(self->fd, ops[OPS - 1]));
	EXPECT_TRUE(pattern_holds(target, dst + PAGE, PAGE, (OPS - 2) * PAGE));
}

/*
 * Two sessions at a channel with one descriptor. The engine hangs with the first of four ops of
 * @fd; the others have not begun when it is closed. Then the engine goes on.
 */
static void one_of_two_closes(struct __test_metadata *_metadata, const char *channel, int fd,
			      char *dst)
{
	int other = zc_session(channel, 0);
	struct zcdma_completion c[2];
	struct zcdma_op ops[4];

	ASSERT_LE(0, other);
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	for (int i = 0; i < 4; i++)
		ops[i] = zc_fill_op(dst + i * PAGE, 1, PAGE, i);
	ASSERT_EQ(0, zc_submit(fd, ops, 4, NULL));
	for (int i = 0; i < 2; i++)
		ops[i] = zc_fill_op(dst + (4 + i) * PAGE, 2, PAGE, i);
	ASSERT_EQ(0, zc_submit(other, ops, 2, NULL));
	EXPECT_TRUE(filled_with(0, dst + PAGE, 5 * PAGE));
	close(fd);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(2, zc_reap(other, c, 2, 20000));
	EXPECT_EQ(0, c[0].res | c[1].res);
	close(other);
}

TEST_F(several_channels, close_cancels_no_op_of_another_session)
{
	char *dst = zc_map(6 * PAGE);

	ASSERT_EQ(0, attach(self->fd, self->first, 1, 0));
	one_of_two_closes(_metadata, self->first, self->fd, dst);
	self->fd = -1;
	EXPECT_TRUE(filled_with(2, dst + 4 * PAGE, 2 * PAGE));
}

/* The same, and what becomes of those that had not begun: nothing. */
TEST_F(several_channels, close_cancels_what_has_not_begun_at_a_shared_channel)
{
	char *dst = zc_map(6 * PAGE);

	ASSERT_EQ(0, attach(self->fd, self->first, 1, 0));
	one_of_two_closes(_metadata, self->first, self->fd, dst);
	self->fd = -1;
	EXPECT_TRUE(filled_with(0, dst + PAGE, 3 * PAGE));
}

/* One SUBMIT for each op: the channels that have nothing to do get them all the same. */
TEST_F(several_channels, share_ops_that_are_submitted_one_by_one)
{
	char *dst = zc_map(4 * PAGE);
	struct zcdma_completion c[4];
	struct zcdma_op op;

	if (zc_lacks("direct-memory"))
		SKIP(return, "lacks direct-memory: a bounce buffer hides it");
	zc_unlimit_memlock();
	ASSERT_EQ(0, attach(self->fd, "softdma", 4, 0));
	ASSERT_EQ(0, softdma_set("hang", 1));
	for (int i = 0; i < 4; i++) {
		op = zc_fill_op(dst + i * PAGE, 1, PAGE, i);
		ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	}
	/* Each engine hangs half way through one of them. */
	for (int i = 0; i < 4000 && !(dst[0] && dst[PAGE] && dst[2 * PAGE] && dst[3 * PAGE]); i++)
		zc_sleep_ms(5);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(1, dst[i * PAGE]);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(4, zc_reap(self->fd, c, 4, 20000));
}

/* ---- ATTACH_PORT, QUERY_PORT ---- */

FIXTURE(port_of) {
	int fd;
	struct zcdma_query_port query;
};

FIXTURE_SETUP(port_of)
{
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, port_make("t-loop", 0, 1, "width=4"));
	self->fd = zc_open(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(port_of)
{
	close(self->fd);
	EXPECT_EQ(0, port_drop("t-loop"));
	EXPECT_EQ(0, softdma_reset());
}

static int attach_port(int fd, struct zcdma_attach_port how)
{
	if (!how.name[0])
		strcpy(how.name, "t-loop");
	return zc_ioctl(fd, ZCDMA_IOC_ATTACH_PORT, &how);
}

TEST_F(port_of, a_session_is_refused_values_out_of_range)
{
	struct zcdma_get_info info = zc_info(self->fd);
	struct zcdma_attach_port endless = { 0 };

	memset(endless.name, 'x', sizeof(endless.name));
	EXPECT_EQ(-EINVAL, attach_port(self->fd, endless));
	EXPECT_EQ(-EINVAL, attach_port(self->fd, (struct zcdma_attach_port){
		.queue_depth = info.out_max_queue_depth + 1 }));
	EXPECT_EQ(-EINVAL, attach_port(self->fd, (struct zcdma_attach_port){
		.queue_depth = ~0U }));
	EXPECT_EQ(-EINVAL, attach_port(self->fd, (struct zcdma_attach_port){
		.deadline_ms = info.out_max_deadline_ms + 1 }));
	EXPECT_EQ(-EINVAL, attach_port(self->fd, (struct zcdma_attach_port){
		.deadline_ms = ~0U }));
	EXPECT_EQ(-EINVAL, attach_port(self->fd, (struct zcdma_attach_port){ .__reserved = 1 }));
	EXPECT_EQ(-EINVAL, attach_port(self->fd, (struct zcdma_attach_port){
		.__reserved = 1U << 31 }));
	EXPECT_EQ(-EINVAL, attach_port(self->fd, (struct zcdma_attach_port){ .flags = 1 }));
	EXPECT_EQ(0, zc_info(self->fd).out_channels);
	ASSERT_EQ(0, port_query("t-loop", &self->query));
	EXPECT_EQ(ZCDMA_PORT_FREE, self->query.out_state);
}

TEST_F(port_of, a_session_takes_values_just_in_range)
{
	struct zcdma_get_info info = zc_info(self->fd);

	ASSERT_EQ(0, attach_port(self->fd, (struct zcdma_attach_port){
		.queue_depth = info.out_max_queue_depth,
		.deadline_ms = info.out_max_deadline_ms }));
	EXPECT_EQ(info.out_max_queue_depth, zc_info(self->fd).out_queue_depth);
	EXPECT_EQ(2, zc_info(self->fd).out_channels);
}

TEST_F(port_of, a_session_has_the_default_depth)
{
	__u32 depth = zc_info(self->fd).out_queue_depth;

	ASSERT_EQ(0, attach_port(self->fd, (struct zcdma_attach_port){ .queue_depth = 0 }));
	EXPECT_EQ(depth, zc_info(self->fd).out_queue_depth);
}

/* Its queue, like any other: full at the depth asked for. */
TEST_F(port_of, a_session_has_the_depth_asked_for)
{
	char *memory = zc_map(PAGE);
	struct zcdma_op ops[4];
	__u32 accepted = 0;

	ASSERT_EQ(0, attach_port(self->fd, (struct zcdma_attach_port){ .queue_depth = 3 }));
	for (int i = 0; i < 4; i++)
		ops[i] = (struct zcdma_op){
			.opcode = ZCDMA_OP_RECV, .dst = zc_ptr(memory), .len = 64,
		};
	EXPECT_EQ(-EAGAIN, zc_submit(self->fd, ops, 4, &accepted));
	EXPECT_EQ(3, accepted);
	EXPECT_EQ(0, zc_poll(self->fd, POLLOUT, 0));
}

/* The deadline of the session is that of ops that name none. */
TEST_F(port_of, a_session_has_the_deadline_asked_for)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_RECV, .len = 64 };
	__u64 start = zc_now_ms();
	struct zcdma_completion c;

	op.dst = zc_ptr(zc_map(PAGE));
	ASSERT_EQ(0, attach_port(self->fd, (struct zcdma_attach_port){ .deadline_ms = 300 }));
	c = port_op(self->fd, op);
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_EQ(0, c.done);
	EXPECT_LE(299, zc_now_ms() - start);
	EXPECT_GE(9300, zc_now_ms() - start);	/* the default is 10,000 ms */
}

TEST_F(port_of, nobody_is_not_there)
{
	struct zcdma_attach_port how = { .name = "t-loo" };

	EXPECT_EQ(-ENOENT, attach_port(self->fd, how));
	how = (struct zcdma_attach_port){ .name = "t-loop2" };
	EXPECT_EQ(-ENOENT, attach_port(self->fd, how));
	how = (struct zcdma_attach_port){ .name = " " };
	EXPECT_EQ(-ENOENT, attach_port(self->fd, how));
}

/* ---- pid namespaces ---- */

/* In a namespace of its own, as process 1: what it sees of the owner. */
static void look_from_inside(struct zcdma_query_port *query, int parent_has_it)
{
	int fd;

	CHILD_CHECK(getpid() == 1);
	CHILD_CHECK(!port_query("t-loop", query));
	CHILD_CHECK(query->out_state == ZCDMA_PORT_BUSY);
	CHILD_CHECK(query->out_owner == 0);
	CHILD_CHECK(query->out_owner_name[0] == 0);
	close(parent_has_it);
	for (int i = 0; i < 500 && query->out_state == ZCDMA_PORT_BUSY; i++) {
		zc_sleep_ms(10);
		CHILD_CHECK(!port_query("t-loop", query));
	}
	fd = port_open("t-loop", 0, 0);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(!port_query("t-loop", query));
	CHILD_CHECK(query->out_owner == 1);
	CHILD_CHECK(query->out_owner_name[0]);
	pause();
}

/* Who is not in the caller's pid namespace is not known there; the other way round he is. */
TEST_F(port_of, another_pid_namespace_shows_no_owner)
{
	pid_t pid;

	ASSERT_EQ(0, attach_port(self->fd, (struct zcdma_attach_port){ .queue_depth = 0 }));
	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	IN_CHILD(pid)
		look_from_inside(&self->query, self->fd);
	close(self->fd);
	for (int i = 0; i < 1000 && self->query.out_owner != pid; i++) {
		ASSERT_EQ(0, port_query("t-loop", &self->query));
		zc_sleep_ms(10);
	}
	EXPECT_EQ(pid, self->query.out_owner);
	EXPECT_EQ(ZCDMA_PORT_BUSY, self->query.out_state);
	EXPECT_STREQ(program_invocation_short_name, self->query.out_owner_name);
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
	self->fd = zc_open(0);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
