// SPDX-License-Identifier: GPL-2.0
/*
 * Ops between memory and a port's device, on the software engine's loop-back: what is
 * sent into one channel's FIFO is received from the other's.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "harness.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(3 * MIB)	/* of each of the two memories */
#define MIB		1048576UL
#define FIFO		16384UL		/* the engine's default */
#define PATIENCE	20000		/* ms */
#define SHORT		3000		/* ms, for an op that times out, but must get somewhere */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(slave) {
	long pinned;
	int fd;
	char *src, *dst;
};

#define WORLD FIXTURE_DATA(slave)

FIXTURE_SETUP(slave)
{
	zc_unlimit_memlock();
	self->pinned = zc_pinned_baseline();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	ASSERT_EQ(0, port_make("t-loop", 0, 1, "width=4"));
	ASSERT_EQ(0, port_make("t-bytes", 0, 1, "width=1"));
	ASSERT_EQ(0, port_make("t-rx", -1, 1, "width=4"));
	ASSERT_EQ(0, port_make("t-tx", 0, -1, "width=4"));
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
	self->fd = port_open("t-loop", 0, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(slave)
{
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	EXPECT_EQ(0, port_drop("t-loop"));
	EXPECT_EQ(0, port_drop("t-bytes"));
	EXPECT_EQ(0, port_drop("t-rx"));
	EXPECT_EQ(0, port_drop("t-tx"));
	EXPECT_EQ(0, softdma_reset());
}

static struct zcdma_op within(struct zcdma_op op, __u32 deadline_ms)
{
	op.deadline_ms = deadline_ms;
	return op;
}

/* Both at once: the FIFO is shorter than most of them. */
static int loop(int fd, struct zcdma_op send, struct zcdma_op recv)
{
	struct zcdma_op ops[] = { send, recv };
	struct zcdma_completion c[2];
	int err = zc_submit_wait(fd, ops, 2, c, NULL);

	if (err)
		return err;
	for (int i = 0; i < 2; i++) {
		if (c[i].res)
			return c[i].res;
		if (c[i].done != ops[i].len || !(c[i].flags & ZCDMA_DONE_CPU) ||
		    !(c[i].flags & ZCDMA_DONE_RESIDUE) || !(c[i].flags & ZCDMA_DONE_REPORTED))
			return -EPROTO;
	}
	return 0;
}

#define AROUND	(2 * PAGE)

/* Is it there, and nothing else around it? The target is as before afterwards. */
static bool arrived(WORLD *self, size_t to, size_t from, size_t len)
{
	size_t before = to < AROUND ? to : AROUND, end = to + len;
	size_t behind = SIZE - end < AROUND ? SIZE - end : AROUND;
	bool fine = pattern_holds(source, self->dst + to, from, len) &&
		    pattern_holds(target, self->dst + to - before, to - before, before) &&
		    pattern_holds(target, self->dst + end, end, behind);

	pattern_write(target, self->dst + to, to, len);
	return fine;
}

/* ---- data ---- */

static const size_t offsets[] = { 0, 4, 60, 64, 100, 124, PAGE - 4, PAGE + 8 };
#define NR_OFFSETS	ARRAY_SIZE(offsets)

static const size_t lens[] = {
	4, 8, 12, 60, 64, 68, 124, 128, 132, 256, 260, 1000, PAGE - 4, PAGE, PAGE + 4,
	3 * PAGE, 65536, 65536 + 4, 100 * PAGE + 20, MIB,
};

TEST_F_TIMEOUT(slave, moves_a_word_to_a_megabyte, 90)
{
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		for (size_t o = 0; o < NR_OFFSETS; o++) {
			size_t to = PAGE + offsets[o], from = offsets[(o + l) % NR_OFFSETS];

			ASSERT_EQ(0, loop(self->fd, zc_send_op(self->src + from, lens[l], 1),
					  zc_recv_op(self->dst + to, lens[l], 2)))
				TH_LOG("%zu bytes from %zu to %zu", lens[l], from, to);
			ASSERT_TRUE(arrived(self, to, from, lens[l]));
		}
	}
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
}

TEST_F_TIMEOUT(slave, moves_registered_memory, 90)
{
	int from_id = zc_register(self->fd, self->src + 4, SIZE - 4, ZCDMA_BUFFER_READ_ONLY);
	int to_id = zc_register(self->fd, self->dst, SIZE, 0);

	ASSERT_LT(0, from_id);
	ASSERT_LT(0, to_id);
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		for (size_t o = 0; o < NR_OFFSETS; o++) {
			size_t to = PAGE + offsets[o], from = offsets[(o + l) % NR_OFFSETS];
			struct zcdma_op send = zc_send_op((void *)from, lens[l], 1);
			struct zcdma_op recv = zc_recv_op((void *)to, lens[l], 2);

			send.src_buffer = from_id;
			recv.dst_buffer = to_id;
			ASSERT_EQ(0, loop(self->fd, send, recv))
				TH_LOG("%zu bytes from %zu to %zu", lens[l], from, to);
			ASSERT_TRUE(arrived(self, to, from + 4, lens[l]));
		}
	}
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	EXPECT_EQ(0, zc_unregister(self->fd, from_id));
	EXPECT_EQ(0, zc_unregister(self->fd, to_id));
}

