// SPDX-License-Identifier: GPL-2.0
/*
 * Runs of a stream: what happens from a START to the STOP after it, and what must not pass
 * from one run to the next. On the software engine's loop-back and its source.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "stall.h"
#include "zcdma_util.h"

#define PATIENCE	20000	/* ms, for what should take no time at all */
#define PERIOD		4096
#define FIFO		16384	/* bytes between sender and receiver */
#define BUF_SIZE	(256UL << 12)

FIXTURE(run) {
	char *buf;
};

FIXTURE_SETUP(run)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	ASSERT_EQ(0, port_make_pair());
	self->buf = zc_map(BUF_SIZE);
}

FIXTURE_TEARDOWN(run)
{
	EXPECT_EQ(0, port_drop_pair(0));
	EXPECT_EQ(0, softdma_reset());
}

/* Did the process end by itself within @ms? With *@status, as wait() has it. */
static bool ends_within(pid_t pid, unsigned int ms, int *status)
{
	__u64 end = zc_now_ms() + ms;

	while (!waitpid(pid, status, WNOHANG)) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(10);
	}
	return true;
}

/*
 * Fill the ring, and the FIFO behind it, for which nobody reads: @bytes go into both. O_NONBLOCK
 * must be set. False after PATIENCE, or if there is room for more.
 */
static bool fill(int tx, const char *buf, size_t bytes)
{
	__u64 end = zc_now_ms() + PATIENCE;

	for (size_t done = 0; done < bytes; ) {
		ssize_t got = write(tx, buf, PERIOD);

		if ((got < 0 && errno != EAGAIN) || zc_now_ms() > end)
			return false;
		if (got > 0)
			done += got;
		else
			zc_sleep_ms(1);
	}
	return write(tx, buf, PERIOD) < 0 && errno == EAGAIN;
}

/* Wait for that state: false after PATIENCE. */
static bool comes_to(int fd, __u32 direction, __u32 state)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(fd, direction).out_state != state) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* Wait until the engine has moved @bytes: false after PATIENCE. */
static bool moves(int fd, __u32 direction, __u64 bytes)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(fd, direction).out_moved < bytes) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* Send @periods of @len bytes each, which hold @first, @first + 1, ... */
static void send_periods(int tx, char *buf, int periods, size_t len, int first)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(buf), .len = periods * len,
	};

	for (int i = 0; i < periods; i++)
		memset(buf + i * len, first + i, len);
	CHILD_CHECK(port_op(tx, op).res == 0);
}

/* ---- waiting ends with the run ---- */

/*
 * STOP ends a write() that waits for room, of which nothing was taken so far. (Where it does
 * not, the writer may not even be killed: so the engine is taken away before the test ends.)
 */
static void stop_ends_a_write(struct __test_metadata *_metadata, char *buf, __u32 flags)
{
	int tx = port_open("t-tx", 60000, O_NONBLOCK), status;
	pid_t pid;
	bool ended;

	ASSERT_LE(0, tx);
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, flags, PERIOD, 16 * PERIOD));
	ASSERT_TRUE(fill(tx, buf, FIFO + 16 * PERIOD));
	ASSERT_EQ(0, fcntl(tx, F_SETFL, 0));
	IN_CHILD(pid) {
		ssize_t got = write(tx, buf, PERIOD);

		/* Nothing was taken, and neither a loss nor a signal is the reason. */
		CHILD_CHECK(got <= 0);
		CHILD_CHECK(!got || (errno != EPIPE && errno != EINTR && errno != EAGAIN));
	}
	ASSERT_TRUE(zc_sleeps_in(pid, SYS_write));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	EXPECT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_STOP));
	ended = ends_within(pid, PATIENCE, &status);
	EXPECT_TRUE(ended);
	if (ended) {
		EXPECT_EQ(0, status);
	} else {
		kill(pid, SIGKILL);
		ASSERT_EQ(0, softdma_unbind());
		EXPECT_TRUE(ends_within(pid, PATIENCE, &status));
		ASSERT_EQ(0, softdma_bind());
	}
	close(tx);
}

