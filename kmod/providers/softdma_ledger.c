// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's ledger: whose is which cache line of what is mapped for the engine?
 *
 * With the parameter ledger=Y (read at bind) the engine's device has DMA operations of its own
 * (softdma_dma_ops.c). DMA addresses are made up (softdma_mapping.c), and of each line that is
 * mapped the ledger knows whose it is:
 *
 *	CPU	mapped with DMA_ATTR_SKIP_CPU_SYNC, or dma_sync_*_for_cpu() was called
 *	DEVICE	mapped without, or dma_sync_*_for_device() was called
 *	WRITTEN	the engine has written to it since
 *	SHARED	several users have it at once, so nothing can be said: see below
 *
 * What a client must not do is a violation (softdma_traits.c), told once for each descriptor or
 * call. These are:
 *
 *	- an engine moves a line that is the CPU's: it was not handed over;
 *	- an engine writes to a line of memory that is mapped DMA_BIDIRECTIONAL, with
 *	  DMA_ATTR_SKIP_CPU_SYNC, and was handed over with DMA_TO_DEVICE only;
 *	- an engine is to move what is not mapped, or mapped for the other direction. It touches
 *	  nothing then, and the descriptor fails;
 *	- memory is unmapped while a descriptor that was submitted may still move it;
 *	- memory is unmapped with DMA_ATTR_SKIP_CPU_SYNC, or (if it was mapped without) handed over
 *	  again, though the engine has written and dma_sync_*_for_cpu() was not called;
 *	- dma_sync_*_for_cpu() is called for a line that is the CPU's already, or memory that was
 *	  mapped with DMA_ATTR_SKIP_CPU_SYNC is unmapped without while it is: where caches are not
 *	  coherent that throws away what the CPU wrote;
 *	- a line that the engine has written to is taken back with DMA_TO_DEVICE: the CPU may have
 *	  it in its cache as it was;
 *	- a line of memory that is mapped DMA_BIDIRECTIONAL is handed over with DMA_FROM_DEVICE:
 *	  what the CPU wrote to it is lost where the engine does not write;
 *	- the same for a line that is mapped in part, of a device that says that it is not coherent:
 *	  what others wrote to the rest of the line is thrown away;
 *	- what is synchronized or unmapped is not mapped, or was with another length, direction or
 *	  call; dma_sync_single_*() goes over pages that lie apart;
 *	- a list is mapped with an entry that is longer than the device's longest segment;
 *	- mappings are left when the device is unbound.
 *
 * A mapping made without DMA_ATTR_SKIP_CPU_SYNC has one user at a time. Parts of one made with it
 * are handed over by operation, and operations may share lines: by chance, at the edges, or because
 * a program asks for it. So the ledger counts how often a line was handed over to be written to,
 * and a line is the CPU's when it was taken back as often. In between, while a descriptor in
 * flight reads it, and while it is handed over to be read and was not yet, a line that one has
 * taken back is SHARED and not judged. Nor are lines of which a part was taken back, lines of a
 * mapping in which a cyclic transfer has moved bytes (it goes on whether or not a period was handed
 * over again), and coherent memory.
 *
 * So of mappings made with DMA_ATTR_SKIP_CPU_SYNC the ledger does not find
 *	- a line that was written to and handed over again before it was taken back;
 *	- a source that was taken back and is not handed over again;
 *	- what is wrong with one operation of those that have a line at the same time;
 *	- anything more about a line that was handed over 31 times at once.
 * It may find too much when two operations have handed a line over to be read, the engine reads it
 * for one of them, and a third takes it back before the other is submitted. Where more than some
 * thousand descriptors and segments are in flight, it does not say whether they move a line.
 *
 * With ledger_incoherent the device says that it is not coherent, so a client does all that it does
 * on such a machine, where the architecture lets a device say so. On x86 it does not: the lines of
 * a mapping that is not aligned are not judged there as strictly.
 */
#include <linux/dmaengine.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "softdma.h"
#include "softdma_mapping.h"

module_param_named(ledger, softdma_wanted.ledger, bool, 0644);
MODULE_PARM_DESC(ledger, "DMA addresses of its own, and a judgement on their use (default N; read at bind)");
module_param_named(ledger_merges, softdma_wanted.ledger_merges, bool, 0644);
MODULE_PARM_DESC(ledger_merges, "With a ledger: merge pages that lie apart into one segment (default N; read at bind)");
module_param_named(ledger_incoherent, softdma_wanted.ledger_incoherent, bool, 0644);
MODULE_PARM_DESC(ledger_incoherent, "With a ledger: say that the device is not coherent, on Arm (default N; read at bind)");

