/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Streams: a ring of periods, its engine, and its runs.
 *
 * A *run* is what happens from a START to the STOP after it. What comes from an older run is never
 * read, sent, counted or believed: callbacks have their run as parameter, and numbers of periods go
 * on over runs (a run begins at a multiple of the ring's periods that no number of the run before
 * could reach). A receiver's run is replaced at START, since what has come can be read until then.
 * A sender's is replaced at STOP, since what is written then is for the next one.
 *
 * The states, and what becomes of them. "-" is EBUSY, "." no change:
 *
 *		START	STOP	PAUSE	RESUME	DRAIN	 read,poll/write  failure  unbind
 *	IDLE	RUNNING	STOPPED	-	-	DRAINING RUNNING/. (1)	  .	   GONE
 *	RUNNING	-	STOPPED	PAUSED	-	DRAINING .		  FAILED   GONE
 *	PAUSED	-	STOPPED	-	RUNNING	-	 .		  FAILED   GONE
 *	DRAINING -	STOPPED	-	-	- (2)	 ./EBUSY	  FAILED   GONE
 *	STOPPED	RUNNING	.	-	-	.	 ./IDLE		  .	   GONE
 *	FAILED	-	STOPPED	-	-	EIO	 EIO		  .	   GONE
 *	GONE	ENODEV	ENODEV	ENODEV	ENODEV	ENODEV	 ENODEV		  .	   .
 *
 *	(1) a write() that finds the ring full: RUNNING
 *	(2) one at a time: the next waits; it ends as STOPPED, or as RUNNING when its time is up;
 *	    of an empty ring that is IDLE: no change
 *
 * STOP of an engine that cannot be stopped after all is EIO, and FAILED. What it has stays mapped
 * and allocated until it comes back, see struct zcdma_run. The state changes under use->engine and
 * st->lock, except that the engine's side may find it FAILED.
 */
#ifndef _ZCDMA_STREAM_H
#define _ZCDMA_STREAM_H

#include <linux/timer.h>
#include "port.h"

struct iov_iter;
struct pipe_inode_info;

/* Callbacks of so many runs may be late where the provider has no device_synchronize. */
#define ZCDMA_RUNS	16

/* What is synchronized or zeroed before others have their turn. */
#define ZCDMA_CHUNK	SZ_32K

/* One period of a queued ring. */
struct zcdma_period {
	void *mem;
	dma_addr_t dma;
	u32 len;			/* of what is to be sent, or has come */
	dma_cookie_t cookie;		/* while the engine has it */
};

/**
 * struct zcdma_run - what callbacks belong to
 * @st: the stream. All else is under st->lock.
 * @number: counted from 1.
 * @over: the engine has nothing of it: not begun yet, or stopped. May be read without the lock by
 *	a callback, which then does nothing.
 * @stray: it cannot be stopped: the session stays until nothing of it is at the engine.
 * @begun: the engine has taken something, or there is nothing for it yet.
 * @asked: of a cyclic ring: the engine has got it.
 * @at_engine: descriptors that the engine has, or that are on their way there.
 * @returned: the period of a queued ring that comes back next.
 * @first: the period that it begins with.
 * @calls: callbacks, of a cyclic ring.
 * @dealt: of those, how many the pump has dealt with.
 * @cookie: of a cyclic ring's descriptor.
 */
struct zcdma_run {
	struct zcdma_stream *st;
	u64 number;
	bool over;
	bool stray;
	bool begun;
	bool asked;
	u32 at_engine;
	u64 returned;
	u64 first;
	u64 calls;
	u64 dealt;
	dma_cookie_t cookie;
};

