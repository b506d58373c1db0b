/* SPDX-License-Identifier: GPL-2.0 */
/* Leases: zcdma holds a channel, and gives it back. See lease.c. */
#ifndef _ZC_LEASE_H
#define _ZC_LEASE_H

#include <linux/dmaengine.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>
#include <uapi/linux/zcdma.h>
#include "mem.h"

#define ZC_MAX_CHANNELS		16	/* of a session */

/**
 * struct zc_lease - a channel leased by zcdma
 * @ref: the sessions and the registry; the struct outlives the lease.
 * @rcu: the struct outlives a callback that is late.
 * @node: in the registry.
 * @dma: the dmaengine channel; not to be used once it is @gone.
 * @device: dmaengine's, to compare with; the same holds for it.
 * @class_dev: the channel's own device, to compare with.
 * @name: the channel's.
 * @provider: whose channel it is.
 * @limits: of memory.
 * @exclusive: one session has it for itself. Under zc_registry, as the next four.
 * @requested: from zc_lease_request(): what it has had from that session it may have for ever, and
 *	no other session is to get between. Set once.
 * @sessions: how many have it.
 * @toured: see lease_walk().
 * @gone: given back, or left for ever because it could not be stopped.
 * @closing: @close is on its way.
 * @close: gives the channel back when the last session has left an engine at work.
 * @caps: &enum zcdma_cap.
 * @done_flags: &enum zcdma_done_flags of a piece that it has moved.
 * @sleeps: prep may sleep.
 * @vague: the residue of a cyclic transfer is not to be trusted.
 * @unstoppable: terminate has failed, or cannot be trusted any more.
 * @copy_align: in bytes, as the next two.
 * @fill_align: of the engine's own fill.
 * @line: what the CPU and the engine must not share at the edges of a target.
 */
struct zc_lease {
	struct kref ref;
	struct rcu_head rcu;
	struct list_head node;
	struct dma_chan *dma;
	const struct dma_device *device;
	const struct device *class_dev;
	char name[ZCDMA_NAME_LEN];
	struct zc_provider *provider;
	struct zc_limits limits;
	bool exclusive;
	bool requested;
	unsigned int sessions;
	bool toured;
	bool gone;
	bool closing;
	struct delayed_work close;
	u32 caps;
	u32 done_flags;
	bool sleeps;
	bool vague;
	bool unstoppable;
	u32 copy_align;
	u32 fill_align;
	u32 line;
};

/**
 * struct zc_lease_ops - what is done at a leased channel
 * @size: of the struct that a lease is the first member of.
 * @init: prepares the rest of it, which is zeroed. Return: 0 or -ENOMEM.
 * @free: no callback can come any more, and nobody has it.
 * @busy: has the engine anything?
 * @can_go: would @quiesce not wait for the engine?
 * @fail: all who use it are told that it goes.
 * @quiesce: stop the engine, or wait until it is idle. Return: does it touch no memory and
 *	call nobody back, for ever?
 * @unmap: what is mapped for it is to be unmapped, unless an engine may still move it.
 *
 * All but @busy and @can_go may sleep; the last three are called under zc_registry.
 */
struct zc_lease_ops {
	size_t size;
	int (*init)(struct zc_lease *lease);
	void (*free)(struct zc_lease *lease);
	bool (*busy)(struct zc_lease *lease);
	bool (*can_go)(struct zc_lease *lease);
	void (*fail)(struct zc_lease *lease);
	bool (*quiesce)(struct zc_lease *lease);
	void (*unmap)(struct zc_lease *lease);
};

/* Which channels are leased, and to whom. Taken before all other locks but the driver core's. */
extern struct mutex zc_registry;

/* For works that do not wait for file systems. */
extern struct workqueue_struct *zc_wq;

void zc_lease_init(const struct zc_lease_ops *ops, struct workqueue_struct *wq);
void zc_lease_exit(void);
int zc_lease_query(struct zc_lease *only, struct zcdma_query_channel *query);
bool zc_lease_peek(const char *name, struct zcdma_query_channel *query);
struct zc_lease *zc_lease_take(const struct zcdma_attach *how, struct zc_lease **have,
			       unsigned int nr);
struct device *zc_lease_device(const char *name);
struct zc_lease *zc_lease_request(struct device *dev, struct dma_chan *(*request)(void *arg),
				  void *arg);
void zc_lease_leave(struct zc_lease *lease);
void zc_lease_put(struct zc_lease *lease);
void zc_lease_lose(struct zc_lease *lease);

#endif
