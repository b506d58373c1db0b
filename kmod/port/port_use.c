// SPDX-License-Identifier: GPL-2.0
/*
 * A session's use of a port: attach and detach, and when it is lost.
 *
 * A port has no channel until a session attaches to it. Then it takes one for each of its
 * directions, as a session alone takes one, and gives them back at the end. Its channels are
 * exclusive, and so is the port.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "port.h"

static void use_disown(struct zcdma_port *port)
{
	port->user = NULL;
	put_pid(port->owner);
	port->owner = NULL;
	port->owner_name[0] = 0;
}

/* A port ceases to be, and whoever has it loses it. Under zc_registry. */
void zcdma_port_take_away(struct zcdma_port *port)
{
	struct zcdma_port_use *use = port->user;
	int way;

	list_del(&port->node);
	if (!use)
		return;
	use->port = NULL;
	for (way = 0; way < ZCDMA_WAYS; way++)
		if (use->leases[way])
			zc_lease_lose(use->leases[way]);
	zc_queue_fail(use->session, -ENODEV);
	use_disown(port);
}

/* ---- attach ---- */

static struct dma_slave_config use_config_of(const struct zcdma_port *port, enum zcdma_way way)
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
struct use_wanted {
	struct device *dev;
	char chan[ZCDMA_WAYS][ZCDMA_NAME_LEN];
	enum zcdma_way way;
};

/* May the current process have it? As with a file, and root may always. Under zc_registry. */
static bool use_permits(const struct zcdma_port *port)
{
	umode_t wanted = (port->has[ZCDMA_WAY_RX] ? 4 : 0) | (port->has[ZCDMA_WAY_TX] ? 2 : 0);
	umode_t mode = port->mode;

	if (uid_eq(current_fsuid(), GLOBAL_ROOT_UID))
		mode >>= 6;
	else if (gid_valid(port->group) && in_egroup_p(port->group))
		mode >>= 3;
	return !(wanted & ~mode) || capable(CAP_DAC_OVERRIDE);
}

/* The port is the session's, but for its channels. */
static int use_reserve(struct zcdma_port_use *use, const char *name, struct use_wanted *wanted)
{
	struct zcdma_port *port;
	int err = 0, way;

	mutex_lock(&zc_registry);
	port = zcdma_port_find(name);
	if (!port)
		err = -ENOENT;
	else if (!use_permits(port))
		err = -EACCES;
	else if (port->user)
		err = -EBUSY;
	if (!err) {
		port->user = use;
		port->owner = get_pid(task_tgid(current));
		port->owner_uid = current_uid();
		get_task_comm(port->owner_name, current);
		use->port = port;
		use->width = port->width;
		for (way = 0; way < ZCDMA_WAYS; way++) {
			use->has[way] = port->has[way];
			use->config[way] = use_config_of(port, way);
		}
		wanted->dev = get_device(port->dev);
		memcpy(wanted->chan, port->chan, sizeof(wanted->chan));
	}
	mutex_unlock(&zc_registry);
	return err;
}

static bool use_is_named(struct dma_chan *dma, void *name)
{
	return !strcmp(dma_chan_name(dma), name);
}

/* For a declared port: the channel that root has named. Under zc_registry. */
static struct dma_chan *use_request_named(char *name)
{
	struct zcdma_query_channel query;
	struct dma_chan *dma;
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_SLAVE, mask);
	dma = dma_request_channel(mask, use_is_named, name);
	if (dma)
		return dma;
	if (!zc_lease_peek(name, &query))
		return ERR_PTR(-ENODEV);
	return ERR_PTR(query.out_caps & ZCDMA_CAP_SLAVE ? -EBUSY : -EOPNOTSUPP);
}

static const char *use_way_name(enum zcdma_way way)
{
	return way == ZCDMA_WAY_TX ? "tx" : "rx";
}

/* The engine's device, which is to be locked before a channel of it is requested. */
static struct device *use_engine_of(const struct use_wanted *wanted)
{
	if (!wanted->dev)
		return zc_lease_device(wanted->chan[wanted->way]);
	return zcdma_port_of_device(wanted->dev, use_way_name(wanted->way));
}

static struct dma_chan *use_request(void *arg)
{
	struct use_wanted *wanted = arg;
	struct dma_chan *dma;

	if (!wanted->dev)
		return use_request_named(wanted->chan[wanted->way]);
	dma = dma_request_chan(wanted->dev, use_way_name(wanted->way));
	return PTR_ERR_OR_ZERO(dma) == -EPROBE_DEFER ? ERR_PTR(-ENODEV) : dma;
}

