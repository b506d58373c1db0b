// SPDX-License-Identifier: GPL-2.0
/*
 * A session: an open file of /dev/zcdma.
 *
 * It outlives the file when an engine still has pieces of its requests: close()
 * does not wait for an engine that others use too. The file's reference is put when
 * nothing of the session is left there.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "zcdma.h"

/* Completions that read() takes at a time. */
#define READ_BATCH	16

#define FEATURES								\
	(ZCDMA_FEATURE_COPY_FILL | ZCDMA_FEATURE_BUFFERS | ZCDMA_FEATURE_CHANNELS |	\
	 ZCDMA_FEATURE_BARRIER | ZCDMA_FEATURE_PORTS | ZCDMA_FEATURE_STREAMS |		\
	 ZCDMA_FEATURE_SEND_RECV |							\
	 (IS_ENABLED(CONFIG_IO_URING) ? ZCDMA_FEATURE_URING : 0))

static atomic_t sessions_alive = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(sessions_gone);

static void janitor(struct work_struct *work);

struct zcdma_session *zcdma_session_create(void)
{
	struct zcdma_session *session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);

	if (!session)
		return NULL;
	kref_init(&session->ref);
	mutex_init(&session->attaching);
	mutex_init(&session->reaping);
	spin_lock_init(&session->lock);
	init_waitqueue_head(&session->wq);
	INIT_LIST_HEAD(&session->queue);
	INIT_LIST_HEAD(&session->active);
	INIT_LIST_HEAD(&session->done);
	INIT_LIST_HEAD(&session->rings);
	INIT_LIST_HEAD(&session->takers);
	INIT_LIST_HEAD(&session->late);
	INIT_LIST_HEAD(&session->spares);
	INIT_DELAYED_WORK(&session->watch, zcdma_queue_watch);
	INIT_DELAYED_WORK(&session->janitor, janitor);
	session->depth = ZCDMA_DEFAULT_QUEUE_DEPTH;
	session->deadline_ms = ZCDMA_DEFAULT_DEADLINE_MS;
	atomic_inc(&sessions_alive);
	return session;
}

static void free_spares(struct zcdma_session *session)
{
	struct zcdma_request *req, *tmp;

	list_for_each_entry_safe(req, tmp, &session->spares, node)
		zcdma_request_free(req);
}

static void session_destroy(struct kref *ref)
{
	struct zcdma_session *session = container_of(ref, struct zcdma_session, ref);
	unsigned int i;

	for (i = 0; i < session->nr_lanes; i++)
		zcdma_chan_put(session->lanes[i].chan);
	zcdma_port_free(session);
	free_spares(session);
	kfree(session->lanes);
	kfree(session);
	if (atomic_dec_and_test(&sessions_alive))
		wake_up(&sessions_gone);
}

void zcdma_session_get(struct zcdma_session *session)
{
	kref_get(&session->ref);
}

void zcdma_session_put(struct zcdma_session *session)
{
	kref_put(&session->ref, session_destroy);
}

/* For the exit of the module: all files are closed, all channels were given back. */
void zcdma_session_wait_gone(void)
{
	wait_event(sessions_gone, !atomic_read(&sessions_alive));
}

/* Those of %ZCDMA_QUERY_ATTACHED, from 0 on. Return: NULL past the last. */
struct zcdma_chan *zcdma_session_nth_chan(struct zcdma_session *session, u32 nr)
{
	struct zcdma_port_use *use = zcdma_port_use(session);

	if (use)
		return zcdma_port_nth_chan(use, nr);
	if (!zcdma_session_chan(session) || nr >= session->nr_lanes)
		return NULL;
	return session->lanes[array_index_nospec(nr, session->nr_lanes)].chan;
}

