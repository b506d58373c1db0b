// SPDX-License-Identifier: GPL-2.0
/*
 * Ops that another thread changes while SUBMIT or io_uring reads them. Each op is done as it
 * was checked: it is accepted as the good one that it is half of the time, or refused as the
 * bad one that it is otherwise, and never a mixture of both. One field changes to and fro, some
 * ten million times a second. Calls during which it did not change, because the host had no CPU
 * for both threads, do not count.
 */
#include <liburing.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"
#include "pattern.h"
#include "sweep.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define LEN		64	/* of an op */
#define PATIENCE	20000	/* ms */
#define ROUNDS		200	/* of each change, during which it changed */
#define EACH		10	/* of them accepted, and as many refused */
#define OPS		4
#define CHANGES		8

static const struct pattern source = { 's', 1 }, guard = { 'g', 1 };

/* A field of an op, and a value that makes the op one to be refused. */
struct change {
	const char *what;
	size_t at, size;
	__u64 value;
	int error;		/* that it is refused with */
};

#define CHANGE(type, field, to) \
	((struct change){ .what = #field, .at = offsetof(struct zcdma_op, field), \
			  .size = sizeof(type), .value = (to) })

FIXTURE(op) {
	struct io_uring ring;
	struct rival rival;
	struct change changes[CHANGES];
	const struct change *change;	/* of this round */
	struct zcdma_op *changed;	/* the op that it is made to */
	__u64 good;			/* what the field has otherwise */
	atomic_bool going_on;		/* to and fro */
	atomic_uint turns;		/* so often */
	bool met;			/* it did so during the call */
	char *src, *dst;		/* a page each, with nothing behind */
	char *read_only;
	char before[PAGE], after[PAGE];	/* what dst has, and is to have */
	struct zcdma_op ops[OPS];
	unsigned int k;			/* which of them changes */
	int fd, src_id, dst_id, read_only_id;
	__u64 end;
};

FIXTURE_VARIANT(op) {
	bool registered;
	unsigned int count;		/* of ops that are handed over at once */
};

FIXTURE_VARIANT_ADD(op, on_any_memory) {
	.count = 1,
};

FIXTURE_VARIANT_ADD(op, on_registered_memory) {
	.count = 1, .registered = true,
};

FIXTURE_VARIANT_ADD(op, in_a_batch_on_any_memory) {
	.count = OPS,
};

FIXTURE_VARIANT_ADD(op, in_a_batch_on_registered_memory) {
	.count = OPS, .registered = true,
};

#define WORLD FIXTURE_DATA(op)
#define KIND FIXTURE_VARIANT(op)

/* Set the field, in one store. */
static void set_field(const WORLD *self, __u64 value)
{
	void *field = (char *)self->changed + self->change->at;

	if (self->change->size == 8)
		__atomic_store_n((__u64 *)field, value, __ATOMIC_RELAXED);
	else if (self->change->size == 4)
		__atomic_store_n((__u32 *)field, value, __ATOMIC_RELAXED);
	else
		__atomic_store_n((__u8 *)field, value, __ATOMIC_RELAXED);
}

/* The second actor */
static void change_to_and_fro(void *arg)
{
	WORLD *self = arg;

	while (self->going_on) {
		set_field(self, self->change->value);
		set_field(self, self->good);
		self->turns++;
	}
}

/* From now on op @op, a good one, changes. */
static void begin_changes(WORLD *self, struct zcdma_op *op)
{
	self->good = 0;
	memcpy(&self->good, (char *)op + self->change->at, self->change->size);
	self->changed = op;
	self->going_on = true;
	rival_go(&self->rival, 0);
}

static void end_changes(WORLD *self)
{
	self->going_on = false;
	rival_await(&self->rival);
}

static void list_changes(WORLD *self, const KIND *kind)
{
	struct change *c = self->changes;

	*c++ = CHANGE(__u64, len, 0);
	*c++ = CHANGE(__u64, len, 2 * PAGE);
	*c++ = CHANGE(__u64, dst, -(__u64)LEN / 2);	/* wraps around */
	*c++ = CHANGE(__u8, opcode, 77);
	*c++ = CHANGE(__u32, flags, 1U << 31);
	*c++ = CHANGE(__u64, __reserved2, 1);
	if (kind->registered) {
		*c++ = CHANGE(__u64, dst, PAGE);		/* the end */
		*c++ = CHANGE(__u32, dst_buffer, self->read_only_id);
	} else {
		*c++ = CHANGE(__u64, dst, zc_ptr(self->read_only));
		*c++ = CHANGE(__u64, src, zc_ptr(self->dst + PAGE));
	}
}

