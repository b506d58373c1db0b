// SPDX-License-Identifier: GPL-2.0
/*
 * What a provider may do and zcdma must survive. The software engine is made as awkward as
 * some real drivers are (see softdma_quirks.c, which names them), one trait at a time; what it
 * calls a violation is what would deadlock such a driver, or make it move what is not its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(128 * PAGE)
#define OPS		64	/* more than the engine gets at a time */
#define POOL		256	/* descriptors that it has otherwise */
#define PATIENCE	20000	/* ms, for what should take no time at all */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(contract) {
	int fd;
	int rx, tx;		/* of ports that lead to each other, see open_ports() */
	long pinned;		/* before all */
	char *src, *dst;	/* SIZE bytes */
	struct zcdma_completion done[OPS];
};

FIXTURE_SETUP(contract)
{
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	ASSERT_EQ(0, softdma_set("violations", 0));
	zc_unlimit_memlock();
	self->pinned = zc_pinned_baseline();
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
	self->fd = -1;
	self->rx = -1;
	self->tx = -1;
}

FIXTURE_TEARDOWN(contract)
{
	softdma_set("hang", 0);
	softdma_set("hang_nth", 0);
	softdma_set("hang_prep", 0);
	softdma_set("late_us", 0);
	close(self->fd);
	close(self->rx);
	close(self->tx);
	if (self->rx >= 0)
		EXPECT_EQ(0, port_drop_pair(PATIENCE));
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, softdma_reset());
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

#define CONTRACT FIXTURE_DATA(contract)

/* A session with several channels of the engine: a descriptor or -errno. */
static int session_of(__u32 channels)
{
	struct zcdma_attach how = { .channels = channels, .name = "softdma" };
	int fd = zc_open(0), err;

	if (fd < 0)
		return fd;
	err = zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* An engine with these traits, and a session with so many of its channels: 0 or -errno. */
static int become_several(CONTRACT *self, const char *traits, __u32 channels)
{
	int err = softdma_become(traits);

	if (err)
		return err;
	softdma_set("violations", 0);
	self->fd = session_of(channels);
	return self->fd < 0 ? self->fd : 0;
}

/* The same with one. */
static int become(CONTRACT *self, const char *traits)
{
	return become_several(self, traits, 1);
}

/* What the one sends the other receives. */
static void open_ports(struct __test_metadata *_metadata, CONTRACT *self, __u32 deadline_ms)
{
	ASSERT_EQ(0, port_make_pair());
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, deadline_ms));
}

/*
 * Submit OPS copies of a page, each of which takes a millisecond, and wait for all. Of an engine
 * with a pool of one descriptor each callback is that of the last in flight.
 */
static bool copies_pages(CONTRACT *self, unsigned int pool)
{
	struct zcdma_op ops[OPS];

	pattern_write(target, self->dst, 0, OPS * PAGE);
	softdma_set("delay_us", 1000);
	softdma_set("pool", pool);
	for (int i = 0; i < OPS; i++)
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
	return !zc_do_all(self->fd, ops, OPS) && pattern_holds(source, self->dst, 0, OPS * PAGE);
}

/* What a CPU moves is bound by the deadline, too: here that is over when the pages are pinned. */
TEST_F(contract, deadline_of_what_a_cpu_moves_holds)
{
	enum { LEN = 64 << 20 };
	char *src = zc_map(LEN), *dst = zc_map(LEN);
	struct zcdma_op op = zc_copy_op(dst, src + 1, LEN - 1, 1);

	ASSERT_EQ(0, become(self, "align=8"));
	op.deadline_ms = 1;
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_EQ(0, self->done[0].done);
	munmap(src, LEN);
	munmap(dst, LEN);
}

/* ---- where prep is called ---- */

/* ae4dma, ptdma, fsldma, txx9dmac: prep takes a lock that is held over the callback. */
TEST_F(contract, no_prep_in_a_callback)
{
	ASSERT_EQ(0, become(self, "locked_callbacks=Y"));
	EXPECT_TRUE(copies_pages(self, POOL));
	EXPECT_TRUE(copies_pages(self, 1));
}

/* ae4dma, ptdma: prep sleeps though the engine can be stopped. */
TEST_F(contract, no_sleeping_prep_where_nobody_may_sleep)
{
	ASSERT_EQ(0, become(self, "prep_sleeps=Y callback_context=softirq"));
	EXPECT_TRUE(copies_pages(self, POOL));
	EXPECT_TRUE(copies_pages(self, 1));
}

