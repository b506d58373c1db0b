// SPDX-License-Identifier: GPL-2.0
/*
 * Ops by io_uring: IORING_OP_URING_CMD, see the end of the uapi header.
 *
 * A command is an op whose completion goes to the ring. io_uring holds the file while
 * the command lives, so the session is not closed before. What finishes in the
 * completion callback is passed on to the task that owns the ring (or, where that is
 * dying, to a worker of io_uring's), and is cleaned up there.
 *
 * io_uring calls for each entry that a program hands in, and plugs the task meanwhile,
 * as for disks. So entries wait at the plug, and are a batch when it is pulled: at the
 * end of the system call, or when the task goes to sleep. They are a flight from then
 * on: of one ring and one task. Those that come back from the engine together are passed
 * on together.
 */
#include <linux/blkdev.h>
#include "compat.h"
#include "zcdma.h"

#if IS_ENABLED(CONFIG_IO_URING)

/* In io_uring's command, for our use. */
union zcdma_pdu {
	struct zcdma_request *req;
	struct {			/* once it is on its way back without its request */
		struct io_uring_cmd *next;
		ssize_t res;
		u64 extra;
	};
};

static union zcdma_pdu *pdu(struct io_uring_cmd *cmd)
{
	static_assert(sizeof(union zcdma_pdu) <= sizeof(cmd->pdu));
	return (union zcdma_pdu *)cmd->pdu;
}

static ssize_t result(const struct zcdma_completion *done)
{
	return done->res ?: (ssize_t)done->done;
}

static u64 extra(const struct zcdma_completion *done)
{
	return (u64)done->flags << 32 | done->done;
}

/* In task context. */
static void reap(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct zcdma_completion done;

	zcdma_ring_dispose(pdu(cmd)->req, &done);
	io_uring_cmd_done(cmd, result(&done), extra(&done), issue_flags);
}

/* A request of a ring has finished. Under session->lock. */
void zcdma_uring_finished(struct zcdma_request *req)
{
	io_uring_cmd_complete_in_task(req->uring, reap);
}

/* The same of what needs no more cleaning up, and of all that hangs on it. */
static void deliver(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	while (cmd) {
		union zcdma_pdu done = *pdu(cmd);

		io_uring_cmd_done(cmd, done.res, done.extra, issue_flags);
		cmd = done.next;
	}
}

/**
 * zcdma_uring_flight_done() - requests of a flight have finished well
 * @req: the first, clean.
 * @nr: how many follow each other, with it.
 *
 * Under session->lock. The requests can be used again afterwards.
 */
void zcdma_uring_flight_done(struct zcdma_request *req, unsigned int nr)
{
	struct io_uring_cmd *first = req->uring, *cmd = first;

	for (;;) {
		struct zcdma_completion done __uninitialized;

		zcdma_queue_report(req, &done);
		pdu(cmd)->res = result(&done);
		pdu(cmd)->extra = extra(&done);
		pdu(cmd)->next = NULL;
		if (!--nr)
			break;
		req = list_next_entry(req, node);
		pdu(cmd)->next = req->uring;
		cmd = req->uring;
	}
	io_uring_cmd_complete_in_task(first, deliver);
}

/* Is the room behind the op 0? As memchr_inv(), which takes longer than it is worth. */
static bool is_all(struct io_uring_cmd *cmd)
{
	const u8 *from = zcdma_uring_payload(cmd);
	size_t at = sizeof(struct zcdma_op);
	u64 word;

	for (; at < ZCDMA_URING_PAYLOAD; at += sizeof(word)) {
		memcpy(&word, from + at, sizeof(word));
		if (word)
			return false;
	}
	return true;
}

/* The SQE is in memory that the user can write to: what was checked is not read again. */
static __always_inline void read_op(struct zcdma_op *op, struct io_uring_cmd *cmd)
{
	memcpy(op, zcdma_uring_payload(cmd), sizeof(*op));
}

static bool registered(const struct zcdma_op *op)
{
	if (op->opcode == ZCDMA_OP_SEND)
		return op->src_buffer;
	return op->dst_buffer && (op->src_buffer || op->opcode != ZCDMA_OP_COPY);
}