TEST_F_TIMEOUT(slave, moves_single_bytes_where_those_are_words, 90)
{
	const size_t any[] = { 1, 2, 3, 5, 63, 65, 127, 129, 255, 257, PAGE + 1, 50001 };
	int fd;

	close(self->fd);
	self->fd = -1;
	fd = port_open("t-bytes", 0, 0);
	ASSERT_LE(0, fd);
	for (size_t l = 0; l < ARRAY_SIZE(any); l++) {
		for (size_t to = PAGE - 130; to < PAGE + 70; to += 33) {
			ASSERT_EQ(0, loop(fd, zc_send_op(self->src + l * 7, any[l], 1),
					  zc_recv_op(self->dst + to, any[l], 2)));
			ASSERT_TRUE(arrived(self, to, l * 7, any[l]));
		}
	}
	close(fd);
}

#define BATCH	60

/* What is cut here differs from what is cut there; the bytes do not mind. */
TEST_F_TIMEOUT(slave, goes_in_the_order_of_submission, 60)
{
	struct zcdma_op sends[BATCH], recvs[BATCH];
	struct zcdma_completion c[2 * BATCH];
	size_t sent = 0, received = 0;

	for (int i = 0; i < BATCH; i++) {
		sends[i] = zc_send_op(self->src + sent, 4 * (1 + i * i % 2000), i);
		sent += sends[i].len;
	}
	for (int i = 0; i < BATCH; i++) {
		size_t len = i < BATCH - 1 ? sent / BATCH / 4 * 4 : sent - received;

		recvs[i] = zc_recv_op(self->dst + received, len, 1000 + i);
		received += len;
	}
	ASSERT_EQ(0, zc_submit(self->fd, sends, BATCH, NULL));
	ASSERT_EQ(0, zc_submit(self->fd, recvs, BATCH, NULL));
	ASSERT_EQ(2 * BATCH, zc_reap(self->fd, c, 2 * BATCH, PATIENCE));
	for (__u64 i = 0, next_send = 0, next_recv = 1000; i < 2 * BATCH; i++) {
		EXPECT_EQ(0, c[i].res);
		EXPECT_EQ(c[i].user_data < 1000 ? next_send++ : next_recv++, c[i].user_data);
	}
	EXPECT_TRUE(arrived(self, 0, 0, sent));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

struct reader {
	int fd;
	unsigned int rounds;
	atomic_uint *begun;	/* rounds */
	atomic_uint *left;	/* completions that nobody has taken */
	bool in_order;
};

/* What a thread reads of each direction is in order, whatever others take in between. */
static void *reads_in_order(void *arg)
{
	struct reader *reader = arg;
	__u64 next[2] = { 0, 0 };
	struct zcdma_completion c;

	for (unsigned int round = 1; round <= reader->rounds; round++) {
		while (*reader->begun < round)
			usleep(100);
		while (*reader->left > 2 * BATCH * (reader->rounds - round)) {
			unsigned int way;

			if (zc_reap(reader->fd, &c, 1, 100) != 1)
				continue;
			way = c.user_data >= 1000000;
			reader->in_order &= c.user_data >= next[way] && !c.res;
			next[way] = c.user_data + 1;
			--*reader->left;
		}
	}
	return NULL;
}

/*
 * Whoever reads lets go of memory as well. The first ops have so much of it that who comes second
 * has long done with the others, if he may.
 */
TEST_F_TIMEOUT(slave, completes_in_order_whoever_reads, 240)
{
	enum { READERS = 4, LONG = 32, LEN = 12 * PAGE };
	struct zcdma_op sends[BATCH], recvs[BATCH];
	struct reader readers[READERS];
	pthread_t threads[READERS];
	unsigned int rounds = zc_lacks("bulk") ? 8 : 40;
	atomic_uint left = 2 * BATCH * rounds, begun = 0;

	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){
			.fd = self->fd, .rounds = rounds, .begun = &begun, .left = &left,
			.in_order = true,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, reads_in_order, &readers[i]));
	}
	for (unsigned int round = 0; round < rounds; round++) {
		for (int i = 0; i < BATCH; i++) {
			__u64 number = round * BATCH + i, len = i < LONG ? LEN : 64;

			sends[i] = within(zc_send_op(self->src + i * LEN, len, number), 60000);
			recvs[i] = within(zc_recv_op(self->dst + i * LEN, len, 1000000 + number),
					  60000);
		}
		ASSERT_EQ(0, zc_submit(self->fd, sends, BATCH, NULL));
		ASSERT_EQ(0, zc_submit(self->fd, recvs, BATCH, NULL));
		/* All of them are off the engine, and it is not yet time for the cleaner. */
		ASSERT_TRUE(softdma_thread_is_in(0, SOFTDMA_IDLE));
		ASSERT_TRUE(softdma_thread_is_in(1, SOFTDMA_IDLE));
		begun++;
		while (left > 2 * BATCH * (rounds - 1 - round))
			zc_sleep_ms(1);
	}
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_TRUE(readers[i].in_order);
	}
}

