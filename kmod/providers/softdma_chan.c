// SPDX-License-Identifier: GPL-2.0
/*
 * A channel of softdma: its descriptors, its thread, and what dmaengine asks of it.
 *
 * A descriptor goes round:
 *
 *	free -prep-> client -submit-> submitted -issue_pending-> issued -thread-> active -+
 *	  ^------------------ (unacked, until the client sets DMA_CTRL_ACK) <-------------+
 *
 * It is free again before its callback runs, so a callback can always prepare its successor.
 * terminate_all drops what is submitted or issued, and kills what is active: the thread leaves it
 * at the next chunk and calls nobody. What is prepared belongs to the client, who must submit it.
 */
#include <linux/delay.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "softdma.h"

static struct softdma_desc *to_softdma_desc(struct dma_async_tx_descriptor *tx)
{
	return container_of(tx, struct softdma_desc, tx);
}

/* --- completing --- */

static void softdma_call(struct softdma_chan *sc)
{
	if (sc->callback_result)
		sc->callback_result(sc->callback_param, &sc->result);
	else if (sc->callback)
		sc->callback(sc->callback_param);
}

static void softdma_call_softirq(struct tasklet_struct *tasklet)
{
	struct softdma_chan *sc = from_tasklet(sc, tasklet, tasklet);

	softdma_call(sc);
	complete(&sc->called);
}

static void softdma_call_hardirq(struct irq_work *irq_work)
{
	struct softdma_chan *sc = container_of(irq_work, struct softdma_chan, irq_work);

	softdma_call(sc);
	complete(&sc->called);
}

static void softdma_deliver(struct softdma_chan *sc)
{
	switch (sc->engine->traits.context) {
	case SOFTDMA_THREAD:
		/* Clients know callbacks from tasklets, and lock accordingly. */
		local_bh_disable();
		softdma_call(sc);
		local_bh_enable();
		break;
	case SOFTDMA_SOFTIRQ:
		tasklet_schedule(&sc->tasklet);
		wait_for_completion(&sc->called);
		break;
	case SOFTDMA_HARDIRQ:
		irq_work_queue(&sc->irq_work);
		wait_for_completion(&sc->called);
		break;
	}
}

static void softdma_recycle(struct softdma_chan *sc, struct softdma_desc *d)
{
	lockdep_assert_held(&sc->lock);
	softdma_slave_forget(d);
	if (async_tx_test_ack(&d->tx)) {
		list_add(&d->node, &sc->free);
		sc->used--;
	} else {
		list_add_tail(&d->node, &sc->unacked);
	}
}

/* The bytes of @d are at rest: note how it ended and what to call. False: call nobody. */
static bool softdma_settle(struct softdma_chan *sc, struct softdma_desc *d,
			   enum dmaengine_tx_result result)
{
	bool mute = sc->engine->traits.no_result;

	lockdep_assert_held(&sc->lock);
	/* An engine that cannot tell an error must not call an aborted descriptor done. */
	if (d->killed || (mute && sc->dead))
		return false;

	/* From here on terminate_all comes too late for it. */
	sc->active = NULL;
	sc->calling = true;
	sc->completed = d->tx.cookie;
	if (result != DMA_TRANS_NOERROR && !mute)
		sc->failed = d->tx.cookie;
	sc->callback = d->tx.callback;
	sc->callback_result = d->tx.callback_result;
	sc->callback_param = d->tx.callback_param;
	sc->result.result = mute ? DMA_TRANS_NOERROR : result;
	sc->result.residue = mute ? 0 : d->len - d->done;
	return true;
}

static void softdma_finish(struct softdma_chan *sc, struct softdma_desc *d,
			   enum dmaengine_tx_result result)
{
	bool settled;

	spin_lock_irq(&sc->lock);
	settled = softdma_settle(sc, d, result);
	spin_unlock_irq(&sc->lock);

	dma_descriptor_unmap(&d->tx);
	if (settled)
		dma_run_dependencies(&d->tx);

	spin_lock_irq(&sc->lock);
	sc->active = NULL;	/* or terminate_all would kill its next owner's transfer */
	softdma_recycle(sc, d);
	spin_unlock_irq(&sc->lock);

	if (settled && (sc->callback || sc->callback_result))
		softdma_deliver(sc);

