// SPDX-License-Identifier: GPL-2.0
/*
 * When a direction of a port is "live": then ops (slave.c) are handed to its engine.
 *
 * It is from when it has its channel until the port or the channel is lost or given back,
 * but for while the engine is being stopped, because an op has failed that is there. It
 * changes under use->engine.
 */
#include <linux/delay.h>
#include "zcdma.h"

/*
 * How often to look whether the engine stands still, 0.1 ms or a bit more apart. What it
 * moves after we have looked is moved once more by whoever goes on from there, so this is
 * long for an engine. Some drivers never say that they are paused: there must be an end.
 */
#define PAUSE_LOOKS	50

/* ---- stopping ---- */

static bool pump_ended(struct zcdma_slave *s)
{
	bool ret;

	spin_lock_irq(&s->session->lock);
	ret = !s->pumping;
	spin_unlock_irq(&s->session->lock);
	return ret;
}

static void set_live(struct zcdma_slave *s, bool live)
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
static bool may_move(struct zcdma_slave *s, struct zcdma_slave_piece *piece)
{
	struct dma_tx_state state = { };
	size_t before = piece->moved;
	enum dma_status status;

	status = dmaengine_tx_status(s->chan->dma, piece->cookie, &state);
	if (status == DMA_COMPLETE)
		piece->moved = piece->len;
	else if (s->fine && (status == DMA_IN_PROGRESS || status == DMA_PAUSED))
		piece->moved = piece->len - min_t(size_t, state.residue, piece->len);
	else
		piece->moved = 0;
	return status == DMA_IN_PROGRESS || status == DMA_COMPLETE || piece->moved != before;
}

/* Is all as it was when we looked last, and will it stay so? */
static bool stands_still(struct zcdma_slave *s)
{
	struct zcdma_slave_piece *piece;
	bool ret = true;

	/* Callbacks may come meanwhile: then the piece is not at the engine any more. */
	for (piece = s->pieces; piece < s->pieces + ZCDMA_SLAVE_PIECES; piece++)
		if (READ_ONCE(piece->at_engine) && may_move(s, piece))
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
static void measure(struct zcdma_slave *s)
{
	struct dma_chan *dma = s->chan->dma;
	int looks;

	if (!dma->device->device_pause) {
		stands_still(s);
		return;
	}
	for (looks = 0; looks < PAUSE_LOOKS; looks++) {
		if (looks)
			usleep_range(100, 200);
		dmaengine_pause(dma);
		if (stands_still(s) && looks)
			return;
	}
}

static bool has_pieces(struct zcdma_slave *s)
{
	bool ret;

	spin_lock_irq(&s->session->lock);
	ret = s->nr;
	spin_unlock_irq(&s->session->lock);
	return ret;
}

/*
 * The op that is at the engine ends: it has failed, or the session has. Under use->engine,
 * with the channel still there. The direction is not live any more.
 */
static void stop(struct zcdma_slave *s)
{
	struct dma_chan *dma = s->chan->dma;

	wait_event(s->idle, pump_ended(s));
	if (has_pieces(s)) {
		measure(s);
		dmaengine_terminate_sync(dma);
		/* Where the provider cannot tell: callbacks that run just now are softirqs. */
		if (!dma->device->device_synchronize)
			synchronize_rcu();
	}
	zcdma_slave_collect(s);
}

/*
 * Has the op that is at the engine failed? Then no other has its turn from now on, not even
 * if that one ends by itself: it would be stopped in its place, half moved and with no
 * error.
 */
static bool ends_live(struct zcdma_slave *s)
{
	bool ret;

	spin_lock_irq(&s->session->lock);
	ret = s->live && s->req && s->req->res;
	if (ret)
		s->live = false;
	spin_unlock_irq(&s->session->lock);
	return ret;
}

/**
 * zcdma_slave_look() - end ops that have failed and are at the engine, and go on
 * @session: of a port or not.
 *
 * May sleep.
 */
void zcdma_slave_look(struct zcdma_session *session)
{
	struct zcdma_port_use *use = zcdma_port_use(session);
	int way;

	if (!use)
		return;
	mutex_lock(&use->engine);
	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (ends_live(&use->slaves[way])) {
			stop(&use->slaves[way]);
			set_live(&use->slaves[way], true);
		}
	}
	zcdma_slave_kick(session);
	mutex_unlock(&use->engine);
}

/* ---- they come and go ---- */

void zcdma_slave_init(struct zcdma_slave *s, struct zcdma_session *session, enum zcdma_way way)
{
	int i;

	s->session = session;
	s->way = way;
	INIT_LIST_HEAD(&s->waiting);
	init_waitqueue_head(&s->idle);
	zcdma_mem_reset(&s->edges);
	for (i = 0; i < ZCDMA_SLAVE_PIECES; i++)
		s->pieces[i].slave = s;
}

/* A page for the edges of targets. It is mapped until the channel is lost or given back. */
static int make_edges(struct zcdma_slave *s, struct zcdma_chan *chan)
{
	int err = zcdma_mem_pattern(&s->edges, 0);

	if (err)
		return err;
	s->edges.dir = DMA_FROM_DEVICE;
	err = zcdma_mem_map(&s->edges, chan, 0, 2 * chan->line);
	if (err)
		zcdma_mem_release(&s->edges, false);
	return err;
}

/**
 * zcdma_slave_open() - a direction has its channel
 * @s: the direction; under use->engine, the channel is there.
 * @chan: its channel.
 * @width: of the port.
 *
 * Return: 0 or -errno.
 */
int zcdma_slave_open(struct zcdma_slave *s, struct zcdma_chan *chan, u32 width)
{
	struct dma_slave_caps caps;
	int err = dma_get_slave_caps(chan->dma, &caps);

	if (!err && s->way == ZCDMA_WAY_RX && chan->line > 1)
		err = make_edges(s, chan);
	if (err)
		return err;
	/* Cut where a segment ends, the rest must still be whole words. */
	chan->max_seg = max_t(size_t, round_down(chan->max_seg, width), width);
	s->width = width;
	s->fine = caps.residue_granularity != DMA_RESIDUE_GRANULARITY_DESCRIPTOR;
	/* One that takes them in any order gets one at a time. */
	s->max_nr = chan->caps & ZCDMA_CAP_UNORDERED ? 1 : ZCDMA_SLAVE_PIECES;
	s->chan = chan;
	set_live(s, true);
	return 0;
}

/* Nothing of it is at the engine or mapped any more, for ever. As zcdma_slave_open(). */
void zcdma_slave_shut(struct zcdma_slave *s)
{
	if (!s->live)
		return;
	set_live(s, false);
	stop(s);
	if (!s->edges.nr_pages)
		return;
	zcdma_mem_unmap(&s->edges, s->chan);
	zcdma_mem_release(&s->edges, false);
}
