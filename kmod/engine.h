/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An engine: a leased channel at work. It takes pieces from its members, in turn, into slots, hands
 * them to the provider, and gives them back when they are done. See engine.c.
 */
#ifndef _ZC_ENGINE_H
#define _ZC_ENGINE_H

#include <linux/bitops.h>
#include <linux/interrupt.h>
#include "lease.h"

struct zc_op;
struct zc_session;
struct zc_member;
struct zc_window;

/* Descriptors that an engine may hold. */
#define ZC_WINDOW	32	/* bits of a u32 */

/* What a member may hand out in its turn, in bytes, and a pass of the pump. */
#define ZC_TURN		SZ_256K

/*
 * An engine that does not get on for less than this is at work, not hung; or for several times
 * what its pieces took lately.
 */
#define ZC_STALL_MS	500

/**
 * enum zc_slot_result - how a piece came back
 * @ZC_SLOT_DONE: moved.
 * @ZC_SLOT_BAD: the engine says that it went wrong, or it did not take it.
 * @ZC_SLOT_AGAIN: the engine did not do it, or was stopped: it is to be cut anew.
 * @ZC_SLOT_SHORT: too short for the engine: a CPU is to move it, and what follows it.
 */
enum zc_slot_result {
	ZC_SLOT_DONE,
	ZC_SLOT_BAD,
	ZC_SLOT_AGAIN,
	ZC_SLOT_SHORT,
};

/* One end of a piece. */
struct zc_end {
	const struct zc_mem *mem;
	struct zc_cursor at;
};

/**
 * struct zc_slot - a descriptor's place, and the piece that is in it
 * @window: where it is.
 * @bit: its bit there.
 * @seq: the later handed over, the larger.
 * @member: whose piece it is.
 * @op: the same.
 * @result: how it came back.
 * @since: when, in jiffies.
 * @deadline: of the op, on the monotonic clock, in ns.
 * @offset: in the op's body.
 * @len: in bytes.
 * @dst: where to.
 * @src: where from, unless it is a fill by the engine.
 * @fills: that is so, with @value.
 * @value: the byte.
 * @ragged: see struct zc_op.
 */
struct zc_slot {
	struct zc_window *window;
	u32 bit;
	u32 seq;
	struct zc_member *member;
	struct zc_op *op;
	enum zc_slot_result result;
	unsigned long since;
	u64 deadline;
	size_t offset;
	size_t len;
	struct zc_end dst;
	struct zc_end src;
	bool fills;
	bool ragged;
	u8 value;
};

/**
 * struct zc_ration - what a member may hand out now
 * @all: the window's slots.
 * @free: those that may be used, a bit each; then, those that were not.
 * @next: the first to be used; then, the next one.
 * @slots: receives those that were filled in.
 * @nr: how many may be; then, how many were.
 * @bytes: how many there may be, about; then, how many there were.
 * @longest: piece.
 * @shortest: piece that the engine takes; a CPU moves what is shorter.
 * @steps: ops that may be found to have nothing more for the engine; then, how many yet.
 * @more: the member has more to hand out.
 */
struct zc_ration {
	struct zc_slot *all;
	u32 free;
	u32 next;
	struct zc_slot **slots;
	unsigned int nr;
	size_t bytes;
	size_t longest;
	size_t shortest;
	unsigned int steps;
	bool more;
};

/**
 * struct zc_client - who has pieces for an engine
 * @cut: fill in pieces. They are at the engine from now on.
 * @back: pieces have come back, of which the first is the member's. Return: of how many from there
 *	on that is so; they were dealt with, and the slots are the engine's afterwards.
 * @park: the engine had no room for a piece: it is not there after all.
 * @unpark: it is to be tried again. Return: false when nobody wants it any more: it comes back.
 * @fail: the engine goes: no more pieces, and -ENODEV for what is not done.
 * @unmap: the engine has nothing any more: unmap all memory that is mapped for its device.
 *
 * The first four are called in any context, without a lock; the last two may sleep.
 */
struct zc_client {
	void (*cut)(struct zc_member *member, struct zc_ration *ration);
	unsigned int (*back)(struct zc_member *member, struct zc_slot **slots, unsigned int nr);
	void (*park)(struct zc_slot *slot);
	bool (*unpark)(struct zc_slot *slot);
	void (*fail)(struct zc_member *member);
	void (*unmap)(struct zc_member *member);
};

