// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that an engine may reach: pin, account, map, sync, unmap, unpin. That of one
 * op as well as that of a registered buffer.
 *
 * What holds for a struct zc_mem:
 *
 * - Byte 0 of the mem is byte "offset" of pages[0]. "start" and "len" below
 *   count from byte 0 of the mem, in bytes, "first" from the begin of the first page;
 *   none goes past what was pinned. An op is at most a GiB long, so nothing overflows.
 *
 * - Mapping never synchronizes (DMA_ATTR_SKIP_CPU_SYNC): it only makes
 *   addresses. The synchronization is explicit: of each piece, when it is handed to the
 *   engine and when it comes back. What never went to the engine needs no undoing. And
 *   users may well have two ops in flight on the same cache line, which is fine with the
 *   engine and with us, but looks like a forbidden double mapping where mapping means
 *   "now it is the device's".
 *
 * - What an engine is to write is mapped for both directions, and handed over as such: that
 *   cleans the CPU's caches. DMA_FROM_DEVICE may throw away what the CPU wrote, and then a
 *   piece that the engine did not take after all would have changed its target.
 *
 * - dma_sync_single_*() goes by physical addresses from the first byte on. An IOMMU makes
 *   one segment of pages that lie apart ("apart"): there each page is synchronized alone, or
 *   the memory of others behind the first would be.
 *
 * - A mapping that cannot be had, of bounce buffers that are full for one, is an error that
 *   the user is told of, and no matter for the kernel's log (DMA_ATTR_NO_WARN).
 *
 * - On a machine whose engine does not see the CPU's caches, no cache line is
 *   both inside a mapped target and outside of it: op.c leaves the edges to
 *   the CPU. Synchronizing such a line for the CPU would throw away what other
 *   threads wrote next to the target, or the engine's bytes.
 *
 * - What the CPU moves itself (zc_mem_copy(), zc_mem_fill()) it moves
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
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include "compat.h"
#include "mem.h"

/* How many pages to pin between two looks at pending signals. */
#define PIN_BATCH	1024U

/* Past the end of a segment: on to where it is in the next ones. */
void zc_cursor_next(struct zc_cursor *at)
{
	while (at->sg && at->offset >= sg_dma_len(at->sg)) {
		at->offset -= sg_dma_len(at->sg);
		at->sg = sg_next(at->sg);
	}
}

/**
 * zc_charge() - charge pages to a user's RLIMIT_MEMLOCK
 * @cred: whose; the caller holds a reference until zc_uncharge().
 * @pages: how many.
 *
 * Return: 0, or -ENOMEM when that is over the calling process's limit and it
 * lacks CAP_IPC_LOCK.
 */
int zc_charge(const struct cred *cred, unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;

	if (atomic_long_add_return(pages, compat_locked_vm(cred->user)) <= limit ||
	    capable(CAP_IPC_LOCK))
		return 0;
	zc_uncharge(cred, pages);
	return -ENOMEM;
}

void zc_uncharge(const struct cred *cred, unsigned long pages)
{
	atomic_long_sub(pages, compat_locked_vm(cred->user));
}

/* Our error for what pinning says: an address that is no memory is EFAULT, whatever kind. */
static int mem_pin_error(long got)
{
	switch (got) {
	case -ENOMEM:
	case -EINTR:
		return got;
	case -EAGAIN:
	case -EBUSY:
		return -ENOMEM;		/* its page is on the move, and cannot be had now */
	}
	return -EFAULT;
}

/*
 * Before Linux 6.2 a long-term pin for reading took what was there: the page of zeros, or
 * that of the file behind a private mapping. When the program writes, it gets another page,
 * and the pinned one is nobody's. To pin it for writing as well gives the program its own page
 * at once; where that is not allowed, the mapping is shared, and its page is the one.
 */
static long mem_pin_some(unsigned long addr, unsigned int nr, unsigned int flags,
			 struct page **pages)
{
	long got;

	if (COMPAT_PIN_TO_READ_IS_STALE && (flags & FOLL_LONGTERM) && !(flags & FOLL_WRITE)) {
		/* By force it could be had though the program may not even read it. */
		size_t size = nr * PAGE_SIZE;

		nr = (size - fault_in_readable((char __user *)addr, size)) >> PAGE_SHIFT;
		if (!nr)
			return -EFAULT;
		got = pin_user_pages_fast(addr, nr, flags | FOLL_WRITE | FOLL_FORCE, pages);
		if (got != -EFAULT)
			return got;
		nr = 1;			/* behind it there may be another mapping */
	}
	return pin_user_pages_fast(addr, nr, flags, pages);
}

