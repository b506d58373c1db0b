// SPDX-License-Identifier: GPL-2.0
/* Which channels there are, leased or not, and which of them a session gets. See lease.c. */
#include "choose.h"
#include "provider.h"

struct zc_lease *zc_lease_of(struct dma_chan *dma)
{
	struct zc_lease *lease;

	list_for_each_entry(lease, &zc_leases, node)
		if (lease->dma == dma)
			return lease;
	return NULL;
}

/* ---- looking at all of them ---- */

struct tour {
	zc_visit_fn fn;
	void *arg;
};

static void lease_visit(struct dma_chan *dma, void *arg)
{
	struct zc_lease *lease = zc_lease_of(dma);
	struct tour *tour = arg;

	if (lease)
		lease->toured = true;
	tour->fn(dma, tour->arg);
}

/*
 * Each channel once: those of devices that have a free one, then those of ours
 * on devices that have none. Under zc_registry.
 */
static void lease_walk(zc_visit_fn fn, void *arg)
{
	struct tour tour = { .fn = fn, .arg = arg };
	struct zc_lease *lease;

	list_for_each_entry(lease, &zc_leases, node)
		lease->toured = false;
	zc_find_each(lease_visit, &tour);
	list_for_each_entry(lease, &zc_leases, node)
		if (!lease->toured)
			fn(lease->dma, arg);
}

static u32 lease_state(struct dma_chan *dma, struct zc_lease *lease, const struct zc_facts *facts)
{
	if (lease && (lease->exclusive || lease->requested))
		return ZCDMA_CHANNEL_EXCLUSIVE;
	if (!lease && dma->client_count)
		return ZCDMA_CHANNEL_BUSY;
	if (!facts->allowed)
		return ZCDMA_CHANNEL_DENIED;
	/* The last session may have left it, and its engine not be idle yet. */
	return lease && lease->sessions ? ZCDMA_CHANNEL_SHARED : ZCDMA_CHANNEL_FREE;
}

static void lease_describe(struct dma_chan *dma, struct zcdma_query_channel *query)
{
	struct device *dev = dmaengine_get_dma_device(dma);
	struct zc_lease *lease = zc_lease_of(dma);
	struct zc_facts facts;

	zc_find_facts(dma, &facts);
	query->out_caps = facts.caps;
	query->out_state = lease_state(dma, lease, &facts);
	query->out_sessions = lease ? lease->sessions : 0;
	query->out_copy_align = facts.copy_align;
	query->out_fill_align = facts.fill_align;
	query->out_max_segment = dma_get_max_seg_size(dev);
	query->out_residue = dma->device->residue_granularity;
	query->out_numa_node = dev_to_node(dma->device->dev);
	strscpy_pad(query->out_name, dma_chan_name(dma), ZCDMA_NAME_LEN);
	strscpy_pad(query->out_device, dev_name(dma->device->dev), ZCDMA_NAME_LEN);
	strscpy_pad(query->out_provider, zc_find_provider(dma), ZCDMA_NAME_LEN);
}

struct search {
	struct zcdma_query_channel *query;
	u32 left;
	bool found;
};

static void lease_count_down(struct dma_chan *dma, void *arg)
{
	struct search *search = arg;

	if (!search->found && !search->left--) {
		search->found = true;
		lease_describe(dma, search->query);
	}
}

/**
 * zc_lease_query() - %ZCDMA_IOC_QUERY_CHANNEL
 * @only: look at this one only, or NULL for all there are.
 * @query: which, and the answer.
 *
 * Return: 0, -ENOENT past the last, -ENODEV when @only is gone.
 */
int zc_lease_query(struct zc_lease *only, struct zcdma_query_channel *query)
{
	struct search search = { .query = query, .left = only ? 0 : query->index };
	int err = 0;

	mutex_lock(&zc_registry);
	if (!only)
		lease_walk(lease_count_down, &search);
	else if (only->gone)
		err = -ENODEV;
	else
		lease_count_down(only->dma, &search);
	mutex_unlock(&zc_registry);
	return err ?: search.found ? 0 : -ENOENT;
}