TEST_F_TIMEOUT(run, of_a_queued_sender_ends_with_a_write_that_waits, 90)
{
	stop_ends_a_write(_metadata, self->buf, ZCDMA_STREAM_QUEUED);
}

TEST_F_TIMEOUT(run, of_a_cyclic_sender_ends_with_a_write_that_waits, 90)
{
	stop_ends_a_write(_metadata, self->buf, 0);
}

/*
 * A descriptor that must not block is not blocked by a DRAIN of somebody else: that is under way
 * still when write() says EAGAIN, and the ring has room. It waits for the device until STOP.
 */
TEST_F_TIMEOUT(run, that_drains_does_not_block_a_nonblocking_write, 90)
{
	int tx = port_open("t-tx", PATIENCE, O_NONBLOCK);
	pid_t pid;

	ASSERT_LE(0, tx);
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, PERIOD, 16 * PERIOD));
	ASSERT_EQ(8 * PERIOD, stream_write(tx, self->buf, 8 * PERIOD));
	IN_CHILD(pid)
		CHILD_CHECK(stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN) == -ECANCELED);
	ASSERT_TRUE(comes_to(tx, ZCDMA_TX, ZCDMA_STREAM_DRAINING));
	ASSERT_TRUE(moves(tx, ZCDMA_TX, FIFO));
	EXPECT_EQ(-EAGAIN, stream_write(tx, self->buf, PERIOD));
	EXPECT_EQ(ZCDMA_STREAM_DRAINING, stream_status(tx, ZCDMA_TX).out_state);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	EXPECT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(0, zc_wait(pid));
	close(tx);
}

/* An event loop waits for POLLIN before it reads: poll() itself starts a receiver. */
TEST_F(run, of_a_receiver_is_begun_by_epoll)
{
	struct epoll_event event = { .events = EPOLLIN }, got = { 0 };
	int tx = port_open("t-tx", 0, 0), rx = port_open("t-rx", 0, 0);
	int set = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, 1000, 10000));
	ASSERT_EQ(0, epoll_ctl(set, EPOLL_CTL_ADD, rx, &event));
	EXPECT_EQ(0, epoll_wait(set, &got, 1, 200));
	send_periods(tx, self->buf, 3, 1000, 1);
	EXPECT_EQ(1, epoll_wait(set, &got, 1, PATIENCE));
	EXPECT_EQ(EPOLLIN, got.events & (EPOLLIN | EPOLLERR | EPOLLHUP));
	close(set);
	close(tx);
	close(rx);
}

/* ---- from one run to the next ---- */

/* More runs than the engine has descriptors: each is given back. */
TEST_F(run, of_a_sender_can_be_begun_400_times)
{
	int tx = port_open("t-tx", 0, 0), runs, err = 0;

	ASSERT_LE(0, tx);
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, 0, PERIOD, 16 * PERIOD));
	for (runs = 0; runs < 400 && !err; runs++) {
		ASSERT_EQ(PERIOD, stream_write(tx, self->buf, PERIOD));
		err = stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_START);
		if (!err)
			err = stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_STOP);
	}
	EXPECT_EQ(0, err) {
		TH_LOG("run %d", runs);
	}
	close(tx);
}

/*
 * How many of @bytes that come are @what? With *@done, how many have come; it reads on when it
 * is told of a loss.
 */
static size_t count_received(int rx, char *buf, size_t bytes, char what, size_t *done)
{
	size_t found = 0;

	*done = 0;
	while (*done < bytes) {
		ssize_t got = read(rx, buf, PERIOD);

		if (got < 0 && errno == EPIPE)
			continue;
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++)
			found += buf[i] == what;
		*done += got;
	}
	return found;
}

/*
 * What a cyclic sender had left at STOP is dropped: after START, zeros go out until something
 * is written. A period takes 50 ms; the test is too late if half of the ring has gone.
 */
