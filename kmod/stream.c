// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: the engine's side of a ring of periods.
 *
 *	receiver	oldest		      engine writes here
 *			  v			v
 *		  | free  | full | full | full | period | free |
 *			  ^tail			^head
 *
 *	sender			engine reads here	user writes here
 *				  v			  v
 *		  | free | sent | full | full | full | period | free |
 *				  ^tail			  ^head
 *
 * Head and tail count periods and never wrap: period N is at place N % nr.
 *
 * - Cyclic: the engine is not told what is full or free. Where it is follows from the
 *   callbacks, and from the residue where the engine has one: callbacks of several
 *   periods may come as one. A receiver's tail is pushed along as soon as the engine
 *   begins to write to the period at it; who reads that very period finds out
 *   afterwards, and throws away what he has. A sender's periods are zeroed when they
 *   are sent, so what goes out when the user is late is silence.
 *
 * - Queued: each period is a descriptor. "given" counts those that the engine has
 *   got. A receiver that leaves it fewer than MIN_GIVEN loses its oldest period to it.
 *
 * The state changes under use->engine, except that a callback may find the engine
 * FAILED. A callback does nothing unless the stream is at work.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include "zcdma.h"

/* Periods that a queued receiver keeps at the engine at the cost of unread ones. */
#define MIN_GIVEN	2U

/* How many periods a residue may be behind what is known, or before the callbacks. */
#define MAX_BEHIND	2U
#define MAX_BEFORE	8U

static bool at_work(const struct zcdma_stream *st)
{
	return st->state == ZCDMA_STREAM_RUNNING || st->state == ZCDMA_STREAM_PAUSED ||
	       st->state == ZCDMA_STREAM_DRAINING;
}

/* For those who have the control page mapped. Under st->lock. */
void zcdma_stream_publish(struct zcdma_stream *st)
{
	struct zcdma_ring *ctl = st->ctl;

	WRITE_ONCE(ctl->lost, st->lost);
	WRITE_ONCE(ctl->state, st->state);
	if (st->way == ZCDMA_WAY_RX) {
		WRITE_ONCE(ctl->oldest, st->tail);
		/* The periods below head are there before it says so. */
		smp_wmb();
		WRITE_ONCE(ctl->head, st->head);
	} else {
		/* The periods below tail were read before it says so. */
		smp_mb();
		WRITE_ONCE(ctl->tail, st->tail);
	}
}

/*
 * What the user has written into the control page, if it can be. Under st->lock.
 * The engine may read a period as soon as its number is known here.
 */
void zcdma_stream_refresh(struct zcdma_stream *st)
{
	struct device *dev = st->chan->dev;
	u64 number;

	if (!READ_ONCE(st->shared) || !st->mapped)
		return;
	if (st->way == ZCDMA_WAY_RX) {
		number = READ_ONCE(st->ctl->tail);
		if (number > st->tail && number <= st->head) {
			st->tail = number;
			st->offset = 0;
		}
		return;
	}
	number = READ_ONCE(st->ctl->head);
	/* Pairs with the user's release: he has written what is below it. */
	smp_rmb();
	if (number <= st->head || number > st->tail + st->nr)
		return;
	for (; st->head < number; st->head++)
		dma_sync_single_for_device(dev, st->dma +
					   (size_t)zcdma_stream_slot(st, st->head) * st->period,
					   st->period, DMA_TO_DEVICE);
	st->offset = 0;
}

/* ---- cyclic ---- */

/*
 * The period that the engine is at by its residue, when it has done with @known of them.
 *
 * A residue may be some periods off: behind, or, with pl330 in a callback, while it has the
 * ring's last period between two lists, ahead. So one that is a bit behind what is known is
 * no round of the ring.
 */
static u64 by_residue(struct zcdma_stream *st, u64 known)
{
	u32 place, ahead, behind = min(MAX_BEHIND, st->nr / 4);
	struct dma_tx_state state;

	dmaengine_tx_status(st->chan->dma, st->cookie, &state);
	place = (zcdma_stream_ring_bytes(st) - state.residue) / st->period % st->nr;
	ahead = (place + st->nr - zcdma_stream_slot(st, known)) % st->nr;
	return known + (ahead < st->nr - behind ? ahead : 0);
}

