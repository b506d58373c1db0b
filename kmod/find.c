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
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "compat.h"
#include "find.h"

/*
 * Which channels copies may take. Drivers of UARTs, SPI or sound cards request theirs when a
 * device is opened, and must find one: an engine that serves devices is root's to give.
 */
#define ALLOW_DEFAULT	"softdma,copy-only"
#define COPY_ONLY	"copy-only"	/* stands for engines that serve none */

static char *allow;			/* as root has set it, or NULL */
static DEFINE_MUTEX(allow_lock);	/* of it; nothing else is locked under it */

/* Sessions keep the channels that they have. */
static int allow_set(const char *value, const struct kernel_param *param)
{
	char *text = kstrdup(skip_spaces(value), GFP_KERNEL);

	if (!text)
		return -ENOMEM;
	strim(text);
	mutex_lock(&allow_lock);
	swap(allow, text);
	mutex_unlock(&allow_lock);
	kfree(text);
	return 0;
}

static int allow_get(char *buf, const struct kernel_param *param)
{
	int len;

	mutex_lock(&allow_lock);
	len = scnprintf(buf, PAGE_SIZE, "%s\n", allow ?: ALLOW_DEFAULT);
	mutex_unlock(&allow_lock);
	return len;
}

/* The module leaves, or never was. */
static void allow_free(void *arg)
{
	kfree(allow);
}

static const struct kernel_param_ops allow_ops = {
	.set	= allow_set,
	.get	= allow_get,
	.free	= allow_free,
};
module_param_cb(allow, &allow_ops, NULL, 0644);
MODULE_PARM_DESC(allow, "channels that copies may take: patterns for names of channels, devices or drivers, or copy-only, for engines that serve no device; separated by commas (default: softdma,copy-only)");

/*
 * What dmaengine does not tell of drivers, from reading them: whose bytes are moved by a CPU
 * after all, who reports errors, whose prep sleeps (the API says that it does not), whose residue
 * of a cyclic transfer is not where the engine is, whose engine goes on when it was terminated, and
 * whose engine wants an alignment, in bytes, that its driver keeps to itself.
 */
static const struct driver {
	const char *name;
	bool software;
	bool reports;
	bool sleeps;
	bool vague;
	bool unstoppable;
	u32 align;
} drivers[] = {
	/* "32-bit transfers only" in the datasheet; other lengths hang QEMU's model of it. */
	/* Its prep_memcpy allocates with GFP_KERNEL. */
	{ .name = "bcm2835-dma", .sleeps = true, .align = 4 },
	{ .name = "softdma",	.reports = true, .software = true },
	{ .name = "edudma",	.reports = true },
	{ .name = "ioatdma",	.reports = true },
	/* It waits for a descriptor, unless told not to, and nobody can tell it. */
	{ .name = "idxd",	.reports = true, .sleeps = true },
	/* A mutex is taken for the queue of commands. */
	{ .name = "ptdma",	.sleeps = true },
	{ .name = "ae4dma",	.sleeps = true },
	{ .name = "plx_dma",	.reports = true },
	{ .name = "hidma",	.reports = true },
	/* Terminating forgets what was not enqueued; the rest goes on, and calls back. */
	{ .name = "fsl-qdma",	.reports = true, .unstoppable = true },
	{ .name = "ti-udma",	.reports = true },
	/* The AXI DMA's is 0 after the first lap, as its descriptors stay complete. */
	{ .name = "xilinx-vdma", .reports = true, .vague = true },
	/* Terminating masks its interrupts and frees descriptors; it walks on along them. */
	{ .name = "xilinx-zynqmp-dma", .unstoppable = true },
	/* It counts blocks when their interrupt is dealt with. */
	{ .name = "dw_axi_dmac_platform", .vague = true },
};

/* Of drivers that are not in the table, or not as they are there. */
static char more_drivers[256];
static DEFINE_SPINLOCK(more_drivers_lock);

static int more_drivers_set(const char *text, const struct kernel_param *kp)
{
	char trimmed[sizeof(more_drivers)];

	if (strscpy(trimmed, text, sizeof(trimmed)) < 0)
		return -ENOSPC;
	spin_lock(&more_drivers_lock);
	strscpy(more_drivers, strim(trimmed), sizeof(more_drivers));
	spin_unlock(&more_drivers_lock);
	return 0;
}

static int more_drivers_get(char *text, const struct kernel_param *kp)
{
	int len;

	spin_lock(&more_drivers_lock);
	len = sysfs_emit(text, "%s\n", more_drivers);
	spin_unlock(&more_drivers_lock);
	return len;
}

static const struct kernel_param_ops more_drivers_ops = {
	.set = more_drivers_set,
	.get = more_drivers_get,
};

module_param_cb(drivers, &more_drivers_ops, NULL, 0644);
MODULE_PARM_DESC(drivers, "what is known of drivers besides the built-in list: NAME=FACT,... with FACT sleeps (its prep does), silent (it reports no errors), vague (its residue of cyclic transfers is wrong) or unstoppable (it goes on when it was terminated); for channels leased from then on");

/* Does "drivers" say so of a driver? */
static bool driver_is(const char *name, const char *fact)
{
	char wanted[ZCDMA_NAME_LEN + 16];
	const char *found;
	size_t len;
	bool ret = false;

	len = snprintf(wanted, sizeof(wanted), "%s=%s", name, fact);
	spin_lock(&more_drivers_lock);
	for (found = more_drivers; (found = strstr(found, wanted)); found += len) {
		if ((found == more_drivers || found[-1] == ',') &&
		    (!found[len] || found[len] == ','))
			ret = true;
	}
	spin_unlock(&more_drivers_lock);
	return ret;
}

