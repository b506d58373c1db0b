// SPDX-License-Identifier: GPL-2.0
/*
 * Leases: choose a channel, lend it to sessions, give it back, lose it.
 *
 * A channel is leased when the first session wants it and given back when the last one
 * leaves. In between it is in the registry. Where the engine is still at work then, a work
 * stops it, or waits for it, and whoever comes meanwhile finds it as if it had never been
 * idle.
 *
 * A provider can be unbound from its device at any time; the reference on its module does not
 * prevent that. So we listen on the buses of the providers we lease from. When our notifier
 * returns, nothing of ours is at the engine or mapped for it, and the channel is given back. A
 * lease is made under the lock of the provider's device, which the driver core holds while it
 * unbinds: it comes before the notifier is called, or finds that there is no driver any more.
 *
 * A channel may also go alone (a work queue of idxd's). Then dmaengine removes the channel's own
 * device, of which we hear as an interface of its class.
 *
 * To give a channel back does not stop its engine: idxd, altera-msgdma, mv_xor and fsl_raid go
 * on. What can neither be stopped nor ends is kept for ever, with its memory and the module.
 */
#include <linux/capability.h>
#include <linux/dma-map-ops.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "choose.h"
#include "compat.h"
#include "provider.h"

/* How long the driver that leaves waits for what is just being mapped or unmapped. */
#define DRAIN_TIMEOUT	(10 * HZ)

/* How often to look whether an engine that cannot be stopped is idle, and its channel can go. */
#define CLOSE_LOOK	(HZ / 10)

/* Protects the next, and who has what. */
DEFINE_MUTEX(zc_registry);
LIST_HEAD(zc_leases);

/* Protects who tells us that channels go. Nobody who tells waits for it. */
static DEFINE_MUTEX(watch_lock);
static LIST_HEAD(watched_buses);
static struct class_interface watched_class;

static const struct zc_lease_ops *lease_ops;
struct workqueue_struct *zc_wq;

struct watched_bus {
	struct list_head node;
	struct bus_type *bus;		/* not const: 6.1 wants to write to it */
	struct notifier_block nb;
};

/* ---- the lease ---- */

static void lease_free(struct rcu_head *rcu)
{
	struct zc_lease *lease = container_of(rcu, struct zc_lease, rcu);

	lease_ops->free(lease);
	kfree(lease);
}

static void lease_destroy(struct kref *ref)
{
	struct zc_lease *lease = container_of(ref, struct zc_lease, ref);

	zc_provider_put(lease->provider);
	put_device(lease->limits.dev);
	call_rcu(&lease->rcu, lease_free);
}

void zc_lease_put(struct zc_lease *lease)
{
	kref_put(&lease->ref, lease_destroy);
}

/*
 * Given back to the kernel; sessions may still hold the struct. An engine that cannot be
 * stopped is not: its driver must find the channel in use. Under zc_registry.
 */
static void lease_retire(struct zc_lease *lease)
{
	list_del(&lease->node);
	lease->gone = true;
	if (lease->closing && cancel_delayed_work(&lease->close)) {
		lease->closing = false;
		zc_lease_put(lease);
	}
	if (lease_ops->quiesce(lease)) {
		dma_release_channel(lease->dma);
		zc_lease_put(lease);
		return;
	}
	dev_err(lease->limits.dev,
		"zcdma: %s cannot be stopped: the channel, its memory and the module are lost until the next boot\n",
		lease->name);
	lease->provider->stuck = true;
	__module_get(THIS_MODULE);
}

/* The last session left an engine that was at work. */
static void lease_close(struct work_struct *work)
{
	struct zc_lease *lease = container_of(to_delayed_work(work), struct zc_lease, close);
	bool later;

	mutex_lock(&zc_registry);
	later = !lease->sessions && !lease->gone && !lease_ops->can_go(lease);
	if (!lease->sessions && !lease->gone && !later) {
		/* Sessions that are closed may still look at what they have left there. */
		lease_ops->fail(lease);
		lease_retire(lease);
	}
	lease->closing = later;
	if (later)
		queue_delayed_work(zc_wq, &lease->close, CLOSE_LOOK);
	mutex_unlock(&zc_registry);
	if (!later)
		zc_lease_put(lease);
}

