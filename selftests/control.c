// SPDX-License-Identifier: GPL-2.0
/*
 * What a stream may be told in which state: start, stop, pause, resume, drain; and what its
 * read(), write() and poll() say when it does not go on. On the software engine's loop-back.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include "harness.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PATIENCE	20000	/* ms */
#define FIFO		16384	/* bytes between sender and receiver */
#define BUF_SIZE	(256UL << 10)

FIXTURE(control) {
	int tx, rx;		/* attached, without a stream */
	char *buf;
};

FIXTURE_SETUP(control)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make_pair());
	self->buf = zc_map(BUF_SIZE);
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, 0));
}

FIXTURE_TEARDOWN(control)
{
	close(self->tx);
	close(self->rx);
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, port_drop_pair(0));
	EXPECT_EQ(0, softdma_reset());
}

static __u32 state(int fd, __u32 direction)
{
	return stream_status(fd, direction).out_state;
}

/* The same port again, at an engine that was built anew. */
static int again(int fd, const char *port, __u32 deadline_ms, const char *engine)
{
	int err;

	close(fd);
	err = softdma_rebuild(engine);
	return err ?: port_open(port, deadline_ms, 0);
}

/* Wait until the sender has moved so many bytes: false if it does not come. */
static bool moved(int fd, __u32 direction, __u64 bytes)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(fd, direction).out_moved < bytes) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* The same for a state. */
static bool comes_to(int fd, __u32 direction, __u32 wanted)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (state(fd, direction) != wanted) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/*
 * Write @bytes to a sender whose device takes no more than the FIFO holds, until they are in and
 * the FIFO is full. A write() that may not wait for long enough is begun again.
 */
static bool fill(int tx, const char *buf, size_t bytes)
{
	__u64 end = zc_now_ms() + PATIENCE;

	for (size_t done = 0; done < bytes; ) {
		long got = stream_write(tx, buf, bytes - done);

		if ((got < 0 && got != -EAGAIN && got != -ETIMEDOUT) || zc_now_ms() > end)
			return false;
		if (got > 0)
			done += got;
		else
			zc_sleep_ms(1);
	}
	return moved(tx, ZCDMA_TX, FIFO);
}

/* ---- the form of the ioctls ---- */

TEST_F(control, reserved_fields_and_unknown_flags_are_refused)
{
	struct zcdma_stream_setup setup = {
		.direction = ZCDMA_RX, .period_bytes = 1024, .ring_bytes = 8192,
	}, bad_setup = setup;
	struct zcdma_stream_control start = {
		.direction = ZCDMA_RX, .action = ZCDMA_STREAM_START,
	}, bad_start = start;
	struct zcdma_stream_status status = { .direction = ZCDMA_RX }, bad_status = status;

	for (int bit = 0; bit < 32; bit++) {
		bad_setup = setup;
		bad_setup.__reserved = 1U << bit;
		EXPECT_EQ(-EINVAL, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_SETUP, &bad_setup));
		bad_setup = setup;
		bad_setup.flags = 1U << bit;
		if (bad_setup.flags != ZCDMA_STREAM_QUEUED)
			EXPECT_EQ(-EINVAL, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_SETUP, &bad_setup));
	}
	EXPECT_EQ(-ENOTCONN, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_STATUS, &status));
	ASSERT_EQ(0, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_SETUP, &setup));
	for (int bit = 0; bit < 32; bit++) {
		bad_start = start;
		bad_start.__reserved = 1U << bit;
		EXPECT_EQ(-EINVAL, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_CONTROL, &bad_start));
		bad_start = start;
		bad_start.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_CONTROL, &bad_start));
		bad_status = status;
		bad_status.__reserved = 1U << bit;
		EXPECT_EQ(-EINVAL, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_STATUS, &bad_status));
		bad_status = status;
		bad_status.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_STATUS, &bad_status));
	}
	EXPECT_EQ(ZCDMA_STREAM_IDLE, state(self->rx, ZCDMA_RX));
}

TEST_F(control, actions_and_directions_that_do_not_exist_are_refused)
{
	static const __u32 actions[] = { 0, 6, 7, ~0U };
	static const __u32 directions[] = { 0, 3, 4, ~0U };
	struct zcdma_stream_status status;

	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 1024, 8192));
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		EXPECT_EQ(-EINVAL, stream_do(self->rx, ZCDMA_RX, actions[i]));
		EXPECT_EQ(-EINVAL, stream_do(self->rx, directions[i], ZCDMA_STREAM_START));
		EXPECT_EQ(-EINVAL, stream_setup(self->rx, directions[i], 0, 1024, 8192));
		status = (struct zcdma_stream_status){ .direction = directions[i] };
		EXPECT_EQ(-EINVAL, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_STATUS, &status));
	}
	EXPECT_EQ(ZCDMA_STREAM_IDLE, state(self->rx, ZCDMA_RX));
}