enum softdma_owner {
	SOFTDMA_OF_CPU,
	SOFTDMA_OF_DEVICE,
	SOFTDMA_WRITTEN,
	SOFTDMA_SHARED,
};

/* Of a line's byte. */
#define SOFTDMA_OWNER		0x03
#define SOFTDMA_SOURCE		0x04	/* handed over to be read, and not read yet */
#define SOFTDMA_HANDED		0xf8	/* how often it was handed over to be written to */
#define SOFTDMA_ONCE		0x08
#define SOFTDMA_OFTEN		0xf8	/* so often that nobody counts any more */

#define SOFTDMA_WRONG_AGAIN	"handed over again, but the engine's bytes were not taken back"
#define SOFTDMA_WRONG_UNMAP	"unmapped, but the engine's bytes were not taken back"
#define SOFTDMA_WRONG_CPUS	"synchronized for the CPU, which has it already"
#define SOFTDMA_WRONG_TAKEN	"unmapped and taken back by the CPU, which has it already"
#define SOFTDMA_WRONG_SOURCE	"taken back as what was read, but the engine has written to it"
#define SOFTDMA_WRONG_TARGET	"handed over without its bytes, but mapped for both directions"
#define SOFTDMA_WRONG_PART	"taken back by the CPU, but of its line only a part is mapped"

/* Pages that are synchronized with one hold of the lock. */
#define SOFTDMA_SYNC_PAGES	16

/* Descriptors and their segments that one search looks at: all, unless lists are long. */
#define SOFTDMA_SEARCH_STEPS	4096

static unsigned int softdma_owner(u8 line)
{
	return line & SOFTDMA_OWNER;
}

static u8 softdma_owned(u8 line, enum softdma_owner owner)
{
	return (line & ~SOFTDMA_OWNER) | owner;
}

/* A line that has just been mapped. */
u8 softdma_line_mapped(enum dma_data_direction dir, unsigned long attrs)
{
	if (attrs & DMA_ATTR_SKIP_CPU_SYNC)
		return SOFTDMA_OF_CPU;
	return SOFTDMA_OF_DEVICE | (dir == DMA_TO_DEVICE ? 0 : SOFTDMA_ONCE);
}

/* The same, of coherent memory: it is nobody's in particular. */
u8 softdma_line_coherent(void)
{
	return SOFTDMA_SHARED;
}

/* --- descriptors in flight --- */

/*
 * A search for the bytes of a range that descriptors in flight will move. With interrupts off, so
 * it ends after a fixed number of steps.
 */
struct softdma_search {
	u64 from;		/* the range */
	u64 to;
	bool reads;		/* only what is read from there */
	u64 first;		/* from the first byte that is found */
	u64 last;		/* to behind the last */
	unsigned int steps;	/* left */
};

static void softdma_search_in(struct softdma_search *search, dma_addr_t addr, u64 len)
{
	u64 from = max_t(u64, search->from, addr), to = min(search->to, addr + len);

	if (from >= to)
		return;
	search->first = min(search->first, from);
	search->last = max(search->last, to);
}

/* False: that took too many steps. */
static bool softdma_search_desc(struct softdma_search *search, const struct softdma_desc *d)
{
	bool has_list = softdma_is_slave(d);
	const struct softdma_seg *seg = d->segs;
	size_t left = d->len;

	if (!search->steps--)
		return false;
	if (!has_list && !search->reads)
		softdma_search_in(search, d->dst, d->len);
	if (d->kind == SOFTDMA_COPY)
		softdma_search_in(search, d->src, d->len);
	if (!has_list || (search->reads && d->dir != DMA_MEM_TO_DEV))
		return true;
	for (; left; left -= seg->len, seg++) {
		if (!search->steps--)
			return false;
		softdma_search_in(search, seg->addr, seg->len);
	}
	return true;
}

static bool softdma_search_chan(struct softdma_search *search, struct softdma_chan *sc)
{
	struct softdma_desc *d = sc->active;

	if (d && !d->at_rest && !softdma_search_desc(search, d))
		return false;
	list_for_each_entry(d, &sc->issued, node)
		if (!softdma_search_desc(search, d))
			return false;
	list_for_each_entry(d, &sc->submitted, node)
		if (!softdma_search_desc(search, d))
			return false;
	return true;
}

