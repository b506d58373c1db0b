// SPDX-License-Identifier: GPL-2.0
/*
 * A channel's window: the engine at work.
 *
 * A piece lives in a slot, and a slot is free, parked (cut, and the engine had no
 * room for it) or in flight. That changes under chan->lock. The provider is called
 * without it, by one context at a time: the pump. Whoever finds the pump running
 * leaves it a note ("again") instead.
 *
 * "prep" says NULL for "full" and for "too long", and not which. While pieces are
 * in flight we take it for "full" and wait for one of them. With none in flight it
 * can only be "too long" (or that the provider is out of memory, or shares its
 * descriptors with others): the piece is halved until the engine takes it. An
 * idle engine that refuses the smallest piece is asked again a few times, then
 * the request fails.
 *
 * Stopping: no new piece goes out once the state is not LIVE and the pump has
 * ended; terminate and synchronize then make sure that the engine touches no
 * memory and that no callback will come. Providers without device_synchronize
 * may still run a callback after that, for a slot that would by then belong to
 * another piece. They get fresh slots, and a late callback finds an old one with
 * no request in it.
 */
#include <linux/slab.h>
#include "zcdma.h"

/* How often and how long an idle engine may refuse the smallest piece. */
#define MAX_REFUSALS	10
#define REFUSAL_DELAY	msecs_to_jiffies(10)

/*
 * How often one call of the pump fills the window. An engine may be done with small
 * pieces before all are handed out; in a callback that would then never end.
 */
#define MAX_ROUNDS	8

static bool can_stop(const struct zcdma_chan *chan)
{
	return chan->caps & ZCDMA_CAP_TERMINATE;
}

/* Not at the engine, but not free either. Under chan->lock. */
static void withdraw(struct zcdma_slot *slot)
{
	slot->chan->inflight &= ~slot->bit;
}

static void put_slot(struct zcdma_slot *slot)
{
	slot->req = NULL;
	slot->chan->inflight &= ~slot->bit;
	slot->chan->free |= slot->bit;
	if (!list_empty(&slot->node))
		list_del_init(&slot->node);
}

/*
 * Pieces that are handed over between two holds of the lock. Not a whole window: if the
 * first is too long for the engine, its second half needs a slot.
 */
#define CUT_BATCH	(ZCDMA_WINDOW / 2)

static struct zcdma_slot *free_slot(struct zcdma_chan *chan)
{
	return chan->free ? &chan->window->slots[__ffs(chan->free)] : NULL;
}

static void install(struct zcdma_chan *chan, struct zcdma_window *window)
{
	int i;

	BUILD_BUG_ON(ZCDMA_WINDOW != 8 * sizeof(chan->free));
	for (i = 0; i < ZCDMA_WINDOW; i++) {
		window->slots[i].chan = chan;
		window->slots[i].bit = BIT(i);
		INIT_LIST_HEAD(&window->slots[i].node);
	}
	chan->free = ~0U;
	chan->inflight = 0;
	chan->window = window;
}

static void refill_work(struct work_struct *work)
{
	zcdma_chan_pump(container_of(to_delayed_work(work), struct zcdma_chan, refill));
}

/**
 * zcdma_window_init() - prepare what belongs to the engine at work
 * @chan: zeroed here.
 *
 * Return: 0 or -ENOMEM.
 */
int zcdma_window_init(struct zcdma_chan *chan)
{
	struct zcdma_window *window = kzalloc(sizeof(*window), GFP_KERNEL);

	if (!window)
		return -ENOMEM;
	spin_lock_init(&chan->lock);
	mutex_init(&chan->stopping);
	init_waitqueue_head(&chan->idle);
	INIT_DELAYED_WORK(&chan->refill, refill_work);
	INIT_LIST_HEAD(&chan->ready);
	INIT_LIST_HEAD(&chan->parked);
	INIT_LIST_HEAD(&chan->retired);
	install(chan, window);
	return 0;
}

