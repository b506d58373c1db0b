// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's devices: what is at the other end of a slave transfer.
 *
 * Each channel has a FIFO. A transfer to the device fills it; the channel's peer (0 and 1 are
 * peers, 2 and 3, ...) empties it with a transfer from the device. So a pair is a loop-back, in
 * both directions with handshake: who finds the FIFO full or empty waits, as long as it takes. What
 * is in it stays there when a client goes: the next one gets it, as from a device. A bind begins
 * with empty FIFOs.
 *
 * With "source" set a transfer from the device reads something else: a device that sends by itself
 * and waits for nobody, as an analog-to-digital converter does. It sends the 32-bit words 0, 1,
 * 2, ... in little endian, so whoever gets them sees what is missing. While there is no descriptor,
 * or the channel is paused, its FIFO fills, and what then comes is lost. It is not lost because a
 * thread gets late to a CPU: this engine has as much time as it needs to do what a real one would
 * have done.
 *
 * "rate" paces a source, and otherwise the side that fills the FIFO.
 *
 * The thread of the channel alone fills its FIFO, and that of the peer alone empties it, which is
 * all that a kfifo asks for, but for a read barrier.
 */
#include <linux/dma-direct.h>
#include <linux/highmem.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "softdma.h"

#define SOFTDMA_WIDTHS	(BIT(DMA_SLAVE_BUSWIDTH_1_BYTE) | BIT(DMA_SLAVE_BUSWIDTH_2_BYTES) | \
			 BIT(DMA_SLAVE_BUSWIDTH_4_BYTES))

/* Whatever the width is, a pace that is a multiple of this splits no word. */
#define SOFTDMA_WORD	4

/* What is moved with the channel's lock held, and so with interrupts off. */
#define SOFTDMA_LOCKED	SZ_4K

/* A thread that comes this late to its turn may catch up; what is more was a pause. */
#define SOFTDMA_LATE_NS	(10 * NSEC_PER_MSEC)

/* --- the pace --- */

static bool softdma_is_source(const struct softdma_chan *sc, const struct softdma_desc *d)
{
	return sc->engine->traits.source && d->dir == DMA_DEV_TO_MEM;
}

static void softdma_paced(struct softdma_chan *sc, u64 n)
{
	u32 rate = sc->engine->traits.rate;

	for (sc->paced += n; rate && sc->paced >= rate; sc->paced -= rate)
		sc->paced_since += NSEC_PER_SEC;
}

/* When @n more bytes are due. */
static u64 softdma_due(const struct softdma_chan *sc, size_t n)
{
	return sc->paced_since + div_u64((sc->paced + n) * NSEC_PER_SEC, sc->engine->traits.rate);
}

/*
 * The device was left alone since @since, if that is not 0. A source went on: its FIFO has what
 * fits, and the rest is lost. Who waits to send has no claim to the time that has passed.
 */
void softdma_slave_missed(struct softdma_chan *sc, struct softdma_desc *d, u64 since)
{
	const struct softdma_traits *t = &sc->engine->traits;
	u64 now = ktime_get_ns(), lost;

	if (!t->rate || (d->kind != SOFTDMA_SLAVE && d->kind != SOFTDMA_CYCLIC))
		return;
	if (!sc->paced_since || !softdma_is_source(sc, d)) {
		if (now > softdma_due(sc, 0) + SOFTDMA_LATE_NS || !sc->paced_since) {
			sc->paced_since = now;
			sc->paced = 0;
		}
		return;
	}
	if (!since)
		return;
	lost = mul_u64_u64_div_u64(now - since, t->rate, NSEC_PER_SEC);
	if (lost <= t->fifo)
		return;
	lost = round_down(lost - t->fifo, SOFTDMA_WORD);
	sc->sequence += lost;
	softdma_paced(sc, lost);
}

static bool softdma_disturbed(const struct softdma_chan *sc, const struct softdma_desc *d)
{
	return READ_ONCE(sc->paused) || softdma_cut(d);
}

