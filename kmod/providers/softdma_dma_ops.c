// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's DMA operations: what the DMA API does for the device while the ledger is on.
 *
 * They give out DMA addresses and write to the ledger; softdma_ledger.c judges. Told so
 * (ledger_merges), they do as an IOMMU does: entries of a list that meet at the ends of pages
 * become one segment, although these pages lie apart, within the longest segment and the boundary
 * that the device has told.
 */
#include <linux/dmaengine.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "../compat.h"
#include "softdma.h"
#include "softdma_mapping.h"

/* How many pages of DMA addresses @len bytes at @pa take. */
static unsigned int softdma_span(phys_addr_t pa, size_t len)
{
	return PFN_UP(offset_in_page(pa) + len);
}

static struct softdma_mapping *softdma_map_phys(struct device *dev, phys_addr_t pa, size_t size,
						enum dma_data_direction dir, u8 line,
						enum softdma_mapping_kind kind)
{
	struct softdma_mapping *m;

	if (!size) {
		softdma_violation(to_softdma_ledger(dev)->s, "a mapping of no bytes");
		return NULL;
	}
	m = softdma_mapping_alloc(softdma_span(pa, size));
	if (!m)
		return NULL;
	m->len = size;
	m->kind = kind;
	m->dir = dir;
	softdma_mapping_fill(m, 0, pa, size, line);
	return m;
}

/* Enter @m, which may be NULL, into the ledger; free it if that fails. */
static dma_addr_t softdma_map_enter(struct device *dev, struct softdma_mapping *m)
{
	if (m && !softdma_mapping_insert(to_softdma_ledger(dev), m))
		return m->addr;
	if (m)
		softdma_mapping_free(m);
	return DMA_MAPPING_ERROR;
}

static dma_addr_t softdma_map_range(struct device *dev, phys_addr_t pa, size_t size,
				    enum dma_data_direction dir, unsigned long attrs)
{
	struct softdma_mapping *m = softdma_map_phys(dev, pa, size, dir,
						     softdma_line_mapped(dir, attrs),
						     SOFTDMA_MAP_PAGE);

	if (m)
		m->shared = attrs & DMA_ATTR_SKIP_CPU_SYNC;
	return softdma_map_enter(dev, m);
}

COMPAT_DMA_MAP(softdma_map_range)

static void softdma_unmap_range(struct device *dev, dma_addr_t addr, size_t size,
				enum dma_data_direction dir, unsigned long attrs)
{
	struct softdma_ledger *l = to_softdma_ledger(dev);
	struct softdma_mapping *m = softdma_ledger_take_out(l, addr, SOFTDMA_MAP_PAGE);

	if (!m)
		return;
	if (m->len != size)
		softdma_violation(l->s, "unmapped with another length, %zu, not %zu: %pad",
				  size, m->len, &addr);
	else if (m->dir != dir)
		softdma_violation(l->s, "unmapped in another direction than it is mapped: %pad",
				  &addr);
	softdma_ledger_unmapped(l, m, attrs);
}

/* --- lists --- */

/* Where the entries of a list go, one after the other, and which become one segment. */
struct softdma_merge {
	u64 offset;		/* next free byte behind the first page */
	size_t len;		/* of the segment so far */
	u64 max_seg;
	u64 boundary;		/* a power of two; 0: none */
	bool merges;
};

static void softdma_merge_init(struct softdma_merge *merge, struct device *dev)
{
	merge->offset = 0;
	merge->len = 0;
	merge->max_seg = dma_get_max_seg_size(dev);
	merge->boundary = (u64)dma_get_seg_boundary(dev) + 1;
	merge->merges = IS_ENABLED(CONFIG_NEED_SG_DMA_LENGTH) &&
			to_softdma_ledger(dev)->s->traits.ledger_merges;
}

static bool softdma_crosses(const struct softdma_merge *merge, u64 from, u64 len)
{
	u64 boundary = merge->boundary;

	return boundary >= PAGE_SIZE && (from & (boundary - 1)) + len > boundary;
}

/* Place @sg. True: it was added to the segment before it. False: it begins a segment. */
static bool softdma_merge_on(struct softdma_merge *merge, struct scatterlist *sg)
{
	unsigned int offset = offset_in_page(sg_phys(sg));
	u64 begin = merge->offset - merge->len;
	bool on = merge->merges && merge->len && !offset && IS_ALIGNED(merge->offset, PAGE_SIZE) &&
		  merge->len + sg->length <= merge->max_seg &&
		  !softdma_crosses(merge, begin, merge->len + (u64)sg->length);

	if (!on) {
		merge->offset = round_up(merge->offset, PAGE_SIZE);
		if (softdma_crosses(merge, merge->offset + offset, sg->length))
			merge->offset = round_up(merge->offset, merge->boundary);
		merge->offset += offset;
		merge->len = 0;
	}
	merge->offset += sg->length;
	merge->len += sg->length;
	return on;
}

