// SPDX-License-Identifier: GPL-2.0
/* The library in trouble that only the fake can make: each function, and each call that fails. */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "harness.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma.h"
#include "zcdma_util.h"

#define SIZE	(256 * 4096UL)

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

/* Calls fail from now on, see fake.h. */
static void order(const char *text)
{
	void (*fake_order)(const char *text) = dlsym(RTLD_DEFAULT, "fake_order");

	CHILD_CHECK(fake_order);
	fake_order(text);
}

/* A session that has not learned yet how fast the engine is: its copies have many pieces. */
static struct zcdma_session *fresh(struct zcdma_session *old)
{
	struct zcdma_attach how = { .name = "softdma" };
	struct zcdma_session *session = zcdma_open(NULL);

	zcdma_close(old);
	CHILD_CHECK(session && !zcdma_attach(session, &how));
	return session;
}

static int result(long ret)
{
	return ret < 0 ? -errno : (int)ret;
}

FIXTURE(trouble) {
	struct zcdma_session *session;
	char *src, *dst;
};

FIXTURE_SETUP(trouble)
{
	struct zcdma_attach how = { .name = "softdma" };

	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	self->session = zcdma_open(NULL);
	ASSERT_TRUE(!!self->session);
	ASSERT_EQ(0, zcdma_attach(self->session, &how));
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(trouble)
{
	order("");
	zcdma_close(self->session);
	softdma_set("reverse", 0);
	softdma_set("no_rows", 0);
	softdma_reset();
}

TEST(open_tells_why_not)
{
	int free_before = dup(0);

	close(free_before);
	order("open:EMFILE@1,open:ENODEV@2");
	EXPECT_FALSE(!!zcdma_open(NULL));
	EXPECT_EQ(EMFILE, errno);
	EXPECT_FALSE(!!zcdma_open(NULL));
	EXPECT_EQ(ENODEV, errno);
	order("GET_INFO:ENOTTY");
	EXPECT_FALSE(!!zcdma_open(NULL));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(free_before, dup(0));
}

/* What the ioctl says, the function says. */
TEST_F(trouble, each_function_tells_the_error_of_its_call)
{
	struct zcdma_session *s = self->session;
	struct zcdma_attach how = { .name = "softdma" };
	struct zcdma_attach_port port_how = { .name = "none" };
	struct zcdma_stream_setup setup = { .direction = ZCDMA_RX };
	struct zcdma_op op = zc_copy_op(self->dst, self->src, 64, 1);
	struct zcdma_stream_status status;
	struct zcdma_query_channel channel;
	struct zcdma_query_port port;
	struct zcdma_completion c;
	struct zcdma_get_info info;
	unsigned int accepted = 9;

	order("GET_INFO:EIO,QUERY_CHANNEL:EIO,ATTACH:EBUSY,REGISTER_BUFFER:ENOSPC");
	EXPECT_EQ(-EIO, result(zcdma_get_info(s, &info)));
	EXPECT_EQ(-EIO, result(zcdma_query_channel(s, 0, 0, &channel)));
	EXPECT_EQ(-EIO, result(zcdma_find_channel(s, "dma0chan0", &channel)));
	EXPECT_EQ(-EBUSY, result(zcdma_attach(s, &how)));
	EXPECT_EQ(-ENOSPC, result(zcdma_register(s, self->src, 64, 0)));
	order("UNREGISTER_BUFFER:EBUSY,SUBMIT:ENODEV,CANCEL:EIO,READ:EIO,WRITE:EPIPE");
	EXPECT_EQ(-EBUSY, result(zcdma_unregister(s, 1)));
	EXPECT_EQ(-ENODEV, result(zcdma_submit(s, &op, 1, &accepted)));
	EXPECT_EQ(0, accepted);
	EXPECT_EQ(-ENODEV, result(zcdma_submit_wait(s, &op, 1, &c, NULL)));
	EXPECT_EQ(-EIO, result(zcdma_reap(s, &c, 1, 0)));
	EXPECT_EQ(-EIO, result(zcdma_cancel(s, 1)));
	EXPECT_EQ(-EIO, result(zcdma_cancel_all(s)));
	EXPECT_EQ(-EIO, result(zcdma_stream_read(s, self->dst, 64, 0)));
	EXPECT_EQ(-EPIPE, result(zcdma_stream_write(s, self->src, 64, 0)));
	order("ATTACH_PORT:EPERM,QUERY_PORT:EIO");
	EXPECT_EQ(-EPERM, result(zcdma_attach_port(s, &port_how)));
	EXPECT_EQ(-EIO, result(zcdma_query_port(s, 0, &port)));
	EXPECT_EQ(-EIO, result(zcdma_find_port(s, "none", &port)));
	order("STREAM_SETUP:ENOMEM,STREAM_CONTROL:ETIMEDOUT,STREAM_STATUS:EIO");
	EXPECT_EQ(-ENOMEM, result(zcdma_stream_setup(s, &setup)));
	EXPECT_EQ(-ETIMEDOUT, result(zcdma_stream_control(s, ZCDMA_TX, ZCDMA_STREAM_DRAIN)));
	EXPECT_EQ(-EIO, result(zcdma_stream_status(s, ZCDMA_RX, &status)));
}

/* The module is an older one: each row is an op, or more. */
TEST_F(trouble, copy_2d_does_without_ops_of_rows)
{
	const size_t lens[] = { 1, 1000, 3 * 4096 + 7 };
	struct zcdma_completion r;

	softdma_set("no_rows", 1);
	self->session = fresh(self->session);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = lens[i], stride = len + 50, rows = SIZE / stride;

		rows = rows < 300 ? rows : 300;
		pattern_write(target, self->dst, 0, SIZE);
		EXPECT_EQ(0, result(zcdma_copy_2d(self->session, self->dst, stride, self->src,
						  stride, len, rows, &r)));
		EXPECT_EQ(len * rows, r.done);
		for (size_t row = 0; row < rows; row++) {
			size_t at = row * stride;

			ASSERT_TRUE(pattern_holds(source, self->dst + at, at, len));
			ASSERT_TRUE(pattern_holds(target, self->dst + at + len, at + len, 50));
		}
	}
}