TEST_F_TIMEOUT(run, of_a_cyclic_sender_sends_nothing_of_the_run_before, 90)
{
	enum { PERIODS = 32 };
	size_t old, came;
	__u64 sent = ~0ULL;
	int tx, rx;

	for (int tries = 0; sent > PERIODS / 2 * PERIOD; tries++) {
		ASSERT_GT(5, tries);
		ASSERT_EQ(0, softdma_rebuild("rate=80000 fifo=64"));
		tx = port_open("t-tx", 0, 0);
		rx = port_open("t-rx", PATIENCE, 0);
		ASSERT_LE(0, tx);
		ASSERT_LE(0, rx);
		ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, 0, PERIOD, PERIODS * PERIOD));
		ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, PERIOD,
					  3 * PERIODS * PERIOD));
		ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
		memset(self->buf, 0xaa, BUF_SIZE);
		/* Not the last: a full ring starts by itself. */
		ASSERT_EQ((PERIODS - 1) * PERIOD,
			  stream_write(tx, self->buf, (PERIODS - 1) * PERIOD));
		ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_START));
		ASSERT_TRUE(moves(tx, ZCDMA_TX, 2 * PERIOD));
		ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_STOP));
		sent = stream_status(tx, ZCDMA_TX).out_moved;
		ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_START));
		/* What was sent, the period that STOP has cut short, and what is in the FIFO. */
		old = count_received(rx, self->buf, PERIODS * PERIOD, 0xaa, &came);
		EXPECT_GE(sent + 2 * PERIOD, old);
		EXPECT_EQ(PERIODS * PERIOD, came);
		close(tx);
		close(rx);
	}
}

/* Half a period was read when the run ended: the next begins with its own first byte. */
TEST_F(run, of_a_queued_receiver_begins_with_its_first_byte)
{
	int tx = port_open("t-tx", 0, 0), rx = port_open("t-rx", PATIENCE, 0);

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1000, 8000));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	send_periods(tx, self->buf, 1, 1000, 1);
	ASSERT_EQ(500, stream_read(rx, self->buf, 500));
	ASSERT_EQ(1, self->buf[499]);
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	send_periods(tx, self->buf, 1, 1000, 2);
	EXPECT_EQ(1000, stream_read(rx, self->buf, 1000));
	EXPECT_EQ(2, self->buf[0]);
	EXPECT_EQ(2, self->buf[999]);
	close(tx);
	close(rx);
}

/*
 * The tail that a program left in the mapped control page belongs to the run that ended: the
 * next one loses nothing by it when its head comes by that number.
 */
TEST_F(run, of_a_mapped_receiver_does_not_believe_the_tail_of_the_run_before)
{
	enum { LEN = 1000, PERIODS = 16, TAKEN = 5, SENT = 9 };
	int tx = port_open("t-tx", 0, 0), rx = port_open("t-rx", PATIENCE, 0);
	struct zcdma_ring *ctl;
	__u64 moved;

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, LEN, PERIODS * LEN));
	ctl = stream_map_control(rx, ZCDMA_RX);
	ASSERT_NE(NULL, ctl);
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	send_periods(tx, self->buf, TAKEN, LEN, 1);
	ASSERT_TRUE(moves(rx, ZCDMA_RX, TAKEN * LEN));
	__atomic_store_n(&ctl->tail, ctl->head, __ATOMIC_RELEASE);
	EXPECT_EQ(0, zc_poll(rx, POLLIN, 0));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	moved = stream_status(rx, ZCDMA_RX).out_moved;
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	send_periods(tx, self->buf, SENT, LEN, 101);
	ASSERT_TRUE(moves(rx, ZCDMA_RX, moved + SENT * LEN));
	EXPECT_EQ(SENT * LEN, stream_read(rx, self->buf, SENT * LEN));
	for (int i = 0; i < SENT; i++)
		EXPECT_EQ(101 + i, self->buf[i * LEN]);
	EXPECT_EQ(0, ctl->lost);
	munmap(ctl, sizeof(*ctl));
	close(tx);
	close(rx);
}