/* The same where a submitter has several channels, and hands each a piece at a time. */
TEST_F(contract, no_prep_in_a_callback_of_several_channels)
{
	ASSERT_EQ(0, become_several(self, "locked_callbacks=Y", 4));
	EXPECT_TRUE(copies_pages(self, POOL));
	EXPECT_TRUE(copies_pages(self, 1));
}

TEST_F(contract, no_sleeping_prep_of_several_channels_where_nobody_may_sleep)
{
	ASSERT_EQ(0, become_several(self, "prep_sleeps=Y callback_context=softirq", 4));
	EXPECT_TRUE(copies_pages(self, POOL));
	EXPECT_TRUE(copies_pages(self, 1));
}

/* Does the child end, well, within @ms? */
static bool ends_within(pid_t pid, unsigned int ms)
{
	__u64 end = zc_now_ms() + ms;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(10);
	}
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/*
 * idxd's prep waits for a descriptor, as long as that takes. Meanwhile others leave the channel
 * and come to another one, and the op ends at its deadline.
 */
TEST_F_TIMEOUT(contract, prep_that_does_not_return_holds_up_nobody, 90)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct zcdma_query_channel mine = { .flags = ZCDMA_QUERY_ATTACHED };
	pid_t leaves, comes;

	ASSERT_EQ(0, become(self, "prep_sleeps=Y"));
	ASSERT_EQ(0, zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, &mine));
	ASSERT_EQ(0, softdma_set("hang_prep", 1));
	op.deadline_ms = 1000;
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_TRUE(softdma_is_in_prep());
	IN_CHILD(leaves) {
		int fd = zc_session(mine.out_name, 0);

		CHILD_CHECK(fd >= 0);
		close(fd);
	}
	EXPECT_TRUE(ends_within(leaves, PATIENCE));
	IN_CHILD(comes) {
		int fd = zc_session("softdma", 0);

		CHILD_CHECK(fd >= 0);
		close(fd);
	}
	EXPECT_TRUE(ends_within(comes, PATIENCE));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	ASSERT_EQ(0, softdma_set("hang_prep", 0));
}

/* Wait until the receiver has moved @bytes: false after PATIENCE. */
static bool moves(int rx, __u64 bytes)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(rx, ZCDMA_RX).out_moved < bytes) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* The same of periods of a queued ring that nobody reads: the engine gets the oldest again. */
static void overrun_a_stream(struct __test_metadata *_metadata, CONTRACT *self)
{
	enum { LEN = 1024, PERIODS = 4, SENT = 40 };
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = SENT * LEN,
	};

	open_ports(_metadata, self, 10000);
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, LEN, PERIODS * LEN));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(0, port_op(self->tx, op).res);
	ASSERT_TRUE(moves(self->rx, SENT * LEN));
	/* What is half of the ring ahead of the engine can be read, all else is lost. */
	EXPECT_EQ(-EPIPE, stream_read(self->rx, self->dst, LEN));
	EXPECT_EQ(SENT - PERIODS / 2, stream_status(self->rx, ZCDMA_RX).out_lost);
	EXPECT_EQ(PERIODS / 2 * LEN, stream_read(self->rx, self->dst, PERIODS / 2 * LEN));
	EXPECT_TRUE(pattern_holds(source, self->dst, (SENT - PERIODS / 2) * LEN,
				  PERIODS / 2 * LEN));
}

TEST_F(contract, no_prep_of_a_period_in_a_callback)
{
	ASSERT_EQ(0, softdma_become("locked_callbacks=Y"));
	ASSERT_EQ(0, softdma_set("violations", 0));
	overrun_a_stream(_metadata, self);
}

TEST_F(contract, no_sleeping_prep_of_a_period_where_nobody_may_sleep)
{
	ASSERT_EQ(0, softdma_become("prep_sleeps=Y callback_context=softirq"));
	ASSERT_EQ(0, softdma_set("violations", 0));
	overrun_a_stream(_metadata, self);
}

/* Ops at ports: each that ends makes place for the next one, and each has several pieces. */
static void ops_at_ports_pass(struct __test_metadata *_metadata, CONTRACT *self)
{
	enum { NR = 8, LEN = 16 * PAGE };
	struct zcdma_completion c[NR];
	struct zcdma_op ops[2][NR];

	open_ports(_metadata, self, 5000);
	ASSERT_EQ(0, softdma_set("max_len", PAGE));	/* for more pieces of an op */
	for (int i = 0; i < NR; i++) {
		ops[0][i] = zc_recv_op(self->dst + i * LEN, LEN, i);
		ops[1][i] = zc_send_op(self->src + i * LEN, LEN, i);
	}
	ASSERT_EQ(0, zc_submit(self->rx, ops[0], NR, NULL));
	ASSERT_EQ(0, zc_submit(self->tx, ops[1], NR, NULL));
	ASSERT_EQ(NR, zc_reap(self->rx, c, NR, PATIENCE));
	for (int i = 0; i < NR; i++)
		EXPECT_EQ(0, c[i].res);
	ASSERT_EQ(NR, zc_reap(self->tx, c, NR, PATIENCE));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, NR * LEN));
}

