// SPDX-License-Identifier: GPL-2.0
/*
 * Streams, on the software engine: its source, which never waits, and its loop-back.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PATIENCE	20000	/* ms */
#define FIFO		16384	/* bytes between sender and receiver */

FIXTURE(flow) {
	long pinned;
	char *buf;
};

#define BUF_SIZE	(4UL << 20)

FIXTURE_SETUP(flow)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make("t-loop", 0, 1, "width=4"));
	ASSERT_EQ(0, port_make("t-rx", -1, 1, "width=1"));
	ASSERT_EQ(0, port_make("t-tx", 0, -1, "width=1"));
	self->buf = zc_map(BUF_SIZE);
}

FIXTURE_TEARDOWN(flow)
{
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, port_drop("t-loop"));
	EXPECT_EQ(0, port_drop("t-rx"));
	EXPECT_EQ(0, port_drop("t-tx"));
	EXPECT_EQ(0, softdma_reset());
}

/* Wait until more than @bytes were moved: false after PATIENCE. */
static bool moves_more(int fd, __u32 direction, __u64 bytes)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(fd, direction).out_moved <= bytes) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* The same of periods that a receiver has lost. */
static bool loses_more(int fd, __u64 periods)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(fd, ZCDMA_RX).out_lost <= periods) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* ---- what the source sends ---- */

/* A reader of the source: where it is, and what it was told to have missed. */
struct source_reader {
	int fd;
	__u32 period;
	__u64 at;		/* bytes of the source, those that were lost included */
	__u64 copied;
	__u64 missing;		/* periods */
	bool told;		/* of a loss, and nothing was read since */
	unsigned int losses;
};

static bool is_sequence(const char *buf, size_t len, __u64 at)
{
	char wanted[8];

	if (len > sizeof(wanted))
		len = sizeof(wanted);
	sequence_write(wanted, at, len);
	return !memcmp(wanted, buf, len);
}

/* After a loss it goes on with the beginning of a later period: of the one that @buf has. */
static void find_period(struct source_reader *r, const char *buf, size_t len)
{
	__u64 begin = (r->at + r->period - 1) / r->period * r->period;
	__u64 at = begin;

	while (at < begin + (1 << 28) && !is_sequence(buf, len, at))
		at += r->period;
	r->missing += (at - r->at + r->period - 1) / r->period;
	r->at = at;
}

/*
 * Read @len bytes: the next ones of the sequence, whatever happens. Only who was told of a
 * loss may find that some are missing.
 */
static bool source_goes_on(struct source_reader *r, char *buf, size_t len)
{
	ssize_t got;

	for (size_t done = 0; done < len; done += got) {
		got = read(r->fd, buf, len - done);
		if (got < 0 && errno == EPIPE) {
			r->told = true;
			r->losses++;
			got = 0;
			continue;
		}
		if (got <= 0) {
			fprintf(stderr, "# read() at %llu: %m\n", (unsigned long long)r->at);
			return false;
		}
		if (r->told)
			find_period(r, buf, got);
		r->told = false;
		if (!sequence_holds(buf, r->at, got)) {
			fprintf(stderr, "# at %llu, told of %u losses before\n",
				(unsigned long long)r->at, r->losses);
			return false;
		}
		r->at += got;
		r->copied += got;
	}
	return true;
}

/* Whole periods, parts of them, several, until the ring has begun anew. */
static bool goes_round(struct source_reader *r, char *buf, __u32 ring)
{
	__u32 period = r->period;

	while (r->at < 9 * ring / 8) {
		if (!source_goes_on(r, buf, period) ||
		    !source_goes_on(r, buf, period / 3 + 1) ||
		    !source_goes_on(r, buf, 3 * period - period / 3 - 1))
			return false;
	}
	return true;
}

/* Return: what was lost, in periods, because the reader was too late. */
static __u64 lost_by_reading(struct __test_metadata *_metadata, char *buf, __u32 flags,
			     __u32 period, __u32 ring, const char *engine)
{
	struct source_reader r = { .period = period };
	struct zcdma_stream_status status;

	ASSERT_EQ(0, stream_source_at(ring, engine));
	r.fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, r.fd);
	ASSERT_EQ(0, stream_setup(r.fd, ZCDMA_RX, flags, period, ring));
	ASSERT_TRUE(goes_round(&r, buf, ring));
	status = stream_status(r.fd, ZCDMA_RX);
	ASSERT_EQ(ZCDMA_STREAM_RUNNING, status.out_state);
	ASSERT_LE(r.at - r.missing * period, status.out_moved);
	ASSERT_EQ(r.copied, status.out_copied);
	ASSERT_LE(r.missing, status.out_lost);
	ASSERT_EQ(!!r.losses, !!r.missing);
	close(r.fd);
	return r.missing;
}

