// SPDX-License-Identifier: GPL-2.0
/*
 * When a direction of a port is "live": then ops (slave.c) are handed to its engine.
 *
 * It is from when it has its channel until the port or the channel is lost or given back,
 * but for while the engine is being stopped, because an op has failed that is there. It
 * changes under use->engine.
 */
#include <linux/delay.h>
#include "port.h"

/*
 * How often to look whether the engine stands still, 0.1 ms or a bit more apart. What it
 * moves after we have looked is moved once more by whoever goes on from there, so this is
 * long for an engine. Some drivers never say that they are paused: there must be an end.
 */
#define PAUSE_LOOKS	50

/* Windows that may be retired: each is memory, and the next late callback is a risk. */
#define MAX_RESTARTS	16

/* ---- stopping ---- */

static bool slave_pump_ended(struct zc_slave *s)
{
	bool ret;

	spin_lock_irq(&s->session->lock);
	ret = !s->pumping;
	spin_unlock_irq(&s->session->lock);
	return ret;
}

static void slave_set_live(struct zc_slave *s, bool live)
{
	spin_lock_irq(&s->session->lock);
	s->live = live;
	spin_unlock_irq(&s->session->lock);
}

/*
 * How much of a piece was moved, as far as the engine knows. True if more may move: the engine
 * runs, has moved something since we looked last, or still owes the callback, with which its
 * driver may begin the next piece.
 */
static bool slave_may_move(struct zc_slave *s, struct zcdma_slave_piece *piece)
{
	struct dma_tx_state state = { };
	size_t before = piece->moved;
	enum dma_status status;

	status = dmaengine_tx_status(s->lease->dma, piece->cookie, &state);
	if (status == DMA_COMPLETE)
		piece->moved = piece->len;
	else if (s->fine && (status == DMA_IN_PROGRESS || status == DMA_PAUSED))
		piece->moved = piece->len - min_t(size_t, state.residue, piece->len);
	else
		piece->moved = 0;
	return status == DMA_IN_PROGRESS || status == DMA_COMPLETE || piece->moved != before;
}

/* Is all as it was when we looked last, and will it stay so? */
static bool slave_stands_still(struct zc_slave *s)
{
	struct zcdma_slave_piece *piece;
	bool ret = true;

	/* Callbacks may come meanwhile: then the piece is not at the engine any more. */
	for (piece = s->window->pieces; piece < s->window->pieces + ZCDMA_SLAVE_PIECES; piece++)
		if (test_bit(0, &piece->at_engine) && slave_may_move(s, piece))
			ret = false;
	return ret;
}

/*
 * How far the pieces came. The engine is paused for that if it can be; it need not be able to
 * go on (pl330's cannot).
 *
 * One look at a paused engine is not enough. A pause stops what runs, but the driver's own tasklet
 * may be about to start what is next, and does so all the same: pl330's does, and ksoftirqd may
 * keep it waiting. So give it time, pause again, and believe a look that shows the same as the one
 * before. A pause that fails means nothing: there may be nothing to be paused just now.
 */
static void slave_measure(struct zc_slave *s)
{
	struct dma_chan *dma = s->lease->dma;
	int looks;

	if (!dma->device->device_pause) {
		slave_stands_still(s);
		return;
	}
	for (looks = 0; looks < PAUSE_LOOKS; looks++) {
		if (looks)
			usleep_range(100, 200);
		dmaengine_pause(dma);
		if (slave_stands_still(s) && looks)
			return;
	}
}

static bool slave_has_pieces(struct zc_slave *s)
{
	bool ret;

	spin_lock_irq(&s->session->lock);
	ret = s->nr;
	spin_unlock_irq(&s->session->lock);
	return ret;
}

/* The engine has nothing; callbacks that may be late find these pieces not there. */
static void slave_renew(struct zc_slave *s, struct zcdma_slave_window *fresh)
{
	spin_lock_irq(&s->session->lock);
	list_add(&s->window->node, &s->retired);
	s->window = fresh;
	spin_unlock_irq(&s->session->lock);
	if (++s->restarts == MAX_RESTARTS)
		s->lease->unstoppable = true;
}

static struct zcdma_slave_window *slave_make_window(struct zc_slave *s, gfp_t gfp)
{
	struct zcdma_slave_window *window = kzalloc(sizeof(*window), gfp);
	int i;

	for (i = 0; window && i < ZCDMA_SLAVE_PIECES; i++)
		window->pieces[i].slave = s;
	return window;
}

/* Return: does the engine touch nothing of the pieces that are there any more? */
static bool slave_terminate(struct zc_slave *s)
{
	struct zcdma_slave_window *fresh = NULL;
	struct dma_chan *dma = s->lease->dma;

	if (s->lease->unstoppable)
		return false;
	/* Such a provider may call back later. */
	if (!dma->device->device_synchronize)
		fresh = slave_make_window(s, GFP_KERNEL | __GFP_NOFAIL);
	slave_measure(s);
	if (dmaengine_terminate_sync(dma)) {
		s->lease->unstoppable = true;
		kfree(fresh);
		dmaengine_resume(dma);
		return false;
	}
	/* Where the provider cannot tell, what it is in the middle of is soon over. */
	if (fresh)
		synchronize_rcu();
	zcdma_slave_collect(s);
	wait_event(s->idle, !slave_has_pieces(s));	/* callbacks that run just now */
	if (fresh)
		slave_renew(s, fresh);
	return true;
}

/*
 * The op that is at the engine ends: it has failed, or the session has. Under use->engine,
 * with the channel still there. The direction is not live any more. Waits for nothing without an
 * end: where prep sleeps it need not return.
 *
 * Return: false when the engine keeps the op.
 */