/* Whatever fails, and in whatever order completions come: done is true, nothing is left. */
TEST_F(trouble, copy_tells_how_far_it_came)
{
	static const char * const orders[] = {
		"op:EIO@1", "op:EIO@5", "op:ENODEV@8", "op:ETIMEDOUT@3", "SUBMIT:EFAULT@4",
		"SUBMIT:ENODEV@2", "READ:EINTR@2", "POLL:EINTR@1",
	};
	static const int errors[] = { EIO, EIO, ENODEV, ETIMEDOUT, EFAULT, ENODEV, EINTR, EINTR };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(orders); i++) {
		struct zcdma_completion r;

		self->session = fresh(self->session);
		softdma_set("reverse", i % 2);
		/* Where it is to wait, the engine must not be done before it does. */
		softdma_set("delay_us", errors[i / 2] == EINTR ? 50000 : 500);
		pattern_write(target, self->dst, 0, SIZE);
		order(orders[i / 2]);
		EXPECT_EQ(-errors[i / 2], result(zcdma_copy(self->session, self->dst, self->src,
							    SIZE, &r)));
		EXPECT_EQ(-errors[i / 2], r.res);
		EXPECT_GT(SIZE, r.done);
		EXPECT_TRUE(pattern_holds(source, self->dst, 0, r.done));
		order("");
		softdma_set("delay_us", 0);
		EXPECT_EQ(0, zc_outstanding(zcdma_fd(self->session)));
		/* It may go on behind that. */
		EXPECT_EQ(0, zcdma_copy(self->session, self->dst + r.done, self->src + r.done,
					SIZE - r.done, NULL));
		EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	}
}

TEST_F(trouble, copy_waits_where_the_queue_or_memory_is_short)
{
	static const char * const orders[] = {
		"SUBMIT:EAGAIN@2", "SUBMIT:EAGAIN@3,SUBMIT:EAGAIN@9", "SUBMIT:ENOMEM@1",
		"SUBMIT:ENOMEM@1,SUBMIT:ENOMEM@2,SUBMIT:ENOMEM@3", "SUBMIT:ENOMEM@4",
		"READ:EAGAIN@1,READ:EAGAIN@2",
	};
	struct zcdma_completion r;

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		pattern_write(target, self->dst, 0, SIZE);
		self->session = fresh(self->session);
		order(orders[i]);
		EXPECT_EQ(0, zcdma_copy(self->session, self->dst, self->src, SIZE, &r));
		EXPECT_EQ(SIZE, r.done);
		EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	}
}

