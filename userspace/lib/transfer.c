// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Synchronous copy and fill of any length.
 *
 * A 2-D copy is cut between rows: a piece is as many rows as fit. Where not even one does, or the
 * module is one that knows no rows, pieces are ordinary copies of (parts of) a row.
 *
 * A transfer is cut into pieces, one op each, of which several are in flight.
 * How many bytes that is, the window, is found by trying: it grows while ops
 * come back early within their deadline, and shrinks when they come late or
 * when RLIMIT_MEMLOCK is met. So a fast engine is kept busy, an engine of a few
 * KiB per second is not drowned, and nobody has to be asked for numbers.
 *
 * What holds:
 * - No call returns while a piece is in flight, but when the session is dead:
 *   then the kernel has given up all pieces.
 * - Pieces complete in any order, and are counted in the order of the memory:
 *   result->done never includes a byte behind a gap.
 * - After the first failure nothing more is submitted.
 *
 * Pieces go by SUBMIT and come by read(), whatever else the kernel offers: an op costs less
 * than by io_uring (make bench counts both), and there are no users who may not.
 */
#include <errno.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define PIECES		64u		/* in flight at most */
#define PIECE_MAX	((size_t)1 << 20)
#define WINDOW_MAX	(8 * PIECE_MAX)
#define WINDOW_FIRST	((size_t)128 << 10)
#define GAP_MOST	((size_t)64 << 10)	/* between rows: with more, a CPU moves them */

#define NS_PER_MS	UINT64_C(1000000)

struct piece {
	size_t len;		/* bytes to be moved */
	size_t span;		/* from the first to the last of them */
	size_t done;
	__u64 submitted_ns;
	bool in_flight;
};

/**
 * struct transfer - one call of zcdma_copy(), zcdma_copy_2d() or zcdma_fill()
 * @session: whose.
 * @next: the op of the next piece, but for its length.
 * @row: bytes in a row, 0 if it is not a 2-D copy.
 * @in_row: bytes of the next row that were submitted.
 * @left: bytes not yet submitted.
 * @in_flight: bytes submitted and not yet complete, with what is between rows: that is pinned, too.
 * @longest: limit of a piece, once a single one met RLIMIT_MEMLOCK. Less than a
 *	page: pieces must not touch more than one of the source and one of the target.
 * @pieces: those from @head up to @tail, each at its number modulo PIECES.
 * @head: oldest piece not yet counted in @result.
 * @tail: number of the next piece, and its op's user_data.
 * @crowded: RLIMIT_MEMLOCK was met, the window does not grow any more.
 * @full: the queue was full, something must be reaped first.
 * @gap: a piece before @head was not done entirely.
 * @unreported: of some piece the engine did not say how it went.
 * @result: as zcdma_copy() gives it back.
 */
struct transfer {
	struct zcdma_session *session;
	struct zcdma_op next;
	size_t row;
	size_t in_row;
	size_t left;
	size_t in_flight;
	size_t longest;
	struct piece pieces[PIECES];
	unsigned int head;
	unsigned int tail;
	bool crowded;
	bool full;
	bool gap;
	bool unreported;
	struct zcdma_completion result;
};

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/* The first failure is the transfer's; what has not begun by then need not. */
static void fail(struct transfer *t, int error)
{
	if (t->result.res)
		return;
	t->result.res = -error;
	if (t->in_flight)
		zcdma_cancel_all(t->session);
}

static size_t room_in_page(__u64 addr)
{
	return page_size() - addr % page_size();
}

static size_t piece_in_one_page(const struct transfer *t, size_t left)
{
	size_t len = min_size(left, room_in_page(t->next.dst));

	return t->next.opcode == ZCDMA_OP_FILL ? len : min_size(len, room_in_page(t->next.src));
}

/* Longer ones are not to be, just now; if it is less than a page, see @longest. */
static size_t piece_limit(const struct transfer *t)
{
	size_t len = max_size(t->session->window / 8, page_size());

	len = min_size(min_size(len, PIECE_MAX), t->longest);
	return t->session->max_len < len ? t->session->max_len : len;
}

/*
 * Of @left bytes that lie together. Cut at page boundaries of the target: then no page is pinned
 * and charged twice, and no engine sees an odd edge that the caller did not make.
 */
static size_t piece_len(const struct transfer *t, size_t left)
{
	size_t page = page_size();
	size_t len = piece_limit(t);

	if (t->longest < page)
		return piece_in_one_page(t, left);
	if (left <= len)
		return left;
	return len < page ? len : len - (t->next.dst + len) % page;
}

