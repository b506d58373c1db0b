// SPDX-License-Identifier: GPL-2.0
/*
 * The way of ops through their session; the states are in op.h.
 *
 * - An op takes one of the session's "depth" places before anything else is done for it, and
 *   gives it back when its completion was taken. Room for the completion is the op itself, so
 *   none can be lost.
 *
 * - It completes once: what ends it moves it from QUEUED or RUNNING to RELEASING, DONE or ORPHAN,
 *   under session->lock, and nothing moves it back.
 *
 * - It is off the engine with its last piece, because until then the engine may write to the
 *   memory. On an engine that hangs and is not stopped, an op whose deadline has passed becomes an
 *   ORPHAN: a stand-in completes for it, and its memory stays as it is until the engine is through.
 *
 * - Unmapping, unpinning and the CPU's part may take long. So an op that needs them is RELEASING
 *   first: whoever waits for it or reads does it, in process context. Where nobody comes, the
 *   cleaner does it a little later, so memory is not held for long; at once when nobody can come.
 */
#include <linux/slab.h>
#include "queue.h"
#include "rows.h"

/* When the cleaner comes for what nobody has read. */
#define CLEAN_AFTER	msecs_to_jiffies(100)

/*
 * Cleaners have a workqueue of their own: they may be long at what a CPU moves, and must not take
 * the place of who looks after deadlines.
 */
static struct workqueue_struct *cleaner_wq;

/* ---- works: each that is pending holds the session ---- */

static void queue_arm(struct zc_session *session, struct workqueue_struct *wq,
		      struct delayed_work *work, unsigned long delay)
{
	zc_session_get(session);
	if (mod_delayed_work(wq, work, delay))
		zc_session_put(session);
}

/* Somebody is to release what is RELEASING. */
void zc_queue_arm_cleaner(struct zc_session *session, bool at_once)
{
	at_once |= session->closed | session->blocked;
	if (session->cleaning && !at_once)
		return;
	session->cleaning = true;
	queue_arm(session, cleaner_wq, &session->cleaner, at_once ? 0 : CLEAN_AFTER);
}

/* A file system has a page now. */
void zc_queue_clean_later(struct zc_session *session)
{
	session->cleaning = true;
	zc_session_get(session);
	/* If it is armed for an earlier time, that stays. */
	if (!queue_delayed_work(cleaner_wq, &session->cleaner, CLEAN_AFTER))
		zc_session_put(session);
}

/* Make sure the watch looks at @deadline at the latest. */
void zc_queue_watch_from(struct zc_session *session, u64 deadline)
{
	u64 now;

	if (session->watching && deadline >= session->watch_at)
		return;
	session->watching = true;
	session->watch_at = deadline;
	now = ktime_get_ns();
	queue_arm(session, zc_wq, &session->watch,
		  deadline > now ? nsecs_to_jiffies(deadline - now) + 1 : 0);
}

/* Nothing is at an engine, or will be. Under session->lock. */
bool zc_queue_is_idle(const struct zc_session *session)
{
	return list_empty(&session->queue) && list_empty(&session->running) &&
	       list_empty(&session->orphans);
}

/* The same, and nothing of what was there is left to be released. Under session->lock. */
bool zc_queue_is_drained(const struct zc_session *session)
{
	return zc_queue_is_idle(session) && list_empty(&session->releasing) &&
	       list_empty(&session->held) && !session->strays;
}

/* Something has failed at a port: somebody who may sleep is to see to it. In any context. */
void zc_queue_look_soon(struct zc_session *session)
{
	unsigned long irq;

	spin_lock_irqsave(&session->lock, irq);
	zc_queue_watch_from(session, 0);
	spin_unlock_irqrestore(&session->lock, irq);
}

/* An engine keeps something of @nr more streams, or fewer. In any context. */
void zc_queue_stray(struct zc_session *session, int nr)
{
	unsigned long irq;

	spin_lock_irqsave(&session->lock, irq);
	session->strays += nr;
	if (!session->strays) {
		if (session->left)
			zc_queue_arm_cleaner(session, true);
		wake_up(&session->wq);
	}
	spin_unlock_irqrestore(&session->lock, irq);
}