static bool slave_stop(struct zc_slave *s)
{
	if (!wait_event_timeout(s->idle, slave_pump_ended(s), msecs_to_jiffies(ZC_STALL_MS)))
		return false;
	if (slave_has_pieces(s))
		return slave_terminate(s);
	zcdma_slave_collect(s);
	return true;
}

/*
 * Has the op that is at the engine failed? Then no other has its turn from now on, not even
 * if that one ends by itself: it would be stopped in its place, half moved and with no
 * error.
 */
static bool slave_ends_live(struct zc_slave *s)
{
	bool ret;

	spin_lock_irq(&s->session->lock);
	ret = s->live && s->op && s->op->res &&
	      (s->op->state == ZC_OP_RUNNING || !s->lease->unstoppable);
	if (ret)
		s->live = false;
	spin_unlock_irq(&s->session->lock);
	return ret;
}

/* Was it shut while prep did not return? */
static bool slave_is_left(struct zc_slave *s)
{
	bool ret;

	spin_lock_irq(&s->session->lock);
	ret = !s->live && s->nr && !s->lease->unstoppable;
	spin_unlock_irq(&s->session->lock);
	return ret;
}

/**
 * zcdma_slave_look() - end an op that has failed and is at the engine
 * @s: the direction; under use->engine.
 *
 * One that the engine keeps completes all the same, without its memory. May sleep.
 */
void zcdma_slave_look(struct zc_slave *s)
{
	if (slave_is_left(s))
		slave_stop(s);
	if (!slave_ends_live(s))
		return;
	if (!slave_stop(s))
		zc_queue_give_up(s->session, s->lease);
	slave_set_live(s, true);
}

/* ---- they come and go ---- */

int zcdma_slave_init(struct zc_slave *s, struct zc_session *session, enum zcdma_way way)
{
	s->session = session;
	s->way = way;
	INIT_LIST_HEAD(&s->waiting);
	INIT_LIST_HEAD(&s->retired);
	init_waitqueue_head(&s->idle);
	zcdma_bh_init(&s->bh, zcdma_slave_bh);
	zc_mem_reset(&s->edges);
	s->window = slave_make_window(s, GFP_KERNEL_ACCOUNT);
	return s->window ? 0 : -ENOMEM;
}

/* A page for the edges of targets. It is mapped until the channel is lost or given back. */
static int slave_make_edges(struct zc_slave *s, struct zc_lease *lease)
{
	int err = zc_mem_pattern(&s->edges, 0);

	if (err)
		return err;
	s->edges.dir = DMA_BIDIRECTIONAL;
	err = zc_provider_mapping(lease->provider, &s->session->err);
	if (!err) {
		err = zc_mem_map(&s->edges, &lease->limits, 0, 2 * lease->line);
		if (err)
			zc_provider_unmapped(lease->provider);
	}
	if (err)
		zc_mem_release(&s->edges, false);
	return err;
}

/**
 * zcdma_slave_open() - a direction has its channel
 * @s: the direction; under use->engine, the channel is there.
 * @lease: its channel.
 * @width: of the port.
 *
 * Return: 0 or -errno.
 */
int zcdma_slave_open(struct zc_slave *s, struct zc_lease *lease, u32 width)
{
	struct dma_slave_caps caps;
	int err = dma_get_slave_caps(lease->dma, &caps);

	if (!err && s->way == ZCDMA_WAY_RX && lease->line > 1)
		err = slave_make_edges(s, lease);
	if (err)
		return err;
	/* Cut where a segment ends, the rest must still be whole words. */
	lease->limits.max_seg = max_t(size_t, round_down(lease->limits.max_seg, width), width);
	s->width = width;
	s->fine = caps.residue_granularity != DMA_RESIDUE_GRANULARITY_DESCRIPTOR;
	/* One that takes them in any order gets one at a time. */
	s->max_nr = lease->caps & ZCDMA_CAP_UNORDERED ? 1 : ZCDMA_SLAVE_PIECES;
	s->bh.sleeps = lease->sleeps;
	s->lease = lease;
	slave_set_live(s, true);
	return 0;
}

/*
 * Nothing of it is handed to the engine any more, for ever, and what the engine has comes back, or
 * stays there for good and completes without its memory. As zcdma_slave_open().
 */
void zcdma_slave_shut(struct zc_slave *s)
{
	if (!s->live && !slave_is_left(s))
		return;
	slave_set_live(s, false);
	if (slave_stop(s)) {
		zcdma_bh_kill(&s->bh);
		zcdma_slave_unmap(s);
		return;
	}
	/* It has pieces: so it counts as busy, and the channel is kept. */
	spin_lock_irq(&s->session->lock);
	if (s->op && !s->op->res)
		s->op->res = s->session->err;
	spin_unlock_irq(&s->session->lock);
	zc_queue_give_up(s->session, s->lease);
}

/* The engine has nothing of it, or its driver is gone and has left it where it was: for good. */
void zcdma_slave_unmap(struct zc_slave *s)
{
	if (!s->edges.nr_pages || s->lease->provider->stuck)
		return;
	zc_mem_unmap(&s->edges, s->lease->limits.dev);
	zc_mem_release(&s->edges, false);
	zc_provider_unmapped(s->lease->provider);
}

/* Nobody looks at it any more but callbacks that are late. */
void zcdma_slave_free(struct zc_slave *s)
{
	struct zcdma_slave_window *window, *tmp;

	zcdma_bh_kill(&s->bh);
	list_for_each_entry_safe(window, tmp, &s->retired, node)
		kfree_rcu(window, rcu);
	if (s->window)
		kfree_rcu(s->window, rcu);
}
