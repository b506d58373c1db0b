// SPDX-License-Identifier: GPL-2.0
/* Whose a direction of a port is: ops', of which it has a queue (slave.c), or a stream's. */
#include "port.h"

/**
 * zcdma_slave_admit() - the direction of a port that an op is for
 * @op: NEW, a send or a receive.
 *
 * To be given back with zcdma_slave_put().
 *
 * Return: 0, -EOPNOTSUPP when the session has none that way, -EBUSY when a stream has it.
 */
int zcdma_slave_admit(struct zc_op *op)
{
	struct zc_session *session = op->session;
	struct zcdma_port_use *use = zcdma_port_use(session);
	struct zc_slave *s;
	int err = 0;

	s = &use->slaves[op->want.opcode == ZCDMA_OP_SEND ? ZCDMA_WAY_TX : ZCDMA_WAY_RX];
	if (!s->lease || !(s->lease->caps & ZCDMA_CAP_TERMINATE))
		return -EOPNOTSUPP;
	spin_lock_irq(&session->lock);
	if (s->streaming)
		err = -EBUSY;
	else
		s->users++;
	spin_unlock_irq(&session->lock);
	if (err)
		return err;
	op->slave = s;
	op->lease = s->lease;
	op->word = s->width;
	op->failed_at = 0;
	if (s->fine)
		op->flags |= ZCDMA_DONE_RESIDUE;
	INIT_LIST_HEAD(&op->fifo);
	return 0;
}

/* What goes one way goes in order. Under session->lock, as the next two. */
void zcdma_slave_queued(struct zc_op *op)
{
	list_add_tail(&op->fifo, &op->slave->waiting);
}

void zcdma_slave_unqueued(struct zc_op *op)
{
	list_del_init(&op->fifo);
}

void zcdma_slave_put(struct zc_op *op)
{
	op->slave->users--;
}

/* The direction is for a stream from now on. Return: 0, -EBUSY when ops have it, -EEXIST. */
int zcdma_slave_claim(struct zc_slave *s)
{
	int err = 0;

	spin_lock_irq(&s->session->lock);
	if (s->streaming)
		err = -EEXIST;
	else if (s->users)
		err = -EBUSY;
	else
		s->streaming = true;
	spin_unlock_irq(&s->session->lock);
	return err;
}

/* There will be no stream after all. */
void zcdma_slave_unclaim(struct zc_slave *s)
{
	spin_lock_irq(&s->session->lock);
	s->streaming = false;
	spin_unlock_irq(&s->session->lock);
}
