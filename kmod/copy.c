// SPDX-License-Identifier: GPL-2.0
/*
 * One request: what of it the engine can do, and the pieces it is cut into.
 *
 *	  op	|<---------------------- len ---------------------->|
 *		|<- head ->|<------------- body ------------>|<---->|
 *		   CPU		       engine			CPU
 *				|     |  |	 |    |
 *				 pieces: cut where either mapped list ends,
 *				 at the segment limit and at the boundary
 *
 * Head and tail exist where the engine may not go: its alignment forbids it, or
 * (on engines that do not see the CPU's caches) the target's first or last
 * cache line also holds somebody else's bytes. Source and target that are
 * misaligned against each other leave no body at all.
 *
 * The CPU's part is done last, in zcdma_request_clean(), and only if the
 * engine's part went well.
 */
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "zcdma.h"

static struct kmem_cache *request_cache;

static bool wraps(u64 start, u64 len)
{
	return start + len < start;
}

static int check_copy(const struct zcdma_op *op)
{
	u64 src = untagged_addr(op->src);
	u64 dst = untagged_addr(op->dst);

	if (wraps(op->src, op->len))
		return -EINVAL;
	if (src < dst + op->len && dst < src + op->len)
		return -EINVAL;
	return 0;
}

/**
 * zcdma_op_check() - what can be said of an op without looking at memory
 * @op: as the user wrote it.
 *
 * Return: 0, -EINVAL or -EMSGSIZE.
 */
int zcdma_op_check(const struct zcdma_op *op)
{
	int err = -EINVAL;

	if (op->flags || op->src_buffer || op->dst_buffer || op->__reserved1 ||
	    op->__reserved2 || memchr_inv(op->__reserved0, 0, sizeof(op->__reserved0)))
		return -EINVAL;
	if (op->deadline_ms > ZCDMA_MAX_DEADLINE_MS || !op->len || wraps(op->dst, op->len))
		return -EINVAL;
	if (op->opcode == ZCDMA_OP_COPY)
		err = check_copy(op);
	else if (op->opcode == ZCDMA_OP_FILL)
		err = op->src > U8_MAX ? -EINVAL : 0;
	if (!err && op->len > ZCDMA_MAX_LEN)
		err = -EMSGSIZE;
	return err;
}

/* Does the engine fill by itself? Otherwise it copies from a page of the pattern. */
static bool fills(const struct zcdma_request *req)
{
	return req->opcode == ZCDMA_OP_FILL && (req->session->chan->caps & ZCDMA_CAP_FILL);
}

static void split(struct zcdma_request *req, const struct zcdma_op *op)
{
	const struct zcdma_chan *chan = req->session->chan;
	size_t align = fills(req) ? chan->fill_align : chan->copy_align;
	size_t edge = max_t(size_t, align, chan->line);

	if (op->opcode == ZCDMA_OP_COPY && ((op->src ^ op->dst) & (align - 1)))
		return;
	req->head = min_t(size_t, op->len, -op->dst & (edge - 1));
	req->body = round_down(op->len - req->head, edge);
}

static int charge(struct zcdma_request *req, const struct zcdma_op *op)
{
	unsigned long pages = zcdma_mem_span(op->dst, op->len);
	int err;

	if (op->opcode == ZCDMA_OP_COPY)
		pages += zcdma_mem_span(op->src, op->len);
	req->cred = get_current_cred();
	err = zcdma_charge(req->cred, pages);
	if (!err)
		req->charged = pages;
	return err;
}

static int pin(struct zcdma_request *req, const struct zcdma_op *op)
{
	int err = zcdma_mem_pin(&req->dst, op->dst, op->len, DMA_FROM_DEVICE);

	if (err)
		return err;
	if (op->opcode == ZCDMA_OP_COPY)
		return zcdma_mem_pin(&req->src, op->src, op->len, DMA_TO_DEVICE);
	return req->body && !fills(req) ? zcdma_mem_pattern(&req->src, req->byte) : 0;
}

/* A page of the pattern is mapped whole and used again and again. */
static bool from_pattern(const struct zcdma_request *req)
{
	return req->opcode == ZCDMA_OP_FILL && req->src.nr_pages;
}