struct lease_sighting {
	const char *name;
	bool found;
	struct zcdma_query_channel *query;
	struct device *dev;
};

static void lease_sight(struct dma_chan *dma, void *arg)
{
	struct lease_sighting *sighting = arg;

	if (sighting->found || strcmp(dma_chan_name(dma), sighting->name))
		return;
	sighting->found = true;
	if (sighting->query)
		lease_describe(dma, sighting->query);
	else
		sighting->dev = get_device(dma->device->dev);
}

/* What is known of the channel of a name: false when there is none. Under zc_registry. */
bool zc_lease_peek(const char *name, struct zcdma_query_channel *query)
{
	struct lease_sighting sighting = { .name = name, .query = query };

	lease_walk(lease_sight, &sighting);
	return sighting.found;
}

/* The device of the channel of a name, with a reference, or NULL. */
struct device *zc_lease_device(const char *name)
{
	struct lease_sighting sighting = { .name = name };

	mutex_lock(&zc_registry);
	lease_walk(lease_sight, &sighting);
	mutex_unlock(&zc_registry);
	return sighting.dev;
}

/* ---- which one to lease ---- */

static bool choice_suits(struct dma_chan *dma, const struct zc_facts *facts,
			 const struct zc_choice *choice)
{
	u64 wanted = choice->how->caps | ZCDMA_CAP_COPY;

	if (choice->nr ? dma->device != choice->have[0]->device :
	    !zc_find_is(dma, choice->how->name))
		return false;
	return (facts->caps & wanted) == wanted && dma->device->chancnt >= choice->how->channels;
}

static bool choice_refused(const struct zc_choice *choice, const struct dma_device *device)
{
	unsigned int i;

	for (i = 0; i < choice->nr_refusing; i++)
		if (choice->refusing[i] == device)
			return true;
	return false;
}

static bool choice_has(const struct zc_choice *choice, const struct zc_lease *lease)
{
	unsigned int i;

	for (i = 0; i < choice->nr; i++)
		if (choice->have[i] == lease)
			return true;
	return false;
}

bool zc_choice_taken(const struct zc_choice *choice, struct dma_chan *dma,
		     const struct zc_lease *lease)
{
	if (!lease)
		return dma->client_count || choice_refused(choice, dma->device);
	return choice_has(choice, lease) || lease->exclusive ||
	       lease->requested || (choice->exclusive && lease->sessions);
}

/* Hardware before software, free before shared, then few sessions, then near. */
static int choice_score(struct dma_chan *dma, const struct zc_facts *facts,
			const struct zc_lease *lease)
{
	int sessions = lease ? min(lease->sessions, 10000U) : 0;
	int ret = facts->caps & ZCDMA_CAP_HARDWARE ? 100000 : 0;

	ret += 4 * (10000 - sessions);
	if (dev_to_node(dma->device->dev) == numa_node_id())
		ret += 1;
	return ret;
}

static void choice_consider(struct dma_chan *dma, void *arg)
{
	struct zc_lease *lease = zc_lease_of(dma);
	struct zc_choice *choice = arg;
	struct zc_facts facts;
	int points;

	zc_find_facts(dma, &facts);
	if (!choice_suits(dma, &facts, choice))
		return;
	if (!facts.allowed) {
		choice->denied = true;
		return;
	}
	if (zc_choice_taken(choice, dma, lease)) {
		choice->busy = true;
		return;
	}
	points = choice_score(dma, &facts, lease) + 1;
	if (points > choice->score) {
		choice->score = points;
		choice->best = dma;
		choice->device = dma->device;
		put_device(choice->dev);
		choice->dev = get_device(dma->device->dev);
	}
}

/* Return: 0, -EBUSY, -EPERM or -ENODEV. Under zc_registry. */
int zc_choice_make(struct zc_choice *choice)
{
	put_device(choice->dev);
	choice->dev = NULL;
	choice->best = NULL;
	choice->score = 0;
	lease_walk(choice_consider, choice);
	if (choice->best)
		return 0;
	if (choice->busy)
		return -EBUSY;
	return choice->denied ? -EPERM : -ENODEV;
}