/**
 * struct zc_member - a session's place at an engine
 * @node: in engine->members.
 * @turn: in engine->runq, under engine->lock.
 * @engine: set once.
 * @client: what it does.
 * @session: whose it is.
 * @credit: bytes that it may still hand out in this turn; below 0 what it had too much.
 */
struct zc_member {
	struct list_head node;
	struct list_head turn;
	struct zc_engine *engine;
	const struct zc_client *client;
	struct zc_session *session;
	long credit;
};

/**
 * struct zc_window - the slots of an engine, or such as it had before it was stopped
 * @engine: whose.
 * @node: in engine->retired.
 * @busy: slots that the provider has, and will call back for, a bit each.
 * @bad: those of which it said that they went wrong.
 * @slots: used in turn.
 */
struct zc_window {
	struct zc_engine *engine;
	struct list_head node;
	atomic_t busy;
	atomic_t bad;
	struct zc_slot slots[ZC_WINDOW];
};

/* Of engine->pump. */
enum {
	ZC_PUMP_IDLE,
	ZC_PUMP_RUNNING,
	ZC_PUMP_AGAIN,
};

enum zc_engine_state {
	ZC_ENGINE_LIVE,
	ZC_ENGINE_GONE,			/* for ever: given back, or the provider left */
};

/**
 * struct zc_engine - a leased channel at work
 * @lease: the channel.
 * @members: sessions that have a place. Changed under zc_registry.
 * @lock: protects the next three.
 * @state: nothing is handed to the engine unless it is LIVE.
 * @runq: members that have something to hand out, in turn.
 * @serving: the member that the pump has taken off @runq and asks for pieces; set under @lock.
 * @pump: one context at a time talks to the engine: see engine.c. That one alone uses what
 *	follows, up to @bh.
 * @batch: pieces on their way to the provider, or back.
 * @free: slots with no piece, a bit each.
 * @next: the slot to be used next.
 * @at_port: pieces of a port's that the provider has, which are in no slot.
 * @handed: slots that were handed over and not reaped: the provider has those that are busy.
 * @parked: slots with pieces that the provider had no room for.
 * @seq: of the next piece.
 * @window: the slots.
 * @retired: windows in which a callback may still arrive, until the end of the lease.
 * @restarts: how many there are.
 * @flying: bytes of all pieces in slots.
 * @most: bytes that there may be: some 40 ms of work.
 * @longest: piece that it is known to take, or SIZE_MAX.
 * @shortest: the same, or 1.
 * @learnt: when that was learnt, in jiffies.
 * @refused: how often in a row the idle engine refused the piece that is parked first.
 * @retry_at: when it is asked again then, in jiffies.
 * @progress: when something came back last, or the idle engine got work; in jiffies.
 * @slow: how long a piece took lately, in jiffies.
 * @sample_at: since when @sample bytes have come back.
 * @sample: see there.
 * @bh: runs the pump where callbacks want that.
 * @work: the same where prep sleeps, and after a while where the engine has no descriptor.
 * @idle: woken when the pump ends.
 */
struct zc_engine {
	struct zc_lease lease;
	struct list_head members;
	spinlock_t lock;		/* see above */
	enum zc_engine_state state;
	struct list_head runq;
	struct zc_member *serving;
	atomic_t pump;

	struct zc_slot *batch[ZC_WINDOW];
	u32 free;
	u32 next;
	atomic_t at_port;
	u32 handed;
	u32 parked;
	u32 seq;
	struct zc_window *window;
	struct list_head retired;
	unsigned int restarts;
	size_t flying;
	size_t most;
	size_t longest;
	size_t shortest;
	unsigned long learnt;
	unsigned int refused;
	unsigned long retry_at;
	unsigned long progress;
	unsigned long slow;
	unsigned long sample_at;
	size_t sample;

	struct tasklet_struct bh;
	struct delayed_work work;
	wait_queue_head_t idle;
};

static inline struct zc_engine *zc_engine_of(struct zc_lease *lease)
{
	return container_of(lease, struct zc_engine, lease);
}

/* ---- engine.c: to the provider ---- */

bool zc_engine_kick(struct zc_member *member, unsigned int most);
void zc_engine_raise(struct zc_member *member);
void zc_engine_bh(struct tasklet_struct *bh);
void zc_engine_work(struct work_struct *work);
void zc_slot_give_back(struct zc_slot *slot, enum zc_slot_result result);
void zc_engine_give_back_parked(struct zc_engine *engine);