/*
 * A read() of the run before is still under way, in a page fault, when the next run begins:
 * it takes nothing of it, and no number becomes impossible.
 */
TEST_F_TIMEOUT(run, that_begins_during_a_read_has_possible_numbers, 90)
{
	int tx = port_open("t-tx", 0, 0), rx = port_open("t-rx", PATIENCE, 0), stall;
	struct zcdma_stream_status status;
	char *stalling = zc_map(PERIOD);
	pid_t reader, stopper, releaser;
	int begun[2];
	ssize_t got;

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, pipe(begun));
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, 1000, 8000));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	send_periods(tx, self->buf, 3, 1000, 1);
	ASSERT_TRUE(moves(rx, ZCDMA_RX, 3000));
	IN_CHILD(reader) {
		stall = stall_begin(stalling, PERIOD);
		IN_CHILD(stopper) {
			CHILD_CHECK(stall_is_entered(stall, PATIENCE));
			close(stall);
			/* They may wait for the reader, or not. */
			CHILD_CHECK(!stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
			CHILD_CHECK(!stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
			CHILD_CHECK(write(begun[1], "", 1) == 1);
		}
		IN_CHILD(releaser) {	/* of the page, when the last descriptor is closed */
			CHILD_CHECK(stall_is_entered(stall, PATIENCE));
			zc_poll(begun[0], POLLIN, PATIENCE / 4);
		}
		close(stall);
		/* All that it was about to take, or nothing, as that run is over. */
		got = read(rx, stalling, 1000);
		CHILD_CHECK(got == 0 || (got == 1000 && filled_with(1, stalling, 1000)));
		CHILD_CHECK(!zc_wait(releaser));
		CHILD_CHECK(!zc_wait(stopper));
	}
	EXPECT_EQ(0, zc_wait(reader));
	status = stream_status(rx, ZCDMA_RX);
	EXPECT_GE(status.out_head, status.out_tail);
	send_periods(tx, self->buf, 4, 1000, 11);
	EXPECT_TRUE(moves(rx, ZCDMA_RX, status.out_moved + 4000));
	status = stream_status(rx, ZCDMA_RX);
	EXPECT_GE(status.out_head, status.out_tail);
	EXPECT_EQ(0, status.out_lost);
	EXPECT_EQ(1000, stream_read(rx, self->buf, 1000));
	EXPECT_EQ(11, self->buf[0]);
	close(begun[0]);
	close(begun[1]);
	close(tx);
	close(rx);
}

/* The control page tells which run it is, and where that begins. */
TEST_F(run, has_a_number_and_begins_where_the_one_before_did_not_reach)
{
	enum { PERIODS = 4 };
	int tx = port_open("t-tx", 0, 0), rx = port_open("t-rx", 0, 0);
	struct zcdma_ring *out, *in;

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, 0, PERIOD, PERIODS * PERIOD));
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, 1000, PERIODS * 1000));
	out = stream_map_control(tx, ZCDMA_TX);
	in = stream_map_control(rx, ZCDMA_RX);
	ASSERT_TRUE(out && in);
	EXPECT_EQ(1, out->run);
	EXPECT_EQ(1, in->run);
	ASSERT_EQ(3 * PERIOD, stream_write(tx, self->buf, 3 * PERIOD));
	EXPECT_EQ(3, out->head);
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(2, out->run);
	EXPECT_LE(3, out->head);
	EXPECT_EQ(out->tail, out->head);
	EXPECT_EQ(0, out->head % PERIODS);
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(1, in->run);
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(2, in->run);
	EXPECT_EQ(in->oldest, in->head);
	EXPECT_EQ(in->tail, in->head);
	EXPECT_EQ(0, in->head % PERIODS);
	EXPECT_EQ(0, in->lost);
	munmap(out, sizeof(*out));
	munmap(in, sizeof(*in));
	close(tx);
	close(rx);
}

