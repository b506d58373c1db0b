// SPDX-License-Identifier: GPL-2.0
/*
 * The way of requests through their session.
 *
 *	reserve -> add -> queue --cut--> active --last piece back--> done -> dispose
 *		           |		   |			      ^
 *		           +-- cancelled --+-- deadline, loss --------+
 *
 * - A request takes one of the session's "depth" places before anything else is
 *   done for it, and gives it back when its completion was taken. Room for the
 *   completion is the request itself, so none can be lost.
 *
 * - It completes once: finish() is called under session->lock, and "finished"
 *   says whether it was.
 *
 * - finish() waits for the last piece, because until then the engine may write
 *   to the memory. The one exception is an engine that cannot be stopped: there
 *   give_up() completes a request whose deadline has passed. Its memory stays
 *   as it is, and the request goes to "late" when its completion is read, until
 *   the engine or the channel's release gives back the last piece.
 *
 * - Whoever takes a completion cleans up: unmapping and unpinning may sleep, and
 *   the callback must not. Where nobody comes, the janitor does it a little
 *   later, so memory is not held for long; at once when nobody can come.
 */
#include <linux/slab.h>
#include "zcdma.h"

#define SWEEP_AFTER	msecs_to_jiffies(100)

/* A work that is pending holds the session. */
static void arm(struct zcdma_session *session, struct delayed_work *work, unsigned long delay)
{
	zcdma_session_get(session);
	if (mod_delayed_work(zcdma_wq, work, delay))
		zcdma_session_put(session);
}

static void arm_janitor(struct zcdma_session *session)
{
	if (session->sweeping && !session->closed)
		return;
	session->sweeping = true;
	arm(session, &session->janitor, session->closed ? 0 : SWEEP_AFTER);
}

/* Make sure the watch looks at @deadline at the latest. */
static void watch_from(struct zcdma_session *session, unsigned long deadline)
{
	unsigned long now = jiffies;

	if (session->watching && !time_before(deadline, session->watch_at))
		return;
	session->watching = true;
	session->watch_at = deadline;
	arm(session, &session->watch, time_after(deadline, now) ? deadline - now : 0);
}

static void wake_readers(struct zcdma_session *session)
{
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLRDNORM |
			     (session->err ? EPOLLHUP | EPOLLERR : 0));
}

/* The one completion of a request. Under session->lock. */
static void finish(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;
	struct zcdma_wait *wait = req->wait;

	req->finished = true;
	req->wait = NULL;
	if (wait && wait->collect) {
		list_move_tail(&req->node, &wait->done);
	} else {
		list_move_tail(&req->node, &session->done);
		arm_janitor(session);
		wake_readers(session);
	}
	if (wait && !--wait->left)
		complete(&wait->all);
}

/* A piece came back, or none will go out: is that all? Under session->lock. */
static void settle(struct zcdma_request *req)
{
	if (req->pending)
		return;
	if (req->finished)
		arm_janitor(req->session);
	else if (req->res || req->next == req->body)
		finish(req);
}

/* No more pieces of it go out. The first error counts. Under session->lock. */
static void fail(struct zcdma_request *req, int err)
{
	if (!req->res) {
		req->res = err;
		list_move_tail(&req->node, &req->session->active);
	}
	settle(req);
}

/**
 * zcdma_queue_reserve() - take a place for one request
 * @session: attached.
 *
 * Return: 0, -EAGAIN when the queue is full, or why the session takes no more.
 */
int zcdma_queue_reserve(struct zcdma_session *session)
{
	unsigned long irq;
	int err;

	spin_lock_irqsave(&session->lock, irq);
	err = session->err;
	if (!err && session->outstanding >= session->depth)
		err = -EAGAIN;
	if (!err)
		session->outstanding++;
	spin_unlock_irqrestore(&session->lock, irq);
	return err;
}

/* Give the place back. */
void zcdma_queue_unreserve(struct zcdma_session *session)
{
	unsigned long irq;

	spin_lock_irqsave(&session->lock, irq);
	session->outstanding--;
	spin_unlock_irqrestore(&session->lock, irq);
	/* There is room for writers, and perhaps nothing more to wait for. */
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLOUT | EPOLLWRNORM);
}

/**
 * zcdma_queue_add() - put a request into the queue
 * @session: its session, with a place reserved.
 * @req: from now on completes by itself.
 *
 * Return: 0, or why the session takes no more; then @req is still the caller's.
 */
int zcdma_queue_add(struct zcdma_session *session, struct zcdma_request *req)
{
	unsigned long irq;
	int err;

	spin_lock_irqsave(&session->lock, irq);
	err = session->err;
	if (!err) {
		if (req->wait)
			req->wait->left++;
		list_add_tail(&req->node, &session->queue);
		watch_from(session, req->deadline);
	}
	spin_unlock_irqrestore(&session->lock, irq);
	return err;
}

/**
 * zcdma_queue_cut() - the next piece of a session
 * @session: whose turn it is.
 * @slot: receives the piece.
 *
 * Return: false when the session has nothing to hand out.
 */
