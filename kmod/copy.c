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

/* What the CPU moves between two looks at the scheduler, and at most in a callback. */
#define CPU_CHUNK	SZ_64K
#define CPU_QUICK	SZ_1K

static bool wraps(u64 start, u64 len)
{
	return start + len < start;
}

static bool overlap(u64 a, u64 b, u64 len)
{
	return a < b + len && b < a + len;
}

/* What can be said of an op without looking at memory. */
static int check(const struct zcdma_op *op)
{
	if (op->flags & ~ZCDMA_OP_FLAG_BARRIER || op->__reserved1 || op->__reserved2 ||
	    op->__reserved0[0] | op->__reserved0[1] | op->__reserved0[2])
		return -EINVAL;
	if (op->deadline_ms > ZCDMA_MAX_DEADLINE_MS || !op->len || wraps(op->dst, op->len))
		return -EINVAL;
	if (op->opcode == ZCDMA_OP_COPY) {
		if (wraps(op->src, op->len))
			return -EINVAL;
		if (!op->src_buffer && !op->dst_buffer &&
		    overlap(untagged_addr(op->src), untagged_addr(op->dst), op->len))
			return -EINVAL;
	} else if (op->opcode != ZCDMA_OP_FILL || op->src > U8_MAX || op->src_buffer) {
		return -EINVAL;
	}
	return op->len > ZCDMA_MAX_LEN ? -EMSGSIZE : 0;
}

static u64 src_addr(const struct zcdma_request *req)
{
	u64 addr = req->src_buffer ? req->src_buffer->addr + req->op.src : req->op.src;

	return untagged_addr(addr);
}

static u64 dst_addr(const struct zcdma_request *req)
{
	u64 addr = req->dst_buffer ? req->dst_buffer->addr + req->op.dst : req->op.dst;

	return untagged_addr(addr);
}

/* Does the engine fill by itself? Otherwise it copies from a page of the pattern. */
static bool fills(const struct zcdma_request *req)
{
	return req->op.opcode == ZCDMA_OP_FILL && (req->session->chan->caps & ZCDMA_CAP_FILL);
}

/* A page of the pattern is mapped whole and used again and again. */
static bool from_pattern(const struct zcdma_request *req)
{
	return req->op.opcode == ZCDMA_OP_FILL && req->own && req->src.nr_pages;
}

static void split(struct zcdma_request *req)
{
	const struct zcdma_chan *chan = req->session->chan;
	size_t align = fills(req) ? chan->fill_align : chan->copy_align;
	size_t edge = max_t(size_t, align, chan->line);
	u64 dst = dst_addr(req);

	if (req->op.opcode == ZCDMA_OP_COPY && ((src_addr(req) ^ dst) & (align - 1)))
		return;
	req->head = min_t(size_t, req->op.len, -dst & (edge - 1));
	req->body = round_down(req->op.len - req->head, edge);
}

/* ---- memory of the op itself: pinned, charged and mapped for it alone ---- */

static bool has_src(const struct zcdma_op *op)
{
	return op->opcode == ZCDMA_OP_COPY && !op->src_buffer;
}

static int charge(struct zcdma_request *req)
{
	unsigned long pages = 0;
	int err;

	if (!req->op.dst_buffer)
		pages += zcdma_mem_span(req->op.dst, req->op.len);
	if (has_src(&req->op))
		pages += zcdma_mem_span(req->op.src, req->op.len);
	req->cred = get_current_cred();
	err = zcdma_charge(req->cred, pages);
	if (!err)
		req->charged = pages;
	return err;
}

static int pin(struct zcdma_request *req)
{
	const struct zcdma_op *op = &req->op;
	int err = 0;

	if (!op->dst_buffer)
		err = zcdma_mem_pin(&req->dst, op->dst, op->len, DMA_FROM_DEVICE, 0);
	if (!err && has_src(op))
		err = zcdma_mem_pin(&req->src, op->src, op->len, DMA_TO_DEVICE, 0);
	return err;
}

static void release_memory(struct zcdma_request *req)
{
	if (!req->own)
		return;
	zcdma_mem_release(&req->src, false);
	zcdma_mem_release(&req->dst, true);
	if (!req->cred)
		return;
	zcdma_uncharge(req->cred, req->charged);
	put_cred(req->cred);
	req->charged = 0;
	req->cred = NULL;
}

