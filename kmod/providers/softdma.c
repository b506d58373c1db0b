// SPDX-License-Identifier: GPL-2.0
/*
 * softdma: a DMA engine made of kernel threads.
 *
 * Asynchronous copies and fills for machines with a core to spare and no engine, and the bench on
 * which clients of dmaengine are shown every fault an engine can have.
 *
 *	softdma.c	the device: from probe to the last client's farewell
 *	softdma_chan.c	a channel: descriptors, thread, dmaengine's calls
 *	softdma_complete.c	how a descriptor ends
 *	softdma_move.c	how the bytes are moved
 *	softdma_slave.c	the devices at the channels: FIFOs, their pace, rings of periods
 *	softdma_traits.c	what the engine is told to be
 * for tests of clients, left out of a build with SOFTDMA_TESTS=n:
 *	softdma_quirks.c	as which awkward engine it is told to behave
 *	softdma_faults.c	what it is told to do wrong
 *	softdma_ledger.c	DMA addresses of its own, and a judgement on their use;
 *	softdma_dma_ops.c, softdma_mapping.c	belong to it
 *
 * A channel has a thread while a client holds it, and a pool of descriptors that was allocated
 * with it, so nothing is allocated on the way of a transfer.
 *
 * The bytes are moved by a CPU through the kernel's own mapping. So the device is cache coherent
 * wherever the data cache does not alias, sees all memory, and must not sit behind an IOMMU. (With
 * a ledger it is its own IOMMU.)
 *
 * Locks, outermost first:
 *	dma_list_mutex (dmaengine's)	around alloc and free of a channel
 *	softdma.mutex			threads start and stop
 *	softdma_chan.callback_lock	while a callback runs, only if so configured; prep, submit
 *					and issue_pending wait for it first
 *	softdma_chan.prep_lock		from prep to submit, only if so configured
 *	softdma_ledger.lock		mappings, the bytes while they are moved; with a ledger
 *	softdma_chan.lock		lists, cookies, state, a slave's bytes; in any context
 * Callbacks run without prep_lock and lock. The thread takes neither mutex, so it can be stopped
 * under both.
 *
 * Unbinding does not wait for clients. It ends every submitted descriptor with an ABORTED
 * callback and joins the threads; what is left of the device refuses everything and is freed when
 * the last client has let go.
 */
#include <linux/dma-map-ops.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "../compat.h"
#include "softdma.h"

static LLIST_HEAD(softdma_retired);

static void softdma_free(struct softdma *s)
{
	softdma_ledger_destroy(s);
	softdma_slave_free(s);
	kfree(s);
}

static bool softdma_no_channel(struct dma_chan *chan, void *unused)
{
	return false;
}

/*
 * dma_release_channel() looks at the channel again after it has released the device, under
 * dma_list_mutex. So the memory is freed here, once that mutex has been free: a request that no
 * channel can satisfy takes it, and does nothing else.
 */
static void softdma_reap(struct work_struct *unused)
{
	struct llist_node *retired = llist_del_all(&softdma_retired);
	struct softdma *s, *next;
	dma_cap_mask_t mask;
	unsigned int i;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	dma_request_channel(mask, softdma_no_channel, NULL);

	llist_for_each_entry_safe(s, next, retired, retired) {
		for (i = 0; i < s->traits.channels; i++)
			put_device(&s->chans[i].chan.dev->device);
		softdma_free(s);
	}
}

static DECLARE_WORK(softdma_reaper, softdma_reap);

static void softdma_device_release(struct dma_device *dma)
{
	struct softdma *s = container_of(dma, struct softdma, dma);

	llist_add(&s->retired, &softdma_retired);
	schedule_work(&softdma_reaper);
}

static void softdma_dma_init(struct softdma *s, struct device *dev)
{
	const struct softdma_traits *t = &s->traits;
	struct dma_device *dma = &s->dma;
	unsigned int i;

	dma->dev = dev;
	dma_cap_set(DMA_MEMCPY, dma->cap_mask);
	if (!t->no_memset)
		dma_cap_set(DMA_MEMSET, dma->cap_mask);
	if (t->unordered)
		dma_cap_set(DMA_COMPLETION_NO_ORDER, dma->cap_mask);
	dma->copy_align = ilog2(t->align);
	dma->fill_align = ilog2(t->align);
	dma->residue_granularity = t->coarse_residue ? DMA_RESIDUE_GRANULARITY_DESCRIPTOR :
						       DMA_RESIDUE_GRANULARITY_BURST;
	softdma_chan_ops(dma, t);
	softdma_slave_ops(dma);
	dma->device_release = softdma_device_release;

	INIT_LIST_HEAD(&dma->channels);
	for (i = 0; i < t->channels; i++)
		softdma_chan_init(s, &s->chans[i]);
}

