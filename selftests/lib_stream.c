// SPDX-License-Identifier: GPL-2.0
/* The library: ports and streams. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include "harness.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma.h"
#include "zcdma_util.h"

#define PERIOD		1024
#define RING		(16 * PERIOD)
#define FIFO		16384
#define PATIENCE	20000

FIXTURE(library) {
	struct zcdma_session *rx, *tx;	/* not attached */
	char *buf;
};

FIXTURE_SETUP(library)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	ASSERT_EQ(0, port_make("t-rx", -1, 1, "width=1"));
	ASSERT_EQ(0, port_make("t-tx", 0, -1, "width=4,data=2,burst=8"));
	self->rx = zcdma_open(NULL);
	self->tx = zcdma_open(NULL);
	ASSERT_TRUE(self->rx && self->tx);
	self->buf = zc_map(16 * RING);
}

FIXTURE_TEARDOWN(library)
{
	zcdma_close(self->rx);
	zcdma_close(self->tx);
	EXPECT_EQ(0, port_drop("t-rx"));
	EXPECT_EQ(0, port_drop("t-tx"));
	EXPECT_EQ(0, softdma_reset());
}

#define WORLD FIXTURE_DATA(library)

/* 0 or what it says, or -errno, to compare at one glance. */
static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

static long attach(struct zcdma_session *session, const char *name, __u32 deadline_ms)
{
	struct zcdma_attach_port how = { .deadline_ms = deadline_ms };

	strcpy(how.name, name);
	return result(zcdma_attach_port(session, &how));
}

static long setup(struct zcdma_session *session, __u32 direction, __u32 flags)
{
	struct zcdma_stream_setup how = {
		.flags = flags, .direction = direction, .period_bytes = PERIOD, .ring_bytes = RING,
	};

	return result(zcdma_stream_setup(session, &how));
}

static __u32 state(const struct zcdma_session *session, __u32 direction)
{
	struct zcdma_stream_status status;

	return zcdma_stream_status(session, direction, &status) ? ~0U : status.out_state;
}

/* ---- ports ---- */

TEST_F(library, walks_the_ports)
{
	struct zcdma_query_port port, same;
	unsigned int i = 0, ours = 0;

	while (!zcdma_query_port(self->rx, i, &port)) {
		EXPECT_EQ(i, port.index);
		ASSERT_EQ(0, zcdma_find_port(self->rx, port.out_name, &same));
		EXPECT_STREQ(port.out_name, same.out_name);
		EXPECT_STREQ(port.out_device, same.out_device);
		EXPECT_EQ(port.out_directions, same.out_directions);
		ours += !strcmp(port.out_name, "t-rx") || !strcmp(port.out_name, "t-tx");
		i++;
	}
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(2, ours);
	EXPECT_EQ(-ENOENT, result(zcdma_query_port(self->rx, ~0U, &port)));
}

TEST_F(library, finds_a_port_by_its_name)
{
	struct zcdma_query_port port;

	memset(&port, 0xff, sizeof(port));
	ASSERT_EQ(0, zcdma_find_port(self->rx, "t-tx", &port));
	EXPECT_STREQ("t-tx", port.out_name);
	EXPECT_EQ(ZCDMA_TX, port.out_directions);
	EXPECT_EQ(4, port.out_width);
	EXPECT_EQ(2, port.out_data);
	EXPECT_EQ(8, port.out_burst);
	EXPECT_EQ(ZCDMA_PORT_FREE, port.out_state);
	EXPECT_EQ(-ENOENT, result(zcdma_find_port(self->rx, "t-none", &port)));
	EXPECT_EQ(-ENOENT, result(zcdma_find_port(self->rx, "", &port)));
	/* Also from a session that has one. */
	ASSERT_EQ(0, attach(self->tx, "t-tx", 0));
	ASSERT_EQ(0, zcdma_find_port(self->tx, "t-tx", &port));
	EXPECT_EQ(ZCDMA_PORT_BUSY, port.out_state);
	EXPECT_EQ(getpid(), port.out_owner);
}

