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

static int submit_one(struct zcdma_session *session, const struct zcdma_op *op,
		      struct zcdma_taker *taker, unsigned int index, u64 now)
{
	struct zcdma_chan *chan = session->chan;
	struct zcdma_request *req;
	int err;

	err = zcdma_op_check(op);
	if (err)
		return err;
	err = zcdma_queue_reserve(session);
	if (err)
		return err;
	req = zcdma_request_create(session, op, now);
	if (IS_ERR(req)) {
		zcdma_queue_unreserve(session);
		return PTR_ERR(req);
	}
	req->taker = taker;
	req->index = index;
	err = zcdma_queue_add(session, req);
	if (err) {
		/* Not to be moved, by the CPU either. */
		req->res = err;
		zcdma_request_clean(req);
		zcdma_request_free(req);
		zcdma_queue_unreserve(session);
		return err;
	}
	zcdma_chan_ready(chan, &session->lane);
	zcdma_chan_pump(chan);
	return 0;
}

static int submit_all(struct zcdma_session *session, struct zcdma_submit *what,
		      struct zcdma_taker *taker)
{
	u64 from = what->ops, now = ktime_get_ns();
	struct zcdma_op op;
	int err;

	for (; what->out_accepted < what->count; from += what->op_size) {
		err = copy_struct_from_user(&op, sizeof(op), u64_to_user_ptr(from),
					    what->op_size);
		if (err)
			return err;
		err = submit_one(session, &op, taker, what->out_accepted, now);
		if (err)
			return err;
		what->out_accepted++;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* The completions, each at its op's place. Stops at an address that is bad. */
static int deliver(struct zcdma_session *session, struct zcdma_taker *taker,
		   struct zcdma_completion __user *to)
{
	struct zcdma_request *req;
	struct zcdma_completion out;
	unsigned int nr = 0;
	int err = 0;

	zcdma_taker_clean(session, taker);
	list_for_each_entry(req, &taker->done, node) {
		zcdma_queue_report(req, &out);
		if (copy_to_user(to + req->index, &out, sizeof(out))) {
			err = -EFAULT;
			break;
		}
		nr++;
	}
	zcdma_taker_dispose(session, taker, nr);
	return err;
}

static bool all_done(struct zcdma_session *session, struct zcdma_taker *taker)
{
	bool ret;

	spin_lock_irq(&session->lock);
	ret = !taker->left;
	spin_unlock_irq(&session->lock);
	return ret;
}

/* "all" may complete early, when the first ops are faster than the submitting of the next. */
static int wait_for(struct zcdma_session *session, struct zcdma_submit *what,
		    struct zcdma_taker *taker)
{
	while (!all_done(session, taker))
		if (wait_for_completion_interruptible(&taker->all))
			return -EINTR;
	if (taker->collect)
		return deliver(session, taker, u64_to_user_ptr(what->completions));
	/* Who has waited may look at the target before reading the completion. */
	zcdma_session_sweep(session);
	return 0;
}

static int submit_and_wait(struct zcdma_session *session, struct zcdma_submit *what)
{
	struct zcdma_taker taker;
	int err, waited;

	zcdma_taker_begin(session, &taker, what->completions);
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