TEST_F(trouble, find_port_tells_what_there_is)
{
	struct zcdma_query_port port;

	ASSERT_EQ(0, port_make("t-a", 0, 1, "width=2"));
	EXPECT_EQ(0, zcdma_find_port(self->session, "t-a", &port));
	EXPECT_EQ(2, port.out_width);
	EXPECT_EQ(ZCDMA_TX | ZCDMA_RX, port.out_directions);
	EXPECT_EQ(-ENOENT, result(zcdma_find_port(self->session, "t-b", &port)));
	EXPECT_EQ(0, zcdma_query_port(self->session, 0, &port));
	EXPECT_EQ(-ENOENT, result(zcdma_query_port(self->session, 99, &port)));
	EXPECT_EQ(0, port_drop("t-a"));
}

/* The ops go on, and their completions are to be reaped. */
TEST_F(trouble, submit_wait_ends_by_a_signal)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, 64, 5);
	struct zcdma_completion c;
	unsigned int accepted;

	softdma_set("hang", 1);
	zc_signal_each_ms(50, SA_RESTART);
	EXPECT_EQ(-EINTR, result(zcdma_submit_wait(self->session, &op, 1, &c, &accepted)));
	zc_signal_each_ms(0, 0);
	softdma_set("hang", 0);
	EXPECT_EQ(1, accepted);
	EXPECT_EQ(-EBUSY, result(zcdma_copy(self->session, self->dst + 64, self->src, 1, NULL)));
	EXPECT_EQ(1, zcdma_reap(self->session, &c, 1, -1));
	EXPECT_EQ(5, c.user_data);
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(0, zcdma_reap(self->session, &c, 1, -1));
}

TEST_F(trouble, engine_that_has_gone_is_ENODEV)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, 64, 5);
	struct zcdma_completion c;

	softdma_set("hang", 1);
	ASSERT_EQ(0, zcdma_submit(self->session, &op, 1, NULL));
	EXPECT_EQ(0, softdma_unbind());
	EXPECT_EQ(1, zcdma_reap(self->session, &c, 1, -1));
	EXPECT_EQ(-ENODEV, c.res);
	EXPECT_EQ(-ENODEV, result(zcdma_reap(self->session, &c, 1, -1)));
	EXPECT_EQ(POLLHUP | POLLERR, zc_poll(zcdma_fd(self->session), POLLIN, 100));
	EXPECT_EQ(0, softdma_bind());
}

/* ---- streams ---- */

FIXTURE(streams) {
	struct zcdma_session *session;
	char buf[1 << 16];
};

FIXTURE_SETUP(streams)
{
	struct zcdma_attach_port how = { .name = "t-loop", .deadline_ms = 300 };
	struct zcdma_stream_setup setup = { .period_bytes = 64, .ring_bytes = 1024 };

	ASSERT_EQ(0, softdma_rebuild(""));
	ASSERT_EQ(0, port_make("t-loop", 0, 1, ""));
	self->session = zcdma_open(NULL);
	ASSERT_EQ(0, zcdma_attach_port(self->session, &how));
	setup.direction = ZCDMA_TX;
	setup.flags = ZCDMA_STREAM_QUEUED;
	ASSERT_EQ(0, zcdma_stream_setup(self->session, &setup));
	setup.direction = ZCDMA_RX;
	ASSERT_EQ(0, zcdma_stream_setup(self->session, &setup));
	ASSERT_EQ(16, setup.out_periods);
}

FIXTURE_TEARDOWN(streams)
{
	order("");
	zcdma_close(self->session);
	port_drop("t-loop");
}

