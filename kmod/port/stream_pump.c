// SPDX-License-Identifier: GPL-2.0
/*
 * How the run of a stream begins and ends, and what is at the engine for it: the pump. The states
 * are in stream.h.
 *
 * The provider is called by one context at a time, which has the pump ("pumping"): a submitter, or
 * the bottom half where a callback or the timer wants it. A callback calls no provider. Whoever
 * stops the engine waits for the pump first ("stopping"), but not for ever: where prep sleeps it
 * need not return. Then the engine keeps what it has until it does, as one that cannot be stopped.
 * Callbacks count until the engine stands, and only then the state changes: so nothing is lost that
 * had come, and who asks where the engine is gets an answer as long as it moves.
 */
#include "stream.h"

/* Passes of one call of the pump; then it goes on in the bottom half. */
#define MAX_PASSES	8

/* ---- the pump ---- */

static bool stream_has_pump_ended(struct zcdma_stream *st)
{
	bool ret;

	spin_lock_irq(&st->lock);
	ret = !st->pumping;
	spin_unlock_irq(&st->lock);
	return ret;
}

/* With the engine's pump. Called and left with st->lock held. */
static void stream_passes(struct zcdma_stream *st, unsigned long *irq)
{
	unsigned int passes;

	st->pumping = true;
	for (passes = 0; st->again && passes < MAX_PASSES; passes++) {
		st->again = false;
		if (!zcdma_stream_goes_on(st))
			break;
		if (st->cyclic)
			zcdma_cyclic_pass(st, irq);
		else
			zcdma_queued_pass(st, irq);
		if (st->part_wanted)
			zcdma_part_look(st, irq);
	}
	st->pumping = false;
	if (!st->refused && zcdma_stream_goes_on(st))
		st->run->begun = true;
}

/* Where the provider may be called, without a lock of ours but use->engine. */
static void stream_pump(struct zcdma_stream *st)
{
	struct zc_engine *engine = zc_engine_of(st->lease);
	unsigned long irq;

	spin_lock_irqsave(&st->lock, irq);
	st->again = true;
	if (st->pumping || st->stopping)
		goto out;
	/* The engine's own pump is ours, too: who gives the channel back waits for that. */
	if (!zc_pump_enter(engine)) {
		/* Who has it looks at the engine once more, and not at us. */
		if (zcdma_stream_at_work(st))
			zcdma_bh_raise(&st->bh);
		goto out;
	}
	stream_passes(st, &irq);
	zc_pump_end(engine, false);
	if (st->again && zcdma_stream_goes_on(st))
		zcdma_bh_raise(&st->bh);
	if (st->run->stray)
		zc_queue_look_soon(st->session);
	wake_up(&st->idle);
out:
	spin_unlock_irqrestore(&st->lock, irq);
}

static void stream_bh(struct zcdma_bh *bh)
{
	stream_pump(container_of(bh, struct zcdma_stream, bh));
}

static void stream_timer(struct timer_list *timer)
{
	struct zcdma_stream *st = container_of(timer, struct zcdma_stream, timer);
	unsigned long irq;

	spin_lock_irqsave(&st->lock, irq);
	st->part_wanted = true;
	zcdma_stream_raise(st);
	spin_unlock_irqrestore(&st->lock, irq);
}

/* There may be something for the engine. In process context, does not sleep. */
void zcdma_stream_kick(struct zcdma_stream *st)
{
	if (!st->bh.sleeps) {
		stream_pump(st);
		return;
	}
	spin_lock_irq(&st->lock);
	zcdma_stream_raise(st);
	spin_unlock_irq(&st->lock);
}

void zcdma_stream_init(struct zcdma_stream *st)
{
	unsigned int i;

	mutex_init(&st->user);
	spin_lock_init(&st->lock);
	init_waitqueue_head(&st->idle);
	zcdma_bh_init(&st->bh, stream_bh);
	timer_setup(&st->timer, stream_timer, 0);
	for (i = 0; i < ZCDMA_RUNS; i++) {
		st->runs[i].st = st;
		st->runs[i].over = true;
	}
	st->run = &st->runs[1];
	st->run->number = 1;
	st->ctl->run = 1;
}

/* ---- a run begins ---- */

/* Under st->lock. Return: 0 or -EBUSY. */
static int stream_begin(struct zcdma_stream *st)
{
	if (st->state != ZCDMA_STREAM_IDLE && st->state != ZCDMA_STREAM_STOPPED)
		return -EBUSY;
	if (st->way == ZCDMA_WAY_RX && st->state == ZCDMA_STREAM_STOPPED)
		zcdma_run_next(st);
	st->run->over = false;
	st->refused = 0;
	st->state = ZCDMA_STREAM_RUNNING;
	/* The engine begins with this one at once, full or not. */
	if (st->cyclic && st->way == ZCDMA_WAY_TX && zcdma_stream_is_empty(st))
		zcdma_stream_lose(st, 1);
	zcdma_stream_publish(st);
	return 0;
}

/**
 * zcdma_stream_start() - set the engine to work
 * @st: the stream; under use->engine.
 *
 * Whether the engine takes that, zcdma_stream_await_begin() tells. Does not sleep.
 *
 * Return: 0, -EBUSY when it is at work, -ENODEV, -EIO for an engine that could not be stopped.
 */
int zcdma_stream_start(struct zcdma_stream *st)
{
	int err;

	if (st->use->gone[st->way])
		return -ENODEV;
	zcdma_stream_refresh_all(st);
	spin_lock_irq(&st->lock);
	err = st->lease->unstoppable ? -EIO : stream_begin(st);
	spin_unlock_irq(&st->lock);
	if (!err)
		zcdma_stream_kick(st);
	return err;
}

