// SPDX-License-Identifier: GPL-2.0
/*
 * One op: what of it the engine can do, and the pieces it is cut into.
 *
 *	  op	|<---------------------- len ---------------------->|
 *		|<- head ->|<------------- body ------------>|<---->|
 *		   CPU		       engine			CPU
 *				|     |  |	 |    |
 *				 pieces: cut where either mapped list ends,
 *				 at the engine's longest and at the boundary
 *
 * Head and tail exist where the engine may not go: its alignment forbids it, or
 * (on engines that do not see the CPU's caches) the target's first or last
 * cache line also holds somebody else's bytes. Source and target that are
 * misaligned against each other leave no body at all. The CPU's part is done last, and only
 * if the engine's part went well: op_cpu.c. Each row of a 2-D op has edges of its own: see rows.c.
 *
 * Nothing here takes a lock. Who may call what when follows from the op's state, see op.h.
 */
#include <linux/cred.h>
#include <linux/slab.h>
#include "op.h"
#include "provider.h"
#include "rows.h"

static struct kmem_cache *op_cache;

struct zc_op *zc_op_alloc(gfp_t gfp)
{
	return kmem_cache_alloc(op_cache, gfp | __GFP_ACCOUNT);
}

/* FREE, and on no list. In any context. */
void zc_op_free(struct zc_op *op)
{
	kmem_cache_free(op_cache, op);
}

/* ---- what can be said of an op without looking at memory ---- */

static bool op_wraps(u64 start, u64 len)
{
	return start + len < start;
}

