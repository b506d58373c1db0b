// SPDX-License-Identifier: GPL-2.0
/*
 * How a descriptor of softdma ends: its state, its callback, and where it goes.
 *
 * All this runs in the channel's thread, one descriptor after the other, or, for what the thread
 * has left, in the context that has joined it. Callbacks run there, too, or in a softirq or
 * hardirq; the thread waits for them. So a callback never runs beside another of its channel,
 * unless it is told to be late (softdma_faults.c).
 */
#include <linux/sched.h>

#include "softdma.h"

static void softdma_call(struct softdma_chan *sc)
{
	softdma_callback_begin(sc);
	if (sc->callback_result)
		sc->callback_result(sc->callback_param, &sc->result);
	else
		sc->callback(sc->callback_param);
	softdma_callback_end(sc);
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
	if ((!sc->callback && !sc->callback_result) || softdma_late(sc))
		return;
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

/* It is the pool's again, or will be when the client has acknowledged it. */
void softdma_recycle(struct softdma_chan *sc, struct softdma_desc *d)
{
	lockdep_assert_held(&sc->lock);
	softdma_slave_forget(d);
	if (d->released || async_tx_test_ack(&d->tx)) {
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
	if (d->killed || d->released || (mute && sc->dead))
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

/* The thread, or who has joined it, has done with @d. */
void softdma_finish(struct softdma_chan *sc, struct softdma_desc *d,
		    enum dmaengine_tx_result result)
{
	bool settled;

	spin_lock_irq(&sc->lock);
	settled = softdma_settle(sc, d, result);
	d->at_rest = true;
	spin_unlock_irq(&sc->lock);

	dma_descriptor_unmap(&d->tx);
	if (settled)
		dma_run_dependencies(&d->tx);

	spin_lock_irq(&sc->lock);
	sc->active = NULL;	/* or terminate_all would kill its next owner's transfer */
	softdma_recycle(sc, d);
	spin_unlock_irq(&sc->lock);

	if (settled)
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

	softdma_deliver(sc);

	spin_lock_irq(&sc->lock);
	sc->calling = false;
	if (!d->killed)
		sc->finished++;		/* otherwise it is at rest only in softdma_finish() */
	spin_unlock_irq(&sc->lock);
	if (wq_has_sleeper(&sc->quiet))
		wake_up_all(&sc->quiet);
	return !softdma_cut(d);
}

void softdma_complete_init(struct softdma_chan *sc)
{
	init_completion(&sc->called);
	tasklet_setup(&sc->tasklet, softdma_call_softirq);
	init_irq_work(&sc->irq_work, softdma_call_hardirq);
	softdma_late_init(sc);
}