bool zcdma_queue_cut(struct zcdma_session *session, struct zcdma_slot *slot)
{
	struct zcdma_request *req;
	bool found = false;

	spin_lock(&session->lock);
	while (!found && (req = list_first_entry_or_null(&session->queue,
							 struct zcdma_request, node))) {
		found = req->next < req->body;
		if (found)
			zcdma_request_cut(req, slot);
		if (req->next == req->body) {
			list_move_tail(&req->node, &session->active);
			settle(req);
		}
	}
	spin_unlock(&session->lock);
	return found;
}

/**
 * zcdma_piece_split() - make two pieces out of one
 * @slot: the piece; keeps the first @len bytes.
 * @rest: a free slot; receives the others.
 * @len: less than the piece is long.
 */
void zcdma_piece_split(struct zcdma_slot *slot, struct zcdma_slot *rest, size_t len)
{
	struct zcdma_request *req = slot->req;

	rest->req = req;
	rest->offset = slot->offset + len;
	rest->len = slot->len - len;
	rest->dst = slot->dst + len;
	rest->src = slot->src;
	if (req->opcode == ZCDMA_OP_COPY)
		rest->src += len;
	slot->len = len;

	spin_lock(&req->session->lock);
	req->pending++;
	spin_unlock(&req->session->lock);
}

/* The engine is done with a piece. */
void zcdma_piece_done(struct zcdma_slot *slot, struct zcdma_request *req, u32 flags)
{
	spin_lock(&req->session->lock);
	req->pending--;
	req->flags |= flags;
	settle(req);
	spin_unlock(&req->session->lock);
}

/* The engine is done with a piece, and it went wrong, or it refused it. */
void zcdma_piece_failed(struct zcdma_slot *slot, struct zcdma_request *req, u32 flags)
{
	struct zcdma_session *session = req->session;

	spin_lock(&session->lock);
	req->pending--;
	req->flags |= flags;
	req->failed_at = min(req->failed_at, slot->offset);
	if (req->finished)
		settle(req);
	else
		fail(req, -EIO);
	spin_unlock(&session->lock);
}

/*
 * The engine was stopped before it was done with a piece. If neither its request
 * nor its session is to blame it runs again: from the first byte that is not
 * certainly there, and before the session's other requests. Copying twice is
 * harmless.
 */
void zcdma_piece_back(struct zcdma_slot *slot, struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;

	spin_lock(&session->lock);
	req->pending--;
	if (!req->res)
		req->res = session->err;
	if (req->res) {
		req->failed_at = min(req->failed_at, slot->offset);
		settle(req);
	} else {
		zcdma_request_rewind(req, min(req->next, slot->offset));
		list_move(&req->node, &session->queue);
	}
	spin_unlock(&session->lock);
}

static bool begun(const struct zcdma_request *req)
{
	return req->next || req->pending;
}

static bool meant(const struct zcdma_request *req, const struct zcdma_cancel *what)
{
	return (what->flags & ZCDMA_CANCEL_ALL) || req->user_data == what->user_data;
}

static bool any_meant(struct list_head *list, const struct zcdma_cancel *what)
{
	struct zcdma_request *req;

	list_for_each_entry(req, list, node)
		if (meant(req, what))
			return true;
	return false;
}

/* %ZCDMA_IOC_CANCEL */
int zcdma_queue_cancel(struct zcdma_session *session, struct zcdma_cancel *what)
{
	struct zcdma_request *req, *tmp;
	int err = 0;

	spin_lock_irq(&session->lock);
	list_for_each_entry_safe(req, tmp, &session->queue, node) {
		if (begun(req) || !meant(req, what))
			continue;
		fail(req, -ECANCELED);
		what->out_cancelled++;
	}
	if (!what->out_cancelled)
		err = any_meant(&session->queue, what) || any_meant(&session->active, what) ||
		      any_meant(&session->done, what) ? -EALREADY : -ENOENT;
	spin_unlock_irq(&session->lock);
	return err;
}

/**
 * zcdma_queue_fail() - take no more requests, and hand out no more pieces
 * @session: the session.
 * @err: what becomes of requests that are not complete.
 *
 * Those with pieces at the engine complete when the last one comes back.
 */
void zcdma_queue_fail(struct zcdma_session *session, int err)
{
	struct zcdma_request *req, *tmp;

	spin_lock_irq(&session->lock);
	if (!session->err)
		session->err = err;
	list_for_each_entry_safe(req, tmp, &session->queue, node)
		fail(req, err);
	spin_unlock_irq(&session->lock);
	wake_up_poll(&session->wq, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR);
}

/**
 * zcdma_wait_begin() - be somebody that requests can point to
 * @session: the session.
 * @wait: on the caller's stack, until zcdma_wait_end().
 * @collect: what finishes is for the waiter and not for read().
 */
void zcdma_wait_begin(struct zcdma_session *session, struct zcdma_wait *wait, bool collect)
{
	wait->collect = collect;
	wait->left = 0;
	INIT_LIST_HEAD(&wait->done);
	init_completion(&wait->all);
	spin_lock_irq(&session->lock);
	list_add(&wait->node, &session->waits);
	spin_unlock_irq(&session->lock);
}

