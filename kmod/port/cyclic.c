// SPDX-License-Identifier: GPL-2.0
/*
 * Cyclic rings: the engine goes round by itself.
 *
 *	receiver	oldest		      engine writes here
 *			  v			v
 *		  | free  | full | full | full | period | free |
 *			  ^tail			^head
 *
 *	sender			engine reads here	user writes here
 *				  v			  v
 *		  | free | sent | full | full | full | period | free |
 *				  ^tail			  ^head
 *
 * Head and tail count periods and never wrap: period N is at place N % nr.
 *
 * The engine is not told what is full or free. Where it is follows from the callbacks, and from the
 * residue where the engine has one: callbacks of several periods may come as one. A receiver's
 * tail is pushed along as soon as the engine begins to write to the period at it; who reads that
 * very period asks the engine afterwards, and throws away what he has. Where the engine cannot be
 * asked, or he cannot (the ring is mapped), it is pushed along a period earlier; but for a ring of
 * two, which has no period to spare. A sender's periods
 * are zeroed when they are sent, so what goes out when the user is late is silence.
 *
 * Callbacks only count: a receiver's head and tail are where they say at once. The pump finds out
 * whether the engine is further, and makes what it has done with the CPU's, ZCDMA_CHUNK bytes at a
 * time. A sender's tail is moved by that.
 */
#include "stream.h"

/* How many periods a residue may be behind what is known, or before the callbacks. */
#define MAX_BEHIND	2U
#define MAX_BEFORE	8U

/* ---- where the engine is ---- */

/*
 * The period that the engine is at by its residue, when it has done with @known of them.
 *
 * A residue may be some periods off: behind, or, with pl330 in a callback, while it has the
 * ring's last period between two lists, ahead. So one that is a bit behind what is known is
 * no round of the ring.
 */
static u64 cyclic_by_residue(struct zcdma_stream *st, u64 known)
{
	u32 place, ahead, behind = min(MAX_BEHIND, st->nr / 4);
	struct dma_tx_state state = {};
	enum dma_status status;

	status = dmaengine_tx_status(st->lease->dma, st->run->cookie, &state);
	if ((status != DMA_IN_PROGRESS && status != DMA_PAUSED) ||
	    state.residue > zcdma_stream_ring_bytes(st))
		return known;
	place = (zcdma_stream_ring_bytes(st) - state.residue) / st->period % st->nr;
	ahead = (place + st->nr - zcdma_stream_slot(st, known)) % st->nr;
	return known + (ahead < st->nr - behind ? ahead : 0);
}

/*
 * How many periods the engine has done with, by whoever has the pump. A sender, whose periods are
 * zeroed behind the engine, believes the callbacks as long as there are about as many.
 */
static u64 cyclic_where(struct zcdma_stream *st, u64 before, u64 called)
{
	u64 at;

	if (!st->fine)
		return called;
	/* Callbacks may be behind the residue that told of their periods, or it behind them. */
	at = cyclic_by_residue(st, before > called ? before : called - 1);
	if (st->way == ZCDMA_WAY_TX && at <= called + min(MAX_BEFORE, st->nr / 2))
		at = before;
	return max(at, called);
}

/**
 * zcdma_cyclic_begun() - the period that the engine is at, which may be further than its callbacks
 * @st: the stream; under use->engine, without st->lock.
 *
 * Return: its number, or 0 when the engine does not tell, or has nothing of the run.
 */
u64 zcdma_cyclic_begun(struct zcdma_stream *st)
{
	bool asks;
	u64 known;

	if (!st->cyclic || !st->fine || st->use->gone[st->way])
		return 0;
	/* In a ring that short, one behind what is known cannot be told from a round. */
	if (!st->exact && st->nr < 4)
		return 0;
	spin_lock_irq(&st->lock);
	/* One that has failed may go round until it is stopped. */
	asks = !st->run->over && st->run->asked && st->run->at_engine;
	known = max(st->way == ZCDMA_WAY_RX ? st->head : st->tail,
		    st->run->first + st->run->calls);
	spin_unlock_irq(&st->lock);
	return asks ? cyclic_by_residue(st, known) : 0;
}

/* ---- what it has done with ---- */

/* The next bytes of period @from were filled by the engine, or sent. */
static void cyclic_retire_bytes(struct zcdma_stream *st, u64 from, u32 len)
{
	struct device *dev = st->lease->limits.dev;
	size_t at = zcdma_stream_at(st, from) + st->retired;

	if (st->way == ZCDMA_WAY_RX) {
		dma_sync_single_for_cpu(dev, st->dma + at, len, DMA_FROM_DEVICE);
	} else {
		memset(st->mem + at, 0, len);
		dma_sync_single_for_device(dev, st->dma + at, len, DMA_TO_DEVICE);
	}
}

