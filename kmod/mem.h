/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that an engine may reach: pin, charge, map, synchronize, unmap, unpin. That of one op
 * as well as that of a registered buffer. What holds for it is at the head of mem.c.
 */
#ifndef _ZC_MEM_H
#define _ZC_MEM_H

#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

struct cred;

/* Pages and segments that fit here need no allocation: up to 4 KiB at any offset. */
#define ZC_INLINE	2

/**
 * struct zc_limits - what an engine's device wants of memory
 * @dev: the device that DMA is mapped for.
 * @boundary: mask of addresses that a piece must not cross.
 * @max_seg: longest segment to map, a multiple of @grain.
 * @align: alignment that the engine wants of addresses, in bytes, a power of two.
 * @grain: what the pieces of an op are cut at: @align or, where the engine does not see the
 *	CPU's caches, a cache line. The same.
 */
struct zc_limits {
	struct device *dev;
	u64 boundary;
	size_t max_seg;
	u32 align;
	u32 grain;
};

/**
 * struct zc_mem - pages of a user (or one page of ours), mapped for DMA or not
 * @pages: page list; @inline_pages when they fit.
 * @nr_pages: how many.
 * @offset: of the first byte in the first page.
 * @pinned: they are a user's and pinned; otherwise they are our own.
 * @single: mapped as one piece, without a scatter-gather table.
 * @sync: mapped, and the CPU and the engine do not see the same without a sync.
 * @apart: mapped, and a segment may hold pages that lie apart: an IOMMU has put them together.
 * @shifted: mapped, and the engine sees an alignment that is not the CPU's.
 * @dir: which way the engine moves.
 * @sgt: what the device sees of the mapped part; no entries when not mapped.
 */
struct zc_mem {
	struct page **pages;
	unsigned int nr_pages;
	unsigned int offset;
	bool pinned;
	bool single;
	bool sync;
	bool apart;
	bool shifted;
	u8 dir;		/* enum dma_data_direction */
	struct sg_table sgt;
	struct page *inline_pages[ZC_INLINE];
	struct scatterlist inline_sg[ZC_INLINE];
};

/* No memory: what zc_mem_release() leaves behind, and takes. */
static inline void zc_mem_reset(struct zc_mem *mem)
{
	mem->pages = NULL;
	mem->nr_pages = 0;
	mem->pinned = false;
	mem->single = false;
	mem->sync = false;
	mem->apart = false;
	mem->shifted = false;
	mem->sgt.sgl = NULL;
}

/* A place in a mapped list. */
struct zc_cursor {
	struct scatterlist *sg;
	size_t offset;
};

static inline dma_addr_t zc_cursor_addr(const struct zc_cursor *at)
{
	return sg_dma_address(at->sg) + at->offset;
}

static inline size_t zc_cursor_left(const struct zc_cursor *at)
{
	return sg_dma_len(at->sg) - at->offset;
}

/* Is it one piece from there: in one segment, and not cut by a boundary, given as a mask? */
static inline bool zc_cursor_is_piece(const struct zc_cursor *at, size_t len, u64 boundary)
{
	dma_addr_t addr = zc_cursor_addr(at);

	return at->offset + len <= sg_dma_len(at->sg) && !((addr ^ (addr + len - 1)) & ~boundary);
}

void zc_cursor_next(struct zc_cursor *at);

/* Forward by @len bytes, at most to the end of the list. */
static inline void zc_cursor_advance(struct zc_cursor *at, size_t len)
{
	at->offset += len;
	if (at->offset >= sg_dma_len(at->sg))
		zc_cursor_next(at);
}

/* How many of @len bytes (not 0) at @addr do not cross a boundary, given as a mask. */
static inline size_t zc_within(u64 boundary, u64 addr, size_t len)
{
	return min_t(u64, len - 1, boundary - (addr & boundary)) + 1;
}

/* Pages that @len bytes at @addr touch. The caller has checked that they do not wrap. */
static inline unsigned long zc_mem_span(u64 addr, u64 len)
{
	return (offset_in_page(addr) + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

int zc_charge(const struct cred *cred, unsigned long pages);
void zc_uncharge(const struct cred *cred, unsigned long pages);
int zc_mem_pin(struct zc_mem *mem, u64 addr, size_t len, enum dma_data_direction dir,
	       bool longterm);
int zc_mem_pattern(struct zc_mem *mem, u8 byte);
bool zc_mem_try_dirty(const struct zc_mem *mem);
void zc_mem_release(struct zc_mem *mem, bool written);
int zc_mem_map(struct zc_mem *mem, const struct zc_limits *limits, size_t start, size_t len);
void zc_mem_unmap(struct zc_mem *mem, struct device *dev);
void zc_mem_copy(struct zc_mem *dst, size_t to, struct zc_mem *src, size_t from, size_t len);
void zc_mem_fill(struct zc_mem *dst, u8 byte, size_t start, size_t len);

/* ---- whose the bytes are: the CPU's or the engine's ---- */

/**
 * struct zc_sync - what is to be synchronized next
 * @dev: the device that the memory is mapped for.
 * @dir: DMA_TO_DEVICE for what the engine is to read, DMA_BIDIRECTIONAL for what it is to write,
 *	DMA_FROM_DEVICE for what it wrote: that goes back to the CPU.
 * @apart: see struct zc_mem.
 * @at: a part of one segment; nothing yet without one.
 * @end: of that part, in the segment.
 *
 * It grows by what follows there: a batch of pieces costs little more than one.
 */
struct zc_sync {
	struct device *dev;
	enum dma_data_direction dir;
	bool apart;
	struct zc_cursor at;
	size_t end;
};

void zc_sync_do(struct zc_sync *part);
void zc_mem_sync(const struct zc_mem *mem, struct device *dev, struct zc_cursor at, size_t len,
		 enum dma_data_direction dir);

/* What was added is synchronized by now. */
static inline void zc_sync_end(struct zc_sync *part)
{
	if (part->at.sg)
		zc_sync_do(part);
}

/* @len bytes from @at on, if they need it; they are synchronized by zc_sync_end() at the latest. */
static inline void zc_sync_add(struct zc_sync *part, const struct zc_mem *mem,
			       const struct zc_cursor *at, size_t len)
{
	if (part->at.sg == at->sg && part->end == at->offset) {
		part->end += len;
		return;
	}
	zc_sync_end(part);
	if (!mem->sync)
		return;
	part->apart = mem->apart;
	part->at = *at;
	part->end = at->offset + len;
}

#endif
