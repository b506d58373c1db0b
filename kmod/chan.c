// SPDX-License-Identifier: GPL-2.0
/*
 * Channels: lease, share, give back, lose.
 *
 * A channel is leased when the first session wants it and given back when the
 * last one leaves. In between it is in the registry. Where the engine cannot be
 * stopped, the last one leaves it there until the engine is through with what
 * it has, and whoever comes meanwhile finds it as if it had never been idle.
 *
 * A provider can be unbound from its device at any time; the reference on its
 * module does not prevent that. So we listen on the buses of the providers we
 * lease from. When our notifier returns, nothing of ours is at the engine or
 * mapped for it, and the channel is given back.
 */
#include <linux/dma-map-ops.h>
#include <linux/capability.h>
#include <linux/slab.h>
#include "zcdma.h"

/* Protects the next three, and who is attached to what. */
DEFINE_MUTEX(zcdma_registry);
static LIST_HEAD(leased);
static LIST_HEAD(watched_buses);
static bool closing_down;

struct watched_bus {
	struct list_head node;
	struct bus_type *bus;		/* not const: 6.1 wants to write to it */
	struct notifier_block nb;
};

/* ---- the lease ---- */

static void chan_free(struct rcu_head *rcu)
{
	struct zcdma_chan *chan = container_of(rcu, struct zcdma_chan, rcu);

	zcdma_window_free(chan);
	kfree(chan);
}

static void chan_destroy(struct kref *ref)
{
	struct zcdma_chan *chan = container_of(ref, struct zcdma_chan, ref);

	zcdma_device_put(chan->device);
	put_device(chan->dev);
	call_rcu(&chan->rcu, chan_free);
}

void zcdma_chan_put(struct zcdma_chan *chan)
{
	kref_put(&chan->ref, chan_destroy);
}

/* Given back to the kernel; sessions may still hold the struct. Under zcdma_registry. */
static void retire(struct zcdma_chan *chan)
{
	list_del(&chan->node);
	zcdma_chan_shut(chan);
	zcdma_chan_put(chan);
}

static bool may_close(struct zcdma_chan *chan)
{
	return zcdma_chan_idle(chan) || READ_ONCE(closing_down);
}

/* The last session left an engine that cannot be stopped. */
static void close_work(struct work_struct *work)
{
	struct zcdma_chan *chan = container_of(work, struct zcdma_chan, close);

	wait_event_timeout(chan->idle, may_close(chan),
			   msecs_to_jiffies(ZCDMA_MAX_DEADLINE_MS));
	mutex_lock(&zcdma_registry);
	if (!chan->sessions && chan->state != ZCDMA_CHAN_GONE)
		retire(chan);
	mutex_unlock(&zcdma_registry);
	zcdma_chan_put(chan);
}

static void close_when_idle(struct zcdma_chan *chan)
{
	kref_get(&chan->ref);
	if (!queue_work(zcdma_wq, &chan->close))
		zcdma_chan_put(chan);
}

static void learn(struct zcdma_chan *chan)
{
	struct zcdma_facts facts;
	size_t edge;

	zcdma_chan_facts(chan->dma, &facts);
	chan->caps = facts.caps;
	chan->done_flags = facts.caps & ZCDMA_CAP_HARDWARE ? ZCDMA_DONE_HARDWARE : ZCDMA_DONE_CPU;
	if (facts.reports)
		chan->done_flags |= ZCDMA_DONE_REPORTED;
	/*
	 * The providers without terminate are the old ones of async_tx, with
	 * locks around the callback that prep may want, and idxd, whose prep
	 * sleeps.
	 */
	chan->inline_refill = facts.caps & ZCDMA_CAP_TERMINATE;
	chan->copy_align = facts.copy_align;
	chan->fill_align = facts.fill_align;
	chan->line = facts.caps & ZCDMA_CAP_COHERENT ? 1 : dma_get_cache_alignment();
	chan->copy_edge = max(chan->copy_align, chan->line);
	chan->boundary = dma_get_seg_boundary(chan->dev);
	/* Cut where it comes to an end, the rest must still be aligned. */
	edge = max3(chan->copy_align, chan->fill_align, chan->line);
	chan->max_seg = min_t(size_t, dma_get_max_seg_size(chan->dev),
			      dma_max_mapping_size(chan->dev));
	chan->max_seg = max(round_down(chan->max_seg, edge), edge);
	chan->max_piece = chan->max_seg;
}

