// SPDX-License-Identifier: GPL-2.0
/*
 * Places in a session's queue, and FREE ops; and the end of a session, with its last reference.
 *
 * An op that is no more is kept for the next one: some always, and as many as there are places once
 * memory is registered, so that an op on that allocates nothing.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "queue.h"

/* What it takes to deal with an op, beside passing over one that is FREE. */
#define WALK_COST	16

/* FREE ops that an idle session keeps, at most. */
#define SPARES		32

/* FREE, and not needed. Under session->lock. */
static void queue_free(struct zc_session *session, struct zc_op *op)
{
	if (session->cursor == &op->all)
		session->cursor = op->all.next;
	list_del(&op->all);
	list_del(&op->node);
	zc_op_free(op);
}

/* FREE again. Under session->lock. */
void zc_queue_spare(struct zc_session *session, struct zc_op *op)
{
	op->state = ZC_OP_FREE;
	if (session->nr_free >= (session->stocked ? session->depth : SPARES)) {
		queue_free(session, op);
		return;
	}
	list_move(&op->node, &session->free);
	session->nr_free++;
}

/* Buffers need not wait for it any more, nor the port. Under session->lock. */
void zc_queue_put_memory(struct zc_op *op)
{
	if (op->slave)
		op->session->port_ops->put(op);
	if (op->dst_buffer)
		op->dst_buffer->users--;
	if (op->src_buffer)
		op->src_buffer->users--;
	op->slave = NULL;
	op->dst_buffer = NULL;
	op->src_buffer = NULL;
}

/* Its completion was taken, or nobody wants it. Under session->lock. */
void zc_queue_put(struct zc_op *op)
{
	zc_queue_put_memory(op);
	zc_queue_spare(op->session, op);
}

/* The same of a list of @nr, which is empty afterwards. */
void zc_queue_put_list(struct zc_session *session, struct list_head *list, unsigned int nr)
{
	unsigned int most = session->stocked ? session->depth : SPARES;
	struct zc_op *op;

	list_for_each_entry(op, list, node) {
		op->state = ZC_OP_FREE;
		if (op->slave)
			session->port_ops->put(op);
		if (op->dst_buffer)
			op->dst_buffer->users--;
		if (op->src_buffer)
			op->src_buffer->users--;
	}
	list_splice_init(list, &session->free);
	for (session->nr_free += nr; session->nr_free > most; session->nr_free--) {
		op = list_first_entry(&session->free, struct zc_op, node);
		queue_free(session, op);
	}
}

void zc_queue_free_list(struct list_head *list)
{
	struct zc_op *op, *tmp;

	list_for_each_entry_safe(op, tmp, list, node)
		zc_op_free(op);
}

/* They are the session's when both lists are. */
static int queue_alloc(struct zc_session *session, struct list_head *batch, struct list_head *all,
		       unsigned int nr)
{
	while (nr--) {
		struct zc_op *op = zc_op_alloc(GFP_KERNEL);

		if (!op)
			return -ENOMEM;
		op->session = session;
		op->state = ZC_OP_FREE;		/* whoever walks passes it over */
		list_add_tail(&op->node, batch);
		list_add_tail(&op->all, all);
	}
	return 0;
}

/**
 * zc_queue_stock() - have an op ready for each place
 * @session: attached.
 *
 * So that an op on registered memory allocates nothing. May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int zc_queue_stock(struct zc_session *session)
{
	LIST_HEAD(batch);
	LIST_HEAD(all);
	int err = 0;

	mutex_lock(&session->attaching);
	if (!session->stocked) {
		err = queue_alloc(session, &batch, &all, session->depth);
		if (!err) {
			spin_lock_irq(&session->lock);
			list_splice(&all, &session->all);
			list_splice_init(&batch, &session->free);
			session->nr_free += session->depth;
			session->stocked = true;
			spin_unlock_irq(&session->lock);
		}
	}
	mutex_unlock(&session->attaching);
	zc_queue_free_list(&batch);
	return err;
}

/* At most @want of them, cut off the list at once. Under session->lock. */
static unsigned int queue_take_spares(struct zc_session *session, unsigned int want,
				      struct list_head *batch)
{
	struct list_head *last = &session->free;
	unsigned int nr = min(want, session->nr_free), i;

	for (i = 0; i < nr; i++)
		last = last->next;
	list_cut_position(batch, &session->free, last);
	session->nr_free -= nr;
	return nr;
}