/* Two ports that face each other, both of which send and receive at the same time. */
TEST_F_TIMEOUT(slave, goes_both_ways_at_once, 60)
{
	struct zcdma_completion c[4];
	struct zcdma_op ops[2][2];
	int left, right;

	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, port_make("t-left", 0, 2, "width=4"));
	ASSERT_EQ(0, port_make("t-right", 3, 1, "width=4"));
	left = port_open("t-left", 0, 0);
	right = port_open("t-right", 0, 0);
	ASSERT_LE(0, left);
	ASSERT_LE(0, right);
	ops[0][0] = zc_send_op(self->src, MIB, 0);
	ops[0][1] = zc_recv_op(self->dst, MIB, 1);
	ops[1][0] = zc_send_op(self->src + MIB, MIB, 2);
	ops[1][1] = zc_recv_op(self->dst + MIB, MIB, 3);
	ASSERT_EQ(0, zc_submit(left, ops[0], 2, NULL));
	ASSERT_EQ(0, zc_submit(right, ops[1], 2, NULL));
	ASSERT_EQ(2, zc_reap(left, c, 2, PATIENCE));
	ASSERT_EQ(2, zc_reap(right, c + 2, 2, PATIENCE));
	EXPECT_EQ(0, c[0].res | c[1].res | c[2].res | c[3].res);
	EXPECT_TRUE(pattern_holds(source, self->dst, MIB, MIB));
	EXPECT_TRUE(pattern_holds(source, self->dst + MIB, 0, MIB));
	close(left);
	close(right);
	EXPECT_EQ(0, port_drop("t-left"));
	EXPECT_EQ(0, port_drop("t-right"));
}

/* ---- engines of all sorts ---- */

static const struct {
	const char *parameters;
	const char *knob;
	unsigned long value;
} sorts[] = {
	{ "callback_context=softirq", "pool", 1 },
	{ "callback_context=hardirq", "pool", 2 },
	{ "callback_context=thread lock_until_submit=Y", "pool", 3 },
	{ "lock_until_submit=N unordered=Y", NULL, 0 },
	{ "unordered=N max_segment=1001", NULL, 0 },	/* not of whole words */
	{ "max_segment=4294967295 boundary=256", NULL, 0 },
	{ "boundary=0 no_result=Y", "max_len", 1000 },
	{ "no_result=N fifo=1024", "max_len", 256 },
	{ "fifo=16384 coarse_residue=Y", "max_len", 64 },
};

TEST_F_TIMEOUT(slave, meets_the_limits_of_engines_by_work, 120)
{
	close(self->fd);
	self->fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(sorts); i++) {
		struct zcdma_op ops[4];
		struct zcdma_completion c[4];
		int fd;

		ASSERT_EQ(0, softdma_rebuild(sorts[i].parameters));
		ASSERT_EQ(0, softdma_set("pool", 256));
		if (sorts[i].knob)
			ASSERT_EQ(0, softdma_set(sorts[i].knob, sorts[i].value));
		fd = port_open("t-loop", 0, 0);
		ASSERT_LE(0, fd);
		ops[0] = zc_send_op(self->src + 8, 30000, 0);
		ops[1] = zc_send_op(self->src + 8 + 30000, 70000, 1);
		ops[2] = zc_recv_op(self->dst + 20, 99996, 2);
		ops[3] = zc_recv_op(self->dst + 20 + 99996, 4, 3);
		ASSERT_EQ(0, zc_submit_wait(fd, ops, 4, c, NULL));
		EXPECT_EQ(0, c[0].res | c[1].res | c[2].res | c[3].res);
		EXPECT_TRUE(arrived(self, 20, 8, 100000))
			TH_LOG("%s", sorts[i].parameters);
		close(fd);
	}
	EXPECT_EQ(0, softdma_get("violations"));
}

TEST_F(slave, is_not_for_an_engine_that_cannot_be_stopped)
{
	int fd;

	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, softdma_rebuild("no_terminate=Y"));
	fd = port_open("t-loop", 0, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, port_refusal(fd, zc_send_op(self->src, 64, 1)));
	close(fd);
}

/* The first half of a piece is moved, then the engine fails. What follows goes on. */
TEST_F(slave, that_fails_says_how_far_it_came)
{
	struct zcdma_completion c;

	ASSERT_EQ(0, softdma_set("fail_nth", 1));
	c = port_op(self->fd, zc_send_op(self->src, 1000, 1));
	EXPECT_EQ(-EIO, c.res);
	EXPECT_EQ(500, c.done);
	EXPECT_TRUE(c.flags & ZCDMA_DONE_RESIDUE);
	EXPECT_TRUE(c.flags & ZCDMA_DONE_REPORTED);
	c = port_op(self->fd, zc_send_op(self->src + 500, 500, 1));
	EXPECT_EQ(0, c.res);
	c = port_op(self->fd, zc_recv_op(self->dst, 1000, 1));
	EXPECT_EQ(0, c.res);
	EXPECT_TRUE(arrived(self, 0, 0, 1000));
}

/* Many pieces, of which one in the middle fails: the next is at the engine already. */
TEST_F(slave, that_fails_in_the_middle_is_stopped_there)
{
	struct zcdma_completion c;
	struct zcdma_op op;

	ASSERT_EQ(0, softdma_set("max_len", 64));
	ASSERT_EQ(0, softdma_set("fail_nth", 10));
	/* A page: it is one segment, of which the engine finds a 64th short enough. */
	c = port_op(self->fd, zc_send_op(self->src, PAGE, 1));
	EXPECT_EQ(-EIO, c.res);
	EXPECT_EQ(9 * 64 + 32, c.done);
	ASSERT_EQ(0, softdma_reset());
	/* What came before is there; one piece may have come after. */
	c = port_op(self->fd, zc_recv_op(self->dst, 9 * 64 + 32, 1));
	EXPECT_EQ(0, c.res);
	EXPECT_TRUE(arrived(self, 0, 0, 9 * 64 + 32));
	op = within(zc_recv_op(self->dst, FIFO, 1), 300);
	c = port_op(self->fd, op);
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_GE(64, c.done);
}

/* ---- the device does not ask ---- */

