// SPDX-License-Identifier: GPL-2.0
/*
 * Ops between memory and a port's device: %ZCDMA_OP_SEND and %ZCDMA_OP_RECV.
 *
 *	session->queue, and in order		 s->op		      as all ops
 *	of submission s->waiting  --begin-->  pieces: engine  --settle-->  done
 *
 * A device's words cannot be had twice, and come in the order in which they come. So,
 * other than with copies (engine.c):
 *
 * - Each direction of a port is a queue of its own, in the order of submission, and one
 *   op of it is at the engine at a time. What is behind it can be cancelled or time out
 *   as if there were no engine, and stopping the engine is at the cost of that op alone.
 *
 * - A piece is a descriptor of many segments, a part of the op. It is never handed out
 *   twice: a piece that was at the engine when that was stopped is over, and "failed_at"
 *   says how far the op came. For that the residue is asked for before the engine is
 *   told to forget it, with the engine paused if it can be: then it is exact.
 *
 * - Where the engine does not see the CPU's caches, it must not write to the cache lines
 *   at the edges of a target that others write to. It writes to a page of ours in their
 *   place ("edges"), from where the CPU takes them when the op is over. One is enough,
 *   since there is one op.
 *
 * s->op counts as pending from its beginning to its end, so nobody else finishes or
 * frees it. It ends in slave_settle() alone, when no piece is at the engine. Things are handed
 * out while the direction is "live", see slave_live.c. What the pump is for, see engine.c.
 */
#include "port.h"

/* As in engine.c: how often and how long an idle engine may refuse the smallest piece. */
#define MAX_REFUSALS	10
#define REFUSAL_DELAY	(10 * NSEC_PER_MSEC)

/* As in engine.c: how often one call of the pump looks for more. Halving takes some. */
#define MAX_ROUNDS	32

static struct zc_cursor *slave_cursor_of(struct zc_op *op)
{
	return op->want.opcode == ZCDMA_OP_SEND ? &op->src_at : &op->dst_at;
}

static bool slave_has_edges(const struct zc_op *op)
{
	return op->body != op->want.len;
}

/* ---- the end of an op ---- */

static void slave_edges_for_device(struct zc_slave *s)
{
	struct zc_cursor at = { .sg = s->edges.sgt.sgl };

	zc_mem_sync(&s->edges, s->lease->limits.dev, at, 2 * s->lease->line, DMA_BIDIRECTIONAL);
}

static void slave_edges_for_cpu(struct zc_slave *s)
{
	struct zc_cursor at = { .sg = s->edges.sgt.sgl };

	zc_mem_sync(&s->edges, s->lease->limits.dev, at, 2 * s->lease->line, DMA_FROM_DEVICE);
}

/* What the engine wrote in place of the target's first and last bytes. */
static void slave_take_edges(struct zc_slave *s, struct zc_op *op)
{
	struct zc_mem *dst = zc_op_dst(op);
	size_t at = op->dst_buffer ? op->want.dst : 0, tail = op->head + op->body;
	size_t line = s->lease->line;

	slave_edges_for_cpu(s);
	if (!op->failed_at)
		return;
	zc_mem_copy(dst, at, &s->edges, line - op->head, min(op->head, op->failed_at));
	if (op->failed_at > tail)
		zc_mem_copy(dst, at + tail, &s->edges, line, op->failed_at - tail);
	op->flags |= ZCDMA_DONE_CPU;
}

/* Is that all of the op? Under session->lock. */
static void slave_settle(struct zc_slave *s)
{
	struct zc_op *op = s->op;

	if (!op || s->nr || (!op->res && op->next < op->want.len))
		return;
	/* Too late to be stopped. */
	if (op->failed_at == op->want.len)
		op->res = 0;
	if (slave_has_edges(op))
		slave_take_edges(s, op);
	s->op = NULL;
	op->pieces = 0;
	zc_queue_off_engine(op);
}

/* The watch stops the engine if it has more of the op. Under session->lock. */
static void slave_fail(struct zc_slave *s, int err)
{
	if (!s->op->res)
		s->op->res = err;
	if (s->nr)
		zc_queue_watch_from(s->session, 0);
}

/* ---- pieces ---- */

/* Who has cleared its bit: it is not at the engine any more. Under session->lock. */
static void slave_drop(struct zc_slave *s)
{
	struct zc_engine *engine = zc_engine_of(s->lease);

	s->nr--;
	if (!s->live)
		wake_up(&s->idle);
	if (atomic_dec_and_test(&engine->at_port) && wq_has_sleeper(&engine->idle))
		wake_up(&engine->idle);
}

