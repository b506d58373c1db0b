// SPDX-License-Identifier: GPL-2.0
/* An engine's pump: who has it, and what comes back from the provider. See engine.c. */
#include "engine.h"

/* What may be at an engine: so many ms of work, as far as is known; and at least, and at most. */
#define FLYING_MS	40
#define FLYING_LEAST	SZ_16K
#define FLYING_MOST	SZ_64M
#define SAMPLE_MS	10

/* However slow an engine was, it hangs when it takes some times longer than this. */
#define SLOWEST		(5 * HZ / 2)

/* ---- who runs the pump ---- */

/* In a while, from wherever the provider may be called. */
void zc_pump_defer(struct zc_engine *engine, unsigned long delay)
{
	mod_delayed_work(zc_wq, &engine->work, delay);
}

/*
 * Soon, from where the provider may be called. By who knows that the engine is not being
 * given back: it has a piece, or the pump is ours, or engine->lock is held and it is LIVE.
 */
void zc_pump_raise(struct zc_engine *engine)
{
	if (engine->lease.sleeps)
		zc_pump_defer(engine, 0);
	else
		tasklet_schedule(&engine->bh);
}

/* The same by who may be the last to have a hold on the engine. */
static void pump_raise_if_live(struct zc_engine *engine)
{
	unsigned long irq;

	spin_lock_irqsave(&engine->lock, irq);
	if (engine->state == ZC_ENGINE_LIVE || zc_engine_has_pieces(engine))
		zc_pump_raise(engine);
	spin_unlock_irqrestore(&engine->lock, irq);
}

/* Let go of it; if somebody wanted it meanwhile, or there is more to do, it runs again. */
void zc_pump_end(struct zc_engine *engine, bool more)
{
	while (!zc_pump_leave(engine))
		more = true;
	if (more)
		pump_raise_if_live(engine);
}

/* ---- back from the provider ---- */

/* @first came back, and more: how fast is the engine, and so how much may it have? */
static void engine_progress(struct zc_engine *engine, const struct zc_slot *first, size_t bytes)
{
	unsigned long now = jiffies, took;

	took = now - (time_after(first->since, engine->progress) ? first->since :
								   engine->progress);
	engine->slow = min_t(unsigned long, max(took, engine->slow - engine->slow / 8), SLOWEST);
	engine->progress = now;

	engine->sample += bytes;
	took = now - engine->sample_at;
	if (took < msecs_to_jiffies(SAMPLE_MS))
		return;
	engine->most = clamp_t(u64, div64_u64((u64)engine->sample * msecs_to_jiffies(FLYING_MS),
					      took), FLYING_LEAST, FLYING_MOST);
	engine->most = PAGE_ALIGN(engine->most);
	engine->sample = 0;
	engine->sample_at = now;
}

/*
 * What has come back, up to a limit, to those who it belongs to; what the engine wrote is to be
 * seen by the CPU. By who has the pump, in any context. Return: is there more?
 */
bool zc_reap(struct zc_engine *engine)
{
	struct zc_sync part = { .dev = engine->lease.limits.dev, .dir = DMA_FROM_DEVICE };
	u32 came = zc_engine_came(engine), next = engine->next, left = ror32(came, next);
	struct zc_slot **slots = engine->batch, *slot;
	struct zc_window *window = engine->window;
	u32 bad = atomic_read(&window->bad) & came, reaped = 0;
	unsigned int nr = 0, i;
	size_t bytes = 0;

	for (; left && bytes < ZC_TURN; left &= left - 1) {
		slot = &window->slots[(next + __ffs(left)) % ZC_WINDOW];
		slots[nr++] = slot;
		reaped |= slot->bit;
		bytes += slot->len;
		slot->result = unlikely(bad) && (bad & slot->bit) ? ZC_SLOT_BAD : ZC_SLOT_DONE;
		if (!slot->ragged)
			zc_sync_add(&part, slot->dst.mem, &slot->dst.at, slot->len);
	}
	if (!nr)
		return false;
	zc_sync_end(&part);

	engine->handed &= ~reaped;
	if (unlikely(bad))
		atomic_andnot(reaped, &window->bad);
	engine_progress(engine, slots[0], bytes);
	for (i = 0; i < nr; )
		i += slots[i]->member->client->back(slots[i]->member, slots + i, nr - i);
	engine->free |= reaped;
	engine->flying -= bytes;
	return zc_engine_came(engine);
}

/* The last piece at the engine came back: no need for another context to deal with it. */
static void engine_reap_in_place(struct zc_engine *engine)
{
	if (!zc_pump_enter(engine))
		return;
	zc_pump_end(engine, zc_reap(engine) || engine->parked ||
		    !list_empty_careful(&engine->runq));
}

/*
 * One descriptor is done, in whatever context. Who sees its bit cleared sees what else the callback
 * had to say. It may be late, after the engine was stopped: then the bit is cleared already, and
 * the slot nobody's.
 */
static __always_inline void slot_came(struct zc_slot *slot)
{
	struct zc_window *window = slot->window;
	struct zc_engine *engine = window->engine;
	u32 bit = slot->bit, busy;

	/* In a thread nothing else keeps the engine: it may be given back when we are seen. */
	rcu_read_lock();
	busy = atomic_fetch_andnot(bit, &window->busy);
	if (busy == bit)
		engine_reap_in_place(engine);
	else if (busy & bit && !test_bit(TASKLET_STATE_SCHED, &engine->bh.state))
		zc_pump_raise(engine);	/* otherwise it is still to come, and looks then */
	rcu_read_unlock();
}

/* The callback of a provider that reports errors. */
void zc_slot_reported(void *param, const struct dmaengine_result *result)
{
	struct zc_slot *slot = param;

	if (zc_is_bad(result))
		atomic_or(slot->bit, &slot->window->bad);
	slot_came(slot);
}

/* The same of one that does not. */
void zc_slot_done(void *slot)
{
	slot_came(slot);
}
