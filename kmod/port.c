// SPDX-License-Identifier: GPL-2.0
/*
 * Ports: who has which, and the channels of those in use.
 *
 * A port is defined by the device tree (port_of.c) or by root (port_param.c). It
 * has no channel until a session attaches to it. Then it takes one for each of its
 * directions, as a session alone takes one, and gives them back at the end. Its
 * channels are exclusive, and so is the port.
 */
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "zcdma.h"

/* Under zcdma_registry. */
static LIST_HEAD(ports);

/* Under zcdma_registry. */
struct zcdma_port *zcdma_port_find(const char *name)
{
	struct zcdma_port *port;

	list_for_each_entry(port, &ports, node)
		if (!strcmp(port->name, name))
			return port;
	return NULL;
}

/* Under zcdma_registry. Return: 0, or -EEXIST. */
int zcdma_port_add(struct zcdma_port *port)
{
	if (zcdma_port_find(port->name))
		return -EEXIST;
	list_add_tail(&port->node, &ports);
	return 0;
}

/* Under zcdma_registry. Return: 0, or -EBUSY when somebody has it. */
int zcdma_port_del(struct zcdma_port *port)
{
	if (port->user)
		return -EBUSY;
	list_del(&port->node);
	return 0;
}

/* Call @fn for each, until it returns something. Under zcdma_registry. */
int zcdma_port_each(int (*fn)(struct zcdma_port *port, void *arg), void *arg)
{
	struct zcdma_port *port, *tmp;
	int ret = 0;

	list_for_each_entry_safe(port, tmp, &ports, node) {
		ret = fn(port, arg);
		if (ret)
			break;
	}
	return ret;
}

static void disown(struct zcdma_port *port)
{
	port->user = NULL;
	put_pid(port->owner);
	port->owner = NULL;
	port->owner_name[0] = 0;
}

/* A port ceases to be, and whoever has it loses it. Under zcdma_registry. */
void zcdma_port_take_away(struct zcdma_port *port)
{
	struct zcdma_port_use *use;
	int way;

	list_del(&port->node);
	if (!port->user)
		return;
	use = port->user->port;
	use->port = NULL;
	for (way = 0; way < ZCDMA_WAYS; way++)
		if (use->chans[way])
			zcdma_chan_lose(use->chans[way]);
	zcdma_queue_fail(port->user, -ENODEV);
	disown(port);
}

/* ---- attach ---- */

/* Return: the session's port, or NULL before %ZCDMA_IOC_ATTACH_PORT. */
struct zcdma_port_use *zcdma_port_use(struct zcdma_session *session)
{
	/* Pairs with blank_use(). */
	struct zcdma_port_use *use = smp_load_acquire(&session->port);

	/* Pairs with attached(). */
	return use && smp_load_acquire(&use->ready) ? use : NULL;
}

static struct dma_slave_config config_of(const struct zcdma_port *port, enum zcdma_way way)
{
	struct dma_slave_config config = { };

	if (way == ZCDMA_WAY_TX) {
		config.direction = DMA_MEM_TO_DEV;
		config.dst_addr = port->reg;
		config.dst_addr_width = port->width;
		config.dst_maxburst = port->burst;
	} else {
		config.direction = DMA_DEV_TO_MEM;
		config.src_addr = port->reg;
		config.src_addr_width = port->width;
		config.src_maxburst = port->burst;
	}
	return config;
}

/* What it takes to get a channel; the port may be gone by then. */
struct wanted {
	struct device *dev;
	char chan[ZCDMA_WAYS][ZCDMA_NAME_LEN];
	enum zcdma_way way;
};

/* The port is the session's, but for its channels. */
static int reserve(struct zcdma_session *session, struct zcdma_port_use *use, const char *name,
		   struct wanted *wanted)
{
	struct zcdma_port *port;
	int err = 0, way;

	mutex_lock(&zcdma_registry);
	port = zcdma_port_find(name);
	if (!port)
		err = -ENOENT;
	else if (port->user)
		err = -EBUSY;
	if (!err) {
		port->user = session;
		port->owner = get_pid(task_tgid(current));
		get_task_comm(port->owner_name, current);
		use->port = port;
		use->width = port->width;
		for (way = 0; way < ZCDMA_WAYS; way++) {
			use->has[way] = port->has[way];
			use->config[way] = config_of(port, way);
		}
		wanted->dev = get_device(port->dev);
		memcpy(wanted->chan, port->chan, sizeof(wanted->chan));
	}
	mutex_unlock(&zcdma_registry);
	return err;
}

