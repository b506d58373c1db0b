// SPDX-License-Identifier: GPL-2.0
/*
 * What of an op the CPU moves: where the engine may not go, see op.c; and all of it, if the engine
 * does not do such ops. Last of all, and only if the engine's part went well.
 */
#include <linux/sched/signal.h>
#include "op.h"
#include "rows.h"

/* What the CPU moves between two looks at the scheduler, and at most where it must not sleep. */
#define CPU_CHUNK	SZ_64K
#define CPU_QUICK	SZ_1K
#define CPU_ROW		64	/* as so many bytes counts a row, besides what is moved */

static size_t op_cpu_len(const struct zc_op *op)
{
	if (op->res || op->slave)
		return 0;
	/* With edges of rows, the body may be as long as the op. */
	return op->failed_at ? op->want.len - op->body : op->want.len;
}

/* Is something left to do for it that may sleep, once the engine has nothing of it? */
bool zc_op_needs_release(const struct zc_op *op)
{
	return op->own || op->slave || op->ragged || op->want.rows || op_cpu_len(op) > CPU_QUICK;
}

static void op_cpu_part(struct zc_op *op, size_t start, size_t len)
{
	const struct zcdma_op *want = &op->want;
	struct zc_mem *dst = zc_op_dst(op);
	size_t to = zc_op_place(want, start, want->dst_stride) + (op->dst_buffer ? want->dst : 0);
	size_t from = zc_op_place(want, start, want->src_stride) + (op->src_buffer ? want->src : 0);

	if (want->opcode == ZCDMA_OP_FILL)
		zc_mem_fill(dst, want->src, to, len);
	else
		zc_mem_copy(dst, to, zc_op_src(op), from, len);
	op->flags |= ZCDMA_DONE_CPU;
}

/*
 * Before the next part, but seldom, by what was moved @since the last look: past its deadline, the
 * op fails. Return: false when the process is being killed, which had better not wait for the rest.
 */
static bool op_cpu_goes_on(struct zc_op *op, size_t *since)
{
	if (*since < CPU_CHUNK)
		return true;
	*since = 0;
	if (!READ_ONCE(op->res) && ktime_get_ns() > op->deadline)
		op->res = -ETIMEDOUT;
	if (READ_ONCE(op->res))
		return true;
	if (fatal_signal_pending(current))
		return false;
	cond_resched();
	return true;
}

/* A long part ends at the op's deadline, or when the op is given up. Return: as above. */
static bool op_cpu_move(struct zc_op *op, size_t start, size_t len, size_t *since)
{
	size_t part;

	for (; len; start += part, len -= part) {
		if (!op_cpu_goes_on(op, since))
			return false;
		if (READ_ONCE(op->res))
			break;
		part = min_t(size_t, len, CPU_CHUNK);
		op_cpu_part(op, start, part);
		*since += part;
	}
	return true;
}

/* Head and tail of each row; and all that is behind the body. Return: as above. */
static bool op_cpu_move_rows(struct zc_op *op)
{
	u32 row = zc_op_row(&op->want);
	size_t at, first, end, stop, since = 0;

	for (at = 0; at < op->want.len && !READ_ONCE(op->res); at += row) {
		zc_row_part(op, at, &first, &end);
		stop = max_t(size_t, op->head + op->body, at);
		first = min(first, stop);
		end = min(end, stop);
		if (!op_cpu_goes_on(op, &since) ||
		    !op_cpu_move(op, at, first - at, &since) ||
		    !op_cpu_move(op, end, at + row - end, &since))
			return false;
		since += CPU_ROW;
	}
	return true;
}

/**
 * zc_op_by_cpu() - the CPU does its part
 * @op: the engine has nothing of it, and what it wrote is the CPU's. Mapped or not.
 *
 * Sleeps only where the op needs release.
 *
 * Return: false when the calling process is being killed, and it was not done: somebody else is to
 * do it anew.
 */
bool zc_op_by_cpu(struct zc_op *op)
{
	size_t tail = op->head + op->body, since = 0;

	if (!op_cpu_len(op))
		return true;
	if (op->want.rows)
		return op_cpu_move_rows(op);
	return op_cpu_move(op, 0, op->head, &since) &&
	       op_cpu_move(op, tail, op->want.len - tail, &since);
}
