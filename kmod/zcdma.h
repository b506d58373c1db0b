/* SPDX-License-Identifier: GPL-2.0 */
/*
 * zcdma's private structs and who may touch what.
 *
 * A *session* (an open file) has a *queue* of *requests*. A *channel* takes
 * *pieces* of the requests of its sessions, in turn, into the *slots* of its
 * *window*: one slot is one descriptor at the engine.
 *
 * Lock order, outermost first:
 *
 *   zcdma_registry	mutex	which channels are leased and to whom
 *   chan->stopping	mutex	one at a time stops the engine
 *   session->reaping	mutex	one at a time takes completions and cleans up
 *   chan->lock		spin	the window and the sessions' turns
 *   session->lock	spin	the queue, the completions, each request's progress
 *
 * The spinlocks are taken in any context, so with interrupts off. None of them
 * is held while a provider's function is called: some providers (ioat, plx)
 * keep a lock of their own from prep to submit and take the same lock around
 * the callbacks, others (idxd) sleep in prep. Instead, "pumping" makes sure
 * that one context at a time talks to the engine.
 *
 * User memory is never touched under any of these locks: a page fault may take
 * for ever (userfaultfd), and a user must not be able to hold up an unbind.
 */
#ifndef _ZCDMA_H
#define _ZCDMA_H

#include <linux/completion.h>
#include <linux/dmaengine.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/poll.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/zcdma.h>

#define ZCDMA_MAX_LEN			SZ_1G
#define ZCDMA_MAX_DEADLINE_MS		(10 * 60 * MSEC_PER_SEC)
#define ZCDMA_DEFAULT_DEADLINE_MS	(10 * MSEC_PER_SEC)
#define ZCDMA_MAX_QUEUE_DEPTH		4096
#define ZCDMA_DEFAULT_QUEUE_DEPTH	256

/* Descriptors that a channel may hold. Also what one session can make another wait for. */
#define ZCDMA_WINDOW			32

/*
 * An engine that finished something this recently is at work, not hung: what
 * is past its deadline then comes back by itself. Without this rule a user
 * could stop the engine under everybody else by setting tiny deadlines.
 */
#define ZCDMA_STALLED_MS		500

/* Every bit of &enum zcdma_cap */
#define ZCDMA_CAP_ALL								\
	(ZCDMA_CAP_COPY | ZCDMA_CAP_FILL | ZCDMA_CAP_SLAVE | ZCDMA_CAP_CYCLIC |	\
	 ZCDMA_CAP_HARDWARE | ZCDMA_CAP_TERMINATE | ZCDMA_CAP_PAUSE |		\
	 ZCDMA_CAP_UNORDERED | ZCDMA_CAP_COHERENT)

struct cred;
struct zcdma_session;
struct zcdma_request;
struct zcdma_chan;

/* ---- buffer.c: memory that an engine may reach ---- */

/* Pages and segments that fit here need no allocation: up to 4 KiB at any offset. */
#define ZCDMA_INLINE			2

/**
 * struct zcdma_mem - pages of a user (or one page of ours), mapped for DMA or not
 * @pages: page list; @inline_pages when they fit.
 * @nr_pages: how many.
 * @offset: of the first byte in the first page.
 * @pinned: they are a user's and pinned; otherwise they are our own.
 * @dir: which way the engine moves.
 * @sgt: what the device sees of the mapped part; no entries when not mapped.
 */
struct zcdma_mem {
	struct page **pages;
	unsigned int nr_pages;
	unsigned int offset;
	bool pinned;
	enum dma_data_direction dir;
	struct sg_table sgt;
	struct page *inline_pages[ZCDMA_INLINE];
	struct scatterlist inline_sg[ZCDMA_INLINE];
};

/* How many of @len bytes (not 0) at @addr do not cross a boundary, given as a mask. */
static inline size_t zcdma_within(u64 boundary, u64 addr, size_t len)
{
	return min_t(u64, len - 1, boundary - (addr & boundary)) + 1;
}

unsigned long zcdma_mem_span(u64 addr, u64 len);
int zcdma_charge(const struct cred *cred, unsigned long pages);
void zcdma_uncharge(const struct cred *cred, unsigned long pages);
int zcdma_mem_pin(struct zcdma_mem *mem, u64 addr, size_t len, enum dma_data_direction dir);
int zcdma_mem_pattern(struct zcdma_mem *mem, u8 byte);
void zcdma_mem_release(struct zcdma_mem *mem, bool written);
int zcdma_mem_map(struct zcdma_mem *mem, struct zcdma_chan *chan, size_t start, size_t len);
void zcdma_mem_unmap(struct zcdma_mem *mem, struct zcdma_chan *chan);
void zcdma_mem_copy(struct zcdma_mem *dst, struct zcdma_mem *src, size_t start, size_t len);
void zcdma_mem_fill(struct zcdma_mem *dst, u8 byte, size_t start, size_t len);

