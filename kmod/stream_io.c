// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: the user's side of a ring: read(), write(), splice(), drain.
 *
 * One reader or writer at a time, under stream->user. User memory is touched under
 * that, and under nothing else: an unbind does not wait for a page fault.
 */
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/pipe_fs_i.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include "zcdma.h"

static bool over(const struct zcdma_stream *st)
{
	return st->state == ZCDMA_STREAM_STOPPED || st->state == ZCDMA_STREAM_FAILED ||
	       st->state == ZCDMA_STREAM_GONE;
}

static int why_over(const struct zcdma_stream *st)
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

/* Is there something to take out, or to put in, or nothing to wait for? */
static bool ready(struct zcdma_stream *st)
{
	bool ret;

	spin_lock_irq(&st->lock);
	zcdma_stream_refresh(st);
	ret = st->xrun || over(st);
	if (st->way == ZCDMA_WAY_RX)
		ret |= st->hand_left || st->head != st->tail;
	else
		ret |= st->head - st->tail < st->nr;
	spin_unlock_irq(&st->lock);
	return ret;
}

static int wait_ready(struct zcdma_stream *st, bool nonblock)
{
	long left;

	if (ready(st))
		return 0;
	if (nonblock)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(*st->wq, ready(st), st->timeout);
	if (left < 0)
		return left;
	return left ? 0 : -ETIMEDOUT;
}

/* The first read() of a receiver starts it, and so does a sender's full ring. */
static int start_if_idle(struct zcdma_stream *st)
{
	int err = 0;

	if (READ_ONCE(st->state) != ZCDMA_STREAM_IDLE)
		return 0;
	mutex_lock(&st->use->engine);
	if (st->state == ZCDMA_STREAM_IDLE)
		err = zcdma_stream_start(st);
	mutex_unlock(&st->use->engine);
	return err;
}

/* A sender goes on a period ahead of the engine. What it leaves out are zeros, too. */
static void skip_to_engine(struct zcdma_stream *st)
{
	u64 next = max(st->head, max(st->tail, st->begun) + 2);

	st->lost += next - max(st->head, st->tail + 1);
	st->head = next;
}

/* A receiver goes on half a ring behind the engine, if it was further behind. */
static void skip_to_half(struct zcdma_stream *st)
{
	u64 half = st->head - st->nr / 2;

	if (st->head - st->tail <= st->nr / 2)
		return;
	st->lost += half - st->tail;
	st->tail = half;
}

/* Report a loss, once. Who goes on is given some time. Under st->lock. */
static int report_loss(struct zcdma_stream *st)
{
	if (!st->xrun)
		return 0;
	st->xrun = false;
	st->offset = 0;
	if (st->way == ZCDMA_WAY_TX)
		skip_to_engine(st);
	else
		skip_to_half(st);
	zcdma_stream_publish(st);
	return -EPIPE;
}

static bool is_empty(const struct zcdma_stream *st)
{
	return st->head == st->tail;
}

static bool is_full(const struct zcdma_stream *st)
{
	return st->head - st->tail >= st->nr;
}

/* ---- receive ---- */

/* A part of the period at the tail. */
struct part {
	void *from;
	size_t len;
	u64 number;
};

/* Up to @max bytes of the oldest period; none when the ring is empty. */
static int look(struct zcdma_stream *st, struct part *part, size_t max)
{
	int err;

	spin_lock_irq(&st->lock);
	zcdma_stream_refresh(st);
	err = report_loss(st);
	part->number = st->tail;
	part->from = st->mem + (size_t)zcdma_stream_slot(st, st->tail) * st->period + st->offset;
	part->len = is_empty(st) ? 0 : min_t(size_t, max, st->period - st->offset);
	spin_unlock_irq(&st->lock);
	return err;
}

/* It was used. Return: 0, or -EPIPE when the engine was faster: what was seen is torn. */
static int consume(struct zcdma_stream *st, const struct part *part)
{
	int err = 0;

	spin_lock_irq(&st->lock);
	if (st->tail != part->number) {
		err = report_loss(st) ?: -EPIPE;
	} else {
		st->offset += part->len;
		if (st->offset == st->period) {
			st->offset = 0;
			st->tail++;
			WRITE_ONCE(st->ctl->tail, st->tail);
			zcdma_stream_publish(st);
		}
	}
	spin_unlock_irq(&st->lock);
	return err;
}