static int mem_pin_all(struct zc_mem *mem, unsigned long addr, unsigned int nr,
		       unsigned int flags)
{
	for (;;) {
		long got = mem_pin_some(addr + mem->nr_pages * PAGE_SIZE,
					min(nr - mem->nr_pages, PIN_BATCH), flags,
					mem->pages + mem->nr_pages);

		if (got <= 0)
			return mem_pin_error(got);
		mem->nr_pages += got;
		if (mem->nr_pages == nr)
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/**
 * zc_mem_pin() - pin user pages of the calling process
 * @mem: reset; on success to be given to zc_mem_release().
 * @addr: user address.
 * @len: in bytes, 1 to a GiB; @addr + @len does not wrap.
 * @dir: DMA_TO_DEVICE to read them, DMA_BIDIRECTIONAL to write them as well.
 * @longterm: they may stay pinned for longer than a transfer by direct I/O.
 *
 * May sleep, for as long as a page fault takes.
 *
 * Return: 0, -EFAULT, -ENOMEM, or -EINTR when the process is being killed.
 */
int zc_mem_pin(struct zc_mem *mem, u64 addr, size_t len, enum dma_data_direction dir,
	       bool longterm)
{
	unsigned int flags = (longterm ? FOLL_LONGTERM : 0) |
			     (dir == DMA_TO_DEVICE ? 0 : FOLL_WRITE);
	unsigned int nr = zc_mem_span(addr, len);
	int err;

	if (addr != (unsigned long)addr)
		return -EFAULT;
	mem->dir = dir;
	mem->pinned = true;
	mem->offset = offset_in_page(addr);
	mem->pages = mem->inline_pages;
	if (nr > ZC_INLINE) {
		mem->pages = kvmalloc_array(nr, sizeof(*mem->pages), GFP_KERNEL_ACCOUNT);
		if (!mem->pages)
			return -ENOMEM;
	}
	err = mem_pin_all(mem, addr & PAGE_MASK, nr, flags);
	if (err)
		zc_mem_release(mem, false);
	return err;
}

/**
 * zc_mem_pattern() - a page of our own, full of one byte, as a source
 * @mem: zeroed; on success to be given to zc_mem_release().
 * @byte: the byte.
 *
 * Return: 0 or -ENOMEM.
 */
int zc_mem_pattern(struct zc_mem *mem, u8 byte)
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

static void mem_free_sg(struct zc_mem *mem)
{
	if (mem->sgt.sgl && mem->sgt.sgl != mem->inline_sg)
		sg_free_table(&mem->sgt);
	mem->sgt.sgl = NULL;
}

/**
 * zc_mem_try_dirty() - mark the pages dirty, if none of them is locked
 * @mem: not mapped; an engine or a CPU may have written to it.
 *
 * To be followed by zc_mem_release(), as if nothing had been written.
 *
 * Return: false when a file system has one, for as long as it likes. Once more is harmless.
 */
bool zc_mem_try_dirty(const struct zc_mem *mem)
{
	struct folio *folio;
	unsigned int i;

	for (i = 0; mem->pinned && mem->dir != DMA_TO_DEVICE && i < mem->nr_pages; i++) {
		if (!(i % 1024))
			cond_resched();
		folio = page_folio(mem->pages[i]);
		if (folio_test_dirty(folio))
			continue;
		if (!folio_trylock(folio))
			return false;
		folio_mark_dirty(folio);
		folio_unlock(folio);
	}
	return true;
}

/**
 * zc_mem_release() - unpin (or free) the pages
 * @mem: not mapped.
 * @written: an engine or a CPU may have written to them.
 *
 * May sleep: pages of a file are locked to be marked dirty.
 */
void zc_mem_release(struct zc_mem *mem, bool written)
{
	if (mem->pinned)
		unpin_user_pages_dirty_lock(mem->pages, mem->nr_pages,
					    written && mem->dir != DMA_TO_DEVICE);
	else if (mem->nr_pages)
		__free_page(mem->pages[0]);
	if (mem->pages != mem->inline_pages)
		kvfree(mem->pages);
	mem_free_sg(mem);
	zc_mem_reset(mem);
}

/*
 * The longest segment from byte @first of the pages, up to @len bytes: pages that follow
 * each other, within the device's segment limit and boundary.
 *
 * sg_alloc_table_from_pages_segment() knows neither a limit below a page nor a
 * boundary, and mapping such a segment is a DMA-API error.
 */
static inline size_t mem_segment(const struct zc_mem *mem, const struct zc_limits *limits,
				 size_t first, size_t len)
{
	struct page **page = mem->pages + (first >> PAGE_SHIFT);
	phys_addr_t phys = page_to_phys(*page) + offset_in_page(first);
	size_t limit = zc_within(limits->boundary, phys, min(len, limits->max_seg));
	size_t run = PAGE_SIZE - offset_in_page(first);

	for (; run < limit && page_to_pfn(page[1]) == page_to_pfn(page[0]) + 1; page++)
		run += PAGE_SIZE;
	return min(run, limit);
}

static unsigned int mem_count_segments(const struct zc_mem *mem, const struct zc_limits *limits,
				       size_t first, size_t len)
{
	size_t end = first + len;
	unsigned int nr = 0;

	for (; first < end; nr++)
		first += mem_segment(mem, limits, first, end - first);
	return nr;
}

static int mem_alloc_sg(struct zc_mem *mem, unsigned int nr)
{
	if (nr > ZC_INLINE)
		return sg_alloc_table(&mem->sgt, nr, GFP_KERNEL_ACCOUNT);
	sg_init_table(mem->inline_sg, nr);
	mem->sgt.sgl = mem->inline_sg;
	mem->sgt.nents = nr;
	mem->sgt.orig_nents = nr;
	return 0;
}

static int mem_build_sg(struct zc_mem *mem, const struct zc_limits *limits, size_t first,
			size_t len)
{
	int err = mem_alloc_sg(mem, mem_count_segments(mem, limits, first, len));
	struct scatterlist *sg;
	unsigned int i;

	if (err)
		return err;
	for_each_sgtable_sg(&mem->sgt, sg, i) {
		size_t part = mem_segment(mem, limits, first, len);

		sg_set_page(sg, mem->pages[first >> PAGE_SHIFT], part, offset_in_page(first));
		first += part;
		len -= part;
	}
	return 0;
}

/*
 * Does anything lie between what the CPU and what the engine sees: a cache, a bounce buffer? And
 * does that keep the low bits of addresses? Bounce buffers do not keep those of a segment's begin.
 */
static void mem_look_at_segments(struct zc_mem *mem, const struct zc_limits *limits, size_t first)
{
	struct scatterlist *sg;
	unsigned int i;

	mem->sync = false;
	mem->shifted = false;
	for_each_sgtable_dma_sg(&mem->sgt, sg, i) {
		mem->sync |= dma_need_sync(limits->dev, sg_dma_address(sg));
		mem->shifted |= !!((sg_dma_address(sg) ^ first) & (limits->align - 1));
		first += sg_dma_len(sg);
	}
}

/* What is one segment is mapped with less ado. */
static int mem_map_single(struct zc_mem *mem, const struct zc_limits *limits, size_t first,
			  size_t len)
{
	struct scatterlist *sg = mem->inline_sg;
	dma_addr_t addr = dma_map_page_attrs(limits->dev, mem->pages[first >> PAGE_SHIFT],
					     offset_in_page(first), len, mem->dir,
					     DMA_ATTR_SKIP_CPU_SYNC | DMA_ATTR_NO_WARN);

	if (dma_mapping_error(limits->dev, addr))
		return -ENOMEM;
	sg->page_link = 0;
	sg_mark_end(sg);
	sg_dma_address(sg) = addr;
	sg_dma_len(sg) = len;
	mem->sgt.sgl = sg;
	mem->single = true;
	mem->apart = false;
	mem->sync = dma_need_sync(limits->dev, addr);
	mem->shifted = (addr ^ first) & (limits->align - 1);
	return 0;
}

static int mem_map_many(struct zc_mem *mem, const struct zc_limits *limits, size_t first,
			size_t len)
{
	int err = mem_build_sg(mem, limits, first, len);

	if (err)
		return err;
	err = dma_map_sgtable(limits->dev, &mem->sgt, mem->dir,
			      DMA_ATTR_SKIP_CPU_SYNC | DMA_ATTR_NO_WARN);
	if (err) {
		mem_free_sg(mem);
		return err;
	}
	mem->apart = mem->sgt.nents < mem->sgt.orig_nents;
	mem_look_at_segments(mem, limits, first);
	return 0;
}

/**
 * zc_mem_map() - give a part of the memory to an engine's device
 * @mem: pinned, not mapped.
 * @limits: the device's; its lease must hold until zc_mem_unmap().
 * @first: first byte, counted from the begin of the first page. Where the engine wants
 *	alignment, it is as aligned as what the engine is to touch.
 * @len: in bytes, not 0.
 *
 * What an engine may touch is to be synchronized as well. May sleep.
 *
 * Return: 0 or -errno; -ENOMEM and -EIO may mean that addresses or bounce
 * buffers are short just now.
 */
int zc_mem_map(struct zc_mem *mem, const struct zc_limits *limits, size_t first, size_t len)
{
	if (mem_segment(mem, limits, first, len) == len)
		return mem_map_single(mem, limits, first, len);
	return mem_map_many(mem, limits, first, len);
}

/**
 * zc_mem_unmap() - take it back
 * @mem: mapped; the engine can no longer touch it.
 * @dev: the device that it is mapped for.
 *
 * The list stays until zc_mem_release(): an op that comes too late may be looking at it, before it
 * hears that the device is gone.
 */
void zc_mem_unmap(struct zc_mem *mem, struct device *dev)
{
	struct scatterlist *sg = mem->sgt.sgl;

	if (mem->single) {
		dma_unmap_page_attrs(dev, sg_dma_address(sg), sg_dma_len(sg), mem->dir,
				     DMA_ATTR_SKIP_CPU_SYNC);
	} else {
		dma_unmap_sgtable(dev, &mem->sgt, mem->dir, DMA_ATTR_SKIP_CPU_SYNC);
	}
	mem->single = false;
	mem->sync = false;
}

/* In any context: before the engine touches what was added, or when it no longer can. */
void zc_sync_do(struct zc_sync *part)
{
	size_t left = part->end - part->at.offset, step;
	dma_addr_t addr = zc_cursor_addr(&part->at);

	do {
		step = part->apart ? min_t(size_t, left, SZ_4K - (addr & (SZ_4K - 1))) : left;
		if (part->dir == DMA_FROM_DEVICE)
			dma_sync_single_for_cpu(part->dev, addr, step, part->dir);
		else
			dma_sync_single_for_device(part->dev, addr, step, part->dir);
		addr += step;
		left -= step;
	} while (left);
	part->at.sg = NULL;
}

/* @len bytes from @at on, in however many segments. See struct zc_sync. */
void zc_mem_sync(const struct zc_mem *mem, struct device *dev, struct zc_cursor at, size_t len,
		 enum dma_data_direction dir)
{
	struct zc_sync part = { .dev = dev, .dir = dir };
	size_t step;

	for (; mem->sync && len; at.offset += step, len -= step) {
		zc_cursor_advance(&at, 0);
		step = min(len, zc_cursor_left(&at));
		zc_sync_add(&part, mem, &at, step);
	}
	zc_sync_end(&part);
}

/* Bytes from byte @at of the mem to the end of its page. */
static size_t mem_room_in_page(const struct zc_mem *mem, size_t at)
{
	return PAGE_SIZE - offset_in_page(mem->offset + at);
}

static void *mem_map_byte(struct zc_mem *mem, size_t at)
{
	size_t first = mem->offset + at;

	return kmap_local_page(mem->pages[first >> PAGE_SHIFT]) + offset_in_page(first);
}

/* The page's other mappings (user space's) must see what the CPU wrote through ours. */
static void mem_unmap_written(struct zc_mem *mem, size_t at, void *addr)
{
	flush_dcache_page(mem->pages[(mem->offset + at) >> PAGE_SHIFT]);
	kunmap_local(addr);
}

/**
 * zc_mem_copy() - move bytes by CPU
 * @dst: target; the engine does not touch these bytes.
 * @to: first byte in it.
 * @src: source.
 * @from: first byte in it.
 * @len: in bytes. More than a few are for contexts that may sleep.
 */
void zc_mem_copy(struct zc_mem *dst, size_t to, struct zc_mem *src, size_t from,
		 size_t len)
{
	while (len) {
		size_t part = min3(len, mem_room_in_page(dst, to), mem_room_in_page(src, from));
		void *read = mem_map_byte(src, from);
		void *written = mem_map_byte(dst, to);

		memcpy(written, read, part);
		mem_unmap_written(dst, to, written);
		kunmap_local(read);
		from += part;
		to += part;
		len -= part;
	}
}

/**
 * zc_mem_fill() - fill bytes by CPU
 * @dst: target; the engine does not touch these bytes.
 * @byte: with what.
 * @start: first byte.
 * @len: in bytes. More than a few are for contexts that may sleep.
 */
void zc_mem_fill(struct zc_mem *dst, u8 byte, size_t start, size_t len)
{
	while (len) {
		size_t part = min(len, mem_room_in_page(dst, start));
		void *to = mem_map_byte(dst, start);

		memset(to, byte, part);
		mem_unmap_written(dst, start, to);
		start += part;
		len -= part;
	}
}
