// SPDX-License-Identifier: GPL-2.0
/*
 * Where a stream goes on after a loss. Time stands still for that: the engine is paused when it
 * has happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PERIOD	1024U
#define PERIODS	16U
#define RING	(PERIOD * PERIODS)

FIXTURE(loss) {
	int fd;
	int peer;			/* what the receiver is sent from, or -1 */
	char *buf;
};

FIXTURE_SETUP(loss)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make_pair());
	self->buf = zc_map(16 * RING);
	self->fd = -1;
	self->peer = -1;
}

FIXTURE_TEARDOWN(loss)
{
	close(self->fd);
	close(self->peer);
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, port_drop_pair(0));
	EXPECT_EQ(0, softdma_reset());
}

#define WORLD FIXTURE_DATA(loss)

/* To the receiver, which runs: @count periods of the sequence from period @first on. */
static void send_periods(struct __test_metadata *_metadata, WORLD *self, __u64 first, __u64 count)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->buf), .len = count * PERIOD,
	};

	sequence_write(self->buf, first * PERIOD, count * PERIOD);
	ASSERT_EQ(0, zc_do(self->peer, op));
	for (int i = 0; i < 4000 && stream_status(self->fd, ZCDMA_RX).out_head < first + count; i++)
		zc_sleep_ms(5);
}

#define SENT	(2 * PERIODS + 5)

/*
 * A receiver that has lost some, and is paused now. It gets what it is sent and no more, so
 * nobody is late however slow the machine is.
 */