/* A period that the CPU has seen is the engine's again before that comes to it. */
static void cyclic_hand_back(struct zcdma_stream *st, u64 number)
{
	dma_sync_single_for_device(st->lease->limits.dev, st->dma + zcdma_stream_at(st, number),
				   st->period, DMA_FROM_DEVICE);
}

/* A reader synchronizes what it reads; who has mapped a receiver's ring cannot. */
static bool cyclic_is_to_retire(const struct zcdma_stream *st)
{
	return st->way == ZCDMA_WAY_TX ||
	       (READ_ONCE(st->shared) && dma_need_sync(st->lease->limits.dev, st->dma));
}

/*
 * The periods [from, to) are the engine's no longer. By who has the pump, without a lock. Return:
 * up to where that has been seen to.
 */
static u64 cyclic_retire(struct zcdma_stream *st, u64 from, u64 to)
{
	u32 left = ZCDMA_CHUNK, len;

	if (!cyclic_is_to_retire(st) || from >= to)
		return to;
	/* More than a ring of them are the ring. */
	if (to - from > st->nr) {
		from = to - st->nr;
		st->retired = 0;
	}
	while (from < to && left) {
		len = min(left, st->period - st->retired);
		cyclic_retire_bytes(st, from, len);
		left -= len;
		st->retired += len;
		if (st->retired < st->period)
			break;
		st->retired = 0;
		from++;
		if (st->way == ZCDMA_WAY_RX)
			cyclic_hand_back(st, from + 1);
	}
	return from;
}

/* Periods that stay when the engine writes to the next one, or perhaps to the one after that. */
static u32 cyclic_keeps(const struct zcdma_stream *st, bool sure)
{
	return sure || st->nr < 3 ? st->nr - 1 : st->nr - 2;
}

/* The engine writes to the period at @at now. Under st->lock. */
static void cyclic_received(struct zcdma_stream *st, u64 at)
{
	u32 keeps = cyclic_keeps(st, st->exact && !READ_ONCE(st->shared));
	u64 tail;

	if (at <= st->head)
		return;
	st->moved += (at - st->head) * st->period;
	st->head = at;
	zcdma_part_reset(st);
	zcdma_stream_refresh(st);
	if (st->head <= st->tail + keeps)
		return;
	tail = st->head - keeps;
	zcdma_stream_lose(st, tail - st->tail);
	st->tail = tail;
	st->offset = 0;
}

/* The engine reads from the period at @at now. Under st->lock. */
static void cyclic_sent(struct zcdma_stream *st, u64 at)
{
	u64 begun = st->tail + 1;

	st->moved += (at - st->tail) * st->period;
	if (zcdma_stream_refresh(st))
		st->again = true;
	st->tail = at;
	/* Which of the periods that it has begun since then were not full? */
	begun = max(begun, st->head);
	if (at + 1 > begun && st->state != ZCDMA_STREAM_DRAINING)
		zcdma_stream_lose(st, at + 1 - begun);
}

/* ---- callbacks, and what the pump does ---- */

/* A period is complete. Under st->lock. */
static void cyclic_called(struct zcdma_stream *st, struct zcdma_run *run)
{
	run->calls++;
	if (st->way == ZCDMA_WAY_RX) {
		cyclic_received(st, run->first + run->calls);
		if (!cyclic_is_to_retire(st))
			st->seen = st->head;
		zcdma_stream_publish(st);
		wake_up(st->wq);
	}
	if (st->fine || cyclic_is_to_retire(st))
		zcdma_stream_raise(st);
}

static void cyclic_reported(void *param, const struct dmaengine_result *result)
{
	struct zcdma_run *run = param;
	struct zcdma_stream *st = run->st;
	unsigned long irq;

	rcu_read_lock();
	if (READ_ONCE(run->over))
		goto out;
	spin_lock_irqsave(&st->lock, irq);
	if (!run->over && zcdma_stream_at_work(st)) {
		if (!zc_is_bad(result))
			cyclic_called(st, run);
		else if (!st->stopping)
			zcdma_stream_fail(st);
	}
	spin_unlock_irqrestore(&st->lock, irq);
out:
	rcu_read_unlock();
}

static void cyclic_moved(void *param)
{
	cyclic_reported(param, NULL);
}

