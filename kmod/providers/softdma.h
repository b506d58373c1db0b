/* SPDX-License-Identifier: GPL-2.0 */
/*
 * softdma: what the engine (softdma.c), its channels and the movers share.
 */
#ifndef SOFTDMA_H
#define SOFTDMA_H

#include <linux/completion.h>
#include <linux/dmaengine.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kfifo.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "softdma_faults.h"
#include "softdma_ledger.h"
#include "softdma_traits.h"

/* Descriptors of a channel, preallocated when a client takes it. */
#define SOFTDMA_POOL		256

enum softdma_kind {
	SOFTDMA_COPY,
	SOFTDMA_FILL,
	SOFTDMA_SLAVE,
	SOFTDMA_CYCLIC,
};

struct softdma_seg {
	dma_addr_t addr;
	size_t len;
};

struct softdma_desc {
	struct dma_async_tx_descriptor tx;
	struct list_head node;
	enum softdma_kind kind;
	dma_addr_t dst;
	dma_addr_t src;
	size_t len;
	size_t done;		/* written by the thread alone; of a ring, in this round */
	u32 value;		/* of a fill: a byte, or a word (memset_words) */
	enum dma_transfer_direction dir;	/* slave and cyclic, down to seg_done */
	struct softdma_seg *segs;	/* &one, or allocated */
	struct softdma_seg one;
	unsigned int seg;	/* where the thread is */
	size_t seg_done;
	size_t period;		/* of a ring */
	bool killed;		/* terminated while active: no callback */
	bool skipped;		/* its successor went first (unordered) */
	bool released;		/* its client has gone: no callback (release_runs_on) */
	bool at_rest;		/* the thread moves no byte of it any more */
	bool accused;		/* of a violation */
	const char *accusation;	/* not told yet */
	dma_addr_t accused_at;
	bool ends_short;	/* half of it is all there will be (short_nth) */
};

static inline bool softdma_is_slave(const struct softdma_desc *d)
{
	return d->kind == SOFTDMA_SLAVE || d->kind == SOFTDMA_CYCLIC;
}

/**
 * struct softdma_chan - a channel and its thread
 * @chan: what dmaengine sees
 * @engine: the device it belongs to
 * @lock: guards everything down to @failed
 * @free: descriptors that prep may hand out
 * @unacked: done, but the client has not set DMA_CTRL_ACK yet
 * @submitted: submitted, waiting for issue_pending
 * @issued: waiting for the thread
 * @active: the one the thread is moving, or has just dropped
 * @used: descriptors not on @free
 * @finished: how many times the thread has let go of a descriptor
 * @calling: a callback is running or about to
 * @dead: the device is being removed: nothing is accepted any more
 * @paused: the thread moves no byte until resume
 * @halted: the thread has noticed @paused in the middle of a descriptor
 * @loose: what the thread is about to move will be moved, whoever pauses or terminates
 * @cookie: last one given out
 * @completed: last one completed
 * @failed: last one that ended in an error
 * @wait: the thread sleeps here
 * @quiet: device_synchronize sleeps here
 * @held: a client holds the channel; guarded by the engine's mutex, as the next two are
 * @thread: exists while a client holds the channel, and while it runs on for one that has gone
 * @pool: the descriptors, for as long
 * @prep_lock: held from prep to submit (lock_until_submit)
 * @callback_lock: held while a callback runs (locked_callbacks)
 * @callback_owner: whose callback that is
 * @late: callbacks that have not come yet (late_us)
 * @callback: what to call next, if anything
 * @callback_param: its argument
 * @result: its other argument
 * @tasklet: calls it in softirq context
 * @irq_work: calls it in hardirq context
 * @called: tells the thread that either of them has
 * @peer: whose FIFO a slave transfer from the device takes from, and that takes from ours; or NULL
 * @config: what the client has told about the device
 * @fifo: filled by this thread, emptied by the peer's
 * @paced: bytes moved since @paced_since, less than a second's worth
 * @paced_since: ns; 0 before the first
 * @idle_since: ns; when the thread ran out of work, 0 when it has not
 * @sequence: of the next byte of a source
 */
