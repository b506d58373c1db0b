/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ports and streams: the private structs. See zcdma.h for all the rest.
 *
 * Lock order: zcdma_registry, then
 *
 *   use->engine	mutex	calls of the provider, mappings for DMA
 *   stream->lock	spin	where head and tail are
 *
 * and outside of both, because user memory is touched under it:
 *
 *   stream->user	mutex	one reader or writer at a time
 *
 * As with channels, the spinlock is not held while a provider is called. Ops at a port
 * (slave.c) are under session->lock.
 */
#ifndef _ZCDMA_PORT_H
#define _ZCDMA_PORT_H

struct iov_iter;
struct pid;
struct pipe_inode_info;

enum zcdma_way {
	ZCDMA_WAY_TX,
	ZCDMA_WAY_RX,
	ZCDMA_WAYS,
};

/**
 * struct zcdma_port - a device at a channel
 * @node: in the list of ports. Under zcdma_registry, as all of it.
 * @name: unique.
 * @dev: of the device tree's node; NULL when root has declared the port.
 * @chan: names of its channels; for a declared port.
 * @has: it goes that way.
 * @width: of the register, in bytes.
 * @data: bytes of a word that carry data.
 * @burst: words at a request.
 * @reg: address of the register, as the engine's driver wants it.
 * @user: the session that has it, or NULL.
 * @owner: who attached that.
 * @owner_name: its command.
 */
struct zcdma_port {
	struct list_head node;
	char name[ZCDMA_NAME_LEN];
	struct device *dev;
	char chan[ZCDMA_WAYS][ZCDMA_NAME_LEN];
	bool has[ZCDMA_WAYS];
	u32 width;
	u32 data;
	u32 burst;
	phys_addr_t reg;
	struct zcdma_session *user;
	struct pid *owner;
	char owner_name[TASK_COMM_LEN];
};

/* Segments of a piece, and pieces that an engine has at a time: one that it moves, one next. */
#define ZCDMA_SLAVE_SEGS	32
#define ZCDMA_SLAVE_PIECES	2

/**
 * struct zcdma_slave_piece - a descriptor, a part of an op
 * @slave: whose.
 * @at_engine: or on its way there. The rest has no meaning otherwise.
 * @alone: no other was there when it was made.
 * @start: its first byte in the op.
 * @len: in bytes.
 * @segs: how many.
 * @at: where it begins in the mapped list.
 * @cookie: the provider's.
 * @moved: bytes of it that were moved when the engine was stopped.
 */
struct zcdma_slave_piece {
	struct zcdma_slave *slave;
	bool at_engine;
	bool alone;
	size_t start;
	size_t len;
	unsigned int segs;
	struct zcdma_cursor at;
	dma_cookie_t cookie;
	size_t moved;
};

/**
 * struct zcdma_slave - a direction of a port, for ops
 * @session: whose.
 * @way: which.
 * @chan: its channel; NULL when the port does not go that way. Set once, as the next four.
 * @width: in bytes.
 * @fine: the engine's residue is finer than a descriptor.
 * @max_nr: pieces that it may have.
 * @edges: for the edges of a target, see slave.c; no pages where they need no care.
 * @sg: of the piece that is being handed over.
 * @users: ops that are for it and are not cleaned up. Under session->lock, as the rest.
 * @streaming: a stream has it.
 * @live: things may be handed to the engine. Changed under use->engine as well.
 * @pumping: one context is handing pieces to the engine.
 * @again: it must look once more.
 * @waiting: ops, oldest first.
 * @req: the one whose turn it is, or NULL.
 * @pieces: of that.
 * @nr: how many of them are at the engine.
 * @max_segs: segments that the engine takes at once, as far as is known.
 * @max_len: the same in bytes.
 * @refused: how often in a row it refused the smallest piece.
 * @idle: woken when the pump ends.
 */
struct zcdma_slave {
	struct zcdma_session *session;
	enum zcdma_way way;
	struct zcdma_chan *chan;
	u32 width;
	bool fine;
	unsigned int max_nr;
	struct zcdma_mem edges;
	struct scatterlist sg[ZCDMA_SLAVE_SEGS];
	unsigned int users;
	bool streaming;
	bool live;
	bool pumping;
	bool again;
	struct list_head waiting;
	struct zcdma_request *req;
	struct zcdma_slave_piece pieces[ZCDMA_SLAVE_PIECES];
	unsigned int nr;
	unsigned int max_segs;
	size_t max_len;
	unsigned int refused;
	wait_queue_head_t idle;
};

