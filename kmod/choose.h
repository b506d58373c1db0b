/* SPDX-License-Identifier: GPL-2.0 */
/* Which channels there are, and which of them a session gets: see choose.c. */
#ifndef _ZC_CHOOSE_H
#define _ZC_CHOOSE_H

#include "find.h"
#include "lease.h"

/* Devices that may refuse a free channel before we stop asking. */
#define ZC_MAX_REFUSING	8

/*
 * What a session asks for, and the best that was found so far. A channel that is
 * free cannot always be had: somebody in the kernel may be faster, or the engine
 * may have fewer threads than channels (pl330). Then the other devices are asked.
 */
struct zc_choice {
	const struct zcdma_attach *how;
	struct zc_lease **have;			/* the session's so far: all of one device */
	unsigned int nr;
	bool exclusive;
	const struct dma_device *refusing[ZC_MAX_REFUSING];
	unsigned int nr_refusing;
	struct dma_chan *best;
	struct device *dev;			/* of the best, with a reference */
	const struct dma_device *device;	/* the same */
	int score;
	bool denied;			/* some would do, and "allow" forbids them */
	bool busy;			/* some would do, and somebody else has them */
};

extern struct list_head zc_leases;

struct zc_lease *zc_lease_of(struct dma_chan *dma);
int zc_choice_make(struct zc_choice *choice);
bool zc_choice_taken(const struct zc_choice *choice, struct dma_chan *dma,
		     const struct zc_lease *lease);

#endif