FIXTURE_SETUP(op)
{
	zc_unlimit_memlock();
	zc_seed();
	/* As many entries as ops: each op is in the same entry each time. */
	ASSERT_EQ(0, io_uring_queue_init(variant->count, &self->ring, IORING_SETUP_SQE128));
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map_edge() - PAGE;
	zc_map(16 * PAGE);	/* in between: what is too long overlaps nothing */
	self->dst = zc_map_edge() - PAGE;
	self->read_only = zc_map(PAGE);
	pattern_write(source, self->src, 0, PAGE);
	pattern_write(guard, self->before, 0, PAGE);
	memcpy(self->dst, self->before, PAGE);
	memcpy(self->read_only, self->before, PAGE);
	self->src_id = zc_register(self->fd, self->src, PAGE, ZCDMA_BUFFER_READ_ONLY);
	self->dst_id = zc_register(self->fd, self->dst, PAGE, 0);
	self->read_only_id = zc_register(self->fd, self->read_only, PAGE, ZCDMA_BUFFER_READ_ONLY);
	ASSERT_LT(0, self->src_id);
	ASSERT_LT(0, self->dst_id);
	ASSERT_LT(0, self->read_only_id);
	ASSERT_EQ(0, mprotect(self->read_only, PAGE, PROT_READ));
	list_changes(self, variant);
	ASSERT_EQ(0, rival_start(&self->rival, change_to_and_fro, self));
}

FIXTURE_TEARDOWN(op)
{
	self->going_on = false;	/* a test that failed has left it so */
	rival_stop(&self->rival);
	EXPECT_EQ(0, zc_outstanding(self->fd));
	io_uring_queue_exit(&self->ring);
	close(self->fd);
}

static size_t target_of(unsigned int i)
{
	return 8 + i * 1000;
}

static size_t source_of(unsigned int i)
{
	return 16 + i * 128;
}

static struct zcdma_op good_op(const WORLD *self, const KIND *kind, unsigned int i)
{
	struct zcdma_op op = zc_copy_op(self->dst + target_of(i), self->src + source_of(i), LEN, i);

	if (kind->registered) {
		op.dst = target_of(i);
		op.src = source_of(i);
		op.dst_buffer = self->dst_id;
		op.src_buffer = self->src_id;
	}
	return op;
}

/* Are the ops in @done done, bit by bit, and nothing else? The target is as before afterwards. */
static bool exactly_done(WORLD *self, const KIND *kind, unsigned int done)
{
	bool fine;

	memcpy(self->after, self->before, PAGE);
	for (unsigned int i = 0; i < kind->count; i++)
		if (done & 1U << i)
			memcpy(self->after + target_of(i), self->src + source_of(i), LEN);
	fine = !memcmp(self->after, self->dst, PAGE) &&
	       !memcmp(self->before, self->read_only, PAGE);
	for (unsigned int i = 0; i < kind->count && !fine; i++)
		fprintf(stderr, "# op %u, which %s: the target has %s\n", i,
			done & 1U << i ? "was accepted" : "was refused",
			memcmp(self->dst + target_of(i), self->src + source_of(i), LEN) ?
			"something else than its source" : "its source");
	memcpy(self->dst, self->before, PAGE);
	return fine;
}

/* @err is what the changed op came to: 0, or what a bad one is refused with. Accepted? */
static bool is_accepted(struct __test_metadata *_metadata, const WORLD *self, int err)
{
	ASSERT_TRUE(!err || err == self->change->error) {
		TH_LOG("%s is changed: %d, neither done nor refused with %d", self->change->what,
		       err, self->change->error);
	}
	return !err;
}

/* SUBMIT, while op k changes */
static bool race_submit(struct __test_metadata *_metadata, WORLD *self, const KIND *kind)
{
	struct zcdma_completion c[OPS];
	unsigned int turns = self->turns, seen = 0;
	__u32 accepted = 99;
	int err;

	err = zc_submit(self->fd, self->ops, kind->count, &accepted);
	self->met = self->turns != turns;
	ASSERT_EQ(err ? self->k : kind->count, accepted);
	ASSERT_EQ(accepted, zc_reap(self->fd, c, accepted, PATIENCE));
	for (unsigned int i = 0; i < accepted; i++) {
		ASSERT_EQ(0, c[i].res);
		ASSERT_EQ(LEN, c[i].done);
		ASSERT_GT(accepted, c[i].user_data);
		seen |= 1U << c[i].user_data;
	}
	ASSERT_EQ((1U << accepted) - 1, seen);
	ASSERT_TRUE(exactly_done(self, kind, (1U << accepted) - 1)) {
		TH_LOG("%s was changed, SUBMIT said %d", self->change->what, err);
	}
	return is_accepted(_metadata, self, err);
}

static struct zcdma_op *prepare_submit(WORLD *self, const KIND *kind)
{
	for (unsigned int i = 0; i < kind->count; i++)
		self->ops[i] = good_op(self, kind, i);
	return &self->ops[self->k];
}

