// SPDX-License-Identifier: GPL-2.0
/* Streams: write() and drain. */
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include "stream.h"

/* A part of the period at the head, as it was found under the lock. */
struct write_part {
	u64 run;
	u64 number;
	u32 offset;
	u32 room;
};

static void *write_place(struct zcdma_stream *st, u64 number)
{
	return st->cyclic ? st->mem + zcdma_stream_at(st, number) :
			    st->periods[zcdma_stream_slot(st, number)].mem;
}

/* What the CPU wrote to a period is to be seen by the engine. Under use->engine. */
static void write_sync(struct zcdma_stream *st, u64 number)
{
	dma_addr_t dma = st->cyclic ? st->dma + zcdma_stream_at(st, number) :
				      st->periods[zcdma_stream_slot(st, number)].dma;

	dma_sync_single_for_device(st->lease->limits.dev, dma,
				   st->cyclic ? st->period : st->span, DMA_TO_DEVICE);
}

/*
 * What was written to a cyclic ring came too late: it is for a run that is over, or for a period
 * that the engine has passed. It is not to go out the next time round.
 */
static void write_undo(struct zcdma_stream *st, const struct write_part *part, u32 len)
{
	if (!st->cyclic)
		return;
	mutex_lock(&st->use->engine);
	memset(write_place(st, part->number) + part->offset, 0, len);
	if (st->mapped)
		write_sync(st, part->number);
	zcdma_port_unlock(st->use);
}

/*
 * The period is full, or @len bytes of it are. If the engine began it before, what went out is
 * not, or not only, what is there now. That is a loss, even if its callbacks have not come so far.
 * Under st->lock. Return: has it passed it?
 */
static bool write_is_full(struct zcdma_stream *st, u64 number, u32 len, u64 begun)
{
	/* cyclic_sent() has counted those up to the tail. */
	if (number > st->tail && number <= begun)
		zcdma_stream_lose(st, 1);
	if (!st->cyclic)
		st->periods[zcdma_stream_slot(st, number)].len = len;
	/* Who wrote it looked for losses when he came: what there is concerns this one. */
	st->torn = st->xrun;
	st->begun = begun;
	st->head++;
	st->offset = 0;
	st->taken = 0;
	WRITE_ONCE(st->ctl->head, st->head);
	return st->cyclic && number < max(st->tail, begun);
}

/* Under use->engine. Return: 0, -ENODEV, -ECANCELED: its run is over; *late: see write_undo(). */
static int write_put_in(struct zcdma_stream *st, const struct write_part *part, u32 len, bool *late)
{
	int err = 0;
	u64 begun;

	if (!st->mapped)
		return -ENODEV;
	write_sync(st, part->number);
	begun = zcdma_cyclic_begun(st);
	spin_lock_irq(&st->lock);
	if (st->run->number != part->run)
		err = -ECANCELED;
	else if (st->head == part->number)
		*late = write_is_full(st, part->number, len, begun);
	spin_unlock_irq(&st->lock);
	if (!err)
		zcdma_stream_kick(st);
	return err;
}

/* Where to write, and how much. Return: 0 or -errno. */
static int write_look(struct zcdma_stream *st, u64 run, bool later, struct write_part *part)
{
	u32 left;
	int err;

	spin_lock_irq(&st->lock);
	part->run = st->run->number;
	part->number = st->head;
	part->offset = 0;
	left = st->offset;
	err = part->run == run ? zcdma_stream_report_loss(st, later) : -ECANCELED;
	if (!err) {
		left = 0;
		err = zcdma_stream_why_over(st);
		if (!err && st->state == ZCDMA_STREAM_STOPPED)
			err = -ECANCELED;
		part->offset = st->offset;
	}
	part->room = zcdma_stream_is_full(st) ? 0 : st->period - part->offset;
	spin_unlock_irq(&st->lock);
	/* A period that was begun before the loss is none any more. */
	if (err == -EPIPE && !later && left)
		write_undo(st, part, left);
	return err;
}

/* It was copied. Return: does it belong there still, and is the ring not just being cleared? */
static bool write_took(struct zcdma_stream *st, const struct write_part *part, u32 len)
{
	bool ret;

	spin_lock_irq(&st->lock);
	ret = st->run->number == part->run && st->state != ZCDMA_STREAM_STOPPED;
	if (ret && st->head == part->number)
		st->offset = part->offset + len;
	spin_unlock_irq(&st->lock);
	return ret;
}

