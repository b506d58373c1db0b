// SPDX-License-Identifier: GPL-2.0
/*
 * A session: an open file of /dev/zcdma.
 *
 * It outlives the file when an engine still has pieces of its ops: close() does not wait for
 * an engine. What the engine has stays pinned, mapped and charged until it is through, and
 * holds the module. The file's reference is put when nothing of the session is left there.
 */
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "find.h"
#include "session.h"

#define FEATURES								\
	(ZCDMA_FEATURE_COPY_FILL | ZCDMA_FEATURE_BUFFERS | ZCDMA_FEATURE_CHANNELS |	\
	 ZCDMA_FEATURE_BARRIER | ZCDMA_FEATURE_PORTS | ZCDMA_FEATURE_STREAMS |		\
	 ZCDMA_FEATURE_SEND_RECV | ZCDMA_FEATURE_DRAIN | ZCDMA_FEATURE_RUNS |		\
	 ZCDMA_FEATURE_COPY_2D |							\
	 (IS_ENABLED(CONFIG_IO_URING) ? ZCDMA_FEATURE_URING : 0))

static struct workqueue_struct *session_wq, *cleaner_wq;
static atomic_t session_nr = ATOMIC_INIT(0);

/* ---- life ---- */

struct zc_session *zc_session_create(void)
{
	struct zc_session *session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);

	if (!session)
		return NULL;
	kref_init(&session->ref);
	mutex_init(&session->attaching);
	mutex_init(&session->releaser);
	mutex_init(&session->unmapping);
	mutex_init(&session->walking);
	init_waitqueue_head(&session->wq);
	/* Numbers of batches are no other session's. */
	atomic64_set(&session->batches, (u64)atomic_inc_return(&session_nr) << 32);
	spin_lock_init(&session->lock);
	INIT_LIST_HEAD(&session->all);
	INIT_LIST_HEAD(&session->queue);
	INIT_LIST_HEAD(&session->running);
	INIT_LIST_HEAD(&session->releasing);
	INIT_LIST_HEAD(&session->held);
	INIT_LIST_HEAD(&session->done);
	INIT_LIST_HEAD(&session->orphans);
	INIT_LIST_HEAD(&session->free);
	INIT_DELAYED_WORK(&session->watch, zc_queue_watch);
	INIT_DELAYED_WORK(&session->cleaner, zc_queue_cleaner);
	session->depth = ZC_DEFAULT_QUEUE_DEPTH;
	session->deadline_ms = ZC_DEFAULT_DEADLINE_MS;
	zc_buffers_init(&session->buffers, &session->lock);
	__module_get(THIS_MODULE);	/* the file holds it */
	return session;
}

/* As many as can be dealt with under a lock at once. Return: how many. */
static unsigned int session_cut_some(struct list_head *from, struct list_head *to)
{
	struct list_head *last = from;
	unsigned int nr;

	for (nr = 0; nr < ZC_SLICE && last->next != from; nr++)
		last = last->next;
	list_cut_position(to, from, last);
	return nr;
}

/* Nobody can read any more: away with what has finished. */
static void session_drop_done(struct zc_session *session)
{
	unsigned int nr;
	LIST_HEAD(some);

	do {
		spin_lock_irq(&session->lock);
		nr = session_cut_some(&session->done, &some);
		session->outstanding -= nr;
		zc_queue_put_list(session, &some, nr);
		spin_unlock_irq(&session->lock);
	} while (nr);
}

/**
 * zc_session_close() - the file is gone
 * @session: the reference of the file; not to be used afterwards.
 *
 * What has not begun is cancelled, and what a CPU moves. What an engine has runs to its end or
 * deadline, and nothing is released before: the watch and the cleaner see to that.
 */
void zc_session_close(struct zc_session *session)
{
	unsigned int i;

	spin_lock_irq(&session->lock);
	WRITE_ONCE(session->closed, true);
	spin_unlock_irq(&session->lock);
	zc_queue_fail(session, -ECANCELED);
	zc_queue_stop_cpu(session);
	if (session->port_ops)
		session->port_ops->detach(session);
	/* What waits for room at an engine is given back. */
	zc_queue_raise(session);
	for (i = 0; i < session->nr_members; i++)
		zc_lease_leave(&session->members[i].engine->lease);
	/* Not a page of a file system's is waited for: that may be this process. */
	zc_queue_try_release(session);
	session_drop_done(session);
	/* From here on the cleaner may end it, too. */
	zc_session_get(session);
	spin_lock_irq(&session->lock);
	session->left = true;
	spin_unlock_irq(&session->lock);
	zc_queue_end_if_over(session);
	zc_session_put(session);
}

