// SPDX-License-Identifier: GPL-2.0
/* How an engine is made, stopped, and given up. See engine.c. */
#include <linux/delay.h>
#include <linux/slab.h>
#include "engine.h"

/* Windows that may be retired: each is memory, and the next late callback is a risk. */
#define MAX_RESTARTS	16

/* How long an engine that cannot be stopped is waited for when its provider goes. */
#define QUIESCE_TIMEOUT	(10 * HZ)

/* What an engine may have whose speed is not known. */
#define FLYING_FIRST	SZ_4M

static void engine_install(struct zc_engine *engine, struct zc_window *window)
{
	int i;

	BUILD_BUG_ON(ZC_WINDOW != 8 * sizeof(engine->free));
	for (i = 0; i < ZC_WINDOW; i++) {
		window->slots[i].window = window;
		window->slots[i].bit = BIT(i);
	}
	window->engine = engine;
	engine->free = ~0U;
	engine->window = window;
}

/* ---- stopping ---- */

/*
 * Until zc_pump_end() nothing is handed to the provider, nor anything reaped. May sleep.
 * Return: false if the pump could not be had: prep sleeps, and need not return.
 */
static bool engine_hold(struct zc_engine *engine, unsigned long timeout)
{
	return wait_event_timeout(engine->idle, zc_pump_enter(engine), timeout);
}

/* Of the slots that the provider has, the one that was handed over first, or NULL. */
static struct zc_slot *engine_oldest(struct zc_engine *engine)
{
	unsigned long busy = atomic_read(&engine->window->busy);
	struct zc_slot *slot, *ret = NULL;
	unsigned int nr;

	for_each_set_bit(nr, &busy, ZC_WINDOW) {
		slot = &engine->window->slots[nr];
		if (!ret || (s32)(slot->seq - ret->seq) < 0)
			ret = slot;
	}
	return ret;
}

/*
 * The engine is stopped: all that it @had and may not have done comes back, what is cut anew in
 * its old order.
 */
static void engine_take_back(struct zc_engine *engine, u32 had)
{
	struct zc_sync part = { .dev = engine->lease.limits.dev, .dir = DMA_FROM_DEVICE };
	u32 stopped = atomic_xchg(&engine->window->busy, 0) | had;
	struct zc_slot *slot;

	engine->handed &= ~stopped;
	atomic_andnot(stopped, &engine->window->bad);
	while (zc_reap(engine))
		;
	zc_engine_give_back_parked(engine);
	while (stopped) {
		slot = zc_slot_last(engine, stopped);
		stopped &= ~slot->bit;
		if (!slot->ragged)
			zc_sync_add(&part, slot->dst.mem, &slot->dst.at, slot->len);
		zc_sync_end(&part);
		zc_slot_give_back(slot, ZC_SLOT_AGAIN);
	}
}

/* Return: is the engine stopped? With the pump held. May sleep. */
static bool engine_stop(struct zc_engine *engine)
{
	struct dma_chan *dma = engine->lease.dma;
	struct zc_window *fresh = NULL;
	u32 had;

	if (!zc_engine_can_stop(engine))
		return false;
	if (!dma->device->device_synchronize && engine->handed)
		fresh = kzalloc(sizeof(*fresh), GFP_KERNEL | __GFP_NOFAIL);
	/* Some call back for what they drop, and say that it was done: hidma, txx9dmac. */
	had = atomic_read(&engine->window->busy);
	if (dmaengine_terminate_sync(dma)) {
		/* What it called back for was perhaps not done, and may be at work. */
		atomic_or(had & ~(u32)atomic_read(&engine->window->busy), &engine->window->bad);
		engine->lease.unstoppable = true;
		kfree(fresh);
		return false;
	}
	engine_take_back(engine, had);
	engine->refused = 0;
	if (fresh) {
		list_add(&engine->window->node, &engine->retired);
		engine_install(engine, fresh);
		if (++engine->restarts == MAX_RESTARTS)
			engine->lease.unstoppable = true;
	}
	return true;
}

/* Does the engine have something, and not get on? With the pump held. */
static bool engine_stalls(struct zc_engine *engine, const struct zc_slot *oldest)
{
	unsigned long stall = max(msecs_to_jiffies(ZC_STALL_MS), 4 * engine->slow);
	unsigned long since;

	if (!oldest || zc_engine_came(engine))
		return false;
	since = oldest->since;
	/* One that completes out of order may get on without it. */
	if (!(engine->lease.caps & ZCDMA_CAP_UNORDERED) && time_after(engine->progress, since))
		since = engine->progress;
	return time_after_eq(jiffies, since + stall);
}

/**
 * zc_engine_expire() - an op is past its deadline and has pieces at the engine
 * @engine: the engine.
 * @now: on the monotonic clock, in ns.
 *
 * An engine that gets on is left to it: it will give the pieces back. One that does not is
 * stopped if the oldest piece there is past its own deadline, and what else was in flight
 * runs again. May sleep.
 *
 * Return: false when it does not get on and was not stopped, or when it goes and is waited for: the
 * op's memory is to be left to it.
 */
