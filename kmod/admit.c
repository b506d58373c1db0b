// SPDX-License-Identifier: GPL-2.0
/* How ops come into their session: from NEW to QUEUED, and on to the engine. */
#include <linux/slab.h>
#include "admit.h"

/* Pins of ops that may take longer are for long. */
#define LONGTERM_MS	(30 * MSEC_PER_SEC)

/* Pieces that engines which share a session's ops get by one call. */
#define SHARE_PIECES	64

/* What zc_queue_admit() does where it is not simple. */
int zc_queue_admit_any(struct zc_op *op, u64 now, u32 deadline_ms)
{
	struct zc_session *session = op->session;
	int err;

	deadline_ms = op->want.deadline_ms ?: deadline_ms;
	op->deadline = now + deadline_ms * (u64)NSEC_PER_MSEC;
	err = zc_op_check(&op->want);
	if (err)
		return err;
	if (op->want.rows) {
		op->want.opcode = ZCDMA_OP_COPY;
		op->want.len *= op->want.rows;
		if (op->want.rows == 1)
			op->want.__reserved2 = 0;	/* its strides lead nowhere */
	}
	if (zc_op_is_for_port(&op->want))
		err = session->port_ops ? session->port_ops->admit(op) : -EOPNOTSUPP;
	else if (!session->nr_members)
		err = -EOPNOTSUPP;
	if (err || zc_op_is_registered(&op->want))
		return err;
	return zc_op_pin(op, op->slave || deadline_ms > LONGTERM_MS);
}

/**
 * zc_queue_forget() - what was prepared is not to be done
 * @batch: NEW. They hold no memory and no buffers afterwards, and can be reset.
 *
 * Touches no user memory, but may sleep for pages that are a file's.
 */
void zc_queue_forget(struct list_head *batch)
{
	struct zc_op *op;

	list_for_each_entry(op, batch, node) {
		zc_op_unmap(op);
		zc_op_unpin(op);
		spin_lock_irq(&op->session->lock);
		zc_queue_put_memory(op);
		spin_unlock_irq(&op->session->lock);
	}
}

/* The same, and the places are given back. */
void zc_queue_drop(struct zc_session *session, struct list_head *batch)
{
	zc_queue_forget(batch);
	zc_queue_return(session, batch);
}

/* The buffer that was looked up last. */
struct found {
	u32 id;				/* 0: none */
	struct zc_buffer *buffer;
};

/* The one that an op names. Return: 0, -EINVAL, or -EFAULT when it may not do that to it. */
static __always_inline int found_get(struct zc_session *session, struct found *last, u32 id,
				     u64 start, u64 len, bool write)
{
	struct zc_buffer *buffer = last->buffer;

	if (id != last->id) {
		buffer = zc_buffer_find(&session->buffers, id);
		if (!buffer)
			return -EINVAL;
		last->id = id;
		last->buffer = buffer;
	}
	if (start > buffer->len || len > buffer->len - start || (write && buffer->read_only))
		return -EFAULT;
	buffer->users++;
	return 0;
}

static __always_inline int found_both(struct zc_op *op, struct found *dst, struct found *src)
{
	const struct zcdma_op *want = &op->want;
	int err;

	if (want->dst_buffer) {
		err = found_get(op->session, dst, want->dst_buffer, want->dst, want->len, true);
		if (err)
			return err;
		op->dst_buffer = dst->buffer;
	}
	if (want->src_buffer) {
		err = found_get(op->session, src, want->src_buffer, want->src, want->len, false);
		if (err)
			return err;
		op->src_buffer = src->buffer;
	}
	return 0;
}

/* What there is to know of a batch. */
struct batch_facts {
	u64 deadline;			/* the first */
	bool whole;			/* all are mapped */
	bool odd;			/* some are barriers, for a port, or not for an engine */
};

/*
 * The registered memory that each names; what is a copy of one piece is mapped so. Under
 * session->lock. Return: what is wrong with the first of @rest.
 */
static int queue_find_buffers(struct zc_session *session, struct list_head *batch,
			      struct list_head *rest, struct batch_facts *facts)
{
	struct found dst = {}, src = {};
	u64 deadline = U64_MAX;
	bool whole = true;
	struct zc_op *op;
	int err;

	err = session->err;
	list_for_each_entry(op, batch, node) {
		err = err ?: found_both(op, &dst, &src);
		if (err) {
			zc_queue_cut_off(batch, op, rest);
			break;
		}
		whole &= zc_op_map_whole(op, op->lease);
		deadline = min(deadline, op->deadline);
	}
	facts->deadline = deadline;
	facts->whole = whole;
	facts->odd = false;
	return err;
}

/*
 * A mapping that fails while others are there may work when they are gone: those of ops at an
 * engine, of ops that are not released yet, and of those before the @first that cannot.
 */