/* Whole rows that the next piece has: if none or one, it is an ordinary copy. */
static size_t piece_rows(const struct transfer *t)
{
	size_t stride = max_size(t->next.src_stride, t->next.dst_stride);
	size_t limit = piece_limit(t);

	if (!t->row || t->in_row || t->row > limit || t->longest < page_size() ||
	    !t->session->takes_rows)
		return 0;
	/* Rows that are long enough for that are then better ops of their own. */
	if (stride - t->row > GAP_MOST && t->row >= page_size())
		return 0;
	return min_size(1 + (limit - t->row) / stride, t->left / t->row);
}

static struct zcdma_op piece_op(const struct transfer *t, struct piece *piece)
{
	size_t rows = piece_rows(t);
	struct zcdma_op op = t->next;

	if (rows > 1) {
		op.rows = rows;
		op.len = t->row;
		piece->len = rows * t->row;
		piece->span = (rows - 1) * max_size(op.src_stride, op.dst_stride) + t->row;
		return op;
	}
	if (t->row) {
		op.opcode = ZCDMA_OP_COPY;
		op.src_stride = 0;
		op.dst_stride = 0;
	}
	op.len = piece_len(t, t->row ? t->row - t->in_row : t->left);
	piece->len = op.len;
	piece->span = op.len;
	return op;
}

/* It was submitted. */
static void go_on_behind(struct transfer *t, const struct zcdma_op *op, size_t len)
{
	size_t dst = len, src = len;

	if (t->row) {
		size_t rows = (t->in_row + len) / t->row, in_row = (t->in_row + len) % t->row;

		dst = rows * t->next.dst_stride + in_row - t->in_row;
		src = rows * t->next.src_stride + in_row - t->in_row;
		t->in_row = in_row;
	}
	t->left -= len;
	t->next.dst += dst;
	if (op->opcode != ZCDMA_OP_FILL)
		t->next.src += src;
}

/* Ops that take long in relation to their deadline are too many or too long. */
static void adapt_window(struct transfer *t, const struct piece *piece)
{
	__u64 deadline_ns = t->session->deadline_ms * NS_PER_MS;
	__u64 took_ns = now_ns() - piece->submitted_ns;
	size_t *window = &t->session->window;

	if (took_ns > deadline_ns / 8)
		*window = max_size(*window / 2, page_size());
	else if (took_ns < deadline_ns / 64 && !t->crowded)
		*window = min_size(*window + piece->span, WINDOW_MAX);
}

static void count_done(struct transfer *t)
{
	for (; t->head != t->tail; t->head++) {
		const struct piece *piece = &t->pieces[t->head % PIECES];

		if (piece->in_flight)
			return;
		if (t->gap)
			continue;
		t->result.done += piece->done;
		t->gap = piece->done < piece->len;
	}
}

static void complete(struct transfer *t, const struct zcdma_completion *completion)
{
	struct piece *piece = &t->pieces[completion->user_data % PIECES];

	piece->in_flight = false;
	piece->done = completion->done;
	t->in_flight -= piece->span;
	t->full = false;

	t->result.flags |= completion->flags;
	if (!(completion->flags & ZCDMA_DONE_REPORTED))
		t->unreported = true;

	if (completion->res)
		fail(t, -completion->res);
	else
		adapt_window(t, piece);
	count_done(t);
}

/* A piece was refused: is there a way to go on? */
static void refused(struct transfer *t, const struct piece *piece, int error)
{
	if (error == EAGAIN && t->in_flight) {
		t->full = true;
	} else if (error == ENOMEM && t->in_flight) {
		t->crowded = true;
		t->session->window = max_size(t->in_flight, page_size());
	} else if (error == ENOMEM && t->longest >= page_size()) {
		t->longest = piece->span > page_size() ? piece->span / 2 : page_size() - 1;
	} else {
		fail(t, error);
	}
}

static void submit_piece(struct transfer *t)
{
	struct piece *piece = &t->pieces[t->tail % PIECES];
	struct zcdma_completion completion;
	struct zcdma_op op;
	unsigned int accepted;
	bool alone;
	int error;

	*piece = (struct piece){ .submitted_ns = now_ns(), .in_flight = true };
	op = piece_op(t, piece);
	op.user_data = t->tail;

	/* Waiting for a piece that is all there is costs no second system call. */
	alone = !t->in_flight && piece->len == t->left;
	if (alone)
		error = zcdma_submit_wait(t->session, &op, 1, &completion, &accepted);
	else
		error = zcdma_submit(t->session, &op, 1, &accepted);
	error = error ? errno : 0;
	if (!accepted)
		return refused(t, piece, error);

	t->tail++;
	t->in_flight += piece->span;
	go_on_behind(t, &op, piece->len);

	if (alone && !error)
		complete(t, &completion);
	else if (error)
		fail(t, error);
}