/* The oldest period of a queued ring, if there is one, into the reader's hand. */
static int take_out(struct zcdma_stream *st)
{
	struct device *dev = st->chan->dev;
	bool taken = false;
	int err = 0;

	mutex_lock(&st->use->engine);
	if (st->given_away)
		err = zcdma_ring_renew_hand(st);
	/* What is in the hand goes into the ring, and perhaps to the engine at once. */
	if (!err && st->mapped)
		dma_sync_single_for_device(dev, st->hand.dma, st->period, DMA_FROM_DEVICE);
	spin_lock_irq(&st->lock);
	err = err ?: report_loss(st);
	if (!err && !is_empty(st)) {
		swap(st->hand, st->periods[zcdma_stream_slot(st, st->tail)]);
		st->tail++;
		taken = true;
	}
	spin_unlock_irq(&st->lock);
	if (taken) {
		if (st->mapped)
			dma_sync_single_for_cpu(dev, st->hand.dma, st->period, DMA_FROM_DEVICE);
		WRITE_ONCE(st->hand_left, st->period);
		zcdma_stream_pump(st);
	}
	mutex_unlock(&st->use->engine);
	return err;
}

static int look_in_hand(struct zcdma_stream *st, struct part *part, size_t max)
{
	int err = st->hand_left ? 0 : take_out(st);

	part->from = st->hand.mem + st->period - st->hand_left;
	part->len = min_t(size_t, max, st->hand_left);
	return err;
}

static ssize_t read_part(struct zcdma_stream *st, char __user *buf, size_t size)
{
	struct part part;
	int err;

	err = st->cyclic ? look(st, &part, size) : look_in_hand(st, &part, size);
	if (err || !part.len)
		return err;
	if (copy_to_user(buf, part.from, part.len))
		return -EFAULT;
	if (st->cyclic)
		err = consume(st, &part);
	else
		WRITE_ONCE(st->hand_left, st->hand_left - part.len);
	if (err)
		return err;
	WRITE_ONCE(st->copied, st->copied + part.len);
	return part.len;
}

/* Is a loss to be reported, which must wait for the next call? */
static bool interrupted(struct zcdma_stream *st)
{
	return READ_ONCE(st->xrun) || fatal_signal_pending(current);
}

/**
 * zcdma_stream_read() - bytes out of the ring
 * @st: of the receiving sort.
 * @buf: where to.
 * @size: how many at most.
 * @nonblock: do not wait for the first.
 *
 * Return: how many, 0 at the end, or an error; see the uapi header.
 */
ssize_t zcdma_stream_read(struct zcdma_stream *st, char __user *buf, size_t size, bool nonblock)
{
	size_t done = 0;
	ssize_t got;

	if (!size)
		return 0;
	if (mutex_lock_interruptible(&st->user))
		return -EINTR;
	got = start_if_idle(st) ?: wait_ready(st, nonblock);
	while (!got && done < size && !(done && interrupted(st))) {
		got = read_part(st, buf + done, size - done);
		if (got <= 0)
			break;
		done += got;
		got = 0;
		cond_resched();
	}
	mutex_unlock(&st->user);
	return done ?: got ?: why_over(st);
}

/* ---- splice ---- */

#define SPLICE_PAGES	16

/* A page with some of the payload, for a pipe: the ring's own, or a copy. */
static struct page *page_of(struct zcdma_stream *st, struct part *part, unsigned int *offset)
{
	struct page *page;

	if (!st->cyclic) {
		*offset = offset_in_page(part->from);
		part->len = min_t(size_t, part->len, PAGE_SIZE - *offset);
		page = virt_to_page(part->from);
		get_page(page);
		return page;
	}
	*offset = 0;
	part->len = min_t(size_t, part->len, PAGE_SIZE);
	page = alloc_page(GFP_KERNEL_ACCOUNT);
	if (page)
		memcpy(page_address(page), part->from, part->len);
	return page;
}

static ssize_t splice_part(struct zcdma_stream *st, struct splice_pipe_desc *spd, size_t max)
{
	unsigned int offset;
	struct part part;
	struct page *page;
	int err;

	err = st->cyclic ? look(st, &part, max) : look_in_hand(st, &part, max);
	if (err || !part.len)
		return err;
	page = page_of(st, &part, &offset);
	if (!page)
		return -ENOMEM;
	if (st->cyclic) {
		err = consume(st, &part);
		if (err) {
			__free_page(page);
			return err;
		}
		WRITE_ONCE(st->copied, st->copied + part.len);
	} else {
		st->given_away = true;
		WRITE_ONCE(st->hand_left, st->hand_left - part.len);
	}
	spd->pages[spd->nr_pages] = page;
	spd->partial[spd->nr_pages].offset = offset;
	spd->partial[spd->nr_pages].len = part.len;
	spd->nr_pages++;
	return part.len;
}