/* Nothing is at the engines any more. Under use->engine. */
static void use_shut_slaves(struct zcdma_port_use *use)
{
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++)
		if (!use->gone[way])
			zcdma_slave_shut(&use->slaves[way]);
}

/* Can the engine do what the port needs? Tells the engine what that is. */
static int use_configure(struct zcdma_port_use *use, enum zcdma_way way)
{
	struct dma_slave_config *config = &use->config[way];
	struct dma_chan *dma = use->leases[way]->dma;
	struct dma_slave_caps caps;
	int err = -ENODEV;
	u32 widths;

	mutex_lock(&use->engine);
	if (!use->gone[way]) {
		err = dma_get_slave_caps(dma, &caps);
		widths = way == ZCDMA_WAY_TX ? caps.dst_addr_widths : caps.src_addr_widths;
		/* The width comes from outside: such masks have 32 bits. */
		if (!err && (!(caps.directions & BIT(config->direction)) ||
			     use->width > ZCDMA_PORT_MAX_WIDTH || !(widths & BIT(use->width))))
			err = -EOPNOTSUPP;
		err = err ?: dmaengine_slave_config(dma, config);
		if (err)
			err = -EOPNOTSUPP;
	}
	zcdma_port_unlock(use);
	return err;
}

/* ---- the session is told that a channel goes ---- */

/*
 * In use for the last time. Afterwards nothing of an op is at an engine, in neither direction,
 * nothing of a stream is mapped, and nobody will call the provider. Under zc_registry.
 */
static void use_member_fail(struct zc_member *member)
{
	struct zcdma_port_use *use =
		container_of(member, struct zcdma_port_member, member)->use;
	int way;

	zc_queue_fail(use->session, -ENODEV);
	mutex_lock(&use->engine);
	use_shut_slaves(use);
	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (use->leases[way] != &member->engine->lease)
			continue;
		if (use->streams[way] && !use->gone[way])
			zcdma_stream_lose_channel(use->streams[way]);
		WRITE_ONCE(use->gone[way], true);
	}
	zcdma_port_unlock(use);
}

static void use_member_unmap(struct zc_member *member)
{
	struct zcdma_port_use *use =
		container_of(member, struct zcdma_port_member, member)->use;
	int way;

	zc_queue_unmap(member->session);
	mutex_lock(&use->engine);
	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (use->leases[way] != &member->engine->lease)
			continue;
		/* What could not be stopped while prep did not return is over by now. */
		zcdma_slave_collect(&use->slaves[way]);
		zcdma_slave_unmap(&use->slaves[way]);
		if (use->streams[way])
			zcdma_stream_unmap(use->streams[way]);
	}
	zcdma_port_unlock(use);
}

/* It has no pieces for the engine: what is at a port goes another way. */
static const struct zc_client use_member_client = {
	.fail	= use_member_fail,
	.unmap	= use_member_unmap,
};

static int use_take_channels(struct zcdma_port_use *use, struct use_wanted *wanted)
{
	struct zc_lease *lease;
	int err = 0, way;

	for (way = 0; !err && way < ZCDMA_WAYS; way++) {
		if (!use->has[way])
			continue;
		wanted->way = way;
		lease = zc_lease_request(use_engine_of(wanted), use_request, wanted);
		if (IS_ERR(lease))
			return PTR_ERR(lease);
		use->leases[way] = lease;
		use->members[way].use = use;
		use->members[way].member.client = &use_member_client;
		use->members[way].member.session = use->session;
		zc_engine_join(&use->members[way].member, lease);
		err = use_configure(use, way);
	}
	return err;
}

static int use_open_slaves(struct zcdma_port_use *use)
{
	int err = 0, way;

	mutex_lock(&use->engine);
	for (way = 0; !err && way < ZCDMA_WAYS; way++) {
		if (use->gone[way])
			err = -ENODEV;
		else if (use->leases[way])
			err = zcdma_slave_open(&use->slaves[way], use->leases[way], use->width);
	}
	zcdma_port_unlock(use);
	return err;
}

/* Give back what attach has taken, but for the places, at which it is told what goes. */
static void use_leave(struct zcdma_port_use *use)
{
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++)
		if (use->leases[way])
			zc_lease_leave(use->leases[way]);
	mutex_lock(&zc_registry);
	if (use->port)
		use_disown(use->port);
	use->port = NULL;
	mutex_unlock(&zc_registry);
}

/* Nobody looks at it any more. */
static void use_free(struct zcdma_port_use *use)
{
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (use->leases[way])
			zc_engine_leave(&use->members[way].member);
		zcdma_stream_free(use->streams[way]);
		zcdma_slave_unmap(&use->slaves[way]);
		zcdma_slave_free(&use->slaves[way]);
		if (use->leases[way])
			zc_lease_put(use->leases[way]);
	}
	kfree_rcu(use, rcu);
}