static struct softdma_mapping *softdma_list_alloc(struct device *dev, struct scatterlist *sgl,
						  int nents)
{
	struct softdma_mapping *m;
	struct softdma_merge merge;
	unsigned int longest = 0, shortest = UINT_MAX;
	struct scatterlist *sg;
	size_t len = 0;
	int i;

	softdma_merge_init(&merge, dev);
	for_each_sg(sgl, sg, nents, i) {
		softdma_merge_on(&merge, sg);
		len += sg->length;
		longest = max(longest, sg->length);
		shortest = min(shortest, sg->length);
	}
	if (!shortest || !len) {
		softdma_violation(to_softdma_ledger(dev)->s, "a mapping of no bytes");
		return ERR_PTR(-EINVAL);
	}
	if (longest > merge.max_seg)
		softdma_violation(to_softdma_ledger(dev)->s,
				  "an entry of a list has %u bytes, more than a segment may have",
				  longest);
	m = softdma_mapping_alloc(PFN_UP(merge.offset));
	if (!m)
		return ERR_PTR(-ENOMEM);
	m->len = len;
	return m;
}

/* Write the segments, with their DMA addresses, to the list. How many they are. */
static int softdma_list_tell(struct device *dev, struct softdma_mapping *m, struct scatterlist *sgl,
			     int nents)
{
	struct scatterlist *sg, *seg = NULL;
	struct softdma_merge merge;
	int i, segs = 0;

	softdma_merge_init(&merge, dev);
	for_each_sg(sgl, sg, nents, i) {
		if (softdma_merge_on(&merge, sg)) {
			sg_dma_len(seg) += sg->length;
			continue;
		}
		seg = seg ? sg_next(seg) : sgl;
		sg_dma_address(seg) = m->base + merge.offset - sg->length;
		sg_dma_len(seg) = sg->length;
		segs++;
	}
	if (segs < nents)	/* where the list ends for who looks at segments */
		sg_dma_len(sg_next(seg)) = 0;
	return segs;
}

static int softdma_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
			  enum dma_data_direction dir, unsigned long attrs)
{
	struct softdma_mapping *m = softdma_list_alloc(dev, sgl, nents);
	struct softdma_merge merge;
	struct scatterlist *sg;
	int i;

	if (IS_ERR(m))
		return PTR_ERR(m);
	m->kind = SOFTDMA_MAP_SG;
	m->nents = nents;
	m->dir = dir;
	m->shared = attrs & DMA_ATTR_SKIP_CPU_SYNC;
	softdma_merge_init(&merge, dev);
	for_each_sg(sgl, sg, nents, i) {
		softdma_merge_on(&merge, sg);
		softdma_mapping_fill(m, (merge.offset - sg->length) >> PAGE_SHIFT, sg_phys(sg),
				     sg->length, softdma_line_mapped(dir, attrs));
	}
	if (softdma_map_enter(dev, m) == DMA_MAPPING_ERROR)
		return -ENOMEM;
	return softdma_list_tell(dev, m, sgl, nents);
}

static void softdma_unmap_sg(struct device *dev, struct scatterlist *sgl, int nents,
			     enum dma_data_direction dir, unsigned long attrs)
{
	struct softdma_ledger *l = to_softdma_ledger(dev);
	dma_addr_t addr = sg_dma_address(sgl);
	struct softdma_mapping *m = softdma_ledger_take_out(l, addr, SOFTDMA_MAP_SG);

	if (!m)
		return;
	if (m->nents != nents)
		softdma_violation(l->s, "unmapped with another length, %d entries, not %d: %pad",
				  nents, m->nents, &addr);
	else if (m->dir != dir)
		softdma_violation(l->s, "unmapped in another direction than it is mapped: %pad",
				  &addr);
	softdma_ledger_unmapped(l, m, attrs);
}

/* --- synchronizing --- */

static void softdma_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size,
					enum dma_data_direction dir)
{
	softdma_ledger_sync(to_softdma_ledger(dev), addr, size, dir, false, true);
}

static void softdma_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size,
					   enum dma_data_direction dir)
{
	softdma_ledger_sync(to_softdma_ledger(dev), addr, size, dir, true, true);
}