/* It moved @moved bytes. They count if those before them were moved. Under session->lock. */
static void slave_count(struct zc_slave *s, const struct zcdma_slave_piece *piece, size_t moved)
{
	struct zc_op *op = s->op;

	if (piece->start == op->failed_at)
		op->failed_at += moved;
	if (moved)
		op->flags |= s->lease->done_flags;
}

/*
 * Less came than there was room for, because the device has ended it (a packet): that is a result.
 * What was handed over behind it may have begun with the next packet, though: then it is none.
 */
static void slave_is_short(struct zc_slave *s)
{
	if (s->nr) {
		slave_fail(s, -EIO);
		return;
	}
	s->op->next = s->op->want.len;
	s->op->flags |= ZCDMA_DONE_SHORT;
}

/* The engine is done with a piece, which is dropped. Under session->lock. */
static void slave_piece_ended(struct zc_slave *s, struct zcdma_slave_piece *piece,
			      const struct dmaengine_result *result)
{
	size_t residue = result ? min_t(size_t, result->residue, piece->len) : 0;

	/* A residue of 0 says nothing where it went wrong. */
	if (zc_is_bad(result) && !residue)
		residue = piece->len;
	slave_count(s, piece, piece->len - residue);
	if (residue && zcdma_is_short(result, piece->len, s->way))
		slave_is_short(s);
	else if (residue)
		slave_fail(s, -EIO);
	slave_settle(s);
}

/*
 * There is something for the engine: the pump, which calls the provider, is for another context.
 * Under session->lock.
 */
static void slave_raise(struct zc_slave *s)
{
	const struct zc_op *op = s->op;
	bool more = op ? !op->res && op->next < op->want.len && s->nr < s->max_nr :
			 !list_empty(&s->waiting);

	if (!s->live || !more)
		return;
	if (s->pumping)
		s->again = true;
	else
		zcdma_bh_raise(&s->bh);
}

/* Aborted by our own stop, and that is all? Then the stop sees to it. */
static bool slave_is_own_stop(const struct zc_slave *s, const struct dmaengine_result *result)
{
	return zc_is_bad(result) && !result->residue && !READ_ONCE(s->live) &&
	       !READ_ONCE(s->lease->unstoppable);
}

/*
 * The callback of a provider that reports errors, in whatever context. It may be late, after the
 * engine was stopped: then the piece is nobody's. Otherwise the op is there, and with it all else,
 * until the piece was dropped.
 */
static void slave_piece_reported(void *param, const struct dmaengine_result *result)
{
	struct zcdma_slave_piece *piece = param;
	struct zc_slave *s = piece->slave;
	unsigned long irq;

	rcu_read_lock();
	if (slave_is_own_stop(s, result) || !test_and_clear_bit(0, &piece->at_engine))
		goto out;
	spin_lock_irqsave(&s->session->lock, irq);
	slave_drop(s);
	slave_piece_ended(s, piece, result);
	slave_raise(s);
	spin_unlock_irqrestore(&s->session->lock, irq);
out:
	rcu_read_unlock();
}

static void slave_piece_done(void *param)
{
	slave_piece_reported(param, NULL);
}

/* Of the pieces at the engine, the one that comes first, or NULL. Under session->lock. */
static struct zcdma_slave_piece *slave_oldest(struct zc_slave *s)
{
	struct zcdma_slave_piece *piece, *ret = NULL;

	for (piece = s->window->pieces; piece < s->window->pieces + ZCDMA_SLAVE_PIECES; piece++)
		if (test_bit(0, &piece->at_engine) && (!ret || piece->start < ret->start))
			ret = piece;
	return ret;
}

/**
 * zcdma_slave_collect() - what was at the engine is over, and so is the op
 * @s: the direction, not live; the engine was told to forget it, and each piece says what
 *	was moved. One whose callback runs just now is left to that.
 */
void zcdma_slave_collect(struct zc_slave *s)
{
	struct zcdma_slave_piece *piece;

	spin_lock_irq(&s->session->lock);
	while ((piece = slave_oldest(s))) {
		if (!test_and_clear_bit(0, &piece->at_engine))
			continue;
		slave_drop(s);
		slave_count(s, piece, piece->moved);
	}
	if (s->op && !s->op->res)
		s->op->res = s->session->err;
	slave_settle(s);
	spin_unlock_irq(&s->session->lock);
}