/* As new, but for the list that it is on, and the op. */
static __always_inline void begin(struct zcdma_request *req, struct zcdma_session *session,
				  struct io_uring_cmd *cmd, u64 flight)
{
	zcdma_request_reset(req, session);
	req->uring = cmd;
	req->flight = flight;
	pdu(cmd)->req = req;
}

/* ---- the plug ---- */

/* What waits there for one session. */
struct plug {
	struct blk_plug_cb cb;		/* its data is the session */
	struct list_head reqs;		/* that have places: ops, and unused ones behind them */
	struct list_head *next;		/* the first unused one, or &reqs */
	u64 flight;
	u64 deadline;
};

static void refuse(struct io_uring_cmd *cmd, int err)
{
	*pdu(cmd) = (union zcdma_pdu){ .res = err };
	io_uring_cmd_complete_in_task(cmd, deliver);
}

/*
 * The first of a batch cannot be done. That is nothing to the others: they are as new
 * again.
 */
static void refuse_first(struct zcdma_session *session, struct list_head *batch, int err)
{
	struct zcdma_request *req = list_first_entry(batch, struct zcdma_request, node);
	struct io_uring_cmd *cmd = req->uring;
	LIST_HEAD(refused);

	list_move(&req->node, &refused);
	zcdma_submit_drop(session, &refused);
	refuse(cmd, err);
	zcdma_submit_cancel(batch);
	list_for_each_entry(req, batch, node)
		begin(req, session, req->uring, req->flight);
}

/* All that waits, to the engine; places that were not needed go back. Does not sleep. */
static void flush(struct zcdma_session *session, struct plug *plug)
{
	LIST_HEAD(batch);
	LIST_HEAD(rest);
	int err;

	list_cut_before(&batch, &plug->reqs, plug->next);
	zcdma_queue_return(session, &plug->reqs);
	plug->next = &plug->reqs;
	while ((err = zcdma_submit_batch(session, &batch, &rest))) {
		list_splice_init(&rest, &batch);
		refuse_first(session, &batch, err);
	}
}

/* The commands that wait hold the file, and with it the session. */
static void unplug(struct blk_plug_cb *cb, bool from_schedule)
{
	struct plug *plug = container_of(cb, struct plug, cb);

	if (!list_empty(&plug->reqs))
		flush(cb->data, plug);
	kfree(plug);
}

/* May ops wait at the plug? Who pulls that must not sleep: not for memory, nor in prep. */
static bool can_wait(struct zcdma_session *session)
{
	const struct zcdma_chan *chan = zcdma_session_chan(session);

	return chan && READ_ONCE(session->stocked) && session->nr_lanes && chan->inline_refill;
}

/* Return: NULL if ops cannot wait. */
static struct plug *get_plug(struct zcdma_session *session)
{
	struct blk_plug_cb *cb = NULL;
	struct plug *plug;

	if (can_wait(session))
		cb = blk_check_plugged(unplug, session, sizeof(*plug));
	if (!cb)
		return NULL;
	plug = container_of(cb, struct plug, cb);
	if (!plug->next) {
		INIT_LIST_HEAD(&plug->reqs);
		plug->next = &plug->reqs;
	}
	return plug;
}

/* The one that was used last, if it is that session's: get_plug() takes longer. */
static __always_inline struct plug *last_plug(struct zcdma_session *session)
{
	struct blk_plug *all = current->plug;
	struct blk_plug_cb *cb;

	if (!all || list_empty(&all->cb_list))
		return NULL;
	cb = list_first_entry(&all->cb_list, struct blk_plug_cb, list);
	if (cb->callback != unplug || cb->data != session)
		return NULL;
	return container_of(cb, struct plug, cb);
}

static bool has_place(const struct plug *plug)
{
	return plug->next != &plug->reqs;
}

/*
 * As many places at once as io_uring has entries to hand in. While some are unused, others
 * may find the queue full: half of what is left is for them.
 */
static bool take_places(struct zcdma_session *session, struct plug *plug)
{
	unsigned int most = clamp_t(unsigned int, current->plug->nr_ios, 1, ZCDMA_WINDOW);
	unsigned int left = session->depth - READ_ONCE(session->outstanding);

	flush(session, plug);
	if (zcdma_queue_reserve(session, clamp(left / 2, 1U, most), &plug->reqs) < 0)
		return false;
	plug->next = plug->reqs.next;
	plug->flight = atomic64_inc_return(&session->flights);
	plug->deadline = ktime_get_ns() + session->deadline_ms * (u64)NSEC_PER_MSEC;
	return true;
}

