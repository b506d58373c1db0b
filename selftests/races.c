// SPDX-License-Identifier: GPL-2.0
/*
 * An op is about to complete, and something else happens to it: it completes exactly once, as
 * the one or the other, and its bytes are what its completion says. The moment is swept until
 * both outcomes were seen, see sweep.h.
 */
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "harness.h"
#include "pattern.h"
#include "softdma.h"
#include "sweep.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define PATIENCE	20000	/* ms */
#define ROUNDS		200
#define OPS		64

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(op) {
	struct rival rival;
	struct io_uring ring;
	long pinned;
	int fd;
	char *src, *dst;	/* OPS pages each, and one behind dst */
	int src_id, dst_id;
	int error;		/* of the call of the second actor */
	__u32 count;		/* that CANCEL told */
};

#define WORLD FIXTURE_DATA(op)

FIXTURE_SETUP(op)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	zc_seed();
	self->pinned = zc_pinned_baseline();
	self->fd = zc_session("softdma", 100);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(OPS * PAGE);
	self->dst = zc_map((OPS + 1) * PAGE);
	pattern_write(source, self->src, 0, OPS * PAGE);
	pattern_write(target, self->dst, 0, (OPS + 1) * PAGE);
}

FIXTURE_TEARDOWN(op)
{
	softdma_reset();
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/* The bytes of op @c are as its completion says. The target is as before afterwards. */
static bool as_it_says(WORLD *self, const struct zcdma_completion *c)
{
	size_t at = c->user_data * PAGE;
	bool fine = c->done <= PAGE && (c->res || c->done == PAGE) &&
		    pattern_holds(source, self->dst + at, at, c->done) &&
		    (c->done || c->res != -ECANCELED ||
		     pattern_holds(target, self->dst + at, at, PAGE)) &&
		    pattern_holds(target, self->dst + at + PAGE, at + PAGE, PAGE);

	if (!fine)
		fprintf(stderr, "# op %llu: %s, %llu bytes done\n",
			(unsigned long long)c->user_data, strerror(-c->res),
			(unsigned long long)c->done);
	pattern_write(target, self->dst + at, at, PAGE);
	return fine;
}

static struct zcdma_op copy_page(const WORLD *self, unsigned int i)
{
	return zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
}

/* Op 1 behind op 0, which it waits for: it has not begun while that one is at the engine. */
static void make_pair(const WORLD *self, struct zcdma_op ops[2])
{
	ops[0] = copy_page(self, 0);
	ops[1] = copy_page(self, 2);
	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
}

/* Cancel op 1 of the pair after @delay. */
static void cancel_second(WORLD *self, __s64 delay)
{
	sweep_spin(delay);
	self->count = 0;
	self->error = zc_cancel(self->fd, 2, 0, &self->count);
}

/* What CANCEL said of an op that completed with @res. */
static bool cancel_told_the_truth(const WORLD *self, int res)
{
	if (res == -ECANCELED)
		return !self->error && self->count == 1;
	return self->count == 0 && (self->error == -EALREADY || self->error == -ENOENT);
}

TEST_F_TIMEOUT(op, cancelled_as_it_begins_completes_once, 40)
{
	struct sweep sweep = sweep_start("cancelled", "done", ROUNDS);
	struct zcdma_completion c[3];
	struct zcdma_op ops[2];

	ASSERT_EQ(0, softdma_set("delay_us", 100));
	make_pair(self, ops);
	while (sweep_goes_on(&sweep)) {
		int last;

		ASSERT_EQ(0, zc_submit(self->fd, ops, 2, NULL));
		cancel_second(self, sweep.delay);
		ASSERT_EQ(2, zc_reap(self->fd, c, 2, PATIENCE));
		ASSERT_EQ(0, zc_outstanding(self->fd));
		ASSERT_EQ(2, c[0].user_data + c[1].user_data);
		last = c[1].user_data == 2;
		ASSERT_EQ(0, c[!last].res);
		ASSERT_TRUE(c[last].res == 0 || c[last].res == -ECANCELED);
		ASSERT_TRUE(cancel_told_the_truth(self, c[last].res)) {
			TH_LOG("it completed with %d; CANCEL: %d, %u ops", c[last].res,
			       self->error, self->count);
		}
		ASSERT_TRUE(as_it_says(self, &c[0]));
		ASSERT_TRUE(as_it_says(self, &c[1]));
		sweep_saw(&sweep, c[last].res ? SWEEP_EARLY : SWEEP_LATE);
	}
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

/*
 * All are cancelled while one after another is done: what was at the engine is done, and nothing
 * that waits behind an op that was cancelled.
 */
TEST_F_TIMEOUT(op, behind_a_cancelled_one_does_not_begin, 40)
{
	enum { MANY = 4000, EACH = 64 };
	/* So many take seconds where the kernel looks after each. */
	unsigned int many = zc_lacks("lean-slabs") ? MANY / 10 : MANY;
	struct sweep sweep = sweep_start("less than half were done", "more", ROUNDS);
	static struct zcdma_completion c[MANY];
	static struct zcdma_op ops[MANY];

	for (unsigned int i = 0; i < many; i++)
		ops[i] = zc_copy_op(self->dst + i * EACH, self->src + i * EACH, EACH, i);
	while (sweep_goes_on(&sweep)) {
		unsigned int done = 0, first_cancelled = many, last_done = 0;
		int fd = zc_session("softdma", many);

		/* Its ops are there before they are used, and found in their order. */
		ASSERT_LT(0, zc_register(fd, self->src, PAGE, 0));
		ASSERT_EQ(0, softdma_set("hang", 1));
		ASSERT_EQ(0, zc_submit(fd, ops, many, NULL));
		ASSERT_EQ(0, softdma_set("hang", 0));
		sweep_spin(sweep.delay);
		self->error = zc_cancel(fd, 0, ZCDMA_CANCEL_ALL, NULL);
		ASSERT_TRUE(!self->error || self->error == -EALREADY || self->error == -ENOENT);
		ASSERT_EQ((int)many, zc_reap(fd, c, many, PATIENCE));
		close(fd);
		for (unsigned int i = 0; i < many; i++) {
			ASSERT_TRUE(!c[i].res || c[i].res == -ECANCELED);
			if (c[i].res && c[i].user_data < first_cancelled)
				first_cancelled = c[i].user_data;
			if (!c[i].res && c[i].user_data > last_done)
				last_done = c[i].user_data;
			done += !c[i].res;
		}
		ASSERT_TRUE(!done || last_done < first_cancelled) {
			TH_LOG("op %u was cancelled, and %u was done", first_cancelled, last_done);
		}
		sweep_saw(&sweep, done < many / 2 ? SWEEP_EARLY : SWEEP_LATE);
	}
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

static void put_entry(WORLD *self, const struct zcdma_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);

	CHILD_CHECK(sqe);
	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = self->fd;
	sqe->cmd_op = ZCDMA_URING_OP;
	sqe->user_data = op->user_data;
	memcpy(sqe->cmd, op, sizeof(*op));
}

/* The next completion of the ring as one of a session. */
static bool next_of_ring(WORLD *self, struct zcdma_completion *c)
{
	struct __kernel_timespec patience = { .tv_sec = PATIENCE / 1000 };
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe_timeout(&self->ring, &cqe, &patience))
		return false;
	*c = (struct zcdma_completion){
		.user_data = cqe->user_data,
		.res = cqe->res < 0 ? cqe->res : 0,
		.done = cqe->res < 0 ? 0 : cqe->res,
	};
	io_uring_cqe_seen(&self->ring, cqe);
	return true;
}

TEST_F_TIMEOUT(op, of_a_ring_cancelled_as_it_begins_completes_once, 40)
{
	struct sweep sweep = sweep_start("cancelled", "done", ROUNDS);
	struct zcdma_completion c[2];
	struct io_uring_cqe *cqe;
	struct zcdma_op ops[2];

	ASSERT_EQ(0, io_uring_queue_init(8, &self->ring, IORING_SETUP_SQE128));
	ASSERT_EQ(0, softdma_set("delay_us", 100));
	make_pair(self, ops);
	while (sweep_goes_on(&sweep)) {
		int last;

		put_entry(self, &ops[0]);
		put_entry(self, &ops[1]);
		ASSERT_EQ(2, io_uring_submit(&self->ring));
		cancel_second(self, sweep.delay);
		ASSERT_TRUE(next_of_ring(self, &c[0]));
		ASSERT_TRUE(next_of_ring(self, &c[1]));
		ASSERT_EQ(0, zc_outstanding(self->fd));
		ASSERT_NE(0, io_uring_peek_cqe(&self->ring, &cqe));
		ASSERT_EQ(2, c[0].user_data + c[1].user_data);
		last = c[1].user_data == 2;
		ASSERT_EQ(0, c[!last].res);
		ASSERT_TRUE(c[last].res == 0 || c[last].res == -ECANCELED);
		ASSERT_TRUE(cancel_told_the_truth(self, c[last].res));
		ASSERT_TRUE(as_it_says(self, &c[0]));
		ASSERT_TRUE(as_it_says(self, &c[1]));
		sweep_saw(&sweep, c[last].res ? SWEEP_EARLY : SWEEP_LATE);
	}
	io_uring_queue_exit(&self->ring);
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

#define DEADLINE_MS	2

/* Not a byte of its target changes once the program was told that it is over. */
static bool stays_as_it_is(const char *memory, size_t len)
{
	static char before[2 * PAGE];

	memcpy(before, memory, len);
	sweep_spin(300000);
	return !memcmp(before, memory, len);
}

/* The engine takes as long as the deadline: the op is at it when that passes. */
TEST_F_TIMEOUT(op, whose_deadline_passes_as_the_engine_ends_completes_once, 40)
{
	struct sweep sweep = sweep_start("done", "timed out", ROUNDS / 2);
	struct zcdma_completion c[2];

	while (sweep_goes_on(&sweep)) {
		struct zcdma_op op = copy_page(self, 0);

		op.deadline_ms = DEADLINE_MS;
		ASSERT_EQ(0, softdma_set("delay_us", sweep.delay / 1000));
		ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
		ASSERT_EQ(1, zc_reap(self->fd, c, 1, PATIENCE));
		ASSERT_TRUE(c[0].res == 0 || c[0].res == -ETIMEDOUT);
		ASSERT_TRUE(!c[0].res || stays_as_it_is(self->dst, PAGE));
		ASSERT_EQ(0, zc_outstanding(self->fd));
		ASSERT_TRUE(as_it_says(self, &c[0]));
		sweep_saw(&sweep, c[0].res ? SWEEP_LATE : SWEEP_EARLY);
	}
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

/* The op waits for another one, which takes as long as the deadline. */
TEST_F_TIMEOUT(op, whose_deadline_passes_as_it_begins_completes_once, 40)
{
	struct sweep sweep = sweep_start("done", "timed out", ROUNDS / 2);
	struct zcdma_completion c[2];
	struct zcdma_op ops[2];

	make_pair(self, ops);
	ops[1].deadline_ms = DEADLINE_MS;
	while (sweep_goes_on(&sweep)) {
		int last;

		ASSERT_EQ(0, softdma_set("delay_us", sweep.delay / 1000));
		ASSERT_EQ(0, zc_submit(self->fd, ops, 2, NULL));
		ASSERT_EQ(2, zc_reap(self->fd, c, 2, PATIENCE));
		ASSERT_EQ(0, zc_outstanding(self->fd));
		ASSERT_EQ(2, c[0].user_data + c[1].user_data);
		last = c[1].user_data == 2;
		ASSERT_EQ(0, c[!last].res);
		ASSERT_TRUE(c[last].res == 0 || c[last].res == -ETIMEDOUT);
		ASSERT_TRUE(!c[last].res || stays_as_it_is(self->dst + 2 * PAGE, PAGE));
		ASSERT_TRUE(as_it_says(self, &c[0]));
		ASSERT_TRUE(as_it_says(self, &c[1]));
		sweep_saw(&sweep, c[last].res ? SWEEP_LATE : SWEEP_EARLY);
	}
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

static pthread_t waiter;

static void interrupt_waiter(void *arg)
{
	pthread_kill(waiter, SIGUSR1);
}

static void ignore_signal(int signal)
{
}

/* The completion comes by the call or, when a signal has ended that, by read(). */
TEST_F_TIMEOUT(op, waited_for_until_a_signal_comes_completes_once, 40)
{
	struct sweep sweep = sweep_start("interrupted", "done", ROUNDS);
	struct sigaction action = { .sa_handler = ignore_signal };
	struct zcdma_op op = copy_page(self, 0);

	waiter = pthread_self();
	sigaction(SIGUSR1, &action, NULL);
	/* A signal before the call does not end it: none comes so early. */
	ASSERT_EQ(0, softdma_set("delay_us", 1000));
	sweep.floor = 200000;
	sweep.delay = 1000000;
	ASSERT_EQ(0, rival_start(&self->rival, interrupt_waiter, self));
	while (sweep_goes_on(&sweep)) {
		struct zcdma_completion c = { .res = 1 }, extra;
		__u32 accepted = 0;
		int err;

		rival_go(&self->rival, sweep.delay);
		err = zc_submit_wait(self->fd, &op, 1, &c, &accepted);
		rival_await(&self->rival);
		ASSERT_EQ(1, accepted);
		ASSERT_TRUE(!err || err == -EINTR);
		if (err)
			ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
		ASSERT_EQ(0, c.res);
		ASSERT_EQ(0, zc_read(self->fd, &extra, 1));
		ASSERT_EQ(0, zc_outstanding(self->fd));
		ASSERT_TRUE(as_it_says(self, &c));
		sweep_saw(&sweep, err ? SWEEP_EARLY : SWEEP_LATE);
	}
	rival_stop(&self->rival);
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

#define LONG		(32UL << 20)

/* Is the word of the source at @at in its place, one byte before? */
static bool is_there(const char *dst, const char *src, size_t at)
{
	return !memcmp(dst + at, src + 1 + at, sizeof(__u64));
}

struct releaser {
	pthread_t thread;
	int fd;
	atomic_bool over;
};

/* What is to be released for any op of the session DRAIN does, without waiting here. */
static void *release_all_the_time(void *arg)
{
	struct releaser *r = arg;

	while (!r->over)
		zc_drain(r->fd, 0);
	return NULL;
}

static void start_releaser(struct __test_metadata *_metadata, struct releaser *r, int fd)
{
	sigset_t alarm, before;

	r->fd = fd;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &alarm, &before));
	ASSERT_EQ(0, pthread_create(&r->thread, NULL, release_all_the_time, r));
	ASSERT_EQ(0, pthread_sigmask(SIG_SETMASK, &before, NULL));
}

/*
 * The second op is for a CPU alone, and waits for the first. Who does it is the waiter or somebody
 * else. When it is the latter, a signal ends the wait while that is half way: the completion comes
 * by read().
 */
TEST_F_TIMEOUT(op, released_by_somebody_else_as_its_wait_ends_completes_once, 60)
{
	__u64 end = zc_now_ms() + SWEEP_LIMIT * 1000;
	unsigned int half_way = 0, interrupted = 0, rounds = 0;
	char *src = zc_map(LONG + PAGE), *dst = zc_map(LONG);
	struct releaser releaser = { 0 };

	ASSERT_EQ(0, softdma_become("align=64"));
	close(self->fd);
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
	for (size_t i = 0; i < (LONG + PAGE) / sizeof(__u64); i++)
		((__u64 *)src)[i] = (i + 1) * 0x9e3779b97f4a7c15ULL;
	self->src_id = zc_register(self->fd, src, LONG + PAGE, ZCDMA_BUFFER_READ_ONLY);
	self->dst_id = zc_register(self->fd, dst, LONG, 0);
	ASSERT_LT(0, self->src_id);
	ASSERT_LT(0, self->dst_id);
	start_releaser(_metadata, &releaser, self->fd);
	for (; (half_way < 5 || interrupted == rounds) && zc_now_ms() < end; rounds++) {
		struct zcdma_op ops[2] = {
			copy_page(self, 0), zc_buffer_op(self->dst_id, 0, self->src_id, 1, LONG),
		};
		struct zcdma_completion c[3];
		__u32 accepted = 0;
		bool half;
		int err;

		ops[1].flags = ZCDMA_OP_FLAG_BARRIER;
		ops[1].user_data = 1;
		memset(dst, 0, LONG);
		zc_signal_each_ms(1 + zc_random_below(10), 0);
		err = zc_submit_wait(self->fd, ops, 2, c, &accepted);
		half = is_there(dst, src, 0) && !is_there(dst, src, LONG - sizeof(__u64));
		zc_signal_each_ms(0, 0);
		ASSERT_TRUE(!err || err == -EINTR);
		ASSERT_EQ(2, accepted);
		interrupted += !!err;
		half_way += err && half;
		if (err)
			ASSERT_EQ(2, zc_reap(self->fd, c, 2, PATIENCE));
		ASSERT_EQ(1, c[0].user_data + c[1].user_data);
		ASSERT_EQ(0, c[0].res | c[1].res);
		ASSERT_EQ(0, zc_read(self->fd, c + 2, 1));
		ASSERT_EQ(0, zc_outstanding(self->fd));
		ASSERT_EQ(0, memcmp(dst, src + 1, LONG));
	}
	releaser.over = true;
	pthread_join(releaser.thread, NULL);
	TH_LOG("%u rounds, %u interrupted, %u of them half way", rounds, interrupted, half_way);
	EXPECT_LT(0, half_way);
	EXPECT_GT(rounds, interrupted);
}

static void unregister_target(void *arg)
{
	WORLD *self = arg;

	self->error = zc_unregister(self->fd, self->dst_id);
}

/* The op has the buffer, which cannot be given back then, or finds that there is none. */
TEST_F_TIMEOUT(op, whose_buffer_is_given_back_as_it_is_submitted_is_done_or_refused, 40)
{
	struct sweep sweep = sweep_start("refused", "done", ROUNDS);

	self->src_id = zc_register(self->fd, self->src, PAGE, ZCDMA_BUFFER_READ_ONLY);
	ASSERT_LT(0, self->src_id);
	sweep.floor = RIVAL_FIRST;
	ASSERT_EQ(0, rival_start(&self->rival, unregister_target, self));
	while (sweep_goes_on(&sweep)) {
		struct zcdma_op op = { .opcode = ZCDMA_OP_COPY, .len = PAGE };
		struct zcdma_completion c;
		__u32 accepted = 0;
		int err;

		self->dst_id = zc_register(self->fd, self->dst, PAGE, 0);
		ASSERT_LT(0, self->dst_id);
		op.src_buffer = self->src_id;
		op.dst_buffer = self->dst_id;
		rival_go(&self->rival, sweep.delay);
		err = zc_submit_wait(self->fd, &op, 1, &c, &accepted);
		rival_await(&self->rival);
		ASSERT_EQ(!err, accepted);
		if (err) {
			ASSERT_EQ(-EINVAL, err);
			ASSERT_EQ(0, self->error);
			ASSERT_TRUE(pattern_holds(target, self->dst, 0, 2 * PAGE));
		} else {
			ASSERT_EQ(0, c.res);
			ASSERT_TRUE(as_it_says(self, &c));
			ASSERT_TRUE(!self->error || self->error == -EBUSY);
			if (self->error)
				ASSERT_EQ(0, zc_unregister(self->fd, self->dst_id));
		}
		sweep_saw(&sweep, err ? SWEEP_EARLY : SWEEP_LATE);
	}
	rival_stop(&self->rival);
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

static __u64 unbind_took;	/* ms */

static void unbind_engine(void *arg)
{
	WORLD *self = arg;
	__u64 start = zc_now_ms();

	self->error = softdma_unbind();
	unbind_took = zc_now_ms() - start;
}

/* Pinned and mapped as the engine leaves: the one does not wait for the other, nor forget it. */
TEST_F_TIMEOUT(op, whose_buffer_is_registered_as_the_engine_leaves_is_done_or_refused, 60)
{
	struct sweep sweep = sweep_start("refused", "registered", 30);
	char *memory = zc_map(LONG / 2);

	memset(memory, 1, LONG / 2);
	sweep.floor = RIVAL_FIRST;
	sweep.delay = 2000000;
	sweep.each = 3;
	ASSERT_EQ(0, rival_start(&self->rival, unbind_engine, self));
	while (sweep_goes_on(&sweep)) {
		int id;

		rival_go(&self->rival, sweep.delay);
		id = zc_register(self->fd, memory, LONG / 2, 0);
		rival_await(&self->rival);
		ASSERT_EQ(0, self->error);
		ASSERT_GT(5000, unbind_took);
		ASSERT_TRUE(id > 0 || id == -ENODEV) {
			TH_LOG("REGISTER said %d", id);
		}
		ASSERT_TRUE(id < 0 || zc_pinned_pages() > self->pinned);
		close(self->fd);
		ASSERT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
		ASSERT_EQ(0, softdma_bind());
		self->fd = zc_session("softdma", 0);
		ASSERT_LE(0, self->fd);
		sweep_saw(&sweep, id < 0 ? SWEEP_EARLY : SWEEP_LATE);
	}
	rival_stop(&self->rival);
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

/* Some are done, some end with the engine, and each of them tells. */
TEST_F_TIMEOUT(op, of_an_engine_that_leaves_completes_once, 40)
{
	struct sweep sweep = sweep_start("ended with the engine", "done", 20);
	struct zcdma_op ops[OPS / 2];

	for (unsigned int i = 0; i < OPS / 2; i++)
		ops[i] = copy_page(self, 2 * i);
	sweep.delay = 4000000;
	sweep.each = 3;
	ASSERT_EQ(0, rival_start(&self->rival, unbind_engine, self));
	while (sweep_goes_on(&sweep)) {
		struct zcdma_completion c[OPS / 2];
		unsigned int ended;
		__u32 accepted = 99;
		__u64 seen = 0;
		int err;

		close(self->fd);
		self->fd = zc_session("softdma", 0);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, softdma_set("delay_us", 50));
		rival_go(&self->rival, sweep.delay);
		err = zc_submit(self->fd, ops, OPS / 2, &accepted);
		/* It may leave before, or while they are accepted. */
		ASSERT_TRUE(!err || err == -ENODEV) {
			TH_LOG("SUBMIT said %d", err);
		}
		ASSERT_TRUE(err ? accepted < OPS / 2 : accepted == OPS / 2);
		ASSERT_EQ(accepted, zc_reap(self->fd, c, accepted, PATIENCE));
		rival_await(&self->rival);
		ended = !!err;
		for (unsigned int i = 0; i < accepted; i++) {
			ASSERT_TRUE(c[i].res == 0 || c[i].res == -ENODEV);
			ASSERT_GT(2 * accepted, c[i].user_data);
			ASSERT_EQ(0, c[i].user_data % 2);
			ASSERT_FALSE(seen & 1ULL << c[i].user_data);
			seen |= 1ULL << c[i].user_data;
			ASSERT_TRUE(as_it_says(self, &c[i]));
			ended += !!c[i].res;
		}
		/* What was refused has moved nothing. */
		ASSERT_TRUE(pattern_holds(target, self->dst, 0, OPS * PAGE));
		ASSERT_EQ(-ENODEV, zc_read(self->fd, c, 1));
		ASSERT_EQ(0, self->error);
		ASSERT_EQ(0, softdma_bind());
		sweep_saw(&sweep, ended ? SWEEP_EARLY : SWEEP_LATE);
	}
	rival_stop(&self->rival);
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

/* ---- one submits, one cancels, one reads ---- */

#define CROWD		2000	/* ops of a round */

struct crowd {
	int fd;
	atomic_bool over;
	__u64 pause;			/* of who cancels, in ns */
	unsigned int cancelled;
	unsigned int reported[2];	/* completions that say done, cancelled */
	bool seen[CROWD];
	char targets[CROWD];
	bool ok;
};

static void *cancel_all_the_time(void *arg)
{
	struct crowd *r = arg;
	__u32 n;

	while (!r->over) {
		if (!zc_cancel(r->fd, zc_random_below(CROWD), 0, &n))
			r->cancelled += n;
		sweep_spin(r->pause);
		if (!zc_cancel(r->fd, 0, zc_random() & 7 ? 0 : ZCDMA_CANCEL_ALL, &n))
			r->cancelled += n;
		sweep_spin(r->pause);
	}
	return NULL;
}

static bool report(struct crowd *r, const struct zcdma_completion *c)
{
	if (c->user_data >= CROWD || r->seen[c->user_data])
		return false;
	r->seen[c->user_data] = true;
	r->reported[c->res == -ECANCELED]++;
	if (c->res == -ECANCELED)
		return c->done == 0 && r->targets[c->user_data] == 0;
	return c->res == 0 && c->done == 1 && r->targets[c->user_data] == 1;
}

static void *read_all(void *arg)
{
	struct crowd *r = arg;
	unsigned int left = CROWD;
	struct zcdma_completion c[16];

	while (left) {
		int n = zc_reap(r->fd, c, left < 16 ? 1 : 16, PATIENCE);

		if (n <= 0)
			return NULL;
		left -= n;
		while (n--)
			if (!report(r, c + n))
				return NULL;
	}
	r->ok = true;
	return NULL;
}

static int submit_all(struct crowd *r)
{
	for (__u32 next = 0, accepted; next < CROWD; next += accepted) {
		struct zcdma_op ops[16];
		__u32 n = CROWD - next < 16 ? CROWD - next : 16;
		int err;

		for (__u32 i = 0; i < n; i++)
			ops[i] = zc_fill_op(r->targets + next + i, 1, 1, next + i);
		err = zc_submit(r->fd, ops, n, &accepted);
		if (err == -EAGAIN)
			zc_poll(r->fd, POLLOUT, PATIENCE);
		else if (err)
			return err;
	}
	return 0;
}

/* CANCEL and the completions agree on how many were cancelled. */
TEST_F_TIMEOUT(op, submitted_cancelled_and_read_at_once_completes_once, 60)
{
	__u64 end = zc_now_ms() + SWEEP_LIMIT * 1000, pause = 0;
	unsigned int done = 0, cancelled = 0, rounds = 0;
	pthread_t canceller, reader;
	static struct crowd r;

	while (zc_now_ms() < end && (rounds < 4 || !done || !cancelled)) {
		r = (struct crowd){ .fd = self->fd, .pause = pause };
		ASSERT_EQ(0, pthread_create(&canceller, NULL, cancel_all_the_time, &r));
		ASSERT_EQ(0, pthread_create(&reader, NULL, read_all, &r));
		EXPECT_EQ(0, submit_all(&r));
		pthread_join(reader, NULL);
		r.over = true;
		pthread_join(canceller, NULL);
		ASSERT_TRUE(r.ok);
		ASSERT_EQ(r.cancelled, r.reported[1]);
		ASSERT_EQ(CROWD, r.reported[0] + r.reported[1]);
		ASSERT_EQ(0, zc_outstanding(self->fd));
		done += r.reported[0];
		cancelled += r.reported[1];
		pause = zc_random_below(100000);
		rounds++;
	}
	TH_LOG("%u done, %u cancelled", done, cancelled);
	EXPECT_LT(0, done);
	EXPECT_LT(0, cancelled);
}

ZC_THREADS_ONLY()
ZC_TEST_MAIN
