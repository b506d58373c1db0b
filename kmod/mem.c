// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that an engine may reach: pin, account, map, sync, unmap, unpin. That of one
 * op as well as that of a registered buffer.
 *
 * What holds for a struct zcdma_mem:
 *
 * - Byte 0 of the mem is byte "offset" of pages[0]. "start" and "len" below
 *   count from byte 0 of the mem, in bytes; start + len never exceeds what was
 *   pinned. An op is at most ZCDMA_MAX_LEN long, so nothing here overflows.
 *
 * - Mapping never synchronizes (DMA_ATTR_SKIP_CPU_SYNC): it only makes
 *   addresses. The synchronization is explicit: before and after each op, of its
 *   part. One reason is that users may well have two ops in flight
 *   on the same cache line, which is fine with the engine and with us, but
 *   looks like a forbidden double mapping where mapping means "now it is the
 *   device's".
 *
 * - On a machine whose engine does not see the CPU's caches, no cache line is
 *   both inside a mapped target and outside of it: copy.c leaves the edges to
 *   the CPU. Synchronizing such a line for the CPU would throw away what other
 *   threads wrote next to the target, or the engine's bytes.
 *
 * - What the CPU moves itself (zcdma_mem_copy(), zcdma_mem_fill()) it moves
 *   when what the engine wrote was synchronized: a bounce buffer is copied back
 *   then, over anything that was written before.
 *
 * Pages are charged to the user's locked_vm, as io_uring and iommufd do, and not
 * to the mm: it survives fork, exec and passing the file on, and more processes do
 * not give a user more.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include "zcdma.h"

/* How many pages to pin between two looks at pending signals. */
#define PIN_BATCH	1024U

/* Past the end of a segment: on to where it is in the next ones. */
void zcdma_cursor_settle(struct zcdma_cursor *at)
{
	while (at->sg && at->offset >= sg_dma_len(at->sg)) {
		at->offset -= sg_dma_len(at->sg);
		at->sg = sg_next(at->sg);
	}
}

/**
 * zcdma_charge() - charge pages to a user's RLIMIT_MEMLOCK
 * @cred: whose; the caller holds a reference until zcdma_uncharge().
 * @pages: how many.
 *
 * Return: 0, or -ENOMEM when that is over the calling process's limit and it
 * lacks CAP_IPC_LOCK.
 */
int zcdma_charge(const struct cred *cred, unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;

	if (atomic_long_add_return(pages, &cred->user->locked_vm) <= limit || capable(CAP_IPC_LOCK))
		return 0;
	zcdma_uncharge(cred, pages);
	return -ENOMEM;
}

void zcdma_uncharge(const struct cred *cred, unsigned long pages)
{
	atomic_long_sub(pages, &cred->user->locked_vm);
}

/* Our error for what pinning says: an address that is no memory is EFAULT, whatever kind. */
static int pin_error(long got)
{
	return got == -ENOMEM || got == -EINTR ? got : -EFAULT;
}

