// SPDX-License-Identifier: GPL-2.0
/*
 * SUBMIT: an array of ops, and waiting for them.
 *
 * A waiter is on the stack of the submitter, and its ops point at it. They let go of it under
 * session->lock: when they finish, or when a signal ends the wait. Then their completions are for
 * read(), unless the signal was none that the program hears of (it was stopped and goes on, say):
 * then the system call is restarted, finds them by the number of their batch, and waits on.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/restart_block.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "admit.h"
#include "submit.h"

/* The first version's size. Shorter ones do not exist. */
#define OP_SIZE_MIN	sizeof(struct zcdma_op)

/**
 * struct zc_waiter - a SUBMIT that waits for its ops
 * @task: the submitter.
 * @done: DONE ops, if @collect.
 * @collect: their completions go to the submitter's array; otherwise to read().
 * @batch: their number.
 * @total: how many they are, once that is known; before, more than there can be.
 * @finished: how many are DONE. Under session->lock.
 */
struct zc_waiter {
	struct task_struct *task;
	struct list_head done;
	bool collect;
	u64 batch;
	unsigned int total;
	unsigned int finished;
};

static void waiter_init(struct zc_waiter *waiter, bool collect, u64 batch)
{
	waiter->task = current;
	INIT_LIST_HEAD(&waiter->done);
	waiter->collect = collect;
	waiter->batch = batch;
	waiter->total = UINT_MAX;
	waiter->finished = 0;
}

/* ---- a waiter as a sink ---- */

/* It was woken for the one before, if that is its, too, and is still to be released. */
static void sink_wait_releasing(struct zc_op *op)
{
	struct zc_op *before = list_prev_entry(op, node);

	if (&before->node == &op->session->releasing || before->sink != op->sink ||
	    before->waiter != op->waiter)
		wake_up_process(op->waiter->task);
}

static void sink_wait_finish(struct zc_op *first, struct zc_op *last, unsigned int nr)
{
	struct zc_waiter *waiter = first->waiter;
	struct task_struct *task = waiter->task;
	unsigned int finished = waiter->finished + nr;

	if (waiter->collect)
		list_bulk_move_tail(&waiter->done, &first->node, &last->node);
	else
		zc_sink_read.finish(first, last, nr);
	/* The waiter may be gone as soon as it sees the last one; the task stays for RCU's sake. */
	smp_store_release(&waiter->finished, finished);
	smp_mb();	/* pairs with set_current_state() in waiter_sleep() */
	if (finished == READ_ONCE(waiter->total))
		wake_up_process(task);
}

static const struct zc_sink sink_wait = {
	.releasing	= sink_wait_releasing,
	.finish		= sink_wait_finish,
};

/* ---- waiting ---- */

static bool waiter_has_all(const struct zc_waiter *waiter)
{
	/* Pairs with sink_wait_finish(): who sees the last one sees what has come. */
	return smp_load_acquire(&waiter->finished) == waiter->total;
}

/* Return: 0, or -ERESTART_RESTARTBLOCK when a signal came, or something like one. */
static int waiter_sleep(struct zc_session *session, struct zc_waiter *waiter)
{
	int err = 0;

	for (;;) {
		zc_queue_release(session);
		set_current_state(TASK_INTERRUPTIBLE);
		if (waiter_has_all(waiter))
			break;
		if (signal_pending(current)) {
			err = -ERESTART_RESTARTBLOCK;
			break;
		}
		if (list_empty_careful(&session->releasing))
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	__set_current_state(TASK_RUNNING);
	return err;
}

/* Completions of ops that follow each other are written at once. Stops at a bad address. */
static int waiter_deliver(struct zc_session *session, struct zc_waiter *waiter,
			  struct zcdma_completion __user *to)
{
	struct zcdma_completion out[ZC_REAP_BATCH] __uninitialized;
	unsigned int first, nr;
	LIST_HEAD(taken);
	struct zc_op *op;
	int err = 0;

	while (!list_empty(&waiter->done)) {
		op = list_first_entry(&waiter->done, struct zc_op, node);
		first = op->index;
		nr = 0;
		do {
			zc_op_report(op, &out[nr++]);
			op = list_next_entry(op, node);
		} while (nr < ZC_REAP_BATCH && !list_entry_is_head(op, &waiter->done, node) &&
			 op->index == first + nr);
		if (copy_to_user(to + first, out, nr * sizeof(*out))) {
			err = -EFAULT;
			break;
		}
		list_cut_position(&taken, &waiter->done, op->node.prev);
		spin_lock_irq(&session->lock);
		session->outstanding -= nr;
		zc_queue_put_list(session, &taken, nr);
		spin_unlock_irq(&session->lock);
	}
	zc_queue_wake_writers(session);
	return err;
}

static bool waiter_let_go(struct zc_op *op, void *waiter)
{
	if (op->sink == &sink_wait && op->waiter == waiter) {
		op->sink = &zc_sink_read;
		op->waiter = NULL;
	}
	return true;
}

/* What it has not delivered comes by read(). */
static void waiter_leave(struct zc_session *session, struct zc_waiter *waiter)
{
	zc_queue_walk(session, waiter_let_go, waiter);
	spin_lock_irq(&session->lock);
	list_splice(&waiter->done, &session->done);
	if (!list_empty(&session->releasing))
		zc_queue_arm_cleaner(session, false);
	spin_unlock_irq(&session->lock);
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLRDNORM);
}