TEST_F(library, attach_port_tells_what_is_wrong)
{
	struct zcdma_attach_port how = { .name = "t-tx" };
	struct zcdma_session *other = zcdma_open(NULL);

	EXPECT_EQ(-ENOENT, attach(self->tx, "t-none", 0));
	ASSERT_EQ(0, zcdma_attach_port(self->tx, &how));
	EXPECT_EQ(ZCDMA_TX, how.out_directions);
	EXPECT_EQ(4, how.out_width);
	EXPECT_TRUE(how.out_tx_caps & ZCDMA_CAP_SLAVE);
	EXPECT_EQ(0, how.out_rx_caps);
	EXPECT_EQ(-EISCONN, attach(self->tx, "t-rx", 0));
	EXPECT_EQ(-EISCONN, result(zcdma_attach(self->tx, NULL)));
	EXPECT_EQ(-EBUSY, attach(other, "t-tx", 0));
	ASSERT_EQ(0, port_make("t-absent", 77, -1, ""));
	EXPECT_EQ(-ENODEV, attach(other, "t-absent", 0));
	EXPECT_EQ(0, port_drop("t-absent"));
	ASSERT_EQ(0, port_make("t-wide", 2, -1, "width=8"));
	EXPECT_EQ(-EOPNOTSUPP, attach(other, "t-wide", 0));
	EXPECT_EQ(0, port_drop("t-wide"));
	zcdma_close(other);
}

TEST_F(library, send_and_receive_tell_what_is_wrong)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_RECV, .len = 64, .dst = zc_ptr(self->buf) };
	struct zcdma_completion c, r = { .res = 1, .done = 1 };

	EXPECT_EQ(-ENOTCONN, result(zcdma_recv(self->rx, self->buf, 64, NULL)));
	ASSERT_EQ(0, attach(self->rx, "t-rx", 300));
	ASSERT_EQ(0, attach(self->tx, "t-tx", 300));
	EXPECT_EQ(-EOPNOTSUPP, result(zcdma_send(self->rx, self->buf, 64, NULL)));
	EXPECT_EQ(-EOPNOTSUPP, result(zcdma_recv(self->tx, self->buf, 64, NULL)));
	EXPECT_EQ(-EINVAL, result(zcdma_send(self->tx, self->buf, 63, NULL)));
	EXPECT_EQ(-EINVAL, result(zcdma_send(self->tx, self->buf + 1, 64, NULL)));
	EXPECT_EQ(-EFAULT, result(zcdma_send(self->tx, NULL, 64, &r)));
	EXPECT_EQ(-EFAULT, r.res);
	EXPECT_EQ(0, r.done);
	EXPECT_EQ(-EMSGSIZE, result(zcdma_send(self->tx, self->buf, 1UL << 31, NULL)));
	/* Ops of zcdma_submit() are outstanding; then not any more. */
	ASSERT_EQ(0, zcdma_submit(self->rx, &op, 1, NULL));
	EXPECT_EQ(-EBUSY, result(zcdma_recv(self->rx, self->buf, 64, NULL)));
	EXPECT_EQ(1, zcdma_reap(self->rx, &c, 1, PATIENCE));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_EQ(-ETIMEDOUT, result(zcdma_recv(self->rx, self->buf, 64, &r)));
	EXPECT_EQ(0, r.done);
	/* A stream goes that way. */
	ASSERT_EQ(0, setup(self->rx, ZCDMA_RX, 0));
	EXPECT_EQ(-EBUSY, result(zcdma_recv(self->rx, self->buf, 64, NULL)));
	ASSERT_EQ(0, setup(self->tx, ZCDMA_TX, 0));
	EXPECT_EQ(-EBUSY, result(zcdma_send(self->tx, self->buf, 64, NULL)));
}

