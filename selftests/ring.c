// SPDX-License-Identifier: GPL-2.0
/*
 * A ring of periods that a program has mapped: what may be mapped, what the kernel believes of
 * what the program writes there, how long the pages last; and to whom a ring is charged.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "harness.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define PERIOD		1024U
#define PERIODS		32U
#define RING		(PERIOD * PERIODS)

FIXTURE(ring) {
	int rx, tx;		/* attached, without a stream */
	struct zcdma_ring *ctl;
	char *ring, *buf;
};

FIXTURE_SETUP(ring)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make_pair());
	self->buf = zc_map(4 * RING);
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, 0));
}

FIXTURE_TEARDOWN(ring)
{
	/* A mapping keeps the session, and that the port. */
	if (self->ring)
		munmap(self->ring, RING);
	if (self->ctl)
		munmap(self->ctl, PAGE);
	close(self->rx);
	close(self->tx);
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, port_drop_pair(0));
	EXPECT_EQ(0, softdma_reset());
}

#define WORLD FIXTURE_DATA(ring)

/* A cyclic receiver, mapped. */
static void map_receiver(struct __test_metadata *_metadata, WORLD *self)
{
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, PERIOD, RING));
	self->ctl = stream_map_control(self->rx, ZCDMA_RX);
	self->ring = stream_map_ring(self->rx, ZCDMA_RX, RING);
	ASSERT_NE(NULL, self->ctl);
	ASSERT_NE(NULL, self->ring);
}

/* A cyclic sender, mapped, and a receiver that takes what it sends. */
static void map_sender(struct __test_metadata *_metadata, WORLD *self)
{
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, 0, PERIOD, RING));
	self->ctl = stream_map_control(self->tx, ZCDMA_TX);
	self->ring = stream_map_ring(self->tx, ZCDMA_TX, RING);
	ASSERT_NE(NULL, self->ctl);
	ASSERT_NE(NULL, self->ring);
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 16, 4096 * 16));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
}

/* From the other port, to the receiver: @count periods of the sequence, from period @first on. */
static void send_periods(struct __test_metadata *_metadata, WORLD *self, __u64 first, __u64 count)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->buf), .len = count * PERIOD,
	};

	ASSERT_LE(count, 4 * PERIODS);
	sequence_write(self->buf, first * PERIOD, count * PERIOD);
	ASSERT_EQ(0, zc_do(self->tx, op));
}

/* A receiver that got just so many periods and is paused: nothing moves, and nobody is late. */
static void fill_and_pause(struct __test_metadata *_metadata, WORLD *self, __u64 periods)
{
	map_receiver(_metadata, self);
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	send_periods(_metadata, self, 0, periods);
	for (int i = 0; i < 2000 && stream_status(self->rx, ZCDMA_RX).out_head < periods; i++)
		zc_sleep_ms(5);
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	ASSERT_EQ(periods, stream_settled(self->rx, ZCDMA_RX).out_head);
}

static struct zcdma_stream_status rx_status(WORLD *self)
{
	return stream_status(self->rx, ZCDMA_RX);
}

/* ---- what may be mapped ---- */

TEST_F(ring, that_is_queued_cannot_be_mapped)
{
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, PERIOD, RING));
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, PERIOD, RING));
	errno = 0;
	EXPECT_EQ(NULL, stream_map_ring(self->rx, ZCDMA_RX, PAGE));
	EXPECT_EQ(ENODEV, errno);
	errno = 0;
	EXPECT_EQ(NULL, stream_map_control(self->rx, ZCDMA_RX));
	EXPECT_EQ(ENODEV, errno);
	errno = 0;
	EXPECT_EQ(NULL, stream_map_ring(self->tx, ZCDMA_TX, PAGE));
	EXPECT_EQ(ENODEV, errno);
	errno = 0;
	EXPECT_EQ(NULL, stream_map_control(self->tx, ZCDMA_TX));
	EXPECT_EQ(ENODEV, errno);
}

/* A place that is none of the four, too much of one, or not shared. */
TEST_F(ring, is_mapped_at_its_offsets_alone)
{
	static const unsigned long others[] = {
		PAGE, 0x08000000, ZCDMA_MMAP_RX_RING - PAGE, ZCDMA_MMAP_RX_RING + PAGE,
		ZCDMA_MMAP_TX_CONTROL - PAGE,
	};

	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, PERIOD, RING));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		errno = 0;
		EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->rx, others[i]));
		EXPECT_EQ(EINVAL, errno) {
			TH_LOG("offset %#lx", others[i]);
		}
	}
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, self->rx,
				   ZCDMA_MMAP_RX_CONTROL));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, self->rx,
				   ZCDMA_MMAP_RX_CONTROL));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(NULL, stream_map_control(self->rx, ZCDMA_TX));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(ring, control_page_tells_what_the_status_tells)
{
	struct zcdma_stream_status s;

	fill_and_pause(_metadata, self, PERIODS + 5);
	s = rx_status(self);
	EXPECT_EQ(PERIOD, self->ctl->period_bytes);
	EXPECT_EQ(PERIODS, self->ctl->periods);
	EXPECT_EQ(ZCDMA_STREAM_PAUSED, self->ctl->state);
	EXPECT_EQ(s.out_head, self->ctl->head);
	EXPECT_EQ(s.out_lost, self->ctl->lost);
	EXPECT_EQ(s.out_tail, self->ctl->oldest);
	EXPECT_LT(0, s.out_lost);
	EXPECT_EQ(s.out_head * PERIOD, s.out_moved);
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, self->ctl->state);
}

