// SPDX-License-Identifier: GPL-2.0
/*
 * Ops by io_uring: IORING_OP_URING_CMD, see the end of the uapi header.
 *
 * A command is an op whose completion goes to the ring. io_uring holds the file while
 * the command lives, so the session is not closed before. What finishes is passed on to the
 * task that owns the ring (or, where that is dying, to a worker of io_uring's).
 *
 * io_uring calls for each entry that a program hands in, and plugs the task meanwhile,
 * as for disks. So entries wait at the plug, and are a batch when it is pulled: at the
 * end of the system call, or when the task goes to sleep. They have a number in common, are of
 * one ring and one task, and those that finish together are passed on together.
 */
#include "admit.h"
#include "compat.h"
#include "submit.h"

#if IS_ENABLED(CONFIG_IO_URING)

/* Where a command cannot be cancelled, whoever has it in flight lives as long as it does. */
#define DEADLINE_MS	(60 * MSEC_PER_SEC)

/* In io_uring's command, for our use: its op, or what that has left to say. */
struct ring_pdu {
	struct zc_op *op;		/* NULL when it is over; under session->lock */
	struct io_uring_cmd *next;
	s64 res;
	u64 extra;
};

static struct ring_pdu *ring_pdu(struct io_uring_cmd *cmd)
{
	static_assert(sizeof(struct ring_pdu) <= sizeof(cmd->pdu));
	return (struct ring_pdu *)cmd->pdu;
}

/* ---- a ring as a sink ---- */

static void ring_deliver(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	while (cmd) {
		struct ring_pdu done = *ring_pdu(cmd);

		compat_uring_done(cmd, done.res, done.extra, issue_flags);
		cmd = done.next;
	}
}

COMPAT_URING_WORK(ring_deliver)

static void sink_ring_flush(struct zc_session *session)
{
	struct io_uring_cmd *first = session->ring.first;

	session->flush = NULL;
	session->ring.first = NULL;
	if (first)
		io_uring_cmd_complete_in_task(first, ring_deliver_work);
	zc_queue_wake_writers(session);
}

static const struct zc_sink sink_ring;

/* What an op has to say goes to its command, and that to those that are passed on next. */
static __always_inline void ring_finish(struct zc_session *session, struct zc_op *op)
{
	struct zc_ring_batch *batch = &session->ring;
	struct io_uring_cmd *cmd = op->cmd;
	struct ring_pdu *pdu = ring_pdu(cmd);
	u64 done = zc_op_done(op);

	pdu->op = NULL;
	pdu->next = NULL;
	pdu->res = op->res ?: (s64)done;
	pdu->extra = (u64)op->flags << 32 | (u32)done;
	if (batch->first && op->batch && batch->batch == op->batch) {
		ring_pdu(batch->last)->next = cmd;
	} else {
		if (batch->first)
			sink_ring_flush(session);
		batch->first = cmd;
		batch->batch = op->batch;
		session->flush = &sink_ring;
	}
	batch->last = cmd;
}

static void sink_ring_finish(struct zc_op *first, struct zc_op *last, unsigned int nr)
{
	struct zc_session *session = first->session;
	struct zc_op *op;
	LIST_HEAD(over);

	list_bulk_move_tail(&over, &first->node, &last->node);
	list_for_each_entry(op, &over, node)
		ring_finish(session, op);
	session->outstanding -= nr;
	zc_queue_put_list(session, &over, nr);
}

static void sink_ring_releasing(struct zc_op *op)
{
	zc_queue_arm_cleaner(op->session, true);
}

static const struct zc_sink sink_ring = {
	.releasing	= sink_ring_releasing,
	.finish		= sink_ring_finish,
	.flush		= sink_ring_flush,
};

/* ---- what an entry says ---- */

/* Is the room behind the op 0? As memchr_inv(), which takes longer than it is worth. */
static bool ring_is_all(struct io_uring_cmd *cmd)
{
	const u8 *from = compat_uring_payload(cmd);
	size_t at = sizeof(struct zcdma_op);
	u64 word;

	for (; at < COMPAT_URING_PAYLOAD; at += sizeof(word)) {
		memcpy(&word, from + at, sizeof(word));
		if (word)
			return false;
	}
	return true;
}

/* The SQE is in memory that the user can write to: what was checked is not read again. */
static __always_inline void ring_read_op(struct zcdma_op *want, struct io_uring_cmd *cmd)
{
	memcpy(want, compat_uring_payload(cmd), sizeof(*want));
}

static u32 ring_deadline_ms(const struct zc_session *session)
{
	if (COMPAT_URING_CAN_CANCEL)
		return session->deadline_ms;
	return min_t(u32, session->deadline_ms, DEADLINE_MS);
}

