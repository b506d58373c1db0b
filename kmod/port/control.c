// SPDX-License-Identifier: GPL-2.0
/*
 * The control page of a stream: what those are told who have the ring mapped, and what they say.
 */
#include "stream.h"

/* For those who have it mapped. Under st->lock. */
void zcdma_stream_publish(struct zcdma_stream *st)
{
	struct zcdma_ring *ctl = st->ctl;

	WRITE_ONCE(ctl->lost, st->lost);
	WRITE_ONCE(ctl->state, st->state);
	if (st->way == ZCDMA_WAY_RX) {
		WRITE_ONCE(ctl->oldest, st->tail);
		/* The periods below head are there before it says so. */
		smp_wmb();
		WRITE_ONCE(ctl->head, st->cyclic ? min(st->seen, st->head) : st->head);
	} else {
		/* The periods below tail were read before it says so. */
		smp_mb();
		WRITE_ONCE(ctl->tail, st->tail);
	}
}

/* Short periods have their price, too: how many are made ready before others have their turn. */
#define MAX_STEPS	64

/* The user has filled periods up to @number. Return: is there more to be made ready? */
static bool control_take_periods(struct zcdma_stream *st, u64 number)
{
	struct device *dev = st->lease->limits.dev;
	u32 left = ZCDMA_CHUNK, steps, len;

	/* What the engine has passed is lost. */
	if (st->head < st->tail) {
		st->head = st->tail;
		st->taken = 0;
	}
	st->offset = 0;
	if (!dma_need_sync(dev, st->dma)) {
		st->head = number;
		return false;
	}
	for (steps = 0; st->head < number && left && steps < MAX_STEPS; steps++, left -= len) {
		len = min(left, st->period - st->taken);
		dma_sync_single_for_device(dev, st->dma + zcdma_stream_at(st, st->head) + st->taken,
					   len, DMA_TO_DEVICE);
		st->taken += len;
		if (st->taken < st->period)
			break;
		st->taken = 0;
		st->head++;
	}
	return st->head < number;
}

/**
 * zcdma_stream_refresh() - what the user has written into the control page, if it can be
 * @st: the stream; under st->lock.
 *
 * The engine may read a period as soon as its number is known here. Numbers of an older run cannot
 * be: see stream.h. Nor can numbers from before a loss, so who writes one that can be knows of it.
 *
 * Return: true if it is to be called again, after others had their turn.
 */
bool zcdma_stream_refresh(struct zcdma_stream *st)
{
	u64 number;

	if (!READ_ONCE(st->shared) || !st->mapped)
		return false;
	if (st->way == ZCDMA_WAY_RX) {
		number = READ_ONCE(st->ctl->tail);
		if (number < st->tail || number > st->head)
			return false;
		if (number > st->tail)
			st->offset = 0;
		st->tail = number;
		st->xrun = false;
		return false;
	}
	number = READ_ONCE(st->ctl->head);
	/* Pairs with the user's release: he has written what is below it. */
	smp_rmb();
	if (number <= st->head || number <= st->tail || number > st->tail + st->nr)
		return false;
	/* One that was being made ready when the loss came says nothing of that. */
	if (number != st->taking)
		st->xrun = false;
	st->taking = number;
	return control_take_periods(st, number);
}

/* All of it. In process context. */
void zcdma_stream_refresh_all(struct zcdma_stream *st)
{
	bool more;

	do {
		spin_lock_irq(&st->lock);
		more = zcdma_stream_refresh(st);
		spin_unlock_irq(&st->lock);
	} while (more);
}
