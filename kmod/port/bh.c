// SPDX-License-Identifier: GPL-2.0
/*
 * A bottom half of a port: what a callback may not do, because it calls the provider, see engine.c.
 * A tasklet or, where prep sleeps, a work.
 */
#include "bh.h"

static void bh_tasklet(struct tasklet_struct *tasklet)
{
	struct zcdma_bh *bh = container_of(tasklet, struct zcdma_bh, tasklet);

	bh->run(bh);
}

static void bh_work(struct work_struct *work)
{
	struct zcdma_bh *bh = container_of(work, struct zcdma_bh, work);

	bh->run(bh);
}

void zcdma_bh_init(struct zcdma_bh *bh, void (*run)(struct zcdma_bh *bh))
{
	bh->run = run;
	tasklet_setup(&bh->tasklet, bh_tasklet);
	INIT_WORK(&bh->work, bh_work);
}

/* Have it run soon. In any context; not once zcdma_bh_kill() may have been called. */
void zcdma_bh_raise(struct zcdma_bh *bh)
{
	if (bh->sleeps)
		queue_work(system_unbound_wq, &bh->work);
	else
		tasklet_schedule(&bh->tasklet);
}

/* It does not run, nor will. Waits for it, which prep need not let end. */
void zcdma_bh_kill(struct zcdma_bh *bh)
{
	tasklet_kill(&bh->tasklet);
	cancel_work_sync(&bh->work);
}