struct waiter_search {
	struct zc_waiter *waiter;
	unsigned int nr;
};

static bool waiter_take_back(struct zc_op *op, void *arg)
{
	struct waiter_search *search = arg;
	struct zc_waiter *waiter = search->waiter;
	bool done = op->state == ZC_OP_DONE;

	if (op->sink != &zc_sink_read || op->batch != waiter->batch || (done && !waiter->collect))
		return true;
	op->sink = &sink_wait;
	op->waiter = waiter;
	if (done)
		sink_wait_finish(op, op, 1);
	search->nr++;
	return true;
}

/* The wait is restarted: its ops, but for those whose completions were read meanwhile. */
static void waiter_find(struct zc_session *session, struct zc_waiter *waiter)
{
	struct waiter_search search = { .waiter = waiter };

	zc_queue_walk(session, waiter_take_back, &search);
	WRITE_ONCE(waiter->total, search.nr);
}

static long submit_restart(struct restart_block *block);

/*
 * Wait, and deliver. What is restarted needs to know: the session (as a number, it may be
 * gone by then), the batch, where the completions go, and what is returned in the end.
 */
static int waiter_wait(struct zc_session *session, struct zc_waiter *waiter,
		       struct zcdma_completion __user *to, int ret)
{
	struct restart_block *block = &current->restart_block;
	int err = waiter_sleep(session, waiter);

	if (!err && waiter->collect)
		err = waiter_deliver(session, waiter, to);
	if (err) {
		waiter_leave(session, waiter);
	} else if (!waiter->collect) {
		/* Whoever brought the last one is done with the waiter, too. */
		spin_lock_irq(&session->lock);
		spin_unlock_irq(&session->lock);
	}
	if (err != -ERESTART_RESTARTBLOCK)
		return err ?: ret;
	block->futex.uaddr = (u32 __user *)to;
	block->futex.val = ret;
	block->futex.time = waiter->batch;
	block->futex.uaddr2 = (u32 __force __user *)session;
	return set_restart_fn(block, submit_restart);
}

/* ---- the restarted wait ---- */

static const struct file_operations *submit_fops;

struct file_search {
	const void *session;
	struct file *found;
};

static int file_is_session(const void *arg, struct file *file, unsigned int fd)
{
	struct file_search *search = (struct file_search *)arg;

	if (file->f_op != submit_fops || file->private_data != search->session)
		return 0;
	search->found = get_file(file);
	return 1;
}

/* The file may have been closed meanwhile: then nobody can wait for its ops any more. */
static long submit_restart(struct restart_block *block)
{
	struct zcdma_completion __user *to =
		(struct zcdma_completion __user *)block->futex.uaddr;
	struct file_search search = { .session = (void __force *)block->futex.uaddr2 };
	struct zc_waiter waiter;
	long ret;

	iterate_fd(current->files, 0, file_is_session, &search);
	if (!search.found)
		return -EINTR;
	waiter_init(&waiter, to, block->futex.time);
	waiter_find(search.found->private_data, &waiter);
	ret = waiter_wait(search.found->private_data, &waiter, to, block->futex.val);
	fput(search.found);
	return ret;
}

/* ---- submitting ---- */