static void reap_pieces(struct transfer *t)
{
	struct zcdma_completion completions[PIECES];
	int got = zcdma_reap(t->session, completions, PIECES, -1);
	int i;

	if (got < 0 && errno == EINTR)
		return fail(t, EINTR);
	if (got <= 0) {
		/* No piece is in the kernel's hands any more, nor will it be heard of. */
		fail(t, got ? errno : EIO);
		t->in_flight = 0;
		return;
	}
	for (i = 0; i < got; i++)
		complete(t, &completions[i]);
}

static bool may_submit(const struct transfer *t)
{
	if (!t->left || t->result.res || t->full)
		return false;
	if (t->tail - t->head >= min_size(PIECES, t->session->queue_depth))
		return false;
	return !t->in_flight || t->in_flight < t->session->window;
}

static bool wraps(__u64 start, size_t len)
{
	return len && start > UINTPTR_MAX - (len - 1);
}

/* Of an address, what says where it is: Arm lets programs keep something in the highest byte. */
static __u64 without_tag(__u64 addr)
{
#ifdef __aarch64__
	return addr & ~(0xffULL << 56);
#else
	return addr;
#endif
}

/* The kernel checks each op; what is wrong with the whole is not seen there. */
static bool ranges_make_sense(const struct zcdma_op *op, size_t dst_len, size_t src_len)
{
	__u64 src = without_tag(op->src), dst = without_tag(op->dst);

	if (wraps(op->dst, dst_len))
		return false;
	if (op->opcode == ZCDMA_OP_FILL)
		return true;
	if (wraps(op->src, src_len))
		return false;
	return src - dst >= dst_len && dst - src >= src_len;
}

static void run(struct transfer *t)
{
	while (t->in_flight || may_submit(t)) {
		if (may_submit(t))
			submit_piece(t);
		else
			reap_pieces(t);
	}
	if (t->unreported)
		t->result.flags &= ~ZCDMA_DONE_REPORTED;
	/* A signal that came too late to stop anything is no failure. */
	if (!t->left && !t->gap && t->result.res == -EINTR)
		t->result.res = 0;
}

static int run_if_good(struct transfer *t, bool good, struct zcdma_completion *result)
{
	struct zcdma_session *session = t->session;

	if (!session->window)
		session->window = WINDOW_FIRST;
	if (!session->queue_depth)
		fail(t, ENOTCONN);
	else if (session->outstanding)
		fail(t, EBUSY);
	else if (!good)
		fail(t, EINVAL);

	run(t);
	if (result)
		*result = t->result;
	if (!t->result.res)
		return 0;
	errno = -t->result.res;
	return -1;
}

static int transfer(struct zcdma_session *session, struct zcdma_op op, size_t len,
		    struct zcdma_completion *result)
{
	struct transfer t = {
		.session = session,
		.next = op,
		.left = len,
		.longest = PIECE_MAX,
	};

	return run_if_good(&t, ranges_make_sense(&op, len, len), result);
}

/* Bytes from the first row to the last; 0 if they cannot be. */
static size_t rows_span(size_t stride, size_t len, size_t rows)
{
	size_t span;

	if (stride < len || stride > UINT32_MAX ||
	    __builtin_mul_overflow(stride, rows - 1, &span) ||
	    __builtin_add_overflow(span, len, &span))
		return 0;
	return span;
}

ZCDMA_PUBLIC int zcdma_copy(struct zcdma_session *session, void *dst, const void *src, size_t len,
			    struct zcdma_completion *result)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY,
		.src = (uintptr_t)src,
		.dst = (uintptr_t)dst,
	};

	return transfer(session, op, len, result);
}

ZCDMA_PUBLIC int zcdma_copy_2d(struct zcdma_session *session, void *dst, size_t dst_stride,
			       const void *src, size_t src_stride, size_t len, size_t rows,
			       struct zcdma_completion *result)
{
	struct transfer t = {
		.session = session,
		.next = {
			.opcode = ZCDMA_OP_COPY_2D,
			.src = (uintptr_t)src,
			.dst = (uintptr_t)dst,
			.src_stride = src_stride,
			.dst_stride = dst_stride,
		},
		.row = len,
		.left = len * rows,
		.longest = PIECE_MAX,
	};
	size_t dst_len, src_len;
	bool good = true;

	if (len && rows) {
		dst_len = rows_span(dst_stride, len, rows);
		src_len = rows_span(src_stride, len, rows);
		good = dst_len && src_len && ranges_make_sense(&t.next, dst_len, src_len);
	} else {
		t.left = 0;
	}
	return run_if_good(&t, good, result);
}

ZCDMA_PUBLIC int zcdma_fill(struct zcdma_session *session, void *dst, __u8 byte, size_t len,
			    struct zcdma_completion *result)
{
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_FILL,
		.src = byte,
		.dst = (uintptr_t)dst,
	};

	return transfer(session, op, len, result);
}