/*
 * At a rate that leaves the reader a second before the ring runs over, and the engine more
 * before its FIFO does. A guest that gets no CPU may be late all the same, and tries again;
 * what it reads must be right in each try. Where time is counted there is one try only.
 */
static void source_is_read(struct __test_metadata *_metadata, char *buf, __u32 flags,
			   __u32 period, __u32 ring, const char *engine)
{
	int tries = zc_lacks("counted") ? 5 : 1;
	__u64 lost;

	while ((lost = lost_by_reading(_metadata, buf, flags, period, ring, engine))) {
		TH_LOG("too late: %llu periods were lost", (unsigned long long)lost);
		ASSERT_LT(0, --tries);
	}
}

TEST_F(flow, of_a_source_is_read_from_a_cyclic_ring)
{
	source_is_read(_metadata, self->buf, 0, 4096, 65536, "");
}

TEST_F(flow, of_a_source_is_read_from_a_queued_ring)
{
	source_is_read(_metadata, self->buf, ZCDMA_STREAM_QUEUED, 4096, 65536, "");
}

TEST_F(flow, has_periods_of_any_length)
{
	source_is_read(_metadata, self->buf, 0, 12345, 200000, "");
	source_is_read(_metadata, self->buf, ZCDMA_STREAM_QUEUED, 1000, 65536, "");
	if (zc_brief())
		return;
	source_is_read(_metadata, self->buf, 0, 1000, 65536, "");
	source_is_read(_metadata, self->buf, ZCDMA_STREAM_QUEUED, 12345, 200000, "");
}

TEST_F_TIMEOUT(flow, has_2_to_4096_periods, 120)
{
	source_is_read(_metadata, self->buf, ZCDMA_STREAM_QUEUED, 65536, 131072, "");
	/* Many small reads: on a slow machine there is more time for them. */
	source_is_read(_metadata, self->buf, 0, 32, 4096 * 32,
		       zc_lacks("counted") ? "rate=50000" : "");
	if (zc_brief())
		return;
	source_is_read(_metadata, self->buf, 0, 65536, 131072, "");
	/* As many periods as the engine has descriptors last 60 ms: the FIFO holds the rest. */
	source_is_read(_metadata, self->buf, ZCDMA_STREAM_QUEUED, 512, 4096 * 512,
		       zc_lacks("counted") ? "rate=700000" : "");
}

TEST_F(flow, is_the_same_whatever_the_engine_tells)
{
	source_is_read(_metadata, self->buf, 0, 4096, 65536, "coarse_residue=Y");
	source_is_read(_metadata, self->buf, 0, 4096, 65536,
		       "coarse_residue=N callback_context=softirq");
	source_is_read(_metadata, self->buf, ZCDMA_STREAM_QUEUED, 4096, 65536,
		       "callback_context=hardirq");
}

/* ---- loop-back ---- */

struct feeder {
	int fd;
	__u64 bytes;			/* in all; atomic */
	__u64 until;			/* in ms: what is written then is the last; 0: never */
	size_t chunk;
	__u64 taken;			/* by the reader; atomic */
	__u64 window;			/* it may be ahead by so much */
	long result;
};

/* Writes the sequence, never further ahead than the reader's ring is long. */
static void *feed(void *arg)
{
	struct feeder *feeder = arg;
	char *buf = malloc(feeder->chunk);
	__u64 at = 0;

	while (at < feeder->bytes) {
		size_t n = feeder->bytes - at < feeder->chunk ? feeder->bytes - at : feeder->chunk;

		while (at + n - __atomic_load_n(&feeder->taken, __ATOMIC_ACQUIRE) >
		       feeder->window)
			sched_yield();
		if (feeder->until && zc_now_ms() >= feeder->until)
			__atomic_store_n(&feeder->bytes, at + n, __ATOMIC_RELEASE);
		sequence_write(buf, at, n);
		feeder->result = stream_write(feeder->fd, buf, n);
		if (feeder->result != (long)n)
			break;
		at += n;
	}
	free(buf);
	if (at == feeder->bytes)
		feeder->result = stream_do(feeder->fd, ZCDMA_TX, ZCDMA_STREAM_DRAIN);
	return NULL;
}

/* What goes round: @bytes, or what there is in @seconds. */
struct loop {
	__u32 tx_flags;
	__u32 rx_flags;
	__u32 period;
	__u64 bytes;
	unsigned int seconds;
	const char *engine;
};

