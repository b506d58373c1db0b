// SPDX-License-Identifier: GPL-2.0
/* Ops by io_uring: what comes back, what is refused, and how rings end. */
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(64 * PAGE)
#define PATIENCE	20000

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(uring) {
	struct io_uring ring;
	long pinned;
	int fd;
	char *src, *dst;
	int src_id, dst_id;
};

static int open_ring(struct io_uring *ring, unsigned int flags)
{
	return io_uring_queue_init(64, ring, flags);
}

FIXTURE_SETUP(uring)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	self->pinned = zc_pinned_baseline();
	ASSERT_EQ(0, open_ring(&self->ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32));
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
	self->src_id = zc_register(self->fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	self->dst_id = zc_register(self->fd, self->dst, SIZE, 0);
	ASSERT_LT(0, self->src_id);
	ASSERT_LT(0, self->dst_id);
}

FIXTURE_TEARDOWN(uring)
{
	EXPECT_EQ(0, softdma_reset());
	io_uring_queue_exit(&self->ring);
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/* What libzcdma's zcdma_prep_sqe() does, for a descriptor. */
static struct io_uring_sqe *prep(struct io_uring *ring, int fd, const struct zcdma_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	CHILD_CHECK(sqe);
	memset(sqe, 0, ring->flags & IORING_SETUP_SQE128 ? 128 : 64);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = ZCDMA_URING_OP;
	sqe->user_data = op->user_data;
	memcpy(sqe->cmd, op, ring->flags & IORING_SETUP_SQE128 ? sizeof(*op) : 16);
	return sqe;
}

/* The next completion: its user_data in *user_data, its extra word in *extra. */
static int reap(struct io_uring *ring, __u64 *user_data, __u64 *extra)
{
	struct __kernel_timespec patience = { .tv_sec = PATIENCE / 1000 };
	struct io_uring_cqe *cqe;
	int res = io_uring_wait_cqe_timeout(ring, &cqe, &patience);

	if (res)
		return res;
	res = cqe->res;
	if (user_data)
		*user_data = cqe->user_data;
	if (extra)
		*extra = cqe->big_cqe[0];
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static int do_op(struct io_uring *ring, int fd, struct zcdma_op op)
{
	__u64 user_data = 0;
	int res;

	op.user_data = 4711;
	prep(ring, fd, &op);
	if (io_uring_submit(ring) != 1)
		return -EPROTO;
	res = reap(ring, &user_data, NULL);
	return user_data == 4711 ? res : -EBADMSG;
}

static bool moved(const char *dst, size_t to, size_t from, size_t len)
{
	return pattern_holds(target, dst, 0, to) && pattern_holds(source, dst + to, from, len) &&
	       pattern_holds(target, dst + to + len, to + len, SIZE - to - len);
}

/* What the kernel has still to do for a ring that was closed is no signal. */
TEST_F(uring, that_was_closed_interrupts_no_wait)
{
	struct io_uring ring;

	ASSERT_EQ(0, softdma_set("delay_us", 500));
	for (int i = 0; i < 100; i++) {
		struct zcdma_op op = zc_buffer_op(self->dst_id, 0, self->src_id, 0, PAGE);

		ASSERT_EQ(0, open_ring(&ring, IORING_SETUP_SQE128));
		ASSERT_EQ(PAGE, do_op(&ring, self->fd, op));
		io_uring_queue_exit(&ring);
		ASSERT_EQ(0, zc_copy(self->fd, self->dst, self->src, PAGE));
	}
}

/* To a port and back, each registered and not; one that nothing comes for times out. */
TEST_F(uring, moves_to_a_port_and_back)
{
	struct zcdma_op send = { .opcode = ZCDMA_OP_SEND, .len = 9 * PAGE, .user_data = 1 };
	struct zcdma_op recv = { .opcode = ZCDMA_OP_RECV, .len = 9 * PAGE, .user_data = 2 };
	struct zcdma_op late = { .opcode = ZCDMA_OP_RECV, .len = PAGE, .deadline_ms = 2000 };
	__u64 extra = 0;
	int fd, id;

	ASSERT_EQ(0, softdma_rebuild(""));
	ASSERT_EQ(0, port_make("t-loop", 0, 1, "width=4"));
	fd = port_open("t-loop", 0, 0);
	ASSERT_LE(0, fd);
	for (int round = 0; round < 2; round++) {
		pattern_write(target, self->dst, 0, SIZE);
		id = round ? zc_register(fd, self->src, SIZE, 0) : 0;
		send.src_buffer = id;
		send.src = id ? PAGE + 4 : zc_ptr(self->src + PAGE + 4);
		id = round ? zc_register(fd, self->dst, SIZE, 0) : 0;
		recv.dst_buffer = id;
		recv.dst = id ? 8 : zc_ptr(self->dst + 8);
		prep(&self->ring, fd, &send);
		prep(&self->ring, fd, &recv);
		EXPECT_EQ(2, io_uring_submit(&self->ring));
		EXPECT_EQ(9 * PAGE, reap(&self->ring, NULL, NULL));
		EXPECT_EQ(9 * PAGE, reap(&self->ring, NULL, NULL));
		EXPECT_TRUE(moved(self->dst, 8, PAGE + 4, 9 * PAGE));
	}
	send.len = 100;
	EXPECT_EQ(100, do_op(&self->ring, fd, send));
	late.dst = zc_ptr(self->dst);
	prep(&self->ring, fd, &late);
	EXPECT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(-ETIMEDOUT, reap(&self->ring, NULL, &extra));
	EXPECT_EQ(100, (__u32)extra);
	/* A 32-bit kernel has no room for it. */
	if (sizeof(long) == 8)
		EXPECT_TRUE(extra >> 32 & ZCDMA_DONE_RESIDUE);
	EXPECT_EQ(-EOPNOTSUPP, do_op(&self->ring, fd, zc_buffer_op(recv.dst_buffer, 0,
								   send.src_buffer, 0, 64)));
	close(fd);
	EXPECT_EQ(0, port_drop("t-loop"));
}

TEST_F(uring, moves_registered_memory)
{
	const size_t lens[] = { 1, 100, PAGE, PAGE + 5, 20 * PAGE + 1 };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		pattern_write(target, self->dst, 0, SIZE);
		EXPECT_EQ(lens[i], do_op(&self->ring, self->fd,
					 zc_buffer_op(self->dst_id, 3, self->src_id, 7, lens[i])));
		EXPECT_TRUE(moved(self->dst, 3, 7, lens[i]));
	}
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(uring, moves_other_memory)
{
	EXPECT_EQ(5 * PAGE, do_op(&self->ring, self->fd,
				  zc_copy_op(self->dst + 9, self->src + 9, 5 * PAGE, 0)));
	EXPECT_TRUE(moved(self->dst, 9, 9, 5 * PAGE));
	EXPECT_EQ(PAGE, do_op(&self->ring, self->fd, zc_fill_op(self->dst, 0x5c, PAGE, 0)));
	EXPECT_TRUE(filled_with(0x5c, self->dst, PAGE));
}

/* Rows of registered memory, and of other; and with edges that a CPU moves. */
TEST_F(uring, moves_rows)
{
	for (int i = 0; i < 4; i++) {
		size_t stride = 1024, len = i % 2 ? 1000 : 512;
		struct zcdma_op op = zc_buffer_op(self->dst_id, 9, self->src_id, 3 * PAGE, len);

		if (i / 2)
			op = zc_copy_op(self->dst + 9, self->src + 3 * PAGE, len, 0);
		op.opcode = ZCDMA_OP_COPY_2D;
		op.rows = 100;
		op.src_stride = stride;
		op.dst_stride = stride;
		pattern_write(target, self->dst, 0, SIZE);
		EXPECT_EQ(100 * len, do_op(&self->ring, self->fd, op));
		for (size_t row = 0; row < 100; row++) {
			size_t at = 9 + row * stride, from = 3 * PAGE + row * stride;

			ASSERT_TRUE(pattern_holds(source, self->dst + at, from, len));
			ASSERT_TRUE(pattern_holds(target, self->dst + at + len, at + len,
						  stride - len));
		}
		EXPECT_TRUE(pattern_holds(target, self->dst, 0, 9));
	}
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(uring, takes_rows_of_no_other_op)
{
	struct zcdma_op ops[] = {
		zc_buffer_op(self->dst_id, 0, self->src_id, 0, 64),
		zc_copy_op(self->dst, self->src, 64, 0),
		zc_fill_op(self->dst, 1, 64, 0),
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		pattern_write(target, self->dst, 0, SIZE);
		ops[i].rows = 1;
		ops[i].src_stride = 64;
		ops[i].dst_stride = 64;
		EXPECT_EQ(-EINVAL, do_op(&self->ring, self->fd, ops[i]));
		ops[i].rows = 0;
		EXPECT_EQ(-EINVAL, do_op(&self->ring, self->fd, ops[i]));
		EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
		ops[i].src_stride = 0;
		ops[i].dst_stride = 0;
		EXPECT_EQ(64, do_op(&self->ring, self->fd, ops[i]));
	}
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(uring, tells_who_moved_it)
{
	struct zcdma_op op = zc_buffer_op(self->dst_id, 0, self->src_id, 0, PAGE);
	__u64 extra = 0;

	prep(&self->ring, self->fd, &op);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(PAGE, reap(&self->ring, NULL, &extra));
	EXPECT_EQ(PAGE, (__u32)extra);
	/* A 32-bit kernel has no room for it. */
	if (sizeof(long) == 8)
		EXPECT_TRUE(extra >> 32 & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE));
}

TEST_F_TIMEOUT(uring, takes_batches, 120)
{
	const int rounds = zc_lacks("bulk") ? 5 : 20;

	for (int round = 0; round < rounds; round++) {
		__u64 seen = 0;

		pattern_write(target, self->dst, 0, SIZE);
		for (int i = 0; i < 64; i++) {
			struct zcdma_op op = zc_buffer_op(self->dst_id, i * PAGE, self->src_id,
							i * PAGE, PAGE);

			op.user_data = i;
			prep(&self->ring, self->fd, &op);
		}
		ASSERT_EQ(64, io_uring_submit(&self->ring));
		for (int i = 0; i < 64; i++) {
			__u64 nr = 0;

			ASSERT_EQ(PAGE, reap(&self->ring, &nr, NULL));
			ASSERT_FALSE(seen >> nr & 1);
			seen |= 1ULL << nr;
		}
		ASSERT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	}
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* Of 40 that are handed in together, some are bad, and some are not like the others. */
TEST_F(uring, what_is_bad_in_a_batch_is_alone)
{
	const int number = 40;
	int wanted[40] = { 0 };

	for (int i = 0; i < number; i++) {
		struct zcdma_op op = zc_buffer_op(self->dst_id, i * PAGE, self->src_id, i * PAGE,
						PAGE);

		op.user_data = i;
		wanted[i] = PAGE;
		switch (i) {
		case 0:
		case 1:
		case 39:
			op.src_buffer = 99;
			wanted[i] = -EINVAL;
			break;
		case 7:
			op.dst = SIZE;
			wanted[i] = -EFAULT;
			break;
		case 12:
			op.flags = ZCDMA_OP_FLAG_BARRIER;
			break;
		case 20:
			op.dst_buffer = self->src_id;
			wanted[i] = -EFAULT;
			break;
		case 21:
			op.__reserved1 = 1;
			wanted[i] = -EINVAL;
			break;
		case 27:
			op = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
			break;
		}
		prep(&self->ring, self->fd, &op);
	}
	ASSERT_EQ(number, io_uring_submit(&self->ring));
	for (int i = 0; i < number; i++) {
		__u64 nr = number;
		int res = reap(&self->ring, &nr, NULL);

		ASSERT_GT(number, nr);
		EXPECT_EQ(wanted[nr], res);
		wanted[nr] = 0;
	}
	for (int i = 0; i < number; i++) {
		bool bad = i < 2 || i == 7 || i == 20 || i == 21 || i == 39;

		EXPECT_TRUE(pattern_holds(bad ? target : source, self->dst + i * PAGE, i * PAGE,
					  PAGE));
	}
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* A copy of what the one before it in the batch has copied. */
TEST_F(uring, barriers_hold_in_a_batch)
{
	for (int round = 0; round < 20; round++) {
		pattern_write(target, self->dst, 0, SIZE);
		for (int i = 0; i < 8; i++) {
			struct zcdma_op op = zc_buffer_op(self->dst_id, i * PAGE,
							i ? self->dst_id : self->src_id,
							i ? (i - 1) * PAGE : 0, PAGE);

			op.flags = i ? ZCDMA_OP_FLAG_BARRIER : 0;
			prep(&self->ring, self->fd, &op);
		}
		ASSERT_EQ(8, io_uring_submit(&self->ring));
		for (int i = 0; i < 8; i++)
			ASSERT_EQ(PAGE, reap(&self->ring, NULL, NULL));
		for (int i = 0; i < 8; i++)
			ASSERT_TRUE(pattern_holds(source, self->dst + i * PAGE, 0, PAGE));
	}
}

/* read() and poll() know nothing of them. */
TEST_F(uring, completions_come_by_the_ring_alone)
{
	struct zcdma_completion c;

	EXPECT_EQ(PAGE, do_op(&self->ring, self->fd,
			      zc_buffer_op(self->dst_id, 0, self->src_id, 0, PAGE)));
	EXPECT_EQ(0, zc_read(self->fd, &c, 1));
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN, 0));
}

TEST_F(uring, without_large_entries_is_refused)
{
	struct zcdma_op op = zc_buffer_op(self->dst_id, 0, self->src_id, 0, PAGE);
	struct io_uring small;

	ASSERT_EQ(0, open_ring(&small, 0));
	prep(&small, self->fd, &op);
	ASSERT_EQ(1, io_uring_submit(&small));
	EXPECT_EQ(-EINVAL, reap(&small, NULL, NULL));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	io_uring_queue_exit(&small);
}

TEST_F(uring, refuses_what_submit_refuses)
{
	struct zcdma_op good = zc_buffer_op(self->dst_id, 0, self->src_id, 0, PAGE), bad;
	struct io_uring_sqe *sqe;
	int loose = zc_open(0);

	EXPECT_EQ(-ENOTCONN, do_op(&self->ring, loose, good));
	close(loose);
	bad = good;
	bad.src_buffer = 99;
	EXPECT_EQ(-EINVAL, do_op(&self->ring, self->fd, bad));
	bad = good;
	bad.len = SIZE + 1;
	EXPECT_EQ(-EFAULT, do_op(&self->ring, self->fd, bad));
	bad = good;
	bad.__reserved2 = 1;
	EXPECT_EQ(-EINVAL, do_op(&self->ring, self->fd, bad));
	EXPECT_EQ(-EFAULT, do_op(&self->ring, self->fd, zc_copy_op(self->dst, NULL, PAGE, 0)));
	sqe = prep(&self->ring, self->fd, &good);
	((char *)sqe)[127] = 1;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(-EINVAL, reap(&self->ring, NULL, NULL));
	prep(&self->ring, self->fd, &good)->cmd_op++;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(-ENOTTY, reap(&self->ring, NULL, NULL));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(uring, says_that_the_queue_is_full)
{
	int fd = zc_session("softdma", 8), src, dst, full = 0;
	struct zcdma_op op;

	src = zc_register(fd, self->src, SIZE, 0);
	dst = zc_register(fd, self->dst, SIZE, 0);
	ASSERT_EQ(0, softdma_set("hang", 1));
	for (int i = 0; i < 12; i++) {
		op = zc_buffer_op(dst, i * PAGE, src, i * PAGE, PAGE);
		prep(&self->ring, fd, &op);
	}
	ASSERT_EQ(12, io_uring_submit(&self->ring));
	for (int i = 0; i < 4; i++)
		full += reap(&self->ring, NULL, NULL) == -EAGAIN;
	EXPECT_EQ(4, full);
	ASSERT_EQ(0, softdma_set("hang", 0));
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(PAGE, reap(&self->ring, NULL, NULL));
	close(fd);
}

/* Entries that are handed in with it and are none of ours take no room in the queue. */
TEST_F(uring, takes_places_for_ops_alone)
{
	int fd = zc_session("softdma", 64), src, dst;
	struct zcdma_op op;

	src = zc_register(fd, self->src, SIZE, 0);
	dst = zc_register(fd, self->dst, SIZE, 0);
	op = zc_buffer_op(dst, 0, src, 0, PAGE);
	ASSERT_EQ(0, softdma_set("hang", 1));
	prep(&self->ring, fd, &op);
	for (int i = 0; i < 20; i++)
		io_uring_prep_nop(io_uring_get_sqe(&self->ring));
	ASSERT_EQ(21, io_uring_submit(&self->ring));
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(0, reap(&self->ring, NULL, NULL));
	EXPECT_EQ(1, zc_outstanding(fd));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(PAGE, reap(&self->ring, NULL, NULL));
	close(fd);
}

/* ---- trouble ---- */

TEST_F(uring, reports_errors_of_the_engine)
{
	int fd = zc_session("softdma", 0);

	ASSERT_EQ(0, softdma_set("fail_nth", 1));
	EXPECT_EQ(-EIO, do_op(&self->ring, fd, zc_copy_op(self->dst, self->src, PAGE, 0)));
	close(fd);
}

TEST_F(uring, ends_at_the_deadline)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 0);
	int fd = zc_session("softdma", 0);

	op.deadline_ms = 600;
	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_EQ(-ETIMEDOUT, do_op(&self->ring, fd, op));
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	close(fd);
}

/* So many are outstanding: a thread of the ring's pins their memory. False after PATIENCE. */
static bool arrive(int fd, unsigned int nr)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (zc_outstanding(fd) != nr) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* Those of a ring as all others; their completions come by it all the same. */
TEST_F(uring, is_waited_for_by_drain)
{
	int fd = zc_session("softdma", 0);
	struct zcdma_op op;

	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	for (int i = 0; i < 2; i++) {
		op = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
		prep(&self->ring, fd, &op);
	}
	ASSERT_EQ(2, io_uring_submit(&self->ring));
	ASSERT_TRUE(arrive(fd, 2));
	ASSERT_TRUE(softdma_gets_descriptor());
	EXPECT_EQ(-ETIMEDOUT, zc_drain(fd, 200));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_drain(fd, PATIENCE));
	EXPECT_TRUE(moved(self->dst, 0, 0, 2 * PAGE));
	EXPECT_EQ(PAGE, reap(&self->ring, NULL, NULL));
	EXPECT_EQ(PAGE, reap(&self->ring, NULL, NULL));
	close(fd);
}

TEST_F(uring, can_be_cancelled_by_ioctl)
{
	int fd = zc_session("softdma", 0), err;
	__u64 end = zc_now_ms() + PATIENCE;
	struct zcdma_op op;
	__u64 nr = 0;

	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	for (int i = 0; i < 2; i++) {
		op = zc_copy_op(self->dst + i * PAGE, self->src, PAGE, i);
		prep(&self->ring, fd, &op);
		ASSERT_EQ(1, io_uring_submit(&self->ring));
		ASSERT_TRUE(arrive(fd, i + 1));
		ASSERT_TRUE(softdma_gets_descriptor());	/* not the second before the first */
	}
	/* It is counted before it is found, and that before the engine has no room for it. */
	do {
		err = zc_cancel(fd, 1, 0, NULL);
	} while ((err == -ENOENT || err == -EALREADY) && zc_now_ms() < end);
	EXPECT_EQ(0, err);
	EXPECT_EQ(-ECANCELED, reap(&self->ring, &nr, NULL));
	EXPECT_EQ(1, nr);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(PAGE, reap(&self->ring, NULL, NULL));
	close(fd);
}

TEST_F(uring, fails_when_the_engine_leaves)
{
	int fd = zc_session("softdma", 0), src, dst;
	struct zcdma_op op;

	src = zc_register(fd, self->src, SIZE, 0);
	dst = zc_register(fd, self->dst, SIZE, 0);
	ASSERT_EQ(0, softdma_set("hang", 1));
	op = zc_buffer_op(dst, 0, src, 0, PAGE);
	prep(&self->ring, fd, &op);
	op = zc_copy_op(self->dst + PAGE, self->src + PAGE, PAGE, 0);
	prep(&self->ring, fd, &op);
	ASSERT_EQ(2, io_uring_submit(&self->ring));
	zc_sleep_ms(50);
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(-ENODEV, reap(&self->ring, NULL, NULL));
	EXPECT_EQ(-ENODEV, reap(&self->ring, NULL, NULL));
	ASSERT_EQ(0, softdma_bind());
	close(fd);
}

/* A child with ops in flight, both kinds: then it does as it is told. */
static pid_t child_with_ops(struct io_uring *ring, char *dst, char *src, void (*end)(int fd))
{
	pid_t pid;

	IN_CHILD(pid) {
		int fd = zc_session("softdma", 0);
		struct zcdma_op op;
		int a, b;

		CHILD_CHECK(!open_ring(ring, IORING_SETUP_SQE128));
		a = zc_register(fd, src, SIZE, 0);
		b = zc_register(fd, dst, SIZE, 0);
		for (int i = 0; i < 8; i++) {
			op = zc_buffer_op(b, i * PAGE, a, i * PAGE, PAGE);
			prep(ring, fd, &op);
			op = zc_copy_op(dst + (8 + i) * PAGE, src, PAGE, i);
			prep(ring, fd, &op);
		}
		CHILD_CHECK(io_uring_submit(ring) == 16);
		zc_sleep_ms(50);
		end(fd);
	}
	return pid;
}

static void end_by_exit(int fd)
{
}

static void end_by_close(int fd)
{
	close(fd);
}

static void end_by_kill(int fd)
{
	raise(SIGKILL);
}

static void end_by_exec(int fd)
{
	execl("/bin/true", "true", NULL);
	_exit(1);
}

/* The ring is torn down with ops in flight: they end, and nothing is left. */
TEST_F(uring, ends_with_its_process)
{
	void (* const ends[])(int) = { end_by_exit, end_by_close, end_by_kill, end_by_exec };

	for (int delay = 0; delay < 2; delay++) {
		ASSERT_EQ(0, softdma_set("delay_us", delay ? 30000 : 0));
		for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
			long before = zc_pinned_pages();
			struct io_uring ring;
			pid_t pid = child_with_ops(&ring, self->dst, self->src, ends[i]);

			EXPECT_EQ(ends[i] == end_by_kill ? -SIGKILL : 0, zc_wait(pid));
			EXPECT_TRUE(zc_pinned_falls_to(before, PATIENCE)) {
				TH_LOG("way %zu", i);
			}
		}
	}
}