/* How many of @n bytes are due. Waits for the first of them; 0 when disturbed meanwhile. */
static size_t softdma_pace(struct softdma_chan *sc, struct softdma_desc *d, size_t n)
{
	u32 rate = sc->engine->traits.rate;
	s64 wait;

	if (!rate || (d->dir == DMA_DEV_TO_MEM && !softdma_is_source(sc, d)))
		return n;
	n = min_t(size_t, n, round_up(rate / MSEC_PER_SEC, SOFTDMA_WORD));
	wait = softdma_due(sc, n) - ktime_get_ns();
	if (wait > 0)
		wait_event_interruptible_hrtimeout(sc->wait, softdma_disturbed(sc, d),
						   ns_to_ktime(wait));
	return softdma_disturbed(sc, d) ? 0 : n;
}

/* --- the bytes --- */

/* The words 0, 1, 2, ... from byte @at of them on. */
static void softdma_sequence(u8 *to, u64 at, size_t n)
{
	for (; n && at % SOFTDMA_WORD; n--, at++)
		*to++ = (u32)(at / SOFTDMA_WORD) >> (at % SOFTDMA_WORD * BITS_PER_BYTE);
	for (; n >= SOFTDMA_WORD; n -= SOFTDMA_WORD, at += SOFTDMA_WORD, to += SOFTDMA_WORD) {
		__le32 word = cpu_to_le32(at / SOFTDMA_WORD);

		memcpy(to, &word, sizeof(word));
	}
	for (; n; n--, at++)
		*to++ = (u32)(at / SOFTDMA_WORD) >> (at % SOFTDMA_WORD * BITS_PER_BYTE);
}

static size_t softdma_send(struct softdma_chan *sc, phys_addr_t pa, size_t n)
{
	void *from = softdma_map(pa);

	n = kfifo_in(&sc->fifo, (u8 *)from, n);
	kunmap_local(from);
	return n;
}

/* What a kfifo leaves to others: how many bytes there are is read before they are. */
static size_t softdma_fifo_out(struct kfifo *fifo, u8 *to, size_t n)
{
	n = min_t(size_t, n, kfifo_len(fifo));
	smp_rmb();	/* pairs with the smp_wmb() of kfifo_in() */
	return kfifo_out(fifo, to, n);
}

static size_t softdma_receive(struct softdma_chan *sc, struct softdma_desc *d, phys_addr_t pa,
			      size_t n)
{
	void *to = softdma_map(pa);

	if (softdma_is_source(sc, d)) {
		softdma_sequence(to, sc->sequence, n);
		sc->sequence += n;
	} else {
		n = sc->peer ? softdma_fifo_out(&sc->peer->fifo, to, n) : 0;
	}
	kunmap_local(to);
	return n;
}

/* Does the device ask for a transfer? */
static bool softdma_asks(const struct softdma_chan *sc, const struct softdma_desc *d)
{
	if (d->dir == DMA_MEM_TO_DEV)
		return !kfifo_is_full(&sc->fifo);
	return softdma_is_source(sc, d) || (sc->peer && !kfifo_is_empty(&sc->peer->fifo));
}

static void softdma_seg_advance(struct softdma_desc *d, size_t n)
{
	d->seg_done += n;
	if (d->seg_done == d->segs[d->seg].len) {
		d->seg++;
		d->seg_done = 0;
	}
	WRITE_ONCE(d->done, d->done + n);
}

/*
 * Up to @n bytes, and none once pause or terminate have returned: a device's bytes cannot be had
 * twice, so a client must learn exactly how many were moved, however late this thread is. But for
 * what a loose pause lets through.
 */
static size_t softdma_transfer(struct softdma_chan *sc, struct softdma_desc *d, phys_addr_t pa,
			       size_t n)
{
	unsigned long flags;

	spin_lock_irqsave(&sc->lock, flags);
	if (softdma_disturbed(sc, d) && !sc->loose)
		n = 0;
	else if (d->dir == DMA_MEM_TO_DEV)
		n = softdma_send(sc, pa, n);
	else
		n = softdma_receive(sc, d, pa, n);
	softdma_paced(sc, n);
	softdma_seg_advance(d, n);
	sc->loose = false;
	spin_unlock_irqrestore(&sc->lock, flags);
	if (n && sc->peer)
		wake_up(&sc->peer->wait);
	return n;
}