/* No callback can come any more. */
void zcdma_window_free(struct zcdma_chan *chan)
{
	struct zcdma_window *window, *tmp;

	list_for_each_entry_safe(window, tmp, &chan->retired, node)
		kfree(window);
	kfree(chan->window);
}

/*
 * The next pieces of the sessions whose turn it is: one of each, or more where only one
 * session has something. They are "inflight" now. Under chan->lock.
 */
static unsigned int cut_next(struct zcdma_chan *chan, unsigned int max, struct zcdma_slot **slots)
{
	struct zcdma_lane *lane, *tmp;
	unsigned int nr = 0, share = list_is_singular(&chan->ready) ? max : 1;

	list_for_each_entry_safe(lane, tmp, &chan->ready, turn) {
		unsigned int got = zcdma_queue_cut(lane->session, chan, share, slots + nr);

		/* Who adds to a queue kicks the channel afterwards. */
		if ((got < share && chan->free) || list_empty(&lane->session->queue))
			list_del_init(&lane->turn);
		else if (got)
			list_move_tail(&lane->turn, &chan->ready);
		nr += got;
		if (nr == max || !chan->free)
			break;
	}
	return nr;
}

/*
 * The same of one session, which has no turn yet, while no other has something. If that
 * is not all of it, it gets a turn.
 */
static unsigned int cut_first(struct zcdma_lane *lane, unsigned int max, struct zcdma_slot **slots)
{
	struct zcdma_chan *chan = lane->chan;
	unsigned int nr = zcdma_queue_cut(lane->session, chan, max, slots);

	if ((nr == max || !chan->free) && !list_empty(&lane->session->queue))
		list_add_tail(&lane->turn, &chan->ready);
	return nr;
}

static void give_back(struct zcdma_slot *slot)
{
	struct zcdma_request *req = slot->req;

	put_slot(slot);
	zcdma_piece_back(slot, req);
}

/* The first piece that is parked and that somebody still wants. Under chan->lock. */
static struct zcdma_slot *first_parked(struct zcdma_chan *chan)
{
	struct zcdma_slot *slot, *tmp;

	list_for_each_entry_safe(slot, tmp, &chan->parked, node) {
		if (!READ_ONCE(slot->req->res))
			return slot;
		give_back(slot);
	}
	return NULL;
}

/*
 * Pieces for the engine, on "inflight" already: their callbacks may come at once. What
 * waits for room goes first, and alone.
 */
static unsigned int take_next(struct zcdma_chan *chan, struct zcdma_lane *first, unsigned int max,
			      struct zcdma_slot **slots)
{
	if (first)
		return cut_first(first, max, slots);
	slots[0] = first_parked(chan);
	if (!slots[0])
		return cut_next(chan, max, slots);
	list_del_init(&slots[0]->node);
	chan->inflight |= slots[0]->bit;
	return 1;
}

static unsigned int next_slots(struct zcdma_chan *chan, struct zcdma_lane *first, unsigned int max,
			       struct zcdma_slot **slots)
{
	bool idle = !chan->inflight;
	unsigned int nr = 0;

	if (chan->state == ZCDMA_CHAN_LIVE)
		nr = take_next(chan, first, max, slots);
	zcdma_bunches_make(slots, nr);
	if (nr && idle)
		WRITE_ONCE(chan->progress, jiffies);
	return nr;
}

static void slot_failed(struct zcdma_slot *slot, u32 flags)
{
	struct zcdma_request *req = slot->req;

	put_slot(slot);
	zcdma_piece_failed(slot, req, flags);
}

/*
 * Ask the provider for a descriptor: NULL when it has none, or wants no piece as long as
 * this. May sleep if its prep does.
 */
static struct dma_async_tx_descriptor *prep(struct zcdma_slot *slot)
{
	const unsigned long flags = DMA_CTRL_ACK | DMA_PREP_INTERRUPT;
	struct zcdma_request *req = slot->req;
	struct dma_chan *dma = slot->chan->dma;

	if (unlikely(req->fills))
		return dmaengine_prep_dma_memset(dma, slot->dst, req->op.src, slot->len, flags);
	return dmaengine_prep_dma_memcpy(dma, slot->dst, slot->src, slot->len, flags);
}

