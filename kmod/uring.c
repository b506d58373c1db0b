// SPDX-License-Identifier: GPL-2.0
/*
 * Ops by io_uring: IORING_OP_URING_CMD, see the end of the uapi header.
 *
 * A command is an op whose completion goes to the ring. io_uring holds the file while
 * the command lives, so the session is not closed before. What finishes in the
 * completion callback is passed on to the task that owns the ring (or, where that is
 * dying, to a worker of io_uring's), and is cleaned up there.
 */
#include "compat.h"
#include "zcdma.h"

#if IS_ENABLED(CONFIG_IO_URING)

/* In io_uring's command, for our use. */
struct zcdma_pdu {
	struct zcdma_request *req;
};

static struct zcdma_pdu *pdu(struct io_uring_cmd *cmd)
{
	return (struct zcdma_pdu *)cmd->pdu;
}

static ssize_t result(const struct zcdma_completion *done)
{
	return done->res ?: (ssize_t)done->done;
}

/* In task context. */
static void reap(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct zcdma_completion done;

	zcdma_ring_dispose(pdu(cmd)->req, &done);
	io_uring_cmd_done(cmd, result(&done), (u64)done.flags << 32 | done.done, issue_flags);
}

/* A request of a ring has finished. Under session->lock. */
void zcdma_uring_finished(struct zcdma_request *req)
{
	io_uring_cmd_complete_in_task(req->uring, reap);
}

static int read_op(struct zcdma_op *op, struct io_uring_cmd *cmd)
{
	const u8 *from = zcdma_uring_payload(cmd);
	const size_t room = ZCDMA_URING_PAYLOAD;

	/* The SQE is in memory that the user can write to: it is read once. */
	memcpy(op, from, sizeof(*op));
	return memchr_inv(from + sizeof(*op), 0, room - sizeof(*op)) ? -EINVAL : 0;
}

static bool registered(const struct zcdma_op *op)
{
	if (op->opcode == ZCDMA_OP_SEND)
		return op->src_buffer;
	return op->dst_buffer && (op->src_buffer || op->opcode != ZCDMA_OP_COPY);
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
	zcdma_request_reset(req, session);
	req->op = *op;
	req->uring = cmd;
	pdu(cmd)->req = req;
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
	struct zcdma_op op;
	int err;

	if (cmd->cmd_op != ZCDMA_URING_OP)
		return -ENOTTY;
	if (!(issue_flags & IO_URING_F_SQE128) || read_op(&op, cmd))
		return -EINVAL;
	if (!zcdma_session_chan(session))
		return -ENOTCONN;
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

#endif
