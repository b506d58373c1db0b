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

/* Unless the engine has pieces of it. Under session->reaping. */
static void clean(struct zcdma_request *req)
{
	if (!READ_ONCE(req->pending))
		zcdma_request_clean(req);
}

/* What zcdma_taker_clean() does when it is dirty. */
void zcdma_taker_clean_all(struct zcdma_session *session, struct zcdma_taker *taker)
{
	struct zcdma_request *req;
	bool dirty = false;

	mutex_lock(&session->reaping);
	list_for_each_entry(req, &taker->done, node) {
		clean(req);
		dirty |= !req->clean;
	}
	mutex_unlock(&session->reaping);
	taker->cleaned = !dirty;
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
	if (!nr)
		return;
	spin_lock_irq(&session->lock);
	if (all && (!taker->dirty || taker->cleaned)) {
		/* The usual case: all are clean. */
		list_splice_init(&taker->done, &session->spares);
		session->nr_spares += nr;
		session->outstanding -= nr;
	} else {
		while (nr--)
			dispose(list_first_entry(&taker->done, struct zcdma_request, node));
	}
	if (all && taker->dirty) {
		taker->dirty = false;
		list_del(&taker->node);
	}
	spin_unlock_irq(&session->lock);
	zcdma_places_freed(session);
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

	if (!READ_ONCE(req->clean)) {
		mutex_lock(&session->reaping);
		clean(req);
		mutex_unlock(&session->reaping);
	}
	zcdma_queue_report(req, out);
	spin_lock_irq(&session->lock);
	dispose(req);
	spin_unlock_irq(&session->lock);
	zcdma_places_freed(session);
}

static void let_go(struct list_head *list, struct zcdma_taker *taker)
{
	struct zcdma_request *req;

	list_for_each_entry(req, list, node)
		if (req->taker == taker)
			req->taker = NULL;
}

/* What zcdma_taker_end() does when something is left. */
void zcdma_taker_let_go(struct zcdma_session *session, struct zcdma_taker *taker)
{
	bool left_over;

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
