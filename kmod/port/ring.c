// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of streams: rings of periods.
 *
 * A cyclic ring is one piece of memory with one DMA address, since that is what an
 * engine goes round in. A queued ring is periods, each in one piece, which change
 * places: the reader swaps the one it has in hand for the one it takes out. So there
 * is one more of them than the ring has places.
 *
 * All pages are single ones (alloc_pages_exact() splits what it gets), each with its
 * own reference count. Who maps a page or has it in a pipe holds it; the ring's own
 * reference goes with the ring. So a ring can go away at any time.
 *
 * The memory is synchronized for the CPU and for the engine period by period, by who
 * hands it over. Mapped it is from set-up until the channel is lost or given back, and as
 * long as an engine that cannot be stopped has some of it.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "provider.h"
#include "stream.h"

/* Pages that the engine can reach without a detour, if there is a zone of them. */
static gfp_t ring_reachable(const struct zcdma_stream *st)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;
	u64 mask = dma_get_mask(st->lease->limits.dev);

	if (IS_ENABLED(CONFIG_ZONE_DMA32) && mask < DMA_BIT_MASK(64) && mask >= DMA_BIT_MASK(32))
		gfp |= GFP_DMA32;
	return gfp;
}

static void *ring_alloc_mem(const struct zcdma_stream *st, size_t size)
{
	return alloc_pages_exact(size, ring_reachable(st));
}

static void ring_free_mem(void *mem, size_t size)
{
	if (mem)
		free_pages_exact(mem, size);
}

static int ring_map_mem(const struct zcdma_stream *st, void *mem, size_t size, dma_addr_t *dma)
{
	*dma = dma_map_single_attrs(st->lease->limits.dev, mem, size, zcdma_stream_dir(st),
				    DMA_ATTR_NO_WARN);
	return dma_mapping_error(st->lease->limits.dev, *dma) ? -ENOMEM : 0;
}

static void ring_unmap_mem(const struct zcdma_stream *st, dma_addr_t dma, size_t size)
{
	dma_unmap_single(st->lease->limits.dev, dma, size, zcdma_stream_dir(st));
}

static void ring_unmap_periods(struct zcdma_stream *st, u32 nr)
{
	while (nr--)
		ring_unmap_mem(st, st->periods[nr].dma, st->span);
}

/* Would the engine cross a boundary within this? */
static bool ring_crosses(const struct zcdma_stream *st, dma_addr_t dma, size_t len)
{
	return zc_within(st->lease->limits.boundary, dma, len) != len;
}

static int ring_map_period(struct zcdma_stream *st, struct zcdma_period *period)
{
	int err = ring_map_mem(st, period->mem, st->span, &period->dma);

	if (!err && ring_crosses(st, period->dma, st->period)) {
		ring_unmap_mem(st, period->dma, st->span);
		err = -EINVAL;
	}
	return err;
}

static int ring_map_cyclic(struct zcdma_stream *st)
{
	int err = ring_map_mem(st, st->mem, zcdma_stream_ring_bytes(st), &st->dma);
	u32 i;

	for (i = 0; !err && i < st->nr; i++)
		if (ring_crosses(st, st->dma + zcdma_stream_at(st, i), st->period))
			err = -EINVAL;
	if (err && i)
		ring_unmap_mem(st, st->dma, zcdma_stream_ring_bytes(st));
	return err;
}

static int ring_map_queued(struct zcdma_stream *st)
{
	int err = 0;
	u32 i;

	for (i = 0; !err && i < st->nr; i++)
		err = ring_map_period(st, &st->periods[i]);
	if (err) {
		ring_unmap_periods(st, i - 1);
		return err;
	}
	err = ring_map_period(st, &st->hand);
	if (err)
		ring_unmap_periods(st, st->nr);
	return err;
}

/**
 * zcdma_ring_map() - give the ring to the engine's device
 * @st: the stream; under use->engine, with the channel still there.
 *
 * Return: 0, -ENOMEM, -EINVAL when periods lie across a boundary of the engine's, or what ails the
 * session.
 */
int zcdma_ring_map(struct zcdma_stream *st)
{
	int err = zc_provider_mapping(st->lease->provider, &st->session->err);

	if (err)
		return err;
	err = st->cyclic ? ring_map_cyclic(st) : ring_map_queued(st);
	if (err) {
		zc_provider_unmapped(st->lease->provider);
		return err;
	}
	spin_lock_irq(&st->lock);
	st->mapped = true;
	spin_unlock_irq(&st->lock);
	return 0;
}

/**
 * zcdma_ring_unmap() - the engine has done with the ring
 * @st: the stream, halted; under use->engine. If its driver is gone, and has left the engine at
 *	work, it stays mapped for good.
 */
