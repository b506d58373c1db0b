// SPDX-License-Identifier: GPL-2.0
/*
 * The edges of a run: what had come, or was written, when it ends, when it cannot be ended, or
 * when the device is silent for a while. On the software engine's loop-back and its source.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "stall.h"
#include "zcdma_util.h"

#define PATIENCE	20000	/* ms, for what should take no time at all */
#define BUF_SIZE	(64UL << 10)

static const struct pattern source = { 's', 1 };

FIXTURE(edge) {
	char *buf;
	int tx, rx;
};

#define EDGE FIXTURE_DATA(edge)

FIXTURE_SETUP(edge)
{
	zc_unlimit_memlock();
	self->tx = -1;
	self->rx = -1;
	self->buf = zc_map(BUF_SIZE);
	pattern_write(source, self->buf, 0, BUF_SIZE);
}

FIXTURE_TEARDOWN(edge)
{
	close(self->tx);
	close(self->rx);
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, softdma_rebuild(""));
	EXPECT_EQ(0, port_drop_pair(PATIENCE));
	EXPECT_EQ(0, softdma_reset());
}

/* An engine that is so, with empty FIFOs, and what the one sends the other receives. */
static void open_ports(struct __test_metadata *_metadata, EDGE *self,
		       const char *traits, __u32 deadline_ms)
{
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(traits));
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make_pair());
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, deadline_ms));
}

static void start_receiver(struct __test_metadata *_metadata, EDGE *self,
			   __u32 flags)
{
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, flags, 1000, 8000));
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
}

/* Wait until so many periods are lost, or have been moved: false after PATIENCE. */
static bool loses(int fd, __u32 direction, __u64 periods)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(fd, direction).out_lost < periods) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* ---- a run goes on ---- */

/*
 * Half a period is read, as the device is silent. Then the packet ends there, and there is nothing
 * more of it: the stream goes on, so that is not its end.
 */
TEST_F(edge, of_a_packet_is_no_end_of_the_stream)
{
	open_ports(_metadata, self, "", 3000);
	/* Into the FIFO. */
	ASSERT_EQ(0, port_op(self->tx, zc_send_op(self->buf, 500, 1)).res);
	ASSERT_EQ(0, softdma_set("delay_us", 1000000));
	ASSERT_EQ(0, softdma_set("short_nth", 1));
	start_receiver(_metadata, self, ZCDMA_STREAM_QUEUED);
	EXPECT_EQ(500, stream_read(self->rx, self->buf + 8192, 500));
	EXPECT_TRUE(pattern_holds(source, self->buf + 8192, 0, 500));
	EXPECT_EQ(-ETIMEDOUT, stream_read(self->rx, self->buf + 8192, 1000));
}

/*
 * START is not kept waiting by a write() of the run that it begins, however long that takes: here
 * until START is over.
 */
TEST_F(edge, of_a_run_does_not_wait_for_its_writer)
{
	char *stalling = zc_map(4096);
	pid_t writer, starter;

	open_ports(_metadata, self, "", 0);
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, 0, 4096, 16384));
	IN_CHILD(writer) {
		int stall = stall_begin(stalling, 4096);

		IN_CHILD(starter) {
			alarm(PATIENCE / 1000);
			CHILD_CHECK(stall_is_entered(stall, PATIENCE));
			CHILD_CHECK(!stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
		}
		close(stall);
		write(self->tx, stalling, 4096);	/* may be late */
		CHILD_CHECK(!zc_wait(starter));
	}
	EXPECT_EQ(0, zc_wait(writer));
}

/*
 * Who has mapped a sender's ring need not call us to have it sent, be its periods as long as they
 * may: it looks at the tail, and writes to the head.
 */