static bool is_named(struct dma_chan *dma, void *name)
{
	return !strcmp(dma_chan_name(dma), name);
}

/* For a declared port: the channel that root has named. Under zcdma_registry. */
static struct dma_chan *request_named(char *name)
{
	struct zcdma_query_channel query;
	struct dma_chan *dma;
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_SLAVE, mask);
	dma = dma_request_channel(mask, is_named, name);
	if (dma)
		return dma;
	if (!zcdma_chan_peek(name, &query))
		return ERR_PTR(-ENODEV);
	return ERR_PTR(query.out_caps & ZCDMA_CAP_SLAVE ? -EBUSY : -EOPNOTSUPP);
}

static struct dma_chan *request(void *arg)
{
	struct wanted *wanted = arg;
	struct dma_chan *dma;

	if (!wanted->dev)
		return request_named(wanted->chan[wanted->way]);
	dma = dma_request_chan(wanted->dev, wanted->way == ZCDMA_WAY_TX ? "tx" : "rx");
	return PTR_ERR_OR_ZERO(dma) == -EPROBE_DEFER ? ERR_PTR(-ENODEV) : dma;
}

/* Can the engine do what the port needs? Tells the engine what that is. */
static int configure(struct zcdma_port_use *use, enum zcdma_way way)
{
	struct dma_slave_config *config = &use->config[way];
	struct dma_chan *dma = use->chans[way]->dma;
	struct dma_slave_caps caps;
	int err = -ENODEV;
	u32 widths;

	mutex_lock(&use->engine);
	if (!use->gone[way]) {
		err = dma_get_slave_caps(dma, &caps);
		widths = way == ZCDMA_WAY_TX ? caps.dst_addr_widths : caps.src_addr_widths;
		if (!err && (!(caps.directions & BIT(config->direction)) ||
			     !(widths & BIT(use->width))))
			err = -EOPNOTSUPP;
		err = err ?: dmaengine_slave_config(dma, config);
		if (err)
			err = -EOPNOTSUPP;
	}
	mutex_unlock(&use->engine);
	return err;
}

static int take_channels(struct zcdma_session *session, struct zcdma_port_use *use,
			 struct wanted *wanted)
{
	struct zcdma_chan *chan;
	int err = 0, way;

	for (way = 0; !err && way < ZCDMA_WAYS; way++) {
		if (!use->has[way])
			continue;
		wanted->way = way;
		use->lanes[way].session = session;
		INIT_LIST_HEAD(&use->lanes[way].turn);
		chan = zcdma_chan_take(&use->lanes[way], &use->chans[way], request, wanted);
		err = PTR_ERR_OR_ZERO(chan) ?: configure(use, way);
	}
	return err;
}

static int open_slaves(struct zcdma_port_use *use)
{
	int err = 0, way;

	mutex_lock(&use->engine);
	for (way = 0; !err && way < ZCDMA_WAYS; way++) {
		if (use->gone[way])
			err = -ENODEV;
		else if (use->chans[way])
			err = zcdma_slave_open(&use->slaves[way], use->chans[way], use->width);
	}
	mutex_unlock(&use->engine);
	return err;
}

/* Give back what attach has taken, but for the references on the channels. */
static void leave(struct zcdma_port_use *use)
{
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++)
		if (use->chans[way])
			zcdma_chan_leave(&use->lanes[way], 1);
	mutex_lock(&zcdma_registry);
	if (use->port)
		disown(use->port);
	use->port = NULL;
	mutex_unlock(&zcdma_registry);
}

static void put_channels(struct zcdma_port_use *use)
{
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (use->chans[way])
			zcdma_chan_put(use->chans[way]);
		use->chans[way] = NULL;
	}
}

/* Nothing is at the engines any more. Under use->engine. */
static void shut_slaves(struct zcdma_port_use *use)
{
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++)
		if (!use->gone[way])
			zcdma_slave_shut(&use->slaves[way]);
}

