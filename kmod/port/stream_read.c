// SPDX-License-Identifier: GPL-2.0
/* Streams: read() and splice(). */
#include <linux/fs.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include "stream.h"

/*
 * A call: of which run, has it moved something, and must it not block? A run that begins meanwhile
 * is not this call's.
 */
struct read_call {
	u64 run;
	bool moved;
	bool nonblock;
};

/*
 * A part of the period at the tail: in the ring, which the engine may overwrite, or in the reader's
 * hand.
 */
struct read_part {
	void *from;
	dma_addr_t dma;
	size_t len;
	u64 number;
	bool in_hand;
};

/* ---- out of the ring ---- */

/* What the engine wrote is to be seen by the CPU. */
static int read_sync_for_cpu(struct zcdma_stream *st, const struct read_call *call,
			     const struct read_part *part)
{
	int err = zcdma_port_lock(st->use, call->nonblock);

	if (err)
		return err;
	/* Otherwise it was made the CPU's when it was unmapped. */
	if (st->mapped)
		dma_sync_single_for_cpu(st->lease->limits.dev, part->dma, part->len,
					DMA_FROM_DEVICE);
	zcdma_port_unlock(st->use);
	return 0;
}

/* Where the period at the tail is, from the first byte on that was not read. Under st->lock. */
static void read_locate(struct zcdma_stream *st, struct read_part *part)
{
	const struct zcdma_period *period;
	size_t at;

	part->number = st->tail;
	part->in_hand = false;
	if (st->cyclic) {
		at = zcdma_stream_at(st, st->tail) + st->offset;
		part->from = st->mem + at;
		part->dma = st->dma + at;
	} else {
		period = &st->periods[zcdma_stream_slot(st, st->tail)];
		part->from = period->mem + st->offset;
		part->dma = period->dma + st->offset;
	}
}

/* How many bytes of it are there. A queued ring's whole period is for the hand. Under st->lock. */
static size_t read_room(const struct zcdma_stream *st)
{
	if (zcdma_stream_is_empty(st))
		return st->part > st->offset ? st->part - st->offset : 0;
	return st->cyclic ? st->period - st->offset : 0;
}

/* Up to @max bytes of the oldest period; none when the ring is empty. */
static int read_look(struct zcdma_stream *st, const struct read_call *call,
		     struct read_part *part, size_t max)
{
	int err;

	spin_lock_irq(&st->lock);
	zcdma_stream_refresh(st);
	err = zcdma_stream_report_loss(st, call->moved);
	read_locate(st, part);
	part->len = 0;
	if (st->run->number == call->run)
		part->len = min(max, read_room(st));
	spin_unlock_irq(&st->lock);
	if (!err && part->len)
		err = read_sync_for_cpu(st, call, part);
	return err;
}

/* It is the engine's again, which writes to period *at (0: does not tell). Return: 0 or -errno. */
static int read_sync_for_device(struct zcdma_stream *st, const struct read_call *call,
				const struct read_part *part, u64 *at)
{
	int err = zcdma_port_lock(st->use, call->nonblock);

	if (err)
		return err;
	*at = zcdma_cyclic_begun(st);
	if (st->mapped)
		dma_sync_single_for_device(st->lease->limits.dev, part->dma, part->len,
					   DMA_FROM_DEVICE);
	zcdma_port_unlock(st->use);
	return 0;
}

/* The engine is further than its callbacks say, and has begun with the period at the tail. */
static void read_lose_to_engine(struct zcdma_stream *st, u64 at)
{
	u64 tail = at - (st->nr - 1);

	if (at < st->nr || st->tail >= tail)
		return;
	zcdma_stream_lose(st, tail - st->tail);
	st->tail = tail;
	st->offset = 0;
}

/*
 * It was used. Return: 0; -EPIPE when the engine was faster, so that what was seen is torn; 1 when
 * another run has begun, and what was seen was of the one before; or what kept us from asking: then
 * it stays where it is.
 */