/* Return: 0, -EAGAIN when the provider had no descriptor, -EIO when it refused it. */
static int hand_over(struct zcdma_slot *slot)
{
	struct dma_async_tx_descriptor *desc = prep(slot);

	if (!desc)
		return -EAGAIN;
	/* From here to the submit a provider may hold a lock: nothing that sleeps. */
	zcdma_set_callback(slot->chan, desc, zcdma_slot_reported, zcdma_slot_done, slot);
	return dma_submit_error(dmaengine_submit(desc)) ? -EIO : 0;
}

/* Half of a piece, as the engine wants it aligned; 0 when it is small enough already. */
static size_t half(const struct zcdma_slot *slot)
{
	return round_down(slot->len / 2, max(slot->chan->copy_align, slot->chan->fill_align));
}

/* An idle engine wants no piece this long, or none at all. Under chan->lock. */
static void refused(struct zcdma_chan *chan, struct zcdma_slot *slot)
{
	struct zcdma_slot *rest = free_slot(chan);
	size_t len = half(slot);

	if (len && rest) {
		zcdma_piece_split(slot, rest, len);
		chan->free &= ~rest->bit;
		list_move(&rest->node, &chan->parked);
		list_move(&slot->node, &chan->parked);
		chan->halved_to = len;
		chan->again = true;
	} else if (chan->refused++ < MAX_REFUSALS) {
		mod_delayed_work(zcdma_wq, &chan->refill, REFUSAL_DELAY);
	} else {
		chan->refused = 0;
		chan->halved_to = 0;
		slot_failed(slot, 0);
		chan->again = true;
	}
}

/* The engine did not get these: they wait for room, before all others. Under chan->lock. */
static void park(struct zcdma_chan *chan, struct zcdma_slot **slots, unsigned int nr)
{
	while (nr--) {
		withdraw(slots[nr]);
		list_add(&slots[nr]->node, &chan->parked);
		zcdma_bunch_leave(slots[nr]);
	}
}

/* The engine took a piece. Was it one of those it had found too long? */
static void learn_limit(struct zcdma_chan *chan)
{
	if (chan->halved_to)
		WRITE_ONCE(chan->max_piece, chan->halved_to);
	chan->halved_to = 0;
	chan->refused = 0;
}

/* Return: how many were taken; *err is what became of the next. Without a lock. */
static unsigned int hand_over_all(struct zcdma_slot **slots, unsigned int nr, int *err)
{
	unsigned int done;

	for (done = 0; done < nr; done++) {
		*err = hand_over(slots[done]);
		if (*err)
			break;
	}
	return done;
}

/* What fits into the window and the engine. Called and left with chan->lock held. */
static __always_inline unsigned int fill_window(struct zcdma_chan *chan, struct zcdma_lane *first,
						unsigned int budget, unsigned long *irq)
	__must_hold(&chan->lock)
{
	struct zcdma_slot *slots[CUT_BATCH] __uninitialized;
	unsigned int nr, done, handed = 0;
	bool last, issued = false;
	int err = 0;

	/* What comes after the last has been issued says so by "again". */
	while (!issued && err != -EAGAIN && handed < budget &&
	       (nr = next_slots(chan, first, min_t(unsigned int, budget - handed, CUT_BATCH),
				slots))) {
		last = !zcdma_chan_has_more(chan);
		spin_unlock_irqrestore(&chan->lock, *irq);
		done = hand_over_all(slots, nr, &err);
		/* Not after an error: the engine must not be idle when we look why. */
		issued = last && !err;
		if (issued)
			dma_async_issue_pending(chan->dma);
		spin_lock_irqsave(&chan->lock, *irq);
		first = NULL;
		handed += done;
		if (done)
			learn_limit(chan);
		if (!err)
			continue;
		park(chan, slots + done, nr - done);
		if (err != -EAGAIN)
			slot_failed(slots[done], 0);
		else if (!chan->inflight)
			refused(chan, slots[done]);
	}
	if (handed && !issued) {
		spin_unlock_irqrestore(&chan->lock, *irq);
		dma_async_issue_pending(chan->dma);
		spin_lock_irqsave(&chan->lock, *irq);
	}
	return handed;
}