/* False: there are too many of them to tell. With the ledger's lock held. */
static bool softdma_search_all(struct softdma_search *search, struct softdma *s)
{
	bool done = true;
	unsigned int i;

	search->first = U64_MAX;
	search->last = 0;
	search->steps = SOFTDMA_SEARCH_STEPS;
	for (i = 0; i < s->traits.channels && done; i++) {
		struct softdma_chan *sc = &s->chans[i];

		spin_lock(&sc->lock);
		done = softdma_search_chan(search, sc);
		spin_unlock(&sc->lock);
	}
	return done;
}

/* May a descriptor in flight move bytes of the mapping? False as well when nobody can tell. */
static bool softdma_in_flight(struct softdma *s, const struct softdma_mapping *m)
{
	struct softdma_search search = {
		.from = m->base,
		.to = m->base + (u64)m->nr_pages * PAGE_SIZE,
	};

	return softdma_search_all(&search, s) && search.first < search.last;
}

/* --- the engine --- */

/* Mappings stay while it is held. No checker can follow a lock that is held only with a ledger. */
void softdma_ledger_lock(struct softdma *s, unsigned long *flags)
{
	if (s->ledger) {
		spin_lock_irqsave(&s->ledger->lock, *flags);
		__release(&s->ledger->lock);
	}
}

/* And tell what @d, which has been moved meanwhile, is accused of: a console may be slow. */
void softdma_ledger_unlock(struct softdma *s, struct softdma_desc *d, unsigned long flags)
{
	if (!s->ledger)
		return;
	__acquire(&s->ledger->lock);
	spin_unlock_irqrestore(&s->ledger->lock, flags);
	if (d->accusation)
		softdma_violation(s, "%s: %pad", d->accusation, &d->accused_at);
	d->accusation = NULL;
}

/* The first violation of a descriptor is told. */
static void softdma_accuse(struct softdma_desc *d, dma_addr_t at, const char *accusation)
{
	if (d->accused)
		return;
	d->accused = true;
	d->accusation = accusation;
	d->accused_at = at;
}

/* Is that address mapped? */
static bool softdma_page_has(const struct softdma_page *page, dma_addr_t addr)
{
	unsigned int offset = offset_in_page(addr);

	return offset >= page->from && offset < page->to;
}

/*
 * The memory behind a DMA address that @d is to move, and how many of @n bytes from there on: 0 if
 * not mapped.
 */
size_t softdma_ledger_translate(struct softdma *s, struct softdma_desc *d, dma_addr_t addr,
				size_t n, phys_addr_t *pa)
{
	struct softdma_mapping *m = softdma_mapping_find(s->ledger, addr);
	struct softdma_page *page = m ? softdma_mapping_at(m, addr) : NULL;

	if (!page || !softdma_page_has(page, addr)) {
		softdma_accuse(d, addr, "the engine is to move what is not mapped");
		return 0;
	}
	*pa = PFN_PHYS(page->pfn) + offset_in_page(addr);
	return min_t(size_t, n, page->to - offset_in_page(addr));
}

/* What softdma_ledger_translate() has found is read by the engine. */
void softdma_ledger_read(struct softdma *s, struct softdma_desc *d, dma_addr_t addr, size_t n)
{
	struct softdma_mapping *m = softdma_mapping_find(s->ledger, addr);
	struct softdma_page *page = softdma_mapping_at(m, addr);
	unsigned int offset = offset_in_page(addr), i;

	if (m->dir == DMA_FROM_DEVICE)
		softdma_accuse(d, addr, "the engine reads what is mapped to be written");
	if (d->kind == SOFTDMA_CYCLIC) {
		m->cyclic = true;
		return;
	}
	for (i = offset / SOFTDMA_LINE; i <= (offset + n - 1) / SOFTDMA_LINE; i++) {
		page->lines[i] &= ~SOFTDMA_SOURCE;
		if (softdma_owner(page->lines[i]) != SOFTDMA_OF_CPU)
			continue;
		softdma_accuse(d, addr, "the engine reads what was not synchronized for it");
		page->lines[i] = softdma_owned(page->lines[i], SOFTDMA_SHARED);
	}
}

/*
 * Was a line that is the device's handed over to be read only? Only where parts are handed over by
 * operation a line's byte tells.
 */
