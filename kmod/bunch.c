// SPDX-License-Identifier: GPL-2.0
/*
 * What comes back from the engine.
 *
 * Small pieces that are handed over together come back together, as a "bunch": what
 * their callbacks would each do under the locks, the last one does for all. The others
 * only leave a note in their slots ("back"). Where the engine takes its time, those that
 * came back so far are not kept waiting for the rest: a callback that comes in another
 * jiffy than the last look at the channel takes a look, too. And what an engine that
 * hangs has done before is seen when a deadline passes, when it is stopped, or when the
 * channel is lost.
 *
 * The slots of a bunch become free with its last piece, whoever looked at them before.
 * So "first", which counts, is what it was as long as callbacks may come.
 */
#include "zcdma.h"

/* What a bunch moves, at most, unless it is a piece alone. */
#define BUNCH_BYTES	SZ_64K

/* The first of these, and what is to come back with it. Return: how many. */
static unsigned int make_bunch(struct zcdma_slot **slots, unsigned int nr)
{
	struct zcdma_slot *first = slots[0];
	unsigned int i;
	size_t len = 0;
	u32 bunch = 0;

	for (i = 0; i < nr; i++) {
		struct zcdma_slot *slot = slots[i];

		len += slot->len;
		if (i && len > BUNCH_BYTES)
			break;
		slot->first = first;
		slot->back = ZCDMA_SLOT_OUT;
		bunch |= slot->bit;
	}
	first->bunch = bunch;
	atomic_set(&first->left, i);
	return i;
}

/**
 * zcdma_bunches_make() - what is handed over together
 * @slots: in flight, and not handed over yet. Under chan->lock.
 * @nr: how many; may be 0.
 */
void zcdma_bunches_make(struct zcdma_slot **slots, unsigned int nr)
{
	unsigned int i = 0;

	while (i < nr)
		i += make_bunch(slots + i, nr - i);
}

/**
 * zcdma_slots_settle() - to their requests, what came back
 * @chan: the channel, under its lock.
 * @slots: which of its slots in flight to look at.
 * @put: those that have no piece any more become free.
 */
void zcdma_slots_settle(struct zcdma_chan *chan, u32 slots, bool put)
{
	struct zcdma_request *reqs[ZCDMA_WINDOW] __uninitialized;
	struct zcdma_slot *slot, *all = chan->window->slots;
	unsigned int nr = 0;
	u32 left;

	for (left = slots; left; left &= left - 1) {
		slot = all + __ffs(left);
		if (!slot->req)
			continue;
		/* Pairs with come_back(). */
		if (smp_load_acquire(&slot->back) == ZCDMA_SLOT_DONE) {
			reqs[nr++] = slot->req;
		} else if (slot->back == ZCDMA_SLOT_BAD && chan->state == ZCDMA_CHAN_LIVE) {
			zcdma_piece_failed(slot, slot->req, ZCDMA_DONE_REPORTED);
		} else {
			/* At the engine; or aborted by our own stop: collect() has it. */
			slots &= ~slot->bit;
			continue;
		}
		slot->req = NULL;
	}
	if (nr)
		zcdma_pieces_done(reqs, nr, chan->done_flags);
	if (put) {
		chan->inflight &= ~slots;
		chan->free |= slots;
	}
}

/**
 * zcdma_chan_settle() - what has come back is not to wait for the rest of its bunch
 * @chan: the channel.
 */
void zcdma_chan_settle(struct zcdma_chan *chan)
{
	spin_lock_irq(&chan->lock);
	zcdma_slots_settle(chan, chan->inflight, false);
	spin_unlock_irq(&chan->lock);
}

/* Is it in a window that was given up? Then its bit is another's by now. */
static bool is_retired(const struct zcdma_slot *slot)
{
	return slot != &slot->chan->window->slots[__ffs(slot->bit)];
}

/* Some of a bunch came back, or the last one. Under chan->lock. */
static __always_inline void look_at(struct zcdma_slot *first, bool last)
{
	struct zcdma_chan *chan = first->chan;

	if (is_retired(first))
		return;
	zcdma_slots_settle(chan, first->bunch, last);
	if (!chan->inflight && wq_has_sleeper(&chan->idle))
		wake_up(&chan->idle);
}

/**
 * zcdma_bunch_leave() - the engine did not get a piece
 * @slot: the piece's, which is not in flight any more. Under chan->lock.
 */
void zcdma_bunch_leave(struct zcdma_slot *slot)
{
	slot->first->bunch &= ~slot->bit;
	if (atomic_dec_and_test(&slot->first->left))
		look_at(slot->first, true);
}

/* From a callback. Not inline: most do not come here. */
static noinline void look(struct zcdma_slot *first, bool last)
{
	struct zcdma_chan *chan = first->chan;
	unsigned long irq;
	bool more;

	spin_lock_irqsave(&chan->lock, irq);
	WRITE_ONCE(chan->progress, jiffies);
	look_at(first, last);
	more = zcdma_chan_has_more(chan);
	/* The pump that is running looks once more. */
	if (more && chan->pumping) {
		chan->again = true;
		more = false;
	}
	spin_unlock_irqrestore(&chan->lock, irq);

	if (more && chan->inline_refill)
		zcdma_chan_pump(chan);
	else if (more)
		mod_delayed_work(zcdma_wq, &chan->refill, 0);
}

/* One descriptor is done, in whatever context. */
static __always_inline void come_back(struct zcdma_slot *slot, enum zcdma_slot_back how)
{
	struct zcdma_slot *first = slot->first;
	unsigned long now = jiffies;
	bool last;

	/* Pairs with zcdma_slots_settle(): who sees this sees what the engine wrote. */
	smp_store_release(&slot->back, how);
	last = atomic_dec_and_test(&first->left);
	if (last || now != READ_ONCE(slot->chan->progress))
		look(first, last);
}

/* The callback for one descriptor of a provider that reports errors. */
void zcdma_slot_reported(void *param, const struct dmaengine_result *result)
{
	come_back(param, zcdma_is_bad(result) ? ZCDMA_SLOT_BAD : ZCDMA_SLOT_DONE);
}

/* The same of one that does not. */
void zcdma_slot_done(void *param)
{
	come_back(param, ZCDMA_SLOT_DONE);
}