/* ---- copy.c: one request ---- */

/* Where a walk along a mapped list stands. */
struct zcdma_cursor {
	struct scatterlist *sg;
	size_t offset;
};

/*
 * Somebody takes completions: read(), or a SUBMIT that waits. On the stack of the
 * taker and known to the session, because what is on its way to user memory may
 * have to be cleaned up meanwhile. Under session->lock.
 */
struct zcdma_taker {
	struct list_head node;		/* session->takers */
	struct list_head done;		/* finished, and nobody else's */
	bool collect;			/* what finishes comes to @done; else to read() */
	unsigned int left;		/* requests that point here, not finished */
	struct completion all;		/* @left has dropped to 0 */
};

/**
 * struct zcdma_request - an op's kernel-side life
 * @node: in session->queue, then ->active, then ->done (or taker->done), perhaps ->late.
 * @session: holds a reference on it.
 * @taker: the SUBMIT that waits for it, or NULL.
 * @index: the op's place in its SUBMIT.
 * @cred: whose user is charged for @charged pages.
 * @deadline: on the monotonic clock, in ns. Not in jiffies: a tick may come late.
 * @user_data: the op's.
 * @opcode: the op's.
 * @byte: of a fill.
 * @mapped: the mems are mapped for DMA; counted in chan->mapped.
 * @clean: unmapped, unpinned, discharged: the completion is ready to be read.
 * @finished: it has its one completion.
 * @res: 0 or what went wrong first.
 * @flags: &enum zcdma_done_flags so far.
 * @len: of the op.
 * @head: bytes before the part that the engine moves; the CPU moves them.
 * @body: bytes that the engine moves; the CPU moves the rest. See copy.c.
 * @next: first byte of the body that was not handed out yet, counted from @head.
 * @failed_at: first byte of the body that is not certainly there.
 * @pending: pieces handed out and not yet given back.
 */
struct zcdma_request {
	struct list_head node;
	struct zcdma_session *session;
	struct zcdma_taker *taker;
	unsigned int index;
	unsigned int pending;
	const struct cred *cred;
	unsigned long charged;
	u64 deadline;
	u64 user_data;
	u8 opcode;
	u8 byte;
	bool mapped;
	bool clean;
	bool finished;
	s32 res;
	u32 flags;
	size_t len;
	size_t head;
	size_t body;
	size_t next;
	size_t failed_at;
	struct zcdma_cursor src_at;
	struct zcdma_cursor dst_at;
	struct zcdma_mem src;
	struct zcdma_mem dst;
};

/* One descriptor: a piece of a request, on its way to the engine or at it. */
struct zcdma_slot {
	struct list_head node;		/* chan->free, ->parked or ->inflight */
	struct zcdma_chan *chan;
	struct zcdma_request *req;	/* NULL when free: a late callback finds nothing */
	size_t offset;			/* in the request's body */
	size_t len;
	dma_addr_t src;
	dma_addr_t dst;
};

int zcdma_op_check(const struct zcdma_op *op);
struct zcdma_request *zcdma_request_create(struct zcdma_session *session,
					   const struct zcdma_op *op, u64 now);
void zcdma_request_clean(struct zcdma_request *req);
void zcdma_request_free(struct zcdma_request *req);
void zcdma_request_cut(struct zcdma_request *req, struct zcdma_slot *slot);
void zcdma_request_rewind(struct zcdma_request *req, size_t offset);
u64 zcdma_request_done(const struct zcdma_request *req);
struct dma_async_tx_descriptor *zcdma_slot_prep(struct zcdma_slot *slot);
int zcdma_request_init(void);
void zcdma_request_exit(void);

/* ---- chan.c: leases ---- */

enum zcdma_chan_state {
	ZCDMA_CHAN_LIVE,
	ZCDMA_CHAN_STOPPED,		/* for a moment: nothing is handed to the engine */
	ZCDMA_CHAN_GONE,		/* for ever: given back, or the provider left */
};

struct zcdma_window {
	struct list_head node;		/* chan->retired */
	struct zcdma_slot slots[ZCDMA_WINDOW];
};