/*
 * Called and left with chan->lock held. @first: a session that has something, and no turn,
 * or NULL. Return: how many pieces the engine got.
 */
static __always_inline unsigned int pump(struct zcdma_chan *chan, struct zcdma_lane *first,
					 unsigned int budget, unsigned long *irq)
{
	unsigned int handed = 0, rounds = 0;

	chan->pumping = true;
	do {
		chan->again = false;
		handed += fill_window(chan, first, budget - handed, irq);
		first = NULL;
		rounds++;
	} while (chan->again && handed < budget && rounds < MAX_ROUNDS);
	if (chan->again && rounds == MAX_ROUNDS && chan->state == ZCDMA_CHAN_LIVE)
		mod_delayed_work(zcdma_wq, &chan->refill, 0);
	chan->pumping = false;
	if (chan->state != ZCDMA_CHAN_LIVE)
		wake_up(&chan->idle);
	return handed;
}

/* Its session has something to hand out. Return: is it the only one, and now? Under chan->lock. */
static bool take_turn(struct zcdma_lane *lane)
{
	struct zcdma_chan *chan = lane->chan;

	if (chan->state == ZCDMA_CHAN_LIVE && !chan->pumping && !zcdma_chan_has_more(chan))
		return true;
	if (list_empty(&lane->turn) && chan->state != ZCDMA_CHAN_GONE)
		list_add_tail(&lane->turn, &chan->ready);
	return false;
}

/**
 * zcdma_chan_run() - hand the engine what there is to do
 * @chan: the channel.
 * @lane: the place of a session that has something to hand out, or NULL.
 * @budget: how many pieces the channel may get just now.
 *
 * From any context, unless the provider's prep cannot be called there: see
 * "inline_refill". Holds no lock of ours while it calls the provider.
 *
 * Return: how many pieces the engine got.
 */
unsigned int zcdma_chan_run(struct zcdma_chan *chan, struct zcdma_lane *lane, unsigned int budget)
{
	unsigned int handed = 0;
	unsigned long irq;

	spin_lock_irqsave(&chan->lock, irq);
	if (lane && !take_turn(lane))
		lane = NULL;
	if (chan->pumping)
		chan->again = true;
	else
		handed = pump(chan, lane, budget, &irq);
	spin_unlock_irqrestore(&chan->lock, irq);
	return handed;
}

/* Has the engine nothing of ours? */
bool zcdma_chan_idle(struct zcdma_chan *chan)
{
	unsigned long irq;
	bool ret;

	spin_lock_irqsave(&chan->lock, irq);
	ret = !chan->inflight;
	spin_unlock_irqrestore(&chan->lock, irq);
	return ret;
}

static bool pump_ended(struct zcdma_chan *chan)
{
	bool ret;

	spin_lock_irq(&chan->lock);
	ret = !chan->pumping;
	spin_unlock_irq(&chan->lock);
	return ret;
}

/* Afterwards nothing is handed out, and an engine that can be stopped is. May sleep. */
static void stop(struct zcdma_chan *chan, enum zcdma_chan_state state)
{
	spin_lock_irq(&chan->lock);
	chan->state = state;
	spin_unlock_irq(&chan->lock);
	wait_event(chan->idle, pump_ended(chan));
	if (can_stop(chan))
		dmaengine_terminate_sync(chan->dma);
}

/* Of the slots in flight, the one that was cut last. */
static struct zcdma_slot *youngest(struct zcdma_chan *chan)
{
	struct zcdma_slot *slot, *ret = NULL;

	for (slot = chan->window->slots; slot < chan->window->slots + ZCDMA_WINDOW; slot++)
		if ((chan->inflight & slot->bit) && (!ret || (s32)(slot->turn - ret->turn) > 0))
			ret = slot;
	return ret;
}

