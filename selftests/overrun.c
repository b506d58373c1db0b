// SPDX-License-Identifier: GPL-2.0
/*
 * Streams whose reader is too slow, on the software engine's source, which never waits.
 * How slow a reader may be depends on the machine: where time is counted the source is faster.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "port_util.h"
#include "softdma.h"
#include "stall.h"
#include "zcdma_util.h"

#define BUF_SIZE	(128UL << 10)
#define PATIENCE	20000	/* ms, for what should take no time at all */

FIXTURE(overrun) {
	char *buf;
};

FIXTURE_SETUP(overrun)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_set("violations", 0));
	ASSERT_EQ(0, port_make("t-rx", -1, 1, "width=1"));
	self->buf = zc_map(BUF_SIZE);
}

FIXTURE_TEARDOWN(overrun)
{
	EXPECT_EQ(0, softdma_get("violations"));
	EXPECT_EQ(0, port_drop("t-rx"));
	EXPECT_EQ(0, softdma_reset());
}

static __u64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* Wait until @periods were lost since the stream was made: false after PATIENCE. */
static bool loses(int fd, __u64 periods)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(fd, ZCDMA_RX).out_lost < periods) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* Wait until the head of a receiver is at @head: false after PATIENCE. */
static bool comes_to(int fd, __u64 head)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (stream_status(fd, ZCDMA_RX).out_head < head) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* Where a reader is, and what it has noticed. */
struct reader {
	int fd;
	__u32 period;
	__u64 at;		/* bytes of the source, those that were lost included */
	__u64 missing;		/* periods of them */
	unsigned int told;	/* how often it was told that some are missing */
	__u64 known;		/* what was counted before it was told last */
};

/*
 * Read a period: 1, or 0 at the end, perhaps with a part of one, or -1 if it is torn, or if
 * periods are missing that were not told of, or were told of twice or are not missing.
 */
static int next_period(struct reader *r, char *buf)
{
	unsigned int told = 0;
	__u64 missing, before;
	__u32 word;
	long got;

	for (;; told++) {
		before = stream_status(r->fd, ZCDMA_RX).out_lost;
		got = stream_read(r->fd, buf, r->period);
		if (got != -EPIPE)
			break;
		if (stream_status(r->fd, ZCDMA_RX).out_lost <= r->known)
			return -1;
		r->known = before;
	}
	if (!got)
		return 0;
	/* What had come of one when it was stopped has less. */
	if (got != r->period && stream_status(r->fd, ZCDMA_RX).out_state != ZCDMA_STREAM_STOPPED)
		return -1;
	if (got < 4)
		return 0;
	memcpy(&word, buf, 4);
	missing = (word * 4ULL - r->at) / r->period;
	r->at += missing * r->period;
	r->missing += missing;
	r->told += told;
	if (!told != !missing || !sequence_holds(buf, r->at, got))
		return -1;
	r->at += got;
	return got == r->period;
}

/*
 * The reader stops until it has lost a ring, or several where the machine is fast. What is lost is
 * told once, what follows is intact, and at the end exactly that was counted. (A busy machine may
 * make the reader stop when we do not, which changes nothing of this.)
 */
static void reader_stops(struct __test_metadata *_metadata, char *buf, __u32 flags,
			 __u32 period, __u32 ring)
{
	__u32 least = ring / period * (zc_lacks("counted") ? 1 : 5);
	struct reader r = { .period = period };
	__u64 missing;
	int got;

	ASSERT_EQ(0, stream_source(4000000));
	r.fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, r.fd);
	ASSERT_EQ(0, stream_setup(r.fd, ZCDMA_RX, flags, period, ring));
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 20; i++)
			ASSERT_EQ(1, next_period(&r, buf));
		ASSERT_TRUE(loses(r.fd, stream_status(r.fd, ZCDMA_RX).out_lost + least));
		ASSERT_EQ(POLLPRI | POLLIN, zc_poll(r.fd, POLLPRI | POLLIN, 0));
		missing = r.missing;
		ASSERT_EQ(1, next_period(&r, buf));
		EXPECT_LE(least, r.missing - missing);
	}
	ASSERT_EQ(0, stream_do(r.fd, ZCDMA_RX, ZCDMA_STREAM_STOP));
	while ((got = next_period(&r, buf)) == 1)
		;
	EXPECT_EQ(0, got);
	EXPECT_EQ(r.missing, stream_status(r.fd, ZCDMA_RX).out_lost);
	TH_LOG("%llu periods of %u bytes lost, told %u times",
	       (unsigned long long)r.missing, period, r.told);
	close(r.fd);
}