void zcdma_ring_unmap(struct zcdma_stream *st)
{
	bool mapped;

	spin_lock_irq(&st->lock);
	mapped = st->mapped;
	/* From here on nobody synchronizes it, who may be woken just now. */
	st->mapped = false;
	spin_unlock_irq(&st->lock);
	if (!mapped)
		return;
	if (st->cyclic) {
		ring_unmap_mem(st, st->dma, zcdma_stream_ring_bytes(st));
	} else {
		ring_unmap_periods(st, st->nr);
		ring_unmap_mem(st, st->hand.dma, st->span);
	}
	zc_provider_unmapped(st->lease->provider);
}

/* What a cyclic sender had left is not sent. Under use->engine; nothing is at the engine. */
void zcdma_ring_clear(struct zcdma_stream *st)
{
	size_t bytes = zcdma_stream_ring_bytes(st), at, len;

	for (at = 0; st->cyclic && at < bytes; at += len) {
		len = min_t(size_t, ZCDMA_CHUNK, bytes - at);
		memset(st->mem + at, 0, len);
		if (st->mapped)
			dma_sync_single_for_device(st->lease->limits.dev, st->dma + at, len,
						   DMA_TO_DEVICE);
		cond_resched();
	}
}

static int ring_alloc_periods(struct zcdma_stream *st)
{
	u32 i;

	st->periods = kvcalloc(st->nr, sizeof(*st->periods), GFP_KERNEL_ACCOUNT);
	if (!st->periods)
		return -ENOMEM;
	for (i = 0; i < st->nr; i++) {
		st->periods[i].mem = ring_alloc_mem(st, st->span);
		if (!st->periods[i].mem)
			return -ENOMEM;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	st->hand.mem = ring_alloc_mem(st, st->span);
	return st->hand.mem ? 0 : -ENOMEM;
}

static int ring_alloc(struct zcdma_stream *st)
{
	st->ctl = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!st->ctl)
		return -ENOMEM;
	st->ctl->period_bytes = st->period;
	st->ctl->periods = st->nr;
	if (!st->cyclic)
		return ring_alloc_periods(st);
	st->mem = ring_alloc_mem(st, zcdma_stream_ring_bytes(st));
	return st->mem ? 0 : -ENOMEM;
}

static int ring_charge(struct zcdma_stream *st)
{
	unsigned long pages = PFN_UP(zcdma_stream_ring_bytes(st));
	int err;

	if (!st->cyclic)
		pages = (st->nr + 1UL) * PFN_UP(st->span);
	pages++;	/* the control page */
	st->cred = get_current_cred();
	err = zc_charge(st->cred, pages);
	if (!err)
		st->charged = pages;
	return err;
}

/**
 * zcdma_ring_destroy() - free the ring
 * @st: the stream, halted and unmapped, or NULL. Nobody else looks at it but callbacks that are
 *	late.
 */
void zcdma_ring_destroy(struct zcdma_stream *st)
{
	u32 i;

	if (!st)
		return;
	for (i = 0; st->periods && i < st->nr; i++)
		ring_free_mem(st->periods[i].mem, st->span);
	kvfree(st->periods);
	ring_free_mem(st->hand.mem, st->span);
	ring_free_mem(st->mem, zcdma_stream_ring_bytes(st));
	free_page((unsigned long)st->ctl);
	if (st->charged)
		zc_uncharge(st->cred, st->charged);
	put_cred(st->cred);
	kfree_rcu(st, rcu);
}

/* Whole cache lines, where the engine does not see the CPU's. */
static u32 ring_span(const struct zcdma_stream *st)
{
	return round_up(st->period, st->lease->line);
}

/**
 * zcdma_ring_create() - make a stream and its ring
 * @use: the port.
 * @way: which way.
 * @how: checked.
 * @periods: how many.
 *
 * Under no lock: memory may be hard to get. It is to be mapped.
 *
 * Return: the stream, or ERR_PTR().
 */
struct zcdma_stream *zcdma_ring_create(struct zcdma_port_use *use, enum zcdma_way way,
				       const struct zcdma_stream_setup *how, u32 periods)
{
	struct zcdma_stream *st = kzalloc(sizeof(*st), GFP_KERNEL_ACCOUNT);
	int err;

	if (!st)
		return ERR_PTR(-ENOMEM);
	st->use = use;
	st->session = use->session;
	st->lease = use->leases[way];
	st->way = way;
	st->cyclic = !(how->flags & ZCDMA_STREAM_QUEUED);
	st->period = how->period_bytes;
	st->span = ring_span(st);
	st->nr = periods;
	err = ring_charge(st);
	if (!err)
		err = ring_alloc(st);
	if (err) {
		zcdma_ring_destroy(st);
		return ERR_PTR(err);
	}
	return st;
}

