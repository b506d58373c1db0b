/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ports and streams: the private structs. They are a front end of the core.
 *
 * Lock order: zc_registry, then
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

#include "bh.h"
#include "find.h"
#include "provider.h"
#include "session.h"

struct iov_iter;
struct pid;
struct pipe_inode_info;

enum zcdma_way {
	ZCDMA_WAY_TX,
	ZCDMA_WAY_RX,
	ZCDMA_WAYS,
};

/* Root's, as long as nothing else was said. */
#define ZCDMA_PORT_MODE	0600

/* Of a register, in bytes: dmaengine has masks of 32 bits with a bit for each width. */
#define ZCDMA_PORT_MAX_WIDTH	16U

/**
 * struct zcdma_port - a device at a channel
 * @node: in the list of ports. Under zc_registry, as all of it.
 * @name: unique.
 * @dev: of the device tree's node; NULL when root has declared the port.
 * @chan: names of its channels; for a declared port.
 * @has: it goes that way.
 * @width: of the register, in bytes.
 * @data: bytes of a word that carry data.
 * @burst: words at a request.
 * @reg: address of the register, as the engine's driver wants it.
 * @group: whose it is besides root's; not valid: nobody's.
 * @mode: as of a file: reading is receiving, writing is sending.
 * @user: who has it, or NULL.
 * @owner: who attached that.
 * @owner_uid: whose process that was: he and root are told.
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
	kgid_t group;
	umode_t mode;
	struct zcdma_port_use *user;
	struct pid *owner;
	kuid_t owner_uid;
	char owner_name[TASK_COMM_LEN];
};

/* Segments of a piece, and pieces that an engine has at a time: one that it moves, one next. */
#define ZCDMA_SLAVE_SEGS	32
#define ZCDMA_SLAVE_PIECES	2

/**
 * struct zcdma_slave_piece - a descriptor, a part of an op
 * @slave: whose.
 * @at_engine: bit 0: it is there, or on its way there. Whoever clears it deals with the piece. The
 *	rest has no meaning otherwise.
 * @alone: no other was there when it was made.
 * @start: its first byte in the op.
 * @len: in bytes.
 * @segs: how many.
 * @at: where it begins in the mapped list.
 * @of_body: bytes of it that are there.
 * @cookie: the provider's.
 * @moved: bytes of it that were moved when the engine was stopped.
 */
struct zcdma_slave_piece {
	struct zc_slave *slave;
	unsigned long at_engine;
	bool alone;
	size_t start;
	size_t len;
	unsigned int segs;
	struct zc_cursor at;
	size_t of_body;
	dma_cookie_t cookie;
	size_t moved;
};

/**
 * struct zcdma_slave_window - the pieces of a direction
 * @node: in slave->retired.
 * @rcu: a callback that is late may look at it until then.
 * @pieces: see there.
 */
struct zcdma_slave_window {
	struct list_head node;
	struct rcu_head rcu;
	struct zcdma_slave_piece pieces[ZCDMA_SLAVE_PIECES];
};

/**
 * struct zc_slave - a direction of a port, for ops
 * @session: whose.
 * @way: which.
 * @lease: its channel; NULL when the port does not go that way. Set once, as the next four.
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
 * @bh: hands pieces to the engine where a callback wants that.
 * @waiting: ops, oldest first.
 * @op: the one whose turn it is, or NULL.
 * @window: has the pieces of that.
 * @retired: windows in which a callback may still arrive, until nobody has the port.
 * @restarts: how many there are.
 * @nr: how many pieces are at the engine.
 * @max_segs: segments that the engine takes at once, as far as is known.
 * @max_len: the same in bytes.
 * @refused: how often in a row it refused the smallest piece.
 * @idle: woken when the pump ends, and when a piece is back, while it is not @live.
 */