static int pin_all(struct zcdma_mem *mem, unsigned long addr, unsigned int nr,
		   unsigned int flags)
{
	if (mem->dir != DMA_TO_DEVICE)
		flags |= FOLL_WRITE;

	for (;;) {
		long got = pin_user_pages_fast(addr + mem->nr_pages * PAGE_SIZE,
					       min(nr - mem->nr_pages, PIN_BATCH), flags,
					       mem->pages + mem->nr_pages);

		if (got <= 0)
			return pin_error(got);
		mem->nr_pages += got;
		if (mem->nr_pages == nr)
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/**
 * zcdma_mem_pin() - pin user pages of the calling process
 * @mem: zeroed; on success to be given to zcdma_mem_release().
 * @addr: user address.
 * @len: in bytes, 1 to ZCDMA_MAX_LEN; @addr + @len does not wrap.
 * @dir: DMA_TO_DEVICE to read them, otherwise to write them as well.
 * @flags: FOLL_LONGTERM if they stay pinned for longer than a transfer, as those
 *	of a registered buffer do. For one transfer it is as for direct I/O: 0.
 *
 * May sleep, for as long as a page fault takes.
 *
 * Return: 0, -EFAULT, -ENOMEM, or -EINTR when the process is being killed.
 */
int zcdma_mem_pin(struct zcdma_mem *mem, u64 addr, size_t len, enum dma_data_direction dir,
		  unsigned int flags)
{
	unsigned int nr = zcdma_mem_span(addr, len);
	int err;

	if (addr != (unsigned long)addr)
		return -EFAULT;
	mem->dir = dir;
	mem->pinned = true;
	mem->offset = offset_in_page(addr);
	mem->pages = mem->inline_pages;
	if (nr > ZCDMA_INLINE) {
		mem->pages = kvmalloc_array(nr, sizeof(*mem->pages), GFP_KERNEL_ACCOUNT);
		if (!mem->pages)
			return -ENOMEM;
	}
	err = pin_all(mem, addr & PAGE_MASK, nr, flags);
	if (err)
		zcdma_mem_release(mem, false);
	return err;
}

/**
 * zcdma_mem_pattern() - a page of our own, full of one byte, as a source
 * @mem: zeroed; on success to be given to zcdma_mem_release().
 * @byte: the byte.
 *
 * Return: 0 or -ENOMEM.
 */
int zcdma_mem_pattern(struct zcdma_mem *mem, u8 byte)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);

	if (!page)
		return -ENOMEM;
	memset(page_address(page), byte, PAGE_SIZE);
	mem->dir = DMA_TO_DEVICE;
	mem->offset = 0;
	mem->pages = mem->inline_pages;
	mem->pages[0] = page;
	mem->nr_pages = 1;
	return 0;
}

/**
 * zcdma_mem_release() - unpin (or free) the pages
 * @mem: not mapped.
 * @written: an engine or a CPU may have written to them.
 *
 * May sleep: pages of a file are locked to be marked dirty.
 */
void zcdma_mem_release(struct zcdma_mem *mem, bool written)
{
	if (mem->pinned)
		unpin_user_pages_dirty_lock(mem->pages, mem->nr_pages,
					    written && mem->dir != DMA_TO_DEVICE);
	else if (mem->nr_pages)
		__free_page(mem->pages[0]);
	if (mem->pages != mem->inline_pages)
		kvfree(mem->pages);
	zcdma_mem_reset(mem);
}

/*
 * The longest segment from byte @at of the mem, up to @len bytes: pages that follow
 * each other, within the device's segment limit and boundary.
 *
 * sg_alloc_table_from_pages_segment() knows neither a limit below a page nor a
 * boundary, and mapping such a segment is a DMA-API error.
 */
static inline size_t segment_len(const struct zcdma_mem *mem, const struct zcdma_chan *chan,
				 size_t at, size_t len)
{
	size_t first = mem->offset + at;
	struct page **page = mem->pages + (first >> PAGE_SHIFT);
	phys_addr_t phys = page_to_phys(*page) + offset_in_page(first);
	size_t limit = zcdma_within(chan->boundary, phys, min(len, chan->max_seg));
	size_t run = PAGE_SIZE - offset_in_page(first);

	for (; run < limit && page_to_pfn(page[1]) == page_to_pfn(page[0]) + 1; page++)
		run += PAGE_SIZE;
	return min(run, limit);
}

static unsigned int count_segments(const struct zcdma_mem *mem, const struct zcdma_chan *chan,
				   size_t start, size_t len)
{
	size_t end = start + len;
	unsigned int nr = 0;

	for (; start < end; nr++)
		start += segment_len(mem, chan, start, end - start);
	return nr;
}

static int alloc_sg(struct zcdma_mem *mem, unsigned int nr)
{
	if (nr > ZCDMA_INLINE)
		return sg_alloc_table(&mem->sgt, nr, GFP_KERNEL_ACCOUNT);
	sg_init_table(mem->inline_sg, nr);
	mem->sgt.sgl = mem->inline_sg;
	mem->sgt.nents = nr;
	mem->sgt.orig_nents = nr;
	return 0;
}

/* The segments of @len bytes from byte @start of the mem. */
static int build_sg(struct zcdma_mem *mem, const struct zcdma_chan *chan, size_t start, size_t len)
{
	int err = alloc_sg(mem, count_segments(mem, chan, start, len));
	struct scatterlist *sg;
	unsigned int i;

	if (err)
		return err;
	for_each_sgtable_sg(&mem->sgt, sg, i) {
		size_t part = segment_len(mem, chan, start, len);
		size_t first = mem->offset + start;

		sg_set_page(sg, mem->pages[first >> PAGE_SHIFT], part, offset_in_page(first));
		start += part;
		len -= part;
	}
	return 0;
}