/* ---- states and events ---- */

#define ACTIONS	ZCDMA_STREAM_DRAIN

/* A stream in @state: true if it was brought there. All are of the engine's loop-back. */
static bool bring_to(int fd, __u32 way, __u32 state, const char *buf)
{
	int err = 0;

	if (state == ZCDMA_STREAM_IDLE)
		return true;
	if (state == ZCDMA_STREAM_FAILED)
		softdma_set("fail_nth", 1);
	if (way == ZCDMA_TX && stream_write(fd, buf, PERIOD) != PERIOD)
		return false;
	err = stream_do(fd, way, ZCDMA_STREAM_START);
	if (state == ZCDMA_STREAM_PAUSED)
		err = err ?: stream_do(fd, way, ZCDMA_STREAM_PAUSE);
	if (state == ZCDMA_STREAM_STOPPED)
		err = err ?: stream_do(fd, way, ZCDMA_STREAM_STOP);
	if (state == ZCDMA_STREAM_GONE)
		err = err ?: softdma_unbind();
	if (state == ZCDMA_STREAM_FAILED && err == -EIO)
		err = 0;	/* it has failed before START returns */
	if (!err && !comes_to(fd, way, state))
		err = -ETIMEDOUT;
	softdma_set("fail_nth", 0);
	return !err;
}

/* What becomes of each action in each state, for a sender; see port/stream.h. */
static const struct {
	int err[ACTIONS + 1];
	__u32 then[ACTIONS + 1];
} table[] = {
#define IDLE	ZCDMA_STREAM_IDLE
#define RUNS	ZCDMA_STREAM_RUNNING
#define PAUSED	ZCDMA_STREAM_PAUSED
#define STOPPED	ZCDMA_STREAM_STOPPED
#define FAILED	ZCDMA_STREAM_FAILED
#define GONE	ZCDMA_STREAM_GONE
	/*		  START    STOP     PAUSE    RESUME   DRAIN */
	[IDLE] = {	{ 0, 0,	   0,	    -EBUSY,  -EBUSY,  0 },
			{ 0, RUNS, STOPPED, IDLE,    IDLE,    IDLE } },
	[RUNS] = {	{ 0, -EBUSY, 0,	    0,	     -EBUSY,  0 },
			{ 0, RUNS, STOPPED, PAUSED,  RUNS,    STOPPED } },
	[PAUSED] = {	{ 0, -EBUSY, 0,	    -EBUSY,  0,	      -EBUSY },
			{ 0, PAUSED, STOPPED, PAUSED, RUNS,   PAUSED } },
	[STOPPED] = {	{ 0, 0,	   0,	    -EBUSY,  -EBUSY,  0 },
			{ 0, RUNS, STOPPED, STOPPED, STOPPED, STOPPED } },
	[FAILED] = {	{ 0, -EBUSY, 0,	    -EBUSY,  -EBUSY,  -EIO },
			{ 0, FAILED, STOPPED, FAILED, FAILED, FAILED } },
	[GONE] = {	{ 0, -ENODEV, -ENODEV, -ENODEV, -ENODEV, -ENODEV },
			{ 0, GONE, GONE,    GONE,    GONE,    GONE } },
};

/* Take what is sent, for ever. */
static int open_sink(void)
{
	int fd = port_open("t-rx", PATIENCE, 0);

	if (fd < 0 || stream_setup(fd, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 16 * PERIOD, 64 * PERIOD) ||
	    stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START))
		return -1;
	return fd;
}