/* Up to @nr ops from the op @index on. Return: how many it got, or -errno. */
static int submit_fetch(const struct zcdma_submit *what, unsigned int index, unsigned int nr,
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
static __always_inline int submit_fetch_all(struct zc_session *session,
					    const struct zcdma_submit *what,
					    struct zc_waiter *waiter, unsigned int nr,
					    struct list_head *batch, struct list_head *rest)
{
	const struct zc_sink *sink = waiter ? &sink_wait : &zc_sink_read;
	struct zcdma_op ops[8] __uninitialized;
	unsigned int index = what->out_accepted;
	u64 number = waiter ? waiter->batch : 0;
	struct zc_op *op, *bad;
	u64 now = ktime_get_ns();
	int got = 0, used = 0, err;

	list_for_each_entry(op, batch, node) {
		zc_op_reset(op, session->lease);
		if (used == got) {
			got = submit_fetch(what, index, min_t(unsigned int, nr, ARRAY_SIZE(ops)),
					   ops);
			used = 0;
			nr -= got;
		}
		if (got < 0) {
			err = got;
			goto bad;
		}
		op->sink = sink;
		op->waiter = waiter;
		op->batch = number;
		op->index = index++;
		op->want = ops[used++];
		err = zc_queue_admit(op, now, session->deadline_ms);
		if (err)
			goto bad;
	}
	return 0;
bad:
	bad = op;
	list_for_each_entry_continue(op, batch, node)
		zc_op_reset(op, session->lease);
	zc_queue_cut_off(batch, bad, rest);
	return err;
}

static unsigned int submit_count(struct list_head *list)
{
	struct list_head *each;
	unsigned int nr = 0;

	list_for_each(each, list)
		nr++;
	return nr;
}

/* As many as an engine may hold, or fewer. */
static int submit_some(struct zc_session *session, struct zcdma_submit *what,
		       struct zc_waiter *waiter)
{
	unsigned int want = min_t(unsigned int, what->count - what->out_accepted, ZC_WINDOW);
	LIST_HEAD(batch);
	LIST_HEAD(rest);
	int nr, err, bad;

	nr = zc_queue_reserve(session, want, &batch);
	if (nr < 0)
		return nr;
	bad = submit_fetch_all(session, what, waiter, nr, &batch, &rest);
	err = zc_queue_submit(session, &batch, &rest);
	what->out_accepted += nr;
	if (!list_empty(&rest)) {
		what->out_accepted -= submit_count(&rest);
		zc_queue_drop(session, &rest);
	}
	return err ?: bad;
}

static int submit_all(struct zc_session *session, struct zcdma_submit *what,
		      struct zc_waiter *waiter)
{
	for (;;) {
		int err = submit_some(session, what, waiter);

		/* What is not for an engine is done here, by who asked for it. */
		zc_queue_release(session);
		if (err || what->out_accepted == what->count)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

static int submit_check(struct zc_session *session, const struct zcdma_submit *what)
{
	if (!what->count || what->count > ZC_MAX_QUEUE_DEPTH ||
	    what->op_size < OP_SIZE_MIN || what->op_size > PAGE_SIZE)
		return -EINVAL;
	if (what->completions && !(what->flags & ZCDMA_SUBMIT_WAIT))
		return -EINVAL;
	return zc_session_lease(session) ? 0 : -ENOTCONN;
}

/**
 * zc_submit() - %ZCDMA_IOC_SUBMIT
 * @file: the session's.
 * @what: the ops; out_accepted is set whatever is returned.
 *
 * Sleeps for page faults, and with %ZCDMA_SUBMIT_WAIT until the ops are complete:
 * their deadlines bound it, and any signal ends it.
 *
 * Return: 0, or the first error; see the uapi header.
 */
int zc_submit(struct file *file, struct zcdma_submit *what)
{
	struct zc_session *session = file->private_data;
	bool waits = what->flags & ZCDMA_SUBMIT_WAIT;
	struct zc_waiter waiter __uninitialized;
	int err;

	what->out_accepted = 0;
	err = submit_check(session, what);
	if (err)
		return err;
	if (waits) {
		submit_fops = file->f_op;
		waiter_init(&waiter, what->completions, atomic64_inc_return(&session->batches));
	}
	err = submit_all(session, what, waits ? &waiter : NULL);
	if (!waits)
		return err;
	WRITE_ONCE(waiter.total, what->out_accepted);
	return waiter_wait(session, &waiter, u64_to_user_ptr(what->completions), err);
}