static struct zcdma_chan *chan_create(struct dma_chan *dma)
{
	struct zcdma_chan *chan = kzalloc(sizeof(*chan), GFP_KERNEL);

	if (!chan)
		return NULL;
	chan->device = zcdma_device_get(dma->device->dev);
	if (!chan->device || zcdma_window_init(chan)) {
		if (chan->device)
			zcdma_device_put(chan->device);
		kfree(chan);
		return NULL;
	}
	kref_init(&chan->ref);
	INIT_LIST_HEAD(&chan->lanes);
	INIT_WORK(&chan->close, close_work);
	chan->dma = dma;
	chan->dev = get_device(dmaengine_get_dma_device(dma));
	learn(chan);
	return chan;
}

static bool is_this(struct dma_chan *dma, void *arg)
{
	return dma == arg;
}

/* Take one that was free a moment ago. Under zcdma_registry. */
static struct zcdma_chan *lease(struct dma_chan *wanted)
{
	struct zcdma_chan *chan;
	struct dma_chan *dma;
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	dma = dma_request_channel(mask, is_this, wanted);
	if (!dma)
		return ERR_PTR(-EBUSY);
	chan = chan_create(dma);
	if (!chan) {
		dma_release_channel(dma);
		return ERR_PTR(-ENOMEM);
	}
	list_add_tail(&chan->node, &leased);
	return chan;
}

static struct zcdma_chan *leased_as(struct dma_chan *dma)
{
	struct zcdma_chan *chan;

	list_for_each_entry(chan, &leased, node)
		if (chan->dma == dma)
			return chan;
	return NULL;
}

/* ---- looking at all of them ---- */

struct tour {
	zcdma_visit_fn fn;
	void *arg;
};

static void tour_visit(struct dma_chan *dma, void *arg)
{
	struct zcdma_chan *chan = leased_as(dma);
	struct tour *tour = arg;

	if (chan)
		chan->toured = true;
	tour->fn(dma, tour->arg);
}

/*
 * Each channel once: those of devices that have a free one, then those of ours
 * on devices that have none. Under zcdma_registry.
 */
static void walk(zcdma_visit_fn fn, void *arg)
{
	struct tour tour = { .fn = fn, .arg = arg };
	struct zcdma_chan *chan;

	list_for_each_entry(chan, &leased, node)
		chan->toured = false;
	zcdma_walk_channels(tour_visit, &tour);
	list_for_each_entry(chan, &leased, node)
		if (!chan->toured)
			fn(chan->dma, arg);
}

static u32 state_of(struct dma_chan *dma, struct zcdma_chan *chan, const struct zcdma_facts *facts)
{
	if (chan)
		return chan->exclusive ? ZCDMA_CHANNEL_EXCLUSIVE : ZCDMA_CHANNEL_SHARED;
	if (dma->client_count)
		return ZCDMA_CHANNEL_BUSY;
	return facts->allowed ? ZCDMA_CHANNEL_FREE : ZCDMA_CHANNEL_DENIED;
}

static void describe(struct dma_chan *dma, struct zcdma_query_channel *query)
{
	struct device *dev = dmaengine_get_dma_device(dma);
	struct zcdma_chan *chan = leased_as(dma);
	struct zcdma_facts facts;

	zcdma_chan_facts(dma, &facts);
	query->out_caps = facts.caps;
	query->out_state = state_of(dma, chan, &facts);
	query->out_sessions = chan ? chan->sessions : 0;
	query->out_copy_align = facts.copy_align;
	query->out_fill_align = facts.fill_align;
	query->out_max_segment = dma_get_max_seg_size(dev);
	query->out_residue = dma->device->residue_granularity;
	query->out_numa_node = dev_to_node(dma->device->dev);
	strscpy_pad(query->out_name, dma_chan_name(dma), ZCDMA_NAME_LEN);
	strscpy_pad(query->out_device, dev_name(dma->device->dev), ZCDMA_NAME_LEN);
	strscpy_pad(query->out_provider, zcdma_provider_name(dma), ZCDMA_NAME_LEN);
}