TEST_F(contract, no_prep_of_an_op_at_a_port_in_a_callback)
{
	ASSERT_EQ(0, softdma_become("locked_callbacks=Y"));
	ASSERT_EQ(0, softdma_set("violations", 0));
	ops_at_ports_pass(_metadata, self);
}

TEST_F(contract, no_sleeping_prep_of_an_op_at_a_port_where_nobody_may_sleep)
{
	ASSERT_EQ(0, softdma_become("prep_sleeps=Y callback_context=softirq"));
	ASSERT_EQ(0, softdma_set("violations", 0));
	ops_at_ports_pass(_metadata, self);
}

/*
 * A prep that does not return is that of an op, or of a period, at a port. The program is not held
 * up, and others come and go meanwhile.
 */
static void prep_at_a_port_hangs(struct __test_metadata *_metadata, CONTRACT *self, bool streams)
{
	struct zcdma_op op = zc_recv_op(self->dst, 64, 1);
	pid_t comes, goes;

	ASSERT_EQ(0, softdma_become("prep_sleeps=Y"));
	open_ports(_metadata, self, 4000);
	if (streams)
		ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1000, 8000));
	ASSERT_EQ(0, softdma_set("hang_prep", 1));
	if (streams) {
		EXPECT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
		ASSERT_TRUE(softdma_is_in_prep());
		zc_kmsg_expect(ZC_KMSG_STRAY);
		EXPECT_EQ(-EIO, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
		EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_STRAY));
	} else {
		ASSERT_EQ(0, zc_submit(self->rx, &op, 1, NULL));
		ASSERT_TRUE(softdma_is_in_prep());
		ASSERT_EQ(1, zc_reap(self->rx, self->done, 1, PATIENCE));
		EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	}
	IN_CHILD(comes) {
		int fd = zc_session("softdma", 0);

		CHILD_CHECK(fd >= 0);
		close(fd);
	}
	EXPECT_TRUE(ends_within(comes, PATIENCE));
	IN_CHILD(goes) {
		close(self->rx);
		close(self->tx);
	}
	close(self->rx);
	self->rx = -1;
	EXPECT_TRUE(ends_within(goes, PATIENCE));
	ASSERT_EQ(0, softdma_set("hang_prep", 0));
	close(self->tx);
	self->tx = -1;
	EXPECT_EQ(0, port_drop_pair(PATIENCE));
}

TEST_F_TIMEOUT(contract, prep_of_an_op_at_a_port_that_does_not_return_holds_up_nobody, 90)
{
	prep_at_a_port_hangs(_metadata, self, false);
}

TEST_F_TIMEOUT(contract, prep_of_a_period_that_does_not_return_holds_up_nobody, 90)
{
	prep_at_a_port_hangs(_metadata, self, true);
}

/* ---- what does not stop the engine ---- */

/*
 * tegra186-gpc-dma, hidma: terminate says that it failed. The op times out, but its pages are
 * the engine's until that is through with them.
 */
TEST_F(contract, terminate_that_fails_leaves_the_memory_to_the_engine)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, SIZE, 1);

	ASSERT_EQ(0, become(self, "terminate_fails=Y"));
	ASSERT_EQ(0, softdma_set("hang", 1));
	op.deadline_ms = 500;
	zc_kmsg_expect("hangs, stopping it");
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_TRUE(zc_kmsg_expected("hangs, stopping it"));
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_LE(self->pinned + 2 * (long)(SIZE / PAGE), zc_pinned_pages());
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/* hidma, txx9dmac: for what terminate drops it calls back, as for what was moved. */
TEST_F(contract, terminate_that_calls_back_has_moved_nothing)
{
	struct zcdma_op ops[OPS];

	ASSERT_EQ(0, become(self, "terminate_calls=Y"));
	pattern_write(target, self->dst, 0, OPS * PAGE);
	ASSERT_EQ(0, softdma_set("hang_nth", 1));
	for (int i = 0; i < OPS; i++) {
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
		ops[i].deadline_ms = i ? PATIENCE : 500;
	}
	zc_kmsg_expect("hangs, stopping it");
	ASSERT_EQ(0, zc_submit(self->fd, ops, OPS, NULL));
	ASSERT_EQ(OPS, zc_reap(self->fd, self->done, OPS, PATIENCE));
	EXPECT_TRUE(zc_kmsg_expected("hangs, stopping it"));
	for (int i = 0; i < OPS; i++) {
		int nr = self->done[i].user_data;

		EXPECT_EQ(nr ? 0 : -ETIMEDOUT, self->done[i].res);
		EXPECT_EQ(nr ? PAGE : 0, self->done[i].done);
		EXPECT_TRUE(!nr || pattern_holds(source, self->dst + nr * PAGE, nr * PAGE, PAGE));
	}
}