TEST_F(edge, of_a_mapped_ring_is_the_programs)
{
	enum { PERIOD = 64 << 10, NR = 8, ALL = 40 };
	struct zcdma_ring *ctl;
	char *ring, *got;

	open_ports(_metadata, self, "ledger=Y", 0);
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, 0, PERIOD, NR * PERIOD));
	ctl = stream_map_control(self->tx, ZCDMA_TX);
	ring = stream_map_ring(self->tx, ZCDMA_TX, NR * PERIOD);
	ASSERT_NE(NULL, ctl);
	ASSERT_NE(NULL, ring);
	got = zc_map(PERIOD);
	for (int i = 0; i < NR; i++)
		memset(ring + i * PERIOD, i + 1, PERIOD);
	__atomic_store_n(&ctl->head, NR, __ATOMIC_RELEASE);
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	for (__u64 i = 0, end; i < ALL; i++) {
		ASSERT_EQ(0, port_op(self->rx, zc_recv_op(got, PERIOD, 1)).res);
		ASSERT_EQ(i + 1, got[0]);
		ASSERT_EQ(0, memcmp(got, got + 1, PERIOD - 1));
		end = zc_now_ms() + PATIENCE;
		while (__atomic_load_n(&ctl->tail, __ATOMIC_ACQUIRE) <= i)
			ASSERT_GT(end, zc_now_ms());
		memset(ring + i % NR * PERIOD, i + NR + 1, PERIOD);
		__atomic_store_n(&ctl->head, i + NR + 1, __ATOMIC_RELEASE);
	}
	EXPECT_EQ(0, stream_status(self->tx, ZCDMA_TX).out_lost);
	munmap(ring, NR * PERIOD);
	munmap(ctl, 4096);
}

/* ---- what had come when it ends ---- */

/*
 * The FIFO is so small that almost all has come when the op is done. (All that has, has been read
 * when it ends: who waits for more gets nothing.)
 */
static void leaves_a_part(struct __test_metadata *_metadata, EDGE *self, __u32 flags)
{
	size_t got = 0;
	long n;

	open_ports(_metadata, self, "fifo=64", 0);
	start_receiver(_metadata, self, flags);
	ASSERT_EQ(0, port_op(self->tx, zc_send_op(self->buf, 3600, 1)).res);
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	while ((n = stream_read(self->rx, self->buf + 8192 + got, 4000)) > 0)
		got += n;
	EXPECT_EQ(0, n);
	EXPECT_LE(3600 - 64, got);
	EXPECT_TRUE(pattern_holds(source, self->buf + 8192, 0, got));
	EXPECT_EQ(0, stream_status(self->rx, ZCDMA_RX).out_lost);
}

TEST_F(edge, of_a_cyclic_run_has_the_bytes_of_a_period_that_has_begun)
{
	leaves_a_part(_metadata, self, 0);
}

TEST_F(edge, of_a_queued_run_has_the_bytes_of_a_period_that_has_begun)
{
	leaves_a_part(_metadata, self, ZCDMA_STREAM_QUEUED);
}

/*
 * A period is complete, and its callback takes so long that STOP does not wait for it. What it
 * would say, how many bytes have come, nobody knows: that is a loss.
 */
TEST_F(edge, of_a_run_has_periods_that_nobody_told_of)
{
	__u64 end;

	open_ports(_metadata, self, "no_synchronize=Y", 0);
	ASSERT_EQ(0, softdma_set("late_us", 10000000));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	start_receiver(_metadata, self, ZCDMA_STREAM_QUEUED);
	ASSERT_EQ(0, zc_submit(self->tx, &(struct zcdma_op){
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->buf), .len = 1000,
	}, 1, NULL));
	/* The receiver's engine is at its second period. The other descriptor is the sender's. */
	end = zc_now_ms() + PATIENCE;
	while (softdma_get("descriptors") < 3)
		ASSERT_GT(end, zc_now_ms());
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(1, stream_status(self->rx, ZCDMA_RX).out_lost);
	EXPECT_EQ(-EPIPE, stream_read(self->rx, self->buf, 1000));
	EXPECT_EQ(0, stream_read(self->rx, self->buf, 1000));
}

