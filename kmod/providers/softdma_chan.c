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

/* --- the thread --- */

/* The next descriptor is the active one now. */
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

	softdma_faults_count(&sc->engine->faults);
	if (softdma_is_slave(d))
		softdma_slave_missed(sc, d, sc->idle_since);
	if (d->kind == SOFTDMA_CYCLIC)
		return softdma_cycle(sc, d);
	if (softdma_faults_armed(&sc->engine->faults)) {
		result = softdma_move(sc, d, d->len / 2);
		if (result == DMA_TRANS_NOERROR)
			result = softdma_faults_strike(sc, d);
	}
	if (result != DMA_TRANS_NOERROR || d->ends_short)
		return result;
	return softdma_move(sc, d, d->len);
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
	if (!sc->dead && !softdma_faults_no_descriptor(sc))
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

	softdma_prep_begin(sc);
	d = softdma_get_free(sc);
	if (!d) {
		softdma_prep_end(sc);
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
	d->released = false;
	d->at_rest = false;
	d->accused = false;
	d->accusation = NULL;
	d->ends_short = false;
	return d;
}

static struct softdma_desc *softdma_prep(struct softdma_chan *sc, dma_addr_t dst, dma_addr_t src,
					 size_t len, unsigned long flags)
{
	struct softdma_desc *d;

	if (!softdma_accepts(sc->engine, dst, src, len, len) || len < sc->engine->traits.min_len)
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

	softdma_callback_wait(sc, "submit");
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

	softdma_prep_end(sc);
	return cookie;
}

static void softdma_issue(struct softdma_chan *sc)
{
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	list_splice_tail_init(&sc->submitted, &sc->issued);
	spin_unlock_irqrestore(&sc->lock, flags);
	wake_up(&sc->wait);
}

static void softdma_issue_pending(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);

	softdma_callback_wait(sc, "issue_pending");
	softdma_issue(sc);
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

	return !d || softdma_is_slave(d) || READ_ONCE(sc->halted);
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

/* Descriptors that will not be moved. */
void softdma_drop(struct softdma_chan *sc, struct list_head *dropped)
{
	struct softdma_desc *d, *next;
	unsigned long flags;

	list_for_each_entry(d, dropped, node)
		dma_descriptor_unmap(&d->tx);

	spin_lock_irqsave(&sc->lock, flags);
	list_for_each_entry_safe(d, next, dropped, node)
		softdma_recycle(sc, d);
	spin_unlock_irqrestore(&sc->lock, flags);
}

/* It was not moved, and its client is told that it was (terminate_calls). */
static void softdma_lie(const struct dma_async_tx_descriptor *tx)
{
	const struct dmaengine_result done = { .result = DMA_TRANS_NOERROR };

	local_bh_disable();
	if (tx->callback_result)
		tx->callback_result(tx->callback_param, &done);
	else if (tx->callback)
		tx->callback(tx->callback_param);
	local_bh_enable();
}

static void softdma_lie_of_all(struct softdma_chan *sc, struct list_head *dropped,
			       const struct dma_async_tx_descriptor *active)
{
	struct softdma_desc *d;

	softdma_lie(active);
	list_for_each_entry(d, dropped, node)
		if (!softdma_is_slave(d))
			softdma_lie(&d->tx);
}

/* Nothing more is moved but the chunk that the thread is at. */
static void softdma_terminate(struct softdma_chan *sc, bool lie)
{
	struct dma_async_tx_descriptor active = { };
	LIST_HEAD(dropped);
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	list_splice_tail_init(&sc->issued, &dropped);
	list_splice_tail_init(&sc->submitted, &dropped);
	if (sc->active) {
		if (!softdma_is_slave(sc->active))
			active = sc->active->tx;
		WRITE_ONCE(sc->active->killed, true);
	}
	WRITE_ONCE(sc->paused, false);
	spin_unlock_irqrestore(&sc->lock, flags);
	wake_up(&sc->wait);
	if (lie)
		softdma_lie_of_all(sc, &dropped, &active);
	softdma_drop(sc, &dropped);
}