TEST_F(overrun, counts_exactly_what_a_slow_reader_of_a_cyclic_ring_loses)
{
	reader_stops(_metadata, self->buf, 0, 1000, 100000);
	if (!zc_brief())
		reader_stops(_metadata, self->buf, 0, 4096, 128 * 1024);
}

TEST_F(overrun, counts_exactly_what_a_slow_reader_of_a_queued_ring_loses)
{
	reader_stops(_metadata, self->buf, ZCDMA_STREAM_QUEUED, 4096, 128 * 1024);
	if (!zc_brief())
		reader_stops(_metadata, self->buf, ZCDMA_STREAM_QUEUED, 1000, 100000);
}

/* Where reading is interrupted by a loss, no call returns bytes of both sides of it. */
TEST_F(overrun, is_never_torn)
{
	unsigned int tears = 0;
	__u64 at = 0, lost = 0;
	__u64 start;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=0 fifo=64"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 4096, 8 * 4096));
	start = zc_now_ms();
	while (zc_now_ms() < start + (tears ? 1000 : PATIENCE)) {
		long got = stream_read(fd, self->buf, 4096);
		struct zcdma_stream_status status;
		__u32 word;

		if (got == -EPIPE) {
			tears++;
			continue;
		}
		ASSERT_EQ(4096, got);
		memcpy(&word, self->buf, 4);
		ASSERT_TRUE(sequence_holds(self->buf, word * 4ULL, 4096));
		ASSERT_EQ(0, word * 4ULL % 4096);
		status = stream_status(fd, ZCDMA_RX);
		/* What is missing so far was counted, and more may be by now. */
		ASSERT_LE((word * 4ULL - at) / 4096, status.out_lost - lost);
		lost += (word * 4ULL - at) / 4096;
		at = word * 4ULL + 4096;
	}
	EXPECT_LT(0, tears);
	printf("# %u overruns, %llu periods lost, %llu read\n", tears, (unsigned long long)lost,
	       (unsigned long long)at / 4096 - lost);
	close(fd);
}

/*
 * A read() of several periods is in a page fault while the ring runs over several times. It
 * returns what it has moved before, and the next one is told of the loss: it is not silent.
 */
TEST_F_TIMEOUT(overrun, during_a_read_is_told_by_the_next, 60)
{
	enum { PERIOD = 4096, PERIODS = 8 };
	char *buf = zc_map(PERIODS * PERIOD);
	int fd, stall, entered[2];
	pid_t pid;
	long got;

	ASSERT_EQ(0, pipe(entered));
	ASSERT_EQ(0, softdma_rebuild("source=Y rate=400000"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, PERIOD, PERIODS * PERIOD));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_TRUE(comes_to(fd, 4));
	/* The second period that is read stalls, for six rings. */
	stall = stall_begin(buf + PERIOD, PERIOD);
	IN_CHILD(pid) {
		CHILD_CHECK(stall_is_entered(stall, PATIENCE));
		CHILD_CHECK(write(entered[1], "", 1) == 1);
		CHILD_CHECK(loses(fd, stream_status(fd, ZCDMA_RX).out_lost + 6 * PERIODS));
	}
	close(stall);
	do {	/* it may be late already, before the first or the second */
		got = read(fd, buf, 3 * PERIOD);
	} while ((got == PERIOD || (got < 0 && errno == EPIPE)) &&
		 !zc_poll(entered[0], POLLIN, 0));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_LE(PERIOD, got);
	got = read(fd, buf, PERIOD);
	EXPECT_EQ(-1, got);
	EXPECT_EQ(EPIPE, errno);
	close(entered[0]);
	close(entered[1]);
	close(fd);
}

/*
 * A sender that is late again and again, as its periods are shorter than it takes to wake up: where
 * time is counted that is so because somebody else has the CPU. Each write() that succeeds though a
 * period was lost before it has swallowed the loss.
 */
