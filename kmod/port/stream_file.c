// SPDX-License-Identifier: GPL-2.0
/* Streams: what the ioctls and poll() ask of them, and what a port does with them. */
#include "stream.h"

/* Under use->engine. */
static int stream_pause_or_resume(struct zcdma_stream *st, u32 from, u32 to)
{
	struct dma_chan *dma = st->lease->dma;
	int err;

	if (!(st->lease->caps & ZCDMA_CAP_PAUSE))
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
	zcdma_stream_kick(st);
	wake_up(st->wq);
	return 0;
}

static int stream_act(struct zcdma_stream *st, u32 action)
{
	if (st->use->gone[st->way])
		return -ENODEV;
	switch (action) {
	case ZCDMA_STREAM_START:
		return zcdma_stream_start(st);
	case ZCDMA_STREAM_STOP:
		return zcdma_stream_stop(st);
	case ZCDMA_STREAM_PAUSE:
		return stream_pause_or_resume(st, ZCDMA_STREAM_RUNNING, ZCDMA_STREAM_PAUSED);
	case ZCDMA_STREAM_RESUME:
		return stream_pause_or_resume(st, ZCDMA_STREAM_PAUSED, ZCDMA_STREAM_RUNNING);
	}
	return -EINVAL;
}

static int stream_way_of(u32 direction)
{
	if (direction == ZCDMA_TX)
		return ZCDMA_WAY_TX;
	return direction == ZCDMA_RX ? ZCDMA_WAY_RX : -EINVAL;
}

/*
 * Is a write() of a run before still at it, asleep in user memory? What it puts into a cyclic ring
 * it takes out again, and that is to be over when the ring goes out.
 */
static bool stream_is_written_to(struct zcdma_stream *st)
{
	u64 writing = READ_ONCE(st->writing);

	return st->cyclic && writing && writing != zcdma_stream_run(st);
}

static int stream_await_writer(struct zcdma_stream *st)
{
	if (mutex_lock_killable(&st->user))
		return -EINTR;
	mutex_unlock(&st->user);
	return 0;
}

/* %ZCDMA_IOC_STREAM_CONTROL */
int zcdma_stream_control(struct zc_session *session, struct zcdma_stream_control *what)
{
	int way = stream_way_of(what->direction), err;
	struct zcdma_stream *st;
	bool waits;

	if (way < 0 || !what->action || what->action > ZCDMA_STREAM_DRAIN)
		return -EINVAL;
	st = zcdma_stream_of(session, way);
	if (!st)
		return -ENOTCONN;
	if (what->action == ZCDMA_STREAM_DRAIN)
		return zcdma_stream_drain(st);
	do {
		err = zcdma_port_lock(st->use, false);
		if (err)
			return err;
		waits = what->action == ZCDMA_STREAM_START && stream_is_written_to(st);
		if (!waits)
			err = stream_act(st, what->action);
		zcdma_port_unlock(st->use);
		if (waits)
			err = stream_await_writer(st);
	} while (waits && !err);
	if (!err && what->action == ZCDMA_STREAM_START)
		err = zcdma_stream_await_begin(st);
	return err;
}

/* ---- set-up, status, poll ---- */

static int stream_check_setup(const struct zcdma_port_use *use, int way,
			      const struct zcdma_stream_setup *how, u32 *periods)
{
	struct zc_lease *lease = use->leases[way];
	u64 nr;

	if (!lease)
		return -EOPNOTSUPP;
	if (how->period_bytes < ZCDMA_STREAM_MIN_PERIOD ||
	    how->period_bytes > ZCDMA_STREAM_MAX_PERIOD || how->period_bytes % use->width ||
	    how->period_bytes > dma_get_max_seg_size(lease->limits.dev) ||
	    zc_within(lease->limits.boundary, 0, how->period_bytes) != how->period_bytes ||
	    how->ring_bytes > ZCDMA_STREAM_MAX_RING)
		return -EINVAL;
	nr = div_u64(how->ring_bytes, how->period_bytes);
	if (nr < ZCDMA_STREAM_MIN_PERIODS || nr > ZCDMA_STREAM_MAX_PERIODS)
		return -EINVAL;
	*periods = nr;
	/* Periods that complete in any order could not be told apart. */
	if (!(lease->caps & ZCDMA_CAP_TERMINATE) || (lease->caps & ZCDMA_CAP_UNORDERED))
		return -EOPNOTSUPP;
	if (!(how->flags & ZCDMA_STREAM_QUEUED) && !(lease->caps & ZCDMA_CAP_CYCLIC))
		return -EOPNOTSUPP;
	return 0;
}

/* The ring to the engine's device, and then to whoever asks. Under use->engine. */
static int stream_publish(struct zcdma_stream *st, struct zcdma_stream_setup *how)
{
	struct zcdma_port_use *use = st->use;
	struct dma_slave_caps caps;
	int err;

	if (use->gone[st->way])
		return -ENODEV;
	err = dma_get_slave_caps(st->lease->dma, &caps) ?: zcdma_ring_map(st);
	if (err)
		return err;
	if (st->cyclic && st->lease->vague)
		caps.residue_granularity = DMA_RESIDUE_GRANULARITY_DESCRIPTOR;
	st->wq = &st->session->wq;
	st->bh.sleeps = st->lease->sleeps;
	st->fine = caps.residue_granularity != DMA_RESIDUE_GRANULARITY_DESCRIPTOR;
	st->exact = caps.residue_granularity == DMA_RESIDUE_GRANULARITY_BURST;
	st->timeout = msecs_to_jiffies(st->session->deadline_ms);
	how->out_periods = st->nr;
	how->out_residue = caps.residue_granularity;
	how->out_ring_bytes = zcdma_stream_ring_bytes(st);
	/* Pairs with zcdma_stream_of(). */
	smp_store_release(&use->streams[st->way], st);
	return 0;
}

