/* SPDX-License-Identifier: GPL-2.0 */
/* The rows of a 2-D op. What is said of "any op" costs others a look at @rows. See rows.c. */
#ifndef _ZC_ROWS_H
#define _ZC_ROWS_H

#include "op.h"

size_t zc_rows_place(const struct zcdma_op *want, size_t at, u32 stride);
void zc_row_part(const struct zc_op *op, size_t at, size_t *first, size_t *end);
bool zc_rows_fit(const struct zc_op *op);
void zc_rows_split(struct zc_op *op);
size_t zc_row_left(const struct zc_op *op);
void zc_rows_next(struct zc_op *op, size_t last);

/* How far byte @at of any op is from its first one, where rows begin @stride bytes apart. */
static inline size_t zc_op_place(const struct zcdma_op *want, size_t at, u32 stride)
{
	return want->rows ? zc_rows_place(want, at, stride) : at;
}

/* Bytes of any op from the first to the last, with what is between rows. */
static inline size_t zc_op_span(const struct zcdma_op *want, u32 stride)
{
	return zc_op_place(want, want->len - 1, stride) + 1;
}

#endif
