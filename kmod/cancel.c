// SPDX-License-Identifier: GPL-2.0
/* How ops end before they are done: cancelled, late, given up, or with their session. */
#include <linux/slab.h>
#include "admit.h"

/* How often to look at an engine that has what is past its deadline. */
#define STALLED_LOOK_NS	(50 * NSEC_PER_MSEC)

/* Those at a port's engine are stopped; of others, only what has not begun. */
static bool cancel_can(const struct zc_op *op)
{
	return !op->res && (op->state == ZC_OP_QUEUED || op->state == ZC_OP_RUNNING) &&
	       (op->slave || !op->handed);
}

struct cancel_search {
	struct zcdma_cancel *what;
	bool found;
};

static bool cancel_op(struct zc_op *op, void *arg)
{
	struct cancel_search *search = arg;
	struct zcdma_cancel *what = search->what;

	/* For the user, what is given up is complete. */
	if (op->state == ZC_OP_ORPHAN ||
	    (!(what->flags & ZCDMA_CANCEL_ALL) && op->want.user_data != what->user_data))
		return true;
	search->found = true;
	if (cancel_can(op)) {
		zc_queue_fail_op(op, -ECANCELED);
		what->out_cancelled++;
	}
	return true;
}

/*
 * All that waits, the youngest first: what is done meanwhile may let the oldest begin, but nothing
 * that comes after an op that was cancelled.
 */
static void cancel_waiting(struct zc_session *session, struct cancel_search *search)
{
	unsigned int left = session->depth, nr;
	struct zc_op *op;

	do {
		spin_lock_irq(&session->lock);
		for (nr = 0; nr < min_t(unsigned int, left, ZC_SLICE); nr++) {
			op = list_last_entry(&session->queue, struct zc_op, node);
			if (list_empty(&session->queue) || !cancel_can(op))
				break;
			cancel_op(op, search);
		}
		zc_queue_flush(session);
		spin_unlock_irq(&session->lock);
		cond_resched();
		left -= nr;
	} while (nr == ZC_SLICE);
}

/* %ZCDMA_IOC_CANCEL */
int zc_queue_cancel(struct zc_session *session, struct zcdma_cancel *what)
{
	struct cancel_search search = { .what = what };
	int err = 0;

	what->out_cancelled = 0;
	if (what->flags & ZCDMA_CANCEL_ALL)
		cancel_waiting(session, &search);
	zc_queue_walk(session, cancel_op, &search);
	if (!what->out_cancelled)
		err = search.found ? -EALREADY : -ENOENT;
	if (!zc_session_lease(session))
		return err;
	if (session->port_ops)
		session->port_ops->look(session);
	/* Pieces that wait for room at the engine are given back, and what was behind goes on. */
	zc_queue_kick(session);
	return err;
}

/**
 * zc_queue_fail() - take no more ops, and hand out no more pieces
 * @session: the session.
 * @err: what becomes of ops that are not complete.
 *
 * Those with pieces at the engine complete when the last one comes back.
 */
void zc_queue_fail(struct zc_session *session, int err)
{
	struct zc_op *op;
	unsigned int nr;

	do {
		spin_lock_irq(&session->lock);
		if (!session->err)
			WRITE_ONCE(session->err, err);
		for (nr = 0; nr < ZC_SLICE; nr++) {
			op = list_first_entry_or_null(&session->queue, struct zc_op, node);
			if (!op)
				break;
			zc_queue_fail_op(op, err);
		}
		zc_queue_flush(session);
		spin_unlock_irq(&session->lock);
		cond_resched();
	} while (nr == ZC_SLICE);
	wake_up_poll(&session->wq, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR);
}

static bool queue_stop_one(struct zc_op *op, void *arg)
{
	if (op->state == ZC_OP_RELEASING && !op->res)
		WRITE_ONCE(op->res, -ECANCELED);
	return true;
}

/**
 * zc_queue_stop_cpu() - nobody will hear of what a CPU moves
 * @session: it is closed: what is not moved yet will not be.
 *
 * A CPU that is at it stops.
 */
void zc_queue_stop_cpu(struct zc_session *session)
{
	zc_queue_walk(session, queue_stop_one, NULL);
}

/*
 * Complete an op, RUNNING and with pieces, though the engine may still write to its memory. The
 * stand-in, which is fresh, completes in its place, with the op's res. Under session->lock.
 */
static void queue_abandon(struct zc_op *op, struct zc_op *stand_in)
{
	struct zc_session *session = op->session;

	zc_op_reset(stand_in, op->lease);
	INIT_LIST_HEAD(&stand_in->node);
	stand_in->session = session;
	stand_in->sink = op->sink;
	stand_in->waiter = op->waiter;
	stand_in->batch = op->batch;
	stand_in->index = op->index;
	stand_in->want = op->want;
	stand_in->deadline = op->deadline;
	stand_in->res = op->res;
	stand_in->flags = op->flags;
	stand_in->failed_at = 0;	/* what comes after it is not certain, either */
	list_add(&stand_in->all, &op->all);	/* whoever has still to see the op sees it, too */
	op->sink = NULL;
	op->state = ZC_OP_ORPHAN;
	list_move_tail(&op->node, &session->orphans);
	session->nr_orphans++;
	zc_queue_done(stand_in);
}

