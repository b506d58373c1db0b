// SPDX-License-Identifier: GPL-2.0
/*
 * Ops between memory and a port's device: %ZCDMA_OP_SEND and %ZCDMA_OP_RECV.
 *
 *	session->queue, and in order		 s->req		      as all ops
 *	of submission s->waiting  --begin-->  pieces: engine  --settle-->  done
 *
 * A device's words cannot be had twice, and come in the order in which they come. So,
 * other than with copies (window.c):
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
 * s->req counts as pending from its beginning to its end, so nobody else finishes or
 * frees it. It ends in settle() alone, when no piece is at the engine. Things are handed
 * out while the direction is "live", see slave_live.c. What the pump is for, see window.c.
 */
#include "zcdma.h"

/* As in window.c: how often and how long an idle engine may refuse the smallest piece. */
#define MAX_REFUSALS	10
#define REFUSAL_DELAY	(10 * NSEC_PER_MSEC)

/* As in window.c: how often one call of the pump looks for more. Halving takes some. */
#define MAX_ROUNDS	32

static struct zcdma_cursor *cursor_of(struct zcdma_request *req)
{
	return req->op.opcode == ZCDMA_OP_SEND ? &req->src_at : &req->dst_at;
}

static bool has_edges(const struct zcdma_request *req)
{
	return req->body != req->op.len;
}

/* ---- who may have an op here ---- */

/**
 * zcdma_slave_get() - the direction of a port that an op is for
 * @req: reset, its op is a send or a receive.
 *
 * To be given back with zcdma_slave_put().
 *
 * Return: 0, -EOPNOTSUPP when the session has none that way, -EBUSY when a stream has it.
 */
int zcdma_slave_get(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;
	struct zcdma_port_use *use = zcdma_port_use(session);
	struct zcdma_slave *s;
	int err = 0;

	if (!use)
		return -EOPNOTSUPP;
	s = &use->slaves[req->op.opcode == ZCDMA_OP_SEND ? ZCDMA_WAY_TX : ZCDMA_WAY_RX];
	if (!s->chan || !(s->chan->caps & ZCDMA_CAP_TERMINATE))
		return -EOPNOTSUPP;
	spin_lock_irq(&session->lock);
	if (s->streaming)
		err = -EBUSY;
	else
		s->users++;
	spin_unlock_irq(&session->lock);
	if (err)
		return err;
	req->slave = s;
	req->failed_at = 0;
	if (s->fine)
		req->flags |= ZCDMA_DONE_RESIDUE;
	INIT_LIST_HEAD(&req->fifo);
	return 0;
}

/* Under session->lock. */
void zcdma_slave_put(struct zcdma_request *req)
{
	req->slave->users--;
}

/* Whole words only, at an @addr where the engine has them. Return: 0 or -EINVAL. */
int zcdma_slave_fits(const struct zcdma_request *req, u64 addr)
{
	return (addr | req->op.len) & (req->slave->width - 1) ? -EINVAL : 0;
}

/* The direction is for a stream from now on. Return: 0, or -EBUSY when ops have it. */
int zcdma_slave_claim(struct zcdma_slave *s)
{
	int err = 0;

	spin_lock_irq(&s->session->lock);
	if (s->users)
		err = -EBUSY;
	else
		s->streaming = true;
	spin_unlock_irq(&s->session->lock);
	return err;
}

/* There will be no stream after all. */
void zcdma_slave_unclaim(struct zcdma_slave *s)
{
	spin_lock_irq(&s->session->lock);
	s->streaming = false;
	spin_unlock_irq(&s->session->lock);
}

/* ---- the end of an op ---- */

/* What the engine wrote in place of the target's first and last bytes. */
static void take_edges(struct zcdma_slave *s, struct zcdma_request *req)
{
	struct zcdma_buffer *to = req->dst_buffer;
	struct zcdma_mem *dst = to ? &to->mem : &req->dst;
	size_t at = to ? req->op.dst : 0, tail = req->head + req->body;
	size_t line = s->chan->line;

	zcdma_mem_to_cpu(&s->edges, s->chan);
	if (!req->failed_at)
		return;
	zcdma_mem_copy(dst, at, &s->edges, line - req->head, min(req->head, req->failed_at));
	if (req->failed_at > tail)
		zcdma_mem_copy(dst, at + tail, &s->edges, line, req->failed_at - tail);
	req->flags |= ZCDMA_DONE_CPU;
}

/* Is that all of the op? Under session->lock. */
static void settle(struct zcdma_slave *s)
{
	struct zcdma_request *req = s->req;

	if (!req || s->nr || (!req->res && req->next < req->op.len))
		return;
	/* Too late to be stopped. */
	if (req->failed_at == req->op.len)
		req->res = 0;
	if (has_edges(req))
		take_edges(s, req);
	s->req = NULL;
	req->pending = 0;
	zcdma_request_finish(req);
}

/* The watch stops the engine if it has more of the op. Under session->lock. */
static void fail(struct zcdma_slave *s, int err)
{
	if (!s->req->res)
		s->req->res = err;
	if (s->nr)
		zcdma_queue_watch_from(s->session, 0);
}