static void loops_back(struct __test_metadata *_metadata, char *buf, struct loop loop)
{
	__u64 at = 0, started = zc_now_ms(), took;
	struct feeder feeder = {
		.bytes = loop.seconds ? ULLONG_MAX : loop.bytes,
		.until = loop.seconds ? started + 1000 * loop.seconds : 0,
		.chunk = 4 * loop.period,
		.window = 48 * loop.period,
	};
	pthread_t thread;
	int tx, rx;

	ASSERT_EQ(0, softdma_rebuild(loop.engine));
	tx = port_open("t-tx", 0, 0);
	rx = port_open("t-rx", 0, 0);
	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	feeder.fd = tx;
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, loop.tx_flags, loop.period, 32 * loop.period));
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, loop.rx_flags, loop.period, 64 * loop.period));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, pthread_create(&thread, NULL, feed, &feeder));
	while (at < __atomic_load_n(&feeder.bytes, __ATOMIC_ACQUIRE)) {
		ASSERT_TRUE(stream_goes_on(rx, buf, loop.period, &at));
		__atomic_store_n(&feeder.taken, at, __ATOMIC_RELEASE);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, feeder.result);
	EXPECT_EQ(0, stream_status(rx, ZCDMA_RX).out_lost);
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, stream_status(tx, ZCDMA_TX).out_state);
	took = zc_now_ms() - started;
	printf("# %llu bytes in %llu ms: %llu kB/s, none lost\n", (unsigned long long)at,
	       (unsigned long long)took, (unsigned long long)(at / (took ?: 1)));
	close(tx);
	close(rx);
}

/* As fast as it goes, for a minute. In brief for some seconds. A counted one would take hours. */
TEST_F_TIMEOUT(flow, loops_back_without_a_lost_byte, 120)
{
	if (zc_lacks("long-mapping"))
		SKIP(return, "lacks long-mapping: a cyclic ring of 4 MiB");
	loops_back(_metadata, self->buf, (struct loop){
		.tx_flags = ZCDMA_STREAM_QUEUED,
		.period = 65536,
		.seconds = !zc_lacks("counted") ? 0 : zc_brief() ? 3 : 60,
		.bytes = 8 << 20,
		.engine = "rate=0",
	});
}

TEST_F(flow, loops_back_between_queued_rings)
{
	loops_back(_metadata, self->buf, (struct loop){
		.tx_flags = ZCDMA_STREAM_QUEUED,
		.rx_flags = ZCDMA_STREAM_QUEUED,
		.period = 5000,
		.bytes = 5000 * (zc_brief() ? 400 : 2000),
		.engine = "rate=0",
	});
}

/* The cyclic sender is paced, so that it can be kept full. */
TEST_F(flow, loops_back_from_a_cyclic_ring)
{
	loops_back(_metadata, self->buf, (struct loop){
		.period = 4000,
		.bytes = 4000 * 120,
		.engine = zc_lacks("counted") ? "rate=100000" : "rate=400000",
	});
}

/* A queued sender sends what was written and not a byte more, whole periods or not. */
TEST_F(flow, that_is_queued_ends_exactly)
{
	int tx, rx;

	tx = port_open("t-tx", 0, 0);
	ASSERT_LE(0, tx);
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 1024, 8192));
	sequence_write(self->buf, 0, 5001);
	ASSERT_EQ(5001, stream_write(tx, self->buf, 5001));
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(5001, stream_status(tx, ZCDMA_TX).out_moved);
	/* Again, from the beginning. */
	sequence_write(self->buf, 5001, 3);
	ASSERT_EQ(3, stream_write(tx, self->buf, 3));
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	close(tx);

	memset(self->buf, 0xee, 8192);
	rx = port_open("t-rx", 1000, 0);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, 417, 417 * 20));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_TRUE(moves_more(rx, ZCDMA_RX, 417 * 12 - 1));	/* all: 12 periods */
	ASSERT_EQ(5004, stream_read(rx, self->buf, 5004));
	EXPECT_TRUE(sequence_holds(self->buf, 0, 5004));
	EXPECT_EQ(-ETIMEDOUT, stream_read(rx, self->buf, 1));
	close(rx);
}

/* ---- waiting ---- */

TEST_F(flow, that_gets_nothing_times_out)
{
	__u64 start = zc_now_ms();
	int fd = port_open("t-rx", 600, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 64, 640));
	EXPECT_EQ(-ETIMEDOUT, stream_read(fd, self->buf, 64));
	EXPECT_LE(590, zc_now_ms() - start);
	/* The default is 10,000 ms. */
	EXPECT_GT(zc_lacks("counted") ? 10000 : 1400, zc_now_ms() - start);
	close(fd);
}