/**
 * struct zcdma_stream - a ring and its engine
 * @rcu: a callback that is late may look at it until then.
 * @use: the port.
 * @session: whose.
 * @lease: its channel.
 * @wq: the session's.
 * @way: which.
 * @cyclic: or queued.
 * @fine: the engine tells where it is, to the period.
 * @exact: to the burst.
 * @timeout: how long a read or a write waits, in jiffies.
 * @period: in bytes.
 * @span: what is mapped of a queued ring's period: whole cache lines.
 * @nr: periods.
 * @cred: whose user is charged for @charged pages.
 * @charged: see there.
 * @ctl: the control page.
 * @mem: a cyclic ring's memory, in one piece.
 * @dma: its address.
 * @periods: of a queued ring.
 * @hand: the period that the reader has taken out of it, or a spare one.
 * @hand_left: bytes of it that were not read yet. Under @user, as the next two.
 * @hand_run: number of the run that they came in.
 * @writing: number of the run that a write() or a DRAIN is for, or 0. Changed under @user.
 * @given_away: pages of @hand are in a pipe: it must not come back into the ring.
 * @user: see port.h.
 * @shared: somebody may have the control page mapped.
 * @copied: as in the status. Under @user.
 * @bh: runs the pump where a callback wants that.
 * @timer: the same after a while.
 * @lock: protects what follows.
 * @mapped: memory is mapped for DMA. Changed under use->engine as well.
 * @state: &enum zcdma_stream_state.
 * @runs: in turn.
 * @run: the one that is at work, or that was, or will be.
 * @head: periods put in.
 * @tail: periods taken out.
 * @given: periods given to the engine, of a queued ring.
 * @begun: the period that the engine of a cyclic sender had begun when the last was filled.
 * @seen: periods of a cyclic ring that are the CPU's: the pump is at the next one. Those who have
 *	mapped the ring are told this.
 * @retired: bytes of that.
 * @lost: as in the status.
 * @moved: the same.
 * @xrun: a loss was not reported yet.
 * @torn: the engine of a cyclic sender had begun the last period before it was filled.
 * @offset: bytes of the period at @tail (receiver) or @head (sender) that the user is
 *	through with; of a queued receiver see @hand_left, too.
 * @taken: bytes of the period at @head that were made ready for the engine, of those that the user
 *	of a mapped ring has filled.
 * @taking: the head that he has asked for last.
 * @part: bytes of the period at @head that can be had before it is whole; see part.c.
 * @part_seen: what the last look has found.
 * @part_tick: how long before the next, in jiffies.
 * @part_wanted: the pump is to look.
 * @refused: how often in a row the idle engine took nothing.
 * @stopping: nothing more is handed to the engine, which is just being stopped.
 * @pumping: one context is at the engine.
 * @again: it must look once more.
 * @idle: woken when the pump ends.
 */
struct zcdma_stream {
	struct rcu_head rcu;
	struct zcdma_port_use *use;
	struct zc_session *session;
	struct zc_lease *lease;
	wait_queue_head_t *wq;
	enum zcdma_way way;
	bool cyclic;
	bool fine;
	bool exact;
	long timeout;
	u32 period;
	u32 span;
	u32 nr;
	const struct cred *cred;
	unsigned long charged;
	struct zcdma_ring *ctl;
	void *mem;
	dma_addr_t dma;
	struct zcdma_period *periods;
	struct zcdma_period hand;
	u32 hand_left;
	u64 hand_run;
	u64 writing;
	bool given_away;
	struct mutex user;		/* see port.h */
	bool shared;
	u64 copied;
	struct zcdma_bh bh;
	struct timer_list timer;

	spinlock_t lock;		/* the rest */
	bool mapped;
	u32 state;
	struct zcdma_run runs[ZCDMA_RUNS];
	struct zcdma_run *run;
	u64 head;
	u64 tail;
	u64 given;
	u64 begun;
	u64 seen;
	u32 retired;
	u64 lost;
	u64 moved;
	bool xrun;
	bool torn;
	u32 offset;
	u32 taken;
	u64 taking;
	u32 part;
	u32 part_seen;
	unsigned long part_tick;
	bool part_wanted;
	unsigned int refused;
	bool stopping;
	bool pumping;
	bool again;
	wait_queue_head_t idle;
};

/**
 * struct zcdma_stand - where an engine is that is about to be stopped
 * @at: the period that a cyclic ring's is at, as zcdma_cyclic_begun().
 * @sure: it stands there.
 * @number: the period that it has begun, of which it has moved
 * @part: so many bytes. 0 where that cannot be told.
 * @due: the first period of a queued ring that was not whole when it was stopped.
 */
struct zcdma_stand {
	u64 at;
	bool sure;
	u64 number;
	u32 part;
	u64 due;
};

