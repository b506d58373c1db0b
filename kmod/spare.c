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

static void free_all(struct list_head *list)
{
	struct zcdma_request *req, *tmp;

	list_for_each_entry_safe(req, tmp, list, node)
		zcdma_request_free(req);
}

/* Those beyond what a session should keep. */
void zcdma_spares_thin_out(struct zcdma_session *session)
{
	LIST_HEAD(surplus);

	spin_lock_irq(&session->lock);
	while (zcdma_spares_too_many(session)) {
		list_move(session->spares.next, &surplus);
		session->nr_spares--;
	}
	spin_unlock_irq(&session->lock);
	free_all(&surplus);
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

	if (list_empty(batch))
		return;
	spin_lock_irq(&session->lock);
	list_for_each_entry_safe(req, tmp, batch, node) {
		zcdma_spare_store(session, req);
		session->outstanding--;
	}
	spin_unlock_irq(&session->lock);
	zcdma_places_freed(session);
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

/* The session has too few spares, and may sleep. Not inline: those that wait have one. */
static noinline int alloc_missing(struct zcdma_session *session, unsigned int missing,
				  struct list_head *batch, int nr)
{
	LIST_HEAD(fresh);

	if (!alloc_batch(&fresh, missing)) {
		list_splice_tail(&fresh, batch);
		return nr;
	}
	free_all(&fresh);
	spin_lock_irq(&session->lock);
	session->outstanding -= missing;
	spin_unlock_irq(&session->lock);
	zcdma_queue_wake_writers(session);
	return nr - (int)missing ?: -ENOMEM;
}

/**
 * zcdma_queue_reserve() - take places for requests
 * @session: attached.
 * @want: how many, 1 or more; fewer may be had.
 * @batch: receives requests that are to be reset and filled in.
 *
 * May sleep, but not where the session is stocked.
 *
 * Return: how many they are, -EAGAIN when the queue is full, -ENOMEM, or why the session
 * takes no more.
 */
int zcdma_queue_reserve(struct zcdma_session *session, unsigned int want,
			struct list_head *batch)
{
	unsigned int missing = 0;
	int nr;

	spin_lock_irq(&session->lock);
	nr = session->err;
	if (!nr) {
		nr = min(want, session->depth - session->outstanding);
		session->outstanding += nr;
		missing = nr - take_spares(session, nr, batch);
	}
	spin_unlock_irq(&session->lock);
	if (unlikely(missing))
		return alloc_missing(session, missing, batch, nr);
	return nr ?: -EAGAIN;
}