/* Period N at (N % periods) * period_bytes: each that is not overwritten is the Nth sent. */
TEST_F(ring, has_each_period_at_its_place)
{
	fill_and_pause(_metadata, self, 2 * PERIODS);
	ASSERT_GE(PERIODS, self->ctl->head - self->ctl->oldest);
	ASSERT_LT(0, self->ctl->head - self->ctl->oldest);
	for (__u64 n = self->ctl->oldest; n < self->ctl->head; n++)
		EXPECT_TRUE(sequence_holds(self->ring + n % PERIODS * PERIOD, n * PERIOD, PERIOD));
}

/* ---- what the kernel believes ---- */

/* Numbers of a receiver that cannot be: before what was taken, and behind what came. */
TEST_F(ring, impossible_tail_is_ignored)
{
	__u64 at = 0;

	fill_and_pause(_metadata, self, 10);
	ASSERT_EQ(0, rx_status(self).out_lost);
	/* One that can be is believed: four periods are taken. */
	__atomic_store_n(&self->ctl->tail, 4, __ATOMIC_RELEASE);
	zc_poll(self->rx, POLLIN, 0);
	ASSERT_EQ(4, rx_status(self).out_tail);
	for (int i = 0; i < 5; i++) {
		const __u64 wrong[] = { 3, 0, self->ctl->head + 1, 1ULL << 63, ~0ULL };

		__atomic_store_n(&self->ctl->tail, wrong[i], __ATOMIC_RELEASE);
		EXPECT_EQ(POLLIN, zc_poll(self->rx, POLLIN, 0));
		EXPECT_EQ(4, rx_status(self).out_tail) {
			TH_LOG("a tail of %llu", (unsigned long long)wrong[i]);
		}
	}
	/* read() goes on behind what was taken. */
	at = 4 * PERIOD;
	EXPECT_TRUE(stream_goes_on(self->rx, self->buf, PERIOD, &at));
	EXPECT_EQ(0, rx_status(self).out_lost);
}

/* What else is in the page is the kernel's: whatever is written there, it knows better. */
TEST_F(ring, fields_of_the_kernel_are_not_believed)
{
	__u64 at = 0;

	fill_and_pause(_metadata, self, 10);
	self->ctl->head = 2;
	self->ctl->oldest = 1ULL << 40;
	self->ctl->lost = 7;
	self->ctl->state = ZCDMA_STREAM_GONE;
	self->ctl->period_bytes = 1;
	self->ctl->periods = 1 << 30;
	EXPECT_EQ(10, rx_status(self).out_head);
	EXPECT_EQ(0, rx_status(self).out_lost);
	EXPECT_EQ(ZCDMA_STREAM_PAUSED, rx_status(self).out_state);
	EXPECT_TRUE(stream_goes_on(self->rx, self->buf, 3 * PERIOD, &at));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	send_periods(_metadata, self, 10, 3);
	EXPECT_TRUE(stream_goes_on(self->rx, self->buf, 10 * PERIOD, &at));
}

/* More than a ring ahead, or back, or nonsense: as if the sender had written nothing. */
TEST_F(ring, impossible_head_is_ignored)
{
	static const __u64 wrong[] = { PERIODS + 1, PERIODS + 1000, 1ULL << 63, ~0ULL };

	map_sender(_metadata, self);
	sequence_write(self->ring, 0, RING);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		__atomic_store_n(&self->ctl->head, wrong[i], __ATOMIC_RELEASE);
		zc_poll(self->tx, POLLOUT, 0);
		ASSERT_EQ(0, stream_status(self->tx, ZCDMA_TX).out_head) {
			TH_LOG("a head of %llu", (unsigned long long)wrong[i]);
		}
	}
	/* So there is nothing to be sent. */
	EXPECT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(ZCDMA_STREAM_IDLE, stream_status(self->tx, ZCDMA_TX).out_state);
	/* The whole ring is just possible. */
	__atomic_store_n(&self->ctl->head, PERIODS, __ATOMIC_RELEASE);
	zc_poll(self->tx, POLLOUT, 0);
	EXPECT_EQ(PERIODS, stream_status(self->tx, ZCDMA_TX).out_head);
	__atomic_store_n(&self->ctl->head, 3, __ATOMIC_RELEASE);
	zc_poll(self->tx, POLLOUT, 0);
	EXPECT_EQ(PERIODS, stream_status(self->tx, ZCDMA_TX).out_head);
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	ASSERT_EQ(RING, stream_read(self->rx, self->buf, RING));
	EXPECT_TRUE(sequence_holds(self->buf, 0, RING));
}