/* Attach has failed half way. */
static void undo(struct zcdma_port_use *use)
{
	int way;

	mutex_lock(&use->engine);
	shut_slaves(use);
	mutex_unlock(&use->engine);
	leave(use);
	for (way = 0; way < ZCDMA_WAYS; way++)
		use->slaves[way].chan = NULL;
	put_channels(use);
}

/* Made by the first try; others may be looking at it until the file is closed. */
static struct zcdma_port_use *blank_use(struct zcdma_session *session)
{
	struct zcdma_port_use *use = session->port;
	int way;

	if (!use) {
		use = kzalloc(sizeof(*use), GFP_KERNEL_ACCOUNT);
		if (!use)
			return NULL;
		mutex_init(&use->engine);
		for (way = 0; way < ZCDMA_WAYS; way++)
			zcdma_slave_init(&use->slaves[way], session, way);
		/* Pairs with zcdma_port_use(). */
		smp_store_release(&session->port, use);
	}
	memset(use->gone, 0, sizeof(use->gone));
	return use;
}

static int attach_locked(struct zcdma_session *session, struct zcdma_attach_port *how)
{
	struct wanted wanted = { };
	struct zcdma_port_use *use;
	int err;

	if (session->chan || zcdma_port_use(session))
		return -EISCONN;
	use = blank_use(session);
	if (!use)
		return -ENOMEM;
	err = reserve(session, use, how->name, &wanted);
	if (err)
		return err;
	err = take_channels(session, use, &wanted);
	put_device(wanted.dev);
	err = err ?: open_slaves(use);
	if (err)
		undo(use);
	return err;
}

static void attached(struct zcdma_session *session, struct zcdma_attach_port *how)
{
	struct zcdma_port_use *use = session->port;
	struct zcdma_chan *tx = use->chans[ZCDMA_WAY_TX];
	struct zcdma_chan *rx = use->chans[ZCDMA_WAY_RX];

	how->out_directions = (tx ? ZCDMA_TX : 0) | (rx ? ZCDMA_RX : 0);
	how->out_width = use->width;
	how->out_tx_caps = tx ? tx->caps : 0;
	how->out_rx_caps = rx ? rx->caps : 0;
	session->depth = how->queue_depth ?: ZCDMA_DEFAULT_QUEUE_DEPTH;
	session->deadline_ms = how->deadline_ms ?: ZCDMA_DEFAULT_DEADLINE_MS;
	/* Pairs with zcdma_port_use(): whoever sees it sees the above too. */
	smp_store_release(&use->ready, true);
	/* Pairs with zcdma_session_chan(), likewise. Registered memory is mapped for it. */
	smp_store_release(&session->chan, tx ?: rx);
}

/* The channel that sends, if it does, and the one that receives. */
struct zcdma_chan *zcdma_port_nth_chan(struct zcdma_port_use *use, u32 nr)
{
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++)
		if (use->chans[way] && !nr--)
			return use->chans[way];
	return NULL;
}

/* Are its two channels of different devices, for each of which memory is mapped differently? */
bool zcdma_port_is_split(struct zcdma_session *session)
{
	struct zcdma_port_use *use = zcdma_port_use(session);
	struct zcdma_chan *tx, *rx;

	if (!use)
		return false;
	tx = use->chans[ZCDMA_WAY_TX];
	rx = use->chans[ZCDMA_WAY_RX];
	return tx && rx && tx->dev != rx->dev;
}

/* %ZCDMA_IOC_ATTACH_PORT */
int zcdma_port_attach(struct zcdma_session *session, struct zcdma_attach_port *how)
{
	int err;

	if (how->queue_depth > ZCDMA_MAX_QUEUE_DEPTH ||
	    how->deadline_ms > ZCDMA_MAX_DEADLINE_MS ||
	    strnlen(how->name, ZCDMA_NAME_LEN) == ZCDMA_NAME_LEN)
		return -EINVAL;
	mutex_lock(&session->attaching);
	err = attach_locked(session, how);
	if (!err)
		attached(session, how);
	mutex_unlock(&session->attaching);
	return err;
}

