// SPDX-License-Identifier: GPL-2.0
/*
 * SUBMIT: an array of ops, and waiting for them.
 *
 * A taker is on the stack of the submitter, and requests point at it. They let
 * go of it under session->lock: when they finish, or in zcdma_taker_end() when
 * a signal has ended the wait. So none can point to a stack that is gone.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "zcdma.h"

/* The first version's size. Shorter ones do not exist. */
#define OP_SIZE_MIN	sizeof(struct zcdma_op)

/**
 * zcdma_submit_cancel() - what was prepared is not to be done, nor moved by the CPU
 * @batch: not known to the session. Holds no memory and no buffers afterwards.
 *
 * Touches no user memory.
 */
void zcdma_submit_cancel(struct list_head *batch)
{
	struct zcdma_request *req;

	list_for_each_entry(req, batch, node) {
		req->res = -ECANCELED;
		zcdma_request_clean(req);
	}
}

/* What could not be done: none of it is known to the session. Touches no user memory. */
void zcdma_submit_drop(struct zcdma_session *session, struct list_head *batch)
{
	zcdma_submit_cancel(batch);
	zcdma_queue_return(session, batch);
}

/**
 * zcdma_submit_batch() - requests with their ops, to the engine
 * @session: attached.
 * @batch: pinned; each has a place. Those from the first on that cannot be done are
 *	left, and are the caller's to drop; the others complete by themselves.
 *
 * Touches no user memory: an unbind may wait for it, from the finding of the buffers
 * on. See zcdma_requests_map() for where it may sleep.
 *
 * Return: 0, or what is wrong with the first that is left.
 */
int zcdma_submit_batch(struct zcdma_session *session, struct list_head *batch)
{
	struct zcdma_ready ready;
	LIST_HEAD(unknown);
	LIST_HEAD(unmapped);
	int err, failed, added;

	if (list_empty(batch))
		return 0;
	err = zcdma_buffers_find(session, batch, &unknown);
	failed = zcdma_requests_map(session, batch, &unmapped, &ready);
	added = zcdma_queue_add(session, batch, &ready);
	if (!added)
		zcdma_session_kick(session);
	/* In their order: what is left of the batch, then the others. */
	list_splice_tail(&unmapped, batch);
	list_splice_tail(&unknown, batch);
	return added ?: failed ?: err;
}

/* Up to @nr ops from the op @index on. Return: how many it got, or -errno. */
static int fetch(const struct zcdma_submit *what, unsigned int index, unsigned int nr,
		 struct zcdma_op *ops)
{
	void __user *from = u64_to_user_ptr(what->ops + (u64)index * what->op_size);

	if (what->op_size != sizeof(*ops))
		return copy_struct_from_user(ops, sizeof(*ops), from, what->op_size) ?: 1;
	if (nr > 1 && !copy_from_user(ops, from, nr * sizeof(*ops)))
		return nr;
	/* One by one, up to the bad address. */
	return copy_from_user(ops, from, sizeof(*ops)) ? -EFAULT : 1;
}

/* The next ops, as far as they are good. Return: 0, or what is wrong with the first of @rest. */
static int fetch_all(struct zcdma_session *session, const struct zcdma_submit *what,
		     struct zcdma_taker *taker, unsigned int nr, struct list_head *batch,
		     struct list_head *rest)
{
	struct zcdma_op ops[8] __uninitialized;
	unsigned int index = what->out_accepted;
	struct zcdma_request *req, *bad;
	u64 now = ktime_get_ns();
	int got = 0, used = 0, err;

	list_for_each_entry(req, batch, node) {
		zcdma_request_reset(req, session);
		if (used == got) {
			got = fetch(what, index, min_t(unsigned int, nr, ARRAY_SIZE(ops)), ops);
			used = 0;
			nr -= got;
		}
		if (got < 0) {
			err = got;
			goto bad;
		}
		req->taker = taker;
		req->index = index++;
		req->op = ops[used++];
		err = zcdma_request_begin(req, now);
		if (err)
			goto bad;
	}
	return 0;
bad:
	bad = req;
	list_for_each_entry_continue(req, batch, node)
		zcdma_request_reset(req, session);
	zcdma_cut_off(batch, bad, rest);
	return err;
}

static unsigned int count(struct list_head *list)
{
	struct list_head *each;
	unsigned int nr = 0;

	list_for_each(each, list)
		nr++;
	return nr;
}

/* As many as a channel may hold, or fewer. */
static int submit_some(struct zcdma_session *session, struct zcdma_submit *what,
		       struct zcdma_taker *taker)
{
	unsigned int want = min_t(unsigned int, what->count - what->out_accepted, ZCDMA_WINDOW);
	unsigned int nr;
	LIST_HEAD(batch);
	LIST_HEAD(rest);
	int err, bad;

