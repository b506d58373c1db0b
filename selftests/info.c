// SPDX-License-Identifier: GPL-2.0
/* What GET_INFO and QUERY_CHANNEL say, compared with what the module then does. */
#include <poll.h>
#include <sys/syscall.h>
#include <linux/io_uring.h>

#include "harness.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define EVERY_FEATURE (ZCDMA_FEATURE_COPY_FILL | ZCDMA_FEATURE_BUFFERS | \
		       ZCDMA_FEATURE_CHANNELS | ZCDMA_FEATURE_BARRIER | ZCDMA_FEATURE_URING | \
		       ZCDMA_FEATURE_DRAIN | ZCDMA_FEATURE_PORTS | ZCDMA_FEATURE_STREAMS | \
		       ZCDMA_FEATURE_SEND_RECV | ZCDMA_FEATURE_RUNS | ZCDMA_FEATURE_COPY_2D)

/* Bits 1 to 5: COPY, FILL, SEND, RECV, COPY_2D. */
#define EVERY_OPCODE	0x3e

FIXTURE(info) {
	int fd;				/* attached */
	int loose;			/* not attached */
};

FIXTURE_SETUP(info)
{
	self->fd = zc_session(zc_provider(), 7);
	ASSERT_LE(0, self->fd);
	self->loose = zc_open(0);
	ASSERT_LE(0, self->loose);
}

FIXTURE_TEARDOWN(info)
{
	close(self->fd);
	close(self->loose);
}

/* Does this kernel have io_uring? */
static bool has_io_uring(void)
{
	struct io_uring_params params = { 0 };
	int fd = syscall(__NR_io_uring_setup, 1, &params);

	return fd >= 0 && !close(fd);
}

/* Each bit is set and no other: a later feature gets a bit, and a test here. */
TEST_F(info, names_every_feature_and_no_other)
{
	__u64 wanted = EVERY_FEATURE;

	if (!has_io_uring())
		wanted &= ~ZCDMA_FEATURE_URING;
	EXPECT_EQ(wanted, zc_info(self->loose).out_features);
	EXPECT_EQ(wanted, zc_info(self->fd).out_features);
}

TEST_F(info, names_every_opcode_and_no_other)
{
	EXPECT_EQ(EVERY_OPCODE, zc_info(self->loose).out_opcodes);
	EXPECT_EQ(EVERY_OPCODE, zc_info(self->fd).out_opcodes);
}

/* The numbers of zcdma(4). */
TEST_F(info, gives_the_documented_limits)
{
	struct zcdma_get_info info = zc_info(self->loose);

	EXPECT_EQ(1 << 30, info.out_max_len);
	EXPECT_EQ(10 * 60 * 1000, info.out_max_deadline_ms);
	EXPECT_EQ(10 * 1000, info.out_default_deadline_ms);
	EXPECT_EQ(4096, info.out_max_queue_depth);
	EXPECT_EQ(256, info.out_queue_depth);
	EXPECT_EQ(7, zc_info(self->fd).out_queue_depth);
}

