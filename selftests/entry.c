// SPDX-License-Identifier: GPL-2.0
/*
 * Entries of an io_uring that are ops, by the system calls alone (so 32-bit callers can be
 * built, too): what is behind the op in an entry, rings of each sort, and how entries of one
 * call get along.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "harness.h"
#include "pattern.h"
#include "softdma.h"
#include "stall.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(16 * PAGE)
#define PATIENCE	20000	/* ms */
#define ENTRIES		32
#define SQE_SIZE	128
#define CMD		48	/* where the entry's cmd field begins */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

/* ---- a ring ---- */

struct ring {
	int fd;
	struct io_uring_params p;
	char *queues;		/* of submission and completion */
	size_t size;		/* of those */
	char *sqes;
	unsigned int put;	/* entries that the kernel was not told of */
};

static int ring_open(struct ring *r, unsigned int flags)
{
	size_t size;

	*r = (struct ring){ .p.flags = flags | IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };
	r->fd = syscall(__NR_io_uring_setup, ENTRIES, &r->p);
	if (r->fd < 0)
		return -errno;
	size = r->p.cq_off.cqes + r->p.cq_entries * 32;
	if (size < r->p.sq_off.array + r->p.sq_entries * sizeof(__u32))
		size = r->p.sq_off.array + r->p.sq_entries * sizeof(__u32);
	r->size = size;
	r->queues = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
			 IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * SQE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	return r->queues == MAP_FAILED || r->sqes == MAP_FAILED ? -ENOMEM : 0;
}

/* Without its mappings, which keep it, and the session that is registered with it. */
static void ring_close(struct ring *r)
{
	if (r->fd < 0)
		return;
	munmap(r->queues, r->size);
	munmap(r->sqes, r->p.sq_entries * SQE_SIZE);
	close(r->fd);
}

static __u32 *sq_word(struct ring *r, __u32 offset)
{
	return (__u32 *)(r->queues + offset);
}

/* The next entry, all zeros. */
static struct io_uring_sqe *ring_next(struct ring *r)
{
	__u32 tail = *sq_word(r, r->p.sq_off.tail) + r->put;
	__u32 at = tail & (r->p.sq_entries - 1);
	struct io_uring_sqe *sqe = (void *)(r->sqes + at * SQE_SIZE);

	sq_word(r, r->p.sq_off.array)[at] = at;
	r->put++;
	memset(sqe, 0, SQE_SIZE);
	return sqe;
}

/* Hand in what was put: how many were taken, or -errno. */
static int ring_submit(struct ring *r)
{
	__u32 *tail = sq_word(r, r->p.sq_off.tail);
	unsigned int flags = 0, nr = r->put;
	int ret;

	__atomic_store_n(tail, *tail + nr, __ATOMIC_RELEASE);
	r->put = 0;
	if (r->p.flags & IORING_SETUP_SQPOLL)
		flags = IORING_ENTER_SQ_WAKEUP;
	ret = syscall(__NR_io_uring_enter, r->fd, nr, 0, flags, NULL, 0);
	return ret < 0 ? -errno : ret;
}

/* The next completion: its result, and the entry's user_data. -ETIME if none comes. */
static int ring_reap(struct ring *r, __u64 *user_data)
{
	__u32 *head = sq_word(r, r->p.cq_off.head);
	__u32 *tail = sq_word(r, r->p.cq_off.tail);
	__u64 end = zc_now_ms() + PATIENCE;
	struct io_uring_cqe *cqe;
	int res;

	while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE)) {
		/* Completions come in the context of who made the ring. */
		syscall(__NR_io_uring_enter, r->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
		if (*head != __atomic_load_n(tail, __ATOMIC_ACQUIRE))
			break;
		if (zc_now_ms() > end)
			return -ETIME;
		zc_sleep_ms(1);
	}
	cqe = (void *)(r->queues + r->p.cq_off.cqes + (*head & (r->p.cq_entries - 1)) * 32);
	res = cqe->res;
	if (user_data)
		*user_data = cqe->user_data;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return res;
}

