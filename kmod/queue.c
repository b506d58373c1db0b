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
	bool at_once = session->closed || session->blocked;

	if (session->sweeping && !at_once)
		return;
	session->sweeping = true;
	arm(session, &session->janitor, at_once ? 0 : SWEEP_AFTER);
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

/* To whom it may concern. Under session->lock. */
static void announce(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;
	struct zcdma_taker *taker = req->taker;

	req->taker = NULL;
	if (req->uring) {
		list_move_tail(&req->node, &session->rings);
		zcdma_uring_finished(req);
	} else if (taker && taker->collect) {
		list_move_tail(&req->node, &taker->done);
		taker->dirty |= !req->clean;
	} else {
		list_move_tail(&req->node, &session->done);
		wake_readers(session);
	}
	if (taker && !--taker->left)
		complete(&taker->all);
}

/*
 * The one completion of a request. Under session->lock. The janitor is called where
 * nobody else may come to clean up, and where a barrier waits: it lets it go.
 */
static void finish(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;
	bool collected = req->uring || (req->taker && req->taker->collect);

	if (req->quick && !req->pending && !req->clean)
		zcdma_request_clean_quick(req);
	session->dirty += !req->clean;
	req->finished = true;
	announce(req);
	if ((!req->clean && !collected) || session->closed ||
	    (session->blocked && list_empty(&session->active)))
		arm_janitor(session);
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

/* ---- requests that are none yet, or no more ---- */

/* To be used again. Under session->lock; its memory has been released. */
static void store(struct zcdma_session *session, struct zcdma_request *req)
{
	list_move(&req->node, &session->spares);
	session->nr_spares++;
}

/* Those beyond what a session should keep, to @surplus. Under session->lock. */
static void thin_out(struct zcdma_session *session, struct list_head *surplus)
{
	unsigned int keep = session->stocked ? session->depth : ZCDMA_WINDOW;

	while (session->nr_spares > keep) {
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
static void wake_writers(struct zcdma_session *session)
{
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLOUT | EPOLLWRNORM);
}

/* Places have become free. Called with session->lock held, and releases it. */
static void disposed(struct zcdma_session *session)
	__releases(&session->lock)
{
	LIST_HEAD(surplus);

	thin_out(session, &surplus);
	spin_unlock_irq(&session->lock);
	free_all(&surplus);
	wake_writers(session);
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
		store(session, req);
		session->outstanding--;
	}
	disposed(session);
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
		wake_writers(session);
		*nr -= missing;
		return *nr ? 0 : -ENOMEM;
	}
	list_splice_tail(&fresh, batch);
	return 0;
}

/**
 * zcdma_queue_find_buffers() - the registered memory of each of a batch
 * @session: its session.
 * @batch: requests. Those from the first on that cannot be done go to @rest.
 * @rest: receives them.
 *
 * Return: 0, or what is wrong with the first in @rest.
 */
int zcdma_queue_find_buffers(struct zcdma_session *session, struct list_head *batch,
			     struct list_head *rest)
{
	struct zcdma_request *req;
	int err;

	spin_lock_irq(&session->lock);
	err = session->err;
	list_for_each_entry(req, batch, node) {
		err = err ?: zcdma_request_find_buffers(req);
		if (err) {
			list_cut_before(rest, batch, &req->node);
			list_swap(rest, batch);
			break;
		}
	}
	spin_unlock_irq(&session->lock);
	return err;
}

/**
 * zcdma_queue_add() - put requests into the queue
 * @session: their session.
 * @batch: emptied; they complete by themselves from now on.
 *
 * To be followed by zcdma_session_kick().
 *
 * Return: 0, or why the session takes no more; then @batch is still the caller's.
 */
int zcdma_queue_add(struct zcdma_session *session, struct list_head *batch)
{
	struct zcdma_request *req;
	int err;

	spin_lock_irq(&session->lock);
	err = session->err;
	if (!err) {
		list_for_each_entry(req, batch, node) {
			if (req->taker)
				req->taker->left++;
			watch_from(session, req->deadline);
		}
		list_splice_tail_init(batch, &session->queue);
	}
	spin_unlock_irq(&session->lock);
	return err;
}

