// SPDX-License-Identifier: GPL-2.0
/*
 * An engine: a leased channel at work.
 *
 *	members --cut--> slots --prep, submit--> provider --callback--> not busy --reap--> members
 *	(runq)             ^                        |
 *	                   +---- no descriptor -----+  parked
 *
 * The pump. One context at a time takes what came back to its members ("reap") and hands out
 * what there is ("feed"). "pump" is IDLE, RUNNING, or AGAIN: who finds it running leaves it
 * that note instead. A submitter runs the pump itself, with softirqs off. A callback never feeds,
 * because providers hold locks around it that prep or submit take (ae4dma, ptdma, fsldma,
 * txx9dmac): it clears its slot's bit and has the pump run by a tasklet, or by a work where
 * prep sleeps. But the callback that brings the last piece at the engine reaps in place: that
 * calls no provider. None of our locks is held while the provider is called, and "prep" and
 * "submit" follow each other with nothing in between: some providers (ioat, plx) hold a lock
 * meanwhile.
 *
 * A pass is bounded: by ZC_WINDOW pieces and about ZC_TURN bytes each way, and by PASS_STEPS ops
 * that have nothing for the engine: a CPU may do them at once. So is what is at the engine
 * ("most"): what comes next waits some 40 ms, however slow the engine is.
 *
 * "prep" says NULL for "full", "too long", "too short" and "no memory", and not which. While
 * pieces are in flight we take it for "full" and wait for one of them. If none was in flight
 * before we asked, we wait a moment and ask again. Then the longest piece is halved, down to a
 * page, and when that is refused for long, on to nothing: that fails the op. A piece that is
 * shorter than a page from the start is left to a CPU. What was learnt so is forgotten after
 * a while.
 *
 * Stopping. Nothing is handed out while somebody else has the pump. Terminated without an error
 * and synchronized, the engine touches no memory and calls nobody back: the pieces are cut anew, or
 * their ops end. If terminate fails, the engine is one that cannot be stopped, from then on.
 * Providers without device_synchronize may still call back after that, for a slot that would by
 * then have another piece: they get fresh slots, and a callback finds an old one not in flight.
 */
#include <linux/slab.h>
#include "engine.h"

/* How often and how long an idle engine may refuse a piece of a page. */
#define MAX_REFUSALS	10
#define REFUSAL_DELAY	msecs_to_jiffies(10)

/* How long a limit is believed. */
#define LIMIT_LASTS	(10 * HZ)

/* Passes of one call of the pump; then it goes on in the tasklet. */
#define MAX_PASSES	8

/* Ops of a pass that have nothing for the engine. */
#define PASS_STEPS	64

/* ---- to the provider ---- */

/* What the CPU wrote is to be seen by the engine. Neighbours are synchronized at once. */
static void engine_sync(struct zc_engine *engine, unsigned int nr)
{
	struct device *dev = engine->lease.limits.dev;
	struct zc_sync dst = { .dev = dev, .dir = DMA_BIDIRECTIONAL };
	struct zc_sync src = { .dev = dev, .dir = DMA_TO_DEVICE };
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct zc_slot *slot = engine->batch[i];

		zc_sync_add(&dst, slot->dst.mem, &slot->dst.at, slot->len);
		if (!slot->fills)
			zc_sync_add(&src, slot->src.mem, &slot->src.at, slot->len);
	}
	zc_sync_end(&dst);
	zc_sync_end(&src);
}

/*
 * Ask the provider for a descriptor: NULL when it has none, or does not want the piece. May
 * sleep if its prep does. The byte of a fill is given as a word of them: tegra186-gpc-dma writes
 * that, the others look at the low byte.
 */
static struct dma_async_tx_descriptor *slot_prep(struct dma_chan *dma, struct zc_slot *slot)
{
	const unsigned long flags = DMA_CTRL_ACK | DMA_PREP_INTERRUPT;

	if (unlikely(slot->fills))
		return dmaengine_prep_dma_memset(dma, zc_cursor_addr(&slot->dst.at),
						 slot->value * 0x01010101U, slot->len, flags);
	return dmaengine_prep_dma_memcpy(dma, zc_cursor_addr(&slot->dst.at),
					 zc_cursor_addr(&slot->src.at), slot->len, flags);
}

