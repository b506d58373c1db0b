/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The queue of a session: its ops and their completions, and what else of it is theirs. Who files
 * them, hands them on and lets go of them knows this; the file itself is above, see session.h.
 *
 * Lock order in all of zcdma, outermost first:
 *
 *	session->attaching	mutex	one ATTACH at a time, and filling up with ops
 *	watch_lock		mutex	who tells that channels go, see lease.c
 *	the driver core's lock of a provider's device, and that of dmaengine's class
 *	zc_registry		mutex	which channels are leased, and to whom
 *	buffers->changing	mutex	one at a time changes the table of buffers
 *	session->releaser	mutex	with a port: one at a time releases ops
 *	session->unmapping	mutex	one at a time unmaps ops
 *	session->walking	mutex	one at a time looks at all ops, see zc_queue_walk()
 *	session->lock		spin	all ops of the session, and the table of buffers
 *	engine->lock		spin	who has a turn at the engine
 *
 * Nothing is taken under providers_lock (provider.c), nor under allow_lock and more_drivers_lock
 * (find.c), which are taken with dmaengine's list of channels locked, under zc_registry.
 *
 * Ports and streams have locks of their own, see port/port.h. The spinlocks are taken in any
 * context, so with interrupts off, and none is held while a provider is called or memory is
 * synchronized. No user memory is touched under any of these locks: a page fault may take for
 * ever, and a user must not be able to hold up an unbind. Nor is any page unpinned where that may
 * wait for a file system of the user's.
 */
#ifndef _ZC_QUEUE_H
#define _ZC_QUEUE_H

#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/wait.h>
#include "op.h"

struct zcdma_port_use;

/**
 * struct zc_port_ops - what a session with a port has in place of channels
 * @admit: may such an op come here? Sets lease, slave and word. Return: 0 or -errno.
 * @queued: it is QUEUED. Under session->lock, as the next two.
 * @unqueued: it will not have a turn.
 * @put: it is FREE.
 * @kick: there is something to hand out. In process context, does not sleep.
 * @look: what has failed is to be taken from the engine. May sleep.
 * @nth_lease: the leases, from 0 on. Return: NULL past the last.
 * @poll: streams change the mask; what is asked for may start one.
 * @detach: the file is closed. May sleep.
 * @free: nobody has the session any more.
 */
struct zc_port_ops {
	int (*admit)(struct zc_op *op);
	void (*queued)(struct zc_op *op);
	void (*unqueued)(struct zc_op *op);
	void (*put)(struct zc_op *op);
	void (*kick)(struct zc_session *session);
	void (*look)(struct zc_session *session);
	struct zc_lease *(*nth_lease)(struct zc_session *session, u32 nr);
	void (*poll)(struct zc_session *session, __poll_t wanted, __poll_t *mask);
	void (*detach)(struct zc_session *session);
	void (*free)(struct zc_session *session);
};

/* Completions for a ring that are passed on together; see uring.c. */
struct zc_ring_batch {
	struct io_uring_cmd *first;
	struct io_uring_cmd *last;
	u64 batch;
};

/**
 * struct zc_session - an open file
 * @ref: the file, until nothing of it is left at an engine; each work that is pending.
 * @attaching: one ATTACH at a time.
 * @lease: set once, with release semantics. Of several, the first: all are of one device, so
 *	memory mapped for one is mapped for each.
 * @members: its places, one at each of its channels; none with a port.
 * @nr_members: how many.
 * @turn: of them, the one that gets the next op first.
 * @port_ops: with a port; set before @lease, as the next.
 * @port: see port/port.h.
 * @deadline_ms: of ops that name none.
 * @releaser: see above, as the next two.
 * @unmapping: the same.
 * @walking: protects @cursor, too.
 * @buffers: registered memory.
 * @batches: numbers of zc_op.batch.
 * @lock: protects what follows.
 * @all: ops in whatever state.
 * @cursor: in @all, where the walk goes on.
 * @queue: ops by state, see op.h; oldest first, as the next.
 * @running: the same.
 * @releasing: the same, that wait for a releaser.
 * @held: the same, that one has.
 * @done: DONE, for read().
 * @orphans: the same.
 * @free: FREE; with registered buffers, as many as there can be.
 * @nr_free: how many.
 * @depth: most that may be outstanding.
 * @outstanding: accepted, and not yet reaped.
 * @nr_orphans: given up, and not FREE yet: they keep their place.
 * @strays: streams of which an engine that cannot be stopped has something.
 * @barriers: QUEUED ops that are barriers and have not begun.
 * @err: 0, or why no more ops are taken.
 * @closed: the file is; nobody will read.
 * @left: and it is at no channel any more, but for what it has there.
 * @over: and nothing of it is at an engine: the file's reference has been put.
 * @draining: so many wait until nothing of it is at an engine.
 * @stocked: @free was filled up.
 * @blocked: a barrier waits for what is before it.
 * @watching: the watch is armed, for @watch_at.
 * @watch_at: as an op's deadline.
 * @cleaning: the cleaner is armed.
 * @flush: sink that is to be told when a batch ends.
 * @ring: see there.
 * @wq: readers and pollers.
 * @watch: looks for deadlines that have passed.
 * @cleaner: releases ops that nobody else comes for.
 */