/* One waits for bytes, the other behind it has not begun. */
TEST_F(library, cancel_stops_what_has_begun_at_a_port)
{
	struct zcdma_completion c[2];
	struct zcdma_op ops[2];
	int n = 0, got;

	ASSERT_EQ(0, attach(self->rx, "t-rx", 60000));
	for (int i = 0; i < 2; i++)
		ops[i] = (struct zcdma_op){
			.opcode = ZCDMA_OP_RECV, .dst = zc_ptr(self->buf), .len = 64,
			.user_data = i,
		};
	ASSERT_EQ(0, zcdma_submit(self->rx, ops, 2, NULL));
	zc_sleep_ms(50);
	EXPECT_EQ(1, zcdma_cancel(self->rx, 0));
	EXPECT_EQ(1, zcdma_cancel_all(self->rx));
	for (; n < 2; n += got) {
		got = zcdma_reap(self->rx, c + n, 2 - n, PATIENCE);
		ASSERT_LT(0, got);
	}
	EXPECT_EQ(-ECANCELED, c[0].res);
	EXPECT_EQ(-ECANCELED, c[1].res);
	EXPECT_EQ(1, c[0].user_data + c[1].user_data);
}

/* ---- the form of streams ---- */

TEST_F(library, stream_setup_fills_in_what_it_made)
{
	struct zcdma_stream_setup how = {
		.direction = ZCDMA_RX, .period_bytes = 1000, .ring_bytes = 10999,
	};

	ASSERT_EQ(0, attach(self->rx, "t-rx", 0));
	ASSERT_EQ(0, zcdma_stream_setup(self->rx, &how));
	EXPECT_EQ(10, how.out_periods);
	EXPECT_EQ(10000, how.out_ring_bytes);
}

TEST_F(library, stream_functions_tell_what_is_wrong)
{
	struct zcdma_stream_status status;

	EXPECT_EQ(-ENOTCONN, setup(self->rx, ZCDMA_RX, 0));
	EXPECT_EQ(-ENOTCONN, result(zcdma_stream_control(self->rx, ZCDMA_RX, ZCDMA_STREAM_START)));
	EXPECT_EQ(-ENOTCONN, result(zcdma_stream_status(self->rx, ZCDMA_RX, &status)));
	ASSERT_EQ(0, attach(self->rx, "t-rx", 0));
	EXPECT_EQ(-EOPNOTSUPP, setup(self->rx, ZCDMA_TX, 0));
	EXPECT_EQ(-EINVAL, setup(self->rx, 0, 0));
	EXPECT_EQ(-EINVAL, setup(self->rx, ZCDMA_RX, 2));
	ASSERT_EQ(0, setup(self->rx, ZCDMA_RX, 0));
	EXPECT_EQ(-EEXIST, setup(self->rx, ZCDMA_RX, 0));
	EXPECT_EQ(-EINVAL, result(zcdma_stream_control(self->rx, ZCDMA_RX, 99)));
	EXPECT_EQ(-EBUSY, result(zcdma_stream_control(self->rx, ZCDMA_RX, ZCDMA_STREAM_PAUSE)));
}

TEST_F(library, stream_status_tells_how_it_goes)
{
	struct zcdma_stream_status status;

	memset(&status, 0xff, sizeof(status));
	ASSERT_EQ(0, attach(self->tx, "t-tx", 0));
	ASSERT_EQ(0, setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED));
	ASSERT_EQ(0, zcdma_stream_status(self->tx, ZCDMA_TX, &status));
	EXPECT_EQ(ZCDMA_STREAM_IDLE, status.out_state);
	EXPECT_EQ(0, status.out_head | status.out_tail | status.out_moved | status.out_copied);
	ASSERT_EQ(3 * PERIOD, zcdma_stream_write(self->tx, self->buf, 3 * PERIOD, -1));
	ASSERT_EQ(0, zcdma_stream_status(self->tx, ZCDMA_TX, &status));
	EXPECT_EQ(3, status.out_head);
	EXPECT_EQ(3 * PERIOD, status.out_copied);
	ASSERT_EQ(0, zcdma_stream_control(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	ASSERT_EQ(0, zcdma_stream_status(self->tx, ZCDMA_TX, &status));
	EXPECT_EQ(3 * PERIOD, status.out_moved);
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, status.out_state);
}

/* ---- reading and writing ---- */