static int map(struct zcdma_request *req)
{
	struct zcdma_chan *chan = req->session->chan;
	int err;

	if (!req->body)
		return 0;
	err = zcdma_mem_map(&req->dst, chan, req->head, req->body);
	if (err)
		return err;
	if (from_pattern(req))
		err = zcdma_mem_map(&req->src, chan, 0, PAGE_SIZE);
	else if (req->src.nr_pages)
		err = zcdma_mem_map(&req->src, chan, req->head, req->body);
	if (err) {
		zcdma_mem_unmap(&req->dst, chan);
		return err;
	}
	req->mapped = true;
	zcdma_request_rewind(req, 0);
	return 0;
}

static void unmap(struct zcdma_request *req)
{
	struct zcdma_chan *chan = req->session->chan;

	if (!req->mapped)
		return;
	if (req->src.sgt.sgl)
		zcdma_mem_unmap(&req->src, chan);
	zcdma_mem_unmap(&req->dst, chan);
	req->mapped = false;
}

static int map_for_device(struct zcdma_request *req)
{
	struct zcdma_chan *chan = req->session->chan;
	int err;

	atomic_inc(&chan->mapped);
	/*
	 * Pairs with zcdma_queue_fail() before lose() looks at "mapped": either we
	 * see the error here, or the unbind sees us and waits.
	 */
	smp_mb__after_atomic();
	err = READ_ONCE(req->session->err);
	if (!err)
		err = map(req);
	if (!req->mapped && atomic_dec_and_test(&chan->mapped))
		wake_up(&chan->idle);
	return err;
}

static void give_back_to_cpu(struct zcdma_request *req)
{
	struct zcdma_chan *chan = req->session->chan;

	if (!req->mapped)
		return;
	unmap(req);
	if (atomic_dec_and_test(&chan->mapped))
		wake_up(&chan->idle);
}

static void release_memory(struct zcdma_request *req)
{
	zcdma_mem_release(&req->src, false);
	zcdma_mem_release(&req->dst, true);
	if (req->charged)
		zcdma_uncharge(req->cred, req->charged);
	req->charged = 0;
	put_cred(req->cred);
	req->cred = NULL;
}

static void move_by_cpu(struct zcdma_request *req, size_t start, size_t len)
{
	if (!len)
		return;
	if (req->opcode == ZCDMA_OP_FILL)
		zcdma_mem_fill(&req->dst, req->byte, start, len);
	else
		zcdma_mem_copy(&req->dst, &req->src, start, len);
	req->flags |= ZCDMA_DONE_CPU;
}

/**
 * zcdma_request_clean() - all that is left to do once the engine is through
 * @req: finished, no piece at the engine, not seen by anybody else.
 *
 * Unmaps, lets the CPU move the edges, unpins and discharges. May sleep.
 */
void zcdma_request_clean(struct zcdma_request *req)
{
	size_t tail = req->head + req->body;

	if (req->clean)
		return;
	give_back_to_cpu(req);
	if (!req->res) {
		move_by_cpu(req, 0, req->head);
		move_by_cpu(req, tail, req->len - tail);
	}
	release_memory(req);
	req->clean = true;
}

void zcdma_request_free(struct zcdma_request *req)
{
	zcdma_session_put(req->session);
	kmem_cache_free(request_cache, req);
}

/* A mapping that fails while others are in flight may work when they are gone. */
static int map_error(struct zcdma_session *session, int err)
{
	if (err != -ENOMEM && err != -EIO)
		return err;
	return READ_ONCE(session->outstanding) > 1 ? -EAGAIN : -ENOMEM;
}

static int fill_in(struct zcdma_request *req, const struct zcdma_op *op, u64 now)
{
	u32 deadline_ms = op->deadline_ms ?: req->session->deadline_ms;
	int err;

	req->user_data = op->user_data;
	req->opcode = op->opcode;
	req->byte = op->src;
	req->len = op->len;
	req->failed_at = SIZE_MAX;
	req->deadline = now + deadline_ms * (u64)NSEC_PER_MSEC;
	split(req, op);
	err = charge(req, op);
	if (err)
		return err;
	err = pin(req, op);
	if (err)
		return err;
	err = map_for_device(req);
	return err ? map_error(req->session, err) : 0;
}