/* ---- quiesce.c: who has a place; stopping ---- */

void zc_engine_init(struct workqueue_struct *wq);
void zc_engine_join(struct zc_member *member, struct zc_lease *lease);
void zc_engine_leave(struct zc_member *member);
bool zc_engine_expire(struct zc_engine *engine, u64 now);

/* ---- pump.c: who talks to the engine; back from the provider ---- */

void zc_pump_end(struct zc_engine *engine, bool more);
void zc_pump_raise(struct zc_engine *engine);
void zc_pump_defer(struct zc_engine *engine, unsigned long delay);
bool zc_reap(struct zc_engine *engine);
void zc_slot_reported(void *slot, const struct dmaengine_result *result);
void zc_slot_done(void *slot);

/* Does nobody have the pump? Then it is ours. */
static inline bool zc_pump_try(struct zc_engine *engine)
{
	return atomic_cmpxchg(&engine->pump, ZC_PUMP_IDLE, ZC_PUMP_RUNNING) == ZC_PUMP_IDLE;
}

/* Is it ours? Otherwise who has it looks once more. */
static inline bool zc_pump_enter(struct zc_engine *engine)
{
	if (zc_pump_try(engine))
		return true;
	if (atomic_xchg(&engine->pump, ZC_PUMP_AGAIN) != ZC_PUMP_IDLE)
		return false;
	atomic_xchg(&engine->pump, ZC_PUMP_RUNNING);
	return true;
}

/* Return: false when somebody wants it to look once more; then it is still ours. */
static inline bool zc_pump_leave(struct zc_engine *engine)
{
	if (atomic_cmpxchg(&engine->pump, ZC_PUMP_RUNNING, ZC_PUMP_IDLE) != ZC_PUMP_RUNNING) {
		atomic_xchg(&engine->pump, ZC_PUMP_RUNNING);
		return false;
	}
	if (wq_has_sleeper(&engine->idle))
		wake_up(&engine->idle);
	return true;
}

/*
 * Slots are used in turn, so from the next one on they are mostly in the order in which they were
 * used: not if the engine completes them out of order, nor if some were given back. Of those in
 * @mask, the first, or last.
 */
static inline struct zc_slot *zc_slot_first(struct zc_engine *engine, u32 mask)
{
	unsigned int nr = engine->next + __ffs(ror32(mask, engine->next));

	return &engine->window->slots[nr % ZC_WINDOW];
}

static inline struct zc_slot *zc_slot_last(struct zc_engine *engine, u32 mask)
{
	unsigned int nr = engine->next + __fls(ror32(mask, engine->next));

	return &engine->window->slots[nr % ZC_WINDOW];
}

static inline bool zc_engine_can_stop(const struct zc_engine *engine)
{
	return (engine->lease.caps & ZCDMA_CAP_TERMINATE) && !engine->lease.unstoppable;
}

/* Has the provider any, or is something on its way back? */
static inline bool zc_engine_has_pieces(struct zc_engine *engine)
{
	return READ_ONCE(engine->handed) || atomic_read(&engine->at_port);
}

/* What has come back from the provider. By who has the pump. */
static inline u32 zc_engine_came(struct zc_engine *engine)
{
	return engine->handed & ~(u32)atomic_read_acquire(&engine->window->busy);
}

/* ---- callbacks, of copies, ops at a port and streams ---- */

/*
 * Some providers use a descriptor again, for whoever comes next, and do not clear
 * "callback_result" (pl330, whose channels share them): a client that sets just
 * "callback" then has ours called with its parameter. So only those get it who
 * have something to say.
 */
static inline void zc_set_callback(const struct zc_lease *lease,
				   struct dma_async_tx_descriptor *desc,
				   dma_async_tx_callback_result reported,
				   dma_async_tx_callback done, void *param)
{
	if (lease->done_flags & ZCDMA_DONE_REPORTED) {
		desc->callback_result = reported;
	} else {
		desc->callback_result = NULL;
		desc->callback = done;
	}
	desc->callback_param = param;
}

static inline bool zc_is_bad(const struct dmaengine_result *result)
{
	return result && result->result != DMA_TRANS_NOERROR;
}

#endif