bool zc_engine_expire(struct zc_engine *engine, u64 now)
{
	struct zc_slot *oldest;
	bool ret = true;

	if (!engine_hold(engine, msecs_to_jiffies(ZC_STALL_MS)))
		return false;
	while (zc_reap(engine))
		;
	oldest = engine_oldest(engine);
	if (engine->state != ZC_ENGINE_LIVE) {
		ret = !oldest;
	} else if (engine_stalls(engine, oldest)) {
		ret = false;
		if (oldest->deadline <= now && zc_engine_can_stop(engine)) {
			dev_warn_ratelimited(engine->lease.limits.dev,
					     "zcdma: %s hangs, stopping it\n",
					     dma_chan_name(engine->lease.dma));
			ret = engine_stop(engine);
		}
	}
	zc_pump_end(engine, true);
	return ret;
}

/* ---- what a lease wants of its engine ---- */

static bool engine_busy(struct zc_lease *lease)
{
	struct zc_engine *engine = zc_engine_of(lease);

	return zc_engine_has_pieces(engine) || atomic_read(&engine->pump) != ZC_PUMP_IDLE ||
	       READ_ONCE(engine->parked);
}

/* Would engine_quiesce() not have to wait? */
static bool engine_can_go(struct zc_lease *lease)
{
	struct zc_engine *engine = zc_engine_of(lease);

	return !engine_busy(lease) ||
	       (zc_engine_can_stop(engine) && atomic_read(&engine->pump) == ZC_PUMP_IDLE);
}

static bool engine_quiesce(struct zc_lease *lease)
{
	struct zc_engine *engine = zc_engine_of(lease);
	struct dma_device *device = lease->dma->device;
	bool ret = true;

	spin_lock_irq(&engine->lock);
	engine->state = ZC_ENGINE_GONE;
	spin_unlock_irq(&engine->lock);
	if (!engine_hold(engine, QUIESCE_TIMEOUT))
		return false;
	if (!engine_stop(engine)) {
		zc_engine_give_back_parked(engine);
		zc_pump_end(engine, true);
		ret = wait_event_timeout(engine->idle, !engine_busy(lease), QUIESCE_TIMEOUT);
		if (!engine_hold(engine, QUIESCE_TIMEOUT))
			return false;
		if (ret && device->device_synchronize)
			device->device_synchronize(lease->dma);
	}
	zc_pump_end(engine, true);
	cancel_delayed_work_sync(&engine->work);
	tasklet_kill(&engine->bh);
	return ret;
}

static void engine_fail(struct zc_lease *lease)
{
	struct zc_member *member;

	list_for_each_entry(member, &zc_engine_of(lease)->members, node)
		member->client->fail(member);
}

static void engine_unmap(struct zc_lease *lease)
{
	struct zc_member *member;

	list_for_each_entry(member, &zc_engine_of(lease)->members, node)
		member->client->unmap(member);
}

static int engine_init(struct zc_lease *lease)
{
	struct zc_engine *engine = zc_engine_of(lease);
	struct zc_window *window = kzalloc(sizeof(*window), GFP_KERNEL);

	if (!window)
		return -ENOMEM;
	INIT_LIST_HEAD(&engine->members);
	spin_lock_init(&engine->lock);
	INIT_LIST_HEAD(&engine->runq);
	INIT_LIST_HEAD(&engine->retired);
	tasklet_setup(&engine->bh, zc_engine_bh);
	INIT_DELAYED_WORK(&engine->work, zc_engine_work);
	init_waitqueue_head(&engine->idle);
	engine_install(engine, window);
	engine->most = FLYING_FIRST;
	engine->longest = SIZE_MAX;
	engine->shortest = 1;
	return 0;
}

static void engine_free(struct zc_lease *lease)
{
	struct zc_engine *engine = zc_engine_of(lease);
	struct zc_window *window, *tmp;

	list_for_each_entry_safe(window, tmp, &engine->retired, node)
		kfree(window);
	kfree(engine->window);
}

static const struct zc_lease_ops engine_ops = {
	.size		= sizeof(struct zc_engine),
	.init		= engine_init,
	.free		= engine_free,
	.busy		= engine_busy,
	.can_go		= engine_can_go,
	.fail		= engine_fail,
	.quiesce	= engine_quiesce,
	.unmap		= engine_unmap,
};

void zc_engine_init(struct workqueue_struct *wq)
{
	zc_lease_init(&engine_ops, wq);
}

/**
 * zc_engine_join() - a session gets its place
 * @member: its client and session are set.
 * @lease: the session's.
 *
 * From now on it is told when the engine goes. To be ended by zc_engine_leave(), before the
 * session's reference on the lease is put.
 */
void zc_engine_join(struct zc_member *member, struct zc_lease *lease)
{
	struct zc_engine *engine = zc_engine_of(lease);

	INIT_LIST_HEAD(&member->turn);
	member->credit = 0;
	member->engine = engine;
	mutex_lock(&zc_registry);
	list_add_tail(&member->node, &engine->members);
	if (lease->gone)
		member->client->fail(member);
	mutex_unlock(&zc_registry);
}

/*
 * Nothing of it is at the engine any more. Whoever has the pump may be asking it for pieces just
 * now, which is soon over; prep is not waited for, that may take for ever. May sleep.
 */
void zc_engine_leave(struct zc_member *member)
{
	struct zc_engine *engine = member->engine;
	bool serving;

	mutex_lock(&zc_registry);
	list_del(&member->node);
	mutex_unlock(&zc_registry);
	for (;;) {
		spin_lock_irq(&engine->lock);
		list_del_init(&member->turn);
		serving = smp_load_acquire(&engine->serving) == member;	/* see engine_cut() */
		spin_unlock_irq(&engine->lock);
		if (!serving)
			return;
		usleep_range(50, 100);
	}
}