/* Each action in each state but DRAINING, which lasts as long as a DRAIN (selftests/control). */
static void walk_all_pairs(struct __test_metadata *_metadata, char *buf, __u32 way, __u32 flags)
{
	for (__u32 state = 0; state < ARRAY_SIZE(table); state++) {
		for (__u32 action = 1; action <= ACTIONS; action++) {
			int fd, sink = -1, expected = table[state].err[action];
			__u32 then = table[state].then[action];

			if (state == ZCDMA_STREAM_DRAINING)
				continue;
			if (way == ZCDMA_RX && action == ZCDMA_STREAM_DRAIN) {
				expected = -EINVAL;
				then = state;
			}
			if (way == ZCDMA_RX && state == ZCDMA_STREAM_FAILED)
				continue;	/* nothing comes that could fail */
			if (way == ZCDMA_TX) {
				sink = open_sink();
				ASSERT_LE(0, sink);
			}
			fd = port_open(way == ZCDMA_TX ? "t-tx" : "t-rx", PATIENCE, 0);
			ASSERT_LE(0, fd);
			ASSERT_EQ(0, stream_setup(fd, way, flags, PERIOD, 4 * PERIOD));
			ASSERT_TRUE(bring_to(fd, way, state, buf)) {
				TH_LOG("state %u", state);
			}
			EXPECT_EQ(expected, stream_do(fd, way, action)) {
				TH_LOG("state %u, action %u", state, action);
			}
			EXPECT_EQ(then, stream_status(fd, way).out_state) {
				TH_LOG("state %u, action %u", state, action);
			}
			close(fd);
			close(sink);
			if (state == ZCDMA_STREAM_GONE)
				ASSERT_EQ(0, softdma_bind());
		}
	}
}

TEST_F_TIMEOUT(run, obeys_the_table_of_states_when_it_sends, 120)
{
	walk_all_pairs(_metadata, self->buf, ZCDMA_TX, ZCDMA_STREAM_QUEUED);
	walk_all_pairs(_metadata, self->buf, ZCDMA_TX, 0);
}

TEST_F_TIMEOUT(run, obeys_the_table_of_states_when_it_receives, 120)
{
	walk_all_pairs(_metadata, self->buf, ZCDMA_RX, ZCDMA_STREAM_QUEUED);
	walk_all_pairs(_metadata, self->buf, ZCDMA_RX, 0);
}

struct reader {
	int fd;
	__u64 bytes;
};

/* Words of the source, each of which is read once at most, and in order, whatever the run. */
static void *reads_in_order(void *arg)
{
	struct reader *reader = arg;
	int fd = reader->fd;
	char buf[PERIOD];
	__u64 at = 0;
	__u32 word;

	for (;;) {
		ssize_t got = read(fd, buf, sizeof(buf));

		if (got < 0 && (errno == EPIPE || errno == ETIMEDOUT))
			continue;
		if (got < 0)
			return errno == ENODEV ? NULL : "an error";
		if (!got) {
			zc_sleep_ms(1);
			continue;
		}
		/* A part may begin, or end, within a word. */
		if (got < 8)
			return "a part of words";
		memcpy(&word, buf, 4);
		if (word * 4ULL < at)
			return "what was read before";
		at = word * 4ULL;
		if (!sequence_holds(buf, at, got))
			return "torn";
		at += got / 4 * 4;
		reader->bytes += got;
	}
}

static void *polls(void *arg)
{
	int fd = *(int *)arg;

	while (!(zc_poll(fd, POLLIN | POLLPRI, 10) & POLLHUP))
		;
	return NULL;
}