/*
 * It goes, cannot be stopped and does not get on: that is waited for, as the memory is its own,
 * but not by who waits for the op.
 */
TEST_F(contract, op_ends_at_its_deadline_though_an_unstoppable_engine_goes)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	__u64 start;
	pid_t pid;

	ASSERT_EQ(0, become(self, "no_terminate=Y"));
	ASSERT_EQ(0, softdma_set("hang", 1));
	op.deadline_ms = 1000;
	start = zc_now_ms();
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	IN_CHILD(pid)
		CHILD_CHECK(!softdma_unbind());
	ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_LE(900, zc_now_ms() - start);
	EXPECT_GE(6000, zc_now_ms() - start);	/* it waits 10 s for the engine */
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_LT(self->pinned, zc_pinned_pages());
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	ASSERT_EQ(0, softdma_bind());
}

/* The same of an op at a port for which nothing came. */
TEST_F(contract, terminate_that_fails_leaves_the_memory_of_an_op_at_a_port)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_RECV, .dst = zc_ptr(self->dst), .len = 4 * PAGE,
		.deadline_ms = 300,
	};

	ASSERT_EQ(0, softdma_become("terminate_fails=Y"));
	open_ports(_metadata, self, 0);
	EXPECT_EQ(-ETIMEDOUT, port_op(self->rx, op).res);
	EXPECT_LE(self->pinned + 4, zc_pinned_pages());
	op.opcode = ZCDMA_OP_SEND;
	op.src = zc_ptr(self->src);
	op.dst = 0;
	op.deadline_ms = 3000;
	EXPECT_EQ(0, port_op(self->tx, op).res);	/* the engine has all that it waited for */
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/* Is a completion there within @ms? (poll() does not wait any more when the engine has gone.) */
static bool is_told_within(int fd, unsigned int ms)
{
	__u64 end = zc_now_ms() + ms;

	while (!(zc_poll(fd, POLLIN, 0) & POLLIN)) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(10);
	}
	return true;
}

/* Begin to remove the engine's device, in a child. */
static pid_t begin_removal(struct __test_metadata *_metadata)
{
	__u64 end = zc_now_ms() + PATIENCE;
	pid_t pid;

	IN_CHILD(pid)
		CHILD_CHECK(!softdma_unbind());
	while (softdma_is_bound()) {
		ASSERT_GT(end, zc_now_ms());
		zc_sleep_ms(1);
	}
	return pid;
}

/*
 * Begin to remove the engine's device, which will take some seconds, and zcdma was told. Softdma
 * sleeps where no client is to request a channel.
 */
static pid_t begin_long_removal(struct __test_metadata *_metadata)
{
	pid_t pid = begin_removal(_metadata);
	__u64 end = zc_now_ms() + PATIENCE;
	char where[64];

	for (zc_wchan(pid, where); strcmp(where, "msleep"); zc_wchan(pid, where)) {
		ASSERT_GT(end, zc_now_ms());
		zc_sleep_ms(1);
	}
	return pid;
}

/* Wait until the child has ended, to be waited for, or sleeps and goes on sleeping. */
static bool ends_or_waits(pid_t pid)
{
	__u64 end = zc_now_ms() + PATIENCE;
	siginfo_t ended = { 0 };
	char where[64];

	for (int sleeps = 0; sleeps < 20 && !ended.si_pid; zc_sleep_ms(10)) {
		if (zc_now_ms() > end || waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT))
			return false;
		zc_wchan(pid, where);
		sleeps = where[0] ? sleeps + 1 : 0;
	}
	return true;
}

/*
 * The engine's device is being removed, which takes some seconds, while the engine hangs half
 * way through an op and goes on. Once the program was told that the op is over, be that before
 * or after the engine goes on, nothing moves any more. (Without the ledger, with which the engine
 * does not find memory that was unmapped.)
 */
