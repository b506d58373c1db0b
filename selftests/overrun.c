// SPDX-License-Identifier: GPL-2.0
/*
 * Streams whose reader is too slow, on the software engine's source, which never waits.
 * How slow a reader may be depends on the machine: where it is to be as fast as is
 * promised, these tests run while the host does nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "kselftest_harness.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define BUF_SIZE	(128UL << 10)

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
 * Read a period: 1, or 0 at the end, or -1 if it is torn, or if periods are missing that
 * were not told of, or were told of twice or are not missing.
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
	if (got != r->period)
		return -1;
	memcpy(&word, buf, 4);
	missing = (word * 4ULL - r->at) / r->period;
	r->at += missing * r->period;
	r->missing += missing;
	r->told += told;
	if (!told != !missing || !sequence_holds(buf, r->at, r->period))
		return -1;
	r->at += r->period;
	return 1;
}

/*
 * The reader stops for 200 ms, or what is as long on a slow machine. What is lost is told
 * once, what follows is intact, and at the end exactly that was counted. (A busy machine
 * may make the reader stop when we do not, which changes nothing of this.)
 */
static void reader_stops(struct __test_metadata *_metadata, char *buf, __u32 flags,
			 __u32 period, __u32 ring)
{
	unsigned int stop = zc_lacks("speed") ? 400 : 200; /* ms */
	__u32 sent = (zc_lacks("speed") ? 500 : 4000) * stop; /* meanwhile */
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
		zc_sleep_ms(stop);
		ASSERT_EQ(POLLPRI | POLLIN, zc_poll(r.fd, POLLPRI | POLLIN, 0));
		missing = r.missing;
		ASSERT_EQ(1, next_period(&r, buf));
		/* What the ring has no room for; the engine is a thread, and may have to wait. */
		EXPECT_LT(0, r.missing - missing);
		EXPECT_LE((sent / 4 * 3 - ring) / period, r.missing - missing);
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
	__u64 end;
	int fd;

	ASSERT_EQ(0, softdma_rebuild("source=Y rate=0 fifo=64"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 4096, 8 * 4096));
	end = zc_now_ms() + 1000;
	while (zc_now_ms() < end) {
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

ZC_SOFTWARE_ENGINE_ONLY()
TEST_HARNESS_MAIN