/* New pages for the hand are the engine's, and the old ones the pipe's. Under use->engine. */
static int ring_swap_hand(struct zcdma_stream *st, struct zcdma_period *fresh)
{
	if (st->mapped) {
		if (ring_map_period(st, fresh))
			return -ENOMEM;
		dma_unmap_single_attrs(st->lease->limits.dev, st->hand.dma, st->span,
				       zcdma_stream_dir(st), DMA_ATTR_SKIP_CPU_SYNC);
	}
	swap(st->hand, *fresh);
	st->given_away = false;
	return 0;
}

/**
 * zcdma_ring_renew_hand() - new pages in place of those that were given away
 * @st: the stream; under st->user, and nothing that an unbind waits for.
 * @nonblock: not to wait for use->engine.
 *
 * Return: 0, -ENOMEM, -EAGAIN or -EINTR; then all is as before.
 */
int zcdma_ring_renew_hand(struct zcdma_stream *st, bool nonblock)
{
	struct zcdma_period fresh = { .mem = ring_alloc_mem(st, st->span) };
	int err;

	if (!fresh.mem)
		return -ENOMEM;
	err = zcdma_port_lock(st->use, nonblock);
	if (!err) {
		err = ring_swap_hand(st, &fresh);
		zcdma_port_unlock(st->use);
	}
	ring_free_mem(fresh.mem, st->span);
	return err;
}

/* ---- mmap ---- */

static vm_fault_t ring_fault_in(struct vm_fault *vmf, void *mem, size_t size, pgoff_t first)
{
	pgoff_t nr = vmf->pgoff - first;

	/* A mapping can be made to grow. */
	if (vmf->pgoff < first || nr >= PFN_UP(size))
		return VM_FAULT_SIGBUS;
	vmf->page = virt_to_page(mem + (nr << PAGE_SHIFT));
	get_page(vmf->page);
	return 0;
}

/* The mapping holds the file, the file the session, and that the stream. */
static vm_fault_t ring_fault(struct vm_fault *vmf)
{
	struct zcdma_stream *st = vmf->vma->vm_private_data;
	pgoff_t base = (st->way == ZCDMA_WAY_TX ? ZCDMA_MMAP_TX_CONTROL :
			ZCDMA_MMAP_RX_CONTROL) >> PAGE_SHIFT;
	pgoff_t ring = base + (ZCDMA_MMAP_RX_RING >> PAGE_SHIFT);

	if (vmf->pgoff < ring)
		return ring_fault_in(vmf, st->ctl, PAGE_SIZE, base);
	return ring_fault_in(vmf, st->mem, zcdma_stream_ring_bytes(st), ring);
}

/* From now on periods are made the CPU's when they have come, and those that are there at once. */
static void ring_share(struct zcdma_stream *st)
{
	u64 number, end;

	mutex_lock(&st->use->engine);
	spin_lock_irq(&st->lock);
	WRITE_ONCE(st->shared, true);
	number = st->tail;
	end = st->way == ZCDMA_WAY_RX && st->mapped ? st->head : number;
	spin_unlock_irq(&st->lock);
	for (; number < end; number++)
		dma_sync_single_for_cpu(st->lease->limits.dev,
					st->dma + zcdma_stream_at(st, number), st->period,
					DMA_FROM_DEVICE);
	zcdma_port_unlock(st->use);
}

static const struct vm_operations_struct ring_vm_ops = {
	.fault	= ring_fault,
};

/**
 * zcdma_ring_mmap() - mmap() of a session
 * @session: the session.
 * @vma: what and where.
 *
 * Return: 0; -ENODEV when there is nothing to be mapped, -EINVAL for a place or size
 * that is none of those in the uapi header.
 */
int zcdma_ring_mmap(struct zc_session *session, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 size = vma->vm_end - vma->vm_start, limit;
	struct zcdma_stream *st;
	bool control;

	st = zcdma_stream_of(session, offset < ZCDMA_MMAP_TX_CONTROL ? ZCDMA_WAY_RX : ZCDMA_WAY_TX);
	if (!st || !st->cyclic)
		return -ENODEV;
	control = offset == ZCDMA_MMAP_RX_CONTROL || offset == ZCDMA_MMAP_TX_CONTROL;
	if (!control && offset != ZCDMA_MMAP_RX_RING && offset != ZCDMA_MMAP_TX_RING)
		return -EINVAL;
	limit = control ? PAGE_SIZE : PAGE_ALIGN(zcdma_stream_ring_bytes(st));
	/* VM_SHARED is not set for a descriptor that is open for reading only. */
	if (size > limit || !(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (control)
		ring_share(st);
	vma->vm_private_data = st;
	vma->vm_ops = &ring_vm_ops;
	return 0;
}