/* ---- pieces ---- */

static void drop(struct zcdma_slave *s, struct zcdma_slave_piece *piece)
{
	piece->at_engine = false;
	s->nr--;
}

/* It moved @moved bytes. They count if those before them were moved. Under session->lock. */
static void count(struct zcdma_slave *s, const struct zcdma_slave_piece *piece, size_t moved)
{
	struct zcdma_request *req = s->req;

	if (piece->start == req->failed_at)
		req->failed_at += moved;
	if (moved)
		req->flags |= s->chan->done_flags;
}

/*
 * The engine is done with a piece. A residue of one that went well: the device has ended
 * it early. One of 0 says nothing where it went wrong. Under session->lock.
 */
static void piece_ended(struct zcdma_slave *s, struct zcdma_slave_piece *piece,
			const struct dmaengine_result *result)
{
	size_t residue = result ? min_t(size_t, result->residue, piece->len) : 0;

	drop(s, piece);
	if (zcdma_is_bad(result) && !residue)
		residue = piece->len;
	count(s, piece, piece->len - residue);
	if (residue)
		fail(s, -EIO);
	settle(s);
}

static void pump(struct zcdma_slave *s, unsigned long *irq);

/* The callback of a provider that reports errors, in whatever context. */
static void piece_reported(void *param, const struct dmaengine_result *result)
{
	struct zcdma_slave_piece *piece = param;
	struct zcdma_slave *s = piece->slave;
	unsigned long irq;

	spin_lock_irqsave(&s->session->lock, irq);
	/* Aborted by our own stop, and that is all: the stop sees to it. */
	if (piece->at_engine && (s->live || !zcdma_is_bad(result) || result->residue))
		piece_ended(s, piece, result);
	/* In one go: who stops the engine must see us at work until we have left. */
	pump(s, &irq);
	spin_unlock_irqrestore(&s->session->lock, irq);
}

static void piece_done(void *param)
{
	piece_reported(param, NULL);
}

/* Of the pieces at the engine, the one that comes first. Under session->lock. */
static struct zcdma_slave_piece *oldest(struct zcdma_slave *s)
{
	struct zcdma_slave_piece *piece, *ret = NULL;

	for (piece = s->pieces; piece < s->pieces + ZCDMA_SLAVE_PIECES; piece++)
		if (piece->at_engine && (!ret || piece->start < ret->start))
			ret = piece;
	return ret;
}

/**
 * zcdma_slave_collect() - what was at the engine is over, and so is the op
 * @s: the direction, not live; the engine was told to forget it, and each piece says what
 *	was moved.
 */
void zcdma_slave_collect(struct zcdma_slave *s)
{
	struct zcdma_slave_piece *piece;

	spin_lock_irq(&s->session->lock);
	while ((piece = oldest(s))) {
		drop(s, piece);
		count(s, piece, piece->moved);
	}
	if (s->req && !s->req->res)
		s->req->res = s->session->err;
	settle(s);
	spin_unlock_irq(&s->session->lock);
}

/* Where the engine finds byte @offset of the op, and how many (*len) follow it there. */
static dma_addr_t locate(const struct zcdma_slave *s, const struct zcdma_request *req,
			 size_t offset, struct zcdma_cursor *at, size_t *len)
{
	size_t tail = req->head + req->body, line = s->chan->line;

	if (offset < req->head) {
		*len = req->head - offset;
		return sg_dma_address(s->edges.sgt.sgl) + line - *len;
	}
	if (offset >= tail) {
		*len = req->op.len - offset;
		return sg_dma_address(s->edges.sgt.sgl) + line + offset - tail;
	}
	/* It stands at the end of a segment where the last piece ended. */
	zcdma_cursor_advance(at, 0);
	*len = min(tail - offset, zcdma_cursor_left(at));
	return zcdma_cursor_addr(at);
}

/* The segments of the next piece, to s->sg. Under session->lock. */
static void cut(struct zcdma_slave *s, struct zcdma_request *req, struct zcdma_slave_piece *piece)
{
	struct zcdma_cursor *at = cursor_of(req);
	size_t offset = req->next, most = min(s->max_len, req->op.len - offset), len;

	piece->start = offset;
	piece->at = *at;
	piece->segs = 0;
	sg_init_table(s->sg, ARRAY_SIZE(s->sg));
	for (; most && piece->segs < s->max_segs; most -= len, offset += len) {
		struct scatterlist *sg = &s->sg[piece->segs++];
		bool of_body = offset >= req->head && offset < req->head + req->body;
		dma_addr_t addr = locate(s, req, offset, at, &len);

		len = zcdma_within(s->chan->boundary, addr, min3(len, most, s->chan->max_seg));
		sg_dma_address(sg) = addr;
		sg_dma_len(sg) = len;
		sg->length = len;
		if (of_body)
			at->offset += len;
	}
	sg_mark_end(&s->sg[piece->segs - 1]);
	piece->len = offset - req->next;
	req->next = offset;
}