struct softdma_chan {
	struct dma_chan chan;
	struct softdma *engine;

	spinlock_t lock;		/* down to @failed */
	struct list_head free;
	struct list_head unacked;
	struct list_head submitted;
	struct list_head issued;
	struct softdma_desc *active;
	unsigned int used;
	unsigned int finished;
	bool calling;
	bool dead;
	bool paused;
	bool halted;
	bool loose;
	dma_cookie_t cookie;
	dma_cookie_t completed;
	dma_cookie_t failed;

	wait_queue_head_t wait;
	wait_queue_head_t quiet;
	bool held;
	struct task_struct *thread;
	struct softdma_desc *pool;
	spinlock_t prep_lock;		/* from prep to submit */
	spinlock_t callback_lock;	/* while a callback runs */
	struct task_struct *callback_owner;
	struct softdma_late late;

	dma_async_tx_callback callback;
	dma_async_tx_callback_result callback_result;
	void *callback_param;
	struct dmaengine_result result;
	struct tasklet_struct tasklet;
	struct irq_work irq_work;
	struct completion called;

	struct softdma_chan *peer;	/* for softdma_slave.c, from here on */
	struct dma_slave_config config;
	struct kfifo fifo;
	u64 paced;
	u64 paced_since;
	u64 idle_since;
	u64 sequence;
};

struct softdma {
	struct dma_device dma;
	struct softdma_traits traits;
	struct softdma_faults faults;
	struct softdma_ledger *ledger;
	atomic_t violations;
	unsigned long absent;		/* bit 0: the last channel is gone */
	bool leaving;			/* the driver is unbound, slowly (remove_delay_ms) */
	struct mutex mutex;		/* starting and stopping of threads */
	struct llist_node retired;
	struct softdma_chan chans[];
};

/* For the channel's thread: the descriptor is to be left as it is. */
static inline bool softdma_cut(const struct softdma_desc *d)
{
	return READ_ONCE(d->killed) || kthread_should_stop();
}

void softdma_chan_ops(struct dma_device *dma, const struct softdma_traits *traits);
void softdma_chan_init(struct softdma *s, struct softdma_chan *sc);
void softdma_chan_kill(struct softdma_chan *sc);
struct softdma_desc *softdma_get(struct softdma_chan *sc, unsigned long flags);

void softdma_drop(struct softdma_chan *sc, struct list_head *dropped);
void softdma_quiesce(struct softdma_chan *sc);

void softdma_complete_init(struct softdma_chan *sc);
void softdma_recycle(struct softdma_chan *sc, struct softdma_desc *d);
void softdma_finish(struct softdma_chan *sc, struct softdma_desc *d,
		    enum dmaengine_tx_result result);
bool softdma_tell(struct softdma_chan *sc, struct softdma_desc *d);

enum dmaengine_tx_result softdma_move(struct softdma_chan *sc, struct softdma_desc *d, size_t end);
size_t softdma_translate(struct softdma *s, struct softdma_desc *d, dma_addr_t addr, size_t n,
			 phys_addr_t *pa);
void *softdma_map(phys_addr_t pa);

static inline struct softdma_chan *to_softdma_chan(struct dma_chan *chan)
{
	return container_of(chan, struct softdma_chan, chan);
}

void softdma_slave_ops(struct dma_device *dma);
int softdma_slave_init(struct softdma *s);
void softdma_slave_free(struct softdma *s);
void softdma_slave_open(struct softdma_chan *sc);
void softdma_slave_forget(struct softdma_desc *d);
void softdma_slave_missed(struct softdma_chan *sc, struct softdma_desc *d, u64 since);
enum dmaengine_tx_result softdma_slave_chunk(struct softdma_chan *sc, struct softdma_desc *d,
					     size_t n);
enum dmaengine_tx_result softdma_cycle(struct softdma_chan *sc, struct softdma_desc *d);

#endif