TEST_F(slave, that_nothing_comes_for_times_out)
{
	__u64 start = zc_now_ms();
	struct zcdma_completion c = port_op(self->fd, within(zc_recv_op(self->dst, PAGE, 7), 300));

	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_EQ(0, c.done);
	EXPECT_EQ(7, c.user_data);
	EXPECT_TRUE(c.flags & ZCDMA_DONE_RESIDUE);
	EXPECT_LE(300, zc_now_ms() - start);
	EXPECT_GE(PATIENCE, zc_now_ms() - start);
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	EXPECT_EQ(0, loop(self->fd, zc_send_op(self->src, 5 * PAGE, 1),
			  zc_recv_op(self->dst + 4, 5 * PAGE, 2)));
	EXPECT_TRUE(arrived(self, 4, 0, 5 * PAGE));
}

/* A part came: that much is said, it is there, and it does not come again. */
static void some_comes(struct __test_metadata *_metadata, WORLD *self, size_t to, size_t part,
		       size_t len)
{
	struct zcdma_completion c;

	ASSERT_EQ(0, port_op(self->fd, zc_send_op(self->src, part, 1)).res);
	c = port_op(self->fd, within(zc_recv_op(self->dst + to, len, 1), SHORT));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_EQ(part, c.done);
	EXPECT_TRUE(pattern_holds(source, self->dst + to, 0, part));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, to));
	EXPECT_TRUE(pattern_holds(target, self->dst + to + len, to + len, SIZE - to - len));
	pattern_write(target, self->dst + to, to, len);
	EXPECT_EQ(0, loop(self->fd, zc_send_op(self->src + part, len - part, 1),
			  zc_recv_op(self->dst + to, len - part, 2)));
	EXPECT_TRUE(arrived(self, to, part, len - part));
}

TEST_F(slave, that_some_comes_for_says_how_much)
{
	some_comes(_metadata, self, PAGE + 4, 4, 8);
	some_comes(_metadata, self, PAGE + 4, 40, 400);
	some_comes(_metadata, self, PAGE + 64, 396, 400);
	some_comes(_metadata, self, PAGE - 8, 1000, 3 * PAGE);
	some_comes(_metadata, self, 8, 9000, MIB);
}

/* No byte is lost or sent twice where the device takes no more. */
TEST_F(slave, that_is_not_taken_can_be_gone_on_with)
{
	struct zcdma_completion c = port_op(self->fd,
					    within(zc_send_op(self->src, 3 * FIFO, 1), SHORT));

	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_EQ(FIFO, c.done);
	EXPECT_EQ(0, loop(self->fd, zc_send_op(self->src + FIFO, 2 * FIFO, 1),
			  zc_recv_op(self->dst, 3 * FIFO, 2)));
	EXPECT_TRUE(arrived(self, 0, 0, 3 * FIFO));
}

/* Such an engine says when a piece is done and nothing else. So does done. */
TEST_F(slave, whose_residue_is_coarse_counts_whole_pieces)
{
	struct zcdma_completion c;

	close(self->fd);
	ASSERT_EQ(0, softdma_rebuild("coarse_residue=Y"));
	self->fd = port_open("t-loop", 0, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, softdma_set("max_len", 1000));
	/* It is full 100 bytes before a page ends: no piece ends there. */
	ASSERT_EQ(0, port_op(self->fd, zc_send_op(self->src, 100, 0)).res);
	c = port_op(self->fd, within(zc_send_op(self->src, 3 * FIFO, 1), SHORT));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_FALSE(c.flags & ZCDMA_DONE_RESIDUE);
	EXPECT_GT(FIFO - 100, c.done);
	EXPECT_LT(0, c.done);
	EXPECT_EQ(0, port_op(self->fd, zc_recv_op(self->dst, FIFO, 2)).res);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 100));
	EXPECT_TRUE(pattern_holds(source, self->dst + 100, 0, FIFO - 100));
}

/* What the device has got and nobody has asked for yet: these bytes, and no other. */
static void rest_is(struct __test_metadata *_metadata, WORLD *self, __u64 rest)
{
	struct zcdma_completion c;

	ASSERT_GE(FIFO, rest);
	if (rest)
		EXPECT_EQ(0, port_op(self->fd, zc_recv_op(self->dst, rest, 1)).res);
	c = port_op(self->fd, within(zc_recv_op(self->dst + rest, PAGE, 1), 200));
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_EQ(0, c.done);
}

