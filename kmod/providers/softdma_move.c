// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's bytes: how a channel's thread moves them.
 *
 * A bus address is a physical address here (softdma.c refuses anything else), so the thread finds
 * the bytes in the kernel's own mapping, bounce buffers included. It moves them in chunks, and
 * between two chunks it obeys pause, terminate and the scheduler.
 */
#include <linux/dma-direct.h>
#include <linux/highmem.h>
#include <linux/sched.h>

#include "softdma.h"

/* What is moved between two looks at pause, terminate and the scheduler. */
#define SOFTDMA_CHUNK	SZ_64K

/*
 * How many of @n bytes from @pa on one kernel address reaches: all where memory is mapped in one
 * piece, a page's worth in highmem, none where there is no memory.
 */
static size_t softdma_reach(phys_addr_t pa, size_t n)
{
	unsigned long last = PHYS_PFN(pa + n - 1);

	if (!pfn_valid(PHYS_PFN(pa)))
		return 0;
	if (IS_ENABLED(CONFIG_DEBUG_KMAP_LOCAL_FORCE_MAP) || !pfn_valid(last) ||
	    PageHighMem(pfn_to_page(last)))
		return min_t(size_t, n, PAGE_SIZE - offset_in_page(pa));
	return n;
}

static void *softdma_map(phys_addr_t pa)
{
	return kmap_local_page(pfn_to_page(PHYS_PFN(pa))) + offset_in_page(pa);
}

/*
 * copy_page() is what every architecture has tuned. x86's memcpy() moves single bytes where the
 * CPU claims to be good at that; an emulated one is not.
 */
static void softdma_copy(void *to, const void *from, size_t n)
{
	if (!offset_in_page(to) && !offset_in_page(from)) {
		for (; n >= PAGE_SIZE; n -= PAGE_SIZE) {
			copy_page(to, (void *)from);
			to += PAGE_SIZE;
			from += PAGE_SIZE;
		}
	}
	memcpy(to, from, n);
}

static enum dmaengine_tx_result softdma_copy_chunk(struct device *dev, struct softdma_desc *d,
						   size_t n)
{
	phys_addr_t dst = dma_to_phys(dev, d->dst + d->done);
	phys_addr_t src = dma_to_phys(dev, d->src + d->done);
	void *to, *from;

	n = softdma_reach(src, n);
	if (!n)
		return DMA_TRANS_READ_FAILED;
	n = softdma_reach(dst, n);
	if (!n)
		return DMA_TRANS_WRITE_FAILED;

	to = softdma_map(dst);
	from = softdma_map(src);
	softdma_copy(to, from, n);
	kunmap_local(from);
	kunmap_local(to);
	WRITE_ONCE(d->done, d->done + n);
	return DMA_TRANS_NOERROR;
}

static enum dmaengine_tx_result softdma_fill_chunk(struct device *dev, struct softdma_desc *d,
						   size_t n)
{
	phys_addr_t dst = dma_to_phys(dev, d->dst + d->done);
	void *to;

	n = softdma_reach(dst, n);
	if (!n)
		return DMA_TRANS_WRITE_FAILED;

	to = softdma_map(dst);
	memset(to, d->value, n);
	kunmap_local(to);
	WRITE_ONCE(d->done, d->done + n);
	return DMA_TRANS_NOERROR;
}

static void softdma_halt_while_paused(struct softdma_chan *sc, struct softdma_desc *d)
{
	if (!READ_ONCE(sc->paused))
		return;
	WRITE_ONCE(sc->halted, true);
	wait_event_idle(sc->wait, !READ_ONCE(sc->paused) || softdma_cut(d));
	WRITE_ONCE(sc->halted, false);
}

/* Move bytes until @end of them are done. In the channel's thread, without a lock. */
enum dmaengine_tx_result softdma_move(struct softdma_chan *sc, struct softdma_desc *d, size_t end)
{
	struct device *dev = sc->engine->dma.dev;
	enum dmaengine_tx_result result;

	while (d->done < end) {
		/* Chunks end where a page of the target does, so that whole pages follow. */
		size_t n = min_t(size_t, end - d->done,
				 SOFTDMA_CHUNK - offset_in_page(d->dst + d->done));

		softdma_halt_while_paused(sc, d);
		if (softdma_cut(d))
			return DMA_TRANS_ABORTED;

		result = d->fill ? softdma_fill_chunk(dev, d, n) : softdma_copy_chunk(dev, d, n);
		if (result != DMA_TRANS_NOERROR)
			return result;
		cond_resched();
	}
	return DMA_TRANS_NOERROR;
}
