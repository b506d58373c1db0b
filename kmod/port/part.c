// SPDX-License-Identifier: GPL-2.0
/*
 * A part of a period: what a receiver's engine has moved of one that it has begun.
 *
 * It can be had where the engine tells its residue to the burst, once the device is silent: while
 * somebody waits, the pump looks at the engine now and then, and what has not become more between
 * two looks is there. (While the device goes on, bytes come in whole periods: each look has its
 * price.) When it is stopped, an engine that can be paused is asked once more.
 */
#include <linux/delay.h>
#include "stream.h"

/* How long between two looks: at first, and at most when nothing comes. */
#define PART_TICK	msecs_to_jiffies(10)
#define PART_MAX_TICK	msecs_to_jiffies(100)

/* Bytes of period @number that the engine has moved, if it is at that one. */
static u32 part_ask(struct zcdma_stream *st, u64 number, dma_cookie_t cookie)
{
	struct dma_tx_state state = {};
	enum dma_status status;
	size_t moved, before;

	status = dmaengine_tx_status(st->lease->dma, cookie, &state);
	if (status != DMA_IN_PROGRESS && status != DMA_PAUSED)
		return 0;
	before = st->cyclic ? zcdma_stream_at(st, number) : 0;
	moved = st->cyclic ? zcdma_stream_ring_bytes(st) : st->period;
	if (state.residue > moved)
		return 0;
	moved -= state.residue;
	return moved > before && moved - before < st->period ? moved - before : 0;
}

static dma_cookie_t part_cookie(const struct zcdma_stream *st)
{
	return st->cyclic ? st->run->cookie : st->periods[zcdma_stream_slot(st, st->head)].cookie;
}

static bool part_can_be_told(const struct zcdma_stream *st)
{
	return st->way == ZCDMA_WAY_RX && st->exact && st->run->at_engine;
}

/* By who has the pump, where somebody waits. Called and left with st->lock held. */
void zcdma_part_look(struct zcdma_stream *st, unsigned long *irq)
{
	u64 head = st->head;
	dma_cookie_t cookie;
	u32 moved;

	st->part_wanted = false;
	if (!part_can_be_told(st))
		return;
	cookie = part_cookie(st);
	spin_unlock_irqrestore(&st->lock, *irq);
	moved = part_ask(st, head, cookie);
	spin_lock_irqsave(&st->lock, *irq);
	if (!zcdma_stream_at_work(st) || st->head != head)
		return;
	if (moved > st->offset && moved == st->part_seen) {
		st->part = moved;
		st->part_tick = 0;
		wake_up(st->wq);
		return;
	}
	st->part_seen = moved;
	if (wq_has_sleeper(st->wq))
		zcdma_part_want(st);
}

/* Somebody waits for bytes. Under st->lock. */
void zcdma_part_want(struct zcdma_stream *st)
{
	if (!part_can_be_told(st) || !zcdma_stream_goes_on(st) || timer_pending(&st->timer))
		return;
	st->part_tick = clamp(2 * st->part_tick, PART_TICK, PART_MAX_TICK);
	mod_timer(&st->timer, jiffies + st->part_tick);
}

/* ---- the run ends ---- */

/* The engine is paused: will it stay where it is? A driver's tasklet may be about to start it. */
static bool part_stands_still(struct zcdma_stream *st, dma_cookie_t cookie)
{
	struct dma_tx_state before = {}, after = {};
	struct dma_chan *dma = st->lease->dma;

	dmaengine_tx_status(dma, cookie, &before);
	usleep_range(100, 200);
	return dmaengine_tx_status(dma, cookie, &after) == DMA_PAUSED &&
	       before.residue == after.residue;
}

/* Pause it, where that is of use. Return: does it stand? */
static bool part_pause(struct zcdma_stream *st)
{
	struct zc_lease *lease = st->lease;
	dma_cookie_t cookie;
	bool asks, paused;

	spin_lock_irq(&st->lock);
	asks = part_can_be_told(st) && (!st->cyclic || st->run->asked);
	paused = st->state == ZCDMA_STREAM_PAUSED;
	cookie = part_cookie(st);
	spin_unlock_irq(&st->lock);
	if (!asks || !(lease->caps & ZCDMA_CAP_PAUSE) || lease->unstoppable ||
	    (!paused && dmaengine_pause(lease->dma)))
		return false;
	return part_stands_still(st, cookie);
}

/**
 * zcdma_part_stand() - where is the engine, which is about to be stopped?
 * @st: the stream; under use->engine, and nobody has the pump.
 * @stand: receives that.
 */
void zcdma_part_stand(struct zcdma_stream *st, struct zcdma_stand *stand)
{
	dma_cookie_t cookie;

	*stand = (struct zcdma_stand){ .sure = part_pause(st) };
	if (st->cyclic)
		stand->at = zcdma_cyclic_begun(st);
	else if (st->way == ZCDMA_WAY_RX)
		stand->due = zcdma_queued_settle(st);
	if (!stand->sure)
		return;
	spin_lock_irq(&st->lock);
	stand->number = st->cyclic ? stand->at : st->head;
	cookie = part_cookie(st);
	spin_unlock_irq(&st->lock);
	stand->part = part_ask(st, stand->number, cookie);
}

/**
 * zcdma_part_keep() - what had come of a period when the engine was stopped
 * @st: the stream; under use->engine, its run is over.
 * @stand: from zcdma_part_stand().
 *
 * Whole periods that no callback has told of are lost: they may have been short.
 */
void zcdma_part_keep(struct zcdma_stream *st, const struct zcdma_stand *stand)
{
	spin_lock_irq(&st->lock);
	if (zcdma_stream_at_work(st) && stand->due > st->run->returned) {
		zcdma_stream_lose(st, stand->due - st->run->returned);
		/* What was read of the first of them is all that there was. */
		if (zcdma_stream_is_empty(st))
			st->offset = 0;
		zcdma_part_reset(st);
	} else if (zcdma_stream_at_work(st) && stand->part && stand->number == st->head) {
		st->part = stand->part;
	}
	spin_unlock_irq(&st->lock);
}