/**
 * struct zcdma_chan - a channel leased by zcdma
 * @ref: the sessions and the registry; the struct outlives the lease.
 * @rcu: the struct outlives a callback that is late.
 * @node: in the registry.
 * @dma: the dmaengine channel; not to be used once @state is GONE.
 * @dev: the device that DMA is mapped for.
 * @provider: the device whose driver may be unbound.
 * @exclusive: one session has it for itself. Under zcdma_registry, as the next three.
 * @lanes: the places of its sessions. Changed under @lock as well.
 * @sessions: how many.
 * @toured: see walk() in chan.c.
 * @caps: &enum zcdma_cap.
 * @done_flags: &enum zcdma_done_flags of a piece that it has moved.
 * @inline_refill: prep may be called from the completion callback.
 * @copy_align: in bytes, as the rest.
 * @fill_align: of the engine's own fill.
 * @line: what the CPU and the engine must not share at the edges of a target.
 * @max_seg: longest segment to map.
 * @boundary: mask of addresses that a piece must not cross.
 * @mapped: requests with DMA mappings: while not 0 the provider must not go.
 * @lock: protects what follows.
 * @state: see there.
 * @pumping: one context is handing pieces to the engine.
 * @again: it must look once more before it ends.
 * @ready: lanes of the sessions that have something, in turn.
 * @free: slots with no piece.
 * @parked: pieces that the engine had no room for.
 * @inflight: pieces at the engine, oldest first.
 * @window: the slots.
 * @retired: windows in which a callback may still arrive, until the release.
 * @max_piece: longest piece the engine is known to take.
 * @halved_to: length of the piece that is being tried after a longer was refused.
 * @refused: how often in a row the idle engine refused the smallest piece.
 * @progress: when the engine last finished something or was given work while idle.
 * @refill: hands out more where the callback cannot.
 * @close: gives the channel back when the engine is done, where it cannot be stopped.
 * @idle: woken when the pump ends, the engine runs empty, or @mapped drops to 0.
 * @stopping: one at a time stops the engine.
 */
struct zcdma_chan {
	struct kref ref;
	struct rcu_head rcu;
	struct list_head node;
	struct dma_chan *dma;
	struct device *dev;
	struct device *provider;

	bool exclusive;
	struct list_head lanes;
	unsigned int sessions;
	bool toured;

	u32 caps;
	u32 done_flags;
	bool inline_refill;
	u32 copy_align;
	u32 fill_align;
	u32 line;
	size_t max_seg;
	u64 boundary;
	atomic_t mapped;

	spinlock_t lock;		/* the rest, but for @stopping */
	enum zcdma_chan_state state;
	bool pumping;
	bool again;
	struct list_head ready;
	struct list_head free;
	struct list_head parked;
	struct list_head inflight;
	struct zcdma_window *window;
	struct list_head retired;
	size_t max_piece;
	size_t halved_to;
	unsigned int refused;
	unsigned long progress;
	struct delayed_work refill;
	struct work_struct close;
	wait_queue_head_t idle;
	struct mutex stopping;		/* see above */
};

/* A session's place at a channel. */
struct zcdma_lane {
	struct list_head node;		/* chan->lanes */
	struct list_head turn;		/* chan->ready, under chan->lock */
	struct zcdma_session *session;
};

extern struct mutex zcdma_registry;
extern struct workqueue_struct *zcdma_wq;

int zcdma_chan_query(struct zcdma_chan *only, struct zcdma_query_channel *query);
struct zcdma_chan *zcdma_chan_join(struct zcdma_lane *lane, struct zcdma_attach *how);
void zcdma_chan_leave(struct zcdma_chan *chan, struct zcdma_lane *lane);
void zcdma_chan_put(struct zcdma_chan *chan);
void zcdma_chan_exit(void);

/* ---- find.c: what channels there are ---- */

typedef void (*zcdma_visit_fn)(struct dma_chan *dma, void *arg);

struct zcdma_facts {
	u32 caps;
	bool reports;
	bool allowed;			/* by the module parameter "allow" */
	u32 copy_align;			/* in bytes */
	u32 fill_align;
};

void zcdma_walk_channels(zcdma_visit_fn fn, void *arg);
void zcdma_chan_facts(struct dma_chan *dma, struct zcdma_facts *facts);
bool zcdma_chan_is(struct dma_chan *dma, const char *name);
const char *zcdma_provider_name(struct dma_chan *dma);

/* ---- window.c: the engine at work ---- */

int zcdma_window_init(struct zcdma_chan *chan);
void zcdma_window_free(struct zcdma_chan *chan);
void zcdma_chan_ready(struct zcdma_chan *chan, struct zcdma_lane *lane);
void zcdma_chan_pump(struct zcdma_chan *chan);
bool zcdma_chan_idle(struct zcdma_chan *chan);
void zcdma_chan_unpark(struct zcdma_chan *chan);
bool zcdma_chan_expire(struct zcdma_chan *chan);
void zcdma_chan_shut(struct zcdma_chan *chan);