/*
 * How many periods the engine has done with. In the callback. A sender, whose periods are
 * zeroed behind the engine, believes the callbacks as long as there are about as many.
 */
static u64 engine_at(struct zcdma_stream *st, u64 before)
{
	u64 at;

	if (!st->fine)
		return st->calls;
	/* Callbacks may be behind the residue that told of their periods. */
	at = by_residue(st, max(before, st->calls - 1));
	if (st->way == ZCDMA_WAY_TX && at <= st->calls + min(MAX_BEFORE, st->nr / 2))
		at = before;
	return max(at, st->calls);
}

/* The periods [from, to) were filled by the engine, or sent. */
static void to_cpu(struct zcdma_stream *st, u64 from, u64 to)
{
	struct device *dev = st->chan->dev;

	/* More than a ring of them are the ring. */
	if (to - from > st->nr)
		from = to - st->nr;
	/* The engine comes to this one next. */
	if (st->way == ZCDMA_WAY_RX)
		dma_sync_single_for_device(dev, st->dma + (size_t)zcdma_stream_slot(st, to + 1) *
					   st->period, st->period, DMA_FROM_DEVICE);
	for (; from < to; from++) {
		size_t at = (size_t)zcdma_stream_slot(st, from) * st->period;

		if (st->way == ZCDMA_WAY_RX) {
			dma_sync_single_for_cpu(dev, st->dma + at, st->period, DMA_FROM_DEVICE);
		} else {
			memset(st->mem + at, 0, st->period);
			dma_sync_single_for_device(dev, st->dma + at, st->period, DMA_TO_DEVICE);
		}
	}
}

static void lose_periods(struct zcdma_stream *st, u64 nr)
{
	st->lost += nr;
	st->xrun |= nr;
}

/* The engine writes to the period at @at now. Under st->lock. */
static void received(struct zcdma_stream *st, u64 at)
{
	st->moved += (at - st->head) * st->period;
	st->head = at;
	zcdma_stream_refresh(st);
	if (st->head - st->tail > st->nr - 1) {
		u64 tail = st->head - (st->nr - 1);

		lose_periods(st, tail - st->tail);
		st->tail = tail;
		st->offset = 0;
	}
}

/* The engine reads from the period at @at now. Under st->lock. */
static void sent(struct zcdma_stream *st, u64 at)
{
	u64 begun = st->tail + 1;

	st->moved += (at - st->tail) * st->period;
	zcdma_stream_refresh(st);
	st->tail = at;
	/* Which of the periods that it has begun since then were not full? */
	begun = max(begun, st->head);
	if (at + 1 > begun && st->state != ZCDMA_STREAM_DRAINING)
		lose_periods(st, at + 1 - begun);
}

/*
 * The period that the engine is at, which may be further than its callbacks say, or 0.
 * Under use->engine.
 */
static u64 engine_has_begun(struct zcdma_stream *st)
{
	bool working;
	u64 known;

	if (!st->cyclic || !st->fine)
		return 0;
	spin_lock_irq(&st->lock);
	working = at_work(st);
	known = st->tail;
	spin_unlock_irq(&st->lock);
	return working ? by_residue(st, known) : 0;
}

/**
 * zcdma_stream_filled() - a period is full, and is the engine's
 * @st: the stream, a sender; under use->engine. The period is synchronized.
 * @number: which it is, unless the head has left it meanwhile.
 * @len: how much of it is to be sent, of a queued ring.
 *
 * If the engine began it before, what went out is not, or not only, what is there now.
 * That is a loss, even if its callbacks have not come so far.
 */
void zcdma_stream_filled(struct zcdma_stream *st, u64 number, u32 len)
{
	u64 begun = engine_has_begun(st);

	spin_lock_irq(&st->lock);
	if (st->head == number) {
		/* sent() has counted those up to the tail. */
		if (number > st->tail && number <= begun)
			lose_periods(st, 1);
		if (!st->cyclic)
			st->periods[zcdma_stream_slot(st, number)].len = len;
		st->begun = begun;
		st->head++;
		st->offset = 0;
		WRITE_ONCE(st->ctl->head, st->head);
	}
	spin_unlock_irq(&st->lock);
	zcdma_stream_pump(st);
}

