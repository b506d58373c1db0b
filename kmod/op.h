/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An op: one transfer that a user asked for, and its kernel-side life.
 *
 *	state		list it is on		who moves it on, and where to
 *	FREE		session->free		zc_queue_reserve(): NEW
 *	NEW		the submitter's		zc_queue_submit(): QUEUED or, with nothing for the
 *						engine, RELEASING; or FREE again when refused
 *	QUEUED		session->queue		the engine takes the last of it, or there are pieces
 *						when it is cancelled, late or lost: RUNNING;
 *						without pieces: RELEASING or DONE
 *	RUNNING		session->running	the last piece comes back: RELEASING or DONE;
 *						the engine did not do a piece: QUEUED, in front;
 *						it is late, at an engine that keeps it, or its
 *						ring goes: ORPHAN
 *	RELEASING	session->releasing	zc_queue_release(), in process context, takes it to
 *						session->held
 *	RELEASING	session->held		unmapped, moved by the CPU, unpinned: DONE, or FREE
 *						when nobody wants the completion (any more);
 *						the releaser is killed, a file system has a page,
 *						or the provider goes and it was only unmapped:
 *						session->releasing again
 *	DONE		the sink's		the completion is taken: FREE
 *	ORPHAN		session->orphans	completed for the user by a stand-in; the last piece
 *						comes back: RELEASING
 *
 * All but NEW is under session->lock. "Off the engine" goes to DONE at once only where nothing is
 * left to do that may sleep.
 */
#ifndef _ZC_OP_H
#define _ZC_OP_H

#include "buffer.h"
#include "engine.h"

#define ZC_MAX_LEN		SZ_1G
#define ZC_MAX_DEADLINE_MS	(10 * 60 * MSEC_PER_SEC)

struct io_uring_cmd;
struct zc_waiter;
struct zc_slave;

enum zc_op_state {
	ZC_OP_FREE,
	ZC_OP_NEW,
	ZC_OP_QUEUED,
	ZC_OP_RUNNING,
	ZC_OP_RELEASING,
	ZC_OP_DONE,
	ZC_OP_ORPHAN,
};

/**
 * struct zc_sink - how completions leave: by read(), to a SUBMIT that waits, to a ring
 * @releasing: the op is RELEASING: somebody is to call zc_queue_release().
 * @finish: the ops from @first to @last, @nr of them, which follow each other in a list, are DONE,
 *	and the sink's from now on. They have the same batch.
 * @flush: the last of a batch were told by @finish. May be NULL.
 *
 * Under session->lock, in any context.
 */
struct zc_sink {
	void (*releasing)(struct zc_op *op);
	void (*finish)(struct zc_op *first, struct zc_op *last, unsigned int nr);
	void (*flush)(struct zc_session *session);
};

/**
 * struct zc_op - an op
 * @node: see the table above.
 * @all: in session->all.
 * @session: whose.
 * @sink: how its completion leaves; NULL: nobody wants it.
 * @waiter: the SUBMIT that waits for it, if @sink is that.
 * @cmd: the io_uring command, if @sink is that.
 * @batch: of a SUBMIT that waits, its number; of a ring, the same for all that were handed
 *	in together and for no others; or 0.
 * @lease: whose device its memory is for.
 * @slave: the direction of a port that it is for, or NULL; the same is in @fifo.
 * @fifo: in slave->waiting.
 * @want: what the user wrote; a 2-D op, once it is checked, is a copy of the bytes of all its rows,
 *	without strides if it has one.
 * @index: its place in its SUBMIT.
 * @state: see above.
 * @deadline: on the monotonic clock, in ns. Not in jiffies: a tick may come late.
 * @pieces: cut and not yet back; at a port, 1 while it has its turn.
 * @handed: pieces that were at the engine, or are.
 * @own: @src, @dst, @cred and @charged hold something: not all of the memory is registered.
 * @mapped: @src and @dst are mapped for DMA; counted by the provider.
 * @fills: the engine fills by itself; otherwise a fill copies from a page of the pattern.
 * @one: the body is one piece, of %ZC_TURN at most, unless the engine shows a limit yet.
 * @plain: all of it is the engine's, and of registered memory: with the last piece back it is done.
 * @ragged: pieces may end within a cache line of the target. No line goes back to the CPU while
 *	a piece may be in it: the op is taken back when all of it is.
 * @barrier: it is one, and has not begun.
 * @taken_back: of a port, or @ragged: what the engine wrote was synchronized for the CPU.
 * @cpu_done: the CPU has moved its part, and is not to do it once more.
 * @res: 0 or what went wrong first.
 * @flags: &enum zcdma_done_flags so far.
 * @word: a port's width in bytes.
 * @head: bytes before the part that the engine moves; the CPU moves them.
 * @body: bytes that the engine moves; the CPU moves the rest, and of a 2-D op what is between the
 *	engine's parts of two rows.
 * @next: first byte of the body that was not handed out yet, counted from @head; at a
 *	port, of the op, as the next.
 * @reached: the most that @next was, if @ragged.
 * @failed_at: first byte of the body that is not certainly there. Of a 2-D op the first of all, if
 *	a CPU moves edges of its rows: that is done last.
 * @dst_at: where the next piece begins in the target, if @body.
 * @src_at: the same in the source.
 * @dst_buffer: registered memory that the target is in, or NULL: then it is @dst.
 * @src_buffer: the same of the source.
 * @cred: whose user is charged for @charged pages.
 * @src: source, unless it is registered.
 * @dst: target, unless it is registered.
 */