/* Return: 0, -EAGAIN when the provider had no descriptor, -EIO when it refused it. */
static int slot_hand_over(struct zc_engine *engine, struct zc_slot *slot)
{
	struct dma_async_tx_descriptor *desc = slot_prep(engine->lease.dma, slot);

	if (!desc)
		return -EAGAIN;
	/* From here to the submit a provider may hold a lock: nothing that sleeps. */
	zc_set_callback(&engine->lease, desc, zc_slot_reported, zc_slot_done, slot);
	return dma_submit_error(dmaengine_submit(desc)) ? -EIO : 0;
}

/* It has something to hand out. Return: is the engine there? */
static bool engine_wants(struct zc_member *member, bool raise)
{
	struct zc_engine *engine = member->engine;
	unsigned long irq;
	bool ret;

	spin_lock_irqsave(&engine->lock, irq);
	ret = engine->state == ZC_ENGINE_LIVE;
	if (ret && list_empty(&member->turn))
		list_add_tail(&member->turn, &engine->runq);
	if (ret && raise)
		zc_pump_raise(engine);
	spin_unlock_irqrestore(&engine->lock, irq);
	return ret;
}

/* A piece that is at no engine, to its member, in a way of its own. */
void zc_slot_give_back(struct zc_slot *slot, enum zc_slot_result result)
{
	struct zc_engine *engine = slot->window->engine;

	engine->parked &= ~slot->bit;
	slot->result = result;
	/* Before: when it has its pieces back, the member may be gone. */
	if (result == ZC_SLOT_AGAIN)
		engine_wants(slot->member, false);
	slot->member->client->back(slot->member, &slot, 1);
	engine->free |= slot->bit;
	engine->flying -= slot->len;
}

/* The youngest first, so that what is cut anew is in its old order. */
void zc_engine_give_back_parked(struct zc_engine *engine)
{
	while (engine->parked)
		zc_slot_give_back(zc_slot_last(engine, engine->parked), ZC_SLOT_AGAIN);
}

/* The idle engine does not take the piece that is parked first. */
static void engine_was_refused(struct zc_engine *engine)
{
	struct zc_slot *slot = zc_slot_first(engine, engine->parked);
	size_t half = slot->len > 1 ? rounddown_pow_of_two(slot->len - 1) : 0;

	/* Of whole pages, down to one: odd ones would be two pieces to each page. */
	half = round_down(half, engine->lease.limits.grain);
	engine->refused++;
	if (slot->len < PAGE_SIZE && slot->len < engine->longest && engine->refused > 1) {
		engine->refused = 0;
		engine->shortest = slot->len + 1;
		engine->learnt = jiffies;
		zc_slot_give_back(slot, ZC_SLOT_SHORT);
	} else if (engine->refused == 1 || (half < PAGE_SIZE && engine->refused < MAX_REFUSALS)) {
		engine->retry_at = jiffies + REFUSAL_DELAY;
		zc_pump_defer(engine, REFUSAL_DELAY);
	} else if (half) {
		/* Only pieces below a page must have been refused for long. */
		if (half >= PAGE_SIZE)
			engine->refused = 1;
		engine->longest = half;
		engine->learnt = jiffies;
		zc_engine_give_back_parked(engine);
	} else {
		/* It takes nothing, so that was not because of the length. */
		engine->refused = 0;
		engine->longest = SIZE_MAX;
		zc_slot_give_back(slot, ZC_SLOT_BAD);
	}
}

/* The engine has no room for them, or did not take the first. */
static void engine_park(struct zc_engine *engine, struct zc_slot **slots, unsigned int nr)
{
	u32 mask = 0;

	while (nr--) {
		mask |= slots[nr]->bit;
		slots[nr]->member->client->park(slots[nr]);
	}
	engine->parked |= mask;
	engine->handed &= ~mask;
	atomic_andnot(mask, &engine->window->busy);
}

/*
 * Pieces to the engine, in order, up to one that it has no room for: that and those behind
 * it are parked. Return: did it take any?
 */
