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
 * Those of ports and streams are in port.h, which comes with this file.
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

#define ZCDMA_MAX_CHANNELS		16

/* Descriptors that a channel may hold. Also what one session can make another wait for. */
#define ZCDMA_WINDOW			32	/* bits of a u32 */

/* Longest piece of a session with several channels: so that they share a large op. */
#define ZCDMA_STRIPE			SZ_256K

/*
 * A registered op up to this length is finished in the completion callback, with
 * interrupts off: synchronized, and its edges moved by the CPU. Longer ones are
 * finished by whoever takes the completion.
 */
#define ZCDMA_QUICK			SZ_64K

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
struct io_uring_cmd;
struct zcdma_session;
struct zcdma_request;
struct zcdma_chan;
struct zcdma_slave;
struct zcdma_port_use;

/* ---- mem.c: memory that an engine may reach ---- */

/* Pages and segments that fit here need no allocation: up to 4 KiB at any offset. */
#define ZCDMA_INLINE			2

/**
 * struct zcdma_mem - pages of a user (or one page of ours), mapped for DMA or not
 * @pages: page list; @inline_pages when they fit.
 * @nr_pages: how many.
 * @offset: of the first byte in the first page.
 * @pinned: they are a user's and pinned; otherwise they are our own.
 * @single: mapped as one piece, without a scatter-gather table.
 * @sync: mapped, and the CPU and the engine do not see the same without a sync.
 * @dir: which way the engine moves.
 * @sgt: what the device sees of the mapped part; no entries when not mapped.
 */
struct zcdma_mem {
	struct page **pages;
	unsigned int nr_pages;
	unsigned int offset;
	bool pinned;
	bool single;
	bool sync;
	enum dma_data_direction dir;
	struct sg_table sgt;
	struct page *inline_pages[ZCDMA_INLINE];
	struct scatterlist inline_sg[ZCDMA_INLINE];
};

/* No memory: what zcdma_mem_release() leaves behind, and takes. */
static inline void zcdma_mem_reset(struct zcdma_mem *mem)
{
	mem->pages = NULL;
	mem->nr_pages = 0;
	mem->pinned = false;
	mem->single = false;
	mem->sync = false;
	mem->sgt.sgl = NULL;
}

/* Where a walk along a mapped list stands. */
struct zcdma_cursor {
	struct scatterlist *sg;
	size_t offset;
};

static inline dma_addr_t zcdma_cursor_addr(const struct zcdma_cursor *at)
{
	return sg_dma_address(at->sg) + at->offset;
}

static inline size_t zcdma_cursor_left(const struct zcdma_cursor *at)
{
	return sg_dma_len(at->sg) - at->offset;
}

/* Is it one piece from there: in one segment, and not cut by a boundary, given as a mask? */
static inline bool zcdma_cursor_is_piece(const struct zcdma_cursor *at, size_t len, u64 boundary)
{
	dma_addr_t addr = zcdma_cursor_addr(at);

	return at->offset + len <= sg_dma_len(at->sg) && !((addr ^ (addr + len - 1)) & ~boundary);
}

void zcdma_cursor_settle(struct zcdma_cursor *at);

/* Forward by @len bytes, at most to the end of the list. */
static inline void zcdma_cursor_advance(struct zcdma_cursor *at, size_t len)
{
	at->offset += len;
	if (at->offset >= sg_dma_len(at->sg))
		zcdma_cursor_settle(at);
}

/* How many of @len bytes (not 0) at @addr do not cross a boundary, given as a mask. */
static inline size_t zcdma_within(u64 boundary, u64 addr, size_t len)
{
	return min_t(u64, len - 1, boundary - (addr & boundary)) + 1;
}