static void release_page(struct splice_pipe_desc *spd, unsigned int i)
{
	put_page(spd->pages[i]);
}

/**
 * zcdma_stream_splice() - bytes out of the ring into a pipe
 * @st: of the receiving sort.
 * @pipe: locked; has room.
 * @len: how many bytes at most.
 * @nonblock: do not wait for the first.
 *
 * The pipe gets the pages of a queued ring themselves, and the ring fresh ones. The
 * pages of a cyclic one cannot leave it: the pipe gets copies.
 *
 * Return: how many, 0 at the end, or an error as for read().
 */
ssize_t zcdma_stream_splice(struct zcdma_stream *st, struct pipe_inode_info *pipe, size_t len,
			    bool nonblock)
{
	unsigned int room = pipe->max_usage - pipe_occupancy(pipe->head, pipe->tail);
	struct partial_page partial[SPLICE_PAGES];
	struct page *pages[SPLICE_PAGES];
	struct splice_pipe_desc spd = {
		.pages = pages,
		.partial = partial,
		.nr_pages_max = SPLICE_PAGES,
		.ops = &nosteal_pipe_buf_ops,
		.spd_release = release_page,
	};
	ssize_t got;

	room = min_t(unsigned int, room, SPLICE_PAGES);
	if (!room)
		return -EAGAIN;
	if (mutex_lock_interruptible(&st->user))
		return -EINTR;
	got = start_if_idle(st) ?: wait_ready(st, nonblock);
	while (!got && len && spd.nr_pages < room && !(spd.nr_pages && interrupted(st))) {
		got = splice_part(st, &spd, len);
		if (got <= 0)
			break;
		len -= got;
		got = 0;
	}
	/* Before others may take what comes next. */
	if (spd.nr_pages)
		got = splice_to_pipe(pipe, &spd);
	mutex_unlock(&st->user);
	return got ?: why_over(st);
}

/* ---- send ---- */

static void *place_at(struct zcdma_stream *st, u64 number)
{
	u32 slot = zcdma_stream_slot(st, number);

	return st->cyclic ? st->mem + (size_t)slot * st->period : st->periods[slot].mem;
}

/* The period at the head is full, or @len bytes of it are. */
static int put_in(struct zcdma_stream *st, u64 number, u32 len)
{
	u32 slot = zcdma_stream_slot(st, number);
	dma_addr_t dma = st->cyclic ? st->dma + (size_t)slot * st->period : st->periods[slot].dma;
	int err = 0;

	mutex_lock(&st->use->engine);
	if (st->mapped) {
		dma_sync_single_for_device(st->chan->dev, dma, st->period, DMA_TO_DEVICE);
		zcdma_stream_filled(st, number, len);
	} else {
		err = -ENODEV;
	}
	mutex_unlock(&st->use->engine);
	return err;
}

static ssize_t write_part(struct zcdma_stream *st, struct iov_iter *from)
{
	size_t room, len, offset;
	u64 number;
	int err;

	spin_lock_irq(&st->lock);
	err = report_loss(st) ?: why_over(st);
	number = st->head;
	offset = st->offset;
	room = is_full(st) ? 0 : st->period - offset;
	spin_unlock_irq(&st->lock);
	if (err || !room)
		return err;
	len = copy_from_iter(place_at(st, number) + offset, room, from);
	if (!len)
		return -EFAULT;
	WRITE_ONCE(st->copied, st->copied + len);
	spin_lock_irq(&st->lock);
	if (st->head == number)
		st->offset = offset + len;
	spin_unlock_irq(&st->lock);
	if (offset + len == st->period)
		err = put_in(st, number, st->period);
	return err ?: len;
}

/* What is written to a ring that was stopped is for its next start. */
static void begin_anew(struct zcdma_stream *st)
{
	mutex_lock(&st->use->engine);
	spin_lock_irq(&st->lock);
	if (st->state == ZCDMA_STREAM_STOPPED) {
		zcdma_stream_rewind(st);
		st->state = ZCDMA_STREAM_IDLE;
		zcdma_stream_publish(st);
	}
	spin_unlock_irq(&st->lock);
	mutex_unlock(&st->use->engine);
}

