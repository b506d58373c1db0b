// SPDX-License-Identifier: GPL-2.0
/* The engines of ports of the device tree, see port_of.c. */
#include <linux/amba/bus.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include "port.h"

/* Engines of the tree are devices of one of two buses: Arm's PL080 and PL330 of "amba". */
static struct device *find_engine(struct device_node *node)
{
	struct device *dev = bus_find_device_by_of_node(&platform_bus_type, node);

	if (!dev && IS_ENABLED(CONFIG_ARM_AMBA))
		dev = bus_find_device_by_of_node(&amba_bustype, node);
	return dev;
}

/* The device of the engine for one direction, with a reference, or NULL. */
struct device *zcdma_port_of_device(struct device *port, const char *way)
{
	int nr = of_property_match_string(port->of_node, "dma-names", way);
	struct of_phandle_args args;
	struct device *engine;

	if (nr < 0 || of_parse_phandle_with_args(port->of_node, "dmas", "#dma-cells", nr, &args))
		return NULL;
	engine = find_engine(args.np);
	of_node_put(args.np);
	return engine;
}

/* The engine's device, as far as the tree and the driver core know it. */
void zcdma_port_of_engine(struct zcdma_port *port, struct zcdma_query_port *query)
{
	struct device *engine = zcdma_port_of_device(port->dev,
						     port->has[ZCDMA_WAY_TX] ? "tx" : "rx");

	query->out_state = ZCDMA_PORT_ABSENT;
	if (engine && engine->driver) {
		query->out_state = ZCDMA_PORT_FREE;
		strscpy_pad(query->out_device, dev_name(engine), ZCDMA_NAME_LEN);
		strscpy_pad(query->out_provider, dev_driver_string(engine), ZCDMA_NAME_LEN);
	}
	put_device(engine);
}