static bool engine_hand_over(struct zc_engine *engine, unsigned int nr, u32 mask)
{
	struct zc_slot **slots = engine->batch;
	/* Before we ask: later, an idle engine may have been a full one when we did. */
	bool idle = !atomic_fetch_or(mask, &engine->window->busy);
	u32 seq = engine->seq, i;
	int err = 0;

	if (idle) {
		engine->progress = jiffies;
		engine->sample_at = jiffies;
		engine->sample = 0;
	}
	engine->handed |= mask;
	engine->seq = seq + nr;
	for (i = 0; i < nr; i++) {
		slots[i]->seq = seq + i;
		err = slot_hand_over(engine, slots[i]);
		if (err)
			break;
		slots[i]->since = jiffies;	/* prep may have slept */
	}
	if (i)
		engine->refused = 0;
	if (!err)
		return i;

	engine_park(engine, slots + i, nr - i);
	if (err == -EIO)
		zc_slot_give_back(slots[i], ZC_SLOT_BAD);
	else if (idle && !i)
		engine_was_refused(engine);
	/* Nothing will come back: ask for those behind it. */
	if (!engine->refused && engine->parked && !atomic_read(&engine->window->busy))
		zc_pump_raise(engine);
	return i;
}

/* The pieces that wait for room. Return: did the engine take any? */
static bool engine_retry(struct zc_engine *engine)
{
	u32 left = engine->parked, mask = 0;
	struct zc_slot *slot;
	unsigned int nr = 0;

	while (left) {
		slot = zc_slot_first(engine, left);
		left &= ~slot->bit;
		if (!slot->member->client->unpark(slot)) {
			zc_slot_give_back(slot, ZC_SLOT_AGAIN);
			continue;
		}
		mask |= slot->bit;
		engine->batch[nr++] = slot;
	}
	engine->parked = 0;
	return nr && engine_hand_over(engine, nr, mask);
}

static void engine_forget_limits(struct zc_engine *engine)
{
	if (time_before(jiffies, engine->learnt + LIMIT_LASTS))
		return;
	engine->longest = SIZE_MAX;
	engine->shortest = 1;
}

/*
 * The member whose turn it is, off the queue, or NULL. If nobody is before the one who came with
 * the pump, that need not queue; it stays while it is in here.
 */
static struct zc_member *runq_take(struct zc_engine *engine, struct zc_member *first)
{
	struct zc_member *member = NULL;
	unsigned long irq;

	if (list_empty_careful(&engine->runq))
		return first;
	spin_lock_irqsave(&engine->lock, irq);
	if (first && list_empty(&first->turn))
		list_add_tail(&first->turn, &engine->runq);
	if (engine->state == ZC_ENGINE_LIVE)
		member = list_first_entry_or_null(&engine->runq, struct zc_member, turn);
	if (member)
		list_del_init(&member->turn);
	engine->serving = member;
	spin_unlock_irqrestore(&engine->lock, irq);
	return member;
}

/* It has more: at the head while its turn lasts. Somebody may have put it there meanwhile. */
static void runq_put(struct zc_engine *engine, struct zc_member *member)
{
	unsigned long irq;

	spin_lock_irqsave(&engine->lock, irq);
	if (member->credit > 0)
		list_move(&member->turn, &engine->runq);
	else
		list_move_tail(&member->turn, &engine->runq);
	spin_unlock_irqrestore(&engine->lock, irq);
}

/* Pieces of the member whose turn it is. Return: how many; *bytes is how long they are. */
static unsigned int engine_cut(struct zc_engine *engine, struct zc_member *member,
			       unsigned int most, size_t *bytes, unsigned int *steps)
{
	struct zc_ration ration __uninitialized;

	if (member->credit <= 0)
		member->credit += ZC_TURN;
	ration.all = engine->window->slots;
	ration.free = engine->free;
	ration.next = engine->next;
	ration.slots = engine->batch;
	ration.nr = most;
	ration.bytes = member->credit > 0 ? min_t(size_t, *bytes, member->credit) : 0;
	ration.longest = min_t(size_t, engine->longest,
			       round_down(engine->most, engine->lease.limits.grain));
	ration.shortest = engine->shortest;
	ration.steps = *steps;
	ration.more = true;
	if (ration.bytes)
		member->client->cut(member, &ration);
	else
		ration.nr = 0;
	engine->free = ration.free;
	engine->next = ration.next;
	*bytes = ration.nr ? ration.bytes : 0;
	engine->flying += *bytes;
	*steps = ration.steps;
	member->credit -= *bytes;
	if (ration.more)
		runq_put(engine, member);
	else
		member->credit = 0;
	/* From here on the member may go: pairs with zc_engine_leave(). */
	smp_store_release(&engine->serving, NULL);
	return ration.nr;
}