/* Nobody has a stream that way: neither its other direction nor a channel's session has. */
TEST_F(control, needs_a_stream_that_way)
{
	struct zcdma_stream_status status = { .direction = ZCDMA_TX };
	int copier = zc_session("softdma", 0);

	ASSERT_LE(0, copier);
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 1024, 8192));
	for (__u32 action = ZCDMA_STREAM_START; action <= ZCDMA_STREAM_RESUME; action++) {
		EXPECT_EQ(-ENOTCONN, stream_do(self->rx, ZCDMA_TX, action));
		EXPECT_EQ(-ENOTCONN, stream_do(self->tx, ZCDMA_TX, action));
		EXPECT_EQ(-ENOTCONN, stream_do(copier, ZCDMA_TX, action));
	}
	EXPECT_EQ(-ENOTCONN, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_STATUS, &status));
	EXPECT_EQ(-ENOTCONN, zc_ioctl(copier, ZCDMA_IOC_STREAM_STATUS, &status));
	close(copier);
}

/* ---- sizes ---- */

TEST_F(control, ring_has_as_many_whole_periods_as_fit)
{
	struct zcdma_stream_setup how = {
		.direction = ZCDMA_RX, .period_bytes = 1000, .ring_bytes = 10999,
	};

	ASSERT_EQ(0, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_SETUP, &how));
	EXPECT_EQ(10, how.out_periods);
	EXPECT_EQ(10000, how.out_ring_bytes);
	EXPECT_EQ(ZCDMA_RESIDUE_BURST, how.out_residue);
}

/* A driver whose residue of a cyclic transfer is wrong counts as one that does not tell. */
TEST_F(control, cyclic_ring_does_not_believe_a_residue_that_is_wrong)
{
	struct zcdma_stream_setup how = {
		.direction = ZCDMA_RX, .period_bytes = 1000, .ring_bytes = 10000,
	};

	close(self->tx);
	close(self->rx);
	ASSERT_EQ(0, zc_write_file("/sys/module/zcdma/parameters/drivers", "softdma=vague"));
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, 0));
	ASSERT_EQ(0, zc_ioctl(self->rx, ZCDMA_IOC_STREAM_SETUP, &how));
	EXPECT_EQ(ZCDMA_RESIDUE_DESCRIPTOR, how.out_residue);
	how.flags = ZCDMA_STREAM_QUEUED;
	how.direction = ZCDMA_TX;
	ASSERT_EQ(0, zc_ioctl(self->tx, ZCDMA_IOC_STREAM_SETUP, &how));
	EXPECT_EQ(ZCDMA_RESIDUE_BURST, how.out_residue);
	EXPECT_EQ(0, zc_write_file("/sys/module/zcdma/parameters/drivers", "\n"));
}

/* Each limit of the header, just met and just missed. */
TEST_F(control, limits_of_a_ring_are_those_of_the_header)
{
	__u32 queued = ZCDMA_STREAM_QUEUED;

	EXPECT_EQ(-EINVAL, stream_setup(self->rx, ZCDMA_RX, queued, ZCDMA_STREAM_MIN_PERIOD - 1,
					1024));
	EXPECT_EQ(-EINVAL, stream_setup(self->rx, ZCDMA_RX, queued, ZCDMA_STREAM_MAX_PERIOD + 1,
					4 << 20));
	EXPECT_EQ(-EINVAL, stream_setup(self->rx, ZCDMA_RX, queued, 1024, 2047));
	EXPECT_EQ(-EINVAL, stream_setup(self->rx, ZCDMA_RX, queued, 16,
					16 * (ZCDMA_STREAM_MAX_PERIODS + 1)));
	EXPECT_EQ(-EINVAL, stream_setup(self->rx, ZCDMA_RX, queued, 1 << 20,
					ZCDMA_STREAM_MAX_RING + 1ULL));
	EXPECT_EQ(0, stream_setup(self->rx, ZCDMA_RX, queued, ZCDMA_STREAM_MIN_PERIOD,
				  ZCDMA_STREAM_MIN_PERIOD * ZCDMA_STREAM_MAX_PERIODS));
	if (zc_lacks("long-mapping"))
		return;	/* the longest period fits in no bounce buffer */
	EXPECT_EQ(0, stream_setup(self->tx, ZCDMA_TX, queued, ZCDMA_STREAM_MAX_PERIOD,
				  ZCDMA_STREAM_MAX_PERIOD * ZCDMA_STREAM_MIN_PERIODS));
}