	spin_lock_irq(&sc->lock);
	sc->calling = false;
	sc->finished++;
	spin_unlock_irq(&sc->lock);
	if (wq_has_sleeper(&sc->quiet))
		wake_up_all(&sc->quiet);
}

/*
 * A period of a ring is complete, and the ring goes on. False: it does not. Each call counts as
 * "finished", so that synchronize need not wait for the end of a ring.
 */
bool softdma_tell(struct softdma_chan *sc, struct softdma_desc *d)
{
	bool calls = d->tx.flags & DMA_PREP_INTERRUPT;

	spin_lock_irq(&sc->lock);
	if (d->killed)
		calls = false;
	sc->calling = calls;
	sc->callback = d->tx.callback;
	sc->callback_result = d->tx.callback_result;
	sc->callback_param = d->tx.callback_param;
	sc->result.result = DMA_TRANS_NOERROR;
	sc->result.residue = d->len - d->done;
	spin_unlock_irq(&sc->lock);
	if (!calls)
		return !softdma_cut(d);

	if (sc->callback || sc->callback_result)
		softdma_deliver(sc);

	spin_lock_irq(&sc->lock);
	sc->calling = false;
	sc->finished++;
	spin_unlock_irq(&sc->lock);
	if (wq_has_sleeper(&sc->quiet))
		wake_up_all(&sc->quiet);
	return !softdma_cut(d);
}

/* --- the thread --- */

static struct softdma_desc *softdma_take(struct softdma_chan *sc)
{
	struct softdma_desc *d;

	spin_lock_irq(&sc->lock);
	d = list_first_entry_or_null(&sc->issued, struct softdma_desc, node);
	if (d && sc->engine->traits.unordered && !d->skipped &&
	    !list_is_last(&d->node, &sc->issued)) {
		d->skipped = true;
		d = list_next_entry(d, node);
	}
	if (d)
		list_del(&d->node);
	sc->active = d;
	sc->loose = false;
	spin_unlock_irq(&sc->lock);
	return d;
}

static bool softdma_has_work(struct softdma_chan *sc)
{
	return !READ_ONCE(sc->paused) && !list_empty(&sc->issued);
}

static enum dmaengine_tx_result softdma_run(struct softdma_chan *sc, struct softdma_desc *d)
{
	enum dmaengine_tx_result result = DMA_TRANS_NOERROR;

	if (d->kind == SOFTDMA_SLAVE || d->kind == SOFTDMA_CYCLIC)
		softdma_slave_missed(sc, d, sc->idle_since);
	if (d->kind == SOFTDMA_CYCLIC)
		return softdma_cycle(sc, d);
	if (softdma_faults_armed(&sc->engine->faults)) {
		result = softdma_move(sc, d, d->len / 2);
		if (result == DMA_TRANS_NOERROR)
			result = softdma_faults_strike(sc, d);
	}
	return result == DMA_TRANS_NOERROR ? softdma_move(sc, d, d->len) : result;
}

static int softdma_thread(void *data)
{
	struct softdma_chan *sc = data;
	struct softdma_desc *d;

	for (;;) {
		/* With work there, a thread that is late has not left the device alone. */
		sc->idle_since = softdma_has_work(sc) ? 0 : ktime_get_ns();
		wait_event_idle(sc->wait, softdma_has_work(sc) || kthread_should_stop());
		if (kthread_should_stop())
			return 0;
		d = softdma_take(sc);
		if (d)
			softdma_finish(sc, d, softdma_run(sc, d));
		cond_resched();
	}
}

/* --- dmaengine: prepare, submit, issue --- */

/*
 * ioatdma and plx_dma hold a lock from prep to submit; told to, so does this engine. No checker
 * can follow a lock across two calls, so none is told.
 */
static void softdma_prep_lock(struct softdma_chan *sc)
{
	if (sc->engine->traits.lock_until_submit) {
		spin_lock_bh(&sc->prep_lock);
		__release(&sc->prep_lock);
	}
}

static void softdma_prep_unlock(struct softdma_chan *sc)
{
	if (sc->engine->traits.lock_until_submit) {
		__acquire(&sc->prep_lock);
		spin_unlock_bh(&sc->prep_lock);
	}
}

static void softdma_reclaim_acked(struct softdma_chan *sc)
{
	struct softdma_desc *d, *next;

	list_for_each_entry_safe(d, next, &sc->unacked, node) {
		if (async_tx_test_ack(&d->tx)) {
			list_move(&d->node, &sc->free);
			sc->used--;
		}
	}
}