/* %ZCDMA_IOC_GET_INFO */
void zcdma_session_info(struct zcdma_session *session, struct zcdma_get_info *info)
{
	info->out_channels = 0;
	while (zcdma_session_nth_chan(session, info->out_channels))
		info->out_channels++;
	info->out_features = FEATURES;
	info->out_opcodes = BIT_ULL(ZCDMA_OP_COPY) | BIT_ULL(ZCDMA_OP_FILL) |
			    BIT_ULL(ZCDMA_OP_SEND) | BIT_ULL(ZCDMA_OP_RECV);
	info->out_max_len = ZCDMA_MAX_LEN;
	info->out_max_deadline_ms = ZCDMA_MAX_DEADLINE_MS;
	info->out_default_deadline_ms = ZCDMA_DEFAULT_DEADLINE_MS;
	info->out_max_queue_depth = ZCDMA_MAX_QUEUE_DEPTH;
	info->out_queue_depth = READ_ONCE(session->depth);
	info->out_outstanding = READ_ONCE(session->outstanding);
}

static struct zcdma_lane *alloc_lanes(struct zcdma_session *session, unsigned int nr)
{
	struct zcdma_lane *lanes = kcalloc(nr, sizeof(*lanes), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	for (i = 0; lanes && i < nr; i++) {
		lanes[i].session = session;
		INIT_LIST_HEAD(&lanes[i].turn);
	}
	return lanes;
}

static int attach_locked(struct zcdma_session *session, struct zcdma_attach *how)
{
	unsigned int nr = how->channels ?: 1;
	struct zcdma_lane *lanes;
	int err;

	if (session->chan || zcdma_port_use(session))
		return -EISCONN;
	lanes = alloc_lanes(session, nr);
	if (!lanes)
		return -ENOMEM;
	/* Whoever finds the session at a channel must find all this. */
	session->lanes = lanes;
	session->nr_lanes = nr;
	err = zcdma_chan_join(lanes, how);
	if (err) {
		session->nr_lanes = 0;
		session->lanes = NULL;
		kfree(lanes);
		return err;
	}
	session->depth = how->queue_depth ?: ZCDMA_DEFAULT_QUEUE_DEPTH;
	session->deadline_ms = how->deadline_ms ?: ZCDMA_DEFAULT_DEADLINE_MS;
	/* Pairs with zcdma_session_chan(): whoever sees it sees the above too. */
	smp_store_release(&session->chan, lanes[0].chan);
	return 0;
}

/* %ZCDMA_IOC_ATTACH */
int zcdma_session_attach(struct zcdma_session *session, struct zcdma_attach *how)
{
	int err;

	if (how->channels > ZCDMA_MAX_CHANNELS || how->queue_depth > ZCDMA_MAX_QUEUE_DEPTH ||
	    how->deadline_ms > ZCDMA_MAX_DEADLINE_MS || (how->caps & ~(u64)ZCDMA_CAP_ALL) ||
	    strnlen(how->name, ZCDMA_NAME_LEN) == ZCDMA_NAME_LEN)
		return -EINVAL;
	mutex_lock(&session->attaching);
	err = attach_locked(session, how);
	mutex_unlock(&session->attaching);
	return err;
}

/*
 * What zcdma_session_kick() does unless there is one channel. Several are dealt one piece
 * each, again and again, so that they share even a short queue.
 */
void zcdma_session_deal(struct zcdma_session *session)
{
	bool more = true;
	unsigned int i;

	if (!session->nr_lanes)
		zcdma_slave_kick(session);
	while (more) {
		more = false;
		for (i = 0; i < session->nr_lanes; i++)
			more |= zcdma_chan_run(session->lanes[i].chan, &session->lanes[i], 1);
	}
}

/**
 * zcdma_session_cancel() - %ZCDMA_IOC_CANCEL
 * @session: the session.
 * @what: which ops; out_cancelled is set.
 *
 * Return: 0, -ENOENT or -EALREADY; see the uapi header.
 */
int zcdma_session_cancel(struct zcdma_session *session, struct zcdma_cancel *what)
{
	bool attached = zcdma_session_chan(session);
	unsigned int i;
	int err;

	/* A piece that is parked has been cut, but the engine has no part of it. */
	for (i = 0; attached && i < session->nr_lanes; i++)
		zcdma_chan_unpark(session->lanes[i].chan);
	err = zcdma_queue_cancel(session, what);
	zcdma_slave_look(session);
	if (attached)
		zcdma_session_kick(session);
	return err;
}

static struct zcdma_request *first_done(struct zcdma_session *session)
{
	return list_first_entry_or_null(&session->done, struct zcdma_request, node);
}

/* Off the list of done ones, at most @max of them, to the taker. */
static unsigned int take_done(struct zcdma_session *session, struct zcdma_taker *taker,
			      unsigned int max)
{
	struct zcdma_request *req;
	unsigned int nr = 0;

	spin_lock_irq(&session->lock);
	while (nr < max && (req = first_done(session))) {
		list_move_tail(&req->node, &taker->done);
		if (!req->clean)
			zcdma_taker_dirty(session, taker);
		nr++;
	}
	spin_unlock_irq(&session->lock);
	return nr;
}

/*
 * Nothing is lost on a bad address: what user space does not have is put back.
 * User memory is written without "reaping", which an unbind may wait for.
 */
static ssize_t read_batch(struct zcdma_session *session, char __user *buf, unsigned int max)
{
	struct zcdma_completion out[READ_BATCH] __uninitialized;
	struct zcdma_taker taker __uninitialized;
	struct zcdma_request *req;
	unsigned int nr, i = 0;
	int err = 0;

	zcdma_taker_begin(&taker, true);
	nr = take_done(session, &taker, min_t(unsigned int, max, READ_BATCH));
	zcdma_taker_clean(session, &taker);
	list_for_each_entry(req, &taker.done, node)
		zcdma_queue_report(req, &out[i++]);

	if (copy_to_user(buf, out, nr * sizeof(*out)))
		err = -EFAULT;
	else
		zcdma_taker_dispose(session, &taker, nr, true);
	zcdma_taker_end(session, &taker);
	return err ? err : (ssize_t)nr;
}

/* Is there something to read, or nothing to wait for? */
static bool readable(struct zcdma_session *session)
{
	bool ret;

	spin_lock_irq(&session->lock);
	ret = !list_empty(&session->done) || !session->outstanding;
	spin_unlock_irq(&session->lock);
	return ret;
}

static int wait_readable(struct zcdma_session *session, bool nonblock)
{
	if (nonblock)
		return readable(session) ? 0 : -EAGAIN;
	return wait_event_interruptible(session->wq, readable(session));
}

/* read(): see the end of the uapi header. */
ssize_t zcdma_session_read(struct zcdma_session *session, char __user *buf, size_t size,
			   bool nonblock)
{
	size_t max = min_t(size_t, size / sizeof(struct zcdma_completion), INT_MAX);
	size_t nr = 0;
	ssize_t got = 0;

	if (!max)
		return -EINVAL;
	while (!nr) {
		int err = wait_readable(session, nonblock);

		if (err)
			return err;
		do {
			got = read_batch(session, buf + nr * sizeof(struct zcdma_completion),
					 max - nr);
			nr += max_t(ssize_t, got, 0);
		} while (got == READ_BATCH && nr < max);
		/* Another reader may have been faster; or there is nothing to come. */
		if (got < 0 || !READ_ONCE(session->outstanding))
			break;
	}
	if (nr)
		return nr * sizeof(struct zcdma_completion);
	return got ?: READ_ONCE(session->err);
}

__poll_t zcdma_session_poll(struct zcdma_session *session, struct file *file, poll_table *pt)
{
	__poll_t mask = 0;

	poll_wait(file, &session->wq, pt);
	spin_lock_irq(&session->lock);
	if (!list_empty(&session->done))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (session->err && zcdma_queue_idle(session))
		mask |= EPOLLHUP | EPOLLERR;
	else if (!session->err && session->outstanding < session->depth)
		mask |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock_irq(&session->lock);
	zcdma_stream_poll(session, &mask);
	return mask;
}

/* The first request on a list whose memory nobody needs any more. */
static struct zcdma_request *dirty(struct list_head *list)
{
	struct zcdma_request *req;