struct zc_slave {
	struct zc_session *session;
	enum zcdma_way way;
	struct zc_lease *lease;
	u32 width;
	bool fine;
	unsigned int max_nr;
	struct zc_mem edges;
	struct scatterlist sg[ZCDMA_SLAVE_SEGS];
	unsigned int users;
	bool streaming;
	bool live;
	bool pumping;
	bool again;
	struct zcdma_bh bh;
	struct list_head waiting;
	struct zc_op *op;
	struct zcdma_slave_window *window;
	struct list_head retired;
	unsigned int restarts;
	unsigned int nr;
	unsigned int max_segs;
	size_t max_len;
	unsigned int refused;
	wait_queue_head_t idle;
};

/* Its place at a channel. */
struct zcdma_port_member {
	struct zc_member member;
	struct zcdma_port_use *use;
};

/**
 * struct zcdma_port_use - a session's port
 * @session: whose.
 * @port: to be looked at under zc_registry only, and while @port->user is this.
 * @has: as the port's, and the next two.
 * @width: in bytes.
 * @config: for the channels.
 * @leases: the channels.
 * @members: the session's places there.
 * @engine: held around calls of the provider; who holds it and sees a channel that
 *	is not in @gone may use that.
 * @missed: somebody who must not wait has found @engine locked: he is to be woken.
 * @gone: channels that were lost. Under @engine.
 * @slaves: the directions, for ops.
 * @streams: set once, with release semantics.
 * @rcu: a callback that is late may look at it until then.
 */
struct zcdma_port_use {
	struct zc_session *session;
	struct zcdma_port *port;
	bool has[ZCDMA_WAYS];
	u32 width;
	struct dma_slave_config config[ZCDMA_WAYS];
	struct zc_lease *leases[ZCDMA_WAYS];
	struct zcdma_port_member members[ZCDMA_WAYS];
	struct mutex engine;		/* see above */
	bool missed;
	bool gone[ZCDMA_WAYS];
	struct zc_slave slaves[ZCDMA_WAYS];
	struct zcdma_stream *streams[ZCDMA_WAYS];
	struct rcu_head rcu;
};

/* Return: the session's port, or NULL before %ZCDMA_IOC_ATTACH_PORT. */
static inline struct zcdma_port_use *zcdma_port_use(struct zc_session *session)
{
	return zc_session_lease(session) ? session->port : NULL;
}

/* The stream, or NULL before %ZCDMA_IOC_STREAM_SETUP. */
static inline struct zcdma_stream *zcdma_stream_of(struct zc_session *session, enum zcdma_way way)
{
	struct zcdma_port_use *use = zcdma_port_use(session);

	/* Pairs with stream_publish(). */
	return use ? smp_load_acquire(&use->streams[way]) : NULL;
}

/* use->engine, at once or not at all: then the session's wait queue is woken when it is free. */
static inline bool zcdma_port_trylock(struct zcdma_port_use *use)
{
	if (mutex_trylock(&use->engine))
		return true;
	WRITE_ONCE(use->missed, true);
	/* Who has it sees that, or we see that it is free. Pairs with zcdma_port_unlock(). */
	smp_mb();
	return mutex_trylock(&use->engine);
}

/* use->engine, which others may have for as long as it takes to stop an engine. As the last. */
static inline int zcdma_port_lock(struct zcdma_port_use *use, bool nonblock)
{
	if (nonblock)
		return zcdma_port_trylock(use) ? 0 : -EAGAIN;
	return mutex_lock_killable(&use->engine) ? -EINTR : 0;
}

static inline void zcdma_port_unlock(struct zcdma_port_use *use)
{
	mutex_unlock(&use->engine);
	/* Pairs with zcdma_port_trylock(). */
	smp_mb();
	if (!READ_ONCE(use->missed))
		return;
	WRITE_ONCE(use->missed, false);
	wake_up(&use->session->wq);
}

/* ---- port.c ---- */