static struct io_uring_sqe *put_op(struct ring *r, int fd, const struct zcdma_op *op)
{
	struct io_uring_sqe *sqe = ring_next(r);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = ZCDMA_URING_OP;
	sqe->user_data = op->user_data;
	memcpy(sqe->cmd, op, sizeof(*op));
	return sqe;
}

/* ---- ops ---- */

FIXTURE(entry) {
	struct ring ring;
	int fd, src_id, dst_id;
	char *src, *dst;
};

FIXTURE_SETUP(entry)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	ASSERT_TRUE(zc_pinned_falls_to(0, PATIENCE));
	self->ring.fd = -1;
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

FIXTURE_TEARDOWN(entry)
{
	EXPECT_EQ(0, softdma_reset());
	ring_close(&self->ring);
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(0, PATIENCE));
}

#define WORLD FIXTURE_DATA(entry)

/* Page @page of the source to the same of the target; both registered, or neither. */
static struct zcdma_op copy_page(const WORLD *self, int page, bool registered)
{
	size_t at = page * PAGE;
	struct zcdma_op op;

	if (!registered)
		return zc_copy_op(self->dst + at, self->src + at, PAGE, page);
	op = zc_buffer_op(self->dst_id, at, self->src_id, at, PAGE);
	op.user_data = page;
	return op;
}

static bool page_was_copied(const WORLD *self, int page)
{
	return pattern_holds(source, self->dst + page * PAGE, page * PAGE, PAGE);
}

static bool nothing_was_copied(const WORLD *self)
{
	return pattern_holds(target, self->dst, 0, SIZE);
}