static const struct class *find_class;	/* dmaengine's, once a channel was seen */

struct find_walk {
	bool done;
	zc_visit_fn fn;
	void *arg;
};

/* A channel that is about to go has been cut off from its device in the class. */
static int find_visit(struct device *dev, void *arg)
{
	struct dma_chan *dma = container_of(dev, struct dma_chan_dev, device)->chan;
	struct find_walk *walk = arg;

	if (dma)
		walk->fn(dma, walk->arg);
	return 0;
}

static bool find_visit_class(struct dma_chan *dma, void *arg)
{
	struct find_walk *walk = arg;

	WRITE_ONCE(find_class, dma->dev->device.class);
	if (!walk->done)
		class_for_each_device(dma->dev->device.class, NULL, walk, find_visit);
	walk->done = true;
	return false;
}

/**
 * zc_find_each() - look at each channel there is, if any is free
 * @fn: called with dmaengine's list of channels locked.
 * @arg: for @fn.
 */
void zc_find_each(zc_visit_fn fn, void *arg)
{
	struct find_walk walk = { .fn = fn, .arg = arg };
	dma_cap_mask_t any;

	dma_cap_zero(any);
	/* The filter refuses, so nothing was taken that would have to be given back. */
	WARN_ON_ONCE(dma_request_channel(any, find_visit_class, &walk));
}

static void find_nothing(struct dma_chan *dma, void *arg)
{
}

/* The class of channels, or NULL if none was free so far. */
const struct class *zc_find_class(void)
{
	if (!READ_ONCE(find_class))
		zc_find_each(find_nothing, NULL);
	return READ_ONCE(find_class);
}

const char *zc_find_provider(struct dma_chan *dma)
{
	return dev_driver_string(dma->device->dev);
}

static bool find_copies_only(struct dma_device *device)
{
	return !dma_has_cap(DMA_SLAVE, device->cap_mask) &&
	       !dma_has_cap(DMA_CYCLIC, device->cap_mask);
}

static bool allow_matches(struct dma_chan *dma, const char *pattern)
{
	if (!strcmp(pattern, COPY_ONLY) && find_copies_only(dma->device))
		return true;
	return compat_glob_match(pattern, dma_chan_name(dma)) ||
	       compat_glob_match(pattern, dev_name(dma->device->dev)) ||
	       compat_glob_match(pattern, zc_find_provider(dma));
}

static bool allow_lists(struct dma_chan *dma, const char *at)
{
	char pattern[ZCDMA_NAME_LEN];

	while (*at) {
		size_t len = strcspn(at, ",");

		strscpy(pattern, at, min(len + 1, sizeof(pattern)));
		if (allow_matches(dma, pattern))
			return true;
		at += len;
		at += *at == ',';
	}
	return false;
}

static bool allow_has(struct dma_chan *dma)
{
	bool ret;

	mutex_lock(&allow_lock);
	ret = allow_lists(dma, allow ?: ALLOW_DEFAULT);
	mutex_unlock(&allow_lock);
	return ret;
}

/* Is it what the user calls @name: itself, its device or its driver? Empty: any is. */
bool zc_find_is(struct dma_chan *dma, const char *name)
{
	return !*name || !strcmp(name, dma_chan_name(dma)) ||
	       !strcmp(name, dev_name(dma->device->dev)) ||
	       !strcmp(name, zc_find_provider(dma));
}

/*
 * dmaengine's alignments are shifts, up to 8. Some drivers store the number of
 * bytes instead.
 */
static u32 find_align(unsigned int align)
{
	if (align <= DMAENGINE_ALIGN_256_BYTES)
		return 1U << align;
	return min_t(u32, roundup_pow_of_two(align), PAGE_SIZE);
}

static u32 find_caps(struct dma_device *device)
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
 * zc_find_facts() - what a channel can do
 * @dma: leased, or with dmaengine's list of channels locked.
 * @facts: filled in.
 */
void zc_find_facts(struct dma_chan *dma, struct zc_facts *facts)
{
	const char *provider = zc_find_provider(dma);
	bool unstoppable = driver_is(provider, "unstoppable");
	bool software = false;
	u32 align = 1;
	int i;

	facts->reports = false;
	facts->sleeps = driver_is(provider, "sleeps");
	facts->vague = driver_is(provider, "vague");
	for (i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (strcmp(provider, drivers[i].name))
			continue;
		software = drivers[i].software;
		facts->reports = drivers[i].reports && !driver_is(provider, "silent");
		facts->sleeps |= drivers[i].sleeps;
		facts->vague |= drivers[i].vague;
		unstoppable |= drivers[i].unstoppable;
		align = max(align, drivers[i].align);
	}
	facts->caps = find_caps(dma->device);
	if (unstoppable)
		facts->caps &= ~ZCDMA_CAP_TERMINATE;
	if (!software)
		facts->caps |= ZCDMA_CAP_HARDWARE;
	if (dev_is_dma_coherent(dmaengine_get_dma_device(dma)))
		facts->caps |= ZCDMA_CAP_COHERENT;
	facts->allowed = allow_has(dma);
	facts->copy_align = max(align, find_align(dma->device->copy_align));
	facts->fill_align = max(align, find_align(dma->device->fill_align));
}