int zcdma_port_add(struct zcdma_port *port);
int zcdma_port_del(struct zcdma_port *port);
struct zcdma_port *zcdma_port_find(const char *name);
void zcdma_port_take_away(struct zcdma_port *port);
int zcdma_port_each(int (*fn)(struct zcdma_port *port, void *arg), void *arg);
int zcdma_port_attach(struct zc_session *session, struct zcdma_attach_port *how);
int zcdma_port_query(struct zcdma_query_port *query);

/*
 * Has the device ended a transfer of @len bytes early, and no error is the reason? Some say so with
 * a residue and success (xilinx_dma), some with a residue and "aborted" (k3-udma, receiving only);
 * we do not ask while we stop the engine ourselves.
 */
static inline bool zcdma_is_short(const struct dmaengine_result *result, size_t len,
				  enum zcdma_way way)
{
	if (!result || !result->residue || result->residue > len)
		return false;
	return result->result == DMA_TRANS_NOERROR ||
	       (result->result == DMA_TRANS_ABORTED && way == ZCDMA_WAY_RX &&
		result->residue < len);
}

/* ---- port_of.c, port_engine_of.c: those of the device tree ---- */

#ifdef CONFIG_OF
int zcdma_port_of_init(void);
void zcdma_port_of_exit(void);
struct device *zcdma_port_of_device(struct device *port, const char *way);
void zcdma_port_of_engine(struct zcdma_port *port, struct zcdma_query_port *query);
#else
static inline int zcdma_port_of_init(void)
{
	return 0;
}

static inline void zcdma_port_of_exit(void)
{
}

static inline struct device *zcdma_port_of_device(struct device *port, const char *way)
{
	return NULL;
}

static inline void zcdma_port_of_engine(struct zcdma_port *port, struct zcdma_query_port *query)
{
}
#endif

/* ---- slave.c: ops at a port ---- */

int zcdma_slave_admit(struct zc_op *op);
void zcdma_slave_queued(struct zc_op *op);
void zcdma_slave_unqueued(struct zc_op *op);
void zcdma_slave_put(struct zc_op *op);
int zcdma_slave_claim(struct zc_slave *s);
void zcdma_slave_unclaim(struct zc_slave *s);
void zcdma_slave_collect(struct zc_slave *s);
void zcdma_slave_kick(struct zc_session *session);
void zcdma_slave_bh(struct zcdma_bh *bh);

/* ---- slave_live.c: when they are handed to the engine ---- */

int zcdma_slave_init(struct zc_slave *s, struct zc_session *session, enum zcdma_way way);
int zcdma_slave_open(struct zc_slave *s, struct zc_lease *lease, u32 width);
void zcdma_slave_shut(struct zc_slave *s);
void zcdma_slave_unmap(struct zc_slave *s);
void zcdma_slave_free(struct zc_slave *s);
void zcdma_slave_look(struct zc_slave *s);

/* ---- streams: stream.h; what a port does with them ---- */

int zcdma_ring_mmap(struct zc_session *session, struct vm_area_struct *vma);
int zcdma_stream_setup(struct zc_session *session, struct zcdma_stream_setup *how);
int zcdma_stream_control(struct zc_session *session, struct zcdma_stream_control *what);
int zcdma_stream_status(struct zc_session *session, struct zcdma_stream_status *status);
void zcdma_stream_poll(struct zc_session *session, __poll_t wanted, __poll_t *mask);
void zcdma_stream_look(struct zcdma_stream *st);
void zcdma_stream_lose_channel(struct zcdma_stream *st);
void zcdma_stream_unmap(struct zcdma_stream *st);
bool zcdma_stream_close(struct zcdma_stream *st);
void zcdma_stream_free(struct zcdma_stream *st);

/* ---- stream_read.c, stream_write.c ---- */

ssize_t zcdma_stream_read(struct zcdma_stream *st, char __user *buf, size_t size, bool nonblock);
ssize_t zcdma_stream_write(struct zcdma_stream *st, struct iov_iter *from, bool nonblock);
ssize_t zcdma_stream_splice(struct zcdma_stream *st, struct pipe_inode_info *pipe, size_t len,
			    bool nonblock);

#endif