static void is_over_when_told(struct __test_metadata *_metadata, CONTRACT *self,
			      const char *traits)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	__u64 end = zc_now_ms() + PATIENCE;
	char snapshot[PAGE];
	bool told_before;
	pid_t pid;

	op.deadline_ms = 60000;
	ASSERT_EQ(0, become(self, traits));
	ASSERT_EQ(0, softdma_set("hang_nth", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	while (softdma_get("hang_nth")) {	/* 0: half of the page was moved */
		ASSERT_GT(end, zc_now_ms());
		zc_sleep_ms(1);
	}
	pid = begin_removal(_metadata);
	told_before = is_told_within(self->fd, 1000);
	memcpy(snapshot, self->dst, PAGE);
	EXPECT_EQ(0, softdma_set("hang_nth", 0));
	if (!told_before) {
		EXPECT_TRUE(is_told_within(self->fd, PATIENCE));
		memcpy(snapshot, self->dst, PAGE);
	}
	EXPECT_EQ(0, zc_wait(pid));	/* the engine is gone */
	EXPECT_EQ(0, memcmp(snapshot, self->dst, PAGE));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(1, self->done[0].user_data);
	ASSERT_EQ(0, softdma_bind());
}

/*
 * idxd, altera-msgdma, mv_xor, fsl_raid: there is no terminate, and a channel that was released
 * goes on.
 */
TEST_F(contract, release_does_not_stop_the_engine)
{
	is_over_when_told(_metadata, self,
			  "no_terminate=Y release_runs_on=Y remove_delay_ms=5000 ledger=N");
}

TEST_F(contract, terminate_that_fails_does_not_stop_the_engine)
{
	is_over_when_told(_metadata, self,
			  "terminate_fails=Y release_runs_on=Y remove_delay_ms=5000 ledger=N");
}

/* ---- an engine that goes ---- */

/* It is about to go: whoever attaches now gets nothing, or hears that it is over. */
TEST_F_TIMEOUT(contract, engine_that_is_being_removed_is_not_attached_to, 60)
{
	pid_t pid;
	char byte = 0;

	ASSERT_EQ(0, softdma_become("remove_delay_ms=5000"));
	pid = begin_long_removal(_metadata);	/* the engine works on */
	self->fd = zc_session("softdma", 0);
	EXPECT_EQ(0, zc_wait(pid));
	if (self->fd < 0) {
		EXPECT_EQ(-ENODEV, self->fd);
	} else {
		EXPECT_EQ(POLLHUP | POLLERR,
			  zc_poll(self->fd, POLLIN, PATIENCE) & (POLLHUP | POLLERR));
		EXPECT_EQ(-ENODEV, zc_fill(self->fd, &byte, 1, 1));
		close(self->fd);
	}
	self->fd = -1;
	ASSERT_EQ(0, softdma_bind());
}

/* The same of a port: its channel is not even requested. */
TEST_F_TIMEOUT(contract, engine_that_is_being_removed_is_not_requested_for_a_port, 60)
{
	pid_t pid, pid_of_port;

	ASSERT_EQ(0, softdma_become("remove_delay_ms=5000"));
	ASSERT_EQ(0, port_make_pair());
	pid = begin_long_removal(_metadata);
	IN_CHILD(pid_of_port)
		CHILD_CHECK(port_open("t-rx", 0, 0) == -ENODEV);
	/* It is refused at once, or waits for the end of the removal. */
	EXPECT_TRUE(ends_or_waits(pid_of_port));
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(0, zc_wait(pid_of_port));
	ASSERT_EQ(0, softdma_bind());
	EXPECT_EQ(0, port_drop_pair(PATIENCE));
}

/* Of idxd's channels each comes and goes alone: its op ends, and who comes later finds it. */
TEST_F(contract, channel_that_goes_without_its_device_is_given_back)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);

	ASSERT_EQ(0, become(self, "channels=1"));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_EQ(0, softdma_set("absent", 1));
	EXPECT_EQ(POLLHUP | POLLERR, zc_poll(self->fd, POLLIN, PATIENCE) & (POLLHUP | POLLERR));
	EXPECT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(-ENODEV, self->done[0].res);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	close(self->fd);
	self->fd = zc_session("softdma", 0);
	EXPECT_EQ(-ENODEV, self->fd);
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(0, softdma_set("absent", 0));
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(0, zc_copy(self->fd, self->dst, self->src, PAGE));
}

/* The engine's first channel of two, which stays when the last one goes. */
static int session_at_first(char channel[ZCDMA_NAME_LEN])
{
	struct zcdma_query_channel query = { 0 };
	int err = zc_query("softdma", &query);

	strcpy(channel, query.out_name);
	return err ?: zc_session(channel, 0);
}

/*
 * The same of one of the session's two channels, while the other one has the same memory. That
 * stays mapped until it is through with it, and who has nothing at the channel that went is not
 * concerned at all.
 */