static struct softdma_desc *softdma_get_free(struct softdma_chan *sc)
{
	struct softdma_desc *d = NULL;
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	softdma_reclaim_acked(sc);
	if (!sc->dead && sc->used < READ_ONCE(sc->engine->faults.pool))
		d = list_first_entry_or_null(&sc->free, struct softdma_desc, node);
	if (d) {
		list_del(&d->node);
		sc->used++;
	}
	spin_unlock_irqrestore(&sc->lock, flags);
	return d;
}

/* A descriptor for prep, or NULL. What it is to do is the caller's to say. */
struct softdma_desc *softdma_get(struct softdma_chan *sc, unsigned long flags)
{
	struct softdma_desc *d;

	if (sc->engine->traits.prep_sleeps)
		usleep_range(100, 200);

	softdma_prep_lock(sc);
	d = softdma_get_free(sc);
	if (!d) {
		softdma_prep_unlock(sc);
		return NULL;
	}

	d->tx.flags = flags;
	d->tx.cookie = -EBUSY;
	d->tx.callback = NULL;
	d->tx.callback_result = NULL;
	d->tx.callback_param = NULL;
	d->done = 0;
	d->segs = &d->one;
	d->seg = 0;
	d->seg_done = 0;
	d->killed = false;
	d->skipped = false;
	return d;
}

static struct softdma_desc *softdma_prep(struct softdma_chan *sc, dma_addr_t dst, dma_addr_t src,
					 size_t len, unsigned long flags)
{
	struct softdma_desc *d;

	if (!softdma_accepts(sc->engine, dst, src, len))
		return NULL;
	d = softdma_get(sc, flags);
	if (!d)
		return NULL;
	d->dst = dst;
	d->src = src;
	d->len = len;
	return d;
}

static struct dma_async_tx_descriptor *
softdma_prep_memcpy(struct dma_chan *chan, dma_addr_t dst, dma_addr_t src, size_t len,
		    unsigned long flags)
{
	struct softdma_desc *d = softdma_prep(to_softdma_chan(chan), dst, src, len, flags);

	if (!d)
		return NULL;
	d->kind = SOFTDMA_COPY;
	return &d->tx;
}

static struct dma_async_tx_descriptor *
softdma_prep_memset(struct dma_chan *chan, dma_addr_t dst, int value, size_t len,
		    unsigned long flags)
{
	struct softdma_desc *d = softdma_prep(to_softdma_chan(chan), dst, dst, len, flags);

	if (!d)
		return NULL;
	d->kind = SOFTDMA_FILL;
	d->value = value;
	return &d->tx;
}

static dma_cookie_t softdma_submit(struct dma_async_tx_descriptor *tx)
{
	struct softdma_chan *sc = to_softdma_chan(tx->chan);
	struct softdma_desc *d = to_softdma_desc(tx);
	dma_cookie_t cookie = -ENODEV;
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	if (!sc->dead) {
		if (++sc->cookie < DMA_MIN_COOKIE)
			sc->cookie = DMA_MIN_COOKIE;
		cookie = sc->cookie;
		tx->cookie = cookie;
		list_add_tail(&d->node, &sc->submitted);
	} else {
		softdma_recycle(sc, d);
	}
	spin_unlock_irqrestore(&sc->lock, flags);

	softdma_prep_unlock(sc);
	return cookie;
}

static void softdma_issue_pending(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	list_splice_tail_init(&sc->submitted, &sc->issued);
	spin_unlock_irqrestore(&sc->lock, flags);
	wake_up(&sc->wait);
}

/* --- dmaengine: status and control --- */

static struct softdma_desc *softdma_find(struct softdma_chan *sc, dma_cookie_t cookie)
{
	struct softdma_desc *d;

	if (sc->active && sc->active->tx.cookie == cookie)
		return sc->active->killed ? NULL : sc->active;
	list_for_each_entry(d, &sc->issued, node)
		if (d->tx.cookie == cookie)
			return d;
	list_for_each_entry(d, &sc->submitted, node)
		if (d->tx.cookie == cookie)
			return d;
	return NULL;
}

/*
 * No byte moves any more. Slave transfers obey at once; the others when the thread looks up. With
 * softdma_chan.lock held.
 */