/**
 * struct zcdma_port_use - a session's port
 * @port: whose; to be looked at under zcdma_registry only, and while @port->user is
 *	the session.
 * @ready: the rest can be used. Set with release semantics.
 * @has: as the port's, and the next two.
 * @width: in bytes.
 * @config: for the channels.
 * @chans: the channels.
 * @lanes: the session's places there.
 * @engine: held around calls of the provider; who holds it and sees a channel that
 *	is not in @gone may use that.
 * @gone: channels that were lost. Under @engine.
 * @slaves: the directions, for ops.
 * @streams: set once, with release semantics.
 */
struct zcdma_port_use {
	struct zcdma_port *port;
	bool ready;
	bool has[ZCDMA_WAYS];
	u32 width;
	struct dma_slave_config config[ZCDMA_WAYS];
	struct zcdma_chan *chans[ZCDMA_WAYS];
	struct zcdma_lane lanes[ZCDMA_WAYS];
	struct mutex engine;		/* see above */
	bool gone[ZCDMA_WAYS];
	struct zcdma_slave slaves[ZCDMA_WAYS];
	struct zcdma_stream *streams[ZCDMA_WAYS];
};

/* ---- port.c ---- */

int zcdma_port_add(struct zcdma_port *port);
int zcdma_port_del(struct zcdma_port *port);
struct zcdma_port *zcdma_port_find(const char *name);
void zcdma_port_take_away(struct zcdma_port *port);
int zcdma_port_each(int (*fn)(struct zcdma_port *port, void *arg), void *arg);
int zcdma_port_attach(struct zcdma_session *session, struct zcdma_attach_port *how);
int zcdma_port_query(struct zcdma_query_port *query);
void zcdma_port_lost(struct zcdma_session *session, struct zcdma_chan *chan);
void zcdma_port_detach(struct zcdma_session *session);
void zcdma_port_free(struct zcdma_session *session);
bool zcdma_port_is_split(struct zcdma_session *session);
struct zcdma_chan *zcdma_port_nth_chan(struct zcdma_port_use *use, u32 nr);
struct zcdma_port_use *zcdma_port_use(struct zcdma_session *session);

/* ---- port_of.c: those of the device tree ---- */

#ifdef CONFIG_OF
int zcdma_port_of_init(void);
void zcdma_port_of_exit(void);
void zcdma_port_of_engine(struct zcdma_port *port, struct zcdma_query_port *query);
#else
static inline int zcdma_port_of_init(void)
{
	return 0;
}

static inline void zcdma_port_of_exit(void)
{
}

static inline void zcdma_port_of_engine(struct zcdma_port *port, struct zcdma_query_port *query)
{
}
#endif

/* ---- slave.c: ops at a port ---- */

int zcdma_slave_get(struct zcdma_request *req);
int zcdma_slave_fits(const struct zcdma_request *req, u64 addr);
int zcdma_slave_claim(struct zcdma_slave *s);
void zcdma_slave_unclaim(struct zcdma_slave *s);
void zcdma_slave_collect(struct zcdma_slave *s);
void zcdma_slave_kick(struct zcdma_session *session);

/* ---- slave_live.c: when they are handed to the engine ---- */

void zcdma_slave_init(struct zcdma_slave *s, struct zcdma_session *session, enum zcdma_way way);
int zcdma_slave_open(struct zcdma_slave *s, struct zcdma_chan *chan, u32 width);
void zcdma_slave_shut(struct zcdma_slave *s);
void zcdma_slave_look(struct zcdma_session *session);

/* ---- stream.c, ring.c ---- */

/* One period of a queued ring. */
struct zcdma_period {
	void *mem;
	dma_addr_t dma;
	u32 len;			/* of what is to be sent */
};