/* The direction is the stream's. Memory is allocated under no lock that an unbind waits for. */
static int stream_make(struct zcdma_port_use *use, int way, struct zcdma_stream_setup *how,
		       u32 periods)
{
	struct zcdma_stream *st = zcdma_ring_create(use, way, how, periods);
	int err;

	if (IS_ERR(st))
		return PTR_ERR(st);
	zcdma_stream_init(st);
	mutex_lock(&use->engine);
	err = stream_publish(st, how);
	zcdma_port_unlock(use);
	if (err)
		zcdma_ring_destroy(st);
	return err;
}

/* %ZCDMA_IOC_STREAM_SETUP */
int zcdma_stream_setup(struct zc_session *session, struct zcdma_stream_setup *how)
{
	struct zcdma_port_use *use = zcdma_port_use(session);
	int way = stream_way_of(how->direction), err;
	u32 periods;

	if (way < 0)
		return way;
	if (!use)
		return -ENOTCONN;
	if (READ_ONCE(use->gone[way]))
		return -ENODEV;
	if (zcdma_stream_of(session, way))
		return -EEXIST;
	err = stream_check_setup(use, way, how, &periods);
	err = err ?: zcdma_slave_claim(&use->slaves[way]);
	if (err)
		return err;
	err = stream_make(use, way, how, periods);
	if (err)
		zcdma_slave_unclaim(&use->slaves[way]);
	return err;
}

/* %ZCDMA_IOC_STREAM_STATUS */
int zcdma_stream_status(struct zc_session *session, struct zcdma_stream_status *status)
{
	int way = stream_way_of(status->direction);
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

/*
 * Who waits for a receiver that nobody has started starts it, if that can be had at once. Return:
 * what there is to be said of that.
 */
static __poll_t stream_start_for_poller(struct zcdma_stream *st)
{
	int err = 0;

	if (READ_ONCE(st->state) != ZCDMA_STREAM_IDLE || !zcdma_port_trylock(st->use))
		return 0;
	if (st->state == ZCDMA_STREAM_IDLE)
		err = zcdma_stream_start(st);
	zcdma_port_unlock(st->use);
	return err ? EPOLLERR : 0;
}

static __poll_t stream_poll_one(struct zcdma_stream *st)
{
	bool fails, ready;
	__poll_t mask = 0;

	ready = zcdma_stream_is_ready(st, zcdma_stream_run(st));
	spin_lock_irq(&st->lock);
	fails = st->state == ZCDMA_STREAM_FAILED || st->state == ZCDMA_STREAM_GONE;
	if (st->xrun)
		mask |= EPOLLPRI;
	spin_unlock_irq(&st->lock);
	if (ready)
		mask |= st->way == ZCDMA_WAY_RX ? EPOLLIN | EPOLLRDNORM : EPOLLOUT | EPOLLWRNORM;
	return fails ? mask | EPOLLHUP | EPOLLERR : mask;
}

/* The part of streams in poll(): @wanted is what is asked for. */
void zcdma_stream_poll(struct zc_session *session, __poll_t wanted, __poll_t *mask)
{
	bool any = false;
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++) {
		struct zcdma_stream *st = zcdma_stream_of(session, way);

		if (!st)
			continue;
		if (!any)
			*mask &= EPOLLHUP | EPOLLERR;
		if (way == ZCDMA_WAY_RX && (wanted & (EPOLLIN | EPOLLRDNORM)))
			*mask |= stream_start_for_poller(st);
		*mask |= stream_poll_one(st);
		any = true;
	}
}

/* ---- what its port does with it; under use->engine ---- */

/* An engine that has failed is stopped, and so is one that could not be before. */
void zcdma_stream_look(struct zcdma_stream *st)
{
	bool stray = READ_ONCE(st->run->stray) && !st->lease->unstoppable;

	if (READ_ONCE(st->run->over) || st->use->gone[st->way])
		return;
	if (stray || (READ_ONCE(st->state) == ZCDMA_STREAM_FAILED && !st->run->stray))
		zcdma_stream_halt(st, st->state);
}

/* The channel goes: it is used for the last time. */
void zcdma_stream_lose_channel(struct zcdma_stream *st)
{
	if (!zcdma_stream_halt(st, ZCDMA_STREAM_GONE))
		zcdma_ring_unmap(st);
}

/* The engine has nothing any more that it had when it was to be stopped. Its channel is gone. */
void zcdma_stream_unmap(struct zcdma_stream *st)
{
	zcdma_stream_forget(st);
	zcdma_ring_unmap(st);
}

/**
 * zcdma_stream_close() - the file is closed
 * @st: the stream; under use->engine.
 *
 * Return: false if the engine keeps some of it, until zcdma_stream_free().
 */
bool zcdma_stream_close(struct zcdma_stream *st)
{
	if (st->use->gone[st->way])
		return !st->mapped;
	if (zcdma_stream_halt(st, ZCDMA_STREAM_STOPPED))
		return false;
	zcdma_ring_unmap(st);
	return true;
}

/* Nothing of it is at the engine; or the driver of that is gone, and it is there for ever. */
void zcdma_stream_free(struct zcdma_stream *st)
{
	if (!st || (st->mapped && st->lease->provider->stuck))
		return;
	timer_delete_sync(&st->timer);
	zcdma_bh_kill(&st->bh);
	zcdma_ring_unmap(st);
	zcdma_ring_destroy(st);
}