/* An engine that cannot be stopped runs no stream, of neither sort. */
TEST_F(control, stream_needs_an_engine_that_can_be_stopped)
{
	self->rx = again(self->rx, "t-rx", 0, "no_terminate=Y");
	ASSERT_LE(0, self->rx);
	EXPECT_EQ(-EOPNOTSUPP, stream_setup(self->rx, ZCDMA_RX, 0, 1024, 8192));
	EXPECT_EQ(-EOPNOTSUPP, stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1024, 8192));
}

/* ---- states of a receiver ---- */

TEST_F(control, receiver_begins_idle_and_empty)
{
	struct zcdma_stream_status s;

	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 1024, 8192));
	s = stream_status(self->rx, ZCDMA_RX);
	EXPECT_EQ(ZCDMA_STREAM_IDLE, s.out_state);
	EXPECT_EQ(0, s.out_head | s.out_tail | s.out_lost | s.out_moved | s.out_copied);
}

static void pause_and_resume_in_each_state(struct __test_metadata *_metadata, int fd, __u32 flags)
{
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, flags, 1000, 100000));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	EXPECT_EQ(ZCDMA_STREAM_IDLE, state(fd, ZCDMA_RX));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(fd, ZCDMA_RX));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(ZCDMA_STREAM_PAUSED, state(fd, ZCDMA_RX));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(fd, ZCDMA_RX));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, state(fd, ZCDMA_RX));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(fd, ZCDMA_RX));
}

TEST_F(control, pause_and_resume_of_a_cyclic_ring_fit_the_state)
{
	pause_and_resume_in_each_state(_metadata, self->rx, 0);
}

TEST_F(control, pause_and_resume_of_a_queued_ring_fit_the_state)
{
	pause_and_resume_in_each_state(_metadata, self->rx, ZCDMA_STREAM_QUEUED);
}

/* Nothing was missed meanwhile that had a place: the sequence goes on. */
static void goes_on_after_pause(struct __test_metadata *_metadata, int fd, char *buf, __u32 flags)
{
	__u64 at = 0, moved_by_then;

	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, flags, 1000, 200000));
	ASSERT_TRUE(stream_goes_on(fd, buf, 5000, &at));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	moved_by_then = stream_settled(fd, ZCDMA_RX).out_moved;
	zc_sleep_ms(200);	/* 4 periods' time */
	EXPECT_EQ(moved_by_then, stream_status(fd, ZCDMA_RX).out_moved);
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	ASSERT_TRUE(stream_goes_on(fd, buf, moved_by_then + 10000 - at, &at));
	EXPECT_EQ(0, stream_status(fd, ZCDMA_RX).out_lost);
}

TEST_F(control, resume_goes_on_where_pause_left_a_cyclic_ring)
{
	self->rx = again(self->rx, "t-rx", 0, "source=Y rate=20000 fifo=1048576");
	ASSERT_LE(0, self->rx);
	goes_on_after_pause(_metadata, self->rx, self->buf, 0);
}

TEST_F(control, resume_goes_on_where_pause_left_a_queued_ring)
{
	self->rx = again(self->rx, "t-rx", 0, "source=Y rate=20000 fifo=1048576");
	ASSERT_LE(0, self->rx);
	goes_on_after_pause(_metadata, self->rx, self->buf, ZCDMA_STREAM_QUEUED);
}

/* ---- states of a sender ---- */

/* The ring full: so far nobody has started it. The next write() does. */
TEST_F(control, sender_is_started_by_the_write_that_finds_the_ring_full)
{
	for (__u32 flags = 0; flags <= ZCDMA_STREAM_QUEUED; flags++) {
		self->tx = again(self->tx, "t-tx", 0, "");
		ASSERT_LE(0, self->tx);
		ASSERT_EQ(0, fcntl(self->tx, F_SETFL, O_NONBLOCK));
		ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, flags, 1024, 4096));
		EXPECT_EQ(4096, write(self->tx, self->buf, 4096));
		EXPECT_EQ(ZCDMA_STREAM_IDLE, state(self->tx, ZCDMA_TX));
		EXPECT_EQ(0, stream_status(self->tx, ZCDMA_TX).out_moved);
		stream_write(self->tx, self->buf, 1);
		EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(self->tx, ZCDMA_TX));
		EXPECT_TRUE(moved(self->tx, ZCDMA_TX, 4096));
	}
}