/**
 * struct zcdma_stream - a ring and its engine
 * @use: the port.
 * @chan: its channel.
 * @wq: the session's.
 * @way: which.
 * @cyclic: or queued.
 * @fine: the engine tells where it is, to the period.
 * @timeout: how long a read or a write waits, in jiffies.
 * @period: in bytes.
 * @nr: periods.
 * @cred: whose user is charged for @charged pages.
 * @charged: see there.
 * @mapped: memory is mapped for DMA. Under use->engine.
 * @ctl: the control page.
 * @mem: a cyclic ring's memory, in one piece.
 * @dma: its address.
 * @cookie: of the descriptor that goes round.
 * @periods: of a queued ring.
 * @hand: the period that the reader has taken out of it, or a spare one.
 * @hand_left: bytes of it that were not read yet. Under @user.
 * @given_away: pages of @hand are in a pipe: it must not come back into the ring.
 * @user: see above.
 * @shared: somebody may have the control page mapped.
 * @copied: as in the status. Under @user.
 * @lock: protects what follows.
 * @state: &enum zcdma_stream_state.
 * @head: periods put in.
 * @tail: periods taken out.
 * @given: periods given to the engine, of a queued ring.
 * @begun: the period that the engine of a cyclic sender had begun when the last was filled.
 * @calls: callbacks, of a cyclic one.
 * @lost: as in the status.
 * @moved: the same.
 * @xrun: a loss was not reported yet.
 * @offset: bytes of the period at @tail (receiver) or @head (sender) that the user is
 *	through with; of a queued receiver see @hand_left.
 * @pumping: one context is handing periods to the engine.
 * @again: it must look once more.
 * @idle: woken when the pump ends.
 */
struct zcdma_stream {
	struct zcdma_port_use *use;
	struct zcdma_chan *chan;
	wait_queue_head_t *wq;
	enum zcdma_way way;
	bool cyclic;
	bool fine;
	long timeout;
	u32 period;
	u32 nr;
	const struct cred *cred;
	unsigned long charged;
	bool mapped;
	struct zcdma_ring *ctl;
	void *mem;
	dma_addr_t dma;
	dma_cookie_t cookie;
	struct zcdma_period *periods;
	struct zcdma_period hand;
	u32 hand_left;
	bool given_away;
	struct mutex user;		/* see above */
	bool shared;
	u64 copied;

	spinlock_t lock;		/* the rest */
	u32 state;
	u64 head;
	u64 tail;
	u64 given;
	u64 begun;
	u64 calls;
	u64 lost;
	u64 moved;
	bool xrun;
	u32 offset;
	bool pumping;
	bool again;
	wait_queue_head_t idle;
};

static inline enum dma_data_direction zcdma_stream_dir(const struct zcdma_stream *st)
{
	return st->way == ZCDMA_WAY_TX ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

static inline u32 zcdma_stream_slot(const struct zcdma_stream *st, u64 number)
{
	u32 slot;

	div_u64_rem(number, st->nr, &slot);
	return slot;
}

static inline size_t zcdma_stream_ring_bytes(const struct zcdma_stream *st)
{
	return (size_t)st->nr * st->period;
}

struct zcdma_stream *zcdma_ring_create(struct zcdma_port_use *use, enum zcdma_way way,
				       const struct zcdma_stream_setup *how, u32 periods);
void zcdma_ring_unmap(struct zcdma_stream *st);
int zcdma_ring_renew_hand(struct zcdma_stream *st);
void zcdma_ring_destroy(struct zcdma_stream *st);
int zcdma_ring_mmap(struct zcdma_session *session, struct vm_area_struct *vma);

int zcdma_stream_setup(struct zcdma_session *session, struct zcdma_stream_setup *how);
int zcdma_stream_control(struct zcdma_session *session, struct zcdma_stream_control *what);
int zcdma_stream_status(struct zcdma_session *session, struct zcdma_stream_status *status);
struct zcdma_stream *zcdma_stream_of(struct zcdma_session *session, enum zcdma_way way);
bool zcdma_stream_poll(struct zcdma_session *session, __poll_t *mask);
int zcdma_stream_start(struct zcdma_stream *st);
void zcdma_stream_halt(struct zcdma_stream *st, u32 state);
void zcdma_stream_pump(struct zcdma_stream *st);
void zcdma_stream_rewind(struct zcdma_stream *st);
void zcdma_stream_publish(struct zcdma_stream *st);
void zcdma_stream_refresh(struct zcdma_stream *st);
void zcdma_stream_filled(struct zcdma_stream *st, u64 number, u32 len);

/* ---- stream_io.c: read(), write(), splice() ---- */

ssize_t zcdma_stream_read(struct zcdma_stream *st, char __user *buf, size_t size, bool nonblock);
ssize_t zcdma_stream_write(struct zcdma_stream *st, struct iov_iter *from, bool nonblock);
ssize_t zcdma_stream_splice(struct zcdma_stream *st, struct pipe_inode_info *pipe, size_t len,
			    bool nonblock);
int zcdma_stream_drain(struct zcdma_stream *st);

#endif