/**
 * zc_queue_abandon() - end one op now, whatever the engine has of it
 * @session: the session; under its lock.
 * @op: QUEUED, RUNNING or RELEASING.
 * @stand_in: fresh; to complete in its place, if need be.
 *
 * Return: was the stand-in needed?
 */
bool zc_queue_abandon(struct zc_session *session, struct zc_op *op, struct zc_op *stand_in)
{
	bool ends = op->state == ZC_OP_QUEUED || op->state == ZC_OP_RUNNING;
	bool stays = ends && op->pieces && !op->slave;

	/* Without pieces it is nobody's afterwards. */
	if (ends)
		zc_queue_fail_op(op, -ECANCELED);
	else if (!op->res)
		WRITE_ONCE(op->res, -ECANCELED);	/* a CPU that is at it stops */
	if (stays)
		queue_abandon(op, stand_in);
	zc_queue_flush(session);
	return stays;
}

struct abandon_search {
	const struct zc_lease *port;
	u64 now;
	struct zc_op *stand_in;		/* NULL when it was used */
};

/* If it has failed, and is to complete though it is at an engine: see below. */
static bool queue_abandon_one(struct zc_op *op, void *arg)
{
	struct abandon_search *search = arg;

	if (op->state == ZC_OP_RUNNING && op->res && op->pieces &&
	    (search->port ? op->slave && op->lease == search->port :
			    !op->slave && op->deadline <= search->now)) {
		queue_abandon(op, search->stand_in);
		search->stand_in = NULL;
	}
	return search->stand_in;
}

/*
 * Ops that have failed and that an engine keeps, no more than it has slots: those at a port's
 * channel, or, without one, those past their deadline. In process context.
 */
static void queue_abandon_all(struct zc_session *session, const struct zc_lease *port, u64 now)
{
	struct abandon_search search = { .port = port, .now = now };

	while (!search.stand_in) {
		search.stand_in = zc_op_alloc(GFP_KERNEL | __GFP_NOFAIL);
		zc_queue_walk(session, queue_abandon_one, &search);
	}
	zc_op_free(search.stand_in);
}

/* What has failed at a port's channel, and cannot be stopped there, completes. May sleep. */
void zc_queue_give_up(struct zc_session *session, const struct zc_lease *port)
{
	queue_abandon_all(session, port, 0);
}

/* What a look at the deadlines found. */
struct watch_seen {
	u64 now;
	bool any;			/* there are ops to watch */
	bool stuck;			/* one is past its deadline and has pieces */
	bool failed;			/* some are over; what they held back may begin */
	u64 next;			/* when to look again */
};

static void watch_again(struct watch_seen *seen, u64 when)
{
	if (!seen->any || when < seen->next)
		seen->next = when;
	seen->any = true;
}

static bool watch_op(struct zc_op *op, void *arg)
{
	struct watch_seen *seen = arg;

	if (op->state == ZC_OP_RELEASING || op->state == ZC_OP_DONE)
		return true;
	if (seen->now < op->deadline) {
		watch_again(seen, op->deadline);
		return true;
	}
	seen->stuck |= op->pieces;
	if (!op->res) {
		zc_queue_fail_op(op, -ETIMEDOUT);
		seen->failed = true;
	}
	return true;
}

/* Return: false when an engine has what is past its deadline, and keeps it. */
static bool watch_engines(struct zc_session *session, u64 now)
{
	bool ret = true;
	unsigned int i;

	for (i = 0; i < session->nr_members; i++)
		ret &= zc_engine_expire(session->members[i].engine, now);
	return ret;
}

/* Fails what is past its deadline, and has a hung engine stopped. */
void zc_queue_watch(struct work_struct *work)
{
	struct zc_session *session = container_of(to_delayed_work(work), struct zc_session, watch);
	struct watch_seen seen = { .now = ktime_get_ns() };

	spin_lock_irq(&session->lock);
	session->watching = false;
	spin_unlock_irq(&session->lock);
	zc_queue_walk(session, watch_op, &seen);
	if (seen.stuck) {
		if (!watch_engines(session, seen.now))
			queue_abandon_all(session, NULL, seen.now);
		watch_again(&seen, seen.now + STALLED_LOOK_NS);
	}
	if (session->port_ops)
		session->port_ops->look(session);
	spin_lock_irq(&session->lock);
	if (seen.any && !zc_queue_is_idle(session))
		zc_queue_watch_from(session, seen.next);
	/* With the lock: as soon as it is dropped the session may leave its engines. */
	if (zc_queue_unblocks(session) || (seen.failed && !session->err))
		zc_queue_raise(session);
	spin_unlock_irq(&session->lock);
	zc_session_put(session);
}
