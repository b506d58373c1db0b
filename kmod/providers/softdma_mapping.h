/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mappings that softdma's ledger knows of. For the ledger's files alone.
 */
#ifndef SOFTDMA_MAPPING_H
#define SOFTDMA_MAPPING_H

#include <linux/dma-map-ops.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct scatterlist;

/* What has one owner: a cache line, as long on this engine as it is on most machines. */
#define SOFTDMA_LINE		64
#define SOFTDMA_PAGE_LINES	(PAGE_SIZE / SOFTDMA_LINE)

/*
 * The page behind one page of DMA addresses. @from and @to: which part of it is mapped. A line's
 * byte has its owner in the low bits; above them, whether it was handed over to be read and was not
 * yet, and how often it was handed over to be written to and was not yet taken back.
 */
struct softdma_page {
	unsigned long pfn;
	u32 from;
	u32 to;
	u8 lines[SOFTDMA_PAGE_LINES];
};

enum softdma_mapping_kind {
	SOFTDMA_MAP_PAGE,
	SOFTDMA_MAP_SG,
	SOFTDMA_MAP_COHERENT,
};

/**
 * struct softdma_mapping - what a client has mapped with one call
 * @node: in the ledger's tree
 * @base: its first page of DMA addresses
 * @nr_pages: how many there are
 * @addr: what the client got: the address of the first byte
 * @len: in bytes; of a list, the sum of its lengths
 * @nents: entries of a list as it was mapped
 * @kind: by which call
 * @dir: for which direction
 * @cyclic: a cyclic transfer has moved bytes of it
 * @shared: with DMA_ATTR_SKIP_CPU_SYNC: parts of it are handed over, and by several at once
 * @pages: arrays of up to SOFTDMA_CHUNK_PAGES pages each
 */
struct softdma_mapping {
	struct rb_node node;
	dma_addr_t base;
	unsigned int nr_pages;
	dma_addr_t addr;
	size_t len;
	int nents;
	enum softdma_mapping_kind kind;
	enum dma_data_direction dir;
	bool cyclic;
	bool shared;
	struct softdma_page *pages[];
};

#define SOFTDMA_CHUNK_PAGES	((unsigned int)(PAGE_SIZE / sizeof(struct softdma_page)))

/**
 * struct softdma_ledger - the DMA addresses of the device
 * @s: the engine
 * @lock: guards all below, all lines of mappings in the tree, and the memory that the engine moves
 *	just now. Taken in any context, before softdma_chan.lock.
 * @mappings: by address
 * @next: where to look for the next free address
 */
struct softdma_ledger {
	struct softdma *s;
	spinlock_t lock;		/* all below, and more: see above */
	struct rb_root mappings;
	dma_addr_t next;
};

static inline struct softdma_page *softdma_mapping_page(struct softdma_mapping *m, unsigned int nr)
{
	return &m->pages[nr / SOFTDMA_CHUNK_PAGES][nr % SOFTDMA_CHUNK_PAGES];
}

/* The page of @addr, which is in the range of @m. */
static inline struct softdma_page *softdma_mapping_at(struct softdma_mapping *m, dma_addr_t addr)
{
	return softdma_mapping_page(m, (addr - m->base) >> PAGE_SHIFT);
}

struct softdma_mapping *softdma_mapping_alloc(unsigned int nr_pages);
void softdma_mapping_free(struct softdma_mapping *m);
void softdma_mapping_fill(struct softdma_mapping *m, unsigned int nr, phys_addr_t pa, size_t len,
			  u8 line);
int softdma_mapping_insert(struct softdma_ledger *l, struct softdma_mapping *m);
struct softdma_mapping *softdma_mapping_find(struct softdma_ledger *l, dma_addr_t addr);

u8 softdma_line_mapped(enum dma_data_direction dir, unsigned long attrs);
u8 softdma_line_coherent(void);
void softdma_ledger_sync(struct softdma_ledger *l, dma_addr_t addr, size_t len,
			 enum dma_data_direction dir, bool to_device, bool single);
struct softdma_mapping *softdma_ledger_take_out(struct softdma_ledger *l, dma_addr_t addr,
						enum softdma_mapping_kind kind);
void softdma_ledger_unmapped(struct softdma_ledger *l, struct softdma_mapping *m,
			     unsigned long attrs);

extern const struct dma_map_ops softdma_dma_ops;

/*
 * The ledger of the last bind: there is one device. Device data would not do, which unbinding takes
 * away, under a DMA operation that has begun already.
 */
extern struct softdma_ledger *softdma_ledger_in_use;

static inline struct softdma_ledger *to_softdma_ledger(struct device *dev)
{
	return READ_ONCE(softdma_ledger_in_use);
}

#endif