static bool softdma_is_halted(const struct softdma_chan *sc)
{
	const struct softdma_desc *d = sc->active;

	return !d || d->kind == SOFTDMA_SLAVE || d->kind == SOFTDMA_CYCLIC ||
	       READ_ONCE(sc->halted);
}

static enum dma_status softdma_pending_status(struct softdma_chan *sc, struct softdma_desc *d,
					      u32 *residue)
{
	*residue = d->len;
	if (!sc->engine->traits.coarse_residue)
		*residue -= READ_ONCE(d->done);
	if (sc->paused && softdma_is_halted(sc))
		return DMA_PAUSED;
	return DMA_IN_PROGRESS;
}

/*
 * Clients that poll (dma_sync_wait) spin without end where the kernel does not preempt itself, and
 * may spin on the very CPU that the thread needs. So let it in, if the caller can be interrupted.
 */
static void softdma_yield(void)
{
	if (preemptible() && !rcu_preempt_depth())
		cond_resched();
}

static enum dma_status softdma_tx_status(struct dma_chan *chan, dma_cookie_t cookie,
					 struct dma_tx_state *state)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	bool unordered = sc->engine->traits.unordered;
	struct softdma_desc *d = NULL;
	enum dma_status status;
	unsigned long flags;
	u32 residue = 0;
	bool passed;

	spin_lock_irqsave(&sc->lock, flags);
	passed = dma_async_is_complete(cookie, sc->completed, sc->cookie) == DMA_COMPLETE;
	if (unordered || !passed)
		d = softdma_find(sc, cookie);
	if (d)
		status = softdma_pending_status(sc, d, &residue);
	else if (cookie == sc->failed)
		status = DMA_ERROR;
	else if (unordered)
		status = DMA_OUT_OF_ORDER;
	else
		status = passed ? DMA_COMPLETE : DMA_ERROR;	/* terminated */
	dma_set_tx_state(state, sc->completed, sc->cookie, residue);
	spin_unlock_irqrestore(&sc->lock, flags);

	if (d)
		softdma_yield();
	return status;
}

static int softdma_terminate_all(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	struct softdma_desc *d, *next;
	LIST_HEAD(dropped);
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	list_splice_tail_init(&sc->issued, &dropped);
	list_splice_tail_init(&sc->submitted, &dropped);
	if (sc->active)
		WRITE_ONCE(sc->active->killed, true);
	WRITE_ONCE(sc->paused, false);
	spin_unlock_irqrestore(&sc->lock, flags);
	wake_up(&sc->wait);

	list_for_each_entry(d, &dropped, node)
		dma_descriptor_unmap(&d->tx);

	spin_lock_irqsave(&sc->lock, flags);
	list_for_each_entry_safe(d, next, &dropped, node)
		softdma_recycle(sc, d);
	spin_unlock_irqrestore(&sc->lock, flags);
	return 0;
}

/* Neither a killed descriptor nor a callback is in the thread's hands. */
static bool softdma_is_quiet(struct softdma_chan *sc)
{
	return !sc->calling && !(sc->active && sc->active->killed);
}

/*
 * Wait only for what the thread had in its hands when we came: what was submitted since then
 * is nobody's business here, and may hang.
 */
static void softdma_synchronize(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	unsigned int finished;
	bool quiet;

	spin_lock_irq(&sc->lock);
	quiet = softdma_is_quiet(sc);
	finished = sc->finished;
	spin_unlock_irq(&sc->lock);

	if (!quiet)
		wait_event(sc->quiet, READ_ONCE(sc->finished) != finished);
}

static int softdma_pause(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	sc->loose = !sc->paused && READ_ONCE(sc->engine->faults.loose_pause);
	WRITE_ONCE(sc->paused, true);
	spin_unlock_irqrestore(&sc->lock, flags);
	wake_up(&sc->wait);	/* it may wait for the device */
	return 0;
}

static int softdma_resume(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	WRITE_ONCE(sc->paused, false);
	spin_unlock_irqrestore(&sc->lock, flags);
	wake_up(&sc->wait);
	return 0;
}

/* --- channels come and go --- */

