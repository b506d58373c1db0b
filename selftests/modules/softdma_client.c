// SPDX-License-Identifier: GPL-2.0
/*
 * A client of softdma that does what it is told, right or wrong: user space cannot make zcdma
 * misbehave on purpose.
 *
 *	echo WORD[:NUMBER] ... >/sys/module/softdma_client/parameters/run
 *
 * does what the words say, one after the other. The file then has "WORD=RESULT" for each. State
 * stays from one run to the next:
 *
 *	take release	a channel
 *	src dst		the buffer that is meant from here on: 64 KiB, in one piece
 *	at len		part of the buffers, from here on
 *	skip dir	DMA_ATTR_SKIP_CPU_SYNC and the direction, from here on; dir:3 is each
 *			buffer's own
 *	fill same	set the source's bytes to a number; bytes of the part that are equal in both
 *	byte		of the part of the target, the one of that number
 *	map unmap	the part of the buffer
 *	scatter gather	map every other page of the buffer, as a list, and unmap it
 *	to_cpu to_device	synchronize the part of the buffer, by its address
 *	list_to_cpu list_to_device	synchronize the list
 *	prep submit issue	a copy of the part. prep says whether there was a descriptor, and
 *			with prep:1 it is called in atomic context
 *	prep_us		how long the last prep took
 *	prep_fill	the same of a fill of the part, with a number
 *	prep_ring	the same of a ring of so many periods in the part, which the channel's
 *			device fills
 *	is_locked	are softirqs off?
 *	more		how many bytes beyond the part the copy is long
 *	wait		for up to so many ms for all callbacks: how many are missing
 *	sleep		for so many ms
 *	terminate pause synchronize
 *	at_period	in which of its periods the ring is that was submitted last
 *	can_synchronize	is there a device_synchronize?
 *	is_coherent	does the device say so?
 *	in_callback	the next callback is to 1 prep, 2 submit, 3 issue
 *	calls		how many callbacks came since the last take
 *	result residue	what the last one said
 *	context		where it was: 0 process, 1 process with softirqs off, 2 softirq, 3 hardirq
 *	alloc free	coherent memory in place of the buffer
 */
#include <linux/delay.h>
#include <linux/dmaengine.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#define SIZE		SZ_64K
#define LIST_PAGES	4
#define OWN_DIRECTION	3

enum softdma_client_act { NOTHING, PREP, SUBMIT, ISSUE };

struct softdma_client_buffer {
	enum dma_data_direction dir;
	void *mem;
	dma_addr_t dma;		/* of the mapped part */
	size_t at;		/* where that begins */
	struct scatterlist list[LIST_PAGES];
	int nents;
};

static struct softdma_client_buffer src = { .dir = DMA_TO_DEVICE };
static struct softdma_client_buffer dst = { .dir = DMA_FROM_DEVICE };
static struct softdma_client_buffer *buffer = &src;
static size_t at, len = PAGE_SIZE, more;
static unsigned int direction = OWN_DIRECTION;
static unsigned long attrs;

static struct dma_chan *chan;
static struct device *dev;
static struct dma_async_tx_descriptor *desc;
static dma_cookie_t cookie;
static size_t period;
static enum softdma_client_act act;

static unsigned int submitted;
static atomic_t calls;
static struct dmaengine_result last;
static int context;
static s64 prep_us;
static DECLARE_WAIT_QUEUE_HEAD(called);

static char said[512];

/* --- the channel --- */

static bool is_softdma(struct dma_chan *candidate, void *unused)
{
	return !strcmp(dev_driver_string(candidate->device->dev), "softdma");
}

static long take(long unused)
{
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	chan = chan ?: dma_request_channel(mask, is_softdma, NULL);
	if (!chan)
		return -ENODEV;
	dev = dmaengine_get_dma_device(chan);
	atomic_set(&calls, 0);
	submitted = 0;
	desc = NULL;
	act = NOTHING;
	return 0;
}

static long release(long unused)
{
	if (chan)
		dma_release_channel(chan);
	chan = NULL;
	return 0;
}

/* --- memory --- */

static long use_src(long unused)
{
	buffer = &src;
	return 0;
}

static long use_dst(long unused)
{
	buffer = &dst;
	return 0;
}

static long set_at(long arg)
{
	at = arg;
	return 0;
}

static long set_len(long arg)
{
	len = arg;
	return 0;
}

static long set_more(long arg)
{
	more = arg;
	return 0;
}

static long set_dir(long arg)
{
	direction = arg;
	return 0;
}

static long set_skip(long arg)
{
	attrs = arg ? DMA_ATTR_SKIP_CPU_SYNC : 0;
	return 0;
}

static enum dma_data_direction dir(void)
{
	return direction == OWN_DIRECTION ? buffer->dir : direction;
}