static int map_memory(struct zcdma_request *req)
{
	struct zcdma_chan *chan = req->session->chan;
	int err;

	if (req->dst.nr_pages) {
		err = zcdma_mem_map(&req->dst, chan, req->head, req->body);
		if (err)
			return err;
		zcdma_mem_to_device(&req->dst, chan);
	}
	if (!req->src.nr_pages)
		return 0;
	err = zcdma_mem_map(&req->src, chan, from_pattern(req) ? 0 : req->head,
			    from_pattern(req) ? PAGE_SIZE : req->body);
	if (!err)
		zcdma_mem_to_device(&req->src, chan);
	else if (req->dst.nr_pages)
		zcdma_mem_unmap(&req->dst, chan);
	return err;
}

static void unmap_memory(struct zcdma_request *req)
{
	struct zcdma_chan *chan = req->session->chan;

	if (!req->mapped)
		return;
	if (req->src.nr_pages)
		zcdma_mem_unmap(&req->src, chan);
	if (req->dst.nr_pages) {
		zcdma_mem_to_cpu(&req->dst, chan);
		zcdma_mem_unmap(&req->dst, chan);
	}
	req->mapped = false;
	zcdma_device_unmapped(chan->device);
}

static int map_for_device(struct zcdma_request *req)
{
	int err = zcdma_device_mapping(req->session);

	if (err)
		return err;
	err = map_memory(req);
	req->mapped = !err;
	if (err)
		zcdma_device_unmapped(req->session->chan->device);
	return err;
}

/* A mapping that fails while others are in flight may work when they are gone. */
static int map_error(struct zcdma_session *session, int err)
{
	bool idle;

	if (err != -ENOMEM && err != -EIO)
		return err;
	spin_lock_irq(&session->lock);
	idle = zcdma_queue_idle(session);
	spin_unlock_irq(&session->lock);
	return idle ? -ENOMEM : -EAGAIN;
}

/* ---- registered memory ---- */

static void sync_buffers(struct zcdma_request *req)
{
	struct zcdma_chan *chan = req->session->chan;

	if (req->dst_buffer && req->dst_buffer->mem.sync)
		zcdma_part_to_device(chan, req->dst_at, req->body, DMA_FROM_DEVICE);
	if (req->src_buffer && req->src_buffer->mem.sync)
		zcdma_part_to_device(chan, req->src_at, req->body, DMA_TO_DEVICE);
}

static void put_buffers(struct zcdma_request *req)
{
	if (req->dst_buffer)
		zcdma_buffer_put(req->session, req->dst_buffer);
	if (req->src_buffer)
		zcdma_buffer_put(req->session, req->src_buffer);
}

/* ---- a request's life ---- */

struct zcdma_request *zcdma_request_alloc(gfp_t gfp)
{
	return kmem_cache_alloc(request_cache, gfp | __GFP_ACCOUNT);
}

/* Its memory has been released, or it never had any. */
void zcdma_request_free(struct zcdma_request *req)
{
	kmem_cache_free(request_cache, req);
}

/* As new, but for the list that it is on, and the op. */
void zcdma_request_reset(struct zcdma_request *req, struct zcdma_session *session)
{
	req->session = session;
	req->taker = NULL;
	req->uring = NULL;
	req->pending = 0;
	req->mapped = false;
	req->own = false;
	req->quick = false;
	req->clean = false;
	req->finished = false;
	req->res = 0;
	req->flags = 0;
	req->head = 0;
	req->body = 0;
	req->next = 0;
	req->failed_at = SIZE_MAX;
	req->src_buffer = NULL;
	req->dst_buffer = NULL;
}

/* It has memory of its own, or will have: none yet. */
static void own_memory(struct zcdma_request *req)
{
	if (req->own)
		return;
	req->own = true;
	req->cred = NULL;
	req->charged = 0;
	zcdma_mem_reset(&req->src);
	zcdma_mem_reset(&req->dst);
}

/**
 * zcdma_request_pin() - check the op; pin and charge its memory, unless registered
 * @req: reset, with its op. To be cleaned up even if this fails.
 * @now: ktime_get_ns() of the submit.
 *
 * May sleep, for as long as page faults take.
 *
 * Return: 0, -EINVAL, -EMSGSIZE, -EFAULT, -ENOMEM, -EINTR.
 */