/* As new, but for the list that it is on, and what is wanted. */
static __always_inline void ring_begin(struct zc_op *op, struct io_uring_cmd *cmd, u64 batch)
{
	zc_op_reset(op, op->session->lease);
	op->sink = &sink_ring;
	op->cmd = cmd;
	op->batch = batch;
	ring_pdu(cmd)->op = op;
}

/* Nobody is to find the op by its command any more. */
static void ring_forget(struct zc_session *session, struct io_uring_cmd *cmd)
{
	spin_lock_irq(&session->lock);
	ring_pdu(cmd)->op = NULL;
	spin_unlock_irq(&session->lock);
}

/* ---- the plug ---- */

/* What waits there for one session. */
struct ring_plug {
	struct blk_plug_cb cb;		/* its data is the session */
	struct list_head ops;		/* that have places: entries, and unused ones behind them */
	struct list_head *next;		/* the first unused one, or &ops */
	u64 batch;
	u64 deadline;
};

static void plug_refuse(struct io_uring_cmd *cmd, int err)
{
	*ring_pdu(cmd) = (struct ring_pdu){ .res = err };
	io_uring_cmd_complete_in_task(cmd, ring_deliver_work);
}

/*
 * The first of a batch cannot be done. That is nothing to the others: they are as new
 * again.
 */
static void plug_refuse_first(struct zc_session *session, struct list_head *batch, int err)
{
	struct zc_op *op = list_first_entry(batch, struct zc_op, node);
	struct io_uring_cmd *cmd = op->cmd;
	LIST_HEAD(refused);

	list_move(&op->node, &refused);
	ring_forget(session, cmd);
	zc_queue_drop(session, &refused);
	plug_refuse(cmd, err);
	zc_queue_forget(batch);
	list_for_each_entry(op, batch, node)
		ring_begin(op, op->cmd, op->batch);
}

/* All that waits, to the engine; places that were not needed go back. Does not sleep. */
static void plug_flush(struct zc_session *session, struct ring_plug *plug)
{
	LIST_HEAD(batch);
	LIST_HEAD(rest);
	int err;

	list_cut_before(&batch, &plug->ops, plug->next);
	zc_queue_return(session, &plug->ops);
	plug->next = &plug->ops;
	while ((err = zc_queue_submit(session, &batch, &rest))) {
		list_splice_init(&rest, &batch);
		plug_refuse_first(session, &batch, err);
	}
}

/* The commands that wait hold the file, and with it the session. */
static void plug_pulled(struct blk_plug_cb *cb, bool from_schedule)
{
	struct ring_plug *plug = container_of(cb, struct ring_plug, cb);

	if (!list_empty(&plug->ops))
		plug_flush(cb->data, plug);
	kfree(plug);
}

/* May ops wait at the plug? Who pulls that must not sleep for memory. Return: NULL if not. */
static struct ring_plug *plug_get(struct zc_session *session)
{
	struct blk_plug_cb *cb = NULL;
	struct ring_plug *plug;

	if (zc_session_lease(session) && READ_ONCE(session->stocked) && session->nr_members)
		cb = compat_plug_add(plug_pulled, session, sizeof(*plug));
	if (!cb)
		return NULL;
	plug = container_of(cb, struct ring_plug, cb);
	if (!plug->next) {
		INIT_LIST_HEAD(&plug->ops);
		plug->next = &plug->ops;
	}
	return plug;
}

/* The one that was used last, if it is that session's: plug_get() takes longer. */
static __always_inline struct ring_plug *plug_last(struct zc_session *session)
{
	struct blk_plug_cb *cb = compat_plug_last();

	if (!cb || cb->callback != plug_pulled || cb->data != session)
		return NULL;
	return container_of(cb, struct ring_plug, cb);
}

static bool plug_has_place(const struct ring_plug *plug)
{
	return plug->next != &plug->ops;
}

/*
 * As many places at once as io_uring has entries to hand in. While some are unused, others
 * may find the queue full: half of what is left is for them.
 */
static bool plug_take_places(struct zc_session *session, struct ring_plug *plug)
{
	unsigned int most = clamp_t(unsigned int, compat_plug_nr_ios(), 1, ZC_WINDOW);
	unsigned int left = session->depth - min(session->depth, READ_ONCE(session->outstanding));

	plug_flush(session, plug);
	if (zc_queue_reserve(session, clamp(left / 2, 1U, most), &plug->ops) < 0)
		return false;
	plug->next = plug->ops.next;
	plug->batch = atomic64_inc_return(&session->batches);
	plug->deadline = ktime_get_ns() + ring_deadline_ms(session) * (u64)NSEC_PER_MSEC;
	return true;
}

/* At the next place. Return: false if it cannot wait. */
static __always_inline bool plug_add(struct ring_plug *plug, struct io_uring_cmd *cmd,
				     unsigned int issue_flags)
{
	struct zc_op *op = list_entry(plug->next, struct zc_op, node);

	ring_read_op(&op->want, cmd);
	if (!zc_op_is_simple(&op->want))
		return false;
	ring_begin(op, cmd, plug->batch);
	op->deadline = plug->deadline;
	plug->next = op->node.next;
	compat_uring_mark_cancelable(cmd, issue_flags);
	return true;
}