static void lease_learn(struct zc_lease *lease)
{
	struct zc_limits *limits = &lease->limits;
	struct zc_facts facts;

	zc_find_facts(lease->dma, &facts);
	lease->caps = facts.caps;
	lease->done_flags = facts.caps & ZCDMA_CAP_HARDWARE ? ZCDMA_DONE_HARDWARE : ZCDMA_DONE_CPU;
	if (facts.reports)
		lease->done_flags |= ZCDMA_DONE_REPORTED;
	lease->sleeps = facts.sleeps;
	lease->vague = facts.vague;
	lease->copy_align = facts.copy_align;
	lease->fill_align = facts.fill_align;
	lease->line = facts.caps & ZCDMA_CAP_COHERENT ? 1 : dma_get_cache_alignment();
	limits->align = max(lease->copy_align, lease->fill_align);
	limits->grain = max(limits->align, lease->line);
	limits->boundary = dma_get_seg_boundary(limits->dev);
	/* Cut where it comes to an end, the rest must still be aligned. */
	limits->max_seg = min_t(size_t, dma_get_max_seg_size(limits->dev),
				dma_max_mapping_size(limits->dev));
	limits->max_seg = max_t(size_t, round_down(limits->max_seg, limits->grain), limits->grain);
}

/* Of a channel that was requested. Under zc_registry. */
static struct zc_lease *lease_create(struct dma_chan *dma)
{
	struct zc_lease *lease;

	/* If it goes after we have looked, we are told of that. */
	if (!READ_ONCE(dma->dev->chan))
		return ERR_PTR(-ENODEV);
	lease = kzalloc(lease_ops->size, GFP_KERNEL);
	if (!lease)
		return ERR_PTR(-ENOMEM);
	lease->provider = zc_provider_get(dma->device->dev);
	if (!lease->provider || lease_ops->init(lease)) {
		if (lease->provider)
			zc_provider_put(lease->provider);
		kfree(lease);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&lease->ref);
	INIT_DELAYED_WORK(&lease->close, lease_close);
	lease->dma = dma;
	lease->device = dma->device;
	lease->class_dev = &dma->dev->device;
	strscpy(lease->name, dma_chan_name(dma), sizeof(lease->name));
	lease->limits.dev = get_device(dmaengine_get_dma_device(dma));
	lease_learn(lease);
	list_add_tail(&lease->node, &zc_leases);
	return lease;
}

/* ---- lending ---- */

static void lease_enter(struct zc_lease *lease, bool exclusive)
{
	lease->sessions++;
	lease->exclusive = exclusive;
	kref_get(&lease->ref);
}

static bool lease_is_this(struct dma_chan *dma, void *arg)
{
	return dma == arg;
}

/* Take a channel that was free a moment ago; its driver stays. Under zc_registry. */
static struct zc_lease *lease_fresh(struct dma_chan *wanted)
{
	struct zc_lease *lease;
	struct dma_chan *dma;
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	dma = dma_request_channel(mask, lease_is_this, wanted);
	if (!dma)
		return ERR_PTR(-EBUSY);
	lease = lease_create(dma);
	if (IS_ERR(lease))
		dma_release_channel(dma);
	return lease;
}

static int lease_watch(struct device *dev);

/*
 * Call @fn with a provider's device locked and watched, under zc_registry, so that what it
 * leases does not go unnoticed. Return: its result, or ERR_PTR(); -ENODEV without a driver.
 */
static struct zc_lease *lease_with_driver(struct device *dev,
					  struct zc_lease *(*fn)(void *arg), void *arg)
{
	int err = lease_watch(dev);
	struct zc_lease *lease = ERR_PTR(-ENODEV);

	if (err)
		return ERR_PTR(err);
	device_lock(dev);
	mutex_lock(&zc_registry);
	if (dev->driver)
		lease = fn(arg);
	mutex_unlock(&zc_registry);
	device_unlock(dev);
	return lease;
}

/* The best may be leased by now. */
static struct zc_lease *lease_best(void *arg)
{
	struct zc_choice *choice = arg;
	struct zc_lease *lease = zc_lease_of(choice->best);

	if (lease && zc_choice_taken(choice, choice->best, lease))
		return ERR_PTR(-EAGAIN);
	if (!lease)
		lease = lease_fresh(choice->best);
	if (IS_ERR(lease))
		return lease;
	if (choice->nr && lease->limits.dev != choice->have[0]->limits.dev) {
		if (!lease->sessions)
			lease_retire(lease);
		return ERR_PTR(-ENODEV);	/* memory would have to be mapped twice */
	}
	lease_enter(lease, choice->exclusive);
	return lease;
}

/**
 * zc_lease_take() - a channel for a session
 * @how: what is asked for.
 * @have: the session's leases so far, whose device the channel is to be of.
 * @nr: how many they are.
 *
 * May sleep. To be given back with zc_lease_leave() and zc_lease_put().
 *
 * Return: the lease, or ERR_PTR() as the uapi header lists for ATTACH.
 */
