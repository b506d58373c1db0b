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

/* At a port what goes one way goes in order. */
static void line_up(struct list_head *batch)
{
	struct zcdma_request *req;

	list_for_each_entry(req, batch, node)
		list_add_tail(&req->fifo, &req->slave->waiting);
}

/*
 * Put them into the queue: they complete by themselves from now on. All have the same taker,
 * and all are for ports or none is. Return: 0, or why the session takes no more.
 */
static int enqueue(struct zcdma_session *session, struct list_head *batch,
		   const struct zcdma_ready *ready)
{
	struct zcdma_request *req = list_first_entry(batch, struct zcdma_request, node);
	int err;

	spin_lock_irq(&session->lock);
	err = session->err;
	if (!err && ready->nr) {
		if (!session->watching || ready->deadline < session->watch_at)
			zcdma_queue_watch_from(session, ready->deadline);
		if (req->taker)
			req->taker->left += ready->nr;
		if (req->slave)
			line_up(batch);
		list_splice_tail_init(batch, &session->queue);
	}
	spin_unlock_irq(&session->lock);
	return err;
}

/**
 * zcdma_submit_batch() - requests with their ops, to the engine
 * @session: attached.
 * @batch: pinned; each has a place. They complete by themselves, but for those in @rest.
 * @rest: receives those from the first on that cannot be done, before what is in it. They
 *	are the caller's to drop.
 *
 * Touches no user memory: an unbind may wait for it, from the finding of the buffers
 * on. See zcdma_requests_map() for where it may sleep.
 *
 * Return: 0, or what is wrong with the first that cannot be done.
 */
int zcdma_submit_batch(struct zcdma_session *session, struct list_head *batch,
		       struct list_head *rest)
{
	struct zcdma_ready ready;
	int err, failed, added;

	if (list_empty(batch))
		return 0;
	err = zcdma_buffers_find(session, batch, rest);
	failed = zcdma_requests_map(session, batch, rest, &ready);
	added = enqueue(session, batch, &ready);
	if (added)
		list_splice_init(batch, rest);
	else
		zcdma_session_kick(session);
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
static __always_inline int fetch_all(struct zcdma_session *session,
				     const struct zcdma_submit *what, struct zcdma_taker *taker,
				     unsigned int nr, struct list_head *batch,
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
	LIST_HEAD(batch);
	LIST_HEAD(rest);
	int nr, err, bad;

	nr = zcdma_queue_reserve(session, want, &batch);
	if (nr < 0)
		return nr;
	bad = fetch_all(session, what, taker, nr, &batch, &rest);
	err = zcdma_submit_batch(session, &batch, &rest);
	what->out_accepted += nr;
	if (!list_empty(&rest)) {
		what->out_accepted -= count(&rest);
		zcdma_submit_drop(session, &rest);
	}
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

/* Completions of ops that follow each other are written at once, so many. */
#define DELIVER_BATCH	16

static int put(struct zcdma_completion __user *to, const struct zcdma_completion *out,
	       unsigned int nr)
{
	if (nr == 1)
		return copy_to_user(to, out, sizeof(*out)) ? -EFAULT : 0;
	return copy_to_user(to, out, nr * sizeof(*out)) ? -EFAULT : 0;
}

/* The completions, each at its op's place. Stops at an address that is bad. */
static int deliver(struct zcdma_session *session, struct zcdma_taker *taker,
		   struct zcdma_completion __user *to)
{
	struct zcdma_completion out[DELIVER_BATCH] __uninitialized;
	unsigned int delivered = 0;
	struct zcdma_request *req;
	int err = 0;

	zcdma_taker_clean(session, taker);
	req = list_first_entry(&taker->done, struct zcdma_request, node);
	while (!err && !list_entry_is_head(req, &taker->done, node)) {
		unsigned int first = req->index, nr = 0;

		do {
			zcdma_queue_report(req, &out[nr++]);
			req = list_next_entry(req, node);
		} while (nr < DELIVER_BATCH && !list_entry_is_head(req, &taker->done, node) &&
			 req->index == first + nr);
		err = put(to + first, out, nr);
		if (!err)
			delivered += nr;
	}
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
	bool waits = what->flags & ZCDMA_SUBMIT_WAIT;
	struct zcdma_taker taker __uninitialized;
	int err, waited;

	what->out_accepted = 0;
	err = check(session, what);
	if (err)
		return err;
	if (waits)
		zcdma_taker_begin(&taker, what->completions);
	err = submit_all(session, what, waits ? &taker : NULL);
	if (!waits)
		return err;
	waited = wait_for(session, what, &taker);
	zcdma_taker_end(session, &taker);
	return err ?: waited;
}