static void stream_failed(struct zcdma_stream *st)
{
	st->state = ZCDMA_STREAM_FAILED;
	zcdma_stream_publish(st);
}

static void cyclic_reported(void *param, const struct dmaengine_result *result)
{
	struct zcdma_stream *st = param;
	unsigned long irq;
	u64 before, at;
	bool working;

	spin_lock_irqsave(&st->lock, irq);
	working = at_work(st);
	if (working && zcdma_is_bad(result))
		stream_failed(st);
	before = st->way == ZCDMA_WAY_RX ? st->head : st->tail;
	spin_unlock_irqrestore(&st->lock, irq);
	if (!working || zcdma_is_bad(result))
		goto wake;

	/* Callbacks come one at a time, and nobody else moves the engine's end. */
	st->calls++;
	at = engine_at(st, before);
	to_cpu(st, before, at);
	spin_lock_irqsave(&st->lock, irq);
	if (at_work(st)) {
		if (st->way == ZCDMA_WAY_RX)
			received(st, at);
		else
			sent(st, at);
		zcdma_stream_publish(st);
	}
	spin_unlock_irqrestore(&st->lock, irq);
wake:
	wake_up(st->wq);
}

static void cyclic_moved(void *param)
{
	cyclic_reported(param, NULL);
}

/* Under use->engine. */
static int start_cyclic(struct zcdma_stream *st)
{
	struct dma_async_tx_descriptor *desc;
	struct dma_chan *dma = st->chan->dma;

	desc = dmaengine_prep_dma_cyclic(dma, st->dma, zcdma_stream_ring_bytes(st), st->period,
					 st->use->config[st->way].direction, DMA_PREP_INTERRUPT);
	if (!desc)
		return -EIO;
	zcdma_set_callback(st->chan, desc, cyclic_reported, cyclic_moved, st);
	st->cookie = dmaengine_submit(desc);
	if (dma_submit_error(st->cookie))
		return -EIO;
	dma_async_issue_pending(dma);
	return 0;
}

/* ---- queued ---- */

static void period_reported(void *param, const struct dmaengine_result *result)
{
	struct zcdma_stream *st = param;
	unsigned long irq;

	spin_lock_irqsave(&st->lock, irq);
	if (at_work(st)) {
		if (zcdma_is_bad(result)) {
			stream_failed(st);
		} else if (st->way == ZCDMA_WAY_RX) {
			st->moved += st->period;
			st->head++;
		} else {
			st->moved += st->periods[zcdma_stream_slot(st, st->tail)].len;
			st->tail++;
			if (st->tail == st->head && st->state == ZCDMA_STREAM_RUNNING)
				st->lost++;
		}
	}
	spin_unlock_irqrestore(&st->lock, irq);
	zcdma_stream_pump(st);
	wake_up(st->wq);
}

static void period_moved(void *param)
{
	period_reported(param, NULL);
}

/* Is there a period for the engine? May take one from the reader. Under st->lock. */
static bool has_next(struct zcdma_stream *st)
{
	if (st->state != ZCDMA_STREAM_RUNNING && st->state != ZCDMA_STREAM_DRAINING)
		return false;
	if (st->way == ZCDMA_WAY_TX)
		return st->given < st->head;
	if (st->given - st->tail < st->nr)
		return true;
	if (st->given - st->head >= min(MIN_GIVEN, st->nr - 1))
		return false;
	lose_periods(st, 1);
	st->tail++;
	return true;
}