/* It has looked whether it may go on, and when it does so the op has long been said to be over. */
TEST_F(slave, of_an_engine_without_a_cpu_is_over_with_its_last_byte)
{
	struct zcdma_op op = zc_send_op(self->src, 1000, 1);
	struct zcdma_completion c;

	ASSERT_EQ(0, softdma_set("stall_us", 5000000));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_TRUE(softdma_gets_descriptor());
	ASSERT_TRUE(softdma_thread_is_in(0, SOFTDMA_ASLEEP));
	EXPECT_EQ(0, zc_cancel(self->fd, 1, 0, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
	EXPECT_EQ(-ECANCELED, c.res);
	EXPECT_EQ(0, c.done);
	ASSERT_EQ(0, softdma_reset());
	ASSERT_TRUE(softdma_thread_is_in(0, SOFTDMA_IDLE));
	rest_is(_metadata, self, 0);
}

/* What waits for its turn is not kept by the one that has it. */
TEST_F(slave, has_a_deadline_of_its_own)
{
	struct zcdma_op ops[] = {
		within(zc_recv_op(self->dst, 1000, 0), PATIENCE),
		within(zc_recv_op(self->dst + 1000, 1000, 1), 200),
		within(zc_recv_op(self->dst + 2000, 1000, 2), PATIENCE),
	};
	struct zcdma_completion c[3];

	ASSERT_EQ(0, zc_submit(self->fd, ops, 3, NULL));
	ASSERT_EQ(1, zc_reap(self->fd, c, 1, PATIENCE));
	EXPECT_EQ(1, c[0].user_data);
	EXPECT_EQ(-ETIMEDOUT, c[0].res);
	EXPECT_EQ(0, c[0].done);
	EXPECT_EQ(0, zc_poll(self->fd, POLLIN, 200));	/* and it is the only one */
	ASSERT_EQ(0, port_op(self->fd, zc_send_op(self->src, 2000, 3)).res);
	ASSERT_EQ(2, zc_reap(self->fd, c, 2, PATIENCE));
	EXPECT_EQ(0, c[0].user_data);
	EXPECT_EQ(2, c[1].user_data);
	EXPECT_EQ(0, c[0].res);
	EXPECT_EQ(0, c[1].res);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 1000));
	EXPECT_TRUE(pattern_holds(target, self->dst + 1000, 1000, 1000));
	EXPECT_TRUE(pattern_holds(source, self->dst + 2000, 1000, 1000));
}

/* ---- ends ---- */

/* The device asks for nothing yet. What has ended is the engine's no more. */
TEST_F(slave, is_waited_for_by_drain)
{
	struct zcdma_op ops[] = {
		zc_recv_op(self->dst, 1000, 0), zc_recv_op(self->dst + 1000, 1000, 1),
	};
	struct zcdma_completion c[2];

	ASSERT_EQ(0, zc_submit(self->fd, ops, 2, NULL));
	EXPECT_EQ(-ETIMEDOUT, zc_drain(self->fd, 200));
	ASSERT_EQ(0, port_op(self->fd, zc_send_op(self->src, 1000, 2)).res);
	ASSERT_TRUE(softdma_thread_is_in(1, SOFTDMA_AT_DEVICE));
	EXPECT_EQ(-ETIMEDOUT, zc_drain(self->fd, 200));
	EXPECT_EQ(0, zc_cancel(self->fd, 0, ZCDMA_CANCEL_ALL, NULL));
	EXPECT_EQ(0, zc_drain(self->fd, PATIENCE));
	ASSERT_EQ(2, zc_reap(self->fd, c, 2, PATIENCE));
	EXPECT_EQ(0, c[0].res);
	EXPECT_EQ(-ECANCELED, c[1].res);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 1000));
}

TEST_F(slave, is_cancelled_waiting_or_begun)
{
	struct zcdma_op ops[] = {
		zc_recv_op(self->dst, 1000, 0), zc_recv_op(self->dst + 1000, 1000, 1),
		zc_recv_op(self->dst + 2000, 1000, 2),
	};
	struct zcdma_completion c[3];
	__u32 nr = 0;

	ASSERT_EQ(0, zc_submit(self->fd, ops, 3, NULL));
	EXPECT_EQ(0, zc_cancel(self->fd, 1, 0, &nr));
	EXPECT_EQ(1, nr);
	ASSERT_EQ(1, zc_reap(self->fd, c, 1, PATIENCE));
	EXPECT_EQ(1, c[0].user_data);
	EXPECT_EQ(-ECANCELED, c[0].res);
	ASSERT_EQ(0, port_op(self->fd, zc_send_op(self->src, 600, 3)).res);
	ASSERT_TRUE(softdma_thread_is_in(1, SOFTDMA_AT_DEVICE));	/* it has taken them */
	EXPECT_EQ(0, zc_cancel(self->fd, 0, 0, &nr));
	EXPECT_EQ(1, nr);
	ASSERT_EQ(1, zc_reap(self->fd, c, 1, PATIENCE));
	EXPECT_EQ(0, c[0].user_data);
	EXPECT_EQ(-ECANCELED, c[0].res);
	EXPECT_EQ(600, c[0].done);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 600));
	/* The third one is untouched, and has its turn now. */
	ASSERT_EQ(0, port_op(self->fd, zc_send_op(self->src, 1000, 3)).res);
	ASSERT_EQ(1, zc_reap(self->fd, c, 1, PATIENCE));
	EXPECT_EQ(2, c[0].user_data);
	EXPECT_EQ(0, c[0].res);
	EXPECT_TRUE(pattern_holds(source, self->dst + 2000, 0, 1000));
	EXPECT_EQ(-ENOENT, zc_cancel(self->fd, 2, 0, NULL));
}