/* A flag that means something to io_uring and nothing to us is no op's. */
TEST_F(uring, op_with_a_flag_that_has_no_meaning_is_refused)
{
	struct zcdma_op op = zc_buffer_op(self->dst_id, 0, self->src_id, 0, PAGE);
	struct iovec memory = { self->src, SIZE };
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &memory, 1));
	sqe = prep(&self->ring, self->fd, &op);
	sqe->rw_flags = 1;	/* IORING_URING_CMD_FIXED: of buffer 0 */
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(-EINVAL, reap(&self->ring, NULL, NULL));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
}

/* Can this kernel cancel a command? From 6.7 on. */
static bool kernel_cancels(void)
{
	int major = 0, minor = 0;
	struct utsname name;

	CHILD_CHECK(!uname(&name) && sscanf(name.release, "%d.%d", &major, &minor) == 2);
	return major > 6 || (major == 6 && minor >= 7);
}

/*
 * Where a ring's op cannot be cancelled, whoever has it in flight lives as long as it does,
 * and the kernel warns after five minutes: so its deadline is a minute at most.
 */
TEST_F(uring, op_that_cannot_be_cancelled_has_a_deadline_of_a_minute_at_most)
{
	struct zcdma_op op = zc_buffer_op(self->dst_id, 0, self->src_id, 0, PAGE);

	op.deadline_ms = 60001;
	EXPECT_EQ(kernel_cancels() ? (int)PAGE : -EINVAL, do_op(&self->ring, self->fd, op));
	op.deadline_ms = 60000;
	EXPECT_EQ(PAGE, do_op(&self->ring, self->fd, op));
}