static long fill(long arg)
{
	memset(src.mem, arg, SIZE);
	return 0;
}

static long same(long unused)
{
	const u8 *a = src.mem + at, *b = dst.mem + at;
	long nr = 0;
	size_t i;

	for (i = 0; i < len; i++)
		nr += a[i] == b[i];
	return nr;
}

static long byte(long nr)
{
	return ((const u8 *)dst.mem)[at + nr];
}

static long map(long unused)
{
	buffer->at = at;
	buffer->dma = dma_map_single_attrs(dev, buffer->mem + at, len, dir(), attrs);
	return dma_mapping_error(dev, buffer->dma);
}

static long unmap(long unused)
{
	dma_unmap_single_attrs(dev, buffer->dma, len, dir(), attrs);
	return 0;
}

static long scatter(long unused)
{
	int i;

	sg_init_table(buffer->list, LIST_PAGES);
	for (i = 0; i < LIST_PAGES; i++)
		sg_set_buf(&buffer->list[i], buffer->mem + 2 * i * PAGE_SIZE, PAGE_SIZE);
	buffer->nents = dma_map_sg_attrs(dev, buffer->list, LIST_PAGES, dir(), attrs);
	buffer->at = 0;
	buffer->dma = sg_dma_address(buffer->list);
	return buffer->nents;
}

static long gather(long unused)
{
	dma_unmap_sg_attrs(dev, buffer->list, LIST_PAGES, dir(), attrs);
	return 0;
}

static dma_addr_t addr(const struct softdma_client_buffer *b)
{
	return b->dma + at - b->at;
}

static long to_cpu(long unused)
{
	dma_sync_single_for_cpu(dev, addr(buffer), len, dir());
	return 0;
}

static long to_device(long unused)
{
	dma_sync_single_for_device(dev, addr(buffer), len, dir());
	return 0;
}

static long list_to_cpu(long unused)
{
	dma_sync_sg_for_cpu(dev, buffer->list, LIST_PAGES, dir());
	return 0;
}

static long list_to_device(long unused)
{
	dma_sync_sg_for_device(dev, buffer->list, LIST_PAGES, dir());
	return 0;
}

static void *coherent;

static long alloc_memory(long unused)
{
	coherent = dma_alloc_coherent(dev, len, &buffer->dma, GFP_KERNEL);
	buffer->at = at;
	return coherent ? 0 : -ENOMEM;
}

static long free_memory(long unused)
{
	dma_free_coherent(dev, len, coherent, buffer->dma);
	return 0;
}

/* --- transfers --- */

static void done(void *param, const struct dmaengine_result *result);

/* Was there a descriptor? */
static long prepared(void)
{
	if (!desc)
		return 0;
	desc->callback_result = done;
	return 1;
}