	err = zcdma_queue_reserve(session, want, &batch, &nr);
	if (err)
		return err;
	bad = fetch_all(session, what, taker, nr, &batch, &rest);
	err = zcdma_submit_batch(session, &batch);
	list_splice_tail(&rest, &batch);
	nr -= count(&batch);
	what->out_accepted += nr;
	if (!list_empty(&batch))
		zcdma_submit_drop(session, &batch);
	return err ?: bad;
}

static int submit_all(struct zcdma_session *session, struct zcdma_submit *what,
		      struct zcdma_taker *taker)
{
	for (;;) {
		int err = submit_some(session, what, taker);

		if (err || what->out_accepted == what->count)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* Completions of ops that followed each other, to be written at once. */
struct run {
	struct zcdma_completion out[16];
	unsigned int first;		/* index of the first one's op */
	unsigned int nr;
};

static int flush(struct run *run, struct zcdma_completion __user *to)
{
	unsigned int nr = run->nr;

	run->nr = 0;
	to += run->first;
	if (nr == 1)
		return copy_to_user(to, run->out, sizeof(*to)) ? -EFAULT : 0;
	return copy_to_user(to, run->out, nr * sizeof(*to)) ? -EFAULT : 0;
}

/* The completions, each at its op's place. Stops at an address that is bad. */
static int deliver(struct zcdma_session *session, struct zcdma_taker *taker,
		   struct zcdma_completion __user *to)
{
	struct zcdma_request *req;
	struct run run __uninitialized;
	unsigned int seen = 0, delivered = 0;
	int err = 0;

	run.nr = 0;
	run.first = 0;
	zcdma_taker_clean(session, taker);
	list_for_each_entry(req, &taker->done, node) {
		if (run.nr == ARRAY_SIZE(run.out) || req->index != run.first + run.nr) {
			err = flush(&run, to);
			if (err)
				break;
			delivered = seen;
			run.first = req->index;
		}
		zcdma_queue_report(req, &run.out[run.nr++]);
		seen++;
	}
	if (!err)
		err = flush(&run, to);
	if (!err)
		delivered = seen;
	zcdma_taker_dispose(session, taker, delivered, !err);
	return err;
}

/* How long after a signal a sleep ends that task work has made deaf. */
#define DEAF	(HZ / 50)

/*
 * What io_uring has left for a task to do on its way to user space (of a ring that it has
 * closed, say) ends sleeps as a signal does, until it is done. It cannot be done here, and
 * can wait as long as an op takes.
 */
static int sleep_on(struct completion *all)
{
	long left = 0;

	while (!left && wait_for_completion_interruptible(all)) {
		if (task_sigpending(current))
			return -EINTR;
		left = wait_for_completion_killable_timeout(all, DEAF);
	}
	return left < 0 ? -EINTR : 0;
}

/* "all" may complete early, when the first ops are faster than the submitting of the next. */
static int wait_for(struct zcdma_session *session, struct zcdma_submit *what,
		    struct zcdma_taker *taker)
{
	/* Pairs with come_to() in queue.c. */
	while (smp_load_acquire(&taker->left))
		if (sleep_on(&taker->all))
			return -EINTR;
	if (taker->collect)
		return deliver(session, taker, u64_to_user_ptr(what->completions));
	/* Who has waited may look at the target before reading the completion. */
	if (READ_ONCE(session->dirty))
		zcdma_session_sweep(session);
	return 0;
}

static int submit_and_wait(struct zcdma_session *session, struct zcdma_submit *what)
{
	struct zcdma_taker taker __uninitialized;
	int err, waited;

	zcdma_taker_begin(&taker, what->completions);
	err = submit_all(session, what, &taker);
	waited = wait_for(session, what, &taker);
	zcdma_taker_end(session, &taker);
	return err ?: waited;
}

static int check(struct zcdma_session *session, const struct zcdma_submit *what)
{
	if (!what->count || what->count > ZCDMA_MAX_QUEUE_DEPTH ||
	    what->op_size < OP_SIZE_MIN || what->op_size > PAGE_SIZE)
		return -EINVAL;
	if (what->completions && !(what->flags & ZCDMA_SUBMIT_WAIT))
		return -EINVAL;
	return zcdma_session_chan(session) ? 0 : -ENOTCONN;
}

/**
 * zcdma_submit() - %ZCDMA_IOC_SUBMIT
 * @session: the session.
 * @what: the ops; out_accepted is set whatever is returned.
 *
 * Sleeps for page faults, and with %ZCDMA_SUBMIT_WAIT until the ops are complete:
 * their deadlines bound it, and any signal ends it.
 *
 * Return: 0, or the first error; see the uapi header.
 */
int zcdma_submit(struct zcdma_session *session, struct zcdma_submit *what)
{
	int err;

	what->out_accepted = 0;
	err = check(session, what);
	if (err)
		return err;
	if (what->flags & ZCDMA_SUBMIT_WAIT)
		return submit_and_wait(session, what);
	return submit_all(session, what, NULL);
}