/* ---- what its engines ask of it ---- */

static void session_fail(struct zc_member *member)
{
	zc_queue_fail(member->session, -ENODEV);
}

/* Where others of its engines are at work yet, with what is mapped, the last that goes does it. */
static void session_unmap(struct zc_member *member)
{
	struct zc_session *session = member->session;
	unsigned int i;

	for (i = 0; i < session->nr_members; i++)
		if (!session->members[i].engine->lease.gone)
			return;
	zc_queue_unmap(session);
}

static const struct zc_client session_client = {
	.cut	= zc_queue_cut,
	.back	= zc_queue_back,
	.park	= zc_queue_park,
	.unpark	= zc_queue_unpark,
	.fail	= session_fail,
	.unmap	= session_unmap,
};

/* ---- attach ---- */

/* Those of %ZCDMA_QUERY_ATTACHED, from 0 on. Return: NULL past the last. */
struct zc_lease *zc_session_nth_lease(struct zc_session *session, u32 nr)
{
	if (!zc_session_lease(session))
		return NULL;
	if (session->port_ops)
		return session->port_ops->nth_lease(session, nr);
	if (nr >= session->nr_members)
		return NULL;
	return &session->members[array_index_nospec(nr, session->nr_members)].engine->lease;
}

/* %ZCDMA_IOC_GET_INFO */
void zc_session_info(struct zc_session *session, struct zcdma_get_info *info)
{
	info->out_channels = 0;
	while (zc_session_nth_lease(session, info->out_channels))
		info->out_channels++;
	info->out_features = FEATURES;
	info->out_opcodes = BIT_ULL(ZCDMA_OP_COPY) | BIT_ULL(ZCDMA_OP_FILL) |
			    BIT_ULL(ZCDMA_OP_SEND) | BIT_ULL(ZCDMA_OP_RECV) |
			    BIT_ULL(ZCDMA_OP_COPY_2D);
	info->out_max_len = ZC_MAX_LEN;
	info->out_max_deadline_ms = ZC_MAX_DEADLINE_MS;
	info->out_default_deadline_ms = ZC_DEFAULT_DEADLINE_MS;
	info->out_max_queue_depth = ZC_MAX_QUEUE_DEPTH;
	info->out_queue_depth = READ_ONCE(session->depth);
	info->out_outstanding = READ_ONCE(session->outstanding);
}

/**
 * zc_session_attached() - the session has its channels, or its port
 * @session: the session; what it has is set.
 * @lease: that its registered memory is mapped for.
 * @depth: of its queue, or 0 for the default.
 * @deadline_ms: the same.
 */
void zc_session_attached(struct zc_session *session, struct zc_lease *lease, u32 depth,
			 u32 deadline_ms)
{
	session->depth = depth ?: ZC_DEFAULT_QUEUE_DEPTH;
	session->deadline_ms = deadline_ms ?: ZC_DEFAULT_DEADLINE_MS;
	/* Pairs with zc_session_lease(): whoever sees it sees the above too. */
	smp_store_release(&session->lease, lease);
}

static int session_take_leases(const struct zcdma_attach *how, struct zc_lease **leases,
			       unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		leases[i] = zc_lease_take(how, leases, i);
		if (IS_ERR(leases[i]))
			break;
	}
	if (i == nr)
		return 0;
	nr = i;
	while (i--) {
		zc_lease_leave(leases[i]);
		zc_lease_put(leases[i]);
	}
	return PTR_ERR(leases[nr]);
}

static int session_attach(struct zc_session *session, struct zcdma_attach *how)
{
	struct zc_lease *leases[ZC_MAX_CHANNELS];
	unsigned int nr = how->channels ?: 1, i;
	struct zc_member *members;
	int err;

	if (session->lease)
		return -EISCONN;
	members = kcalloc(nr, sizeof(*members), GFP_KERNEL_ACCOUNT);
	if (!members)
		return -ENOMEM;
	err = session_take_leases(how, leases, nr);
	if (err) {
		kfree(members);
		return err;
	}
	strscpy_pad(how->out_name, leases[0]->name, ZCDMA_NAME_LEN);
	for (i = 0; i < nr; i++) {
		members[i].client = &session_client;
		members[i].session = session;
		zc_engine_join(&members[i], leases[i]);
	}
	session->members = members;
	session->nr_members = nr;
	zc_session_attached(session, leases[0], how->queue_depth, how->deadline_ms);
	return 0;
}