TEST_F(contract, channel_that_goes_leaves_the_memory_to_the_others)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_COPY, .len = SIZE, .deadline_ms = 60000 };
	char channel[ZCDMA_NAME_LEN];
	int neighbour;

	ASSERT_EQ(0, become_several(self, "channels=2", 2));
	neighbour = session_at_first(channel);
	ASSERT_LE(0, neighbour);
	op.src_buffer = zc_register(self->fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	op.dst_buffer = zc_register(self->fd, self->dst, SIZE, 0);
	ASSERT_LT(0, (int)op.src_buffer);
	ASSERT_LT(0, (int)op.dst_buffer);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_EQ(0, softdma_set("absent", 1));
	EXPECT_EQ(1, zc_count_channels("softdma"));
	/* Half of the op is at the engine of the channel that is left. */
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN, 0) & POLLIN);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(is_told_within(self->fd, PATIENCE));
	ASSERT_EQ(1, zc_reap(self->fd, self->done, 1, PATIENCE));
	EXPECT_EQ(-ENODEV, self->done[0].res);
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, zc_copy(neighbour, self->dst, self->src, PAGE));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, PAGE));
	close(neighbour);
	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, softdma_set("absent", 0));
}

/* The engine's channel has one descriptor: what is behind it waits for that, and is given back. */
static void pieces_without_a_descriptor_end(struct __test_metadata *_metadata, CONTRACT *self,
					    const char *traits)
{
	struct zcdma_op ops[8];
	bool seen[8] = { 0 };
	__u64 start;
	pid_t pid;

	ASSERT_EQ(0, become(self, traits));
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	for (int i = 0; i < 8; i++) {
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
		ops[i].deadline_ms = 60000;
	}
	ASSERT_EQ(0, zc_submit(self->fd, ops, 8, NULL));
	IN_CHILD(pid) {
		zc_sleep_ms(300);
		CHILD_CHECK(!softdma_set("hang", 0));
	}
	start = zc_now_ms();
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_GT(PATIENCE, zc_now_ms() - start);
	EXPECT_EQ(0, zc_wait(pid));
	ASSERT_EQ(8, zc_reap(self->fd, self->done, 8, PATIENCE));
	for (int i = 0; i < 8; i++) {
		__u64 nr = self->done[i].user_data;

		ASSERT_GT(8, nr);
		EXPECT_FALSE(seen[nr]);
		seen[nr] = true;
		EXPECT_TRUE(!self->done[i].res || self->done[i].res == -ENODEV);
		EXPECT_TRUE(pattern_holds(source, self->dst + nr * PAGE, nr * PAGE,
					  self->done[i].done));
	}
	EXPECT_EQ(0, zc_outstanding(self->fd));
	ASSERT_EQ(0, softdma_bind());
}

TEST_F(contract, pieces_that_wait_for_an_engine_without_terminate_end_with_it)
{
	pieces_without_a_descriptor_end(_metadata, self, "no_terminate=Y");
}

TEST_F(contract, pieces_that_wait_for_an_engine_whose_terminate_fails_end_with_it)
{
	pieces_without_a_descriptor_end(_metadata, self, "terminate_fails=Y");
}

/* ---- callbacks that are late ---- */

/*
 * shdma: each time that the engine is stopped something may call back yet, for a piece that is not
 * there any more. So many such stops are a risk, and then it is one that cannot be stopped: the
 * pages of the next op that hangs stay pinned, and nobody tries to stop it.
 */
TEST_F_TIMEOUT(contract, engine_that_may_call_back_is_not_stopped_for_ever, 60)
{
	enum { STOPS = 16 };
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);

	ASSERT_EQ(0, become(self, "no_synchronize=Y"));
	ASSERT_EQ(0, softdma_set("late_us", 120000000));
	op.deadline_ms = 300;	/* until then the engine has it */
	for (int i = 0; i < STOPS; i++) {
		zc_kmsg_expect(ZC_KMSG_HANGS);
		ASSERT_EQ(-ETIMEDOUT, zc_do(self->fd, op));
		ASSERT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
		ASSERT_EQ(self->pinned, zc_pinned_pages());
	}
	/* Not announced: if it were stopped now, that were a complaint. */
	ASSERT_EQ(0, softdma_set("late_us", 0));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(-ETIMEDOUT, zc_do(self->fd, op));
	EXPECT_LE(self->pinned + 2, zc_pinned_pages());
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	EXPECT_EQ(0, zc_copy(self->fd, self->dst, self->src, PAGE));
}

/* Time for what a test does before the callback, on a guest that gets no CPU for a while. */
#define LATE_MS	6000

