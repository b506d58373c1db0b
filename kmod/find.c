// SPDX-License-Identifier: GPL-2.0
/*
 * What channels there are, and what can be said of one without taking it.
 *
 * dmaengine has no call that lists channels. But dma_request_channel() shows
 * each free one to a filter function, with the list of channels locked. A filter
 * that always refuses takes nothing; the first channel that it is shown leads to
 * their class, and so to all of them, the busy ones as well.
 */
#include <linux/dma-map-ops.h>
#include <linux/glob.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include "zcdma.h"

static char *allow = "*";
module_param(allow, charp, 0444);
MODULE_PARM_DESC(allow, "channels that may be used: patterns for names of channels, devices or drivers, separated by commas (default: *)");

/*
 * What dmaengine does not tell: whose bytes are moved by a CPU after all, who
 * reports errors, and whose engine wants an alignment, in bytes, that its driver
 * keeps to itself. From reading the drivers.
 */
static const struct {
	const char *name;
	bool software;
	bool reports;
	u32 align;
} known_providers[] = {
	/* "32-bit transfers only" in the datasheet; other lengths hang QEMU's model of it. */
	{ .name = "bcm2835-dma", .align = 4 },
	{ .name = "softdma",	.reports = true, .software = true },
	{ .name = "edudma",	.reports = true },
	{ .name = "ioatdma",	.reports = true },
	{ .name = "idxd",	.reports = true },
	{ .name = "plx_dma",	.reports = true },
	{ .name = "hidma",	.reports = true },
	{ .name = "fsl-qdma",	.reports = true },
	{ .name = "ti-udma",	.reports = true },
	{ .name = "xilinx-vdma", .reports = true },
};

struct walk {
	bool done;
	zcdma_visit_fn fn;
	void *arg;
};

/* A channel that is about to go has been cut off from its device in the class. */
static int visit(struct device *dev, void *arg)
{
	struct dma_chan *dma = container_of(dev, struct dma_chan_dev, device)->chan;
	struct walk *walk = arg;

	if (dma)
		walk->fn(dma, walk->arg);
	return 0;
}

static bool visit_class(struct dma_chan *dma, void *arg)
{
	struct walk *walk = arg;

	if (!walk->done)
		class_for_each_device(dma->dev->device.class, NULL, walk, visit);
	walk->done = true;
	return false;
}

/**
 * zcdma_walk_channels() - look at each channel there is, if any is free
 * @fn: called with dmaengine's list of channels locked.
 * @arg: for @fn.
 */
void zcdma_walk_channels(zcdma_visit_fn fn, void *arg)
{
	struct walk walk = { .fn = fn, .arg = arg };
	dma_cap_mask_t any;

	dma_cap_zero(any);
	/* The filter refuses, so nothing was taken that would have to be given back. */
	WARN_ON_ONCE(dma_request_channel(any, visit_class, &walk));
}

const char *zcdma_provider_name(struct dma_chan *dma)
{
	return dev_driver_string(dma->device->dev);
}

static bool pattern_allows(struct dma_chan *dma, const char *pattern)
{
	return glob_match(pattern, dma_chan_name(dma)) ||
	       glob_match(pattern, dev_name(dma->device->dev)) ||
	       glob_match(pattern, zcdma_provider_name(dma));
}

static bool allowed(struct dma_chan *dma)
{
	char pattern[ZCDMA_NAME_LEN];
	const char *at = allow;

	while (*at) {
		size_t len = strcspn(at, ",");

		strscpy(pattern, at, min(len + 1, sizeof(pattern)));
		if (pattern_allows(dma, pattern))
			return true;
		at += len;
		at += *at == ',';
	}
	return false;
}

/* Is it what the user calls @name: itself, its device or its driver? Empty: any is. */
bool zcdma_chan_is(struct dma_chan *dma, const char *name)
{
	return !*name || !strcmp(name, dma_chan_name(dma)) ||
	       !strcmp(name, dev_name(dma->device->dev)) ||
	       !strcmp(name, zcdma_provider_name(dma));
}

/*
 * dmaengine's alignments are shifts, up to 8. Some drivers store the number of
 * bytes instead.
 */
static u32 align_bytes(unsigned int align)
{
	if (align <= DMAENGINE_ALIGN_256_BYTES)
		return 1U << align;
	return min_t(u32, roundup_pow_of_two(align), PAGE_SIZE);
}

static u32 dma_caps(struct dma_device *device)
{
	u32 caps = 0;

	if (dma_has_cap(DMA_MEMCPY, device->cap_mask))
		caps |= ZCDMA_CAP_COPY;
	if (dma_has_cap(DMA_MEMSET, device->cap_mask))
		caps |= ZCDMA_CAP_FILL;
	if (dma_has_cap(DMA_SLAVE, device->cap_mask))
		caps |= ZCDMA_CAP_SLAVE;
	if (dma_has_cap(DMA_CYCLIC, device->cap_mask))
		caps |= ZCDMA_CAP_CYCLIC;
	if (dma_has_cap(DMA_COMPLETION_NO_ORDER, device->cap_mask))
		caps |= ZCDMA_CAP_UNORDERED;
	if (device->device_terminate_all)
		caps |= ZCDMA_CAP_TERMINATE;
	if (device->device_pause && device->device_resume)
		caps |= ZCDMA_CAP_PAUSE;
	return caps;
}

/**
 * zcdma_chan_facts() - what a channel can do
 * @dma: leased, or with dmaengine's list of channels locked.
 * @facts: filled in.
 */
void zcdma_chan_facts(struct dma_chan *dma, struct zcdma_facts *facts)
{
	const char *provider = zcdma_provider_name(dma);
	bool software = false;
	u32 align = 1;
	int i;

	facts->reports = false;
	for (i = 0; i < ARRAY_SIZE(known_providers); i++) {
		if (strcmp(provider, known_providers[i].name))
			continue;
		software = known_providers[i].software;
		facts->reports = known_providers[i].reports;
		align = max(align, known_providers[i].align);
	}
	facts->caps = dma_caps(dma->device);
	if (!software)
		facts->caps |= ZCDMA_CAP_HARDWARE;
	if (dev_is_dma_coherent(dmaengine_get_dma_device(dma)))
		facts->caps |= ZCDMA_CAP_COHERENT;
	facts->allowed = allowed(dma);
	facts->copy_align = max(align, align_bytes(dma->device->copy_align));
	facts->fill_align = max(align, align_bytes(dma->device->fill_align));
}
