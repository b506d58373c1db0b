/* SPDX-License-Identifier: GPL-2.0 */
/* A bottom half of a port, see bh.c. */
#ifndef _ZCDMA_BH_H
#define _ZCDMA_BH_H

#include <linux/interrupt.h>
#include <linux/workqueue.h>

/**
 * struct zcdma_bh - what runs soon, where the provider may be called
 * @run: what it does.
 * @sleeps: prep may sleep: it is a work. Set before it is raised.
 * @tasklet: otherwise.
 * @work: see there.
 */
struct zcdma_bh {
	void (*run)(struct zcdma_bh *bh);
	bool sleeps;
	struct tasklet_struct tasklet;
	struct work_struct work;
};

void zcdma_bh_init(struct zcdma_bh *bh, void (*run)(struct zcdma_bh *bh));
void zcdma_bh_raise(struct zcdma_bh *bh);
void zcdma_bh_kill(struct zcdma_bh *bh);

#endif