TEST_F(overrun, of_a_sender_is_told_by_the_next_write)
{
	__u64 end = zc_now_ms() + 8000, known = 0, lost = 0;
	unsigned int told = 0, swallowed = 0;
	pid_t spinner;
	int tx, rx;

	ASSERT_EQ(0, port_make("t-tx", 0, -1, "width=1"));
	ASSERT_EQ(0, softdma_rebuild("rate=200000"));
	IN_CHILD(spinner)
		for (;;)
			;
	ASSERT_EQ(19, nice(19));
	tx = port_open("t-tx", 0, 0);
	rx = port_open("t-rx", 0, 0);
	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, 4096, 8 * 4096));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, 0, 64, 4 * 64));
	while (zc_now_ms() < end && !swallowed) {
		ssize_t got = write(tx, self->buf, 16384);

		if (got < 0) {
			ASSERT_EQ(EPIPE, errno);
			known = stream_status(tx, ZCDMA_TX).out_lost;
			told++;
		} else if (lost > known) {
			swallowed++;
		}
		lost = stream_status(tx, ZCDMA_TX).out_lost;
	}
	kill(spinner, SIGKILL);
	EXPECT_EQ(-SIGKILL, zc_wait(spinner));
	EXPECT_LT(0, told + swallowed);
	EXPECT_EQ(0, swallowed) {
		TH_LOG("told %u times before", told);
	}
	close(tx);
	close(rx);
	EXPECT_EQ(0, port_drop("t-tx"));
}

/*
 * A ring of three, which the engine goes round at half a second for each period. Its callbacks come
 * @late periods late: with the first that says it has filled @head of them it begins with the first
 * place again, and is made to stand there, half way. Return: a descriptor. (A guest that gets no
 * CPU may be too late for that. Then the next callback has come, and all begins anew.)
 */
static int stand_in_the_first_place(struct __test_metadata *_metadata, const char *more,
				    __u32 late, __u64 head)
{
	enum { PERIOD = 4096 };
	__u64 end = zc_now_ms() + PATIENCE;
	char traits[80];
	int fd = -1;

	snprintf(traits, sizeof(traits), "source=Y rate=%u fifo=64 %s", 2 * PERIOD, more);
	do {
		ASSERT_GT(end, zc_now_ms());
		close(fd);
		ASSERT_EQ(0, softdma_rebuild(traits));
		ASSERT_EQ(0, softdma_set("late_calls", late));
		fd = port_open("t-rx", 0, 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, PERIOD, 3 * PERIOD));
		ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
		ASSERT_TRUE(comes_to(fd, head));
		zc_sleep_ms(250);
		ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
	} while (stream_settled(fd, ZCDMA_RX).out_head != head);
	return fd;
}

/* Where it cannot be asked, its callback may be late: it may write to the oldest period already. */
TEST_F_TIMEOUT(overrun, keeps_a_period_less_where_the_engine_does_not_tell, 60)
{
	enum { PERIOD = 4096 };
	static const struct {
		const char *traits;
		__u32 kept;
	} engines[] = {
		{ "source=Y rate=400000 coarse_residue=Y", 1 },
		{ "source=Y rate=400000 coarse_residue=N", 2 },
	};

	struct zcdma_stream_status status;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		ASSERT_EQ(0, softdma_rebuild(engines[i].traits));
		fd = port_open("t-rx", 0, 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 1024, 3 * 1024));
		ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
		ASSERT_TRUE(loses(fd, 1));
		ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_PAUSE));
		status = stream_settled(fd, ZCDMA_RX);
		EXPECT_EQ(engines[i].kept, status.out_head - status.out_tail);
		close(fd);
	}
	/* That is why: what is there now of the oldest period is torn, and is not to be had. */
	fd = stand_in_the_first_place(_metadata, "coarse_residue=Y", 1, 2);
	status = stream_status(fd, ZCDMA_RX);
	EXPECT_EQ(1, status.out_lost);
	EXPECT_EQ(-EPIPE, stream_read(fd, self->buf, PERIOD));
	EXPECT_EQ(PERIOD, stream_read(fd, self->buf, PERIOD));
	EXPECT_TRUE(sequence_holds(self->buf, PERIOD, PERIOD));
	close(fd);
	ASSERT_EQ(0, softdma_set("late_calls", 0));
}

/*
 * STOP at any moment, of a ring that is full as nobody reads: what can be read afterwards is the
 * end of what came, whole and without a gap. It is all but the period that the engine was at, and
 * one more where it does not stand still when it is paused.
 */
