// SPDX-License-Identifier: GPL-2.0
/*
 * Spare requests, and the places in a session's queue.
 *
 * A request that is no more is kept for the next op: some always, and as many as there
 * are places once memory is registered, so that an op on that allocates nothing.
 */
#include <linux/slab.h>
#include "zcdma.h"

/* To be used again. Under session->lock; its memory has been released. */
void zcdma_spare_store(struct zcdma_session *session, struct zcdma_request *req)
{
	list_move(&req->node, &session->spares);
	session->nr_spares++;
}

/* Those beyond what a session should keep, to @surplus. Under session->lock. */
void zcdma_spare_thin_out(struct zcdma_session *session, struct list_head *surplus)
{
	while (zcdma_spares_too_many(session)) {
		list_move(session->spares.next, surplus);
		session->nr_spares--;
	}
}

static void free_all(struct list_head *list)
{
	struct zcdma_request *req, *tmp;

	list_for_each_entry_safe(req, tmp, list, node)
		zcdma_request_free(req);
}

/* There is room for writers, and perhaps nothing more to wait for. */
void zcdma_queue_wake_writers(struct zcdma_session *session)
{
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLOUT | EPOLLWRNORM);
}

/* Places have become free, and these are too many. Without the lock. */
void zcdma_spare_discard(struct zcdma_session *session, struct list_head *surplus)
{
	free_all(surplus);
	zcdma_queue_wake_writers(session);
}

/**
 * zcdma_queue_return() - give places back
 * @session: the session.
 * @batch: requests that are not known to it any more, each with a place; emptied.
 *	Their memory has been released.
 */
void zcdma_queue_return(struct zcdma_session *session, struct list_head *batch)
{
	struct zcdma_request *req, *tmp;
	LIST_HEAD(surplus);

	if (list_empty(batch))
		return;
	spin_lock_irq(&session->lock);
	list_for_each_entry_safe(req, tmp, batch, node) {
		zcdma_spare_store(session, req);
		session->outstanding--;
	}
	zcdma_spare_thin_out(session, &surplus);
	spin_unlock_irq(&session->lock);
	zcdma_spare_discard(session, &surplus);
}

static int alloc_batch(struct list_head *batch, unsigned int nr)
{
	while (nr--) {
		struct zcdma_request *req = zcdma_request_alloc(GFP_KERNEL);

		if (!req)
			return -ENOMEM;
		list_add_tail(&req->node, batch);
	}
	return 0;
}

/**
 * zcdma_queue_stock() - have a request ready for each place
 * @session: attached.
 *
 * So that an op on registered memory allocates nothing. May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int zcdma_queue_stock(struct zcdma_session *session)
{
	LIST_HEAD(batch);
	int err = 0;

	mutex_lock(&session->attaching);
	if (!session->stocked) {
		err = alloc_batch(&batch, session->depth);
		if (!err) {
			spin_lock_irq(&session->lock);
			list_splice_init(&batch, &session->spares);
			session->nr_spares += session->depth;
			session->stocked = true;
			spin_unlock_irq(&session->lock);
		}
	}
	mutex_unlock(&session->attaching);
	free_all(&batch);
	return err;
}

/* At most @want of them, cut off the list at once. Under session->lock. */
static unsigned int take_spares(struct zcdma_session *session, unsigned int want,
				struct list_head *batch)
{
	struct list_head *last = &session->spares;
	unsigned int nr = min(want, session->nr_spares), i;

	for (i = 0; i < nr; i++)
		last = last->next;
	list_cut_position(batch, &session->spares, last);
	session->nr_spares -= nr;
	return nr;
}

/* Places, at most @want, and the spares there are for them. */
static int take_places(struct zcdma_session *session, unsigned int want, struct list_head *batch,
		       unsigned int *places, unsigned int *missing)
{
	unsigned int nr;
	int err;

	spin_lock_irq(&session->lock);
	err = session->err;
	nr = min(want, session->depth - session->outstanding);
	*places = nr;
	if (!err && !nr)
		err = -EAGAIN;
	if (!err) {
		session->outstanding += nr;
		*missing = nr - take_spares(session, nr, batch);
	}
	spin_unlock_irq(&session->lock);
	return err;
}

/**
 * zcdma_queue_reserve() - take places for requests
 * @session: attached.
 * @want: how many, 1 or more; fewer may be had.
 * @batch: receives requests that are to be reset and filled in.
 * @nr: how many they are.
 *
 * May sleep, but not where the session is stocked.
 *
 * Return: 0, -EAGAIN when the queue is full, -ENOMEM, or why the session takes no more.
 */
int zcdma_queue_reserve(struct zcdma_session *session, unsigned int want,
			struct list_head *batch, unsigned int *nr)
{
	unsigned int missing;
	LIST_HEAD(fresh);
	int err = take_places(session, want, batch, nr, &missing);

	if (err)
		return err;
	if (missing && alloc_batch(&fresh, missing)) {
		free_all(&fresh);
		spin_lock_irq(&session->lock);
		session->outstanding -= missing;
		spin_unlock_irq(&session->lock);
		zcdma_queue_wake_writers(session);
		*nr -= missing;
		return *nr ? 0 : -ENOMEM;
	}
	list_splice_tail(&fresh, batch);
	return 0;
}