struct search {
	struct zcdma_query_channel *query;
	u32 left;
	bool found;
};

static void count_down(struct dma_chan *dma, void *arg)
{
	struct search *search = arg;

	if (!search->found && !search->left--) {
		search->found = true;
		describe(dma, search->query);
	}
}

/**
 * zcdma_chan_query() - %ZCDMA_IOC_QUERY_CHANNEL
 * @only: look at this one only, or NULL for all there are.
 * @query: which, and the answer.
 *
 * Return: 0, -ENOENT past the last, -ENODEV when @only is gone.
 */
int zcdma_chan_query(struct zcdma_chan *only, struct zcdma_query_channel *query)
{
	struct search search = { .query = query, .left = only ? 0 : query->index };
	int err = 0;

	mutex_lock(&zcdma_registry);
	if (!only)
		walk(count_down, &search);
	else if (only->state == ZCDMA_CHAN_GONE)
		err = -ENODEV;
	else
		count_down(only->dma, &search);
	mutex_unlock(&zcdma_registry);
	return err ?: search.found ? 0 : -ENOENT;
}

/* ---- which one to lease ---- */

/* Devices that may refuse a free channel before we stop asking. */
#define MAX_REFUSING	8

/*
 * What a session asks for, and the best that was found so far. A channel that is
 * free cannot always be had: somebody in the kernel may be faster, or the engine
 * may have fewer threads than channels (pl330). Then the other devices are asked.
 */
struct choice {
	const struct zcdma_attach *how;
	const struct zcdma_session *session;	/* that asks */
	const struct dma_device *only;		/* it has a channel of this one; or NULL */
	bool exclusive;
	const struct dma_device *refusing[MAX_REFUSING];
	unsigned int nr_refusing;
	struct dma_chan *best;
	const struct dma_device *device;	/* of the best */
	int score;
	bool denied;			/* some would do, and "allow" forbids them */
	bool busy;			/* some would do, and somebody else has them */
};

static bool suits(struct dma_chan *dma, const struct zcdma_facts *facts,
		  const struct choice *choice)
{
	u64 wanted = choice->how->caps | ZCDMA_CAP_COPY;

	if (choice->only ? dma->device != choice->only : !zcdma_chan_is(dma, choice->how->name))
		return false;
	return (facts->caps & wanted) == wanted && dma->device->chancnt >= choice->how->channels;
}

static bool refuses(const struct dma_device *device, const struct choice *choice)
{
	unsigned int i;

	for (i = 0; i < choice->nr_refusing; i++)
		if (choice->refusing[i] == device)
			return true;
	return false;
}

/* Is the session at it already? */
static bool attached(const struct zcdma_chan *chan, const struct zcdma_session *session)
{
	const struct zcdma_lane *lane;

	list_for_each_entry(lane, &chan->lanes, node)
		if (lane->session == session)
			return true;
	return false;
}

static bool taken(struct dma_chan *dma, struct zcdma_chan *chan, const struct choice *choice)
{
	if (chan && attached(chan, choice->session))
		return true;
	if (!chan)
		return dma->client_count || refuses(dma->device, choice);
	return chan->exclusive || (choice->exclusive && chan->sessions);
}

/* Hardware before software, free before shared, then few sessions, then near. */
static int score(struct dma_chan *dma, const struct zcdma_facts *facts, struct zcdma_chan *chan)
{
	int sessions = chan ? min(chan->sessions, 10000U) : 0;
	int ret = facts->caps & ZCDMA_CAP_HARDWARE ? 100000 : 0;

	ret += 4 * (10000 - sessions);
	if (dev_to_node(dma->device->dev) == numa_node_id())
		ret += 1;
	return ret;
}