static void softdma_fill_pool(struct softdma_chan *sc)
{
	struct softdma_desc *d;

	for (d = sc->pool; d < sc->pool + SOFTDMA_POOL; d++) {
		dma_async_tx_descriptor_init(&d->tx, &sc->chan);
		d->tx.tx_submit = softdma_submit;
		list_add_tail(&d->node, &sc->free);
	}
}

static void softdma_empty_pool(struct softdma_chan *sc)
{
	INIT_LIST_HEAD(&sc->free);
	INIT_LIST_HEAD(&sc->unacked);
	sc->used = 0;
	kvfree(sc->pool);
	sc->pool = NULL;
}

static int softdma_start(struct softdma_chan *sc)
{
	struct task_struct *thread;

	/*
	 * Not ENODEV: dmaengine would take the device from its list at that, and once more when
	 * the last of its channels is released.
	 */
	if (sc->dead)
		return -ENXIO;

	sc->pool = kvcalloc(SOFTDMA_POOL, sizeof(*sc->pool), GFP_KERNEL);
	if (!sc->pool)
		return -ENOMEM;
	softdma_fill_pool(sc);
	softdma_slave_open(sc);

	thread = kthread_run(softdma_thread, sc, "softdma/%d", sc->chan.chan_id);
	if (IS_ERR(thread)) {
		softdma_empty_pool(sc);
		return PTR_ERR(thread);
	}
	sc->thread = thread;
	return SOFTDMA_POOL;
}

/* Join the thread, then tell the owners of what it has left. */
static void softdma_stop(struct softdma_chan *sc)
{
	struct softdma_desc *d;

	if (!sc->thread)
		return;
	kthread_stop(sc->thread);
	sc->thread = NULL;

	softdma_issue_pending(&sc->chan);
	while ((d = softdma_take(sc)))
		softdma_finish(sc, d, DMA_TRANS_ABORTED);
	tasklet_kill(&sc->tasklet);
	irq_work_sync(&sc->irq_work);
}

/* The device goes away: end what is in flight, and accept nothing more. */
void softdma_chan_kill(struct softdma_chan *sc)
{
	spin_lock_irq(&sc->lock);
	sc->dead = true;
	spin_unlock_irq(&sc->lock);

	mutex_lock(&sc->engine->mutex);
	softdma_stop(sc);
	mutex_unlock(&sc->engine->mutex);
}

static int softdma_alloc_chan_resources(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	int ret;

	mutex_lock(&sc->engine->mutex);
	ret = softdma_start(sc);
	mutex_unlock(&sc->engine->mutex);
	return ret;
}

static void softdma_free_chan_resources(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);

	mutex_lock(&sc->engine->mutex);
	softdma_terminate_all(chan);
	softdma_stop(sc);
	softdma_slave_close(sc);
	softdma_empty_pool(sc);
	mutex_unlock(&sc->engine->mutex);
}

void softdma_chan_init(struct softdma *s, struct softdma_chan *sc)
{
	sc->engine = s;
	sc->chan.device = &s->dma;
	spin_lock_init(&sc->lock);
	spin_lock_init(&sc->prep_lock);
	INIT_LIST_HEAD(&sc->free);
	INIT_LIST_HEAD(&sc->unacked);
	INIT_LIST_HEAD(&sc->submitted);
	INIT_LIST_HEAD(&sc->issued);
	init_waitqueue_head(&sc->wait);
	init_waitqueue_head(&sc->quiet);
	init_completion(&sc->called);
	tasklet_setup(&sc->tasklet, softdma_call_softirq);
	init_irq_work(&sc->irq_work, softdma_call_hardirq);
	list_add_tail(&sc->chan.device_node, &s->dma.channels);
}

void softdma_chan_ops(struct dma_device *dma, const struct softdma_traits *traits)
{
	dma->device_alloc_chan_resources = softdma_alloc_chan_resources;
	dma->device_free_chan_resources = softdma_free_chan_resources;
	dma->device_prep_dma_memcpy = softdma_prep_memcpy;
	if (!traits->no_memset)
		dma->device_prep_dma_memset = softdma_prep_memset;
	dma->device_issue_pending = softdma_issue_pending;
	dma->device_tx_status = softdma_tx_status;
	dma->device_pause = softdma_pause;
	dma->device_resume = softdma_resume;
	if (!traits->no_terminate) {
		dma->device_terminate_all = softdma_terminate_all;
		dma->device_synchronize = softdma_synchronize;
	}
}