TEST_F_TIMEOUT(flow, that_cannot_get_rid_of_it_times_out, 60)
{
	int fd = port_open("t-tx", 600, 0);
	__u64 end = zc_now_ms() + PATIENCE;
	long got, done = 0;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 4096, 4 * 4096));
	/* The FIFO takes 16 KiB, the ring another 16: write() may time out before they are full. */
	while (done < FIFO + 4 * 4096) {
		ASSERT_GT(end, zc_now_ms());
		got = stream_write(fd, self->buf, FIFO + 4 * 4096 - done);
		ASSERT_TRUE(got > 0 || got == -ETIMEDOUT);
		done += got > 0 ? got : 0;
	}
	ASSERT_TRUE(moves_more(fd, ZCDMA_TX, FIFO - 1));
	EXPECT_EQ(-ETIMEDOUT, stream_write(fd, self->buf, 4096));
	EXPECT_EQ(-ETIMEDOUT, stream_do(fd, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(FIFO, stream_status(fd, ZCDMA_TX).out_moved);
	EXPECT_EQ(0, stream_do(fd, ZCDMA_TX, ZCDMA_STREAM_STOP));
	close(fd);
}

TEST_F(flow, does_not_block_when_asked)
{
	int tx = port_open("t-tx", 0, O_NONBLOCK);
	int rx = port_open("t-rx", 0, O_NONBLOCK);

	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, 1024, 4096));
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 1024, 4096));
	EXPECT_EQ(-EAGAIN, stream_read(rx, self->buf, 1024));
	EXPECT_EQ(0, zc_poll(rx, POLLIN | POLLOUT, 100));
	EXPECT_EQ(POLLOUT, zc_poll(tx, POLLIN | POLLOUT, PATIENCE));
	sequence_write(self->buf, 0, 2048);
	ASSERT_EQ(2048, stream_write(tx, self->buf, 2048));
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_START));
	EXPECT_EQ(POLLIN, zc_poll(rx, POLLIN, PATIENCE));
	EXPECT_EQ(1024, stream_read(rx, self->buf, 1024));
	EXPECT_TRUE(sequence_holds(self->buf, 0, 1024));
	close(tx);
	close(rx);
}

TEST_F(flow, reader_can_be_killed)
{
	pid_t pid;

	IN_CHILD(pid) {
		int fd = port_open("t-rx", 60000, 0);

		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!stream_setup(fd, ZCDMA_RX, 0, 1024, 4096));
		stream_read(fd, self->buf, 1024);
	}
	ASSERT_TRUE(zc_sleeps_in(pid, SYS_read));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
	pid = port_open("t-rx", 0, 0);
	EXPECT_LE(0, pid);
	close(pid);
}

/* ---- start, stop, pause ---- */

TEST_F(flow, stops_and_starts)
{
	__u64 at = 0;
	long got;
	int fd;

	/* The ring has room for five seconds. */
	ASSERT_EQ(0, softdma_rebuild("source=Y rate=20000"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 1000, 100000));
	ASSERT_TRUE(stream_goes_on(fd, self->buf, 5000, &at));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_STOP));
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, stream_status(fd, ZCDMA_RX).out_state);
	/* What is there can be read, and then it ends. */
	while ((got = stream_read(fd, self->buf, 1000)) > 0)
		;
	EXPECT_EQ(0, got);
	EXPECT_EQ(POLLIN, zc_poll(fd, POLLIN, 0));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(1000, stream_read(fd, self->buf, 1000));
	close(fd);
}

