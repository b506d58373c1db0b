// SPDX-License-Identifier: GPL-2.0
/*
 * The mappings that softdma's ledger knows of: their DMA addresses, and the pages behind them.
 *
 * DMA addresses are made up: nobody can take them for physical ones. They go up, so an address is
 * not used again soon after it was unmapped, and the page behind a mapping is never mapped. As from
 * an IOMMU, a mapping's first page is aligned to its size, so it crosses no boundary that it need
 * not cross.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "softdma.h"
#include "softdma_mapping.h"

/* Above what memory most machines have; where addresses have 32 bits, most of them. */
#define SOFTDMA_FIRST	(sizeof(dma_addr_t) > 4 ? (dma_addr_t)(0x5dULL << 40) : 0x10000000)
#define SOFTDMA_LAST	(sizeof(dma_addr_t) > 4 ? (dma_addr_t)(0x5eULL << 40) : 0xf0000000)

/* In any context, and not from the reserves, which a test of clients has no claim to. */
#define SOFTDMA_GFP	(GFP_NOWAIT | __GFP_NOWARN)

struct softdma_mapping *softdma_mapping_alloc(unsigned int nr_pages)
{
	unsigned int chunks = DIV_ROUND_UP(nr_pages, SOFTDMA_CHUNK_PAGES), i;
	struct softdma_mapping *m = kzalloc(struct_size(m, pages, chunks), SOFTDMA_GFP);

	if (!m)
		return NULL;
	m->nr_pages = nr_pages;
	for (i = 0; i < chunks; i++) {
		unsigned int n = min(nr_pages - i * SOFTDMA_CHUNK_PAGES, SOFTDMA_CHUNK_PAGES);

		m->pages[i] = kcalloc(n, sizeof(*m->pages[i]), SOFTDMA_GFP);
		if (!m->pages[i]) {
			softdma_mapping_free(m);
			return NULL;
		}
	}
	return m;
}

void softdma_mapping_free(struct softdma_mapping *m)
{
	unsigned int i;

	for (i = 0; i < DIV_ROUND_UP(m->nr_pages, SOFTDMA_CHUNK_PAGES); i++)
		kfree(m->pages[i]);
	kfree(m);
}

/* Map @len bytes of memory at @pa to the pages of @m from @nr on; each line is to be as @line. */
void softdma_mapping_fill(struct softdma_mapping *m, unsigned int nr, phys_addr_t pa, size_t len,
			  u8 line)
{
	while (len) {
		struct softdma_page *page = softdma_mapping_page(m, nr++);
		size_t part = min_t(size_t, len, PAGE_SIZE - offset_in_page(pa));

		page->pfn = PHYS_PFN(pa);
		page->from = offset_in_page(pa);
		page->to = page->from + part;
		memset(page->lines, line, sizeof(page->lines));
		pa += part;
		len -= part;
	}
}

static dma_addr_t softdma_mapping_end(const struct softdma_mapping *m)
{
	return m->base + (dma_addr_t)m->nr_pages * PAGE_SIZE;
}

/* The last mapping that begins at @addr or before, or NULL. */
static struct softdma_mapping *softdma_mapping_before(struct softdma_ledger *l, dma_addr_t addr)
{
	struct rb_node *node = l->mappings.rb_node;
	struct softdma_mapping *found = NULL;

	while (node) {
		struct softdma_mapping *m = rb_entry(node, struct softdma_mapping, node);

		if (m->base <= addr) {
			found = m;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return found;
}

/* The mapping whose range of DMA addresses contains @addr, or NULL. */
struct softdma_mapping *softdma_mapping_find(struct softdma_ledger *l, dma_addr_t addr)
{
	struct softdma_mapping *m = softdma_mapping_before(l, addr);

	return m && addr < softdma_mapping_end(m) ? m : NULL;
}

/* The first free range of @size addresses at or after @at; 0 if there is none. */
static dma_addr_t softdma_free_addr(struct softdma_ledger *l, dma_addr_t at, dma_addr_t size,
				    dma_addr_t align)
{
	for (;;) {
		struct softdma_mapping *m;

		at = (at + align - 1) & ~(align - 1);
		if (at >= SOFTDMA_LAST || size > SOFTDMA_LAST - at)
			return 0;
		m = softdma_mapping_before(l, at + size);
		if (!m || softdma_mapping_end(m) < at)
			return at;
		at = softdma_mapping_end(m) + PAGE_SIZE;
	}
}

static void softdma_mapping_link(struct softdma_ledger *l, struct softdma_mapping *m)
{
	struct rb_node **link = &l->mappings.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (m->base < rb_entry(parent, struct softdma_mapping, node)->base)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&m->node, parent, link);
	rb_insert_color(&m->node, &l->mappings);
}

/* Choose the addresses of @m and enter it into the tree. */
int softdma_mapping_insert(struct softdma_ledger *l, struct softdma_mapping *m)
{
	dma_addr_t size = (dma_addr_t)m->nr_pages * PAGE_SIZE;
	dma_addr_t align = (dma_addr_t)roundup_pow_of_two(m->nr_pages) * PAGE_SIZE;
	unsigned long flags;

	spin_lock_irqsave(&l->lock, flags);
	m->base = softdma_free_addr(l, max(l->next, SOFTDMA_FIRST), size, align) ?:
		  softdma_free_addr(l, SOFTDMA_FIRST, size, align);
	if (m->base) {
		m->addr = m->base + softdma_mapping_page(m, 0)->from;
		l->next = softdma_mapping_end(m) + PAGE_SIZE;
		softdma_mapping_link(l, m);
	}
	spin_unlock_irqrestore(&l->lock, flags);
	return m->base ? 0 : -ENOMEM;
}