static int read_consume(struct zcdma_stream *st, const struct read_call *call,
			const struct read_part *part)
{
	u64 at;
	int err = read_sync_for_device(st, call, part, &at);

	if (err)
		return err;
	spin_lock_irq(&st->lock);
	if (st->run->number == call->run)
		read_lose_to_engine(st, at);
	if (st->run->number != call->run) {
		err = 1;
	} else if (st->tail != part->number) {
		err = zcdma_stream_report_loss(st, call->moved) ?: -EPIPE;
	} else {
		st->offset += part->len;
		if (st->cyclic && st->offset == st->period) {
			st->offset = 0;
			st->tail++;
			WRITE_ONCE(st->ctl->tail, st->tail);
			zcdma_stream_publish(st);
		}
	}
	spin_unlock_irq(&st->lock);
	return err;
}

/* ---- out of a queued ring ---- */

/* The oldest period, if there is one, into the reader's hand. Under st->lock. */
static bool read_swap(struct zcdma_stream *st, const struct read_call *call)
{
	if (zcdma_stream_is_empty(st) || st->run->number != call->run)
		return false;
	swap(st->hand, st->periods[zcdma_stream_slot(st, st->tail)]);
	st->tail++;
	WRITE_ONCE(st->hand_left, st->hand.len - min(st->offset, st->hand.len));
	st->hand_run = call->run;
	st->offset = 0;
	return true;
}

/* Return: 1 if a period was taken, 0, or -errno. */
static int read_take_out(struct zcdma_stream *st, const struct read_call *call)
{
	struct device *dev = st->lease->limits.dev;
	int err;

	err = st->given_away ? zcdma_ring_renew_hand(st, call->nonblock) : 0;
	err = err ?: zcdma_port_lock(st->use, call->nonblock);
	if (err)
		return err;
	/* What is in the hand goes into the ring, and perhaps to the engine at once. */
	if (st->mapped)
		dma_sync_single_for_device(dev, st->hand.dma, st->span, DMA_FROM_DEVICE);
	spin_lock_irq(&st->lock);
	err = zcdma_stream_report_loss(st, call->moved) ?: read_swap(st, call);
	spin_unlock_irq(&st->lock);
	/* If it was not taken after all, it is no engine's. */
	if (st->mapped)
		dma_sync_single_for_cpu(dev, st->hand.dma, st->span, DMA_FROM_DEVICE);
	if (err > 0)
		zcdma_stream_kick(st);
	zcdma_port_unlock(st->use);
	return err;
}

static int read_look_in_hand(struct zcdma_stream *st, const struct read_call *call,
			     struct read_part *part, size_t max)
{
	int err = 1;

	part->in_hand = true;

	if (st->hand_run != call->run)
		WRITE_ONCE(st->hand_left, 0);
	/* A packet may have had no byte. */
	while (!st->hand_left && err > 0)
		err = read_take_out(st, call);
	part->from = st->hand.mem + st->hand.len - st->hand_left;
	part->len = min_t(size_t, max, st->hand_left);
	return min(err, 0);
}

/* The next bytes, wherever they are. */
static int read_find(struct zcdma_stream *st, const struct read_call *call,
		     struct read_part *part, size_t max)
{
	int err = 0;

	part->len = 0;
	if (!st->cyclic)
		err = read_look_in_hand(st, call, part, max);
	if (!err && !part->len)
		err = read_look(st, call, part, max);
	return err;
}

/* They were used: as read_consume(). */
static int read_used(struct zcdma_stream *st, const struct read_call *call,
		     const struct read_part *part)
{
	if (!part->in_hand)
		return read_consume(st, call, part);
	WRITE_ONCE(st->hand_left, st->hand_left - part->len);
	return 0;
}

/* ---- read() ---- */

/* Return: how many bytes, 0 when there are none, or -errno. */
static ssize_t read_one(struct zcdma_stream *st, const struct read_call *call, char __user *buf,
			size_t size)
{
	struct read_part part;
	int err;

	err = read_find(st, call, &part, size);
	if (err || !part.len)
		return err;
	if (copy_to_user(buf, part.from, part.len))
		return -EFAULT;
	err = read_used(st, call, &part);
	if (err)
		return min(err, 0);
	WRITE_ONCE(st->copied, st->copied + part.len);
	return part.len;
}

/* Is a loss to be reported, which must wait for the next call? */
static bool read_is_interrupted(struct zcdma_stream *st)
{
	return READ_ONCE(st->xrun) || fatal_signal_pending(current);
}