int zcdma_request_pin(struct zcdma_request *req, u64 now)
{
	u32 deadline_ms = req->op.deadline_ms ?: req->session->deadline_ms;
	int err = check(&req->op);

	if (err)
		return err;
	req->deadline = now + deadline_ms * (u64)NSEC_PER_MSEC;
	if (req->op.dst_buffer && !has_src(&req->op))
		return 0;
	own_memory(req);
	err = charge(req);
	return err ?: pin(req);
}

/**
 * zcdma_request_find_buffers() - the registered memory that the op names
 * @req: checked; under session->lock.
 *
 * Return: 0, -EINVAL, -EFAULT; see zcdma_buffer_get().
 */
int zcdma_request_find_buffers(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;
	const struct zcdma_op *op = &req->op;
	struct zcdma_buffer *buffer;

	if (op->dst_buffer) {
		buffer = zcdma_buffer_get(session, op->dst_buffer, op->dst, op->len, true);
		if (IS_ERR(buffer))
			return PTR_ERR(buffer);
		req->dst_buffer = buffer;
	}
	if (op->src_buffer) {
		buffer = zcdma_buffer_get(session, op->src_buffer, op->src, op->len, false);
		if (IS_ERR(buffer))
			return PTR_ERR(buffer);
		req->src_buffer = buffer;
	}
	/* By the addresses of the registration. Unregistered memory alone was checked before. */
	if ((req->src_buffer || (req->dst_buffer && op->opcode == ZCDMA_OP_COPY)) &&
	    overlap(src_addr(req), dst_addr(req), op->len))
		return -EINVAL;
	return 0;
}

/**
 * zcdma_request_map() - give the memory to the engine's device
 * @req: pinned, its buffers found. To be cleaned up even if this fails.
 *
 * Touches no user memory. May sleep, but not for an op whose memory is registered,
 * unless it is a fill and the engine does none: that takes a page.
 *
 * Return: 0, -ENOMEM, -EAGAIN, or why the session takes no more.
 */
int zcdma_request_map(struct zcdma_request *req)
{
	int err;

	/* Before memory is looked at: a barrier that begins from now on makes this stale. */
	req->epoch = READ_ONCE(req->session->epoch);
	split(req);
	if (req->op.opcode == ZCDMA_OP_FILL && req->body && !fills(req)) {
		own_memory(req);
		err = zcdma_mem_pattern(&req->src, req->op.src);
		if (err)
			return err;
	}
	req->quick = !req->own && req->op.len <= ZCDMA_QUICK &&
		     req->op.len - req->body <= CPU_QUICK;
	if (!req->body)
		return 0;
	if (req->own) {
		err = map_for_device(req);
		if (err)
			return map_error(req->session, err);
	}
	zcdma_request_rewind(req, 0);
	req->dst_start = req->dst_at;
	sync_buffers(req);
	return 0;
}

static void cpu_part(struct zcdma_request *req, size_t start, size_t len)
{
	struct zcdma_buffer *to = req->dst_buffer, *from = req->src_buffer;
	struct zcdma_mem *dst = to ? &to->mem : &req->dst;
	size_t at = start + (to ? req->op.dst : 0);

	if (req->op.opcode == ZCDMA_OP_FILL)
		zcdma_mem_fill(dst, req->op.src, at, len);
	else
		zcdma_mem_copy(dst, at, from ? &from->mem : &req->src,
			       start + (from ? req->op.src : 0), len);
}

static void move_by_cpu(struct zcdma_request *req, size_t start, size_t len)
{
	size_t part;

	for (; len; start += part, len -= part) {
		part = min_t(size_t, len, CPU_CHUNK);
		cpu_part(req, start, part);
		req->flags |= ZCDMA_DONE_CPU;
		if (!req->quick)
			cond_resched();
	}
}

/* The engine is through: what it wrote is to be seen, and the CPU does its part. */
static void conclude(struct zcdma_request *req)
{
	struct zcdma_buffer *to = req->dst_buffer;
	size_t tail = req->head + req->body;

	unmap_memory(req);
	if (to && req->body && to->mem.sync)
		zcdma_part_to_cpu(req->session->chan, req->dst_start, req->body);
	if (req->body != req->op.len && !req->res) {
		move_by_cpu(req, 0, req->head);
		move_by_cpu(req, tail, req->op.len - tail);
	}
}