/* The same by a bus address; -EFAULT if there is nothing behind it. */
static ssize_t softdma_transfer_at(struct softdma_chan *sc, struct softdma_desc *d, dma_addr_t addr,
				   size_t n)
{
	struct softdma *s = sc->engine;
	unsigned long flags;
	phys_addr_t pa;

	softdma_ledger_lock(s, &flags);
	n = softdma_translate(s, d, addr, n, &pa);
	if (!n) {
		softdma_ledger_unlock(s, d, flags);
		return -EFAULT;
	}
	n = softdma_transfer(sc, d, pa, n);
	if (s->ledger && n && d->dir == DMA_MEM_TO_DEV)
		softdma_ledger_read(s, d, addr, n);
	if (s->ledger && n && d->dir == DMA_DEV_TO_MEM)
		softdma_ledger_write(s, d, addr, n);
	softdma_ledger_unlock(s, d, flags);
	return n;
}

/* Up to @n bytes, if the device is ready; if not, wait for it, or for pause and terminate. */
enum dmaengine_tx_result softdma_slave_chunk(struct softdma_chan *sc, struct softdma_desc *d,
					     size_t n)
{
	struct softdma_seg *seg = &d->segs[d->seg];
	ssize_t moved;

	n = softdma_pace(sc, d, min3(n, seg->len - d->seg_done, (size_t)SOFTDMA_LOCKED));
	if (!n)
		return DMA_TRANS_NOERROR;
	softdma_faults_stall(&sc->engine->faults);

	moved = softdma_transfer_at(sc, d, seg->addr + d->seg_done, n);
	if (moved < 0)
		return d->dir == DMA_MEM_TO_DEV ? DMA_TRANS_READ_FAILED : DMA_TRANS_WRITE_FAILED;
	if (!moved)
		wait_event_idle(sc->wait, softdma_asks(sc, d) || softdma_disturbed(sc, d));
	return DMA_TRANS_NOERROR;
}

/* A period is complete: tell of it, or of one before. False: the ring is cut. */
static bool softdma_tell_late(struct softdma_chan *sc, struct softdma_desc *d, u32 *untold)
{
	if (softdma_faults_withhold(&sc->engine->faults, untold))
		return !softdma_cut(d);
	return softdma_tell(sc, d);
}

/* A ring, until it is cut or fails. */
enum dmaengine_tx_result softdma_cycle(struct softdma_chan *sc, struct softdma_desc *d)
{
	enum dmaengine_tx_result result;
	u32 untold = 0;

	do {
		result = softdma_move(sc, d, min(d->done + d->period, d->len));
		if (result == DMA_TRANS_NOERROR && softdma_faults_armed(&sc->engine->faults))
			result = softdma_faults_strike(sc, d);
		if (result != DMA_TRANS_NOERROR)
			return result;
		if (d->done == d->len) {
			d->seg = 0;
			WRITE_ONCE(d->done, 0);
		}
	} while (softdma_tell_late(sc, d, &untold));
	return DMA_TRANS_ABORTED;
}

/* --- dmaengine --- */

static bool softdma_width_ok(enum dma_slave_buswidth width)
{
	return width < BITS_PER_LONG && (SOFTDMA_WIDTHS & BIT(width));
}

/* A width that is not set is that of a direction that will not be used. */
static int softdma_config(struct dma_chan *chan, struct dma_slave_config *config)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	unsigned long flags;

	if ((config->src_addr_width && !softdma_width_ok(config->src_addr_width)) ||
	    (config->dst_addr_width && !softdma_width_ok(config->dst_addr_width)))
		return -EINVAL;
	spin_lock_irqsave(&sc->lock, flags);
	sc->config = *config;
	spin_unlock_irqrestore(&sc->lock, flags);
	return 0;
}

/* The width of the device's register, in bytes; 0 when nobody has told, or it has none. */
static unsigned int softdma_width(const struct softdma_chan *sc, enum dma_transfer_direction dir)
{
	if (dir == DMA_MEM_TO_DEV)
		return sc->config.dst_addr_width;
	return dir == DMA_DEV_TO_MEM ? sc->config.src_addr_width : 0;
}