/* The call is of the run that it finds, or begins. Return: 0 or -errno. */
static int read_begin(struct zcdma_stream *st, struct read_call *call, bool nonblock)
{
	int err = zcdma_stream_start_if_idle(st, nonblock);

	call->run = zcdma_stream_run(st);
	call->moved = false;
	call->nonblock = nonblock;
	return err;
}

static int read_wait(struct zcdma_stream *st, const struct read_call *call)
{
	return zcdma_stream_wait_ready(st, call->run, call->nonblock);
}

/*
 * Nothing was found though something was there: a packet that had no byte more, or a period that
 * came while we looked for its part. Is that no end?
 */
static bool read_goes_on(struct zcdma_stream *st, const struct read_call *call)
{
	bool ret;

	spin_lock_irq(&st->lock);
	ret = st->run->number == call->run &&
	      (zcdma_stream_at_work(st) || zcdma_stream_has_some(st));
	spin_unlock_irq(&st->lock);
	return ret;
}

/* After an attempt that got @got. Return: 0 to make another one, 1 at the end, or -errno. */
static int read_next(struct zcdma_stream *st, struct read_call *call, ssize_t got)
{
	call->moved |= got > 0;
	if (got)
		return min_t(ssize_t, got, 0);
	if (call->moved || !read_goes_on(st, call))
		return 1;
	return read_wait(st, call);
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
	struct read_call call;
	size_t done = 0;
	ssize_t got;

	if (!size)
		return 0;
	got = zcdma_stream_lock_user(st, nonblock);
	if (got)
		return got;
	got = read_begin(st, &call, nonblock) ?: read_wait(st, &call);
	while (!got && done < size && !(call.moved && read_is_interrupted(st))) {
		got = read_one(st, &call, buf + done, size - done);
		done += max_t(ssize_t, got, 0);
		got = read_next(st, &call, got);
		cond_resched();
	}
	mutex_unlock(&st->user);
	return done ?: min_t(ssize_t, got, 0) ?: zcdma_stream_why_over(st);
}

/* ---- splice ---- */

#define SPLICE_PAGES	16

/* A page with some of the payload, for a pipe: the ring's own, or a copy. */
static struct page *splice_page_of(struct zcdma_stream *st, struct read_part *part,
				   unsigned int *offset)
{
	struct page *page;

	if (part->in_hand) {
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

static ssize_t splice_one(struct zcdma_stream *st, const struct read_call *call,
			  struct splice_pipe_desc *spd, size_t max)
{
	unsigned int offset;
	struct read_part part;
	struct page *page;
	int err;

	err = read_find(st, call, &part, max);
	if (err || !part.len)
		return err;
	page = splice_page_of(st, &part, &offset);
	if (!page)
		return -ENOMEM;
	err = read_used(st, call, &part);
	if (err) {
		put_page(page);
		return min(err, 0);
	}
	if (part.in_hand)
		st->given_away = true;
	else
		WRITE_ONCE(st->copied, st->copied + part.len);
	spd->pages[spd->nr_pages] = page;
	spd->partial[spd->nr_pages].offset = offset;
	spd->partial[spd->nr_pages].len = part.len;
	spd->nr_pages++;
	return part.len;
}

static void splice_release_page(struct splice_pipe_desc *spd, unsigned int i)
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
		.spd_release = splice_release_page,
	};
	struct read_call call;
	ssize_t got;

	room = min_t(unsigned int, room, SPLICE_PAGES);
	if (!room)
		return -EAGAIN;
	got = zcdma_stream_lock_user(st, nonblock);
	if (got)
		return got;
	got = read_begin(st, &call, nonblock) ?: read_wait(st, &call);
	while (!got && len && spd.nr_pages < room && !(call.moved && read_is_interrupted(st))) {
		got = splice_one(st, &call, &spd, len);
		len -= max_t(ssize_t, got, 0);
		got = read_next(st, &call, got);
	}
	/* Before others may take what comes next. */
	if (spd.nr_pages)
		got = splice_to_pipe(pipe, &spd);
	else
		got = min_t(ssize_t, got, 0);
	mutex_unlock(&st->user);
	return got ?: zcdma_stream_why_over(st);
}