static void softdma_sync_sg(struct device *dev, struct scatterlist *sgl, int nents,
			    enum dma_data_direction dir, bool to_device)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg_dma_len(sg))
			break;
		softdma_ledger_sync(to_softdma_ledger(dev), sg_dma_address(sg), sg_dma_len(sg), dir,
				    to_device, false);
	}
}

static void softdma_sync_sg_for_cpu(struct device *dev, struct scatterlist *sgl, int nents,
				    enum dma_data_direction dir)
{
	softdma_sync_sg(dev, sgl, nents, dir, false);
}

static void softdma_sync_sg_for_device(struct device *dev, struct scatterlist *sgl, int nents,
				       enum dma_data_direction dir)
{
	softdma_sync_sg(dev, sgl, nents, dir, true);
}

/* --- memory that both see: of the CPU's kind, since a CPU is what moves it --- */

static void *softdma_alloc_mem(struct device *dev, size_t size, dma_addr_t *addr,
			       enum dma_data_direction dir, u8 line, gfp_t gfp)
{
	void *mem = size ? alloc_pages_exact(size, (gfp & ~__GFP_HIGHMEM) | __GFP_ZERO) : NULL;

	if (!mem)
		return NULL;
	*addr = softdma_map_enter(dev, softdma_map_phys(dev, virt_to_phys(mem), size, dir, line,
							SOFTDMA_MAP_COHERENT));
	if (*addr != DMA_MAPPING_ERROR)
		return mem;
	free_pages_exact(mem, size);
	return NULL;
}

static struct page *softdma_alloc_pages(struct device *dev, size_t size, dma_addr_t *addr,
					enum dma_data_direction dir, gfp_t gfp)
{
	u8 line = softdma_line_mapped(dir, DMA_ATTR_SKIP_CPU_SYNC);
	void *mem = softdma_alloc_mem(dev, size, addr, dir, line, gfp);

	return mem ? virt_to_page(mem) : NULL;
}

static void softdma_free_pages(struct device *dev, size_t size, struct page *page, dma_addr_t addr,
			       enum dma_data_direction dir)
{
	struct softdma_ledger *l = to_softdma_ledger(dev);
	struct softdma_mapping *m = softdma_ledger_take_out(l, addr, SOFTDMA_MAP_COHERENT);

	if (m)
		softdma_ledger_unmapped(l, m, 0);
	free_pages_exact(page_address(page), size);
}

static void *softdma_coherent_alloc(struct device *dev, size_t size, dma_addr_t *addr, gfp_t gfp,
				    unsigned long attrs)
{
	return softdma_alloc_mem(dev, size, addr, DMA_BIDIRECTIONAL, softdma_line_coherent(), gfp);
}

static void softdma_coherent_free(struct device *dev, size_t size, void *mem, dma_addr_t addr,
				  unsigned long attrs)
{
	softdma_free_pages(dev, size, virt_to_page(mem), addr, DMA_BIDIRECTIONAL);
}

static int softdma_coherent_mmap(struct device *dev, struct vm_area_struct *vma, void *mem,
				 dma_addr_t addr, size_t size, unsigned long attrs)
{
	unsigned long pages = vma_pages(vma), all = PFN_UP(size);

	if (vma->vm_pgoff >= all || pages > all - vma->vm_pgoff)
		return -ENXIO;
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(virt_to_phys(mem)) + vma->vm_pgoff,
			       pages << PAGE_SHIFT, vma->vm_page_prot);
}

static int softdma_coherent_sgtable(struct device *dev, struct sg_table *sgt, void *mem,
				    dma_addr_t addr, size_t size, unsigned long attrs)
{
	int err = sg_alloc_table(sgt, 1, GFP_KERNEL);

	if (!err)
		sg_set_page(sgt->sgl, virt_to_page(mem), PAGE_ALIGN(size), 0);
	return err;
}

const struct dma_map_ops softdma_dma_ops = {
	.compat_op_map		= softdma_map_range_op,
	.compat_op_unmap	= softdma_unmap_range,
	.map_sg			= softdma_map_sg,
	.unmap_sg		= softdma_unmap_sg,
	.sync_single_for_cpu	= softdma_sync_single_for_cpu,
	.sync_single_for_device	= softdma_sync_single_for_device,
	.sync_sg_for_cpu	= softdma_sync_sg_for_cpu,
	.sync_sg_for_device	= softdma_sync_sg_for_device,
	.alloc			= softdma_coherent_alloc,
	.free			= softdma_coherent_free,
	.compat_op_alloc_pages	= softdma_alloc_pages,
	.free_pages		= softdma_free_pages,
	.mmap			= softdma_coherent_mmap,
	.get_sgtable		= softdma_coherent_sgtable,
};
