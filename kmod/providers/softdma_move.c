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
size_t softdma_reach(phys_addr_t pa, size_t n)
{
	unsigned long last = PHYS_PFN(pa + n - 1);

	if (!pfn_valid(PHYS_PFN(pa)))
		return 0;
	if (IS_ENABLED(CONFIG_DEBUG_KMAP_LOCAL_FORCE_MAP) || !pfn_valid(last) ||
	    PageHighMem(pfn_to_page(last)))
		return min_t(size_t, n, PAGE_SIZE - offset_in_page(pa));
	return n;
}

void *softdma_map(phys_addr_t pa)
{
	return kmap_local_page(pfn_to_page(PHYS_PFN(pa))) + offset_in_page(pa);
}

/* A word wherever it lies: the compiler knows how this machine gets at it. */
struct softdma_word {
	unsigned long w;
} __packed;

/*
 * memcpy() in blocks of registers. What matters here are large copies, which run at the speed of
 * memory; they do so with this loop too. But a string move (x86's memcpy) goes to and fro between
 * source and target with each word: in an emulator whose TLB has one slot for both that is ten
 * times slower, and buffers from one allocator often share slots.
 */
static void softdma_copy(void *to, const void *from, size_t n)
{
	bool aligned = IS_ALIGNED((unsigned long)to | (unsigned long)from, sizeof(long));
	const struct softdma_word *s = from;
	struct softdma_word *d = to;

	if (!aligned && !IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS)) {
		memcpy(to, from, n);
		return;
	}

	for (; n >= 8 * sizeof(long); n -= 8 * sizeof(long), s += 8, d += 8) {
		unsigned long w0 = s[0].w, w1 = s[1].w, w2 = s[2].w, w3 = s[3].w;
		unsigned long w4 = s[4].w, w5 = s[5].w, w6 = s[6].w, w7 = s[7].w;

		d[0].w = w0;
		d[1].w = w1;
		d[2].w = w2;
		d[3].w = w3;
		d[4].w = w4;
		d[5].w = w5;
		d[6].w = w6;
		d[7].w = w7;
	}
	memcpy(d, s, n);
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
	u64 since;

	if (!READ_ONCE(sc->paused))
		return;
	since = ktime_get_ns();
	WRITE_ONCE(sc->halted, true);
	wait_event_idle(sc->wait, !READ_ONCE(sc->paused) || softdma_cut(d));
	WRITE_ONCE(sc->halted, false);
	softdma_slave_missed(sc, d, since);
}

static enum dmaengine_tx_result softdma_chunk(struct softdma_chan *sc, struct softdma_desc *d,
					      size_t n)
{
	switch (d->kind) {
	case SOFTDMA_COPY:
		return softdma_copy_chunk(sc->engine->dma.dev, d, n);
	case SOFTDMA_FILL:
		return softdma_fill_chunk(sc->engine->dma.dev, d, n);
	default:
		return softdma_slave_chunk(sc, d, n);
	}
}

/* Move bytes until @end of them are done. In the channel's thread, without a lock. */
enum dmaengine_tx_result softdma_move(struct softdma_chan *sc, struct softdma_desc *d, size_t end)
{
	enum dmaengine_tx_result result;

	while (d->done < end) {
		size_t n = min_t(size_t, end - d->done, SOFTDMA_CHUNK);

		softdma_halt_while_paused(sc, d);
		if (softdma_cut(d))
			return DMA_TRANS_ABORTED;

		result = softdma_chunk(sc, d, n);
		if (result != DMA_TRANS_NOERROR)
			return result;
		cond_resched();
	}
	return DMA_TRANS_NOERROR;
}