/* In both directions, registered and not, with more of them behind. */
static int everything_waits(WORLD *self, int fd)
{
	int id = zc_register(fd, self->dst, SIZE, 0);
	struct zcdma_op ops[] = {
		zc_send_op(self->src, MIB, 0), zc_send_op(self->src, MIB, 1),
		zc_recv_op((void *)4, MIB, 2), zc_recv_op(self->dst + 2 * MIB, 400, 3),
		zc_send_op((void *)8, PAGE, 4),
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		ops[i].deadline_ms = 60000;
	ops[2].dst_buffer = id;
	ops[4].src_buffer = id;
	return id < 0 ? id : zc_submit(fd, ops, ARRAY_SIZE(ops), NULL);
}

/* Apart from each other, so that neither gets what the other sends. */
static int open_apart(void)
{
	int err = port_make("t-apart", 0, 2, "width=4");

	return err ?: port_open("t-apart", 0, 0);
}

/* A session of its own in place of self->fd. */
static int waiting_apart(WORLD *self)
{
	int fd, err;

	close(self->fd);
	self->fd = -1;
	fd = open_apart();
	err = fd < 0 ? fd : everything_waits(self, fd);
	return err ?: fd;
}

TEST_F_TIMEOUT(slave, is_over_when_the_file_is_closed, 90)
{
	int fd = waiting_apart(self);
	__u64 start;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(softdma_thread_is_in(0, SOFTDMA_AT_DEVICE));	/* the FIFO is full */
	start = zc_now_ms();
	close(fd);
	EXPECT_GE(PATIENCE, zc_now_ms() - start);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	EXPECT_EQ(0, port_drop("t-apart"));
}

TEST_F_TIMEOUT(slave, is_over_when_its_owner_is_killed, 90)
{
	__u64 end = zc_now_ms() + PATIENCE;
	pid_t pid;
	int fd;

	close(self->fd);
	IN_CHILD(pid) {
		fd = open_apart();
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!everything_waits(self, fd));
		port_op(fd, within(zc_recv_op(self->dst, 8, 5), 60000));
	}
	/* What is registered is pinned before it submits. */
	while (zc_pinned_pages() < self->pinned + (long)(SIZE / PAGE)) {
		ASSERT_GT(end, zc_now_ms());
		zc_sleep_ms(1);
	}
	ASSERT_TRUE(zc_sleeps_in(pid, SYS_ioctl));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	EXPECT_EQ(0, port_drop("t-apart"));
	ASSERT_EQ(0, softdma_rebuild(""));	/* with what it has sent */
	self->fd = port_open("t-loop", 0, 0);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(0, loop(self->fd, zc_send_op(self->src, 5 * PAGE, 1),
			  zc_recv_op(self->dst, 5 * PAGE, 2)));
	EXPECT_TRUE(arrived(self, 0, 0, 5 * PAGE));
}

TEST_F_TIMEOUT(slave, is_over_when_the_engine_leaves, 90)
{
	struct zcdma_completion c[5];
	unsigned int seen = 0;
	int fd = waiting_apart(self);
	__u64 start;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(softdma_thread_is_in(0, SOFTDMA_AT_DEVICE));	/* the FIFO is full */
	EXPECT_EQ(0, zc_poll(fd, POLLIN, 200));
	start = zc_now_ms();
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_GE(PATIENCE, zc_now_ms() - start);
	EXPECT_EQ(POLLIN | POLLHUP | POLLERR, zc_poll(fd, POLLIN, PATIENCE));
	ASSERT_EQ(5, zc_reap(fd, c, 5, PATIENCE));
	for (int i = 0; i < 5; i++) {
		seen |= 1U << c[i].user_data;
		EXPECT_EQ(-ENODEV, c[i].res);
		EXPECT_EQ(c[i].user_data ? 0 : FIFO, c[i].done);
	}
	EXPECT_EQ(0x1f, seen);
	EXPECT_EQ(-ENODEV, port_refusal(fd, zc_send_op(self->src, 64, 1)));
	EXPECT_EQ(-ENODEV, zc_read(fd, c, 1));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned + SIZE / PAGE, PATIENCE));
	ASSERT_EQ(0, softdma_bind());
	close(fd);
	EXPECT_EQ(0, port_drop("t-apart"));
	self->fd = port_open("t-loop", 0, 0);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(0, loop(self->fd, zc_send_op(self->src, PAGE, 1),
			  zc_recv_op(self->dst, PAGE, 2)));
}

static void interrupted(int signal)
{
}

/* Nothing is lost by a signal: the op goes on, and its completion comes by read(). */
TEST_F(slave, goes_on_when_a_signal_ends_the_wait)
{
	struct sigaction action = { .sa_handler = interrupted };
	struct zcdma_completion c;
	struct zcdma_op op = zc_recv_op(self->dst, 64, 9);
	pid_t parent = getpid(), pid;
	__u32 accepted = 0;

	sigaction(SIGUSR1, &action, NULL);
	IN_CHILD(pid) {
		CHILD_CHECK(zc_sleeps_in(parent, SYS_ioctl));
		kill(parent, SIGUSR1);
	}
	EXPECT_EQ(-EINTR, zc_submit_wait(self->fd, &op, 1, &c, &accepted));
	EXPECT_EQ(1, accepted);
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(0, port_op(self->fd, zc_send_op(self->src, 64, 1)).res);
	ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(9, c.user_data);
	EXPECT_TRUE(arrived(self, 0, 0, 64));
}

/* ---- whatever happens ---- */

#define TURNS	400

struct side {
	WORLD *self;
	pthread_t thread;
	struct zcdma_op (*op)(struct side *side, size_t len);
	unsigned int seed;
	__u64 at;			/* bytes that were moved */
	unsigned int cut_short;
	bool wrong;
	struct {
		__u64 at;
		size_t len, done;
		int res;
	} ops[TURNS];
	atomic_int rounds;
	atomic_bool over;
};

static struct zcdma_op next_send(struct side *side, size_t len)
{
	return zc_send_op(side->self->src + side->at % SIZE, len, 1);
}

static struct zcdma_op next_recv(struct side *side, size_t len)
{
	return zc_recv_op(side->self->dst + side->at % SIZE, len, 2);
}

