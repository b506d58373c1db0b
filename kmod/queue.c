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

/* How often to look at an engine that has what is past its deadline, and gets on. */
#define STALLED_LOOK_NS	(50 * NSEC_PER_MSEC)

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
static void watch_from(struct zcdma_session *session, u64 deadline)
{
	u64 now;

	if (session->watching && deadline >= session->watch_at)
		return;
	session->watching = true;
	session->watch_at = deadline;
	now = ktime_get_ns();
	arm(session, &session->watch, deadline > now ? nsecs_to_jiffies(deadline - now) + 1 : 0);
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
	struct zcdma_taker *taker = req->taker;

	req->finished = true;
	req->taker = NULL;
	if (taker && taker->collect) {
		list_move_tail(&req->node, &taker->done);
	} else {
		list_move_tail(&req->node, &session->done);
		arm_janitor(session);
		wake_readers(session);
	}
	if (taker && !--taker->left)
		complete(&taker->all);
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
		if (req->taker)
			req->taker->left++;
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

/* %ZCDMA_IOC_CANCEL, once nothing of the session is parked at its channel. */
int zcdma_queue_cancel(struct zcdma_session *session, struct zcdma_cancel *what)
{
	struct zcdma_request *req, *tmp;
	int err = 0;

	what->out_cancelled = 0;
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
 * zcdma_taker_begin() - take completions
 * @session: the session.
 * @taker: on the caller's stack, until zcdma_taker_end().
 * @collect: requests that point to it are for it and not for read().
 */
void zcdma_taker_begin(struct zcdma_session *session, struct zcdma_taker *taker, bool collect)
{
	taker->collect = collect;
	taker->left = 0;
	INIT_LIST_HEAD(&taker->done);
	init_completion(&taker->all);
	spin_lock_irq(&session->lock);
	list_add(&taker->node, &session->takers);
	spin_unlock_irq(&session->lock);
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

	mutex_lock(&session->reaping);
	list_for_each_entry(req, &taker->done, node)
		if (!READ_ONCE(req->pending))
			zcdma_request_clean(req);
	mutex_unlock(&session->reaping);
}

/* The user has the completion. Off its list; gone afterwards. Under session->reaping. */
static void dispose(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;
	bool late;

	spin_lock_irq(&session->lock);
	late = req->pending;
	list_del(&req->node);
	if (late)
		list_add_tail(&req->node, &session->late);
	spin_unlock_irq(&session->lock);
	zcdma_queue_unreserve(session);
	if (late)
		return;
	zcdma_request_clean(req);
	zcdma_request_free(req);
}

/**
 * zcdma_taker_dispose() - the user has the completions
 * @session: the session.
 * @taker: the taker.
 * @nr: the first so many of what it has.
 */
void zcdma_taker_dispose(struct zcdma_session *session, struct zcdma_taker *taker,
			 unsigned int nr)
{
	mutex_lock(&session->reaping);
	while (nr--)
		dispose(list_first_entry(&taker->done, struct zcdma_request, node));
	mutex_unlock(&session->reaping);
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

	mutex_lock(&session->reaping);
	spin_lock_irq(&session->lock);
	if (taker->left) {
		let_go(&session->queue, taker);
		let_go(&session->active, taker);
	}
	left_over = !list_empty(&taker->done);
	if (left_over)
		arm_janitor(session);
	list_splice(&taker->done, &session->done);
	list_del(&taker->node);
	spin_unlock_irq(&session->lock);
	mutex_unlock(&session->reaping);
	if (left_over)
		wake_readers(session);
}

/* What a look at the deadlines found. */
struct expiry {
	bool any;			/* there are requests to watch */
	bool stuck;			/* one is past its deadline and at the engine */
	u64 next;			/* when to look again */
};

static void look_again(struct expiry *seen, u64 when)
{
	if (!seen->any || when < seen->next)
		seen->next = when;
	seen->any = true;
}

static void expire_list(struct list_head *list, u64 now, struct expiry *seen)
{
	struct zcdma_request *req, *tmp;

	list_for_each_entry_safe(req, tmp, list, node) {
		if (now < req->deadline) {
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
	u64 now = ktime_get_ns();
	struct expiry seen = {};

	spin_lock_irq(&session->lock);
	session->watching = false;
	expire_list(&session->active, now, &seen);
	expire_list(&session->queue, now, &seen);
	spin_unlock_irq(&session->lock);

	if (seen.stuck) {
		if (!zcdma_chan_expire(session->chan))
			give_up(session);
		look_again(&seen, now + STALLED_LOOK_NS);
	}
	spin_lock_irq(&session->lock);
	if (seen.any && !zcdma_queue_idle(session))
		watch_from(session, seen.next);
	spin_unlock_irq(&session->lock);
	zcdma_session_put(session);
}

/**
 * zcdma_queue_report() - the completion of a request
 * @req: finished, and nobody else takes it.
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
		/* What the engine still has is not certain, nor is what comes after it. */
		.done = pending ? 0 : zcdma_request_done(req),
		.res = req->res,
		.flags = req->flags,
	};
}