/*
 * The DMA API gets by without the ledger from here on, and must not touch caches at the ledger's
 * addresses: clients unmap after this, too. Nothing is moved any more, and the device's memory is
 * there still, which dma_async_device_unregister() may give to softdma_reap().
 */
static void softdma_detach(struct softdma *s)
{
	compat_set_dma_coherent(s->dma.dev, true);
	softdma_ledger_detach(s);
}

/* What the DMA API is to know of the device. */
static int softdma_limits_init(struct softdma *s, struct device *dev)
{
	const struct softdma_traits *t = &s->traits;
	int err;

	/* A bus address must be a physical one: the CPU has no other way to the bytes. */
	if (device_iommu_mapped(dev) || get_dma_ops(dev)) {
		dev_err(dev, "cannot work behind an IOMMU: a CPU moves the bytes\n");
		return -ENODEV;
	}
	err = softdma_ledger_create(s);
	if (err)
		return err;
	/*
	 * The CPU leaves the target in its cache. On machines where devices do not see the cache,
	 * unmapping would throw it away. The ledger touches no cache, and may want to see that
	 * clients do all that such a machine needs.
	 */
	compat_set_dma_coherent(dev, !(s->ledger && t->ledger_incoherent));
	dma_set_max_seg_size(dev, t->max_segment);
	dma_set_seg_boundary(dev, t->boundary ? t->boundary - 1 : ULONG_MAX);
	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (err)
		softdma_detach(s);
	return err;
}

static void softdma_remove(void *data)
{
	struct softdma *s = data;
	unsigned int i;

	softdma_remove_delay(s);
	softdma_faults_remove(s);

	for (i = 0; i < s->traits.channels; i++)
		softdma_chan_kill(&s->chans[i]);
	softdma_detach(s);

	/* While a client holds a channel the device stays listed: let nobody find it any more. */
	dma_cap_clear(DMA_MEMCPY, s->dma.cap_mask);
	dma_cap_clear(DMA_MEMSET, s->dma.cap_mask);
	dma_cap_clear(DMA_SLAVE, s->dma.cap_mask);
	dma_cap_clear(DMA_CYCLIC, s->dma.cap_mask);
	dma_async_device_unregister(&s->dma);
}

static int softdma_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct softdma_traits traits;
	struct softdma *s;
	unsigned int i;
	int err;

	err = softdma_traits_read(dev, &traits);
	if (err)
		return err;
	s = kzalloc(struct_size(s, chans, traits.channels), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->traits = traits;
	mutex_init(&s->mutex);
	softdma_dma_init(s, dev);
	platform_set_drvdata(pdev, s);
	err = softdma_limits_init(s, dev);
	if (err)
		goto free;
	err = softdma_slave_init(s);
	if (err)
		goto detach;
	softdma_faults_create(s);

	err = dma_async_device_register(&s->dma);
	if (err) {
		dev_err(dev, "dmaengine refused %u channels: %d\n", traits.channels, err);
		softdma_faults_remove(s);
		goto detach;
	}
	/*
	 * Unregistering frees chan->dev, yet the device stays listed while a client holds one of
	 * its channels, and clients' filters look at chan->dev. So keep it.
	 */
	for (i = 0; i < traits.channels; i++)
		get_device(&s->chans[i].chan.dev->device);

	return devm_add_action_or_reset(dev, softdma_remove, s);

detach:
	softdma_detach(s);
free:
	softdma_free(s);
	return err;
}

static struct platform_driver softdma_driver = {
	.driver = {
		.name = "softdma",
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
	.probe = softdma_probe,
};

static struct platform_device *softdma_device;

static int __init softdma_init(void)
{
	const struct platform_device_info info = {
		.name = "softdma",
		.id = 0,
		.dma_mask = DMA_BIT_MASK(64),
	};
	int err;

	err = platform_driver_register(&softdma_driver);
	if (err)
		return err;

	softdma_device = platform_device_register_full(&info);
	if (IS_ERR(softdma_device)) {
		err = PTR_ERR(softdma_device);
		goto unregister_driver;
	}
	/* The device may exist without its driver, but not at first: the log says what is wrong. */
	if (!platform_get_drvdata(softdma_device)) {
		err = -EINVAL;
		goto unregister_device;
	}
	return 0;

unregister_device:
	platform_device_unregister(softdma_device);
unregister_driver:
	platform_driver_unregister(&softdma_driver);
	flush_work(&softdma_reaper);
	return err;
}

static void __exit softdma_exit(void)
{
	platform_device_unregister(softdma_device);
	platform_driver_unregister(&softdma_driver);
	flush_work(&softdma_reaper);
}

module_init(softdma_init);
module_exit(softdma_exit);

MODULE_DESCRIPTION("DMA engine in software: kernel threads that copy and fill memory");
MODULE_LICENSE("GPL");