static long prep(long atomic)
{
	ktime_t began;

	if (atomic)
		local_bh_disable();
	began = ktime_get();
	desc = dmaengine_prep_dma_memcpy(chan, addr(&dst), addr(&src), len + more,
					 DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	prep_us = ktime_us_delta(ktime_get(), began);
	if (atomic)
		local_bh_enable();
	return prepared();
}

static long prep_fill(long value)
{
	desc = dmaengine_prep_dma_memset(chan, addr(&dst), value, len,
					 DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	return prepared();
}

static long prep_ring(long periods)
{
	struct dma_slave_config config = {
		.direction = DMA_DEV_TO_MEM,
		.src_addr_width = DMA_SLAVE_BUSWIDTH_4_BYTES,
		.src_maxburst = 1,
	};
	int err = dmaengine_slave_config(chan, &config);

	if (err)
		return err;
	period = len / periods;
	desc = dmaengine_prep_dma_cyclic(chan, addr(&dst), len, period, DMA_DEV_TO_MEM,
					 DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	return prepared();
}

static long get_prep_us(long unused)
{
	return prep_us;
}

static long submit(long unused)
{
	if (!desc)
		return -EINVAL;
	submitted++;
	cookie = dmaengine_submit(desc);
	return dma_submit_error(cookie);
}

static long issue(long unused)
{
	dma_async_issue_pending(chan);
	return 0;
}

static void done(void *unused, const struct dmaengine_result *result)
{
	enum softdma_client_act now = act;

	last = *result;
	context = in_hardirq() ? 3 : in_serving_softirq() ? 2 : in_softirq() ? 1 : 0;
	act = NOTHING;
	if (now == PREP)
		prep(0);
	else if (now == SUBMIT)
		submit(0);
	else if (now == ISSUE)
		issue(0);
	atomic_inc(&calls);
	wake_up(&called);
}

static long wait(long ms)
{
	wait_event_timeout(called, atomic_read(&calls) >= submitted, msecs_to_jiffies(ms ?: 5000));
	return submitted - atomic_read(&calls);
}

static long terminate(long unused)
{
	return dmaengine_terminate_async(chan);
}

static long synchronize(long unused)
{
	dmaengine_synchronize(chan);
	return 0;
}

static long pause(long unused)
{
	return dmaengine_pause(chan);
}

static long at_period(long unused)
{
	struct dma_tx_state state;

	dmaengine_tx_status(chan, cookie, &state);
	return (len - state.residue) / period;
}

static long is_locked(long unused)
{
	return !!in_softirq();
}

static long can_synchronize(long unused)
{
	return !!chan->device->device_synchronize;
}

static long is_coherent(long unused)
{
	return dev_is_dma_coherent(dev);
}

static long in_callback(long arg)
{
	act = arg;
	return 0;
}

static long get_calls(long unused)
{
	return atomic_read(&calls);
}

static long get_result(long unused)
{
	return last.result;
}

static long get_residue(long unused)
{
	return last.residue;
}

static long get_context(long unused)
{
	return context;
}

static long sleep(long ms)
{
	msleep(ms);
	return 0;
}

/* --- words --- */

static const struct {
	const char *name;
	long (*act)(long arg);
	bool without_channel;
} words[] = {
	{ "take", take, true },
	{ "release", release, true },
	{ "src", use_src, true },
	{ "dst", use_dst, true },
	{ "at", set_at, true },
	{ "len", set_len, true },
	{ "more", set_more, true },
	{ "skip", set_skip, true },
	{ "dir", set_dir, true },
	{ "fill", fill, true },
	{ "same", same, true },
	{ "byte", byte, true },
	{ "map", map },
	{ "unmap", unmap },
	{ "scatter", scatter },
	{ "gather", gather },
	{ "to_cpu", to_cpu },
	{ "to_device", to_device },
	{ "list_to_cpu", list_to_cpu },
	{ "list_to_device", list_to_device },
	{ "alloc", alloc_memory },
	{ "free", free_memory },
	{ "prep", prep },
	{ "prep_us", get_prep_us, true },
	{ "prep_fill", prep_fill },
	{ "prep_ring", prep_ring },
	{ "is_locked", is_locked, true },
	{ "submit", submit },
	{ "issue", issue },
	{ "wait", wait, true },
	{ "sleep", sleep, true },
	{ "terminate", terminate },
	{ "pause", pause },
	{ "at_period", at_period },
	{ "synchronize", synchronize },
	{ "can_synchronize", can_synchronize },
	{ "is_coherent", is_coherent },
	{ "in_callback", in_callback },
	{ "calls", get_calls, true },
	{ "result", get_result, true },
	{ "residue", get_residue, true },
	{ "context", get_context, true },
};

static int do_word(char *word)
{
	char *name = strsep(&word, ":");
	long arg = 0;
	size_t i;

	if (word && kstrtol(word, 0, &arg))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		size_t used = strlen(said);

		if (strcmp(name, words[i].name))
			continue;
		if (!chan && !words[i].without_channel)
			return -ENODEV;
		snprintf(said + used, sizeof(said) - used, " %s=%ld", name, words[i].act(arg));
		return 0;
	}
	return -EINVAL;
}

static int run_set(const char *text, const struct kernel_param *kp)
{
	char *copy = kstrdup(text, GFP_KERNEL);
	char *rest = copy ? strim(copy) : NULL, *word;
	int err = copy ? 0 : -ENOMEM;

	said[0] = 0;
	while (!err && (word = strsep(&rest, " ")))
		err = *word ? do_word(word) : 0;
	kfree(copy);
	return err;
}

static int run_get(char *text, const struct kernel_param *kp)
{
	return sysfs_emit(text, "%s\n", said);
}

static const struct kernel_param_ops run_ops = {
	.set = run_set,
	.get = run_get,
};
module_param_cb(run, &run_ops, NULL, 0600);
MODULE_PARM_DESC(run, "Words to be done one after the other; then what came of them");

static int __init softdma_client_init(void)
{
	src.mem = alloc_pages_exact(SIZE, GFP_KERNEL | __GFP_ZERO);
	dst.mem = alloc_pages_exact(SIZE, GFP_KERNEL | __GFP_ZERO);
	if (src.mem && dst.mem)
		return 0;
	if (src.mem)
		free_pages_exact(src.mem, SIZE);
	if (dst.mem)
		free_pages_exact(dst.mem, SIZE);
	return -ENOMEM;
}

static void __exit softdma_client_exit(void)
{
	release(0);
	free_pages_exact(src.mem, SIZE);
	free_pages_exact(dst.mem, SIZE);
}

module_init(softdma_client_init);
module_exit(softdma_client_exit);

MODULE_DESCRIPTION("Client of softdma that does what it is told");
MODULE_LICENSE("GPL");
