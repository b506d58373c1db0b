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

/* The device is at one end of it. What goes one way goes in order: there is no barrier. */
static bool is_good_at_port(const struct zcdma_op *op)
{
	if (op->flags)
		return false;
	if (op->opcode == ZCDMA_OP_SEND)
		return !op->dst && !op->dst_buffer && !wraps(op->src, op->len);
	return op->opcode == ZCDMA_OP_RECV && !op->src && !op->src_buffer;
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
	} else if (op->opcode == ZCDMA_OP_FILL) {
		if (op->src > U8_MAX || op->src_buffer)
			return -EINVAL;
	} else if (!is_good_at_port(op)) {
		return -EINVAL;
	}
	return op->len > ZCDMA_MAX_LEN ? -EMSGSIZE : 0;
}

static u64 src_addr(const struct zcdma_request *req)
{
	return req->src_buffer ? req->src_buffer->addr + req->op.src : untagged_addr(req->op.src);
}

static u64 dst_addr(const struct zcdma_request *req)
{
	return req->dst_buffer ? req->dst_buffer->addr + req->op.dst : untagged_addr(req->op.dst);
}

/* Where its memory is mapped for. */
static struct zcdma_chan *chan_of(const struct zcdma_request *req)
{
	return req->slave ? req->slave->chan : req->session->chan;
}

/* A page of the pattern is mapped whole and used again and again. */
static bool from_pattern(const struct zcdma_request *req)
{
	return req->op.opcode == ZCDMA_OP_FILL && req->own && req->src.nr_pages;
}

/* What of it the engine moves. Return: 0, or -EINVAL where source and target overlap. */
static int split(struct zcdma_request *req, const struct zcdma_chan *chan)
{
	size_t align = req->slave ? 1 : req->fills ? chan->fill_align : chan->copy_align;
	size_t edge = max_t(size_t, align, chan->line);
	u64 dst = dst_addr(req);

	if (req->op.opcode == ZCDMA_OP_SEND) {
		req->body = req->op.len;
		return zcdma_slave_fits(req, src_addr(req));
	}
	if (req->op.opcode == ZCDMA_OP_RECV && zcdma_slave_fits(req, dst))
		return -EINVAL;
	if (req->op.opcode == ZCDMA_OP_COPY) {
		u64 src = src_addr(req);

		/* By the addresses of the registration. Unregistered memory was checked before. */
		if ((req->src_buffer || req->dst_buffer) && overlap(src, dst, req->op.len))
			return -EINVAL;
		if ((src ^ dst) & (align - 1))
			return 0;
	}
	req->head = min_t(size_t, req->op.len, -dst & (edge - 1));
	req->body = round_down(req->op.len - req->head, edge);
	return 0;
}

/* ---- memory of the op itself: pinned, charged and mapped for it alone ---- */

static bool has_src(const struct zcdma_op *op)
{
	return (op->opcode == ZCDMA_OP_COPY || op->opcode == ZCDMA_OP_SEND) && !op->src_buffer;
}

static bool has_dst(const struct zcdma_op *op)
{
	return op->opcode != ZCDMA_OP_SEND && !op->dst_buffer;
}