/* Room for some bytes, sooner or later. */
static int wait_room(struct zcdma_stream *st, bool nonblock)
{
	int err = 0;

	if (!ready(st))
		err = start_if_idle(st);
	return err ?: wait_ready(st, nonblock);
}

/**
 * zcdma_stream_write() - bytes into the ring
 * @st: of the sending sort.
 * @from: where from.
 * @nonblock: do not wait for room.
 *
 * As for any device that is written to, all of it is taken unless something is in the
 * way.
 *
 * Return: how many, or an error; see the uapi header.
 */
ssize_t zcdma_stream_write(struct zcdma_stream *st, struct iov_iter *from, bool nonblock)
{
	size_t done = 0;
	ssize_t got = 0;

	if (mutex_lock_interruptible(&st->user))
		return -EINTR;
	begin_anew(st);
	if (st->state == ZCDMA_STREAM_DRAINING)
		got = -EBUSY;
	while (got >= 0 && iov_iter_count(from) && !(done && interrupted(st))) {
		got = wait_room(st, nonblock);
		if (!got)
			got = write_part(st, from);
		if (got > 0)
			done += got;
		cond_resched();
	}
	mutex_unlock(&st->user);
	return done ?: got;
}

/* The last period, as far as it was written. */
static int put_in_last(struct zcdma_stream *st)
{
	u32 offset = st->offset;

	if (!offset)
		return 0;
	if (offset % st->use->width)
		return -EINVAL;
	if (st->cyclic)
		memset(place_at(st, st->head) + offset, 0, st->period - offset);
	return put_in(st, st->head, offset);
}

/* Return: 0; 1 when there is nothing to wait for. */
static int begin_drain(struct zcdma_stream *st)
{
	int err = 0;

	mutex_lock(&st->use->engine);
	spin_lock_irq(&st->lock);
	zcdma_stream_refresh(st);
	spin_unlock_irq(&st->lock);
	if (st->state == ZCDMA_STREAM_IDLE && is_empty(st))
		err = 1;
	else if (st->state == ZCDMA_STREAM_IDLE)
		err = zcdma_stream_start(st);
	else if (st->state == ZCDMA_STREAM_STOPPED)
		err = 1;
	else if (st->state == ZCDMA_STREAM_PAUSED)
		err = -EBUSY;
	spin_lock_irq(&st->lock);
	if (!err && st->state == ZCDMA_STREAM_RUNNING)
		st->state = ZCDMA_STREAM_DRAINING;
	spin_unlock_irq(&st->lock);
	mutex_unlock(&st->use->engine);
	return err;
}

/* Has the engine sent a period since @tail, or is there none to come? */
static bool drained_one(struct zcdma_stream *st, u64 tail)
{
	bool ret;

	spin_lock_irq(&st->lock);
	ret = st->tail != tail || st->tail >= st->head || over(st);
	spin_unlock_irq(&st->lock);
	return ret;
}

static int wait_drained(struct zcdma_stream *st)
{
	u64 tail = READ_ONCE(st->tail);
	long left;

	while (tail < READ_ONCE(st->head) && !over(st)) {
		left = wait_event_interruptible_timeout(*st->wq, drained_one(st, tail),
							st->timeout);
		if (left <= 0)
			return left ?: -ETIMEDOUT;
		tail = READ_ONCE(st->tail);
	}
	return why_over(st);
}

/* %ZCDMA_STREAM_DRAIN */
int zcdma_stream_drain(struct zcdma_stream *st)
{
	int err;

	if (st->way != ZCDMA_WAY_TX)
		return -EINVAL;
	if (mutex_lock_interruptible(&st->user))
		return -EINTR;
	err = why_over(st);
	if (!err && !over(st))
		err = put_in_last(st);
	err = err ?: begin_drain(st);
	if (!err)
		err = wait_drained(st);
	if (!err) {
		mutex_lock(&st->use->engine);
		if (st->state == ZCDMA_STREAM_DRAINING)
			zcdma_stream_halt(st, ZCDMA_STREAM_STOPPED);
		mutex_unlock(&st->use->engine);
	}
	mutex_unlock(&st->user);
	return min(err, 0);
}