TEST_F(flow, pauses)
{
	__u64 moved, at = 0;
	int fd;

	/* The ring has room for five seconds. */
	ASSERT_EQ(0, softdma_rebuild("source=Y rate=50000 fifo=64"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 1000, 250000));
	EXPECT_EQ(-EBUSY, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	ASSERT_TRUE(stream_goes_on(fd, self->buf, 5000, &at));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(ZCDMA_STREAM_PAUSED, stream_status(fd, ZCDMA_RX).out_state);
	moved = stream_settled(fd, ZCDMA_RX).out_moved;
	zc_sleep_ms(200);	/* 10 periods' time */
	EXPECT_EQ(moved, stream_status(fd, ZCDMA_RX).out_moved);
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	EXPECT_TRUE(moves_more(fd, ZCDMA_RX, moved + 10000));
	close(fd);
}

/* ---- splice ---- */

enum { SPLICED = 4096 };	/* a page is given away as it is */

/* From the stream through a pipe into @out, without or with bytes that a CPU touches. */
static ssize_t move_period(int fd, int pipes[2], int out, bool by_splice, char *buf)
{
	ssize_t in, done, put;

	if (!by_splice) {
		in = stream_read(fd, buf, SPLICED);
		return in < 0 ? in : stream_write(out, buf, in);
	}
	in = splice(fd, NULL, pipes[1], NULL, SPLICED, 0);
	for (done = 0; done < in; done += put) {
		put = splice(pipes[0], NULL, out, NULL, in - done, 0);
		if (put <= 0)
			return -errno;
	}
	return in < 0 ? -errno : in;
}

/* Into a socket, and what comes out of that is intact. Return: what a CPU has copied. */
static __u64 goes_into_a_socket(struct __test_metadata *_metadata, char *buf, int fd,
				bool by_splice, __u64 *at)
{
	__u64 copied = stream_status(fd, ZCDMA_RX).out_copied, begin = *at;
	int pipes[2], sockets[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	while (*at < begin + 64 * SPLICED) {
		ssize_t in = move_period(fd, pipes, sockets[0], by_splice, buf);

		ASSERT_LT(0, in);
		ASSERT_EQ(in, recv(sockets[1], buf, in, MSG_WAITALL));
		ASSERT_TRUE(sequence_holds(buf, *at, in));
		*at += in;
	}
	close(pipes[0]);
	close(pipes[1]);
	close(sockets[0]);
	close(sockets[1]);
	copied = stream_status(fd, ZCDMA_RX).out_copied - copied;
	printf("# %s: %llu payload bytes, %llu copied out of the ring by a CPU\n",
	       by_splice ? "splice" : "read", (unsigned long long)(*at - begin),
	       (unsigned long long)copied);
	return copied;
}

static void is_spliced(struct __test_metadata *_metadata, char *buf, __u32 flags, bool expect_copy)
{
	__u64 at = 0, spliced;
	int fd;

	ASSERT_EQ(0, stream_source(1000000));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, flags, SPLICED, 62 * SPLICED));
	EXPECT_EQ(expect_copy ? 64 * SPLICED : 0,
		  goes_into_a_socket(_metadata, buf, fd, true, &at));
	spliced = at;
	EXPECT_EQ(64 * SPLICED, goes_into_a_socket(_metadata, buf, fd, false, &at));
	EXPECT_EQ(2 * spliced, at);
	EXPECT_EQ(0, stream_status(fd, ZCDMA_RX).out_lost);
	close(fd);
}

TEST_F(flow, that_is_queued_is_spliced_without_a_copy)
{
	is_spliced(_metadata, self->buf, ZCDMA_STREAM_QUEUED, false);
}

TEST_F(flow, that_is_cyclic_is_spliced_with_a_copy)
{
	is_spliced(_metadata, self->buf, 0, true);
}

TEST_F(flow, is_spliced_into_a_file)
{
	int pipes[2], fd, file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	__u64 at;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, stream_source(1000000));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, ZCDMA_STREAM_QUEUED, SPLICED, 62 * SPLICED));
	for (at = 0; at < 32 * SPLICED; at += SPLICED)
		ASSERT_EQ(SPLICED, move_period(fd, pipes, file, true, self->buf));
	EXPECT_EQ(0, stream_status(fd, ZCDMA_RX).out_copied);
	close(fd);
	ASSERT_EQ(at, pread(file, self->buf, 2 * at, 0));
	EXPECT_TRUE(sequence_holds(self->buf, 0, at));
	close(file);
	close(pipes[0]);
	close(pipes[1]);
}

/* It is splice() into a pipe by another name; the kernel has it for files otherwise. */
TEST_F(flow, is_sent_into_a_pipe)
{
	int pipes[2], fd;
	__u64 at;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, stream_source(1000000));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, ZCDMA_STREAM_QUEUED, SPLICED, 62 * SPLICED));
	for (at = 0; at < 32 * SPLICED; at += SPLICED) {
		ASSERT_EQ(SPLICED, sendfile(pipes[1], fd, NULL, SPLICED));
		ASSERT_EQ(SPLICED, stream_read(pipes[0], self->buf, SPLICED));
		ASSERT_TRUE(sequence_holds(self->buf, at, SPLICED));
	}
	EXPECT_EQ(0, stream_status(fd, ZCDMA_RX).out_copied);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

/* What is in a pipe stays what it was, however often the ring goes round. */
TEST_F(flow, leaves_what_was_spliced_alone)
{
	int pipes[2], fd;
	__u32 first;
	ssize_t in;

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=8000000"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 4096, 4 * 4096));
	ASSERT_EQ(0, pipe(pipes));
	do {
		in = splice(fd, NULL, pipes[1], NULL, 3 * 4096, 0);
	} while (in < 0 && errno == EPIPE);
	ASSERT_LT(0, in);
	/* The engine has been everywhere since then, more than twice. */
	EXPECT_TRUE(loses_more(fd, stream_status(fd, ZCDMA_RX).out_lost + 10));
	close(fd);
	ASSERT_EQ(in, stream_read(pipes[0], self->buf, in));
	memcpy(&first, self->buf, 4);
	EXPECT_TRUE(sequence_holds(self->buf, first * 4ULL, in));
	close(pipes[0]);
	close(pipes[1]);
}