struct zc_lease *zc_lease_take(const struct zcdma_attach *how, struct zc_lease **have,
			       unsigned int nr)
{
	struct zc_choice choice = { .how = how, .have = have, .nr = nr };
	struct zc_lease *lease;
	int err;

	choice.exclusive = how->flags & ZCDMA_ATTACH_EXCLUSIVE;
	if (choice.exclusive && !capable(CAP_SYS_ADMIN))
		return ERR_PTR(-EPERM);
	for (;;) {
		mutex_lock(&zc_registry);
		err = zc_choice_make(&choice);
		mutex_unlock(&zc_registry);
		lease = err ? ERR_PTR(err) :
			lease_with_driver(choice.dev, lease_best, &choice);
		err = PTR_ERR_OR_ZERO(lease);
		if (err == -EBUSY && choice.best && choice.nr_refusing < ZC_MAX_REFUSING)
			choice.refusing[choice.nr_refusing++] = choice.device;
		else if (err != -EAGAIN)
			break;
		if (fatal_signal_pending(current)) {
			lease = ERR_PTR(-EINTR);
			break;
		}
	}
	put_device(choice.dev);
	return lease;
}

struct lease_request {
	struct dma_chan *(*request)(void *arg);
	void *arg;
	struct device *dev;		/* whose channel it is, as far as is known */
};

static struct zc_lease *lease_requested(void *arg)
{
	struct lease_request *how = arg;
	struct dma_chan *dma = how->request(how->arg);
	struct zc_lease *lease;

	if (IS_ERR(dma))
		return ERR_CAST(dma);
	if (dma->device->dev == how->dev) {
		lease = lease_create(dma);
	} else {
		/* Behind a router. Not with the wrong device locked. */
		put_device(how->dev);
		how->dev = get_device(dma->device->dev);
		lease = ERR_PTR(-EAGAIN);
	}
	if (IS_ERR(lease)) {
		dma_release_channel(dma);
		return lease;
	}
	lease->requested = true;
	lease_enter(lease, true);
	return lease;
}

/**
 * zc_lease_request() - a channel for one session, found in another way
 * @dev: whose channel it probably is, with a reference, which is ours now; or NULL: there is none.
 * @request: gets it from dmaengine, under zc_registry.
 * @arg: for @request.
 *
 * The module parameter "allow" is not asked: who declared the port has allowed it. As
 * zc_lease_take().
 *
 * Return: the lease, or ERR_PTR().
 */
struct zc_lease *zc_lease_request(struct device *dev, struct dma_chan *(*request)(void *arg),
				  void *arg)
{
	struct lease_request how = { .request = request, .arg = arg, .dev = dev };
	struct zc_lease *lease = ERR_PTR(-ENODEV);
	struct device *locked;

	while (how.dev) {
		locked = get_device(how.dev);
		lease = lease_with_driver(locked, lease_requested, &how);
		put_device(locked);
		if (PTR_ERR_OR_ZERO(lease) != -EAGAIN || fatal_signal_pending(current))
			break;
	}
	put_device(how.dev);
	return lease;
}

/**
 * zc_lease_leave() - a session does not want the channel any more
 * @lease: from zc_lease_take() or zc_lease_request(); the struct stays until zc_lease_put().
 *
 * May sleep, but does not wait for the engine.
 */
void zc_lease_leave(struct zc_lease *lease)
{
	mutex_lock(&zc_registry);
	lease->sessions--;
	lease->exclusive = false;
	if (!lease->sessions && !lease->gone && !lease->closing) {
		if (lease_ops->busy(lease)) {
			lease->closing = true;
			kref_get(&lease->ref);
			queue_delayed_work(zc_wq, &lease->close, 0);
		} else {
			lease_retire(lease);
		}
	}
	mutex_unlock(&zc_registry);
}

/* ---- losing one ---- */

/* One channel, which goes alone, or of a port that is no more. Under zc_registry. */
void zc_lease_lose(struct zc_lease *lease)
{
	if (lease->gone)
		return;
	kref_get(&lease->ref);
	lease_ops->fail(lease);
	lease_retire(lease);
	if (!lease->provider->stuck)
		lease_ops->unmap(lease);
	zc_lease_put(lease);
}

/*
 * All channels of a device. The sessions first: what they have must fail and not run again.
 * Then all the engines, since a session may have pieces at several, then the memory.
 */
