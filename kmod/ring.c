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
 * hands it over. Mapped it is from set-up until the channel is lost or given back.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "zcdma.h"

/* Pages that the engine can reach without a detour, if there is a zone of them. */
static gfp_t reachable(const struct zcdma_stream *st)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;
	u64 mask = dma_get_mask(st->chan->dev);

	if (IS_ENABLED(CONFIG_ZONE_DMA32) && mask < DMA_BIT_MASK(64) && mask >= DMA_BIT_MASK(32))
		gfp |= GFP_DMA32;
	return gfp;
}

static void *alloc_mem(const struct zcdma_stream *st, size_t size)
{
	return alloc_pages_exact(size, reachable(st));
}

static void free_mem(void *mem, size_t size)
{
	if (mem)
		free_pages_exact(mem, size);
}

static int map_mem(const struct zcdma_stream *st, void *mem, size_t size, dma_addr_t *dma)
{
	*dma = dma_map_single(st->chan->dev, mem, size, zcdma_stream_dir(st));
	return dma_mapping_error(st->chan->dev, *dma) ? -ENOMEM : 0;
}

static void unmap_mem(const struct zcdma_stream *st, dma_addr_t dma, size_t size)
{
	dma_unmap_single(st->chan->dev, dma, size, zcdma_stream_dir(st));
}

static void unmap_periods(struct zcdma_stream *st, u32 nr)
{
	while (nr--)
		unmap_mem(st, st->periods[nr].dma, st->period);
}

/* Under use->engine, with the channel still there. */
static int ring_map(struct zcdma_stream *st)
{
	int err;
	u32 i;

	if (st->cyclic)
		return map_mem(st, st->mem, zcdma_stream_ring_bytes(st), &st->dma);
	for (i = 0; i < st->nr; i++) {
		err = map_mem(st, st->periods[i].mem, st->period, &st->periods[i].dma);
		if (err)
			goto undo;
	}
	err = map_mem(st, st->hand.mem, st->period, &st->hand.dma);
	if (!err)
		return 0;
undo:
	unmap_periods(st, i);
	return err;
}

/**
 * zcdma_ring_unmap() - the engine has done with the ring
 * @st: the stream, halted; under use->engine.
 */
void zcdma_ring_unmap(struct zcdma_stream *st)
{
	if (!st->mapped)
		return;
	st->mapped = false;
	if (st->cyclic) {
		unmap_mem(st, st->dma, zcdma_stream_ring_bytes(st));
		return;
	}
	unmap_periods(st, st->nr);
	unmap_mem(st, st->hand.dma, st->period);
}

static int alloc_periods(struct zcdma_stream *st)
{
	u32 i;

	st->periods = kvcalloc(st->nr, sizeof(*st->periods), GFP_KERNEL_ACCOUNT);
	if (!st->periods)
		return -ENOMEM;
	for (i = 0; i < st->nr; i++) {
		st->periods[i].mem = alloc_mem(st, st->period);
		if (!st->periods[i].mem)
			return -ENOMEM;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	st->hand.mem = alloc_mem(st, st->period);
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
		return alloc_periods(st);
	st->mem = alloc_mem(st, zcdma_stream_ring_bytes(st));
	return st->mem ? 0 : -ENOMEM;
}

static int ring_charge(struct zcdma_stream *st)
{
	unsigned long pages = PFN_UP(zcdma_stream_ring_bytes(st));
	int err;

	if (!st->cyclic)
		pages = (st->nr + 1UL) * PFN_UP(st->period);
	pages++;	/* the control page */
	st->cred = get_current_cred();
	err = zcdma_charge(st->cred, pages);
	if (!err)
		st->charged = pages;
	return err;
}

/**
 * zcdma_ring_destroy() - free the ring
 * @st: the stream, halted and unmapped, or NULL. Nobody else looks at it.
 */
void zcdma_ring_destroy(struct zcdma_stream *st)
{
	u32 i;

	if (!st)
		return;
	for (i = 0; st->periods && i < st->nr; i++)
		free_mem(st->periods[i].mem, st->period);
	kvfree(st->periods);
	free_mem(st->hand.mem, st->period);
	free_mem(st->mem, zcdma_stream_ring_bytes(st));
	free_page((unsigned long)st->ctl);
	if (st->charged)
		zcdma_uncharge(st->cred, st->charged);
	put_cred(st->cred);
	kfree(st);
}

/**
 * zcdma_ring_create() - make a stream and its ring
 * @use: the port; its channel is there. Under use->engine.
 * @way: which way.
 * @how: checked.
 * @periods: how many.
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
	st->chan = use->chans[way];
	st->way = way;
	st->cyclic = !(how->flags & ZCDMA_STREAM_QUEUED);
	st->period = how->period_bytes;
	st->nr = periods;
	mutex_init(&st->user);
	spin_lock_init(&st->lock);
	init_waitqueue_head(&st->idle);
	err = ring_charge(st);
	if (!err)
		err = ring_alloc(st);
	if (!err)
		err = ring_map(st);
	if (err) {
		zcdma_ring_destroy(st);
		return ERR_PTR(err);
	}
	st->mapped = true;
	return st;
}

/**
 * zcdma_ring_renew_hand() - new pages in place of those that were given away
 * @st: the stream; under use->engine.
 *
 * Return: 0 or -ENOMEM; then all is as before.
 */
int zcdma_ring_renew_hand(struct zcdma_stream *st)
{
	struct zcdma_period fresh = { .mem = alloc_mem(st, st->period) };

	if (!fresh.mem)
		return -ENOMEM;
	if (st->mapped) {
		if (map_mem(st, fresh.mem, st->period, &fresh.dma)) {
			free_mem(fresh.mem, st->period);
			return -ENOMEM;
		}
		dma_unmap_single_attrs(st->chan->dev, st->hand.dma, st->period,
				       zcdma_stream_dir(st), DMA_ATTR_SKIP_CPU_SYNC);
	}
	free_mem(st->hand.mem, st->period);
	st->hand = fresh;
	st->given_away = false;
	return 0;
}

/* ---- mmap ---- */

static vm_fault_t fault_in(struct vm_fault *vmf, void *mem, size_t size, pgoff_t first)
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
		return fault_in(vmf, st->ctl, PAGE_SIZE, base);
	return fault_in(vmf, st->mem, zcdma_stream_ring_bytes(st), ring);
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
int zcdma_ring_mmap(struct zcdma_session *session, struct vm_area_struct *vma)
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
	if (size > limit || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (control)
		WRITE_ONCE(st->shared, true);
	vma->vm_private_data = st;
	vma->vm_ops = &ring_vm_ops;
	return 0;
}