/* Nothing came for the second op: the callback of the first, which was cancelled, is not its. */
TEST_F_TIMEOUT(contract, late_callback_of_a_cancelled_op_ends_no_other, 60)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_RECV, .dst = zc_ptr(self->dst), .len = 8, .user_data = 1,
		.deadline_ms = LATE_MS + 2000,
	};
	struct zcdma_op send = { .opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = 8 };

	ASSERT_EQ(0, softdma_become("no_synchronize=Y"));
	open_ports(_metadata, self, 0);
	ASSERT_EQ(0, port_op(self->tx, send).res);
	ASSERT_EQ(0, softdma_set("late_us", LATE_MS * 1000));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	ASSERT_EQ(0, zc_submit(self->rx, &op, 1, NULL));
	/* The engine has begun with it, and has nothing more to do. */
	ASSERT_TRUE(softdma_gets_descriptor());
	ASSERT_TRUE(softdma_thread_is_in(1, SOFTDMA_IDLE));
	EXPECT_EQ(0, zc_cancel(self->rx, 1, 0, NULL));
	ASSERT_EQ(1, zc_reap(self->rx, self->done, 1, PATIENCE));
	ASSERT_EQ(1, self->done[0].user_data);
	EXPECT_EQ(0, self->done[0].res);	/* all had come */
	EXPECT_EQ(8, self->done[0].done);
	op.user_data = 2;
	ASSERT_EQ(0, zc_submit(self->rx, &op, 1, NULL));
	ASSERT_EQ(1, zc_reap(self->rx, self->done, 1, PATIENCE));
	EXPECT_EQ(2, self->done[0].user_data);
	EXPECT_EQ(-ETIMEDOUT, self->done[0].res);
	EXPECT_EQ(0, self->done[0].done);
}

/*
 * The same of a copy that the engine was stopped for: what it calls back with is not the next, of
 * which there are so many that one is in the same place.
 */
TEST_F_TIMEOUT(contract, late_callback_of_a_stopped_op_ends_no_other, 60)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, OPS), next[OPS];

	ASSERT_EQ(0, become(self, "no_synchronize=Y"));
	ASSERT_EQ(0, softdma_set("late_us", LATE_MS * 1000));
	op.deadline_ms = 600;
	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(-ETIMEDOUT, zc_do(self->fd, op));
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	ASSERT_EQ(0, softdma_set("late_us", 0));
	ASSERT_EQ(0, softdma_set("hang", 1));
	pattern_write(target, self->dst, 0, OPS * PAGE);
	for (int i = 0; i < OPS; i++) {
		next[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
		next[i].deadline_ms = 60000;
	}
	ASSERT_EQ(0, zc_submit(self->fd, next, OPS, NULL));
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN, LATE_MS + 2000));	/* by then it has come */
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(OPS, zc_reap(self->fd, self->done, OPS, PATIENCE));
	for (int i = 0; i < OPS; i++)
		EXPECT_EQ(0, self->done[i].res);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, OPS * PAGE));
}

/* The callback of a run that was stopped is no period of the next. */
TEST_F_TIMEOUT(contract, late_callback_of_a_run_is_none_of_the_next, 60)
{
	struct zcdma_op send = { .opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = 1000 };
	__u64 moved, end;

	ASSERT_EQ(0, softdma_become("no_synchronize=Y"));
	open_ports(_metadata, self, 0);
	ASSERT_EQ(0, fcntl(self->rx, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1000, 8000));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, port_op(self->tx, send).res);
	ASSERT_EQ(POLLIN, zc_poll(self->rx, POLLIN, PATIENCE));
	ASSERT_EQ(0, softdma_set("late_us", LATE_MS * 1000));
	ASSERT_EQ(0, zc_submit(self->tx, &send, 1, NULL));
	/* When the receiver's engine is at the third period, it has moved two. */
	for (end = zc_now_ms() + PATIENCE; softdma_get("descriptors") < 3 + 2; zc_sleep_ms(1))
		ASSERT_GT(end, zc_now_ms());
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	moved = stream_status(self->rx, ZCDMA_RX).out_moved;
	EXPECT_EQ(0, zc_poll(self->rx, POLLIN, LATE_MS + 2000));
	EXPECT_EQ(moved, stream_status(self->rx, ZCDMA_RX).out_moved);
	EXPECT_EQ(-EAGAIN, stream_read(self->rx, self->dst, 1000));
}

/* ---- limits ---- */

/* mv_xor copies nothing that is shorter: a CPU does, and what is left of an op as well. */
TEST_F(contract, what_is_too_short_for_the_engine_is_moved)
{
	ASSERT_EQ(0, become(self, "min_len=128"));
	EXPECT_EQ(0, zc_copy(self->fd, self->dst, self->src, 64));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 64));
	EXPECT_TRUE(pattern_holds(target, self->dst + 64, 64, SIZE - 64));
	EXPECT_EQ(0, zc_fill(self->fd, self->dst, 0x5a, 100));
	EXPECT_TRUE(filled_with(0x5a, self->dst, 100));
}

