// SPDX-License-Identifier: GPL-2.0
/*
 * Ports: which there are, and who has them.
 *
 * A port is defined by the device tree (port_of.c) or by root (port_param.c). What a session does
 * with one is in port_use.c.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/user_namespace.h>
#include "port.h"

/* Under zc_registry. */
static LIST_HEAD(ports);

/* Under zc_registry. */
struct zcdma_port *zcdma_port_find(const char *name)
{
	struct zcdma_port *port;

	list_for_each_entry(port, &ports, node)
		if (!strcmp(port->name, name))
			return port;
	return NULL;
}

/* Under zc_registry. Return: 0, or -EEXIST. */
int zcdma_port_add(struct zcdma_port *port)
{
	if (zcdma_port_find(port->name))
		return -EEXIST;
	list_add_tail(&port->node, &ports);
	return 0;
}

/* Under zc_registry. Return: 0, or -EBUSY when somebody has it. */
int zcdma_port_del(struct zcdma_port *port)
{
	if (port->user)
		return -EBUSY;
	list_del(&port->node);
	return 0;
}

/* Call @fn for each, until it returns something. Under zc_registry. */
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

/* ---- query ---- */

struct port_search {
	struct zcdma_query_port *query;
	u32 left;
};

/*
 * The engine of a declared port, as far as one can see it. That copies are denied its
 * channel does not matter to the port.
 */
static void port_describe_engine(struct zcdma_port *port, struct zcdma_query_port *query)
{
	struct zcdma_query_channel chan;
	bool free;
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (!port->has[way])
			continue;
		if (!zc_lease_peek(port->chan[way], &chan)) {
			query->out_state = ZCDMA_PORT_ABSENT;
			continue;
		}
		free = chan.out_state == ZCDMA_CHANNEL_FREE ||
		       (chan.out_state == ZCDMA_CHANNEL_DENIED && !chan.out_sessions);
		if (!free && query->out_state == ZCDMA_PORT_FREE)
			query->out_state = ZCDMA_PORT_BUSY;
		strscpy_pad(query->out_device, chan.out_device, ZCDMA_NAME_LEN);
		strscpy_pad(query->out_provider, chan.out_provider, ZCDMA_NAME_LEN);
	}
}

/* Who has it is the business of root, and of his own user. */
static bool port_tells_owner(const struct zcdma_port *port)
{
	return port->owner && (uid_eq(port->owner_uid, current_uid()) ||
			       ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN));
}

static void port_describe(struct zcdma_port *port, struct zcdma_query_port *query)
{
	query->out_directions = (port->has[ZCDMA_WAY_TX] ? ZCDMA_TX : 0) |
				(port->has[ZCDMA_WAY_RX] ? ZCDMA_RX : 0);
	query->out_state = ZCDMA_PORT_FREE;
	query->out_width = port->width;
	query->out_burst = port->burst;
	query->out_data = port->data ?: port->width;
	query->out_owner = port_tells_owner(port) ? pid_vnr(port->owner) : 0;
	memset(query->out_device, 0, ZCDMA_NAME_LEN);
	memset(query->out_provider, 0, ZCDMA_NAME_LEN);
	strscpy_pad(query->out_name, port->name, ZCDMA_NAME_LEN);
	strscpy_pad(query->out_owner_name, query->out_owner ? port->owner_name : "",
		    ZCDMA_NAME_LEN);
	if (port->dev)
		zcdma_port_of_engine(port, query);
	else
		port_describe_engine(port, query);
	if (port->user)
		query->out_state = ZCDMA_PORT_BUSY;
}

static int port_count_down(struct zcdma_port *port, void *arg)
{
	struct port_search *search = arg;

	if (search->left--)
		return 0;
	port_describe(port, search->query);
	return 1;
}

/* %ZCDMA_IOC_QUERY_PORT */
int zcdma_port_query(struct zcdma_query_port *query)
{
	struct port_search search = { .query = query, .left = query->index };
	int found;

	mutex_lock(&zc_registry);
	found = zcdma_port_each(port_count_down, &search);
	mutex_unlock(&zc_registry);
	return found ? 0 : -ENOENT;
}