struct zc_session {
	struct kref ref;
	struct mutex attaching;		/* see above */
	struct zc_lease *lease;
	struct zc_member *members;
	unsigned int nr_members;
	unsigned int turn;
	const struct zc_port_ops *port_ops;
	struct zcdma_port_use *port;
	u32 deadline_ms;
	struct mutex releaser;		/* see above */
	struct mutex unmapping;		/* see above */
	struct mutex walking;		/* see above */
	struct zc_buffers buffers;
	atomic64_t batches;

	spinlock_t lock;		/* see above */
	struct list_head all;
	struct list_head *cursor;
	struct list_head queue;
	struct list_head running;
	struct list_head releasing;
	struct list_head held;
	struct list_head done;
	struct list_head orphans;
	struct list_head free;
	unsigned int nr_free;
	unsigned int depth;
	unsigned int outstanding;
	unsigned int nr_orphans;
	unsigned int strays;
	unsigned int barriers;
	int err;
	bool closed;
	bool left;
	bool over;
	unsigned int draining;
	bool stocked;
	bool blocked;
	bool watching;
	bool cleaning;
	u64 watch_at;
	const struct zc_sink *flush;
	struct zc_ring_batch ring;
	wait_queue_head_t wq;
	struct delayed_work watch;
	struct delayed_work cleaner;
};

/* Its (first) lease; NULL before ATTACH or ATTACH_PORT. */
static inline struct zc_lease *zc_session_lease(struct zc_session *session)
{
	return smp_load_acquire(&session->lease);	/* pairs with zc_session_attached() */
}

static inline void zc_session_get(struct zc_session *session)
{
	kref_get(&session->ref);
}

void zc_session_put(struct zc_session *session);

/* Ops that are dealt with between two looks whether somebody else wants the lock. */
#define ZC_SLICE	64

/* ---- place.c, queue.c, release.c, cancel.c: the way of ops through their session ---- */

extern const struct zc_sink zc_sink_read;

void zc_queue_init(struct workqueue_struct *cleaners);
int zc_queue_stock(struct zc_session *session);
int zc_queue_reserve(struct zc_session *session, unsigned int want, struct list_head *batch);
void zc_queue_return(struct zc_session *session, struct list_head *batch);
void zc_queue_walk(struct zc_session *session, bool (*fn)(struct zc_op *op, void *arg), void *arg);
void zc_queue_release(struct zc_session *session);
void zc_queue_try_release(struct zc_session *session);
void zc_queue_unmap(struct zc_session *session);
int zc_queue_cancel(struct zc_session *session, struct zcdma_cancel *what);
bool zc_queue_abandon(struct zc_session *session, struct zc_op *op, struct zc_op *stand_in);
void zc_queue_fail(struct zc_session *session, int err);
void zc_queue_stop_cpu(struct zc_session *session);
void zc_queue_give_up(struct zc_session *session, const struct zc_lease *port);
bool zc_queue_is_idle(const struct zc_session *session);
bool zc_queue_is_drained(const struct zc_session *session);
void zc_queue_end_if_over(struct zc_session *session);
void zc_queue_cut(struct zc_member *member, struct zc_ration *ration);
unsigned int zc_queue_back(struct zc_member *member, struct zc_slot **slots, unsigned int nr);
void zc_queue_park(struct zc_slot *slot);
bool zc_queue_unpark(struct zc_slot *slot);

void zc_queue_look_soon(struct zc_session *session);
void zc_queue_stray(struct zc_session *session, int nr);
void zc_queue_free_list(struct list_head *list);
void zc_queue_watch(struct work_struct *work);
void zc_queue_cleaner(struct work_struct *work);

/* Under session->lock: */
void zc_queue_fail_op(struct zc_op *op, int err);
void zc_queue_cancelled(struct zc_op *op);
void zc_queue_off_engine(struct zc_op *op);
void zc_queue_put(struct zc_op *op);
void zc_queue_put_list(struct zc_session *session, struct list_head *list, unsigned int nr);
void zc_queue_done(struct zc_op *op);
bool zc_queue_unblocks(struct zc_session *session);
bool zc_queue_is_clear(const struct zc_session *session);
void zc_queue_raise(struct zc_session *session);
void zc_queue_spare(struct zc_session *session, struct zc_op *op);
void zc_queue_put_memory(struct zc_op *op);
void zc_queue_arm_cleaner(struct zc_session *session, bool at_once);
void zc_queue_clean_later(struct zc_session *session);
void zc_queue_watch_from(struct zc_session *session, u64 deadline);

/* The last of a batch was finished. Under session->lock. */
static inline void zc_queue_flush(struct zc_session *session)
{
	if (session->flush)
		session->flush->flush(session);
}

/* Pollers for room, or for the end. */
static inline void zc_queue_wake_writers(struct zc_session *session)
{
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLOUT | EPOLLWRNORM);
}

#endif