/* At the next place. Return: false if it cannot wait. */
static __always_inline bool wait_at(struct plug *plug, struct zcdma_session *session,
				    struct io_uring_cmd *cmd)
{
	struct zcdma_request *req = list_entry(plug->next, struct zcdma_request, node);

	read_op(&req->op, cmd);
	if (!zcdma_op_is_simple(&req->op))
		return false;
	begin(req, session, cmd, plug->flight);
	req->deadline = plug->deadline;
	plug->next = req->node.next;
	return true;
}

/* Return: false if it cannot wait; then none before it waits any more. */
static bool wait_at_plug(struct zcdma_session *session, struct io_uring_cmd *cmd)
{
	struct plug *plug = get_plug(session);

	if (!plug)
		return false;
	if ((has_place(plug) || take_places(session, plug)) && wait_at(plug, session, cmd))
		return true;
	flush(session, plug);
	return false;
}

/* ---- alone ---- */

static int submit(struct zcdma_session *session, struct io_uring_cmd *cmd,
		  const struct zcdma_op *op)
{
	struct zcdma_request *req;
	LIST_HEAD(batch);
	LIST_HEAD(rest);
	int err;

	err = zcdma_queue_reserve(session, 1, &batch);
	if (err < 0)
		return err;
	req = list_first_entry(&batch, struct zcdma_request, node);
	begin(req, session, cmd, 0);
	req->op = *op;
	err = zcdma_request_pin(req, ktime_get_ns()) ?:
	      zcdma_submit_batch(session, &batch, &rest);
	if (err) {
		list_splice(&batch, &rest);
		zcdma_submit_drop(session, &rest);
	}
	return err;
}

static int submit_alone(struct zcdma_session *session, struct io_uring_cmd *cmd,
			unsigned int issue_flags)
{
	struct zcdma_op op __uninitialized;
	int err;

	if (!zcdma_session_chan(session))
		return -ENOTCONN;
	read_op(&op, cmd);
	if ((issue_flags & IO_URING_F_NONBLOCK) && !registered(&op))
		return -EAGAIN;
	err = submit(session, cmd, &op);
	if (!err)
		return -EIOCBQUEUED;
	/* To io_uring EAGAIN says "call again"; a full queue is to be told to the user. */
	if (err != -EAGAIN || !(issue_flags & IO_URING_F_NONBLOCK))
		return err;
	io_uring_cmd_done(cmd, err, 0, issue_flags);
	return -EIOCBQUEUED;
}

/* Not inline: most ops find a place. */
static noinline int wait_or_submit(struct zcdma_session *session, struct io_uring_cmd *cmd,
				   unsigned int issue_flags)
{
	if (wait_at_plug(session, cmd))
		return -EIOCBQUEUED;
	return submit_alone(session, cmd, issue_flags);
}

/**
 * zcdma_uring_cmd() - a command of io_uring's
 * @cmd: the command.
 * @issue_flags: with IO_URING_F_NONBLOCK, where we must not sleep.
 *
 * Return: -EIOCBQUEUED when its completion will come, -EAGAIN to be called again where
 * sleeping is allowed, or the command's result.
 */
int zcdma_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct zcdma_session *session = cmd->file->private_data;
	struct plug *plug;

	if (cmd->cmd_op != ZCDMA_URING_OP)
		return -ENOTTY;
	if (!(issue_flags & IO_URING_F_SQE128) || !is_all(cmd))
		return -EINVAL;
	plug = last_plug(session);
	if (plug && has_place(plug) && wait_at(plug, session, cmd))
		return -EIOCBQUEUED;
	return wait_or_submit(session, cmd, issue_flags);
}

#else

int zcdma_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	return -EOPNOTSUPP;
}

void zcdma_uring_finished(struct zcdma_request *req)
{
}

void zcdma_uring_flight_done(struct zcdma_request *req, unsigned int nr)
{
}

#endif
