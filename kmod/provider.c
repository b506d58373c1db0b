// SPDX-License-Identifier: GPL-2.0
/*
 * Providers, as devices whose driver can be unbound at any time, and what is mapped for
 * them: a driver must not go before the last mapping has gone.
 *
 * A session may have several channels of a device, and its memory is mapped for the
 * device; some of them may be given back before others. So mappings are counted here
 * and not with a channel.
 */
#include <linux/slab.h>
#include "provider.h"

static DEFINE_SPINLOCK(providers_lock);
static LIST_HEAD(providers);

/* Under providers_lock. */
static struct zc_provider *provider_look_up(struct device *dev)
{
	struct zc_provider *provider;

	list_for_each_entry(provider, &providers, node)
		if (provider->dev == dev && !READ_ONCE(provider->unbound) &&
		    refcount_inc_not_zero(&provider->refs))
			return provider;
	return NULL;
}

/**
 * zc_provider_get() - the provider of a channel
 * @dev: the device whose driver has the channel.
 *
 * Return: the provider, for zc_provider_put(), or NULL when out of memory.
 */
struct zc_provider *zc_provider_get(struct device *dev)
{
	struct zc_provider *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL);
	struct zc_provider *provider;

	if (!fresh)
		return NULL;
	spin_lock(&providers_lock);
	provider = provider_look_up(dev);
	if (!provider) {
		refcount_set(&fresh->refs, 1);
		init_waitqueue_head(&fresh->idle);
		fresh->dev = get_device(dev);
		list_add(&fresh->node, &providers);
		provider = fresh;
	}
	spin_unlock(&providers_lock);
	if (provider != fresh)
		kfree(fresh);
	return provider;
}

/* The same if there is one already; NULL otherwise. */
struct zc_provider *zc_provider_find(struct device *dev)
{
	struct zc_provider *provider;

	spin_lock(&providers_lock);
	provider = provider_look_up(dev);
	spin_unlock(&providers_lock);
	return provider;
}

void zc_provider_put(struct zc_provider *provider)
{
	if (!refcount_dec_and_test(&provider->refs))
		return;
	spin_lock(&providers_lock);
	list_del(&provider->node);
	spin_unlock(&providers_lock);
	put_device(provider->dev);
	kfree(provider);
}

/**
 * zc_provider_mapping() - somebody is going to map memory
 * @provider: for whose device.
 * @err: where it will say why the user of that memory is over, when the provider goes.
 *
 * Return: 0, to be followed by zc_provider_unmapped() when it was unmapped or could
 * not be mapped; or *@err.
 */
int zc_provider_mapping(struct zc_provider *provider, const int *err)
{
	int ret;

	atomic_inc(&provider->mapped);
	/*
	 * Pairs with zc_provider_drain(), before which the error is set: either we see
	 * it here, or the unbind sees us and waits.
	 */
	smp_mb__after_atomic();
	ret = READ_ONCE(*err);
	if (ret)
		zc_provider_unmapped(provider);
	return ret;
}

void zc_provider_unmapped(struct zc_provider *provider)
{
	if (atomic_dec_and_test(&provider->mapped) && wq_has_sleeper(&provider->idle))
		wake_up(&provider->idle);
}

/**
 * zc_provider_drain() - the driver leaves: wait until nothing is mapped
 * @provider: all who map memory for it have been told an error.
 * @timeout: in jiffies.
 *
 * Return: false when something still is.
 */
bool zc_provider_drain(struct zc_provider *provider, unsigned long timeout)
{
	smp_mb();	/* see zc_provider_mapping() */
	return wait_event_timeout(provider->idle, !atomic_read(&provider->mapped), timeout);
}
