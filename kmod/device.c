// SPDX-License-Identifier: GPL-2.0
/*
 * The device behind channels, and what is mapped for it: its driver can be unbound
 * at any time, but must not go before the last mapping has gone.
 *
 * A session may have several channels of a device, and its memory is mapped for the
 * device; some of them may be given back before others. So mappings are counted here
 * and not with a channel.
 */
#include <linux/slab.h>
#include "zcdma.h"

static DEFINE_SPINLOCK(devices_lock);
static LIST_HEAD(devices);

/* Under devices_lock. */
static struct zcdma_device *find(struct device *provider)
{
	struct zcdma_device *device;

	list_for_each_entry(device, &devices, node)
		if (device->provider == provider && refcount_inc_not_zero(&device->refs))
			return device;
	return NULL;
}

/**
 * zcdma_device_get() - the device of a channel
 * @provider: the device whose driver has the channel.
 *
 * Return: the device, for zcdma_device_put(), or NULL when out of memory.
 */
struct zcdma_device *zcdma_device_get(struct device *provider)
{
	struct zcdma_device *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL);
	struct zcdma_device *device;

	if (!fresh)
		return NULL;
	spin_lock(&devices_lock);
	device = find(provider);
	if (!device) {
		refcount_set(&fresh->refs, 1);
		init_waitqueue_head(&fresh->idle);
		fresh->provider = get_device(provider);
		list_add(&fresh->node, &devices);
		device = fresh;
	}
	spin_unlock(&devices_lock);
	if (device != fresh)
		kfree(fresh);
	return device;
}

void zcdma_device_put(struct zcdma_device *device)
{
	if (!refcount_dec_and_test(&device->refs))
		return;
	spin_lock(&devices_lock);
	list_del(&device->node);
	spin_unlock(&devices_lock);
	put_device(device->provider);
	kfree(device);
}

/**
 * zcdma_device_mapping() - a session is going to map memory
 * @session: attached.
 * @chan: for whose device.
 *
 * Return: 0, to be followed by zcdma_device_unmapped() when it was unmapped or could
 * not be mapped; or why the session must not any more.
 */
int zcdma_device_mapping(struct zcdma_session *session, struct zcdma_chan *chan)
{
	struct zcdma_device *device = chan->device;
	int err;

	atomic_inc(&device->mapped);
	/*
	 * Pairs with zcdma_queue_fail() before zcdma_device_drain(): either we see the
	 * error here, or the unbind sees us and waits.
	 */
	smp_mb__after_atomic();
	err = READ_ONCE(session->err);
	if (err)
		zcdma_device_unmapped(device);
	return err;
}

void zcdma_device_unmapped(struct zcdma_device *device)
{
	if (atomic_dec_and_test(&device->mapped) && wq_has_sleeper(&device->idle))
		wake_up(&device->idle);
}

/* The driver leaves, and all sessions have failed: wait until nothing is mapped. */
void zcdma_device_drain(struct device *provider)
{
	struct zcdma_device *device;

	spin_lock(&devices_lock);
	device = find(provider);
	spin_unlock(&devices_lock);
	if (!device)
		return;
	wait_event(device->idle, !atomic_read(&device->mapped));
	zcdma_device_put(device);
}