static bool stream_has_begun(struct zcdma_stream *st)
{
	bool ret;

	spin_lock_irq(&st->lock);
	ret = st->run->begun || !zcdma_stream_at_work(st);
	spin_unlock_irq(&st->lock);
	return ret;
}

/*
 * Return: 0, or -EIO when the engine refuses, or -EINTR when we are being killed. A prep that does
 * not return is not waited for. Without a lock.
 */
int zcdma_stream_await_begin(struct zcdma_stream *st)
{
	if (wait_event_killable_timeout(st->idle, stream_has_begun(st),
					msecs_to_jiffies(ZC_STALL_MS)) < 0)
		return -EINTR;
	return READ_ONCE(st->state) == ZCDMA_STREAM_FAILED ? -EIO : 0;
}

/* ---- a run ends ---- */

/*
 * An engine that could not be stopped once may be stopped the next time: a ring would go round for
 * ever. Return: is nothing of the run at the engine, for ever, and no callback to come?
 */
static bool stream_terminate(struct zcdma_stream *st)
{
	st->lease->unstoppable = !!dmaengine_terminate_sync(st->lease->dma);
	if (st->lease->unstoppable) {
		/* What it has may come back yet. */
		dmaengine_resume(st->lease->dma);
		return !READ_ONCE(st->run->at_engine);
	}
	/* Where the provider cannot tell, what it is in the middle of is soon over. */
	if (!st->lease->dma->device->device_synchronize)
		synchronize_rcu();
	return true;
}

/* It is what it is from now on, and nobody is stopping it. */
static void stream_set_state(struct zcdma_stream *st, u32 state)
{
	spin_lock_irq(&st->lock);
	st->state = state;
	st->stopping = false;
	zcdma_stream_publish(st);
	spin_unlock_irq(&st->lock);
}

static void stream_end_run(struct zcdma_stream *st, struct zcdma_run *run)
{
	spin_lock_irq(&st->lock);
	WRITE_ONCE(run->over, true);
	zcdma_run_forget(run, run->at_engine);
	spin_unlock_irq(&st->lock);
}

/* Its channel was given back, and nothing is there any more that could not be stopped before. */
void zcdma_stream_forget(struct zcdma_stream *st)
{
	if (!READ_ONCE(st->run->over))
		stream_end_run(st, st->run);
	timer_delete_sync(&st->timer);
	zcdma_bh_kill(&st->bh);
}

/* The engine keeps what it has of the run; where prep has not returned, until it does. */
static void stream_is_stray(struct zcdma_stream *st, struct zcdma_run *run)
{
	bool told = true;

	spin_lock_irq(&st->lock);
	if (run->at_engine && !run->stray) {
		run->stray = true;
		told = false;
		zc_queue_stray(st->session, 1);
		/* It may go round in what has come. */
		if (st->cyclic && st->way == ZCDMA_WAY_RX) {
			zcdma_stream_lose(st, st->head - st->tail);
			st->tail = st->head;
			st->offset = 0;
			zcdma_part_reset(st);
			zcdma_stream_publish(st);
		}
	}
	spin_unlock_irq(&st->lock);
	if (!told)
		dev_err(st->lease->limits.dev,
			"zcdma: %s cannot be stopped: it keeps the memory of a stream\n",
			st->lease->name);
}

/* Return: as stream_terminate(); then the run is over. */
static bool stream_stop_engine(struct zcdma_stream *st)
{
	struct zcdma_stand stand;

	spin_lock_irq(&st->lock);
	st->stopping = true;
	spin_unlock_irq(&st->lock);
	if (!wait_event_timeout(st->idle, stream_has_pump_ended(st),
				msecs_to_jiffies(ZC_STALL_MS)))
		return false;
	zcdma_part_stand(st, &stand);
	if (!stream_terminate(st))
		return false;
	stream_end_run(st, st->run);
	if (st->cyclic)
		zcdma_cyclic_end(st, stand.at, stand.sure);
	zcdma_part_keep(st, &stand);
	return true;
}

/**
 * zcdma_stream_halt() - the engine stops, and no callback is believed any more
 * @st: the stream; under use->engine, with the channel still there.
 * @state: what it is then, not at work.
 *
 * Return: 0, or -EIO when the engine could not be stopped: what it has must stay as it is.
 */
int zcdma_stream_halt(struct zcdma_stream *st, u32 state)
{
	bool stopped = st->run->over || stream_stop_engine(st);

	stream_set_state(st, state);
	if (stopped) {
		timer_delete_sync(&st->timer);
		zcdma_bh_kill(&st->bh);
	} else {
		stream_is_stray(st, st->run);
	}
	wake_up(&st->idle);
	wake_up(st->wq);
	return stopped ? 0 : -EIO;
}

/**
 * zcdma_stream_stop() - the same on request: another run can follow
 * @st: the stream; under use->engine, with the channel still there.
 *
 * Return: 0, -EIO when the engine could not be stopped.
 */
int zcdma_stream_stop(struct zcdma_stream *st)
{
	int err;

	if (READ_ONCE(st->state) == ZCDMA_STREAM_STOPPED)
		return 0;
	err = zcdma_stream_halt(st, ZCDMA_STREAM_STOPPED);
	if (err) {
		stream_set_state(st, ZCDMA_STREAM_FAILED);
		return err;
	}
	if (st->way == ZCDMA_WAY_RX)
		return 0;
	/* Before anybody can write something for the next run. */
	zcdma_ring_clear(st);
	spin_lock_irq(&st->lock);
	zcdma_run_next(st);
	spin_unlock_irq(&st->lock);
	wake_up(st->wq);
	return 0;
}