	list_for_each_entry(req, list, node)
		if (!req->pending && !req->clean)
			return req;
	return NULL;
}

/* The same for whatever has finished and was not delivered. */
static struct zcdma_request *dirty_done(struct zcdma_session *session)
{
	struct zcdma_taker *taker;
	struct zcdma_request *req;

	spin_lock_irq(&session->lock);
	req = dirty(&session->done) ?: dirty(&session->rings);
	list_for_each_entry(taker, &session->takers, node)
		req = req ?: dirty(&taker->done);
	spin_unlock_irq(&session->lock);
	return req;
}

/* One that the engine has let go of. It may be clean already: see dispose() in taker.c. */
static struct zcdma_request *take_late(struct zcdma_session *session)
{
	struct zcdma_request *req, *found = NULL;

	spin_lock_irq(&session->lock);
	list_for_each_entry(req, &session->late, node) {
		if (req->pending)
			continue;
		list_del_init(&req->node);
		found = req;
		break;
	}
	spin_unlock_irq(&session->lock);
	return found;
}

/* It is a spare again: registered memory counts on them. */
static void keep(struct zcdma_session *session, struct zcdma_request *req)
{
	spin_lock_irq(&session->lock);
	zcdma_spare_store(session, req);
	spin_unlock_irq(&session->lock);
	zcdma_places_freed(session);
}

/* Nobody can read any more: away with what has finished. */
static void drop_done(struct zcdma_session *session)
{
	struct zcdma_taker taker;
	unsigned int nr;

	zcdma_taker_begin(&taker, true);
	nr = take_done(session, &taker, UINT_MAX);
	zcdma_taker_clean(session, &taker);
	zcdma_taker_dispose(session, &taker, nr, true);
	zcdma_taker_end(session, &taker);
}

/*
 * The closed session ends when the engine has nothing of it: the file's reference goes.
 * That may be in the janitor, from the moment on that the file has @left: its session is
 * not to be touched any more by then.
 */
static void end_if_over(struct zcdma_session *session, bool left)
{
	bool over;

	spin_lock_irq(&session->lock);
	session->left |= left;
	over = session->left && !session->over && zcdma_queue_idle(session) &&
	       list_empty(&session->done);
	session->over |= over;
	spin_unlock_irq(&session->lock);
	if (!over)
		return;
	zcdma_buffers_release(session);
	/* Nobody needs the watch any more, nor the reference that it has. */
	if (cancel_delayed_work(&session->watch))
		zcdma_session_put(session);
	zcdma_session_put(session);
}

/**
 * zcdma_session_sweep() - clean up after requests that nobody has read yet
 * @session: the session. The caller holds a reference, which may be the file's.
 *
 * Their completions stay where they are, unless nobody can read them any more.
 */
void zcdma_session_sweep(struct zcdma_session *session)
{
	struct zcdma_request *req;

	mutex_lock(&session->reaping);
	while ((req = dirty_done(session)))
		zcdma_request_clean(req);
	while ((req = take_late(session))) {
		zcdma_request_clean(req);
		keep(session, req);
	}
	mutex_unlock(&session->reaping);
	if (session->closed)
		drop_done(session);
}

/* What a barrier waited for may be there now. */
static void unblock(struct zcdma_session *session)
{
	bool blocked;

	spin_lock_irq(&session->lock);
	blocked = session->blocked;
	session->blocked = false;
	spin_unlock_irq(&session->lock);
	if (blocked)
		zcdma_session_kick(session);
}

static void janitor(struct work_struct *work)
{
	struct zcdma_session *session = container_of(to_delayed_work(work),
						     struct zcdma_session, janitor);

	spin_lock_irq(&session->lock);
	session->sweeping = false;
	spin_unlock_irq(&session->lock);
	zcdma_session_sweep(session);
	unblock(session);
	if (session->closed)
		end_if_over(session, false);
	zcdma_session_put(session);
}

/**
 * zcdma_session_close() - the file is gone
 * @session: the reference of the file; not to be used afterwards.
 *
 * What has not begun is cancelled. What the engine has is stopped if nobody else
 * uses the channel. Otherwise it runs to its end or deadline, the watch and the
 * janitor see to that, and nothing is released before.
 */
void zcdma_session_close(struct zcdma_session *session)
{
	spin_lock_irq(&session->lock);
	session->closed = true;
	spin_unlock_irq(&session->lock);
	zcdma_queue_fail(session, -ECANCELED);
	zcdma_port_detach(session);
	zcdma_chan_leave(session->lanes, session->nr_lanes);
	zcdma_session_sweep(session);
	end_if_over(session, true);
}
