// SPDX-License-Identifier: GPL-2.0
/*
 * The rows of a 2-D op. Its bytes are those of its rows, counted one row after the other. What is
 * pinned, charged and mapped goes from the first row to the last, and what is between rows is never
 * synchronized.
 *
 *	row 0	|<- head ->|<----- part ----->|<- tail ->|
 *	row 1	|<--- head --->|<----- part ----->|<tail>|
 *
 * A row begins at an address of its own, so it has a head and a tail of its own; what is between
 * them is the engine's part, in one piece or more. The op's body goes from the first row's part to
 * the end of the last one's.
 *
 * dmaengine's interleaved transfers are not used. Five drivers have them from memory to memory
 * (at_hdmac, at_xdmac, edma, imx-dma, omap-dma), each with limits of its own that it does not tell,
 * and they know neither edges nor pages that lie apart.
 */
#include "rows.h"

/*
 * What a CPU moves: shorter rows, for which a descriptor is too much; and, where memory is not
 * registered, those with more between them, for the way from one to the next is a walk under a
 * lock.
 */
#define ROW_LEAST	64
#define GAP_MOST	SZ_64K

/* As zc_op_place(), for a 2-D op. */
size_t zc_rows_place(const struct zcdma_op *want, size_t at, u32 stride)
{
	u32 row = zc_op_row(want);

	return (u32)at / row * (size_t)stride + (u32)at % row;
}

/*
 * The engine's part of the row that has byte @at of the op: from *@first to before *@end. It may be
 * empty, of an op that has none.
 */
void zc_row_part(const struct zc_op *op, size_t at, size_t *first, size_t *end)
{
	u32 row = zc_op_row(&op->want), edge = op->lease->limits.grain;
	size_t start = rounddown((u32)at, row);
	u64 dst = zc_op_dst_addr(op) + zc_rows_place(&op->want, start, op->want.dst_stride);

	*first = start + min_t(size_t, row, -dst & (edge - 1));
	*end = *first + round_down(start + row - *first, edge);
}

static bool rows_end_in(const struct zc_buffer *buffer, u64 start, size_t span)
{
	return !buffer || span <= buffer->len - start;
}

/* Is it in the buffers that it names, where it begins? */
bool zc_rows_fit(const struct zc_op *op)
{
	const struct zcdma_op *want = &op->want;

	return rows_end_in(op->dst_buffer, want->dst, zc_op_span(want, want->dst_stride)) &&
	       rows_end_in(op->src_buffer, want->src, zc_op_span(want, want->src_stride));
}

/*
 * What of it the engine moves; source and target are aligned to each other. Something of each row,
 * or nothing at all: so nobody has to look for the next row that has a part.
 */
void zc_rows_split(struct zc_op *op)
{
	const struct zcdma_op *want = &op->want;
	u32 row = zc_op_row(want), edge = op->lease->limits.grain;
	u64 dst = zc_op_dst_addr(op);
	bool edges = (dst | want->dst_stride | row) & (edge - 1);
	size_t first, end;

	/* With edges that is short of an edge at both ends, and has something between them. */
	if (row < max_t(u32, ROW_LEAST, edges ? 2 * edge - 1 : edge) ||
	    (op->own && max(want->src_stride, want->dst_stride) > row + GAP_MOST))
		return;
	zc_row_part(op, want->len - row, &first, &end);
	op->head = -dst & (edge - 1);
	op->body = end - op->head;
	if (edges)
		op->failed_at = 0;
}

/* Bytes of the body from the next one on that are in the same row. */
size_t zc_row_left(const struct zc_op *op)
{
	size_t at = op->head + op->next, first, end;

	zc_row_part(op, at, &first, &end);
	return end - at;
}

/* @gap bytes further; in registered memory that is to byte @start of it. */
static void row_jump(struct zc_cursor *at, size_t gap, const struct zc_buffer *buffer, size_t start)
{
	if (buffer)
		zc_buffer_seek(buffer, start, at);
	else
		zc_cursor_advance(at, gap);
}

/* Byte @last of the op was handed out: on to the next row, if this one's part ends there. */
void zc_rows_next(struct zc_op *op, size_t last)
{
	const struct zcdma_op *want = &op->want;
	size_t next = roundup((u32)last + 1, zc_op_row(want)), first, end, dst, src;

	zc_row_part(op, last, &first, &end);
	if (last + 1 < end || next == want->len)
		return;
	zc_row_part(op, next, &first, &end);
	op->next = first - op->head;
	dst = zc_rows_place(want, first, want->dst_stride);
	src = zc_rows_place(want, first, want->src_stride);
	row_jump(&op->dst_at, dst - zc_rows_place(want, last, want->dst_stride) - 1,
		 op->dst_buffer, want->dst + dst);
	row_jump(&op->src_at, src - zc_rows_place(want, last, want->src_stride) - 1,
		 op->src_buffer, want->src + src);
}