/* ---- session.c: an open file ---- */

/**
 * struct zcdma_session - an open file
 * @ref: the file, each request, each work that is pending.
 * @attaching: one ATTACH at a time.
 * @chan: set once by ATTACH, with release semantics.
 * @lane: its place there.
 * @deadline_ms: of ops that name none.
 * @reaping: one at a time takes completions and cleans up.
 * @lock: protects what follows.
 * @queue: requests with pieces to hand out, oldest first.
 * @active: all pieces handed out, or no more to be.
 * @done: finished, not read yet.
 * @takers: who takes completions just now; what they have is swept as well.
 * @late: read, and the engine, which cannot be stopped, still has pieces.
 * @depth: most that may be outstanding.
 * @outstanding: accepted and not yet reaped.
 * @err: 0, or why no more ops are taken.
 * @closed: nobody will read; the janitor cleans up at once.
 * @watching: the deadline work is armed, for @watch_at.
 * @sweeping: the janitor is armed.
 * @watch_at: as a request's deadline.
 * @wq: readers and pollers.
 * @watch: looks for deadlines that have passed.
 * @janitor: cleans up after requests whose completions nobody takes.
 */
struct zcdma_session {
	struct kref ref;
	struct mutex attaching;		/* see above, as the others */
	struct zcdma_chan *chan;
	struct zcdma_lane lane;
	u32 deadline_ms;
	struct mutex reaping;		/* popping from @done, cleaning what is on a list */

	spinlock_t lock;		/* the rest */
	struct list_head queue;
	struct list_head active;
	struct list_head done;
	struct list_head takers;
	struct list_head late;
	unsigned int depth;
	unsigned int outstanding;
	int err;
	bool closed;
	bool watching;
	bool sweeping;
	u64 watch_at;
	wait_queue_head_t wq;
	struct delayed_work watch;
	struct delayed_work janitor;
};

struct zcdma_session *zcdma_session_create(void);
void zcdma_session_close(struct zcdma_session *session);
void zcdma_session_get(struct zcdma_session *session);
void zcdma_session_put(struct zcdma_session *session);
struct zcdma_chan *zcdma_session_chan(struct zcdma_session *session);
void zcdma_session_info(struct zcdma_session *session, struct zcdma_get_info *info);
int zcdma_session_attach(struct zcdma_session *session, struct zcdma_attach *how);
int zcdma_session_cancel(struct zcdma_session *session, struct zcdma_cancel *what);
ssize_t zcdma_session_read(struct zcdma_session *session, char __user *buf, size_t size,
			   bool nonblock);
__poll_t zcdma_session_poll(struct zcdma_session *session, struct file *file, poll_table *pt);
void zcdma_session_sweep(struct zcdma_session *session);
void zcdma_session_wait_gone(void);

/* ---- queue.c: the way of requests through their session ---- */

int zcdma_queue_reserve(struct zcdma_session *session);
void zcdma_queue_unreserve(struct zcdma_session *session);
int zcdma_queue_add(struct zcdma_session *session, struct zcdma_request *req);
bool zcdma_queue_cut(struct zcdma_session *session, struct zcdma_slot *slot);
void zcdma_piece_split(struct zcdma_slot *slot, struct zcdma_slot *rest, size_t len);
void zcdma_piece_done(struct zcdma_slot *slot, struct zcdma_request *req, u32 flags);
void zcdma_piece_failed(struct zcdma_slot *slot, struct zcdma_request *req, u32 flags);
void zcdma_piece_back(struct zcdma_slot *slot, struct zcdma_request *req);
int zcdma_queue_cancel(struct zcdma_session *session, struct zcdma_cancel *what);
void zcdma_queue_fail(struct zcdma_session *session, int err);
void zcdma_taker_begin(struct zcdma_session *session, struct zcdma_taker *taker, bool collect);
void zcdma_taker_clean(struct zcdma_session *session, struct zcdma_taker *taker);
void zcdma_taker_dispose(struct zcdma_session *session, struct zcdma_taker *taker,
			 unsigned int nr);
void zcdma_taker_end(struct zcdma_session *session, struct zcdma_taker *taker);
bool zcdma_queue_idle(struct zcdma_session *session);
void zcdma_queue_watch(struct work_struct *work);
void zcdma_queue_report(struct zcdma_request *req, struct zcdma_completion *out);

/* ---- submit.c: SUBMIT ---- */

int zcdma_submit(struct zcdma_session *session, struct zcdma_submit *what);

#endif