TEST_F(control, sender_starts_with_what_was_written_so_far)
{
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 1024, 8192));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 16, 16 * 1024));
	sequence_write(self->buf, 0, 3072);
	ASSERT_EQ(3072, stream_write(self->tx, self->buf, 3072));
	EXPECT_EQ(ZCDMA_STREAM_IDLE, state(self->tx, ZCDMA_TX));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(self->tx, ZCDMA_TX));
	memset(self->buf, 0, 3072);
	ASSERT_EQ(3072, stream_read(self->rx, self->buf, 3072));
	EXPECT_TRUE(sequence_holds(self->buf, 0, 3072));
}

TEST_F(control, drain_of_an_empty_or_stopped_sender_has_nothing_to_do)
{
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 1024, 8192));
	EXPECT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(ZCDMA_STREAM_IDLE, state(self->tx, ZCDMA_TX));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, state(self->tx, ZCDMA_TX));
}

TEST_F(control, drain_of_a_paused_sender_is_refused)
{
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 16 * 4096));
	ASSERT_EQ(8 * 4096, stream_write(self->tx, self->buf, 8 * 4096));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	ASSERT_TRUE(moved(self->tx, ZCDMA_TX, FIFO));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(-EBUSY, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(ZCDMA_STREAM_PAUSED, state(self->tx, ZCDMA_TX));
	/* Once it goes on it can be drained, if somebody takes what it sends. */
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_RESUME));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 4096, 32 * 4096));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(8 * 4096, stream_status(self->tx, ZCDMA_TX).out_moved);
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, state(self->tx, ZCDMA_TX));
}

/* The FIFO is full, and the rest is dropped: behind those bytes comes what is written next. */
TEST_F(control, stop_of_a_sender_drops_what_it_had_left)
{
	enum { NEXT = 96 };
	const struct pattern fresh = { 'f', 1 };

	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 16 * 4096));
	sequence_write(self->buf, 0, 12 * 4096);
	ASSERT_EQ(12 * 4096, stream_write(self->tx, self->buf, 12 * 4096));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	ASSERT_TRUE(moved(self->tx, ZCDMA_TX, FIFO));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, state(self->tx, ZCDMA_TX));

	pattern_write(fresh, self->buf, 0, NEXT);
	ASSERT_EQ(NEXT, stream_write(self->tx, self->buf, NEXT));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 16, 16 * 4096));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	ASSERT_EQ(FIFO + NEXT, stream_read(self->rx, self->buf, FIFO + NEXT));
	EXPECT_TRUE(sequence_holds(self->buf, 0, FIFO));
	EXPECT_TRUE(pattern_holds(fresh, self->buf + FIFO, 0, NEXT));
}

/* A period of 1,024 bytes of which 100 were written: 924 zeros follow them. */
TEST_F(control, drain_of_a_cyclic_ring_fills_the_last_period_with_zeros)
{
	enum { LEN = 3 * 1024 + 100 };

	memset(self->buf, 0xee, BUF_SIZE);
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 16, 16 * 4096));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, 0, 1024, 4 * 1024));
	/* What was in all periods before, and never sent, is not sent now. */
	ASSERT_EQ(LEN + 400, stream_write(self->tx, self->buf, LEN + 400));
	ASSERT_EQ(ZCDMA_STREAM_IDLE, state(self->tx, ZCDMA_TX));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_STOP));
	sequence_write(self->buf, 0, LEN);
	ASSERT_EQ(LEN, stream_write(self->tx, self->buf, LEN));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, state(self->tx, ZCDMA_TX));
	memset(self->buf, 0xee, BUF_SIZE);
	ASSERT_EQ(4 * 1024, stream_read(self->rx, self->buf, 4 * 1024));
	EXPECT_TRUE(sequence_holds(self->buf, 0, LEN));
	EXPECT_TRUE(filled_with(0, self->buf + LEN, 4 * 1024 - LEN));
}

