// SPDX-License-Identifier: GPL-2.0
/*
 * Takers: how completions leave a session, to read(), to a SUBMIT that waits, or to an
 * io_uring.
 *
 * What a taker has is still the session's, so that an unbind can clean it up while its
 * completion is on the way to user memory, which may take for ever. It is disposed of
 * when the user has the completion; until then it can be put back.
 */
#include "zcdma.h"

/**
 * zcdma_taker_begin() - take completions
 * @taker: on the caller's stack, until zcdma_taker_end().
 * @collect: requests that point to it are for it and not for read().
 */
void zcdma_taker_begin(struct zcdma_taker *taker, bool collect)
{
	taker->collect = collect;
	taker->dirty = false;
	taker->left = 0;
	INIT_LIST_HEAD(&taker->done);
	init_completion(&taker->all);
}

/* Unless the engine has pieces of it. Under session->reaping. */
static void clean(struct zcdma_request *req)
{
	if (!READ_ONCE(req->pending))
		zcdma_request_clean(req);
}

/**
 * zcdma_taker_clean() - clean up after what has finished for a taker
 * @session: the session.
 * @taker: none of its requests is unfinished.
 *
 * To be done before any user memory is touched: an unbind may wait for it.
 */
void zcdma_taker_clean(struct zcdma_session *session, struct zcdma_taker *taker)
{
	struct zcdma_request *req;
	bool dirty = false;

	if (!taker->dirty)
		return;
	mutex_lock(&session->reaping);
	list_for_each_entry(req, &taker->done, node) {
		clean(req);
		dirty |= !req->clean;
	}
	mutex_unlock(&session->reaping);
	if (dirty)
		return;
	spin_lock_irq(&session->lock);
	taker->dirty = false;
	list_del(&taker->node);
	spin_unlock_irq(&session->lock);
}

/*
 * The user has the completion. Under session->lock. What is not clean is either at
 * the engine still, or being cleaned up just now: the janitor has the last word.
 */
static void dispose(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;

	session->outstanding--;
	if (req->clean) {
		zcdma_spare_store(session, req);
	} else {
		list_move_tail(&req->node, &session->late);
		zcdma_queue_arm_janitor(session);
	}
}

/**
 * zcdma_taker_dispose() - the user has the completions
 * @session: the session.
 * @taker: the taker.
 * @nr: the first so many of what it has.
 * @all: they are all that it has.
 */
void zcdma_taker_dispose(struct zcdma_session *session, struct zcdma_taker *taker,
			 unsigned int nr, bool all)
{
	LIST_HEAD(surplus);

	if (!nr)
		return;
	spin_lock_irq(&session->lock);
	if (all && !taker->dirty) {
		/* The usual case. What is not dirty is clean, and so are all. */
		list_splice_init(&taker->done, &session->spares);
		session->nr_spares += nr;
		session->outstanding -= nr;
	} else {
		while (nr--)
			dispose(list_first_entry(&taker->done, struct zcdma_request, node));
	}
	if (zcdma_spares_too_many(session))
		zcdma_spare_thin_out(session, &surplus);
	spin_unlock_irq(&session->lock);
	zcdma_spare_discard(session, &surplus);
}

/**
 * zcdma_ring_dispose() - an io_uring gets the completion
 * @req: finished, on session->rings.
 * @out: receives it. Not to be given to the user before this returns.
 *
 * May sleep.
 */
void zcdma_ring_dispose(struct zcdma_request *req, struct zcdma_completion *out)
{
	struct zcdma_session *session = req->session;
	LIST_HEAD(surplus);

	if (!READ_ONCE(req->clean)) {
		mutex_lock(&session->reaping);
		clean(req);
		mutex_unlock(&session->reaping);
	}
	zcdma_queue_report(req, out);
	spin_lock_irq(&session->lock);
	dispose(req);
	zcdma_spare_thin_out(session, &surplus);
	spin_unlock_irq(&session->lock);
	zcdma_spare_discard(session, &surplus);
}

static void let_go(struct list_head *list, struct zcdma_taker *taker)
{
	struct zcdma_request *req;

	list_for_each_entry(req, list, node)
		if (req->taker == taker)
			req->taker = NULL;
}

/**
 * zcdma_taker_end() - be no taker any more
 * @session: the session.
 * @taker: not pointed at afterwards. What was not disposed of comes by read().
 */
void zcdma_taker_end(struct zcdma_session *session, struct zcdma_taker *taker)
{
	bool left_over;

	/*
	 * The usual case: all was disposed of, after it had come. Who brought the last of
	 * it is done with the taker then, because disposing takes the lock.
	 */
	if (taker->collect && !smp_load_acquire(&taker->left) && !taker->dirty &&
	    list_empty(&taker->done))
		return;
	spin_lock_irq(&session->lock);
	if (taker->left) {
		let_go(&session->queue, taker);
		let_go(&session->active, taker);
	}
	left_over = !list_empty(&taker->done);
	if (left_over)
		zcdma_queue_arm_janitor(session);
	list_splice(&taker->done, &session->done);
	if (taker->dirty)
		list_del(&taker->node);
	spin_unlock_irq(&session->lock);
	if (left_over)
		zcdma_queue_wake_readers(session);
}