/* ---- mmap ---- */

TEST_F(flow, is_consumed_from_the_mapped_ring)
{
	enum { PERIOD = 1000, PERIODS = 100 };
	__u64 at = 0, missing = 0, lost;
	struct zcdma_ring *ctl;
	char *ring;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=250000"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, PERIOD, PERIOD * PERIODS));
	ctl = stream_map_control(fd, ZCDMA_RX);
	ring = stream_map_ring(fd, ZCDMA_RX, PERIOD * PERIODS);
	ASSERT_NE(NULL, ctl);
	ASSERT_NE(NULL, ring);
	EXPECT_EQ(PERIOD, ctl->period_bytes);
	EXPECT_EQ(PERIODS, ctl->periods);
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	while (at < 2 * PERIODS) {
		__u64 head = __atomic_load_n(&ctl->head, __ATOMIC_ACQUIRE);

		if (head == at)
			zc_poll(fd, POLLIN, PATIENCE);
		while (at < head) {
			__u64 oldest;

			memcpy(self->buf, ring + at % PERIODS * PERIOD, PERIOD);
			oldest = __atomic_load_n(&ctl->oldest, __ATOMIC_ACQUIRE);
			if (oldest > at) { /* we were too late: what was copied may be torn */
				missing += oldest - at;
				at = oldest;
			} else {
				ASSERT_TRUE(sequence_holds(self->buf, at * PERIOD, PERIOD));
				at++;
			}
		}
		__atomic_store_n(&ctl->tail, at, __ATOMIC_RELEASE);
	}
	if (missing)
		TH_LOG("too late: %llu periods were lost", (unsigned long long)missing);
	EXPECT_TRUE(zc_lacks("counted") || !missing);
	EXPECT_LE(missing, ctl->lost);
	EXPECT_EQ(0, stream_status(fd, ZCDMA_RX).out_copied);

	/* Nobody takes anything out: the loss shows in the page, as large as it is. */
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	stream_settled(fd, ZCDMA_RX);
	at = at < ctl->oldest ? ctl->oldest : at;
	lost = ctl->lost;
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_RESUME));
	ASSERT_TRUE(loses_more(fd, lost + PERIODS / 2));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	stream_settled(fd, ZCDMA_RX);
	EXPECT_LT(lost + PERIODS / 2, ctl->lost);
	EXPECT_LT(at, ctl->oldest);
	EXPECT_EQ(ctl->oldest - at, ctl->lost - lost);

	/* The mapping outlives the stream, its file and its engine. */
	close(fd);
	EXPECT_EQ(0, softdma_unbind());
	EXPECT_EQ(0, softdma_bind());
	at = ring[PERIOD - 1];
	munmap(ring, PERIOD * PERIODS);
	munmap(ctl, sizeof(*ctl));
}

TEST_F(flow, is_fed_through_the_mapped_ring)
{
	enum { PERIOD = 1024, PERIODS = 64, FED = 40 };
	struct zcdma_ring *ctl;
	char *ring;
	int tx, rx;

	ASSERT_EQ(0, softdma_rebuild("rate=200000"));
	tx = port_open("t-tx", 0, 0);
	rx = port_open("t-rx", 0, 0);
	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, 0, PERIOD, PERIOD * PERIODS));
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, PERIOD, PERIOD * 256));
	ctl = stream_map_control(tx, ZCDMA_TX);
	ring = stream_map_ring(tx, ZCDMA_TX, PERIOD * PERIODS);
	ASSERT_NE(NULL, ctl);
	ASSERT_NE(NULL, ring);
	sequence_write(ring, 0, PERIOD * FED);
	__atomic_store_n(&ctl->head, FED, __ATOMIC_RELEASE);
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_LE(FED, ctl->tail);
	ASSERT_EQ(PERIOD * FED, stream_read(rx, self->buf, PERIOD * FED));
	EXPECT_TRUE(sequence_holds(self->buf, 0, PERIOD * FED));
	munmap(ring, PERIOD * PERIODS);
	munmap(ctl, sizeof(*ctl));
	close(tx);
	close(rx);
}

