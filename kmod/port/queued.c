// SPDX-License-Identifier: GPL-2.0
/*
 * Queued rings: each period is a descriptor.
 *
 * "given" counts the periods that the engine has got. They come back in order. A receiver that
 * leaves the engine fewer than MIN_GIVEN loses its oldest period to it.
 */
#include "stream.h"

/* Periods that a receiver keeps at the engine at the cost of unread ones. */
#define MIN_GIVEN	2U

/* Periods that are handed over in one pass. */
#define MAX_GIVEN	32

/* Is there a period for the engine? It may be one that the reader is to lose. Under st->lock. */
bool zcdma_queued_has_next(const struct zcdma_stream *st)
{
	if (st->stopping ||
	    (st->state != ZCDMA_STREAM_RUNNING && st->state != ZCDMA_STREAM_DRAINING))
		return false;
	if (st->way == ZCDMA_WAY_TX)
		return st->given < st->head;
	return st->given - st->tail < st->nr ||
	       st->given - st->head < min(MIN_GIVEN, st->nr - 1);
}

/* The next one, which is taken from the reader if need be. Under st->lock. */
static u64 queued_take_next(struct zcdma_stream *st)
{
	if (st->way == ZCDMA_WAY_RX && st->given - st->tail >= st->nr) {
		zcdma_stream_lose(st, 1);
		st->tail++;
		st->offset = 0;
	}
	return st->given++;
}

/* A period has come back, @len bytes of it moved. Under st->lock. */
static void queued_is_back(struct zcdma_stream *st, struct zcdma_period *period, u32 len)
{
	st->moved += len;
	if (st->way == ZCDMA_WAY_RX) {
		period->len = len;
		st->head++;
		zcdma_part_reset(st);
		return;
	}
	st->tail++;
	if (st->tail == st->head && st->state == ZCDMA_STREAM_RUNNING)
		st->lost++;
}

static void queued_came(struct zcdma_run *run, const struct dmaengine_result *result)
{
	struct zcdma_stream *st = run->st;
	struct zcdma_period *period = &st->periods[zcdma_stream_slot(st, run->returned++)];
	u32 len = st->way == ZCDMA_WAY_TX ? period->len : st->period;
	bool is_short = zcdma_is_short(result, len, st->way);

	zcdma_run_back(run);
	if (st->stopping)
		wake_up(&st->idle);
	/* Aborted by our own stop? Then it has not come. */
	if (!zcdma_stream_at_work(st) || (st->stopping && zc_is_bad(result)))
		return;
	if (zc_is_bad(result) && !is_short) {
		zcdma_stream_fail(st);
		return;
	}
	queued_is_back(st, period, is_short ? len - result->residue : len);
	zcdma_stream_publish(st);
	if (zcdma_queued_has_next(st))
		zcdma_stream_raise(st);
	wake_up(st->wq);
}

static void queued_reported(void *param, const struct dmaengine_result *result)
{
	struct zcdma_run *run = param;
	unsigned long irq;

	rcu_read_lock();
	if (READ_ONCE(run->over))
		goto out;
	spin_lock_irqsave(&run->st->lock, irq);
	if (!run->over)
		queued_came(run, result);
	spin_unlock_irqrestore(&run->st->lock, irq);
out:
	rcu_read_unlock();
}

static void queued_moved(void *param)
{
	queued_reported(param, NULL);
}

static int queued_hand_over(struct zcdma_stream *st, struct zcdma_run *run,
			    struct zcdma_period *period)
{
	size_t len = st->way == ZCDMA_WAY_TX ? period->len : st->period;
	struct dma_async_tx_descriptor *desc;

	desc = dmaengine_prep_slave_single(st->lease->dma, period->dma, len,
					   st->use->config[st->way].direction,
					   DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	if (!desc)
		return -EAGAIN;
	zc_set_callback(st->lease, desc, queued_reported, queued_moved, run);
	period->cookie = dmaengine_submit(desc);
	return dma_submit_error(period->cookie) ? -EIO : 0;
}

/* What the engine takes. Called and left with st->lock held. */
void zcdma_queued_pass(struct zcdma_stream *st, unsigned long *irq)
{
	struct zcdma_run *run = st->run;
	unsigned int handed = 0;
	int err = 0;

	while (!err && handed < MAX_GIVEN && zcdma_queued_has_next(st)) {
		/* Its callback may come before it was handed over. */
		u64 number = queued_take_next(st);

		zcdma_run_give(run);
		spin_unlock_irqrestore(&st->lock, *irq);
		err = queued_hand_over(st, run, &st->periods[zcdma_stream_slot(st, number)]);
		spin_lock_irqsave(&st->lock, *irq);
		if (!err) {
			handed++;
			continue;
		}
		st->given--;
		zcdma_run_back(run);
		/* Full: a callback will come. Empty, and it takes nothing? */
		if (err == -EIO || !run->at_engine)
			zcdma_stream_refused(st, err);
	}
	if (handed) {
		st->refused = 0;
		spin_unlock_irqrestore(&st->lock, *irq);
		dma_async_issue_pending(st->lease->dma);
		spin_lock_irqsave(&st->lock, *irq);
	}
	if (!err && zcdma_queued_has_next(st))
		st->again = true;
}

/* ---- the run ends ---- */

/* How long a callback of what is complete is waited for: a tasklet's or a thread's. */
#define DUE_TIME	msecs_to_jiffies(100)

static bool queued_is_back_to(struct zcdma_stream *st, u64 number)
{
	bool ret;

	spin_lock_irq(&st->lock);
	ret = st->run->returned >= number;
	spin_unlock_irq(&st->lock);
	return ret;
}

/**
 * zcdma_queued_settle() - periods that are complete are to be known when the engine is stopped
 * @st: a receiver; under use->engine, and nobody has the pump.
 *
 * Many drivers forget their callbacks then.
 *
 * Return: the first one that is not complete.
 */
u64 zcdma_queued_settle(struct zcdma_stream *st)
{
	u64 number, given;

	spin_lock_irq(&st->lock);
	number = st->run->returned;
	given = st->given;
	spin_unlock_irq(&st->lock);
	while (number < given &&
	       dmaengine_tx_status(st->lease->dma,
				   st->periods[zcdma_stream_slot(st, number)].cookie,
				   NULL) == DMA_COMPLETE)
		number++;
	wait_event_timeout(st->idle, queued_is_back_to(st, number), DUE_TIME);
	return number;
}