/**
 * zcdma_request_create() - a request, its memory pinned, charged and mapped
 * @session: attached.
 * @op: checked by zcdma_op_check().
 * @now: ktime_get_ns() of the submit.
 *
 * May sleep, for as long as page faults take.
 *
 * Return: the request, or ERR_PTR() of -EFAULT, -ENOMEM, -EAGAIN, -EINTR, -ENODEV.
 */
struct zcdma_request *zcdma_request_create(struct zcdma_session *session,
					   const struct zcdma_op *op, u64 now)
{
	struct zcdma_request *req = kmem_cache_zalloc(request_cache, GFP_KERNEL_ACCOUNT);
	int err;

	if (!req)
		return ERR_PTR(-ENOMEM);
	zcdma_session_get(session);
	req->session = session;
	err = fill_in(req, op, now);
	if (!err)
		return req;
	release_memory(req);
	zcdma_request_free(req);
	return ERR_PTR(err);
}

static dma_addr_t cursor_addr(const struct zcdma_cursor *at)
{
	return sg_dma_address(at->sg) + at->offset;
}

static size_t cursor_left(const struct zcdma_cursor *at)
{
	return sg_dma_len(at->sg) - at->offset;
}

static void cursor_advance(struct zcdma_cursor *at, size_t len)
{
	while (len && len >= cursor_left(at)) {
		len -= cursor_left(at);
		at->sg = sg_next(at->sg);
		at->offset = 0;
	}
	at->offset += len;
}

static void cursor_seek(struct zcdma_cursor *at, const struct zcdma_mem *mem, size_t offset)
{
	at->sg = mem->sgt.sgl;
	at->offset = 0;
	cursor_advance(at, offset);
}

/**
 * zcdma_request_rewind() - hand out the body again from a byte on
 * @req: mapped; under session->lock once it is queued.
 * @offset: in the body.
 */
void zcdma_request_rewind(struct zcdma_request *req, size_t offset)
{
	req->next = offset;
	cursor_seek(&req->dst_at, &req->dst, offset);
	if (req->src.sgt.sgl)
		cursor_seek(&req->src_at, &req->src, from_pattern(req) ? 0 : offset);
}

/**
 * zcdma_request_cut() - the next piece of the body
 * @req: has some body left; under session->lock.
 * @slot: receives it.
 */
void zcdma_request_cut(struct zcdma_request *req, struct zcdma_slot *slot)
{
	const struct zcdma_chan *chan = slot->chan;
	size_t len = min3(req->body - req->next, cursor_left(&req->dst_at),
			  READ_ONCE(chan->max_piece));

	slot->req = req;
	slot->offset = req->next;
	slot->dst = cursor_addr(&req->dst_at);
	len = zcdma_within(chan->boundary, slot->dst, len);
	if (!fills(req)) {
		slot->src = cursor_addr(&req->src_at);
		len = min(len, cursor_left(&req->src_at));
		len = zcdma_within(chan->boundary, slot->src, len);
		if (!from_pattern(req))
			cursor_advance(&req->src_at, len);
	}
	cursor_advance(&req->dst_at, len);
	slot->len = len;
	req->next += len;
	req->pending++;
}

/* Bytes at the start of the target that are certainly there; see the uapi header. */
u64 zcdma_request_done(const struct zcdma_request *req)
{
	if (!req->res)
		return req->len;
	return req->head ? 0 : min(req->failed_at, req->next);
}

/**
 * zcdma_slot_prep() - ask the provider for a descriptor
 * @slot: what to move.
 *
 * May sleep if the provider's prep does.
 *
 * Return: the descriptor, or NULL when the provider has none or wants no piece as
 * long as this.
 */
struct dma_async_tx_descriptor *zcdma_slot_prep(struct zcdma_slot *slot)
{
	const unsigned long flags = DMA_CTRL_ACK | DMA_PREP_INTERRUPT;
	struct dma_chan *dma = slot->chan->dma;

	if (fills(slot->req))
		return dmaengine_prep_dma_memset(dma, slot->dst, slot->req->byte, slot->len,
						 flags);
	return dmaengine_prep_dma_memcpy(dma, slot->dst, slot->src, slot->len, flags);
}

int zcdma_request_init(void)
{
	request_cache = KMEM_CACHE(zcdma_request, SLAB_ACCOUNT);
	return request_cache ? 0 : -ENOMEM;
}

void zcdma_request_exit(void)
{
	kmem_cache_destroy(request_cache);
}