static bool begun(const struct zcdma_request *req)
{
	return req->next || req->pending;
}

/* A barrier begins when all before it is there, the CPU's part of it too. */
static bool held_back(struct zcdma_session *session, const struct zcdma_request *req)
{
	if (!(req->op.flags & ZCDMA_OP_FLAG_BARRIER) || begun(req))
		return false;
	if (list_empty(&session->active) && !session->dirty)
		return false;
	session->blocked = true;
	if (list_empty(&session->active))
		arm_janitor(session);
	return true;
}

/* No more of it is to be handed out. Under session->lock. */
static void handed_out(struct zcdma_request *req)
{
	list_move_tail(&req->node, &req->session->active);
	settle(req);
}

/**
 * zcdma_queue_cut() - the next pieces of a session
 * @session: whose turn it is.
 * @chan: the channel that will move them; under its lock.
 * @max: how many, at most.
 * @slots: receives the slots, which are in flight now.
 *
 * Return: how many; 0 when the session has nothing to hand out.
 */
unsigned int zcdma_queue_cut(struct zcdma_session *session, struct zcdma_chan *chan,
			     unsigned int max, struct zcdma_slot **slots)
{
	struct zcdma_request *req;
	unsigned int nr = 0;

	spin_lock(&session->lock);
	while (nr < max && chan->free &&
	       (req = list_first_entry_or_null(&session->queue, struct zcdma_request, node))) {
		if (held_back(session, req))
			break;
		if (req->next < req->body) {
			slots[nr] = &chan->window->slots[__ffs(chan->free)];
			zcdma_request_cut(req, slots[nr]);
			chan->free &= ~slots[nr]->bit;
			chan->inflight |= slots[nr]->bit;
			slots[nr++]->turn = chan->turn++;
		}
		if (req->next == req->body)
			handed_out(req);
	}
	spin_unlock(&session->lock);
	return nr;
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
	if (req->op.opcode == ZCDMA_OP_COPY)
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

static bool meant(const struct zcdma_request *req, const struct zcdma_cancel *what)
{
	return (what->flags & ZCDMA_CANCEL_ALL) || req->op.user_data == what->user_data;
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
	taker->dirty = false;
	taker->left = 0;
	INIT_LIST_HEAD(&taker->done);
	init_completion(&taker->all);
	spin_lock_irq(&session->lock);
	list_add(&taker->node, &session->takers);
	spin_unlock_irq(&session->lock);
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

	if (!taker->dirty)
		return;
	mutex_lock(&session->reaping);
	list_for_each_entry(req, &taker->done, node)
		clean(req);
	mutex_unlock(&session->reaping);
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
		store(session, req);
	} else {
		list_move_tail(&req->node, &session->late);
		arm_janitor(session);
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
	if (all && !taker->dirty) {
		/* The usual case. What is not dirty is clean, and so are all. */
		list_splice_init(&taker->done, &session->spares);
		session->nr_spares += nr;
		session->outstanding -= nr;
	} else {
		while (nr--)
			dispose(list_first_entry(&taker->done, struct zcdma_request, node));
	}
	disposed(session);
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
	disposed(session);
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

/* Return: false when a channel hangs and cannot be stopped. */
static bool expire_chans(struct zcdma_session *session)
{
	bool ret = true;
	unsigned int i;

	for (i = 0; i < session->nr_lanes; i++)
		ret &= zcdma_chan_expire(session->lanes[i].chan);
	return ret;
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
		if (!expire_chans(session))
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
 * @req: finished; clean, unless the engine still has pieces of it.
 * @out: receives it.
 */
void zcdma_queue_report(struct zcdma_request *req, struct zcdma_completion *out)
{
	*out = (struct zcdma_completion) {
		.user_data = req->op.user_data,
		/* What the engine still has is not certain, nor is what comes after it. */
		.done = READ_ONCE(req->pending) ? 0 : zcdma_request_done(req),
		.res = req->res,
		.flags = req->flags,
	};
}