/* Where the engine finds byte @offset of the op, and how many (*len) follow it there. */
static dma_addr_t slave_locate(const struct zc_slave *s, const struct zc_op *op,
			       size_t offset, struct zc_cursor *at, size_t *len)
{
	size_t tail = op->head + op->body, line = s->lease->line;

	if (offset < op->head) {
		*len = op->head - offset;
		return sg_dma_address(s->edges.sgt.sgl) + line - *len;
	}
	if (offset >= tail) {
		*len = op->want.len - offset;
		return sg_dma_address(s->edges.sgt.sgl) + line + offset - tail;
	}
	/* It stands at the end of a segment where the last piece ended. */
	zc_cursor_advance(at, 0);
	*len = min(tail - offset, zc_cursor_left(at));
	return zc_cursor_addr(at);
}

/* The segments of the next piece, to s->sg. Under session->lock. */
static void slave_cut(struct zc_slave *s, struct zc_op *op, struct zcdma_slave_piece *piece)
{
	struct zc_cursor *at = slave_cursor_of(op);
	size_t offset = op->next, most = min(s->max_len, op->want.len - offset), len;
	const struct zc_mem *mem = s->way == ZCDMA_WAY_TX ? zc_op_src(op) : zc_op_dst(op);

	/* What is synchronized at once is bounded. */
	if (mem->sync)
		most = min_t(size_t, most, ZC_TURN);
	piece->start = offset;
	piece->at = *at;
	piece->of_body = 0;
	piece->segs = 0;
	sg_init_table(s->sg, ARRAY_SIZE(s->sg));
	for (; most && piece->segs < s->max_segs; most -= len, offset += len) {
		struct scatterlist *sg = &s->sg[piece->segs++];
		bool of_body = offset >= op->head && offset < op->head + op->body;
		dma_addr_t addr = slave_locate(s, op, offset, at, &len);

		len = zc_within(s->lease->limits.boundary, addr,
				min3(len, most, s->lease->limits.max_seg));
		sg_dma_address(sg) = addr;
		sg_dma_len(sg) = len;
		sg->length = len;
		if (!of_body)
			continue;
		at->offset += len;
		piece->of_body += len;
	}
	sg_mark_end(&s->sg[piece->segs - 1]);
	piece->len = offset - op->next;
	op->next = offset;
}

/* The op whose turn it is, or NULL. Under session->lock. */
static struct zc_op *slave_begin(struct zc_slave *s)
{
	struct zc_op *op;

	op = list_first_entry_or_null(&s->waiting, struct zc_op, fifo);
	if (!op)
		return NULL;
	list_del_init(&op->fifo);
	op->state = ZC_OP_RUNNING;
	list_move_tail(&op->node, &s->session->running);
	op->pieces = 1;
	op->handed = 1;
	s->op = op;
	s->refused = 0;
	s->max_segs = ZCDMA_SLAVE_SEGS;
	s->max_len = ZC_MAX_LEN;
	if (slave_has_edges(op))
		slave_edges_for_device(s);
	return op;
}

/* A piece for the engine, which counts as being there, or NULL. Under session->lock. */
static struct zcdma_slave_piece *slave_next_piece(struct zc_slave *s)
{
	struct zc_op *op = s->live ? s->op ?: slave_begin(s) : NULL;
	struct zcdma_slave_piece *piece = s->window->pieces;

	if (!op || op->res || op->next == op->want.len || s->nr == s->max_nr)
		return NULL;
	while (test_bit(0, &piece->at_engine))
		piece++;
	slave_cut(s, op, piece);
	piece->alone = !s->nr;
	piece->moved = 0;
	s->nr++;
	atomic_inc(&zc_engine_of(s->lease)->at_port);
	set_bit(0, &piece->at_engine);
	return piece;
}