/* The period is full as soon as @len more bytes are counted. As write_put_in(), or -errno. */
static int write_last(struct zcdma_stream *st, const struct write_part *part, u32 len,
		      bool nonblock, bool *late)
{
	int err = zcdma_port_lock(st->use, nonblock);

	if (err) {
		/* None of them was synchronized so far. They come once more, or never. */
		if (st->cyclic)
			memset(write_place(st, part->number) + part->offset, 0, len);
		return err;
	}
	err = write_took(st, part, len) ? write_put_in(st, part, st->period, late) : -ECANCELED;
	zcdma_port_unlock(st->use);
	return err;
}

/* Return: how many bytes, 0 when there is no room, or -errno. */
static ssize_t write_one(struct zcdma_stream *st, struct iov_iter *from, u64 run, bool later,
			 bool nonblock)
{
	struct write_part part;
	bool late = false;
	size_t len;
	int err;

	err = write_look(st, run, later, &part);
	if (err || !part.room)
		return err;
	len = copy_from_iter(write_place(st, part.number) + part.offset, part.room, from);
	if (!len)
		return -EFAULT;
	if (part.offset + len == st->period)
		err = write_last(st, &part, len, nonblock, &late);
	else if (!write_took(st, &part, len))
		err = -ECANCELED;
	if (late || err == -ECANCELED) {
		part.offset = late ? 0 : part.offset;
		write_undo(st, &part, late ? st->period : len);
	}
	if (err)
		return err;
	WRITE_ONCE(st->copied, st->copied + len);
	return len;
}

/* What is written to a ring that was stopped is for its next start. Return: 0 or -EBUSY. */
static int write_begin(struct zcdma_stream *st, u64 *run, bool nonblock)
{
	int err = zcdma_port_lock(st->use, nonblock);

	if (err)
		return err;
	spin_lock_irq(&st->lock);
	if (st->state == ZCDMA_STREAM_STOPPED) {
		st->state = ZCDMA_STREAM_IDLE;
		zcdma_stream_publish(st);
	} else if (st->state == ZCDMA_STREAM_DRAINING) {
		err = -EBUSY;
	}
	*run = st->run->number;
	WRITE_ONCE(st->writing, *run);
	spin_unlock_irq(&st->lock);
	zcdma_port_unlock(st->use);
	return err;
}

/* Room for some bytes, sooner or later. */
static int write_wait_room(struct zcdma_stream *st, u64 run, bool nonblock)
{
	int err = 0;

	if (!zcdma_stream_is_ready(st, run))
		err = zcdma_stream_start_if_idle(st, nonblock);
	return err ?: zcdma_stream_wait_ready(st, run, nonblock);
}

/**
 * zcdma_stream_write() - bytes into the ring
 * @st: of the sending sort.
 * @from: where from.
 * @nonblock: do not wait for room.
 *
 * As for any device that is written to, all of it is taken unless something is in the
 * way: the end of the run that it began in is.
 *
 * Return: how many, or an error; see the uapi header.
 */
ssize_t zcdma_stream_write(struct zcdma_stream *st, struct iov_iter *from, bool nonblock)
{
	size_t done = 0;
	ssize_t got;
	u64 run;

	got = zcdma_stream_lock_user(st, nonblock);
	if (got)
		return got;
	got = write_begin(st, &run, nonblock);
	while (got >= 0 && iov_iter_count(from) && !fatal_signal_pending(current) &&
	       !(done && READ_ONCE(st->xrun))) {
		got = write_wait_room(st, run, nonblock);
		if (!got)
			got = write_one(st, from, run, done, nonblock);
		if (got > 0)
			done += got;
		cond_resched();
	}
	WRITE_ONCE(st->writing, 0);
	mutex_unlock(&st->user);
	if (!done && !got && fatal_signal_pending(current))
		return -EINTR;
	return done ?: got;
}

/* ---- drain ---- */

/* What is to be sent: all up to a period of a run. */
struct drain {
	u64 run;
	u64 head;
};

/* The last period, as far as it was written, of a run that is at work or to begin. */
static int drain_put_in_last(struct zcdma_stream *st)
{
	struct write_part part;
	bool late = false;
	u32 offset;
	int err;

	spin_lock_irq(&st->lock);
	part.run = st->run->number;
	part.number = st->head;
	part.offset = 0;
	offset = st->offset;
	WRITE_ONCE(st->writing, part.run);
	spin_unlock_irq(&st->lock);
	if (!offset)
		return 0;
	if (offset % st->use->width)
		return -EINVAL;
	/* What is behind it in a cyclic ring is zeros: it was sent, or never written. */
	err = zcdma_port_lock(st->use, false);
	if (err)
		return err;
	err = write_put_in(st, &part, offset, &late);
	zcdma_port_unlock(st->use);
	if (late)
		write_undo(st, &part, st->period);
	return err;
}