TEST_F(flow, maps_nothing_else)
{
	int fd = port_open("t-rx", 0, 0);
	char *ring;

	ASSERT_LE(0, fd);
	EXPECT_EQ(NULL, stream_map_ring(fd, ZCDMA_RX, 4096));
	EXPECT_EQ(ENODEV, errno);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 4096, 16384));
	EXPECT_EQ(NULL, stream_map_ring(fd, ZCDMA_RX, 16385));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, stream_map_ring(fd, ZCDMA_TX, 4096));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, ZCDMA_MMAP_RX_RING));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd,
				   ZCDMA_MMAP_RX_RING + 4096));
	EXPECT_EQ(EINVAL, errno);
	ring = stream_map_ring(fd, ZCDMA_RX, 16384);
	ASSERT_NE(NULL, ring);
	/* It can be made to grow, and there is nothing behind it. */
	ring = mremap(ring, 16384, 32768, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, ring);
	ring[16383] = 1;
	{
		pid_t pid;

		IN_CHILD(pid)
			ring[16384] = 1;
		EXPECT_EQ(-SIGBUS, zc_wait(pid));
	}
	munmap(ring, 32768);
	close(fd);
}

/* ---- loss ---- */

static void engine_leaves(struct __test_metadata *_metadata, char *buf, __u32 flags)
{
	long got;
	int fd;

	/* The ring has room for five seconds. */
	ASSERT_EQ(0, softdma_rebuild("source=Y rate=20000"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, flags, 1000, 100000));
	ASSERT_EQ(1000, stream_read(fd, buf, 1000));
	ASSERT_TRUE(moves_more(fd, ZCDMA_RX, 3000));
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(ZCDMA_STREAM_GONE, stream_status(fd, ZCDMA_RX).out_state);
	EXPECT_EQ(POLLHUP | POLLERR, zc_poll(fd, POLLIN, 0) & (POLLHUP | POLLERR));
	/* What came before can be had. */
	while ((got = stream_read(fd, buf, 1000)) > 0)
		;
	EXPECT_EQ(-ENODEV, got);
	EXPECT_EQ(-ENODEV, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(-EBUSY, port_open("t-rx", 0, 0));
	close(fd);
	EXPECT_EQ(-ENODEV, port_open("t-rx", 0, 0));
	EXPECT_EQ(0, softdma_bind());
	fd = port_open("t-rx", 0, 0);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(flow, whose_engine_leaves_says_so)
{
	engine_leaves(_metadata, self->buf, 0);
	engine_leaves(_metadata, self->buf, ZCDMA_STREAM_QUEUED);
}

static void *unbind_soon(void *unused)
{
	if (!zc_sleeps_in(getpid(), SYS_read))
		return "nobody waits";
	return (void *)(long)softdma_unbind();
}

TEST_F(flow, that_waits_is_woken_when_the_engine_leaves)
{
	int fd = port_open("t-rx", 60000, 0);
	__u64 start = zc_now_ms();
	pthread_t thread;
	void *err;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 1000, 100000));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind_soon, NULL));
	EXPECT_EQ(-ENODEV, stream_read(fd, self->buf, 1000));
	EXPECT_GE(PATIENCE, zc_now_ms() - start);
	pthread_join(thread, &err);
	EXPECT_EQ(NULL, err);
	EXPECT_EQ(0, softdma_bind());
	close(fd);
}

/* The engine reports an error: what came before it, then EIO. */
TEST_F(flow, that_fails_says_so)
{
	long got;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=1000000"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 1000, 100000));
	ASSERT_EQ(0, softdma_set("fail_nth", 5));
	while ((got = stream_read(fd, self->buf, 1000)) > 0)
		;
	EXPECT_EQ(-EIO, got);
	EXPECT_EQ(ZCDMA_STREAM_FAILED, stream_status(fd, ZCDMA_RX).out_state);
	EXPECT_EQ(4, stream_status(fd, ZCDMA_RX).out_head);
	close(fd);
}

/*
 * The engine is at a period before it says that it is done with the one before. What is
 * written to it then may be too late, and is told as lost, and so is what is skipped to be
 * ahead again.
 */