/* %ZCDMA_IOC_ATTACH */
int zc_session_attach(struct zc_session *session, struct zcdma_attach *how)
{
	int err;

	if (how->channels > ZC_MAX_CHANNELS || how->queue_depth > ZC_MAX_QUEUE_DEPTH ||
	    how->deadline_ms > ZC_MAX_DEADLINE_MS || (how->caps & ~(u64)ZC_CAP_ALL) ||
	    strnlen(how->name, ZCDMA_NAME_LEN) == ZCDMA_NAME_LEN)
		return -EINVAL;
	mutex_lock(&session->attaching);
	err = session_attach(session, how);
	mutex_unlock(&session->attaching);
	return err;
}

/* ---- buffers ---- */

/* %ZCDMA_IOC_REGISTER_BUFFER */
int zc_session_register(struct zc_session *session, struct zcdma_register_buffer *what)
{
	struct zc_lease *lease = zc_session_lease(session), *other;
	int err;

	if (!lease)
		return -ENOTCONN;
	/* A port's two channels may be of different devices. */
	other = session->port_ops ? zc_session_nth_lease(session, 1) : NULL;
	if (other && other->limits.dev != lease->limits.dev)
		return -EOPNOTSUPP;
	err = zc_queue_stock(session);
	if (err)
		return err;
	return zc_buffer_register(&session->buffers, lease, &session->err, what);
}

/* %ZCDMA_IOC_UNREGISTER_BUFFER */
int zc_session_unregister(struct zc_session *session, u32 id)
{
	return zc_buffer_unregister(&session->buffers, zc_session_lease(session), id);
}

/* ---- read, poll, drain ---- */

/* DONE ops, at most @max of them, to @taken; what they say to @out. Return: how many. */
static unsigned int session_take_done(struct zc_session *session, struct list_head *taken,
				      struct zcdma_completion *out, unsigned int max)
{
	unsigned int nr = 0;
	struct zc_op *op;

	spin_lock_irq(&session->lock);
	while (nr < max && (op = list_first_entry_or_null(&session->done, struct zc_op, node))) {
		list_move_tail(&op->node, taken);
		op->batch = 0;		/* a wait that is restarted must not find it */
		zc_op_report(op, &out[nr++]);
	}
	spin_unlock_irq(&session->lock);
	return nr;
}

/* Nothing is lost on a bad address: what user space does not have is put back. */
static ssize_t session_read_batch(struct zc_session *session, char __user *buf, unsigned int max)
{
	struct zcdma_completion out[ZC_REAP_BATCH] __uninitialized;
	LIST_HEAD(taken);
	unsigned int nr;
	ssize_t ret;

	nr = session_take_done(session, &taken, out, min_t(unsigned int, max, ZC_REAP_BATCH));
	if (!nr)
		return 0;
	ret = copy_to_user(buf, out, nr * sizeof(*out)) ? -EFAULT : (ssize_t)nr;
	spin_lock_irq(&session->lock);
	if (ret < 0) {
		list_splice(&taken, &session->done);
	} else {
		session->outstanding -= nr;
		zc_queue_put_list(session, &taken, nr);
	}
	spin_unlock_irq(&session->lock);
	zc_queue_wake_writers(session);
	return ret;
}

/*
 * Is there a completion for read(), or an op that makes one when it is released? Behind many that
 * make none, which are soon released, it is seen a little later, or tells when it is DONE.
 */
static bool session_has_done(struct zc_session *session)
{
	unsigned int looks = 0;
	struct zc_op *op;

	if (!list_empty(&session->done))
		return true;
	list_for_each_entry(op, &session->releasing, node) {
		if (op->sink == &zc_sink_read)
			return true;
		if (++looks == ZC_SLICE)
			break;
	}
	return false;
}

/* Is there something to read, or nothing to wait for? */
static bool session_is_readable(struct zc_session *session)
{
	bool ret;

	spin_lock_irq(&session->lock);
	ret = session_has_done(session) || !session->outstanding;
	spin_unlock_irq(&session->lock);
	return ret;
}

