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

/* As memchr_inv(), which takes longer than these two words are worth. */
static bool is_zero(const u8 *from, size_t size)
{
	u64 word;

	for (; size; from += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, from, sizeof(word));
		if (word)
			return false;
	}
	return true;
}

static int read_op(struct zcdma_op *op, struct io_uring_cmd *cmd)
{
	const u8 *from = zcdma_uring_payload(cmd);
	const size_t room = ZCDMA_URING_PAYLOAD;

	/* The SQE is in memory that the user can write to: it is read once. */
	memcpy(op, from, sizeof(*op));
	return is_zero(from + sizeof(*op), room - sizeof(*op)) ? 0 : -EINVAL;
}

static bool registered(const struct zcdma_op *op)
{
	if (op->opcode == ZCDMA_OP_SEND)
		return op->src_buffer;
	return op->dst_buffer && (op->src_buffer || op->opcode != ZCDMA_OP_COPY);
}

/* As new, but for the list that it is on, and the op. */
static void begin(struct zcdma_request *req, struct zcdma_session *session,
		  struct io_uring_cmd *cmd)
{
	zcdma_request_reset(req, session);
	req->uring = cmd;
	pdu(cmd)->req = req;
}

/* ---- the plug ---- */

/* What waits there for one session. */
struct plug {
	struct blk_plug_cb cb;		/* its data is the session */
	unsigned int nr;
	struct {
		struct io_uring_cmd *cmd;
		struct zcdma_op op;
	} waiting[ZCDMA_WINDOW];
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
		begin(req, session, req->uring);
}

/* What has places, to the engine. */
static void push(struct zcdma_session *session, struct list_head *batch)
{
	u64 flight = atomic64_inc_return(&session->flights), now = ktime_get_ns();
	struct zcdma_request *req;
	int err;

	while (!list_empty(batch)) {
		list_for_each_entry(req, batch, node) {
			req->flight = flight;
			zcdma_request_begin(req, now);
		}
		err = zcdma_submit_batch(session, batch);
		if (err)
			refuse_first(session, batch, err);
	}
}

/* All that waits. Does not sleep. */
static void flush(struct zcdma_session *session, struct plug *plug)
{
	unsigned int places, i = 0;
	struct zcdma_request *req;
	LIST_HEAD(batch);
	int err = zcdma_queue_reserve(session, plug->nr, &batch, &places);

	list_for_each_entry(req, &batch, node) {
		begin(req, session, plug->waiting[i].cmd);
		req->op = plug->waiting[i++].op;
	}
	while (i < plug->nr)
		refuse(plug->waiting[i++].cmd, err ?: -EAGAIN);
	plug->nr = 0;
	push(session, &batch);
}

/* The commands that wait hold the file, and with it the session. */
static void unplug(struct blk_plug_cb *cb, bool from_schedule)
{
	struct plug *plug = container_of(cb, struct plug, cb);

	if (plug->nr)
		flush(cb->data, plug);
	kfree(plug);
}

/* May ops wait at the plug? Who pulls that must not sleep: not for memory, nor in prep. */
static bool can_wait(const struct zcdma_session *session)
{
	return READ_ONCE(session->stocked) && session->nr_lanes && session->chan->inline_refill;
}

/* Return: false if it cannot wait; then none before it waits any more. */
static bool wait_at_plug(struct zcdma_session *session, struct io_uring_cmd *cmd,
			 const struct zcdma_op *op)
{
	struct blk_plug_cb *cb = NULL;
	struct plug *plug;
	bool waits;

	if (can_wait(session))
		cb = blk_check_plugged(unplug, session, sizeof(*plug));
	if (!cb)
		return false;
	plug = container_of(cb, struct plug, cb);
	waits = zcdma_op_is_simple(op);
	if (waits) {
		plug->waiting[plug->nr].cmd = cmd;
		plug->waiting[plug->nr++].op = *op;
	}
	if (plug->nr && (!waits || plug->nr == ZCDMA_WINDOW))
		flush(session, plug);
	return waits;
}

static int submit(struct zcdma_session *session, struct io_uring_cmd *cmd,
		  const struct zcdma_op *op)
{
	struct zcdma_request *req;
	LIST_HEAD(batch);
	unsigned int nr;
	int err;

	err = zcdma_queue_reserve(session, 1, &batch, &nr);
	if (err)
		return err;
	req = list_first_entry(&batch, struct zcdma_request, node);
	begin(req, session, cmd);
	req->op = *op;
	err = zcdma_request_pin(req, ktime_get_ns());
	if (!err)
		err = zcdma_submit_batch(session, &batch);
	if (err)
		zcdma_submit_drop(session, &batch);
	return err;
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
	struct zcdma_op op __uninitialized;
	int err;

	if (cmd->cmd_op != ZCDMA_URING_OP)
		return -ENOTTY;
	if (!(issue_flags & IO_URING_F_SQE128) || read_op(&op, cmd))
		return -EINVAL;
	if (!zcdma_session_chan(session))
		return -ENOTCONN;
	if (wait_at_plug(session, cmd, &op))
		return -EIOCBQUEUED;
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