/* Return: 0, -EAGAIN when the provider had no descriptor, -EIO when it refused it. */
static int slave_hand_over(struct zc_slave *s, struct zcdma_slave_piece *piece)
{
	struct dma_async_tx_descriptor *desc;
	struct zc_op *op = s->op;

	if (s->way == ZCDMA_WAY_TX)
		zc_mem_sync(zc_op_src(op), s->lease->limits.dev, piece->at, piece->of_body,
			    DMA_TO_DEVICE);
	else
		zc_mem_sync(zc_op_dst(op), s->lease->limits.dev, piece->at, piece->of_body,
			    DMA_BIDIRECTIONAL);
	desc = dmaengine_prep_slave_sg(s->lease->dma, s->sg, piece->segs,
				       s->way == ZCDMA_WAY_TX ? DMA_MEM_TO_DEV : DMA_DEV_TO_MEM,
				       DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	if (!desc)
		return -EAGAIN;
	zc_set_callback(s->lease, desc, slave_piece_reported, slave_piece_done, piece);
	piece->cookie = dmaengine_submit(desc);
	return dma_submit_error(piece->cookie) ? -EIO : 0;
}

/* An idle engine wants no piece like this, or none at all. Under session->lock. */
static void slave_refused(struct zc_slave *s, const struct zcdma_slave_piece *piece)
{
	size_t half = round_down(piece->len / 2, s->width);

	s->again = true;
	if (piece->segs > 1) {
		s->max_segs = piece->segs / 2;
	} else if (half) {
		s->max_len = half;
	} else if (s->refused++ < MAX_REFUSALS) {
		s->again = false;
		zc_queue_watch_from(s->session, ktime_get_ns() + REFUSAL_DELAY);
	} else {
		slave_fail(s, -EIO);
	}
}

/* The engine did not get it. Under session->lock. */
static void slave_take_back(struct zc_slave *s, struct zcdma_slave_piece *piece, int err)
{
	clear_bit(0, &piece->at_engine);
	slave_drop(s);
	s->op->next = piece->start;
	*slave_cursor_of(s->op) = piece->at;
	if (err != -EAGAIN)
		slave_fail(s, err);
	else if (piece->alone)
		slave_refused(s, piece);
	else if (!s->nr)
		s->again = true;	/* what it waited for has come meanwhile */
	slave_settle(s);
}

/* What the engine takes. Called and left with session->lock held. */
static void slave_give(struct zc_slave *s, unsigned long *irq)
{
	spinlock_t *lock = &s->session->lock;
	struct zcdma_slave_piece *piece;
	bool handed = false;
	int err = 0;

	while (!err && (piece = slave_next_piece(s))) {
		spin_unlock_irqrestore(lock, *irq);
		err = slave_hand_over(s, piece);
		spin_lock_irqsave(lock, *irq);
		handed |= !err;
		if (err)
			slave_take_back(s, piece, err);
		else
			s->refused = 0;
	}
	if (handed) {
		spin_unlock_irqrestore(lock, *irq);
		dma_async_issue_pending(s->lease->dma);
		spin_lock_irqsave(lock, *irq);
	}
}

/*
 * Called and left with session->lock held. Where there is nothing to hand out, the engine's pump is
 * left to a stream, which would find it taken.
 */
static void slave_pump(struct zc_slave *s, unsigned long *irq)
{
	struct zc_engine *engine;
	unsigned int rounds;

	s->again = true;
	if (s->pumping || !s->live || s->streaming || (!s->op && list_empty(&s->waiting)))
		return;
	/* The engine's own pump is ours, too: who gives the channel back waits for that. */
	engine = zc_engine_of(s->lease);
	if (!zc_pump_enter(engine))
		return;
	s->pumping = true;
	for (rounds = 0; s->again && s->live && rounds < MAX_ROUNDS; rounds++) {
		s->again = false;
		slave_give(s, irq);
	}
	s->pumping = false;
	zc_pump_end(engine, false);
	/*
	 * Or an op was given up while prep did not return: the engine is not to go on with it, if
	 * it can be stopped.
	 */
	if (rounds == MAX_ROUNDS || (s->op && s->op->res && s->nr && !s->lease->unstoppable))
		zc_queue_watch_from(s->session, 0);
	if (!s->live)
		wake_up(&s->idle);
}

/* Hand the engine what there is for it. Where the provider may be called, without a lock. */
void zcdma_slave_bh(struct zcdma_bh *bh)
{
	struct zc_slave *s = container_of(bh, struct zc_slave, bh);
	unsigned long irq;

	spin_lock_irqsave(&s->session->lock, irq);
	slave_pump(s, &irq);
	spin_unlock_irqrestore(&s->session->lock, irq);
}

/* The same from process context, which need not wait for prep. */
static void slave_kick(struct zc_slave *s)
{
	unsigned long irq;

	spin_lock_irqsave(&s->session->lock, irq);
	if (s->bh.sleeps)
		slave_raise(s);
	else
		slave_pump(s, &irq);
	spin_unlock_irqrestore(&s->session->lock, irq);
}

/* The session has something to hand out. In process context, does not sleep. */
void zcdma_slave_kick(struct zc_session *session)
{
	struct zcdma_port_use *use = zcdma_port_use(session);
	int way;

	for (way = 0; use && way < ZCDMA_WAYS; way++)
		slave_kick(&use->slaves[way]);
}
