// SPDX-License-Identifier: GPL-2.0
/*
 * RELEASING: what is left to do for an op in process context, once no engine has anything of it. By
 * whoever waits for it or reads, or by the cleaner.
 */
#include <linux/slab.h>
#include "queue.h"

/* Ops that are released with one hold of the locks. */
#define RELEASE_BATCH	32

/* Ops for a releaser, who alone touches them until they are DONE. Return: how many. */
static unsigned int queue_hold(struct zc_session *session, struct zc_op **ops)
{
	unsigned int nr = 0;

	spin_lock_irq(&session->lock);
	while (nr < RELEASE_BATCH && !list_empty(&session->releasing)) {
		ops[nr] = list_first_entry(&session->releasing, struct zc_op, node);
		list_move_tail(&ops[nr++]->node, &session->held);
	}
	spin_unlock_irq(&session->lock);
	return nr;
}

/* They are DONE. */
static void queue_all_done(struct zc_session *session, struct zc_op **ops, unsigned int nr)
{
	unsigned int i;

	spin_lock_irq(&session->lock);
	for (i = 0; i < nr; i++)
		zc_queue_done(ops[i]);
	zc_queue_flush(session);
	/* With the lock: as soon as it is dropped the session may leave its engines. */
	if (zc_queue_unblocks(session))
		zc_queue_raise(session);
	if (session->err || session->draining)
		wake_up(&session->wq);
	spin_unlock_irq(&session->lock);
}

/* Return: is it moved by the CPU, and unpinned? Otherwise the cleaner is to do the rest. */
static bool release_finish(struct zc_session *session, struct zc_op *op, bool waits)
{
	if (!op->cpu_done && op->sink && !READ_ONCE(session->closed) && !zc_op_by_cpu(op))
		return false;
	op->cpu_done = true;
	if (!waits)
		return zc_op_try_unpin(op);
	zc_op_unpin(op);
	return true;
}

/*
 * Of those that are held, from @ops on: the first is left to the cleaner, and at a port all behind
 * it, for they complete in their order. Return: how many.
 */
static unsigned int release_leave(struct zc_session *session, struct zc_op **ops, unsigned int nr)
{
	bool later = ops[0]->cpu_done;
	unsigned int i;

	spin_lock_irq(&session->lock);
	if (session->port_ops) {
		for (i = nr; i--; )
			list_move(&ops[i]->node, &session->releasing);
	} else {
		list_move_tail(&ops[0]->node, &session->releasing);
		nr = 1;
	}
	/* When they are there: it may come at once. */
	if (later)
		zc_queue_clean_later(session);
	else
		zc_queue_arm_cleaner(session, true);
	spin_unlock_irq(&session->lock);
	return nr;
}

/* Return: how many are finished; they are first. */
static unsigned int release_finish_all(struct zc_session *session, struct zc_op **ops,
				       unsigned int nr, bool waits)
{
	unsigned int done = 0, i = 0;

	while (i < nr) {
		if (release_finish(session, ops[i], waits))
			ops[done++] = ops[i++];
		else
			i += release_leave(session, ops + i, nr - i);
	}
	return done;
}

/* Ops at a port complete in their order. Return: false if another is at it. */
static bool queue_may_release(struct zc_session *session, bool waits)
{
	if (!session->port_ops)
		return true;
	if (waits ? !mutex_lock_killable(&session->releaser) : mutex_trylock(&session->releaser))
		return true;
	spin_lock_irq(&session->lock);
	zc_queue_clean_later(session);
	spin_unlock_irq(&session->lock);
	return false;
}

/* Not inline: there is none for most who ask. */
static noinline void queue_release(struct zc_session *session, bool waits)
{
	struct zc_op *ops[RELEASE_BATCH] __uninitialized;
	unsigned int nr, done, i;
	bool more;

	if (!queue_may_release(session, waits))
		return;
	do {
		mutex_lock(&session->unmapping);
		nr = queue_hold(session, ops);
		for (i = 0; i < nr; i++)
			zc_op_unmap(ops[i]);
		mutex_unlock(&session->unmapping);
		done = release_finish_all(session, ops, nr, waits);
		/* Some may have to wait; only if all have to is there no use in going on. */
		more = done == nr || (done && !session->port_ops);
		queue_all_done(session, ops, done);
	} while (more && !list_empty_careful(&session->releasing));
	if (session->port_ops)
		mutex_unlock(&session->releaser);
}