/* The session has too few spares, and may sleep. Not inline: those that wait have one. */
static noinline int queue_alloc_missing(struct zc_session *session, unsigned int missing,
					struct list_head *batch, int nr)
{
	LIST_HEAD(fresh);
	LIST_HEAD(all);
	int err = queue_alloc(session, &fresh, &all, missing);

	spin_lock_irq(&session->lock);
	if (err)
		session->outstanding -= missing;
	else
		list_splice(&all, &session->all);
	spin_unlock_irq(&session->lock);
	if (!err) {
		list_splice_tail(&fresh, batch);
		return nr;
	}
	zc_queue_free_list(&fresh);
	zc_queue_wake_writers(session);
	return nr - (int)missing ?: -ENOMEM;
}

/**
 * zc_queue_reserve() - take places for ops
 * @session: attached.
 * @want: how many, 1 or more; fewer may be had.
 * @batch: receives ops that are to be reset and filled in.
 *
 * May sleep, but not where the session is stocked.
 *
 * Return: how many they are, -EAGAIN when the queue is full, -ENOMEM, or why the session
 * takes no more.
 */
int zc_queue_reserve(struct zc_session *session, unsigned int want, struct list_head *batch)
{
	unsigned int missing = 0, used;
	int nr;

	spin_lock_irq(&session->lock);
	nr = session->err;
	if (!nr) {
		used = min(session->outstanding + session->nr_orphans, session->depth);
		nr = min(want, session->depth - used);
		session->outstanding += nr;
		missing = nr - queue_take_spares(session, nr, batch);
	}
	spin_unlock_irq(&session->lock);
	if (unlikely(missing))
		return queue_alloc_missing(session, missing, batch, nr);
	return nr ?: -EAGAIN;
}

/**
 * zc_queue_return() - give places back
 * @session: the session.
 * @batch: NEW ops, whose memory has been released; emptied.
 */
void zc_queue_return(struct zc_session *session, struct list_head *batch)
{
	struct zc_op *op, *tmp;

	if (list_empty(batch))
		return;
	spin_lock_irq(&session->lock);
	list_for_each_entry_safe(op, tmp, batch, node) {
		zc_queue_spare(session, op);
		session->outstanding--;
	}
	spin_unlock_irq(&session->lock);
	zc_queue_wake_writers(session);
}

/**
 * zc_queue_walk() - look at each op that is neither FREE nor NEW
 * @session: the session.
 * @fn: called under session->lock. Return: go on?
 * @arg: for @fn.
 *
 * In no particular order, a few under each hold of the lock. New ops are put before all others, so
 * a walk does not see those that come meanwhile, and ends. May sleep, but not for long.
 */
void zc_queue_walk(struct zc_session *session, bool (*fn)(struct zc_op *op, void *arg), void *arg)
{
	unsigned int cost;
	bool more = true;

	mutex_lock(&session->walking);
	spin_lock_irq(&session->lock);
	session->cursor = session->all.next;
	for (;;) {
		for (cost = 0; more && session->cursor != &session->all; ) {
			struct zc_op *op = list_entry(session->cursor, struct zc_op, all);

			if (cost >= ZC_SLICE * WALK_COST)
				break;
			session->cursor = op->all.next;
			if (op->state == ZC_OP_FREE || op->state == ZC_OP_NEW) {
				cost++;
			} else {
				more = fn(op, arg);
				cost += WALK_COST;
			}
		}
		zc_queue_flush(session);
		if (!more || session->cursor == &session->all)
			break;
		spin_unlock_irq(&session->lock);
		cond_resched();
		spin_lock_irq(&session->lock);
	}
	session->cursor = NULL;
	spin_unlock_irq(&session->lock);
	mutex_unlock(&session->walking);
}

/* The last reference may be that of one of our works: the module waits for those when it goes. */
static void session_destroy(struct kref *ref)
{
	struct zc_session *session = container_of(ref, struct zc_session, ref);
	unsigned int i;

	for (i = 0; i < session->nr_members; i++)
		zc_lease_put(&session->members[i].engine->lease);
	if (session->port_ops)
		session->port_ops->free(session);
	zc_queue_free_list(&session->free);
	kfree(session->members);
	kfree(session);
	module_put(THIS_MODULE);
}

void zc_session_put(struct zc_session *session)
{
	kref_put(&session->ref, session_destroy);
}