static int softdma_terminate_all(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);

	if (sc->engine->traits.terminate_fails || softdma_faults_no_stop(&sc->engine->faults))
		return -EBUSY;
	softdma_terminate(sc, sc->engine->traits.terminate_calls);
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
void softdma_quiesce(struct softdma_chan *sc)
{
	unsigned int finished;
	bool quiet;

	spin_lock_irq(&sc->lock);
	quiet = softdma_is_quiet(sc);
	finished = sc->finished;
	spin_unlock_irq(&sc->lock);

	if (!quiet)
		wait_event(sc->quiet, READ_ONCE(sc->finished) != finished);
}

static void softdma_synchronize(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);

	softdma_quiesce(sc);
	softdma_late_flush(sc);
}

static int softdma_pause(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	sc->loose = !sc->paused && softdma_faults_loose_pause(&sc->engine->faults);
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

static int softdma_create_pool(struct softdma_chan *sc)
{
	struct softdma_desc *d;

	sc->pool = kvcalloc(SOFTDMA_POOL, sizeof(*sc->pool), GFP_KERNEL);
	if (!sc->pool)
		return -ENOMEM;
	for (d = sc->pool; d < sc->pool + SOFTDMA_POOL; d++) {
		dma_async_tx_descriptor_init(&d->tx, &sc->chan);
		d->tx.tx_submit = softdma_submit;
		list_add_tail(&d->node, &sc->free);
	}
	return 0;
}

static void softdma_destroy_pool(struct softdma_chan *sc)
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
	int err;

	/*
	 * Not ENODEV: dmaengine would take the device from its list at that, and once more when
	 * the last of its channels is released.
	 */
	if (sc->dead)
		return -ENXIO;

	softdma_slave_open(sc);
	if (sc->thread)		/* still at work for the last client */
		return SOFTDMA_POOL;
	err = softdma_create_pool(sc);
	if (err)
		return err;
	thread = kthread_run(softdma_thread, sc, "softdma/%d", sc->chan.chan_id);
	if (IS_ERR(thread)) {
		softdma_destroy_pool(sc);
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

	softdma_issue(sc);
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
	softdma_late_flush(sc);
	if (!sc->held)
		softdma_destroy_pool(sc);
	mutex_unlock(&sc->engine->mutex);
}

static int softdma_alloc_chan_resources(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	int ret;

	if (READ_ONCE(sc->engine->leaving))
		softdma_violation(sc->engine, "requested while the driver leaves");
	mutex_lock(&sc->engine->mutex);
	ret = softdma_start(sc);
	sc->held = ret > 0;
	mutex_unlock(&sc->engine->mutex);
	return ret;
}

static void softdma_free_chan_resources(struct dma_chan *chan)
{
	struct softdma_chan *sc = to_softdma_chan(chan);

	mutex_lock(&sc->engine->mutex);
	sc->held = false;
	if (!softdma_run_on(sc)) {
		softdma_terminate(sc, false);
		softdma_stop(sc);
		softdma_destroy_pool(sc);
	}
	softdma_late_drop(sc);
	mutex_unlock(&sc->engine->mutex);
}

void softdma_chan_init(struct softdma *s, struct softdma_chan *sc)
{
	sc->engine = s;
	sc->chan.device = &s->dma;
	spin_lock_init(&sc->lock);
	spin_lock_init(&sc->prep_lock);
	spin_lock_init(&sc->callback_lock);
	INIT_LIST_HEAD(&sc->free);
	INIT_LIST_HEAD(&sc->unacked);
	INIT_LIST_HEAD(&sc->submitted);
	INIT_LIST_HEAD(&sc->issued);
	init_waitqueue_head(&sc->wait);
	init_waitqueue_head(&sc->quiet);
	softdma_complete_init(sc);
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
		if (!traits->no_synchronize)
			dma->device_synchronize = softdma_synchronize;
	}
}
