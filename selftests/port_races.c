// SPDX-License-Identifier: GPL-2.0
/*
 * Ops at a port that are cancelled as they end, fail or go on: no byte is lost or moved twice,
 * and each completion says how far the op came. On the software engine's loop-back; the moment
 * is swept until both outcomes were seen, see sweep.h.
 */
#include <errno.h>
#include <string.h>

#include "harness.h"
#include "pattern.h"
#include "port_util.h"
#include "softdma.h"
#include "sweep.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define PATIENCE	20000	/* ms */
#define LEN		1000	/* of an op */

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(port_op) {
	long pinned;
	int fd;
	char *src, *dst;	/* two pages each */
};

#define WORLD FIXTURE_DATA(port_op)

FIXTURE_SETUP(port_op)
{
	zc_unlimit_memlock();
	zc_seed();
	self->pinned = zc_pinned_baseline();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, softdma_rebuild(""));	/* with empty FIFOs */
	ASSERT_EQ(0, port_make("t-loop", 0, 1, "width=4"));
	self->src = zc_map(2 * PAGE);
	self->dst = zc_map(2 * PAGE);
	pattern_write(source, self->src, 0, 2 * PAGE);
	pattern_write(target, self->dst, 0, 2 * PAGE);
	self->fd = port_open("t-loop", 0, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(port_op)
{
	softdma_reset();
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	EXPECT_EQ(0, port_drop("t-loop"));
	EXPECT_EQ(0, softdma_reset());
}

/* Are the first @len bytes received those of the source from @from on? Then as before. */
static bool arrived(WORLD *self, size_t from, size_t len)
{
	bool fine = pattern_holds(source, self->dst, from, len) &&
		    pattern_holds(target, self->dst + len, len, 2 * PAGE - len);

	pattern_write(target, self->dst, 0, 2 * PAGE);
	return fine;
}

/* The device holds exactly these bytes of the source, and they are taken from it. */
static bool holds(WORLD *self, size_t from, size_t len)
{
	struct zcdma_completion c = { 0 };
	struct zcdma_op more = zc_recv_op(self->dst, 4, 1);

	if (len)
		c = port_op(self->fd, zc_recv_op(self->dst, len, 1));
	if (c.res || !arrived(self, from, len))
		return false;
	more.deadline_ms = 3;
	c = port_op(self->fd, more);
	if (c.res == -ETIMEDOUT && !c.done)
		return true;
	fprintf(stderr, "# %zu bytes from %zu on, and then more\n", len, from);
	return false;
}

/* Submit @op, cancel it after @delay, and see what became of it. */
static struct zcdma_completion cancel_after(struct __test_metadata *_metadata, WORLD *self,
					    struct zcdma_op op, __s64 delay)
{
	struct zcdma_completion c;

	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	sweep_spin(delay);
	zc_cancel(self->fd, op.user_data, 0, NULL);
	ASSERT_EQ(1, zc_reap(self->fd, &c, 1, PATIENCE));
	ASSERT_EQ(0, zc_outstanding(self->fd));
	return c;
}

#define WORD	4
#define NEXT	64UL

/* Op 1 has word 1 to receive, op 2 some more behind. Op 1 is cancelled after @delay. */
static bool race_with_next(struct __test_metadata *_metadata, WORLD *self, __s64 delay)
{
	struct zcdma_op send = zc_send_op(self->src, WORD, 0);
	struct zcdma_op recvs[] = {
		zc_recv_op(self->dst, WORD, 1), zc_recv_op(self->dst + WORD, NEXT, 2),
	};
	struct zcdma_completion c[2];
	size_t rest, done = 0;

	ASSERT_EQ(0, zc_submit(self->fd, recvs, 2, NULL));
	ASSERT_EQ(0, zc_submit(self->fd, &send, 1, NULL));
	sweep_spin(delay);
	zc_cancel(self->fd, 1, 0, NULL);
	ASSERT_EQ(2, zc_reap(self->fd, c, 2, PATIENCE));
	for (int i = 0; i < 2; i++) {
		/* The next one waits for more. */
		ASSERT_GT(2, c[i].user_data);
		if (!c[i].user_data)
			continue;
		ASSERT_EQ(c[i].done == WORD ? 0 : -ECANCELED, c[i].res);
		done = c[i].done;
	}
	rest = done + NEXT - WORD;
	send = zc_send_op(self->src + WORD, rest, 0);
	ASSERT_EQ(0, zc_submit(self->fd, &send, 1, NULL));
	ASSERT_EQ(2, zc_reap(self->fd, c, 2, PATIENCE));
	ASSERT_EQ(0, c[0].res | c[1].res);
	ASSERT_TRUE(pattern_holds(source, self->dst, 0, done));
	ASSERT_TRUE(pattern_holds(source, self->dst + WORD, done, NEXT));
	pattern_write(target, self->dst, 0, WORD + NEXT);
	return done;
}

/* One op ends as it is cancelled, and the next one begins: that one is not stopped instead. */
TEST_F_TIMEOUT(port_op, cancelled_as_it_ends_is_not_taken_for_the_next, 40)
{
	struct sweep sweep = sweep_start("cancelled", "done", 500);

	while (sweep_goes_on(&sweep))
		sweep_saw(&sweep, race_with_next(_metadata, self, sweep.delay) ? SWEEP_LATE :
										 SWEEP_EARLY);
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

/* The engine fails half way. Both ways the op says how far it came, and can be gone on with. */
TEST_F_TIMEOUT(port_op, cancelled_as_it_fails_says_how_far_it_came, 40)
{
	struct sweep sweep = sweep_start("cancelled", "failed", 60);

	ASSERT_EQ(0, softdma_set("delay_us", 1000));
	sweep.delay = 1000000;
	while (sweep_goes_on(&sweep)) {
		struct zcdma_completion c;

		ASSERT_EQ(0, softdma_set("fail_nth", 1));
		c = cancel_after(_metadata, self, zc_send_op(self->src, LEN, 1), sweep.delay);
		ASSERT_TRUE(c.res == -ECANCELED || c.res == -EIO);
		ASSERT_TRUE(c.res == -ECANCELED || c.done == LEN / 2);
		ASSERT_EQ(0, softdma_set("fail_nth", 0));
		ASSERT_TRUE(holds(self, 0, c.done));
		sweep_saw(&sweep, c.res == -EIO ? SWEEP_LATE : SWEEP_EARLY);
	}
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

/*
 * The engine stands still before each chunk of bytes, and does not look again at whether it was
 * paused meanwhile. So an op that is cancelled may still be moved: then it says so.
 */
TEST_F_TIMEOUT(port_op, cancelled_at_an_engine_that_pauses_late_says_how_far_it_came, 40)
{
	struct sweep sweep = sweep_start("cut short", "whole", 60);

	ASSERT_EQ(0, softdma_set("loose_pause", 1));
	ASSERT_EQ(0, softdma_set("stall_us", 1000));
	while (sweep_goes_on(&sweep)) {
		bool receives = (sweep.seen[0] + sweep.seen[1]) & 1;
		struct zcdma_op op = receives ? zc_recv_op(self->dst, LEN, 1) :
						zc_send_op(self->src, LEN, 1);
		struct zcdma_completion c;

		if (receives)
			ASSERT_EQ(0, port_op(self->fd, zc_send_op(self->src, LEN, 2)).res);
		c = cancel_after(_metadata, self, op, sweep.delay);
		ASSERT_GE(LEN, c.done);
		ASSERT_EQ(c.done < LEN ? -ECANCELED : 0, c.res);
		if (receives) {
			ASSERT_TRUE(arrived(self, 0, c.done));
			ASSERT_TRUE(holds(self, c.done, LEN - c.done));
		} else {
			ASSERT_TRUE(holds(self, 0, c.done));
		}
		sweep_saw(&sweep, c.res ? SWEEP_EARLY : SWEEP_LATE);
	}
	EXPECT_TRUE(sweep_saw_both(&sweep));
}

ZC_THREADS_ONLY()
ZC_TEST_MAIN