static int session_wait_readable(struct zc_session *session, bool nonblock)
{
	if (nonblock)
		return session_is_readable(session) ? 0 : -EAGAIN;
	return wait_event_interruptible(session->wq, session_is_readable(session));
}

/* read(): see the end of the uapi header. */
ssize_t zc_session_read(struct zc_session *session, char __user *buf, size_t size, bool nonblock)
{
	size_t max = min_t(size_t, size / sizeof(struct zcdma_completion), INT_MAX);
	size_t nr = 0;
	ssize_t got = 0;

	if (!max)
		return -EINVAL;
	while (!nr) {
		int err = session_wait_readable(session, nonblock);

		if (err)
			return err;
		zc_queue_release(session);
		do {
			got = session_read_batch(session,
						 buf + nr * sizeof(struct zcdma_completion),
						 max - nr);
			nr += max_t(ssize_t, got, 0);
		} while (got == ZC_REAP_BATCH && nr < max);
		/* Another reader may have been faster; or there is nothing to come. */
		if (got < 0 || !READ_ONCE(session->outstanding))
			break;
		if (!nr && fatal_signal_pending(current))
			return -EINTR;
	}
	if (nr)
		return nr * sizeof(struct zcdma_completion);
	return got ?: READ_ONCE(session->err);
}

__poll_t zc_session_poll(struct zc_session *session, struct file *file, poll_table *pt)
{
	__poll_t mask = 0;

	poll_wait(file, &session->wq, pt);
	spin_lock_irq(&session->lock);
	if (session_has_done(session))
		mask |= EPOLLIN | EPOLLRDNORM;
	/* Those that are held have not finished, and cannot be read yet. */
	if (session->err && zc_queue_is_idle(session) && list_empty(&session->held))
		mask |= EPOLLHUP | EPOLLERR;
	else if (!session->err && session->outstanding + session->nr_orphans < session->depth)
		mask |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock_irq(&session->lock);
	if (session->port_ops && zc_session_lease(session))
		session->port_ops->poll(session, poll_requested_events(pt), &mask);
	return mask;
}

static bool session_is_drained(struct zc_session *session)
{
	bool ret;

	spin_lock_irq(&session->lock);
	ret = zc_queue_is_drained(session);
	spin_unlock_irq(&session->lock);
	return ret;
}

/**
 * zc_session_drain() - %ZCDMA_IOC_DRAIN: wait until nothing of the session is at an engine
 * @session: the session.
 * @timeout_ms: how long, at most.
 *
 * Return: 0, -ETIMEDOUT or -EINTR.
 */
int zc_session_drain(struct zc_session *session, u32 timeout_ms)
{
	long left = msecs_to_jiffies(timeout_ms);

	if (timeout_ms > ZC_MAX_DEADLINE_MS)
		return -EINVAL;
	spin_lock_irq(&session->lock);
	session->draining++;
	spin_unlock_irq(&session->lock);
	do {
		zc_queue_release(session);
		left = wait_event_killable_timeout(session->wq,
						   session_is_drained(session) ||
						   !list_empty_careful(&session->releasing),
						   left);
	} while (left > 0 && !fatal_signal_pending(current) && !session_is_drained(session));
	spin_lock_irq(&session->lock);
	session->draining--;
	spin_unlock_irq(&session->lock);
	if (left < 0 || fatal_signal_pending(current))
		return -EINTR;
	return left || session_is_drained(session) ? 0 : -ETIMEDOUT;
}

/* ---- the module ---- */

int zc_session_init(void)
{
	int err = zc_op_init();

	if (err)
		return err;
	session_wq = alloc_workqueue("zcdma", WQ_UNBOUND, 0);
	if (!session_wq)
		goto no_wq;
	cleaner_wq = alloc_workqueue("zcdma_cleaner", WQ_UNBOUND, 0);
	if (!cleaner_wq)
		goto no_cleaner_wq;
	zc_queue_init(cleaner_wq);
	zc_engine_init(session_wq);
	return 0;

no_cleaner_wq:
	destroy_workqueue(session_wq);
no_wq:
	zc_op_exit();
	return -ENOMEM;
}

void zc_session_exit(void)
{
	zc_lease_exit();
	destroy_workqueue(cleaner_wq);
	destroy_workqueue(session_wq);
	zc_op_exit();
}