static bool softdma_line_is_source(const struct softdma_mapping *m, u8 line)
{
	return m->shared && m->dir == DMA_BIDIRECTIONAL && !(line & SOFTDMA_HANDED);
}

/* The same, written to. */
void softdma_ledger_write(struct softdma *s, struct softdma_desc *d, dma_addr_t addr, size_t n)
{
	struct softdma_mapping *m = softdma_mapping_find(s->ledger, addr);
	struct softdma_page *page = softdma_mapping_at(m, addr);
	unsigned int offset = offset_in_page(addr), i;

	if (m->dir == DMA_TO_DEVICE)
		softdma_accuse(d, addr, "the engine writes to what is mapped to be read");
	if (d->kind == SOFTDMA_CYCLIC)
		m->cyclic = true;
	for (i = offset / SOFTDMA_LINE; i <= (offset + n - 1) / SOFTDMA_LINE; i++) {
		enum softdma_owner owner = softdma_owner(page->lines[i]);

		if (d->kind == SOFTDMA_CYCLIC)
			owner = SOFTDMA_SHARED;
		if (owner == SOFTDMA_OF_CPU)
			softdma_accuse(d, addr,
				       "the engine writes to what was not synchronized for it");
		else if (owner == SOFTDMA_OF_DEVICE && softdma_line_is_source(m, page->lines[i]))
			softdma_accuse(d, addr,
				       "the engine writes to what was handed over to be read");
		if (owner != SOFTDMA_SHARED)
			owner = SOFTDMA_WRITTEN;
		page->lines[i] = softdma_owned(page->lines[i], owner);
	}
}

/* --- handing over and taking back --- */

/* Of one call: what is wrong with it, if anything. */
struct softdma_sync {
	struct softdma_ledger *l;
	struct softdma_mapping *m;
	enum dma_data_direction dir;
	bool to_device;
	struct softdma_search readers;
	const char *wrong;
	dma_addr_t wrong_at;
};

static void softdma_sync_wrong(struct softdma_sync *sync, dma_addr_t at, const char *wrong)
{
	if (sync->wrong)
		return;
	sync->wrong = wrong;
	sync->wrong_at = at;
}

static void softdma_sync_tell(struct softdma_sync *sync)
{
	if (sync->wrong)
		softdma_violation(sync->l->s, "%s: %pad", sync->wrong, &sync->wrong_at);
}

static u8 softdma_line_to_device(struct softdma_sync *sync, u8 line, dma_addr_t at)
{
	bool written = softdma_owner(line) == SOFTDMA_WRITTEN;

	if (written && !sync->m->shared)
		softdma_sync_wrong(sync, at, SOFTDMA_WRONG_AGAIN);
	if (sync->dir == DMA_FROM_DEVICE && sync->m->dir == DMA_BIDIRECTIONAL)
		softdma_sync_wrong(sync, at, SOFTDMA_WRONG_TARGET);
	if (sync->dir == DMA_TO_DEVICE)
		line |= sync->m->shared ? SOFTDMA_SOURCE : 0;
	else if ((line & SOFTDMA_HANDED) != SOFTDMA_OFTEN)
		line += SOFTDMA_ONCE;
	return written ? line : softdma_owned(line, SOFTDMA_OF_DEVICE);
}

/* @whole: all of the line that is mapped. @is_read: a descriptor in flight will read of it. */
static u8 softdma_line_to_cpu(struct softdma_sync *sync, u8 line, dma_addr_t at, bool whole,
			      bool is_read)
{
	unsigned int handed = line & SOFTDMA_HANDED;
	bool shared = sync->m->cyclic || (line & SOFTDMA_SOURCE) || is_read || !whole;

	if (sync->dir == DMA_TO_DEVICE) {
		if (softdma_owner(line) == SOFTDMA_WRITTEN)
			softdma_sync_wrong(sync, at, SOFTDMA_WRONG_SOURCE);
		shared = handed || sync->m->cyclic || sync->m->shared;
		return softdma_owned(line, shared ? SOFTDMA_SHARED : SOFTDMA_OF_CPU);
	}
	if (softdma_owner(line) == SOFTDMA_OF_CPU)
		softdma_sync_wrong(sync, at, SOFTDMA_WRONG_CPUS);
	if (handed && handed != SOFTDMA_OFTEN)
		line -= SOFTDMA_ONCE;
	shared |= handed > SOFTDMA_ONCE;
	return softdma_owned(line, shared ? SOFTDMA_SHARED : SOFTDMA_OF_CPU);
}

