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
 * - It completes once: zcdma_request_finish() is called under session->lock, and
 *   "finished" says whether it was.
 *
 * - It finishes with the last piece, because until then the engine may write to the
 *   memory. The one exception is an engine that cannot be stopped: there give_up()
 *   (deadline.c) completes a request whose deadline has passed. Its memory stays as
 *   it is, and the request goes to "late" when its completion is read, until the
 *   engine or the channel's release gives back the last piece.
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

void zcdma_queue_arm_janitor(struct zcdma_session *session)
{
	bool at_once = session->closed || session->blocked;

	if (session->sweeping && !at_once)
		return;
	session->sweeping = true;
	arm(session, &session->janitor, at_once ? 0 : SWEEP_AFTER);
}

/* Make sure the watch looks at @deadline at the latest. */
void zcdma_queue_watch_from(struct zcdma_session *session, u64 deadline)
{
	u64 now;

	if (session->watching && deadline >= session->watch_at)
		return;
	session->watching = true;
	session->watch_at = deadline;
	now = ktime_get_ns();
	arm(session, &session->watch, deadline > now ? nsecs_to_jiffies(deadline - now) + 1 : 0);
}

void zcdma_queue_wake_readers(struct zcdma_session *session)
{
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLRDNORM |
			     (session->err ? EPOLLHUP | EPOLLERR : 0));
}

/* So many of what a taker waits for have come. Under session->lock. */
static void come_to(struct zcdma_taker *taker, unsigned int nr)
{
	unsigned int left = taker->left - nr;

	/* Pairs with wait_for() in submit.c: who sees 0 sees what has come. */
	smp_store_release(&taker->left, left);
	if (!left)
		complete(&taker->all);
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
		if (!req->clean)
			zcdma_taker_dirty(session, taker);
	} else {
		list_move_tail(&req->node, &session->done);
		zcdma_queue_wake_readers(session);
	}
	if (taker)
		come_to(taker, 1);
}

/*
 * The one completion of a request. Under session->lock. The janitor is called where
 * nobody else may come to clean up, and where a barrier waits: it lets it go.
 */
void zcdma_request_finish(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;
	bool collected = req->uring || (req->taker && req->taker->collect);

	if (req->quick && !req->pending && !req->clean) {
		zcdma_request_conclude(req);
		zcdma_buffers_put(req);
		req->clean = true;
	}
	session->dirty += !req->clean;
	req->finished = true;
	announce(req);
	if ((!req->clean && !collected) || session->closed ||
	    (session->blocked && list_empty(&session->active)))
		zcdma_queue_arm_janitor(session);
}

/* A piece came back, or none will go out: is that all? Under session->lock. */
static void settle(struct zcdma_request *req)
{
	if (req->pending)
		return;
	if (req->finished)
		zcdma_queue_arm_janitor(req->session);
	else if (req->res || req->next == req->body)
		zcdma_request_finish(req);
}

/* No more pieces of it go out. The first error counts. Under session->lock. */
void zcdma_request_fail(struct zcdma_request *req, int err)
{
	if (!req->res) {
		req->res = err;
		list_move_tail(&req->node, &req->session->active);
		if (req->slave)
			list_del_init(&req->fifo);
	}
	settle(req);
}

static bool begun(const struct zcdma_request *req)
{
	return req->next || req->pending;
}

/* Is it one that has not begun? */
static bool is_barrier(const struct zcdma_request *req)
{
	return (req->op.flags & ZCDMA_OP_FLAG_BARRIER) && !begun(req);
}

/*
 * A barrier begins when all before it is there, the CPU's part of it too: what was made
 * ready for the engine until then is to be looked at again.
 */
static bool held_back(struct zcdma_session *session)
{
	if (list_empty(&session->active) && !session->dirty) {
		WRITE_ONCE(session->epoch, session->epoch + 1);
		return false;
	}
	session->blocked = true;
	if (list_empty(&session->active))
		zcdma_queue_arm_janitor(session);
	return true;
}

