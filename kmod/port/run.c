// SPDX-License-Identifier: GPL-2.0
/* A run of a stream: what the engine has of it, and what those who are at that tell the stream. */
#include "stream.h"

/* How often and how long an idle engine may refuse a period. */
#define MAX_REFUSALS	10
#define REFUSAL_DELAY	msecs_to_jiffies(10)

/* ---- what the engine has ---- */

/* A descriptor is on its way to the engine. */
void zcdma_run_give(struct zcdma_run *run)
{
	run->at_engine++;
	atomic_inc(&zc_engine_of(run->st->lease)->at_port);
}

/* @nr of them, that will not come back. */
void zcdma_run_forget(struct zcdma_run *run, u32 nr)
{
	struct zc_engine *engine = zc_engine_of(run->st->lease);

	run->at_engine -= nr;
	if (nr && !atomic_sub_return(nr, &engine->at_port) && wq_has_sleeper(&engine->idle))
		wake_up(&engine->idle);
	if (!run->stray || run->at_engine)
		return;
	run->stray = false;
	zc_queue_stray(run->st->session, -1);
}

/* One has come back, or did not get there. */
void zcdma_run_back(struct zcdma_run *run)
{
	zcdma_run_forget(run, 1);
}

/* ---- what happens at it ---- */

void zcdma_stream_lose(struct zcdma_stream *st, u64 nr)
{
	st->lost += nr;
	st->xrun |= nr;
}

/* The engine went wrong: somebody who may sleep is to stop it. */
void zcdma_stream_fail(struct zcdma_stream *st)
{
	st->state = ZCDMA_STREAM_FAILED;
	zcdma_stream_publish(st);
	zc_queue_look_soon(st->session);
	wake_up(&st->idle);
	wake_up(st->wq);
}

/* The engine is idle and took no period: it may have no descriptor just now. */
void zcdma_stream_refused(struct zcdma_stream *st, int err)
{
	if (!zcdma_stream_goes_on(st))
		return;
	if (err == -EIO || ++st->refused >= MAX_REFUSALS)
		zcdma_stream_fail(st);
	else
		mod_timer(&st->timer, jiffies + REFUSAL_DELAY);
}

/* Soon, where the provider may be called. Under st->lock. */
void zcdma_stream_raise(struct zcdma_stream *st)
{
	if (!zcdma_stream_goes_on(st))
		return;
	if (st->pumping)
		st->again = true;
	else
		zcdma_bh_raise(&st->bh);
}

/* ---- the next one ---- */

/*
 * The next run. Its first period is one that neither the engine nor the user of the run before
 * could reach. Under st->lock.
 */
void zcdma_run_next(struct zcdma_stream *st)
{
	u64 next = max3(st->head, st->given, st->tail + st->nr), number = st->run->number + 1;
	struct zcdma_run *run = &st->runs[number % ZCDMA_RUNS];
	u32 slot = zcdma_stream_slot(st, next);

	if (slot)
		next += st->nr - slot;
	*run = (struct zcdma_run){
		.st = st, .number = number, .over = true, .first = next, .returned = next,
	};
	st->run = run;
	st->head = next;
	st->tail = next;
	st->given = next;
	st->begun = 0;
	st->seen = next;
	st->retired = 0;
	st->offset = 0;
	st->taken = 0;
	zcdma_part_reset(st);
	st->xrun = false;
	st->torn = false;
	/* The user's half is his from here on; what he wrote for the run before is not believed. */
	if (st->way == ZCDMA_WAY_RX)
		WRITE_ONCE(st->ctl->tail, next);
	else
		WRITE_ONCE(st->ctl->head, next);
	zcdma_stream_publish(st);
	/* Who sees its number sees where it begins. */
	smp_wmb();
	WRITE_ONCE(st->ctl->run, number);
}
