// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's bytes: how a channel's thread moves them.
 *
 * A bus address is a physical address here (softdma.c refuses anything else), or one that the
 * ledger knows. So the thread finds the bytes in the kernel's own mapping, bounce buffers included.
 * It moves them in chunks, and between two chunks it obeys pause, terminate and the scheduler.
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

/*
 * The memory behind a bus address, and how many of @n bytes from there on one kernel address
 * reaches: 0 where there is none. Between softdma_ledger_lock() and softdma_ledger_unlock().
 */
size_t softdma_translate(struct softdma *s, struct softdma_desc *d, dma_addr_t addr, size_t n,
			 phys_addr_t *pa)
{
	if (s->ledger)
		n = softdma_ledger_translate(s, d, addr, min_t(size_t, n, SOFTDMA_LEDGER_CHUNK),
					     pa);
	else
		*pa = dma_to_phys(s->dma.dev, addr);
	return n ? softdma_reach(*pa, n) : 0;
}

static enum dmaengine_tx_result softdma_copy_locked(struct softdma *s, struct softdma_desc *d,
						    size_t n)
{
	dma_addr_t dst = d->dst + d->done, src = d->src + d->done;
	phys_addr_t dst_pa, src_pa;
	void *to, *from;

	n = softdma_translate(s, d, src, n, &src_pa);
	if (!n)
		return DMA_TRANS_READ_FAILED;
	n = softdma_translate(s, d, dst, n, &dst_pa);
	if (!n)
		return DMA_TRANS_WRITE_FAILED;
	if (s->ledger) {
		softdma_ledger_read(s, d, src, n);
		softdma_ledger_write(s, d, dst, n);
	}

	to = softdma_map(dst_pa);
	from = softdma_map(src_pa);
	softdma_copy(to, from, n);
	kunmap_local(from);
	kunmap_local(to);
	WRITE_ONCE(d->done, d->done + n);
	return DMA_TRANS_NOERROR;
}

/* The next @n bytes of a fill. Of a word each byte has its place among four. */
static void softdma_fill(struct softdma *s, const struct softdma_desc *d, u8 *to, size_t n)
{
	size_t i;

	if (!s->traits.memset_words) {
		memset(to, d->value, n);
		return;
	}
	for (i = 0; i < n; i++)
		to[i] = d->value >> 8 * ((d->done + i) % sizeof(d->value));
}

static enum dmaengine_tx_result softdma_fill_locked(struct softdma *s, struct softdma_desc *d,
						    size_t n)
{
	dma_addr_t dst = d->dst + d->done;
	phys_addr_t pa;
	void *to;

	n = softdma_translate(s, d, dst, n, &pa);
	if (!n)
		return DMA_TRANS_WRITE_FAILED;
	if (s->ledger)
		softdma_ledger_write(s, d, dst, n);

	to = softdma_map(pa);
	softdma_fill(s, d, to, n);
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
	struct softdma *s = sc->engine;
	enum dmaengine_tx_result result;
	unsigned long flags;

	if (d->kind != SOFTDMA_COPY && d->kind != SOFTDMA_FILL)
		return softdma_slave_chunk(sc, d, n);
	softdma_faults_stall(&s->faults);
	softdma_ledger_lock(s, &flags);
	result = d->kind == SOFTDMA_COPY ? softdma_copy_locked(s, d, n) :
					   softdma_fill_locked(s, d, n);
	softdma_ledger_unlock(s, d, flags);
	return result;
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