/* Would the device and the engine take this segment? */
static bool softdma_seg_ok(struct softdma_chan *sc, dma_addr_t addr, size_t len, size_t piece,
			   unsigned int width)
{
	return width && !(len % width) && softdma_accepts(sc->engine, addr, addr, len, piece);
}

/* With softdma_chan.lock held, or by a client that has not submitted it. */
void softdma_slave_forget(struct softdma_desc *d)
{
	if (d->segs != &d->one)
		kfree(d->segs);
	d->segs = &d->one;
}

static struct dma_async_tx_descriptor *
softdma_prep_slave_sg(struct dma_chan *chan, struct scatterlist *sgl, unsigned int nr,
		      enum dma_transfer_direction dir, unsigned long flags, void *context)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	unsigned int width = softdma_width(sc, dir), i;
	struct softdma_seg *segs = NULL;
	struct softdma_desc *d;
	struct scatterlist *sg;

	for_each_sg(sgl, sg, nr, i)
		if (!softdma_seg_ok(sc, sg_dma_address(sg), sg_dma_len(sg), sg_dma_len(sg), width))
			return NULL;
	if (nr > 1) {
		segs = kmalloc_array(nr, sizeof(*segs), GFP_NOWAIT | __GFP_NOWARN);
		if (!segs)
			return NULL;
	}
	d = nr ? softdma_get(sc, flags) : NULL;
	if (!d) {
		kfree(segs);
		return NULL;
	}

	d->kind = SOFTDMA_SLAVE;
	d->dir = dir;
	d->segs = segs ?: &d->one;
	d->len = 0;
	for_each_sg(sgl, sg, nr, i) {
		d->segs[i].addr = sg_dma_address(sg);
		d->segs[i].len = sg_dma_len(sg);
		d->len += d->segs[i].len;
	}
	return &d->tx;
}

/* The last period of a ring may be shorter than the others. */
static struct dma_async_tx_descriptor *
softdma_prep_cyclic(struct dma_chan *chan, dma_addr_t addr, size_t len, size_t period,
		    enum dma_transfer_direction dir, unsigned long flags)
{
	struct softdma_chan *sc = to_softdma_chan(chan);
	unsigned int width = softdma_width(sc, dir);
	struct softdma_desc *d;

	if (!softdma_seg_ok(sc, addr, len, period, width) || !period || period > len ||
	    period % width)
		return NULL;
	d = softdma_get(sc, flags);
	if (!d)
		return NULL;

	d->kind = SOFTDMA_CYCLIC;
	d->dir = dir;
	d->one.addr = addr;
	d->one.len = len;
	d->len = len;
	d->period = period;
	return &d->tx;
}

void softdma_slave_ops(struct dma_device *dma)
{
	dma_cap_set(DMA_SLAVE, dma->cap_mask);
	dma_cap_set(DMA_CYCLIC, dma->cap_mask);
	dma->directions = BIT(DMA_MEM_TO_DEV) | BIT(DMA_DEV_TO_MEM);
	dma->src_addr_widths = SOFTDMA_WIDTHS;
	dma->dst_addr_widths = SOFTDMA_WIDTHS;
	dma->device_config = softdma_config;
	dma->device_prep_slave_sg = softdma_prep_slave_sg;
	dma->device_prep_dma_cyclic = softdma_prep_cyclic;
}

/* --- they come and go --- */

int softdma_slave_init(struct softdma *s)
{
	unsigned int i;

	for (i = 0; i < s->traits.channels; i++) {
		if (kfifo_alloc(&s->chans[i].fifo, s->traits.fifo, GFP_KERNEL))
			return -ENOMEM;
		if ((i ^ 1) < s->traits.channels)
			s->chans[i].peer = &s->chans[i ^ 1];
	}
	return 0;
}

void softdma_slave_free(struct softdma *s)
{
	unsigned int i;

	for (i = 0; i < s->traits.channels; i++)
		kfifo_free(&s->chans[i].fifo);
}

/*
 * A client takes the channel. A thread that runs on for the last one has no slave transfer
 * (softdma_quirks.c), so nobody else looks at these.
 */
void softdma_slave_open(struct softdma_chan *sc)
{
	memset(&sc->config, 0, sizeof(sc->config));
	sc->paced = 0;
	sc->paced_since = 0;
	sc->sequence = 0;
}