struct zc_op {
	struct list_head node;
	struct list_head all;
	struct zc_session *session;
	const struct zc_sink *sink;
	union {
		struct zc_waiter *waiter;
		struct io_uring_cmd *cmd;
	};
	u64 batch;
	struct zc_slave *slave;
	struct zc_buffer *dst_buffer;
	struct zc_buffer *src_buffer;
	u32 head;		/* up to ZC_MAX_LEN, as the next */
	u32 body;
	u32 next;
	u32 failed_at;
	unsigned int pieces;
	unsigned int handed;
	s32 res;
	u32 flags;
	u8 state;
	bool own;
	bool mapped;
	bool fills;
	bool one;
	bool plain;
	bool ragged;
	bool barrier;
	bool taken_back;
	bool cpu_done;
	u8 word;
	unsigned int index;
	u64 deadline;
	struct zc_lease *lease;
	struct list_head fifo;
	struct zcdma_op want;
	u32 reached;
	struct zc_cursor dst_at;
	struct zc_cursor src_at;
	const struct cred *cred;
	unsigned long charged;
	struct zc_mem src;
	struct zc_mem dst;
};

/*
 * As new, but for the list that it is on, its session, and what is asked for. What is set with its
 * slave, or with its body, is left as it is.
 */
static inline void zc_op_reset(struct zc_op *op, struct zc_lease *lease)
{
	op->sink = NULL;
	op->waiter = NULL;
	op->batch = 0;
	op->slave = NULL;
	op->dst_buffer = NULL;
	op->src_buffer = NULL;
	op->head = 0;
	op->body = 0;
	op->next = 0;
	op->failed_at = U32_MAX;
	op->pieces = 0;
	op->handed = 0;
	op->res = 0;
	op->flags = 0;
	op->state = ZC_OP_NEW;
	op->own = false;
	op->mapped = false;
	op->fills = false;
	op->one = false;
	op->plain = false;
	op->ragged = false;
	op->barrier = false;
	op->cpu_done = false;
	op->lease = lease;
}

/* Is it a copy of registered memory, with nothing special? Then nothing else is wrong with it. */
static inline bool zc_op_is_simple(const struct zcdma_op *want)
{
	u32 opcode;	/* and __reserved0 */

	BUILD_BUG_ON(offsetofend(struct zcdma_op, __reserved0) != sizeof(opcode));
	memcpy(&opcode, want, sizeof(opcode));
	return opcode == (__force u32)cpu_to_le32(ZCDMA_OP_COPY) &&
	       !(want->flags | want->deadline_ms | want->__reserved1 | want->__reserved2) &&
	       want->src_buffer && want->dst_buffer && want->len - 1 < ZC_MAX_LEN &&
	       (want->src | want->dst) <= S64_MAX;
}

/* Bytes of a row of a 2-D op that was checked. */
static inline u32 zc_op_row(const struct zcdma_op *want)
{
	return (u32)want->len / want->rows;
}

static inline bool zc_op_is_for_port(const struct zcdma_op *want)
{
	return want->opcode == ZCDMA_OP_SEND || want->opcode == ZCDMA_OP_RECV;
}

static inline bool zc_op_has_src(const struct zcdma_op *want)
{
	return want->opcode != ZCDMA_OP_FILL && want->opcode != ZCDMA_OP_RECV &&
	       !want->src_buffer;
}

static inline bool zc_op_has_dst(const struct zcdma_op *want)
{
	return want->opcode != ZCDMA_OP_SEND && !want->dst_buffer;
}

/* Is all of its memory registered? Then pinning and mapping it takes nothing. */
static inline bool zc_op_is_registered(const struct zcdma_op *want)
{
	return !zc_op_has_src(want) && !zc_op_has_dst(want);
}

/* Is it a fill, and the engine does none? Then it copies from a page that is to be allocated. */
static inline bool zc_op_wants_pattern(const struct zcdma_op *want, const struct zc_lease *lease)
{
	return want->opcode == ZCDMA_OP_FILL && !(lease->caps & ZCDMA_CAP_FILL);
}