static void consider(struct dma_chan *dma, void *arg)
{
	struct zcdma_chan *chan = leased_as(dma);
	struct choice *choice = arg;
	struct zcdma_facts facts;
	int points;

	zcdma_chan_facts(dma, &facts);
	if (!suits(dma, &facts, choice))
		return;
	if (!facts.allowed) {
		choice->denied = true;
		return;
	}
	if (taken(dma, chan, choice)) {
		choice->busy = true;
		return;
	}
	points = score(dma, &facts, chan) + 1;
	if (points > choice->score) {
		choice->score = points;
		choice->best = dma;
		choice->device = dma->device;
	}
}

static int no_choice(const struct choice *choice)
{
	if (choice->busy)
		return -EBUSY;
	return choice->denied ? -EPERM : -ENODEV;
}

/* Under zcdma_registry. */
static struct zcdma_chan *choose(const struct zcdma_attach *how,
				 const struct zcdma_session *session,
				 const struct zcdma_chan *first)
{
	struct choice choice = { .how = how, .session = session };
	struct zcdma_chan *chan;

	choice.only = first ? first->dma->device : NULL;
	choice.exclusive = how->flags & ZCDMA_ATTACH_EXCLUSIVE;
	for (;;) {
		choice.best = NULL;
		choice.score = 0;
		walk(consider, &choice);
		if (!choice.best)
			return ERR_PTR(no_choice(&choice));
		chan = leased_as(choice.best) ?: lease(choice.best);
		if (PTR_ERR_OR_ZERO(chan) != -EBUSY || choice.nr_refusing == MAX_REFUSING)
			return chan;
		choice.refusing[choice.nr_refusing++] = choice.device;
	}
}

/* ---- joining and leaving ---- */

static bool bus_is_watched(const struct bus_type *bus)
{
	struct watched_bus *each;

	list_for_each_entry(each, &watched_buses, node)
		if (each->bus == bus)
			return true;
	return !bus;
}

static void enter(struct zcdma_chan *chan, struct zcdma_lane *lane, bool exclusive)
{
	lane->chan = chan;
	spin_lock_irq(&chan->lock);
	list_add_tail(&lane->node, &chan->lanes);
	spin_unlock_irq(&chan->lock);
	chan->sessions++;
	chan->exclusive = exclusive;
	kref_get(&chan->ref);
}

/* The session keeps its reference on the struct. Under zcdma_registry. */
static void leave(struct zcdma_lane *lane)
{
	struct zcdma_chan *chan = lane->chan;

	spin_lock_irq(&chan->lock);
	list_del_init(&lane->turn);
	list_del(&lane->node);
	spin_unlock_irq(&chan->lock);
	chan->sessions--;
	chan->exclusive = false;
	if (chan->sessions || chan->state == ZCDMA_CHAN_GONE)
		return;
	if ((chan->caps & ZCDMA_CAP_TERMINATE) || zcdma_chan_idle(chan))
		retire(chan);
	else
		close_when_idle(chan);
}

/*
 * One more channel for a session, of the same device as its first. Under zcdma_registry.
 *
 * Return: 0 or -errno; -EAGAIN with *bus set when that bus has to be watched first,
 * which cannot be done under zcdma_registry: the notifier takes it.
 */
static int join_one(struct zcdma_lane *lanes, unsigned int nr, struct zcdma_attach *how,
		    const struct bus_type **bus)
{
	struct zcdma_chan *first = nr ? lanes[0].chan : NULL;
	struct zcdma_chan *chan = choose(how, lanes[nr].session, first);
	int err = 0;

	if (IS_ERR(chan))
		return PTR_ERR(chan);
	*bus = chan->device->provider->bus;
	if (!bus_is_watched(*bus))
		err = -EAGAIN;
	else if (first && chan->dev != first->dev)
		err = -ENODEV;		/* its memory would have to be mapped twice */
	if (!err)
		enter(chan, &lanes[nr], how->flags & ZCDMA_ATTACH_EXCLUSIVE);
	else if (!chan->sessions)
		retire(chan);
	return err;
}