static int cyclic_hand_over(struct zcdma_stream *st, struct zcdma_run *run)
{
	struct dma_async_tx_descriptor *desc;

	desc = dmaengine_prep_dma_cyclic(st->lease->dma, st->dma, zcdma_stream_ring_bytes(st),
					 st->period, st->use->config[st->way].direction,
					 DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	if (!desc)
		return -EAGAIN;
	zc_set_callback(st->lease, desc, cyclic_reported, cyclic_moved, run);
	run->cookie = dmaengine_submit(desc);
	if (dma_submit_error(run->cookie))
		return -EIO;
	dma_async_issue_pending(st->lease->dma);
	return 0;
}

/* The ring to the engine. Return: is it there? Called and left with st->lock held. */
static bool cyclic_begin(struct zcdma_stream *st, unsigned long *irq)
{
	struct zcdma_run *run = st->run;
	int err;

	zcdma_run_give(run);
	spin_unlock_irqrestore(&st->lock, *irq);
	err = cyclic_hand_over(st, run);
	spin_lock_irqsave(&st->lock, *irq);
	if (err) {
		zcdma_run_back(run);
		zcdma_stream_refused(st, err);
		return false;
	}
	run->asked = true;
	st->refused = 0;
	return true;
}

/* Called and left with st->lock held. */
void zcdma_cyclic_pass(struct zcdma_stream *st, unsigned long *irq)
{
	struct zcdma_run *run = st->run;
	u64 before, called, at, to;

	/* Not one that was paused before the engine took it. */
	if (!run->asked && (st->state == ZCDMA_STREAM_PAUSED || !cyclic_begin(st, irq)))
		return;
	/* A mapped sender is not to depend on callbacks alone: one makes little ready. */
	if (st->way == ZCDMA_WAY_TX && zcdma_stream_refresh(st)) {
		st->again = true;
		/* After others had their turn. */
		spin_unlock_irqrestore(&st->lock, *irq);
		spin_lock_irqsave(&st->lock, *irq);
		if (!zcdma_stream_at_work(st))
			return;
	}
	if (run->dealt == run->calls)
		return;
	before = st->way == ZCDMA_WAY_RX ? st->head : st->tail;
	called = run->first + run->calls;
	spin_unlock_irqrestore(&st->lock, *irq);
	at = cyclic_where(st, before, called);
	to = cyclic_retire(st, st->seen, at);
	spin_lock_irqsave(&st->lock, *irq);
	if (!zcdma_stream_at_work(st))
		return;
	if (to >= at)
		run->dealt = called - run->first;
	if (run->dealt != run->calls)
		st->again = true;
	if (st->way == ZCDMA_WAY_RX)
		cyclic_received(st, at);
	else if (to != before)
		cyclic_sent(st, to);
	st->seen = max(st->seen, to);
	zcdma_stream_publish(st);
	wake_up(st->wq);
}

/* ---- the run ends ---- */

/*
 * What the receiver's engine had filled when it was stopped stays, but for what it may have begun
 * to overwrite: a callback that it owed does not come any more. Under st->lock.
 */
static void cyclic_received_last(struct zcdma_stream *st, u64 at, bool sure)
{
	u32 keeps = cyclic_keeps(st, sure);
	u64 tail;

	/* What came after a failure is not to be had. */
	if (zcdma_stream_at_work(st))
		cyclic_received(st, at);
	zcdma_stream_refresh(st);
	if (at <= st->tail + keeps)
		return;
	tail = min(at - keeps, st->head);
	if (tail == st->tail)
		return;
	zcdma_stream_lose(st, tail - st->tail);
	st->tail = tail;
	st->offset = 0;
}

/* All that has come is the CPU's. */
static void cyclic_retire_last(struct zcdma_stream *st)
{
	u64 seen = st->seen, head = st->head;

	while (seen < head) {
		seen = cyclic_retire(st, seen, head);
		cond_resched();
	}
	spin_lock_irq(&st->lock);
	st->seen = max(st->seen, seen);
	spin_unlock_irq(&st->lock);
}

/**
 * zcdma_cyclic_end() - what had come, or was sent, when the engine was stopped
 * @st: the stream; under use->engine, nobody has the pump, its run is over.
 * @at: where the engine was, from zcdma_cyclic_begun().
 * @sure: it stood there.
 */
void zcdma_cyclic_end(struct zcdma_stream *st, u64 at, bool sure)
{
	u64 called;

	spin_lock_irq(&st->lock);
	called = st->run->first + st->run->calls;
	if (st->way == ZCDMA_WAY_RX)
		cyclic_received_last(st, max(at, called), sure);
	else if (zcdma_stream_at_work(st) && called > st->tail)
		cyclic_sent(st, called);
	spin_unlock_irq(&st->lock);
	if (st->way == ZCDMA_WAY_RX)
		cyclic_retire_last(st);
}