/* ---- the end of an op; all under session->lock ---- */

/* Is all that was submitted before a barrier there? */
bool zc_queue_is_clear(const struct zc_session *session)
{
	return list_empty(&session->running) && list_empty(&session->releasing) &&
	       list_empty(&session->held) && !session->nr_orphans;
}

/* Nothing is left to do for it. */
void zc_queue_done(struct zc_op *op)
{
	struct zc_session *session = op->session;

	op->state = ZC_OP_DONE;
	if (op->sink) {
		op->sink->finish(op, op, 1);
		return;
	}
	session->nr_orphans--;
	zc_queue_put(op);
	zc_queue_wake_writers(session);
}

/**
 * zc_queue_off_engine() - no engine has anything of an op, or will
 * @op: QUEUED, RUNNING, ORPHAN, or NEW with nothing for the engine; res says how it went.
 */
void zc_queue_off_engine(struct zc_op *op)
{
	struct zc_session *session = op->session;

	if (!zc_op_needs_release(op)) {
		zc_op_by_cpu(op);
		zc_queue_done(op);
		return;
	}
	op->state = ZC_OP_RELEASING;
	list_move_tail(&op->node, &session->releasing);
	if (op->sink)
		op->sink->releasing(op);
	if (!op->sink || session->blocked || session->closed)
		zc_queue_arm_cleaner(session, true);
}

/* A piece came back, or none will go out: is that all? */
static void queue_settle(struct zc_op *op)
{
	if (!op->pieces && (op->res || op->next >= op->body || op->state == ZC_OP_ORPHAN))
		zc_queue_off_engine(op);
}

/* It has its turn, or will never have one. */
static void queue_begin(struct zc_op *op)
{
	if (!op->barrier)
		return;
	op->barrier = false;
	op->session->barriers--;
}

/* Nothing more of it is to be handed out. */
static void queue_to_running(struct zc_op *op)
{
	if (op->state != ZC_OP_QUEUED)
		return;
	op->state = ZC_OP_RUNNING;
	list_move_tail(&op->node, &op->session->running);
}

/* No more pieces of it go out. The first error counts. */
void zc_queue_fail_op(struct zc_op *op, int err)
{
	if (!op->res) {
		op->res = err;
		queue_begin(op);
		if (op->slave && op->state == ZC_OP_QUEUED)
			op->session->port_ops->unqueued(op);
		queue_to_running(op);
	}
	if (op->state == ZC_OP_RUNNING)
		queue_settle(op);
}

/* A QUEUED op that has failed while it was NEW: nothing of it goes out. Under session->lock. */
void zc_queue_cancelled(struct zc_op *op)
{
	queue_begin(op);
	queue_to_running(op);
	queue_settle(op);
}

/* To be asked when something has ended: does a barrier go on? */
bool zc_queue_unblocks(struct zc_session *session)
{
	if (!session->blocked || !zc_queue_is_clear(session))
		return false;
	session->blocked = false;
	return !session->err;		/* one that has failed has nothing to hand out */
}

/* The members have something to hand out. */
void zc_queue_raise(struct zc_session *session)
{
	unsigned int i;

	for (i = 0; i < session->nr_members; i++)
		zc_engine_raise(&session->members[i]);
}

/* ---- read() as a sink ---- */

static void sink_read_releasing(struct zc_op *op)
{
	struct zc_session *session = op->session;

	zc_queue_arm_cleaner(session, false);
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLRDNORM);
}

static void sink_read_finish(struct zc_op *first, struct zc_op *last, unsigned int nr)
{
	struct zc_session *session = first->session;
	LIST_HEAD(unwanted);

	if (session->closed) {
		list_bulk_move_tail(&unwanted, &first->node, &last->node);
		session->outstanding -= nr;
		zc_queue_put_list(session, &unwanted, nr);
		return;
	}
	list_bulk_move_tail(&session->done, &first->node, &last->node);
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLRDNORM |
			     (session->err ? EPOLLHUP | EPOLLERR : 0));
}