/**
 * zcdma_port_lost() - a session's channel goes away
 * @session: whose; perhaps of no port.
 * @chan: its channel, in use for the last time.
 *
 * Under zcdma_registry. The session has failed. Afterwards nothing of an op is at an
 * engine, in neither direction, nothing of a stream is mapped, and nobody will call the
 * provider.
 */
void zcdma_port_lost(struct zcdma_session *session, struct zcdma_chan *chan)
{
	struct zcdma_port_use *use = session->port;
	int way;

	if (!use)
		return;
	mutex_lock(&use->engine);
	shut_slaves(use);
	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (use->chans[way] != chan)
			continue;
		use->gone[way] = true;
		if (use->streams[way])
			zcdma_stream_halt(use->streams[way], ZCDMA_STREAM_GONE);
		if (use->streams[way])
			zcdma_ring_unmap(use->streams[way]);
	}
	mutex_unlock(&use->engine);
}

/* The file is closed: all but what requests may still need goes. */
void zcdma_port_detach(struct zcdma_session *session)
{
	struct zcdma_port_use *use = session->port;
	int way;

	if (!use)
		return;
	mutex_lock(&use->engine);
	shut_slaves(use);
	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (!use->streams[way])
			continue;
		zcdma_stream_halt(use->streams[way], ZCDMA_STREAM_STOPPED);
		zcdma_ring_unmap(use->streams[way]);
	}
	mutex_unlock(&use->engine);
	leave(use);
	for (way = 0; way < ZCDMA_WAYS; way++)
		zcdma_ring_destroy(use->streams[way]);
}

/* Nobody has the session any more. */
void zcdma_port_free(struct zcdma_session *session)
{
	struct zcdma_port_use *use = session->port;

	if (!use)
		return;
	put_channels(use);
	kfree(use);
}

/* ---- query ---- */

struct search {
	struct zcdma_query_port *query;
	u32 left;
};

/* The engine of a declared port, as far as one can see it. */
static void describe_engine(struct zcdma_port *port, struct zcdma_query_port *query)
{
	struct zcdma_query_channel chan;
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (!port->has[way])
			continue;
		if (!zcdma_chan_peek(port->chan[way], &chan)) {
			query->out_state = ZCDMA_PORT_ABSENT;
			continue;
		}
		if (chan.out_state != ZCDMA_CHANNEL_FREE && query->out_state == ZCDMA_PORT_FREE)
			query->out_state = ZCDMA_PORT_BUSY;
		strscpy_pad(query->out_device, chan.out_device, ZCDMA_NAME_LEN);
		strscpy_pad(query->out_provider, chan.out_provider, ZCDMA_NAME_LEN);
	}
}

static void describe(struct zcdma_port *port, struct zcdma_query_port *query)
{
	query->out_directions = (port->has[ZCDMA_WAY_TX] ? ZCDMA_TX : 0) |
				(port->has[ZCDMA_WAY_RX] ? ZCDMA_RX : 0);
	query->out_state = ZCDMA_PORT_FREE;
	query->out_width = port->width;
	query->out_burst = port->burst;
	query->out_data = port->data ?: port->width;
	query->out_owner = pid_vnr(port->owner);
	memset(query->out_device, 0, ZCDMA_NAME_LEN);
	memset(query->out_provider, 0, ZCDMA_NAME_LEN);
	strscpy_pad(query->out_name, port->name, ZCDMA_NAME_LEN);
	strscpy_pad(query->out_owner_name, query->out_owner ? port->owner_name : "",
		    ZCDMA_NAME_LEN);
	if (port->dev)
		zcdma_port_of_engine(port, query);
	else
		describe_engine(port, query);
	if (port->user)
		query->out_state = ZCDMA_PORT_BUSY;
}

static int count_down(struct zcdma_port *port, void *arg)
{
	struct search *search = arg;

	if (search->left--)
		return 0;
	describe(port, search->query);
	return 1;
}

/* %ZCDMA_IOC_QUERY_PORT */
int zcdma_port_query(struct zcdma_query_port *query)
{
	struct search search = { .query = query, .left = query->index };
	int found;

	mutex_lock(&zcdma_registry);
	found = zcdma_port_each(count_down, &search);
	mutex_unlock(&zcdma_registry);
	return found ? 0 : -ENOENT;
}