/* A queued ring sends what was written and not a byte more: what is written next follows. */
TEST_F(control, drain_of_a_queued_ring_sends_a_short_last_period)
{
	enum { LEN = 1024 + 128, NEXT = 96 };
	const struct pattern fresh = { 'f', 1 };

	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 16, 16 * 4096));
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 1024, 8 * 1024));
	memset(self->buf, 0xee, 8 * 1024);
	sequence_write(self->buf, 0, LEN);
	ASSERT_EQ(LEN, stream_write(self->tx, self->buf, LEN));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(LEN, stream_status(self->tx, ZCDMA_TX).out_moved);
	pattern_write(fresh, self->buf, 0, NEXT);
	ASSERT_EQ(NEXT, stream_write(self->tx, self->buf, NEXT));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	/* The engine of the receiver takes all that was sent, and then there is nothing. */
	ASSERT_TRUE(moved(self->rx, ZCDMA_RX, LEN + NEXT));
	ASSERT_TRUE(softdma_thread_is_in(1, SOFTDMA_AT_DEVICE));
	EXPECT_EQ(LEN + NEXT, stream_status(self->rx, ZCDMA_RX).out_moved);
	ASSERT_EQ(LEN + NEXT, stream_read(self->rx, self->buf, LEN + NEXT));
	EXPECT_TRUE(sequence_holds(self->buf, 0, LEN));
	EXPECT_TRUE(pattern_holds(fresh, self->buf + LEN, 0, NEXT));
}

/* The device takes nothing: within the deadline, no period. */
TEST_F(control, drain_times_out_when_no_period_is_taken)
{
	__u64 start;

	self->tx = again(self->tx, "t-tx", 400, "");
	ASSERT_LE(0, self->tx);
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 16 * 4096));
	ASSERT_EQ(8 * 4096, stream_write(self->tx, self->buf, 8 * 4096));
	/* What the FIFO takes is there before. */
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	ASSERT_TRUE(moved(self->tx, ZCDMA_TX, FIFO));
	start = zc_now_ms();
	EXPECT_EQ(-ETIMEDOUT, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_LE(399, zc_now_ms() - start);
	EXPECT_EQ(FIFO, stream_status(self->tx, ZCDMA_TX).out_moved);
}

static void *drain(void *fd)
{
	return (void *)(long)stream_do(*(int *)fd, ZCDMA_TX, ZCDMA_STREAM_DRAIN);
}

/* The FIFO is full and a thread waits in DRAIN, until somebody takes what is sent. */
TEST_F(control, draining_is_a_state_as_long_as_it_lasts)
{
	pthread_t thread;
	void *err;

	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 16 * 4096));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 4096, 32 * 4096));
	ASSERT_EQ(8 * 4096, stream_write(self->tx, self->buf, 8 * 4096));
	ASSERT_EQ(0, pthread_create(&thread, NULL, drain, &self->tx));
	EXPECT_TRUE(moved(self->tx, ZCDMA_TX, FIFO));
	EXPECT_TRUE(comes_to(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAINING));
	EXPECT_EQ(-EBUSY, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	EXPECT_EQ(-EBUSY, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_RESUME));
	EXPECT_EQ(-EBUSY, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_PAUSE));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	pthread_join(thread, &err);
	EXPECT_EQ(NULL, err);
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, state(self->tx, ZCDMA_TX));
	EXPECT_EQ(8 * 4096, stream_status(self->tx, ZCDMA_TX).out_moved);
}

/* ---- a stream that has failed ---- */

/*
 * The engine takes nothing as long as the ring: the stream is not started, and says so. START waits
 * for that no longer than half a second, which may be over on a guest that got no CPU.
 */
TEST_F(control, start_that_the_engine_refuses_is_EIO)
{
	__u64 start;
	int err;

	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 1024, 8192));
	ASSERT_EQ(0, softdma_set("max_len", 512));
	start = zc_now_ms();
	err = stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START);
	EXPECT_TRUE(err == -EIO || (!err && zc_lacks("counted") && zc_now_ms() - start >= 490));
	EXPECT_TRUE(comes_to(self->rx, ZCDMA_RX, ZCDMA_STREAM_FAILED));
	EXPECT_EQ(-EIO, stream_read(self->rx, self->buf, 1024));
	/* Once it takes that it can be started after all. */
	ASSERT_EQ(0, softdma_set("max_len", ~0U));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(self->rx, ZCDMA_RX));
}