static int hand_over(struct zcdma_stream *st, struct zcdma_period *period)
{
	size_t len = st->way == ZCDMA_WAY_TX ? period->len : st->period;
	struct dma_async_tx_descriptor *desc;

	desc = dmaengine_prep_slave_single(st->chan->dma, period->dma, len,
					   st->use->config[st->way].direction,
					   DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	if (!desc)
		return -EAGAIN;
	zcdma_set_callback(st->chan, desc, period_reported, period_moved, st);
	return dma_submit_error(dmaengine_submit(desc)) ? -EIO : 0;
}

/* What the engine takes. Called and left with st->lock held. */
static void give(struct zcdma_stream *st, unsigned long *irq)
{
	bool handed = false;
	int err = 0;

	while (!err && has_next(st)) {
		/* Its callback may come before hand_over() returns. */
		u64 number = st->given++;

		spin_unlock_irqrestore(&st->lock, *irq);
		err = hand_over(st, &st->periods[zcdma_stream_slot(st, number)]);
		spin_lock_irqsave(&st->lock, *irq);
		if (!err) {
			handed = true;
			continue;
		}
		st->given--;
		/* Full: a callback will come. Empty, and it takes nothing? */
		if (err == -EIO || st->given == (st->way == ZCDMA_WAY_TX ? st->tail : st->head))
			stream_failed(st);
	}
	if (handed) {
		spin_unlock_irqrestore(&st->lock, *irq);
		dma_async_issue_pending(st->chan->dma);
		spin_lock_irqsave(&st->lock, *irq);
	}
}

/**
 * zcdma_stream_pump() - hand the engine of a queued ring what there is for it
 * @st: the stream.
 *
 * From any context, without a lock of ours but use->engine.
 */
void zcdma_stream_pump(struct zcdma_stream *st)
{
	unsigned long irq;

	spin_lock_irqsave(&st->lock, irq);
	st->again = true;
	if (!st->cyclic && !st->pumping) {
		st->pumping = true;
		while (st->again) {
			st->again = false;
			give(st, &irq);
		}
		st->pumping = false;
		if (!at_work(st))
			wake_up(&st->idle);
	}
	spin_unlock_irqrestore(&st->lock, irq);
}

/* ---- start and stop ---- */

static int set_state(struct zcdma_stream *st, u32 state)
{
	int old;

	spin_lock_irq(&st->lock);
	old = st->state;
	st->state = state;
	zcdma_stream_publish(st);
	spin_unlock_irq(&st->lock);
	return old;
}

/* A stopped ring begins anew. Under st->lock. */
void zcdma_stream_rewind(struct zcdma_stream *st)
{
	st->head = 0;
	st->tail = 0;
	st->given = 0;
	st->begun = 0;
	st->offset = 0;
	st->xrun = false;
}

/**
 * zcdma_stream_start() - set the engine to work
 * @st: the stream; under use->engine.
 *
 * Return: 0, -EBUSY when it is at work, -ENODEV, -EIO when the engine refuses.
 */
int zcdma_stream_start(struct zcdma_stream *st)
{
	int err = 0;
	u32 old;

	if (st->use->gone[st->way])
		return -ENODEV;
	spin_lock_irq(&st->lock);
	old = st->state;
	if (old != ZCDMA_STREAM_IDLE && old != ZCDMA_STREAM_STOPPED) {
		err = -EBUSY;
	} else {
		if (old == ZCDMA_STREAM_STOPPED)
			zcdma_stream_rewind(st);
		zcdma_stream_refresh(st);
		st->calls = 0;
		st->state = ZCDMA_STREAM_RUNNING;
		zcdma_stream_publish(st);
	}
	spin_unlock_irq(&st->lock);
	if (err)
		return err;
	if (st->cyclic)
		err = start_cyclic(st);
	else
		zcdma_stream_pump(st);
	if (err)
		set_state(st, ZCDMA_STREAM_FAILED);
	return err;
}

static bool pump_ended(struct zcdma_stream *st)
{
	bool ret;

	spin_lock_irq(&st->lock);
	ret = !st->pumping;
	spin_unlock_irq(&st->lock);
	return ret;
}

/**
 * zcdma_stream_halt() - the engine stops, and no callback will come
 * @st: the stream; under use->engine.
 * @state: what it is then, not at work.
 */
void zcdma_stream_halt(struct zcdma_stream *st, u32 state)
{
	u32 old = set_state(st, state);

	if (old == ZCDMA_STREAM_IDLE || old == ZCDMA_STREAM_STOPPED || old == ZCDMA_STREAM_GONE)
		goto wake;
	wait_event(st->idle, pump_ended(st));
	dmaengine_terminate_sync(st->chan->dma);
	/* Where the provider cannot tell: callbacks that run just now are softirqs. */
	if (!st->chan->dma->device->device_synchronize)
		synchronize_rcu();
	spin_lock_irq(&st->lock);
	st->given = st->way == ZCDMA_WAY_TX ? st->tail : st->head;
	spin_unlock_irq(&st->lock);
wake:
	wake_up(st->wq);
}

/* Under use->engine. */
static int pause_or_resume(struct zcdma_stream *st, u32 from, u32 to)
{
	struct dma_chan *dma = st->chan->dma;
	int err;

	if (!(st->chan->caps & ZCDMA_CAP_PAUSE))
		return -EOPNOTSUPP;
	if (READ_ONCE(st->state) != from)
		return -EBUSY;
	err = to == ZCDMA_STREAM_PAUSED ? dmaengine_pause(dma) : dmaengine_resume(dma);
	if (err)
		return -EIO;
	spin_lock_irq(&st->lock);
	if (st->state == from)
		st->state = to;
	zcdma_stream_publish(st);
	spin_unlock_irq(&st->lock);
	zcdma_stream_pump(st);
	return 0;
}

static int act(struct zcdma_stream *st, u32 action)
{
	if (st->use->gone[st->way])
		return -ENODEV;
	switch (action) {
	case ZCDMA_STREAM_START:
		return zcdma_stream_start(st);
	case ZCDMA_STREAM_STOP:
		zcdma_stream_halt(st, ZCDMA_STREAM_STOPPED);
		return 0;
	case ZCDMA_STREAM_PAUSE:
		return pause_or_resume(st, ZCDMA_STREAM_RUNNING, ZCDMA_STREAM_PAUSED);
	case ZCDMA_STREAM_RESUME:
		return pause_or_resume(st, ZCDMA_STREAM_PAUSED, ZCDMA_STREAM_RUNNING);
	}
	return -EINVAL;
}

static int way_of(u32 direction)
{
	if (direction == ZCDMA_TX)
		return ZCDMA_WAY_TX;
	return direction == ZCDMA_RX ? ZCDMA_WAY_RX : -EINVAL;
}

/* The stream, or NULL before %ZCDMA_IOC_STREAM_SETUP. */
struct zcdma_stream *zcdma_stream_of(struct zcdma_session *session, enum zcdma_way way)
{
	struct zcdma_port_use *use = zcdma_port_use(session);

	/* Pairs with zcdma_stream_setup(). */
	return use ? smp_load_acquire(&use->streams[way]) : NULL;
}

/* %ZCDMA_IOC_STREAM_CONTROL */
int zcdma_stream_control(struct zcdma_session *session, struct zcdma_stream_control *what)
{
	int way = way_of(what->direction), err;
	struct zcdma_stream *st;

	if (way < 0 || !what->action || what->action > ZCDMA_STREAM_DRAIN)
		return -EINVAL;
	st = zcdma_stream_of(session, way);
	if (!st)
		return -ENOTCONN;
	if (what->action == ZCDMA_STREAM_DRAIN)
		return zcdma_stream_drain(st);
	mutex_lock(&st->use->engine);
	err = act(st, what->action);
	mutex_unlock(&st->use->engine);
	return err;
}

/* ---- set-up, status, poll ---- */

static int check_setup(const struct zcdma_port_use *use, int way,
		       const struct zcdma_stream_setup *how, u32 *periods)
{
	u64 nr;

	if (!use->chans[way])
		return -EOPNOTSUPP;
	if (how->period_bytes < ZCDMA_STREAM_MIN_PERIOD ||
	    how->period_bytes > ZCDMA_STREAM_MAX_PERIOD || how->period_bytes % use->width ||
	    how->ring_bytes > ZCDMA_STREAM_MAX_RING)
		return -EINVAL;
	nr = div_u64(how->ring_bytes, how->period_bytes);
	if (nr < ZCDMA_STREAM_MIN_PERIODS || nr > ZCDMA_STREAM_MAX_PERIODS)
		return -EINVAL;
	*periods = nr;
	if (!(use->chans[way]->caps & ZCDMA_CAP_TERMINATE))
		return -EOPNOTSUPP;
	if (!(how->flags & ZCDMA_STREAM_QUEUED) && !(use->chans[way]->caps & ZCDMA_CAP_CYCLIC))
		return -EOPNOTSUPP;
	return 0;
}

/* Under use->engine. */
static int setup_locked(struct zcdma_session *session, struct zcdma_port_use *use, int way,
			struct zcdma_stream_setup *how)
{
	struct dma_slave_caps caps;
	struct zcdma_stream *st;
	u32 periods;
	int err;

	if (use->gone[way])
		return -ENODEV;
	if (use->streams[way])
		return -EEXIST;
	err = check_setup(use, way, how, &periods);
	if (!err)
		err = dma_get_slave_caps(use->chans[way]->dma, &caps);
	err = err ?: zcdma_slave_claim(&use->slaves[way]);
	if (err)
		return err;
	st = zcdma_ring_create(use, way, how, periods);
	if (IS_ERR(st)) {
		zcdma_slave_unclaim(&use->slaves[way]);
		return PTR_ERR(st);
	}
	st->wq = &session->wq;
	st->fine = caps.residue_granularity != DMA_RESIDUE_GRANULARITY_DESCRIPTOR;
	st->timeout = msecs_to_jiffies(session->deadline_ms);
	how->out_periods = st->nr;
	how->out_residue = caps.residue_granularity;
	how->out_ring_bytes = zcdma_stream_ring_bytes(st);
	/* Pairs with zcdma_stream_of(). */
	smp_store_release(&use->streams[way], st);
	return 0;
}

/* %ZCDMA_IOC_STREAM_SETUP */
int zcdma_stream_setup(struct zcdma_session *session, struct zcdma_stream_setup *how)
{
	struct zcdma_port_use *use = zcdma_port_use(session);
	int way = way_of(how->direction), err;

	if (way < 0)
		return way;
	if (!use)
		return -ENOTCONN;
	mutex_lock(&use->engine);
	err = setup_locked(session, use, way, how);
	mutex_unlock(&use->engine);
	return err;
}

/* %ZCDMA_IOC_STREAM_STATUS */
int zcdma_stream_status(struct zcdma_session *session, struct zcdma_stream_status *status)
{
	int way = way_of(status->direction);
	struct zcdma_stream *st;

	if (way < 0)
		return way;
	st = zcdma_stream_of(session, way);
	if (!st)
		return -ENOTCONN;
	spin_lock_irq(&st->lock);
	status->out_state = st->state;
	status->out_head = st->head;
	status->out_tail = st->tail;
	status->out_lost = st->lost;
	status->out_moved = st->moved;
	spin_unlock_irq(&st->lock);
	status->out_copied = READ_ONCE(st->copied);
	return 0;
}

static __poll_t poll_one(struct zcdma_stream *st)
{
	bool over = false, ready = false;
	__poll_t mask = 0;

	spin_lock_irq(&st->lock);
	zcdma_stream_refresh(st);
	over = st->state == ZCDMA_STREAM_FAILED || st->state == ZCDMA_STREAM_GONE;
	if (st->way == ZCDMA_WAY_RX)
		ready = st->head != st->tail || READ_ONCE(st->hand_left) || st->xrun || over ||
			st->state == ZCDMA_STREAM_STOPPED;
	else
		ready = st->head - st->tail < st->nr || st->xrun || over;
	if (st->xrun)
		mask |= EPOLLPRI;
	spin_unlock_irq(&st->lock);
	if (ready)
		mask |= st->way == ZCDMA_WAY_RX ? EPOLLIN | EPOLLRDNORM : EPOLLOUT | EPOLLWRNORM;
	return over ? mask | EPOLLHUP | EPOLLERR : mask;
}

/* The part of streams in poll(). Return: false when there are none. */
bool zcdma_stream_poll(struct zcdma_session *session, __poll_t *mask)
{
	bool any = false;
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++) {
		struct zcdma_stream *st = zcdma_stream_of(session, way);

		if (!st)
			continue;
		if (!any)
			*mask &= EPOLLHUP | EPOLLERR;
		*mask |= poll_one(st);
		any = true;
	}
	return any;
}