/*
 * Nothing comes from a port. Whoever waits for it by a ring and is killed gives the port back:
 * at once where the kernel can cancel the op, and when it times out elsewhere.
 */
TEST_F(uring, op_does_not_outlive_its_process)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_RECV, .dst = zc_ptr(self->dst), .len = PAGE,
		.deadline_ms = kernel_cancels() ? 20000 : 2000,
	};
	struct io_uring ring;
	pid_t pid;
	__u64 start;

	ASSERT_EQ(0, softdma_rebuild(""));
	ASSERT_EQ(0, port_make("t-rx", -1, 1, ""));
	IN_CHILD(pid) {
		int fd = port_open("t-rx", 0, 0);

		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!open_ring(&ring, IORING_SETUP_SQE128));
		prep(&ring, fd, &op);
		CHILD_CHECK(io_uring_submit(&ring) == 1);
		pause();
	}
	zc_sleep_ms(500);
	ASSERT_EQ(0, waitpid(pid, NULL, WNOHANG));
	start = zc_now_ms();
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
	/* The ring is taken apart by a worker. */
	while (port_drop("t-rx") == -EBUSY)
		zc_sleep_ms(10);
	EXPECT_GT(kernel_cancels() ? 2000 : 5000, zc_now_ms() - start);
}

/*
 * Ops of all sorts are outstanding at an engine that hangs, some of them queued: who is killed ends
 * within a second where the kernel can cancel them, and when they time out elsewhere. The memory
 * is the engine's until it is through.
 */