/* The same of what is left of a longer one, which the engine has begun. */
TEST_F(contract, what_is_left_of_an_op_and_too_short_for_the_engine_is_moved)
{
	static const size_t lens[] = { PAGE + 64, 3 * PAGE + 100 };
	int src, dst;

	ASSERT_EQ(0, become(self, "min_len=128"));
	src = zc_register(self->fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	dst = zc_register(self->fd, self->dst, SIZE, 0);
	ASSERT_LT(0, src);
	ASSERT_LT(0, dst);
	for (int i = 0; i < 4; i++) {
		size_t len = lens[i / 2];

		pattern_write(target, self->dst, 0, 4 * PAGE);
		EXPECT_EQ(0, i % 2 ? zc_do(self->fd, zc_buffer_op(dst, 0, src, 0, len)) :
				     zc_copy(self->fd, self->dst, self->src, len));
		EXPECT_TRUE(pattern_holds(source, self->dst, 0, len));
		EXPECT_TRUE(pattern_holds(target, self->dst + len, len, SIZE - len));
	}
}

/* What is sent comes, two periods of a ring. */
static void two_periods_come(struct __test_metadata *_metadata, CONTRACT *self, __u32 period)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = 2 * period,
	};

	pattern_write(target, self->dst, 0, 2 * period);
	EXPECT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(0, port_op(self->tx, op).res);
	EXPECT_EQ(2 * period, stream_read(self->rx, self->dst, 2 * period));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 2 * period));
}

/*
 * A ring with periods four times @limit is refused, or they are moved as the engine can.
 * One with periods of @limit is taken.
 */
static void limit_is_kept(struct __test_metadata *_metadata, CONTRACT *self, const char *traits,
			  __u32 flags, __u32 limit)
{
	__u32 period = 4 * limit;
	int err;

	ASSERT_EQ(0, softdma_become(traits));
	ASSERT_EQ(0, softdma_set("violations", 0));
	open_ports(_metadata, self, 10000);
	err = stream_setup(self->rx, ZCDMA_RX, flags, period, 16 * period);
	EXPECT_TRUE(!err || err == -EINVAL) {
		TH_LOG("%d", err);
	}
	if (!err)
		two_periods_come(_metadata, self, period);
	close(self->rx);
	self->rx = port_open("t-rx", 10000, 0);
	ASSERT_LE(0, self->rx);
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, flags, limit, 16 * limit));
	two_periods_come(_metadata, self, limit);
}

TEST_F(contract, periods_of_a_queued_ring_keep_to_the_longest_segment)
{
	limit_is_kept(_metadata, self, "max_segment=1024", ZCDMA_STREAM_QUEUED, 1024);
}

TEST_F(contract, periods_of_a_cyclic_ring_keep_to_the_longest_segment)
{
	limit_is_kept(_metadata, self, "max_segment=1024", 0, 1024);
}

TEST_F(contract, periods_of_a_queued_ring_keep_to_the_boundary)
{
	limit_is_kept(_metadata, self, "boundary=1024", ZCDMA_STREAM_QUEUED, 1024);
}

/* ---- short packets ---- */

/* The device ends a packet early (TLAST): that is a result, with its length. */
TEST_F(contract, short_packet_is_a_result_of_an_op)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_RECV, .dst = zc_ptr(self->dst), .len = 1000,
	};
	struct zcdma_op send = { .opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = 1000 };
	struct zcdma_completion c;

	open_ports(_metadata, self, 10000);
	ASSERT_EQ(0, port_op(self->tx, send).res);
	ASSERT_EQ(0, softdma_set("short_nth", 1));
	c = port_op(self->rx, op);
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(500, c.done);
	EXPECT_TRUE(c.flags & ZCDMA_DONE_SHORT);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 500));
	EXPECT_TRUE(pattern_holds(target, self->dst + 500, 500, 500));
}

/* In a stream no byte is read that did not come: two periods, the first of them half. */
TEST_F(contract, short_packet_is_no_whole_period)
{
	struct zcdma_op send = { .opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->src), .len = 1500 };

	open_ports(_metadata, self, 10000);
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1000, 8000));
	ASSERT_EQ(0, port_op(self->tx, send).res);	/* into the FIFO */
	ASSERT_EQ(0, softdma_set("short_nth", 1));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(1500, stream_read(self->rx, self->dst, 1500));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 1500));
	EXPECT_EQ(1500, stream_status(self->rx, ZCDMA_RX).out_moved);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