/* Nor is what was read of one before it was lost given out again. */
TEST_F(edge, of_a_run_that_were_read_do_not_come_again)
{
	__u64 end = zc_now_ms() + PATIENCE;

	open_ports(_metadata, self, "no_synchronize=Y", 0);
	start_receiver(_metadata, self, ZCDMA_STREAM_QUEUED);
	ASSERT_EQ(0, port_op(self->tx, zc_send_op(self->buf, 500, 1)).res);
	ASSERT_EQ(500, stream_read(self->rx, self->buf + 8192, 500));
	ASSERT_EQ(0, softdma_set("late_us", 10000000));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	ASSERT_EQ(0, zc_submit(self->tx, &(struct zcdma_op){
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(self->buf), .len = 500,
	}, 1, NULL));
	/* The receiver's engine is at its second period. The other descriptor is the sender's. */
	while (softdma_get("descriptors") < 2)
		ASSERT_GT(end, zc_now_ms());
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(1, stream_status(self->rx, ZCDMA_RX).out_lost);
	EXPECT_EQ(-EPIPE, stream_read(self->rx, self->buf, 1000));
	EXPECT_EQ(0, stream_read(self->rx, self->buf, 1000));
}

/* The engine passes the last period before it is written to the end: DRAIN tells. */
TEST_F(edge, of_a_drained_run_tells_that_it_was_late)
{
	open_ports(_metadata, self, "", 0);
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, 0, 1024, 8192));
	ASSERT_EQ(100, stream_write(self->tx, self->buf, 100));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	ASSERT_TRUE(loses(self->tx, ZCDMA_TX, 1));
	ASSERT_EQ(0, port_op(self->rx, zc_recv_op(self->buf, 4096, 1)).res);
	EXPECT_EQ(-EPIPE, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, stream_status(self->tx, ZCDMA_TX).out_state);
}

/* The same when the first DRAIN has no time for it. */
TEST_F(edge, of_a_run_that_is_drained_twice_tells_that_it_was_late)
{
	open_ports(_metadata, self, "fifo=64", 300);
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, 0, 1024, 8192));
	ASSERT_EQ(100, stream_write(self->tx, self->buf, 100));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	ASSERT_TRUE(loses(self->tx, ZCDMA_TX, 1));
	EXPECT_EQ(-ETIMEDOUT, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	ASSERT_EQ(0, port_op(self->rx, zc_recv_op(self->buf, 1024, 1)).res);
	EXPECT_EQ(-EPIPE, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
}

/* And does not where all was written in time, though the engine went on with silence. */
TEST_F(edge, of_a_drained_run_may_be_silent)
{
	open_ports(_metadata, self, "", 0);
	ASSERT_EQ(0, stream_setup(self->tx, ZCDMA_TX, 0, 1024, 8192));
	ASSERT_EQ(1024, stream_write(self->tx, self->buf, 1024));
	ASSERT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_START));
	ASSERT_TRUE(loses(self->tx, ZCDMA_TX, 1));
	EXPECT_EQ(0, stream_do(self->tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
}

/* ---- an engine that cannot be stopped ---- */

/* The source does not wait for us: what was lost before is not what we look for. */
static long read_after_loss(int fd, char *buf, size_t len)
{
	long got;

	do
		got = stream_read(fd, buf, len);
	while (got == -EPIPE);
	return got;
}

/* It goes round in what had come. */
TEST_F(edge, of_a_run_that_cannot_be_ended_has_nothing)
{
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, stream_source_at(100000, ""));
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make_pair());
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, 0));
	start_receiver(_metadata, self, 0);
	ASSERT_TRUE(loses(self->rx, ZCDMA_RX, 20));
	zc_kmsg_expect(ZC_KMSG_STRAY);
	ASSERT_EQ(0, softdma_set("stop_nth", 1));
	EXPECT_EQ(-EIO, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_STRAY));
	EXPECT_EQ(-EPIPE, stream_read(self->rx, self->buf, 1000));
	EXPECT_EQ(-EIO, stream_read(self->rx, self->buf, 1000));
	/* It may be stopped after all: then another run can follow. */
	EXPECT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(1000, read_after_loss(self->rx, self->buf, 1000));
}

