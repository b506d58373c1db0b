/* SPDX-License-Identifier: GPL-2.0 */
/*
 * softdma's own DMA addresses, and a judgement on their use: see softdma_ledger.c. Left out of a
 * build with SOFTDMA_TESTS=n, and where a driver cannot give its device DMA operations.
 */
#ifndef SOFTDMA_LEDGER_H
#define SOFTDMA_LEDGER_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct device;
struct softdma;
struct softdma_chan;
struct softdma_desc;

/* What is moved with the ledger's lock held, and so with interrupts off. */
#define SOFTDMA_LEDGER_CHUNK	4096

#ifdef SOFTDMA_LEDGER

int softdma_ledger_create(struct softdma *s);
void softdma_ledger_detach(struct softdma *s);
void softdma_ledger_destroy(struct softdma *s);

void softdma_ledger_lock(struct softdma *s, unsigned long *flags);
void softdma_ledger_unlock(struct softdma *s, struct softdma_desc *d, unsigned long flags);
size_t softdma_ledger_translate(struct softdma *s, struct softdma_desc *d, dma_addr_t addr,
				size_t n, phys_addr_t *pa);
void softdma_ledger_read(struct softdma *s, struct softdma_desc *d, dma_addr_t addr, size_t n);
void softdma_ledger_write(struct softdma *s, struct softdma_desc *d, dma_addr_t addr, size_t n);

#else

static inline int softdma_ledger_create(struct softdma *s) { return 0; }
static inline void softdma_ledger_detach(struct softdma *s) { }
static inline void softdma_ledger_destroy(struct softdma *s) { }

static inline void softdma_ledger_lock(struct softdma *s, unsigned long *flags) { }
static inline void softdma_ledger_unlock(struct softdma *s, struct softdma_desc *d,
					 unsigned long flags) { }
static inline size_t softdma_ledger_translate(struct softdma *s, struct softdma_desc *d,
					      dma_addr_t addr, size_t n, phys_addr_t *pa)
{
	return 0;
}

static inline void softdma_ledger_read(struct softdma *s, struct softdma_desc *d, dma_addr_t addr,
				       size_t n) { }
static inline void softdma_ledger_write(struct softdma *s, struct softdma_desc *d, dma_addr_t addr,
					size_t n) { }

#endif

#endif