/* Was the engine at its target, and is that not taken back piece by piece, but at the end? */
static inline bool zc_op_is_to_take_back(const struct zc_op *op)
{
	return op->body && op->handed && !op->taken_back &&
	       (op->slave ? op->want.opcode == ZCDMA_OP_RECV : op->ragged);
}

/* Must something be done for it before its device goes? */
static inline bool zc_op_is_mapped(const struct zc_op *op)
{
	return op->mapped || zc_op_is_to_take_back(op);
}

static inline struct zc_mem *zc_op_src(struct zc_op *op)
{
	return op->src_buffer ? &op->src_buffer->mem : &op->src;
}

static inline struct zc_mem *zc_op_dst(struct zc_op *op)
{
	return op->dst_buffer ? &op->dst_buffer->mem : &op->dst;
}

/* As the program gave them, or had registered. */
static inline u64 zc_op_src_addr(const struct zc_op *op)
{
	return op->src_buffer ? op->src_buffer->addr + op->want.src : untagged_addr(op->want.src);
}

static inline u64 zc_op_dst_addr(const struct zc_op *op)
{
	return op->dst_buffer ? op->dst_buffer->addr + op->want.dst : untagged_addr(op->want.dst);
}

/* Bytes at the start of the target that are certainly there; see the uapi header. */
static inline u64 zc_op_done(const struct zc_op *op)
{
	u32 done;

	if (op->slave)
		return op->failed_at;
	if (!op->res)
		return op->want.len;
	done = op->head ? 0 : min(op->failed_at, op->next);
	return op->want.rows ? rounddown(done, zc_op_row(&op->want)) : done;
}

static inline void zc_op_report(const struct zc_op *op, struct zcdma_completion *out)
{
	out->user_data = op->want.user_data;
	out->done = zc_op_done(op);
	out->res = op->res;
	out->flags = op->flags;
	out->__reserved = 0;
}

struct zc_op *zc_op_alloc(gfp_t gfp);
void zc_op_free(struct zc_op *op);
int zc_op_check(const struct zcdma_op *want);
int zc_op_pin(struct zc_op *op, bool longterm);
int zc_op_map(struct zc_op *op, const int *err);
void zc_op_unmap(struct zc_op *op);
bool zc_op_try_unpin(struct zc_op *op);
void zc_op_unpin(struct zc_op *op);
bool zc_op_by_cpu(struct zc_op *op);
bool zc_op_needs_release(const struct zc_op *op);
void zc_op_cut_part(struct zc_op *op, struct zc_slot *slot, size_t longest);
void zc_op_seek(struct zc_op *op, size_t offset);
void zc_op_rewind(struct zc_op *op, const struct zc_slot *slot);
int zc_op_init(void);
void zc_op_exit(void);

/*
 * What most ops are: a copy of registered memory without edges, and one piece at both ends. The
 * same as zc_op_map(), for less: nothing is left to do for it. Return: is it one?
 */
static inline bool zc_op_map_whole(struct zc_op *op, const struct zc_lease *lease)
{
	const struct zc_buffer *dst = op->dst_buffer, *src = op->src_buffer;
	u64 len = op->want.len, to, from;

	if (!dst || !src || op->slave || op->want.flags | op->want.rows || len > ZC_TURN)
		return false;
	to = dst->addr + op->want.dst;
	from = src->addr + op->want.src;
	if (((to | len) & (lease->limits.grain - 1)) || (from & (lease->copy_align - 1)) ||
	    (to < from + len && from < to + len) ||
	    !zc_buffer_piece(dst, op->want.dst, len, &op->dst_at) ||
	    !zc_buffer_piece(src, op->want.src, len, &op->src_at))
		return false;
	op->body = len;
	op->one = true;
	op->plain = true;
	return true;
}

/**
 * zc_op_cut() - the next piece
 * @op: has some body left; under session->lock.
 * @slot: receives it.
 * @longest: piece, in bytes.
 */
static inline void zc_op_cut(struct zc_op *op, struct zc_slot *slot, size_t longest)
{
	slot->op = op;
	slot->deadline = op->deadline;
	slot->dst.mem = zc_op_dst(op);
	slot->src.mem = zc_op_src(op);
	op->pieces++;
	op->handed++;
	if (!op->one || op->body > longest) {
		zc_op_cut_part(op, slot, longest);
		return;
	}
	/* It is the first, and the last: what was handed out before is never one piece. */
	slot->dst.at = op->dst_at;
	slot->src.at = op->src_at;
	slot->offset = 0;
	slot->len = op->body;
	slot->fills = false;
	slot->ragged = false;
	op->next = op->body;
}

/* Its body ends where the last piece does: a CPU moves the rest. */
static inline void zc_op_shorten(struct zc_op *op, size_t body)
{
	op->body = min_t(size_t, op->body, body);
	op->next = min(op->next, op->body);
	op->plain = false;
}

#endif