const struct zc_sink zc_sink_read = {
	.releasing	= sink_read_releasing,
	.finish		= sink_read_finish,
};

/* ---- what the engine takes and gives back ---- */

/* May the first op, a barrier, begin? Under session->lock. */
static bool queue_may_begin(struct zc_session *session, struct zc_op *op)
{
	if (!zc_queue_is_clear(session)) {
		session->blocked = true;
		if (!list_empty(&session->releasing))
			zc_queue_arm_cleaner(session, true);
		return false;
	}
	queue_begin(op);
	return true;
}

/* All of those in front of it was handed out. */
static void queue_before_to_running(struct zc_session *session, struct zc_op *op)
{
	if (op->node.prev != &session->queue)
		list_bulk_move_tail(&session->running, session->queue.next, op->node.prev);
}

/* Is what comes next of it shorter than what the engine takes? */
static bool queue_is_too_short(const struct zc_op *op, size_t shortest)
{
	size_t left = op->body - op->next;

	return left < shortest || (op->want.rows && zc_row_left(op) < shortest);
}

void zc_queue_cut(struct zc_member *member, struct zc_ration *ration)
{
	u32 next = ration->next, free = ror32(ration->free, next);
	unsigned int nr = 0, most = ration->nr, steps = ration->steps;
	/* Most engines take a single byte; of others, each op is looked at. */
	size_t suspect = ration->shortest > 1 ? SIZE_MAX : 1;
	size_t bytes = 0, longest = ration->longest;
	struct zc_session *session = member->session;
	struct zc_slot *slot;
	bool more = true;
	struct zc_op *op;
	unsigned long irq;

	if (session->nr_members > 1)
		longest = min_t(size_t, longest, ZC_TURN);
	spin_lock_irqsave(&session->lock, irq);
	op = list_first_entry(&session->queue, struct zc_op, node);
	for (;;) {
		if (list_entry_is_head(op, &session->queue, node)) {
			more = false;
			break;
		}
		if (unlikely(op->barrier)) {
			queue_before_to_running(session, op);
			if (!queue_may_begin(session, op)) {
				more = false;
				break;
			}
		}
		if (nr == most || !free || bytes >= ration->bytes || !steps)
			break;
		if (unlikely(op->body - op->next < suspect) &&
		    queue_is_too_short(op, ration->shortest)) {
			/* Nothing more of it is for the engine. */
			queue_before_to_running(session, op);
			zc_op_shorten(op, op->next);
			queue_to_running(op);
			queue_settle(op);
			steps--;
			op = list_first_entry(&session->queue, struct zc_op, node);
			continue;
		}
		slot = &ration->all[(next + __ffs(free)) % ZC_WINDOW];
		free &= free - 1;
		ration->slots[nr++] = slot;
		slot->member = member;
		zc_op_cut(op, slot, longest);
		bytes += slot->len;
		if (op->next == op->body) {
			op->state = ZC_OP_RUNNING;
			op = list_next_entry(op, node);
		}
	}
	queue_before_to_running(session, op);
	zc_queue_flush(session);
	spin_unlock_irqrestore(&session->lock, irq);
	ration->free = rol32(free, next);
	if (nr)
		ration->next = ffs(slot->bit) % ZC_WINDOW;
	ration->nr = nr;
	ration->bytes = bytes;
	ration->steps = steps;
	ration->more = more;
}

/*
 * The engine did not do a piece. If neither the op nor the session is to blame it runs again: from
 * the first byte that is not certainly there, and before the session's other ops. Copying twice is
 * harmless.
 */
static void queue_again(struct zc_op *op, const struct zc_slot *slot)
{
	struct zc_session *session = op->session;

	/* What lies behind its body is a CPU's by now. */
	if (op->state == ZC_OP_ORPHAN || slot->offset >= op->body)
		return;
	if (!op->res)
		op->res = session->err;
	if (op->res) {
		op->failed_at = min_t(size_t, op->failed_at, slot->offset);
		queue_to_running(op);
		return;
	}
	zc_op_rewind(op, slot);
	op->state = ZC_OP_QUEUED;
	list_move(&op->node, &session->queue);
}