TEST_F(uring, process_with_ops_outstanding_ends_when_it_is_killed)
{
	struct zcdma_attach how = {
		.name = "softdma", .deadline_ms = kernel_cancels() ? 20000 : 2000,
	};
	long before = zc_pinned_pages();
	struct io_uring ring;
	__u64 start;
	pid_t pid;
	int other;

	/* Without it the channel is nobody's when the process ends, and its engine stopped. */
	other = zc_session_and_channel("softdma", 0, how.name);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, softdma_set("pool", 4));
	ASSERT_EQ(0, softdma_set("hang", 1));
	if (!kernel_cancels()) {
		zc_kmsg_expect(ZC_KMSG_HANGS);
		/* Once more for what was handed in so much later that it was not late then. */
		zc_kmsg_allow(ZC_KMSG_HANGS);
	}
	IN_CHILD(pid) {
		int fd = zc_open(0), a, b;
		struct zcdma_op op;

		CHILD_CHECK(!zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how));
		CHILD_CHECK(!open_ring(&ring, IORING_SETUP_SQE128));
		a = zc_register(fd, self->src, SIZE, 0);
		b = zc_register(fd, self->dst, SIZE, 0);
		for (int i = 0; i < 16; i++) {
			op = zc_buffer_op(b, i * PAGE, a, i * PAGE, PAGE);
			op.flags = i == 12 ? ZCDMA_OP_FLAG_BARRIER : 0;
			prep(&ring, fd, &op);
			op = zc_copy_op(self->dst + (16 + i) * PAGE, self->src, PAGE, i);
			prep(&ring, fd, &op);
		}
		CHILD_CHECK(io_uring_submit(&ring) == 32);
		pause();
	}
	zc_sleep_ms(500);
	ASSERT_EQ(0, waitpid(pid, NULL, WNOHANG));
	start = zc_now_ms();
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
	EXPECT_GT(kernel_cancels() ? 1000 : 5000, zc_now_ms() - start);
	EXPECT_TRUE(kernel_cancels() ? zc_pinned_pages() > before :
				       zc_kmsg_expected(ZC_KMSG_HANGS));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(zc_pinned_falls_to(before, PATIENCE));
	close(other);
}

ZC_TEST_MAIN