/* What this side moves goes on where it stopped, and says what it moved. */
static void *moves_on(void *arg)
{
	struct side *side = arg;

	for (int round = 0; round < TURNS && !side->wrong; round++) {
		size_t len = 4 + rand_r(&side->seed) % (round & 1 ? 600 : 60000) / 4 * 4;
		size_t at = side->at % SIZE;
		struct zcdma_completion c;

		if (len > SIZE - at)
			len = SIZE - at;
		c = port_op(side->self->fd, within(side->op(side, len),
						   1 + rand_r(&side->seed) % 20));
		side->wrong = (c.res && c.res != -ETIMEDOUT && c.res != -ECANCELED) ||
			      c.done > len || (!c.res && c.done != len) ||
			      (side->op == next_recv &&
			       !pattern_holds(source, side->self->dst + at, at, c.done));
		side->cut_short += !!c.res;
		side->ops[round].at = side->at;
		side->ops[round].len = len;
		side->ops[round].done = c.done;
		side->ops[round].res = c.res;
		side->rounds = round + 1;
		side->at += c.done;
	}
	side->over = true;
	return NULL;
}

/* Where one of the sides went wrong: what both did, there and a bit before. */
static void tell(const struct side *sides)
{
	const struct side *recv = &sides[1];
	__u64 until = recv->ops[recv->rounds - 1].at;

	for (int i = 0; i < 2; i++)
		for (int round = 0; round < sides[i].rounds; round++)
			if (sides[i].ops[round].at + 200000 > until &&
			    sides[i].ops[round].at < until + 50000)
				printf("# %s: at %llu %zu of %zu, %d\n", i ? "recv" : "send",
				       sides[i].ops[round].at, sides[i].ops[round].done,
				       sides[i].ops[round].len, sides[i].ops[round].res);
}

/*
 * Deadlines and cancelling cut both sides short, again and again. The device has got
 * exactly the bytes that were said to be sent, and gave exactly those that were said to
 * have come.
 */
TEST_F_TIMEOUT(slave, loses_and_doubles_no_byte, 120)
{
	struct side sides[] = {
		{ .self = self, .op = next_send, .seed = zc_random() },
		{ .self = self, .op = next_recv, .seed = zc_random() },
	};

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&sides[i].thread, NULL, moves_on, &sides[i]));
	while (!sides[0].over || !sides[1].over) {
		zc_sleep_ms(1 + zc_random_below(10));
		zc_cancel(self->fd, zc_random_below(3), 0, NULL);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(sides[i].thread, NULL);
	EXPECT_FALSE(sides[0].wrong || sides[1].wrong)
		tell(sides);
	TH_LOG("%llu bytes sent, %u of %d ops cut short; %llu received, %u cut short",
	       sides[0].at, sides[0].cut_short, TURNS, sides[1].at, sides[1].cut_short);
	for (int i = 0; i < 2; i++) {
		EXPECT_LT(0, sides[i].cut_short);
		EXPECT_GT(TURNS, sides[i].cut_short);
	}
	rest_is(_metadata, self, sides[0].at - sides[1].at);
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* ---- streams ---- */

TEST_F(slave, and_a_stream_do_not_go_together)
{
	struct zcdma_completion c;
	struct zcdma_op op = zc_recv_op(self->dst, 64, 1);

	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	EXPECT_EQ(-EBUSY, stream_setup(self->fd, ZCDMA_RX, 0, 4096, 65536));
	EXPECT_EQ(0, port_op(self->fd, zc_send_op(self->src, 64, 1)).res);
	ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
	EXPECT_EQ(0, c.res);
	ASSERT_EQ(0, stream_setup(self->fd, ZCDMA_RX, 0, 64, 640));
	EXPECT_EQ(-EBUSY, port_refusal(self->fd, op));
	/* The other direction is as it was. */
	EXPECT_EQ(0, stream_do(self->fd, ZCDMA_RX, ZCDMA_STREAM_START));
	EXPECT_EQ(0, port_op(self->fd, zc_send_op(self->src + 64, 128, 1)).res);
	EXPECT_EQ(128, stream_read(self->fd, self->dst, 128));
	EXPECT_TRUE(pattern_holds(source, self->dst, 64, 128));
}

/* A ring that could not be had leaves no trace. */
TEST_F(slave, goes_on_after_a_stream_was_refused)
{
	EXPECT_EQ(-EINVAL, stream_setup(self->fd, ZCDMA_RX, 0, 3, 65536));
	EXPECT_EQ(0, loop(self->fd, zc_send_op(self->src, PAGE, 1),
			  zc_recv_op(self->dst, PAGE, 2)));
}

/* ---- bad input ---- */

TEST_F(slave, wants_whole_words)
{
	int id = zc_register(self->fd, self->src + 2, PAGE, 0);
	struct zcdma_op op = zc_send_op((void *)0, 4, 1);

	ASSERT_LT(0, id);
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, zc_send_op(self->src, 3, 1)));
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, zc_send_op(self->src, 5, 1)));
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, zc_send_op(self->src + 2, 4, 1)));
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, zc_recv_op(self->dst, 4098, 1)));
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, zc_recv_op(self->dst + 1, 4096, 1)));
	op.src_buffer = id;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op.src = 2;
	EXPECT_EQ(0, port_op(self->fd, op).res);
	EXPECT_EQ(0, port_op(self->fd, zc_recv_op(self->dst, 4, 1)).res);
	EXPECT_TRUE(arrived(self, 0, 4, 4));
}