static void free_sg(struct zcdma_mem *mem)
{
	if (mem->sgt.sgl == mem->inline_sg)
		memset(&mem->sgt, 0, sizeof(mem->sgt));
	else
		sg_free_table(&mem->sgt);
}

/* Does anything lie between what the CPU and what the engine sees: a cache, a bounce buffer? */
static bool needs_sync(const struct zcdma_mem *mem, struct zcdma_chan *chan)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(&mem->sgt, sg, i)
		if (dma_need_sync(chan->dev, sg_dma_address(sg)))
			return true;
	return false;
}

/* What is one segment is mapped with less ado. */
static int map_single(struct zcdma_mem *mem, struct zcdma_chan *chan, size_t start, size_t len)
{
	size_t first = mem->offset + start;
	struct scatterlist *sg = mem->inline_sg;
	dma_addr_t addr = dma_map_page_attrs(chan->dev, mem->pages[first >> PAGE_SHIFT],
					     offset_in_page(first), len, mem->dir,
					     DMA_ATTR_SKIP_CPU_SYNC);

	if (dma_mapping_error(chan->dev, addr))
		return -ENOMEM;
	sg->page_link = 0;
	sg_mark_end(sg);
	sg_dma_address(sg) = addr;
	sg_dma_len(sg) = len;
	mem->sgt.sgl = sg;
	mem->single = true;
	mem->sync = dma_need_sync(chan->dev, addr);
	return 0;
}