/* Pages that @len bytes at @addr touch. The caller has checked that they do not wrap. */
static inline unsigned long zcdma_mem_span(u64 addr, u64 len)
{
	return (offset_in_page(addr) + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

int zcdma_charge(const struct cred *cred, unsigned long pages);
void zcdma_uncharge(const struct cred *cred, unsigned long pages);
int zcdma_mem_pin(struct zcdma_mem *mem, u64 addr, size_t len, enum dma_data_direction dir,
		  unsigned int flags);
int zcdma_mem_pattern(struct zcdma_mem *mem, u8 byte);
void zcdma_mem_release(struct zcdma_mem *mem, bool written);
int zcdma_mem_map(struct zcdma_mem *mem, struct zcdma_chan *chan, size_t start, size_t len);
void zcdma_mem_unmap(struct zcdma_mem *mem, struct zcdma_chan *chan);
void zcdma_mem_to_device(struct zcdma_mem *mem, struct zcdma_chan *chan);
void zcdma_mem_to_cpu(struct zcdma_mem *mem, struct zcdma_chan *chan);
void zcdma_part_to_device(struct zcdma_chan *chan, struct zcdma_cursor at, size_t len,
			  enum dma_data_direction dir);
void zcdma_part_to_cpu(struct zcdma_chan *chan, struct zcdma_cursor at, size_t len);

/* Parts of a segment that follow each other, to be synchronized at once. */
struct zcdma_stretch {
	struct zcdma_cursor at;		/* the first begins; no segment: there are none */
	size_t end;			/* of the last, in that segment */
};

/* Return: false if it does not follow. */
static inline bool zcdma_stretch_on(struct zcdma_stretch *stretch, const struct zcdma_cursor *at,
				    size_t len)
{
	if (stretch->at.sg != at->sg || stretch->end != at->offset)
		return false;
	stretch->end += len;
	return true;
}

static inline void zcdma_stretch_begin(struct zcdma_stretch *stretch,
				       const struct zcdma_cursor *at, size_t len)
{
	stretch->at = *at;
	stretch->end = at->offset + len;
}

static inline size_t zcdma_stretch_len(const struct zcdma_stretch *stretch)
{
	return stretch->end - stretch->at.offset;
}

void zcdma_mem_copy(struct zcdma_mem *dst, size_t to, struct zcdma_mem *src, size_t from,
		    size_t len);
void zcdma_mem_fill(struct zcdma_mem *dst, u8 byte, size_t start, size_t len);

/* ---- buffer.c: memory registered with a session ---- */

/**
 * struct zcdma_buffer - memory registered with a session
 * @mem: pinned, and mapped as long as @mapped says so.
 * @pages: where byte 0 of each of its pages is in the mapped list, or would be: the
 *	first page's may be before its begin.
 * @addr: user address at the time of the registration, without a tag.
 * @len: in bytes.
 * @cred: whose user is charged for @charged pages.
 * @read_only: no op may write to it.
 * @mapped: counted in device->mapped. Under session->reaping.
 * @users: requests that name it and are not cleaned up. Under session->lock.
 */
struct zcdma_buffer {
	struct zcdma_mem mem;
	struct zcdma_cursor *pages;
	u64 addr;
	size_t len;
	const struct cred *cred;
	unsigned long charged;
	bool read_only;
	bool mapped;
	unsigned int users;
};

int zcdma_buffer_register(struct zcdma_session *session, struct zcdma_register_buffer *what);
int zcdma_buffer_unregister(struct zcdma_session *session,
			    const struct zcdma_unregister_buffer *what);
int zcdma_buffers_find(struct zcdma_session *session, struct list_head *batch,
		       struct list_head *rest);

/* Where byte @start of a mapped buffer is in the mapped list. */
static inline void zcdma_buffer_seek(const struct zcdma_buffer *buffer, size_t start,
				     struct zcdma_cursor *at)
{
	size_t first = buffer->mem.offset + start;

	*at = buffer->pages[first >> PAGE_SHIFT];
	zcdma_cursor_advance(at, offset_in_page(first));
}

/* The same for a part of @len bytes. Return: is that one piece? */
static inline bool zcdma_buffer_piece(const struct zcdma_buffer *buffer, size_t start, size_t len,
				      u64 boundary, struct zcdma_cursor *at)
{
	size_t first = buffer->mem.offset + start;
	const struct zcdma_cursor *page = &buffer->pages[first >> PAGE_SHIFT];

	at->sg = page->sg;
	at->offset = page->offset + offset_in_page(first);
	return zcdma_cursor_is_piece(at, len, boundary);
}

void zcdma_buffers_unmap(struct zcdma_session *session);
void zcdma_buffers_release(struct zcdma_session *session);

/* ---- copy.c: one request ---- */

/*
 * Somebody takes completions: read(), or a SUBMIT that waits. On the stack of the
 * taker, and known to the session when it is dirty, because what is on its way to user
 * memory may have to be cleaned up meanwhile. Under session->lock.
 */
struct zcdma_taker {
	struct list_head node;		/* session->takers, when dirty */
	struct list_head done;		/* finished, and nobody else's */
	bool collect;			/* what finishes comes to @done; else to read() */
	bool dirty;			/* some of it was not clean when it came */
	bool cleaned;			/* and is now, as all of it is */
	unsigned int left;		/* requests that point here, not finished */
	struct completion all;		/* @left has dropped to 0 */
};

/**
 * struct zcdma_request - an op's kernel-side life
 * @node: in session->queue, then ->active, then ->done (or ->rings, or taker->done),
 *	perhaps ->late; in session->spares when it is none.
 * @session: lives as long as the request does.
 * @taker: the SUBMIT that waits for it, or NULL.
 * @uring: the io_uring command that gets the completion, or NULL.
 * @flight: the same for all that a ring handed in together, and for no others; or 0.
 * @slave: the direction of a port that it is for, or NULL. See slave.c.
 * @fifo: in slave->waiting.
 * @op: what the user wrote.
 * @index: the op's place in its SUBMIT.
 * @pending: pieces handed out and not yet given back; at a port, 1 while it has its turn.
 * @deadline: on the monotonic clock, in ns. Not in jiffies: a tick may come late.
 * @own: @src, @dst, @cred and @charged hold something: not all of the memory is registered.
 * @mapped: @src and @dst are mapped for DMA; counted in device->mapped.
 * @fills: the engine fills by itself; otherwise a fill copies from a page of the pattern.
 * @whole: a copy of which nothing cuts the body, but a limit that the engine may yet
 *	show. @src_at and @dst_at stay at its begin.
 * @quick: can be cleaned up in any context. If it is @whole as well, the body is all of it.
 * @clean: cleaned up: the completion is ready to be read.
 * @finished: it has its one completion.
 * @res: 0 or what went wrong first.
 * @flags: &enum zcdma_done_flags so far.
 * @epoch: the session's, before memory was made ready for the engine.
 * @head: bytes before the part that the engine moves; the CPU moves them.
 * @body: bytes that the engine moves; the CPU moves the rest. See copy.c.
 * @next: first byte of the body that was not handed out yet, counted from @head; at a
 *	port, of the op, as the next.
 * @failed_at: first byte of the body that is not certainly there.
 * @src_at: where the next piece begins in the source.
 * @dst_at: the same in the target.
 * @src_buffer: registered memory that the source is in, or NULL: then it is @src.
 * @dst_buffer: the same for the target.
 * @cred: whose user is charged for @charged pages.
 * @src: source, unless it is registered.
 * @dst: target, unless it is registered.
 */
struct zcdma_request {
	struct list_head node;
	struct zcdma_session *session;
	struct zcdma_taker *taker;
	struct io_uring_cmd *uring;
	u64 flight;
	struct zcdma_slave *slave;
	struct list_head fifo;
	struct zcdma_op op;
	unsigned int index;
	unsigned int pending;
	u64 deadline;
	bool own;
	bool mapped;
	bool fills;
	bool whole;
	bool quick;
	bool clean;
	bool finished;
	s32 res;
	u32 flags;
	u32 epoch;
	size_t head;
	size_t body;
	size_t next;
	size_t failed_at;
	struct zcdma_cursor src_at;
	struct zcdma_cursor dst_at;
	struct zcdma_buffer *src_buffer;
	struct zcdma_buffer *dst_buffer;
	const struct cred *cred;
	unsigned long charged;
	struct zcdma_mem src;
	struct zcdma_mem dst;
};

enum zcdma_slot_back {
	ZCDMA_SLOT_OUT,			/* the engine has it */
	ZCDMA_SLOT_DONE,
	ZCDMA_SLOT_BAD,			/* the engine says that it went wrong */
};

/* One descriptor: a piece of a request, on its way to the engine or at it. */
struct zcdma_slot {
	struct list_head node;		/* chan->parked */
	struct zcdma_chan *chan;
	struct zcdma_request *req;	/* NULL when settled: a late callback finds nothing */
	struct zcdma_slot *first;	/* of its bunch */
	u32 bunch;			/* of the first: the slots that come back together */
	atomic_t left;			/* of the first: those that have not come back */
	u32 back;			/* &enum zcdma_slot_back; set by the callback */
	u32 bit;			/* in chan->free and ->inflight */
	u32 turn;			/* the younger, the larger */
	size_t offset;			/* in the request's body */
	size_t len;
	dma_addr_t src;
	dma_addr_t dst;
};

struct zcdma_request *zcdma_request_alloc(gfp_t gfp);
int zcdma_request_pin(struct zcdma_request *req, u64 now);

/* Of a batch that the engine may have: how many they are, and the first deadline. */
struct zcdma_ready {
	unsigned int nr;
	u64 deadline;
};

int zcdma_requests_map(struct zcdma_session *session, struct list_head *batch,
		       struct list_head *rest, struct zcdma_ready *ready);
void zcdma_request_clean(struct zcdma_request *req);
void zcdma_request_free(struct zcdma_request *req);
void zcdma_request_conclude(struct zcdma_request *req);
void zcdma_request_cut_some(struct zcdma_request *req, struct zcdma_slot *slot);
void zcdma_request_rewind(struct zcdma_request *req, size_t offset);
int zcdma_request_init(void);
void zcdma_request_exit(void);

/* As new, but for the list that it is on, and the op. */
static inline void zcdma_request_reset(struct zcdma_request *req,
				       struct zcdma_session *session)
{
	req->session = session;
	req->taker = NULL;
	req->uring = NULL;
	req->flight = 0;
	req->slave = NULL;
	req->pending = 0;
	req->mapped = false;
	req->own = false;
	req->fills = false;
	req->whole = false;
	req->quick = false;
	req->clean = false;
	req->finished = false;
	req->res = 0;
	req->flags = 0;
	req->head = 0;
	req->body = 0;
	req->next = 0;
	req->failed_at = SIZE_MAX;
	req->src_buffer = NULL;
	req->dst_buffer = NULL;
}

/* Bytes at the start of the target that are certainly there; see the uapi header. */
static inline u64 zcdma_request_done(const struct zcdma_request *req)
{
	if (!req->res)
		return req->op.len;
	if (req->slave)
		return req->failed_at;
	return req->head ? 0 : min(req->failed_at, req->next);
}

/* ---- device.c: what is behind channels ---- */

/**
 * struct zcdma_device - the device that channels belong to
 * @node: in a list of all.
 * @refs: the channels.
 * @provider: the device whose driver may be unbound.
 * @mapped: requests and buffers with DMA mappings: while not 0 the provider must not go.
 * @idle: woken when @mapped drops to 0.
 */
struct zcdma_device {
	struct list_head node;
	refcount_t refs;
	struct device *provider;
	atomic_t mapped;
	wait_queue_head_t idle;
};

struct zcdma_device *zcdma_device_get(struct device *provider);
void zcdma_device_put(struct zcdma_device *device);
int zcdma_device_mapping(struct zcdma_session *session, struct zcdma_chan *chan);
void zcdma_device_unmapped(struct zcdma_device *device);
void zcdma_device_drain(struct device *provider);

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
 * @device: whose channel it is; for all of a device the same.
 * @exclusive: one session has it for itself. Under zcdma_registry, as the next three.
 * @lanes: the places of its sessions. Changed under @lock as well.
 * @sessions: how many.
 * @toured: see walk() in chan.c.
 * @caps: &enum zcdma_cap.
 * @done_flags: &enum zcdma_done_flags of a piece that it has moved.
 * @inline_refill: prep may be called from the completion callback.
 * @copy_align: in bytes, as the rest.
 * @fill_align: of the engine's own fill.
 * @copy_edge: what a target must be aligned to that has no edges.
 * @line: what the CPU and the engine must not share at the edges of a target.
 * @max_seg: longest segment to map.
 * @boundary: mask of addresses that a piece must not cross.
 * @lock: protects what follows.
 * @state: see there.
 * @pumping: one context is handing pieces to the engine.
 * @again: it must look once more before it ends.
 * @ready: lanes of the sessions that have something, in turn.
 * @parked: pieces that the engine had no room for.
 * @free: slots with no piece, a bit each.
 * @inflight: slots of bunches with pieces at the engine, a bit each.
 * @turn: of the next piece to be cut.
 * @window: the slots.
 * @retired: windows in which a callback may still arrive, until the release.
 * @max_piece: longest piece the engine is known to take.
 * @halved_to: length of the piece that is being tried after a longer was refused.
 * @refused: how often in a row the idle engine refused the smallest piece.
 * @progress: when the engine last finished something or was given work while idle.
 * @refill: hands out more where the callback cannot.
 * @close: gives the channel back when the engine is done, where it cannot be stopped.
 * @idle: woken when the pump ends or the engine runs empty.
 * @stopping: one at a time stops the engine.
 */
struct zcdma_chan {
	struct kref ref;
	struct rcu_head rcu;
	struct list_head node;
	struct dma_chan *dma;
	struct device *dev;
	struct zcdma_device *device;

	bool exclusive;
	struct list_head lanes;
	unsigned int sessions;
	bool toured;

	u32 caps;
	u32 done_flags;
	bool inline_refill;
	u32 copy_align;
	u32 fill_align;
	u32 copy_edge;
	u32 line;
	size_t max_seg;
	u64 boundary;

	spinlock_t lock;		/* the rest, but for @stopping */
	enum zcdma_chan_state state;
	bool pumping;
	bool again;
	struct list_head ready;
	struct list_head parked;
	u32 free;
	u32 inflight;
	u32 turn;
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
	struct zcdma_chan *chan;
};

extern struct mutex zcdma_registry;
extern struct workqueue_struct *zcdma_wq;

int zcdma_chan_query(struct zcdma_chan *only, struct zcdma_query_channel *query);
int zcdma_chan_join(struct zcdma_lane *lanes, struct zcdma_attach *how);
void zcdma_chan_leave(struct zcdma_lane *lanes, unsigned int nr);
void zcdma_chan_put(struct zcdma_chan *chan);
void zcdma_chan_lose(struct zcdma_chan *chan);
bool zcdma_chan_peek(const char *name, struct zcdma_query_channel *query);
struct zcdma_chan *zcdma_chan_take(struct zcdma_lane *lane, struct zcdma_chan **to,
				   struct dma_chan *(*request)(void *arg), void *arg);
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
unsigned int zcdma_chan_run(struct zcdma_chan *chan, struct zcdma_lane *lane, unsigned int budget);
bool zcdma_chan_idle(struct zcdma_chan *chan);
void zcdma_chan_unpark(struct zcdma_chan *chan);
bool zcdma_chan_expire(struct zcdma_chan *chan);
void zcdma_chan_shut(struct zcdma_chan *chan);

static inline void zcdma_chan_pump(struct zcdma_chan *chan)
{
	zcdma_chan_run(chan, NULL, UINT_MAX);
}

static inline bool zcdma_chan_has_more(const struct zcdma_chan *chan)
{
	return !list_empty(&chan->parked) || !list_empty(&chan->ready);
}

/* ---- callbacks, of copies, ops at a port and streams ---- */

/*
 * Some providers use a descriptor again, for whoever comes next, and do not clear
 * "callback_result" (pl330, whose channels share them): a client that sets just
 * "callback" then has ours called with its parameter. So only those get it who
 * have something to say.
 */
static inline void zcdma_set_callback(const struct zcdma_chan *chan,
				      struct dma_async_tx_descriptor *desc,
				      dma_async_tx_callback_result reported,
				      dma_async_tx_callback done, void *param)
{
	if (chan->done_flags & ZCDMA_DONE_REPORTED) {
		desc->callback_result = reported;
	} else {
		desc->callback_result = NULL;
		desc->callback = done;
	}
	desc->callback_param = param;
}

static inline bool zcdma_is_bad(const struct dmaengine_result *result)
{
	return result && result->result != DMA_TRANS_NOERROR;
}

/* ---- bunch.c: what comes back from the engine ---- */

void zcdma_bunches_make(struct zcdma_slot **slots, unsigned int nr);
void zcdma_bunch_leave(struct zcdma_slot *slot);
void zcdma_slot_done(void *slot);
void zcdma_slot_reported(void *slot, const struct dmaengine_result *result);
void zcdma_slots_settle(struct zcdma_chan *chan, u32 slots, bool put);
void zcdma_chan_settle(struct zcdma_chan *chan);

/* ---- session.c: an open file ---- */

/**
 * struct zcdma_session - an open file
 * @ref: the file, until nothing of it is left at the engine; each work that is pending.
 * @attaching: one ATTACH at a time.
 * @chan: set once by ATTACH, with release semantics. Of several, the first: all
 *	are of one device, so memory mapped for one is mapped for each. Of a port, one.
 * @lanes: its places, one at each of its channels.
 * @nr_lanes: how many.
 * @port: in place of @lanes, set by ATTACH_PORT; see zcdma_port_use().
 * @deadline_ms: of ops that name none.
 * @reaping: one at a time takes completions and cleans up.
 * @buffers: registered memory, by id - 1, with holes. Changed under @reaping.
 * @nr_buffers: places there.
 * @flights: of its requests; see there.
 * @lock: protects what follows.
 * @queue: requests with pieces to hand out, oldest first.
 * @active: all pieces handed out, or no more to be.
 * @done: finished, not read yet.
 * @rings: finished, on the way to an io_uring.
 * @takers: who takes completions just now that are not clean; those are swept as well.
 * @late: read, and the engine, which cannot be stopped, still has pieces.
 * @spares: requests to be used again; with registered buffers, as many as there
 *	can be.
 * @nr_spares: how many.
 * @depth: most that may be outstanding.
 * @outstanding: accepted and not yet reaped.
 * @dirty: finished and not cleaned up.
 * @err: 0, or why no more ops are taken.
 * @closed: nobody will read; the janitor cleans up at once.
 * @left: closed, and at no channel any more.
 * @over: and nothing of it is at an engine: the file's reference has been put.
 * @stocked: @spares were filled up.
 * @blocked: a barrier waits for what is before it.
 * @epoch: barriers that have begun.
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
	struct zcdma_lane *lanes;
	unsigned int nr_lanes;
	struct zcdma_port_use *port;
	u32 deadline_ms;
	struct mutex reaping;		/* popping from @done, cleaning what is on a list */
	struct zcdma_buffer **buffers;	/* changed under @lock as well */
	unsigned int nr_buffers;
	atomic64_t flights;

	spinlock_t lock;		/* the rest */
	struct list_head queue;
	struct list_head active;
	struct list_head done;
	struct list_head rings;
	struct list_head takers;
	struct list_head late;
	struct list_head spares;
	unsigned int nr_spares;
	unsigned int depth;
	unsigned int outstanding;
	unsigned int dirty;
	int err;
	bool closed;
	bool left;
	bool over;
	bool stocked;
	bool blocked;
	u32 epoch;
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
struct zcdma_chan *zcdma_session_nth_chan(struct zcdma_session *session, u32 nr);
void zcdma_session_info(struct zcdma_session *session, struct zcdma_get_info *info);
int zcdma_session_attach(struct zcdma_session *session, struct zcdma_attach *how);
int zcdma_session_cancel(struct zcdma_session *session, struct zcdma_cancel *what);
ssize_t zcdma_session_read(struct zcdma_session *session, char __user *buf, size_t size,
			   bool nonblock);
__poll_t zcdma_session_poll(struct zcdma_session *session, struct file *file, poll_table *pt);
void zcdma_session_deal(struct zcdma_session *session);
void zcdma_session_sweep(struct zcdma_session *session);
void zcdma_session_wait_gone(void);

/* The session's channel, or one of its port's; NULL before ATTACH or ATTACH_PORT. */
static inline struct zcdma_chan *zcdma_session_chan(struct zcdma_session *session)
{
	/* Pairs with attach_locked(). */
	return smp_load_acquire(&session->chan);
}

/**
 * zcdma_session_kick() - the session has something to hand out
 * @session: attached.
 *
 * In any context where the provider's prep may be called.
 */
static inline void zcdma_session_kick(struct zcdma_session *session)
{
	if (session->nr_lanes == 1)
		zcdma_chan_run(session->lanes->chan, session->lanes, UINT_MAX);
	else
		zcdma_session_deal(session);
}

/* ---- what nearly every op goes through, in whole or in part ---- */

/* Move the requests from @req on to @rest, before what is there. */
static inline void zcdma_cut_off(struct list_head *batch, struct zcdma_request *req,
				 struct list_head *rest)
{
	list_bulk_move_tail(rest->next, &req->node, batch->prev);
}

/* A copy of registered memory, with nothing special: nothing else is wrong with it, either. */
static inline bool zcdma_op_is_simple(const struct zcdma_op *op)
{
	u32 opcode;	/* and __reserved0 */

	BUILD_BUG_ON(offsetofend(struct zcdma_op, __reserved0) != sizeof(opcode));
	memcpy(&opcode, op, sizeof(opcode));
	return opcode == (__force u32)cpu_to_le32(ZCDMA_OP_COPY) &&
	       !(op->flags | op->deadline_ms | op->__reserved1 | op->__reserved2) &&
	       op->src_buffer && op->dst_buffer && op->len - 1 < ZCDMA_MAX_LEN &&
	       (op->src | op->dst) <= S64_MAX;
}

/* Check the op, and pin what is to be pinned. See zcdma_request_pin(). */
static inline int zcdma_request_begin(struct zcdma_request *req, u64 now)
{
	if (!zcdma_op_is_simple(&req->op) || !req->session->nr_lanes)
		return zcdma_request_pin(req, now);
	req->deadline = now + req->session->deadline_ms * (u64)NSEC_PER_MSEC;
	return 0;
}

void zcdma_slave_put(struct zcdma_request *req);

/* Ops need them no more, nor the port. Under session->lock. */
static inline void zcdma_buffers_put(struct zcdma_request *req)
{
	struct zcdma_buffer *dst = req->dst_buffer, *src = req->src_buffer;
	struct zcdma_session *session = req->session;
	bool last = false;

	if (req->slave)
		zcdma_slave_put(req);
	if (dst && !--dst->users)
		last = true;
	if (src && !--src->users)
		last = true;
	if (last && session->err)
		wake_up(&session->wq);
}

/* The next piece of a body that has some left. Under session->lock. Return: is it the last? */
static inline bool zcdma_request_cut(struct zcdma_session *session, struct zcdma_request *req,
				     const struct zcdma_chan *chan, struct zcdma_slot *slot)
{
	slot->req = req;
	if (!req->whole || req->body > chan->max_piece || req->epoch != session->epoch) {
		zcdma_request_cut_some(req, slot);
		return req->next == req->body;
	}
	slot->offset = 0;
	slot->dst = zcdma_cursor_addr(&req->dst_at);
	slot->src = zcdma_cursor_addr(&req->src_at);
	slot->len = req->body;
	req->next = req->body;
	req->pending = 1;
	return true;
}

/* ---- spare.c: spare requests, and places in the queue ---- */

int zcdma_queue_stock(struct zcdma_session *session);
int zcdma_queue_reserve(struct zcdma_session *session, unsigned int want,
			struct list_head *batch);
void zcdma_queue_return(struct zcdma_session *session, struct list_head *batch);
void zcdma_spare_store(struct zcdma_session *session, struct zcdma_request *req);
void zcdma_spares_thin_out(struct zcdma_session *session);

/* Without session->lock it may be wrong in a moment. */
static inline bool zcdma_spares_too_many(const struct zcdma_session *session)
{
	return READ_ONCE(session->nr_spares) >
	       (READ_ONCE(session->stocked) ? session->depth : ZCDMA_WINDOW);
}

/* There is room for writers, and perhaps nothing more to wait for. */
static inline void zcdma_queue_wake_writers(struct zcdma_session *session)
{
	if (wq_has_sleeper(&session->wq))
		wake_up_poll(&session->wq, EPOLLIN | EPOLLOUT | EPOLLWRNORM);
}

/* Requests have become spares, perhaps too many. Without session->lock. */
static inline void zcdma_places_freed(struct zcdma_session *session)
{
	if (zcdma_spares_too_many(session))
		zcdma_spares_thin_out(session);
	zcdma_queue_wake_writers(session);
}

/* ---- queue.c: the way of requests through their session ---- */

unsigned int zcdma_queue_cut(struct zcdma_session *session, struct zcdma_chan *chan,
			     unsigned int max, struct zcdma_slot **slots);
void zcdma_piece_split(struct zcdma_slot *slot, struct zcdma_slot *rest, size_t len);
void zcdma_pieces_done(struct zcdma_request **reqs, unsigned int nr, u32 flags);
void zcdma_piece_failed(struct zcdma_slot *slot, struct zcdma_request *req, u32 flags);
void zcdma_piece_back(struct zcdma_slot *slot, struct zcdma_request *req);
int zcdma_queue_cancel(struct zcdma_session *session, struct zcdma_cancel *what);
void zcdma_queue_fail(struct zcdma_session *session, int err);
bool zcdma_queue_idle(struct zcdma_session *session);
void zcdma_queue_arm_janitor(struct zcdma_session *session);
void zcdma_queue_watch_from(struct zcdma_session *session, u64 deadline);
void zcdma_queue_wake_readers(struct zcdma_session *session);
void zcdma_request_finish(struct zcdma_request *req);
void zcdma_request_fail(struct zcdma_request *req, int err);

/* ---- taker.c: completions on their way out ---- */

void zcdma_taker_clean_all(struct zcdma_session *session, struct zcdma_taker *taker);
void zcdma_taker_dispose(struct zcdma_session *session, struct zcdma_taker *taker,
			 unsigned int nr, bool all);
void zcdma_ring_dispose(struct zcdma_request *req, struct zcdma_completion *out);
void zcdma_taker_let_go(struct zcdma_session *session, struct zcdma_taker *taker);

/**
 * zcdma_taker_begin() - take completions
 * @taker: on the caller's stack, until zcdma_taker_end().
 * @collect: requests that point to it are for it and not for read().
 */
static inline void zcdma_taker_begin(struct zcdma_taker *taker, bool collect)
{
	taker->collect = collect;
	taker->dirty = false;
	taker->cleaned = false;
	taker->left = 0;
	INIT_LIST_HEAD(&taker->done);
	init_completion(&taker->all);
}

/**
 * zcdma_taker_clean() - clean up after what has finished for a taker
 * @session: the session.
 * @taker: none of its requests is unfinished.
 *
 * To be done before any user memory is touched: an unbind may wait for it.
 */
static inline void zcdma_taker_clean(struct zcdma_session *session, struct zcdma_taker *taker)
{
	if (taker->dirty)
		zcdma_taker_clean_all(session, taker);
}

/**
 * zcdma_taker_end() - be no taker any more
 * @session: the session.
 * @taker: not pointed at afterwards. What was not disposed of comes by read().
 */
static inline void zcdma_taker_end(struct zcdma_session *session, struct zcdma_taker *taker)
{
	/*
	 * The usual case: all was disposed of, after it had come. Who brought the last of
	 * it is done with the taker then, because disposing takes the lock.
	 */
	if (!taker->collect || smp_load_acquire(&taker->left) || taker->dirty ||
	    !list_empty(&taker->done))
		zcdma_taker_let_go(session, taker);
}

/* What it has, or is getting, is not clean. Under session->lock. */
static inline void zcdma_taker_dirty(struct zcdma_session *session, struct zcdma_taker *taker)
{
	if (!taker->dirty)
		list_add(&taker->node, &session->takers);
	taker->dirty = true;
}

/* The completion of a request: finished; clean, unless the engine still has pieces of it. */
static inline void zcdma_queue_report(struct zcdma_request *req, struct zcdma_completion *out)
{
	out->user_data = req->op.user_data;
	/* What the engine still has is not certain, nor is what comes after it. */
	out->done = READ_ONCE(req->pending) ? 0 : zcdma_request_done(req);
	out->res = req->res;
	out->flags = req->flags;
	out->__reserved = 0;
}

/* ---- deadline.c ---- */

void zcdma_queue_watch(struct work_struct *work);

/* ---- submit.c: SUBMIT ---- */

int zcdma_submit(struct zcdma_session *session, struct zcdma_submit *what);
int zcdma_submit_batch(struct zcdma_session *session, struct list_head *batch,
		       struct list_head *rest);
void zcdma_submit_cancel(struct list_head *batch);
void zcdma_submit_drop(struct zcdma_session *session, struct list_head *batch);

/* ---- uring.c: io_uring commands ---- */

int zcdma_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
void zcdma_uring_finished(struct zcdma_request *req);
void zcdma_uring_flight_done(struct zcdma_request *req, unsigned int nr);

#include "port.h"

#endif