TEST_F(overrun, leaves_whole_periods_at_stop)
{
	enum { PERIOD = 1024, PERIODS = 16 };
	unsigned int rounds = zc_brief() ? 50 : 300, kept = 0;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=0 fifo=64"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, PERIOD, PERIODS * PERIOD));
	srand(1);
	for (unsigned int round = 0; round < rounds; round++) {
		__u64 end, at = 0, before = stream_status(fd, ZCDMA_RX).out_lost;
		unsigned int left = 0;
		long got;

		ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_START));
		ASSERT_TRUE(loses(fd, before + 1));
		end = now_us() + rand() % 2000;
		while (now_us() < end)
			;
		ASSERT_EQ(0, stream_do(fd, ZCDMA_RX, ZCDMA_STREAM_STOP));
		while ((got = stream_read(fd, self->buf, PERIOD))) {
			__u32 word;

			if (got == -EPIPE)
				continue;
			ASSERT_EQ(PERIOD, got);
			memcpy(&word, self->buf, 4);
			ASSERT_TRUE(!at || at == word * 4ULL);
			at = word * 4ULL;
			ASSERT_TRUE(sequence_holds(self->buf, at, PERIOD));
			at += PERIOD;
			left++;
		}
		ASSERT_LE(PERIODS - 2, left);
		kept += left;
	}
	TH_LOG("%u periods after %u times", kept, rounds);
	close(fd);
}

/*
 * Callbacks are late, so that the engine writes where, by them, it is not. What it writes to is not
 * read as if it were whole.
 */
TEST_F_TIMEOUT(overrun, is_noticed_though_callbacks_are_late, 90)
{
	for (int round = 0; round < 3; round++) {
		int fd = stand_in_the_first_place(_metadata, "", 2, 1);
		struct zcdma_stream_status status = stream_status(fd, ZCDMA_RX);

		EXPECT_EQ(0, status.out_tail);
		EXPECT_EQ(0, status.out_lost);
		EXPECT_EQ(-EPIPE, stream_read(fd, self->buf, 4096));
		status = stream_status(fd, ZCDMA_RX);
		EXPECT_EQ(1, status.out_tail);
		EXPECT_EQ(1, status.out_lost);
		close(fd);
	}
	ASSERT_EQ(0, softdma_set("late_calls", 0));
}

/*
 * A sender that is fed through the mapped ring was behind by many rings. What it publishes
 * then takes the kernel no longer than usual: nothing is done for each period that was lost.
 */
TEST_F(overrun, of_a_mapped_sender_takes_no_time_for_each_lost_period)
{
	enum { LOST = 100000, PERIODS = 4096 };
	__u64 usual = 0, took = 0;
	struct zcdma_ring *ctl;
	int tx, rx;

	if (zc_lacks("counted"))
		SKIP(return, "lacks counted: time is the host's");
	ASSERT_EQ(0, port_make("t-tx", 0, -1, "width=1"));
	ASSERT_EQ(0, softdma_rebuild(""));
	tx = port_open("t-tx", 0, 0);
	rx = port_open("t-rx", 0, 0);
	ASSERT_LE(0, tx);
	ASSERT_LE(0, rx);
	ASSERT_EQ(0, stream_setup(rx, ZCDMA_RX, 0, 65536, 8 * 65536));
	ASSERT_EQ(0, stream_do(rx, ZCDMA_RX, ZCDMA_STREAM_START));
	ASSERT_EQ(0, stream_setup(tx, ZCDMA_TX, 0, 16, PERIODS * 16));
	ctl = stream_map_control(tx, ZCDMA_TX);
	ASSERT_NE(NULL, ctl);
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_START));
	while (stream_status(tx, ZCDMA_TX).out_tail < LOST)
		zc_sleep_ms(10);
	ASSERT_EQ(0, stream_do(tx, ZCDMA_TX, ZCDMA_STREAM_PAUSE));
	stream_settled(tx, ZCDMA_TX);
	for (int lag = 2; lag < 5; lag++) {
		__u64 start;

		/* After the first time nothing more was lost: that is what it takes usually. */
		__atomic_store_n(&ctl->head, ctl->tail + lag, __ATOMIC_RELEASE);
		start = now_us();
		zc_poll(tx, POLLOUT, 0);
		usual = now_us() - start;
		took = took ?: usual;
	}
	TH_LOG("%llu us, usually %llu us", (unsigned long long)took, (unsigned long long)usual);
	EXPECT_GT(usual + LOST / 1000, took);
	munmap(ctl, sizeof(*ctl));
	close(tx);
	close(rx);
	EXPECT_EQ(0, port_drop("t-tx"));
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