static struct zcdma_op *put_entry(WORLD *self, const KIND *kind, unsigned int i)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	struct zcdma_op op = good_op(self, kind, i);

	CHILD_CHECK(sqe);
	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = self->fd;
	sqe->cmd_op = ZCDMA_URING_OP;
	sqe->user_data = i;
	memcpy(sqe->cmd, &op, sizeof(op));
	return (struct zcdma_op *)sqe->cmd;
}

/* Reap @count completions: their results in @results. */
static bool reap_entries(WORLD *self, unsigned int count, int *results)
{
	unsigned int seen = 0;

	for (unsigned int n = 0; n < count; n++) {
		struct __kernel_timespec patience = { .tv_sec = 20 };
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe_timeout(&self->ring, &cqe, &patience) ||
		    cqe->user_data >= count || seen & 1U << cqe->user_data)
			return false;
		seen |= 1U << cqe->user_data;
		results[cqe->user_data] = cqe->res;
		io_uring_cqe_seen(&self->ring, cqe);
	}
	return true;
}

/* Where op k will be: a ring has its entries in turn, and as many as ops are put. */
static struct zcdma_op *prepare_uring(WORLD *self, const KIND *kind)
{
	struct zcdma_op *op = NULL;

	for (unsigned int i = 0; i < kind->count; i++) {
		struct zcdma_op *at = put_entry(self, kind, i);

		if (i == self->k)
			op = at;
	}
	CHILD_CHECK(io_uring_submit(&self->ring) == (int)kind->count);
	return op;
}

/* The same by io_uring, where an op that is refused is refused alone. */
static bool race_uring(struct __test_metadata *_metadata, WORLD *self, const KIND *kind)
{
	unsigned int turns, done = 0;
	int results[OPS];

	for (unsigned int i = 0; i < kind->count; i++)
		put_entry(self, kind, i);
	turns = self->turns;
	ASSERT_EQ(kind->count, io_uring_submit(&self->ring));
	self->met = self->turns != turns;
	ASSERT_TRUE(reap_entries(self, kind->count, results));
	for (unsigned int i = 0; i < kind->count; i++) {
		ASSERT_TRUE(i == self->k || results[i] == LEN);
		done |= (results[i] == LEN) << i;
	}
	ASSERT_TRUE(exactly_done(self, kind, done)) {
		TH_LOG("%s was changed, the result is %d", self->change->what,
		       results[self->k]);
	}
	ASSERT_NE(0, results[self->k]);	/* no op is done without its bytes */
	return is_accepted(_metadata, self, results[self->k] == LEN ? 0 : results[self->k]);
}

/* What an op is refused with that is bad from the beginning. */
static int refusal(WORLD *self, const KIND *kind)
{
	struct zcdma_op op = good_op(self, kind, 0);

	self->changed = &op;
	set_field(self, self->change->value);
	return zc_submit(self->fd, &op, 1, NULL);
}

typedef bool race_fn(struct __test_metadata *_metadata, WORLD *self, const KIND *kind);

/* Race until both outcomes were seen often, or the time is over. */
static void race_often(struct __test_metadata *_metadata, WORLD *self, const KIND *kind,
		       race_fn *race)
{
	unsigned int accepted = 0, refused = 0, all = 0;

	while (zc_now_ms() < self->end &&
	       (accepted + refused < ROUNDS || accepted < EACH || refused < EACH)) {
		bool is_accepted = race(_metadata, self, kind);

		accepted += self->met && is_accepted;
		refused += self->met && !is_accepted;
		all++;
	}
	TH_LOG("%s changed during %u of %u calls: %u accepted, %u refused", self->change->what,
	       accepted + refused, all, accepted, refused);
	EXPECT_LT(0, accepted);
	EXPECT_LT(0, refused);
}

static void make_changes(struct __test_metadata *_metadata, WORLD *self, const KIND *kind,
			 bool by_uring)
{
	__u64 begin = zc_now_ms();
	int results[OPS];

	for (unsigned int i = 0; i < CHANGES; i++) {
		self->change = self->changes + i;
		self->changes[i].error = refusal(self, kind);
		ASSERT_GT(0, self->changes[i].error);
		self->k = i % kind->count;
		self->end = begin + SWEEP_LIMIT * 1000 * (i + 1) / CHANGES;
		if (by_uring) {
			begin_changes(self, prepare_uring(self, kind));
			ASSERT_TRUE(reap_entries(self, kind->count, results));
			memcpy(self->dst, self->before, PAGE);
		} else {
			begin_changes(self, prepare_submit(self, kind));
		}
		race_often(_metadata, self, kind, by_uring ? race_uring : race_submit);
		end_changes(self);
	}
}

TEST_F_TIMEOUT(op, changed_during_submit_is_done_as_it_was_checked, 60)
{
	make_changes(_metadata, self, variant, false);
}

TEST_F_TIMEOUT(op, changed_in_its_sqe_is_done_as_it_was_checked, 60)
{
	make_changes(_metadata, self, variant, true);
}

ZC_THREADS_ONLY()
ZC_TEST_MAIN