TEST_F_TIMEOUT(flow, that_is_late_is_told_so_even_if_the_engine_is_late_to_tell, 60)
{
	enum { LEN = 4096 };
	__u64 lost;
	char *got;
	int tx, rx;

	/* A second for each period, and four until the first is told. */
	ASSERT_EQ(0, softdma_rebuild("rate=4096"));
	ASSERT_EQ(0, softdma_set("late_calls", 4));
	tx = port_open("t-tx", 0, 0);
	rx = port_open("t-rx", 0, 0);
	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, 0, LEN, 16 * LEN));
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 16, 4096 * 16));
	sequence_write(self->buf, 0, 4 * LEN);
	got = self->buf + BUF_SIZE / 2;
	ASSERT_EQ(2 * LEN, stream_write(tx, self->buf, 2 * LEN));
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_START));
	/* The receiver has some of the third: there were zeros. */
	ASSERT_EQ(2 * LEN + 16, stream_read(rx, got, 2 * LEN + 16));
	EXPECT_TRUE(sequence_holds(got, 0, 2 * LEN));
	/* It stays there while we are late. */
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(0, stream_status(tx, ZCDMA_TX).out_lost);
	ASSERT_EQ(LEN, stream_write(tx, self->buf + 2 * LEN, LEN));
	EXPECT_EQ(1, stream_status(tx, ZCDMA_TX).out_lost);
	EXPECT_EQ(-EPIPE, stream_write(tx, self->buf, LEN));
	ASSERT_EQ(LEN, stream_write(tx, self->buf + 3 * LEN, LEN));
	lost = stream_status(tx, ZCDMA_TX).out_lost;
	EXPECT_LE(2, lost);
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_RESUME));
	EXPECT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	ASSERT_EQ(lost * LEN - 16, stream_read(rx, got, lost * LEN - 16));
	ASSERT_EQ(LEN, stream_read(rx, got, LEN));
	EXPECT_TRUE(sequence_holds(got, 3 * LEN, LEN));
	close(tx);
	close(rx);
}

/* ---- bad input ---- */

TEST_F(flow, wants_sane_sizes)
{
	int fd = port_open("t-loop", 0, 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, stream_setup(fd, ZCDMA_RX, 0, 12, 4096));		/* too small */
	EXPECT_EQ(-EINVAL, stream_setup(fd, ZCDMA_RX, 0, 1002, 65536));	/* no whole words */
	EXPECT_EQ(-EINVAL, stream_setup(fd, ZCDMA_RX, 0, 4096, 8191));	/* one period */
	EXPECT_EQ(-EINVAL, stream_setup(fd, ZCDMA_RX, 0, 16, 4097 * 16));
	EXPECT_EQ(-EINVAL, stream_setup(fd, ZCDMA_RX, 0, (1 << 20) + 4, 1 << 25));
	EXPECT_EQ(-EINVAL, stream_setup(fd, ZCDMA_RX, 0, 1 << 20, (1ULL << 32) + (2 << 20)));
	EXPECT_EQ(-EINVAL, stream_setup(fd, 0, 0, 4096, 65536));
	EXPECT_EQ(-EINVAL, stream_setup(fd, 3, 0, 4096, 65536));
	EXPECT_EQ(-EINVAL, stream_setup(fd, ZCDMA_RX, 1 << 7, 4096, 65536));
	EXPECT_EQ(-ENOTCONN, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 16, 32));
	EXPECT_EQ(-EEXIST, stream_setup(fd, ZCDMA_RX, 0, 16, 32));
	EXPECT_EQ(-EINVAL, stream_do(fd, ZCDMA_RX, 77));
	EXPECT_EQ(-EINVAL, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_DRAIN));
	/* Not a whole word is left over. */
	EXPECT_EQ(0, stream_setup(fd, ZCDMA_TX, ZCDMA_STREAM_QUEUED, 16, 32));
	EXPECT_EQ(3, stream_write(fd, "abc", 3));
	EXPECT_EQ(-EINVAL, stream_do(fd, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	EXPECT_EQ(-EFAULT, stream_write(fd, (void *)8, 5));
	close(fd);
}

TEST_F(flow, wants_a_port_that_goes_that_way)
{
	int fd = port_open("t-rx", 0, 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, stream_setup(fd, ZCDMA_TX, 0, 4096, 65536));
	EXPECT_EQ(-EINVAL, stream_write(fd, "x", 1));
	close(fd);
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTCONN, stream_setup(fd, ZCDMA_RX, 0, 4096, 65536));
	close(fd);
}

TEST_F(flow, is_charged_to_its_user)
{
	pid_t pid;

	ASSERT_EQ(0, port_give_to_all("t-rx"));
	IN_CHILD(pid) {
		int fd;

		zc_become_user(64 * 1024);
		fd = port_open("t-rx", 0, 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(stream_setup(fd, ZCDMA_RX, 0, 4096, 65536) == -ENOMEM);
		CHILD_CHECK(stream_setup(fd, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 16, 64 * 16) ==
			    -ENOMEM);
		CHILD_CHECK(!stream_setup(fd, ZCDMA_RX, 0, 4096, 60 * 1024));
		close(fd);
		fd = port_open("t-rx", 0, 0);
		CHILD_CHECK(!stream_setup(fd, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 4096, 14 * 4096));
	}
	EXPECT_EQ(0, zc_wait(pid));
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