static int queue_map_error(struct zc_session *session, int err, bool first)
{
	bool idle;

	if (err != -ENOMEM && err != -EIO)
		return err;
	spin_lock_irq(&session->lock);
	idle = first && zc_queue_is_drained(session);
	spin_unlock_irq(&session->lock);
	return idle ? -ENOMEM : -EAGAIN;
}

/* What is not mapped. May sleep, for ops whose memory is not registered. */
static int queue_map(struct zc_session *session, struct list_head *batch, struct list_head *rest,
		     struct batch_facts *facts)
{
	struct zc_op *op;
	int err;

	list_for_each_entry(op, batch, node) {
		err = zc_op_map(op, &session->err);
		if (err) {
			err = queue_map_error(session, err, op->node.prev == batch);
			zc_queue_cut_off(batch, op, rest);
			return err;
		}
		facts->odd |= op->want.flags || op->slave || !op->body;
	}
	return 0;
}

/* One by one, what is not just for an engine. Under session->lock. */
static void queue_add_odd(struct zc_session *session, struct list_head *batch)
{
	struct zc_op *op, *tmp;

	list_for_each_entry_safe(op, tmp, batch, node) {
		op->state = ZC_OP_QUEUED;
		if (op->want.flags & ZCDMA_OP_FLAG_BARRIER) {
			op->barrier = true;
			session->barriers++;
		}
		list_move_tail(&op->node, &session->queue);
		if (op->res)
			zc_queue_cancelled(op);
		else if (op->slave)
			session->port_ops->queued(op);
		else if (!op->body && !session->barriers)
			zc_queue_off_engine(op);
	}
}

/* Return: false when some were cancelled before they came here, by way of io_uring. */
static bool queue_add_plain(struct zc_session *session, struct list_head *batch)
{
	struct zc_op *op;
	int res = 0;

	list_for_each_entry(op, batch, node) {
		op->state = ZC_OP_QUEUED;
		res |= op->res;
	}
	if (unlikely(res))
		return false;
	list_splice_tail_init(batch, &session->queue);
	return true;
}

/*
 * They complete by themselves from now on. Under session->lock. Return: 0, or why the session
 * takes no more.
 */
static int queue_add(struct zc_session *session, struct list_head *batch,
		     const struct batch_facts *facts)
{
	if (session->err || list_empty(batch))
		return session->err;
	if (!session->watching || facts->deadline < session->watch_at)
		zc_queue_watch_from(session, facts->deadline);
	if (facts->odd || !queue_add_plain(session, batch))
		queue_add_odd(session, batch);
	zc_queue_flush(session);
	return 0;
}

/**
 * zc_queue_submit() - ops to the engine
 * @session: attached.
 * @batch: NEW and admitted. They complete by themselves, but for those in @rest.
 * @rest: receives those from the first on that cannot be done, before what is in it. They
 *	are the caller's to drop.
 *
 * Touches no user memory: an unbind may wait for it. Sleeps only for memory to map with, and to
 * map: not for what is registered.
 *
 * Return: 0, or what is wrong with the first that cannot be done.
 */
int zc_queue_submit(struct zc_session *session, struct list_head *batch, struct list_head *rest)
{
	int err, failed = 0, added;
	struct batch_facts facts;

	if (list_empty(batch))
		return 0;
	spin_lock_irq(&session->lock);
	err = queue_find_buffers(session, batch, rest, &facts);
	if (!facts.whole) {
		spin_unlock_irq(&session->lock);
		failed = queue_map(session, batch, rest, &facts);
		spin_lock_irq(&session->lock);
	}
	added = queue_add(session, batch, &facts);
	spin_unlock_irq(&session->lock);
	if (added)
		list_splice_init(batch, rest);
	else
		zc_queue_kick(session);
	return added ?: failed ?: err;
}

/* Several engines get one piece each, again and again, so that they share even a short queue. */
static void queue_share(struct zc_session *session)
{
	unsigned int pieces, idle = 0;

	for (pieces = 0; pieces < SHARE_PIECES && idle < session->nr_members; pieces++) {
		unsigned int turn = READ_ONCE(session->turn);

		WRITE_ONCE(session->turn, turn + 1);
		if (zc_engine_kick(&session->members[turn % session->nr_members], 1))
			idle = 0;
		else
			idle++;
	}
}

/**
 * zc_queue_kick() - the session has something to hand out
 * @session: attached.
 *
 * In process context; does not sleep.
 */
void zc_queue_kick(struct zc_session *session)
{
	if (session->nr_members == 1)
		zc_engine_kick(session->members, ZC_WINDOW);
	else if (session->nr_members)
		queue_share(session);
	else
		session->port_ops->kick(session);
}