static int map_many(struct zcdma_mem *mem, struct zcdma_chan *chan, size_t start, size_t len)
{
	int err = build_sg(mem, chan, start, len);

	if (err)
		return err;
	err = dma_map_sgtable(chan->dev, &mem->sgt, mem->dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (err)
		free_sg(mem);
	else
		mem->sync = needs_sync(mem, chan);
	return err;
}

/**
 * zcdma_mem_map() - give a part of the memory to a channel's device
 * @mem: pinned, not mapped.
 * @chan: its lease must hold until zcdma_mem_unmap().
 * @start: first byte, counted from byte 0 of the mem.
 * @len: in bytes, not 0.
 *
 * What an engine may touch is to be synchronized as well: see zcdma_mem_to_device().
 * May sleep.
 *
 * Return: 0 or -errno; -ENOMEM and -EIO may mean that addresses or bounce
 * buffers are short just now.
 */
int zcdma_mem_map(struct zcdma_mem *mem, struct zcdma_chan *chan, size_t start, size_t len)
{
	if (segment_len(mem, chan, start, len) == len)
		return map_single(mem, chan, start, len);
	return map_many(mem, chan, start, len);
}

/**
 * zcdma_mem_unmap() - take it back
 * @mem: mapped; the engine can no longer touch it.
 * @chan: as for zcdma_mem_map().
 */
void zcdma_mem_unmap(struct zcdma_mem *mem, struct zcdma_chan *chan)
{
	struct scatterlist *sg = mem->sgt.sgl;

	if (mem->single) {
		dma_unmap_page_attrs(chan->dev, sg_dma_address(sg), sg_dma_len(sg), mem->dir,
				     DMA_ATTR_SKIP_CPU_SYNC);
		mem->sgt.sgl = NULL;
	} else {
		dma_unmap_sgtable(chan->dev, &mem->sgt, mem->dir, DMA_ATTR_SKIP_CPU_SYNC);
		free_sg(mem);
	}
	mem->single = false;
	mem->sync = false;
}

/**
 * zcdma_mem_to_device() - what the CPU wrote is to be seen by the engine
 * @mem: mapped.
 * @chan: as for zcdma_mem_map().
 *
 * In any context, as the next three. To be called before the engine touches it,
 * whichever way that moves.
 */
void zcdma_mem_to_device(struct zcdma_mem *mem, struct zcdma_chan *chan)
{
	struct scatterlist *sg = mem->sgt.sgl;

	if (!mem->sync)
		return;
	if (mem->single)
		dma_sync_single_for_device(chan->dev, sg_dma_address(sg), sg_dma_len(sg),
					   mem->dir);
	else
		dma_sync_sgtable_for_device(chan->dev, &mem->sgt, mem->dir);
}

/**
 * zcdma_mem_to_cpu() - what the engine wrote is to be seen by the CPU
 * @mem: mapped; the engine can no longer touch it.
 * @chan: as for zcdma_mem_map().
 */
void zcdma_mem_to_cpu(struct zcdma_mem *mem, struct zcdma_chan *chan)
{
	struct scatterlist *sg = mem->sgt.sgl;

	if (!mem->sync)
		return;
	if (mem->single)
		dma_sync_single_for_cpu(chan->dev, sg_dma_address(sg), sg_dma_len(sg), mem->dir);
	else
		dma_sync_sgtable_for_cpu(chan->dev, &mem->sgt, mem->dir);
}

/*
 * The same for a part of what is mapped, where it needs it at all (mem->sync), for an
 * engine that moves in direction @dir.
 */
void zcdma_part_to_device(struct zcdma_chan *chan, struct zcdma_cursor at, size_t len,
			  enum dma_data_direction dir)
{
	size_t part = min(len, zcdma_cursor_left(&at));

	dma_sync_single_for_device(chan->dev, zcdma_cursor_addr(&at), part, dir);
	while (len -= part) {
		zcdma_cursor_advance(&at, part);
		part = min(len, zcdma_cursor_left(&at));
		dma_sync_single_for_device(chan->dev, zcdma_cursor_addr(&at), part, dir);
	}
}

void zcdma_part_to_cpu(struct zcdma_chan *chan, struct zcdma_cursor at, size_t len)
{
	size_t part = min(len, zcdma_cursor_left(&at));

	dma_sync_single_for_cpu(chan->dev, zcdma_cursor_addr(&at), part, DMA_FROM_DEVICE);
	while (len -= part) {
		zcdma_cursor_advance(&at, part);
		part = min(len, zcdma_cursor_left(&at));
		dma_sync_single_for_cpu(chan->dev, zcdma_cursor_addr(&at), part, DMA_FROM_DEVICE);
	}
}

/* Bytes from byte @at of the mem to the end of its page. */
static size_t room_in_page(const struct zcdma_mem *mem, size_t at)
{
	return PAGE_SIZE - offset_in_page(mem->offset + at);
}

static void *map_byte(struct zcdma_mem *mem, size_t at)
{
	size_t first = mem->offset + at;

	return kmap_local_page(mem->pages[first >> PAGE_SHIFT]) + offset_in_page(first);
}

/* The page's other mappings (user space's) must see what the CPU wrote through ours. */
static void unmap_written(struct zcdma_mem *mem, size_t at, void *addr)
{
	flush_dcache_page(mem->pages[(mem->offset + at) >> PAGE_SHIFT]);
	kunmap_local(addr);
}

/**
 * zcdma_mem_copy() - move bytes by CPU
 * @dst: target; the engine does not touch these bytes.
 * @to: first byte in it.
 * @src: source.
 * @from: first byte in it.
 * @len: in bytes. More than a few are for contexts that may sleep.
 */
void zcdma_mem_copy(struct zcdma_mem *dst, size_t to, struct zcdma_mem *src, size_t from,
		    size_t len)
{
	while (len) {
		size_t part = min3(len, room_in_page(dst, to), room_in_page(src, from));
		void *read = map_byte(src, from);
		void *written = map_byte(dst, to);

		memcpy(written, read, part);
		unmap_written(dst, to, written);
		kunmap_local(read);
		from += part;
		to += part;
		len -= part;
	}
}

/**
 * zcdma_mem_fill() - fill bytes by CPU
 * @dst: target; the engine does not touch these bytes.
 * @byte: with what.
 * @start: first byte.
 * @len: in bytes. More than a few are for contexts that may sleep.
 */
void zcdma_mem_fill(struct zcdma_mem *dst, u8 byte, size_t start, size_t len)
{
	while (len) {
		size_t part = min(len, room_in_page(dst, start));
		void *to = map_byte(dst, start);

		memset(to, byte, part);
		unmap_written(dst, start, to);
		start += part;
		len -= part;
	}
}