/* poll() looks at the tail that the program has written: all is taken, nothing is ready. */
TEST_F(ring, poll_counts_what_the_program_has_taken)
{
	fill_and_pause(_metadata, self, 10);
	EXPECT_EQ(POLLIN, zc_poll(self->rx, POLLIN, 0));
	__atomic_store_n(&self->ctl->tail, self->ctl->head, __ATOMIC_RELEASE);
	EXPECT_EQ(0, zc_poll(self->rx, POLLIN, 0));
}

/* ---- how long the pages last ---- */

/* Stopped, closed, without its engine: the pages are what they were, to the last byte. */
TEST_F(ring, pages_stay_as_they_are_when_all_else_is_gone)
{
	char *before = malloc(RING);

	fill_and_pause(_metadata, self, PERIODS);
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	memcpy(before, self->ring, RING);
	close(self->rx);
	self->rx = -1;
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(0, memcmp(before, self->ring, RING));
	EXPECT_EQ(PERIODS, self->ctl->periods);
	ASSERT_EQ(0, softdma_bind());
	/* They can be written to, and nobody else's memory is hit. */
	memset(self->ring, 0x5a, RING);
	memset(self->ctl, 0x5a, sizeof(*self->ctl));
	munmap(self->ring, RING);
	munmap(self->ctl, PAGE);
	self->ring = NULL;
	self->ctl = NULL;
	/* Only now has nobody the session, whose port is free again. */
	self->rx = port_open("t-rx", 0, 0);
	EXPECT_LE(0, self->rx);
	free(before);
}

TEST_F(ring, control_page_tells_that_the_engine_is_gone)
{
	fill_and_pause(_metadata, self, 3);
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(ZCDMA_STREAM_GONE, self->ctl->state);
	EXPECT_TRUE(sequence_holds(self->ring, 0, 3 * PERIOD));
	ASSERT_EQ(0, softdma_bind());
}

/* ---- who pays ---- */

#define CHARGED	(16 * PAGE)	/* a ring of 15 pages and the control page */

static int setup_charged(int fd)
{
	return stream_setup(fd, ZCDMA_RX, 0, PAGE, CHARGED - PAGE);
}

/*
 * A user makes the ring in a session that root has opened, and root closes it: the user, who
 * is there all the time, has his whole limit again.
 */
TEST_F(ring, charge_goes_back_to_its_user_whoever_closes)
{
	int made[2], closed[2];
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(made));
	ASSERT_EQ(0, pipe(closed));
	ASSERT_EQ(0, port_give_to_all("t-rx"));
	IN_CHILD(pid) {
		int fd;

		zc_become_user(CHARGED);
		CHILD_CHECK(!setup_charged(self->rx));
		/* All of the limit is used. */
		CHILD_CHECK(stream_setup(self->tx, ZCDMA_TX, 0, 16, 32) == -ENOMEM);
		close(self->rx);
		close(self->tx);
		CHILD_CHECK(write(made[1], &byte, 1) == 1);
		CHILD_CHECK(read(closed[0], &byte, 1) == 1);
		fd = port_open("t-rx", 0, 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!setup_charged(fd));
	}
	ASSERT_EQ(1, read(made[0], &byte, 1));
	close(self->rx);
	self->rx = -1;
	ASSERT_EQ(1, write(closed[1], &byte, 1));
	EXPECT_EQ(0, zc_wait(pid));
}

/* A set-up that fails leaves nothing charged. */
TEST_F(ring, refused_setup_leaves_no_charge)
{
	pid_t pid;

	IN_CHILD(pid) {
		zc_become_user(CHARGED);
		for (int i = 0; i < 20; i++) {
			CHILD_CHECK(stream_setup(self->rx, ZCDMA_RX, 0, PAGE, CHARGED) == -ENOMEM);
			CHILD_CHECK(stream_setup(self->rx, ZCDMA_RX, 0, PAGE, PAGE) == -EINVAL);
			CHILD_CHECK(stream_setup(self->rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, PAGE,
						 CHARGED) == -ENOMEM);
		}
		CHILD_CHECK(!setup_charged(self->rx));
	}
	EXPECT_EQ(0, zc_wait(pid));
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