/* All of them or none. */
static int try_join(struct zcdma_lane *lanes, struct zcdma_attach *how,
		    const struct bus_type **bus)
{
	unsigned int nr, wanted = how->channels ?: 1;
	int err = 0;

	mutex_lock(&zcdma_registry);
	for (nr = 0; nr < wanted && !err; nr++)
		err = join_one(lanes, nr, how, bus);
	if (err) {
		for (nr--; nr--; zcdma_chan_put(lanes[nr].chan))
			leave(&lanes[nr]);
	} else {
		strscpy_pad(how->out_name, dma_chan_name(lanes->chan->dma), ZCDMA_NAME_LEN);
	}
	mutex_unlock(&zcdma_registry);
	return err;
}

static int watch_bus(const struct bus_type *bus);

/**
 * zcdma_chan_join() - attach a session to channels of one device
 * @lanes: the session's places, not in use, as many as @how asks for.
 * @how: what is asked for; out_name is set.
 *
 * May sleep.
 *
 * Return: 0 with a reference on each, or an error that the uapi header lists for ATTACH.
 */
int zcdma_chan_join(struct zcdma_lane *lanes, struct zcdma_attach *how)
{
	const struct bus_type *bus;
	int err;

	if ((how->flags & ZCDMA_ATTACH_EXCLUSIVE) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	while ((err = try_join(lanes, how, &bus)) == -EAGAIN) {
		err = watch_bus(bus);
		if (err)
			break;
	}
	return err;
}

/**
 * zcdma_chan_leave() - a session is being closed
 * @lanes: its places; it keeps its references on the structs of the channels.
 * @nr: how many.
 *
 * May sleep: the last one to leave a channel stops the engine.
 */
void zcdma_chan_leave(struct zcdma_lane *lanes, unsigned int nr)
{
	mutex_lock(&zcdma_registry);
	while (nr--)
		leave(&lanes[nr]);
	mutex_unlock(&zcdma_registry);
}

/* ---- for ports ---- */

struct sighting {
	const char *name;
	struct zcdma_query_channel *query;
	bool found;
};

static void sight(struct dma_chan *dma, void *arg)
{
	struct sighting *sighting = arg;

	if (!sighting->found && !strcmp(dma_chan_name(dma), sighting->name)) {
		sighting->found = true;
		describe(dma, sighting->query);
	}
}

/* Is there a channel of this name, and what is known of it? Under zcdma_registry. */
bool zcdma_chan_peek(const char *name, struct zcdma_query_channel *query)
{
	struct sighting sighting = { .name = name, .query = query };

	walk(sight, &sighting);
	return sighting.found;
}

/* As join_one(). */
static struct zcdma_chan *try_take(struct zcdma_lane *lane, struct zcdma_chan **to,
				   struct dma_chan *dma, const struct bus_type **bus)
{
	struct zcdma_chan *chan;
	struct zcdma_facts facts;

	*bus = dma->device->dev->bus;
	if (!bus_is_watched(*bus))
		return ERR_PTR(-EAGAIN);
	zcdma_chan_facts(dma, &facts);
	if (!facts.allowed)
		return ERR_PTR(-EPERM);
	chan = chan_create(dma);
	if (!chan)
		return ERR_PTR(-ENOMEM);
	list_add_tail(&chan->node, &leased);
	enter(chan, lane, true);
	*to = chan;
	return chan;
}

/**
 * zcdma_chan_take() - lease a channel for a session's port
 * @lane: the session's place, not in use.
 * @to: where to put the channel, before the registry is unlocked.
 * @request: gets it from dmaengine.
 * @arg: for @request.
 *
 * May sleep. To be given back with zcdma_chan_leave().
 *
 * Return: the channel, with a reference, or ERR_PTR().
 */
struct zcdma_chan *zcdma_chan_take(struct zcdma_lane *lane, struct zcdma_chan **to,
				   struct dma_chan *(*request)(void *arg), void *arg)
{
	const struct bus_type *bus;
	struct zcdma_chan *chan;
	struct dma_chan *dma;
	int err = 0;

	do {
		mutex_lock(&zcdma_registry);
		dma = request(arg);
		if (IS_ERR(dma)) {
			chan = ERR_CAST(dma);
		} else {
			chan = try_take(lane, to, dma, &bus);
			if (IS_ERR(chan))
				dma_release_channel(dma);
		}
		mutex_unlock(&zcdma_registry);
		if (PTR_ERR_OR_ZERO(chan) != -EAGAIN)
			return chan;
		err = watch_bus(bus);
	} while (!err);
	return ERR_PTR(err);
}

/* ---- losing one ---- */

static void fail_sessions(struct zcdma_chan *chan)
{
	struct zcdma_lane *lane;

	list_for_each_entry(lane, &chan->lanes, node) {
		zcdma_queue_fail(lane->session, -ENODEV);
		zcdma_port_lost(lane->session, chan);
	}
}

static void release_memory(struct zcdma_chan *chan)
{
	struct zcdma_lane *lane;

	list_for_each_entry(lane, &chan->lanes, node) {
		zcdma_session_sweep(lane->session);
		zcdma_buffers_unmap(lane->session);
	}
}

/* One channel, of a port that is no more. Under zcdma_registry. */
void zcdma_chan_lose(struct zcdma_chan *chan)
{
	if (chan->state == ZCDMA_CHAN_GONE)
		return;
	zcdma_chan_settle(chan);	/* What has come is not to be failed. */
	fail_sessions(chan);
	kref_get(&chan->ref);
	retire(chan);
	release_memory(chan);
	zcdma_chan_put(chan);
}

/*
 * All channels of a device. The sessions first: what they have must fail and not run
 * again. Then all the channels, since a session may have pieces at several, then the
 * memory. That of sessions that were closed before is released by their janitors.
 */
static void lose(struct device *provider)
{
	struct zcdma_chan *chan, *tmp;
	LIST_HEAD(lost);

	list_for_each_entry_safe(chan, tmp, &leased, node) {
		if (chan->device->provider != provider)
			continue;
		fail_sessions(chan);
		kref_get(&chan->ref);
		retire(chan);
		list_add(&chan->node, &lost);
	}
	list_for_each_entry(chan, &lost, node)
		release_memory(chan);
	zcdma_device_drain(provider);
	list_for_each_entry_safe(chan, tmp, &lost, node)
		zcdma_chan_put(chan);
}

static int unbinding(struct notifier_block *nb, unsigned long action, void *data)
{
	if (action != BUS_NOTIFY_UNBIND_DRIVER)
		return NOTIFY_DONE;
	mutex_lock(&zcdma_registry);
	lose(data);
	mutex_unlock(&zcdma_registry);
	return NOTIFY_OK;
}

static int watch_bus(const struct bus_type *bus)
{
	struct watched_bus *watched = kzalloc(sizeof(*watched), GFP_KERNEL);
	int err;

	if (!watched)
		return -ENOMEM;
	watched->bus = (struct bus_type *)bus;
	watched->nb.notifier_call = unbinding;
	err = bus_register_notifier(watched->bus, &watched->nb);
	if (err) {
		kfree(watched);
		return err;
	}
	mutex_lock(&zcdma_registry);
	if (!bus_is_watched(bus)) {
		list_add(&watched->node, &watched_buses);
		watched = NULL;
	}
	mutex_unlock(&zcdma_registry);
	if (watched) {
		bus_unregister_notifier(watched->bus, &watched->nb);
		kfree(watched);
	}
	return 0;
}

/* The module leaves: no file is open. */
void zcdma_chan_exit(void)
{
	struct watched_bus *watched, *tmp;
	struct zcdma_chan *chan;

	WRITE_ONCE(closing_down, true);
	mutex_lock(&zcdma_registry);
	list_for_each_entry(chan, &leased, node)
		wake_up(&chan->idle);
	mutex_unlock(&zcdma_registry);
	zcdma_session_wait_gone();
	flush_workqueue(zcdma_wq);

	list_for_each_entry_safe(watched, tmp, &watched_buses, node) {
		bus_unregister_notifier(watched->bus, &watched->nb);
		kfree(watched);
	}
	rcu_barrier();
}
