/* SPDX-License-Identifier: GPL-2.0 */
/* How ops come into their session; see admit.c. */
#ifndef _ZC_ADMIT_H
#define _ZC_ADMIT_H

#include "queue.h"

int zc_queue_admit_any(struct zc_op *op, u64 now, u32 deadline_ms);
int zc_queue_submit(struct zc_session *session, struct list_head *batch, struct list_head *rest);
void zc_queue_drop(struct zc_session *session, struct list_head *batch);
void zc_queue_forget(struct list_head *batch);
void zc_queue_kick(struct zc_session *session);

/* Move the ops from @op on to @rest, before what is there. */
static inline void zc_queue_cut_off(struct list_head *batch, struct zc_op *op,
				    struct list_head *rest)
{
	list_bulk_move_tail(rest->next, &op->node, batch->prev);
}

/**
 * zc_queue_admit() - check an op, and pin what of its memory is not registered
 * @op: NEW, with what the user wants and its sink. To be dropped if this fails.
 * @now: ktime_get_ns() of the submit.
 * @deadline_ms: if it names none.
 *
 * May sleep, for as long as page faults take, unless all its memory is registered.
 *
 * Return: 0, -EINVAL, -EMSGSIZE, -EOPNOTSUPP, -EBUSY, -EFAULT, -ENOMEM, -EINTR.
 */
static inline int zc_queue_admit(struct zc_op *op, u64 now, u32 deadline_ms)
{
	if (!zc_op_is_simple(&op->want) || !op->session->nr_members)
		return zc_queue_admit_any(op, now, deadline_ms);
	op->deadline = now + deadline_ms * (u64)NSEC_PER_MSEC;
	return 0;
}

#endif