/* Attach has failed half way. */
static void use_undo(struct zcdma_port_use *use)
{
	mutex_lock(&use->engine);
	use_shut_slaves(use);
	zcdma_port_unlock(use);
	use_leave(use);
	use_free(use);
}

static struct zcdma_port_use *use_make(struct zc_session *session)
{
	struct zcdma_port_use *use = kzalloc(sizeof(*use), GFP_KERNEL_ACCOUNT);
	int err = 0, way;

	if (!use)
		return NULL;
	use->session = session;
	mutex_init(&use->engine);
	for (way = 0; way < ZCDMA_WAYS; way++)
		err = zcdma_slave_init(&use->slaves[way], session, way) ?: err;
	if (!err)
		return use;
	use_free(use);
	return NULL;
}

/* The file is closed: all but what an engine may still need goes. */
static void use_detach(struct zc_session *session)
{
	struct zcdma_stream *closed[ZCDMA_WAYS] = { };
	struct zcdma_port_use *use = session->port;
	int way;

	mutex_lock(&use->engine);
	use_shut_slaves(use);
	for (way = 0; way < ZCDMA_WAYS; way++)
		if (use->streams[way] && zcdma_stream_close(use->streams[way]))
			swap(closed[way], use->streams[way]);
	zcdma_port_unlock(use);
	use_leave(use);
	for (way = 0; way < ZCDMA_WAYS; way++)
		zcdma_stream_free(closed[way]);
}

/* What has failed is taken from the engines, and what is behind it goes on. May sleep. */
static void use_look(struct zc_session *session)
{
	struct zcdma_port_use *use = zcdma_port_use(session);
	int way;

	if (!use)
		return;
	mutex_lock(&use->engine);
	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (use->gone[way])
			continue;
		zcdma_slave_look(&use->slaves[way]);
		if (use->streams[way])
			zcdma_stream_look(use->streams[way]);
	}
	zcdma_slave_kick(session);
	zcdma_port_unlock(use);
}

static void use_free_port(struct zc_session *session)
{
	use_free(session->port);
}

/* The channel that sends, if it does, and the one that receives. */
static struct zc_lease *use_nth_lease(struct zc_session *session, u32 nr)
{
	struct zcdma_port_use *use = session->port;
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++)
		if (use->leases[way] && !nr--)
			return use->leases[way];
	return NULL;
}

static const struct zc_port_ops use_port_ops = {
	.admit		= zcdma_slave_admit,
	.queued		= zcdma_slave_queued,
	.unqueued	= zcdma_slave_unqueued,
	.put		= zcdma_slave_put,
	.kick		= zcdma_slave_kick,
	.look		= use_look,
	.nth_lease	= use_nth_lease,
	.poll		= zcdma_stream_poll,
	.detach		= use_detach,
	.free		= use_free_port,
};

static int use_attach(struct zc_session *session, struct zcdma_attach_port *how)
{
	struct zc_lease *tx, *rx;
	struct use_wanted wanted = { };
	struct zcdma_port_use *use;
	int err;

	if (session->lease)
		return -EISCONN;
	use = use_make(session);
	if (!use)
		return -ENOMEM;
	err = use_reserve(use, how->name, &wanted);
	if (err) {
		use_free(use);
		return err;
	}
	err = use_take_channels(use, &wanted);
	put_device(wanted.dev);
	err = err ?: use_open_slaves(use);
	if (err) {
		use_undo(use);
		return err;
	}
	tx = use->leases[ZCDMA_WAY_TX];
	rx = use->leases[ZCDMA_WAY_RX];
	how->out_directions = (tx ? ZCDMA_TX : 0) | (rx ? ZCDMA_RX : 0);
	how->out_width = use->width;
	how->out_tx_caps = tx ? tx->caps : 0;
	how->out_rx_caps = rx ? rx->caps : 0;
	session->port = use;
	session->port_ops = &use_port_ops;
	/* Registered memory is mapped for the first. */
	zc_session_attached(session, tx ?: rx, how->queue_depth, how->deadline_ms);
	return 0;
}

/* %ZCDMA_IOC_ATTACH_PORT */
int zcdma_port_attach(struct zc_session *session, struct zcdma_attach_port *how)
{
	int err;

	if (how->queue_depth > ZC_MAX_QUEUE_DEPTH || how->deadline_ms > ZC_MAX_DEADLINE_MS ||
	    strnlen(how->name, ZCDMA_NAME_LEN) == ZCDMA_NAME_LEN)
		return -EINVAL;
	mutex_lock(&session->attaching);
	err = use_attach(session, how);
	mutex_unlock(&session->attaching);
	return err;
}