static void lose_and_pause(struct __test_metadata *_metadata, WORLD *self, __u32 flags)
{
	struct zcdma_stream_status s;

	ASSERT_EQ(0, softdma_rebuild(""));
	self->fd = port_open("t-rx", 0, 0);
	self->peer = port_open("t-tx", 0, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->peer);
	ASSERT_EQ(0, stream_setup(self->fd, ZCDMA_RX, flags, PERIOD, RING));
	ASSERT_EQ(0, stream_do(self->fd, ZCDMA_RX, ZCDMA_STREAM_START));
	send_periods(_metadata, self, 0, SENT);
	ASSERT_EQ(0, stream_do(self->fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	s = stream_settled(self->fd, ZCDMA_RX);
	ASSERT_EQ(SENT, s.out_head);
	ASSERT_LE(SENT - PERIODS, s.out_lost);
}

/*
 * Told once; then from the oldest period on that is intact and has half of the ring to the
 * engine. What is skipped for that counts as lost, all that follows is there.
 */
static void goes_on_half_a_ring_ahead(struct __test_metadata *_metadata, WORLD *self, __u32 flags)
{
	struct zcdma_stream_status s;
	__u64 at, more = 0;

	lose_and_pause(_metadata, self, flags);
	EXPECT_EQ(POLLIN | POLLPRI, zc_poll(self->fd, POLLIN | POLLPRI, 0));
	EXPECT_EQ(-EPIPE, stream_read(self->fd, self->buf, PERIOD));
	EXPECT_EQ(POLLIN, zc_poll(self->fd, POLLIN | POLLPRI, 0));
	s = stream_status(self->fd, ZCDMA_RX);
	EXPECT_EQ(PERIODS / 2, s.out_head - s.out_tail);
	EXPECT_EQ(s.out_tail, s.out_lost);	/* nothing was read before */
	/*
	 * Into a cyclic ring another half fits, less the period that the engine is at. Of a queued
	 * one the engine has the other half already.
	 */
	if (!(flags & ZCDMA_STREAM_QUEUED)) {
		more = PERIODS / 2 - 1;
		ASSERT_EQ(0, stream_do(self->fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
		send_periods(_metadata, self, SENT, more);
	}
	at = s.out_tail * PERIOD;
	EXPECT_TRUE(stream_goes_on(self->fd, self->buf, (PERIODS / 2 + more) * PERIOD, &at));
	EXPECT_EQ(s.out_lost, stream_status(self->fd, ZCDMA_RX).out_lost);
}

TEST_F(loss, reader_of_a_cyclic_ring_goes_on_half_a_ring_ahead)
{
	goes_on_half_a_ring_ahead(_metadata, self, 0);
}

TEST_F(loss, reader_of_a_queued_ring_goes_on_half_a_ring_ahead)
{
	goes_on_half_a_ring_ahead(_metadata, self, ZCDMA_STREAM_QUEUED);
}

/* A ring more is sent behind period @first, and is lost, or what was there before is. */
static void lose_a_ring(struct __test_metadata *_metadata, WORLD *self, __u64 first)
{
	__u64 lost = stream_status(self->fd, ZCDMA_RX).out_lost;
	struct zcdma_stream_status s;

	ASSERT_EQ(0, stream_do(self->fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	send_periods(_metadata, self, first, PERIODS);
	ASSERT_EQ(0, stream_do(self->fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	s = stream_settled(self->fd, ZCDMA_RX);
	ASSERT_EQ(first + PERIODS, s.out_head);
	EXPECT_LT(lost, s.out_lost);
}

/* The next period of the sequence, where *@at is now, or a later one. Return: what is missing. */
static __u64 read_period(struct __test_metadata *_metadata, WORLD *self, __u64 *at)
{
	__u64 missing;
	__u32 word;

	ASSERT_EQ(PERIOD, stream_read(self->fd, self->buf, PERIOD));
	memcpy(&word, self->buf, 4);
	missing = word * 4ULL - *at;
	*at = word * 4ULL + PERIOD;
	EXPECT_TRUE(sequence_holds(self->buf, *at - PERIOD, PERIOD));
	EXPECT_EQ(0, missing % PERIOD);
	return missing / PERIOD;
}

/*
 * A reader who does not read is told once, however many periods are lost meanwhile: here, each
 * time, at least twice some. All of them are counted.
 */
TEST_F(loss, is_told_once_and_then_counted_in_all)
{
	__u64 at = 0, missing = 0;

	lose_and_pause(_metadata, self, 0);
	for (int i = 0; i < 3; i++) {
		if (i)
			lose_a_ring(_metadata, self, SENT + (2 * i - 1) * PERIODS);
		EXPECT_EQ(POLLIN | POLLPRI, zc_poll(self->fd, POLLIN | POLLPRI, 0));
		lose_a_ring(_metadata, self, SENT + 2 * i * PERIODS);
		EXPECT_EQ(POLLIN | POLLPRI, zc_poll(self->fd, POLLIN | POLLPRI, 0));
		EXPECT_EQ(-EPIPE, stream_read(self->fd, self->buf, PERIOD));
		missing += read_period(_metadata, self, &at);
		for (int n = 0; n < 2; n++)
			EXPECT_EQ(0, read_period(_metadata, self, &at));
		EXPECT_EQ(missing, stream_status(self->fd, ZCDMA_RX).out_lost);
	}
}

/* Who takes periods from the mapped ring sees the loss there, and goes on: poll() is not woken. */
TEST_F(loss, is_known_to_who_takes_periods_from_the_mapped_ring)
{
	struct zcdma_ring *ctl;

	lose_and_pause(_metadata, self, 0);
	ctl = stream_map_control(self->fd, ZCDMA_RX);
	ASSERT_NE(NULL, ctl);
	EXPECT_EQ(POLLIN | POLLPRI, zc_poll(self->fd, POLLIN | POLLPRI, 0));
	__atomic_store_n(&ctl->tail, ctl->oldest - 1, __ATOMIC_RELEASE);
	EXPECT_EQ(POLLIN | POLLPRI, zc_poll(self->fd, POLLIN | POLLPRI, 0));
	__atomic_store_n(&ctl->tail, ctl->oldest, __ATOMIC_RELEASE);
	EXPECT_EQ(POLLIN, zc_poll(self->fd, POLLIN | POLLPRI, 0));
	__atomic_store_n(&ctl->tail, ctl->head, __ATOMIC_RELEASE);
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN | POLLPRI, 0));
	munmap(ctl, sizeof(*ctl));
}

/*
 * A cyclic sender without a writer: each period that goes out as zeros is counted, and after
 * it was told a write() is a period ahead of the one that the engine is at.
 */
TEST_F(loss, writer_of_a_cyclic_ring_goes_on_ahead_of_the_engine)
{
	struct zcdma_stream_status s;

	ASSERT_EQ(0, softdma_rebuild("rate=100000 fifo=1048576"));
	self->fd = port_open("t-tx", 0, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, stream_setup(self->fd, ZCDMA_TX, 0, PERIOD, RING));
	ASSERT_EQ(2 * PERIOD, stream_write(self->fd, self->buf, 2 * PERIOD));
	ASSERT_EQ(0, stream_do(self->fd, ZCDMA_TX, ZCDMA_STREAM_START));
	for (int i = 0; i < 2000 && stream_status(self->fd, ZCDMA_TX).out_lost < 3; i++)
		zc_sleep_ms(5);
	ASSERT_EQ(0, stream_do(self->fd, ZCDMA_TX, ZCDMA_STREAM_PAUSE));
	stream_settled(self->fd, ZCDMA_TX);
	EXPECT_EQ(POLLOUT | POLLPRI, zc_poll(self->fd, POLLOUT | POLLPRI, 0));
	EXPECT_EQ(-EPIPE, stream_write(self->fd, self->buf, PERIOD));
	EXPECT_EQ(POLLOUT, zc_poll(self->fd, POLLOUT | POLLPRI, 0));
	s = stream_status(self->fd, ZCDMA_TX);
	/* The engine is at period "tail", or at the one behind it if a callback is late. */
	EXPECT_LE(s.out_tail + 2, s.out_head);
	EXPECT_GE(s.out_tail + 3, s.out_head);
	ASSERT_EQ(PERIOD, stream_write(self->fd, self->buf, PERIOD));
	EXPECT_EQ(s.out_lost, stream_status(self->fd, ZCDMA_TX).out_lost);
}

/* A queued sender that gets nothing makes a gap: counted, and neither noise nor an error. */
TEST_F(loss, queued_sender_that_gets_nothing_makes_a_gap)
{
	int rx;

	ASSERT_EQ(0, softdma_rebuild(""));
	self->fd = port_open("t-tx", 0, 0);
	rx = port_open("t-rx", 0, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(self->fd, ZCDMA_TX, ZCDMA_STREAM_QUEUED, PERIOD, RING));
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, 16, 4096 * 16));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	sequence_write(self->buf, 0, 3 * PERIOD);
	ASSERT_EQ(0, stream_do(self->fd, ZCDMA_TX, ZCDMA_STREAM_START));
	for (__u64 n = 0; n < 3; n++) {
		ASSERT_EQ(PERIOD, stream_write(self->fd, self->buf + n * PERIOD, PERIOD));
		for (int i = 0; i < 2000 &&
		     stream_status(self->fd, ZCDMA_TX).out_moved < (n + 1) * PERIOD; i++)
			zc_sleep_ms(5);
		EXPECT_EQ(n + 1, stream_status(self->fd, ZCDMA_TX).out_lost);
		EXPECT_EQ(0, zc_poll(self->fd, POLLPRI, 0));
	}
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, stream_status(self->fd, ZCDMA_TX).out_state);
	EXPECT_EQ(3 * PERIOD, stream_status(self->fd, ZCDMA_TX).out_moved);
	ASSERT_EQ(3 * PERIOD, stream_read(rx, self->buf, 3 * PERIOD));
	EXPECT_TRUE(sequence_holds(self->buf, 0, 3 * PERIOD));
	close(rx);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