/**
 * zcdma_wait_collect() - clean up after what has finished for a waiter
 * @session: the session.
 * @wait: all its requests have finished.
 *
 * To be done before any user memory is touched: an unbind may wait for it.
 */
void zcdma_wait_collect(struct zcdma_session *session, struct zcdma_wait *wait)
{
	struct zcdma_request *req;

	mutex_lock(&session->reaping);
	list_for_each_entry(req, &wait->done, node)
		if (!READ_ONCE(req->pending))
			zcdma_request_clean(req);
	mutex_unlock(&session->reaping);
}

static void let_go(struct list_head *list, struct zcdma_wait *wait)
{
	struct zcdma_request *req;

	list_for_each_entry(req, list, node)
		if (req->wait == wait)
			req->wait = NULL;
}

/**
 * zcdma_wait_end() - nobody waits any more
 * @session: the session.
 * @wait: not pointed at afterwards. What was not taken from it comes by read().
 */
void zcdma_wait_end(struct zcdma_session *session, struct zcdma_wait *wait)
{
	bool left_over;

	mutex_lock(&session->reaping);
	spin_lock_irq(&session->lock);
	if (wait->left) {
		let_go(&session->queue, wait);
		let_go(&session->active, wait);
	}
	left_over = !list_empty(&wait->done);
	if (left_over)
		arm_janitor(session);
	list_splice_tail_init(&wait->done, &session->done);
	list_del(&wait->node);
	spin_unlock_irq(&session->lock);
	mutex_unlock(&session->reaping);
	if (left_over)
		wake_readers(session);
}

/* What a look at the deadlines found. */
struct expiry {
	bool any;			/* there are requests to watch */
	bool stuck;			/* one is past its deadline and at the engine */
	unsigned long next;		/* when to look again */
};

static void look_again(struct expiry *seen, unsigned long when)
{
	if (!seen->any || time_before(when, seen->next))
		seen->next = when;
	seen->any = true;
}

static void expire_list(struct list_head *list, struct expiry *seen)
{
	struct zcdma_request *req, *tmp;

	list_for_each_entry_safe(req, tmp, list, node) {
		if (time_before(jiffies, req->deadline)) {
			look_again(seen, req->deadline);
		} else {
			if (req->pending)
				seen->stuck = true;
			fail(req, -ETIMEDOUT);
		}
	}
}

/* Complete what is past its deadline though the engine may still write to it. */
static void give_up(struct zcdma_session *session)
{
	struct zcdma_request *req, *tmp;

	spin_lock_irq(&session->lock);
	list_for_each_entry_safe(req, tmp, &session->active, node)
		if (req->res)
			finish(req);
	spin_unlock_irq(&session->lock);
}

/* Has the engine nothing more to do for this session? Under session->lock. */
bool zcdma_queue_idle(struct zcdma_session *session)
{
	return list_empty(&session->queue) && list_empty(&session->active) &&
	       list_empty(&session->late);
}

/* The watch: fails what is past its deadline, and has a hung engine stopped. */
void zcdma_queue_watch(struct work_struct *work)
{
	struct zcdma_session *session = container_of(to_delayed_work(work),
						     struct zcdma_session, watch);
	struct expiry seen = {};
	unsigned long again;

	spin_lock_irq(&session->lock);
	session->watching = false;
	expire_list(&session->active, &seen);
	expire_list(&session->queue, &seen);
	spin_unlock_irq(&session->lock);

	if (seen.stuck) {
		again = jiffies + ZCDMA_STALLED;
		if (!zcdma_chan_expire(session->chan, &again))
			give_up(session);
		look_again(&seen, again);
	}
	spin_lock_irq(&session->lock);
	if (seen.any && !zcdma_queue_idle(session))
		watch_from(session, seen.next);
	spin_unlock_irq(&session->lock);
	zcdma_session_put(session);
}

/**
 * zcdma_queue_report() - the completion of a request
 * @req: finished and off its list.
 * @out: receives it.
 *
 * Cleans up first, unless the engine has not let go. May sleep.
 */
void zcdma_queue_report(struct zcdma_request *req, struct zcdma_completion *out)
{
	struct zcdma_session *session = req->session;
	unsigned int pending;

	spin_lock_irq(&session->lock);
	pending = req->pending;
	spin_unlock_irq(&session->lock);
	if (!pending)
		zcdma_request_clean(req);
	*out = (struct zcdma_completion) {
		.user_data = req->user_data,
		.done = zcdma_request_done(req),
		.res = req->res,
		.flags = req->flags,
	};
}

/**
 * zcdma_queue_dispose() - the user has the completion
 * @req: off its list; gone afterwards, with its place in the queue.
 *
 * May sleep.
 */
void zcdma_queue_dispose(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;
	bool late;

	spin_lock_irq(&session->lock);
	late = req->pending;
	if (late)
		list_add_tail(&req->node, &session->late);
	spin_unlock_irq(&session->lock);
	zcdma_queue_unreserve(session);
	if (late)
		return;
	zcdma_request_clean(req);
	zcdma_request_free(req);
}