/* Newest first, so that what runs again is in its old order, as below. Under chan->lock. */
static void take_back_parked(struct zcdma_chan *chan)
{
	struct zcdma_slot *slot, *tmp;

	list_for_each_entry_safe_reverse(slot, tmp, &chan->parked, node)
		give_back(slot);
}

/* The engine is stopped: all pieces come back. */
static void collect(struct zcdma_chan *chan, struct zcdma_window *fresh)
{
	spin_lock_irq(&chan->lock);
	take_back_parked(chan);
	zcdma_slots_settle(chan, chan->inflight, true);
	while (chan->inflight)
		give_back(youngest(chan));
	chan->refused = 0;
	if (fresh) {
		list_add(&chan->window->node, &chan->retired);
		install(chan, fresh);
	}
	spin_unlock_irq(&chan->lock);
	wake_up(&chan->idle);
}

/* What runs again is in the queues of sessions that may have no turn any more. */
static void all_ready(struct zcdma_chan *chan)
{
	struct zcdma_lane *lane;

	list_for_each_entry(lane, &chan->lanes, node)
		if (list_empty(&lane->turn))
			list_add_tail(&lane->turn, &chan->ready);
}

/**
 * zcdma_chan_unpark() - give back pieces that wait for room at the engine
 * @chan: the channel.
 *
 * Their requests are in the queue again. To be followed by zcdma_chan_pump().
 */
void zcdma_chan_unpark(struct zcdma_chan *chan)
{
	spin_lock_irq(&chan->lock);
	if (!list_empty(&chan->parked)) {
		take_back_parked(chan);
		all_ready(chan);
	}
	spin_unlock_irq(&chan->lock);
}

static void restart(struct zcdma_chan *chan)
{
	struct zcdma_window *fresh = NULL;

	if (!chan->dma->device->device_synchronize)
		fresh = kzalloc(sizeof(*fresh), GFP_KERNEL | __GFP_NOFAIL);
	dev_warn_ratelimited(chan->dev, "zcdma: %s hangs, stopping it\n",
			     dma_chan_name(chan->dma));
	stop(chan, ZCDMA_CHAN_STOPPED);
	collect(chan, fresh);
	spin_lock_irq(&chan->lock);
	chan->state = ZCDMA_CHAN_LIVE;
	all_ready(chan);
	spin_unlock_irq(&chan->lock);
	zcdma_chan_pump(chan);
}

/* Is there work at the engine, and it does not get on? */
static bool hangs(struct zcdma_chan *chan)
{
	bool ret;

	spin_lock_irq(&chan->lock);
	ret = chan->inflight &&
	      time_after_eq(jiffies, chan->progress + msecs_to_jiffies(ZCDMA_STALLED_MS));
	spin_unlock_irq(&chan->lock);
	return ret;
}

/**
 * zcdma_chan_expire() - a request is past its deadline and has pieces at the engine
 * @chan: the channel.
 *
 * An engine that gets on is left to it: it will give the pieces back. One that
 * does not is stopped, and what was in flight for others runs again. May sleep.
 *
 * Return: false when it hangs and cannot be stopped.
 */
bool zcdma_chan_expire(struct zcdma_chan *chan)
{
	bool ret = true;

	mutex_lock(&chan->stopping);
	if (chan->state == ZCDMA_CHAN_LIVE && hangs(chan)) {
		ret = can_stop(chan);
		if (ret)
			restart(chan);
	}
	mutex_unlock(&chan->stopping);
	return ret;
}

/**
 * zcdma_chan_shut() - give the channel back to the kernel
 * @chan: LIVE; under zcdma_registry. Not to be used afterwards.
 *
 * All pieces come back. The requests that they belong to must have been failed,
 * or their sessions. May sleep.
 */
void zcdma_chan_shut(struct zcdma_chan *chan)
{
	mutex_lock(&chan->stopping);
	stop(chan, ZCDMA_CHAN_GONE);
	cancel_delayed_work_sync(&chan->refill);
	dma_release_channel(chan->dma);
	collect(chan, NULL);
	mutex_unlock(&chan->stopping);
}