static inline enum dma_data_direction zcdma_stream_dir(const struct zcdma_stream *st)
{
	return st->way == ZCDMA_WAY_TX ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

static inline u32 zcdma_stream_slot(const struct zcdma_stream *st, u64 number)
{
	u32 slot;

	div_u64_rem(number, st->nr, &slot);
	return slot;
}

static inline size_t zcdma_stream_ring_bytes(const struct zcdma_stream *st)
{
	return (size_t)st->nr * st->period;
}

/* Where period @number of a cyclic ring is. */
static inline size_t zcdma_stream_at(const struct zcdma_stream *st, u64 number)
{
	return (size_t)zcdma_stream_slot(st, number) * st->period;
}

static inline bool zcdma_stream_at_work(const struct zcdma_stream *st)
{
	return st->state == ZCDMA_STREAM_RUNNING || st->state == ZCDMA_STREAM_PAUSED ||
	       st->state == ZCDMA_STREAM_DRAINING;
}

/* May the pump call the provider? Under st->lock. */
static inline bool zcdma_stream_goes_on(const struct zcdma_stream *st)
{
	return zcdma_stream_at_work(st) && !st->stopping;
}

static inline bool zcdma_stream_is_over(const struct zcdma_stream *st)
{
	return st->state == ZCDMA_STREAM_STOPPED || st->state == ZCDMA_STREAM_FAILED ||
	       st->state == ZCDMA_STREAM_GONE;
}

static inline bool zcdma_stream_is_empty(const struct zcdma_stream *st)
{
	return st->head == st->tail;
}

/* Has a receiver some bytes? Under st->lock. */
static inline bool zcdma_stream_has_some(const struct zcdma_stream *st)
{
	return !zcdma_stream_is_empty(st) || st->part > st->offset;
}

/* A period has come: the next one has no part yet. Under st->lock. */
static inline void zcdma_part_reset(struct zcdma_stream *st)
{
	st->part = 0;
	st->part_seen = 0;
	st->part_tick = 0;
}

static inline bool zcdma_stream_is_full(const struct zcdma_stream *st)
{
	return st->head - st->tail >= st->nr;
}

/* ---- ring.c: the memory ---- */

struct zcdma_stream *zcdma_ring_create(struct zcdma_port_use *use, enum zcdma_way way,
				       const struct zcdma_stream_setup *how, u32 periods);
int zcdma_ring_map(struct zcdma_stream *st);
void zcdma_ring_unmap(struct zcdma_stream *st);
int zcdma_ring_renew_hand(struct zcdma_stream *st, bool nonblock);
void zcdma_ring_clear(struct zcdma_stream *st);
void zcdma_ring_destroy(struct zcdma_stream *st);

/* ---- control.c: the control page ---- */

void zcdma_stream_publish(struct zcdma_stream *st);
bool zcdma_stream_refresh(struct zcdma_stream *st);
void zcdma_stream_refresh_all(struct zcdma_stream *st);

/* ---- cyclic.c, queued.c: what the engine does with it; under st->lock ---- */

void zcdma_cyclic_pass(struct zcdma_stream *st, unsigned long *irq);
u64 zcdma_cyclic_begun(struct zcdma_stream *st);
void zcdma_cyclic_end(struct zcdma_stream *st, u64 at, bool sure);
void zcdma_queued_pass(struct zcdma_stream *st, unsigned long *irq);
bool zcdma_queued_has_next(const struct zcdma_stream *st);
u64 zcdma_queued_settle(struct zcdma_stream *st);

/* ---- part.c: of a period that has not come yet; under st->lock ---- */

void zcdma_part_look(struct zcdma_stream *st, unsigned long *irq);
void zcdma_part_want(struct zcdma_stream *st);

/* Process context, without st->lock: */
void zcdma_part_stand(struct zcdma_stream *st, struct zcdma_stand *stand);
void zcdma_part_keep(struct zcdma_stream *st, const struct zcdma_stand *stand);

/* ---- run.c: what the engine has of a run; under st->lock ---- */

void zcdma_run_give(struct zcdma_run *run);
void zcdma_run_back(struct zcdma_run *run);
void zcdma_run_forget(struct zcdma_run *run, u32 nr);
void zcdma_run_next(struct zcdma_stream *st);
void zcdma_stream_lose(struct zcdma_stream *st, u64 nr);
void zcdma_stream_fail(struct zcdma_stream *st);
void zcdma_stream_refused(struct zcdma_stream *st, int err);
void zcdma_stream_raise(struct zcdma_stream *st);

/* ---- stream_pump.c: a run begins and ends; the pump ---- */

void zcdma_stream_init(struct zcdma_stream *st);
int zcdma_stream_start(struct zcdma_stream *st);
int zcdma_stream_await_begin(struct zcdma_stream *st);
int zcdma_stream_halt(struct zcdma_stream *st, u32 state);
int zcdma_stream_stop(struct zcdma_stream *st);
void zcdma_stream_forget(struct zcdma_stream *st);
void zcdma_stream_kick(struct zcdma_stream *st);

/* ---- stream_io.c: what readers and writers have in common ---- */

int zcdma_stream_why_over(const struct zcdma_stream *st);
bool zcdma_stream_is_ready(struct zcdma_stream *st, u64 run);
int zcdma_stream_wait_ready(struct zcdma_stream *st, u64 run, bool nonblock);
int zcdma_stream_start_if_idle(struct zcdma_stream *st, bool nonblock);
int zcdma_stream_lock_user(struct zcdma_stream *st, bool nonblock);
int zcdma_stream_report_loss(struct zcdma_stream *st, bool later);
u64 zcdma_stream_run(struct zcdma_stream *st);

/* ---- stream_write.c ---- */

int zcdma_stream_drain(struct zcdma_stream *st);

#endif