/* What was handed out, from the head of the queue up to @last, is active. Under session->lock. */
static void activate(struct zcdma_session *session, struct list_head *last)
{
	if (last != &session->queue)
		list_bulk_move_tail(&session->active, session->queue.next, last);
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
	struct list_head *last = &session->queue;	/* that was handed out */
	struct zcdma_slot *slot, *all = chan->window->slots;
	u32 free = chan->free, turn = chan->turn;
	struct zcdma_request *req, *next;
	unsigned int nr = 0;

	spin_lock(&session->lock);
	req = list_first_entry(&session->queue, struct zcdma_request, node);
	while (nr < max && free && !list_entry_is_head(req, &session->queue, node)) {
		if (unlikely(is_barrier(req))) {
			activate(session, last);
			last = &session->queue;
			if (held_back(session))
				break;
		}
		next = list_next_entry(req, node);
		if (req->next < req->body) {
			slot = &all[__ffs(free)];
			free &= free - 1;
			slot->turn = turn++;
			slots[nr++] = slot;
			if (!zcdma_request_cut(session, req, chan, slot))
				continue;
			last = &req->node;
		} else {
			/* Nothing of it is the engine's: it has finished. */
			activate(session, last);
			last = &session->queue;
			list_move_tail(&req->node, &session->active);
			settle(req);
		}
		req = next;
	}
	activate(session, last);
	spin_unlock(&session->lock);
	chan->inflight |= chan->free & ~free;
	chan->free = free;
	chan->turn = turn;
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
	rest->back = ZCDMA_SLOT_OUT;	/* not what it was in its last life */
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

static __always_inline void flush(struct zcdma_chan *chan, struct zcdma_stretch *written)
{
	if (written->at.sg)
		dma_sync_single_for_cpu(chan->dev, zcdma_cursor_addr(&written->at),
					zcdma_stretch_len(written), DMA_FROM_DEVICE);
	written->at.sg = NULL;
}

/* What zcdma_request_finish() does for one that is @quick. */
static __always_inline void clean_quick(struct zcdma_session *session, struct zcdma_request *req,
					struct zcdma_stretch *written)
{
	struct zcdma_buffer *dst = req->dst_buffer;

	if (!req->whole) {
		zcdma_request_conclude(req);
		zcdma_buffers_put(req);
		return;
	}
	if (dst->mem.sync && !zcdma_stretch_on(written, &req->dst_at, req->body)) {
		flush(session->chan, written);
		zcdma_stretch_begin(written, &req->dst_at, req->body);
	}
	/* As zcdma_buffers_put(), but for the waking. */
	dst->users--;
	req->src_buffer->users--;
}

/*
 * The ring's commands get the completions, all of them clean, and the requests can be used
 * again. Under session->lock.
 */
static void land(struct zcdma_session *session, struct zcdma_request *first,
		 struct zcdma_request *last, unsigned int nr)
{
	zcdma_uring_flight_done(first, nr);
	list_bulk_move_tail(&session->spares, &first->node, &last->node);
	session->nr_spares += nr;
	session->outstanding -= nr;
	zcdma_queue_wake_writers(session);
}

/* With the piece that came back it has finished, and well. */
static __always_inline bool is_complete(const struct zcdma_request *req)
{
	return req->pending == 1 && req->next == req->body && !req->res;
}

/* Is it so, and for a SUBMIT that waits for it, or is it a quick one of a flight? */
static bool is_plain(const struct zcdma_request *req)
{
	if (!is_complete(req))
		return false;
	return req->taker ? req->taker->collect : req->flight && req->quick;
}

/* What zcdma_request_finish() does for one that is plain, but for the announcement. */
static __always_inline void finish_plain(struct zcdma_session *session, struct zcdma_request *req,
					 u32 flags, struct zcdma_stretch *written)
{
	req->pending = 0;
	req->flags |= flags;
	if (req->quick) {
		clean_quick(session, req, written);
		req->clean = true;
	} else {
		session->dirty++;
		zcdma_taker_dirty(session, req->taker);
	}
	req->finished = true;
	req->taker = NULL;
}

/*
 * Those of the same taker, or of a ring and the same flight, that are next to each other in
 * session->active have finished together. The first is plain. Return: how many they are.
 */
static unsigned int finish_run(struct zcdma_session *session, struct zcdma_request **reqs,
			       unsigned int nr, u32 flags)
{
	struct zcdma_request *first = reqs[0], *last, *req = first;
	struct zcdma_taker *taker = first->taker;
	struct zcdma_stretch written = {};
	u64 flight = first->flight;
	unsigned int i = 0;

	do {
		finish_plain(session, req, flags, &written);
		last = req;
		if (++i == nr)
			break;
		req = reqs[i];
	} while (last->node.next == &req->node && req->taker == taker && req->flight == flight &&
		 is_complete(req) && (taker || req->quick));
	flush(session->chan, &written);
	if (taker) {
		list_bulk_move_tail(&taker->done, &first->node, &last->node);
		come_to(taker, i);
	} else {
		land(session, first, last, i);
	}
	return i;
}

static unsigned int session_pieces_done(struct zcdma_request **reqs, unsigned int nr, u32 flags)
{
	struct zcdma_session *session = reqs[0]->session;
	unsigned int i = 0;
	bool blocked;

	spin_lock(&session->lock);
	blocked = session->blocked;
	while (i < nr && reqs[i]->session == session) {
		struct zcdma_request *req = reqs[i];

		if (!blocked && is_plain(req)) {
			i += finish_run(session, reqs + i, nr - i, flags);
			continue;
		}
		req->pending--;
		req->flags |= flags;
		settle(req);
		i++;
	}
	if (unlikely(session->err))
		wake_up(&session->wq);
	spin_unlock(&session->lock);
	return i;
}

/**
 * zcdma_pieces_done() - the engine is done with some pieces
 * @reqs: the request of each.
 * @nr: how many.
 * @flags: &enum zcdma_done_flags.
 */
void zcdma_pieces_done(struct zcdma_request **reqs, unsigned int nr, u32 flags)
{
	unsigned int i = 0;

	while (i < nr)
		i += session_pieces_done(reqs + i, nr - i, flags);
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
		zcdma_request_fail(req, -EIO);
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

/* Those at a port's engine are stopped by zcdma_slave_look(). Under session->lock. */
static u32 cancel_slaves(struct zcdma_session *session, const struct zcdma_cancel *what)
{
	struct zcdma_request *req, *tmp;
	u32 nr = 0;

	list_for_each_entry_safe(req, tmp, &session->active, node) {
		if (!req->slave || req->res || !meant(req, what))
			continue;
		zcdma_request_fail(req, -ECANCELED);
		nr++;
	}
	return nr;
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
		zcdma_request_fail(req, -ECANCELED);
		what->out_cancelled++;
	}
	what->out_cancelled += cancel_slaves(session, what);
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
		zcdma_request_fail(req, err);
	spin_unlock_irq(&session->lock);
	wake_up_poll(&session->wq, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR);
}

/* Has the engine nothing more to do for this session? Under session->lock. */
bool zcdma_queue_idle(struct zcdma_session *session)
{
	return list_empty(&session->queue) && list_empty(&session->active) &&
	       list_empty(&session->late);
}
