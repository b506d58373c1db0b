// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Synchronous copy and fill of any length.
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

#define NS_PER_MS	UINT64_C(1000000)

struct piece {
	size_t len;
	size_t done;
	__u64 submitted_ns;
	bool in_flight;
};

/**
 * struct transfer - one call of zcdma_copy() or zcdma_fill()
 * @session: whose.
 * @next: the op of the next piece, but for its length.
 * @left: bytes not yet submitted.
 * @in_flight: bytes submitted and not yet complete.
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

static size_t piece_in_one_page(const struct transfer *t)
{
	size_t len = min_size(t->left, room_in_page(t->next.dst));

	return t->next.opcode == ZCDMA_OP_COPY ? min_size(len, room_in_page(t->next.src)) : len;
}

/*
 * Cut at page boundaries of the target: then no page is pinned and charged
 * twice, and no engine sees an odd edge that the caller did not make.
 */
static size_t piece_len(const struct transfer *t)
{
	size_t page = page_size();
	size_t len = max_size(t->session->window / 8, page);

	if (t->longest < page)
		return piece_in_one_page(t);
	len = min_size(min_size(len, PIECE_MAX), t->longest);
	if (t->session->max_len < len)
		len = t->session->max_len;
	if (t->left <= len)
		return t->left;
	return len < page ? len : len - (t->next.dst + len) % page;
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
		*window = min_size(*window + piece->len, WINDOW_MAX);
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
	t->in_flight -= piece->len;
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

/* A piece of @len was refused: is there a way to go on? */
static void refused(struct transfer *t, size_t len, int error)
{
	if (error == EAGAIN && t->in_flight) {
		t->full = true;
	} else if (error == ENOMEM && t->in_flight) {
		t->crowded = true;
		t->session->window = t->in_flight;
	} else if (error == ENOMEM && t->longest >= page_size()) {
		t->longest = len > page_size() ? len / 2 : page_size() - 1;
	} else {
		fail(t, error);
	}
}

static void submit_piece(struct transfer *t)
{
	struct piece *piece = &t->pieces[t->tail % PIECES];
	struct zcdma_op op = t->next;
	struct zcdma_completion completion;
	unsigned int accepted;
	bool alone;
	int error;

	op.len = piece_len(t);
	op.user_data = t->tail;
	*piece = (struct piece){ .len = op.len, .submitted_ns = now_ns(), .in_flight = true };

	/* Waiting for a piece that is all there is costs no second system call. */
	alone = !t->in_flight && op.len == t->left;
	if (alone)
		error = zcdma_submit_wait(t->session, &op, 1, &completion, &accepted);
	else
		error = zcdma_submit(t->session, &op, 1, &accepted);
	error = error ? errno : 0;
	if (!accepted)
		return refused(t, op.len, error);

	t->tail++;
	t->in_flight += op.len;
	t->left -= op.len;
	t->next.dst += op.len;
	if (op.opcode == ZCDMA_OP_COPY)
		t->next.src += op.len;

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

/* The kernel checks each op; what is wrong with the whole is not seen there. */
static bool ranges_make_sense(const struct zcdma_op *op, size_t len)
{
	if (wraps(op->dst, len))
		return false;
	if (op->opcode != ZCDMA_OP_COPY)
		return true;
	if (wraps(op->src, len))
		return false;
	return op->src - op->dst >= len && op->dst - op->src >= len;
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

static int transfer(struct zcdma_session *session, struct zcdma_op op, size_t len,
		    struct zcdma_completion *result)
{
	struct transfer t = {
		.session = session,
		.next = op,
		.left = len,
		.longest = PIECE_MAX,
	};

	if (!session->window)
		session->window = WINDOW_FIRST;
	if (!session->queue_depth)
		fail(&t, ENOTCONN);
	else if (session->outstanding)
		fail(&t, EBUSY);
	else if (!ranges_make_sense(&op, len))
		fail(&t, EINVAL);

	run(&t);
	if (result)
		*result = t.result;
	if (!t.result.res)
		return 0;
	errno = -t.result.res;
	return -1;
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
