/* SPDX-License-Identifier: GPL-2.0 */
/* The device that has channels, and what is mapped for it: see provider.c. */
#ifndef _ZC_PROVIDER_H
#define _ZC_PROVIDER_H

#include <linux/device.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/wait.h>

/**
 * struct zc_provider - a device whose driver has channels that are leased
 * @node: in a list of all.
 * @refs: its leases.
 * @dev: the device whose driver may be unbound.
 * @stuck: it has an engine that could not be stopped: what is mapped stays mapped. Under
 *	zc_registry.
 * @unbound: its driver was unbound. If it is bound again, that is another provider.
 * @mapped: DMA mappings for it: while not 0 the driver must not go.
 * @idle: woken when @mapped drops to 0.
 */
struct zc_provider {
	struct list_head node;
	refcount_t refs;
	struct device *dev;
	bool stuck;
	bool unbound;
	atomic_t mapped;
	wait_queue_head_t idle;
};

struct zc_provider *zc_provider_get(struct device *dev);
struct zc_provider *zc_provider_find(struct device *dev);
void zc_provider_put(struct zc_provider *provider);
int zc_provider_mapping(struct zc_provider *provider, const int *err);
void zc_provider_unmapped(struct zc_provider *provider);
bool zc_provider_drain(struct zc_provider *provider, unsigned long timeout);

#endif