TEST_F(slave, wants_a_direction_and_an_opcode_that_are_there)
{
	struct zcdma_op rows = zc_copy_op(self->dst, self->src, 64, 1);
	int fd;

	rows.opcode = ZCDMA_OP_COPY_2D;
	rows.rows = 1;
	rows.src_stride = 64;
	rows.dst_stride = 64;
	EXPECT_EQ(-EOPNOTSUPP, port_refusal(self->fd, zc_copy_op(self->dst, self->src, 64, 1)));
	EXPECT_EQ(-EOPNOTSUPP, port_refusal(self->fd, zc_fill_op(self->dst, 7, 64, 1)));
	EXPECT_EQ(-EOPNOTSUPP, port_refusal(self->fd, rows));
	close(self->fd);
	self->fd = -1;
	fd = port_open("t-rx", 0, 0);
	EXPECT_EQ(-EOPNOTSUPP, port_refusal(fd, zc_send_op(self->src, 64, 1)));
	close(fd);
	fd = port_open("t-tx", 0, 0);
	EXPECT_EQ(-EOPNOTSUPP, port_refusal(fd, zc_recv_op(self->dst, 64, 1)));
	close(fd);
	fd = zc_session("softdma", 0);
	EXPECT_EQ(-EOPNOTSUPP, port_refusal(fd, zc_send_op(self->src, 64, 1)));
	EXPECT_EQ(-EOPNOTSUPP, port_refusal(fd, zc_recv_op(self->dst, 64, 1)));
	close(fd);
	fd = zc_open(0);
	EXPECT_EQ(-ENOTCONN, port_refusal(fd, zc_recv_op(self->dst, 64, 1)));
	close(fd);
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
}

TEST_F(slave, wants_sane_ops)
{
	char *forbidden = zc_map(PAGE), *edge = zc_map_edge();
	int id = zc_register(self->fd, self->dst, PAGE, ZCDMA_BUFFER_READ_ONLY);
	struct zcdma_op op;

	ASSERT_LT(0, id);
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, zc_send_op(self->src, 0, 1)));
	EXPECT_EQ(-EMSGSIZE, port_refusal(self->fd, zc_send_op(self->src, (1UL << 30) + 4, 1)));
	op = zc_send_op(NULL, 64, 1);
	op.src = -8ULL;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op = zc_recv_op(NULL, 64, 1);
	op.dst = -8ULL;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	EXPECT_EQ(-EFAULT, port_refusal(self->fd, zc_send_op(edge - 64, 128, 1)));
	EXPECT_EQ(-EFAULT, port_refusal(self->fd, zc_recv_op(edge - 64, 128, 1)));
	ASSERT_EQ(0, mprotect(forbidden, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, port_refusal(self->fd, zc_recv_op(forbidden, 64, 1)));
	op = zc_send_op(self->src, 64, 1);
	op.dst = 4;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op.dst = 0;
	op.dst_buffer = id;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op = zc_recv_op(self->dst, 64, 1);
	op.src = 4;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op.src = 0;
	op.src_buffer = id;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op = zc_recv_op(NULL, 64, 1);
	op.dst_buffer = id;
	EXPECT_EQ(-EFAULT, port_refusal(self->fd, op));	/* read-only */
	op.dst_buffer = 77;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op = zc_send_op((void *)(PAGE - 32), 64, 1);
	op.src_buffer = id;
	EXPECT_EQ(-EFAULT, port_refusal(self->fd, op));	/* past its end */
	op = zc_send_op(self->src, 64, 1);
	op.flags = ZCDMA_OP_FLAG_BARRIER;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op.flags = 0;
	op.deadline_ms = ~0U;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op = zc_send_op(self->src, 64, 1);
	op.rows = 1;
	op.src_stride = 64;
	op.dst_stride = 64;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	op.opcode = ZCDMA_OP_RECV;
	op.dst = zc_ptr(self->dst);
	op.src = 0;
	EXPECT_EQ(-EINVAL, port_refusal(self->fd, op));
	EXPECT_EQ(0, zc_outstanding(self->fd));
	EXPECT_EQ(0, zc_unregister(self->fd, id));
	EXPECT_EQ(0, loop(self->fd, zc_send_op(self->src, PAGE, 1),
			  zc_recv_op(self->dst, PAGE, 2)));
}

/* What comes before the first bad one is done. */
TEST_F(slave, after_a_bad_one_is_not_begun)
{
	struct zcdma_op ops[] = {
		zc_send_op(self->src, 64, 0), zc_send_op(self->src, 63, 1),
		zc_send_op(self->src, 64, 2),
	};
	struct zcdma_completion c[3];
	__u32 accepted = 99;

	EXPECT_EQ(-EINVAL, zc_submit_wait(self->fd, ops, 3, c, &accepted));
	EXPECT_EQ(1, accepted);
	EXPECT_EQ(0, c[0].res);
	c[0] = port_op(self->fd, within(zc_recv_op(self->dst, 128, 1), SHORT));
	EXPECT_EQ(-ETIMEDOUT, c[0].res);
	EXPECT_EQ(64, c[0].done);
}

TEST_F(slave, is_charged_to_its_user)
{
	pid_t pid;

	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, port_give_to_all("t-loop"));
	IN_CHILD(pid) {
		int fd;

		zc_become_user(16 * PAGE);
		fd = port_open("t-loop", 0, 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(port_refusal(fd, zc_send_op(self->src, 17 * PAGE, 1)) == -ENOMEM);
		CHILD_CHECK(!loop(fd, zc_send_op(self->src, 8 * PAGE, 1),
				  zc_recv_op(self->dst, 8 * PAGE, 2)));
		CHILD_CHECK(zc_register(fd, self->src, 17 * PAGE, 0) == -ENOMEM);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