static void fails(struct __test_metadata *_metadata, int fd, char *buf, __u32 flags)
{
	long got;

	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, flags, 1000, 100000));
	ASSERT_EQ(0, softdma_set("fail_nth", 4));
	while ((got = stream_read(fd, buf, 1000)) > 0)
		;
	EXPECT_EQ(-EIO, got);
	EXPECT_EQ(ZCDMA_STREAM_FAILED, state(fd, ZCDMA_RX));
	/* read() has something to say, and says it each time. */
	EXPECT_EQ(POLLIN, zc_poll(fd, POLLIN, 0) & POLLIN);
	EXPECT_EQ(-EIO, stream_read(fd, buf, 1000));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	EXPECT_EQ(ZCDMA_STREAM_FAILED, state(fd, ZCDMA_RX));
	/* Stopped by request it can be started anew. */
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, state(fd, ZCDMA_RX));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(1000, stream_read(fd, buf, 1000));
}

TEST_F(control, failed_cyclic_receiver_can_be_stopped_and_started)
{
	self->rx = again(self->rx, "t-rx", 0, "source=Y rate=20000");
	ASSERT_LE(0, self->rx);
	fails(_metadata, self->rx, self->buf, 0);
}

TEST_F(control, failed_queued_receiver_can_be_stopped_and_started)
{
	self->rx = again(self->rx, "t-rx", 0, "source=Y rate=20000");
	ASSERT_LE(0, self->rx);
	fails(_metadata, self->rx, self->buf, ZCDMA_STREAM_QUEUED);
}

TEST_F(control, failed_sender_tells_write_and_poll)
{
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 1024, 8 * 1024));
	ASSERT_EQ(0, softdma_set("fail_nth", 1));
	ASSERT_EQ(1024, stream_write(self->tx, self->buf, 1024));
	EXPECT_EQ(-EIO, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(ZCDMA_STREAM_FAILED, state(self->tx, ZCDMA_TX));
	EXPECT_EQ(POLLOUT, zc_poll(self->tx, POLLOUT, 0) & POLLOUT);
	EXPECT_EQ(-EIO, stream_write(self->tx, self->buf, 1024));
	EXPECT_EQ(-EIO, stream_write(self->tx, self->buf, 1));
	EXPECT_EQ(-EBUSY, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
}

/* ---- write() that waits ---- */

TEST_F(control, write_times_out_when_the_device_takes_nothing)
{
	__u64 start;

	self->tx = again(self->tx, "t-tx", 400, "");
	ASSERT_LE(0, self->tx);
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 4 * 4096));
	/* Of more than there is room for write() takes what fits, within its time. */
	ASSERT_TRUE(fill(self->tx, self->buf, FIFO + 3 * 4096));
	EXPECT_EQ(4096, write(self->tx, self->buf, 3 * 4096));
	start = zc_now_ms();
	EXPECT_EQ(-ETIMEDOUT, stream_write(self->tx, self->buf, 4096));
	EXPECT_LE(399, zc_now_ms() - start);
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(self->tx, ZCDMA_TX));
}

TEST_F(control, write_does_not_wait_if_told_not_to)
{
	close(self->tx);
	self->tx = port_open("t-tx", 0, O_NONBLOCK);
	ASSERT_LE(0, self->tx);
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 4 * 4096));
	ASSERT_TRUE(fill(self->tx, self->buf, FIFO + 4 * 4096));
	EXPECT_EQ(-EAGAIN, stream_write(self->tx, self->buf, 4096));
	EXPECT_EQ(0, zc_poll(self->tx, POLLOUT, 50));
}

TEST_F(control, signal_ends_a_read_and_a_write_that_wait)
{
	long got;

	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 4 * 4096));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 4096, 4 * 4096));
	zc_signal_each_ms(200, 0);
	EXPECT_EQ(-EINTR, stream_read(self->rx, self->buf, 4096));
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(self->rx, ZCDMA_RX));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	do {
		got = stream_write(self->tx, self->buf, 4096);
	} while (got > 0);
	EXPECT_EQ(-EINTR, got);
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, state(self->tx, ZCDMA_TX));
}

/* The engine leaves while the ring is full: write() says so, and poll() that it does. */
TEST_F(control, write_tells_that_the_engine_is_gone)
{
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 4 * 4096));
	ASSERT_EQ(4096, stream_write(self->tx, self->buf, 4096));
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(ZCDMA_STREAM_GONE, state(self->tx, ZCDMA_TX));
	EXPECT_EQ(POLLOUT, zc_poll(self->tx, POLLOUT, 0) & POLLOUT);
	EXPECT_EQ(-ENODEV, stream_write(self->tx, self->buf, 4096));
	EXPECT_EQ(-ENODEV, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(-ENODEV, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, softdma_bind());
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