/* Who has mapped the ring is told. */
TEST_F(edge, of_a_mapped_run_that_cannot_be_ended_has_nothing)
{
	struct zcdma_ring *ctl;
	__u64 end = zc_now_ms() + PATIENCE;

	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, stream_source_at(100000, ""));
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make_pair());
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, 0));
	ASSERT_EQ(0, stream_setup(self->rx, ZCDMA_RX, 0, 1000, 8000));
	ctl = stream_map_control(self->rx, ZCDMA_RX);
	ASSERT_NE(NULL, ctl);
	ASSERT_EQ(0, stream_do(self->rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_TRUE(loses(self->rx, ZCDMA_RX, 1));
	zc_kmsg_expect(ZC_KMSG_STRAY);
	ASSERT_EQ(0, softdma_set("stop_nth", 1));
	ASSERT_EQ(0, softdma_set("fail_nth", 1));
	while (stream_status(self->rx, ZCDMA_RX).out_state != ZCDMA_STREAM_FAILED)
		ASSERT_GT(end, zc_now_ms());
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_STRAY));
	EXPECT_EQ(ctl->head, ctl->oldest);
	EXPECT_EQ(stream_status(self->rx, ZCDMA_RX).out_lost, ctl->lost);
	munmap(ctl, 4096);
}

/* Nor does anybody else get its channel, which is busy for ever. */
TEST_F(edge, of_a_run_that_cannot_be_ended_keeps_its_channel)
{
	struct zcdma_query_channel mine = { .flags = ZCDMA_QUERY_ATTACHED };
	char name[ZCDMA_NAME_LEN];
	struct zcdma_query_port port;

	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, stream_source_at(100000, ""));
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make_pair());
	ASSERT_EQ(0, port_open_pair(&self->tx, &self->rx, 0));
	ASSERT_EQ(0, zc_ioctl(self->rx, ZCDMA_IOC_QUERY_CHANNEL, &mine));
	strcpy(name, mine.out_name);
	start_receiver(_metadata, self, 0);
	ASSERT_EQ(1000, read_after_loss(self->rx, self->buf, 1000));
	zc_kmsg_expect(ZC_KMSG_STRAY);
	ASSERT_EQ(0, softdma_set("stop_nth", 1));
	close(self->rx);
	self->rx = -1;
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_STRAY));
	EXPECT_EQ(-EBUSY, zc_session(mine.out_name, 0));
	mine.flags = 0;
	for (mine.index = 0; !zc_ioctl(self->tx, ZCDMA_IOC_QUERY_CHANNEL, &mine); mine.index++)
		if (!strcmp(mine.out_name, name))
			EXPECT_EQ(ZCDMA_CHANNEL_EXCLUSIVE, mine.out_state);
	ASSERT_EQ(0, port_query("t-rx", &port));
	EXPECT_EQ(ZCDMA_PORT_BUSY, port.out_state);
}

/*
 * A receiving op is given up while prep does not return. When it does, the engine is not to go
 * on with that: what the device sends is for the next op.
 */
TEST_F(edge, of_an_op_that_was_given_up_is_not_crossed)
{
	struct zcdma_op op = zc_recv_op(self->buf + 8192, 1000, 1);
	struct zcdma_completion c;

	open_ports(_metadata, self, "prep_sleeps=Y", 0);
	op.deadline_ms = 60000;
	ASSERT_EQ(0, softdma_set("hang_prep", 1));
	ASSERT_EQ(0, zc_submit(self->rx, &op, 1, NULL));
	zc_sleep_ms(100);	/* it is in prep, most likely */
	EXPECT_EQ(0, zc_cancel(self->rx, 1, 0, NULL));
	ASSERT_EQ(1, zc_reap(self->rx, &c, 1, PATIENCE));
	EXPECT_EQ(-ECANCELED, c.res);
	EXPECT_EQ(0, c.done);
	op.user_data = 2;
	ASSERT_EQ(0, zc_submit(self->rx, &op, 1, NULL));
	ASSERT_EQ(0, softdma_set("hang_prep", 0));
	zc_sleep_ms(1000);	/* by then it has returned */
	ASSERT_EQ(0, port_op(self->tx, zc_send_op(self->buf, 1000, 3)).res);
	ASSERT_EQ(1, zc_reap(self->rx, &c, 1, PATIENCE));
	EXPECT_EQ(2, c.user_data);
	EXPECT_EQ(0, c.res);
	EXPECT_TRUE(pattern_holds(source, self->buf + 8192, 0, 1000));
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
