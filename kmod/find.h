/* SPDX-License-Identifier: GPL-2.0 */
/* What channels there are, and what can be said of one without taking it: see find.c. */
#ifndef _ZC_FIND_H
#define _ZC_FIND_H

#include <linux/dmaengine.h>
#include <uapi/linux/zcdma.h>

/* Every bit of &enum zcdma_cap */
#define ZC_CAP_ALL								\
	(ZCDMA_CAP_COPY | ZCDMA_CAP_FILL | ZCDMA_CAP_SLAVE | ZCDMA_CAP_CYCLIC |	\
	 ZCDMA_CAP_HARDWARE | ZCDMA_CAP_TERMINATE | ZCDMA_CAP_PAUSE |		\
	 ZCDMA_CAP_UNORDERED | ZCDMA_CAP_COHERENT)

typedef void (*zc_visit_fn)(struct dma_chan *dma, void *arg);

/**
 * struct zc_facts - what can be said of a channel
 * @caps: bits of &enum zcdma_cap.
 * @reports: its driver reports errors.
 * @sleeps: its driver's prep sleeps.
 * @vague: the residue of a cyclic transfer is not to be trusted.
 * @allowed: by the module parameter "allow".
 * @copy_align: in bytes, a power of two, as the next.
 * @fill_align: of the engine's own fill.
 */
struct zc_facts {
	u32 caps;
	bool reports;
	bool sleeps;
	bool vague;
	bool allowed;
	u32 copy_align;
	u32 fill_align;
};

void zc_find_each(zc_visit_fn fn, void *arg);
const struct class *zc_find_class(void);
void zc_find_facts(struct dma_chan *dma, struct zc_facts *facts);
bool zc_find_is(struct dma_chan *dma, const char *name);
const char *zc_find_provider(struct dma_chan *dma);

#endif