/* Is the line mapped as a whole? If not, others may use the rest of it. */
static bool softdma_line_is_ours(const struct softdma_page *page, unsigned int nr)
{
	return page->from <= nr * SOFTDMA_LINE && page->to >= (nr + 1) * SOFTDMA_LINE;
}

/* Bytes @from to @to of a page are handed over, or taken back. */
static void softdma_sync_page(struct softdma_sync *sync, struct softdma_page *page, dma_addr_t base,
			      unsigned int from, unsigned int to)
{
	bool coherent = dev_is_dma_coherent(sync->l->s->dma.dev);
	unsigned int i;

	for (i = from / SOFTDMA_LINE; i <= (to - 1) / SOFTDMA_LINE; i++) {
		unsigned int first = max(page->from, i * SOFTDMA_LINE);
		unsigned int last = min_t(unsigned int, page->to, (i + 1) * SOFTDMA_LINE);
		bool whole = from <= first && to >= last;
		bool is_read = sync->readers.first < base + last &&
			       sync->readers.last > base + first;
		dma_addr_t at = base + first;

		if (sync->to_device) {
			page->lines[i] = softdma_line_to_device(sync, page->lines[i], at);
			continue;
		}
		if (sync->dir != DMA_TO_DEVICE && !coherent && !softdma_line_is_ours(page, i))
			softdma_sync_wrong(sync, at, SOFTDMA_WRONG_PART);
		page->lines[i] = softdma_line_to_cpu(sync, page->lines[i], at, whole, is_read);
	}
}

/* Up to @len bytes from @addr on: how many, 0 if they are not mapped. With the lock held. */
static size_t softdma_sync_some(struct softdma_sync *sync, dma_addr_t addr, size_t len,
				unsigned long *pfn)
{
	struct softdma_mapping *m = softdma_mapping_find(sync->l, addr);
	struct softdma_page *page = m ? softdma_mapping_at(m, addr) : NULL;
	unsigned int from = offset_in_page(addr);
	unsigned int to = min_t(size_t, len, PAGE_SIZE - from) + from;

	if (!page || !softdma_page_has(page, addr) || to > page->to) {
		softdma_sync_wrong(sync, addr, "synchronized, but not mapped");
		return 0;
	}
	sync->m = m;
	if (m->dir != sync->dir && m->dir != DMA_BIDIRECTIONAL)
		softdma_sync_wrong(sync, addr, "synchronized, but mapped in another direction");
	if (*pfn && page->pfn != *pfn + 1)
		softdma_sync_wrong(sync, addr, "dma_sync_single_*() over pages that lie apart");
	*pfn = page->pfn;
	softdma_sync_page(sync, page, addr - from, from, to);
	return to - from;
}

/* Which of these bytes will descriptors in flight read? All, if nobody can tell. */
static void softdma_sync_readers(struct softdma_sync *sync, dma_addr_t addr, u64 len)
{
	struct softdma_search *readers = &sync->readers;

	if (sync->to_device || sync->dir == DMA_TO_DEVICE)
		return;
	readers->reads = true;
	readers->from = addr;
	readers->to = addr + len;
	if (softdma_search_all(readers, sync->l->s))
		return;
	readers->first = readers->from;
	readers->last = readers->to;
}

/* @single: by one address, from which the CPU can tell one page only. */
void softdma_ledger_sync(struct softdma_ledger *l, dma_addr_t addr, size_t len,
			 enum dma_data_direction dir, bool to_device, bool single)
{
	struct softdma_sync sync = { .l = l, .dir = dir, .to_device = to_device };
	unsigned long pfn = 0, flags;

	while (len) {
		unsigned int pages = SOFTDMA_SYNC_PAGES;
		size_t some;

		spin_lock_irqsave(&l->lock, flags);
		softdma_sync_readers(&sync, addr, min_t(u64, len, SOFTDMA_SYNC_PAGES * PAGE_SIZE));
		for (some = 1; len && some && pages--; addr += some, len -= some) {
			if (!single)
				pfn = 0;
			some = softdma_sync_some(&sync, addr, len, &pfn);
		}
		spin_unlock_irqrestore(&l->lock, flags);
		if (!some)
			break;
	}
	softdma_sync_tell(&sync);
}

/* --- unmapping --- */

/*
 * Remove the mapping that begins at @addr from the tree, for unmapping. NULL if there is none. No
 * other context finds it after this.
 */