/**
 * zc_queue_release() - do what is left for all ops that are RELEASING
 * @session: the session.
 *
 * Unmaps, lets the CPU move its part, unpins. May sleep, for as long as the CPU's part takes,
 * and a file system that has a page; not under a lock of ours.
 */
void zc_queue_release(struct zc_session *session)
{
	if (!list_empty_careful(&session->releasing))
		queue_release(session, true);
}

/* The same, but waits for no file system: the cleaner comes again. */
void zc_queue_try_release(struct zc_session *session)
{
	if (!list_empty_careful(&session->releasing))
		queue_release(session, false);
}

/* Ops that a releaser has. */
struct release_batch {
	struct zc_op *ops[RELEASE_BATCH];
	unsigned int nr;
};

/* One that has something that the engine's device must let go. */
static bool release_hold_mapped(struct zc_op *op, void *arg)
{
	struct release_batch *batch = arg;

	if (op->state == ZC_OP_RELEASING && zc_op_is_mapped(op)) {
		list_move_tail(&op->node, &op->session->held);
		batch->ops[batch->nr++] = op;
	}
	return batch->nr < RELEASE_BATCH;
}

/**
 * zc_queue_unmap() - the provider goes, and nothing of the session is at its engines
 * @session: it has failed.
 *
 * All of it is unmapped. May sleep, but waits for no page.
 */
void zc_queue_unmap(struct zc_session *session)
{
	struct release_batch batch __uninitialized;
	unsigned int i;

	mutex_lock(&session->unmapping);
	do {
		batch.nr = 0;
		zc_queue_walk(session, release_hold_mapped, &batch);
		for (i = 0; i < batch.nr; i++)
			zc_op_unmap(batch.ops[i]);
		spin_lock_irq(&session->lock);
		for (i = 0; i < batch.nr; i++) {
			list_move_tail(&batch.ops[i]->node, &session->releasing);
			if (batch.ops[i]->sink)
				batch.ops[i]->sink->releasing(batch.ops[i]);
			else
				zc_queue_arm_cleaner(session, true);
		}
		spin_unlock_irq(&session->lock);
	} while (batch.nr == RELEASE_BATCH);
	mutex_unlock(&session->unmapping);
	if (session->lease)
		zc_buffers_unmap(&session->buffers, session->lease);
}

/**
 * zc_queue_end_if_over() - nothing of a closed session is left
 * @session: the session; not to be touched afterwards without a reference of one's own.
 *
 * Then the file's reference goes. May sleep.
 */
void zc_queue_end_if_over(struct zc_session *session)
{
	unsigned int i;
	bool over;

	spin_lock_irq(&session->lock);
	over = session->left && !session->over && zc_queue_is_drained(session) &&
	       list_empty(&session->done);
	session->over |= over;
	spin_unlock_irq(&session->lock);
	if (!over)
		return;
	if (session->lease && !zc_buffers_release(&session->buffers, session->lease)) {
		spin_lock_irq(&session->lock);
		session->over = false;
		zc_queue_clean_later(session);
		spin_unlock_irq(&session->lock);
		return;
	}
	for (i = 0; i < session->nr_members; i++)
		zc_engine_leave(&session->members[i]);
	/* Nobody needs these any more, nor the reference that each has. */
	if (cancel_delayed_work(&session->watch))
		zc_session_put(session);
	if (cancel_delayed_work(&session->cleaner))
		zc_session_put(session);
	zc_session_put(session);
}

/*
 * There is a limit to how many of these are at work: none waits for a file system, which need not
 * answer, but comes again.
 */
void zc_queue_cleaner(struct work_struct *work)
{
	struct zc_session *session = container_of(to_delayed_work(work), struct zc_session,
						  cleaner);

	spin_lock_irq(&session->lock);
	session->cleaning = false;
	spin_unlock_irq(&session->lock);
	zc_queue_try_release(session);
	zc_queue_end_if_over(session);
	zc_session_put(session);
}
