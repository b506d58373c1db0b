// SPDX-License-Identifier: GPL-2.0
/* Deadlines: each session's watch looks at them, and sees that every wait ends. */
#include "zcdma.h"

/* How often to look at an engine that has what is past its deadline, and gets on. */
#define STALLED_LOOK_NS	(50 * NSEC_PER_MSEC)

/* What a look at the deadlines found. */
struct expiry {
	bool any;			/* there are requests to watch */
	bool stuck;			/* one is past its deadline and at the engine */
	u64 next;			/* when to look again */
};

static void look_again(struct expiry *seen, u64 when)
{
	if (!seen->any || when < seen->next)
		seen->next = when;
	seen->any = true;
}

static void expire_list(struct list_head *list, u64 now, struct expiry *seen)
{
	struct zcdma_request *req, *tmp;

	list_for_each_entry_safe(req, tmp, list, node) {
		if (now < req->deadline) {
			look_again(seen, req->deadline);
		} else {
			if (req->pending)
				seen->stuck = true;
			zcdma_request_fail(req, -ETIMEDOUT);
		}
	}
}

/* Complete what is past its deadline though the engine may still write to it. */
static void give_up(struct zcdma_session *session)
{
	struct zcdma_request *req, *tmp;

	spin_lock_irq(&session->lock);
	list_for_each_entry_safe(req, tmp, &session->active, node)
		if (req->res)
			zcdma_request_finish(req);
	spin_unlock_irq(&session->lock);
}

/* Return: false when a channel hangs and cannot be stopped. */
static bool expire_chans(struct zcdma_session *session)
{
	bool ret = true;
	unsigned int i;

	for (i = 0; i < session->nr_lanes; i++)
		ret &= zcdma_chan_expire(session->lanes[i].chan);
	return ret;
}

/* The watch: fails what is past its deadline, and has a hung engine stopped. */
void zcdma_queue_watch(struct work_struct *work)
{
	struct zcdma_session *session = container_of(to_delayed_work(work),
						     struct zcdma_session, watch);
	u64 now = ktime_get_ns();
	struct expiry seen = {};
	unsigned int i;

	for (i = 0; i < session->nr_lanes; i++)
		zcdma_chan_settle(session->lanes[i].chan);
	spin_lock_irq(&session->lock);
	session->watching = false;
	expire_list(&session->active, now, &seen);
	expire_list(&session->queue, now, &seen);
	spin_unlock_irq(&session->lock);

	if (seen.stuck) {
		if (!expire_chans(session))
			give_up(session);
		look_again(&seen, now + STALLED_LOOK_NS);
	}
	zcdma_slave_look(session);
	spin_lock_irq(&session->lock);
	if (seen.any && !zcdma_queue_idle(session))
		zcdma_queue_watch_from(session, seen.next);
	spin_unlock_irq(&session->lock);
	zcdma_session_put(session);
}