static void lease_lose_all(struct device *dev)
{
	struct zc_provider *provider = zc_provider_find(dev);
	struct zc_lease *lease, *tmp;
	LIST_HEAD(lost);

	if (!provider)
		return;
	list_for_each_entry_safe(lease, tmp, &zc_leases, node) {
		if (lease->provider != provider)
			continue;
		kref_get(&lease->ref);
		list_move_tail(&lease->node, &lost);
		lease_ops->fail(lease);
	}
	list_for_each_entry_safe(lease, tmp, &lost, node) {
		lease_retire(lease);
		list_add(&lease->node, &lost);
	}
	/* What one engine still writes to may be mapped by way of any of them. */
	list_for_each_entry(lease, &lost, node)
		if (!provider->stuck)
			lease_ops->unmap(lease);
	if (!provider->stuck && !zc_provider_drain(provider, DRAIN_TIMEOUT))
		dev_err(dev, "zcdma: memory is still mapped for this device, which is going\n");
	list_for_each_entry_safe(lease, tmp, &lost, node)
		zc_lease_put(lease);
	/* If the driver is bound again, that is another: it has nothing of what was stuck here. */
	WRITE_ONCE(provider->unbound, true);
	zc_provider_put(provider);
}

static int lease_unbinding(struct notifier_block *nb, unsigned long action, void *dev)
{
	if (action != BUS_NOTIFY_UNBIND_DRIVER)
		return NOTIFY_DONE;
	mutex_lock(&zc_registry);
	lease_lose_all(dev);
	mutex_unlock(&zc_registry);
	return NOTIFY_OK;
}

/* One channel goes, and its provider stays. Or all do, and we know: then it is nobody's. */
static void lease_removed(struct device *class_dev)
{
	struct zc_lease *lease;

	mutex_lock(&zc_registry);
	list_for_each_entry(lease, &zc_leases, node) {
		if (lease->class_dev == class_dev) {
			zc_lease_lose(lease);
			break;
		}
	}
	mutex_unlock(&zc_registry);
}

COMPAT_CLASS_REMOVE(lease_removed)

/* Under watch_lock, as the next. */
static int lease_watch_bus(const struct bus_type *bus)
{
	struct watched_bus *watched;
	int err;

	list_for_each_entry(watched, &watched_buses, node)
		if (watched->bus == bus)
			return 0;
	watched = kzalloc(sizeof(*watched), GFP_KERNEL);
	if (!watched)
		return -ENOMEM;
	watched->bus = (struct bus_type *)bus;
	watched->nb.notifier_call = lease_unbinding;
	err = bus_register_notifier(watched->bus, &watched->nb);
	if (err)
		kfree(watched);
	else
		list_add(&watched->node, &watched_buses);
	return err;
}

static int lease_watch_class(const struct class *class)
{
	int err;

	if (!class || watched_class.class)
		return 0;
	watched_class.class = (struct class *)class;
	watched_class.remove_dev = lease_removed_op;
	err = class_interface_register(&watched_class);
	if (err)
		watched_class.class = NULL;
	return err;
}

static int lease_watch(struct device *dev)
{
	int err;

	mutex_lock(&watch_lock);
	err = dev->bus ? lease_watch_bus(dev->bus) : 0;
	err = err ?: lease_watch_class(zc_find_class());
	mutex_unlock(&watch_lock);
	return err;
}

void zc_lease_init(const struct zc_lease_ops *ops, struct workqueue_struct *wq)
{
	lease_ops = ops;
	zc_wq = wq;
}

/* The module leaves: no session is left, and nothing is at an engine. */
void zc_lease_exit(void)
{
	struct watched_bus *watched, *tmp;
	struct zc_lease *lease;

	mutex_lock(&zc_registry);
	while ((lease = list_first_entry_or_null(&zc_leases, struct zc_lease, node))) {
		if (!lease->closing) {
			lease_retire(lease);
			continue;
		}
		/* Its work waits for its time; what it waits for is there. */
		kref_get(&lease->ref);
		mutex_unlock(&zc_registry);
		flush_delayed_work(&lease->close);
		mutex_lock(&zc_registry);
		zc_lease_put(lease);
	}
	mutex_unlock(&zc_registry);
	flush_workqueue(zc_wq);

	if (watched_class.class)
		class_interface_unregister(&watched_class);
	list_for_each_entry_safe(watched, tmp, &watched_buses, node) {
		bus_unregister_notifier(watched->bus, &watched->nb);
		kfree(watched);
	}
	rcu_barrier();
}