/* The op whose turn it is, or NULL. Under session->lock. */
static struct zcdma_request *begin(struct zcdma_slave *s)
{
	struct zcdma_request *req;

	req = list_first_entry_or_null(&s->waiting, struct zcdma_request, fifo);
	if (!req)
		return NULL;
	list_del_init(&req->fifo);
	list_move_tail(&req->node, &s->session->active);
	req->pending = 1;
	s->req = req;
	s->refused = 0;
	s->max_segs = ZCDMA_SLAVE_SEGS;
	s->max_len = ZCDMA_MAX_LEN;
	if (has_edges(req))
		zcdma_mem_to_device(&s->edges, s->chan);
	return req;
}

/* A piece for the engine, which counts as being there, or NULL. Under session->lock. */
static struct zcdma_slave_piece *next_piece(struct zcdma_slave *s)
{
	struct zcdma_request *req = s->live ? s->req ?: begin(s) : NULL;
	struct zcdma_slave_piece *piece = s->pieces;

	if (!req || req->res || req->next == req->op.len || s->nr == s->max_nr)
		return NULL;
	while (piece->at_engine)
		piece++;
	cut(s, req, piece);
	piece->alone = !s->nr;
	piece->moved = 0;
	piece->at_engine = true;
	s->nr++;
	return piece;
}

/* Return: 0, -EAGAIN when the provider had no descriptor, -EIO when it refused it. */
static int hand_over(struct zcdma_slave *s, struct zcdma_slave_piece *piece)
{
	struct dma_async_tx_descriptor *desc;

	desc = dmaengine_prep_slave_sg(s->chan->dma, s->sg, piece->segs,
				       s->way == ZCDMA_WAY_TX ? DMA_MEM_TO_DEV : DMA_DEV_TO_MEM,
				       DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	if (!desc)
		return -EAGAIN;
	zcdma_set_callback(s->chan, desc, piece_reported, piece_done, piece);
	piece->cookie = dmaengine_submit(desc);
	return dma_submit_error(piece->cookie) ? -EIO : 0;
}

/* An idle engine wants no piece like this, or none at all. Under session->lock. */
static void refused(struct zcdma_slave *s, const struct zcdma_slave_piece *piece)
{
	size_t half = round_down(piece->len / 2, s->width);

	s->again = true;
	if (piece->segs > 1) {
		s->max_segs = piece->segs / 2;
	} else if (half) {
		s->max_len = half;
	} else if (s->refused++ < MAX_REFUSALS) {
		s->again = false;
		zcdma_queue_watch_from(s->session, ktime_get_ns() + REFUSAL_DELAY);
	} else {
		fail(s, -EIO);
	}
}

/* The engine did not get it. Under session->lock. */
static void take_back(struct zcdma_slave *s, struct zcdma_slave_piece *piece, int err)
{
	drop(s, piece);
	s->req->next = piece->start;
	*cursor_of(s->req) = piece->at;
	if (err != -EAGAIN)
		fail(s, err);
	else if (piece->alone)
		refused(s, piece);
	else if (!s->nr)
		s->again = true;	/* what it waited for has come meanwhile */
	settle(s);
}

/* What the engine takes. Called and left with session->lock held. */
static void give(struct zcdma_slave *s, unsigned long *irq)
{
	spinlock_t *lock = &s->session->lock;
	struct zcdma_slave_piece *piece;
	bool handed = false;
	int err = 0;

	while (!err && (piece = next_piece(s))) {
		spin_unlock_irqrestore(lock, *irq);
		err = hand_over(s, piece);
		spin_lock_irqsave(lock, *irq);
		handed |= !err;
		if (err)
			take_back(s, piece, err);
		else
			s->refused = 0;
	}
	if (handed) {
		spin_unlock_irqrestore(lock, *irq);
		dma_async_issue_pending(s->chan->dma);
		spin_lock_irqsave(lock, *irq);
	}
}

/* Called and left with session->lock held. */
static void pump(struct zcdma_slave *s, unsigned long *irq)
{
	unsigned int rounds;

	s->again = true;
	if (s->pumping)
		return;
	s->pumping = true;
	for (rounds = 0; s->again && s->live && rounds < MAX_ROUNDS; rounds++) {
		s->again = false;
		give(s, irq);
	}
	s->pumping = false;
	if (rounds == MAX_ROUNDS)
		zcdma_queue_watch_from(s->session, 0);
	if (!s->live)
		wake_up(&s->idle);
}

/* Hand the engine what there is for it. From any context, without a lock. */
static void kick(struct zcdma_slave *s)
{
	unsigned long irq;

	spin_lock_irqsave(&s->session->lock, irq);
	pump(s, &irq);
	spin_unlock_irqrestore(&s->session->lock, irq);
}

/* The session has something to hand out. In any context. */
void zcdma_slave_kick(struct zcdma_session *session)
{
	struct zcdma_port_use *use = zcdma_port_use(session);
	int way;

	for (way = 0; use && way < ZCDMA_WAYS; way++)
		kick(&use->slaves[way]);
}