/**
 * zcdma_request_clean() - all that is left to do once the engine is through
 * @req: no piece at the engine, not seen by anybody else.
 *
 * Synchronizes and unmaps, lets the CPU move the edges, unpins and discharges. May sleep.
 */
void zcdma_request_clean(struct zcdma_request *req)
{
	struct zcdma_session *session = req->session;

	if (req->clean)
		return;
	conclude(req);
	release_memory(req);
	spin_lock_irq(&session->lock);
	put_buffers(req);
	if (req->finished)
		session->dirty--;
	req->clean = true;
	spin_unlock_irq(&session->lock);
}

/* The same for one that is @quick: in any context, under session->lock, not @finished yet. */
void zcdma_request_clean_quick(struct zcdma_request *req)
{
	conclude(req);
	put_buffers(req);
	req->clean = true;
}

static void cursor_seek(struct zcdma_cursor *at, const struct zcdma_mem *mem, size_t offset)
{
	at->sg = mem->sgt.sgl;
	at->offset = 0;
	zcdma_cursor_advance(at, offset);
}

/**
 * zcdma_request_rewind() - hand out the body again from a byte on
 * @req: mapped; under session->lock once it is queued.
 * @offset: in the body.
 */
void zcdma_request_rewind(struct zcdma_request *req, size_t offset)
{
	size_t at = req->head + offset;

	req->next = offset;
	if (req->dst_buffer)
		req->dst_at = zcdma_buffer_seek(req->dst_buffer, req->op.dst + at);
	else
		cursor_seek(&req->dst_at, &req->dst, offset);
	if (req->src_buffer)
		req->src_at = zcdma_buffer_seek(req->src_buffer, req->op.src + at);
	else if (!fills(req))
		cursor_seek(&req->src_at, &req->src, from_pattern(req) ? 0 : offset);
}

/*
 * Was its source made ready before a barrier began? Then ops before that may have written
 * there since, the CPU for them, too.
 */
static bool is_stale(const struct zcdma_request *req)
{
	return req->epoch != req->session->epoch && req->op.opcode == ZCDMA_OP_COPY &&
	       (req->src_buffer ? req->src_buffer->mem.sync : req->src.sync);
}

/**
 * zcdma_request_cut() - the next piece of the body
 * @req: has some body left; under session->lock.
 * @slot: receives it.
 */
void zcdma_request_cut(struct zcdma_request *req, struct zcdma_slot *slot)
{
	const struct zcdma_chan *chan = slot->chan;
	size_t len;

	/* They stand at the end of a segment where the last piece ended. */
	zcdma_cursor_advance(&req->dst_at, 0);
	if (!fills(req))
		zcdma_cursor_advance(&req->src_at, 0);
	len = min3(req->body - req->next, zcdma_cursor_left(&req->dst_at),
		   READ_ONCE(chan->max_piece));
	if (req->session->nr_lanes > 1)
		len = min_t(size_t, len, ZCDMA_STRIPE);
	if (is_stale(req))
		len = min_t(size_t, len, CPU_CHUNK); /* a spinlock is held */

	slot->req = req;
	slot->offset = req->next;
	slot->dst = zcdma_cursor_addr(&req->dst_at);
	len = zcdma_within(chan->boundary, slot->dst, len);
	if (!fills(req)) {
		slot->src = zcdma_cursor_addr(&req->src_at);
		len = min(len, zcdma_cursor_left(&req->src_at));
		len = zcdma_within(chan->boundary, slot->src, len);
		if (is_stale(req))
			zcdma_part_to_device(req->session->chan, req->src_at, len, DMA_TO_DEVICE);
		if (req->op.opcode == ZCDMA_OP_COPY)
			req->src_at.offset += len;
	}
	req->dst_at.offset += len;
	slot->len = len;
	req->next += len;
	req->pending++;
}

/* Bytes at the start of the target that are certainly there; see the uapi header. */
u64 zcdma_request_done(const struct zcdma_request *req)
{
	if (!req->res)
		return req->op.len;
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
		return dmaengine_prep_dma_memset(dma, slot->dst, slot->req->op.src, slot->len,
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