/* Actions at random while others read and poll. What is read is in order, and nothing hangs. */
static void random_actions(struct __test_metadata *_metadata, __u32 flags, int actions)
{
	struct reader reader = { 0 };
	pthread_t reads, poller;
	int fd, did = 0, busy = 0;
	void *failure;

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=1000000 fifo=1048576"));
	fd = port_open("t-rx", 200, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, flags, 512, 8 * 512));
	reader.fd = fd;
	ASSERT_EQ(0, pthread_create(&reads, NULL, reads_in_order, &reader));
	ASSERT_EQ(0, pthread_create(&poller, NULL, polls, &fd));
	for (int i = 0; i < actions; i++) {
		int err = stream_do(fd, ZCDMA_RX, 1 + random() % ZCDMA_STREAM_RESUME);

		ASSERT_TRUE(!err || err == -EBUSY) {
			TH_LOG("%d", err);
		}
		did += !err;
		busy += !!err;
		if (random() % 4 == 0)
			zc_sleep_ms(1);
	}
	ASSERT_EQ(0, softdma_unbind());
	pthread_join(reads, &failure);
	EXPECT_EQ(NULL, failure) {
		TH_LOG("%s", (char *)failure);
	}
	pthread_join(poller, NULL);
	/* Some were in order and some were not, and meanwhile something came. */
	TH_LOG("%d actions were done, %d refused; %llu bytes", did, busy,
	       (unsigned long long)reader.bytes);
	EXPECT_LT(0, did);
	EXPECT_LT(0, busy);
	EXPECT_LT(0, reader.bytes);
	close(fd);
	ASSERT_EQ(0, softdma_bind());
}

TEST_F_TIMEOUT(run, survives_any_order_of_actions, 120)
{
	int actions = zc_brief() ? 500 : 5000;

	random_actions(_metadata, ZCDMA_STREAM_QUEUED, actions);
	random_actions(_metadata, 0, actions);
}

/* ---- what has come ---- */

/* The device is silent after half a period: the engine tells how far it is, so it can be had. */
static void part_can_be_read(struct __test_metadata *_metadata, char *buf, __u32 flags)
{
	int tx = port_open("t-tx", 0, 0), rx = port_open("t-rx", PATIENCE, 0);

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, flags, 1000, 10000));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	sequence_write(buf, 0, 1500);
	ASSERT_EQ(0, port_op(tx, (struct zcdma_op){
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(buf), .len = 1500,
	}).res);
	memset(buf, 0xee, 1500);
	EXPECT_EQ(1500, stream_read(rx, buf, 1500));
	EXPECT_TRUE(sequence_holds(buf, 0, 1500));
	close(tx);
	close(rx);
}

TEST_F(run, of_a_cyclic_receiver_gives_a_part_of_a_period)
{
	part_can_be_read(_metadata, self->buf, 0);
}

TEST_F(run, of_a_queued_receiver_gives_a_part_of_a_period)
{
	part_can_be_read(_metadata, self->buf, ZCDMA_STREAM_QUEUED);
}

/* The engine has no descriptor for the first period, and nobody asks it for another one. */
TEST_F(run, that_finds_no_descriptor_for_a_moment_goes_on)
{
	int tx = port_open("t-tx", 0, 0), rx = port_open("t-rx", PATIENCE, 0);

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1000, 8000));
	ASSERT_EQ(0, softdma_set("null_nth", 1));
	EXPECT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(0, softdma_get("null_nth"));
	send_periods(tx, self->buf, 2, 1000, 1);
	EXPECT_EQ(2000, stream_read(rx, self->buf + 4000, 2000));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + 4000, 2000));
	close(tx);
	close(rx);
}

/* START says so itself if the engine takes no period as long as these. */
TEST_F(run, that_the_engine_refuses_is_not_begun)
{
	int tx = port_open("t-tx", 0, 0), rx = port_open("t-rx", PATIENCE, 0), err;
	__u64 start, took;
	long got;

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1000, 10000));
	send_periods(tx, self->buf, 1, 1000, 7);	/* into the FIFO */
	memset(self->buf, 0, 1000);
	ASSERT_EQ(0, softdma_set("max_len", 64));
	start = zc_now_ms();
	err = stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START);
	took = zc_now_ms() - start;
	got = err ?: stream_read(rx, self->buf, 1000);
	if (got == 1000) {	/* in parts of 64 bytes, and that must be true */
		EXPECT_TRUE(filled_with(7, self->buf, 1000));
	} else {
		EXPECT_EQ(-EIO, got);
		/* On a guest that got no CPU the half second may be over that START waits. */
		EXPECT_TRUE(err == -EIO || (zc_lacks("counted") && took >= 490));
	}
	close(tx);
	close(rx);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