TEST_F(library, stream_read_starts_the_stream_and_waits_as_long_as_it_is_told)
{
	__u64 start;

	ASSERT_EQ(0, attach(self->rx, "t-rx", 0));
	ASSERT_EQ(0, setup(self->rx, ZCDMA_RX, 0));
	EXPECT_EQ(ZCDMA_STREAM_IDLE, state(self->rx, ZCDMA_RX));
	EXPECT_EQ(-EAGAIN, result(zcdma_stream_read(self->rx, self->buf, PERIOD, 0)));
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(self->rx, ZCDMA_RX));
	start = zc_now_ms();
	EXPECT_EQ(-EAGAIN, result(zcdma_stream_read(self->rx, self->buf, PERIOD, 300)));
	EXPECT_LE(299, zc_now_ms() - start);
}

static void *write_soon(void *arg)
{
	struct zcdma_session *tx = arg;
	static char bytes[PERIOD];

	zc_sleep_ms(200);
	sequence_write(bytes, 0, PERIOD);
	if (zcdma_stream_write(tx, bytes, PERIOD, -1) != PERIOD ||
	    zcdma_stream_control(tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN))
		return "not written";
	return NULL;
}

TEST_F(library, stream_read_returns_what_came)
{
	pthread_t thread;
	void *failure;

	ASSERT_EQ(0, attach(self->rx, "t-rx", 0));
	ASSERT_EQ(0, attach(self->tx, "t-tx", 0));
	ASSERT_EQ(0, setup(self->rx, ZCDMA_RX, 0));
	ASSERT_EQ(0, setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_soon, self->tx));
	ASSERT_EQ(PERIOD, zcdma_stream_read(self->rx, self->buf, 2 * PERIOD, -1));
	EXPECT_TRUE(sequence_holds(self->buf, 0, PERIOD));
	pthread_join(thread, &failure);
	EXPECT_EQ(NULL, failure);
	/* Stopped, and all was read: that is the end. */
	ASSERT_EQ(0, zcdma_stream_control(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(0, zcdma_stream_read(self->rx, self->buf, PERIOD, -1));
}

TEST_F(library, stream_read_tells_of_a_loss_once)
{
	struct zcdma_stream_status status = { .out_lost = 0 };

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=400000"));
	ASSERT_EQ(0, attach(self->rx, "t-rx", 0));
	ASSERT_EQ(0, setup(self->rx, ZCDMA_RX, 0));
	ASSERT_EQ(0, zcdma_stream_control(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	for (int i = 0; i < 2000 && !status.out_lost; i++) {
		zc_sleep_ms(5);
		ASSERT_EQ(0, zcdma_stream_status(self->rx, ZCDMA_RX, &status));
	}
	ASSERT_EQ(0, zcdma_stream_control(self->rx, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	stream_settled(zcdma_fd(self->rx), ZCDMA_RX);
	EXPECT_EQ(POLLPRI, zc_poll(zcdma_fd(self->rx), POLLPRI, 0));
	EXPECT_EQ(-EPIPE, result(zcdma_stream_read(self->rx, self->buf, PERIOD, 0)));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(PERIOD, result(zcdma_stream_read(self->rx, self->buf, PERIOD, 0)));
}

TEST_F(library, stream_read_tells_that_the_engine_failed_or_is_gone)
{
	long got;

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=400000"));
	ASSERT_EQ(0, attach(self->rx, "t-rx", 0));
	ASSERT_EQ(0, setup(self->rx, ZCDMA_RX, 0));
	ASSERT_EQ(0, softdma_set("fail_nth", 3));
	do {
		got = result(zcdma_stream_read(self->rx, self->buf, PERIOD, PATIENCE));
	} while (got > 0);
	EXPECT_EQ(-EIO, got);
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(-ENODEV, result(zcdma_stream_read(self->rx, self->buf, PERIOD, -1)));
	ASSERT_EQ(0, softdma_bind());
}

TEST_F(library, stream_write_waits_for_room_as_long_as_it_is_told)
{
	long got, all = 0;
	__u64 start;

	ASSERT_EQ(0, attach(self->tx, "t-tx", 0));
	ASSERT_EQ(0, setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED));
	/* Nobody takes what is sent: the FIFO and the ring fill. */
	do {
		got = result(zcdma_stream_write(self->tx, self->buf, 4 * PERIOD, 2000));
		EXPECT_GE(4 * PERIOD, got);
		all += got > 0 ? got : 0;
	} while (got > 0);
	EXPECT_EQ(-EAGAIN, got);
	EXPECT_LE(FIFO + RING - PERIOD, all);
	EXPECT_GE(FIFO + RING + PERIOD, all);
	EXPECT_EQ(-EAGAIN, result(zcdma_stream_write(self->tx, self->buf, PERIOD, 0)));
	start = zc_now_ms();
	EXPECT_EQ(-EAGAIN, result(zcdma_stream_write(self->tx, self->buf, PERIOD, 300)));
	EXPECT_LE(299, zc_now_ms() - start);
	EXPECT_EQ(0, zc_poll(zcdma_fd(self->tx), POLLOUT, 0));
}

TEST_F(library, stream_write_tells_of_an_underrun_of_a_cyclic_ring)
{
	struct zcdma_stream_status status = { .out_lost = 0 };

	ASSERT_EQ(0, softdma_rebuild("rate=200000 fifo=1048576"));
	ASSERT_EQ(0, attach(self->tx, "t-tx", 0));
	ASSERT_EQ(0, setup(self->tx, ZCDMA_TX, 0));
	ASSERT_EQ(PERIOD, zcdma_stream_write(self->tx, self->buf, PERIOD, -1));
	ASSERT_EQ(0, zcdma_stream_control(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	for (int i = 0; i < 2000 && !status.out_lost; i++) {
		zc_sleep_ms(5);
		ASSERT_EQ(0, zcdma_stream_status(self->tx, ZCDMA_TX, &status));
	}
	ASSERT_EQ(0, zcdma_stream_control(self->tx, ZCDMA_TX, ZCDMA_STREAM_PAUSE));
	stream_settled(zcdma_fd(self->tx), ZCDMA_TX);
	EXPECT_EQ(-EPIPE, result(zcdma_stream_write(self->tx, self->buf, PERIOD, -1)));
	EXPECT_EQ(PERIOD, result(zcdma_stream_write(self->tx, self->buf, PERIOD, -1)));
}

TEST_F(library, signal_ends_a_stream_read_and_a_stream_write)
{
	long got;

	ASSERT_EQ(0, attach(self->rx, "t-rx", 0));
	ASSERT_EQ(0, attach(self->tx, "t-tx", 0));
	ASSERT_EQ(0, setup(self->rx, ZCDMA_RX, 0));
	ASSERT_EQ(0, setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED));
	zc_signal_each_ms(200, 0);
	EXPECT_EQ(-EINTR, result(zcdma_stream_read(self->rx, self->buf, PERIOD, -1)));
	ASSERT_EQ(0, zcdma_stream_control(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	do {
		got = result(zcdma_stream_write(self->tx, self->buf, 4 * PERIOD, -1));
	} while (got > 0);
	EXPECT_EQ(-EINTR, got);
}

/* How a stream goes may be asked by any thread, while its own waits in it. */
static void *ask_and_stop(void *arg)
{
	struct zcdma_session *rx = arg;
	struct zcdma_stream_status status;

	for (int i = 0; i < 100; i++) {
		if (zcdma_stream_status(rx, ZCDMA_RX, &status))
			return "no status";
		zc_sleep_ms(2);
	}
	if (status.out_state != ZCDMA_STREAM_RUNNING)
		return "not running";
	if (zcdma_stream_control(rx, ZCDMA_RX, ZCDMA_STREAM_STOP))
		return "not stopped";
	return NULL;
}

TEST_F(library, stream_status_can_be_asked_by_another_thread)
{
	pthread_t thread;
	void *failure;

	ASSERT_EQ(0, attach(self->rx, "t-rx", 0));
	ASSERT_EQ(0, setup(self->rx, ZCDMA_RX, 0));
	ASSERT_EQ(0, zcdma_stream_control(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, pthread_create(&thread, NULL, ask_and_stop, self->rx));
	/* Waits until it is stopped. */
	EXPECT_EQ(0, result(zcdma_stream_read(self->rx, self->buf, PERIOD, PATIENCE)));
	pthread_join(thread, &failure);
	EXPECT_EQ(NULL, failure);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