/* Return: 0; 1 when there is nothing to be sent, or -errno. Under use->engine. */
static int drain_look(struct zcdma_stream *st)
{
	switch (READ_ONCE(st->state)) {
	case ZCDMA_STREAM_STOPPED:
		return 1;
	case ZCDMA_STREAM_PAUSED:
		return -EBUSY;
	case ZCDMA_STREAM_IDLE:
		return zcdma_stream_is_empty(st) && !st->offset;
	default:
		return zcdma_stream_why_over(st);
	}
}

static int drain_begin(struct zcdma_stream *st, struct drain *drain)
{
	int err;

	zcdma_stream_refresh_all(st);
	err = zcdma_port_lock(st->use, false);
	if (err)
		return err;
	err = drain_look(st);
	if (!err && st->state == ZCDMA_STREAM_IDLE)
		err = zcdma_stream_start(st);
	spin_lock_irq(&st->lock);
	drain->run = st->run->number;
	drain->head = st->head;
	if (!err && st->state == ZCDMA_STREAM_RUNNING) {
		st->state = ZCDMA_STREAM_DRAINING;
		zcdma_stream_publish(st);
	}
	spin_unlock_irq(&st->lock);
	zcdma_port_unlock(st->use);
	return err;
}

/* Has the engine sent a period since @tail, or is there none to come? */
static bool drain_goes_on(struct zcdma_stream *st, const struct drain *drain, u64 tail)
{
	bool ret;

	spin_lock_irq(&st->lock);
	ret = st->tail != tail || st->tail >= drain->head || zcdma_stream_is_over(st) ||
	      st->run->number != drain->run;
	spin_unlock_irq(&st->lock);
	return ret;
}

/* Return: 1 when all was sent, 0 to go on, -ECANCELED when the run ends before; or why. */
static int drain_is_done(struct zcdma_stream *st, const struct drain *drain, u64 *tail)
{
	int ret;

	spin_lock_irq(&st->lock);
	*tail = st->tail;
	ret = zcdma_stream_why_over(st);
	if (!ret && (st->run->number != drain->run || st->state == ZCDMA_STREAM_STOPPED))
		ret = -ECANCELED;
	else if (!ret)
		ret = st->tail >= drain->head;
	spin_unlock_irq(&st->lock);
	return ret;
}

static int drain_wait(struct zcdma_stream *st, const struct drain *drain)
{
	u64 tail;
	long left;
	int ret;

	while (!(ret = drain_is_done(st, drain, &tail))) {
		left = wait_event_interruptible_timeout(*st->wq, drain_goes_on(st, drain, tail),
							st->timeout);
		if (left <= 0)
			return left ?: -ETIMEDOUT;
	}
	return min(ret, 0);
}

/* It is over, one way or the other: a run that was not drained is written to again. */
static int drain_end(struct zcdma_stream *st, const struct drain *drain, int err)
{
	mutex_lock(&st->use->engine);
	if (st->state == ZCDMA_STREAM_DRAINING && st->run->number == drain->run) {
		if (!err) {
			/* No write() will be told. */
			bool torn = READ_ONCE(st->torn);

			err = zcdma_stream_stop(st);
			if (!err && torn)
				err = -EPIPE;
		} else {
			spin_lock_irq(&st->lock);
			if (st->state == ZCDMA_STREAM_DRAINING)
				st->state = ZCDMA_STREAM_RUNNING;
			zcdma_stream_publish(st);
			spin_unlock_irq(&st->lock);
		}
	}
	zcdma_port_unlock(st->use);
	return err;
}

/* %ZCDMA_STREAM_DRAIN */
int zcdma_stream_drain(struct zcdma_stream *st)
{
	struct drain drain;
	int err;

	if (st->way != ZCDMA_WAY_TX)
		return -EINVAL;
	if (mutex_lock_interruptible(&st->user))
		return -EINTR;
	zcdma_stream_refresh_all(st);
	err = zcdma_port_lock(st->use, false);
	if (!err) {
		err = drain_look(st);
		zcdma_port_unlock(st->use);
	}
	err = err ?: drain_put_in_last(st);
	err = err ?: drain_begin(st, &drain);
	if (!err)
		err = drain_end(st, &drain, drain_wait(st, &drain));
	WRITE_ONCE(st->writing, 0);
	mutex_unlock(&st->user);
	return min(err, 0);
}