static int charge(struct zcdma_request *req)
{
	unsigned long pages = 0;
	int err;

	if (has_dst(&req->op))
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

	if (has_dst(op))
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

static int map_memory(struct zcdma_request *req, struct zcdma_chan *chan)
{
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
	struct zcdma_chan *chan = chan_of(req);

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

static int map_for_device(struct zcdma_request *req, struct zcdma_chan *chan)
{
	int err = zcdma_device_mapping(req->session, chan);

	if (err)
		return err;
	err = map_memory(req, chan);
	req->mapped = !err;
	if (err)
		zcdma_device_unmapped(chan->device);
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

static void sync_buffers(struct zcdma_request *req, struct zcdma_chan *chan)
{
	if (req->dst_buffer && req->dst_buffer->mem.sync)
		zcdma_part_to_device(chan, req->dst_at, req->body, DMA_FROM_DEVICE);
	if (req->src_buffer && req->src_buffer->mem.sync)
		zcdma_part_to_device(chan, req->src_at, req->body, DMA_TO_DEVICE);
}

/* ---- the way along source and target ---- */

static void cursor_seek(struct zcdma_cursor *at, const struct zcdma_mem *mem, size_t offset)
{
	at->sg = mem->sgt.sgl;
	at->offset = 0;
	zcdma_cursor_advance(at, offset);
}

/* To a byte of the body. */
static void seek(struct zcdma_request *req, size_t offset)
{
	size_t at = req->head + offset;

	req->next = offset;
	if (req->dst_buffer)
		zcdma_buffer_seek(req->dst_buffer, req->op.dst + at, &req->dst_at);
	else if (has_dst(&req->op))
		cursor_seek(&req->dst_at, &req->dst, offset);
	if (req->src_buffer)
		zcdma_buffer_seek(req->src_buffer, req->op.src + at, &req->src_at);
	else if (has_src(&req->op) || from_pattern(req))
		cursor_seek(&req->src_at, &req->src, from_pattern(req) ? 0 : offset);
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

/* Not inline: most ops have none. */
static noinline int pin_own(struct zcdma_request *req)
{
	int err;

	own_memory(req);
	err = charge(req);
	return err ?: pin(req);
}

/* Does the session take such an op? */
static int find_engine(struct zcdma_request *req)
{
	if (req->op.opcode == ZCDMA_OP_SEND || req->op.opcode == ZCDMA_OP_RECV)
		return zcdma_slave_get(req);
	return req->session->nr_lanes ? 0 : -EOPNOTSUPP;
}

/**
 * zcdma_request_pin() - check the op; pin and charge its memory, unless registered
 * @req: reset, with its op. To be cleaned up even if this fails.
 * @now: ktime_get_ns() of the submit.
 *
 * May sleep, for as long as page faults take.
 *
 * Return: 0, -EINVAL, -EMSGSIZE, -EOPNOTSUPP, -EBUSY, -EFAULT, -ENOMEM, -EINTR.
 */
int zcdma_request_pin(struct zcdma_request *req, u64 now)
{
	u32 deadline_ms = req->op.deadline_ms ?: req->session->deadline_ms;
	int err = check(&req->op) ?: find_engine(req);

	req->deadline = now + deadline_ms * (u64)NSEC_PER_MSEC;
	if (err || (!has_dst(&req->op) && !has_src(&req->op)))
		return err;
	return pin_own(req);
}

/* Is the body of a copy one piece, at both ends? */
static bool is_piece(const struct zcdma_request *req, u64 boundary)
{
	return req->body <= ZCDMA_STRIPE &&
	       zcdma_cursor_is_piece(&req->dst_at, req->body, boundary) &&
	       zcdma_cursor_is_piece(&req->src_at, req->body, boundary);
}

/* Return: 0, -EINVAL, -ENOMEM, -EAGAIN, or why the session takes no more. */
static noinline int map_any(struct zcdma_request *req)
{
	const struct zcdma_op *op = &req->op;
	struct zcdma_chan *chan = chan_of(req);
	int err;

	req->fills = op->opcode == ZCDMA_OP_FILL && (chan->caps & ZCDMA_CAP_FILL);
	err = split(req, chan);
	if (err)
		return err;
	if (op->opcode == ZCDMA_OP_FILL && req->body && !req->fills) {
		own_memory(req);
		err = zcdma_mem_pattern(&req->src, op->src);
		if (err)
			return err;
	}
	req->quick = !req->own && op->len <= ZCDMA_QUICK && op->len - req->body <= CPU_QUICK;
	if (!req->body)
		return 0;
	if (req->own) {
		err = map_for_device(req, chan);
		if (err)
			return map_error(req->session, err);
	}
	seek(req, 0);
	sync_buffers(req, chan);
	req->whole = req->own && op->opcode == ZCDMA_OP_COPY && is_piece(req, chan->boundary);
	return 0;
}

static __always_inline void flush(struct zcdma_chan *chan, struct zcdma_stretch *stretch,
				  enum dma_data_direction dir)
{
	if (stretch->at.sg)
		dma_sync_single_for_device(chan->dev, zcdma_cursor_addr(&stretch->at),
					   zcdma_stretch_len(stretch), dir);
}

/* Now, or with what follows. */
static __always_inline void make_ready(struct zcdma_chan *chan, struct zcdma_stretch *stretch,
				       const struct zcdma_cursor *at, size_t len,
				       enum dma_data_direction dir)
{
	if (zcdma_stretch_on(stretch, at, len))
		return;
	flush(chan, stretch, dir);
	zcdma_stretch_begin(stretch, at, len);
}

/* Before an engine gets them: of a batch, what it is to write to and what it is to read. */
struct readying {
	struct zcdma_stretch dst, src;
};

/* What most ops are: a copy of registered memory without edges, and one piece. */
static __always_inline bool map_whole(struct zcdma_chan *chan, struct zcdma_request *req,
				      struct readying *readying)
{
	const struct zcdma_buffer *dst = req->dst_buffer, *src = req->src_buffer;
	const u64 boundary = chan->boundary;
	const struct zcdma_op *op = &req->op;
	u64 len = op->len, to, from;

	BUILD_BUG_ON(ZCDMA_QUICK > ZCDMA_STRIPE);
	if (!dst || !src || len > ZCDMA_QUICK)
		return false;
	to = dst->addr + op->dst;
	from = src->addr + op->src;
	if (((to | len) & (chan->copy_edge - 1)) || (from & (chan->copy_align - 1)) ||
	    overlap(to, from, len) ||
	    !zcdma_buffer_piece(dst, op->dst, len, boundary, &req->dst_at) ||
	    !zcdma_buffer_piece(src, op->src, len, boundary, &req->src_at))
		return false;
	req->body = len;
	req->whole = true;
	req->quick = true;
	if (dst->mem.sync)
		make_ready(chan, &readying->dst, &req->dst_at, len, DMA_FROM_DEVICE);
	if (src->mem.sync)
		make_ready(chan, &readying->src, &req->src_at, len, DMA_TO_DEVICE);
	return true;
}

/**
 * zcdma_requests_map() - give the memory of a batch to the engine's device
 * @session: attached.
 * @batch: pinned, their buffers found. Those from the first on that cannot be done go to
 *	@rest. To be cleaned up even if this fails.
 * @rest: receives them.
 * @ready: tells of those that stay in @batch.
 *
 * Touches no user memory. May sleep, but not for ops whose memory is registered,
 * unless it is a fill and the engine does none: that takes a page.
 *
 * Return: 0, or what is wrong with the first of @rest: -EINVAL, -ENOMEM, -EAGAIN, or why
 * the session takes no more.
 */
int zcdma_requests_map(struct zcdma_session *session, struct list_head *batch,
		       struct list_head *rest, struct zcdma_ready *ready)
{
	struct zcdma_chan *chan = session->chan;
	struct readying readying = {};
	u64 deadline = U64_MAX;
	struct zcdma_request *req;
	unsigned int nr = 0;
	int err = 0;

	list_for_each_entry(req, batch, node) {
		/* Before memory is looked at: a barrier that begins now makes this stale. */
		req->epoch = READ_ONCE(session->epoch);
		if (!map_whole(chan, req, &readying)) {
			err = map_any(req);
			if (err) {
				zcdma_cut_off(batch, req, rest);
				break;
			}
		}
		deadline = min(deadline, req->deadline);
		nr++;
	}
	ready->nr = nr;
	ready->deadline = deadline;
	flush(chan, &readying.dst, DMA_FROM_DEVICE);
	flush(chan, &readying.src, DMA_TO_DEVICE);
	return err;
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

/**
 * zcdma_request_conclude() - what the engine wrote is to be seen, and the CPU does its part
 * @req: the engine is through with it.
 *
 * May sleep, unless the request is @quick.
 */
void zcdma_request_conclude(struct zcdma_request *req)
{
	struct zcdma_buffer *to = req->dst_buffer;
	size_t tail = req->head + req->body;

	unmap_memory(req);
	if (to && req->body && to->mem.sync) {
		zcdma_buffer_seek(to, req->op.dst + req->head, &req->dst_at);
		zcdma_part_to_cpu(chan_of(req), req->dst_at, req->body);
	}
	if (req->body != req->op.len && !req->res && !req->slave) {
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
	zcdma_request_conclude(req);
	release_memory(req);
	spin_lock_irq(&session->lock);
	zcdma_buffers_put(req);
	if (req->finished)
		session->dirty--;
	req->clean = true;
	spin_unlock_irq(&session->lock);
}

/**
 * zcdma_request_rewind() - hand out the body again from a byte on
 * @req: mapped; under session->lock once it is queued.
 * @offset: in the body.
 */
void zcdma_request_rewind(struct zcdma_request *req, size_t offset)
{
	req->whole = false;
	seek(req, offset);
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
 * zcdma_request_cut_some() - the next piece of a body that is not whole, or not any more
 * @req: has some body left; under session->lock.
 * @slot: receives it.
 */
void zcdma_request_cut_some(struct zcdma_request *req, struct zcdma_slot *slot)
{
	const struct zcdma_chan *chan = slot->chan;
	size_t len;

	req->whole = false;
	/* They stand at the end of a segment where the last piece ended. */
	zcdma_cursor_advance(&req->dst_at, 0);
	if (!req->fills)
		zcdma_cursor_advance(&req->src_at, 0);
	len = min3(req->body - req->next, zcdma_cursor_left(&req->dst_at),
		   READ_ONCE(chan->max_piece));
	if (req->session->nr_lanes > 1)
		len = min_t(size_t, len, ZCDMA_STRIPE);
	if (is_stale(req))
		len = min_t(size_t, len, CPU_CHUNK); /* a spinlock is held */

	slot->offset = req->next;
	slot->dst = zcdma_cursor_addr(&req->dst_at);
	len = zcdma_within(chan->boundary, slot->dst, len);
	if (!req->fills) {
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

int zcdma_request_init(void)
{
	request_cache = KMEM_CACHE(zcdma_request, SLAB_ACCOUNT);
	return request_cache ? 0 : -ENOMEM;
}

void zcdma_request_exit(void)
{
	kmem_cache_destroy(request_cache);
}