/* May it be asked for a descriptor just now? */
static bool engine_is_ready(struct zc_engine *engine)
{
	if (engine->state != ZC_ENGINE_LIVE)
		return false;
	if (!engine->refused || time_after_eq(jiffies, engine->retry_at))
		return true;
	/* Whoever looks too early may have taken the place of who is to look then. */
	zc_pump_defer(engine, engine->retry_at - jiffies);
	return false;
}

/*
 * What there is for the engine, up to a limit, and @first has something unless it is NULL. Return:
 * may there be more?
 */
static bool engine_feed(struct zc_engine *engine, struct zc_member *first, unsigned int most)
{
	bool ready = engine_is_ready(engine), handed = false, more = ready;
	size_t left = ZC_TURN, bytes;
	unsigned int nr, looks = 0, steps = PASS_STEPS;
	struct zc_member *member;
	u32 free;

	if (ready && engine->parked)
		handed = engine_retry(engine);
	if (engine->longest < SIZE_MAX || engine->shortest > 1)
		engine_forget_limits(engine);
	while (ready && most && left && steps && looks++ < ZC_WINDOW && engine->free &&
	       !engine->parked && engine->flying < engine->most) {
		member = runq_take(engine, first);
		first = NULL;
		more = member;
		if (!member)
			break;
		/* In whole pages: it may take no longer over them than over the odd bytes. */
		bytes = min(left, PAGE_ALIGN(engine->most - engine->flying));
		free = engine->free;
		nr = engine_cut(engine, member, most, &bytes, &steps);
		left -= min(left, bytes);
		most -= nr;
		if (!nr)
			continue;
		engine_sync(engine, nr);
		handed |= engine_hand_over(engine, nr, free & ~engine->free);
	}
	if (handed)
		dma_async_issue_pending(engine->lease.dma);
	if (first)
		engine_wants(first, false);
	/* What waits for room at the engine is looked at when something comes back. */
	return more && (!most || !left || !steps || looks > ZC_WINDOW);
}

/* In a context where the provider may be called, which has the pump; @first as above. */
static void engine_pump(struct zc_engine *engine, struct zc_member *first, unsigned int most)
{
	unsigned int passes;
	bool came, more;

	for (passes = 0; passes < MAX_PASSES; passes++) {
		came = zc_engine_came(engine) && zc_reap(engine);
		more = engine_feed(engine, first, most);
		first = NULL;
		if (came || (more && most == ZC_WINDOW))
			continue;
		/* When nothing is at the engine, nothing that comes back has us look again. */
		if (more && !zc_engine_has_pieces(engine))
			break;
		if (zc_pump_leave(engine))
			return;
	}
	zc_pump_end(engine, true);
}

void zc_engine_bh(struct tasklet_struct *bh)
{
	struct zc_engine *engine = container_of(bh, struct zc_engine, bh);

	if (zc_pump_enter(engine))
		engine_pump(engine, NULL, ZC_WINDOW);
}

void zc_engine_work(struct work_struct *work)
{
	struct zc_engine *engine = container_of(to_delayed_work(work), struct zc_engine, work);

	if (!engine->lease.sleeps)
		local_bh_disable();
	zc_engine_bh(&engine->bh);
	if (!engine->lease.sleeps)
		local_bh_enable();
}

/**
 * zc_engine_kick() - a member has something to hand out
 * @member: the member, which does not leave meanwhile.
 * @most: pieces; more than one, and the pump goes on with what else there is.
 *
 * In process context, which pays for its own hand-over; does not sleep.
 *
 * Return: was something handed over meanwhile?
 */
bool zc_engine_kick(struct zc_member *member, unsigned int most)
{
	struct zc_engine *engine = member->engine;
	u32 seq = READ_ONCE(engine->seq);

	if (engine->lease.sleeps) {
		engine_wants(member, true);
		return false;
	}
	local_bh_disable();
	if (zc_pump_try(engine))
		engine_pump(engine, member, most);
	else if (engine_wants(member, false) && zc_pump_enter(engine))
		engine_pump(engine, NULL, most);
	local_bh_enable();
	return READ_ONCE(engine->seq) != seq;
}

/* The same from any context, in which the provider may not be called. */
void zc_engine_raise(struct zc_member *member)
{
	engine_wants(member, true);
}
