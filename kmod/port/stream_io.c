// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: what readers and writers have in common.
 *
 * One reader or writer at a time, under stream->user. User memory is touched under
 * that, and under nothing else: an unbind does not wait for a page fault.
 */
#include <linux/sched/signal.h>
#include "stream.h"

/* Why there is nothing to wait for any more: 0 or -errno. */
int zcdma_stream_why_over(const struct zcdma_stream *st)
{
	switch (READ_ONCE(st->state)) {
	case ZCDMA_STREAM_FAILED:
		return -EIO;
	case ZCDMA_STREAM_GONE:
		return -ENODEV;
	default:
		return 0;
	}
}

/* The number of the run. */
u64 zcdma_stream_run(struct zcdma_stream *st)
{
	u64 ret;

	spin_lock_irq(&st->lock);
	ret = st->run->number;
	spin_unlock_irq(&st->lock);
	return ret;
}

/* Is there something to take out, or to put in, or nothing to wait for, as run @run is over? */
bool zcdma_stream_is_ready(struct zcdma_stream *st, u64 run)
{
	bool ret;

	zcdma_stream_refresh_all(st);
	spin_lock_irq(&st->lock);
	ret = st->xrun || zcdma_stream_is_over(st) || st->run->number != run;
	if (st->way == ZCDMA_WAY_RX)
		ret |= (st->hand_left && st->hand_run == run) || zcdma_stream_has_some(st);
	else
		ret |= !zcdma_stream_is_full(st);
	if (!ret && st->way == ZCDMA_WAY_RX)
		zcdma_part_want(st);
	spin_unlock_irq(&st->lock);
	return ret;
}

int zcdma_stream_wait_ready(struct zcdma_stream *st, u64 run, bool nonblock)
{
	long left;

	if (zcdma_stream_is_ready(st, run))
		return 0;
	if (nonblock)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(*st->wq, zcdma_stream_is_ready(st, run),
						st->timeout);
	if (left < 0)
		return left;
	return left ? 0 : -ETIMEDOUT;
}

/* The first read() of a receiver starts it, and so does a sender's full ring. */
int zcdma_stream_start_if_idle(struct zcdma_stream *st, bool nonblock)
{
	bool started = false;
	int err;

	if (READ_ONCE(st->state) != ZCDMA_STREAM_IDLE)
		return 0;
	err = zcdma_port_lock(st->use, nonblock);
	if (err)
		return err;
	if (st->state == ZCDMA_STREAM_IDLE) {
		err = zcdma_stream_start(st);
		started = !err;
	}
	zcdma_port_unlock(st->use);
	return started && !nonblock ? zcdma_stream_await_begin(st) : err;
}

/* Who must not block does not wait for another one either, who may wait for the device. */
int zcdma_stream_lock_user(struct zcdma_stream *st, bool nonblock)
{
	if (nonblock)
		return mutex_trylock(&st->user) ? 0 : -EAGAIN;
	return mutex_lock_interruptible(&st->user) ? -EINTR : 0;
}

/* A sender goes on a period ahead of the engine. What it leaves out are zeros, too. */
static void stream_skip_to_engine(struct zcdma_stream *st)
{
	u64 next = max(st->head, max(st->tail, st->begun) + 2);

	st->lost += next - max(st->head, st->tail + 1);
	st->head = next;
	st->offset = 0;
	st->taken = 0;
}

/* A receiver goes on half a ring behind the engine, which goes on, if it was further behind. */
static void stream_skip_to_half(struct zcdma_stream *st)
{
	u64 half = st->head - st->nr / 2;

	if (st->head - st->tail <= st->nr / 2)
		return;
	st->lost += half - st->tail;
	st->tail = half;
	st->offset = 0;
}

/*
 * Report a loss, once. Who goes on is given some time. If the call has moved something before, it
 * returns that, and the next one is told: before the first byte after the loss. Under st->lock.
 */
int zcdma_stream_report_loss(struct zcdma_stream *st, bool later)
{
	if (!st->xrun)
		return 0;
	if (later)
		return -EPIPE;
	st->xrun = false;
	st->torn = false;
	if (st->way == ZCDMA_WAY_TX)
		stream_skip_to_engine(st);
	else if (zcdma_stream_at_work(st))
		stream_skip_to_half(st);
	zcdma_stream_publish(st);
	return -EPIPE;
}