TEST_F(streams, what_is_written_is_read)
{
	struct zcdma_stream_status status;
	struct zcdma_session *s = self->session;

	sequence_write(self->buf, 0, 640);
	EXPECT_EQ(640, zcdma_stream_write(s, self->buf, 640, 1000));
	EXPECT_EQ(0, zcdma_stream_control(s, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	memset(self->buf, 0, 1024);
	EXPECT_EQ(640, zcdma_stream_read(s, self->buf, 1024, 1000));
	EXPECT_TRUE(sequence_holds(self->buf, 0, 640));
	EXPECT_EQ(-EAGAIN, result(zcdma_stream_read(s, self->buf, 64, 0)));
	EXPECT_EQ(-EAGAIN, result(zcdma_stream_read(s, self->buf, 64, 50)));
	EXPECT_EQ(0, zcdma_stream_status(s, ZCDMA_RX, &status));
	EXPECT_EQ(10, status.out_head);
	EXPECT_EQ(10, status.out_tail);
	EXPECT_EQ(0, zcdma_stream_control(s, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(0, zcdma_stream_read(s, self->buf, 64, -1));
}

TEST_F(streams, loss_is_told_once)
{
	order("READ:EPIPE@1,WRITE:EPIPE@1");
	EXPECT_EQ(-EPIPE, result(zcdma_stream_write(self->session, self->buf, 64, 0)));
	EXPECT_EQ(64, zcdma_stream_write(self->session, self->buf, 64, 0));
	EXPECT_EQ(0, zcdma_stream_control(self->session, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(-EPIPE, result(zcdma_stream_read(self->session, self->buf, 64, 100)));
	EXPECT_EQ(64, zcdma_stream_read(self->session, self->buf, 64, 100));
}

TEST_F(streams, waiting_ends_by_a_signal)
{
	zc_signal_each_ms(50, 0);
	EXPECT_EQ(-EINTR, result(zcdma_stream_read(self->session, self->buf, 64, -1)));
}

TEST_F(streams, ops_of_a_direction_that_streams_are_EBUSY)
{
	EXPECT_EQ(-EBUSY, result(zcdma_send(self->session, self->buf, 64, NULL)));
	EXPECT_EQ(-EBUSY, result(zcdma_recv(self->session, self->buf, 64, NULL)));
}

/* ---- what is known to be wrong ---- */

/* read() of such a session gives bytes of the stream: they are no completions. */
TEST_F(streams, reap_of_a_session_that_receives_is_EBUSY)
{
	struct zcdma_completion c[4];

	ASSERT_EQ(64, zcdma_stream_write(self->session, self->buf, 64, 0));
	ASSERT_EQ(0, zcdma_stream_control(self->session, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(-EBUSY, result(zcdma_reap(self->session, c, 4, 0)));
}

TEST_F(trouble, stream_read_of_a_session_without_one_eats_no_completions)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, 64, 5);
	struct zcdma_completion c;

	ASSERT_EQ(0, zcdma_submit(self->session, &op, 1, NULL));
	EXPECT_GT(0, zcdma_stream_read(self->session, &c, sizeof(c), 0));
	EXPECT_EQ(1, zcdma_reap(self->session, &c, 1, 1000));
}

/* The whole time, however often it is woken. */
TEST_F(streams, read_waits_no_longer_than_it_is_told)
{
	ASSERT_EQ(0, zcdma_stream_control(self->session, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(64, zcdma_stream_write(self->session, self->buf, 64, 0));
	ASSERT_EQ(0, zcdma_stream_control(self->session, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	/* poll() says that there is something, and read() does not: somebody else was faster. */
	order("READ:EAGAIN");
	alarm(3);
	EXPECT_EQ(-EAGAIN, result(zcdma_stream_read(self->session, self->buf, 64, 200)));
}

TEST_F(streams, copy_at_a_port_is_EOPNOTSUPP)
{
	EXPECT_EQ(-EOPNOTSUPP, result(zcdma_copy(self->session, self->buf, self->buf + 64, 64,
						 NULL)));
}

/* Programs with timers and garbage collectors get signals all the time. */
TEST_F(trouble, copy_goes_on_after_a_signal)
{
	softdma_set("delay_us", 200000);
	zc_signal_each_ms(20, SA_RESTART);
	EXPECT_EQ(0, result(zcdma_copy(self->session, self->dst, self->src, SIZE / 4, NULL)));
}

ZC_TEST_MAIN