/* Under session->lock. */
static void queue_piece_back(struct zc_member *member, struct zc_slot *slot)
{
	struct zc_op *op = slot->op;

	op->pieces--;
	switch (slot->result) {
	case ZC_SLOT_DONE:
		op->flags |= member->engine->lease.done_flags;
		break;
	case ZC_SLOT_BAD:
		op->flags |= member->engine->lease.done_flags & ZCDMA_DONE_REPORTED;
		op->failed_at = min_t(size_t, op->failed_at, slot->offset);
		if (op->state != ZC_OP_ORPHAN)
			zc_queue_fail_op(op, -EIO);
		else
			queue_settle(op);
		return;
	case ZC_SLOT_AGAIN:
		queue_again(op, slot);
		break;
	case ZC_SLOT_SHORT:
		zc_op_shorten(op, slot->offset);
		/* Another engine may just have given back what is before it, to be cut anew. */
		if (op->next == op->body)
			queue_to_running(op);
		break;
	}
	queue_settle(op);
}

/* Is a piece that went well all that was missing, and nothing else to be done? */
static __always_inline bool queue_is_through(const struct zc_slot *slot)
{
	const struct zc_op *op = slot->op;

	return slot->result == ZC_SLOT_DONE && op->state == ZC_OP_RUNNING && op->plain &&
	       op->pieces == 1 && !op->res;
}

/*
 * Ops that are through, follow each other and have the same sink finish together. The first is
 * one. Return: how many they are.
 */
static unsigned int queue_run_done(struct zc_member *member, struct zc_slot **slots,
				   unsigned int nr)
{
	struct zc_op *first = slots[0]->op, *last = first, *next;
	u32 flags = member->engine->lease.done_flags;
	unsigned int i = 0;

	for (;;) {
		last->pieces = 0;
		last->flags |= flags;
		last->state = ZC_OP_DONE;
		if (++i == nr)
			break;
		next = slots[i]->op;
		if (last->node.next != &next->node || next->sink != first->sink ||
		    next->batch != first->batch || !queue_is_through(slots[i]))
			break;
		last = next;
	}
	first->sink->finish(first, last, i);
	return i;
}

unsigned int zc_queue_back(struct zc_member *member, struct zc_slot **slots, unsigned int nr)
{
	struct zc_session *session = member->session;
	unsigned long irq;
	unsigned int i = 0;

	spin_lock_irqsave(&session->lock, irq);
	while (i < nr && slots[i]->member == member) {
		if (queue_is_through(slots[i]))
			i += queue_run_done(member, slots + i, nr - i);
		else
			queue_piece_back(member, slots[i++]);
	}
	zc_queue_flush(session);
	if (unlikely(session->err || session->draining))
		wake_up(&session->wq);
	if (unlikely(session->left))
		zc_queue_arm_cleaner(session, true);
	if (zc_queue_unblocks(session))
		zc_queue_raise(session);
	spin_unlock_irqrestore(&session->lock, irq);
	return i;
}

void zc_queue_park(struct zc_slot *slot)
{
	unsigned long irq;

	spin_lock_irqsave(&slot->op->session->lock, irq);
	slot->op->handed--;
	spin_unlock_irqrestore(&slot->op->session->lock, irq);
}

bool zc_queue_unpark(struct zc_slot *slot)
{
	struct zc_op *op = slot->op;
	unsigned long irq;
	bool ret;

	spin_lock_irqsave(&op->session->lock, irq);
	ret = !op->res && !op->session->err && slot->offset < op->body;
	op->handed += ret;
	spin_unlock_irqrestore(&op->session->lock, irq);
	return ret;
}

void zc_queue_init(struct workqueue_struct *cleaners)
{
	cleaner_wq = cleaners;
}