/* Return: false if it cannot wait; then none before it waits any more. */
static noinline bool plug_wait_at_any(struct zc_session *session, struct io_uring_cmd *cmd,
				      unsigned int issue_flags)
{
	struct ring_plug *plug = plug_get(session);

	if (!plug)
		return false;
	if ((plug_has_place(plug) || plug_take_places(session, plug)) &&
	    plug_add(plug, cmd, issue_flags))
		return true;
	plug_flush(session, plug);
	return false;
}

static __always_inline bool plug_wait_at(struct zc_session *session, struct io_uring_cmd *cmd,
					 unsigned int issue_flags)
{
	struct ring_plug *plug = plug_last(session);

	if (plug && plug_has_place(plug) && plug_add(plug, cmd, issue_flags))
		return true;
	return plug_wait_at_any(session, cmd, issue_flags);
}

/* ---- alone ---- */

static int ring_submit(struct zc_session *session, struct io_uring_cmd *cmd,
		       const struct zcdma_op *want, unsigned int issue_flags)
{
	struct zc_op *op;
	LIST_HEAD(batch);
	LIST_HEAD(rest);
	int err;

	err = zc_queue_reserve(session, 1, &batch);
	if (err < 0)
		return err;
	op = list_first_entry(&batch, struct zc_op, node);
	ring_begin(op, cmd, 0);
	op->want = *want;
	err = zc_queue_admit(op, ktime_get_ns(), ring_deadline_ms(session));
	if (err) {
		zc_queue_drop(session, &batch);
		return err;
	}
	/* From now on io_uring must be told by a completion. */
	compat_uring_mark_cancelable(cmd, issue_flags);
	err = zc_queue_submit(session, &batch, &rest);
	if (err) {
		ring_forget(session, cmd);
		zc_queue_drop(session, &rest);
		compat_uring_done(cmd, err, 0, issue_flags);
	}
	return -EIOCBQUEUED;
}

static int ring_submit_alone(struct zc_session *session, struct io_uring_cmd *cmd,
			     unsigned int issue_flags)
{
	struct zcdma_op want __uninitialized;
	int err;

	if (!zc_session_lease(session))
		return -ENOTCONN;
	ring_read_op(&want, cmd);
	if (!COMPAT_URING_CAN_CANCEL && want.deadline_ms > DEADLINE_MS)
		return -EINVAL;
	if ((issue_flags & IO_URING_F_NONBLOCK) &&
	    (!zc_op_is_registered(&want) || !READ_ONCE(session->stocked) ||
	     zc_op_wants_pattern(&want, zc_session_lease(session))))
		return -EAGAIN;
	err = ring_submit(session, cmd, &want, issue_flags);
	/* To io_uring EAGAIN says "call again"; a full queue is to be told to the user. */
	if (err != -EAGAIN || !(issue_flags & IO_URING_F_NONBLOCK))
		return err;
	compat_uring_done(cmd, err, 0, issue_flags);
	return -EIOCBQUEUED;
}

/* The ring goes, or its task: the op ends now, whatever the engine has of it. */
static int ring_cancel(struct zc_session *session, struct io_uring_cmd *cmd)
{
	struct zc_op *stand_in = zc_op_alloc(GFP_KERNEL | __GFP_NOFAIL);
	struct zc_op *op;
	bool used = false;

	spin_lock_irq(&session->lock);
	op = ring_pdu(cmd)->op;
	if (op)
		used = zc_queue_abandon(session, op, stand_in);
	spin_unlock_irq(&session->lock);
	if (!used)
		zc_op_free(stand_in);
	if (session->port_ops)
		session->port_ops->look(session);
	/* If it waited for room at the engine, that is given back. */
	zc_queue_kick(session);
	return 0;
}

/**
 * zc_uring_cmd() - a command of io_uring's
 * @cmd: the command.
 * @issue_flags: with IO_URING_F_NONBLOCK, where we must not sleep.
 *
 * Return: -EIOCBQUEUED when its completion will come, -EAGAIN to be called again where
 * sleeping is allowed, or the command's result.
 */
int zc_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct zc_session *session = cmd->file->private_data;

	if (compat_uring_is_cancel(issue_flags))
		return ring_cancel(session, cmd);
	if (cmd->cmd_op != ZCDMA_URING_OP)
		return -ENOTTY;
	if (!(issue_flags & IO_URING_F_SQE128) || compat_uring_flags(cmd) || !ring_is_all(cmd))
		return -EINVAL;
	if (plug_wait_at(session, cmd, issue_flags))
		return -EIOCBQUEUED;
	return ring_submit_alone(session, cmd, issue_flags);
}

#else

int zc_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	return -EOPNOTSUPP;
}

#endif