/* Accepted and not yet reaped: complete or not. */
TEST_F(info, counts_what_is_outstanding)
{
	char bytes[4] = { 0 };
	struct zcdma_op ops[4];
	struct zcdma_completion c[4];

	for (int i = 0; i < 4; i++)
		ops[i] = zc_fill_op(bytes + i, 1, 1, i);
	ASSERT_EQ(0, zc_submit(self->fd, ops, 4, NULL));
	EXPECT_EQ(4, zc_outstanding(self->fd));
	ASSERT_EQ(POLLIN, zc_poll(self->fd, POLLIN, 20000));
	EXPECT_EQ(4, zc_outstanding(self->fd));
	ASSERT_EQ(1, zc_read(self->fd, c, 1));
	EXPECT_EQ(3, zc_outstanding(self->fd));
	EXPECT_EQ(3, zc_reap(self->fd, c, 3, 20000));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* One session sees its own ops alone. */
TEST_F(info, counts_no_ops_of_others)
{
	int other = zc_session(zc_provider(), 0);
	struct zcdma_completion c;
	struct zcdma_op op;
	char byte;

	ASSERT_LE(0, other);
	op = zc_fill_op(&byte, 1, 1, 0);
	ASSERT_EQ(0, zc_submit(other, &op, 1, NULL));
	EXPECT_EQ(0, zc_outstanding(self->fd));
	EXPECT_EQ(1, zc_outstanding(other));
	EXPECT_EQ(1, zc_reap(other, &c, 1, 20000));
	close(other);
}

/* ---- one channel ---- */

FIXTURE(query) {
	struct zcdma_query_channel q;
};

FIXTURE_SETUP(query)
{
	ASSERT_EQ(0, softdma_reset());
}

FIXTURE_TEARDOWN(query)
{
	EXPECT_EQ(0, softdma_reset());
}

/* Both alignments are those that the engine was built with, 1 without any. */
TEST_F(query, tells_the_alignment_of_copies_and_of_fills)
{
	static const unsigned int aligns[] = { 1, 2, 8, 64, 256 };

	for (size_t i = 0; i < ARRAY_SIZE(aligns); i++) {
		char parameter[32];

		snprintf(parameter, sizeof(parameter), "align=%u", aligns[i]);
		ASSERT_EQ(0, softdma_rebuild(parameter));
		ASSERT_EQ(0, zc_query("softdma", &self->q));
		EXPECT_EQ(aligns[i], self->q.out_copy_align);
		EXPECT_EQ(aligns[i], self->q.out_fill_align);
	}
}

TEST_F(query, tells_the_longest_segment)
{
	ASSERT_EQ(0, softdma_rebuild("max_segment=12345"));
	ASSERT_EQ(0, zc_query("softdma", &self->q));
	EXPECT_EQ(12345, self->q.out_max_segment);
}

TEST_F(query, tells_how_fine_the_residue_is)
{
	ASSERT_EQ(0, softdma_rebuild("coarse_residue=Y"));
	ASSERT_EQ(0, zc_query("softdma", &self->q));
	EXPECT_EQ(ZCDMA_RESIDUE_DESCRIPTOR, self->q.out_residue);
	ASSERT_EQ(0, softdma_rebuild("coarse_residue=N"));
	ASSERT_EQ(0, zc_query("softdma", &self->q));
	EXPECT_EQ(ZCDMA_RESIDUE_BURST, self->q.out_residue);
}

/* Each bit of the capabilities that softdma has, and those that it lacks. */
TEST_F(query, tells_what_the_engine_can_do)
{
	const __u64 usual = ZCDMA_CAP_COPY | ZCDMA_CAP_FILL | ZCDMA_CAP_SLAVE | ZCDMA_CAP_CYCLIC |
			    ZCDMA_CAP_TERMINATE | ZCDMA_CAP_PAUSE;

	ASSERT_EQ(0, zc_query("softdma", &self->q));
	EXPECT_EQ(usual, self->q.out_caps & ~ZCDMA_CAP_COHERENT);
	ASSERT_EQ(0, softdma_rebuild("no_memset=Y unordered=Y"));
	ASSERT_EQ(0, zc_query("softdma", &self->q));
	EXPECT_EQ((usual | ZCDMA_CAP_UNORDERED) & ~ZCDMA_CAP_FILL,
		  self->q.out_caps & ~ZCDMA_CAP_COHERENT);
	ASSERT_EQ(0, softdma_rebuild("no_memset=N unordered=N no_terminate=Y"));
	ASSERT_EQ(0, zc_query("softdma", &self->q));
	EXPECT_FALSE(self->q.out_caps & ZCDMA_CAP_TERMINATE);
}

/* Four channels: free, shared by two, exclusive, and a port's. */
TEST_F(query, tells_who_has_a_channel)
{
	struct zcdma_attach exclusive = { .flags = ZCDMA_ATTACH_EXCLUSIVE };
	struct zcdma_query_channel q[4];
	struct zcdma_query_channel at;
	unsigned int n = 0;
	int fds[4];

	ASSERT_EQ(0, softdma_rebuild(""));
	ASSERT_EQ(0, port_make("t-port", 3, -1, ""));
	fds[0] = zc_open(0);
	for (__u32 i = 0; n < 4; i++) {
		at = (struct zcdma_query_channel){ .index = i };
		ASSERT_EQ(0, zc_ioctl(fds[0], ZCDMA_IOC_QUERY_CHANNEL, &at));
		if (!strcmp(at.out_provider, "softdma"))
			q[n++] = at;
	}
	ASSERT_EQ(0, zc_attach(fds[0], q[1].out_name, 0));
	fds[1] = zc_session(q[1].out_name, 0);
	fds[2] = zc_open(0);
	strcpy(exclusive.name, q[2].out_name);
	ASSERT_EQ(0, zc_ioctl(fds[2], ZCDMA_IOC_ATTACH, &exclusive));
	fds[3] = port_open("t-port", 0, 0);
	ASSERT_LE(0, fds[1]);
	ASSERT_LE(0, fds[3]);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, zc_query(q[i].out_name, &q[i]));
	EXPECT_EQ(ZCDMA_CHANNEL_FREE, q[0].out_state);
	EXPECT_EQ(0, q[0].out_sessions);
	EXPECT_EQ(ZCDMA_CHANNEL_SHARED, q[1].out_state);
	EXPECT_EQ(2, q[1].out_sessions);
	EXPECT_EQ(ZCDMA_CHANNEL_EXCLUSIVE, q[2].out_state);
	EXPECT_EQ(1, q[2].out_sessions);
	EXPECT_EQ(ZCDMA_CHANNEL_EXCLUSIVE, q[3].out_state);
	EXPECT_EQ(1, q[3].out_sessions);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	EXPECT_EQ(0, port_drop("t-port"));
}

ZC_TEST_MAIN