/* Eight pages, every second one registered: each completes once, with its bytes. */
static void copies_right(struct __test_metadata *_metadata, WORLD *self, int fd, __u8 flags)
{
	unsigned int seen = 0;

	for (int page = 0; page < 8; page++) {
		struct zcdma_op op = copy_page(self, page, page % 2);

		put_op(&self->ring, fd, &op)->flags = flags;
	}
	ASSERT_EQ(8, ring_submit(&self->ring));
	for (int i = 0; i < 8; i++) {
		__u64 page = 8;

		EXPECT_EQ(PAGE, ring_reap(&self->ring, &page));
		ASSERT_GT(8, page);
		EXPECT_FALSE(seen >> page & 1);
		seen |= 1 << page;
		EXPECT_TRUE(page_was_copied(self, page));
	}
	EXPECT_TRUE(pattern_holds(target, self->dst + 8 * PAGE, 8 * PAGE, SIZE - 8 * PAGE));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* Each of the bytes between the op and the end of the entry. */
TEST_F(entry, must_be_zero_behind_the_op)
{
	const int behind = CMD + sizeof(struct zcdma_op);

	ASSERT_EQ(0, ring_open(&self->ring, 0));
	for (int at = behind; at < SQE_SIZE; at++)
		for (int registered = 0; registered < 2; registered++) {
			struct zcdma_op op = copy_page(self, 0, registered);

			((char *)put_op(&self->ring, self->fd, &op))[at] = 1 << at % 8;
			ASSERT_EQ(1, ring_submit(&self->ring));
			EXPECT_EQ(-EINVAL, ring_reap(&self->ring, NULL)) {
				TH_LOG("byte %d of the field", at - CMD);
			}
		}
	EXPECT_TRUE(nothing_was_copied(self));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* Those with such a byte in the midst of good ones are alone. */
TEST_F(entry, that_is_not_zero_behind_the_op_is_refused_alone)
{
	ASSERT_EQ(0, ring_open(&self->ring, 0));
	for (int page = 0; page < 8; page++) {
		struct zcdma_op op = copy_page(self, page, true);
		char *sqe = (char *)put_op(&self->ring, self->fd, &op);

		if (page == 3)
			sqe[CMD + 64] = 1;
		if (page == 5)
			sqe[CMD + 79] = 1;
	}
	ASSERT_EQ(8, ring_submit(&self->ring));
	for (int i = 0; i < 8; i++) {
		__u64 page = 8;
		int res = ring_reap(&self->ring, &page);

		EXPECT_EQ(page == 3 || page == 5 ? -EINVAL : (int)PAGE, res);
	}
	for (int page = 0; page < 8; page++)
		EXPECT_TRUE(page == 3 || page == 5 || page_was_copied(self, page));
	EXPECT_TRUE(pattern_holds(target, self->dst + 3 * PAGE, 3 * PAGE, PAGE));
	EXPECT_TRUE(pattern_holds(target, self->dst + 5 * PAGE, 5 * PAGE, PAGE));
}

/* The CQE has the entry's user_data; that of the op is not used. */
TEST_F(entry, user_data_is_that_of_the_entry)
{
	struct zcdma_op op = copy_page(self, 1, true);
	__u64 user_data = 0;

	ASSERT_EQ(0, ring_open(&self->ring, 0));
	op.user_data = 4711;
	put_op(&self->ring, self->fd, &op)->user_data = 815;
	ASSERT_EQ(1, ring_submit(&self->ring));
	EXPECT_EQ(PAGE, ring_reap(&self->ring, &user_data));
	EXPECT_EQ(815, user_data);
}

TEST_F(entry, of_an_ordinary_ring_copies)
{
	ASSERT_EQ(0, ring_open(&self->ring, 0));
	copies_right(_metadata, self, self->fd, 0);
}

/* ---- rings of each sort ---- */

/* A thread of the kernel's hands in what it finds: another task's memory is the program's. */
TEST_F(entry, of_a_ring_with_a_kernel_thread_copies)
{
	ASSERT_EQ(0, ring_open(&self->ring, IORING_SETUP_SQPOLL));
	copies_right(_metadata, self, self->fd, 0);
}

TEST_F(entry, that_is_pushed_to_a_worker_copies)
{
	ASSERT_EQ(0, ring_open(&self->ring, 0));
	copies_right(_metadata, self, self->fd, IOSQE_ASYNC);
}

TEST_F(entry, in_a_chain_copies)
{
	ASSERT_EQ(0, ring_open(&self->ring, 0));
	for (int page = 0; page < 4; page++) {
		struct zcdma_op op = copy_page(self, page, true);

		if (page) {
			op.src_buffer = self->dst_id;
			op.src = (page - 1) * PAGE;
		}
		put_op(&self->ring, self->fd, &op)->flags = page < 3 ? IOSQE_IO_LINK : 0;
	}
	ASSERT_EQ(4, ring_submit(&self->ring));
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(PAGE, ring_reap(&self->ring, NULL));
	for (int page = 0; page < 4; page++)
		EXPECT_TRUE(pattern_holds(source, self->dst + page * PAGE, 0, PAGE));
}

/* The session's descriptor by its place among the ring's registered files. */
TEST_F(entry, with_a_registered_file_copies)
{
	int fds[2];

	ASSERT_EQ(0, ring_open(&self->ring, 0));
	fds[0] = -1;
	fds[1] = self->fd;
	ASSERT_EQ(0, syscall(__NR_io_uring_register, self->ring.fd, IORING_REGISTER_FILES, fds, 2));
	copies_right(_metadata, self, 1, IOSQE_FIXED_FILE);
}

/* The ring, not the descriptor, keeps the session: ops complete after close(). */
TEST_F(entry, with_a_registered_file_outlives_the_descriptor)
{
	struct zcdma_op op = copy_page(self, 2, true);

	ASSERT_EQ(0, ring_open(&self->ring, 0));
	ASSERT_EQ(0, syscall(__NR_io_uring_register, self->ring.fd, IORING_REGISTER_FILES,
			     &self->fd, 1));
	close(self->fd);
	self->fd = -1;
	put_op(&self->ring, 0, &op)->flags = IOSQE_FIXED_FILE;
	ASSERT_EQ(1, ring_submit(&self->ring));
	EXPECT_EQ(PAGE, ring_reap(&self->ring, NULL));
	EXPECT_TRUE(page_was_copied(self, 2));
}

/* Who would have to ask for completions again and again is told that there is no such thing. */
TEST_F(entry, of_a_polled_ring_is_refused)
{
	struct zcdma_op op = copy_page(self, 0, true);
	int taken;

	ASSERT_EQ(0, ring_open(&self->ring, IORING_SETUP_IOPOLL));
	put_op(&self->ring, self->fd, &op);
	taken = ring_submit(&self->ring);
	EXPECT_EQ(1, taken);
	EXPECT_EQ(-EOPNOTSUPP, ring_reap(&self->ring, NULL));
	EXPECT_TRUE(nothing_was_copied(self));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* ---- entries of others in the same call ---- */

struct sleeper {
	int stall;
	const WORLD *self;
	bool asked;		/* the page was asked for */
	bool copied_by_then;	/* and when it was given the op had been done */
};

static bool done_soon(const WORLD *self)
{
	for (int i = 0; i < 500; i++) {
		if (!memcmp(self->dst, self->src, PAGE))
			return true;
		zc_sleep_ms(10);
	}
	return false;
}

/* Who asks for the page sleeps until the op before it in the batch is done. */
static void *give_page_late(void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->asked = stall_is_entered(sleeper->stall, PATIENCE);
	sleeper->copied_by_then = sleeper->asked && done_soon(sleeper->self);
	close(sleeper->stall);
	return NULL;
}

/*
 * Ops wait to be handed to the engine together. An entry behind them sleeps while it is handed
 * in: they do not wait for it.
 */
TEST_F(entry, that_sleeps_does_not_hold_up_those_before_it)
{
	struct zcdma_op op = copy_page(self, 0, true);
	int file = memfd_create("bytes", MFD_CLOEXEC);
	struct sleeper sleeper = { .self = self };
	struct io_uring_sqe *sqe;
	char *page = zc_map(PAGE);
	pthread_t thread;

	ASSERT_EQ(0, ftruncate(file, PAGE));
	ASSERT_EQ(4, pwrite(file, "abcd", 4, 0));
	sleeper.stall = stall_begin(page, PAGE);
	ASSERT_EQ(0, ring_open(&self->ring, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, give_page_late, &sleeper));
	put_op(&self->ring, self->fd, &op);
	sqe = ring_next(&self->ring);
	sqe->opcode = IORING_OP_READ;
	sqe->fd = file;
	sqe->addr = zc_ptr(page);
	sqe->len = 4;
	sqe->user_data = 77;
	ASSERT_EQ(2, ring_submit(&self->ring));
	pthread_join(thread, NULL);
	EXPECT_TRUE(sleeper.asked);
	EXPECT_TRUE(sleeper.copied_by_then);
	for (int i = 0; i < 2; i++) {
		__u64 nr = 0;
		int res = ring_reap(&self->ring, &nr);

		EXPECT_EQ(nr == 77 ? 4 : (int)PAGE, res);
	}
	EXPECT_TRUE(page_was_copied(self, 0));
	close(file);
}

/* Bad entries, entries of other files and ops in one call: each gets its own result. */
TEST_F(entry, gets_its_own_result_among_others)
{
	struct zcdma_op op = copy_page(self, 0, true);
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, ring_open(&self->ring, 0));
	op.user_data = 0;
	put_op(&self->ring, self->fd, &op);
	sqe = ring_next(&self->ring);
	sqe->opcode = IORING_OP_NOP;
	sqe->user_data = 1;
	op = copy_page(self, 2, false);
	put_op(&self->ring, self->fd, &op);
	op = copy_page(self, 3, true);
	op.dst_buffer = 999;
	put_op(&self->ring, self->fd, &op);
	ASSERT_EQ(4, ring_submit(&self->ring));
	for (int i = 0; i < 4; i++) {
		static const int wanted[] = { PAGE, 0, PAGE, -EINVAL };
		__u64 nr = 4;
		int res = ring_reap(&self->ring, &nr);

		ASSERT_GT(4, nr);
		EXPECT_EQ(wanted[nr], res);
	}
	EXPECT_TRUE(page_was_copied(self, 0));
	EXPECT_TRUE(page_was_copied(self, 2));
	EXPECT_TRUE(pattern_holds(target, self->dst + 3 * PAGE, 3 * PAGE, PAGE));
}

ZC_TEST_MAIN