struct softdma_mapping *softdma_ledger_take_out(struct softdma_ledger *l, dma_addr_t addr,
						enum softdma_mapping_kind kind)
{
	struct softdma_mapping *m;
	bool in_flight = false;
	unsigned long flags;

	spin_lock_irqsave(&l->lock, flags);
	m = softdma_mapping_find(l, addr);
	if (m && (m->addr != addr || m->kind != kind))
		m = NULL;
	if (m) {
		rb_erase(&m->node, &l->mappings);
		in_flight = softdma_in_flight(l->s, m);
	}
	spin_unlock_irqrestore(&l->lock, flags);

	if (!m)
		softdma_violation(l->s, "unmapped, but not mapped by the same call: %pad", &addr);
	else if (in_flight)
		softdma_violation(l->s, "unmapped, but a descriptor in flight may move it: %pad",
				  &addr);
	return m;
}

/* @m was removed from the tree: judge the owners of its lines, and free it. */
void softdma_ledger_unmapped(struct softdma_ledger *l, struct softdma_mapping *m,
			     unsigned long attrs)
{
	struct softdma_sync sync = { .l = l, .m = m, .dir = m->dir };
	bool skip = attrs & DMA_ATTR_SKIP_CPU_SYNC;
	bool coherent = dev_is_dma_coherent(l->s->dma.dev);
	unsigned int nr, i;

	for (nr = 0; nr < m->nr_pages && !sync.wrong; nr++) {
		struct softdma_page *page = softdma_mapping_page(m, nr);
		dma_addr_t base = m->base + (dma_addr_t)nr * PAGE_SIZE;

		if (page->from == page->to)
			continue;
		for (i = page->from / SOFTDMA_LINE; i <= (page->to - 1) / SOFTDMA_LINE; i++) {
			if (skip && softdma_owner(page->lines[i]) == SOFTDMA_WRITTEN)
				softdma_sync_wrong(&sync, base + i * SOFTDMA_LINE,
						   SOFTDMA_WRONG_UNMAP);
			if (!skip && m->shared && m->dir != DMA_TO_DEVICE &&
			    softdma_owner(page->lines[i]) == SOFTDMA_OF_CPU)
				softdma_sync_wrong(&sync, base + i * SOFTDMA_LINE,
						   SOFTDMA_WRONG_TAKEN);
			if (!skip && !coherent && m->dir != DMA_TO_DEVICE &&
			    !softdma_line_is_ours(page, i))
				softdma_sync_wrong(&sync, base + i * SOFTDMA_LINE,
						   SOFTDMA_WRONG_PART);
		}
	}
	softdma_sync_tell(&sync);
	softdma_mapping_free(m);
}

/* --- the device --- */

struct softdma_ledger *softdma_ledger_in_use;

int softdma_ledger_create(struct softdma *s)
{
	struct softdma_ledger *l;

	if (!s->traits.ledger)
		return 0;
	l = kzalloc(sizeof(*l), GFP_KERNEL);
	if (!l)
		return -ENOMEM;
	l->s = s;
	spin_lock_init(&l->lock);
	s->ledger = l;
	WRITE_ONCE(softdma_ledger_in_use, l);
	set_dma_ops(s->dma.dev, &softdma_dma_ops);
	return 0;
}

/*
 * The engine has stopped, and the device is to be as it was. DMA operations that overlap with this
 * still find the ledger: their client has a channel, and so the memory stays.
 */
void softdma_ledger_detach(struct softdma *s)
{
	struct softdma_ledger *l = s->ledger;
	unsigned int left = 0;
	struct rb_node *node;
	unsigned long flags;

	if (!l)
		return;
	set_dma_ops(s->dma.dev, NULL);
	spin_lock_irqsave(&l->lock, flags);
	for (node = rb_first(&l->mappings); node; node = rb_next(node))
		left++;
	spin_unlock_irqrestore(&l->lock, flags);
	if (left)
		softdma_violation(s, "%u mappings are left", left);
}

void softdma_ledger_destroy(struct softdma *s)
{
	struct softdma_mapping *m, *next;

	if (!s->ledger)
		return;
	rbtree_postorder_for_each_entry_safe(m, next, &s->ledger->mappings, node)
		softdma_mapping_free(m);
	cmpxchg(&softdma_ledger_in_use, s->ledger, NULL);	/* unless the next has come */
	kfree(s->ledger);
}