static bool op_overlaps(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* The device is at one end of it. What goes one way goes in order: there is no barrier. */
static bool op_is_good_at_port(const struct zcdma_op *want)
{
	if (want->flags)
		return false;
	if (want->opcode == ZCDMA_OP_SEND)
		return !want->dst && !want->dst_buffer && !op_wraps(want->src, want->len);
	return want->opcode == ZCDMA_OP_RECV && !want->src && !want->src_buffer;
}

/* Return: 0, -EINVAL or -EMSGSIZE. */
int zc_op_check(const struct zcdma_op *want)
{
	bool rows = want->opcode == ZCDMA_OP_COPY_2D;
	u64 dst_len = want->len, src_len = want->len;

	if (want->flags & ~ZCDMA_OP_FLAG_BARRIER ||
	    want->__reserved0[0] | want->__reserved0[1] | want->__reserved0[2])
		return -EINVAL;
	if (rows) {
		if (!want->rows || want->len > min(want->dst_stride, want->src_stride))
			return -EINVAL;
		dst_len += (want->rows - 1) * (u64)want->dst_stride;
		src_len += (want->rows - 1) * (u64)want->src_stride;
	} else if (want->__reserved1 || want->__reserved2) {
		return -EINVAL;
	}
	if (want->deadline_ms > ZC_MAX_DEADLINE_MS || !want->len || op_wraps(want->dst, dst_len))
		return -EINVAL;
	if (rows || want->opcode == ZCDMA_OP_COPY) {
		if (op_wraps(want->src, src_len))
			return -EINVAL;
		if (!want->src_buffer && !want->dst_buffer &&
		    op_overlaps(untagged_addr(want->src), src_len,
				untagged_addr(want->dst), dst_len))
			return -EINVAL;
	} else if (want->opcode == ZCDMA_OP_FILL) {
		if (want->src > U8_MAX || want->src_buffer)
			return -EINVAL;
	} else if (!op_is_good_at_port(want)) {
		return -EINVAL;
	}
	return max(dst_len, src_len) > ZC_MAX_LEN ? -EMSGSIZE : 0;
}

/* ---- memory of the op itself: pinned, charged and mapped for it alone ---- */

/* It has memory of its own, or will have: none yet. */
static void op_own_memory(struct zc_op *op)
{
	if (op->own)
		return;
	op->own = true;
	op->cred = NULL;
	op->charged = 0;
	zc_mem_reset(&op->src);
	zc_mem_reset(&op->dst);
}

static int op_charge(struct zc_op *op, size_t dst_len, size_t src_len)
{
	unsigned long pages = 0;
	int err;

	if (zc_op_has_dst(&op->want))
		pages += zc_mem_span(op->want.dst, dst_len);
	if (zc_op_has_src(&op->want))
		pages += zc_mem_span(op->want.src, src_len);
	op->cred = get_current_cred();
	err = zc_charge(op->cred, pages);
	if (!err)
		op->charged = pages;
	return err;
}

/**
 * zc_op_pin() - pin and charge the memory that is not registered
 * @op: NEW and checked. To be given to zc_op_unpin(), even if this fails.
 * @longterm: it may stay pinned for longer than a transfer by direct I/O.
 *
 * May sleep, for as long as page faults take.
 *
 * Return: 0, -EFAULT, -ENOMEM, -EINTR.
 */
int zc_op_pin(struct zc_op *op, bool longterm)
{
	const struct zcdma_op *want = &op->want;
	size_t dst_len = zc_op_span(want, want->dst_stride);
	size_t src_len = zc_op_span(want, want->src_stride);
	int err;

	op_own_memory(op);
	err = op_charge(op, dst_len, src_len);
	if (!err && zc_op_has_dst(want))
		err = zc_mem_pin(&op->dst, want->dst, dst_len, DMA_BIDIRECTIONAL, longterm);
	if (!err && zc_op_has_src(want))
		err = zc_mem_pin(&op->src, want->src, src_len, DMA_TO_DEVICE, longterm);
	return err;
}

static bool op_was_written(const struct zc_op *op)
{
	return op->handed || op->flags & ZCDMA_DONE_CPU;
}

static void op_unpin(struct zc_op *op, bool written)
{
	if (!op->own)
		return;
	zc_mem_release(&op->src, false);
	zc_mem_release(&op->dst, written);
	op->own = false;
	if (!op->cred)
		return;
	zc_uncharge(op->cred, op->charged);
	put_cred(op->cred);
}

/* Nothing of it is mapped. May sleep: pages of a file are locked to be marked dirty. */
void zc_op_unpin(struct zc_op *op)
{
	op_unpin(op, op_was_written(op));
}

/* The same, but false when a file system has one of its pages, and nothing was unpinned. */
bool zc_op_try_unpin(struct zc_op *op)
{
	if (op->own && op_was_written(op) && !zc_mem_try_dirty(&op->dst))
		return false;
	op_unpin(op, false);
	return true;
}

/* ---- what of it the engine moves ---- */

/* The powers of two by which source and target are misaligned against each other, in some row. */
static u64 op_skew(const struct zcdma_op *want, u64 src, u64 dst)
{
	return (src ^ dst) | (want->src_stride ^ want->dst_stride);
}

static struct page *op_page(const struct zc_mem *mem, size_t at)
{
	return mem->pages[(mem->offset + at) >> PAGE_SHIFT];
}

/*
 * Do source and target overlap, of which one at least is registered? The addresses are those
 * of the registration; something else may be mapped there by now. So the pages decide.
 */
static bool op_registered_overlap(struct zc_op *op, u64 src, u64 dst)
{
	const struct zcdma_op *want = &op->want;
	size_t in_src = op->src_buffer ? want->src : 0;
	size_t in_dst = op->dst_buffer ? want->dst : 0;

	if (!op_overlaps(src, zc_op_span(want, want->src_stride),
			 dst, zc_op_span(want, want->dst_stride)))
		return false;
	if (src > dst)
		in_dst += src - dst;
	else
		in_src += dst - src;
	return op_page(zc_op_src(op), in_src) == op_page(zc_op_dst(op), in_dst);
}

/* A page of the pattern is mapped whole and used again and again. */
static bool op_from_pattern(const struct zc_op *op)
{
	return zc_op_wants_pattern(&op->want, op->lease);
}

/*
 * What of an op the engine moves. Return: 0, or -EINVAL where source and target overlap, or a
 * port's words are cut, or -EFAULT where rows go on behind a buffer.
 */
static int op_split(struct zc_op *op)
{
	const struct zc_lease *lease = op->lease;
	const struct zcdma_op *want = &op->want;
	size_t align = op->slave ? 1 : op->fills ? lease->fill_align : lease->copy_align;
	size_t edge = max_t(size_t, align, lease->line);
	u64 dst = zc_op_dst_addr(op), src = zc_op_src_addr(op);

	if (op->slave) {
		if (((want->opcode == ZCDMA_OP_SEND ? src : dst) | want->len) & (op->word - 1))
			return -EINVAL;
		if (want->opcode == ZCDMA_OP_SEND) {
			op->body = want->len;
			return 0;
		}
	}
	if (want->opcode == ZCDMA_OP_COPY) {
		if (want->rows && !zc_rows_fit(op))
			return -EFAULT;
		if ((op->src_buffer || op->dst_buffer) && op_registered_overlap(op, src, dst))
			return -EINVAL;
		if (op_skew(want, src, dst) & (align - 1))
			return 0;
	}
	if (want->rows) {
		zc_rows_split(op);
		return 0;
	}
	op->head = min_t(size_t, want->len, -dst & (edge - 1));
	op->body = round_down(want->len - op->head, edge);
	return 0;
}

/* ---- the way along source and target ---- */

/* Bytes of memory from the first one of the body to the last. */
static size_t op_body_span(const struct zc_op *op, u32 stride)
{
	return zc_op_place(&op->want, op->head + op->body - 1, stride) + 1 - op->head;
}

/* Bytes of the body that lie together, from the next one on. */
static size_t op_run(const struct zc_op *op)
{
	return op->want.rows ? zc_row_left(op) : SIZE_MAX;
}

/* On by so many of them. */
static void op_step(struct zc_op *op, size_t len)
{
	op->dst_at.offset += len;
	if (op->want.opcode == ZCDMA_OP_COPY)
		op->src_at.offset += len;
	op->next += len;
	op->reached = max(op->reached, op->next);
	if (op->want.rows)
		zc_rows_next(op, op->head + op->next - 1);
}

/* In memory that is mapped from the head on. */
static void op_seek_own(struct zc_cursor *at, const struct zc_mem *mem, size_t offset)
{
	at->sg = mem->sgt.sgl;
	at->offset = 0;
	zc_cursor_advance(at, offset);
}

/**
 * zc_op_seek() - hand out the body from a byte on
 * @op: mapped; under session->lock once it is known there.
 * @offset: in the body; of a 2-D op, in what it has of the first row.
 */
void zc_op_seek(struct zc_op *op, size_t offset)
{
	size_t at = op->head + offset;

	op->next = offset;
	op->one = false;
	if (op->dst_buffer)
		zc_buffer_seek(op->dst_buffer, op->want.dst + at, &op->dst_at);
	else if (zc_op_has_dst(&op->want))
		op_seek_own(&op->dst_at, &op->dst, offset);
	if (op->src_buffer)
		zc_buffer_seek(op->src_buffer, op->want.src + at, &op->src_at);
	else if (zc_op_has_src(&op->want))
		op_seek_own(&op->src_at, &op->src, offset);
	else if (op_from_pattern(op))
		op_seek_own(&op->src_at, &op->src, 0);
}

/**
 * zc_op_rewind() - hand out a piece again, and what follows it
 * @op: as for zc_op_seek().
 * @slot: the piece, of which nothing need be there.
 */
void zc_op_rewind(struct zc_op *op, const struct zc_slot *slot)
{
	if (slot->offset > op->next)
		return;
	op->next = slot->offset;
	op->one = false;
	op->dst_at = slot->dst.at;
	if (!op->fills)
		op->src_at = slot->src.at;
}

static int op_map_own(struct zc_op *op)
{
	const struct zc_limits *limits = &op->lease->limits;
	int err;

	if (op->dst.nr_pages) {
		err = zc_mem_map(&op->dst, limits, op->dst.offset + op->head,
				 op_body_span(op, op->want.dst_stride));
		if (err)
			return err;
	}
	if (!op->src.nr_pages)
		return 0;
	if (op_from_pattern(op))
		err = zc_mem_map(&op->src, limits, 0, PAGE_SIZE);
	else
		err = zc_mem_map(&op->src, limits, op->src.offset + op->head,
				 op_body_span(op, op->want.src_stride));
	if (err && op->dst.nr_pages)
		zc_mem_unmap(&op->dst, limits->dev);
	return err;
}

/* The engine sees other alignments than the program: nothing fits it. */
static bool op_is_shifted(struct zc_op *op)
{
	if (op->slave)
		return false;
	return zc_op_dst(op)->shifted || (!op->fills && zc_op_src(op)->shifted);
}

static bool op_is_one_piece(const struct zc_op *op)
{
	u64 boundary = op->lease->limits.boundary;

	return op->want.opcode == ZCDMA_OP_COPY && !op->want.rows && op->body <= ZC_TURN &&
	       zc_cursor_is_piece(&op->dst_at, op->body, boundary) &&
	       zc_cursor_is_piece(&op->src_at, op->body, boundary);
}

/* Do its pieces end where the source's segments do, and that is within the target's cache lines? */
static bool op_is_ragged(struct zc_op *op)
{
	return op->want.opcode == ZCDMA_OP_COPY && !op->one && zc_op_dst(op)->sync &&
	       (op_skew(&op->want, zc_op_src_addr(op), zc_op_dst_addr(op)) &
		(op->lease->line - 1));
}

/**
 * zc_op_map() - split an op, unless that was done, and map what of its memory is not registered
 * @op: NEW; its own memory is pinned, its buffers are found. To be given to zc_op_unmap(), even if
 *	this fails.
 * @gone: 0, or why the lease is over.
 *
 * Without a body afterwards, the op is for the CPU alone. May sleep, but not for ops whose
 * memory is registered, unless it is a fill and the engine does none: that takes a page.
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, -EIO, or *@gone.
 */
int zc_op_map(struct zc_op *op, const int *gone)
{
	int err;

	if (op->one)
		return 0;
	op->fills = op->want.opcode == ZCDMA_OP_FILL && !op_from_pattern(op);
	err = op_split(op);
	if (err || !op->body)
		return err;
	if (op_from_pattern(op)) {
		op_own_memory(op);
		err = zc_mem_pattern(&op->src, op->want.src);
		if (err)
			return err;
	}
	if (op->own) {
		err = zc_provider_mapping(op->lease->provider, gone);
		if (err)
			return err;
		err = op_map_own(op);
		if (err) {
			zc_provider_unmapped(op->lease->provider);
			return err;
		}
		op->mapped = true;
	}
	if (op_is_shifted(op)) {
		zc_op_unmap(op);
		op->head = 0;
		op->body = 0;
		op->failed_at = U32_MAX;
		return 0;
	}
	zc_op_seek(op, 0);
	op->one = op_is_one_piece(op);
	op->ragged = op_is_ragged(op);
	op->plain = !op->own && !op->slave && !op->ragged && op->body == op->want.len &&
		    op->failed_at;
	op->taken_back = false;
	op->reached = 0;
	return 0;
}

/* What of the body the engine was at. May sleep where there are rows, but not for long. */
static void op_take_back(struct zc_op *op)
{
	unsigned int parts = 0;
	u32 next = op->next;
	u32 at = op->slave ? next - min(next, op->head) : op->reached, len;

	op->taken_back = true;
	if (!zc_op_dst(op)->sync)
		return;
	if (op->slave)
		at = min(at, op->body);
	for (zc_op_seek(op, 0); op->next < at; op_step(op, len)) {
		len = min_t(size_t, at - op->next, op_run(op));
		zc_mem_sync(zc_op_dst(op), op->lease->limits.dev, op->dst_at, len,
			    DMA_FROM_DEVICE);
		if (!(++parts % 1024))
			cond_resched();
	}
	op->next = next;
}

/* The engine has nothing of it. Does not sleep for long. */
void zc_op_unmap(struct zc_op *op)
{
	struct device *dev = op->lease->limits.dev;

	if (zc_op_is_to_take_back(op))
		op_take_back(op);
	if (!op->mapped)
		return;
	op->mapped = false;
	if (op->src.nr_pages)
		zc_mem_unmap(&op->src, dev);
	if (op->dst.nr_pages)
		zc_mem_unmap(&op->dst, dev);
	zc_provider_unmapped(op->lease->provider);
}

/* What zc_op_cut() does where the rest of an op is not one piece. */
void zc_op_cut_part(struct zc_op *op, struct zc_slot *slot, size_t longest)
{
	u64 boundary = op->lease->limits.boundary;
	size_t len = min_t(size_t, op->body - op->next, op_run(op));

	slot->offset = op->next;
	slot->fills = op->fills;
	slot->ragged = op->ragged;
	/* What is synchronized at once is bounded. */
	if (slot->dst.mem->sync)
		longest = min_t(size_t, longest, ZC_TURN);
	if (op->one)
		zc_op_seek(op, op->next);
	/* They stand at the end of a segment where the last piece ended. */
	zc_cursor_advance(&op->dst_at, 0);
	slot->dst.at = op->dst_at;
	len = min3(len, zc_cursor_left(&op->dst_at), longest);
	len = zc_within(boundary, zc_cursor_addr(&op->dst_at), len);
	if (op->fills) {
		slot->value = op->want.src;
	} else {
		zc_cursor_advance(&op->src_at, 0);
		slot->src.at = op->src_at;
		len = min(len, zc_cursor_left(&op->src_at));
		len = zc_within(boundary, zc_cursor_addr(&op->src_at), len);
	}
	slot->len = len;
	op_step(op, len);
}

int zc_op_init(void)
{
	op_cache = KMEM_CACHE(zc_op, SLAB_ACCOUNT);
	return op_cache ? 0 : -ENOMEM;
}

void zc_op_exit(void)
{
	kmem_cache_destroy(op_cache);
}
